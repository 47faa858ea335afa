#include "vitc_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vitc_file.h"
#include "vitc_log.h"

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static vitc_status check_free(const char *path, const vitc_log *log)
{
    struct stat status;
    if (lstat(path, &status) != 0) {
        if (errno == ENOENT) return VITC_OK;
        return vitc_fail(log, VITC_ERR_UNWRITABLE, "%s: %s", path, strerror(errno));
    }
    if (!S_ISDIR(status.st_mode))
        return vitc_fail(log, VITC_ERR_UNWRITABLE,
                         "%s: is there already and no folder; give another name", path);
    DIR *folder = opendir(path);
    if (folder == NULL) return vitc_fail(log, VITC_ERR_UNWRITABLE, "%s: %s", path, strerror(errno));
    bool empty = true;
    for (const struct dirent *entry; empty && (entry = readdir(folder)) != NULL;)
        empty = is_dots(entry->d_name);
    closedir(folder);
    if (empty) return VITC_OK;
    return vitc_fail(log, VITC_ERR_UNWRITABLE,
                     "%s: is a folder with files in it; give a new or an empty one", path);
}

static void discard(vitc_folder_writer *writer)
{
    free(writer->path);
    free(writer->temporary);
    *writer = (vitc_folder_writer){0};
}

vitc_status vitc_folder_writer_open(vitc_folder_writer *writer, const char *path,
                                    const vitc_log *log)
{
    const size_t size = strlen(path) + 48;
    *writer = (vitc_folder_writer){.path = strdup(path), .temporary = malloc(size)};
    if (writer->path == NULL || writer->temporary == NULL) {
        discard(writer);
        return vitc_fail_memory(log, path);
    }
    for (size_t end = strlen(path); end > 1 && writer->path[end - 1] == '/'; end--)
        writer->path[end - 1] = 0;
    vitc_status status = check_free(writer->path, log);
    if (status == VITC_OK) {
        int made = -1;
        for (unsigned attempt = 0; attempt < 1000 && made != 0; attempt++) {
            vitc_file_writer_name(writer->temporary, size, writer->path, attempt);
            made = mkdir(writer->temporary, 0777);
            if (made != 0 && errno != EEXIST) break;
        }
        if (made != 0)
            status = vitc_fail(log, VITC_ERR_UNWRITABLE, "%s: cannot be created: %s", writer->path,
                               strerror(errno));
    }
    if (status != VITC_OK) discard(writer);
    return status;
}

vitc_status vitc_folder_writer_commit(vitc_folder_writer *writer, const vitc_log *log)
{
    if (rename(writer->temporary, writer->path) == 0) {
        discard(writer);
        return VITC_OK;
    }
    const vitc_status status = vitc_fail(log, VITC_ERR_UNWRITABLE, "%s: cannot be written: %s",
                                         writer->path, strerror(errno));
    vitc_folder_writer_abort(writer);
    return status;
}

void vitc_folder_writer_abort(vitc_folder_writer *writer)
{
    if (writer == NULL || writer->temporary == NULL) return;
    const int folder = open(writer->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = folder >= 0 ? fdopendir(folder) : NULL;
    if (entries == NULL && folder >= 0) close(folder);
    for (const struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;)
        if (!is_dots(entry->d_name)) unlinkat(folder, entry->d_name, 0);
    if (entries != NULL) closedir(entries);
    rmdir(writer->temporary);
    discard(writer);
}
