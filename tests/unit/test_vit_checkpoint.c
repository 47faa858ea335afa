/* Opening checkpoints: every golden one is understood as what made it says, and everything that can
 * be wrong with config, weights, preprocessing and files is refused with the reason. */
#include <math.h>

#include "vit_weights_support.h"

/* ---- golden checkpoints ---- */

/* Read off the models that PyTorch builds from these folders. */
typedef struct golden_row {
    const char *name, *config, *labels; /* labels: how many there are, and the last */
    const char *dtype, *license;
} golden_row;

/* A configuration in one line: image/patch width layers heads mlp classes eps activation pool
 * scores; then what it has. */
static void summarize(char text[256], const vit_config *c)
{
    int n = snprintf(text, 256, "%ux%u/%u D%u L%u H%u M%u K%u %g %s %s %s", c->image_height,
                     c->image_width, c->patch, c->width, c->layers, c->heads, c->mlp, c->classes,
                     (double)c->norm_eps, vit_activation_string(c->activation),
                     vit_pool_string(c->pool),
                     c->scores == VIT_SCORES_SOFTMAX   ? "softmax"
                     : c->scores == VIT_SCORES_SIGMOID ? "sigmoid"
                                                       : "raw");
    char registers[16];
    snprintf(registers, sizeof registers, "reg%u", c->registers);
    const struct {
        bool has;
        const char *what;
    } parts[] = {
        {c->class_token, "cls"},
        {c->distillation_token, "dist"},
        {c->registers > 0, registers},
        {c->position == PATCHES_POSITION_LEARNED_1D, "pos"},
        {c->position_covers_prefix, "covers"},
        {c->patch_bias, "patch_bias"},
        {c->qkv_bias, "qkv_bias"},
        {c->qk_norm, "qk_norm"},
        {c->layer_scale, "scale"},
        {c->norm_pre, "pre"},
        {c->norm_final, "norm"},
        {c->norm_pooled, "fc_norm"},
        {c->distilled_head, "head_dist"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i].has) n += snprintf(text + n, 256 - (size_t)n, " %s", parts[i].what);
}

#define SNOW "雪兎 snow hare"

static const golden_row golden_rows[] = {
    {"hf_vit",
     "32x32/8 D32 L2 H4 M64 K6 1e-12 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "6 雪兎 snow hare", "F32", NULL},
    {"hf_vit_eps1e_6_noqkvbias",
     "32x32/8 D32 L2 H4 M72 K11 1e-06 gelu token softmax cls pos covers patch_bias norm",
     "11 gravel", "F32", NULL},
    {"hf_vit_gelu_new",
     "32x32/8 D24 L3 H4 M64 K6 1e-12 gelu_tanh token softmax cls pos covers patch_bias qkv_bias "
     "norm",
     "6 雪兎 snow hare", "F32", NULL},
    {"hf_vit_quick_gelu",
     "32x32/8 D32 L2 H2 M64 K6 1e-12 quick_gelu token softmax cls pos covers patch_bias qkv_bias "
     "norm",
     "6 雪兎 snow hare", "F32", NULL},
    {"hf_vit_nonsquare",
     "32x48/8 D32 L2 H4 M64 K6 1e-12 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "6 雪兎 snow hare", "F32", NULL},
    {"hf_vit_f16",
     "32x32/8 D32 L2 H4 M64 K6 1e-12 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "6 雪兎 snow hare", "F16", NULL},
    {"hf_vit_bf16",
     "32x32/8 D32 L2 H4 M64 K6 1e-12 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "6 雪兎 snow hare", "BF16", NULL},
    {"hf_vit_f64",
     "32x32/16 D24 L1 H4 M64 K6 1e-12 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "6 雪兎 snow hare", "F64", NULL},
    {"hf_vit_sharded",
     "32x32/8 D32 L2 H4 M64 K6 1e-12 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "6 雪兎 snow hare", "F32", NULL},
    {"hf_vit_v5names",
     "32x32/8 D32 L2 H4 M64 K6 1e-12 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "6 雪兎 snow hare", "F32", NULL},
    {"hf_vit_bare_size",
     "32x32/8 D32 L2 H4 M64 K6 1e-12 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "6 雪兎 snow hare", "F32", NULL},
    {"hf_vit_default_labels",
     "32x32/8 D32 L2 H4 M64 K2 1e-12 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "none", "F32", NULL},
    {"hf_vit_no_id2label",
     "32x32/8 D32 L2 H4 M64 K2 1e-12 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "none", "F32", NULL},
    {"hf_deit_plain",
     "32x32/8 D32 L2 H4 M64 K6 1e-12 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "6 雪兎 snow hare", "F32", NULL},
    {"hf_deit_distilled",
     "32x32/8 D40 L2 H5 M64 K6 1e-12 gelu token softmax cls dist pos covers patch_bias qkv_bias "
     "norm head_dist",
     "6 雪兎 snow hare", "F32", NULL},
    {"hf_deit_single",
     "32x32/8 D24 L3 H4 M64 K5 1e-12 gelu token softmax cls dist pos covers patch_bias qkv_bias "
     "norm",
     "5 grey \"fox\"", "F32", NULL},
    {"timm_vit",
     "32x32/8 D32 L2 H4 M64 K7 1e-06 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "7 mountain bike", "F32", "apache-2.0"},
    {"timm_vit_avg",
     "32x32/8 D32 L2 H4 M64 K7 1e-06 gelu avg softmax cls pos covers patch_bias qkv_bias fc_norm",
     "none", "F32", "apache-2.0"},
    {"timm_vit_avg_nofcnorm",
     "32x32/8 D32 L2 H4 M64 K7 1e-06 gelu avg softmax cls pos covers patch_bias qkv_bias norm",
     "none", "F32", "apache-2.0"},
    {"timm_vit_nocls", "32x32/8 D32 L2 H4 M64 K7 1e-06 gelu avg softmax pos patch_bias scale norm",
     "none", "F32", "apache-2.0"},
    {"timm_vit_no_embed_class",
     "32x32/8 D32 L2 H4 M64 K7 1e-06 gelu token softmax cls pos patch_bias qkv_bias norm", "none",
     "F32", "apache-2.0"},
    {"timm_vit_registers",
     "32x32/8 D24 L2 H2 M48 K7 1e-06 gelu token softmax cls reg4 pos patch_bias qkv_bias scale "
     "norm",
     "none", "F32", "apache-2.0"},
    {"timm_vit_registers_gap",
     "32x32/8 D32 L2 H4 M64 K7 1e-06 gelu avg softmax reg4 pos patch_bias qkv_bias fc_norm", "none",
     "F32", "apache-2.0"},
    {"timm_vit_registers_embed",
     "32x32/8 D32 L2 H4 M64 K7 1e-06 gelu token softmax cls reg2 pos covers patch_bias qkv_bias "
     "norm",
     "none", "F32", "apache-2.0"},
    {"timm_vit_layerscale",
     "32x32/8 D24 L3 H4 M48 K7 1e-06 gelu token softmax cls pos covers patch_bias qkv_bias scale "
     "norm",
     "none", "F32", "apache-2.0"},
    {"timm_vit_prenorm",
     "32x32/8 D32 L2 H4 M64 K7 1e-05 gelu token softmax cls pos covers qkv_bias pre norm", "none",
     "F32", "apache-2.0"},
    {"timm_vit_prenorm_arg",
     "32x32/8 D32 L2 H4 M64 K7 1e-06 gelu token softmax cls pos covers qkv_bias pre norm", "none",
     "F32", "apache-2.0"},
    {"timm_vit_quickgelu",
     "32x32/8 D32 L2 H4 M64 K7 1e-05 quick_gelu token softmax cls pos covers qkv_bias pre norm",
     "none", "F32", "mit"},
    {"timm_vit_qknorm",
     "32x32/8 D32 L2 H4 M64 K7 1e-06 gelu token softmax cls pos covers patch_bias qkv_bias qk_norm "
     "norm",
     "none", "F32", "apache-2.0"},
    {"timm_vit_noqkvbias",
     "32x32/8 D32 L2 H4 M64 K7 1e-06 gelu token softmax cls pos covers patch_bias norm", "none",
     "F32", "apache-2.0"},
    {"timm_vit_max",
     "32x32/8 D32 L2 H4 M64 K7 1e-06 gelu max softmax cls pos covers patch_bias qkv_bias fc_norm",
     "none", "F32", "apache-2.0"},
    {"timm_vit_avgmax",
     "32x32/8 D32 L2 H4 M64 K7 1e-06 gelu avgmax softmax cls pos covers patch_bias qkv_bias "
     "fc_norm",
     "none", "F32", "apache-2.0"},
    {"timm_vit_gelutanh",
     "32x32/8 D32 L2 H4 M64 K7 1e-06 gelu_tanh token softmax cls pos covers patch_bias qkv_bias "
     "norm",
     "none", "F32", "apache-2.0"},
    {"timm_vit_nonsquare",
     "32x48/8 D32 L2 H4 M64 K7 1e-06 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "none", "F32", "apache-2.0"},
    {"timm_vit_noargs",
     "32x32/8 D48 L2 H3 M96 K5 1e-06 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "none", "F32", "apache-2.0"},
    {"timm_vit_oldconfig",
     "32x32/8 D48 L2 H3 M96 K6 1e-06 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "6 雪兎 snow hare", "F32", "apache-2.0"},
    {"timm_deit_distilled",
     "32x32/8 D36 L2 H3 M72 K7 1e-06 gelu token softmax cls dist pos covers patch_bias qkv_bias "
     "norm head_dist",
     "none", "F32", "apache-2.0"},
    {"timm_vit_labels",
     "32x32/8 D32 L2 H4 M64 K7 1e-06 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "7 mountain bike", "F32", "apache-2.0"},
    {"timm_vit_labels_dict",
     "32x32/8 D32 L2 H4 M64 K7 1e-06 gelu token softmax cls pos covers patch_bias qkv_bias norm",
     "7 mountain bike", "F32", "apache-2.0"},
};

static void check_golden(const golden_row *row)
{
    char path[512], found[256], labels[256] = "none";
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_checkpoint *c;
    snprintf(path, sizeof path, CHECKPOINTS "/%s", row->name);
    assert_status(vit_checkpoint_open(&c, path, NULL, &log), VITC_OK, &messages);
    assert_int_equal(messages.errors, 0);
    summarize(found, &c->config);
    assert_string_equal(found, row->config);
    const vit_description *d = &c->description;
    if (d->labels != NULL)
        snprintf(labels, sizeof labels, "%u %s", d->label_count, d->labels[d->label_count - 1]);
    assert_string_equal(labels, row->labels);
    assert_string_equal(d->dtype, row->dtype);
    assert_string_equal(d->source, strncmp(row->name, "hf", 2) == 0 ? "Hugging Face directory"
                                                                    : "timm directory");
    assert_string_equal(d->license != NULL ? d->license : "", row->license ? row->license : "");
    assert_null(d->card);

    /* Every value can be read, and no two parameters come from the same place. */
    float *values = malloc(vit_checkpoint_largest(c) * sizeof *values);
    assert_non_null(values);
    size_t used = 0;
    for (size_t i = 0; i < c->table.count; i++) {
        assert_status(vit_checkpoint_read(c, i, values, &log), VITC_OK, &messages);
        used += c->sources[i].count;
    }
    assert_int_equal(used, c->tensor_count);
    assert_int_equal(vit_checkpoint_read(c, c->table.count, values, NULL), VITC_ERR_ARGUMENT);
    free(values);
    vit_checkpoint_free(c);
}

static void golden_checkpoints(void **unused)
{
    (void)unused;
    FILE *index = fopen(CHECKPOINTS "/index.txt", "r");
    char name[128];
    size_t cases = 0;
    const size_t rows = sizeof golden_rows / sizeof golden_rows[0];
    assert_non_null(index);
    while (fgets(name, sizeof name, index) != NULL) {
        name[strcspn(name, "\n")] = 0;
        size_t i = 0;
        while (i < rows && strcmp(golden_rows[i].name, name) != 0) i++;
        if (i == rows) fail_msg("golden checkpoint %s has no row here", name);
        check_golden(&golden_rows[i]);
        cases++;
    }
    fclose(index);
    assert_int_equal(cases, rows);
}

/* The three parts of a fused matrix, in their order. */
static void qkv_is_concatenated(void **unused)
{
    (void)unused;
    static const char *const names[] = {"hf_vit", "hf_vit_v5names"};
    static const char *const parts[2][3] = {
        {"vit.encoder.layer.1.attention.attention.query.weight",
         "vit.encoder.layer.1.attention.attention.key.weight",
         "vit.encoder.layer.1.attention.attention.value.weight"},
        {"vit.layers.1.attention.q_proj.weight", "vit.layers.1.attention.k_proj.weight",
         "vit.layers.1.attention.v_proj.weight"},
    };
    for (size_t n = 0; n < 2; n++) {
        char path[512];
        vit_checkpoint *c;
        snprintf(path, sizeof path, CHECKPOINTS "/%s", names[n]);
        assert_int_equal(vit_checkpoint_open(&c, path, NULL, NULL), VITC_OK);
        const size_t param = vit_params_find(&c->table, VIT_QKV_WEIGHT, 1);
        float *values = malloc(c->table.params[param].count * sizeof *values);
        assert_non_null(values);
        assert_int_equal(vit_checkpoint_read(c, param, values, NULL), VITC_OK);
        for (size_t i = 0; i < 3; i++) {
            const vit_checkpoint_tensor *t = vit_checkpoint_find(c, parts[n][i]);
            assert_non_null(t);
            assert_memory_equal(values + i * t->tensor->count, t->tensor->data, t->tensor->size);
        }
        free(values);
        vit_checkpoint_free(c);
    }
}

/* Labels of every index, whatever the order of the file. */
static void labels_by_index(void **unused)
{
    (void)unused;
    static const char *const words[] = {
        "tabby cat",     "espresso",   "rocket, projectile", "Kuchen-Käse", "grey \"fox\"", SNOW,
        "mountain bike", "wall clock", "lily of the valley", "brick",       "gravel"};
    static const char *const names[] = {
        "hf_vit",          "hf_vit_eps1e_6_noqkvbias", "hf_vit_bare_size",
        "timm_vit_labels", "timm_vit_labels_dict",     "timm_vit_oldconfig"};
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        char path[512];
        vit_checkpoint *c;
        snprintf(path, sizeof path, CHECKPOINTS "/%s", names[n]);
        assert_int_equal(vit_checkpoint_open(&c, path, NULL, NULL), VITC_OK);
        assert_int_equal(c->description.label_count, c->config.classes);
        for (uint32_t i = 0; i < c->description.label_count; i++)
            assert_string_equal(c->description.labels[i], words[i]);
        vit_checkpoint_free(c);
    }
}

/* ---- changed checkpoints ---- */

/* The files of a golden folder in memory, to be changed and opened. */
typedef struct parts {
    test_bytes config, preprocessor, weights;
} parts;

static parts take_golden(const char *name)
{
    parts p = {.config = test_read_golden(name, "config.json"),
               .weights = test_read_golden(name, "model.safetensors")};
    if (strncmp(name, "hf", 2) == 0)
        p.preprocessor = test_read_golden(name, "preprocessor_config.json");
    return p;
}

static void free_parts(parts *p)
{
    free(p->config.data);
    free(p->preprocessor.data);
    free(p->weights.data);
}

/* The weights, to be changed and put back. */
static test_tensors *take_weights(parts *p)
{
    test_tensors *tensors = test_take_apart(&p->weights);
    free(p->weights.data);
    p->weights.data = NULL;
    return tensors;
}

static void put_weights(parts *p, test_tensors *tensors)
{
    const test_bytes bytes = test_put_together(tensors);
    p->weights.data = bytes.data;
    p->weights.size = bytes.size;
}

static vitc_status open_parts(vit_checkpoint **c, const parts *p, const vit_load_options *options,
                              message_log *messages)
{
    const vitc_log log = message_log_start(messages);
    const vit_checkpoint_texts texts = {.config = (const char *)p->config.data,
                                        .config_size = p->config.size,
                                        .preprocessor = (const char *)p->preprocessor.data,
                                        .preprocessor_size = p->preprocessor.size,
                                        .weights = p->weights.data,
                                        .weights_size = p->weights.size};
    const vitc_status status = vit_checkpoint_open_texts(c, &texts, "model", options, &log);
    if (status == VITC_OK) {
        assert_int_equal(messages->errors, 0);
        assert_non_null(*c);
    } else {
        assert_true(messages->errors >= 1);
        assert_null(*c);
    }
    return status;
}

/* A change of config.json: `from`, which is there, becomes `to`. */
typedef struct config_row {
    const char *golden, *from, *to;
    vitc_status status;
    const char *says[3];
} config_row;

#define HF   "hf_vit"
#define TIMM "timm_vit"

#define WRAPPER     "\"model_type\": \"timm_wrapper\", "
#define MULTI_LABEL "\"problem_type\": \"multi_label_classification\", "
#define POOL        "\"in_chans\": 3,\n    \"global_pool\": \"token\""

static const config_row config_rows[] = {
    /* Hugging Face: other models */
    {HF,
     "\"model_type\": \"vit\"",
     "\"model_type\": \"dinov2\"",
     VITC_ERR_UNSUPPORTED,
     {"model/config.json", "\"dinov2\"", "vit and deit"}},
    {HF, "\"model_type\": \"vit\"", "\"model_type\": \"clip\"", VITC_ERR_UNSUPPORTED, {"\"clip\""}},
    {HF,
     "\"model_type\": \"vit\"",
     "\"model_type\": \"vit_mae\"",
     VITC_ERR_UNSUPPORTED,
     {"\"vit_mae\""}},
    {HF,
     "\"model_type\": \"vit\"",
     "\"model_type\": \"siglip\"",
     VITC_ERR_UNSUPPORTED,
     {"\"siglip\""}},
    {HF, "\"model_type\": \"vit\"", "\"model_type\": 3", VITC_ERR_MODEL, {"\"model_type\" is 3"}},
    {HF,
     "\"model_type\": \"vit\"",
     "\"model_typ\": \"vit\"",
     VITC_ERR_MODEL,
     {"model_type", "architecture"}},
    {HF,
     "\"model_type\": \"vit\"",
     "\"model_type\": \"deit\"",
     VITC_ERR_MODEL,
     {"missing", "deit.embeddings.distillation_token [1,1,32]", "vit.embeddings.cls_token"}},
    {HF, "\"ViTForImageClassification\"", "\"ViTModel\"", VITC_OK, {NULL}}, /* tensors decide */
    /* sizes that the weights contradict: key, value, tensor and shape */
    {HF,
     "\"hidden_size\": 32",
     "\"hidden_size\": 48",
     VITC_ERR_MODEL,
     {"\"hidden_size\" is 48", "vit.embeddings.patch_embeddings.projection.weight", "[32,3,8,8]"}},
    {HF,
     "\"patch_size\": 8",
     "\"patch_size\": 16",
     VITC_ERR_MODEL,
     {"\"patch_size\" is 16", "projection.weight", "[32,3,8,8]"}},
    {HF,
     "\"intermediate_size\": 64",
     "\"intermediate_size\": 128",
     VITC_ERR_MODEL,
     {"\"intermediate_size\" is 128", "vit.encoder.layer.0.intermediate.dense.weight", "[64,32]"}},
    {HF,
     "\"image_size\": 32",
     "\"image_size\": 64",
     VITC_ERR_MODEL,
     {"\"image_size\" is 64x64", "vit.embeddings.position_embeddings", "[1,17,32]"}},
    {HF,
     "\"image_size\": 32",
     "\"image_size\": [32, 40]",
     VITC_ERR_MODEL,
     {"\"image_size\" is 32x40", "[1,17,32]"}},
    {HF,
     "\"image_size\": 32",
     "\"image_size\": 36",
     VITC_ERR_MODEL,
     {"config.json: model config: patch size 8 does not divide", "36x36"}},
    {HF,
     "\"num_hidden_layers\": 2",
     "\"num_hidden_layers\": 3",
     VITC_ERR_MODEL,
     {"\"num_hidden_layers\" is 3", "2 layers", "vit.encoder.layer.1.*"}},
    {HF,
     "\"qkv_bias\": true",
     "\"qkv_bias\": false",
     VITC_ERR_MODEL,
     {"\"qkv_bias\" is false", "vit.encoder.layer.0.attention.attention.query.bias", "[32]"}},
    {"hf_vit_eps1e_6_noqkvbias",
     "\"qkv_bias\": false",
     "\"qkv_bias\": true",
     VITC_ERR_MODEL,
     {"6 tensors missing", "vit.encoder.layer.0.attention.attention.query.bias [32]",
      "layer.1.attention.attention.value.bias"}},
    {"hf_deit_distilled",
     "\"hidden_size\": 40",
     "\"hidden_size\": 20",
     VITC_ERR_MODEL,
     {"\"hidden_size\" is 20", "deit.embeddings.patch_embeddings", "[40,3,8,8]"}},
    /* values that are none */
    {HF,
     "\"hidden_size\": 32",
     "\"hidden_size\": \"32\"",
     VITC_ERR_MODEL,
     {"\"hidden_size\" is \"32\"", "whole number"}},
    {HF, "\"hidden_size\": 32", "\"hidden_size\": 0", VITC_ERR_MODEL, {"\"hidden_size\" is 0"}},
    {HF, "\"hidden_size\": 32", "\"hidden_size\": -32", VITC_ERR_MODEL, {"\"hidden_size\" is -32"}},
    {HF,
     "\"hidden_size\": 32",
     "\"hidden_size\": 4294967328",
     VITC_ERR_MODEL,
     {"\"hidden_size\" is 4294967328"}},
    {HF,
     "\"hidden_size\": 32",
     "\"hidden_size\": 32.5",
     VITC_ERR_MODEL,
     {"\"hidden_size\" is 32.5"}},
    {HF,
     "\"patch_size\": 8",
     "\"patch_size\": [8]",
     VITC_ERR_MODEL,
     {"\"patch_size\" is a list of 1"}},
    {HF, "\"patch_size\": 8", "\"patch_size\": [8, 16]", VITC_ERR_UNSUPPORTED, {"8x16", "square"}},
    {HF, "\"patch_size\": 8", "\"patch_size\": [8, \"8\"]", VITC_ERR_MODEL, {"\"8\""}},
    {HF,
     "\"num_attention_heads\": 4",
     "\"num_attention_heads\": 5",
     VITC_ERR_UNSUPPORTED,
     {"num_attention_heads", "hidden_size"}},
    {HF,
     "\"num_attention_heads\": 4",
     "\"num_attention_heads\": 4, \"head_dim\": 16",
     VITC_ERR_UNSUPPORTED,
     {"heads", "16"}},
    {HF,
     "\"num_channels\": 3",
     "\"num_channels\": 1",
     VITC_ERR_UNSUPPORTED,
     {"\"num_channels\" is 1"}},
    {HF, "\"qkv_bias\": true", "\"qkv_bias\": 1", VITC_ERR_MODEL, {"\"qkv_bias\" is 1"}},
    {HF, "1e-12", "\"tiny\"", VITC_ERR_MODEL, {"\"layer_norm_eps\" is \"tiny\""}},
    {HF, "1e-12", "-1", VITC_ERR_MODEL, {"model/config.json", "epsilon -1"}},
    {HF,
     "\"hidden_act\": \"gelu\"",
     "\"hidden_act\": \"tanh\"",
     VITC_ERR_UNSUPPORTED,
     {"\"hidden_act\" is \"tanh\"", "quick_gelu"}},
    {HF,
     "\"hidden_act\": \"gelu\"",
     "\"hidden_act\": \"gelu_10\"",
     VITC_ERR_UNSUPPORTED,
     {"\"gelu_10\""}},
    {HF,
     "\"qkv_bias\": true",
     "\"qkv_bias\": true, \"problem_type\": \"ranking\"",
     VITC_ERR_UNSUPPORTED,
     {"\"problem_type\" is \"ranking\""}},
    /* labels */
    {HF,
     "\"4\": \"grey \\\"fox\\\"\",",
     "",
     VITC_ERR_MODEL,
     {"\"id2label\" is 5 labels", "classifier.weight", "[6,32]"}},
    {HF, "\"4\": \"grey", "\"6\": \"grey", VITC_ERR_MODEL, {"\"id2label\"", "\"6\"", "6 classes"}},
    {HF, "\"4\": \"grey", "\"-4\": \"grey", VITC_ERR_MODEL, {"\"-4\""}},
    {HF, "\"4\": \"grey", "\"\": \"grey", VITC_ERR_MODEL, {"\"id2label\""}},
    {HF,
     "\"4\": \"grey",
     "\"18446744073709551620\": \"grey",
     VITC_ERR_MODEL,
     {"\"18446744073709551620\""}},
    {HF, "\"4\": \"grey", "\"03\": \"grey", VITC_ERR_MODEL, {"class 3 twice"}},
    {HF,
     "\"0\": \"tabby cat\"",
     "\"0\": [\"tabby cat\"]",
     VITC_ERR_MODEL,
     {"\"id2label\" is a list"}},
    {HF, "\"id2label\": {", "\"id2label\": 6, \"was\": {", VITC_ERR_MODEL, {"\"id2label\" is 6"}},
    /* no config */
    {HF, "{", "[{", VITC_ERR_CORRUPT, {"model/config.json", "JSON"}},
    {HF,
     "\"hidden_size\": 32",
     "\"hidden_size\": 32, \"hidden_size\": 32",
     VITC_ERR_CORRUPT,
     {"duplicate"}},

    /* timm: other models */
    {TIMM,
     "vit_tiny_patch16_224",
     "swin_tiny_patch4_window7_224",
     VITC_ERR_UNSUPPORTED,
     {"\"architecture\" is \"swin_tiny_patch4_window7_224\"", "vit_*"}},
    {TIMM,
     "vit_tiny_patch16_224",
     "vit_base_patch16_rope_224",
     VITC_ERR_UNSUPPORTED,
     {"vit_base_patch16_rope_224", "rotary"}},
    {TIMM, "vit_tiny_patch16_224", "vit_base_r50_s16_224", VITC_ERR_UNSUPPORTED, {"convolutional"}},
    {TIMM, "vit_tiny_patch16_224", "vit_giant_patch14_dinov2", VITC_ERR_UNSUPPORTED, {"SwiGLU"}},
    {TIMM,
     "vit_tiny_patch16_224",
     "vit_unheard_of_patch16_224",
     VITC_ERR_UNSUPPORTED,
     {"vit_unheard_of_patch16_224"}},
    {TIMM,
     "\"architecture\": \"vit_tiny_patch16_224\"",
     "\"architecture\": null",
     VITC_ERR_MODEL,
     {"model_type", "architecture"}},
    {TIMM, POOL, "\"global_pool\": \"map\"", VITC_ERR_UNSUPPORTED, {"\"map\"", "attention"}},
    {TIMM, POOL, "\"global_pool\": \"\"", VITC_ERR_UNSUPPORTED, {"global_pool"}},
    {TIMM, "\"in_chans\": 3", "\"in_chans\": 1", VITC_ERR_UNSUPPORTED, {"in_chans"}},
    {TIMM,
     "\"in_chans\": 3",
     "\"scale_attn_norm\": true",
     VITC_ERR_UNSUPPORTED,
     {"scale_attn_norm"}},
    {TIMM,
     "\"in_chans\": 3",
     "\"pool_include_prefix\": true",
     VITC_ERR_UNSUPPORTED,
     {"pool_include_prefix"}},
    {TIMM, "\"in_chans\": 3", "\"proj_bias\": false", VITC_ERR_UNSUPPORTED, {"proj_bias"}},
    {TIMM,
     "\"in_chans\": 3",
     "\"mlp_layer\": \"swiglu\"",
     VITC_ERR_UNSUPPORTED,
     {"mlp_layer", "swiglu"}},
    {TIMM, "\"in_chans\": 3", "\"norm_layer\": \"rmsnorm\"", VITC_ERR_UNSUPPORTED, {"rmsnorm"}},
    {TIMM, "\"in_chans\": 3", "\"act_layer\": \"mish\"", VITC_ERR_UNSUPPORTED, {"mish"}},
    {TIMM,
     "\"in_chans\": 3",
     "\"pos_embed\": \"none\"",
     VITC_ERR_MODEL,
     {"has no place for", "pos_embed [1,17,32]"}},
    {TIMM, "\"in_chans\": 3", "\"final_norm\": \"no\"", VITC_ERR_MODEL, {"final_norm"}},
    {TIMM, "\"model_args\": {", "\"model_args\": [], \"was\": {", VITC_ERR_MODEL, {"model_args"}},
    /* timm: sizes that the weights contradict */
    {TIMM,
     "\"num_classes\": 7",
     "\"num_classes\": 8",
     VITC_ERR_MODEL,
     {"\"num_classes\" is 8", "head.weight", "[7,32]"}},
    {TIMM,
     "\"embed_dim\": 32",
     "\"embed_dim\": 48",
     VITC_ERR_MODEL,
     {"\"embed_dim\" is 48", "patch_embed.proj.weight", "[32,3,8,8]"}},
    {TIMM, "\"depth\": 2", "\"depth\": 3", VITC_ERR_MODEL, {"\"depth\" is 3", "2 layers"}},
    {TIMM,
     "\"patch_size\": 8",
     "\"patch_size\": 16",
     VITC_ERR_MODEL,
     {"\"patch_size\" is 16", "[32,3,8,8]"}},
    {TIMM,
     "\"mlp_ratio\": 2",
     "\"mlp_ratio\": 4.0",
     VITC_ERR_MODEL,
     {"\"mlp_ratio\" is 4", "blocks.0.mlp.fc1.weight", "[64,32]"}},
    {TIMM,
     "\"in_chans\": 3",
     "\"reg_tokens\": 2",
     VITC_ERR_MODEL,
     {"\"reg_tokens\" is 2", "no tensor reg_token"}},
    {TIMM, "\"num_heads\": 4", "\"num_heads\": 5", VITC_ERR_MODEL, {"5 heads", "32"}},
    {TIMM,
     "      32,\n      32\n",
     "64, 64",
     VITC_ERR_MODEL,
     {"\"img_size\" is 64x64", "pos_embed", "[1,17,32]"}},
    {"timm_vit_oldconfig",
     "\"input_size\": [\n    3,\n    32,\n    32\n  ]",
     "\"input_size\": [3, 64, 64]",
     VITC_ERR_MODEL,
     {"\"input_size\" is 64x64", "[1,17,48]"}},
    {"timm_vit_oldconfig",
     "\"input_size\": [\n    3,\n    32,\n    32\n  ]",
     "\"input_size\": 32",
     VITC_ERR_MODEL,
     {"\"input_size\" is 32"}},
    {TIMM,
     "\"tabby cat\",",
     "",
     VITC_ERR_MODEL,
     {"\"label_names\" is 6 labels", "head.weight", "[7,32]"}},
    {TIMM, "\"tabby cat\",", "false,", VITC_ERR_MODEL, {"\"label_names\" is false"}},
    {TIMM,
     "\"architecture\"",
     WRAPPER "\"problem_type\": \"ranking\", \"architecture\"",
     VITC_ERR_UNSUPPORTED,
     {"\"problem_type\" is \"ranking\""}},
    {TIMM,
     "\"architecture\"",
     WRAPPER "\"id2label\": {\"0\": \"x\"}, \"architecture\"",
     VITC_ERR_MODEL,
     {"\"id2label\" is 1 labels"}},
    {TIMM,
     "\"label_names\": [",
     "\"label_names\": {\"7\": \"x\"}, \"was\": [",
     VITC_ERR_MODEL,
     {"\"label_names\"", "\"7\"", "7 classes"}},
    {TIMM,
     "\"label_names\": [",
     "\"label_names\": {}, \"was\": [",
     VITC_ERR_MODEL,
     {"\"label_names\" is 0 labels"}},
    {TIMM, "\"pretrained_cfg\"", "\"pretrained\"", VITC_ERR_PREPROCESS, {"model/config.json"}},

    /* changes that are none */
    {HF, "\"image_size\": 32", "\"image_size\": [32, 32]", VITC_OK, {NULL}},
    {HF, "\"patch_size\": 8", "\"patch_size\": [8, 8]", VITC_OK, {NULL}},
    {HF, "\"num_channels\": 3", "\"num_channels\": null", VITC_OK, {NULL}},
    {HF,
     "\"num_attention_heads\": 4",
     "\"num_attention_heads\": 4, \"head_dim\": 8",
     VITC_OK,
     {NULL}},
    {HF, "\"0\": \"tabby cat\"", "\"0\": 281", VITC_OK, {NULL}},
    {HF, "\"pooler_act\": \"tanh\"", "\"unheard_of\": [{}]", VITC_OK, {NULL}},
    {TIMM, "\"in_chans\": 3", "\"norm_layer\": null, \"mlp_layer\": null", VITC_OK, {NULL}},
    {TIMM, "\"in_chans\": 3", "\"drop_path_rate\": 0.1, \"reg_tokens\": 0", VITC_OK, {NULL}},
    {TIMM, "\"mlp_ratio\": 2", "\"mlp_ratio\": 2.01", VITC_OK, {NULL}}, /* int(64.32) */
};

static void changed_configs(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof config_rows / sizeof config_rows[0]; i++) {
        const config_row *row = &config_rows[i];
        message_log messages;
        vit_checkpoint *c;
        parts p = take_golden(row->golden);
        test_replace(&p.config, row->from, row->to);
        const vitc_status status = open_parts(&c, &p, NULL, &messages);
        if (status != row->status)
            fail_msg("%s with %s: %s, expected %s\n%s", row->golden, row->to,
                     vitc_status_string(status), vitc_status_string(row->status), messages.text);
        for (size_t s = 0; s < 3 && row->says[s] != NULL; s++) assert_says(&messages, row->says[s]);
        vit_checkpoint_free(c);
        free_parts(&p);
    }
}

/* A change of config.json that must show in the configuration's summary. */
static void config_values(void **unused)
{
    (void)unused;
    static const struct {
        const char *golden, *from, *to, *config;
    } rows[] = {
        {HF, "\"layer_norm_eps\": 1e-12,", "", " 1e-12 gelu "},
        {HF, "1e-12", "1e-5", " 1e-05 gelu "},
        {HF, "\"hidden_act\": \"gelu\",", "", " gelu "},
        {HF, "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"gelu_python\"", " gelu "},
        {HF, "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"gelu_fast\"", " gelu_tanh "},
        {HF, "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"gelu_pytorch_tanh\"", " gelu_tanh "},
        {HF, "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"gelu_python_tanh\"", " gelu_tanh "},
        {HF, "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"gelu_accurate\"", " gelu_tanh "},
        {HF, "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"relu\"", " relu "},
        {HF, "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"swish\"", " silu "},
        {HF, "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"silu\"", " silu "},
        {HF, "\"qkv_bias\"", "\"problem_type\": null, \"qkv_bias\"", " softmax "},
        {HF, "\"qkv_bias\"", "\"problem_type\": \"single_label_classification\", \"qkv_bias\"",
         " softmax "},
        {HF, "\"qkv_bias\"", "\"problem_type\": \"multi_label_classification\", \"qkv_bias\"",
         " sigmoid "},
        {HF, "\"qkv_bias\"", "\"problem_type\": \"regression\", \"qkv_bias\"", " raw "},
        {TIMM, "\"in_chans\": 3", "\"act_layer\": \"quick_gelu\"", " quick_gelu "},
        {TIMM, "\"in_chans\": 3", "\"act_layer\": \"silu\"", " silu "},
        {TIMM, "\"in_chans\": 3", "\"act_layer\": \"relu\"", " relu "},
        {"timm_vit_prenorm", "\"in_chans\": 3", "\"norm_layer\": \"layernorm\"", " 1e-06 gelu "},
        /* the architecture's heads where nothing else says them */
        {TIMM, "\"num_heads\": 4,", "\"was\": 4,", NULL}, /* 3 do not divide 32 */
        {TIMM, "\"architecture\": \"vit_tiny_",
         "\"architecture\": \"vit_base_patch16_gap_224\", "
         "\"was\": \"vit_tiny_",
         " H4 "},
        /* pooling: model_args before the root before the architecture */
        {TIMM, POOL, "\"global_pool\": \"avg\"", " avg "},
        {TIMM, POOL, "\"x\": 0", " token "},
        {"timm_vit_avg", "\"global_pool\": \"avg\",", "", " avg "},
        /* transformers' wrapper says how scores are made; timm alone does not */
        {TIMM, "\"architecture\"", WRAPPER "\"architecture\"", " softmax "},
        {TIMM, "\"architecture\"", WRAPPER MULTI_LABEL "\"architecture\"", " sigmoid "},
        {TIMM, "\"architecture\"", MULTI_LABEL "\"architecture\"", " softmax "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        message_log messages;
        vit_checkpoint *c;
        char found[256];
        parts p = take_golden(rows[i].golden);
        test_replace(&p.config, rows[i].from, rows[i].to);
        const vitc_status status = open_parts(&c, &p, NULL, &messages);
        assert_status(status, rows[i].config != NULL ? VITC_OK : VITC_ERR_MODEL, &messages);
        if (rows[i].config != NULL) {
            summarize(found, &c->config);
            if (strstr(found, rows[i].config) == NULL)
                fail_msg("%s: %s, expected \"%s\" in it", rows[i].to, found, rows[i].config);
        } else {
            assert_says(&messages, "3 heads");
        }
        vit_checkpoint_free(c);
        free_parts(&p);
    }
}

/* Which of the names in a timm folder a class gets, and what is said of the others. */
static void timm_labels(void **unused)
{
    (void)unused;
    static const struct {
        const char *from, *to, *label; /* of class 1, NULL without labels */
        const char *warning;
    } rows[] = {
        {"\"architecture\"",
         WRAPPER "\"id2label\": {\"1\": \"b\", \"0\": \"a\", \"2\": \"c\", \"3\": \"d\", "
                 "\"4\": \"e\", \"5\": \"f\", \"6\": \"g\"}, \"architecture\"",
         "b", NULL},
        {"\"label_names\": [", "\"label_names\": {\"1\": \"b\", \"6\": \"g\"}, \"was\": [", "b",
         NULL},
        {"\"label_names\": [", "\"label_names\": {\"0\": \"a\"}, \"was\": [", "class 1", NULL},
        {"\"pretrained_cfg\": {", "\"pretrained_cfg\": {\"label_names\": [\"x\", \"y\"],",
         "espresso", NULL},
        {"\"label_names\": [", "\"was\": [", NULL, NULL},
        {"\"label_names\": [\n    \"tabby cat\",",
         "\"pretrained_cfg\": {\"input_size\": [3, 32, 32], \"label_names\": [\"x\", \"y\"]}, "
         "\"was\": [",
         NULL, "the 2 labels of \"label_names\" in \"pretrained_cfg\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        message_log messages;
        vit_checkpoint *c;
        parts p = take_golden(TIMM);
        test_replace(&p.config, rows[i].from, rows[i].to);
        if (rows[i].warning != NULL)
            test_replace(&p.config, "\"pretrained_cfg\": {\n", "\"was_cfg\": {\n");
        assert_status(open_parts(&c, &p, NULL, &messages), VITC_OK, &messages);
        if (rows[i].label == NULL)
            assert_null(c->description.labels);
        else
            assert_string_equal(c->description.labels[1], rows[i].label);
        if (rows[i].warning != NULL)
            assert_says(&messages, rows[i].warning);
        else
            assert_string_equal(messages.text, "");
        vit_checkpoint_free(c);
        free_parts(&p);
    }
}

/* ---- changed weights ---- */

static void set_float(test_tensor *t, size_t index, float value)
{
    assert_true(4 * index + 4 <= t->size);
    memcpy(t->data + 4 * index, &value, 4);
}

static void reshape(test_tensors *tensors, const char *name, uint32_t rank, size_t d0, size_t d1)
{
    test_tensor *t = test_tensor_find(tensors, name);
    t->rank = rank;
    t->shape[0] = d0;
    t->shape[1] = d1;
}

static void put_prefix(test_tensors *tensors, const char *prefix, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name[160];
        snprintf(name, sizeof name, "%s%.120s", prefix, tensors->items[i].name);
        memcpy(tensors->items[i].name, name, sizeof name);
    }
}

static void drop_classifier(test_tensors *t)
{
    test_tensor_drop(t, "classifier.weight");
    test_tensor_drop(t, "classifier.bias");
}

static void make_base_model(test_tensors *t)
{
    drop_classifier(t);
    for (size_t i = 0; i < t->count; i++)
        memmove(t->items[i].name, t->items[i].name + 4, strlen(t->items[i].name + 4) + 1);
    test_tensor_add(t, "pooler.dense.weight", "F32", 4, 32, 32);
}

static void drop_norm_bias(test_tensors *t)
{
    test_tensor_drop(t, "vit.layernorm.bias");
}

static void drop_query_bias(test_tensors *t)
{
    test_tensor_drop(t, "vit.encoder.layer.1.attention.attention.query.bias");
}

static void drop_patch_weight(test_tensors *t)
{
    test_tensor_drop(t, "vit.embeddings.patch_embeddings.projection.weight");
}

static void drop_many(test_tensors *t)
{
    static const char *const leaves[] = {
        "layernorm_before.weight",       "layernorm_before.bias",       "layernorm_after.weight",
        "layernorm_after.bias",          "output.dense.weight",         "output.dense.bias",
        "attention.output.dense.weight", "attention.output.dense.bias", "intermediate.dense.weight",
        "intermediate.dense.bias"};
    for (size_t i = 0; i < sizeof leaves / sizeof leaves[0]; i++) {
        char name[160];
        snprintf(name, sizeof name, "vit.encoder.layer.1.%s", leaves[i]);
        test_tensor_drop(t, name);
    }
}

static void add_extra(test_tensors *t)
{
    test_tensor_add(t, "adapter.weight", "F32", 4, 3, 5);
}

static void add_with_escape(test_tensors *t)
{
    test_tensor_add(t, "evil\\u001b[2Jname", "F32", 4, 1, 0);
}

static void flatten_classifier_bias(test_tensors *t)
{
    reshape(t, "classifier.bias", 2, 1, 6);
}

static void transpose_fc1(test_tensors *t)
{
    reshape(t, "vit.encoder.layer.1.intermediate.dense.weight", 2, 32, 64);
}

static void classifier_of_rank_1(test_tensors *t)
{
    reshape(t, "classifier.weight", 1, 6 * 32, 0);
}

static void all_three(test_tensors *t)
{
    drop_norm_bias(t);
    add_extra(t);
    flatten_classifier_bias(t);
}

static void integer_norm(test_tensors *t)
{
    snprintf(test_tensor_find(t, "vit.layernorm.bias")->dtype, 16, "I32");
}

static void add_ignorable(test_tensors *t)
{
    test_tensor_add(t, "vit.pooler.dense.weight", "F32", 4, 32, 32);
    test_tensor_add(t, "vit.pooler.dense.bias", "F32", 4, 32, 0);
    test_tensor_add(t, "vit.embeddings.mask_token", "F32", 4, 1, 32);
    test_tensor_add(t, "vit.embeddings.position_ids", "I64", 8, 1, 17);
    test_tensor_add(t, "vit.attention.relative_position_index", "I64", 8, 2, 2);
    test_tensor_add(t, "mask_token", "F32", 4, 1, 0);
}

static void add_nearly_ignorable(test_tensors *t)
{
    test_tensor_add(t, "vit.embeddings.unmask_token", "F32", 4, 1, 32);
}

static void wrap_module(test_tensors *t)
{
    put_prefix(t, "module.", t->count);
}

static void wrap_twice(test_tensors *t)
{
    put_prefix(t, "model.", t->count);
    put_prefix(t, "module.", t->count);
}

static void wrap_all_but_one(test_tensors *t)
{
    put_prefix(t, "module.", t->count - 1);
}

static void wrap_timm(test_tensors *t)
{
    put_prefix(t, "timm_model.", t->count);
}

static void drop_timm_head(test_tensors *t)
{
    test_tensor_drop(t, "head.weight");
    test_tensor_drop(t, "head.bias");
}

static void drop_timm_norm(test_tensors *t)
{
    test_tensor_drop(t, "norm.weight");
    test_tensor_drop(t, "norm.bias");
}

static void drop_timm_patch_bias(test_tensors *t)
{
    test_tensor_drop(t, "patch_embed.proj.bias");
}

static void drop_timm_block_bias(test_tensors *t)
{
    test_tensor_drop(t, "blocks.1.attn.qkv.bias");
}

static void drop_timm_position(test_tensors *t)
{
    test_tensor_drop(t, "pos_embed");
}

static void add_timm_attention_pool(test_tensors *t)
{
    test_tensor_add(t, "attn_pool.latent", "F32", 4, 1, 32);
}

static void drop_distillation_head(test_tensors *t)
{
    test_tensor_drop(t, "head_dist.weight");
    test_tensor_drop(t, "head_dist.bias");
}

static void raw_layer_scale(test_tensors *t)
{
    for (unsigned i = 0; i < 3; i++)
        for (unsigned n = 1; n <= 2; n++) {
            char name[64];
            snprintf(name, sizeof name, "blocks.%u.ls%u.gamma", i, n);
            test_tensor *found = test_tensor_find(t, name);
            snprintf(found->name, sizeof found->name, "blocks.%u.gamma_%u", i, n);
        }
}

static void lost_layer_scale(test_tensors *t)
{
    test_tensor_drop(t, "blocks.1.ls2.gamma");
}

static void rename_layer(test_tensors *t)
{
    test_tensor *found = test_tensor_find(t, "vit.encoder.layer.1.layernorm_after.bias");
    snprintf(found->name, sizeof found->name, "vit.encoder.layer.99999999999999999999.x");
}

typedef struct weights_row {
    const char *golden;
    void (*change)(test_tensors *tensors);
    vitc_status status;
    const char *says[4];
} weights_row;

static const weights_row weights_rows[] = {
    {HF,
     drop_classifier,
     VITC_ERR_MODEL,
     {"is a ViTForImageClassification", "no tensor classifier.weight"}},
    {HF, make_base_model, VITC_ERR_MODEL, {"no tensor classifier.weight"}},
    {HF, drop_norm_bias, VITC_ERR_MODEL, {"model: 1 tensor missing: vit.layernorm.bias [32]"}},
    {HF,
     drop_query_bias,
     VITC_ERR_MODEL,
     {"missing: vit.encoder.layer.1.attention.attention.query.bias [32]"}},
    {HF, drop_patch_weight, VITC_ERR_MODEL, {"projection.weight [32,3,8,8]"}},
    {HF,
     drop_many,
     VITC_ERR_MODEL,
     {"10 tensors missing", "layer.1.layernorm_before.weight [32]", " and 2 more"}},
    {HF,
     add_extra,
     VITC_ERR_MODEL,
     {"1 tensor that this kind of model has no place for", "adapter.weight [3,5]"}},
    {HF, add_with_escape, VITC_ERR_MODEL, {"evil?[2Jname"}},
    {HF, add_nearly_ignorable, VITC_ERR_MODEL, {"unmask_token"}},
    {HF, flatten_classifier_bias, VITC_ERR_MODEL, {"classifier.bias is [1,6], expected [6]"}},
    {HF,
     transpose_fc1,
     VITC_ERR_MODEL,
     {"vit.encoder.layer.1.intermediate.dense.weight is [32,64], expected [64,32]"}},
    {HF, classifier_of_rank_1, VITC_ERR_MODEL, {"classifier.weight", "[192]"}},
    {HF,
     all_three,
     VITC_ERR_MODEL,
     {"missing: vit.layernorm.bias [32]", "adapter.weight [3,5]",
      "classifier.bias is [1,6], expected [6]"}},
    {HF, integer_norm, VITC_ERR_UNSUPPORTED, {"vit.layernorm.bias is I32"}},
    {HF, rename_layer, VITC_ERR_MODEL, {"vit.encoder.layer.99999999999999999999.x [32]"}},
    {HF, add_ignorable, VITC_OK, {NULL}},
    {HF, wrap_module, VITC_OK, {NULL}},
    {HF, wrap_twice, VITC_OK, {NULL}},
    {HF, wrap_all_but_one, VITC_ERR_MODEL, {"no tensor classifier.weight"}},
    {TIMM, wrap_timm, VITC_OK, {NULL}},
    {TIMM, drop_timm_head, VITC_ERR_MODEL, {"no classifier", "head.weight"}},
    {TIMM, drop_timm_norm, VITC_ERR_MODEL, {"norm.weight [32]", "norm.bias [32]"}},
    {TIMM, drop_timm_patch_bias, VITC_ERR_MODEL, {"patch_embed.proj.bias [32]"}},
    {TIMM, drop_timm_block_bias, VITC_ERR_MODEL, {"blocks.1.attn.qkv.bias [96]"}},
    {TIMM, drop_timm_position, VITC_ERR_MODEL, {"missing: pos_embed [1,17,32]"}},
    {TIMM, add_timm_attention_pool, VITC_ERR_MODEL, {"attn_pool.latent [1,32]"}},
    {"timm_deit_distilled", drop_distillation_head, VITC_ERR_MODEL, {"head_dist.weight [7,36]"}},
    {"timm_vit_layerscale", raw_layer_scale, VITC_OK, {NULL}},
    {"timm_vit_layerscale", lost_layer_scale, VITC_ERR_MODEL, {"blocks.1.ls2.gamma [24]"}},
};

static void changed_weights(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof weights_rows / sizeof weights_rows[0]; i++) {
        const weights_row *row = &weights_rows[i];
        message_log messages;
        vit_checkpoint *c;
        parts p = take_golden(row->golden);
        test_tensors *tensors = take_weights(&p);
        row->change(tensors);
        put_weights(&p, tensors);
        const vitc_status status = open_parts(&c, &p, NULL, &messages);
        if (status != row->status)
            fail_msg("row %zu of %s: %s, expected %s\n%s", i, row->golden,
                     vitc_status_string(status), vitc_status_string(row->status), messages.text);
        for (size_t s = 0; s < 4 && row->says[s] != NULL; s++) assert_says(&messages, row->says[s]);
        vit_checkpoint_free(c);
        free_parts(&p);
    }
}

/* What a ViTModel without a head saves. */
static void base_model(void **unused)
{
    (void)unused;
    message_log messages;
    vit_checkpoint *c;
    parts p = take_golden(HF);
    test_tensors *tensors = take_weights(&p);
    make_base_model(tensors);
    put_weights(&p, tensors);
    test_replace(&p.config, "\"ViTForImageClassification\"", "\"ViTModel\"");
    assert_status(open_parts(&c, &p, NULL, &messages), VITC_ERR_MODEL, &messages);
    assert_says(&messages, "no classifier");
    assert_says(&messages, "this is a ViTModel, which has to be fine-tuned");
    free_parts(&p);
}

/* timm inside a transformers wrapper: both keys, and a prefix on every tensor. */
static void timm_wrapper(void **unused)
{
    (void)unused;
    message_log messages;
    vit_checkpoint *c;
    parts p = take_golden(TIMM);
    test_tensors *tensors = take_weights(&p);
    wrap_timm(tensors);
    put_weights(&p, tensors);
    test_replace(&p.config, "\"architecture\"",
                 "\"model_type\": \"timm_wrapper\", \"architecture\"");
    assert_status(open_parts(&c, &p, NULL, &messages), VITC_OK, &messages);
    assert_string_equal(c->config.architecture, "vit_tiny_patch16_224");
    vit_checkpoint_free(c);
    free_parts(&p);
}

static void values_that_are_not_finite(void **unused)
{
    (void)unused;
    static const struct {
        const char *tensor;
        vit_param_id id;
        uint32_t layer;
        size_t index;
        float value;
        const char *says[2];
    } rows[] = {
        {"classifier.weight",
         VIT_HEAD_WEIGHT,
         0,
         2 * 32 + 3,
         NAN,
         {"tensor classifier.weight holds a NaN at [2,3]", "model: "}},
        {"vit.encoder.layer.1.attention.attention.key.weight",
         VIT_QKV_WEIGHT,
         1,
         32 * 32 - 1,
         INFINITY,
         {"attention.key.weight holds an infinity at [31,31]"}},
        {"vit.encoder.layer.0.attention.attention.value.bias",
         VIT_QKV_BIAS,
         0,
         0,
         -INFINITY,
         {"attention.value.bias holds an infinity at [0]"}},
        {"vit.embeddings.patch_embeddings.projection.weight",
         VIT_PATCH_WEIGHT,
         0,
         ((5 * 3 + 2) * 8 + 7) * 8 + 1,
         NAN,
         {"holds a NaN at [5,2,7,1]"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        message_log messages;
        vit_checkpoint *c;
        const vit_load_options allow = {.allow_nonfinite = true};
        parts p = take_golden(HF);
        test_tensors *tensors = take_weights(&p);
        set_float(test_tensor_find(tensors, rows[i].tensor), rows[i].index, rows[i].value);
        put_weights(&p, tensors);
        for (int allowed = 0; allowed < 2; allowed++) {
            assert_status(open_parts(&c, &p, allowed ? &allow : NULL, &messages), VITC_OK,
                          &messages);
            const vitc_log log = message_log_start(&messages);
            const size_t param = vit_params_find(&c->table, rows[i].id, rows[i].layer);
            float *values = malloc(vit_checkpoint_largest(c) * sizeof *values);
            assert_non_null(values);
            assert_status(vit_checkpoint_read(c, param, values, &log),
                          allowed ? VITC_OK : VITC_ERR_MODEL, &messages);
            for (size_t s = 0; !allowed && s < 2 && rows[i].says[s] != NULL; s++)
                assert_says(&messages, rows[i].says[s]);
            free(values);
            vit_checkpoint_free(c);
        }
        free_parts(&p);
    }

    /* A double that float32 cannot hold becomes one that is not finite. */
    message_log messages;
    vit_checkpoint *c;
    parts p = take_golden("hf_vit_f64");
    test_tensors *tensors = take_weights(&p);
    const double huge = 1e39;
    memcpy(test_tensor_find(tensors, "classifier.bias")->data + 8, &huge, 8);
    put_weights(&p, tensors);
    assert_status(open_parts(&c, &p, NULL, &messages), VITC_OK, &messages);
    const vitc_log log = message_log_start(&messages);
    float values[6];
    assert_int_equal(
        vit_checkpoint_read(c, vit_params_find(&c->table, VIT_HEAD_BIAS, 0), values, &log),
        VITC_ERR_MODEL);
    assert_says(&messages, "classifier.bias holds an infinity, or a number beyond float32, at [1]");
    vit_checkpoint_free(c);
    free_parts(&p);
}

/* The weights cut anywhere are an error of the weights, never a model. */
static void truncated_weights(void **unused)
{
    (void)unused;
    parts p = take_golden("hf_vit_f64");
    const size_t size = p.weights.size;
    for (size_t i = 0; i < 200; i++) {
        message_log messages;
        vit_checkpoint *c;
        p.weights.size = i < 100 ? size - 1 - i : size * (i - 100) / 100;
        assert_status(open_parts(&c, &p, NULL, &messages), VITC_ERR_TRUNCATED, &messages);
    }
    free_parts(&p);
}

/* ---- preprocessing ---- */

#define SPEC_32                                                                                    \
    "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": {\"height\": 32, "                \
    "\"width\": 32}, \"resample\": 3}"
#define SPEC_64                                                                                    \
    "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": {\"height\": 64, "                \
    "\"width\": 64}}"

static void preprocessing(void **unused)
{
    (void)unused;
    message_log messages;
    vit_checkpoint *c;
    const vit_load_options good = {.preprocess = SPEC_32, .preprocess_size = strlen(SPEC_32)};
    const vit_load_options wrong = {.preprocess = SPEC_64, .preprocess_size = strlen(SPEC_64)};
    const vit_load_options broken = {.preprocess = "{", .preprocess_size = 1};
    parts p = take_golden(HF);

    assert_status(open_parts(&c, &p, NULL, &messages), VITC_OK, &messages);
    assert_int_equal(c->description.preprocess.filter, IMGIO_BILINEAR);
    vit_checkpoint_free(c);
    /* The option replaces the checkpoint's own. */
    assert_status(open_parts(&c, &p, &good, &messages), VITC_OK, &messages);
    assert_int_equal(c->description.preprocess.filter, IMGIO_BICUBIC);
    vit_checkpoint_free(c);
    assert_status(open_parts(&c, &p, &wrong, &messages), VITC_ERR_PREPROCESS, &messages);
    assert_says(&messages, "64x64");
    assert_says(&messages, "32x32");
    assert_status(open_parts(&c, &p, &broken, &messages), VITC_ERR_CORRUPT, &messages);

    test_replace(&p.preprocessor, "\"size\"", "\"sise\"");
    assert_status(open_parts(&c, &p, NULL, &messages), VITC_ERR_PREPROCESS, &messages);

    free(p.preprocessor.data);
    p.preprocessor = (test_bytes){0};
    assert_status(open_parts(&c, &p, NULL, &messages), VITC_ERR_PREPROCESS, &messages);
    assert_says(&messages, "preprocessor_config.json");
    assert_says(&messages, "--preprocess");
    assert_status(open_parts(&c, &p, &good, &messages), VITC_OK, &messages);
    vit_checkpoint_free(c);
    free_parts(&p);
}

/* transformers takes the image processor of processor_config.json before the other file. */
static void processor_config(void **unused)
{
    (void)unused;
    static const char *const nested = "{\"image_processor\": " SPEC_32 "}";
    static const char *const flat = "{\"processor_class\": \"X\"}";
    static const char *const broken = "{\"image_processor\": ";
    parts p = take_golden(HF);
    for (int with = 0; with < 2; with++) {
        const struct {
            const char *text;
            vitc_status status;
            imgio_filter filter;
        } rows[] = {
            {nested, VITC_OK, IMGIO_BICUBIC},
            {flat, with ? VITC_OK : VITC_ERR_PREPROCESS, IMGIO_BILINEAR},
            {broken, VITC_ERR_CORRUPT, IMGIO_BILINEAR},
        };
        for (size_t i = 0; i < 3; i++) {
            message_log messages;
            const vitc_log log = message_log_start(&messages);
            vit_checkpoint *c;
            const vit_checkpoint_texts texts = {.config = (const char *)p.config.data,
                                                .config_size = p.config.size,
                                                .preprocessor =
                                                    with ? (const char *)p.preprocessor.data : NULL,
                                                .preprocessor_size = with ? p.preprocessor.size : 0,
                                                .processor = rows[i].text,
                                                .processor_size = strlen(rows[i].text),
                                                .weights = p.weights.data,
                                                .weights_size = p.weights.size};
            assert_status(vit_checkpoint_open_texts(&c, &texts, "model", NULL, &log),
                          rows[i].status, &messages);
            if (rows[i].status == VITC_ERR_CORRUPT)
                assert_says(&messages, "model/processor_config.json: not valid JSON");
            if (rows[i].status == VITC_OK)
                assert_int_equal(c->description.preprocess.filter, rows[i].filter);
            vit_checkpoint_free(c);
        }
    }
    free_parts(&p);
}

/* ---- files and folders ---- */

static void expect_folder(const char *folder, vitc_status status, const char *says)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_checkpoint *c;
    assert_status(vit_checkpoint_open(&c, folder, NULL, &log), status, &messages);
    if (status != VITC_OK) {
        assert_null(c);
        assert_int_equal(messages.errors, 1);
    }
    if (says != NULL) assert_says(&messages, says);
    vit_checkpoint_free(c);
}

static void remove_file(const char *folder, const char *file)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    assert_int_equal(unlink(path), 0);
}

static void folders(void **unused)
{
    (void)unused;
    char folder[64], path[512], slash[80];
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n";
    test_make_folder(folder);
    expect_folder(folder, VITC_ERR_UNREADABLE, "no config.json");
    expect_folder("/tmp/vitc-there-is-no-such-folder", VITC_ERR_UNREADABLE, "No such file");
    test_copy_golden(folder, HF);
    expect_folder(folder, VITC_OK, NULL);
    snprintf(slash, sizeof slash, "%s/", folder);
    expect_folder(slash, VITC_OK, NULL);

    remove_file(folder, "preprocessor_config.json");
    expect_folder(folder, VITC_ERR_PREPROCESS, "preprocessor_config.json");
    /* A link that leads nowhere, a folder in a file's place: said, not taken for absence. */
    snprintf(path, sizeof path, "%s/preprocessor_config.json", folder);
    assert_int_equal(symlink("nowhere", path), 0);
    expect_folder(folder, VITC_ERR_UNREADABLE, "broken symbolic link");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_folder(folder, VITC_ERR_UNREADABLE, "is a folder");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_folder(folder, VITC_ERR_UNREADABLE, "is a pipe");
    assert_int_equal(unlink(path), 0);
    test_write_file(folder, "preprocessor_config.json", SPEC_32, strlen(SPEC_32));
    expect_folder(folder, VITC_OK, NULL);

    /* What people have in place of weights. */
    test_write_file(folder, "model.safetensors", pointer, strlen(pointer));
    expect_folder(folder, VITC_ERR_CORRUPT, "git lfs pull");
    test_write_file(folder, "model.safetensors", "", 0);
    expect_folder(folder, VITC_ERR_TRUNCATED, "0 bytes");
    remove_file(folder, "model.safetensors");
    expect_folder(folder, VITC_ERR_UNREADABLE, "model.safetensors");
    test_write_file(folder, "tf_model.h5", "x", 1);
    expect_folder(folder, VITC_ERR_UNSUPPORTED, "tf_model.h5");
    test_write_file(folder, "pytorch_model.bin", "PK", 2);
    expect_folder(folder, VITC_ERR_UNSUPPORTED, "save_file(");
    test_write_file(folder, "config.json", "", 0);
    expect_folder(folder, VITC_ERR_UNSUPPORTED, "pytorch_model.bin");
    test_remove_folder(folder);

    /* A file of a folder, given alone. */
    expect_folder(CHECKPOINTS "/hf_vit/config.json", VITC_ERR_UNSUPPORTED, "give the folder");
    expect_folder(CHECKPOINTS "/hf_vit/model.safetensors", VITC_ERR_MODEL, "give the folder");
    expect_folder("/dev/null", VITC_ERR_UNREADABLE, "is a device");
}

/* Changes in the index of the sharded checkpoint, or in its folder. */
static void shards(void **unused)
{
    (void)unused;
    static const char index_file[] = "model.safetensors.index.json";
    static const char second[] = "model-00002-of-00003.safetensors";
    static const struct {
        const char *from, *to;
        vitc_status status;
        const char *says;
    } rows[] = {
        {"\"model-00001-of-00003.safetensors\"", "\"../hf_vit/model.safetensors\"",
         VITC_ERR_CORRUPT, "../hf_vit/model.safetensors"},
        {"\"model-00001-of-00003.safetensors\"", "\"/etc/passwd.safetensors\"", VITC_ERR_CORRUPT,
         "/etc/passwd"},
        {"\"model-00001-of-00003.safetensors\"", "\"..\\\\x.safetensors\"", VITC_ERR_CORRUPT,
         "same folder"},
        {"\"model-00001-of-00003.safetensors\"", "\".safetensors\"", VITC_ERR_CORRUPT,
         "same folder"},
        {"\"model-00001-of-00003.safetensors\"", "\"\"", VITC_ERR_CORRUPT, "same folder"},
        {"\"model-00001-of-00003.safetensors\"", "7", VITC_ERR_CORRUPT, "same folder"},
        {"\"model-00001-of-00003.safetensors\"", "\"model.safetensors.index.json\"",
         VITC_ERR_CORRUPT, "same folder"},
        {"\"model-00001-of-00003.safetensors\"", "\"model-9.safetensors\"", VITC_ERR_UNREADABLE,
         "model-9.safetensors"},
        {"\"classifier.bias\"", "\"classifier.bios\"", VITC_ERR_MODEL,
         "classifier.bios is said to be in"},
        {"\"weight_map\"", "\"weight_mop\"", VITC_ERR_CORRUPT, "weight_map"},
        {"\"weight_map\": {", "\"weight_map\": [], \"x\": {", VITC_ERR_CORRUPT, "weight_map"},
        {"{", "", VITC_ERR_CORRUPT, "model.safetensors.index.json"},
        {"\"metadata\"", "\"advice\"", VITC_OK, NULL},
    };
    char folder[64];
    test_make_folder(folder);
    test_copy_golden(folder, "hf_vit_sharded");
    expect_folder(folder, VITC_OK, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_bytes index = test_read_golden("hf_vit_sharded", index_file);
        test_replace(&index, rows[i].from, rows[i].to);
        test_write_file(folder, index_file, index.data, index.size);
        free(index.data);
        expect_folder(folder, rows[i].status, rows[i].says);
    }
    test_bytes index = test_read_golden("hf_vit_sharded", index_file);
    test_write_file(folder, index_file, index.data, index.size);

    /* A tensor in two shards. */
    test_bytes shard = test_read_golden("hf_vit_sharded", second);
    test_tensors *tensors = test_take_apart(&shard);
    test_tensor_add(tensors, "classifier.bias", "F32", 4, 6, 0);
    test_tensor_add(tensors, "vit.layernorm.bias", "F32", 4, 32, 0);
    test_tensor_add(tensors, "vit.embeddings.cls_token", "F32", 4, 32, 0);
    test_bytes changed = test_put_together(tensors);
    test_write_file(folder, second, changed.data, changed.size);
    expect_folder(folder, VITC_ERR_CORRUPT, "is in two shards");
    free(changed.data);

    /* A shard that is an index itself; one that is cut; one that is not there. */
    test_write_file(folder, second, index.data, index.size);
    expect_folder(folder, VITC_ERR_UNSUPPORTED, second);
    test_write_file(folder, second, shard.data, shard.size - 1);
    expect_folder(folder, VITC_ERR_TRUNCATED, second);
    remove_file(folder, second);
    expect_folder(folder, VITC_ERR_UNREADABLE, second);
    free(shard.data);
    free(index.data);
    test_remove_folder(folder);
}

/* ---- timm's architectures ---- */

static void timm_architectures(void **unused)
{
    (void)unused;
    FILE *file = fopen(VITC_GOLDEN_DIR "/timm_architectures.txt", "r");
    char line[256];
    size_t plain = 0, other = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        char name[128], activation[32], pool[32];
        unsigned heads;
        double eps;
        vit_timm_rule rule;
        if (line[0] == '#') continue;
        const int found =
            sscanf(line, "%127s %u %lf %31s %31s", name, &heads, &eps, activation, pool);
        const bool known = vit_timm_rule_find(&rule, name);
        if (found == 1) { /* "<name> unsupported" */
            if (!known || rule.unsupported == NULL)
                fail_msg("%s would be read as a plain Vision Transformer", name);
            other++;
            continue;
        }
        assert_int_equal(found, 5);
        if (!known || rule.unsupported != NULL)
            fail_msg("%s is refused: %s", name, known ? rule.unsupported : "unknown");
        if (rule.heads != heads || rule.norm_eps != (float)eps ||
            strcmp(vit_activation_string(rule.activation), activation) != 0 ||
            strcmp(rule.pool, pool) != 0)
            fail_msg("%s has %u heads, eps %g, %s, %s; the rules say %u, %g, %s, %s", name, heads,
                     eps, activation, pool, rule.heads, (double)rule.norm_eps,
                     vit_activation_string(rule.activation), rule.pool);
        plain++;
    }
    fclose(file);
    assert_true(plain >= 140 && other >= 90);

    static const char *const strangers[] = {"",
                                            "resnet50",
                                            "beit_base_patch16_224",
                                            "vit",
                                            "deit_",
                                            "vit_unknown_patch16_224",
                                            "eva02_base_patch14_224",
                                            "xvit_base_patch16_224",
                                            "relpos",
                                            "mobilevit_s"};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        vit_timm_rule rule;
        if (vit_timm_rule_find(&rule, strangers[i]))
            fail_msg("\"%s\" is taken for one of timm's Vision Transformers", strangers[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_checkpoints),
        cmocka_unit_test(qkv_is_concatenated),
        cmocka_unit_test(labels_by_index),
        cmocka_unit_test(timm_labels),
        cmocka_unit_test(changed_configs),
        cmocka_unit_test(config_values),
        cmocka_unit_test(changed_weights),
        cmocka_unit_test(base_model),
        cmocka_unit_test(timm_wrapper),
        cmocka_unit_test(values_that_are_not_finite),
        cmocka_unit_test(truncated_weights),
        cmocka_unit_test(preprocessing),
        cmocka_unit_test(processor_config),
        cmocka_unit_test(folders),
        cmocka_unit_test(shards),
        cmocka_unit_test(timm_architectures),
    };
    return cmocka_run_group_tests_name("checkpoints", tests, NULL, NULL);
}
