#include "app_evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app_model.h"
#include "app_output.h"
#include "app_progress.h"
#include "app_report.h"
#include "vitc_file.h"

static int no_memory(void)
{
    app_error("out of memory for the evaluation");
    return APP_EXIT_INTERNAL;
}

/* ---- images as bytes, so that a file is read once for its hash and for both models ---- */

typedef struct loaded {
    const app_labelled *from;
    unsigned char *bytes;
    size_t size;
    vit_output read; /* whether and why not */
} loaded;

static void keep_message(void *user, vitc_log_level level, const char *message)
{
    vit_output *output = user;
    if (level == VITC_LOG_ERROR && output->error[0] == 0)
        snprintf(output->error, sizeof output->error, "%s", message);
}

static void load(loaded *image, const app_labelled *from)
{
    *image = (loaded){.from = from};
    const vitc_log log = {keep_message, &image->read};
    image->read.status = vitc_file_read(&image->bytes, &image->size, from->path,
                                        imgio_limits_default().max_file_size, &log);
}

static void report_bad(const app_labelled *image, const vit_output *output,
                       const app_settings *settings)
{
    if (!settings->quiet)
        app_error("%s: %s", image->path,
                  app_output_reason(output->status, output->error, image->path));
}

/* These say nothing about the image: something is wrong with the whole run. */
static bool ends_the_run(vitc_status status)
{
    return status == VITC_ERR_PREPROCESS || status == VITC_ERR_ARGUMENT ||
           status == VITC_ERR_INTERNAL || status == VITC_ERR_MEMORY;
}

/* A model ready to classify batches of loaded images. */
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

/* outputs[i] belongs to images[i]; what could not be read keeps its reason. */
static int judge_run(judge *j, const loaded *images, size_t count, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    size_t readable = 0;
    for (size_t i = 0; i < count; i++)
        if (images[i].read.status == VITC_OK)
            j->inputs[readable++] = (vit_input){
                .data = images[i].bytes, .size = images[i].size, .name = images[i].from->path};
    const vitc_status status = vit_classify(j->classifier, j->outputs, j->inputs, readable, &log);
    if (status != VITC_OK) return app_exit_status(status);
    for (size_t i = count; i-- > 0;) /* from the end: outputs move up */
        j->outputs[i] = images[i].read.status == VITC_OK ? j->outputs[--readable] : images[i].read;
    for (size_t i = 0; i < count; i++)
        if (ends_the_run(j->outputs[i].status)) {
            app_error("%s", j->outputs[i].error);
            return app_exit_status(j->outputs[i].status);
        }
    return APP_EXIT_DONE;
}

static uint32_t first_label(const float *logits, const vit_model *model)
{
    uint32_t first;
    vit_top_k(&first, 1, logits, vit_model_describe(model).config->classes);
    return first;
}

/* ---- both models on all images ---- */

/* A file's name, its size as 8 bytes (all ones where it cannot be read) and its bytes. */
static void add_to_hash(vitc_sha256 *hash, const loaded *image)
{
    const bool read = image->read.status == VITC_OK;
    const uint64_t size = read ? image->size : UINT64_MAX;
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(size >> 8 * i);
    vitc_sha256_add(hash, image->from->name, strlen(image->from->name) + 1);
    vitc_sha256_add(hash, bytes, sizeof bytes);
    if (read) vitc_sha256_add(hash, image->bytes, image->size);
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

static int compare_batch(app_comparison *c, judge *full, judge *reduced, const loaded *images,
                         size_t count, const app_settings *settings)
{
    int result = judge_run(full, images, count, settings);
    if (result == APP_EXIT_DONE) result = judge_run(reduced, images, count, settings);
    for (size_t i = 0; i < count && result == APP_EXIT_DONE; i++) {
        const vit_output *a = &full->outputs[i], *b = &reduced->outputs[i];
        if (a->status != VITC_OK || b->status != VITC_OK) {
            c->bad++;
            report_bad(images[i].from, a->status != VITC_OK ? a : b, settings);
        } else {
            count_answer(c, images[i].from->label, first_label(a->logits, full->model),
                         first_label(b->logits, reduced->model));
        }
    }
    return result;
}

int app_evaluate_compare(app_comparison *c, const app_data *data, const vit_model *full,
                         const vit_model *reduced, const app_settings *settings)
{
    const size_t batch = (size_t)settings->batch;
    judge judges[2] = {{0}, {0}};
    vitc_sha256 hash = vitc_sha256_start();
    *c = (app_comparison){0};
    loaded *images = calloc(batch, sizeof *images);
    int result = images == NULL ? no_memory() : judge_open(&judges[0], full, batch, settings);
    if (result == APP_EXIT_DONE) result = judge_open(&judges[1], reduced, batch, settings);
    app_progress_start(data->count, settings->quiet);
    for (size_t done = 0; done < data->count && result == APP_EXIT_DONE;) {
        const size_t left = data->count - done, count = left < batch ? left : batch;
        for (size_t i = 0; i < count; i++) {
            load(&images[i], &data->items[done + i]);
            add_to_hash(&hash, &images[i]);
        }
        result = compare_batch(c, &judges[0], &judges[1], images, count, settings);
        for (size_t i = 0; i < count; i++) free(images[i].bytes);
        done += count;
        app_progress_update(done);
    }
    app_progress_finish();
    vitc_sha256_finish(c->data_hash, &hash);
    if (result == APP_EXIT_DONE && c->images == 0) {
        app_error("%s: no image there can be used", settings->data);
        result = APP_EXIT_MODEL;
    }
    judge_close(&judges[0]);
    judge_close(&judges[1]);
    free(images);
    return result;
}

/* ---- one matrix at a time, on a few images ---- */

enum { SENSITIVITY_IMAGES = 32 };

typedef struct sample {
    loaded images[SENSITIVITY_IMAGES]; /* only such that can be used */
    size_t count;
    uint32_t classes;
    float *logits; /* of the full model: count * classes */
} sample;

static void sample_close(sample *s)
{
    for (size_t i = 0; i < s->count; i++) free(s->images[i].bytes);
    free(s->logits);
}

/* Images from all over the data, and what the full model says of them. */
static int sample_open(sample *s, const app_data *data, const vit_model *full,
                       const app_settings *settings)
{
    judge j;
    *s = (sample){.classes = vit_model_describe(full).config->classes};
    s->logits = calloc((size_t)SENSITIVITY_IMAGES * s->classes, sizeof *s->logits);
    int result = s->logits == NULL ? no_memory() : APP_EXIT_DONE;
    const int opened = judge_open(&j, full, 1, settings);
    if (result == APP_EXIT_DONE) result = opened;
    const size_t wanted = data->count < SENSITIVITY_IMAGES ? data->count : SENSITIVITY_IMAGES;
    for (size_t i = 0; i < wanted && result == APP_EXIT_DONE; i++) {
        loaded *image = &s->images[s->count];
        load(image, &data->items[i * data->count / wanted]);
        result = judge_run(&j, image, 1, settings);
        if (result == APP_EXIT_DONE && j.outputs[0].status == VITC_OK) {
            memcpy(s->logits + s->count * s->classes, j.outputs[0].logits,
                   s->classes * sizeof *s->logits);
            s->count++;
        } else {
            free(image->bytes); /* the evaluation has reported it */
            *image = (loaded){0};
        }
    }
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
            const float *found = j.outputs[i].logits;
            for (uint32_t k = 0; k < s->classes; k++) {
                const double difference = (double)found[k] - (double)full[k];
                error += difference * difference;
                length += (double)full[k] * (double)full[k];
            }
            row->changed += first_label(found, model) != first_label(full, model);
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
    return app_inputs_compare(p->matrix, q->matrix);
}

void app_sensitivities_free(app_sensitivities *table)
{
    free(table->rows);
    *table = (app_sensitivities){0};
}

int app_evaluate_sensitivity(app_sensitivities *table, const app_data *data, const vit_model *full,
                             app_reduce_fn reduce, void *user, const app_settings *settings)
{
    sample s;
    *table = (app_sensitivities){0};
    while (vit_model_matrix(full, table->count) != NULL) table->count++;
    table->rows = calloc(table->count, sizeof *table->rows);
    int result = sample_open(&s, data, full, settings);
    if (result == APP_EXIT_DONE && table->rows == NULL) result = no_memory();
    table->images = (uint32_t)s.count;
    if (result == APP_EXIT_DONE)
        result = measure_one(&table->all, NULL, &s, reduce, user, settings);
    app_progress_start(table->count * s.count, settings->quiet);
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
