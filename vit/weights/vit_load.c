#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vit_checkpoint.h"
#include "vitc_log.h"
#include "vitc_size.h"
#include "vitc_threads.h"

/* A buffer that takes any one parameter. */
static vitc_status create_buffer(float **buffer, const vit_checkpoint *checkpoint,
                                 const vitc_log *log)
{
    size_t size;
    *buffer = NULL;
    if (vitc_size_mul(vit_checkpoint_largest(checkpoint), sizeof **buffer, &size))
        *buffer = malloc(size);
    return *buffer != NULL ? VITC_OK : vitc_fail_memory(log, "a tensor");
}

/* ---- loading ---- */

static vit_dtype stored_dtype(const vit_description *description)
{
    if (strcmp(description->dtype, "I8") == 0) return VIT_DTYPE_INT8;
    return strcmp(description->dtype, "BF16") == 0 ? VIT_DTYPE_BF16 : VIT_DTYPE_F32;
}

/* One reader of parameters: its buffer, and its first failure, which is kept until all readers have
 * stopped: callers get one message at a time, from the thread that they called. */
typedef struct reader {
    float *buffer;
    vitc_status status;
    size_t param;
    char message[1024];
} reader;

static void keep_message(void *user, vitc_log_level level, const char *message)
{
    reader *r = user;
    if (level == VITC_LOG_ERROR) snprintf(r->message, sizeof r->message, "%s", message);
}

static void read_parameter(vit_model *model, const vit_checkpoint *checkpoint, size_t param,
                           reader *r)
{
    const vitc_log log = {keep_message, r};
    if (r->status != VITC_OK) return;
    r->param = param;
    r->status = vit_checkpoint_read(checkpoint, param, r->buffer, &log);
    if (r->status == VITC_OK) r->status = vit_model_set(model, param, r->buffer, &log);
}

/* Converts and packs every parameter: vectors first, then matrices, several at a time. */
static vitc_status read_parameters(vit_model *model, const vit_checkpoint *checkpoint,
                                   reader *readers, int count, const vitc_log *log)
{
    const vit_param_table *table = &checkpoint->table;
    for (int matrices = 0; matrices < 2; matrices++) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(matrices == 1 ? count : 1) if (count > 1)
        for (size_t i = 0; i < table->count; i++)
            if ((table->params[i].kind == VIT_PARAM_MATRIX) == (matrices == 1))
                read_parameter(model, checkpoint, i, &readers[omp_get_thread_num()]);
    }
    const reader *first = NULL;
    for (int i = 0; i < count; i++)
        if (readers[i].status != VITC_OK && (first == NULL || readers[i].param < first->param))
            first = &readers[i];
    return first == NULL ? VITC_OK : vitc_fail(log, first->status, "%s", first->message);
}

/* Builds the model and frees the checkpoint. */
static vitc_status load(vit_model **out, vit_checkpoint *checkpoint,
                        const vit_load_options *options, const vitc_log *log)
{
    /* More would only wait for memory, and each takes room for the largest parameter. */
    enum { READERS_MAX = 8 };
    const vit_load_options chosen = options != NULL ? *options : (vit_load_options){0};
    const int threads = vitc_threads_choose(chosen.threads, NULL, 0);
    const int count = threads < READERS_MAX ? threads : READERS_MAX;
    vit_model *model = NULL;
    reader readers[READERS_MAX] = {0};
    vitc_status status = VITC_OK;
    for (int i = 0; i < count && status == VITC_OK; i++)
        status = create_buffer(&readers[i].buffer, checkpoint, log);
    if (status == VITC_OK)
        status = vit_model_create(&model, &checkpoint->config, chosen.precision,
                                  stored_dtype(&checkpoint->description), checkpoint->name, log);
    if (status == VITC_OK) status = read_parameters(model, checkpoint, readers, count, log);
    if (status == VITC_OK)
        status = vit_model_finish(model, &checkpoint->description, checkpoint->name, log);
    for (int i = 0; i < count; i++) free(readers[i].buffer);
    vit_checkpoint_free(checkpoint);
    if (status != VITC_OK) {
        vit_model_free(model);
        return status;
    }
    *out = model;
    return VITC_OK;
}

vitc_status vit_model_load(vit_model **model, const char *path, const vit_load_options *options,
                           const vitc_log *log)
{
    vit_checkpoint *checkpoint;
    *model = NULL;
    VITC_TRY(vit_checkpoint_open(&checkpoint, path, options, log));
    return load(model, checkpoint, options, log);
}

vitc_status vit_model_load_memory(vit_model **model, const void *data, size_t size,
                                  const char *name, const vit_load_options *options,
                                  const vitc_log *log)
{
    vit_checkpoint *checkpoint;
    *model = NULL;
    VITC_TRY(vit_checkpoint_open_memory(&checkpoint, data, size, name != NULL ? name : "model",
                                        options, log));
    return load(model, checkpoint, options, log);
}

/* ---- converting ---- */

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
                                 const char *card, const vitc_log *log)
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

static void list_entries(vit_safetensors_entry *entries, const vit_param_table *table,
                         vit_dtype dtype)
{
    for (size_t i = 0; i < table->count; i++) {
        const vit_param *param = &table->params[i];
        entries[i] = (vit_safetensors_entry){
            .name = param->name,
            .type = param->kind == VIT_PARAM_MATRIX && dtype == VIT_DTYPE_BF16 ? VIT_TENSOR_BF16
                                                                               : VIT_TENSOR_F32,
            .rank = param->rank,
            .count = param->count,
            .tag = i};
        memcpy(entries[i].shape, param->shape, param->rank * sizeof param->shape[0]);
    }
}

static vitc_status write_tensors(vitc_file_writer *writer, const vit_checkpoint *checkpoint,
                                 const vit_safetensors_entry *entries, float *buffer,
                                 const vitc_log *log)
{
    for (size_t i = 0; i < checkpoint->table.count; i++) {
        VITC_TRY(vit_checkpoint_read(checkpoint, entries[i].tag, buffer, log));
        if (!vit_safetensors_write_floats(writer, entries[i].type, buffer, entries[i].count))
            return vitc_fail(log, VITC_ERR_MODEL,
                             "%s: tensor %s holds a value beyond bfloat16; convert to f32",
                             checkpoint->name, entries[i].name);
    }
    return VITC_OK;
}

vitc_status vit_model_convert(const char *in, const char *out, vit_dtype dtype, const char *card,
                              const vit_load_options *options, const vitc_log *log)
{
    vit_checkpoint *checkpoint = NULL;
    vit_safetensors_entry *entries = NULL;
    float *buffer = NULL;
    vitc_json *metadata = NULL;
    vitc_file_writer writer = {0};
    if (dtype != VIT_DTYPE_F32 && dtype != VIT_DTYPE_BF16)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "%d is not a dtype that vitc writes", (int)dtype);
    vitc_status status = vit_checkpoint_open(&checkpoint, in, options, log);
    if (status == VITC_OK) status = check_output(checkpoint, out, log);
    if (status == VITC_OK) status = make_metadata(&metadata, checkpoint, card, log);
    if (status == VITC_OK) status = create_buffer(&buffer, checkpoint, log);
    if (status != VITC_OK) goto cleanup;
    entries = malloc(checkpoint->table.count * sizeof *entries);
    if (entries == NULL) {
        status = vitc_fail_memory(log, "a table of tensors");
        goto cleanup;
    }
    list_entries(entries, &checkpoint->table, dtype);

    status = vitc_file_writer_open(&writer, out, log);
    if (status != VITC_OK) goto cleanup;
    status = vit_safetensors_write_header(&writer, entries, checkpoint->table.count, metadata, log);
    if (status == VITC_OK) status = write_tensors(&writer, checkpoint, entries, buffer, log);
    if (status == VITC_OK)
        status = vitc_file_writer_commit(&writer, log);
    else
        vitc_file_writer_abort(&writer);

cleanup:
    free(entries);
    free(buffer);
    vitc_json_free(metadata);
    vit_checkpoint_free(checkpoint);
    return status;
}
