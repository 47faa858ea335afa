/* What training sees: batches of augmented images as patch rows, with their targets.
 *
 *     order of the epoch --> image: fetch, decode, augment, cut into rows, erase --> pair: mix
 *
 * Everything that is chosen is a number of a stream that the image or the pair names, so that
 * images are made in any order by any thread. Threads are OpenMP's, as those that train are: the
 * same ones do both by turns. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "datasets_private.h"
#include "vitc_log.h"
#include "vitc_random.h"
#include "vitc_size.h"
#include "vitc_threads.h"

enum { EPOCHS = 1 << 24 }; /* that random numbers can tell apart */

/* Images that cannot be used, as found so far by whatever thread. */
typedef struct feed_bad {
    pthread_mutex_t mutex; /* of what is said */
    atomic_uint_fast64_t count;
    atomic_uchar image[]; /* of each one, whether it is bad */
} feed_bad;

struct datasets_feed {
    const datasets_index *index;
    datasets_feed_options options;
    patches_levels levels;
    datasets_rows layout;
    size_t image_size; /* floats */
    size_t count;
    int threads;
    bool mixed;

    uint32_t *by_class; /* all images, */
    size_t *class_from; /* from which place on those of each class; one more than classes */
    uint32_t *order;    /* of the epoch, once `ordered` */
    uint32_t epoch;
    bool ordered;
    uint64_t last, step; /* where the last batch began, and how far before that the one before it */
    feed_bad *bad;
};

/* ---- making ---- */

static vitc_status check_labels(const datasets_index *index, uint32_t classes, const vitc_log *log)
{
    const size_t count = datasets_index_count(index);
    if (count == 0) return vitc_fail(log, VITC_ERR_ARGUMENT, "there are no images to train on");
    for (size_t i = 0; i < count; i++)
        if (datasets_index_label(index, i) >= classes)
            return vitc_fail(log, VITC_ERR_ARGUMENT,
                             "the images' label %u is beyond the %u classes of the model",
                             datasets_index_label(index, i), classes);
    return VITC_OK;
}

static vitc_status check_options(const datasets_feed_options *options, const vitc_log *log)
{
    const datasets_augmentation *a = &options->augmentation;
    VITC_TRY(datasets_augmentation_check(a, log));
    VITC_TRY(datasets_mixing_check(&options->mixing, log));
    VITC_TRY(patches_spec_check(&options->preprocess, "the images to train on", log));
    if (!(options->smoothing >= 0 && options->smoothing < 1))
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "label smoothing is %g; it must be at least 0 and below 1",
                         options->smoothing);
    if (options->patch == 0 || a->width % options->patch != 0 || a->height % options->patch != 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "images %u pixels wide and %u high do not divide into patches of %u",
                         a->width, a->height, options->patch);
    return VITC_OK;
}

/* How small a fast decode may leave a picture where the caller does not say: a whole picture twice
 * the size of the result, as for classifying (patches.h); of crops the smallest as large as it. */
static imgio_decode_options choose_decode(const imgio_decode_options *given,
                                          const datasets_augmentation *a)
{
    imgio_decode_options decode = *given;
    if (decode.fast && a->crop == DATASETS_CROP_PADDED) decode.fast = false;
    if (!decode.fast || decode.min_width != 0 || decode.min_height != 0) return decode;
    decode.min_width = 2 * a->width;
    decode.min_height = 2 * a->height;
    if (a->crop == DATASETS_CROP_RESIZED) {
        /* sqrt(scale ratio w h) wide and sqrt(scale w h / ratio) high, of w x h pixels. */
        const double wide = a->width / sqrt(a->crop_scale[0] * a->crop_ratio[0]);
        const double high = a->height * sqrt(a->crop_ratio[1] / a->crop_scale[0]);
        decode.min_width = decode.min_height = (uint32_t)fmin(ceil(fmax(wide, high)), UINT32_MAX);
    }
    return decode;
}

static feed_bad *create_bad(size_t count)
{
    feed_bad *bad = calloc(1, sizeof *bad + count * sizeof bad->image[0]);
    if (bad != NULL && pthread_mutex_init(&bad->mutex, NULL) != 0) {
        free(bad);
        return NULL;
    }
    return bad;
}

/* Sorts the images by their class. */
static bool sort_classes(datasets_feed *feed)
{
    const datasets_index *index = feed->index;
    const size_t classes = feed->options.classes;
    feed->by_class = calloc(feed->count, sizeof *feed->by_class);
    feed->class_from = calloc(classes + 1, sizeof *feed->class_from);
    if (feed->by_class == NULL || feed->class_from == NULL) return false;
    for (size_t i = 0; i < feed->count; i++) feed->class_from[datasets_index_label(index, i)]++;
    size_t from = 0;
    for (size_t k = 0; k < classes; k++) {
        const size_t count = feed->class_from[k];
        feed->class_from[k] = from;
        from += count;
    }
    for (size_t i = 0; i < feed->count; i++)
        feed->by_class[feed->class_from[datasets_index_label(index, i)]++] = (uint32_t)i;
    /* Each beginning has become its end, which is the next one's beginning. */
    memmove(feed->class_from + 1, feed->class_from, classes * sizeof *feed->class_from);
    feed->class_from[0] = 0;
    return true;
}

vitc_status datasets_feed_create(datasets_feed **feed, const datasets_index *index,
                                 const datasets_feed_options *options, const vitc_log *log)
{
    *feed = NULL;
    VITC_TRY(check_options(options, log));
    VITC_TRY(check_labels(index, options->classes, log));
    datasets_feed *made = calloc(1, sizeof *made);
    if (made == NULL) return vitc_fail_memory(log, "the batches");
    made->index = index;
    made->options = *options;
    made->options.decode = choose_decode(&options->decode, &options->augmentation);
    made->count = datasets_index_count(index);
    made->threads = vitc_threads_choose(options->threads, NULL, 0);
    patches_levels_init(&made->levels, &options->preprocess);
    const uint32_t patch = options->patch;
    made->layout = (datasets_rows){
        .grid_height = options->augmentation.height / patch,
        .grid_width = options->augmentation.width / patch,
        .patch = patch,
        .row_stride = (size_t)PATCHES_CHANNELS * patch * patch,
    };
    made->image_size = made->layout.row_stride * made->layout.grid_height * made->layout.grid_width;
    made->order = calloc(made->count, sizeof *made->order);
    made->bad = create_bad(made->count);
    made->mixed = true;
    if (made->order == NULL || made->bad == NULL || !sort_classes(made)) {
        datasets_feed_free(made);
        return vitc_fail_memory(log, "the order of the images");
    }
    *feed = made;
    return VITC_OK;
}

void datasets_feed_free(datasets_feed *feed)
{
    if (feed == NULL) return;
    if (feed->bad != NULL) pthread_mutex_destroy(&feed->bad->mutex);
    free(feed->bad);
    free(feed->by_class);
    free(feed->class_from);
    free(feed->order);
    free(feed);
}

uint64_t datasets_feed_bad(const datasets_feed *feed)
{
    return atomic_load(&feed->bad->count);
}

bool datasets_feed_is_bad(const datasets_feed *feed, size_t image)
{
    return atomic_load(&feed->bad->image[image]) != 0;
}

void datasets_feed_mix(datasets_feed *feed, bool mixed)
{
    feed->mixed = mixed;
}

/* ---- one picture ---- */

static void tell_bad(const datasets_feed *feed, size_t image, const char *why, const vitc_log *log)
{
    enum { WARN_MOST = 20 };
    if (atomic_exchange(&feed->bad->image[image], 1) != 0) return; /* another thread was faster */
    const uint64_t before = atomic_fetch_add(&feed->bad->count, 1);
    if (before < WARN_MOST)
        vitc_log_write(log, VITC_LOG_WARN,
                       "%s; another image takes its place, of its class where there is one", why);
    else if (before == WARN_MOST)
        vitc_log_write(log, VITC_LOG_WARN,
                       "%s; other images that cannot be used are only counted from now on", why);
}

/* Decodes an image unless it is known to be bad; *used becomes which one it is where it is good. */
static vitc_status try_image(imgio_image *image, size_t *used, const datasets_feed *feed,
                             size_t which, const vitc_log *log)
{
    datasets_message message;
    const vitc_log keeper = datasets_message_log(&message, log);
    if (atomic_load(&feed->bad->image[which]) != 0) return VITC_ERR_UNREADABLE;
    const vitc_status status =
        datasets_index_image(image, feed->index, which, &feed->options.decode, &keeper);
    if (status == VITC_OK)
        *used = which;
    else if (status == VITC_ERR_MEMORY)
        return vitc_fail(log, status, "%s", message.text);
    else
        tell_bad(feed, which, message.text, log);
    return status;
}

/* The first one that can be used of a list: some are drawn, and then all follow the last of these.
 * No choice depends on what is known to be bad by now, which threads find out in any order. */
static vitc_status try_some(imgio_image *image, size_t *used, const datasets_feed *feed,
                            const uint32_t *list, size_t count, vitc_random *random,
                            const vitc_log *log)
{
    enum { DRAWS = 8 };
    vitc_status status = VITC_ERR_UNREADABLE;
    size_t place = 0;
    for (size_t i = 0; i < DRAWS + count; i++) {
        place = i < DRAWS ? (size_t)vitc_random_below(random, count) : (place + 1) % count;
        status = try_image(image, used, feed, list[place], log);
        if (status == VITC_OK || status == VITC_ERR_MEMORY) break;
    }
    return status;
}

/* Decodes the image `which`, or where it cannot be used another of its class, or of any where the
 * class has none; *used says which one that is. */
static vitc_status fetch(imgio_image *image, size_t *used, const datasets_feed *feed,
                         uint32_t epoch, size_t which, const vitc_log *log)
{
    const uint32_t label = datasets_index_label(feed->index, which);
    const size_t from = feed->class_from[label], to = feed->class_from[label + 1];
    vitc_random random = vitc_random_start(feed->options.seed, VITC_RANDOM_STAND_IN, epoch, which);
    vitc_status status = try_image(image, used, feed, which, log);
    if (status != VITC_OK && status != VITC_ERR_MEMORY)
        status = try_some(image, used, feed, feed->by_class + from, to - from, &random, log);
    if (status != VITC_OK && status != VITC_ERR_MEMORY)
        status = try_some(image, used, feed, feed->by_class, feed->count, &random, log);
    if (status == VITC_OK || status == VITC_ERR_MEMORY) return status;
    datasets_message message;
    const vitc_log keeper = datasets_message_log(&message, log);
    *used = which;
    status = datasets_index_image(image, feed->index, which, &feed->options.decode, &keeper);
    if (status == VITC_OK) return status;
    return vitc_fail(log, status, "%s; none of the %zu images to train on can be used",
                     message.text, feed->count);
}

/* The augmented picture in the place of image `which`, and its label. What stands in for a bad
 * image gets that one's random numbers: it is not seen twice in the same way. */
static vitc_status make_picture(imgio_image *picture, uint32_t *label, const datasets_feed *feed,
                                uint32_t epoch, size_t which, const vitc_log *log)
{
    const datasets_feed_options *options = &feed->options;
    imgio_image image;
    size_t used;
    VITC_TRY(fetch(&image, &used, feed, epoch, which, log));
    *label = datasets_index_label(feed->index, used);
    const vitc_status status = datasets_augment_image(picture, &image, &options->augmentation,
                                                      options->seed, epoch, which, log);
    imgio_image_free(&image);
    return status;
}

/* ---- a batch ---- */

typedef struct batch {
    const datasets_feed *feed;
    float *rows, *targets;
    size_t image_stride;
    const uint32_t *order; /* of the epoch, from the batch's first image on */
    const uint32_t *next;  /* the same of what will be asked for next */
    uint32_t epoch, count, next_count;
    uint64_t from;
    const vitc_log *callers_log;

    /* Of the first of its images that failed, with the mutex held. */
    uint32_t failed;
    vitc_status status;
    datasets_message message;
} batch;

static void write_log(void *user, vitc_log_level level, const char *message)
{
    const batch *b = user;
    pthread_mutex_lock(&b->feed->bad->mutex);
    vitc_log_write(b->callers_log, level, "%s", message);
    pthread_mutex_unlock(&b->feed->bad->mutex);
}

static float *rows_of(const batch *b, uint32_t i)
{
    return b->rows + i * b->image_stride;
}

static float *targets_of(const batch *b, uint32_t i)
{
    return b->targets + (size_t)i * b->feed->options.classes;
}

static vitc_status make_image(const batch *b, uint32_t i, const vitc_log *log)
{
    const datasets_feed *feed = b->feed;
    const datasets_feed_options *options = &feed->options;
    const uint32_t which = b->order[i];
    imgio_image picture;
    uint32_t label;
    VITC_TRY(make_picture(&picture, &label, feed, b->epoch, which, log));
    const vitc_status status = patches_extract_image(rows_of(b, i), feed->layout.row_stride,
                                                     &picture, options->patch, &feed->levels, log);
    imgio_image_free(&picture);
    VITC_TRY(status);
    datasets_erase_rows(rows_of(b, i), &feed->layout, &options->augmentation, options->seed,
                        b->epoch, which);
    datasets_targets_fill(targets_of(b, i), options->classes, label, options->smoothing);
    return VITC_OK;
}

static void run_image(batch *b, uint32_t i)
{
    const vitc_log shared = {.write = write_log, .user = b};
    datasets_message message;
    const vitc_log keeper = datasets_message_log(&message, &shared);
    const vitc_status status = make_image(b, i, &keeper);
    if (status == VITC_OK) return;
    pthread_mutex_lock(&b->feed->bad->mutex);
    if (b->status == VITC_OK || i < b->failed) {
        b->failed = i;
        b->status = status;
        b->message = message;
    }
    pthread_mutex_unlock(&b->feed->bad->mutex);
}

static void mix_pair(const batch *b, uint32_t pair)
{
    const datasets_feed_options *options = &b->feed->options;
    const uint32_t first = 2 * pair, second = first + 1;
    datasets_mix_pair(rows_of(b, first), rows_of(b, second), targets_of(b, first),
                      targets_of(b, second), &b->feed->layout, options->classes, &options->mixing,
                      options->seed, b->epoch, b->from / 2 + pair);
}

static void run_batch(batch *b)
{
#pragma omp parallel num_threads(b->feed->threads)
    {
#pragma omp for schedule(dynamic)
        for (uint32_t i = 0; i < b->count; i++) {
            if (i < b->next_count) datasets_index_expect(b->feed->index, b->next[i]);
            run_image(b, i);
        }
#pragma omp for schedule(static)
        for (uint32_t pair = 0; pair < b->count / 2; pair++)
            if (b->status == VITC_OK && b->feed->mixed) mix_pair(b, pair);
    }
}

static vitc_status check_batch(const datasets_feed *feed, size_t image_stride, uint32_t epoch,
                               uint64_t from, uint32_t count, const vitc_log *log)
{
    if (epoch >= EPOCHS)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "epoch %u is beyond the %d that there can be",
                         epoch, EPOCHS);
    if (from > feed->count || count > feed->count - from)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "images %llu to %llu of an epoch of %zu were asked for",
                         (unsigned long long)from, (unsigned long long)from + count, feed->count);
    if (from % 2 != 0 || (count % 2 != 0 && from + count < feed->count))
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "a batch of %u images from the %lluth on cuts a pair in two", count,
                         (unsigned long long)from);
    if (image_stride < feed->image_size)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "images of %zu numbers do not fit %zu numbers apart", feed->image_size,
                         image_stride);
    return VITC_OK;
}

static void order_epoch(datasets_feed *feed, uint32_t epoch)
{
    if (feed->ordered && feed->epoch == epoch) return;
    datasets_shuffle(feed->order, feed->count, feed->options.seed, epoch);
    feed->ordered = true;
    feed->epoch = epoch;
    feed->step = 0;
    feed->last = feed->count;
}

/* What will be asked for next: as many images, as far behind these as these are behind the last
 * ones, since other machines may take those between. */
static void guess_next(batch *b, datasets_feed *feed)
{
    feed->step = b->from > feed->last ? b->from - feed->last : b->count;
    feed->last = b->from;
    const uint64_t next = b->from + feed->step;
    if (next >= feed->count) return;
    b->next = feed->order + next;
    b->next_count = (uint32_t)vitc_size_min(b->count, feed->count - next);
}

vitc_status datasets_feed_batch(datasets_feed *feed, float *rows, size_t image_stride,
                                float *targets, uint32_t epoch, uint64_t from, uint32_t count,
                                const vitc_log *log)
{
    VITC_TRY(check_batch(feed, image_stride, epoch, from, count, log));
    order_epoch(feed, epoch);
    batch b = {
        .feed = feed,
        .image_stride = image_stride,
        .order = feed->order + from,
        .epoch = epoch,
        .count = count,
        .from = from,
        .callers_log = log,
    };
    b.rows = rows;
    b.targets = targets;
    guess_next(&b, feed);
    run_batch(&b);
    if (b.status != VITC_OK) return vitc_fail(log, b.status, "%s", b.message.text);
    return VITC_OK;
}

/* ---- for people to look at ---- */

vitc_status datasets_feed_pictures(imgio_image *images, float *targets, datasets_feed *feed,
                                   uint32_t epoch, uint64_t from, uint32_t count,
                                   const vitc_log *log)
{
    const datasets_rows *layout = &feed->layout;
    size_t size;
    for (uint32_t i = 0; i < count; i++) images[i] = (imgio_image){0};
    float *rows = vitc_size_mul(count, feed->image_size, &size) && size <= SIZE_MAX / sizeof *rows
                      ? calloc(vitc_size_max(size, 1), sizeof *rows)
                      : NULL;
    if (rows == NULL) return vitc_fail_memory(log, "pictures of a batch");
    vitc_status status =
        datasets_feed_batch(feed, rows, feed->image_size, targets, epoch, from, count, log);
    for (uint32_t i = 0; i < count && status == VITC_OK; i++)
        status = patches_restore_image(&images[i], rows + i * feed->image_size, layout->row_stride,
                                       layout->grid_height * layout->patch,
                                       layout->grid_width * layout->patch, layout->patch,
                                       &feed->levels, log);
    free(rows);
    if (status == VITC_OK) return VITC_OK;
    for (uint32_t i = 0; i < count; i++) imgio_image_free(&images[i]);
    return status;
}
