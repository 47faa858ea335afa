/* app_check.h - what `vitc check` found in some sets of images. */
#ifndef VITC_APP_CHECK_H
#define VITC_APP_CHECK_H

#include "app_doubts.h"
#include "app_duplicates.h"
#include "app_scan.h"
#include "vitc_json.h"

/* One set by itself. */
typedef struct app_check_set {
    uint64_t images, broken, grey, flat, misnamed;
    uint64_t formats[IMGIO_PSD + 1]; /* of files, by imgio_format */
    /* Of what can be used, by number of pixels; NULL where there is nothing. */
    const app_image *smallest, *median, *largest;
    uint64_t *class_images; /* [class_count of the scan]; broken ones included */
    uint64_t unlabelled;
    size_t classes;             /* that have images */
    uint32_t rarest, commonest; /* of these */
} app_check_set;

typedef struct app_check {
    const app_settings *settings;
    app_scan scan;
    app_duplicates duplicates;
    app_doubts doubts; /* with --model */
    app_check_set sets[APP_SCAN_SETS];
    app_overlap overlaps[APP_SCAN_SETS][APP_SCAN_SETS]; /* [a][b], a < b: of b, what is in a */
    uint64_t broken, flat, misnamed;                    /* in all sets */
    bool errors; /* something that is certainly wrong: see app_check_run */
} app_check;

/* For people, on standard output. */
void app_check_print(const app_check *check);
/* The one object of --json; NULL without memory. */
vitc_json *app_check_json(const app_check *check);
/* One line per finding and image. */
void app_check_csv(const app_check *check);
/* --report: one self-contained HTML file, complete or not at all. Reads the sets once more for the
 * pictures of those images that it shows. An exit status as everywhere. */
int app_check_page(const char *path, const app_check *check);

#endif
