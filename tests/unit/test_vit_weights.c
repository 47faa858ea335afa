/* vit_weights: a model as plain numbers is what the checkpoint holds, is written as converting
 * writes it, and runs as the written file does; new heads; what is refused; failures leave weights
 * and folders as they were. */
#include <math.h>

#include "test_malloc_fail.h"
#include "vit_weights.h"
#include "vit_weights_support.h"

enum { MIN_CASES = 30 };

static vit_weights read_weights(const char *path)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_weights weights;
    assert_status(vit_weights_read(&weights, path, NULL, &log), VITC_OK, &messages);
    assert_int_equal(messages.errors, 0);
    return weights;
}

static float *find_parameter(const vit_weights *weights, const char *name)
{
    for (size_t i = 0; i < weights->table.count; i++)
        if (strcmp(weights->table.params[i].name, name) == 0)
            return weights->parameters + weights->table.params[i].offset;
    fail_msg("there is no parameter %s", name);
    return NULL;
}

static void assert_same_files(const char *a, const char *b)
{
    test_bytes x = test_read_file(a), y = test_read_file(b);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    free(x.data);
    free(y.data);
}

/* ---- models that run ---- */

static void assert_same_model(const vit_model *a, const vit_model *b)
{
    const vit_model_info x = vit_model_describe(a), y = vit_model_describe(b);
    const uint32_t classes = x.config->classes;
    char *p = vit_config_format(x.config), *q = vit_config_format(y.config);
    assert_string_equal(p, q);
    free(p);
    free(q);
    assert_int_equal(classes, y.config->classes);
    assert_string_equal(x.source, y.source);
    assert_string_equal(x.weights_dtype, y.weights_dtype);
    assert_int_equal(x.precision, y.precision);
    assert_int_equal(x.labelled, y.labelled);
    if (x.card != NULL) assert_string_equal(x.card, y.card); /* else the file's has the license */
    assert_int_equal(x.license == NULL, y.license == NULL);
    if (x.license != NULL && y.license != NULL) assert_string_equal(x.license, y.license);
    assert_int_equal(patches_spec_format(&p, x.preprocess, NULL), VITC_OK);
    assert_int_equal(patches_spec_format(&q, y.preprocess, NULL), VITC_OK);
    assert_string_equal(p, q);
    free(p);
    free(q);
    for (uint32_t k = 0; k < classes; k++)
        assert_string_equal(vit_model_label(a, k), vit_model_label(b, k));
    float *m = test_run_noise(a), *n = test_run_noise(b);
    assert_memory_equal(m, n, 2 * classes * sizeof *m);
    free(m);
    free(n);
}

/* The model made of the weights is the one that the file loads as. */
static void expect_model(const vit_weights *weights, const char *file, vit_precision precision)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_model *made = NULL, *loaded = NULL;
    const vit_load_options options = {.precision = precision};
    assert_status(vit_weights_model(&made, weights, precision, &log), VITC_OK, &messages);
    assert_status(vit_model_load(&loaded, file, &options, &log), VITC_OK, &messages);
    assert_same_model(made, loaded);
    vit_model_free(made);
    vit_model_free(loaded);
}

/* ---- every checkpoint ---- */

static void expect_written_as_converted(const char *in, const char *folder)
{
    char converted[128], written[128];
    vit_weights weights = read_weights(in), again;
    snprintf(converted, sizeof converted, "%s/converted.safetensors", folder);
    snprintf(written, sizeof written, "%s/written.safetensors", folder);
    for (int dtype = VIT_DTYPE_BF16; dtype >= VIT_DTYPE_F32; dtype--) {
        assert_int_equal(vit_model_convert(in, converted, (vit_dtype)dtype, NULL, NULL, NULL),
                         VITC_OK);
        assert_int_equal(vit_weights_write(&weights, written, (vit_dtype)dtype, NULL), VITC_OK);
        assert_same_files(converted, written);
    }
    expect_model(&weights, written, VIT_PRECISION_F32);
    expect_model(&weights, written, VIT_PRECISION_BF16);

    test_bytes bytes = test_read_file(written);
    assert_int_equal(vit_weights_read_memory(&again, bytes.data, bytes.size, NULL, NULL, NULL),
                     VITC_OK);
    free(bytes.data);
    assert_int_equal(again.table.elements, weights.table.elements);
    assert_memory_equal(again.parameters, weights.parameters,
                        weights.table.elements * sizeof *weights.parameters);
    vit_weights_free(&again);
    vit_weights_free(&weights);
}

static void every_checkpoint(void **unused)
{
    (void)unused;
    FILE *index = fopen(CHECKPOINTS "/index.txt", "r");
    char name[128], folder[64], in[512];
    size_t cases = 0;
    assert_non_null(index);
    test_make_folder(folder);
    while (fgets(name, sizeof name, index) != NULL) {
        name[strcspn(name, "\n")] = 0;
        snprintf(in, sizeof in, CHECKPOINTS "/%s", name);
        expect_written_as_converted(in, folder);
        cases++;
    }
    fclose(index);
    assert_true(cases >= MIN_CASES);
    test_remove_folder(folder);
}

/* Options of loading: another size of the images. */
static void another_size(void **unused)
{
    (void)unused;
    const vit_load_options options = {.image_width = 64, .image_height = 48};
    char folder[64], converted[128], written[128];
    vit_weights weights;
    test_make_folder(folder);
    snprintf(converted, sizeof converted, "%s/converted.safetensors", folder);
    snprintf(written, sizeof written, "%s/written.safetensors", folder);
    assert_int_equal(
        vit_model_convert(CHECKPOINTS "/hf_vit", converted, VIT_DTYPE_F32, NULL, &options, NULL),
        VITC_OK);
    assert_int_equal(vit_weights_read(&weights, CHECKPOINTS "/hf_vit", &options, NULL), VITC_OK);
    assert_int_equal(weights.config.image_width, 64);
    assert_int_equal(weights.config.image_height, 48);
    assert_int_equal(vit_weights_write(&weights, written, VIT_DTYPE_F32, NULL), VITC_OK);
    assert_same_files(converted, written);
    vit_weights_free(&weights);
    test_remove_folder(folder);
}

/* ---- weights of one's own ---- */

static void created(void **unused)
{
    (void)unused;
    message_log messages;
    vitc_log log = message_log_start(&messages);
    vit_config config;
    vit_weights weights;
    vit_model *model;
    assert_int_equal(vit_config_named(&config, "testing", NULL), VITC_OK);
    config.classes = 3;
    assert_status(vit_weights_create(&weights, &config, &log), VITC_OK, &messages);
    assert_int_equal(weights.table.elements, vit_config_parameters(&config));
    for (size_t i = 0; i < weights.table.elements; i++) assert_true(weights.parameters[i] == 0);
    assert_null(weights.description.labels);

    /* Labels: one per class, or none. */
    static const char *const labels[] = {"Käse", "", "b"};
    assert_status(vit_weights_set_labels(&weights, labels, 3, &log), VITC_OK, &messages);
    assert_status(vit_weights_set_labels(&weights, labels, 2, &log), VITC_ERR_ARGUMENT, &messages);
    assert_says(&messages, "2 labels for 3 classes");
    assert_int_equal(vit_weights_set_labels(&weights, NULL, 3, NULL), VITC_ERR_ARGUMENT);
    assert_int_equal(weights.description.label_count, 3);
    assert_string_equal(weights.description.labels[0], "Käse");
    assert_true(weights.description.labels[0] != labels[0]);
    assert_status(vit_weights_set_labels(&weights, NULL, 0, &log), VITC_OK, &messages);
    assert_null(weights.description.labels);
    assert_int_equal(weights.description.label_count, 0);

    /* Cards: any JSON object, whose license is the license. */
    assert_status(vit_weights_set_card(&weights, "{\"a\": 1}", &log), VITC_OK, &messages);
    assert_null(weights.description.license);
    assert_status(vit_weights_set_card(&weights, "{ \"license\":\n\"mit\"}", &log), VITC_OK,
                  &messages);
    assert_string_equal(weights.description.card, "{\"license\": \"mit\"}");
    assert_string_equal(weights.description.license, "mit");
    assert_int_equal(vit_weights_set_card(&weights, "[]", NULL), VITC_ERR_ARGUMENT);
    assert_int_equal(vit_weights_set_card(&weights, "{", NULL), VITC_ERR_CORRUPT);
    assert_string_equal(weights.description.card, "{\"license\": \"mit\"}");
    assert_status(vit_weights_set_card(&weights, NULL, &log), VITC_OK, &messages);
    assert_null(weights.description.card);

    /* Nobody said how images become the model's. */
    char folder[64], path[128];
    test_make_folder(folder);
    snprintf(path, sizeof path, "%s/out.safetensors", folder);
    assert_int_equal(vit_weights_model(&model, &weights, VIT_PRECISION_F32, NULL),
                     VITC_ERR_PREPROCESS);
    assert_null(model);
    assert_int_equal(vit_weights_write(&weights, path, VIT_DTYPE_F32, NULL), VITC_ERR_PREPROCESS);
    assert_int_equal(test_count_files(folder), 0);
    weights.description.preprocess = (patches_spec){.resize = PATCHES_RESIZE_EXACT,
                                                    .resize_height = config.image_height,
                                                    .resize_width = config.image_width,
                                                    .filter = IMGIO_BICUBIC,
                                                    .rescale = 1 / 255.0};
    log = message_log_start(&messages);
    assert_status(vit_weights_write(&weights, path, VIT_DTYPE_F32, &log), VITC_OK, &messages);
    expect_model(&weights, path, VIT_PRECISION_F32);
    vit_weights_free(&weights);

    /* A configuration that no model can have. */
    config.heads = 0;
    assert_int_equal(vit_weights_create(&weights, &config, NULL), VITC_ERR_MODEL);
    assert_null(weights.parameters);
    vit_weights_free(&weights);
    vit_weights_free(NULL);
    test_remove_folder(folder);
}

/* ---- new heads ---- */

static void new_heads(void **unused)
{
    (void)unused;
    static const char *const names[] = {"timm_vit_labels", "timm_deit_distilled", "hf_vit"};
    static const char *const labels[] = {"a", "b", "c", "d", "e", "f", "g"};
    char in[512];
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        snprintf(in, sizeof in, CHECKPOINTS "/%s", names[n]);
        vit_weights before = read_weights(in), weights = read_weights(in);
        weights.config.temperature = 2;
        assert_int_equal(vit_weights_set_card(&weights, "{\"license\": \"mit\"}", NULL), VITC_OK);
        assert_int_equal(vit_weights_new_head(&weights, labels, 7, NULL), VITC_OK);
        const vit_config *config = &weights.config;
        assert_int_equal(config->classes, 7);
        assert_false(config->distilled_head);
        assert_int_equal(config->distillation_token, before.config.distillation_token);
        assert_true(config->temperature == 1);
        assert_int_equal(weights.description.label_count, 7);
        assert_string_equal(weights.description.labels[6], "g");
        assert_null(weights.description.license);
        assert_non_null(weights.description.card);
        assert_int_equal(weights.table.elements, vit_config_parameters(config));
        size_t kept = 0;
        for (size_t i = 0; i < weights.table.count; i++) {
            const vit_param *param = &weights.table.params[i];
            const float *values = weights.parameters + param->offset;
            if (strncmp(param->name, "head.", 5) == 0) {
                for (size_t k = 0; k < param->count; k++) assert_true(values[k] == 0);
                continue;
            }
            assert_memory_equal(values, find_parameter(&before, param->name),
                                param->count * sizeof *values);
            kept++;
        }
        assert_int_equal(kept + 2, weights.table.count);

        /* The very same classes: the head stays. In another order: zeros. */
        static const char *const turned[] = {"b", "a", "c", "d", "e", "f", "g"};
        find_parameter(&weights, "head.weight")[3] = 1;
        assert_int_equal(vit_weights_new_head(&weights, labels, 7, NULL), VITC_OK);
        assert_true(find_parameter(&weights, "head.weight")[3] == 1);
        assert_int_equal(vit_weights_new_head(&weights, turned, 7, NULL), VITC_OK);
        assert_true(find_parameter(&weights, "head.weight")[3] == 0);

        /* The same number of classes: zeros nevertheless, and no labels. */
        find_parameter(&weights, "head.weight")[3] = 1;
        assert_int_equal(vit_weights_new_head(&weights, NULL, 7, NULL), VITC_OK);
        assert_true(find_parameter(&weights, "head.weight")[3] == 0);
        assert_null(weights.description.labels);

        /* No classes at all: as it was. */
        assert_int_equal(vit_weights_new_head(&weights, NULL, 0, NULL), VITC_ERR_MODEL);
        assert_int_equal(weights.config.classes, 7);
        assert_non_null(find_parameter(&weights, "head.weight"));
        vit_weights_free(&before);
        vit_weights_free(&weights);
    }
}

/* ---- what is refused ---- */

static void expect_refused(const vit_weights *weights, const char *path, vit_dtype dtype,
                           vitc_status status, const char *says)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    assert_status(vit_weights_write(weights, path, dtype, &log), status, &messages);
    assert_int_equal(messages.errors, 1);
    assert_says(&messages, says);
}

static void refusals(void **unused)
{
    (void)unused;
    char folder[64], path[128];
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_model *model;
    test_make_folder(folder);
    snprintf(path, sizeof path, "%s/out.safetensors", folder);

    /* int8 weights are not what they were made from. */
    vit_weights weights;
    assert_int_equal(
        vit_model_quantize(CHECKPOINTS "/hf_vit", path, VIT_DTYPE_INT8, NULL, NULL, NULL), VITC_OK);
    assert_status(vit_weights_read(&weights, path, NULL, &log), VITC_ERR_ARGUMENT, &messages);
    assert_says(&messages, path);
    assert_says(&messages, "int8");
    assert_null(weights.parameters);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(vit_weights_read(&weights, path, NULL, NULL), VITC_ERR_UNREADABLE);
    assert_null(weights.parameters);

    weights = read_weights(CHECKPOINTS "/hf_vit");
    expect_refused(&weights, path, VIT_DTYPE_INT8, VITC_ERR_ARGUMENT, path);
    expect_refused(&weights, "/tmp/vitc-no-such-folder/x", VIT_DTYPE_F32, VITC_ERR_UNWRITABLE,
                   "vitc-no-such-folder");
    assert_int_equal(vit_weights_model(&model, &weights, VIT_PRECISION_INT8, NULL),
                     VITC_ERR_ARGUMENT);
    assert_null(model);
    float *value = find_parameter(&weights, "blocks.1.mlp.fc1.weight") + weights.config.width + 3;
    *value = 0x1.fffffep127f; /* finite, but no bfloat16 */
    expect_refused(&weights, path, VIT_DTYPE_BF16, VITC_ERR_MODEL, "blocks.1.mlp.fc1.weight");
    *value = NAN;
    expect_refused(&weights, path, VIT_DTYPE_F32, VITC_ERR_MODEL,
                   "blocks.1.mlp.fc1.weight holds a NaN at [1,3]");
    *value = -INFINITY;
    expect_refused(&weights, path, VIT_DTYPE_BF16, VITC_ERR_MODEL,
                   "blocks.1.mlp.fc1.weight holds an infinity at [1,3]");
    assert_int_equal(vit_weights_model(&model, &weights, VIT_PRECISION_F32, NULL), VITC_ERR_MODEL);
    assert_null(model);
    assert_int_equal(test_count_files(folder), 0);
    vit_weights_free(&weights);
    test_remove_folder(folder);
}

/* ---- without memory ---- */

typedef struct memory_case {
    char out[128];
    int said_nothing; /* failures without exactly one message */
} memory_case;

static void count_message(void *user, vitc_log_level level, const char *message)
{
    (void)message;
    *(int *)user += level == VITC_LOG_ERROR;
}

static vitc_status work(vit_weights *weights, const char *out, const vitc_log *log)
{
    static const char *const labels[] = {"a", "b"};
    vit_model *model = NULL;
    vitc_status status = vit_weights_read(weights, CHECKPOINTS "/timm_vit_labels", NULL, log);
    if (status == VITC_OK) status = vit_weights_new_head(weights, labels, 2, log);
    if (status == VITC_OK) status = vit_weights_set_labels(weights, labels, 2, log);
    if (status == VITC_OK) status = vit_weights_set_card(weights, "{\"license\": \"mit\"}", log);
    if (status == VITC_OK) status = vit_weights_model(&model, weights, VIT_PRECISION_F32, log);
    vit_model_free(model);
    if (status == VITC_OK) status = vit_weights_write(weights, out, VIT_DTYPE_BF16, log);
    return status;
}

static vitc_status work_once(void *user)
{
    memory_case *c = user;
    int errors = 0;
    const vitc_log log = {.write = count_message, .user = &errors};
    vit_weights weights = {0};
    const vitc_status status = work(&weights, c->out, &log);
    vit_weights_free(&weights);
    c->said_nothing += errors != (status != VITC_OK);
    /* There is the whole file, or none. */
    if ((unlink(c->out) == 0) != (status == VITC_OK)) return VITC_ERR_INTERNAL;
    return status;
}

static void survives_without_memory(void **unused)
{
    (void)unused;
    if (!MALLOC_FAIL_AVAILABLE) skip();
    char folder[64];
    memory_case c = {0};
    test_make_folder(folder);
    snprintf(c.out, sizeof c.out, "%s/out.safetensors", folder);
    assert_true(malloc_fail_each(work_once, &c) > 100);
    assert_int_equal(c.said_nothing, 0);
    assert_int_equal(test_count_files(folder), 0);
    test_remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_checkpoint), cmocka_unit_test(another_size),
        cmocka_unit_test(created),          cmocka_unit_test(new_heads),
        cmocka_unit_test(refusals),         cmocka_unit_test(survives_without_memory),
    };
    return cmocka_run_group_tests_name("weights", tests, NULL, NULL);
}
