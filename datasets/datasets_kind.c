#include "datasets_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vitc_file.h"
#include "vitc_log.h"

#define WANTED                                                                                     \
    "labelled images are a folder with one folder for each class, a list of paths and labels "     \
    "(.csv, .tsv, .jsonl), tar files, IDX files or CIFAR's .bin files"

static const struct {
    const char *name;    /* for programs */
    const char *meaning; /* for people: "x holds ..." */
    datasets_open_fn *open;
    /* What is said when several lie in one folder: an error where each is likely a set of its own.
     */
    vitc_log_level several;
} kinds[] = {
    [DATASETS_FILES] = {"files", "files", datasets_files_open, VITC_LOG_INFO},
    [DATASETS_FOLDERS] = {"folders", "class folders", datasets_folders_open, VITC_LOG_INFO},
    [DATASETS_MANIFEST] = {"manifest", "lists", datasets_manifest_open, VITC_LOG_ERROR},
    [DATASETS_TAR] = {"tar", "tar files", datasets_tar_open, VITC_LOG_INFO},
    [DATASETS_IDX] = {"idx", "IDX files of images", datasets_idx_open, VITC_LOG_ERROR},
    [DATASETS_CIFAR] = {"cifar", "CIFAR batches", datasets_cifar_open, VITC_LOG_WARN},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

const char *datasets_kind_string(datasets_kind kind)
{
    return (unsigned)kind < KINDS ? kinds[kind].name : "unknown";
}

datasets_open_fn *datasets_kind_open(datasets_kind kind)
{
    return kinds[kind].open;
}

/* ---- one file ---- */

/* Up to 512 bytes from a file's beginning; *regular says whether it is one that can be read. */
static size_t read_head(unsigned char head[512], bool *regular, const char *path)
{
    struct stat status;
    *regular = false;
    /* A pipe is not even opened: closed again, it would end its writer. */
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) return 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return 0;
    const bool is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    const ssize_t size = is_file ? read(fd, head, 512) : -1;
    close(fd);
    *regular = size >= 0;
    return *regular ? (size_t)size : 0;
}

/* DATASETS_FILES for a file of no other kind, and for what cannot be read: reading it will tell. */
static datasets_kind kind_of_file(const char *path)
{
    unsigned char head[512];
    bool regular;
    /* Without this each of a million images would be opened twice; a tar file with such a name is
     * reported as an image that cannot be decoded. */
    if (datasets_names_image(path)) return DATASETS_FILES;
    if (datasets_manifest_is(path)) return DATASETS_MANIFEST;
    const size_t size = read_head(head, &regular, path);
    if (size == 0) return DATASETS_FILES;
    if (datasets_idx_is(path, head, size)) return DATASETS_IDX;
    if (datasets_cifar_is(path, head, size)) return DATASETS_CIFAR;
    if (datasets_tar_is(path, head, size)) return DATASETS_TAR;
    return DATASETS_FILES;
}

bool datasets_kind_is_stray(const char *path)
{
    unsigned char head[512];
    bool regular;
    if (datasets_names_picture(path)) return false; /* as above */
    const size_t size = read_head(head, &regular, path);
    return regular && !imgio_is_picture(head, size);
}

/* Whether a path that does not exist as it is written stands for several tar files. */
static vitc_status is_brace_range(bool *range, const char *path, const vitc_log *log)
{
    char **paths;
    size_t count;
    VITC_TRY(datasets_tar_expand(&paths, &count, path, log));
    *range = count != 1 || strcmp(paths[0], path) != 0;
    for (size_t i = 0; i < count; i++) free(paths[i]);
    free(paths);
    return VITC_OK;
}

datasets_kind datasets_kind_unlabelled(const char *path)
{
    struct stat status;
    bool range = false;
    if (stat(path, &status) == 0)
        return S_ISREG(status.st_mode) ? kind_of_file(path) : DATASETS_FILES;
    return is_brace_range(&range, path, NULL) == VITC_OK && range ? DATASETS_TAR : DATASETS_FILES;
}

/* ---- a folder ---- */

/* What lies in a folder that has no class folders. */
typedef struct contents {
    datasets_strings paths[KINDS]; /* files of each kind; of DATASETS_FILES none are kept */
    size_t files;                  /* those of DATASETS_FILES */
} contents;

static vitc_status sort_file(contents *in, const char *folder, const char *name,
                             const vitc_log *log)
{
    char *path = vitc_path_join(folder, name);
    if (path == NULL) return vitc_fail_memory(log, folder);
    const datasets_kind kind = kind_of_file(path);
    bool kept = true;
    if (kind == DATASETS_FILES)
        in->files++;
    else
        kept = datasets_strings_add(&in->paths[kind], path);
    free(path);
    return kept ? VITC_OK : vitc_fail_memory(log, folder);
}

static bool is_class_folder(const char *folder, const char *entry)
{
    struct stat status;
    if (entry[0] != DATASETS_ENTRY_UNKNOWN) return entry[0] == DATASETS_ENTRY_FOLDER;
    char *path = vitc_path_join(folder, entry + 1);
    const bool is = path != NULL && stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    free(path);
    return is;
}

static vitc_status no_dataset(const contents *in, const char *folder, const vitc_log *log)
{
    if (in->files == 0)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED, "%s: an empty folder; " WANTED, folder);
    return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                     "%s: holds %zu file%s and no class folders; " WANTED, folder, in->files,
                     in->files == 1 ? "" : "s");
}

/* The one kind of which there are files in the folder. */
static vitc_status choose(datasets_kind *kind, contents *in, const char *folder,
                          const vitc_log *log)
{
    *kind = DATASETS_FILES;
    for (int k = DATASETS_FILES + 1; k < KINDS; k++) {
        if (in->paths[k].count == 0) continue;
        if (*kind != DATASETS_FILES)
            return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                             "%s: holds no class folders, but %s and %s; name those that are meant",
                             folder, kinds[*kind].meaning, kinds[k].meaning);
        *kind = (datasets_kind)k;
    }
    if (*kind == DATASETS_FILES) return no_dataset(in, folder, log);
    datasets_strings *files = &in->paths[*kind];
    if (!datasets_strings_index(files)) return vitc_fail_memory(log, folder);
    return VITC_OK;
}

/* Adds the files of the folder's one kind to `paths`. */
static vitc_status take_files(datasets_kind *kind, datasets_strings *paths, contents *in,
                              const char *folder, const vitc_log *log)
{
    VITC_TRY(choose(kind, in, folder, log));
    const datasets_strings *files = &in->paths[*kind];
    const vitc_log_level level = kinds[*kind].several;
    for (size_t i = 0; i < files->count; i++)
        if (!datasets_strings_add(paths, files->at[i])) return vitc_fail_memory(log, folder);
    if (files->count > 1)
        vitc_log_write(log, level, "%s: holds %zu %s, %s, %s%s; %s", folder, files->count,
                       kinds[*kind].meaning, datasets_names_base(files->at[0]),
                       datasets_names_base(files->at[1]), files->count > 2 ? ", ..." : "",
                       level == VITC_LOG_ERROR ? "name those that are meant"
                                               : "all of them are one set");
    return files->count > 1 && level == VITC_LOG_ERROR ? VITC_ERR_UNSUPPORTED : VITC_OK;
}

static vitc_status find_in_list(datasets_kind *kind, datasets_strings *paths, const char *folder,
                                const datasets_strings *names, const vitc_log *log)
{
    contents in = {0};
    vitc_status status = VITC_OK;
    bool classes = false;
    for (size_t i = 0; i < names->count && !classes; i++)
        classes = is_class_folder(folder, names->at[i]);
    if (classes) {
        *kind = DATASETS_FOLDERS;
        return datasets_strings_add(paths, folder) ? VITC_OK : vitc_fail_memory(log, folder);
    }
    for (size_t i = 0; i < names->count && status == VITC_OK; i++)
        status = sort_file(&in, folder, names->at[i] + 1, log);
    if (status == VITC_OK) status = take_files(kind, paths, &in, folder, log);
    for (int k = 0; k < KINDS; k++) datasets_strings_free(&in.paths[k]);
    return status;
}

static vitc_status find_in_folder(datasets_kind *kind, datasets_strings *paths, const char *folder,
                                  const vitc_log *log)
{
    datasets_strings names;
    int error;
    VITC_TRY(datasets_folder_list(&names, &error, folder, log));
    vitc_status status;
    if (error == 0)
        status = find_in_list(kind, paths, folder, &names, log);
    else
        status = vitc_fail(log, VITC_ERR_UNREADABLE, "%s: folder cannot be listed: %s", folder,
                           strerror(error));
    datasets_strings_free(&names);
    return status;
}

/* ---- any path ---- */

static vitc_status find_missing(datasets_kind *kind, const char *path, int error,
                                const vitc_log *log)
{
    bool range;
    VITC_TRY(is_brace_range(&range, path, log));
    if (!range)
        return vitc_fail(log, VITC_ERR_UNREADABLE, "%s: cannot be opened: %s", path,
                         strerror(error));
    *kind = DATASETS_TAR;
    return VITC_OK;
}

static vitc_status find_file(datasets_kind *kind, const char *path, const vitc_log *log)
{
    *kind = kind_of_file(path);
    if (*kind != DATASETS_FILES) return VITC_OK;
    if (access(path, R_OK) != 0)
        return vitc_fail(log, VITC_ERR_UNREADABLE, "%s: cannot be opened: %s", path,
                         strerror(errno));
    return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                     "%s: a file, but no set of labelled images; " WANTED, path);
}

vitc_status datasets_kind_find(datasets_kind *kind, datasets_strings *paths, const char *path,
                               const vitc_log *log)
{
    struct stat status;
    if (stat(path, &status) != 0)
        VITC_TRY(find_missing(kind, path, errno, log));
    else if (S_ISDIR(status.st_mode))
        return find_in_folder(kind, paths, path, log);
    else if (S_ISREG(status.st_mode))
        VITC_TRY(find_file(kind, path, log));
    else
        *kind = DATASETS_TAR; /* a pipe: nothing can be read ahead, and nothing else is a stream */
    return datasets_strings_add(paths, path) ? VITC_OK : vitc_fail_memory(log, path);
}
