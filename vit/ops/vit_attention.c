#include <math.h>
#include <omp.h>

#include "vit_ops.h"
#include "vitc_size.h"

/* One thread's scratch, in floats, each part a multiple of 16 so that all stay 64-byte aligned:
 *     keys      [panels of WR keys]   Dh-major    the weights of  scores = q k^T
 *     values    [panels of WR values] N-major     the weights of  out = p v
 *     queries   one panel of XR queries
 *     scores    XR rows of N
 *     weights   the same rows packed as one panel, N-major
 *     normed    N rows of Dh: queries or keys after their LayerNorm */
typedef struct attention_scratch {
    size_t keys, values, queries, scores, weights, normed, total;
    size_t score_stride;
    bool fits;
} attention_scratch;

static void part(attention_scratch *layout, size_t *offset, size_t a, size_t b)
{
    size_t count;
    *offset = layout->total;
    layout->fits = layout->fits && vitc_size_mul(a, b, &count) && count < SIZE_MAX - 16 &&
                   vitc_size_add(layout->total, vitc_size_round_up(count, 16), &layout->total);
}

static attention_scratch lay_out(const vit_gemm_f32 *gemm, size_t tokens, size_t head_width)
{
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel;
    attention_scratch layout = {.fits = true, .score_stride = vitc_size_round_up(tokens, 16)};
    part(&layout, &layout.keys, vitc_size_round_up(tokens, wr), head_width);
    part(&layout, &layout.values, vitc_size_round_up(head_width, wr), tokens);
    part(&layout, &layout.queries, xr, head_width);
    part(&layout, &layout.scores, xr, layout.score_stride);
    part(&layout, &layout.weights, xr, tokens);
    part(&layout, &layout.normed, tokens, head_width);
    return layout;
}

size_t vit_op_attention_scratch(const vit_gemm_f32 *gemm, size_t tokens, size_t head_width)
{
    const attention_scratch layout = lay_out(gemm, tokens, head_width);
    return layout.fits ? layout.total : 0;
}

/* values [N, Dh] with row stride ldv -> panels over Dh, N-major: the transpose of what `pack` does,
 * so here rows are copied straight. */
static void pack_values(float *panels, const float *values, size_t ldv, size_t tokens,
                        size_t head_width, size_t wr)
{
    for (size_t d = 0; d < head_width; d += wr) {
        float *panel = panels + d * tokens;
        const size_t lanes = vitc_size_min(wr, head_width - d);
        for (size_t n = 0; n < tokens; n++) {
            for (size_t j = 0; j < lanes; j++) panel[n * wr + j] = values[n * ldv + d + j];
            for (size_t j = lanes; j < wr; j++) panel[n * wr + j] = 0;
        }
    }
}

/* One head of one image. q, k, v point at its first rows inside qkv (row stride ldq). */
static void attend(float *out, size_t ldo, const float *q, const float *k, const float *v,
                   size_t ldq, size_t tokens, size_t head_width, const vit_qk_norm *norm,
                   float *scratch, const vit_kernels *kernels)
{
    const vit_gemm_f32 *gemm = &kernels->gemm;
    const vit_rows_f32 *rows = kernels->rows;
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel;
    const attention_scratch layout = lay_out(gemm, tokens, head_width);
    float *keys = scratch + layout.keys, *values = scratch + layout.values;
    float *queries = scratch + layout.queries, *scores = scratch + layout.scores;
    float *weights = scratch + layout.weights, *normed = scratch + layout.normed;
    const float scale = 1.0f / sqrtf((float)head_width);

    size_t ldk = ldq;
    if (norm->k_weight != NULL) {
        for (size_t n = 0; n < tokens; n++)
            rows->layernorm(normed + n * head_width, k + n * ldq, norm->k_weight, norm->k_bias,
                            head_width, norm->eps);
        k = normed;
        ldk = head_width;
    }
    for (size_t n = 0; n < tokens; n += wr)
        rows->pack(keys + n * head_width, k + n * ldk, ldk, vitc_size_min(wr, tokens - n),
                   head_width, wr, 1.0f);
    pack_values(values, v, ldq, tokens, head_width, wr);

    for (size_t n0 = 0; n0 < tokens; n0 += xr) {
        const size_t panel = vitc_size_min(xr, tokens - n0);
        const float *from = q + n0 * ldq;
        size_t ldf = ldq;
        if (norm->q_weight != NULL) { /* the keys' rows are packed by now */
            for (size_t n = 0; n < panel; n++)
                rows->layernorm(normed + n * head_width, from + n * ldq, norm->q_weight,
                                norm->q_bias, head_width, norm->eps);
            from = normed;
            ldf = head_width;
        }
        rows->pack(queries, from, ldf, panel, head_width, xr, scale);
        for (size_t n = 0; n < tokens; n += wr)
            gemm->tile(gemm, head_width, keys + n * head_width, queries, false, scores + n,
                       layout.score_stride, vitc_size_min(wr, tokens - n), panel);
        for (size_t n = 0; n < panel; n++) rows->softmax(scores + n * layout.score_stride, tokens);
        rows->pack(weights, scores, layout.score_stride, panel, tokens, xr, 1.0f);
        for (size_t d = 0; d < head_width; d += wr)
            gemm->tile(gemm, tokens, values + d * tokens, weights, false, out + n0 * ldo + d, ldo,
                       vitc_size_min(wr, head_width - d), panel);
    }
}

void vit_op_attention(float *out, const float *qkv, size_t images, size_t tokens, size_t heads,
                      size_t head_width, const vit_qk_norm *norm, float *scratch,
                      const vit_kernels *kernels)
{
    const size_t width = heads * head_width, ldq = 3 * width;
    const size_t per_thread = vit_op_attention_scratch(&kernels->gemm, tokens, head_width);
#pragma omp for schedule(dynamic, 1)
    for (size_t task = 0; task < images * heads; task++) {
        const size_t b = task / heads, h = task % heads;
        const float *q = qkv + b * tokens * ldq + h * head_width;
        attend(out + b * tokens * width + h * head_width, width, q, q + width, q + 2 * width, ldq,
               tokens, head_width, norm, scratch + (size_t)omp_get_thread_num() * per_thread,
               kernels);
    }
}
