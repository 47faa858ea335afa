/* The kernel row that VITC_ISA selects (ctest runs this once per row) against the scalar ref. */
#include "vit_test_support.h"

static vit_kernels kernels;

static const size_t lengths[] = {1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 63, 64, 100, 197, 257, 1000};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };

/* ---- GEMM tile ---- */

/* Packs count (<= width) rows of [count, k] as the header draws it, with NaN never in the padding.
 */
static void pack(float *panel, const float *rows, size_t count, size_t k, size_t width)
{
    vit_rows_f32_ref.pack_tokens(panel, rows, k, count, k, width);
}

/* Derived: k products and sums in float32 with unit roundoff 2^-24, worst case k * 2^-24 relative
 * to sum |x||w|; the inputs are N(0, 1), so sum |x||w| is about 0.64 k. */
static double tile_tolerance(size_t k)
{
    return 0.64 * (double)k * (double)k * 0x1p-24 + 1e-6;
}

static void check_tile(size_t k, size_t weights, size_t tokens, bool accumulate)
{
    const vit_gemm *gemm = &kernels.f32;
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel, ldo = wr + 5;
    float *w = test_random_floats(weights * k, 1, 1), *x = test_random_floats(tokens * k, 1, 2);
    float *wp = test_floats(wr * k), *xp = test_floats(xr * k);
    float *out = test_floats(xr * ldo), *before = test_random_floats(xr * ldo, 1, 3);
    pack(wp, w, weights, k, wr);
    pack(xp, x, tokens, k, xr);
    if (accumulate) memcpy(out, before, xr * ldo * sizeof *out);
    gemm->tile(gemm, k, wp, xp, accumulate, out, ldo, weights, tokens, NULL, 0);
    for (size_t t = 0; t < xr; t++) {
        for (size_t o = 0; o < ldo; o++) {
            const float got = out[t * ldo + o];
            if (t >= tokens || o >= weights) { /* outside the tile nothing changes */
                assert_true(accumulate ? got == before[t * ldo + o] : isnan(got));
                continue;
            }
            double sum = accumulate ? (double)before[t * ldo + o] : 0;
            for (size_t i = 0; i < k; i++) sum += (double)x[t * k + i] * (double)w[o * k + i];
            assert_true(fabs((double)got - sum) <= tile_tolerance(k));
        }
    }
    vitc_aligned_free(w);
    vitc_aligned_free(x);
    vitc_aligned_free(wp);
    vitc_aligned_free(xp);
    vitc_aligned_free(out);
    vitc_aligned_free(before);
}

static void tile_equals_its_formula_at_every_edge(void **unused)
{
    (void)unused;
    static const size_t ks[] = {1, 2, 3, 4, 7, 16, 64, 197, 384};
    for (size_t i = 0; i < sizeof ks / sizeof ks[0]; i++)
        for (size_t weights = 1; weights <= kernels.f32.weight_panel; weights++)
            for (size_t tokens = 1; tokens <= kernels.f32.token_panel; tokens++) {
                check_tile(ks[i], weights, tokens, false);
                check_tile(ks[i], weights, tokens, true);
            }
}

/* A token's results must not depend on who shares its panel: that is what makes logits independent
 * of the batch. */
static void tile_bits_do_not_depend_on_the_edge(void **unused)
{
    (void)unused;
    const vit_gemm *gemm = &kernels.f32;
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel, k = 211;
    float *w = test_random_floats(wr * k, 1, 1), *x = test_random_floats(xr * k, 1, 2);
    float *wp = test_floats(wr * k), *xp = test_floats(xr * k);
    float *full = test_floats(xr * wr), *one = test_floats(xr * wr);
    pack(wp, w, wr, k, wr);
    pack(xp, x, xr, k, xr);
    gemm->tile(gemm, k, wp, xp, false, full, wr, wr, xr, NULL, 0);
    gemm->tile(gemm, k, wp, xp, true, full, wr, wr, xr, NULL, 0);
    for (size_t t = 0; t < xr; t++) {
        for (size_t weights = 1; weights <= wr; weights += 3) {
            pack(xp, x + t * k, 1, k, xr);
            gemm->tile(gemm, k, wp, xp, false, one, wr, weights, 1, NULL, 0);
            gemm->tile(gemm, k, wp, xp, true, one, wr, weights, 1, NULL, 0);
            assert_memory_equal(one, full + t * wr, weights * sizeof *one);
        }
    }
    vitc_aligned_free(w);
    vitc_aligned_free(x);
    vitc_aligned_free(wp);
    vitc_aligned_free(xp);
    vitc_aligned_free(full);
    vitc_aligned_free(one);
}

static void passes_are_even_and_fill_the_sum(void **unused)
{
    (void)unused;
    static const size_t sums[] = {1, 3, 64, 192, 768, 769, 1024, 1280, 3072, 5120, 8192};
    const vit_gemm *gemms[] = {&kernels.f32, &kernels.bf16, &kernels.int8};
    for (size_t g = 0; g < 3; g++)
        for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
            const vit_gemm *gemm = gemms[g];
            const size_t k = sums[i], pass = vit_gemm_pass(gemm, k);
            const size_t passes = (k + pass - 1) / pass;
            assert_int_equal(pass % gemm->k_unit, 0);
            assert_true(passes * pass < k + passes * gemm->k_unit);
            assert_true(gemm->k_block == SIZE_MAX || pass < gemm->k_block + gemm->k_unit);
            assert_true(vit_gemm_run(gemm, k) >= 1);
        }
}

/* ---- rows ---- */

/* 16 ulp of the result; GELU's polynomial: 1.5e-7, which is what x/2 (1 + erf) has in float32; the
 * others far out in the negative tail, where the rounding of a large argument of the exponential is
 * a larger share of a result that no longer matters: 1e-9. */
static void check_elementwise(int e, float from, float to)
{
    enum { COUNT = 200001 };
    const double absolute = e == VIT_EPILOGUE_GELU_ERF ? 1.5e-7 : 1e-9;
    float *a = test_floats(COUNT), *b = test_floats(COUNT), *bias = test_floats(COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        a[i] = b[i] = from + (to - from) * (float)i / (float)(COUNT - 1);
        bias[i] = i % 2 == 0 ? 0.0f : 0.25f;
    }
    kernels.rows->epilogue[e](a, COUNT, 1, bias, COUNT);
    vit_rows_f32_ref.epilogue[e](b, COUNT, 1, bias, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        const double error = fabs((double)a[i] - (double)b[i]);
        if (error > 16 * 0x1p-23 * fabs((double)b[i]) + absolute)
            fail_msg("element %zu: %.9g instead of %.9g", i, (double)a[i], (double)b[i]);
    }
    vitc_aligned_free(a);
    vitc_aligned_free(b);
    vitc_aligned_free(bias);
}

static void epilogues_are_accurate_over_their_range(void **unused)
{
    (void)unused;
    for (int e = 0; e < VIT_EPILOGUE_COUNT; e++) {
        assert_non_null(kernels.rows->epilogue[e]);
        check_elementwise(e, -1e-3f, 1e-3f);
        check_elementwise(e, -4, 4);
        check_elementwise(e, -12, 12);
        check_elementwise(e, 0, 1000);
    }
}

static void epilogues_handle_extremes(void **unused)
{
    (void)unused;
    const float zero = 0;
    for (int e = 0; e < VIT_EPILOGUE_COUNT; e++) {
        float x[4] = {-1e30f, 1e30f, 0, NAN};
        for (int i = 0; i < 4; i++) kernels.rows->epilogue[e](&x[i], 1, 1, &zero, 1);
        assert_true(e == VIT_EPILOGUE_BIAS ? x[0] == -1e30f : fabsf(x[0]) < 1e-4f);
        assert_true(x[1] == 1e30f);
        assert_true(x[2] == 0);
        /* a NaN must not be laundered into a number, except by ReLU's comparison */
        assert_true(e == VIT_EPILOGUE_RELU || isnan(x[3]));
    }
}

/* Rows of a tile: nothing outside of them changes, and each is as it would be alone. */
static void epilogues_touch_their_rows(void **unused)
{
    (void)unused;
    enum { ROWS = 3 };
    for (int e = 0; e < VIT_EPILOGUE_COUNT; e++)
        for (size_t i = 0; i < LENGTHS; i++) {
            const size_t n = lengths[i], ldx = n + 2;
            float *x = test_random_floats(ROWS * ldx, 1, 4), *bias = test_random_floats(n, 1, 5);
            float *before = test_floats(ROWS * ldx);
            memcpy(before, x, ROWS * ldx * sizeof *x);
            kernels.rows->epilogue[e](x, ldx, ROWS, bias, n);
            for (size_t r = 0; r < ROWS; r++) {
                assert_memory_equal(x + r * ldx + n, before + r * ldx + n, 2 * sizeof *x);
                kernels.rows->epilogue[e](before + r * ldx, ldx, 1, bias, n);
                assert_memory_equal(x + r * ldx, before + r * ldx, n * sizeof *x);
            }
            vitc_aligned_free(x);
            vitc_aligned_free(before);
            vitc_aligned_free(bias);
        }
}

static void layernorm_equals_ref(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < LENGTHS; i++) {
        const size_t n = lengths[i];
        float *x = test_random_floats(n, 3, 6), *w = test_random_floats(n, 1, 7);
        float *b = test_random_floats(n, 1, 8), *fast = test_floats(n), *exact = test_floats(n);
        for (size_t j = 0; j < n; j++) x[j] += 10; /* a mean that would cancel in one pass */
        vit_rows_f32_ref.layernorm(exact, x, w, b, n, 1e-6f);
        kernels.rows->layernorm(fast, x, w, b, n, 1e-6f);
        /* With one element the variance is zero and rounding of the mean would be amplified; it is
         * exact there. Otherwise: n roundings of values near 10 against a spread of 3. */
        assert_true(test_relative_error(fast, exact, n) < 2e-5);
        kernels.rows->layernorm(x, x, w, b, n, 1e-6f);
        assert_memory_equal(x, fast, n * sizeof *x);
        vitc_aligned_free(x);
        vitc_aligned_free(w);
        vitc_aligned_free(b);
        vitc_aligned_free(fast);
        vitc_aligned_free(exact);
    }
}

static void softmax_equals_ref(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < LENGTHS; i++) {
        for (int spread = 0; spread < 3; spread++) {
            const size_t n = lengths[i];
            static const double scales[] = {0.1, 5, 60};
            float *fast = test_random_floats(n, scales[spread] * 8, 9), *exact = test_floats(n);
            memcpy(exact, fast, n * sizeof *fast);
            const double exact_sum = (double)vit_rows_f32_ref.softmax(exact, n, 0.125f);
            const double fast_sum = (double)kernels.rows->softmax(fast, n, 0.125f);
            double sum = 0;
            for (size_t j = 0; j < n; j++) {
                sum += (double)fast[j];
                fast[j] = (float)((double)fast[j] / fast_sum);
                exact[j] = (float)((double)exact[j] / exact_sum);
            }
            assert_true(fabs(sum / fast_sum - 1) < 1e-5);
            assert_true(test_relative_error(fast, exact, n) < 4e-6);
            vitc_aligned_free(fast);
            vitc_aligned_free(exact);
        }
    }
}

static void scaling_equals_ref(void **unused)
{
    (void)unused;
    enum { ROWS = 5 };
    for (size_t i = 0; i < LENGTHS; i++) {
        const size_t n = lengths[i], ldx = n + 3;
        float *fast = test_random_floats(ROWS * ldx, 1, 11), *exact = test_floats(ROWS * ldx);
        float *factor = test_random_floats(ROWS, 1, 12);
        memcpy(exact, fast, ROWS * ldx * sizeof *fast);
        vit_rows_f32_ref.scale(exact, ldx, factor, ROWS, n);
        kernels.rows->scale(fast, ldx, factor, ROWS, n);
        assert_memory_equal(fast, exact, ROWS * ldx * sizeof *fast);
        vitc_aligned_free(fast);
        vitc_aligned_free(exact);
        vitc_aligned_free(factor);
    }
}

static void check_pack(size_t width, size_t rows, size_t k)
{
    const size_t ldx = k + 3, ldc = rows + 2;
    float *x = test_random_floats(rows * ldx + k * ldc, 1, 10);
    float *scale = test_random_floats(rows, 1, 13);
    float *fast = test_floats(k * width), *exact = test_floats(k * width);
    const struct {
        size_t row_stride, k_stride;
    } layouts[] = {{ldx, 1}, {1, ldc}, {2, 2 * rows}};
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        for (int scaled = 0; scaled < 2; scaled++) {
            if (i == 2 && 2 * rows * k > rows * ldx + k * ldc) continue;
            const float *factors = scaled ? scale : NULL;
            vit_rows_f32_ref.pack_weights(exact, x, layouts[i].row_stride, layouts[i].k_stride,
                                          factors, rows, k, width);
            kernels.rows->pack_weights(fast, x, layouts[i].row_stride, layouts[i].k_stride, factors,
                                       rows, k, width);
            assert_memory_equal(fast, exact, k * width * sizeof *fast);
        }
    vit_rows_f32_ref.pack_tokens(exact, x, ldx, rows, k, width);
    kernels.rows->pack_tokens(fast, x, ldx, rows, k, width);
    assert_memory_equal(fast, exact, k * width * sizeof *fast);
    vitc_aligned_free(x);
    vitc_aligned_free(scale);
    vitc_aligned_free(fast);
    vitc_aligned_free(exact);
}

static void packs_equal_ref(void **unused)
{
    (void)unused;
    static const size_t widths[] = {1, 4, 5, 6, 8, 12, 13, 16, 21, 32, 33};
    for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++)
        for (size_t rows = 1; rows <= widths[w]; rows++)
            for (size_t i = 0; i < LENGTHS; i++) check_pack(widths[w], rows, lengths[i]);
}

/* ---- selection ---- */

static void selection_refuses_unknown_rows(void **unused)
{
    (void)unused;
    const char *isa = getenv("VITC_ISA");
    char *saved = isa != NULL ? strdup(isa) : NULL;
    vit_kernels chosen;
    setenv("VITC_ISA", "sse9", 1);
    assert_int_equal(vit_kernels_select(&chosen, NULL), VITC_ERR_ARGUMENT);
    bool runs;
    for (size_t i = 0; vit_kernels_name(i, &runs) != NULL; i++) {
        setenv("VITC_ISA", vit_kernels_name(i, NULL), 1);
        assert_int_equal(vit_kernels_select(&chosen, NULL), runs ? VITC_OK : VITC_ERR_ARGUMENT);
        if (runs) assert_string_equal(chosen.name, vit_kernels_name(i, NULL));
    }
    if (saved != NULL)
        setenv("VITC_ISA", saved, 1);
    else
        unsetenv("VITC_ISA");
    free(saved);
}

static void selection_names_every_row(void **unused)
{
    (void)unused;
    size_t count = 0;
    bool ref = false, generic = false;
    for (; vit_kernels_name(count, NULL) != NULL; count++) {
        ref = ref || strcmp(vit_kernels_name(count, NULL), "ref") == 0;
        generic = generic || strcmp(vit_kernels_name(count, NULL), "generic") == 0;
    }
    assert_true(ref && generic && count >= 2);
    if (kernels.f32.blis_kernel == NULL) return;
    const vit_blis_info blis = vit_blis_describe();
    printf("BLIS %s, %s (%s), %zux%zu\n", blis.version, blis.config, blis.reason, blis.mr, blis.nr);
    if (getenv("BLIS_ARCH_TYPE") != NULL) return;
    if (strcmp(kernels.name, "avx512") == 0 || strcmp(kernels.name, "amx") == 0)
        assert_string_equal(blis.config, "skx");
    if (strcmp(kernels.name, "avx2") == 0) assert_string_equal(blis.config, "haswell");
}

int main(void)
{
    kernels = test_kernels_or_skip();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selection_names_every_row),
        cmocka_unit_test(tile_equals_its_formula_at_every_edge),
        cmocka_unit_test(tile_bits_do_not_depend_on_the_edge),
        cmocka_unit_test(passes_are_even_and_fill_the_sum),
        cmocka_unit_test(epilogues_are_accurate_over_their_range),
        cmocka_unit_test(epilogues_handle_extremes),
        cmocka_unit_test(epilogues_touch_their_rows),
        cmocka_unit_test(layernorm_equals_ref),
        cmocka_unit_test(softmax_equals_ref),
        cmocka_unit_test(scaling_equals_ref),
        cmocka_unit_test(packs_equal_ref),
        cmocka_unit_test(selection_refuses_unknown_rows),
    };
    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
