/* Operations on pixels, as Pillow 13 and torchvision 0.28 (on Pillow's images) compute them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets_augment.h"
#include "vitc_log.h"
#include "vitc_math.h"
#include "vitc_size.h"

enum { LEVELS = 256, C = PATCHES_CHANNELS };

static size_t byte_count(const imgio_image *image)
{
    return (size_t)image->width * image->height * C;
}

static uint8_t clip(int value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* An empty picture of the same size, to be filled and put in the place of `image`. */
static vitc_status create_like(imgio_image *out, const imgio_image *image, const vitc_log *log)
{
    VITC_TRY(imgio_image_create(out, image->width, image->height, log));
    out->full_width = image->full_width;
    out->full_height = image->full_height;
    return VITC_OK;
}

static void replace(imgio_image *image, imgio_image *by)
{
    imgio_image_free(image);
    *image = *by;
}

/* ---- tables: a new value for each value of a channel ---- */

typedef uint8_t table[C][LEVELS];

static void apply_table(imgio_image *image, table levels)
{
    const size_t pixels = (size_t)image->width * image->height;
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < C; c++)
            image->pixels[i * C + c] = levels[c][image->pixels[i * C + c]];
}

static void count_levels(size_t counts[C][LEVELS], const imgio_image *image)
{
    const size_t pixels = (size_t)image->width * image->height;
    memset(counts, 0, sizeof(size_t[C][LEVELS]));
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < C; c++) counts[c][image->pixels[i * C + c]]++;
}

static void invert(imgio_image *image)
{
    const size_t bytes = byte_count(image);
    for (size_t i = 0; i < bytes; i++) image->pixels[i] = (uint8_t)(255 - image->pixels[i]);
}

static void posterize(imgio_image *image, int bits)
{
    const size_t bytes = byte_count(image);
    const unsigned mask = 0xFFU << (8 - bits) & 0xFFU;
    for (size_t i = 0; i < bytes; i++) image->pixels[i] = (uint8_t)(image->pixels[i] & mask);
}

static void solarize(imgio_image *image, double threshold)
{
    const size_t bytes = byte_count(image);
    for (size_t i = 0; i < bytes; i++)
        if (image->pixels[i] >= threshold) image->pixels[i] = (uint8_t)(255 - image->pixels[i]);
}

/* Each channel stretched to 0-255. */
static void stretch(imgio_image *image)
{
    size_t counts[C][LEVELS];
    table levels;
    count_levels(counts, image);
    for (size_t c = 0; c < C; c++) {
        int low = 0, high = LEVELS - 1;
        while (low < LEVELS - 1 && counts[c][low] == 0) low++;
        while (high > 0 && counts[c][high] == 0) high--;
        const double scale = high > low ? 255.0 / (high - low) : 1;
        const double offset = high > low ? -low * scale : 0;
        for (int v = 0; v < LEVELS; v++) levels[c][v] = clip((int)(v * scale + offset));
    }
    apply_table(image, levels);
}

/* Each channel with its levels as evenly used as they can be. */
static void equalize(imgio_image *image)
{
    size_t counts[C][LEVELS];
    table levels;
    const size_t pixels = (size_t)image->width * image->height;
    count_levels(counts, image);
    for (size_t c = 0; c < C; c++) {
        int high = LEVELS - 1;
        while (counts[c][high] == 0) high--;
        const size_t step = (pixels - counts[c][high]) / 255;
        size_t n = step / 2;
        for (int v = 0; v < LEVELS; v++) {
            levels[c][v] = (uint8_t)(step == 0 ? (size_t)v : vitc_size_min(n / step, 255));
            n += counts[c][v];
        }
    }
    apply_table(image, levels);
}

/* ---- blends: from a degenerate picture to the picture itself, and beyond ---- */

/* In float32 and cut off, as Pillow does it. */
static uint8_t blend(uint8_t degenerate, uint8_t value, float factor)
{
    const float x = (float)degenerate + factor * (float)(value - degenerate);
    return x <= 0 ? 0 : x >= 255 ? 255 : (uint8_t)x;
}

/* Luma of ITU-R 601-2, Pillow's convert("L"). */
static uint8_t grey_of(const uint8_t *rgb)
{
    return (uint8_t)((19595U * rgb[0] + 38470U * rgb[1] + 7471U * rgb[2] + 0x8000U) >> 16);
}

static void blend_with_level(imgio_image *image, uint8_t level, float factor)
{
    table levels;
    for (size_t v = 0; v < LEVELS; v++)
        levels[0][v] = levels[1][v] = levels[2][v] = blend(level, (uint8_t)v, factor);
    apply_table(image, levels);
}

static void blend_with_mean(imgio_image *image, float factor)
{
    const size_t pixels = (size_t)image->width * image->height;
    uint64_t sum = 0;
    for (size_t i = 0; i < pixels; i++) sum += grey_of(image->pixels + i * C);
    blend_with_level(image, (uint8_t)((double)sum / (double)pixels + 0.5), factor);
}

static void blend_with_grey(imgio_image *image, float factor)
{
    const size_t pixels = (size_t)image->width * image->height;
    for (size_t i = 0; i < pixels; i++) {
        uint8_t *rgb = image->pixels + i * C;
        const uint8_t grey = grey_of(rgb);
        for (size_t c = 0; c < C; c++) rgb[c] = blend(grey, rgb[c], factor);
    }
}

/* The mean of 3 x 3 pixels, the middle one counting five times; the pixels of the edge are left as
 * they are. A sum of integers over 13 is never half way between two of them. */
static vitc_status blend_with_smooth(imgio_image *image, float factor, const vitc_log *log)
{
    if (image->width < 3 || image->height < 3) return VITC_OK; /* nothing but edge */
    imgio_image out;
    VITC_TRY(create_like(&out, image, log));
    memcpy(out.pixels, image->pixels, byte_count(image));
    const size_t stride = (size_t)image->width * C;
    for (size_t y = 1; y + 1 < image->height; y++)
        for (size_t i = C; i < stride - C; i++) {
            const uint8_t *p = image->pixels + y * stride + i;
            const uint8_t *above = p - stride, *below = p + stride;
            const int sum = above[-C] + above[0] + above[C] + p[-C] + 5 * p[0] + p[C] + below[-C] +
                            below[0] + below[C];
            out.pixels[y * stride + i] = blend((uint8_t)((2 * sum + 13) / 26), p[0], factor);
        }
    replace(image, &out);
    return VITC_OK;
}

/* ---- hue ---- */

/* Hue, saturation and value in 8 bits each, float32 between, and back in the same way. */
static void turn_pixel(uint8_t *rgb, uint8_t turn)
{
    const int r = rgb[0], g = rgb[1], b = rgb[2];
    const int high = r > g ? (r > b ? r : b) : (g > b ? g : b);
    const int low = r < g ? (r < b ? r : b) : (g < b ? g : b);
    if (high == low) return; /* grey has no hue */
    const float range = (float)(high - low), share = range / (float)high;
    const float rc = (float)(high - r) / range, gc = (float)(high - g) / range;
    const float bc = (float)(high - b) / range;
    const float sixth = r == high   ? bc - gc
                        : g == high ? (float)(2.0 + (double)rc - (double)bc)
                                    : (float)(4.0 + (double)gc - (double)rc);
    const double circle = (double)sixth / 6.0 + 1.0;
    const float whole = (float)(circle - floor(circle));
    const uint8_t hue = (uint8_t)(clip((int)((double)whole * 255.0)) + turn);
    const uint8_t saturation = clip((int)((double)share * 255.0));
    if (saturation == 0) {
        memset(rgb, high, C);
        return;
    }
    const double place = (double)(float)hue * 6.0 / 255.0;
    const int sector = (int)floor(place);
    const float f = (float)(place - sector), s = (float)((double)saturation / 255.0);
    const double v = high, sf = (double)(s * f);
    const uint8_t p = clip((int)round(v * (1.0 - (double)s)));
    const uint8_t q = clip((int)round(v * (1.0 - sf)));
    const uint8_t t = clip((int)round(v * (1.0 - (double)s * (1.0 - (double)f))));
    const uint8_t value = (uint8_t)high;
    const uint8_t sectors[6][C] = {{value, t, p}, {q, value, p}, {p, value, t},
                                   {p, q, value}, {t, p, value}, {value, p, q}};
    memcpy(rgb, sectors[sector % 6], C);
}

static void turn_hue(imgio_image *image, double part)
{
    const size_t pixels = (size_t)image->width * image->height;
    const uint8_t turn = (uint8_t)(int)(part * 255); /* modulo 256 */
    for (size_t i = 0; i < pixels; i++) turn_pixel(image->pixels + i * C, turn);
}

/* ---- moving pixels: where a pixel of the result comes from ---- */

/* x' = m[0] x + m[1] y + m[2], y' = m[3] x + m[4] y + m[5]; pixel centres at .5. */
typedef double affine[6];

static int64_t fixed(double value)
{
    return (int64_t)floor(value * 65536.0 + 0.5);
}

/* In steps of 1/65536 pixel, which is how Pillow steps. */
static void sample_nearest(imgio_image *out, const imgio_image *in, const affine m)
{
    const int64_t dx = fixed(m[0]), dy = fixed(m[3]);
    int64_t row_x = fixed(m[2] + m[0] * 0.5 + m[1] * 0.5);
    int64_t row_y = fixed(m[5] + m[3] * 0.5 + m[4] * 0.5);
    uint8_t *to = out->pixels;
    for (uint32_t y = 0; y < out->height; y++) {
        int64_t at_x = row_x, at_y = row_y;
        for (uint32_t x = 0; x < out->width; x++, to += C, at_x += dx, at_y += dy) {
            if (at_x < 0 || at_y < 0) continue;
            const int64_t from_x = at_x >> 16, from_y = at_y >> 16;
            if (from_x >= in->width || from_y >= in->height) continue;
            memcpy(to, in->pixels + ((size_t)from_y * in->width + (size_t)from_x) * C, C);
        }
        row_x += fixed(m[1]);
        row_y += fixed(m[4]);
    }
}

static uint32_t clamp(int64_t value, uint32_t size)
{
    return value < 0 ? 0 : value >= size ? size - 1 : (uint32_t)value;
}

/* Between four pixels, in double, and cut off. */
static void sample_bilinear(imgio_image *out, const imgio_image *in, const affine m)
{
    uint8_t *to = out->pixels;
    for (uint32_t y = 0; y < out->height; y++)
        for (uint32_t x = 0; x < out->width; x++, to += C) {
            const double at_x = m[0] * (x + 0.5) + m[1] * (y + 0.5) + m[2];
            const double at_y = m[3] * (x + 0.5) + m[4] * (y + 0.5) + m[5];
            if (!(at_x >= 0 && at_x < in->width && at_y >= 0 && at_y < in->height)) continue;
            const double left = floor(at_x - 0.5), top = floor(at_y - 0.5);
            const double dx = at_x - 0.5 - left, dy = at_y - 0.5 - top;
            const uint32_t x0 = clamp((int64_t)left, in->width);
            const uint32_t x1 = clamp((int64_t)left + 1, in->width);
            const uint32_t y0 = clamp((int64_t)top, in->height);
            const uint32_t y1 = clamp((int64_t)top + 1, in->height);
            const uint8_t *above = in->pixels + (size_t)y0 * in->width * C;
            const uint8_t *below = in->pixels + (size_t)y1 * in->width * C;
            for (size_t c = 0; c < C; c++) {
                const double a0 = above[(size_t)x0 * C + c], a1 = above[(size_t)x1 * C + c];
                const double b0 = below[(size_t)x0 * C + c], b1 = below[(size_t)x1 * C + c];
                const double a = a0 + (a1 - a0) * dx, b = b0 + (b1 - b0) * dx;
                to[c] = (uint8_t)(a + (b - a) * dy);
            }
        }
}

static vitc_status move_pixels(imgio_image *image, const affine m,
                               const datasets_sampling *sampling, const vitc_log *log)
{
    imgio_image out;
    VITC_TRY(create_like(&out, image, log));
    const size_t pixels = (size_t)image->width * image->height;
    for (size_t i = 0; i < pixels; i++) memcpy(out.pixels + i * C, sampling->fill, C);
    if (sampling->bilinear)
        sample_bilinear(&out, image, m);
    else
        sample_nearest(&out, image, m);
    replace(image, &out);
    return VITC_OK;
}

/* Pillow rounds sine and cosine to 15 digits. */
static double rounded(double x)
{
    return floor(x * 1e15 + 0.5) / 1e15;
}

static vitc_status rotate(imgio_image *image, double degrees, const datasets_sampling *sampling,
                          const vitc_log *log)
{
    static const double degree = 3.14159265358979323846 / 180;
    const double positive = degrees - 360 * floor(degrees / 360);
    double sine, cosine;
    vitc_math_sine_cosine(&sine, &cosine, -(positive * degree));
    sine = rounded(sine);
    cosine = rounded(cosine);
    const double x = image->width / 2.0, y = image->height / 2.0;
    const affine m = {cosine, sine,   cosine * -x + sine * -y + x,
                      -sine,  cosine, -sine * -x + cosine * -y + y};
    return move_pixels(image, m, sampling, log);
}

/* ---- the table ---- */

vitc_status datasets_operation_run(imgio_image *image, datasets_operation operation, double x,
                                   const datasets_sampling *sampling, const vitc_log *log)
{
    const float factor = (float)(1.0 + x);
    switch (operation) {
    case DATASETS_SHEAR_X:
        return move_pixels(image, (const affine){1, x, 0, 0, 1, 0}, sampling, log);
    case DATASETS_SHEAR_Y:
        return move_pixels(image, (const affine){1, 0, 0, x, 1, 0}, sampling, log);
    case DATASETS_TRANSLATE_X:
        return move_pixels(image, (const affine){1, 0, -trunc(x), 0, 1, 0}, sampling, log);
    case DATASETS_TRANSLATE_Y:
        return move_pixels(image, (const affine){1, 0, 0, 0, 1, -trunc(x)}, sampling, log);
    case DATASETS_ROTATE:
        return rotate(image, x, sampling, log);
    case DATASETS_BRIGHTNESS:
        blend_with_level(image, 0, factor);
        break;
    case DATASETS_COLOUR:
        blend_with_grey(image, factor);
        break;
    case DATASETS_CONTRAST:
        blend_with_mean(image, factor);
        break;
    case DATASETS_SHARPNESS:
        return blend_with_smooth(image, factor, log);
    case DATASETS_POSTERIZE:
        posterize(image, (int)x);
        break;
    case DATASETS_SOLARIZE:
        solarize(image, x);
        break;
    case DATASETS_AUTOCONTRAST:
        stretch(image);
        break;
    case DATASETS_EQUALIZE:
        equalize(image);
        break;
    case DATASETS_INVERT:
        invert(image);
        break;
    case DATASETS_HUE:
        turn_hue(image, x);
        break;
    default: /* identity */
        break;
    }
    return VITC_OK;
}

void datasets_flip(imgio_image *image)
{
    for (uint32_t y = 0; y < image->height; y++) {
        uint8_t *left = image->pixels + (size_t)y * image->width * C;
        uint8_t *right = left + (size_t)(image->width - 1) * C;
        for (; left < right; left += C, right -= C) {
            uint8_t kept[C];
            memcpy(kept, left, C);
            memcpy(left, right, C);
            memcpy(right, kept, C);
        }
    }
}

/* ---- blur ---- */

enum { RADIUS_MAX = 96, ONE = 1 << 16 };

/* weights[0 ... radius]: of the middle and of either side; all of them add up to ONE. */
static int blur_weights(uint32_t weights[RADIUS_MAX + 1], double sigma)
{
    const int radius = (int)ceil(3 * sigma);
    double values[RADIUS_MAX + 1], sum = 1;
    values[0] = 1;
    for (int i = 1; i <= radius; i++) {
        values[i] = vitc_math_exp(-0.5 * (i / sigma) * (i / sigma));
        sum += 2 * values[i];
    }
    weights[0] = ONE;
    for (int i = 1; i <= radius; i++) {
        weights[i] = (uint32_t)floor(values[i] / sum * ONE + 0.5);
        weights[0] -= 2 * weights[i];
    }
    return radius;
}

/* Along rows: out has 8 bits of fraction. */
static void blur_rows(uint16_t *out, const imgio_image *in, const uint32_t *weights, int radius)
{
    for (uint32_t y = 0; y < in->height; y++)
        for (uint32_t x = 0; x < in->width; x++)
            for (size_t c = 0; c < C; c++) {
                const uint8_t *row = in->pixels + (size_t)y * in->width * C + c;
                uint32_t sum = weights[0] * row[(size_t)x * C];
                for (int i = 1; i <= radius; i++)
                    sum +=
                        weights[i] * (uint32_t)(row[(size_t)clamp((int64_t)x - i, in->width) * C] +
                                                row[(size_t)clamp((int64_t)x + i, in->width) * C]);
                *out++ = (uint16_t)((sum + 128) >> 8);
            }
}

static void blur_columns(imgio_image *out, const uint16_t *in, const uint32_t *weights, int radius)
{
    const size_t stride = (size_t)out->width * C;
    for (uint32_t y = 0; y < out->height; y++)
        for (size_t i = 0; i < stride; i++) {
            uint32_t sum = weights[0] * in[y * stride + i];
            for (int k = 1; k <= radius; k++)
                sum += weights[k] * ((uint32_t)in[clamp((int64_t)y - k, out->height) * stride + i] +
                                     in[clamp((int64_t)y + k, out->height) * stride + i]);
            out->pixels[y * stride + i] = (uint8_t)((sum + (1U << 23)) >> 24);
        }
}

vitc_status datasets_blur(imgio_image *image, double sigma, const vitc_log *log)
{
    uint32_t weights[RADIUS_MAX + 1] = {0};
    const int radius = blur_weights(weights, sigma);
    uint16_t *between = calloc(byte_count(image), sizeof *between);
    if (between == NULL) return vitc_fail_memory(log, "a blurred picture");
    blur_rows(between, image, weights, radius);
    blur_columns(image, between, weights, radius);
    free(between);
    return VITC_OK;
}
