/* results.svg: small charts of one width, each with its own scale, over the same axis of epochs. */
#include "app_train_curves.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "app_html.h"
#include "app_report.h"
#include "vitc_log.h"

/* User units, which are pixels at the picture's own size. */
enum {
    WIDTH = 960,
    MARGIN = 20,
    HEAD = 84,
    COLUMNS = 3,
    PANEL_WIDTH = 300,
    PANEL_STEP = 310,
    PANEL_HEIGHT = 226,
    LEFT = 50, /* of the plot in its panel, for the numbers of the axis */
    RIGHT = 8,
    TOP = 28,
    BOTTOM = 36,
    LETTER = 6,      /* about the width of a letter of the legend */
    MOST_POINTS = 60 /* above, curves are lines alone */
};

static const double plot_width = PANEL_WIDTH - LEFT - RIGHT;
static const double plot_height = PANEL_HEIGHT - TOP - BOTTOM;

/* ---- what is drawn ---- */

enum { SERIES_MOST = 3 };

typedef struct series {
    const char *class, *name;
    size_t offset; /* of a double in a record */
} series;

typedef struct panel {
    const char *name;
    const char *unit;
    double factor;  /* from the record's unit to the panel's */
    bool from_zero; /* the axis begins there, not near the smallest number */
    size_t count;
    series series[SERIES_MOST];
} panel;

#define TRAINING(field)                                                                            \
    {                                                                                              \
        "training", "training", offsetof(app_train_record, field)                                  \
    }
#define VALIDATION(field)                                                                          \
    {                                                                                              \
        "validation", "validation", offsetof(app_train_record, validation.field)                   \
    }
#define AVERAGE(field)                                                                             \
    {                                                                                              \
        "average", "average", offsetof(app_train_record, ema.field)                                \
    }

static const panel panels[] = {
    {"Loss", "", 1, false, 3, {TRAINING(loss), VALIDATION(loss), AVERAGE(loss)}},
    {"Accuracy",
     " %",
     100,
     false,
     3,
     {TRAINING(accuracy), VALIDATION(accuracy), AVERAGE(accuracy)}},
    {"Calibration error", " %", 100, true, 2, {VALIDATION(ece), AVERAGE(ece)}},
    {"Learning rate", "", 1, true, 1, {TRAINING(learning_rate)}},
    {"Gradient norm", "", 1, true, 1, {TRAINING(gradient_norm)}},
    {"Images per second", "", 1, true, 1, {TRAINING(images_per_second)}}};

enum { PANELS = sizeof panels / sizeof *panels };

static double value_of(const app_train_record *record, const panel *p, size_t which)
{
    double value;
    memcpy(&value, (const char *)record + p->series[which].offset, sizeof value);
    return value * p->factor;
}

/* ---- axes ---- */

typedef struct axis {
    double low, high, step;
} axis;

/* 1, 2 or 5 times a power of ten, so that `range` has at most `most` steps. */
static double nice_step(double range, int most)
{
    static const int nice[] = {1, 2, 5};
    const double power = pow(10, floor(log10(range / most)));
    for (size_t i = 0; i < sizeof nice / sizeof *nice; i++)
        if (range / (nice[i] * power) <= most) return nice[i] * power;
    return 10 * power;
}

static axis nice_axis(double low, double high, int most)
{
    axis a = {low, high, 1};
    if (!(high > low)) {
        const double some = low != 0 ? 0.1 * fabs(low) : 1;
        a.low = low - (low > 0 ? some : 0);
        a.high = high + some;
    }
    a.step = nice_step(a.high - a.low, most);
    /* A number on the line of a tick must not become one more step by rounding. */
    a.low = floor(a.low / a.step + 1e-9) * a.step;
    a.high = ceil(a.high / a.step - 1e-9) * a.step;
    return a;
}

/* Epochs: whole numbers from 0, the state before the first, to the last. */
static axis epoch_axis(uint32_t last)
{
    axis a = {0, last > 0 ? last : 1, 1};
    a.step = fmax(1, nice_step(a.high, 5));
    return a;
}

static axis value_axis(const panel *p, const app_train_record *records, size_t count)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++)
        for (size_t s = 0; s < p->count; s++) {
            const double value = value_of(&records[i], p, s);
            if (!isfinite(value)) continue;
            low = fmin(low, value);
            high = fmax(high, value);
        }
    if (high < low) return (axis){0, 0, 0}; /* nothing was measured */
    return nice_axis(p->from_zero ? fmin(low, 0) : low, high, 5);
}

static size_t tick_count(const axis *a)
{
    return (size_t)floor((a->high - a->low) / a->step + 1e-6) + 1;
}

/* As many decimals as the step has. */
static void format_tick(char *text, size_t size, double value, double step, const char *unit)
{
    const int decimals = (int)-floor(log10(step) + 1e-9);
    if (fabs(value) < step / 2) value = 0;
    if (decimals > 5)
        snprintf(text, size, "%g%s", value, unit);
    else
        snprintf(text, size, "%.*f%s", decimals > 0 ? decimals : 0, value, unit);
}

static double place_x(const axis *epochs, double epoch)
{
    return LEFT + plot_width * (epoch - epochs->low) / (epochs->high - epochs->low);
}

static double place_y(const axis *values, double value)
{
    return TOP + plot_height * (values->high - value) / (values->high - values->low);
}

static void put_axes(vitc_file_writer *file, const panel *p, const axis *epochs, const axis *values)
{
    char text[64];
    for (size_t i = 0; i < tick_count(values); i++) {
        const double value = values->low + (double)i * values->step, y = place_y(values, value);
        format_tick(text, sizeof text, value, values->step, p->unit);
        app_html_put(file,
                     "<path class=\"line\" d=\"M%d %.2fh%.0f\"/><text class=\"tick\" x=\"%d\" "
                     "y=\"%.2f\" text-anchor=\"end\">%s</text>\n",
                     LEFT, y, plot_width, LEFT - 6, y + 4, text);
    }
    const double floor_y = TOP + plot_height;
    for (size_t i = 0; i < tick_count(epochs); i++) {
        const double epoch = (double)i * epochs->step, x = place_x(epochs, epoch);
        app_html_put(file,
                     "<path class=\"line\" d=\"M%.2f %.0fv4\"/><text class=\"tick\" x=\"%.2f\" "
                     "y=\"%.0f\" text-anchor=\"middle\">%.0f</text>\n",
                     x, floor_y, x, floor_y + 16, epoch);
    }
    app_html_put(file,
                 "<text class=\"tick\" x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\">epoch</text>\n",
                 LEFT + plot_width / 2, floor_y + 31);
}

/* ---- curves ---- */

static bool has_values(const panel *p, size_t which, const app_train_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (isfinite(value_of(&records[i], p, which))) return true;
    return false;
}

/* At the right of the panel's name. */
static void put_legend(vitc_file_writer *file, const panel *p, const app_train_record *records,
                       size_t count)
{
    double x = PANEL_WIDTH - RIGHT;
    if (p->count < 2) return;
    for (size_t s = p->count; s-- > 0;) {
        const series *one = &p->series[s];
        if (!has_values(p, s, records, count)) continue;
        x -= (double)strlen(one->name) * LETTER;
        app_html_put(file,
                     "<path class=\"curve %s\" d=\"M%.0f 10h14\"/><text class=\"tick\" x=\"%.0f\" "
                     "y=\"14\">%s</text>\n",
                     one->class, x - 18, x, one->name);
        x -= 28;
    }
}

/* Epochs in which it was not measured are passed over by the line. */
static void put_curve(vitc_file_writer *file, const panel *p, size_t which, const axis *epochs,
                      const axis *values, const app_train_record *records, size_t count)
{
    bool begun = false;
    app_html_put(file, "<path class=\"curve %s\" d=\"", p->series[which].class);
    for (size_t i = 0; i < count; i++) {
        const double value = value_of(&records[i], p, which);
        if (!isfinite(value)) continue;
        /* h0: the round cap of a line of no length makes a single point visible */
        app_html_put(file, "%s%.2f %.2f%s", begun ? "L" : "M", place_x(epochs, records[i].epoch),
                     place_y(values, value), begun ? "" : "h0");
        begun = true;
    }
    app_html_put(file, "\"/>\n");
}

static void put_points(vitc_file_writer *file, const panel *p, size_t which, const axis *epochs,
                       const axis *values, const app_train_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const double value = value_of(&records[i], p, which);
        if (!isfinite(value)) continue;
        app_html_put(
            file,
            "<circle class=\"point %s\" cx=\"%.2f\" cy=\"%.2f\" r=\"2.5\"><title>%s, epoch "
            "%" PRIu32 ": %.4g%s</title></circle>\n",
            p->series[which].class, place_x(epochs, records[i].epoch), place_y(values, value),
            p->series[which].name, records[i].epoch, value, p->unit);
    }
}

/* A line down the panel, and a ring where the best epoch was judged. */
static void put_best(vitc_file_writer *file, const panel *p, const axis *epochs, const axis *values,
                     const app_train_record *best)
{
    const double x = place_x(epochs, best->epoch);
    const char *judged = app_train_record_score(best) == &best->ema ? "average" : "validation";
    app_html_put(file, "<path class=\"best\" d=\"M%.2f %dv%.0f\"/>\n", x, TOP, plot_height);
    for (size_t s = 0; s < p->count; s++) {
        const double value = value_of(best, p, s);
        if (strcmp(p->series[s].class, judged) == 0 && isfinite(value))
            app_html_put(file, "<circle class=\"ring\" cx=\"%.2f\" cy=\"%.2f\" r=\"5\"/>\n", x,
                         place_y(values, value));
    }
}

static void put_panel(vitc_file_writer *file, const panel *p, const axis *epochs,
                      const app_train_record *records, size_t count, size_t best)
{
    const axis values = value_axis(p, records, count);
    app_html_put(file, "<text class=\"name\" x=\"0\" y=\"14\">%s</text>\n", p->name);
    if (values.step == 0) {
        app_html_put(file,
                     "<text class=\"tick\" x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\">not "
                     "measured%s</text>\n",
                     LEFT + plot_width / 2, TOP + plot_height / 2, count == 0 ? " yet" : "");
        return;
    }
    put_legend(file, p, records, count);
    put_axes(file, p, epochs, &values);
    for (size_t s = 0; s < p->count; s++) put_curve(file, p, s, epochs, &values, records, count);
    for (size_t s = 0; s < p->count && count <= MOST_POINTS; s++)
        put_points(file, p, s, epochs, &values, records, count);
    if (best != SIZE_MAX) put_best(file, p, epochs, &values, &records[best]);
}

/* ---- the picture ---- */

/* Colors of the pages of reports; renderers that know no media queries show the light ones. */
static const char style[] =
    "<style>.page{fill:#fff}text{fill:#18202b}.soft,.tick{fill:#596577;font-size:11px}"
    ".head{font-size:16px;font-weight:bold}.name{font-size:13px;font-weight:bold}"
    ".line{stroke:#d9dee6;fill:none}.curve{fill:none;stroke-width:2;stroke-linecap:round;"
    "stroke-linejoin:round}.training{stroke:#c9480b}.validation{stroke:#2166d1}"
    ".average{stroke:#2f8a57;stroke-dasharray:6 4}.point.training{fill:#c9480b;stroke:none}"
    ".point.validation{fill:#2166d1;stroke:none}.point.average{fill:#2f8a57;stroke:none}"
    ".best{fill:none;stroke:#596577;stroke-dasharray:2 3}"
    ".ring{fill:none;stroke:#18202b;stroke-width:1.5}"
    "@media(prefers-color-scheme:dark){.page{fill:#1a1f26}text{fill:#e6eaf0}"
    ".soft,.tick{fill:#9aa7b8}.line{stroke:#343d49}.training{stroke:#ff9658}"
    ".validation{stroke:#6ea8ff}.average{stroke:#63c78f}.point.training{fill:#ff9658}"
    ".point.validation{fill:#6ea8ff}.point.average{fill:#63c78f}.best{stroke:#9aa7b8}"
    ".ring{stroke:#e6eaf0}}</style>\n";

static void put_state(vitc_file_writer *file, const app_train_record *records, size_t count,
                      uint32_t epochs, size_t best)
{
    app_html_put(file, "<text class=\"soft\" x=\"%d\" y=\"64\">", MARGIN);
    if (count == 0)
        app_html_put(file, "no epoch is done yet");
    else if (records[count - 1].epoch < epochs)
        app_html_put(file, "epoch %" PRIu32 " of %" PRIu32, records[count - 1].epoch, epochs);
    else
        app_html_put(file, "%" PRIu32 " epoch%s", records[count - 1].epoch,
                     records[count - 1].epoch == 1 ? "" : "s");
    if (best != SIZE_MAX) {
        const app_train_record *r = &records[best];
        const app_train_score *score = app_train_record_score(r);
        app_html_put(file,
                     "; best: epoch %" PRIu32 " with accuracy %.2f %%, loss %.4f on the validation "
                     "images%s",
                     r->epoch, 100 * score->accuracy, score->loss,
                     score == &r->ema ? " (running average of the weights)" : "");
    }
    app_html_put(file, "</text>\n");
}

static void put_line(vitc_file_writer *file, int y, const char *class, const char *text)
{
    char shown[VITC_SHOWN_SIZE];
    app_html_put(file, "<text class=\"%s\" x=\"%d\" y=\"%d\">", class, MARGIN, y);
    app_html_text(file, vitc_show(shown, text));
    app_html_put(file, "</text>\n");
}

static void put_picture(vitc_file_writer *file, const char *title, const char *subtitle,
                        const app_train_record *records, size_t count, uint32_t epochs)
{
    const uint32_t done = count > 0 ? records[count - 1].epoch : 0;
    const axis across = epoch_axis(done > epochs ? done : epochs);
    const size_t best = app_train_best(records, count);
    const int height = HEAD + (PANELS + COLUMNS - 1) / COLUMNS * (PANEL_HEIGHT + MARGIN);
    app_html_put(file,
                 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                 "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n"
                 "<title>",
                 WIDTH, height, WIDTH, height);
    app_html_text(file, title);
    app_html_put(file, "</title>\n%s<rect class=\"page\" width=\"100%%\" height=\"100%%\"/>\n",
                 style);
    put_line(file, 26, "head", title);
    if (subtitle != NULL) put_line(file, 45, "soft", subtitle);
    put_state(file, records, count, epochs, best);
    for (int i = 0; i < PANELS; i++) {
        app_html_put(file, "<g transform=\"translate(%d %d)\">\n",
                     MARGIN + i % COLUMNS * PANEL_STEP,
                     HEAD + i / COLUMNS * (PANEL_HEIGHT + MARGIN));
        put_panel(file, &panels[i], &across, records, count, best);
        app_html_put(file, "</g>\n");
    }
    app_html_put(file, "</svg>\n");
}

int app_train_curves_write(const char *path, const char *title, const char *subtitle,
                           const app_train_record *records, size_t count, uint32_t epochs,
                           const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    vitc_file_writer file;
    const vitc_status status = vitc_file_writer_open(&file, path, &log);
    if (status != VITC_OK) return app_exit_status(status);
    put_picture(&file, title, subtitle, records, count, epochs);
    return app_exit_status(vitc_file_writer_commit(&file, &log));
}
