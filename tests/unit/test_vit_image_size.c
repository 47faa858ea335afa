/* Models at another image size than the stored one: logits against timm's and transformers', files
 * that are converted before and after, and what is refused. */
#include "test_golden_tensors.h"
#include "vit_weights_support.h"

#include <math.h>

#include "vitc_memory.h"

#define GOLDEN VITC_GOLDEN_DIR "/image_size"

/* max |difference| relative to max |logit|; and what the wrong filter must be away at least, so
 * that it would be found */
#define TOLERANCE   1e-5
#define WRONG_SHOWS 1e-3

enum { MIN_CASES = 12 };

static vit_model *load(const char *path, const vit_load_options *options)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_model *model;
    vit_load_options alone = *options;
    alone.threads = 1; /* other tests use the same CPUs */
    assert_status(vit_model_load(&model, path, &alone, &log), VITC_OK, &messages);
    return model;
}

/* logits[K] of one image, C x H x W; free() them. */
static float *forward(const vit_model *model, const float *pixels)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    const vit_config *config = vit_model_describe(model).config;
    vit_workspace *ws;
    float *logits = malloc(config->classes * sizeof *logits);
    assert_non_null(logits);
    assert_status(vit_workspace_create(&ws, model, 1, 1, &log), VITC_OK, &messages);
    assert_status(patches_extract_tensor(
                      vit_workspace_patches(ws, 0), (size_t)3 * config->patch * config->patch,
                      pixels, config->image_height, config->image_width, config->patch, &log),
                  VITC_OK, &messages);
    assert_status(vit_forward(model, ws, logits, 1, &log), VITC_OK, &messages);
    vit_workspace_free(ws);
    return logits;
}

static double relative_error(const float *a, const float *b, size_t count)
{
    double worst = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
        largest = fmax(largest, fabs((double)b[i]));
        if (isnan(a[i])) return INFINITY;
    }
    return worst / largest;
}

static void run_case(const char *line)
{
    char name[64], path[512], key[128];
    vit_load_options options = {0};
    size_t pixel_count, logit_count;
    assert_int_equal(sscanf(line, "%63s %u %u", name, &options.image_height, &options.image_width),
                     3);
    snprintf(path, sizeof path, CHECKPOINTS "/%s", name);
    snprintf(key, sizeof key, "%s.%ux%u.pixel_values", name, options.image_height,
             options.image_width);
    float *pixels = golden_read_tensor(GOLDEN "/golden.safetensors", key, &pixel_count);
    snprintf(key, sizeof key, "%s.%ux%u.logits", name, options.image_height, options.image_width);
    float *expected = golden_read_tensor(GOLDEN "/golden.safetensors", key, &logit_count);

    vit_model *model = load(path, &options);
    const vit_model_info info = vit_model_describe(model);
    assert_int_equal(info.config->classes, logit_count);
    assert_int_equal(pixel_count, (size_t)3 * options.image_height * options.image_width);
    float *logits = forward(model, pixels);
    const double error = relative_error(logits, expected, logit_count);
    printf("%-28s %ux%u max |difference| / max |logit| = %.2g\n", name, options.image_height,
           options.image_width, error);
    if (error > TOLERANCE) fail_msg("%s: logits differ from PyTorch's by %g", line, error);

    /* The other family's filter gives other logits. */
    options.position_filter = info.config->position_filter == PATCHES_POSITION_BICUBIC
                                  ? PATCHES_POSITION_BICUBIC_ANTIALIAS
                                  : PATCHES_POSITION_BICUBIC;
    vit_model *other = load(path, &options);
    float *others = forward(other, pixels);
    assert_true(relative_error(others, expected, logit_count) > WRONG_SHOWS);
    free(pixels);
    free(expected);
    free(logits);
    free(others);
    vit_model_free(model);
    vit_model_free(other);
}

static void logits_equal_pytorch(void **unused)
{
    (void)unused;
    FILE *index = fopen(GOLDEN "/index.txt", "re");
    char line[128];
    size_t cases = 0;
    assert_non_null(index);
    while (fgets(line, sizeof line, index) != NULL) {
        line[strcspn(line, "\n")] = 0;
        run_case(line);
        cases++;
    }
    fclose(index);
    assert_true(cases >= MIN_CASES);
}

/* ---- files ---- */

typedef enum writing { AS_F32, AS_BF16, AS_INT8 } writing;

static void write_as(const char *in, const char *out, writing how, const vit_load_options *options)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    const vitc_status status =
        how == AS_INT8 ? vit_model_quantize(in, out, VIT_DTYPE_INT8, NULL, options, &log)
                       : vit_model_convert(in, out, how == AS_BF16 ? VIT_DTYPE_BF16 : VIT_DTYPE_F32,
                                           NULL, options, &log);
    assert_status(status, VITC_OK, &messages);
}

static void assert_same_model(const vit_model *a, const vit_model *b, const float *pixels)
{
    const vit_model_info first = vit_model_describe(a), second = vit_model_describe(b);
    assert_int_equal(first.config->image_height, second.config->image_height);
    assert_int_equal(first.config->image_width, second.config->image_width);
    assert_int_equal(first.config->position_filter, second.config->position_filter);
    assert_memory_equal(first.preprocess, second.preprocess, sizeof *first.preprocess);
    float *x = forward(a, pixels), *y = forward(b, pixels);
    assert_memory_equal(x, y, first.config->classes * sizeof *x);
    free(x);
    free(y);
}

/* Resized and then written, or written and then resized: the same model, bit for bit. A file keeps
 * its family's filter. */
static void files_resize_like_their_source(void **unused)
{
    (void)unused;
    static const char *const sources[] = {CHECKPOINTS "/hf_vit", CHECKPOINTS "/timm_vit",
                                          CHECKPOINTS "/hf_deit_distilled"};
    const vit_load_options plain = {0};
    const vit_load_options larger = {.image_height = 40, .image_width = 56, .crop = 0.5};
    enum { PIXELS = 3 * 40 * 56 };
    float *pixels = malloc(PIXELS * sizeof *pixels);
    assert_non_null(pixels);
    for (size_t i = 0; i < PIXELS; i++) pixels[i] = sinf((float)i * 0.37F);
    char folder[64], before[128], after[128];
    test_make_folder(folder);
    snprintf(before, sizeof before, "%s/before.safetensors", folder);
    snprintf(after, sizeof after, "%s/after.safetensors", folder);
    for (size_t s = 0; s < sizeof sources / sizeof sources[0]; s++)
        for (int how = AS_F32; how <= AS_INT8; how++) {
            write_as(sources[s], before, (writing)how, &larger);
            write_as(sources[s], after, (writing)how, &plain);
            vit_model *written = load(before, &plain), *resized = load(after, &larger);
            assert_same_model(written, resized, pixels);
            if (how == AS_F32) {
                vit_model *source = load(sources[s], &larger);
                assert_same_model(source, resized, pixels);
                vit_model_free(source);
            }
            vit_model_free(written);
            vit_model_free(resized);
        }
    free(pixels);
    test_remove_folder(folder);
}

/* ---- what was measured ---- */

/* hf_vit with a card of both kinds and a temperature. */
static void write_measured(const char *path, const char *folder)
{
    static const char card[] =
        "{\"name\": \"measured\", \"accuracy\": [{\"data\": \"a\", \"value\": "
        "0.9}], \"results\": {\"epoch\": 3, \"validation_accuracy\": 0.8, "
        "\"validation_loss\": 0.5}}";
    char plain[128];
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    snprintf(plain, sizeof plain, "%s/plain.safetensors", folder);
    assert_status(vit_model_convert(CHECKPOINTS "/hf_vit", plain, VIT_DTYPE_BF16, card, NULL, &log),
                  VITC_OK, &messages);
    assert_status(vit_model_calibrate(plain, path, 2, "{\"images\": 7}", NULL, &log), VITC_OK,
                  &messages);
    assert_string_equal(messages.text, "");
}

static void assert_forgotten(const char *path, const vit_load_options *options, bool forgotten)
{
    vit_model *model = load(path, options);
    const vit_model_info info = vit_model_describe(model);
    assert_true(info.config->temperature == (forgotten ? 1.0F : 2.0F));
    assert_true((info.calibration == NULL) == forgotten);
    assert_non_null(strstr(info.card, "measured"));
    assert_non_null(strstr(info.card, "epoch"));
    static const char *const keys[] = {"\"accuracy\"", "validation_accuracy", "validation_loss"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_true((strstr(info.card, keys[i]) == NULL) == forgotten);
    assert_string_equal(info.weights_dtype, "BF16");
    vit_model_free(model);
}

/* Nobody measured the model at another size: neither the file nor the loaded model says so, and
 * whoever writes the file is told. Weights stay as they are stored. */
static void measurements_are_of_one_size(void **unused)
{
    (void)unused;
    const vit_load_options plain = {0}, crop = {.crop = 0.5}, larger = {.image_height = 48};
    char folder[64], path[128], written[128];
    message_log messages;
    vitc_log log = message_log_start(&messages);
    test_make_folder(folder);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    snprintf(written, sizeof written, "%s/written.safetensors", folder);
    write_measured(path, folder);
    assert_forgotten(path, &plain, false);
    assert_forgotten(path, &crop, false);
    assert_forgotten(path, &larger, true);
    assert_status(vit_model_convert(path, written, VIT_DTYPE_STORED, NULL, &crop, &log), VITC_OK,
                  &messages);
    assert_string_equal(messages.text, "");
    assert_forgotten(written, &plain, false);
    assert_status(vit_model_convert(path, written, VIT_DTYPE_STORED, NULL, &larger, &log), VITC_OK,
                  &messages);
    assert_says(&messages, "written.safetensors: without the accuracy and the temperature");
    assert_forgotten(written, &plain, true);
    log = message_log_start(&messages);
    assert_status(vit_model_convert(path, written, VIT_DTYPE_STORED, "{}", &larger, &log), VITC_OK,
                  &messages);
    assert_says(&messages, "without the temperature");
    log = message_log_start(&messages);
    assert_status(vit_model_calibrate(path, written, 3, NULL, &larger, &log), VITC_OK, &messages);
    assert_says(&messages, "without the accuracy of");
    test_remove_folder(folder);
}

/* A file in memory becomes the file that it becomes from disk. */
static void memory_writes_the_same(void **unused)
{
    (void)unused;
    const vit_load_options larger = {.image_height = 48};
    char folder[64], path[128], first[128], second[128];
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    test_make_folder(folder);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    snprintf(first, sizeof first, "%s/first.safetensors", folder);
    snprintf(second, sizeof second, "%s/second.safetensors", folder);
    write_as(CHECKPOINTS "/hf_vit", path, AS_F32, NULL);
    const test_bytes bytes = test_read_file(path);
    for (int how = AS_F32; how <= AS_INT8; how++) {
        const vit_dtype dtype = how == AS_BF16 ? VIT_DTYPE_BF16 : VIT_DTYPE_F32;
        write_as(path, first, (writing)how, &larger);
        assert_status(how == AS_INT8
                          ? vit_model_quantize_memory(bytes.data, bytes.size, "m", second,
                                                      VIT_DTYPE_INT8, NULL, &larger, &log)
                          : vit_model_convert_memory(bytes.data, bytes.size, NULL, second, dtype,
                                                     NULL, &larger, &log),
                      VITC_OK, &messages);
        const test_bytes a = test_read_file(first), b = test_read_file(second);
        assert_int_equal(a.size, b.size);
        assert_memory_equal(a.data, b.data, a.size);
        free(a.data);
        free(b.data);
    }
    free(bytes.data);
    test_remove_folder(folder);
}

/* A model without positions has nothing to resample. */
static void no_positions(void **unused)
{
    (void)unused;
    char folder[64], path[128];
    test_make_folder(folder);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    const vit_load_options plain = {0}, larger = {.image_height = 48, .image_width = 64};
    write_as(CHECKPOINTS "/timm_vit_nocls", path, AS_F32, &plain);
    test_bytes file = test_read_file(path);
    test_tensors *tensors = test_take_apart(&file);
    test_tensor_drop(tensors, "pos_embed");
    test_bytes without = test_put_together_again(tensors, &file);
    test_bytes changed = test_change_header(&without, "\\\"learned_1d\\\"", "\\\"none\\\"");
    test_write_file(folder, "model.safetensors", changed.data, changed.size);
    vit_model *model = load(path, &larger);
    const vit_model_info info = vit_model_describe(model);
    assert_int_equal(info.config->position, PATCHES_POSITION_NONE);
    assert_int_equal(vit_config_patches(info.config), 6 * 8);
    float *pixels = calloc((size_t)3 * 48 * 64, sizeof *pixels);
    assert_non_null(pixels);
    float *logits = forward(model, pixels);
    for (uint32_t k = 0; k < info.config->classes; k++) assert_true(isfinite(logits[k]));
    free(pixels);
    free(logits);
    vit_model_free(model);
    free(file.data);
    free(without.data);
    free(changed.data);
    test_remove_folder(folder);
}

/* The configuration with the key position_filter as `value` (JSON), or without it. */
static vitc_status load_with_filter(vit_model **model, const char *folder, const char *value,
                                    const vitc_log *log)
{
    char path[128], key[128];
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    const vit_load_options plain = {.threads = 1};
    write_as(CHECKPOINTS "/hf_vit", path, AS_F32, &plain);
    test_bytes file = test_read_file(path);
    snprintf(key, sizeof key, "%s", value);
    test_bytes changed =
        test_change_header(&file, ", \\\"position_filter\\\": \\\"bicubic\\\"", key);
    test_write_file(folder, "model.safetensors", changed.data, changed.size);
    free(file.data);
    free(changed.data);
    return vit_model_load(model, path, &plain, log);
}

static void files_record_the_filter(void **unused)
{
    (void)unused;
    char folder[64];
    message_log messages;
    vitc_log log = message_log_start(&messages);
    vit_model *model;
    test_make_folder(folder);
    assert_status(load_with_filter(&model, folder, "", &log), VITC_OK, &messages);
    assert_int_equal(vit_model_describe(model).config->position_filter,
                     PATCHES_POSITION_BICUBIC_ANTIALIAS);
    vit_model_free(model);
    assert_status(load_with_filter(&model, folder,
                                   ", \\\"position_filter\\\": \\\"bilinear_corners\\\"", &log),
                  VITC_OK, &messages);
    assert_int_equal(vit_model_describe(model).config->position_filter,
                     PATCHES_POSITION_BILINEAR_CORNERS);
    vit_model_free(model);
    static const char *const bad[] = {
        ", \\\"position_filter\\\": \\\"lanczos\\\"", ", \\\"position_filter\\\": \\\"default\\\"",
        ", \\\"position_filter\\\": 2", ", \\\"position_filter\\\": null"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        log = message_log_start(&messages);
        assert_status(load_with_filter(&model, folder, bad[i], &log), VITC_ERR_MODEL, &messages);
        assert_says(&messages, "position_filter");
        assert_null(model);
    }
    test_remove_folder(folder);
}

/* ---- the preprocessing, and what is refused ---- */

static void preprocessing_follows(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        vit_load_options options;
        const char *sentence;
    } cases[] = {
        {"hf_vit", {.image_height = 48, .image_width = 48}, "resize to 48x48 (bilinear), scale"},
        {"hf_vit", {.crop = 0.8}, "resize to 40x40 (bilinear), centre crop 32x32, scale"},
        {"hf_deit_distilled",
         {.image_height = 64, .image_width = 64},
         "resize to 73x73 (bicubic), centre crop 64x64, scale"},
        {"timm_vit",
         {.image_height = 64, .image_width = 64},
         "resize the shorter side to 71 (bicubic), centre crop 64x64, scale"},
        {"timm_vit",
         {.image_height = 64, .image_width = 32, .crop = 1},
         "resize to cover 32 wide, 64 high (bicubic), centre crop 32 wide, 64 high, scale"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[512], sentence[256];
        snprintf(path, sizeof path, CHECKPOINTS "/%s", cases[i].name);
        vit_model *model = load(path, &cases[i].options);
        patches_spec_describe(vit_model_describe(model).preprocess, sentence, sizeof sentence);
        if (strncmp(sentence, cases[i].sentence, strlen(cases[i].sentence)) != 0)
            fail_msg("%s: \"%s\" does not begin \"%s\"", cases[i].name, sentence,
                     cases[i].sentence);
        vit_model_free(model);
    }
}

/* One side alone leaves the other as it is; the stored size changes nothing. */
static void sizes_as_stored(void **unused)
{
    (void)unused;
    const vit_load_options wider = {.image_width = 64}, same = {.image_height = 32}, plain = {0};
    vit_model *model = load(CHECKPOINTS "/timm_vit", &wider);
    assert_int_equal(vit_model_describe(model).config->image_width, 64);
    assert_int_equal(vit_model_describe(model).config->image_height, 32);
    vit_model_free(model);
    float pixels[3 * 32 * 32];
    for (size_t i = 0; i < sizeof pixels / sizeof pixels[0]; i++) pixels[i] = (float)(i % 7) - 3;
    vit_model *a = load(CHECKPOINTS "/timm_vit", &same), *b = load(CHECKPOINTS "/timm_vit", &plain);
    assert_same_model(a, b, pixels);
    vit_model_free(a);
    vit_model_free(b);
}

static void refused(void **unused)
{
    (void)unused;
    static const char no_size[] =
        "{\"image_processor_type\": \"ViTImageProcessor\", \"do_resize\": false}";
    static const struct {
        vit_load_options options;
        vitc_status status;
        const char *says;
    } cases[] = {
        {{.image_height = 36, .image_width = 32}, VITC_ERR_ARGUMENT, "32 and 40"},
        {{.image_width = 33}, VITC_ERR_ARGUMENT, "32 and 40"},
        {{.image_width = 3}, VITC_ERR_ARGUMENT, "8 and 16"},
        {{.image_width = UINT32_MAX}, VITC_ERR_ARGUMENT, "hf_vit"},
        {{.image_width = 1U << 31}, VITC_ERR_MODEL, "image width"},
        {{.image_height = 16384, .image_width = 16384}, VITC_ERR_MODEL, "patches"},
        {{.crop = 1.5}, VITC_ERR_ARGUMENT, "crop"},
        {{.crop = -0.5}, VITC_ERR_ARGUMENT, "crop"},
        {{.crop = NAN}, VITC_ERR_ARGUMENT, "crop"},
        {{.crop = 1e-6}, VITC_ERR_PREPROCESS, "resize"},
        {{.image_width = 40, .position_filter = PATCHES_POSITION_FILTER_COUNT},
         VITC_ERR_MODEL,
         "position"},
        {{.image_width = 40, .preprocess = no_size, .preprocess_size = sizeof no_size - 1},
         VITC_ERR_PREPROCESS,
         "--preprocess"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        message_log messages;
        const vitc_log log = message_log_start(&messages);
        vit_model *model;
        const vitc_status status =
            vit_model_load(&model, CHECKPOINTS "/hf_vit", &cases[i].options, &log);
        if (status != cases[i].status)
            fail_msg("case %zu: %s\n%s", i, vitc_status_string(status), messages.text);
        assert_null(model);
        assert_int_equal(messages.errors, 1);
        assert_says(&messages, "hf_vit");
        assert_says(&messages, cases[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_equal_pytorch),
        cmocka_unit_test(files_resize_like_their_source),
        cmocka_unit_test(measurements_are_of_one_size),
        cmocka_unit_test(memory_writes_the_same),
        cmocka_unit_test(no_positions),
        cmocka_unit_test(files_record_the_filter),
        cmocka_unit_test(preprocessing_follows),
        cmocka_unit_test(sizes_as_stored),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests_name("image sizes", tests, NULL, NULL);
}
