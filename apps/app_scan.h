/* app_scan.h - every image of some sets decoded once, and what can be told of it in few bytes: for
 * finding broken files, duplicates, and images that two sets share.
 *
 * Of an image 200 bytes are kept, and its path. No pixels are, but 8 x 8 grey ones. */
#ifndef VITC_APP_SCAN_H
#define VITC_APP_SCAN_H

#include "app_options.h"
#include "datasets.h"
#include "vitc_hash.h"

enum {
    APP_SCAN_SETS = 16, /* at most */
    APP_SCAN_THUMBNAIL = 8
};

enum { APP_SCAN_NO_CLASS = UINT32_MAX };

typedef struct app_image {
    size_t path, error; /* where they begin in the scan's text; `error` is for a bad status */
    uint64_t index;     /* in its set */
    uint32_t set;       /* number of the set, from 0 */
    uint32_t label;     /* a class of the scan, or APP_SCAN_NO_CLASS */
    vitc_status status; /* VITC_OK, or why it cannot be used; then only `format` may be known */
    imgio_format format;
    uint32_t width, height; /* upright */
    bool has_file;          /* it is a file of its own: `file` is set */
    bool grey;              /* red = green = blue everywhere */
    bool flat;              /* one colour */
    bool misnamed;          /* the name says another format than the first bytes do */
    vitc_hash file;         /* of the bytes */
    vitc_hash pixels;       /* of size and pixels, RGB and upright */
    uint64_t difference, frequency;
    uint8_t thumbnail[APP_SCAN_THUMBNAIL * APP_SCAN_THUMBNAIL]; /* grey */
} app_image;

/* A class of the scan is a name: classes of several sets with one name are one. Their numbers begin
 * at 0 in the order of their first appearance, but for gaps where a set repeats an earlier name. */
typedef struct app_scan {
    app_image *images; /* set by set, each in its order */
    size_t count, capacity;
    char *text;
    size_t text_size, text_capacity;
    size_t set_count;
    struct {
        datasets_set *set;        /* open until the end, for its names */
        datasets_options options; /* how it was opened */
        const char *name;         /* its first path, as it was given */
        size_t begin, end;        /* its images */
        uint32_t classes;         /* where its own classes begin in `same` */
        char *error;              /* why it could not be read to its end; NULL: it could */
    } sets[APP_SCAN_SETS];
    uint32_t *same; /* [class_count]: the first class of the same name */
    uint32_t class_count;
} app_scan;

/* Opens, reads and decodes what `paths` name together, as one more set, in parallel; with `options`
 * NULL labelled, or, where that is no labelled set, all images below it. Broken images are not
 * errors, nor is a set that cannot be read to its end: that was said, and what came before the
 * damage counts. It ends early after a signal (app_stop.h). Paths outlive the scan. An exit status
 * as everywhere. */
int app_scan_add(app_scan *scan, const char *const *paths, size_t count,
                 const datasets_options *options, const app_settings *settings);
void app_scan_free(app_scan *scan);

const char *app_scan_path(const app_scan *scan, const app_image *image);
const char *app_scan_error(const app_scan *scan, const app_image *image);
/* NULL for APP_SCAN_NO_CLASS. */
const char *app_scan_class(const app_scan *scan, uint32_t label);

#endif
