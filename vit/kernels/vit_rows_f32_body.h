/* vit_rows_f32_body.h - the row operations as loops that a compiler vectorizes.
 *
 * One body, compiled once per instruction set: vit_rows_f32_<isa>.c defines VIT_ROWS_TABLE and
 * includes this file, and CMake gives that file its flags. Nothing here may be called on a machine
 * that lacks them, so everything is static but the table.
 *
 * KERNELS.md states the error bounds, which tests check against the ref rows. The polynomials were
 * fitted by fit_rows_f32.py. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "vit_kernels.h"

static inline float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* exp(x) = 2^n e^r with n = round(x / ln 2), |r| <= ln(2)/2, and a degree-6 polynomial for e^r
 * (relative error 1.1e-8). Clamped to [-87.3, 88.7], where the result is a normal float; NaN in
 * gives NaN out. ln 2 is split so that n * LN2_HIGH is exact for |n| < 2^10. */
static inline float exp_f32(float x)
{
    const float log2_e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    const float round_magic = 12582912.0f; /* 1.5 * 2^23: adding it leaves no fraction bits */
    x = x < -87.3f ? -87.3f : x;
    x = x > 88.7f ? 88.7f : x;
    const float shifted = x * log2_e + round_magic;
    const float n = shifted - round_magic;
    const float r = (x - n * ln2_high) - n * ln2_low;
    float p = 0.0013926184f;
    p = p * r + 0.00836317893f;
    p = p * r + 0.0416665561f;
    p = p * r + 0.166665763f;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    /* the low bits of `shifted` hold n; 2^n is built in two halves because n reaches 128 */
    const int32_t exponent = (int32_t)(to_bits(shifted) - to_bits(round_magic));
    const int32_t half = exponent >> 1;
    return p * from_bits((uint32_t)(half + 127) << 23) *
           from_bits((uint32_t)(exponent - half + 127) << 23);
}

/* 2^y for y <= 0 (2^0 is exactly 1) with a degree-5 polynomial, relative error 9.2e-8; below
 * y = -125 it stays at 2^-125. NaN in gives NaN out. */
static inline float exp2_nonpositive_f32(float y)
{
    const float round_magic = 12582912.0f;
    y = y < -125.0f ? -125.0f : y;
    const float shifted = y + round_magic;
    const float f = y - (shifted - round_magic);
    float p = 0.00132647203f;
    p = p * f + 0.00967151299f;
    p = p * f + 0.0555073395f;
    p = p * f + 0.240222424f;
    p = p * f + 0.693147004f;
    p = p * f + 1.0f;
    /* p is in [0.7, 1.42]: adding n to its exponent is multiplying by 2^n */
    return from_bits(to_bits(p) + (to_bits(shifted) << 23));
}

/* GELU(x) = x Phi(x) = max(x, 0) - |x| Phi(-|x|), which has no cancellation in either tail, with
 * Phi(-a) = 2^q(a), q of degree 8 on [0, 5.7]; beyond, a Phi(-a) < 3.5e-8 keeps its last value. */
static inline float gelu_erf_f32(float x)
{
    const float magnitude = x < 0 ? -x : x;
    const float a = magnitude > 5.7f ? 5.7f : magnitude;
    float q = -1.96597216e-06f;
    q = q * a + 2.89199379e-05f;
    q = q * a + -0.000136159244f;
    q = q * a + -0.000258930406f;
    q = q * a + 0.00722511159f;
    q = q * a + -0.0526107103f;
    q = q * a + -0.459168792f;
    q = q * a + -1.15111041f;
    q = q * a + -0.999999881f;
    const float positive = x < 0 ? 0.0f : x; /* NaN stays */
    return positive - a * exp2_nonpositive_f32(q);
}

static inline float sigmoid_times_f32(float x, float u)
{
    return x / (1.0f + exp_f32(-u));
}

/* The loop that all epilogues share; `value` is an expression of v = x + bias. */
#define EPILOGUE(name, value)                                                                      \
    static void name(float *restrict x, size_t ldx, size_t rows, const float *restrict bias,       \
                     size_t n)                                                                     \
    {                                                                                              \
        for (size_t r = 0; r < rows; r++) {                                                        \
            float *restrict row = x + r * ldx;                                                     \
            _Pragma("omp simd") for (size_t i = 0; i < n; i++)                                     \
            {                                                                                      \
                const float v = row[i] + bias[i];                                                  \
                row[i] = value;                                                                    \
            }                                                                                      \
        }                                                                                          \
    }

EPILOGUE(bias_rows, v)
EPILOGUE(gelu_erf_rows, gelu_erf_f32(v))
/* (1 + tanh u) / 2 = sigmoid(2u) with 2u = 2 sqrt(2/pi) (v + 0.044715 v^3) */
EPILOGUE(gelu_tanh_rows, sigmoid_times_f32(v, v *(1.59576912f + 0.0713548163f * v * v)))
EPILOGUE(gelu_quick_rows, sigmoid_times_f32(v, 1.702f * v))
EPILOGUE(relu_rows, v > 0 ? v : 0.0f)
EPILOGUE(silu_rows, sigmoid_times_f32(v, v))

static void layernorm_row(float *out, const float *x, const float *weight, const float *bias,
                          size_t n, float eps)
{
    float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) sum += x[i];
    const float mean = sum / (float)n;
#pragma omp simd reduction(+ : squares)
    for (size_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    const float inverse = 1.0f / sqrtf(squares / (float)n + eps);
#pragma omp simd
    for (size_t i = 0; i < n; i++) out[i] = (x[i] - mean) * inverse * weight[i] + bias[i];
}

static float softmax_row(float *restrict x, size_t n, float scale)
{
    /* One maximum per lane: a comparison that NaN can take part in may not be reordered, so clang
     * does not vectorize a plain maximum. */
    enum { LANES = 16 };
    float lanes[LANES], maximum = x[0], sum = 0;
    for (size_t j = 0; j < LANES; j++) lanes[j] = x[0];
    size_t whole = 0;
    for (; whole + LANES <= n; whole += LANES)
        for (size_t j = 0; j < LANES; j++)
            lanes[j] = x[whole + j] > lanes[j] ? x[whole + j] : lanes[j];
    for (size_t j = 0; j < LANES; j++) maximum = lanes[j] > maximum ? lanes[j] : maximum;
    for (size_t i = whole; i < n; i++) maximum = x[i] > maximum ? x[i] : maximum;
    /* The rounding of the product is the same for all, so it cancels in the quotient; it may leave
     * the largest argument a little above 0, which does no harm. */
    const float factor = scale * 1.44269504f, offset = maximum * factor;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        x[i] = exp2_nonpositive_f32(x[i] * factor - offset);
        sum += x[i];
    }
    return sum;
}

static void scale_rows(float *restrict x, size_t ldx, const float *factor, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++) {
        float *restrict row = x + r * ldx;
#pragma omp simd
        for (size_t i = 0; i < n; i++) row[i] *= factor[r];
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
static void round_bf16(float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = to_bits(x[i]);
        const uint32_t rounded = bits + 0x7FFFu + (bits >> 16 & 1u);
        const uint32_t kept = (bits & 0x7FFFFFFFu) > 0x7F800000u ? bits | 0x00400000u : rounded;
        x[i] = from_bits(kept & 0xFFFF0000u);
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
    .layernorm = layernorm_row,
    .softmax = softmax_row,
    .scale = scale_rows,
    .pack_weights = pack_weights,
    .pack_tokens = pack_transposed,
    .round_bf16 = round_bf16,
};
