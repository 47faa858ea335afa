/* Sets whose images are records of one size: what IDX and CIFAR share. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets_private.h"
#include "vitc_log.h"
#include "vitc_size.h"
#include "vitc_zlib.h"

enum { LABELS = 256 };

typedef struct records_file {
    datasets_records_file about; /* its path belongs to it */
    char *below;                 /* its name in the set: the same when it is compressed */
} records_file;

struct datasets_records {
    datasets_cursor cursor;
    records_file *files;
    size_t count;
    int64_t classes[LABELS]; /* the set's label of a file's, or DATASETS_UNLABELLED */

    size_t file;       /* where the next image is */
    uint64_t record;   /* of that file */
    vitc_stream *open; /* that file, or NULL: no image of it was read */
    uint64_t position; /* bytes of it read or passed over */
    uint8_t *bytes;    /* of one record */
    size_t capacity;
};

vitc_status datasets_records_create(datasets_records **records, const vitc_log *log)
{
    *records = calloc(1, sizeof **records);
    if (*records == NULL) return vitc_fail_memory(log, "a dataset");
    for (size_t i = 0; i < LABELS; i++) (*records)->classes[i] = DATASETS_UNLABELLED;
    return VITC_OK;
}

static void free_file(records_file *file)
{
    free((char *)(uintptr_t)file->about.path);
    free(file->about.labels);
    free(file->below);
}

void datasets_records_free(datasets_records *records)
{
    if (records == NULL) return;
    for (size_t i = 0; i < records->count; i++) free_file(&records->files[i]);
    vitc_stream_close(records->open);
    free(records->files);
    free(records->bytes);
    free(records);
}

/* A file's name in the set, the same whether it is compressed or not. */
static char *name_below(const char *path)
{
    char *name = strdup(datasets_names_base(path));
    if (name != NULL && datasets_names_ends(name, ".gz")) name[strlen(name) - 3] = 0;
    return name;
}

vitc_status datasets_records_add(datasets_records *records, const datasets_records_file *file,
                                 const vitc_log *log)
{
    records_file added = {.about = *file, .below = name_below(file->path)};
    added.about.path = strdup(file->path);
    records_file *files = realloc(records->files, (records->count + 1) * sizeof *files);
    if (files != NULL) records->files = files;
    if (files == NULL || added.about.path == NULL || added.below == NULL) {
        free_file(&added);
        return vitc_fail_memory(log, file->path);
    }
    records->files[records->count++] = added;
    return VITC_OK;
}

/* ---- classes ---- */

vitc_status datasets_records_classes(datasets_records *records, datasets_classes *classes,
                                     const char *names, const vitc_log *log)
{
    if (names != NULL) VITC_TRY(datasets_classes_read(classes, names, log));
    bool used[LABELS] = {false};
    for (size_t i = 0; i < records->count; i++) {
        const datasets_records_file *file = &records->files[i].about;
        for (uint64_t k = 0; k < file->count; k++) {
            const size_t value = file->labels[k];
            if (names != NULL && value >= datasets_classes_count(classes))
                return vitc_fail(log, VITC_ERR_CORRUPT,
                                 "%s: image %llu has the label %zu, and %s names only %zu classes",
                                 file->path, (unsigned long long)k, value, names,
                                 datasets_classes_count(classes));
            used[value] = true;
        }
    }
    for (size_t value = 0; value < LABELS; value++) {
        char name[8];
        snprintf(name, sizeof name, "%zu", value);
        if (used[value] && names != NULL)
            records->classes[value] = (int64_t)value;
        else if (used[value])
            VITC_TRY(datasets_classes_label(&records->classes[value], classes, name, log));
    }
    return VITC_OK;
}

/* ---- the cursor ---- */

static void next_file(datasets_records *r)
{
    vitc_stream_close(r->open);
    r->open = NULL;
    r->position = 0;
    r->record = 0;
    r->file++;
}

/* The record's bytes, into r->bytes. */
static vitc_status read_record(datasets_records *r, uint64_t record, const vitc_log *log)
{
    const datasets_records_file *file = &r->files[r->file].about;
    if (r->open == NULL) VITC_TRY(vitc_stream_open(&r->open, file->path, log));
    if (r->capacity < file->size) {
        uint8_t *bytes = realloc(r->bytes, file->size);
        if (bytes == NULL) return vitc_fail_memory(log, file->path);
        r->bytes = bytes;
        r->capacity = file->size;
    }
    const uint64_t skip = file->header + record * file->size - r->position;
    uint64_t skipped;
    size_t got;
    VITC_TRY(vitc_stream_skip(&skipped, r->open, skip, log));
    r->position += skipped;
    VITC_TRY(vitc_stream_read(&got, r->open, r->bytes, file->size, log));
    r->position += got;
    if (got < file->size)
        return vitc_fail(log, VITC_ERR_TRUNCATED,
                         "%s: ends within image %llu of %llu; it was changed while it was read",
                         file->path, (unsigned long long)record, (unsigned long long)file->count);
    return VITC_OK;
}

static vitc_status make_image(imgio_image *image, const datasets_records_file *file,
                              const uint8_t *record, const vitc_log *log)
{
    VITC_TRY(imgio_image_create(image, file->width, file->height, log));
    const size_t pixels = (size_t)file->width * file->height;
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++)
            image->pixels[i * 3 + c] = record[file->lead + i * file->pixel + c * file->channel];
    return VITC_OK;
}

/* "name#17" */
static char *numbered(const char *name, uint64_t number)
{
    char *text = NULL;
    if (asprintf(&text, "%s#%llu", name, (unsigned long long)number) < 0) return NULL;
    return text;
}

/* Whether the filter keeps image `record` of the file where the cursor is; then with its place. */
static vitc_status ask(datasets_item *item, bool *kept, const datasets_records *r, uint64_t record,
                       const datasets_filter *filter, const vitc_log *log)
{
    const records_file *file = &r->files[r->file];
    char *below = numbered(file->below, record);
    item->path = numbered(file->about.path, record);
    item->label =
        file->about.labels != NULL ? r->classes[file->about.labels[record]] : DATASETS_UNLABELLED;
    const bool memory = below != NULL && item->path != NULL;
    *kept = memory && filter->keep(filter->user, below, item->path, item->label, &item->index);
    free(below);
    return memory ? VITC_OK : vitc_fail_memory(log, file->about.path);
}

static vitc_status next(datasets_cursor *cursor, datasets_item *item, bool *end,
                        const datasets_filter *filter, const vitc_log *log)
{
    datasets_records *r = (datasets_records *)cursor;
    *item = (datasets_item){0};
    *end = false;
    while (r->file < r->count) {
        const datasets_records_file *file = &r->files[r->file].about;
        if (r->record == file->count) {
            next_file(r);
            continue;
        }
        const uint64_t record = r->record++;
        bool kept;
        vitc_status status = ask(item, &kept, r, record, filter, log);
        if (kept) status = read_record(r, record, log);
        if (kept && status == VITC_OK) status = make_image(&item->image, file, r->bytes, log);
        if (kept && status == VITC_OK) return VITC_OK;
        datasets_item_free(item);
        *item = (datasets_item){0};
        VITC_TRY(status);
    }
    *end = true;
    return VITC_OK;
}

static void close_cursor(datasets_cursor *cursor)
{
    datasets_records_free((datasets_records *)cursor);
}

datasets_cursor *datasets_records_cursor(datasets_records *records)
{
    records->cursor = (datasets_cursor){.next = next, .close = close_cursor};
    return &records->cursor;
}
