/* Crop offsets, padding, and the picture that the model sees. */
#include <stdlib.h>

#include "test_patches_support.h"

static imgio_image numbered_image(uint32_t width, uint32_t height)
{
    imgio_image image;
    assert_int_equal(imgio_image_create(&image, width, height, NULL), VITC_OK);
    /* red counts columns, green rows; blue tells pixels from padding */
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            uint8_t *p = image.pixels + ((size_t)y * width + x) * 3;
            p[0] = (uint8_t)x;
            p[1] = (uint8_t)y;
            p[2] = 200;
        }
    return image;
}

/* length, crop -> where the crop begins, as both libraries compute it. */
static void test_crop_offset(void **state)
{
    static const struct {
        uint32_t length, crop;
        int hf, torchvision;
    } cases[] = {
        {10, 10, 0, 0},
        {11, 10, 0, 0},
        {12, 10, 1, 1},
        {13, 10, 1, 2},
        {14, 10, 2, 2},
        {15, 10, 2, 2},
        {16, 10, 3, 3},
        {17, 10, 3, 4},
        {19, 10, 4, 4},
        {21, 10, 5, 6},
        {9, 10, -1, 0},
        {8, 10, -1, -1},
        {7, 10, -2, -1},
        {6, 10, -2, -2},
        {5, 10, -3, -2},
        {1, 10, -5, -4},
        {1, 1, 0, 0},
        {65535, 1, 32767, 32767},
        {65535, 2, 32766, 32766},
        {1, 65535, -32767, -32767},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int hf = (int)patches_crop_offset(PATCHES_CROP_HF, cases[i].length, cases[i].crop);
        const int torchvision =
            (int)patches_crop_offset(PATCHES_CROP_TORCHVISION, cases[i].length, cases[i].crop);
        if (hf != cases[i].hf || torchvision != cases[i].torchvision)
            fail_msg("%u of %u: %d and %d", cases[i].crop, cases[i].length, hf, torchvision);
    }
}

static void test_crop_windows(void **state)
{
    static const uint32_t sides[] = {1, 2, 3, 5, 8, 9, 16, 17};
    enum { N = sizeof sides / sizeof *sides };
    static const uint8_t fill[] = {7, 8, 9};
    (void)state;
    for (size_t k = 0; k < (size_t)N * N * N * N * 2; k++) {
        imgio_image in = numbered_image(sides[k % N], sides[k / N % N]), out;
        patches_spec spec = {.crop = true,
                             .crop_width = sides[k / N / N % N],
                             .crop_height = sides[k / N / N / N % N],
                             .crop_rule = (patches_crop_rule)(k / N / N / N / N),
                             .rescale = 1};
        memcpy(spec.fill, fill, sizeof fill);
        assert_int_equal(patches_preprocess_image(&out, &in, &spec, NULL), VITC_OK);
        assert_int_equal(out.width, spec.crop_width);
        assert_int_equal(out.height, spec.crop_height);
        const int64_t top = patches_crop_offset(spec.crop_rule, in.height, out.height);
        const int64_t left = patches_crop_offset(spec.crop_rule, in.width, out.width);
        for (uint32_t y = 0; y < out.height; y++)
            for (uint32_t x = 0; x < out.width; x++) {
                const uint8_t *p = out.pixels + ((size_t)y * out.width + x) * 3;
                const int64_t sx = left + x, sy = top + y;
                const bool inside = sx >= 0 && sx < in.width && sy >= 0 && sy < in.height;
                const uint8_t want[] = {inside ? (uint8_t)sx : 7, inside ? (uint8_t)sy : 8,
                                        inside ? 200 : 9};
                assert_memory_equal(p, want, 3);
            }
        imgio_image_free(&in);
        imgio_image_free(&out);
    }
}

static void test_untouched(void **state)
{
    const patches_spec spec = {.rescale = 1};
    imgio_image in = numbered_image(13, 7), out;
    (void)state;
    assert_int_equal(patches_preprocess_image(&out, &in, &spec, NULL), VITC_OK);
    assert_int_equal(out.width, 13);
    assert_int_equal(out.height, 7);
    assert_ptr_not_equal(out.pixels, in.pixels);
    assert_memory_equal(out.pixels, in.pixels, 13 * 7 * 3);
    imgio_image_free(&in);
    imgio_image_free(&out);
}

/* The steps together equal the steps one by one, in either order of the resize passes. */
static void expect_steps(patches_resize rule, imgio_pass_order order, bool crop)
{
    const patches_spec resize = {.resize = rule,
                                 .resize_height = 20,
                                 .resize_width = rule == PATCHES_RESIZE_SHORTEST ? 0 : 24,
                                 .filter = IMGIO_BILINEAR,
                                 .order = order,
                                 .rescale = 1};
    patches_spec both = resize;
    both.crop = crop;
    both.crop_height = 21;
    both.crop_width = 19;
    both.crop_rule = PATCHES_CROP_TORCHVISION;
    patches_spec only_crop = both;
    only_crop.resize = PATCHES_RESIZE_NONE;

    /* Noise that shrinks more in height than in width: there the orders differ (imgio.h). */
    imgio_image in = numbered_image(47, 100), resized, expected, out;
    uint64_t rng = 5;
    for (size_t i = 0; i < (size_t)47 * 100 * 3; i++)
        in.pixels[i] = (uint8_t)(random_next(&rng) >> 40);
    uint32_t height, width;
    assert_true(patches_spec_output_size(&resize, in.height, in.width, &height, &width));
    assert_int_equal(imgio_resize(&resized, &in, width, height, IMGIO_BILINEAR, order, NULL),
                     VITC_OK);
    assert_int_equal(patches_preprocess_image(&expected, &resized, &only_crop, NULL), VITC_OK);
    assert_int_equal(patches_preprocess_image(&out, &in, &both, NULL), VITC_OK);
    assert_int_equal(out.width, expected.width);
    assert_int_equal(out.height, expected.height);
    assert_memory_equal(out.pixels, expected.pixels, (size_t)out.width * out.height * 3);
    imgio_image_free(&in);
    imgio_image_free(&resized);
    imgio_image_free(&expected);
    imgio_image_free(&out);
}

static void test_resize_then_crop(void **state)
{
    static const patches_resize rules[] = {PATCHES_RESIZE_EXACT, PATCHES_RESIZE_SHORTEST,
                                           PATCHES_RESIZE_FIT, PATCHES_RESIZE_COVER};
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        for (int k = 0; k < 4; k++)
            expect_steps(rules[i], k % 2 == 0 ? IMGIO_ORDER_PILLOW13 : IMGIO_ORDER_PILLOW12, k > 1);
}

static void test_refused(void **state)
{
    const patches_spec shortest = {.resize = PATCHES_RESIZE_SHORTEST,
                                   .resize_height = 224,
                                   .crop = true,
                                   .crop_height = 8,
                                   .crop_width = 8,
                                   .rescale = 1};
    const patches_spec fit = {
        .resize = PATCHES_RESIZE_FIT, .resize_height = 8, .resize_width = 8, .rescale = 1};
    const patches_spec unfollowable = {.rescale = 0};
    const patches_spec plain = {.rescale = 1};
    imgio_image in = numbered_image(1000, 1), out;
    const imgio_image empty = {0};
    capture c;
    vitc_log log = capture_log(&c);
    (void)state;

    memset(&out, 0xA5, sizeof out);
    assert_int_equal(patches_preprocess_image(&out, &in, &shortest, &log), VITC_ERR_TOO_LARGE);
    capture_expect(&c, "1000 pixels wide and 1 high would be resized to 224000 wide and 224 high");
    assert_null(out.pixels);
    assert_true(out.width == 0 && out.height == 0);

    log = capture_log(&c);
    assert_int_equal(patches_preprocess_image(&out, &in, &fit, &log), VITC_ERR_UNSUPPORTED);
    capture_expect(&c, "8 wide and 0 high, which is empty");

    log = capture_log(&c);
    assert_int_equal(patches_preprocess_image(&out, &in, &unfollowable, &log), VITC_ERR_PREPROCESS);
    capture_expect(&c, "rescale");
    assert_null(out.pixels);

    log = capture_log(&c);
    assert_int_equal(patches_preprocess_image(&out, &empty, &plain, &log), VITC_ERR_ARGUMENT);
    assert_int_equal(c.count, 1);
    log = capture_log(&c);
    assert_int_equal(patches_preprocess_image(&in, &in, &plain, &log), VITC_ERR_ARGUMENT);
    assert_int_equal(c.count, 1);
    assert_non_null(in.pixels);
    imgio_image_free(&in);
}

static void test_decode_options(void **state)
{
    (void)state;
    static const struct {
        patches_resize resize;
        uint32_t min_width, min_height;
    } cases[] = {
        {PATCHES_RESIZE_NONE, 0, 0},       {PATCHES_RESIZE_EXACT, 96, 64},
        {PATCHES_RESIZE_SHORTEST, 64, 64}, {PATCHES_RESIZE_FIT, 96, 64},
        {PATCHES_RESIZE_COVER, 96, 64},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int exif = 0; exif < 4; exif++) {
            const patches_spec spec = {.resize = cases[i].resize,
                                       .resize_height = 32,
                                       .resize_width = 48,
                                       .ignore_exif = exif % 2 == 1};
            imgio_decode_options options = {.ignore_exif = exif / 2 == 1, .min_width = 7};
            patches_spec_decode_options(&options, &spec);
            assert_int_equal(options.min_width, cases[i].min_width);
            assert_int_equal(options.min_height, cases[i].min_height);
            assert_int_equal(options.ignore_exif, exif != 0);
            assert_false(options.fast);
        }
}

/* A fast decode rounds sizes up, so the shape is a little different: that must not show. */
static void test_reduced(void **state)
{
    (void)state;
    const patches_spec spec = {.resize = PATCHES_RESIZE_SHORTEST,
                               .resize_height = 1000,
                               .filter = IMGIO_BOX,
                               .rescale = 1};
    imgio_image in = numbered_image(126, 84), out;
    in.full_width = 1001;
    in.full_height = 667;
    assert_int_equal(patches_preprocess_image(&out, &in, &spec, NULL), VITC_OK);
    assert_int_equal(out.width, 1500);
    assert_int_equal(out.height, 1000);
    imgio_image_free(&out);
    in.full_width = 1003;
    assert_int_equal(patches_preprocess_image(&out, &in, &spec, NULL), VITC_OK);
    assert_int_equal(out.width, 1503);
    imgio_image_free(&out);
    /* An image made by hand. */
    in.full_width = in.full_height = 0;
    assert_int_equal(patches_preprocess_image(&out, &in, &spec, NULL), VITC_OK);
    assert_int_equal(out.width, 1500);
    imgio_image_free(&out);
    imgio_image_free(&in);
}

/* ---- views ---- */

enum { VIEW_COUNT = PATCHES_VIEW_BOTTOM_RIGHT + 1 };

static const patches_view all_views[VIEW_COUNT] = {
    PATCHES_VIEW_CENTER,    PATCHES_VIEW_MIRROR,      PATCHES_VIEW_TOP_LEFT,
    PATCHES_VIEW_TOP_RIGHT, PATCHES_VIEW_BOTTOM_LEFT, PATCHES_VIEW_BOTTOM_RIGHT};

/* Where a view begins in a picture that numbers its columns (or rows): at one end where there is
 * room, else where the centre crop does. */
static int64_t expected_offset(const patches_spec *spec, uint32_t length, uint32_t crop, int end)
{
    if (end == 0 || length <= crop) return patches_crop_offset(spec->crop_rule, length, crop);
    return end < 0 ? 0 : (int64_t)length - crop;
}

static void expect_view(const imgio_image *out, const imgio_image *in, const patches_spec *spec,
                        patches_view view)
{
    const int down = view <= PATCHES_VIEW_MIRROR ? 0 : view <= PATCHES_VIEW_TOP_RIGHT ? -1 : 1;
    const bool right = view == PATCHES_VIEW_TOP_RIGHT || view == PATCHES_VIEW_BOTTOM_RIGHT;
    const int64_t top = expected_offset(spec, in->height, out->height, down);
    const int64_t left = expected_offset(spec, in->width, out->width,
                                         down == 0 ? 0
                                         : right   ? 1
                                                   : -1);
    for (uint32_t y = 0; y < out->height; y++)
        for (uint32_t x = 0; x < out->width; x++) {
            const uint32_t from = view == PATCHES_VIEW_MIRROR ? out->width - 1 - x : x;
            const uint8_t *p = out->pixels + ((size_t)y * out->width + x) * 3;
            const int64_t sx = left + from, sy = top + y;
            const bool inside = sx >= 0 && sx < in->width && sy >= 0 && sy < in->height;
            const uint8_t want[] = {inside ? (uint8_t)sx : 7, inside ? (uint8_t)sy : 8,
                                    inside ? 200 : 9};
            assert_memory_equal(p, want, 3);
        }
}

/* Every view of pictures that are larger, smaller, or both, than the crop. */
static void test_views(void **state)
{
    static const uint32_t sides[] = {1, 2, 5, 8, 9};
    enum { N = sizeof sides / sizeof *sides };
    static const uint8_t fill[] = {7, 8, 9};
    (void)state;
    for (size_t k = 0; k < (size_t)N * N * N * N * 2; k++) {
        imgio_image in = numbered_image(sides[k % N], sides[k / N % N]), out[VIEW_COUNT];
        patches_spec spec = {.crop = true,
                             .crop_width = sides[k / N / N % N],
                             .crop_height = sides[k / N / N / N % N],
                             .crop_rule = (patches_crop_rule)(k / N / N / N / N),
                             .rescale = 1};
        memcpy(spec.fill, fill, sizeof fill);
        assert_int_equal(patches_preprocess_views(out, all_views, VIEW_COUNT, &in, &spec, NULL),
                         VITC_OK);
        for (size_t v = 0; v < VIEW_COUNT; v++) {
            assert_int_equal(out[v].width, spec.crop_width);
            assert_int_equal(out[v].height, spec.crop_height);
            expect_view(&out[v], &in, &spec, all_views[v]);
            imgio_image_free(&out[v]);
        }
        imgio_image_free(&in);
    }
}

/* Without a crop all views but the mirror image are the picture; so they are where the resize gives
 * the crop's size, and there is no corner then. */
static void test_views_without_room(void **state)
{
    patches_spec spec = {.resize = PATCHES_RESIZE_EXACT,
                         .resize_height = 6,
                         .resize_width = 9,
                         .filter = IMGIO_BILINEAR,
                         .rescale = 1};
    imgio_image in = numbered_image(40, 30), whole, out[VIEW_COUNT];
    (void)state;
    assert_int_equal(patches_preprocess_image(&whole, &in, &spec, NULL), VITC_OK);
    for (int crop = 0; crop < 2; crop++) {
        spec.crop = crop != 0;
        spec.crop_height = crop != 0 ? 6 : 0;
        spec.crop_width = crop != 0 ? 9 : 0;
        assert_false(patches_spec_has_corners(&spec));
        assert_int_equal(patches_preprocess_views(out, all_views, VIEW_COUNT, &in, &spec, NULL),
                         VITC_OK);
        for (size_t v = 0; v < VIEW_COUNT; v++) {
            const int differs = memcmp(out[v].pixels, whole.pixels, (size_t)6 * 9 * 3);
            assert_int_equal(differs != 0, all_views[v] == PATCHES_VIEW_MIRROR);
            imgio_image_free(&out[v]);
        }
    }
    spec.crop_width = 8;
    assert_true(patches_spec_has_corners(&spec));
    spec.resize = PATCHES_RESIZE_SHORTEST;
    spec.crop_width = 9;
    spec.resize_width = 0;
    assert_true(patches_spec_has_corners(&spec));

    /* an unknown view: nothing is left behind */
    const patches_view bad[] = {PATCHES_VIEW_CENTER, (patches_view)VIEW_COUNT};
    assert_int_equal(patches_preprocess_views(out, bad, 2, &in, &spec, NULL), VITC_ERR_ARGUMENT);
    assert_null(out[0].pixels);
    assert_null(out[1].pixels);
    imgio_image_free(&in);
    imgio_image_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crop_offset),
        cmocka_unit_test(test_crop_windows),
        cmocka_unit_test(test_untouched),
        cmocka_unit_test(test_resize_then_crop),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_decode_options),
        cmocka_unit_test(test_reduced),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_views_without_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
