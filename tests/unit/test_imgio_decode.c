/* Decoding against Pillow's pixels, and what damaged, foreign and enormous files get. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_imgio_support.h"

static golden_set *golden;

static int load(void **state)
{
    (void)state;
    golden = golden_load();
    return 0;
}

static int unload(void **state)
{
    (void)state;
    golden_free(golden);
    return 0;
}

static imgio_decode_options as_stored(void)
{
    imgio_decode_options options = imgio_decode_options_default();
    options.ignore_exif = true;
    return options;
}

static void golden_files_give_pillows_pixels(void **state)
{
    (void)state;
    const imgio_decode_options stored = as_stored();
    size_t failures = 0, formats[IMGIO_PSD + 1] = {0};
    for (size_t i = 0; i < golden->count; i++) {
        const golden_file *f = &golden->files[i];
        log_recorder recorder;
        const vitc_log log = log_recorder_start(&recorder);
        imgio_info info;
        assert_int_equal(imgio_probe_memory(&info, f->data, f->size, f->name, &log), VITC_OK);
        formats[info.format]++;
        for (int upright = 0; upright <= 1; upright++) {
            imgio_image image;
            const vitc_status status = imgio_decode_memory(&image, f->data, f->size, f->name,
                                                           upright ? NULL : &stored, &log);
            if (status != VITC_OK) {
                print_error("%s: %s\n", f->name, recorder.last);
                failures++;
                continue;
            }
            if (!golden_equal(golden, f, &image, upright != 0)) failures++;
            imgio_image_free(&image);
        }
        if (recorder.messages != 0) {
            print_error("%s: decoded, but said: %s\n", f->name, recorder.last);
            failures++;
        }
    }
    assert_int_equal(failures, 0);
    for (int format = IMGIO_JPEG; format <= IMGIO_PSD; format++)
        if (formats[format] < 9)
            fail_msg("only %zu files of %s", formats[format],
                     imgio_format_string((imgio_format)format));
}

static void probe_tells_kind_size_and_orientation(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        imgio_format format;
    } kinds[] = {{"jpeg_", IMGIO_JPEG}, {"png_", IMGIO_PNG}, {"webp_", IMGIO_WEBP},
                 {"gif_", IMGIO_GIF},   {"bmp_", IMGIO_BMP}, {"tga_", IMGIO_TGA},
                 {"pnm_", IMGIO_PNM},   {"psd_", IMGIO_PSD}};
    for (size_t i = 0; i < golden->count; i++) {
        const golden_file *f = &golden->files[i];
        imgio_format expected = IMGIO_UNKNOWN;
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            if (strncmp(f->name, kinds[k].prefix, strlen(kinds[k].prefix)) == 0)
                expected = kinds[k].format;
        char path[512];
        imgio_info info;
        snprintf(path, sizeof path, "%s/%s", IMAGES, f->name);
        assert_int_equal(imgio_probe_file(&info, path, NULL), VITC_OK);
        assert_int_equal(info.format, expected);
        assert_int_equal(info.width, f->width);
        assert_int_equal(info.height, f->height);
        if (info.orientation != f->orientation)
            fail_msg("%s: orientation %d instead of %d", f->name, info.orientation, f->orientation);
    }
}

static void bad_files_get_their_status_and_one_message(void **state)
{
    (void)state;
    FILE *list = fopen(IMAGES "/bad.txt", "r");
    assert_non_null(list);
    char name[64], expected[32];
    size_t files = 0, failures = 0;
    while (fscanf(list, "%63s %31s", name, expected) == 2) {
        size_t size;
        uint8_t *data = golden_read(&size, IMAGES "/bad", name);
        log_recorder recorder;
        const vitc_log log = log_recorder_start(&recorder);
        imgio_image image = {.width = 7};
        const vitc_status status = imgio_decode_memory(&image, data, size, name, NULL, &log);
        for (char *c = expected; *c != 0; c++)
            if (*c == '_') *c = ' ';
        const char *got = vitc_status_string(status);
        char normal[32];
        snprintf(normal, sizeof normal, "%s", got);
        for (char *c = normal; *c != 0; c++)
            if (*c == '_') *c = ' ';
        if (strcmp(normal, expected) != 0 || recorder.messages != 1 ||
            recorder.level != VITC_LOG_ERROR || strncmp(recorder.last, name, strlen(name)) != 0) {
            print_error("%s: %s instead of %s, %d messages, the last: %s\n", name, got, expected,
                        recorder.messages, recorder.last);
            failures++;
        }
        assert_null(image.pixels);
        assert_int_equal(image.width, 0);
        free(data);
        files++;
    }
    assert_true(feof(list));
    fclose(list);
    assert_true(files >= 60);
    assert_int_equal(failures, 0);
}

/* The promise that matters most: a file cut off anywhere is an error, or, where only bytes after
 * the last pixel are gone, the whole picture. */
static void every_prefix_is_an_error_or_the_whole_picture(void **state)
{
    (void)state;
    size_t failures = 0, errors = 0;
    for (size_t i = 0; i < golden->count; i++) {
        const golden_file *f = &golden->files[i];
        const size_t step = f->size > 6000 ? f->size / 500 : 1;
        for (size_t size = 0; size < f->size; size += step) {
            uint8_t *copy = malloc(size != 0 ? size : 1); /* for the sanitizer: no byte more */
            assert_non_null(copy);
            memcpy(copy, f->data, size);
            imgio_image image;
            const vitc_status status = imgio_decode_memory(&image, copy, size, f->name, NULL, NULL);
            free(copy);
            if (status == VITC_OK) {
                /* Where EXIF follows the pixels it may be gone. */
                const bool turned = strstr(f->name, "_after") == NULL || image.width == f->height;
                if (!golden_equal(golden, f, &image, turned)) {
                    print_error("%s: its first %zu of %zu bytes\n", f->name, size, f->size);
                    failures++;
                }
                imgio_image_free(&image);
            } else if (status == VITC_ERR_TRUNCATED || status == VITC_ERR_CORRUPT ||
                       (status == VITC_ERR_UNSUPPORTED && size < 18)) {
                errors++;
            } else {
                print_error("%s: its first %zu of %zu bytes: %s\n", f->name, size, f->size,
                            vitc_status_string(status));
                failures++;
            }
        }
    }
    assert_int_equal(failures, 0);
    assert_true(errors > 50000);
}

static const golden_file *file_named(const char *name)
{
    for (size_t i = 0; i < golden->count; i++)
        if (strcmp(golden->files[i].name, name) == 0) return &golden->files[i];
    fail_msg("no golden file %s", name);
    return NULL;
}

static vitc_status decode_limited(const char *name, imgio_limits limits)
{
    const golden_file *f = file_named(name);
    const imgio_decode_options options = {.limits = limits};
    imgio_image image;
    const vitc_status status =
        imgio_decode_memory(&image, f->data, f->size, f->name, &options, NULL);
    if (status != VITC_OK) assert_null(image.pixels);
    imgio_image_free(&image);
    return status;
}

static void limits_hold_exactly(void **state)
{
    (void)state;
    static const char *const names[] = {
        "jpeg_420_baseline.jpg", "png_rgb8.png", "webp_lossy.webp", "gif_palette.gif",
        "bmp_rgb.bmp",           "tga_rgb.tga",  "pnm_rgb.ppm",     "psd_rgb.psd",
        "jpeg_1x17.jpg",         "png_1x9.png"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const golden_file *f = file_named(names[i]);
        const uint32_t side = f->width > f->height ? f->width : f->height;
        imgio_limits limits = imgio_limits_default();
        limits.max_pixels = (uint64_t)f->width * f->height;
        limits.max_side = side;
        limits.max_file_size = f->size;
        assert_int_equal(decode_limited(names[i], limits), VITC_OK);
        limits.max_pixels--;
        assert_int_equal(decode_limited(names[i], limits), VITC_ERR_TOO_LARGE);
        limits.max_pixels++;
        limits.max_side--;
        assert_int_equal(decode_limited(names[i], limits), VITC_ERR_TOO_LARGE);
        limits.max_side++;
        limits.max_file_size--;
        assert_int_equal(decode_limited(names[i], limits), VITC_ERR_TOO_LARGE);
    }
}

static void scans_of_a_jpeg_are_limited(void **state)
{
    (void)state;
    /* libjpeg's own progression script has 10 scans for colour. */
    imgio_limits limits = imgio_limits_default();
    limits.max_jpeg_scans = 10;
    assert_int_equal(decode_limited("jpeg_420_progressive.jpg", limits), VITC_OK);
    limits.max_jpeg_scans = 9;
    assert_int_equal(decode_limited("jpeg_420_progressive.jpg", limits), VITC_ERR_TOO_LARGE);
    limits.max_jpeg_scans = 1;
    assert_int_equal(decode_limited("jpeg_420_baseline.jpg", limits), VITC_OK);
    limits.max_jpeg_scans = 3;
    assert_int_equal(decode_limited("jpeg_not_interleaved.jpg", limits), VITC_OK);
    limits.max_jpeg_scans = 2;
    assert_int_equal(decode_limited("jpeg_not_interleaved.jpg", limits), VITC_ERR_TOO_LARGE);
}

static size_t find_marker(const golden_file *f, size_t from, bool any, uint8_t marker)
{
    for (size_t i = from; i + 1 < f->size; i++)
        if (f->data[i] == 0xFF && f->data[i + 1] != 0 && (any || f->data[i + 1] == marker))
            return i;
    fail_msg("%s: no such marker", f->name);
    return 0;
}

/* The file with its first scan, of a few bytes, repeated. */
static uint8_t *with_scans(size_t *size, const golden_file *f, size_t copies)
{
    const size_t start = find_marker(f, 0, false, 0xDA);
    const size_t end = find_marker(f, start + 2, true, 0);
    const size_t scan = end - start;
    *size = f->size + scan * copies;
    uint8_t *data = malloc(*size);
    assert_non_null(data);
    memcpy(data, f->data, end);
    for (size_t i = 0; i < copies; i++) memcpy(data + end + i * scan, f->data + start, scan);
    memcpy(data + end + copies * scan, f->data + end, f->size - end);
    return data;
}

/* Refused while they are read, not after. */
static void a_jpeg_of_endless_scans_is_refused(void **state)
{
    (void)state;
    size_t size;
    uint8_t *data = with_scans(&size, file_named("jpeg_grey_progressive.jpg"), 20000);
    log_recorder recorder;
    const vitc_log log = log_recorder_start(&recorder);
    imgio_image image;
    assert_int_equal(imgio_decode_memory(&image, data, size, "scans", NULL, &log),
                     VITC_ERR_TOO_LARGE);
    assert_non_null(strstr(recorder.last, "1000 scans"));
    free(data);
}

/* All scans together may touch 32 times the limit of pixels. */
static void a_large_jpeg_may_have_fewer_scans(void **state)
{
    (void)state;
    const golden_file *f = file_named("jpeg_grey_progressive.jpg");
    imgio_decode_options options = imgio_decode_options_default();
    size_t size;
    uint8_t *data = with_scans(&size, f, 30);
    imgio_image image;
    assert_int_equal(imgio_decode_memory(&image, data, size, "scans", &options, NULL), VITC_OK);
    imgio_image_free(&image);
    options.limits.max_pixels = (uint64_t)f->width * f->height;
    assert_int_equal(imgio_decode_memory(&image, data, size, "scans", &options, NULL),
                     VITC_ERR_TOO_LARGE);
    assert_int_equal(imgio_decode_memory(&image, f->data, f->size, "scans", &options, NULL),
                     VITC_OK);
    imgio_image_free(&image);
    free(data);
}

/* libjpeg warns of an impossible code and goes on with what it takes for pixels. */
static void a_jpeg_of_impossible_codes_is_damaged(void **state)
{
    (void)state;
    static const char *const names[] = {"jpeg_444_baseline.jpg", "jpeg_420_progressive.jpg"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const golden_file *f = file_named(names[i]);
        uint8_t *data = malloc(f->size);
        assert_non_null(data);
        memcpy(data, f->data, f->size);
        /* Ones without end, a zero byte after each FF: never a Huffman code. */
        uint8_t *scan = data + find_marker(f, 0, false, 0xDA) + 30;
        for (size_t k = 0; k < 20; k++) scan[k] = k % 2 == 0 ? 0xFF : 0;
        imgio_image image;
        assert_int_equal(imgio_decode_memory(&image, data, f->size, f->name, NULL, NULL),
                         VITC_ERR_CORRUPT);
        free(data);
    }
}

static void metadata_of_a_png_is_limited(void **state)
{
    (void)state;
    const golden_file *f = file_named("png_text.png"); /* tEXt of 13 bytes */
    imgio_limits limits = imgio_limits_default();
    limits.max_metadata = 13;
    const imgio_decode_options options = {.limits = limits};
    imgio_decode_options lower = options;
    lower.limits.max_metadata = 12;
    imgio_image image;
    assert_int_equal(imgio_decode_memory(&image, f->data, f->size, NULL, &options, NULL), VITC_OK);
    imgio_image_free(&image);
    assert_int_equal(imgio_decode_memory(&image, f->data, f->size, NULL, &lower, NULL),
                     VITC_ERR_TOO_LARGE);
}

static void probing_ignores_the_limits(void **state)
{
    (void)state;
    char path[] = IMAGES "/bad/png_65535x65535.png";
    imgio_info info;
    assert_int_equal(imgio_probe_file(&info, path, NULL), VITC_OK);
    assert_int_equal(info.width, 65535);
    assert_int_equal(info.height, 65535);
}

static void a_name_is_optional_and_leads_the_message(void **state)
{
    (void)state;
    log_recorder recorder;
    const vitc_log log = log_recorder_start(&recorder);
    imgio_image image;
    assert_int_equal(imgio_decode_memory(&image, "text", 4, NULL, NULL, &log),
                     VITC_ERR_UNSUPPORTED);
    assert_int_equal(strncmp(recorder.last, "image: ", 7), 0);
    assert_int_equal(imgio_decode_memory(&image, NULL, 0, "nothing", NULL, &log),
                     VITC_ERR_TRUNCATED);
    assert_int_equal(strncmp(recorder.last, "nothing: ", 9), 0);
    assert_int_equal(imgio_decode_memory(&image, NULL, 5, "nothing", NULL, &log),
                     VITC_ERR_ARGUMENT);
    assert_int_equal(imgio_decode_memory(NULL, "text", 4, "nothing", NULL, &log),
                     VITC_ERR_ARGUMENT);
}

static void files_that_cannot_be_read_say_so(void **state)
{
    (void)state;
    log_recorder recorder;
    const vitc_log log = log_recorder_start(&recorder);
    imgio_image image;
    imgio_info info;
    assert_int_equal(imgio_decode_file(&image, IMAGES "/none.jpg", NULL, &log),
                     VITC_ERR_UNREADABLE);
    assert_non_null(strstr(recorder.last, "none.jpg"));
    assert_int_equal(imgio_decode_file(&image, IMAGES, NULL, &log), VITC_ERR_UNREADABLE);
    assert_int_equal(imgio_decode_file(&image, "/dev/zero", NULL, &log), VITC_ERR_UNREADABLE);
    assert_int_equal(imgio_probe_file(&info, IMAGES "/none.jpg", &log), VITC_ERR_UNREADABLE);
    assert_int_equal(recorder.messages, 4);
    imgio_decode_options options = imgio_decode_options_default();
    options.limits.max_file_size = 100;
    assert_int_equal(imgio_decode_file(&image, IMAGES "/png_rgb8.png", &options, &log),
                     VITC_ERR_TOO_LARGE);
}

static void formats_have_names(void **state)
{
    (void)state;
    assert_string_equal(imgio_format_string(IMGIO_JPEG), "JPEG");
    assert_string_equal(imgio_format_string(IMGIO_WEBP), "WebP");
    assert_string_equal(imgio_format_string(IMGIO_UNKNOWN), "unknown");
    assert_string_equal(imgio_format_string((imgio_format)99), "unknown");
}

static uint32_t eighths(uint32_t side, uint32_t count)
{
    return (side * count + 7) / 8;
}

/* Mean difference between two pictures of one size, in levels. */
static double mean_difference(const imgio_image *a, const imgio_image *b)
{
    const size_t count = (size_t)a->width * a->height * 3;
    double sum = 0;
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    for (size_t i = 0; i < count; i++) sum += abs(a->pixels[i] - b->pixels[i]);
    return sum / (double)count;
}

/* Every JPEG, turned or not, whole: each fraction is taken down to its very last pixel. */
static void a_fast_decode_keeps_what_was_asked_for(void **state)
{
    (void)state;
    static const uint32_t fractions[] = {1, 2, 4, 8};
    size_t reduced = 0, turned = 0;
    for (size_t i = 0; i < golden->count; i++) {
        const golden_file *f = &golden->files[i];
        imgio_info info;
        assert_int_equal(imgio_probe_memory(&info, f->data, f->size, f->name, NULL), VITC_OK);
        const bool swaps = info.orientation >= 5, jpeg = info.format == IMGIO_JPEG;
        const uint32_t width = swaps ? info.height : info.width;
        const uint32_t height = swaps ? info.width : info.height;
        for (size_t k = 0; k < 4; k++) {
            imgio_decode_options options = imgio_decode_options_default();
            options.fast = true;
            options.min_width = eighths(width, fractions[k]);
            options.min_height = eighths(height, fractions[k]);
            /* The smallest fraction that leaves as much: of a small picture several round alike. */
            uint32_t expected = 8;
            for (size_t m = 4; jpeg && m-- > 0;)
                if (eighths(width, fractions[m]) == options.min_width &&
                    eighths(height, fractions[m]) == options.min_height)
                    expected = fractions[m];
            imgio_image image;
            assert_int_equal(imgio_decode_memory(&image, f->data, f->size, f->name, &options, NULL),
                             VITC_OK);
            assert_int_equal(image.width, eighths(width, expected));
            assert_int_equal(image.height, eighths(height, expected));
            assert_int_equal(image.full_width, width);
            assert_int_equal(image.full_height, height);
            reduced += expected < 8;
            turned += expected < 8 && swaps && width != height;
            imgio_image_free(&image);

            /* One pixel more, and the next fraction has to do. */
            options.min_width++;
            assert_int_equal(imgio_decode_memory(&image, f->data, f->size, f->name, &options, NULL),
                             VITC_OK);
            assert_true(image.width >= options.min_width || image.width == width);
            if (expected == 8) assert_true(golden_equal(golden, f, &image, true));
            imgio_image_free(&image);
        }
    }
    assert_true(reduced >= 20 && turned >= 3);
}

static void a_fast_decode_without_a_minimum_is_a_full_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < golden->count; i++) {
        const golden_file *f = &golden->files[i];
        imgio_decode_options options = imgio_decode_options_default();
        imgio_image image;
        options.fast = true;
        assert_int_equal(imgio_decode_memory(&image, f->data, f->size, f->name, &options, NULL),
                         VITC_OK);
        assert_true(golden_equal(golden, f, &image, true));
        imgio_image_free(&image);
        options.fast = false;
        options.min_width = options.min_height = 1;
        assert_int_equal(imgio_decode_memory(&image, f->data, f->size, f->name, &options, NULL),
                         VITC_OK);
        assert_true(golden_equal(golden, f, &image, true));
        imgio_image_free(&image);
    }
}

/* The DCT keeps of a block what a good filter keeps: halves of a photo differ by a few levels. */
static void a_fast_decode_shows_the_same_picture(void **state)
{
    (void)state;
    imgio_decode_options options = imgio_decode_options_default();
    imgio_image full, fast, resized;
    const char *photo = VITC_GOLDEN_DIR "/photos/cat.jpg";
    assert_int_equal(imgio_decode_file(&full, photo, &options, NULL), VITC_OK);
    options.fast = true;
    options.min_width = options.min_height = 100;
    assert_int_equal(imgio_decode_file(&fast, photo, &options, NULL), VITC_OK);
    assert_int_equal(fast.width, 110);
    assert_int_equal(imgio_resize(&resized, &full, fast.width, fast.height, IMGIO_BICUBIC,
                                  IMGIO_ORDER_PILLOW13, NULL),
                     VITC_OK);
    const double difference = mean_difference(&fast, &resized);
    if (difference > 4) fail_msg("the pictures differ by %f", difference);
    imgio_image_free(&full);
    imgio_image_free(&fast);
    imgio_image_free(&resized);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files_give_pillows_pixels),
        cmocka_unit_test(probe_tells_kind_size_and_orientation),
        cmocka_unit_test(bad_files_get_their_status_and_one_message),
        cmocka_unit_test(every_prefix_is_an_error_or_the_whole_picture),
        cmocka_unit_test(limits_hold_exactly),
        cmocka_unit_test(scans_of_a_jpeg_are_limited),
        cmocka_unit_test(a_jpeg_of_endless_scans_is_refused),
        cmocka_unit_test(a_large_jpeg_may_have_fewer_scans),
        cmocka_unit_test(a_jpeg_of_impossible_codes_is_damaged),
        cmocka_unit_test(metadata_of_a_png_is_limited),
        cmocka_unit_test(probing_ignores_the_limits),
        cmocka_unit_test(a_name_is_optional_and_leads_the_message),
        cmocka_unit_test(files_that_cannot_be_read_say_so),
        cmocka_unit_test(formats_have_names),
        cmocka_unit_test(a_fast_decode_keeps_what_was_asked_for),
        cmocka_unit_test(a_fast_decode_without_a_minimum_is_a_full_one),
        cmocka_unit_test(a_fast_decode_shows_the_same_picture),
    };
    return cmocka_run_group_tests_name("imgio_decode", tests, load, unload);
}
