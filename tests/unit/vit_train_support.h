/* vit_train_support.h - trainers with random parameters and images. */
#ifndef VIT_TRAIN_SUPPORT_H
#define VIT_TRAIN_SUPPORT_H

#include "vit_params.h"
#include "vit_test_support.h"
#include "vit_train.h"

static const vitc_log log_lines = {test_log_line, NULL};

static inline vit_trainer *make_trainer(const vit_config *config, const vit_train_options *options)
{
    vit_trainer *trainer = NULL;
    assert_int_equal(vit_trainer_create(&trainer, config, options, &log_lines), VITC_OK);
    return trainer;
}

/* Numbers that let every part of the model be seen in the loss. */
static inline void randomize(vit_trainer *trainer)
{
    vit_param_table table;
    assert_int_equal(vit_params_create(&table, vit_trainer_config(trainer), NULL), VITC_OK);
    for (size_t i = 0; i < table.count; i++) {
        const vit_param *p = &table.params[i];
        const bool gain = strstr(p->name, "norm") != NULL && strstr(p->name, "weight") != NULL;
        const double scale = p->kind == VIT_PARAM_MATRIX ? 0.15 : 0.3;
        float *values = vit_trainer_parameters(trainer) + p->offset;
        uint64_t state = 77 + i;
        for (size_t j = 0; j < p->count; j++)
            values[j] = (float)(scale * (double)test_random_normal(&state)) + (gain ? 1 : 0);
    }
    vit_params_free(&table);
}

static inline size_t patch_floats(const vit_config *c)
{
    return (size_t)vit_config_patches(c) * 3 * c->patch * c->patch;
}

static inline void random_images(vit_trainer *trainer, uint32_t batch, uint64_t seed)
{
    const size_t count = patch_floats(vit_trainer_config(trainer));
    for (uint32_t b = 0; b < batch; b++) {
        float *patches = vit_trainer_patches(trainer, b);
        uint64_t state = seed + 1000 * b;
        for (size_t i = 0; i < count; i++) patches[i] = test_random_normal(&state);
    }
}

/* Probabilities of two classes for each image. */
static inline float *random_targets(const vit_config *c, uint32_t batch, uint64_t seed)
{
    float *targets = calloc((size_t)batch * c->classes, sizeof *targets);
    assert_non_null(targets);
    for (uint32_t b = 0; b < batch; b++) {
        targets[b * c->classes + test_random_bits(&seed) % c->classes] += 0.75f;
        targets[b * c->classes + test_random_bits(&seed) % c->classes] += 0.25f;
    }
    return targets;
}

/* max |a - b| / max |b| over one parameter; all but nothing is compared with `floor`. */
static inline double gradient_error(const float *found, const double *expected, size_t count,
                                    double floor)
{
    double worst = 0, largest = floor;
    for (size_t i = 0; i < count; i++) {
        const double difference = fabs((double)found[i] - expected[i]);
        if (!(difference <= worst)) worst = isnan(difference) ? INFINITY : difference;
        if (fabs(expected[i]) > largest) largest = fabs(expected[i]);
    }
    return worst / largest;
}

#endif
