/* What a table of positions holds: against numpy, and what can be worked out by hand. */
#include <math.h>
#include <stdlib.h>

#include "test_malloc_fail.h"
#include "test_patches_support.h"
#include "vitc_file.h"
#include "vitc_json.h"
#include "vitc_random.h"

static const vitc_log silent = {0};

static patches_structure measure(const patches_position *position)
{
    patches_structure s;
    assert_int_equal(patches_position_structure(&s, NULL, NULL, position, 0, 0, &silent), VITC_OK);
    return s;
}

static void near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%.12g, expected %.12g +- %g", value, expected, tolerance);
}

/* ---- against numpy ---- */

/* The formula of make_position_structure.py. */
static float *make_table(uint32_t height, uint32_t width, uint32_t depth, bool structured)
{
    float *table = malloc((size_t)height * width * depth * sizeof *table);
    assert_non_null(table);
    uint64_t i = 0;
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++)
            for (uint32_t d = 0; d < depth; d++, i++) {
                double value =
                    (double)((i * 2654435761u + 12345) % (UINT64_C(1) << 32) / 4096) / (1 << 20) -
                    0.5;
                if (structured)
                    value += (double)(y * (d + 1) % 5) / 8 + (double)(x * x % 7) / 8 * (d % 2);
                table[i] = (float)value;
            }
    return table;
}

static double number_of(const vitc_json *object, const char *key)
{
    const vitc_json *value = vitc_json_get(object, key);
    assert_true(vitc_json_is_number(value));
    return vitc_json_number(value, 0);
}

static void check_case(const vitc_json *c)
{
    /* numpy sums in another order and finds the rank by singular values. */
    const double tolerance = 1e-12;
    const uint32_t height = (uint32_t)number_of(c, "height");
    const uint32_t width = (uint32_t)number_of(c, "width");
    const uint32_t depth = (uint32_t)number_of(c, "depth");
    const size_t n = (size_t)height * width;
    float *table =
        make_table(height, width, depth, vitc_json_bool(vitc_json_get(c, "structured"), false));
    const patches_position position = table_view(table, height, width, depth);
    const patches_structure s = measure(&position);
    near(s.rows, number_of(c, "rows"), tolerance);
    near(s.columns, number_of(c, "columns"), tolerance);
    near(s.rest, number_of(c, "rest"), tolerance);
    near(s.shift, number_of(c, "shift"), tolerance);
    near(s.radial, number_of(c, "radial"), tolerance);
    near(s.row_neighbours, number_of(c, "row_neighbours"), tolerance);
    near(s.column_neighbours, number_of(c, "column_neighbours"), tolerance);
    near(s.anisotropy, number_of(c, "anisotropy"), tolerance);
    near(s.common, number_of(c, "common"), tolerance);
    near(s.effective_rank, number_of(c, "effective_rank"), 100 * tolerance);
    double *cosines = malloc(n * n * sizeof *cosines);
    assert_non_null(cosines);
    assert_int_equal(patches_position_similarity(cosines, &position, false, &silent), VITC_OK);
    near(cosines[n - 1], number_of(c, "cosine"), tolerance);
    assert_int_equal(patches_position_similarity(cosines, &position, true, &silent), VITC_OK);
    near(cosines[n - 1], number_of(c, "centred_cosine"), tolerance);
    free(cosines);
    free(table);
}

static void as_numpy_has_it(void **state)
{
    (void)state;
    unsigned char *text;
    size_t size;
    vitc_json *document;
    assert_int_equal(
        vitc_file_read(&text, &size, VITC_GOLDEN_DIR "/position_structure.json", 1 << 20, &silent),
        VITC_OK);
    assert_int_equal(vitc_json_parse(&document, (const char *)text, size, "golden", &silent),
                     VITC_OK);
    const vitc_json *cases = vitc_json_get(document, "cases");
    assert_true(vitc_json_size(cases) >= 6);
    for (size_t i = 0; i < vitc_json_size(cases); i++) check_case(vitc_json_at(cases, i));
    vitc_json_free(document);
    free(text);
}

/* ---- closed forms ---- */

/* Rows and columns have half of the variance each; the other numbers are measured ones, of MAE's
 * table of 8 x 8 and D = 64. */
static void fixed_table(void **state)
{
    (void)state;
    static float table[64 * 64];
    static double cosines[64 * 64];
    const patches_position position = {.kind = PATCHES_POSITION_SINCOS_2D,
                                       .grid_height = 8,
                                       .grid_width = 8,
                                       .width = 64,
                                       .table = table};
    patches_position_fill(table, &position, NULL, NULL);
    const patches_structure s = measure(&position);
    near(s.rows, 0.5, 1e-7);
    near(s.columns, 0.5, 1e-7);
    near(s.rest, 0, 0); /* without the rounding of a difference */
    near(s.shift, 0.962, 5e-4);
    near(s.radial, 0.894, 5e-4);
    near(s.anisotropy, 0, 1e-7);
    near(s.effective_rank, 4.875, 5e-4);
    /* Not centred, the cosine follows from the offset exactly: (1, 2) to (3, 3) as (5, 4) to
     * (7, 5). */
    assert_int_equal(patches_position_similarity(cosines, &position, false, &silent), VITC_OK);
    near(cosines[10 * 64 + 27], cosines[44 * 64 + 61], 1e-6);
    for (size_t p = 0; p < 64; p++) near(cosines[p * 64 + p], 1, 0);
    for (size_t i = 0; i < 64 * 64; i++) near(cosines[i], cosines[i % 64 * 64 + i / 64], 0);
}

/* All frequencies of a circle in both directions: every offset (on the circle, and so every bin)
 * has one cosine. */
static void shift_invariant(void **state)
{
    (void)state;
    enum { G = 6, WAVES = 3 };
    static float table[G * G * 4 * WAVES];
    const patches_position position = table_view(table, G, G, 4 * WAVES);
    for (int y = 0, i = 0; y < G; y++)
        for (int x = 0; x < G; x++)
            for (int k = 1; k <= WAVES; k++) {
                const double turn = 2 * 3.14159265358979323846 * k / G;
                table[i++] = (float)cos(turn * x);
                table[i++] = (float)sin(turn * x);
                table[i++] = (float)cos(turn * y);
                table[i++] = (float)sin(turn * y);
            }
    const patches_structure s = measure(&position);
    near(s.shift, 1, 1e-6);
    assert_true(s.radial < 0.99);
}

static void rows_alone_columns_alone_and_neither(void **state)
{
    (void)state;
    static float table[20 * 3];
    const patches_position position = table_view(table, 4, 5, 3);
    patches_position wide = position;
    for (int i = 0; i < 20 * 3; i++) table[i] = (float)((i / 15 * 7 + i % 3 * 3) % 5); /* of y */
    patches_structure s = measure(&position);
    near(s.rows, 1, 1e-12);
    near(s.columns, 0, 1e-12);
    assert_true(s.anisotropy > 0.1); /* neighbours in a row are the same */
    for (int i = 0; i < 20 * 3; i++) table[i] = (float)((i / 3 % 5 * 7 + i % 3 * 3) % 5);
    s = measure(&position);
    near(s.columns, 1, 1e-12);
    assert_true(s.anisotropy < -0.1);
    /* A chess board has no rows and no columns in the mean. */
    wide = table_view(table, 4, 4, 1);
    for (int i = 0; i < 16; i++) table[i] = (float)((i / 4 + i) % 2);
    s = measure(&wide);
    near(s.rows, 0, 1e-12);
    near(s.columns, 0, 1e-12);
    near(s.rest, 1, 1e-12);
    near(s.effective_rank, 1, 1e-12);
    near(s.anisotropy, 0, 1e-12);
    near(s.shift, 1, 1e-12);
}

/* Patches that have nothing in common: the centred table spreads evenly in n - 1 directions, and
 * all cosines are -1 / (n - 1). */
static void nothing_in_common(void **state)
{
    (void)state;
    static float table[12 * 12];
    static double cosines[12 * 12];
    const patches_position position = table_view(table, 3, 4, 12);
    for (int p = 0; p < 12; p++) table[13 * p] = 1;
    const patches_structure s = measure(&position);
    near(s.effective_rank, 11, 1e-9);
    near(s.common, 1.0 / 12, 1e-12);
    assert_true(isnan(s.shift) && isnan(s.radial)); /* nothing to explain */
    assert_int_equal(patches_position_similarity(cosines, &position, true, &silent), VITC_OK);
    near(cosines[5], -1.0 / 11, 1e-12);
    assert_int_equal(patches_position_similarity(cosines, &position, false, &silent), VITC_OK);
    near(cosines[5], 0, 0);
}

enum { G = 8, D = 32, PREFIX = 2 };

typedef struct numbers {
    patches_structure table, chance, limit;
} numbers;

static numbers compare(const patches_position *position)
{
    numbers n;
    assert_int_equal(
        patches_position_structure(&n.table, &n.chance, &n.limit, position, 199, 1, &silent),
        VITC_OK);
    assert_true(isnan(n.chance.effective_rank) && isnan(n.limit.effective_rank));
    assert_true(isnan(n.chance.common) && isnan(n.limit.common));
    return n;
}

static void fill_random(float *out, size_t count, uint64_t seed)
{
    vitc_random random = vitc_random_start(seed, VITC_RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < count; i++) out[i] = (float)vitc_random_normal(&random);
}

/* Shuffled tables have what random ones have in the mean: (g - 1) / (g^2 - 1) for rows and for
 * columns; a structured one is beyond their limit, a random one is not. */
static void by_chance(void **state)
{
    (void)state;
    static float table[(PREFIX + G * G) * D];
    patches_position position = {.kind = PATCHES_POSITION_SINCOS_2D,
                                 .grid_height = G,
                                 .grid_width = G,
                                 .width = D,
                                 .table = table};
    patches_position_fill(table, &position, NULL, NULL);
    position.kind = PATCHES_POSITION_LEARNED_1D; /* as if the same had been learned */
    numbers n = compare(&position);
    const double share = (double)(G - 1) / (G * G - 1);
    near(n.chance.rows, share, 0.02);
    near(n.chance.columns, share, 0.02);
    near(n.chance.rest, 1 - 2 * share, 0.04);
    near(n.chance.anisotropy, 0, 0.02);
    near(n.chance.row_neighbours, -1.0 / (G - 1), 0.05);
    near(n.chance.column_neighbours, -1.0 / (G - 1), 0.05);
    assert_true(n.table.rows > n.limit.rows && n.limit.rows > n.chance.rows);
    assert_true(n.table.shift > n.limit.shift && n.limit.shift > n.chance.shift);
    assert_true(n.table.radial > n.limit.radial && n.limit.radial > n.chance.radial);
    assert_true(n.table.row_neighbours > n.limit.row_neighbours);
    assert_true(n.table.column_neighbours > n.limit.column_neighbours);
    assert_true(n.table.anisotropy < n.limit.anisotropy);
    const numbers again = compare(&position);
    assert_memory_equal(&again.chance.rows, &n.chance.rows, sizeof n.chance.rows);
    assert_memory_equal(&again.limit.shift, &n.limit.shift, sizeof n.limit.shift);

    /* Slots of prefix tokens do not count, whatever they hold. */
    fill_random(table, (PREFIX + G * G) * D, 7);
    for (int i = 0; i < PREFIX * D; i++) table[i] = 1e6f;
    position.prefix = PREFIX;
    n = compare(&position);
    near(n.table.rows, share, 0.06);
    near(n.table.columns, share, 0.06);
    assert_true(n.table.common < 0.1);
    assert_true(n.table.shift < 1.5 * n.chance.shift);
    assert_true(n.table.row_neighbours < n.limit.row_neighbours);
    assert_true(n.chance.shift < n.limit.shift && n.limit.shift < 2 * n.chance.shift);
}

/* What is made of rows and columns has them, and much shift, without having learned anything:
 * chance is other orders of its rows and columns. */
static void rows_and_columns_by_construction(void **state)
{
    (void)state;
    static const patches_position_kind kinds[] = {PATCHES_POSITION_LEARNED_2D,
                                                  PATCHES_POSITION_FACTORIZED};
    static float table[G * G * D], rows[G * D], columns[G * D];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const patches_position position = {
            .kind = kinds[i], .grid_height = G, .grid_width = G, .width = D, .table = table};
        assert_true(patches_position_is_separable(kinds[i]));
        fill_random(rows, G * D, 2);
        fill_random(columns, G * D, 3);
        patches_position_fill(table, &position, rows, columns);
        numbers n = compare(&position);
        near(n.table.rows + n.table.columns, 1, 1e-9);
        near(n.table.rest, 0, 0);
        assert_true(isnan(n.chance.rows) && isnan(n.limit.rows) && isnan(n.limit.columns));
        assert_true(isnan(n.chance.rest));
        assert_true(n.table.shift > 0.6);
        assert_true(n.table.shift < n.limit.shift && n.table.radial < n.limit.radial);
        assert_true(n.table.row_neighbours < n.limit.row_neighbours);
        assert_true(n.table.column_neighbours < n.limit.column_neighbours);
        /* Rows that follow each other, columns still in any order. */
        for (int k = 0; k < G * D; k++)
            rows[k] = (float)cos(0.4 * (k / (kinds[i] == PATCHES_POSITION_LEARNED_2D ? D / 2 : D)) *
                                 (k % 2 + 1));
        patches_position_fill(table, &position, rows, columns);
        n = compare(&position);
        assert_true(n.table.row_neighbours > n.limit.row_neighbours);
        assert_true(n.table.column_neighbours < n.limit.column_neighbours);
    }
    assert_true(patches_position_is_separable(PATCHES_POSITION_SINCOS_2D));
    assert_false(patches_position_is_separable(PATCHES_POSITION_LEARNED_1D));
}

/* ---- what has no numbers ---- */

static void a_table_without_differences(void **state)
{
    (void)state;
    static float table[9 * 4];
    static double cosines[81];
    const patches_position position = table_view(table, 3, 3, 4);
    for (int i = 0; i < 36; i++) table[i] = 0.1f * (float)(1 + i % 4);
    patches_structure s, chance, limit;
    assert_int_equal(patches_position_structure(&s, &chance, &limit, &position, 19, 0, &silent),
                     VITC_OK);
    assert_true(isnan(s.rows) && isnan(s.rest) && isnan(s.shift) && isnan(s.effective_rank));
    assert_true(isnan(s.row_neighbours) && isnan(chance.rows) && isnan(limit.shift));
    near(s.common, 1, 1e-12);
    assert_int_equal(patches_position_similarity(cosines, &position, false, &silent), VITC_OK);
    near(cosines[8], 1, 1e-12);
    assert_int_equal(patches_position_similarity(cosines, &position, true, &silent), VITC_OK);
    for (int i = 0; i < 81; i++) near(cosines[i], 0, 0);
}

static void a_grid_of_one_row(void **state)
{
    (void)state;
    static const float table[6] = {1, 2, 4, 8, 16, 32};
    patches_position position = table_view(table, 1, 6, 1);
    numbers n = compare(&position);
    near(n.table.columns, 1, 1e-12);
    near(n.table.rows, 0, 1e-12);
    assert_true(isnan(n.table.anisotropy) && isnan(n.table.row_neighbours));
    assert_true(n.table.shift > 0 && n.table.shift <= 1);
    assert_true(n.table.column_neighbours > n.chance.column_neighbours);
    assert_true(isnan(n.limit.rows) && isnan(n.limit.columns) && isnan(n.limit.rest));
    assert_true(n.limit.shift > n.chance.shift);
    /* Of two patches all is said. */
    position.grid_width = 2;
    n = compare(&position);
    near(n.table.columns, 1, 1e-12);
    assert_true(isnan(n.table.shift) && isnan(n.table.radial));
    near(n.table.column_neighbours, -1, 1e-12);
    assert_true(isnan(n.limit.column_neighbours) && isnan(n.limit.shift));
}

static void wrong_arguments(void **state)
{
    (void)state;
    static const float table[4] = {0};
    capture c;
    vitc_log log = capture_log(&c);
    patches_position position = table_view(table, 2, 2, 1);
    patches_structure s;
    double cosines[16];
    position.kind = PATCHES_POSITION_ROPE_2D;
    assert_int_equal(patches_position_similarity(cosines, &position, false, &log),
                     VITC_ERR_ARGUMENT);
    capture_expect(&c, "no table");
    log = capture_log(&c);
    assert_int_equal(patches_position_structure(&s, NULL, NULL, &position, 0, 0, &log),
                     VITC_ERR_ARGUMENT);
    capture_expect(&c, "no table");
    log = capture_log(&c);
    position.kind = PATCHES_POSITION_LEARNED_1D;
    assert_int_equal(patches_position_structure(&s, &s, NULL, &position, 9, 0, &log),
                     VITC_ERR_ARGUMENT);
    capture_expect(&c, "limit");
    log = capture_log(&c);
    assert_int_equal(patches_position_structure(&s, &s, &s, &position, 0, 0, &log),
                     VITC_ERR_ARGUMENT);
}

static vitc_status attempt(void *user)
{
    patches_structure s, chance, limit;
    double cosines[16];
    vitc_status status = patches_position_structure(&s, &chance, &limit, user, 3, 0, &silent);
    if (status == VITC_OK) status = patches_position_similarity(cosines, user, true, &silent);
    return status;
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_numpy_has_it),
                                       cmocka_unit_test(fixed_table),
                                       cmocka_unit_test(shift_invariant),
                                       cmocka_unit_test(rows_alone_columns_alone_and_neither),
                                       cmocka_unit_test(nothing_in_common),
                                       cmocka_unit_test(by_chance),
                                       cmocka_unit_test(rows_and_columns_by_construction),
                                       cmocka_unit_test(a_table_without_differences),
                                       cmocka_unit_test(a_grid_of_one_row),
                                       cmocka_unit_test(wrong_arguments),
                                       cmocka_unit_test(survives_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
