/* Sets of tar files: class folders, images without labels, and pairs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets_tar.h"
#include "vitc_log.h"
#include "vitc_size.h"

typedef struct tar_cursor {
    datasets_cursor cursor;
    datasets_tar_job job; /* its reader is NULL between two files */
    char **paths;
    size_t count, next_path;
} tar_cursor;

/* ---- class folders, and images without labels ---- */

/* The label of a member: its class is the folder that it lies in. */
static vitc_status folder_label(int64_t *label, datasets_tar_job *job, const char *name,
                                const vitc_log *log)
{
    *label = DATASETS_UNLABELLED;
    const char *base = datasets_names_base(name);
    if (!job->labelled || base == name) return VITC_OK;
    char *folder = strndup(name, (size_t)(base - name - 1));
    if (folder == NULL) return vitc_fail_memory(log, name);
    const vitc_status status =
        datasets_classes_label(label, job->classes, datasets_names_base(folder), log);
    free(folder);
    return status;
}

/* The reader's member, when the filter keeps it. */
static vitc_status take_member(datasets_item *item, bool *kept, datasets_tar_job *job,
                               const datasets_filter *filter, const vitc_log *log)
{
    const char *name = datasets_tar_reader_name(job->reader);
    int64_t label;
    VITC_TRY(folder_label(&label, job, name, log));
    VITC_TRY(datasets_tar_reader_item(item, job->reader, label, log));
    *kept = filter->keep(filter->user, name, item->path, label, &item->index);
    vitc_status status = VITC_OK;
    if (*kept && job->labelled && label < 0)
        datasets_item_fail(item, VITC_ERR_UNSUPPORTED,
                           "lies in no class folder of the tar file, and no .cls lies beside it");
    else if (*kept && !filter->counting)
        status = datasets_tar_reader_fill(item, filter->place, job->reader, job->most, log);
    if (!*kept || status != VITC_OK) datasets_item_free(item);
    return status;
}

static vitc_status next_single(datasets_item *item, bool *kept, bool *end, datasets_tar_job *job,
                               const datasets_filter *filter, const vitc_log *log)
{
    VITC_TRY(datasets_tar_reader_next(end, job->reader, log));
    if (*end) return VITC_OK;
    if (!job->labelled &&
        datasets_tar_label_of(datasets_tar_reader_name(job->reader)) != DATASETS_TAR_LABEL_NONE)
        return VITC_OK;
    return take_member(item, kept, job, filter, log);
}

/* ---- all files ---- */

static vitc_status next_in_file(datasets_item *item, bool *kept, tar_cursor *c,
                                const datasets_filter *filter, const vitc_log *log)
{
    bool end = false;
    if (c->job.reader == NULL)
        VITC_TRY(datasets_tar_reader_open(&c->job.reader, c->paths[c->next_path++], c->job.labelled,
                                          log));
    VITC_TRY(datasets_tar_reader_has_pairs(c->job.reader)
                 ? datasets_tar_next_pair(item, kept, &end, &c->job, filter, log)
                 : next_single(item, kept, &end, &c->job, filter, log));
    if (end) {
        datasets_tar_reader_close(c->job.reader);
        c->job.reader = NULL;
    }
    return VITC_OK;
}

static vitc_status next(datasets_cursor *cursor, datasets_item *item, bool *end,
                        const datasets_filter *filter, const vitc_log *log)
{
    tar_cursor *c = (tar_cursor *)cursor;
    *item = (datasets_item){0};
    *end = false;
    bool kept = false;
    while (!kept && (c->job.reader != NULL || c->next_path < c->count))
        VITC_TRY(next_in_file(item, &kept, c, filter, log));
    *end = !kept;
    return VITC_OK;
}

static void close_cursor(datasets_cursor *cursor)
{
    tar_cursor *c = (tar_cursor *)cursor;
    if (c == NULL) return;
    datasets_tar_reader_close(c->job.reader);
    for (size_t i = 0; i < c->count; i++) free(c->paths[i]);
    free(c->paths);
    free(c);
}

/* Adds the files of one path. */
static vitc_status add_path(tar_cursor *c, const char *path, const vitc_log *log)
{
    char **files;
    size_t count;
    VITC_TRY(datasets_tar_expand(&files, &count, path, log));
    char **paths = realloc(c->paths, (c->count + count) * sizeof *paths);
    if (paths != NULL) {
        memcpy(paths + c->count, files, count * sizeof *paths);
        c->paths = paths;
        c->count += count;
    } else {
        for (size_t i = 0; i < count; i++) free(files[i]);
    }
    free(files);
    return paths != NULL ? VITC_OK : vitc_fail_memory(log, path);
}

/* A file that is missing is better found before hours of work than after them. */
static vitc_status check_paths(const tar_cursor *c, const vitc_log *log)
{
    for (size_t i = 0; i < c->count; i++)
        if (access(c->paths[i], R_OK) != 0)
            return vitc_fail(log, VITC_ERR_UNREADABLE, "%s: cannot be opened: %s", c->paths[i],
                             strerror(errno));
    return VITC_OK;
}

/* The names that a file gives, and how many they are; other classes may be known by now. */
static vitc_status read_names(tar_cursor *c, const char *path, const vitc_log *log)
{
    datasets_classes *names;
    VITC_TRY(datasets_classes_read(c->job.classes, path, log));
    VITC_TRY(datasets_classes_create(&names, log));
    const vitc_status status = datasets_classes_read(names, path, log);
    c->job.named = datasets_classes_count(names);
    datasets_classes_free(names);
    return status;
}

static vitc_status start_cursor(tar_cursor *c, const datasets_opening *opening, const vitc_log *log)
{
    const datasets_options *options = opening->options;
    c->cursor = (datasets_cursor){.next = next, .close = close_cursor};
    c->job.classes = opening->classes;
    c->job.labelled = options->labelled;
    c->job.most =
        options->max_file_size != 0 ? options->max_file_size : imgio_limits_default().max_file_size;
    for (size_t i = 0; i < opening->count; i++) VITC_TRY(add_path(c, opening->paths[i], log));
    VITC_TRY(check_paths(c, log));
    const bool named = c->job.labelled && options->class_names != NULL;
    return named ? read_names(c, options->class_names, log) : VITC_OK;
}

static vitc_status create_cursor(tar_cursor **cursor, const datasets_opening *opening,
                                 const vitc_log *log)
{
    tar_cursor *c = calloc(1, sizeof *c);
    *cursor = c;
    if (c == NULL) return vitc_fail_memory(log, opening->paths[0]);
    const vitc_status status = start_cursor(c, opening, log);
    if (status == VITC_OK) return VITC_OK;
    close_cursor(&c->cursor);
    *cursor = NULL;
    return status;
}

/* ---- classes beforehand ---- */

static bool keep_none(void *user, const char *below, const char *path, int64_t label,
                      uint64_t *index)
{
    (void)user, (void)below, (void)path, (void)label;
    *index = 0;
    return false;
}

/* All classes of the cursor's files but for those that only reading through would tell, with gaps
 * instead of images. A file that cannot be read to its end is left to the reading proper. */
static vitc_status find_classes(tar_cursor *c, datasets_classes *found, const vitc_log *log)
{
    const datasets_filter filter = {.keep = keep_none, .counting = true};
    datasets_message message;
    const vitc_log keeper = datasets_message_log(&message, NULL);
    c->job.classes = found;
    while (c->next_path < c->count) {
        if (datasets_tar_is_stream(c->paths[c->next_path])) {
            c->next_path++;
            continue;
        }
        vitc_status status;
        bool kept = false;
        do {
            datasets_item item;
            status = next_in_file(&item, &kept, c, &filter, &keeper);
        } while (status == VITC_OK && c->job.reader != NULL);
        if (status == VITC_ERR_MEMORY) return vitc_fail(log, status, "%s", message.text);
        datasets_tar_reader_close(c->job.reader);
        c->job.reader = NULL;
        c->job.held = false;
        c->job.failure = VITC_OK;
    }
    return VITC_OK;
}

static int compare_names(const void *a, const void *b)
{
    return datasets_names_compare(*(const char *const *)a, *(const char *const *)b);
}

/* Adds the classes that were found, in natural order. */
static vitc_status add_classes(datasets_classes *classes, const datasets_classes *found,
                               const vitc_log *log)
{
    const size_t count = datasets_classes_count(found);
    const char **names = calloc(vitc_size_max(count, 1), sizeof *names);
    if (names == NULL) return vitc_fail_memory(log, "the classes");
    for (size_t i = 0; i < count; i++) names[i] = datasets_classes_name(found, i);
    qsort(names, count, sizeof *names, compare_names);
    vitc_status status = VITC_OK;
    for (size_t i = 0; i < count && status == VITC_OK; i++) {
        int64_t label;
        status = datasets_classes_label(&label, classes, names[i], log);
    }
    free(names);
    return status;
}

static vitc_status list_classes(const datasets_opening *opening, const vitc_log *log)
{
    datasets_classes *found;
    tar_cursor *c;
    VITC_TRY(datasets_classes_create(&found, log));
    vitc_status status = create_cursor(&c, opening, log);
    if (status == VITC_OK) {
        status = find_classes(c, found, log);
        close_cursor(&c->cursor);
    }
    if (status == VITC_OK) status = add_classes(opening->classes, found, log);
    datasets_classes_free(found);
    return status;
}

vitc_status datasets_tar_open(datasets_cursor **cursor, const datasets_opening *opening,
                              const vitc_log *log)
{
    tar_cursor *c;
    *cursor = NULL;
    VITC_TRY(create_cursor(&c, opening, log));
    /* Where names are known, from a file or another cursor over the same set, they stay in that
     * order. */
    if (c->job.labelled && datasets_classes_count(opening->classes) == 0) {
        const vitc_status status = list_classes(opening, log);
        if (status != VITC_OK) {
            close_cursor(&c->cursor);
            return status;
        }
    }
    *cursor = &c->cursor;
    return VITC_OK;
}
