/* app_stop.h - Ctrl-C, SIGTERM and SIGHUP for long runs: finish what was begun, write it, say how
 * to go on. */
#ifndef VITC_APP_STOP_H
#define VITC_APP_STOP_H

#include <stdbool.h>

/* From now on the first signal asks the run to stop; a second one ends the program at once. */
void app_stop_watch(void);
/* What the first signal writes on standard error at once, where there may be no time for more; NULL
 * for nothing. It must live until the next call. */
void app_stop_say(const char *line);
bool app_stop_asked(void); /* from any thread */

/* The exit status of a run that ended with `exit_status`: 128 and the signal's number where one
 * asked it to stop, which is what a shell gives for a program that a signal ended. */
int app_stop_status(int exit_status);

#endif
