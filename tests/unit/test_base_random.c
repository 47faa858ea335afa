/* Random numbers by counting: Philox against its published vectors, streams that are repeatable and
 * apart from each other, and the distributions of what is made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "vitc_math.h"
#include "vitc_random.h"

static vitc_random stream(uint64_t index)
{
    return vitc_random_start(20110911, VITC_RANDOM_TEST, 0, index);
}

/* ---- the generator ---- */

/* Random123, examples/kat_vectors: philox4x32, 10 rounds. */
static void published_vectors(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
                 {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                  {0xffffffff, 0xffffffff},
                  {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
                 {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                  {0xa4093822, 0x299f31d0},
                  {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t out[4];
        vitc_random_philox(out, cases[i].counter, cases[i].key);
        assert_memory_equal(out, cases[i].out, sizeof out);
    }
}

/* Checkpoints and runs of earlier versions are repeated only while this holds. */
static void numbers_do_not_change(void **state)
{
    (void)state;
    vitc_random a =
        vitc_random_start(0x0123456789ABCDEF, VITC_RANDOM_AUGMENT, 7, 0xFEDCBA9876543210);
    const uint32_t counter[4] = {0, 0x02000007, 0x76543210, 0xFEDCBA98};
    const uint32_t next[4] = {1, 0x02000007, 0x76543210, 0xFEDCBA98};
    const uint32_t key[2] = {0x89ABCDEF, 0x01234567};
    uint32_t block[4];
    vitc_random_philox(block, counter, key);
    for (int i = 3; i >= 0; i--) assert_true(vitc_random_word(&a) == block[i]);
    vitc_random_philox(block, next, key);
    for (int i = 3; i >= 0; i--) assert_true(vitc_random_word(&a) == block[i]);
}

static void each_part_of_the_name_makes_another_stream(void **state)
{
    (void)state;
    vitc_random streams[] = {vitc_random_start(1, VITC_RANDOM_INIT, 0, 0),
                             vitc_random_start(2, VITC_RANDOM_INIT, 0, 0),
                             vitc_random_start((uint64_t)1 << 32, VITC_RANDOM_INIT, 0, 0),
                             vitc_random_start(1, VITC_RANDOM_SHUFFLE, 0, 0),
                             vitc_random_start(1, VITC_RANDOM_INIT, 1, 0),
                             vitc_random_start(1, VITC_RANDOM_INIT, 0xFFFFFF, 0),
                             vitc_random_start(1, VITC_RANDOM_INIT, 0, 1),
                             vitc_random_start(1, VITC_RANDOM_INIT, 0, (uint64_t)1 << 32)};
    enum { COUNT = sizeof streams / sizeof *streams };
    uint32_t words[COUNT][8];
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < 8; k++) words[i][k] = vitc_random_word(&streams[i]);
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < i; j++)
            for (size_t k = 0; k < 8; k++) assert_true(words[i][k] != words[j][k]);
}

/* ---- distributions: bounds of 5 standard deviations, fixed seeds ---- */

static void uniform_numbers(void **state)
{
    (void)state;
    enum { N = 200000, BINS = 64 };
    vitc_random random = stream(1);
    size_t bins[BINS] = {0};
    double sum = 0, product = 0, before = 0;
    for (size_t i = 0; i < N; i++) {
        const double u = vitc_random_uniform(&random);
        assert_true(u >= 0 && u < 1);
        bins[(size_t)(u * BINS)]++;
        sum += u;
        product += (u - 0.5) * (before - 0.5);
        before = u;
    }
    double chi = 0;
    for (size_t i = 0; i < BINS; i++) {
        const double off = (double)bins[i] - N / (double)BINS;
        chi += off * off / (N / (double)BINS);
    }
    assert_true(fabs(chi - (BINS - 1)) < 5 * sqrt(2.0 * (BINS - 1)));
    assert_true(fabs(sum / N - 0.5) < 5 / sqrt(12.0 * N));
    assert_true(fabs(product / N) < 5 / (12 * sqrt((double)N))); /* neighbours do not know */
}

static void bounded_numbers_are_fair(void **state)
{
    (void)state;
    enum { N = 90000 };
    static const uint64_t bounds[] = {1, 2, 3, 6, 7, 100, 1000};
    for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
        size_t counts[1000] = {0};
        const double n = (double)bounds[b];
        vitc_random random = stream(100 + b);
        for (size_t i = 0; i < N; i++) {
            const uint64_t x = vitc_random_below(&random, bounds[b]);
            assert_true(x < bounds[b]);
            counts[x]++;
        }
        double chi = 0;
        for (size_t i = 0; i < bounds[b]; i++) {
            const double off = (double)counts[i] - N / n;
            chi += off * off / (N / n);
        }
        assert_true(fabs(chi - (n - 1)) <= 5 * sqrt(2 * (n - 1)));
    }
    /* Of 2/3 of all 64-bit numbers the lower half would come twice as often without rejection. */
    const uint64_t large = UINT64_MAX / 3 * 2;
    size_t low = 0;
    vitc_random random = stream(200);
    for (size_t i = 0; i < N; i++) low += vitc_random_below(&random, large) < large / 2;
    assert_true(fabs((double)low - N / 2.0) < 5 * sqrt(N / 4.0));
}

static void chances(void **state)
{
    (void)state;
    enum { N = 100000 };
    vitc_random random = stream(300);
    size_t hits = 0, below_one = 0;
    for (size_t i = 0; i < N; i++) {
        assert_false(vitc_random_chance(&random, 0));
        assert_true(vitc_random_chance(&random, 1));
        hits += vitc_random_chance(&random, 0.3);
        const double x = vitc_random_between(&random, -2, 0.5);
        assert_true(x >= -2 && x <= 0.5);
        assert_true(vitc_random_between(&random, 0.1, 0.1) == 0.1);
        const double y = vitc_random_between_logs(&random, 0.25, 4);
        assert_true(y >= 0.25 && y <= 4);
        below_one += y < 1;
    }
    assert_true(fabs((double)hits - 0.3 * N) < 5 * sqrt(0.21 * N));
    assert_true(fabs((double)below_one - 0.5 * N) < 5 * sqrt(0.25 * N));
}

static void normal_numbers(void **state)
{
    (void)state;
    enum { N = 400000 };
    vitc_random random = stream(2);
    double power[5] = {0};
    size_t within = 0, beyond = 0;
    for (size_t i = 0; i < N; i++) {
        const double x = vitc_random_normal(&random);
        for (int k = 1; k <= 4; k++) power[k] += pow(x, k) / N;
        within += fabs(x) < 0.674489750196; /* half of them */
        beyond += x > 3;                    /* 0.00134990 */
    }
    const double root = sqrt((double)N);
    assert_true(fabs(power[1]) < 5 / root);
    assert_true(fabs(power[2] - 1) < 5 * sqrt(2) / root);
    assert_true(fabs(power[3]) < 5 * sqrt(15) / root);
    assert_true(fabs(power[4] - 3) < 5 * sqrt(96) / root);
    assert_true(fabs((double)within - N / 2.0) < 5 * sqrt(N / 4.0));
    assert_true(fabs((double)beyond - 0.0013499 * N) < 5 * sqrt(0.00135 * N));
}

/* Beta's mean is a / (a + b), its variance a b / ((a + b)^2 (a + b + 1)). */
static void beta_numbers(void **state)
{
    (void)state;
    enum { N = 60000 };
    static const double shapes[][2] = {{1, 1}, {0.8, 0.8}, {0.2, 0.2},
                                       {5, 2}, {0.4, 3},   {0.01, 0.01}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const double a = shapes[s][0], b = shapes[s][1];
        const double mean = a / (a + b), variance = a * b / ((a + b) * (a + b) * (a + b + 1));
        vitc_random random = stream(400 + s);
        double sum = 0, squares = 0, fourth = 0;
        for (size_t i = 0; i < N; i++) {
            const double x = vitc_random_beta(&random, a, b);
            assert_true(x >= 0 && x <= 1);
            const double square = (x - mean) * (x - mean);
            sum += x;
            squares += square;
            fourth += square * square;
        }
        assert_true(fabs(sum / N - mean) < 5 * sqrt(variance / N));
        assert_true(fabs(squares / N - variance) <
                    5 * sqrt((fourth / N - variance * variance) / N) + 1e-12);
    }
    /* Beta(1, 1) is uniform, Beta(0.5, 0.5) the arc sine's */
    size_t uniform = 0, arc = 0;
    vitc_random random = stream(500);
    for (size_t i = 0; i < N; i++) {
        uniform += vitc_random_beta(&random, 1, 1) < 0.25;
        arc += vitc_random_beta(&random, 0.5, 0.5) < 0.25; /* 2 / pi asin sqrt x = 1/3 */
    }
    assert_true(fabs((double)uniform - N / 4.0) < 5 * sqrt(N * 3 / 16.0));
    assert_true(fabs((double)arc - N / 3.0) < 5 * sqrt(N * 2 / 9.0));
}

static void permutations_are_fair(void **state)
{
    (void)state;
    enum { N = 48000 };
    size_t counts[24] = {0};
    for (size_t i = 0; i < N; i++) {
        vitc_random random = stream(1000 + i);
        uint32_t order[4];
        size_t code = 0;
        vitc_random_permutation(order, 4, &random);
        for (size_t k = 0; k < 4; k++) {
            size_t smaller = 0;
            for (size_t j = k + 1; j < 4; j++) smaller += order[j] < order[k];
            code = code * (4 - k) + smaller;
        }
        assert_true(code < 24);
        counts[code]++;
    }
    double chi = 0;
    for (size_t i = 0; i < 24; i++) {
        const double off = (double)counts[i] - N / 24.0;
        chi += off * off / (N / 24.0);
    }
    assert_true(fabs(chi - 23) < 5 * sqrt(46.0));
}

static void permutations_hold_each_number_once(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 1000, 50000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint32_t *order = calloc(sizes[s] + 1, sizeof *order);
        unsigned char *seen = calloc(sizes[s] + 1, 1);
        assert_non_null(order);
        assert_non_null(seen);
        vitc_random random = stream(s);
        vitc_random_permutation(order, sizes[s], &random);
        size_t moved = 0;
        for (size_t i = 0; i < sizes[s]; i++) {
            assert_true(order[i] < sizes[s] && !seen[order[i]]);
            seen[order[i]] = 1;
            moved += order[i] != i;
        }
        if (sizes[s] >= 1000) assert_true(moved > sizes[s] - 20);
        free(order);
        free(seen);
    }
}

/* ---- the functions below them ---- */

static void is_near(double found, double expected, double ulps)
{
    if (fabs(found - expected) <= ulps * 0x1p-52 * fabs(expected)) return;
    fail_msg("%.17g instead of %.17g", found, expected);
}

static void logarithm_and_exponential(void **state)
{
    (void)state;
    vitc_random random = stream(3);
    assert_true(vitc_math_log(1) == 0);
    assert_true(vitc_math_exp(0) == 1);
    is_near(vitc_math_log(0x1p-1074), log(0x1p-1074), 2);
    is_near(vitc_math_log(0x1.fffffffffffffp-1), log(0x1.fffffffffffffp-1), 2);
    for (int i = 0; i < 100000; i++) {
        const double x = vitc_random_between(&random, -700, 700);
        is_near(vitc_math_exp(x), exp(x), 3);
        is_near(vitc_math_log(exp(x)), log(exp(x)), 2);
        const double near_one = vitc_random_between(&random, 0.5, 2);
        is_near(vitc_math_log(near_one), log(near_one), 3);
    }
}

static void sine_and_cosine(void **state)
{
    (void)state;
    double sine, cosine;
    vitc_math_sine_cosine(&sine, &cosine, 0);
    assert_true(sine == 0 && cosine == 1);
    vitc_random random = stream(4);
    for (int i = 0; i < 200000; i++) {
        const double x = vitc_random_between(&random, i % 2 ? -7 : -1e6, i % 2 ? 7 : 1e6);
        vitc_math_sine_cosine(&sine, &cosine, x);
        assert_true(fabs(sine - sin(x)) < 3e-16 && fabs(cosine - cos(x)) < 3e-16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(published_vectors),
                                       cmocka_unit_test(numbers_do_not_change),
                                       cmocka_unit_test(each_part_of_the_name_makes_another_stream),
                                       cmocka_unit_test(uniform_numbers),
                                       cmocka_unit_test(bounded_numbers_are_fair),
                                       cmocka_unit_test(chances),
                                       cmocka_unit_test(normal_numbers),
                                       cmocka_unit_test(beta_numbers),
                                       cmocka_unit_test(permutations_are_fair),
                                       cmocka_unit_test(permutations_hold_each_number_once),
                                       cmocka_unit_test(logarithm_and_exponential),
                                       cmocka_unit_test(sine_and_cosine)};
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
