/* What is measured of a classifier: answers of single images, and the counts and sums over many. */
#include <math.h>
#include <stdlib.h>

#include "datasets_private.h"
#include "vitc_log.h"

/* NaN for 0/0, without dividing by zero. */
static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : NAN;
}

/* ---- one image ---- */

/* NaN among the scores stands before every number: it never makes an answer look better. */
static uint32_t rank_of(uint32_t label, const float *scores, uint32_t classes)
{
    uint32_t rank = 1;
    for (uint32_t k = 0; k < label; k++) rank += !(scores[k] < scores[label]);
    for (uint32_t k = label + 1; k < classes; k++) rank += !(scores[k] <= scores[label]);
    return rank;
}

datasets_answer datasets_answer_make(uint32_t label, const float *logits, const float *scores,
                                     uint32_t classes, const datasets_scoring *scoring)
{
    uint32_t best = 0;
    double brier = 0;
    for (uint32_t k = 0; k < classes; k++) {
        const double error = (double)scores[k] - (k == label);
        brier += error * error;
        if (scores[k] > scores[best]) best = k;
    }
    return (datasets_answer){
        .label = label,
        .prediction = best,
        .rank = rank_of(label, scores, classes),
        .confidence = (double)scores[best],
        .nll = datasets_loss_row(logits, classes, label, scoring->independent,
                                 1 / scoring->temperature)
                   .value,
        .brier = brier,
    };
}

/* ---- intervals and tests ---- */

datasets_interval datasets_wilson(uint64_t hits, uint64_t n)
{
    const double z = 1.959963984540054; /* of the normal distribution at 97.5 % */
    if (n == 0) return (datasets_interval){0, 1};
    const double count = (double)n, p = (double)hits / count;
    const double middle = p + z * z / (2 * count), stretch = 1 + z * z / count;
    const double half = z * sqrt(p * (1 - p) / count + z * z / (4 * count * count));
    return (datasets_interval){hits == 0 ? 0 : (middle - half) / stretch,
                               hits == n ? 1 : (middle + half) / stretch};
}

/* P(X <= k) for X of a binomial distribution of n tries at 1/2, 2 k < n: the terms from the largest
 * down, each by its ratio to the one before, until they no longer count. */
static double binomial_tail(uint64_t k, uint64_t n)
{
    int sign; /* lgamma would write a global variable */
    const double largest = lgamma_r((double)n + 1, &sign) - lgamma_r((double)k + 1, &sign) -
                           lgamma_r((double)(n - k) + 1, &sign) - (double)n * log(2);
    double term = 1, sum = 0;
    for (uint64_t i = k + 1; i-- > 0 && term > 1e-17 * sum;) {
        sum += term;
        term *= (double)i / (double)(n - i + 1);
    }
    return exp(largest) * sum;
}

double datasets_mcnemar(uint64_t b, uint64_t c)
{
    if (b == c) return 1;
    return fmin(2 * binomial_tail(b < c ? b : c, b + c), 1);
}

/* ---- counts and sums ---- */

typedef struct class_count {
    uint64_t support, predicted, right;
} class_count;

/* Of K * K pairs of classes only few are ever confused: they lie in a hash table with open
 * addressing, of 2^bits places, at most three quarters full. A place is free while its n is 0. */
typedef struct pair_table {
    datasets_confusion *places;
    unsigned bits;
    size_t used;
} pair_table;

struct datasets_metrics {
    uint32_t classes;
    class_count *counts; /* by class */
    pair_table confused; /* right answers are in `counts` */
    uint64_t n, right, right5;
    double nll, brier, confidence; /* sums */
    datasets_bin bins[DATASETS_BINS];
};

enum { FIRST_BITS = 6 };

static bool pair_table_create(pair_table *table, unsigned bits)
{
    *table = (pair_table){.places = calloc((size_t)1 << bits, sizeof *table->places), .bits = bits};
    return table->places != NULL;
}

/* The place of a pair, or the free one where it would go. */
static datasets_confusion *pair_table_find(const pair_table *table, uint32_t label,
                                           uint32_t prediction)
{
    const uint64_t key = (uint64_t)label << 32 | prediction;
    const size_t last = ((size_t)1 << table->bits) - 1;
    size_t at = (size_t)(key * 0x9E3779B97F4A7C15U >> (64 - table->bits));
    while (table->places[at].n != 0 &&
           (table->places[at].label != label || table->places[at].prediction != prediction))
        at = (at + 1) & last;
    return &table->places[at];
}

static bool pair_table_grow(pair_table *table)
{
    pair_table grown;
    if (!pair_table_create(&grown, table->bits + 1)) return false;
    for (size_t i = 0; i < (size_t)1 << table->bits; i++) {
        const datasets_confusion *pair = &table->places[i];
        if (pair->n != 0) *pair_table_find(&grown, pair->label, pair->prediction) = *pair;
    }
    grown.used = table->used;
    free(table->places);
    *table = grown;
    return true;
}

static bool pair_table_count(pair_table *table, uint32_t label, uint32_t prediction)
{
    if (table->used >= ((size_t)3 << table->bits) / 4 && !pair_table_grow(table)) return false;
    datasets_confusion *pair = pair_table_find(table, label, prediction);
    table->used += pair->n == 0;
    *pair = (datasets_confusion){label, prediction, pair->n + 1};
    return true;
}

vitc_status datasets_metrics_create(datasets_metrics **metrics, uint32_t classes,
                                    const vitc_log *log)
{
    *metrics = NULL;
    if (classes == 0) return vitc_fail(log, VITC_ERR_ARGUMENT, "there are no classes to measure");
    datasets_metrics *m = calloc(1, sizeof *m);
    if (m != NULL) {
        m->classes = classes;
        m->counts = calloc(classes, sizeof *m->counts);
        if (m->counts != NULL && pair_table_create(&m->confused, FIRST_BITS)) {
            *metrics = m;
            return VITC_OK;
        }
    }
    datasets_metrics_free(m);
    return vitc_fail_memory(log, "counts of answers");
}

void datasets_metrics_free(datasets_metrics *metrics)
{
    if (metrics == NULL) return;
    free(metrics->counts);
    free(metrics->confused.places);
    free(metrics);
}

static datasets_bin *bin_of(datasets_metrics *metrics, double confidence)
{
    uint32_t b = 0;
    while (b + 1 < DATASETS_BINS && confidence > (b + 1) / (double)DATASETS_BINS) b++;
    return &metrics->bins[b];
}

vitc_status datasets_metrics_add(datasets_metrics *metrics, const datasets_answer *answer,
                                 const vitc_log *log)
{
    datasets_metrics *m = metrics;
    const bool right = answer->label == answer->prediction;
    if (answer->label >= m->classes || answer->prediction >= m->classes || answer->rank < 1 ||
        answer->rank > m->classes)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "an answer of class %u for class %u, at rank %u, does not belong to a "
                         "model of %u classes",
                         answer->prediction, answer->label, answer->rank, m->classes);
    if (!right && !pair_table_count(&m->confused, answer->label, answer->prediction))
        return vitc_fail_memory(log, "counts of confused classes");
    m->counts[answer->label].support++;
    m->counts[answer->prediction].predicted++;
    m->counts[answer->label].right += right;
    m->n++;
    m->right += right;
    m->right5 += answer->rank <= 5;
    m->nll += answer->nll;
    m->brier += answer->brier;
    m->confidence += answer->confidence;
    datasets_bin *bin = bin_of(m, answer->confidence);
    bin->n++;
    bin->right += right;
    bin->confidence += answer->confidence;
    bin->variance += answer->confidence * (1 - answer->confidence);
    return VITC_OK;
}

/* ---- results ---- */

/* Calibration errors are sums over the bins, each with its share of the images. */
static void measure_calibration(datasets_results *r)
{
    const double pi = 3.14159265358979323846, n = (double)r->n;
    double error = 0, expected = 0, squared = 0;
    for (int b = 0; b < DATASETS_BINS; b++) {
        const datasets_bin *bin = &r->bins[b];
        const double count = (double)bin->n;
        error += fabs((double)bin->right - bin->confidence);
        expected += sqrt(2 / pi * bin->variance);
        if (bin->n < 2) continue; /* one image says nothing of its bin's variance */
        const double accuracy = (double)bin->right / count,
                     gap = accuracy - bin->confidence / count;
        squared += count * (gap * gap - accuracy * (1 - accuracy) / (count - 1));
    }
    r->ece = ratio(error, n);
    r->ece_calibrated = ratio(expected, n);
    r->ece2_debiased = ratio(squared, n);
}

static void average_classes(datasets_results *r, const datasets_metrics *metrics)
{
    double recall = 0, f1 = 0;
    uint32_t present = 0;
    for (uint32_t k = 0; k < metrics->classes; k++) {
        if (metrics->counts[k].support == 0) continue;
        const datasets_class_result class = datasets_metrics_class(metrics, k);
        recall += class.recall;
        f1 += class.f1;
        present++;
    }
    r->balanced = ratio(recall, present);
    r->macro_f1 = ratio(f1, present);
}

datasets_results datasets_metrics_results(const datasets_metrics *metrics)
{
    const datasets_metrics *m = metrics;
    const double n = (double)m->n;
    datasets_results r = {
        .n = m->n,
        .right = m->right,
        .right5 = m->right5,
        .top1 = ratio((double)m->right, n),
        .top5 = ratio((double)m->right5, n),
        .loss = ratio(m->nll, n),
        .brier = ratio(m->brier, n),
        .top1_interval = datasets_wilson(m->right, m->n),
        .top5_interval = datasets_wilson(m->right5, m->n),
        .mean_confidence = ratio(m->confidence, n),
    };
    for (int b = 0; b < DATASETS_BINS; b++) r.bins[b] = m->bins[b];
    measure_calibration(&r);
    average_classes(&r, m);
    return r;
}

datasets_class_result datasets_metrics_class(const datasets_metrics *metrics, uint32_t label)
{
    const class_count *c = &metrics->counts[label];
    const double right = (double)c->right;
    return (datasets_class_result){
        .support = c->support,
        .predicted = c->predicted,
        .right = c->right,
        .precision = ratio(right, (double)c->predicted),
        .recall = ratio(right, (double)c->support),
        .f1 = ratio(2 * right, (double)(c->support + c->predicted)),
        .recall_interval = datasets_wilson(c->right, c->support),
    };
}

uint64_t datasets_metrics_confusion(const datasets_metrics *metrics, uint32_t label,
                                    uint32_t prediction)
{
    return label == prediction ? metrics->counts[label].right
                               : pair_table_find(&metrics->confused, label, prediction)->n;
}

/* The order of datasets_metrics_confused. */
static int compare_pairs(const void *a, const void *b)
{
    const datasets_confusion *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    return (x->prediction > y->prediction) - (x->prediction < y->prediction);
}

/* Moves the pair at `at` down a heap whose top is its last pair in the order above. */
static void sink(datasets_confusion *heap, size_t count, size_t at)
{
    const datasets_confusion pair = heap[at];
    for (size_t below; (below = 2 * at + 1) < count; at = below) {
        if (below + 1 < count && compare_pairs(&heap[below + 1], &heap[below]) > 0) below++;
        if (compare_pairs(&pair, &heap[below]) >= 0) break;
        heap[at] = heap[below];
    }
    heap[at] = pair;
}

static void make_heap(datasets_confusion *pairs, size_t count)
{
    for (size_t at = count / 2; at-- > 0;) sink(pairs, count, at);
}

/* A heap of the most often confused so far, the least of them on top, to be replaced. */
size_t datasets_metrics_confused(const datasets_metrics *metrics, datasets_confusion *pairs,
                                 size_t count)
{
    const pair_table *table = &metrics->confused;
    size_t kept = 0;
    for (size_t i = 0; count > 0 && i < (size_t)1 << table->bits; i++) {
        const datasets_confusion *pair = &table->places[i];
        if (pair->n == 0) continue;
        if (kept < count) {
            pairs[kept++] = *pair;
            if (kept == count) make_heap(pairs, count);
        } else if (compare_pairs(pair, &pairs[0]) < 0) {
            pairs[0] = *pair;
            sink(pairs, count, 0);
        }
    }
    if (kept > 0) qsort(pairs, kept, sizeof *pairs, compare_pairs);
    return table->used;
}
