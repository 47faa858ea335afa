/* app_report.h - everything that goes to standard error, and exit statuses. */
#ifndef VITC_APP_REPORT_H
#define VITC_APP_REPORT_H

#include <stdbool.h>

#include "app_options.h"
#include "vitc_base.h"

/* "vitc: ..." on standard error, control characters made visible. A progress line that is on the
 * screen is taken away first. */
void app_error(const char *format, ...) VITC_PRINTF(1, 2);
void app_warn(const char *format, ...) VITC_PRINTF(1, 2);

/* A log for library calls: errors always; warnings unless quiet; information only if verbose.
 * `settings` must outlive it. */
vitc_log app_log(const app_settings *settings);
/* Errors only: for a set that is opened again, of which the rest has been said. */
vitc_log app_log_errors(void);

/* The exit status of a run that a library call ended with `status`. */
int app_exit_status(vitc_status status);

/* Whether standard output still takes what is written to it; flushes it. Call after each unit of
 * output. A reader that has gone away (head) is no error to report: *gone is set. */
bool app_stdout_flush(bool *gone);

/* The last word of every command: flushes, and turns a write error into APP_EXIT_INTERNAL. */
int app_stdout_finish(int exit_status);

#endif
