/* app_output.h - the rows of `vitc classify`: for people, JSON, CSV. */
#ifndef VITC_APP_OUTPUT_H
#define VITC_APP_OUTPUT_H

#include "app_options.h"
#include "app_stream.h"
#include "app_text.h"

/* "ok", "truncated", "corrupt", "unsupported", "too_large", "unreadable", "overflow". */
const char *app_output_status(vitc_status status);

/* The reason of a failure without the path that its message starts with: rows name it already.
 * Where a very long path left no room for it, the status in words. */
const char *app_output_reason(vitc_status status, const char *error, const char *path);

typedef struct app_output {
    const app_settings *settings;
    const vit_model *model;
    uint32_t classes, top;
    bool single; /* one input in all: one label per line */
    app_terminal terminal;
    size_t path_width, label_width; /* columns, for people */
    /* Of the last row, where it was ok: */
    uint32_t *ranking; /* top indices */
    bool uncertain;    /* the highest score is below --min-score */
} app_output;

/* The first images of a run, as far as they are known beforehand. */
typedef struct app_known {
    const datasets_item *items;
    size_t count;
    bool all; /* there are no others */
} app_known;

/* False without memory. */
bool app_output_open(app_output *output, const app_settings *settings, const vit_model *model,
                     const app_known *known);
/* One row on standard output. False without memory. */
bool app_output_row(app_output *output, const char *path, const app_answer *row);
void app_output_close(app_output *output);

#endif
