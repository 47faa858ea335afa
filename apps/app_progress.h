/* app_progress.h - one line on a terminal's standard error: how far, how fast, how long still.
 *
 * A line that is wider than the terminal loses parts (app_text_shorten), or it could not be taken
 * away again.
 *
 * Safe to call from several threads: whoever writes to standard error holds the lock of its stream
 * (flockfile), which is recursive. */
#ifndef VITC_APP_PROGRESS_H
#define VITC_APP_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vitc_base.h"

/* Starts a line for `total` images, UINT64_MAX while that is not known, which begins with `what` is
 * done with them, if that is not NULL; nothing is ever shown unless standard error is a terminal.
 */
void app_progress_start(const char *what, uint64_t total, bool quiet);
/* The total is known now. */
void app_progress_total(uint64_t total);
/* `done` of them are finished; drawn at most ten times a second. */
void app_progress_update(uint64_t done);
/* Shows another line instead: what is being done, where its end is not known. */
void app_progress_note(bool quiet, const char *format, ...) VITC_PRINTF(2, 3);
/* Takes the line off the screen, so that something else can be written. */
void app_progress_clear(void);
void app_progress_finish(void);

/* Whether anything would be shown. */
bool app_progress_wanted(bool quiet);

#endif
