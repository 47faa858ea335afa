/* The picture of `vitc bench --svg`: one bar per row, cut into the parts of the model. A part is as
 * wide as its share of the time and filled as high as its share of the peak, so that what is left
 * empty is what could still be won. */
#include <stdio.h>
#include <string.h>

#include "app_bench.h"
#include "app_html.h"

enum { WIDTH = 960, MARGIN = 20, HEAD = 64, BAR = 54, ROW = 112, FOOT = 56, TEXT_WIDTH = 66 };

static const char *const colors[VIT_OP_COUNT] = {"#ffd92f", "#66c2a5", "#fc8d62", "#8da0cb",
                                                 "#a6d854", "#e78ac3", "#c9b18c"};

static void draw_label(vitc_file_writer *writer, double x, double y, const char *class,
                       const char *text)
{
    app_html_put(writer, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">%s</text>\n", x, y, class, text);
}

/* Returns whether the part was wide enough for its text. */
static bool draw_part(vitc_file_writer *writer, const app_bench_row *row, const app_bench_op *op,
                      const char *color, double x, double y)
{
    const double width = op->share * (WIDTH - 2 * MARGIN);
    const double reached = row->peak > 0 ? op->speed / row->peak : 0;
    const double filled = BAR * (reached < 1 ? reached : 1);
    char time[32], percent[16];
    snprintf(time, sizeof time, "%.3g ms", op->ms);
    app_bench_percent(percent, sizeof percent, row, op->speed);
    app_html_put(writer,
                 "<g><title>%s: %s per image, %.1f %% of the time, %.1f GFLOP/s, %s of the peak"
                 "</title>\n",
                 op->name, time, 100 * op->share, op->speed * 1e-9, percent);
    app_html_put(writer,
                 "<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%d\" fill=\"%s\" "
                 "fill-opacity=\"0.25\" stroke=\"#fff\" stroke-width=\"0.5\"/>\n",
                 x, y, width, BAR, color);
    app_html_put(
        writer,
        "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\" stroke=\"#fff\" "
        "stroke-width=\"0.5\"/>\n",
        x, y + BAR - filled, width, filled, color);
    const bool wide = width >= TEXT_WIDTH;
    if (wide) {
        draw_label(writer, x + width / 2, y + 17, "name", op->name);
        draw_label(writer, x + width / 2, y + 32, "part", time);
        draw_label(writer, x + width / 2, y + 46, "part", percent);
    }
    app_html_put(writer, "</g>\n");
    return wide;
}

static void draw_row(vitc_file_writer *writer, const app_bench_row *row, double y)
{
    char percent[16], narrow[512] = "";
    size_t used = 0;
    double x = MARGIN;
    app_html_put(writer, "<text x=\"%d\" y=\"%.1f\" class=\"row\">", MARGIN, y);
    app_html_text(writer, row->config);
    app_html_put(
        writer,
        " %s, batch %u, %d thread%s: %.3g ms per image, %.1f GFLOP/s, %s of the peak</text>\n",
        vit_precision_string(row->precision), row->batch, row->threads,
        row->threads == 1 ? "" : "s", app_bench_ms(row, row->median), app_bench_speed(row) * 1e-9,
        app_bench_percent(percent, sizeof percent, row, app_bench_speed(row)));
    for (int i = 0; i < VIT_OP_COUNT; i++) {
        const app_bench_op op = app_bench_op_of(row, (vit_op)i);
        if (!draw_part(writer, row, &op, colors[i], x, y + 8) && used < sizeof narrow)
            used += (size_t)snprintf(narrow + used, sizeof narrow - used, "%s%s %.3g ms, %s",
                                     used != 0 ? "; " : "", op.name, op.ms,
                                     app_bench_percent(percent, sizeof percent, row, op.speed));
        x += op.share * (WIDTH - 2 * MARGIN);
    }
    if (used != 0) draw_label(writer, MARGIN, y + 8 + BAR + 15, "narrow", narrow);
}

void app_bench_draw(vitc_file_writer *writer, const app_bench_row *rows, size_t count,
                    const vit_runtime_info *runtime)
{
    const size_t height = HEAD + count * ROW + FOOT;
    app_html_put(
        writer,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
        "viewBox=\"0 0 %d %zu\" font-family=\"sans-serif\" font-size=\"12\">\n"
        "<style>.head{font-size:16px;font-weight:bold}.row{font-size:13px;font-weight:bold}"
        ".name{font-weight:bold;text-anchor:middle}.part{font-size:11px;text-anchor:middle}"
        ".narrow{font-size:11px;fill:#444}</style>\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
        WIDTH, height, WIDTH, height);
    draw_label(writer, MARGIN, 26, "head", "Where the time goes");
    app_html_put(writer, "<text x=\"%d\" y=\"44\" class=\"narrow\">vitc %s on ", MARGIN,
                 vitc_version());
    app_html_text(writer, runtime->cpu);
    app_html_put(writer, ", kernels ");
    app_html_text(writer, runtime->kernel_row);
    app_html_put(writer, ", BLIS ");
    app_html_text(writer, runtime->blis_config);
    app_html_put(writer, "</text>\n");
    for (size_t i = 0; i < count; i++) draw_row(writer, &rows[i], HEAD + 18 + (double)(i * ROW));
    const double y = (double)height - FOOT + 12;
    for (int i = 0; i < VIT_OP_COUNT; i++) {
        const double x = MARGIN + i * 100.0;
        app_html_put(writer,
                     "<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\" fill=\"%s\"/>\n", x,
                     y - 10, colors[i]);
        draw_label(writer, x + 17, y, "legend", vit_op_string((vit_op)i));
    }
    draw_label(writer, MARGIN, y + 22, "narrow",
               "Width: share of the time. Filled height, and per cent: share of the peak that the "
               "row's instructions reach on this machine.");
    app_html_put(writer, "</svg>\n");
}
