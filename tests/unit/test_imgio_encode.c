/* Encoding: PNG comes back as it was, JPEG comes back close, and both say what they refuse. */
#include "test_imgio_support.h"

static imgio_image waves(uint32_t width, uint32_t height)
{
    imgio_image image;
    assert_int_equal(imgio_image_create(&image, width, height, NULL), VITC_OK);
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            uint8_t *p = image.pixels + ((size_t)y * width + x) * 3;
            p[0] = (uint8_t)(x * 255 / width);
            p[1] = (uint8_t)(y * 255 / height);
            p[2] = (uint8_t)((x + y) * 127 / (width + height) + 60);
        }
    return image;
}

static void png_round_trip_is_exact(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{1, 1}, {1, 300}, {300, 1}, {37, 29}, {256, 200}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int level = 0; level <= 9; level++) {
            imgio_image in = waves(sizes[i][0], sizes[i][1]), out;
            uint8_t *data;
            size_t size;
            imgio_info info;
            assert_int_equal(imgio_encode_png(&data, &size, &in, level, NULL), VITC_OK);
            assert_int_equal(imgio_probe_memory(&info, data, size, NULL, NULL), VITC_OK);
            assert_int_equal(info.format, IMGIO_PNG);
            assert_int_equal(imgio_decode_memory(&out, data, size, NULL, NULL, NULL), VITC_OK);
            assert_int_equal(out.width, in.width);
            assert_int_equal(out.height, in.height);
            assert_memory_equal(out.pixels, in.pixels, (size_t)in.width * in.height * 3);
            imgio_image_free(&out);
            imgio_image_free(&in);
            free(data);
        }
    }
}

static void png_levels_compress(void **state)
{
    (void)state;
    imgio_image in = waves(256, 200);
    uint8_t *data;
    size_t none, best;
    assert_int_equal(imgio_encode_png(&data, &none, &in, 0, NULL), VITC_OK);
    free(data);
    assert_int_equal(imgio_encode_png(&data, &best, &in, 9, NULL), VITC_OK);
    free(data);
    assert_true(none > 256 * 200 * 3);
    assert_true(best < none / 10);
    imgio_image_free(&in);
}

/* Mean squared error of a JPEG round trip. */
static double jpeg_error(const imgio_image *in, int quality, size_t *size)
{
    uint8_t *data;
    imgio_image out;
    imgio_info info;
    assert_int_equal(imgio_encode_jpeg(&data, size, in, quality, NULL), VITC_OK);
    assert_int_equal(imgio_probe_memory(&info, data, *size, NULL, NULL), VITC_OK);
    assert_int_equal(info.format, IMGIO_JPEG);
    assert_int_equal(imgio_decode_memory(&out, data, *size, NULL, NULL, NULL), VITC_OK);
    assert_int_equal(out.width, in->width);
    assert_int_equal(out.height, in->height);
    double sum = 0;
    const size_t samples = (size_t)in->width * in->height * 3;
    for (size_t i = 0; i < samples; i++) {
        const double d = in->pixels[i] - out.pixels[i];
        sum += d * d;
    }
    imgio_image_free(&out);
    free(data);
    return sum / (double)samples;
}

static void jpeg_round_trip_is_close(void **state)
{
    (void)state;
    imgio_image in = waves(200, 150);
    size_t low_size, size, high_size;
    const double low = jpeg_error(&in, 10, &low_size), middle = jpeg_error(&in, 75, &size),
                 high = jpeg_error(&in, 100, &high_size);
    assert_true(high < 1.0);
    assert_true(high < middle && middle < low);
    assert_true(middle < 10.0);
    assert_true(low_size < size && size < high_size);
    imgio_image_free(&in);
    in = waves(1, 1);
    assert_true(jpeg_error(&in, 100, &size) < 9.0);
    imgio_image_free(&in);
}

/* The frame header's sampling factors of the first component: 2x2 below quality 90. */
static uint8_t jpeg_sampling(const imgio_image *in, int quality)
{
    uint8_t *data;
    size_t size;
    uint8_t sampling = 0;
    assert_int_equal(imgio_encode_jpeg(&data, &size, in, quality, NULL), VITC_OK);
    for (size_t i = 0; i + 12 < size && sampling == 0; i++)
        if (data[i] == 0xFF && data[i + 1] == 0xC0) sampling = data[i + 11];
    free(data);
    return sampling;
}

static void jpeg_keeps_chroma_from_quality_90(void **state)
{
    (void)state;
    imgio_image in = waves(20, 20);
    assert_int_equal(jpeg_sampling(&in, 89), 0x22);
    assert_int_equal(jpeg_sampling(&in, 90), 0x11);
    imgio_image_free(&in);
}

static void impossible_requests_are_refused(void **state)
{
    (void)state;
    log_recorder recorder;
    const vitc_log log = log_recorder_start(&recorder);
    imgio_image in = waves(5, 4);
    const imgio_image empty = {0};
    uint8_t *data = in.pixels;
    size_t size = 9;
    assert_int_equal(imgio_encode_png(&data, &size, &in, -1, &log), VITC_ERR_ARGUMENT);
    assert_null(data);
    assert_int_equal(size, 0);
    assert_int_equal(imgio_encode_png(&data, &size, &in, 10, &log), VITC_ERR_ARGUMENT);
    assert_int_equal(imgio_encode_png(&data, &size, &empty, 6, &log), VITC_ERR_ARGUMENT);
    assert_int_equal(imgio_encode_jpeg(&data, &size, &in, 0, &log), VITC_ERR_ARGUMENT);
    assert_int_equal(imgio_encode_jpeg(&data, &size, &in, 101, &log), VITC_ERR_ARGUMENT);
    assert_int_equal(imgio_encode_jpeg(&data, &size, &empty, 80, &log), VITC_ERR_ARGUMENT);
    assert_int_equal(recorder.messages, 6);
    imgio_image_free(&in);
    in = waves(70000, 1); /* a JPEG's sides are below 65536 */
    assert_int_equal(imgio_encode_jpeg(&data, &size, &in, 80, &log), VITC_ERR_TOO_LARGE);
    assert_null(data);
    imgio_image_free(&in);
}

static void images_are_created_and_freed(void **state)
{
    (void)state;
    imgio_image image = {.width = 4};
    assert_int_equal(imgio_image_create(&image, 0, 5, NULL), VITC_ERR_ARGUMENT);
    assert_int_equal(imgio_image_create(&image, 5, 0, NULL), VITC_ERR_ARGUMENT);
    assert_null(image.pixels);
    assert_int_equal(imgio_image_create(&image, UINT32_MAX, UINT32_MAX, NULL), VITC_ERR_MEMORY);
    assert_null(image.pixels);
    imgio_image_free(&image);
    imgio_image_free(NULL);
    assert_int_equal(imgio_image_create(&image, 3, 2, NULL), VITC_OK);
    memset(image.pixels, 1, 18);
    imgio_image_free(&image);
    assert_null(image.pixels);
    assert_int_equal(image.width, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_round_trip_is_exact),
        cmocka_unit_test(png_levels_compress),
        cmocka_unit_test(jpeg_round_trip_is_close),
        cmocka_unit_test(jpeg_keeps_chroma_from_quality_90),
        cmocka_unit_test(impossible_requests_are_refused),
        cmocka_unit_test(images_are_created_and_freed),
    };
    return cmocka_run_group_tests_name("imgio_encode", tests, NULL, NULL);
}
