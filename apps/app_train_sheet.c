#include "app_train_sheet.h"

#include <math.h>
#include <stdlib.h>

#include "app_canvas.h"
#include "app_report.h"
#include "vitc_file.h"
#include "vitc_log.h"

enum {
    SMALL = 128, /* pixels of the longer side below which a picture is enlarged, */
    LARGE = 256, /* and above which it is made smaller */
    GAP = 8,
    LEVEL = 6 /* zlib's */
};

static const app_color paper = {250, 250, 250}, ink = {32, 32, 32};

/* How the pictures lie: cells of one size in a grid that is about 3 wide and 2 high. */
typedef struct layout {
    uint32_t factor;             /* of enlarging */
    uint32_t cell_width, height; /* of a cell and of the pictures in it */
    uint32_t strip;              /* below each picture, for its label; 0: no picture has one */
    uint32_t line;               /* height of a line of it */
    uint32_t letter;             /* scale of the letters */
    size_t columns, rows;
} layout;

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static layout arrange(const imgio_image *images, size_t count, const app_sheet_labels *labels)
{
    layout l = {.factor = 1, .letter = 2};
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        l.cell_width = larger(l.cell_width, images[i].width);
        l.height = larger(l.height, images[i].height);
        for (uint32_t k = 0; k < labels->lines; k++) {
            const char *text = labels->text[i * labels->lines + k];
            const size_t length = text != NULL ? app_canvas_text_length(text) : 0;
            if (length > longest) longest = length;
        }
    }
    const uint32_t side = larger(l.cell_width, l.height);
    if (side < SMALL) l.factor = (SMALL + side - 1) / side;
    l.cell_width *= l.factor;
    l.height *= l.factor;
    if (longest * APP_CANVAS_LETTER_WIDTH * l.letter > l.cell_width) l.letter = 1;
    l.line = (APP_CANVAS_LETTER_HEIGHT + 2) * l.letter;
    if (longest > 0) l.strip = labels->lines * l.line;
    l.columns = (size_t)ceil(sqrt((double)count * 1.5));
    if (l.columns > count) l.columns = count;
    l.rows = (count + l.columns - 1) / l.columns;
    return l;
}

static void draw(imgio_image *sheet, const layout *l, const imgio_image *images, size_t count,
                 const app_sheet_labels *labels)
{
    app_canvas_fill(sheet, 0, 0, sheet->width, sheet->height, paper);
    for (size_t i = 0; i < count; i++) {
        const int64_t x = GAP + (int64_t)(i % l->columns) * (l->cell_width + GAP);
        const int64_t y = GAP + (int64_t)(i / l->columns) * (l->height + l->strip + GAP);
        /* In the middle of its cell, should it be smaller than others. */
        const int64_t left = ((int64_t)l->cell_width - images[i].width * (int64_t)l->factor) / 2;
        const int64_t top = ((int64_t)l->height - images[i].height * (int64_t)l->factor) / 2;
        app_canvas_image(sheet, x + left, y + top, &images[i], l->factor);
        for (uint32_t k = 0; k < labels->lines; k++) {
            const char *text = labels->text[i * labels->lines + k];
            const int64_t line = y + l->height + (int64_t)k * l->line + 2 * (int64_t)l->letter;
            if (text != NULL)
                app_canvas_text(sheet, x, line, text,
                                l->cell_width / (APP_CANVAS_LETTER_WIDTH * l->letter), l->letter,
                                ink);
        }
    }
}

static vitc_status write_sheet(const char *path, const imgio_image *images, size_t count,
                               const app_sheet_labels *labels, const vitc_log *log)
{
    const layout l = arrange(images, count, labels);
    const uint64_t width = GAP + (uint64_t)l.columns * (l.cell_width + GAP);
    const uint64_t height = GAP + (uint64_t)l.rows * (l.height + l.strip + GAP);
    imgio_image sheet = {0};
    uint8_t *data = NULL;
    size_t size;
    if (width > UINT16_MAX || height > UINT16_MAX)
        return vitc_fail(log, VITC_ERR_TOO_LARGE, "%s: a sheet of %zu pictures is too large", path,
                         count);
    vitc_status status = imgio_image_create(&sheet, (uint32_t)width, (uint32_t)height, log);
    if (status == VITC_OK) {
        draw(&sheet, &l, images, count, labels);
        status = imgio_encode_png(&data, &size, &sheet, LEVEL, log);
    }
    if (status == VITC_OK) status = vitc_file_write(path, data, size, log);
    free(data);
    imgio_image_free(&sheet);
    return status;
}

/* A picture as the sheet has it: itself, or smaller; *own is to be freed. */
static vitc_status reduce(imgio_image *shown, imgio_image *own, const imgio_image *image,
                          const vitc_log *log)
{
    const double factor = (double)LARGE / larger(image->width, image->height);
    *shown = *image;
    if (factor >= 1) return VITC_OK;
    const uint32_t width = (uint32_t)lround(image->width * factor);
    const uint32_t height = (uint32_t)lround(image->height * factor);
    VITC_TRY(imgio_resize(own, image, larger(width, 1), larger(height, 1), IMGIO_BICUBIC,
                          IMGIO_ORDER_PILLOW13, log));
    *shown = *own;
    return VITC_OK;
}

int app_train_sheet_write(const char *path, const imgio_image *images, size_t count,
                          const app_sheet_labels *labels, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    imgio_image *shown = calloc(2 * count, sizeof *shown);
    imgio_image *own = shown != NULL ? shown + count : NULL;
    vitc_status status = shown != NULL ? VITC_OK : vitc_fail_memory(&log, "a sheet of pictures");
    for (size_t i = 0; i < count && status == VITC_OK; i++)
        status = reduce(&shown[i], &own[i], &images[i], &log);
    if (status == VITC_OK) status = write_sheet(path, shown, count, labels, &log);
    for (size_t i = 0; i < count && shown != NULL; i++) imgio_image_free(&own[i]);
    free(shown);
    return app_exit_status(status);
}
