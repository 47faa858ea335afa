/* results.svg and the sheet of training pictures: what is drawn is what was measured. */
#include <math.h>

#include "app_canvas.h"
#include "app_train_curves.h"
#include "app_train_sheet.h"
#include "test_app_support.h"
#include "test_malloc_fail.h"

static const app_settings settings = {.quiet = true};

/* ---- curves ---- */

enum { MOST = 1000 };
static app_train_record records[MOST];

static void make_records(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const double t = (double)(i + 1);
        records[i] = (app_train_record){.epoch = (uint32_t)i + 1,
                                        .step = 10 * (i + 1),
                                        .loss = 2.3 / sqrt(t),
                                        .accuracy = 1 - 0.9 / sqrt(t),
                                        .validation = {2.2 / sqrt(t), 1 - 0.8 / sqrt(t), 1, 0.05},
                                        .ema = {2.1 / sqrt(t), 1 - 0.7 / sqrt(t), 1, 0.04},
                                        .learning_rate = 1e-3 * (1 - t / 2000),
                                        .gradient_norm = 1 + sin(t),
                                        .images_per_second = 500 + t,
                                        .seconds = 3};
    }
    if (count > 8) records[4].ema.accuracy = 0.99; /* the best is not the last */
}

static char *draw(size_t count, uint32_t epochs)
{
    assert_int_equal(app_train_curves_write("results.svg", "run <1> & \"more\"", "of \x01 tests",
                                            records, count, epochs, &settings),
                     APP_EXIT_DONE);
    char *svg = read_text("results.svg");
    check_xml(svg);
    assert_null(strstr(svg, "<script"));
    assert_null(strstr(svg, "nan"));
    assert_null(strstr(svg, "inf"));
    return svg;
}

/* The text of a panel, up to the end of its group, for the caller to free. */
static char *panel_of(const char *svg, const char *name)
{
    char heading[64];
    snprintf(heading, sizeof heading, ">%s</text>", name);
    const char *begin = strstr(svg, heading);
    assert_non_null(begin);
    const char *end = strstr(begin, "</g>");
    assert_non_null(end);
    return strndup(begin, (size_t)(end - begin));
}

/* value = base + slope * coordinate, from two of the numbers beside an axis. */
typedef struct scale {
    double base, slope;
} scale;

/* `anchor` tells the numbers of the two axes apart; a number's own place is that of its text less
 * `offset`. */
static scale scale_of(const char *panel, const char *anchor, const char *coordinate, double offset)
{
    double place[2] = {0}, value[2] = {0};
    int found = 0;
    for (const char *at = panel; (at = strstr(at, "<text class=\"tick\"")) != NULL; at++) {
        const char *close = strchr(at, '>');
        const char *attribute = strstr(at, coordinate), *anchored = strstr(at, anchor);
        char *end;
        if (anchored == NULL || anchored > close || attribute == NULL || attribute > close)
            continue;
        const double number = strtod(close + 1, &end);
        if (end == close + 1) continue;
        const int which = found == 0 ? 0 : 1;
        place[which] = strtod(attribute + strlen(coordinate), NULL) - offset;
        value[which] = number;
        found++;
    }
    assert_true(found >= 2);
    const double slope = (value[1] - value[0]) / (place[1] - place[0]);
    return (scale){value[0] - slope * place[0], slope};
}

/* The points of one line against the records, by the numbers on the axes alone. */
static void check_curve(const char *panel, const char *class, size_t count,
                        double (*value)(const app_train_record *), double tolerance)
{
    const scale x = scale_of(panel, "\"middle\"", " x=\"", 0);
    const scale y = scale_of(panel, "\"end\"", " y=\"", 4);
    char begin[64];
    snprintf(begin, sizeof begin, "<path class=\"curve %s\" d=\"M", class);
    /* The legend has a short one of the same class, which is not of several points. */
    const char *at = NULL;
    for (const char *next = panel; (next = strstr(next, begin)) != NULL; next++) at = next;
    assert_non_null(at);
    at += strlen(begin);
    for (size_t i = 0; i < count; i++) {
        char *end;
        const double u = strtod(at, &end), v = strtod(end, &end);
        if (i == 0) {
            assert_memory_equal(end, "h0", 2);
            end += 2;
        }
        assert_true(fabs(x.base + x.slope * u - records[i].epoch) < 0.01 + 0.005 * x.slope);
        const double drawn = y.base + y.slope * v;
        if (fabs(drawn - value(&records[i])) > tolerance)
            fail_msg("%s, point %zu: %g is drawn as %g", class, i, value(&records[i]), drawn);
        assert_int_equal(*end, i + 1 == count ? '"' : 'L');
        at = end + 1;
    }
}

static double loss_of(const app_train_record *r)
{
    return r->loss;
}
static double validation_loss_of(const app_train_record *r)
{
    return r->validation.loss;
}
static double average_accuracy_of(const app_train_record *r)
{
    return 100 * r->ema.accuracy;
}
static double rate_of(const app_train_record *r)
{
    return r->learning_rate;
}
static double speed_of(const app_train_record *r)
{
    return r->images_per_second;
}

static void curves_show_the_numbers(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 20, MOST};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const size_t count = counts[i];
        make_records(count);
        char *svg = draw(count, 0);
        char *loss = panel_of(svg, "Loss"), *accuracy = panel_of(svg, "Accuracy");
        char *rate = panel_of(svg, "Learning rate"), *speed = panel_of(svg, "Images per second");
        check_curve(loss, "training", count, loss_of, 0.001);
        check_curve(loss, "validation", count, validation_loss_of, 0.001);
        check_curve(accuracy, "average", count, average_accuracy_of, 0.05);
        check_curve(rate, "training", count, rate_of, 1e-6);
        check_curve(speed, "training", count, speed_of, 1);
        assert_int_equal(count_text(loss, "<circle class=\"point"), count > 60 ? 0 : 3 * count);
        free(loss);
        free(accuracy);
        free(rate);
        free(speed);
        free(svg);
    }
}

static void curves_mark_the_best(void **state)
{
    (void)state;
    make_records(20);
    char *svg = draw(20, 0);
    assert_non_null(strstr(svg, "20 epochs; best: epoch 5 with accuracy 99.00 %, loss 0.9391"));
    char *accuracy = panel_of(svg, "Accuracy");
    const scale x = scale_of(accuracy, "\"middle\"", " x=\"", 0);
    const scale y = scale_of(accuracy, "\"end\"", " y=\"", 4);
    const char *ring = strstr(accuracy, "<circle class=\"ring\" cx=\"");
    assert_non_null(ring);
    const double u = strtod(strstr(ring, "cx=\"") + 4, NULL);
    const double v = strtod(strstr(ring, "cy=\"") + 4, NULL);
    assert_true(fabs(x.base + x.slope * u - 5) < 0.01);
    assert_true(fabs(y.base + y.slope * v - 99) < 0.05);
    free(accuracy);
    free(svg);
}

static void curves_of_a_run_that_goes_on(void **state)
{
    (void)state;
    make_records(3);
    char *svg = draw(3, 50);
    assert_non_null(strstr(svg, "epoch 3 of 50; best: epoch 3"));
    assert_non_null(strstr(svg, ">50</text>"));
    free(svg);
    svg = draw(0, 50);
    assert_non_null(strstr(svg, "no epoch is done yet"));
    assert_int_equal(count_text(svg, "not measured yet"), 6);
    free(svg);
}

static void curves_leave_out_what_was_not_measured(void **state)
{
    (void)state;
    make_records(3);
    const app_train_record none = app_train_record_empty();
    for (int i = 0; i < 3; i++) records[i].validation = records[i].ema = none.ema;
    records[1].loss = INFINITY;
    records[2].learning_rate = records[1].learning_rate = records[0].learning_rate = 0;
    char *svg = draw(3, 0);
    assert_null(strstr(svg, "best:"));
    char *ece = panel_of(svg, "Calibration error"), *loss = panel_of(svg, "Loss");
    assert_non_null(strstr(ece, "not measured"));
    assert_null(strstr(loss, "class=\"curve average\" d=\"M7"));
    assert_int_equal(count_text(loss, "<circle class=\"point training\""), 2);
    free(ece);
    free(loss);
    free(svg);
}

/* ---- the sheet ---- */

static imgio_image plain(uint32_t width, uint32_t height, uint8_t red)
{
    const vitc_log silent = {0};
    imgio_image image;
    assert_int_equal(imgio_image_create(&image, width, height, &silent), VITC_OK);
    for (size_t i = 0; i < (size_t)3 * width * height; i += 3) {
        image.pixels[i] = red;
        image.pixels[i + 1] = (uint8_t)(i / 3 % width); /* the column */
        image.pixels[i + 2] = (uint8_t)(i / 3 / width); /* the row */
    }
    return image;
}

static const uint8_t *pixel(const imgio_image *image, uint32_t x, uint32_t y)
{
    assert_true(x < image->width && y < image->height);
    return image->pixels + 3 * ((size_t)y * image->width + x);
}

static size_t count_dark(const imgio_image *image, uint32_t x, uint32_t y, uint32_t width,
                         uint32_t height)
{
    size_t count = 0;
    for (uint32_t v = y; v < y + height; v++)
        for (uint32_t u = x; u < x + width; u++) count += pixel(image, u, v)[0] < 128;
    return count;
}

static imgio_image read_sheet(void)
{
    const vitc_log silent = {0};
    imgio_image sheet;
    assert_int_equal(imgio_decode_file(&sheet, "sheet.png", NULL, &silent), VITC_OK);
    return sheet;
}

/* 32 x 32 pixels become 128 x 128: three cells in a row, 8 pixels between them. */
static void sheet_has_the_pictures(void **state)
{
    (void)state;
    imgio_image images[4] = {plain(32, 32, 200), plain(32, 32, 150), plain(32, 32, 201),
                             plain(32, 32, 202)};
    static const char *const text[] = {"cat", NULL, "a very long class name", "p\xc3\xa9lican"};
    const app_sheet_labels labels = {.text = text, .lines = 1};
    assert_int_equal(app_train_sheet_write("sheet.png", images, 4, &labels, &settings),
                     APP_EXIT_DONE);
    imgio_image sheet = read_sheet();
    assert_int_equal(sheet.width, 8 + 3 * 136);
    assert_int_equal(sheet.height, 8 + 2 * (128 + 11 + 8));
    for (uint32_t i = 0; i < 4; i++) {
        const uint32_t x = 8 + i % 3 * 136, y = 8 + i / 3 * 147;
        for (uint32_t v = 0; v < 128; v++)
            for (uint32_t u = 0; u < 128; u++)
                assert_memory_equal(pixel(&sheet, x + u, y + v), pixel(&images[i], u / 4, v / 4),
                                    3);
        assert_true((count_dark(&sheet, x, y + 128, 128, 11) > 0) == (text[i] != NULL));
        /* A label stays below its own picture. */
        assert_int_equal(count_dark(&sheet, x + 128, 0, 8, sheet.height), 0);
    }
    imgio_image_free(&sheet);
    for (int i = 0; i < 4; i++) imgio_image_free(&images[i]);
}

static void labels_have_as_many_lines_as_there_are(void **state)
{
    (void)state;
    imgio_image images[2] = {plain(128, 128, 200), plain(128, 128, 200)};
    static const char *const text[] = {"70% cat", "30% dog", "truck", ""};
    const app_sheet_labels labels = {.text = text, .lines = 2};
    assert_int_equal(app_train_sheet_write("sheet.png", images, 2, &labels, &settings),
                     APP_EXIT_DONE);
    imgio_image sheet = read_sheet();
    assert_int_equal(sheet.height, 8 + 128 + 2 * 22 + 8); /* letters twice as large: they fit */
    for (uint32_t i = 0; i < 4; i++)
        assert_true((count_dark(&sheet, 8 + i / 2 * 136, 136 + i % 2 * 22, 128, 22) > 0) ==
                    (text[i][0] != 0));
    imgio_image_free(&sheet);
    for (int i = 0; i < 2; i++) imgio_image_free(&images[i]);
}

static void sheet_of_one_large_picture(void **state)
{
    (void)state;
    imgio_image image = plain(1024, 10, 100);
    const app_sheet_labels none = {0};
    assert_int_equal(app_train_sheet_write("sheet.png", &image, 1, &none, &settings),
                     APP_EXIT_DONE);
    imgio_image sheet = read_sheet();
    assert_int_equal(sheet.width, 256 + 16);
    assert_int_equal(sheet.height, 3 + 16);
    imgio_image_free(&sheet);
    imgio_image_free(&image);
}

static void letters_are_drawn(void **state)
{
    (void)state;
    imgio_image a = plain(60, 9, 255), b = plain(60, 9, 255);
    const app_color black = {0, 0, 0};
    app_canvas_text(&a, 0, 0, "l\xc3\xb6\xc3\x9f\xff", 9, 1, black);
    app_canvas_text(&b, 0, 0, "los\xe2\x82\xac", 9, 1, black);
    assert_memory_equal(a.pixels, b.pixels, (size_t)3 * 60 * 9);
    assert_int_equal(app_canvas_text_length("l\xc3\xb6\xc3\x9f\xff"), 4);
    /* Every letter is one of its own. */
    for (int c = '!'; c <= '~'; c++)
        for (int d = ' '; d < c; d++) {
            const char left[] = {(char)c, 0}, right[] = {(char)d, 0};
            app_canvas_fill(&a, 0, 0, 60, 9, (app_color){255, 255, 255});
            app_canvas_fill(&b, 0, 0, 60, 9, (app_color){255, 255, 255});
            app_canvas_text(&a, 0, 0, left, 1, 1, black);
            app_canvas_text(&b, 0, 0, right, 1, 1, black);
            assert_memory_not_equal(a.pixels, b.pixels, (size_t)3 * 60 * 9);
        }
    /* Outside of the picture nothing happens. */
    app_canvas_text(&a, -20, -3, "outside", 9, 4, black);
    app_canvas_text(&a, 58, 8, "outside", 9, 4, black);
    imgio_image_free(&a);
    imgio_image_free(&b);
}

static vitc_status attempt(void *user)
{
    const char *const label = "one";
    const app_sheet_labels labels = {.text = &label, .lines = 1};
    int result = app_train_sheet_write("sheet.png", user, 1, &labels, &settings);
    if (result == APP_EXIT_DONE)
        result = app_train_curves_write("results.svg", "run", NULL, records, 1, 0, &settings);
    return result == APP_EXIT_DONE ? VITC_OK : VITC_ERR_MEMORY;
}

static void survives_without_memory(void **state)
{
    (void)state;
    static uint8_t pixels[300 * 20 * 3];
    imgio_image image = {.pixels = pixels, .width = 300, .height = 20};
    const app_train_score none = app_train_record_empty().ema;
    make_records(1); /* little of it, for every allocation draws the picture twice */
    records[0].validation = records[0].ema = none;
    records[0].gradient_norm = records[0].images_per_second = NAN;
    malloc_fail_each(attempt, &image);
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(curves_show_the_numbers),      in_folder(curves_mark_the_best),
        in_folder(curves_of_a_run_that_goes_on), in_folder(curves_leave_out_what_was_not_measured),
        in_folder(sheet_has_the_pictures),       in_folder(labels_have_as_many_lines_as_there_are),
        in_folder(sheet_of_one_large_picture),   in_folder(letters_are_drawn),
        in_folder(survives_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
