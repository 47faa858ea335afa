/* Positions of all kinds, combinations and places in the trainer, dropped patches, and gradients
 * that are reported as they become complete. ctest runs this once per kernel row (VITC_ISA). */
#include <omp.h>
#include <pthread.h>

#include "vit_train_compare.h"
#include "vit_train_layout.h"
#include "vit_weights.h"
#include "vit_weights_support.h"

enum { BATCH = 5, FEW = 2, CASES_MAX = 40 };

/* Largest error of a parameter's gradient, in parts of its largest number. */
#define F32_TOLERANCE 1e-5 /* the trainer against double; 2e-3 is promised */

typedef struct position_case {
    char name[96];
    vit_config config;
} position_case;

/* A grid of 3 x 4 patches; what is not about positions changes from case to case. */
static vit_config small_config(size_t number)
{
    vit_config c;
    assert_int_equal(vit_config_named(&c, "testing", &log_lines), VITC_OK);
    c.image_height = 12;
    c.image_width = 16;
    c.patch = 4;
    c.width = 16;
    c.mlp = 24;
    c.layers = 3;
    c.registers = number % 3 == 0 ? 2 : 0;
    c.norm_pre = number % 2 == 1;
    c.qk_norm = number % 5 == 4;
    c.pool = number % 4 < 2 ? VIT_POOL_TOKEN : VIT_POOL_AVG;
    c.class_token = number % 4 < 3;
    return c;
}

/* Every kind, op and place that a configuration can have together. */
static size_t make_cases(position_case *cases)
{
    size_t n = 0;
    for (int kind = 0; kind < PATCHES_POSITION_KIND_COUNT; kind++)
        for (int op = 0; op < PATCHES_POSITION_OP_COUNT; op++)
            for (int place = 0; place < PATCHES_POSITION_AT_COUNT; place++) {
                position_case *c = &cases[n];
                c->config = small_config(n);
                c->config.position = (patches_position_kind)kind;
                c->config.position_op = (patches_position_op)op;
                c->config.position_at = (patches_position_at)place;
                c->config.position_covers_prefix =
                    kind == PATCHES_POSITION_LEARNED_1D && n % 2 == 0;
                if (vit_config_check(&c->config, NULL) != VITC_OK) continue;
                snprintf(c->name, sizeof c->name, "%s, %s, %s",
                         patches_position_string(c->config.position),
                         patches_position_op_string(c->config.position_op),
                         patches_position_at_string(c->config.position_at));
                n++;
                assert_true(n < CASES_MAX);
            }
    return n;
}

static vit_train_options options_for(int threads)
{
    vit_train_options options = vit_train_options_default();
    options.batch = BATCH;
    options.group = 2; /* 2, 2, 1 */
    options.threads = threads;
    return options;
}

static void run(vit_trainer *trainer, vit_pass *pass, const float *targets, uint64_t number)
{
    assert_int_equal(vit_trainer_run(trainer, pass, targets, BATCH, 1, number, &log_lines),
                     VITC_OK);
}

/* A trainer with random parameters that has seen a batch. */
static vit_trainer *trained(const vit_config *config, const vit_train_options *options,
                            const float *targets, vit_pass *pass)
{
    vit_trainer *trainer = make_trainer(config, options);
    randomize(trainer);
    random_images(trainer, BATCH, 9);
    run(trainer, pass, targets, 0);
    return trainer;
}

static void assert_same_bits(vit_trainer *a, vit_trainer *b, const char *name)
{
    assert_int_equal(vit_trainer_count(a), vit_trainer_count(b));
    if (memcmp(vit_trainer_gradients(a), vit_trainer_gradients(b),
               vit_trainer_count(a) * sizeof(float)) != 0)
        fail_msg("%s: gradients differ", name);
}

/* ---- gradients ---- */

static void every_kind_has_its_gradient(void **unused)
{
    (void)unused;
    static position_case cases[CASES_MAX];
    const size_t count = make_cases(cases);
    assert_int_equal(count, 3 + 4 * 2 * 3 + 2 + 2);
    for (size_t i = 0; i < count; i++) {
        const vit_config *config = &cases[i].config;
        vit_train_options options = options_for(2);
        float *targets = random_targets(config, BATCH, 3);
        vit_pass pass, other;
        vit_trainer *trainer = trained(config, &options, targets, &pass);
        reference r = reference_create(config, vit_trainer_parameters(trainer));
        reference_batch(&r, trainer, targets, FEW, true); /* images enough for formulas */
        check_by_differences(&r, trainer, targets, FEW, cases[i].name);
        memset(r.dw, 0, r.table.elements * sizeof *r.dw);
        const double loss = reference_batch(&r, trainer, targets, BATCH, true);
        assert_true(fabs(pass.loss - loss / BATCH) < 1e-5 * loss);
        const double error = compare(&r.table, trainer, r.dw, F32_TOLERANCE, cases[i].name);
        printf("%-32s max error %.2g\n", cases[i].name, error);

        for (int variant = 0; variant < 4; variant++) {
            options = options_for(variant % 2 == 0 ? 1 : 3);
            options.recompute = variant >= 2;
            vit_trainer *again = trained(config, &options, targets, &other);
            assert_same_bits(trainer, again, cases[i].name);
            assert_true(pass.loss == other.loss);
            vit_trainer_free(again);
        }
        run(trainer, &pass, targets, 0); /* gradients are added to */
        for (size_t j = 0; j < r.table.elements; j++) r.dw[j] *= 2;
        compare(&r.table, trainer, r.dw, F32_TOLERANCE, cases[i].name);
        reference_free(&r);
        free(targets);
        vit_trainer_free(trainer);
    }
}

/* What is trained is what runs: a model of the same parameters gives the trainer's logits. */
static void models_compute_the_same(void **unused)
{
    (void)unused;
    static position_case cases[CASES_MAX];
    const size_t count = make_cases(cases);
    for (size_t i = 0; i < count; i++) {
        const vit_config *config = &cases[i].config;
        const size_t logit_count = (size_t)BATCH * config->classes;
        const vit_train_options options = options_for(2);
        vit_trainer *trainer = make_trainer(config, &options);
        randomize(trainer);
        random_images(trainer, BATCH, 9);
        float *trained_logits = test_floats(logit_count), *logits = test_floats(logit_count);
        assert_int_equal(vit_trainer_logits(trainer, trained_logits, BATCH, &log_lines), VITC_OK);

        vit_weights weights;
        vit_model *model = NULL;
        vit_workspace *workspace = NULL;
        assert_int_equal(vit_weights_create(&weights, config, &log_lines), VITC_OK);
        weights.description.preprocess = (patches_spec){.resize = PATCHES_RESIZE_EXACT,
                                                        .resize_height = config->image_height,
                                                        .resize_width = config->image_width,
                                                        .rescale = 1};
        memcpy(weights.parameters, vit_trainer_parameters(trainer),
               vit_trainer_count(trainer) * sizeof(float));
        assert_int_equal(vit_weights_model(&model, &weights, VIT_PRECISION_F32, &log_lines),
                         VITC_OK);
        assert_int_equal(vit_workspace_create(&workspace, model, BATCH, 2, &log_lines), VITC_OK);
        for (uint32_t b = 0; b < BATCH; b++)
            memcpy(vit_workspace_patches(workspace, b), vit_trainer_patches(trainer, b),
                   patch_floats(config) * sizeof(float));
        assert_int_equal(vit_forward(model, workspace, logits, BATCH, &log_lines), VITC_OK);
        float largest = 0;
        for (size_t j = 0; j < logit_count; j++) largest = fmaxf(largest, fabsf(trained_logits[j]));
        for (size_t j = 0; j < logit_count; j++)
            if (!(fabsf(logits[j] - trained_logits[j]) <= 1e-5f * largest))
                fail_msg("%s: logit %zu is %g, of the trainer %g", cases[i].name, j,
                         (double)logits[j], (double)trained_logits[j]);
        vit_workspace_free(workspace);
        vit_model_free(model);
        vit_weights_free(&weights);
        vitc_aligned_free(trained_logits);
        vitc_aligned_free(logits);
        vit_trainer_free(trainer);
    }
}

/* Positions that are all 0 change nothing. */
static void zeros_are_no_positions(void **unused)
{
    (void)unused;
    static position_case cases[CASES_MAX];
    const size_t count = make_cases(cases);
    for (size_t i = 0; i < count; i++) {
        if (cases[i].config.position == PATCHES_POSITION_NONE ||
            cases[i].config.position == PATCHES_POSITION_SINCOS_2D ||
            cases[i].config.position == PATCHES_POSITION_ROPE_2D)
            continue;
        vit_config none = cases[i].config;
        none.position = PATCHES_POSITION_NONE;
        none.position_op = PATCHES_POSITION_ADD;
        none.position_covers_prefix = false;
        const vit_train_options options = options_for(2);
        float *targets = random_targets(&none, BATCH, 3);
        vit_pass pass;
        vit_trainer *with = make_trainer(&cases[i].config, &options);
        vit_trainer *without = make_trainer(&none, &options);
        vit_param_table table, other;
        assert_int_equal(vit_params_create(&table, &cases[i].config, NULL), VITC_OK);
        assert_int_equal(vit_params_create(&other, &none, NULL), VITC_OK);
        randomize(without);
        random_images(with, BATCH, 9);
        random_images(without, BATCH, 9);
        for (size_t j = 0; j < other.count; j++) {
            const vit_param *p = &other.params[j];
            const size_t at = table.params[vit_params_find(&table, p->id, p->layer)].offset;
            memcpy(vit_trainer_parameters(with) + at, vit_trainer_parameters(without) + p->offset,
                   p->count * sizeof(float));
        }
        run(with, &pass, targets, 0);
        run(without, &pass, targets, 0);
        for (size_t j = 0; j < other.count; j++) {
            const vit_param *p = &other.params[j];
            const size_t at = table.params[vit_params_find(&table, p->id, p->layer)].offset;
            if (memcmp(vit_trainer_gradients(with) + at, vit_trainer_gradients(without) + p->offset,
                       p->count * sizeof(float)) != 0)
                fail_msg("%s: %s has another gradient", cases[i].name, p->name);
        }
        vit_params_free(&table);
        vit_params_free(&other);
        free(targets);
        vit_trainer_free(with);
        vit_trainer_free(without);
    }
}

/* What is drawn is the same in each pass of a number: the loss as a function of the parameters has
 * differences then, to what float32 shows of them. */
static void what_is_left_out_has_its_gradient(void **unused)
{
    (void)unused;
    for (int variant = 0; variant < 4; variant++) {
        vit_config config = small_config((size_t)variant);
        config.position =
            variant % 2 == 0 ? PATCHES_POSITION_LEARNED_1D : PATCHES_POSITION_FACTORIZED;
        config.position_covers_prefix = variant % 2 == 0;
        config.position_op = PATCHES_POSITION_MUL;
        config.position_at = variant < 2 ? PATCHES_POSITION_EVERY : PATCHES_POSITION_EVERY_SHARED;
        vit_train_options options = options_for(2);
        options.dropout = 0.2f;
        options.drop_path = 0.3f;
        options.recompute = variant == 1;
        float *targets = random_targets(&config, BATCH, 3);
        vit_pass pass;
        vit_trainer *trainer = trained(&config, &options, targets, &pass);
        const size_t count = vit_trainer_count(trainer);
        float *w = vit_trainer_parameters(trainer), *dw = vit_trainer_gradients(trainer);
        float *start = malloc(count * sizeof *start), *step = malloc(count * sizeof *step);
        assert_non_null(start);
        assert_non_null(step);
        double size = 0, slope = 0, losses[2];
        for (size_t i = 0; i < count; i++) size += (double)dw[i] * (double)dw[i];
        for (size_t i = 0; i < count; i++) { /* along the gradient, whose slope is its length */
            start[i] = w[i];
            step[i] = (float)(1e-3 * (double)dw[i] / sqrt(size));
            slope += (double)dw[i] * (double)step[i];
        }
        for (int side = 0; side < 2; side++) {
            for (size_t i = 0; i < count; i++) w[i] = start[i] + (side == 0 ? step[i] : -step[i]);
            run(trainer, &pass, targets, 0);
            losses[side] = pass.loss * BATCH;
        }
        const double found = (losses[0] - losses[1]) / 2;
        if (!(fabs(found - slope) < 2e-3 * slope))
            fail_msg("variant %d: the slope is %g, differences give %g", variant, slope, found);
        free(start);
        free(step);
        free(targets);
        vit_trainer_free(trainer);
    }
}

static void frozen_positions_keep_their_gradients(void **unused)
{
    (void)unused;
    static position_case cases[CASES_MAX];
    const size_t count = make_cases(cases);
    for (size_t i = 0; i < count; i++) {
        const vit_config *config = &cases[i].config;
        vit_train_options options = options_for(2);
        float *targets = random_targets(config, BATCH, 3);
        vit_pass pass;
        vit_trainer *whole = trained(config, &options, targets, &pass);
        vit_param_table table;
        assert_int_equal(vit_params_create(&table, config, NULL), VITC_OK);
        for (uint32_t frozen = 1; frozen <= config->layers; frozen++) {
            options.frozen = frozen;
            vit_trainer *part = trained(config, &options, targets, &pass);
            for (size_t k = 0; k < table.count; k++) {
                const vit_param *p = &table.params[k];
                const bool learns =
                    vit_param_in_block(p->id) ? p->layer >= frozen : p->id > VIT_LS2_GAMMA;
                for (size_t j = p->offset; j < p->offset + p->count; j++)
                    if (vit_trainer_gradients(part)[j] !=
                        (learns ? vit_trainer_gradients(whole)[j] : 0))
                        fail_msg("%s: %u frozen: %s", cases[i].name, frozen, p->name);
            }
            vit_trainer_free(part);
        }
        vit_params_free(&table);
        free(targets);
        vit_trainer_free(whole);
    }
}

static void positions_start_as_stated(void **unused)
{
    (void)unused;
    static position_case cases[CASES_MAX];
    const size_t count = make_cases(cases);
    const vit_train_options options = options_for(1);
    size_t tables = 0;
    for (size_t i = 0; i < count; i++) {
        vit_config config = cases[i].config;
        config.width = 64; /* numbers enough to see a deviation */
        vit_trainer *trainer = make_trainer(&config, &options);
        vit_trainer_initialize(trainer, 4, 0.3f);
        vit_param_table table;
        assert_int_equal(vit_params_create(&table, &config, NULL), VITC_OK);
        for (size_t j = 0; j < table.count; j++) {
            const vit_param *p = &table.params[j];
            const bool relative = strstr(p->name, "relative_position") != NULL;
            if (strstr(p->name, "pos_embed") == NULL && !relative) continue;
            double square = 0;
            for (size_t k = p->offset; k < p->offset + p->count; k++) {
                const double value = (double)vit_trainer_parameters(trainer)[k];
                square += value * value / (double)p->count;
            }
            const double expected = relative ? 0 : 0.3;
            assert_true(fabs(sqrt(square) - expected) <= 5 * expected / sqrt((double)p->count));
            tables++;
        }
        vit_params_free(&table);
        vit_trainer_free(trainer);
    }
    /* stem and shared 1 table, every 3; two of them for kinds with axes; add and mul */
    assert_int_equal(tables, 2 * (1 + 1 + 3) * (1 + 2 + 2) + 3 + 1);
}

/* ---- dropped patches ---- */

static vit_config dropping_config(size_t number)
{
    vit_config config = small_config(number);
    static const patches_position_kind kinds[] = {
        PATCHES_POSITION_LEARNED_2D, PATCHES_POSITION_NONE, PATCHES_POSITION_LEARNED_1D,
        PATCHES_POSITION_FACTORIZED, PATCHES_POSITION_SINCOS_2D};
    config.position = kinds[number % 5];
    config.position_covers_prefix = config.position == PATCHES_POSITION_LEARNED_1D;
    if (config.position != PATCHES_POSITION_NONE && number > 4)
        config.position_op = PATCHES_POSITION_MUL;
    return config;
}

/* A pass that drops patches is one of the patches that it keeps. */
static void kept_patches_are_trained_alone(void **unused)
{
    (void)unused;
    static const float rates[] = {0.5f, 0.25f, 0.9f, 0.99f};
    static const uint32_t kept[] = {6, 9, 1, 1};
    for (size_t i = 0; i < 10; i++) {
        const vit_config config = dropping_config(i);
        vit_train_options options = options_for(2);
        options.patch_dropout = rates[i % 4];
        float *targets = random_targets(&config, BATCH, 3);
        vit_pass pass, other;
        vit_trainer *trainer = trained(&config, &options, targets, &pass);
        assert_int_equal(trainer->patch_count, kept[i % 4]);
        reference r = reference_create(&config, vit_trainer_parameters(trainer));
        double loss = 0, *patches = doubles(patch_floats(&config));
        double *target = doubles(config.classes);
        r.kept_count = kept[i % 4];
        for (uint32_t b = 0; b < BATCH; b++) {
            r.kept = trainer->chosen + b * r.kept_count;
            for (uint32_t k = 0; k < r.kept_count; k++)
                assert_true(r.kept[k] < 12 && (k == 0 || r.kept[k] > r.kept[k - 1]));
            for (size_t j = 0; j < patch_floats(&config); j++)
                patches[j] = (double)vit_trainer_patches(trainer, b)[j];
            for (size_t k = 0; k < config.classes; k++)
                target[k] = (double)targets[b * config.classes + k];
            loss += reference_image(&r, patches, target, true);
        }
        assert_true(fabs(pass.loss - loss / BATCH) < 1e-5 * loss);
        compare(&r.table, trainer, r.dw, F32_TOLERANCE, "kept patches");

        for (int variant = 0; variant < 4; variant++) {
            vit_train_options more = options;
            more.threads = variant % 2 == 0 ? 1 : 3;
            more.recompute = variant >= 2;
            vit_trainer *again = trained(&config, &more, targets, &other);
            assert_same_bits(trainer, again, "kept patches");
            vit_trainer_free(again);
        }
        reference_free(&r);
        free(patches);
        free(target);
        free(targets);
        vit_trainer_free(trainer);
    }
}

/* Forward passes see all patches, also between passes that do not. */
static void logits_are_of_all_patches(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < 6; i++) {
        const vit_config config = dropping_config(i);
        vit_train_options options = options_for(2);
        if (i % 2 == 1) options.group = BATCH;
        float *targets = random_targets(&config, BATCH, 3);
        float *expected = test_floats(BATCH * config.classes);
        float *found = test_floats(BATCH * config.classes);
        const size_t size = BATCH * config.classes * sizeof *found;
        vit_pass pass;
        vit_trainer *whole = trained(&config, &options, targets, &pass);
        assert_int_equal(vit_trainer_logits(whole, expected, BATCH, &log_lines), VITC_OK);
        options.patch_dropout = i < 3 ? 0.5f : 0.9f;
        vit_trainer *trainer = trained(&config, &options, targets, &pass);
        assert_int_equal(vit_trainer_logits(trainer, found, BATCH, &log_lines), VITC_OK);
        assert_memory_equal(expected, found, size);
        run(trainer, &pass, targets, 1);
        assert_int_equal(vit_trainer_logits(trainer, found, BATCH, &log_lines), VITC_OK);
        assert_memory_equal(expected, found, size);
        assert_true(vit_trainer_size(&config, &options) <
                    vit_trainer_size(&config, vit_trainer_options(whole)));
        vitc_aligned_free(expected);
        vitc_aligned_free(found);
        free(targets);
        vit_trainer_free(trainer);
        vit_trainer_free(whole);
    }
}

/* Passes of a trainer that drops patches are, when it is told so, those of one that does not. */
static void all_patches_are_kept_when_asked(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < 6; i++) {
        const vit_config config = dropping_config(i);
        vit_train_options options = options_for(2);
        options.group = i % 2 == 0 ? 0 : BATCH;
        options.patch_dropout = i < 3 ? 0.5f : 0.9f;
        options.recompute = i == 4;
        float *targets = random_targets(&config, BATCH, 3);
        vit_pass pass, expected;
        vit_trainer *trainer = trained(&config, &options, targets, &pass);
        vit_trainer_zero_gradients(trainer);
        vit_trainer_keep_patches(trainer, true);
        run(trainer, &pass, targets, 0);
        options.group = trainer->whole_group;
        options.patch_dropout = 0;
        vit_trainer *whole = trained(&config, &options, targets, &expected);
        assert_same_bits(whole, trainer, "all patches");
        assert_true(pass.loss == expected.loss);
        vit_trainer_keep_patches(trainer, false);
        run(trainer, &pass, targets, 0);
        assert_true(trainer->patch_count < vit_config_patches(&config));
        assert_true(pass.loss != expected.loss);
        free(targets);
        vit_trainer_free(trainer);
        vit_trainer_free(whole);
    }
}

/* Each pass, image and seed keeps others, and each patch as often as the next. */
static void choices_are_even(void **unused)
{
    (void)unused;
    enum { PASSES = 200, PATCHES = 12 };
    const vit_config config = dropping_config(0);
    vit_train_options options = options_for(1);
    options.patch_dropout = 0.5f;
    float *targets = random_targets(&config, BATCH, 3);
    vit_pass pass;
    vit_trainer *trainer = trained(&config, &options, targets, &pass);
    int times[PATCHES] = {0}, same = 0;
    uint32_t last[PATCHES] = {0};
    for (uint64_t number = 0; number < PASSES; number++) {
        run(trainer, &pass, targets, number);
        const size_t kept = trainer->patch_count;
        for (size_t i = 0; i < BATCH * kept; i++) times[trainer->chosen[i]]++;
        for (size_t b = 0; b < BATCH; b++) {
            same += memcmp(last, trainer->chosen + b * kept, kept * sizeof *last) == 0;
            memcpy(last, trainer->chosen + b * kept, kept * sizeof *last);
        }
    }
    const double mean = 0.5 * PASSES * BATCH, deviation = sqrt(0.25 * PASSES * BATCH);
    for (int i = 0; i < PATCHES; i++) assert_true(fabs(times[i] - mean) < 5 * deviation);
    assert_true(same < 15); /* of 1000, where 924 choices are equally likely */
    run(trainer, &pass, targets, 7);
    uint32_t *first = malloc(BATCH * 6 * sizeof *first);
    assert_non_null(first);
    memcpy(first, trainer->chosen, BATCH * 6 * sizeof *first);
    run(trainer, &pass, targets, 8);
    run(trainer, &pass, targets, 7);
    assert_memory_equal(first, trainer->chosen, BATCH * 6 * sizeof *first);
    vit_trainer_free(trainer);
    options.seed = 1;
    trainer = make_trainer(&config, &options);
    randomize(trainer);
    random_images(trainer, BATCH, 9);
    run(trainer, &pass, targets, 7);
    assert_memory_not_equal(first, trainer->chosen, BATCH * 6 * sizeof *first);
    free(first);
    free(targets);
    vit_trainer_free(trainer);
}

static void dropping_inside_blocks_is_refused(void **unused)
{
    (void)unused;
    static position_case cases[CASES_MAX];
    const size_t count = make_cases(cases);
    size_t refused = 0;
    for (size_t i = 0; i < count; i++) {
        message_log messages;
        const vitc_log log = message_log_start(&messages);
        const vit_config *config = &cases[i].config;
        vit_train_options options = options_for(1);
        options.patch_dropout = 0.5f;
        const bool takes = config->position == PATCHES_POSITION_NONE ||
                           config->position_at == PATCHES_POSITION_STEM;
        assert_int_equal(vit_trainer_check(config, &options, &log),
                         takes ? VITC_OK : VITC_ERR_ARGUMENT);
        if (!takes) assert_says(&messages, patches_position_string(config->position));
        refused += !takes;
    }
    assert_int_equal(refused, 4 * 2 * 2 + 2 + 2);
    for (int variant = 0; variant < 3; variant++) {
        message_log messages;
        const vitc_log log = message_log_start(&messages);
        const vit_config config = dropping_config(0);
        vit_train_options options = options_for(1);
        static const float rates[] = {1, -0.1f, NAN};
        options.patch_dropout = rates[variant];
        assert_int_equal(vit_trainer_check(&config, &options, &log), VITC_ERR_ARGUMENT);
        assert_says(&messages, "patch dropout");
    }
}

/* ---- what is complete ---- */

enum { REPORTS_MAX = 16 };

typedef struct reports {
    vit_trainer *trainer;
    pthread_t thread;
    size_t from[REPORTS_MAX], count[REPORTS_MAX], calls;
    float *seen; /* gradients as they were when they were reported */
} reports;

static void note(void *user, size_t from, size_t count)
{
    reports *r = user;
    assert_true(pthread_equal(pthread_self(), r->thread));
    assert_true(r->calls < REPORTS_MAX);
    r->from[r->calls] = from;
    r->count[r->calls++] = count;
    memcpy(r->seen + from, vit_trainer_gradients(r->trainer) + from, count * sizeof(float));
}

static void check_reports(const vit_config *config, uint32_t frozen, bool recompute, int threads,
                          const char *name)
{
    reports r = {.thread = pthread_self()};
    vit_train_options options = options_for(threads);
    options.frozen = frozen;
    options.recompute = recompute;
    options.ready = note;
    options.ready_user = &r;
    float *targets = random_targets(config, BATCH, 3);
    vit_trainer *trainer = r.trainer = make_trainer(config, &options);
    randomize(trainer);
    random_images(trainer, BATCH, 9);
    const size_t count = vit_trainer_count(trainer);
    float *seen = r.seen = calloc(count, sizeof *r.seen);
    assert_non_null(seen);
    vit_pass pass;
    for (int time = 0; time < 2; time++) {
        r.calls = 0;
        run(trainer, &pass, targets, 0);
        size_t end = count;
        for (size_t i = 0; i < r.calls; i++) {
            assert_int_equal(r.from[i] + r.count[i], end);
            assert_true(r.count[i] > 0);
            end = r.from[i];
        }
        /* what is not reported has no gradient */
        for (size_t i = 0; i < end; i++)
            if (vit_trainer_gradients(trainer)[i] != 0) fail_msg("%s: not reported", name);
        if (memcmp(seen + end, vit_trainer_gradients(trainer) + end,
                   (count - end) * sizeof *seen) != 0)
            fail_msg("%s: reported before it was complete", name);
        if (frozen == 0) assert_int_equal(end, 0);
        const bool joined = patches_position_has_table(config->position) &&
                            config->position_at == PATCHES_POSITION_EVERY;
        const size_t units = 1 + (config->layers - frozen) + (frozen == 0);
        assert_int_equal(r.calls, units - (frozen == 0 && joined));
    }
    free(seen);
    free(targets);
    vit_trainer_free(trainer);
}

static void gradients_are_reported_when_complete(void **unused)
{
    (void)unused;
    static position_case cases[CASES_MAX];
    const size_t count = make_cases(cases);
    for (size_t i = 0; i < count; i++)
        for (uint32_t frozen = 0; frozen <= 3; frozen++)
            check_reports(&cases[i].config, frozen, i % 2 == 0, 1 + (int)(i + frozen) % 3,
                          cases[i].name);
}

/* Of a pass that fails nothing is reported. */
static void failed_passes_report_nothing(void **unused)
{
    (void)unused;
    const vit_config config = small_config(0);
    reports r = {.thread = pthread_self()};
    vit_train_options options = options_for(2);
    options.ready = note;
    options.ready_user = &r;
    vit_trainer *trainer = make_trainer(&config, &options);
    randomize(trainer);
    random_images(trainer, BATCH, 9);
    float *targets = random_targets(&config, BATCH, 3);
    vit_trainer_patches(trainer, BATCH - 1)[0] = NAN;
    vit_pass pass;
    assert_int_equal(vit_trainer_run(trainer, &pass, targets, BATCH, 1, 0, NULL),
                     VITC_ERR_INTERNAL);
    assert_int_equal(r.calls, 0);
    free(targets);
    vit_trainer_free(trainer);
}

int main(void)
{
    (void)test_kernels_or_skip();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_its_gradient),
        cmocka_unit_test(models_compute_the_same),
        cmocka_unit_test(zeros_are_no_positions),
        cmocka_unit_test(what_is_left_out_has_its_gradient),
        cmocka_unit_test(frozen_positions_keep_their_gradients),
        cmocka_unit_test(positions_start_as_stated),
        cmocka_unit_test(kept_patches_are_trained_alone),
        cmocka_unit_test(logits_are_of_all_patches),
        cmocka_unit_test(all_patches_are_kept_when_asked),
        cmocka_unit_test(choices_are_even),
        cmocka_unit_test(dropping_inside_blocks_is_refused),
        cmocka_unit_test(gradients_are_reported_when_complete),
        cmocka_unit_test(failed_passes_report_nothing),
    };
    return cmocka_run_group_tests_name("positions in training", tests, NULL, NULL);
}
