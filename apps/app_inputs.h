/* app_inputs.h - the paths of a run of classify: operands, and lists of paths. */
#ifndef VITC_APP_INPUTS_H
#define VITC_APP_INPUTS_H

#include "app_options.h"
#include "datasets.h"

typedef struct app_inputs {
    const char **paths; /* "-" is one image on standard input */
    size_t count, capacity;
    char *list; /* the text of --files-from, which paths point into */
} app_inputs;

/* The operands, then the paths of the list of --files-from. APP_EXIT_DONE, or another exit status
 * after a message. */
int app_inputs_collect(app_inputs *inputs, const app_settings *settings);
void app_inputs_free(app_inputs *inputs);

/* Opens the set of images that they name together (datasets.h, not labelled); `mine`: only those
 * that are this rank's (app_ranks.h). */
int app_inputs_open(datasets_set **set, const app_inputs *inputs, bool mine,
                    const app_settings *settings);

/* Refuses pipes among the paths of a set that will be read more than once. */
int app_inputs_check_again(const char *const *paths, size_t count);

#endif
