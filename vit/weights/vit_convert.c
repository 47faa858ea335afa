/* Writes a checkpoint as vitc's single file: as it is, in bfloat16, or quantized to int8. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vit_checkpoint.h"
#include "vitc_log.h"
#include "vitc_size.h"

/* The output must not take the place of anything that the checkpoint consists of. */
static vitc_status check_output(const vit_checkpoint *checkpoint, const char *out,
                                const vitc_log *log)
{
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
                     "%s: is part of the checkpoint that is converted; give another output file",
                     out);
}

/* int8 numbers cannot become what they were made from. */
static vitc_status check_source(const vit_checkpoint *checkpoint, const vitc_log *log)
{
    for (size_t i = 0; i < checkpoint->table.count; i++)
        if (vit_checkpoint_is_quantized(checkpoint, i))
            return vitc_fail(log, VITC_ERR_ARGUMENT, VIT_ALREADY_INT8, checkpoint->name);
    return VITC_OK;
}

/* ---- metadata ---- */

/* The card: the caller's, else the source's. A license that only the source states goes along. */
static vitc_status make_card(char **text, const vit_description *description, const char *card,
                             const vitc_log *log)
{
    vitc_json *root = NULL;
    *text = NULL;
    if (card == NULL) card = description->card;
    if (card == NULL && description->license == NULL) return VITC_OK;
    if (card != NULL)
        VITC_TRY(vitc_json_parse(&root, card, strlen(card), "model card", log));
    else
        root = vitc_json_object();
    if (root != NULL && !vitc_json_is_object(root)) {
        vitc_json_free(root);
        return vitc_fail(log, VITC_ERR_ARGUMENT, "model card: not a JSON object");
    }
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
                                 const char *card, const char *quantization, const vitc_log *log)
{
    const vit_description *description = &checkpoint->description;
    char *card_text = NULL, *config = NULL, *preprocess = NULL, *labels = NULL;
    *metadata = NULL;
    vitc_status status = make_card(&card_text, description, card, log);
    if (status == VITC_OK) status = patches_spec_format(&preprocess, &description->preprocess, log);
    if (status != VITC_OK) goto cleanup;
    config = vit_config_format(&checkpoint->config);
    vitc_json *root = vitc_json_object();
    bool good = config != NULL && root != NULL;
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

static bool is_quantized(const vit_param *param, vit_dtype dtype)
{
    return dtype == VIT_DTYPE_INT8 && vit_param_in_encoder(param->id);
}

static vit_tensor_type type_of(const vit_param *param, vit_dtype dtype)
{
    if (is_quantized(param, dtype)) return VIT_TENSOR_I8;
    return param->kind == VIT_PARAM_MATRIX && dtype == VIT_DTYPE_BF16 ? VIT_TENSOR_BF16
                                                                      : VIT_TENSOR_F32;
}

static vitc_status list_tensors(tensor_list *list, const vit_param_table *table, vit_dtype dtype,
                                const vitc_log *log)
{
    *list = (tensor_list){.entries = calloc(2 * table->count, sizeof *list->entries),
                          .scale_names = calloc(table->count, sizeof *list->scale_names)};
    if (list->entries == NULL || list->scale_names == NULL)
        return vitc_fail_memory(log, "a table of tensors");
    for (size_t i = 0; i < table->count; i++) {
        const vit_param *param = &table->params[i];
        vit_safetensors_entry *entry = &list->entries[list->count++];
        *entry = (vit_safetensors_entry){.name = param->name,
                                         .type = type_of(param, dtype),
                                         .rank = param->rank,
                                         .count = param->count,
                                         .tag = i};
        memcpy(entry->shape, param->shape, param->rank * sizeof param->shape[0]);
        if (!is_quantized(param, dtype)) continue;
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

/* A quantized matrix's numbers or its scales. The file has all scales before all numbers, so that
 * each matrix is quantized twice; keeping them instead would take as much memory as the file. */
static vitc_status write_quantized(vitc_file_writer *writer, const vit_checkpoint *checkpoint,
                                   const vit_param *param, bool scales, const float *values,
                                   const vitc_log *log)
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
    if (status != VITC_OK) goto cleanup;
    if (!scales)
        vitc_file_writer_append(writer, q, param->count);
    else if (!vit_safetensors_write_floats(writer, VIT_TENSOR_F32, scale, rows))
        status = VITC_ERR_INTERNAL; /* only bfloat16 has less range */

cleanup:
    free(q);
    free(scale);
    return status;
}

static vitc_status write_tensors(vitc_file_writer *writer, const vit_checkpoint *checkpoint,
                                 const tensor_list *list, vit_dtype dtype, float *buffer,
                                 const vitc_log *log)
{
    const vit_param_table *table = &checkpoint->table;
    for (size_t i = 0; i < list->count; i++) {
        const vit_safetensors_entry *entry = &list->entries[i];
        const size_t index = entry->tag % table->count;
        const vit_param *param = &table->params[index];
        VITC_TRY(vit_checkpoint_read(checkpoint, index, buffer, log));
        if (is_quantized(param, dtype))
            VITC_TRY(write_quantized(writer, checkpoint, param, entry->tag >= table->count, buffer,
                                     log));
        else if (!vit_safetensors_write_floats(writer, entry->type, buffer, entry->count))
            return vitc_fail(log, VITC_ERR_MODEL, VIT_BEYOND_BF16, checkpoint->name, entry->name);
    }
    return VITC_OK;
}

/* ---- the file ---- */

static vitc_status write_file(const vit_checkpoint *checkpoint, const char *out, vit_dtype dtype,
                              const vitc_json *metadata, const vitc_log *log)
{
    tensor_list list;
    float *buffer = NULL;
    vitc_file_writer writer = {0};
    vitc_status status = list_tensors(&list, &checkpoint->table, dtype, log);
    if (status == VITC_OK) status = vit_checkpoint_buffer(&buffer, checkpoint, log);
    if (status == VITC_OK) status = vitc_file_writer_open(&writer, out, log);
    if (status != VITC_OK) goto cleanup;
    status = vit_safetensors_write_header(&writer, list.entries, list.count, metadata, log);
    if (status == VITC_OK) status = write_tensors(&writer, checkpoint, &list, dtype, buffer, log);
    if (status == VITC_OK)
        status = vitc_file_writer_commit(&writer, log);
    else
        vitc_file_writer_abort(&writer);

cleanup:
    free(buffer);
    tensor_list_free(&list);
    return status;
}

/* `quantization` is JSON text for the file; NULL: none. */
static vitc_status convert(const char *in, const char *out, vit_dtype dtype, const char *card,
                           const char *quantization, const vit_load_options *options,
                           const vitc_log *log)
{
    vit_checkpoint *checkpoint = NULL;
    vitc_json *metadata = NULL;
    vitc_status status = vit_checkpoint_open(&checkpoint, in, options, log);
    if (status == VITC_OK) status = check_output(checkpoint, out, log);
    if (status == VITC_OK) status = check_source(checkpoint, log);
    if (status == VITC_OK) status = make_metadata(&metadata, checkpoint, card, quantization, log);
    if (status == VITC_OK) status = write_file(checkpoint, out, dtype, metadata, log);
    vitc_json_free(metadata);
    vit_checkpoint_free(checkpoint);
    return status;
}

vitc_status vit_model_convert(const char *in, const char *out, vit_dtype dtype, const char *card,
                              const vit_load_options *options, const vitc_log *log)
{
    if (dtype != VIT_DTYPE_F32 && dtype != VIT_DTYPE_BF16)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "vit_model_convert writes f32 and bf16, not dtype %d", (int)dtype);
    return convert(in, out, dtype, card, NULL, options, log);
}

/* ---- quantizing ---- */

/* What vitc.quantization says. */
static vitc_status make_quantization(char **text, vit_dtype dtype, const char *measurement,
                                     const vitc_log *log)
{
    vitc_json *root = vitc_json_object(), *measured = NULL;
    *text = NULL;
    if (measurement != NULL) {
        const vitc_status status =
            vitc_json_parse(&measured, measurement, strlen(measurement), "measurement", log);
        if (status != VITC_OK) {
            vitc_json_free(root);
            return status;
        }
    }
    if (measured != NULL && !vitc_json_is_object(measured)) {
        vitc_json_free(root);
        vitc_json_free(measured);
        return vitc_fail(log, VITC_ERR_ARGUMENT, "measurement: not a JSON object");
    }
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
    const vitc_status status = convert(in, out, dtype, NULL, quantization, options, log);
    free(quantization);
    return status;
}
