/* Sets that are lists of paths and labels (datasets_list.c). A labelled list is read through once
 * before the first image: for its classes, and for paths that are in it twice. With two labels that
 * is an error; with the same one the first row counts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets_private.h"
#include "vitc_log.h"
#include "vitc_size.h"

/* ---- rows that are there twice ---- */

/* Where each path of a list was met first: a hash table with open addressing, at most half of it in
 * use. It holds hashes only; a row with the same hash is read again and compared. */
typedef struct first_row {
    uint64_t hash, place; /* place: the row's offset + 1; 0 = free */
} first_row;

typedef struct check {
    const char *path;
    datasets_list *list;    /* read to its end */
    datasets_list *earlier; /* read again where needed */
    first_row *rows;
    size_t room, count;
    uint64_t *repeats; /* offsets of rows that say what one before them says, in order */
    size_t repeat_count, repeat_room;
} check;

/* The free place for a hash. */
static first_row *free_row(const check *c, uint64_t hash)
{
    size_t i = (size_t)hash & (c->room - 1);
    while (c->rows[i].place != 0) i = (i + 1) & (c->room - 1);
    return &c->rows[i];
}

static bool grow_rows(check *c)
{
    const check old = *c;
    c->room = old.room != 0 ? 2 * old.room : 1024;
    c->rows = calloc(c->room, sizeof *c->rows);
    if (c->rows == NULL) {
        *c = old;
        return false;
    }
    for (size_t i = 0; i < old.room; i++)
        if (old.rows[i].place != 0) *free_row(c, old.rows[i].hash) = old.rows[i];
    free(old.rows);
    return true;
}

/* The row before this one that has the same path; else the row is noted as the first. */
static vitc_status find_earlier(datasets_row *earlier, bool *found, check *c,
                                const datasets_row *row, const vitc_log *log)
{
    *found = false;
    if (c->count >= c->room / 2 && !grow_rows(c)) return vitc_fail_memory(log, c->path);
    const uint64_t hash = datasets_names_hash(DATASETS_HASH_START, row->path);
    size_t i = (size_t)hash & (c->room - 1);
    for (; c->rows[i].place != 0; i = (i + 1) & (c->room - 1)) {
        bool end;
        if (c->rows[i].hash != hash) continue;
        VITC_TRY(datasets_list_seek(c->earlier, c->rows[i].place - 1, log));
        VITC_TRY(datasets_list_next(earlier, &end, c->earlier, log));
        *found = !end && strcmp(earlier->path, row->path) == 0;
        if (*found) return VITC_OK;
    }
    c->rows[i] = (first_row){.hash = hash, .place = row->offset + 1};
    c->count++;
    return VITC_OK;
}

/* The line of the row at an offset, found by reading all before it: for messages. */
static vitc_status find_line(uint64_t *line, const char *path, uint64_t offset, const vitc_log *log)
{
    datasets_list *list;
    datasets_row row = {0};
    bool end = false;
    VITC_TRY(datasets_list_open(&list, path, true, log));
    vitc_status status = VITC_OK;
    do status = datasets_list_next(&row, &end, list, log);
    while (status == VITC_OK && !end && row.offset < offset);
    *line = row.line;
    datasets_list_close(list);
    return status;
}

static vitc_status add_repeat(check *c, uint64_t offset, const vitc_log *log)
{
    if (c->repeat_count == c->repeat_room) {
        const size_t room = c->repeat_room != 0 ? 2 * c->repeat_room : 64;
        uint64_t *grown = realloc(c->repeats, room * sizeof *grown);
        if (grown == NULL) return vitc_fail_memory(log, c->path);
        c->repeats = grown;
        c->repeat_room = room;
    }
    c->repeats[c->repeat_count++] = offset;
    return VITC_OK;
}

static vitc_status check_repeat(check *c, const datasets_row *row, const datasets_row *earlier,
                                const vitc_log *log)
{
    char path[VITC_SHOWN_SIZE], label[VITC_SHOWN_SIZE], before[VITC_SHOWN_SIZE];
    uint64_t line;
    if (strcmp(row->label, earlier->label) == 0) return add_repeat(c, row->offset, log);
    vitc_show(before, earlier->label);
    VITC_TRY(find_line(&line, c->path, earlier->offset, log));
    return vitc_fail(log, VITC_ERR_CORRUPT,
                     "%s: lines %llu and %llu give %s two labels, %s and %s; one of them must go",
                     c->path, (unsigned long long)line, (unsigned long long)row->line,
                     vitc_show(path, row->path), before, vitc_show(label, row->label));
}

static vitc_status check_rows(check *c, datasets_classes *classes, const vitc_log *log)
{
    datasets_row row, earlier;
    bool end, found;
    uint64_t rows = 0;
    int64_t label;
    for (;;) {
        VITC_TRY(datasets_list_next(&row, &end, c->list, log));
        if (end) break;
        rows++;
        VITC_TRY(find_earlier(&earlier, &found, c, &row, log));
        if (found) VITC_TRY(check_repeat(c, &row, &earlier, log));
        VITC_TRY(datasets_classes_label(&label, classes, row.label, log));
    }
    return rows > 0 ? VITC_OK
                    : vitc_fail(log, VITC_ERR_CORRUPT, "%s: the list holds no paths", c->path);
}

static vitc_status warn_of_repeats(const check *c, const vitc_log *log)
{
    uint64_t line;
    if (c->repeat_count == 0) return VITC_OK;
    VITC_TRY(find_line(&line, c->path, c->repeats[0], log));
    vitc_log_write(log, VITC_LOG_WARN,
                   "%s: %zu row%s left out that repeat%s one before, the first in line %llu",
                   c->path, c->repeat_count, c->repeat_count == 1 ? "" : "s",
                   c->repeat_count == 1 ? "s" : "", (unsigned long long)line);
    return VITC_OK;
}

/* ---- the cursor ---- */

/* What the check before the first image left of one list. */
typedef struct checked_list {
    datasets_stamp stamp;
    uint64_t *repeats;
    size_t repeat_count;
} checked_list;

typedef struct manifest_cursor {
    datasets_cursor base;
    const datasets_opening *opening;
    checked_list *checked; /* opening->count; NULL without labels */
    size_t next_path;
    datasets_list *list; /* paths[next_path - 1] */
    size_t next_repeat;  /* of it */
    char *path;          /* of the image: the list's folder, then the row's path */
    size_t room;
} manifest_cursor;

/* Gives *checked what is to be kept of it. */
static vitc_status check_list(checked_list *checked, const char *path, datasets_classes *classes,
                              const vitc_log *log)
{
    check c = {.path = path};
    vitc_status status = datasets_list_open(&c.list, path, true, log);
    if (status == VITC_OK) status = datasets_list_open(&c.earlier, path, true, log);
    if (status == VITC_OK) status = check_rows(&c, classes, log);
    if (status == VITC_OK) status = warn_of_repeats(&c, log);
    if (status == VITC_OK) checked->stamp = datasets_list_stamp(c.list);
    checked->repeats = c.repeats;
    checked->repeat_count = c.repeat_count;
    datasets_list_close(c.list);
    datasets_list_close(c.earlier);
    free(c.rows);
    return status;
}

static vitc_status open_next_list(manifest_cursor *c, const vitc_log *log)
{
    const char *path = c->opening->paths[c->next_path];
    VITC_TRY(datasets_list_open(&c->list, path, c->opening->options->labelled, log));
    c->next_repeat = 0;
    if (c->checked != NULL) {
        const datasets_stamp stamp = datasets_list_stamp(c->list);
        if (memcmp(&stamp, &c->checked[c->next_path].stamp, sizeof stamp) != 0)
            return vitc_fail(log, VITC_ERR_UNREADABLE,
                             "%s: the list was changed since it was checked; start again", path);
    }
    c->next_path++;
    return VITC_OK;
}

static bool is_repeat(manifest_cursor *c, const datasets_row *row)
{
    if (c->checked == NULL) return false;
    const checked_list *checked = &c->checked[c->next_path - 1];
    if (c->next_repeat == checked->repeat_count || checked->repeats[c->next_repeat] != row->offset)
        return false;
    c->next_repeat++;
    return true;
}

/* The next row that is an image of the set. */
static vitc_status next_row(datasets_row *row, bool *end, manifest_cursor *c, const vitc_log *log)
{
    for (;;) {
        if (c->list == NULL) {
            *end = c->next_path == c->opening->count;
            if (*end) return VITC_OK;
            VITC_TRY(open_next_list(c, log));
        }
        VITC_TRY(datasets_list_next(row, end, c->list, log));
        if (!*end && !is_repeat(c, row)) return VITC_OK;
        if (*end) {
            datasets_list_close(c->list);
            c->list = NULL;
        }
    }
}

/* Paths are relative to the folder of the list. */
static vitc_status locate(manifest_cursor *c, const datasets_row *row, const vitc_log *log)
{
    const char *list = c->opening->paths[c->next_path - 1];
    const size_t folder = row->path[0] != '/' ? (size_t)(datasets_names_base(list) - list) : 0;
    const size_t needed = folder + strlen(row->path) + 1;
    if (needed > c->room) {
        char *grown = realloc(c->path, 2 * needed);
        if (grown == NULL) return vitc_fail_memory(log, row->path);
        c->path = grown;
        c->room = 2 * needed;
    }
    memcpy(c->path, list, folder);
    memcpy(c->path + folder, row->path, needed - folder);
    return VITC_OK;
}

static vitc_status manifest_next(datasets_cursor *cursor, datasets_item *item, bool *end,
                                 const datasets_filter *filter, const vitc_log *log)
{
    manifest_cursor *c = (manifest_cursor *)cursor;
    datasets_row row = {0};
    int64_t label = DATASETS_UNLABELLED;
    uint64_t index;
    do {
        VITC_TRY(next_row(&row, end, c, log));
        if (*end) return VITC_OK;
        VITC_TRY(locate(c, &row, log));
        if (row.label != NULL)
            VITC_TRY(datasets_classes_label(&label, c->opening->classes, row.label, log));
    } while (!filter->keep(filter->user, row.path, c->path, label, &index));
    const datasets_found found = {.path = c->path, .below = row.path};
    return datasets_item_found(item, index, &found, label, log);
}

static void manifest_close(datasets_cursor *cursor)
{
    manifest_cursor *c = (manifest_cursor *)cursor;
    for (size_t i = 0; c->checked != NULL && i < c->opening->count; i++)
        free(c->checked[i].repeats);
    free(c->checked);
    datasets_list_close(c->list);
    free(c->path);
    free(c);
}

static vitc_status check_lists(manifest_cursor *c, const vitc_log *log)
{
    const datasets_opening *opening = c->opening;
    c->checked = calloc(opening->count, sizeof *c->checked);
    if (c->checked == NULL) return vitc_fail_memory(log, opening->paths[0]);
    for (size_t i = 0; i < opening->count; i++)
        VITC_TRY(check_list(&c->checked[i], opening->paths[i], opening->classes, log));
    return VITC_OK;
}

vitc_status datasets_manifest_open(datasets_cursor **cursor, const datasets_opening *opening,
                                   const vitc_log *log)
{
    manifest_cursor *c = calloc(1, sizeof *c);
    *cursor = NULL;
    if (c == NULL) return vitc_fail_memory(log, opening->paths[0]);
    *c = (manifest_cursor){
        .base = {.next = manifest_next, .close = manifest_close},
        .opening = opening,
    };
    const vitc_status status = opening->options->labelled ? check_lists(c, log) : VITC_OK;
    if (status == VITC_OK)
        *cursor = &c->base;
    else
        manifest_close(&c->base);
    return status;
}
