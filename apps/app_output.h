/* app_output.h - the rows of `vitc classify`: for people, JSON, CSV. */
#ifndef VITC_APP_OUTPUT_H
#define VITC_APP_OUTPUT_H

#include "app_inputs.h"
#include "app_options.h"
#include "app_text.h"
#include "vit.h"

/* "ok", "truncated", "corrupt", "unsupported", "too_large", "unreadable". */
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
    uint32_t *ranking;              /* top indices */
} app_output;

/* False without memory. */
bool app_output_open(app_output *output, const app_settings *settings, const vit_model *model,
                     const app_inputs *inputs);
/* One row on standard output. False without memory. */
bool app_output_row(app_output *output, const char *path, const vit_output *row);
void app_output_close(app_output *output);

#endif
