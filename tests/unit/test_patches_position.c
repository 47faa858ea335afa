/* Position tables on another grid: against torch and scipy, and what needs neither. */
#include "patches.h"
#include "test_golden_tensors.h"

#include <math.h>
#include <string.h>

#define FOLDER VITC_GOLDEN_DIR "/position_resize"

enum { WIDTH = 3, MIN_CASES = 60 };

/* Both sides sum in double: only the rounding to float32, of numbers below 8, may differ. */
#define TOLERANCE 5e-7

static const vitc_log log_lines = {golden_log_line, NULL};

static patches_position_filter filter_of(const char *name)
{
    static const char *const names[PATCHES_POSITION_FILTER_COUNT] = {
        [PATCHES_POSITION_BICUBIC_ANTIALIAS] = "bicubic_antialias",
        [PATCHES_POSITION_BICUBIC] = "bicubic",
        [PATCHES_POSITION_BILINEAR_ANTIALIAS] = "bilinear_antialias",
        [PATCHES_POSITION_BILINEAR] = "bilinear",
        [PATCHES_POSITION_BILINEAR_CORNERS] = "bilinear_corners"};
    for (int i = 0; i < PATCHES_POSITION_FILTER_COUNT; i++)
        if (names[i] != NULL && strcmp(names[i], name) == 0) return (patches_position_filter)i;
    fail_msg("filter %s is not known", name);
    return PATCHES_POSITION_FILTER_DEFAULT;
}

/* One line of index.txt. */
static patches_position_filter run_case(const char *line)
{
    unsigned number, prefix, old_h, old_w, new_h, new_w;
    char filter_name[32], key[32];
    size_t table_count, resized_count;
    assert_int_equal(sscanf(line, "%u %31s %u %u %u %u %u", &number, filter_name, &prefix, &old_h,
                            &old_w, &new_h, &new_w),
                     7);
    const patches_position_filter filter = filter_of(filter_name);
    snprintf(key, sizeof key, "%u.table", number);
    float *table = golden_read_tensor(FOLDER "/golden.safetensors", key, &table_count);
    snprintf(key, sizeof key, "%u.resized", number);
    float *expected = golden_read_tensor(FOLDER "/golden.safetensors", key, &resized_count);
    assert_int_equal(table_count, (prefix + (size_t)old_h * old_w) * WIDTH);
    assert_int_equal(resized_count, (prefix + (size_t)new_h * new_w) * WIDTH);

    const patches_position position = {.kind = PATCHES_POSITION_LEARNED_1D,
                                       .grid_height = old_h,
                                       .grid_width = old_w,
                                       .prefix = prefix,
                                       .width = WIDTH,
                                       .table = table};
    float *resized = malloc(resized_count * sizeof *resized);
    assert_non_null(resized);
    assert_int_equal(patches_position_resize(resized, new_h, new_w, &position, filter, &log_lines),
                     VITC_OK);
    assert_memory_equal(resized, table, sizeof *table * prefix * WIDTH);
    if (old_h == new_h && old_w == new_w)
        assert_memory_equal(resized, table, table_count * sizeof *table);
    for (size_t i = 0; i < resized_count; i++)
        if (!(fabs((double)resized[i] - (double)expected[i]) <= TOLERANCE))
            fail_msg("%s: element %zu is %.9g, expected %.9g", line, i, (double)resized[i],
                     (double)expected[i]);
    free(table);
    free(expected);
    free(resized);
    return filter;
}

static void equals_torch_and_scipy(void **unused)
{
    (void)unused;
    FILE *index = fopen(FOLDER "/index.txt", "re");
    char line[128];
    size_t cases = 0, seen[PATCHES_POSITION_FILTER_COUNT] = {0};
    assert_non_null(index);
    while (fgets(line, sizeof line, index) != NULL) {
        seen[run_case(line)]++;
        cases++;
    }
    fclose(index);
    assert_true(cases >= MIN_CASES);
    for (int i = PATCHES_POSITION_FILTER_DEFAULT + 1; i < PATCHES_POSITION_FILTER_COUNT; i++)
        assert_true(seen[i] > 0);
}

/* The published weights of torch's bicubic filter (a = -0.75) at twice the size; and by itself the
 * filter is timm's, whose cubic is another. */
static void impulse_at_twice_the_size(void **unused)
{
    (void)unused;
    enum { OLD = 8, NEW = 16 };
    static const double weights[] = {-.03515625, -.10546875, .26171875,  .87890625,
                                     .87890625,  .26171875,  -.10546875, -.03515625};
    float table[OLD] = {[4] = 1}, plain[NEW], smooth[NEW], other[NEW];
    const patches_position position = {.kind = PATCHES_POSITION_LEARNED_1D,
                                       .grid_height = 1,
                                       .grid_width = OLD,
                                       .width = 1,
                                       .table = table};
    assert_int_equal(
        patches_position_resize(plain, 1, NEW, &position, PATCHES_POSITION_BICUBIC, &log_lines),
        VITC_OK);
    for (size_t i = 0; i < NEW; i++)
        assert_true(fabs((double)plain[i] - (i >= 5 && i < 13 ? weights[i - 5] : 0)) < 1e-7);
    assert_int_equal(patches_position_resize(smooth, 1, NEW, &position,
                                             PATCHES_POSITION_FILTER_DEFAULT, &log_lines),
                     VITC_OK);
    assert_int_equal(patches_position_resize(other, 1, NEW, &position,
                                             PATCHES_POSITION_BICUBIC_ANTIALIAS, &log_lines),
                     VITC_OK);
    assert_memory_equal(smooth, other, sizeof other);
    assert_true(fabs((double)smooth[5] - -.0234375) < 1e-7);
}

/* Weights sum to 1: a table of one number stays one, on any grid, with every filter. */
static void constants_stay(void **unused)
{
    (void)unused;
    float table[7 * 5], out[11 * 9];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) table[i] = 0.75F;
    const patches_position position = {.kind = PATCHES_POSITION_LEARNED_1D,
                                       .grid_height = 7,
                                       .grid_width = 5,
                                       .width = 1,
                                       .table = table};
    for (int f = 0; f < PATCHES_POSITION_FILTER_COUNT; f++)
        for (uint32_t h = 1; h <= 11; h++)
            for (uint32_t w = 1; w <= 9; w++) {
                assert_int_equal(patches_position_resize(out, h, w, &position,
                                                         (patches_position_filter)f, &log_lines),
                                 VITC_OK);
                for (size_t i = 0; i < (size_t)h * w; i++)
                    assert_true(fabs((double)out[i] - 0.75) < 1e-7);
            }
}

static void refuses_what_it_cannot(void **unused)
{
    (void)unused;
    float table[4] = {0}, out[4];
    patches_position position = {.kind = PATCHES_POSITION_LEARNED_1D,
                                 .grid_height = 2,
                                 .grid_width = 2,
                                 .width = 1,
                                 .table = table};
    assert_int_equal(patches_position_resize(out, 0, 2, &position, 0, NULL), VITC_ERR_ARGUMENT);
    assert_int_equal(patches_position_resize(out, 2, 0, &position, 0, NULL), VITC_ERR_ARGUMENT);
    assert_int_equal(
        patches_position_resize(out, 2, 2, &position, PATCHES_POSITION_FILTER_COUNT, NULL),
        VITC_ERR_ARGUMENT);
    position.kind = PATCHES_POSITION_NONE;
    assert_int_equal(patches_position_resize(out, 2, 2, &position, 0, NULL), VITC_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_torch_and_scipy), cmocka_unit_test(impulse_at_twice_the_size),
        cmocka_unit_test(constants_stay), cmocka_unit_test(refuses_what_it_cannot)};
    return cmocka_run_group_tests_name("position tables", tests, NULL, NULL);
}
