/* What is done to patch rows and targets: erasing, mixing, smoothing. Rows are compared with what
 * the same does to a plain C x H x W tensor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "datasets.h"
#include "test_base_recorder.h"

enum { GRID_H = 3, GRID_W = 4, PATCH = 5, H = GRID_H * PATCH, W = GRID_W * PATCH, C = 3 };
enum { STRIDE = C * PATCH * PATCH + 6, ROWS = GRID_H * GRID_W, CLASSES = 4, PIXELS = H * W };

static const datasets_rows layout = {GRID_H, GRID_W, PATCH, STRIDE};

/* Rows of a tensor, numbers between rows being NaN, and the other way round. */
static void to_rows(float rows[ROWS * STRIDE], const float tensor[C * PIXELS])
{
    for (size_t i = 0; i < ROWS * STRIDE; i++) rows[i] = NAN;
    assert_int_equal(patches_extract_tensor(rows, STRIDE, tensor, H, W, PATCH, NULL), VITC_OK);
}

static void to_tensor(float tensor[C * PIXELS], const float rows[ROWS * STRIDE])
{
    for (size_t c = 0; c < C; c++)
        for (size_t y = 0; y < H; y++)
            for (size_t x = 0; x < W; x++)
                tensor[(c * H + y) * W + x] = rows[(y / PATCH * GRID_W + x / PATCH) * STRIDE +
                                                   (c * PATCH + y % PATCH) * PATCH + x % PATCH];
    for (size_t i = 0; i < ROWS; i++) /* what is between rows is nobody's */
        for (size_t k = C * PATCH * PATCH; k < STRIDE; k++)
            assert_true(isnan(rows[i * STRIDE + k]));
}

static void fill(float tensor[C * PIXELS], float from)
{
    for (size_t i = 0; i < C * PIXELS; i++) tensor[i] = from + (float)i;
}

/* ---- erasing ---- */

typedef struct box {
    size_t left, top, right, bottom, area;
} box;

/* The smallest rectangle around all pixels that differ. */
static box difference(const float *a, const float *b)
{
    box r = {W, H, 0, 0, 0};
    for (size_t y = 0; y < H; y++)
        for (size_t x = 0; x < W; x++) {
            if (a[y * W + x] == b[y * W + x]) continue;
            r.left = x < r.left ? x : r.left;
            r.right = x + 1 > r.right ? x + 1 : r.right;
            r.top = y < r.top ? y : r.top;
            r.bottom = y + 1 > r.bottom ? y + 1 : r.bottom;
            r.area++;
        }
    return r;
}

static void erasing_takes_one_rectangle(void **state)
{
    (void)state;
    enum { N = 20000 };
    datasets_augmentation a = datasets_augmentation_default(W, H);
    a.erase = 0.25;
    float before[C * PIXELS], after[C * PIXELS], rows[ROWS * STRIDE];
    fill(before, 1);
    size_t erased = 0, middle = 0;
    double share = 0, least = 1, most = 0;
    for (uint64_t i = 0; i < N; i++) {
        to_rows(rows, before);
        datasets_erase_rows(rows, &layout, &a, 1, 0, i);
        to_tensor(after, rows);
        const box r = difference(before, after);
        if (r.area == 0) continue;
        assert_int_equal(r.area, (r.right - r.left) * (r.bottom - r.top)); /* all of it */
        for (size_t k = 0; k < C * PIXELS; k++) assert_true(after[k] == before[k] || after[k] == 0);
        for (size_t c = 1; c < C; c++) {
            const box other = difference(before + c * PIXELS, after + c * PIXELS);
            assert_memory_equal(&other, &r, sizeof r);
        }
        const double part = (double)r.area / PIXELS;
        share += part;
        least = fmin(least, part);
        most = fmax(most, part);
        middle += after[H / 2 * W + W / 2] == 0;
        erased++;
    }
    assert_true(fabs((double)erased - 0.25 * N) < 5 * sqrt(0.1875 * N));
    assert_true(least >= 0.01 && least < 0.03 && most > 0.3 && most <= 0.36);
    assert_true(fabs(share / (double)erased - 0.1718) < 0.007); /* less than the mean, 0.177: large
                                                                 ones fit less often */
    assert_true(middle > erased / 10);
}

static void erasing_by_noise_is_normal(void **state)
{
    (void)state;
    enum { N = 3000 };
    datasets_augmentation a = datasets_augmentation_default(W, H);
    a.erase = 1;
    a.erase_noise = true;
    float before[C * PIXELS], after[C * PIXELS], rows[ROWS * STRIDE];
    fill(before, 100);
    double sum = 0, squares = 0;
    size_t count = 0;
    for (uint64_t i = 0; i < N; i++) {
        to_rows(rows, before);
        datasets_erase_rows(rows, &layout, &a, 1, 0, i);
        to_tensor(after, rows);
        for (size_t k = 0; k < C * PIXELS; k++) {
            if (after[k] == before[k]) continue;
            sum += (double)after[k];
            squares += (double)after[k] * (double)after[k];
            count++;
        }
    }
    const double n = (double)count;
    assert_true(count > N * 60);
    assert_true(fabs(sum / n) < 5 / sqrt(n) && fabs(squares / n - 1) < 5 * sqrt(2 / n));
}

/* ---- targets ---- */

static void targets_are_smoothed(void **state)
{
    (void)state;
    float targets[CLASSES];
    datasets_targets_fill(targets, CLASSES, 2, 0);
    for (uint32_t k = 0; k < CLASSES; k++) assert_true(targets[k] == (k == 2 ? 1.0f : 0.0f));
    datasets_targets_fill(targets, CLASSES, 0, 0.1);
    for (uint32_t k = 0; k < CLASSES; k++)
        assert_true(fabs((double)targets[k] - (k == 0 ? 0.925 : 0.025)) < 1e-7);
}

/* ---- mixing ---- */

typedef struct pair {
    float a[C * PIXELS], b[C * PIXELS], targets_a[CLASSES], targets_b[CLASSES];
} pair;

static pair mix(const pair *before, const datasets_mixing *m, uint64_t number)
{
    float rows_a[ROWS * STRIDE], rows_b[ROWS * STRIDE];
    pair after = *before;
    assert_int_equal(datasets_mixing_check(m, NULL), VITC_OK);
    to_rows(rows_a, before->a);
    to_rows(rows_b, before->b);
    datasets_mix_pair(rows_a, rows_b, after.targets_a, after.targets_b, &layout, CLASSES, m, 1, 0,
                      number);
    to_tensor(after.a, rows_a);
    to_tensor(after.b, rows_b);
    return after;
}

/* Labels 0 and 1; the share that image a keeps of itself is its target 0. */
static pair make_pair(void)
{
    pair p;
    fill(p.a, 1);
    fill(p.b, -10000);
    datasets_targets_fill(p.targets_a, CLASSES, 0, 0);
    datasets_targets_fill(p.targets_b, CLASSES, 1, 0);
    return p;
}

static void expect_targets(const pair *p, double kept)
{
    const double a[CLASSES] = {kept, 1 - kept}, b[CLASSES] = {1 - kept, kept};
    for (size_t k = 0; k < CLASSES; k++)
        assert_true(fabs((double)p->targets_a[k] - a[k]) < 1e-6 &&
                    fabs((double)p->targets_b[k] - b[k]) < 1e-6);
}

static void mixup_blends(void **state)
{
    (void)state;
    enum { N = 4000 };
    const pair before = make_pair();
    const datasets_mixing m = {.mixup = 0.8, .probability = 1};
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < N; i++) {
        const pair after = mix(&before, &m, i);
        const double kept = (double)after.targets_a[0];
        expect_targets(&after, kept);
        for (size_t k = 0; k < C * PIXELS; k++) {
            const double x = (double)before.a[k], y = (double)before.b[k];
            assert_true(fabs((double)after.a[k] - (kept * x + (1 - kept) * y)) < 0.01);
            assert_true(fabs((double)after.b[k] - (kept * y + (1 - kept) * x)) < 0.01);
        }
        sum += kept;
        squares += (kept - 0.5) * (kept - 0.5);
    }
    const double variance = 1 / (4 * (2 * 0.8 + 1)); /* of Beta(0.8, 0.8) */
    assert_true(fabs(sum / N - 0.5) < 5 * sqrt(variance / N));
    assert_true(fabs(squares / N - variance) < 0.01);
}

static void cutmix_exchanges_a_rectangle(void **state)
{
    (void)state;
    enum { N = 4000 };
    const pair before = make_pair();
    const datasets_mixing m = {.cutmix = 1, .probability = 1};
    double sum = 0;
    size_t inside = 0;
    for (uint64_t i = 0; i < N; i++) {
        const pair after = mix(&before, &m, i);
        const box r = difference(before.a, after.a), other = difference(before.b, after.b);
        assert_int_equal(r.area, r.area == 0 ? 0 : (r.right - r.left) * (r.bottom - r.top));
        assert_memory_equal(&r, &other, sizeof r);
        for (size_t k = 0; k < C * PIXELS; k++) {
            const size_t x = k % W, y = k / W % H;
            const bool cut = x >= r.left && x < r.right && y >= r.top && y < r.bottom;
            assert_true(after.a[k] == (cut ? before.b[k] : before.a[k]));
            assert_true(after.b[k] == (cut ? before.a[k] : before.b[k]));
        }
        expect_targets(&after, 1 - (double)r.area / PIXELS);
        sum += (double)r.area / PIXELS;
        inside += r.area > 0 && r.left > 0 && r.top > 0 && r.right < W && r.bottom < H;
    }
    /* By simulation of the rule: 0.2816 of the area, and 0.15 of the rectangles inside. */
    assert_true(fabs(sum / N - 0.2816) < 0.02);
    assert_true(fabs((double)inside - 0.15 * N) < 5 * sqrt(0.1275 * N));
}

static void chances_choose_the_kind(void **state)
{
    (void)state;
    enum { N = 5000 };
    const pair before = make_pair();
    const datasets_mixing m = {.mixup = 1, .cutmix = 1, .probability = 0.6, .cut = 0.25};
    size_t none = 0, cut = 0;
    for (uint64_t i = 0; i < N; i++) {
        const pair after = mix(&before, &m, i);
        const bool corner = after.a[0] == before.a[0] || after.a[0] == before.b[0];
        const bool same = memcmp(&before, &after, sizeof before) == 0;
        none += same;
        cut += corner && !same;
    }
    /* of CutMix's rectangles about 2 % have no pixel */
    assert_true((double)none > 0.4 * N - 5 * sqrt(0.24 * N));
    assert_true((double)none < 0.42 * N + 5 * sqrt(0.24 * N));
    assert_true(fabs((double)cut - 0.15 * N) < 0.01 * N + 5 * sqrt(0.1275 * N));
    const datasets_mixing never[] = {{.mixup = 1, .cutmix = 1, .probability = 0, .cut = 0.5},
                                     {.probability = 1, .cut = 0.5},
                                     {.cutmix = 0, .probability = 1, .cut = 1}};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        for (uint64_t k = 0; k < 50; k++) {
            const pair after = mix(&before, &never[i], k);
            assert_memory_equal(&before, &after, sizeof before);
        }
}

static void pairs_repeat_and_differ(void **state)
{
    (void)state;
    const pair before = make_pair();
    const datasets_mixing m = datasets_mixing_default();
    const pair a = mix(&before, &m, 3), again = mix(&before, &m, 3), b = mix(&before, &m, 4);
    assert_memory_equal(&a, &again, sizeof a);
    assert_true(memcmp(&a, &b, sizeof a) != 0);
}

static void bad_numbers_are_named(void **state)
{
    (void)state;
    static const double values[] = {NAN, -1, INFINITY, 1e9};
    datasets_mixing bad = datasets_mixing_default();
    double *const fields[] = {&bad.mixup, &bad.cutmix, &bad.probability, &bad.cut};
    for (size_t f = 0; f < 4; f++)
        for (size_t v = 0; v < 4; v++) {
            log_recorder r;
            const vitc_log log = log_recorder_start(&r);
            bad = datasets_mixing_default();
            *fields[f] = values[v];
            assert_int_equal(datasets_mixing_check(&bad, &log), VITC_ERR_ARGUMENT);
            assert_int_equal(r.messages, 1);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(erasing_takes_one_rectangle),
                                       cmocka_unit_test(erasing_by_noise_is_normal),
                                       cmocka_unit_test(targets_are_smoothed),
                                       cmocka_unit_test(mixup_blends),
                                       cmocka_unit_test(cutmix_exchanges_a_rectangle),
                                       cmocka_unit_test(chances_choose_the_kind),
                                       cmocka_unit_test(pairs_repeat_and_differ),
                                       cmocka_unit_test(bad_numbers_are_named)};
    return cmocka_run_group_tests_name("mix", tests, NULL, NULL);
}
