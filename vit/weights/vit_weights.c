#include "vit_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vit_float.h"
#include "vit_write.h"
#include "vitc_log.h"
#include "vitc_size.h"

/* ---- life ---- */

vitc_status vit_weights_create(vit_weights *weights, const vit_config *config, const vitc_log *log)
{
    *weights = (vit_weights){.config = *config};
    const vitc_status status = vit_params_create(&weights->table, config, log);
    if (status == VITC_OK)
        weights->parameters = calloc(weights->table.elements, sizeof *weights->parameters);
    if (weights->parameters != NULL) return VITC_OK;
    vit_weights_free(weights);
    return status != VITC_OK ? status : vitc_fail_memory(log, "a model's parameters");
}

void vit_weights_free(vit_weights *weights)
{
    if (weights == NULL) return;
    vit_params_free(&weights->table);
    vit_description_free(&weights->description);
    free(weights->parameters);
    *weights = (vit_weights){0};
}

/* ---- reading ---- */

static vitc_status read_all(vit_weights *weights, const vit_checkpoint *checkpoint,
                            const vitc_log *log)
{
    for (size_t i = 0; i < checkpoint->table.count; i++) {
        if (vit_checkpoint_is_quantized(checkpoint, i))
            return vitc_fail(log, VITC_ERR_ARGUMENT, VIT_ALREADY_INT8, checkpoint->name);
        VITC_TRY(vit_checkpoint_read(
            checkpoint, i, weights->parameters + checkpoint->table.params[i].offset, log));
    }
    return VITC_OK;
}

/* Takes what the checkpoint holds, and frees it. */
static vitc_status take(vit_weights *weights, vit_checkpoint *checkpoint, const vitc_log *log)
{
    vitc_status status = vit_weights_create(weights, &checkpoint->config, log);
    if (status == VITC_OK) status = read_all(weights, checkpoint, log);
    if (status == VITC_OK) {
        weights->description = checkpoint->description;
        checkpoint->description = (vit_description){0};
    } else {
        vit_weights_free(weights);
    }
    vit_checkpoint_free(checkpoint);
    return status;
}

vitc_status vit_weights_read(vit_weights *weights, const char *path,
                             const vit_load_options *options, const vitc_log *log)
{
    vit_checkpoint *checkpoint;
    *weights = (vit_weights){0};
    VITC_TRY(vit_checkpoint_open(&checkpoint, path, options, log));
    return take(weights, checkpoint, log);
}

vitc_status vit_weights_read_memory(vit_weights *weights, const void *data, size_t size,
                                    const char *name, const vit_load_options *options,
                                    const vitc_log *log)
{
    vit_checkpoint *checkpoint;
    *weights = (vit_weights){0};
    VITC_TRY(vit_checkpoint_open_memory(&checkpoint, data, size, name != NULL ? name : "model",
                                        options, log));
    return take(weights, checkpoint, log);
}

/* ---- the description ---- */

static void free_labels(char **labels, uint32_t count)
{
    for (uint32_t i = 0; labels != NULL && i < count; i++) free(labels[i]);
    free(labels);
}

static vitc_status copy_labels(char ***copy, const char *const *labels, uint32_t count,
                               const vitc_log *log)
{
    *copy = NULL;
    if (labels == NULL || count == 0) return VITC_OK;
    char **made = calloc(count, sizeof *made);
    for (uint32_t i = 0; made != NULL && i < count; i++) {
        made[i] = strdup(labels[i]);
        if (made[i] != NULL) continue;
        free_labels(made, count);
        made = NULL;
    }
    *copy = made;
    return made != NULL ? VITC_OK : vitc_fail_memory(log, "labels");
}

static void replace_labels(vit_description *description, char **labels, uint32_t count)
{
    free_labels(description->labels, description->label_count);
    description->labels = labels;
    description->label_count = labels != NULL ? count : 0;
}

vitc_status vit_weights_set_labels(vit_weights *weights, const char *const *labels, uint32_t count,
                                   const vitc_log *log)
{
    char **copy;
    if (count != (labels != NULL ? weights->config.classes : 0))
        return vitc_fail(log, VITC_ERR_ARGUMENT, "%u labels for %u classes", count,
                         weights->config.classes);
    VITC_TRY(copy_labels(&copy, labels, count, log));
    replace_labels(&weights->description, copy, count);
    return VITC_OK;
}

vitc_status vit_weights_set_card(vit_weights *weights, const char *card, const vitc_log *log)
{
    vit_description *description = &weights->description;
    vitc_json *root = NULL;
    char *text = NULL, *license = NULL;
    if (card == NULL) {
        free(description->card);
        description->card = NULL;
        return VITC_OK;
    }
    VITC_TRY(vit_write_parse_object(&root, card, "model card", log));
    const char *stated = vitc_json_string(vitc_json_get(root, "license"), NULL);
    text = vitc_json_dump(root, 0, 17);
    if (stated != NULL) license = strdup(stated);
    const bool good = text != NULL && (stated == NULL || license != NULL);
    vitc_json_free(root);
    if (!good) {
        free(text);
        free(license);
        return vitc_fail_memory(log, "a model card");
    }
    free(description->card);
    description->card = text;
    if (license != NULL) {
        free(description->license);
        description->license = license;
    }
    return VITC_OK;
}

void vit_weights_forget_measurements(vit_weights *weights)
{
    vit_description *description = &weights->description;
    free(description->quantization);
    free(description->calibration);
    description->quantization = description->calibration = NULL;
    weights->config.temperature = 1;
}

/* The same texts once more, for a model made of the weights. */
static vitc_status copy_text(char **copy, const char *text, const vitc_log *log)
{
    if (text == NULL) return VITC_OK;
    *copy = strdup(text);
    return *copy != NULL ? VITC_OK : vitc_fail_memory(log, "a model's description");
}

static vitc_status copy_description(vit_description *copy, const vit_description *from,
                                    const vitc_log *log)
{
    *copy = (vit_description){.source = from->source,
                              .forgot_accuracy = from->forgot_accuracy,
                              .forgot_temperature = from->forgot_temperature,
                              .stored_height = from->stored_height,
                              .stored_width = from->stored_width,
                              .label_count = from->label_count,
                              .preprocess = from->preprocess};
    vitc_status status =
        copy_labels(&copy->labels, (const char *const *)from->labels, from->label_count, log);
    if (status == VITC_OK) status = copy_text(&copy->dtype, from->dtype, log);
    if (status == VITC_OK) status = copy_text(&copy->card, from->card, log);
    if (status == VITC_OK) status = copy_text(&copy->license, from->license, log);
    if (status == VITC_OK) status = copy_text(&copy->quantization, from->quantization, log);
    if (status == VITC_OK) status = copy_text(&copy->calibration, from->calibration, log);
    if (status != VITC_OK) vit_description_free(copy);
    return status;
}

vitc_status vit_weights_copy(vit_weights *copy, const vit_weights *weights, const vitc_log *log)
{
    VITC_TRY(vit_weights_create(copy, &weights->config, log));
    const vitc_status status = copy_description(&copy->description, &weights->description, log);
    if (status == VITC_OK)
        memcpy(copy->parameters, weights->parameters,
               weights->table.elements * sizeof *copy->parameters);
    else
        vit_weights_free(copy);
    return status;
}

/* ---- other configurations ---- */

vitc_status vit_weights_reshape(vit_weights *weights, const vit_config *config, const vitc_log *log)
{
    vit_weights made;
    VITC_TRY(vit_weights_create(&made, config, log));
    for (size_t i = 0; i < made.table.count; i++) {
        const vit_param *to = &made.table.params[i];
        const size_t found = vit_params_find(&weights->table, to->id, to->layer);
        if (found == SIZE_MAX) continue;
        const vit_param *from = &weights->table.params[found];
        if (from->rank != to->rank || memcmp(from->shape, to->shape, sizeof to->shape) != 0)
            continue;
        memcpy(made.parameters + to->offset, weights->parameters + from->offset,
               to->count * sizeof *made.parameters);
    }
    made.description = weights->description;
    weights->description = (vit_description){0};
    vit_weights_free(weights);
    *weights = made;
    return VITC_OK;
}

bool vit_weights_has_classes(const vit_weights *weights, const char *const *labels,
                             uint32_t classes)
{
    const vit_config *config = &weights->config;
    const vit_description *d = &weights->description;
    if (config->distilled_head || config->scores != VIT_SCORES_SOFTMAX ||
        config->classes != classes || d->label_count != classes || labels == NULL)
        return false;
    for (uint32_t i = 0; i < classes; i++)
        if (strcmp(d->labels[i], labels[i]) != 0) return false;
    return true;
}

vitc_status vit_weights_new_head(vit_weights *weights, const char *const *labels, uint32_t classes,
                                 const vitc_log *log)
{
    vit_config config = weights->config;
    const bool kept = vit_weights_has_classes(weights, labels, classes);
    char **copy;
    config.classes = classes;
    config.distilled_head = false;
    config.scores = VIT_SCORES_SOFTMAX;
    VITC_TRY(copy_labels(&copy, labels, classes, log));
    const vitc_status status = vit_weights_reshape(weights, &config, log);
    if (status != VITC_OK) {
        free_labels(copy, classes);
        return status;
    }
    for (size_t i = 0; i < weights->table.count; i++) {
        const vit_param *param = &weights->table.params[i];
        if (!kept && (param->id == VIT_HEAD_WEIGHT || param->id == VIT_HEAD_BIAS))
            memset(weights->parameters + param->offset, 0,
                   param->count * sizeof *weights->parameters);
    }
    replace_labels(&weights->description, copy, classes);
    free(weights->description.license);
    weights->description.license = NULL;
    vit_weights_forget_measurements(weights);
    return VITC_OK;
}

/* ---- positions ---- */

const char *vit_weights_inexpressible_position(const vit_config *config)
{
    if (config->position == PATCHES_POSITION_NONE) return NULL;
    if (config->position == PATCHES_POSITION_RELATIVE) return "are biases of attention";
    if (config->position == PATCHES_POSITION_ROPE_2D) return "turn queries and keys";
    if (config->position_at != PATCHES_POSITION_STEM) return "are given to every block";
    if (config->position_op != PATCHES_POSITION_ADD) return "are multiplied with the tokens";
    return NULL;
}

/* The table of a kind that is made of others, malloc'd. */
static vitc_status make_table(float **table, const vit_weights *weights, const vitc_log *log)
{
    const patches_position position = vit_config_position(&weights->config);
    const size_t rows = vit_params_find(&weights->table, VIT_POS_ROWS, 0);
    const size_t columns = vit_params_find(&weights->table, VIT_POS_COLUMNS, 0);
    const vit_param *params = weights->table.params;
    const bool has_axes = rows != SIZE_MAX && columns != SIZE_MAX;
    size_t size;
    *table = NULL;
    if (vitc_size_mul3(vit_config_patches(&weights->config), weights->config.width, sizeof **table,
                       &size))
        *table = malloc(size);
    if (*table == NULL) return vitc_fail_memory(log, "a position table");
    patches_position_fill(*table, &position,
                          has_axes ? weights->parameters + params[rows].offset : NULL,
                          has_axes ? weights->parameters + params[columns].offset : NULL);
    return VITC_OK;
}

vitc_status vit_weights_flatten_position(vit_weights *weights, const char *name,
                                         const vitc_log *log)
{
    vit_config config = weights->config;
    const char *why = vit_weights_inexpressible_position(&config);
    float *table;
    if (why != NULL)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                         "%s: positions of kind %s %s, which no table of other tools can express",
                         name, patches_position_string(config.position), why);
    if (config.position == PATCHES_POSITION_NONE || config.position == PATCHES_POSITION_LEARNED_1D)
        return VITC_OK;
    VITC_TRY(make_table(&table, weights, log));
    config.position = PATCHES_POSITION_LEARNED_1D;
    config.position_covers_prefix = false;
    const vitc_status status = vit_weights_reshape(weights, &config, log);
    if (status == VITC_OK) {
        const vit_param *param =
            &weights->table.params[vit_params_find(&weights->table, VIT_POS_EMBED, 0)];
        memcpy(weights->parameters + param->offset, table, param->count * sizeof *table);
    }
    free(table);
    return status;
}

/* ---- writing ---- */

/* A parameter's numbers, which a file could not be loaded with unless they are finite. */
static vitc_status check_finite(const vit_weights *weights, size_t index, const char *name,
                                const vitc_log *log)
{
    const vit_param *param = &weights->table.params[index];
    const float *values = weights->parameters + param->offset;
    const size_t i = vit_floats_first_nonfinite(values, param->count);
    if (i == param->count) return VITC_OK;
    char place[160];
    vit_index_format(place, sizeof place, param->shape, param->rank, i);
    return vitc_fail(log, VITC_ERR_MODEL, "%s: %s holds %s at %s: training diverged", name,
                     param->name, isnan(values[i]) ? "a NaN" : "an infinity", place);
}

vitc_status vit_weights_check(const vit_weights *weights, const char *name, const vitc_log *log)
{
    for (size_t i = 0; i < weights->table.count; i++) VITC_TRY(check_finite(weights, i, name, log));
    return vit_preprocess_check(&weights->config, &weights->description.preprocess, name, log);
}

static vitc_status read_values(void *user, const float **values, size_t param, const vitc_log *log)
{
    const vit_weights *weights = user;
    (void)log;
    *values = weights->parameters + weights->table.params[param].offset;
    return VITC_OK;
}

vitc_status vit_weights_write(const vit_weights *weights, const char *path, vit_dtype dtype,
                              const vitc_log *log)
{
    const vit_param_table *table = &weights->table;
    if (dtype != VIT_DTYPE_F32 && dtype != VIT_DTYPE_BF16)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "%s: weights are written as f32 and bf16, not dtype %d", path, (int)dtype);
    VITC_TRY(vit_weights_check(weights, path, log));
    vit_tensor_type *types = calloc(table->count, sizeof *types);
    if (types == NULL) return vitc_fail_memory(log, "a table of tensors");
    for (size_t i = 0; i < table->count; i++)
        types[i] = dtype == VIT_DTYPE_BF16 && table->params[i].kind == VIT_PARAM_MATRIX
                       ? VIT_TENSOR_BF16
                       : VIT_TENSOR_F32;
    vit_weights self = *weights; /* what is read is not changed */
    const vit_write_source source = {.name = path,
                                     .config = &weights->config,
                                     .table = table,
                                     .description = &weights->description,
                                     .card = weights->description.card,
                                     .quantization = weights->description.quantization,
                                     .calibration = weights->description.calibration,
                                     .types = types,
                                     .user = &self,
                                     .read = read_values};
    const vitc_status status = vit_write_file(path, &source, log);
    free(types);
    return status;
}

/* ---- running ---- */

static vitc_status set_parameters(vit_model *model, const vit_weights *weights, const vitc_log *log)
{
    const vit_param_table *table = &weights->table;
    for (int matrices = 0; matrices < 2; matrices++) /* vectors first */
        for (size_t i = 0; i < table->count; i++) {
            if ((table->params[i].kind == VIT_PARAM_MATRIX) != (matrices == 1)) continue;
            VITC_TRY(vit_model_set(model, i, weights->parameters + table->params[i].offset, log));
        }
    return VITC_OK;
}

vitc_status vit_weights_model(vit_model **out, const vit_weights *weights, vit_precision precision,
                              const vitc_log *log)
{
    static const char name[] = "the model";
    vit_description description;
    vit_model *model = NULL;
    *out = NULL;
    VITC_TRY(vit_weights_check(weights, name, log));
    VITC_TRY(copy_description(&description, &weights->description, log));
    free(description.dtype);
    description.source = vit_dialect_vitc.source;
    description.dtype = strdup("F32");
    vitc_status status =
        description.dtype != NULL ? VITC_OK : vitc_fail_memory(log, "a model's description");
    if (status == VITC_OK)
        status = vit_model_create(&model, &weights->config, precision, VIT_DTYPE_F32, name, log);
    if (status == VITC_OK) status = set_parameters(model, weights, log);
    if (status == VITC_OK) status = vit_model_finish(model, &description, name, log);
    if (status == VITC_OK) {
        *out = model;
        return VITC_OK;
    }
    vit_description_free(&description);
    vit_model_free(model);
    return status;
}
