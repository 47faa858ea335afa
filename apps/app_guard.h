/* app_guard.h - no part of an output is left behind when a signal ends the program. */
#ifndef VITC_APP_GUARD_H
#define VITC_APP_GUARD_H

#include <stddef.h>

/* Until the program ends, SIGINT, SIGTERM and SIGHUP remove what a writer (vitc_file.h) has of
 * `path` so far; then they do what they always do. A few paths; NULL
 * does nothing. */
void app_guard_output(const char *path);

/* The same for a folder that is written as one (vitc_folder.h), of files with these names. */
void app_guard_folder(const char *path, const char *const *names, size_t count);

#endif
