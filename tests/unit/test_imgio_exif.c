/* Orientation out of EXIF and XMP bytes, and the turning itself. */
#include "test_imgio_support.h"

static int exif_value(const void *data, size_t size)
{
    imgio_orientation orientation = {0};
    uint8_t *copy = malloc(size != 0 ? size : 1); /* exactly the bytes, for the sanitizer */
    assert_non_null(copy);
    if (size != 0) memcpy(copy, data, size);
    imgio_orientation_add_exif(&orientation, copy, size);
    free(copy);
    return orientation.exif;
}

static int xmp_value(const char *text)
{
    imgio_orientation orientation = {0};
    imgio_orientation_add_xmp(&orientation, (const uint8_t *)text, strlen(text));
    return orientation.xmp;
}

#define LITTLE "II*\0\10\0\0\0"
#define BIG    "MM\0*\0\0\0\10"

static void exif_is_read_in_both_byte_orders(void **state)
{
    (void)state;
    static const char little[] = LITTLE "\1\0\x12\1\3\0\1\0\0\0\6\0\0\0";
    static const char big[] = BIG "\0\1\1\x12\0\3\0\0\0\1\0\10\0\0";
    static const char longs[] = LITTLE "\1\0\x12\1\4\0\1\0\0\0\5\0\0\0";
    static const char third[] = LITTLE "\3\0\0\1\3\0\1\0\0\0\1\0\0\0"
                                       "\1\1\3\0\1\0\0\0\1\0\0\0"
                                       "\x12\1\3\0\1\0\0\0\7\0\0\0";
    assert_int_equal(exif_value(little, sizeof little - 1), 6);
    assert_int_equal(exif_value(big, sizeof big - 1), 8);
    assert_int_equal(exif_value(longs, sizeof longs - 1), 5);
    assert_int_equal(exif_value(third, sizeof third - 1), 7);
    static const char prefixed[] = "Exif\0\0" LITTLE "\1\0\x12\1\3\0\1\0\0\0\6\0\0\0";
    assert_int_equal(exif_value(prefixed, sizeof prefixed - 1), 6);
}

static void exif_without_sense_is_no_orientation(void **state)
{
    (void)state;
    static const char nine[] = LITTLE "\1\0\x12\1\3\0\1\0\0\0\11\0\0\0";
    static const char zero[] = LITTLE "\1\0\x12\1\3\0\1\0\0\0\0\0\0\0";
    static const char text[] = LITTLE "\1\0\x12\1\2\0\1\0\0\0\6\0\0\0"; /* type ASCII */
    static const char none[] = LITTLE "\1\0\x12\1\3\0\0\0\0\0\6\0\0\0"; /* count 0 */
    static const char far[] = "II*\0\xff\xff\xff\xff\1\0\x12\1\3\0\1\0\0\0\6\0\0\0";
    static const char more[] = LITTLE "\xff\xff\x12\1\3\0\1\0\0\0\6\0\0\0"; /* 65535 entries */
    static const char away[] = LITTLE "\1\0\x12\1\3\0\3\0\0\0\xf0\xff\xff\xff";
    assert_int_equal(exif_value(nine, sizeof nine - 1), 1); /* there, but not 1-8 */
    assert_int_equal(exif_value(zero, sizeof zero - 1), 1);
    assert_int_equal(exif_value(text, sizeof text - 1), 0);
    assert_int_equal(exif_value(none, sizeof none - 1), 0);
    assert_int_equal(exif_value(far, sizeof far - 1), 0);
    assert_int_equal(exif_value(more, sizeof more - 1), 6);
    assert_int_equal(exif_value(away, sizeof away - 1), 0);
    assert_int_equal(exif_value("", 0), 0);
    assert_int_equal(exif_value("Exif\0\0", 6), 0);
    assert_int_equal(exif_value("XX*\0\10\0\0\0", 8), 0);
    static const char whole[] = LITTLE "\1\0\x12\1\3\0\1\0\0\0\6\0\0\0";
    for (size_t size = 0; size < sizeof whole - 1; size++)
        assert_int_equal(exif_value(whole, size), 0);
}

static void xmp_is_read_in_both_forms(void **state)
{
    (void)state;
    assert_int_equal(xmp_value("<x tiff:Orientation=\"6\"/>"), 6);
    assert_int_equal(xmp_value("<tiff:Orientation>3</tiff:Orientation>"), 3);
    assert_int_equal(xmp_value("tiff:Orientation tiff:Orientation=\"2\""), 2);
    assert_int_equal(xmp_value("tiff:Orientation=\"9\""), 1);
    assert_int_equal(xmp_value("tiff:Orientation=\"x\""), 0);
    assert_int_equal(xmp_value("tiff:Orientation=\""), 0);
    assert_int_equal(xmp_value("tiff:Orientation"), 0);
    assert_int_equal(xmp_value("tiff:Orientation>"), 0);
    assert_int_equal(xmp_value(""), 0);
}

static void exif_wins_over_xmp(void **state)
{
    (void)state;
    assert_int_equal(imgio_orientation_value(&(imgio_orientation){.exif = 3, .xmp = 6}), 3);
    assert_int_equal(imgio_orientation_value(&(imgio_orientation){.exif = 0, .xmp = 6}), 6);
    assert_int_equal(imgio_orientation_value(&(imgio_orientation){.exif = 1, .xmp = 6}), 1);
    assert_int_equal(imgio_orientation_value(&(imgio_orientation){0}), 1);
}

/* Where output pixel (x, y) of a w x h image comes from, straight from EXIF 2.3, table 6: the
 * sides of the stored image that its 0th row and 0th column are, seen upright. */
static void source_of(int orientation, uint32_t w, uint32_t h, uint32_t x, uint32_t y,
                      uint32_t *from_x, uint32_t *from_y)
{
    const uint32_t mx = w - 1, my = h - 1;
    switch (orientation) {
    case 2:
        *from_x = mx - x, *from_y = y;
        break;
    case 3:
        *from_x = mx - x, *from_y = my - y;
        break;
    case 4:
        *from_x = x, *from_y = my - y;
        break;
    case 5:
        *from_x = y, *from_y = x;
        break;
    case 6:
        *from_x = y, *from_y = my - x;
        break;
    case 7:
        *from_x = mx - y, *from_y = my - x;
        break;
    case 8:
        *from_x = mx - y, *from_y = x;
        break;
    default:
        *from_x = x, *from_y = y;
    }
}

static void every_orientation_turns_every_size(void **state)
{
    (void)state;
    static const uint32_t sides[] = {1, 2, 3, 5, 31, 32, 33, 64, 70};
    const size_t count = sizeof sides / sizeof *sides;
    for (size_t i = 0; i < count * count; i++) {
        const uint32_t w = sides[i % count], h = sides[i / count];
        for (int orientation = 0; orientation <= 9; orientation++) {
            imgio_image image;
            assert_int_equal(imgio_image_create(&image, w, h, NULL), VITC_OK);
            for (uint32_t y = 0; y < h; y++)
                for (uint32_t x = 0; x < w; x++) {
                    uint8_t *p = image.pixels + (y * w + x) * 3;
                    p[0] = (uint8_t)x, p[1] = (uint8_t)y, p[2] = (uint8_t)(x * 7 + y * 13);
                }
            assert_int_equal(imgio_orient(&image, orientation, NULL), VITC_OK);
            const bool turned = orientation >= 5 && orientation <= 8;
            assert_int_equal(image.width, turned ? h : w);
            assert_int_equal(image.height, turned ? w : h);
            for (uint32_t y = 0; y < image.height; y++)
                for (uint32_t x = 0; x < image.width; x++) {
                    const uint8_t *p = image.pixels + (y * image.width + x) * 3;
                    uint32_t fx, fy;
                    source_of(orientation, w, h, x, y, &fx, &fy);
                    if (p[0] != fx || p[1] != fy || p[2] != (uint8_t)(fx * 7 + fy * 13))
                        fail_msg("orientation %d of %u x %u at (%u, %u)", orientation, (unsigned)w,
                                 (unsigned)h, (unsigned)x, (unsigned)y);
                }
            imgio_image_free(&image);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exif_is_read_in_both_byte_orders),
        cmocka_unit_test(exif_without_sense_is_no_orientation),
        cmocka_unit_test(xmp_is_read_in_both_forms),
        cmocka_unit_test(exif_wins_over_xmp),
        cmocka_unit_test(every_orientation_turns_every_size),
    };
    return cmocka_run_group_tests_name("imgio_exif", tests, NULL, NULL);
}
