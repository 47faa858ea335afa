/* The picture of vitc posemb show: small maps on a grid with axes and a color scale. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app_html.h"
#include "app_posemb.h"
#include "app_report.h"
#include "vitc_file.h"
#include "vitc_log.h"

/* Pixels, or user units. */
enum {
    SIDE = 560, /* about the larger side of all maps together */
    CELL = 2,   /* at least, of a cell, though they become larger than SIDE */
    MARGIN = 12,
    SCALE = 2, /* of letters in PNG files */
    LETTER = SCALE * APP_CANVAS_LETTER_WIDTH,
    LINE = SCALE * (APP_CANVAS_LETTER_HEIGHT + 2),
    BAR = 18, /* width of the color scale */
    MARK = 6, /* length of the marks beside a head's offset 0 */
    LEVEL = 9 /* zlib's */
};

static const app_color paper = {255, 255, 255}, ink = {32, 32, 32};

/* ---- colors ---- */

enum { STOPS = 5 };
static const app_color stops[2][STOPS] = {
    {{28, 20, 84}, {44, 84, 146}, {34, 146, 140}, {124, 198, 88}, {252, 232, 66}},
    {{20, 64, 136}, {104, 158, 208}, {240, 240, 240}, {226, 142, 98}, {150, 32, 34}}};

app_color app_posemb_color(double share, bool diverging)
{
    const double at = fmin(fmax(share, 0), 1) * (STOPS - 1);
    const int below = at < STOPS - 1 ? (int)at : STOPS - 2;
    const double part = at - below;
    const app_color a = stops[diverging][below], b = stops[diverging][below + 1];
    return (app_color){(uint8_t)lround(a.r + part * (b.r - a.r)),
                       (uint8_t)lround(a.g + part * (b.g - a.g)),
                       (uint8_t)lround(a.b + part * (b.b - a.b))};
}

static app_color color_of(const app_posemb_maps *m, uint32_t map, uint32_t y, uint32_t x)
{
    const double value = m->values[((size_t)map * m->height + y) * m->width + x];
    return app_posemb_color((value - m->low) / (m->high - m->low), m->heads);
}

/* One map, a pixel for a cell. */
static vitc_status make_map(imgio_image *image, const app_posemb_maps *m, uint32_t map,
                            const vitc_log *log)
{
    VITC_TRY(imgio_image_create(image, m->width, m->height, log));
    for (uint32_t y = 0; y < m->height; y++)
        for (uint32_t x = 0; x < m->width; x++)
            app_canvas_fill(image, x, y, 1, 1, color_of(m, map, y, x));
    return VITC_OK;
}

/* ---- where things are ---- */

typedef struct layout {
    uint32_t factor, gap;       /* pixels of a cell, and between maps */
    uint32_t map_width, step_x; /* pixels of a map, and from one to the next */
    uint32_t map_height, step_y;
    uint32_t left, top; /* of the first map */
    uint32_t plot_width, plot_height;
    uint32_t bar_left, bar_height, ticks; /* of the color scale */
    uint32_t width, height;               /* of the picture */
} layout;

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

enum { TICK_SIZE = 16 };

/* What a place on the scale stands for, in digits enough to tell its ticks apart. */
static void write_tick(char text[TICK_SIZE], const app_posemb_maps *m, double share)
{
    const double most = fmax(fabs(m->low), fabs(m->high));
    const double value = m->low + share * (m->high - m->low);
    const int digits = most > 0 ? 2 - (int)floor(log10(most)) : 2;
    if (fabs(value) < 1e-9 * most)
        snprintf(text, TICK_SIZE, "0");
    else if (digits > 5)
        snprintf(text, TICK_SIZE, "%.1e", value);
    else
        snprintf(text, TICK_SIZE, "%.*f", digits < 0 ? 0 : digits, value);
}

/* Letters of the longest tick. */
static uint32_t longest_tick(const app_posemb_maps *m, uint32_t ticks)
{
    uint32_t longest = 0;
    for (uint32_t i = 0; i <= ticks; i++) {
        char text[TICK_SIZE];
        write_tick(text, m, (double)i / ticks);
        longest = larger(longest, (uint32_t)strlen(text));
    }
    return longest;
}

static const char rows_name[] = "patch row", columns_name[] = "patch column";

/* Beside the maps, and beside the name of their rows, which may be wider. */
static void arrange_bar(layout *l, const app_posemb_maps *m)
{
    const uint32_t name = (uint32_t)strlen(rows_name) * LETTER;
    l->bar_left = larger(l->left + l->plot_width, MARGIN + name) + 2 * MARGIN;
    l->bar_height = larger(l->plot_height - (m->heads ? LINE : 0), 4 * LINE);
    l->ticks = l->bar_height >= 8 * LINE ? 4 : 2;
    const uint32_t letters = larger(7, longest_tick(m, l->ticks) + 2);
    const uint32_t scale = (uint32_t)strlen(m->scale) * LETTER + MARGIN;
    l->width = l->bar_left + larger(BAR + letters * LETTER, scale);
}

static layout arrange(const app_posemb_maps *m)
{
    const uint32_t cells = larger(m->columns * m->width, m->rows * m->height);
    layout l = {.factor = larger(CELL, SIDE / cells)};
    l.gap = l.factor > MARGIN || m->heads ? MARGIN : l.factor;
    l.map_width = m->width * l.factor;
    l.map_height = m->height * l.factor;
    l.step_x = l.map_width + l.gap;
    l.step_y = l.map_height + l.gap + (m->heads ? LINE : 0);
    l.left = MARGIN + 3 * LETTER + MARGIN;
    l.top = MARGIN + 2 * LINE + LINE + 2 * MARGIN;
    l.plot_width = m->columns * l.step_x - l.gap;
    l.plot_height = m->rows * l.step_y - l.gap;
    arrange_bar(&l, m);
    const size_t longest = larger((uint32_t)strlen(m->title), (uint32_t)strlen(m->subtitle));
    l.width = larger(l.width, (uint32_t)longest * LETTER + 2 * MARGIN);
    l.height = l.top + larger(l.plot_height + 2 * LINE, l.bar_height) + 2 * MARGIN;
    return l;
}

/* Where a picture is drawn to: one of the two. */
typedef struct target {
    imgio_image *canvas;
    vitc_file_writer *file;
} target;

typedef enum anchor { AT_START, AT_MIDDLE, AT_END } anchor;

/* A line of text whose upper edge is at y. */
static void put_text(const target *t, double x, double y, anchor a, const char *class,
                     const char *text)
{
    static const char *const anchors[] = {"start", "middle", "end"};
    if (t->file != NULL) {
        app_html_put(t->file,
                     "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n",
                     class, x, y + 15, anchors[a], text);
        return;
    }
    const double width = (double)app_canvas_text_length(text) * LETTER;
    app_canvas_text(t->canvas,
                    lround(x - (a == AT_END      ? width
                                : a == AT_MIDDLE ? width / 2
                                                 : 0)),
                    lround(y), text, SIZE_MAX, SCALE, ink);
}

/* ---- parts ---- */

static void put_place(const target *t, double x, double y, anchor a, uint32_t place)
{
    char text[16];
    snprintf(text, sizeof text, "%u", place);
    put_text(t, x, y, a, "tick", text);
}

/* Rows and columns of patches count from 1, as in the paper. */
static void put_patch_axes(const target *t, const app_posemb_maps *m, const layout *l)
{
    const uint32_t every_x = larger(1, (3 * LETTER + l->step_x - 1) / l->step_x);
    const uint32_t every_y = larger(1, (LINE + l->step_y - 1) / l->step_y);
    const double middle = l->left + l->plot_width / 2.0;
    const double half = (double)(strlen(columns_name) * LETTER) / 2;
    for (uint32_t i = 0; i < m->columns; i += every_x)
        put_place(t, l->left + i * l->step_x + l->map_width / 2.0, l->top + l->plot_height + 6,
                  AT_MIDDLE, i * m->every_x + 1);
    for (uint32_t i = 0; i < m->rows; i += every_y)
        put_place(t, l->left - 6, l->top + i * l->step_y + l->map_height / 2.0 - LINE / 2.0 + 2,
                  AT_END, i * m->every_y + 1);
    put_text(t, MARGIN, l->top - LINE - 10, AT_START, "tick", rows_name);
    put_text(t, fmax(middle, MARGIN + half), l->top + l->plot_height + LINE + 6, AT_MIDDLE, "tick",
             columns_name);
}

static void put_mark(const target *t, uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
    if (t->file != NULL)
        app_html_put(t->file,
                     "<rect class=\"mark\" x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\"/>\n", x, y,
                     width, height);
    else
        app_canvas_fill(t->canvas, x, y, width, height, ink);
}

/* And marks in the gaps above and to the left of a map, in line with its middle. */
static void put_head_names(const target *t, const app_posemb_maps *m, const layout *l)
{
    char text[32];
    for (uint32_t i = 0; i < m->count; i++) {
        const uint32_t x = l->left + i % m->columns * l->step_x;
        const uint32_t y = l->top + i / m->columns * l->step_y;
        snprintf(text, sizeof text, l->map_width >= 8 * LETTER ? "head %u" : "%u", i + 1);
        put_text(t, x + l->map_width / 2.0, y + l->map_height + 3.0, AT_MIDDLE, "tick", text);
        put_mark(t, x + l->map_width / 2 - 1, y - MARK - 2, 2, MARK);
        put_mark(t, x - MARK - 2, y + l->map_height / 2 - 1, MARK, 2);
    }
}

static void put_bar(const target *t, const app_posemb_maps *m, const layout *l)
{
    const uint32_t x = l->bar_left, tall = l->bar_height;
    char text[TICK_SIZE];
    if (t->file != NULL)
        app_html_put(t->file,
                     "<rect x=\"%u\" y=\"%u\" width=\"%d\" height=\"%u\" fill=\"url(#scale)\"/>\n",
                     x, l->top, BAR, tall);
    else
        for (uint32_t y = 0; y < tall; y++)
            app_canvas_fill(t->canvas, x, l->top + y, BAR, 1,
                            app_posemb_color(1 - (y + 0.5) / tall, m->heads));
    for (uint32_t i = 0; i <= l->ticks; i++) {
        const double share = (double)i / l->ticks;
        write_tick(text, m, share);
        put_text(t, x + BAR + 6, l->top + (1 - share) * tall - LINE / 2.0 + 2, AT_START, "tick",
                 text);
    }
    put_text(t, x, l->top - LINE - 10, AT_START, "tick", m->scale);
}

static vitc_status put_map(const target *t, const app_posemb_maps *m, const layout *l, uint32_t i,
                           const vitc_log *log)
{
    const uint32_t x = l->left + i % m->columns * l->step_x;
    const uint32_t y = l->top + i / m->columns * l->step_y;
    imgio_image map = {0};
    uint8_t *data = NULL;
    size_t size;
    vitc_status status = make_map(&map, m, i, log);
    if (status == VITC_OK && t->file == NULL) app_canvas_image(t->canvas, x, y, &map, l->factor);
    if (status == VITC_OK && t->file != NULL) {
        status = imgio_encode_png(&data, &size, &map, LEVEL, log);
        if (status == VITC_OK) {
            app_html_put(t->file, "<image x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" href=\"", x,
                         y, l->map_width, l->map_height);
            app_html_data(t->file, "image/png", data, size);
            app_html_put(t->file, "\"/>\n");
        }
    }
    free(data);
    imgio_image_free(&map);
    return status;
}

static vitc_status put_all(const target *t, const app_posemb_maps *m, const layout *l,
                           const vitc_log *log)
{
    put_text(t, MARGIN, MARGIN, AT_START, "head", m->title);
    put_text(t, MARGIN, MARGIN + LINE, AT_START, "tick", m->subtitle);
    for (uint32_t i = 0; i < m->count; i++) VITC_TRY(put_map(t, m, l, i, log));
    if (m->heads)
        put_head_names(t, m, l);
    else
        put_patch_axes(t, m, l);
    put_bar(t, m, l);
    return VITC_OK;
}

/* ---- files ---- */

static vitc_status draw_svg(const char *path, const app_posemb_maps *m, const layout *l,
                            const vitc_log *log)
{
    vitc_file_writer file;
    VITC_TRY(vitc_file_writer_open(&file, path, log));
    app_html_put(&file,
                 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
                 "viewBox=\"0 0 %u %u\" font-family=\"sans-serif\" font-size=\"14\" role=\"img\">\n"
                 "<title>%s</title>\n"
                 "<style>.page{fill:#fff}text{fill:#18202b}.head{font-size:17px;font-weight:bold}"
                 "image{image-rendering:pixelated}.mark{fill:#18202b}"
                 "@media(prefers-color-scheme:dark){"
                 ".page{fill:#1a1f26}text,.mark{fill:#e6eaf0}}</style>\n"
                 "<defs><linearGradient id=\"scale\" x1=\"0\" y1=\"1\" x2=\"0\" y2=\"0\">",
                 l->width, l->height, l->width, l->height, m->title);
    for (int i = 0; i < STOPS; i++) {
        const app_color c = stops[m->heads][i];
        app_html_put(&file, "<stop offset=\"%g\" stop-color=\"#%02x%02x%02x\"/>",
                     (double)i / (STOPS - 1), c.r, c.g, c.b);
    }
    app_html_put(&file, "</linearGradient></defs>\n"
                        "<rect class=\"page\" width=\"100%%\" height=\"100%%\"/>\n");
    const target t = {.file = &file};
    const vitc_status status = put_all(&t, m, l, log);
    if (status != VITC_OK) {
        vitc_file_writer_abort(&file);
        return status;
    }
    app_html_put(&file, "</svg>\n");
    return vitc_file_writer_commit(&file, log);
}

static vitc_status draw_png(const char *path, const app_posemb_maps *m, const layout *l,
                            const vitc_log *log)
{
    imgio_image canvas = {0};
    uint8_t *data = NULL;
    size_t size;
    VITC_TRY(imgio_image_create(&canvas, l->width, l->height, log));
    app_canvas_fill(&canvas, 0, 0, l->width, l->height, paper);
    const target t = {.canvas = &canvas};
    vitc_status status = put_all(&t, m, l, log);
    if (status == VITC_OK) status = imgio_encode_png(&data, &size, &canvas, LEVEL, log);
    if (status == VITC_OK) status = vitc_file_write(path, data, size, log);
    free(data);
    imgio_image_free(&canvas);
    return status;
}

static bool has_ending(const char *path, const char *ending)
{
    const size_t length = strlen(path), size = strlen(ending);
    return length > size && strcasecmp(path + length - size, ending) == 0;
}

bool app_posemb_is_picture(const char *path)
{
    return has_ending(path, ".png") || has_ending(path, ".svg");
}

int app_posemb_draw(const char *path, const app_posemb_maps *maps, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    const layout l = arrange(maps);
    return app_exit_status(has_ending(path, ".svg") ? draw_svg(path, maps, &l, &log)
                                                    : draw_png(path, maps, &l, &log));
}

/* ---- on a terminal ---- */

/* The upper half of a character is one cell, the lower half, its background, the next. */
static void put_cells(FILE *out, app_color upper, app_color lower)
{
    fprintf(out, "\033[38;2;%u;%u;%um\033[48;2;%u;%u;%um\xe2\x96\x80", upper.r, upper.g, upper.b,
            lower.r, lower.g, lower.b);
}

static void put_line_of_map(FILE *out, const app_posemb_maps *m, uint32_t map, uint32_t y)
{
    for (uint32_t x = 0; x < m->width; x++) {
        const app_color upper = color_of(m, map, y, x);
        if (y + 1 < m->height)
            put_cells(out, upper, color_of(m, map, y + 1, x));
        else
            fprintf(out, "\033[38;2;%u;%u;%um\033[49m\xe2\x96\x80", upper.r, upper.g, upper.b);
    }
    fputs("\033[0m", out);
}

void app_posemb_preview(FILE *out, const app_posemb_maps *m, size_t columns)
{
    const uint32_t fit = (uint32_t)((columns + 1) / (m->width + 1));
    if (fit == 0) return;
    const uint32_t longer = larger(m->rows, m->columns), step = (longer + fit - 1) / fit;
    for (uint32_t row = 0; row < m->rows; row += step) {
        for (uint32_t y = 0; y < m->height; y += 2) {
            for (uint32_t column = 0; column < m->columns; column += step) {
                const uint32_t map = row * m->columns + column;
                if (column > 0) fputc(' ', out);
                if (map < m->count) put_line_of_map(out, m, map, y);
            }
            fputc('\n', out);
        }
        fputc('\n', out);
    }
}
