/* How alike two tables of positions are: hand-made ones whose likeness is known. */
#include <math.h>
#include <stdlib.h>

#include "test_malloc_fail.h"
#include "test_patches_support.h"
#include "vitc_random.h"

static const vitc_log silent = {0};

enum { G = 5, N = G * G, D = 12 };

static void fill_random(float *table, size_t count, uint64_t which)
{
    vitc_random random = vitc_random_start(3, VITC_RANDOM_TEST, 0, which);
    for (size_t i = 0; i < count; i++) table[i] = (float)vitc_random_normal(&random);
}

static patches_likeness likeness(const patches_position *a, const patches_position *b)
{
    patches_likeness l;
    assert_int_equal(patches_position_compare(&l, NULL, NULL, a, b, 0, 0, &silent), VITC_OK);
    return l;
}

static void near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%.12g, expected %.12g +- %g", value, expected, tolerance);
}

/* ---- the same but for turning ---- */

static void identical(void **state)
{
    (void)state;
    static float table[N * D];
    fill_random(table, N * D, 0);
    const patches_position position = table_view(table, G, G, D);
    const patches_likeness l = likeness(&position, &position);
    near(l.cka, 1, 1e-12);
    near(l.cosines, 1, 1e-12);
}

/* Scaled, shifted by a common offset, turned in every pair of features by exact rational angles
 * (3/5, 4/5), and with a feature of zeros more: nothing of that is seen. Numbers are small whole
 * ones, so that the second table is exact too. */
static void turned(void **state)
{
    (void)state;
    static float table[N * D], other[N * (D + 1)];
    vitc_random random = vitc_random_start(3, VITC_RANDOM_TEST, 1, 0);
    for (size_t i = 0; i < N * D; i++) table[i] = (float)vitc_random_below(&random, 200);
    for (size_t p = 0; p < N; p++)
        for (size_t d = 0; d < D; d += 2) {
            const float x = table[p * D + d], y = table[p * D + d + 1];
            other[p * (D + 1) + d] = 3 * x - 4 * y + 100;
            other[p * (D + 1) + d + 1] = 4 * x + 3 * y - 50;
        }
    const patches_position a = table_view(table, G, G, D), b = table_view(other, G, G, D + 1);
    const patches_likeness l = likeness(&a, &b), back = likeness(&b, &a);
    near(l.cka, 1, 1e-12);
    near(l.cosines, 1, 1e-12);
    near(back.cka, l.cka, 1e-15);
    /* Features scaled unlike are seen. */
    for (size_t p = 0; p < N; p++) other[p * (D + 1)] *= 3;
    assert_true(likeness(&a, &b).cka < 0.9);
}

/* ---- by hand ---- */

/* Four patches with one number each: x = (1, 1, -1, -1), y = (1, -1, 1, -1), z = x + y = (2, 0, 0,
 * -2). The CKA of single features is their squared correlation: x and y 0, x and z 1/2. */
static void of_one_feature(void **state)
{
    (void)state;
    static const float x[4] = {1, 1, -1, -1}, y[4] = {1, -1, 1, -1}, z[4] = {2, 0, 0, -2};
    const patches_position a = table_view(x, 2, 2, 1), b = table_view(y, 2, 2, 1);
    const patches_position c = table_view(z, 2, 2, 1);
    near(likeness(&a, &b).cka, 0, 1e-12);
    near(likeness(&a, &c).cka, 0.5, 1e-12);
    /* Cosines of the six pairs: 1 -1 -1 -1 -1 1 and -1 1 -1 -1 1 -1, whose correlation is -1/2. */
    near(likeness(&a, &b).cosines, -0.5, 1e-12);
    near(patches_position_rms(&a), 1, 1e-15);
    near(patches_position_rms(&c), sqrt(2), 1e-15);
}

/* ---- by chance ---- */

static void random_tables_are_near_chance(void **state)
{
    (void)state;
    enum { SHUFFLES = 199 };
    static float first[N * D], second[N * D];
    fill_random(first, N * D, 4);
    fill_random(second, N * D, 5);
    const patches_position a = table_view(first, G, G, D), b = table_view(second, G, G, D);
    patches_likeness l, chance, limit, again[2];
    assert_int_equal(patches_position_compare(&l, &chance, &limit, &a, &b, SHUFFLES, 1, &silent),
                     VITC_OK);
    near(l.cka, chance.cka, limit.cka - chance.cka);
    near(l.cosines, 0, limit.cosines);
    near(chance.cosines, 0, 0.02);
    assert_true(chance.cka > 0.1 && chance.cka < limit.cka && limit.cka < 0.6);
    assert_int_equal(
        patches_position_compare(&l, &again[0], &again[1], &a, &b, SHUFFLES, 1, &silent), VITC_OK);
    assert_memory_equal(&again[0], &chance, sizeof chance);
    assert_memory_equal(&again[1], &limit, sizeof limit);
    assert_int_equal(
        patches_position_compare(&l, &again[0], &again[1], &a, &b, SHUFFLES, 2, &silent), VITC_OK);
    assert_true(again[0].cka != chance.cka);
    /* The same table is far beyond it. */
    assert_int_equal(patches_position_compare(&l, &chance, &limit, &a, &a, SHUFFLES, 1, &silent),
                     VITC_OK);
    assert_true(l.cka > limit.cka + 0.3 && l.cosines > limit.cosines + 0.3);
}

static void prefix_slots_do_not_count(void **state)
{
    (void)state;
    static float table[(1 + N) * D];
    fill_random(table, (1 + N) * D, 6);
    for (size_t d = 0; d < D; d++) table[d] = 1e6f;
    patches_position with = table_view(table, G, G, D);
    with.prefix = 1;
    const patches_position without = table_view(table + D, G, G, D);
    near(likeness(&with, &without).cka, 1, 1e-12);
    near(patches_position_rms(&with), patches_position_rms(&without), 0);
}

/* ---- what has no numbers ---- */

static void without_differences(void **state)
{
    (void)state;
    static float flat[N * D], table[N * D];
    fill_random(table, N * D, 7);
    const patches_position a = table_view(flat, G, G, D), b = table_view(table, G, G, D);
    patches_likeness l, chance, limit;
    assert_int_equal(patches_position_compare(&l, &chance, &limit, &a, &b, 19, 0, &silent),
                     VITC_OK);
    assert_true(isnan(l.cka) && isnan(l.cosines) && isnan(chance.cka) && isnan(limit.cosines));
}

static void wrong_arguments(void **state)
{
    (void)state;
    static const float table[12] = {0};
    const patches_position a = table_view(table, 3, 4, 1), b = table_view(table, 4, 3, 1);
    patches_position none = a;
    patches_likeness l;
    capture c;
    vitc_log log = capture_log(&c);
    assert_int_equal(patches_position_compare(&l, NULL, NULL, &a, &b, 0, 0, &log),
                     VITC_ERR_ARGUMENT);
    capture_expect(&c, "3x4 and 4x3");
    log = capture_log(&c);
    assert_int_equal(patches_position_compare(&l, &l, NULL, &a, &a, 9, 0, &log), VITC_ERR_ARGUMENT);
    capture_expect(&c, "limit");
    log = capture_log(&c);
    assert_int_equal(patches_position_compare(&l, &l, &l, &a, &a, 0, 0, &log), VITC_ERR_ARGUMENT);
    capture_expect(&c, "shuffles");
    log = capture_log(&c);
    none.kind = PATCHES_POSITION_ROPE_2D;
    assert_int_equal(patches_position_compare(&l, NULL, NULL, &a, &none, 0, 0, &log),
                     VITC_ERR_ARGUMENT);
    capture_expect(&c, "no table");
}

static vitc_status attempt(void *user)
{
    patches_likeness l, chance, limit;
    return patches_position_compare(&l, &chance, &limit, user, user, 3, 0, &silent);
}

static void survives_without_memory(void **state)
{
    (void)state;
    static const float table[4] = {1, 2, 3, 5};
    patches_position position = table_view(table, 2, 2, 1);
    malloc_fail_each(attempt, &position);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identical),
        cmocka_unit_test(turned),
        cmocka_unit_test(of_one_feature),
        cmocka_unit_test(random_tables_are_near_chance),
        cmocka_unit_test(prefix_slots_do_not_count),
        cmocka_unit_test(without_differences),
        cmocka_unit_test(wrong_arguments),
        cmocka_unit_test(survives_without_memory),
    };
    return cmocka_run_group_tests_name("comparison of positions", tests, NULL, NULL);
}
