/* vit_workspace.h - the memory of one forward pass (private to vit/model).
 *
 * One arena, laid out for `batch` images and `threads` threads, in floats (D width, N tokens, M MLP
 * width, K' = max(C*P*P, D, M), each part 64-byte aligned):
 *
 *     patches    batch * Gh*Gw * C*P*P   patch rows, written by the caller
 *     tokens     batch * N * D           the residual stream x
 *     normed     batch * N * D           LayerNorm(x); then the attention's output
 *     wide       batch * N * max(3D, M)  queries, keys and values; then the MLP's hidden layer
 *     packed     batch * N * K'          a GEMM's activations in token panels
 *     attention  threads * (one head's keys, values and a panel of scores)
 *     pooled     2 * batch * D           pooled features: class or mean, distillation
 *     logits     batch * K               of the distillation head
 */
#ifndef VIT_WORKSPACE_H
#define VIT_WORKSPACE_H

#include "vit_model_layout.h"

struct vit_workspace {
    const vit_model *model;
    uint32_t batch;
    int threads;
    vitc_arena arena;
    float *patches, *tokens, *normed, *wide, *packed, *attention, *pooled, *logits;
};

#endif
