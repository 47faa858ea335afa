#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vit_checkpoint.h"
#include "vit_float.h"
#include "vitc_log.h"
#include "vitc_size.h"
#include "vitc_threads.h"

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

static vitc_status set_parameter(vit_model *model, const vit_checkpoint *checkpoint, size_t index,
                                 const vit_load_options *options, float *buffer,
                                 const vitc_log *log)
{
    const vit_param *param = &checkpoint->table.params[index];
    if (vit_checkpoint_is_quantized(checkpoint, index)) {
        const int8_t *q;
        VITC_TRY(vit_checkpoint_read_quantized(checkpoint, index, &q, buffer, log));
        return vit_model_set_quantized(model, index, q, buffer, log);
    }
    VITC_TRY(vit_checkpoint_read(checkpoint, index, buffer, log));
    const bool rounds =
        options->quantize == VIT_DTYPE_BF16 && param->kind == VIT_PARAM_MATRIX &&
        (options->quantize_only == NULL || strcmp(options->quantize_only, param->name) == 0);
    if (rounds && !vit_floats_round_bf16(buffer, param->count))
        return vitc_fail(log, VITC_ERR_MODEL, VIT_BEYOND_BF16, checkpoint->name, param->name);
    return vit_model_set(model, index, buffer, log);
}

static void read_parameter(vit_model *model, const vit_checkpoint *checkpoint, size_t param,
                           const vit_load_options *options, reader *r)
{
    const vitc_log log = {keep_message, r};
    if (r->status != VITC_OK) return;
    r->param = param;
    r->status = set_parameter(model, checkpoint, param, options, r->buffer, &log);
}

/* Converts and packs every parameter: vectors first, then matrices, several at a time. */
static vitc_status read_parameters(vit_model *model, const vit_checkpoint *checkpoint,
                                   const vit_load_options *options, reader *readers, int count,
                                   const vitc_log *log)
{
    const vit_param_table *table = &checkpoint->table;
    for (size_t i = 0; i < table->count; i++)
        if (table->params[i].kind != VIT_PARAM_MATRIX)
            read_parameter(model, checkpoint, i, options, &readers[0]);
    /* matrices need the vectors that scale their rows */
    if (readers[0].status != VITC_OK)
        return vitc_fail(log, readers[0].status, "%s", readers[0].message);
    if (count == 1) { /* no team: also where the OpenMP runtime could not make one */
        for (size_t i = 0; i < table->count; i++)
            if (table->params[i].kind == VIT_PARAM_MATRIX)
                read_parameter(model, checkpoint, i, options, &readers[0]);
    } else {
#pragma omp parallel for schedule(dynamic, 1) num_threads(count)
        for (size_t i = 0; i < table->count; i++)
            if (table->params[i].kind == VIT_PARAM_MATRIX)
                read_parameter(model, checkpoint, i, options, &readers[omp_get_thread_num()]);
    }
    const reader *first = NULL;
    for (int i = 0; i < count; i++)
        if (readers[i].status != VITC_OK && (first == NULL || readers[i].param < first->param))
            first = &readers[i];
    return first == NULL ? VITC_OK : vitc_fail(log, first->status, "%s", first->message);
}

static vitc_status create(vit_model **model, const vit_checkpoint *checkpoint,
                          const vit_load_options *options, const vitc_log *log)
{
    const vit_dtype stored = stored_dtype(&checkpoint->description);
    if (options->quantize != VIT_DTYPE_F32 && stored == VIT_DTYPE_INT8)
        return vitc_fail(log, VITC_ERR_ARGUMENT, VIT_ALREADY_INT8, checkpoint->name);
    /* The packing of an int8 model quantizes what it is given as floats. */
    return vit_model_create_only(model, &checkpoint->config, options->precision,
                                 options->quantize != VIT_DTYPE_F32 ? options->quantize : stored,
                                 options->quantize != VIT_DTYPE_F32 ? options->quantize_only : NULL,
                                 checkpoint->name, log);
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
        status = vit_checkpoint_buffer(&readers[i].buffer, checkpoint, log);
    if (status == VITC_OK) status = create(&model, checkpoint, &chosen, log);
    if (status == VITC_OK)
        status = read_parameters(model, checkpoint, &chosen, readers, count, log);
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
