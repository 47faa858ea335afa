/* The files of a run besides its metrics: models with their cards, pictures of a batch, the report
 * and the exports. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app_measure.h"
#include "app_report.h"
#include "app_text.h"
#include "app_train.h"
#include "app_train_sheet.h"
#include "vitc_file.h"

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

int app_train_write_sheet(app_train *t)
{
    enum { PICTURES = 64 };
    imgio_image images[PICTURES] = {{0}};
    const char *labels[PICTURES];
    const size_t all = datasets_index_count(t->index);
    const size_t count = all < PICTURES ? all : PICTURES;
    vitc_status status = VITC_OK;
    for (size_t i = 0; i < count && status == VITC_OK; i++) {
        uint32_t label = 0;
        status = datasets_feed_picture(&images[i], &label, t->feed, 0, i, &t->log);
        labels[i] = datasets_index_class(t->index, label);
    }
    int result = app_exit_status(status);
    if (result == APP_EXIT_DONE)
        result = app_train_sheet_write(t->folder.batch, images, labels, count, t->settings);
    for (size_t i = 0; i < count; i++) imgio_image_free(&images[i]);
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
    for (size_t i = 0; i < t->exports.count && result == APP_EXIT_DONE; i++) {
        char *folder = vitc_path_join(t->folder.path, t->exports.items[i]);
        if (folder == NULL)
            result = no_memory();
        else if (access(folder, F_OK) != 0)
            result = export_one(t, &best, t->exports.items[i], folder);
        free(folder);
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
    app_measure measure = {
        .settings = &settings, .hash = true, .temporary = t->folder.rows, .first = true};
    app_evaluation evaluation;
    (void)unlink(t->folder.rows); /* of a run that was killed here */
    int result = app_measure_run(&measure, &evaluation);
    if (result <= APP_EXIT_INPUTS && evaluation.stopped == NULL)
        result = app_evaluation_report(t->folder.report, &evaluation);
    app_measure_free(&measure);
    (void)unlink(t->folder.rows);
    return result;
}

int app_train_finish(app_train *t)
{
    int result = export_all(t);
    if (result == APP_EXIT_DONE && t->validated) result = write_report(t);
    return result;
}
