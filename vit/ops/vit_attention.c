#include <math.h>
#include <omp.h>

#include "vit_ops.h"
#include "vit_product.h"
#include "vitc_size.h"

/* One thread's block, in bytes, each part 64-byte aligned:
 *     keys      [panels of WR keys]   Dh-major    the weights of  scores = q k^T
 *     values    [panels of WR values] N-major     the weights of  out = p v
 *     queries   one panel of XR queries
 *     scores    XR rows of N floats
 *     weights   the same rows packed as one panel, N-major
 *     normed    N rows of Dh floats: queries or keys after their LayerNorm */
typedef struct attention_scratch {
    size_t keys, values, queries, scores, weights, normed, total;
    size_t key_panel, value_panel; /* bytes */
    size_t score_stride;           /* floats */
    bool fits;
} attention_scratch;

static void part(attention_scratch *layout, size_t *offset, size_t count, size_t size)
{
    size_t bytes;
    *offset = layout->total;
    layout->fits = layout->fits && size > 0 && vitc_size_mul(count, size, &bytes) &&
                   bytes < SIZE_MAX - 64 &&
                   vitc_size_add(layout->total, vitc_size_round_up(bytes, 64), &layout->total);
}

static attention_scratch lay_out(const vit_gemm *gemm, size_t tokens, size_t head_width)
{
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel;
    attention_scratch layout = {.fits = tokens < SIZE_MAX - 64,
                                .score_stride = vitc_size_round_up(tokens, 16) + 16,
                                .key_panel = vit_gemm_weight_panel_size(gemm, head_width),
                                .value_panel = vit_gemm_weight_panel_size(gemm, tokens)};
    part(&layout, &layout.keys, vitc_size_divide_up(tokens, wr), layout.key_panel);
    part(&layout, &layout.values, vitc_size_divide_up(head_width, wr), layout.value_panel);
    part(&layout, &layout.queries, 1, vit_gemm_token_panel_size(gemm, head_width));
    part(&layout, &layout.scores, layout.score_stride, xr * sizeof(float));
    part(&layout, &layout.weights, 1, vit_gemm_token_panel_size(gemm, tokens));
    part(&layout, &layout.normed, tokens, head_width * sizeof(float));
    return layout;
}

size_t vit_op_attention_thread(const vit_gemm *gemm, size_t tokens, size_t head_width)
{
    const attention_scratch layout = lay_out(gemm, tokens, head_width);
    return layout.fits ? layout.total : 0;
}

/* What all heads share. */
typedef struct attention {
    size_t ldo, ldq, tokens, head_width;
    const vit_qk_norm *norm;
    const vit_relative *relative;
    const vit_gemm *gemm;
    const vit_rows_f32 *rows;
    attention_scratch layout;
} attention;

/* `count` rows, or their LayerNorm in `normed` where there is one. */
static const float *norm_rows(const attention *a, const vit_norm *norm, const float *x, size_t *ldx,
                              size_t count, float *normed)
{
    if (norm->weight == NULL) return x;
    for (size_t n = 0; n < count; n++)
        a->rows->layernorm(normed + n * a->head_width, x + n * *ldx, norm->weight, norm->bias,
                           a->head_width, norm->eps);
    *ldx = a->head_width;
    return normed;
}

/* Scores of queries [from, from + count) of one head with all keys, with the biases of their places
 * added. */
static void add_biases(const attention *a, float *scores, size_t head, size_t from, size_t count)
{
    if (a->relative == NULL) return;
    const patches_relative *shape = &a->relative->shape;
    const float *biases = a->relative->biases + head * patches_relative_rows(shape);
    for (size_t n = 0; n < count; n++)
        patches_relative_add(scores + n * a->layout.score_stride, biases, (uint32_t)(from + n),
                             shape);
}

/* Queries [from, to) of one head of one image. q, k, v point at its first rows inside qkv. */
static void attend(const attention *a, size_t head, float *out, const float *q, const float *k,
                   const float *v, size_t from, size_t to, unsigned char *scratch)
{
    const vit_gemm *gemm = a->gemm;
    const attention_scratch *layout = &a->layout;
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel, tokens = a->tokens;
    unsigned char *keys = scratch + layout->keys, *values = scratch + layout->values;
    unsigned char *queries = scratch + layout->queries, *weights = scratch + layout->weights;
    float *scores = (float *)(scratch + layout->scores);
    float *normed = (float *)(scratch + layout->normed);
    const size_t lds = layout->score_stride;
    const float scale = 1.0f / sqrtf((float)a->head_width);

    size_t ldk = a->ldq;
    k = norm_rows(a, &a->norm->k, k, &ldk, tokens, normed);
    for (size_t n = 0; n < tokens; n += wr)
        gemm->pack_weights(gemm, keys + n / wr * layout->key_panel, k + n * ldk, ldk, 1, NULL,
                           vitc_size_min(wr, tokens - n), a->head_width);
    for (size_t d = 0; d < a->head_width; d += wr)
        gemm->pack_weights(gemm, values + d / wr * layout->value_panel, v + d, 1, a->ldq, NULL,
                           vitc_size_min(wr, a->head_width - d), tokens);

    for (size_t n0 = from; n0 < to; n0 += xr) {
        const size_t panel = vitc_size_min(xr, to - n0);
        size_t ldn = a->ldq;
        const float *rows = norm_rows(a, &a->norm->q, q + n0 * a->ldq, &ldn, panel, normed);
        float *to_rows = out + n0 * a->ldo, inverse[VIT_TOKEN_PANEL_MAX];
        vit_product_fetch_tile(to_rows, a->ldo, a->head_width, panel);
        gemm->pack_tokens(gemm, queries, rows, ldn, panel, a->head_width);
        for (size_t n = 0; n < tokens; n += wr)
            gemm->tile(gemm, a->head_width, keys + n / wr * layout->key_panel, queries, false,
                       scores + n, lds, vitc_size_min(wr, tokens - n), panel, NULL, 0);
        add_biases(a, scores, head, n0, panel);
        for (size_t n = 0; n < panel; n++)
            inverse[n] = 1.0f / a->rows->softmax(scores + n * lds, tokens, scale);
        gemm->pack_tokens(gemm, weights, scores, lds, panel, tokens);
        for (size_t d = 0; d < a->head_width; d += wr)
            gemm->tile(gemm, tokens, values + d / wr * layout->value_panel, weights, false,
                       to_rows + d, a->ldo, vitc_size_min(wr, a->head_width - d), panel, NULL, 0);
        a->rows->scale(to_rows, a->ldo, inverse, panel, a->head_width);
    }
}

void vit_op_attention(float *out, size_t ldo, const float *qkv, size_t ldq, size_t images,
                      size_t tokens, size_t queries, size_t heads, size_t head_width,
                      const vit_qk_norm *norm, const vit_relative *relative, const vit_gemm *gemm,
                      const vit_scratch *scratch, const vit_rows_f32 *rows)
{
    const size_t width = heads * head_width;
    const attention a = {.ldo = ldo,
                         .ldq = ldq,
                         .tokens = tokens,
                         .head_width = head_width,
                         .norm = norm,
                         .relative = relative,
                         .gemm = gemm,
                         .rows = rows,
                         .layout = lay_out(gemm, tokens, head_width)};
    /* Keys and values are packed by every part that needs them: little beside what they are for. */
    const vit_share share = vit_share_tokens(images * tokens);
    unsigned char *block = scratch->thread + (size_t)omp_get_thread_num() * scratch->thread_size;
    vit_gemm_begin(gemm);
    for (size_t b = share.from / tokens; b * tokens < share.to; b++) {
        const size_t first = b * tokens;
        const size_t from = vitc_size_max(share.from, first) - first;
        const size_t to = vitc_size_min(vitc_size_min(share.to - first, tokens), queries);
        for (size_t h = share.member; from < to && h < heads; h += share.members) {
            const float *q = qkv + first * ldq + h * head_width;
            attend(&a, h, out + first * ldo + h * head_width, q, q + width, q + 2 * width, from, to,
                   block);
        }
    }
    vit_gemm_end(gemm);
    if (share.members > 1) {
#pragma omp barrier
    }
}
