/* app_rows.h - the rows of `vitc eval`: JSON Lines, one object per image as it is done, from which
 * a run is resumed, merged and reported. The measures are computed from rows alone, so numbers are
 * the same whether a row was made in this run or read from the file of another.
 *
 * The first line describes the run: {"vitc_rows":1,"model":...,"data":...,"options":...}; a row:
 * {"index":0,"path":"cat/1.jpg","status":"ok","label":"cat","prediction":"dog","rank":2,
 *  "score":0.61,"nll":...,"brier":...,"top":[{"index":5,"label":"dog","score":0.61},...],
 *  "hash":"f0e0...","width":500,"height":375,"ms":12.3}
 * with "logits" for --calibrate, "hash" for --report; "ms" is left out with --no-times; a bad
 * image:
 * {"index":1,"path":"...","status":"corrupt","label":"cat","error":"..."}. */
#ifndef VITC_APP_ROWS_H
#define VITC_APP_ROWS_H

#include <stdio.h>

#include "app_stream.h"
#include "datasets.h"
#include "vit.h"
#include "vitc_json.h"

/* One row in memory; strings belong to whoever filled it and are valid as long as stated there. */
typedef struct app_row {
    uint64_t index;
    const char *path;
    const char *status, *error; /* "ok", NULL; or app_output_status and the reason */
    uint32_t label;             /* the model's class */
    datasets_answer answer;     /* for status ok */
    uint32_t top_count;
    const uint32_t *top;     /* classes of the model, the highest score first */
    const float *top_scores; /* rounded as the row's text holds them */
    const float *logits;     /* K, or NULL */
    bool hashed;
    uint64_t hash;
    uint32_t width, height;
    double milliseconds; /* NaN: left out */
} app_row;

/* The text of a row, with its newline, malloc'd; NULL without memory. Written and read back, every
 * number is the same to the last bit. */
char *app_row_format(const app_row *row, const vit_model *model);

/* Reads rows back, one after the other. `next` gives false at the end; a last line without its
 * newline, as a killed run leaves it, is the end too, and *good gets the bytes before it. A line
 * that is no row, or whose labels are not the model's, ends it with a message. */
typedef struct app_rows_reader app_rows_reader;
int app_rows_open(app_rows_reader **reader, const char *path, const vit_model *model,
                  const app_settings *settings);
/* The first line; lives as long as the reader. NULL where the file is empty. */
const vitc_json *app_rows_description(const app_rows_reader *reader);
/* *found false at the end. The row is valid until the next call. An exit status as everywhere. */
int app_rows_next(app_row *row, bool *found, app_rows_reader *reader);
uint64_t app_rows_good(const app_rows_reader *reader);
void app_rows_close(app_rows_reader *reader);

#endif
