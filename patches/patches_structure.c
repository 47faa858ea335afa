/* What a table of positions holds of the grid: similarity of its rows, and numbers made of it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "patches.h"
#include "vitc_log.h"
#include "vitc_random.h"
#include "vitc_size.h"

/* What is smaller in shares and cosines, double sums of a table in float32, is rounding. */
static const double rounding = 1e-10;

/* Inner products of all patches' rows, and their cosines: [n, n] each. */
typedef struct products {
    uint32_t height, width; /* of the grid */
    size_t n;
    double *gram, *cosines;
    double trace;          /* of gram */
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
    for (size_t p = 0; p < s->n; p++) s->trace += s->gram[p * s->n + p];
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

/* The inner product of the sums of two lines of `count` patches, which begin in slots a and b and
 * go on in steps. */
static double multiply_lines(const products *s, const uint32_t *order, size_t a, size_t b,
                             size_t step, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        const double *with = s->gram + order[a + i * step] * s->n;
        for (size_t j = 0; j < count; j++) sum += with[order[b + j * step]];
    }
    return sum;
}

/* Of `lines` rows, or columns, `apart` slots from each other: their share of the trace, |sum over a
 * line|^2 / count, and the mean cosine of one line's sum with the next. */
static void measure_lines(double *share, double *neighbours, const products *s,
                          const uint32_t *order, size_t lines, size_t apart, size_t step,
                          size_t count)
{
    double squares = 0, cosines = 0, last = 0;
    for (size_t i = 0, at = 0; i < lines; i++, at += apart) {
        const double own = multiply_lines(s, order, at, at, step, count);
        const double norms = i > 0 ? sqrt(last) * sqrt(own) : 0;
        if (norms > 0) cosines += multiply_lines(s, order, at - apart, at, step, count) / norms;
        squares += own;
        last = own;
    }
    *share = squares / (double)count / s->trace;
    *neighbours = lines > 1 && *share > rounding ? cosines / (double)(lines - 1) : NAN;
}

static void measure(patches_structure *out, const products *s, bins *b, const uint32_t *order)
{
    const size_t centre = b->size / 2, height = s->height, width = s->width;
    const double pairs = (double)s->n * (double)(s->n - 1);
    const bool all_alike = s->variance <= rounding * rounding * pairs;
    measure_lines(&out->rows, &out->row_neighbours, s, order, height, width, 1, width);
    measure_lines(&out->columns, &out->column_neighbours, s, order, width, 1, width, height);
    out->rest = 1 - out->rows - out->columns;
    if (fabs(out->rest) < rounding) out->rest = 0;
    fill_bins(b, s, order);
    const double offset = between(b->sum, b->count, b->size, s->mean);
    const double length = between(b->radial_sum, b->radial_count, b->radial_size, s->mean);
    out->shift = all_alike ? NAN : offset / s->variance;
    out->radial = all_alike ? NAN : length / s->variance;
    out->anisotropy = width > 1 && height > 1
                          ? bin_mean(b, centre + 1) - bin_mean(b, centre + 2 * width - 1)
                          : NAN;
}

static double effective_rank(const products *s)
{
    double squares = 0;
    for (size_t i = 0; i < s->n * s->n; i++) squares += s->gram[i] * s->gram[i];
    return s->trace * s->trace / squares;
}

/* n |mean|^2 of the sum of all squares. */
static double share_in_common(const patches_position *position, size_t n)
{
    const size_t width = position->width;
    const float *table = position->table + position->prefix * width;
    double means = 0, squares = 0;
    for (size_t d = 0; d < width; d++) {
        double sum = 0;
        for (size_t p = 0; p < n; p++) {
            const double value = (double)table[p * width + d];
            sum += value;
            squares += value * value;
        }
        means += sum * sum / (double)n;
    }
    return squares > 0 ? means / squares : NAN;
}

static bool is_flat(const products *s)
{
    for (size_t p = 0; p < s->n; p++)
        if (s->gram[p * s->n + p] > 0) return false;
    return true;
}

/* ---- shuffled tables ---- */

enum { NUMBERS = 8 };

static double *number(patches_structure *s, int i)
{
    double *const numbers[NUMBERS] = {
        &s->rows,           &s->columns,           &s->rest,      &s->shift, &s->radial,
        &s->row_neighbours, &s->column_neighbours, &s->anisotropy};
    return numbers[i];
}

static int compare(const void *a, const void *b)
{
    const double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

/* Mean and limit of each number over the shuffled tables; those that no order changes have none. */
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
        if (isnan(sum)) continue;
        qsort(values, shuffles, sizeof *values, compare);
        if (values[shuffles - 1] - values[0] <= rounding) continue;
        /* Of shuffles + 1 tables alike, fewer than 1 in 20 is beyond this one. */
        const uint32_t beyond = (shuffles + 1) / 20;
        *number(chance, i) = sum / shuffles;
        *number(limit, i) = values[shuffles - (beyond > 0 ? beyond : 1)];
    }
}

/* What a table without structure could be: any order of the patches; of one that is made of rows
 * and columns, which every such table is, any order of those. `lines` [height + width]. */
static void shuffle(uint32_t *order, uint32_t *lines, const products *s, bool separable,
                    vitc_random *random)
{
    uint32_t *columns = lines + s->height;
    if (!separable) {
        vitc_random_permutation(order, s->n, random);
        return;
    }
    vitc_random_permutation(lines, s->height, random);
    vitc_random_permutation(columns, s->width, random);
    for (size_t p = 0; p < s->n; p++)
        order[p] = lines[p / s->width] * s->width + columns[p % s->width];
}

static const patches_structure no_numbers = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};

static vitc_status measure_shuffled(patches_structure *chance, patches_structure *limit,
                                    const products *s, bins *b, uint32_t *order, bool separable,
                                    uint32_t shuffles, uint64_t seed, const vitc_log *log)
{
    patches_structure *shuffled = calloc(shuffles, sizeof *shuffled);
    double *values = calloc(shuffles, sizeof *values);
    uint32_t *lines = calloc((size_t)s->height + s->width, sizeof *lines);
    vitc_status status = shuffled != NULL && values != NULL && lines != NULL
                             ? VITC_OK
                             : vitc_fail_memory(log, "shuffled tables of positions");
    for (uint32_t k = 0; k < shuffles && status == VITC_OK; k++) {
        vitc_random random = vitc_random_start(seed, VITC_RANDOM_POSITION, 0, k);
        shuffle(order, lines, s, separable, &random);
        measure(&shuffled[k], s, b, order);
    }
    *chance = *limit = no_numbers;
    if (status == VITC_OK) summarize(chance, limit, shuffled, values, shuffles);
    free(shuffled);
    free(values);
    free(lines);
    return status;
}

static vitc_status measure_all(patches_structure *structure, patches_structure *chance,
                               patches_structure *limit, const products *s, bool separable,
                               uint32_t shuffles, uint64_t seed, const vitc_log *log)
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
            status = measure_shuffled(chance, limit, s, &b, order, separable, shuffles, seed, log);
    }
    bins_free(&b);
    free(order);
    return status;
}

bool patches_position_is_separable(patches_position_kind kind)
{
    return patches_position_has_axes(kind) || kind == PATCHES_POSITION_SINCOS_2D;
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
    *structure = no_numbers;
    if (status == VITC_OK && is_flat(&s)) {
        if (chance != NULL) *chance = *limit = no_numbers;
    } else if (status == VITC_OK) {
        status = measure_all(structure, chance, limit, &s,
                             patches_position_is_separable(position->kind), shuffles, seed, log);
    }
    structure->common = share_in_common(position, s.n);
    products_free(&s);
    return status;
}
