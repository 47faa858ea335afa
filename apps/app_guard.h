/* app_guard.h - no part of an output is left behind when a signal ends the program. */
#ifndef VITC_APP_GUARD_H
#define VITC_APP_GUARD_H

/* Until the program ends, SIGINT, SIGTERM and SIGHUP remove what a writer (vitc_file.h) has of
 * `path` so far; then they do what they always do. At most two paths; NULL does nothing. */
void app_guard_output(const char *path);

#endif
