#include "app_canvas.h"

#include <string.h>

#include "vitc_utf8.h"

/* ---- letters ---- */

enum { PER_STRIP = 12, STRIPS = 8, FIRST = ' ', LAST = '~', BOX = LAST + 1 };

/* ASCII from the space on, and last the box: twelve letters side by side, one column between
 * them. */
/* clang-format off */
static const char strips[STRIPS][APP_CANVAS_LETTER_HEIGHT][PER_STRIP * APP_CANVAS_LETTER_WIDTH] = {
    {
     "        #    # #   # #    #   ##  #  ##     #      #   #               ",
     "        #    # #   # #   #### ## #  #  #    #     #     #     #     #  ",
     "        #    # #  ##### # #      #  # #     #    #       #  # # #   #  ",
     "        #          # #   ###    #    #           #       #   ###  #####",
     "        #         #####   # #  #    # # #        #       #  # # #   #  ",
     "                   # #  ####   # ## #  #          #     #     #     #  ",
     "        #          # #    #   #  ##  ## #          #   #               ",
     "                                                                       ",
     "                                                                       "},
    {
     "                      #  ###    #    ###   ###     #  #####   ##  #####",
     "                      # #   #  ##   #   # #   #   ##  #      #        #",
     "                     #  #  ##   #       #     #  # #  ####  #        # ",
     "      #####         #   # # #   #      #    ##  #  #      # ####    #  ",
     "                   #    ##  #   #     #       # #####     # #   #   #  ",
     " ##          ##   #     #   #   #    #    #   #    #  #   # #   #  #   ",
     " ##          ##   #      ###   ###  #####  ###     #   ###   ###   #   ",
     "  #                                                                    ",
     " #                                                                     "},
    {
     " ###   ###                 #         #     ###   ###    #   ####   ### ",
     "#   # #   #  ##    ##     #           #   #   # #   #  # #  #   # #   #",
     "#   # #   #  ##    ##    #    #####    #      # # ### #   # #   # #    ",
     " ###   ####             #               #    #  # # # #   # ####  #    ",
     "#   #     #              #    #####    #    #   # ##  ##### #   # #    ",
     "#   #    #   ##    ##     #           #         #     #   # #   # #   #",
     " ###   ##    ##    ##      #         #      #    #### #   # ####   ### ",
     "                    #                                                  ",
     "                   #                                                   "},
    {
     "####  ##### #####  ###  #   #  ###    ### #   # #     #   # #   #  ### ",
     "#   # #     #     #   # #   #   #      #  #  #  #     ## ## ##  # #   #",
     "#   # #     #     #     #   #   #      #  # #   #     # # # ##  # #   #",
     "#   # ####  ####  # ### #####   #      #  ##    #     # # # # # # #   #",
     "#   # #     #     #   # #   #   #      #  # #   #     #   # #  ## #   #",
     "#   # #     #     #   # #   #   #   #  #  #  #  #     #   # #  ## #   #",
     "####  ##### #      #### #   #  ###   ##   #   # ##### #   # #   #  ### ",
     "                                                                       ",
     "                                                                       "},
    {
     "####   ###  ####   #### ##### #   # #   # #   # #   # #   # #####  ### ",
     "#   # #   # #   # #       #   #   # #   # #   # #   # #   #     #  #   ",
     "#   # #   # #   # #       #   #   # #   # #   #  # #   # #     #   #   ",
     "####  #   # ####   ###    #   #   #  # #  # # #   #     #     #    #   ",
     "#     # # # # #       #   #   #   #  # #  # # #  # #    #    #     #   ",
     "#     #  #  #  #      #   #   #   #  # #  ## ## #   #   #   #      #   ",
     "#      ## # #   # ####    #    ###    #   #   # #   #   #   #####  ### ",
     "                                                                       ",
     "                                                                       "},
    {
     "#      ###    #          #          #               #         ##       ",
     "#        #   # #          #         #               #        #         ",
     " #       #  #   #              ###  ####   ####  ####  ###  ####   ####",
     "  #      #                        # #   # #     #   # #   #  #    #   #",
     "   #     #                     #### #   # #     #   # #####  #    #   #",
     "    #    #                    #   # #   # #     #   # #      #    #   #",
     "    #  ###                     #### ####   ####  ####  ###   #     ####",
     "                  #####                                               #",
     "                                                                   ### "},
    {
     "#       #      #  #      ##                                            ",
     "#                 #       #                                            ",
     "####   ##     ##  #  #    #   ## #  ####   ###  ####   #### # ##   ####",
     "#   #   #      #  # #     #   # # # #   # #   # #   # #   # ##  # #    ",
     "#   #   #      #  ##      #   # # # #   # #   # #   # #   # #      ### ",
     "#   #   #      #  # #     #   # # # #   # #   # #   # #   # #         #",
     "#   #  ###     #  #  #   ###  # # # #   #  ###  ####   #### #     #### ",
     "            #  #                                #         #            ",
     "             ##                                 #         #            "},
    {
     " #                                           #    #    #          #####",
     " #                                          #     #     #         #   #",
     "####  #   # #   # #   # #   # #   # #####   #     #     #    #    #   #",
     " #    #   # #   # # # #  # #  #   #    #   #      #      #  # # # #   #",
     " #    #   #  # #  # # #   #   #   #   #     #     #     #      #  #   #",
     " #    #   #  # #  # # #  # #  #   #  #      #     #     #         #   #",
     "  ##   ####   #    # #  #   #  #### #####    #    #    #          #####",
     "                                  #                                    ",
     "                               ###                                     "}};
/* clang-format on */

/* U+00C0 to U+00FF without their accents. */
static const char latin[] = "AAAAAAACEEEEIIIIDNOOOOOxOUUUUYTsaaaaaaaceeeeiiiidnooooo/ouuuuyty";

/* The next letter of a text, and its length in bytes: bytes that are no UTF-8 are a box each. */
static size_t next_letter(int *letter, const char *text)
{
    uint32_t point;
    const size_t length = vitc_utf8_decode(&point, text);
    *letter = BOX;
    if (length == 0) return 1;
    if (point >= FIRST && point <= LAST) *letter = (int)point;
    if (point == 0xa0) *letter = ' ';
    if (point >= 0xc0 && point <= 0xff) *letter = (unsigned char)latin[point - 0xc0];
    return length;
}

size_t app_canvas_text_length(const char *text)
{
    size_t count = 0;
    for (int letter; *text != 0; count++) text += next_letter(&letter, text);
    return count;
}

static void draw_letter(imgio_image *canvas, int64_t x, int64_t y, int letter, uint32_t scale,
                        app_color color)
{
    const int index = letter - FIRST, column = index % PER_STRIP * APP_CANVAS_LETTER_WIDTH;
    for (int row = 0; row < APP_CANVAS_LETTER_HEIGHT; row++)
        for (int i = 0; i < APP_CANVAS_LETTER_WIDTH - 1; i++)
            if (strips[index / PER_STRIP][row][column + i] == '#')
                app_canvas_fill(canvas, x + (int64_t)i * scale, y + (int64_t)row * scale, scale,
                                scale, color);
}

void app_canvas_text(imgio_image *canvas, int64_t x, int64_t y, const char *text, size_t most,
                     uint32_t scale, app_color color)
{
    const size_t count = app_canvas_text_length(text);
    for (size_t i = 0; i < count && i < most; i++) {
        int letter;
        text += next_letter(&letter, text);
        if (count > most && i + 2 >= most) letter = '.';
        draw_letter(canvas, x, y, letter, scale, color);
        x += (int64_t)APP_CANVAS_LETTER_WIDTH * scale;
    }
}

/* ---- boxes and pictures ---- */

static int64_t clamp(int64_t value, int64_t most)
{
    return value < 0 ? 0 : value > most ? most : value;
}

void app_canvas_fill(imgio_image *canvas, int64_t x, int64_t y, int64_t width, int64_t height,
                     app_color color)
{
    const int64_t left = clamp(x, canvas->width), right = clamp(x + width, canvas->width);
    const int64_t top = clamp(y, canvas->height), bottom = clamp(y + height, canvas->height);
    for (int64_t v = top; v < bottom; v++)
        for (int64_t u = left; u < right; u++)
            memcpy(canvas->pixels + 3 * ((size_t)v * canvas->width + (size_t)u),
                   (const uint8_t[3]){color.r, color.g, color.b}, 3);
}

void app_canvas_image(imgio_image *canvas, int64_t x, int64_t y, const imgio_image *image,
                      uint32_t factor)
{
    const uint8_t *pixel = image->pixels;
    for (uint32_t v = 0; v < image->height; v++)
        for (uint32_t u = 0; u < image->width; u++, pixel += 3)
            app_canvas_fill(canvas, x + (int64_t)u * factor, y + (int64_t)v * factor, factor,
                            factor, (app_color){pixel[0], pixel[1], pixel[2]});
}
