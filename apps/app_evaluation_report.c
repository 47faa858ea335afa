/* The page of `vitc eval --report`: what was found among the rows, and everything that somebody who
 * gets the page needs to trust it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app_charts.h"
#include "app_evaluation.h"
#include "app_findings.h"
#include "app_guard.h"
#include "app_html.h"
#include "app_model.h"
#include "app_output.h"
#include "app_pictures.h"
#include "app_report.h"
#include "app_text.h"
#include "vitc_json.h"
#include "vitc_log.h"

enum {
    MATRIX_CLASSES = 16, /* up to so many the confusion matrix is a table of numbers */
    CONFUSED_PAIRS = 20,
    TABLE_ROWS = 100000, /* more make a page that no browser opens with pleasure */
    SHADES = 9           /* of report.css */
};

/* Everything that is shown. */
typedef struct report {
    const app_evaluation *e;
    vit_model_info info;
    uint32_t classes; /* of the model */
    uint32_t *shown;  /* classes that have images or were predicted */
    size_t shown_count;
    vitc_json *card; /* NULL when there is none */
    app_findings findings;
    app_pictures pictures;
    vitc_file_writer *page;
} report;

/* ---- numbers ---- */

/* "-" where there is no number. */
static void put_percent(vitc_file_writer *page, double fraction, int digits)
{
    if (isnan(fraction))
        app_html_put(page, "-");
    else
        app_html_put(page, "%.*f&nbsp;%%", digits, 100 * fraction);
}

static void put_number(vitc_file_writer *page, uint64_t number)
{
    char text[32];
    app_html_put(page, "%s", app_text_number(text, sizeof text, number));
}

static double share(uint64_t part, uint64_t all)
{
    return all > 0 ? (double)part / (double)all : NAN;
}

/* ---- summary ---- */

static void put_notes(const report *r)
{
    const app_evaluation *e = r->e;
    if (e->stopped != NULL) {
        app_html_put(r->page, "<p class=\"note\">The run did not reach the end of the data: ");
        app_html_text(r->page, e->stopped);
        app_html_put(r->page, ". These are ");
        put_number(r->page, e->n);
        if (e->survey.counted) {
            app_html_put(r->page, " of ");
            put_number(r->page, e->survey.images);
        }
        app_html_put(r->page, " images, the first of the set, which need not be like the rest."
                              "</p>\n");
    }
    if (e->changed)
        app_html_put(r->page, "<p class=\"note\">The data changed while the run went on.</p>\n");
    if (e->calibrated)
        app_html_put(r->page,
                     "<p class=\"note\">A copy of the model got the temperature %.4g, fitted to "
                     "these images (loss %.4f to %.4f); its own numbers have to come from others. "
                     "This page is of the model without it.</p>\n",
                     e->calibration.temperature, e->calibration.nll_before,
                     e->calibration.nll_after);
    if (e->n_bad > 0) {
        app_html_put(r->page, "<p class=\"note\">");
        put_number(r->page, e->n_bad);
        app_html_put(r->page, " of ");
        put_number(r->page, e->n);
        app_html_put(r->page, " files could not be used and count in no number but this one: "
                              "<a href=\"#bad\">the list</a>.</p>\n");
    }
}

static void begin_tile(const report *r, const char *name)
{
    app_html_put(r->page, "<div class=\"tile\"><h3>%s</h3><p class=\"big\">", name);
}

static void put_accuracy_tile(const report *r, const char *name, double value,
                              datasets_interval interval, uint64_t hits)
{
    begin_tile(r, name);
    put_percent(r->page, value, 2);
    app_html_put(r->page, "</p>");
    if (!isnan(value)) app_charts_interval(r->page, value, interval);
    app_html_put(r->page, "<p>95 %%: %.2f to %.2f %%</p><p>", 100 * interval.low,
                 100 * interval.high);
    put_number(r->page, hits);
    app_html_put(r->page, " of ");
    put_number(r->page, r->e->results.n);
    app_html_put(r->page, "</p></div>\n");
}

static void put_images_tile(const report *r)
{
    begin_tile(r, "Images");
    put_number(r->page, r->e->n_ok);
    app_html_put(r->page, "</p><p>used</p><p>");
    put_number(r->page, r->e->n_bad);
    app_html_put(r->page, " could not be</p></div>\n");
}

static void put_calibration_tile(const report *r)
{
    const datasets_results *s = &r->e->results;
    begin_tile(r, "Calibration error (ECE)");
    put_percent(r->page, s->ece, 2);
    app_html_put(r->page, "</p><p>perfect calibration would show ");
    put_percent(r->page, s->ece_calibrated, 2);
    app_html_put(r->page, " here</p></div>\n");
}

static double images_per_second(const app_evaluation *e)
{
    return e->times.wall > 0 ? (double)(e->n - e->resumed) / e->times.wall : NAN;
}

static bool is_timed(const app_evaluation *e)
{
    return !e->settings->no_times && e->times.wall > 0 && e->n > e->resumed;
}

static void put_summary(const report *r)
{
    const datasets_results *s = &r->e->results;
    app_html_section(r->page, "summary", "Summary");
    put_notes(r);
    app_html_put(r->page, "<div class=\"tiles\">\n");
    put_accuracy_tile(r, "Top-1 accuracy", s->top1, s->top1_interval, s->right);
    if (r->classes > 5)
        put_accuracy_tile(r, "Top-5 accuracy", s->top5, s->top5_interval, s->right5);
    put_images_tile(r);
    begin_tile(r, "Balanced accuracy");
    put_percent(r->page, s->balanced, 2);
    app_html_put(r->page, "</p><p>mean over classes</p><p>macro F1 ");
    put_percent(r->page, s->macro_f1, 2);
    app_html_put(r->page, "</p></div>\n");
    put_calibration_tile(r);
    begin_tile(r, "Loss");
    app_html_put(r->page, isnan(s->loss) ? "-" : "%.4f", s->loss);
    app_html_put(r->page, "</p><p>mean -log score of the label</p><p>Brier %.4f</p></div>\n",
                 s->brier);
    if (is_timed(r->e)) {
        begin_tile(r, "Speed");
        app_html_put(r->page, "%.*f/s</p><p>images, from files to answers</p></div>\n",
                     images_per_second(r->e) < 100 ? 1 : 0, images_per_second(r->e));
    }
    app_html_put(r->page, "</div>\n</section>\n");
}

/* ---- classes ---- */

static void put_class(const report *r, uint32_t index)
{
    const datasets_class_result c = datasets_metrics_class(r->e->metrics, index);
    app_html_put(r->page, "<tr>");
    app_html_element(r->page, "td", NULL, vit_model_label(r->e->model, index));
    app_html_put(r->page, "<td class=\"num\">%llu</td><td class=\"num\">",
                 (unsigned long long)c.support);
    put_percent(r->page, c.recall, 1);
    app_html_put(r->page, "</td><td>");
    if (!isnan(c.recall)) app_charts_bar(r->page, c.recall, c.recall_interval);
    app_html_put(r->page, "</td><td class=\"num\">");
    if (!isnan(c.recall))
        app_html_put(r->page, "%.1f to %.1f", 100 * c.recall_interval.low,
                     100 * c.recall_interval.high);
    app_html_put(r->page, "</td><td class=\"num\">");
    put_percent(r->page, c.precision, 1);
    app_html_put(r->page, "</td><td class=\"num\">");
    put_percent(r->page, c.f1, 1);
    app_html_put(r->page, "</td><td class=\"num\">%llu</td></tr>\n",
                 (unsigned long long)c.predicted);
}

static void put_classes(const report *r)
{
    app_html_section(r->page, "classes", "Classes");
    if (r->shown_count < r->classes)
        app_html_put(r->page,
                     "<p class=\"soft\">%zu of the model's %u classes have images or were "
                     "predicted; the others are left out.</p>\n",
                     r->shown_count, r->classes);
    app_html_put(r->page,
                 "<div class=\"scroll\" tabindex=\"0\"><table class=\"sortable\" "
                 "aria-label=\"Accuracy by class\">\n<thead><tr><th scope=\"col\">Class</th>"
                 "<th scope=\"col\" class=\"num\">Images</th>"
                 "<th scope=\"col\" class=\"num\">Recall</th><th></th>"
                 "<th scope=\"col\" class=\"num\">95 %%</th>"
                 "<th scope=\"col\" class=\"num\">Precision</th>"
                 "<th scope=\"col\" class=\"num\">F1</th>"
                 "<th scope=\"col\" class=\"num\">Predicted</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < r->shown_count; i++) put_class(r, r->shown[i]);
    app_html_put(r->page, "</tbody></table></div>\n</section>\n");
}

/* ---- confusion ---- */

static void put_cell(const report *r, uint32_t label, uint32_t prediction, uint64_t support)
{
    const uint64_t n = datasets_metrics_confusion(r->e->metrics, label, prediction);
    if (n == 0) {
        app_html_put(r->page, "<td class=\"zero\">0</td>");
        return;
    }
    const int shade = 1 + (int)((SHADES - 1) * share(n, support) + 0.5);
    app_html_put(r->page,
                 "<td class=\"s%d%s\" data-label=\"%u\" data-prediction=\"%u\" "
                 "title=\"%.1f %% of the class\">%llu</td>",
                 shade, label == prediction ? " right" : "", label, prediction,
                 100 * share(n, support), (unsigned long long)n);
}

static void put_matrix_table(const report *r)
{
    app_html_put(r->page, "<p class=\"soft\">Rows are true classes, columns predictions.</p>\n"
                          "<div class=\"split\"><div class=\"wide fit\"><table class=\"matrix\" "
                          "aria-label=\"Confusion matrix\">\n"
                          "<thead><tr><td></td>");
    for (size_t i = 0; i < r->shown_count; i++) {
        const char *label = vit_model_label(r->e->model, r->shown[i]);
        app_html_put(r->page, "<th scope=\"col\" title=\"");
        app_html_text(r->page, label);
        app_html_put(r->page, "\">");
        app_html_text(r->page, label);
        app_html_put(r->page, "</th>");
    }
    app_html_put(r->page, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < r->shown_count; i++) {
        const uint64_t support = datasets_metrics_class(r->e->metrics, r->shown[i]).support;
        app_html_put(r->page, "<tr><th scope=\"row\">");
        app_html_text(r->page, vit_model_label(r->e->model, r->shown[i]));
        app_html_put(r->page, "</th>");
        for (size_t j = 0; j < r->shown_count; j++) put_cell(r, r->shown[i], r->shown[j], support);
        app_html_put(r->page, "</tr>\n");
    }
    app_html_put(r->page, "</tbody></table></div>\n<div>");
}

/* For the script, which draws it: cells by their places among the shown classes. */
static void put_matrix_data(const report *r)
{
    bool begun = false;
    app_html_put(r->page, "<noscript><p class=\"note\">The matrix of so many classes is drawn by "
                          "the page's script.</p></noscript>\n<div id=\"confusion-view\"></div>\n"
                          "<script type=\"application/json\" id=\"confusion-cells\">"
                          "{\"classes\":[");
    for (size_t i = 0; i < r->shown_count; i++)
        app_html_put(r->page, "%s%u", i > 0 ? "," : "", r->shown[i]);
    app_html_put(r->page, "],\"cells\":[");
    for (size_t i = 0; i < r->shown_count; i++)
        for (size_t j = 0; j < r->shown_count; j++) {
            const uint64_t n = datasets_metrics_confusion(r->e->metrics, r->shown[i], r->shown[j]);
            if (n == 0) continue;
            app_html_put(r->page, "%s[%zu,%zu,%llu]", begun ? "," : "", i, j,
                         (unsigned long long)n);
            begun = true;
        }
    app_html_put(r->page, "]}</script>\n");
}

static void put_confused(const report *r)
{
    datasets_confusion pairs[CONFUSED_PAIRS];
    const size_t all = datasets_metrics_confused(r->e->metrics, pairs, CONFUSED_PAIRS);
    const size_t count = all < CONFUSED_PAIRS ? all : CONFUSED_PAIRS;
    app_html_put(r->page, "<h3>Most often confused</h3>\n");
    if (count == 0) {
        app_html_put(r->page, "<p class=\"empty\">Nothing was.</p>\n");
        return;
    }
    app_html_put(
        r->page,
        "<div class=\"scroll\" tabindex=\"0\"><table aria-label=\"Most often confused\"><thead><tr>"
        "<th scope=\"col\">Label</th><th scope=\"col\">Prediction</th>"
        "<th scope=\"col\" class=\"num\">Images</th>"
        "<th scope=\"col\" class=\"num\">Share</th>"
        "<th class=\"only-screen\"></th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < count; i++) {
        const uint64_t support = datasets_metrics_class(r->e->metrics, pairs[i].label).support;
        app_html_put(r->page, "<tr>");
        app_html_element(r->page, "td", NULL, vit_model_label(r->e->model, pairs[i].label));
        app_html_element(r->page, "td", NULL, vit_model_label(r->e->model, pairs[i].prediction));
        app_html_put(r->page, "<td class=\"num\">%llu</td><td class=\"num\">",
                     (unsigned long long)pairs[i].n);
        put_percent(r->page, share(pairs[i].n, support), 1);
        app_html_put(r->page,
                     "</td><td class=\"only-screen\"><button type=\"button\" hidden "
                     "data-label=\"%u\" data-prediction=\"%u\">List</button></td></tr>\n",
                     pairs[i].label, pairs[i].prediction);
    }
    app_html_put(r->page, "</tbody></table></div>\n");
}

static void put_confusion(const report *r)
{
    app_html_section(r->page, "confusion", "Confusion");
    if (r->shown_count <= MATRIX_CLASSES)
        put_matrix_table(r);
    else
        put_matrix_data(r);
    put_confused(r);
    if (r->shown_count <= MATRIX_CLASSES) app_html_put(r->page, "</div></div>\n");
    app_html_put(r->page, "</section>\n");
}

/* ---- calibration ---- */

static void put_curve_table(const report *r)
{
    const datasets_results *s = &r->e->results;
    app_html_put(r->page,
                 "<details><summary>Numbers of the curve</summary><div class=\"wide\"><table>"
                 "<thead><tr><th scope=\"col\">Score</th><th scope=\"col\" class=\"num\">Images"
                 "</th><th scope=\"col\" class=\"num\">Mean score</th>"
                 "<th scope=\"col\" class=\"num\">Right</th>"
                 "<th scope=\"col\" class=\"num\">95 %%</th></tr></thead>\n<tbody>\n");
    for (int i = 0; i < DATASETS_BINS; i++) {
        const datasets_bin *bin = &s->bins[i];
        if (bin->n == 0) continue;
        const datasets_interval band = datasets_wilson(bin->right, bin->n);
        app_html_put(r->page,
                     "<tr><td>%.1f to %.1f %%</td><td class=\"num\">%llu</td>"
                     "<td class=\"num\">%.1f %%</td><td class=\"num\">%.1f %%</td>"
                     "<td class=\"num\">%.1f to %.1f %%</td></tr>\n",
                     100.0 * i / DATASETS_BINS, 100.0 * (i + 1) / DATASETS_BINS,
                     (unsigned long long)bin->n, 100 * bin->confidence / (double)bin->n,
                     100 * share(bin->right, bin->n), 100 * band.low, 100 * band.high);
    }
    app_html_put(r->page, "</tbody></table></div></details>\n");
}

static void put_scores_table(const report *r)
{
    app_html_put(r->page,
                 "<details><summary>Numbers of the histogram</summary><div class=\"wide\"><table>"
                 "<thead><tr><th scope=\"col\">Score</th>"
                 "<th scope=\"col\" class=\"num\">Right</th>"
                 "<th scope=\"col\" class=\"num\">Wrong</th></tr></thead>\n<tbody>\n");
    for (int i = 0; i < APP_FINDINGS_BINS; i++)
        app_html_put(r->page,
                     "<tr><td>%d to %d %%</td><td class=\"num\">%llu</td><td class=\"num\">%llu"
                     "</td></tr>\n",
                     100 * i / APP_FINDINGS_BINS, 100 * (i + 1) / APP_FINDINGS_BINS,
                     (unsigned long long)r->findings.right[i],
                     (unsigned long long)r->findings.wrong[i]);
    app_html_put(r->page, "</tbody></table></div></details>\n");
}

static void put_calibration(const report *r)
{
    const datasets_results *s = &r->e->results;
    app_html_section(r->page, "calibration", "Calibration");
    app_html_put(r->page, "<p>Of a calibrated model's predictions with a score of 80 %%, 80 %% are "
                          "right. The expected calibration error is ");
    put_percent(r->page, s->ece, 2);
    app_html_put(r->page, "; of as many images, with these scores, a perfectly calibrated model "
                          "would show ");
    put_percent(r->page, s->ece_calibrated, 2);
    app_html_put(r->page, " by chance. Mean score ");
    put_percent(r->page, s->mean_confidence, 2);
    app_html_put(r->page, ", accuracy ");
    put_percent(r->page, s->top1, 2);
    app_html_put(r->page, ".</p>\n<div class=\"split\">\n<div><h3>Reliability</h3>\n");
    app_charts_reliability(r->page, s);
    app_html_put(r->page, "<ul class=\"legend\"><li>Band: 95 %% interval (Wilson)</li>"
                          "<li>Dashed: perfect calibration</li></ul>\n");
    put_curve_table(r);
    app_html_put(r->page, "</div>\n<div><h3>Scores</h3>\n");
    app_charts_scores(r->page, &r->findings);
    put_scores_table(r);
    app_html_put(r->page, "</div>\n</div>\n</section>\n");
}

/* ---- pictures ---- */

static void put_said(const report *r, const app_finding *f)
{
    const bool is_right = f->prediction == f->label;
    app_html_put(r->page, "<span class=\"%s\">", is_right ? "true" : "said");
    app_html_text(r->page, vit_model_label(r->e->model, f->prediction));
    app_html_put(r->page, " %.1f&nbsp;%%</span>", 100 * f->score);
    if (is_right) return;
    app_html_put(r->page, "<span>is ");
    app_html_text(r->page, vit_model_label(r->e->model, f->label));
    app_html_put(r->page, "</span>");
}

static void put_shot(const report *r, const app_finding *f)
{
    app_html_put(r->page, "<figure class=\"shot\">");
    app_pictures_put(r->page, app_pictures_find(&r->pictures, f->index), f->path);
    app_html_put(r->page, "<figcaption>");
    put_said(r, f);
    app_html_element(r->page, "span", "path", f->path);
    app_html_put(r->page, "</figcaption></figure>\n");
}

static void put_gallery(const report *r, const app_finding_list *list, const char *empty)
{
    if (list->count == 0) {
        app_html_put(r->page, "<p class=\"empty\">%s</p>\n", empty);
        return;
    }
    app_html_put(r->page, "<div class=\"gallery\">\n");
    for (size_t i = 0; i < list->count; i++) put_shot(r, &list->items[i]);
    app_html_put(r->page, "</div>\n");
}

static void put_galleries(const report *r)
{
    app_html_section(r->page, "errors", "Worst errors");
    app_html_put(r->page, "<p class=\"soft\">Wrong with the highest score: often labels that are "
                          "wrong themselves, or pictures of two things.</p>\n");
    put_gallery(r, &r->findings.worst, "No prediction was wrong.");
    app_html_put(r->page, "</section>\n");
    app_html_section(r->page, "uncertain", "Least certain");
    app_html_put(r->page, "<p class=\"soft\">The lowest score of all predictions, right or wrong."
                          "</p>\n");
    put_gallery(r, &r->findings.uncertain, "There is no image.");
    app_html_put(r->page, "</section>\n");
}

static void put_twin(const report *r, uint64_t index, uint32_t label)
{
    const app_picture *picture = app_pictures_find(&r->pictures, index);
    const char *path = picture != NULL && picture->path != NULL ? picture->path : "";
    app_html_put(r->page, "<div>");
    app_pictures_put(r->page, picture, path);
    app_html_element(r->page, "span", "true", vit_model_label(r->e->model, label));
    app_html_put(r->page, " ");
    app_html_element(r->page, "span", "path", path);
    app_html_put(r->page, "</div>");
}

static void put_alike(const report *r)
{
    const app_findings *f = &r->findings;
    app_html_section(r->page, "alike", "Look-alikes");
    if (f->alike_all == 0) {
        app_html_put(r->page, "<p class=\"empty\">No two images of different classes look alike."
                              "</p>\n</section>\n");
        return;
    }
    app_html_put(r->page, "<p class=\"soft\">%s", f->alike_more ? "More than " : "");
    put_number(r->page, f->alike_all);
    app_html_put(r->page,
                 " pair%s whose difference hashes differ in at most %d of 64 bits: one of the "
                 "labels may be wrong. The most alike come first.</p>\n"
                 "<div class=\"gallery pairs\">\n",
                 f->alike_all == 1 ? "" : "s", APP_FINDINGS_BITS);
    for (size_t i = 0; i < f->alike_count; i++) {
        const app_likeness *pair = &f->alike[i];
        app_html_put(r->page, "<figure class=\"shot\"><div class=\"couple\">");
        put_twin(r, pair->a.index, pair->a.label);
        put_twin(r, pair->b.index, pair->b.label);
        app_html_put(r->page,
                     "</div><figcaption><span>%u bit%s differ%s</span></figcaption>"
                     "</figure>\n",
                     pair->distance, pair->distance == 1 ? "" : "s",
                     pair->distance == 1 ? "s" : "");
    }
    app_html_put(r->page, "</div>\n</section>\n");
}

/* ---- files that could not be used ---- */

static void put_bad(const report *r)
{
    const app_finding_list *list = &r->findings.bad;
    app_html_section(r->page, "bad", "Unusable files");
    if (list->count == 0) {
        app_html_put(r->page, "<p class=\"empty\">None: every file was read.</p>\n</section>\n");
        return;
    }
    app_html_put(r->page, "<p>");
    put_number(r->page, r->e->n_bad);
    app_html_put(r->page, " in all:");
    const char *separator = " ";
    for (size_t i = 1; i < APP_STATUS_COUNT; i++) {
        if (r->e->by_status[i] == 0) continue;
        app_html_put(r->page, "%s%llu %s", separator, (unsigned long long)r->e->by_status[i],
                     app_row_status(i));
        separator = ", ";
    }
    app_html_put(r->page,
                 ".%s</p>\n<div class=\"scroll\" tabindex=\"0\"><table class=\"sortable\" "
                 "aria-label=\"Files that could not be used\"><thead><tr>"
                 "<th scope=\"col\">File</th><th scope=\"col\">Status</th>"
                 "<th scope=\"col\">Reason</th></tr></thead>\n<tbody>\n",
                 r->e->n_bad > list->count ? " The first of them:" : "");
    for (size_t i = 0; i < list->count; i++) {
        app_html_put(r->page, "<tr>");
        app_html_element(r->page, "td", "path", list->items[i].path);
        app_html_element(r->page, "td", NULL, list->items[i].status);
        app_html_element(r->page, "td", NULL, list->items[i].error);
        app_html_put(r->page, "</tr>\n");
    }
    app_html_put(r->page, "</tbody></table></div>\n</section>\n");
}

/* ---- speed ---- */

static void put_speed(const report *r)
{
    const app_times *t = &r->e->times;
    if (!is_timed(r->e)) return;
    const app_charts_part parts[] = {{"finding", t->list},      {"reading", t->read},
                                     {"decoding", t->decode},   {"preprocessing", t->preprocess},
                                     {"computing", t->compute}, {"waiting", t->wait},
                                     {"delivering", t->deliver}};
    app_html_section(r->page, "speed", "Speed");
    app_html_put(r->page, "<p>");
    put_number(r->page, r->e->n - r->e->resumed);
    app_html_put(r->page,
                 " images in %.1f s: %.1f per second. %d image%s at once, each computed by %d "
                 "thread%s.%s</p>\n<h3>Where the time of all threads went</h3>\n",
                 t->wall, images_per_second(r->e), t->lanes, t->lanes == 1 ? "" : "s",
                 t->threads_per_lane, t->threads_per_lane == 1 ? "" : "s",
                 r->e->resumed > 0 ? " The rows of the run that this one went on with are not in "
                                     "these numbers."
                                   : "");
    app_charts_parts(r->page, parts, sizeof parts / sizeof *parts);
    app_html_put(r->page, "</section>\n");
}

/* ---- the model ---- */

static void put_json(const report *r, const vitc_json *value);

static void put_json_members(const report *r, const vitc_json *object)
{
    app_html_put(r->page, "<dl class=\"facts\">\n");
    for (void *it = vitc_json_first(object); it != NULL; it = vitc_json_next(object, it)) {
        app_html_element(r->page, "dt", NULL, vitc_json_key(it));
        app_html_put(r->page, "<dd>");
        put_json(r, vitc_json_value(it));
        app_html_put(r->page, "</dd>\n");
    }
    app_html_put(r->page, "</dl>\n");
}

/* A card may say anything: objects as lists of facts, lists one below the other. */
static void put_json(const report *r, const vitc_json *value)
{
    if (vitc_json_is_object(value)) {
        put_json_members(r, value);
    } else if (vitc_json_is_array(value)) {
        for (size_t i = 0; i < vitc_json_size(value); i++) {
            app_html_put(r->page, "<div>");
            put_json(r, vitc_json_at(value, i));
            app_html_put(r->page, "</div>");
        }
    } else if (vitc_json_is_string(value)) {
        app_html_text(r->page, vitc_json_string(value, ""));
    } else if (vitc_json_is_number(value)) {
        app_html_put(r->page, "%.10g", vitc_json_number(value, NAN));
    } else if (vitc_json_is_bool(value)) {
        app_html_put(r->page, "%s", vitc_json_bool(value, false) ? "yes" : "no");
    }
}

static void put_model(const report *r)
{
    char text[512], number[32];
    const vit_config *c = r->info.config;
    app_html_section(r->page, "model", "Model");
    app_html_put(r->page, "<dl class=\"facts\">\n");
    app_html_fact(r->page, "from", r->e->model_path);
    app_html_fact(r->page, "SHA-256", r->e->model_hash);
    app_html_fact(r->page, "architecture", c->architecture[0] != 0 ? c->architecture : "not named");
    snprintf(text, sizeof text, "%s, stored as %s; %u layers, width %u, %u heads, patches of %u",
             app_text_number(number, sizeof number, r->info.parameters), r->info.weights_dtype,
             c->layers, c->width, c->heads, c->patch);
    app_html_fact(r->page, "parameters", text);
    snprintf(text, sizeof text, "%s (%s): %s", vit_precision_string(r->info.precision),
             r->info.precision_kernel, r->info.precision_reason);
    app_html_fact(r->page, "precision", text);
    patches_spec_describe(r->info.preprocess, text, sizeof text);
    app_html_fact(r->page, "preprocessing", text);
    snprintf(text, sizeof text, "%u", r->classes);
    app_html_fact(r->page, "classes", text);
    if (r->info.license != NULL) app_html_fact(r->page, "licence", r->info.license);
    app_html_put(r->page, "</dl>\n");
    if (r->card != NULL) {
        app_html_put(r->page, "<h3>Its card</h3>\n");
        put_json(r, r->card);
    }
    app_html_put(r->page, "</section>\n");
}

/* ---- the run ---- */

static void put_machine(const report *r)
{
    const vitc_log silent = {0};
    vit_runtime_info runtime;
    char text[256];
    if (vit_runtime_describe(&runtime, (int)r->e->settings->threads, &silent) != VITC_OK) return;
    app_html_fact(r->page, "processor", runtime.cpu);
    snprintf(text, sizeof text, "%s (%s); BLIS %s, configuration %s", runtime.kernel_row,
             runtime.kernel_reason, runtime.blis_version, runtime.blis_config);
    app_html_fact(r->page, "kernels", text);
    snprintf(text, sizeof text, "%d (%s)", runtime.threads, runtime.threads_reason);
    app_html_fact(r->page, "threads", text);
}

static void put_date(const report *r)
{
    char text[32];
    struct tm utc;
    const time_t now = time(NULL);
    if (gmtime_r(&now, &utc) != NULL && strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &utc) > 0)
        app_html_fact(r->page, "date", text);
}

static void put_run(const report *r, const char *command)
{
    const app_evaluation *e = r->e;
    char text[128];
    app_html_section(r->page, "run", "Run");
    app_html_element(r->page, "pre", NULL, command);
    app_html_put(r->page, "\n<h3>Data</h3>\n<dl class=\"facts\">\n");
    app_html_fact(r->page, "from", e->data_text);
    app_html_fact(r->page, "kind", datasets_kind_string(e->kind));
    if (e->opening->part != DATASETS_ALL) {
        snprintf(text, sizeof text, "%s a fraction of %g, seed %llu",
                 e->opening->part == DATASETS_CHOSEN ? "" : "all but", e->opening->fraction,
                 (unsigned long long)e->opening->seed);
        app_html_fact(r->page, "part", text);
    }
    app_html_fact(r->page, "fingerprint", e->survey.fingerprint);
    app_html_put(r->page, "</dl>\n<h3>Program and machine</h3>\n<dl class=\"facts\">\n");
    app_html_fact(r->page, "vitc", vitc_version());
    if (!e->settings->no_times) put_date(r);
    put_machine(r);
    app_html_put(r->page, "</dl>\n</section>\n");
}

/* ---- all images ---- */

static void put_labels(const report *r)
{
    app_html_put(r->page, "<script type=\"application/json\" id=\"labels\">[");
    for (uint32_t i = 0; i < r->classes; i++) {
        if (i > 0) app_html_put(r->page, ",");
        app_html_json(r->page, vit_model_label(r->e->model, i));
    }
    app_html_put(r->page, "]</script>\n");
}

static int status_index(const char *status)
{
    int index = 0;
    while (index < APP_STATUS_COUNT - 1 && strcmp(app_row_status((size_t)index), status) != 0)
        index++;
    return index;
}

static long in_units(double value, double per_unit)
{
    return lround(value * per_unit);
}

/* One row as report.js reads it; the units are stated there. */
static void put_row(const report *r, const app_row *row)
{
    app_html_put(r->page, "[");
    app_html_json(r->page, row->path);
    if (row->error != NULL) {
        app_html_put(r->page, ",%d,%d,", row->label == APP_NO_LABEL ? -1 : (int)row->label,
                     -status_index(row->status));
        app_html_json(r->page, row->error);
    } else {
        app_html_put(r->page, ",%u,%u,%u,%ld,%ld,%u,%u,%ld", row->label, row->answer.prediction,
                     row->answer.rank, in_units(row->answer.confidence, 1e5),
                     in_units(row->answer.nll, 1e3), row->width, row->height,
                     isnan(row->milliseconds) ? -1 : in_units(row->milliseconds, 10));
        for (uint32_t i = 0; i < row->top_count; i++)
            app_html_put(r->page, ",%u,%ld", row->top[i],
                         in_units((double)row->top_scores[i], 1e5));
    }
    app_html_put(r->page, "]");
}

static bool is_wrong(const app_row *row)
{
    return row->error != NULL || row->answer.prediction != row->label;
}

/* Of more rows than a page can hold: those that somebody may look for first, and as many others as
 * there is room for. */
static int put_rows(const report *r)
{
    const uint64_t wrong = r->e->n - r->e->results.right;
    uint64_t room_wrong = TABLE_ROWS, room_right = wrong < TABLE_ROWS ? TABLE_ROWS - wrong : 0;
    const char *separator = "\n";
    app_rows_reader *reader = NULL;
    int result = app_rows_open(&reader, r->e->rows, r->e->model, r->e->settings);
    for (bool found = true; result == APP_EXIT_DONE && found;) {
        app_row row;
        result = app_rows_next(&row, &found, reader);
        if (result != APP_EXIT_DONE || !found) continue;
        uint64_t *room = is_wrong(&row) ? &room_wrong : &room_right;
        if (*room == 0) continue;
        (*room)--;
        app_html_put(r->page, "%s", separator);
        put_row(r, &row);
        separator = ",\n";
    }
    app_rows_close(reader);
    return result;
}

static int put_images(const report *r)
{
    app_html_section(r->page, "images", "All images");
    if (r->e->n > TABLE_ROWS) {
        app_html_put(r->page, "<p class=\"note\">The table holds %d of ", TABLE_ROWS);
        put_number(r->page, r->e->n);
        app_html_put(r->page, " images: what is wrong or could not be used first. --rows keeps "
                              "them all.</p>\n");
    }
    app_html_put(r->page, "<noscript><p class=\"note\">The table is made by the page's script."
                          "</p></noscript>\n<div id=\"rows-view\"></div>\n");
    put_labels(r);
    app_html_put(r->page, "<script type=\"application/json\" id=\"rows\">{\"statuses\":[");
    for (size_t i = 0; i < APP_STATUS_COUNT; i++) {
        if (i > 0) app_html_put(r->page, ",");
        app_html_json(r->page, app_row_status(i));
    }
    app_html_put(r->page, "],\"rows\":[");
    const int result = put_rows(r);
    app_html_put(r->page, "]}</script>\n</section>\n");
    return result;
}

/* ---- all together ---- */

static int no_memory(const report *r)
{
    const vitc_log log = app_log(r->e->settings);
    return app_exit_status(vitc_fail_memory(&log, "the report"));
}

static int choose_classes(report *r)
{
    r->shown = calloc(r->classes, sizeof *r->shown);
    if (r->shown == NULL) return no_memory(r);
    for (uint32_t i = 0; i < r->classes; i++) {
        const datasets_class_result c = datasets_metrics_class(r->e->metrics, i);
        if (c.support > 0 || c.predicted > 0) r->shown[r->shown_count++] = i;
    }
    return APP_EXIT_DONE;
}

static int load_pictures(report *r)
{
    uint64_t indices[4 * APP_FINDINGS_SHOWN];
    size_t count = 0;
    const app_findings *f = &r->findings;
    for (size_t i = 0; i < f->worst.count; i++) indices[count++] = f->worst.items[i].index;
    for (size_t i = 0; i < f->uncertain.count; i++) indices[count++] = f->uncertain.items[i].index;
    for (size_t i = 0; i < f->alike_count; i++) {
        indices[count++] = f->alike[i].a.index;
        indices[count++] = f->alike[i].b.index;
    }
    return app_pictures_load(&r->pictures, indices, count, r->e->settings->operands,
                             r->e->settings->operand_count, r->e->opening, r->e->settings);
}

static void read_card(report *r)
{
    const vitc_log silent = {0};
    const char *text = r->info.card;
    if (text != NULL && vitc_json_parse(&r->card, text, strlen(text), "card", &silent) != VITC_OK)
        r->card = NULL;
}

static int write_page(report *r, const char *path)
{
    vitc_file_writer page;
    char title[256];
    char *command = app_text_command(r->e->argc, r->e->argv);
    if (command == NULL) return no_memory(r);
    const char *name = vitc_json_string(vitc_json_get(r->card, "name"), NULL);
    snprintf(title, sizeof title, "%s on %s", name != NULL ? name : r->e->model_path,
             r->e->data_text);
    app_guard_output(path);
    int result = app_html_open(&page, path, title, "Evaluation by vitc eval", r->e->settings);
    if (result != APP_EXIT_DONE) {
        free(command);
        return result;
    }
    r->page = &page;
    put_summary(r);
    put_classes(r);
    put_confusion(r);
    put_calibration(r);
    put_galleries(r);
    put_alike(r);
    put_bad(r);
    put_speed(r);
    put_model(r);
    put_run(r, command);
    free(command);
    result = put_images(r);
    if (result == APP_EXIT_DONE) return app_html_close(&page, r->e->settings);
    vitc_file_writer_abort(&page);
    return result;
}

int app_evaluation_report(const char *path, const app_evaluation *evaluation)
{
    report r = {.e = evaluation, .info = vit_model_describe(evaluation->model)};
    r.classes = r.info.config->classes;
    read_card(&r);
    int result = choose_classes(&r);
    if (result == APP_EXIT_DONE) result = app_findings_gather(&r.findings, evaluation);
    if (result == APP_EXIT_DONE) result = load_pictures(&r);
    if (result == APP_EXIT_DONE) result = write_page(&r, path);
    app_pictures_free(&r.pictures);
    app_findings_free(&r.findings);
    vitc_json_free(r.card);
    free(r.shown);
    return result;
}
