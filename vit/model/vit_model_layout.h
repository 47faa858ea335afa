/* vit_model_layout.h - a loaded model as the forward pass sees it (private to vit/model). */
#ifndef VIT_MODEL_LAYOUT_H
#define VIT_MODEL_LAYOUT_H

#include "vit_model.h"
#include "vit_ops.h"
#include "vitc_memory.h"

typedef struct vit_block {
    patches_position position; /* of its tokens, at its beginning; the first block's stand in
                                  vit_model; without a table: none */
    vit_norm norm1;
    vit_linear qkv;
    vit_qk_norm qk_norm;
    vit_relative relative; /* biases NULL: none */
    vit_linear proj;       /* layer scale folded in */
    vit_norm norm2;
    vit_linear fc1, fc2; /* fc2: layer scale folded in */
} vit_block;

struct vit_model {
    vit_config config;
    vit_kernels kernels;
    vit_description description;
    vit_param_table table;
    bool *is_set;   /* per table entry */
    void **storage; /* per table entry: its packed panels or plain floats in the arena */
    vit_precision precision;
    const char *precision_reason;
    const vit_gemm *encoder_gemm;   /* of kernels: the encoder's linear layers */
    const vit_gemm *attention_gemm; /* attention and patch embedding; the rest is float32 */
    size_t only; /* the one matrix that encoder_gemm is for; SIZE_MAX: all of the encoder */
    vitc_arena arena;
    bool labelled;     /* labels come from the checkpoint */
    bool head_trained; /* some head weight is not zero */

    const float *class_token, *distillation_token, *register_tokens; /* D, D, R*D; or NULL */
    float *made_positions;                                           /* vit_positions_size floats */
    patches_position position;                                       /* of the embedded tokens */
    vit_rope rope; /* of all blocks; cosines NULL: none */
    vit_linear patch_embedding;
    vit_norm norm_pre;
    vit_block *blocks; /* L */
    vit_norm norm_final, norm_pooled;
    vit_linear head, distillation_head;
};

/* Positions that are made from parameters, or from nothing, when all are set: tables of N x D, each
 * head's biases, cosines and sines. Floats of all of them, which vit_positions_bind is given;
 * SIZE_MAX on overflow. */
size_t vit_positions_size(const vit_config *config);
void vit_positions_bind(vit_model *model, float *made);
void vit_positions_fill(vit_model *model);

/* The storage of one parameter, NULL where the configuration has none. */
float *vit_model_find(const vit_model *model, vit_param_id id, uint32_t layer);

/* What a linear layer does to its results for an activation. */
vit_epilogue vit_activation_epilogue(vit_activation activation);

#endif
