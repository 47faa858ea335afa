/* The facade: bytes, a file or pixels in, labels and scores out. Ties imgio, patches and vit/model
 * together, and is the one code path that every image takes to a model. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vit.h"
#include "vitc_log.h"
#include "vitc_size.h"
#include "vitc_threads.h"

enum { DEFAULT_BATCH = 8, VIEWS_MAX = 5 };

/* The views of an image, in the order that their logits are added in. */
typedef struct view_list {
    const char *name;
    uint32_t count;
    patches_view views[VIEWS_MAX];
} view_list;

static const view_list view_lists[VIT_VIEWS_COUNT] = {
    [VIT_VIEWS_ONE] = {"one", 1, {PATCHES_VIEW_CENTER}},
    [VIT_VIEWS_HFLIP] = {"hflip", 2, {PATCHES_VIEW_CENTER, PATCHES_VIEW_MIRROR}},
    [VIT_VIEWS_FIVE] = {"five",
                        5,
                        {PATCHES_VIEW_TOP_LEFT, PATCHES_VIEW_TOP_RIGHT, PATCHES_VIEW_BOTTOM_LEFT,
                         PATCHES_VIEW_BOTTOM_RIGHT, PATCHES_VIEW_CENTER}}};

struct vit_classifier {
    const vit_model *model;
    vit_workspace *workspace;
    imgio_decode_options decode;
    patches_levels levels;
    size_t patch_row; /* floats of one patch: C*P*P */
    const view_list *views;
    uint32_t batch, classes;
    int threads;
    float *logits; /* of all views: batch * views * K; an image's mean takes its place in front */
    float *scores; /* batch * K */
};

const char *vit_views_string(vit_views views)
{
    return (unsigned)views < VIT_VIEWS_COUNT ? view_lists[views].name : "?";
}

vit_classifier_options vit_classifier_options_default(void)
{
    return (vit_classifier_options){.batch = DEFAULT_BATCH,
                                    .decode = imgio_decode_options_default()};
}

static vitc_status check_options(const vit_model_info *info, const vit_classifier_options *options,
                                 const vitc_log *log)
{
    char sentence[256];
    if (!info->head_trained)
        return vitc_fail(log, VITC_ERR_UNTRAINED,
                         "the model's classifier head is all zero: it was never trained, and its "
                         "answers would mean nothing; fine-tune it first");
    if ((unsigned)options->views >= VIT_VIEWS_COUNT)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "%d is not a set of views", (int)options->views);
    if (options->views != VIT_VIEWS_FIVE || patches_spec_has_corners(info->preprocess))
        return VITC_OK;
    patches_spec_describe(info->preprocess, sentence, sizeof sentence);
    return vitc_fail(log, VITC_ERR_PREPROCESS,
                     "five views need a resized picture larger than the crop, and the "
                     "preprocessing (%s) leaves nothing over; load the model with a crop fraction "
                     "below 1 (--crop 0.875)",
                     sentence);
}

/* Zeros, as an initializer leaves them, would be limits that no image keeps. */
static void fill_limits(imgio_limits *limits)
{
    const imgio_limits usual = imgio_limits_default();
    if (limits->max_pixels == 0) limits->max_pixels = usual.max_pixels;
    if (limits->max_side == 0) limits->max_side = usual.max_side;
    if (limits->max_jpeg_scans == 0) limits->max_jpeg_scans = usual.max_jpeg_scans;
    if (limits->max_metadata == 0) limits->max_metadata = usual.max_metadata;
    if (limits->max_file_size == 0) limits->max_file_size = usual.max_file_size;
}

static vitc_status allocate(vit_classifier *c, const vitc_log *log)
{
    size_t views = 0, floats, scores, logits;
    if (vitc_size_mul(c->batch, c->views->count, &views) && views <= UINT32_MAX &&
        vitc_size_mul(c->batch, c->classes, &floats) &&
        vitc_size_mul(floats, sizeof(float), &scores) &&
        vitc_size_mul(scores, c->views->count, &logits)) {
        c->logits = malloc(logits);
        c->scores = malloc(scores);
    }
    if (c->logits == NULL || c->scores == NULL) return vitc_fail_memory(log, "the scores");
    return vit_workspace_create(&c->workspace, c->model, (uint32_t)views, c->threads, log);
}

vitc_status vit_classifier_create(vit_classifier **out, const vit_model *model,
                                  const vit_classifier_options *options, const vitc_log *log)
{
    const vit_classifier_options chosen =
        options != NULL ? *options : vit_classifier_options_default();
    const vit_model_info info = vit_model_describe(model);
    *out = NULL;
    VITC_TRY(check_options(&info, &chosen, log));
    vit_classifier *c = calloc(1, sizeof *c);
    if (c == NULL) return vitc_fail_memory(log, "the classifier");
    c->model = model;
    c->views = &view_lists[chosen.views];
    c->batch = chosen.batch != 0 ? chosen.batch : DEFAULT_BATCH;
    c->classes = info.config->classes;
    c->threads = vitc_threads_choose(chosen.threads, NULL, 0);
    c->decode = chosen.decode;
    fill_limits(&c->decode.limits);
    patches_spec_decode_options(&c->decode, info.preprocess);
    patches_levels_init(&c->levels, info.preprocess);
    c->patch_row = (size_t)PATCHES_CHANNELS * info.config->patch * info.config->patch;
    const vitc_status status = allocate(c, log);
    if (status != VITC_OK) {
        vit_classifier_free(c);
        return status;
    }
    *out = c;
    return VITC_OK;
}

size_t vit_classifier_size(const vit_model *model, const vit_classifier_options *options)
{
    const vit_classifier_options chosen =
        options != NULL ? *options : vit_classifier_options_default();
    const uint32_t batch = chosen.batch != 0 ? chosen.batch : DEFAULT_BATCH;
    size_t images;
    if ((unsigned)chosen.views >= VIT_VIEWS_COUNT ||
        !vitc_size_mul(batch, view_lists[chosen.views].count, &images) || images > UINT32_MAX)
        return 0;
    return vit_workspace_size(model, (uint32_t)images,
                              vitc_threads_choose(chosen.threads, NULL, 0));
}

void vit_classifier_free(vit_classifier *classifier)
{
    if (classifier == NULL) return;
    vit_workspace_free(classifier->workspace);
    free(classifier->logits);
    free(classifier->scores);
    free(classifier);
}

/* The log of one image: its first error is kept in its output. Warnings have no place there and
 * would need a lock to reach the caller's log from a team of threads, so they are dropped. */
static void keep_error(void *user, vitc_log_level level, const char *message)
{
    vit_output *output = user;
    if (level == VITC_LOG_ERROR && output->error[0] == 0)
        snprintf(output->error, sizeof output->error, "%s", message);
}

static const char *input_name(const vit_input *input)
{
    if (input->path != NULL) return input->path;
    return input->name != NULL ? input->name : "image";
}

static vitc_status decode_input(imgio_image *image, const vit_input *input,
                                const imgio_decode_options *options, const vitc_log *log)
{
    if (input->path != NULL) return imgio_decode_file(image, input->path, options, log);
    if (input->data == NULL)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "an input has no path, data or image");
    return imgio_decode_memory(image, input->data, input->size, input->name, options, log);
}

/* Pixels to the patch rows of all views, in the workspace's places from `first` on. */
static vitc_status prepare_image(vit_classifier *c, const imgio_image *image, const char *name,
                                 uint32_t first, const vitc_log *log)
{
    const vit_model_info info = vit_model_describe(c->model);
    const vit_config *config = info.config;
    imgio_image seen[VIEWS_MAX] = {0};
    vitc_status status = patches_preprocess_views(seen, c->views->views, c->views->count, image,
                                                  info.preprocess, log);

    for (uint32_t v = 0; v < c->views->count && status == VITC_OK; v++) {
        if (seen[v].width != config->image_width || seen[v].height != config->image_height)
            status = vitc_fail(
                log, VITC_ERR_PREPROCESS, "%s: preprocessed to %ux%u; the model takes %ux%u", name,
                seen[v].height, seen[v].width, config->image_height, config->image_width);
        else
            status = patches_extract_image(vit_workspace_patches(c->workspace, first + v),
                                           c->patch_row, &seen[v], config->patch, &c->levels, log);
    }
    for (uint32_t v = 0; v < c->views->count; v++) imgio_image_free(&seen[v]);
    return status;
}

/* Input number i, from what it was given as to patch rows in the workspace. */
static void prepare_input(vit_classifier *c, vit_output *output, const vit_input *input, uint32_t i)
{
    const vitc_log log = {keep_error, output};
    imgio_image decoded = {0};
    const imgio_image *image = input->image;
    *output = (vit_output){.status = VITC_OK};

    if (image == NULL) {
        const double start = omp_get_wtime();
        output->status = decode_input(&decoded, input, &c->decode, &log);
        output->decode_seconds = omp_get_wtime() - start;
        image = &decoded;
    }
    if (output->status == VITC_OK) {
        output->width = image->full_width != 0 ? image->full_width : image->width;
        output->height = image->full_height != 0 ? image->full_height : image->height;
        if (input->inspect != NULL) input->inspect(input->inspect_user, image);
        const double start = omp_get_wtime();
        output->status = prepare_image(c, image, input_name(input), i * c->views->count, &log);
        output->preprocess_seconds = omp_get_wtime() - start;
    }
    imgio_image_free(&decoded);
}

/* The mean over the views of image b, in the place of its logits. That is at or before the first of
 * its views, and images come in order, so that nothing is overwritten before it is read. */
static void average_views(const vit_classifier *c, uint32_t b)
{
    const uint32_t views = c->views->count;
    const float *of_views = c->logits + (size_t)b * views * c->classes;
    float *logits = c->logits + (size_t)b * c->classes;
    for (uint32_t k = 0; k < c->classes && views > 1; k++) {
        double sum = 0;
        for (uint32_t v = 0; v < views; v++) sum += (double)of_views[(size_t)v * c->classes + k];
        logits[k] = (float)(sum / views);
    }
}

/* Numbers may overflow although all weights are finite, and then say nothing. */
static bool is_answer(const float *logits, uint32_t classes)
{
    bool finite = true;
    for (uint32_t k = 0; k < classes; k++) finite = finite && isfinite(logits[k]);
    return finite;
}

static vitc_status refuse_answer(const vit_classifier *c, const char *name, const vitc_log *log)
{
    const vit_precision precision = vit_model_describe(c->model).precision;
    if (precision == VIT_PRECISION_F32)
        return vitc_fail(log, VITC_ERR_OVERFLOW,
                         "%s: the model's numbers overflow float32 on this image, so that there is "
                         "no answer; look at its weights",
                         name);
    return vitc_fail(log, VITC_ERR_OVERFLOW,
                     "%s: the model's numbers overflow in %s on this image, so that there is no "
                     "answer; try --precision f32",
                     name, vit_precision_string(precision));
}

/* The logits of good image b become its answer, or the reason why there is none. */
static void finish_output(const vit_classifier *c, vit_output *output, const vit_input *input,
                          uint32_t b)
{
    const vitc_log log = {keep_error, output};
    float *logits = c->logits + (size_t)b * c->classes;
    float *scores = c->scores + (size_t)b * c->classes;
    average_views(c, b);
    if (!is_answer(logits, c->classes)) {
        output->status = refuse_answer(c, input_name(input), &log);
        return;
    }
    vit_scores_compute(vit_model_describe(c->model).config, scores, logits);
    output->logits = logits;
    output->scores = scores;
}

vitc_status vit_classify(vit_classifier *c, vit_output *outputs, const vit_input *inputs,
                         size_t count, const vitc_log *log)
{
    if (count > c->batch)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "vit_classify: %zu inputs for a classifier of batch %u", count, c->batch);
    const vit_config *config = vit_model_describe(c->model).config;
    const uint32_t n = (uint32_t)count, views = c->views->count;

    if (n == 1 || c->threads == 1) {
        for (uint32_t i = 0; i < n; i++) prepare_input(c, &outputs[i], &inputs[i], i);
    } else {
#pragma omp parallel for schedule(dynamic, 1) num_threads(c->threads)
        for (uint32_t i = 0; i < n; i++) prepare_input(c, &outputs[i], &inputs[i], i);
    }

    /* Good images move up into the places of bad ones, so that the batch is dense. */
    const size_t image_floats = (size_t)views * vit_config_patches(config) * c->patch_row;
    uint32_t good = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (outputs[i].status != VITC_OK) continue;
        if (good != i)
            memcpy(vit_workspace_patches(c->workspace, good * views),
                   vit_workspace_patches(c->workspace, i * views), image_floats * sizeof(float));
        good++;
    }
    const vitc_status status = vit_forward(c->model, c->workspace, c->logits, good * views, log);
    for (uint32_t i = 0, b = 0; i < n; i++) {
        if (outputs[i].status != VITC_OK) continue;
        if (status == VITC_OK) {
            finish_output(c, &outputs[i], &inputs[i], b++);
        } else { /* the call's log has the reason */
            outputs[i].status = status;
            snprintf(outputs[i].error, sizeof outputs[i].error, "%s: %s", input_name(&inputs[i]),
                     vitc_status_string(status));
        }
    }
    return status;
}
