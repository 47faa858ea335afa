/* The bf16 GEMM of the kernel row that VITC_ISA selects (ctest runs this once per row), the
 * portable one over that row's float32 GEMM, and the packing of every row that this machine runs.
 */
#include "vit_test_support.h"
#include "vitc_cpu.h"

static vit_kernels kernels;
static vit_gemm portable;

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Of the two neighbours in bf16 the nearer one, or the even one: by the 16 bits that are cut off.
 */
static float nearest_bf16(float x)
{
    const uint32_t below = to_bits(x) & 0xFFFF0000u, rest = to_bits(x) & 0xFFFFu;
    if (isnan(x)) return x;
    const bool up = rest > 0x8000u || (rest == 0x8000u && (below & 0x10000u) != 0);
    return from_bits(up ? below + 0x10000u : below);
}

static bool same(float a, float b)
{
    return to_bits(a) == to_bits(b) || (isnan(a) && isnan(b));
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- rounding ---- */

/* The rows of floats that this machine runs; NULL past the last. */
static const vit_rows_f32 *rows_here(size_t index)
{
    const vit_rows_f32 *rows[8];
    size_t count = 0;
    rows[count++] = &vit_rows_f32_ref;
    rows[count++] = &vit_rows_f32_generic;
#if defined(__x86_64__)
    const uint32_t features = vitc_cpu_features();
    if ((features & VITC_CPU_AVX2_FMA) != 0) rows[count++] = &vit_rows_f32_avx2;
    if ((features & VITC_CPU_AVX512) != 0) rows[count++] = &vit_rows_f32_avx512;
#endif
    return index < count ? rows[index] : NULL;
}

/* All upper halves of a float32, and what decides a tie below each. */
enum { UPPER = 1 << 16, LOWER = 6 };
static const uint32_t lower[LOWER] = {0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF};

static void rounding_is_to_nearest_even_everywhere(void **unused)
{
    (void)unused;
    float *x = test_floats(UPPER);
    const vit_rows_f32 *rows;
    for (size_t r = 0; (rows = rows_here(r)) != NULL; r++)
        for (size_t c = 0; c < LOWER; c++) {
            for (uint32_t i = 0; i < UPPER; i++) x[i] = from_bits(i << 16 | lower[c]);
            rows->round_bf16(x, UPPER);
            for (uint32_t i = 0; i < UPPER; i++) {
                const float before = from_bits(i << 16 | lower[c]);
                if (!same(x[i], nearest_bf16(before)))
                    fail_msg("rows %zu: %08x became %08x", r, (unsigned)to_bits(before),
                             (unsigned)to_bits(x[i]));
            }
        }
    vitc_aligned_free(x);
}

static void rounding_touches_n_numbers(void **unused)
{
    (void)unused;
    const vit_rows_f32 *rows;
    for (size_t r = 0; (rows = rows_here(r)) != NULL; r++)
        for (size_t n = 0; n < 70; n++) {
            float *x = test_random_floats(n + 1, 1, n), last = x[n];
            rows->round_bf16(x, n);
            assert_true(x[n] == last);
            for (size_t i = 0; i < n; i++) assert_true(same(x[i], nearest_bf16(x[i])));
            vitc_aligned_free(x);
        }
}

/* ---- panels, seen one number at a time ---- */

/* Inputs side by side in a lane of weights: AMX takes pairs of them, and units of tokens. */
static size_t weight_unit(const vit_gemm *gemm)
{
    return strcmp(gemm->name, "AMX-BF16") == 0 ? 2 : gemm->k_unit;
}

/* Number i of lane j of a panel `width` lanes wide, u inputs side by side in a lane; panels of bf16
 * have no header. */
static float panel_number(const void *panel, size_t element, size_t width, size_t u, size_t j,
                          size_t i)
{
    const size_t at = i / u * width * u + j * u + i % u;
    if (element == sizeof(float)) return ((const float *)panel)[at];
    assert_int_equal(element, sizeof(uint16_t));
    return from_bits((uint32_t)((const uint16_t *)panel)[at] << 16);
}

static float token_number(const vit_gemm *gemm, const void *panel, size_t j, size_t i)
{
    return panel_number(panel, gemm->token_element, gemm->token_panel, gemm->k_unit, j, i);
}

static float weight_number(const vit_gemm *gemm, const void *panel, size_t j, size_t i)
{
    return panel_number(panel, gemm->weight_element, gemm->weight_panel, weight_unit(gemm), j, i);
}

/* What packing makes of x: the CPU's own conversion takes denormals as zero. */
static float packed(float x)
{
    if (kernels.native_bf16 && fabsf(x) < 0x1p-126f) return copysignf(0, x);
    return nearest_bf16(x);
}

static void require_native(void)
{
    if (!kernels.native_bf16) {
        print_message("this machine or row does not multiply bf16 itself\n");
        skip();
    }
}

static void native_rounding_is_to_nearest_even_everywhere(void **unused)
{
    (void)unused;
    require_native();
    const vit_gemm *gemm = &kernels.bf16;
    float *x = test_floats(UPPER);
    void *tokens = vitc_aligned_alloc(vit_gemm_token_panel_size(gemm, UPPER));
    void *weights = vitc_aligned_alloc(vit_gemm_weight_panel_size(gemm, UPPER));
    assert_true(tokens != NULL && weights != NULL);
    for (size_t c = 0; c < LOWER; c++) {
        for (uint32_t i = 0; i < UPPER; i++) x[i] = from_bits(i << 16 | lower[c]);
        gemm->pack_tokens(gemm, tokens, x, UPPER, 1, UPPER);
        for (int columns = 0; columns < 2; columns++) {
            gemm->pack_weights(gemm, weights, x, columns ? 1 : UPPER, 1, NULL, 1, UPPER);
            for (uint32_t i = 0; i < UPPER; i++) {
                const float t = token_number(gemm, tokens, 0, i);
                const float w = weight_number(gemm, weights, 0, i);
                if (!same(t, packed(x[i])) || !same(w, packed(x[i])))
                    fail_msg("%08x became %08x and %08x", (unsigned)to_bits(x[i]),
                             (unsigned)to_bits(t), (unsigned)to_bits(w));
            }
        }
    }
    vitc_aligned_free(x);
    vitc_aligned_free(tokens);
    vitc_aligned_free(weights);
}

static const size_t ks[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 197, 257};
enum { KS = sizeof ks / sizeof ks[0], GUARD = 64, GUARD_BYTE = 0xA5 };

static void check_guard(const unsigned char *panel, size_t size)
{
    for (size_t i = 0; i < GUARD; i++) assert_int_equal(panel[size + i], GUARD_BYTE);
}

static void *guarded_panel(size_t size)
{
    unsigned char *panel = vitc_aligned_alloc(size + GUARD);
    assert_non_null(panel);
    memset(panel, GUARD_BYTE, size + GUARD);
    return panel;
}

static void check_pack_tokens(const vit_gemm *gemm, float (*expected)(float), size_t rows, size_t k)
{
    const size_t ldx = k + 3, size = vit_gemm_token_panel_size(gemm, k);
    float *x = test_random_floats(rows * ldx, 1, k);
    unsigned char *panel = guarded_panel(size);
    gemm->pack_tokens(gemm, panel, x, ldx, rows, k);
    check_guard(panel, size);
    const size_t whole = (k + gemm->k_unit - 1) / gemm->k_unit * gemm->k_unit;
    for (size_t j = 0; j < gemm->token_panel; j++)
        for (size_t i = 0; i < whole; i++)
            assert_true(same(token_number(gemm, panel, j, i),
                             j < rows && i < k ? expected(x[j * ldx + i]) : 0));
    vitc_aligned_free(x);
    vitc_aligned_free(panel);
}

static void check_pack_weights(const vit_gemm *gemm, float (*expected)(float), size_t rows,
                               size_t k, size_t row_stride, size_t k_stride, bool scaled)
{
    const size_t size = vit_gemm_weight_panel_size(gemm, k);
    float *w = test_random_floats(rows * row_stride + k * k_stride, 1, k);
    float *scale = test_random_floats(rows, 1, k + 1);
    unsigned char *panel = guarded_panel(size);
    gemm->pack_weights(gemm, panel, w, row_stride, k_stride, scaled ? scale : NULL, rows, k);
    check_guard(panel, size);
    const size_t whole = (k + gemm->k_unit - 1) / gemm->k_unit * gemm->k_unit;
    for (size_t j = 0; j < gemm->weight_panel; j++)
        for (size_t i = 0; i < whole; i++) {
            const float value =
                j < rows && i < k ? w[j * row_stride + i * k_stride] * (scaled ? scale[j] : 1) : 0;
            assert_true(same(weight_number(gemm, panel, j, i), expected(value)));
        }
    vitc_aligned_free(w);
    vitc_aligned_free(scale);
    vitc_aligned_free(panel);
}

static void check_packs(const vit_gemm *gemm, float (*expected)(float))
{
    for (size_t n = 0; n < KS; n++) {
        const size_t k = ks[n];
        for (size_t rows = 1; rows <= gemm->token_panel; rows++)
            check_pack_tokens(gemm, expected, rows, k);
        for (size_t rows = 1; rows <= gemm->weight_panel; rows++)
            for (int scaled = 0; scaled < 2; scaled++) {
                check_pack_weights(gemm, expected, rows, k, k + 5, 1, scaled);
                check_pack_weights(gemm, expected, rows, k, 1, rows + 5, scaled);
                check_pack_weights(gemm, expected, rows, k, 2, 2 * rows + 1, scaled);
            }
    }
}

static void packs_round_into_the_drawn_layout(void **unused)
{
    (void)unused;
    check_packs(&portable, nearest_bf16);
    check_packs(&kernels.bf16, packed);
}

/* The panels are BLIS's and vit_rows' own, on every row of floats whose loops know them. */
static void float32_packs_equal_ref(void **unused)
{
    (void)unused;
    static const size_t widths[] = {1, 4, 6, 8, 12, 16, 24, 32, 33};
    const vit_rows_f32 *rows;
    for (size_t r = 1; (rows = rows_here(r)) != NULL; r++)
        for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++)
            for (size_t n = 0; n < KS; n++)
                for (size_t count = 1; count <= widths[w]; count++) {
                    const size_t k = ks[n], width = widths[w], size = k * width * sizeof(float);
                    float *x = test_random_floats((count + k) * (k + count + 3), 1, k);
                    float *scale = test_random_floats(count, 1, 2);
                    void *fast = guarded_panel(size), *exact = guarded_panel(size);
                    rows->pack_tokens(fast, x, k + 3, count, k, width);
                    vit_rows_f32_ref.pack_tokens(exact, x, k + 3, count, k, width);
                    assert_memory_equal(fast, exact, size + GUARD);
                    rows->pack_weights(fast, x, k + 3, 1, scale, count, k, width);
                    vit_rows_f32_ref.pack_weights(exact, x, k + 3, 1, scale, count, k, width);
                    assert_memory_equal(fast, exact, size + GUARD);
                    rows->pack_weights(fast, x, 1, count + 3, NULL, count, k, width);
                    vit_rows_f32_ref.pack_weights(exact, x, 1, count + 3, NULL, count, k, width);
                    assert_memory_equal(fast, exact, size + GUARD);
                    vitc_aligned_free(x);
                    vitc_aligned_free(scale);
                    vitc_aligned_free(fast);
                    vitc_aligned_free(exact);
                }
}

/* ---- tiles ---- */

typedef struct problem {
    const vit_gemm *gemm;
    size_t k;
    float *w, *x;  /* [WR, k], [XR, k] */
    void *wp, *xp; /* the panels */
    float *before; /* what out holds when a tile is added to it, [XR, ldo] */
    float *out;
    size_t ldo;
} problem;

static void pack_problem(problem *p)
{
    p->gemm->pack_weights(p->gemm, p->wp, p->w, p->k, 1, NULL, p->gemm->weight_panel, p->k);
    p->gemm->pack_tokens(p->gemm, p->xp, p->x, p->k, p->gemm->token_panel, p->k);
}

static problem new_problem(const vit_gemm *gemm, size_t k)
{
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel, ldo = wr + 5;
    problem p = {.gemm = gemm,
                 .k = k,
                 .w = test_random_floats(wr * k, 1, 1),
                 .x = test_random_floats(xr * k, 1, 2),
                 .wp =
                     vitc_aligned_alloc(vit_gemm_weight_panel_size(gemm, k) + VIT_KERNEL_OVERREAD),
                 .xp = vitc_aligned_alloc(vit_gemm_token_panel_size(gemm, k) + VIT_KERNEL_OVERREAD),
                 .before = test_random_floats(xr * ldo, 1, 3),
                 .out = test_floats(xr * ldo),
                 .ldo = ldo};
    assert_true(p.wp != NULL && p.xp != NULL);
    pack_problem(&p);
    return p;
}

static void free_problem(problem *p)
{
    vitc_aligned_free(p->w);
    vitc_aligned_free(p->x);
    vitc_aligned_free(p->wp);
    vitc_aligned_free(p->xp);
    vitc_aligned_free(p->before);
    vitc_aligned_free(p->out);
}

/* Runs a tile in passes of `step` inputs, as a matrix larger than k_block is run. */
static void run_tile(const problem *p, bool accumulate, size_t weights, size_t tokens, size_t step)
{
    const vit_gemm *gemm = p->gemm;
    const size_t numbers = gemm->token_panel * p->ldo;
    for (size_t i = 0; i < numbers; i++) p->out[i] = accumulate ? p->before[i] : NAN;
    vit_gemm_begin(gemm);
    for (size_t k = 0; k < p->k; k += step)
        gemm->tile(gemm, smaller(step, p->k - k),
                   (const char *)p->wp + k * gemm->weight_panel * gemm->weight_element,
                   (const char *)p->xp + k * gemm->token_panel * gemm->token_element,
                   accumulate || k > 0, p->out, p->ldo, weights, tokens, NULL, 0);
    vit_gemm_end(gemm);
}

/* Against the same sum of the rounded operands in double, whose products are exact. The kernel adds
 * k products to `before` with one rounding each, relative 2^-24 of a partial sum that the sum of
 * the magnitudes bounds; one more for each pass. Zeros stand for what the CPU flushes: below
 * 2^-126 per step. */
static void check_tile(const problem *p, bool accumulate, size_t weights, size_t tokens,
                       size_t step)
{
    run_tile(p, accumulate, weights, tokens, step);
    const size_t passes = (p->k + step - 1) / step;
    for (size_t t = 0; t < p->gemm->token_panel; t++)
        for (size_t o = 0; o < p->ldo; o++) {
            const size_t at = t * p->ldo + o;
            if (t >= tokens || o >= weights) { /* outside of the tile nothing changes */
                assert_true(accumulate ? p->out[at] == p->before[at] : isnan(p->out[at]));
                continue;
            }
            double sum = accumulate ? (double)p->before[at] : 0, magnitude = fabs(sum);
            for (size_t i = 0; i < p->k; i++) {
                const double term = (double)nearest_bf16(p->x[t * p->k + i]) *
                                    (double)nearest_bf16(p->w[o * p->k + i]);
                sum += term;
                magnitude += fabs(term);
            }
            const double bound =
                (double)(p->k + passes) * (0x1p-24 * magnitude * (1 + 0x1p-10) + 0x1p-126);
            if (!(fabs((double)p->out[at] - sum) <= bound))
                fail_msg("k %zu, token %zu, output %zu: %.9g instead of %.9g, bound %.3g", p->k, t,
                         o, (double)p->out[at], sum, bound);
        }
}

static void check_every_tile(const vit_gemm *gemm)
{
    for (size_t n = 0; n < KS; n++) {
        problem p = new_problem(gemm, ks[n]);
        for (size_t weights = 1; weights <= gemm->weight_panel; weights++)
            for (size_t tokens = 1; tokens <= gemm->token_panel; tokens++)
                for (int accumulate = 0; accumulate < 2; accumulate++)
                    check_tile(&p, accumulate, weights, tokens, p.k);
        free_problem(&p);
    }
}

static void tiles_equal_their_formula_at_every_edge(void **unused)
{
    (void)unused;
    check_every_tile(&kernels.bf16);
}

static void portable_tiles_equal_their_formula_at_every_edge(void **unused)
{
    (void)unused;
    check_every_tile(&portable);
}

static void check_passes(const vit_gemm *gemm)
{
    problem p = new_problem(gemm, 197);
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel;
    for (size_t k = 2; k < p.k; k += 38)
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            const size_t step = (k + gemm->k_unit - 1) / gemm->k_unit * gemm->k_unit;
            check_tile(&p, accumulate, wr, xr, step);
            check_tile(&p, accumulate, wr / 2 + 1, xr / 2, step);
        }
    free_problem(&p);
}

static void passes_over_k_add_up(void **unused)
{
    (void)unused;
    const vit_gemm *gemm = &kernels.bf16;
    check_passes(gemm);
    check_passes(&portable);
    assert_int_equal(gemm->k_block == SIZE_MAX ? 0 : gemm->k_block % gemm->k_unit, 0);
    if (gemm->k_block > 1 << 16) return; /* one pass is all that there ever is */
    problem p = new_problem(gemm, gemm->k_block + 9);
    check_tile(&p, false, gemm->weight_panel, gemm->token_panel, gemm->k_block);
    free_problem(&p);
}

/* Both are float32 sums of the same exact products, so they differ by at most twice the bound of
 * check_tile; on numbers whose sums are exact in float32 they must not differ at all. */
static void native_equals_portable_on_exact_sums(void **unused)
{
    (void)unused;
    require_native();
    for (size_t n = 0; n < KS; n++) {
        problem native = new_problem(&kernels.bf16, ks[n]), other = new_problem(&portable, ks[n]);
        problem *both[2] = {&native, &other};
        for (size_t b = 0; b < 2; b++) {
            uint64_t random = 7; /* integers up to 64 times k fit 24 bits */
            problem *p = both[b];
            for (size_t i = 0; i < p->gemm->weight_panel * p->k; i++)
                p->w[i] = (float)(test_random_bits(&random) % 17) - 8;
            random = 8;
            for (size_t i = 0; i < p->gemm->token_panel * p->k; i++)
                p->x[i] = (float)(test_random_bits(&random) % 17) - 8;
            pack_problem(p);
            run_tile(p, false, p->gemm->weight_panel, p->gemm->token_panel, p->k);
        }
        const size_t weights = smaller(native.gemm->weight_panel, other.gemm->weight_panel);
        for (size_t t = 0; t < smaller(native.gemm->token_panel, other.gemm->token_panel); t++)
            assert_memory_equal(native.out + t * native.ldo, other.out + t * other.ldo,
                                weights * sizeof(float));
        free_problem(&native);
        free_problem(&other);
    }
}

/* A token's results must not depend on who shares its panel, nor an output's on its neighbours. */
static void check_bits(const vit_gemm *gemm)
{
    for (size_t n = 0; n < KS; n++) {
        problem p = new_problem(gemm, ks[n]);
        const size_t wr = gemm->weight_panel, xr = gemm->token_panel;
        float *full = test_floats(xr * p.ldo);
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            run_tile(&p, accumulate, wr, xr, p.k);
            memcpy(full, p.out, xr * p.ldo * sizeof *full);
            for (size_t tokens = 1; tokens <= xr; tokens++)
                for (size_t weights = 1; weights <= wr; weights++) {
                    run_tile(&p, accumulate, weights, tokens, p.k);
                    for (size_t t = 0; t < tokens; t++)
                        assert_memory_equal(p.out + t * p.ldo, full + t * p.ldo,
                                            weights * sizeof *full);
                }
        }
        /* the last token, alone in the first lane of another panel */
        run_tile(&p, false, wr, xr, p.k);
        memcpy(full, p.out + (xr - 1) * p.ldo, wr * sizeof *full);
        gemm->pack_tokens(gemm, p.xp, p.x + (xr - 1) * p.k, p.k, 1, p.k);
        run_tile(&p, false, wr, 1, p.k);
        assert_memory_equal(p.out, full, wr * sizeof *full);
        vitc_aligned_free(full);
        free_problem(&p);
    }
}

static void bits_do_not_depend_on_the_tile(void **unused)
{
    (void)unused;
    check_bits(&kernels.bf16);
    check_bits(&portable);
}

static void check_extremes(const vit_gemm *gemm)
{
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel;
    problem p = new_problem(gemm, 37);
    assert_true(xr >= 4);
    for (size_t i = 0; i < wr * p.k; i++) p.w[i] = 1;
    p.x[0 * p.k + 5] = NAN;
    p.x[1 * p.k + 36] = INFINITY;
    p.x[2 * p.k + 0] = 3.4e38f; /* rounds up, past the largest bf16 */
    p.w[0 * p.k + 36] = 0;      /* times infinity */
    pack_problem(&p);
    for (size_t tokens = 3; tokens <= xr; tokens++) {
        run_tile(&p, false, wr, tokens, p.k);
        for (size_t o = 0; o < wr; o++) {
            assert_true(isnan(p.out[o]));
            assert_true(o == 0 ? isnan(p.out[p.ldo]) : p.out[p.ldo + o] == INFINITY);
            assert_true(p.out[2 * p.ldo + o] == INFINITY);
            for (size_t t = 3; t < tokens; t++) assert_true(isfinite(p.out[t * p.ldo + o]));
        }
    }
    free_problem(&p);
}

static void nan_and_infinity_stay_in_their_rows(void **unused)
{
    (void)unused;
    check_extremes(&kernels.bf16);
    check_extremes(&portable);
}

static void selection_says_whether_bf16_is_native(void **unused)
{
    (void)unused;
    bool expected = false;
#if defined(__x86_64__)
    expected =
        strcmp(kernels.name, "amx") == 0 ||
        (strcmp(kernels.name, "avx512") == 0 && (vitc_cpu_features() & VITC_CPU_AVX512_BF16) != 0);
#endif
    assert_true(kernels.native_bf16 == expected);
    assert_string_not_equal(kernels.bf16.name, kernels.f32.name);
    assert_true((kernels.bf16.weight_element == 2) == expected);
}

int main(void)
{
    kernels = test_kernels_or_skip();
    portable = vit_gemm_bf16_portable(&kernels.f32);
    printf("bf16: %s\n", kernels.bf16.name);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selection_says_whether_bf16_is_native),
        cmocka_unit_test(rounding_is_to_nearest_even_everywhere),
        cmocka_unit_test(rounding_touches_n_numbers),
        cmocka_unit_test(native_rounding_is_to_nearest_even_everywhere),
        cmocka_unit_test(packs_round_into_the_drawn_layout),
        cmocka_unit_test(float32_packs_equal_ref),
        cmocka_unit_test(tiles_equal_their_formula_at_every_edge),
        cmocka_unit_test(portable_tiles_equal_their_formula_at_every_edge),
        cmocka_unit_test(passes_over_k_add_up),
        cmocka_unit_test(native_equals_portable_on_exact_sums),
        cmocka_unit_test(bits_do_not_depend_on_the_tile),
        cmocka_unit_test(nan_and_infinity_stay_in_their_rows),
    };
    return cmocka_run_group_tests_name("gemm_bf16", tests, NULL, NULL);
}
