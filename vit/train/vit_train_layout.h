/* vit_train_layout.h - a trainer's memory, and how its parts are put together (private to
 * vit/train).
 *
 * The images of a pass go forward and backward in groups: a weight's gradient is a sum over images,
 * so only one group's activations are ever kept, and they are small enough to be near the cores
 * when the backward pass reads them again. The size of a group follows from the configuration, not
 * from the machine, because the order of those sums does. One arena, in floats, with T = group * N
 * tokens, rows padded to strides D', Q' (queries, keys, values: 3D) and M' that do not pile up in
 * one set of a cache; each part 64-byte aligned:
 *
 *     parameters  P, in table order          gradients   P            zeros
 *     packed      every matrix twice, for y = x W^T and for dx = dy W, in the GEMM's format
 *     patches     batch * Gh*Gw * C*P*P      patch rows, written by the caller
 *
 *     per block   x         T * D'           its input, the residual stream
 *     per block   qkv       T * Q'           queries, keys and values
 *       (or, with attended  T * D'           the attention's output
 *     recompute,  middle    T * D'           the stream between the two halves
 *     one for     z         T * M'           of the MLP, before its activation
 *     all blocks) scaled    2 * T * D'       both branches before layer scale, where there is one
 *     x of the last block's output           T * D'
 *
 *     normed, dnormed       T * D' each      a LayerNorm's output, again; its gradient
 *     hidden, dwide         T * M', T * max(Q', M')   the MLP's hidden layer; dqkv or dz
 *     dx, dbranch           T * D' each      gradients of the stream, and of a residual branch
 *     embedded              T * D'           before norm_pre, where there is one
 *     pooled, features, dpooled, dfeatures   group * D each
 *     logits, dlogits       group * K each
 * and in bytes
 *     scratch     one GEMM's operands in panels: the largest of all; and a block per thread
 *
 * LayerNorms and activations are computed again in the backward pass: that takes less time than
 * bringing them back from memory would. */
#ifndef VIT_TRAIN_LAYOUT_H
#define VIT_TRAIN_LAYOUT_H

#include "vit_ops_backward.h"
#include "vit_params.h"
#include "vit_train.h"
#include "vitc_memory.h"

/* A matrix [out, in] with its bias, packed for both directions. */
typedef struct train_linear {
    const float *weight;
    float *dweight, *dbias; /* dbias NULL: the layer has no bias */
    vit_linear forward, backward;
} train_linear;

typedef struct train_norm {
    vit_norm norm;
    float *dweight, *dbias;
} train_norm;

/* Layer scale: a factor per feature; NULL: none. */
typedef struct train_scale {
    const float *gamma;
    float *dgamma;
} train_scale;

typedef struct train_block {
    train_norm norm1, norm2;
    train_linear qkv, proj, fc1, fc2;
    train_scale scale1, scale2;
    float *x, *qkv_rows, *attended, *middle, *z, *scaled1, *scaled2, *out;
} train_block;

/* Row strides in floats. */
typedef struct train_strides {
    size_t token, qkv, hidden, wide;
} train_strides;

/* What a pass leaves out (dropout, stochastic depth). */
typedef struct train_drop {
    uint64_t seed, number;
    float path, dropout; /* probabilities; path: of the last block */
} train_drop;

/* Tokens `step` apart, of which `count` take part: all of them, or one per image. */
typedef struct train_rows {
    size_t count, step;
} train_rows;

struct vit_trainer {
    vit_config config;
    vit_train_options options;
    vit_kernels kernels;
    const vit_gemm *encoder_gemm, *attention_gemm;
    vit_param_table table;
    int threads;
    uint32_t group;
    void *block; /* the arena's memory */
    train_strides ld;

    float *parameters, *gradients;
    float *zeros; /* of the longest row; biases that a layer does not have */
    size_t zeros_count;
    const float *class_token, *distillation_token, *register_tokens; /* or NULL */
    float *dclass_token, *ddistillation_token, *dregister_tokens;
    patches_position position;
    float *dposition;
    train_linear patch_embedding, head;
    train_norm norm_pre, norm_final, norm_pooled;
    train_block *blocks; /* L */

    float *patches, *embedded, *normed, *dnormed, *hidden, *dwide, *dx, *dbranch;
    float *pooled, *features, *dpooled, *dfeatures, *logits, *dlogits;
    vit_scratch scratch;

    train_drop drop;        /* of the pass that runs; all 0: nothing is left out */
    uint32_t first, images; /* the group's in the pass */
    double loss;            /* what the pass has summed so far */
    uint64_t right;         /* images, so far */
    bool failed;            /* the loss is not finite */
};

/* ---- vit_train_forward.c: logits of `images` images from patches on, by all of a team ---- */

void vit_train_forward(vit_trainer *t, const float *patches, uint32_t images);
/* One block again, for its activations: x to out. */
void vit_train_block(vit_trainer *t, uint32_t layer, uint32_t images);
/* The tokens of a block that its MLP works on: of the last one only those that are pooled. */
train_rows vit_train_block_rows(const vit_trainer *t, uint32_t layer, uint32_t images);

/* ---- vit_backward.c: from dlogits to all gradients, by all of a team ---- */

void vit_backward(vit_trainer *t, const float *patches, uint32_t images);

/* ---- vit_train_residual.c ---- */

/* Where something is left out: after the embedding, or at the end of a block's branches. */
typedef struct train_place {
    uint32_t layer;  /* ignored for the embedding */
    uint32_t branch; /* 0 embedding, 1 attention, 2 MLP */
} train_place;

/* True when a pass may leave something out here. */
bool vit_train_drops(const vit_trainer *t, train_place place);
/* x[T][:] of the calling thread's tokens, times what of them is kept: 0, or 1 / probability. */
void vit_train_drop(const vit_trainer *t, float *x, train_rows rows, train_place place);
/* out = x + drop(gamma * branch), branch NULL: out itself. Own tokens. */
void vit_train_residual(const vit_trainer *t, float *out, const float *x, const float *branch,
                        const train_scale *scale, train_rows rows, train_place place);
/* The gradient of the branch, given dx of the sum; adds to dgamma. Ends with a barrier, or returns
 * dx itself where the branch has the same gradient. */
const float *vit_train_residual_backward(const vit_trainer *t, float *dbranch, const float *dx,
                                         const float *branch, const train_scale *scale,
                                         train_rows rows, train_place place);

/* A barrier where several threads share the same tokens (vit_share), so that what one of them has
 * written another may read. */
void vit_train_settle(size_t tokens);

#endif
