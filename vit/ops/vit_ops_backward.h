/* vit_ops_backward.h - the operations of a Vision Transformer, backward (private to vit).
 *
 * For y = f(x; w) and a loss, dy stands for d loss / d y; an operation gives dx, and adds to the
 * gradients of its parameters. The letters and rules of vit_ops.h hold: all threads of the team
 * call, work is shared among them, nothing is allocated, and how work is cut never changes the
 * order in which an element is summed, so the number of threads changes no bit.
 *
 * At the end of this file are the formulas, forward and backward, in double. */
#ifndef VIT_OPS_BACKWARD_H
#define VIT_OPS_BACKWARD_H

#include "vit_ops.h"

/* ---- linear layers: y = x W^T + b, W [out, in] ---- */

/* Packs weight [out, in] as the layer that multiplies by its transpose, in the format and memory of
 * `transposed`, whose `out` is the layer's `in`, and whose `in` is the layer's `out`. */
void vit_linear_pack_transposed(const vit_linear *transposed, const float *weight);

/* What a trainer wants of a layer before an activation: z = LN(x) W^T + b, which is kept for the
 * backward pass, and hidden = f(z), [T, out] both. All else as for vit_op_linear. */
void vit_op_linear_activated(float *z, size_t ldz, float *hidden, size_t ldh, const float *x,
                             size_t ldx, size_t tokens, const vit_norm *norm,
                             const vit_linear *linear, vit_epilogue activation,
                             const vit_scratch *scratch, const vit_rows_f32 *rows);

/* dx = dy W, or dx += dy W with `accumulate`. Where the layer's input was x = f(z), z not NULL:
 * dx = (dy W) f'(z), the gradient of z, without `accumulate`; and z becomes f(z), which the
 * weights' gradient wants. z has had its bias added. Memory and threads as for vit_op_linear of
 * `transposed`: a thread returns when its own tokens are done. dx may overlap dy as out may overlap
 * x there. */
void vit_op_linear_backward_input(float *dx, size_t lddx, const float *dy, size_t lddy,
                                  size_t tokens, const vit_linear *transposed, bool accumulate,
                                  vit_epilogue activation, float *z, size_t ldz,
                                  const vit_scratch *scratch, const vit_rows_f32 *rows);

/* dW [out, in] += dy^T x and db [out] += the sum of dy over the tokens. norm: x is normalized
 * first, as vit_op_linear does, NULL: it is not. db NULL: the layer has no bias. All of x and dy
 * must be done (a barrier before); a thread returns when its own block of dW is done. Sums are made
 * in passes over the tokens, as vit_gemm_pass cuts them. */
void vit_op_linear_backward_weight(float *dw, float *db, const float *dy, size_t lddy,
                                   const float *x, size_t ldx, size_t tokens, const vit_norm *norm,
                                   size_t out, size_t in, const vit_gemm *gemm,
                                   const vit_scratch *scratch, const vit_rows_f32 *rows);
/* Bytes of one thread's block that it needs; 0 on overflow. */
size_t vit_op_linear_backward_thread(const vit_gemm *gemm, size_t tokens, size_t in);

/* ---- LayerNorm: y = (x - mean) / sqrt(variance + eps) * weight + bias ---- */

/* dx = the gradient of x, or dx += with `accumulate`, which is what a residual branch wants; and
 * dweight, dbias [width] += theirs. Mean and variance are computed again from x. All of dy must be
 * done (a barrier before), dx may overlap neither dy nor x; ends in a barrier.
 * Layer Normalization, arXiv 1607.06450. */
void vit_op_layernorm_backward(float *dx, size_t lddx, const float *dy, size_t lddy, const float *x,
                               size_t ldx, size_t tokens, const vit_norm *norm, float *dweight,
                               float *dbias, size_t width, bool accumulate,
                               const vit_scratch *scratch, const vit_rows_f32 *rows);
/* Bytes of vit_scratch.packed that it needs; 0 on overflow. */
size_t vit_op_layernorm_backward_packed(size_t tokens, size_t width);

/* ---- attention: vit_op_attention without norms ---- */

/* dqkv, laid out as qkv, from dout, the gradient of out, and qkv: only the first `queries` <= N
 * tokens of each image have a query and an output, and rows of dout; the gradients of the other
 * queries become 0. With relative positions, dbiases [B][H][rows], laid out as the biases of each
 * image, becomes their gradient; NULL: it is not asked for. The attention's weights are computed
 * again, for a few panels of queries at a time, so that no N x N matrix is kept. All of dout and
 * qkv must be done (a barrier before); each head of an image is done by one thread, which returns
 * when its own are done (a barrier after). dqkv overlaps nothing. */
void vit_op_attention_backward(float *dqkv, size_t lddq, const float *dout, size_t lddo,
                               const float *qkv, size_t ldq, size_t images, size_t tokens,
                               size_t queries, size_t heads, size_t head_width,
                               const vit_relative *relative, float *dbiases, const vit_gemm *gemm,
                               const vit_scratch *scratch, const vit_rows_f32 *rows);
/* Bytes of one thread's block that it needs; 0 on overflow. */
size_t vit_op_attention_backward_thread(const vit_gemm *gemm, size_t tokens, size_t head_width);

/* ---- the loss ---- */

/* Cross-entropy of logits [B, K] against targets [B, K], which are probabilities (labels, smoothed
 * or mixed): returns the sum over the images of -sum_k t_k log softmax(z)_k, and dlogits = scale *
 * (softmax(z) * sum_k t_k - t), which may be logits. By one thread, in double. NaN where a logit is
 * NaN or infinite, but for one of -infinity whose target is 0: such a class takes no part. */
double vit_loss_cross_entropy(float *dlogits, const float *logits, const float *targets,
                              size_t images, size_t classes, float scale);

/* ---- the formulas, in double ----
 *
 * Forward, and backward from it: what the operations are tested against, and what finite
 * differences can test to many digits. Matrices are contiguous; gradients of parameters are added
 * to, those of inputs are written. */

void vit_double_linear(double *y, const double *x, size_t tokens, const double *weight,
                       const double *bias, size_t out, size_t in);
void vit_double_linear_backward(double *dx, double *dweight, double *dbias, const double *dy,
                                const double *x, size_t tokens, const double *weight, size_t out,
                                size_t in);
double vit_double_activation(vit_epilogue activation, double z);
double vit_double_activation_slope(vit_epilogue activation, double z);
void vit_double_layernorm(double *y, const double *x, size_t tokens, const double *weight,
                          const double *bias, size_t width, double eps);
void vit_double_layernorm_backward(double *dx, double *dweight, double *dbias, const double *dy,
                                   const double *x, size_t tokens, const double *weight,
                                   size_t width, double eps);
/* biases [H][N][N] are added to the logits; NULL: none. weights: room for [N] (forward) and [2 N]
 * (backward). dbiases NULL: not asked for. */
void vit_double_attention(double *out, const double *qkv, size_t images, size_t tokens,
                          size_t heads, size_t head_width, const double *biases, double *weights);
void vit_double_attention_backward(double *dqkv, double *dbiases, const double *dout,
                                   const double *qkv, size_t images, size_t tokens, size_t heads,
                                   size_t head_width, const double *biases, double *weights);
/* dlogits NULL: only the loss. */
double vit_double_cross_entropy(double *dlogits, const double *logits, const double *targets,
                                size_t images, size_t classes);

#endif
