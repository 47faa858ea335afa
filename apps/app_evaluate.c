#include "app_evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app_classes.h"
#include "app_model.h"
#include "app_output.h"
#include "app_progress.h"
#include "app_report.h"
#include "app_stream.h"
#include "vitc_size.h"

static int no_memory(void)
{
    app_error("out of memory for the evaluation");
    return APP_EXIT_INTERNAL;
}

static uint32_t first_label(const float *logits, const vit_model *model)
{
    uint32_t first;
    vit_top_k(&first, 1, logits, vit_model_describe(model).config->classes);
    return first;
}

/* ---- the set ---- */

/* Opens the set of --data again; what is strange about it has been told the first time. */
static int open_data(datasets_set **set, const datasets_options *options, bool again,
                     const app_settings *settings)
{
    app_settings here = *settings;
    here.quiet = here.quiet || again;
    const vitc_log log = app_log(&here);
    return app_exit_status(datasets_open(set, &settings->data, 1, options, &log));
}

/* ---- both models on all images ---- */

#define NO_ANSWER UINT32_MAX

/* One model's way through the set. */
typedef struct pass {
    app_comparison *c;
    const app_settings *settings;
    const vit_model *model;
    app_classes *classes;
    vitc_sha256 hash;  /* of the first pass */
    bool second;       /* what the first model answered is known */
    uint32_t *answers; /* of the first model, by image; NO_ANSWER for a bad one */
    size_t seen, count, capacity;
} pass;

/* An image's size as 8 bytes (all ones where it cannot be read) and its bytes, or pixels. */
static void add_to_hash(vitc_sha256 *hash, const datasets_item *item)
{
    const imgio_image *image = &item->image;
    const void *data = item->bytes != NULL ? (const void *)item->bytes : image->pixels;
    uint64_t size = item->bytes != NULL ? item->size : (uint64_t)image->width * image->height * 3;
    if (item->status != VITC_OK) size = UINT64_MAX;
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(size >> 8 * i);
    vitc_sha256_add(hash, bytes, sizeof bytes);
    if (item->status == VITC_OK) vitc_sha256_add(hash, data, (size_t)size);
}

static int keep_answer(pass *p, uint32_t answer)
{
    if (p->count == p->capacity) {
        const size_t capacity = vitc_size_max(4096, 2 * p->capacity);
        size_t size;
        if (!vitc_size_mul(capacity, sizeof *p->answers, &size)) return no_memory();
        uint32_t *grown = realloc(p->answers, size);
        if (grown == NULL) return no_memory();
        p->answers = grown;
        p->capacity = capacity;
    }
    p->answers[p->count++] = answer;
    return APP_EXIT_DONE;
}

static void count_answer(app_comparison *c, uint32_t label, uint32_t full, uint32_t reduced)
{
    c->images++;
    c->right_full += full == label;
    c->right_reduced += reduced == label;
    c->agree += full == reduced;
    c->lost += full == label && reduced != label;
    c->gained += full != label && reduced == label;
}

/* The first label that the model gives, and the true one. */
static int judge_answer(pass *p, uint32_t *answer, uint32_t *label, const datasets_item *item,
                        const app_answer *found)
{
    *answer = NO_ANSWER;
    *label = NO_ANSWER;
    if (found->status == VITC_ERR_MEMORY) return no_memory();
    if (item->label >= 0) {
        const int result = app_classes_label(label, p->classes, item->label);
        if (result != APP_EXIT_DONE) return result;
    }
    if (found->status == VITC_OK && item->label >= 0) {
        *answer = first_label(found->logits, p->model);
    } else if (!p->second && !p->settings->quiet) {
        app_error("%s: %s", item->path,
                  found->status != VITC_OK
                      ? app_output_reason(found->status, found->error, item->path)
                      : "has no label");
    }
    return APP_EXIT_DONE;
}

static int deliver(void *user, const datasets_item *item, const app_answer *found)
{
    pass *p = user;
    uint32_t answer, label;
    const int result = judge_answer(p, &answer, &label, item, found);
    if (result != APP_EXIT_DONE) return result;
    if (!p->second) {
        add_to_hash(&p->hash, item);
        return keep_answer(p, answer);
    }
    const size_t at = p->seen++;
    if (at >= p->count || p->answers[at] == NO_ANSWER || answer == NO_ANSWER)
        p->c->bad++;
    else
        count_answer(p->c, label, p->answers[at], answer);
    return APP_EXIT_DONE;
}

static int run_pass(pass *p, const vit_model *model, datasets_survey *survey)
{
    const app_settings *settings = p->settings;
    const vitc_log log = app_log(settings);
    const datasets_options options = app_classes_options(settings);
    datasets_set *set;
    app_times times = {0};
    p->model = model;
    int result = open_data(&set, &options, p->second, settings);
    if (result == APP_EXIT_DONE)
        result = app_exit_status(datasets_survey_set(survey, set, NULL, NULL, &log));
    if (result == APP_EXIT_DONE) result = app_classes_match(&p->classes, set, model, settings);
    const app_stream stream = {.settings = settings,
                               .model = model,
                               .set = set,
                               .images = survey->counted ? survey->images : UINT64_MAX,
                               .told = p->second,
                               .deliver = deliver,
                               .user = p};
    if (result == APP_EXIT_DONE) {
        if (!p->second) vitc_sha256_add(&p->hash, survey->fingerprint, strlen(survey->fingerprint));
        result = app_stream_run(&stream, &times);
    }
    app_classes_free(p->classes);
    p->classes = NULL;
    datasets_close(set);
    return result;
}

int app_evaluate_compare(app_comparison *c, const vit_model *full, const vit_model *reduced,
                         const app_settings *settings)
{
    pass p = {.c = c, .settings = settings, .hash = vitc_sha256_start()};
    datasets_survey first = {0}, second = {0};
    *c = (app_comparison){0};
    int result = run_pass(&p, full, &first);
    vitc_sha256_finish(c->data_hash, &p.hash);
    p.second = true;
    if (result == APP_EXIT_DONE) result = run_pass(&p, reduced, &second);
    if (result == APP_EXIT_DONE &&
        (p.seen != p.count || strcmp(first.fingerprint, second.fingerprint) != 0)) {
        app_error("%s: changed while it was measured; measure again", settings->data);
        result = APP_EXIT_MODEL;
    }
    if (result == APP_EXIT_DONE && c->images == 0) {
        app_error("%s: no image there can be used", settings->data);
        result = APP_EXIT_MODEL;
    }
    free(p.answers);
    return result;
}

/* ---- one matrix at a time, on a few images ---- */

enum { SENSITIVITY_IMAGES = 32 };

/* These say nothing about the image: something is wrong with the whole run. */
static bool ends_the_run(vitc_status status)
{
    return status == VITC_ERR_PREPROCESS || status == VITC_ERR_ARGUMENT ||
           status == VITC_ERR_INTERNAL || status == VITC_ERR_MEMORY;
}

/* A model ready to classify batches of images in memory. */
typedef struct judge {
    vit_classifier *classifier;
    const vit_model *model;
    vit_input *inputs;
    vit_output *outputs;
    size_t batch;
} judge;

static int judge_open(judge *j, const vit_model *model, size_t batch, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    vit_classifier_options options = vit_classifier_options_default();
    options.batch = (uint32_t)batch;
    options.threads = (int)settings->threads;
    options.decode = app_decode_options(settings);
    *j = (judge){.model = model, .batch = batch};
    j->inputs = calloc(batch, sizeof *j->inputs);
    j->outputs = calloc(batch, sizeof *j->outputs);
    if (j->inputs == NULL || j->outputs == NULL) return no_memory();
    return app_exit_status(vit_classifier_create(&j->classifier, model, &options, &log));
}

static void judge_close(judge *j)
{
    vit_classifier_free(j->classifier);
    free(j->inputs);
    free(j->outputs);
}

/* outputs[i] belongs to items[i], each with its bytes or pixels. */
static int judge_run(judge *j, const datasets_item *items, size_t count,
                     const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    for (size_t i = 0; i < count; i++) {
        const datasets_item *item = &items[i];
        j->inputs[i] =
            item->bytes != NULL
                ? (vit_input){.data = item->bytes, .size = item->size, .name = item->path}
                : (vit_input){.image = &item->image, .name = item->path};
    }
    const vitc_status status = vit_classify(j->classifier, j->outputs, j->inputs, count, &log);
    if (status != VITC_OK) return app_exit_status(status);
    for (size_t i = 0; i < count; i++)
        if (ends_the_run(j->outputs[i].status)) {
            app_error("%s", j->outputs[i].error);
            return app_exit_status(j->outputs[i].status);
        }
    return APP_EXIT_DONE;
}

typedef struct sample {
    datasets_item images[SENSITIVITY_IMAGES]; /* only such that can be used */
    size_t count;
    uint64_t of; /* images of the set */
    uint32_t classes;
    float *logits; /* of the full model: count * classes */
} sample;

static void sample_close(sample *s)
{
    for (size_t i = 0; i < s->count; i++) datasets_item_free(&s->images[i]);
    free(s->logits);
}

/* Images from all over the data: every so many. */
static bool is_sampled(void *user, uint64_t index, const char *path)
{
    const sample *s = user;
    (void)path;
    if (s->of <= SENSITIVITY_IMAGES) return true;
    return index * SENSITIVITY_IMAGES / s->of != (index + 1) * SENSITIVITY_IMAGES / s->of;
}

/* Keeps the image where the full model can use it, and what it says of it. */
static int sample_add(sample *s, datasets_item *item, judge *j, const app_settings *settings)
{
    if (item->file != NULL) datasets_item_read(item, 0);
    int result = APP_EXIT_DONE;
    bool good = item->status == VITC_OK && s->count < SENSITIVITY_IMAGES;
    if (good) {
        result = judge_run(j, item, 1, settings);
        good = result == APP_EXIT_DONE && j->outputs[0].status == VITC_OK;
    }
    if (!good) {
        datasets_item_free(item); /* the evaluation has reported it */
        return result;
    }
    memcpy(s->logits + s->count * s->classes, j->outputs[0].logits, s->classes * sizeof *s->logits);
    s->images[s->count++] = *item;
    return APP_EXIT_DONE;
}

static int sample_fill(sample *s, judge *j, const app_settings *settings)
{
    const vitc_log log = app_log_errors(); /* the evaluation has told the rest */
    datasets_options options = app_classes_options(settings);
    datasets_set *set;
    options.wanted = is_sampled;
    options.wanted_user = s;
    int result = open_data(&set, &options, true, settings);
    while (result == APP_EXIT_DONE) {
        datasets_item item;
        bool end;
        result = app_exit_status(datasets_next(&item, &end, set, &log));
        if (result != APP_EXIT_DONE || end) break;
        result = sample_add(s, &item, j, settings);
    }
    datasets_close(set);
    return result;
}

static int sample_open(sample *s, uint64_t count, const vit_model *full,
                       const app_settings *settings)
{
    judge j;
    *s = (sample){.of = count, .classes = vit_model_describe(full).config->classes};
    s->logits = calloc((size_t)SENSITIVITY_IMAGES * s->classes, sizeof *s->logits);
    int result = s->logits == NULL ? no_memory() : APP_EXIT_DONE;
    const int opened = judge_open(&j, full, 1, settings);
    if (result == APP_EXIT_DONE) result = opened;
    if (result == APP_EXIT_DONE) result = sample_fill(s, &j, settings);
    if (result == APP_EXIT_DONE && s->count == 0) {
        app_error("%s: no image for the report can be used", settings->data);
        result = APP_EXIT_MODEL;
    }
    judge_close(&j);
    return result;
}

static int measure(app_sensitivity *row, const sample *s, const vit_model *model,
                   const app_settings *settings)
{
    judge j;
    double error = 0, length = 0;
    const size_t batch = s->count < (size_t)settings->batch ? s->count : (size_t)settings->batch;
    int result = judge_open(&j, model, batch, settings);
    for (size_t done = 0; done < s->count && result == APP_EXIT_DONE;) {
        const size_t count = s->count - done < batch ? s->count - done : batch;
        result = judge_run(&j, s->images + done, count, settings);
        for (size_t i = 0; i < count && result == APP_EXIT_DONE; i++) {
            const float *full = s->logits + (done + i) * s->classes;
            const float *found = j.outputs[i].logits; /* NULL where the numbers overflow */
            for (uint32_t k = 0; k < s->classes; k++) {
                const double difference =
                    found != NULL ? (double)found[k] - (double)full[k] : INFINITY;
                error += difference * difference;
                length += (double)full[k] * (double)full[k];
            }
            row->changed += found == NULL || first_label(found, model) != first_label(full, model);
        }
        done += count;
    }
    row->error = length > 0 ? sqrt(error / length) : 0;
    judge_close(&j);
    return result;
}

static int measure_one(app_sensitivity *row, const char *matrix, const sample *s,
                       app_reduce_fn reduce, void *user, const app_settings *settings)
{
    vit_model *model;
    *row = (app_sensitivity){0};
    snprintf(row->matrix, sizeof row->matrix, "%s", matrix != NULL ? matrix : "all");
    int result = reduce(&model, matrix, user);
    if (result == APP_EXIT_DONE) result = measure(row, s, model, settings);
    vit_model_free(model);
    return result;
}

static int compare_rows(const void *a, const void *b)
{
    const app_sensitivity *p = a, *q = b;
    if (p->error != q->error) return p->error > q->error ? -1 : 1;
    return strcmp(p->matrix, q->matrix);
}

void app_sensitivities_free(app_sensitivities *table)
{
    free(table->rows);
    *table = (app_sensitivities){0};
}

int app_evaluate_sensitivity(app_sensitivities *table, uint64_t count, const vit_model *full,
                             app_reduce_fn reduce, void *user, const app_settings *settings)
{
    sample s;
    *table = (app_sensitivities){0};
    while (vit_model_matrix(full, table->count) != NULL) table->count++;
    table->rows = calloc(table->count, sizeof *table->rows);
    int result = sample_open(&s, count, full, settings);
    if (result == APP_EXIT_DONE && table->rows == NULL) result = no_memory();
    table->images = (uint32_t)s.count;
    if (result == APP_EXIT_DONE)
        result = measure_one(&table->all, NULL, &s, reduce, user, settings);
    app_progress_start(NULL, table->count * s.count, settings->quiet);
    for (size_t i = 0; i < table->count && result == APP_EXIT_DONE; i++) {
        result =
            measure_one(&table->rows[i], vit_model_matrix(full, i), &s, reduce, user, settings);
        app_progress_update((i + 1) * s.count);
    }
    app_progress_finish();
    sample_close(&s);
    if (result == APP_EXIT_DONE) {
        qsort(table->rows, table->count, sizeof *table->rows, compare_rows);
    } else {
        app_sensitivities_free(table);
    }
    return result;
}
