/* app_pictures.h - small pictures of chosen images of a set, for a page. */
#ifndef VITC_APP_PICTURES_H
#define VITC_APP_PICTURES_H

#include "app_options.h"
#include "datasets.h"
#include "vitc_file.h"

typedef struct app_picture {
    uint64_t index;      /* in the set */
    char *path;          /* NULL: the set has no such image any more */
    unsigned char *data; /* a JPEG or PNG file; NULL: it cannot be shown */
    size_t size;
    bool small; /* shown larger than it is: the image has few pixels */
} app_picture;

typedef struct app_pictures {
    app_picture *items; /* by index, each once */
    size_t count;
} app_pictures;

/* Reads the set once more, of which only the images with these indices (in any order, repeated or
 * not) are decoded. A set that cannot be read again, after a message, and images that cannot be
 * decoded leave pictures without data: a page can do without. Fails only for want of memory, with
 * an exit status as everywhere. */
int app_pictures_load(app_pictures *pictures, const uint64_t *indices, size_t count,
                      const char *const *paths, size_t path_count, const datasets_options *opening,
                      const app_settings *settings);
void app_pictures_free(app_pictures *pictures);

/* NULL when it was not asked for. */
const app_picture *app_pictures_find(const app_pictures *pictures, uint64_t index);

/* <div class="frame"> with the picture, or with the words that there is none. `picture` may be
 * NULL; `alternative` says what it shows. */
void app_pictures_put(vitc_file_writer *page, const app_picture *picture, const char *alternative);

#endif
