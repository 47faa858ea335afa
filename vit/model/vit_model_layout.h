/* vit_model_layout.h - a loaded model as the forward pass sees it (private to vit/model). */
#ifndef VIT_MODEL_LAYOUT_H
#define VIT_MODEL_LAYOUT_H

#include "vit_model.h"
#include "vit_ops.h"
#include "vitc_memory.h"

typedef struct vit_block {
    vit_norm norm1;
    vit_linear qkv;
    vit_qk_norm qk_norm;
    vit_linear proj; /* layer scale folded in */
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
    patches_position position;
    vit_linear patch_embedding;
    vit_norm norm_pre;
    vit_block *blocks; /* L */
    vit_norm norm_final, norm_pooled;
    vit_linear head, distillation_head;
};

/* What a linear layer does to its results for an activation. */
vit_epilogue vit_activation_epilogue(vit_activation activation);

#endif
