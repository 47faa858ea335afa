#include "app_charts.h"

#include "app_html.h"

/* User units; the style lets a chart grow and shrink with the page. */
enum { LEFT = 50, TOP = 10, RIGHT = 12, AXIS = 36, GAP = 14, SIDE = 300, COUNTS = 56, TALL = 178 };

static double most(double a, double b)
{
    return a > b ? a : b;
}

/* ---- small ones ---- */

void app_charts_interval(vitc_file_writer *page, double value, datasets_interval interval)
{
    app_html_put(page,
                 "<svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
                 "<rect class=\"track\" y=\"4\" width=\"100\" height=\"2\"/>"
                 "<rect class=\"whisker\" x=\"%.2f\" y=\"1\" width=\"%.2f\" height=\"8\"/>"
                 "<rect class=\"mark\" x=\"%.2f\" width=\"1\" height=\"10\"/></svg>",
                 100 * interval.low, 100 * (interval.high - interval.low), 100 * value - 0.5);
}

void app_charts_bar(vitc_file_writer *page, double value, datasets_interval interval)
{
    app_html_put(page,
                 "<svg class=\"bar\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" "
                 "aria-hidden=\"true\"><rect width=\"%.4g\" height=\"10\"/>"
                 "<path d=\"M%.4g 5H%.4g\"/></svg>",
                 100 * value, 100 * interval.low, 100 * interval.high);
}

void app_charts_parts(vitc_file_writer *page, const app_charts_part *parts, size_t count)
{
    double all = 0, x = 0;
    for (size_t i = 0; i < count; i++) all += parts[i].seconds;
    if (!(all > 0)) return;
    app_html_put(page, "<svg class=\"stack\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" "
                       "role=\"img\" aria-label=\"Parts of the time; the list below has the "
                       "numbers\">\n");
    for (size_t i = 0; i < count; i++) {
        const double width = 1000 * parts[i].seconds / all;
        app_html_put(page,
                     "<rect class=\"p%zu\" x=\"%.2f\" width=\"%.2f\" height=\"10\"><title>%s: "
                     "%.2f s, %.1f %%</title></rect>\n",
                     i + 1, x, width, parts[i].name, parts[i].seconds, width / 10);
        x += width;
    }
    app_html_put(page, "</svg>\n<ul class=\"legend\">\n");
    for (size_t i = 0; i < count; i++)
        app_html_put(page, "<li><span class=\"key p%zu\"></span>%s %.2f s (%.1f %%)</li>\n", i + 1,
                     parts[i].name, parts[i].seconds, 100 * parts[i].seconds / all);
    app_html_put(page, "</ul>\n");
}

/* ---- with axes ---- */

/* The lower axis with fractions from 0 to 1 as per cent, over `width` units. */
static void put_lower_axis(vitc_file_writer *page, double y, double width, const char *name)
{
    for (int i = 0; i <= 4; i++)
        app_html_put(page, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%d %%</text>\n",
                     LEFT + width * i / 4, y + 13, 25 * i);
    app_html_put(page, "<path class=\"axis\" d=\"M%d %.1fh%.1f\"/>\n", LEFT, y, width);
    app_html_put(page, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
                 LEFT + width / 2, y + 29, name);
}

/* Upright text left of an axis. */
static void put_left_name(vitc_file_writer *page, double middle, const char *name)
{
    app_html_put(page,
                 "<text transform=\"translate(11 %.1f) rotate(-90)\" text-anchor=\"middle\">%s"
                 "</text>\n",
                 middle, name);
}

static void put_left_label(vitc_file_writer *page, double y, double value, const char *unit)
{
    app_html_put(page, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f%s</text>\n", LEFT - 6,
                 y + 3, value, unit);
}

static double curve_x(double confidence)
{
    return LEFT + SIDE * confidence;
}

static double curve_y(double accuracy)
{
    return TOP + SIDE * (1 - accuracy);
}

static void put_bands(vitc_file_writer *page, const datasets_results *r)
{
    for (int i = 0; i < DATASETS_BINS; i++) {
        const datasets_bin *bin = &r->bins[i];
        if (bin->n == 0) continue;
        const datasets_interval band = datasets_wilson(bin->right, bin->n);
        app_html_put(page,
                     "<rect class=\"band\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>"
                     "\n",
                     curve_x((double)i / DATASETS_BINS), curve_y(band.high),
                     (double)SIDE / DATASETS_BINS, SIDE * (band.high - band.low));
    }
}

static void put_curve(vitc_file_writer *page, const datasets_results *r)
{
    bool begun = false;
    app_html_put(page, "<path class=\"curve\" d=\"");
    for (int i = 0; i < DATASETS_BINS; i++) {
        const datasets_bin *bin = &r->bins[i];
        if (bin->n == 0) continue;
        app_html_put(page, "%s%.2f %.2f", begun ? "L" : "M",
                     curve_x(bin->confidence / (double)bin->n),
                     curve_y((double)bin->right / (double)bin->n));
        begun = true;
    }
    app_html_put(page, "\"/>\n");
}

static void put_points(vitc_file_writer *page, const datasets_results *r)
{
    for (int i = 0; i < DATASETS_BINS; i++) {
        const datasets_bin *bin = &r->bins[i];
        if (bin->n == 0) continue;
        const double n = (double)bin->n;
        app_html_put(page,
                     "<circle class=\"point\" cx=\"%.2f\" cy=\"%.2f\" r=\"4\"><title>%llu images, "
                     "mean score %.1f %%, %.1f %% right</title></circle>\n",
                     curve_x(bin->confidence / n), curve_y((double)bin->right / n),
                     (unsigned long long)bin->n, 100 * bin->confidence / n,
                     100 * (double)bin->right / n);
    }
}

/* A bar on `floor`, at least one unit high where it counts anything. */
static void put_count(vitc_file_writer *page, const char *class, double x, double floor,
                      double width, double height, uint64_t count)
{
    if (count == 0) return;
    app_html_put(page,
                 "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"><title>"
                 "%llu images</title></rect>\n",
                 class, x, floor - most(height, 1), width, most(height, 1),
                 (unsigned long long)count);
}

void app_charts_reliability(vitc_file_writer *page, const datasets_results *r)
{
    const double floor = TOP + SIDE + GAP + COUNTS, step = (double)SIDE / DATASETS_BINS;
    double highest = 1;
    for (int i = 0; i < DATASETS_BINS; i++) highest = most(highest, (double)r->bins[i].n);
    app_html_put(page,
                 "<svg class=\"chart\" viewBox=\"0 0 %d %.0f\" role=\"img\" "
                 "aria-label=\"Reliability diagram: accuracy over score; the table below has the "
                 "numbers\">\n",
                 LEFT + SIDE + RIGHT, floor + AXIS);
    for (int i = 0; i <= 4; i++) {
        app_html_put(page, "<path class=\"axis\" d=\"M%d %.1fh%d\"/>\n", LEFT, curve_y(i / 4.0),
                     SIDE);
        put_left_label(page, curve_y(i / 4.0), 25.0 * i, " %");
    }
    app_html_put(page, "<path class=\"ideal\" d=\"M%d %dL%d %d\"/>\n", LEFT, TOP + SIDE,
                 LEFT + SIDE, TOP);
    put_left_name(page, TOP + SIDE / 2.0, "predictions that are right");
    put_bands(page, r);
    put_curve(page, r);
    put_points(page, r);
    for (int i = 0; i < DATASETS_BINS; i++)
        put_count(page, "count", curve_x((double)i / DATASETS_BINS) + 1, floor, step - 2,
                  COUNTS * (double)r->bins[i].n / highest, r->bins[i].n);
    put_left_name(page, floor - COUNTS / 2.0, "images");
    put_left_label(page, floor - COUNTS, highest, "");
    put_lower_axis(page, floor, SIDE, "score of the prediction");
    app_html_put(page, "</svg>\n");
}

/* Right and wrong predictions have scales of their own, so that few wrong ones show their shape. */
static void put_scores(vitc_file_writer *page, const char *name, const char *class,
                       const uint64_t *counts, double floor)
{
    const double step = (double)SIDE / APP_FINDINGS_BINS;
    double highest = 1;
    for (int i = 0; i < APP_FINDINGS_BINS; i++) highest = most(highest, (double)counts[i]);
    put_left_label(page, floor - TALL, highest, "");
    put_left_label(page, floor, 0, "");
    put_left_name(page, floor - TALL / 2.0, name);
    app_html_put(page, "<path class=\"axis\" d=\"M%d %.1fh%dM%d %.1fh%d\"/>\n", LEFT, floor - TALL,
                 SIDE, LEFT, floor, SIDE);
    for (int i = 0; i < APP_FINDINGS_BINS; i++)
        put_count(page, class, curve_x((double)i / APP_FINDINGS_BINS) + 0.75, floor, step - 1.5,
                  TALL * (double)counts[i] / highest, counts[i]);
}

void app_charts_scores(vitc_file_writer *page, const app_findings *f)
{
    const double middle = TOP + TALL, floor = middle + GAP + TALL;
    app_html_put(
        page,
        "<svg class=\"chart\" viewBox=\"0 0 %d %.0f\" role=\"img\" "
        "aria-label=\"Histograms of the scores of right and of wrong predictions; the table "
        "below has the numbers\">\n",
        LEFT + SIDE + RIGHT, floor + AXIS);
    put_scores(page, "right predictions", "fill-right", f->right, middle);
    put_scores(page, "wrong predictions", "fill-wrong", f->wrong, floor);
    put_lower_axis(page, floor, SIDE, "score of the prediction");
    app_html_put(page, "</svg>\n");
}
