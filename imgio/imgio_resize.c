/* Resampling equal to Pillow's 8-bit Image.resize, bit for bit.
 *
 * Each axis is one pass: an output sample is a weighted mean of the input samples under a filter
 * whose support grows with the reduction (so that shrinking does not alias). Weights are computed
 * in double, normalized, and rounded to 22 fraction bits; a pass sums in int32 and rounds to 8
 * bits. The steps of this computation are fixed by what must be equal, so their order matters here.
 */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "imgio_private.h"
#include "vitc_size.h"

enum { FRACTION_BITS = 22 };

static const char *const filter_names[] = {
    [IMGIO_NEAREST] = "nearest", [IMGIO_LANCZOS] = "lanczos", [IMGIO_BILINEAR] = "bilinear",
    [IMGIO_BICUBIC] = "bicubic", [IMGIO_BOX] = "box",         [IMGIO_HAMMING] = "hamming",
};
enum { FILTER_COUNT = sizeof filter_names / sizeof filter_names[0] };

const char *imgio_filter_string(imgio_filter filter)
{
    return (unsigned)filter < FILTER_COUNT ? filter_names[filter] : NULL;
}

bool imgio_filter_from_string(imgio_filter *filter, const char *name)
{
    for (int i = 0; i < FILTER_COUNT; i++) {
        if (strcmp(name, filter_names[i]) != 0) continue;
        *filter = (imgio_filter)i;
        return true;
    }
    return false;
}

/* ---- filters: f(x) for x in units of the (scaled) support ---- */

static double filter_box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double filter_bilinear(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double filter_hamming(double x)
{
    x = fabs(x);
    if (x == 0.0) return 1.0;
    if (x >= 1.0) return 0.0;
    x *= 3.14159265358979323846;
    return sin(x) / x *
           ((double)0.54f + (double)0.46f * cos(x)); /* Pillow's constants are floats */
}

/* Keys' cubic with a = -0.5 (IEEE Trans. ASSP 29, 1981). */
static double filter_bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double sinc(double x)
{
    if (x == 0.0) return 1.0;
    x *= 3.14159265358979323846;
    return sin(x) / x;
}

static double filter_lanczos(double x)
{
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

static const struct {
    double (*function)(double x);
    double support;
} filters[] = {
    [IMGIO_LANCZOS] = {filter_lanczos, 3.0}, [IMGIO_BILINEAR] = {filter_bilinear, 1.0},
    [IMGIO_BICUBIC] = {filter_bicubic, 2.0}, [IMGIO_BOX] = {filter_box, 0.5},
    [IMGIO_HAMMING] = {filter_hamming, 1.0},
};

/* ---- one axis ---- */

/* Output sample i is sum_j weights[i * stride + j] * input[first[i] + j], j < count[i]. */
typedef struct axis_weights {
    uint32_t *first, *count; /* in one block with `first` */
    int32_t *weights;
    size_t stride;
} axis_weights;

static void axis_free(axis_weights *axis)
{
    free(axis->first);
    free(axis->weights);
    *axis = (axis_weights){0};
}

static bool axis_create(axis_weights *axis, uint32_t in, uint32_t out, imgio_filter filter)
{
    const double scale = (double)in / out;
    const double filter_scale = scale < 1.0 ? 1.0 : scale;
    const double support = filters[filter].support * filter_scale;
    size_t bytes, bounds;
    *axis = (axis_weights){.stride = (size_t)ceil(support) * 2 + 1};
    double *exact = malloc(axis->stride * sizeof *exact);
    if (vitc_size_mul3(axis->stride, out, sizeof(int32_t), &bytes) &&
        vitc_size_mul3(2, out, sizeof(uint32_t), &bounds)) {
        axis->first = malloc(bounds);
        axis->weights = malloc(bytes);
    }
    if (exact == NULL || axis->first == NULL || axis->weights == NULL) {
        free(exact);
        axis_free(axis);
        return false;
    }
    axis->count = axis->first + out;
    for (uint32_t i = 0; i < out; i++) {
        const double centre = (i + 0.5) * scale, inverse = 1.0 / filter_scale;
        const double low = centre - support + 0.5, high = centre + support + 0.5;
        const uint32_t first = low < 0 ? 0 : (uint32_t)low;
        const uint32_t end = high > in ? in : (uint32_t)high;
        const uint32_t count = end - first;
        double sum = 0;
        for (uint32_t j = 0; j < count; j++) {
            exact[j] = filters[filter].function((j + first - centre + 0.5) * inverse);
            sum += exact[j];
        }
        int32_t *weights = axis->weights + i * axis->stride;
        for (uint32_t j = 0; j < count; j++) {
            const double w = (sum != 0.0 ? exact[j] / sum : exact[j]) * (1 << FRACTION_BITS);
            weights[j] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
        }
        axis->first[i] = first;
        axis->count[i] = count;
    }
    free(exact);
    return true;
}

static uint8_t round_sample(int32_t sum)
{
    const int32_t value = sum >> FRACTION_BITS;
    return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
}

static const int32_t half = 1 << (FRACTION_BITS - 1);

/* out [rows, out_width] from in [rows, in_width] */
static void pass_horizontal(uint8_t *out, const uint8_t *in, uint32_t rows, uint32_t in_width,
                            uint32_t out_width, const axis_weights *axis)
{
    for (uint32_t y = 0; y < rows; y++, in += (size_t)in_width * 3) {
        for (uint32_t x = 0; x < out_width; x++, out += 3) {
            const int32_t *weights = axis->weights + x * axis->stride;
            const uint8_t *from = in + (size_t)axis->first[x] * 3;
            int32_t r = half, g = half, b = half;
            for (uint32_t j = 0; j < axis->count[x]; j++, from += 3) {
                r += from[0] * weights[j];
                g += from[1] * weights[j];
                b += from[2] * weights[j];
            }
            out[0] = round_sample(r);
            out[1] = round_sample(g);
            out[2] = round_sample(b);
        }
    }
}

/* out [out_height, width] from in, whose first row is row `top` of the image; sums: width * 3 */
static void pass_vertical(uint8_t *out, const uint8_t *in, uint32_t top, uint32_t width,
                          uint32_t out_height, const axis_weights *axis, int32_t *sums)
{
    const size_t row = (size_t)width * 3;
    for (uint32_t y = 0; y < out_height; y++, out += row) {
        const int32_t *weights = axis->weights + y * axis->stride;
        for (size_t i = 0; i < row; i++) sums[i] = half;
        for (uint32_t j = 0; j < axis->count[y]; j++) {
            const uint8_t *from = in + (axis->first[y] - top + j) * row;
            for (size_t i = 0; i < row; i++) sums[i] += from[i] * weights[j];
        }
        for (size_t i = 0; i < row; i++) out[i] = round_sample(sums[i]);
    }
}

static bool is_vertical_first(const imgio_image *in, uint32_t width, uint32_t height,
                              imgio_pass_order order)
{
    if (height >= in->height) return false;
    if (order == IMGIO_ORDER_PILLOW12) return in->height > 100 * (uint64_t)in->width;
    return (int64_t)in->height - height > 2 * ((int64_t)in->width - width);
}

static vitc_status resample(imgio_image *out, const imgio_image *in, uint32_t width,
                            uint32_t height, imgio_filter filter, imgio_pass_order order,
                            const vitc_log *log)
{
    const bool across = width != in->width, down = height != in->height;
    const bool vertical_first = is_vertical_first(in, width, height, order);
    axis_weights columns = {0}, rows = {0};
    uint8_t *between = NULL;
    int32_t *sums = NULL;
    vitc_status status = imgio_image_create(out, width, height, log);
    if (status != VITC_OK) return status;
    status = VITC_ERR_MEMORY;
    if (across && !axis_create(&columns, in->width, width, filter)) goto cleanup;
    if (down && !axis_create(&rows, in->height, height, filter)) goto cleanup;

    const uint32_t sums_width = vertical_first ? in->width : width;
    size_t sums_bytes, between_bytes;
    if (!vitc_size_mul3(sums_width, 3, sizeof *sums, &sums_bytes)) goto cleanup;
    if (down && (sums = malloc(sums_bytes)) == NULL) goto cleanup;
    if (!across) {
        pass_vertical(out->pixels, in->pixels, 0, width, height, &rows, sums);
    } else if (!down) {
        pass_horizontal(out->pixels, in->pixels, height, in->width, width, &columns);
    } else if (vertical_first) {
        if (!vitc_size_mul3(in->width, height, 3, &between_bytes) ||
            (between = malloc(between_bytes)) == NULL)
            goto cleanup;
        pass_vertical(between, in->pixels, 0, in->width, height, &rows, sums);
        pass_horizontal(out->pixels, between, height, in->width, width, &columns);
    } else {
        /* only the rows that the vertical pass will read */
        const uint32_t top = rows.first[0];
        const uint32_t bottom = rows.first[height - 1] + rows.count[height - 1];
        if (!vitc_size_mul3(width, bottom - top, 3, &between_bytes) ||
            (between = malloc(between_bytes)) == NULL)
            goto cleanup;
        pass_horizontal(between, in->pixels + (size_t)top * in->width * 3, bottom - top, in->width,
                        width, &columns);
        pass_vertical(out->pixels, between, top, width, height, &rows, sums);
    }
    status = VITC_OK;

cleanup:
    axis_free(&columns);
    axis_free(&rows);
    free(between);
    free(sums);
    if (status == VITC_OK) return VITC_OK;
    imgio_image_free(out);
    return vitc_fail_memory(log, "resizing");
}

/* ---- nearest: positions step by repeated addition, whose rounding decides ties as Pillow does
 * ---- */

static vitc_status pick_nearest(imgio_image *out, const imgio_image *in, uint32_t width,
                                uint32_t height, const vitc_log *log)
{
    VITC_TRY(imgio_image_create(out, width, height, log));
    const double step_x = (double)in->width / width, step_y = (double)in->height / height;
    uint32_t *columns = malloc(width * sizeof *columns);
    if (columns == NULL) {
        imgio_image_free(out);
        return vitc_fail_memory(log, "resizing");
    }
    double at = step_x * 0.5;
    for (uint32_t x = 0; x < width; x++, at += step_x)
        columns[x] = at < in->width ? (uint32_t)at : in->width - 1;
    uint8_t *to = out->pixels;
    at = step_y * 0.5;
    for (uint32_t y = 0; y < height; y++, at += step_y) {
        const size_t row = at < in->height ? (uint32_t)at : in->height - 1;
        const uint8_t *from = in->pixels + row * in->width * 3;
        for (uint32_t x = 0; x < width; x++, to += 3) memcpy(to, from + (size_t)columns[x] * 3, 3);
    }
    free(columns);
    return VITC_OK;
}

vitc_status imgio_resize(imgio_image *out, const imgio_image *in, uint32_t width, uint32_t height,
                         imgio_filter filter, imgio_pass_order order, const vitc_log *log)
{
    *out = (imgio_image){0};
    if (width == 0 || height == 0 || width > INT32_MAX || height > INT32_MAX ||
        imgio_filter_string(filter) == NULL || in->pixels == NULL)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "resize to %ux%u with filter %d", width, height,
                         (int)filter);
    if (width == in->width && height == in->height) {
        VITC_TRY(imgio_image_create(out, width, height, log));
        memcpy(out->pixels, in->pixels, (size_t)width * height * 3);
        return VITC_OK;
    }
    if (filter == IMGIO_NEAREST) return pick_nearest(out, in, width, height, log);
    return resample(out, in, width, height, filter, order, log);
}
