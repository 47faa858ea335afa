/* Two-pass resampling in 22-bit fixed point, equal to Pillow's for 8-bit images: the filters, the
 * weights, and the order of the passes. The passes themselves are in imgio_resize_*.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "imgio_private.h"
#include "imgio_resize.h"
#include "vitc_cpu.h"
#include "vitc_memory.h"
#include "vitc_size.h"

#define SIDE_MAX INT32_MAX /* Pillow counts pixels in int */

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

/* ---- the rows of kernels ---- */

/* Best first. */
static const imgio_resizer *const resizers[] = {
#if defined(__x86_64__)
    &imgio_resizer_avx512,
    &imgio_resizer_avx2,
#endif
    &imgio_resizer_generic,
    NULL,
};

const imgio_resizer *imgio_resizer_at(size_t index, bool *runs_here)
{
    for (size_t i = 0; resizers[i] != NULL; i++) {
        if (i != index) continue;
        *runs_here = (resizers[i]->cpu & ~vitc_cpu_features()) == 0;
        return resizers[i];
    }
    return NULL;
}

const imgio_resizer *imgio_resizer_select(void)
{
    const uint32_t features = vitc_cpu_features_allowed();
    for (size_t i = 0; resizers[i] != NULL; i++)
        if ((resizers[i]->cpu & ~features) == 0) return resizers[i];
    return &imgio_resizer_generic;
}

/* ---- one axis: which inputs make each output, and with what weights ---- */

/* Inputs on either side of an output's centre. */
static double reach_of(uint32_t in, uint32_t out, const filter_row *filter)
{
    const double scale = (double)in / out;
    return filter->support * (scale < 1.0 ? 1.0 : scale);
}

/* The most inputs that an output can have. */
static size_t taps_of(uint32_t in, uint32_t out, const filter_row *filter)
{
    const double taps = ceil(reach_of(in, out, filter)) * 2 + 1;
    return taps < in ? (size_t)taps : in;
}

/* The weights of one output, from *first on. */
static uint32_t weigh_exactly(double *weights, uint32_t *first, uint32_t in, uint32_t out,
                              uint32_t o, const filter_row *filter)
{
    const double scale = (double)in / out, support = reach_of(in, out, filter);
    const double centre = (o + 0.5) * scale, inverse = 1.0 / (scale < 1.0 ? 1.0 : scale);
    double low = centre - support + 0.5, high = centre + support + 0.5;
    if (low < 0) low = 0;
    if (high > in) high = in;
    *first = (uint32_t)low;
    const uint32_t count = (uint32_t)high - *first;
    double sum = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        weights[i] = filter->weight((i + *first - centre + 0.5) * inverse);
        sum += weights[i];
    }
    for (uint32_t i = 0; sum != 0.0 && i < count; i++) weights[i] /= sum;
    return count;
}

/* The same in fixed point. `row` holds as many doubles as `weights` integers. */
static uint32_t weigh(int32_t *weights, double *row, uint32_t *first, const imgio_axis *a,
                      uint32_t o, const filter_row *filter)
{
    const uint32_t count = weigh_exactly(row, first, a->in, a->out, o, filter);
    for (uint32_t i = 0; i < count; i++) {
        const double weight = row[i] * (1 << IMGIO_RESIZE_PRECISION);
        weights[i] = (int32_t)(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    return count;
}

/* Lays `count` weights out as the kernels read them (imgio_resize.h), the first at place `lead` of
 * its group, and returns how many groups that makes. */
static uint32_t pack_weights(uint32_t *packed, const int32_t *weights, uint32_t count,
                             uint32_t lead, const imgio_resizer *resizer)
{
    const uint32_t group = resizer->group, digits = resizer->digits, bits = 32 / group;
    const uint32_t groups = (uint32_t)vitc_size_divide_up((size_t)lead + count, group);
    const int32_t half = group > 1 ? 1 << (bits - 1) : 0;
    const uint32_t mask = UINT32_MAX >> (32 - bits);
    memset(packed, 0, (size_t)groups * digits * sizeof *packed);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t place = lead + i, shift = place % group * bits;
        uint32_t *to = packed + (size_t)(place / group) * digits;
        int32_t rest = weights[i];
        to[0] |= ((uint32_t)rest & mask) << shift;
        for (uint32_t d = 1; d < digits; d++) {
            rest = (rest + half) >> bits; /* the digit below, being signed, took the rounding */
            to[d] |= ((uint32_t)rest & mask) << shift;
        }
    }
    return groups;
}

/* An axis and its place in the arena of a resize. */
typedef struct axis_plan {
    imgio_axis axis;
    size_t weights, first, groups; /* offsets */
} axis_plan;

static axis_plan plan_axis(vitc_arena *arena, uint32_t in, uint32_t out, const filter_row *filter,
                           const imgio_resizer *resizer)
{
    axis_plan plan = {.axis = {.in = in, .out = out}};
    const size_t taps = taps_of(in, out, filter) + resizer->group - 1; /* with a leading gap */
    plan.axis.stride = vitc_size_divide_up(taps, resizer->group) * resizer->digits;
    size_t weights = 0;
    if (!vitc_size_mul(out, plan.axis.stride, &weights)) arena->overflow = true;
    plan.weights = vitc_arena_reserve_array(arena, weights, sizeof *plan.axis.weights);
    plan.first = vitc_arena_reserve_array(arena, out, sizeof *plan.axis.first);
    plan.groups = vitc_arena_reserve_array(arena, out, sizeof *plan.axis.groups);
    return plan;
}

/* `aligned`: outputs begin at a multiple of the group. */
static imgio_axis fill_axis(const axis_plan *plan, const vitc_arena *arena, bool aligned,
                            int32_t *weights, double *row, const filter_row *filter,
                            const imgio_resizer *resizer)
{
    imgio_axis a = plan->axis;
    a.weights = vitc_arena_at(arena, plan->weights);
    a.first = vitc_arena_at(arena, plan->first);
    a.groups = vitc_arena_at(arena, plan->groups);
    for (uint32_t o = 0; o < a.out; o++) {
        uint32_t first;
        const uint32_t count = weigh(weights, row, &first, &a, o, filter);
        const uint32_t lead = aligned ? first % resizer->group : 0;
        a.first[o] = first - lead;
        a.groups[o] = pack_weights(a.weights + o * a.stride, weights, count, lead, resizer);
        if (o == 0) a.begin = first;
        if (first + count > a.end) a.end = first + count;
    }
    return a;
}

/* ---- the passes ---- */

static bool vertical_first(const imgio_image *in, uint32_t width, uint32_t height,
                           imgio_pass_order order)
{
    if (height >= in->height) return false;
    if (order == IMGIO_ORDER_PILLOW12) return in->height > (uint64_t)in->width * 100;
    return (int64_t)in->height - height > 2 * ((int64_t)in->width - width);
}

/* What a resize works with, all in one arena. Between the passes it holds only as many rows as
 * fit in the cache: `band`. */
typedef struct resample {
    const imgio_resizer *resizer;
    imgio_axis across, down;
    void *scratch;
    uint8_t *band;
    size_t band_rows;
} resample;

enum { STEP = 16 }; /* rows that the first pass makes at a time */

static void columns_then_rows(const resample *r, uint8_t *out, const imgio_image *in)
{
    const imgio_axis *down = &r->down;
    const size_t in_stride = (size_t)in->width * 3, stride = (size_t)r->across.out * 3;
    uint32_t begin = down->begin, end = begin; /* the rows in the band */
    for (uint32_t y = 0; y < down->out; y++, out += stride) {
        const size_t reach = down->first[y] + (size_t)down->groups[y] * r->resizer->group;
        /* rounding may leave a row between two boxes, which nothing needs */
        if (end < down->first[y]) begin = end = down->first[y];
        while (end < vitc_size_min(reach, down->end)) {
            const uint32_t rows = (uint32_t)vitc_size_min(STEP, down->end - end);
            if (end - begin + rows > r->band_rows) {
                memmove(r->band, r->band + (down->first[y] - begin) * stride,
                        (end - down->first[y]) * stride);
                begin = down->first[y];
            }
            r->resizer->columns(r->band + (end - begin) * stride, in->pixels + end * in_stride,
                                rows, &r->across, r->scratch);
            end += rows;
        }
        r->resizer->row(out, r->band, stride, begin, down, y);
    }
}

static void rows_then_columns(const resample *r, uint8_t *out, const imgio_image *in)
{
    const size_t in_stride = (size_t)in->width * 3, stride = (size_t)r->across.out * 3;
    for (uint32_t y = 0; y < r->down.out; y += STEP) {
        const uint32_t rows = (uint32_t)vitc_size_min(STEP, r->down.out - y);
        for (uint32_t i = 0; i < rows; i++)
            r->resizer->row(r->band + i * in_stride, in->pixels, in_stride, 0, &r->down, y + i);
        r->resizer->columns(out + y * stride, r->band, rows, &r->across, r->scratch);
    }
}

static void rows_only(const resample *r, uint8_t *out, const imgio_image *in)
{
    const size_t stride = (size_t)in->width * 3;
    for (uint32_t y = 0; y < r->down.out; y++, out += stride)
        r->resizer->row(out, in->pixels, stride, 0, &r->down, y);
}

static vitc_status resize_smooth(imgio_image *out, const imgio_image *in, const filter_row *filter,
                                 bool rows_first, const imgio_resizer *resizer, const vitc_log *log)
{
    resample r = {.resizer = resizer};
    vitc_arena arena = {0};
    const axis_plan across = plan_axis(&arena, in->width, out->width, filter, resizer);
    const axis_plan down = plan_axis(&arena, in->height, out->height, filter, resizer);
    const size_t down_taps = taps_of(in->height, out->height, filter);
    const size_t taps = vitc_size_max(taps_of(in->width, out->width, filter), down_taps);
    const size_t weights = vitc_arena_reserve_array(&arena, taps, sizeof(int32_t));
    const size_t doubles = vitc_arena_reserve_array(&arena, taps, sizeof(double));
    const size_t scratch = vitc_arena_reserve_array(&arena, vitc_size_divide_up(in->width, 4),
                                                    resizer->scratch_per_4_pixels);
    r.band_rows = rows_first ? STEP : vitc_size_round_up(down_taps, resizer->group) + STEP;
    const size_t band = vitc_arena_reserve_array(&arena, r.band_rows,
                                                 (size_t)(rows_first ? in->width : out->width) * 3);
    if (!vitc_arena_allocate(&arena))
        return vitc_fail(
            log, VITC_ERR_MEMORY, "out of memory for resizing %u x %u to %u x %u pixels",
            (unsigned)in->width, (unsigned)in->height, (unsigned)out->width, (unsigned)out->height);
    int32_t *row = vitc_arena_at(&arena, weights);
    double *exact = vitc_arena_at(&arena, doubles);
    r.across = fill_axis(&across, &arena, true, row, exact, filter, resizer);
    r.down = fill_axis(&down, &arena, false, row, exact, filter, resizer);
    r.scratch = vitc_arena_at(&arena, scratch);
    r.band = vitc_arena_at(&arena, band);
    if (in->width == out->width)
        rows_only(&r, out->pixels, in);
    else if (in->height == out->height)
        resizer->columns(out->pixels, in->pixels, in->height, &r.across, r.scratch);
    else if (rows_first)
        rows_then_columns(&r, out->pixels, in);
    else
        columns_then_rows(&r, out->pixels, in);
    vitc_arena_free(&arena);
    return VITC_OK;
}

/* The input index of an output by nearest, and the place of the next. Pillow adds the scale up
 * instead of multiplying, and the rounding of the sums decides the ties. */
static uint32_t nearest_position(double *at, uint32_t in, uint32_t out)
{
    const uint32_t position = *at < in ? (uint32_t)*at : in - 1;
    *at += (double)in / out;
    return position;
}

static double nearest_start(uint32_t in, uint32_t out)
{
    return (double)in / out * 0.5;
}

/* The input index of every output. */
static uint32_t *nearest_positions(uint32_t in, uint32_t out)
{
    uint32_t *positions = malloc((size_t)out * sizeof *positions);
    if (positions == NULL) return NULL;
    double at = nearest_start(in, out);
    for (uint32_t o = 0; o < out; o++) positions[o] = nearest_position(&at, in, out);
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
    return imgio_resize_by(imgio_resizer_select(), out, in, width, height, filter, order, log);
}

vitc_status imgio_resize_by(const imgio_resizer *resizer, imgio_image *out, const imgio_image *in,
                            uint32_t width, uint32_t height, imgio_filter filter,
                            imgio_pass_order order, const vitc_log *log)
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
        status = resize_smooth(out, in, &filters[filter], vertical_first(in, width, height, order),
                               resizer, log);
    if (status != VITC_OK) imgio_image_free(out);
    return status;
}

/* ---- the weights for others ---- */

size_t imgio_resize_taps(uint32_t in, uint32_t out, imgio_filter filter)
{
    return filter == IMGIO_NEAREST ? 1 : taps_of(in, out, &filters[filter]);
}

uint32_t imgio_resize_weights(double *weights, uint32_t *first, uint32_t in, uint32_t out,
                              uint32_t o, imgio_filter filter)
{
    if (filter != IMGIO_NEAREST) return weigh_exactly(weights, first, in, out, o, &filters[filter]);
    double at = nearest_start(in, out);
    for (uint32_t i = 0; i <= o; i++) *first = nearest_position(&at, in, out);
    weights[0] = 1;
    return 1;
}
