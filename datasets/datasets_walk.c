#include "datasets_private.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vitc_file.h"
#include "vitc_log.h"
#include "vitc_size.h"

/* ---- one folder ---- */

/* NULL at the end, and with an errno when something is wrong. */
static const struct dirent *next_entry(DIR *folder)
{
    const struct dirent *entry;
    do {
        errno = 0;
        entry = readdir(folder);
    } while (entry != NULL && datasets_names_clutter(entry->d_name));
    return entry;
}

/* Most file systems say with the name what it is, which saves a look at each file. */
static char entry_type(const struct dirent *entry)
{
    switch (entry->d_type) {
    case DT_DIR:
        return DATASETS_ENTRY_FOLDER;
    case DT_LNK:
    case DT_UNKNOWN:
        return DATASETS_ENTRY_UNKNOWN;
    default:
        return DATASETS_ENTRY_FILE;
    }
}

static int compare_entries(const void *a, const void *b)
{
    return datasets_names_compare(*(char *const *)a + 1, *(char *const *)b + 1);
}

/* False without memory. */
static bool list_entries(datasets_strings *names, DIR *folder)
{
    char text[sizeof((struct dirent *)NULL)->d_name + 2];
    const struct dirent *entry;
    while ((entry = next_entry(folder)) != NULL) {
        snprintf(text, sizeof text, "%c%s", entry_type(entry), entry->d_name);
        if (!datasets_strings_add(names, text)) return false;
    }
    const int error = errno;
    if (!datasets_strings_index(names)) return false;
    if (names->count > 0) qsort(names->at, names->count, sizeof *names->at, compare_entries);
    errno = error;
    return true;
}

vitc_status datasets_folder_list(datasets_strings *names, int *error, const char *path,
                                 const vitc_log *log)
{
    *names = (datasets_strings){0};
    *error = 0;
    DIR *folder = opendir(path);
    if (folder == NULL) {
        *error = errno;
        return *error != ENOMEM ? VITC_OK : vitc_fail_memory(log, path);
    }
    const bool listed = list_entries(names, folder);
    *error = errno;
    closedir(folder);
    if (listed) return VITC_OK;
    datasets_strings_free(names);
    return vitc_fail_memory(log, path);
}

/* A folder on the way to one, which links may lead back to. */
typedef struct ancestor {
    const struct ancestor *above;
    dev_t device;
    ino_t inode;
} ancestor;

static bool is_above(const ancestor *above, const struct stat *status)
{
    for (; above != NULL; above = above->above)
        if (above->device == status->st_dev && above->inode == status->st_ino) return true;
    return false;
}

static bool holds_file(const char *path, const ancestor *above)
{
    DIR *folder = opendir(path);
    struct stat own;
    /* What cannot be looked into is told when it is read. */
    if (folder == NULL) return errno != ENOENT && errno != ENOTDIR && errno != ELOOP;
    bool found = false;
    const bool known = fstat(dirfd(folder), &own) != 0 || is_above(above, &own);
    const ancestor here = {above, own.st_dev, own.st_ino};
    const struct dirent *entry;
    while (!known && !found && (entry = next_entry(folder)) != NULL) {
        const char type = entry_type(entry);
        struct stat status;
        char *child = type != DATASETS_ENTRY_FILE ? vitc_path_join(path, entry->d_name) : NULL;
        const bool is_folder =
            child != NULL && (type == DATASETS_ENTRY_FOLDER ||
                              (stat(child, &status) == 0 && S_ISDIR(status.st_mode)));
        found = is_folder ? holds_file(child, &here) : true;
        free(child);
    }
    closedir(folder);
    return found;
}

bool datasets_folder_holds_file(const char *path)
{
    return holds_file(path, NULL);
}

/* ---- a tree of folders ---- */

/* A folder on the way, between the first and the one being listed. */
typedef struct level {
    datasets_strings names;
    size_t next;   /* name */
    size_t length; /* of its path */
    dev_t device;
    ino_t inode;
    int error; /* errno: it could not be listed, or not to its end */
} level;

struct datasets_walk {
    char *path; /* of what was found last */
    size_t room;
    size_t below; /* where it goes on below the first folder */
    level *levels;
    size_t depth, level_room;
    char reason[160];
};

/* Makes the path `length` bytes of itself, a slash unless there is one, and a name. */
static vitc_status set_path(datasets_walk *walk, size_t length, const char *name,
                            const vitc_log *log)
{
    const size_t needed = length + strlen(name) + 2;
    if (needed > walk->room) {
        char *grown = realloc(walk->path, 2 * needed);
        if (grown == NULL) return vitc_fail_memory(log, "the path of a file");
        walk->path = grown;
        walk->room = 2 * needed;
    }
    if (length > 0 && walk->path[length - 1] != '/') walk->path[length++] = '/';
    memcpy(walk->path + length, name, strlen(name) + 1);
    return VITC_OK;
}

static bool is_on_the_way(const datasets_walk *walk, const struct stat *status)
{
    for (size_t i = 0; i < walk->depth; i++)
        if (walk->levels[i].device == status->st_dev && walk->levels[i].inode == status->st_ino)
            return true;
    return false;
}

/* Goes into the folder at the current path; into one that cannot be listed, too: leaving it will
 * tell. */
static vitc_status enter(datasets_walk *walk, const vitc_log *log)
{
    struct stat status = {0};
    if (stat(walk->path, &status) == 0 && is_on_the_way(walk, &status)) {
        vitc_log_write(log, VITC_LOG_WARN, "%s: leads back to a folder above it; skipped",
                       walk->path);
        return VITC_OK;
    }
    if (walk->depth == walk->level_room) {
        const size_t room = walk->level_room != 0 ? 2 * walk->level_room : 8;
        level *grown = realloc(walk->levels, room * sizeof *grown);
        if (grown == NULL) return vitc_fail_memory(log, "the folders on the way");
        walk->levels = grown;
        walk->level_room = room;
    }
    level *here = &walk->levels[walk->depth];
    *here = (level){.length = strlen(walk->path), .device = status.st_dev, .inode = status.st_ino};
    VITC_TRY(datasets_folder_list(&here->names, &here->error, walk->path, log));
    walk->depth++;
    return VITC_OK;
}

static datasets_found found_here(const datasets_walk *walk, const char *error)
{
    const size_t length = strlen(walk->path);
    return (datasets_found){
        .path = walk->path,
        .below = walk->path + vitc_size_min(walk->below, length),
        .error = error,
    };
}

/* Goes back up; whether that is something to tell. */
static bool leave(datasets_found *found, datasets_walk *walk)
{
    level *here = &walk->levels[--walk->depth];
    datasets_strings_free(&here->names);
    if (here->error == 0) return false;
    walk->path[here->length] = 0;
    snprintf(walk->reason, sizeof walk->reason, "folder cannot be listed: %s",
             strerror(here->error));
    *found = found_here(walk, walk->reason);
    return true;
}

/* What a name is that may be a link, an errno when that cannot be told. */
static char look_at(const char *path, int *error)
{
    struct stat status;
    *error = stat(path, &status) != 0 ? errno : 0;
    return *error == 0 && S_ISDIR(status.st_mode) ? DATASETS_ENTRY_FOLDER : DATASETS_ENTRY_FILE;
}

static const char *why_no_file(datasets_walk *walk, int error)
{
    struct stat link;
    const bool broken = error == ENOENT && lstat(walk->path, &link) == 0 && S_ISLNK(link.st_mode);
    snprintf(walk->reason, sizeof walk->reason, "cannot be opened: %s",
             broken ? "broken symbolic link" : strerror(error));
    return walk->reason;
}

vitc_status datasets_walk_next(datasets_found *found, bool *end, datasets_walk *walk,
                               const vitc_log *log)
{
    *end = false;
    while (walk->depth > 0) {
        level *here = &walk->levels[walk->depth - 1];
        if (here->names.at == NULL || here->next == here->names.count) {
            if (leave(found, walk)) return VITC_OK;
            continue;
        }
        const char *name = here->names.at[here->next++];
        char type = *name++;
        int error = 0;
        VITC_TRY(set_path(walk, here->length, name, log));
        if (type == DATASETS_ENTRY_UNKNOWN) type = look_at(walk->path, &error);
        if (type != DATASETS_ENTRY_FOLDER) {
            *found = found_here(walk, error != 0 ? why_no_file(walk, error) : NULL);
            return VITC_OK;
        }
        VITC_TRY(enter(walk, log));
    }
    *end = true;
    return VITC_OK;
}

vitc_status datasets_walk_open(datasets_walk **walk, const char *folder, const vitc_log *log)
{
    datasets_walk *w = *walk = calloc(1, sizeof *w);
    if (w == NULL) return vitc_fail_memory(log, folder);
    vitc_status status = set_path(w, 0, folder, log);
    if (status == VITC_OK) {
        const size_t length = strlen(folder);
        w->below = length > 0 && folder[length - 1] == '/' ? length : length + 1;
        status = enter(w, log);
    }
    if (status == VITC_OK) return VITC_OK;
    datasets_walk_close(w);
    *walk = NULL;
    return status;
}

void datasets_walk_close(datasets_walk *walk)
{
    if (walk == NULL) return;
    while (walk->depth > 0) datasets_strings_free(&walk->levels[--walk->depth].names);
    free(walk->levels);
    free(walk->path);
    free(walk);
}
