/* The threaded operations against their scalar twins, and the promise that neither the batch nor
 * the number of threads changes a bit. ctest runs this once per kernel row (VITC_ISA). */
#include <omp.h>

#include "vit_ops.h"
#include "vit_test_support.h"

static vit_kernels kernels;

/* Bytes that are NaN until written. */
static unsigned char *test_bytes(size_t size)
{
    return (unsigned char *)test_floats(size / sizeof(float) + 1);
}

static vit_scratch make_scratch(size_t packed, size_t thread, int threads)
{
    const size_t size = (thread + 63) / 64 * 64;
    return (vit_scratch){test_bytes(packed), test_bytes(size * (size_t)threads), packed, size};
}

static void free_scratch(vit_scratch *scratch)
{
    vitc_aligned_free(scratch->packed);
    vitc_aligned_free(scratch->thread);
}

static vit_linear make_linear(size_t out, size_t in, const float *weight, const float *row_scale,
                              const float *bias)
{
    const vit_linear linear = {out, in, &kernels.f32,
                               test_bytes(vit_linear_packed_size(&kernels.f32, out, in)), bias};
    vit_linear_pack(&linear, weight, row_scale);
    return linear;
}

static void run_linear(float *out, const float *x, size_t tokens, const vit_norm *norm,
                       const vit_linear *linear, vit_epilogue epilogue, bool residual, int threads)
{
    vit_scratch scratch =
        make_scratch(vit_op_linear_packed(linear->gemm, tokens, linear->in, (size_t)threads),
                     vit_op_linear_thread(linear->gemm, linear->in), threads);
#pragma omp parallel num_threads(threads)
    vit_op_linear(out, linear->out, x, linear->in, tokens, norm, linear, epilogue, residual,
                  &scratch, kernels.rows);
    free_scratch(&scratch);
}

static void check_linear(size_t tokens, size_t out, size_t in, vit_epilogue epilogue, bool residual)
{
    float *weight = test_random_floats(out * in, 1 / sqrt((double)in), 1);
    float *bias = test_random_floats(out, 1, 2), *x = test_random_floats(tokens * in, 1, 3);
    float *start = test_random_floats(tokens * out, 1, 4);
    float *exact = test_floats(tokens * out), *fast = test_floats(tokens * out);
    float *other = test_floats(tokens * out);
    const vit_linear linear = make_linear(out, in, weight, NULL, bias);
    const size_t bytes = tokens * out * sizeof *start;
    if (residual) {
        memcpy(exact, start, bytes);
        memcpy(fast, start, bytes);
    }
    vit_ref_linear(exact, out, x, in, tokens, weight, bias, out, in, epilogue, residual);
    run_linear(fast, x, tokens, NULL, &linear, epilogue, residual, 1);
    /* float32 sums of `in` products of unit variance: sqrt(in) roundings, with a wide margin */
    assert_true(test_relative_error(fast, exact, tokens * out) < 1e-6 * (4 + sqrt((double)in)));
    for (int threads = 2; threads <= 5; threads++) {
        if (residual) memcpy(other, start, bytes);
        run_linear(other, x, tokens, NULL, &linear, epilogue, residual, threads);
        assert_memory_equal(other, fast, bytes);
    }
    /* each token alone */
    for (size_t t = 0; t < tokens; t += 1 + tokens / 5) {
        if (residual) memcpy(other, start + t * out, out * sizeof *other);
        run_linear(other, x + t * in, 1, NULL, &linear, epilogue, residual, 2);
        assert_memory_equal(other, fast + t * out, out * sizeof *other);
    }
    vitc_aligned_free(weight);
    vitc_aligned_free(bias);
    vitc_aligned_free(x);
    vitc_aligned_free(start);
    vitc_aligned_free(exact);
    vitc_aligned_free(fast);
    vitc_aligned_free(other);
    vitc_aligned_free(linear.packed);
}

static void linear_equals_ref_and_keeps_its_bits(void **unused)
{
    (void)unused;
    static const size_t shapes[][3] = {{1, 1, 1},     {1, 7, 24},      {3, 40, 24},
                                       {5, 24, 40},   {13, 33, 17},    {65, 100, 49},
                                       {50, 96, 768}, {197, 192, 192}, {300, 65, 389}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int e = 0; e < VIT_EPILOGUE_COUNT; e++)
            check_linear(shapes[i][0], shapes[i][1], shapes[i][2], (vit_epilogue)e, false);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        check_linear(shapes[i][0], shapes[i][1], shapes[i][2], VIT_EPILOGUE_BIAS, true);
}

/* Several threads to a part, whose tokens take several runs, one more in the larger part. */
static void parts_of_unequal_runs_meet(void **unused)
{
    (void)unused;
    enum { OUT = 40, IN = 600, MOST = 400, THREADS = 22 };
    float *weight = test_random_floats(OUT * IN, 1, 1), *bias = test_random_floats(OUT, 1, 2);
    float *x = test_random_floats(MOST * IN, 1, 3);
    float *a = test_floats(MOST * OUT), *b = test_floats(MOST * OUT);
    const vit_linear linear = make_linear(OUT, IN, weight, NULL, bias);
    const size_t run = vit_gemm_run(&kernels.f32, IN), tokens = run < 160 ? 2 * run + 1 : 301;
    run_linear(a, x, tokens, NULL, &linear, VIT_EPILOGUE_BIAS, false, 1);
    run_linear(b, x, tokens, NULL, &linear, VIT_EPILOGUE_BIAS, false, THREADS);
    assert_memory_equal(a, b, tokens * OUT * sizeof *a);
    vitc_aligned_free(weight);
    vitc_aligned_free(bias);
    vitc_aligned_free(x);
    vitc_aligned_free(a);
    vitc_aligned_free(b);
    vitc_aligned_free(linear.packed);
}

static void row_scale_multiplies_rows(void **unused)
{
    (void)unused;
    enum { OUT = 37, IN = 21, TOKENS = 9 };
    float *weight = test_random_floats(OUT * IN, 1, 1), *scale = test_random_floats(OUT, 1, 2);
    float *bias = calloc(OUT, sizeof *bias), *x = test_random_floats(TOKENS * IN, 1, 3);
    float *a = test_floats(TOKENS * OUT), *b = test_floats(TOKENS * OUT);
    const vit_linear scaled = make_linear(OUT, IN, weight, scale, bias);
    run_linear(a, x, TOKENS, NULL, &scaled, VIT_EPILOGUE_BIAS, false, 2);
    for (size_t o = 0; o < OUT; o++)
        for (size_t i = 0; i < IN; i++) weight[o * IN + i] *= scale[o];
    const vit_linear plain = make_linear(OUT, IN, weight, NULL, bias);
    run_linear(b, x, TOKENS, NULL, &plain, VIT_EPILOGUE_BIAS, false, 2);
    assert_memory_equal(a, b, TOKENS * OUT * sizeof *a);
    vitc_aligned_free(weight);
    vitc_aligned_free(scale);
    free(bias);
    vitc_aligned_free(x);
    vitc_aligned_free(a);
    vitc_aligned_free(b);
    vitc_aligned_free(scaled.packed);
    vitc_aligned_free(plain.packed);
}

/* LayerNorm on the way into a linear layer is LayerNorm, then the layer. */
static void linear_norms_its_input(void **unused)
{
    (void)unused;
    enum { OUT = 45, IN = 70, TOKENS = 29 };
    float *weight = test_random_floats(OUT * IN, 1, 1), *bias = test_random_floats(OUT, 1, 2);
    float *x = test_random_floats(TOKENS * IN, 2, 3), *g = test_random_floats(2 * IN, 1, 4);
    float *normed = test_floats(TOKENS * IN);
    float *a = test_floats(TOKENS * OUT), *b = test_floats(TOKENS * OUT);
    const vit_norm norm = {g, g + IN, 1e-6f};
    const vit_linear linear = make_linear(OUT, IN, weight, NULL, bias);
    vit_op_layernorm(normed, IN, x, IN, TOKENS, &norm, IN, kernels.rows);
    run_linear(a, normed, TOKENS, NULL, &linear, VIT_EPILOGUE_GELU_ERF, false, 1);
    for (int threads = 1; threads <= 3; threads++) {
        run_linear(b, x, TOKENS, &norm, &linear, VIT_EPILOGUE_GELU_ERF, false, threads);
        assert_memory_equal(a, b, TOKENS * OUT * sizeof *a);
    }
    vitc_aligned_free(weight);
    vitc_aligned_free(bias);
    vitc_aligned_free(x);
    vitc_aligned_free(g);
    vitc_aligned_free(normed);
    vitc_aligned_free(a);
    vitc_aligned_free(b);
    vitc_aligned_free(linear.packed);
}

static void run_attention(float *out, const float *qkv, size_t images, size_t tokens,
                          size_t queries, size_t heads, size_t head_width, const vit_qk_norm *norm,
                          const vit_relative *relative, const vit_gemm *gemm, int threads)
{
    const size_t width = heads * head_width;
    vit_scratch scratch =
        make_scratch(1, vit_op_attention_thread(gemm, tokens, head_width), threads);
#pragma omp parallel num_threads(threads)
    vit_op_attention(out, width, qkv, 3 * width, images, tokens, queries, heads, head_width, norm,
                     relative, gemm, &scratch, kernels.rows);
    free_scratch(&scratch);
}

static void check_attention_with(const vit_gemm *gemm, double tolerance, size_t images,
                                 size_t tokens, size_t heads, size_t head_width, bool normed,
                                 const vit_relative *relative)
{
    const size_t width = heads * head_width, count = images * tokens * width;
    float *qkv = test_random_floats(3 * count, 1.5, 5),
          *g = test_random_floats(4 * head_width, 1, 6);
    float *exact = test_floats(count), *fast = test_floats(count), *other = test_floats(count);
    const vit_qk_norm norm = {{normed ? g : NULL, g + head_width, 1e-6f},
                              {normed ? g + 2 * head_width : NULL, g + 3 * head_width, 1e-6f}};
    vit_ref_attention(exact, qkv, images, tokens, heads, head_width, &norm, relative);
    run_attention(fast, qkv, images, tokens, tokens, heads, head_width, &norm, relative, gemm, 1);
    assert_true(test_relative_error(fast, exact, count) < tolerance);
    for (int threads = 2; threads <= 3; threads++) {
        run_attention(other, qkv, images, tokens, tokens, heads, head_width, &norm, relative, gemm,
                      threads);
        assert_memory_equal(other, fast, count * sizeof *fast);
    }
    const size_t last = images - 1, image = tokens * width;
    run_attention(other, qkv + 3 * last * image, 1, tokens, tokens, heads, head_width, &norm,
                  relative, gemm, 2);
    assert_memory_equal(other, fast + last * image, image * sizeof *fast);
    /* the first few queries alone, of every image */
    const size_t few = (tokens + 2) / 3;
    run_attention(other, qkv, images, tokens, few, heads, head_width, &norm, relative, gemm, 2);
    for (size_t b = 0; b < images; b++)
        assert_memory_equal(other + b * image, fast + b * image, few * width * sizeof *fast);
    vitc_aligned_free(qkv);
    vitc_aligned_free(g);
    vitc_aligned_free(exact);
    vitc_aligned_free(fast);
    vitc_aligned_free(other);
}

/* In bf16 queries, keys, weights and values are rounded: 2^-9 each. */
static void check_attention(size_t images, size_t tokens, size_t heads, size_t head_width,
                            bool normed, const vit_relative *relative)
{
    check_attention_with(&kernels.f32, 5e-6, images, tokens, heads, head_width, normed, relative);
    check_attention_with(&kernels.bf16, 0.02, images, tokens, heads, head_width, normed, relative);
}

static void attention_equals_ref_and_keeps_its_bits(void **unused)
{
    (void)unused;
    static const size_t shapes[][4] = {{1, 1, 1, 1},   {2, 5, 2, 12},  {3, 17, 3, 8},
                                       {2, 37, 1, 80}, {1, 65, 4, 64}, {2, 33, 2, 33},
                                       {1, 50, 2, 16}, {2, 64, 3, 32}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        check_attention(shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], false, NULL);
        check_attention(shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], true, NULL);
    }
}

static void attention_adds_relative_biases(void **unused)
{
    (void)unused;
    enum { HEADS = 3, HEAD_WIDTH = 12 };
    /* grid and prefix tokens */
    static const uint32_t shapes[][3] = {{1, 1, 0}, {3, 4, 0}, {5, 2, 1}, {6, 11, 2}, {1, 9, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        vit_relative relative = {.shape = {.grid_height = shapes[i][0],
                                           .grid_width = shapes[i][1],
                                           .prefix = shapes[i][2],
                                           .heads = HEADS}};
        const size_t tokens = shapes[i][2] + shapes[i][0] * shapes[i][1];
        const size_t count = HEADS * patches_relative_rows(&relative.shape);
        float *biases = test_random_floats(count, 3, 12);
        relative.biases = biases;
        check_attention(2, tokens, HEADS, HEAD_WIDTH, i % 2 == 0, &relative);
        vitc_aligned_free(biases);
    }
}

/* All that the position operations take. */
typedef struct positions {
    patches_position table;
    vit_rope rope;
    vit_qk_norm norm;
    size_t heads;
} positions;

enum { POSITION_IMAGES = 3 };

static void check_positions(const positions *p, uint32_t prefix, int threads)
{
    const size_t d = p->table.width, n = prefix + p->table.grid_height * p->table.grid_width;
    const size_t count = POSITION_IMAGES * n * 3 * d;
    float *x = test_random_floats(count, 1, 21), *exact = test_floats(count);
    memcpy(exact, x, count * sizeof *x);
    vit_ref_position(exact, POSITION_IMAGES, n, &p->table, prefix);
#pragma omp parallel num_threads(threads)
    vit_op_position(x, d, POSITION_IMAGES, n, &p->table, prefix);
    assert_true(test_relative_error(x, exact, POSITION_IMAGES * n * d) < 1e-6);
    for (int back = 0; back < 2; back++) {
        memcpy(exact, x, count * sizeof *x);
        vit_ref_rope(exact, POSITION_IMAGES, n, p->heads, d / p->heads, &p->norm, &p->rope, back);
#pragma omp parallel num_threads(threads)
        vit_op_rope(x, 3 * d, POSITION_IMAGES, n, p->heads, d / p->heads, &p->norm, &p->rope, back,
                    kernels.rows);
        assert_true(test_relative_error(x, exact, count) < 5e-6);
    }
    vitc_aligned_free(x);
    vitc_aligned_free(exact);
}

/* With fewer and with more threads than parts of the tokens. */
static void position_ops_equal_ref(void **unused)
{
    (void)unused;
    enum { GH = 4, GW = 7, D = 24, HEADS = 3, HEAD_WIDTH = D / HEADS, PREFIX = 2 };
    enum { PATCHES = GH * GW, ANGLES = PATCHES * HEAD_WIDTH / 2 };
    float *table = test_random_floats((PREFIX + PATCHES) * D, 1, 22);
    float *norms = test_random_floats(4 * HEAD_WIDTH, 1, 23);
    float cosines[ANGLES], sines[ANGLES];
    patches_rope_fill(cosines, sines, GH, GW, HEAD_WIDTH);
    for (int i = 0; i < 8; i++) {
        const bool covers = i & 1, multiplies = i & 2, normed = i & 4;
        const positions p = {
            .table = {.kind = PATCHES_POSITION_LEARNED_1D,
                      .op = multiplies ? PATCHES_POSITION_MUL : PATCHES_POSITION_ADD,
                      .grid_height = GH,
                      .grid_width = GW,
                      .prefix = covers ? PREFIX : 0,
                      .width = D,
                      .table = table},
            .rope = {cosines, sines, PREFIX},
            .norm = {{normed ? norms : NULL, norms + HEAD_WIDTH, 1e-6f},
                     {normed ? norms + 2 * HEAD_WIDTH : NULL, norms + 3 * HEAD_WIDTH, 1e-6f}},
            .heads = HEADS};
        for (int threads = 1; threads <= 6; threads++) check_positions(&p, PREFIX, threads);
    }
    vitc_aligned_free(table);
    vitc_aligned_free(norms);
}

static void layernorm_op_equals_ref(void **unused)
{
    (void)unused;
    enum { TOKENS = 23, WIDTH = 77 };
    float *x = test_random_floats(TOKENS * WIDTH, 2, 7), *w = test_random_floats(WIDTH, 1, 8);
    float *b = test_random_floats(WIDTH, 1, 9);
    float *fast = test_floats(TOKENS * WIDTH), *exact = test_floats(TOKENS * WIDTH);
    const vit_norm norm = {w, b, 1e-5f};
    vit_ref_layernorm(exact, WIDTH, x, WIDTH, TOKENS, &norm, WIDTH);
#pragma omp parallel num_threads(3)
    vit_op_layernorm(fast, WIDTH, x, WIDTH, TOKENS, &norm, WIDTH, kernels.rows);
    assert_true(test_relative_error(fast, exact, TOKENS * WIDTH) < 2e-6);
    vitc_aligned_free(x);
    vitc_aligned_free(w);
    vitc_aligned_free(b);
    vitc_aligned_free(fast);
    vitc_aligned_free(exact);
}

static void pooling_means_and_maxima(void **unused)
{
    (void)unused;
    const float tokens[] = {1, -4, NAN, 3, -2, NAN, 5, -9, NAN};
    float out[2];
    vit_pool_tokens(out, tokens, 3, 3, 2, true, false);
    assert_true(out[0] == 3 && out[1] == -5);
    vit_pool_tokens(out, tokens, 3, 3, 2, false, true);
    assert_true(out[0] == 5 && out[1] == -2);
    vit_pool_tokens(out, tokens, 3, 3, 2, true, true);
    assert_true(out[0] == 4 && out[1] == -3.5f);
}

static void sizes_that_overflow_are_refused(void **unused)
{
    (void)unused;
    const vit_gemm *gemm = &kernels.f32;
    assert_true(vit_linear_packed_size(gemm, SIZE_MAX, 2) == 0);
    assert_true(vit_linear_packed_size(gemm, SIZE_MAX / 2, SIZE_MAX / 2) == 0);
    assert_true(vit_op_linear_packed(gemm, 4, SIZE_MAX / 2, 8) == 0);
    assert_true(vit_op_linear_packed(gemm, SIZE_MAX, 4, 8) == 0);
    assert_true(vit_op_linear_thread(gemm, SIZE_MAX / 2) == 0);
    assert_true(vit_op_attention_thread(gemm, SIZE_MAX / 8, 64) == 0);
    assert_true(vit_op_attention_thread(gemm, SIZE_MAX, 64) == 0);
}

int main(void)
{
    kernels = test_kernels_or_skip();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_equals_ref_and_keeps_its_bits),
        cmocka_unit_test(parts_of_unequal_runs_meet),
        cmocka_unit_test(row_scale_multiplies_rows),
        cmocka_unit_test(linear_norms_its_input),
        cmocka_unit_test(attention_equals_ref_and_keeps_its_bits),
        cmocka_unit_test(attention_adds_relative_biases),
        cmocka_unit_test(position_ops_equal_ref),
        cmocka_unit_test(layernorm_op_equals_ref),
        cmocka_unit_test(pooling_means_and_maxima),
        cmocka_unit_test(sizes_that_overflow_are_refused),
    };
    return cmocka_run_group_tests_name("ops", tests, NULL, NULL);
}
