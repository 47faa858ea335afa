#include "vitc_zlib.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "vitc_log.h"
#include "vitc_size.h"

enum {
    INPUT_SIZE = 64 * 1024,      /* bytes of a compressed file read at once */
    GZIP_WINDOW = 16 + MAX_WBITS /* inflateInit2: the largest window, with gzip's header */
};

static const unsigned char gzip_magic[] = {0x1F, 0x8B};

uint32_t vitc_crc32(const void *data, size_t size)
{
    return (uint32_t)crc32_z(0, data, size);
}

struct vitc_stream {
    char *path;
    int fd;
    bool regular, gzip;
    uint64_t size, position; /* of a regular file; read or passed over so far */

    /* Bytes of the file that were read and not yet used: begin <= end <= INPUT_SIZE. */
    unsigned char *input;
    size_t begin, end;
    bool ended; /* of the file */

    z_stream inflater;
    bool inflating; /* inside of a gzip member */
    bool finished;  /* behind the last one */

    vitc_status failure; /* what the next call says */
    int error;           /* errno of a failed read, else 0 */
    const char *reason;  /* gzip's */
};

static vitc_status fail(const vitc_stream *s, const vitc_log *log)
{
    if (s->failure == VITC_ERR_MEMORY) return vitc_fail_memory(log, s->path);
    if (s->failure == VITC_ERR_UNREADABLE)
        return vitc_fail(log, s->failure, "%s: cannot be read: %s", s->path, strerror(s->error));
    return vitc_fail(log, s->failure, "%s: %s; get or make the file again", s->path, s->reason);
}

/* Up to `size` bytes as they lie in the file; 0 at its end, or with s->failure set. */
static size_t read_file(vitc_stream *s, unsigned char *data, size_t size)
{
    size_t used = 0;
    while (used < size && !s->ended) {
        const ssize_t got = read(s->fd, data + used, size - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            s->failure = VITC_ERR_UNREADABLE;
            s->error = errno;
            break;
        }
        s->ended = got == 0;
        used += (size_t)got;
    }
    return used;
}

/* Has the input hold at least `least` bytes, fewer at the end; how many it holds. */
static size_t fill_input(vitc_stream *s, size_t least)
{
    if (s->end - s->begin < least) {
        memmove(s->input, s->input + s->begin, s->end - s->begin);
        s->end -= s->begin;
        s->begin = 0;
        s->end += read_file(s, s->input + s->end, INPUT_SIZE - s->end);
    }
    return s->end - s->begin;
}

static vitc_status open_file(vitc_stream *s, const vitc_log *log)
{
    struct stat status = {0};
    if (stat(s->path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode))
        return vitc_fail(log, VITC_ERR_UNREADABLE, "%s: is neither a file nor a pipe", s->path);
    s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &status) != 0)
        return vitc_fail(log, VITC_ERR_UNREADABLE, "%s: cannot be opened: %s", s->path,
                         strerror(errno));
    s->regular = S_ISREG(status.st_mode);
    s->size = (uint64_t)status.st_size;
    s->input = malloc(INPUT_SIZE);
    if (s->input == NULL) return vitc_fail_memory(log, s->path);
    /* The first bytes of a plain file are kept for whoever reads them. */
    s->end = read_file(s, s->input, sizeof gzip_magic);
    s->gzip = s->end == sizeof gzip_magic && memcmp(s->input, gzip_magic, s->end) == 0;
    return s->failure != VITC_OK ? fail(s, log) : VITC_OK;
}

vitc_status vitc_stream_open(vitc_stream **stream, const char *path, const vitc_log *log)
{
    *stream = NULL;
    vitc_stream *s = calloc(1, sizeof *s);
    if (s == NULL) return vitc_fail_memory(log, path);
    s->fd = -1;
    s->path = strdup(path);
    const vitc_status status = s->path != NULL ? open_file(s, log) : vitc_fail_memory(log, path);
    if (status != VITC_OK) {
        vitc_stream_close(s);
        return status;
    }
    *stream = s;
    return VITC_OK;
}

void vitc_stream_close(vitc_stream *stream)
{
    if (stream == NULL) return;
    if (stream->inflating) inflateEnd(&stream->inflater);
    if (stream->fd >= 0) close(stream->fd);
    free(stream->input);
    free(stream->path);
    free(stream);
}

bool vitc_stream_is_sequential(const vitc_stream *stream)
{
    return stream->gzip || !stream->regular;
}

static size_t fail_gzip(vitc_stream *s, vitc_status status, const char *reason)
{
    s->failure = status;
    s->reason = reason;
    return 0;
}

/* Begins the next gzip member, or finds that there is none. After the last one there may be zeros,
 * as tapes have them. */
static void begin_member(vitc_stream *s)
{
    const size_t have = fill_input(s, sizeof gzip_magic);
    if (s->failure != VITC_OK) return;
    const unsigned char *at = s->input + s->begin;
    if (have >= sizeof gzip_magic && memcmp(at, gzip_magic, sizeof gzip_magic) == 0) {
        s->inflater = (z_stream){0};
        if (inflateInit2(&s->inflater, GZIP_WINDOW) == Z_OK)
            s->inflating = true;
        else
            s->failure = VITC_ERR_MEMORY;
    } else if (have == 0) {
        s->finished = true;
    } else if (*at == 0) {
        s->begin++;
    } else {
        fail_gzip(s, VITC_ERR_CORRUPT, "behind its gzip data lie bytes that are none");
    }
}

/* Inflates what fits into `size` bytes at `data`; how many they are. */
static size_t inflate_some(vitc_stream *s, unsigned char *data, size_t size)
{
    z_stream *z = &s->inflater;
    const size_t have = fill_input(s, 1);
    if (s->failure != VITC_OK) return 0;
    const uInt room = (uInt)vitc_size_min(size, INPUT_SIZE);
    z->next_in = s->input + s->begin;
    z->avail_in = (uInt)have;
    z->next_out = data;
    z->avail_out = room;
    const int result = inflate(z, Z_NO_FLUSH);
    s->begin += have - z->avail_in;
    const size_t made = room - z->avail_out;
    if (result == Z_STREAM_END) {
        inflateEnd(z);
        s->inflating = false;
    } else if (result == Z_MEM_ERROR) {
        s->failure = VITC_ERR_MEMORY;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
        /* "incorrect data check" is zlib's name for a wrong check sum. */
        fail_gzip(s, VITC_ERR_CORRUPT,
                  z->msg != NULL && strstr(z->msg, "check") != NULL
                      ? "its gzip check sum is wrong: the data is damaged"
                      : "its gzip data is damaged");
    } else if (have == 0 && made == 0) {
        fail_gzip(s, VITC_ERR_TRUNCATED, "it is cut short: its gzip data ends early");
    }
    return made;
}

static size_t read_gzip(vitc_stream *s, unsigned char *data, size_t size)
{
    size_t used = 0;
    while (used < size && !s->finished && s->failure == VITC_OK) {
        if (s->inflating)
            used += inflate_some(s, data + used, size - used);
        else
            begin_member(s);
    }
    return used;
}

static size_t read_plain(vitc_stream *s, unsigned char *data, size_t size)
{
    const size_t kept = vitc_size_min(size, s->end - s->begin);
    memcpy(data, s->input + s->begin, kept);
    s->begin += kept;
    return kept + read_file(s, data + kept, size - kept);
}

vitc_status vitc_stream_read(size_t *got, vitc_stream *stream, void *data, size_t size,
                             const vitc_log *log)
{
    *got = 0;
    if (stream->failure != VITC_OK) return fail(stream, log);
    if (size == 0) return VITC_OK;
    *got = stream->gzip ? read_gzip(stream, data, size) : read_plain(stream, data, size);
    stream->position += *got;
    return *got == 0 && stream->failure != VITC_OK ? fail(stream, log) : VITC_OK;
}

/* Moves in a regular file that is not compressed; never behind its end, which the next read has to
 * find. */
static bool seek(vitc_stream *s, uint64_t size)
{
    if (vitc_stream_is_sequential(s) || s->position > s->size || size > s->size - s->position)
        return false;
    if (lseek(s->fd, (off_t)(s->position + size), SEEK_SET) < 0) return false;
    s->begin = s->end;
    s->position += size;
    return true;
}

vitc_status vitc_stream_skip(uint64_t *skipped, vitc_stream *stream, uint64_t size,
                             const vitc_log *log)
{
    *skipped = 0;
    if (stream->failure == VITC_OK && seek(stream, size)) {
        *skipped = size;
        return VITC_OK;
    }
    unsigned char passed[8192];
    while (*skipped < size) {
        size_t got;
        const uint64_t left = size - *skipped;
        VITC_TRY(vitc_stream_read(&got, stream, passed,
                                  left < sizeof passed ? (size_t)left : sizeof passed, log));
        if (got == 0) break;
        *skipped += got;
    }
    return VITC_OK;
}
