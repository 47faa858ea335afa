/* Resizing against Pillow: tests/golden/images/resize.txt has the CRC-32 of Pillow's results. Runs
 * once for each version of the passes, which VITC_ISA names. */
#include "imgio_resize.h"
#include "test_imgio_support.h"

static imgio_image noise_image(uint32_t width, uint32_t height)
{
    imgio_image image;
    assert_int_equal(imgio_image_create(&image, width, height, NULL), VITC_OK);
    for (uint64_t i = 0; i < (uint64_t)width * height * 3; i++) {
        const uint32_t mixed = (uint32_t)(i * 2654435761U + (i * i % 4294967296U) * 40503U);
        image.pixels[i] = i % 97 < 31 ? (uint8_t)(i / 97 % 2 * 255)
                                      : (uint8_t)((mixed >> 13 ^ mixed >> 24) & 255);
    }
    return image;
}

/* Bit by bit: the plainest form of zlib's crc32. */
static uint32_t crc32_of(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xEDB88320 & (0 - (crc & 1)));
    }
    return ~crc;
}

static void results_are_pillows(void **state)
{
    (void)state;
    FILE *list = fopen(IMAGES "/resize.txt", "r");
    assert_non_null(list);
    unsigned in_width, in_height, width, height, crc;
    int filter, order;
    size_t cases = 0, failures = 0;
    while (fscanf(list, "%u %u %u %u %d %d %x", &in_width, &in_height, &width, &height, &filter,
                  &order, &crc) == 7) {
        imgio_image in = noise_image(in_width, in_height), out;
        assert_int_equal(imgio_resize(&out, &in, width, height, (imgio_filter)filter,
                                      (imgio_pass_order)order, NULL),
                         VITC_OK);
        assert_int_equal(out.width, width);
        assert_int_equal(out.height, height);
        if (crc32_of(out.pixels, (size_t)width * height * 3) != crc) {
            print_error("%u x %u to %u x %u, filter %d, order %d differs\n", in_width, in_height,
                        width, height, filter, order);
            failures++;
        }
        imgio_image_free(&in);
        imgio_image_free(&out);
        cases++;
    }
    assert_true(feof(list));
    fclose(list);
    assert_true(cases >= 500);
    assert_int_equal(failures, 0);
}

/* The version that VITC_ISA asks for; "ref" means the portable one, and AMX has none of its own. */
static const imgio_resizer *wanted_version(bool *runs_here)
{
    const char *isa = getenv("VITC_ISA");
    if (isa == NULL) {
        *runs_here = true;
        return imgio_resizer_select();
    }
    if (strcmp(isa, "ref") == 0) isa = "generic";
    if (strcmp(isa, "amx") == 0) isa = "avx512";
    const imgio_resizer *version;
    for (size_t i = 0; (version = imgio_resizer_at(i, runs_here)) != NULL; i++)
        if (strcmp(version->name, isa) == 0) return version;
    return NULL;
}

static void the_wanted_version_is_taken(void **state)
{
    (void)state;
    bool runs_here;
    assert_ptr_equal(imgio_resizer_select(), wanted_version(&runs_here));
    assert_ptr_equal(imgio_resizer_at(100, &runs_here), NULL);
}

static void compare_with_portable(uint32_t in_width, uint32_t in_height, uint32_t width,
                                  uint32_t height)
{
    imgio_image in = noise_image(in_width, in_height);
    for (int filter = IMGIO_LANCZOS; filter <= IMGIO_HAMMING; filter++)
        for (int order = IMGIO_ORDER_PILLOW13; order <= IMGIO_ORDER_PILLOW12; order++) {
            imgio_image out, expected;
            assert_int_equal(imgio_resize(&out, &in, width, height, (imgio_filter)filter,
                                          (imgio_pass_order)order, NULL),
                             VITC_OK);
            assert_int_equal(imgio_resize_by(&imgio_resizer_generic, &expected, &in, width, height,
                                             (imgio_filter)filter, (imgio_pass_order)order, NULL),
                             VITC_OK);
            if (memcmp(out.pixels, expected.pixels, (size_t)width * height * 3) != 0)
                fail_msg("%u x %u to %u x %u, filter %d, order %d differs", (unsigned)in_width,
                         (unsigned)in_height, (unsigned)width, (unsigned)height, filter, order);
            imgio_image_free(&out);
            imgio_image_free(&expected);
        }
    imgio_image_free(&in);
}

/* Sides around the widths of vectors, strips and bands, and pictures one pixel wide or high. */
static void versions_agree(void **state)
{
    (void)state;
    static const uint32_t sides[] = {1, 2, 3, 4, 5, 10, 11, 16, 17, 21, 22, 32, 33, 43, 64, 85};
    const uint32_t count = sizeof sides / sizeof *sides;
    uint32_t random = 1;
    for (uint32_t i = 0; i < 400; i++) {
        uint32_t side[4];
        for (size_t k = 0; k < 4; k++) {
            random = random * 1664525U + 1013904223U;
            side[k] = sides[(random >> 16) % count];
        }
        compare_with_portable(side[0], side[1], side[2], side[3]);
    }
    compare_with_portable(500, 375, 224, 224);
    /* boxes that leave a row between two of them out, at the end of a full band */
    compare_with_portable(449, 516, 224, 224);
    compare_with_portable(90, 898, 224, 224);
    compare_with_portable(90, 961, 224, 224);
    compare_with_portable(1, 3000, 5, 7);
    compare_with_portable(3001, 1, 3, 2);
    compare_with_portable(2, 3, 1501, 40);
    compare_with_portable(97, 1200, 96, 11); /* rows first */
    compare_with_portable(40, 33, 40, 7);    /* rows only */
    compare_with_portable(41, 33, 9, 33);    /* columns only */
}

/* The golden data has to be able to tell the two orders apart. */
static void the_pass_order_shows(void **state)
{
    (void)state;
    imgio_image in = noise_image(40, 90), first, second;
    assert_int_equal(imgio_resize(&first, &in, 31, 20, IMGIO_BICUBIC, IMGIO_ORDER_PILLOW13, NULL),
                     VITC_OK);
    assert_int_equal(imgio_resize(&second, &in, 31, 20, IMGIO_BICUBIC, IMGIO_ORDER_PILLOW12, NULL),
                     VITC_OK);
    assert_memory_not_equal(first.pixels, second.pixels, 31 * 20 * 3);
    imgio_image_free(&first);
    imgio_image_free(&second);
    imgio_image_free(&in);
}

static void the_same_size_is_a_copy(void **state)
{
    (void)state;
    imgio_image in = noise_image(13, 7), out;
    for (int filter = IMGIO_NEAREST; filter <= IMGIO_HAMMING; filter++) {
        assert_int_equal(
            imgio_resize(&out, &in, 13, 7, (imgio_filter)filter, IMGIO_ORDER_PILLOW13, NULL),
            VITC_OK);
        assert_ptr_not_equal(out.pixels, in.pixels);
        assert_memory_equal(out.pixels, in.pixels, 13 * 7 * 3);
        imgio_image_free(&out);
    }
    imgio_image_free(&in);
}

/* Weights of every output add up to one: a flat image stays as it is, through any filter. */
static void a_flat_image_stays_flat(void **state)
{
    (void)state;
    static const uint32_t sides[] = {1, 2, 3, 7, 31, 64, 101, 640};
    static const uint8_t levels[] = {0, 1, 127, 128, 254, 255};
    const size_t count = sizeof sides / sizeof *sides;
    for (size_t i = 0; i < count * count * sizeof levels; i++) {
        const uint32_t from = sides[i % count], to = sides[i / count % count];
        const uint8_t level = levels[i / count / count];
        imgio_image in, out;
        assert_int_equal(imgio_image_create(&in, from, from, NULL), VITC_OK);
        memset(in.pixels, level, (size_t)from * from * 3);
        for (int filter = IMGIO_NEAREST; filter <= IMGIO_HAMMING; filter++) {
            assert_int_equal(imgio_resize(&out, &in, to, to + 1, (imgio_filter)filter,
                                          IMGIO_ORDER_PILLOW13, NULL),
                             VITC_OK);
            for (size_t k = 0; k < (size_t)to * (to + 1) * 3; k++)
                if (out.pixels[k] != level)
                    fail_msg("%u to %u, filter %d: %d instead of %d", (unsigned)from, (unsigned)to,
                             filter, out.pixels[k], level);
            imgio_image_free(&out);
        }
        imgio_image_free(&in);
    }
}

static void impossible_requests_are_refused(void **state)
{
    (void)state;
    imgio_image in = noise_image(5, 4), out = {.width = 9};
    const imgio_image empty = {0};
    const imgio_pass_order order = IMGIO_ORDER_PILLOW13;
    assert_int_equal(imgio_resize(&out, &in, 0, 4, IMGIO_BOX, order, NULL), VITC_ERR_ARGUMENT);
    assert_int_equal(imgio_resize(&out, &in, 4, 0, IMGIO_BOX, order, NULL), VITC_ERR_ARGUMENT);
    assert_int_equal(imgio_resize(&out, &empty, 4, 4, IMGIO_BOX, order, NULL), VITC_ERR_ARGUMENT);
    assert_int_equal(imgio_resize(&out, &in, 4, 4, (imgio_filter)6, order, NULL),
                     VITC_ERR_ARGUMENT);
    assert_int_equal(imgio_resize(&out, &in, 4, 4, (imgio_filter)-1, order, NULL),
                     VITC_ERR_ARGUMENT);
    assert_int_equal(imgio_resize(&out, &in, 4, 4, IMGIO_BOX, (imgio_pass_order)2, NULL),
                     VITC_ERR_ARGUMENT);
    assert_int_equal(imgio_resize(&out, &in, 0x80000000U, 4, IMGIO_BOX, order, NULL),
                     VITC_ERR_ARGUMENT);
    assert_null(out.pixels);
    imgio_image_free(&in);
}

static void filters_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {"nearest", "lanczos", "bilinear",
                                        "bicubic", "box",     "hamming"};
    for (int i = 0; i < 6; i++) {
        imgio_filter filter = IMGIO_BOX;
        assert_string_equal(imgio_filter_string((imgio_filter)i), names[i]);
        assert_true(imgio_filter_from_string(&filter, names[i]));
        assert_int_equal(filter, i);
    }
    imgio_filter filter = IMGIO_BOX;
    assert_null(imgio_filter_string((imgio_filter)6));
    assert_null(imgio_filter_string((imgio_filter)-1));
    assert_false(imgio_filter_from_string(&filter, "Bicubic"));
    assert_false(imgio_filter_from_string(&filter, ""));
    assert_false(imgio_filter_from_string(&filter, NULL));
    assert_int_equal(filter, IMGIO_BOX);
}

int main(void)
{
    bool runs_here;
    const imgio_resizer *version = wanted_version(&runs_here);
    if (version == NULL) {
        print_error("VITC_ISA names no version\n");
        return 1;
    }
    if (!runs_here) {
        print_message("this machine cannot run %s\n", version->name);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_pillows),
        cmocka_unit_test(the_wanted_version_is_taken),
        cmocka_unit_test(versions_agree),
        cmocka_unit_test(the_pass_order_shows),
        cmocka_unit_test(the_same_size_is_a_copy),
        cmocka_unit_test(a_flat_image_stays_flat),
        cmocka_unit_test(impossible_requests_are_refused),
        cmocka_unit_test(filters_have_names),
    };
    return cmocka_run_group_tests_name("imgio_resize", tests, NULL, NULL);
}
