/* app_train_curves.h - results.svg: how a training run went, in one picture. */
#ifndef VITC_APP_TRAIN_CURVES_H
#define VITC_APP_TRAIN_CURVES_H

#include "app_train_metrics.h"

/* Draws loss, accuracy, calibration error, learning rate, gradient norm and speed over epochs, the
 * best epoch (app_train_best) marked. `title` stands above (any text), `subtitle` below it (NULL:
 * none). `epochs` is how many are planned: the axis reaches there, so that pictures of a run that
 * goes on can be compared; 0: as many as there are. The file appears complete or not at all.
 * `records` are by epoch, as app_train_metrics_records gives them; there may be none yet. */
int app_train_curves_write(const char *path, const char *title, const char *subtitle,
                           const app_train_record *records, size_t count, uint32_t epochs,
                           const app_settings *settings);

#endif
