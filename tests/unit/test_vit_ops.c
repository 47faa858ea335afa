/* The threaded operations against their scalar twins, and the promise that neither the batch nor
 * the number of threads changes a bit. ctest runs this once per kernel row (VITC_ISA). */
#include <omp.h>

#include "vit_ops.h"
#include "vit_test_support.h"

static vit_kernels kernels;

static void run_linear(float *out, const float *x, size_t tokens, const vit_linear *linear,
                       vit_epilogue epilogue, bool residual, int threads)
{
    float *scratch = test_floats(vit_op_linear_scratch(&kernels.gemm, tokens, linear->in));
#pragma omp parallel num_threads(threads)
    vit_op_linear(out, linear->out, x, linear->in, tokens, linear, epilogue, residual, scratch,
                  &kernels);
    vitc_aligned_free(scratch);
}

static void check_linear(size_t tokens, size_t out, size_t in, vit_epilogue epilogue, bool residual)
{
    float *weight = test_random_floats(out * in, 1 / sqrt((double)in), 1);
    float *bias = test_random_floats(out, 1, 2), *x = test_random_floats(tokens * in, 1, 3);
    float *start = test_random_floats(tokens * out, 1, 4);
    float *exact = test_floats(tokens * out), *fast = test_floats(tokens * out);
    float *other = test_floats(tokens * out);
    const vit_linear linear = {out, in,
                               test_floats(vit_linear_packed_count(&kernels.gemm, out, in)), bias};
    const size_t bytes = tokens * out * sizeof *start;
    vit_linear_pack(&linear, weight, &kernels);
    if (residual) {
        memcpy(exact, start, bytes);
        memcpy(fast, start, bytes);
    }
    vit_ref_linear(exact, out, x, in, tokens, weight, bias, out, in, epilogue, residual);
    run_linear(fast, x, tokens, &linear, epilogue, residual, 1);
    /* float32 sums of `in` products of unit variance: sqrt(in) roundings, with a wide margin */
    assert_true(test_relative_error(fast, exact, tokens * out) < 1e-6 * (4 + sqrt((double)in)));
    for (int threads = 2; threads <= 5; threads++) {
        if (residual) memcpy(other, start, bytes);
        run_linear(other, x, tokens, &linear, epilogue, residual, threads);
        assert_memory_equal(other, fast, bytes);
    }
    /* each token alone */
    for (size_t t = 0; t < tokens; t += 1 + tokens / 5) {
        if (residual) memcpy(other, start + t * out, out * sizeof *other);
        run_linear(other, x + t * in, 1, &linear, epilogue, residual, 2);
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

static void scaling_packed_weights_scales_rows(void **unused)
{
    (void)unused;
    enum { OUT = 37, IN = 21, TOKENS = 9 };
    float *weight = test_random_floats(OUT * IN, 1, 1), *scale = test_random_floats(OUT, 1, 2);
    float *bias = calloc(OUT, sizeof *bias), *x = test_random_floats(TOKENS * IN, 1, 3);
    float *a = test_floats(TOKENS * OUT), *b = test_floats(TOKENS * OUT);
    const vit_linear linear = {OUT, IN,
                               test_floats(vit_linear_packed_count(&kernels.gemm, OUT, IN)), bias};
    vit_linear_pack(&linear, weight, &kernels);
    vit_linear_scale(&linear, scale, &kernels.gemm);
    run_linear(a, x, TOKENS, &linear, VIT_EPILOGUE_BIAS, false, 2);
    for (size_t o = 0; o < OUT; o++)
        for (size_t i = 0; i < IN; i++) weight[o * IN + i] *= scale[o];
    vit_linear_pack(&linear, weight, &kernels);
    run_linear(b, x, TOKENS, &linear, VIT_EPILOGUE_BIAS, false, 2);
    assert_memory_equal(a, b, TOKENS * OUT * sizeof *a);
    vitc_aligned_free(weight);
    vitc_aligned_free(scale);
    free(bias);
    vitc_aligned_free(x);
    vitc_aligned_free(a);
    vitc_aligned_free(b);
    vitc_aligned_free(linear.packed);
}

static void run_attention(float *out, const float *qkv, size_t images, size_t tokens, size_t heads,
                          size_t head_width, const vit_qk_norm *norm, int threads)
{
    const size_t one = vit_op_attention_scratch(&kernels.gemm, tokens, head_width);
    float *scratch = test_floats(one * (size_t)threads);
#pragma omp parallel num_threads(threads)
    vit_op_attention(out, qkv, images, tokens, heads, head_width, norm, scratch, &kernels);
    vitc_aligned_free(scratch);
}

static void check_attention(size_t images, size_t tokens, size_t heads, size_t head_width,
                            bool normed)
{
    const size_t width = heads * head_width, count = images * tokens * width;
    float *qkv = test_random_floats(3 * count, 1.5, 5),
          *g = test_random_floats(4 * head_width, 1, 6);
    float *exact = test_floats(count), *fast = test_floats(count), *other = test_floats(count);
    const vit_qk_norm norm = {normed ? g : NULL, g + head_width, normed ? g + 2 * head_width : NULL,
                              g + 3 * head_width, 1e-6f};
    vit_ref_attention(exact, qkv, images, tokens, heads, head_width, &norm);
    run_attention(fast, qkv, images, tokens, heads, head_width, &norm, 1);
    assert_true(test_relative_error(fast, exact, count) < 5e-6);
    for (int threads = 2; threads <= 3; threads++) {
        run_attention(other, qkv, images, tokens, heads, head_width, &norm, threads);
        assert_memory_equal(other, fast, count * sizeof *fast);
    }
    const size_t last = images - 1, image = tokens * width;
    run_attention(other, qkv + 3 * last * image, 1, tokens, heads, head_width, &norm, 2);
    assert_memory_equal(other, fast + last * image, image * sizeof *fast);
    vitc_aligned_free(qkv);
    vitc_aligned_free(g);
    vitc_aligned_free(exact);
    vitc_aligned_free(fast);
    vitc_aligned_free(other);
}

static void attention_equals_ref_and_keeps_its_bits(void **unused)
{
    (void)unused;
    static const size_t shapes[][4] = {{1, 1, 1, 1},   {2, 5, 2, 12},  {3, 17, 3, 8},
                                       {2, 37, 1, 80}, {1, 65, 4, 64}, {2, 33, 2, 33},
                                       {1, 50, 2, 16}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        check_attention(shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], false);
        check_attention(shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], true);
    }
}

static void layernorm_op_equals_ref(void **unused)
{
    (void)unused;
    enum { TOKENS = 23, WIDTH = 77 };
    float *x = test_random_floats(TOKENS * WIDTH, 2, 7), *w = test_random_floats(WIDTH, 1, 8);
    float *b = test_random_floats(WIDTH, 1, 9);
    float *fast = test_floats(TOKENS * WIDTH), *exact = test_floats(TOKENS * WIDTH);
    vit_ref_layernorm(exact, WIDTH, x, WIDTH, TOKENS, w, b, WIDTH, 1e-5f);
#pragma omp parallel num_threads(3)
    vit_op_layernorm(fast, WIDTH, x, WIDTH, TOKENS, w, b, WIDTH, 1e-5f, &kernels);
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
    const float tokens[6] = {1, -4, 3, -2, 5, -9};
    float out[2];
    vit_pool_tokens(out, tokens, 3, 2, true, false);
    assert_true(out[0] == 3 && out[1] == -5);
    vit_pool_tokens(out, tokens, 3, 2, false, true);
    assert_true(out[0] == 5 && out[1] == -2);
    vit_pool_tokens(out, tokens, 3, 2, true, true);
    assert_true(out[0] == 4 && out[1] == -3.5f);
}

static void sizes_that_overflow_are_refused(void **unused)
{
    (void)unused;
    assert_true(vit_linear_packed_count(&kernels.gemm, SIZE_MAX, 2) == 0);
    assert_true(vit_linear_packed_count(&kernels.gemm, SIZE_MAX / 2, SIZE_MAX / 2) == 0);
    assert_true(vit_op_linear_scratch(&kernels.gemm, SIZE_MAX / 2, 4) == 0);
    assert_true(vit_op_attention_scratch(&kernels.gemm, SIZE_MAX / 8, 64) == 0);
}

int main(void)
{
    kernels = test_kernels_or_skip();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_equals_ref_and_keeps_its_bits),
        cmocka_unit_test(scaling_packed_weights_scales_rows),
        cmocka_unit_test(attention_equals_ref_and_keeps_its_bits),
        cmocka_unit_test(layernorm_op_equals_ref),
        cmocka_unit_test(pooling_means_and_maxima),
        cmocka_unit_test(sizes_that_overflow_are_refused),
    };
    return cmocka_run_group_tests_name("ops", tests, NULL, NULL);
}
