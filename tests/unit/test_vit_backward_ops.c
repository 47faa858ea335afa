/* The backward operations: their formulas against finite differences, the threaded operations
 * against the formulas, and the promise that the number of threads changes no bit. ctest runs this
 * once per kernel row (VITC_ISA). */
#include <omp.h>

#include "vit_ops_backward.h"
#include "vit_test_support.h"

static vit_kernels kernels;

/* Relative to the largest gradient; float32 sums of up to a few hundred products. */
static const double f32_tolerance = 2e-5;
/* Of a double formula against central differences. */
static const double difference_tolerance = 1e-6;

/* ---- memory ---- */

static double *doubles(const float *values, size_t count)
{
    double *copy = calloc(count + 1, sizeof *copy);
    assert_non_null(copy);
    for (size_t i = 0; values != NULL && i < count; i++) copy[i] = (double)values[i];
    return copy;
}

/* Bytes that are NaN until written. */
static unsigned char *test_bytes(size_t size)
{
    return (unsigned char *)test_floats(size / sizeof(float) + 1);
}

static vit_scratch make_scratch(size_t packed, size_t thread, int threads)
{
    assert_true(packed > 0 && thread > 0);
    const size_t size = (thread + 63) / 64 * 64;
    return (vit_scratch){test_bytes(packed), test_bytes(size * (size_t)threads), packed, size};
}

static void free_scratch(const vit_scratch *scratch)
{
    vitc_aligned_free(scratch->packed);
    vitc_aligned_free(scratch->thread);
}

/* A random matrix whose rows are `ld` floats apart, NaN between them. */
static float *random_rows(size_t rows, size_t width, size_t ld, double scale, uint64_t seed)
{
    float *values = test_random_floats(rows * width, scale, seed), *spread = test_floats(rows * ld);
    for (size_t r = 0; r < rows; r++)
        memcpy(spread + r * ld, values + r * width, width * sizeof *values);
    vitc_aligned_free(values);
    return spread;
}

static double *double_rows(const float *values, size_t rows, size_t width, size_t ld)
{
    double *copy = doubles(NULL, rows * width);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < width; i++) copy[r * width + i] = (double)values[r * ld + i];
    return copy;
}

static float *copy_floats(const float *values, size_t count)
{
    float *copy = test_floats(count);
    memcpy(copy, values, count * sizeof *copy);
    return copy;
}

/* max |a - b| / max |b| over rows, infinity for a NaN; what lies between rows must still be NaN. */
static double rows_error(const float *a, const double *b, size_t rows, size_t width, size_t ld)
{
    double worst = 0, largest = 1e-30;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < ld; i++) {
            if (i >= width) {
                assert_true(isnan(a[r * ld + i]));
                continue;
            }
            const double exact = b[r * width + i], error = fabs((double)a[r * ld + i] - exact);
            if (!(error <= worst)) worst = isnan(error) ? INFINITY : error;
            largest = fmax(largest, fabs(exact));
        }
    return worst / largest;
}

#define assert_rows(a, b, rows, width, ld, tolerance)                                              \
    do {                                                                                           \
        const double error = rows_error(a, b, rows, width, ld);                                    \
        if (!(error <= (tolerance)))                                                               \
            fail_msg("%s is off by %.3g (tolerance %.3g)", #a, error, (double)(tolerance));        \
    } while (0)

/* ---- the formulas against finite differences ---- */

/* A scalar function of doubles. */
typedef double (*scalar_fn)(const double *x, void *context);

/* Central differences of f at x against `gradient`, relative to the largest of it. The fourth-order
 * formula: its own error, h^4 f'''''/30 and 1e-16 f/h, stays near 1e-11. */
static void check_differences(scalar_fn f, void *context, double *x, size_t count,
                              const double *gradient)
{
    const double h = 1e-3;
    double worst = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        const double at = x[i];
        double values[4];
        for (int s = 0; s < 4; s++) {
            x[i] = at + h * (s < 2 ? s - 2 : s - 1);
            values[s] = f(x, context);
        }
        x[i] = at;
        const double slope = (8 * (values[2] - values[1]) - (values[3] - values[0])) / (12 * h);
        const double error = fabs(slope - gradient[i]);
        if (!(error <= worst)) worst = error;
        largest = fmax(largest, fabs(gradient[i]));
    }
    assert_true(largest > 0);
    if (!(worst <= difference_tolerance * largest))
        fail_msg("differences are off by %.3g of %.3g", worst, largest);
}

/* sum of weights * y, whose gradient at y is `weights`. */
static double weighted(const double *y, const double *weights, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += y[i] * weights[i];
    return sum;
}

static double *random_doubles(size_t count, double scale, uint64_t seed)
{
    float *values = test_random_floats(count, scale, seed);
    double *copy = doubles(values, count);
    vitc_aligned_free(values);
    return copy;
}

enum { L_TOKENS = 5, L_OUT = 4, L_IN = 3 };

/* x, then weight, then bias. */
static double linear_loss(const double *p, void *dy)
{
    double y[L_TOKENS * L_OUT];
    vit_double_linear(y, p, L_TOKENS, p + L_TOKENS * L_IN, p + L_TOKENS * L_IN + L_OUT * L_IN,
                      L_OUT, L_IN);
    return weighted(y, dy, L_TOKENS * L_OUT);
}

static void linear_formula_has_its_differences(void **unused)
{
    (void)unused;
    enum { X = L_TOKENS * L_IN, W = L_OUT * L_IN, COUNT = X + W + L_OUT };
    double *p = random_doubles(COUNT, 1, 1), *dy = random_doubles(L_TOKENS * L_OUT, 1, 2);
    double gradient[COUNT] = {0};
    vit_double_linear_backward(gradient, gradient + X, gradient + X + W, dy, p, L_TOKENS, p + X,
                               L_OUT, L_IN);
    check_differences(linear_loss, dy, p, COUNT, gradient);
    free(p);
    free(dy);
}

static double activation_loss(const double *z, void *activation)
{
    return vit_double_activation(*(const vit_epilogue *)activation, *z);
}

static void activation_formulas_have_their_differences(void **unused)
{
    (void)unused;
    for (int e = 0; e < VIT_EPILOGUE_COUNT; e++) {
        vit_epilogue activation = (vit_epilogue)e;
        for (int i = -50; i < 50; i++) {
            const double z = 0.1 * i + 0.05; /* not where ReLU has its corner */
            const double slope = vit_double_activation_slope(activation, z);
            double at = z, gradient[1] = {slope};
            if (fabs(slope) > 1e-3)
                check_differences(activation_loss, &activation, &at, 1, gradient);
        }
    }
}

enum { N_TOKENS = 3, N_WIDTH = 7 };

static double layernorm_loss(const double *p, void *dy)
{
    double y[N_TOKENS * N_WIDTH];
    const double *weight = p + N_TOKENS * N_WIDTH;
    vit_double_layernorm(y, p, N_TOKENS, weight, weight + N_WIDTH, N_WIDTH, 1e-2);
    return weighted(y, dy, N_TOKENS * N_WIDTH);
}

static void layernorm_formula_has_its_differences(void **unused)
{
    (void)unused;
    enum { X = N_TOKENS * N_WIDTH, COUNT = X + 2 * N_WIDTH };
    double *p = random_doubles(COUNT, 1, 3), *dy = random_doubles(X, 1, 4), gradient[COUNT] = {0};
    vit_double_layernorm_backward(gradient, gradient + X, gradient + X + N_WIDTH, dy, p, N_TOKENS,
                                  p + X, N_WIDTH, 1e-2);
    check_differences(layernorm_loss, dy, p, COUNT, gradient);
    free(p);
    free(dy);
}

enum { A_IMAGES = 2, A_TOKENS = 5, A_HEADS = 2, A_WIDTH = 3 };

enum { A_OUT = A_IMAGES * A_TOKENS * A_HEADS * A_WIDTH, A_BIASES = A_HEADS * A_TOKENS * A_TOKENS };

typedef struct attention_case {
    const double *dout, *qkv, *biases; /* biases NULL: none */
} attention_case;

static double attention_loss(const double *qkv, void *user)
{
    const attention_case *c = user;
    double out[A_OUT], weights[A_TOKENS];
    vit_double_attention(out, qkv, A_IMAGES, A_TOKENS, A_HEADS, A_WIDTH, c->biases, weights);
    return weighted(out, c->dout, A_OUT);
}

static double attention_loss_of_biases(const double *biases, void *user)
{
    attention_case c = *(attention_case *)user;
    c.biases = biases;
    return attention_loss(c.qkv, &c);
}

static void attention_formula_has_its_differences(void **unused)
{
    (void)unused;
    double *qkv = random_doubles(3 * A_OUT, 1, 5), *dout = random_doubles(A_OUT, 1, 6);
    double *biases = random_doubles(A_BIASES, 1, 7);
    double gradient[3 * A_OUT], weights[2 * A_TOKENS];
    attention_case c = {dout, qkv, NULL};
    vit_double_attention_backward(gradient, NULL, dout, qkv, A_IMAGES, A_TOKENS, A_HEADS, A_WIDTH,
                                  NULL, weights);
    check_differences(attention_loss, &c, qkv, 3 * A_OUT, gradient);
    double of_biases[A_BIASES] = {0};
    c.biases = biases;
    vit_double_attention_backward(gradient, of_biases, dout, qkv, A_IMAGES, A_TOKENS, A_HEADS,
                                  A_WIDTH, biases, weights);
    check_differences(attention_loss, &c, qkv, 3 * A_OUT, gradient);
    check_differences(attention_loss_of_biases, &c, biases, A_BIASES, of_biases);
    free(qkv);
    free(dout);
    free(biases);
}

enum { C_IMAGES = 3, C_CLASSES = 5 };

static double cross_entropy_loss(const double *logits, void *targets)
{
    return vit_double_cross_entropy(NULL, logits, targets, C_IMAGES, C_CLASSES);
}

/* Targets that sum to one, to less, and to a single label. */
static void fill_targets(double *targets)
{
    memset(targets, 0, C_IMAGES * C_CLASSES * sizeof *targets);
    targets[2] = 1;
    for (int k = 0; k < C_CLASSES; k++) targets[C_CLASSES + k] = 0.1 * k;
    targets[2 * C_CLASSES] = 0.5;
}

static void cross_entropy_formula_has_its_differences(void **unused)
{
    (void)unused;
    double targets[C_IMAGES * C_CLASSES], gradient[C_IMAGES * C_CLASSES];
    double *logits = random_doubles(C_IMAGES * C_CLASSES, 2, 7);
    fill_targets(targets);
    vit_double_cross_entropy(gradient, logits, targets, C_IMAGES, C_CLASSES);
    check_differences(cross_entropy_loss, targets, logits, C_IMAGES * C_CLASSES, gradient);
    free(logits);
}

/* ---- rows ---- */

static const size_t lengths[] = {1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 63, 64, 100, 197, 257, 1000};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };

/* Slopes near 1 and values: a few roundings of what they are made of, which is at most about |z|.
 */
static void epilogues_backward_equal_ref(void **unused)
{
    (void)unused;
    enum { COUNT = 40001 };
    static const float spans[] = {1e-3f, 4, 12, 30, 1000};
    float *fast = test_floats(COUNT), *exact = test_floats(COUNT);
    float *z = test_floats(COUNT), *z_exact = test_floats(COUNT);
    for (int e = 0; e < VIT_EPILOGUE_COUNT; e++)
        for (size_t s = 0; s < sizeof spans / sizeof spans[0]; s++) {
            for (size_t i = 0; i < COUNT; i++) {
                fast[i] = exact[i] = 1;
                z[i] = z_exact[i] = spans[s] * (2 * (float)i / (float)(COUNT - 1) - 1);
            }
            kernels.rows->epilogue_backward[e](fast, COUNT, z, COUNT, 1, COUNT);
            vit_rows_f32_ref.epilogue_backward[e](exact, COUNT, z_exact, COUNT, 1, COUNT);
            for (size_t i = 0; i < COUNT; i++) {
                const double error = fabs((double)fast[i] - (double)exact[i]);
                if (!(error <= 1.5e-6)) fail_msg("slope %zu: %.9g", i, error);
                const double off = fabs((double)z[i] - (double)z_exact[i]);
                if (!(off <= 16 * 0x1p-23 * fabs((double)z_exact[i]) + 1.5e-7))
                    fail_msg("value %zu: %.9g", i, off);
            }
        }
    vitc_aligned_free(fast);
    vitc_aligned_free(exact);
    vitc_aligned_free(z);
    vitc_aligned_free(z_exact);
}

static void epilogues_backward_take_extremes(void **unused)
{
    (void)unused;
    for (int e = 0; e < VIT_EPILOGUE_COUNT; e++) {
        float z[4] = {-1e30f, 1e30f, 0, NAN}, dy[4] = {1, 1, 0, 1};
        for (int i = 0; i < 4; i++) kernels.rows->epilogue_backward[e](&dy[i], 1, &z[i], 1, 1, 1);
        assert_true(dy[0] == (e == VIT_EPILOGUE_BIAS ? 1.0f : 0.0f) || fabsf(dy[0]) < 1e-6f);
        assert_true(fabsf(dy[1] - 1) < 1e-6f);
        assert_true(dy[2] == 0 && z[2] == 0);
        /* a NaN stays one, except where ReLU's comparison takes it */
        assert_true(e == VIT_EPILOGUE_RELU || isnan(z[3]));
        assert_true(e == VIT_EPILOGUE_RELU || e == VIT_EPILOGUE_BIAS || isnan(dy[3]));
    }
}

static void rows_backward_touch_their_rows(void **unused)
{
    (void)unused;
    enum { ROWS = 3 };
    for (int e = 0; e < VIT_EPILOGUE_COUNT; e++)
        for (size_t i = 0; i < LENGTHS; i++) {
            const size_t n = lengths[i], ldy = n + 2, ldz = n + 3;
            float *dy = test_random_floats(ROWS * ldy, 1, 4),
                  *z = test_random_floats(ROWS * ldz, 1, 5);
            float *dy_alone = copy_floats(dy, ROWS * ldy), *z_alone = copy_floats(z, ROWS * ldz);
            kernels.rows->epilogue_backward[e](dy, ldy, z, ldz, ROWS, n);
            for (size_t r = 0; r < ROWS; r++)
                kernels.rows->epilogue_backward[e](dy_alone + r * ldy, ldy, z_alone + r * ldz, ldz,
                                                   1, n);
            assert_memory_equal(dy, dy_alone, ROWS * ldy * sizeof *dy);
            assert_memory_equal(z, z_alone, ROWS * ldz * sizeof *z);
            vitc_aligned_free(dy);
            vitc_aligned_free(z);
            vitc_aligned_free(dy_alone);
            vitc_aligned_free(z_alone);
        }
}

static void layernorm_row_backward_equals_ref(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < LENGTHS; i++)
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            const size_t n = lengths[i];
            float *x = test_random_floats(n, 3, 6), *dy = test_random_floats(n, 1, 7);
            float *w = test_random_floats(n, 1, 8), *start = test_random_floats(3 * n, 1, 9);
            float *fast = copy_floats(start, 3 * n), *exact = copy_floats(start, 3 * n);
            for (size_t j = 0; j < n; j++) x[j] += 10;
            vit_rows_f32_ref.layernorm_backward(exact, dy, x, w, exact + n, exact + 2 * n, n, 1e-6f,
                                                accumulate);
            kernels.rows->layernorm_backward(fast, dy, x, w, fast + n, fast + 2 * n, n, 1e-6f,
                                             accumulate);
            /* of one or two elements the gradient is 0 but for eps */
            for (size_t j = 0; n < 3 && j < n; j++) assert_true(fabsf(fast[j] - exact[j]) < 1e-5f);
            if (n >= 3) assert_true(test_relative_error(fast, exact, n) < 2e-5);
            assert_true(test_relative_error(fast + n, exact + n, n) < 2e-5);
            assert_true(test_relative_error(fast + 2 * n, exact + 2 * n, n) < 1e-6);
            vitc_aligned_free(x);
            vitc_aligned_free(dy);
            vitc_aligned_free(w);
            vitc_aligned_free(start);
            vitc_aligned_free(fast);
            vitc_aligned_free(exact);
        }
}

static void softmax_row_backward_equals_ref(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < LENGTHS; i++) {
        const size_t n = lengths[i];
        float *x = test_random_floats(n, 2, 10), *dx = test_random_floats(n, 1, 11);
        const float inverse = 1 / vit_rows_f32_ref.softmax(x, n, 0.5f);
        float *fast = copy_floats(x, n), *exact = copy_floats(x, n);
        float *dfast = copy_floats(dx, n), *dexact = copy_floats(dx, n);
        vit_rows_f32_ref.softmax_backward(exact, dexact, n, inverse, 0.5f);
        kernels.rows->softmax_backward(fast, dfast, n, inverse, 0.5f);
        assert_true(test_relative_error(fast, exact, n) < 1e-6);
        if (n > 1) assert_true(test_relative_error(dfast, dexact, n) < 2e-5);
        if (n == 1) assert_true(fabsf(dfast[0]) < 1e-6f);
        vitc_aligned_free(x);
        vitc_aligned_free(dx);
        vitc_aligned_free(fast);
        vitc_aligned_free(exact);
        vitc_aligned_free(dfast);
        vitc_aligned_free(dexact);
    }
}

static void added_rows_equal_ref(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < LENGTHS; i++)
        for (size_t rows = 1; rows < 12; rows++) {
            const size_t n = lengths[i], ld = n + 3;
            float *x = random_rows(rows, n, ld, 1, 12), *start = test_random_floats(n + 1, 1, 13);
            float *fast = copy_floats(start, n + 1), *exact = copy_floats(start, n + 1);
            vit_rows_f32_ref.add_rows(exact, x, ld, rows, n);
            kernels.rows->add_rows(fast, x, ld, rows, n);
            assert_true(test_relative_error(fast, exact, n) < 2e-6);
            assert_true(fast[n] == start[n]);
            vitc_aligned_free(x);
            vitc_aligned_free(start);
            vitc_aligned_free(fast);
            vitc_aligned_free(exact);
        }
}

/* Columns packed as tokens are their transpose packed as tokens. */
static void token_columns_pack_as_rows_do(void **unused)
{
    (void)unused;
    const vit_gemm *gemms[] = {&kernels.f32, &kernels.bf16};
    for (size_t f = 0; f < 2; f++)
        for (size_t rows = 1; rows <= gemms[f]->token_panel; rows++)
            for (size_t i = 0; i < LENGTHS; i++) {
                const vit_gemm *gemm = gemms[f];
                const size_t k = lengths[i], ld = rows + 2;
                const size_t size = vit_gemm_token_panel_size(gemm, k);
                float *columns = random_rows(k, rows, ld, 1, 14), *x = test_floats(rows * k);
                for (size_t r = 0; r < rows; r++)
                    for (size_t j = 0; j < k; j++) x[r * k + j] = columns[j * ld + r];
                unsigned char *a = test_bytes(size + 8), *b = test_bytes(size);
                memset(a + size, 7, 8);
                gemm->pack_token_columns(gemm, a, columns, ld, rows, k);
                gemm->pack_tokens(gemm, b, x, k, rows, k);
                assert_memory_equal(a, b, size);
                for (size_t j = 0; j < 8; j++) assert_int_equal(a[size + j], 7);
                vitc_aligned_free(columns);
                vitc_aligned_free(x);
                vitc_aligned_free(a);
                vitc_aligned_free(b);
            }
}

/* ---- linear layers ---- */

/* Rounds operands to bf16, so that the formula in double sees what the format sees. */
static void round_for(const vit_gemm *gemm, float *values, size_t count)
{
    if (gemm == &kernels.bf16) vit_rows_f32_ref.round_bf16(values, count);
}

static const size_t linear_shapes[][3] = {
    {1, 1, 1},     {1, 7, 24},    {3, 40, 24},    {5, 24, 41},   {13, 33, 17},
    {65, 100, 49}, {50, 96, 300}, {197, 64, 192}, {300, 65, 89}, {600, 30, 70}};
enum { LINEAR_SHAPES = sizeof linear_shapes / sizeof linear_shapes[0] };

typedef struct linear_case {
    size_t tokens, out, in, lddy, ldx;
    const vit_gemm *gemm;
    float *x, *dy, *weight, *dx_start;
    double *dx, *dw, *db; /* by formula */
} linear_case;

static linear_case make_linear_case(const size_t *shape, const vit_gemm *gemm)
{
    const size_t tokens = shape[0], out = shape[1], in = shape[2];
    linear_case c = {
        .tokens = tokens, .out = out, .in = in, .lddy = out + 5, .ldx = in + 3, .gemm = gemm};
    c.x = random_rows(tokens, in, c.ldx, 1, 1);
    c.dy = random_rows(tokens, out, c.lddy, 1, 2);
    c.weight = test_random_floats(out * in, 1, 3);
    c.dx_start = random_rows(tokens, in, c.ldx, 1, 4);
    round_for(gemm, c.x, tokens * c.ldx);
    round_for(gemm, c.dy, tokens * c.lddy);
    round_for(gemm, c.weight, out * in);
    double *x = double_rows(c.x, tokens, in, c.ldx), *dy = double_rows(c.dy, tokens, out, c.lddy);
    double *weight = doubles(c.weight, out * in);
    c.dx = doubles(NULL, tokens * in);
    c.dw = doubles(NULL, out * in);
    c.db = doubles(NULL, out);
    vit_double_linear_backward(c.dx, c.dw, c.db, dy, x, tokens, weight, out, in);
    free(x);
    free(dy);
    free(weight);
    return c;
}

static void free_linear_case(linear_case *c)
{
    vitc_aligned_free(c->x);
    vitc_aligned_free(c->dy);
    vitc_aligned_free(c->weight);
    vitc_aligned_free(c->dx_start);
    free(c->dx);
    free(c->dw);
    free(c->db);
}

/* z and hidden [tokens, out] of strides lddy and out + 9, by one operation or by two. */
static void run_activated(const linear_case *c, const vit_linear *linear, const vit_norm *norm,
                          vit_epilogue activation, bool apart, float *z, float *hidden, int threads)
{
    const size_t ldz = c->lddy, ldh = c->out + 9;
    const vit_scratch scratch =
        make_scratch(vit_op_linear_packed(c->gemm, c->tokens, c->in, (size_t)threads),
                     vit_op_linear_thread(c->gemm, c->in), threads);
#pragma omp parallel num_threads(threads)
    if (apart) {
        vit_op_linear(z, ldz, c->x, c->ldx, c->tokens, norm, linear, VIT_EPILOGUE_BIAS, false,
                      &scratch, kernels.rows);
#pragma omp barrier
        vit_op_linear(hidden, ldh, c->x, c->ldx, c->tokens, norm, linear, activation, false,
                      &scratch, kernels.rows);
    } else {
        vit_op_linear_activated(z, ldz, hidden, ldh, c->x, c->ldx, c->tokens, norm, linear,
                                activation, &scratch, kernels.rows);
    }
    free_scratch(&scratch);
}

/* z and f(z) at once have the bits that they have one by one. */
static void activated_linear_gives_both(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < LINEAR_SHAPES; i++)
        for (int e = 0; e < VIT_EPILOGUE_COUNT; e++) {
            linear_case c =
                make_linear_case(linear_shapes[i], e % 2 ? &kernels.bf16 : &kernels.f32);
            const size_t packed = vit_linear_packed_size(c.gemm, c.out, c.in);
            float *bias = test_random_floats(c.out, 1, 6), *gain = test_random_floats(c.in, 1, 7);
            const vit_linear linear = {c.out, c.in, c.gemm, test_bytes(packed), bias};
            const vit_norm norm = {gain, gain, 1e-6f};
            const size_t z_size = c.tokens * c.lddy, h_size = c.tokens * (c.out + 9);
            vit_linear_pack(&linear, c.weight, NULL);
            float *z = test_floats(z_size), *hidden = test_floats(h_size);
            run_activated(&c, &linear, e > 2 ? &norm : NULL, (vit_epilogue)e, true, z, hidden, 1);
            for (int threads = 1; threads <= 3; threads++) {
                float *both_z = test_floats(z_size), *both_hidden = test_floats(h_size);
                run_activated(&c, &linear, e > 2 ? &norm : NULL, (vit_epilogue)e, false, both_z,
                              both_hidden, threads);
                assert_memory_equal(both_z, z, z_size * sizeof *z);
                assert_memory_equal(both_hidden, hidden, h_size * sizeof *hidden);
                vitc_aligned_free(both_z);
                vitc_aligned_free(both_hidden);
            }
            vitc_aligned_free(z);
            vitc_aligned_free(hidden);
            vitc_aligned_free(bias);
            vitc_aligned_free(gain);
            vitc_aligned_free(linear.packed);
            free_linear_case(&c);
        }
}

/* dx, which has room for it and its padding; z NULL: no activation. */
static void run_input(const linear_case *c, float *dx, bool accumulate, vit_epilogue activation,
                      float *z, int threads)
{
    const vit_linear transposed = {
        c->in, c->out, c->gemm, test_bytes(vit_linear_packed_size(c->gemm, c->in, c->out)), NULL};
    vit_linear_pack_transposed(&transposed, c->weight);
    const vit_scratch scratch =
        make_scratch(vit_op_linear_packed(c->gemm, c->tokens, c->out, (size_t)threads),
                     vit_op_linear_thread(c->gemm, c->out), threads);
#pragma omp parallel num_threads(threads)
    vit_op_linear_backward_input(dx, c->ldx, c->dy, c->lddy, c->tokens, &transposed, accumulate,
                                 activation, z, c->ldx, &scratch, kernels.rows);
    free_scratch(&scratch);
    vitc_aligned_free(transposed.packed);
}

static void check_input(const linear_case *c)
{
    const size_t count = c->tokens * c->ldx;
    float *first = NULL;
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        double *exact = doubles(NULL, c->tokens * c->in);
        for (size_t t = 0; t < c->tokens; t++)
            for (size_t i = 0; i < c->in; i++)
                exact[t * c->in + i] =
                    c->dx[t * c->in + i] + (accumulate ? (double)c->dx_start[t * c->ldx + i] : 0);
        for (int threads = 1; threads <= 3; threads++) {
            float *dx = accumulate ? copy_floats(c->dx_start, count) : test_floats(count);
            run_input(c, dx, accumulate, VIT_EPILOGUE_BIAS, NULL, threads);
            assert_rows(dx, exact, c->tokens, c->in, c->ldx, f32_tolerance);
            if (threads == 1)
                first = dx;
            else
                for (size_t t = 0; t < c->tokens; t++)
                    assert_memory_equal(dx + t * c->ldx, first + t * c->ldx, c->in * sizeof *dx);
            if (threads > 1) vitc_aligned_free(dx);
        }
        vitc_aligned_free(first);
        free(exact);
    }
}

static void linear_input_gradient_equals_formula(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < LINEAR_SHAPES; i++)
        for (int f = 0; f < 2; f++) {
            linear_case c = make_linear_case(linear_shapes[i], f ? &kernels.bf16 : &kernels.f32);
            check_input(&c);
            free_linear_case(&c);
        }
}

/* dx of x = f(z) is the gradient of z, and f(z) takes the place of z. */
static void linear_input_gradient_goes_through_the_activation(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < LINEAR_SHAPES; i++)
        for (int e = 0; e < VIT_EPILOGUE_COUNT; e++) {
            linear_case c = make_linear_case(linear_shapes[i], &kernels.f32);
            const size_t count = c.tokens * c.in, spread = c.tokens * c.ldx;
            float *z = random_rows(c.tokens, c.in, c.ldx, 2, 5), *first = NULL, *first_z = NULL;
            double *value = doubles(NULL, count), *slope = doubles(NULL, count);
            for (size_t j = 0; j < count; j++) {
                const double at = (double)z[j / c.in * c.ldx + j % c.in];
                value[j] = vit_double_activation((vit_epilogue)e, at);
                slope[j] = c.dx[j] * vit_double_activation_slope((vit_epilogue)e, at);
            }
            for (int threads = 1; threads <= 3; threads++) {
                float *dx = test_floats(spread), *own_z = copy_floats(z, spread);
                run_input(&c, dx, false, (vit_epilogue)e, own_z, threads);
                assert_rows(dx, slope, c.tokens, c.in, c.ldx, f32_tolerance);
                assert_rows(own_z, value, c.tokens, c.in, c.ldx, f32_tolerance);
                if (threads == 1) {
                    first = dx;
                    first_z = own_z;
                    continue;
                }
                for (size_t t = 0; t < c.tokens; t++) {
                    const size_t at = t * c.ldx, bytes = c.in * sizeof *dx;
                    assert_memory_equal(dx + at, first + at, bytes);
                    assert_memory_equal(own_z + at, first_z + at, bytes);
                }
                vitc_aligned_free(dx);
                vitc_aligned_free(own_z);
            }
            vitc_aligned_free(first);
            vitc_aligned_free(first_z);
            vitc_aligned_free(z);
            free(value);
            free(slope);
            free_linear_case(&c);
        }
}

static void run_weight(const linear_case *c, float *dw, float *db, const vit_norm *norm,
                       int threads)
{
    const vit_scratch scratch =
        make_scratch(1, vit_op_linear_backward_thread(c->gemm, c->tokens, c->in), threads);
#pragma omp parallel num_threads(threads)
    vit_op_linear_backward_weight(dw, db, c->dy, c->lddy, c->x, c->ldx, c->tokens, norm, c->out,
                                  c->in, c->gemm, &scratch, kernels.rows);
    free_scratch(&scratch);
}

/* Twice, so that the second adds to the first. */
static void check_weight(const linear_case *c, const vit_norm *norm, double tolerance)
{
    const size_t count = c->out * c->in;
    float *first = NULL, *first_db = NULL;
    double *once = doubles(NULL, count), *twice = doubles(NULL, count);
    double *once_db = doubles(NULL, c->out), *twice_db = doubles(NULL, c->out);
    for (size_t i = 0; i < count; i++) twice[i] = 2 * (once[i] = c->dw[i]);
    for (size_t i = 0; i < c->out; i++) twice_db[i] = 2 * (once_db[i] = c->db[i]);
    for (int threads = 1; threads <= 6; threads++) {
        float *dw = test_floats(count), *db = test_floats(c->out);
        memset(dw, 0, count * sizeof *dw);
        memset(db, 0, c->out * sizeof *db);
        run_weight(c, dw, db, norm, threads);
        assert_rows(dw, once, 1, count, count, tolerance);
        assert_rows(db, once_db, 1, c->out, c->out, f32_tolerance);
        run_weight(c, dw, NULL, norm, threads);
        assert_rows(dw, twice, 1, count, count, tolerance);
        assert_rows(db, once_db, 1, c->out, c->out, f32_tolerance);
        run_weight(c, dw, db, norm, threads);
        assert_rows(db, twice_db, 1, c->out, c->out, f32_tolerance);
        if (threads == 1) {
            first = dw;
            first_db = db;
            continue;
        }
        assert_memory_equal(dw, first, count * sizeof *dw);
        assert_memory_equal(db, first_db, c->out * sizeof *db);
        vitc_aligned_free(dw);
        vitc_aligned_free(db);
    }
    vitc_aligned_free(first);
    vitc_aligned_free(first_db);
    free(once);
    free(twice);
    free(once_db);
    free(twice_db);
}

static void linear_weight_gradient_equals_formula(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < LINEAR_SHAPES; i++)
        for (int f = 0; f < 2; f++) {
            linear_case c = make_linear_case(linear_shapes[i], f ? &kernels.bf16 : &kernels.f32);
            check_weight(&c, NULL, f32_tolerance);
            free_linear_case(&c);
        }
}

/* A layer of several blocks of columns. */
static void wide_weight_gradient_equals_formula(void **unused)
{
    (void)unused;
    static const size_t shape[] = {270, 14, 700};
    linear_case c = make_linear_case(shape, &kernels.f32);
    check_weight(&c, NULL, f32_tolerance);
    free_linear_case(&c);
}

static void linear_weight_gradient_norms_its_input(void **unused)
{
    (void)unused;
    for (size_t i = 3; i < LINEAR_SHAPES; i++) {
        linear_case c = make_linear_case(linear_shapes[i], &kernels.f32);
        float *g = test_random_floats(2 * c.in, 1, 6);
        const vit_norm norm = {g, g + c.in, 1e-3f};
        double *x = double_rows(c.x, c.tokens, c.in, c.ldx), *y = doubles(NULL, c.tokens * c.in);
        double *weight = doubles(g, 2 * c.in), *dy = double_rows(c.dy, c.tokens, c.out, c.lddy);
        double *w = doubles(c.weight, c.out * c.in);
        vit_double_layernorm(y, x, c.tokens, weight, weight + c.in, c.in, (double)norm.eps);
        memset(c.dw, 0, c.out * c.in * sizeof *c.dw);
        memset(c.db, 0, c.out * sizeof *c.db);
        vit_double_linear_backward(c.dx, c.dw, c.db, dy, y, c.tokens, w, c.out, c.in);
        check_weight(&c, &norm, f32_tolerance);
        free(x);
        free(y);
        free(weight);
        free(dy);
        free(w);
        vitc_aligned_free(g);
        free_linear_case(&c);
    }
}

/* ---- LayerNorm ---- */

static void check_layernorm(size_t tokens, size_t width, bool accumulate)
{
    const size_t lddx = width + 1, lddy = width + 2, ldx = width + 3;
    float *x = random_rows(tokens, width, ldx, 2, 7), *dy = random_rows(tokens, width, lddy, 1, 8);
    float *start = random_rows(tokens, width, lddx, 1, 9),
          *g = test_random_floats(3 * width, 1, 10);
    const vit_norm norm = {g, NULL, 1e-5f};
    double *xd = double_rows(x, tokens, width, ldx), *dyd = double_rows(dy, tokens, width, lddy);
    double *dx = doubles(NULL, tokens * width), *gd = doubles(g, 3 * width);
    vit_double_layernorm_backward(dx, gd + width, gd + 2 * width, dyd, xd, tokens, gd, width,
                                  (double)norm.eps);
    for (size_t i = 0; accumulate && i < tokens * width; i++)
        dx[i] += (double)start[i / width * lddx + i % width];
    float *first = NULL, *first_g = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        float *fast = accumulate ? copy_floats(start, tokens * lddx) : test_floats(tokens * lddx);
        float *sums = copy_floats(g + width, 2 * width);
        const vit_scratch scratch =
            make_scratch(vit_op_layernorm_backward_packed(tokens, width), 1, threads);
#pragma omp parallel num_threads(threads)
        vit_op_layernorm_backward(fast, lddx, dy, lddy, x, ldx, tokens, &norm, sums, sums + width,
                                  width, accumulate, &scratch, kernels.rows);
        free_scratch(&scratch);
        assert_rows(fast, dx, tokens, width, lddx, f32_tolerance);
        assert_rows(sums, gd + width, 1, 2 * width, 2 * width, f32_tolerance);
        if (threads == 1) {
            first = fast;
            first_g = sums;
            continue;
        }
        for (size_t t = 0; t < tokens; t++)
            assert_memory_equal(fast + t * lddx, first + t * lddx, width * sizeof *fast);
        assert_memory_equal(sums, first_g, 2 * width * sizeof *sums);
        vitc_aligned_free(fast);
        vitc_aligned_free(sums);
    }
    vitc_aligned_free(first);
    vitc_aligned_free(first_g);
    vitc_aligned_free(x);
    vitc_aligned_free(dy);
    vitc_aligned_free(start);
    vitc_aligned_free(g);
    free(xd);
    free(dyd);
    free(dx);
    free(gd);
}

static void layernorm_gradient_equals_formula(void **unused)
{
    (void)unused;
    static const size_t shapes[][2] = {{1, 4}, {3, 5}, {23, 77}, {64, 192}, {65, 16}, {300, 130}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        check_layernorm(shapes[i][0], shapes[i][1], false);
        check_layernorm(shapes[i][0], shapes[i][1], true);
    }
}

/* ---- attention ---- */

typedef struct attention_shape {
    size_t images, tokens, heads, head_width, queries;
    uint32_t grid_height, prefix; /* of relative positions; grid 0: none */
} attention_shape;

/* A random table [rows][H] of relative positions, the biases [H][N][N] that it means, and those
 * [H][rows] that the operation takes. */
typedef struct relative_case {
    float *table, *arranged;
    double *biases;
    vit_relative relative;
} relative_case;

static relative_case make_relative(const attention_shape *s)
{
    const uint32_t tokens = (uint32_t)s->tokens;
    const patches_relative shape = {.grid_height = s->grid_height,
                                    .grid_width = (tokens - s->prefix) / s->grid_height,
                                    .prefix = s->prefix,
                                    .heads = (uint32_t)s->heads};
    const size_t rows = patches_relative_rows(&shape);
    relative_case c = {.table = test_random_floats(rows * s->heads, 1, 21),
                       .arranged = test_floats(rows * s->heads),
                       .biases = doubles(NULL, s->heads * s->tokens * s->tokens)};
    double *bias = c.biases;
    for (size_t h = 0; h < s->heads; h++)
        for (uint32_t q = 0; q < tokens; q++)
            for (uint32_t k = 0; k < tokens; k++)
                *bias++ = (double)c.table[patches_relative_index(&shape, q, k) * s->heads + h];
    patches_relative_arrange(c.arranged, c.table, sqrtf((float)s->head_width), &shape);
    c.relative = (vit_relative){shape, c.arranged};
    return c;
}

static void free_relative(const relative_case *c)
{
    vitc_aligned_free(c->table);
    vitc_aligned_free(c->arranged);
    free(c->biases);
}

/* Each image's dbiases, back in the table's order and together, are sums of `exact` [H][N][N]. */
static void check_bias_gradient(const attention_shape *s, const relative_case *c,
                                const float *dbiases, const double *exact, double tolerance)
{
    const patches_relative *shape = &c->relative.shape;
    const size_t rows = patches_relative_rows(shape), count = rows * s->heads;
    double *expected = doubles(NULL, count);
    float *found = test_floats(count);
    memset(found, 0, count * sizeof *found);
    for (size_t b = 0; b < s->images; b++)
        patches_relative_arrange_backward(found, dbiases + b * count, sqrtf((float)s->head_width),
                                          shape);
    for (size_t h = 0; h < s->heads; h++)
        for (uint32_t q = 0; q < s->tokens; q++)
            for (uint32_t k = 0; k < s->tokens; k++)
                expected[patches_relative_index(shape, q, k) * s->heads + h] += *exact++;
    assert_rows(found, expected, 1, count, count, tolerance);
    free(expected);
    vitc_aligned_free(found);
}

static void check_attention(const attention_shape *s, const vit_gemm *gemm, double tolerance)
{
    const size_t width = s->heads * s->head_width, rows = s->images * s->tokens;
    const size_t ldq = 3 * width + 4, lddq = 3 * width + 1, lddo = width + 2;
    float *qkv = random_rows(rows, 3 * width, ldq, 1.5, 11);
    float *dout = random_rows(rows, width, lddo, 1, 12), *first = NULL, *first_biases = NULL;
    const size_t pairs = s->heads * s->tokens * s->tokens;
    double *exact = doubles(NULL, rows * 3 * width), *weights = doubles(NULL, 2 * s->tokens);
    double *exact_biases = doubles(NULL, pairs);
    double *qkvd = double_rows(qkv, rows, 3 * width, ldq);
    double *doutd = double_rows(dout, rows, width, lddo);
    relative_case c = {0};
    if (s->grid_height > 0) c = make_relative(s);
    const vit_relative *relative = s->grid_height > 0 ? &c.relative : NULL;
    for (size_t r = 0; r < rows; r++) { /* where there is no query, nothing is looked at */
        if (r % s->tokens < s->queries) continue;
        memset(doutd + r * width, 0, width * sizeof *doutd);
        for (size_t i = 0; i < width; i++) dout[r * lddo + i] = NAN;
    }
    vit_double_attention_backward(exact, exact_biases, doutd, qkvd, s->images, s->tokens, s->heads,
                                  s->head_width, c.biases, weights);
    const size_t bias_count =
        relative != NULL ? s->images * s->heads * patches_relative_rows(&relative->shape) : 0;
    for (int threads = 1; threads <= 3; threads++) {
        float *dqkv = test_floats(rows * lddq), *dbiases = test_floats(bias_count + 1);
        const vit_scratch scratch = make_scratch(
            1, vit_op_attention_backward_thread(gemm, s->tokens, s->head_width), threads);
#pragma omp parallel num_threads(threads)
        vit_op_attention_backward(dqkv, lddq, dout, lddo, qkv, ldq, s->images, s->tokens,
                                  s->queries, s->heads, s->head_width, relative,
                                  relative != NULL ? dbiases : NULL, gemm, &scratch, kernels.rows);
        free_scratch(&scratch);
        assert_rows(dqkv, exact, rows, 3 * width, lddq, tolerance);
        if (relative != NULL) check_bias_gradient(s, &c, dbiases, exact_biases, tolerance);
        if (threads == 1) {
            first = dqkv;
            first_biases = dbiases;
            continue;
        }
        for (size_t t = 0; t < rows; t++)
            assert_memory_equal(dqkv + t * lddq, first + t * lddq, 3 * width * sizeof *dqkv);
        assert_memory_equal(dbiases, first_biases, bias_count * sizeof *dbiases);
        vitc_aligned_free(dqkv);
        vitc_aligned_free(dbiases);
    }
    if (relative != NULL) free_relative(&c);
    vitc_aligned_free(first);
    vitc_aligned_free(first_biases);
    vitc_aligned_free(qkv);
    vitc_aligned_free(dout);
    free(exact);
    free(exact_biases);
    free(weights);
    free(qkvd);
    free(doutd);
}

static void attention_gradient_equals_formula(void **unused)
{
    (void)unused;
    /* {1, 250, ...} and {1, 900, ...} take several runs of queries, and the last several passes */
    static const attention_shape shapes[] = {
        {1, 2, 1, 1, 2, 0, 0},       {2, 5, 2, 12, 5, 0, 0},     {3, 17, 3, 8, 17, 0, 0},
        {2, 37, 1, 80, 37, 0, 0},    {1, 65, 4, 64, 65, 0, 0},   {2, 33, 2, 33, 33, 0, 0},
        {1, 50, 2, 16, 50, 0, 0},    {1, 250, 1, 20, 250, 0, 0}, {1, 900, 1, 9, 900, 0, 0},
        {3, 17, 3, 8, 1, 0, 0},      {2, 40, 2, 16, 13, 0, 0},   {1, 250, 1, 20, 200, 0, 0},
        {2, 12, 2, 8, 12, 3, 0},     {3, 14, 3, 16, 14, 4, 2},   {2, 26, 1, 8, 1, 5, 1},
        {1, 251, 2, 12, 251, 25, 1}, {2, 64, 3, 32, 64, 0, 0},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        check_attention(&shapes[i], &kernels.f32, f32_tolerance);
        /* scores, weights and their gradients are rounded: 2^-9 each, of sums that partly cancel */
        check_attention(&shapes[i], &kernels.bf16, 0.04);
    }
}

/* A single token attends to itself, whatever its query and key. */
static void attention_of_one_token_passes_values_only(void **unused)
{
    (void)unused;
    enum { WIDTH = 5 };
    float *qkv = test_random_floats(3 * WIDTH, 1, 13), *dout = test_random_floats(WIDTH, 1, 14);
    float *dqkv = test_floats(3 * WIDTH);
    const vit_scratch scratch =
        make_scratch(1, vit_op_attention_backward_thread(&kernels.f32, 1, WIDTH), 1);
    vit_op_attention_backward(dqkv, 3 * WIDTH, dout, WIDTH, qkv, 3 * WIDTH, 1, 1, 1, 1, WIDTH, NULL,
                              NULL, &kernels.f32, &scratch, kernels.rows);
    for (size_t i = 0; i < 2 * WIDTH; i++) assert_true(fabsf(dqkv[i]) < 1e-6f);
    for (size_t i = 0; i < WIDTH; i++) assert_true(fabsf(dqkv[2 * WIDTH + i] - dout[i]) < 1e-6f);
    free_scratch(&scratch);
    vitc_aligned_free(qkv);
    vitc_aligned_free(dout);
    vitc_aligned_free(dqkv);
}

/* ---- the loss ---- */

static void cross_entropy_equals_formula(void **unused)
{
    (void)unused;
    enum { COUNT = C_IMAGES * C_CLASSES };
    double targets[COUNT], exact[COUNT];
    float *logits = test_random_floats(COUNT, 3, 15), targets_f[COUNT], dlogits[COUNT];
    logits[3] = 400; /* softmax must not overflow */
    fill_targets(targets);
    for (int i = 0; i < COUNT; i++) targets[i] = (double)(targets_f[i] = (float)targets[i]);
    double *z = doubles(logits, COUNT);
    const double expected = vit_double_cross_entropy(exact, z, targets, C_IMAGES, C_CLASSES);
    const double loss =
        vit_loss_cross_entropy(dlogits, logits, targets_f, C_IMAGES, C_CLASSES, 0.25f);
    assert_true(fabs(loss - expected) <= 1e-12 * fabs(expected));
    for (int i = 0; i < COUNT; i++) exact[i] *= 0.25;
    assert_rows(dlogits, exact, 1, COUNT, COUNT, 1e-7);
    vit_loss_cross_entropy(logits, logits, targets_f, C_IMAGES, C_CLASSES, 0.25f);
    assert_memory_equal(logits, dlogits, sizeof dlogits);
    logits[C_CLASSES + 1] = NAN;
    assert_true(isnan(vit_loss_cross_entropy(dlogits, logits, targets_f, C_IMAGES, C_CLASSES, 1)));
    vitc_aligned_free(logits);
    free(z);
}

static void sizes_that_overflow_are_refused(void **unused)
{
    (void)unused;
    const vit_gemm *gemm = &kernels.f32;
    assert_true(vit_op_linear_backward_thread(gemm, 100, SIZE_MAX / 8) == 0);
    assert_true(vit_op_linear_backward_thread(gemm, SIZE_MAX, SIZE_MAX) == 0);
    assert_true(vit_op_layernorm_backward_packed(SIZE_MAX, 64) == 0);
    assert_true(vit_op_layernorm_backward_packed(64, SIZE_MAX / 4) == 0);
    assert_true(vit_op_attention_backward_thread(gemm, SIZE_MAX / 8, 64) == 0);
    assert_true(vit_op_attention_backward_thread(gemm, SIZE_MAX, 64) == 0);
    assert_true(vit_op_attention_backward_thread(gemm, 64, SIZE_MAX / 8) == 0);
}

int main(void)
{
    kernels = test_kernels_or_skip();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_formula_has_its_differences),
        cmocka_unit_test(activation_formulas_have_their_differences),
        cmocka_unit_test(layernorm_formula_has_its_differences),
        cmocka_unit_test(attention_formula_has_its_differences),
        cmocka_unit_test(cross_entropy_formula_has_its_differences),
        cmocka_unit_test(epilogues_backward_equal_ref),
        cmocka_unit_test(epilogues_backward_take_extremes),
        cmocka_unit_test(rows_backward_touch_their_rows),
        cmocka_unit_test(layernorm_row_backward_equals_ref),
        cmocka_unit_test(softmax_row_backward_equals_ref),
        cmocka_unit_test(added_rows_equal_ref),
        cmocka_unit_test(token_columns_pack_as_rows_do),
        cmocka_unit_test(activated_linear_gives_both),
        cmocka_unit_test(linear_input_gradient_equals_formula),
        cmocka_unit_test(linear_input_gradient_goes_through_the_activation),
        cmocka_unit_test(linear_weight_gradient_equals_formula),
        cmocka_unit_test(wide_weight_gradient_equals_formula),
        cmocka_unit_test(linear_weight_gradient_norms_its_input),
        cmocka_unit_test(layernorm_gradient_equals_formula),
        cmocka_unit_test(attention_gradient_equals_formula),
        cmocka_unit_test(attention_of_one_token_passes_values_only),
        cmocka_unit_test(cross_entropy_equals_formula),
        cmocka_unit_test(sizes_that_overflow_are_refused),
    };
    return cmocka_run_group_tests_name("backward operations", tests, NULL, NULL);
}
