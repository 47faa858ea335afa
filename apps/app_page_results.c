/* What the numbers of an evaluation say. */
#include <math.h>

#include "app_charts.h"
#include "app_page.h"

enum {
    MATRIX_CLASSES = 16, /* up to so many the confusion matrix is a table of numbers */
    CONFUSED_PAIRS = 20,
    SHADES = 9 /* of report.css */
};

static double share(uint64_t part, uint64_t all)
{
    return all > 0 ? (double)part / (double)all : NAN;
}

/* ---- summary ---- */

static void put_notes(const app_page *p)
{
    const app_evaluation *e = p->e;
    if (e->stopped != NULL) {
        app_html_put(p->out, "<p class=\"note\">The run did not reach the end of the data: ");
        app_html_text(p->out, e->stopped);
        app_html_put(p->out, ". These are ");
        app_page_number(p, e->n);
        if (e->survey.counted) {
            app_html_put(p->out, " of ");
            app_page_number(p, e->survey.images);
        }
        app_html_put(p->out, " images, the first of the set, which need not be like the rest."
                             "</p>\n");
    }
    if (e->changed)
        app_html_put(p->out, "<p class=\"note\">The data changed while the run went on.</p>\n");
    if (e->calibrated)
        app_html_put(p->out,
                     "<p class=\"note\">A copy of the model got the temperature %.4g, fitted to "
                     "these images (loss %.4f to %.4f); its own numbers have to come from others. "
                     "This page is of the model without it.</p>\n",
                     e->calibration.temperature, e->calibration.nll_before,
                     e->calibration.nll_after);
    if (e->n_bad > 0) {
        app_html_put(p->out, "<p class=\"note\">");
        app_page_number(p, e->n_bad);
        app_html_put(p->out, " of ");
        app_page_number(p, e->n);
        app_html_put(p->out, " files could not be used and count in no number but this one: "
                             "<a href=\"#bad\">the list</a>.</p>\n");
    }
}

static void begin_tile(const app_page *p, const char *name)
{
    app_html_put(p->out, "<div class=\"tile\"><h3>%s</h3><p class=\"big\">", name);
}

static void put_accuracy_tile(const app_page *p, const char *name, double value,
                              datasets_interval interval, uint64_t hits)
{
    begin_tile(p, name);
    app_page_percent(p, value, 2);
    app_html_put(p->out, "</p>");
    if (!isnan(value)) app_charts_interval(p->out, value, interval);
    app_html_put(p->out, "<p>95 %%: %.2f to %.2f %%</p><p>", 100 * interval.low,
                 100 * interval.high);
    app_page_number(p, hits);
    app_html_put(p->out, " of ");
    app_page_number(p, p->e->results.n);
    app_html_put(p->out, "</p></div>\n");
}

static void put_images_tile(const app_page *p)
{
    begin_tile(p, "Images");
    app_page_number(p, p->e->n_ok);
    app_html_put(p->out, "</p><p>used</p><p>");
    app_page_number(p, p->e->n_bad);
    app_html_put(p->out, " could not be</p></div>\n");
}

static void put_calibration_tile(const app_page *p)
{
    const datasets_results *s = &p->e->results;
    begin_tile(p, "Calibration error (ECE)");
    app_page_percent(p, s->ece, 2);
    app_html_put(p->out, "</p><p>perfect calibration would show ");
    app_page_percent(p, s->ece_calibrated, 2);
    app_html_put(p->out, " here</p></div>\n");
}

static void put_summary(const app_page *p)
{
    const datasets_results *s = &p->e->results;
    app_html_section(p->out, "summary", "Summary");
    put_notes(p);
    app_html_put(p->out, "<div class=\"tiles\">\n");
    put_accuracy_tile(p, "Top-1 accuracy", s->top1, s->top1_interval, s->right);
    if (p->classes > 5)
        put_accuracy_tile(p, "Top-5 accuracy", s->top5, s->top5_interval, s->right5);
    put_images_tile(p);
    begin_tile(p, "Balanced accuracy");
    app_page_percent(p, s->balanced, 2);
    app_html_put(p->out, "</p><p>mean over classes</p><p>macro F1 ");
    app_page_percent(p, s->macro_f1, 2);
    app_html_put(p->out, "</p></div>\n");
    put_calibration_tile(p);
    begin_tile(p, "Loss");
    app_html_put(p->out, isnan(s->loss) ? "-" : "%.4f", s->loss);
    app_html_put(p->out, "</p><p>mean -log score of the label</p><p>Brier %.4f</p></div>\n",
                 s->brier);
    if (app_page_timed(p)) {
        begin_tile(p, "Speed");
        app_html_put(p->out, "%.*f/s</p><p>images, from files to answers</p></div>\n",
                     app_page_speed(p) < 100 ? 1 : 0, app_page_speed(p));
    }
    app_html_put(p->out, "</div>\n</section>\n");
}

/* ---- classes ---- */

static void put_class(const app_page *p, uint32_t index)
{
    const datasets_class_result c = datasets_metrics_class(p->e->metrics, index);
    app_html_put(p->out, "<tr>");
    app_html_element(p->out, "td", NULL, vit_model_label(p->e->model, index));
    app_html_put(p->out, "<td class=\"num\">%llu</td><td class=\"num\">",
                 (unsigned long long)c.support);
    app_page_percent(p, c.recall, 1);
    app_html_put(p->out, "</td><td>");
    if (!isnan(c.recall)) app_charts_bar(p->out, c.recall, c.recall_interval);
    app_html_put(p->out, "</td><td class=\"num\">");
    if (!isnan(c.recall))
        app_html_put(p->out, "%.1f to %.1f", 100 * c.recall_interval.low,
                     100 * c.recall_interval.high);
    app_html_put(p->out, "</td><td class=\"num\">");
    app_page_percent(p, c.precision, 1);
    app_html_put(p->out, "</td><td class=\"num\">");
    app_page_percent(p, c.f1, 1);
    app_html_put(p->out, "</td><td class=\"num\">%llu</td></tr>\n",
                 (unsigned long long)c.predicted);
}

static void put_classes(const app_page *p)
{
    app_html_section(p->out, "classes", "Classes");
    if (p->shown_count < p->classes)
        app_html_put(p->out,
                     "<p class=\"soft\">%zu of the model's %u classes have images or were "
                     "predicted; the others are left out.</p>\n",
                     p->shown_count, p->classes);
    app_html_put(p->out,
                 "<div class=\"scroll\" tabindex=\"0\"><table class=\"sortable\" "
                 "aria-label=\"Accuracy by class\">\n<thead><tr><th scope=\"col\">Class</th>"
                 "<th scope=\"col\" class=\"num\">Images</th>"
                 "<th scope=\"col\" class=\"num\">Recall</th><th></th>"
                 "<th scope=\"col\" class=\"num\">95 %%</th>"
                 "<th scope=\"col\" class=\"num\">Precision</th>"
                 "<th scope=\"col\" class=\"num\">F1</th>"
                 "<th scope=\"col\" class=\"num\">Predicted</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < p->shown_count; i++) put_class(p, p->shown[i]);
    app_html_put(p->out, "</tbody></table></div>\n</section>\n");
}

/* ---- confusion ---- */

static void put_cell(const app_page *p, uint32_t label, uint32_t prediction, uint64_t support)
{
    const uint64_t n = datasets_metrics_confusion(p->e->metrics, label, prediction);
    if (n == 0) {
        app_html_put(p->out, "<td class=\"zero\">0</td>");
        return;
    }
    const int shade = 1 + (int)((SHADES - 1) * share(n, support) + 0.5);
    app_html_put(p->out,
                 "<td class=\"s%d%s\" data-label=\"%u\" data-prediction=\"%u\" "
                 "title=\"%.1f %% of the class\">%llu</td>",
                 shade, label == prediction ? " right" : "", label, prediction,
                 100 * share(n, support), (unsigned long long)n);
}

static void put_matrix_table(const app_page *p)
{
    app_html_put(p->out, "<p class=\"soft\">Rows are true classes, columns predictions.</p>\n"
                         "<div class=\"split\"><div class=\"wide fit\"><table class=\"matrix\" "
                         "aria-label=\"Confusion matrix\">\n"
                         "<thead><tr><td></td>");
    for (size_t i = 0; i < p->shown_count; i++) {
        const char *label = vit_model_label(p->e->model, p->shown[i]);
        app_html_put(p->out, "<th scope=\"col\" title=\"");
        app_html_text(p->out, label);
        app_html_put(p->out, "\">");
        app_html_text(p->out, label);
        app_html_put(p->out, "</th>");
    }
    app_html_put(p->out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < p->shown_count; i++) {
        const uint64_t support = datasets_metrics_class(p->e->metrics, p->shown[i]).support;
        app_html_put(p->out, "<tr><th scope=\"row\">");
        app_html_text(p->out, vit_model_label(p->e->model, p->shown[i]));
        app_html_put(p->out, "</th>");
        for (size_t j = 0; j < p->shown_count; j++) put_cell(p, p->shown[i], p->shown[j], support);
        app_html_put(p->out, "</tr>\n");
    }
    app_html_put(p->out, "</tbody></table></div>\n<div>");
}

/* For the script, which draws it: cells by their places among the shown classes. */
static void put_matrix_data(const app_page *p)
{
    bool begun = false;
    app_html_put(p->out, "<noscript><p class=\"note\">The matrix of so many classes is drawn by "
                         "the page's script.</p></noscript>\n<div id=\"confusion-view\"></div>\n"
                         "<script type=\"application/json\" id=\"confusion-cells\">"
                         "{\"classes\":[");
    for (size_t i = 0; i < p->shown_count; i++)
        app_html_put(p->out, "%s%u", i > 0 ? "," : "", p->shown[i]);
    app_html_put(p->out, "],\"cells\":[");
    for (size_t i = 0; i < p->shown_count; i++)
        for (size_t j = 0; j < p->shown_count; j++) {
            const uint64_t n = datasets_metrics_confusion(p->e->metrics, p->shown[i], p->shown[j]);
            if (n == 0) continue;
            app_html_put(p->out, "%s[%zu,%zu,%llu]", begun ? "," : "", i, j, (unsigned long long)n);
            begun = true;
        }
    app_html_put(p->out, "]}</script>\n");
}

static void put_confused(const app_page *p)
{
    datasets_confusion pairs[CONFUSED_PAIRS];
    const size_t all = datasets_metrics_confused(p->e->metrics, pairs, CONFUSED_PAIRS);
    const size_t count = all < CONFUSED_PAIRS ? all : CONFUSED_PAIRS;
    app_html_put(p->out, "<h3>Most often confused</h3>\n");
    if (count == 0) {
        app_html_put(p->out, "<p class=\"empty\">Nothing was.</p>\n");
        return;
    }
    app_html_put(
        p->out,
        "<div class=\"scroll\" tabindex=\"0\"><table aria-label=\"Most often confused\"><thead><tr>"
        "<th scope=\"col\">Label</th><th scope=\"col\">Prediction</th>"
        "<th scope=\"col\" class=\"num\">Images</th>"
        "<th scope=\"col\" class=\"num\">Share</th>"
        "<th class=\"only-screen\"></th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < count; i++) {
        const uint64_t support = datasets_metrics_class(p->e->metrics, pairs[i].label).support;
        app_html_put(p->out, "<tr>");
        app_html_element(p->out, "td", NULL, vit_model_label(p->e->model, pairs[i].label));
        app_html_element(p->out, "td", NULL, vit_model_label(p->e->model, pairs[i].prediction));
        app_html_put(p->out, "<td class=\"num\">%llu</td><td class=\"num\">",
                     (unsigned long long)pairs[i].n);
        app_page_percent(p, share(pairs[i].n, support), 1);
        app_html_put(p->out,
                     "</td><td class=\"only-screen\"><button type=\"button\" hidden "
                     "data-label=\"%u\" data-prediction=\"%u\">List</button></td></tr>\n",
                     pairs[i].label, pairs[i].prediction);
    }
    app_html_put(p->out, "</tbody></table></div>\n");
}

static void put_confusion(const app_page *p)
{
    app_html_section(p->out, "confusion", "Confusion");
    if (p->shown_count <= MATRIX_CLASSES)
        put_matrix_table(p);
    else
        put_matrix_data(p);
    put_confused(p);
    if (p->shown_count <= MATRIX_CLASSES) app_html_put(p->out, "</div></div>\n");
    app_html_put(p->out, "</section>\n");
}

/* ---- calibration ---- */

static void put_curve_table(const app_page *p)
{
    const datasets_results *s = &p->e->results;
    app_html_put(p->out,
                 "<details><summary>Numbers of the curve</summary><div class=\"wide\"><table>"
                 "<thead><tr><th scope=\"col\">Score</th><th scope=\"col\" class=\"num\">Images"
                 "</th><th scope=\"col\" class=\"num\">Mean score</th>"
                 "<th scope=\"col\" class=\"num\">Right</th>"
                 "<th scope=\"col\" class=\"num\">95 %%</th></tr></thead>\n<tbody>\n");
    for (int i = 0; i < DATASETS_BINS; i++) {
        const datasets_bin *bin = &s->bins[i];
        if (bin->n == 0) continue;
        const datasets_interval band = datasets_wilson(bin->right, bin->n);
        app_html_put(p->out,
                     "<tr><td>%.1f to %.1f %%</td><td class=\"num\">%llu</td>"
                     "<td class=\"num\">%.1f %%</td><td class=\"num\">%.1f %%</td>"
                     "<td class=\"num\">%.1f to %.1f %%</td></tr>\n",
                     100.0 * i / DATASETS_BINS, 100.0 * (i + 1) / DATASETS_BINS,
                     (unsigned long long)bin->n, 100 * bin->confidence / (double)bin->n,
                     100 * share(bin->right, bin->n), 100 * band.low, 100 * band.high);
    }
    app_html_put(p->out, "</tbody></table></div></details>\n");
}

static void put_scores_table(const app_page *p)
{
    app_html_put(p->out,
                 "<details><summary>Numbers of the histogram</summary><div class=\"wide\"><table>"
                 "<thead><tr><th scope=\"col\">Score</th>"
                 "<th scope=\"col\" class=\"num\">Right</th>"
                 "<th scope=\"col\" class=\"num\">Wrong</th></tr></thead>\n<tbody>\n");
    for (int i = 0; i < APP_FINDINGS_BINS; i++)
        app_html_put(p->out,
                     "<tr><td>%d to %d %%</td><td class=\"num\">%llu</td><td class=\"num\">%llu"
                     "</td></tr>\n",
                     100 * i / APP_FINDINGS_BINS, 100 * (i + 1) / APP_FINDINGS_BINS,
                     (unsigned long long)p->findings.right[i],
                     (unsigned long long)p->findings.wrong[i]);
    app_html_put(p->out, "</tbody></table></div></details>\n");
}

static void put_calibration(const app_page *p)
{
    const datasets_results *s = &p->e->results;
    app_html_section(p->out, "calibration", "Calibration");
    app_html_put(p->out, "<p>Of a calibrated model's predictions with a score of 80 %%, 80 %% are "
                         "right. The expected calibration error is ");
    app_page_percent(p, s->ece, 2);
    app_html_put(p->out, "; of as many images, with these scores, a perfectly calibrated model "
                         "would show ");
    app_page_percent(p, s->ece_calibrated, 2);
    app_html_put(p->out, " by chance. Mean score ");
    app_page_percent(p, s->mean_confidence, 2);
    app_html_put(p->out, ", accuracy ");
    app_page_percent(p, s->top1, 2);
    app_html_put(p->out, ".</p>\n<div class=\"split\">\n<div><h3>Reliability</h3>\n");
    app_charts_reliability(p->out, s);
    app_html_put(p->out, "<ul class=\"legend\"><li>Band: 95 %% interval (Wilson)</li>"
                         "<li>Dashed: perfect calibration</li></ul>\n");
    put_curve_table(p);
    app_html_put(p->out, "</div>\n<div><h3>Scores</h3>\n");
    app_charts_scores(p->out, &p->findings);
    put_scores_table(p);
    app_html_put(p->out, "</div>\n</div>\n</section>\n");
}

void app_page_results(const app_page *p)
{
    put_summary(p);
    put_classes(p);
    put_confusion(p);
    put_calibration(p);
}
