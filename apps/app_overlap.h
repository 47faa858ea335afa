/* app_overlap.h - how many of the images that a model is measured on it was trained on. */
#ifndef VITC_APP_OVERLAP_H
#define VITC_APP_OVERLAP_H

#include "app_duplicates.h"

/* Compares the images of the operands, of the part that the settings choose, with the training data
 * of --train-data, by what they show: identical pixels, or alike (app_duplicates.h). Warns of what
 * it finds. *known stays false where there is no --train-data, and after a signal. An exit status
 * as everywhere; broken images are left out. */
int app_overlap_find(app_overlap *overlap, bool *known, const app_settings *settings);

#endif
