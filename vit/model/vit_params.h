/* vit_params.h - the one table of a model's parameters (private to vit).
 *
 * Name, shape, offset and kind of every tensor stand here and nowhere else; counting, loading,
 * saving, packing (later: quantizing, gradients, optimizer) walk this table.
 * Names and shapes are timm's, which are also those of vitc's own files:
 *     cls_token [1,1,D]  dist_token [1,1,D]  reg_token [1,R,D]  pos_embed [1,S,D]
 *     or pos_embed_rows [Gh,W] and pos_embed_columns [Gw,W] (vitc's own; W: D/2 for learned-2d, D
 *     for factorized-sum), or rel_pos_bias.relative_position_bias_table [offsets,H] (BEiT's), each
 *     also per block, as blocks.{i}.pos_embed, blocks.{i}.attn.relative_position_bias_table
 *     patch_embed.proj.weight [D,C,P,P]  norm_pre.*  blocks.{i}.norm1.*  blocks.{i}.attn.qkv.weight
 *     [3D,D] (rows: queries, keys, values) ... norm.*  fc_norm.*  head.*  head_dist.*
 */
#ifndef VIT_PARAMS_H
#define VIT_PARAMS_H

#include "vit.h"

#define VIT_PARAM_NAME_SIZE 48
#define VIT_PARAM_RANK_MAX  4

typedef enum vit_param_kind {
    VIT_PARAM_MATRIX,   /* [out, in...]: weight of a linear layer, the GEMM's operand */
    VIT_PARAM_VECTOR,   /* bias, norm, scale */
    VIT_PARAM_EMBEDDING /* tokens and position table */
} vit_param_kind;

/* Which tensor it is; those of a block are the same in every layer. */
typedef enum vit_param_id {
    VIT_CLS_TOKEN,
    VIT_DIST_TOKEN,
    VIT_REG_TOKEN,
    VIT_POS_EMBED,
    VIT_POS_ROWS,
    VIT_POS_COLUMNS,
    VIT_RELATIVE_TABLE,
    VIT_PATCH_WEIGHT,
    VIT_PATCH_BIAS,
    VIT_NORM_PRE_WEIGHT,
    VIT_NORM_PRE_BIAS,
    /* one of each per block */
    VIT_BLOCK_POS_EMBED,
    VIT_BLOCK_POS_ROWS,
    VIT_BLOCK_POS_COLUMNS,
    VIT_BLOCK_RELATIVE_TABLE,
    VIT_NORM1_WEIGHT,
    VIT_NORM1_BIAS,
    VIT_QKV_WEIGHT,
    VIT_QKV_BIAS,
    VIT_Q_NORM_WEIGHT,
    VIT_Q_NORM_BIAS,
    VIT_K_NORM_WEIGHT,
    VIT_K_NORM_BIAS,
    VIT_PROJ_WEIGHT,
    VIT_PROJ_BIAS,
    VIT_LS1_GAMMA,
    VIT_NORM2_WEIGHT,
    VIT_NORM2_BIAS,
    VIT_FC1_WEIGHT,
    VIT_FC1_BIAS,
    VIT_FC2_WEIGHT,
    VIT_FC2_BIAS,
    VIT_LS2_GAMMA,
    /* after the blocks */
    VIT_NORM_WEIGHT,
    VIT_NORM_BIAS,
    VIT_FC_NORM_WEIGHT,
    VIT_FC_NORM_BIAS,
    VIT_HEAD_WEIGHT,
    VIT_HEAD_BIAS,
    VIT_HEAD_DIST_WEIGHT,
    VIT_HEAD_DIST_BIAS,
    VIT_PARAM_ID_COUNT
} vit_param_id;

/* True for the ids that exist once per block. */
bool vit_param_in_block(vit_param_id id);
/* True for the matrices of the encoder's linear layers, which a precision other than float32
 * changes. */
bool vit_param_in_encoder(vit_param_id id);
/* True for learned positions, whose shapes and numbers are of one patch grid. */
bool vit_param_in_position(vit_param_id id);
/* True for the matrices of the classifying heads. */
bool vit_param_in_head(vit_param_id id);

typedef struct vit_param {
    char name[VIT_PARAM_NAME_SIZE];
    vit_param_id id;
    uint32_t layer; /* 0 outside the blocks */
    vit_param_kind kind;
    uint32_t rank;
    size_t shape[VIT_PARAM_RANK_MAX];
    size_t count;  /* elements */
    size_t offset; /* elements before this one, in table order */
} vit_param;

typedef struct vit_param_table {
    vit_param *params; /* in forward order */
    size_t count;
    size_t elements; /* sum of count */
} vit_param_table;

/* Lays out the table for a configuration that vit_config_check accepts. */
VITC_MUST_CHECK vitc_status vit_params_create(vit_param_table *table, const vit_config *config,
                                              const vitc_log *log);
void vit_params_free(vit_param_table *table);

/* The position table of a configuration, without its numbers. */
patches_position vit_config_position(const vit_config *config);
/* Its relative positions, where that is its kind. */
patches_relative vit_config_relative(const vit_config *config);

/* The index of a parameter, or SIZE_MAX where the configuration has none. */
size_t vit_params_find(const vit_param_table *table, vit_param_id id, uint32_t layer);

/* "[768,3,16,16]" */
void vit_shape_format(char *text, size_t size, const size_t *shape, uint32_t rank);
/* "[3,0,2,17]": the place of element `index` in such a shape, of at most VIT_INDEX_RANK_MAX. */
#define VIT_INDEX_RANK_MAX 8
void vit_index_format(char *text, size_t size, const size_t *shape, uint32_t rank, size_t index);

#endif
