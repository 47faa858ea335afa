#include "app_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app_model.h"
#include "app_output.h"
#include "app_progress.h"
#include "app_report.h"
#include "app_stop.h"
#include "vitc_log.h"
#include "vitc_size.h"
#include "vitc_threads.h"

enum { BATCH = 8, ERROR_SIZE = 512 };

/* ---- one image, in a worker ---- */

/* What a worker hands over; the image's path and error are not in the text yet. */
typedef struct examined {
    app_image image;
    char error[ERROR_SIZE];
} examined;

static void keep_error(void *user, vitc_log_level level, const char *message)
{
    char *error = user;
    if (level == VITC_LOG_ERROR && error[0] == 0) snprintf(error, ERROR_SIZE, "%s", message);
}

/* The format that the ending of a name promises. */
static imgio_format format_of_name(const char *path)
{
    static const struct {
        const char *ending;
        imgio_format format;
    } endings[] = {{"jpg", IMGIO_JPEG}, {"jpeg", IMGIO_JPEG}, {"jpe", IMGIO_JPEG},
                   {"png", IMGIO_PNG},  {"webp", IMGIO_WEBP}, {"gif", IMGIO_GIF},
                   {"bmp", IMGIO_BMP},  {"tga", IMGIO_TGA},   {"pgm", IMGIO_PNM},
                   {"ppm", IMGIO_PNM},  {"psd", IMGIO_PSD}};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot != NULL && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot + 1, endings[i].ending) == 0) return endings[i].format;
    return IMGIO_UNKNOWN;
}

static bool is_grey(const imgio_image *image)
{
    const size_t bytes = (size_t)image->width * image->height * 3;
    for (size_t i = 0; i < bytes; i += 3)
        if (image->pixels[i] != image->pixels[i + 1] || image->pixels[i] != image->pixels[i + 2])
            return false;
    return true;
}

/* Every byte equals the one three before it. */
static bool is_flat(const imgio_image *image)
{
    const size_t bytes = (size_t)image->width * image->height * 3;
    return memcmp(image->pixels, image->pixels + 3, bytes - 3) == 0;
}

static vitc_status make_thumbnail(uint8_t *thumbnail, const imgio_image *image, const vitc_log *log)
{
    imgio_image small;
    VITC_TRY(imgio_resize(&small, image, APP_SCAN_THUMBNAIL, APP_SCAN_THUMBNAIL, IMGIO_BOX,
                          IMGIO_ORDER_PILLOW13, log));
    for (size_t i = 0; i < (size_t)APP_SCAN_THUMBNAIL * APP_SCAN_THUMBNAIL; i++) {
        const uint8_t *rgb = small.pixels + 3 * i;
        thumbnail[i] = (uint8_t)((rgb[0] + 2 * rgb[1] + rgb[2]) / 4);
    }
    imgio_image_free(&small);
    return VITC_OK;
}

static vitc_status describe(app_image *out, const imgio_image *image, const vitc_log *log)
{
    out->width = image->width;
    out->height = image->height;
    out->grey = is_grey(image);
    out->flat = is_flat(image);
    out->pixels = vitc_hash_bytes(image->pixels, (size_t)image->width * image->height * 3,
                                  (uint64_t)image->width << 32 | image->height);
    VITC_TRY(datasets_hash_difference(&out->difference, image, log));
    VITC_TRY(datasets_hash_frequency(&out->frequency, image, log));
    return make_thumbnail(out->thumbnail, image, log);
}

static vitc_status examine_file(app_image *out, const datasets_item *item,
                                const imgio_decode_options *decode, const vitc_log *log)
{
    const imgio_format promised = format_of_name(item->path);
    const vitc_log silent = {0};
    imgio_info info;
    out->has_file = true;
    out->file = vitc_hash_bytes(item->bytes, item->size, 0);
    if (imgio_probe_memory(&info, item->bytes, item->size, item->path, &silent) == VITC_OK) {
        out->format = info.format;
        out->misnamed = promised != IMGIO_UNKNOWN && promised != info.format;
    }
    imgio_image image;
    VITC_TRY(imgio_decode_memory(&image, item->bytes, item->size, item->path, decode, log));
    const vitc_status status = describe(out, &image, log);
    imgio_image_free(&image);
    return status;
}

/* ---- a run of the loader ---- */

typedef struct run {
    app_scan *scan;
    uint32_t set;
    imgio_decode_options decode;
    const app_settings *settings;
    size_t done;
} run;

static vitc_status examine(void *user, int worker, datasets_slot *const *slots, size_t count,
                           const vitc_log *log)
{
    const run *r = user;
    (void)worker;
    for (size_t i = 0; i < count; i++) {
        const datasets_item *item = &slots[i]->item;
        examined *e = slots[i]->result;
        app_image *image = &e->image;
        const vitc_log keeping = {keep_error, e->error};
        image->status = item->status;
        if (item->status != VITC_OK)
            snprintf(e->error, sizeof e->error, "%s",
                     item->error != NULL ? item->error : vitc_status_string(item->status));
        else if (item->bytes != NULL)
            image->status = examine_file(image, item, &r->decode, &keeping);
        else
            image->status = describe(image, &item->image, &keeping);
        if (image->status == VITC_ERR_MEMORY) return vitc_fail(log, image->status, "%s", e->error);
    }
    return VITC_OK;
}

/* Where a copy of `string` begins in the scan's text; SIZE_MAX without memory. */
static size_t keep_text(app_scan *scan, const char *string)
{
    const size_t size = strlen(string) + 1, at = scan->text_size;
    size_t capacity = scan->text_capacity;
    while (size > capacity - at) {
        capacity = vitc_size_max(capacity, 4096);
        if (!vitc_size_mul(capacity, 2, &capacity)) return SIZE_MAX;
    }
    if (capacity != scan->text_capacity) {
        char *text = realloc(scan->text, capacity);
        if (text == NULL) return SIZE_MAX;
        scan->text = text;
        scan->text_capacity = capacity;
    }
    memcpy(scan->text + at, string, size);
    scan->text_size += size;
    return at;
}

static app_image *add_image(app_scan *scan)
{
    if (scan->count == scan->capacity) {
        size_t bytes;
        const size_t capacity = vitc_size_max(256, scan->capacity * 2);
        if (!vitc_size_mul(capacity, sizeof *scan->images, &bytes)) return NULL;
        app_image *images = realloc(scan->images, bytes);
        if (images == NULL) return NULL;
        scan->images = images;
        scan->capacity = capacity;
    }
    return &scan->images[scan->count++];
}

static vitc_status take(void *user, datasets_slot *slot, const vitc_log *log)
{
    run *r = user;
    const examined *e = slot->result;
    const datasets_item *item = &slot->item;
    app_image *image = add_image(r->scan);
    if (image == NULL) return vitc_fail_memory(log, "what is known of the images");
    *image = e->image;
    image->index = item->index;
    image->set = r->set;
    /* a place in `same`, once the set is read */
    image->label = item->label == DATASETS_UNLABELLED ? APP_SCAN_NO_CLASS : (uint32_t)item->label;
    image->path = keep_text(r->scan, item->path);
    image->error = image->status == VITC_OK
                       ? 0
                       : keep_text(r->scan, app_output_reason(image->status, e->error, item->path));
    if (image->path == SIZE_MAX || image->error == SIZE_MAX)
        return vitc_fail_memory(log, "what is known of the images");
    app_progress_update(++r->done);
    return VITC_OK;
}

/* ---- classes ---- */

typedef struct class_name {
    const char *name;
    uint32_t place; /* in `same` */
} class_name;

static int compare_names(const void *a, const void *b)
{
    const class_name *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

static uint32_t set_of_place(const app_scan *scan, uint32_t place)
{
    uint32_t set = 0;
    while (set + 1 < scan->set_count && scan->sets[set + 1].classes <= place) set++;
    return set;
}

static const char *name_of_place(const app_scan *scan, uint32_t place)
{
    const uint32_t set = set_of_place(scan, place);
    return datasets_class_name(scan->sets[set].set, place - scan->sets[set].classes);
}

/* Appends the classes of the last set and joins all that have one name. */
static vitc_status join_classes(app_scan *scan, const vitc_log *log)
{
    const size_t last = scan->set_count - 1;
    const size_t count = scan->class_count + datasets_class_count(scan->sets[last].set);
    if (count >= APP_SCAN_NO_CLASS)
        return vitc_fail(log, VITC_ERR_TOO_LARGE, "%zu classes are too many", count);
    scan->sets[last].classes = scan->class_count;
    if (count == 0) return VITC_OK;
    uint32_t *same = realloc(scan->same, count * sizeof *same);
    if (same != NULL) scan->same = same;
    class_name *names = calloc(count, sizeof *names);
    if (same == NULL || names == NULL) {
        free(names);
        return vitc_fail_memory(log, "the names of the classes");
    }
    scan->class_count = (uint32_t)count;
    for (uint32_t i = 0; i < scan->class_count; i++)
        names[i] = (class_name){name_of_place(scan, i), i};
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        const bool again = i > 0 && strcmp(names[i].name, names[i - 1].name) == 0;
        same[names[i].place] = again ? same[names[i - 1].place] : names[i].place;
    }
    free(names);
    return VITC_OK;
}

/* ---- sets ---- */

/* Warnings of a set that is opened to see whether it can be; too many are cut off. */
typedef struct kept_warnings {
    char text[4096]; /* one after the other, each with its NUL */
    size_t used;
} kept_warnings;

static void keep_warning(void *user, vitc_log_level level, const char *message)
{
    kept_warnings *kept = user;
    const size_t length = strlen(message) + 1;
    if (level != VITC_LOG_WARN || length > sizeof kept->text - kept->used) return;
    memcpy(kept->text + kept->used, message, length);
    kept->used += length;
}

static void pass_warnings(const kept_warnings *kept, const vitc_log *log)
{
    for (size_t i = 0; i < kept->used; i += strlen(kept->text + i) + 1)
        log->write(log->user, VITC_LOG_WARN, kept->text + i);
}

/* Labelled where it can be; a message only where it can be neither. */
static vitc_status open_any(datasets_set **set, datasets_options *options, const char *const *paths,
                            size_t count, const app_settings *settings, const vitc_log *log)
{
    kept_warnings kept = {.used = 0};
    const vitc_log keeping = {keep_warning, &kept};
    *options = datasets_options_default();
    options->class_names = settings->class_names;
    const vitc_status status = datasets_open(set, paths, count, options, &keeping);
    if (status == VITC_OK) {
        pass_warnings(&kept, log);
        return status;
    }
    options->labelled = status != VITC_ERR_UNSUPPORTED;
    return datasets_open(set, paths, count, options, log);
}

/* The number of images, for the progress line; 1 where only reading everything would tell. */
static size_t count_images(datasets_set *set, const app_settings *settings)
{
    const vitc_log silent = {0};
    datasets_survey survey;
    if (settings->quiet || !app_terminal_of(stderr).terminal) return 1;
    return datasets_survey_set(&survey, set, NULL, NULL, &silent) == VITC_OK && survey.counted
               ? (size_t)survey.images
               : 1;
}

typedef struct spoken {
    const vitc_log *next;
    char error[ERROR_SIZE];
} spoken;

/* Passes messages on and keeps the first error. */
static void keep_and_pass(void *user, vitc_log_level level, const char *message)
{
    spoken *s = user;
    keep_error(s->error, level, message);
    s->next->write(s->next->user, level, message);
}

static bool is_stopped(void *user)
{
    (void)user;
    return app_stop_asked();
}

/* A set that is damaged further on has given what it could: its error is kept. */
static vitc_status read_set(run *r, datasets_set *set, const vitc_log *log)
{
    spoken s = {.next = log};
    const vitc_log passing = {keep_and_pass, &s};
    const datasets_loader loader = {.workers =
                                        vitc_threads_choose((int)r->settings->threads, NULL, 0),
                                    .batch = BATCH,
                                    .max_file_size = r->decode.limits.max_file_size,
                                    .result_size = sizeof(examined),
                                    .work = examine,
                                    .deliver = take,
                                    .user = r,
                                    .stop = is_stopped};
    app_progress_start(NULL, count_images(set, r->settings), r->settings->quiet);
    const vitc_status status = datasets_load(set, &loader, NULL, &passing);
    app_progress_finish();
    if (app_exit_status(status) != APP_EXIT_MODEL || r->done == 0) return status;
    char **error = &r->scan->sets[r->set].error;
    *error = strdup(s.error);
    return *error != NULL ? VITC_OK : vitc_fail_memory(log, "what was found");
}

int app_scan_add(app_scan *scan, const char *const *paths, size_t count,
                 const datasets_options *options, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    const size_t number = scan->set_count, begin = scan->count;
    run r = {.scan = scan, .set = (uint32_t)number, .settings = settings};
    r.decode = app_decode_options(settings);
    if (number == APP_SCAN_SETS) {
        app_error("%d sets are the most that are compared with each other", (int)APP_SCAN_SETS);
        return APP_EXIT_USAGE;
    }
    datasets_set *set;
    datasets_options *opening = &scan->sets[number].options;
    if (options != NULL) *opening = *options;
    vitc_status status = options != NULL ? datasets_open(&set, paths, count, options, &log)
                                         : open_any(&set, opening, paths, count, settings, &log);
    if (status != VITC_OK) return app_exit_status(status);
    scan->set_count++;
    scan->sets[number].set = set;
    scan->sets[number].name = paths[0];
    scan->sets[number].begin = begin;
    status = read_set(&r, set, &log);
    scan->sets[number].end = scan->count;
    if (status == VITC_OK) status = join_classes(scan, &log);
    for (size_t i = begin; i < scan->count && status == VITC_OK; i++)
        if (scan->images[i].label != APP_SCAN_NO_CLASS)
            scan->images[i].label = scan->same[scan->sets[number].classes + scan->images[i].label];
    return app_exit_status(status);
}

void app_scan_free(app_scan *scan)
{
    for (size_t i = 0; i < scan->set_count; i++) {
        datasets_close(scan->sets[i].set);
        free(scan->sets[i].error);
    }
    free(scan->images);
    free(scan->text);
    free(scan->same);
    *scan = (app_scan){0};
}

const char *app_scan_path(const app_scan *scan, const app_image *image)
{
    return scan->text + image->path;
}

const char *app_scan_error(const app_scan *scan, const app_image *image)
{
    return image->status == VITC_OK ? NULL : scan->text + image->error;
}

const char *app_scan_class(const app_scan *scan, uint32_t label)
{
    return label == APP_SCAN_NO_CLASS ? NULL : name_of_place(scan, label);
}
