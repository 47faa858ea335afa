/* What vitc posemb show says of positions: every cell has the color of its number, as PNG, as SVG,
 * on a terminal; numbers of heads are those of all pairs; words claim no more than the numbers. */
#include <math.h>
#include <stdio.h>

#include "app_posemb.h"
#include "test_app_support.h"
#include "test_malloc_fail.h"
#include "vitc_random.h"

/* main.c has the commands of the program. */
const app_command app_commands[] = {{"posemb", "", "", "", 0, 1, NULL}};
const size_t app_command_count = 1;
const app_command *app_command_find(const char *name)
{
    return strcmp(name, "posemb") == 0 ? app_commands : NULL;
}

static const app_settings settings = {.quiet = true};

/* 2 x 3 maps of 2 x 3 cells with numbers of their own. */
static double values[6 * 6];

static app_posemb_maps patches(void)
{
    for (int i = 0; i < 36; i++) values[i] = (double)((i * 7) % 36) / 18 - 0.9;
    return (app_posemb_maps){.rows = 2,
                             .columns = 3,
                             .count = 6,
                             .height = 2,
                             .width = 3,
                             .values = values,
                             .low = -1,
                             .high = 1,
                             .every_y = 1,
                             .every_x = 1,
                             .title = "learned-1d positions, 2x3 patches",
                             .subtitle = "similarity",
                             .scale = "cosine"};
}

/* The maps' places, by the SVG, whose picture has the same layout. */
static size_t find_maps(double places[][4], size_t most, const char *svg)
{
    static const char *const names[] = {" x=\"", " y=\"", " width=\"", " height=\""};
    size_t count = 0;
    for (const char *at = svg; (at = strstr(at, "<image ")) != NULL; at++, count++) {
        assert_true(count < most);
        for (int i = 0; i < 4; i++) {
            const char *attribute = strstr(at, names[i]);
            assert_non_null(attribute);
            places[count][i] = strtod(attribute + strlen(names[i]), NULL);
        }
    }
    return count;
}

static void check_cells(const app_posemb_maps *m)
{
    const vitc_log silent = {0};
    double places[8][4];
    imgio_image png;
    assert_int_equal(app_posemb_draw("maps.svg", m, &settings), APP_EXIT_DONE);
    assert_int_equal(app_posemb_draw("maps.PNG", m, &settings), APP_EXIT_DONE);
    char *svg = read_text("maps.svg");
    check_xml(svg);
    assert_non_null(strstr(svg, m->title));
    assert_int_equal(find_maps(places, 8, svg), m->count);
    assert_int_equal(imgio_decode_file(&png, "maps.PNG", NULL, &silent), VITC_OK);
    for (uint32_t i = 0; i < m->count; i++)
        for (uint32_t y = 0; y < m->height; y++)
            for (uint32_t x = 0; x < m->width; x++) {
                const uint32_t u = (uint32_t)(places[i][0] + places[i][2] * (x + 0.5) / m->width);
                const uint32_t v = (uint32_t)(places[i][1] + places[i][3] * (y + 0.5) / m->height);
                const double value = m->values[(i * m->height + y) * m->width + x];
                const app_color c =
                    app_posemb_color((value - m->low) / (m->high - m->low), m->heads);
                assert_true(u < png.width && v < png.height);
                const uint8_t *pixel = png.pixels + 3 * ((size_t)v * png.width + u);
                assert_int_equal(pixel[0], c.r);
                assert_int_equal(pixel[1], c.g);
                assert_int_equal(pixel[2], c.b);
            }
    imgio_image_free(&png);
    free(svg);
}

static void every_cell_has_its_color(void **state)
{
    (void)state;
    app_posemb_maps m = patches();
    check_cells(&m);
    /* Heads, of which the last row has fewer, and numbers that are all the same side of 0. */
    m.heads = true;
    m.count = 5;
    m.low = -2;
    m.high = 2;
    check_cells(&m);
    /* A grid of one patch. */
    m = (app_posemb_maps){.rows = 1,
                          .columns = 1,
                          .count = 1,
                          .height = 1,
                          .width = 1,
                          .values = values,
                          .low = 0,
                          .high = 1,
                          .every_y = 1,
                          .every_x = 1,
                          .scale = "cosine"};
    check_cells(&m);
}

static void axes_count_from_one(void **state)
{
    (void)state;
    app_posemb_maps m = patches();
    m.every_y = m.every_x = 4; /* of a larger grid, every fourth patch */
    assert_int_equal(app_posemb_draw("maps.svg", &m, &settings), APP_EXIT_DONE);
    char *svg = read_text("maps.svg");
    assert_int_equal(count_text(svg, ">1</text>"), 2);
    assert_int_equal(count_text(svg, ">5</text>"), 2);
    assert_int_equal(count_text(svg, ">9</text>"), 1);
    assert_non_null(strstr(svg, ">-1.00</text>"));
    assert_non_null(strstr(svg, ">0.50</text>"));
    free(svg);
}

/* Equal steps of the scale are steps up in lightness. */
static void the_scale_can_be_read_in_grey(void **state)
{
    (void)state;
    double last = -1;
    for (int i = 0; i <= 20; i++) {
        const app_color c = app_posemb_color(i / 20.0, false);
        const double grey = 0.2126 * c.r + 0.7152 * c.g + 0.0722 * c.b;
        assert_true(grey > last + 2);
        last = grey;
    }
    const app_color low = app_posemb_color(-5, false), high = app_posemb_color(5, false);
    assert_int_equal(low.r, app_posemb_color(0, false).r);
    assert_int_equal(high.r, app_posemb_color(1, false).r);
}

/* Lightest for 0, blue below and red above. */
static void numbers_about_zero_have_two_colors(void **state)
{
    (void)state;
    const app_color zero = app_posemb_color(0.5, true);
    assert_true(zero.r == zero.g && zero.g == zero.b && zero.r > 220);
    for (int i = 1; i <= 10; i++) {
        const app_color below = app_posemb_color(0.5 - i / 20.0, true);
        const app_color above = app_posemb_color(0.5 + i / 20.0, true);
        assert_true(below.b > below.r && above.r > above.b);
        assert_true(below.g < zero.g && above.g < zero.g);
    }
}

/* A grid of one or two patches across and many down, and the other way round: no side grows without
 * end, and cells can be seen. */
static void long_grids_have_pictures_too(void **state)
{
    (void)state;
    static const uint32_t grids[][2] = {{24, 2}, {2, 24}, {24, 1}, {1, 24}};
    static double cosines[48 * 48];
    static double places[48][4];
    const vitc_log silent = {0};
    for (size_t i = 0; i < sizeof cosines / sizeof *cosines; i++) cosines[i] = (double)(i % 7) / 7;
    for (size_t i = 0; i < sizeof grids / sizeof *grids; i++) {
        app_posemb_maps m = patches();
        m.values = cosines;
        m.rows = m.height = grids[i][0];
        m.columns = m.width = grids[i][1];
        m.count = m.rows * m.columns;
        imgio_image png;
        assert_int_equal(app_posemb_draw("maps.png", &m, &settings), APP_EXIT_DONE);
        assert_int_equal(imgio_decode_file(&png, "maps.png", NULL, &silent), VITC_OK);
        assert_true(png.width < 1500 && png.height < 1500);
        imgio_image_free(&png);
        assert_int_equal(app_posemb_draw("maps.svg", &m, &settings), APP_EXIT_DONE);
        char *svg = read_text("maps.svg");
        assert_int_equal(find_maps(places, 48, svg), m.count);
        assert_true(places[0][2] >= 2 * m.width && places[0][3] >= 2 * m.height);
        free(svg);
    }
}

static void ticks_have_the_digits_they_need(void **state)
{
    (void)state;
    static const struct {
        double high;
        const char *ticks[3];
    } cases[] = {{2, {"2.00", "0", "-2.00"}},
                 {0.0321, {"0.0321", "0", "-0.0321"}},
                 {0.00123, {"0.00123", "0", "-0.00123"}},
                 {1.5e-7, {"1.5e-07", "0", "-1.5e-07"}},
                 {250, {"250", "0", "-250"}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        app_posemb_maps m = patches();
        m.heads = true;
        m.low = -cases[i].high;
        m.high = cases[i].high;
        assert_int_equal(app_posemb_draw("maps.svg", &m, &settings), APP_EXIT_DONE);
        char *svg = read_text("maps.svg");
        for (int k = 0; k < 3; k++) {
            char text[32];
            snprintf(text, sizeof text, ">%s</text>", cases[i].ticks[k]);
            assert_int_equal(count_text(svg, text), 1);
        }
        free(svg);
    }
}

/* The last attribute of that name before `at`. */
static double attribute_before(const char *svg, const char *at, const char *name)
{
    const char *last = NULL;
    for (const char *found = svg; (found = strstr(found, name)) != NULL && found < at; found++)
        last = found;
    assert_non_null(last);
    return strtod(last + strlen(name), NULL);
}

static void the_name_of_the_scale_fits(void **state)
{
    (void)state;
    static const char *const names[] = {"cosine", "cosine, centred"};
    for (int i = 0; i < 2; i++) {
        app_posemb_maps m = patches();
        char text[64];
        m.scale = names[i];
        m.title[0] = m.subtitle[0] = 0; /* which would make room */
        assert_int_equal(app_posemb_draw("maps.svg", &m, &settings), APP_EXIT_DONE);
        char *svg = read_text("maps.svg");
        snprintf(text, sizeof text, "text-anchor=\"start\">%s<", names[i]);
        const char *at = strstr(svg, text);
        assert_non_null(at);
        const double length = (double)(2 * APP_CANVAS_LETTER_WIDTH * strlen(names[i]));
        const double width = strtod(strstr(svg, "width=\"") + 7, NULL);
        assert_true(attribute_before(svg, at, " x=\"") + length <= width);
        free(svg);
    }
}

static char *preview(const app_posemb_maps *m, size_t columns)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    app_posemb_preview(out, m, columns);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void a_terminal_shows_what_fits(void **state)
{
    (void)state;
    const app_posemb_maps m = patches();
    static const struct {
        size_t columns, maps;
    } cases[] = {{80, 6}, {11, 6}, {10, 2}, {7, 2}, {6, 1}, {3, 1}, {2, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = preview(&m, cases[i].columns);
        /* A map of 2 x 3 cells is three characters. */
        assert_int_equal(count_text(text, "\xe2\x96\x80"), 3 * cases[i].maps);
        free(text);
    }
    char *text = preview(&m, 80), first[64];
    const app_color upper = app_posemb_color((values[0] + 1) / 2, false);
    const app_color lower = app_posemb_color((values[3] + 1) / 2, false);
    snprintf(first, sizeof first, "\033[38;2;%u;%u;%um\033[48;2;%u;%u;%um\xe2\x96\x80", upper.r,
             upper.g, upper.b, lower.r, lower.g, lower.b);
    assert_memory_equal(text, first, strlen(first));
    free(text);
}

static vitc_status attempt(void *user)
{
    int result = app_posemb_draw("maps.svg", user, &settings);
    if (result == APP_EXIT_DONE) result = app_posemb_draw("maps.png", user, &settings);
    return result == APP_EXIT_DONE ? VITC_OK : VITC_ERR_MEMORY;
}

static void survives_without_memory(void **state)
{
    (void)state;
    app_posemb_maps m = patches();
    m.count = m.rows = m.columns = 1;
    malloc_fail_each(attempt, &m);
}

/* ---- numbers of heads ---- */

enum { HEADS = 3, MOST_ROWS = 200 };

/* All pairs of patches, one after the other. */
static void check_head(const float *table, const patches_relative *r, uint32_t which)
{
    const uint32_t n = r->grid_height * r->grid_width;
    double bias = 0, length = 0, biases = 0, lengths = 0, both = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t q = 0; q < n; q++)
            for (uint32_t k = 0; k < n; k++) {
                const size_t row = patches_relative_index(r, r->prefix + q, r->prefix + k);
                const double dy = (double)(k / r->grid_width) - (double)(q / r->grid_width);
                const double dx = (double)(k % r->grid_width) - (double)(q % r->grid_width);
                const double v = (double)table[row * r->heads + which] - bias * pass;
                const double d = hypot(dy, dx) - length * pass;
                if (pass == 0) {
                    bias += v / (n * n);
                    length += d / (n * n);
                }
                biases += pass * v * v;
                lengths += pass * d * d;
                both += pass * v * d;
            }
    app_posemb_head head;
    app_posemb_measure_head(&head, table, r, which);
    assert_true(fabs(head.distance - both / sqrt(biases * lengths)) < 1e-12);
}

static void heads_count_pairs(void **state)
{
    (void)state;
    static float table[MOST_ROWS * HEADS];
    const patches_relative r = {.grid_height = 4, .grid_width = 5, .prefix = 2, .heads = HEADS};
    const size_t rows = patches_relative_rows(&r);
    app_posemb_head head;
    assert_true(rows <= MOST_ROWS);
    /* Any numbers, those of the offset down alone, and none. */
    for (size_t i = 0; i < rows; i++) {
        table[i * HEADS] = (float)((i * 7) % 11) / 8;
        table[i * HEADS + 1] = (float)(i / 9 * 3 % 5);
        table[i * HEADS + 2] = 0;
    }
    check_head(table, &r, 0);
    check_head(table, &r, 1);
    app_posemb_measure_head(&head, table, &r, 0);
    assert_true(head.rows > 0 && head.columns > 0 && head.rows + head.columns < 1);
    /* Rows of the table from the last three on are those of prefix tokens. */
    assert_true(head.prefix_to_patch == (double)table[(rows - 3) * HEADS]);
    assert_true(head.patch_to_prefix == (double)table[(rows - 2) * HEADS]);
    assert_true(head.prefix_to_prefix == (double)table[(rows - 1) * HEADS]);
    app_posemb_measure_head(&head, table, &r, 1);
    assert_true(fabs(head.rows - 1) < 1e-12 && fabs(head.columns) < 1e-12);
    app_posemb_measure_head(&head, table, &r, 2);
    assert_true(head.least == 0 && head.most == 0 && head.dy == 0 && head.dx == 0);
    assert_true(isnan(head.rows) && isnan(head.columns) && isnan(head.distance));
    /* In one row of patches, columns are all by construction. */
    const patches_relative line = {.grid_height = 1, .grid_width = 5, .heads = 1};
    app_posemb_measure_head(&head, table, &line, 0);
    assert_true(isnan(head.rows) && isnan(head.columns) && !isnan(head.distance));
}

/* ---- words ---- */

enum { SIDE = 8, WIDTH = 32 };

static char *words_of(const patches_position *position)
{
    const vitc_log silent = {0};
    patches_structure s, chance, limit;
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    assert_int_equal(patches_position_structure(&s, &chance, &limit, position, 99, 0, &silent),
                     VITC_OK);
    app_posemb_print_structure(out, &s, &chance, &limit, position);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void says(const patches_position *position, bool yes, const char *words)
{
    char *text = words_of(position);
    for (char *c = text; *c != 0; c++)
        if (*c == '\n') *c = ' '; /* wherever the lines were broken */
    if ((strstr(text, words) != NULL) != yes)
        fail_msg("%s \"%s\" in: %s", yes ? "no" : "there is", words, text);
    free(text);
}

static void fill_random(float *out, size_t count, uint64_t seed)
{
    vitc_random random = vitc_random_start(seed, VITC_RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < count; i++) out[i] = (float)vitc_random_normal(&random);
}

/* Tables of rows and columns have them without having learned anything. */
static void noise_is_not_called_structure(void **state)
{
    (void)state;
    static float table[SIDE * SIDE * WIDTH], rows[SIDE * WIDTH], columns[SIDE * WIDTH];
    patches_position position = {.kind = PATCHES_POSITION_LEARNED_2D,
                                 .grid_height = SIDE,
                                 .grid_width = SIDE,
                                 .width = WIDTH,
                                 .table = table};
    fill_random(rows, SIDE * WIDTH, 2);
    fill_random(columns, SIDE * WIDTH, 3);
    for (int i = 0; i < 2; i++) {
        patches_position_fill(table, &position, rows, columns);
        says(&position, true, "Neighbouring rows and columns are alike no more than chance");
        says(&position, true, "other no more than with the rows, and the columns, in any other");
        says(&position, false, "tells rows");
        says(&position, true, "directions used, of 14"); /* of 7 rows and 7 columns */
        position.kind = PATCHES_POSITION_FACTORIZED;
    }
    patches_position_fill(table, &position, rows, columns);
    position.kind = PATCHES_POSITION_LEARNED_1D;
    says(&position, true, "directions used, of 32");
    says(&position, true, "The table tells rows and columns apart");
    position.kind = PATCHES_POSITION_SINCOS_2D;
    patches_position_fill(table, &position, NULL, NULL);
    says(&position, true, "Neighbouring rows and columns are more alike than in other orders");
    says(&position, true, "follows nearly always from where");
    /* Of three rows and four columns one order in 12 is the best, or its reverse. */
    position.grid_height = 3;
    position.grid_width = 4;
    patches_position_fill(table, &position, NULL, NULL);
    says(&position, true, "so few that chance comes to that too");
    says(&position, false, "does not tell");
    position.grid_height = position.grid_width = SIDE;
    position.width = 8; /* four numbers for each axis */
    patches_position_fill(table, &position, NULL, NULL);
    says(&position, true, "directions used, of 8");
}

static void lines_of_patches_get_no_verdict(void **state)
{
    (void)state;
    static float table[24 * WIDTH];
    patches_position position = {.kind = PATCHES_POSITION_LEARNED_1D,
                                 .grid_height = 1,
                                 .grid_width = 24,
                                 .width = WIDTH,
                                 .table = table};
    fill_random(table, 24 * WIDTH, 4);
    says(&position, true, "In a grid of one row, columns are all that differs");
    says(&position, true, "Neighbouring columns are alike no more than chance");
    says(&position, false, "The table tells");
    position.grid_height = 24;
    position.grid_width = 1;
    says(&position, true, "In a grid of one column, rows are all that differs");
    position.grid_height = 2;
    says(&position, true, "In a grid of one column");
    says(&position, false, "How alike");
    says(&position, false, "Neighbouring");
    says(&position, false, "nan");
}

static void a_common_offset_is_said(void **state)
{
    (void)state;
    static float table[SIDE * SIDE * WIDTH];
    const patches_position position = {.kind = PATCHES_POSITION_LEARNED_1D,
                                       .grid_height = SIDE,
                                       .grid_width = SIDE,
                                       .width = WIDTH,
                                       .table = table};
    fill_random(table, SIDE * SIDE * WIDTH, 5);
    says(&position, false, "common offset");
    for (int i = 0; i < SIDE * SIDE * WIDTH; i++) table[i] = 0.02f * table[i] + 1;
    says(&position, true, "mostly a common offset");
    says(&position, true, "--centred shows the rest");
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {in_folder(every_cell_has_its_color),
                                       in_folder(axes_count_from_one),
                                       cmocka_unit_test(the_scale_can_be_read_in_grey),
                                       cmocka_unit_test(numbers_about_zero_have_two_colors),
                                       in_folder(long_grids_have_pictures_too),
                                       in_folder(ticks_have_the_digits_they_need),
                                       in_folder(the_name_of_the_scale_fits),
                                       cmocka_unit_test(heads_count_pairs),
                                       cmocka_unit_test(noise_is_not_called_structure),
                                       cmocka_unit_test(lines_of_patches_get_no_verdict),
                                       cmocka_unit_test(a_common_offset_is_said),
                                       cmocka_unit_test(a_terminal_shows_what_fits),
                                       in_folder(survives_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
