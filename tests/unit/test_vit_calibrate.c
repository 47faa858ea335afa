/* vit_model_calibrate: a copy of any checkpoint, whose weights have the same bits and whose scores
 * another temperature; converting and quantizing keep it; failures leave nothing behind. */
#include <math.h>

#include "test_malloc_fail.h"
#include "vit_weights_support.h"

enum { MIN_CASES = 30 };

static const char note[] = "{\"data\": \"K\u00e4se\", \"images\": 500}";

typedef struct place {
    char folder[64], in[512], out[128], again[128];
} place;

static place make_place(const char *name)
{
    place p;
    test_make_folder(p.folder);
    snprintf(p.in, sizeof p.in, CHECKPOINTS "/%s", name);
    snprintf(p.out, sizeof p.out, "%s/out.safetensors", p.folder);
    snprintf(p.again, sizeof p.again, "%s/again.safetensors", p.folder);
    return p;
}

static void calibrate(const char *in, const char *out, float temperature, const char *text)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    assert_status(vit_model_calibrate(in, out, temperature, text, NULL, &log), VITC_OK, &messages);
    assert_int_equal(messages.errors, 0);
}

static vit_checkpoint *open_checkpoint(const char *path)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_checkpoint *c;
    assert_status(vit_checkpoint_open(&c, path, NULL, &log), VITC_OK, &messages);
    return c;
}

static void expect_calibration(const char *path, float temperature, const char *calibration)
{
    vit_checkpoint *c = open_checkpoint(path);
    assert_true(c->config.temperature == temperature);
    if (calibration == NULL)
        assert_null(c->description.calibration);
    else
        assert_string_equal(c->description.calibration, calibration);
    vit_checkpoint_free(c);
}

/* ---- weights ---- */

/* The number format that a parameter of a checkpoint has to keep. */
static vit_tensor_type kept_type(const vit_checkpoint *c, size_t i)
{
    const vit_tensor_type type = c->sources[i].parts[0]->tensor->type;
    if (c->table.params[i].kind != VIT_PARAM_MATRIX) return VIT_TENSOR_F32;
    return type == VIT_TENSOR_I8 || type == VIT_TENSOR_BF16 ? type : VIT_TENSOR_F32;
}

static void assert_same_weights(const char *in, const char *out)
{
    vit_checkpoint *a = open_checkpoint(in), *b = open_checkpoint(out);
    float *x, *y;
    assert_int_equal(vit_checkpoint_buffer(&x, a, NULL), VITC_OK);
    assert_int_equal(vit_checkpoint_buffer(&y, b, NULL), VITC_OK);
    assert_int_equal(a->table.count, b->table.count);
    for (size_t i = 0; i < a->table.count; i++) {
        const vit_param *param = &a->table.params[i];
        size_t count = param->count;
        assert_int_equal(b->sources[i].parts[0]->tensor->type, kept_type(a, i));
        if (vit_checkpoint_is_quantized(a, i)) {
            const int8_t *p = NULL, *q = NULL;
            assert_int_equal(vit_checkpoint_read_quantized(a, i, &p, x, NULL), VITC_OK);
            assert_int_equal(vit_checkpoint_read_quantized(b, i, &q, y, NULL), VITC_OK);
            assert_memory_equal(p, q, count);
            count = param->shape[0]; /* scales */
        } else {
            assert_int_equal(vit_checkpoint_read(a, i, x, NULL), VITC_OK);
            assert_int_equal(vit_checkpoint_read(b, i, y, NULL), VITC_OK);
        }
        if (memcmp(x, y, count * sizeof *x) != 0) fail_msg("%s: %s differs", in, param->name);
    }
    free(x);
    free(y);
    vit_checkpoint_free(a);
    vit_checkpoint_free(b);
}

static void every_checkpoint_keeps_its_weights(void **unused)
{
    (void)unused;
    FILE *index = fopen(CHECKPOINTS "/index.txt", "r");
    char name[128];
    size_t cases = 0;
    assert_non_null(index);
    while (fgets(name, sizeof name, index) != NULL) {
        name[strcspn(name, "\n")] = 0;
        place p = make_place(name);
        calibrate(p.in, p.out, 1.375f, note);
        assert_same_weights(p.in, p.out);
        expect_calibration(p.out, 1.375f, note);
        test_remove_folder(p.folder);
        cases++;
    }
    fclose(index);
    assert_true(cases >= MIN_CASES);
}

/* Everything after the header. */
static test_bytes data_of(const test_bytes *file)
{
    size_t n = 8;
    for (int i = 0; i < 8; i++) n += (size_t)file->data[i] << 8 * i;
    return (test_bytes){file->data + n, file->size - n};
}

static void assert_same_bytes(const test_bytes *a, const test_bytes *b)
{
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->data, b->data, a->size);
}

/* vitc's own files keep every byte of their tensors, and what their other metadata says. */
static void vitc_files_keep_their_bytes(void **unused)
{
    (void)unused;
    for (int dtype = VIT_DTYPE_F32; dtype <= VIT_DTYPE_INT8; dtype++) {
        place p = make_place("timm_vit_labels");
        if (dtype == VIT_DTYPE_F32)
            assert_int_equal(
                vit_model_convert(p.in, p.out, VIT_DTYPE_F32, "{\"name\": \"x\"}", NULL, NULL),
                VITC_OK);
        else
            assert_int_equal(
                vit_model_quantize(p.in, p.out, (vit_dtype)dtype, "{\"images\": 17}", NULL, NULL),
                VITC_OK);
        calibrate(p.out, p.again, 2.5f, note);
        test_bytes before = test_read_file(p.out), after = test_read_file(p.again);
        const test_bytes a = data_of(&before), b = data_of(&after);
        assert_same_bytes(&a, &b);

        vit_checkpoint *x = open_checkpoint(p.out), *y = open_checkpoint(p.again);
        assert_string_equal(x->description.card, y->description.card);
        assert_int_equal(x->description.quantization == NULL, dtype == VIT_DTYPE_F32);
        if (dtype != VIT_DTYPE_F32)
            assert_string_equal(x->description.quantization, y->description.quantization);
        assert_string_equal(x->description.dtype, y->description.dtype);
        x->config.temperature = 2.5f; /* all that is different */
        char *p1 = vit_config_format(&x->config), *p2 = vit_config_format(&y->config);
        assert_string_equal(p1, p2);
        free(p1);
        free(p2);
        vit_checkpoint_free(x);
        vit_checkpoint_free(y);

        /* From memory: the same file. Back to 1 and without a note: the file that it was. */
        message_log messages;
        const vitc_log log = message_log_start(&messages);
        char third[160];
        snprintf(third, sizeof third, "%s/third.safetensors", p.folder);
        assert_status(vit_model_calibrate_memory(before.data, before.size, "memory", third, 2.5f,
                                                 note, NULL, &log),
                      VITC_OK, &messages);
        test_bytes other = test_read_file(third);
        assert_same_bytes(&other, &after);
        free(other.data);
        calibrate(p.again, third, 1, NULL);
        other = test_read_file(third);
        assert_same_bytes(&other, &before);
        free(other.data);
        free(before.data);
        free(after.data);
        test_remove_folder(p.folder);
    }
}

/* Formats are kept tensor by tensor. */
static void mixed_files_stay_mixed(void **unused)
{
    (void)unused;
    place p = make_place("timm_vit_labels");
    assert_int_equal(vit_model_convert(p.in, p.out, VIT_DTYPE_BF16, NULL, NULL, NULL), VITC_OK);
    test_bytes file = test_read_file(p.out);
    test_tensors *tensors = test_take_apart(&file);
    test_tensor_drop(tensors, "blocks.0.attn.qkv.weight");
    test_tensor *added = test_tensor_add(tensors, "blocks.0.attn.qkv.weight", "F32", 4, 96, 32);
    for (size_t i = 0; i < added->size / 4; i++) {
        const float value = 1 / (float)(i + 3);
        memcpy(added->data + 4 * i, &value, 4);
    }
    test_bytes mixed = test_put_together_again(tensors, &file);
    test_write_file(p.folder, "out.safetensors", mixed.data, mixed.size);
    calibrate(p.out, p.again, 0.5f, NULL);
    assert_same_weights(p.out, p.again);
    vit_checkpoint *c = open_checkpoint(p.again);
    assert_string_equal(c->description.dtype, "mixed");
    vit_checkpoint_free(c);
    free(mixed.data);
    free(file.data);
    test_remove_folder(p.folder);
}

/* ---- the temperature's life ---- */

/* Converting and quantizing keep temperature and note; calibrating again replaces both. */
static void temperatures_travel(void **unused)
{
    (void)unused;
    place p = make_place("hf_vit");
    char third[160];
    snprintf(third, sizeof third, "%s/third.safetensors", p.folder);
    calibrate(p.in, p.out, 1.1f, note);
    for (int dtype = VIT_DTYPE_F32; dtype <= VIT_DTYPE_BF16; dtype++) {
        assert_int_equal(vit_model_convert(p.out, p.again, (vit_dtype)dtype, NULL, NULL, NULL),
                         VITC_OK);
        expect_calibration(p.again, 1.1f, note);
    }
    for (int dtype = VIT_DTYPE_BF16; dtype <= VIT_DTYPE_INT8; dtype++) {
        assert_int_equal(vit_model_quantize(p.out, p.again, (vit_dtype)dtype, NULL, NULL, NULL),
                         VITC_OK);
        expect_calibration(p.again, 1.1f, note);
    }
    calibrate(p.again, third, 0.9f, "{\"images\": 2}"); /* of the int8 file */
    expect_calibration(third, 0.9f, "{\"images\": 2}");
    calibrate(third, p.again, 3, NULL);
    expect_calibration(p.again, 3, NULL);
    /* A note that is laid out, on one line. */
    calibrate(p.in, p.again, 3, "{\n \"a\": [1,\n 2.5]\n}\n");
    expect_calibration(p.again, 3, "{\"a\": [1, 2.5]}");
    test_remove_folder(p.folder);
}

/* What is known of quantized weights stays true of them when they are rewritten. */
static void converting_keeps_the_quantization(void **unused)
{
    (void)unused;
    place p = make_place("hf_vit");
    assert_int_equal(
        vit_model_quantize(p.in, p.out, VIT_DTYPE_BF16, "{\"images\": 17}", NULL, NULL), VITC_OK);
    vit_checkpoint *x = open_checkpoint(p.out);
    for (int dtype = VIT_DTYPE_F32; dtype <= VIT_DTYPE_BF16; dtype++) {
        assert_int_equal(vit_model_convert(p.out, p.again, (vit_dtype)dtype, NULL, NULL, NULL),
                         VITC_OK);
        vit_checkpoint *y = open_checkpoint(p.again);
        assert_string_equal(x->description.quantization, y->description.quantization);
        vit_checkpoint_free(y);
    }
    vit_checkpoint_free(x);
    test_remove_folder(p.folder);
}

/* Logits keep their bits; scores are made at the temperature. */
static void models_say_it(void **unused)
{
    (void)unused;
    place p = make_place("timm_vit_labels");
    calibrate(p.in, p.out, 1.75f, note);
    const char *const paths[2] = {p.in, p.out};
    float logits[2][7], scores[7];
    const vit_load_options options = {.threads = 1};
    for (int m = 0; m < 2; m++) {
        vit_model *model;
        vit_workspace *workspace;
        assert_int_equal(vit_model_load(&model, paths[m], &options, NULL), VITC_OK);
        const vit_model_info info = vit_model_describe(model);
        const vit_config *c = info.config;
        assert_int_equal(c->classes, 7);
        assert_true(c->temperature == (m == 0 ? 1 : 1.75f));
        assert_true(m == 0 ? info.calibration == NULL : strcmp(info.calibration, note) == 0);
        assert_int_equal(vit_workspace_create(&workspace, model, 1, 1, NULL), VITC_OK);
        const size_t n = (size_t)vit_config_patches(c) * PATCHES_CHANNELS * c->patch * c->patch;
        for (size_t i = 0; i < n; i++)
            vit_workspace_patches(workspace, 0)[i] = (float)(i * i % 101) / 50 - 1;
        assert_int_equal(vit_forward(model, workspace, logits[m], 1, NULL), VITC_OK);
        vit_scores_compute(c, scores, logits[m]);
        double sum = 0;
        for (int k = 0; k < 7; k++)
            sum += exp((double)(logits[m][k] - logits[m][0]) / (double)c->temperature);
        assert_true(fabs((double)scores[0] - 1 / sum) < 1e-6);
        vit_workspace_free(workspace);
        vit_model_free(model);
    }
    assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
    test_remove_folder(p.folder);
}

/* ---- failures ---- */

static void bad_arguments_are_refused(void **unused)
{
    (void)unused;
    static const struct {
        float temperature;
        const char *note;
        vitc_status status;
        const char *says;
    } rows[] = {
        {0, NULL, VITC_ERR_ARGUMENT, "temperature 0 is not"},
        {-2, NULL, VITC_ERR_ARGUMENT, "temperature -2 is not"},
        {NAN, NULL, VITC_ERR_ARGUMENT, "is not a finite number"},
        {INFINITY, NULL, VITC_ERR_ARGUMENT, "temperature inf"},
        {1, "[]", VITC_ERR_ARGUMENT, "calibration note: not a JSON object"},
        {1, "{", VITC_ERR_CORRUPT, "calibration note: not valid JSON"},
    };
    place p = make_place("hf_vit");
    test_bytes bytes = test_read_golden("hf_vit", "model.safetensors");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int memory = 0; memory < 2; memory++) {
            message_log messages;
            const vitc_log log = message_log_start(&messages);
            assert_status(memory ? vit_model_calibrate_memory(bytes.data, bytes.size, "m", p.out,
                                                              rows[i].temperature, rows[i].note,
                                                              NULL, &log)
                                 : vit_model_calibrate(p.in, p.out, rows[i].temperature,
                                                       rows[i].note, NULL, &log),
                          rows[i].status, &messages);
            assert_int_equal(messages.errors, 1);
            assert_says(&messages, rows[i].says);
        }
    free(bytes.data);
    assert_int_equal(test_count_files(p.folder), 0);
    test_remove_folder(p.folder);
}

static void bad_sources_are_refused(void **unused)
{
    (void)unused;
    place p = make_place("hf_vit");
    message_log messages;
    vitc_log log = message_log_start(&messages);
    assert_status(vit_model_calibrate(p.folder, p.out, 2, NULL, NULL, &log), VITC_ERR_UNREADABLE,
                  &messages);
    assert_status(vit_model_calibrate_memory("nothing", 7, NULL, p.out, 2, NULL, NULL, &log),
                  VITC_ERR_TRUNCATED, &messages);
    assert_status(vit_model_calibrate(p.in, "/tmp/vitc-no-such-folder/x", 2, NULL, NULL, &log),
                  VITC_ERR_UNWRITABLE, &messages);
    assert_int_equal(test_count_files(p.folder), 0);

    /* Not over its input, by whatever name. */
    calibrate(p.in, p.out, 2, NULL);
    test_bytes before = test_read_file(p.out);
    assert_int_equal(link(p.out, p.again), 0);
    for (int i = 0; i < 2; i++) {
        log = message_log_start(&messages);
        assert_status(vit_model_calibrate(p.out, i == 0 ? p.out : p.again, 3, NULL, NULL, &log),
                      VITC_ERR_ARGUMENT, &messages);
        assert_says(&messages, "give another output file");
    }
    test_bytes after = test_read_file(p.out);
    assert_same_bytes(&before, &after);
    free(before.data);
    free(after.data);
    test_remove_folder(p.folder);

    /* Regression has no scores to calibrate. */
    test_make_folder(p.folder);
    test_copy_golden(p.folder, "hf_vit");
    test_bytes config = test_read_golden("hf_vit", "config.json");
    test_replace(&config, "\"qkv_bias\"", "\"problem_type\": \"regression\", \"qkv_bias\"");
    test_write_file(p.folder, "config.json", config.data, config.size);
    free(config.data);
    snprintf(p.out, sizeof p.out, "%s/out.safetensors", p.folder);
    const int files = test_count_files(p.folder);
    log = message_log_start(&messages);
    assert_status(vit_model_calibrate(p.folder, p.out, 2, NULL, NULL, &log), VITC_ERR_ARGUMENT,
                  &messages);
    assert_says(&messages, "regression");
    assert_int_equal(test_count_files(p.folder), files);
    test_remove_folder(p.folder);
}

/* A damaged number is found while the file is written: it does not appear. */
static void damaged_weights_are_not_copied(void **unused)
{
    (void)unused;
    place p = make_place("timm_vit_labels");
    assert_int_equal(vit_model_quantize(p.in, p.out, VIT_DTYPE_INT8, NULL, NULL, NULL), VITC_OK);
    test_bytes file = test_read_file(p.out);
    file.data[file.size - 1] = 0x80; /* I8 is last */
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    assert_status(vit_model_calibrate_memory(file.data, file.size, "bundled model", p.again, 2,
                                             NULL, NULL, &log),
                  VITC_ERR_MODEL, &messages);
    assert_says(&messages, "bundled model: tensor");
    assert_says(&messages, "holds -128");
    assert_int_equal(test_count_files(p.folder), 1);
    free(file.data);
    test_remove_folder(p.folder);
}

static void calibrations_out_of_order(void **unused)
{
    (void)unused;
    static const struct {
        const char *from, *to;
        vitc_status status;
        const char *says;
    } rows[] = {
        {"\"vitc.calibration\": \"{", "\"vitc.calibration\": \"{", VITC_OK, NULL},
        {"\"vitc.calibration\"", "\"was.calibration\"", VITC_OK, NULL},
        {"\"vitc.calibration\": \"{", "\"vitc.calibration\": \"[{", VITC_ERR_CORRUPT, "JSON"},
        {"\"vitc.calibration\": \"{", "\"vitc.calibration\": \"3\", \"x\": \"{", VITC_ERR_MODEL,
         "vitc.calibration is not a JSON object"},
    };
    place p = make_place("hf_vit");
    calibrate(p.in, p.out, 2, note);
    test_bytes file = test_read_file(p.out);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        message_log messages;
        const vitc_log log = message_log_start(&messages);
        vit_model *model;
        test_bytes changed = test_change_header(&file, rows[i].from, rows[i].to);
        assert_status(
            vit_model_load_memory(&model, changed.data, changed.size, "memory", NULL, &log),
            rows[i].status, &messages);
        if (rows[i].says != NULL) assert_says(&messages, rows[i].says);
        vit_model_free(model);
        free(changed.data);
    }
    free(file.data);
    test_remove_folder(p.folder);
}

static vitc_status calibrate_once(void *user)
{
    const place *p = user;
    const vitc_status status = vit_model_calibrate(p->in, p->out, 2, note, NULL, NULL);
    /* There is the whole file, or none. */
    if ((unlink(p->out) == 0) != (status == VITC_OK)) return VITC_ERR_INTERNAL;
    return status;
}

static void survives_without_memory(void **unused)
{
    (void)unused;
    if (!MALLOC_FAIL_AVAILABLE) skip();
    place p = make_place("hf_vit_sharded");
    assert_true(malloc_fail_each(calibrate_once, &p) > 100);
    assert_int_equal(vit_model_quantize(p.in, p.again, VIT_DTYPE_INT8, NULL, NULL, NULL), VITC_OK);
    snprintf(p.in, sizeof p.in, "%s", p.again);
    assert_true(malloc_fail_each(calibrate_once, &p) > 100);
    assert_int_equal(test_count_files(p.folder), 1);
    test_remove_folder(p.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_checkpoint_keeps_its_weights),
        cmocka_unit_test(vitc_files_keep_their_bytes),
        cmocka_unit_test(mixed_files_stay_mixed),
        cmocka_unit_test(temperatures_travel),
        cmocka_unit_test(converting_keeps_the_quantization),
        cmocka_unit_test(models_say_it),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(bad_sources_are_refused),
        cmocka_unit_test(damaged_weights_are_not_copied),
        cmocka_unit_test(calibrations_out_of_order),
        cmocka_unit_test(survives_without_memory),
    };
    return cmocka_run_group_tests_name("calibrate", tests, NULL, NULL);
}
