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

/* GELU(x) = x Phi(x) = max(x, 0) - |x| Phi(-|x|), which has no cancellation in either tail, with
 * Phi(-a) = 2^q(a), q of degree 8 on [0, 5.7]; beyond, a Phi(-a) < 3.5e-8 keeps its last value. */
VEC_INLINE vec gelu_erf_f32(vec x)
{
    const vec a = vec_min(vec_all(5.7f), vec_abs(x));
    vec q = a * -1.96597216e-06f + 2.89199379e-05f;
    q = q * a + -0.000136159244f;
    q = q * a + -0.000258930406f;
    q = q * a + 0.00722511159f;
    q = q * a + -0.0526107103f;
    q = q * a + -0.459168792f;
    q = q * a + -1.15111041f;
    q = q * a + -0.999999881f;
    const vec positive = vec_max(vec_all(0.0f), x); /* NaN stays */
    return positive - a * exp2_nonpositive_f32(q);
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

static void layernorm_row(float *out, const float *x, const float *weight, const float *bias,
                          size_t n, float eps)
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

    const float inverse = 1.0f / sqrtf(variance + eps);
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

static void pack_weights(float *panel, const float *w, size_t row_stride, size_t k_stride,
                         const float *row_scale, size_t rows, size_t k, size_t width)
{
    if (k_stride == 1) {
        pack_transposed(panel, w, row_stride, rows, k, width);
    } else { /* columns: each is a row of the panel already when row_stride is 1 */
        for (size_t i = 0; i < k; i++) {
            const float *column = w + i * k_stride;
            float *lanes = panel + i * width;
            if (row_stride == 1)
                memcpy(lanes, column, rows * sizeof *lanes);
            else
                for (size_t j = 0; j < rows; j++) lanes[j] = column[j * row_stride];
            for (size_t j = rows; j < width; j++) lanes[j] = 0;
        }
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
    .layernorm = layernorm_row,
    .softmax = softmax_row,
    .scale = scale_rows,
    .pack_weights = pack_weights,
    .pack_tokens = pack_transposed,
    .round_bf16 = round_bf16,
};
