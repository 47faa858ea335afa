/* app_inputs.h - the images of a run: files, folders, lists of paths, standard input. */
#ifndef VITC_APP_INPUTS_H
#define VITC_APP_INPUTS_H

#include <stdbool.h>
#include <stddef.h>

#include "app_options.h"

/* Exactly one of three: a file to read; one image on standard input (path "-"); or an input that
 * failed while it was looked for (a folder that cannot be listed or is empty), with the reason. */
typedef struct app_input {
    char *path;
    bool standard_input;
    char *error; /* NULL unless failed: then the input is unreadable, for this reason */
} app_input;

typedef struct app_inputs {
    app_input *items;
    size_t count, capacity;
} app_inputs;

/* Expands the operands and the list of --files-from, in that order. Folders are listed recursively
 * in natural order (img2 before img10), symbolic links followed but never in a circle; hidden
 * files, Thumbs.db and desktop.ini are left out. Every other file counts as an image, whatever its
 * name. APP_EXIT_DONE, or another exit status after a message. */
int app_inputs_collect(app_inputs *inputs, const app_settings *settings);
void app_inputs_free(app_inputs *inputs);

/* Like strcmp, but runs of digits compare as numbers. */
int app_inputs_compare(const char *a, const char *b);

#endif
