/* app_canvas.h - drawing into a picture of pixels: boxes, other pictures, text. */
#ifndef VITC_APP_CANVAS_H
#define VITC_APP_CANVAS_H

#include "imgio.h"

typedef struct app_color {
    uint8_t r, g, b;
} app_color;

/* Whatever lies outside of the picture is not drawn. */
void app_canvas_fill(imgio_image *canvas, int64_t x, int64_t y, int64_t width, int64_t height,
                     app_color color);
/* `image` with each pixel a square of `factor`, its upper left corner at x, y. */
void app_canvas_image(imgio_image *canvas, int64_t x, int64_t y, const imgio_image *image,
                      uint32_t factor);

/* A line of text in letters of APP_CANVAS_LETTER_WIDTH x APP_CANVAS_LETTER_HEIGHT squares of
 * `scale` pixels, with its upper left corner at x, y. UTF-8: ASCII, the accents of Latin-1 left
 * out; any other character is a box. `most` characters at most, a longer text ends in two dots. */
enum { APP_CANVAS_LETTER_WIDTH = 6, APP_CANVAS_LETTER_HEIGHT = 9 };
void app_canvas_text(imgio_image *canvas, int64_t x, int64_t y, const char *text, size_t most,
                     uint32_t scale, app_color color);
/* Characters that it would draw. */
size_t app_canvas_text_length(const char *text);

#endif
