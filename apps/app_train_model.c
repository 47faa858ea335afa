/* The model of a run: of named and explicit sizes with random weights, or one to fine-tune with a
 * new head. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app_model.h"
#include "app_report.h"
#include "app_text.h"
#include "app_train.h"
#include "vitc_log.h"

static int no_memory(void)
{
    app_error("out of memory for the model");
    return APP_EXIT_INTERNAL;
}

static int refuse(const char *message)
{
    app_error("%s", message);
    return APP_EXIT_USAGE;
}

/* ---- from scratch ---- */

static void set(uint32_t *field, uint64_t given)
{
    if (given != UINT64_MAX) *field = (uint32_t)given;
}

/* Where a kind of positions has its place by itself. */
static patches_position_at default_place(patches_position_kind kind)
{
    const bool inside = kind == PATCHES_POSITION_RELATIVE || kind == PATCHES_POSITION_ROPE_2D;
    return inside ? PATCHES_POSITION_EVERY_SHARED : PATCHES_POSITION_STEM;
}

static void set_positions(vit_config *config, const app_recipe *r)
{
    config->position =
        r->position >= 0 ? (patches_position_kind)r->position : PATCHES_POSITION_LEARNED_2D;
    config->position_op =
        r->position_op >= 0 ? (patches_position_op)r->position_op : PATCHES_POSITION_ADD;
    config->position_at =
        r->position_at >= 0 ? (patches_position_at)r->position_at : default_place(config->position);
    config->position_covers_prefix =
        config->position == PATCHES_POSITION_LEARNED_1D && config->class_token;
}

static void name_architecture(vit_config *config, const app_recipe *r)
{
    const bool changed = r->dim != UINT64_MAX || r->depth != UINT64_MAX || r->heads != UINT64_MAX ||
                         r->mlp != UINT64_MAX || r->patch != UINT64_MAX;
    if (!changed) return;
    snprintf(config->architecture, sizeof config->architecture, "ViT %u-%u-%u-%u/%u", config->width,
             config->layers, config->heads, config->mlp, config->patch);
}

static int configure(vit_config *config, const app_train *t)
{
    const app_recipe *r = &t->recipe;
    vitc_status status =
        vit_config_named(config, r->config != NULL ? r->config : "vit-ti16", &t->log);
    if (status != VITC_OK) return app_exit_status(status);
    set(&config->patch, r->patch);
    set(&config->layers, r->depth);
    if (r->dim != UINT64_MAX) {
        config->width = (uint32_t)r->dim;
        config->heads = r->dim >= 64 ? (uint32_t)r->dim / 64 : 1;
        config->mlp = (uint32_t)(4 * r->dim);
    }
    set(&config->heads, r->heads);
    set(&config->mlp, r->mlp);
    if (r->image_size.height != 0) {
        config->image_height = r->image_size.height;
        config->image_width = r->image_size.width;
    }
    config->classes = (uint32_t)datasets_index_classes(t->index);
    if (r->pool == VIT_POOL_AVG) { /* arXiv 2205.01580: no class token, the mean of the patches */
        config->pool = VIT_POOL_AVG;
        config->class_token = false;
    }
    set_positions(config, r);
    /* Files may say so, as it changes nothing; who asks for it expects that it does. */
    if (config->position == PATCHES_POSITION_NONE && r->position_at > PATCHES_POSITION_STEM)
        return refuse("--pos none leaves nothing that --pos-at could give to every block");
    if (!isnan(r->position_std) && (!patches_position_has_table(config->position) ||
                                    config->position == PATCHES_POSITION_SINCOS_2D))
        return refuse(
            "--pos-std is for learned tables of positions: relative ones begin with zeros, "
            "and the rest is fixed");
    name_architecture(config, r);
    status = vit_config_check(config, &t->log);
    if (status != VITC_OK)
        app_error("see --config, --dim, --depth, --heads, --mlp, --patch, --img-size, --pos");
    return status != VITC_OK ? APP_EXIT_USAGE : APP_EXIT_DONE;
}

/* The whole picture at the model's size, values from -1 to 1. */
static patches_spec default_spec(const vit_config *config)
{
    return (patches_spec){.resize = PATCHES_RESIZE_EXACT,
                          .resize_height = config->image_height,
                          .resize_width = config->image_width,
                          .filter = IMGIO_BICUBIC,
                          .rescale = 1.0 / 255,
                          .normalize = true,
                          .mean = {0.5f, 0.5f, 0.5f},
                          .std = {0.5f, 0.5f, 0.5f}};
}

/* Without numbers, which the trainer will have: whether there is memory for them is seen first. */
static int make_random(app_train *t, const char *const *labels)
{
    const int result = configure(&t->weights.config, t);
    if (result != APP_EXIT_DONE) return result;
    const vit_config *config = &t->weights.config;
    vitc_status status = vit_params_create(&t->weights.table, config, &t->log);
    if (status == VITC_OK)
        status = vit_weights_set_labels(&t->weights, labels, config->classes, &t->log);
    t->weights.description.preprocess = default_spec(config);
    return app_exit_status(status);
}

/* ---- fine-tuning ---- */

static int check_fine_tuning(const app_recipe *r)
{
    if (r->config != NULL || r->dim != UINT64_MAX || r->depth != UINT64_MAX ||
        r->heads != UINT64_MAX || r->mlp != UINT64_MAX || r->patch != UINT64_MAX)
        return refuse("--config, --dim, --depth, --heads, --mlp and --patch are for training from "
                      "scratch; with -m the model says what it is");
    if (r->pool >= 0 || r->position >= 0 || r->position_op >= 0 || r->position_at >= 0 ||
        !isnan(r->position_std))
        return refuse("--pool and --pos are for training from scratch; with -m the model says what "
                      "it has");
    return APP_EXIT_DONE;
}

static int read_base(app_train *t, const char *const *labels)
{
    const app_recipe *r = &t->recipe;
    const vit_load_options options = {.threads = (int)t->settings->threads,
                                      .image_width = r->image_size.width,
                                      .image_height = r->image_size.height};
    const int result = check_fine_tuning(r);
    if (result != APP_EXIT_DONE) return result;
    const vitc_status status = app_model_read_weights(&t->weights, r->model, &options, &t->log);
    if (status != VITC_OK) return app_exit_status(status);
    const uint32_t classes = (uint32_t)datasets_index_classes(t->index);
    t->new_head = !vit_weights_has_classes(&t->weights, labels, classes);
    return app_exit_status(vit_weights_new_head(&t->weights, labels, classes, &t->log));
}

/* ---- both ---- */

int app_train_make_model(app_train *t)
{
    const size_t classes = datasets_index_classes(t->index);
    if (classes > UINT32_MAX / 2) return refuse("too many classes");
    const char **labels = malloc(classes * sizeof *labels);
    if (labels == NULL) return no_memory();
    for (size_t i = 0; i < classes; i++) labels[i] = datasets_index_class(t->index, i);
    int result = t->recipe.model != NULL ? read_base(t, labels) : make_random(t, labels);
    free((void *)labels);
    if (t->recipe.no_exif) t->weights.description.preprocess.ignore_exif = true;
    if (result == APP_EXIT_DONE && t->recipe.model != NULL) {
        t->base = app_text_base_name(t->recipe.model);
        if (t->base == NULL) result = no_memory();
    }
    return result;
}
