/* app_page.h - the parts of the page of `vitc eval --report`, each one or several of its sections.
 */
#ifndef VITC_APP_PAGE_H
#define VITC_APP_PAGE_H

#include "app_evaluation.h"
#include "app_findings.h"
#include "app_html.h"
#include "app_pictures.h"
#include "vitc_json.h"

/* Everything that is shown. */
typedef struct app_page {
    const app_evaluation *e;
    vit_model_info info;
    uint32_t classes; /* of the model */
    uint32_t *shown;  /* classes that have images or were predicted */
    size_t shown_count;
    vitc_json *card; /* NULL when there is none */
    app_findings findings;
    app_pictures pictures;
    char *command; /* as a shell takes it */
    vitc_file_writer *out;
} app_page;

/* Summary, classes, confusion, calibration. */
void app_page_results(const app_page *page);
/* Worst errors, the least certain, images that look alike, files that could not be used. */
void app_page_findings(const app_page *page);
/* Speed, model, run. */
void app_page_about(const app_page *page);
/* The table of all images, for the script: reads the rows. An exit status as everywhere. */
int app_page_images(const app_page *page);

/* ---- for all of them ---- */

/* "93.4 %"; "-" where there is no number. */
void app_page_percent(const app_page *page, double fraction, int digits);
/* "50,000" */
void app_page_number(const app_page *page, uint64_t number);
/* Whether there are times to be shown. */
bool app_page_timed(const app_page *page);
double app_page_speed(const app_page *page); /* images per second, when there are */

#endif
