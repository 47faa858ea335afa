/* app_charts.h - the charts of an evaluation's page, as SVG inside it. */
#ifndef VITC_APP_CHARTS_H
#define VITC_APP_CHARTS_H

#include "app_findings.h"
#include "vitc_file.h"

/* A fraction as a mark on a line from 0 to 1, its interval as a band around it. */
void app_charts_interval(vitc_file_writer *page, double value, datasets_interval interval);

/* A fraction as a bar, its interval as a whisker at the bar's end. */
void app_charts_bar(vitc_file_writer *page, double value, datasets_interval interval);

/* Accuracy over mean score for each bin, with Wilson's interval as a band, the images of each bin
 * as bars below. */
void app_charts_reliability(vitc_file_writer *page, const datasets_results *results);

/* Images by their highest score: the right predictions, and below them the wrong ones. */
void app_charts_scores(vitc_file_writer *page, const app_findings *findings);

/* One bar cut into parts of a whole, and their legend. */
typedef struct app_charts_part {
    const char *name;
    double seconds;
} app_charts_part;
void app_charts_parts(vitc_file_writer *page, const app_charts_part *parts, size_t count);

#endif
