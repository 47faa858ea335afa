/* The facade vit_classify: what it says of each image, whom it shows pictures to, and the means
 * over several views of an image. */
#include "test_golden_tensors.h"
#include "vit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECKPOINTS VITC_GOLDEN_DIR "/checkpoints/"
#define PHOTOS      VITC_GOLDEN_DIR "/photos/"

static const vitc_log log_lines = {golden_log_line, NULL};

static vit_model *load(const char *path)
{
    vit_model *model = NULL;
    assert_int_equal(vit_model_load(&model, path, NULL, &log_lines), VITC_OK);
    return model;
}

/* What one image's inspect was called with. */
typedef struct seen {
    int calls;
    uint32_t width, height;
    uint8_t corner[3];
} seen;

static void look(void *user, const imgio_image *decoded)
{
    seen *s = user;
    s->calls++;
    s->width = decoded->width;
    s->height = decoded->height;
    memcpy(s->corner, decoded->pixels, sizeof s->corner);
}

/* Each picture is shown once, upright and in full, a bad one never; the times of what was done are
 * there, and of what was not are not. */
static void inspects_and_times(void **unused)
{
    (void)unused;
    enum { COUNT = 4, TURNED = 0, PLAIN = 1, BAD = 2, PIXELS = 3 };
    vit_model *model = load(CHECKPOINTS "hf_vit");
    imgio_image upright = {0};
    assert_int_equal(imgio_decode_file(&upright, PHOTOS "astronaut_exif6.jpg", NULL, &log_lines),
                     VITC_OK);
    for (int threads = 1; threads <= 3; threads += 2) {
        const vit_classifier_options options = {
            .batch = COUNT, .threads = threads, .decode = imgio_decode_options_default()};
        vit_classifier *classifier = NULL;
        assert_int_equal(vit_classifier_create(&classifier, model, &options, &log_lines), VITC_OK);
        seen pictures[COUNT] = {{0}};
        vit_input inputs[COUNT] = {[TURNED] = {.path = PHOTOS "astronaut_exif6.jpg"},
                                   [PLAIN] = {.path = PHOTOS "spoon_rgba.png"},
                                   [BAD] = {.data = "no image", .size = 8},
                                   [PIXELS] = {.image = &upright}};
        vit_output outputs[COUNT];
        for (size_t i = 0; i < COUNT; i++) {
            inputs[i].inspect = look;
            inputs[i].inspect_user = &pictures[i];
        }
        assert_int_equal(vit_classify(classifier, outputs, inputs, COUNT, &log_lines), VITC_OK);
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(pictures[i].calls, i == BAD ? 0 : 1);
            assert_int_equal(outputs[i].status == VITC_OK, i != BAD);
            assert_int_equal(pictures[i].width, outputs[i].width);
            assert_int_equal(pictures[i].height, outputs[i].height);
            assert_int_equal(outputs[i].preprocess_seconds > 0, i != BAD);
            if (i != BAD) /* what is no image is known for less than a clock may tell */
                assert_int_equal(outputs[i].decode_seconds > 0, i != PIXELS);
            assert_true(outputs[i].decode_seconds < 60 && outputs[i].preprocess_seconds < 60);
        }
        assert_int_equal(pictures[TURNED].width, upright.width);
        assert_memory_equal(pictures[TURNED].corner, upright.pixels, 3);
        assert_memory_equal(outputs[TURNED].logits, outputs[PIXELS].logits,
                            vit_model_describe(model).config->classes * sizeof(float));
        vit_classifier_free(classifier);
    }
    imgio_image_free(&upright);
    vit_model_free(model);
}

/* ---- views ---- */

#define VIEWS VITC_GOLDEN_DIR "/views"

/* max |difference| relative to max |logit| */
#define TOLERANCE 1e-5

static vit_classifier *classifier_of(const vit_model *model, vit_views views, uint32_t batch,
                                     int threads)
{
    const vit_classifier_options options = {.batch = batch,
                                            .views = views,
                                            .threads = threads,
                                            .decode = imgio_decode_options_default()};
    vit_classifier *classifier;
    assert_int_equal(vit_classifier_create(&classifier, model, &options, &log_lines), VITC_OK);
    return classifier;
}

static void compare_views(const vit_model *model, const char *name, const char *picture,
                          vit_views views)
{
    char key[128], path[512];
    size_t count;
    snprintf(key, sizeof key, "%s.%s.%s", name, picture, vit_views_string(views));
    snprintf(path, sizeof path, PHOTOS "%s", picture);
    float *expected = golden_read_tensor(VIEWS "/golden.safetensors", key, &count);
    const vit_config *config = vit_model_describe(model).config;
    assert_int_equal(count, config->classes);
    vit_classifier *classifier = classifier_of(model, views, 1, 1);
    const vit_input input = {.path = path};
    vit_output output;
    assert_int_equal(vit_classify(classifier, &output, &input, 1, &log_lines), VITC_OK);
    assert_int_equal(output.status, VITC_OK);
    double largest = 0, worst = 0;
    for (size_t k = 0; k < count; k++) {
        largest = fmax(largest, fabs((double)expected[k]));
        worst = fmax(worst, fabs((double)output.logits[k] - (double)expected[k]));
    }
    printf("%-40s max |difference| / max |logit| = %.2g\n", key, worst / largest);
    assert_true(worst <= TOLERANCE * largest);
    /* the scores are those of the mean, not means of scores */
    float scores[64];
    assert_true(count <= 64);
    vit_scores_compute(config, scores, output.logits);
    assert_memory_equal(scores, output.scores, count * sizeof *scores);
    vit_classifier_free(classifier);
    free(expected);
}

static void views_equal_pytorch(void **unused)
{
    (void)unused;
    FILE *index = fopen(VIEWS "/index.txt", "re");
    char line[128], name[64], picture[64], path[512];
    size_t cases = 0, fives = 0;
    assert_non_null(index);
    while (fgets(line, sizeof line, index) != NULL) {
        assert_int_equal(sscanf(line, "%63s %63s", name, picture), 2);
        snprintf(path, sizeof path, CHECKPOINTS "%s", name);
        vit_model *model = load(path);
        const bool cuts = patches_spec_has_corners(vit_model_describe(model).preprocess);
        compare_views(model, name, picture, VIT_VIEWS_ONE);
        compare_views(model, name, picture, VIT_VIEWS_HFLIP);
        if (cuts) compare_views(model, name, picture, VIT_VIEWS_FIVE);
        fives += cuts;
        vit_model_free(model);
        cases++;
    }
    fclose(index);
    assert_true(cases >= 16 && fives >= 12);
}

/* The same bits in every batch, at every place, beside bad images, with any number of threads. */
static void views_do_not_depend_on_the_batch(void **unused)
{
    (void)unused;
    enum { COUNT = 5, BAD = 2 };
    static const vit_input inputs[COUNT] = {{.path = PHOTOS "cat.jpg"},
                                            {.path = PHOTOS "rocket.png"},
                                            {.path = PHOTOS "missing.jpg"},
                                            {.path = PHOTOS "launch_lossy.webp"},
                                            {.path = PHOTOS "astronaut.bmp"}};
    vit_model *model = load(CHECKPOINTS "timm_vit");
    const uint32_t k = vit_model_describe(model).config->classes;
    for (int views = VIT_VIEWS_ONE; views < VIT_VIEWS_COUNT; views++) {
        float alone[COUNT][16];
        vit_output outputs[COUNT];
        assert_true(k <= 16);
        vit_classifier *single = classifier_of(model, (vit_views)views, 1, 1);
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(vit_classify(single, outputs, &inputs[i], 1, &log_lines), VITC_OK);
            if (i != BAD) memcpy(alone[i], outputs[0].logits, k * sizeof(float));
        }
        vit_classifier_free(single);
        for (int threads = 1; threads <= 3; threads++) {
            vit_classifier *together = classifier_of(model, (vit_views)views, COUNT, threads);
            assert_int_equal(vit_classify(together, outputs, inputs, COUNT, &log_lines), VITC_OK);
            for (size_t i = 0; i < COUNT; i++) {
                assert_int_equal(outputs[i].status == VITC_OK, i != BAD);
                if (i != BAD) assert_memory_equal(outputs[i].logits, alone[i], k * sizeof(float));
            }
            vit_classifier_free(together);
        }
    }
    vit_model_free(model);
}

static void keep_message(void *user, vitc_log_level level, const char *message)
{
    (void)level;
    snprintf(user, 512, "%s", message);
}

/* Five views of a picture that is resized to the model's size would be five times the same. */
static void five_views_need_room(void **unused)
{
    (void)unused;
    char message[512] = "";
    const vitc_log log = {keep_message, message};
    vit_classifier_options options = vit_classifier_options_default();
    vit_classifier *classifier;
    vit_model *model = load(CHECKPOINTS "hf_vit");
    options.views = VIT_VIEWS_FIVE;
    assert_int_equal(vit_classifier_create(&classifier, model, &options, &log),
                     VITC_ERR_PREPROCESS);
    assert_null(classifier);
    assert_non_null(strstr(message, "--crop"));
    options.views = VIT_VIEWS_COUNT;
    assert_int_equal(vit_classifier_create(&classifier, model, &options, &log), VITC_ERR_ARGUMENT);
    vit_model_free(model);
    const vit_load_options cut = {.crop = 0.8};
    assert_int_equal(vit_model_load(&model, CHECKPOINTS "hf_vit", &cut, &log_lines), VITC_OK);
    vit_classifier_free(classifier_of(model, VIT_VIEWS_FIVE, 1, 1));
    vit_model_free(model);
}

/* hf_vit with one row of its head so large that sums overflow, though each weight is finite. */
static vit_model *load_overflowing(vit_precision precision)
{
    char file[] = "/tmp/vitc-overflow-XXXXXX";
    const vit_load_options options = {.precision = precision};
    unsigned char *data;
    size_t size;
    vit_safetensors contents;
    vit_model *model = NULL;
    const int fd = mkstemp(file);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(
        vit_model_convert(CHECKPOINTS "hf_vit", file, VIT_DTYPE_F32, NULL, NULL, &log_lines),
        VITC_OK);
    assert_int_equal(vitc_file_read(&data, &size, file, SIZE_MAX, &log_lines), VITC_OK);
    assert_int_equal(remove(file), 0);
    assert_int_equal(vit_safetensors_open(&contents, data, size, file, &log_lines), VITC_OK);
    const vit_tensor *head = vit_safetensors_find(&contents, "head.weight");
    assert_non_null(head);
    memset(data + (head->data - data), 0x7F, head->shape[1] * sizeof(float)); /* 3.4e38 each */
    vit_safetensors_close(&contents);
    assert_int_equal(vit_model_load_memory(&model, data, size, file, &options, &log_lines),
                     VITC_OK);
    free(data);
    return model;
}

/* Numbers that overflow are no answer, whatever the others are. */
static void overflow_is_no_answer(void **unused)
{
    (void)unused;
    enum { COUNT = 3, BAD = 1 };
    static const vit_input inputs[COUNT] = {
        {.path = PHOTOS "cat.jpg"}, {.path = PHOTOS "missing.jpg"}, {.path = PHOTOS "rocket.png"}};
    static const struct {
        vit_precision precision;
        const char *remedy;
    } rows[] = {{VIT_PRECISION_F32, "look at its weights"},
                {VIT_PRECISION_BF16, "try --precision f32"}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        vit_model *model = load_overflowing(rows[r].precision);
        for (int views = VIT_VIEWS_ONE; views <= VIT_VIEWS_HFLIP; views++) {
            vit_output outputs[COUNT];
            vit_classifier *classifier = classifier_of(model, (vit_views)views, COUNT, 1);
            assert_int_equal(vit_classify(classifier, outputs, inputs, COUNT, &log_lines), VITC_OK);
            for (size_t i = 0; i < COUNT; i++) {
                assert_int_equal(outputs[i].status,
                                 i == BAD ? VITC_ERR_UNREADABLE : VITC_ERR_OVERFLOW);
                assert_null(outputs[i].logits);
                assert_null(outputs[i].scores);
                assert_ptr_equal(strstr(outputs[i].error, inputs[i].path), outputs[i].error);
                if (i != BAD) assert_non_null(strstr(outputs[i].error, rows[r].remedy));
            }
            vit_classifier_free(classifier);
        }
        vit_model_free(model);
    }
}

/* Options of zeros, and none at all, are the defaults. */
static void zeros_are_the_defaults(void **unused)
{
    (void)unused;
    const vit_classifier_options zeros = {0}, usual = vit_classifier_options_default();
    const vit_classifier_options *const rows[] = {&zeros, NULL};
    vit_model *model = load(CHECKPOINTS "hf_vit");
    const size_t size = vit_classifier_size(model, &usual);
    const vit_input input = {.path = PHOTOS "cat.jpg"};
    assert_true(size > 0);
    for (size_t r = 0; r < 2; r++) {
        vit_classifier *classifier;
        vit_output output;
        assert_int_equal(vit_classifier_size(model, rows[r]), size);
        assert_int_equal(vit_classifier_create(&classifier, model, rows[r], &log_lines), VITC_OK);
        assert_int_equal(vit_classify(classifier, &output, &input, 1, &log_lines), VITC_OK);
        assert_int_equal(output.status, VITC_OK);
        vit_classifier_free(classifier);
    }
    vit_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(inspects_and_times),
                                       cmocka_unit_test(views_equal_pytorch),
                                       cmocka_unit_test(views_do_not_depend_on_the_batch),
                                       cmocka_unit_test(five_views_need_room),
                                       cmocka_unit_test(overflow_is_no_answer),
                                       cmocka_unit_test(zeros_are_the_defaults)};
    return cmocka_run_group_tests_name("vit_classify", tests, NULL, NULL);
}
