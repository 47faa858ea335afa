/* app_text.h - text for people: terminals, widths, and names that may hold anything. */
#ifndef VITC_APP_TEXT_H
#define VITC_APP_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "vitc_json.h"

/* What can be shown on a stream. */
typedef struct app_terminal {
    bool terminal; /* a person is looking */
    bool utf8;     /* the locale says UTF-8 */
    bool color;    /* terminal, TERM is not dumb, NO_COLOR is not set (no-color.org) */
    size_t columns;
} app_terminal;

app_terminal app_terminal_of(FILE *stream);

/* A malloc'd copy that is safe on a terminal: control characters (a file name may hold newlines and
 * escape sequences) and bytes that are not UTF-8 become \n, \t, \xNN. NULL without memory. */
char *app_text_printable(const char *text);

/* Columns that printable UTF-8 text takes on a terminal. */
size_t app_text_width(const char *text);

/* Shortens "A, B, C", printable text of parts, in place to at most `columns`: the last part is
 * kept, and of the others as many of the first as fit beside it; text that is still too long is
 * cut. */
void app_text_shorten(char *text, size_t columns);

/* Writes printable text in exactly `width` columns: padded at the right, or cut with an ellipsis:
 * at the front (paths: the file's name is at the end) or at the end (labels). */
void app_text_column(FILE *out, const char *text, size_t width, bool cut_front, bool utf8);

/* A share, 0-1, as a bar of at most `columns`: in eighths of a column where the locale has the
 * characters for it. Columns that it leaves empty are not written. */
void app_text_bar(FILE *out, double share, size_t columns, bool utf8);

/* The last part of a path, malloc'd; NULL without memory. */
char *app_text_base_name(const char *path);

/* The words of a command as a shell takes them, quoted where they must be; malloc'd, NULL without
 * memory. */
char *app_text_command(int argc, char *const *argv);

/* A field of RFC 4180: quoted where it holds a quote, a comma or a line break. */
void app_text_csv(FILE *out, const char *text);

/* "3,926,794"; `text` of at least 27 bytes. */
const char *app_text_number(char *text, size_t size, uint64_t number);
/* "14.9 MiB". */
const char *app_text_bytes(char *text, size_t size, uint64_t bytes);

/* Prints `object` on standard output, indented by `indent` (0: on one line), numbers with `digits`
 * digits, then `end`; and frees it. False, with nothing printed, when it is not `complete`, because
 * memory ran out while it was made, or runs out now. */
bool app_text_print_json(vitc_json *object, bool complete, int indent, int digits, const char *end);

/* The word of a NULL-terminated list that `word` was probably meant to be, or NULL. */
const char *app_text_nearest(const char *word, const char *const *candidates, size_t count);

#endif
