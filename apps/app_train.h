/* app_train.h - the parts of `vitc train`.
 *
 * A run is a folder:
 *     config.json             how it was made: options, model, data, seed, versions
 *     metrics.csv .jsonl      one record an epoch; results.svg: their curves
 *     batch.png               the first batch as the model sees it
 *     best.safetensors        the model of the best epoch, last.safetensors: of the last
 *     last.state              everything to go on from, previous.state: the one before
 *     report.html             at the end: the evaluation of the best model
 *     log.txt                 what was said, with times
 * On several ranks (app_ranks.h) it is the first one's.
 * The state knows the recipe, the model and the data, so that a run goes on from its folder alone.
 */
#ifndef VITC_APP_TRAIN_H
#define VITC_APP_TRAIN_H

#include "app_options.h"
#include "app_train_metrics.h"
#include "datasets.h"
#include "vit_train_state.h"
#include "vit_weights.h"

/* The folder of a run. */
typedef struct app_train_folder {
    const char *path;
    char *log_path, *state, *previous, *best, *last, *config, *curves, *batch, *report, *rows;
    int lock; /* a descriptor of log.txt, which is locked while a run has the folder; -1: none */
    bool made, fresh; /* by this process; or it was empty */
} app_train_folder;

/* What a run measured on the validation images. */
typedef struct app_train_measure {
    app_train_score score; /* NaN where nothing was measured */
    uint64_t images, bad;
} app_train_measure;

/* How far a run is: with the arrays of its state all that it takes to go on. */
typedef struct app_train_progress {
    uint64_t step;  /* optimizer steps that are done */
    uint32_t epoch; /* epochs that are done */
    /* of the epoch that is under way: */
    double loss_sum; /* over its images */
    uint64_t right, images;
    double norm_sum; /* over its steps */
    uint64_t bad;    /* images that could not be used, since the run began */
    /* of the best epoch; 0: none yet */
    uint32_t best_epoch;
    app_train_score best;
    bool best_average; /* it is the running average's */
} app_train_progress;

/* What the images of a step came to, on this rank and then on all together. */
typedef struct app_train_tally {
    double loss; /* sum over the images */
    uint64_t right, images;
    uint64_t bad;        /* images that could not be used since this process began */
    bool failed, broken; /* it cannot go on; for numbers that are not finite */
} app_train_tally;

/* The steps that this process has made. */
typedef struct app_train_pace {
    uint64_t images;
    double seconds;
} app_train_pace;

/* The sums of gradients over all ranks. */
typedef struct app_train_sums {
    size_t first, to; /* of the gradients: these are not under way yet */
    size_t bucket;    /* so many go at once */
    bool expected;    /* gradients that the trainer reports are those of the step's last pass */
    bool under_way;   /* MPI may write to the gradients */
    int result;
    uint64_t bad;        /* of the last tally */
    bool *told;          /* on the first rank, of each image: that others could not use it */
    float numbers[4096]; /* others that are summed */
} app_train_sums;

/* One run; zeroed, then filled from the top. */
typedef struct app_train {
    const app_settings *settings;
    vitc_log log; /* to standard error and log.txt */
    app_train_folder folder;
    app_recipe recipe;
    bool resumed;    /* a state was there */
    vitc_json *told; /* of the state that the run goes on from: what it says of the run; recipe
                        texts live there */
    vitc_json *description; /* of this run, as states say it */
    char kernels[128];      /* what multiplies, which last bits depend on */
    char *name;             /* of the model */
    app_list exports;       /* "hf", "timm" */

    /* data */
    const char **data, **val_data; /* paths; val_data NULL: a part of `data`, or none */
    size_t data_count, val_count;
    vitc_json *moved;           /* those of a state that begin elsewhere, as seen from here */
    char val_fingerprint[65];   /* of the validation images; "": there are none */
    bool validated;             /* there are validation images, */
    uint64_t validation_images; /* so many; UINT64_MAX: not known */
    uint64_t measured_images;   /* of them, the last time; 0 before it */
    bool told_set, told_images; /* what is strange about the set of them; about single ones */
    datasets_index *index;
    uint64_t index_bad;

    /* model */
    vit_weights weights; /* its numbers are the trainer's once there is one */
    char *base;          /* what it was fine-tuned from; NULL */
    bool new_head;       /* of that, when it begins */

    uint64_t steps_per_epoch, steps, epochs; /* the last epoch may be cut short */
    vit_schedule schedule;
    vit_trainer *trainer;
    vit_optimizer *optimizer;
    datasets_feed *feed;
    float *targets; /* [batch, K] */
    app_train_metrics *metrics;
    app_train_progress progress;
    double epoch_start;
    app_train_pace pace, epoch_pace; /* since this process began; in the epoch under way */
    uint64_t first_step;             /* of this process */
    double validation_seconds;       /* of the last time; 0 before it */
    double drawn, noted;             /* when progress was last shown, and last written to the log */
    app_train_sums sums;
    int failed;          /* what ends the run, and the other ranks do not know yet */
    bool begun;          /* there is a state to go on from */
    double state_time;   /* when the last state was written, */
    uint64_t state_step; /* and of which step it is */
} app_train;

/* Exit statuses everywhere: APP_EXIT_DONE, or another one after a message. */

/* ---- the folder (app_train_folder.c) ---- */

/* Takes the folder of --out for this process: it must be new or empty, or --resume is given. Ranks
 * other than the first have none, and only name its files. */
int app_train_folder_open(app_train *t);
void app_train_folder_close(app_train_folder *folder);
/* A run that never began leaves nothing behind. */
void app_train_folder_discard(app_train_folder *folder);
/* Removes a folder of files; nothing where there is none. */
void app_train_remove_folder(const char *path);
/* A line of log.txt, with the time. */
void app_train_note(const app_train *t, const char *format, ...) VITC_PRINTF(2, 3);

/* ---- states (app_train_resume.c) ---- */

/* With --resume: reads what the state of the folder says, into t->told, t->recipe, t->weights,
 * t->progress. `resumed` stays false where there is none. All ranks call it, and get what the first
 * has. */
int app_train_resume_begin(app_train *t);
/* Then, when the data is known: whether this run is that one; what differs is told. */
int app_train_resume_compare(app_train *t);
/* And reads the numbers into trainer and optimizer. */
int app_train_resume_finish(app_train *t);
/* Fills t->description. */
int app_train_describe(app_train *t);
int app_train_write_config(app_train *t);
/* Writes the state; the one before is kept. */
int app_train_write_state(app_train *t);

/* ---- data and model ---- */

int app_train_open_data(app_train *t); /* app_train_data.c: the index, classes, validation images */
int app_train_open_feed(app_train *t); /* when recipe and model are complete */
int app_train_make_model(app_train *t); /* app_train_model.c: config, description; weights of -m */
/* Steps; then memory, trainer, optimizer (app_train_plan.c). */
void app_train_count_steps(app_train *t);
int app_train_plan(app_train *t);
void app_train_tell_plan(const app_train *t);

/* ---- several ranks (app_train_ranks.c); of one, these are nothing ---- */

/* Whether all have the same data and options: all call it. */
int app_train_compare_ranks(const app_train *t);
/* Parameters, and of a run that goes on the optimizer's arrays, from the first rank to the others:
 * all call it. */
int app_train_copy_numbers(app_train *t);
/* The most images of a pass that are one rank's. */
uint64_t app_train_share(uint64_t batch);
/* Whether each rank has a part of every step. */
int app_train_check_share(const app_train *t);

/* The sums of a step: planned once; while t->sums.expected, what the trainer reports
 * (vit_train_options.ready) is begun; all ranks, those that failed too, call the last one. When a
 * signal came meanwhile the step is `*cut` and counts for nothing. */
void app_train_plan_sums(app_train *t);
void app_train_take_gradients(void *user, size_t from, size_t count);
int app_train_sum(app_train *t, app_train_tally *tally, bool *cut);

/* After an epoch: whether all have the same weights; and t->progress.bad of all. All call it. */
int app_train_check_ranks(app_train *t);

/* ---- the loop (app_train_loop.c) ---- */

/* Runs until the end, or until a signal asks to stop: then `*finished` is false. */
int app_train_loop(app_train *t, bool *finished);

/* ---- what is measured and written (app_train_validate.c, app_train_finish.c) ---- */

/* The weights, or their running average, as a model file would hold them: a view of numbers that
 * belong to trainer or optimizer. */
vit_weights app_train_view(const app_train *t, bool average);
/* Whether the classes of the validation images are the model's: before the run. */
int app_train_check_validation(app_train *t);
/* Measures one of them on the validation images, by the path of vitc classify and eval. */
int app_train_validate(app_train *t, app_train_measure *measure, bool average);
/* Writes one of them as a model file with its card. */
int app_train_write_model(app_train *t, const char *path, bool average,
                          const app_train_record *record);
int app_train_write_sheet(app_train *t);
/* Whether the model can be exported as it is asked for, which is better known before the run. */
int app_train_try_exports(const app_train *t);
/* Report and exports of the best model. */
int app_train_finish(app_train *t);

#endif
