/* vit_ops.h - the operations of a Vision Transformer, forward (private to vit).
 *
 * Letters: T tokens (of all images together), B images, N tokens per image, D width, H heads,
 * Dh = D/H. All matrices are row-major float32, one token per row.
 *
 * The vit_op_* functions are called by every thread of an OpenMP team (or outside of any): they
 * share the work among the team and end in a barrier. None allocates. How the work is cut never
 * changes the order in which an output element is summed. Each has a scalar twin, vit_ref_*, which
 * is its formula. */
#ifndef VIT_OPS_H
#define VIT_OPS_H

#include "vit_kernels.h"

/* A linear layer, packed for the kernels: y = x W^T + b, W [out, in]. */
typedef struct vit_linear {
    size_t out, in;
    float *packed;     /* vit_linear_packed_count floats */
    const float *bias; /* out floats; zeros where the layer has none */
} vit_linear;

/* Floats that the packed weights take; 0 on overflow. */
size_t vit_linear_packed_count(const vit_gemm_f32 *gemm, size_t out, size_t in);
/* Packs weight [out, in] into linear->packed. */
void vit_linear_pack(const vit_linear *linear, const float *weight, const vit_kernels *kernels);
/* W[o][:] *= scale[o] on the packed weights: folds layer scale into the projection before it. */
void vit_linear_scale(const vit_linear *linear, const float *scale, const vit_gemm_f32 *gemm);

/* Floats of scratch that vit_op_linear needs to pack T tokens of `in` elements; 0 on overflow. */
size_t vit_op_linear_scratch(const vit_gemm_f32 *gemm, size_t tokens, size_t in);

/* out[t][:] = f(x[t][:] W^T + b), or out += x W^T + b with `residual` (then f is the identity).
 * ldo, ldx: row strides in floats. out must not overlap x. */
void vit_op_linear(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                   const vit_linear *linear, vit_epilogue epilogue, bool residual, float *scratch,
                   const vit_kernels *kernels);

/* out[t] = LayerNorm(x[t]) * weight + bias; out may be x. Layer Normalization, arXiv 1607.06450. */
void vit_op_layernorm(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                      const float *weight, const float *bias, size_t width, float eps,
                      const vit_kernels *kernels);

/* LayerNorm of queries and keys per head, where a model has it; weights NULL: none. */
typedef struct vit_qk_norm {
    const float *q_weight, *q_bias, *k_weight, *k_bias; /* Dh each */
    float eps;
} vit_qk_norm;

/* Floats of scratch for ONE thread of vit_op_attention; 0 on overflow. */
size_t vit_op_attention_scratch(const vit_gemm_f32 *gemm, size_t tokens, size_t head_width);

/* Multi-head self-attention (arXiv 1706.03762, section 3.2) for B images:
 *     out[b][n][h] = softmax(q k^T / sqrt(Dh)) v
 * qkv [B*N, 3D]: queries, keys and values side by side, each H groups of Dh. out [B*N, D].
 * The N x N scores are never stored: a panel of queries meets all keys, then all values.
 * scratch: one block of vit_op_attention_scratch floats per thread of the team. */
void vit_op_attention(float *out, const float *qkv, size_t images, size_t tokens, size_t heads,
                      size_t head_width, const vit_qk_norm *norm, float *scratch,
                      const vit_kernels *kernels);

/* Pooling of tokens [N, D] after the prefix tokens into out [D]: mean and/or maximum; both give
 * half their sum. */
void vit_pool_tokens(float *out, const float *tokens, size_t count, size_t width, bool mean,
                     bool maximum);

/* ---- the scalar twins ---- */

void vit_ref_linear(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                    const float *weight, const float *bias, size_t outputs, size_t inputs,
                    vit_epilogue epilogue, bool residual);
void vit_ref_layernorm(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                       const float *weight, const float *bias, size_t width, float eps);
void vit_ref_attention(float *out, const float *qkv, size_t images, size_t tokens, size_t heads,
                       size_t head_width, const vit_qk_norm *norm);

#endif
