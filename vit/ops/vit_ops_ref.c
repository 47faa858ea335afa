/* Each operation as its formula: scalar, double accumulators, no panels, no threads. */
#include <math.h>

#include "vit_ops.h"

void vit_ref_linear(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                    const float *weight, const float *bias, size_t outputs, size_t inputs,
                    vit_epilogue epilogue, bool residual)
{
    for (size_t t = 0; t < tokens; t++)
        for (size_t o = 0; o < outputs; o++) {
            double sum = residual ? (double)out[t * ldo + o] : 0.0;
            for (size_t i = 0; i < inputs; i++)
                sum += (double)x[t * ldx + i] * (double)weight[o * inputs + i];
            out[t * ldo + o] = (float)sum;
        }
    vit_rows_f32_ref.epilogue[epilogue](out, ldo, tokens, bias, outputs);
}

void vit_ref_layernorm(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                       const vit_norm *norm, size_t width)
{
    for (size_t t = 0; t < tokens; t++)
        vit_rows_f32_ref.layernorm(out + t * ldo, x + t * ldx, norm->weight, norm->bias, width,
                                   norm->eps);
}

/* A query or key row after its optional LayerNorm, element by element. */
typedef struct normed_row {
    const float *row, *weight, *bias;
    double mean, inverse;
} normed_row;

static normed_row normalize(const float *row, size_t width, const vit_norm *norm)
{
    normed_row n = {row, norm->weight, norm->bias, 0, 1};
    if (norm->weight == NULL) return n;
    double variance = 0;
    for (size_t i = 0; i < width; i++) n.mean += (double)row[i] / (double)width;
    for (size_t i = 0; i < width; i++)
        variance += ((double)row[i] - n.mean) * ((double)row[i] - n.mean) / (double)width;
    n.inverse = 1 / sqrt(variance + (double)norm->eps);
    return n;
}

static double element(const normed_row *n, size_t d)
{
    if (n->weight == NULL) return (double)n->row[d];
    return ((double)n->row[d] - n->mean) * n->inverse * (double)n->weight[d] + (double)n->bias[d];
}

static double score(const float *q, const float *k, size_t head_width, const vit_qk_norm *norm)
{
    const normed_row query = normalize(q, head_width, &norm->q);
    const normed_row key = normalize(k, head_width, &norm->k);
    double sum = 0;
    for (size_t d = 0; d < head_width; d++) sum += element(&query, d) * element(&key, d);
    return sum / sqrt((double)head_width);
}

/* One query against all keys and values of its head. Scores are computed again where they are
 * needed instead of stored, so that any number of tokens works without memory. */
static void attend(float *out, const float *q, const float *k, const float *v, size_t ld,
                   size_t tokens, size_t head_width, const vit_qk_norm *norm)
{
    enum { CHUNK = 64 };
    double highest = -INFINITY, total = 0;
    for (size_t m = 0; m < tokens; m++) {
        const double s = score(q, k + m * ld, head_width, norm);
        highest = s > highest ? s : highest;
    }
    for (size_t m = 0; m < tokens; m++)
        total += exp(score(q, k + m * ld, head_width, norm) - highest);
    for (size_t d0 = 0; d0 < head_width; d0 += CHUNK) {
        const size_t count = head_width - d0 < CHUNK ? head_width - d0 : CHUNK;
        double sums[CHUNK] = {0};
        for (size_t m = 0; m < tokens; m++) {
            const double p = exp(score(q, k + m * ld, head_width, norm) - highest) / total;
            for (size_t d = 0; d < count; d++) sums[d] += p * (double)v[m * ld + d0 + d];
        }
        for (size_t d = 0; d < count; d++) out[d0 + d] = (float)sums[d];
    }
}

void vit_ref_attention(float *out, const float *qkv, size_t images, size_t tokens, size_t heads,
                       size_t head_width, const vit_qk_norm *norm)
{
    const size_t width = heads * head_width, ld = 3 * width;
    for (size_t b = 0; b < images; b++) {
        for (size_t h = 0; h < heads; h++) {
            const float *q = qkv + b * tokens * ld + h * head_width;
            float *o = out + b * tokens * width + h * head_width;
            for (size_t n = 0; n < tokens; n++)
                attend(o + n * width, q + n * ld, q + width, q + 2 * width, ld, tokens, head_width,
                       norm);
        }
    }
}
