/* Hugging Face folders: ViTForImageClassification (model_type vit), DeiTForImageClassification and
 * DeiTForImageClassificationWithTeacher (deit). Keys, their defaults and tensor names are those of
 * transformers 5.23; its files carry the names on disk, and it also reads those it has in memory.
 */
#include <stdio.h>
#include <string.h>

#include "vit_checkpoint.h"
#include "vitc_log.h"

typedef struct hf_row {
    const char *disk, *memory; /* NULL: no such parameter in these models */
} hf_row;

/* Below "<prefix>." for what is outside the blocks and above the head, below
 * "<prefix>.encoder.layer.<i>." on disk and "<prefix>.layers.<i>." in memory for the blocks. */
static const hf_row rows[VIT_PARAM_ID_COUNT] = {
    [VIT_CLS_TOKEN] = {"embeddings.cls_token", "embeddings.cls_token"},
    [VIT_DIST_TOKEN] = {"embeddings.distillation_token", "embeddings.distillation_token"},
    [VIT_POS_EMBED] = {"embeddings.position_embeddings", "embeddings.position_embeddings"},
    [VIT_PATCH_WEIGHT] = {"embeddings.patch_embeddings.projection.weight",
                          "embeddings.patch_embeddings.projection.weight"},
    [VIT_PATCH_BIAS] = {"embeddings.patch_embeddings.projection.bias",
                        "embeddings.patch_embeddings.projection.bias"},
    [VIT_NORM1_WEIGHT] = {"layernorm_before.weight", "layernorm_before.weight"},
    [VIT_NORM1_BIAS] = {"layernorm_before.bias", "layernorm_before.bias"},
    /* %s: query, key, value; q, k, v */
    [VIT_QKV_WEIGHT] = {"attention.attention.%s.weight", "attention.%s_proj.weight"},
    [VIT_QKV_BIAS] = {"attention.attention.%s.bias", "attention.%s_proj.bias"},
    [VIT_PROJ_WEIGHT] = {"attention.output.dense.weight", "attention.o_proj.weight"},
    [VIT_PROJ_BIAS] = {"attention.output.dense.bias", "attention.o_proj.bias"},
    [VIT_NORM2_WEIGHT] = {"layernorm_after.weight", "layernorm_after.weight"},
    [VIT_NORM2_BIAS] = {"layernorm_after.bias", "layernorm_after.bias"},
    [VIT_FC1_WEIGHT] = {"intermediate.dense.weight", "mlp.fc1.weight"},
    [VIT_FC1_BIAS] = {"intermediate.dense.bias", "mlp.fc1.bias"},
    [VIT_FC2_WEIGHT] = {"output.dense.weight", "mlp.fc2.weight"},
    [VIT_FC2_BIAS] = {"output.dense.bias", "mlp.fc2.bias"},
    [VIT_NORM_WEIGHT] = {"layernorm.weight", "layernorm.weight"},
    [VIT_NORM_BIAS] = {"layernorm.bias", "layernorm.bias"},
};

static const char *head_name(const vit_checkpoint *checkpoint, vit_param_id id)
{
    switch (id) {
    case VIT_HEAD_WEIGHT:
        return checkpoint->hf_teacher ? "cls_classifier.weight" : "classifier.weight";
    case VIT_HEAD_BIAS:
        return checkpoint->hf_teacher ? "cls_classifier.bias" : "classifier.bias";
    case VIT_HEAD_DIST_WEIGHT:
        return "distillation_classifier.weight";
    case VIT_HEAD_DIST_BIAS:
        return "distillation_classifier.bias";
    default:
        return NULL;
    }
}

static void name_qkv(vit_checkpoint_names *names, const char *stem, const hf_row *row, bool memory)
{
    static const char *const disk_parts[] = {"query", "key", "value"};
    static const char *const memory_parts[] = {"q", "k", "v"};
    names->count = VIT_SOURCE_PARTS_MAX;
    for (int i = 0; i < VIT_SOURCE_PARTS_MAX; i++) {
        const char *leaf = memory ? row->memory : row->disk;
        const char *hole = strchr(leaf, '%');
        snprintf(names->names[i], sizeof names->names[i], "%s%.*s%s%s", stem, (int)(hole - leaf),
                 leaf, memory ? memory_parts[i] : disk_parts[i], hole + 2);
    }
}

static void name_param(vit_checkpoint_names *names, const vit_checkpoint *checkpoint,
                       const vit_param *param)
{
    const bool memory = checkpoint->hf_memory_names;
    const hf_row *row = &rows[param->id];
    const char *head = head_name(checkpoint, param->id);
    char stem[64];
    if (vit_param_in_block(param->id))
        snprintf(stem, sizeof stem, "%s.%s.%u.", checkpoint->hf_prefix,
                 memory ? "layers" : "encoder.layer", param->layer);
    else
        snprintf(stem, sizeof stem, "%s.", checkpoint->hf_prefix);
    if (param->id == VIT_QKV_WEIGHT || param->id == VIT_QKV_BIAS) {
        name_qkv(names, stem, row, memory);
        return;
    }
    names->count = 1;
    if (head != NULL)
        snprintf(names->names[0], sizeof names->names[0], "%s", head);
    else
        snprintf(names->names[0], sizeof names->names[0], "%s%s", stem,
                 memory ? row->memory : row->disk);
}

/* Part 0 of a parameter's names, as a string that lives in *names. */
static const char *name_of(vit_checkpoint_names *names, const vit_checkpoint *checkpoint,
                           vit_param_id id)
{
    const vit_param param = {.id = id};
    name_param(names, checkpoint, &param);
    return names->names[0];
}

/* ---- the config ---- */

static vitc_status read_activation(vit_activation *activation, const vit_config_reader *reader,
                                   const vitc_json *config)
{
    static const struct {
        const char *name;
        vit_activation activation;
    } known[] = {
        {"gelu", VIT_GELU_ERF},
        {"gelu_python", VIT_GELU_ERF},
        {"gelu_new", VIT_GELU_TANH},
        {"gelu_pytorch_tanh", VIT_GELU_TANH},
        {"gelu_accurate", VIT_GELU_TANH},
        {"gelu_python_tanh", VIT_GELU_TANH},
        {"gelu_fast", VIT_GELU_TANH}, /* its sqrt(2/pi) has ten digits: the same in float32 */
        {"quick_gelu", VIT_GELU_QUICK},
        {"relu", VIT_RELU},
        {"silu", VIT_SILU},
        {"swish", VIT_SILU},
    };
    const char *name = "gelu";
    char shown[VITC_SHOWN_SIZE];
    VITC_TRY(vit_config_read_string(&name, reader, config, "hidden_act"));
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(name, known[i].name) == 0) {
            *activation = known[i].activation;
            return VITC_OK;
        }
    return vitc_fail(reader->log, VITC_ERR_UNSUPPORTED,
                     "%s: \"hidden_act\" is \"%s\"; vitc has gelu, gelu_new, gelu_fast, "
                     "gelu_pytorch_tanh, gelu_accurate, quick_gelu, relu and silu",
                     reader->name, vitc_show(shown, name));
}

static vitc_status choose_family(vit_checkpoint *checkpoint, const vit_config_reader *reader,
                                 const vitc_json *config)
{
    const char *type = vitc_json_string(vitc_json_get(config, "model_type"), "");
    char shown[VITC_SHOWN_SIZE], layers[32];
    if (strcmp(type, "vit") == 0)
        checkpoint->hf_prefix = "vit";
    else if (strcmp(type, "deit") == 0)
        checkpoint->hf_prefix = "deit";
    else
        return vitc_fail(reader->log, VITC_ERR_UNSUPPORTED,
                         "%s: \"model_type\" is \"%s\"; vitc reads the model types vit and deit, "
                         "and timm's vit_*, deit_*, deit3_* and flexivit_* models",
                         reader->name, vitc_show(shown, type));
    snprintf(layers, sizeof layers, "%s.layers.", checkpoint->hf_prefix);
    checkpoint->hf_memory_names = vit_checkpoint_layers(checkpoint, layers) > 0;
    checkpoint->hf_teacher = vit_checkpoint_find(checkpoint, "cls_classifier.weight") != NULL;
    return VITC_OK;
}

/* What the classifier has decides the number of classes: id2label is absent in some files. */
static vitc_status read_classes(vit_checkpoint *checkpoint, const vit_config_reader *reader,
                                const vitc_json *config)
{
    const char *head = head_name(checkpoint, VIT_HEAD_WEIGHT);
    const vit_checkpoint_tensor *found = vit_checkpoint_find(checkpoint, head);
    char shown[VITC_SHOWN_SIZE];
    if (found == NULL) {
        const char *class = vitc_json_string(
            vitc_json_at(vitc_json_get(config, "architectures"), 0), "model without a head");
        vitc_show(shown, class);
        if (strstr(class, "ForImageClassification") != NULL)
            return vitc_fail(reader->log, VITC_ERR_MODEL,
                             "%s: by its config the model is a %s, but the weights have no tensor "
                             "%s",
                             checkpoint->name, shown, head);
        return vitc_fail(reader->log, VITC_ERR_MODEL,
                         "%s: there is no classifier (no tensor %s): this is a %s, which has to be "
                         "fine-tuned as ViTForImageClassification before it can name anything",
                         checkpoint->name, head, shown);
    }
    if (found->tensor->rank != 2 || found->tensor->shape[0] < 1 ||
        found->tensor->shape[0] > UINT32_MAX) {
        char shape[128];
        vit_shape_format(shape, sizeof shape, found->tensor->shape, found->tensor->rank);
        return vitc_fail(reader->log, VITC_ERR_MODEL,
                         "%s: tensor %s has the shape %s, expected [classes,width]",
                         checkpoint->name, head, shape);
    }
    checkpoint->config.classes = (uint32_t)found->tensor->shape[0];
    return VITC_OK;
}

static vitc_status read_sizes(vit_config *c, const vit_config_reader *reader,
                              const vitc_json *config)
{
    uint32_t patch_height = 16, patch_width = 16, channels = PATCHES_CHANNELS, head_dim;
    VITC_TRY(vit_config_read_count(&c->width, reader, config, "hidden_size", 1));
    VITC_TRY(vit_config_read_count(&c->layers, reader, config, "num_hidden_layers", 1));
    VITC_TRY(vit_config_read_count(&c->heads, reader, config, "num_attention_heads", 1));
    VITC_TRY(vit_config_read_count(&c->mlp, reader, config, "intermediate_size", 1));
    VITC_TRY(vit_config_read_pair(&c->image_height, &c->image_width, reader, config, "image_size"));
    VITC_TRY(vit_config_read_pair(&patch_height, &patch_width, reader, config, "patch_size"));
    VITC_TRY(vit_config_read_count(&channels, reader, config, "num_channels", 1));
    if (patch_height != patch_width)
        return vitc_fail(reader->log, VITC_ERR_UNSUPPORTED,
                         "%s: \"patch_size\" is %ux%u; vitc reads square patches", reader->name,
                         patch_height, patch_width);
    if (channels != PATCHES_CHANNELS)
        return vitc_fail(reader->log, VITC_ERR_UNSUPPORTED,
                         "%s: \"num_channels\" is %u; vitc classifies images of 3 channels",
                         reader->name, channels);
    c->patch = patch_height;
    head_dim = c->width / c->heads;
    VITC_TRY(vit_config_read_count(&head_dim, reader, config, "head_dim", 1));
    if ((uint64_t)head_dim * c->heads != c->width)
        return vitc_fail(reader->log, VITC_ERR_UNSUPPORTED,
                         "%s: %u heads (\"num_attention_heads\") of %u are not \"hidden_size\", "
                         "%u; vitc reads models whose heads share the width evenly",
                         reader->name, c->heads, head_dim, c->width);
    return VITC_OK;
}

/* The keys that shapes can contradict, so that the message names the key and not only a tensor. */
static vitc_status compare_with_tensors(const vit_checkpoint *checkpoint, const vitc_log *log)
{
    const vit_config *c = &checkpoint->config;
    const vit_checkpoint *k = checkpoint;
    vit_checkpoint_names names;
    const char *name = name_of(&names, k, VIT_PATCH_WEIGHT);
    VITC_TRY(vit_checkpoint_check_extent(k, "hidden_size", c->width, name, 0, c->width, log));
    VITC_TRY(vit_checkpoint_check_extent(k, "num_channels", PATCHES_CHANNELS, name, 1,
                                         PATCHES_CHANNELS, log));
    for (uint32_t i = 2; i < 4; i++)
        VITC_TRY(vit_checkpoint_check_extent(k, "patch_size", c->patch, name, i, c->patch, log));
    name = name_of(&names, k, VIT_FC1_WEIGHT);
    VITC_TRY(vit_checkpoint_check_extent(k, "intermediate_size", c->mlp, name, 0, c->mlp, log));

    name = name_of(&names, k, VIT_POS_EMBED);
    const size_t slots = vit_checkpoint_extent(k, name, 1);
    const size_t patches =
        (size_t)(c->image_height / c->patch) * (size_t)(c->image_width / c->patch);
    if (slots != 0 && slots != patches + vit_config_prefix_tokens(c)) {
        char text[96];
        snprintf(text, sizeof text, "%ux%u (%zu patches and %u other tokens)", c->image_height,
                 c->image_width, patches, vit_config_prefix_tokens(c));
        return vit_checkpoint_disagree(k, "image_size", text, name, log);
    }

    name = name_of(&names, k, VIT_QKV_BIAS);
    if (!c->qkv_bias && vit_checkpoint_find(k, name) != NULL)
        return vit_checkpoint_disagree(k, "qkv_bias", "false", name, log);

    char stem[64];
    snprintf(stem, sizeof stem, "%s.%s.", k->hf_prefix,
             k->hf_memory_names ? "layers" : "encoder.layer");
    const uint32_t layers = vit_checkpoint_layers(k, stem);
    if (layers != 0 && layers != c->layers)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "%s: \"num_hidden_layers\" is %u, but the weights have %u layers (tensors "
                         "%s0.* to %s%u.*): the config and the weights do not belong together",
                         k->config_name, c->layers, layers, stem, stem, layers - 1);
    return VITC_OK;
}

static vitc_status configure(vit_checkpoint *checkpoint, const vitc_json *config,
                             const vitc_log *log)
{
    const vit_config_reader reader = {.name = checkpoint->config_name, .log = log};
    vit_config *c = &checkpoint->config;
    double eps = 1e-12;
    VITC_TRY(choose_family(checkpoint, &reader, config));
    *c = (vit_config){.image_height = 224,
                      .image_width = 224,
                      .width = 768,
                      .layers = 12,
                      .heads = 12,
                      .mlp = 3072,
                      .pool = VIT_POOL_TOKEN,
                      .temperature = 1,
                      .class_token = true,
                      .distillation_token = strcmp(checkpoint->hf_prefix, "deit") == 0,
                      .distilled_head = checkpoint->hf_teacher,
                      .position = PATCHES_POSITION_LEARNED_1D,
                      .position_covers_prefix = true,
                      .position_filter = PATCHES_POSITION_BICUBIC,
                      .patch_bias = true,
                      .qkv_bias = true,
                      .norm_final = true};
    VITC_TRY(read_sizes(c, &reader, config));
    VITC_TRY(read_classes(checkpoint, &reader, config));
    VITC_TRY(vit_config_read_number(&eps, &reader, config, "layer_norm_eps"));
    c->norm_eps = (float)eps;
    VITC_TRY(vit_config_read_flag(&c->qkv_bias, &reader, config, "qkv_bias"));
    VITC_TRY(read_activation(&c->activation, &reader, config));
    VITC_TRY(vit_config_read_scores(&c->scores, &reader, config, c->classes));
    char class[VITC_SHOWN_SIZE];
    vitc_show(class,
              vitc_json_string(vitc_json_at(vitc_json_get(config, "architectures"), 0),
                               checkpoint->hf_teacher  ? "DeiTForImageClassificationWithTeacher"
                               : c->distillation_token ? "DeiTForImageClassification"
                                                       : "ViTForImageClassification"));
    vit_checkpoint_set_architecture(c, class);
    VITC_TRY(compare_with_tensors(checkpoint, log));
    const vitc_json *labels = vit_config_present(config, "id2label");
    if (labels == NULL) return VITC_OK;
    return vit_checkpoint_read_labels(checkpoint, labels, "id2label",
                                      head_name(checkpoint, VIT_HEAD_WEIGHT), log);
}

const vit_dialect vit_dialect_hf = {
    .source = "Hugging Face directory", .configure = configure, .name = name_param};
