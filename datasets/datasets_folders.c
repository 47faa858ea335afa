#include "datasets_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vitc_file.h"
#include "vitc_log.h"

/* ---- what lies in the folders, told once ---- */

/* Names for a message: the first of them, and how many there are. */
typedef struct name_list {
    char text[400];
    size_t used, shown, total;
} name_list;

static void list_name(name_list *list, const char *name)
{
    enum { MOST = 8 };
    char shown[VITC_SHOWN_SIZE];
    vitc_show(shown, name);
    list->total++;
    if (list->shown == MOST || list->used + strlen(shown) + 8 > sizeof list->text) return;
    list->used += (size_t)snprintf(list->text + list->used, sizeof list->text - list->used, "%s%s",
                                   list->shown > 0 ? ", " : "", shown);
    list->shown++;
}

static const char *and_more(const name_list *list)
{
    return list->shown < list->total ? ", ..." : "";
}

typedef struct contents {
    size_t folders;
    name_list empty; /* class folders */
    name_list files; /* beside them */
    bool list;       /* one of these is a list of labels */
} contents;

/* A link that leads nowhere counts as a folder: it may be a class, and will be told as unreadable
 * rather than be left out. */
static bool is_class(const char *path, char type)
{
    struct stat status;
    if (type != DATASETS_ENTRY_UNKNOWN) return type == DATASETS_ENTRY_FOLDER;
    return stat(path, &status) != 0 || S_ISDIR(status.st_mode);
}

static vitc_status add_entry(contents *in, datasets_classes *classes, const char *folder,
                             const char *entry, const vitc_log *log)
{
    const char *name = entry + 1;
    char *path = vitc_path_join(folder, name);
    if (path == NULL) return vitc_fail_memory(log, folder);
    vitc_status status = VITC_OK;
    int64_t label;
    if (is_class(path, entry[0])) {
        in->folders++;
        if (!datasets_folder_holds_file(path)) list_name(&in->empty, name);
        status = datasets_classes_label(&label, classes, name, log);
    } else {
        list_name(&in->files, name);
        in->list = in->list || datasets_manifest_is(path);
    }
    free(path);
    return status;
}

static void tell_contents(const contents *in, const char *folder, const vitc_log *log)
{
    if (in->files.total > 0)
        vitc_log_write(
            log, VITC_LOG_WARN, "%s: %zu file%s beside the class folders left out: %s%s%s", folder,
            in->files.total, in->files.total == 1 ? "" : "s", in->files.text, and_more(&in->files),
            in->list ? "; where labels come from a list, name the list" : "");
    if (in->empty.total > 0)
        vitc_log_write(log, VITC_LOG_WARN, "%s: %zu of %zu class folders without a file: %s%s",
                       folder, in->empty.total, in->folders, in->empty.text, and_more(&in->empty));
}

static vitc_status add_classes(datasets_classes *classes, const char *folder, const vitc_log *log)
{
    contents in = {0};
    datasets_strings names;
    int error;
    VITC_TRY(datasets_folder_list(&names, &error, folder, log));
    vitc_status status = VITC_OK;
    if (error != 0)
        status = vitc_fail(log, VITC_ERR_UNREADABLE, "%s: folder cannot be listed: %s", folder,
                           strerror(error));
    for (size_t i = 0; i < names.count && status == VITC_OK; i++)
        status = add_entry(&in, classes, folder, names.at[i], log);
    datasets_strings_free(&names);
    if (status != VITC_OK) return status;
    if (in.empty.total == in.folders)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                         "%s: none of its %zu class folder%s holds a file", folder, in.folders,
                         in.folders == 1 ? "" : "s");
    tell_contents(&in, folder, log);
    return VITC_OK;
}

/* ---- the cursor ---- */

typedef struct folders_cursor {
    datasets_cursor base;
    const datasets_opening *opening;
    size_t next_path;
    datasets_walk *walk; /* through paths[next_path - 1] */
    int64_t label;       /* of the class folder that the walk is in */
} folders_cursor;

/* The class of a path below the folder is its first part, that before `length`. */
static vitc_status label_of(folders_cursor *c, const char *below, size_t length,
                            const vitc_log *log)
{
    if (c->label != DATASETS_UNLABELLED) {
        const char *name = datasets_classes_name(c->opening->classes, (size_t)c->label);
        if (strncmp(name, below, length) == 0 && name[length] == 0) return VITC_OK;
    }
    char *name = strndup(below, length);
    if (name == NULL) return vitc_fail_memory(log, below);
    const vitc_status status = datasets_classes_label(&c->label, c->opening->classes, name, log);
    free(name);
    return status;
}

/* The next file in a class folder, or what failed in place of one. */
static vitc_status find(datasets_found *found, bool *end, folders_cursor *c, const vitc_log *log)
{
    for (;;) {
        if (c->walk == NULL) {
            *end = c->next_path == c->opening->count;
            if (*end) return VITC_OK;
            const char *folder = c->opening->paths[c->next_path++];
            VITC_TRY(datasets_walk_open(&c->walk, folder, log));
        }
        VITC_TRY(datasets_walk_next(found, end, c->walk, log));
        if (*end) {
            datasets_walk_close(c->walk);
            c->walk = NULL;
            continue;
        }
        const size_t length = strcspn(found->below, "/");
        if (length == 0)
            return vitc_fail(log, VITC_ERR_UNREADABLE, "%s: %s", found->path, found->error);
        if (found->below[length] == 0 && found->error == NULL) continue; /* beside the folders */
        return label_of(c, found->below, length, log);
    }
}

static vitc_status folders_next(datasets_cursor *cursor, datasets_item *item, bool *end,
                                const datasets_filter *filter, const vitc_log *log)
{
    folders_cursor *c = (folders_cursor *)cursor;
    datasets_found found = {0};
    uint64_t index;
    do {
        VITC_TRY(find(&found, end, c, log));
        if (*end) return VITC_OK;
    } while (!filter->keep(filter->user, found.below, found.path, c->label, &index));
    return datasets_item_found(item, index, &found, c->label, log);
}

static void folders_close(datasets_cursor *cursor)
{
    folders_cursor *c = (folders_cursor *)cursor;
    datasets_walk_close(c->walk);
    free(c);
}

vitc_status datasets_folders_open(datasets_cursor **cursor, const datasets_opening *opening,
                                  const vitc_log *log)
{
    *cursor = NULL;
    for (size_t i = 0; i < opening->count; i++)
        VITC_TRY(add_classes(opening->classes, opening->paths[i], log));
    if (datasets_classes_count(opening->classes) == 1)
        vitc_log_write(log, VITC_LOG_WARN,
                       "%s: holds one class folder only, %s; is the folder above it, or one in it, "
                       "meant?",
                       opening->paths[0], datasets_classes_name(opening->classes, 0));
    folders_cursor *c = calloc(1, sizeof *c);
    if (c == NULL) return vitc_fail_memory(log, opening->paths[0]);
    *c = (folders_cursor){
        .base = {.next = folders_next, .close = folders_close},
        .opening = opening,
        .label = DATASETS_UNLABELLED,
    };
    *cursor = &c->base;
    return VITC_OK;
}
