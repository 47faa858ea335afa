#include "vitc_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vitc_log.h"
#include "vitc_size.h"

char *vitc_path_join(const char *folder, const char *file)
{
    const size_t length = strlen(folder);
    const char *slash = length > 0 && folder[length - 1] == '/' ? "" : "/";
    char *path = NULL;
    if (asprintf(&path, "%s%s%s", folder, slash, file) < 0) return NULL;
    return path;
}

bool vitc_file_is_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Why a path is not a regular file, in the words of a person. */
static const char *file_kind(mode_t mode)
{
    if (S_ISDIR(mode)) return "is a folder, not a file";
    if (S_ISCHR(mode) || S_ISBLK(mode)) return "is a device, not a file";
    if (S_ISFIFO(mode)) return "is a pipe, not a file";
    if (S_ISSOCK(mode)) return "is a socket, not a file";
    return "is not a regular file";
}

static vitc_status open_regular(int *fd, size_t *size, const char *path, const vitc_log *log)
{
    /* O_NONBLOCK: opening a FIFO that nobody writes would otherwise wait for ever. */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) {
        struct stat link;
        const bool broken = errno == ENOENT && lstat(path, &link) == 0 && S_ISLNK(link.st_mode);
        return vitc_fail(log, VITC_ERR_UNREADABLE, "%s: cannot be opened: %s", path,
                         broken ? "broken symbolic link" : strerror(errno));
    }
    struct stat status = {0};
    if (fstat(*fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(*fd);
        *fd = -1;
        return vitc_fail(log, VITC_ERR_UNREADABLE, "%s: %s", path, file_kind(status.st_mode));
    }
    if ((uintmax_t)status.st_size > SIZE_MAX) {
        close(*fd);
        *fd = -1;
        return vitc_fail(log, VITC_ERR_TOO_LARGE, "%s: too large for this machine", path);
    }
    *size = (size_t)status.st_size;
    return VITC_OK;
}

vitc_status vitc_file_map(vitc_file *file, const char *path, const vitc_log *log)
{
    *file = (vitc_file){0};
    int fd;
    size_t size;
    VITC_TRY(open_regular(&fd, &size, path, log));
    if (size == 0) {
        close(fd);
        return VITC_OK;
    }
    void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    const int error = errno;
    close(fd);
    if (data == MAP_FAILED)
        return vitc_fail(log, error == ENOMEM ? VITC_ERR_MEMORY : VITC_ERR_UNREADABLE,
                         "%s: cannot be mapped: %s", path, strerror(error));
    *file = (vitc_file){.data = data, .size = size};
    return VITC_OK;
}

void vitc_file_unmap(vitc_file *file)
{
    if (file == NULL) return;
    if (file->data != NULL) munmap((void *)(uintptr_t)file->data, file->size);
    *file = (vitc_file){0};
}

vitc_status vitc_file_read(unsigned char **data, size_t *size, const char *path, size_t max_size,
                           const vitc_log *log)
{
    *data = NULL;
    *size = 0;
    int fd;
    size_t expected;
    VITC_TRY(open_regular(&fd, &expected, path, log));
    if (expected > max_size) {
        close(fd);
        return vitc_fail(log, VITC_ERR_TOO_LARGE, "%s: %zu bytes are more than the limit of %zu",
                         path, expected, max_size);
    }
    const vitc_status status = vitc_file_read_fd(data, size, fd, path, max_size, log);
    close(fd);
    return status;
}

vitc_status vitc_file_read_fd(unsigned char **data, size_t *size, int fd, const char *name,
                              size_t max_size, const vitc_log *log)
{
    *data = NULL;
    *size = 0;
    struct stat status;
    size_t capacity = (size_t)64 * 1024;
    /* One byte more than a regular file holds, so that its end is seen without growing. */
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size >= 0 &&
        (uintmax_t)status.st_size < max_size)
        capacity = (size_t)status.st_size + 1;
    unsigned char *buffer = malloc(capacity);
    if (buffer == NULL) return vitc_fail_memory(log, name);
    size_t used = 0;
    for (;;) {
        const ssize_t got = read(fd, buffer + used, capacity - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            const int error = errno;
            free(buffer);
            return vitc_fail(log, VITC_ERR_UNREADABLE, "%s: cannot be read: %s", name,
                             strerror(error));
        }
        if (got == 0) break;
        used += (size_t)got;
        if (used > max_size) {
            free(buffer);
            return vitc_fail(log, VITC_ERR_TOO_LARGE, "%s: more than the limit of %zu bytes", name,
                             max_size);
        }
        if (used == capacity) {
            size_t doubled;
            unsigned char *grown =
                vitc_size_mul(capacity, 2, &doubled) ? realloc(buffer, doubled) : NULL;
            if (grown == NULL) {
                free(buffer);
                return vitc_fail_memory(log, name);
            }
            buffer = grown;
            capacity = doubled;
        }
    }
    *data = buffer;
    *size = used;
    return VITC_OK;
}

/* ---- atomic writer ---- */

static void writer_discard(vitc_file_writer *writer)
{
    free(writer->path);
    free(writer->temporary);
    *writer = (vitc_file_writer){0};
}

/* The part of a name of `length` bytes that is left when `taken` more are to follow it, whole UTF-8
 * characters. */
static size_t stem_length(const char *name, size_t length, size_t taken)
{
    size_t n = vitc_size_min(length, NAME_MAX - taken);
    while (n < length && n > 0 && ((unsigned char)name[n] & 0xC0) == 0x80) n--;
    return n;
}

void vitc_file_writer_name(char *name, size_t size, const char *path, unsigned attempt)
{
    char ending[48];
    const int taken = snprintf(ending, sizeof ending, ".%ld-%u.tmp", (long)getpid(), attempt);
    const char *slash = strrchr(path, '/'), *file = slash != NULL ? slash + 1 : path;
    const size_t stem = stem_length(file, strlen(file), (size_t)taken);
    snprintf(name, size, "%.*s%s", (int)((size_t)(file - path) + stem), path, ending);
}

char *vitc_file_writer_target(const char *path)
{
    struct stat status;
    if (lstat(path, &status) != 0 || !S_ISLNK(status.st_mode)) return strdup(path);
    char *target = realpath(path, NULL);
    return target != NULL || errno == ENOMEM ? target : strdup(path); /* a link to nothing */
}

vitc_status vitc_file_writer_open(vitc_file_writer *writer, const char *path, const vitc_log *log)
{
    *writer = (vitc_file_writer){0};
    struct stat status;
    const bool replaces = stat(path, &status) == 0;
    if (replaces && !S_ISREG(status.st_mode))
        return vitc_fail(log, VITC_ERR_UNWRITABLE, "%s: %s", path, file_kind(status.st_mode));
    if (!replaces && errno != ENOENT)
        return vitc_fail(log, VITC_ERR_UNWRITABLE, "%s: cannot be created: %s", path,
                         strerror(errno));
    const mode_t mode = replaces ? status.st_mode & 0777 : 0666;
    writer->path = vitc_file_writer_target(path);
    const size_t size = writer->path != NULL ? strlen(writer->path) + 48 : 0;
    writer->temporary = malloc(size);
    if (writer->path == NULL || writer->temporary == NULL) {
        writer_discard(writer);
        return vitc_fail_memory(log, path);
    }
    /* O_EXCL with the ordinary mode instead of mkstemp: a new file gets the permissions that the
     * umask leaves, without touching the umask, which belongs to the whole process. */
    int fd = -1;
    for (unsigned attempt = 0; attempt < 1000 && fd < 0; attempt++) {
        vitc_file_writer_name(writer->temporary, size, writer->path, attempt);
        fd = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd < 0 && errno != EEXIST) break;
    }
    if (fd >= 0 && replaces)
        (void)fchmod(fd, mode); /* what the umask took; some systems have none */
    if (fd < 0) {
        const int error = errno;
        writer_discard(writer);
        return vitc_fail(log, VITC_ERR_UNWRITABLE, "%s: cannot be created: %s", path,
                         strerror(error));
    }
    writer->stream = fdopen(fd, "wb");
    if (writer->stream == NULL) {
        close(fd);
        unlink(writer->temporary);
        writer_discard(writer);
        return vitc_fail_memory(log, path);
    }
    return VITC_OK;
}

void vitc_file_writer_append(vitc_file_writer *writer, const void *data, size_t size)
{
    if (writer->error != 0 || size == 0) return;
    if (fwrite(data, 1, size, writer->stream) != size) writer->error = errno != 0 ? errno : EIO;
}

/* So that the new name is on the disk too. Where a file system cannot do that, a crash of the whole
 * machine may bring the old file back, which is whole. */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    if (folder == NULL) return;
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

/* The file at `path`, if any, gets the name `previous`, and keeps its own where that is possible.
 * 0 or errno. */
static int keep_previous(const char *path, const char *previous)
{
    const size_t size = strlen(previous) + 48;
    char *name = malloc(size);
    if (name == NULL) return ENOMEM;
    vitc_file_writer_name(name, size, previous, 0);
    (void)unlink(name); /* what a process of the same number left when it was killed */
    int error = 0;
    if (link(path, name) == 0) {
        if (rename(name, previous) != 0) error = errno;
        (void)unlink(name); /* where both are one file already, rename has left it */
    } else if (errno != ENOENT) {
        error = rename(path, previous) == 0 ? 0 : errno; /* no hard links here */
    }
    free(name);
    return error;
}

static vitc_status commit(vitc_file_writer *writer, const char *previous, const vitc_log *log)
{
    FILE *stream = writer->stream;
    int error = writer->error;
    if (fflush(stream) != 0 && error == 0) error = errno;
    if (error == 0 && fsync(fileno(stream)) != 0) error = errno;
    if (fclose(stream) != 0 && error == 0) error = errno;
    if (error == 0 && previous != NULL) error = keep_previous(writer->path, previous);
    if (error == 0 && rename(writer->temporary, writer->path) != 0) error = errno;
    vitc_status result = VITC_OK;
    if (error != 0) {
        unlink(writer->temporary);
        result = vitc_fail(log, error == ENOMEM ? VITC_ERR_MEMORY : VITC_ERR_UNWRITABLE,
                           "%s: cannot be written: %s", writer->path, strerror(error));
    } else if (previous != NULL) {
        sync_folder(writer->path);
    }
    writer_discard(writer);
    return result;
}

vitc_status vitc_file_writer_commit(vitc_file_writer *writer, const vitc_log *log)
{
    return commit(writer, NULL, log);
}

vitc_status vitc_file_writer_commit_keeping(vitc_file_writer *writer, const char *previous,
                                            const vitc_log *log)
{
    return commit(writer, previous, log);
}

void vitc_file_writer_abort(vitc_file_writer *writer)
{
    if (writer == NULL || writer->stream == NULL) return;
    fclose(writer->stream);
    unlink(writer->temporary);
    writer_discard(writer);
}

vitc_status vitc_file_write(const char *path, const void *data, size_t size, const vitc_log *log)
{
    vitc_file_writer writer;
    VITC_TRY(vitc_file_writer_open(&writer, path, log));
    vitc_file_writer_append(&writer, data, size);
    return vitc_file_writer_commit(&writer, log);
}
