/* One tar file, read once from its beginning to its end: libarchive finds the members in what
 * vitc_stream reads, which undoes gzip and, unlike libarchive, verifies it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>

#include "datasets_tar.h"
#include "vitc_file.h"
#include "vitc_log.h"
#include "vitc_size.h"
#include "vitc_zlib.h"

enum {
    /* Bytes read at once: few behind a gap, as between headers when nothing else is wanted, and
     * twice as many with each read that follows. */
    READ_LEAST = 4096,
    READ_MOST = 256 * 1024,
    /* What is looked at to tell pairs from class folders: bytes, and names. */
    AHEAD_FIRST = 64 * 1024,
    AHEAD_MOST = 16 * 1024 * 1024,
    AHEAD_KEYS = 16
};

typedef struct datasets_tar_reader tar_reader;

struct datasets_tar_reader {
    const char *path;
    vitc_stream *stream;
    struct archive *archive;
    struct archive_entry *entry;
    unsigned char *block; /* READ_MOST bytes: what libarchive was given last */
    size_t read_size;
    unsigned char *ahead; /* read before libarchive asked, and not yet given: begin <= end */
    size_t ahead_begin, ahead_end;
    size_t zeros; /* zero bytes in a row before the place that has been read to */
    bool ended;   /* all bytes were given */
    bool over;    /* all members were read */
    bool pairs;

    const vitc_log *log; /* during a call */
    vitc_status failure; /* of the stream: reported */
    char *name;          /* the member's, or NULL before the first */
};

static void note_bytes(tar_reader *r, const unsigned char *bytes, size_t size)
{
    size_t zeros = 0;
    while (zeros < size && bytes[size - 1 - zeros] == 0) zeros++;
    r->zeros = zeros + (zeros == size ? r->zeros : 0);
}

static la_ssize_t give_bytes(struct archive *archive, void *user, const void **bytes)
{
    tar_reader *r = user;
    size_t got = r->ahead_end - r->ahead_begin;
    if (got > 0) {
        *bytes = r->ahead + r->ahead_begin;
        r->ahead_begin = r->ahead_end;
    } else {
        free(r->ahead);
        r->ahead = NULL;
        r->failure = vitc_stream_read(&got, r->stream, r->block, r->read_size, r->log);
        if (r->failure != VITC_OK) {
            archive_set_error(archive, EIO, "reading failed");
            return ARCHIVE_FATAL;
        }
        r->read_size = vitc_size_min(r->read_size * 2, READ_MOST);
        *bytes = r->block;
    }
    r->ended = got == 0;
    note_bytes(r, *bytes, got);
    return (la_ssize_t)got;
}

/* May pass over less than is asked for; nothing at all has libarchive read instead. */
static la_int64_t skip_bytes(struct archive *archive, void *user, la_int64_t request)
{
    tar_reader *r = user;
    uint64_t skipped = r->ahead_end - r->ahead_begin;
    (void)archive;
    if (request <= 0) return 0;
    if (skipped > 0) {
        if (skipped > (uint64_t)request) skipped = (uint64_t)request;
        r->ahead_begin += (size_t)skipped;
    } else if (vitc_stream_skip(&skipped, r->stream, (uint64_t)request, NULL) != VITC_OK) {
        return 0; /* and reading meets the same fault */
    }
    r->zeros = 0;
    r->read_size = READ_LEAST;
    return (la_int64_t)skipped;
}

/* Two archives in one file, one behind the other, are read as one; so the file is read to its very
 * end, where gzip's last check sum is. */
static struct archive *new_archive(void)
{
    struct archive *archive = archive_read_new();
    if (archive != NULL && archive_read_support_format_tar(archive) == ARCHIVE_OK &&
        archive_read_set_options(archive, "tar:read_concatenated_archives") == ARCHIVE_OK)
        return archive;
    archive_read_free(archive);
    return NULL;
}

/* The next member that is neither a folder nor clutter: ARCHIVE_OK with *name, malloc'd;
 * ARCHIVE_EOF; or what went wrong. */
static int next_member(char **name, struct archive *archive, struct archive_entry *entry)
{
    for (;;) {
        const int result = archive_read_next_header2(archive, entry);
        /* ARCHIVE_WARN is about names in another locale, attributes and the like. */
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return result;
        const char *given = archive_entry_pathname(entry);
        if (given == NULL) given = archive_entry_pathname_utf8(entry);
        if (given == NULL) given = "?";
        if (archive_entry_filetype(entry) == AE_IFDIR) continue;
        char *clean = malloc(strlen(given) + 1);
        if (clean == NULL) {
            archive_set_error(archive, ENOMEM, "out of memory");
            return ARCHIVE_FATAL;
        }
        if (datasets_tar_clean_name(clean, given)) {
            free(*name);
            *name = clean;
            return ARCHIVE_OK;
        }
        free(clean);
    }
}

/* Why the archive cannot be read any further. */
static vitc_status fail_reader(const tar_reader *r, const vitc_log *log)
{
    char shown[VITC_SHOWN_SIZE];
    if (r->failure != VITC_OK) return r->failure;
    if (archive_errno(r->archive) == ENOMEM) return vitc_fail_memory(log, r->path);
    if (r->name == NULL)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED, "%s: is no tar file, plain or gzip", r->path);
    vitc_show(shown, r->name);
    if (r->ended)
        return vitc_fail(log, VITC_ERR_TRUNCATED,
                         "%s: is cut short within or behind %s; get or make the file again",
                         r->path, shown);
    return vitc_fail(log, VITC_ERR_CORRUPT,
                     "%s: is damaged behind %s, where no tar header follows; get or make the file "
                     "again",
                     r->path, shown);
}

/* A file that was cut between two members looks whole but for the mark that every tar file ends
 * with, two blocks of zeros. */
static vitc_status check_end(const tar_reader *r, const vitc_log *log)
{
    if (r->zeros >= DATASETS_TAR_BLOCK) return VITC_OK;
    return vitc_fail(log, VITC_ERR_TRUNCATED,
                     "%s: ends without tar's end mark, as a file that was cut short; get or make "
                     "it again, or if it is whole, add the mark: truncate -s +1024",
                     r->path);
}

vitc_status datasets_tar_reader_next(bool *end, tar_reader *r, const vitc_log *log)
{
    *end = r->over;
    if (r->over) return VITC_OK; /* libarchive may not be asked again */
    r->log = log;
    const int result = next_member(&r->name, r->archive, r->entry);
    if (result != ARCHIVE_OK && result != ARCHIVE_EOF) return fail_reader(r, log);
    *end = r->over = result == ARCHIVE_EOF;
    return r->over ? check_end(r, log) : VITC_OK;
}

/* Reads some of a member's bytes. Where its stored ones end and a hole is left, libarchive says
 * once that there are none, and then gives the zeros. */
static la_ssize_t read_some(struct archive *archive, unsigned char *bytes, size_t size)
{
    const la_ssize_t got = archive_read_data(archive, bytes, size);
    return got != 0 ? got : archive_read_data(archive, bytes, size);
}

/* Reads the member's `size` bytes. Memory grows with what is there and not with what the header
 * says. */
static vitc_status read_bytes(datasets_item *item, tar_reader *r, size_t size, const vitc_log *log)
{
    size_t used = 0, capacity = vitc_size_min(vitc_size_max(size, 1), READ_MOST);
    unsigned char *bytes = malloc(capacity);
    r->log = log;
    while (bytes != NULL && used < size) {
        const la_ssize_t got = read_some(r->archive, bytes + used, capacity - used);
        if (got <= 0) {
            free(bytes);
            return fail_reader(r, log);
        }
        used += (size_t)got;
        if (used < capacity || used == size) continue;
        capacity = size - used > used ? used * 2 : size;
        unsigned char *grown = realloc(bytes, capacity);
        if (grown == NULL) free(bytes);
        bytes = grown;
    }
    if (bytes == NULL) return vitc_fail_memory(log, item->path);
    item->bytes = bytes;
    item->size = size;
    return VITC_OK;
}

/* Where the bytes of the member lie whose header was read last: libarchive stands right behind it.
 * False where they do not lie in the file as they are: compressed, or with holes left out. */
static bool find_place(datasets_place *place, const tar_reader *r, size_t size)
{
    const la_int64_t offset = archive_filter_bytes(r->archive, 0);
    if (vitc_stream_is_sequential(r->stream) || archive_entry_sparse_count(r->entry) > 0 ||
        offset < 0)
        return false;
    *place = (datasets_place){.file = r->path, .offset = (uint64_t)offset, .size = size};
    return true;
}

/* Gives the item what a regular member holds, at most `most` bytes; more is an error of the item.
 */
static vitc_status take_bytes(datasets_item *item, datasets_place *place, tar_reader *r,
                              size_t most, const vitc_log *log)
{
    const la_int64_t announced = archive_entry_size(r->entry);
    if (announced < 0 || (uint64_t)announced > most) {
        char text[100];
        snprintf(text, sizeof text, "%lld bytes are more than the limit of %zu",
                 (long long)announced, most);
        datasets_item_fail(item, VITC_ERR_TOO_LARGE, text);
        return VITC_OK;
    }
    const size_t size = (size_t)announced;
    if (place != NULL && find_place(place, r, size)) return VITC_OK;
    return read_bytes(item, r, size, log);
}

/* ---- looking ahead ---- */

/* Looks whether the first members are pairs; *sure unless more bytes could tell. */
static vitc_status look_for_pairs(tar_reader *r, bool *sure, struct archive *archive,
                                  struct archive_entry *entry, const vitc_log *log)
{
    char *name = NULL, *last = NULL;
    size_t keys = 0;
    int result = archive_read_open_memory(archive, r->ahead, r->ahead_end);
    while (result == ARCHIVE_OK && !r->pairs && keys <= AHEAD_KEYS) {
        result = next_member(&name, archive, entry);
        if (result != ARCHIVE_OK) break;
        const bool same = last != NULL && datasets_tar_is_same_key(last, name);
        const bool one = (datasets_tar_label_of(name) != DATASETS_TAR_LABEL_NONE) !=
                         (last != NULL && datasets_tar_label_of(last) != DATASETS_TAR_LABEL_NONE);
        r->pairs = same && one;
        keys += !same;
        free(last);
        last = name;
        name = NULL;
    }
    *sure = r->pairs || keys > AHEAD_KEYS;
    free(name);
    free(last);
    /* Any other failure is where the bytes end. */
    const bool memory = result == ARCHIVE_FATAL && archive_errno(archive) == ENOMEM;
    return memory ? vitc_fail_memory(log, r->path) : VITC_OK;
}

static vitc_status look_at_members(tar_reader *r, bool *sure, const vitc_log *log)
{
    struct archive *archive = new_archive();
    struct archive_entry *entry = archive_entry_new();
    const vitc_status status = archive != NULL && entry != NULL
                                   ? look_for_pairs(r, sure, archive, entry, log)
                                   : vitc_fail_memory(log, r->path);
    archive_entry_free(entry);
    archive_read_free(archive);
    return status;
}

/* Reads the first bytes, as many as it takes to tell pairs from class folders. Faults of the stream
 * are left for the reading proper, which meets them again. */
static vitc_status look_ahead(tar_reader *r, bool labelled, const vitc_log *log)
{
    bool sure = !labelled, end = false;
    size_t size = AHEAD_FIRST;
    do {
        size_t got;
        unsigned char *grown = realloc(r->ahead, size);
        if (grown == NULL) return vitc_fail_memory(log, r->path);
        r->ahead = grown;
        const size_t room = size - r->ahead_end;
        const vitc_status status =
            vitc_stream_read(&got, r->stream, grown + r->ahead_end, room, NULL);
        end = status != VITC_OK || got < room;
        r->ahead_end += got;
        if (labelled) VITC_TRY(look_at_members(r, &sure, log));
        size *= 2;
    } while (!sure && !end && size <= AHEAD_MOST);
    return VITC_OK;
}

/* The name of a compression that is not read, or NULL. */
static const char *other_compression(const unsigned char *head, size_t size)
{
    static const struct {
        const char *magic;
        size_t length;
        const char *name;
    } others[] = {{"\xFD"
                   "7zXZ",
                   5, "xz"},
                  {"\x28\xB5\x2F\xFD", 4, "zstd"},
                  {"BZh", 3, "bzip2"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (size >= others[i].length && memcmp(head, others[i].magic, others[i].length) == 0)
            return others[i].name;
    return NULL;
}

static vitc_status check_head(const tar_reader *r, const vitc_log *log)
{
    const char *other = other_compression(r->ahead, r->ahead_end);
    if (other != NULL)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                         "%s: compressed by %s, which is not read; make it a plain tar file or one "
                         "compressed by gzip",
                         r->path, other);
    return VITC_OK;
}

void datasets_tar_reader_close(tar_reader *r)
{
    if (r == NULL) return;
    archive_read_free(r->archive);
    archive_entry_free(r->entry);
    vitc_stream_close(r->stream);
    free(r->block);
    free(r->ahead);
    free(r->name);
    free(r);
}

static vitc_status start(tar_reader *r, bool labelled, const vitc_log *log)
{
    VITC_TRY(vitc_stream_open(&r->stream, r->path, log));
    VITC_TRY(look_ahead(r, labelled, log));
    VITC_TRY(check_head(r, log));
    r->archive = new_archive();
    r->entry = archive_entry_new();
    r->block = malloc(READ_MOST);
    r->read_size = READ_MOST;
    r->log = log;
    if (r->archive == NULL || r->entry == NULL || r->block == NULL)
        return vitc_fail_memory(log, r->path);
    if (archive_read_open2(r->archive, r, NULL, give_bytes, skip_bytes, NULL) != ARCHIVE_OK)
        return fail_reader(r, log);
    return VITC_OK;
}

vitc_status datasets_tar_reader_open(tar_reader **reader, const char *path, bool labelled,
                                     const vitc_log *log)
{
    *reader = NULL;
    tar_reader *r = calloc(1, sizeof *r);
    if (r == NULL) return vitc_fail_memory(log, path);
    r->path = path;
    const vitc_status status = start(r, labelled, log);
    if (status != VITC_OK) {
        datasets_tar_reader_close(r);
        return status;
    }
    *reader = r;
    return VITC_OK;
}

bool datasets_tar_reader_has_pairs(const tar_reader *r)
{
    return r->pairs;
}

const char *datasets_tar_reader_name(const tar_reader *r)
{
    return r->name;
}

vitc_status datasets_tar_reader_item(datasets_item *item, const tar_reader *r, int64_t label,
                                     const vitc_log *log)
{
    char *path = vitc_path_join(r->path, r->name);
    if (path == NULL) return vitc_fail_memory(log, r->path);
    const vitc_status status = datasets_item_start(item, 0, path, label, log);
    free(path);
    return status;
}

vitc_status datasets_tar_reader_fill(datasets_item *item, datasets_place *place, tar_reader *r,
                                     size_t most, const vitc_log *log)
{
    if (place != NULL) *place = (datasets_place){0};
    const bool hard = archive_entry_hardlink(r->entry) != NULL && archive_entry_size(r->entry) == 0;
    if (!hard && archive_entry_filetype(r->entry) == AE_IFREG)
        return take_bytes(item, place, r, most, log);
    const bool link = hard || archive_entry_filetype(r->entry) == AE_IFLNK;
    datasets_item_fail(item, VITC_ERR_UNSUPPORTED,
                       link ? "a link, and a tar file read as a stream has nothing to follow it "
                              "to; make the tar file with --dereference --hard-dereference"
                            : "neither a file nor a folder");
    return VITC_OK;
}
