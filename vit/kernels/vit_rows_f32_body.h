/* vit_rows_f32_body.h - the row operations as loops that a compiler vectorizes.
 *
 * One body, compiled once per instruction set: vit_rows_f32_<isa>.c defines VIT_ROWS_TABLE and
 * includes this file, and CMake gives that file its flags. Nothing here may be called on a machine
 * that lacks them, so everything is static but the table.
 *
 * Error bounds, tested against the ref rows: exp 2 ulp; GELU and sigmoids 16 ulp relative or 1e-9
 * absolute. The polynomials were fitted by fit_rows_f32.py. */
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

/* GELU(x) = x Phi(x) = max(x, 0) - |x| Phi(-|x|), which has no cancellation in either tail;
 * Phi(-a) = exp(-a^2/2) q(t), t = 1/(1 + 0.26 a), q of degree 9 (relative error 7.2e-8). */
static inline float gelu_erf_f32(float x)
{
    const float a = x < 0 ? -x : x;
    const float t = 1.0f / (1.0f + 0.26f * a);
    float q = 0.0320053212f;
    q = q * t + -0.159914389f;
    q = q * t + 0.265663624f;
    q = q * t + -0.166583449f;
    q = q * t + 0.171319664f;
    q = q * t + 0.0468038246f;
    q = q * t + 0.104058586f;
    q = q * t + 0.10288021f;
    q = q * t + 0.10376662f;
    q = q * t;
    /* a^2 rounds; its error, times 1/2, would be the relative error of the exponential */
    const float high = from_bits(to_bits(a) & 0xFFFFF000u), low = a - high;
    const float e = exp_f32(-0.5f * high * high) * exp_f32(-0.5f * low * (a + high));
    const float positive = x > 0 ? x : 0.0f;
    return positive - a * (e * q);
}

static inline float sigmoid_times_f32(float x, float u)
{
    return x / (1.0f + exp_f32(-u));
}

static void bias_row(float *restrict x, const float *restrict bias, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) x[i] = x[i] + bias[i];
}

static void gelu_erf_row(float *restrict x, const float *restrict bias, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) x[i] = gelu_erf_f32(x[i] + bias[i]);
}

static void gelu_tanh_row(float *restrict x, const float *restrict bias, size_t n)
{
    /* (1 + tanh u) / 2 = sigmoid(2u) with 2u = 2 sqrt(2/pi) (v + 0.044715 v^3) */
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const float v = x[i] + bias[i];
        x[i] = sigmoid_times_f32(v, v * (1.59576912f + 0.0713548163f * v * v));
    }
}

static void gelu_quick_row(float *restrict x, const float *restrict bias, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const float v = x[i] + bias[i];
        x[i] = sigmoid_times_f32(v, 1.702f * v);
    }
}

static void relu_row(float *restrict x, const float *restrict bias, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const float v = x[i] + bias[i];
        x[i] = v > 0 ? v : 0.0f;
    }
}

static void silu_row(float *restrict x, const float *restrict bias, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const float v = x[i] + bias[i];
        x[i] = sigmoid_times_f32(v, v);
    }
}

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

static void softmax_row(float *restrict x, size_t n)
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
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        x[i] = exp_f32(x[i] - maximum);
        sum += x[i];
    }
    const float inverse = 1.0f / sum;
#pragma omp simd
    for (size_t i = 0; i < n; i++) x[i] *= inverse;
}

/* Transposes in blocks of k, so that the strided side stays within a few cache lines. */
static void pack_panel(float *restrict panel, const float *restrict x, size_t ldx, size_t rows,
                       size_t k, size_t width, float scale)
{
    enum { BLOCK = 16 };
    for (size_t k0 = 0; k0 < k; k0 += BLOCK) {
        const size_t k1 = k0 + BLOCK < k ? k0 + BLOCK : k;
        for (size_t j = 0; j < rows; j++)
            for (size_t i = k0; i < k1; i++) panel[i * width + j] = scale * x[j * ldx + i];
        for (size_t j = rows; j < width; j++)
            for (size_t i = k0; i < k1; i++) panel[i * width + j] = 0;
    }
}

const vit_rows_f32 VIT_ROWS_TABLE = {
    .epilogue =
        {
            [VIT_EPILOGUE_BIAS] = bias_row,
            [VIT_EPILOGUE_GELU_ERF] = gelu_erf_row,
            [VIT_EPILOGUE_GELU_TANH] = gelu_tanh_row,
            [VIT_EPILOGUE_GELU_QUICK] = gelu_quick_row,
            [VIT_EPILOGUE_RELU] = relu_row,
            [VIT_EPILOGUE_SILU] = silu_row,
        },
    .layernorm = layernorm_row,
    .softmax = softmax_row,
    .pack = pack_panel,
};
