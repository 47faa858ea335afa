/* Positions of a loaded model. Learned tables of N x D are used where they lie; what the other
 * kinds make of their parameters, or of nothing, is made once, when all parameters are set. */
#include <math.h>

#include "vit_model_layout.h"
#include "vitc_size.h"

/* Sets of learned parameters, and of what is made of them: one for each block, or one for all. */
static uint32_t sets(const vit_config *config)
{
    const bool own = config->position_at == PATCHES_POSITION_EVERY &&
                     config->position != PATCHES_POSITION_SINCOS_2D &&
                     config->position != PATCHES_POSITION_ROPE_2D;
    return own ? config->layers : 1;
}

/* Floats that one set makes; false on overflow. */
static bool set_size(const vit_config *config, size_t *size)
{
    const size_t patches = vit_config_patches(config);
    const patches_relative relative = vit_config_relative(config);
    *size = 0;
    switch (config->position) {
    case PATCHES_POSITION_LEARNED_2D:
    case PATCHES_POSITION_FACTORIZED:
    case PATCHES_POSITION_SINCOS_2D:
        return vitc_size_mul(patches, config->width, size);
    case PATCHES_POSITION_RELATIVE:
        return vitc_size_mul(patches_relative_rows(&relative), config->heads, size);
    case PATCHES_POSITION_ROPE_2D: /* cosines and sines of Dh/2 angles */
        return vitc_size_mul(patches, config->width / config->heads, size);
    case PATCHES_POSITION_NONE:
    case PATCHES_POSITION_LEARNED_1D:
    case PATCHES_POSITION_KIND_COUNT:
        break;
    }
    return true;
}

size_t vit_positions_size(const vit_config *config)
{
    size_t size;
    return set_size(config, &size) && vitc_size_mul(size, sets(config), &size) ? size : SIZE_MAX;
}

/* What set number `i` has learned: the parameter that all share, or else the block's own. */
static const float *learned(const vit_model *model, vit_param_id shared, vit_param_id own,
                            uint32_t i)
{
    const float *found = vit_model_find(model, shared, 0);
    return found != NULL ? found : vit_model_find(model, own, i);
}

/* The table of set number `i`, which is in `made` unless it was learned as a whole. */
static patches_position table_of(const vit_model *model, uint32_t i, const float *made, size_t size)
{
    patches_position position = vit_config_position(&model->config);
    position.table = position.kind == PATCHES_POSITION_LEARNED_1D
                         ? learned(model, VIT_POS_EMBED, VIT_BLOCK_POS_EMBED, i)
                         : made + i * size;
    return position;
}

void vit_positions_bind(vit_model *model, float *made)
{
    const vit_config *config = &model->config;
    size_t size = 0;
    if (!set_size(config, &size)) return; /* then nothing was allocated */
    const uint32_t count = sets(config);
    model->made_positions = made;
    model->position = vit_config_position(config);
    if (patches_position_has_table(config->position))
        model->position = table_of(model, 0, made, size);
    if (config->position == PATCHES_POSITION_ROPE_2D)
        model->rope = (vit_rope){
            .cosines = made, .sines = made + size / 2, .prefix = vit_config_prefix_tokens(config)};
    for (uint32_t i = 0; i < config->layers; i++) {
        vit_block *block = &model->blocks[i];
        const uint32_t set = i % count;
        if (config->position == PATCHES_POSITION_RELATIVE)
            block->relative =
                (vit_relative){.shape = vit_config_relative(config), .biases = made + set * size};
        if (i > 0 && patches_position_has_table(config->position) &&
            config->position_at != PATCHES_POSITION_STEM)
            block->position = table_of(model, set, made, size);
    }
}

void vit_positions_fill(vit_model *model)
{
    const vit_config *config = &model->config;
    const uint32_t head_width = config->width / config->heads;
    const patches_position position = vit_config_position(config);
    const patches_relative relative = vit_config_relative(config);
    float *made = model->made_positions;
    size_t size = 0;
    if (!set_size(config, &size)) return;
    if (config->position == PATCHES_POSITION_ROPE_2D)
        patches_rope_fill(made, made + size / 2, position.grid_height, position.grid_width,
                          head_width);
    for (uint32_t i = 0; i < sets(config); i++, made += size) {
        if (config->position == PATCHES_POSITION_RELATIVE)
            patches_relative_arrange(
                made, learned(model, VIT_RELATIVE_TABLE, VIT_BLOCK_RELATIVE_TABLE, i),
                sqrtf((float)head_width), &relative);
        if (patches_position_has_axes(config->position) ||
            config->position == PATCHES_POSITION_SINCOS_2D)
            patches_position_fill(made, &position,
                                  learned(model, VIT_POS_ROWS, VIT_BLOCK_POS_ROWS, i),
                                  learned(model, VIT_POS_COLUMNS, VIT_BLOCK_POS_COLUMNS, i));
    }
}

bool vit_model_position(patches_position *position, const vit_model *model, uint32_t layer)
{
    const vit_config *config = &model->config;
    if (layer >= config->layers || !patches_position_has_table(config->position)) return false;
    if (layer > 0 && config->position_at == PATCHES_POSITION_STEM) return false;
    *position = layer == 0 ? model->position : model->blocks[layer].position;
    return true;
}

const float *vit_model_relative(patches_relative *relative, const vit_model *model, uint32_t layer)
{
    const vit_config *config = &model->config;
    if (layer >= config->layers || config->position != PATCHES_POSITION_RELATIVE) return NULL;
    *relative = vit_config_relative(config);
    return learned(model, VIT_RELATIVE_TABLE, VIT_BLOCK_RELATIVE_TABLE, layer);
}
