#include "datasets_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vitc_file.h"
#include "vitc_log.h"

/* Images without labels: one path after the other, each a file, a folder, or a container with a
 * cursor of its own. */
typedef struct files_cursor {
    datasets_cursor base;
    const datasets_opening *opening;
    size_t next_path;
    datasets_kind kind; /* of the current path, paths[next_path - 1]: if it is a container, */
    datasets_cursor *container; /* its cursor, */
    datasets_opening part;      /* opened with this; */
    datasets_walk *walk;        /* if it is a folder, the way through it, */
    bool found_any;             /* and whether that has given something */
} files_cursor;

static void leave_path(files_cursor *c)
{
    datasets_walk_close(c->walk);
    c->walk = NULL;
    if (c->container != NULL) c->container->close(c->container);
    c->container = NULL;
    c->kind = DATASETS_FILES;
}

static const char *current_path(const files_cursor *c)
{
    return c->opening->paths[c->next_path - 1];
}

static bool is_standard_input(const files_cursor *c, const char *path)
{
    return c->opening->options->standard_input && strcmp(path, "-") == 0;
}

/* What the next path itself gives: a file, or nothing where it is to be gone into first. */
static vitc_status begin_path(datasets_found *found, bool *any, files_cursor *c,
                              const vitc_log *log)
{
    const char *path = c->opening->paths[c->next_path++];
    struct stat status;
    *any = false;
    const bool standard_input = is_standard_input(c, path);
    c->kind = standard_input ? DATASETS_FILES : datasets_kind_unlabelled(path);
    if (c->kind != DATASETS_FILES) return VITC_OK;
    if (!standard_input && stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        c->found_any = false;
        return datasets_walk_open(&c->walk, path, log);
    }
    *any = true;
    *found = (datasets_found){.path = path, .below = datasets_names_base(path)};
    return VITC_OK;
}

/* The next image of the container that the current path is. */
static vitc_status read_container(datasets_item *item, bool *end, files_cursor *c,
                                  const datasets_filter *filter, const vitc_log *log)
{
    if (c->container == NULL) {
        c->part = *c->opening;
        c->part.paths = &c->opening->paths[c->next_path - 1];
        c->part.count = 1;
        VITC_TRY(datasets_kind_open(c->kind)(&c->container, &c->part, log));
    }
    return c->container->next(c->container, item, end, filter, log);
}

/* The same; a container that cannot be read any further is a failed item, as a file would be, and
 * the paths after it go on. */
static vitc_status use_container(datasets_item *item, bool *any, files_cursor *c,
                                 const datasets_filter *filter, const vitc_log *log)
{
    datasets_message message;
    const vitc_log keeper = datasets_message_log(&message, log);
    const char *path = current_path(c);
    bool end = false;
    uint64_t index;
    const vitc_status status = read_container(item, &end, c, filter, &keeper);
    *any = status == VITC_OK && !end;
    if (*any) return VITC_OK;
    leave_path(c);
    if (status == VITC_OK) return VITC_OK;
    if (status == VITC_ERR_MEMORY) return vitc_fail(log, status, "%s", message.text);
    *any = filter->keep(filter->user, datasets_names_base(path), path, DATASETS_UNLABELLED, &index);
    if (!*any) return VITC_OK;
    VITC_TRY(datasets_item_start(item, index, path, DATASETS_UNLABELLED, log));
    datasets_item_fail(item, status, message.text);
    return VITC_OK;
}

/* The next file of the folder that is being walked through; a folder without any is told. */
static vitc_status walk_on(datasets_found *found, bool *any, files_cursor *c, const vitc_log *log)
{
    bool end;
    VITC_TRY(datasets_walk_next(found, &end, c->walk, log));
    *any = !end || !c->found_any;
    c->found_any = true;
    if (!end) return VITC_OK;
    *found = (datasets_found){
        .path = current_path(c), .below = "", .error = "the folder holds no files"};
    leave_path(c);
    return VITC_OK;
}

/* The one image that comes by standard input, which nothing but reading it through tells about. */
static vitc_status read_standard_input(datasets_item *item, uint64_t index, const files_cursor *c,
                                       const datasets_filter *filter, const vitc_log *log)
{
    datasets_message message;
    const vitc_log keeper = datasets_message_log(&message, log);
    size_t most = c->opening->options->max_file_size;
    if (most == 0) most = imgio_limits_default().max_file_size;
    VITC_TRY(datasets_item_start(item, index, "-", DATASETS_UNLABELLED, log));
    if (filter->counting) return VITC_OK;
    const vitc_status status =
        vitc_file_read_fd(&item->bytes, &item->size, STDIN_FILENO, "-", most, &keeper);
    if (status != VITC_OK) datasets_item_fail(item, status, message.text);
    return VITC_OK;
}

static vitc_status files_next(datasets_cursor *cursor, datasets_item *item, bool *end,
                              const datasets_filter *filter, const vitc_log *log)
{
    files_cursor *c = (files_cursor *)cursor;
    for (;;) {
        datasets_found found = {0};
        uint64_t index;
        bool any = false;
        if (c->kind != DATASETS_FILES) {
            VITC_TRY(use_container(item, &any, c, filter, log));
            if (any) return VITC_OK;
            continue;
        }
        *end = c->walk == NULL && c->next_path == c->opening->count;
        if (*end) return VITC_OK;
        if (c->walk != NULL)
            VITC_TRY(walk_on(&found, &any, c, log));
        else
            VITC_TRY(begin_path(&found, &any, c, log));
        if (!any ||
            !filter->keep(filter->user, found.below, found.path, DATASETS_UNLABELLED, &index))
            continue;
        if (c->walk == NULL && is_standard_input(c, found.path))
            return read_standard_input(item, index, c, filter, log);
        return datasets_item_found(item, index, &found, DATASETS_UNLABELLED, log);
    }
}

static void files_close(datasets_cursor *cursor)
{
    files_cursor *c = (files_cursor *)cursor;
    leave_path(c);
    free(c);
}

vitc_status datasets_files_open(datasets_cursor **cursor, const datasets_opening *opening,
                                const vitc_log *log)
{
    files_cursor *c = calloc(1, sizeof *c);
    *cursor = NULL;
    if (c == NULL) return vitc_fail_memory(log, "the list of images");
    *c = (files_cursor){
        .base = {.next = files_next, .close = files_close},
        .opening = opening,
    };
    *cursor = &c->base;
    return VITC_OK;
}
