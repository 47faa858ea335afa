/* Writes a checkpoint as vitc's single file: in float32 or bfloat16, quantized to int8, or with its
 * weights as they are and another temperature. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vit_checkpoint.h"
#include "vitc_log.h"

/* What the file is to be. JSON object texts are the source's own where they are NULL. */
typedef struct request {
    bool keep_weights; /* each tensor in the number format that it has; else */
    vit_dtype dtype;   /* the weight matrices in this one */
    const char *card, *quantization;
    float temperature;       /* 0: the source's, with its note; else */
    const char *calibration; /* the note that goes with the new one, or NULL */
} request;

/* The output must not take the place of anything that the checkpoint consists of. */
static vitc_status check_output(const vit_checkpoint *checkpoint, const char *out,
                                const vitc_log *log)
{
    if (checkpoint->files[0].path == NULL) return VITC_OK; /* it is in memory */
    static const char *const texts[] = {"config.json", "preprocessor_config.json",
                                        "processor_config.json", "model.safetensors.index.json"};
    bool same = vitc_file_is_same(checkpoint->name, out);
    for (size_t i = 0; !same && i < checkpoint->file_count; i++)
        same = vitc_file_is_same(checkpoint->files[i].path, out);
    for (size_t i = 0; !same && i < sizeof texts / sizeof texts[0]; i++) {
        char *path = vitc_path_join(checkpoint->name, texts[i]);
        if (path == NULL) return vitc_fail_memory(log, "a file name");
        same = vitc_file_is_same(path, out);
        free(path);
    }
    if (!same) return VITC_OK;
    return vitc_fail(log, VITC_ERR_ARGUMENT,
                     "%s: is part of the checkpoint that is read; give another output file", out);
}

/* int8 numbers cannot become what they were made from, nor raw scores probabilities. */
static vitc_status check_source(const vit_checkpoint *checkpoint, const request *r,
                                const vitc_log *log)
{
    if (r->temperature > 0 && checkpoint->config.scores == VIT_SCORES_RAW)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "%s: its scores are the logits themselves (regression), which no "
                         "temperature changes",
                         checkpoint->name);
    for (size_t i = 0; !r->keep_weights && i < checkpoint->table.count; i++)
        if (vit_checkpoint_is_quantized(checkpoint, i))
            return vitc_fail(log, VITC_ERR_ARGUMENT, VIT_ALREADY_INT8, checkpoint->name);
    return VITC_OK;
}

/* ---- metadata ---- */

/* JSON text of the caller's; `what` it is, for messages. */
static vitc_status parse_object(vitc_json **root, const char *text, const char *what,
                                const vitc_log *log)
{
    VITC_TRY(vitc_json_parse(root, text, strlen(text), what, log));
    if (vitc_json_is_object(*root)) return VITC_OK;
    vitc_json_free(*root);
    *root = NULL;
    return vitc_fail(log, VITC_ERR_ARGUMENT, "%s: not a JSON object", what);
}

/* The card: the caller's, else the source's. A license that only the source states goes along. */
static vitc_status make_card(char **text, const vit_description *description, const char *card,
                             const vitc_log *log)
{
    vitc_json *root = NULL;
    *text = NULL;
    if (card == NULL) card = description->card;
    if (card == NULL && description->license == NULL) return VITC_OK;
    if (card != NULL)
        VITC_TRY(parse_object(&root, card, "model card", log));
    else
        root = vitc_json_object();
    bool good = root != NULL;
    if (good && description->license != NULL && vitc_json_get(root, "license") == NULL)
        good = vitc_json_set_string(root, "license", description->license);
    *text = good ? vitc_json_dump(root, 0, 17) : NULL;
    vitc_json_free(root);
    return *text != NULL ? VITC_OK : vitc_fail_memory(log, "a model card");
}

static char *make_labels(const vit_description *description)
{
    vitc_json *list = vitc_json_array();
    bool good = list != NULL;
    for (uint32_t i = 0; good && i < description->label_count; i++)
        good = vitc_json_append_string(list, description->labels[i]);
    char *text = good ? vitc_json_dump(list, 0, 17) : NULL;
    vitc_json_free(list);
    return text;
}

static vitc_status make_metadata(vitc_json **metadata, const vit_checkpoint *checkpoint,
                                 const request *r, const vitc_log *log)
{
    const vit_description *description = &checkpoint->description;
    const char *quantization =
        r->quantization != NULL ? r->quantization : description->quantization;
    const char *calibration = r->temperature > 0 ? r->calibration : description->calibration;
    vit_config written = checkpoint->config;
    if (r->temperature > 0) written.temperature = r->temperature;
    char *card_text = NULL, *config = NULL, *preprocess = NULL, *labels = NULL;
    *metadata = NULL;
    vitc_status status = make_card(&card_text, description, r->card, log);
    if (status == VITC_OK) status = patches_spec_format(&preprocess, &description->preprocess, log);
    if (status != VITC_OK) goto cleanup;
    config = vit_config_format(&written);
    vitc_json *root = vitc_json_object();
    bool good = config != NULL && root != NULL;
    if (good && calibration != NULL)
        good = vitc_json_set_string(root, "vitc.calibration", calibration);
    if (good && card_text != NULL) good = vitc_json_set_string(root, "vitc.card", card_text);
    if (good) good = vitc_json_set_string(root, "vitc.config", config);
    if (good) good = vitc_json_set_string(root, "vitc.format", "1");
    if (good && description->labels != NULL) {
        labels = make_labels(description);
        good = labels != NULL && vitc_json_set_string(root, "vitc.labels", labels);
    }
    if (good) good = vitc_json_set_string(root, "vitc.preprocess", preprocess);
    if (good && quantization != NULL)
        good = vitc_json_set_string(root, "vitc.quantization", quantization);
    if (good) {
        *metadata = root;
    } else {
        vitc_json_free(root);
        status = vitc_fail_memory(log, "a safetensors header");
    }

cleanup:
    free(card_text);
    free(config);
    free(preprocess);
    free(labels);
    return status;
}

/* ---- tensors ---- */

/* The tensors of the file: the table's parameters, and the scales of those that are quantized. */
typedef struct tensor_list {
    vit_safetensors_entry
        *entries; /* tag: the parameter's index; table.count more for its scales */
    size_t count;
    char (*scale_names)[VIT_PARAM_NAME_SIZE + sizeof VIT_SCALE_SUFFIX]; /* by parameter */
} tensor_list;

static void tensor_list_free(tensor_list *list)
{
    free(list->entries);
    free(list->scale_names);
}

static bool is_stored_bf16(const vit_checkpoint_source *source)
{
    for (uint32_t part = 0; part < source->count; part++)
        if (source->parts[part]->tensor->type != VIT_TENSOR_BF16) return false;
    return true;
}

static vit_tensor_type type_of(const vit_checkpoint *checkpoint, size_t index, const request *r)
{
    const vit_param *param = &checkpoint->table.params[index];
    if (param->kind != VIT_PARAM_MATRIX) return VIT_TENSOR_F32;
    const bool int8 = r->keep_weights
                          ? vit_checkpoint_is_quantized(checkpoint, index)
                          : r->dtype == VIT_DTYPE_INT8 && vit_param_in_encoder(param->id);
    if (int8) return VIT_TENSOR_I8;
    const bool bf16 =
        r->keep_weights ? is_stored_bf16(&checkpoint->sources[index]) : r->dtype == VIT_DTYPE_BF16;
    return bf16 ? VIT_TENSOR_BF16 : VIT_TENSOR_F32;
}

static vitc_status list_tensors(tensor_list *list, const vit_checkpoint *checkpoint,
                                const request *r, const vitc_log *log)
{
    const vit_param_table *table = &checkpoint->table;
    *list = (tensor_list){.entries = calloc(2 * table->count, sizeof *list->entries),
                          .scale_names = calloc(table->count, sizeof *list->scale_names)};
    if (list->entries == NULL || list->scale_names == NULL)
        return vitc_fail_memory(log, "a table of tensors");
    for (size_t i = 0; i < table->count; i++) {
        const vit_param *param = &table->params[i];
        vit_safetensors_entry *entry = &list->entries[list->count++];
        *entry = (vit_safetensors_entry){.name = param->name,
                                         .type = type_of(checkpoint, i, r),
                                         .rank = param->rank,
                                         .count = param->count,
                                         .tag = i};
        memcpy(entry->shape, param->shape, param->rank * sizeof param->shape[0]);
        if (entry->type != VIT_TENSOR_I8) continue;
        snprintf(list->scale_names[i], sizeof list->scale_names[i], "%s" VIT_SCALE_SUFFIX,
                 param->name);
        list->entries[list->count++] = (vit_safetensors_entry){.name = list->scale_names[i],
                                                               .type = VIT_TENSOR_F32,
                                                               .rank = 1,
                                                               .shape = {param->shape[0]},
                                                               .count = param->shape[0],
                                                               .tag = table->count + i};
    }
    return VITC_OK;
}

/* The entry of a matrix in int8: its numbers, or its rows' scales. */
static vitc_status append_quantized(vitc_file_writer *writer, const vit_safetensors_entry *entry,
                                    const int8_t *q, const float *scale)
{
    if (entry->type == VIT_TENSOR_I8)
        vitc_file_writer_append(writer, q, entry->count);
    else if (!vit_safetensors_write_floats(writer, VIT_TENSOR_F32, scale, entry->count))
        return VITC_ERR_INTERNAL; /* only bfloat16 has less range */
    return VITC_OK;
}

/* The file has all scales before all numbers, so that each matrix is quantized twice; keeping them
 * instead would take as much memory as the file. */
static vitc_status write_quantized(vitc_file_writer *writer, const vit_safetensors_entry *entry,
                                   const vit_checkpoint *checkpoint, const vit_param *param,
                                   const float *values, const vitc_log *log)
{
    const size_t rows = param->shape[0];
    int8_t *q = malloc(param->count);
    float *scale = malloc(rows * sizeof *scale);
    vitc_status status = VITC_OK;
    if (q == NULL || scale == NULL) {
        status = vitc_fail_memory(log, "quantized weights");
        goto cleanup;
    }
    vit_quantize_rows(q, scale, values, rows, param->count / rows);
    for (size_t r = 0; r < rows && status == VITC_OK; r++)
        if (!isfinite(scale[r]))
            status = vitc_fail(log, VITC_ERR_MODEL,
                               "%s: tensor %s holds values that are not finite, which int8 cannot "
                               "keep",
                               checkpoint->name, param->name);
    if (status == VITC_OK) status = append_quantized(writer, entry, q, scale);

cleanup:
    free(q);
    free(scale);
    return status;
}

static vitc_status write_tensor(vitc_file_writer *writer, const vit_safetensors_entry *entry,
                                const vit_checkpoint *checkpoint, float *buffer,
                                const vitc_log *log)
{
    const vit_param_table *table = &checkpoint->table;
    const size_t index = entry->tag % table->count;
    const bool scales = entry->tag >= table->count;
    if (vit_checkpoint_is_quantized(checkpoint, index)) {
        const int8_t *q;
        VITC_TRY(vit_checkpoint_read_quantized(checkpoint, index, &q, buffer, log));
        return append_quantized(writer, entry, q, buffer);
    }
    VITC_TRY(vit_checkpoint_read(checkpoint, index, buffer, log));
    if (scales || entry->type == VIT_TENSOR_I8)
        return write_quantized(writer, entry, checkpoint, &table->params[index], buffer, log);
    if (vit_safetensors_write_floats(writer, entry->type, buffer, entry->count)) return VITC_OK;
    return vitc_fail(log, VITC_ERR_MODEL, VIT_BEYOND_BF16, checkpoint->name, entry->name);
}

/* ---- the file ---- */

static vitc_status write_file(const char *out, const vit_checkpoint *checkpoint, const request *r,
                              const vitc_json *metadata, const vitc_log *log)
{
    tensor_list list;
    float *buffer = NULL;
    vitc_file_writer writer = {0};
    vitc_status status = list_tensors(&list, checkpoint, r, log);
    if (status == VITC_OK) status = vit_checkpoint_buffer(&buffer, checkpoint, log);
    if (status == VITC_OK) status = vitc_file_writer_open(&writer, out, log);
    if (status != VITC_OK) goto cleanup;
    status = vit_safetensors_write_header(&writer, list.entries, list.count, metadata, log);
    for (size_t i = 0; i < list.count && status == VITC_OK; i++)
        status = write_tensor(&writer, &list.entries[i], checkpoint, buffer, log);
    if (status == VITC_OK)
        status = vitc_file_writer_commit(&writer, log);
    else
        vitc_file_writer_abort(&writer);

cleanup:
    free(buffer);
    tensor_list_free(&list);
    return status;
}

/* Writes the checkpoint and frees it. */
static vitc_status write_checkpoint(const char *out, vit_checkpoint *checkpoint, const request *r,
                                    const vitc_log *log)
{
    vitc_json *metadata = NULL;
    vitc_status status = check_output(checkpoint, out, log);
    if (status == VITC_OK) status = check_source(checkpoint, r, log);
    if (status == VITC_OK) status = make_metadata(&metadata, checkpoint, r, log);
    if (status == VITC_OK) status = write_file(out, checkpoint, r, metadata, log);
    vitc_json_free(metadata);
    vit_checkpoint_free(checkpoint);
    return status;
}

static vitc_status rewrite(const char *in, const char *out, const request *r,
                           const vit_load_options *options, const vitc_log *log)
{
    vit_checkpoint *checkpoint;
    VITC_TRY(vit_checkpoint_open(&checkpoint, in, options, log));
    return write_checkpoint(out, checkpoint, r, log);
}

vitc_status vit_model_convert(const char *in, const char *out, vit_dtype dtype, const char *card,
                              const vit_load_options *options, const vitc_log *log)
{
    if (dtype != VIT_DTYPE_F32 && dtype != VIT_DTYPE_BF16)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "vit_model_convert writes f32 and bf16, not dtype %d", (int)dtype);
    const request r = {.dtype = dtype, .card = card};
    return rewrite(in, out, &r, options, log);
}

/* ---- quantizing ---- */

/* What vitc.quantization says. */
static vitc_status make_quantization(char **text, vit_dtype dtype, const char *measurement,
                                     const vitc_log *log)
{
    vitc_json *measured = NULL;
    *text = NULL;
    if (measurement != NULL) VITC_TRY(parse_object(&measured, measurement, "measurement", log));
    vitc_json *root = vitc_json_object();
    bool good =
        root != NULL &&
        vitc_json_set_string(root, "dtype", dtype == VIT_DTYPE_INT8 ? "int8" : "bf16") &&
        vitc_json_set_string(root, "scheme",
                             dtype == VIT_DTYPE_INT8
                                 ? "encoder matrices symmetric per output feature, activations "
                                   "symmetric per token at run time"
                                 : "matrices rounded to nearest, ties to even");
    if (measured == NULL)
        good = good && vitc_json_set_string(root, "measurement", "unmeasured");
    else if (good)
        good = vitc_json_set(root, "measurement", measured);
    else
        vitc_json_free(measured);
    *text = good ? vitc_json_dump(root, 0, 17) : NULL;
    vitc_json_free(root);
    return *text != NULL ? VITC_OK : vitc_fail_memory(log, "the quantization's description");
}

vitc_status vit_model_quantize(const char *in, const char *out, vit_dtype dtype,
                               const char *measurement, const vit_load_options *options,
                               const vitc_log *log)
{
    char *quantization;
    if (dtype != VIT_DTYPE_INT8 && dtype != VIT_DTYPE_BF16)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "vit_model_quantize writes int8 and bf16, not dtype %d", (int)dtype);
    VITC_TRY(make_quantization(&quantization, dtype, measurement, log));
    const request r = {.dtype = dtype, .quantization = quantization};
    const vitc_status status = rewrite(in, out, &r, options, log);
    free(quantization);
    return status;
}

/* ---- calibrating ---- */

/* Checks what the file is to say, and puts the note on one line: *text, malloc'd, or NULL. */
static vitc_status start_calibration(request *r, char **text, float temperature, const char *note,
                                     const vitc_log *log)
{
    vitc_json *root;
    *text = NULL;
    if (!isfinite(temperature) || temperature <= 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "temperature %g is not a finite number above 0",
                         (double)temperature);
    if (note != NULL) {
        VITC_TRY(parse_object(&root, note, "calibration note", log));
        *text = vitc_json_dump(root, 0, 17);
        vitc_json_free(root);
        if (*text == NULL) return vitc_fail_memory(log, "a calibration note");
    }
    *r = (request){.keep_weights = true, .temperature = temperature, .calibration = *text};
    return VITC_OK;
}

vitc_status vit_model_calibrate(const char *in, const char *out, float temperature,
                                const char *note, const vit_load_options *options,
                                const vitc_log *log)
{
    request r;
    char *text;
    VITC_TRY(start_calibration(&r, &text, temperature, note, log));
    const vitc_status status = rewrite(in, out, &r, options, log);
    free(text);
    return status;
}

vitc_status vit_model_calibrate_memory(const void *data, size_t size, const char *name,
                                       const char *out, float temperature, const char *note,
                                       const vit_load_options *options, const vitc_log *log)
{
    request r;
    char *text;
    vit_checkpoint *checkpoint;
    VITC_TRY(start_calibration(&r, &text, temperature, note, log));
    vitc_status status = vit_checkpoint_open_memory(&checkpoint, data, size,
                                                    name != NULL ? name : "model", options, log);
    if (status == VITC_OK) status = write_checkpoint(out, checkpoint, &r, log);
    free(text);
    return status;
}
