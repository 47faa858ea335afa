/* Gradients of the trainer: against the double reference, which finite differences check, and
 * against PyTorch's autograd. ctest runs this once per kernel row (VITC_ISA). */
#include "vit_train_compare.h"
#include "test_golden_tensors.h"

enum { BATCH = 5 };

/* Largest error of a parameter's gradient, in parts of its largest number. */
#define F32_TOLERANCE    1e-5 /* the trainer against double; 2e-3 is promised */
#define BF16_TOLERANCE   3e-2
#define GOLDEN_TOLERANCE 1e-5 /* the trainer against PyTorch in float64 */

typedef struct named_case {
    const char *name;
    vit_config config;
} named_case;

/* Everything that a configuration can say and a trainer takes. */
static size_t make_cases(named_case *cases)
{
    vit_config base;
    assert_int_equal(vit_config_named(&base, "testing", &log_lines), VITC_OK);
    base.image_width = 48;
    base.patch = 8; /* 24 patches */
    size_t n = 0;
    for (int a = 0; a < VIT_ACTIVATION_COUNT; a++) {
        cases[n] = (named_case){vit_activation_string((vit_activation)a), base};
        cases[n++].config.activation = (vit_activation)a;
    }
    cases[n] = (named_case){"average pooling", base};
    cases[n++].config.pool = VIT_POOL_AVG;
    cases[n] = (named_case){"no class token, fc_norm", base};
    cases[n].config.class_token = cases[n].config.norm_final = false;
    cases[n].config.norm_pooled = true;
    cases[n++].config.pool = VIT_POOL_AVG;
    cases[n] = (named_case){"layer scale", base};
    cases[n++].config.layer_scale = true;
    cases[n] = (named_case){"layer scale, average pooling", base};
    cases[n].config.pool = VIT_POOL_AVG;
    cases[n++].config.layer_scale = true;
    cases[n] = (named_case){"no qkv bias, no patch bias, norm before the blocks", base};
    cases[n].config.qkv_bias = cases[n].config.patch_bias = false;
    cases[n++].config.norm_pre = true;
    cases[n] = (named_case){"registers, without positions", base};
    cases[n].config.registers = 3;
    cases[n++].config.position_covers_prefix = false;
    cases[n] = (named_case){"registers, distillation token", base};
    cases[n].config.registers = 2;
    cases[n++].config.distillation_token = true;
    cases[n] = (named_case){"no positions", base};
    cases[n++].config.position = PATCHES_POSITION_NONE;
    cases[n] = (named_case){"maximum pooling", base};
    cases[n++].config.pool = VIT_POOL_MAX;
    cases[n] = (named_case){"average and maximum pooling, no last norm", base};
    cases[n].config.norm_final = false;
    cases[n++].config.pool = VIT_POOL_AVGMAX;
    cases[n] = (named_case){"norm of queries and keys", base};
    cases[n++].config.qk_norm = true;
    cases[n] = (named_case){"norm of queries and keys, average pooling", base};
    cases[n].config.qk_norm = true;
    cases[n].config.heads = 3;
    cases[n++].config.pool = VIT_POOL_AVG;
    cases[n] = (named_case){"no last norm", base};
    cases[n++].config.norm_final = false;
    cases[n] = (named_case){"one layer", base};
    cases[n++].config.layers = 1;
    cases[n] = (named_case){"all together", base};
    cases[n].config.registers = 2;
    cases[n].config.distillation_token = true;
    cases[n].config.layer_scale = cases[n].config.norm_pre = cases[n].config.norm_pooled = true;
    cases[n].config.norm_eps = 1e-3f;
    cases[n].config.heads = 3;
    cases[n++].config.layers = 3;
    return n;
}

enum { CASES_MAX = 32 };

static void gradients_are_those_of_the_paper(void **unused)
{
    (void)unused;
    static named_case cases[CASES_MAX];
    const size_t count = make_cases(cases);
    assert_true(count <= CASES_MAX);
    for (size_t i = 0; i < count; i++) {
        const vit_config *config = &cases[i].config;
        vit_train_options options = vit_train_options_default();
        options.batch = BATCH;
        options.group = 2; /* 2, 2, 1 */
        options.threads = 2;
        vit_trainer *trainer = make_trainer(config, &options);
        randomize(trainer);
        random_images(trainer, BATCH, 9);
        float *targets = random_targets(config, BATCH, 3);
        reference r = reference_create(config, vit_trainer_parameters(trainer));
        const double loss = reference_batch(&r, trainer, targets, BATCH, true);
        check_by_differences(&r, trainer, targets, BATCH, cases[i].name);

        vit_pass pass;
        assert_int_equal(vit_trainer_run(trainer, &pass, targets, BATCH, 1, 0, &log_lines),
                         VITC_OK);
        assert_true(fabs(pass.loss - loss / BATCH) < 1e-5 * loss);
        const double error = compare(&r.table, trainer, r.dw, F32_TOLERANCE, cases[i].name);
        printf("%-52s max error %.2g\n", cases[i].name, error);

        /* gradients are added to, and scaled */
        assert_int_equal(vit_trainer_run(trainer, &pass, targets, BATCH, 0.5f, 0, &log_lines),
                         VITC_OK);
        for (size_t j = 0; j < r.table.elements; j++) r.dw[j] *= 1.5;
        compare(&r.table, trainer, r.dw, F32_TOLERANCE, cases[i].name);
        reference_free(&r);
        free(targets);
        vit_trainer_free(trainer);
    }
}

static void bf16_gradients_are_near(void **unused)
{
    (void)unused;
    vit_config config;
    assert_int_equal(vit_config_named(&config, "testing", &log_lines), VITC_OK);
    vit_train_options options = vit_train_options_default();
    options.batch = BATCH;
    options.precision = VIT_PRECISION_BF16;
    vit_trainer *trainer = make_trainer(&config, &options);
    randomize(trainer);
    random_images(trainer, BATCH, 9);
    float *targets = random_targets(&config, BATCH, 3);
    reference r = reference_create(&config, vit_trainer_parameters(trainer));
    reference_batch(&r, trainer, targets, BATCH, true);
    vit_pass pass;
    assert_int_equal(vit_trainer_run(trainer, &pass, targets, BATCH, 1, 0, &log_lines), VITC_OK);
    const double error = compare(&r.table, trainer, r.dw, BF16_TOLERANCE, "bf16");
    printf("bf16 max error %.2g\n", error);
    assert_true(error > F32_TOLERANCE); /* or it was not bf16 */
    reference_free(&r);
    free(targets);
    vit_trainer_free(trainer);
}

/* ---- PyTorch ---- */

static void golden_config(vit_config *config, const char *name)
{
    assert_int_equal(vit_config_named(config, "testing", &log_lines), VITC_OK);
    config->image_height = 12;
    config->image_width = 16;
    config->patch = 4;
    config->width = 16;
    config->mlp = 32;
    config->classes = 5;
    if (strcmp(name, "average") == 0) {
        config->pool = VIT_POOL_AVG;
        config->class_token = config->norm_final = config->qkv_bias = false;
        config->norm_pooled = config->layer_scale = true;
    } else if (strcmp(name, "registers") == 0) {
        config->registers = 2;
        config->norm_pre = true;
        config->patch_bias = config->position_covers_prefix = false;
        config->activation = VIT_GELU_TANH;
        config->norm_eps = 1e-5f;
    } else {
        assert_string_equal(name, "token");
    }
}

/* One of position_gradients/, whose name says what positions are: "kind_op_place". */
static void golden_position_config(vit_config *config, const char *name)
{
    char kind[32], op[32], place[32];
    assert_int_equal(sscanf(name, "%31[^_]_%31[^_]_%31s", kind, op, place), 3);
    assert_int_equal(vit_config_named(config, "testing", &log_lines), VITC_OK);
    config->image_height = 6;
    config->image_width = 8;
    config->patch = 2;
    config->width = 16;
    config->mlp = 24;
    config->classes = 5;
    config->registers = 1;
    int found = 0;
    for (int i = 0; i < PATCHES_POSITION_KIND_COUNT; i++)
        if (strcmp(kind, patches_position_string((patches_position_kind)i)) == 0) {
            config->position = (patches_position_kind)i;
            found++;
        }
    for (int i = 0; i < PATCHES_POSITION_OP_COUNT; i++)
        if (strcmp(op, patches_position_op_string((patches_position_op)i)) == 0) {
            config->position_op = (patches_position_op)i;
            found++;
        }
    for (int i = 0; i < PATCHES_POSITION_AT_COUNT; i++)
        if (strcmp(place, patches_position_at_string((patches_position_at)i)) == 0) {
            config->position_at = (patches_position_at)i;
            found++;
        }
    assert_int_equal(found, 3);
    config->position_covers_prefix = config->position == PATCHES_POSITION_LEARNED_1D;
}

static void check_golden(const char *path, const vit_config *of, const char *name)
{
    const vit_config config = *of;
    size_t count, pixel_count, target_count;
    float *pixels = golden_read_tensor(path, "pixel_values", &pixel_count);
    float *targets = golden_read_tensor(path, "targets", &target_count);
    float *loss = golden_read_tensor(path, "loss", &count);
    const size_t image = (size_t)3 * config.image_height * config.image_width;
    const uint32_t batch = (uint32_t)(pixel_count / image);
    assert_int_equal(target_count, batch * config.classes);

    vit_train_options options = vit_train_options_default();
    options.batch = batch;
    vit_trainer *trainer = make_trainer(&config, &options);
    vit_param_table table;
    assert_int_equal(vit_params_create(&table, &config, &log_lines), VITC_OK);
    double *expected = doubles(table.elements);
    for (size_t i = 0; i < table.count; i++) {
        const vit_param *p = &table.params[i];
        char key[128];
        snprintf(key, sizeof key, "weights/%s", p->name);
        float *values = golden_read_tensor(path, key, &count);
        assert_int_equal(count, p->count);
        memcpy(vit_trainer_parameters(trainer) + p->offset, values, count * sizeof *values);
        free(values);
        snprintf(key, sizeof key, "gradients/%s", p->name);
        values = golden_read_tensor(path, key, &count);
        assert_int_equal(count, p->count);
        for (size_t j = 0; j < count; j++) expected[p->offset + j] = (double)values[j];
        free(values);
    }
    for (uint32_t b = 0; b < batch; b++)
        assert_int_equal(patches_extract_tensor(vit_trainer_patches(trainer, b),
                                                (size_t)3 * config.patch * config.patch,
                                                pixels + b * image, config.image_height,
                                                config.image_width, config.patch, &log_lines),
                         VITC_OK);
    vit_pass pass;
    assert_int_equal(
        vit_trainer_run(trainer, &pass, targets, batch, 1 / (float)batch, 0, &log_lines), VITC_OK);
    assert_true(fabs(pass.loss - (double)loss[0]) < 1e-5 * (double)loss[0]);
    const double error = compare(&table, trainer, expected, GOLDEN_TOLERANCE, name);
    printf("%s: %zu gradients, max error against PyTorch %.2g\n", name, table.elements, error);

    vit_params_free(&table);
    vit_trainer_free(trainer);
    free(expected);
    free(pixels);
    free(targets);
    free(loss);
}

typedef void (*config_fn)(vit_config *config, const char *name);

/* Every case of a folder's index; returns how many there are. */
static int check_folder(const char *folder, config_fn find_config)
{
    char path[512], line[64];
    int cases = 0;
    snprintf(path, sizeof path, "%s/index.txt", folder);
    FILE *index = fopen(path, "r");
    assert_non_null(index);
    while (fgets(line, sizeof line, index) != NULL) {
        vit_config config;
        line[strcspn(line, "\n")] = 0;
        find_config(&config, line);
        snprintf(path, sizeof path, "%s/%s.safetensors", folder, line);
        check_golden(path, &config, line);
        cases++;
    }
    fclose(index);
    return cases;
}

static void gradients_are_those_of_pytorch(void **unused)
{
    (void)unused;
    assert_true(check_folder(VITC_GOLDEN_DIR "/gradients", golden_config) >= 3);
}

static void position_gradients_are_those_of_pytorch(void **unused)
{
    (void)unused;
    assert_true(check_folder(VITC_GOLDEN_DIR "/position_gradients", golden_position_config) >= 12);
}

int main(void)
{
    (void)test_kernels_or_skip();
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients_are_those_of_the_paper),
                                       cmocka_unit_test(bf16_gradients_are_near),
                                       cmocka_unit_test(gradients_are_those_of_pytorch),
                                       cmocka_unit_test(position_gradients_are_those_of_pytorch)};
    return cmocka_run_group_tests_name("gradients", tests, NULL, NULL);
}
