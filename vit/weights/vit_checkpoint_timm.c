/* timm folders: plain Vision Transformers (vit_*, deit_*, deit3_*, flexivit_*), as timm 1.0.31
 * builds them, also inside a transformers wrapper (model_type timm_wrapper).
 *
 * config.json names an architecture and may hold constructor arguments (model_args); what neither
 * says, tensors do: width, patch, layers, MLP, classes, registers, which norms and biases there
 * are. Heads, LayerNorm epsilon, activation and pooling leave no trace in tensors: they come from
 * model_args, else from the architecture's name by the rules below, which
 * tests/golden/timm_architectures.txt compares with timm for every architecture it has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vit_checkpoint.h"
#include "vitc_log.h"

/* ---- what the name says ---- */

/* The first row whose `start` begins the name and whose `part` is in it. */
static const struct {
    const char *start, *part;
    uint32_t heads;
} heads_rows[] = {
    {"vit_base_patch16_gap_224", "", 16},
    {"vit_base_", "_plus_", 14},
    {"vit_giant_", "_radio_", 24},
    {"vit_tiny_", "", 3},
    {"vit_xsmall_", "", 4},
    {"vit_small_", "", 6},
    {"vit_wee_", "", 4},
    {"vit_little_", "", 5},
    {"vit_medium_", "", 8},
    {"vit_mediumd_", "", 8},
    {"vit_betwixt_", "", 10},
    {"vit_base_", "", 12},
    {"vit_so150m_", "", 14},
    {"vit_so150m2_", "", 13},
    {"vit_so400m_", "", 16},
    {"vit_intern300m_", "", 16},
    {"vit_large_", "", 16},
    {"vit_huge_", "", 16},
    {"vit_giant_", "", 16},
    {"vit_giantopt_", "", 16},
    {"vit_gigantic_", "", 16},
    {"deit_tiny_", "", 3},
    {"deit_small_", "", 6},
    {"deit_base_", "", 12},
    {"deit3_small_", "", 6},
    {"deit3_medium_", "", 8},
    {"deit3_base_", "", 12},
    {"deit3_large_", "", 16},
    {"deit3_huge_", "", 16},
    {"flexivit_small", "", 6},
    {"flexivit_base", "", 12},
    {"flexivit_large", "", 16},
    {"test_vit4", "", 3},
    {"test_vit3", "", 3},
    {"test_vit", "", 2},
};

/* Names in the same families whose blocks or stems are of another kind. */
static const struct {
    const char *start, *part, *what;
} unsupported_rows[] = {
    {"", "relpos", "relative position biases"},
    {"", "_rope_", "rotary position embeddings"},
    {"", "_dinov3", "rotary position embeddings"},
    {"", "_sapiens2", "rotary position embeddings"},
    {"", "_lingbot", "rotary position embeddings"},
    {"vit_pe_", "", "rotary position embeddings"},
    {"", "_resnet", "a convolutional stem"},
    {"", "_r26_", "a convolutional stem"},
    {"", "_r50_", "a convolutional stem"},
    {"vit_tiny_r_", "", "a convolutional stem"},
    {"", "_mci_", "a convolutional stem"},
    {"", "_18x2_", "parallel blocks"},
    {"", "_xp_", "parallel blocks"},
    {"vit_pwee_", "", "parallel blocks"},
    {"vit_dpwee_", "", "differential attention"},
    {"vit_dwee_", "", "differential attention"},
    {"vit_dlittle_", "", "differential attention"},
    {"", "_rpn_", "norms after the residual branches"},
    {"vit_giant_", "_dinov2", "a gated (SwiGLU) MLP"},
    {"vit_giant_", "_tipsv2", "a gated (SwiGLU) MLP"},
    {"test_vit4", "", "RMS norms"},
};

static bool name_matches(const char *name, const char *start, const char *part)
{
    return strncmp(name, start, strlen(start)) == 0 && strstr(name, part) != NULL;
}

static vit_activation activation_of(const char *name)
{
    /* SigLIP sizes that came with version 2 were trained with the tanh form. */
    static const char *const tanh_starts[] = {
        "vit_base_patch32_siglip_", "vit_large_patch16_siglip_512",
        "vit_large_patch16_siglip_gap_512", "vit_so400m_patch16_siglip_",
        "vit_giantopt_patch16_siglip_"};
    if (strstr(name, "_quickgelu_") != NULL) return VIT_GELU_QUICK;
    for (size_t i = 0; i < sizeof tanh_starts / sizeof tanh_starts[0]; i++)
        if (name_matches(name, tanh_starts[i], "")) return VIT_GELU_TANH;
    return VIT_GELU_ERF;
}

static const char *pool_of(const char *name)
{
    if (strstr(name, "_gap_") != NULL || strcmp(name, "test_vit2") == 0 ||
        strcmp(name, "test_vit4") == 0)
        return "avg";
    if (strstr(name, "_siglip_") != NULL || strstr(name, "_map_") != NULL ||
        strcmp(name, "test_vit3") == 0)
        return "map";
    return "token";
}

bool vit_timm_rule_find(vit_timm_rule *rule, const char *architecture)
{
    *rule = (vit_timm_rule){.norm_eps = strstr(architecture, "_clip_") != NULL ? 1e-5f : 1e-6f,
                            .activation = activation_of(architecture),
                            .pool = pool_of(architecture)};
    for (size_t i = 0; i < sizeof unsupported_rows / sizeof unsupported_rows[0]; i++)
        if (name_matches(architecture, unsupported_rows[i].start, unsupported_rows[i].part) &&
            (name_matches(architecture, "vit_", "") ||
             name_matches(architecture, "test_vit", ""))) {
            rule->unsupported = unsupported_rows[i].what;
            return true;
        }
    for (size_t i = 0; i < sizeof heads_rows / sizeof heads_rows[0]; i++)
        if (name_matches(architecture, heads_rows[i].start, heads_rows[i].part)) {
            rule->heads = heads_rows[i].heads;
            return true;
        }
    return false;
}

/* ---- what model_args say ---- */

/* Constructor arguments that change the computation in ways vitc does not have. Each may stand in
 * model_args with the value that changes nothing. */
static vitc_status check_arguments(const vit_config_reader *reader, const vitc_json *args)
{
    static const char *const flags[] = {"scale_attn_norm", "scale_mlp_norm", "pool_include_prefix"};
    static const char *const layers[] = {"embed_layer", "embed_norm_layer", "block_fn",
                                         "mlp_layer",   "attn_layer",       "norm_layer"};
    bool proj_bias = true, final_norm = true;
    uint32_t channels = PATCHES_CHANNELS;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        bool flag = false;
        VITC_TRY(vit_config_read_flag(&flag, reader, args, flags[i]));
        if (flag)
            return vitc_fail(reader->log, VITC_ERR_UNSUPPORTED,
                             "%s: model_args \"%s\" is true, which vitc does not compute",
                             reader->name, flags[i]);
    }
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        const char *kind = "";
        char shown[VITC_SHOWN_SIZE];
        VITC_TRY(vit_config_read_string(&kind, reader, args, layers[i]));
        const bool same = strcmp(layers[i], "norm_layer") == 0 &&
                          (strcmp(kind, "layernorm") == 0 || strcmp(kind, "layernormfp32") == 0);
        if (kind[0] != 0 && !same)
            return vitc_fail(reader->log, VITC_ERR_UNSUPPORTED,
                             "%s: model_args \"%s\" is \"%s\", which vitc does not compute",
                             reader->name, layers[i], vitc_show(shown, kind));
    }
    VITC_TRY(vit_config_read_flag(&proj_bias, reader, args, "proj_bias"));
    VITC_TRY(vit_config_read_flag(&final_norm, reader, args, "final_norm"));
    VITC_TRY(vit_config_read_count(&channels, reader, args, "in_chans", 1));
    if (!proj_bias)
        return vitc_fail(reader->log, VITC_ERR_UNSUPPORTED,
                         "%s: model_args \"proj_bias\" is false; vitc reads models that have it",
                         reader->name);
    if (channels != PATCHES_CHANNELS)
        return vitc_fail(reader->log, VITC_ERR_UNSUPPORTED,
                         "%s: model_args \"in_chans\" is %u; vitc classifies images of 3 channels",
                         reader->name, channels);
    return VITC_OK;
}

static vitc_status read_activation(vit_activation *activation, const vit_config_reader *reader,
                                   const vitc_json *args)
{
    static const struct {
        const char *name;
        vit_activation activation;
    } known[] = {
        {"gelu", VIT_GELU_ERF}, {"gelu_tanh", VIT_GELU_TANH}, {"quick_gelu", VIT_GELU_QUICK},
        {"relu", VIT_RELU},     {"silu", VIT_SILU},           {"swish", VIT_SILU}};
    const char *name = "";
    char shown[VITC_SHOWN_SIZE];
    VITC_TRY(vit_config_read_string(&name, reader, args, "act_layer"));
    if (name[0] == 0) return VITC_OK;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(name, known[i].name) == 0) {
            *activation = known[i].activation;
            return VITC_OK;
        }
    return vitc_fail(reader->log, VITC_ERR_UNSUPPORTED,
                     "%s: model_args \"act_layer\" is \"%s\"; vitc has gelu, gelu_tanh, "
                     "quick_gelu, relu and silu",
                     reader->name, vitc_show(shown, name));
}

/* model_args, the root (which timm writes for people), the architecture; where none of them says
 * it, pooled norms tell that there is an average. */
static vitc_status read_pool(vit_pool *pool, const vit_config_reader *reader,
                             const vitc_json *config, const vitc_json *args,
                             const vit_timm_rule *rule, bool norm_pooled)
{
    static const char *const names[] = {[VIT_POOL_TOKEN] = "token",
                                        [VIT_POOL_AVG] = "avg",
                                        [VIT_POOL_MAX] = "max",
                                        [VIT_POOL_AVGMAX] = "avgmax"};
    const char *name = NULL;
    char shown[VITC_SHOWN_SIZE];
    VITC_TRY(vit_config_read_string(&name, reader, config, "global_pool"));
    VITC_TRY(vit_config_read_string(&name, reader, args, "global_pool"));
    if (name == NULL && norm_pooled && strcmp(rule->pool, "token") == 0) name = "avg";
    if (name == NULL) name = rule->pool;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) {
            *pool = (vit_pool)i;
            return VITC_OK;
        }
    return vitc_fail(reader->log, VITC_ERR_UNSUPPORTED,
                     "%s: pooling (\"global_pool\") is \"%s\"%s; vitc has token, avg, max and "
                     "avgmax",
                     reader->name, vitc_show(shown, name),
                     strcmp(name, "map") == 0 ? ", by attention" : "");
}

/* ---- what tensors say ---- */

static bool has(const vit_checkpoint *checkpoint, const char *name)
{
    return vit_checkpoint_find(checkpoint, name) != NULL;
}

/* Whether any block has such a tensor: where one block lacks it, it is missing and is reported. */
static bool any_block_has(const vit_checkpoint *checkpoint, const char *leaf)
{
    for (size_t i = 0; i < checkpoint->tensor_count; i++) {
        const char *name = checkpoint->tensors[i].name;
        if (strncmp(name, "blocks.", 7) != 0) continue;
        const char *dot = strchr(name + 7, '.');
        if (dot != NULL && strcmp(dot + 1, leaf) == 0) return true;
    }
    return false;
}

static vitc_status read_extents(vit_checkpoint *checkpoint, const vitc_log *log)
{
    static const struct {
        const char *tensor;
        uint32_t extent;
        size_t field;
        const char *otherwise;
    } rows[] = {
        {"patch_embed.proj.weight", 0, offsetof(vit_config, width),
         "the weights are not of a timm Vision Transformer"},
        {"patch_embed.proj.weight", 2, offsetof(vit_config, patch),
         "the weights are not of a timm Vision Transformer"},
        {"blocks.0.mlp.fc1.weight", 0, offsetof(vit_config, mlp),
         "the weights are not of a timm Vision Transformer"},
        {"head.weight", 0, offsetof(vit_config, classes),
         "there is no classifier (\"num_classes\" is 0, perhaps): the model has to be fine-tuned "
         "before it can name anything"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const size_t extent = vit_checkpoint_extent(checkpoint, rows[i].tensor, rows[i].extent);
        if (extent < 1 || extent > UINT32_MAX)
            return vitc_fail(log, VITC_ERR_MODEL, "%s: no usable tensor %s: %s", checkpoint->name,
                             rows[i].tensor, rows[i].otherwise);
        *(uint32_t *)((char *)&checkpoint->config + rows[i].field) = (uint32_t)extent;
    }
    return VITC_OK;
}

static void read_presence(vit_checkpoint *checkpoint)
{
    vit_config *c = &checkpoint->config;
    c->layers = vit_checkpoint_layers(checkpoint, "blocks.");
    c->class_token = has(checkpoint, "cls_token");
    c->distillation_token = has(checkpoint, "dist_token");
    c->distilled_head = c->distillation_token || has(checkpoint, "head_dist.weight");
    c->registers = (uint32_t)vit_checkpoint_extent(checkpoint, "reg_token", 1);
    c->norm_pre = has(checkpoint, "norm_pre.weight") || has(checkpoint, "norm_pre.bias");
    c->patch_bias = !c->norm_pre; /* timm's rule */
    c->norm_pooled = has(checkpoint, "fc_norm.weight") || has(checkpoint, "fc_norm.bias");
    c->norm_final = !c->norm_pooled;
    c->qkv_bias = any_block_has(checkpoint, "attn.qkv.bias");
    c->qk_norm = any_block_has(checkpoint, "attn.q_norm.weight");
    c->layer_scale = any_block_has(checkpoint, "ls1.gamma") || any_block_has(checkpoint, "gamma_1");
}

/* ---- both together ---- */

/* img_size of model_args, else the input size of the pretrained config, for which timm builds. */
static vitc_status read_image_size(vit_config *c, const vit_config_reader *reader,
                                   const vitc_json *pretrained, const vitc_json *args)
{
    const vitc_json *input = vit_config_present(pretrained, "input_size");
    c->image_height = c->image_width = 224;
    if (input != NULL) {
        const int64_t height = vitc_json_integer(vitc_json_at(input, 1), 0);
        const int64_t width = vitc_json_integer(vitc_json_at(input, 2), 0);
        if (vitc_json_size(input) != 3 || height < 1 || width < 1 || height > 1 << 30 ||
            width > 1 << 30)
            return vit_config_fail(reader, "input_size", input,
                                   "a list of three: channels, height, width");
        c->image_height = (uint32_t)height;
        c->image_width = (uint32_t)width;
    }
    return vit_config_read_pair(&c->image_height, &c->image_width, reader, args, "img_size");
}

/* Whether the table has rows for the prefix tokens: its length tells. */
static vitc_status read_position(vit_checkpoint *checkpoint, const vit_config_reader *reader,
                                 const vitc_json *args)
{
    vit_config *c = &checkpoint->config;
    const char *kind = "learn";
    bool no_embed = false;
    VITC_TRY(vit_config_read_string(&kind, reader, args, "pos_embed"));
    VITC_TRY(vit_config_read_flag(&no_embed, reader, args, "no_embed_class"));
    if (kind[0] == 0 || strcmp(kind, "none") == 0) {
        c->position = PATCHES_POSITION_NONE;
        return VITC_OK;
    }
    c->position = PATCHES_POSITION_LEARNED_1D;
    const uint32_t prefix = vit_config_prefix_tokens(c);
    const size_t slots = vit_checkpoint_extent(checkpoint, "pos_embed", 1);
    const size_t patches =
        (size_t)(c->image_height / c->patch) * (size_t)(c->image_width / c->patch);
    c->position_covers_prefix = slots != patches && !no_embed;
    if (slots == 0 || slots == patches || (c->position_covers_prefix && slots == patches + prefix))
        return VITC_OK;
    char text[96];
    snprintf(text, sizeof text, "%ux%u (%zu patches and %u other tokens)", c->image_height,
             c->image_width, patches, prefix);
    const bool given = vit_config_present(args, "img_size") != NULL;
    return vit_checkpoint_disagree(checkpoint, given ? "img_size" : "input_size", text, "pos_embed",
                                   reader->log);
}

/* Sizes that model_args state as well. */
static vitc_status compare_arguments(const vit_checkpoint *checkpoint,
                                     const vit_config_reader *reader, const vitc_json *args)
{
    const vit_config *c = &checkpoint->config;
    const vitc_log *log = reader->log;
    static const char projection[] = "patch_embed.proj.weight";
    uint32_t width = c->width, layers = c->layers, registers = c->registers;
    uint32_t patch_height = c->patch, patch_width = c->patch;
    double ratio = -1;
    VITC_TRY(vit_config_read_count(&width, reader, args, "embed_dim", 1));
    VITC_TRY(vit_config_read_count(&layers, reader, args, "depth", 1));
    VITC_TRY(vit_config_read_count(&registers, reader, args, "reg_tokens", 0));
    VITC_TRY(vit_config_read_pair(&patch_height, &patch_width, reader, args, "patch_size"));
    VITC_TRY(vit_config_read_number(&ratio, reader, args, "mlp_ratio"));
    VITC_TRY(
        vit_checkpoint_check_extent(checkpoint, "embed_dim", width, projection, 0, width, log));
    VITC_TRY(vit_checkpoint_check_extent(checkpoint, "patch_size", patch_height, projection, 2,
                                         patch_height, log));
    VITC_TRY(vit_checkpoint_check_extent(checkpoint, "patch_size", patch_width, projection, 3,
                                         patch_width, log));
    if (patch_height != patch_width)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                         "%s: \"patch_size\" is %ux%u; vitc reads square patches", reader->name,
                         patch_height, patch_width);
    if (registers != c->registers) {
        char text[16];
        snprintf(text, sizeof text, "%u", registers);
        return vit_checkpoint_disagree(checkpoint, "reg_tokens", text, "reg_token", log);
    }
    if (layers != c->layers)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "%s: \"depth\" is %u, but the weights have %u layers (tensors blocks.0.* "
                         "to blocks.%u.*): the config and the weights do not belong together",
                         reader->name, layers, c->layers, c->layers - 1);
    /* Python's int(width * ratio) */
    if (ratio > 0 && ratio < 1e6 && (uint64_t)(c->width * ratio) != c->mlp) {
        char text[32];
        snprintf(text, sizeof text, "%.9g", ratio);
        return vit_checkpoint_disagree(checkpoint, "mlp_ratio", text, "blocks.0.mlp.fc1.weight",
                                       log);
    }
    return VITC_OK;
}

/* The root's number counts: the one inside stays behind from the model that was fine-tuned. */
static vitc_status compare_classes(const vit_checkpoint *checkpoint,
                                   const vit_config_reader *reader, const vitc_json *config,
                                   const vitc_json *pretrained)
{
    uint32_t classes = checkpoint->config.classes;
    VITC_TRY(vit_config_read_count(&classes, reader, pretrained, "num_classes", 0));
    VITC_TRY(vit_config_read_count(&classes, reader, config, "num_classes", 0));
    return vit_checkpoint_check_extent(checkpoint, "num_classes", classes, "head.weight", 0,
                                       classes, reader->log);
}

/* ---- labels ---- */

/* Replaces names such as synset ids by their descriptions. */
static vitc_status describe_labels(vit_checkpoint *checkpoint, const vitc_json *descriptions,
                                   const vitc_log *log)
{
    vit_description *description = &checkpoint->description;
    for (uint32_t i = 0; i < description->label_count; i++) {
        char *copy;
        if (description->labels[i] == NULL) continue; /* a gap */
        const char *text =
            vitc_json_string(vitc_json_get(descriptions, description->labels[i]), NULL);
        if (text == NULL) continue;
        VITC_TRY(vit_checkpoint_copy(&copy, text, log));
        free(description->labels[i]);
        description->labels[i] = copy;
    }
    return VITC_OK;
}

/* Whether the labels inside pretrained_cfg stayed behind from the model that was fine-tuned. */
static bool are_stale(const vit_checkpoint *checkpoint, const vitc_json *labels, const char *key,
                      const vitc_log *log)
{
    const size_t count = vitc_json_size(labels);
    const uint32_t classes = checkpoint->config.classes;
    if (count == classes) return false;
    vitc_log_write(
        log, VITC_LOG_WARN,
        "%s: the %zu labels of \"%s\" in \"pretrained_cfg\" are not those of the model's "
        "%u classes, and are not used",
        checkpoint->config_name, count, key, classes);
    return true;
}

/* The wrapper's names, which transformers uses, before timm's own, and the root's before those
 * inside. */
static vitc_status read_labels(vit_checkpoint *checkpoint, const vitc_json *config,
                               const vitc_json *pretrained, const vitc_log *log)
{
    static const char *const keys[] = {"id2label", "label_names", "labels"};
    const vitc_json *const places[] = {config, pretrained};
    for (size_t p = 0; p < 2; p++)
        for (size_t i = 0; i < 3; i++) {
            const vitc_json *labels = vit_config_present(places[p], keys[i]);
            if (labels == NULL || (p > 0 && are_stale(checkpoint, labels, keys[i], log))) continue;
            VITC_TRY(vit_checkpoint_read_labels(checkpoint, labels, keys[i], "head.weight", log));
            const vitc_json *descriptions = vit_config_present(config, "label_descriptions");
            if (descriptions == NULL)
                descriptions = vit_config_present(pretrained, "label_descriptions");
            return describe_labels(checkpoint, descriptions, log);
        }
    return VITC_OK;
}

/* ---- the dialect ---- */

static vitc_status find_rule(vit_timm_rule *rule, const vit_config_reader *reader,
                             const char *architecture)
{
    char shown[VITC_SHOWN_SIZE];
    if (!vit_timm_rule_find(rule, architecture))
        return vitc_fail(reader->log, VITC_ERR_UNSUPPORTED,
                         "%s: \"architecture\" is \"%s\"; vitc reads timm's plain Vision "
                         "Transformers: vit_*, deit_*, deit3_* and flexivit_* in the sizes that "
                         "timm 1.0.31 has",
                         reader->name, vitc_show(shown, architecture));
    if (rule->unsupported != NULL)
        return vitc_fail(reader->log, VITC_ERR_UNSUPPORTED,
                         "%s: \"architecture\" %s has %s, which vitc does not compute",
                         reader->name, vitc_show(shown, architecture), rule->unsupported);
    return VITC_OK;
}

static vitc_status configure(vit_checkpoint *checkpoint, const vitc_json *config,
                             const vitc_log *log)
{
    const vit_config_reader reader = {.name = checkpoint->config_name, .log = log};
    const vitc_json *args = vit_config_present(config, "model_args");
    const vitc_json *pretrained = vit_config_present(config, "pretrained_cfg");
    vit_config *c = &checkpoint->config;
    vit_timm_rule rule;
    const char *architecture = "", *license = NULL;
    if (pretrained == NULL) pretrained = config; /* the oldest files */
    if (args != NULL && !vitc_json_is_object(args))
        return vit_config_fail(&reader, "model_args", args, "an object");

    VITC_TRY(vit_config_read_string(&architecture, &reader, config, "architecture"));
    VITC_TRY(find_rule(&rule, &reader, architecture));
    VITC_TRY(check_arguments(&reader, args));
    vit_checkpoint_set_architecture(c, architecture);
    c->heads = rule.heads;
    c->norm_eps = rule.norm_eps;
    c->activation = rule.activation;
    c->temperature = 1;
    c->position_filter = PATCHES_POSITION_BICUBIC_ANTIALIAS;
    VITC_TRY(vit_config_read_count(&c->heads, &reader, args, "num_heads", 1));
    if (vit_config_present(args, "norm_layer") != NULL) c->norm_eps = 1e-6f; /* of a bare name */
    VITC_TRY(read_activation(&c->activation, &reader, args));

    read_presence(checkpoint);
    VITC_TRY(read_pool(&c->pool, &reader, config, args, &rule, c->norm_pooled));
    VITC_TRY(read_extents(checkpoint, log));
    bool final_norm =
        strstr(architecture, "_radio_") == NULL && strstr(architecture, "_intern300m_") == NULL;
    VITC_TRY(vit_config_read_flag(&final_norm, &reader, args, "final_norm"));
    c->norm_final = c->norm_final && (final_norm || has(checkpoint, "norm.weight"));
    VITC_TRY(compare_arguments(checkpoint, &reader, args));
    VITC_TRY(read_image_size(c, &reader, pretrained, args));
    VITC_TRY(read_position(checkpoint, &reader, args));
    VITC_TRY(compare_classes(checkpoint, &reader, config, pretrained));

    /* timm itself has softmax only; transformers' wrapper says what it does. */
    if (vit_config_present(config, "model_type") != NULL)
        VITC_TRY(vit_config_read_scores(&c->scores, &reader, config, c->classes));
    VITC_TRY(read_labels(checkpoint, config, pretrained, log));
    VITC_TRY(vit_config_read_string(&license, &reader, pretrained, "license"));
    if (license == NULL || license[0] == 0) return VITC_OK;
    return vit_checkpoint_copy(&checkpoint->description.license, license, log);
}

/* timm's names are the table's own. Raw DeiT-3 files call the layer scales gamma_1 and gamma_2. */
static void name_param(vit_checkpoint_names *names, const vit_checkpoint *checkpoint,
                       const vit_param *param)
{
    names->count = 1;
    snprintf(names->names[0], sizeof names->names[0], "%s", param->name);
    if ((param->id == VIT_LS1_GAMMA || param->id == VIT_LS2_GAMMA) &&
        !has(checkpoint, param->name)) {
        char raw[VIT_SOURCE_NAME_SIZE];
        snprintf(raw, sizeof raw, "blocks.%u.gamma_%d", param->layer,
                 param->id == VIT_LS1_GAMMA ? 1 : 2);
        if (has(checkpoint, raw)) memcpy(names->names[0], raw, sizeof raw);
    }
}

const vit_dialect vit_dialect_timm = {
    .source = "timm directory", .configure = configure, .name = name_param};
