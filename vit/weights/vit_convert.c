/* Writes a checkpoint as vitc's single file: in float32 or bfloat16, quantized to int8, or with its
 * weights as they are and another temperature. */
#include <math.h>
#include <stdlib.h>

#include "vit_weights.h"
#include "vit_write.h"
#include "vitc_log.h"
#include "vitc_size.h"

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

vitc_status vit_weights_check_output(const char *in, const char *out,
                                     const vit_load_options *options, const vitc_log *log)
{
    vit_checkpoint *checkpoint;
    VITC_TRY(vit_checkpoint_open(&checkpoint, in, options, log));
    const vitc_status status = check_output(checkpoint, out, log);
    vit_checkpoint_free(checkpoint);
    return status;
}

void vit_weights_tell_forgotten(const char *out, bool accuracy, bool temperature,
                                const vitc_log *log)
{
    if (accuracy || temperature)
        vitc_log_write(log, VITC_LOG_WARN,
                       "%s: without the %s%s%s of the source, measured at another image size", out,
                       accuracy ? "accuracy" : "", accuracy && temperature ? " and the " : "",
                       temperature ? "temperature" : "");
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
    for (size_t i = 0; r->dtype == VIT_DTYPE_INT8 && i < checkpoint->table.count; i++) {
        const vit_param *param = &checkpoint->table.params[i];
        if (!r->keep_weights && param->kind == VIT_PARAM_MATRIX &&
            vit_param_in_encoder(param->id) &&
            param->count / param->shape[0] > INT32_MAX / (127 * 127))
            return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                             "%s: the rows of %s are too long for sums of int8 products",
                             checkpoint->name, param->name);
    }
    return VITC_OK;
}

/* ---- values ---- */

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

/* One parameter at a time, out of the checkpoint. */
typedef struct parameter_reader {
    const vit_checkpoint *checkpoint;
    vit_tensor_type *types; /* by parameter */
    float *values;          /* room for the largest parameter */
    int8_t *q;              /* the same, and its rows' scales, where weights are quantized here */
    float *scale;
} parameter_reader;

static void parameter_reader_free(parameter_reader *reader)
{
    free(reader->types);
    free(reader->values);
    free(reader->q);
    free(reader->scale);
}

static vitc_status parameter_reader_create(parameter_reader *reader,
                                           const vit_checkpoint *checkpoint, const request *r,
                                           const vitc_log *log)
{
    const vit_param_table *table = &checkpoint->table;
    size_t rows = 0;
    *reader = (parameter_reader){.checkpoint = checkpoint,
                                 .types = calloc(table->count, sizeof *reader->types)};
    if (reader->types == NULL) return vitc_fail_memory(log, "a table of tensors");
    VITC_TRY(vit_checkpoint_buffer(&reader->values, checkpoint, log));
    for (size_t i = 0; i < table->count; i++) {
        reader->types[i] = type_of(checkpoint, i, r);
        if (reader->types[i] == VIT_TENSOR_I8 && !vit_checkpoint_is_quantized(checkpoint, i))
            rows = vitc_size_max(rows, table->params[i].shape[0]);
    }
    if (rows == 0) return VITC_OK;
    reader->q = malloc(vit_checkpoint_largest(checkpoint));
    reader->scale = malloc(rows * sizeof *reader->scale);
    return reader->q != NULL && reader->scale != NULL ? VITC_OK
                                                      : vitc_fail_memory(log, "quantized weights");
}

static vitc_status read_values(void *user, const float **values, size_t param, const vitc_log *log)
{
    const parameter_reader *reader = user;
    *values = reader->values;
    return vit_checkpoint_read(reader->checkpoint, param, reader->values, log);
}

/* As they are stored, or quantized here: once for the scales and once for the numbers, since
 * keeping them instead would take as much memory as the file. */
static vitc_status read_quantized(void *user, const int8_t **q, const float **scale, size_t index,
                                  const vitc_log *log)
{
    const parameter_reader *reader = user;
    const vit_checkpoint *checkpoint = reader->checkpoint;
    const vit_param *param = &checkpoint->table.params[index];
    if (vit_checkpoint_is_quantized(checkpoint, index)) {
        *scale = reader->values;
        return vit_checkpoint_read_quantized(checkpoint, index, q, reader->values, log);
    }
    const size_t rows = param->shape[0];
    VITC_TRY(vit_checkpoint_read(checkpoint, index, reader->values, log));
    vit_quantize_rows(reader->q, reader->scale, reader->values, rows, param->count / rows);
    for (size_t r = 0; r < rows; r++)
        if (!isfinite(reader->scale[r]))
            return vitc_fail(log, VITC_ERR_MODEL,
                             "%s: tensor %s holds values that are not finite, which int8 cannot "
                             "keep",
                             checkpoint->name, param->name);
    *q = reader->q;
    *scale = reader->scale;
    return VITC_OK;
}

/* ---- the file ---- */

static vitc_status write_file(const char *out, const vit_checkpoint *checkpoint, const request *r,
                              const vitc_log *log)
{
    const vit_description *description = &checkpoint->description;
    const bool calibrates = r->temperature > 0;
    vit_config config = checkpoint->config;
    if (calibrates) config.temperature = r->temperature;
    parameter_reader reader;
    vitc_status status = parameter_reader_create(&reader, checkpoint, r, log);
    const vit_write_source source = {
        .name = checkpoint->name,
        .config = &config,
        .table = &checkpoint->table,
        .description = description,
        .card = r->card != NULL ? r->card : description->card,
        .quantization = r->quantization != NULL ? r->quantization : description->quantization,
        .calibration = calibrates ? r->calibration : description->calibration,
        .types = reader.types,
        .user = &reader,
        .read = read_values,
        .read_quantized = read_quantized};
    if (status == VITC_OK) status = vit_write_file(out, &source, log);
    parameter_reader_free(&reader);
    return status;
}

/* Where a model is read from: a path, or a file's bytes in memory. */
typedef struct source {
    const char *path;
    const void *data; /* where path is NULL */
    size_t size;
    const char *name; /* of the data, in messages; NULL: "model" */
} source;

static vitc_status open_source(vit_checkpoint **checkpoint, const source *in,
                               const vit_load_options *options, const vitc_log *log)
{
    if (in->path != NULL) return vit_checkpoint_open(checkpoint, in->path, options, log);
    return vit_checkpoint_open_memory(checkpoint, in->data, in->size,
                                      in->name != NULL ? in->name : "model", options, log);
}

static vitc_status rewrite(const source *in, const char *out, const request *r,
                           const vit_load_options *options, const vitc_log *log)
{
    vit_checkpoint *checkpoint;
    VITC_TRY(open_source(&checkpoint, in, options, log));
    const vit_description *d = &checkpoint->description;
    vitc_status status = check_output(checkpoint, out, log);
    if (status == VITC_OK) status = check_source(checkpoint, r, log);
    if (status == VITC_OK) status = write_file(out, checkpoint, r, log);
    if (status == VITC_OK)
        vit_weights_tell_forgotten(out, d->forgot_accuracy && r->card == NULL,
                                   d->forgot_temperature && r->temperature == 0, log);
    vit_checkpoint_free(checkpoint);
    return status;
}

static vitc_status convert(const source *in, const char *out, vit_dtype dtype, const char *card,
                           const vit_load_options *options, const vitc_log *log)
{
    if (dtype != VIT_DTYPE_F32 && dtype != VIT_DTYPE_BF16 && dtype != VIT_DTYPE_STORED)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "vit_model_convert writes f32 and bf16, not dtype %d", (int)dtype);
    const request r = {.keep_weights = dtype == VIT_DTYPE_STORED, .dtype = dtype, .card = card};
    return rewrite(in, out, &r, options, log);
}

vitc_status vit_model_convert(const char *in, const char *out, vit_dtype dtype, const char *card,
                              const vit_load_options *options, const vitc_log *log)
{
    const source from = {.path = in};
    return convert(&from, out, dtype, card, options, log);
}

vitc_status vit_model_convert_memory(const void *data, size_t size, const char *name,
                                     const char *out, vit_dtype dtype, const char *card,
                                     const vit_load_options *options, const vitc_log *log)
{
    const source from = {.data = data, .size = size, .name = name};
    return convert(&from, out, dtype, card, options, log);
}

/* ---- quantizing ---- */

/* What vitc.quantization says. */
static vitc_status make_quantization(char **text, vit_dtype dtype, const char *measurement,
                                     const vitc_log *log)
{
    vitc_json *measured = NULL;
    *text = NULL;
    if (measurement != NULL)
        VITC_TRY(vit_write_parse_object(&measured, measurement, "measurement", log));
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

static vitc_status quantize(const source *in, const char *out, vit_dtype dtype,
                            const char *measurement, const vit_load_options *options,
                            const vitc_log *log)
{
    char *text;
    if (dtype != VIT_DTYPE_INT8 && dtype != VIT_DTYPE_BF16)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "vit_model_quantize writes int8 and bf16, not dtype %d", (int)dtype);
    VITC_TRY(make_quantization(&text, dtype, measurement, log));
    const request r = {.dtype = dtype, .quantization = text};
    const vitc_status status = rewrite(in, out, &r, options, log);
    free(text);
    return status;
}

vitc_status vit_model_quantize(const char *in, const char *out, vit_dtype dtype,
                               const char *measurement, const vit_load_options *options,
                               const vitc_log *log)
{
    const source from = {.path = in};
    return quantize(&from, out, dtype, measurement, options, log);
}

vitc_status vit_model_quantize_memory(const void *data, size_t size, const char *name,
                                      const char *out, vit_dtype dtype, const char *measurement,
                                      const vit_load_options *options, const vitc_log *log)
{
    const source from = {.data = data, .size = size, .name = name};
    return quantize(&from, out, dtype, measurement, options, log);
}

/* ---- calibrating ---- */

static vitc_status calibrate(const source *in, const char *out, float temperature, const char *note,
                             const vit_load_options *options, const vitc_log *log)
{
    vitc_json *root;
    char *text = NULL; /* the note on one line */
    if (!isfinite(temperature) || temperature <= 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "temperature %g is not a finite number above 0",
                         (double)temperature);
    if (note != NULL) {
        VITC_TRY(vit_write_parse_object(&root, note, "calibration note", log));
        text = vitc_json_dump(root, 0, 17);
        vitc_json_free(root);
        if (text == NULL) return vitc_fail_memory(log, "a calibration note");
    }
    const request r = {.keep_weights = true, .temperature = temperature, .calibration = text};
    const vitc_status status = rewrite(in, out, &r, options, log);
    free(text);
    return status;
}

vitc_status vit_model_calibrate(const char *in, const char *out, float temperature,
                                const char *note, const vit_load_options *options,
                                const vitc_log *log)
{
    const source from = {.path = in};
    return calibrate(&from, out, temperature, note, options, log);
}

vitc_status vit_model_calibrate_memory(const void *data, size_t size, const char *name,
                                       const char *out, float temperature, const char *note,
                                       const vit_load_options *options, const vitc_log *log)
{
    const source from = {.data = data, .size = size, .name = name};
    return calibrate(&from, out, temperature, note, options, log);
}
