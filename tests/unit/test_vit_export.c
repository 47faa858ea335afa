/* Exports: what the directories hold is read back as the same model, to the last bit of its logits;
 * what the libraries cannot express is refused by name; failures leave nothing behind. */
#include <math.h>

#include "test_malloc_fail.h"
#include "vit_weights.h"
#include "vit_weights_support.h"

enum { MIN_CASES = 30 };

typedef vitc_status (*export_function)(const vit_weights *weights, const char *directory,
                                       const vitc_log *log);

static void read_golden(vit_weights *weights, const char *name)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    char path[512];
    snprintf(path, sizeof path, CHECKPOINTS "/%s", name);
    assert_status(vit_weights_read(weights, path, NULL, &log), VITC_OK, &messages);
}

/* ---- running ---- */

static void assert_same_answers(const vit_weights *weights, const char *folder)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_model *model = NULL, *loaded = NULL;
    assert_status(vit_weights_model(&model, weights, VIT_PRECISION_F32, &log), VITC_OK, &messages);
    assert_status(vit_model_load(&loaded, folder, NULL, &log), VITC_OK, &messages);
    const vit_model_info a = vit_model_describe(model), b = vit_model_describe(loaded);
    const uint32_t classes = a.config->classes;
    assert_int_equal(classes, b.config->classes);
    assert_int_equal(a.config->pool, b.config->pool);
    float *x = test_run_noise(model), *y = test_run_noise(loaded);
    assert_memory_equal(x, y, 2 * classes * sizeof *x);
    for (uint32_t i = 0; a.labelled && i < classes; i++)
        assert_string_equal(vit_model_label(model, i), vit_model_label(loaded, i));

    /* The same picture of the same photo, but for where a crop is rounded to. */
    imgio_image photo, p, q;
    patches_spec spec = *b.preprocess;
    spec.crop_rule = a.preprocess->crop_rule;
    assert_int_equal(
        imgio_decode_file(&photo, VITC_GOLDEN_DIR "/photos/cat_progressive.jpg", NULL, NULL),
        VITC_OK);
    assert_int_equal(patches_preprocess_image(&p, &photo, a.preprocess, NULL), VITC_OK);
    assert_int_equal(patches_preprocess_image(&q, &photo, &spec, NULL), VITC_OK);
    assert_int_equal(p.width, q.width);
    assert_int_equal(p.height, q.height);
    assert_memory_equal(p.pixels, q.pixels, (size_t)3 * p.width * p.height);
    patches_levels levels, others;
    patches_levels_init(&levels, a.preprocess);
    patches_levels_init(&others, b.preprocess);
    assert_memory_equal(levels.table, others.table, sizeof levels.table);
    imgio_image_free(&photo);
    imgio_image_free(&p);
    imgio_image_free(&q);
    free(x);
    free(y);
    vit_model_free(model);
    vit_model_free(loaded);
}

/* ---- every checkpoint ---- */

/* Every parameter that both have holds the same bits, and little else is there. */
static void assert_same_numbers(const vit_weights *weights, const char *folder)
{
    vit_weights found;
    size_t same = 0;
    assert_int_equal(vit_weights_read(&found, folder, NULL, NULL), VITC_OK);
    for (size_t i = 0; i < weights->table.count; i++) {
        const vit_param *a = &weights->table.params[i];
        const size_t k = vit_params_find(&found.table, a->id, a->layer);
        if (k == SIZE_MAX || found.table.params[k].count != a->count) continue;
        const vit_param *b = &found.table.params[k];
        const bool folded = weights->config.layer_scale && !found.config.layer_scale &&
                            (a->id == VIT_PROJ_WEIGHT || a->id == VIT_PROJ_BIAS ||
                             a->id == VIT_FC2_WEIGHT || a->id == VIT_FC2_BIAS);
        if (folded) continue;
        assert_memory_equal(weights->parameters + a->offset, found.parameters + b->offset,
                            a->count * sizeof(float));
        same++;
    }
    assert_true(same * 2 > weights->table.count);
    vit_weights_free(&found);
}

/* What each library cannot have, by golden checkpoint; NULL where it can. */
typedef struct expectation {
    const char *name, *hf, *timm;
} expectation;

static const char EPSILON[] = "epsilon of 1e-6 or 1e-5";
static const expectation expectations[] = {
    {"hf_vit_eps1e_6_noqkvbias", NULL, NULL},
    {"hf_deit_", NULL, "distillation token"}, /* below: those with one head */
    {"hf_", NULL, EPSILON},
    {"timm_vit_avg", "class token only", NULL},
    {"timm_vit_nocls", "class token only", NULL},
    {"timm_vit_max", "class token only", NULL},
    {"timm_vit_registers_gap", "class token only", NULL},
    {"timm_vit_registers", "register tokens", NULL},
    {"timm_vit_prenorm", "LayerNorm before the first block", NULL},
    {"timm_vit_quickgelu", "LayerNorm before the first block", NULL}, /* CLIP's */
    {"timm_vit_nonsquare", "preprocessing", NULL},
    {"timm_vit_qknorm", "LayerNorm of queries and keys", NULL},
    {"", NULL, NULL},
};

static void expect_export(const vit_weights *weights, export_function export, const char *folder,
                          const char *refusal, const char *what)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    char out[128];
    snprintf(out, sizeof out, "%s/out", folder);
    const vitc_status status = export(weights, out, &log);
    if (refusal != NULL) {
        if (status != VITC_ERR_UNSUPPORTED)
            fail_msg("%s: %s instead of a refusal", what, vitc_status_string(status));
        assert_int_equal(messages.errors, 1);
        assert_says(&messages, out);
        assert_says(&messages, refusal);
        assert_int_equal(test_count_files(folder), 0);
        return;
    }
    if (status != VITC_OK) fail_msg("%s: %s", what, messages.text);
    assert_int_equal(messages.errors, 0);
    assert_int_equal(test_count_files(folder), 1);
    assert_same_numbers(weights, out);
    assert_same_answers(weights, out);
    test_remove_folder(out);
}

static void every_checkpoint(void **unused)
{
    (void)unused;
    FILE *index = fopen(CHECKPOINTS "/index.txt", "r");
    char name[128], folder[64];
    size_t cases = 0;
    assert_non_null(index);
    test_make_folder(folder);
    while (fgets(name, sizeof name, index) != NULL) {
        name[strcspn(name, "\n")] = 0;
        const expectation *e = expectations;
        while (strncmp(name, e->name, strlen(e->name)) != 0) e++;
        vit_weights weights;
        read_golden(&weights, name);
        const char *timm = e->timm;
        if (strcmp(e->name, "hf_deit_") == 0 && !weights.config.distillation_token) timm = EPSILON;
        if (strcmp(e->name, "hf_deit_") == 0 && weights.config.distilled_head)
            timm = "epsilon of 1e-6,";
        expect_export(&weights, vit_weights_export_hf, folder, e->hf, name);
        expect_export(&weights, vit_weights_export_timm, folder, timm, name);
        vit_weights_free(&weights);
        cases++;
    }
    fclose(index);
    assert_true(cases >= MIN_CASES);
    test_remove_folder(folder);
}

/* ---- positions ---- */

static void fill_randomly(vit_weights *weights)
{
    uint32_t state = 7;
    for (size_t i = 0; i < weights->table.elements; i++) {
        state = state * 1664525u + 1013904223u;
        weights->parameters[i] = ((float)(state >> 8) * 0x1p-23f - 1) * 0.3f;
    }
}

static vit_weights make_weights(patches_position_kind kind, patches_position_op op,
                                patches_position_at at)
{
    vit_config config;
    vit_weights weights;
    assert_int_equal(vit_config_named(&config, "testing", NULL), VITC_OK);
    config.image_width = 48;
    config.patch = 8;
    config.position = kind;
    config.position_op = op;
    config.position_at = at;
    config.position_covers_prefix = false;
    assert_int_equal(vit_weights_create(&weights, &config, NULL), VITC_OK);
    fill_randomly(&weights);
    weights.description.preprocess = (patches_spec){.resize = PATCHES_RESIZE_EXACT,
                                                    .resize_height = config.image_height,
                                                    .resize_width = config.image_width,
                                                    .filter = IMGIO_BICUBIC,
                                                    .rescale = 1 / 255.0,
                                                    .normalize = true,
                                                    .mean = {0.485f, 0.456f, 0.406f},
                                                    .std = {0.229f, 0.224f, 0.225f}};
    return weights;
}

static void positions(void **unused)
{
    (void)unused;
    static const struct {
        patches_position_kind kind;
        patches_position_op op;
        patches_position_at at;
        const char *refusal;
    } cases[] = {
        {PATCHES_POSITION_NONE, PATCHES_POSITION_ADD, PATCHES_POSITION_STEM, NULL},
        {PATCHES_POSITION_NONE, PATCHES_POSITION_ADD, PATCHES_POSITION_EVERY, NULL},
        {PATCHES_POSITION_LEARNED_1D, PATCHES_POSITION_ADD, PATCHES_POSITION_STEM, NULL},
        {PATCHES_POSITION_LEARNED_2D, PATCHES_POSITION_ADD, PATCHES_POSITION_STEM, NULL},
        {PATCHES_POSITION_FACTORIZED, PATCHES_POSITION_ADD, PATCHES_POSITION_STEM, NULL},
        {PATCHES_POSITION_SINCOS_2D, PATCHES_POSITION_ADD, PATCHES_POSITION_STEM, NULL},
        {PATCHES_POSITION_LEARNED_1D, PATCHES_POSITION_MUL, PATCHES_POSITION_STEM, "multiplied"},
        {PATCHES_POSITION_LEARNED_2D, PATCHES_POSITION_MUL, PATCHES_POSITION_STEM, "multiplied"},
        {PATCHES_POSITION_LEARNED_1D, PATCHES_POSITION_ADD, PATCHES_POSITION_EVERY, "every block"},
        {PATCHES_POSITION_LEARNED_2D, PATCHES_POSITION_ADD, PATCHES_POSITION_EVERY, "every block"},
        {PATCHES_POSITION_SINCOS_2D, PATCHES_POSITION_ADD, PATCHES_POSITION_EVERY_SHARED,
         "every block"},
        {PATCHES_POSITION_RELATIVE, PATCHES_POSITION_ADD, PATCHES_POSITION_EVERY, "relative"},
        {PATCHES_POSITION_ROPE_2D, PATCHES_POSITION_ADD, PATCHES_POSITION_EVERY_SHARED, "rope-2d"},
    };
    enum { CASES = sizeof cases / sizeof cases[0] };
    bool seen[PATCHES_POSITION_KIND_COUNT] = {false};
    char folder[64];
    test_make_folder(folder);
    for (size_t i = 0; i < CASES; i++) {
        vit_weights weights = make_weights(cases[i].kind, cases[i].op, cases[i].at);
        const char *what = patches_position_string(cases[i].kind);
        seen[cases[i].kind] = true;
        expect_export(&weights, vit_weights_export_hf, folder, cases[i].refusal, what);
        expect_export(&weights, vit_weights_export_timm, folder, cases[i].refusal, what);

        /* Flattened by itself: refused as it was, or with the same logits. */
        message_log messages;
        const vitc_log log = message_log_start(&messages);
        char file[128];
        snprintf(file, sizeof file, "%s/file.safetensors", folder);
        assert_int_equal(vit_weights_write(&weights, file, VIT_DTYPE_F32, NULL), VITC_OK);
        const vitc_status status = vit_weights_flatten_position(&weights, "flat", &log);
        assert_status(status, cases[i].refusal != NULL ? VITC_ERR_UNSUPPORTED : VITC_OK, &messages);
        if (cases[i].refusal != NULL)
            assert_says(&messages, cases[i].refusal);
        else
            assert_true(weights.config.position == PATCHES_POSITION_NONE ||
                        weights.config.position == PATCHES_POSITION_LEARNED_1D);
        assert_same_answers(&weights, file);
        assert_int_equal(unlink(file), 0);
        vit_weights_free(&weights);
    }
    for (int kind = 0; kind < PATCHES_POSITION_KIND_COUNT; kind++) assert_true(seen[kind]);
    test_remove_folder(folder);
}

/* ---- sizes and scores ---- */

static void any_size(void **unused)
{
    (void)unused;
    /* MLPs whose share of the width is no short number */
    static const uint32_t mlps[] = {1, 7, 23, 40, 49, 64, 72, 97};
    char folder[64];
    test_make_folder(folder);
    for (size_t i = 0; i < sizeof mlps / sizeof mlps[0]; i++) {
        vit_weights weights =
            make_weights(PATCHES_POSITION_LEARNED_2D, PATCHES_POSITION_ADD, PATCHES_POSITION_STEM);
        vit_config config = weights.config;
        config.mlp = mlps[i];
        config.norm_eps = i % 2 == 0 ? 1e-6f : 1e-5f;
        config.activation = (vit_activation)(i % VIT_ACTIVATION_COUNT);
        config.patch_bias = i % 3 != 0;
        assert_int_equal(vit_weights_reshape(&weights, &config, NULL), VITC_OK);
        fill_randomly(&weights);
        expect_export(&weights, vit_weights_export_hf, folder, NULL, "hf");
        expect_export(&weights, vit_weights_export_timm, folder, NULL, "timm");
        vit_weights_free(&weights);
    }
    test_remove_folder(folder);
}

static void expect_scores(vit_scores scores)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    char folder[64], out[128];
    test_make_folder(folder);
    snprintf(out, sizeof out, "%s/out/", folder); /* with a slash, as shells complete it */
    vit_weights weights = make_weights(PATCHES_POSITION_NONE, PATCHES_POSITION_ADD,
                                       PATCHES_POSITION_STEM),
                found;
    weights.config.scores = scores;
    weights.config.temperature = 2;
    assert_status(vit_weights_export_hf(&weights, out, &log), VITC_OK, &messages);
    assert_says(&messages, "no temperature");
    assert_int_equal(vit_weights_read(&found, out, NULL, NULL), VITC_OK);
    assert_int_equal(found.config.scores, scores);
    vit_weights_free(&found);
    test_remove_folder(out);
    assert_status(vit_weights_export_timm(&weights, out, &log), VITC_OK, &messages);
    if (scores != VIT_SCORES_SOFTMAX) assert_says(&messages, "no softmax");
    test_remove_folder(out);
    vit_weights_free(&weights);
    test_remove_folder(folder);
}

static void scores(void **unused)
{
    (void)unused;
    for (int s = VIT_SCORES_SOFTMAX; s <= VIT_SCORES_RAW; s++) expect_scores((vit_scores)s);
}

/* ---- preprocessing ---- */

static void preprocessing(void **unused)
{
    (void)unused;
    static const char follow[] = "preprocessing";
    static const struct {
        patches_spec spec; /* for images of 32 x 32; mean and std as before */
        const char *hf, *timm;
    } cases[] = {
        {{.resize = PATCHES_RESIZE_EXACT, .resize_height = 32, .resize_width = 32}, NULL, NULL},
        {{.resize = PATCHES_RESIZE_EXACT,
          .resize_height = 36,
          .resize_width = 36,
          .crop = true,
          .crop_height = 32,
          .crop_width = 32},
         NULL,
         NULL},
        {{.resize = PATCHES_RESIZE_SHORTEST,
          .resize_height = 37,
          .crop = true,
          .crop_height = 32,
          .crop_width = 32},
         NULL,
         NULL},
        {{.resize = PATCHES_RESIZE_EXACT,
          .resize_height = 33,
          .resize_width = 47,
          .crop = true,
          .crop_height = 32,
          .crop_width = 32},
         NULL,
         follow},
        {{.resize = PATCHES_RESIZE_COVER,
          .resize_height = 40,
          .resize_width = 36,
          .crop = true,
          .crop_height = 32,
          .crop_width = 32},
         follow,
         follow},
        {{.resize = PATCHES_RESIZE_NONE, .crop = true, .crop_height = 32, .crop_width = 32},
         NULL,
         follow},
        {{.resize = PATCHES_RESIZE_EXACT, .resize_height = 32, .resize_width = 32, .bgr = true},
         follow,
         follow},
    };
    char folder[64];
    test_make_folder(folder);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int rescaled = 0; rescaled < 3; rescaled++) {
            vit_weights weights =
                make_weights(PATCHES_POSITION_NONE, PATCHES_POSITION_ADD, PATCHES_POSITION_STEM);
            vit_config config = weights.config;
            config.image_width = 32;
            assert_int_equal(vit_weights_reshape(&weights, &config, NULL), VITC_OK);
            patches_spec *spec = &weights.description.preprocess;
            const patches_spec before = *spec;
            *spec = cases[i].spec;
            spec->rescale = rescaled == 0 ? 1 / 255.0 : rescaled == 1 ? 1 : 0.1 + 0.2;
            spec->filter = rescaled == 0 ? IMGIO_LANCZOS : IMGIO_BILINEAR;
            spec->normalize = rescaled != 2;
            memcpy(spec->mean, before.mean, sizeof before.mean);
            memcpy(spec->std, before.std, sizeof before.std);
            expect_export(&weights, vit_weights_export_hf, folder, cases[i].hf, "hf");
            expect_export(&weights, vit_weights_export_timm, folder,
                          rescaled > 0 ? follow : cases[i].timm, "timm");
            vit_weights_free(&weights);
        }
    test_remove_folder(folder);
}

/* ---- what else is refused ---- */

static void set_flags(vit_config *config, int number)
{
    config->distillation_token = number == 0;
    config->patch_bias = true;
    config->norm_pre = number == 1;
    config->norm_pooled = number == 2 || number == 3;
    config->norm_final = number != 3 && number != 4;
}

static void classes_that_have_less(void **unused)
{
    (void)unused;
    static const char *const refusals[][2] = {
        {NULL, "distillation token"},
        {"LayerNorm before the first block", "bias of the patches"},
        {"LayerNorm of the pooled feature", "one LayerNorm after the blocks"},
        {"LayerNorm of the pooled feature", NULL},
        {"LayerNorm after the last block", NULL},
    };
    char folder[64];
    test_make_folder(folder);
    for (int i = 0; i < 5; i++) {
        vit_weights weights =
            make_weights(PATCHES_POSITION_LEARNED_1D, PATCHES_POSITION_ADD, PATCHES_POSITION_STEM);
        vit_config config = weights.config;
        set_flags(&config, i);
        assert_int_equal(vit_weights_reshape(&weights, &config, NULL), VITC_OK);
        fill_randomly(&weights);
        expect_export(&weights, vit_weights_export_hf, folder, refusals[i][0], "hf");
        expect_export(&weights, vit_weights_export_timm, folder, refusals[i][1], "timm");
        vit_weights_free(&weights);
    }
    test_remove_folder(folder);
}

static void expect_failure(export_function export, const vit_weights *weights, const char *out,
                           vitc_status status, const char *says)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    assert_status(export(weights, out, &log), status, &messages);
    assert_int_equal(messages.errors, 1);
    assert_says(&messages, says);
}

static void places(void **unused)
{
    (void)unused;
    static const export_function functions[] = {vit_weights_export_hf, vit_weights_export_timm};
    vit_weights weights =
        make_weights(PATCHES_POSITION_LEARNED_2D, PATCHES_POSITION_ADD, PATCHES_POSITION_STEM);
    for (size_t f = 0; f < 2; f++) {
        char folder[64], out[128];
        test_make_folder(folder);
        snprintf(out, sizeof out, "%s/out", folder);
        /* an empty folder is taken, one with files is not, nor is a file */
        assert_int_equal(mkdir(out, 0777), 0);
        assert_int_equal(functions[f](&weights, out, NULL), VITC_OK);
        const int files = test_count_files(out);
        expect_failure(functions[f], &weights, out, VITC_ERR_UNWRITABLE, "files in it");
        assert_int_equal(test_count_files(out), files);
        assert_same_answers(&weights, out);
        test_remove_folder(out);
        test_write_file(folder, "out", "old", 3);
        expect_failure(functions[f], &weights, out, VITC_ERR_UNWRITABLE, "no folder");
        assert_int_equal(unlink(out), 0);
        expect_failure(functions[f], &weights, "/tmp/vitc-no-such-folder/out", VITC_ERR_UNWRITABLE,
                       "cannot be created");
        float *value = weights.parameters + weights.table.elements - 1;
        const float kept = *value;
        *value = NAN;
        expect_failure(functions[f], &weights, out, VITC_ERR_MODEL, "NaN");
        *value = kept;
        assert_int_equal(test_count_files(folder), 0);
        test_remove_folder(folder);
    }
    vit_weights_free(&weights);
}

/* ---- without memory ---- */

typedef struct memory_case {
    export_function export;
    const vit_weights *weights;
    char folder[64], out[128];
    int said_nothing; /* failures without exactly one message */
} memory_case;

static void count_message(void *user, vitc_log_level level, const char *message)
{
    (void)message;
    *(int *)user += level == VITC_LOG_ERROR;
}

/* Without an allocation. */
static void remove_export(const char *folder)
{
    static const char *const names[] = {"config.json", "preprocessor_config.json",
                                        "model.safetensors"};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static vitc_status export_once(void *user)
{
    memory_case *c = user;
    int errors = 0;
    const vitc_log log = {.write = count_message, .user = &errors};
    const vitc_status status = c->export(c->weights, c->out, &log);
    c->said_nothing += errors != (status != VITC_OK);
    if (status == VITC_OK) remove_export(c->out);
    if (access(c->out, F_OK) == 0) return VITC_ERR_INTERNAL;
    return status;
}

static void survives_without_memory(void **unused)
{
    (void)unused;
    if (!MALLOC_FAIL_AVAILABLE) skip();
    static const export_function functions[] = {vit_weights_export_hf, vit_weights_export_timm};
    vit_weights weights =
        make_weights(PATCHES_POSITION_LEARNED_2D, PATCHES_POSITION_ADD, PATCHES_POSITION_STEM);
    static const char *const labels[] = {"a", "b", "c", "d", "e", "f", "g"};
    vit_config config = weights.config;
    config.layers = 1; /* every allocation writes the files twice */
    assert_int_equal(vit_weights_reshape(&weights, &config, NULL), VITC_OK);
    assert_int_equal(vit_weights_set_labels(&weights, labels, 7, NULL), VITC_OK);
    for (size_t f = 0; f < 2; f++) {
        memory_case c = {.export = functions[f], .weights = &weights};
        test_make_folder(c.folder);
        snprintf(c.out, sizeof c.out, "%s/out", c.folder);
        assert_true(malloc_fail_each(export_once, &c) > 100);
        assert_int_equal(c.said_nothing, 0);
        assert_int_equal(test_count_files(c.folder), 0);
        test_remove_folder(c.folder);
    }
    vit_weights_free(&weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_checkpoint), cmocka_unit_test(positions),
        cmocka_unit_test(any_size),         cmocka_unit_test(scores),
        cmocka_unit_test(preprocessing),    cmocka_unit_test(classes_that_have_less),
        cmocka_unit_test(places),           cmocka_unit_test(survives_without_memory),
    };
    return cmocka_run_group_tests_name("exports", tests, NULL, NULL);
}
