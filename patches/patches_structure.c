/* What a table of positions holds of the grid: similarity of its rows, and numbers made of it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "patches.h"
#include "vitc_log.h"
#include "vitc_random.h"
#include "vitc_size.h"

/* Inner products of all patches' rows, and their cosines: [n, n] each. */
typedef struct products {
    uint32_t height, width; /* of the grid */
    size_t n;
    double *gram, *cosines;
    double mean, variance; /* of the cosines of two different patches: sum of (cosine - mean)^2 */
} products;

static void products_free(products *s)
{
    free(s->gram);
    free(s->cosines);
}

static vitc_status check_table(const patches_position *position, const char *function,
                               const vitc_log *log)
{
    if (patches_position_has_table(position->kind) && position->table != NULL &&
        position->grid_height > 0 && position->grid_width > 0 && position->width > 0)
        return VITC_OK;
    return vitc_fail(log, VITC_ERR_ARGUMENT, "%s: there is no table of positions", function);
}

/* The patches' rows in double, less their mean where `centred`; NULL without memory. The mean of
 * rows that are all the same is exactly that row. */
static double *copy_rows(const patches_position *position, size_t n, bool centred)
{
    const size_t width = position->width;
    const float *table = position->table + position->prefix * width;
    size_t count, size;
    if (!vitc_size_mul(n, width, &count) || !vitc_size_mul(count, sizeof(double), &size))
        return NULL;
    double *rows = malloc(size);
    if (rows == NULL) return NULL;
    for (size_t i = 0; i < count; i++) rows[i] = (double)table[i];
    for (size_t d = 0; d < width && centred; d++) {
        double mean = 0;
        for (size_t p = 0; p < n; p++) mean += rows[p * width + d];
        mean /= (double)n;
        for (size_t p = 0; p < n; p++) rows[p * width + d] -= mean;
    }
    return rows;
}

static double multiply(const double *a, const double *b, size_t width)
{
    double sum = 0;
    for (size_t d = 0; d < width; d++) sum += a[d] * b[d];
    return sum;
}

static vitc_status make_gram(double *gram, const patches_position *position, size_t n, bool centred,
                             const vitc_log *log)
{
    double *rows = copy_rows(position, n, centred);
    if (rows == NULL) return vitc_fail_memory(log, "a table of positions");
    for (size_t p = 0; p < n; p++)
        for (size_t q = 0; q <= p; q++) {
            const double *a = rows + p * position->width, *b = rows + q * position->width;
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): no table is empty (check_table) */
            gram[p * n + q] = gram[q * n + p] = multiply(a, b, position->width);
        }
    free(rows);
    return VITC_OK;
}

/* `cosines` may be `gram`: the diagonal, which all others need, is turned last. */
static void make_cosines(double *cosines, const double *gram, size_t n)
{
    for (size_t p = 0; p < n; p++)
        for (size_t q = 0; q < n; q++) {
            const double norms = sqrt(gram[p * n + p]) * sqrt(gram[q * n + q]);
            if (p != q) cosines[p * n + q] = norms > 0 ? gram[p * n + q] / norms : 0;
        }
    for (size_t p = 0; p < n; p++) cosines[p * n + p] = gram[p * n + p] > 0 ? 1 : 0;
}

vitc_status patches_position_similarity(double *cosines, const patches_position *position,
                                        bool centred, const vitc_log *log)
{
    VITC_TRY(check_table(position, "patches_position_similarity", log));
    const size_t n = (size_t)position->grid_height * position->grid_width;
    VITC_TRY(make_gram(cosines, position, n, centred, log));
    make_cosines(cosines, cosines, n);
    return VITC_OK;
}

static void measure_pairs(products *s)
{
    double sum = 0;
    for (size_t p = 0; p < s->n; p++)
        for (size_t q = 0; q < s->n; q++)
            if (p != q) sum += s->cosines[p * s->n + q];
    s->mean = s->n > 1 ? sum / ((double)s->n * (double)(s->n - 1)) : 0;
    for (size_t p = 0; p < s->n; p++)
        for (size_t q = 0; q < s->n; q++) {
            const double from_mean = p != q ? s->cosines[p * s->n + q] - s->mean : 0;
            s->variance += from_mean * from_mean;
        }
}

static vitc_status products_create(products *s, const patches_position *position,
                                   const vitc_log *log)
{
    size_t size;
    *s = (products){.height = position->grid_height, .width = position->grid_width};
    s->n = (size_t)s->height * s->width;
    if (vitc_size_mul3(s->n, s->n, sizeof(double), &size)) {
        s->gram = malloc(size);
        s->cosines = malloc(size);
    }
    if (s->gram == NULL || s->cosines == NULL)
        return vitc_fail_memory(log, "the similarity of positions");
    VITC_TRY(make_gram(s->gram, position, s->n, true, log));
    make_cosines(s->cosines, s->gram, s->n);
    measure_pairs(s);
    return VITC_OK;
}

/* ---- the numbers ---- */

/* Sums by offset: bin (dy + Gh - 1)(2 Gw - 1) + dx + Gw - 1, and by the offset's squared length. */
typedef struct bins {
    double *sum, *radial_sum;
    double *count, *radial_count;
    size_t size, radial_size;
} bins;

static void bins_free(bins *b)
{
    free(b->sum);
    free(b->count);
    free(b->radial_sum);
    free(b->radial_count);
}

static vitc_status bins_create(bins *b, const products *s, const vitc_log *log)
{
    const size_t height = s->height, width = s->width;
    *b = (bins){.size = (2 * height - 1) * (2 * width - 1),
                .radial_size = (height - 1) * (height - 1) + (width - 1) * (width - 1) + 1};
    b->sum = calloc(b->size, sizeof *b->sum);
    b->count = calloc(b->size, sizeof *b->count);
    b->radial_sum = calloc(b->radial_size, sizeof *b->radial_sum);
    b->radial_count = calloc(b->radial_size, sizeof *b->radial_count);
    return b->sum != NULL && b->count != NULL && b->radial_sum != NULL && b->radial_count != NULL
               ? VITC_OK
               : vitc_fail_memory(log, "the offsets of positions");
}

/* Slot p of the grid has row order[p]. Pairs of a patch with itself, the bin of (0, 0), are left
 * out. */
static void fill_bins(bins *b, const products *s, const uint32_t *order)
{
    const size_t across = 2 * (size_t)s->width - 1;
    memset(b->sum, 0, b->size * sizeof *b->sum);
    memset(b->count, 0, b->size * sizeof *b->count);
    for (size_t p = 0; p < s->n; p++) {
        const double *cosines = s->cosines + order[p] * s->n;
        const size_t y = p / s->width, x = p % s->width;
        for (size_t q = 0, v = 0; v < s->height; v++) {
            const size_t first = (v + s->height - 1 - y) * across + s->width - 1 - x;
            for (size_t u = 0; u < s->width; u++, q++) {
                b->sum[first + u] += cosines[order[q]];
                b->count[first + u]++;
            }
        }
    }
    const size_t centre = b->size / 2;
    b->sum[centre] = b->count[centre] = 0;
    memset(b->radial_sum, 0, b->radial_size * sizeof *b->radial_sum);
    memset(b->radial_count, 0, b->radial_size * sizeof *b->radial_count);
    for (size_t i = 0; i < b->size; i++) {
        const int64_t dy = (int64_t)(i / across) - ((int64_t)s->height - 1);
        const int64_t dx = (int64_t)(i % across) - ((int64_t)s->width - 1);
        b->radial_sum[dy * dy + dx * dx] += b->sum[i];
        b->radial_count[dy * dy + dx * dx] += b->count[i];
    }
}

/* The part of the variance that lies between bins: sum n_b (mean_b - mean)^2. */
static double between(const double *sum, const double *count, size_t size, double mean)
{
    double all = 0;
    for (size_t i = 0; i < size; i++) {
        const double from_mean = count[i] > 0 ? sum[i] / count[i] - mean : 0;
        all += count[i] * from_mean * from_mean;
    }
    return all;
}

static double bin_mean(const bins *b, size_t bin)
{
    return b->sum[bin] / b->count[bin];
}

/* Shares of the trace: |sum over a row's patches|^2 / Gw, over rows, and the same of columns. */
static void measure_shares(patches_structure *out, const products *s, const uint32_t *order)
{
    double trace = 0, rows = 0, columns = 0;
    for (size_t p = 0; p < s->n; p++) {
        const double *with = s->gram + order[p] * s->n;
        const size_t y = p / s->width, x = p % s->width;
        trace += with[order[p]];
        for (size_t u = 0; u < s->width; u++) rows += with[order[y * s->width + u]];
        for (size_t v = 0; v < s->height; v++) columns += with[order[v * s->width + x]];
    }
    out->rows = rows / s->width / trace;
    out->columns = columns / s->height / trace;
    out->rest = 1 - out->rows - out->columns;
}

static void measure(patches_structure *out, const products *s, bins *b, const uint32_t *order)
{
    const size_t centre = b->size / 2, across = 2 * (size_t)s->width - 1;
    measure_shares(out, s, order);
    fill_bins(b, s, order);
    out->shift = between(b->sum, b->count, b->size, s->mean) / s->variance;
    out->radial = between(b->radial_sum, b->radial_count, b->radial_size, s->mean) / s->variance;
    out->anisotropy = s->width > 1 && s->height > 1
                          ? bin_mean(b, centre + 1) - bin_mean(b, centre + across)
                          : NAN;
}

static double effective_rank(const products *s)
{
    double trace = 0, squares = 0;
    for (size_t p = 0; p < s->n; p++) trace += s->gram[p * s->n + p];
    for (size_t i = 0; i < s->n * s->n; i++) squares += s->gram[i] * s->gram[i];
    return trace * trace / squares;
}

static bool is_flat(const products *s)
{
    for (size_t p = 0; p < s->n; p++)
        if (s->gram[p * s->n + p] > 0) return false;
    return true;
}

/* ---- shuffled tables ---- */

enum { NUMBERS = 7 };

static double *number(patches_structure *s, int i)
{
    double *const numbers[NUMBERS] = {&s->rows,   &s->columns,    &s->rest,          &s->shift,
                                      &s->radial, &s->anisotropy, &s->effective_rank};
    return numbers[i];
}

static int compare(const void *a, const void *b)
{
    const double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

/* Mean and limit of each number over the shuffled tables. */
static void summarize(patches_structure *chance, patches_structure *limit,
                      patches_structure *shuffled, double *values, uint32_t shuffles)
{
    for (int i = 0; i < NUMBERS; i++) {
        double sum = 0;
        for (uint32_t k = 0; k < shuffles; k++) {
            values[k] = *number(&shuffled[k], i);
            sum += values[k];
            if (number(&shuffled[k], i) == &shuffled[k].anisotropy) values[k] = fabs(values[k]);
        }
        qsort(values, shuffles, sizeof *values, compare);
        /* Of shuffles + 1 tables alike, fewer than 1 in 20 is beyond this one. */
        const uint32_t beyond = (shuffles + 1) / 20;
        *number(chance, i) = sum / shuffles;
        *number(limit, i) = values[shuffles - (beyond > 0 ? beyond : 1)];
    }
}

static vitc_status measure_shuffled(patches_structure *chance, patches_structure *limit,
                                    const products *s, bins *b, uint32_t *order, double rank,
                                    uint32_t shuffles, uint64_t seed, const vitc_log *log)
{
    patches_structure *shuffled = calloc(shuffles, sizeof *shuffled);
    double *values = calloc(shuffles, sizeof *values);
    vitc_status status = shuffled != NULL && values != NULL
                             ? VITC_OK
                             : vitc_fail_memory(log, "shuffled tables of positions");
    for (uint32_t k = 0; k < shuffles && status == VITC_OK; k++) {
        vitc_random random = vitc_random_start(seed, VITC_RANDOM_POSITION, 0, k);
        vitc_random_permutation(order, s->n, &random);
        measure(&shuffled[k], s, b, order);
        shuffled[k].effective_rank = rank; /* which no order changes */
    }
    if (status == VITC_OK) summarize(chance, limit, shuffled, values, shuffles);
    free(shuffled);
    free(values);
    return status;
}

static vitc_status measure_all(patches_structure *structure, patches_structure *chance,
                               patches_structure *limit, const products *s, uint32_t shuffles,
                               uint64_t seed, const vitc_log *log)
{
    bins b = {0};
    uint32_t *order = calloc(s->n, sizeof *order);
    vitc_status status =
        order != NULL ? bins_create(&b, s, log) : vitc_fail_memory(log, "the order of positions");
    if (status == VITC_OK) {
        for (size_t p = 0; p < s->n; p++) order[p] = (uint32_t)p;
        measure(structure, s, &b, order);
        structure->effective_rank = effective_rank(s);
        if (chance != NULL)
            status = measure_shuffled(chance, limit, s, &b, order, structure->effective_rank,
                                      shuffles, seed, log);
    }
    bins_free(&b);
    free(order);
    return status;
}

vitc_status patches_position_structure(patches_structure *structure, patches_structure *chance,
                                       patches_structure *limit, const patches_position *position,
                                       uint32_t shuffles, uint64_t seed, const vitc_log *log)
{
    static const char name[] = "patches_position_structure";
    products s = {0};
    VITC_TRY(check_table(position, name, log));
    if ((chance == NULL) != (limit == NULL) || (chance != NULL && shuffles == 0))
        return vitc_fail(log, VITC_ERR_ARGUMENT, "%s: chance without limit, or no shuffles", name);
    vitc_status status = products_create(&s, position, log);
    if (status == VITC_OK && is_flat(&s)) {
        const patches_structure none = {NAN, NAN, NAN, NAN, NAN, NAN, NAN};
        *structure = none;
        if (chance != NULL) *chance = *limit = none;
    } else if (status == VITC_OK) {
        status = measure_all(structure, chance, limit, &s, shuffles, seed, log);
    }
    products_free(&s);
    return status;
}
