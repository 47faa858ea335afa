/* The facade vit_classify: what it says of each image, and whom it shows pictures to. */
#include "vit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define CHECKPOINTS VITC_GOLDEN_DIR "/checkpoints/"
#define PHOTOS      VITC_GOLDEN_DIR "/photos/"

static void print_line(void *user, vitc_log_level level, const char *message)
{
    (void)user;
    (void)level;
    fprintf(stderr, "log: %s\n", message);
}

static const vitc_log log_lines = {print_line, NULL};

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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(inspects_and_times)};
    return cmocka_run_group_tests_name("vit_classify", tests, NULL, NULL);
}
