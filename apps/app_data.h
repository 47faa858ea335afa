/* app_data.h - labelled images: a folder of class folders. */
#ifndef VITC_APP_DATA_H
#define VITC_APP_DATA_H

#include "app_options.h"
#include "vit.h"

typedef struct app_labelled {
    char *path;
    const char *name; /* in path: what comes after the folder, "cat/0001.jpg" */
    uint32_t label;
} app_labelled;

typedef struct app_data {
    app_labelled *items; /* sorted by name, byte by byte */
    size_t count, capacity;
} app_data;

/* Collects the files below `folder`, whose folders are named like labels of the model: exactly, or
 * but for upper and lower case and what stands between words (_, -, space). A folder that is no
 * label, or that may be two, is an error. APP_EXIT_DONE, or another exit status after a message. */
int app_data_collect(app_data *data, const char *folder, const vit_model *model,
                     const app_settings *settings);
void app_data_free(app_data *data);

#endif
