/* app_measure.h - one model on one labelled set: rows are made, kept, taken up again and counted.
 * The measures see rows only, whether they were made now or read from the file of another run. */
#ifndef VITC_APP_MEASURE_H
#define VITC_APP_MEASURE_H

#include "app_evaluation.h"

/* What became of each image, by its index: for the comparison of several models. */
typedef struct app_marks {
    unsigned char *items; /* app_mark */
    size_t count, capacity;
} app_marks;

typedef enum app_mark {
    APP_MARK_UNSEEN = 0,
    APP_MARK_BAD,
    APP_MARK_WRONG,
    APP_MARK_RIGHT
} app_mark;

typedef struct app_measure {
    const app_settings *settings; /* those of the command, but with one model */
    bool told;                    /* what is strange about the set and its images was said before */
    bool hash;                    /* rows get the images' hashes */
    const char *temporary;        /* NULL, or where rows go without --rows */
    app_marks *marks; /* NULL, or filled by the first model, and compared with by others */
    bool first;

    /* filled: */
    app_evaluation *evaluation;
    vit_model *model;
    float *logits; /* with --calibrate: of the images that are ok, K each, and their labels */
    uint32_t *labels;
    size_t logits_capacity;
    char data_text[512];
    datasets_options opening;
} app_measure;

/* Fills *evaluation, whose model belongs to the measure. An exit status: APP_EXIT_DONE, INPUTS when
 * some images are bad; with others the evaluation holds what was measured until then (n > 0) or
 * nothing. After a signal or too many bad images evaluation->stopped says so. */
int app_measure_run(app_measure *measure, app_evaluation *evaluation);
/* Frees the model and what the evaluation has of it; the evaluation's numbers and texts stay as
 * long as the measure lies where it is. */
void app_measure_free(app_measure *measure);

void app_marks_free(app_marks *marks);

#endif
