/* The measured limits of the machine, on the kernel row that VITC_ISA selects (ctest runs this once
 * per row). Their values depend on the machine and on who else uses it: what is checked is what
 * holds on any. */
#include <time.h>

#include "vit.h"
#include "vit_peak.h"
#include "vit_test_support.h"

static vit_kernels kernels;
static const vitc_log log_lines = {test_log_line, NULL};

static double measure(vit_peak peak, int threads)
{
    double rate = -1;
    assert_int_equal(vit_peak_measure(&rate, peak, threads, &log_lines), VITC_OK);
    assert_true(isfinite(rate) && rate >= 0);
    return rate;
}

static void test_arithmetic(void **state)
{
    const struct {
        vit_peak peak;
        const vit_gemm *gemm;
        const char *portable; /* the kernel that stands in where there is no instruction */
    } formats[] = {{VIT_PEAK_F32, &kernels.f32, NULL},
                   {VIT_PEAK_BF16, &kernels.bf16, vit_gemm_bf16_portable(&kernels.f32).name},
                   {VIT_PEAK_INT8, &kernels.int8, vit_gemm_int8_ref.name}};
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const char *portable = formats[i].portable;
        const bool native = portable == NULL || strcmp(formats[i].gemm->name, portable) != 0;
        for (int threads = 1; threads <= 2; threads++) {
            const double rate = measure(formats[i].peak, threads);
            printf("%s, %d threads: %.1f Gop/s\n", formats[i].gemm->name, threads, rate * 1e-9);
            if (native)
                assert_true(rate > 1e6 && rate < 1e14);
            else
                assert_true(rate == 0);
        }
    }
}

static void test_memory(void **state)
{
    (void)state;
    const double rate = measure(VIT_PEAK_MEMORY, 0);
    printf("memory: %.1f GB/s\n", rate * 1e-9);
    assert_true(rate > 1e7 && rate < 1e14);
}

/* A loop of twice the steps takes longer: nothing of it was optimized away. The least of several
 * times, because other programs may take the processor in between. */
static double least_seconds(const vit_peak_loop *loop, uint64_t steps)
{
    double least = INFINITY;
    for (int i = 0; i < 20; i++) {
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        loop->run(steps);
        clock_gettime(CLOCK_MONOTONIC, &end);
        least = fmin(least, (double)(end.tv_sec - start.tv_sec) +
                                1e-9 * (double)(end.tv_nsec - start.tv_nsec));
    }
    return least;
}

static void test_loops_do_their_steps(void **state)
{
    const vit_gemm *formats[] = {&kernels.f32, &kernels.bf16, &kernels.int8};
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const vit_peak_loop *loop = vit_peak_choose(&kernels, formats[i]);
        if (loop == NULL) continue;
        const double once = least_seconds(loop, 20000), four = least_seconds(loop, 80000);
        if (!(four > 2 * once && four < 8 * once))
            fail_msg("%s: %g s, four times the steps %g s", formats[i]->name, once, four);
    }
}

static void test_unknown(void **state)
{
    double rate = -1;
    (void)state;
    assert_int_equal(vit_peak_measure(&rate, VIT_PEAK_COUNT, 1, NULL), VITC_ERR_ARGUMENT);
    assert_true(rate == 0);
    assert_int_equal(vit_peak_measure(&rate, (vit_peak)-1, 1, NULL), VITC_ERR_ARGUMENT);
}

static void test_nominal_flops(void **state)
{
    vit_config config;
    (void)state;
    assert_int_equal(vit_config_named(&config, "vit-b16", &log_lines), VITC_OK);
    const double computed = vit_config_flops(&config), nominal = vit_config_nominal_flops(&config);
    /* 197 tokens: 2 * (196 * 768^2 + 12 * (197 * 12 * 768^2 + 2 * 197^2 * 768) + 768 * 1000) */
    assert_true(fabs(nominal - 35127656448.0) < 1);
    /* less all but the class token after the last block's keys and values */
    assert_true(fabs(nominal - computed - 196 * (4 * 197.0 * 768 + 18 * 768.0 * 768)) < 1);
    config.pool = VIT_POOL_AVG;
    assert_true(vit_config_flops(&config) == vit_config_nominal_flops(&config));
}

int main(void)
{
    kernels = test_kernels_or_skip();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arithmetic), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_loops_do_their_steps), cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_nominal_flops)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
