/* vitc train - the order in which the parts of a run come. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app_commands.h"
#include "app_ranks.h"
#include "app_report.h"
#include "app_stop.h"
#include "app_text.h"
#include "app_train.h"

static int refuse(const char *message)
{
    app_error("%s", message);
    return APP_EXIT_USAGE;
}

static int check_settings(const app_settings *settings)
{
    if (settings->out == NULL && settings->resume && settings->operand_count == 1)
        return refuse("train needs --out DIR; to go on with a run: vitc train --out DIR --resume");
    if (settings->out == NULL)
        return refuse("train needs --out DIR, the folder that the run goes into");
    if (settings->operand_count == 0 && !settings->resume)
        return refuse("train needs DATA, labelled images: a folder of class folders, a list, tar "
                      "files, ...; see vitc train --help");
    for (size_t i = 0; i < settings->exports.count; i++)
        if (strcmp(settings->exports.items[i], "hf") != 0 &&
            strcmp(settings->exports.items[i], "timm") != 0) {
            app_error("--export takes one of hf|timm, not \"%s\"", settings->exports.items[i]);
            return APP_EXIT_USAGE;
        }
    /* Of a run that goes on the state knows the rest. */
    return settings->resume ? APP_EXIT_DONE : app_recipe_check_given(&settings->train);
}

/* The paths of the command, copied so that those of a state can stand in their place. */
static bool take_paths(const char ***paths, size_t *count, const char *const *from, size_t size)
{
    if (size == 0) return true;
    *paths = malloc(size * sizeof **paths);
    if (*paths == NULL) return false;
    memcpy((void *)*paths, (const void *)from, size * sizeof **paths);
    *count = size;
    return true;
}

static int take_settings(app_train *t)
{
    const app_settings *s = t->settings;
    t->recipe = s->train;
    t->exports = s->exports;
    if (take_paths(&t->data, &t->data_count, s->operands, s->operand_count) &&
        take_paths(&t->val_data, &t->val_count, s->val_data.items, s->val_data.count))
        return APP_EXIT_DONE;
    app_error("out of memory for the command");
    return APP_EXIT_INTERNAL;
}

/* The name that is given, else that of the state that the run goes on from, else the folder's. */
static int take_name(app_train *t)
{
    const char *told = vitc_json_string(vitc_json_get(t->told, "name"), NULL);
    if (t->settings->name != NULL || told != NULL) {
        t->name = strdup(t->settings->name != NULL ? t->settings->name : told);
    } else {
        char *path = realpath(t->folder.path, NULL);
        t->name = app_text_base_name(path != NULL ? path : t->folder.path);
        free(path);
    }
    if (t->name != NULL) return APP_EXIT_DONE;
    app_error("out of memory for the run");
    return APP_EXIT_INTERNAL;
}

/* What the run is made of, but for numbers. */
static int prepare_run(app_train *t)
{
    int result = take_name(t);
    if (result != APP_EXIT_DONE) return result;
    if (t->data_count == 0) {
        app_error("%s: holds no state to go on from; give DATA and the options to begin the run",
                  t->folder.path);
        return APP_EXIT_USAGE;
    }
    result = app_train_open_data(t);
    if (result == APP_EXIT_DONE && !t->resumed) result = app_train_make_model(t);
    if (result == APP_EXIT_DONE)
        result =
            app_recipe_complete(&t->recipe, &t->weights.config, datasets_index_count(t->index));
    if (result == APP_EXIT_DONE && t->resumed) {
        /* What differs is told before memory is taken for it. */
        app_train_count_steps(t);
        result = app_train_describe(t);
        if (result == APP_EXIT_DONE && app_ranks_first()) result = app_train_resume_compare(t);
    }
    return result;
}

static int prepare_numbers(app_train *t)
{
    const int result = app_train_plan(t);
    return result == APP_EXIT_DONE && !t->resumed ? app_train_describe(t) : result;
}

static int begin(app_train *t)
{
    int result = app_train_try_exports(t);
    if (result == APP_EXIT_DONE) result = app_train_write_config(t);
    if (result == APP_EXIT_DONE) result = app_train_write_sheet(t);
    return result == APP_EXIT_DONE ? app_train_write_state(t) : result;
}

static int open_run(app_train *t)
{
    int result = app_train_open_feed(t);
    if (result == APP_EXIT_DONE && t->validated) result = app_train_check_validation(t);
    if (result == APP_EXIT_DONE) app_train_tell_plan(t);
    if (result != APP_EXIT_DONE || !app_ranks_first()) return result;
    if (!t->resumed)
        result = begin(t);
    else if (t->settings->exports.count > 0) /* those of the state were tried when it began */
        result = app_train_try_exports(t);
    return result != APP_EXIT_DONE
               ? result
               : app_train_metrics_open(&t->metrics, t->folder.path, t->settings->resume,
                                        t->progress.epoch, t->settings);
}

/* Whether all ranks have come so far, and nobody is asked to stop. */
static bool agreed(int *result)
{
    *result = app_ranks_agree(*result);
    return *result == APP_EXIT_DONE && !app_stop_asked();
}

/* Everything up to the first step; between these parts, all ranks wait for each other. */
static int prepare(app_train *t)
{
    int result = t->settings->resume ? app_train_resume_begin(t) : APP_EXIT_DONE;
    if (agreed(&result)) result = prepare_run(t);
    if (agreed(&result)) result = prepare_numbers(t);
    if (agreed(&result)) result = app_train_compare_ranks(t);
    if (agreed(&result) && t->resumed && app_ranks_first()) result = app_train_resume_finish(t);
    if (agreed(&result)) result = app_train_copy_numbers(t);
    if (agreed(&result)) result = open_run(t);
    (void)agreed(&result);
    return result;
}

static void tell_result(const app_train *t)
{
    const app_train_progress *p = &t->progress;
    char text[512], images[64] = "validation images";
    if (t->measured_images > 0) /* else nothing was left to do */
        snprintf(images, sizeof images, "%" PRIu64 " validation images", t->measured_images);
    const char *unusable = p->bad == 1
                               ? "image could not be used, and others were trained on instead"
                               : "images could not be used, and others were trained on instead";
    if (isnan(p->best.accuracy))
        snprintf(text, sizeof text, "done: %s, which nothing was measured of", t->folder.last);
    else
        snprintf(text, sizeof text, "done: %s, %.2f %% on the %s (epoch %u, %s)", t->folder.best,
                 100 * p->best.accuracy, images, p->best_epoch,
                 p->best_average ? "running average of the weights" : "the weights as trained");
    app_train_note(t, "%s", text);
    if (p->bad > 0) app_train_note(t, "%" PRIu64 " %s", p->bad, unusable);
    if (t->settings->quiet || t->settings->json) return;
    char *safe = app_text_printable(text);
    printf("\n%s\n", safe != NULL ? safe : "done");
    if (p->bad > 0) printf("%" PRIu64 " %s\n", p->bad, unusable);
    free(safe);
}

/* On the first rank, while the others wait. */
static int finish(app_train *t)
{
    app_ranks_work_alone(true);
    const int result = app_train_finish(t);
    app_ranks_work_alone(false);
    return result == APP_EXIT_DONE && t->progress.bad > 0 ? APP_EXIT_INPUTS : result;
}

/* What is said as soon as a signal comes, where there may be no time for more. */
static char *last_words(const app_train *t)
{
    char *line = NULL;
    if (app_ranks_size() == 1 || !app_ranks_first()) return NULL;
    if (asprintf(&line,
                 "vitc: " APP_RANKS_STOPPED
                 "; to go on, with any number of ranks: vitc train --out %s --resume\n",
                 t->folder.path) < 0)
        line = NULL;
    return line;
}

static int run_steps(app_train *t, bool *finished)
{
    char *const words = last_words(t);
    app_stop_say(words);
    const int result = app_train_loop(t, finished);
    app_stop_say(NULL);
    free(words);
    return result;
}

static int run(app_train *t)
{
    bool finished = false;
    int result = prepare(t);
    if (result == APP_EXIT_DONE && !app_stop_asked()) result = run_steps(t, &finished);
    if (finished) {
        result = app_ranks_agree(app_ranks_first() ? finish(t) : APP_EXIT_DONE);
        if (result <= APP_EXIT_INPUTS && !app_stop_asked()) tell_result(t);
    }
    if (app_stop_asked() && t->begun) {
        app_error("stopped after step %" PRIu64 " of %" PRIu64
                  "; to go on: vitc train --out %s --resume",
                  t->progress.step, t->steps, t->folder.path);
        app_train_note(t, "stopped after step %" PRIu64, t->progress.step);
    }
    return result;
}

static void close_run(app_train *t)
{
    app_train_metrics_close(t->metrics);
    datasets_feed_free(t->feed);
    vit_optimizer_free(t->optimizer);
    if (!t->sums.under_way) vit_trainer_free(t->trainer); /* else MPI may still write there */
    datasets_index_free(t->index);
    vit_weights_free(&t->weights);
    vitc_json_free(t->description);
    vitc_json_free(t->told);
    vitc_json_free(t->moved);
    free((void *)t->data);
    free((void *)t->val_data);
    free(t->targets);
    free(t->sums.told);
    free(t->base);
    free(t->name);
    app_train_folder_close(&t->folder);
}

int app_train_run(const app_settings *settings)
{
    app_train t = {.settings = settings,
                   .folder.lock = -1,
                   .progress.best = app_train_record_empty().validation};
    int result = check_settings(settings);
    if (result != APP_EXIT_DONE) return result;
    app_stop_watch();
    result = take_settings(&t);
    if (result == APP_EXIT_DONE) result = app_train_folder_open(&t);
    result = app_ranks_agree(result);
    if (result == APP_EXIT_DONE) {
        result = run(&t);
        if (!t.begun && app_ranks_first()) app_train_folder_discard(&t.folder);
    }
    close_run(&t);
    return app_stop_status(result);
}
