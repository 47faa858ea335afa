/* The row operations as their formulas, in double with libm: what every fast version is tested
 * against, and the fallback everywhere. */
#include <math.h>

#include "vit_kernels.h"

static void bias_ref(float *x, const float *bias, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = x[i] + bias[i];
}

static void gelu_erf_ref(float *x, const float *bias, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double v = (double)(x[i] + bias[i]);
        /* erfc keeps the digits of the negative tail that 1 + erf would cancel */
        x[i] = (float)(0.5 * v * erfc(-v * 0.70710678118654752440));
    }
}

static double sigmoid(double v)
{
    return 1.0 / (1.0 + exp(-v));
}

static void gelu_tanh_ref(float *x, const float *bias, size_t n)
{
    const double root_2_over_pi = 0.79788456080286535588;
    for (size_t i = 0; i < n; i++) {
        const double v = (double)(x[i] + bias[i]);
        /* (1 + tanh u) / 2 = sigmoid(2u) */
        x[i] = (float)(v * sigmoid(2 * root_2_over_pi * (v + 0.044715 * v * v * v)));
    }
}

static void gelu_quick_ref(float *x, const float *bias, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double v = (double)(x[i] + bias[i]);
        x[i] = (float)(v * sigmoid(1.702 * v));
    }
}

static void relu_ref(float *x, const float *bias, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float v = x[i] + bias[i];
        x[i] = v > 0 ? v : 0;
    }
}

static void silu_ref(float *x, const float *bias, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double v = (double)(x[i] + bias[i]);
        x[i] = (float)(v * sigmoid(v));
    }
}

static void layernorm_ref(float *out, const float *x, const float *weight, const float *bias,
                          size_t n, float eps)
{
    double mean = 0, variance = 0;
    for (size_t i = 0; i < n; i++) mean += (double)x[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++) variance += ((double)x[i] - mean) * ((double)x[i] - mean);
    variance /= (double)n;
    const double inverse = 1.0 / sqrt(variance + (double)eps);
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(((double)x[i] - mean) * inverse * (double)weight[i] + (double)bias[i]);
}

static void softmax_ref(float *x, size_t n)
{
    float maximum = x[0];
    for (size_t i = 1; i < n; i++) maximum = x[i] > maximum ? x[i] : maximum;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += exp((double)x[i] - (double)maximum);
    for (size_t i = 0; i < n; i++) x[i] = (float)(exp((double)x[i] - (double)maximum) / sum);
}

static void pack_ref(float *panel, const float *x, size_t ldx, size_t rows, size_t k, size_t width,
                     float scale)
{
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < width; j++)
            panel[i * width + j] = j < rows ? scale * x[j * ldx + i] : 0;
}

const vit_rows_f32 vit_rows_f32_ref = {
    .epilogue =
        {
            [VIT_EPILOGUE_BIAS] = bias_ref,
            [VIT_EPILOGUE_GELU_ERF] = gelu_erf_ref,
            [VIT_EPILOGUE_GELU_TANH] = gelu_tanh_ref,
            [VIT_EPILOGUE_GELU_QUICK] = gelu_quick_ref,
            [VIT_EPILOGUE_RELU] = relu_ref,
            [VIT_EPILOGUE_SILU] = silu_ref,
        },
    .layernorm = layernorm_ref,
    .softmax = softmax_ref,
    .pack = pack_ref,
};
