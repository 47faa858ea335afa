#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "app_classes.h"
#include "app_model.h"
#include "app_progress.h"
#include "app_report.h"
#include "app_stop.h"
#include "app_train.h"
#include "vitc_file.h"
#include "vitc_utf8.h"

static bool note_images(void *user, uint64_t images)
{
    const app_train *t = user;
    app_progress_note(t->settings->quiet, "looking for images: %" PRIu64, images);
    return !app_stop_asked();
}

/* ---- what can be trained on ---- */

typedef struct class_sizes {
    uint64_t *images; /* of each class */
    size_t count;
} class_sizes;

static int count_classes(class_sizes *sizes, const app_train *t)
{
    sizes->count = datasets_index_classes(t->index);
    sizes->images = calloc(sizes->count + 1, sizeof *sizes->images);
    if (sizes->images == NULL) {
        app_error("out of memory for the classes");
        return APP_EXIT_INTERNAL;
    }
    for (size_t i = 0; i < datasets_index_count(t->index); i++)
        sizes->images[datasets_index_label(t->index, i)]++;
    return APP_EXIT_DONE;
}

/* Classes that there is little of: the first few by name. */
static void warn_of_classes(const app_train *t, const class_sizes *sizes, uint64_t images,
                            const char *what)
{
    enum { SHOWN = 5 };
    size_t found = 0;
    for (size_t i = 0; i < sizes->count; i++) {
        if (sizes->images[i] != images || found++ >= SHOWN || t->settings->quiet) continue;
        app_warn("class \"%s\": %s", datasets_index_class(t->index, i), what);
    }
    if (found > SHOWN && !t->settings->quiet)
        app_warn("and %zu more class%s: each %s", found - SHOWN, found - SHOWN == 1 ? "" : "es",
                 what);
}

static bool is_part_of_set(const char *name)
{
    static const char *const names[] = {"train", "training",   "val",  "valid",
                                        "dev",   "validation", "test", "testing"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0) return true;
    return false;
}

/* Folders of one set's parts look like class folders, and a model of them would tell the parts from
 * each other. */
static int check_names(const app_train *t)
{
    const size_t count = datasets_index_classes(t->index);
    for (size_t i = 0; i < count; i++)
        if (!is_part_of_set(datasets_index_class(t->index, i))) return APP_EXIT_DONE;
    app_error("%s: its classes are \"%s\" and \"%s\", which are parts of a set and not classes; "
              "give them one by one: vitc train DATA/train --val DATA/val",
              t->data[0], datasets_index_class(t->index, 0), datasets_index_class(t->index, 1));
    return APP_EXIT_USAGE;
}

/* Files of models hold labels as UTF-8. */
static int check_utf8(const app_train *t)
{
    for (size_t i = 0; i < datasets_index_classes(t->index); i++) {
        const char *at = datasets_index_class(t->index, i);
        for (size_t length = 1; *at != 0; at += length) {
            uint32_t point;
            length = vitc_utf8_decode(&point, at);
            if (length > 0) continue;
            app_error("%s: the name of class \"%s\" is not UTF-8, as the labels of a model have to "
                      "be; rename it",
                      t->data[0], datasets_index_class(t->index, i));
            return APP_EXIT_MODEL;
        }
    }
    return APP_EXIT_DONE;
}

static int check_classes(const app_train *t)
{
    class_sizes sizes;
    const int result = count_classes(&sizes, t);
    if (result != APP_EXIT_DONE) return result;
    const char *path = t->data[0];
    size_t filled = 0;
    for (size_t i = 0; i < sizes.count; i++) filled += sizes.images[i] > 0;
    if (filled >= 2) {
        warn_of_classes(t, &sizes, 0, "has no image to train on, so the model cannot learn it");
        warn_of_classes(t, &sizes, 1,
                        "has a single image to train on, which is too little to learn it from");
        free(sizes.images);
        int named = check_utf8(t);
        if (named == APP_EXIT_DONE) named = check_names(t);
        return named != APP_EXIT_DONE || t->settings->quiet ? named
                                                            : app_classes_warn_alike(t->index);
    }
    if (datasets_index_count(t->index) == 0)
        app_error("%s: no labelled images to train on%s", path,
                  t->index_bad > 0 ? "; of those there, none can be used" : "");
    else
        app_error("%s: all images are of one class, \"%s\"; a classifier needs two at least: a "
                  "folder for each class (vitc train --help)",
                  path, datasets_index_class(t->index, datasets_index_label(t->index, 0)));
    free(sizes.images);
    return APP_EXIT_MODEL;
}

/* ---- opening ---- */

static datasets_options set_options(const app_train *t, datasets_part part)
{
    datasets_options options = datasets_options_default();
    options.class_names = t->recipe.class_names;
    if (t->val_count == 0 && t->recipe.val_split > 0) {
        options.part = part;
        options.fraction = t->recipe.val_split;
        options.seed = t->recipe.seed;
    }
    return options;
}

static int open_index(app_train *t)
{
    const datasets_options options = set_options(t, DATASETS_REST);
    const vitc_status status = datasets_index_create(&t->index, t->data, t->data_count, &options, 0,
                                                     &t->index_bad, note_images, t, &t->log);
    app_progress_clear();
    return app_exit_status(status);
}

/* What a run that goes on has to find again. */
static int describe_validation(app_train *t)
{
    const bool split = t->val_count == 0;
    const datasets_options options = set_options(t, DATASETS_CHOSEN);
    datasets_set *set = NULL;
    datasets_survey survey;
    const vitc_log log = app_log_errors(); /* the rest is said where its classes are matched */
    vitc_status status = datasets_open(&set, split ? t->data : t->val_data,
                                       split ? t->data_count : t->val_count, &options, &log);
    if (status == VITC_OK) status = datasets_survey_set(&survey, set, note_images, t, &log);
    app_progress_clear();
    if (status == VITC_OK)
        snprintf(t->val_fingerprint, sizeof t->val_fingerprint, "%s", survey.fingerprint);
    datasets_close(set);
    if (status != VITC_OK) return app_exit_status(status);
    t->validation_images = survey.counted ? survey.images : UINT64_MAX;
    if (!survey.counted || survey.images > 0) return APP_EXIT_DONE;
    if (!split)
        app_error("%s: no images there to validate with", t->val_data[0]);
    else
        app_error("%s: holding out a share of %g to validate with takes none of these few images; "
                  "give a larger share (--val-split), --val DATA, or --val-split 0 to train "
                  "without validation",
                  t->data[0], t->recipe.val_split);
    return APP_EXIT_MODEL;
}

/* A run inside of what is read as images would be trained on itself, at the latest when it goes on.
 */
static int check_folder(const app_train *t, const char *const *paths, size_t count)
{
    char *run = realpath(t->folder.path, NULL);
    bool inside = false;
    for (size_t i = 0; i < count && run != NULL && !inside; i++) {
        struct stat status;
        char *set = realpath(paths[i], NULL);
        const size_t length = set != NULL ? strlen(set) : 0;
        inside = length > 0 && stat(set, &status) == 0 && S_ISDIR(status.st_mode) &&
                 strncmp(run, set, length) == 0 && (run[length] == '/' || run[length] == 0);
        if (inside)
            app_error("--out %s: lies in %s, where all is taken for images, the run's own pictures "
                      "too; give a folder elsewhere",
                      t->folder.path, paths[i]);
        free(set);
    }
    free(run);
    return inside ? APP_EXIT_USAGE : APP_EXIT_DONE;
}

static void warn_of_same(const app_train *t)
{
    for (size_t i = 0; i < t->val_count && !t->settings->quiet; i++)
        for (size_t k = 0; k < t->data_count; k++)
            if (vitc_file_is_same(t->val_data[i], t->data[k]))
                app_warn(
                    "--val %s: is trained on, too; what is measured there tells how well it is "
                    "remembered, not how well others are recognized",
                    t->val_data[i]);
}

int app_train_open_data(app_train *t)
{
    if (isnan(t->recipe.val_split)) t->recipe.val_split = t->val_count > 0 ? 0 : 0.15;
    if (t->val_count > 0 && t->recipe.val_split > 0) {
        app_error("--val and --val-split: choose one");
        return APP_EXIT_USAGE;
    }
    if (t->recipe.val_split >= 1) {
        app_error("--val-split: holding out all images leaves none to train on");
        return APP_EXIT_USAGE;
    }
    if (t->recipe.seed == UINT64_MAX) t->recipe.seed = 0;
    t->validated = t->val_count > 0 || t->recipe.val_split > 0;
    int result = check_folder(t, t->data, t->data_count);
    if (result == APP_EXIT_DONE) result = check_folder(t, t->val_data, t->val_count);
    if (result == APP_EXIT_DONE) result = open_index(t);
    if (result == APP_EXIT_DONE) warn_of_same(t);
    if (result == APP_EXIT_DONE) result = check_classes(t);
    return result == APP_EXIT_DONE && t->validated ? describe_validation(t) : result;
}

/* ---- what the trainer sees of it ---- */

int app_train_open_feed(app_train *t)
{
    const vit_config *config = &t->weights.config;
    app_settings decoding = *t->settings;
    decoding.no_exif = t->recipe.no_exif;
    decoding.max_pixels = t->recipe.max_pixels != UINT64_MAX ? t->recipe.max_pixels : 0;
    datasets_feed_options options = {
        .augmentation = app_recipe_augmentation(&t->recipe, config),
        .mixing = app_recipe_mixing(&t->recipe),
        .smoothing = t->recipe.smoothing,
        .seed = t->recipe.seed,
        .patch = config->patch,
        .classes = config->classes,
        .preprocess = t->weights.description.preprocess,
        .decode = app_decode_options(&decoding),
        .threads = (int)t->settings->threads,
    };
    /* A photo of 12 megapixels takes longer to decode than a small model to learn from. */
    options.decode.fast = true;
    if (options.preprocess.ignore_exif) options.decode.ignore_exif = true;
    return app_exit_status(datasets_feed_create(&t->feed, t->index, &options, &t->log));
}
