#include "vit_params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vitc_log.h"
#include "vitc_size.h"

/* The ids of what is in a block. */
#define VIT_BLOCK_FIRST VIT_BLOCK_POS_EMBED
#define VIT_BLOCK_LAST  VIT_LS2_GAMMA

/* A dimension of a parameter, by the letter that the comments use for it. */
typedef enum dimension {
    NO = 0, /* past the rank */
    ONE,
    D,    /* width */
    D3,   /* queries, keys and values together */
    DH,   /* width of one head */
    H,    /* heads */
    M,    /* MLP width */
    K,    /* classes */
    P,    /* patch side */
    C,    /* input channels */
    R,    /* registers */
    SLOT, /* rows of the position table */
    GH,   /* rows and columns of the patch grid */
    GW,
    AXIS,  /* width of a table for one axis of it */
    OFFSET /* rows of a table of relative positions */
} dimension;

/* When a parameter exists. */
typedef enum presence {
    ALWAYS,
    CLASS_TOKEN,
    DIST_TOKEN,
    REGISTERS,
    POSITION_TABLE, /* one for all, ... */
    POSITION_AXES,
    POSITION_RELATIVE,
    BLOCK_POSITION_TABLE, /* or one for each block */
    BLOCK_POSITION_AXES,
    BLOCK_POSITION_RELATIVE,
    PATCH_BIAS,
    QKV_BIAS,
    QK_NORM,
    LAYER_SCALE,
    NORM_PRE,
    NORM_FINAL,
    NORM_POOLED,
    DIST_HEAD
} presence;

typedef struct parameter_row {
    const char *name;
    vit_param_kind kind;
    dimension shape[VIT_PARAM_RANK_MAX];
    presence present;
} parameter_row;

/* The table itself: every tensor of every supported model, in forward order. */
static const parameter_row rows[VIT_PARAM_ID_COUNT] = {
    [VIT_CLS_TOKEN] = {"cls_token", VIT_PARAM_EMBEDDING, {ONE, ONE, D}, CLASS_TOKEN},
    [VIT_DIST_TOKEN] = {"dist_token", VIT_PARAM_EMBEDDING, {ONE, ONE, D}, DIST_TOKEN},
    [VIT_REG_TOKEN] = {"reg_token", VIT_PARAM_EMBEDDING, {ONE, R, D}, REGISTERS},
    [VIT_POS_EMBED] = {"pos_embed", VIT_PARAM_EMBEDDING, {ONE, SLOT, D}, POSITION_TABLE},
    [VIT_POS_ROWS] = {"pos_embed_rows", VIT_PARAM_EMBEDDING, {GH, AXIS}, POSITION_AXES},
    [VIT_POS_COLUMNS] = {"pos_embed_columns", VIT_PARAM_EMBEDDING, {GW, AXIS}, POSITION_AXES},
    [VIT_RELATIVE_TABLE] = {"rel_pos_bias.relative_position_bias_table",
                            VIT_PARAM_EMBEDDING,
                            {OFFSET, H},
                            POSITION_RELATIVE},
    [VIT_PATCH_WEIGHT] = {"patch_embed.proj.weight", VIT_PARAM_MATRIX, {D, C, P, P}, ALWAYS},
    [VIT_PATCH_BIAS] = {"patch_embed.proj.bias", VIT_PARAM_VECTOR, {D}, PATCH_BIAS},
    [VIT_NORM_PRE_WEIGHT] = {"norm_pre.weight", VIT_PARAM_VECTOR, {D}, NORM_PRE},
    [VIT_NORM_PRE_BIAS] = {"norm_pre.bias", VIT_PARAM_VECTOR, {D}, NORM_PRE},

    [VIT_BLOCK_POS_EMBED] = {"pos_embed",
                             VIT_PARAM_EMBEDDING,
                             {ONE, SLOT, D},
                             BLOCK_POSITION_TABLE},
    [VIT_BLOCK_POS_ROWS] = {"pos_embed_rows", VIT_PARAM_EMBEDDING, {GH, AXIS}, BLOCK_POSITION_AXES},
    [VIT_BLOCK_POS_COLUMNS] = {"pos_embed_columns",
                               VIT_PARAM_EMBEDDING,
                               {GW, AXIS},
                               BLOCK_POSITION_AXES},
    [VIT_BLOCK_RELATIVE_TABLE] = {"attn.relative_position_bias_table",
                                  VIT_PARAM_EMBEDDING,
                                  {OFFSET, H},
                                  BLOCK_POSITION_RELATIVE},
    [VIT_NORM1_WEIGHT] = {"norm1.weight", VIT_PARAM_VECTOR, {D}, ALWAYS},
    [VIT_NORM1_BIAS] = {"norm1.bias", VIT_PARAM_VECTOR, {D}, ALWAYS},
    [VIT_QKV_WEIGHT] = {"attn.qkv.weight", VIT_PARAM_MATRIX, {D3, D}, ALWAYS},
    [VIT_QKV_BIAS] = {"attn.qkv.bias", VIT_PARAM_VECTOR, {D3}, QKV_BIAS},
    [VIT_Q_NORM_WEIGHT] = {"attn.q_norm.weight", VIT_PARAM_VECTOR, {DH}, QK_NORM},
    [VIT_Q_NORM_BIAS] = {"attn.q_norm.bias", VIT_PARAM_VECTOR, {DH}, QK_NORM},
    [VIT_K_NORM_WEIGHT] = {"attn.k_norm.weight", VIT_PARAM_VECTOR, {DH}, QK_NORM},
    [VIT_K_NORM_BIAS] = {"attn.k_norm.bias", VIT_PARAM_VECTOR, {DH}, QK_NORM},
    [VIT_PROJ_WEIGHT] = {"attn.proj.weight", VIT_PARAM_MATRIX, {D, D}, ALWAYS},
    [VIT_PROJ_BIAS] = {"attn.proj.bias", VIT_PARAM_VECTOR, {D}, ALWAYS},
    [VIT_LS1_GAMMA] = {"ls1.gamma", VIT_PARAM_VECTOR, {D}, LAYER_SCALE},
    [VIT_NORM2_WEIGHT] = {"norm2.weight", VIT_PARAM_VECTOR, {D}, ALWAYS},
    [VIT_NORM2_BIAS] = {"norm2.bias", VIT_PARAM_VECTOR, {D}, ALWAYS},
    [VIT_FC1_WEIGHT] = {"mlp.fc1.weight", VIT_PARAM_MATRIX, {M, D}, ALWAYS},
    [VIT_FC1_BIAS] = {"mlp.fc1.bias", VIT_PARAM_VECTOR, {M}, ALWAYS},
    [VIT_FC2_WEIGHT] = {"mlp.fc2.weight", VIT_PARAM_MATRIX, {D, M}, ALWAYS},
    [VIT_FC2_BIAS] = {"mlp.fc2.bias", VIT_PARAM_VECTOR, {D}, ALWAYS},
    [VIT_LS2_GAMMA] = {"ls2.gamma", VIT_PARAM_VECTOR, {D}, LAYER_SCALE},

    [VIT_NORM_WEIGHT] = {"norm.weight", VIT_PARAM_VECTOR, {D}, NORM_FINAL},
    [VIT_NORM_BIAS] = {"norm.bias", VIT_PARAM_VECTOR, {D}, NORM_FINAL},
    [VIT_FC_NORM_WEIGHT] = {"fc_norm.weight", VIT_PARAM_VECTOR, {D}, NORM_POOLED},
    [VIT_FC_NORM_BIAS] = {"fc_norm.bias", VIT_PARAM_VECTOR, {D}, NORM_POOLED},
    [VIT_HEAD_WEIGHT] = {"head.weight", VIT_PARAM_MATRIX, {K, D}, ALWAYS},
    [VIT_HEAD_BIAS] = {"head.bias", VIT_PARAM_VECTOR, {K}, ALWAYS},
    [VIT_HEAD_DIST_WEIGHT] = {"head_dist.weight", VIT_PARAM_MATRIX, {K, D}, DIST_HEAD},
    [VIT_HEAD_DIST_BIAS] = {"head_dist.bias", VIT_PARAM_VECTOR, {K}, DIST_HEAD},
};

bool vit_param_in_block(vit_param_id id)
{
    return id >= VIT_BLOCK_FIRST && id <= VIT_BLOCK_LAST;
}

bool vit_param_in_encoder(vit_param_id id)
{
    return id == VIT_QKV_WEIGHT || id == VIT_PROJ_WEIGHT || id == VIT_FC1_WEIGHT ||
           id == VIT_FC2_WEIGHT;
}

bool vit_param_in_position(vit_param_id id)
{
    return (id >= VIT_POS_EMBED && id <= VIT_RELATIVE_TABLE) ||
           (id >= VIT_BLOCK_POS_EMBED && id <= VIT_BLOCK_RELATIVE_TABLE);
}

bool vit_param_in_head(vit_param_id id)
{
    return id == VIT_HEAD_WEIGHT || id == VIT_HEAD_DIST_WEIGHT;
}

static bool is_present(presence present, const vit_config *config)
{
    const bool own = config->position_at == PATCHES_POSITION_EVERY;
    const bool table = config->position == PATCHES_POSITION_LEARNED_1D;
    const bool axes = patches_position_has_axes(config->position);
    const bool relative = config->position == PATCHES_POSITION_RELATIVE;
    switch (present) {
    case ALWAYS:
        return true;
    case CLASS_TOKEN:
        return config->class_token;
    case DIST_TOKEN:
        return config->distillation_token;
    case REGISTERS:
        return config->registers > 0;
    case POSITION_TABLE:
        return table && !own;
    case POSITION_AXES:
        return axes && !own;
    case POSITION_RELATIVE:
        return relative && !own;
    case BLOCK_POSITION_TABLE:
        return table && own;
    case BLOCK_POSITION_AXES:
        return axes && own;
    case BLOCK_POSITION_RELATIVE:
        return relative && own;
    case PATCH_BIAS:
        return config->patch_bias;
    case QKV_BIAS:
        return config->qkv_bias;
    case QK_NORM:
        return config->qk_norm;
    case LAYER_SCALE:
        return config->layer_scale;
    case NORM_PRE:
        return config->norm_pre;
    case NORM_FINAL:
        return config->norm_final;
    case NORM_POOLED:
        return config->norm_pooled;
    case DIST_HEAD:
        return config->distilled_head;
    }
    return false;
}

static uint32_t prefix_slots(const vit_config *config)
{
    return config->position_covers_prefix ? vit_config_prefix_tokens(config) : 0;
}

patches_position vit_config_position(const vit_config *config)
{
    return (patches_position){.kind = config->position,
                              .op = config->position_op,
                              .grid_height = config->image_height / config->patch,
                              .grid_width = config->image_width / config->patch,
                              .prefix = prefix_slots(config),
                              .width = config->width};
}

patches_relative vit_config_relative(const vit_config *config)
{
    return (patches_relative){.grid_height = config->image_height / config->patch,
                              .grid_width = config->image_width / config->patch,
                              .prefix = vit_config_prefix_tokens(config),
                              .heads = config->heads};
}

static size_t dimension_size(dimension dim, const vit_config *config)
{
    switch (dim) {
    case NO:
    case ONE:
        return 1;
    case D:
        return config->width;
    case D3:
        return 3 * (size_t)config->width;
    case DH:
        return config->width / config->heads;
    case H:
        return config->heads;
    case M:
        return config->mlp;
    case K:
        return config->classes;
    case P:
        return config->patch;
    case C:
        return PATCHES_CHANNELS;
    case R:
        return config->registers;
    case SLOT:
        return (size_t)vit_config_patches(config) + prefix_slots(config);
    case GH:
        return config->image_height / config->patch;
    case GW:
        return config->image_width / config->patch;
    case AXIS:
        return config->position == PATCHES_POSITION_LEARNED_2D ? config->width / 2 : config->width;
    case OFFSET: {
        const patches_relative relative = vit_config_relative(config);
        return patches_relative_rows(&relative);
    }
    }
    return 0;
}

uint64_t vit_config_parameters(const vit_config *config)
{
    uint64_t total = 0;
    for (int id = 0; id < VIT_PARAM_ID_COUNT; id++) {
        if (!is_present(rows[id].present, config)) continue;
        uint64_t count = 1;
        for (int i = 0; i < VIT_PARAM_RANK_MAX; i++)
            count *= dimension_size(rows[id].shape[i], config);
        total += count * (vit_param_in_block((vit_param_id)id) ? config->layers : 1);
    }
    return total;
}

/* Appends one parameter; false when the element count overflows. */
static bool append(vit_param_table *table, vit_param_id id, uint32_t layer,
                   const vit_config *config)
{
    const parameter_row *row = &rows[id];
    if (!is_present(row->present, config)) return true;
    vit_param *param = &table->params[table->count];
    *param = (vit_param){.id = id, .layer = layer, .kind = row->kind, .count = 1};
    if (vit_param_in_block(id))
        snprintf(param->name, sizeof param->name, "blocks.%u.%s", layer, row->name);
    else
        snprintf(param->name, sizeof param->name, "%s", row->name);
    while (param->rank < VIT_PARAM_RANK_MAX && row->shape[param->rank] != NO) {
        const size_t extent = dimension_size(row->shape[param->rank], config);
        param->shape[param->rank++] = extent;
        if (!vitc_size_mul(param->count, extent, &param->count)) return false;
    }
    param->offset = table->elements;
    table->count++;
    return vitc_size_add(table->elements, param->count, &table->elements);
}

vitc_status vit_params_create(vit_param_table *table, const vit_config *config, const vitc_log *log)
{
    *table = (vit_param_table){0};
    VITC_TRY(vit_config_check(config, log));
    const size_t in_blocks = VIT_BLOCK_LAST - VIT_BLOCK_FIRST + 1;
    const size_t capacity = VIT_PARAM_ID_COUNT + (size_t)config->layers * in_blocks;
    table->params = calloc(capacity, sizeof *table->params);
    if (table->params == NULL) return vitc_fail_memory(log, "the parameter table");
    bool fits = true;
    for (int id = 0; id < VIT_BLOCK_FIRST; id++)
        fits = fits && append(table, (vit_param_id)id, 0, config);
    for (uint32_t layer = 0; layer < config->layers; layer++)
        for (int id = VIT_BLOCK_FIRST; id <= VIT_BLOCK_LAST; id++)
            fits = fits && append(table, (vit_param_id)id, layer, config);
    for (int id = VIT_BLOCK_LAST + 1; id < VIT_PARAM_ID_COUNT; id++)
        fits = fits && append(table, (vit_param_id)id, 0, config);
    if (fits) return VITC_OK;
    vit_params_free(table);
    return vitc_fail(log, VITC_ERR_TOO_LARGE,
                     "%s: the model's parameters do not fit in this machine's address space",
                     config->architecture);
}

void vit_params_free(vit_param_table *table)
{
    if (table == NULL) return;
    free(table->params);
    *table = (vit_param_table){0};
}

size_t vit_params_find(const vit_param_table *table, vit_param_id id, uint32_t layer)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->params[i].id == id && table->params[i].layer == layer) return i;
    return SIZE_MAX;
}

void vit_shape_format(char *text, size_t size, const size_t *shape, uint32_t rank)
{
    size_t used = 0;
    if (size == 0) return;
    for (uint32_t i = 0; i < rank && used < size; i++) {
        const int n = snprintf(text + used, size - used, "%s%zu", i == 0 ? "[" : ",", shape[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    if (used < size) snprintf(text + used, size - used, rank == 0 ? "[]" : "]");
}

void vit_index_format(char *text, size_t size, const size_t *shape, uint32_t rank, size_t index)
{
    size_t place[VIT_INDEX_RANK_MAX] = {0};
    for (uint32_t i = rank; i-- > 0;) {
        place[i] = index % shape[i];
        index /= shape[i];
    }
    vit_shape_format(text, size, place, rank);
}
