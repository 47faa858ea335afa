/* Every kind of position embedding, combined in every way, at every place: the forward pass against
 * the formulas, and bit for bit against itself and its special cases. ctest runs this once per
 * kernel row (VITC_ISA). */
#include "vit_forward_support.h"
#include "vit_position_support.h"

enum { IMAGES = 3, POOLS = VIT_POOL_AVGMAX + 1 };

static size_t patch_floats(const vit_config *config)
{
    return (size_t)vit_config_patches(config) * 3 * config->patch * config->patch;
}

/* Logits of IMAGES images, `batch` at a time. */
static float *run(const vit_model *model, const float *patches, uint32_t batch, int threads)
{
    const vit_config *config = vit_model_describe(model).config;
    const size_t count = patch_floats(config), k = config->classes;
    float *logits = test_floats(IMAGES * k);
    vit_workspace *ws = NULL;
    assert_int_equal(vit_workspace_create(&ws, model, batch, threads, &log_lines), VITC_OK);
    for (uint32_t b = 0; b < IMAGES; b += batch) {
        memcpy(vit_workspace_patches(ws, 0), patches + b * count, batch * count * sizeof *patches);
        assert_int_equal(vit_forward(model, ws, logits + b * k, batch, &log_lines), VITC_OK);
    }
    vit_workspace_free(ws);
    return logits;
}

static void assert_same_bits(float *logits, const float *expected, uint32_t classes)
{
    assert_memory_equal(logits, expected, IMAGES * classes * sizeof *logits);
    vitc_aligned_free(logits);
}

/* How many ways to cut the work are compared. */
typedef enum care { FEW, MANY } care;

/* Batches and threads, among them fewer and more threads than parts of the tokens. */
static void check_bits(const vit_model *model, const float *patches, const float *alone, care c)
{
    static const int threads[] = {1, 2, 6};
    const uint32_t k = vit_model_describe(model).config->classes;
    assert_same_bits(run(model, patches, IMAGES, 2), alone, k);
    for (size_t i = 0; c == MANY && i < sizeof threads / sizeof threads[0]; i++)
        for (uint32_t batch = 1; batch <= IMAGES; batch += 2)
            assert_same_bits(run(model, patches, batch, threads[i]), alone, k);
}

static void check_config(const vit_config *config, care c)
{
    random_model m = make_model(config);
    const size_t count = patch_floats(config), k = config->classes;
    float *patches = test_random_floats(IMAGES * count, 1, 5), *exact = test_floats(IMAGES * k);
    float *alone = run(m.model, patches, 1, 1);
    for (size_t b = 0; b < IMAGES; b++) reference_forward(exact + b * k, &m, patches + b * count);
    const double error = test_relative_error(alone, exact, IMAGES * k);
    if (!(error < 2e-5))
        fail_msg("%s %s %s, pool %s: %g", patches_position_string(config->position),
                 patches_position_op_string(config->position_op),
                 patches_position_at_string(config->position_at), vit_pool_string(config->pool),
                 error);
    check_bits(m.model, patches, alone, c);
    vitc_aligned_free(patches);
    vitc_aligned_free(exact);
    vitc_aligned_free(alone);
    free_model(&m);
}

static void every_kind_equals_its_formula(void **unused)
{
    (void)unused;
    vit_config configs[CONFIGS_MAX];
    const size_t count = make_position_configs(configs);
    for (size_t i = 0; i < count; i++)
        for (int pool = 0; pool < POOLS; pool++) {
            configs[i].pool = (vit_pool)pool;
            check_config(&configs[i], pool == VIT_POOL_AVG ? MANY : FEW);
        }
}

/* With what else a model may have between embedding, tokens and scores. */
static void every_kind_beside_other_options(void **unused)
{
    (void)unused;
    vit_config configs[CONFIGS_MAX];
    const size_t count = make_position_configs(configs);
    for (size_t i = 0; i < count; i++) {
        vit_config config = configs[i];
        config.norm_pre = config.qk_norm = config.layer_scale = true;
        config.registers = 2;
        config.distillation_token = config.distilled_head = true;
        config.heads = 3; /* of 8 */
        check_config(&config, MANY);
        config = configs[i];
        config.class_token = config.position_covers_prefix = false;
        config.pool = VIT_POOL_AVG;
        check_config(&config, FEW);
        config = configs[i];
        config.layers = 1; /* the first block, which is also the last */
        check_config(&config, FEW);
    }
}

/* Grids of one column and of one row. */
static void narrow_grids(void **unused)
{
    (void)unused;
    vit_config configs[CONFIGS_MAX];
    const size_t count = make_position_configs(configs);
    for (size_t i = 0; i < count; i++) {
        configs[i].image_width = 4;
        check_config(&configs[i], FEW);
        configs[i].image_width = 32;
        configs[i].image_height = 4;
        check_config(&configs[i], FEW);
    }
}

/* Rounded to bf16 or int8, nearer to the float32 logits than those of a model without positions
 * are. */
static void precisions_keep_positions(void **unused)
{
    (void)unused;
    static const struct {
        vit_precision precision;
        vit_dtype stored;
        double tolerance;
    } formats[] = {{VIT_PRECISION_BF16, VIT_DTYPE_F32, 0.01},
                   {VIT_PRECISION_INT8, VIT_DTYPE_INT8, 0.03}};
    vit_config configs[CONFIGS_MAX], none = make_small_config();
    const size_t count = make_position_configs(configs), k = none.classes;
    none.position = PATCHES_POSITION_NONE;
    random_model without = make_model(&none);
    float *patches = test_random_floats(IMAGES * patch_floats(&none), 1, 5);
    float *plain = run(without.model, patches, 1, 1);
    for (size_t i = 0; i < count; i++) {
        random_model exact = make_model(&configs[i]);
        float *expected = run(exact.model, patches, 1, 1);
        if (configs[i].position != PATCHES_POSITION_NONE)
            assert_true(test_relative_error(plain, expected, IMAGES * k) > 0.05);
        for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
            random_model m = make_model_as(&configs[i], formats[f].precision, formats[f].stored);
            float *logits = run(m.model, patches, 1, 1);
            const double error = test_relative_error(logits, expected, IMAGES * k);
            if (!(error < formats[f].tolerance))
                fail_msg("%s %s %s in %s: %g", patches_position_string(configs[i].position),
                         patches_position_op_string(configs[i].position_op),
                         patches_position_at_string(configs[i].position_at),
                         vit_precision_string(formats[f].precision), error);
            check_bits(m.model, patches, logits, FEW);
            vitc_aligned_free(logits);
            free_model(&m);
        }
        vitc_aligned_free(expected);
        free_model(&exact);
    }
    vitc_aligned_free(plain);
    vitc_aligned_free(patches);
    free_model(&without);
}

/* ---- special cases ---- */

/* The parameter that a block's own position has the place of. */
static vit_param_id shared_id(vit_param_id id)
{
    return id >= VIT_BLOCK_POS_EMBED && id <= VIT_BLOCK_RELATIVE_TABLE
               ? id - VIT_BLOCK_POS_EMBED + VIT_POS_EMBED
               : id;
}

/* The logits of a configuration with the parameters of `of`, positions where it has them, in every
 * block where it has one for all, and `value` where it has none. */
static float *run_with(const vit_config *config, const random_model *of, float value,
                       const float *patches)
{
    vit_model *model;
    assert_int_equal(
        vit_model_create(&model, config, VIT_PRECISION_F32, VIT_DTYPE_F32, "test", &log_lines),
        VITC_OK);
    const vit_param_table *table = vit_model_params(model), *others = vit_model_params(of->model);
    float **params = calloc(table->count, sizeof *params);
    assert_non_null(params);
    for (size_t i = 0; i < table->count; i++) {
        const vit_param *p = &table->params[i];
        const size_t same = vit_params_find(others, p->id, p->layer);
        const size_t found = same != SIZE_MAX ? same : vit_params_find(others, shared_id(p->id), 0);
        params[i] = test_floats(p->count);
        for (size_t j = 0; j < p->count; j++)
            params[i][j] = found != SIZE_MAX ? of->params[found][j] : value;
    }
    finish_model(model, params);
    float *logits = run(model, patches, IMAGES, 2);
    for (size_t i = 0; i < table->count; i++) vitc_aligned_free(params[i]);
    free(params);
    vit_model_free(model);
    return logits;
}

/* Zeros that multiply or that are biases: the bits of a model without positions. */
static void nothing_learned_is_none(void **unused)
{
    (void)unused;
    vit_config configs[CONFIGS_MAX], none = make_small_config();
    const size_t count = make_position_configs(configs);
    none.position = PATCHES_POSITION_NONE;
    random_model m = make_model(&none);
    float *patches = test_random_floats(IMAGES * patch_floats(&none), 1, 5);
    float *expected = run(m.model, patches, 1, 1);
    size_t cases = 0;
    for (size_t i = 0; i < count; i++) {
        const vit_config *c = &configs[i];
        const bool multiplies =
            c->position_op == PATCHES_POSITION_MUL && c->position != PATCHES_POSITION_SINCOS_2D;
        if (!multiplies && c->position != PATCHES_POSITION_RELATIVE) continue;
        assert_same_bits(run_with(c, &m, 0, patches), expected, none.classes);
        cases++;
    }
    assert_int_equal(cases, 3 * 3 + 2);
    vitc_aligned_free(patches);
    vitc_aligned_free(expected);
    free_model(&m);
}

/* Blocks that have learned the same have the bits of one that all share. */
static void every_block_the_same_is_shared(void **unused)
{
    (void)unused;
    vit_config configs[CONFIGS_MAX];
    const size_t count = make_position_configs(configs);
    for (size_t i = 0; i < count; i++) {
        vit_config own = configs[i];
        if (own.position_at != PATCHES_POSITION_EVERY_SHARED) continue;
        random_model shared = make_model(&own);
        own.position_at = PATCHES_POSITION_EVERY;
        float *patches = test_random_floats(IMAGES * patch_floats(&own), 1, 5);
        float *expected = run(shared.model, patches, 1, 1);
        assert_same_bits(run_with(&own, &shared, NAN, patches), expected, own.classes);
        vitc_aligned_free(patches);
        vitc_aligned_free(expected);
        free_model(&shared);
    }
}

int main(void)
{
    test_kernels_or_skip();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_equals_its_formula),
        cmocka_unit_test(every_kind_beside_other_options),
        cmocka_unit_test(narrow_grids),
        cmocka_unit_test(precisions_keep_positions),
        cmocka_unit_test(nothing_learned_is_none),
        cmocka_unit_test(every_block_the_same_is_shared),
    };
    return cmocka_run_group_tests_name("positions", tests, NULL, NULL);
}
