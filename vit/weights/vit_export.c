#include "vit_export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vitc_folder.h"
#include "vitc_log.h"

vitc_status vit_export_refuse(const vit_export *e, const char *class, const char *what)
{
    return vitc_fail(e->log, VITC_ERR_UNSUPPORTED, "%s: %s %s", e->name, class, what);
}

/* ---- changes that change no number ---- */

vitc_status vit_export_cover_prefix(vit_export *e)
{
    vit_weights *weights = &e->weights;
    vit_config config = weights->config;
    if (config.position == PATCHES_POSITION_LEARNED_1D && config.position_covers_prefix)
        return VITC_OK;
    const size_t found = vit_params_find(&weights->table, VIT_POS_EMBED, 0);
    float *table = NULL;
    size_t count = 0;
    if (found != SIZE_MAX) {
        const vit_param *param = &weights->table.params[found];
        count = param->count;
        table = malloc(count * sizeof *table);
        if (table == NULL) return vitc_fail_memory(e->log, "a position table");
        memcpy(table, weights->parameters + param->offset, count * sizeof *table);
    }
    config.position = PATCHES_POSITION_LEARNED_1D;
    config.position_at = PATCHES_POSITION_STEM; /* where there were none, it may be anything */
    config.position_covers_prefix = true;
    const vitc_status status = vit_weights_reshape(weights, &config, e->log);
    if (status == VITC_OK && table != NULL) {
        const vit_param *param =
            &weights->table.params[vit_params_find(&weights->table, VIT_POS_EMBED, 0)];
        float *slots = weights->parameters + param->offset;
        memset(slots, 0, (param->count - count) * sizeof *slots);
        memcpy(slots + (param->count - count), table, count * sizeof *slots);
    }
    free(table);
    return status;
}

vitc_status vit_export_add_patch_bias(vit_export *e)
{
    vit_config config = e->weights.config;
    if (config.patch_bias) return VITC_OK;
    config.patch_bias = true;
    return vit_weights_reshape(&e->weights, &config, e->log);
}

/* ---- JSON ---- */

double vit_export_number(float value)
{
    char text[32];
    for (int digits = 1; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        const double number = strtod(text, NULL);
        if ((float)number == value) return number;
    }
    return (double)value;
}

vitc_json *vit_export_channels(const float values[PATCHES_CHANNELS])
{
    vitc_json *list = vitc_json_array();
    bool good = list != NULL;
    for (int c = 0; good && c < PATCHES_CHANNELS; c++)
        good = vitc_json_append_number(list, vit_export_number(values[c]));
    if (good) return list;
    vitc_json_free(list);
    return NULL;
}

/* 16 digits are enough for 1/255 and show short numbers as they are; 17 for any. */
static vitc_status make_text(char **text, const vitc_json *root, const vit_export *e)
{
    const double rescale = e->weights.description.preprocess.rescale;
    char number[40];
    snprintf(number, sizeof number, "%.16g", rescale);
    *text = vitc_json_dump(root, 2, strtod(number, NULL) == rescale ? 16 : 17);
    return *text != NULL ? VITC_OK : vitc_fail_memory(e->log, "a configuration");
}

/* ---- preprocessing ---- */

/* The same spec with what it does not use, or what changes nothing, as it would be if it were not
 * said. */
static patches_spec plain_spec(const patches_spec *spec)
{
    patches_spec plain = *spec;
    const bool whole = plain.resize == PATCHES_RESIZE_EXACT &&
                       plain.crop_height == plain.resize_height &&
                       plain.crop_width == plain.resize_width;
    if (whole) plain.crop = false;
    if (!plain.crop) {
        plain.crop_height = plain.crop_width = 0;
        memset(plain.fill, 0, sizeof plain.fill);
    }
    for (int c = 0; !plain.normalize && c < PATCHES_CHANNELS; c++) {
        plain.mean[c] = 0;
        plain.std[c] = 1;
    }
    if (plain.resize == PATCHES_RESIZE_SHORTEST) plain.resize_width = 0;
    return plain;
}

static bool is_same_channels(const float *a, const float *b)
{
    for (int c = 0; c < PATCHES_CHANNELS; c++)
        if (a[c] != b[c]) return false;
    return true;
}

static bool is_same_spec(const patches_spec *a, const patches_spec *b)
{
    const patches_spec x = plain_spec(a), y = plain_spec(b);
    return x.resize == y.resize && x.resize_height == y.resize_height &&
           x.resize_width == y.resize_width && x.longest_edge == y.longest_edge &&
           (x.resize == PATCHES_RESIZE_NONE || x.filter == y.filter) && x.crop == y.crop &&
           x.crop_height == y.crop_height && x.crop_width == y.crop_width &&
           memcmp(x.fill, y.fill, sizeof x.fill) == 0 && x.rescale == y.rescale &&
           is_same_channels(x.mean, y.mean) && is_same_channels(x.std, y.std) && x.bgr == y.bgr;
}

static vitc_status check_preprocessing(const vit_export *e, const vit_export_library *library,
                                       const char *text)
{
    const patches_spec *spec = &e->weights.description.preprocess;
    patches_spec read;
    const vitc_status status =
        patches_spec_parse(&read, text, strlen(text), e->name, library->model_type, NULL);
    if (status == VITC_ERR_MEMORY) return vitc_fail_memory(e->log, "a preprocessing spec");
    if (status != VITC_OK || !is_same_spec(spec, &read)) {
        char sentence[256];
        patches_spec_describe(spec, sentence, sizeof sentence);
        return vitc_fail(e->log, VITC_ERR_UNSUPPORTED,
                         "%s: the model's preprocessing (%s) is none that %s can be told to follow",
                         e->name, sentence, e->library);
    }
    const patches_spec plain = plain_spec(spec);
    if (plain.crop && plain.crop_rule != read.crop_rule)
        vitc_log_write(e->log, VITC_LOG_WARN,
                       "%s: %s rounds the place of a crop in another way, so that some images are "
                       "cut one pixel aside",
                       e->name, e->library);
    return VITC_OK;
}

/* ---- weights ---- */

typedef struct tensor_part {
    char name[VIT_SOURCE_NAME_SIZE];
    const float *values;
} tensor_part;

/* Every parameter under its name, or in the parts that the library stores it in. */
static size_t list_parts(tensor_part *parts, vit_safetensors_entry *entries,
                         const vit_weights *weights, const vit_export_library *library)
{
    vit_checkpoint checkpoint = {0};
    vit_checkpoint_names names;
    size_t count = 0;
    library->describe(&checkpoint, &weights->config);
    for (size_t i = 0; i < weights->table.count; i++) {
        const vit_param *param = &weights->table.params[i];
        library->dialect->name(&names, &checkpoint, param);
        const size_t size = param->count / names.count;
        for (uint32_t part = 0; part < names.count; part++, count++) {
            memcpy(parts[count].name, names.names[part], sizeof parts[count].name);
            parts[count].values = weights->parameters + param->offset + part * size;
            entries[count] = (vit_safetensors_entry){.name = parts[count].name,
                                                     .type = VIT_TENSOR_F32,
                                                     .rank = param->rank,
                                                     .count = size,
                                                     .tag = count};
            memcpy(entries[count].shape, param->shape, param->rank * sizeof param->shape[0]);
            entries[count].shape[0] /= names.count;
        }
    }
    return count;
}

static vitc_status write_entries(const char *path, vit_safetensors_entry *entries, size_t count,
                                 const tensor_part *parts, const vitc_json *metadata,
                                 const vitc_log *log)
{
    vitc_file_writer writer;
    VITC_TRY(vitc_file_writer_open(&writer, path, log));
    const vitc_status status = vit_safetensors_write_header(&writer, entries, count, metadata, log);
    if (status != VITC_OK) {
        vitc_file_writer_abort(&writer);
        return status;
    }
    for (size_t i = 0; i < count; i++)
        (void)vit_safetensors_write_floats(&writer, VIT_TENSOR_F32, parts[entries[i].tag].values,
                                           entries[i].count); /* float32 holds any of them */
    return vitc_file_writer_commit(&writer, log);
}

static vitc_status write_weights(const char *path, const vit_export *e,
                                 const vit_export_library *library)
{
    const size_t most = VIT_SOURCE_PARTS_MAX * e->weights.table.count;
    tensor_part *parts = calloc(most, sizeof *parts);
    vit_safetensors_entry *entries = calloc(most, sizeof *entries);
    vitc_json *metadata = vitc_json_object();
    vitc_status status = VITC_ERR_MEMORY;
    /* PyTorch's libraries look for this. */
    const bool good = metadata != NULL && vitc_json_set_string(metadata, "format", "pt") &&
                      parts != NULL && entries != NULL;
    if (good) {
        const size_t count = list_parts(parts, entries, &e->weights, library);
        status = write_entries(path, entries, count, parts, metadata, e->log);
    } else {
        vitc_log_write(e->log, VITC_LOG_ERROR, "out of memory for a table of tensors");
    }
    vitc_json_free(metadata);
    free(entries);
    free(parts);
    return status;
}

/* ---- the directory ---- */

/* `text` NULL: the weights. */
static vitc_status write_one(const char *folder, const char *name, const char *text,
                             const vit_export *e, const vit_export_library *library)
{
    char *path = vitc_path_join(folder, name);
    if (path == NULL) return vitc_fail_memory(e->log, "a file name");
    const vitc_status status = text != NULL ? vitc_file_write(path, text, strlen(text), e->log)
                                            : write_weights(path, e, library);
    free(path);
    return status;
}

static vitc_status write_folder(const vit_export *e, const vit_export_library *library,
                                const char *config, const char *preprocessor)
{
    vitc_folder_writer folder;
    VITC_TRY(vitc_folder_writer_open(&folder, e->name, e->log));
    vitc_status status = write_one(folder.temporary, "model.safetensors", NULL, e, library);
    if (status == VITC_OK) status = write_one(folder.temporary, "config.json", config, e, library);
    if (status == VITC_OK && preprocessor != NULL)
        status = write_one(folder.temporary, "preprocessor_config.json", preprocessor, e, library);
    if (status == VITC_OK) return vitc_folder_writer_commit(&folder, e->log);
    vitc_folder_writer_abort(&folder);
    return status;
}

/* What neither library keeps, but loads the same logits without. */
static void warn_of_losses(const vit_export *e)
{
    const vit_config *config = &e->weights.config;
    if (config->temperature > 0 && config->temperature != 1)
        vitc_log_write(e->log, VITC_LOG_WARN,
                       "%s: %s has no temperature: its scores are those of the logits as they "
                       "are, not the calibrated ones",
                       e->name, e->library);
}

static vitc_status make_texts(char **config, char **preprocessor, const vit_export *e,
                              const vit_export_library *library)
{
    vitc_json *root = NULL;
    vitc_status status = library->make_config(&root, e);
    if (status == VITC_OK) status = make_text(config, root, e);
    vitc_json_free(root);
    if (status != VITC_OK) return status;
    if (library->make_preprocessor != NULL) {
        root = NULL;
        status = library->make_preprocessor(&root, e);
        if (status == VITC_OK) status = make_text(preprocessor, root, e);
        vitc_json_free(root);
        if (status != VITC_OK) return status;
    }
    return check_preprocessing(e, library, *preprocessor != NULL ? *preprocessor : *config);
}

vitc_status vit_export_write(const vit_weights *weights, const char *directory,
                             const vit_export_library *library, const vitc_log *log)
{
    vit_export e = {.name = directory, .library = library->name, .log = log};
    char *config = NULL, *preprocessor = NULL;
    VITC_TRY(vit_weights_check(weights, directory, log));
    VITC_TRY(vit_weights_copy(&e.weights, weights, log));
    vitc_status status = vit_weights_flatten_position(&e.weights, directory, log);
    if (status == VITC_OK) status = library->adapt(&e);
    if (status == VITC_OK) status = make_texts(&config, &preprocessor, &e, library);
    if (status == VITC_OK) status = write_folder(&e, library, config, preprocessor);
    if (status == VITC_OK) warn_of_losses(&e);
    free(config);
    free(preprocessor);
    vit_weights_free(&e.weights);
    return status;
}
