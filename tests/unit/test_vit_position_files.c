/* Every kind of position embedding in vitc's files: written, read, quantized, calibrated and
 * resized they are the same model, bit for bit; what a file and a configuration cannot say is
 * refused. */
#include <math.h>

#include "test_malloc_fail.h"
#include "vit_weights.h"
#include "vit_weights_support.h"

#include "vit_position_support.h"

/* Numbers that no two models share, and what images of the configuration's size need. */
static vit_weights make_weights(const vit_config *config)
{
    vit_weights weights;
    assert_int_equal(vit_weights_create(&weights, config, NULL), VITC_OK);
    uint32_t state = 7;
    for (size_t i = 0; i < weights.table.elements; i++) {
        state = state * 1664525u + 1013904223u;
        weights.parameters[i] = ((float)(state >> 8) * 0x1p-23f - 1) * 0.3f;
    }
    weights.description.preprocess = (patches_spec){.resize = PATCHES_RESIZE_EXACT,
                                                    .resize_height = config->image_height,
                                                    .resize_width = config->image_width,
                                                    .filter = IMGIO_BICUBIC,
                                                    .rescale = 1 / 255.0};
    return weights;
}

static vit_model *load(const char *path, const vit_load_options *options)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_model *model;
    vit_load_options alone = options != NULL ? *options : (vit_load_options){0};
    alone.threads = 1;
    assert_status(vit_model_load(&model, path, &alone, &log), VITC_OK, &messages);
    return model;
}

static vit_model *run_weights(const vit_weights *weights)
{
    vit_model *model;
    assert_int_equal(vit_weights_model(&model, weights, VIT_PRECISION_F32, NULL), VITC_OK);
    return model;
}

/* Logits of one image of noise, malloc'd. */
static float *forward(const vit_model *model)
{
    const vit_config *config = vit_model_describe(model).config;
    const size_t size = (size_t)PATCHES_CHANNELS * config->image_height * config->image_width;
    vit_workspace *workspace;
    float *logits = calloc(config->classes, sizeof *logits);
    assert_non_null(logits);
    assert_int_equal(vit_workspace_create(&workspace, model, 1, 1, NULL), VITC_OK);
    for (size_t i = 0; i < size; i++)
        vit_workspace_patches(workspace, 0)[i] = sinf((float)i * 0.37f);
    assert_int_equal(vit_forward(model, workspace, logits, 1, NULL), VITC_OK);
    vit_workspace_free(workspace);
    return logits;
}

/* Frees both. */
static void expect_same(vit_model *a, vit_model *b)
{
    const vit_config *x = vit_model_describe(a).config, *y = vit_model_describe(b).config;
    assert_int_equal(x->position, y->position);
    assert_int_equal(x->position_op, y->position_op);
    assert_int_equal(x->position_at, y->position_at);
    assert_int_equal(x->position_filter, y->position_filter);
    assert_int_equal(x->image_height, y->image_height);
    assert_int_equal(x->image_width, y->image_width);
    float *m = forward(a), *n = forward(b);
    for (uint32_t k = 0; k < x->classes; k++) assert_true(isfinite(m[k]));
    assert_memory_equal(m, n, x->classes * sizeof *m);
    free(m);
    free(n);
    vit_model_free(a);
    vit_model_free(b);
}

/* ---- files ---- */

typedef struct names {
    char folder[64], file[128], other[128];
} names;

static names make_names(void)
{
    names n;
    test_make_folder(n.folder);
    snprintf(n.file, sizeof n.file, "%s/model.safetensors", n.folder);
    snprintf(n.other, sizeof n.other, "%s/other.safetensors", n.folder);
    return n;
}

static void write_weights(const vit_weights *weights, const char *path)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    assert_status(vit_weights_write(weights, path, VIT_DTYPE_F32, &log), VITC_OK, &messages);
}

/* What is usual is not written, so that older readers take files without what is new. */
static void expect_keys(const char *path, const vit_config *config)
{
    static const char *const words[PATCHES_POSITION_KIND_COUNT] = {
        "none", "learned_1d", "learned_2d", "factorized_sum", "sincos_2d", "relative", "rope_2d"};
    static const char *const places[PATCHES_POSITION_AT_COUNT] = {"stem", "every", "every_shared"};
    char text[128];
    test_bytes file = test_read_file(path);
    const char *header = (const char *)file.data + 8;
    snprintf(text, sizeof text, "\\\"position\\\": \\\"%s\\\"", words[config->position]);
    assert_non_null(strstr(header, text));
    snprintf(text, sizeof text, "\\\"position_at\\\": \\\"%s\\\"", places[config->position_at]);
    assert_true((strstr(header, text) != NULL) == (config->position_at != PATCHES_POSITION_STEM));
    assert_true((strstr(header, "position_at") != NULL) ==
                (config->position_at != PATCHES_POSITION_STEM));
    assert_true((strstr(header, "\\\"position_op\\\": \\\"mul\\\"") != NULL) ==
                (config->position_op == PATCHES_POSITION_MUL));
    assert_true((strstr(header, "position_op") != NULL) ==
                (config->position_op == PATCHES_POSITION_MUL));
    free(file.data);
}

static void written_and_read(void **unused)
{
    (void)unused;
    const names n = make_names();
    vit_config configs[CONFIGS_MAX];
    const size_t count = make_position_configs(configs);
    for (size_t i = 0; i < count; i++) {
        vit_weights weights = make_weights(&configs[i]), again;
        write_weights(&weights, n.file);
        expect_keys(n.file, &configs[i]);
        expect_same(run_weights(&weights), load(n.file, NULL));
        assert_int_equal(vit_weights_read(&again, n.file, NULL, NULL), VITC_OK);
        assert_int_equal(again.table.elements, weights.table.elements);
        assert_memory_equal(again.parameters, weights.parameters,
                            weights.table.elements * sizeof *weights.parameters);
        vit_weights_free(&again);
        vit_weights_free(&weights);
    }
    test_remove_folder(n.folder);
}

/* int8 and bf16 files keep learned positions in float32; calibrated ones all that they hold. */
static void quantized_and_calibrated(void **unused)
{
    (void)unused;
    const names n = make_names();
    vit_config configs[CONFIGS_MAX];
    const size_t count = make_position_configs(configs);
    for (size_t i = 0; i < count; i++) {
        vit_weights weights = make_weights(&configs[i]);
        write_weights(&weights, n.file);
        for (int dtype = VIT_DTYPE_BF16; dtype <= VIT_DTYPE_INT8; dtype++) {
            const vit_load_options as = {.quantize = (vit_dtype)dtype,
                                         .precision = VIT_PRECISION_AUTO};
            const vit_load_options automatic = {.precision = VIT_PRECISION_AUTO};
            assert_int_equal(
                vit_model_quantize(n.file, n.other, (vit_dtype)dtype, NULL, NULL, NULL), VITC_OK);
            expect_same(load(n.file, &as), load(n.other, &automatic));
        }
        assert_int_equal(vit_model_calibrate(n.file, n.other, 2, NULL, NULL, NULL), VITC_OK);
        expect_same(load(n.file, NULL), load(n.other, NULL));
        vit_weights_free(&weights);
    }
    test_remove_folder(n.folder);
}

/* ---- another size ---- */

static float *find(const vit_weights *weights, vit_param_id id)
{
    const size_t i = vit_params_find(&weights->table, id, 0);
    return i == SIZE_MAX ? NULL : weights->parameters + weights->table.params[i].offset;
}

/* Learned positions of `weights`, all of them for the first block's grid, by the file's filter. */
static void expect_resized(const vit_weights *resized, const vit_weights *weights)
{
    const vit_config *c = &weights->config, *to = &resized->config;
    const uint32_t gh = to->image_height / to->patch, gw = to->image_width / to->patch;
    const bool own = c->position_at == PATCHES_POSITION_EVERY;
    const vit_param_id first = own ? VIT_BLOCK_POS_EMBED : VIT_POS_EMBED;
    for (vit_param_id id = first; id < first + 4; id++) {
        const size_t index = vit_params_find(&resized->table, id, 0);
        if (index == SIZE_MAX) continue;
        const vit_param *param = &resized->table.params[index];
        const float *stored = find(weights, id), *found = find(resized, id);
        float *expected = malloc(param->count * sizeof *expected);
        assert_non_null(expected);
        patches_position table = vit_config_position(c);
        const patches_relative relative = vit_config_relative(c);
        table.table = stored;
        switch (id - first) {
        case 0:
            assert_int_equal(
                patches_position_resize(expected, gh, gw, &table, c->position_filter, NULL), 0);
            break;
        case 1:
            assert_int_equal(patches_position_resize_axis(expected, gh, stored, table.grid_height,
                                                          (uint32_t)param->shape[1],
                                                          c->position_filter, NULL),
                             0);
            break;
        case 2:
            assert_int_equal(patches_position_resize_axis(expected, gw, stored, table.grid_width,
                                                          (uint32_t)param->shape[1],
                                                          c->position_filter, NULL),
                             0);
            break;
        default:
            assert_int_equal(patches_relative_resize(expected, gh, gw, stored, &relative,
                                                     c->position_filter, NULL),
                             0);
            break;
        }
        assert_memory_equal(found, expected, param->count * sizeof *expected);
        free(expected);
    }
}

static bool learns_nothing(patches_position_kind kind)
{
    return kind == PATCHES_POSITION_NONE || kind == PATCHES_POSITION_SINCOS_2D ||
           kind == PATCHES_POSITION_ROPE_2D;
}

/* Resized and then written, or written and then resized; and what the new numbers are. Kinds that
 * learn nothing are made anew: the model is that of a configuration of the other size. */
static void read_at_another_size(void **unused)
{
    (void)unused;
    const names n = make_names();
    const vit_load_options larger = {.image_height = 28, .image_width = 24};
    vit_config configs[CONFIGS_MAX];
    const size_t count = make_position_configs(configs);
    for (size_t i = 0; i < count; i++) {
        configs[i].position_filter = PATCHES_POSITION_BICUBIC;
        vit_weights weights = make_weights(&configs[i]), resized;
        write_weights(&weights, n.file);
        assert_int_equal(vit_weights_read(&resized, n.file, &larger, NULL), VITC_OK);
        expect_resized(&resized, &weights);
        expect_same(run_weights(&resized), load(n.file, &larger));
        assert_int_equal(vit_model_convert(n.file, n.other, VIT_DTYPE_F32, NULL, &larger, NULL),
                         VITC_OK);
        expect_same(load(n.other, NULL), load(n.file, &larger));
        if (learns_nothing(configs[i].position))
            assert_memory_equal(resized.parameters, weights.parameters,
                                weights.table.elements * sizeof *weights.parameters);
        vit_weights_free(&resized);
        vit_weights_free(&weights);
    }
    test_remove_folder(n.folder);
}

typedef struct load_case {
    const char *path;
    vit_load_options options;
} load_case;

static vitc_status load_once(void *user)
{
    const load_case *c = user;
    vit_model *model;
    const vitc_status status = vit_model_load(&model, c->path, &c->options, NULL);
    vit_model_free(model);
    return status;
}

static void loading_survives_without_memory(void **unused)
{
    (void)unused;
    if (!MALLOC_FAIL_AVAILABLE) skip();
    const names n = make_names();
    vit_config configs[CONFIGS_MAX];
    const size_t count = make_position_configs(configs);
    for (size_t i = 0; i < count; i++) {
        if (configs[i].position_op != PATCHES_POSITION_ADD ||
            configs[i].position_at == PATCHES_POSITION_EVERY)
            continue; /* operations allocate nothing, and all blocks do as the first */
        configs[i].layers = 1;
        vit_weights weights = make_weights(&configs[i]);
        write_weights(&weights, n.file);
        vit_weights_free(&weights);
        load_case c = {n.file,
                       {.threads = 1,
                        .image_width = configs[i].position_at == PATCHES_POSITION_STEM ? 0 : 24}};
        vit_model_free(load(n.file, &c.options)); /* BLIS sets itself up */
        assert_true(malloc_fail_each(load_once, &c) > 20);
    }
    test_remove_folder(n.folder);
}

/* ---- what is refused ---- */

/* A file whose header says `to` where it said `from`. */
static void expect_refused(const names *n, const vit_config *config, const char *from,
                           const char *to, const char *says)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_weights weights = make_weights(config);
    vit_model *model;
    write_weights(&weights, n->file);
    test_bytes file = test_read_file(n->file);
    test_bytes changed = test_change_header(&file, from, to);
    test_write_file(n->folder, "other.safetensors", changed.data, changed.size);
    assert_status(vit_model_load(&model, n->other, NULL, &log), VITC_ERR_MODEL, &messages);
    assert_says(&messages, says);
    free(file.data);
    free(changed.data);
    vit_weights_free(&weights);
}

static void wrong_files_are_refused(void **unused)
{
    (void)unused;
    const names n = make_names();
    vit_config config = make_small_config();
    config.position = PATCHES_POSITION_LEARNED_2D;
    config.position_op = PATCHES_POSITION_MUL;
    config.position_at = PATCHES_POSITION_EVERY_SHARED;
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"\\\"learned_2d\\\"", "\\\"learned-2d\\\"",
         "none, learned_1d, learned_2d, factorized_sum, sincos_2d, relative or rope_2d"},
        {"\\\"learned_2d\\\"", "\\\"learned_3d\\\"", "\"position\""},
        {"\\\"mul\\\"", "\\\"times\\\"", "add or mul"},
        {"\\\"mul\\\"", "1", "\"position_op\""},
        {"\\\"mul\\\"", "null", "\"position_op\""},
        {"\\\"every_shared\\\"", "\\\"every-shared\\\"", "stem, every or every_shared"},
        {"\\\"every_shared\\\"", "\\\"\\\"", "\"position_at\""},
        /* good words of which the tensors know nothing */
        {"\\\"every_shared\\\"", "\\\"every\\\"", "blocks.0.pos_embed_rows [5,12]"},
        {"\\\"learned_2d\\\"", "\\\"learned_1d\\\"", "pos_embed [1,40,24]"},
        {"\\\"learned_2d\\\"", "\\\"factorized_sum\\\"",
         "pos_embed_columns is [8,12], expected [8,24]"},
        {"\\\"learned_2d\\\"", "\\\"sincos_2d\\\"", "no place for: pos_embed_columns [8,12]"},
        /* what no configuration has */
        {"\\\"learned_2d\\\"", "\\\"relative\\\"",
         "relative positions make no table that could be multiplied"},
        {"\\\"position_covers_prefix\\\": false", "\\\"position_covers_prefix\\\": true",
         "learned-2d positions have none for the tokens before the patches"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_refused(&n, &config, cases[i].from, cases[i].to, cases[i].says);
    config.position = PATCHES_POSITION_ROPE_2D;
    config.position_op = PATCHES_POSITION_ADD;
    expect_refused(&n, &config, ", \\\"position_at\\\": \\\"every_shared\\\"", "",
                   "rope-2d positions work in every block, not at the stem");
    test_remove_folder(n.folder);
}

static void impossible_configurations_are_refused(void **unused)
{
    (void)unused;
    const struct {
        vit_config change; /* of these fields alone */
        const char *says;
    } cases[] = {
        {{.position = PATCHES_POSITION_LEARNED_2D, .width = 9, .heads = 3},
         "learned-2d positions need an even width, not 9"},
        {{.position = PATCHES_POSITION_SINCOS_2D, .width = 18, .heads = 3},
         "sincos-2d positions need a width that 4 divides, not 18"},
        {{.position = PATCHES_POSITION_ROPE_2D,
          .position_at = PATCHES_POSITION_EVERY_SHARED,
          .width = 24,
          .heads = 4},
         "rope-2d positions need heads whose width 4 divides, not 6"},
        {{.position = PATCHES_POSITION_ROPE_2D,
          .position_op = PATCHES_POSITION_MUL,
          .position_at = PATCHES_POSITION_EVERY_SHARED,
          .width = 24,
          .heads = 3},
         "rope-2d positions make no table that could be multiplied"},
        {{.position = PATCHES_POSITION_NONE,
          .position_op = PATCHES_POSITION_MUL,
          .width = 24,
          .heads = 3},
         "none positions make no table that could be multiplied"},
        {{.position = PATCHES_POSITION_RELATIVE, .width = 24, .heads = 3},
         "relative positions work in every block, not at the stem"},
        {{.position = PATCHES_POSITION_KIND_COUNT, .width = 24, .heads = 3}, "position embedding"},
        {{.position_op = PATCHES_POSITION_OP_COUNT, .width = 24, .heads = 3}, "position embedding"},
        {{.position_at = PATCHES_POSITION_AT_COUNT, .width = 24, .heads = 3}, "position embedding"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        message_log messages;
        const vitc_log log = message_log_start(&messages);
        vit_config config = make_small_config();
        assert_int_equal(vit_config_check(&config, NULL), VITC_OK);
        config.position = cases[i].change.position;
        config.position_op = cases[i].change.position_op;
        config.position_at = cases[i].change.position_at;
        config.width = cases[i].change.width;
        config.heads = cases[i].change.heads;
        assert_status(vit_config_check(&config, &log), VITC_ERR_MODEL, &messages);
        assert_says(&messages, cases[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_and_read),
        cmocka_unit_test(quantized_and_calibrated),
        cmocka_unit_test(read_at_another_size),
        cmocka_unit_test(loading_survives_without_memory),
        cmocka_unit_test(wrong_files_are_refused),
        cmocka_unit_test(impossible_configurations_are_refused),
    };
    return cmocka_run_group_tests_name("files of positions", tests, NULL, NULL);
}
