/* How alike two tables of positions are, whatever their widths: by what they say of pairs of
 * patches. */
#include <math.h>
#include <stdlib.h>

#include "patches.h"
#include "vitc_log.h"
#include "vitc_random.h"
#include "vitc_size.h"

/* One table: inner products and cosines of its patches' rows less their mean, [n, n]. */
typedef struct side {
    double *gram, *cosines;
    double size;           /* of gram: the root of the sum of its squares */
    double mean, variance; /* of the cosines of two different patches: sum of (cosine - mean)^2 */
} side;

static void side_free(side *s)
{
    free(s->gram);
    free(s->cosines);
}

/* lengths[p] of the patches' rows less their mean. */
static void measure_lengths(double *lengths, const patches_position *position, size_t n)
{
    const size_t width = position->width;
    const float *rows = position->table + position->prefix * width;
    for (size_t d = 0; d < width; d++) {
        double mean = 0;
        for (size_t p = 0; p < n; p++) mean += (double)rows[p * width + d];
        mean /= (double)n;
        for (size_t p = 0; p < n; p++) {
            const double from_mean = (double)rows[p * width + d] - mean;
            lengths[p] += from_mean * from_mean;
        }
    }
    for (size_t p = 0; p < n; p++) lengths[p] = sqrt(lengths[p]);
}

static void measure_side(side *s, const double *lengths, size_t n)
{
    double squares = 0, sum = 0;
    for (size_t p = 0; p < n; p++)
        for (size_t q = 0; q < n; q++) {
            const double product = s->cosines[p * n + q] * lengths[p] * lengths[q];
            s->gram[p * n + q] = product;
            squares += product * product;
            if (p != q) sum += s->cosines[p * n + q];
        }
    s->size = sqrt(squares);
    s->mean = n > 1 ? sum / ((double)n * (double)(n - 1)) : 0;
    for (size_t p = 0; p < n; p++)
        for (size_t q = 0; q < n; q++) {
            const double from_mean = p != q ? s->cosines[p * n + q] - s->mean : 0;
            s->variance += from_mean * from_mean;
        }
}

static vitc_status side_create(side *s, const patches_position *position, size_t n,
                               const vitc_log *log)
{
    size_t size;
    double *lengths = calloc(n, sizeof *lengths);
    if (lengths != NULL && vitc_size_mul3(n, n, sizeof(double), &size) && size > 0) {
        s->gram = malloc(size);
        s->cosines = malloc(size);
    }
    vitc_status status = s->gram != NULL && s->cosines != NULL
                             ? VITC_OK
                             : vitc_fail_memory(log, "the likeness of positions");
    if (status == VITC_OK) status = patches_position_similarity(s->cosines, position, true, log);
    if (status == VITC_OK) {
        measure_lengths(lengths, position, n);
        measure_side(s, lengths, n);
    }
    free(lengths);
    return status;
}

/* Patch p of a is beside patch order[p] of b. */
static patches_likeness compare_sides(const side *a, const side *b, size_t n, const uint32_t *order)
{
    double products = 0, cosines = 0;
    for (size_t p = 0; p < n; p++) {
        const double *gram_a = a->gram + p * n, *gram_b = b->gram + order[p] * n;
        const double *cosines_a = a->cosines + p * n, *cosines_b = b->cosines + order[p] * n;
        for (size_t q = 0; q < n; q++) {
            products += gram_a[q] * gram_b[order[q]];
            if (p != q) cosines += (cosines_a[q] - a->mean) * (cosines_b[order[q]] - b->mean);
        }
    }
    const double sizes = a->size * b->size, deviations = sqrt(a->variance) * sqrt(b->variance);
    return (patches_likeness){.cka = sizes > 0 ? products / sizes : NAN,
                              .cosines = deviations > 0 ? cosines / deviations : NAN};
}

/* ---- chance ---- */

static int compare(const void *a, const void *b)
{
    const double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

/* Of shuffles + 1 tables alike, fewer than 1 in 20 is beyond the limit. */
static void summarize(double *chance, double *limit, double *values, uint32_t shuffles)
{
    const uint32_t beyond = (shuffles + 1) / 20;
    double sum = 0;
    for (uint32_t k = 0; k < shuffles; k++) sum += values[k];
    qsort(values, shuffles, sizeof *values, compare);
    *chance = sum / shuffles;
    *limit = values[shuffles - (beyond > 0 ? beyond : 1)];
}

static vitc_status compare_shuffled(patches_likeness *chance, patches_likeness *limit,
                                    const side *a, const side *b, size_t n, uint32_t *order,
                                    uint32_t shuffles, uint64_t seed, const vitc_log *log)
{
    double *cka = calloc(shuffles, sizeof *cka), *cosines = calloc(shuffles, sizeof *cosines);
    const vitc_status status = cka != NULL && cosines != NULL
                                   ? VITC_OK
                                   : vitc_fail_memory(log, "shuffled tables of positions");
    for (uint32_t k = 0; k < shuffles && status == VITC_OK; k++) {
        vitc_random random = vitc_random_start(seed, VITC_RANDOM_POSITION, 1, k);
        vitc_random_permutation(order, n, &random);
        const patches_likeness shuffled = compare_sides(a, b, n, order);
        cka[k] = shuffled.cka;
        cosines[k] = shuffled.cosines;
    }
    if (status == VITC_OK) {
        summarize(&chance->cka, &limit->cka, cka, shuffles);
        summarize(&chance->cosines, &limit->cosines, cosines, shuffles);
    }
    free(cka);
    free(cosines);
    return status;
}

/* ---- the interface ---- */

double patches_position_rms(const patches_position *position)
{
    const size_t count = (size_t)position->grid_height * position->grid_width * position->width;
    const float *table = position->table + (size_t)position->prefix * position->width;
    double squares = 0;
    for (size_t i = 0; i < count; i++) squares += (double)table[i] * (double)table[i];
    return sqrt(squares / (double)count);
}

vitc_status patches_position_compare(patches_likeness *likeness, patches_likeness *chance,
                                     patches_likeness *limit, const patches_position *a,
                                     const patches_position *b, uint32_t shuffles, uint64_t seed,
                                     const vitc_log *log)
{
    static const char name[] = "patches_position_compare";
    const size_t n = (size_t)a->grid_height * a->grid_width;
    if (a->grid_height != b->grid_height || a->grid_width != b->grid_width || n == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "%s: tables of %ux%u and %ux%u patches", name,
                         a->grid_height, a->grid_width, b->grid_height, b->grid_width);
    if ((chance == NULL) != (limit == NULL) || (chance != NULL && shuffles == 0))
        return vitc_fail(log, VITC_ERR_ARGUMENT, "%s: chance without limit, or no shuffles", name);
    side first = {0}, second = {0};
    uint32_t *order = calloc(n, sizeof *order);
    vitc_status status = order != NULL ? VITC_OK : vitc_fail_memory(log, "the order of positions");
    if (status == VITC_OK) status = side_create(&first, a, n, log);
    if (status == VITC_OK) status = side_create(&second, b, n, log);
    if (status == VITC_OK) {
        for (size_t p = 0; p < n; p++) order[p] = (uint32_t)p;
        *likeness = compare_sides(&first, &second, n, order);
        if (chance != NULL)
            status =
                compare_shuffled(chance, limit, &first, &second, n, order, shuffles, seed, log);
    }
    side_free(&first);
    side_free(&second);
    free(order);
    return status;
}
