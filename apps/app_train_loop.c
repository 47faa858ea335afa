/* Epochs of steps: images to gradients to better parameters; then what the epoch was worth. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app_progress.h"
#include "app_ranks.h"
#include "app_report.h"
#include "app_stop.h"
#include "app_text.h"
#include "app_train.h"
#include "app_train_curves.h"
#include "vitc_clock.h"

/* ---- one step ---- */

/* Images [from, from + count) of an epoch's order. */
typedef struct range {
    uint64_t from;
    uint32_t count;
} range;

/* Part `index` of `parts` of the images [from, from + count), as equal as pairs of images allow:
 * each begins at an even number, and all but the last have an even one. */
static range part_of(uint64_t from, uint64_t count, uint64_t index, uint64_t parts)
{
    const uint64_t pairs = (count + 1) / 2;
    const uint64_t begin = 2 * (pairs * index / parts);
    const uint64_t end = index + 1 == parts ? count : 2 * (pairs * (index + 1) / parts);
    return (range){from + begin, (uint32_t)(end - begin)};
}

/* Whether the step under way is among this last share of all. */
static bool is_last(const app_train *t, double share)
{
    return (double)t->progress.step >= (double)t->steps * (1 - share);
}

/* Adds the gradients of images of the epoch under way, of the step's `images`, to what is there. */
static vitc_status run_pass(app_train *t, app_train_tally *tally, range r, uint64_t images)
{
    app_train_progress *p = &t->progress;
    float *rows = vit_trainer_patches(t->trainer, 0);
    const size_t stride = (size_t)(vit_trainer_patches(t->trainer, 1) - rows);
    vit_pass pass;
    if (r.count == 0) return VITC_OK;
    datasets_feed_mix(t->feed, !is_last(t, t->recipe.mix_off));
    vit_trainer_keep_patches(t->trainer, is_last(t, t->recipe.patch_dropout_off));
    vitc_status status =
        datasets_feed_batch(t->feed, rows, stride, t->targets, p->epoch, r.from, r.count, &t->log);
    if (status == VITC_OK)
        status =
            vit_trainer_run(t->trainer, &pass, t->targets, r.count, 1 / (float)images,
                            (uint64_t)p->epoch * datasets_index_count(t->index) + r.from, &t->log);
    if (status != VITC_OK) return status;
    tally->loss += pass.loss * r.count;
    tally->right += pass.right;
    tally->images += r.count;
    const uint64_t bad = t->index_bad + datasets_feed_bad(t->feed);
    if (bad > p->bad) p->bad = bad; /* a resumed run comes upon the same ones again */
    return VITC_OK;
}

/* This rank's part of a step, in as many passes as are accumulated. */
static vitc_status run_passes(app_train *t, app_train_tally *tally, range step)
{
    const uint64_t passes = t->recipe.accumulate;
    const uint64_t parts = (uint64_t)app_ranks_size() * passes;
    for (uint64_t i = 0; i < passes; i++) {
        const uint64_t part = (uint64_t)app_ranks_number() * passes + i;
        const range r = part_of(step.from, step.count, part, parts);
        t->sums.expected = i + 1 == passes;
        const vitc_status status = run_pass(t, tally, r, step.count);
        if (status != VITC_OK) return status;
    }
    return VITC_OK;
}

/* What is left when numbers are not finite any more, or far from what they should be. Going on
 * would come to the same. */
static void tell_what_is_left(const app_train *t)
{
    const bool best = t->progress.best_epoch > 0;
    app_error("%s holds the state after step %" PRIu64 "%s%s; begin another run (--out) with a "
              "smaller --lr, a longer --warmup or %s",
              t->folder.state, t->state_step, best ? ", and the best model so far is " : "",
              best ? t->folder.best : "", t->recipe.clip > 0 ? "a smaller --clip" : "--clip 1");
}

static void tell_breakdown(const app_train *t)
{
    if (!app_ranks_first()) return;
    app_error("training broke down in step %" PRIu64 " (epoch %u), at a learning rate of %.3g",
              t->progress.step + 1, t->progress.epoch + 1,
              vit_schedule_rate(&t->schedule, t->progress.step));
    tell_what_is_left(t);
    app_train_note(t, "broke down in step %" PRIu64, t->progress.step + 1);
}

/* The gradients of all ranks are there: the optimizer, and what there is to count. */
static int finish_step(app_train *t, const app_train_tally *tally, uint64_t images)
{
    app_train_progress *p = &t->progress;
    double norm;
    const vitc_status status = vit_optimizer_step(
        t->optimizer, vit_trainer_parameters(t->trainer), vit_trainer_gradients(t->trainer),
        vit_schedule_rate(&t->schedule, p->step), &norm, &t->log);
    if (status == VITC_ERR_INTERNAL) tell_breakdown(t);
    if (status != VITC_OK) return app_exit_status(status);
    p->loss_sum += tally->loss;
    p->right += tally->right;
    p->images += tally->images;
    p->norm_sum += norm;
    p->step++;
    t->pace.images += images;
    t->epoch_pace.images += images;
    return APP_EXIT_DONE;
}

/* Step number `index` of the epoch under way, unless a signal cut it short; then nothing of it
 * counts. A rank that failed tells the others by taking part in the sums. */
static int run_step(app_train *t, uint64_t index, bool *cut)
{
    const range step = part_of(0, datasets_index_count(t->index), index, t->steps_per_epoch);
    app_train_tally tally = {0};
    vit_trainer_zero_gradients(t->trainer);
    const vitc_status status = t->failed == APP_EXIT_DONE ? run_passes(t, &tally, step) : VITC_OK;
    if (status != VITC_OK) t->failed = app_exit_status(status);
    tally.failed = t->failed != APP_EXIT_DONE;
    tally.broken = status == VITC_ERR_INTERNAL;
    tally.bad = t->progress.bad;
    const int result = app_train_sum(t, &tally, cut);
    if (result != APP_EXIT_DONE || *cut) return result;
    if (!tally.failed) return finish_step(t, &tally, step.count);
    if (tally.broken) tell_breakdown(t);
    return app_ranks_agree(t->failed);
}

/* ---- what a person sees of it ---- */

static void format_time(char *text, size_t size, double seconds)
{
    const unsigned long s = (unsigned long)(seconds + 0.5);
    snprintf(text, size, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
}

/* What the steps [from, to) take, in steps that have all patches: those before the last share of
 * the epochs have fewer. */
static double work_of(const app_train *t, uint64_t from, uint64_t to)
{
    const double whole_from = (double)t->steps * (1 - fmin(1, t->recipe.patch_dropout_off));
    const double parts = fmax(0, fmin((double)to, whole_from) - (double)from);
    return (double)(to - from) - parts * t->recipe.patch_dropout;
}

/* Seconds that the rest takes at the speed so far, with what it takes to validate. Of this epoch
 * alone there may be a single step, which tells little. */
static double time_left(const app_train *t)
{
    const app_train_progress *p = &t->progress;
    const app_recipe *r = &t->recipe;
    const double per_step = t->pace.seconds / work_of(t, t->first_step, p->step);
    const uint64_t next = p->epoch / r->val_every, all = t->epochs / r->val_every;
    const double validations = (double)(all - next) + (t->epochs % r->val_every != 0);
    return per_step * work_of(t, p->step, t->steps) +
           (t->validated ? validations * t->validation_seconds : 0);
}

static void format_progress(char *text, size_t size, const app_train *t, uint64_t index)
{
    const app_train_progress *p = &t->progress;
    char left[32];
    format_time(left, sizeof left, time_left(t));
    snprintf(text, size,
             "epoch %u of %" PRIu64 ", step %" PRIu64 " of %" PRIu64
             ", loss %.3f, accuracy %.1f %%, %.0f images/s, %s left",
             p->epoch + 1, t->epochs, index + 1, t->steps_per_epoch,
             p->loss_sum / (double)p->images, 100 * (double)p->right / (double)p->images,
             (double)t->pace.images / t->pace.seconds, left);
}

/* On a terminal all the time, and in the log once a minute. */
static void show_progress(app_train *t, uint64_t index, double now)
{
    enum { LOG_SECONDS = 60 };
    char text[256];
    const bool draw = now - t->drawn >= 0.2, note = now - t->noted >= LOG_SECONDS;
    if (!draw && !note) return;
    format_progress(text, sizeof text, t, index);
    if (draw) {
        app_progress_note(t->settings->quiet, "%s", text);
        t->drawn = now;
    }
    if (note) {
        app_train_note(t, "%s", text);
        t->noted = now;
    }
}

/* ---- the end of an epoch ---- */

static app_train_record make_record(const app_train *t)
{
    const app_train_progress *p = &t->progress;
    app_train_record record = app_train_record_empty();
    const double steps = (double)(p->step - (uint64_t)p->epoch * t->steps_per_epoch);
    record.epoch = p->epoch + 1;
    record.step = p->step;
    record.loss = p->loss_sum / (double)p->images;
    record.accuracy = (double)p->right / (double)p->images;
    record.learning_rate = vit_schedule_rate(&t->schedule, p->step - 1);
    record.gradient_norm = p->norm_sum / steps;
    if (t->epoch_pace.images > 0)
        record.images_per_second = (double)t->epoch_pace.images / t->epoch_pace.seconds;
    record.bad_images = p->bad;
    return record;
}

/* Whether an epoch went so wrong, all numbers finite, that nothing will come of the run. */
static bool has_diverged(const app_train *t, const app_train_record *record)
{
    enum { TIMES = 10 };
    const double guessing = log(t->weights.config.classes);
    if (record->loss <= TIMES * guessing) return false;
    if (app_ranks_first()) {
        app_error("training has diverged: the loss of epoch %u is %.3g, and that of guessing %.3g",
                  record->epoch, record->loss, guessing);
        tell_what_is_left(t);
        app_train_note(t, "diverged in epoch %u", record->epoch);
    }
    return true;
}

/* The scores of both, where there is an average; *stopped when a signal came meanwhile. */
static int validate(app_train *t, app_train_record *record, bool *stopped)
{
    app_train_measure measure;
    const double start = vitc_clock_seconds();
    int result = app_train_validate(t, &measure, false);
    record->validation = measure.score;
    if (result == APP_EXIT_DONE && !app_stop_asked() && t->recipe.ema > 0) {
        result = app_train_validate(t, &measure, true);
        record->ema = measure.score;
    }
    if (result == APP_EXIT_DONE && !app_stop_asked() && app_ranks_first() && measure.images == 0) {
        app_error("%s: no validation image can be used",
                  t->val_count > 0 ? t->val_data[0] : t->data[0]);
        result = APP_EXIT_MODEL;
    }
    result = app_ranks_agree(result);
    t->validation_seconds = vitc_clock_seconds() - start;
    *stopped = app_stop_asked();
    return result;
}

/* The model files of an epoch: of the weights or their average, whichever is better. */
static int write_models(app_train *t, const app_train_record *record)
{
    app_train_progress *p = &t->progress;
    const app_train_score *score = app_train_record_score(record);
    /* Where nothing is measured, an average is what can be trusted more. */
    const bool average = isnan(score->accuracy) ? t->recipe.ema > 0 : score == &record->ema;
    const bool best = p->best_epoch == 0 || app_train_is_better(score, &p->best) ||
                      (isnan(score->accuracy) && !t->validated);
    if (best) {
        p->best = *score;
        p->best_epoch = record->epoch;
        p->best_average = average;
        const int result = app_train_write_model(t, t->folder.best, average, record);
        if (result != APP_EXIT_DONE) return result;
    }
    return app_train_write_model(t, t->folder.last, average, record);
}

static void format_score(char *text, size_t size, const app_train_score *score)
{
    if (isnan(score->accuracy))
        snprintf(text, size, "%8s", "-");
    else
        snprintf(text, size, "%6.2f %%", 100 * score->accuracy);
}

/* A row of the table, on standard output and in the log. */
static void tell_epoch(const app_train *t, const app_train_record *record)
{
    char validation[32], average[32], took[32], line[256];
    format_score(validation, sizeof validation, &record->validation);
    format_score(average, sizeof average, &record->ema);
    format_time(took, sizeof took, record->seconds);
    snprintf(line, sizeof line, "%5u  %7.4f  %6.2f %%  %s  %s  %9.3g  %8.0f  %8s%s", record->epoch,
             record->loss, 100 * record->accuracy, validation, average, record->learning_rate,
             record->images_per_second, took,
             t->validated && t->progress.best_epoch == record->epoch ? "  best" : "");
    app_train_note(t, "%s", line);
    if (t->settings->quiet) return;
    char *json = t->settings->json ? app_train_record_json(record) : NULL;
    if (json != NULL)
        fputs(json, stdout);
    else
        puts(line);
    free(json);
    fflush(stdout);
}

static void tell_heading(const app_train *t)
{
    static const char heading[] =
        "epoch     loss     train  validation  average       rate  images/s      time";
    app_train_note(t, "%s", heading);
    if (t->settings->quiet || t->settings->json) return;
    printf("\n%s\n", heading);
    fflush(stdout);
}

static int draw_curves(const app_train *t)
{
    size_t count;
    const app_train_record *records = app_train_metrics_records(t->metrics, &count);
    return app_train_curves_write(t->folder.curves, t->name, NULL, records, count,
                                  (uint32_t)t->epochs, t->settings);
}

static void begin_epoch(app_train *t)
{
    t->epoch_start = vitc_clock_seconds();
    t->epoch_pace = (app_train_pace){0};
}

/* Files, then metrics, on the first rank. */
static int record_epoch(app_train *t, app_train_record *record)
{
    int result = write_models(t, record);
    record->seconds = vitc_clock_seconds() - t->epoch_start;
    if (result == APP_EXIT_DONE) result = app_train_metrics_append(t->metrics, record);
    if (result == APP_EXIT_DONE) result = draw_curves(t);
    if (result == APP_EXIT_DONE) tell_epoch(t, record);
    return result;
}

/* Validation, files, metrics, state, in this order: the state of an epoch's end is only there when
 * all of the others are. */
static int end_epoch(app_train *t, bool *stopped)
{
    app_train_progress *p = &t->progress;
    int result = app_train_check_ranks(t);
    *stopped = app_stop_asked();
    if (result != APP_EXIT_DONE || *stopped) return result;
    app_train_record record = make_record(t);
    const bool last = p->step == t->steps;
    if (has_diverged(t, &record)) return APP_EXIT_INTERNAL;
    const bool due = t->validated && (last || record.epoch % t->recipe.val_every == 0);
    if (due) result = validate(t, &record, stopped);
    if (result != APP_EXIT_DONE || *stopped) return result;
    if (app_ranks_first()) result = record_epoch(t, &record);
    if (result == APP_EXIT_DONE) {
        p->epoch++;
        p->loss_sum = p->norm_sum = 0;
        p->right = p->images = 0;
        begin_epoch(t);
        if (app_ranks_first()) result = app_train_write_state(t);
    }
    return app_ranks_agree(result);
}

/* ---- all of it ---- */

static bool state_is_due(const app_train *t)
{
    return vitc_clock_seconds() - t->state_time >= 60 * t->settings->checkpoint_minutes;
}

/* The steps of the epoch under way that are left. */
static int run_epoch(app_train *t, bool *stopped)
{
    app_train_progress *p = &t->progress;
    while (p->step < t->steps) {
        const uint64_t index = p->step - (uint64_t)p->epoch * t->steps_per_epoch;
        if (index == t->steps_per_epoch) break;
        const double start = vitc_clock_seconds();
        const int result = run_step(t, index, stopped);
        if (result != APP_EXIT_DONE || *stopped) {
            app_progress_clear();
            return result;
        }
        const double now = vitc_clock_seconds();
        t->pace.seconds += now - start;
        t->epoch_pace.seconds += now - start;
        show_progress(t, index, now);
        *stopped = app_stop_asked();
        const bool ended = p->step == t->steps || index + 1 == t->steps_per_epoch;
        if (!ended && !*stopped && app_ranks_first() && state_is_due(t))
            t->failed = app_train_write_state(t); /* the others learn of it in the next step */
        if (*stopped) break;
    }
    app_progress_clear();
    return APP_EXIT_DONE;
}

int app_train_loop(app_train *t, bool *finished)
{
    bool stopped = false;
    int result = APP_EXIT_DONE;
    if (t->progress.epoch < t->epochs) tell_heading(t);
    t->noted = vitc_clock_seconds();
    t->first_step = t->progress.step;
    begin_epoch(t);
    while (result == APP_EXIT_DONE && !stopped && t->progress.epoch < t->epochs) {
        result = run_epoch(t, &stopped);
        if (result == APP_EXIT_DONE && !stopped) result = end_epoch(t, &stopped);
    }
    if (result == APP_EXIT_DONE && stopped && app_ranks_first()) result = app_train_write_state(t);
    *finished = result == APP_EXIT_DONE && !stopped;
    return result;
}
