/* vit_ops_backward.h - the operations of a Vision Transformer, backward (private to vit).
 *
 * For y = f(x; w) and a loss, dy stands for d loss / d y; the operation gives dx and adds to the
 * gradients of its parameters. Letters and the rules of vit_ops.h hold: every thread of the team
 * calls, work is shared, nothing is allocated, an element's sum is made in an order that depends on
 * sizes only, so results do not depend on the number of threads. Each has a scalar twin vit_ref_*,
 * which is its formula, in double. */
#ifndef VIT_OPS_BACKWARD_H
#define VIT_OPS_BACKWARD_H

#include "vit_ops.h"

/* ---- linear layers: y = x W^T + b, W [out, in] ---- */

/* dx = dy W, or dx += dy W with `accumulate`. `transposed` is W^T packed as a linear layer of its
 * own (out and in exchanged; vit_linear_pack_transposed). As vit_op_linear: a thread returns when
 * its own tokens are done. */
void vit_op_linear_backward_input(float *dx, size_t lddx, const float *dy, size_t lddy,
                                  size_t tokens, const vit_linear *transposed, bool accumulate,
                                  const vit_scratch *scratch, const vit_rows_f32 *rows);
/* Packs W [out, in] as the layer that multiplies by W^T: linear->out = in, linear->in = out. */
void vit_linear_pack_transposed(const vit_linear *linear, const float *weight);

/* dW [out, in] += dy^T x and db [out] += sum over tokens of dy. All tokens of dy and x must be done
 * (a barrier before); a thread returns when its own rows of dW are done. */
void vit_op_linear_backward_weight(float *dw, float *db, const float *dy, size_t lddy,
                                   const float *x, size_t ldx, size_t tokens, size_t out, size_t in,
                                   const vit_gemm *gemm, const vit_scratch *scratch,
                                   const vit_rows_f32 *rows);
/* Bytes of vit_scratch.packed and of one thread's block that it needs; 0 on overflow. */
size_t vit_op_linear_backward_packed(const vit_gemm *gemm, size_t tokens, size_t out, size_t in,
                                     size_t threads);
size_t vit_op_linear_backward_thread(const vit_gemm *gemm, size_t tokens, size_t out, size_t in);

/* ---- activation: y = f(z) ---- */

/* dz = dy f'(z); in place is allowed (dz = dy). z is what f was applied to, bias included. */
void vit_op_activation_backward(float *dz, const float *dy, const float *z, size_t ld,
                                size_t tokens, size_t width, vit_epilogue activation,
                                const vit_rows_f32 *rows);

/* ---- LayerNorm: y = (x - mean) / sqrt(variance + eps) * weight + bias ---- */

/* dx = dx + (the gradient through the norm) with `accumulate`, as a residual branch wants it, and
 * dweight, dbias += their gradients. Mean and variance are computed again from x. */
void vit_op_layernorm_backward(float *dx, size_t lddx, const float *dy, size_t lddy, const float *x,
                               size_t ldx, size_t tokens, const vit_norm *norm, float *dweight,
                               float *dbias, size_t width, bool accumulate,
                               const vit_scratch *scratch, const vit_rows_f32 *rows);
size_t vit_op_layernorm_backward_thread(size_t width);

/* ---- attention, as vit_op_attention for all queries ---- */

/* dqkv (as qkv) from dout and what the forward pass left: qkv, out. The weights are computed again,
 * a panel of queries at a time, so that no N x N matrix is kept (FlashAttention, arXiv 2205.14135,
 * appendix B.4: D = rowsum(dout * out)). */
void vit_op_attention_backward(float *dqkv, size_t lddq, const float *dout, size_t lddo,
                               const float *out, size_t ldo, const float *qkv, size_t ldq,
                               size_t images, size_t tokens, size_t heads, size_t head_width,
                               const vit_gemm *gemm, const vit_scratch *scratch,
                               const vit_rows_f32 *rows);
size_t vit_op_attention_backward_thread(const vit_gemm *gemm, size_t tokens, size_t head_width);

/* ---- the loss ---- */

/* Cross-entropy of logits [B, K] against targets [B, K], which are probabilities (labels, smoothed
 * or mixed): returns the sum over images of -sum_k t_k log softmax(z)_k, and dlogits = (softmax(z)
 * * sum_k t_k - t) * scale. By one thread, in double. */
double vit_loss_cross_entropy(float *dlogits, const float *logits, const float *targets,
                              size_t images, size_t classes, float scale);

#endif
