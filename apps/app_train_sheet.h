/* app_train_sheet.h - a PNG sheet of augmented training pictures: what a model is trained on. */
#ifndef VITC_APP_TRAIN_SHEET_H
#define VITC_APP_TRAIN_SHEET_H

#include "app_options.h"
#include "imgio.h"

/* What stands below the pictures: text[i * lines + k] is line k of picture i's label, or NULL. */
typedef struct app_sheet_labels {
    const char *const *text;
    uint32_t lines; /* of each label; 0: there are none */
} app_sheet_labels;

/* Pictures in a grid, each with its label below. Tiny ones are enlarged by a whole factor, so that
 * every pixel stays a square; ones over 256 pixels are made smaller. Labels are drawn in ASCII,
 * accents left out; other letters become a box. A line too long for its picture is cut. count > 0.
 * The file appears complete or not at all. */
int app_train_sheet_write(const char *path, const imgio_image *images, size_t count,
                          const app_sheet_labels *labels, const app_settings *settings);

#endif
