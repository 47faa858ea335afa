/* Every int8 kernel that this machine runs, against the formula. All of them sum the same integers
 * and round the same operations, so that results are compared by their bits. */
#include "vit_gemm_int8.h"
#include "vit_test_support.h"
#include "vitc_cpu.h"
#include "vitc_size.h"

#if defined(__x86_64__)
/* The source of vit_gemm_int8_avxvnni in the encoding of AVX-512, see CMakeLists.txt. */
extern const vit_gemm vit_gemm_int8_evex;
#endif

typedef struct candidate {
    const char *name;
    const vit_gemm *gemm;
    uint32_t needs; /* VITC_CPU_ bits */
} candidate;

static candidate candidates[] = {
    {"portable", &vit_gemm_int8_ref, 0},
#if defined(__x86_64__)
    {"avx2", &vit_gemm_int8_avx2, VITC_CPU_AVX2_FMA},
#if VITC_AVXVNNI
    {"avxvnni", &vit_gemm_int8_avxvnni, VITC_CPU_AVX_VNNI},
#endif
    {"avxvnni, evex", &vit_gemm_int8_evex, VITC_CPU_AVX512_VNNI},
    {"avx512vnni", &vit_gemm_int8_avx512vnni, VITC_CPU_AVX512_VNNI},
#if VITC_AMX
    {"amx", &vit_gemm_int8_amx, VITC_CPU_AMX},
#endif
#endif
};
enum { CANDIDATES = sizeof candidates / sizeof candidates[0] };

/* The kernel under test; a machine without its instructions counts as a skip. */
static const vit_gemm *kernel_of(void **state)
{
    const candidate *c = *state;
    if ((vitc_cpu_features() & c->needs) != c->needs) skip();
    if ((c->needs & VITC_CPU_AMX) != 0 && !vitc_cpu_request_tiles()) skip();
    return c->gemm;
}

/* A tile, on its own. */
static void run_tile(const vit_gemm *gemm, size_t k, const void *weight_panel,
                     const void *token_panel, bool accumulate, float *out, size_t ldo,
                     size_t weights, size_t tokens, const void *next, size_t next_size)
{
    vit_gemm_begin(gemm);
    gemm->tile(gemm, k, weight_panel, token_panel, accumulate, out, ldo, weights, tokens, next,
               next_size);
    vit_gemm_end(gemm);
}

static bool same_bits(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

/* ---- the formula ---- */

/* q = round(x * (127 / max|x|)); returns max|x| / 127. */
static float quantize_row(int8_t *q, const float *x, size_t stride, size_t k)
{
    float largest = 0;
    bool finite = true;
    for (size_t i = 0; i < k; i++) {
        finite = finite && isfinite(x[i * stride]);
        largest = fmaxf(largest, fabsf(x[i * stride]));
    }
    memset(q, 0, k);
    if (!finite) return NAN;
    const float scale = largest / 127;
    if (scale < FLT_MIN) return 0;
    const float inverse = 127 / largest;
    for (size_t i = 0; i < k; i++) q[i] = (int8_t)nearbyintf(x[i * stride] * inverse);
    return scale;
}

/* The operands of one tile, as the caller has them, quantized, and packed. */
typedef struct operands {
    const vit_gemm *gemm;
    size_t weights, tokens, k;
    float *w, *x; /* [weights][k], [tokens][k] */
    int8_t *qw, *qx;
    float *scale_w, *scale_x;
    char *weight_panel, *token_panel;
} operands;

enum { GUARD = 64 };

static char *guarded(size_t size)
{
    char *block = vitc_aligned_alloc(size + GUARD);
    assert_non_null(block);
    memset(block, 0x5A, size + GUARD);
    return block;
}

static void check_guard(const char *block, size_t size)
{
    for (size_t i = 0; i < GUARD; i++) assert_int_equal(block[size + i], 0x5A);
}

static void *bytes(size_t size)
{
    void *block = vitc_aligned_alloc(size + 1);
    assert_non_null(block);
    return block;
}

static void pack(operands *o)
{
    const vit_gemm *gemm = o->gemm;
    const size_t weight_size = vit_gemm_weight_panel_size(gemm, o->k);
    const size_t token_size = vit_gemm_token_panel_size(gemm, o->k);
    assert_true(weight_size > 0 && token_size > 0);
    for (size_t r = 0; r < o->weights; r++)
        o->scale_w[r] = quantize_row(o->qw + r * o->k, o->w + r * o->k, 1, o->k);
    for (size_t r = 0; r < o->tokens; r++)
        o->scale_x[r] = quantize_row(o->qx + r * o->k, o->x + r * o->k, 1, o->k);
    gemm->pack_weights(gemm, o->weight_panel, o->w, o->k, 1, NULL, o->weights, o->k);
    gemm->pack_tokens(gemm, o->token_panel, o->x, o->k, o->tokens, o->k);
    check_guard(o->weight_panel, weight_size);
    check_guard(o->token_panel, token_size);
}

static operands make(const vit_gemm *gemm, size_t weights, size_t tokens, size_t k)
{
    operands o = {.gemm = gemm,
                  .weights = weights,
                  .tokens = tokens,
                  .k = k,
                  .w = test_random_floats(weights * k, 0.05, k),
                  .x = test_random_floats(tokens * k, 2, k + 1),
                  .qw = bytes(weights * k),
                  .qx = bytes(tokens * k),
                  .scale_w = test_floats(weights),
                  .scale_x = test_floats(tokens),
                  .weight_panel = guarded(vit_gemm_weight_panel_size(gemm, k)),
                  .token_panel = guarded(vit_gemm_token_panel_size(gemm, k))};
    pack(&o);
    return o;
}

static void drop(operands *o)
{
    vitc_aligned_free(o->w);
    vitc_aligned_free(o->x);
    vitc_aligned_free(o->qw);
    vitc_aligned_free(o->qx);
    vitc_aligned_free(o->scale_w);
    vitc_aligned_free(o->scale_x);
    vitc_aligned_free(o->weight_panel);
    vitc_aligned_free(o->token_panel);
}

static int64_t sum_of(const operands *o, size_t t, size_t w)
{
    int64_t sum = 0;
    for (size_t i = 0; i < o->k; i++) sum += o->qx[t * o->k + i] * o->qw[w * o->k + i];
    return sum;
}

/* Runs the tile of the first `weights` x `tokens` with and without accumulating; every element must
 * be the formula's, and what is outside must stay. */
static void check_tile(const operands *o, size_t weights, size_t tokens)
{
    const vit_gemm *gemm = o->gemm;
    const size_t ldo = gemm->weight_panel + 3, count = (gemm->token_panel + 1) * ldo;
    float *out = test_floats(count);
    float *before = test_random_floats(count, 1, 3), *added = test_random_floats(count, 1, 3);
    run_tile(gemm, o->k, o->weight_panel, o->token_panel, false, out, ldo, weights, tokens, NULL,
             0);
    run_tile(gemm, o->k, o->weight_panel, o->token_panel, true, added, ldo, weights, tokens, before,
             count * sizeof *before);
    for (size_t t = 0; t <= gemm->token_panel; t++)
        for (size_t w = 0; w < ldo; w++) {
            const size_t at = t * ldo + w;
            if (t >= tokens || w >= weights) {
                assert_true(isnan(out[at]) && same_bits(added[at], before[at]));
                continue;
            }
            const float scale = o->scale_w[w] * o->scale_x[t];
            const float value = (float)sum_of(o, t, w) * scale;
            if (!same_bits(out[at], value) || !same_bits(added[at], before[at] + value))
                fail_msg(
                    "k %zu, tile %zu x %zu, token %zu, weight %zu: %.9g instead of %.9g, added "
                    "%.9g instead of %.9g",
                    o->k, weights, tokens, t, w, (double)out[at], (double)value, (double)added[at],
                    (double)(before[at] + value));
        }
    vitc_aligned_free(out);
    vitc_aligned_free(before);
    vitc_aligned_free(added);
}

static void check_full(const operands *o)
{
    check_tile(o, o->weights, o->tokens);
}

/* ---- tiles ---- */

static void every_tile_equals_the_formula(void **state)
{
    const vit_gemm *gemm = kernel_of(state);
    static const size_t ks[] = {1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 197, 260};
    for (size_t i = 0; i < sizeof ks / sizeof ks[0]; i++) {
        operands o = make(gemm, gemm->weight_panel, gemm->token_panel, ks[i]);
        for (size_t weights = 1; weights <= gemm->weight_panel; weights++)
            for (size_t tokens = 1; tokens <= gemm->token_panel; tokens++)
                check_tile(&o, weights, tokens);
        drop(&o);
    }
}

/* The panels of a matrix's edge hold fewer rows than they have lanes. */
static void partial_panels_equal_the_formula(void **state)
{
    const vit_gemm *gemm = kernel_of(state);
    for (size_t weights = 1; weights <= gemm->weight_panel; weights++)
        for (size_t tokens = 1; tokens <= gemm->token_panel; tokens++) {
            operands o = make(gemm, weights, tokens, 37);
            check_full(&o);
            drop(&o);
        }
}

/* A token's bits must not depend on who shares its panel. */
static void bits_do_not_depend_on_the_lane(void **state)
{
    const vit_gemm *gemm = kernel_of(state);
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel, k = 211;
    operands o = make(gemm, wr, xr, k);
    float *full = test_floats(xr * wr), *alone = test_floats(wr);
    run_tile(gemm, k, o.weight_panel, o.token_panel, false, full, wr, wr, xr, NULL, 0);
    for (size_t t = 0; t < xr; t++) {
        gemm->pack_tokens(gemm, o.token_panel, o.x + t * k, k, 1, k);
        run_tile(gemm, k, o.weight_panel, o.token_panel, false, alone, wr, wr, 1, NULL, 0);
        assert_memory_equal(alone, full + t * wr, wr * sizeof *alone);
    }
    vitc_aligned_free(full);
    vitc_aligned_free(alone);
    drop(&o);
}

/* With q = x/a + e and q' = w/s + e', |e| and |e'| at most 1/2:
 * |a s sum q q' - sum x w| <= sum (a |w| + s |x|) / 2 + K a s / 4. The formula's few float32
 * roundings move a quotient of at most 127 by less than 1e-4. */
static void error_against_float_is_bounded(void **state)
{
    const vit_gemm *gemm = kernel_of(state);
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel, k = 768;
    operands o = make(gemm, wr, xr, k);
    float *out = test_floats(xr * wr);
    run_tile(gemm, k, o.weight_panel, o.token_panel, false, out, wr, wr, xr, NULL, 0);
    for (size_t t = 0; t < xr; t++)
        for (size_t w = 0; w < wr; w++) {
            const double a = (double)o.scale_x[t], s = (double)o.scale_w[w];
            double exact = 0, bound = (double)k * a * s / 4;
            for (size_t i = 0; i < k; i++) {
                const double xi = (double)o.x[t * k + i], wi = (double)o.w[w * k + i];
                exact += xi * wi;
                bound += (a * fabs(wi) + s * fabs(xi)) / 2;
            }
            assert_true(fabs((double)out[t * wr + w] - exact) <= bound * (1 + 4e-4));
        }
    vitc_aligned_free(out);
    drop(&o);
}

/* ---- values ---- */

/* All numbers +-127: the largest sums that there can be, up to the most inputs. */
static void extreme_sums_are_exact(void **state)
{
    const vit_gemm *gemm = kernel_of(state);
    static const size_t ks[] = {3072, 66000, VIT_INT8_K_MAX};
    for (size_t i = 0; i < sizeof ks / sizeof ks[0]; i++) {
        operands o = make(gemm, gemm->weight_panel, gemm->token_panel, ks[i]);
        for (size_t j = 0; j < o.weights * o.k; j++) o.w[j] = j / o.k % 2 == 0 ? 1.0f : -1.0f;
        for (size_t j = 0; j < o.tokens * o.k; j++) o.x[j] = j / o.k % 3 == 0 ? 3.0f : -3.0f;
        pack(&o);
        assert_int_equal(llabs(sum_of(&o, 0, 0)), (int64_t)127 * 127 * (int64_t)o.k);
        check_full(&o);
        drop(&o);
    }
    assert_int_equal(gemm->k_max, VIT_INT8_K_MAX);
    assert_int_equal(vit_gemm_weight_panel_size(gemm, (size_t)VIT_INT8_K_MAX + 1), 0);
    assert_int_equal(vit_gemm_token_panel_size(gemm, (size_t)VIT_INT8_K_MAX + 1), 0);
}

static void halves_round_to_even(void **state)
{
    const vit_gemm *gemm = kernel_of(state);
    const size_t k = 256;
    operands o = make(gemm, 1, 1, k);
    /* The scale is exactly 1, and one weight picks one number. */
    for (size_t i = 0; i < k; i++) o.x[i] = i == 0 ? 127.0f : (float)i / 2 - 63.5f;
    for (size_t i = 0; i < k; i++) {
        float out;
        memset(o.w, 0, k * sizeof *o.w);
        o.w[i] = 127;
        pack(&o);
        run_tile(gemm, k, o.weight_panel, o.token_panel, false, &out, 1, 1, 1, NULL, 0);
        assert_true(out == 127 * nearbyintf(o.x[i]));
    }
    drop(&o);
}

static void rows_of_nothing_give_zeros(void **state)
{
    const vit_gemm *gemm = kernel_of(state);
    static const float nothing[] = {0, -0.0f, 1e-40f, 127 * 0x0.FFFFFCp-126f};
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        operands o = make(gemm, gemm->weight_panel, gemm->token_panel, 70);
        for (size_t j = 0; j < o.k; j++) o.w[j] = o.x[j] = nothing[i];
        pack(&o);
        assert_true(o.scale_w[0] == 0 && o.scale_x[0] == 0 && o.scale_w[1] > 0);
        check_full(&o);
        drop(&o);
    }
}

static void the_smallest_and_largest_rows_are_numbers(void **state)
{
    const vit_gemm *gemm = kernel_of(state);
    static const float ends[] = {128 * FLT_MIN, FLT_MAX};
    for (size_t i = 0; i < 2; i++) {
        operands o = make(gemm, 2, 2, 70);
        for (size_t j = 0; j < o.k; j++) o.x[j] = j % 2 == 0 ? ends[i] : -ends[i] / 3;
        pack(&o);
        assert_true(o.scale_x[0] > 0 && o.qx[0] == 127 && o.qx[1] == -42);
        check_full(&o);
        drop(&o);
    }
}

/* No output of a token with a NaN or an infinity, or of such a weight, is a number; the others do
 * not notice. */
static void non_finite_rows_stay_so(void **state)
{
    const vit_gemm *gemm = kernel_of(state);
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for (size_t at = 0; at < 141; at += 7) {
            operands o = make(gemm, gemm->weight_panel, gemm->token_panel, 141);
            o.x[o.k + at] = bad[i];
            o.w[2 * o.k + at] = bad[i];
            memset(o.w, 0, o.k * sizeof *o.w); /* zero times NaN */
            pack(&o);
            assert_true(isnan(o.scale_x[1]) && isnan(o.scale_w[2]) && o.scale_w[0] == 0);
            check_full(&o);
            drop(&o);
        }
}

/* ---- packing ---- */

static void row_scale_multiplies_the_scale(void **state)
{
    const vit_gemm *gemm = kernel_of(state);
    operands o = make(gemm, gemm->weight_panel, gemm->token_panel, 100);
    float *row_scale = test_random_floats(o.weights, 3, 9);
    row_scale[0] = 0;
    row_scale[1] = -1;
    gemm->pack_weights(gemm, o.weight_panel, o.w, o.k, 1, row_scale, o.weights, o.k);
    for (size_t r = 0; r < o.weights; r++) o.scale_w[r] *= row_scale[r];
    check_full(&o);
    vitc_aligned_free(row_scale);
    drop(&o);
}

static void strided_weights_pack_the_same(void **state)
{
    const vit_gemm *gemm = kernel_of(state);
    static const size_t ks[] = {1, 7, 64, 127, 128, 129, 300};
    for (size_t i = 0; i < sizeof ks / sizeof ks[0]; i++) {
        const size_t rows = gemm->weight_panel - 1, k = ks[i], ld = rows + 2;
        const size_t size = vit_gemm_weight_panel_size(gemm, k);
        operands o = make(gemm, rows, 1, k);
        float *transposed = test_floats(k * ld);
        char *panel = guarded(size);
        for (size_t r = 0; r < rows; r++)
            for (size_t j = 0; j < k; j++) transposed[j * ld + r] = o.w[r * k + j];
        gemm->pack_weights(gemm, panel, transposed, 1, ld, NULL, rows, k);
        check_guard(panel, size);
        assert_memory_equal(panel, o.weight_panel, size);
        vitc_aligned_free(transposed);
        vitc_aligned_free(panel);
        drop(&o);
    }
}

static void quantized_weights_pack_the_same(void **state)
{
    const vit_gemm *gemm = kernel_of(state);
    static const size_t ks[] = {1, 3, 8, 15, 16, 17, 100, 127, 128, 129, 300};
    for (size_t i = 0; i < sizeof ks / sizeof ks[0]; i++)
        for (size_t rows = 1; rows <= gemm->weight_panel; rows++) {
            const size_t k = ks[i], size = vit_gemm_weight_panel_size(gemm, k);
            operands o = make(gemm, rows, 1, k);
            char *panel = guarded(size);
            gemm->pack_quantized(gemm, panel, o.qw, k, o.scale_w, rows, k);
            check_guard(panel, size);
            assert_memory_equal(panel, o.weight_panel, size);
            vitc_aligned_free(panel);
            drop(&o);
        }
}

/* ---- selection ---- */

static void rows_choose_by_the_cpu(void **unused)
{
    (void)unused;
    const uint32_t cpu = vitc_cpu_features();
    bool runs;
    for (size_t i = 0; vit_kernels_name(i, &runs) != NULL; i++) {
        const char *row = vit_kernels_name(i, NULL), *expected = vit_gemm_int8_ref.name;
        vit_kernels kernels;
        if (!runs) continue;
        setenv("VITC_ISA", row, 1);
        assert_int_equal(vit_kernels_select(&kernels, NULL), VITC_OK);
        if (strcmp(row, "amx") == 0) expected = "AMX-INT8";
        if (strcmp(row, "avx512") == 0)
            expected = (cpu & VITC_CPU_AVX512_VNNI) != 0 ? "AVX-512 VNNI" : "AVX2";
        if (strcmp(row, "avx2") == 0)
            expected = VITC_AVXVNNI && (cpu & VITC_CPU_AVX_VNNI) != 0 ? "AVX-VNNI" : "AVX2";
        assert_string_equal(kernels.int8.name, expected);
    }
    unsetenv("VITC_ISA");
}

/* Every check for every kernel, "check: kernel". */
int main(void)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } checks[] = {
#define CHECK(f) {#f, f}
        CHECK(every_tile_equals_the_formula),  CHECK(partial_panels_equal_the_formula),
        CHECK(bits_do_not_depend_on_the_lane), CHECK(error_against_float_is_bounded),
        CHECK(extreme_sums_are_exact),         CHECK(halves_round_to_even),
        CHECK(rows_of_nothing_give_zeros),     CHECK(the_smallest_and_largest_rows_are_numbers),
        CHECK(non_finite_rows_stay_so),        CHECK(row_scale_multiplies_the_scale),
        CHECK(strided_weights_pack_the_same),  CHECK(quantized_weights_pack_the_same),
    };
    enum { CHECKS = sizeof checks / sizeof checks[0] };
    static char names[CANDIDATES * CHECKS][80];
    struct CMUnitTest tests[CANDIDATES * CHECKS + 1] = {cmocka_unit_test(rows_choose_by_the_cpu)};
    for (size_t i = 0; i < (size_t)CANDIDATES * CHECKS; i++) {
        candidate *c = &candidates[i / CHECKS];
        snprintf(names[i], sizeof names[i], "%s: %s", checks[i % CHECKS].name, c->name);
        tests[i + 1] = (struct CMUnitTest){names[i], checks[i % CHECKS].run, NULL, NULL, c};
    }
    return cmocka_run_group_tests_name("int8 gemm", tests, NULL, NULL);
}
