/* Training on several ranks (app_ranks.h): each takes its part of the images of every step, the
 * gradients are summed while the backward pass goes on, and every rank takes the same optimizer
 * step. All have the data; the first one has the folder of the run, and what is there of an earlier
 * run goes from it to the others. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app_ranks.h"
#include "app_report.h"
#include "app_stop.h"
#include "app_train.h"
#include "vitc_hash.h"
#include "vitc_size.h"

static int no_memory(void)
{
    app_error("out of memory for the ranks of this run");
    return APP_EXIT_INTERNAL;
}

/* ---- before the first step ---- */

static bool put_description(vitc_json *o, const app_train *t)
{
    char *text = vitc_json_dump(t->description, 0, 17);
    vitc_json *copy = NULL;
    const bool good = text != NULL &&
                      vitc_json_parse(&copy, text, strlen(text), "description", &t->log) == VITC_OK;
    free(text);
    return vitc_json_set(o, "run", copy) && good;
}

int app_train_compare_ranks(const app_train *t)
{
    if (app_ranks_size() == 1) return APP_EXIT_DONE;
    vitc_json *o = vitc_json_object();
    const bool good = o != NULL && vitc_json_set_string(o, "vitc", vitc_version()) &&
                      vitc_json_set_string(o, "kernels", t->kernels) && put_description(o, t);
    int result = app_ranks_agree(good ? APP_EXIT_DONE : no_memory());
    if (result == APP_EXIT_DONE) result = app_ranks_compare(o, t->settings);
    vitc_json_free(o);
    return result;
}

int app_train_copy_numbers(app_train *t)
{
    const size_t size = vit_trainer_count(t->trainer) * sizeof(float);
    vit_optimizer_array arrays[VIT_OPTIMIZER_ARRAYS_MAX];
    const size_t count = t->resumed ? vit_optimizer_arrays(t->optimizer, arrays) : 0;
    uint64_t steps = vit_optimizer_steps(t->optimizer);
    int result = app_ranks_copy_bytes(vit_trainer_parameters(t->trainer), size);
    for (size_t i = 0; i < count && result == APP_EXIT_DONE; i++)
        result = app_ranks_copy_bytes(arrays[i].values, size);
    if (result == APP_EXIT_DONE) result = app_ranks_copy_number(&steps);
    vit_optimizer_set_steps(t->optimizer, steps);
    return result;
}

/* ---- the images of a step ---- */

uint64_t app_train_share(uint64_t batch)
{
    const uint64_t ranks = (uint64_t)app_ranks_size();
    return 2 * ((batch / 2 + ranks - 1) / ranks);
}

/* Pairs of images in the smallest step of an epoch. */
static uint64_t least_pairs(uint64_t images, uint64_t step)
{
    return (images + 1) / 2 / ((images + step - 1) / step);
}

int app_train_check_share(const app_train *t)
{
    const uint64_t images = datasets_index_count(t->index), passes = t->recipe.accumulate;
    const uint64_t ranks = (uint64_t)app_ranks_size();
    uint64_t batch = t->recipe.batch;
    if (least_pairs(images, batch * passes) >= ranks) return APP_EXIT_DONE;
    while (batch <= images && least_pairs(images, batch * passes) < ranks) batch += 2;
    if (batch <= images)
        app_error("steps of up to %" PRIu64 " images are too small for %" PRIu64
                  " ranks, of which each takes two or more; --batch %" PRIu64 " would do",
                  t->recipe.batch * passes, ranks, batch);
    else
        app_error("%" PRIu64 " images are too few for %" PRIu64
                  " ranks, of which each takes two or more in every step",
                  images, ranks);
    return APP_EXIT_USAGE;
}

/* ---- sums ---- */

/* The gradients of what is trained lie behind this place, and those before it stay zeros. */
static size_t first_trained(const app_train *t)
{
    size_t count;
    const vit_optimizer_rule *rules = vit_optimizer_rules(t->optimizer, &count);
    for (size_t i = 0; i < count; i++)
        if (rules[i].trained) return t->weights.table.params[i].offset;
    return t->weights.table.elements;
}

/* Gradients are summed in buckets, from the last to the first, of sizes that all ranks know: as
 * many as may be under way at once, but none too small to be worth a message. */
void app_train_plan_sums(app_train *t)
{
    enum { LEAST = 1 << 18, BUCKETS = 32 };
    app_train_sums *s = &t->sums;
    s->first = first_trained(t);
    s->to = t->weights.table.elements;
    s->bucket = vitc_size_max(LEAST, (s->to - s->first + BUCKETS - 1) / BUCKETS);
}

static void begin_bucket(app_train *t, size_t from)
{
    app_train_sums *s = &t->sums;
    if (s->result != APP_EXIT_DONE) return;
    s->under_way = true;
    s->result = app_ranks_sum_begin(vit_trainer_gradients(t->trainer) + from, s->to - from);
    s->to = from;
}

void app_train_take_gradients(void *user, size_t from, size_t count)
{
    app_train *t = user;
    app_train_sums *s = &t->sums;
    (void)count;
    if (!s->expected) return;
    while (s->to - s->first >= s->bucket && s->to - s->bucket >= from)
        begin_bucket(t, s->to - s->bucket);
    if (s->result == APP_EXIT_DONE) s->result = app_ranks_sum_push();
}

/* Those that are not under way yet, and what the step came to. */
static int sum_rest(app_train *t, const app_train_tally *tally)
{
    app_train_sums *s = &t->sums;
    while (s->to > s->first && s->result == APP_EXIT_DONE)
        begin_bucket(t, s->to - vitc_size_min(s->bucket, s->to - s->first));
    const float numbers[] = {(float)tally->loss, (float)tally->right,  (float)tally->images,
                             (float)tally->bad,  (float)tally->failed, (float)tally->broken};
    memcpy(s->numbers, numbers, sizeof numbers);
    if (s->result == APP_EXIT_DONE)
        s->result = app_ranks_sum_begin(s->numbers, sizeof numbers / sizeof *numbers);
    return s->result == APP_EXIT_DONE ? app_ranks_sum_finish() : s->result;
}

int app_train_sum(app_train *t, app_train_tally *tally, bool *cut)
{
    app_train_sums *s = &t->sums;
    *cut = false;
    if (app_ranks_size() == 1) return APP_EXIT_DONE;
    const int result = sum_rest(t, tally);
    *cut = app_stop_asked();
    if (result != APP_EXIT_DONE || *cut) return result;
    *tally = (app_train_tally){.loss = (double)s->numbers[0],
                               .right = (uint64_t)s->numbers[1],
                               .images = (uint64_t)s->numbers[2],
                               .bad = (uint64_t)s->numbers[3],
                               .failed = s->numbers[4] > 0,
                               .broken = s->numbers[5] > 0};
    s->under_way = s->expected = false;
    s->to = t->weights.table.elements;
    s->bad = tally->bad;
    return APP_EXIT_DONE;
}

/* ---- after an epoch ---- */

/* The first rank tells of images that others could not use, once; its own it has told. */
static void tell_bad(app_train *t, size_t image)
{
    if (t->sums.told == NULL || t->sums.told[image] || datasets_feed_is_bad(t->feed, image)) return;
    t->sums.told[image] = true;
    char *path = datasets_index_path(t->index, image);
    if (path == NULL) return;
    if (!t->settings->quiet)
        app_warn("%s: could not be used by another rank; another image takes its "
                 "place",
                 path);
    app_train_note(t, "warning: %s: could not be used by another rank", path);
    free(path);
}

/* Images that any rank could not use: each has met a part of them, and several may have met one. */
static int count_bad(app_train *t)
{
    enum { PIECE = sizeof t->sums.numbers / sizeof t->sums.numbers[0] };
    const size_t images = datasets_index_count(t->index);
    uint64_t bad = t->index_bad;
    int result = APP_EXIT_DONE;
    for (size_t from = 0; from < images && result == APP_EXIT_DONE; from += PIECE) {
        float *flags = t->sums.numbers;
        const size_t count = vitc_size_min(PIECE, images - from);
        for (size_t i = 0; i < count; i++) flags[i] = datasets_feed_is_bad(t->feed, from + i);
        result = app_ranks_sum_begin(flags, count);
        if (result == APP_EXIT_DONE) result = app_ranks_sum_finish();
        if (app_stop_asked()) return result;
        for (size_t i = 0; i < count; i++) {
            if (!(flags[i] > 0)) continue;
            bad++;
            tell_bad(t, from + i);
        }
    }
    if (bad > t->progress.bad) t->progress.bad = bad;
    return result;
}

static int compare_weights(const app_train *t)
{
    const vitc_hash own = vitc_hash_bytes(vit_trainer_parameters(t->trainer),
                                          vit_trainer_count(t->trainer) * sizeof(float), 0);
    vitc_hash first = own;
    int result = app_ranks_copy_number(&first.low);
    if (result == APP_EXIT_DONE) result = app_ranks_copy_number(&first.high);
    if (result != APP_EXIT_DONE || app_stop_asked()) return result;
    if (own.low == first.low && own.high == first.high) return APP_EXIT_DONE;
    app_error("after step %" PRIu64 " its weights are not those of the first rank, which they "
              "should be to the last bit: a defect of a machine, of MPI, or of vitc",
              t->progress.step);
    return APP_EXIT_INTERNAL;
}

int app_train_check_ranks(app_train *t)
{
    if (app_ranks_size() == 1) return APP_EXIT_DONE;
    int result = compare_weights(t);
    if (app_stop_asked()) return result;
    if (t->sums.bad > 0 && app_ranks_first() && t->sums.told == NULL) {
        t->sums.told = calloc(datasets_index_count(t->index), sizeof *t->sums.told);
        if (t->sums.told == NULL) result = no_memory();
    }
    result = app_ranks_agree(result);
    if (result == APP_EXIT_DONE && t->sums.bad > 0) result = count_bad(t);
    return result;
}
