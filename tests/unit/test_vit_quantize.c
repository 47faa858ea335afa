/* Quantizing: the rule, files of int8 and bfloat16, what is refused, and that a file gives the bits
 * of the model that was measured without one. */
#include <float.h>
#include <math.h>

#include "test_malloc_fail.h"
#include "vit_weights_support.h"

enum { MIN_CASES = 30, BATCH = 2 };

/* ---- the rule ---- */

static void rows_are_quantized(void **unused)
{
    (void)unused;
    enum { N = 37 };
    float w[N];
    int8_t q[N];
    float scale;
    uint32_t state = 1;
    for (int round = 0; round < 450; round++) {
        const float size = ldexpf(1, round / 2 - 100); /* up to 2^124 */
        float largest = 0;
        for (int i = 0; i < N; i++) {
            state = state * 1664525u + 1013904223u;
            w[i] = ((float)(state >> 8) / 8388608.0f - 1) * size;
            if (fabsf(w[i]) > largest) largest = fabsf(w[i]);
        }
        vit_quantize_rows(q, &scale, w, 1, N);
        assert_true(scale == largest / 127);
        int most = 0;
        for (int i = 0; i < N; i++) {
            if (abs(q[i]) > most) most = abs(q[i]);
            /* half a step, and what float32 rounds */
            assert_true(fabs((double)w[i] - q[i] * (double)scale) <= 0.50001 * (double)scale);
        }
        assert_int_equal(most, 127);
    }
    /* ties to even, both signs of the largest */
    static const float ties[] = {-127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 126.5f, 0};
    static const int8_t even[] = {-127, 0, 2, 2, 0, -2, 126, 0};
    vit_quantize_rows(q, &scale, ties, 1, 8);
    assert_true(scale == 1);
    assert_memory_equal(q, even, sizeof even);
    /* nothing to scale */
    static const float nothing[3][2] = {{0, -0.0f}, {0x1p-140f, 0}, {FLT_MIN, 0}};
    vit_quantize_rows(q, w, nothing[0], 3, 2);
    for (int r = 0; r < 3; r++) assert_true(w[r] == 0 && q[2 * r] == 0 && q[2 * r + 1] == 0);
    /* nothing that is a number */
    static const float bad[2][2] = {{1, NAN}, {-INFINITY, 2}};
    vit_quantize_rows(q, w, bad[0], 2, 2);
    for (int r = 0; r < 2; r++) assert_true(isnan(w[r]) && q[2 * r] == 0 && q[2 * r + 1] == 0);
}

/* ---- models and their answers ---- */

static vit_model *load(const char *path, const vit_load_options *options)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_model *model;
    vit_load_options alone = options != NULL ? *options : (vit_load_options){0};
    alone.threads = 1; /* other tests use the same CPUs */
    assert_status(vit_model_load(&model, path, &alone, &log), VITC_OK, &messages);
    return model;
}

static vit_model *load_as(const char *path, vit_precision precision, vit_dtype quantize,
                          const char *only)
{
    const vit_load_options options = {
        .precision = precision, .quantize = quantize, .quantize_only = only};
    return load(path, &options);
}

static void quantize(const char *in, const char *out, vit_dtype dtype, const char *measurement)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    assert_status(vit_model_quantize(in, out, dtype, measurement, NULL, &log), VITC_OK, &messages);
    assert_int_equal(messages.errors, 0);
}

/* Logits of BATCH images of noise; frees the model. */
static float *answers(vit_model *model, size_t *count)
{
    const vit_config *config = vit_model_describe(model).config;
    vit_workspace *workspace;
    const size_t patches =
        (size_t)vit_config_patches(config) * PATCHES_CHANNELS * config->patch * config->patch;
    uint32_t state = 7;
    *count = (size_t)BATCH * config->classes;
    float *logits = calloc(*count, sizeof *logits);
    assert_non_null(logits);
    assert_int_equal(vit_workspace_create(&workspace, model, BATCH, 1, NULL), VITC_OK);
    for (uint32_t b = 0; b < BATCH; b++)
        for (size_t i = 0; i < patches; i++) {
            state = state * 1664525u + 1013904223u;
            vit_workspace_patches(workspace, b)[i] = (float)(state >> 8) / 8388608.0f - 1;
        }
    assert_int_equal(vit_forward(model, workspace, logits, BATCH, NULL), VITC_OK);
    vit_workspace_free(workspace);
    vit_model_free(model);
    return logits;
}

static void assert_same_answers(vit_model *a, vit_model *b, const char *what)
{
    size_t n, m;
    float *x = answers(a, &n), *y = answers(b, &m);
    assert_int_equal(n, m);
    if (memcmp(x, y, n * sizeof *x) != 0) fail_msg("%s: the logits differ", what);
    free(x);
    free(y);
}

/* |a - b| / |b|; frees both models. */
static double difference(vit_model *a, vit_model *b)
{
    size_t n, m;
    float *x = answers(a, &n), *y = answers(b, &m);
    double error = 0, length = 0;
    for (size_t i = 0; i < n; i++) {
        error += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
        length += (double)y[i] * (double)y[i];
    }
    free(x);
    free(y);
    return sqrt(error / length);
}

/* ---- files ---- */

typedef struct place {
    char folder[64], in[512], out[128];
} place;

static place make_place(const char *name)
{
    place p;
    test_make_folder(p.folder);
    snprintf(p.in, sizeof p.in, CHECKPOINTS "/%s", name);
    snprintf(p.out, sizeof p.out, "%s/out.safetensors", p.folder);
    return p;
}

/* Every tensor of the table: int8 with scales within half a step, or the same float32. */
static void check_contents(const place *p)
{
    vit_checkpoint *a, *b;
    assert_int_equal(vit_checkpoint_open(&a, p->in, NULL, NULL), VITC_OK);
    assert_int_equal(vit_checkpoint_open(&b, p->out, NULL, NULL), VITC_OK);
    assert_string_equal(b->description.dtype, "I8");
    float *x, *y;
    assert_int_equal(vit_checkpoint_buffer(&x, a, NULL), VITC_OK);
    assert_int_equal(vit_checkpoint_buffer(&y, b, NULL), VITC_OK);
    size_t quantized = 0;
    for (size_t i = 0; i < a->table.count; i++) {
        const vit_param *param = &b->table.params[i];
        const size_t n = param->count / param->shape[0];
        assert_int_equal(vit_checkpoint_read(a, i, x, NULL), VITC_OK);
        assert_int_equal(vit_checkpoint_is_quantized(b, i), vit_param_in_encoder(param->id));
        if (!vit_checkpoint_is_quantized(b, i)) {
            assert_int_equal(b->sources[i].parts[0]->tensor->type, VIT_TENSOR_F32);
            assert_int_equal(vit_checkpoint_read(b, i, y, NULL), VITC_OK);
            assert_memory_equal(x, y, param->count * sizeof *x);
            continue;
        }
        const int8_t *q = NULL;
        assert_int_equal(vit_checkpoint_read_quantized(b, i, &q, y, NULL), VITC_OK);
        for (size_t k = 0; k < param->count; k++)
            assert_true(fabs((double)x[k] - q[k] * (double)y[k / n]) <= 0.50001 * (double)y[k / n]);
        quantized++;
    }
    assert_int_equal(quantized, 4 * (size_t)a->config.layers);
    free(x);
    free(y);
    vit_checkpoint_free(a);
    vit_checkpoint_free(b);
}

static void files_give_the_bits_that_were_measured(void **unused)
{
    (void)unused;
    FILE *index = fopen(CHECKPOINTS "/index.txt", "r");
    char name[128];
    size_t cases = 0;
    assert_non_null(index);
    while (fgets(name, sizeof name, index) != NULL) {
        name[strcspn(name, "\n")] = 0;
        place p = make_place(name);
        quantize(p.in, p.out, VIT_DTYPE_INT8, NULL);
        check_contents(&p);
        assert_same_answers(load(p.out, NULL),
                            load_as(p.in, VIT_PRECISION_DEFAULT, VIT_DTYPE_INT8, NULL), name);
        const double error = difference(load(p.out, NULL), load(p.in, NULL));
        /* Noise through random weights, and rows of only 32 numbers: far more than of real models.
         */
        if (!(error > 0 && error < 0.25)) fail_msg("%s: int8 is off by %g", name, error);

        quantize(p.in, p.out, VIT_DTYPE_BF16, NULL);
        for (int precision = VIT_PRECISION_F32; precision <= VIT_PRECISION_BF16; precision++)
            assert_same_answers(load_as(p.out, (vit_precision)precision, VIT_DTYPE_F32, NULL),
                                load_as(p.in, (vit_precision)precision, VIT_DTYPE_BF16, NULL),
                                name);
        test_remove_folder(p.folder);
        cases++;
    }
    fclose(index);
    assert_true(cases >= MIN_CASES);
}

/* The header's length, and everything after it. */
static size_t data_begin(const test_bytes *file)
{
    size_t n = 8;
    for (int i = 0; i < 8; i++) n += (size_t)file->data[i] << 8 * i;
    return n;
}

static void bf16_is_what_convert_writes(void **unused)
{
    (void)unused;
    place p = make_place("timm_vit_layerscale");
    quantize(p.in, p.out, VIT_DTYPE_BF16, NULL);
    test_bytes a = test_read_file(p.out);
    assert_int_equal(vit_model_convert(p.in, p.out, VIT_DTYPE_BF16, NULL, NULL, NULL), VITC_OK);
    test_bytes b = test_read_file(p.out);
    const size_t i = data_begin(&a), j = data_begin(&b);
    assert_int_equal(a.size - i, b.size - j);
    assert_memory_equal(a.data + i, b.data + j, a.size - i);
    assert_non_null(strstr((char *)a.data + 8, "vitc.quantization"));
    assert_null(strstr((char *)b.data + 8, "vitc.quantization"));
    free(a.data);
    free(b.data);
    test_remove_folder(p.folder);
}

static void the_file_says_what_is_known(void **unused)
{
    (void)unused;
    place p = make_place("hf_vit");
    for (int dtype = VIT_DTYPE_BF16; dtype <= VIT_DTYPE_INT8; dtype++)
        for (int measured = 0; measured < 2; measured++) {
            vitc_json *root;
            quantize(p.in, p.out, (vit_dtype)dtype, measured ? "{\"images\": 17}" : NULL);
            vit_model *model = load(p.out, NULL);
            const vit_model_info info = vit_model_describe(model);
            assert_int_equal(info.precision,
                             dtype == VIT_DTYPE_INT8 ? VIT_PRECISION_INT8 : VIT_PRECISION_F32);
            assert_string_equal(info.weights_dtype, dtype == VIT_DTYPE_INT8 ? "I8" : "BF16");
            assert_non_null(info.quantization);
            assert_int_equal(
                vitc_json_parse(&root, info.quantization, strlen(info.quantization), "test", NULL),
                VITC_OK);
            assert_string_equal(vitc_json_string(vitc_json_get(root, "dtype"), ""),
                                dtype == VIT_DTYPE_INT8 ? "int8" : "bf16");
            const vitc_json *m = vitc_json_get(root, "measurement");
            if (measured)
                assert_int_equal(vitc_json_integer(vitc_json_get(m, "images"), 0), 17);
            else
                assert_string_equal(vitc_json_string(m, ""), "unmeasured");
            vitc_json_free(root);
            vit_model_free(model);
        }
    vit_model *model = load(p.in, NULL);
    assert_null(vit_model_describe(model).quantization);
    vit_model_free(model);
    test_remove_folder(p.folder);
}

/* ---- one matrix ---- */

static void one_matrix_alone(void **unused)
{
    (void)unused;
    static const char *const parts[] = {"attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"};
    const char *path = CHECKPOINTS "/timm_vit_layerscale";
    vit_model *model = load(path, NULL);
    const uint32_t layers = vit_model_describe(model).config->layers;
    char names[64][64], expected[64];
    size_t count = 0;
    for (const char *name; (name = vit_model_matrix(model, count)) != NULL; count++) {
        snprintf(expected, sizeof expected, "blocks.%zu.%s.weight", count / 4, parts[count % 4]);
        assert_string_equal(name, expected);
        snprintf(names[count], sizeof names[count], "%s", name);
    }
    vit_model_free(model);
    assert_int_equal(count, 4 * (size_t)layers);
    const double all =
        difference(load_as(path, VIT_PRECISION_INT8, VIT_DTYPE_INT8, NULL), load(path, NULL));
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        const double one = difference(load_as(path, VIT_PRECISION_INT8, VIT_DTYPE_INT8, names[i]),
                                      load(path, NULL));
        assert_true(one > 0);
        squares += one * one;
        /* In F32 arithmetic a rounded matrix is a change of weights alone: smaller still. */
        const double bf16 = difference(load_as(path, VIT_PRECISION_F32, VIT_DTYPE_BF16, names[i]),
                                       load(path, NULL));
        assert_true(bf16 > 0 && bf16 < 0.02);
    }
    /* Errors that know nothing of each other add up in squares. */
    assert_true(all > 0.2 * sqrt(squares) && all < 5 * sqrt(squares));

    static const char *const no_matrix[] = {"", "head.weight", "blocks.0.norm1.weight",
                                            "blocks.99.mlp.fc1.weight"};
    for (size_t i = 0; i < sizeof no_matrix / sizeof no_matrix[0]; i++) {
        const vit_load_options options = {.quantize = VIT_DTYPE_INT8,
                                          .quantize_only = no_matrix[i]};
        message_log messages;
        const vitc_log log = message_log_start(&messages);
        assert_status(vit_model_load(&model, path, &options, &log), VITC_ERR_ARGUMENT, &messages);
        assert_null(model);
        assert_says(&messages, "no matrix of the encoder");
    }
}

/* ---- what is refused ---- */

static void expect(const test_bytes *file, vitc_status status, const char *says)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_model *model;
    assert_status(vit_model_load_memory(&model, file->data, file->size, "memory", NULL, &log),
                  status, &messages);
    assert_int_equal(messages.errors, status != VITC_OK);
    if (says != NULL) assert_says(&messages, says);
    vit_model_free(model);
}

#define QKV "blocks.0.attn.qkv.weight"

static void headers_out_of_order(void **unused)
{
    (void)unused;
    static const struct {
        const char *from, *to;
        vitc_status status;
        const char *says;
    } rows[] = {
        {"\"vitc.format\"", "\"vitc.format\"", VITC_OK, NULL},
        {"\"vitc.quantization\"", "\"was.quantization\"", VITC_OK, NULL},
        {"\"vitc.quantization\": \"{", "\"vitc.quantization\": \"[{", VITC_ERR_CORRUPT, "JSON"},
        {"\"vitc.quantization\": \"{", "\"vitc.quantization\": \"3\", \"x\": \"{", VITC_ERR_MODEL,
         "vitc.quantization is not a JSON object"},
        {"\"" QKV "_scale\": {\"dtype\": \"F32\", \"shape\": [96]",
         "\"" QKV "_scale\": {\"dtype\": \"F32\", \"shape\": [96, 1]", VITC_ERR_MODEL,
         QKV "_scale is [96,1], expected [96]"},
        {"\"" QKV "_scale\": {\"dtype\": \"F32\"", "\"" QKV "_scale\": {\"dtype\": \"I32\"",
         VITC_ERR_UNSUPPORTED, QKV "_scale is I32; the scales"},
        {"\"" QKV "\": {\"dtype\": \"I8\"", "\"" QKV "\": {\"dtype\": \"U8\"", VITC_ERR_MODEL,
         "no place for: " QKV "_scale [96]"},
        {"\"" QKV "\": {\"dtype\": \"I8\", \"shape\": [96, 32]",
         "\"" QKV "\": {\"dtype\": \"I8\", \"shape\": [32, 96]", VITC_ERR_MODEL,
         QKV " is [32,96], expected [96,32]"},
    };
    place p = make_place("timm_vit_labels");
    quantize(p.in, p.out, VIT_DTYPE_INT8, NULL);
    test_bytes file = test_read_file(p.out);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_bytes changed = test_change_header(&file, rows[i].from, rows[i].to);
        expect(&changed, rows[i].status, rows[i].says);
        free(changed.data);
    }
    /* A renamed scale is missing, and one that there is no place for. */
    test_bytes renamed = test_change_header(&file, QKV "_scale", QKV "_scalx");
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_model *model;
    assert_status(vit_model_load_memory(&model, renamed.data, renamed.size, "memory", NULL, &log),
                  VITC_ERR_MODEL, &messages);
    assert_says(&messages, "missing: " QKV "_scale [96]");
    assert_says(&messages, "no place for: " QKV "_scalx [96]");
    free(renamed.data);
    free(file.data);
    test_remove_folder(p.folder);
}

static void values_out_of_order(void **unused)
{
    (void)unused;
    static const struct {
        const char *tensor;
        size_t at;
        unsigned char bytes[4];
        size_t count;
        const char *says;
    } rows[] = {
        {QKV, 33, {0x80}, 1, QKV " holds -128 at [1,1]"},
        {"blocks.1.mlp.fc2.weight", 0, {0x80}, 1, "blocks.1.mlp.fc2.weight holds -128 at [0,0]"},
        {QKV "_scale", 4 * 95, {0, 0, 0xC0, 0x7F}, 4, QKV "_scale holds nan at [95]"},
        {QKV "_scale", 4 * 3, {0, 0, 0x80, 0x7F}, 4, QKV "_scale holds inf at [3]"},
        {QKV "_scale", 0, {0, 0, 0x80, 0xBF}, 4, QKV "_scale holds -1 at [0]"},
        {QKV, 0, {0x81}, 1, NULL}, /* -127 */
        {QKV "_scale", 0, {0, 0, 0, 0}, 4, NULL},
    };
    place p = make_place("timm_vit_labels");
    quantize(p.in, p.out, VIT_DTYPE_INT8, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_bytes file = test_read_file(p.out);
        vit_safetensors contents;
        assert_int_equal(vit_safetensors_open(&contents, file.data, file.size, "test", NULL),
                         VITC_OK);
        const vit_tensor *tensor = vit_safetensors_find(&contents, rows[i].tensor);
        assert_non_null(tensor);
        memcpy(file.data + (tensor->data - file.data) + rows[i].at, rows[i].bytes, rows[i].count);
        vit_safetensors_close(&contents);
        expect(&file, rows[i].says == NULL ? VITC_OK : VITC_ERR_MODEL, rows[i].says);
        free(file.data);
    }
    test_remove_folder(p.folder);
}

static void mixed_files(void **unused)
{
    (void)unused;
    place p = make_place("timm_vit_labels");
    quantize(p.in, p.out, VIT_DTYPE_INT8, NULL);
    test_bytes file = test_read_file(p.out);

    test_tensors *tensors = test_take_apart(&file);
    test_bytes bytes = test_put_together_again(tensors, &file);
    expect(&bytes, VITC_OK, NULL);
    free(bytes.data);

    tensors = test_take_apart(&file);
    test_tensor_drop(tensors, QKV);
    test_tensor_add(tensors, QKV, "F32", 4, 96, 32);
    bytes = test_put_together_again(tensors, &file);
    expect(&bytes, VITC_ERR_MODEL, "no place for: " QKV "_scale");
    free(bytes.data);

    tensors = test_take_apart(&file);
    test_tensor_drop(tensors, QKV);
    test_tensor_drop(tensors, QKV "_scale");
    test_tensor_add(tensors, QKV, "F32", 4, 96, 32);
    bytes = test_put_together_again(tensors, &file);
    expect(&bytes, VITC_ERR_MODEL, "a quantized file holds all of the encoder's matrices as I8");
    free(bytes.data);

    tensors = test_take_apart(&file);
    test_tensor_drop(tensors, "head.weight");
    test_tensor_add(tensors, "head.weight", "I8", 1, 7, 32);
    bytes = test_put_together_again(tensors, &file);
    expect(&bytes, VITC_ERR_UNSUPPORTED, "head.weight is I8");
    free(bytes.data);
    free(file.data);
    test_remove_folder(p.folder);

    /* Only vitc's own file may be quantized. */
    p = make_place("timm_vit_labels");
    test_copy_golden(p.folder, "timm_vit_labels");
    file = test_read_golden("timm_vit_labels", "model.safetensors");
    tensors = test_take_apart(&file);
    test_tensor_drop(tensors, QKV);
    test_tensor_add(tensors, QKV, "I8", 1, 96, 32);
    bytes = test_put_together(tensors);
    test_write_file(p.folder, "model.safetensors", bytes.data, bytes.size);
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_model *model;
    assert_status(vit_model_load(&model, p.folder, NULL, &log), VITC_ERR_UNSUPPORTED, &messages);
    assert_says(&messages, QKV " is I8; vitc reads weights as");
    free(bytes.data);
    free(file.data);
    test_remove_folder(p.folder);
}

static void precisions_and_conversions(void **unused)
{
    (void)unused;
    static const struct {
        vit_load_options options;
        vitc_status status;
        const char *says;
    } rows[] = {
        {{.precision = VIT_PRECISION_DEFAULT}, VITC_OK, "holds int8"},
        {{.precision = VIT_PRECISION_INT8}, VITC_OK, "holds int8"},
        {{.precision = VIT_PRECISION_AUTO}, VITC_OK, "holds int8"},
        {{.precision = VIT_PRECISION_F32}, VITC_ERR_ARGUMENT, "cannot give f32"},
        {{.precision = VIT_PRECISION_BF16}, VITC_ERR_ARGUMENT, "cannot give bf16"},
        {{.quantize = VIT_DTYPE_INT8}, VITC_ERR_ARGUMENT, "int8 weights already"},
        {{.quantize = VIT_DTYPE_BF16}, VITC_ERR_ARGUMENT, "int8 weights already"},
    };
    place p = make_place("hf_vit");
    quantize(p.in, p.out, VIT_DTYPE_INT8, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        message_log messages;
        const vitc_log log = message_log_start(&messages);
        vit_model *model;
        assert_status(vit_model_load(&model, p.out, &rows[i].options, &log), rows[i].status,
                      &messages);
        if (model != NULL) {
            assert_int_equal(vit_model_describe(model).precision, VIT_PRECISION_INT8);
            assert_non_null(strstr(vit_model_describe(model).precision_reason, rows[i].says));
        } else {
            assert_says(&messages, rows[i].says);
        }
        vit_model_free(model);
    }
    /* It cannot become anything else; arguments that are none; measurements that are none. */
    char again[160];
    snprintf(again, sizeof again, "%s/again.safetensors", p.folder);
    message_log messages;
    vitc_log log = message_log_start(&messages);
    assert_status(vit_model_convert(p.out, again, VIT_DTYPE_F32, NULL, NULL, &log),
                  VITC_ERR_ARGUMENT, &messages);
    assert_says(&messages, "int8 weights already");
    log = message_log_start(&messages);
    assert_status(vit_model_quantize(p.out, again, VIT_DTYPE_INT8, NULL, NULL, &log),
                  VITC_ERR_ARGUMENT, &messages);
    assert_says(&messages, "int8 weights already");
    assert_status(vit_model_quantize(p.in, again, VIT_DTYPE_F32, NULL, NULL, &log),
                  VITC_ERR_ARGUMENT, &messages);
    assert_status(vit_model_quantize(p.in, again, VIT_DTYPE_INT8, "[1]", NULL, &log),
                  VITC_ERR_ARGUMENT, &messages);
    assert_status(vit_model_quantize(p.in, again, VIT_DTYPE_INT8, "{", NULL, &log),
                  VITC_ERR_CORRUPT, &messages);
    /* Not over its input. */
    assert_status(vit_model_quantize(p.out, p.out, VIT_DTYPE_INT8, NULL, NULL, &log),
                  VITC_ERR_ARGUMENT, &messages);
    assert_int_equal(test_count_files(p.folder), 1);
    test_remove_folder(p.folder);
}

/* hf_vit with one value of a tensor changed. */
static void make_bad(char folder[64], const char *tensor, size_t at, float value)
{
    vit_safetensors contents;
    test_make_folder(folder);
    test_copy_golden(folder, "hf_vit");
    test_bytes file = test_read_golden("hf_vit", "model.safetensors");
    assert_int_equal(vit_safetensors_open(&contents, file.data, file.size, "test", NULL), VITC_OK);
    const vit_tensor *t = vit_safetensors_find(&contents, tensor);
    assert_non_null(t);
    memcpy(file.data + (t->data - file.data) + 4 * at, &value, sizeof value);
    vit_safetensors_close(&contents);
    test_write_file(folder, "model.safetensors", file.data, file.size);
    free(file.data);
}

static void values_that_do_not_fit(void **unused)
{
    (void)unused;
    static const char tensor[] = "vit.encoder.layer.1.output.dense.weight";
    char in[64];
    message_log messages;
    const vit_load_options allow = {.allow_nonfinite = true};
    place p = make_place("hf_vit");

    make_bad(in, tensor, 5, NAN);
    vitc_log log = message_log_start(&messages);
    assert_status(vit_model_quantize(in, p.out, VIT_DTYPE_INT8, NULL, NULL, &log), VITC_ERR_MODEL,
                  &messages);
    assert_says(&messages, "holds a NaN");
    log = message_log_start(&messages);
    assert_status(vit_model_quantize(in, p.out, VIT_DTYPE_INT8, NULL, &allow, &log), VITC_ERR_MODEL,
                  &messages);
    assert_says(&messages, "blocks.1.mlp.fc2.weight holds values that are not finite");
    assert_int_equal(test_count_files(p.folder), 0);
    test_remove_folder(in);

    make_bad(in, tensor, 5, 0x1.fffffep127f);
    log = message_log_start(&messages);
    const vit_load_options bf16 = {.quantize = VIT_DTYPE_BF16};
    vit_model *model;
    assert_status(vit_model_load(&model, in, &bf16, &log), VITC_ERR_MODEL, &messages);
    assert_says(&messages, "blocks.1.mlp.fc2.weight holds a value beyond bfloat16");
    assert_null(model);
    quantize(in, p.out, VIT_DTYPE_INT8, NULL); /* int8 has a scale for that */
    test_remove_folder(in);
    test_remove_folder(p.folder);
}

/* ---- without memory ---- */

static vitc_status quantize_once(void *user)
{
    const place *p = user;
    const vitc_status status =
        vit_model_quantize(p->in, p->out, VIT_DTYPE_INT8, "{\"images\": 1}", NULL, NULL);
    /* There is the whole file, or none. */
    if ((unlink(p->out) == 0) != (status == VITC_OK)) return VITC_ERR_INTERNAL;
    return status;
}

static vitc_status load_once(void *user)
{
    vit_model *model = NULL;
    const vit_load_options options = {.threads = 1};
    const vitc_status status = vit_model_load(&model, user, &options, NULL);
    vit_model_free(model);
    return status;
}

static vitc_status load_one_once(void *user)
{
    vit_model *model = NULL;
    const vit_load_options options = {
        .quantize = VIT_DTYPE_INT8, .quantize_only = "blocks.1.mlp.fc1.weight", .threads = 1};
    const vitc_status status = vit_model_load(&model, user, &options, NULL);
    vit_model_free(model);
    return status;
}

static void survives_without_memory(void **unused)
{
    (void)unused;
    if (!MALLOC_FAIL_AVAILABLE) skip();
    place p = make_place("timm_vit_layerscale");
    assert_true(malloc_fail_each(quantize_once, &p) > 100);
    assert_int_equal(test_count_files(p.folder), 0);
    quantize(p.in, p.out, VIT_DTYPE_INT8, NULL);
    assert_true(malloc_fail_each(load_once, p.out) > 20);
    assert_true(malloc_fail_each(load_one_once, p.in) > 20);
    test_remove_folder(p.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_quantized),
        cmocka_unit_test(files_give_the_bits_that_were_measured),
        cmocka_unit_test(bf16_is_what_convert_writes),
        cmocka_unit_test(the_file_says_what_is_known),
        cmocka_unit_test(one_matrix_alone),
        cmocka_unit_test(headers_out_of_order),
        cmocka_unit_test(values_out_of_order),
        cmocka_unit_test(mixed_files),
        cmocka_unit_test(precisions_and_conversions),
        cmocka_unit_test(values_that_do_not_fit),
        cmocka_unit_test(survives_without_memory),
    };
    return cmocka_run_group_tests_name("quantize", tests, NULL, NULL);
}
