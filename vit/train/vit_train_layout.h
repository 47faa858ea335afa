/* vit_train_layout.h - a trainer's memory, and how its parts are put together (private to
 * vit/train).
 *
 * The images of a pass go forward and backward in groups: a weight's gradient is a sum over images,
 * so only one group's activations are ever kept, and they are small enough to be near the cores
 * when the backward pass reads them again. The size of a group follows from the configuration, not
 * from the machine, because the order of those sums does. One arena, in floats, with T = group * N
 * tokens (of patches that are dropped there are none; a pass of all of them makes smaller
 * groups), rows padded to strides D', Q' (queries, keys, values: 3D) and M' that do not pile up in
 * one set of a cache; each part 64-byte aligned:
 *
 *     parameters  P, in table order          gradients   P            zeros
 *     packed      every matrix twice, for y = x W^T and for dx = dy W, in the GEMM's format
 *     positions   tables Gh*Gw * D: those made of rows and columns, with their gradient, and fixed
 *                 ones; biases of relative ones H * rows, and of each image their gradient; cosines
 *                 and sines of rotary ones Gh*Gw * Dh/2
 *     patches     batch * Gh*Gw * C*P*P      patch rows, written by the caller
 *     chosen, kept_rows                      batch * K, group * K * C*P*P: which K patches of each
 *                                            image a pass keeps, and their rows, where it drops
 * some
 *
 *     per block   bare      T * D'           its input before positions multiply it, where they do
 *     per block   x         T * D'           its input, the residual stream
 *     per block   qkv       T * Q'           queries, keys and values, as they meet
 *       (or, with qk        T * 2D'          queries and keys before their norm, where there is one
 *     recompute,  attended  T * D'           the attention's output
 *     one for     middle    T * D'           the stream between the two halves
 *     all blocks) z         T * M'           of the MLP, before its activation
 *                 scaled    2 * T * D'       both branches before layer scale, where there is one
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
#include "vitc_random.h"

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

/* A table of positions as the tokens meet it, and what it is made of. */
typedef struct train_position {
    patches_position table;
    float *filled; /* the table's numbers where they are no parameter */
    float *dtable; /* their gradient, zeros between groups where they are filled; NULL:
                      not asked for */
    const float *rows, *columns; /* of the kinds that have them */
    float *drows, *dcolumns;
} train_position;

/* Relative positions: the parameter, and its numbers as attention takes them. */
typedef struct train_relative {
    const float *table;
    float *dtable; /* NULL: not asked for */
    float *biases;
    vit_relative bias;
} train_relative;

typedef struct train_block {
    train_norm norm1, norm2, q_norm, k_norm;
    train_linear qkv, proj, fc1, fc2;
    train_scale scale1, scale2;
    train_position own; /* the table that is this block's, or all blocks' in the first */
    const train_position *position; /* the one that its input is combined with; NULL: none */
    train_relative own_relative;
    const train_relative *relative; /* NULL: none */
    float *bare, *x, *qkv_rows, *qk, *attended, *middle, *z, *scaled1, *scaled2, *out;
    size_t from; /* its first parameter's place */
} train_block;

/* Row strides in floats. */
typedef struct train_strides {
    size_t token, qk, qkv, hidden, wide;
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
    uint32_t group;       /* images, of a pass that drops patches, if the options do */
    uint32_t whole_group; /* of one with all patches */
    uint32_t kept;        /* patches of an image in a pass that drops some */
    bool keep_all;        /* passes that train drop none, whatever the options */
    void *block;          /* the arena's memory */
    train_strides ld;

    float *parameters, *gradients;
    float *zeros; /* of the longest row; biases that a layer does not have */
    size_t zeros_count;
    const float *class_token, *distillation_token, *register_tokens; /* or NULL */
    float *dclass_token, *ddistillation_token, *dregister_tokens;
    float *cosines, *sines;
    vit_rope rope; /* turns nothing where positions are not rotary */
    float *dbiases;
    train_linear patch_embedding, head;
    train_norm norm_pre, norm_final, norm_pooled;
    train_block *blocks; /* L */
    size_t blocks_end;   /* the place of the first parameter after them */

    float *patches, *kept_rows, *embedded, *normed, *dnormed, *hidden, *dwide, *dx, *dbranch;
    float *pooled, *features, *dpooled, *dfeatures, *logits, *dlogits;
    vit_scratch scratch;

    /* of the pass that runs */
    train_drop drop;        /* all 0: nothing is left out */
    uint32_t patch_count;   /* of an image, of those that are kept */
    uint32_t tokens;        /* of an image, with the prefix tokens */
    uint32_t *chosen;       /* [batch][patch_count], rising, where not all are kept */
    uint32_t first, images; /* the group's in the pass */
    double loss;            /* what the pass has summed so far */
    uint64_t right;         /* images, so far */
    bool failed;            /* the loss is not finite */
};

/* ---- vit_train_layout.c ---- */

/* Chooses group and strides for the configuration, the options and the kernels; returns the bytes
 * of the arena, 0 when they cannot be said. */
size_t vit_train_plan(vit_trainer *t);
/* Hands out the arena at t->block; parameters and gradients are zeros. */
void vit_train_lay_out(vit_trainer *t);

/* ---- vit_train_forward.c: logits of `images` images from patches on, by all of a team ---- */

void vit_train_forward(vit_trainer *t, const float *patches, uint32_t images);
/* One block again, for its activations: x to out. */
void vit_train_block(vit_trainer *t, uint32_t layer, uint32_t images);
/* The tokens of a block that its MLP works on: of the last one only those that are pooled. */
train_rows vit_train_block_rows(const vit_trainer *t, uint32_t layer, uint32_t images);

/* ---- vit_train_patches.c: which patches take part, by all of a team ---- */

/* Whether the pass leaves out none. */
bool vit_train_keeps_all(const vit_trainer *t);
/* Draws what is kept of each of the pass's images. */
void vit_train_choose_patches(vit_trainer *t, uint32_t batch);
/* The rows of the group's patches that are kept, behind each other, image by image: `patches`
 * itself where all are. Ends in a barrier. */
const float *vit_train_gather_patches(vit_trainer *t, const float *patches, uint32_t images);
/* The same rows again. */
const float *vit_train_patch_rows(const vit_trainer *t, const float *patches);
/* The number among all tokens of token `i` of image `b` of the group, and the other way: SIZE_MAX
 * where it is left out. */
uint32_t vit_train_token_number(const vit_trainer *t, uint32_t b, size_t i);
size_t vit_train_find_token(const vit_trainer *t, uint32_t b, uint32_t number);

/* ---- vit_train_position.c: positions, by all of a team ---- */

/* Makes the tables that parameters make, as they are now; a barrier must follow. */
void vit_train_fill_positions(vit_trainer *t);
/* The input of a block, or what will be it after norm_pre, combined with its positions: its own
 * tokens of x, taken from `bare` where that is not NULL. */
void vit_train_apply_positions(const vit_trainer *t, uint32_t layer, float *x, const float *bare,
                               uint32_t images);
/* And backward: dx becomes the gradient from before. All of dx is done before (a barrier); ends in
 * one. */
void vit_train_positions_backward(vit_trainer *t, uint32_t layer, float *dx, uint32_t images);
/* What attention adds to a block's scores; NULL: nothing. */
static inline const vit_relative *vit_train_bias(const train_block *block)
{
    return block->relative != NULL ? &block->relative->bias : NULL;
}

/* Adds the images' gradients of biases to those of a block's table of relative positions. All of
 * them are done before (a barrier); ends in one. */
void vit_train_relative_backward(vit_trainer *t, uint32_t layer, uint32_t images);

/* ---- vit_backward.c: from dlogits to all gradients, by all of a team ---- */

/* `last`: of the pass, after which gradients are complete. */
void vit_backward(vit_trainer *t, const float *patches, uint32_t images, bool last);

/* ---- vit_train_residual.c ---- */

/* Where something is left out: after the embedding, or at the end of a block's branches. */
typedef struct train_place {
    uint32_t layer;  /* ignored for the embedding */
    uint32_t branch; /* 0 embedding, 1 attention, 2 MLP */
} train_place;

/* A stream of its own for every row (or image) of every place of every pass. */
vitc_random vit_train_drop_stream(const vit_trainer *t, vitc_random_use use, train_place place,
                                  size_t image, size_t token);
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

/* The rows of the calling thread: those of its part, dealt out among its members. */
typedef struct train_own_rows {
    size_t from, to, step;
} train_own_rows;
train_own_rows vit_train_own_rows(size_t count);

/* A barrier where several threads share the same tokens (vit_share), so that what one of them has
 * written another may read. */
void vit_train_settle(size_t tokens);

#endif
