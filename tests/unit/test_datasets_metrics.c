/* What is measured of a classifier: closed forms, scikit-learn's numbers (tests/golden/metrics),
 * and what must hold for any answers. */
#include "test_malloc_fail.h"
#include "test_metrics_golden.h"
#include "vitc_log.h"

static const datasets_scoring plain = {.temperature = 1};

static bool near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance;
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*state >> 32);
}

/* 0 <= u < 1 */
static double next_uniform(uint64_t *state)
{
    return next_random(state) / 4294967296.0;
}

static datasets_metrics *create(uint32_t classes)
{
    datasets_metrics *metrics;
    assert_int_equal(datasets_metrics_create(&metrics, classes, NULL), VITC_OK);
    return metrics;
}

static void add(datasets_metrics *metrics, uint32_t label, uint32_t prediction, double confidence)
{
    const datasets_answer answer = {.label = label,
                                    .prediction = prediction,
                                    .rank = label == prediction ? 1 : 2,
                                    .confidence = confidence};
    assert_int_equal(datasets_metrics_add(metrics, &answer, NULL), VITC_OK);
}

/* ---- one image ---- */

static datasets_answer softmax_answer(uint32_t label, const float *logits, uint32_t classes)
{
    const vit_config config = {.classes = classes};
    float scores[16];
    assert_true(classes <= 16);
    vit_scores_compute(&config, scores, logits);
    return datasets_answer_make(label, logits, scores, classes, &plain);
}

static void answers_in_closed_form(void **state)
{
    (void)state;
    /* 1/2, 1/4, 1/8, 1/8 */
    const float logits[4] = {3 * (float)M_LN2, 2 * (float)M_LN2, (float)M_LN2, (float)M_LN2};
    for (uint32_t label = 0; label < 4; label++) {
        static const double p[4] = {0.5, 0.25, 0.125, 0.125};
        const datasets_answer a = softmax_answer(label, logits, 4);
        double brier = 1 - 2 * p[label];
        for (int k = 0; k < 4; k++) brier += p[k] * p[k];
        assert_int_equal(a.label, label);
        assert_int_equal(a.prediction, 0);
        assert_int_equal(a.rank, label + 1); /* the tie of 2 and 3: lower index first */
        assert_true(near(a.confidence, 0.5, 1e-7));
        assert_true(near(a.nll, -log(p[label]), 1e-6));
        assert_true(near(a.brier, brier, 1e-6));
    }
    /* Nobody knows anything: Brier 1 - 1/K, loss log K, the first class by default. */
    for (uint32_t classes = 1; classes <= 16; classes++) {
        const float equal[16] = {0};
        const datasets_answer a = softmax_answer(classes - 1, equal, classes);
        assert_true(near(a.brier, 1 - 1.0 / classes, 1e-6));
        assert_true(near(a.nll, log(classes), 1e-12));
        assert_int_equal(a.prediction, 0);
        assert_int_equal(a.rank, classes);
    }
    /* Sure and right: nothing is lost. Sure and wrong: far beyond what a score can say. */
    const float sure[3] = {-1000, 1000, -1000};
    assert_true(softmax_answer(1, sure, 3).nll == 0 && softmax_answer(1, sure, 3).brier == 0);
    assert_true(softmax_answer(2, sure, 3).nll == 2000 && softmax_answer(2, sure, 3).brier == 2);
}

static void answers_rank_as_vit_top_k(void **state)
{
    (void)state;
    uint64_t seed = 1;
    float logits[16];
    uint32_t order[16];
    for (int round = 0; round < 2000; round++) {
        const uint32_t classes = 1 + next_random(&seed) % 16;
        for (uint32_t k = 0; k < classes; k++) logits[k] = (float)(next_random(&seed) % 5);
        vit_top_k(order, classes, logits, classes);
        for (uint32_t i = 0; i < classes; i++) {
            const datasets_answer a =
                datasets_answer_make(order[i], logits, logits, classes, &plain);
            assert_int_equal(a.rank, i + 1);
            assert_int_equal(a.prediction, order[0]);
        }
    }
    /* A NaN makes no answer better than it is. */
    const float scores[3] = {0.3f, NAN, 0.7f};
    const datasets_answer a = datasets_answer_make(1, scores, scores, 3, &plain);
    assert_int_equal(a.rank, 3);
    assert_int_equal(a.prediction, 2);
    assert_true(isnan(a.nll) && isnan(a.brier));
    assert_int_equal(datasets_answer_make(2, scores, scores, 3, &plain).rank, 2);
}

static void losses_follow_the_scoring(void **state)
{
    (void)state;
    const float logits[3] = {2, -1, 0.5f};
    for (int independent = 0; independent < 2; independent++)
        for (int t = 0; t < 3; t++) {
            const datasets_scoring scoring = {independent, ldexp(1, t - 1)};
            const vit_config config = {.classes = 3,
                                       .scores =
                                           independent ? VIT_SCORES_SIGMOID : VIT_SCORES_SOFTMAX,
                                       .temperature = (float)scoring.temperature};
            float scores[3];
            vit_scores_compute(&config, scores, logits);
            for (uint32_t label = 0; label < 3; label++) {
                double nll = 0;
                for (uint32_t k = 0; k < 3; k++)
                    if (k == label)
                        nll -= log((double)scores[k]);
                    else if (independent)
                        nll -= log(1 - (double)scores[k]);
                assert_true(
                    near(datasets_answer_make(label, logits, scores, 3, &scoring).nll, nll, 1e-5));
            }
        }
}

/* ---- intervals and tests ---- */

static void wilson_intervals(void **state)
{
    (void)state;
    static const struct {
        uint64_t hits, n;
        double low, high, tolerance;
    } rows[] = {
        {8, 10, .49016, .94332, 5e-6},
        {9300, 10000, .92483, .93484, 5e-6},
        {0, 0, 0, 1, 0},
        /* Without hits the upper end is z^2 / (n + z^2). */
        {0, 10, 0, 3.841458820694124 / 13.841458820694124, 1e-12},
        {10, 10, 10 / 13.841458820694124, 1, 1e-12},
        {1, 2, .5 - .40546879, .5 + .40546879, 1e-8},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const datasets_interval found = datasets_wilson(rows[i].hits, rows[i].n);
        if (!near(found.low, rows[i].low, rows[i].tolerance) ||
            !near(found.high, rows[i].high, rows[i].tolerance))
            fail_msg("row %zu: %.9g to %.9g", i, found.low, found.high);
    }
    /* Both ends solve (p - hits/n)^2 = z^2 p (1 - p) / n. */
    for (uint64_t n = 1; n <= 40; n++)
        for (uint64_t hits = 0; hits <= n; hits++) {
            const datasets_interval found = datasets_wilson(hits, n);
            const double p = (double)hits / (double)n, ends[2] = {found.low, found.high};
            assert_true(found.low >= 0 && found.high <= 1);
            assert_true(found.low <= p && p <= found.high);
            for (int e = 0; e < 2; e++)
                assert_true(near((ends[e] - p) * (ends[e] - p),
                                 3.841458820694124 * ends[e] * (1 - ends[e]) / (double)n, 1e-12));
        }
}

static void mcnemar_exact(void **state)
{
    (void)state;
    static const struct {
        uint64_t b, c;
        double p, tolerance;
    } rows[] = {
        {30, 15, .035698, 5e-7},
        {0, 0, 1, 0},
        {7, 7, 1, 0},
        {1, 0, 1, 1e-12},
        {0, 5, 2.0 / 32, 1e-12},
        {5, 1, 2 * (1 + 6) / 64.0, 1e-12},
        {8, 2, 2 * (1 + 10 + 45) / 1024.0, 1e-12},
        {4, 3, 1, 1e-12},                          /* 2 * 1/2 */
        {0, 40, 0x1p-39, 1e-21},                   /* small, with all its digits */
        {2000, 0, 0, 0},                           /* too small for a double */
        {1000000, 1000001, 1, 1e-6},               /* many terms */
        {501000, 499000, .0456082998653896, 1e-9}, /* scipy's binomtest */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int swap = 0; swap < 2; swap++) {
            const double p = swap ? datasets_mcnemar(rows[i].c, rows[i].b)
                                  : datasets_mcnemar(rows[i].b, rows[i].c);
            if (!near(p, rows[i].p, rows[i].tolerance)) fail_msg("row %zu: %.12g", i, p);
        }
    /* Against all terms, counted in whole numbers. */
    for (uint64_t n = 1; n <= 50; n++)
        for (uint64_t c = 0; 2 * c < n; c++) {
            double choose = 1, sum = 0;
            for (uint64_t k = 0; k <= c; k++) {
                sum += choose;
                choose = choose * (double)(n - k) / (double)(k + 1);
            }
            const double p = fmin(ldexp(sum, 1 - (int)n), 1);
            assert_true(near(datasets_mcnemar(n - c, c), p, 1e-12 * p));
        }
}

/* ---- calibration errors ---- */

static void bins_are_open_below(void **state)
{
    (void)state;
    datasets_metrics *metrics = create(2);
    uint64_t expected[DATASETS_BINS] = {0};
    add(metrics, 0, 0, 0); /* belongs to no (l, u]: the first one takes it */
    expected[0]++;
    for (int b = 1; b <= DATASETS_BINS; b++) {
        const double edge = b / (double)DATASETS_BINS;
        add(metrics, 0, 0, edge);
        expected[b - 1]++;
        if (b == DATASETS_BINS) break;
        add(metrics, 0, 0, nextafter(edge, 2));
        expected[b]++;
    }
    add(metrics, 0, 1, 0.5);
    expected[7]++;
    const datasets_results r = datasets_metrics_results(metrics);
    for (int b = 0; b < DATASETS_BINS; b++) assert_int_equal(r.bins[b].n, expected[b]);
    assert_int_equal(r.bins[7].right, expected[7] - 1);
    datasets_metrics_free(metrics);
}

static void calibration_errors_in_closed_form(void **state)
{
    (void)state;
    datasets_metrics *metrics = create(2);
    /* 100 times 0.8, of which 60 are right; 4 times 0.5, half of them; once 0.2, which is right. */
    for (uint32_t i = 0; i < 100; i++) add(metrics, 0, i >= 60, 0.8);
    for (uint32_t i = 0; i < 4; i++) add(metrics, 1, i >= 2, 0.5);
    add(metrics, 0, 0, 0.2);
    const datasets_results r = datasets_metrics_results(metrics);
    assert_true(near(r.ece, (100 * 0.2 + 0.8) / 105, 1e-12));
    assert_true(near(r.ece_calibrated,
                     sqrt(2 / (M_PI * 105)) * (sqrt(100 / 105.0 * 0.16) + sqrt(4 / 105.0 * 0.25) +
                                               sqrt(1 / 105.0 * 0.16)),
                     1e-12));
    /* The single image says nothing: 0.2^2 - 0.6 0.4 / 99, and 0 - 0.5 0.5 / 3 */
    assert_true(
        near(r.ece2_debiased, (100 * (0.04 - 0.24 / 99) + 4 * (0 - 0.25 / 3)) / 105, 1e-12));
    assert_true(near(r.mean_confidence, (80 + 2 + 0.2) / 105, 1e-12));
    datasets_metrics_free(metrics);
}

/* Classifiers that are as often right as they say: ECE is not 0, but what is predicted for it, and
 * the debiased measure is 0 on average. */
static void calibrated_classifiers_look_calibrated(void **state)
{
    (void)state;
    enum { ROUNDS = 400, N = 500 };
    uint64_t seed = 5;
    double ece = 0, predicted = 0, debiased = 0, squares = 0;
    for (int round = 0; round < ROUNDS; round++) {
        datasets_metrics *metrics = create(2);
        for (int i = 0; i < N; i++) {
            const double confidence = 0.5 + 0.5 * next_uniform(&seed);
            add(metrics, 0, next_uniform(&seed) >= confidence, confidence);
        }
        const datasets_results r = datasets_metrics_results(metrics);
        ece += r.ece / ROUNDS;
        predicted += r.ece_calibrated / ROUNDS;
        debiased += r.ece2_debiased / ROUNDS;
        squares += r.ece2_debiased * r.ece2_debiased / ROUNDS;
        datasets_metrics_free(metrics);
    }
    const double deviation = sqrt((squares - debiased * debiased) / ROUNDS);
    /* The formula takes bins of some 60 images as normally distributed. */
    assert_true(near(ece, predicted, 0.03 * predicted));
    assert_true(ece > 0.02);
    /* Confidences differ inside of a bin, which is an error that no estimate by bins can see:
     * (1/15)^2/12 at most. */
    assert_true(near(debiased, 0, 4 * deviation + 1 / (225.0 * 12)));
    assert_true(deviation < 2e-4);
}

/* ---- golden data ---- */

static void check_class(const golden *g, const datasets_metrics *metrics, uint32_t k)
{
    const vitc_json *row = vitc_json_at(vitc_json_get(g->measured, "per_class"), k);
    const vitc_json *confusion = vitc_json_at(vitc_json_get(g->measured, "confusion"), k);
    const datasets_class_result r = datasets_metrics_class(metrics, k);
    const double found[5] = {(double)r.support, (double)r.predicted, r.precision, r.recall, r.f1};
    for (size_t i = 0; i < 5; i++) {
        const vitc_json *value = vitc_json_at(row, i);
        const double expected = vitc_json_number(value, NAN);
        if (vitc_json_is_null(value) ? !isnan(found[i]) : !near(found[i], expected, 1e-12))
            fail_msg("%s: class %u, number %zu is %.12g instead of %.12g", g->name, k, i, found[i],
                     expected);
    }
    const datasets_interval interval = datasets_wilson(r.right, r.support);
    assert_true(r.recall_interval.low == interval.low && r.recall_interval.high == interval.high);
    for (uint32_t p = 0; p < g->classes; p++)
        assert_int_equal(datasets_metrics_confusion(metrics, k, p),
                         vitc_json_integer(vitc_json_at(confusion, p), -1));
}

static void measures_are_scikit_learns(void **state)
{
    (void)state;
    for (size_t c = 0; c < GOLDEN_COUNT; c++) {
        golden g = golden_open(golden_names[c]);
        datasets_metrics *metrics = create(g.classes);
        uint64_t ranks = 0;
        for (size_t i = 0; i < g.n; i++) {
            const datasets_answer answer = golden_answer(&g, i);
            ranks += answer.rank;
            assert_int_equal(datasets_metrics_add(metrics, &answer, NULL), VITC_OK);
        }
        const datasets_results r = datasets_metrics_results(metrics);
        const vitc_json *bins = vitc_json_get(g.measured, "bins");
        assert_int_equal(r.n, g.n);
        golden_check(&g, "rank_sum", (double)ranks, 0);
        golden_check(&g, "top1", r.top1, 1e-12);
        golden_check(&g, "top5", r.top5, 1e-12);
        golden_check(&g, "loss", r.loss, 1e-12 * r.loss);
        golden_check(&g, "balanced", r.balanced, 1e-12);
        golden_check(&g, "macro_f1", r.macro_f1, 1e-12);
        /* Of scores, which are float32. */
        golden_check(&g, "brier", r.brier, 1e-6);
        golden_check(&g, "mean_confidence", r.mean_confidence, 1e-7);
        golden_check(&g, "ece", r.ece, 1e-7);
        golden_check(&g, "ece_calibrated", r.ece_calibrated, 1e-7);
        golden_check(&g, "ece2_debiased", r.ece2_debiased, 1e-7);
        for (size_t b = 0; b < DATASETS_BINS; b++) {
            const vitc_json *bin = vitc_json_at(bins, b);
            assert_int_equal(r.bins[b].n, vitc_json_integer(vitc_json_at(bin, 0), -1));
            assert_int_equal(r.bins[b].right, vitc_json_integer(vitc_json_at(bin, 1), -1));
        }
        for (uint32_t k = 0; k < g.classes; k++) check_class(&g, metrics, k);
        datasets_metrics_free(metrics);
        golden_close(&g);
    }
}

/* ---- counting ---- */

static void nothing_measured(void **state)
{
    (void)state;
    datasets_metrics *metrics = create(3);
    const datasets_results r = datasets_metrics_results(metrics);
    assert_int_equal(r.n, 0);
    const double undefined[] = {r.top1,          r.top5,           r.loss, r.brier,
                                r.balanced,      r.macro_f1,       r.ece,  r.ece_calibrated,
                                r.ece2_debiased, r.mean_confidence};
    for (size_t i = 0; i < sizeof undefined / sizeof undefined[0]; i++)
        assert_true(isnan(undefined[i]));
    assert_true(r.top1_interval.low == 0 && r.top1_interval.high == 1);
    assert_true(isnan(datasets_metrics_class(metrics, 2).f1));
    datasets_confusion pairs[2];
    assert_int_equal(datasets_metrics_confused(metrics, pairs, 2), 0);
    assert_int_equal(datasets_metrics_confusion(metrics, 0, 1), 0);
    datasets_metrics_free(metrics);
    datasets_metrics_free(NULL);
    assert_int_equal(datasets_metrics_create(&metrics, 0, NULL), VITC_ERR_ARGUMENT);
    assert_null(metrics);
}

/* With up to five classes the right one is always among the first five. */
static void few_classes(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (uint32_t classes = 1; classes <= 6; classes++) {
        datasets_metrics *metrics = create(classes);
        for (int i = 0; i < 200; i++) {
            float logits[6];
            for (uint32_t k = 0; k < classes; k++) logits[k] = (float)(next_random(&seed) % 1000);
            const datasets_answer answer =
                softmax_answer(next_random(&seed) % classes, logits, classes);
            assert_int_equal(datasets_metrics_add(metrics, &answer, NULL), VITC_OK);
        }
        const datasets_results r = datasets_metrics_results(metrics);
        assert_true((r.top5 == 1) == (classes <= 5));
        assert_true((r.top1 == 1) == (classes == 1));
        assert_true(classes > 1 || (r.loss == 0 && r.brier == 0 && r.ece == 0 && r.balanced == 1));
        datasets_metrics_free(metrics);
    }
}

static void foreign_answers_are_refused(void **state)
{
    (void)state;
    static const datasets_answer bad[] = {{.label = 4, .prediction = 0, .rank = 2},
                                          {.label = 0, .prediction = 4, .rank = 2},
                                          {.label = 0, .prediction = 0, .rank = 0},
                                          {.label = 0, .prediction = 1, .rank = 5},
                                          {.label = UINT32_MAX, .prediction = 1, .rank = 1}};
    datasets_metrics *metrics = create(4);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(datasets_metrics_add(metrics, &bad[i], NULL), VITC_ERR_ARGUMENT);
    assert_int_equal(datasets_metrics_results(metrics).n, 0);
    assert_int_equal(datasets_metrics_class(metrics, 0).support, 0);
    datasets_metrics_free(metrics);
}

static int compare_confusions(const void *a, const void *b)
{
    const datasets_confusion *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    if (x->label != y->label) return x->label > y->label ? 1 : -1;
    return x->prediction > y->prediction ? 1 : -1;
}

/* Every count, and the first few of every number of pairs, against a table of K * K. */
static void confusions_are_counted(void **state)
{
    (void)state;
    enum { K = 23, N = 4000 };
    static uint64_t table[K][K];
    static datasets_confusion all[K * K], pairs[K * K + 1];
    uint64_t seed = 11;
    size_t count = 0;
    datasets_metrics *metrics = create(K);
    for (int i = 0; i < N; i++) {
        const uint32_t label = next_random(&seed) % K, step = next_random(&seed) % 40;
        const uint32_t prediction = (label + (step < K ? step * step : 0)) % K;
        table[label][prediction]++;
        add(metrics, label, prediction, 0.5);
    }
    for (uint32_t label = 0; label < K; label++)
        for (uint32_t p = 0; p < K; p++) {
            assert_int_equal(datasets_metrics_confusion(metrics, label, p), table[label][p]);
            if (label != p && table[label][p] != 0)
                all[count++] = (datasets_confusion){label, p, table[label][p]};
        }
    qsort(all, count, sizeof *all, compare_confusions);
    assert_true(count > 200 && all[0].n > all[count - 1].n);
    for (size_t wanted = 0; wanted <= count + 1; wanted++) {
        memset(pairs, 0xAA, sizeof pairs);
        assert_int_equal(datasets_metrics_confused(metrics, pairs, wanted), count);
        const size_t given = wanted < count ? wanted : count;
        assert_memory_equal(pairs, all, given * sizeof *pairs);
        assert_int_equal(pairs[given].n, 0xAAAAAAAAAAAAAAAAU); /* untouched */
    }
    datasets_metrics_free(metrics);
}

/* ImageNet-21k's classes: K * K counts would be 3.8 GB. */
static void many_classes(void **state)
{
    (void)state;
    enum { K = 21843, N = 300000 };
    uint64_t seed = 17, wrong = 0;
    datasets_metrics *metrics = create(K);
    for (int i = 0; i < N; i++) {
        const uint32_t label = next_random(&seed) % K;
        const uint32_t prediction = next_random(&seed) % 2 ? label : next_random(&seed) % K;
        wrong += label != prediction;
        add(metrics, label, prediction, 0.5);
    }
    const size_t pairs = datasets_metrics_confused(metrics, NULL, 0);
    datasets_confusion *found = calloc(pairs, sizeof *found);
    assert_non_null(found);
    assert_int_equal(datasets_metrics_confused(metrics, found, pairs), pairs);
    uint64_t sum = 0;
    for (size_t i = 0; i < pairs; i++) {
        sum += found[i].n;
        assert_int_equal(datasets_metrics_confusion(metrics, found[i].label, found[i].prediction),
                         found[i].n);
    }
    assert_int_equal(sum, wrong);
    free(found);
    datasets_metrics_free(metrics);
}

static void same_answers_same_bits(void **state)
{
    (void)state;
    golden g = golden_open("softmax");
    datasets_results results[2];
    memset(results, 0, sizeof results);
    for (int round = 0; round < 2; round++) {
        datasets_metrics *metrics = create(g.classes);
        for (size_t i = 0; i < 5 * g.n; i++) {
            const datasets_answer answer = golden_answer(&g, i % g.n);
            assert_int_equal(datasets_metrics_add(metrics, &answer, NULL), VITC_OK);
        }
        results[round] = datasets_metrics_results(metrics);
        datasets_metrics_free(metrics);
    }
    assert_memory_equal(&results[0], &results[1], sizeof results[0]);
    golden_close(&g);
}

/* ---- no memory ---- */

static vitc_status measure_some(void *user)
{
    int *answers = user;
    datasets_metrics *metrics;
    VITC_TRY(datasets_metrics_create(&metrics, 100, NULL));
    vitc_status status = VITC_OK;
    uint64_t n = 0;
    for (uint32_t i = 0; i < 2000 && status == VITC_OK; i++) {
        const datasets_answer answer = {.label = i % 100, .prediction = i * i % 97, .rank = 7};
        status = datasets_metrics_add(metrics, &answer, NULL);
        n += status == VITC_OK;
    }
    /* What was refused was not counted by half. */
    const datasets_results r = datasets_metrics_results(metrics);
    uint64_t support = 0, confused = 0;
    for (uint32_t k = 0; k < 100; k++) {
        support += datasets_metrics_class(metrics, k).support;
        for (uint32_t p = 0; p < 100; p++) confused += datasets_metrics_confusion(metrics, k, p);
    }
    if (r.n != n || support != n || confused != n) status = VITC_ERR_INTERNAL;
    *answers = (int)n;
    datasets_metrics_free(metrics);
    return status;
}

static void measuring_survives_without_memory(void **state)
{
    (void)state;
    int answers = 0;
    if (!MALLOC_FAIL_AVAILABLE) skip();
    assert_true(malloc_fail_each(measure_some, &answers) >= 8); /* the table grows five times */
    assert_int_equal(answers, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_in_closed_form),
        cmocka_unit_test(answers_rank_as_vit_top_k),
        cmocka_unit_test(losses_follow_the_scoring),
        cmocka_unit_test(wilson_intervals),
        cmocka_unit_test(mcnemar_exact),
        cmocka_unit_test(bins_are_open_below),
        cmocka_unit_test(calibration_errors_in_closed_form),
        cmocka_unit_test(calibrated_classifiers_look_calibrated),
        cmocka_unit_test(measures_are_scikit_learns),
        cmocka_unit_test(nothing_measured),
        cmocka_unit_test(few_classes),
        cmocka_unit_test(foreign_answers_are_refused),
        cmocka_unit_test(confusions_are_counted),
        cmocka_unit_test(many_classes),
        cmocka_unit_test(same_answers_same_bits),
        cmocka_unit_test(measuring_survives_without_memory),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
