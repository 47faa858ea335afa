/* Logits of every golden checkpoint (tests/golden/checkpoints, written by transformers and timm)
 * against PyTorch's, and their bits over batches and threads. ctest runs this once per kernel row.
 */
#include "test_golden_tensors.h"
#include "vit.h"
#include "vit_test_support.h"

#define FOLDER VITC_GOLDEN_DIR "/checkpoints"

/* max |difference| relative to max |logit|; float32 through a few layers, far above its noise and
 * far below any real mistake */
#define TOLERANCE 1e-5

enum { IMAGES = 3, MIN_CASES = 30 };

static const vitc_log log_lines = {test_log_line, NULL};

static void run_case(const char *name)
{
    char path[512];
    vit_model *model = NULL;
    snprintf(path, sizeof path, FOLDER "/%s", name);
    if (vit_model_load(&model, path, NULL, &log_lines) != VITC_OK) fail_msg("%s: not loaded", name);
    const vit_config *config = vit_model_describe(model).config;
    const uint32_t k = config->classes;

    size_t pixel_count = 0, logit_count = 0;
    snprintf(path, sizeof path, FOLDER "/%s/golden.safetensors", name);
    float *pixels = golden_read_tensor(path, "pixel_values", &pixel_count);
    float *expected = golden_read_tensor(path, "logits", &logit_count);
    const size_t image = (size_t)3 * config->image_height * config->image_width;
    assert_int_equal(pixel_count, IMAGES * image);
    assert_int_equal(logit_count, IMAGES * k);

    float *logits = test_floats(IMAGES * k), *alone = test_floats(IMAGES * k);
    for (int threads = 1; threads <= 2; threads++) {
        vit_workspace *ws = NULL;
        assert_int_equal(vit_workspace_create(&ws, model, IMAGES, threads, &log_lines), VITC_OK);
        for (uint32_t b = 0; b < IMAGES; b++)
            assert_int_equal(patches_extract_tensor(vit_workspace_patches(ws, b),
                                                    (size_t)3 * config->patch * config->patch,
                                                    pixels + b * image, config->image_height,
                                                    config->image_width, config->patch, &log_lines),
                             VITC_OK);
        assert_int_equal(vit_forward(model, ws, logits, IMAGES, &log_lines), VITC_OK);
        if (threads == 1) memcpy(alone, logits, IMAGES * k * sizeof *logits);
        assert_memory_equal(alone, logits, IMAGES * k * sizeof *logits);
        vit_workspace_free(ws);
    }
    const double error = test_relative_error(logits, expected, IMAGES * k);
    printf("%-28s max |difference| / max |logit| = %.2g\n", name, error);
    if (error > TOLERANCE) fail_msg("%s: logits differ from PyTorch's by %g", name, error);

    free(pixels);
    free(expected);
    vitc_aligned_free(logits);
    vitc_aligned_free(alone);
    vit_model_free(model);
}

static void logits_equal_pytorch(void **unused)
{
    (void)unused;
    FILE *index = fopen(FOLDER "/index.txt", "re");
    char name[128];
    size_t cases = 0;
    assert_non_null(index);
    while (fgets(name, sizeof name, index) != NULL) {
        name[strcspn(name, "\n")] = 0;
        if (name[0] == 0) continue;
        run_case(name);
        cases++;
    }
    fclose(index);
    assert_true(cases >= MIN_CASES);
}

int main(void)
{
    test_kernels_or_skip();
    const struct CMUnitTest tests[] = {cmocka_unit_test(logits_equal_pytorch)};
    return cmocka_run_group_tests_name("golden checkpoints", tests, NULL, NULL);
}
