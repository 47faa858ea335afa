/* The operations as their formulas, in double, forward and backward. */
#include <math.h>
#include <string.h>

#include "vit_ops_backward.h"

void vit_double_linear(double *y, const double *x, size_t tokens, const double *weight,
                       const double *bias, size_t out, size_t in)
{
    for (size_t t = 0; t < tokens; t++)
        for (size_t o = 0; o < out; o++) {
            double sum = bias[o];
            for (size_t i = 0; i < in; i++) sum += x[t * in + i] * weight[o * in + i];
            y[t * out + o] = sum;
        }
}

void vit_double_linear_backward(double *dx, double *dweight, double *dbias, const double *dy,
                                const double *x, size_t tokens, const double *weight, size_t out,
                                size_t in)
{
    memset(dx, 0, tokens * in * sizeof *dx);
    for (size_t t = 0; t < tokens; t++)
        for (size_t o = 0; o < out; o++) {
            const double d = dy[t * out + o];
            for (size_t i = 0; i < in; i++) {
                dx[t * in + i] += d * weight[o * in + i];
                dweight[o * in + i] += d * x[t * in + i];
            }
            dbias[o] += d;
        }
}

static double sigmoid(double v)
{
    return 1 / (1 + exp(-v));
}

/* The argument u of z sigmoid(u), and du/dz. */
static double sigmoid_argument(vit_epilogue activation, double z, double *slope)
{
    const double twice_root_2_over_pi = 2 * 0.79788456080286535588;
    switch (activation) {
    case VIT_EPILOGUE_GELU_TANH:
        *slope = twice_root_2_over_pi * (1 + 3 * 0.044715 * z * z);
        return twice_root_2_over_pi * (z + 0.044715 * z * z * z);
    case VIT_EPILOGUE_GELU_QUICK:
        *slope = 1.702;
        return 1.702 * z;
    default:
        *slope = 1;
        return z;
    }
}

double vit_double_activation(vit_epilogue activation, double z)
{
    double slope;
    switch (activation) {
    case VIT_EPILOGUE_GELU_ERF:
        return z * 0.5 * erfc(-z * 0.70710678118654752440);
    case VIT_EPILOGUE_GELU_TANH:
    case VIT_EPILOGUE_GELU_QUICK:
    case VIT_EPILOGUE_SILU:
        return z * sigmoid(sigmoid_argument(activation, z, &slope));
    case VIT_EPILOGUE_RELU:
        return z > 0 ? z : 0;
    case VIT_EPILOGUE_BIAS:
    case VIT_EPILOGUE_COUNT:
        break;
    }
    return z;
}

double vit_double_activation_slope(vit_epilogue activation, double z)
{
    const double root_1_over_2pi = 0.39894228040143267794;
    double slope;
    switch (activation) {
    case VIT_EPILOGUE_GELU_ERF:
        return 0.5 * erfc(-z * 0.70710678118654752440) + z * root_1_over_2pi * exp(-0.5 * z * z);
    case VIT_EPILOGUE_GELU_TANH:
    case VIT_EPILOGUE_GELU_QUICK:
    case VIT_EPILOGUE_SILU: {
        const double s = sigmoid(sigmoid_argument(activation, z, &slope));
        return s + z * slope * s * (1 - s);
    }
    case VIT_EPILOGUE_RELU:
        return z > 0 ? 1 : 0;
    case VIT_EPILOGUE_BIAS:
    case VIT_EPILOGUE_COUNT:
        break;
    }
    return 1;
}

static void moments(const double *x, size_t width, double eps, double *mean, double *inverse)
{
    double variance = 0;
    *mean = 0;
    for (size_t i = 0; i < width; i++) *mean += x[i] / (double)width;
    for (size_t i = 0; i < width; i++) variance += (x[i] - *mean) * (x[i] - *mean) / (double)width;
    *inverse = 1 / sqrt(variance + eps);
}

void vit_double_layernorm(double *y, const double *x, size_t tokens, const double *weight,
                          const double *bias, size_t width, double eps)
{
    for (size_t t = 0; t < tokens; t++, x += width, y += width) {
        double mean, inverse;
        moments(x, width, eps, &mean, &inverse);
        for (size_t i = 0; i < width; i++) y[i] = (x[i] - mean) * inverse * weight[i] + bias[i];
    }
}

void vit_double_layernorm_backward(double *dx, double *dweight, double *dbias, const double *dy,
                                   const double *x, size_t tokens, const double *weight,
                                   size_t width, double eps)
{
    for (size_t t = 0; t < tokens; t++, x += width, dx += width, dy += width) {
        double mean, inverse, mean_g = 0, mean_gh = 0;
        moments(x, width, eps, &mean, &inverse);
        for (size_t i = 0; i < width; i++) {
            const double h = (x[i] - mean) * inverse, g = dy[i] * weight[i];
            mean_g += g / (double)width;
            mean_gh += g * h / (double)width;
            dweight[i] += dy[i] * h;
            dbias[i] += dy[i];
        }
        for (size_t i = 0; i < width; i++) {
            const double h = (x[i] - mean) * inverse, g = dy[i] * weight[i];
            dx[i] = (g - mean_g - h * mean_gh) * inverse;
        }
    }
}

static double dot(const double *a, const double *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

/* weights [tokens] = softmax(q k^T / sqrt(Dh) + bias) of one query; k points at the first key, ld
 * apart; bias [tokens] or NULL. */
static void attend(double *weights, const double *q, const double *k, size_t ld, size_t tokens,
                   size_t head_width, const double *bias)
{
    double highest = -INFINITY, sum = 0;
    for (size_t m = 0; m < tokens; m++) {
        weights[m] = dot(q, k + m * ld, head_width) / sqrt((double)head_width);
        if (bias != NULL) weights[m] += bias[m];
        highest = fmax(highest, weights[m]);
    }
    for (size_t m = 0; m < tokens; m++) {
        weights[m] = exp(weights[m] - highest);
        sum += weights[m];
    }
    for (size_t m = 0; m < tokens; m++) weights[m] /= sum;
}

void vit_double_attention(double *out, const double *qkv, size_t images, size_t tokens,
                          size_t heads, size_t head_width, const double *biases, double *weights)
{
    const size_t width = heads * head_width, ld = 3 * width;
    memset(out, 0, images * tokens * width * sizeof *out);
    for (size_t b = 0; b < images; b++)
        for (size_t h = 0; h < heads; h++) {
            const double *q = qkv + b * tokens * ld + h * head_width;
            const double *k = q + width, *v = k + width;
            double *o = out + b * tokens * width + h * head_width;
            for (size_t n = 0; n < tokens; n++) {
                attend(weights, q + n * ld, k, ld, tokens, head_width,
                       biases != NULL ? biases + (h * tokens + n) * tokens : NULL);
                for (size_t m = 0; m < tokens; m++)
                    for (size_t d = 0; d < head_width; d++)
                        o[n * width + d] += weights[m] * v[m * ld + d];
            }
        }
}

void vit_double_attention_backward(double *dqkv, double *dbiases, const double *dout,
                                   const double *qkv, size_t images, size_t tokens, size_t heads,
                                   size_t head_width, const double *biases, double *weights)
{
    const size_t width = heads * head_width, ld = 3 * width;
    const double scale = 1 / sqrt((double)head_width);
    double *dweights = weights + tokens;
    memset(dqkv, 0, images * tokens * ld * sizeof *dqkv);
    for (size_t b = 0; b < images; b++)
        for (size_t h = 0; h < heads; h++) {
            const size_t first = b * tokens * ld + h * head_width;
            const double *q = qkv + first, *k = q + width, *v = k + width;
            double *dq = dqkv + first, *dk = dq + width, *dv = dk + width;
            for (size_t n = 0; n < tokens; n++) {
                const double *d_out = dout + (b * tokens + n) * width + h * head_width;
                const size_t row = (h * tokens + n) * tokens; /* of biases */
                attend(weights, q + n * ld, k, ld, tokens, head_width,
                       biases != NULL ? biases + row : NULL);
                for (size_t m = 0; m < tokens; m++)
                    dweights[m] = dot(d_out, v + m * ld, head_width);
                const double mean = dot(weights, dweights, tokens);
                for (size_t m = 0; m < tokens; m++) {
                    const double dlogit = weights[m] * (dweights[m] - mean), ds = dlogit * scale;
                    if (dbiases != NULL) dbiases[row + m] += dlogit;
                    for (size_t d = 0; d < head_width; d++) {
                        dq[n * ld + d] += ds * k[m * ld + d];
                        dk[m * ld + d] += ds * q[n * ld + d];
                        dv[m * ld + d] += weights[m] * d_out[d];
                    }
                }
            }
        }
}

double vit_double_cross_entropy(double *dlogits, const double *logits, const double *targets,
                                size_t images, size_t classes)
{
    double loss = 0;
    for (size_t b = 0; b < images; b++) {
        const double *z = logits + b * classes, *t = targets + b * classes;
        double highest = -INFINITY, sum = 0, weight = 0;
        for (size_t k = 0; k < classes; k++) {
            highest = fmax(highest, z[k]);
            weight += t[k];
        }
        for (size_t k = 0; k < classes; k++) sum += exp(z[k] - highest);
        for (size_t k = 0; k < classes; k++) {
            const double log_p = z[k] - highest - log(sum);
            loss -= t[k] * log_p;
            if (dlogits != NULL) dlogits[b * classes + k] = exp(log_p) * weight - t[k];
        }
    }
    return loss;
}
