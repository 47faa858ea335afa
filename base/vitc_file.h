/* vitc_file.h - reading and writing whole files (private to vitc). */
#ifndef VITC_FILE_H
#define VITC_FILE_H

#include <stdbool.h>

#include "vitc_base.h"

/* A file's bytes, mapped read-only. Empty files have data == NULL and size == 0. */
typedef struct vitc_file {
    const unsigned char *data;
    size_t size;
} vitc_file;

/* Maps a regular file. A folder, device, socket or FIFO, a missing or forbidden file is
 * VITC_ERR_UNREADABLE with the reason; it never blocks on opening a FIFO.
 * A file that another process truncates while it is mapped raises SIGBUS, as with any mapping:
 * use vitc_file_read for files that strangers can change under a long-lived process. */
VITC_MUST_CHECK vitc_status vitc_file_map(vitc_file *file, const char *path, const vitc_log *log);
void vitc_file_unmap(vitc_file *file);

/* "folder/file", malloc'd, with one slash between them; NULL without memory. */
char *vitc_path_join(const char *folder, const char *file);

/* Whether two paths lead to the same file, by whatever links; false when either leads nowhere. */
bool vitc_file_is_same(const char *a, const char *b);

/* Reads a regular file whole into a malloc'd buffer (at most `max_size` bytes, else
 * VITC_ERR_TOO_LARGE). The caller frees *data with free(). */
VITC_MUST_CHECK vitc_status vitc_file_read(unsigned char **data, size_t *size, const char *path,
                                           size_t max_size, const vitc_log *log);
/* The same for an open descriptor (standard input, a pipe); `name` is for messages. */
VITC_MUST_CHECK vitc_status vitc_file_read_fd(unsigned char **data, size_t *size, int fd,
                                              const char *name, size_t max_size,
                                              const vitc_log *log);

/* Writes a file so that a reader sees the old content or all of the new, never a part: written to
 * a temporary name in the same folder, fsynced, renamed. It keeps the permissions of a file that it
 * replaces, and follows a symbolic link to one. On failure or abort the temporary file is removed
 * and an existing file at `path` is untouched.
 *     vitc_file_writer w;
 *     VITC_TRY(vitc_file_writer_open(&w, path, log));
 *     vitc_file_writer_append(&w, bytes, n);        // errors are kept and reported by commit
 *     VITC_TRY(vitc_file_writer_commit(&w, log));   // or vitc_file_writer_abort(&w)         */
typedef struct vitc_file_writer {
    void *stream;    /* FILE */
    char *path;      /* the final name: vitc_file_writer_target of what was asked for */
    char *temporary; /* what is being written */
    int error;       /* errno of the first failed write */
} vitc_file_writer;

/* The file that a writer for `path` puts in place: where a link leads, malloc'd; NULL without
 * memory. */
char *vitc_file_writer_target(const char *path);
/* The temporary name of this process for such a file, tried with attempt 0, 1, ... until one is
 * free; for programs that remove it when a signal ends them. */
void vitc_file_writer_name(char *name, size_t size, const char *path, unsigned attempt);

VITC_MUST_CHECK vitc_status vitc_file_writer_open(vitc_file_writer *writer, const char *path,
                                                  const vitc_log *log);
void vitc_file_writer_append(vitc_file_writer *writer, const void *data, size_t size);
VITC_MUST_CHECK vitc_status vitc_file_writer_commit(vitc_file_writer *writer, const vitc_log *log);
/* The same, and the file that was there before, if any, is found as `previous` from then on. At
 * every moment, whenever the machine stops, there is a whole file under one name or the other:
 * where the file system has hard links, under the writer's own. */
VITC_MUST_CHECK vitc_status vitc_file_writer_commit_keeping(vitc_file_writer *writer,
                                                            const char *previous,
                                                            const vitc_log *log);
void vitc_file_writer_abort(vitc_file_writer *writer);
/* open + append + commit. */
VITC_MUST_CHECK vitc_status vitc_file_write(const char *path, const void *data, size_t size,
                                            const vitc_log *log);

#endif
