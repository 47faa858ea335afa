/* app_run.h - the folder of a run of vitc train where a model is asked for. */
#ifndef VITC_APP_RUN_H
#define VITC_APP_RUN_H

#include <stdbool.h>

#include "app_options.h"

/* Whether this config.json is that of a run: other programs, too, write one beside their models. */
bool app_run_is_config(const char *path);

/* In the models that the command names, operands from number `first` on (SIZE_MAX: none of
 * them) and options, the folder of a run becomes the best model there; nothing is said yet. A state
 * of a run is an error, which names the model beside it. APP_EXIT_DONE, or another exit status
 * after a message. */
int app_run_find_models(app_settings *settings, char **operands, size_t first);
/* Says what was taken for what. */
void app_run_tell_models(const app_settings *settings);

#endif
