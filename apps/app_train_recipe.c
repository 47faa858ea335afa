#include "app_train_recipe.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app_option_rows.h"
#include "app_options.h"
#include "app_report.h"

/* ---- fields, by the rows of the option table ---- */

/* The field of a row in a recipe; NULL for rows whose values are elsewhere. */
static void *field_of(const app_recipe *recipe, const app_option *row)
{
    const size_t start = offsetof(app_settings, train);
    if (row->kind == OPTION_HEADING || row->offset < start ||
        row->offset >= start + sizeof(app_recipe))
        return NULL;
    return (char *)(uintptr_t)recipe + (row->offset - start);
}

static bool is_given(const void *field, app_option_kind kind)
{
    switch (kind) {
    case OPTION_FLAG:
        return *(const bool *)field;
    case OPTION_TEXT:
        return *(const char *const *)field != NULL;
    case OPTION_COUNT:
        return *(const uint64_t *)field != UINT64_MAX;
    case OPTION_NUMBER:
        return !isnan(*(const double *)field);
    case OPTION_PAIR:
        return !isnan(((const app_pair *)field)->first);
    case OPTION_SIZE:
        return ((const app_size *)field)->height != 0;
    case OPTION_CHOICE:
        return *(const int *)field >= 0;
    default:
        return false;
    }
}

static size_t size_of(app_option_kind kind)
{
    switch (kind) {
    case OPTION_FLAG:
        return sizeof(bool);
    case OPTION_TEXT:
        return sizeof(const char *);
    case OPTION_COUNT:
        return sizeof(uint64_t);
    case OPTION_NUMBER:
        return sizeof(double);
    case OPTION_PAIR:
        return sizeof(app_pair);
    case OPTION_SIZE:
        return sizeof(app_size);
    case OPTION_CHOICE:
        return sizeof(int);
    default:
        return 0;
    }
}

static void unset(void *field, app_option_kind kind)
{
    switch (kind) {
    case OPTION_COUNT:
        *(uint64_t *)field = UINT64_MAX;
        break;
    case OPTION_NUMBER:
        *(double *)field = NAN;
        break;
    case OPTION_PAIR:
        *(app_pair *)field = (app_pair){NAN, NAN};
        break;
    case OPTION_CHOICE:
        *(int *)field = -1;
        break;
    default: /* all zeros say it */
        break;
    }
}

app_recipe app_recipe_unset(void)
{
    app_recipe recipe = {0};
    for (size_t i = 0; i < app_train_option_count; i++) {
        void *field = field_of(&recipe, &app_train_options[i]);
        if (field != NULL) unset(field, app_train_options[i].kind);
    }
    return recipe;
}

void app_recipe_overlay(app_recipe *recipe, const app_recipe *given)
{
    for (size_t i = 0; i < app_train_option_count; i++) {
        const app_option *row = &app_train_options[i];
        const void *from = field_of(given, row);
        if (from != NULL && is_given(from, row->kind))
            memcpy(field_of(recipe, row), from, size_of(row->kind));
    }
}

/* ---- JSON ---- */

enum { KEY_SIZE = 32 };

static void key_of(char key[KEY_SIZE], const app_option *row)
{
    size_t i = 0;
    for (; row->name[i] != 0 && i < KEY_SIZE - 1; i++)
        key[i] = row->name[i] == '-' ? '_' : row->name[i];
    key[i] = 0;
}

/* Word number `index` of "a|b|c"; its length, 0 past the last. */
static size_t word_at(const char **word, const char *list, int index)
{
    for (const char *at = list; at != NULL; index--) {
        const char *end = strchr(at, '|');
        *word = at;
        if (index == 0) return end != NULL ? (size_t)(end - at) : strlen(at);
        at = end != NULL ? end + 1 : NULL;
    }
    return 0;
}

static bool put_choice(vitc_json *o, const char *key, const app_option *row, int value)
{
    char text[32];
    const char *word = "";
    const size_t length = word_at(&word, row->argument, value - (int)row->minimum);
    snprintf(text, sizeof text, "%.*s", (int)length, word);
    return vitc_json_set_string(o, key, text);
}

static bool put_pair(vitc_json *o, const char *key, const app_pair *pair)
{
    vitc_json *list = vitc_json_array();
    const bool good = list != NULL && vitc_json_append_number(list, pair->first) &&
                      (isnan(pair->second) || vitc_json_append_number(list, pair->second));
    return vitc_json_set(o, key, list) && good;
}

static bool put_size(vitc_json *o, const char *key, const app_size *size)
{
    vitc_json *list = vitc_json_array();
    const bool good = list != NULL && vitc_json_append_integer(list, size->height) &&
                      vitc_json_append_integer(list, size->width);
    return vitc_json_set(o, key, list) && good;
}

static bool put_field(vitc_json *o, const app_option *row, const void *field)
{
    char key[KEY_SIZE];
    key_of(key, row);
    switch (row->kind) {
    case OPTION_FLAG:
        return vitc_json_set_bool(o, key, *(const bool *)field);
    case OPTION_TEXT:
        return vitc_json_set_string(o, key, *(const char *const *)field);
    case OPTION_COUNT:
        return vitc_json_set_integer(o, key, (int64_t) * (const uint64_t *)field);
    case OPTION_NUMBER:
        return vitc_json_set_number(o, key, *(const double *)field);
    case OPTION_PAIR:
        return put_pair(o, key, field);
    case OPTION_SIZE:
        return put_size(o, key, field);
    default:
        return put_choice(o, key, row, *(const int *)field);
    }
}

vitc_json *app_recipe_json(const app_recipe *recipe)
{
    vitc_json *o = vitc_json_object();
    bool good = o != NULL;
    for (size_t i = 0; i < app_train_option_count && good; i++) {
        const app_option *row = &app_train_options[i];
        const void *field = field_of(recipe, row);
        if (field != NULL && is_given(field, row->kind)) good = put_field(o, row, field);
    }
    if (good) return o;
    vitc_json_free(o);
    return NULL;
}

static bool read_choice(int *value, const app_option *row, const vitc_json *json)
{
    const char *text = vitc_json_string(json, ""), *word;
    size_t length;
    for (int i = 0; (length = word_at(&word, row->argument, i)) != 0; i++)
        if (strlen(text) == length && memcmp(text, word, length) == 0) {
            *value = (int)row->minimum + i;
            return true;
        }
    return false;
}

static bool read_size(app_size *size, const vitc_json *json)
{
    const int64_t height = vitc_json_integer(vitc_json_at(json, 0), 0);
    const int64_t width = vitc_json_integer(vitc_json_at(json, 1), 0);
    if (height < 1 || height > UINT32_MAX || width < 1 || width > UINT32_MAX) return false;
    *size = (app_size){.width = (uint32_t)width, .height = (uint32_t)height};
    return true;
}

static bool read_field(void *field, const app_option *row, const vitc_json *json)
{
    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)field = vitc_json_bool(json, false);
        return vitc_json_is_bool(json);
    case OPTION_TEXT:
        *(const char **)field = vitc_json_string(json, NULL);
        return vitc_json_is_string(json);
    case OPTION_COUNT:
        *(uint64_t *)field = (uint64_t)vitc_json_integer(json, 0);
        return vitc_json_is_integer(json) && vitc_json_integer(json, -1) >= 0;
    case OPTION_NUMBER:
        *(double *)field = vitc_json_number(json, NAN);
        return vitc_json_is_number(json);
    case OPTION_PAIR:
        *(app_pair *)field = (app_pair){vitc_json_number(vitc_json_at(json, 0), NAN),
                                        vitc_json_number(vitc_json_at(json, 1), NAN)};
        return vitc_json_is_number(vitc_json_at(json, 0));
    case OPTION_SIZE:
        return read_size(field, json);
    default:
        return read_choice(field, row, json);
    }
}

bool app_recipe_read(app_recipe *recipe, const vitc_json *json)
{
    *recipe = app_recipe_unset();
    for (size_t i = 0; i < app_train_option_count; i++) {
        const app_option *row = &app_train_options[i];
        void *field = field_of(recipe, row);
        char key[KEY_SIZE];
        if (field == NULL) continue;
        key_of(key, row);
        const vitc_json *value = vitc_json_get(json, key);
        if (value != NULL && !read_field(field, row, value)) return false;
    }
    return vitc_json_is_object(json);
}

/* ---- what holds where nothing is given ---- */

static void number(double *field, double otherwise)
{
    if (isnan(*field)) *field = otherwise;
}

static void count(uint64_t *field, uint64_t otherwise)
{
    if (*field == UINT64_MAX) *field = otherwise;
}

static void choice(int *field, int otherwise)
{
    if (*field < 0) *field = otherwise;
}

/* From scratch, so many epochs are long enough for stochastic depth, and for mixing. */
enum { DEEP_EPOCHS = 100, MIXED_EPOCHS = 150 };

/* How a model comes to its weights decides what suits it. */
typedef struct situation {
    bool scratch, head; /* from random weights; the head alone */
    uint64_t epochs;    /* that there will be, the last one perhaps in part */
    size_t images;      /* to train on */
    bool small;         /* the model's images */
    bool mixed, deep;   /* long enough for strong regularization */
} situation;

/* methods: ViT and DeiT (arXiv 2010.11929, 2012.12877), with what CIFAR-sized training needs. */
static void complete_optimization(app_recipe *r, const situation *s)
{
    choice(&r->optimizer, VIT_OPTIMIZER_ADAMW);
    choice(&r->schedule, VIT_SCHEDULE_COSINE);
    choice(&r->precision, VIT_PRECISION_F32);
    const bool adam = r->optimizer != VIT_OPTIMIZER_SGD;
    const double images = fmin((double)r->batch * (double)r->accumulate, (double)s->images);
    static const double rates[VIT_OPTIMIZER_KIND_COUNT][3] = {
        [VIT_OPTIMIZER_ADAMW] = {0.001, 0.0003, 0.003},
        [VIT_OPTIMIZER_SGD] = {0.05, 0.01, 0.1},
        [VIT_OPTIMIZER_MUON] = {0.004, 0.0003, 0.003}};
    number(&r->lr, rates[r->optimizer][s->scratch ? 0 : s->head ? 2 : 1] * sqrt(images / 128));
    number(&r->min_lr, r->schedule == VIT_SCHEDULE_STEP ? 0 : r->lr / 100);
    number(&r->warmup, fmin(10, (double)s->epochs / 20));
    number(&r->step_epochs, 30);
    number(&r->step_factor, 0.1);
    number(&r->weight_decay, adam ? 0.05 : 0.0001);
    number(&r->beta2, 0.999);
    number(&r->momentum, r->optimizer == VIT_OPTIMIZER_MUON ? 0.95 : 0.9);
    number(&r->clip, 1);
    number(&r->layer_decay, s->scratch || s->head ? 1 : 0.75);
    number(&r->ema, 0.9998);
}

static void complete_regularization(app_recipe *r, const situation *s)
{
    number(&r->smoothing, 0.1);
    number(&r->drop_path, s->deep ? 0.1 : 0);
    number(&r->dropout, 0);
    number(&r->patch_dropout, 0);
    number(&r->patch_dropout_off, 0.1);
    number(&r->mixup, s->mixed ? 0.8 : 0);
    number(&r->cutmix, s->mixed ? 1 : 0);
    number(&r->mix_prob, 0.5);
    number(&r->mix_off, 0.1);
    number(&r->erase, s->mixed ? 0.25 : 0);
}

static void complete_augmentation(app_recipe *r, const situation *s)
{
    choice(&r->augment, s->small     ? APP_AUGMENT_CIFAR
                        : s->scratch ? APP_AUGMENT_PHOTOS
                                     : APP_AUGMENT_LIGHT);
    const bool none = r->augment == APP_AUGMENT_NONE, photos = r->augment == APP_AUGMENT_PHOTOS;
    const bool random = photos || r->augment == APP_AUGMENT_RANDAUGMENT;
    const bool shifted = r->augment == APP_AUGMENT_CIFAR;
    if (r->pad == UINT64_MAX && isnan(r->crop_scale.first)) {
        if (shifted) r->pad = 4;
        if (random) r->crop_scale = (app_pair){0.25, 1};
        if (r->augment == APP_AUGMENT_LIGHT) r->crop_scale = (app_pair){0.6, 1};
    }
    if (!isnan(r->crop_scale.first)) number(&r->crop_scale.second, 1);
    number(&r->flip, none ? 0 : 0.5);
    number(&r->jitter, photos ? 0.3 : 0);
    number(&r->hue, 0);
    if (isnan(r->randaugment.first) && random) r->randaugment = (app_pair){2, 9};
    if (!isnan(r->randaugment.first)) number(&r->randaugment.second, 9);
    number(&r->soften, photos ? 0.3 : 0);
    number(&r->blur, photos ? 0.1 : 0);
    number(&r->sharpen, photos ? 0.1 : 0);
}

static int refuse(const char *message)
{
    app_error("%s", message);
    return APP_EXIT_USAGE;
}

int app_recipe_check_given(const app_recipe *r)
{
    const bool mixed = !isnan(r->mixup) || !isnan(r->cutmix) ||
                       (r->model == NULL && r->epochs != UINT64_MAX && r->epochs >= MIXED_EPOCHS);
    if (r->schedule == VIT_SCHEDULE_CONSTANT && !isnan(r->min_lr))
        return refuse("--min-lr: with --schedule constant the learning rate does not come down");
    if (r->schedule != VIT_SCHEDULE_STEP && (!isnan(r->step_epochs) || !isnan(r->step_factor)))
        return refuse("--step-epochs and --step-factor need --schedule step");
    if (r->step_epochs == 0) return refuse("--step-epochs takes a number above 0");
    if (r->optimizer == VIT_OPTIMIZER_SGD && !isnan(r->beta2))
        return refuse("--beta2: --optimizer sgd has none");
    if (!mixed && (!isnan(r->mix_prob) || !isnan(r->mix_off)))
        return refuse("--mix-prob and --mix-off need --mixup or --cutmix");
    if (isnan(r->patch_dropout) && !isnan(r->patch_dropout_off))
        return refuse("--patch-dropout-off needs --patch-dropout");
    return APP_EXIT_DONE;
}

/* "2" or "-10" of 12 blocks: 2 at the beginning. False for what is no such number. */
static bool read_freeze(uint32_t *frozen, const char *text, const vit_config *config)
{
    char *end;
    const bool last = text[0] == '-';
    const char *const digits = text + (last ? 1 : 0);
    errno = 0;
    const unsigned long long blocks = strtoull(digits, &end, 10);
    if (digits[0] < '0' || digits[0] > '9' || *end != 0 || errno != 0) return false;
    if (blocks < (last ? 1 : 0) || blocks > config->layers - (last ? 0 : 1)) return false;
    *frozen = (uint32_t)(last ? config->layers - blocks : blocks);
    return true;
}

static int check_freeze(const app_recipe *r, const vit_config *config)
{
    uint32_t frozen;
    if (r->freeze == NULL || strcmp(r->freeze, "head") == 0 ||
        read_freeze(&frozen, r->freeze, config))
        return APP_EXIT_DONE;
    app_error("--freeze takes head, a number of first blocks that stay from 0 to %u, or -1 to -%u "
              "for that many last blocks to train, not \"%s\"",
              config->layers - 1, config->layers, r->freeze);
    return APP_EXIT_USAGE;
}

static int check(const app_recipe *r, const vit_config *config, size_t images)
{
    if (r->batch % 2 != 0)
        return refuse("--batch takes an even number, because images are mixed in pairs");
    if (r->freeze != NULL && r->model == NULL)
        return refuse("--freeze needs -m MODEL: random weights have nothing worth keeping");
    if (r->pad != UINT64_MAX && !isnan(r->crop_scale.first))
        return refuse("--pad and --crop-scale: choose one");
    if (!isnan(r->crop_scale.first) && r->crop_scale.first > r->crop_scale.second)
        return refuse("--crop-scale A,B: A is the smaller one");
    if (!isnan(r->randaugment.first) &&
        (r->randaugment.first != floor(r->randaugment.first) || r->randaugment.first > 14))
        return refuse("--randaugment N,M: N is a whole number of operations, at most 14");
    if (r->warmup > (double)r->epochs)
        return refuse("--warmup: more epochs than there are in all (--epochs)");
    if (r->lr == 0) return refuse("--lr 0 changes nothing; without it there is a default");
    if (r->min_lr > r->lr) return refuse("--min-lr is above --lr");
    if (images < 2) return refuse("training needs two images at least");
    return check_freeze(r, config);
}

/* An even number. Few images still make some steps an epoch: a model learns by steps. */
static uint64_t default_batch(const situation *s, size_t images)
{
    enum { STEPS = 8, LEAST = 8 };
    const uint64_t most = s->scratch ? 128 : 64, few = images / STEPS / 2 * 2;
    return few > most ? most : few < LEAST ? LEAST : few;
}

uint64_t app_recipe_steps_per_epoch(const app_recipe *r, size_t images)
{
    const uint64_t step = r->batch * r->accumulate;
    return images > 0 ? (images + step - 1) / step : 1;
}

uint64_t app_recipe_epochs(const app_recipe *r, size_t images)
{
    const uint64_t steps = app_recipe_steps_per_epoch(r, images);
    if (r->max_steps == UINT64_MAX || r->max_steps / steps >= r->epochs) return r->epochs;
    return (r->max_steps + steps - 1) / steps;
}

/* A model that is tuned needs some hundred steps, which 20 passes through a small set are not:
 * BiT-HyperRule's shortest schedule has 500 (arXiv 1912.11370, section 3.3). */
static uint64_t default_epochs(const app_recipe *r, const situation *s, size_t images)
{
    enum { SCRATCH = 100, TUNED = 20, STEPS = 500, MOST = 100 };
    if (s->scratch) return SCRATCH;
    const uint64_t steps = app_recipe_steps_per_epoch(r, images);
    const uint64_t epochs = (STEPS + steps - 1) / steps;
    return epochs > MOST ? MOST : epochs < TUNED ? TUNED : epochs;
}

int app_recipe_complete(app_recipe *r, const vit_config *config, size_t images)
{
    const uint32_t most =
        config->image_height > config->image_width ? config->image_height : config->image_width;
    situation s = {.scratch = r->model == NULL,
                   .head = r->freeze != NULL && strcmp(r->freeze, "head") == 0,
                   .images = images,
                   .small = most <= 64};
    count(&r->batch, default_batch(&s, images));
    count(&r->accumulate, 1);
    count(&r->epochs, default_epochs(r, &s, images));
    s.epochs = app_recipe_epochs(r, images);
    s.deep = s.scratch && s.epochs >= DEEP_EPOCHS;
    s.mixed = s.scratch && s.epochs >= MIXED_EPOCHS;
    count(&r->seed, 0);
    count(&r->val_every, 1);
    complete_optimization(r, &s);
    complete_regularization(r, &s);
    complete_augmentation(r, &s);
    return check(r, config, images);
}

uint32_t app_recipe_frozen(const app_recipe *r, const vit_config *config)
{
    uint32_t frozen = 0;
    if (r->freeze == NULL) return 0;
    if (strcmp(r->freeze, "head") == 0) return config->layers;
    return read_freeze(&frozen, r->freeze, config) ? frozen : 0;
}

/* ---- what the library takes ---- */

vit_train_options app_recipe_trainer(const app_recipe *r, const vit_config *config, int threads)
{
    vit_train_options options = vit_train_options_default();
    options.batch = (uint32_t)r->batch;
    options.threads = threads;
    options.precision = (vit_precision)r->precision;
    options.recompute = r->recompute;
    options.drop_path = (float)r->drop_path;
    options.dropout = (float)r->dropout;
    options.patch_dropout = (float)r->patch_dropout;
    options.seed = r->seed;
    options.frozen = app_recipe_frozen(r, config);
    return options;
}

vit_optimizer_options app_recipe_optimizer(const app_recipe *r, int threads)
{
    vit_optimizer_options options = vit_optimizer_options_default((vit_optimizer_kind)r->optimizer);
    if (options.kind == VIT_OPTIMIZER_ADAMW) options.beta1 = r->momentum;
    options.beta2 = r->beta2;
    options.momentum = r->momentum;
    options.weight_decay = r->weight_decay;
    options.layer_decay = r->layer_decay;
    options.clip = r->clip;
    options.average = r->ema;
    options.precision = (vit_precision)r->precision;
    options.threads = threads;
    return options;
}

datasets_augmentation app_recipe_augmentation(const app_recipe *r, const vit_config *config)
{
    datasets_augmentation a =
        datasets_augmentation_default(config->image_width, config->image_height);
    if (r->pad != UINT64_MAX) {
        a.crop = DATASETS_CROP_PADDED;
        a.pad = (uint32_t)r->pad;
    } else if (!isnan(r->crop_scale.first)) {
        a.crop = DATASETS_CROP_RESIZED;
        a.crop_scale[0] = r->crop_scale.first;
        a.crop_scale[1] = r->crop_scale.second;
    }
    a.any_filter = r->augment == APP_AUGMENT_PHOTOS;
    a.flip = r->flip;
    a.soften = r->soften;
    a.blur = r->blur;
    a.sharpen = r->sharpen;
    a.brightness = a.contrast = a.saturation = r->jitter;
    a.hue = r->hue;
    if (!isnan(r->randaugment.first)) {
        a.policy = r->randaugment.first > 0 ? DATASETS_POLICY_RANDAUGMENT : DATASETS_POLICY_NONE;
        if (r->randaugment.first > 0) a.policy_operations = (uint32_t)r->randaugment.first;
        a.policy_magnitude = r->randaugment.second;
    } else if (r->augment == APP_AUGMENT_CIFAR) {
        a.policy = DATASETS_POLICY_CIFAR10;
    }
    a.erase = r->erase;
    return a;
}

datasets_mixing app_recipe_mixing(const app_recipe *r)
{
    datasets_mixing mixing = datasets_mixing_default();
    mixing.mixup = r->mixup;
    mixing.cutmix = r->cutmix;
    mixing.probability = r->mixup > 0 || r->cutmix > 0 ? r->mix_prob : 0;
    return mixing;
}

vit_schedule app_recipe_schedule(const app_recipe *r, uint64_t steps_per_epoch, uint64_t steps)
{
    const double warmup = r->warmup * (double)steps_per_epoch;
    const double every = r->step_epochs * (double)steps_per_epoch;
    return (vit_schedule){.kind = (vit_schedule_kind)r->schedule,
                          .base = r->lr,
                          .minimum = r->min_lr,
                          .warmup = warmup < (double)steps ? (uint64_t)(warmup + 0.5) : steps,
                          .total = steps,
                          .every = every > 1 ? (uint64_t)(every + 0.5) : 1,
                          .factor = r->step_factor};
}
