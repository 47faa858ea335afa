/* app_train_metrics.h - the numbers of a training run, one record per epoch, in two files of the
 * run's folder: metrics.jsonl for programs, metrics.csv for spreadsheets. Both hold the same.
 *
 * A line of metrics.jsonl; in metrics.csv the columns have the same names, "validation" and "ema"
 * as validation_loss, ..., ema_ece:
 * {"epoch": 1, "step": 782, "loss": 1.9, "accuracy": 0.31,
 *  "validation": {"loss": 1.6, "accuracy": 0.41, "top5": 0.89, "ece": 0.02},
 *  "ema": {"loss": 1.7, "accuracy": 0.4, "top5": 0.88, "ece": 0.03},
 *  "learning_rate": 0.0005, "gradient_norm": 1.2, "images_per_second": 512.0, "seconds": 98.2,
 *  "bad_images": 0}
 * What was not measured is null, and an empty field of the CSV; "ema" and "validation" are null
 * where none of theirs was. Numbers have nine significant digits.
 *
 * Each line is written whole and is on the disk before app_train_metrics_append returns. A run
 * appends the record of an epoch first and writes its state after that, so that no state is without
 * its record; on resuming, records past the state's epochs are cut off. */
#ifndef VITC_APP_TRAIN_METRICS_H
#define VITC_APP_TRAIN_METRICS_H

#include "app_options.h"

/* Of the validation images; NaN where it was not measured. */
typedef struct app_train_score {
    double loss;     /* mean negative log-likelihood, natural logarithm */
    double accuracy; /* fractions, 0-1: the first answer is right, */
    double top5;     /* the class is among the first five, */
    double ece;      /* expected calibration error */
} app_train_score;

typedef struct app_train_record {
    uint32_t epoch;             /* 1, 2, ...: passes through the training images that are done */
    uint64_t step;              /* optimizer steps since the run began */
    double loss, accuracy;      /* of training: means over the epoch's augmented images */
    app_train_score validation; /* of the weights themselves */
    app_train_score ema;        /* of their running average */
    double learning_rate;       /* of the epoch's last step */
    double gradient_norm;       /* before clipping, mean over the epoch's steps */
    double images_per_second;   /* training alone, without validation */
    double seconds;             /* of the epoch, with validation and files */
    uint64_t bad_images;        /* that could not be used, since the run began */
} app_train_record;

/* A record in which nothing is measured: NaN everywhere, 0 for counts. */
app_train_record app_train_record_empty(void);

/* The line of metrics.jsonl, with its newline, malloc'd; NULL without memory. */
char *app_train_record_json(const app_train_record *record);

typedef struct app_train_metrics app_train_metrics;

/* Opens both files in `folder`, which exists. Without `resume` they are made new and must not be
 * there yet. With it the records after epoch `epochs` are cut off, and lines that a kill tore; the
 * CSV is made again from what stays, so that it cannot differ. A file that holds anything else is
 * an error and left as it is. Exit statuses as everywhere. */
int app_train_metrics_open(app_train_metrics **metrics, const char *folder, bool resume,
                           uint32_t epochs, const app_settings *settings);
/* When it fails, as on a full disk, the lines before it are kept whole. */
int app_train_metrics_append(app_train_metrics *metrics, const app_train_record *record);
/* NULL is nothing. */
void app_train_metrics_close(app_train_metrics *metrics);

/* All records so far, by epoch, with the digits that the files have; valid until the next
 * append. */
const app_train_record *app_train_metrics_records(const app_train_metrics *metrics, size_t *count);

/* Reads the records of a metrics.jsonl; *records is malloc'd. A last line without its newline is
 * not one. */
int app_train_metrics_read(app_train_record **records, size_t *count, const char *path,
                           const app_settings *settings);

/* Whether `a` is a higher accuracy than `b`, or of equal ones that with the lower loss; any is
 * better than none. */
bool app_train_is_better(const app_train_score *a, const app_train_score *b);
/* What an epoch is judged by: the better of the weights' own numbers and those of their running
 * average, of equal ones their own. */
const app_train_score *app_train_record_score(const app_train_record *record);
/* The index of the best epoch: the highest accuracy on the validation images, of equal ones that
 * with the lower loss, of equal ones the first. SIZE_MAX where no epoch was validated. */
size_t app_train_best(const app_train_record *records, size_t count);

#endif
