#include <stdlib.h>
#include <string.h>

#include "vit_train_layout.h"
#include "vitc_log.h"
#include "vitc_size.h"
#include "vitc_threads.h"

enum { GROUP_MAX = 4096 };

vit_train_options vit_train_options_default(void)
{
    return (vit_train_options){.batch = 64, .precision = VIT_PRECISION_F32};
}

static vitc_status check_options(const vit_config *config, const vit_train_options *options,
                                 const vitc_log *log)
{
    if (options->batch == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "training: a batch has at least one image");
    if (options->precision != VIT_PRECISION_DEFAULT && options->precision != VIT_PRECISION_F32 &&
        options->precision != VIT_PRECISION_BF16)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "training: the precision is %s; expected f32 or "
                         "bf16",
                         vit_precision_string(options->precision));
    const struct {
        const char *name;
        float value;
    } probabilities[] = {{"drop path", options->drop_path},
                         {"dropout", options->dropout},
                         {"patch dropout", options->patch_dropout}};
    for (size_t i = 0; i < sizeof probabilities / sizeof probabilities[0]; i++)
        if (!(probabilities[i].value >= 0 && probabilities[i].value < 1))
            return vitc_fail(log, VITC_ERR_ARGUMENT,
                             "training: %s is %g; expected a probability below 1",
                             probabilities[i].name, (double)probabilities[i].value);
    if (options->group > GROUP_MAX)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "training: a group of %u images; expected at most %d", options->group,
                         GROUP_MAX);
    const bool table = patches_position_has_table(config->position);
    const bool inside = config->position != PATCHES_POSITION_NONE &&
                        !(table && config->position_at == PATCHES_POSITION_STEM);
    if (options->patch_dropout > 0 && inside)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "training: patches cannot be dropped where %s positions work in the "
                         "blocks; place a table of positions at the stem, or use no patch dropout",
                         patches_position_string(config->position));
    if (options->frozen > config->layers)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "training: %u of %u blocks cannot be frozen",
                         options->frozen, config->layers);
    return VITC_OK;
}

vitc_status vit_trainer_check(const vit_config *config, const vit_train_options *options,
                              const vitc_log *log)
{
    VITC_TRY(vit_config_check(config, log));
    const struct {
        bool has;
        const char *name;
    } untrainable[] = {
        {config->distilled_head, "a distillation head"},
        {config->scores != VIT_SCORES_SOFTMAX, "scores other than softmax"},
    };
    for (size_t i = 0; i < sizeof untrainable / sizeof untrainable[0]; i++)
        if (untrainable[i].has)
            return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                             "%s: models with %s can be run but not trained yet",
                             config->architecture, untrainable[i].name);
    return check_options(config, options, log);
}

/* ---- life ---- */

/* A trainer without its arena, whose size comes back in *size. */
static vitc_status plan(vit_trainer **out, size_t *size, const vit_config *config,
                        const vit_train_options *options, const vitc_log *log)
{
    *out = NULL;
    VITC_TRY(vit_trainer_check(config, options, log));
    vit_trainer *t = calloc(1, sizeof *t);
    if (t == NULL) return vitc_fail_memory(log, "the trainer");
    t->config = *config;
    t->options = *options;
    t->threads = t->options.threads = vitc_threads_choose(options->threads, NULL, 0);
    t->blocks = calloc(config->layers, sizeof *t->blocks);
    vitc_status status = VITC_OK;
    if (t->blocks == NULL) status = vitc_fail_memory(log, "the trainer");
    if (status == VITC_OK) status = vit_kernels_select(&t->kernels, log);
    if (status == VITC_OK) status = vit_params_create(&t->table, config, log);
    if (status != VITC_OK) {
        vit_trainer_free(t);
        return status;
    }
    const bool bf16 = options->precision == VIT_PRECISION_BF16;
    t->options.precision = bf16 ? VIT_PRECISION_BF16 : VIT_PRECISION_F32;
    t->encoder_gemm = bf16 ? &t->kernels.bf16 : &t->kernels.f32;
    /* As in a model that runs, rounding here only pays where it saves time. */
    t->attention_gemm = bf16 && t->kernels.native_bf16 ? &t->kernels.bf16 : &t->kernels.f32;
    *size = vit_train_plan(t);
    if (*size == 0) {
        vit_trainer_free(t);
        return vitc_fail(log, VITC_ERR_TOO_LARGE,
                         "training %s with a batch of %u does not fit in this machine's address "
                         "space",
                         config->architecture, options->batch);
    }
    *out = t;
    return VITC_OK;
}

size_t vit_trainer_size(const vit_config *config, const vit_train_options *options)
{
    vit_trainer *t;
    size_t size = 0;
    if (plan(&t, &size, config, options, NULL) != VITC_OK) return 0;
    vit_trainer_free(t);
    return size;
}

vitc_status vit_trainer_create(vit_trainer **out, const vit_config *config,
                               const vit_train_options *options, const vitc_log *log)
{
    vit_trainer *t;
    size_t size;
    *out = NULL;
    VITC_TRY(plan(&t, &size, config, options, log));
    t->block = vitc_aligned_alloc(size);
    if (t->block == NULL) {
        vit_trainer_free(t);
        return vitc_fail(log, VITC_ERR_MEMORY,
                         "out of memory for the %zu MiB that training %s takes; use a smaller "
                         "batch than %u or recompute activations",
                         size >> 20, config->architecture, options->batch);
    }
    vit_train_lay_out(t);
    *out = t;
    return VITC_OK;
}

void vit_trainer_free(vit_trainer *t)
{
    if (t == NULL) return;
    vit_params_free(&t->table);
    vitc_aligned_free(t->block);
    free(t->blocks);
    free(t);
}

const vit_config *vit_trainer_config(const vit_trainer *t)
{
    return &t->config;
}

const vit_train_options *vit_trainer_options(const vit_trainer *t)
{
    return &t->options;
}

float *vit_trainer_parameters(vit_trainer *t)
{
    return t->parameters;
}

float *vit_trainer_gradients(vit_trainer *t)
{
    return t->gradients;
}

size_t vit_trainer_count(const vit_trainer *t)
{
    return t->table.elements;
}

float *vit_trainer_patches(vit_trainer *t, uint32_t b)
{
    return t->patches + (size_t)b * vit_config_patches(&t->config) * PATCHES_CHANNELS *
                            t->config.patch * t->config.patch;
}

void vit_trainer_zero_gradients(vit_trainer *t)
{
    enum { PART = 1 << 16 };
#pragma omp parallel for num_threads(t->threads) schedule(static)
    for (size_t i = 0; i < t->table.elements; i += PART)
        memset(t->gradients + i, 0,
               vitc_size_min(PART, t->table.elements - i) * sizeof *t->gradients);
}
