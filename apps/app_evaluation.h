/* app_evaluation.h - what `vitc eval` found of one model on one set of images. */
#ifndef VITC_APP_EVALUATION_H
#define VITC_APP_EVALUATION_H

#include "app_duplicates.h"
#include "app_rows.h"
#include "app_stream.h"
#include "datasets.h"
#include "vit.h"

typedef struct app_evaluation {
    const app_settings *settings;
    const vit_model *model;
    const char *model_path;          /* for people */
    char model_hash[65];             /* SHA-256 of the weights file */
    const char *data_text;           /* for people: the operands */
    const datasets_options *opening; /* of the settings' operands: the report opens them again */
    datasets_kind kind;
    datasets_survey survey;
    size_t class_count; /* of the data */
    uint64_t n, n_ok, n_bad;
    uint64_t by_status[APP_STATUS_COUNT]; /* in the order of app_row_status */
    datasets_metrics *metrics;
    datasets_results results;
    app_times times;     /* of this run */
    uint64_t resumed;    /* rows that came from an earlier run */
    const char *stopped; /* NULL, or why not all images were seen */
    bool changed;        /* the data was not the same at the end as at the beginning */
    const char *rows;    /* the file that holds the rows: --rows, or a temporary one for --report */
    const app_overlap *overlap; /* NULL, or which of the images are in --train-data too */
    bool compared; /* with the first of several models, on the images that both could use: */
    uint64_t lost, gained; /* only that one was right; only this one */
    bool calibrated;
    datasets_temperature calibration;
    int argc; /* the exact command */
    char *const *argv;
} app_evaluation;

/* The one object of --json: n n_ok n_bad top1 top5 loss ece ... NULL without memory. Without times
 * when the settings say --no-times. */
vitc_json *app_evaluation_json(const app_evaluation *evaluation);

/* For people, on standard output. */
void app_evaluation_print(const app_evaluation *evaluation);
/* Several models on the same images, as one table. */
void app_evaluation_print_table(const app_evaluation *evaluations, size_t count);

/* --report: one self-contained HTML file, complete or not at all. Reads the rows, and the set once
 * more for the pictures of those images that it shows. An exit status as everywhere. */
int app_evaluation_report(const char *path, const app_evaluation *evaluation);

#endif
