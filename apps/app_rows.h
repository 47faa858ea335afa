/* app_rows.h - the rows of `vitc eval`: JSON Lines, one object per image as it is done, from which
 * a run is resumed, merged and reported. The measures are computed from rows alone, so numbers are
 * the same whether a row was made in this run or read from the file of another.
 *
 * The first line describes the run: {"vitc_rows":1,"model":...,"data":...,"options":...}; a row:
 * {"index":0,"path":"cat/1.jpg","status":"ok","label":"cat","label_index":3,"prediction":"dog",
 *  "score":0.61,"rank":2,"nll":...,"brier":...,"top":[{"index":5,"label":"dog","score":0.61},...],
 *  "hash":"f0e0...","width":500,"height":375,"ms":12.3}
 * with "logits" for --calibrate, "hash" for --report; "ms" is left out with --no-times. Labels have
 * their number beside them, because a model may have two of one name. A bad image:
 * {"index":1,"path":"...","status":"corrupt","label":"cat","label_index":3,"error":"..."}, where
 * the label is null when none is known. */
#ifndef VITC_APP_ROWS_H
#define VITC_APP_ROWS_H

#include "app_lines.h"
#include "app_stream.h"
#include "datasets.h"
#include "vit.h"
#include "vitc_json.h"

#define APP_NO_LABEL UINT32_MAX

/* The words that a status can be: those of app_output_status, "ok" first; NULL past the last. */
enum { APP_STATUS_COUNT = 7 };
const char *app_row_status(size_t index);

/* One row in memory; strings belong to whoever filled it and are valid as long as stated there. */
typedef struct app_row {
    uint64_t index;
    const char *path;
    const char *status, *error; /* "ok", NULL; or another of app_row_status and the reason */
    uint32_t label;             /* the model's class; of a bad image perhaps APP_NO_LABEL */
    datasets_answer answer;     /* of "ok", as is all below but the size and the time */
    uint32_t top_count;
    const uint32_t *top; /* classes of the model, the highest score first */
    const float *top_scores;
    const float *logits; /* K, or NULL */
    bool hashed;
    uint64_t hash;
    uint32_t width, height; /* 0: unknown */
    double milliseconds;    /* NaN: left out */
} app_row;

/* A number as a row's text holds it: nine digits, which carry any float and are read back to the
 * last bit. Whoever fills a row with doubles passes them through this. */
double app_row_number(double number);

/* The text of a row, with its newline, malloc'd; NULL without memory. */
char *app_row_format(const app_row *row, const vit_model *model);

/* ---- reading ---- */

/* Reads rows back, one after the other, with indices that rise. A last line without its newline, as
 * a killed run leaves it, is the end. A line that is no row, or whose labels are not the model's,
 * ends it with a message. Exit statuses as everywhere. */
typedef struct app_rows_reader app_rows_reader;

int app_rows_open(app_rows_reader **reader, const char *path, const vit_model *model,
                  const app_settings *settings);
/* The first line; lives as long as the reader. NULL where the file holds not one whole line. */
const vitc_json *app_rows_description(const app_rows_reader *reader);
/* *found false at the end. The row is valid until the next call. */
int app_rows_next(app_row *row, bool *found, app_rows_reader *reader);
/* Bytes of the file up to the end of the last line that was read. */
uint64_t app_rows_good(const app_rows_reader *reader);
void app_rows_close(app_rows_reader *reader);

/* What a description says that another says otherwise, one line of words for each difference,
 * malloc'd and "" where there is none; NULL without memory. `sides` are words for where each of
 * them is from: "in the rows", "now". */
char *app_rows_differences(const vitc_json *then, const vitc_json *now, const char *const sides[2]);
/* These lines as messages, each behind `name`; the text is taken apart. */
void app_rows_tell(const char *name, char *lines);

/* ---- writing ---- */

/* As app_lines_begin of the file at `path`, whose first line, where nothing is kept, is made: the
 * description. Rows follow by app_lines_write. */
int app_rows_begin(app_lines *lines, uint64_t good, const char *path, const vitc_json *description);

#endif
