/* vit_model_convert and the loaders: vitc's file holds what the checkpoint held, bit for bit or
 * rounded to bfloat16; what is wrong with such a file is refused; failures leave nothing behind. */
#include <math.h>

#include "vit_float.h"
#include "test_malloc_fail.h"
#include "vit_weights_support.h"

enum { MIN_CASES = 30 };

static void golden_path(char path[512], const char *name)
{
    snprintf(path, 512, CHECKPOINTS "/%s", name);
}

static vit_checkpoint *open_checkpoint(const char *path)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_checkpoint *c;
    assert_status(vit_checkpoint_open(&c, path, NULL, &log), VITC_OK, &messages);
    return c;
}

static void convert(const char *in, const char *out, vit_dtype dtype, const char *card)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    assert_status(vit_model_convert(in, out, dtype, card, NULL, &log), VITC_OK, &messages);
    assert_int_equal(messages.errors, 0);
}

static void assert_same_text(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        assert_true(a == b);
    else
        assert_string_equal(a, b);
}

static void assert_same_description(const vit_checkpoint *a, const vit_checkpoint *b)
{
    char *x = vit_config_format(&a->config), *y = vit_config_format(&b->config);
    assert_non_null(x);
    assert_non_null(y);
    assert_string_equal(x, y);
    free(x);
    free(y);
    assert_memory_equal(&a->config.norm_eps, &b->config.norm_eps, sizeof(float));
    assert_int_equal(a->description.label_count, b->description.label_count);
    assert_memory_equal(&a->description.preprocess, &b->description.preprocess,
                        sizeof a->description.preprocess);
    assert_same_text(a->description.license, b->description.license);
    char *const *p = a->description.labels, *const *q = b->description.labels;
    assert_int_equal(p == NULL, q == NULL);
    for (uint32_t i = 0; p != NULL && q != NULL && i < a->description.label_count; i++)
        assert_string_equal(p[i], q[i]);
}

static void assert_same_values(const vit_checkpoint *a, const vit_checkpoint *b, vit_dtype dtype)
{
    assert_int_equal(a->table.count, b->table.count);
    float *x = malloc(vit_checkpoint_largest(a) * sizeof *x);
    float *y = malloc(vit_checkpoint_largest(a) * sizeof *y);
    assert_non_null(x);
    assert_non_null(y);
    size_t rounded = 0;
    for (size_t i = 0; i < a->table.count; i++) {
        const vit_param *param = &a->table.params[i];
        assert_string_equal(param->name, b->table.params[i].name);
        assert_int_equal(vit_checkpoint_read(a, i, x, NULL), VITC_OK);
        assert_int_equal(vit_checkpoint_read(b, i, y, NULL), VITC_OK);
        const bool bf16 = dtype == VIT_DTYPE_BF16 && param->kind == VIT_PARAM_MATRIX;
        assert_int_equal(b->sources[i].parts[0]->tensor->type,
                         bf16 ? VIT_TENSOR_BF16 : VIT_TENSOR_F32);
        for (size_t k = 0; bf16 && k < param->count; k++) {
            const float value = vit_float_from_bf16(vit_float_to_bf16(x[k]));
            rounded += value != x[k];
            x[k] = value;
        }
        if (memcmp(x, y, param->count * sizeof *x) != 0)
            fail_msg("%s: %s differs", b->name, param->name);
    }
    const bool was_bf16 = strcmp(a->description.dtype, "BF16") == 0;
    assert_true(dtype == VIT_DTYPE_F32 || was_bf16 || rounded > 0);
    free(x);
    free(y);
}

static void round_trips(void **unused)
{
    (void)unused;
    FILE *index = fopen(CHECKPOINTS "/index.txt", "r");
    char name[128], folder[64], in[512], out[128], again[128];
    size_t cases = 0;
    assert_non_null(index);
    test_make_folder(folder);
    snprintf(out, sizeof out, "%s/out.safetensors", folder);
    snprintf(again, sizeof again, "%s/again.safetensors", folder);
    while (fgets(name, sizeof name, index) != NULL) {
        name[strcspn(name, "\n")] = 0;
        golden_path(in, name);
        for (int dtype = VIT_DTYPE_F32; dtype <= VIT_DTYPE_BF16; dtype++) {
            convert(in, out, (vit_dtype)dtype, NULL);
            vit_checkpoint *source = open_checkpoint(in), *found = open_checkpoint(out);
            assert_same_description(source, found);
            assert_same_values(source, found, (vit_dtype)dtype);
            assert_string_equal(found->description.source, "vitc file");
            assert_string_equal(found->description.dtype, dtype == VIT_DTYPE_F32 ? "F32" : "BF16");
            vit_checkpoint_free(source);
            vit_checkpoint_free(found);

            /* Once more from its own file: the same bytes. */
            convert(out, again, (vit_dtype)dtype, NULL);
            test_bytes a = test_read_file(out), b = test_read_file(again);
            assert_int_equal(a.size, b.size);
            assert_memory_equal(a.data, b.data, a.size);
            free(a.data);
            free(b.data);
        }
        cases++;
    }
    fclose(index);
    assert_true(cases >= MIN_CASES);
    test_remove_folder(folder);
}

/* The public loaders agree with each other, on what there is to know. */
static void loaded_models(void **unused)
{
    (void)unused;
    static const char *const names[] = {"hf_deit_distilled", "timm_vit_labels", "timm_vit_nocls"};
    char folder[64], in[512], out[128];
    test_make_folder(folder);
    snprintf(out, sizeof out, "%s/out.safetensors", folder);
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        message_log messages;
        const vitc_log log = message_log_start(&messages);
        vit_model *models[3];
        golden_path(in, names[n]);
        convert(in, out, VIT_DTYPE_BF16, NULL);
        test_bytes bytes = test_read_file(out);
        assert_status(vit_model_load(&models[0], in, NULL, &log), VITC_OK, &messages);
        assert_status(vit_model_load(&models[1], out, NULL, &log), VITC_OK, &messages);
        assert_status(
            vit_model_load_memory(&models[2], bytes.data, bytes.size, "memory", NULL, &log),
            VITC_OK, &messages);
        memset(bytes.data, 0xFF, bytes.size); /* not needed any more */
        free(bytes.data);
        for (int m = 0; m < 3; m++) {
            const vit_model_info info = vit_model_describe(models[m]);
            const vit_model_info first = vit_model_describe(models[0]);
            char *x = vit_config_format(info.config), *y = vit_config_format(first.config);
            assert_string_equal(x, y);
            free(x);
            free(y);
            assert_int_equal(info.parameters, first.parameters);
            assert_int_equal(info.parameters, vit_config_parameters(info.config));
            assert_int_equal(info.labelled, first.labelled);
            assert_true(info.head_trained);
            for (uint32_t k = 0; k < info.config->classes; k++)
                assert_string_equal(vit_model_label(models[m], k), vit_model_label(models[0], k));
            assert_string_equal(info.weights_dtype, m == 0 ? "F32" : "BF16");
            assert_string_equal(info.source, m > 0                             ? "vitc file"
                                             : strncmp(names[n], "hf", 2) == 0 ? "Hugging Face "
                                                                                 "directory"
                                                                               : "timm directory");
        }
        for (int m = 0; m < 3; m++) vit_model_free(models[m]);
    }
    test_remove_folder(folder);
}

/* ---- cards and licences ---- */

static void expect_card(const char *in, const char *out, const char *card, const char *expected,
                        const char *license)
{
    convert(in, out, VIT_DTYPE_F32, card);
    vit_checkpoint *c = open_checkpoint(out);
    assert_same_text(c->description.card, expected);
    assert_same_text(c->description.license, license);
    vit_checkpoint_free(c);
}

static void cards(void **unused)
{
    (void)unused;
    char folder[64], out[128], out2[128];
    test_make_folder(folder);
    snprintf(out, sizeof out, "%s/out.safetensors", folder);
    snprintf(out2, sizeof out2, "%s/out2.safetensors", folder);
    const char *hf = CHECKPOINTS "/hf_vit", *timm = CHECKPOINTS "/timm_vit";
    expect_card(hf, out, NULL, NULL, NULL);
    expect_card(hf, out, "{\"name\": \"Käse\"}", "{\"name\": \"Käse\"}", NULL);
    /* kept from a vitc file, replaced by the caller's */
    expect_card(out, out2, NULL, "{\"name\": \"Käse\"}", NULL);
    expect_card(out, out2, "{\"license\": \"mit\"}", "{\"license\": \"mit\"}", "mit");
    /* a licence that the source states goes along, unless the card has its own */
    expect_card(timm, out, NULL, "{\"license\": \"apache-2.0\"}", "apache-2.0");
    expect_card(timm, out, "{\"a\": 1}", "{\"a\": 1, \"license\": \"apache-2.0\"}", "apache-2.0");
    expect_card(timm, out, "{\"license\": \"mit\"}", "{\"license\": \"mit\"}", "mit");

    static const struct {
        const char *card;
        vitc_status status;
    } bad[] = {{"[]", VITC_ERR_ARGUMENT}, {"3", VITC_ERR_ARGUMENT}, {"{", VITC_ERR_CORRUPT}};
    assert_int_equal(unlink(out), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        message_log messages;
        const vitc_log log = message_log_start(&messages);
        assert_status(vit_model_convert(hf, out, VIT_DTYPE_F32, bad[i].card, NULL, &log),
                      bad[i].status, &messages);
        assert_says(&messages, "model card");
        assert_int_equal(access(out, F_OK), -1);
    }
    test_remove_folder(folder);
}

/* ---- failures ---- */

static void expect_refused(const char *in, const char *out, const char *says)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    assert_status(vit_model_convert(in, out, VIT_DTYPE_F32, NULL, NULL, &log), VITC_ERR_ARGUMENT,
                  &messages);
    assert_says(&messages, says);
}

static void never_over_its_input(void **unused)
{
    (void)unused;
    static const char *const files[] = {"model.safetensors", "config.json",
                                        "preprocessor_config.json"};
    char folder[64], path[192], other[192];
    test_make_folder(folder);
    test_copy_golden(folder, "hf_vit");
    for (size_t i = 0; i < 3; i++) {
        test_bytes before = test_read_golden("hf_vit", files[i]);
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        expect_refused(folder, path, path);
        /* by another name of the same file */
        snprintf(other, sizeof other, "%s/other", folder);
        assert_int_equal(link(path, other), 0);
        expect_refused(folder, other, other);
        assert_int_equal(unlink(other), 0);
        assert_int_equal(symlink(path, other), 0);
        expect_refused(folder, other, other);
        assert_int_equal(unlink(other), 0);
        test_bytes after = test_read_file(path);
        assert_int_equal(after.size, before.size);
        assert_memory_equal(after.data, before.data, before.size);
        free(before.data);
        free(after.data);
    }
    assert_int_equal(test_count_files(folder), 3);
    /* Another file in the same folder is nobody's business. */
    snprintf(path, sizeof path, "%s/new.safetensors", folder);
    convert(folder, path, VIT_DTYPE_F32, NULL);
    expect_refused(path, path, path);
    test_remove_folder(folder);

    test_make_folder(folder);
    test_copy_golden(folder, "hf_vit_sharded");
    snprintf(path, sizeof path, "%s/model-00002-of-00003.safetensors", folder);
    expect_refused(folder, path, path);
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", folder);
    expect_refused(folder, path, path);
    test_remove_folder(folder);
}

/* A folder with one value of the golden hf_vit changed. */
static void make_folder_with(char folder[64], const char *tensor, size_t index, float value)
{
    test_make_folder(folder);
    test_copy_golden(folder, "hf_vit");
    test_bytes weights = test_read_golden("hf_vit", "model.safetensors");
    test_tensors *tensors = test_take_apart(&weights);
    memcpy(test_tensor_find(tensors, tensor)->data + 4 * index, &value, 4);
    free(weights.data);
    weights = test_put_together(tensors);
    test_write_file(folder, "model.safetensors", weights.data, weights.size);
    free(weights.data);
}

static void failures_leave_nothing(void **unused)
{
    (void)unused;
    char in[64], folder[64], out[128];
    message_log messages;
    vitc_log log = message_log_start(&messages);
    test_make_folder(folder);
    snprintf(out, sizeof out, "%s/out.safetensors", folder);

    /* The last tensor that is written is the bad one: by then most of the file exists. */
    make_folder_with(in, "vit.layernorm.weight", 31, NAN);
    assert_status(vit_model_convert(in, out, VIT_DTYPE_F32, NULL, NULL, &log), VITC_ERR_MODEL,
                  &messages);
    assert_says(&messages, "vit.layernorm.weight holds a NaN at [31]");
    assert_int_equal(test_count_files(folder), 0);

    /* An older file stays as it was. */
    test_write_file(folder, "out.safetensors", "old", 3);
    assert_int_equal(vit_model_convert(in, out, VIT_DTYPE_F32, NULL, NULL, NULL), VITC_ERR_MODEL);
    test_bytes old = test_read_file(out);
    assert_int_equal(old.size, 3);
    assert_memory_equal(old.data, "old", 3);
    free(old.data);
    assert_int_equal(test_count_files(folder), 1);

    /* Allowed, it is kept. */
    const vit_load_options allow = {.allow_nonfinite = true};
    log = message_log_start(&messages);
    assert_status(vit_model_convert(in, out, VIT_DTYPE_F32, NULL, &allow, &log), VITC_OK,
                  &messages);
    vit_model *model = NULL;
    assert_status(vit_model_load(&model, out, NULL, &log), VITC_ERR_MODEL, &messages);
    assert_null(model);
    assert_says(&messages, "norm.weight holds a NaN at [31]");
    log = message_log_start(&messages);
    assert_status(vit_model_load(&model, out, &allow, &log), VITC_OK, &messages);
    vit_model_free(model);
    test_remove_folder(in);
    assert_int_equal(unlink(out), 0);

    /* A finite weight beyond bfloat16. */
    make_folder_with(in, "classifier.weight", 5, 0x1.fffffep127f);
    log = message_log_start(&messages);
    assert_status(vit_model_convert(in, out, VIT_DTYPE_BF16, NULL, NULL, &log), VITC_ERR_MODEL,
                  &messages);
    assert_says(&messages, "head.weight");
    assert_says(&messages, "bfloat16");
    assert_int_equal(test_count_files(folder), 0);
    convert(in, out, VIT_DTYPE_F32, NULL);
    assert_int_equal(unlink(out), 0);
    test_remove_folder(in);

    /* Places that cannot be written, arguments that are none, input that is none. */
    log = message_log_start(&messages);
    assert_status(vit_model_convert(CHECKPOINTS "/hf_vit", "/tmp/vitc-no-such-folder/x",
                                    VIT_DTYPE_F32, NULL, NULL, &log),
                  VITC_ERR_UNWRITABLE, &messages);
    assert_status(vit_model_convert(CHECKPOINTS "/hf_vit", out, (vit_dtype)2, NULL, NULL, &log),
                  VITC_ERR_ARGUMENT, &messages);
    assert_status(vit_model_convert(folder, out, VIT_DTYPE_F32, NULL, NULL, &log),
                  VITC_ERR_UNREADABLE, &messages);
    assert_int_equal(test_count_files(folder), 0);

    /* Preprocessing of another size is found before anything is written. */
    static const char spec[] = "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": 64}";
    const vit_load_options other = {.preprocess = spec, .preprocess_size = sizeof spec - 1};
    log = message_log_start(&messages);
    assert_status(vit_model_convert(CHECKPOINTS "/hf_vit", out, VIT_DTYPE_F32, NULL, &other, &log),
                  VITC_ERR_PREPROCESS, &messages);
    assert_int_equal(test_count_files(folder), 0);
    test_remove_folder(folder);
}

typedef struct convert_case {
    const char *in;
    char out[128];
    int said_nothing; /* failures without exactly one message */
} convert_case;

static void count_message(void *user, vitc_log_level level, const char *message)
{
    (void)message;
    *(int *)user += level == VITC_LOG_ERROR;
}

static vitc_status convert_once(void *user)
{
    convert_case *c = user;
    int errors = 0;
    const vitc_log log = {.write = count_message, .user = &errors};
    const vitc_status status =
        vit_model_convert(c->in, c->out, VIT_DTYPE_BF16, "{\"name\": \"x\"}", NULL, &log);
    c->said_nothing += errors != (status != VITC_OK);
    /* There is the whole file, or none. */
    if ((unlink(c->out) == 0) != (status == VITC_OK)) return VITC_ERR_INTERNAL;
    return status;
}

static void converting_survives_without_memory(void **unused)
{
    (void)unused;
    static const char *const names[] = {"hf_vit_sharded", "timm_vit_labels", "timm_vit_oldconfig"};
    if (!MALLOC_FAIL_AVAILABLE) skip();
    char folder[64];
    test_make_folder(folder);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[512];
        golden_path(path, names[i]);
        convert_case c = {.in = path};
        snprintf(c.out, sizeof c.out, "%s/out.safetensors", folder);
        assert_true(malloc_fail_each(convert_once, &c) > 100);
        assert_int_equal(c.said_nothing, 0);
        assert_int_equal(test_count_files(folder), 0);
    }
    test_remove_folder(folder);
}

/* ---- vitc files that are not in order ---- */

/* Opens the bytes from memory, changed: the first `from` is now `to`. */
static void expect_changed(const test_bytes *file, const char *from, const char *to,
                           vitc_status status, const char *says)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_checkpoint *c;
    test_bytes changed = test_change_header(file, from, to);
    const vitc_status found =
        vit_checkpoint_open_memory(&c, changed.data, changed.size, "memory", NULL, &log);
    if (found != status)
        fail_msg("%s: %s, expected %s\n%s", to, vitc_status_string(found),
                 vitc_status_string(status), messages.text);
    if (status != VITC_OK) assert_says(&messages, "memory");
    if (says != NULL) assert_says(&messages, says);
    vit_checkpoint_free(c);
    free(changed.data);
}

static void vitc_files_out_of_order(void **unused)
{
    (void)unused;
    static const struct {
        const char *from, *to;
        vitc_status status;
        const char *says;
    } rows[] = {
        {"\"vitc.format\": \"1\"", "\"vitc.format\": \"2\"", VITC_ERR_UNSUPPORTED, "format \"2\""},
        {"\"vitc.format\": \"1\"", "\"vitc.format\": \"\"", VITC_ERR_UNSUPPORTED, "format \"\""},
        {"\"vitc.format\"", "\"was.format\"", VITC_ERR_MODEL, "give the folder"},
        {"\"vitc.config\"", "\"was.config\"", VITC_ERR_MODEL, "vitc.config"},
        {"\"vitc.preprocess\"", "\"was.preprocess\"", VITC_ERR_PREPROCESS, "vitc.preprocess"},
        {"\"vitc.labels\"", "\"was.labels\"", VITC_OK, NULL},
        {"\"vitc.card\"", "\"was.card\"", VITC_OK, NULL},
        {"\"vitc.card\": \"{", "\"vitc.card\": \"[{", VITC_ERR_CORRUPT,
         ": vitc.card: not valid JSON"},
        {"[\\\"tabby cat\\\", ", "[[\\\"tabby cat\\\", ", VITC_ERR_CORRUPT,
         ": vitc.labels: not valid JSON"},
        {"\"vitc.card\": \"{", "\"vitc.card\": \"3\", \"x\": \"{", VITC_ERR_MODEL, "vitc.card"},
        {"[\\\"tabby cat\\\", ", "[", VITC_ERR_MODEL, "\"vitc.labels\" is 6 labels"},
        {"[\\\"tabby cat\\\", ", "[3, null, ", VITC_ERR_MODEL, "\"vitc.labels\" is 8 labels"},
        {"[\\\"tabby cat\\\", ", "[null, ", VITC_ERR_MODEL, "\"vitc.labels\" is null"},
        {"\\\"width\\\": 32", "\\\"width\\\": 64", VITC_ERR_MODEL,
         "patch_embed.proj.weight is [32,3,8,8], expected [64,3,8,8]"},
        {"\\\"width\\\": 32", "\\\"width\\\": 0", VITC_ERR_MODEL, "width"},
        {"\\\"width\\\": 32", "\\\"width\\\": \\\"32\\\"", VITC_ERR_MODEL, "\"width\" is \"32\""},
        {"\\\"width\\\": 32, ", "", VITC_ERR_MODEL, "\"width\" is missing"},
        {"\\\"width\\\": 32", "\\\"width\\\": null", VITC_ERR_MODEL, "\"width\" is null"},
        {"\\\"width\\\": 32", "\\\"width\\\": 32, \\\"rope\\\": true", VITC_ERR_UNSUPPORTED,
         "\"rope\""},
        {"\\\"width\\\": 32", "\\\"width\\\": 32, \\\"width\\\": 32", VITC_ERR_CORRUPT,
         "duplicate"},
        {"\\\"layers\\\": 2", "\\\"layers\\\": 1000000", VITC_ERR_MODEL, "layers"},
        {"\\\"classes\\\": 7", "\\\"classes\\\": 0", VITC_ERR_MODEL, "classes"},
        {"\\\"classes\\\": 7", "\\\"classes\\\": 6", VITC_ERR_MODEL,
         "\"vitc.labels\" is 7 labels, but tensor head.weight has the shape [7,32]"},
        {"\\\"activation\\\": \\\"gelu\\\"", "\\\"activation\\\": \\\"mish\\\"", VITC_ERR_MODEL,
         "gelu_tanh"},
        {"\\\"pool\\\": \\\"token\\\"", "\\\"pool\\\": \\\"map\\\"", VITC_ERR_MODEL, "avgmax"},
        {"\\\"pool\\\": \\\"token\\\"", "\\\"pool\\\": 1", VITC_ERR_MODEL, "\"pool\" is 1"},
        {"\\\"scores\\\": \\\"softmax\\\"", "\\\"scores\\\": \\\"\\\"", VITC_ERR_MODEL, "sigmoid"},
        {"\\\"position\\\": \\\"learned_1d\\\"", "\\\"position\\\": \\\"rope\\\"", VITC_ERR_MODEL,
         "learned_1d"},
        {"\\\"class_token\\\": true", "\\\"class_token\\\": 1", VITC_ERR_MODEL,
         "\"class_token\" is 1"},
        {"\\\"norm_eps\\\": 9.99999997e-7", "\\\"norm_eps\\\": -1", VITC_ERR_MODEL, "epsilon"},
        {"\\\"norm_eps\\\": 9.99999997e-7", "\\\"norm_eps\\\": 1e300", VITC_ERR_MODEL, "norm_eps"},
        {"\\\"class_token\\\": true", "\\\"class_token\\\": true, \\\"temperature\\\": 1.5",
         VITC_OK, NULL},
        {"\\\"class_token\\\": true", "\\\"class_token\\\": true, \\\"temperature\\\": 0",
         VITC_ERR_MODEL, "\"temperature\" is 0; vitc needs a number above 0"},
        {"\\\"class_token\\\": true", "\\\"class_token\\\": true, \\\"temperature\\\": -1",
         VITC_ERR_MODEL, "\"temperature\" is -1"},
        {"\\\"class_token\\\": true", "\\\"class_token\\\": true, \\\"temperature\\\": 1e-60",
         VITC_ERR_MODEL, "a number above 0"},
        {"\\\"class_token\\\": true", "\\\"class_token\\\": true, \\\"temperature\\\": 1e39",
         VITC_ERR_MODEL, "32-bit float"},
        {"\\\"class_token\\\": true", "\\\"class_token\\\": true, \\\"temperature\\\": null",
         VITC_ERR_MODEL, "\"temperature\" is null"},
        {"\\\"class_token\\\": true", "\\\"class_token\\\": true, \\\"temperature\\\": true",
         VITC_ERR_MODEL, "\"temperature\" is true"},
        {"\"head.bias\"", "\"head.boas\"", VITC_ERR_MODEL, "missing: head.bias [7]"},
        {"\\\"architecture\\\": \\\"vit_small_patch16_224\\\"", "\\\"architecture\\\": 7",
         VITC_ERR_MODEL, "architecture"},
    };
    char folder[64], out[128];
    test_make_folder(folder);
    snprintf(out, sizeof out, "%s/out.safetensors", folder);
    convert(CHECKPOINTS "/timm_vit_labels", out, VIT_DTYPE_F32, NULL);
    test_bytes file = test_read_file(out);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_changed(&file, rows[i].from, rows[i].to, rows[i].status, rows[i].says);

    /* A name too long for its place. */
    char longer[256] = "\\\"architecture\\\": \\\"";
    memset(longer + strlen(longer), 'x', 120);
    strcat(longer, "\\\"");
    expect_changed(&file, "\\\"architecture\\\": \\\"vit_small_patch16_224\\\"", longer,
                   VITC_ERR_MODEL, "95 bytes");

    /* The caller's spec stands in for a missing one, and replaces a present one. */
    static const char spec[] = "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": 32, "
                               "\"resample\": 0}";
    const vit_load_options options = {.preprocess = spec, .preprocess_size = sizeof spec - 1};
    vit_checkpoint *c;
    assert_int_equal(vit_checkpoint_open_memory(&c, file.data, file.size, "memory", &options, NULL),
                     VITC_OK);
    assert_int_equal(c->description.preprocess.filter, IMGIO_NEAREST);
    vit_checkpoint_free(c);

    /* Cut anywhere. */
    for (size_t cut = 0; cut < file.size; cut += 1 + file.size / 300) {
        unsigned char *copy = malloc(cut + 1);
        vit_model *model;
        assert_non_null(copy);
        memcpy(copy, file.data, cut);
        assert_int_equal(vit_model_load_memory(&model, copy, cut, NULL, NULL, NULL),
                         VITC_ERR_TRUNCATED);
        assert_null(model);
        free(copy);
    }
    free(file.data);
    test_remove_folder(folder);
}

/* vit_config_format and vit_config_parse: every field, one at a time, away from its usual value. */
static void config_json(void **unused)
{
    (void)unused;
    vit_config base;
    assert_int_equal(vit_config_named(&base, "testing", NULL), VITC_OK);
    for (int change = 0; change < 40; change++) {
        vit_config config = base, found;
        switch (change) {
        case 0:
            snprintf(config.architecture, sizeof config.architecture, "a \"quoted\" Käse \\ %s",
                     "and text to the last byte: abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqr");
            break;
        case 1:
            config.norm_eps = 1e-12f;
            break;
        case 2:
            config.norm_eps = 0x1.fffffep-20f;
            break;
        case 3:
            config.registers = 4;
            break;
        case 4:
            config.position = PATCHES_POSITION_NONE;
            break;
        case 5:
        case 6:
        case 7:
        case 8:
        case 9:
            config.activation = (vit_activation)(change - 5);
            break;
        case 10:
        case 11:
        case 12:
        case 13:
            config.pool = (vit_pool)(change - 10);
            break;
        case 14:
        case 15:
        case 16:
            config.scores = (vit_scores)(change - 14);
            break;
        case 36:
            config.temperature = 0x1.0f2b64p0f;
            break;
        case 37:
            config.temperature = 0x1p-149f;
            break;
        case 38:
            config.temperature = 0x1.fffffep127f;
            break;
        default: {
            bool *const flags[] = {&config.class_token,
                                   &config.distillation_token,
                                   &config.patch_bias,
                                   &config.qkv_bias,
                                   &config.qk_norm,
                                   &config.layer_scale,
                                   &config.norm_pre,
                                   &config.norm_final,
                                   &config.norm_pooled,
                                   &config.distilled_head,
                                   &config.position_covers_prefix};
            uint32_t *const counts[] = {&config.image_height, &config.image_width, &config.patch,
                                        &config.width,        &config.layers,      &config.heads,
                                        &config.mlp,          &config.classes};
            const int f = change - 17;
            if (f < 11)
                *flags[f] = !*flags[f];
            else if (f < 19)
                *counts[f - 11] += 1;
            break;
        }
        }
        char *text = vit_config_format(&config);
        vitc_json *root = NULL;
        assert_non_null(text);
        assert_int_equal(vitc_json_parse(&root, text, strlen(text), "test", NULL), VITC_OK);
        assert_int_equal(vit_config_parse(&found, root, "test", NULL), VITC_OK);
        char *again = vit_config_format(&found);
        assert_string_equal(text, again);
        assert_memory_equal(&found.norm_eps, &config.norm_eps, sizeof(float));
        assert_memory_equal(&found.temperature, &config.temperature, sizeof(float));
        assert_int_equal(strstr(text, "temperature") == NULL, config.temperature == 1);
        assert_string_equal(found.architecture, config.architecture);
        assert_int_equal(found.registers, config.registers);
        assert_int_equal(found.activation, config.activation);
        assert_int_equal(found.pool, config.pool);
        assert_int_equal(found.scores, config.scores);
        assert_int_equal(found.position, config.position);
        assert_int_equal(found.mlp, config.mlp);
        assert_int_equal(found.qk_norm, config.qk_norm);
        assert_int_equal(found.position_covers_prefix, config.position_covers_prefix);
        vitc_json_free(root);
        free(text);
        free(again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(loaded_models),
        cmocka_unit_test(cards),
        cmocka_unit_test(never_over_its_input),
        cmocka_unit_test(failures_leave_nothing),
        cmocka_unit_test(converting_survives_without_memory),
        cmocka_unit_test(vitc_files_out_of_order),
        cmocka_unit_test(config_json),
    };
    return cmocka_run_group_tests_name("convert", tests, NULL, NULL);
}
