/* app_train_recipe.h - how a model is trained: what `vitc train` can be told, and what holds where
 * it was not told.
 *
 * The values of its options (app_train_options.c) that decide what comes out, each with one that
 * says "not given". Everything else is made from them: the library's options, the part of
 * config.json and of checkpoints that says how a run was made, and the comparison on --resume. */
#ifndef VITC_APP_TRAIN_RECIPE_H
#define VITC_APP_TRAIN_RECIPE_H

#include <stdbool.h>

#include "app_values.h"
#include "datasets.h"
#include "vit_optimizer.h"
#include "vit_schedule.h"
#include "vit_train.h"
#include "vitc_json.h"

/* Not given: NULL, UINT64_MAX for counts, NaN for numbers, -1 for choices, size 0, false. */
typedef struct app_recipe {
    /* the model */
    const char *model; /* to fine-tune; "bundled" is the one built in; NULL: from scratch */
    const char *config;
    uint64_t dim, depth, heads, mlp, patch;
    app_size image_size;
    int pool;                               /* vit_pool */
    int position, position_op, position_at; /* patches_position_kind, ... */
    double position_std;

    /* the data */
    double val_split;
    uint64_t seed;
    const char *class_names;
    bool no_exif;
    uint64_t max_pixels;

    /* optimization */
    uint64_t epochs, batch, accumulate, max_steps, val_every;
    int optimizer;             /* vit_optimizer_kind */
    double lr, min_lr, warmup; /* epochs */
    int schedule;              /* vit_schedule_kind */
    double step_epochs, step_factor;
    double weight_decay, beta2, momentum, clip, layer_decay, ema;
    const char *freeze; /* "head"; how many of the first blocks; -N: all but the last N */
    int precision;      /* vit_precision */
    bool recompute;

    /* regularization */
    double smoothing, drop_path, dropout, patch_dropout, patch_dropout_off;
    double mixup, cutmix, mix_prob, mix_off;

    /* augmentation */
    int augment; /* app_augment */
    app_pair crop_scale, randaugment;
    uint64_t pad;
    double flip, jitter, hue, erase, soften, blur, sharpen;
} app_recipe;

typedef enum app_augment {
    APP_AUGMENT_NONE = 0,    /* resized */
    APP_AUGMENT_LIGHT,       /* a large part of the picture, flipped or not */
    APP_AUGMENT_CIFAR,       /* shifted by up to 4 pixels, flipped, AutoAugment's pairs */
    APP_AUGMENT_RANDAUGMENT, /* a part, flipped, two operations */
    APP_AUGMENT_PHOTOS       /* the same, colours changed a little, softer or sharper */
} app_augment;

app_recipe app_recipe_unset(void);

/* Gives each field of *recipe that is given in `given` the value that it has there. */
void app_recipe_overlay(app_recipe *recipe, const app_recipe *given);

/* Whether each option that is given has something to act on: an exit status. */
int app_recipe_check_given(const app_recipe *recipe);

/* Fills in what is not given: for the model's image size and layers, for training from scratch or
 * fine-tuning, for `images` to train on. What contradicts itself gets a message: an exit status. */
int app_recipe_complete(app_recipe *recipe, const vit_config *config, size_t images);

/* Steps of an epoch, and the epochs that there are: --max-steps may end the last one, and leave out
 * those after it. Of a complete recipe. */
uint64_t app_recipe_steps_per_epoch(const app_recipe *recipe, size_t images);
uint64_t app_recipe_epochs(const app_recipe *recipe, size_t images);

/* The blocks at the beginning that --freeze leaves as they are; of a complete recipe. */
uint32_t app_recipe_frozen(const app_recipe *recipe, const vit_config *config);

/* {"epochs": 100, ...}: names of options, - as _; NULL without memory. What is not given is left
 * out. */
vitc_json *app_recipe_json(const app_recipe *recipe);
/* The reverse; texts live in `json`. False when something there is no value of that option. */
bool app_recipe_read(app_recipe *recipe, const vitc_json *json);

/* What the library takes, of a complete recipe. */
vit_train_options app_recipe_trainer(const app_recipe *recipe, const vit_config *config,
                                     int threads);
vit_optimizer_options app_recipe_optimizer(const app_recipe *recipe, int threads);
datasets_augmentation app_recipe_augmentation(const app_recipe *recipe, const vit_config *config);
datasets_mixing app_recipe_mixing(const app_recipe *recipe);
vit_schedule app_recipe_schedule(const app_recipe *recipe, uint64_t steps_per_epoch,
                                 uint64_t steps);

#endif
