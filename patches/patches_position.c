#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "patches.h"
#include "vitc_log.h"
#include "vitc_size.h"

const char *patches_position_string(patches_position_kind kind)
{
    static const char *const names[PATCHES_POSITION_KIND_COUNT] = {
        [PATCHES_POSITION_NONE] = "none",
        [PATCHES_POSITION_LEARNED_1D] = "learned-1d",
        [PATCHES_POSITION_LEARNED_2D] = "learned-2d",
        [PATCHES_POSITION_FACTORIZED] = "factorized-sum",
        [PATCHES_POSITION_SINCOS_2D] = "sincos-2d",
        [PATCHES_POSITION_RELATIVE] = "relative",
        [PATCHES_POSITION_ROPE_2D] = "rope-2d"};
    return (unsigned)kind < PATCHES_POSITION_KIND_COUNT ? names[kind] : NULL;
}

const char *patches_position_op_string(patches_position_op op)
{
    static const char *const names[PATCHES_POSITION_OP_COUNT] = {"add", "mul"};
    return (unsigned)op < PATCHES_POSITION_OP_COUNT ? names[op] : NULL;
}

const char *patches_position_at_string(patches_position_at at)
{
    static const char *const names[PATCHES_POSITION_AT_COUNT] = {"stem", "every", "every-shared"};
    return (unsigned)at < PATCHES_POSITION_AT_COUNT ? names[at] : NULL;
}

bool patches_position_has_table(patches_position_kind kind)
{
    return kind == PATCHES_POSITION_LEARNED_1D || kind == PATCHES_POSITION_SINCOS_2D ||
           patches_position_has_axes(kind);
}

bool patches_position_has_axes(patches_position_kind kind)
{
    return kind == PATCHES_POSITION_LEARNED_2D || kind == PATCHES_POSITION_FACTORIZED;
}

/* ---- tables made of others ---- */

static void fill_sincos(float *table, uint32_t grid_height, uint32_t grid_width, size_t width)
{
    const size_t quarter = width / 4;
    for (uint32_t y = 0; y < grid_height; y++)
        for (uint32_t x = 0; x < grid_width; x++, table += width)
            for (size_t k = 0; k < quarter; k++) {
                const double w = pow(10000, -(double)k / (double)quarter);
                table[k] = (float)sin(x * w);
                table[quarter + k] = (float)cos(x * w);
                table[2 * quarter + k] = (float)sin(y * w);
                table[3 * quarter + k] = (float)cos(y * w);
            }
}

void patches_position_fill(float *table, const patches_position *position, const float *rows,
                           const float *columns)
{
    const uint32_t height = position->grid_height, width = position->grid_width;
    const size_t d = position->width, half = d / 2;
    if (position->kind == PATCHES_POSITION_SINCOS_2D) fill_sincos(table, height, width, d);
    if (!patches_position_has_axes(position->kind)) return;
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++, table += d) {
            if (position->kind == PATCHES_POSITION_LEARNED_2D) {
                memcpy(table, columns + x * half, half * sizeof *table);
                memcpy(table + half, rows + y * half, half * sizeof *table);
            } else {
                for (size_t i = 0; i < d; i++) table[i] = rows[y * d + i] + columns[x * d + i];
            }
        }
}

void patches_position_fill_backward(float *drows, float *dcolumns, const float *dtable,
                                    const patches_position *position)
{
    if (!patches_position_has_axes(position->kind)) return;
    const bool halves = position->kind == PATCHES_POSITION_LEARNED_2D;
    const size_t d = position->width, part = halves ? d / 2 : d;
    for (uint32_t y = 0; y < position->grid_height; y++)
        for (uint32_t x = 0; x < position->grid_width; x++, dtable += d)
            for (size_t i = 0; i < part; i++) {
                dcolumns[x * part + i] += dtable[i];
                drows[y * part + i] += dtable[halves ? part + i : i];
            }
}

/* ---- a table and the tokens ---- */

/* The slot of token n; SIZE_MAX: it has none. */
static size_t find_slot(uint32_t n, const patches_position *position, uint32_t prefix_tokens)
{
    if (!patches_position_has_table(position->kind)) return SIZE_MAX;
    if (n < prefix_tokens) return n < position->prefix ? n : SIZE_MAX;
    return (size_t)position->prefix + (n - prefix_tokens);
}

void patches_position_apply_token(float *token, uint32_t n, const patches_position *position,
                                  uint32_t prefix_tokens)
{
    const size_t slot = find_slot(n, position, prefix_tokens), width = position->width;
    if (slot == SIZE_MAX) return;
    const float *p = position->table + slot * width;
    if (position->op == PATCHES_POSITION_ADD)
        for (size_t d = 0; d < width; d++) token[d] += p[d];
    else
        for (size_t d = 0; d < width; d++) token[d] *= 1 + p[d];
}

void patches_position_apply(float *tokens, size_t token_stride, const patches_position *position,
                            uint32_t prefix_tokens)
{
    const uint32_t count = prefix_tokens + position->grid_height * position->grid_width;
    if (!patches_position_has_table(position->kind)) return;
    for (uint32_t n = 0; n < count; n++)
        patches_position_apply_token(tokens + n * token_stride, n, position, prefix_tokens);
}

void patches_position_backward_token(float *dy, float *dtable, const float *x, uint32_t n,
                                     const patches_position *position, uint32_t prefix_tokens)
{
    const size_t slot = find_slot(n, position, prefix_tokens), width = position->width;
    if (slot == SIZE_MAX) return;
    float *dp = dtable + slot * width;
    if (position->op == PATCHES_POSITION_ADD) {
        for (size_t d = 0; d < width; d++) dp[d] += dy[d];
        return;
    }
    const float *p = position->table + slot * width;
    for (size_t d = 0; d < width; d++) {
        dp[d] += dy[d] * x[d];
        dy[d] *= 1 + p[d];
    }
}

/* ---- another grid ---- */

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

vitc_status patches_position_resize(float *out, uint32_t grid_height, uint32_t grid_width,
                                    const patches_position *position,
                                    patches_position_filter filter, const vitc_log *log)
{
    const size_t width = position->width, prefix = position->prefix * width;
    const float *rows = position->table + prefix;
    kernel k;
    if (!patches_position_has_table(position->kind) || !find_kernel(&k, filter) ||
        grid_height == 0 || grid_width == 0 || position->grid_height == 0 ||
        position->grid_width == 0 || width == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "patches_position_resize: cannot resample a %s table of %ux%u to %ux%u "
                         "with filter %d",
                         patches_position_string(position->kind), position->grid_height,
                         position->grid_width, grid_height, grid_width, (int)filter);
    memcpy(out, position->table, prefix * sizeof *out);
    out += prefix;
    if (grid_height == position->grid_height && grid_width == position->grid_width) {
        memcpy(out, rows, (size_t)grid_height * grid_width * width * sizeof *out);
        return VITC_OK;
    }
    axis down = {0}, across = {0};
    double *sum = calloc(width, sizeof *sum);
    vitc_status status = VITC_OK;
    if (sum == NULL) status = vitc_fail_memory(log, "resampling of positions");
    if (status == VITC_OK) status = axis_create(&down, position->grid_height, grid_height, &k, log);
    if (status == VITC_OK) status = axis_create(&across, position->grid_width, grid_width, &k, log);
    for (uint32_t y = 0; status == VITC_OK && y < grid_height; y++)
        for (uint32_t x = 0; x < grid_width; x++) {
            resample_slot(sum, &down, y, &across, x, rows, position->grid_width, width);
            for (size_t d = 0; d < width; d++) *out++ = (float)sum[d];
        }
    axis_free(&down);
    axis_free(&across);
    free(sum);
    return status;
}
