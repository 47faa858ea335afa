/* What a run will take, known and told before it begins: steps, and memory. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app_position.h"
#include "app_ranks.h"
#include "app_report.h"
#include "app_text.h"
#include "app_train.h"
#include "vitc_log.h"
#include "vitc_memory.h"
#include "vitc_size.h"
#include "vitc_threads.h"

/* ---- memory ---- */

/* A trainer for this rank's part of steps with so many images. */
static vit_train_options training_options(const app_train *t, uint64_t batch)
{
    app_recipe recipe = t->recipe;
    recipe.batch = app_train_share(batch);
    return app_recipe_trainer(&recipe, &t->weights.config, (int)t->settings->threads);
}

/* Parameters and their gradients, in a trainer. */
static size_t numbers_size(const app_train *t)
{
    return 2 * t->weights.table.elements * sizeof(float);
}

/* What a trainer has besides: activations of a batch, and weights as products take them. */
static size_t activations_size(const app_train *t)
{
    const vit_train_options training = training_options(t, t->recipe.batch);
    return vit_trainer_size(&t->weights.config, &training) - numbers_size(t);
}

/* All arrays of a run with batches of so many images; 0 when they cannot be created. */
static uint64_t needed_memory(const app_train *t, uint64_t batch)
{
    const vit_config *config = &t->weights.config;
    const vit_train_options training = training_options(t, batch);
    const vit_optimizer_options stepping =
        app_recipe_optimizer(&t->recipe, (int)t->settings->threads);
    const size_t trainer = vit_trainer_size(config, &training);
    const size_t optimizer = vit_optimizer_size(config, &stepping);
    /* On validation images there is a model beside them, with its numbers and those packed. */
    const size_t model = numbers_size(t);
    size_t sum;
    if (trainer == 0 || optimizer == 0 || !vitc_size_add(trainer, optimizer, &sum) ||
        !vitc_size_add(sum, model, &sum))
        return 0;
    return sum;
}

static bool fits(const app_train *t, uint64_t batch, uint64_t available)
{
    const uint64_t needed = needed_memory(t, batch);
    return needed != 0 && needed <= available;
}

/* The largest even batch that fits; 0 where none does. */
static uint64_t largest_batch(const app_train *t, uint64_t available)
{
    uint64_t low = 0, high = t->recipe.batch / 2; /* in pairs */
    while (low < high) {
        const uint64_t middle = low + (high - low + 1) / 2;
        if (fits(t, 2 * middle, available))
            low = middle;
        else
            high = middle - 1;
    }
    return 2 * low;
}

static int check_memory(const app_train *t)
{
    char needed[32], there[32];
    /* a tenth is left to validation and to pictures that are being decoded */
    const uint64_t available = vitc_memory_available() / 10 * 9 / (uint64_t)app_ranks_local();
    if (fits(t, t->recipe.batch, available)) return APP_EXIT_DONE;
    const uint64_t batch = largest_batch(t, available);
    const uint64_t size = needed_memory(t, t->recipe.batch);
    if (size != 0)
        app_text_bytes(needed, sizeof needed, size);
    else
        snprintf(needed, sizeof needed, "more than can be counted");
    app_text_bytes(there, sizeof there, available);
    if (batch != 0)
        app_error("a batch of %" PRIu64 " images takes %s, and %s are available; the largest that "
                  "fits is --batch %" PRIu64 " (--accumulate %" PRIu64 " makes steps of as many)",
                  t->recipe.batch, needed, there, batch,
                  (t->recipe.batch * t->recipe.accumulate + batch - 1) / batch);
    else
        app_error("this model takes %s to train, and %s are available, which is too little for any "
                  "batch; %schoose a smaller model",
                  needed, there, t->recipe.recompute ? "" : "--recompute takes less, or ");
    return APP_EXIT_INTERNAL;
}

/* ---- steps ---- */

void app_train_count_steps(app_train *t)
{
    const app_recipe *r = &t->recipe;
    const size_t images = datasets_index_count(t->index);
    t->steps_per_epoch = app_recipe_steps_per_epoch(r, images);
    t->epochs = app_recipe_epochs(r, images);
    t->steps = t->steps_per_epoch * r->epochs;
    if (r->max_steps < t->steps) t->steps = r->max_steps; /* UINT64_MAX: not given */
    t->schedule = app_recipe_schedule(r, t->steps_per_epoch, t->steps);
}

/* ---- creation ---- */

static int create(app_train *t)
{
    const vit_config *config = &t->weights.config;
    vit_train_options training = training_options(t, t->recipe.batch);
    const vit_optimizer_options stepping =
        app_recipe_optimizer(&t->recipe, (int)t->settings->threads);
    if (app_ranks_size() > 1) training.ready = app_train_take_gradients;
    training.ready_user = t;
    vitc_status status = vit_trainer_create(&t->trainer, config, &training, &t->log);
    if (status == VITC_OK) status = vit_optimizer_create(&t->optimizer, config, &stepping, &t->log);
    if (status != VITC_OK) return app_exit_status(status);
    if (t->recipe.freeze != NULL)
        vit_optimizer_train_last(t->optimizer,
                                 config->layers - app_recipe_frozen(&t->recipe, config));
    app_train_plan_sums(t);
    size_t size;
    if (vitc_size_mul3(training.batch, config->classes, sizeof *t->targets, &size))
        t->targets = malloc(size);
    if (t->targets != NULL) return APP_EXIT_DONE;
    app_error("out of memory for a batch");
    return APP_EXIT_INTERNAL;
}

/* From here on the trainer has the numbers. */
static void hand_over(app_train *t)
{
    const double deviation = t->recipe.position_std;
    if (t->recipe.model == NULL)
        vit_trainer_initialize(t->trainer, t->recipe.seed,
                               isnan(deviation) ? 0.02f : (float)deviation);
    else if (!t->resumed)
        memcpy(vit_trainer_parameters(t->trainer), t->weights.parameters,
               t->weights.table.elements * sizeof(float));
    free(t->weights.parameters);
    t->weights.parameters = NULL;
}

int app_train_plan(app_train *t)
{
    const vit_train_options training = training_options(t, t->recipe.batch);
    app_train_count_steps(t);
    vitc_status status = vit_trainer_check(&t->weights.config, &training, &t->log);
    if (status == VITC_OK) status = vit_schedule_check(&t->schedule, &t->log);
    if (status != VITC_OK) return app_exit_status(status);
    int result = app_train_check_share(t);
    if (result == APP_EXIT_DONE) result = check_memory(t);
    if (result == APP_EXIT_DONE) result = create(t);
    if (result == APP_EXIT_DONE) hand_over(t);
    return result;
}

/* ---- for people ---- */

static void tell(const app_train *t, const char *name, const char *format, ...) VITC_PRINTF(3, 4);
static void tell(const app_train *t, const char *name, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char *safe = app_text_printable(text);
    app_train_note(t, "%s: %s", name, safe != NULL ? safe : "");
    if (!t->settings->quiet && !t->settings->json)
        printf("%-11s %s\n", name, safe != NULL ? safe : "");
    free(safe);
}

static void tell_model(const app_train *t)
{
    const vit_config *c = &t->weights.config;
    char number[32];
    tell(t, "model", "%s%s%s, %ux%u pixels, %u tokens, %s parameters", c->architecture,
         t->base != NULL ? ", fine-tuned from " : "", t->base != NULL ? t->base : "",
         c->image_height, c->image_width, vit_config_tokens(c),
         app_text_number(number, sizeof number, vit_config_parameters(c)));
}

/* What the classes are, and what is trained of the model: so that a mistake is seen before hours.
 */
static void tell_classes(const app_train *t)
{
    enum { SHOWN = 10 };
    char text[400] = "";
    const size_t count = datasets_index_classes(t->index);
    for (size_t i = 0, used = 0; i < count && i < SHOWN && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.30s", i > 0 ? ", " : "",
                                 datasets_index_class(t->index, i));
    tell(t, "classes", "%s%s", text, count > SHOWN ? ", ..." : "");
}

static void tell_trained(const app_train *t)
{
    char trained[32], all[32];
    size_t count, numbers = 0;
    const vit_optimizer_rule *rules = vit_optimizer_rules(t->optimizer, &count);
    for (size_t i = 0; i < count; i++)
        if (rules[i].trained) numbers += t->weights.table.params[i].count;
    if (t->base != NULL || numbers < t->weights.table.elements)
        tell(t, "trained", "%s of %s parameters%s",
             app_text_number(trained, sizeof trained, numbers),
             app_text_number(all, sizeof all, t->weights.table.elements),
             t->base == NULL || t->resumed ? ""
             : t->new_head                 ? ", with a new head"
                                           : ", with the model's own head, of the same classes");
}

static void tell_positions(const app_train *t)
{
    const vit_config *c = &t->weights.config;
    const vit_description *d = &t->weights.description;
    char text[APP_POSITION_TEXT], resized[APP_POSITION_TEXT];
    app_position_describe(text, c);
    app_position_describe_resized(resized, c, d->stored_height, d->stored_width);
    tell(t, "positions", "%s%s%s", text, resized[0] != 0 ? "; " : "", resized);
    if (c->position == PATCHES_POSITION_SINCOS_2D && c->position_op == PATCHES_POSITION_MUL &&
        c->position_at != PATCHES_POSITION_STEM)
        vitc_log_write(&t->log, VITC_LOG_WARN,
                       "sincos-2d positions that multiply in every of %u blocks multiply a feature "
                       "by up to 2^%u, and by almost 0 where a sine is near -1; --pos-at stem "
                       "multiplies once",
                       c->layers, c->layers);
}

static void tell_data(const app_train *t)
{
    char number[32];
    tell(t, "data", "%s images of %zu classes: %s%s",
         app_text_number(number, sizeof number, datasets_index_count(t->index)),
         datasets_index_classes(t->index), t->data[0], t->data_count > 1 ? " ..." : "");
    tell_classes(t);
    char images[64] = "images"; /* where only reading would tell how many */
    if (t->validated && t->validation_images != UINT64_MAX)
        snprintf(images, sizeof images, "%s images",
                 app_text_number(number, sizeof number, t->validation_images));
    if (t->val_count > 0)
        tell(t, "validation", "%s: %s%s", images, t->val_data[0], t->val_count > 1 ? " ..." : "");
    else if (t->validated)
        tell(t, "validation", "%s, about %g %% of those there, held out", images,
             100 * t->recipe.val_split);
    else
        tell(t, "validation", "none");
}

void app_train_tell_plan(const app_train *t)
{
    const app_recipe *r = &t->recipe;
    char memory[32], activations[32], available[32];
    char cut[64] = "";
    if (t->steps < t->epochs * t->steps_per_epoch)
        snprintf(cut, sizeof cut, " (%" PRIu64 " in all)", t->steps);
    tell_model(t);
    tell_positions(t);
    tell_trained(t);
    tell_data(t);
    tell(t, "recipe",
         "%" PRIu64 " epoch%s of %" PRIu64 " step%s%s of up to %" PRIu64
         " images, %s at %.3g, %s, %s",
         t->epochs, t->epochs == 1 ? "" : "s", t->steps_per_epoch,
         t->steps_per_epoch == 1 ? "" : "s", cut, r->batch * r->accumulate,
         vit_optimizer_string((vit_optimizer_kind)r->optimizer), r->lr,
         vit_schedule_string((vit_schedule_kind)r->schedule),
         vit_precision_string((vit_precision)r->precision));
    tell(t, "memory", "%s, of it %s for activations, and the images, of %s available",
         app_text_bytes(memory, sizeof memory, needed_memory(t, r->batch)),
         app_text_bytes(activations, sizeof activations, activations_size(t)),
         app_text_bytes(available, sizeof available, vitc_memory_available()));
    tell(t, "threads", "%d, %s", vit_trainer_options(t->trainer)->threads,
         "any number gives the same result");
    if (app_ranks_size() > 1)
        tell(t, "ranks", "%d, of which each takes its part of every step", app_ranks_size());
    if (t->resumed)
        tell(t, "resumed", "after step %" PRIu64 " of %" PRIu64, t->progress.step, t->steps);
}
