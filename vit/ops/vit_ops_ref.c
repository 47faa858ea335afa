/* Each operation as its formula: scalar, double accumulators, no panels, no threads. */
#include <math.h>

#include "vit_ops.h"

void vit_ref_linear(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                    const float *weight, const float *bias, size_t outputs, size_t inputs,
                    vit_epilogue epilogue, bool residual)
{
    for (size_t t = 0; t < tokens; t++) {
        for (size_t o = 0; o < outputs; o++) {
            double sum = residual ? (double)out[t * ldo + o] : 0.0;
            for (size_t i = 0; i < inputs; i++)
                sum += (double)x[t * ldx + i] * (double)weight[o * inputs + i];
            out[t * ldo + o] = (float)sum;
        }
        vit_rows_f32_ref.epilogue[epilogue](out + t * ldo, bias, outputs);
    }
}

void vit_ref_layernorm(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                       const float *weight, const float *bias, size_t width, float eps)
{
    for (size_t t = 0; t < tokens; t++)
        vit_rows_f32_ref.layernorm(out + t * ldo, x + t * ldx, weight, bias, width, eps);
}

/* Element d of a query or key row after its optional LayerNorm. */
static double normed(const float *row, size_t d, size_t width, const float *weight,
                     const float *bias, float eps)
{
    if (weight == NULL) return (double)row[d];
    double mean = 0, variance = 0;
    for (size_t i = 0; i < width; i++) mean += (double)row[i] / (double)width;
    for (size_t i = 0; i < width; i++)
        variance += ((double)row[i] - mean) * ((double)row[i] - mean) / (double)width;
    return ((double)row[d] - mean) / sqrt(variance + (double)eps) * (double)weight[d] +
           (double)bias[d];
}

static double score(const float *q, const float *k, size_t head_width, const vit_qk_norm *norm)
{
    double sum = 0;
    for (size_t d = 0; d < head_width; d++)
        sum += normed(q, d, head_width, norm->q_weight, norm->q_bias, norm->eps) *
               normed(k, d, head_width, norm->k_weight, norm->k_bias, norm->eps);
    return sum / sqrt((double)head_width);
}

void vit_ref_attention(float *out, const float *qkv, size_t images, size_t tokens, size_t heads,
                       size_t head_width, const vit_qk_norm *norm)
{
    const size_t width = heads * head_width, ldq = 3 * width;
    for (size_t b = 0; b < images; b++) {
        for (size_t h = 0; h < heads; h++) {
            const float *q = qkv + b * tokens * ldq + h * head_width;
            const float *k = q + width, *v = k + width;
            float *o = out + b * tokens * width + h * head_width;
            for (size_t n = 0; n < tokens; n++) {
                double highest = -INFINITY, total = 0;
                for (size_t m = 0; m < tokens; m++) {
                    const double s = score(q + n * ldq, k + m * ldq, head_width, norm);
                    highest = s > highest ? s : highest;
                }
                for (size_t m = 0; m < tokens; m++)
                    total += exp(score(q + n * ldq, k + m * ldq, head_width, norm) - highest);
                for (size_t d = 0; d < head_width; d++) o[n * width + d] = 0;
                for (size_t d = 0; d < head_width; d++) {
                    double sum = 0;
                    for (size_t m = 0; m < tokens; m++)
                        sum += exp(score(q + n * ldq, k + m * ldq, head_width, norm) - highest) /
                               total * (double)v[m * ldq + d];
                    o[n * width + d] = (float)sum;
                }
            }
        }
    }
}
