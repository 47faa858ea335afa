/* Directories for transformers: ViTForImageClassification, and for models with a distillation
 * token DeiTForImageClassification and DeiTForImageClassificationWithTeacher. */
#include <stdio.h>
#include <string.h>

#include "vit_export.h"
#include "vitc_log.h"

static const char *class_of(const vit_config *config)
{
    if (config->distilled_head) return "DeiTForImageClassificationWithTeacher";
    return config->distillation_token ? "DeiTForImageClassification" : "ViTForImageClassification";
}

/* ---- what the class computes ---- */

static vitc_status check_class(const vit_export *e)
{
    const vit_config *c = &e->weights.config;
    const struct {
        bool lacks;
        const char *what;
    } rows[] = {
        {c->pool != VIT_POOL_TOKEN,
         "classifies by the class token only, and this model pools its patch tokens; export it for "
         "timm, whose directories transformers loads too"},
        {!c->class_token, "has a class token always, and this model has none"},
        {c->registers > 0, "has no register tokens"},
        {c->qk_norm, "has no LayerNorm of queries and keys"},
        {c->norm_pre, "has no LayerNorm before the first block"},
        {c->norm_pooled, "has no LayerNorm of the pooled feature"},
        {!c->norm_final, "has a LayerNorm after the last block always, and this model has none"},
        {c->distilled_head && c->scores != VIT_SCORES_SOFTMAX, "gives scores by softmax only"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].lacks) return vit_export_refuse(e, class_of(c), rows[i].what);
    return VITC_OK;
}

static void scale_rows(vit_weights *weights, vit_param_id id, uint32_t layer, const float *gamma)
{
    const vit_param *param = &weights->table.params[vit_params_find(&weights->table, id, layer)];
    float *values = weights->parameters + param->offset;
    const size_t rows = param->shape[0], n = param->count / rows;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++) values[r * n + i] *= gamma[r];
}

/* gamma (W x + b) = (gamma W) x + gamma b, which is also how vit_model packs them. */
static vitc_status fold_layer_scale(vit_export *e)
{
    static const struct {
        vit_param_id gamma, weight, bias;
    } branches[] = {{VIT_LS1_GAMMA, VIT_PROJ_WEIGHT, VIT_PROJ_BIAS},
                    {VIT_LS2_GAMMA, VIT_FC2_WEIGHT, VIT_FC2_BIAS}};
    vit_weights *weights = &e->weights;
    vit_config config = weights->config;
    if (!config.layer_scale) return VITC_OK;
    for (uint32_t layer = 0; layer < config.layers; layer++)
        for (size_t i = 0; i < sizeof branches / sizeof branches[0]; i++) {
            const size_t found = vit_params_find(&weights->table, branches[i].gamma, layer);
            const float *gamma = weights->parameters + weights->table.params[found].offset;
            scale_rows(weights, branches[i].weight, layer, gamma);
            scale_rows(weights, branches[i].bias, layer, gamma);
        }
    config.layer_scale = false;
    return vit_weights_reshape(weights, &config, e->log);
}

static vitc_status adapt(vit_export *e)
{
    VITC_TRY(check_class(e));
    VITC_TRY(vit_export_cover_prefix(e));
    VITC_TRY(vit_export_add_patch_bias(e));
    return fold_layer_scale(e);
}

static void describe(vit_checkpoint *checkpoint, const vit_config *config)
{
    checkpoint->hf_prefix = config->distillation_token ? "deit" : "vit";
    checkpoint->hf_teacher = config->distilled_head;
}

/* ---- config.json ---- */

static const char *activation_name(vit_activation activation)
{
    switch (activation) {
    case VIT_GELU_TANH:
        return "gelu_pytorch_tanh";
    case VIT_GELU_QUICK:
        return "quick_gelu";
    case VIT_RELU:
        return "relu";
    case VIT_SILU:
        return "silu";
    default:
        return "gelu";
    }
}

static const char *problem_type(vit_scores scores)
{
    return scores == VIT_SCORES_RAW       ? "regression"
           : scores == VIT_SCORES_SIGMOID ? "multi_label_classification"
                                          : "single_label_classification";
}

/* One number for a square, as files usually have it. */
static bool set_side(vitc_json *root, const char *key, uint32_t height, uint32_t width)
{
    if (height == width) return vitc_json_set_integer(root, key, height);
    vitc_json *list = vitc_json_array();
    if (list == NULL) return false;
    const bool good =
        vitc_json_append_integer(list, height) && vitc_json_append_integer(list, width);
    return vitc_json_set(root, key, list) && good;
}

/* Both directions; names that transformers gives itself where there are none. */
static bool set_labels(vitc_json *root, const vit_weights *weights)
{
    const vit_description *d = &weights->description;
    vitc_json *names = vitc_json_object(), *numbers = vitc_json_object();
    bool good = names != NULL && numbers != NULL;
    for (uint32_t i = 0; good && i < weights->config.classes; i++) {
        char key[16], otherwise[24];
        snprintf(key, sizeof key, "%u", i);
        snprintf(otherwise, sizeof otherwise, "LABEL_%u", i);
        good = vitc_json_set_string(names, key, d->labels != NULL ? d->labels[i] : otherwise);
        /* as it is in JSON, where bytes that are no UTF-8 were replaced */
        const char *label = vitc_json_string(vitc_json_get(names, key), otherwise);
        good = good && vitc_json_set_integer(numbers, label, (int64_t)i);
    }
    if (!good) {
        vitc_json_free(names);
        vitc_json_free(numbers);
        return false;
    }
    good = vitc_json_set(root, "id2label", names);
    return vitc_json_set(root, "label2id", numbers) && good;
}

static bool fill_config(vitc_json *root, const vit_weights *weights)
{
    const vit_config *c = &weights->config;
    vitc_json *classes = vitc_json_array();
    if (classes == NULL) return false;
    bool good = vitc_json_append_string(classes, class_of(c));
    good = vitc_json_set(root, "architectures", classes) && good;
    return good &&
           vitc_json_set_string(root, "model_type", c->distillation_token ? "deit" : "vit") &&
           set_side(root, "image_size", c->image_height, c->image_width) &&
           vitc_json_set_integer(root, "patch_size", c->patch) &&
           vitc_json_set_integer(root, "encoder_stride", c->patch) &&
           vitc_json_set_integer(root, "num_channels", PATCHES_CHANNELS) &&
           vitc_json_set_integer(root, "hidden_size", c->width) &&
           vitc_json_set_integer(root, "num_hidden_layers", c->layers) &&
           vitc_json_set_integer(root, "num_attention_heads", c->heads) &&
           vitc_json_set_integer(root, "intermediate_size", c->mlp) &&
           vitc_json_set_string(root, "hidden_act", activation_name(c->activation)) &&
           vitc_json_set_number(root, "layer_norm_eps", vit_export_number(c->norm_eps)) &&
           vitc_json_set_bool(root, "qkv_bias", c->qkv_bias) &&
           vitc_json_set_number(root, "hidden_dropout_prob", 0) &&
           vitc_json_set_number(root, "attention_probs_dropout_prob", 0) &&
           vitc_json_set_number(root, "initializer_range", 0.02) &&
           vitc_json_set_string(root, "problem_type", problem_type(c->scores)) &&
           vitc_json_set_string(root, "dtype", "float32") && set_labels(root, weights);
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

/* ---- preprocessor_config.json ---- */

/* The processor that takes these steps in every version of transformers: ViT's resizes and does not
 * crop, DeiT's crops what it squashed, CLIP's what it resized by the shorter side. */
static const char *processor_of(const patches_spec *spec)
{
    if (spec->resize != PATCHES_RESIZE_EXACT) return "CLIPImageProcessor";
    return spec->crop ? "DeiTImageProcessor" : "ViTImageProcessor";
}

static bool set_box(vitc_json *root, const char *key, uint32_t height, uint32_t width)
{
    vitc_json *size = vitc_json_object();
    if (size == NULL) return false;
    const bool good = vitc_json_set_integer(size, "height", height) &&
                      vitc_json_set_integer(size, "width", width);
    return vitc_json_set(root, key, size) && good;
}

static bool set_size(vitc_json *root, const patches_spec *spec)
{
    if (spec->resize == PATCHES_RESIZE_EXACT)
        return set_box(root, "size", spec->resize_height, spec->resize_width);
    vitc_json *size = vitc_json_object();
    if (size == NULL) return false;
    bool good = vitc_json_set_integer(size, "shortest_edge", spec->resize_height);
    if (good && spec->longest_edge != 0)
        good = vitc_json_set_integer(size, "longest_edge", spec->longest_edge);
    return vitc_json_set(root, "size", size) && good;
}

static bool fill_preprocessor(vitc_json *root, const patches_spec *spec)
{
    const bool resizes = spec->resize != PATCHES_RESIZE_NONE;
    bool good = vitc_json_set_string(root, "image_processor_type", processor_of(spec)) &&
                vitc_json_set_bool(root, "do_resize", resizes) &&
                vitc_json_set_bool(root, "do_center_crop", spec->crop) &&
                vitc_json_set_bool(root, "do_rescale", spec->rescale != 1) &&
                vitc_json_set_bool(root, "do_normalize", spec->normalize) &&
                vitc_json_set_bool(root, "do_convert_rgb", true);
    if (good && resizes)
        good = set_size(root, spec) && vitc_json_set_integer(root, "resample", (int)spec->filter);
    if (good && spec->crop) good = set_box(root, "crop_size", spec->crop_height, spec->crop_width);
    if (good && spec->rescale != 1)
        good = vitc_json_set_number(root, "rescale_factor", spec->rescale);
    if (good && spec->normalize)
        good = vitc_json_set(root, "image_mean", vit_export_channels(spec->mean)) &&
               vitc_json_set(root, "image_std", vit_export_channels(spec->std));
    return good;
}

static vitc_status make_preprocessor(vitc_json **out, const vit_export *e)
{
    vitc_json *root = vitc_json_object();
    if (root != NULL && fill_preprocessor(root, &e->weights.description.preprocess)) {
        *out = root;
        return VITC_OK;
    }
    vitc_json_free(root);
    return vitc_fail_memory(e->log, "a preprocessing spec");
}

vitc_status vit_weights_export_hf(const vit_weights *weights, const char *directory,
                                  const vitc_log *log)
{
    static const vit_export_library library = {.name = "transformers",
                                               .dialect = &vit_dialect_hf,
                                               .adapt = adapt,
                                               .describe = describe,
                                               .make_config = make_config,
                                               .make_preprocessor = make_preprocessor,
                                               .model_type = "vit"};
    return vit_export_write(weights, directory, &library, log);
}
