/* Directories for timm.create_model("local-dir:..."), which transformers loads too (timm_wrapper).
 *
 * An architecture is a function of timm with arguments of its own; model_args replace them. So one
 * name serves any size, and only what cannot stand in JSON, the LayerNorm epsilon, chooses it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "vit_export.h"
#include "vitc_log.h"

/* NULL where timm has no architecture with that epsilon. */
static const char *architecture_of(const vit_config *config)
{
    if (config->distilled_head)
        return config->norm_eps == 1e-6f ? "deit_base_distilled_patch16_224" : NULL;
    return config->norm_eps == 1e-6f   ? "vit_base_patch16_224"
           : config->norm_eps == 1e-5f ? "vit_base_patch16_clip_224"
                                       : NULL;
}

static const char *class_of(const vit_config *config)
{
    return config->distilled_head ? "timm's VisionTransformerDistilled"
                                  : "timm's VisionTransformer";
}

/* ---- what the class computes ---- */

static vitc_status check_class(const vit_export *e)
{
    const vit_config *c = &e->weights.config;
    const struct {
        bool lacks;
        const char *what;
    } rows[] = {
        {c->distillation_token && !c->distilled_head,
         "has no distillation token without a head that reads it"},
        {c->norm_pre && c->patch_bias, "has no bias of the patches where a LayerNorm follows them"},
        {c->norm_final && c->norm_pooled,
         "has one LayerNorm after the blocks, of the tokens or of the pooled feature, and this "
         "model has both"},
        {c->distilled_head && !c->class_token, "has a class token always"},
        {c->distilled_head && c->registers > 0, "has no register tokens"},
        {c->distilled_head && c->pool != VIT_POOL_TOKEN, "does not pool patch tokens"},
        {c->distilled_head && c->norm_pooled, "has no LayerNorm of the pooled feature"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].lacks) return vit_export_refuse(e, class_of(c), rows[i].what);
    if (architecture_of(c) != NULL) return VITC_OK;
    return vitc_fail(e->log, VITC_ERR_UNSUPPORTED,
                     "%s: %s has LayerNorms with an epsilon of %s, and this model's is %g", e->name,
                     class_of(c), c->distilled_head ? "1e-6" : "1e-6 or 1e-5", (double)c->norm_eps);
}

static vitc_status adapt(vit_export *e)
{
    VITC_TRY(check_class(e));
    if (e->weights.config.distilled_head) VITC_TRY(vit_export_cover_prefix(e));
    if (!e->weights.config.norm_pre) VITC_TRY(vit_export_add_patch_bias(e));
    if (e->weights.config.scores != VIT_SCORES_SOFTMAX)
        vitc_log_write(e->log, VITC_LOG_WARN,
                       "%s: timm does not record that the scores are no softmax of the logits",
                       e->name);
    return VITC_OK;
}

static void describe(vit_checkpoint *checkpoint, const vit_config *config)
{
    (void)checkpoint; /* names are the table's own */
    (void)config;
}

/* ---- config.json ---- */

/* timm computes int(width * ratio): where the quotient is no short number, one from the middle of
 * those that give the MLP's width, which no rounding on the way leads astray. */
static double mlp_ratio(const vit_config *config)
{
    const double exact = config->mlp / (double)config->width;
    return floor(8 * exact) == 8 * exact ? exact : (config->mlp + 0.5) / config->width;
}

static bool set_pair(vitc_json *root, const char *key, uint32_t height, uint32_t width)
{
    vitc_json *list = vitc_json_array();
    if (list == NULL) return false;
    const bool good =
        vitc_json_append_integer(list, height) && vitc_json_append_integer(list, width);
    return vitc_json_set(root, key, list) && good;
}

/* Without num_classes, which transformers passes beside them. */
static bool fill_arguments(vitc_json *args, const vit_config *c)
{
    const bool covers = c->position == PATCHES_POSITION_LEARNED_1D && c->position_covers_prefix;
    return set_pair(args, "img_size", c->image_height, c->image_width) &&
           vitc_json_set_integer(args, "patch_size", c->patch) &&
           vitc_json_set_integer(args, "in_chans", PATCHES_CHANNELS) &&
           vitc_json_set_string(args, "global_pool", vit_pool_string(c->pool)) &&
           vitc_json_set_integer(args, "embed_dim", c->width) &&
           vitc_json_set_integer(args, "depth", c->layers) &&
           vitc_json_set_integer(args, "num_heads", c->heads) &&
           vitc_json_set_number(args, "mlp_ratio", mlp_ratio(c)) &&
           vitc_json_set_bool(args, "qkv_bias", c->qkv_bias) &&
           vitc_json_set_bool(args, "qk_norm", c->qk_norm) &&
           (c->layer_scale ? vitc_json_set_number(args, "init_values", 1e-5)
                           : vitc_json_set_null(args, "init_values")) &&
           vitc_json_set_bool(args, "class_token", c->class_token) &&
           vitc_json_set_string(args, "pos_embed",
                                c->position == PATCHES_POSITION_NONE ? "none" : "learn") &&
           vitc_json_set_bool(args, "no_embed_class", !covers) &&
           vitc_json_set_integer(args, "reg_tokens", c->registers) &&
           vitc_json_set_bool(args, "pre_norm", c->norm_pre) &&
           vitc_json_set_bool(args, "final_norm", c->norm_final || c->norm_pooled) &&
           vitc_json_set_bool(args, "fc_norm", c->norm_pooled) &&
           vitc_json_set_string(args, "act_layer", vit_activation_string(c->activation));
}

/* Whether timm, which resizes to floor(input / share), gets `resize`. */
static bool is_share(double share, const uint32_t input[2], const uint32_t resize[2])
{
    return floor(input[0] / share) == resize[0] && floor(input[1] / share) == resize[1];
}

/* crop_pct: the shortest decimal that does; 0 where there is none. */
static double crop_share(const patches_spec *spec, const vit_config *config)
{
    const uint32_t input[2] = {config->image_height, config->image_width};
    const bool shortest = spec->resize == PATCHES_RESIZE_SHORTEST;
    const uint32_t resize[2] = {spec->resize_height,
                                shortest ? spec->resize_height : spec->resize_width};
    if (resize[0] == 0 || resize[1] == 0) return 0;
    for (int decimals = 0; decimals < 10; decimals++) {
        const double scale = pow(10, decimals);
        const double below = floor(input[0] / (double)resize[0] * scale) / scale;
        if (below > 0 && is_share(below, input, resize)) return below;
    }
    return 0;
}

static const char *crop_mode(const patches_spec *spec)
{
    return spec->resize == PATCHES_RESIZE_EXACT ? "squash"
           : spec->resize == PATCHES_RESIZE_FIT ? "border"
                                                : "center";
}

/* What cannot be said here is found when the result is read back. */
static bool fill_pretrained(vitc_json *root, const vit_weights *weights)
{
    const vit_config *c = &weights->config;
    const patches_spec *spec = &weights->description.preprocess;
    static const float zeros[PATCHES_CHANNELS] = {0, 0, 0}, ones[PATCHES_CHANNELS] = {1, 1, 1};
    vitc_json *input = vitc_json_array(), *heads = NULL;
    bool good = input != NULL && vitc_json_append_integer(input, PATCHES_CHANNELS) &&
                vitc_json_append_integer(input, c->image_height) &&
                vitc_json_append_integer(input, c->image_width);
    good = vitc_json_set(root, "input_size", input) && good;
    good = good && vitc_json_set_bool(root, "fixed_input_size", true) &&
           vitc_json_set_bool(root, "custom_load", false) &&
           vitc_json_set_string(root, "interpolation", imgio_filter_string(spec->filter)) &&
           vitc_json_set_number(root, "crop_pct", crop_share(spec, c)) &&
           vitc_json_set_string(root, "crop_mode", crop_mode(spec)) &&
           vitc_json_set(root, "mean", vit_export_channels(spec->normalize ? spec->mean : zeros)) &&
           vitc_json_set(root, "std", vit_export_channels(spec->normalize ? spec->std : ones)) &&
           vitc_json_set_integer(root, "num_classes", c->classes) &&
           vitc_json_set_null(root, "pool_size") &&
           vitc_json_set_string(root, "first_conv", "patch_embed.proj");
    if (!good) return false;
    if (weights->description.license != NULL &&
        !vitc_json_set_string(root, "license", weights->description.license))
        return false;
    if (!c->distilled_head) return vitc_json_set_string(root, "classifier", "head");
    heads = vitc_json_array();
    good = heads != NULL && vitc_json_append_string(heads, "head") &&
           vitc_json_append_string(heads, "head_dist");
    return vitc_json_set(root, "classifier", heads) && good;
}

/* Also without labels: transformers takes as many classes as ImageNet has for ImageNet's. */
static bool set_labels(vitc_json *root, const vit_weights *weights)
{
    char **labels = weights->description.labels;
    vitc_json *list = vitc_json_array();
    bool good = list != NULL;
    for (uint32_t i = 0; good && i < weights->config.classes; i++) {
        char name[24];
        snprintf(name, sizeof name, "class %u", i);
        good = vitc_json_append_string(list, labels != NULL ? labels[i] : name);
    }
    return vitc_json_set(root, "label_names", list) && good;
}

static bool fill_config(vitc_json *root, const vit_weights *weights)
{
    const vit_config *c = &weights->config;
    vitc_json *args = vitc_json_object(), *pretrained = vitc_json_object();
    bool good = args != NULL && pretrained != NULL && fill_arguments(args, c) &&
                fill_pretrained(pretrained, weights) &&
                vitc_json_set_string(root, "architecture", architecture_of(c)) &&
                vitc_json_set_integer(root, "num_classes", c->classes) &&
                vitc_json_set_integer(root, "num_features", c->width) &&
                vitc_json_set_string(root, "global_pool", vit_pool_string(c->pool)) &&
                set_labels(root, weights);
    good = vitc_json_set(root, "model_args", args) && good;
    return vitc_json_set(root, "pretrained_cfg", pretrained) && good;
}

static vitc_status make_config(vitc_json **out, const vit_export *e)
{
    vitc_json *root = vitc_json_object();
    if (root != NULL && fill_config(root, &e->weights)) {
        *out = root;
        return VITC_OK;
    }
    vitc_json_free(root);
    return vitc_fail_memory(e->log, "a configuration");
}

vitc_status vit_weights_export_timm(const vit_weights *weights, const char *directory,
                                    const vitc_log *log)
{
    static const vit_export_library library = {.name = "timm",
                                               .dialect = &vit_dialect_timm,
                                               .adapt = adapt,
                                               .describe = describe,
                                               .make_config = make_config};
    return vit_export_write(weights, directory, &library, log);
}
