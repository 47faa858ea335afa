#include <stdlib.h>
#include <string.h>

#include "vit_model.h"
#include "vitc_log.h"
#include "vitc_size.h"

/* splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). */
static uint64_t random_bits(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* The sum of four 16-bit uniforms, centred and scaled to deviation 0.02: close enough to normal for
 * measuring, and one multiplication each. */
static float random_weight(uint64_t *state)
{
    const uint64_t bits = random_bits(state);
    const float sum = (float)(bits & 0xFFFF) + (float)(bits >> 16 & 0xFFFF) +
                      (float)(bits >> 32 & 0xFFFF) + (float)(bits >> 48);
    return (sum - 131070.0f) * (0.02f / 37837.2f);
}

/* What a freshly initialized network has: weights and embeddings random, norms and layer scale 1,
 * biases 0. */
static void fill(float *values, const vit_param *param, uint64_t seed)
{
    const bool gain = strstr(param->name, "norm") != NULL && strstr(param->name, "weight") != NULL;
    const bool scale = strstr(param->name, "gamma") != NULL;
    uint64_t state = seed + 0x632BE59BD9B4E019u * (param->offset + 1);
    for (size_t i = 0; i < param->count; i++)
        values[i] = param->kind != VIT_PARAM_VECTOR ? random_weight(&state)
                    : gain || scale                 ? 1.0f
                                                    : 0.0f;
}

vitc_status vit_model_random(vit_model **out, const vit_config *config, vit_precision precision,
                             uint64_t seed, const vitc_log *log)
{
    vit_model *model = NULL;
    float *values = NULL;
    *out = NULL;
    VITC_TRY(vit_config_check(config, log));
    /* float weights are quantized, or rounded, when they are packed */
    const vit_dtype stored = precision == VIT_PRECISION_INT8   ? VIT_DTYPE_INT8
                             : precision == VIT_PRECISION_AUTO ? VIT_DTYPE_BF16
                                                               : VIT_DTYPE_F32;
    vitc_status status = vit_model_create(&model, config, precision, stored, "random model", log);
    const vit_param_table *table = status == VITC_OK ? vit_model_params(model) : NULL;
    size_t largest = 0;
    for (size_t i = 0; status == VITC_OK && i < table->count; i++)
        largest = vitc_size_max(largest, table->params[i].count);
    if (status == VITC_OK) {
        values = calloc(largest, sizeof *values);
        if (values == NULL) status = vitc_fail_memory(log, "random weights");
    }
    for (int matrices = 0; matrices < 2; matrices++)
        for (size_t i = 0; status == VITC_OK && i < table->count; i++) {
            if ((table->params[i].kind == VIT_PARAM_MATRIX) != (matrices == 1)) continue;
            fill(values, &table->params[i], seed);
            status = vit_model_set(model, i, values, log);
        }
    vit_description description = {.source = "random weights",
                                   .preprocess = {.resize = PATCHES_RESIZE_EXACT,
                                                  .resize_height = config->image_height,
                                                  .resize_width = config->image_width,
                                                  .filter = IMGIO_BICUBIC,
                                                  .rescale = 1 / 255.0,
                                                  .std = {1, 1, 1}}};
    if (status == VITC_OK) status = vit_model_finish(model, &description, "random model", log);
    free(values);
    if (status != VITC_OK) {
        vit_description_free(&description);
        vit_model_free(model);
        return status;
    }
    *out = model;
    return VITC_OK;
}
