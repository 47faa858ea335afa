/* vit_workspace.h - the memory of one forward pass (private to vit/model).
 *
 * One arena, laid out for `batch` images, of which `group` are computed together, and `threads`
 * threads; in floats, with D width, N tokens, M MLP width, and rows padded to strides that do not
 * pile up in one set of a cache; each part 64-byte aligned:
 *
 *     patches    batch * Gh*Gw * C*P*P   patch rows, written by the caller
 *     tokens     group * N * D'          the residual stream x
 *     attended   group * N * D'          the attention's output
 *     wide       group * N * W'          queries, keys and values (3D); then the MLP's hidden layer
 *     pooled     2 * group * D           pooled features: class or mean, distillation
 *     logits     group * K               of the distillation head
 * and in bytes
 *     packed     one GEMM's activations in token panels: the largest of all layers
 *     thread     threads * (a panel of normed tokens; or one head's keys, values, scores)
 */
#ifndef VIT_WORKSPACE_H
#define VIT_WORKSPACE_H

#include "vit_model_layout.h"

struct vit_workspace {
    const vit_model *model;
    uint32_t batch, group;
    int threads;
    vitc_arena arena;
    size_t token_stride, wide_stride; /* D', W' */
    float *patches, *tokens, *attended, *wide, *pooled, *logits;
    vit_scratch scratch;
    vit_profile *profile; /* NULL: not measured */
    double profile_clock; /* when the part before ended */
#ifndef NDEBUG
    size_t
        nonfinite; /* 1 + the first place, in forward order, whose result is not finite; 0 none */
#endif
};

#endif
