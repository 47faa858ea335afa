#include "vit_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vitc_log.h"

/* ---- metadata ---- */

vitc_status vit_write_parse_object(vitc_json **root, const char *text, const char *what,
                                   const vitc_log *log)
{
    VITC_TRY(vitc_json_parse(root, text, strlen(text), what, log));
    if (vitc_json_is_object(*root)) return VITC_OK;
    vitc_json_free(*root);
    *root = NULL;
    return vitc_fail(log, VITC_ERR_ARGUMENT, "%s: not a JSON object", what);
}

/* The card. A license that only the description states goes along. */
static vitc_status make_card(char **text, const vit_write_source *source, const vitc_log *log)
{
    const char *license = source->description->license;
    vitc_json *root = NULL;
    *text = NULL;
    if (source->card == NULL && license == NULL) return VITC_OK;
    if (source->card != NULL)
        VITC_TRY(vit_write_parse_object(&root, source->card, "model card", log));
    else
        root = vitc_json_object();
    bool good = root != NULL;
    if (good && license != NULL && vitc_json_get(root, "license") == NULL)
        good = vitc_json_set_string(root, "license", license);
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

static vitc_status make_metadata(vitc_json **metadata, const vit_write_source *source,
                                 const vitc_log *log)
{
    const vit_description *description = source->description;
    char *card = NULL, *config = NULL, *preprocess = NULL, *labels = NULL;
    *metadata = NULL;
    vitc_status status = make_card(&card, source, log);
    if (status == VITC_OK) status = patches_spec_format(&preprocess, &description->preprocess, log);
    if (status != VITC_OK) goto cleanup;
    config = vit_config_format(source->config);
    vitc_json *root = vitc_json_object();
    bool good = config != NULL && root != NULL;
    if (good && source->calibration != NULL)
        good = vitc_json_set_string(root, "vitc.calibration", source->calibration);
    if (good && card != NULL) good = vitc_json_set_string(root, "vitc.card", card);
    if (good) good = vitc_json_set_string(root, "vitc.config", config);
    if (good) good = vitc_json_set_string(root, "vitc.format", "1");
    if (good && description->labels != NULL) {
        labels = make_labels(description);
        good = labels != NULL && vitc_json_set_string(root, "vitc.labels", labels);
    }
    if (good) good = vitc_json_set_string(root, "vitc.preprocess", preprocess);
    if (good && source->quantization != NULL)
        good = vitc_json_set_string(root, "vitc.quantization", source->quantization);
    if (good) {
        *metadata = root;
    } else {
        vitc_json_free(root);
        status = vitc_fail_memory(log, "a safetensors header");
    }

cleanup:
    free(card);
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

static vitc_status list_tensors(tensor_list *list, const vit_write_source *source,
                                const vitc_log *log)
{
    const vit_param_table *table = source->table;
    *list = (tensor_list){.entries = calloc(2 * table->count, sizeof *list->entries),
                          .scale_names = calloc(table->count, sizeof *list->scale_names)};
    if (list->entries == NULL || list->scale_names == NULL)
        return vitc_fail_memory(log, "a table of tensors");
    for (size_t i = 0; i < table->count; i++) {
        const vit_param *param = &table->params[i];
        vit_safetensors_entry *entry = &list->entries[list->count++];
        *entry = (vit_safetensors_entry){.name = param->name,
                                         .type = source->types[i],
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

static vitc_status write_tensor(vitc_file_writer *writer, const vit_safetensors_entry *entry,
                                const vit_write_source *source, const vitc_log *log)
{
    const size_t index = entry->tag % source->table->count;
    const float *values;
    if (source->types[index] == VIT_TENSOR_I8) {
        const int8_t *q;
        VITC_TRY(source->read_quantized(source->user, &q, &values, index, log));
        if (entry->type == VIT_TENSOR_I8) {
            vitc_file_writer_append(writer, q, entry->count);
            return VITC_OK;
        }
    } else {
        VITC_TRY(source->read(source->user, &values, index, log));
    }
    if (vit_safetensors_write_floats(writer, entry->type, values, entry->count)) return VITC_OK;
    return vitc_fail(log, VITC_ERR_MODEL, VIT_BEYOND_BF16, source->name, entry->name);
}

/* ---- the file ---- */

vitc_status vit_write_file(const char *path, const vit_write_source *source, const vitc_log *log)
{
    tensor_list list = {0};
    vitc_json *metadata = NULL;
    vitc_file_writer writer = {0};
    vitc_status status = make_metadata(&metadata, source, log);
    if (status == VITC_OK) status = list_tensors(&list, source, log);
    if (status == VITC_OK) status = vitc_file_writer_open(&writer, path, log);
    if (status != VITC_OK) goto cleanup;
    status = vit_safetensors_write_header(&writer, list.entries, list.count, metadata, log);
    for (size_t i = 0; i < list.count && status == VITC_OK; i++)
        status = write_tensor(&writer, &list.entries[i], source, log);
    if (status == VITC_OK)
        status = vitc_file_writer_commit(&writer, log);
    else
        vitc_file_writer_abort(&writer);

cleanup:
    tensor_list_free(&list);
    vitc_json_free(metadata);
    return status;
}
