#include <math.h>
#include <string.h>

#include "patches_private.h"
#include "vitc_log.h"
#include "vitc_size.h"

void patches_levels_init(patches_levels *levels, const patches_spec *spec)
{
    for (size_t c = 0; c < PATCHES_CHANNELS; c++) {
        levels->source[c] = (int)(spec->bgr ? PATCHES_CHANNELS - 1 - c : c);
        for (int v = 0; v < 256; v++) {
            float level = (float)(v * spec->rescale);
            if (spec->normalize) level = (level - spec->mean[c]) / spec->std[c];
            levels->table[c][v] = level;
        }
    }
}

void patches_tensor_image(float *tensor, const imgio_image *image, const patches_levels *levels)
{
    const size_t pixels = (size_t)image->height * image->width;
    for (size_t c = 0; c < PATCHES_CHANNELS; c++) {
        const float *table = levels->table[c];
        const uint8_t *from = image->pixels + levels->source[c];
        float *plane = tensor + c * pixels;
        for (size_t i = 0; i < pixels; i++) plane[i] = table[from[i * PATCHES_CHANNELS]];
    }
}

static vitc_status check_grid(size_t row_stride, uint32_t height, uint32_t width, uint32_t patch,
                              const vitc_log *log)
{
    size_t row;
    if (patch == 0 || height == 0 || width == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "an image %u pixels wide and %u high cannot be cut into patches of %u",
                         (unsigned)width, (unsigned)height, (unsigned)patch);
    if (height % patch != 0 || width % patch != 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "an image %u pixels wide and %u high does not divide into %ux%u patches: "
                         "%u columns and %u rows are left over; resize or crop to a multiple of %u",
                         (unsigned)width, (unsigned)height, (unsigned)patch, (unsigned)patch,
                         (unsigned)(width % patch), (unsigned)(height % patch), (unsigned)patch);
    if (!vitc_size_mul3(PATCHES_CHANNELS, patch, patch, &row) || row_stride < row)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "rows of %zu floats are too short for %ux%u patches of %d channels",
                         row_stride, (unsigned)patch, (unsigned)patch, PATCHES_CHANNELS);
    return VITC_OK;
}

vitc_status patches_extract_image(float *rows, size_t row_stride, const imgio_image *image,
                                  uint32_t patch, const patches_levels *levels, const vitc_log *log)
{
    VITC_TRY(check_grid(row_stride, image->height, image->width, patch, log));
    const size_t p = patch, grid_width = image->width / p;
    const uint8_t *pixel = image->pixels;
    const size_t source0 = (size_t)levels->source[0], source1 = (size_t)levels->source[1],
                 source2 = (size_t)levels->source[2];
    /* The pixels are read once, in the order they lie in memory. Each P pixels of an image row are
     * one line of one patch: P floats to each of the row's channels. Tables, because the arithmetic
     * that gives the same bits, with its double product and its division, is hardly faster even in
     * vectors of 8. */
    for (size_t y = 0; y < image->height; y++) {
        float *line = rows + y / p * grid_width * row_stride + y % p * p;
        for (size_t gx = 0; gx < grid_width; gx++, line += row_stride) {
            float *line0 = line, *line1 = line0 + p * p, *line2 = line1 + p * p;
            for (size_t x = 0; x < p; x++, pixel += PATCHES_CHANNELS) {
                line0[x] = levels->table[0][pixel[source0]];
                line1[x] = levels->table[1][pixel[source1]];
                line2[x] = levels->table[2][pixel[source2]];
            }
        }
    }
    return VITC_OK;
}

/* The 8-bit value that x is the level of, or is nearest to. */
static uint8_t value_of_level(float x, const float *table)
{
    const float value = (x - table[0]) / (table[255] - table[0]) * 255;
    if (!(value > 0)) return 0;
    return value < 255 ? (uint8_t)lroundf(value) : 255;
}

vitc_status patches_restore_image(imgio_image *image, const float *rows, size_t row_stride,
                                  uint32_t height, uint32_t width, uint32_t patch,
                                  const patches_levels *levels, const vitc_log *log)
{
    *image = (imgio_image){0};
    VITC_TRY(check_grid(row_stride, height, width, patch, log));
    VITC_TRY(imgio_image_create(image, width, height, log));
    const size_t p = patch, grid_width = width / p;
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++) {
            const float *row = rows + (y / p * grid_width + x / p) * row_stride;
            uint8_t *pixel = image->pixels + (y * width + x) * PATCHES_CHANNELS;
            for (size_t c = 0; c < PATCHES_CHANNELS; c++)
                pixel[levels->source[c]] =
                    value_of_level(row[(c * p + y % p) * p + x % p], levels->table[c]);
        }
    return VITC_OK;
}

vitc_status patches_extract_tensor(float *rows, size_t row_stride, const float *tensor,
                                   uint32_t height, uint32_t width, uint32_t patch,
                                   const vitc_log *log)
{
    VITC_TRY(check_grid(row_stride, height, width, patch, log));
    const size_t p = patch, grid_width = width / p;
    for (size_t c = 0; c < PATCHES_CHANNELS; c++)
        for (size_t y = 0; y < height; y++) {
            const float *from = tensor + (c * height + y) * width;
            float *to = rows + y / p * grid_width * row_stride + (c * p + y % p) * p;
            for (size_t gx = 0; gx < grid_width; gx++, from += p, to += row_stride)
                memcpy(to, from, p * sizeof *to);
        }
    return VITC_OK;
}
