/* app_outputs.h - no command writes over a file that it reads, or over another one that it writes.
 */
#ifndef VITC_APP_OUTPUTS_H
#define VITC_APP_OUTPUTS_H

#include "app_options.h"

/* Looks at every file that is named, by name and by where links lead, before any is touched: an
 * exit status, after a message. */
int app_outputs_check(const app_settings *settings);

#endif
