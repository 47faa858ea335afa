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

/* What a query asks of the keys of its head: theirs are [tokens], row stride ld. */
typedef struct query_of {
    const float *q, *k;
    size_t ld, head_width;
    const vit_qk_norm *norm;
    const vit_relative *relative; /* or NULL */
    size_t head, n;               /* the query's */
} query_of;

static double score(const query_of *a, size_t key)
{
    const normed_row q = normalize(a->q, a->head_width, &a->norm->q);
    const normed_row k = normalize(a->k + key * a->ld, a->head_width, &a->norm->k);
    double sum = 0;
    for (size_t d = 0; d < a->head_width; d++) sum += element(&q, d) * element(&k, d);
    if (a->relative != NULL) {
        const patches_relative *shape = &a->relative->shape;
        const float *biases = a->relative->biases + a->head * patches_relative_rows(shape);
        sum += (double)biases[patches_relative_place(shape, (uint32_t)a->n, (uint32_t)key)];
    }
    return sum / sqrt((double)a->head_width);
}

/* One query against all keys and values of its head. Scores are computed again where they are
 * needed instead of stored, so that any number of tokens works without memory. */
static void attend(float *out, const query_of *query, const float *v, size_t tokens)
{
    enum { CHUNK = 64 };
    double highest = -INFINITY, total = 0;
    for (size_t m = 0; m < tokens; m++) {
        const double s = score(query, m);
        highest = s > highest ? s : highest;
    }
    for (size_t m = 0; m < tokens; m++) total += exp(score(query, m) - highest);
    for (size_t d0 = 0; d0 < query->head_width; d0 += CHUNK) {
        const size_t left = query->head_width - d0, count = left < CHUNK ? left : CHUNK;
        double sums[CHUNK] = {0};
        for (size_t m = 0; m < tokens; m++) {
            const double p = exp(score(query, m) - highest) / total;
            for (size_t d = 0; d < count; d++) sums[d] += p * (double)v[m * query->ld + d0 + d];
        }
        for (size_t d = 0; d < count; d++) out[d0 + d] = (float)sums[d];
    }
}

void vit_ref_attention(float *out, const float *qkv, size_t images, size_t tokens, size_t heads,
                       size_t head_width, const vit_qk_norm *norm, const vit_relative *relative)
{
    const size_t width = heads * head_width, ld = 3 * width;
    for (size_t b = 0; b < images; b++)
        for (size_t h = 0; h < heads; h++)
            for (size_t n = 0; n < tokens; n++) {
                const float *q = qkv + b * tokens * ld + h * head_width;
                const query_of query = {.q = q + n * ld,
                                        .k = q + width,
                                        .ld = ld,
                                        .head_width = head_width,
                                        .norm = norm,
                                        .relative = relative,
                                        .head = h,
                                        .n = n};
                attend(out + (b * tokens + n) * width + h * head_width, &query, q + 2 * width,
                       tokens);
            }
}

void vit_ref_position(float *x, size_t images, size_t tokens, const patches_position *position,
                      uint32_t prefix)
{
    const size_t width = position->width;
    for (size_t t = 0; t < images * tokens; t++) {
        const size_t n = t % tokens;
        if (!patches_position_has_table(position->kind)) return;
        if (n < prefix && n >= position->prefix) continue;
        const float *p = position->table + (n < prefix ? n : n - prefix + position->prefix) * width;
        for (size_t d = 0; d < width; d++) {
            const double from = (double)x[t * width + d], by = (double)p[d];
            x[t * width + d] =
                (float)(position->op == PATCHES_POSITION_ADD ? from + by : from * (1 + by));
        }
    }
}

/* A query or key, turned by the angles whose cosines and sines are given; NULL: only its norm. */
static void rope_row(float *x, size_t head_width, const vit_norm *norm, const float *cosines,
                     const float *sines, double direction)
{
    const normed_row from = normalize(x, head_width, norm);
    for (size_t j = 0; j < head_width / 2; j++) {
        const double c = cosines != NULL ? (double)cosines[j] : 1;
        const double s = cosines != NULL ? direction * (double)sines[j] : 0;
        const double re = element(&from, 2 * j), im = element(&from, 2 * j + 1);
        x[2 * j] = (float)(re * c - im * s);
        x[2 * j + 1] = (float)(re * s + im * c);
    }
}

void vit_ref_rope(float *qkv, size_t images, size_t tokens, size_t heads, size_t head_width,
                  const vit_qk_norm *norm, const vit_rope *rope, bool back)
{
    const size_t width = heads * head_width, pairs = head_width / 2;
    for (size_t t = 0; t < images * tokens; t++) {
        const size_t n = t % tokens;
        const bool turns = n >= rope->prefix;
        const float *cosines = turns ? rope->cosines + (n - rope->prefix) * pairs : NULL;
        const float *sines = turns ? rope->sines + (n - rope->prefix) * pairs : NULL;
        for (size_t i = 0; i < 2 * width; i += head_width) /* queries, then keys */
            rope_row(qkv + t * 3 * width + i, head_width, i < width ? &norm->q : &norm->k, cosines,
                     sines, back ? -1 : 1);
    }
}
