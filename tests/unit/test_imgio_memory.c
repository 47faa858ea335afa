/* Running out of memory: every allocation of every codec fails once, in turn, and each time the
 * call says so, gives nothing, and keeps nothing. */
#include "test_imgio_support.h"
#include "test_malloc_fail.h"

static vitc_status decode_work(void *argument)
{
    const golden_file *f = argument;
    imgio_image image;
    const vitc_status status = imgio_decode_memory(&image, f->data, f->size, f->name, NULL, NULL);
    if (status != VITC_OK && image.pixels != NULL) return VITC_ERR_INTERNAL;
    imgio_image_free(&image);
    return status;
}

static vitc_status probe_work(void *argument)
{
    const golden_file *f = argument;
    imgio_info info;
    return imgio_probe_memory(&info, f->data, f->size, f->name, NULL);
}

static vitc_status file_work(void *argument)
{
    imgio_image image;
    const vitc_status status = imgio_decode_file(&image, argument, NULL, NULL);
    imgio_image_free(&image);
    return status;
}

typedef struct resize_case {
    const imgio_image *image;
    uint32_t width, height;
    imgio_filter filter;
} resize_case;

static vitc_status resize_work(void *argument)
{
    const resize_case *c = argument;
    imgio_image out;
    const vitc_status status =
        imgio_resize(&out, c->image, c->width, c->height, c->filter, IMGIO_ORDER_PILLOW13, NULL);
    if (status != VITC_OK && out.pixels != NULL) return VITC_ERR_INTERNAL;
    imgio_image_free(&out);
    return status;
}

static vitc_status png_work(void *argument)
{
    uint8_t *data;
    size_t size;
    const vitc_status status = imgio_encode_png(&data, &size, argument, 6, NULL);
    if (status != VITC_OK && data != NULL) return VITC_ERR_INTERNAL;
    free(data);
    return status;
}

static vitc_status jpeg_work(void *argument)
{
    uint8_t *data;
    size_t size;
    const vitc_status status = imgio_encode_jpeg(&data, &size, argument, 80, NULL);
    if (status != VITC_OK && data != NULL) return VITC_ERR_INTERNAL;
    free(data);
    return status;
}

static void decoding_survives(void **state)
{
    (void)state;
    golden_set *golden = golden_load();
    long formats[IMGIO_PSD + 1] = {0};
    for (size_t i = 0; i < golden->count; i++) {
        golden_file *f = &golden->files[i];
        /* libwebp 1.2 frees tables that it never made when a lossless picture finds no memory. */
        if (memmem(f->data, f->size, "VP8L", 4) != NULL) continue;
        imgio_info info;
        assert_int_equal(imgio_probe_memory(&info, f->data, f->size, f->name, NULL), VITC_OK);
        formats[info.format] += malloc_fail_each(decode_work, f);
        if (info.format == IMGIO_GIF) assert_true(malloc_fail_each(probe_work, f) > 1);
    }
    /* The libraries' own allocations are really seen. */
    for (int format = IMGIO_JPEG; format <= IMGIO_PSD; format++) assert_true(formats[format] > 0);
    assert_true(formats[IMGIO_JPEG] > 300 && formats[IMGIO_PNG] > 300);
    assert_true(formats[IMGIO_WEBP] > 30 && formats[IMGIO_GIF] > 100);
    golden_free(golden);
    char path[] = IMAGES "/jpeg_exif6.jpg";
    assert_true(malloc_fail_each(file_work, path) > 3);
}

static void resizing_survives(void **state)
{
    (void)state;
    imgio_image image;
    assert_int_equal(imgio_image_create(&image, 40, 90, NULL), VITC_OK);
    memset(image.pixels, 5, 40 * 90 * 3);
    static const uint32_t sizes[][2] = {{40, 90}, {20, 90}, {40, 20}, {31, 20}, {80, 100}};
    for (int filter = IMGIO_NEAREST; filter <= IMGIO_HAMMING; filter++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            resize_case c = {&image, sizes[i][0], sizes[i][1], (imgio_filter)filter};
            assert_true(malloc_fail_each(resize_work, &c) >= (i == 0 ? 1 : 2));
        }
    }
    imgio_image_free(&image);
}

static void encoding_survives(void **state)
{
    (void)state;
    imgio_image image;
    assert_int_equal(imgio_image_create(&image, 200, 100, NULL), VITC_OK);
    for (size_t i = 0; i < 200 * 100 * 3; i++) image.pixels[i] = (uint8_t)(i * i >> 7);
    assert_true(malloc_fail_each(png_work, &image) > 4);
    assert_true(malloc_fail_each(jpeg_work, &image) > 4);
    imgio_image_free(&image);
}

int main(void)
{
    if (!MALLOC_FAIL_AVAILABLE) {
        puts("skipped: sanitizers, and C libraries other than glibc, have their own allocator");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoding_survives),
        cmocka_unit_test(resizing_survives),
        cmocka_unit_test(encoding_survives),
    };
    return cmocka_run_group_tests_name("imgio_memory", tests, NULL, NULL);
}
