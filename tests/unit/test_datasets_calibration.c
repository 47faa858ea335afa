/* The temperature of a classifier: reference values, scipy's minima (tests/golden/metrics), and
 * what must hold at any minimum. */
#include "datasets_private.h"
#include "test_metrics_golden.h"

static const datasets_scoring plain = {.temperature = 1};
static const datasets_scoring independent = {.independent = true, .temperature = 1};

static bool near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance;
}

static datasets_temperature fit(const float *logits, const uint32_t *labels, size_t n,
                                uint32_t classes, const datasets_scoring *scoring)
{
    datasets_temperature found;
    assert_int_equal(datasets_temperature_fit(&found, logits, labels, n, classes, scoring, NULL),
                     VITC_OK);
    return found;
}

static const float reference_logits[] = {2, 0,    -1,   0.5f, 1.5f, 0, 0, 3, 1,
                                         1, 1.2f, 0.8f, 4,    0,    0, 0, 0, 2.5f};
static const uint32_t reference_labels[] = {0, 1, 2, 1, 0, 2};

static void reference_values(void **state)
{
    (void)state;
    const datasets_temperature found = fit(reference_logits, reference_labels, 6, 3, &plain);
    /* They were computed from 1.2 and 0.8 in double. */
    assert_true(near(1 / found.temperature, .94433762, 1e-8));
    assert_true(near(found.temperature, 1.05894331, 1e-8));
    assert_true(near(found.nll_before, .65065782, 5e-9));
    assert_true(near(found.nll_after, .64979765, 5e-9));
    assert_false(found.at_limit);
}

static void minima_are_scipys(void **state)
{
    (void)state;
    for (size_t c = 0; c < GOLDEN_COUNT; c++) {
        golden g = golden_open(golden_names[c]);
        const datasets_temperature found = fit(g.logits, g.labels, g.n, g.classes, &g.scoring);
        golden_check(&g, "loss", found.nll_before, 1e-12);
        golden_check(&g, "fitted_loss", found.nll_after, 1e-12);
        /* scipy looks at values of the loss only, which near a minimum say half as many digits. */
        golden_check(&g, "fitted_temperature", found.temperature, 1e-6 * found.temperature);
        assert_false(found.at_limit);
        golden_close(&g);
    }
}

static void derivatives_are_differences(void **state)
{
    (void)state;
    golden g = golden_open("independent");
    for (int kind = 0; kind < 2; kind++)
        for (size_t i = 0; i < g.n; i++)
            for (int e = -2; e <= 1; e++) {
                const double b = ldexp(1, e), h = 1e-4 * b;
                datasets_loss at[3];
                for (int s = 0; s < 3; s++)
                    at[s] = datasets_loss_row(g.logits + i * g.classes, g.classes, g.labels[i],
                                              kind == 1, b + (s - 1) * h);
                assert_true(near((at[2].value - at[0].value) / (2 * h), at[1].slope, 1e-5));
                assert_true(near((at[2].slope - at[0].slope) / (2 * h), at[1].curvature, 1e-5));
                assert_true(at[1].curvature >= 0); /* convex */
            }
    golden_close(&g);
}

/* At the minimum the slope is 0; logits that are c times as large need c times the temperature; and
 * a constant more in all logits of an image changes nothing for softmax. */
static void minima_are_minima(void **state)
{
    (void)state;
    for (size_t c = 0; c < GOLDEN_COUNT; c++) {
        golden g = golden_open(golden_names[c]);
        const double t = fit(g.logits, g.labels, g.n, g.classes, &g.scoring).temperature;
        double slope = 0, size = 0;
        for (size_t i = 0; i < g.n; i++) {
            const datasets_loss row = datasets_loss_row(g.logits + i * g.classes, g.classes,
                                                        g.labels[i], g.scoring.independent, 1 / t);
            slope += row.slope;
            size += fabs(row.slope);
        }
        assert_true(fabs(slope) < 1e-12 * size);
        for (int e = -6; e <= 6; e += 3) {
            float *scaled = calloc(g.n * g.classes, sizeof *scaled);
            assert_non_null(scaled);
            for (size_t i = 0; i < g.n * g.classes; i++) {
                scaled[i] = ldexpf(g.logits[i], e);
                if (!g.scoring.independent) scaled[i] += ldexpf((float)(i / g.classes % 3), e);
            }
            const double found = fit(scaled, g.labels, g.n, g.classes, &g.scoring).temperature;
            assert_true(near(found, ldexp(t, e), 1e-9 * ldexp(t, e)));
            free(scaled);
        }
        golden_close(&g);
    }
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*state >> 32);
}

/* Labels drawn by the scores at a temperature: it is found again. */
static void a_known_temperature_is_found(void **state)
{
    (void)state;
    enum { N = 20000, K = 5 };
    static float logits[N][K];
    static uint32_t labels[N];
    static const double temperatures[] = {0.4, 1, 2.5};
    for (size_t c = 0; c < 3; c++) {
        const vit_config config = {.classes = K, .temperature = (float)temperatures[c]};
        uint64_t seed = 9;
        for (size_t i = 0; i < N; i++) {
            float scores[K];
            for (int k = 0; k < K; k++) logits[i][k] = (float)(next_random(&seed) % 4096) / 1024;
            vit_scores_compute(&config, scores, logits[i]);
            double drawn = next_random(&seed) / 4294967296.0;
            labels[i] = 0;
            while (labels[i] < K - 1 && (drawn -= (double)scores[labels[i]]) >= 0) labels[i]++;
        }
        const datasets_temperature found = fit(logits[0], labels, N, K, &plain);
        assert_true(near(found.temperature, temperatures[c], 0.04 * temperatures[c]));
        assert_true(found.nll_after <= found.nll_before);
        /* It says so of a classifier that has this temperature already. */
        const datasets_scoring known = {.temperature = found.temperature};
        const datasets_temperature again = fit(logits[0], labels, N, K, &known);
        assert_true(again.temperature == found.temperature);
        assert_true(near(again.nll_before, again.nll_after, 1e-15));
    }
}

static void no_minimum_within_the_limits(void **state)
{
    (void)state;
    static const uint32_t labels[] = {0, 1, 2, 0};
    static const float right[] = {3, 1, 0, 0, 2, 1, 1, 0, 5, 2, 0, 1};
    static const float wrong[] = {0, 1, 3, 2, 0, 1, 4, 0, 0, 0, 2, 1};
    static const float equal[] = {1, 1, 1, -2, -2, -2, 0, 0, 0, 7, 7, 7};
    static const float huge[] = {3e38f, -3e38f, 0, 0, 3e38f, 0, 0, 0, 3e38f, 3e38f, 0, 0};
    static const float zeros[12] = {0};
    static const struct {
        const float *logits;
        double temperature, before, after; /* NaN: whatever it is */
        const datasets_scoring *scoring;
    } rows[] = {
        {right, 1e-3, NAN, 0, &plain},
        {wrong, 1e3, NAN, NAN, &plain},
        {equal, 1, 1.0986122886681098, 1.0986122886681098, &plain},
        {huge, 1, 0, 0, &plain},
        {zeros, 1, 3 * M_LN2, 3 * M_LN2, &independent},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const datasets_temperature found = fit(rows[i].logits, labels, 4, 3, rows[i].scoring);
        assert_true(found.at_limit);
        assert_true(near(found.temperature, rows[i].temperature, 1e-12));
        assert_true(isnan(rows[i].before) || near(found.nll_before, rows[i].before, 1e-12));
        assert_true(isnan(rows[i].after) || near(found.nll_after, rows[i].after, 1e-12));
        assert_true(found.nll_after <= found.nll_before);
    }
    /* One class has nothing to say. */
    static const uint32_t only[4] = {0};
    assert_true(fit(right, only, 4, 1, &plain).at_limit);
}

/* Some images wrong by far: the best temperature is large, and found. */
static void far_minima_are_found(void **state)
{
    (void)state;
    for (int e = -8; e <= 8; e++) {
        const float z = ldexpf(1, e); /* 3 of 4 right at T = z / log 3 */
        const float logits[] = {z, 0, z, 0, z, 0, z, 0};
        static const uint32_t labels[] = {0, 0, 0, 1};
        const datasets_temperature found = fit(logits, labels, 4, 2, &plain);
        assert_false(found.at_limit);
        assert_true(near(found.temperature * log(3), (double)z, 1e-10 * (double)z));
    }
}

static void keep_message(void *user, vitc_log_level level, const char *message)
{
    (void)level;
    snprintf(user, 256, "%s", message);
}

static void bad_samples_are_refused(void **state)
{
    (void)state;
    static const float logits[6] = {1, 2, 3, 4, 5, 6};
    static const float bad[2][6] = {{1, 2, 3, 4, NAN, 6}, {1, 2, INFINITY, 4, 5, 6}};
    static const uint32_t labels[2] = {0, 2}, beyond[2] = {0, 3};
    static const datasets_scoring none = {.temperature = 0}, endless = {.temperature = INFINITY};
    static const struct {
        const float *logits;
        const uint32_t *labels;
        size_t n;
        uint32_t classes;
        const datasets_scoring *scoring;
        const char *says;
    } rows[] = {
        {logits, labels, 0, 3, &plain, "no images"},
        {logits, labels, 2, 0, &plain, "no images"},
        {logits, beyond, 2, 3, &plain, "image 1 to fit a temperature on is of class 3 of only 3"},
        {bad[0], labels, 2, 3, &plain, "image 1 to fit a temperature on has the logit nan"},
        {bad[1], labels, 2, 3, &plain, "for class 2"},
        {logits, labels, 2, 3, &none, "temperature 0"},
        {logits, labels, 2, 3, &endless, "temperature inf"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char message[256] = "";
        const vitc_log log = {keep_message, message};
        datasets_temperature found;
        assert_int_equal(datasets_temperature_fit(&found, rows[i].logits, rows[i].labels, rows[i].n,
                                                  rows[i].classes, rows[i].scoring, &log),
                         VITC_ERR_ARGUMENT);
        if (strstr(message, rows[i].says) == NULL) fail_msg("row %zu says: %s", i, message);
        assert_true(found.temperature == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_values),
        cmocka_unit_test(minima_are_scipys),
        cmocka_unit_test(derivatives_are_differences),
        cmocka_unit_test(minima_are_minima),
        cmocka_unit_test(a_known_temperature_is_found),
        cmocka_unit_test(no_minimum_within_the_limits),
        cmocka_unit_test(far_minima_are_found),
        cmocka_unit_test(bad_samples_are_refused),
    };
    return cmocka_run_group_tests_name("calibration", tests, NULL, NULL);
}
