/* Optimizers and schedules: against PyTorch and timm (tests/golden/optimizer), closed forms, the
 * same bits for any number of threads, and what is refused. */
#include "test_golden_tensors.h"

#include <math.h>
#include <string.h>

#include "test_base_recorder.h"
#include "test_malloc_fail.h"
#include "vit_optimizer.h"
#include "vit_schedule.h"

enum { STEPS = 20 };

/* TABLE of make_optimizer.py */
static vit_config tiny_config(void)
{
    return (vit_config){.architecture = "tiny",
                        .image_height = 4,
                        .image_width = 4,
                        .patch = 2,
                        .width = 8,
                        .layers = 2,
                        .heads = 2,
                        .mlp = 12,
                        .classes = 3,
                        .norm_eps = 1e-6f,
                        .class_token = true,
                        .position = PATCHES_POSITION_LEARNED_1D,
                        .position_covers_prefix = true,
                        .patch_bias = true,
                        .qkv_bias = true,
                        .norm_final = true};
}

/* numbers() of make_optimizer.py */
static void fill_numbers(float *values, size_t count, uint32_t salt)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t mixed = (uint32_t)i * 2654435761U + salt * 2246822519U;
        mixed = (mixed ^ mixed >> 15) * 3266489917U;
        values[i] = (float)(mixed >> 8) / 16777216.0f - 0.5f;
    }
}

typedef struct model {
    size_t count;
    float *parameters, *gradients;
    vit_optimizer *optimizer;
} model;

static model make_model(const vit_config *config, const vit_optimizer_options *options)
{
    model m = {.count = (size_t)vit_config_parameters(config)};
    m.parameters = malloc(m.count * sizeof(float));
    m.gradients = malloc(m.count * sizeof(float));
    assert_non_null(m.parameters);
    assert_non_null(m.gradients);
    fill_numbers(m.parameters, m.count, 0);
    assert_int_equal(vit_optimizer_create(&m.optimizer, config, options, NULL), VITC_OK);
    return m;
}

static void free_model(model *m)
{
    vit_optimizer_free(m->optimizer);
    free(m->parameters);
    free(m->gradients);
}

/* Step number `step`, from 0, as make_optimizer.py takes it; returns the norm. */
static double take_step(model *m, uint32_t step)
{
    double norm;
    fill_numbers(m->gradients, m->count, step + 1);
    assert_int_equal(vit_optimizer_step(m->optimizer, m->parameters, m->gradients,
                                        0.01 * (step + 1) / STEPS, &norm, NULL),
                     VITC_OK);
    return norm;
}

/* ---- PyTorch ---- */

static vit_optimizer_options adamw(double decay)
{
    vit_optimizer_options o = vit_optimizer_options_default(VIT_OPTIMIZER_ADAMW);
    o.weight_decay = decay;
    o.average = 0.75;
    return o;
}

static vit_optimizer_options sgd(double decay, double momentum)
{
    vit_optimizer_options o = vit_optimizer_options_default(VIT_OPTIMIZER_SGD);
    o.weight_decay = decay;
    o.momentum = momentum;
    o.average = 0.75;
    return o;
}

static vit_optimizer_options muon(double decay)
{
    vit_optimizer_options o = vit_optimizer_options_default(VIT_OPTIMIZER_MUON);
    o.weight_decay = decay;
    o.average = 0.75;
    return o;
}

/* Within `tolerance` of the largest value. */
static void expect_golden(const char *name, const float *values, size_t count, double tolerance)
{
    size_t golden_count;
    float *golden =
        golden_read_tensor(VITC_GOLDEN_DIR "/optimizer/golden.safetensors", name, &golden_count);
    double largest = 0, difference = 0;
    assert_int_equal(golden_count, count);
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs((double)golden[i]));
        difference = fmax(difference, fabs((double)values[i] - (double)golden[i]));
    }
    if (!(difference <= tolerance * largest))
        fail_msg("%s: off by %g, largest %g", name, difference, largest);
    free(golden);
}

static void steps_are_pytorchs(void **state)
{
    (void)state;
    struct {
        const char *name;
        vit_optimizer_options options;
    } cases[] = {{"adamw", adamw(0.05)},
                 {"adamw_short", adamw(0.3)},
                 {"adamw_layers_clip", adamw(0.05)},
                 {"sgd", sgd(1e-2, 0.9)},
                 {"sgd_nesterov", sgd(1e-2, 0.9)},
                 {"sgd_plain", sgd(0, 0)},
                 {"muon", muon(0.05)},
                 {"muon_layers_clip", muon(0.05)},
                 {"muon", muon(0.05)}};
    cases[1].options.beta1 = 0.8;
    cases[1].options.beta2 = 0.95;
    cases[1].options.eps = 1e-3;
    cases[2].options.layer_decay = 0.65;
    cases[2].options.clip = 0.5;
    cases[4].options.nesterov = true;
    cases[5].options.clip = 3;
    cases[7].options.momentum = 0.9;
    cases[7].options.layer_decay = 0.65;
    cases[7].options.clip = 0.5;
    cases[8].options.precision = VIT_PRECISION_BF16;
    const vit_config config = tiny_config();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        /* 20 roundings of float32 are below 20 * 6e-8; Muon's iterations make what is left of a
         * direction that is all but missing 3.4445^5 = 485 times as large, its errors too. */
        const double tolerance = cases[c].options.precision == VIT_PRECISION_BF16 ? 2e-2
                                 : cases[c].options.kind == VIT_OPTIMIZER_MUON    ? 2e-5
                                                                                  : 1e-6;
        float norms[STEPS];
        char name[64];
        model m = make_model(&config, &cases[c].options);
        for (uint32_t step = 0; step < STEPS; step++) norms[step] = (float)take_step(&m, step);
        expect_golden(cases[c].name, m.parameters, m.count, tolerance);
        snprintf(name, sizeof name, "%s.average", cases[c].name);
        expect_golden(name, vit_optimizer_average(m.optimizer), m.count, tolerance);
        snprintf(name, sizeof name, "%s.norms", cases[c].name);
        expect_golden(name, norms, STEPS, 1e-6);
        free_model(&m);
    }
}

/* ---- bits ---- */

static void muon_in_bf16_is_not_f32(void **state)
{
    (void)state;
    const vit_config config = tiny_config();
    vit_optimizer_options options = muon(0.05);
    model a = make_model(&config, &options);
    options.precision = VIT_PRECISION_BF16;
    model b = make_model(&config, &options);
    take_step(&a, 0);
    take_step(&b, 0);
    assert_memory_not_equal(a.parameters, b.parameters, a.count * sizeof(float));
    free_model(&a);
    free_model(&b);
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    vit_config config;
    assert_int_equal(vit_config_named(&config, "testing", NULL), VITC_OK);
    config.width = 96; /* blocks of more numbers than one thread takes at once */
    config.heads = 3;
    config.mlp = 200;
    vit_optimizer_options options = adamw(0.05);
    options.clip = 1;
    for (int kind = 0; kind < VIT_OPTIMIZER_KIND_COUNT; kind++) {
        options.kind = (vit_optimizer_kind)kind;
        options.threads = 1;
        model one = make_model(&config, &options);
        double norm = 0;
        for (uint32_t step = 0; step < 3; step++) norm = take_step(&one, step);
        for (int threads = 2; threads <= 5; threads++) {
            options.threads = threads;
            model many = make_model(&config, &options);
            double same = 0;
            for (uint32_t step = 0; step < 3; step++) same = take_step(&many, step);
            assert_memory_equal(&norm, &same, sizeof norm);
            assert_memory_equal(one.parameters, many.parameters, one.count * sizeof(float));
            assert_memory_equal(vit_optimizer_average(one.optimizer),
                                vit_optimizer_average(many.optimizer), one.count * sizeof(float));
            free_model(&many);
        }
        free_model(&one);
    }
}

static void state_goes_on_in_another_optimizer(void **state)
{
    (void)state;
    const vit_config config = tiny_config();
    const vit_optimizer_options all[] = {adamw(0.05), sgd(0.01, 0.9), sgd(0.01, 0), muon(0.05)};
    static const size_t array_counts[] = {3, 2, 1, 3};
    for (size_t c = 0; c < sizeof all / sizeof *all; c++) {
        vit_optimizer_array from[VIT_OPTIMIZER_ARRAYS_MAX], to[VIT_OPTIMIZER_ARRAYS_MAX];
        model a = make_model(&config, &all[c]), b = make_model(&config, &all[c]);
        for (uint32_t step = 0; step < 5; step++) take_step(&a, step);
        assert_int_equal(vit_optimizer_arrays(a.optimizer, from), array_counts[c]);
        assert_int_equal(vit_optimizer_arrays(b.optimizer, to), array_counts[c]);
        for (size_t i = 0; i < array_counts[c]; i++) {
            assert_string_equal(from[i].name, to[i].name);
            memcpy(to[i].values, from[i].values, a.count * sizeof(float));
        }
        memcpy(b.parameters, a.parameters, a.count * sizeof(float));
        assert_true(vit_optimizer_steps(a.optimizer) == 5);
        vit_optimizer_set_steps(b.optimizer, 5);
        for (uint32_t step = 5; step < 9; step++) {
            take_step(&a, step);
            take_step(&b, step);
        }
        assert_memory_equal(a.parameters, b.parameters, a.count * sizeof(float));
        assert_memory_equal(vit_optimizer_average(a.optimizer), vit_optimizer_average(b.optimizer),
                            a.count * sizeof(float));
        free_model(&a);
        free_model(&b);
    }
}

/* ---- rules ---- */

static const vit_optimizer_rule *rule_named(vit_optimizer *optimizer, const char *name)
{
    size_t count;
    const vit_optimizer_rule *rules = vit_optimizer_rules(optimizer, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(rules[i].name, name) == 0) return &rules[i];
    fail_msg("no parameter %s", name);
    return NULL;
}

static void rules_follow_depth_and_kind(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int above;
        bool decays;
    } expected[] = {{"cls_token", 5, false},
                    {"pos_embed", 5, false},
                    {"patch_embed.proj.weight", 5, true},
                    {"patch_embed.proj.bias", 5, false},
                    {"norm_pre.weight", 5, false},
                    {"blocks.0.attn.qkv.weight", 4, true},
                    {"blocks.0.norm1.weight", 4, false},
                    {"blocks.0.ls1.gamma", 4, false},
                    {"blocks.3.mlp.fc2.weight", 1, true},
                    {"blocks.3.mlp.fc2.bias", 1, false},
                    {"norm.weight", 0, false},
                    {"head.weight", 0, true},
                    {"head.bias", 0, false}};
    vit_config config = tiny_config();
    config.layers = 4;
    config.norm_pre = config.layer_scale = true;
    vit_optimizer_options options = adamw(0.125);
    options.layer_decay = 0.5;
    model m = make_model(&config, &options);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const vit_optimizer_rule *rule = rule_named(m.optimizer, expected[i].name);
        assert_true(rule->rate == ldexp(1, -expected[i].above));
        assert_true(rule->decay == (expected[i].decays ? 0.125 : 0));
        assert_true(rule->trained);
    }
    free_model(&m);
}

static void what_is_not_trained_stays(void **state)
{
    (void)state;
    static const struct {
        uint32_t blocks;
        const char *trained, *frozen;
    } cases[] = {{0, "head.weight", "norm.weight"},
                 {1, "norm.weight", "blocks.0.norm1.weight"},
                 {1, "blocks.1.norm1.weight", "blocks.0.mlp.fc2.weight"},
                 {2, "blocks.0.norm1.weight", "pos_embed"},
                 {99, "blocks.0.norm1.weight", "patch_embed.proj.weight"}};
    const vit_config config = tiny_config();
    const vit_optimizer_options options = adamw(0.05);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        model m = make_model(&config, &options);
        vit_optimizer_train_last(m.optimizer, cases[c].blocks);
        assert_true(rule_named(m.optimizer, cases[c].trained)->trained);
        assert_false(rule_named(m.optimizer, cases[c].frozen)->trained);
        free_model(&m);
    }
    /* a linear probe: only the last K * D + K numbers move, and only their gradients count */
    model m = make_model(&config, &options);
    vit_optimizer_train_last(m.optimizer, 0);
    float *before = malloc(m.count * sizeof *before);
    assert_non_null(before);
    memcpy(before, m.parameters, m.count * sizeof *before);
    fill_numbers(m.gradients, m.count, 1);
    double norm, squares = 0;
    const size_t head = m.count - (3 * 8 + 3);
    m.gradients[0] = NAN;
    for (size_t i = head; i < m.count; i++)
        squares += (double)m.gradients[i] * (double)m.gradients[i];
    assert_int_equal(vit_optimizer_step(m.optimizer, m.parameters, m.gradients, 0.01, &norm, NULL),
                     VITC_OK);
    assert_true(fabs(norm - sqrt(squares)) < 1e-12);
    assert_memory_equal(before, m.parameters, head * sizeof *before);
    for (size_t i = head; i < m.count; i++) assert_true(before[i] != m.parameters[i]);
    assert_memory_equal(vit_optimizer_average(m.optimizer), m.parameters, m.count * sizeof *before);
    free(before);
    free_model(&m);
}

static void average_decay_warms_up(void **state)
{
    (void)state;
    assert_true(vit_optimizer_average_decay(0.9998, 1) == 0);
    assert_true(fabs(vit_optimizer_average_decay(0.9998, 8) - 0.75) < 1e-15);
    assert_true(fabs(vit_optimizer_average_decay(0.9998, 1000) - 0.99) < 1e-12);
    assert_true(vit_optimizer_average_decay(0.9998, 1000000) == 0.9998);
}

/* ---- refusals ---- */

static void bad_gradients_change_nothing(void **state)
{
    (void)state;
    const vit_config config = tiny_config();
    const vit_optimizer_options options = adamw(0.05);
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t c = 0; c < 3; c++) {
        log_recorder r;
        const vitc_log log = log_recorder_start(&r);
        model m = make_model(&config, &options), same = make_model(&config, &options);
        fill_numbers(m.gradients, m.count, 1);
        m.gradients[8 + 40 + 96 + 8 + 3] = bad[c];
        assert_int_equal(
            vit_optimizer_step(m.optimizer, m.parameters, m.gradients, 0.01, NULL, &log),
            VITC_ERR_INTERNAL);
        assert_non_null(strstr(r.last, "blocks.0.norm1.weight"));
        assert_int_equal(vit_optimizer_step(m.optimizer, m.parameters, m.gradients, -1, NULL, &log),
                         VITC_ERR_ARGUMENT);
        assert_int_equal(
            vit_optimizer_step(m.optimizer, m.parameters, m.gradients, NAN, NULL, &log),
            VITC_ERR_ARGUMENT);
        assert_true(vit_optimizer_steps(m.optimizer) == 0);
        take_step(&m, 0);
        take_step(&same, 0);
        assert_memory_equal(m.parameters, same.parameters, m.count * sizeof(float));
        free_model(&m);
        free_model(&same);
    }
}

static void bad_options_are_named(void **state)
{
    (void)state;
    const vit_config config = tiny_config();
    const vit_optimizer_options good = adamw(0.05);
    struct {
        const char *named;
        vit_optimizer_options options;
    } cases[12];
    size_t count = 0;
#define BAD(text, field, value)                                                                    \
    do {                                                                                           \
        cases[count].named = text;                                                                 \
        cases[count].options = good;                                                               \
        cases[count++].options.field = value;                                                      \
    } while (0)
    BAD("beta1", beta1, 1);
    BAD("beta2", beta2, -0.1);
    BAD("eps", eps, 0);
    BAD("momentum", momentum, NAN);
    BAD("weight decay", weight_decay, INFINITY);
    BAD("layer decay", layer_decay, 0);
    BAD("layer decay", layer_decay, 1.5);
    BAD("clip", clip, -1);
    BAD("average", average, 1);
    BAD("none", kind, VIT_OPTIMIZER_KIND_COUNT);
#undef BAD
    for (size_t c = 0; c < count; c++) {
        log_recorder r;
        const vitc_log log = log_recorder_start(&r);
        vit_optimizer *optimizer = NULL;
        assert_int_equal(vit_optimizer_create(&optimizer, &config, &cases[c].options, &log),
                         VITC_ERR_ARGUMENT);
        assert_null(optimizer);
        assert_int_equal(r.messages, 1);
        assert_non_null(strstr(r.last, cases[c].named));
    }
    vit_optimizer_options nesterov = sgd(0, 0);
    nesterov.nesterov = true;
    vit_optimizer *optimizer = NULL;
    assert_int_equal(vit_optimizer_create(&optimizer, &config, &nesterov, NULL), VITC_ERR_ARGUMENT);
}

static vitc_status create_one(void *user)
{
    const vit_optimizer_options options = adamw(0.05);
    vit_optimizer *optimizer = NULL;
    const vitc_status status = vit_optimizer_create(&optimizer, user, &options, NULL);
    vit_optimizer_free(optimizer);
    return status;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    if (!MALLOC_FAIL_AVAILABLE) skip();
    vit_config config = tiny_config();
    assert_true(malloc_fail_each(create_one, &config) >= 3);
}

static void size_is_known_beforehand(void **state)
{
    (void)state;
    vit_config config;
    assert_int_equal(vit_config_named(&config, "vit-ti16", NULL), VITC_OK);
    const vit_optimizer_options options = adamw(0.05), plain = sgd(0, 0);
    const size_t numbers = (size_t)vit_config_parameters(&config);
    const size_t three = vit_optimizer_size(&config, &options);
    assert_true(three > 3 * numbers * sizeof(float));
    assert_true(three < 3 * numbers * sizeof(float) * 101 / 100);
    assert_true(three - vit_optimizer_size(&config, &plain) >= 2 * numbers * sizeof(float));
    config.heads = 0;
    assert_true(vit_optimizer_size(&config, &options) == 0);
}

static void names_go_both_ways(void **state)
{
    (void)state;
    for (int i = 0; i < VIT_OPTIMIZER_KIND_COUNT; i++) {
        vit_optimizer_kind kind;
        assert_true(vit_optimizer_from_string(&kind, vit_optimizer_string((vit_optimizer_kind)i)));
        assert_int_equal(kind, i);
    }
    for (int i = 0; i < VIT_SCHEDULE_KIND_COUNT; i++) {
        vit_schedule_kind kind;
        assert_true(vit_schedule_from_string(&kind, vit_schedule_string((vit_schedule_kind)i)));
        assert_int_equal(kind, i);
    }
    vit_optimizer_kind kind;
    vit_schedule_kind schedule;
    assert_false(vit_optimizer_from_string(&kind, "lion"));
    assert_false(vit_schedule_from_string(&schedule, "linear"));
    assert_null(vit_optimizer_string(VIT_OPTIMIZER_KIND_COUNT));
    assert_null(vit_schedule_string(VIT_SCHEDULE_KIND_COUNT));
}

/* ---- schedules ---- */

static void expect_rate(const vit_schedule *s, uint64_t step, double expected)
{
    const double rate = vit_schedule_rate(s, step);
    if (fabs(rate - expected) > 1e-15)
        fail_msg("step %d: %.17g, not %.17g", (int)step, rate, expected);
}

static void schedules_in_closed_form(void **state)
{
    (void)state;
    const double pi = 3.14159265358979323846;
    vit_schedule s = {
        .base = 1e-3, .minimum = 1e-5, .warmup = 9, .total = 109, .every = 30, .factor = 0.1};
    for (int kind = 0; kind < VIT_SCHEDULE_KIND_COUNT; kind++) {
        s.kind = (vit_schedule_kind)kind;
        assert_int_equal(vit_schedule_check(&s, NULL), VITC_OK);
        for (uint64_t step = 0; step <= 9; step++) expect_rate(&s, step, 1e-4 * (double)(step + 1));
    }
    s.kind = VIT_SCHEDULE_COSINE;
    expect_rate(&s, 59, (1e-3 + 1e-5) / 2); /* half way */
    expect_rate(&s, 34, 1e-5 + 0.99e-3 * (1 + sqrt(0.5)) / 2);
    for (uint64_t t = 0; t <= 100; t++)
        expect_rate(&s, 9 + t, 1e-5 + 0.99e-3 * (1 + cos(pi * (double)t / 100)) / 2);
    for (uint64_t step = 10; step <= 109; step++)
        assert_true(vit_schedule_rate(&s, step) < vit_schedule_rate(&s, step - 1));
    expect_rate(&s, 109, 1e-5);
    expect_rate(&s, 1000000, 1e-5);
    s.kind = VIT_SCHEDULE_CONSTANT;
    expect_rate(&s, 108, 1e-3);
    s.kind = VIT_SCHEDULE_STEP;
    expect_rate(&s, 38, 1e-3);
    expect_rate(&s, 39, 1e-4);
    expect_rate(&s, 69, 1e-5);
    expect_rate(&s, 99, 1e-5); /* 1e-6 is below the lowest */
    s.kind = VIT_SCHEDULE_COSINE;
    s.warmup = s.total; /* nothing but warm-up */
    expect_rate(&s, 108, 1e-3 * 109 / 110);
    expect_rate(&s, 109, 1e-5);
    s.warmup = 0;
    expect_rate(&s, 0, 1e-3);
}

static void bad_schedules_are_refused(void **state)
{
    (void)state;
    const vit_schedule good = {.kind = VIT_SCHEDULE_STEP,
                               .base = 1e-3,
                               .minimum = 0,
                               .total = 10,
                               .every = 3,
                               .factor = 0.5};
    vit_schedule bad[11];
    for (size_t i = 0; i < 11; i++) bad[i] = good;
    bad[0].kind = VIT_SCHEDULE_KIND_COUNT;
    bad[1].base = -1;
    bad[2].base = NAN;
    bad[3].base = INFINITY;
    bad[4].minimum = 2e-3;
    bad[5].minimum = NAN;
    bad[6].total = 0;
    bad[7].warmup = 11;
    bad[8].every = 0;
    bad[9].factor = 0;
    bad[10].factor = 1.5;
    assert_int_equal(vit_schedule_check(&good, NULL), VITC_OK);
    for (size_t i = 0; i < 11; i++) {
        log_recorder r;
        const vitc_log log = log_recorder_start(&r);
        assert_int_equal(vit_schedule_check(&bad[i], &log), VITC_ERR_ARGUMENT);
        assert_int_equal(r.messages, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps_are_pytorchs),
                                       cmocka_unit_test(muon_in_bf16_is_not_f32),
                                       cmocka_unit_test(threads_do_not_change_a_bit),
                                       cmocka_unit_test(state_goes_on_in_another_optimizer),
                                       cmocka_unit_test(rules_follow_depth_and_kind),
                                       cmocka_unit_test(what_is_not_trained_stays),
                                       cmocka_unit_test(average_decay_warms_up),
                                       cmocka_unit_test(bad_gradients_change_nothing),
                                       cmocka_unit_test(bad_options_are_named),
                                       cmocka_unit_test(memory_may_run_out),
                                       cmocka_unit_test(size_is_known_beforehand),
                                       cmocka_unit_test(names_go_both_ways),
                                       cmocka_unit_test(schedules_in_closed_form),
                                       cmocka_unit_test(bad_schedules_are_refused)};
    return cmocka_run_group_tests_name("optimizer", tests, NULL, NULL);
}
