/* vitc's own single file: safetensors whose metadata holds the rest (README.md has the format). */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vit_checkpoint.h"
#include "vitc_log.h"

/* ---- vit_config as JSON: one table writes and reads it ---- */

typedef enum field_kind {
    FIELD_TEXT, /* architecture */
    FIELD_COUNT,
    FIELD_NUMBER,
    FIELD_FACTOR, /* above 0; 1 where it is absent, and only written where it is not 1, so that what
                     older versions read stays as it was */
    FIELD_FLAG,
    FIELD_ACTIVATION,
    FIELD_POOL,
    FIELD_SCORES,
    FIELD_POSITION,
    /* These are only written where they are not absent_value. */
    FIELD_POSITION_OP,
    FIELD_POSITION_AT,
    FIELD_POSITION_FILTER
} field_kind;

typedef struct config_field {
    const char *key;
    field_kind kind;
    size_t offset;
} config_field;

#define FIELD(key, kind, member)                                                                   \
    {                                                                                              \
        key, kind, offsetof(vit_config, member)                                                    \
    }
static const config_field fields[] = {
    FIELD("architecture", FIELD_TEXT, architecture),
    FIELD("image_height", FIELD_COUNT, image_height),
    FIELD("image_width", FIELD_COUNT, image_width),
    FIELD("patch_size", FIELD_COUNT, patch),
    FIELD("width", FIELD_COUNT, width),
    FIELD("layers", FIELD_COUNT, layers),
    FIELD("heads", FIELD_COUNT, heads),
    FIELD("mlp", FIELD_COUNT, mlp),
    FIELD("classes", FIELD_COUNT, classes),
    FIELD("norm_eps", FIELD_NUMBER, norm_eps),
    FIELD("activation", FIELD_ACTIVATION, activation),
    FIELD("pool", FIELD_POOL, pool),
    FIELD("scores", FIELD_SCORES, scores),
    FIELD("temperature", FIELD_FACTOR, temperature),
    FIELD("class_token", FIELD_FLAG, class_token),
    FIELD("distillation_token", FIELD_FLAG, distillation_token),
    FIELD("registers", FIELD_COUNT, registers),
    FIELD("position", FIELD_POSITION, position),
    FIELD("position_op", FIELD_POSITION_OP, position_op),
    FIELD("position_at", FIELD_POSITION_AT, position_at),
    FIELD("position_covers_prefix", FIELD_FLAG, position_covers_prefix),
    FIELD("position_filter", FIELD_POSITION_FILTER, position_filter),
    FIELD("patch_bias", FIELD_FLAG, patch_bias),
    FIELD("qkv_bias", FIELD_FLAG, qkv_bias),
    FIELD("qk_norm", FIELD_FLAG, qk_norm),
    FIELD("layer_scale", FIELD_FLAG, layer_scale),
    FIELD("norm_pre", FIELD_FLAG, norm_pre),
    FIELD("norm_final", FIELD_FLAG, norm_final),
    FIELD("norm_pooled", FIELD_FLAG, norm_pooled),
    FIELD("distilled_head", FIELD_FLAG, distilled_head),
};
enum { FIELD_ROWS = sizeof fields / sizeof fields[0] };

/* The words of an enumeration, by value; NULL where a file never says it. They are part of the
 * format and do not change. */
typedef struct word_list {
    const char *words[PATCHES_POSITION_KIND_COUNT]; /* the most that one has */
    int count;
    const char *expected;
} word_list;

static const word_list *words_of(field_kind kind)
{
    static const word_list activations = {{[VIT_GELU_ERF] = "gelu",
                                           [VIT_GELU_TANH] = "gelu_tanh",
                                           [VIT_GELU_QUICK] = "quick_gelu",
                                           [VIT_RELU] = "relu",
                                           [VIT_SILU] = "silu"},
                                          VIT_ACTIVATION_COUNT,
                                          "gelu, gelu_tanh, quick_gelu, relu or silu"};
    static const word_list pools = {{[VIT_POOL_TOKEN] = "token",
                                     [VIT_POOL_AVG] = "avg",
                                     [VIT_POOL_MAX] = "max",
                                     [VIT_POOL_AVGMAX] = "avgmax"},
                                    VIT_POOL_AVGMAX + 1,
                                    "token, avg, max or avgmax"};
    static const word_list scores = {{[VIT_SCORES_SOFTMAX] = "softmax",
                                      [VIT_SCORES_SIGMOID] = "sigmoid",
                                      [VIT_SCORES_RAW] = "raw"},
                                     VIT_SCORES_RAW + 1,
                                     "softmax, sigmoid or raw"};
    static const word_list positions = {
        {[PATCHES_POSITION_NONE] = "none",
         [PATCHES_POSITION_LEARNED_1D] = "learned_1d",
         [PATCHES_POSITION_LEARNED_2D] = "learned_2d",
         [PATCHES_POSITION_FACTORIZED] = "factorized_sum",
         [PATCHES_POSITION_SINCOS_2D] = "sincos_2d",
         [PATCHES_POSITION_RELATIVE] = "relative",
         [PATCHES_POSITION_ROPE_2D] = "rope_2d"},
        PATCHES_POSITION_KIND_COUNT,
        "none, learned_1d, learned_2d, factorized_sum, sincos_2d, relative or rope_2d"};
    static const word_list operations = {
        {[PATCHES_POSITION_ADD] = "add", [PATCHES_POSITION_MUL] = "mul"},
        PATCHES_POSITION_OP_COUNT,
        "add or mul"};
    static const word_list places = {{[PATCHES_POSITION_STEM] = "stem",
                                      [PATCHES_POSITION_EVERY] = "every",
                                      [PATCHES_POSITION_EVERY_SHARED] = "every_shared"},
                                     PATCHES_POSITION_AT_COUNT,
                                     "stem, every or every_shared"};
    static const word_list filters = {
        {[PATCHES_POSITION_BICUBIC_ANTIALIAS] = "bicubic_antialias",
         [PATCHES_POSITION_BICUBIC] = "bicubic",
         [PATCHES_POSITION_BILINEAR_ANTIALIAS] = "bilinear_antialias",
         [PATCHES_POSITION_BILINEAR] = "bilinear",
         [PATCHES_POSITION_BILINEAR_CORNERS] = "bilinear_corners"},
        PATCHES_POSITION_FILTER_COUNT,
        "bicubic_antialias, bicubic, bilinear_antialias, bilinear or bilinear_corners"};
    switch (kind) {
    case FIELD_ACTIVATION:
        return &activations;
    case FIELD_POOL:
        return &pools;
    case FIELD_SCORES:
        return &scores;
    case FIELD_POSITION_OP:
        return &operations;
    case FIELD_POSITION_AT:
        return &places;
    case FIELD_POSITION_FILTER:
        return &filters;
    default:
        return &positions;
    }
}

/* The enumerations are all of the size of int; they are read and written through these. */
static int enum_value(const vit_config *config, field_kind kind)
{
    switch (kind) {
    case FIELD_ACTIVATION:
        return (int)config->activation;
    case FIELD_POOL:
        return (int)config->pool;
    case FIELD_SCORES:
        return (int)config->scores;
    case FIELD_POSITION_OP:
        return (int)config->position_op;
    case FIELD_POSITION_AT:
        return (int)config->position_at;
    case FIELD_POSITION_FILTER:
        return config->position_filter == PATCHES_POSITION_FILTER_DEFAULT
                   ? (int)PATCHES_POSITION_BICUBIC_ANTIALIAS
                   : (int)config->position_filter;
    default:
        return (int)config->position;
    }
}

static void set_enum(vit_config *config, field_kind kind, int value)
{
    switch (kind) {
    case FIELD_ACTIVATION:
        config->activation = (vit_activation)value;
        break;
    case FIELD_POOL:
        config->pool = (vit_pool)value;
        break;
    case FIELD_SCORES:
        config->scores = (vit_scores)value;
        break;
    case FIELD_POSITION_OP:
        config->position_op = (patches_position_op)value;
        break;
    case FIELD_POSITION_AT:
        config->position_at = (patches_position_at)value;
        break;
    case FIELD_POSITION_FILTER:
        config->position_filter = (patches_position_filter)value;
        break;
    default:
        config->position = (patches_position_kind)value;
        break;
    }
}

/* What an enumeration is in a file without its key, which is how that value is written, so that
 * what older versions read stays as it was; -1: the key must be there. */
static int absent_value(field_kind kind)
{
    switch (kind) {
    case FIELD_POSITION_OP:
        return PATCHES_POSITION_ADD;
    case FIELD_POSITION_AT:
        return PATCHES_POSITION_STEM;
    case FIELD_POSITION_FILTER:
        return PATCHES_POSITION_BICUBIC_ANTIALIAS;
    default:
        return -1;
    }
}

char *vit_config_format(const vit_config *config)
{
    vitc_json *root = vitc_json_object();
    bool good = root != NULL;
    for (int i = 0; good && i < FIELD_ROWS; i++) {
        const config_field *f = &fields[i];
        const char *at = (const char *)config + f->offset;
        switch (f->kind) {
        case FIELD_TEXT:
            good = vitc_json_set_string(root, f->key, at);
            break;
        case FIELD_COUNT:
            good = vitc_json_set_integer(root, f->key, *(const uint32_t *)(const void *)at);
            break;
        case FIELD_NUMBER:
            good = vitc_json_set_number(root, f->key, (double)*(const float *)(const void *)at);
            break;
        case FIELD_FACTOR: {
            const float factor = *(const float *)(const void *)at;
            if (factor > 0 && factor != 1)
                good = vitc_json_set_number(root, f->key, (double)factor);
            break;
        }
        case FIELD_FLAG:
            good = vitc_json_set_bool(root, f->key, *(const bool *)at);
            break;
        default: {
            const int value = enum_value(config, f->kind);
            if (value != absent_value(f->kind))
                good = vitc_json_set_string(root, f->key, words_of(f->kind)->words[value]);
            break;
        }
        }
    }
    char *text = good ? vitc_json_dump(root, 0, 9) : NULL;
    vitc_json_free(root);
    return text;
}

static vitc_status parse_field(vit_config *config, const vit_config_reader *reader,
                               const vitc_json *root, const config_field *f)
{
    char *at = (char *)config + f->offset;
    if (f->kind == FIELD_FACTOR && vitc_json_get(root, f->key) == NULL) {
        *(float *)(void *)at = 1;
        return VITC_OK;
    }
    if (absent_value(f->kind) >= 0 && vitc_json_get(root, f->key) == NULL) {
        set_enum(config, f->kind, absent_value(f->kind));
        return VITC_OK;
    }
    if (vit_config_present(root, f->key) == NULL)
        return vit_config_fail(reader, f->key, vitc_json_get(root, f->key), "a value");
    const char *text = "";
    double number = 0;
    switch (f->kind) {
    case FIELD_TEXT:
        VITC_TRY(vit_config_read_string(&text, reader, root, f->key));
        if (strlen(text) >= sizeof config->architecture)
            return vit_config_fail(reader, f->key, vitc_json_get(root, f->key), "at most 95 bytes");
        memcpy(at, text, strlen(text) + 1);
        return VITC_OK;
    case FIELD_COUNT:
        return vit_config_read_count((uint32_t *)(void *)at, reader, root, f->key, 0);
    case FIELD_NUMBER:
    case FIELD_FACTOR:
        VITC_TRY(vit_config_read_number(&number, reader, root, f->key));
        *(float *)(void *)at = (float)number;
        if (f->kind == FIELD_FACTOR && !((float)number > 0))
            return vit_config_fail(reader, f->key, vitc_json_get(root, f->key), "a number above 0");
        return VITC_OK;
    case FIELD_FLAG:
        return vit_config_read_flag((bool *)at, reader, root, f->key);
    default:
        break;
    }
    const word_list *list = words_of(f->kind);
    VITC_TRY(vit_config_read_string(&text, reader, root, f->key));
    for (int i = 0; i < list->count; i++)
        if (list->words[i] != NULL && strcmp(text, list->words[i]) == 0) {
            set_enum(config, f->kind, i);
            return VITC_OK;
        }
    return vit_config_fail(reader, f->key, vitc_json_get(root, f->key), list->expected);
}

static bool is_field(const char *key)
{
    for (int i = 0; i < FIELD_ROWS; i++)
        if (strcmp(key, fields[i].key) == 0) return true;
    return false;
}

vitc_status vit_config_parse(vit_config *config, const vitc_json *root, const char *name,
                             const vitc_log *log)
{
    const vit_config_reader reader = {.name = name, .log = log};
    vit_config parsed = {0};
    if (!vitc_json_is_object(root))
        return vitc_fail(log, VITC_ERR_MODEL, "%s: not a JSON object", name);
    for (int i = 0; i < FIELD_ROWS; i++) VITC_TRY(parse_field(&parsed, &reader, root, &fields[i]));
    for (void *it = vitc_json_first(root); it != NULL; it = vitc_json_next(root, it)) {
        char shown[VITC_SHOWN_SIZE];
        if (!is_field(vitc_json_key(it)))
            return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                             "%s: this vitc does not know the key \"%s\"", name,
                             vitc_show(shown, vitc_json_key(it)));
    }
    *config = parsed;
    return VITC_OK;
}

/* ---- the dialect ---- */

/* A metadata entry that holds JSON, for the caller to free. */
static vitc_status parse_entry(vitc_json **root, const vit_checkpoint *checkpoint, const char *key,
                               const char *text, const vitc_log *log)
{
    char *name = NULL;
    *root = NULL;
    if (asprintf(&name, "%s: %s", checkpoint->name, key) < 0) return vitc_fail_memory(log, key);
    const vitc_status status = vitc_json_parse(root, text, strlen(text), name, log);
    free(name);
    return status;
}

/* A metadata entry that holds a JSON object: its text into *copy, and the object into *root, which
 * the caller frees. Both stay NULL where there is no such entry. */
static vitc_status read_object(char **copy, vitc_json **root, const vit_checkpoint *checkpoint,
                               const char *key, const vitc_log *log)
{
    const char *text = vit_safetensors_metadata(&checkpoint->files[0].contents, key);
    *root = NULL;
    if (text == NULL) return VITC_OK;
    VITC_TRY(parse_entry(root, checkpoint, key, text, log));
    if (!vitc_json_is_object(*root))
        return vitc_fail(log, VITC_ERR_MODEL, "%s: %s is not a JSON object", checkpoint->name, key);
    return vit_checkpoint_copy(copy, text, log);
}

static vitc_status read_text(char **copy, const vit_checkpoint *checkpoint, const char *key,
                             const vitc_log *log)
{
    vitc_json *root;
    const vitc_status status = read_object(copy, &root, checkpoint, key, log);
    vitc_json_free(root);
    return status;
}

static vitc_status read_card(vit_description *description, const vit_checkpoint *checkpoint,
                             const vitc_log *log)
{
    vitc_json *card;
    vitc_status status = read_object(&description->card, &card, checkpoint, "vitc.card", log);
    const char *license = vitc_json_string(vitc_json_get(card, "license"), NULL);
    if (status == VITC_OK && license != NULL)
        status = vit_checkpoint_copy(&description->license, license, log);
    vitc_json_free(card);
    return status;
}

static vitc_status configure(vit_checkpoint *checkpoint, const vitc_json *config,
                             const vitc_log *log)
{
    vit_description *description = &checkpoint->description;
    VITC_TRY(vit_config_parse(&checkpoint->config, config, checkpoint->config_name, log));
    VITC_TRY(read_card(description, checkpoint, log));
    VITC_TRY(read_text(&description->quantization, checkpoint, "vitc.quantization", log));
    VITC_TRY(read_text(&description->calibration, checkpoint, "vitc.calibration", log));
    const char *labels = vit_safetensors_metadata(&checkpoint->files[0].contents, "vitc.labels");
    if (labels == NULL) return VITC_OK;
    vitc_json *list;
    VITC_TRY(parse_entry(&list, checkpoint, "vitc.labels", labels, log));
    const vitc_status status =
        vit_checkpoint_read_labels(checkpoint, list, "vitc.labels", "head.weight", log);
    vitc_json_free(list);
    return status;
}

static void name_param(vit_checkpoint_names *names, const vit_checkpoint *checkpoint,
                       const vit_param *param)
{
    (void)checkpoint;
    names->count = 1;
    snprintf(names->names[0], sizeof names->names[0], "%s", param->name);
}

const vit_dialect vit_dialect_vitc = {
    .source = "vitc file", .configure = configure, .name = name_param};
