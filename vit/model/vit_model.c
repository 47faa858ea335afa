#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vit_model_layout.h"
#include "vitc_log.h"
#include "vitc_size.h"

void vit_description_free(vit_description *description)
{
    if (description == NULL) return;
    free(description->dtype);
    free(description->card);
    free(description->license);
    free(description->quantization);
    free(description->calibration);
    if (description->labels != NULL)
        for (uint32_t i = 0; i < description->label_count; i++) free(description->labels[i]);
    free(description->labels);
    *description = (vit_description){0};
}

void vit_model_free(vit_model *model)
{
    if (model == NULL) return;
    vit_description_free(&model->description);
    vit_params_free(&model->table);
    free(model->is_set);
    free(model->storage);
    free(model->blocks);
    vitc_arena_free(&model->arena);
    free(model);
}

/* A matrix [out, in...] as a linear layer's two sizes. */
static size_t matrix_in(const vit_param *param)
{
    return param->count / param->shape[0];
}

/* The number format of a parameter that is the matrix of a linear layer. */
static const vit_gemm *matrix_gemm(const vit_model *model, const vit_param *param)
{
    const bool encoder = model->only == SIZE_MAX ? vit_param_in_encoder(param->id)
                                                 : param == &model->table.params[model->only];
    if (param->id == VIT_PATCH_WEIGHT) return model->attention_gemm; /* bf16 or float32 */
    return encoder ? model->encoder_gemm : &model->kernels.f32;
}

/* Sums of int8 products have 32 bits. */
static vitc_status check_lengths(const vit_model *model, const vitc_log *log)
{
    for (size_t i = 0; i < model->table.count; i++) {
        const vit_param *param = &model->table.params[i];
        if (param->kind != VIT_PARAM_MATRIX) continue;
        const vit_gemm *gemm = matrix_gemm(model, param);
        if (gemm->k_max != 0 && matrix_in(param) > gemm->k_max)
            return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                             "%s has rows of %zu numbers, and int8 can add up %zu", param->name,
                             matrix_in(param), gemm->k_max);
    }
    return VITC_OK;
}

/* Reserves every parameter's place, one run of zeros for biases that a model lacks, and what is
 * made of positions. */
static bool reserve_parameters(vit_model *model, size_t *offsets, size_t *zeros, size_t *made)
{
    size_t longest = 0;
    for (size_t i = 0; i < model->table.count; i++) {
        const vit_param *param = &model->table.params[i];
        size_t size;
        if (param->kind == VIT_PARAM_MATRIX) {
            size = vit_linear_packed_size(matrix_gemm(model, param), param->shape[0],
                                          matrix_in(param));
            if (size == 0) return false;
            longest = vitc_size_max(longest, param->shape[0]);
        } else if (!vitc_size_mul(param->count, sizeof(float), &size)) {
            return false;
        }
        offsets[i] = vitc_arena_reserve(&model->arena, size);
    }
    *zeros = vitc_arena_reserve_array(&model->arena, longest, sizeof(float));
    *made =
        vitc_arena_reserve_array(&model->arena, vit_positions_size(&model->config), sizeof(float));
    vitc_arena_reserve(&model->arena, VIT_KERNEL_OVERREAD);
    if (!vitc_arena_allocate(&model->arena)) return false;
    memset(vitc_arena_at(&model->arena, *zeros), 0, longest * sizeof(float));
    return true;
}

float *vit_model_find(const vit_model *model, vit_param_id id, uint32_t layer)
{
    const size_t i = vit_params_find(&model->table, id, layer);
    return i == SIZE_MAX ? NULL : (float *)model->storage[i];
}

static vit_norm find_norm(const vit_model *model, vit_param_id weight, vit_param_id bias,
                          uint32_t layer)
{
    return (vit_norm){vit_model_find(model, weight, layer), vit_model_find(model, bias, layer),
                      model->config.norm_eps};
}

static vit_linear find_linear(const vit_model *model, vit_param_id weight, vit_param_id bias,
                              uint32_t layer, const float *zeros)
{
    const size_t i = vit_params_find(&model->table, weight, layer);
    if (i == SIZE_MAX) return (vit_linear){0};
    const vit_param *param = &model->table.params[i];
    const float *found = vit_model_find(model, bias, layer);
    return (vit_linear){.out = param->shape[0],
                        .in = matrix_in(param),
                        .gemm = matrix_gemm(model, param),
                        .packed = model->storage[i],
                        .bias = found != NULL ? found : zeros};
}

/* Points the layers of the forward pass at their storage. */
static void bind_parameters(vit_model *model, const float *zeros)
{
    const vit_config *config = &model->config;
    model->class_token = vit_model_find(model, VIT_CLS_TOKEN, 0);
    model->distillation_token = vit_model_find(model, VIT_DIST_TOKEN, 0);
    model->register_tokens = vit_model_find(model, VIT_REG_TOKEN, 0);
    model->patch_embedding = find_linear(model, VIT_PATCH_WEIGHT, VIT_PATCH_BIAS, 0, zeros);
    model->norm_pre = find_norm(model, VIT_NORM_PRE_WEIGHT, VIT_NORM_PRE_BIAS, 0);
    for (uint32_t i = 0; i < config->layers; i++) {
        model->blocks[i] =
            (vit_block){.norm1 = find_norm(model, VIT_NORM1_WEIGHT, VIT_NORM1_BIAS, i),
                        .qkv = find_linear(model, VIT_QKV_WEIGHT, VIT_QKV_BIAS, i, zeros),
                        .qk_norm = {find_norm(model, VIT_Q_NORM_WEIGHT, VIT_Q_NORM_BIAS, i),
                                    find_norm(model, VIT_K_NORM_WEIGHT, VIT_K_NORM_BIAS, i)},
                        .proj = find_linear(model, VIT_PROJ_WEIGHT, VIT_PROJ_BIAS, i, zeros),
                        .norm2 = find_norm(model, VIT_NORM2_WEIGHT, VIT_NORM2_BIAS, i),
                        .fc1 = find_linear(model, VIT_FC1_WEIGHT, VIT_FC1_BIAS, i, zeros),
                        .fc2 = find_linear(model, VIT_FC2_WEIGHT, VIT_FC2_BIAS, i, zeros)};
    }
    model->norm_final = find_norm(model, VIT_NORM_WEIGHT, VIT_NORM_BIAS, 0);
    model->norm_pooled = find_norm(model, VIT_FC_NORM_WEIGHT, VIT_FC_NORM_BIAS, 0);
    model->head = find_linear(model, VIT_HEAD_WEIGHT, VIT_HEAD_BIAS, 0, zeros);
    model->distillation_head =
        find_linear(model, VIT_HEAD_DIST_WEIGHT, VIT_HEAD_DIST_BIAS, 0, zeros);
}

/* Settles the precision that was asked for on one that stored weights and CPU give. */
static vitc_status choose_precision(vit_model *model, vit_precision asked, vit_dtype stored,
                                    const char *name, const vitc_log *log)
{
    const bool native_bf16 = model->kernels.native_bf16;
    if (stored == VIT_DTYPE_INT8) {
        if (asked == VIT_PRECISION_F32 || asked == VIT_PRECISION_BF16)
            return vitc_fail(log, VITC_ERR_ARGUMENT,
                             "%s: holds int8 weights, which cannot give %s; use the file that it "
                             "was quantized from, or leave the precision out",
                             name, vit_precision_string(asked));
        model->precision = VIT_PRECISION_INT8;
        model->precision_reason = "the file holds int8 weights";
        return VITC_OK;
    }
    switch (asked) {
    case VIT_PRECISION_DEFAULT:
        model->precision = VIT_PRECISION_F32;
        model->precision_reason = "the default for weights that are not quantized";
        return VITC_OK;
    case VIT_PRECISION_AUTO:
        if (stored == VIT_DTYPE_BF16 && native_bf16) {
            model->precision = VIT_PRECISION_BF16;
            model->precision_reason = "the file holds bfloat16, which this CPU multiplies";
        } else {
            model->precision = VIT_PRECISION_F32;
            model->precision_reason = stored == VIT_DTYPE_BF16
                                          ? "this kernel row has no bfloat16 instructions"
                                          : "the file holds float32";
        }
        return VITC_OK;
    case VIT_PRECISION_F32:
    case VIT_PRECISION_BF16:
        model->precision = asked;
        model->precision_reason = "asked for";
        return VITC_OK;
    case VIT_PRECISION_INT8:
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "%s: holds no int8 weights; make a file that does with vitc quantize",
                         name);
    }
    return vitc_fail(log, VITC_ERR_ARGUMENT, "%d is not a precision", (int)asked);
}

/* Points the encoder at the number format of the precision. */
static void choose_formats(vit_model *model)
{
    const vit_kernels *kernels = &model->kernels;
    model->encoder_gemm = model->precision == VIT_PRECISION_INT8   ? &kernels->int8
                          : model->precision == VIT_PRECISION_BF16 ? &kernels->bf16
                                                                   : &kernels->f32;
    if (model->only != SIZE_MAX) {
        model->attention_gemm = &kernels->f32;
        return;
    }
    /* Rounding queries, keys, scores and pixels costs accuracy and only pays where it saves time.
     */
    model->attention_gemm = model->precision != VIT_PRECISION_F32 && kernels->native_bf16
                                ? &kernels->bf16
                                : &kernels->f32;
}

static vitc_status find_only(vit_model *model, const char *only, const vitc_log *log)
{
    const vit_param_table *table = &model->table;
    model->only = SIZE_MAX;
    if (only == NULL) return VITC_OK;
    for (size_t i = 0; i < table->count; i++)
        if (vit_param_in_encoder(table->params[i].id) && strcmp(table->params[i].name, only) == 0) {
            model->only = i;
            return VITC_OK;
        }
    char shown[VITC_SHOWN_SIZE];
    return vitc_fail(log, VITC_ERR_ARGUMENT, "%s is no matrix of the encoder",
                     vitc_show(shown, only));
}

vitc_status vit_model_create(vit_model **out, const vit_config *config, vit_precision asked,
                             vit_dtype stored, const char *name, const vitc_log *log)
{
    return vit_model_create_only(out, config, asked, stored, NULL, name, log);
}

vitc_status vit_model_create_only(vit_model **out, const vit_config *config, vit_precision asked,
                                  vit_dtype stored, const char *only, const char *name,
                                  const vitc_log *log)
{
    *out = NULL;
    vit_model *model = calloc(1, sizeof *model);
    if (model == NULL) return vitc_fail_memory(log, "the model");
    model->config = *config;
    size_t *offsets = NULL, zeros = 0, made = 0;
    vitc_status status = vit_kernels_select(&model->kernels, log);
    if (status == VITC_OK) status = choose_precision(model, asked, stored, name, log);
    if (status == VITC_OK) status = vit_params_create(&model->table, config, log);
    if (status == VITC_OK) status = find_only(model, only, log);
    if (status != VITC_OK) goto cleanup;
    choose_formats(model);
    status = check_lengths(model, log);
    if (status != VITC_OK) goto cleanup;

    const size_t count = model->table.count;
    offsets = calloc(count, sizeof *offsets);
    model->is_set = calloc(count, sizeof *model->is_set);
    model->storage = calloc(count, sizeof *model->storage);
    model->blocks = calloc(config->layers, sizeof *model->blocks);
    if (offsets == NULL || model->is_set == NULL || model->storage == NULL ||
        model->blocks == NULL || !reserve_parameters(model, offsets, &zeros, &made)) {
        status = vitc_fail(log, VITC_ERR_MEMORY, "out of memory for %zu MiB of weights",
                           model->arena.size >> 20);
        goto cleanup;
    }
    for (size_t i = 0; i < count; i++) model->storage[i] = vitc_arena_at(&model->arena, offsets[i]);
    bind_parameters(model, vitc_arena_at(&model->arena, zeros));
    vit_positions_bind(model, vitc_arena_at(&model->arena, made));

cleanup:
    free(offsets);
    if (status != VITC_OK) {
        vit_model_free(model);
        return status;
    }
    *out = model;
    return VITC_OK;
}

const vit_param_table *vit_model_params(const vit_model *model)
{
    return &model->table;
}

const char *vit_model_matrix(const vit_model *model, size_t index)
{
    const vit_param_table *table = &model->table;
    for (size_t i = 0; i < table->count; i++)
        if (vit_param_in_encoder(table->params[i].id) && index-- == 0) return table->params[i].name;
    return NULL;
}

/* The factors of a matrix's rows: layer scale, gamma (W x + b) = (gamma W) x + gamma b. */
static vitc_status find_row_scale(const vit_model *model, const vit_param *param,
                                  const float **scale, const vitc_log *log)
{
    *scale = NULL;
    if (!model->config.layer_scale || (param->id != VIT_PROJ_WEIGHT && param->id != VIT_FC2_WEIGHT))
        return VITC_OK;
    const vit_param_id id = param->id == VIT_PROJ_WEIGHT ? VIT_LS1_GAMMA : VIT_LS2_GAMMA;
    const size_t i = vit_params_find(&model->table, id, param->layer);
    if (!model->is_set[i])
        return vitc_fail(log, VITC_ERR_INTERNAL, "%s is set before %s", param->name,
                         model->table.params[i].name);
    *scale = model->storage[i];
    return VITC_OK;
}

static vitc_status find_unset(const vit_model *model, size_t index, const vit_param **param,
                              const vitc_log *log)
{
    if (index >= model->table.count || model->is_set[index])
        return vitc_fail(log, VITC_ERR_ARGUMENT, "parameter %zu is unknown or was set before",
                         index);
    *param = &model->table.params[index];
    return VITC_OK;
}

static vit_linear matrix_linear(const vit_model *model, size_t index)
{
    const vit_param *param = &model->table.params[index];
    return (vit_linear){.out = param->shape[0],
                        .in = matrix_in(param),
                        .gemm = matrix_gemm(model, param),
                        .packed = model->storage[index]};
}

vitc_status vit_model_set(vit_model *model, size_t index, const float *values, const vitc_log *log)
{
    const vit_param *param;
    VITC_TRY(find_unset(model, index, &param, log));
    if (param->kind == VIT_PARAM_MATRIX) {
        const vit_linear linear = matrix_linear(model, index);
        const float *scale;
        VITC_TRY(find_row_scale(model, param, &scale, log));
        vit_linear_pack(&linear, values, scale);
    } else {
        memcpy(model->storage[index], values, param->count * sizeof(float));
    }
    model->is_set[index] = true;
    return VITC_OK;
}

vitc_status vit_model_set_quantized(vit_model *model, size_t index, const int8_t *q, float *scale,
                                    const vitc_log *log)
{
    const vit_param *param;
    const float *row_scale;
    VITC_TRY(find_unset(model, index, &param, log));
    if (param->kind != VIT_PARAM_MATRIX || matrix_gemm(model, param)->pack_quantized == NULL)
        return vitc_fail(log, VITC_ERR_INTERNAL, "%s does not take int8 weights", param->name);
    VITC_TRY(find_row_scale(model, param, &row_scale, log));
    for (size_t o = 0; row_scale != NULL && o < param->shape[0]; o++) scale[o] *= row_scale[o];
    const vit_linear linear = matrix_linear(model, index);
    vit_linear_pack_quantized(&linear, q, scale);
    model->is_set[index] = true;
    return VITC_OK;
}

vitc_status vit_preprocess_check(const vit_config *config, const patches_spec *spec,
                                 const char *name, const vitc_log *log)
{
    VITC_TRY(patches_spec_check(spec, name, log));
    /* A spec that fixes the size makes the same one of any image; ask with two unlike ones. */
    uint32_t height = 0, width = 0;
    const bool wide = patches_spec_output_size(spec, 517, 1031, &height, &width) &&
                      height == config->image_height && width == config->image_width;
    const bool tall = patches_spec_output_size(spec, 1031, 517, &height, &width) &&
                      height == config->image_height && width == config->image_width;
    if (wide && tall) return VITC_OK;
    char sentence[256];
    patches_spec_describe(spec, sentence, sizeof sentence);
    return vitc_fail(log, VITC_ERR_PREPROCESS,
                     "%s: the preprocessing (%s) does not always make images of the model's size, "
                     "%ux%u; give one that does with --preprocess",
                     name, sentence, config->image_height, config->image_width);
}

/* "class 7" for every class. */
static bool number_labels(vit_description *description, uint32_t classes)
{
    description->labels = calloc(classes, sizeof *description->labels);
    if (description->labels == NULL) return false;
    description->label_count = classes;
    for (uint32_t i = 0; i < classes; i++) {
        char label[24];
        snprintf(label, sizeof label, "class %u", i);
        description->labels[i] = strdup(label);
        if (description->labels[i] == NULL) return false;
    }
    return true;
}

static bool any_nonzero(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] != 0) return true;
    return false;
}

/* Whether some weight of a head is not zero. Heads are float32; padding is zero. */
static bool head_is_trained(const vit_model *model)
{
    for (size_t i = 0; i < model->table.count; i++) {
        const vit_param *param = &model->table.params[i];
        if (vit_param_in_head(param->id) &&
            any_nonzero(model->storage[i],
                        vit_linear_packed_size(matrix_gemm(model, param), param->shape[0],
                                               matrix_in(param)) /
                            sizeof(float)))
            return true;
    }
    return false;
}

vitc_status vit_model_finish(vit_model *model, vit_description *description, const char *name,
                             const vitc_log *log)
{
    const vit_config *config = &model->config;
    for (size_t i = 0; i < model->table.count; i++)
        if (!model->is_set[i])
            return vitc_fail(log, VITC_ERR_MODEL, "%s: tensor %s was never read", name,
                             model->table.params[i].name);
    if (description->labels != NULL && description->label_count != config->classes)
        return vitc_fail(log, VITC_ERR_MODEL, "%s: %u labels for %u classes", name,
                         description->label_count, config->classes);
    VITC_TRY(vit_preprocess_check(config, &description->preprocess, name, log));
    for (uint32_t i = 0; config->layer_scale && i < config->layers; i++) {
        const float *gamma1 = vit_model_find(model, VIT_LS1_GAMMA, i),
                    *gamma2 = vit_model_find(model, VIT_LS2_GAMMA, i);
        float *proj_bias = vit_model_find(model, VIT_PROJ_BIAS, i),
              *fc2_bias = vit_model_find(model, VIT_FC2_BIAS, i);
        for (uint32_t d = 0; d < config->width; d++) { /* their matrices were scaled when packed */
            proj_bias[d] *= gamma1[d];
            fc2_bias[d] *= gamma2[d];
        }
    }
    vit_positions_fill(model);
    const bool labelled = description->labels != NULL;
    if (!labelled && !number_labels(description, config->classes))
        return vitc_fail_memory(log, "labels");
    model->labelled = labelled;
    model->head_trained = head_is_trained(model);
    model->description = *description;
    *description = (vit_description){0};
    return VITC_OK;
}

vit_model_info vit_model_describe(const vit_model *model)
{
    const vit_description *d = &model->description;
    return (vit_model_info){.config = &model->config,
                            .preprocess = &d->preprocess,
                            .source = d->source,
                            .weights_dtype = d->dtype,
                            .card = d->card,
                            .license = d->license,
                            .quantization = d->quantization,
                            .calibration = d->calibration,
                            .parameters = model->table.elements,
                            .weights_size = model->arena.size,
                            .kernel_row = model->kernels.name,
                            .precision = model->precision,
                            .precision_reason = model->precision_reason,
                            .precision_kernel = model->encoder_gemm->name,
                            .labelled = model->labelled,
                            .head_trained = model->head_trained};
}

const char *vit_model_label(const vit_model *model, uint32_t index)
{
    const vit_description *d = &model->description;
    return index < d->label_count ? d->labels[index] : "";
}
