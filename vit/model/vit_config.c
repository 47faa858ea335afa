#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "vit.h"
#include "vitc_log.h"

/* Bounds that keep every product of two dimensions far from 32 bits; real models are far below. */
enum {
    SIDE_MAX = 16384,
    WIDTH_MAX = 65536,
    LAYERS_MAX = 1024,
    CLASSES_MAX = 10 * 1000 * 1000,
    TOKENS_MAX = 1 << 20,
    REGISTERS_MAX = 1024
};

typedef struct named_config {
    const char *name, *short_name, *architecture;
    uint32_t image, patch, width, layers, heads, mlp, classes;
} named_config;

/* Sizes: ViT (arXiv 2010.11929) table 1; Ti and S: DeiT (arXiv 2012.12877) table 1. */
static const named_config named[] = {
    {"vit-ti16", "Ti/16", "ViT-Ti/16", 224, 16, 192, 12, 3, 768, 1000},
    {"vit-s16", "S/16", "ViT-S/16", 224, 16, 384, 12, 6, 1536, 1000},
    {"vit-b16", "B/16", "ViT-B/16", 224, 16, 768, 12, 12, 3072, 1000},
    {"vit-l16", "L/16", "ViT-L/16", 224, 16, 1024, 24, 16, 4096, 1000},
    {"vit-h14", "H/14", "ViT-H/14", 224, 14, 1280, 32, 16, 5120, 1000},
    {"testing", "testing", "testing", 32, 16, 24, 2, 2, 40, 7},
};
enum { NAMED_COUNT = sizeof named / sizeof named[0] };

const char *vit_config_name(size_t index)
{
    return index < NAMED_COUNT ? named[index].name : NULL;
}

vitc_status vit_config_named(vit_config *config, const char *name, const vitc_log *log)
{
    for (size_t i = 0; i < NAMED_COUNT; i++) {
        const named_config *n = &named[i];
        if (strcasecmp(name, n->name) != 0 && strcasecmp(name, n->short_name) != 0) continue;
        *config = (vit_config){
            .image_height = n->image,
            .image_width = n->image,
            .patch = n->patch,
            .width = n->width,
            .layers = n->layers,
            .heads = n->heads,
            .mlp = n->mlp,
            .classes = n->classes,
            .norm_eps = 1e-6f,
            .activation = VIT_GELU_ERF,
            .pool = VIT_POOL_TOKEN,
            .scores = VIT_SCORES_SOFTMAX,
            .temperature = 1,
            .class_token = true,
            .position = PATCHES_POSITION_LEARNED_1D,
            .position_covers_prefix = true,
            .position_filter = PATCHES_POSITION_BICUBIC_ANTIALIAS,
            .patch_bias = true,
            .qkv_bias = true,
            .norm_final = true,
        };
        snprintf(config->architecture, sizeof config->architecture, "%s", n->architecture);
        return VITC_OK;
    }
    return vitc_fail(log, VITC_ERR_ARGUMENT,
                     "\"%s\" is not a named configuration; there are vit-ti16, vit-s16, vit-b16, "
                     "vit-l16 and vit-h14",
                     name);
}

static vitc_status bad_field(const vitc_log *log, const char *field, uint32_t value,
                             uint32_t maximum)
{
    return vitc_fail(log, VITC_ERR_MODEL, "model config: %s is %u; expected 1 to %u", field, value,
                     maximum);
}

/* What kinds of position embeddings ask of the rest. */
static vitc_status check_position(const vit_config *config, const vitc_log *log)
{
    const patches_position_kind kind = config->position;
    const char *name = patches_position_string(kind);
    const bool table = patches_position_has_table(kind);
    const bool in_attention = kind == PATCHES_POSITION_RELATIVE || kind == PATCHES_POSITION_ROPE_2D;
    const uint32_t head_width = config->width / config->heads;
    if (kind == PATCHES_POSITION_LEARNED_2D && config->width % 2 != 0)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "model config: %s positions need an even width, not %u", name,
                         config->width);
    if (kind == PATCHES_POSITION_SINCOS_2D && config->width % 4 != 0)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "model config: %s positions need a width that 4 divides, not %u", name,
                         config->width);
    if (kind == PATCHES_POSITION_ROPE_2D && head_width % 4 != 0)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "model config: %s positions need heads whose width 4 divides, not %u",
                         name, head_width);
    if (!table && config->position_op != PATCHES_POSITION_ADD)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "model config: %s positions make no table that could be multiplied", name);
    if (in_attention && config->position_at == PATCHES_POSITION_STEM)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "model config: %s positions work in every block, not at the stem", name);
    if (config->position_covers_prefix && table && kind != PATCHES_POSITION_LEARNED_1D)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "model config: %s positions have none for the tokens before the patches",
                         name);
    return VITC_OK;
}

vitc_status vit_config_check(const vit_config *config, const vitc_log *log)
{
    const struct {
        const char *field;
        uint32_t value, maximum;
    } ranges[] = {
        {"image height", config->image_height, SIDE_MAX},
        {"image width", config->image_width, SIDE_MAX},
        {"patch size", config->patch, SIDE_MAX},
        {"width (hidden size)", config->width, WIDTH_MAX},
        {"number of layers", config->layers, LAYERS_MAX},
        {"number of heads", config->heads, WIDTH_MAX},
        {"MLP width", config->mlp, 16 * WIDTH_MAX},
        {"number of classes", config->classes, CLASSES_MAX},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (ranges[i].value < 1 || ranges[i].value > ranges[i].maximum)
            return bad_field(log, ranges[i].field, ranges[i].value, ranges[i].maximum);
    if (config->registers > REGISTERS_MAX)
        return bad_field(log, "number of register tokens", config->registers, REGISTERS_MAX);
    if (config->image_height % config->patch != 0 || config->image_width % config->patch != 0)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "model config: patch size %u does not divide the image size %ux%u",
                         config->patch, config->image_height, config->image_width);
    if (config->width % config->heads != 0)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "model config: %u heads do not divide the width (hidden size) %u",
                         config->heads, config->width);
    if ((uint64_t)(config->image_height / config->patch) * (config->image_width / config->patch) >
        TOKENS_MAX)
        return vitc_fail(log, VITC_ERR_MODEL, "model config: more than %d patches", TOKENS_MAX);
    if (!isfinite(config->norm_eps) || config->norm_eps < 0)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "model config: LayerNorm epsilon %g is not a small positive number",
                         (double)config->norm_eps);
    if (!isfinite(config->temperature) || config->temperature < 0)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "model config: temperature %g is not a finite number above 0",
                         (double)config->temperature);
    if ((unsigned)config->activation >= VIT_ACTIVATION_COUNT)
        return vitc_fail(log, VITC_ERR_MODEL, "model config: unknown activation %d",
                         (int)config->activation);
    if ((unsigned)config->pool > VIT_POOL_AVGMAX || (unsigned)config->scores > VIT_SCORES_RAW ||
        (unsigned)config->position >= PATCHES_POSITION_KIND_COUNT ||
        (unsigned)config->position_op >= PATCHES_POSITION_OP_COUNT ||
        (unsigned)config->position_at >= PATCHES_POSITION_AT_COUNT ||
        (unsigned)config->position_filter >= PATCHES_POSITION_FILTER_COUNT)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "model config: unknown pooling, scores or position embedding");
    VITC_TRY(check_position(config, log));
    if (config->pool == VIT_POOL_TOKEN && !config->class_token)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "model config: pooling by class token, but there is no class token");
    if (config->distilled_head && !config->distillation_token)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "model config: a distillation head without a distillation token");
    if (config->distilled_head && !config->class_token)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "model config: a distillation head without a class token");
    return VITC_OK;
}

const char *vit_activation_string(vit_activation activation)
{
    switch (activation) {
    case VIT_GELU_ERF:
        return "gelu";
    case VIT_GELU_TANH:
        return "gelu_tanh";
    case VIT_GELU_QUICK:
        return "quick_gelu";
    case VIT_RELU:
        return "relu";
    case VIT_SILU:
        return "silu";
    case VIT_ACTIVATION_COUNT:
        break;
    }
    return "unknown";
}

const char *vit_pool_string(vit_pool pool)
{
    switch (pool) {
    case VIT_POOL_TOKEN:
        return "token";
    case VIT_POOL_AVG:
        return "avg";
    case VIT_POOL_MAX:
        return "max";
    case VIT_POOL_AVGMAX:
        return "avgmax";
    }
    return "unknown";
}

const char *vit_precision_string(vit_precision precision)
{
    switch (precision) {
    case VIT_PRECISION_DEFAULT:
        return "default";
    case VIT_PRECISION_F32:
        return "f32";
    case VIT_PRECISION_BF16:
        return "bf16";
    case VIT_PRECISION_INT8:
        return "int8";
    case VIT_PRECISION_AUTO:
        return "auto";
    }
    return "unknown";
}

uint32_t vit_config_prefix_tokens(const vit_config *config)
{
    return (uint32_t)config->class_token + (uint32_t)config->distillation_token + config->registers;
}

uint32_t vit_config_patches(const vit_config *config)
{
    return (config->image_height / config->patch) * (config->image_width / config->patch);
}

uint32_t vit_config_tokens(const vit_config *config)
{
    return vit_config_prefix_tokens(config) + vit_config_patches(config);
}
