/* Two-pass resampling in 22-bit fixed point, equal to Pillow's for 8-bit images. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "imgio_private.h"

#define PRECISION 22
#define HALF      (1 << (PRECISION - 1))
#define SIDE_MAX  INT32_MAX /* Pillow counts pixels in int */

/* ---- filters ---- */

static const double pi = 3.14159265358979323846;

static double sinc(double x)
{
    if (x == 0.0) return 1.0;
    x *= pi;
    return sin(x) / x;
}

static double box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double hamming(double x)
{
    x = fabs(x);
    if (x == 0.0) return 1.0;
    if (x >= 1.0) return 0.0;
    x *= pi;
    /* Pillow's constants are floats, and it shows in the last bit. */
    return sin(x) / x * ((double)0.54F + (double)0.46F * cos(x));
}

/* Keys' cubic convolution with a = -0.5 (IEEE TASSP 29(6), 1981). */
static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double lanczos(double x)
{
    return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

typedef struct filter_row {
    const char *name;
    double (*weight)(double x);
    double support; /* half the width, in pixels of the coarser side */
} filter_row;

static const filter_row filters[] = {
    [IMGIO_NEAREST] = {"nearest", NULL, 0.0},
    [IMGIO_LANCZOS] = {"lanczos", lanczos, 3.0},
    [IMGIO_BILINEAR] = {"bilinear", bilinear, 1.0},
    [IMGIO_BICUBIC] = {"bicubic", bicubic, 2.0},
    [IMGIO_BOX] = {"box", box, 0.5},
    [IMGIO_HAMMING] = {"hamming", hamming, 1.0},
};
#define FILTERS (sizeof filters / sizeof *filters)

const char *imgio_filter_string(imgio_filter filter)
{
    return (size_t)filter < FILTERS ? filters[filter].name : NULL;
}

bool imgio_filter_from_string(imgio_filter *filter, const char *name)
{
    for (size_t i = 0; name != NULL && i < FILTERS; i++) {
        if (strcmp(filters[i].name, name) == 0) {
            *filter = (imgio_filter)i;
            return true;
        }
    }
    return false;
}

/* ---- one axis: which inputs make each output, and with what weights ---- */

typedef struct axis {
    uint32_t in, out;
    size_t taps;      /* room for weights per output */
    int32_t *weights; /* [out][taps], fixed point; count[o] of a row are used, the rest is 0 */
    uint32_t *first;  /* [out] */
    uint32_t *count;  /* [out] */
} axis;

static void axis_free(axis *a)
{
    free(a->weights);
    free(a->first);
    free(a->count);
    *a = (axis){0};
}

static void axis_fill(axis *a, const filter_row *filter, double *row)
{
    const double scale = (double)a->in / a->out;
    const double stretch = scale < 1.0 ? 1.0 : scale;
    const double support = filter->support * stretch, inverse = 1.0 / stretch;
    for (uint32_t o = 0; o < a->out; o++) {
        const double centre = (o + 0.5) * scale;
        double low = centre - support + 0.5, high = centre + support + 0.5;
        if (low < 0) low = 0;
        if (high > a->in) high = a->in;
        const uint32_t first = (uint32_t)low, count = (uint32_t)high - first;
        double sum = 0.0;
        for (uint32_t i = 0; i < count; i++) {
            row[i] = filter->weight((i + first - centre + 0.5) * inverse);
            sum += row[i];
        }
        int32_t *weights = a->weights + o * a->taps;
        for (uint32_t i = 0; i < count; i++) {
            const double weight = (sum != 0.0 ? row[i] / sum : row[i]) * (1 << PRECISION);
            weights[i] = (int32_t)(weight < 0 ? weight - 0.5 : weight + 0.5);
        }
        a->first[o] = first;
        a->count[o] = count;
    }
}

static vitc_status axis_make(axis *a, uint32_t in, uint32_t out, const filter_row *filter,
                             const vitc_log *log)
{
    const double scale = (double)in / out;
    *a = (axis){.in = in, .out = out};
    const size_t reach = (size_t)ceil(filter->support * (scale < 1.0 ? 1.0 : scale));
    double *row = NULL;
    if (reach < SIZE_MAX / 4 / sizeof *row) {
        a->taps = reach * 2 + 1;
        a->weights = calloc(out, a->taps * sizeof *a->weights);
        a->first = calloc(out, sizeof *a->first);
        a->count = calloc(out, sizeof *a->count);
        row = calloc(a->taps, sizeof *row);
    }
    if (a->weights == NULL || a->first == NULL || a->count == NULL || row == NULL) {
        free(row);
        axis_free(a);
        return vitc_fail(log, VITC_ERR_MEMORY, "out of memory for resizing %u to %u pixels",
                         (unsigned)in, (unsigned)out);
    }
    axis_fill(a, filter, row);
    free(row);
    return VITC_OK;
}

/* ---- the passes ---- */

static uint8_t to_byte(int32_t sum)
{
    const int32_t value = sum >> PRECISION;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* `rows` rows of a->in pixels to as many of a->out pixels. */
static void resize_columns(uint8_t *out, const uint8_t *in, size_t rows, const axis *a)
{
    const size_t in_stride = (size_t)a->in * 3;
    for (; rows > 0; rows--, in += in_stride) {
        for (uint32_t x = 0; x < a->out; x++, out += 3) {
            const uint8_t *pixel = in + (size_t)a->first[x] * 3;
            const int32_t *weights = a->weights + x * a->taps;
            int32_t red = HALF, green = HALF, blue = HALF;
            for (uint32_t i = a->count[x]; i > 0; i--, pixel += 3, weights++) {
                red += pixel[0] * *weights;
                green += pixel[1] * *weights;
                blue += pixel[2] * *weights;
            }
            out[0] = to_byte(red);
            out[1] = to_byte(green);
            out[2] = to_byte(blue);
        }
    }
}

/* a->in rows of `stride` bytes to a->out; `in` begins at row `skipped`. In strips that keep the
 * sums in the first-level cache. */
static void resize_rows(uint8_t *out, const uint8_t *in, size_t stride, uint32_t skipped,
                        const axis *a)
{
    enum { STRIP = 1024 };
    int32_t sums[STRIP];
    for (uint32_t y = 0; y < a->out; y++, out += stride) {
        const uint8_t *rows = in + (size_t)(a->first[y] - skipped) * stride;
        const int32_t *weights = a->weights + y * a->taps;
        for (size_t start = 0; start < stride; start += STRIP) {
            const size_t width = stride - start < STRIP ? stride - start : STRIP;
            for (size_t i = 0; i < width; i++) sums[i] = HALF;
            for (uint32_t k = 0; k < a->count[y]; k++) {
                const uint8_t *row = rows + k * stride + start;
                const int32_t weight = weights[k];
                for (size_t i = 0; i < width; i++) sums[i] += row[i] * weight;
            }
            for (size_t i = 0; i < width; i++) out[start + i] = to_byte(sums[i]);
        }
    }
}

static bool vertical_first(const imgio_image *in, uint32_t width, uint32_t height,
                           imgio_pass_order order)
{
    if (height >= in->height) return false;
    if (order == IMGIO_ORDER_PILLOW12) return in->height > (uint64_t)in->width * 100;
    return (int64_t)in->height - height > 2 * ((int64_t)in->width - width);
}

static vitc_status resample(imgio_image *out, const imgio_image *in, const axis *columns,
                            const axis *rows, bool rows_first, const vitc_log *log)
{
    imgio_image middle = {0};
    if (columns->in == columns->out) {
        resize_rows(out->pixels, in->pixels, (size_t)in->width * 3, 0, rows);
    } else if (rows->in == rows->out) {
        resize_columns(out->pixels, in->pixels, in->height, columns);
    } else if (rows_first) {
        VITC_TRY(imgio_image_create(&middle, in->width, out->height, log));
        resize_rows(middle.pixels, in->pixels, (size_t)in->width * 3, 0, rows);
        resize_columns(out->pixels, middle.pixels, out->height, columns);
    } else {
        /* Enlarging, or with a narrow filter, the outermost rows may have no part. */
        const uint32_t first = rows->first[0];
        const uint32_t used = rows->first[rows->out - 1] + rows->count[rows->out - 1] - first;
        VITC_TRY(imgio_image_create(&middle, out->width, used, log));
        resize_columns(middle.pixels, in->pixels + (size_t)first * in->width * 3, used, columns);
        resize_rows(out->pixels, middle.pixels, (size_t)out->width * 3, first, rows);
    }
    imgio_image_free(&middle);
    return VITC_OK;
}

static vitc_status resize_smooth(imgio_image *out, const imgio_image *in, const filter_row *filter,
                                 bool rows_first, const vitc_log *log)
{
    axis columns, rows;
    VITC_TRY(axis_make(&columns, in->width, out->width, filter, log));
    vitc_status status = axis_make(&rows, in->height, out->height, filter, log);
    if (status == VITC_OK) {
        status = resample(out, in, &columns, &rows, rows_first, log);
        axis_free(&rows);
    }
    axis_free(&columns);
    return status;
}

/* The input index of every output. Pillow adds the scale up instead of multiplying, and the
 * rounding of the sums decides the ties. */
static uint32_t *nearest_positions(uint32_t in, uint32_t out)
{
    uint32_t *positions = malloc((size_t)out * sizeof *positions);
    if (positions == NULL) return NULL;
    const double scale = (double)in / out;
    double at = scale * 0.5;
    for (uint32_t o = 0; o < out; o++) {
        positions[o] = at < in ? (uint32_t)at : in - 1;
        at += scale;
    }
    return positions;
}

static vitc_status resize_nearest(imgio_image *out, const imgio_image *in, const vitc_log *log)
{
    uint32_t *columns = nearest_positions(in->width, out->width);
    uint32_t *rows = nearest_positions(in->height, out->height);
    vitc_status status = VITC_OK;
    if (columns == NULL || rows == NULL) {
        status = vitc_fail_memory(log, "resizing");
        goto cleanup;
    }
    uint8_t *pixel = out->pixels;
    for (uint32_t y = 0; y < out->height; y++) {
        const uint8_t *row = in->pixels + (size_t)rows[y] * in->width * 3;
        for (uint32_t x = 0; x < out->width; x++, pixel += 3)
            memcpy(pixel, row + (size_t)columns[x] * 3, 3);
    }
cleanup:
    free(columns);
    free(rows);
    return status;
}

vitc_status imgio_resize(imgio_image *out, const imgio_image *in, uint32_t width, uint32_t height,
                         imgio_filter filter, imgio_pass_order order, const vitc_log *log)
{
    if (in->pixels == NULL || in->width == 0 || in->height == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "resizing: the image has no pixels");
    if (width == 0 || height == 0 || width > SIDE_MAX || height > SIDE_MAX ||
        in->width > SIDE_MAX || in->height > SIDE_MAX)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "resizing %u x %u to %u x %u pixels: impossible",
                         (unsigned)in->width, (unsigned)in->height, (unsigned)width,
                         (unsigned)height);
    if ((size_t)filter >= FILTERS)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "resizing: %d is not a filter", (int)filter);
    if (order != IMGIO_ORDER_PILLOW13 && order != IMGIO_ORDER_PILLOW12)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "resizing: %d is not a pass order", (int)order);
    VITC_TRY(imgio_image_create(out, width, height, log));
    vitc_status status = VITC_OK;
    if (width == in->width && height == in->height)
        memcpy(out->pixels, in->pixels, (size_t)width * height * 3);
    else if (filter == IMGIO_NEAREST)
        status = resize_nearest(out, in, log);
    else
        status =
            resize_smooth(out, in, &filters[filter], vertical_first(in, width, height, order), log);
    if (status != VITC_OK) imgio_image_free(out);
    return status;
}
