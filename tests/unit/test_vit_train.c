/* What a trainer promises besides right gradients (test_vit_train_gradients.c): the same bits
 * however the work is shared or memory saved, what is left out drawn by counting, what is refused
 * and what is not finite named; and a small model that learns. */
#include "test_malloc_fail.h"
#include "vit_optimizer.h"
#include "vit_train_layout.h"
#include "vit_train_support.h"
#include "vit_weights_support.h"

static vit_config testing(void)
{
    vit_config config;
    assert_int_equal(vit_config_named(&config, "testing", &log_lines), VITC_OK);
    config.image_width = 64;
    config.patch = 8; /* 32 patches */
    return config;
}

static vit_train_options options_for(uint32_t batch, int threads)
{
    vit_train_options options = vit_train_options_default();
    options.batch = batch;
    options.threads = threads;
    return options;
}

/* One pass of random images through a fresh trainer; gradients to be freed. */
static float *gradients_of(const vit_config *config, const vit_train_options *options,
                           uint32_t batch, uint64_t number, vit_pass *pass)
{
    vit_trainer *trainer = make_trainer(config, options);
    randomize(trainer);
    random_images(trainer, batch, 5);
    float *targets = random_targets(config, batch, 6);
    assert_int_equal(
        vit_trainer_run(trainer, pass, targets, batch, 1 / (float)batch, number, &log_lines),
        VITC_OK);
    const size_t size = vit_trainer_count(trainer) * sizeof(float);
    float *gradients = malloc(size);
    assert_non_null(gradients);
    memcpy(gradients, vit_trainer_gradients(trainer), size);
    free(targets);
    vit_trainer_free(trainer);
    return gradients;
}

static void assert_same(const vit_config *config, const vit_train_options *a,
                        const vit_train_options *b, uint32_t batch, bool same)
{
    vit_pass pass_a, pass_b;
    float *first = gradients_of(config, a, batch, 3, &pass_a);
    float *second = gradients_of(config, b, batch, 3, &pass_b);
    const size_t size = (size_t)vit_config_parameters(config) * sizeof(float);
    assert_true((memcmp(first, second, size) == 0) == same);
    assert_true((memcmp(&pass_a.loss, &pass_b.loss, sizeof pass_a.loss) == 0) == same);
    if (same) assert_int_equal(pass_a.right, pass_b.right);
    free(first);
    free(second);
}

/* ---- bits ---- */

static void threads_change_no_bit(void **unused)
{
    (void)unused;
    for (int variant = 0; variant < 6; variant++) {
        vit_config config = testing();
        config.layer_scale = variant == 1;
        if (variant == 2) config.pool = VIT_POOL_AVG;
        vit_train_options one = options_for(9, 1);
        if (variant == 3) one.precision = VIT_PRECISION_BF16;
        if (variant == 4) one.drop_path = one.dropout = 0.2f;
        if (variant == 5) one.group = 1; /* fewer tokens than are worth a part */
        for (int threads = 2; threads <= 5; threads++) {
            vit_train_options more = one;
            more.threads = threads;
            assert_same(&config, &one, &more, 9, true);
        }
    }
}

static void recomputing_changes_no_bit(void **unused)
{
    (void)unused;
    for (int variant = 0; variant < 4; variant++) {
        vit_config config = testing();
        config.layers = 3;
        config.layer_scale = variant == 1;
        if (variant == 2) config.pool = VIT_POOL_AVG;
        vit_train_options keep = options_for(6, 2);
        keep.group = 4;
        if (variant == 3) keep.drop_path = keep.dropout = 0.3f;
        vit_train_options again = keep;
        again.recompute = true;
        assert_true(vit_trainer_size(&config, &again) < vit_trainer_size(&config, &keep));
        assert_same(&config, &keep, &again, 6, true);
    }
}

/* The rest of a batch, or of a trainer, has no part in a pass. */
static void smaller_batches_are_batches(void **unused)
{
    (void)unused;
    const vit_config config = testing();
    vit_train_options small = options_for(5, 2), large = options_for(40, 2);
    small.group = large.group = 3;
    assert_same(&config, &small, &large, 5, true);
}

/* What is right and what is lost, of images that the trainer gives logits for. */
static void passes_tell_loss_and_hits(void **unused)
{
    (void)unused;
    enum { IMAGES = 7 };
    const vit_config config = testing();
    const vit_train_options options = options_for(IMAGES, 2);
    vit_trainer *trainer = make_trainer(&config, &options);
    randomize(trainer);
    random_images(trainer, IMAGES, 5);
    float *targets = random_targets(&config, IMAGES, 6);
    float *logits = test_floats((size_t)IMAGES * config.classes);
    assert_int_equal(vit_trainer_logits(trainer, logits, IMAGES, &log_lines), VITC_OK);
    double loss = 0;
    uint64_t right = 0;
    for (uint32_t b = 0; b < IMAGES; b++) {
        const float *z = logits + b * config.classes, *t = targets + b * config.classes;
        size_t best = 0, wanted = 0;
        double sum = 0;
        for (size_t k = 0; k < config.classes; k++) {
            sum += exp((double)z[k]);
            if (z[k] > z[best]) best = k;
            if (t[k] > t[wanted]) wanted = k;
        }
        for (size_t k = 0; k < config.classes; k++)
            loss -= (double)t[k] * ((double)z[k] - log(sum)) / IMAGES;
        right += best == wanted;
    }
    vit_pass pass;
    assert_int_equal(vit_trainer_run(trainer, &pass, targets, IMAGES, 1, 0, &log_lines), VITC_OK);
    assert_true(fabs(pass.loss - loss) < 1e-6 * loss);
    assert_int_equal(pass.right, right);
    vitc_aligned_free(logits);
    free(targets);
    vit_trainer_free(trainer);
}

/* ---- what is left out ---- */

static void what_is_left_out_repeats(void **unused)
{
    (void)unused;
    vit_config config = testing();
    config.layers = 3;
    const size_t size = (size_t)vit_config_parameters(&config) * sizeof(float);
    for (int variant = 0; variant < 2; variant++) {
        vit_train_options options = options_for(8, 2), other;
        *(variant == 0 ? &options.drop_path : &options.dropout) = 0.4f;
        assert_same(&config, &options, &options, 8, true);
        other = options;
        other.seed++;
        assert_same(&config, &options, &other, 8, false);
        other = options_for(8, 2);
        assert_same(&config, &options, &other, 8, false);
        vit_pass pass;
        float *first = gradients_of(&config, &options, 8, 3, &pass);
        float *second = gradients_of(&config, &options, 8, 4, &pass);
        assert_memory_not_equal(first, second, size);
        free(first);
        free(second);
    }
}

/* Ones, of which some are left out: what is kept makes up for it. */
static void what_is_kept_is_scaled_up(void **unused)
{
    (void)unused;
    enum { IMAGES = 400 };
    vit_config config = testing();
    config.layers = 3;
    const size_t n = vit_config_tokens(&config), d = config.width;
    const float quarter = 0.25f;
    for (int variant = 0; variant < 4; variant++) {
        vit_train_options options = options_for(IMAGES, 1);
        options.group = IMAGES;
        vit_trainer *trainer = make_trainer(&config, &options);
        const bool path = variant < 2;
        trainer->drop = (train_drop){.path = path ? 2 * quarter : 0, .dropout = path ? 0 : quarter};
        /* path: half of the last block's probability in the middle one, none in the embedding */
        const train_place places[] = {{1, 1}, {0, 0}, {0, 0}, {2, 2}};
        const train_place place = places[variant];
        const train_rows rows = {IMAGES * n, 1};
        float *x = trainer->normed;
        for (size_t i = 0; i < rows.count * trainer->ld.token; i++) x[i] = 1;
        vit_train_drop(trainer, x, rows, place);
        size_t kept = 0, images = 0;
        for (size_t r = 0; r < rows.count; r++) {
            const float *row = x + r * trainer->ld.token,
                        *image = x + r / n * n * trainer->ld.token;
            for (size_t i = 0; i < d; i++) {
                kept += row[i] != 0;
                assert_true(row[i] == 0 || fabsf(row[i] * (1 - quarter) - 1) < 1e-6f ||
                            variant == 1);
                if (path) assert_true(row[i] == image[0]); /* images as a whole */
            }
            images += row[0] != 0 && r % n == 0;
        }
        const double share =
            path ? (double)images / IMAGES : (double)kept / (double)(rows.count * d);
        const double deviation = sqrt(0.25 * 0.75 / (path ? IMAGES : (double)(rows.count * d)));
        assert_true(fabs(share - (variant == 1 ? 1 : 0.75)) <= (variant == 1 ? 0 : 5 * deviation));
        vit_trainer_free(trainer);
    }
}

/* Fewer tokens make longer runs in the backward pass of attention, which may need more scratch than
 * all of them. */
static void scratch_is_enough_for_fewer_patches(void **unused)
{
    (void)unused;
    static const uint32_t grids[] = {14, 16, 24, 32};
    for (size_t g = 0; g < sizeof grids / sizeof grids[0]; g++)
        for (int percent = 2; percent <= 60; percent++) {
            vit_config config = testing();
            config.patch = 4;
            config.image_height = config.image_width = grids[g] * config.patch;
            config.width = config.mlp = 64;
            config.layers = config.heads = 1;
            vit_train_options options = options_for(1, 1);
            options.patch_dropout = (float)percent / 100;
            if (percent % 2 != 0) options.precision = VIT_PRECISION_BF16;
            vit_trainer *trainer = make_trainer(&config, &options);
            const size_t tokens = vit_config_prefix_tokens(&config) + trainer->kept;
            assert_true(tokens < vit_config_tokens(&config));
            assert_true(vit_op_attention_backward_thread(trainer->attention_gemm, tokens, 64) <=
                        trainer->scratch.thread_size);
            vit_trainer_free(trainer);
        }
}

static void frozen_blocks_keep_their_gradients(void **unused)
{
    (void)unused;
    vit_config config = testing();
    config.layers = 3;
    const vit_train_options all = options_for(4, 2);
    vit_pass pass;
    float *whole = gradients_of(&config, &all, 4, 0, &pass);
    vit_param_table table;
    assert_int_equal(vit_params_create(&table, &config, &log_lines), VITC_OK);
    for (uint32_t frozen = 1; frozen <= 3; frozen++) {
        vit_train_options options = all;
        options.frozen = frozen;
        float *part = gradients_of(&config, &options, 4, 0, &pass);
        for (size_t i = 0; i < table.count; i++) {
            const vit_param *p = &table.params[i];
            const bool trained =
                vit_param_in_block(p->id) ? p->layer >= frozen : p->id > VIT_LS2_GAMMA;
            for (size_t j = p->offset; j < p->offset + p->count; j++)
                assert_true(trained ? part[j] == whole[j] : part[j] == 0);
        }
        free(part);
    }
    vit_params_free(&table);
    free(whole);
}

/* ---- bad input ---- */

static void untrainable_is_refused(void **unused)
{
    (void)unused;
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    const vit_train_options options = vit_train_options_default();
    for (int variant = 0; variant < 4; variant++) {
        vit_config config = testing();
        static const char *const names[] = {"distillation head", "softmax", "patch size",
                                            "at the stem"};
        config.distillation_token = config.distilled_head = variant == 0;
        if (variant == 1) config.scores = VIT_SCORES_SIGMOID;
        if (variant == 2) config.patch = 0;
        if (variant == 3) {
            config.position = PATCHES_POSITION_RELATIVE;
            config.position_covers_prefix = false;
        }
        vit_trainer *trainer = NULL;
        message_log_start(&messages);
        assert_int_equal(vit_trainer_create(&trainer, &config, &options, &log),
                         variant < 2 ? VITC_ERR_UNSUPPORTED : VITC_ERR_MODEL);
        assert_null(trainer);
        assert_int_equal(messages.errors, 1);
        assert_says(&messages, names[variant]);
        assert_int_equal(vit_trainer_size(&config, &options), 0);
    }
}

static void bad_options_are_refused(void **unused)
{
    (void)unused;
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    vit_config config = testing();
    static const char *const names[] = {
        "at least one image", "drop path", "drop path", "dropout", "frozen",
        "precision",          "group",     "address"};
    for (int variant = 0; variant < 8; variant++) {
        vit_train_options options = vit_train_options_default();
        if (variant == 0) options.batch = 0;
        if (variant == 1) options.drop_path = 1;
        if (variant == 2) options.drop_path = NAN;
        if (variant == 3) options.dropout = -0.1f;
        if (variant == 4) options.frozen = config.layers + 1;
        if (variant == 5) options.precision = VIT_PRECISION_INT8;
        if (variant == 6) options.group = 5000;
        if (variant == 7) { /* 2^12 images of 2^20 tokens of 2^18 numbers, in 2^10 blocks */
            options.batch = UINT32_MAX;
            options.group = 4096;
            config.layers = 1024;
            config.mlp = 1 << 18;
            config.image_height = config.image_width = 16384;
            config.patch = 16;
            config.width = 65536;
        }
        vit_trainer *trainer = NULL;
        message_log_start(&messages);
        assert_int_equal(vit_trainer_create(&trainer, &config, &options, &log),
                         variant < 7 ? VITC_ERR_ARGUMENT : VITC_ERR_TOO_LARGE);
        assert_null(trainer);
        assert_int_equal(messages.errors, 1);
        assert_says(&messages, names[variant]);
    }
}

static void nonfinite_numbers_are_named(void **unused)
{
    (void)unused;
    enum { IMAGES = 5 };
    static const char *const names[] = {
        "image 3", "image 2", "blocks.1.attn.proj.weight: ", "block 1, fc1", "gradient of"};
    const vit_config config = testing();
    vit_param_table table;
    assert_int_equal(vit_params_create(&table, &config, &log_lines), VITC_OK);
    for (int variant = 0; variant < 10; variant++) {
        message_log messages;
        const vitc_log log = message_log_start(&messages);
        vit_train_options options = options_for(IMAGES, 2);
        options.group = 2;
        options.recompute = variant >= 5;
        vit_trainer *trainer = make_trainer(&config, &options);
        randomize(trainer);
        random_images(trainer, IMAGES, 5);
        float *targets = random_targets(&config, IMAGES, 6), *w = vit_trainer_parameters(trainer);
        const int what = variant % 5;
        if (what == 0) vit_trainer_patches(trainer, 3)[17] = NAN;
        if (what == 1) targets[2 * config.classes] = INFINITY;
        if (what == 2) w[table.params[vit_params_find(&table, VIT_PROJ_WEIGHT, 1)].offset] = NAN;
        if (what == 3) { /* finite weights whose product is not */
            const vit_param *p = &table.params[vit_params_find(&table, VIT_FC1_WEIGHT, 1)];
            for (size_t i = 0; i < p->count; i++) w[p->offset + i] *= 3e38f;
        }
        vit_pass pass;
        assert_int_equal(
            vit_trainer_run(trainer, &pass, targets, IMAGES, what == 4 ? 3e38f : 1, 0, &log),
            VITC_ERR_INTERNAL);
        assert_int_equal(messages.errors, 1);
        assert_says(&messages, names[what]);
        free(targets);
        vit_trainer_free(trainer);
    }
    vit_params_free(&table);
}

static void batches_too_large_are_refused(void **unused)
{
    (void)unused;
    const vit_config config = testing();
    const vit_train_options options = options_for(4, 1);
    vit_trainer *trainer = make_trainer(&config, &options);
    float logits[8], targets[8] = {0};
    vit_pass pass;
    const uint32_t batches[] = {0, 5};
    for (size_t i = 0; i < 2; i++) {
        message_log messages;
        const vitc_log log = message_log_start(&messages);
        assert_int_equal(vit_trainer_run(trainer, &pass, targets, batches[i], 1, 0, &log),
                         VITC_ERR_ARGUMENT);
        assert_int_equal(vit_trainer_logits(trainer, logits, batches[i], &log), VITC_ERR_ARGUMENT);
        assert_int_equal(messages.errors, 2);
    }
    vit_trainer_free(trainer);
    vit_trainer_free(NULL);
}

static vitc_status create(void *user)
{
    const vit_train_options options = options_for(4, 1);
    vit_trainer *trainer = NULL;
    const vitc_status status = vit_trainer_create(&trainer, user, &options, NULL);
    vit_trainer_free(trainer);
    return status;
}

static void creating_survives_without_memory(void **unused)
{
    (void)unused;
    vit_config config = testing();
    assert_true(malloc_fail_each(create, &config) >= 4);
}

/* ---- what is left out ---- */

/* |a - b| / |a| */
static double distance(const float *a, const float *b, size_t count)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)a[i] * (double)a[i];
    }
    return sqrt(difference / size);
}

/* Cut into other batches, each image has the same left out: the gradients are those of one batch.
 */
static void what_is_left_out_follows_the_image(void **unused)
{
    (void)unused;
    enum { IMAGES = 6, FIRST = 4, NUMBER = 7 };
    const vit_config config = testing();
    vit_train_options options = options_for(IMAGES, 2);
    options.drop_path = 0.3F;
    options.dropout = 0.2F;
    options.patch_dropout = 0.5F;
    vit_trainer *trainer = make_trainer(&config, &options);
    randomize(trainer);
    random_images(trainer, IMAGES, 5);
    float *targets = random_targets(&config, IMAGES, 6);
    const size_t count = vit_trainer_count(trainer), floats = patch_floats(&config);
    float *whole = malloc(count * sizeof *whole), *rest = malloc(2 * floats * sizeof *rest);
    assert_non_null(whole);
    assert_non_null(rest);
    for (uint32_t b = FIRST; b < IMAGES; b++)
        memcpy(rest + (b - FIRST) * floats, vit_trainer_patches(trainer, b), floats * sizeof *rest);
    vit_pass pass;
    assert_int_equal(vit_trainer_run(trainer, &pass, targets, IMAGES, 1, NUMBER, &log_lines),
                     VITC_OK);
    memcpy(whole, vit_trainer_gradients(trainer), count * sizeof *whole);
    for (int same = 0; same < 2; same++) {
        const uint64_t number = NUMBER + (same != 0 ? FIRST : 0);
        vit_trainer_zero_gradients(trainer);
        random_images(trainer, IMAGES, 5);
        assert_int_equal(vit_trainer_run(trainer, &pass, targets, FIRST, 1, NUMBER, &log_lines),
                         VITC_OK);
        for (uint32_t b = FIRST; b < IMAGES; b++)
            memcpy(vit_trainer_patches(trainer, b - FIRST), rest + (b - FIRST) * floats,
                   floats * sizeof *rest);
        assert_int_equal(vit_trainer_run(trainer, &pass, targets + FIRST * config.classes,
                                         IMAGES - FIRST, 1, number, &log_lines),
                         VITC_OK);
        const double apart = distance(whole, vit_trainer_gradients(trainer), count);
        assert_true(same != 0 ? apart < 1e-5 : apart > 1e-2);
    }
    free(whole);
    free(rest);
    free(targets);
    vit_trainer_free(trainer);
}

/* ---- learning ---- */

enum { CLASSES = 4 };

/* Noise, and in one of the patches the pattern of a class. */
static void make_image(vit_trainer *trainer, uint32_t b, float *targets, uint64_t *state)
{
    const vit_config *c = vit_trainer_config(trainer);
    const size_t patch = (size_t)3 * c->patch * c->patch;
    const size_t where = test_random_bits(state) % vit_config_patches(c);
    const size_t label = test_random_bits(state) % CLASSES;
    float *rows = vit_trainer_patches(trainer, b);
    for (size_t i = 0; i < patch_floats(c); i++) rows[i] = 0.5f * test_random_normal(state);
    uint64_t pattern = 99 + label;
    for (size_t i = 0; i < patch; i++) rows[where * patch + i] += test_random_normal(&pattern);
    for (size_t k = 0; k < CLASSES; k++) targets[b * CLASSES + k] = k == label;
}

static void a_small_model_learns(void **unused)
{
    (void)unused;
    enum { IMAGES = 32, STEPS = 200, LAST = 20 };
    for (int variant = 0; variant < 3; variant++) {
        vit_config config = testing();
        config.classes = CLASSES;
        vit_train_options options = options_for(IMAGES, 2);
        if (variant == 1) options.precision = VIT_PRECISION_BF16;
        if (variant == 2) options.drop_path = options.dropout = 0.05f;
        vit_trainer *trainer = make_trainer(&config, &options);
        vit_trainer_initialize(trainer, 1, 0.02f);
        vit_optimizer_options adamw = vit_optimizer_options_default(VIT_OPTIMIZER_ADAMW);
        vit_optimizer *optimizer = NULL;
        assert_int_equal(vit_optimizer_create(&optimizer, &config, &adamw, &log_lines), VITC_OK);
        float *targets = calloc(IMAGES * CLASSES, sizeof *targets);
        assert_non_null(targets);
        uint64_t state = 1, right = 0;
        double first = 0, last = 0;
        for (int step = 0; step < STEPS; step++) {
            for (uint32_t b = 0; b < IMAGES; b++) make_image(trainer, b, targets, &state);
            vit_pass pass;
            vit_trainer_zero_gradients(trainer);
            assert_int_equal(vit_trainer_run(trainer, &pass, targets, IMAGES, 1.0f / IMAGES,
                                             (uint64_t)step * IMAGES, &log_lines),
                             VITC_OK);
            assert_int_equal(vit_optimizer_step(optimizer, vit_trainer_parameters(trainer),
                                                vit_trainer_gradients(trainer), 1e-2, NULL,
                                                &log_lines),
                             VITC_OK);
            if (step == 0) first = pass.loss;
            last = pass.loss;
            if (step >= STEPS - LAST) right += pass.right;
        }
        printf("%s: loss %.3f to %.3f, %.1f %% right\n", vit_precision_string(options.precision),
               first, last, 100.0 * (double)right / (IMAGES * LAST));
        assert_true(fabs(first - log(CLASSES)) < 1e-3); /* the head begins with zeros */
        assert_true((double)right > 0.95 * IMAGES * LAST);
        free(targets);
        vit_optimizer_free(optimizer);
        vit_trainer_free(trainer);
    }
}

int main(void)
{
    (void)test_kernels_or_skip();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(recomputing_changes_no_bit),
        cmocka_unit_test(smaller_batches_are_batches),
        cmocka_unit_test(what_is_left_out_follows_the_image),
        cmocka_unit_test(passes_tell_loss_and_hits),
        cmocka_unit_test(what_is_left_out_repeats),
        cmocka_unit_test(what_is_kept_is_scaled_up),
        cmocka_unit_test(scratch_is_enough_for_fewer_patches),
        cmocka_unit_test(frozen_blocks_keep_their_gradients),
        cmocka_unit_test(untrainable_is_refused),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(nonfinite_numbers_are_named),
        cmocka_unit_test(batches_too_large_are_refused),
        cmocka_unit_test(creating_survives_without_memory),
        cmocka_unit_test(a_small_model_learns),
    };
    return cmocka_run_group_tests_name("training", tests, NULL, NULL);
}
