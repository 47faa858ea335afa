/* The row operations as their formulas, in double with libm: what every fast version is tested
 * against, and the fallback everywhere. */
#include <math.h>

#include "vit_kernels.h"

static double sigmoid(double v)
{
    return 1.0 / (1.0 + exp(-v));
}

static double identity(double v)
{
    return v;
}

static double gelu_erf(double v)
{
    /* erfc keeps the digits of the negative tail that 1 + erf would cancel */
    return 0.5 * v * erfc(-v * 0.70710678118654752440);
}

static double gelu_tanh(double v)
{
    const double root_2_over_pi = 0.79788456080286535588;
    /* (1 + tanh u) / 2 = sigmoid(2u) */
    return v * sigmoid(2 * root_2_over_pi * (v + 0.044715 * v * v * v));
}

static double gelu_quick(double v)
{
    return v * sigmoid(1.702 * v);
}

static double relu(double v)
{
    return v > 0 ? v : 0;
}

static double silu(double v)
{
    return v * sigmoid(v);
}

static void apply(double (*f)(double), float *x, size_t ldx, size_t rows, const float *bias,
                  size_t n)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++)
            x[r * ldx + i] = (float)f((double)(x[r * ldx + i] + bias[i]));
}

#define EPILOGUE(name, f)                                                                          \
    static void name(float *x, size_t ldx, size_t rows, const float *bias, size_t n)               \
    {                                                                                              \
        apply(f, x, ldx, rows, bias, n);                                                           \
    }

EPILOGUE(bias_ref, identity)
EPILOGUE(gelu_erf_ref, gelu_erf)
EPILOGUE(gelu_tanh_ref, gelu_tanh)
EPILOGUE(gelu_quick_ref, gelu_quick)
EPILOGUE(relu_ref, relu)
EPILOGUE(silu_ref, silu)

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

static float softmax_ref(float *x, size_t n, float scale)
{
    float maximum = x[0];
    for (size_t i = 1; i < n; i++) maximum = x[i] > maximum ? x[i] : maximum;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double e = exp((double)scale * ((double)x[i] - (double)maximum));
        sum += e;
        x[i] = (float)e;
    }
    return (float)sum;
}

static void scale_ref(float *x, size_t ldx, const float *factor, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++) x[r * ldx + i] *= factor[r];
}

static void pack_weights_ref(float *panel, const float *w, size_t row_stride, size_t k_stride,
                             const float *row_scale, size_t rows, size_t k, size_t width)
{
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < width; j++)
            panel[i * width + j] = j < rows ? w[j * row_stride + i * k_stride] *
                                                  (row_scale != NULL ? row_scale[j] : 1.0f)
                                            : 0;
}

static void pack_tokens_ref(float *panel, const float *x, size_t ldx, size_t rows, size_t k,
                            size_t width)
{
    pack_weights_ref(panel, x, ldx, 1, NULL, rows, k, width);
}

/* By arithmetic: with 2^(e-1) <= |x| < 2^e neighbouring bf16 are 2^(e-8) apart, and nearbyint takes
 * ties to even. */
static void round_bf16_ref(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int exponent;
        if (!isfinite(x[i]) || x[i] == 0) continue;
        (void)frexp((double)x[i], &exponent);
        if (exponent < -125) exponent = -125; /* denormals are spaced evenly */
        const double rounded = ldexp(nearbyint(ldexp((double)x[i], 8 - exponent)), exponent - 8);
        x[i] = (float)rounded; /* past the largest bf16: infinity, as float32 has the same range */
    }
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
    .scale = scale_ref,
    .pack_weights = pack_weights_ref,
    .pack_tokens = pack_tokens_ref,
    .round_bf16 = round_bf16_ref,
};
