#include "app_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app_options.h"
#include "app_report.h"

int app_lines_no_memory(const char *path)
{
    app_error("%s: out of memory for the rows", path);
    return APP_EXIT_INTERNAL;
}

struct app_lines {
    char *path;
    int fd;
    bool regular;
    uint64_t size; /* of what is whole */
};

static void close_file(app_lines *lines)
{
    if (lines->fd >= 0) close(lines->fd);
    free(lines->path);
    free(lines);
}

static int check_file(app_lines *lines, bool resume)
{
    struct stat status;
    if (fstat(lines->fd, &status) != 0) {
        app_error("%s: rows cannot be written: %s", lines->path, strerror(errno));
        return APP_EXIT_INTERNAL;
    }
    lines->regular = S_ISREG(status.st_mode);
    if (!lines->regular && resume) {
        app_error("%s: only a regular file of rows can be continued with --resume", lines->path);
        return APP_EXIT_USAGE;
    }
    /* File systems without locks are no reason to stop. */
    if (lines->regular && flock(lines->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        app_error("%s: another program is writing rows to this file", lines->path);
        return APP_EXIT_USAGE;
    }
    if (lines->regular && status.st_size > 0 && !resume) {
        app_error("%s: holds rows already; --resume continues them, or give another file",
                  lines->path);
        return APP_EXIT_USAGE;
    }
    return APP_EXIT_DONE;
}

int app_lines_create(app_lines **created, const char *path, bool resume)
{
    *created = NULL;
    app_lines *lines = calloc(1, sizeof *lines);
    if (lines == NULL) return app_lines_no_memory(path);
    lines->path = strdup(path);
    lines->fd = -1;
    int result = lines->path == NULL ? app_lines_no_memory(path) : APP_EXIT_DONE;
    if (result == APP_EXIT_DONE) {
        lines->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
        if (lines->fd < 0) {
            app_error("%s: rows cannot be written: %s", path, strerror(errno));
            result = APP_EXIT_INTERNAL;
        }
    }
    if (result == APP_EXIT_DONE) result = check_file(lines, resume);
    if (result != APP_EXIT_DONE) {
        close_file(lines);
        return result;
    }
    *created = lines;
    return APP_EXIT_DONE;
}

/* As much as fits; false with errno. */
static bool write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        const ssize_t written = write(fd, text, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        text += written;
        size -= (size_t)written;
    }
    return true;
}

int app_lines_write(app_lines *lines, const char *text)
{
    const size_t length = strlen(text);
    if (write_all(lines->fd, text, length)) {
        lines->size += length;
        return APP_EXIT_DONE;
    }
    const int error = errno;
    if (error == EPIPE) {
        app_error("%s: the reader of the rows has gone", lines->path);
    } else {
        app_error("%s: rows cannot be written: %s", lines->path, strerror(error));
        /* The part of a row that was written would be taken for one that a kill tore. */
        if (lines->regular && (ftruncate(lines->fd, (off_t)lines->size) != 0 ||
                               lseek(lines->fd, 0, SEEK_END) == (off_t)-1))
            app_warn("%s: the last line is not whole", lines->path);
    }
    return APP_EXIT_INTERNAL;
}

int app_lines_begin(app_lines *lines, uint64_t good)
{
    if (lines->regular &&
        (ftruncate(lines->fd, (off_t)good) != 0 || lseek(lines->fd, 0, SEEK_END) == (off_t)-1)) {
        app_error("%s: rows cannot be written: %s", lines->path, strerror(errno));
        return APP_EXIT_INTERNAL;
    }
    lines->size = good;
    return APP_EXIT_DONE;
}

int app_lines_sync(app_lines *lines)
{
    if (!lines->regular || fsync(lines->fd) == 0 || errno == EINVAL || errno == EROFS)
        return APP_EXIT_DONE;
    app_error("%s: rows cannot be written: %s", lines->path, strerror(errno));
    return APP_EXIT_INTERNAL;
}

int app_lines_finish(app_lines *lines)
{
    if (lines == NULL) return APP_EXIT_DONE;
    const int result = app_lines_sync(lines);
    close_file(lines);
    return result;
}
