#include "vit_enlarge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vitc_inverse.h"
#include "vitc_log.h"
#include "vitc_size.h"

#define SIDE_MAX 65535 /* pixels, as patches_spec_check has it */

/* Pixels on either side of a patch that are looked at: beyond any filter's reach when enlarging. */
enum { MARGIN = 4 };

/* B [factor * patch][patch + 2 MARGIN]: how the enlarged patch is made of the pixels around it. */
static vitc_status make_resize(double **out, uint32_t patch, uint32_t factor, imgio_filter filter,
                               const vitc_log *log)
{
    const uint32_t in = patch + 2 * MARGIN, big = factor * patch;
    double *b = calloc((size_t)big * in, sizeof *b);
    double *weights = calloc(imgio_resize_taps(in, factor * in, filter), sizeof *weights);
    *out = b;
    if (b == NULL || weights == NULL) {
        free(b);
        free(weights);
        return vitc_fail_memory(log, "a resizing matrix");
    }
    for (uint32_t i = 0; i < big; i++) {
        uint32_t first;
        const uint32_t count =
            imgio_resize_weights(weights, &first, in, factor * in, factor * MARGIN + i, filter);
        for (uint32_t k = 0; k < count; k++) b[(size_t)i * in + first + k] = weights[k];
    }
    free(weights);
    return VITC_OK;
}

/* max |T' B - E|: how far the pixels that the kernel sees are from the patch's own. */
static double residual_of(const double *t, const double *b, uint32_t patch, uint32_t factor)
{
    const uint32_t in = patch + 2 * MARGIN, big = factor * patch;
    double worst = 0;
    for (uint32_t p = 0; p < patch; p++)
        for (uint32_t k = 0; k < in; k++) {
            double sum = k == MARGIN + p ? -1 : 0;
            for (uint32_t i = 0; i < big; i++)
                sum += t[(size_t)i * patch + p] * b[(size_t)i * in + k];
            worst = fmax(worst, fabs(sum));
        }
    return worst;
}

vitc_status vit_enlarge_matrix(double **matrix, uint32_t patch, uint32_t factor,
                               imgio_filter filter, const vitc_log *log)
{
    static const double rank_tolerance = 1e-10, exact = 1e-9;
    const uint32_t in = patch + 2 * MARGIN, big = factor * patch;
    double *b = NULL, *inverse = NULL, *t = NULL;
    *matrix = NULL;
    VITC_TRY(make_resize(&b, patch, factor, filter, log));
    vitc_status status = VITC_OK;
    inverse = calloc((size_t)in * big, sizeof *inverse);
    t = calloc((size_t)big * patch, sizeof *t);
    if (inverse == NULL || t == NULL || !vitc_pseudo_inverse(inverse, b, big, in, rank_tolerance)) {
        status = vitc_fail_memory(log, "a resizing matrix");
        goto cleanup;
    }
    for (uint32_t i = 0; i < big; i++)
        for (uint32_t p = 0; p < patch; p++)
            t[(size_t)i * patch + p] = inverse[(size_t)(MARGIN + p) * big + i];
    if (residual_of(t, b, patch, factor) > exact)
        status = vitc_fail(log, VITC_ERR_ARGUMENT,
                           "patches of %ux%u pixels that %s enlarges %u times do not hold their "
                           "pixels any more; take another filter (nearest always works) or a "
                           "larger factor",
                           patch, patch, imgio_filter_string(filter), factor);

cleanup:
    free(b);
    free(inverse);
    if (status != VITC_OK) {
        free(t);
        return status;
    }
    *matrix = t;
    return VITC_OK;
}

/* to [big][big] = T from [patch][patch] T'; `half` has room for big * patch. */
static void enlarge_kernel(float *to, const float *from, const double *t, double *half, size_t big,
                           size_t patch)
{
    for (size_t i = 0; i < big; i++)
        for (size_t x = 0; x < patch; x++) {
            double sum = 0;
            for (size_t y = 0; y < patch; y++)
                sum += t[i * patch + y] * (double)from[y * patch + x];
            half[i * patch + x] = sum;
        }
    for (size_t i = 0; i < big; i++)
        for (size_t j = 0; j < big; j++) {
            double sum = 0;
            for (size_t x = 0; x < patch; x++) sum += half[i * patch + x] * t[j * patch + x];
            to[i * big + j] = (float)sum;
        }
}

/* All kernels of the patch projection, malloc'd. */
static vitc_status enlarge_kernels(float **out, const vit_weights *weights, uint32_t factor,
                                   imgio_filter filter, const vitc_log *log)
{
    const vit_config *config = &weights->config;
    const size_t patch = config->patch, big = factor * patch;
    const size_t kernels = PATCHES_CHANNELS * (size_t)config->width;
    const vit_param *param =
        &weights->table.params[vit_params_find(&weights->table, VIT_PATCH_WEIGHT, 0)];
    size_t size = 0;
    double *t, *half = NULL;
    float *made = NULL;
    *out = NULL;
    VITC_TRY(vit_enlarge_matrix(&t, config->patch, factor, filter, log));
    if (vitc_size_mul3(kernels, big, big, &size) && size > 0) made = calloc(size, sizeof *made);
    half = calloc(big * patch, sizeof *half);
    vitc_status status = VITC_OK;
    if (made == NULL || half == NULL) status = vitc_fail_memory(log, "larger kernels");
    for (size_t k = 0; k < kernels && status == VITC_OK; k++)
        enlarge_kernel(made + k * big * big,
                       weights->parameters + param->offset + k * patch * patch, t, half, big,
                       patch);
    free(t);
    free(half);
    if (status != VITC_OK) {
        free(made);
        return status;
    }
    *out = made;
    return VITC_OK;
}

/* The preprocessing for pictures that are `factor` times as large in every step. */
static bool enlarge_spec(patches_spec *spec, uint32_t factor, imgio_filter filter)
{
    uint32_t *const sides[] = {&spec->resize_height, &spec->resize_width, &spec->longest_edge,
                               &spec->crop_height, &spec->crop_width};
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        if (*sides[i] > SIDE_MAX / factor) return false;
        *sides[i] *= factor;
    }
    spec->filter = filter;
    return true;
}

/* Configuration and preprocessing of the larger model. */
static vitc_status plan(vit_config *config, patches_spec *spec, const vit_weights *weights,
                        uint32_t factor, imgio_filter filter, const vitc_log *log)
{
    *config = weights->config;
    *spec = weights->description.preprocess;
    if (factor < 2)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "enlarging %u times: the factor is "
                         "a whole number from 2 on",
                         factor);
    if (imgio_filter_string(filter) == NULL)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "enlarging: %d is not a filter", (int)filter);
    if (spec->resize == PATCHES_RESIZE_NONE)
        return vitc_fail(log, VITC_ERR_PREPROCESS,
                         "enlarging: the model's preprocessing does not resize its images, which "
                         "would then stay as small as they are; give one that does");
    if (config->image_height > SIDE_MAX / factor || config->image_width > SIDE_MAX / factor ||
        !enlarge_spec(spec, factor, filter))
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "enlarging %u times: images would have more than %d pixels on a side",
                         factor, SIDE_MAX);
    config->image_height *= factor;
    config->image_width *= factor;
    config->patch *= factor;
    VITC_TRY(vit_config_check(config, log));
    return vit_preprocess_check(config, spec, "the enlarged model", log);
}

vitc_status vit_weights_enlarge(vit_weights *weights, uint32_t factor, imgio_filter filter,
                                const vitc_log *log)
{
    vit_config config;
    patches_spec spec;
    float *kernels;
    VITC_TRY(plan(&config, &spec, weights, factor, filter, log));
    VITC_TRY(enlarge_kernels(&kernels, weights, factor, filter, log));
    const vitc_status status = vit_weights_reshape(weights, &config, log);
    if (status == VITC_OK) {
        const vit_param *param =
            &weights->table.params[vit_params_find(&weights->table, VIT_PATCH_WEIGHT, 0)];
        memcpy(weights->parameters + param->offset, kernels, param->count * sizeof *kernels);
        weights->description.preprocess = spec;
        free(weights->description.quantization); /* it is about other matrices */
        weights->description.quantization = NULL;
    }
    free(kernels);
    return status;
}
