/* app_bundled.h - what is built into the program, so that it needs no file beside it. */
#ifndef VITC_APP_BUNDLED_H
#define VITC_APP_BUNDLED_H

#include <stddef.h>

/* vitc's single-file model; NULL and 0 when the program was built without one. */
const void *app_bundled_model(size_t *size);
/* The bash completion script; not NUL-terminated. */
const char *app_bundled_completion(size_t *size);
/* Style and script of the pages that app_html.h writes; not NUL-terminated. */
const char *app_bundled_style(size_t *size);
const char *app_bundled_script(size_t *size);

#endif
