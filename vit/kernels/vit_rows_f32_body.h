/* vit_rows_f32_body.h - the row operations on the vectors of vit_vec_f32.h.
 *
 * One body, compiled once per instruction set: vit_rows_f32_<isa>.c defines VIT_ROWS_TABLE and
 * includes this file, and CMake gives that file its flags. Nothing here may be called on a machine
 * that lacks them, so everything is static but the table.
 *
 * KERNELS.md states the error bounds, which tests check against the ref rows. The polynomials were
 * fitted by fit_rows_f32.py. */
#include <math.h>

#include "vit_kernels.h"
#include "vit_unroll.h"
#include "vit_vec_f32.h"

#define ROUND_MAGIC 12582912.0f /* 1.5 * 2^23: adding it leaves no fraction bits */

/* exp(x) = 2^n e^r with n = round(x / ln 2), |r| <= ln(2)/2, and a degree-6 polynomial for e^r
 * (relative error 1.1e-8). Clamped to [-87.3, 88.7], where the result is a normal float; NaN in
 * gives NaN out. ln 2 is split so that n * LN2_HIGH is exact for |n| < 2^10. */
VEC_INLINE vec exp_f32(vec x)
{
    const float log2_e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    x = vec_max(vec_all(-87.3f), x);
    x = vec_min(vec_all(88.7f), x);
    const vec shifted = x * log2_e + ROUND_MAGIC;
    const vec n = shifted - ROUND_MAGIC;
    const vec r = (x - n * ln2_high) - n * ln2_low;
    vec p = r * 0.0013926184f + 0.00836317893f;
    p = p * r + 0.0416665561f;
    p = p * r + 0.166665763f;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    /* the low bits of `shifted` hold n; 2^n is built in two halves because n reaches 128 */
    const bits exponent = (bits)shifted - (bits)vec_all(ROUND_MAGIC);
    const bits half = (bits)((ints)exponent >> 1);
    return p * (vec)((half + 127) << 23) * (vec)((exponent - half + 127) << 23);
}

/* 2^y for y <= 0 (2^0 is exactly 1) with a degree-5 polynomial, relative error 9.2e-8; below
 * y = -125 it stays at 2^-125. NaN in gives NaN out. */
VEC_INLINE vec exp2_nonpositive_f32(vec y)
{
    y = vec_max(vec_all(-125.0f), y);
    const vec shifted = y + ROUND_MAGIC;
    const vec f = y - (shifted - ROUND_MAGIC);
    vec p = f * 0.00132647203f + 0.00967151299f;
    p = p * f + 0.0555073395f;
    p = p * f + 0.240222424f;
    p = p * f + 0.693147004f;
    p = p * f + 1.0f;
    /* p is in [0.7, 1.42]: adding n to its exponent is multiplying by 2^n */
    return (vec)((bits)p + ((bits)shifted << 23));
}

/* Phi(-a) = 2^q(a) for 0 <= a <= 5.7, q of degree 8. */
VEC_INLINE vec normal_tail_f32(vec a)
{
    vec q = a * -1.96597216e-06f + 2.89199379e-05f;
    q = q * a + -0.000136159244f;
    q = q * a + -0.000258930406f;
    q = q * a + 0.00722511159f;
    q = q * a + -0.0526107103f;
    q = q * a + -0.459168792f;
    q = q * a + -1.15111041f;
    q = q * a + -0.999999881f;
    return exp2_nonpositive_f32(q);
}

/* GELU(x) = x Phi(x) = max(x, 0) - |x| Phi(-|x|), which has no cancellation in either tail; beyond
 * 5.7, a Phi(-a) < 3.5e-8 keeps its last value. */
VEC_INLINE vec gelu_erf_f32(vec x)
{
    const vec a = vec_min(vec_all(5.7f), vec_abs(x));
    const vec positive = vec_max(vec_all(0.0f), x); /* NaN stays */
    return positive - a * normal_tail_f32(a);
}

VEC_INLINE vec sigmoid_times_f32(vec x, vec u)
{
    return x / (1.0f + exp_f32(-u));
}

/* The loop that all epilogues share; `value` is an expression of v = x + bias. */
#define EPILOGUE(name, value)                                                                      \
    static void name(float *x, size_t ldx, size_t rows, const float *bias, size_t n)               \
    {                                                                                              \
        const size_t whole = n - n % VEC_LANES;                                                    \
        for (size_t r = 0; r < rows; r++) {                                                        \
            float *row = x + r * ldx;                                                              \
            for (size_t i = 0; i < whole; i += VEC_LANES) {                                        \
                const vec v = vec_load(row + i) + vec_load(bias + i);                              \
                vec_store(row + i, value);                                                         \
            }                                                                                      \
            if (whole < n) {                                                                       \
                const vec v = vec_load_some(row + whole, n - whole) +                              \
                              vec_load_some(bias + whole, n - whole);                              \
                vec_store_some(row + whole, value, n - whole);                                     \
            }                                                                                      \
        }                                                                                          \
    }

EPILOGUE(bias_rows, v)
EPILOGUE(gelu_erf_rows, gelu_erf_f32(v))
/* (1 + tanh u) / 2 = sigmoid(2u) with 2u = 2 sqrt(2/pi) (v + 0.044715 v^3) */
EPILOGUE(gelu_tanh_rows, sigmoid_times_f32(v, v *(v * 0.0713548163f * v + 1.59576912f)))
EPILOGUE(gelu_quick_rows, sigmoid_times_f32(v, v * 1.702f))
EPILOGUE(relu_rows, vec_max(v, vec_all(0.0f)))
EPILOGUE(silu_rows, sigmoid_times_f32(v, v))

/* Sums are taken in four vectors, so that additions need not wait for each other. */
enum { SUMS = 4, STRIDE = SUMS * VEC_LANES };

typedef struct moments {
    float mean, inverse; /* 1 / sqrt(variance + eps) */
} moments;

static moments row_moments(const float *x, size_t n, float eps)
{
    const size_t strides = n - n % STRIDE, whole = n - n % VEC_LANES, rest = n - whole;
    vec sums[SUMS] = {{0}}, squares[SUMS] = {{0}};
    for (size_t i = 0; i < strides; i += STRIDE) {
        VIT_UNROLL
        for (size_t s = 0; s < SUMS; s++) sums[s] += vec_load(x + i + s * VEC_LANES);
    }
    for (size_t i = strides; i < whole; i += VEC_LANES) sums[0] += vec_load(x + i);
    if (rest > 0) sums[1] += vec_load_some(x + whole, rest);
    const float mean = vec_sum((sums[0] + sums[1]) + (sums[2] + sums[3])) / (float)n;

    for (size_t i = 0; i < strides; i += STRIDE) {
        VIT_UNROLL
        for (size_t s = 0; s < SUMS; s++) {
            const vec difference = vec_load(x + i + s * VEC_LANES) - mean;
            squares[s] += difference * difference;
        }
    }
    for (size_t i = strides; i < whole; i += VEC_LANES) {
        const vec difference = vec_load(x + i) - mean;
        squares[0] += difference * difference;
    }
    if (rest > 0) {
        const vec difference =
            (vec)((ints)(vec_load_some(x + whole, rest) - mean) & vec_first(rest));
        squares[1] += difference * difference;
    }
    const float variance =
        vec_sum((squares[0] + squares[1]) + (squares[2] + squares[3])) / (float)n;

    return (moments){mean, 1.0f / sqrtf(variance + eps)};
}

static void layernorm_row(float *out, const float *x, const float *weight, const float *bias,
                          size_t n, float eps)
{
    const size_t whole = n - n % VEC_LANES, rest = n - whole;
    const moments m = row_moments(x, n, eps);
    const float mean = m.mean, inverse = m.inverse;
    for (size_t i = 0; i < whole; i += VEC_LANES)
        vec_store(out + i,
                  (vec_load(x + i) - mean) * inverse * vec_load(weight + i) + vec_load(bias + i));
    if (rest > 0)
        vec_store_some(out + whole,
                       (vec_load_some(x + whole, rest) - mean) * inverse *
                               vec_load_some(weight + whole, rest) +
                           vec_load_some(bias + whole, rest),
                       rest);
}

static float softmax_row(float *x, size_t n, float scale)
{
    const size_t strides = n - n % STRIDE, whole = n - n % VEC_LANES, rest = n - whole;
    vec largest[SUMS];
    VIT_UNROLL
    for (size_t s = 0; s < SUMS; s++) largest[s] = vec_all(x[0]);
    for (size_t i = 0; i < strides; i += STRIDE) {
        VIT_UNROLL
        for (size_t s = 0; s < SUMS; s++)
            largest[s] = vec_max(vec_load(x + i + s * VEC_LANES), largest[s]);
    }
    for (size_t i = strides; i < whole; i += VEC_LANES)
        largest[0] = vec_max(vec_load(x + i), largest[0]);
    if (rest > 0)
        largest[1] = vec_max(
            vec_select(vec_first(rest), vec_load_some(x + whole, rest), vec_all(x[0])), largest[1]);
    const float maximum =
        vec_largest(vec_max(vec_max(largest[0], largest[1]), vec_max(largest[2], largest[3])));

    /* The rounding of the product is the same for all, so it cancels in the quotient; it may leave
     * the largest argument a little above 0, which does no harm. */
    const float factor = scale * 1.44269504f, offset = maximum * factor;
    vec sum = {0};
    for (size_t i = 0; i < whole; i += VEC_LANES) {
        const vec e = exp2_nonpositive_f32(vec_load(x + i) * factor - offset);
        vec_store(x + i, e);
        sum += e;
    }
    if (rest > 0) {
        const vec e = exp2_nonpositive_f32(vec_load_some(x + whole, rest) * factor - offset);
        vec_store_some(x + whole, e, rest);
        sum += (vec)((ints)e & vec_first(rest));
    }
    return vec_sum(sum);
}

static void scale_rows(float *x, size_t ldx, const float *factor, size_t rows, size_t n)
{
    const size_t whole = n - n % VEC_LANES, rest = n - whole;
    for (size_t r = 0; r < rows; r++) {
        float *row = x + r * ldx;
        for (size_t i = 0; i < whole; i += VEC_LANES)
            vec_store(row + i, vec_load(row + i) * factor[r]);
        if (rest > 0)
            vec_store_some(row + whole, vec_load_some(row + whole, rest) * factor[r], rest);
    }
}

/* Transposes in blocks of k, so that the strided side stays within a few cache lines. An
 * instruction set may bring VIT_PACK_TRANSPOSED, which packs as many of the first inputs as it can
 * and returns their number. */
static void pack_transposed(float *restrict panel, const float *restrict x, size_t ldx, size_t rows,
                            size_t k, size_t width)
{
    enum { BLOCK = 16 };
    size_t k0 = 0;
#ifdef VIT_PACK_TRANSPOSED
    k0 = VIT_PACK_TRANSPOSED(panel, x, ldx, rows, k, width);
#endif
    for (; k0 < k; k0 += BLOCK) {
        const size_t k1 = k0 + BLOCK < k ? k0 + BLOCK : k;
        for (size_t j = 0; j < rows; j++)
            for (size_t i = k0; i < k1; i++) panel[i * width + j] = x[j * ldx + i];
        for (size_t j = rows; j < width; j++)
            for (size_t i = k0; i < k1; i++) panel[i * width + j] = 0;
    }
}

/* `vectors`, a constant, whole vectors of every row, then its last `rest` lanes. A vector that is
 * longer than what is left of the row writes on into the next one, which comes after it; only where
 * the panel ends is it cut, since stores under a mask are slow on some machines. */
VIT_INLINE void copy_rows(float *restrict panel, const float *restrict x, size_t k_stride,
                          size_t rest, size_t k, size_t width, const size_t vectors)
{
    enum { LANES = VEC_LANES };
    const size_t whole = vectors * LANES, past = rest > 0 ? whole + LANES : whole;
    const size_t ends = past > width ? (past - 1) / width : 0;
    for (size_t i = 0; i < k; i++, panel += width, x += k_stride) {
        VIT_UNROLL
        for (size_t v = 0; v < vectors; v++) vec_store(panel + v * LANES, vec_load(x + v * LANES));
        if (rest > 0) {
            const vec last = vec_load_some(x + whole, rest);
            if (i + ends < k)
                vec_store(panel + whole, last);
            else
                vec_store_some(panel + whole, last, width - whole);
        }
        for (size_t j = past; j < width; j++) panel[j] = 0;
    }
}

/* Columns are rows of the panel already. */
static void pack_columns(float *restrict panel, const float *restrict x, size_t k_stride,
                         size_t rows, size_t k, size_t width)
{
    const size_t rest = rows % VEC_LANES;
    switch (rows / VEC_LANES) {
    case 0:
        copy_rows(panel, x, k_stride, rest, k, width, 0);
        break;
    case 1:
        copy_rows(panel, x, k_stride, rest, k, width, 1);
        break;
    case 2:
        copy_rows(panel, x, k_stride, rest, k, width, 2);
        break;
    default:
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < width; j++)
                panel[i * width + j] = j < rows ? x[i * k_stride + j] : 0;
    }
}

static void pack_weights(float *panel, const float *w, size_t row_stride, size_t k_stride,
                         const float *row_scale, size_t rows, size_t k, size_t width)
{
    if (k_stride == 1) {
        pack_transposed(panel, w, row_stride, rows, k, width);
    } else if (row_stride == 1) {
        pack_columns(panel, w, k_stride, rows, k, width);
    } else {
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < width; j++)
                panel[i * width + j] = j < rows ? w[j * row_stride + i * k_stride] : 0;
    }
    if (row_scale == NULL) return;
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < rows; j++) panel[i * width + j] *= row_scale[j];
}

/* Adds a little less than half of the last bit that is kept, and the rest of the half where that
 * bit is odd; then cuts. A NaN, which the sum could turn into infinity or zero, is made quiet. */
VEC_INLINE vec nearest_bf16(vec x)
{
    const bits rounded = (bits)x + 0x7FFF + ((bits)x >> 16 & 1);
    const bits quiet = (bits)x | 0x00400000;
    const vec kept = vec_select((ints)vec_abs(x) > 0x7F800000, (vec)quiet, (vec)rounded);
    return (vec)((bits)kept & 0xFFFF0000);
}

static void round_bf16(float *x, size_t n)
{
    const size_t whole = n - n % VEC_LANES, rest = n - whole;
    for (size_t i = 0; i < whole; i += VEC_LANES) vec_store(x + i, nearest_bf16(vec_load(x + i)));
    if (rest > 0) vec_store_some(x + whole, nearest_bf16(vec_load_some(x + whole, rest)), rest);
}

/* ---- backward ---- */

typedef struct curve {
    vec value, slope;
} curve;

/* (Phi(v) + v phi(v)), with phi(v) = 2^(-v^2 log2(e) / 2 - log2(sqrt(2 pi))), which is 0 long
 * before v = 20. */
VEC_INLINE curve gelu_erf_curve(vec v)
{
    const vec a = vec_min(vec_all(5.7f), vec_abs(v)), tail = normal_tail_f32(a);
    const vec u = vec_min(vec_all(20.0f), vec_max(vec_all(-20.0f), v)); /* NaN stays */
    const vec density = exp2_nonpositive_f32(u * u * -0.72134752f - 1.32574806f);
    return (curve){vec_max(vec_all(0.0f), v) - a * tail,
                   vec_select(v < 0.0f, tail, 1.0f - tail) + u * density};
}

/* v s with s = sigmoid(u(v)) = 1 / (1 + e), e = exp(-u): the slope is s (1 + v u' e s). `v` is
 * limited for the slope to where that is a number and not yet s. */
VEC_INLINE curve sigmoid_times_curve(vec v, vec limited, vec u, vec du)
{
    const vec e = exp_f32(-u), s = 1.0f / (1.0f + e);
    return (curve){v * s, s * (1.0f + limited * du * (e * s))};
}

VEC_INLINE vec limited_f32(vec v, float limit)
{
    return vec_min(vec_all(limit), vec_max(vec_all(-limit), v));
}

VEC_INLINE curve gelu_tanh_curve(vec v)
{
    const vec x = limited_f32(v, 16.0f), cubic = x * x * 0.0713548163f;
    return sigmoid_times_curve(v, x, x * (cubic + 1.59576912f), 3.0f * cubic + 1.59576912f);
}

VEC_INLINE curve gelu_quick_curve(vec v)
{
    const vec x = limited_f32(v, 60.0f);
    return sigmoid_times_curve(v, x, x * 1.702f, vec_all(1.702f));
}

VEC_INLINE curve silu_curve(vec v)
{
    const vec x = limited_f32(v, 100.0f);
    return sigmoid_times_curve(v, x, x, vec_all(1.0f));
}

VEC_INLINE curve relu_curve(vec v)
{
    return (curve){vec_max(v, vec_all(0.0f)), vec_select(v > 0.0f, vec_all(1.0f), vec_all(0.0f))};
}

/* NOLINTNEXTLINE(readability-non-const-parameter): one of a table of functions that write there */
static void bias_backward(float *dy, size_t lddy, float *z, size_t ldz, size_t rows, size_t n)
{
    (void)dy;
    (void)lddy;
    (void)z;
    (void)ldz;
    (void)rows;
    (void)n;
}

#define EPILOGUE_BACKWARD(name, f)                                                                 \
    static void name(float *dy, size_t lddy, float *z, size_t ldz, size_t rows, size_t n)          \
    {                                                                                              \
        const size_t whole = n - n % VEC_LANES, rest = n - whole;                                  \
        for (size_t r = 0; r < rows; r++, dy += lddy, z += ldz) {                                  \
            for (size_t i = 0; i < whole; i += VEC_LANES) {                                        \
                const curve at = f(vec_load(z + i));                                               \
                vec_store(dy + i, vec_load(dy + i) * at.slope);                                    \
                vec_store(z + i, at.value);                                                        \
            }                                                                                      \
            if (rest > 0) {                                                                        \
                const curve at = f(vec_load_some(z + whole, rest));                                \
                vec_store_some(dy + whole, vec_load_some(dy + whole, rest) * at.slope, rest);      \
                vec_store_some(z + whole, at.value, rest);                                         \
            }                                                                                      \
        }                                                                                          \
    }

EPILOGUE_BACKWARD(gelu_erf_backward, gelu_erf_curve)
EPILOGUE_BACKWARD(gelu_tanh_backward, gelu_tanh_curve)
EPILOGUE_BACKWARD(gelu_quick_backward, gelu_quick_curve)
EPILOGUE_BACKWARD(relu_backward, relu_curve)
EPILOGUE_BACKWARD(silu_backward, silu_curve)

/* The first n floats (all lanes where there are as many) from and to memory; zeros beyond. */
VEC_INLINE vec load_up_to(const float *from, size_t n)
{
    return n >= VEC_LANES ? vec_load(from) : vec_load_some(from, n);
}

VEC_INLINE void store_up_to(float *to, vec v, size_t n)
{
    if (n >= VEC_LANES)
        vec_store(to, v);
    else
        vec_store_some(to, v, n);
}

static void layernorm_backward_row(float *dx, const float *dy, const float *x, const float *weight,
                                   float *dweight, float *dbias, size_t n, float eps,
                                   bool accumulate)
{
    const moments m = row_moments(x, n, eps);
    vec sum_g = {0}, sum_gh = {0};
    for (size_t i = 0; i < n; i += VEC_LANES) { /* past the end dy and weight are zeros */
        const vec h = (load_up_to(x + i, n - i) - m.mean) * m.inverse;
        const vec d = load_up_to(dy + i, n - i), g = d * load_up_to(weight + i, n - i);
        sum_g += g;
        sum_gh += g * h;
        store_up_to(dweight + i, load_up_to(dweight + i, n - i) + d * h, n - i);
        store_up_to(dbias + i, load_up_to(dbias + i, n - i) + d, n - i);
    }
    const float mean_g = vec_sum(sum_g) / (float)n, mean_gh = vec_sum(sum_gh) / (float)n;
    for (size_t i = 0; i < n; i += VEC_LANES) {
        const vec h = (load_up_to(x + i, n - i) - m.mean) * m.inverse;
        const vec g = load_up_to(dy + i, n - i) * load_up_to(weight + i, n - i);
        vec gradient = (g - mean_g - h * mean_gh) * m.inverse;
        if (accumulate) gradient += load_up_to(dx + i, n - i);
        store_up_to(dx + i, gradient, n - i);
    }
}

static void softmax_backward_row(float *x, float *dx, size_t n, float inverse, float scale)
{
    vec sums[2] = {{0}};
    for (size_t i = 0; i < n; i += VEC_LANES)
        sums[i / VEC_LANES % 2] += load_up_to(x + i, n - i) * load_up_to(dx + i, n - i);
    const float dot = vec_sum(sums[0] + sums[1]) * inverse;
    for (size_t i = 0; i < n; i += VEC_LANES) {
        const vec p = load_up_to(x + i, n - i) * inverse;
        store_up_to(x + i, p, n - i);
        store_up_to(dx + i, p * (load_up_to(dx + i, n - i) - dot) * scale, n - i);
    }
}

static void add_rows(float *sum, const float *x, size_t ldx, size_t rows, size_t n)
{
    for (size_t i = 0; i < n; i += VEC_LANES) {
        const float *column = x + i;
        const size_t lanes = n - i;
        vec sums[SUMS] = {{0}};
        size_t r = 0;
        for (; r + SUMS <= rows; r += SUMS, column += SUMS * ldx) {
            VIT_UNROLL
            for (size_t s = 0; s < SUMS; s++) sums[s] += load_up_to(column + s * ldx, lanes);
        }
        for (; r < rows; r++, column += ldx) sums[0] += load_up_to(column, lanes);
        store_up_to(sum + i,
                    load_up_to(sum + i, lanes) + ((sums[0] + sums[1]) + (sums[2] + sums[3])),
                    lanes);
    }
}

const vit_rows_f32 VIT_ROWS_TABLE = {
    .epilogue =
        {
            [VIT_EPILOGUE_BIAS] = bias_rows,
            [VIT_EPILOGUE_GELU_ERF] = gelu_erf_rows,
            [VIT_EPILOGUE_GELU_TANH] = gelu_tanh_rows,
            [VIT_EPILOGUE_GELU_QUICK] = gelu_quick_rows,
            [VIT_EPILOGUE_RELU] = relu_rows,
            [VIT_EPILOGUE_SILU] = silu_rows,
        },
    .epilogue_backward =
        {
            [VIT_EPILOGUE_BIAS] = bias_backward,
            [VIT_EPILOGUE_GELU_ERF] = gelu_erf_backward,
            [VIT_EPILOGUE_GELU_TANH] = gelu_tanh_backward,
            [VIT_EPILOGUE_GELU_QUICK] = gelu_quick_backward,
            [VIT_EPILOGUE_RELU] = relu_backward,
            [VIT_EPILOGUE_SILU] = silu_backward,
        },
    .layernorm = layernorm_row,
    .softmax = softmax_row,
    .scale = scale_rows,
    .layernorm_backward = layernorm_backward_row,
    .softmax_backward = softmax_backward_row,
    .add_rows = add_rows,
    .pack_weights = pack_weights,
    .pack_tokens = pack_transposed,
    .round_bf16 = round_bf16,
};
