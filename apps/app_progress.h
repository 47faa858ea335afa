/* app_progress.h - one line on a terminal's standard error: how far, how fast, how long still. */
#ifndef VITC_APP_PROGRESS_H
#define VITC_APP_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "vitc_base.h"

/* Starts a line for `total` images; nothing is ever shown unless standard error is a terminal. */
void app_progress_start(size_t total, bool quiet);
/* `done` of them are finished; drawn at most ten times a second. */
void app_progress_update(size_t done);
/* Shows another line instead: what is being done, where its end is not known. */
void app_progress_note(bool quiet, const char *format, ...) VITC_PRINTF(2, 3);
/* Takes the line off the screen, so that something else can be written. */
void app_progress_clear(void);
void app_progress_finish(void);

#endif
