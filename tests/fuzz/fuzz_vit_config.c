/* Any text as a model's config: opening never breaks, and what it accepts is a checkpoint whose
 * config, labels and parameters agree, and whose config survives being written and read.
 *
 * The first byte picks what the rest is: config.json beside the weights of a tiny Hugging Face ViT,
 * DeiT or timm model; preprocessor_config.json or processor_config.json beside a good config; or
 * vitc.config, vitc.labels, vitc.card or vitc.preprocess in a vitc file, whose position embeddings
 * it picks too. The weights are made here so that every tensor that a good config asks for is
 * there. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vit_checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

/* ---- weights ---- */

typedef struct weights {
    unsigned char *bytes;
    size_t size;
} weights;

typedef struct header_text {
    char text[16384];
    size_t length, offset; /* of the text, of the data */
} header_text;

static void add_tensor(header_text *h, const char *name, const char *shape, size_t count)
{
    h->length +=
        (size_t)snprintf(h->text + h->length, sizeof h->text - h->length,
                         "%s\"%s\": {\"dtype\": \"F32\", \"shape\": [%s], \"data_offsets\": [%zu, "
                         "%zu]}",
                         h->length > 1 ? ", " : "", name, shape, h->offset, h->offset + 4 * count);
    require(h->length < sizeof h->text - 64);
    h->offset += 4 * count;
}

static weights finish(header_text *h)
{
    h->length += (size_t)snprintf(h->text + h->length, sizeof h->text - h->length, "}");
    const weights w = {.bytes = calloc(1, 8 + h->length + h->offset),
                       .size = 8 + h->length + h->offset};
    require(w.bytes != NULL);
    for (int i = 0; i < 8; i++) w.bytes[i] = (unsigned char)((uint64_t)h->length >> 8 * i);
    memcpy(w.bytes + 8, h->text, h->length);
    return w;
}

/* A model of width 4, 1 layer, 2 heads, MLP 8, 3 classes, images 4x4 in patches of 2. */
typedef struct tensor_row {
    const char *hf, *timm, *shape;
    size_t count;
} tensor_row;

#define LAYER "encoder.layer.0."
static const tensor_row tensor_rows[] = {
    {"embeddings.cls_token", "cls_token", "1, 1, 4", 4},
    {"embeddings.patch_embeddings.projection.weight", "patch_embed.proj.weight", "4, 3, 2, 2", 48},
    {"embeddings.patch_embeddings.projection.bias", "patch_embed.proj.bias", "4", 4},
    {LAYER "layernorm_before.weight", "blocks.0.norm1.weight", "4", 4},
    {LAYER "layernorm_before.bias", "blocks.0.norm1.bias", "4", 4},
    {LAYER "attention.attention.query.weight", NULL, "4, 4", 16},
    {LAYER "attention.attention.key.weight", NULL, "4, 4", 16},
    {LAYER "attention.attention.value.weight", NULL, "4, 4", 16},
    {LAYER "attention.attention.query.bias", NULL, "4", 4},
    {LAYER "attention.attention.key.bias", NULL, "4", 4},
    {LAYER "attention.attention.value.bias", NULL, "4", 4},
    {NULL, "blocks.0.attn.qkv.weight", "12, 4", 48},
    {NULL, "blocks.0.attn.qkv.bias", "12", 12},
    {LAYER "attention.output.dense.weight", "blocks.0.attn.proj.weight", "4, 4", 16},
    {LAYER "attention.output.dense.bias", "blocks.0.attn.proj.bias", "4", 4},
    {LAYER "layernorm_after.weight", "blocks.0.norm2.weight", "4", 4},
    {LAYER "layernorm_after.bias", "blocks.0.norm2.bias", "4", 4},
    {LAYER "intermediate.dense.weight", "blocks.0.mlp.fc1.weight", "8, 4", 32},
    {LAYER "intermediate.dense.bias", "blocks.0.mlp.fc1.bias", "8", 8},
    {LAYER "output.dense.weight", "blocks.0.mlp.fc2.weight", "4, 8", 32},
    {LAYER "output.dense.bias", "blocks.0.mlp.fc2.bias", "4", 4},
    {"layernorm.weight", "norm.weight", "4", 4},
    {"layernorm.bias", "norm.bias", "4", 4},
};

/* Which tensors of positions a vitc file has. */
typedef enum positions { TABLE, AXES, BIASES, NO_TENSORS, POSITIONS_COUNT } positions;

static void add_positions(header_text *h, positions which)
{
    if (which == TABLE) add_tensor(h, "pos_embed", "1, 5, 4", 20);
    if (which == AXES) {
        add_tensor(h, "pos_embed_rows", "2, 2", 4);
        add_tensor(h, "pos_embed_columns", "2, 2", 4);
    }
    if (which == BIASES) add_tensor(h, "blocks.0.attn.relative_position_bias_table", "12, 2", 24);
}

static weights make_timm(positions which)
{
    header_text h = {.text = "{", .length = 1};
    for (size_t i = 0; i < sizeof tensor_rows / sizeof tensor_rows[0]; i++)
        if (tensor_rows[i].timm != NULL)
            add_tensor(&h, tensor_rows[i].timm, tensor_rows[i].shape, tensor_rows[i].count);
    add_positions(&h, which);
    add_tensor(&h, "head.weight", "3, 4", 12);
    add_tensor(&h, "head.bias", "3", 3);
    return finish(&h);
}

static weights make_hf(const char *prefix, bool deit)
{
    header_text h = {.text = "{", .length = 1};
    char name[128];
    for (size_t i = 0; i < sizeof tensor_rows / sizeof tensor_rows[0]; i++) {
        if (tensor_rows[i].hf == NULL) continue;
        snprintf(name, sizeof name, "%s.%s", prefix, tensor_rows[i].hf);
        add_tensor(&h, name, tensor_rows[i].shape, tensor_rows[i].count);
    }
    snprintf(name, sizeof name, "%s.embeddings.position_embeddings", prefix);
    add_tensor(&h, name, deit ? "1, 6, 4" : "1, 5, 4", deit ? 24 : 20);
    if (deit) {
        snprintf(name, sizeof name, "%s.embeddings.distillation_token", prefix);
        add_tensor(&h, name, "1, 1, 4", 4);
        add_tensor(&h, "cls_classifier.weight", "3, 4", 12);
        add_tensor(&h, "cls_classifier.bias", "3", 3);
        add_tensor(&h, "distillation_classifier.weight", "3, 4", 12);
        add_tensor(&h, "distillation_classifier.bias", "3", 3);
    } else {
        add_tensor(&h, "classifier.weight", "3, 4", 12);
        add_tensor(&h, "classifier.bias", "3", 3);
    }
    return finish(&h);
}

/* ---- good texts, for what is not fuzzed ---- */

static const char hf_config[] =
    "{\"model_type\": \"vit\", \"hidden_size\": 4, \"num_hidden_layers\": 1, "
    "\"num_attention_heads\": 2, \"intermediate_size\": 8, \"image_size\": 4, \"patch_size\": 2}";
static const char hf_preprocess[] =
    "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": {\"height\": 4, \"width\": 4}}";
static const char vitc_config[] =
    "{\"architecture\": \"t\", \"image_height\": 4, \"image_width\": 4, \"patch_size\": 2, "
    "\"width\": 4, \"layers\": 1, \"heads\": 2, \"mlp\": 8, \"classes\": 3, \"norm_eps\": 1e-6, "
    "\"activation\": \"gelu\", \"pool\": \"token\", \"scores\": \"softmax\", "
    "\"class_token\": true, \"distillation_token\": false, \"registers\": 0, "
    "\"position\": \"learned_1d\", \"position_covers_prefix\": true, \"patch_bias\": true, "
    "\"qkv_bias\": true, \"qk_norm\": false, \"layer_scale\": false, \"norm_pre\": false, "
    "\"norm_final\": true, \"norm_pooled\": false, \"distilled_head\": false}";

/* A vitc file with the text as one of its entries; JSON escapes come from the JSON writer, so bytes
 * that are not UTF-8 arrive as U+FFFD. */
static weights make_vitc(const char *key, const char *text, positions which)
{
    static const char *const keys[] = {"vitc.config", "vitc.preprocess", "vitc.labels",
                                       "vitc.card"};
    static const char *const usual[] = {vitc_config, hf_preprocess, "[\"a\", \"b\", \"c\"]", "{}"};
    vitc_json *metadata = vitc_json_object();
    bool good = metadata != NULL && vitc_json_set_string(metadata, "vitc.format", "1");
    for (size_t i = 0; i < 4; i++)
        good = good &&
               vitc_json_set_string(metadata, keys[i], strcmp(keys[i], key) == 0 ? text : usual[i]);
    char *written = good ? vitc_json_dump(metadata, 0, 17) : NULL;
    require(written != NULL);
    vitc_json_free(metadata);

    const weights plain = make_timm(which);
    size_t length = 0;
    for (size_t i = 0; i < 8; i++) length |= (size_t)plain.bytes[i] << 8 * i;
    const size_t room = strlen(written) + 32;
    weights w = {.bytes = calloc(1, plain.size + room)};
    require(w.bytes != NULL);
    const size_t more =
        (size_t)sprintf((char *)w.bytes + 8, "{\"__metadata__\": %s, ", written) - 1;
    memcpy(w.bytes + 8 + more + 1, plain.bytes + 9, plain.size - 9);
    w.size = plain.size + more;
    for (size_t i = 0; i < 8; i++) w.bytes[i] = (unsigned char)((uint64_t)(length + more) >> 8 * i);
    free(plain.bytes);
    free(written);
    return w;
}

/* ---- what holds for whatever is accepted ---- */

static void check(vit_checkpoint *c)
{
    vit_config again;
    require(vit_config_check(&c->config, NULL) == VITC_OK);
    require(c->table.elements == vit_config_parameters(&c->config));
    require(c->description.labels == NULL || c->description.label_count == c->config.classes);
    for (uint32_t i = 0; c->description.labels != NULL && i < c->description.label_count; i++)
        require(c->description.labels[i] != NULL);
    require(vit_preprocess_check(&c->config, &c->description.preprocess, "fuzz", NULL) == VITC_OK);

    char *text = vit_config_format(&c->config);
    vitc_json *root = NULL;
    require(text != NULL);
    require(vitc_json_parse(&root, text, strlen(text), "fuzz", NULL) == VITC_OK);
    require(vit_config_parse(&again, root, "fuzz", NULL) == VITC_OK);
    require(again.norm_eps == c->config.norm_eps && again.heads == c->config.heads &&
            again.pool == c->config.pool && again.scores == c->config.scores &&
            again.temperature == c->config.temperature && again.position == c->config.position &&
            again.position_op == c->config.position_op &&
            again.position_at == c->config.position_at &&
            again.position_filter == c->config.position_filter);
    vitc_json_free(root);
    free(text);

    float *values = malloc(vit_checkpoint_largest(c) * sizeof *values);
    require(values != NULL);
    for (size_t i = 0; i < c->table.count; i++)
        require(vit_checkpoint_read(c, i, values, NULL) == VITC_OK);
    free(values);
}

static vitc_status open_vitc(vit_checkpoint **c, weights *w, const char *key, const char *text,
                             positions which)
{
    *w = make_vitc(key, text, which);
    return vit_checkpoint_open_memory(c, w->bytes, w->size, "fuzz", NULL, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { KINDS = 9 };
    static const char *const vitc_keys[] = {"vitc.config", "vitc.labels", "vitc.card",
                                            "vitc.preprocess"};
    if (size == 0) return 0;
    const unsigned kind = data[0] % KINDS;
    char *text = malloc(size);
    require(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;

    weights w = {0};
    vit_checkpoint *c = NULL;
    vit_checkpoint_texts texts = {.config = hf_config,
                                  .config_size = sizeof hf_config - 1,
                                  .preprocessor = hf_preprocess,
                                  .preprocessor_size = sizeof hf_preprocess - 1};
    vitc_status status;
    if (kind < 5) {
        w = kind == 1   ? make_hf("deit", true)
            : kind == 2 ? make_timm(TABLE)
                        : make_hf("vit", false);
        texts.weights = w.bytes;
        texts.weights_size = w.size;
        if (kind == 3) {
            texts.preprocessor = text;
            texts.preprocessor_size = size - 1;
        } else if (kind == 4) {
            texts.processor = text;
            texts.processor_size = size - 1;
        } else {
            texts.config = text;
            texts.config_size = size - 1;
        }
        status = vit_checkpoint_open_texts(&c, &texts, "fuzz", NULL, NULL);
    } else {
        const unsigned which = (data[0] / KINDS + 2u) % POSITIONS_COUNT; /* '6' to '>': TABLE */
        status = open_vitc(&c, &w, vitc_keys[kind - 5], text, (positions)which);
    }
    if (status == VITC_OK) {
        check(c);
    } else {
        require(c == NULL);
        require(status == VITC_ERR_CORRUPT || status == VITC_ERR_MODEL ||
                status == VITC_ERR_UNSUPPORTED || status == VITC_ERR_PREPROCESS ||
                status == VITC_ERR_TOO_LARGE);
    }
    vit_checkpoint_free(c);
    free(w.bytes);
    free(text);
    return 0;
}
