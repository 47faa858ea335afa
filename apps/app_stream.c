#include "app_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_merge.h"
#include "app_model.h"
#include "app_progress.h"
#include "app_ranks.h"
#include "app_report.h"
#include "app_stop.h"
#include "vitc_clock.h"
#include "vitc_log.h"
#include "vitc_memory.h"
#include "vitc_size.h"
#include "vitc_threads.h"

/* With fewer images for each lane than this, the lanes would not end at about the same time. */
enum { LEAST_IMAGES = 2 };

/* What a lane hands over for one image, followed by K logits and K scores. */
typedef struct made {
    app_answer answer;
    float numbers[];
} made;

/* One image in a lane's hands. */
typedef struct shown {
    made *to;
    bool hash;
    vitc_status status; /* of the hash */
    double seconds;     /* that it took */
} shown;

typedef struct lane {
    vit_classifier *classifier;
    vit_input *inputs; /* those of a batch that have something to decode */
    vit_output *outputs;
    shown *images;
    double decode, preprocess, compute;
} lane;

typedef struct run {
    const app_stream *stream;
    vitc_log log;
    uint32_t classes, batch;
    int lane_count, lane_threads;
    lane *lanes;
    uint64_t images; /* about how many are this rank's */
    app_merge merge;
    uint64_t done;
    int exit_status;
} run;

/* ---- in a lane ---- */

static void hash_image(void *user, const imgio_image *image)
{
    shown *s = user;
    const double start = vitc_clock_seconds();
    s->status = datasets_hash_difference(&s->to->answer.hash, image, NULL);
    s->seconds = vitc_clock_seconds() - start;
}

/* What has been read is prepared for the classifier; what has not gets its answer. */
static bool begin_image(vit_input *input, shown *s, const run *r, const datasets_slot *slot)
{
    const datasets_item *item = &slot->item;
    app_answer *answer = &((made *)slot->result)->answer;
    *s = (shown){.to = slot->result};
    answer->milliseconds = (float)(slot->read_seconds * 1e3);
    answer->status = item->status;
    if (item->status != VITC_OK) {
        snprintf(answer->error, sizeof answer->error, "%s",
                 item->error != NULL ? item->error : vitc_status_string(item->status));
        return false;
    }
    *input = (vit_input){.data = item->bytes, .size = item->size, .name = item->path};
    if (item->bytes == NULL) *input = (vit_input){.image = &item->image, .name = item->path};
    if (r->stream->hash) {
        input->inspect = hash_image;
        input->inspect_user = s;
    }
    return true;
}

/* Copies an output, which lives until the lane's next batch. */
static void keep_output(shown *s, const vit_output *output, uint32_t classes, double compute)
{
    made *to = s->to;
    app_answer *answer = &to->answer;
    const double seconds =
        output->decode_seconds + output->preprocess_seconds + s->seconds + compute;
    answer->status = output->status;
    snprintf(answer->error, sizeof answer->error, "%s", output->error);
    answer->width = output->width;
    answer->height = output->height;
    answer->milliseconds += (float)(seconds * 1e3);
    if (output->status != VITC_OK) return;
    memcpy(to->numbers, output->logits, classes * sizeof *to->numbers);
    memcpy(to->numbers + classes, output->scores, classes * sizeof *to->numbers);
    answer->logits = to->numbers;
    answer->scores = to->numbers + classes;
}

static vitc_status finish_images(run *r, lane *l, size_t count, double seconds, const vitc_log *log)
{
    double decode = 0, preprocess = 0;
    size_t good = 0;
    for (size_t i = 0; i < count; i++) {
        if (l->images[i].status != VITC_OK) return vitc_fail_memory(log, "an image's hash");
        decode += l->outputs[i].decode_seconds;
        preprocess += l->outputs[i].preprocess_seconds + l->images[i].seconds;
        good += l->outputs[i].status == VITC_OK;
    }
    double compute = seconds * r->lane_threads - decode - preprocess;
    if (compute < 0) compute = 0;
    l->decode += decode;
    l->preprocess += preprocess;
    l->compute += compute;
    const double share = good != 0 ? compute / r->lane_threads / (double)good : 0;
    for (size_t i = 0; i < count; i++)
        keep_output(&l->images[i], &l->outputs[i], r->classes,
                    l->outputs[i].status == VITC_OK ? share : 0);
    return VITC_OK;
}

static vitc_status work(void *user, int worker, datasets_slot *const *slots, size_t count,
                        const vitc_log *log)
{
    run *r = user;
    lane *l = &r->lanes[worker];
    size_t readable = 0;
    for (size_t i = 0; i < count; i++)
        readable += begin_image(&l->inputs[readable], &l->images[readable], r, slots[i]);
    const double start = vitc_clock_seconds();
    VITC_TRY(vit_classify(l->classifier, l->outputs, l->inputs, readable, log));
    return finish_images(r, l, readable, vitc_clock_seconds() - start, log);
}

/* ---- in the calling thread ---- */

/* These say nothing about the image: something is wrong with the whole run. */
static bool ends_the_run(vitc_status status)
{
    return status == VITC_ERR_PREPROCESS || status == VITC_ERR_ARGUMENT ||
           status == VITC_ERR_INTERNAL;
}

static int give(void *user, const datasets_item *item, const app_answer *answer)
{
    run *r = user;
    const int result = r->stream->deliver(r->stream->user, item, answer);
    if (result == APP_EXIT_DONE) app_progress_update(++r->done);
    return result;
}

/* The loader only has to know that the run ends; how it ends is kept here. */
static vitc_status deliver(void *user, datasets_slot *slot, const vitc_log *log)
{
    run *r = user;
    const app_answer *answer = &((const made *)slot->result)->answer;
    if (ends_the_run(answer->status)) {
        vitc_log_write(log, VITC_LOG_ERROR, "%s", answer->error);
        return answer->status;
    }
    r->exit_status = app_merge_add(&r->merge, &slot->item, answer);
    return r->exit_status == APP_EXIT_DONE ? VITC_OK : VITC_ERR_INTERNAL;
}

static bool stop(void *user)
{
    run *r = user;
    return app_stop_asked() || atomic_load(&r->merge.enough);
}

/* ---- lanes ---- */

/* What the lanes may take together. */
static size_t memory_for_lanes(void)
{
    return vitc_memory_machine() / 2;
}

static vit_classifier_options lane_options(const run *r)
{
    vit_classifier_options options = vit_classifier_options_default();
    options.batch = r->batch;
    options.views = (vit_views)r->stream->settings->views;
    options.threads = r->lane_threads;
    options.decode = app_decode_options(r->stream->settings);
    return options;
}

static bool fits_memory(const run *r)
{
    const vit_classifier_options options = lane_options(r);
    size_t bytes = vit_classifier_size(r->stream->model, &options);
    return bytes != 0 && vitc_size_mul(bytes, (size_t)r->lane_count, &bytes) &&
           bytes <= memory_for_lanes();
}

/* As many lanes as there are images to keep busy, all of the same number of threads. */
static void choose_lanes(run *r)
{
    const app_stream *s = r->stream;
    const int threads = vitc_threads_choose((int)s->settings->threads, NULL, 0);
    r->batch = s->settings->batch < r->images ? (uint32_t)s->settings->batch : (uint32_t)r->images;
    if (r->batch == 0) r->batch = 1;
    for (r->lane_count = threads;; r->lane_count--) {
        r->lane_threads = threads / r->lane_count;
        if (r->lane_count == 1) return;
        if (threads % r->lane_count == 0 && r->images / LEAST_IMAGES >= (uint64_t)r->lane_count &&
            fits_memory(r))
            return;
    }
}

static vitc_status open_lane(lane *l, const run *r)
{
    const vit_classifier_options options = lane_options(r);
    l->inputs = calloc(r->batch, sizeof *l->inputs);
    l->outputs = calloc(r->batch, sizeof *l->outputs);
    l->images = calloc(r->batch, sizeof *l->images);
    if (l->inputs == NULL || l->outputs == NULL || l->images == NULL)
        return vitc_fail_memory(&r->log, "the results");
    return vit_classifier_create(&l->classifier, r->stream->model, &options, &r->log);
}

static vitc_status open_lanes(run *r)
{
    choose_lanes(r);
    r->lanes = calloc((size_t)r->lane_count, sizeof *r->lanes);
    if (r->lanes == NULL) return vitc_fail_memory(&r->log, "the threads");
    for (int i = 0; i < r->lane_count; i++) VITC_TRY(open_lane(&r->lanes[i], r));
    return VITC_OK;
}

static void close_lanes(run *r)
{
    for (int i = 0; i < r->lane_count && r->lanes != NULL; i++) {
        vit_classifier_free(r->lanes[i].classifier);
        free(r->lanes[i].inputs);
        free(r->lanes[i].outputs);
        free(r->lanes[i].images);
    }
    free(r->lanes);
}

static vitc_status run_lanes(run *r, datasets_times *times)
{
    VITC_TRY(open_lanes(r));
    const datasets_loader loader = {
        .workers = r->lane_count,
        .readers = r->images < 4 ? (int)r->images : 0,
        .batch = r->batch,
        .result_size = sizeof(made) + 2 * (size_t)r->classes * sizeof(float),
        .work = work,
        .deliver = deliver,
        .user = r,
        .stop = stop,
    };
    return datasets_load(r->stream->set, &loader, times, &r->log);
}

static void add_lanes(app_times *times, const run *r, const datasets_times *loader)
{
    times->list += loader->list;
    times->read += loader->read;
    times->wait += (loader->wait_input + loader->wait_output) * r->lane_threads;
    times->deliver += loader->deliver;
    times->lanes = r->lane_count;
    times->threads_per_lane = r->lane_threads;
    for (int i = 0; i < r->lane_count && r->lanes != NULL; i++) {
        times->decode += r->lanes[i].decode;
        times->preprocess += r->lanes[i].preprocess;
        times->compute += r->lanes[i].compute;
    }
}

/* Numbered images are dealt out to the ranks in turn. */
static uint64_t share_of_images(uint64_t images)
{
    const uint64_t ranks = (uint64_t)app_ranks_size();
    return images == UINT64_MAX ? images : images / ranks + (images % ranks != 0);
}

int app_stream_run(const app_stream *stream, app_times *times)
{
    datasets_times loader = {0};
    run r = {.stream = stream,
             .log = stream->told ? app_log_errors() : app_log(stream->settings),
             .classes = vit_model_describe(stream->model).config->classes,
             .images = share_of_images(stream->images)};
    r.merge =
        (app_merge){.give = give, .user = &r, .classes = r.classes, .contents = stream->contents};
    app_progress_start(stream->what, stream->images, stream->settings->quiet);
    vitc_status status = app_merge_open(&r.merge, stream->first)
                             ? VITC_OK
                             : vitc_fail_memory(&r.log, "the other ranks' answers");
    if (status == VITC_OK) status = run_lanes(&r, &loader);
    add_lanes(times, &r, &loader);
    const int result = r.exit_status != APP_EXIT_DONE ? r.exit_status : app_exit_status(status);
    const double end = vitc_clock_seconds();
    r.exit_status = app_merge_finish(&r.merge, result, times);
    times->wall += loader.wall + vitc_clock_seconds() - end;
    app_progress_finish();
    app_merge_close(&r.merge);
    close_lanes(&r);
    return r.exit_status;
}
