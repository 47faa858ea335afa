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

/* ---- backward ---- */

static double identity_slope(double v)
{
    (void)v;
    return 1;
}

static double gelu_erf_slope(double v)
{
    const double root_1_over_2pi = 0.39894228040143267794;
    return 0.5 * erfc(-v * 0.70710678118654752440) + v * root_1_over_2pi * exp(-0.5 * v * v);
}

/* Of v sigmoid(u(v)), with u' = du. */
static double sigmoid_slope(double v, double u, double du)
{
    const double s = sigmoid(u);
    return s + (s > 0 && s < 1 ? v * du * s * (1 - s) : 0);
}

static double gelu_tanh_slope(double v)
{
    const double twice_root_2_over_pi = 2 * 0.79788456080286535588;
    return sigmoid_slope(v, twice_root_2_over_pi * (v + 0.044715 * v * v * v),
                         twice_root_2_over_pi * (1 + 3 * 0.044715 * v * v));
}

static double gelu_quick_slope(double v)
{
    return sigmoid_slope(v, 1.702 * v, 1.702);
}

static double relu_slope(double v)
{
    return v > 0 ? 1 : 0;
}

static double silu_slope(double v)
{
    return sigmoid_slope(v, v, 1);
}

static void apply_backward(double (*f)(double), double (*slope)(double), float *dy, size_t lddy,
                           float *z, size_t ldz, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++) {
            const double v = (double)z[r * ldz + i];
            dy[r * lddy + i] = (float)((double)dy[r * lddy + i] * slope(v));
            z[r * ldz + i] = (float)f(v);
        }
}

#define EPILOGUE_BACKWARD(name, f)                                                                 \
    static void name(float *dy, size_t lddy, float *z, size_t ldz, size_t rows, size_t n)          \
    {                                                                                              \
        apply_backward(f, f##_slope, dy, lddy, z, ldz, rows, n);                                   \
    }

EPILOGUE_BACKWARD(bias_backward_ref, identity)
EPILOGUE_BACKWARD(gelu_erf_backward_ref, gelu_erf)
EPILOGUE_BACKWARD(gelu_tanh_backward_ref, gelu_tanh)
EPILOGUE_BACKWARD(gelu_quick_backward_ref, gelu_quick)
EPILOGUE_BACKWARD(relu_backward_ref, relu)
EPILOGUE_BACKWARD(silu_backward_ref, silu)

static void layernorm_backward_ref(float *dx, const float *dy, const float *x, const float *weight,
                                   float *dweight, float *dbias, size_t n, float eps,
                                   bool accumulate)
{
    double mean = 0, variance = 0, mean_g = 0, mean_gh = 0;
    for (size_t i = 0; i < n; i++) mean += (double)x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
    const double inverse = 1.0 / sqrt(variance + (double)eps);
    for (size_t i = 0; i < n; i++) {
        const double h = ((double)x[i] - mean) * inverse, g = (double)dy[i] * (double)weight[i];
        mean_g += g / (double)n;
        mean_gh += g * h / (double)n;
        dweight[i] = (float)((double)dweight[i] + (double)dy[i] * h);
        dbias[i] = (float)((double)dbias[i] + (double)dy[i]);
    }
    for (size_t i = 0; i < n; i++) {
        const double h = ((double)x[i] - mean) * inverse, g = (double)dy[i] * (double)weight[i];
        const double gradient = inverse * (g - mean_g - h * mean_gh);
        dx[i] = (float)(accumulate ? (double)dx[i] + gradient : gradient);
    }
}

static void softmax_backward_ref(float *x, float *dx, size_t n, float inverse, float scale)
{
    double dot = 0;
    for (size_t i = 0; i < n; i++) dot += (double)x[i] * (double)inverse * (double)dx[i];
    for (size_t i = 0; i < n; i++) {
        const double p = (double)x[i] * (double)inverse;
        x[i] = (float)p;
        dx[i] = (float)((double)scale * p * ((double)dx[i] - dot));
    }
}

static void add_rows_ref(float *sum, const float *x, size_t ldx, size_t rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double s = (double)sum[i];
        for (size_t r = 0; r < rows; r++) s += (double)x[r * ldx + i];
        sum[i] = (float)s;
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
    .epilogue_backward =
        {
            [VIT_EPILOGUE_BIAS] = bias_backward_ref,
            [VIT_EPILOGUE_GELU_ERF] = gelu_erf_backward_ref,
            [VIT_EPILOGUE_GELU_TANH] = gelu_tanh_backward_ref,
            [VIT_EPILOGUE_GELU_QUICK] = gelu_quick_backward_ref,
            [VIT_EPILOGUE_RELU] = relu_backward_ref,
            [VIT_EPILOGUE_SILU] = silu_backward_ref,
        },
    .layernorm = layernorm_ref,
    .softmax = softmax_ref,
    .scale = scale_ref,
    .layernorm_backward = layernorm_backward_ref,
    .softmax_backward = softmax_backward_ref,
    .add_rows = add_rows_ref,
    .pack_weights = pack_weights_ref,
    .pack_tokens = pack_tokens_ref,
    .round_bf16 = round_bf16_ref,
};
