/* Pictures of positions: every cell has the color of its number, as PNG, as SVG, on a terminal. */
#include <math.h>
#include <stdio.h>

#include "app_posemb.h"
#include "test_app_support.h"
#include "test_malloc_fail.h"

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
                             .step = 1,
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
                const app_color c = app_posemb_color((value - m->low) / (m->high - m->low));
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
                          .step = 1,
                          .scale = "cosine"};
    check_cells(&m);
}

static void axes_count_from_one(void **state)
{
    (void)state;
    app_posemb_maps m = patches();
    m.step = 4; /* of a larger grid, every fourth patch */
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
        const app_color c = app_posemb_color(i / 20.0);
        const double grey = 0.2126 * c.r + 0.7152 * c.g + 0.0722 * c.b;
        assert_true(grey > last + 2);
        last = grey;
    }
    const app_color low = app_posemb_color(-5), high = app_posemb_color(5);
    assert_int_equal(low.r, app_posemb_color(0).r);
    assert_int_equal(high.r, app_posemb_color(1).r);
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
    const app_color upper = app_posemb_color((values[0] + 1) / 2);
    const app_color lower = app_posemb_color((values[3] + 1) / 2);
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

#define in_folder(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(every_cell_has_its_color), in_folder(axes_count_from_one),
        cmocka_unit_test(the_scale_can_be_read_in_grey),
        cmocka_unit_test(a_terminal_shows_what_fits), in_folder(survives_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
