/* What vitc train is told, and what holds where it is not told. */
#include "test_app_support.h"

#include <math.h>

#include "app_option_rows.h"
#include "app_options.h"
#include "app_train_recipe.h"

/* main.c has the commands of the program. */
const app_command app_commands[] = {{"train", "", "", "", 0, 1, NULL}};
const size_t app_command_count = 1;
const app_command *app_command_find(const char *name)
{
    return strcmp(name, "train") == 0 ? app_commands : NULL;
}

/* The recipe of a command line, its words separated by spaces. */
static app_recipe recipe_of(const char *line)
{
    static char text[2048];
    static char *words[256];
    app_settings settings;
    size_t count = 0;
    assert_true(strlen(line) < sizeof text);
    strcpy(text, line);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
        words[count++] = word;
    assert_true(app_options_parse(&settings, app_commands, words, count));
    return settings.train;
}

static vit_config config_of(uint32_t side)
{
    vit_config config;
    assert_int_equal(vit_config_named(&config, "testing", NULL), VITC_OK);
    config.image_height = config.image_width = side;
    return config;
}

static app_recipe complete_for(const char *line, uint32_t side, size_t images)
{
    app_recipe recipe = recipe_of(line);
    const vit_config config = config_of(side);
    assert_int_equal(app_recipe_complete(&recipe, &config, images), APP_EXIT_DONE);
    return recipe;
}

static app_recipe complete(const char *line, uint32_t side)
{
    return complete_for(line, side, 2000);
}

static char *json_of(const app_recipe *recipe)
{
    vitc_json *json = app_recipe_json(recipe);
    assert_non_null(json);
    char *text = vitc_json_dump(json, 0, 17);
    assert_non_null(text);
    vitc_json_free(json);
    return text;
}

/* A line that gives every option of a recipe a value that is not its default. */
static const char everything[] =
    "--model m --config vit-s16 --img-size 48x32 --patch 8 --dim 24 --depth 3 --heads 3 --mlp 50 "
    "--pool avg --pos rope-2d --pos-op mul --pos-at every --pos-std 0.125 --val-split 0.25 "
    "--class-names names --no-exif --max-pixels 1234 --seed 77 --epochs 9 --batch 10 "
    "--accumulate 3 --max-steps 99 --val-every 2 --optimizer muon --lr 0.01 --min-lr 0.001 "
    "--schedule step --step-epochs 2.5 --step-factor 0.3 --warmup 1.5 --weight-decay 0.01 "
    "--beta2 0.95 --momentum 0.8 --clip 2 --layer-decay 0.6 --ema 0.99 --freeze 1 "
    "--precision bf16 --recompute --smoothing 0.2 --drop-path 0.3 --dropout 0.05 "
    "--patch-dropout 0.4 --patch-dropout-off 0.2 --mixup 0.7 --cutmix 0.9 --mix-prob 0.35 "
    "--mix-off 0.15 --augment randaugment --crop-scale 0.3,0.9 --pad 3 --flip 0.4 --jitter 0.45 "
    "--hue 0.1 --randaugment 3,11 --erase 0.55 --soften 0.65 --blur 0.75 --sharpen 0.85";

static void a_recipe_is_read_as_it_was_written(void **state)
{
    (void)state;
    const app_recipe unset = app_recipe_unset(), all = recipe_of(everything);
    char *nothing = json_of(&unset), *text = json_of(&all);
    assert_string_equal(nothing, "{}");
    vitc_json *json;
    app_recipe again;
    assert_int_equal(vitc_json_parse(&json, text, strlen(text), "recipe", NULL), VITC_OK);
    assert_true(app_recipe_read(&again, json));
    char *once_more = json_of(&again);
    assert_string_equal(once_more, text);
    /* Every option of the table is in it. */
    size_t options = 0;
    for (size_t i = 0; i < app_train_option_count; i++) {
        const app_option *row = &app_train_options[i];
        options += row->kind != OPTION_HEADING && row->offset >= offsetof(app_settings, train) &&
                   row->offset < offsetof(app_settings, train) + sizeof(app_recipe);
    }
    assert_int_equal(vitc_json_size(json), options);
    vitc_json_free(json);
    free(nothing);
    free(text);
    free(once_more);
}

static void what_is_no_value_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"{\"lr\":\"fast\"}",    "{\"batch\":-1}",
                                        "{\"batch\":1.5}",      "{\"pool\":\"max\"}",
                                        "{\"recompute\":1}",    "{\"img_size\":[32]}",
                                        "{\"img_size\":[0,1]}", "{\"crop_scale\":[]}",
                                        "{\"model\":3}",        "[]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        vitc_json *json;
        app_recipe recipe;
        assert_int_equal(vitc_json_parse(&json, texts[i], strlen(texts[i]), "recipe", NULL),
                         VITC_OK);
        assert_false(app_recipe_read(&recipe, json));
        vitc_json_free(json);
    }
}

static void what_is_given_goes_over_what_is_there(void **state)
{
    (void)state;
    app_recipe recipe = complete("--lr 0.5", 32);
    const app_recipe before = recipe, none = app_recipe_unset();
    app_recipe_overlay(&recipe, &none);
    char *text = json_of(&recipe), *text_before = json_of(&before);
    assert_string_equal(text, text_before);
    free(text);
    free(text_before);
    const app_recipe given = recipe_of("--epochs 3 --pad 1 --pool token");
    app_recipe_overlay(&recipe, &given);
    assert_int_equal(recipe.epochs, 3);
    assert_int_equal(recipe.pad, 1);
    assert_int_equal(recipe.pool, VIT_POOL_TOKEN);
    assert_true(recipe.lr == 0.5);
    assert_int_equal(recipe.batch, before.batch);
}

static bool is_near(double a, double b)
{
    return fabs(a - b) <= 1e-12 * fabs(b);
}

static void defaults_suit_the_situation(void **state)
{
    (void)state;
    app_recipe r = complete("", 32); /* from scratch, small pictures */
    assert_int_equal(r.epochs, 100);
    assert_int_equal(r.batch, 128);
    assert_true(r.lr == 0.001 && is_near(r.min_lr, 0.00001) && r.layer_decay == 1);
    assert_int_equal(r.augment, APP_AUGMENT_CIFAR);
    assert_int_equal(r.pad, 4);
    assert_true(r.drop_path == 0.1 && r.mixup == 0 && r.cutmix == 0 && r.erase == 0);
    assert_true(r.warmup == 5);

    r = complete("--epochs 300 --batch 512", 224); /* long, photos */
    assert_true(is_near(r.lr, 0.002) && r.warmup == 10);
    assert_true(r.mixup == 0.8 && r.cutmix == 1 && r.erase == 0.25);
    assert_int_equal(r.augment, APP_AUGMENT_PHOTOS);
    assert_true(r.crop_scale.first == 0.25 && r.crop_scale.second == 1 && r.randaugment.first == 2);

    r = complete("--epochs 30", 32); /* short */
    assert_true(r.drop_path == 0 && r.mixup == 0);
    r = complete_for("--epochs 300 --max-steps 250", 32, 12800); /* the third epoch is cut short */
    assert_int_equal(app_recipe_steps_per_epoch(&r, 12800), 100);
    assert_int_equal(app_recipe_epochs(&r, 12800), 3);
    assert_int_equal(app_recipe_epochs(&r, 100), 250);
    assert_true(r.drop_path == 0 && r.mixup == 0 && is_near(r.warmup, 0.15));
    r = complete_for("--epochs 3 --max-steps 250", 32, 1280);
    assert_int_equal(app_recipe_epochs(&r, 1280), 3);

    r = complete("-m bundled", 128); /* fine-tuning */
    assert_int_equal(r.epochs, 20);
    assert_int_equal(r.batch, 64);
    assert_true(is_near(r.lr, 0.0003 * sqrt(0.5)) && r.layer_decay == 0.75 && r.drop_path == 0);
    assert_int_equal(r.augment, APP_AUGMENT_LIGHT);
    assert_int_equal(r.pad, UINT64_MAX);

    r = complete("-m bundled --freeze head --batch 128", 128); /* linear probe */
    assert_true(r.lr == 0.003 && r.layer_decay == 1);

    r = complete("--optimizer sgd", 32);
    assert_true(r.lr == 0.05 && r.weight_decay == 0.0001 && r.momentum == 0.9);
    r = complete("--optimizer muon", 32);
    assert_true(r.lr == 0.004 && r.momentum == 0.95);

    r = complete_for("-m bundled", 128, 55); /* steps to learn by, of few images */
    assert_int_equal(r.batch, 8);
    assert_true(is_near(r.lr, 0.0003 * sqrt(8.0 / 128)));
    assert_int_equal(r.epochs, 72); /* of 7 steps: 504 */
    r = complete_for("-m bundled", 128, 300);
    assert_int_equal(r.batch, 36);
    assert_int_equal(r.epochs, 56);
    assert_int_equal(complete_for("-m bundled --accumulate 3", 128, 300).epochs, 100);
    assert_int_equal(complete_for("-m bundled", 128, 1600).epochs, 20);
    r = complete_for("", 32, 1000);
    assert_int_equal(r.batch, 124);
}

static void the_library_gets_it(void **state)
{
    (void)state;
    const vit_config config = config_of(32);
    app_recipe r = complete("--augment cifar --pad 2 --jitter 0.2", 32);
    datasets_augmentation a = app_recipe_augmentation(&r, &config);
    assert_int_equal(datasets_augmentation_check(&a, NULL), VITC_OK);
    assert_int_equal(a.crop, DATASETS_CROP_PADDED);
    assert_int_equal(a.pad, 2);
    assert_int_equal(a.policy, DATASETS_POLICY_CIFAR10);
    assert_true(a.brightness == 0.2 && a.saturation == 0.2 && a.flip == 0.5);

    static const char *const presets[] = {"none", "light", "cifar", "randaugment", "photos"};
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        char line[64];
        snprintf(line, sizeof line, "--augment %s", presets[i]);
        r = complete(line, 32);
        a = app_recipe_augmentation(&r, &config);
        assert_int_equal(datasets_augmentation_check(&a, NULL), VITC_OK);
        assert_int_equal(a.policy, i == 2   ? DATASETS_POLICY_CIFAR10
                                   : i >= 3 ? DATASETS_POLICY_RANDAUGMENT
                                            : DATASETS_POLICY_NONE);
        assert_true((a.flip > 0) == (i > 0) && a.any_filter == (i == 4) &&
                    (a.soften > 0) == (i == 4));
    }
    r = complete("--augment photos --randaugment 0", 32);
    assert_int_equal(app_recipe_augmentation(&r, &config).policy, DATASETS_POLICY_NONE);
    r = complete("--augment none --randaugment 1", 32);
    a = app_recipe_augmentation(&r, &config);
    assert_int_equal(a.policy, DATASETS_POLICY_RANDAUGMENT);
    assert_int_equal(a.policy_operations, 1);
    assert_true(a.policy_magnitude == 9);

    r = complete("--mixup 0.4 --mix-prob 0.25", 32);
    assert_true(app_recipe_mixing(&r).mixup == 0.4 && app_recipe_mixing(&r).probability == 0.25);
    r = complete("", 32);
    assert_true(app_recipe_mixing(&r).probability == 0); /* none of both: nothing to be mixed */

    r = complete("-m m --freeze head", 32);
    assert_int_equal(app_recipe_trainer(&r, &config, 1).frozen, config.layers);
    r = complete("-m m --freeze 1", 32);
    assert_int_equal(app_recipe_trainer(&r, &config, 1).frozen, 1);
    r = complete("-m m --freeze -1", 32); /* all but the last */
    assert_int_equal(app_recipe_trainer(&r, &config, 1).frozen, config.layers - 1);

    r = complete("--epochs 10 --warmup 2 --schedule step --step-epochs 3 --lr 0.1", 32);
    const vit_schedule s = app_recipe_schedule(&r, 7, 70);
    assert_int_equal(vit_schedule_check(&s, NULL), VITC_OK);
    assert_int_equal(s.warmup, 14);
    assert_int_equal(s.every, 21);
    assert_int_equal(s.total, 70);
    r = complete("--epochs 10 --warmup 8 --max-steps 20", 32); /* ends in the warm-up */
    const vit_schedule cut = app_recipe_schedule(&r, 7, 20);
    assert_int_equal(vit_schedule_check(&cut, NULL), VITC_OK);
    assert_int_equal(cut.warmup, 20);
}

static void every_number_reaches_the_library(void **state)
{
    (void)state;
    const vit_config config = config_of(32);
    const app_recipe r = recipe_of(everything);
    const vit_train_options t = app_recipe_trainer(&r, &config, 3);
    assert_true(t.batch == 10 && t.threads == 3 && t.precision == VIT_PRECISION_BF16);
    assert_true(t.recompute && t.seed == 77 && t.frozen == 1);
    assert_true(t.drop_path == 0.3F && t.dropout == 0.05F && t.patch_dropout == 0.4F);
    const vit_optimizer_options o = app_recipe_optimizer(&r, 3);
    assert_true(o.kind == VIT_OPTIMIZER_MUON && o.beta2 == 0.95 && o.momentum == 0.8);
    assert_true(o.weight_decay == 0.01 && o.layer_decay == 0.6 && o.clip == 2 && o.average == 0.99);
    assert_true(o.precision == VIT_PRECISION_BF16 && o.threads == 3);
    const datasets_augmentation a = app_recipe_augmentation(&r, &config);
    assert_true(a.crop == DATASETS_CROP_PADDED && a.pad == 3 && a.flip == 0.4 && a.hue == 0.1);
    assert_true(a.brightness == 0.45 && a.contrast == 0.45 && a.saturation == 0.45);
    assert_true(a.erase == 0.55 && a.soften == 0.65 && a.blur == 0.75 && a.sharpen == 0.85);
    assert_true(a.policy_operations == 3 && a.policy_magnitude == 11);
    const datasets_mixing m = app_recipe_mixing(&r);
    assert_true(m.mixup == 0.7 && m.cutmix == 0.9 && m.probability == 0.35);
    const vit_schedule s = app_recipe_schedule(&r, 10, 90);
    assert_true(s.kind == VIT_SCHEDULE_STEP && s.base == 0.01 && s.minimum == 0.001);
    assert_true(s.factor == 0.3 && s.warmup == 15 && s.every == 25);
    const app_recipe adam = complete("--momentum 0.8", 32);
    assert_true(app_recipe_optimizer(&adam, 1).beta1 == 0.8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recipe_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_value_is_refused),
        cmocka_unit_test(what_is_given_goes_over_what_is_there),
        cmocka_unit_test(defaults_suit_the_situation),
        cmocka_unit_test(every_number_reaches_the_library),
        cmocka_unit_test(the_library_gets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
