/* Preprocessing against tensors that transformers (PIL) and timm made: tests/golden/preprocess.
 * index.txt names the cases; each has the spec as those tools write it and, in golden.safetensors,
 * one float32 [3, H, W] tensor per picture of images/. */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "test_patches_support.h"
#include "vitc_file.h"

#define FOLDER    VITC_GOLDEN_DIR "/preprocess"
#define TOLERANCE 1e-6F /* absolute */
#define MIN_CASES 40    /* an index that has shrunk is a test that no longer tests */

typedef struct tally {
    size_t cases, tensors, values, equal;
    float worst;
} tally;

static unsigned char *read_file(const char *path, size_t *size)
{
    unsigned char *data = NULL;
    capture c;
    const vitc_log log = capture_log(&c);
    if (vitc_file_read(&data, size, path, 1 << 28, &log) != VITC_OK) fail_msg("%s", c.text);
    return data;
}

static void load_spec(patches_spec *spec, const char *name)
{
    char path[512], config_path[512];
    size_t size = 0, config_size = 0;
    capture c;
    const vitc_log log = capture_log(&c);
    vitc_json *config = NULL;
    unsigned char *config_text = NULL;
    const char *model_type = NULL;
    snprintf(path, sizeof path, "%s/%s/preprocessor_config.json", FOLDER, name);
    snprintf(config_path, sizeof config_path, "%s/%s/config.json", FOLDER, name);
    if (access(path, R_OK) != 0) {
        memcpy(path, config_path, sizeof path); /* timm keeps all in one file */
    } else if (access(config_path, R_OK) == 0) {
        config_text = read_file(config_path, &config_size);
        assert_int_equal(
            vitc_json_parse(&config, (const char *)config_text, config_size, config_path, NULL),
            VITC_OK);
        model_type = vitc_json_string(vitc_json_get(config, "model_type"), NULL);
        assert_non_null(model_type);
    }
    unsigned char *text = read_file(path, &size);
    if (patches_spec_parse(spec, (const char *)text, size, path, model_type, &log) != VITC_OK)
        fail_msg("%s", c.text);
    free(text);
    free(config_text);
    vitc_json_free(config);
}

/* The picture through the public functions, as the model gets it. */
static float *preprocess(const char *image_name, const patches_spec *spec, uint32_t *height,
                         uint32_t *width)
{
    char path[512];
    capture c;
    const vitc_log log = capture_log(&c);
    imgio_image decoded = {0}, image = {0};
    patches_levels levels;
    snprintf(path, sizeof path, "%s/images/%s.png", FOLDER, image_name);
    if (imgio_decode_file(&decoded, path, NULL, &log) != VITC_OK) fail_msg("%s", c.text);
    if (patches_preprocess_image(&image, &decoded, spec, &log) != VITC_OK) fail_msg("%s", c.text);
    uint32_t expected_height = 0, expected_width = 0;
    assert_true(patches_spec_output_size(spec, decoded.height, decoded.width, &expected_height,
                                         &expected_width));
    assert_int_equal(image.height, expected_height);
    assert_int_equal(image.width, expected_width);
    float *tensor = malloc((size_t)image.height * image.width * 3 * sizeof *tensor);
    assert_non_null(tensor);
    patches_levels_init(&levels, spec);
    patches_tensor_image(tensor, &image, &levels);
    *height = image.height;
    *width = image.width;
    imgio_image_free(&decoded);
    imgio_image_free(&image);
    return tensor;
}

static void compare(tally *t, const char *name, const char *image_name, const patches_spec *spec,
                    const vitc_json *shape, const unsigned char *data, size_t bytes)
{
    uint32_t height = 0, width = 0;
    float *tensor = preprocess(image_name, spec, &height, &width);
    if (vitc_json_size(shape) != 3 || vitc_json_integer(vitc_json_at(shape, 0), 0) != 3 ||
        vitc_json_integer(vitc_json_at(shape, 1), 0) != height ||
        vitc_json_integer(vitc_json_at(shape, 2), 0) != width)
        fail_msg("%s, %s: the result is %u high and %u wide", name, image_name, (unsigned)height,
                 (unsigned)width);
    const size_t values = (size_t)3 * height * width;
    assert_int_equal(bytes, values * 4);
    for (size_t i = 0; i < values; i++) {
        const unsigned char *b = data + 4 * i;
        const float want = float_from_bits((uint32_t)b[0] | (uint32_t)b[1] << 8 |
                                           (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24);
        const float error = fabsf(tensor[i] - want);
        if (!(error <= TOLERANCE))
            fail_msg("%s, %s: value %zu is %.9g, expected %.9g", name, image_name, i,
                     (double)tensor[i], (double)want);
        if (error > t->worst) t->worst = error;
        t->equal += float_bits(tensor[i]) == float_bits(want);
    }
    t->values += values;
    t->tensors++;
    free(tensor);
}

static void run_case(tally *t, const char *name)
{
    char path[512];
    size_t size = 0, tensors = 0;
    patches_spec spec;
    vitc_json *header = NULL;
    load_spec(&spec, name);
    snprintf(path, sizeof path, "%s/%s/golden.safetensors", FOLDER, name);
    unsigned char *data = read_file(path, &size);
    uint64_t length = 0;
    assert_true(size > 8);
    for (size_t i = 0; i < 8; i++) length |= (uint64_t)data[i] << (8 * i);
    assert_true(length <= size - 8);
    assert_int_equal(vitc_json_parse(&header, (const char *)data + 8, (size_t)length, path, NULL),
                     VITC_OK);
    const unsigned char *buffer = data + 8 + length;
    const size_t buffer_size = size - 8 - (size_t)length;
    for (void *it = vitc_json_first(header); it != NULL; it = vitc_json_next(header, it)) {
        const vitc_json *entry = vitc_json_value(it);
        const vitc_json *offsets = vitc_json_get(entry, "data_offsets");
        if (strcmp(vitc_json_key(it), "__metadata__") == 0) continue;
        const int64_t begin = vitc_json_integer(vitc_json_at(offsets, 0), -1);
        const int64_t end = vitc_json_integer(vitc_json_at(offsets, 1), -1);
        assert_string_equal(vitc_json_string(vitc_json_get(entry, "dtype"), ""), "F32");
        assert_true(begin >= 0 && begin <= end && (uint64_t)end <= buffer_size);
        compare(t, name, vitc_json_key(it), &spec, vitc_json_get(entry, "shape"), buffer + begin,
                (size_t)(end - begin));
        tensors++;
    }
    if (tensors == 0) fail_msg("%s holds no tensor", path);
    t->cases++;
    vitc_json_free(header);
    free(data);
}

static void test_golden(void **state)
{
    tally t = {0};
    size_t size = 0;
    unsigned char *index = read_file(FOLDER "/index.txt", &size);
    (void)state;
    for (size_t from = 0; from < size;) {
        size_t length = 0;
        while (from + length < size && index[from + length] != '\n') length++;
        char name[128];
        assert_true(length < sizeof name);
        memcpy(name, index + from, length);
        name[length] = 0;
        if (length > 0) run_case(&t, name);
        from += length + 1;
    }
    free(index);
    print_message("%zu cases, %zu tensors, %zu values, %zu of them equal to the last bit, "
                  "largest difference %g\n",
                  t.cases, t.tensors, t.values, t.equal, (double)t.worst);
    assert_true(t.cases >= MIN_CASES);
    /* Every value is a look-up in a table that the frameworks' own arithmetic fills. */
    assert_int_equal(t.equal, t.values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
