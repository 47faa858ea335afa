/* vit_ops.h - the operations of a Vision Transformer, forward (private to vit).
 *
 * Letters: T tokens (of all images together), B images, N tokens per image, D width, H heads,
 * Dh = D/H. All matrices are row-major float32, one token per row.
 *
 * The vit_op_* functions are called by every thread of an OpenMP team (or outside of any) and share
 * the work among the team. None allocates. How the work is cut never changes the order in which an
 * output element is summed. Each has a scalar twin, vit_ref_*, which is its formula. */
#ifndef VIT_OPS_H
#define VIT_OPS_H

#include "patches.h"
#include "vit_kernels.h"

/* LayerNorm's parameters, `width` floats each; weight NULL: no norm. */
typedef struct vit_norm {
    const float *weight, *bias;
    float eps;
} vit_norm;

/* A linear layer, packed for the kernels: y = x W^T + b, W [out, in]. */
typedef struct vit_linear {
    size_t out, in;
    const vit_gemm *gemm; /* the number format that it computes in */
    void *packed;         /* vit_linear_packed_size bytes */
    const float *bias;    /* out floats; zeros where the layer has none */
} vit_linear;

/* Bytes that the packed weights take; 0 on overflow. */
size_t vit_linear_packed_size(const vit_gemm *gemm, size_t out, size_t in);
/* Packs weight [out, in] into linear->packed. Row o is multiplied by row_scale[o] (NULL: 1): so
 * layer scale is folded into the projection before it. */
void vit_linear_pack(const vit_linear *linear, const float *weight, const float *row_scale);
/* The same from int8 numbers: weight[o][:] = q[o][:] * scale[o]. linear->gemm is an int8 one. */
void vit_linear_pack_quantized(const vit_linear *linear, const int8_t *q, const float *scale);

/* Which tokens a thread of the team works on. A team's threads each take a run of tokens as far as
 * there are enough of them, and keep to it through LayerNorm, linear layers and MLP, so that what
 * one core has written another need not fetch, and only attention has to wait for all. Where tokens
 * are few, several threads share a run and divide weights or heads instead. The same `tokens` gives
 * the same shares in every operation. */
typedef struct vit_share {
    size_t from, to;        /* tokens of this thread's part */
    size_t part, parts;     /* parts <= threads */
    size_t member, members; /* this thread among those that share the part */
} vit_share;

/* The share of the calling thread. */
vit_share vit_share_tokens(size_t tokens);
/* The most parts that any team makes of so many tokens. */
size_t vit_share_most(size_t tokens);

/* Memory that the operations share. `packed` holds every part's run of tokens of one GEMM, `thread`
 * one block of thread_size bytes for every thread of the team. */
typedef struct vit_scratch {
    unsigned char *packed, *thread;
    size_t packed_size; /* the most that vit_op_linear_packed gives for any of the layers */
    size_t thread_size; /* a multiple of 64 */
} vit_scratch;

/* Bytes of vit_scratch.packed that vit_op_linear needs for T tokens of `in` elements on up to
 * `threads` threads, and of one thread's block (with a norm); 0 on overflow. */
size_t vit_op_linear_packed(const vit_gemm *gemm, size_t tokens, size_t in, size_t threads);
size_t vit_op_linear_thread(const vit_gemm *gemm, size_t in);

/* out[t][:] = f(LN(x[t][:]) W^T + b), or out += LN(x) W^T + b with `residual` (then f is the
 * identity). norm NULL: no LN. ldo, ldx: row strides in floats. out may overlap x only where both
 * have the same tokens at the same place, as a run of tokens is read before it is written. A thread
 * returns when its part is done; the others' parts are done after the next barrier. */
void vit_op_linear(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                   const vit_norm *norm, const vit_linear *linear, vit_epilogue epilogue,
                   bool residual, const vit_scratch *scratch, const vit_rows_f32 *rows);

/* out[t] = LayerNorm(x[t]); out may be x. Ends in a barrier. Layer Normalization, arXiv 1607.06450.
 */
void vit_op_layernorm(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                      const vit_norm *norm, size_t width, const vit_rows_f32 *rows);

/* LayerNorm of queries and keys per head, where a model has it; weights NULL: none. */
typedef struct vit_qk_norm {
    vit_norm q, k; /* of Dh */
} vit_qk_norm;

/* Each token of B images combined with its position (patches_position_apply): of a table, other
 * kinds change nothing. Threads as for vit_op_linear: each takes its own tokens, so no barrier
 * stands before or after. */
void vit_op_position(float *x, size_t ldx, size_t images, size_t tokens,
                     const patches_position *position, uint32_t prefix);

/* Axial rotary positions: patches_rope_fill's tables [Gh*Gw, Dh/2]. */
typedef struct vit_rope {
    const float *cosines, *sines;
    size_t prefix; /* tokens before the patches, which are not turned */
} vit_rope;

/* Turns queries and keys in the rows of qkv (as below) by their place, after their LayerNorm where
 * `norm` has one, which the attention then must not do again. `back` turns the other way, which is
 * also the backward pass, without norms. Threads as above. */
void vit_op_rope(float *qkv, size_t ldq, size_t images, size_t tokens, size_t heads,
                 size_t head_width, const vit_qk_norm *norm, const vit_rope *rope, bool back,
                 const vit_rows_f32 *rows);

/* Relative positions: biases [H][rows] of patches_relative_arrange with the factor sqrt(Dh), which
 * undoes the scale that the softmax gives to q k^T and to them. */
typedef struct vit_relative {
    patches_relative shape;
    const float *biases;
} vit_relative;

/* Bytes of one thread's block that vit_op_attention needs; 0 on overflow. */
size_t vit_op_attention_thread(const vit_gemm *gemm, size_t tokens, size_t head_width);

/* Multi-head self-attention (arXiv 1706.03762, section 3.2) for B images:
 *     out[b][n][h] = softmax(q k^T / sqrt(Dh) + bias) v   for the first `queries` <= N tokens n
 * relative NULL: without the bias.
 * qkv [B*N, 3D], row stride ldq: queries, keys and values side by side, each H groups of Dh.
 * out [B*N, D], row stride ldo. `gemm` gives the number format of both products (float32 or bf16);
 * the softmax is float32. The N x N scores are never stored: a panel of queries meets all keys,
 * then all values. All of qkv must be done (a barrier before); a thread returns when the queries of
 * its part of the B*N tokens are done. */
void vit_op_attention(float *out, size_t ldo, const float *qkv, size_t ldq, size_t images,
                      size_t tokens, size_t queries, size_t heads, size_t head_width,
                      const vit_qk_norm *norm, const vit_relative *relative, const vit_gemm *gemm,
                      const vit_scratch *scratch, const vit_rows_f32 *rows);

/* Pooling of tokens [N, D], row stride ldx, after the prefix tokens into out [D]: mean and/or
 * maximum; both give half their sum. */
void vit_pool_tokens(float *out, const float *tokens, size_t ldx, size_t count, size_t width,
                     bool mean, bool maximum);

/* ---- the scalar twins ---- */

void vit_ref_linear(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                    const float *weight, const float *bias, size_t outputs, size_t inputs,
                    vit_epilogue epilogue, bool residual);
void vit_ref_layernorm(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                       const vit_norm *norm, size_t width);
void vit_ref_position(float *x, size_t images, size_t tokens, const patches_position *position,
                      uint32_t prefix);
void vit_ref_rope(float *qkv, size_t images, size_t tokens, size_t heads, size_t head_width,
                  const vit_qk_norm *norm, const vit_rope *rope, bool back);
void vit_ref_attention(float *out, const float *qkv, size_t images, size_t tokens, size_t heads,
                       size_t head_width, const vit_qk_norm *norm, const vit_relative *relative);

#endif
