#include "imgio_private.h"

/* Right to left, so that a wide pixel never lands on a sample that is still to be read. */

void imgio_convert_grey(uint8_t *row, size_t width, unsigned factor)
{
    for (size_t x = width; x-- > 0;) {
        const uint8_t value = (uint8_t)(row[x] * factor);
        row[x * 3 + 2] = value;
        row[x * 3 + 1] = value;
        row[x * 3] = value;
    }
}

void imgio_convert_grey16(uint8_t *row, size_t width)
{
    for (size_t x = width; x-- > 0;) {
        const uint8_t value = row[x * 2] != 0 ? 255 : row[x * 2 + 1];
        row[x * 3 + 2] = value;
        row[x * 3 + 1] = value;
        row[x * 3] = value;
    }
}

void imgio_convert_palette(uint8_t *row, size_t width, const uint8_t *palette)
{
    for (size_t x = width; x-- > 0;) {
        const uint8_t *colour = palette + (size_t)row[x] * 3;
        row[x * 3 + 2] = colour[2];
        row[x * 3 + 1] = colour[1];
        row[x * 3] = colour[0];
    }
}

/* a * b / 255, rounded. */
static int multiply_255(int a, int b)
{
    const int t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

void imgio_convert_cmyk_inverted(uint8_t *rgb, const uint8_t *cmyk, size_t width)
{
    for (size_t x = 0; x < width; x++, rgb += 3, cmyk += 4) {
        const int light = cmyk[3]; /* 255 - K */
        for (int c = 0; c < 3; c++) {
            const int value = light - multiply_255(255 - cmyk[c], light);
            rgb[c] = (uint8_t)(value < 0 ? 0 : value);
        }
    }
}
