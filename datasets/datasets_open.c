#include "datasets_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vitc_log.h"
#include "vitc_sha256.h"
#include "vitc_size.h"

/* Of which classes an image was met already. */
typedef struct datasets_firsts {
    bool *seen;
    size_t capacity;
    bool failed; /* there was no memory for it */
} datasets_firsts;

struct datasets_set {
    datasets_kind kind;
    datasets_options options; /* class_names is a copy */
    datasets_strings paths;
    datasets_classes *classes;
    datasets_opening opening; /* of the above */
    datasets_cursor *cursor;
    datasets_firsts firsts;
    uint64_t count;       /* images of the part met so far */
    uint64_t strays;      /* other files met so far, */
    char *first_stray;    /* and the first of them; NULL once it is told */
    datasets_item *ahead; /* what datasets_peek has found, from ahead_next on yet to be given */
    size_t ahead_count, ahead_next;
    /* With and without the image that datasets_next_place gave last; of no size until it is
     * called. */
    vitc_sha256 hash, hash_before;
};

datasets_options datasets_options_default(void)
{
    return (datasets_options){.labelled = true};
}

/* ---- parts ---- */

/* A hash of seed and name, its bits mixed as in splitmix64 (Steele, Lea, Flood, OOPSLA 2014); the
 * upper 53 of them as a number below 1. */
static double part_number(uint64_t seed, const char *below)
{
    static const uint64_t golden_ratio = 0x9E3779B97F4A7C15;
    uint64_t hash = datasets_names_hash(DATASETS_HASH_START + seed * golden_ratio, below);
    hash = (hash ^ hash >> 30) * 0xBF58476D1CE4E5B9;
    hash = (hash ^ hash >> 27) * 0x94D049BB133111EB;
    hash ^= hash >> 31;
    return (double)(hash >> 11) * 0x1p-53;
}

/* Whether no image of this class came before. */
static bool is_first(datasets_firsts *firsts, int64_t label)
{
    if (label < 0) return false;
    const size_t class = (size_t)label;
    if (class >= firsts->capacity) {
        const size_t capacity = vitc_size_max(class + 1, 2 * firsts->capacity);
        bool *grown = realloc(firsts->seen, capacity * sizeof *grown);
        if (grown == NULL) {
            firsts->failed = true;
            return false;
        }
        memset(grown + firsts->capacity, 0, (capacity - firsts->capacity) * sizeof *grown);
        firsts->seen = grown;
        firsts->capacity = capacity;
    }
    const bool first = !firsts->seen[class];
    firsts->seen[class] = true;
    return first;
}

static bool is_in_part(datasets_firsts *firsts, const datasets_options *options, const char *below,
                       int64_t label)
{
    if (options->part == DATASETS_ALL) return true;
    const bool chosen =
        !is_first(firsts, label) && part_number(options->seed, below) < options->fraction;
    return chosen == (options->part == DATASETS_CHOSEN);
}

/* ---- opening ---- */

static vitc_status check_options(const datasets_options *options, size_t count, const vitc_log *log)
{
    if (count == 0) return vitc_fail(log, VITC_ERR_ARGUMENT, "no path of images given");
    if (options->part != DATASETS_ALL && !(options->fraction > 0 && options->fraction < 1))
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "a part of the images is a fraction between 0 and 1, not %g",
                         options->fraction);
    return VITC_OK;
}

/* Finds the one kind that all paths are of. */
static vitc_status find_kind(datasets_set *set, const char *const *paths, size_t count,
                             const vitc_log *log)
{
    for (size_t i = 0; i < count; i++) {
        datasets_kind kind;
        VITC_TRY(datasets_kind_find(&kind, &set->paths, paths[i], log));
        if (i > 0 && kind != set->kind)
            return vitc_fail(log, VITC_ERR_ARGUMENT,
                             "%s and %s are sets of different kinds, %s and %s; several paths are "
                             "one set only when they are of one kind",
                             paths[0], paths[i], datasets_kind_string(set->kind),
                             datasets_kind_string(kind));
        set->kind = kind;
    }
    return VITC_OK;
}

static vitc_status keep_paths(datasets_set *set, const char *const *paths, size_t count,
                              const vitc_log *log)
{
    for (size_t i = 0; i < count; i++)
        if (!datasets_strings_add(&set->paths, paths[i]))
            return vitc_fail_memory(log, "the list of images");
    return VITC_OK;
}

static vitc_status open_cursor(datasets_cursor **cursor, const datasets_set *set,
                               const vitc_log *log)
{
    return datasets_kind_open(set->kind)(cursor, &set->opening, log);
}

static vitc_status open_set(datasets_set *set, const char *const *paths, size_t count,
                            const datasets_options *options, const vitc_log *log)
{
    set->options = *options;
    set->options.class_names = NULL;
    if (options->class_names != NULL) {
        set->options.class_names = strdup(options->class_names);
        if (set->options.class_names == NULL) return vitc_fail_memory(log, options->class_names);
    }
    set->kind = DATASETS_FILES;
    VITC_TRY(options->labelled ? find_kind(set, paths, count, log)
                               : keep_paths(set, paths, count, log));
    if (!datasets_strings_index(&set->paths)) return vitc_fail_memory(log, "the list of images");
    VITC_TRY(datasets_classes_create(&set->classes, log));
    set->opening = (datasets_opening){
        .paths = (const char *const *)set->paths.at,
        .count = set->paths.count,
        .options = &set->options,
        .classes = set->classes,
    };
    return open_cursor(&set->cursor, set, log);
}

vitc_status datasets_open(datasets_set **set, const char *const *paths, size_t count,
                          const datasets_options *options, const vitc_log *log)
{
    *set = NULL;
    VITC_TRY(check_options(options, count, log));
    datasets_set *opened = calloc(1, sizeof *opened);
    if (opened == NULL) return vitc_fail_memory(log, paths[0]);
    const vitc_status status = open_set(opened, paths, count, options, log);
    if (status == VITC_OK)
        *set = opened;
    else
        datasets_close(opened);
    return status;
}

void datasets_close(datasets_set *set)
{
    if (set == NULL) return;
    while (set->ahead_next < set->ahead_count) datasets_item_free(&set->ahead[set->ahead_next++]);
    free(set->ahead);
    if (set->cursor != NULL) set->cursor->close(set->cursor);
    datasets_classes_free(set->classes);
    datasets_strings_free(&set->paths);
    free(set->firsts.seen);
    free(set->first_stray);
    free((char *)(uintptr_t)set->options.class_names);
    free(set);
}

datasets_kind datasets_set_kind(const datasets_set *set)
{
    return set->kind;
}

size_t datasets_class_count(const datasets_set *set)
{
    return datasets_classes_count(set->classes);
}

const char *datasets_class_name(const datasets_set *set, size_t label)
{
    return datasets_classes_name(set->classes, label);
}

/* ---- fingerprints ---- */

static void hash_text(vitc_sha256 *hash, const char *text)
{
    vitc_sha256_add(hash, text, strlen(text) + 1);
}

static vitc_sha256 start_hash(const datasets_set *set)
{
    const datasets_options *options = &set->options;
    vitc_sha256 hash = vitc_sha256_start();
    char text[80];
    snprintf(text, sizeof text, "%s %s part %d", datasets_kind_string(set->kind),
             options->labelled ? "labelled" : "unlabelled", (int)options->part);
    hash_text(&hash, text);
    if (options->part != DATASETS_ALL) {
        snprintf(text, sizeof text, "%.17g %llu", options->fraction,
                 (unsigned long long)options->seed);
        hash_text(&hash, text);
    }
    return hash;
}

static void hash_image(vitc_sha256 *hash, const datasets_set *set, const char *below, int64_t label)
{
    hash_text(hash, below);
    hash_text(hash, label >= 0 ? datasets_classes_name(set->classes, (size_t)label) : "");
}

/* ---- reading ---- */

static bool is_stray(const datasets_set *set, const char *path)
{
    return set->kind == DATASETS_FOLDERS && datasets_kind_is_stray(path);
}

static void tell_strays(datasets_set *set, const vitc_log *log)
{
    char shown[VITC_SHOWN_SIZE];
    if (set->first_stray == NULL) return;
    const bool one = set->strays == 1;
    vitc_log_write(log, VITC_LOG_WARN,
                   "%llu file%s in the class folders left out that %s no image%s, the first %s",
                   (unsigned long long)set->strays, one ? "" : "s", one ? "is" : "are",
                   one ? "" : "s", vitc_show(shown, set->first_stray));
    free(set->first_stray);
    set->first_stray = NULL;
}

static bool keep_wanted(void *user, const char *below, const char *path, int64_t label,
                        uint64_t *index)
{
    datasets_set *set = user;
    if (is_stray(set, path)) {
        if (set->strays++ == 0) set->first_stray = strdup(path);
        return false;
    }
    if (!is_in_part(&set->firsts, &set->options, below, label)) return false;
    *index = set->count++;
    const bool wanted =
        set->options.wanted == NULL || set->options.wanted(set->options.wanted_user, *index, path);
    if (wanted && set->hash.size > 0) {
        set->hash_before = set->hash;
        hash_image(&set->hash, set, below, label);
    }
    return wanted;
}

static vitc_status find_next(datasets_item *item, bool *end, datasets_set *set,
                             datasets_place *place, const vitc_log *log)
{
    const datasets_filter filter = {.keep = keep_wanted, .user = set, .place = place};
    *item = (datasets_item){0};
    *end = false;
    VITC_TRY(set->cursor->next(set->cursor, item, end, &filter, log));
    if (*end) tell_strays(set, log);
    if (!set->firsts.failed) return VITC_OK;
    datasets_item_free(item);
    return vitc_fail_memory(log, "the classes of a set");
}

vitc_status datasets_next(datasets_item *item, bool *end, datasets_set *set, const vitc_log *log)
{
    if (set->ahead_next == set->ahead_count) return find_next(item, end, set, NULL, log);
    *item = set->ahead[set->ahead_next++];
    *end = false;
    return VITC_OK;
}

vitc_status datasets_next_place(datasets_item *item, datasets_place *place, bool *end,
                                datasets_set *set, const vitc_log *log)
{
    if (set->hash.size == 0) set->hash = start_hash(set);
    *place = (datasets_place){0};
    return find_next(item, end, set, place, log);
}

void datasets_leave_out(datasets_set *set)
{
    set->hash = set->hash_before;
}

void datasets_fingerprint(char *text, const datasets_set *set)
{
    vitc_sha256 hash = set->hash.size > 0 ? set->hash : start_hash(set);
    vitc_sha256_finish(text, &hash);
}

vitc_status datasets_peek(const datasets_item **items, size_t *found, bool *end, datasets_set *set,
                          size_t count, const vitc_log *log)
{
    bool read = false;
    *items = NULL;
    *found = 0;
    *end = false;
    if (set->ahead != NULL || set->count != 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "datasets_peek: images were read already");
    set->ahead = calloc(count, sizeof *set->ahead);
    if (set->ahead == NULL) return vitc_fail_memory(log, "the next images");
    while (set->ahead_count < count && !*end && !read) {
        datasets_item *item = &set->ahead[set->ahead_count];
        VITC_TRY(find_next(item, end, set, NULL, log));
        if (*end) break;
        set->ahead_count++;
        read = item->bytes != NULL || item->image.pixels != NULL;
    }
    *items = set->ahead;
    *found = set->ahead_count;
    return VITC_OK;
}

/* ---- surveys ---- */

enum { SURVEY_STEP = 4096 }; /* images between two calls of progress */

typedef struct survey_walk {
    const datasets_set *set;
    datasets_firsts firsts;
    vitc_sha256 hash;
    uint64_t images, strays;
    bool stopped;
} survey_walk;

/* Takes none of the images but one now and then, which gives control back to the survey. */
static bool keep_counted(void *user, const char *below, const char *path, int64_t label,
                         uint64_t *index)
{
    survey_walk *walk = user;
    const datasets_set *set = walk->set;
    if (is_stray(set, path)) {
        walk->strays++;
        return false;
    }
    if (!is_in_part(&walk->firsts, &set->options, below, label)) return false;
    hash_image(&walk->hash, set, below, label);
    *index = walk->images++;
    return walk->images % SURVEY_STEP == 0;
}

static vitc_status walk_images(survey_walk *walk, datasets_cursor *cursor,
                               bool (*progress)(void *user, uint64_t images), void *user,
                               const vitc_log *log)
{
    const datasets_filter filter = {.keep = keep_counted, .user = walk, .counting = true};
    for (;;) {
        datasets_item item = {0};
        bool end = false;
        VITC_TRY(cursor->next(cursor, &item, &end, &filter, log));
        datasets_item_free(&item);
        if (walk->firsts.failed) return vitc_fail_memory(log, "the classes of a set");
        if (end) return VITC_OK;
        walk->stopped = progress != NULL && !progress(user, walk->images);
        if (walk->stopped) return VITC_OK;
    }
}

/* What tells a stream from another without reading it: its size and last bytes, which in a gzip
 * file are the checksum and length of what it holds. A pipe has neither. */
static void hash_file(vitc_sha256 *hash, const char *path)
{
    unsigned char tail[8] = {0};
    struct stat status = {0};
    char text[40] = "a pipe";
    /* A pipe is not even opened: closed again, it would end its writer. */
    const bool regular = stat(path, &status) == 0 && S_ISREG(status.st_mode);
    const int fd = regular ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (regular) {
        if (fd >= 0 && status.st_size >= (off_t)sizeof tail)
            (void)!pread(fd, tail, sizeof tail, status.st_size - (off_t)sizeof tail);
        snprintf(text, sizeof text, "%lld", (long long)status.st_size);
    }
    if (fd >= 0) close(fd);
    hash_text(hash, datasets_names_base(path));
    hash_text(hash, text);
    vitc_sha256_add(hash, tail, sizeof tail);
}

/* Hashes the files that a path stands for; whether one of them is a stream. */
static vitc_status hash_path(bool *stream, vitc_sha256 *hash, const char *path, datasets_kind kind,
                             const vitc_log *log)
{
    char **files;
    size_t count;
    if (kind != DATASETS_TAR) {
        hash_file(hash, path);
        return VITC_OK;
    }
    VITC_TRY(datasets_tar_expand(&files, &count, path, log));
    for (size_t i = 0; i < count; i++) {
        *stream = *stream || datasets_tar_is_stream(files[i]);
        hash_file(hash, files[i]);
        free(files[i]);
    }
    free(files);
    return VITC_OK;
}

/* Whether only reading the set would tell what is in it; then `hash` tells it from others. */
static vitc_status look_for_streams(bool *stream, vitc_sha256 *hash, const datasets_set *set,
                                    const vitc_log *log)
{
    *stream = false;
    if (set->kind != DATASETS_TAR && set->kind != DATASETS_FILES) return VITC_OK;
    for (size_t i = 0; i < set->opening.count; i++) {
        const char *path = set->opening.paths[i];
        VITC_TRY(hash_path(stream, hash, path,
                           set->options.labelled ? set->kind : datasets_kind_unlabelled(path),
                           log));
    }
    return VITC_OK;
}

vitc_status datasets_survey_set(datasets_survey *survey, datasets_set *set,
                                bool (*progress)(void *user, uint64_t images), void *user,
                                const vitc_log *log)
{
    datasets_message message; /* instead of what opening and reading will say once more */
    const vitc_log keeper = datasets_message_log(&message, NULL);
    survey_walk walk = {.set = set, .hash = start_hash(set)};
    vitc_sha256 stream_hash = walk.hash;
    bool stream;
    *survey = (datasets_survey){0};
    VITC_TRY(look_for_streams(&stream, &stream_hash, set, log));
    if (stream) {
        vitc_sha256_finish(survey->fingerprint, &stream_hash);
        return VITC_OK;
    }
    datasets_cursor *cursor;
    vitc_status status = open_cursor(&cursor, set, &keeper);
    if (status == VITC_OK) {
        status = walk_images(&walk, cursor, progress, user, &keeper);
        cursor->close(cursor);
        free(walk.firsts.seen);
    }
    if (status == VITC_ERR_MEMORY) return vitc_fail(log, status, "%s", message.text);
    if (walk.stopped) return vitc_fail(log, VITC_ERR_ARGUMENT, "the search for images was ended");
    *survey = (datasets_survey){.images = walk.images, .strays = walk.strays, .counted = true};
    vitc_sha256_finish(survey->fingerprint, &walk.hash);
    return VITC_OK;
}
