/* Learned positions on another grid: separable resampling, each axis with weights of its own. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "patches.h"
#include "vitc_log.h"
#include "vitc_size.h"

typedef struct kernel {
    double radius;
    double a; /* of the cubic */
    bool antialias, corners;
} kernel;

static bool find_kernel(kernel *found, patches_position_filter filter)
{
    switch (filter) {
    case PATCHES_POSITION_FILTER_DEFAULT:
    case PATCHES_POSITION_BICUBIC_ANTIALIAS:
        *found = (kernel){.radius = 2, .a = -0.5, .antialias = true};
        return true;
    case PATCHES_POSITION_BICUBIC:
        *found = (kernel){.radius = 2, .a = -0.75};
        return true;
    case PATCHES_POSITION_BILINEAR_ANTIALIAS:
        *found = (kernel){.radius = 1, .antialias = true};
        return true;
    case PATCHES_POSITION_BILINEAR:
        *found = (kernel){.radius = 1};
        return true;
    case PATCHES_POSITION_BILINEAR_CORNERS:
        *found = (kernel){.radius = 1, .corners = true};
        return true;
    case PATCHES_POSITION_FILTER_COUNT:
        break;
    }
    return false;
}

/* The triangle, or Keys' cubic convolution (1981) with its parameter a. */
static double kernel_at(const kernel *k, double t)
{
    t = fabs(t);
    if (t >= k->radius) return 0;
    if (k->radius == 1) return 1 - t;
    return t <= 1 ? ((k->a + 2) * t - (k->a + 3)) * t * t + 1
                  : ((t - 5) * t + 8) * k->a * t - 4 * k->a;
}

/* What each slot of a new axis is made of: slots first[o] .. first[o] + count[o] - 1 of the old one
 * with the weights at o * stride. */
typedef struct axis {
    uint32_t *first, *count; /* per new slot */
    double *weights;
    size_t stride;
} axis;

static void axis_free(axis *a)
{
    free(a->first);
    free(a->count);
    free(a->weights);
}

static uint32_t clamp(int64_t j, int64_t last)
{
    return (uint32_t)(j < 0 ? 0 : j > last ? last : j);
}

static void weigh(axis *a, uint32_t o, uint32_t old, uint32_t new, const kernel *k)
{
    const double scale = (double)old / new;
    const double stretch = k->antialias && scale > 1 ? scale : 1;
    const double s = !k->corners ? (o + 0.5) * scale - 0.5
                     : new > 1   ? (double)o *(old - 1) / (new - 1)
                                 : 0;
    const int64_t last = (int64_t)old - 1;
    const int64_t from = (int64_t)ceil(s - k->radius * stretch);
    const int64_t to = (int64_t)floor(s + k->radius * stretch);
    const uint32_t first = clamp(from, last);
    double *weights = a->weights + o * a->stride, sum = 0;
    a->first[o] = first;
    a->count[o] = clamp(to, last) - first + 1;
    for (int64_t j = from; j <= to; j++) {
        if (k->antialias && (j < 0 || j > last)) continue;
        const double weight = kernel_at(k, ((double)j - s) / stretch);
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): no axis is without slots */
        weights[clamp(j, last) - first] += weight;
        sum += weight;
    }
    for (uint32_t i = 0; k->antialias && i < a->count[o]; i++) weights[i] /= sum;
}

static vitc_status axis_create(axis *a, uint32_t old, uint32_t new, const kernel *k,
                               const vitc_log *log)
{
    /* Slots within the radius on both sides, and never more than there are. */
    const double reach = k->radius * (k->antialias && old > new ? (double)old / new : 1);
    const double taps = fmin(2 * ceil(reach) + 1, old);
    size_t count;
    *a = (axis){.first = calloc(new, sizeof *a->first),
                .count = calloc(new, sizeof *a->count),
                .stride = (size_t)taps};
    if (vitc_size_mul(a->stride, new, &count)) a->weights = calloc(count, sizeof(double));
    if (a->first == NULL || a->count == NULL || a->weights == NULL)
        return vitc_fail_memory(log, "resampling of positions");
    for (uint32_t o = 0; o < new; o++) weigh(a, o, old, new, k);
    return VITC_OK;
}

/* One slot of the new grid, in sum[width]. */
static void resample_slot(double *sum, const axis *down, uint32_t y, const axis *across, uint32_t x,
                          const float *rows, uint32_t grid_width, size_t width)
{
    memset(sum, 0, width * sizeof *sum);
    for (uint32_t i = 0; i < down->count[y]; i++)
        for (uint32_t j = 0; j < across->count[x]; j++) {
            const double weight =
                down->weights[y * down->stride + i] * across->weights[x * across->stride + j];
            const size_t slot = (size_t)(down->first[y] + i) * grid_width + across->first[x] + j;
            for (size_t d = 0; d < width; d++) sum[d] += weight * (double)rows[slot * width + d];
        }
}

typedef struct grid {
    uint32_t height, width;
} grid;

static bool is_empty(grid g)
{
    return g.height == 0 || g.width == 0;
}

/* rows [from, width] to out [to, width], slots row by row. */
static vitc_status resample(float *out, grid to, const float *rows, grid from, size_t width,
                            patches_position_filter filter, const vitc_log *log)
{
    kernel k;
    if (!find_kernel(&k, filter) || is_empty(to) || is_empty(from) || width == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "positions of %ux%u cannot be resampled to %ux%u with filter %d",
                         from.height, from.width, to.height, to.width, (int)filter);
    if (to.height == from.height && to.width == from.width) {
        memcpy(out, rows, (size_t)to.height * to.width * width * sizeof *out);
        return VITC_OK;
    }
    axis down = {0}, across = {0};
    double *sum = calloc(width, sizeof *sum);
    vitc_status status = VITC_OK;
    if (sum == NULL) status = vitc_fail_memory(log, "resampling of positions");
    if (status == VITC_OK) status = axis_create(&down, from.height, to.height, &k, log);
    if (status == VITC_OK) status = axis_create(&across, from.width, to.width, &k, log);
    for (uint32_t y = 0; status == VITC_OK && y < to.height; y++)
        for (uint32_t x = 0; x < to.width; x++) {
            resample_slot(sum, &down, y, &across, x, rows, from.width, width);
            for (size_t d = 0; d < width; d++) *out++ = (float)sum[d];
        }
    axis_free(&down);
    axis_free(&across);
    free(sum);
    return status;
}

vitc_status patches_position_resize(float *out, uint32_t grid_height, uint32_t grid_width,
                                    const patches_position *position,
                                    patches_position_filter filter, const vitc_log *log)
{
    const size_t prefix = (size_t)position->prefix * position->width;
    const grid to = {grid_height, grid_width};
    const grid from = {position->grid_height, position->grid_width};
    if (position->kind != PATCHES_POSITION_LEARNED_1D) {
        const char *name = patches_position_string(position->kind);
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "%s positions have no learned table of %ux%u to resample: what they have "
                         "learned is resampled axis by axis or by offsets, the rest is made anew",
                         name != NULL ? name : "unknown", from.height, from.width);
    }
    VITC_TRY(
        resample(out + prefix, to, position->table + prefix, from, position->width, filter, log));
    memcpy(out, position->table, prefix * sizeof *out);
    return VITC_OK;
}

vitc_status patches_position_resize_axis(float *out, uint32_t length, const float *table,
                                         uint32_t stored_length, uint32_t width,
                                         patches_position_filter filter, const vitc_log *log)
{
    const grid to = {length, 1}, from = {stored_length, 1};
    return resample(out, to, table, from, width, filter, log);
}

vitc_status patches_relative_resize(float *out, uint32_t grid_height, uint32_t grid_width,
                                    const float *table, const patches_relative *relative,
                                    patches_position_filter filter, const vitc_log *log)
{
    if (grid_height == 0 || grid_width == 0 || relative->grid_height == 0 ||
        relative->grid_width == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "relative positions of %ux%u cannot be resampled to %ux%u",
                         relative->grid_height, relative->grid_width, grid_height, grid_width);
    const grid to = {2 * grid_height - 1, 2 * grid_width - 1};
    const grid from = {2 * relative->grid_height - 1, 2 * relative->grid_width - 1};
    const size_t stored = (size_t)from.height * from.width;
    const size_t special = patches_relative_rows(relative) - stored;
    VITC_TRY(resample(out, to, table, from, relative->heads, filter, log));
    memcpy(out + (size_t)to.height * to.width * relative->heads, table + stored * relative->heads,
           special * relative->heads * sizeof *out);
    return VITC_OK;
}
