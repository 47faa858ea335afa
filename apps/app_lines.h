/* app_lines.h - a file that grows line by line, each line whole, whatever ends the program. */
#ifndef VITC_APP_LINES_H
#define VITC_APP_LINES_H

#include <stdbool.h>
#include <stdint.h>

/* All of this gives exit statuses as everywhere, after a message that calls the lines rows. A file
 * that holds anything is refused unless `resume` says that it is to be continued; nothing is
 * changed before app_lines_begin. Another program that writes to it is found out. */
typedef struct app_lines app_lines;

int app_lines_create(app_lines **created, const char *path, bool resume);
/* Keeps the first `good` bytes. */
int app_lines_begin(app_lines *lines, uint64_t good);
/* `text` ends with a newline. When it fails, as on a full disk, the lines before it are kept
 * whole. */
int app_lines_write(app_lines *lines, const char *text);
/* Waits until they are on the disk. */
int app_lines_sync(app_lines *lines);
/* The same, and closes. NULL is nothing. */
int app_lines_finish(app_lines *lines);

/* The message that memory ran out; gives APP_EXIT_INTERNAL. */
int app_lines_no_memory(const char *path);

#endif
