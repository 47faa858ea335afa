/* Tar files, read once from their beginning to their end and never unpacked: libarchive finds the
 * members in what vitc_stream reads, which undoes gzip and, unlike libarchive, verifies it.
 *
 * A file holds either class folders or pairs (WebDataset's), which its first members tell: pairs,
 * where a .cls or .json lies beside another member of the same key, the name up to the first dot
 * behind the last slash. What is told of an image depends on its own member or pair alone, so that
 * a tar file gives the same labels compressed and not. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "datasets_private.h"
#include "vitc_file.h"
#include "vitc_json.h"
#include "vitc_log.h"
#include "vitc_size.h"
#include "vitc_zlib.h"

enum {
    TAR_BLOCK = 512,
    /* Bytes read at once: few behind a gap, as between headers when nothing else is wanted, and
     * twice as many with each read that follows. */
    READ_LEAST = 4096,
    READ_MOST = 256 * 1024,
    /* What is looked at to tell pairs from class folders: bytes, and names. */
    AHEAD_FIRST = 64 * 1024,
    AHEAD_MOST = 16 * 1024 * 1024,
    AHEAD_KEYS = 16,
    LABEL_MOST = 1024 * 1024, /* bytes of a .cls or .json */
    RANGE_MOST = 1000 * 1000  /* files of one {first..last} */
};

/* ---- names of members ---- */

/* Copies the parts of a member's name that say something, one slash between them: neither "." nor
 * "..", which lead nowhere inside of a tar file. False for clutter and where nothing is left. */
static bool clean_name(char *clean, const char *name)
{
    char *end = clean;
    while (*name != 0) {
        const size_t length = strcspn(name, "/");
        const bool dots = length <= 2 && strncmp(name, "..", length) == 0;
        if (!dots) {
            if (end != clean) *end++ = '/';
            memcpy(end, name, length);
            end[length] = 0;
            if (datasets_names_clutter(end)) return false;
            end += length;
        }
        name += length + (name[length] == '/');
    }
    return end != clean;
}

/* A member's name in two: its key's length, and what is behind the first dot, "" without one. */
static size_t split_name(const char **extension, const char *name)
{
    const char *dot = strchr(datasets_names_base(name), '.');
    *extension = dot != NULL ? dot + 1 : "";
    return dot != NULL ? (size_t)(dot - name) : strlen(name);
}

static bool is_same_key(const char *a, const char *b)
{
    const char *extension;
    const size_t length = split_name(&extension, a);
    return split_name(&extension, b) == length && memcmp(a, b, length) == 0;
}

/* .cls goes before .json where a pair has both. */
typedef enum label_rank { LABEL_NONE = 0, LABEL_JSON, LABEL_CLS } label_rank;

static label_rank label_rank_of(const char *name)
{
    const char *extension;
    split_name(&extension, name);
    if (strcasecmp(extension, "cls") == 0) return LABEL_CLS;
    return strcasecmp(extension, "json") == 0 ? LABEL_JSON : LABEL_NONE;
}

/* Which member of a pair is its image: the first that is named like one, else the first that could
 * be one; never x.depth.png or x.txt. */
typedef enum image_rank { IMAGE_NONE = 0, IMAGE_PERHAPS, IMAGE_NAMED } image_rank;

static image_rank image_rank_of(const char *name)
{
    const char *extension;
    split_name(&extension, name);
    if (strchr(extension, '.') != NULL || strcasecmp(extension, "txt") == 0) return IMAGE_NONE;
    return datasets_names_image(name) ? IMAGE_NAMED : IMAGE_PERHAPS;
}

/* ---- one tar file ---- */

typedef struct tar_reader {
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
} tar_reader;

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
        if (clean_name(clean, given)) {
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
    if (r->zeros >= TAR_BLOCK) return VITC_OK;
    return vitc_fail(log, VITC_ERR_TRUNCATED,
                     "%s: ends without tar's end mark, as a file that was cut short; get or make "
                     "it again, or if it is whole, add the mark: truncate -s +1024",
                     r->path);
}

static vitc_status reader_next(bool *end, tar_reader *r, const vitc_log *log)
{
    *end = r->over;
    if (r->over) return VITC_OK; /* libarchive may not be asked again */
    r->log = log;
    const int result = next_member(&r->name, r->archive, r->entry);
    if (result != ARCHIVE_OK && result != ARCHIVE_EOF) return fail_reader(r, log);
    *end = r->over = result == ARCHIVE_EOF;
    return r->over ? check_end(r, log) : VITC_OK;
}

/* Reads the member's bytes, at most `most`; more is an error of the item. Memory grows with what
 * is there and not with what the header says. */
static vitc_status reader_bytes(datasets_item *item, tar_reader *r, size_t most,
                                const vitc_log *log)
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
    size_t used = 0, capacity = vitc_size_min(vitc_size_max(size, 1), READ_MOST);
    unsigned char *bytes = malloc(capacity);
    r->log = log;
    while (bytes != NULL && used < size) {
        const la_ssize_t got = archive_read_data(r->archive, bytes + used, capacity - used);
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
        const bool same = last != NULL && is_same_key(last, name);
        const bool one = (label_rank_of(name) != LABEL_NONE) !=
                         (last != NULL && label_rank_of(last) != LABEL_NONE);
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

static void reader_close(tar_reader *r)
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

static vitc_status reader_start(tar_reader *r, bool labelled, const vitc_log *log)
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

static vitc_status reader_open(tar_reader **reader, const char *path, bool labelled,
                               const vitc_log *log)
{
    *reader = NULL;
    tar_reader *r = calloc(1, sizeof *r);
    if (r == NULL) return vitc_fail_memory(log, path);
    r->path = path;
    const vitc_status status = reader_start(r, labelled, log);
    if (status != VITC_OK) {
        reader_close(r);
        return status;
    }
    *reader = r;
    return VITC_OK;
}

/* ---- the cursor ---- */

typedef struct tar_cursor {
    datasets_cursor cursor;
    datasets_classes *classes;
    bool labelled;
    size_t named; /* classes that a file of names gave, which numbers are labels of; or 0 */
    size_t most;  /* bytes of an image file */
    char **paths;
    size_t count, next_path;
    tar_reader *reader; /* NULL between two files */

    /* Pairs only. */
    bool held;                /* the reader's member is not yet taken */
    vitc_status failure;      /* comes after the pair that was given last */
    datasets_message message; /* and this is why */
} tar_cursor;

/* A member of the running file, as an item. */
static vitc_status start_item(datasets_item *item, const tar_cursor *c, uint64_t index,
                              int64_t label, const vitc_log *log)
{
    char *path = vitc_path_join(c->reader->path, c->reader->name);
    if (path == NULL) return vitc_fail_memory(log, c->reader->path);
    const vitc_status status = datasets_item_start(item, index, path, label, log);
    free(path);
    return status;
}

/* Its bytes, or why they cannot be had. */
static vitc_status fill_item(datasets_item *item, const tar_cursor *c, size_t most,
                             const vitc_log *log)
{
    struct archive_entry *entry = c->reader->entry;
    const bool hard = archive_entry_hardlink(entry) != NULL && archive_entry_size(entry) == 0;
    if (!hard && archive_entry_filetype(entry) == AE_IFREG)
        return reader_bytes(item, c->reader, most, log);
    const bool link = hard || archive_entry_filetype(entry) == AE_IFLNK;
    datasets_item_fail(item, VITC_ERR_UNSUPPORTED,
                       link
                           ? "a link, and a tar file read as a stream has nothing to follow it to; "
                             "make the tar file with --dereference --hard-dereference"
                           : "neither a file nor a folder");
    return VITC_OK;
}

/* ---- class folders, and images without labels ---- */

/* The label of a member: its class is the folder that it lies in. */
static vitc_status folder_label(int64_t *label, tar_cursor *c, const char *name,
                                const vitc_log *log)
{
    *label = DATASETS_UNLABELLED;
    const char *base = datasets_names_base(name);
    if (!c->labelled || base == name) return VITC_OK;
    char *folder = strndup(name, (size_t)(base - name - 1));
    if (folder == NULL) return vitc_fail_memory(log, c->reader->path);
    const vitc_status status =
        datasets_classes_label(label, c->classes, datasets_names_base(folder), log);
    free(folder);
    return status;
}

/* The reader's member, when the filter keeps it. */
static vitc_status take_member(datasets_item *item, bool *kept, tar_cursor *c,
                               const datasets_filter *filter, const vitc_log *log)
{
    const char *name = c->reader->name;
    int64_t label;
    VITC_TRY(folder_label(&label, c, name, log));
    VITC_TRY(start_item(item, c, 0, label, log));
    *kept = filter->keep(filter->user, name, item->path, label, &item->index);
    vitc_status status = VITC_OK;
    if (*kept && c->labelled && label < 0)
        datasets_item_fail(item, VITC_ERR_UNSUPPORTED,
                           "lies in no class folder of the tar file, and no .cls lies beside it");
    else if (*kept && !filter->counting)
        status = fill_item(item, c, c->most, log);
    if (!*kept || status != VITC_OK) datasets_item_free(item);
    return status;
}

static vitc_status next_single(datasets_item *item, bool *kept, bool *end, tar_cursor *c,
                               const datasets_filter *filter, const vitc_log *log)
{
    VITC_TRY(reader_next(end, c->reader, log));
    if (*end) return VITC_OK;
    if (!c->labelled && label_rank_of(c->reader->name) != LABEL_NONE) return VITC_OK;
    return take_member(item, kept, c, filter, log);
}

/* ---- pairs ---- */

typedef struct tar_pair {
    char *key;          /* the name of its first member, or NULL before that */
    char *name;         /* of the image; of the label while there is none */
    datasets_item item; /* of the same member */
    image_rank image;
    label_rank rank; /* of the label that was read */
    int64_t label;
    char error[256]; /* why there is no label */
} tar_pair;

static void free_pair(tar_pair *pair)
{
    free(pair->key);
    free(pair->name);
    datasets_item_free(&pair->item);
}

static void fail_label(tar_pair *pair, const char *reason, const char *what)
{
    char shown[VITC_SHOWN_SIZE];
    pair->label = DATASETS_UNLABELLED;
    snprintf(pair->error, sizeof pair->error, "its label %s: %s", reason, vitc_show(shown, what));
}

/* A label as it is written: the number of a class, or a name. */
static vitc_status read_label_text(tar_pair *pair, tar_cursor *c, const char *text,
                                   const vitc_log *log)
{
    if (c->named == 0 || text[strspn(text, "0123456789")] != 0)
        return datasets_classes_label(&pair->label, c->classes, text, log);
    errno = 0;
    const unsigned long long number = strtoull(text, NULL, 10);
    if (errno != 0 || number >= c->named)
        fail_label(pair, "is beyond the class names that were given", text);
    else
        pair->label = (int64_t)number;
    return VITC_OK;
}

/* A .cls holds nothing but the label. */
static vitc_status read_cls(tar_pair *pair, tar_cursor *c, char *text, size_t size,
                            const vitc_log *log)
{
    static const char space[] = " \t\r\n";
    const size_t before = strspn(text, space);
    size_t end = size;
    while (end > before && strchr(space, text[end - 1]) != NULL) end--;
    text[end] = 0;
    if (strlen(text) < end || strpbrk(text + before, "\r\n") != NULL)
        fail_label(pair, "is no line of text", text + before);
    else if (end == before)
        fail_label(pair, "is missing", "its .cls is empty");
    else
        return read_label_text(pair, c, text + before, log);
    return VITC_OK;
}

/* Of a .json counts the first that it has of label, cls and class: a whole number or a text. */
static vitc_status read_json(tar_pair *pair, tar_cursor *c, const char *text, size_t size,
                             const vitc_log *log)
{
    datasets_message message;
    const vitc_log keeper = datasets_message_log(&message, NULL);
    vitc_json *document;
    char number[32];
    vitc_status status = vitc_json_parse(&document, text, size, "its .json", &keeper);
    if (status == VITC_ERR_MEMORY) return vitc_fail(log, status, "%s", message.text);
    if (status != VITC_OK) {
        fail_label(pair, "cannot be read", message.text);
        return VITC_OK;
    }
    const vitc_json *value = vitc_json_get(document, "label");
    if (value == NULL) value = vitc_json_get(document, "cls");
    if (value == NULL) value = vitc_json_get(document, "class");
    const char *label = vitc_json_string(value, NULL);
    if (vitc_json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)vitc_json_integer(value, 0));
        label = number;
    }
    if (label == NULL || *label == 0)
        fail_label(pair, "is missing",
                   "no text or number \"label\", \"cls\" or \"class\" in its "
                   ".json");
    else
        status = read_label_text(pair, c, label, log);
    vitc_json_free(document);
    return status;
}

static vitc_status read_label(tar_pair *pair, tar_cursor *c, const datasets_item *item,
                              const vitc_log *log)
{
    if (item->status != VITC_OK) {
        fail_label(pair, "cannot be read", item->error != NULL ? item->error : "");
        return VITC_OK;
    }
    char *text = malloc(item->size + 1);
    if (text == NULL) return vitc_fail_memory(log, item->path);
    memcpy(text, item->bytes, item->size);
    text[item->size] = 0;
    const vitc_status status = pair->rank == LABEL_CLS ? read_cls(pair, c, text, item->size, log)
                                                       : read_json(pair, c, text, item->size, log);
    free(text);
    return status;
}

/* Lets the pair's item be the reader's member. */
static vitc_status name_pair(tar_pair *pair, const tar_cursor *c, const vitc_log *log)
{
    free(pair->name);
    datasets_item_free(&pair->item);
    pair->name = strdup(c->reader->name);
    if (pair->name == NULL) return vitc_fail_memory(log, c->reader->path);
    return start_item(&pair->item, c, 0, DATASETS_UNLABELLED, log);
}

static vitc_status take_label(tar_pair *pair, tar_cursor *c, const vitc_log *log)
{
    datasets_item item;
    if (pair->name == NULL) VITC_TRY(name_pair(pair, c, log));
    VITC_TRY(start_item(&item, c, 0, DATASETS_UNLABELLED, log));
    vitc_status status = fill_item(&item, c, LABEL_MOST, log);
    if (status == VITC_OK) status = read_label(pair, c, &item, log);
    datasets_item_free(&item);
    return status;
}

/* Adds the reader's member to the pair: its label, its image, or nothing that counts. */
static vitc_status take_part(tar_pair *pair, tar_cursor *c, bool counting, const vitc_log *log)
{
    const label_rank rank = label_rank_of(c->reader->name);
    const image_rank image = image_rank_of(c->reader->name);
    if (rank != LABEL_NONE) {
        if (rank <= pair->rank) return VITC_OK;
        pair->rank = rank;
        return take_label(pair, c, log);
    }
    if (image <= pair->image) return VITC_OK;
    pair->image = image;
    VITC_TRY(name_pair(pair, c, log));
    return counting ? VITC_OK : fill_item(&pair->item, c, c->most, log);
}

/* Collects what has one key; *end when there is nothing more. When the file cannot be read any
 * further behind a pair that is whole, the pair is given first. */
static vitc_status collect_pair(tar_pair *pair, bool *end, tar_cursor *c, bool counting,
                                const vitc_log *log)
{
    if (c->failure != VITC_OK) return vitc_fail(log, c->failure, "%s", c->message.text);
    const vitc_log keeper = datasets_message_log(&c->message, log);
    while (c->failure == VITC_OK) {
        bool last = false;
        if (!c->held) c->failure = reader_next(&last, c->reader, &keeper);
        *end = last && pair->key == NULL;
        if (c->failure != VITC_OK || last) break;
        c->held = true;
        if (pair->key != NULL && !is_same_key(pair->key, c->reader->name)) return VITC_OK;
        if (pair->key == NULL) pair->key = strdup(c->reader->name);
        if (pair->key == NULL) return vitc_fail_memory(log, c->reader->path);
        VITC_TRY(take_part(pair, c, counting, log));
        c->held = false;
    }
    const bool whole = pair->image != IMAGE_NONE && pair->rank != LABEL_NONE;
    return c->failure == VITC_OK || whole ? VITC_OK
                                          : vitc_fail(log, c->failure, "%s", c->message.text);
}

/* What the pair lacks, if the image itself is good. */
static void check_pair(tar_pair *pair)
{
    const char *lacks = NULL;
    if (pair->image == IMAGE_NONE)
        lacks = "a label without an image: no member of the same name lies next to it";
    else if (pair->rank == LABEL_NONE)
        lacks = "an image without a label: no .cls or .json of the same name lies next to it";
    else if (pair->label == DATASETS_UNLABELLED)
        lacks = pair->error;
    if (lacks == NULL || pair->item.status != VITC_OK) return;
    datasets_item_fail(&pair->item, VITC_ERR_CORRUPT, lacks);
    free(pair->item.bytes);
    pair->item.bytes = NULL;
    pair->item.size = 0;
}

static vitc_status next_pair(datasets_item *item, bool *kept, bool *end, tar_cursor *c,
                             const datasets_filter *filter, const vitc_log *log)
{
    tar_pair pair = {.label = DATASETS_UNLABELLED};
    const vitc_status status = collect_pair(&pair, end, c, filter->counting, log);
    if (status == VITC_OK && pair.name != NULL) {
        pair.item.label = pair.label;
        *kept = filter->keep(filter->user, pair.name, pair.item.path, pair.label, &pair.item.index);
        if (*kept) {
            check_pair(&pair);
            *item = pair.item;
            pair.item = (datasets_item){0};
        }
    }
    free_pair(&pair);
    return status;
}

/* ---- all files ---- */

static vitc_status next_in_file(datasets_item *item, bool *kept, tar_cursor *c,
                                const datasets_filter *filter, const vitc_log *log)
{
    bool end = false;
    if (c->reader == NULL)
        VITC_TRY(reader_open(&c->reader, c->paths[c->next_path++], c->labelled, log));
    VITC_TRY(c->reader->pairs ? next_pair(item, kept, &end, c, filter, log)
                              : next_single(item, kept, &end, c, filter, log));
    if (end) {
        reader_close(c->reader);
        c->reader = NULL;
    }
    return VITC_OK;
}

static vitc_status next(datasets_cursor *cursor, datasets_item *item, bool *end,
                        const datasets_filter *filter, const vitc_log *log)
{
    tar_cursor *c = (tar_cursor *)cursor;
    *item = (datasets_item){0};
    *end = false;
    bool kept = false;
    while (!kept && (c->reader != NULL || c->next_path < c->count))
        VITC_TRY(next_in_file(item, &kept, c, filter, log));
    *end = !kept;
    return VITC_OK;
}

static void close_cursor(datasets_cursor *cursor)
{
    tar_cursor *c = (tar_cursor *)cursor;
    if (c == NULL) return;
    reader_close(c->reader);
    for (size_t i = 0; i < c->count; i++) free(c->paths[i]);
    free(c->paths);
    free(c);
}

/* Adds the files of one path. */
static vitc_status add_path(tar_cursor *c, const char *path, const vitc_log *log)
{
    char **files;
    size_t count;
    VITC_TRY(datasets_tar_expand(&files, &count, path, log));
    char **paths = realloc(c->paths, (c->count + count) * sizeof *paths);
    if (paths != NULL) {
        memcpy(paths + c->count, files, count * sizeof *paths);
        c->paths = paths;
        c->count += count;
    } else {
        for (size_t i = 0; i < count; i++) free(files[i]);
    }
    free(files);
    return paths != NULL ? VITC_OK : vitc_fail_memory(log, path);
}

/* A file that is missing is better found before hours of work than after them. */
static vitc_status check_paths(const tar_cursor *c, const vitc_log *log)
{
    for (size_t i = 0; i < c->count; i++)
        if (access(c->paths[i], R_OK) != 0)
            return vitc_fail(log, VITC_ERR_UNREADABLE, "%s: cannot be opened: %s", c->paths[i],
                             strerror(errno));
    return VITC_OK;
}

static vitc_status start_cursor(tar_cursor *c, const datasets_opening *opening, const vitc_log *log)
{
    const datasets_options *options = opening->options;
    c->cursor = (datasets_cursor){.next = next, .close = close_cursor};
    c->classes = opening->classes;
    c->labelled = options->labelled;
    c->most =
        options->max_file_size != 0 ? options->max_file_size : imgio_limits_default().max_file_size;
    for (size_t i = 0; i < opening->count; i++) VITC_TRY(add_path(c, opening->paths[i], log));
    VITC_TRY(check_paths(c, log));
    if (c->labelled && options->class_names != NULL) {
        VITC_TRY(datasets_classes_read(c->classes, options->class_names, log));
        c->named = datasets_classes_count(c->classes);
    }
    return VITC_OK;
}

static vitc_status create_cursor(tar_cursor **cursor, const datasets_opening *opening,
                                 const vitc_log *log)
{
    tar_cursor *c = calloc(1, sizeof *c);
    *cursor = c;
    if (c == NULL) return vitc_fail_memory(log, opening->paths[0]);
    const vitc_status status = start_cursor(c, opening, log);
    if (status == VITC_OK) return VITC_OK;
    close_cursor(&c->cursor);
    *cursor = NULL;
    return status;
}

/* ---- classes beforehand ---- */

static bool keep_none(void *user, const char *below, const char *path, int64_t label,
                      uint64_t *index)
{
    (void)user, (void)below, (void)path, (void)label;
    *index = 0;
    return false;
}

/* All classes of the cursor's files but for those that only reading through would tell, with gaps
 * instead of images. A file that cannot be read to its end is left to the reading proper. */
static vitc_status find_classes(tar_cursor *c, datasets_classes *found, const vitc_log *log)
{
    const datasets_filter filter = {.keep = keep_none, .counting = true};
    datasets_message message;
    const vitc_log keeper = datasets_message_log(&message, NULL);
    c->classes = found;
    while (c->next_path < c->count) {
        if (datasets_tar_is_stream(c->paths[c->next_path])) {
            c->next_path++;
            continue;
        }
        vitc_status status;
        bool kept = false;
        do {
            datasets_item item;
            status = next_in_file(&item, &kept, c, &filter, &keeper);
        } while (status == VITC_OK && c->reader != NULL);
        if (status == VITC_ERR_MEMORY) return vitc_fail(log, status, "%s", message.text);
        reader_close(c->reader);
        c->reader = NULL;
        c->held = false;
        c->failure = VITC_OK;
    }
    return VITC_OK;
}

static int compare_names(const void *a, const void *b)
{
    return datasets_names_compare(*(const char *const *)a, *(const char *const *)b);
}

/* Adds the classes that were found, in natural order. */
static vitc_status add_classes(datasets_classes *classes, const datasets_classes *found,
                               const vitc_log *log)
{
    const size_t count = datasets_classes_count(found);
    const char **names = calloc(vitc_size_max(count, 1), sizeof *names);
    if (names == NULL) return vitc_fail_memory(log, "the classes");
    for (size_t i = 0; i < count; i++) names[i] = datasets_classes_name(found, i);
    qsort(names, count, sizeof *names, compare_names);
    vitc_status status = VITC_OK;
    for (size_t i = 0; i < count && status == VITC_OK; i++) {
        int64_t label;
        status = datasets_classes_label(&label, classes, names[i], log);
    }
    free(names);
    return status;
}

static vitc_status list_classes(const datasets_opening *opening, const vitc_log *log)
{
    datasets_classes *found;
    tar_cursor *c;
    VITC_TRY(datasets_classes_create(&found, log));
    vitc_status status = create_cursor(&c, opening, log);
    if (status == VITC_OK) {
        status = find_classes(c, found, log);
        close_cursor(&c->cursor);
    }
    if (status == VITC_OK) status = add_classes(opening->classes, found, log);
    datasets_classes_free(found);
    return status;
}

vitc_status datasets_tar_open(datasets_cursor **cursor, const datasets_opening *opening,
                              const vitc_log *log)
{
    tar_cursor *c;
    *cursor = NULL;
    VITC_TRY(create_cursor(&c, opening, log));
    /* Where names are known, from a file or another cursor over the same set, they stay in that
     * order. */
    if (c->labelled && datasets_classes_count(opening->classes) == 0) {
        const vitc_status status = list_classes(opening, log);
        if (status != VITC_OK) {
            close_cursor(&c->cursor);
            return status;
        }
    }
    *cursor = &c->cursor;
    return VITC_OK;
}

/* ---- which files ---- */

/* Whether the first block is a member's header: its check sum is right. */
static bool is_header(const unsigned char *head)
{
    enum { SUM_AT = 148, SUM_SIZE = 8 };
    unsigned long sum = 0;
    char digits[SUM_SIZE + 1] = {0};
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += i >= SUM_AT && i < SUM_AT + SUM_SIZE ? ' ' : head[i];
    memcpy(digits, head + SUM_AT, SUM_SIZE);
    return head[0] != 0 && strtoul(digits, NULL, 8) == sum;
}

bool datasets_tar_is(const char *path, const unsigned char *head, size_t size)
{
    static const char *const endings[] = {".tar",     ".tar.gz", ".tgz",     ".tar.xz", ".txz",
                                          ".tar.bz2", ".tbz2",   ".tar.zst", ".tzst"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (datasets_names_ends(path, endings[i])) return true;
    return size >= TAR_BLOCK && is_header(head);
}

bool datasets_tar_is_stream(const char *path)
{
    struct stat status;
    vitc_stream *stream;
    if (stat(path, &status) != 0) return false;
    if (!S_ISREG(status.st_mode)) return true;
    if (vitc_stream_open(&stream, path, NULL) != VITC_OK) return false;
    const bool sequential = vitc_stream_is_sequential(stream);
    vitc_stream_close(stream);
    return sequential;
}

/* ---- {first..last} ---- */

typedef struct brace_range {
    size_t prefix; /* characters before the brace */
    const char *suffix;
    unsigned long long first, last;
    int width; /* of the numbers, filled up with zeros */
} brace_range;

/* Digits only, and not too many for arithmetic. */
static const char *read_number(unsigned long long *value, const char *text)
{
    const size_t length = strspn(text, "0123456789");
    *value = strtoull(text, NULL, 10);
    return length > 0 && length < 19 ? text + length : NULL;
}

static bool read_range(brace_range *range, const char *path)
{
    for (const char *brace = strchr(path, '{'); brace != NULL; brace = strchr(brace + 1, '{')) {
        const char *middle = read_number(&range->first, brace + 1);
        if (middle == NULL || strncmp(middle, "..", 2) != 0) continue;
        const char *end = read_number(&range->last, middle + 2);
        if (end == NULL || *end != '}') continue;
        const int a = (int)(middle - brace - 1), b = (int)(end - middle - 2);
        const bool zeros = (brace[1] == '0' && a > 1) || (middle[2] == '0' && b > 1);
        range->prefix = (size_t)(brace - path);
        range->suffix = end + 1;
        range->width = zeros ? (a > b ? a : b) : 1;
        return true;
    }
    return false;
}

static vitc_status expand_range(char **paths, size_t *count, const brace_range *range,
                                const char *path, const vitc_log *log)
{
    for (unsigned long long i = range->first; i <= range->last; i++) {
        if (asprintf(&paths[*count], "%.*s%0*llu%s", (int)range->prefix, path, range->width, i,
                     range->suffix) < 0)
            return vitc_fail_memory(log, path);
        ++*count;
    }
    return VITC_OK;
}

vitc_status datasets_tar_expand(char ***paths, size_t *count, const char *path, const vitc_log *log)
{
    brace_range range;
    *count = 0;
    *paths = NULL;
    const bool several = access(path, F_OK) != 0 && read_range(&range, path);
    if (several && range.last < range.first)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "%s: the range counts down; write {%llu..%llu}",
                         path, range.last, range.first);
    if (several && range.last - range.first >= RANGE_MOST)
        return vitc_fail(log, VITC_ERR_TOO_LARGE, "%s: a range of more than %d files", path,
                         RANGE_MOST);
    const size_t room = several ? (size_t)(range.last - range.first) + 1 : 1;
    char **files = calloc(room, sizeof *files);
    if (files == NULL) return vitc_fail_memory(log, path);
    vitc_status status = VITC_OK;
    if (several)
        status = expand_range(files, count, &range, path, log);
    else if ((files[0] = strdup(path)) != NULL)
        *count = 1;
    else
        status = vitc_fail_memory(log, path);
    if (status == VITC_OK) {
        *paths = files;
        return VITC_OK;
    }
    for (size_t i = 0; i < *count; i++) free(files[i]);
    free(files);
    *count = 0;
    return status;
}
