/* The files of a run besides its metrics: models with their cards, pictures of a batch, the report
 * and the exports. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app_measure.h"
#include "app_report.h"
#include "app_text.h"
#include "app_train.h"
#include "app_train_sheet.h"
#include "vitc_file.h"
#include "vitc_size.h"

static int no_memory(void)
{
    app_error("out of memory for the run");
    return APP_EXIT_INTERNAL;
}

/* ---- model files ---- */

static bool put_number(vitc_json *o, const char *key, double number)
{
    return isnan(number) || vitc_json_set_number(o, key, number);
}

static bool put_results(vitc_json *card, const app_train *t, bool average,
                        const app_train_record *record)
{
    const app_train_score *score = average ? &record->ema : &record->validation;
    vitc_json *o = vitc_json_object();
    const bool good =
        o != NULL && vitc_json_set_integer(o, "epoch", record->epoch) &&
        vitc_json_set_integer(o, "step", (int64_t)record->step) &&
        vitc_json_set_string(o, "weights", average ? "running average" : "as trained") &&
        put_number(o, "validation_accuracy", score->accuracy) &&
        put_number(o, "validation_loss", score->loss) &&
        (t->measured_images == 0 || isnan(score->accuracy) ||
         vitc_json_set_integer(o, "validation_images", (int64_t)t->measured_images)) &&
        put_number(o, "training_loss", record->loss) &&
        vitc_json_set_integer(o, "bad_images", (int64_t)record->bad_images) &&
        (t->validated || vitc_json_set_bool(o, "validated", false));
    return vitc_json_set(card, "results", o) && good;
}

static bool put_card_data(vitc_json *card, const app_train *t)
{
    vitc_json *o = vitc_json_object();
    char *name = app_text_base_name(t->data[0]);
    const bool good = o != NULL && name != NULL && vitc_json_set_string(o, "name", name) &&
                      vitc_json_set_integer(o, "images", (int64_t)datasets_index_count(t->index)) &&
                      vitc_json_set_string(o, "fingerprint", datasets_index_fingerprint(t->index));
    free(name);
    return vitc_json_set(card, "data", o) && good;
}

static char *make_card(const app_train *t, bool average, const app_train_record *record)
{
    vitc_json *card = vitc_json_object();
    const bool good = card != NULL && vitc_json_set_string(card, "name", t->name) &&
                      vitc_json_set_string(card, "trained_by", "vitc " VITC_VERSION_STRING) &&
                      (t->base == NULL || vitc_json_set_string(card, "fine_tuned_from", t->base)) &&
                      put_card_data(card, t) &&
                      vitc_json_set(card, "recipe", app_recipe_json(&t->recipe)) &&
                      put_results(card, t, average, record);
    char *text = good ? vitc_json_dump(card, 0, 9) : NULL;
    vitc_json_free(card);
    return text;
}

int app_train_write_model(app_train *t, const char *path, bool average,
                          const app_train_record *record)
{
    char *card = make_card(t, average, record);
    if (card == NULL) return no_memory();
    vitc_status status = vit_weights_set_card(&t->weights, card, &t->log);
    free(card);
    const vit_weights view = app_train_view(t, average);
    if (status == VITC_OK) status = vit_weights_write(&view, path, VIT_DTYPE_F32, &t->log);
    return app_exit_status(status);
}

/* ---- pictures of a batch ---- */

enum { PICTURES = 64, LINES = 2, LINE_SIZE = 100 };

/* The share of class k in an image whose targets were smoothed and perhaps mixed. */
static double share_of(const app_train *t, const float *targets, uint32_t k)
{
    const double smoothing = t->recipe.smoothing;
    return ((double)targets[k] - smoothing / t->weights.config.classes) / (1 - smoothing);
}

/* The name of the class; of a mixed picture two names with their shares, the larger one first. */
static void write_label(char (*lines)[LINE_SIZE], const float *targets, const app_train *t)
{
    uint32_t classes[LINES] = {0}, count = 0;
    for (uint32_t k = 0; k < t->weights.config.classes && count < LINES; k++)
        if (share_of(t, targets, k) > 0.005) classes[count++] = k;
    if (count == LINES && targets[classes[1]] > targets[classes[0]]) {
        const uint32_t larger = classes[1];
        classes[1] = classes[0];
        classes[0] = larger;
    }
    for (uint32_t i = 0; i < count; i++) {
        const char *name = datasets_index_class(t->index, classes[i]);
        if (count == 1)
            snprintf(lines[i], LINE_SIZE, "%s", name);
        else
            snprintf(lines[i], LINE_SIZE, "%.0f%% %s", 100 * share_of(t, targets, classes[i]),
                     name);
    }
}

int app_train_write_sheet(app_train *t)
{
    imgio_image images[PICTURES];
    char lines[PICTURES * LINES][LINE_SIZE] = {{0}};
    const char *text[PICTURES * LINES];
    const uint32_t classes = t->weights.config.classes;
    const uint32_t count = (uint32_t)vitc_size_min(datasets_index_count(t->index), PICTURES);
    float *targets = calloc((size_t)PICTURES * classes, sizeof *targets);
    if (targets == NULL) return no_memory();
    datasets_feed_mix(t->feed, t->recipe.mix_off < 1);
    vitc_status status = datasets_feed_pictures(images, targets, t->feed, 0, 0, count, &t->log);
    int result = app_exit_status(status);
    if (status == VITC_OK) {
        const bool mixed = t->recipe.mixup > 0 || t->recipe.cutmix > 0;
        const app_sheet_labels labels = {.text = text, .lines = mixed ? LINES : 1};
        for (uint32_t i = 0; i < count; i++) {
            write_label(&lines[(size_t)i * LINES], targets + (size_t)i * classes, t);
            for (uint32_t k = 0; k < labels.lines; k++)
                text[i * labels.lines + k] = lines[(size_t)i * LINES + k];
        }
        result = app_train_sheet_write(t->folder.batch, images, count, &labels, t->settings);
        for (uint32_t i = 0; i < count; i++) imgio_image_free(&images[i]);
    }
    free(targets);
    return result;
}

/* ---- the end ---- */

static int export_one(const app_train *t, const vit_weights *weights, const char *kind,
                      const char *folder)
{
    const vitc_status status = strcmp(kind, "hf") == 0
                                   ? vit_weights_export_hf(weights, folder, &t->log)
                                   : vit_weights_export_timm(weights, folder, &t->log);
    return app_exit_status(status);
}

int app_train_try_exports(const app_train *t)
{
    const vit_weights view = app_train_view(t, false);
    char *folder = vitc_path_join(t->folder.path, ".export");
    int result = folder != NULL ? APP_EXIT_DONE : no_memory();
    for (size_t i = 0; i < t->exports.count && result == APP_EXIT_DONE; i++) {
        app_train_remove_folder(folder);
        result = export_one(t, &view, t->exports.items[i], folder);
        app_train_remove_folder(folder);
        if (result == APP_EXIT_MODEL)
            app_error("--export %s: this model cannot be what is asked for; nothing was trained",
                      t->exports.items[i]);
    }
    free(folder);
    return result;
}

/* A folder that is there is whole, and of this very model: it is written once all is done. */
static int export_all(const app_train *t)
{
    vit_weights best;
    if (t->exports.count == 0) return APP_EXIT_DONE;
    const vitc_status status = vit_weights_read(&best, t->folder.best, NULL, &t->log);
    if (status != VITC_OK) return app_exit_status(status);
    int result = APP_EXIT_DONE;
    for (size_t i = 0; i < t->exports.count; i++) { /* one that fails does not stop the next */
        char *folder = vitc_path_join(t->folder.path, t->exports.items[i]);
        int written = APP_EXIT_DONE;
        if (folder == NULL)
            written = no_memory();
        else if (access(folder, F_OK) != 0)
            written = export_one(t, &best, t->exports.items[i], folder);
        free(folder);
        if (written != APP_EXIT_DONE) result = written;
    }
    vit_weights_free(&best);
    return result;
}

/* The best model on the validation images, by vitc eval. */
static int write_report(const app_train *t)
{
    app_settings settings = *t->settings;
    settings.model = t->folder.best;
    settings.operands = t->val_count > 0 ? t->val_data : t->data;
    settings.operand_count = t->val_count > 0 ? t->val_count : t->data_count;
    settings.val_split = t->val_count > 0 ? 0 : t->recipe.val_split;
    settings.seed = t->recipe.seed;
    settings.class_names = t->recipe.class_names;
    settings.no_exif = t->recipe.no_exif;
    settings.max_pixels = t->recipe.max_pixels != UINT64_MAX ? t->recipe.max_pixels : 0;
    settings.rows = NULL;
    settings.json = false;
    settings.resume = false;
    app_measure measure = {.settings = &settings,
                           .told = t->told_set,
                           .hash = true,
                           .temporary = t->folder.rows,
                           .first = true};
    app_evaluation evaluation;
    (void)unlink(t->folder.rows); /* of a run that was killed here */
    int result = app_measure_run(&measure, &evaluation);
    if (result <= APP_EXIT_INPUTS && evaluation.stopped == NULL) {
        const int written = app_evaluation_report(t->folder.report, &evaluation);
        if (written != APP_EXIT_DONE) result = written;
    }
    app_measure_free(&measure);
    (void)unlink(t->folder.rows);
    return result;
}

int app_train_finish(app_train *t)
{
    const int result = t->validated ? write_report(t) : APP_EXIT_DONE;
    const int exported = result <= APP_EXIT_INPUTS ? export_all(t) : APP_EXIT_DONE;
    return exported != APP_EXIT_DONE ? exported : result;
}
