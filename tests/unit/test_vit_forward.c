/* The forward pass on random weights: against a plain reading of the paper, and bit for bit against
 * itself over batches and threads. ctest runs this once per kernel row (VITC_ISA). */
#include "vit_forward_support.h"
#include "vit_workspace.h"

/* ---- every option of vit_config, alone and together ---- */

static size_t make_configs(vit_config *configs)
{
    vit_config base;
    assert_int_equal(vit_config_named(&base, "testing", &log_lines), VITC_OK);
    base.image_width = 48;
    size_t n = 0;
    for (int a = 0; a < VIT_ACTIVATION_COUNT; a++) {
        configs[n] = base;
        configs[n++].activation = (vit_activation)a;
    }
    for (int p = VIT_POOL_AVG; p <= VIT_POOL_AVGMAX; p++) {
        configs[n] = base;
        configs[n++].pool = (vit_pool)p;
        configs[n] = base;
        configs[n].class_token = false;
        configs[n].norm_final = false;
        configs[n].norm_pooled = true;
        configs[n++].pool = (vit_pool)p;
    }
    configs[n] = base;
    configs[n++].qkv_bias = false;
    configs[n] = base;
    configs[n++].layer_scale = true;
    configs[n] = base;
    configs[n++].qk_norm = true;
    configs[n] = base;
    configs[n].norm_pre = true;
    configs[n++].patch_bias = false;
    configs[n] = base;
    configs[n].registers = 3;
    configs[n++].position_covers_prefix = false;
    configs[n] = base;
    configs[n++].registers = 2;
    configs[n] = base;
    configs[n++].position = PATCHES_POSITION_NONE;
    configs[n] = base;
    configs[n].distillation_token = true;
    configs[n++].distilled_head = true;
    configs[n] = base;
    configs[n++].distillation_token = true;
    configs[n] = base; /* everything at once */
    configs[n].registers = 2;
    configs[n].distillation_token = configs[n].distilled_head = true;
    configs[n].qk_norm = configs[n].layer_scale = configs[n].norm_pre = true;
    configs[n].norm_pooled = true;
    configs[n].norm_eps = 1e-3f;
    configs[n].classes = 1;
    configs[n].heads = 3;
    n++;
    return n;
}

enum { CONFIGS_MAX = 64, IMAGES = 8 };

static void fill(vit_workspace *ws, uint32_t b, const float *patches, size_t count)
{
    memcpy(vit_workspace_patches(ws, b), patches, count * sizeof *patches);
}

static void check_config(const vit_config *config)
{
    random_model m = make_model(config);
    const size_t count = (size_t)vit_config_patches(config) * 3 * config->patch * config->patch;
    const uint32_t k = config->classes;
    float *patches = test_random_floats(IMAGES * count, 1, 5);
    float *exact = test_floats(IMAGES * k), *alone = test_floats(IMAGES * k);
    float *batched = test_floats(IMAGES * k);

    /* one image at a time, one thread */
    vit_workspace *ws = NULL;
    assert_int_equal(vit_workspace_create(&ws, m.model, 1, 1, &log_lines), VITC_OK);
    for (uint32_t b = 0; b < IMAGES; b++) {
        fill(ws, 0, patches + b * count, count);
        assert_int_equal(vit_forward(m.model, ws, alone + b * k, 1, &log_lines), VITC_OK);
        reference_forward(exact + b * k, &m, patches + b * count);
    }
    vit_workspace_free(ws);
    assert_true(test_relative_error(alone, exact, IMAGES * k) < 2e-5);

    /* batches of 3 and 8 with 1 and 2 (and 5) threads give the same bits */
    static const uint32_t batches[] = {1, 3, 8};
    static const int threads[] = {1, 2, 5};
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++) {
            assert_int_equal(vit_workspace_create(&ws, m.model, batches[i], threads[j], &log_lines),
                             VITC_OK);
            for (uint32_t b0 = 0; b0 < IMAGES; b0 += batches[i]) {
                const uint32_t n = IMAGES - b0 < batches[i] ? IMAGES - b0 : batches[i];
                for (uint32_t b = 0; b < n; b++) fill(ws, b, patches + (b0 + b) * count, count);
                assert_int_equal(vit_forward(m.model, ws, batched + b0 * k, n, &log_lines),
                                 VITC_OK);
            }
            vit_workspace_free(ws);
            assert_memory_equal(batched, alone, IMAGES * k * sizeof *alone);
        }
    vitc_aligned_free(patches);
    vitc_aligned_free(exact);
    vitc_aligned_free(alone);
    vitc_aligned_free(batched);
    free_model(&m);
}

static void every_option_equals_the_paper_and_keeps_its_bits(void **unused)
{
    (void)unused;
    test_kernels_or_skip();
    vit_config configs[CONFIGS_MAX];
    const size_t count = make_configs(configs);
    assert_true(count > 15 && count <= CONFIGS_MAX);
    for (size_t i = 0; i < count; i++) check_config(&configs[i]);
}

/* A workspace for many large images computes them group by group; here groups are made small. */
static void groups_of_images_keep_the_bits(void **unused)
{
    (void)unused;
    test_kernels_or_skip();
    vit_config configs[CONFIGS_MAX];
    const size_t configs_count = make_configs(configs);
    for (size_t i = 0; i < configs_count; i++) {
        random_model m = make_model(&configs[i]);
        const uint32_t k = m.config.classes;
        const size_t count =
            (size_t)vit_config_patches(&m.config) * 3 * m.config.patch * m.config.patch;
        float *patches = test_random_floats(IMAGES * count, 1, 5);
        float *whole = test_floats(IMAGES * k), *grouped = test_floats(IMAGES * k);
        vit_workspace *ws = NULL;
        assert_int_equal(vit_workspace_create(&ws, m.model, IMAGES, 2, &log_lines), VITC_OK);
        assert_int_equal(ws->group, IMAGES);
        fill(ws, 0, patches, IMAGES * count);
        assert_int_equal(vit_forward(m.model, ws, whole, IMAGES, &log_lines), VITC_OK);
        for (ws->group = 1; ws->group < IMAGES; ws->group += 2) {
            assert_int_equal(vit_forward(m.model, ws, grouped, IMAGES, &log_lines), VITC_OK);
            assert_memory_equal(grouped, whole, IMAGES * k * sizeof *whole);
        }
        vit_workspace_free(ws);
        vitc_aligned_free(patches);
        vitc_aligned_free(whole);
        vitc_aligned_free(grouped);
        free_model(&m);
    }
}

/* Of callers that are a team themselves each computes its own images, however many they are. */
static void workspaces_of_one_thread_work_in_a_team(void **unused)
{
    (void)unused;
    enum { CALLERS = 3 };
    test_kernels_or_skip();
    vit_config config;
    assert_int_equal(vit_config_named(&config, "testing", &log_lines), VITC_OK);
    random_model m = make_model(&config);
    const uint32_t k = config.classes;
    const size_t count = (size_t)vit_config_patches(&config) * 3 * config.patch * config.patch;
    float *patches = test_random_floats(CALLERS * count, 1, 5);
    float *alone = test_floats(CALLERS * k), *together = test_floats(CALLERS * k);
    vit_workspace *ws[CALLERS];
    for (size_t i = 0; i < CALLERS; i++) {
        assert_int_equal(vit_workspace_create(&ws[i], m.model, 1, 1, &log_lines), VITC_OK);
        fill(ws[i], 0, patches + i * count, count);
        assert_int_equal(vit_forward(m.model, ws[i], alone + i * k, 1, &log_lines), VITC_OK);
    }
    int failures = 0;
#pragma omp parallel for num_threads(CALLERS) schedule(static, 1) reduction(+ : failures)
    for (size_t i = 0; i < CALLERS; i++)
        for (size_t times = 0; times <= i; times++)
            failures += vit_forward(m.model, ws[i], together + i * k, 1, NULL) != VITC_OK;
    assert_int_equal(failures, 0);
    assert_memory_equal(together, alone, CALLERS * k * sizeof *alone);
    for (size_t i = 0; i < CALLERS; i++) vit_workspace_free(ws[i]);
    vitc_aligned_free(patches);
    vitc_aligned_free(alone);
    vitc_aligned_free(together);
    free_model(&m);
}

static void workspaces_are_sized_by_the_group(void **unused)
{
    (void)unused;
    test_kernels_or_skip();
    vit_config config;
    assert_int_equal(vit_config_named(&config, "vit-b16", &log_lines), VITC_OK);
    config.layers = 1;
    random_model m = make_model(&config);
    const size_t patches = vit_config_patches(&config) * 3 * 16 * 16 * sizeof(float);
    const size_t one = vit_workspace_size(m.model, 1, 1), many = vit_workspace_size(m.model, 64, 1);
    assert_true(many > 64 * patches && many < one + 64 * patches); /* 63 more, and padding */
    free_model(&m);
}

static void named_configs_have_the_published_sizes(void **unused)
{
    (void)unused;
    /* By hand for "testing"; timm: sum(p.numel()) of vit_{tiny,small,base,large}_patch16_224 and
     * vit_huge_patch14_224 */
    static const struct {
        const char *name;
        uint64_t parameters;
    } expected[] = {{"vit-ti16", 5717416},  {"vit-s16", 22050664},  {"vit-b16", 86567656},
                    {"vit-l16", 304326632}, {"vit-h14", 632045800}, {"testing", 27783}};
    size_t count = 0;
    while (vit_config_name(count) != NULL) count++;
    assert_int_equal(count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < count; i++) {
        vit_config config;
        vit_param_table table;
        assert_int_equal(vit_config_named(&config, expected[i].name, &log_lines), VITC_OK);
        assert_int_equal(vit_config_parameters(&config), expected[i].parameters);
        assert_int_equal(vit_params_create(&table, &config, &log_lines), VITC_OK);
        assert_int_equal(table.elements, expected[i].parameters);
        for (size_t p = 1; p < table.count; p++)
            assert_int_equal(table.params[p].offset,
                             table.params[p - 1].offset + table.params[p - 1].count);
        vit_params_free(&table);
    }
    vit_config config;
    assert_int_equal(vit_config_named(&config, "B/16", NULL), VITC_OK);
    assert_int_equal(vit_config_named(&config, "vit-xxl", NULL), VITC_ERR_ARGUMENT);
}

static void bad_configs_are_refused(void **unused)
{
    (void)unused;
    vit_config good;
    assert_int_equal(vit_config_named(&good, "testing", NULL), VITC_OK);
#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        vit_config bad = good;                                                                     \
        bad.field = value;                                                                         \
        assert_int_equal(vit_config_check(&bad, NULL), VITC_ERR_MODEL);                            \
    } while (0)
    REFUSED(patch, 0);
    REFUSED(patch, 7); /* does not divide 32 */
    REFUSED(heads, 5); /* does not divide 24 */
    REFUSED(heads, 0);
    REFUSED(width, 0);
    REFUSED(width, 1u << 20);
    REFUSED(layers, 0);
    REFUSED(classes, 0);
    REFUSED(classes, UINT32_MAX);
    REFUSED(mlp, 0);
    REFUSED(image_height, 0);
    REFUSED(image_width, 1u << 30);
    REFUSED(registers, 1u << 30);
    REFUSED(norm_eps, NAN);
    REFUSED(norm_eps, -1);
    REFUSED(temperature, NAN);
    REFUSED(temperature, INFINITY);
    REFUSED(temperature, -1);
    REFUSED(class_token, false); /* pooled by class token */
    REFUSED(distilled_head, true);
    vit_config headless = good; /* whose distillation token would be read in the wrong place */
    headless.pool = VIT_POOL_AVG;
    headless.class_token = false;
    headless.distillation_token = headless.distilled_head = true;
    assert_int_equal(vit_config_check(&headless, NULL), VITC_ERR_MODEL);
    REFUSED(activation, VIT_ACTIVATION_COUNT);
#undef REFUSED
    assert_int_equal(vit_config_check(&good, NULL), VITC_OK);
}

static void workspaces_are_checked(void **unused)
{
    (void)unused;
    vit_config config;
    assert_int_equal(vit_config_named(&config, "testing", NULL), VITC_OK);
    random_model m = make_model(&config), other = make_model(&config);
    vit_workspace *ws = NULL;
    float logits[64];
    assert_int_equal(vit_workspace_create(&ws, m.model, 0, 1, NULL), VITC_ERR_ARGUMENT);
    assert_int_equal(vit_workspace_create(&ws, m.model, 2, 1, NULL), VITC_OK);
    assert_int_equal(vit_forward(m.model, ws, logits, 3, NULL), VITC_ERR_ARGUMENT);
    assert_int_equal(vit_forward(other.model, ws, logits, 1, NULL), VITC_ERR_ARGUMENT);
    assert_int_equal(vit_forward(m.model, ws, logits, 0, NULL), VITC_OK);
    assert_true(vit_workspace_size(m.model, 2, 1) > vit_workspace_size(m.model, 1, 1));
    /* parameters are set once, all of them */
    assert_int_equal(vit_model_set(m.model, 0, m.params[0], NULL), VITC_ERR_ARGUMENT);
    assert_int_equal(vit_model_set(m.model, m.count, m.params[0], NULL), VITC_ERR_ARGUMENT);
    vit_workspace_free(ws);
    free_model(&m);
    free_model(&other);
}

static void keep_line(void *user, vitc_log_level level, const char *message)
{
    (void)level;
    snprintf(user, 256, "%s", message);
}

/* Debug builds say where; the others let NaN through to the logits, which are looked at there. */
static void numbers_that_stop_being_finite_are_noticed(void **unused)
{
    (void)unused;
    vit_config config;
    assert_int_equal(vit_config_named(&config, "testing", NULL), VITC_OK);
    random_model m = make_model(&config);
    float *const bias = (float *)(uintptr_t)m.model->blocks[1].fc1.bias;
    char line[256] = "";
    const vitc_log log = {keep_line, line};
    vit_workspace *ws = NULL;
    float *logits = test_floats(config.classes);
    assert_int_equal(vit_workspace_create(&ws, m.model, 1, 2, NULL), VITC_OK);
    const size_t count = (size_t)vit_config_patches(&config) * 3 * config.patch * config.patch;
    memset(vit_workspace_patches(ws, 0), 0, count * sizeof(float));
    assert_int_equal(vit_forward(m.model, ws, logits, 1, &log), VITC_OK);
    bias[0] = NAN;
    const vitc_status status = vit_forward(m.model, ws, logits, 1, &log);
#ifdef NDEBUG
    assert_int_equal(status, VITC_OK);
    assert_true(isnan(logits[0]));
#else
    assert_int_equal(status, VITC_ERR_INTERNAL);
    assert_non_null(strstr(line, "block 1, fc1"));
#endif
    vitc_aligned_free(logits);
    vit_workspace_free(ws);
    free_model(&m);
}

static void top_k_orders_by_score_then_index(void **unused)
{
    (void)unused;
    const float scores[6] = {0.1f, 0.3f, 0.3f, 0.05f, 0.2f, 0.05f};
    uint32_t top[6];
    vit_top_k(top, 6, scores, 6);
    static const uint32_t expected[6] = {1, 2, 4, 0, 3, 5};
    assert_memory_equal(top, expected, sizeof top);
    vit_top_k(top, 1, scores, 6);
    assert_int_equal(top[0], 1);
}

static void scores_follow_the_config(void **unused)
{
    (void)unused;
    vit_config config;
    assert_int_equal(vit_config_named(&config, "testing", NULL), VITC_OK);
    config.classes = 3;
    const float logits[3] = {1000, 999, -1000};
    float scores[3];
    vit_scores_compute(&config, scores, logits);
    assert_true(fabsf(scores[0] - 0.73105858f) < 1e-7f && fabsf(scores[1] - 0.26894142f) < 1e-7f);
    assert_true(scores[2] == 0);
    config.scores = VIT_SCORES_SIGMOID;
    vit_scores_compute(&config, scores, logits);
    assert_true(scores[0] == 1 && scores[2] == 0);
    config.scores = VIT_SCORES_RAW;
    vit_scores_compute(&config, scores, logits);
    assert_memory_equal(scores, logits, sizeof scores);
}

/* Without one, 1 or 0, scores have the bits that they had before there were temperatures. */
static void temperatures_divide_logits(void **unused)
{
    (void)unused;
    enum { K = 5 };
    static const float logits[K] = {2.25f, -0.3f, 7.1f, 7.0999f, -12};
    static const float temperatures[] = {0, 1, 0.5f, 1.37f, 1000, 1e-3f, 0x1p-149f, 0x1p127f};
    for (size_t t = 0; t < sizeof temperatures / sizeof temperatures[0]; t++) {
        vit_config config = {.classes = K, .temperature = temperatures[t]};
        const double divisor = temperatures[t] > 0 ? (double)temperatures[t] : 1;
        float scores[K];
        double sum = 0;
        vit_scores_compute(&config, scores, logits);
        for (int k = 0; k < K; k++) sum += exp(((double)logits[k] - (double)7.1f) / divisor);
        for (int k = 0; k < K; k++) {
            const double weight = divisor == 1 ? exp((double)logits[k] - (double)7.1f)
                                               : exp(((double)logits[k] - (double)7.1f) / divisor);
            assert_true(scores[k] == (float)(weight / sum));
        }
        config.scores = VIT_SCORES_SIGMOID;
        vit_scores_compute(&config, scores, logits);
        for (int k = 0; k < K; k++) {
            const double power =
                divisor == 1 ? exp(-(double)logits[k]) : exp(-(double)logits[k] / divisor);
            assert_true(scores[k] == (float)(1 / (1 + power)));
        }
        config.scores = VIT_SCORES_RAW;
        vit_scores_compute(&config, scores, logits);
        assert_memory_equal(scores, logits, sizeof scores);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_equals_the_paper_and_keeps_its_bits),
        cmocka_unit_test(groups_of_images_keep_the_bits),
        cmocka_unit_test(workspaces_of_one_thread_work_in_a_team),
        cmocka_unit_test(workspaces_are_sized_by_the_group),
        cmocka_unit_test(named_configs_have_the_published_sizes),
        cmocka_unit_test(bad_configs_are_refused),
        cmocka_unit_test(workspaces_are_checked),
        cmocka_unit_test(numbers_that_stop_being_finite_are_noticed),
        cmocka_unit_test(top_k_orders_by_score_then_index),
        cmocka_unit_test(scores_follow_the_config),
        cmocka_unit_test(temperatures_divide_logits),
    };
    return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
