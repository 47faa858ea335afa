/* Positions, shared among a team as vit_op_linear shares tokens: by the threads whose they are. */
#include "vit_ops.h"

/* What a token's other threads have done is done: they share its part. */
static void settle(const vit_share *share)
{
    if (share->members > 1) {
#pragma omp barrier
    }
}

void vit_op_position(float *x, size_t ldx, size_t images, size_t tokens,
                     const patches_position *position, uint32_t prefix)
{
    if (!patches_position_has_table(position->kind)) return;
    const vit_share share = vit_share_tokens(images * tokens);
    for (size_t t = share.from + share.member; t < share.to; t += share.members)
        patches_position_apply_token(x + t * ldx, (uint32_t)(t % tokens), position, prefix);
    settle(&share);
}

/* One query or key of a token; its patch's cosines and sines, NULL: not turned. */
static void rope_row(float *x, const vit_norm *norm, const float *cosines, const float *sines,
                     size_t head_width, bool back, const vit_rows_f32 *rows)
{
    if (norm->weight != NULL)
        rows->layernorm(x, x, norm->weight, norm->bias, head_width, norm->eps);
    if (cosines != NULL) patches_rope_turn(x, cosines, sines, (uint32_t)head_width, back);
}

void vit_op_rope(float *qkv, size_t ldq, size_t images, size_t tokens, size_t heads,
                 size_t head_width, const vit_qk_norm *norm, const vit_rope *rope, bool back,
                 const vit_rows_f32 *rows)
{
    const size_t width = heads * head_width;
    const vit_share share = vit_share_tokens(images * tokens);
    for (size_t t = share.from + share.member; t < share.to; t += share.members) {
        const size_t n = t % tokens, patch = n - rope->prefix;
        const bool turns = n >= rope->prefix;
        const float *cosines = turns ? rope->cosines + patch * (head_width / 2) : NULL;
        const float *sines = turns ? rope->sines + patch * (head_width / 2) : NULL;
        float *q = qkv + t * ldq, *k = q + width;
        for (size_t i = 0; i < width; i += head_width) {
            rope_row(q + i, &norm->q, cosines, sines, head_width, back, rows);
            rope_row(k + i, &norm->k, cosines, sines, head_width, back, rows);
        }
    }
    settle(&share);
}
