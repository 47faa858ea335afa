/* Sets at random access: where each image lies, and its bytes where they can only be read in order.
 *
 * An image is 32 bytes and its name. Of a file of its own the name is the place, of a member of a
 * plain tar file an offset; all else lies in blocks of memory, as the file's bytes or as pixels. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets_private.h"
#include "vitc_file.h"
#include "vitc_log.h"
#include "vitc_memory.h"
#include "vitc_size.h"

enum {
    STEP = 4096,    /* images between two calls of progress */
    WARN_MOST = 5,  /* images left out that are told one by one */
    OPEN_MOST = 256 /* tar files that stay open */
};

static const size_t block_size = (size_t)16 << 20;

/* What an image's `source` says; from SOURCE_TAR on the number of its tar file. */
enum { SOURCE_FILE, SOURCE_BYTES, SOURCE_PIXELS, SOURCE_TAR };

typedef struct index_image {
    uint64_t name; /* where it begins in the names */
    uint64_t size; /* bytes: of the tar file's member, or in memory */
    union {
        uint64_t offset; /* in the tar file */
        const unsigned char *bytes;
    } at;
    uint32_t label, source;
} index_image;

/* Before the pixels of an image that is kept: one byte a pixel for a grey one, three for others. */
typedef struct pixels_header {
    uint32_t width, height, channels;
} pixels_header;

typedef struct index_tar {
    char *path;
    int fd; /* -1: opened for each image */
} index_tar;

typedef struct index_block {
    unsigned char *bytes;
    size_t used, room;
} index_block;

struct datasets_index {
    index_image *images;
    size_t count, room;
    datasets_strings names;
    index_tar *tars;
    size_t tar_count;
    index_block *blocks; /* the last one is being filled */
    size_t block_count;
    size_t kept, most; /* bytes in memory, of `most` */
    datasets_classes *classes;
    size_t max_file_size;
    char fingerprint[65];
};

/* ---- memory ---- */

/* Counts bytes that will be kept, for image `name`. */
static vitc_status count_bytes(datasets_index *index, size_t bytes, const char *name,
                               const vitc_log *log)
{
    if (bytes > index->most - index->kept)
        return vitc_fail(log, VITC_ERR_MEMORY,
                         "%s: the images up to this one, %zu, would take more than %zu MiB of "
                         "memory: what can only be read in order is kept there, and all names; "
                         "unpack compressed tar files (gunzip), or use fewer images",
                         name, index->count + 1, index->most >> 20);
    index->kept += bytes;
    return VITC_OK;
}

/* Room for an image's bytes, which never move. */
static unsigned char *keep_bytes(datasets_index *index, size_t size)
{
    index_block *last = index->block_count > 0 ? &index->blocks[index->block_count - 1] : NULL;
    if (last == NULL || size > last->room - last->used) {
        index_block *blocks =
            realloc(index->blocks, (index->block_count + 1) * sizeof *index->blocks);
        if (blocks == NULL) return NULL;
        index->blocks = blocks;
        last = &blocks[index->block_count];
        *last = (index_block){.room = vitc_size_max(size, block_size)};
        last->bytes = malloc(last->room);
        if (last->bytes == NULL) return NULL;
        index->block_count++;
    }
    unsigned char *bytes = last->bytes + last->used;
    last->used += size;
    return bytes;
}

/* ---- building: one image ---- */

static bool is_grey(const imgio_image *image)
{
    const size_t pixels = (size_t)image->width * image->height;
    for (size_t i = 0; i < pixels; i++) {
        const uint8_t *pixel = image->pixels + 3 * i;
        if (pixel[0] != pixel[1] || pixel[0] != pixel[2]) return false;
    }
    return true;
}

static vitc_status add_pixels(index_image *added, datasets_index *index, const datasets_item *item,
                              const vitc_log *log)
{
    const imgio_image *image = &item->image;
    const size_t pixels = (size_t)image->width * image->height;
    const pixels_header header = {image->width, image->height, is_grey(image) ? 1 : 3};
    added->source = SOURCE_PIXELS;
    added->size = sizeof header + pixels * header.channels;
    VITC_TRY(count_bytes(index, added->size, item->path, log));
    unsigned char *bytes = keep_bytes(index, added->size);
    if (bytes == NULL) return vitc_fail_memory(log, item->path);
    memcpy(bytes, &header, sizeof header);
    for (size_t i = 0; i < pixels; i++)
        memcpy(bytes + sizeof header + i * header.channels, image->pixels + 3 * i, header.channels);
    added->at.bytes = bytes;
    return VITC_OK;
}

static vitc_status add_bytes(index_image *added, datasets_index *index, const datasets_item *item,
                             const vitc_log *log)
{
    added->source = SOURCE_BYTES;
    added->size = item->size;
    VITC_TRY(count_bytes(index, item->size, item->path, log));
    unsigned char *bytes = keep_bytes(index, item->size);
    if (bytes == NULL) return vitc_fail_memory(log, item->path);
    memcpy(bytes, item->bytes, item->size);
    added->at.bytes = bytes;
    return VITC_OK;
}

static vitc_status add_tar(datasets_index *index, const char *path, const vitc_log *log)
{
    index_tar *tars = realloc(index->tars, (index->tar_count + 1) * sizeof *tars);
    if (tars == NULL) return vitc_fail_memory(log, path);
    index->tars = tars;
    index_tar *tar = &tars[index->tar_count];
    *tar = (index_tar){.path = strdup(path), .fd = -1};
    if (tar->path == NULL) return vitc_fail_memory(log, path);
    index->tar_count++;
    if (index->tar_count <= OPEN_MOST) tar->fd = open(path, O_RDONLY | O_CLOEXEC);
    return VITC_OK;
}

/* Tar files come one after the other. */
static vitc_status add_place(index_image *added, datasets_index *index, const datasets_place *place,
                             const vitc_log *log)
{
    if (index->tar_count == 0 || strcmp(index->tars[index->tar_count - 1].path, place->file) != 0)
        VITC_TRY(add_tar(index, place->file, log));
    added->source = (uint32_t)(SOURCE_TAR + index->tar_count - 1);
    added->at.offset = place->offset;
    added->size = place->size;
    return VITC_OK;
}

static vitc_status make_room(datasets_index *index, const char *name, const vitc_log *log)
{
    if (index->count < index->room) return VITC_OK;
    if (index->count >= UINT32_MAX)
        return vitc_fail(log, VITC_ERR_TOO_LARGE, "%s: more than %zu images", name, index->count);
    const size_t room = index->room > 0 ? 2 * index->room : STEP;
    index_image *images = realloc(index->images, room * sizeof *images);
    if (images == NULL) return vitc_fail_memory(log, name);
    index->images = images;
    index->room = room;
    return VITC_OK;
}

static vitc_status add_image(datasets_index *index, const datasets_item *item,
                             const datasets_place *place, const vitc_log *log)
{
    VITC_TRY(make_room(index, item->path, log));
    VITC_TRY(count_bytes(index, sizeof(index_image) + strlen(item->path) + 1, item->path, log));
    index_image added = {.name = index->names.used, .label = (uint32_t)item->label};
    if (item->image.pixels != NULL)
        VITC_TRY(add_pixels(&added, index, item, log));
    else if (item->bytes != NULL)
        VITC_TRY(add_bytes(&added, index, item, log));
    else if (item->file == NULL)
        VITC_TRY(add_place(&added, index, place, log));
    if (!datasets_strings_add(&index->names, item->path)) return vitc_fail_memory(log, item->path);
    index->images[index->count++] = added;
    return VITC_OK;
}

/* ---- building: the walk ---- */

static void leave_out(uint64_t *bad, datasets_set *set, const datasets_item *item,
                      const vitc_log *log)
{
    char shown[VITC_SHOWN_SIZE];
    datasets_leave_out(set);
    if (++*bad > WARN_MOST) return;
    vitc_log_write(log, VITC_LOG_WARN, "%s: left out: %s%s", vitc_show(shown, item->path),
                   item->error != NULL ? item->error : "it has no label",
                   *bad == WARN_MOST ? " (others like it are only counted)" : "");
}

static vitc_status add_all(datasets_index *index, datasets_set *set, uint64_t *bad,
                           bool (*progress)(void *user, uint64_t images), void *user,
                           const vitc_log *log)
{
    for (uint64_t found = 0;; found++) {
        datasets_item item;
        datasets_place place;
        bool end;
        if (found % STEP == 0 && progress != NULL && !progress(user, index->count))
            return vitc_fail(log, VITC_ERR_ARGUMENT, "the search for images was ended");
        VITC_TRY(datasets_next_place(&item, &place, &end, set, log));
        if (end) return VITC_OK;
        vitc_status status = VITC_OK;
        if (item.status == VITC_OK && item.label >= 0)
            status = add_image(index, &item, &place, log);
        else if (item.status == VITC_ERR_MEMORY)
            status = vitc_fail_memory(log, item.path);
        else
            leave_out(bad, set, &item, log);
        datasets_item_free(&item);
        VITC_TRY(status);
    }
}

/* Gives back what was allocated in advance. */
static void trim(datasets_index *index)
{
    index_image *images = realloc(index->images, vitc_size_max(index->count, 1) * sizeof *images);
    if (images != NULL) {
        index->images = images;
        index->room = index->count;
    }
    char *pool = realloc(index->names.pool, vitc_size_max(index->names.used, 1));
    if (pool != NULL) {
        index->names.pool = pool;
        index->names.room = index->names.used;
    }
}

static vitc_status copy_classes(datasets_index *index, const datasets_set *set, const vitc_log *log)
{
    const size_t count = datasets_class_count(set);
    VITC_TRY(datasets_classes_create(&index->classes, log));
    for (size_t i = 0; i < count; i++) {
        int64_t label;
        VITC_TRY(datasets_classes_label(&label, index->classes, datasets_class_name(set, i), log));
    }
    return VITC_OK;
}

static vitc_status build(datasets_index *index, const char *const *paths, size_t count,
                         const datasets_options *options, uint64_t *bad,
                         bool (*progress)(void *user, uint64_t images), void *user,
                         const vitc_log *log)
{
    datasets_set *set;
    VITC_TRY(datasets_open(&set, paths, count, options, log));
    vitc_status status = add_all(index, set, bad, progress, user, log);
    if (status == VITC_OK) status = copy_classes(index, set, log);
    if (status == VITC_OK) {
        trim(index);
        datasets_fingerprint(index->fingerprint, set);
    }
    datasets_close(set);
    return status;
}

vitc_status datasets_index_create(datasets_index **index, const char *const *paths, size_t count,
                                  const datasets_options *options, size_t max_memory, uint64_t *bad,
                                  bool (*progress)(void *user, uint64_t images), void *user,
                                  const vitc_log *log)
{
    *index = NULL;
    *bad = 0;
    if (!options->labelled)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "an index is made of labelled images");
    datasets_index *made = calloc(1, sizeof *made);
    if (made == NULL) return vitc_fail_memory(log, "the list of images");
    made->most = max_memory != 0 ? max_memory : vitc_memory_machine() / 2;
    made->max_file_size =
        options->max_file_size != 0 ? options->max_file_size : imgio_limits_default().max_file_size;
    const vitc_status status = build(made, paths, count, options, bad, progress, user, log);
    if (status == VITC_OK)
        *index = made;
    else
        datasets_index_free(made);
    return status;
}

void datasets_index_free(datasets_index *index)
{
    if (index == NULL) return;
    for (size_t i = 0; i < index->tar_count; i++) {
        if (index->tars[i].fd >= 0) close(index->tars[i].fd);
        free(index->tars[i].path);
    }
    for (size_t i = 0; i < index->block_count; i++) free(index->blocks[i].bytes);
    free(index->tars);
    free(index->blocks);
    free(index->images);
    datasets_strings_free(&index->names);
    datasets_classes_free(index->classes);
    free(index);
}

/* ---- asking ---- */

size_t datasets_index_count(const datasets_index *index)
{
    return index->count;
}

size_t datasets_index_classes(const datasets_index *index)
{
    return datasets_classes_count(index->classes);
}

const char *datasets_index_class(const datasets_index *index, size_t label)
{
    return datasets_classes_name(index->classes, label);
}

uint32_t datasets_index_label(const datasets_index *index, size_t image)
{
    return index->images[image].label;
}

static const char *name_of(const datasets_index *index, const index_image *image)
{
    return index->names.pool + image->name;
}

char *datasets_index_path(const datasets_index *index, size_t image)
{
    return strdup(name_of(index, &index->images[image]));
}

const char *datasets_index_fingerprint(const datasets_index *index)
{
    return index->fingerprint;
}

/* ---- reading ---- */

static vitc_status read_place(unsigned char *bytes, const index_image *image, int fd,
                              const char *name, const vitc_log *log)
{
    for (size_t used = 0; used < image->size;) {
        const ssize_t got =
            pread(fd, bytes + used, image->size - used, (off_t)(image->at.offset + used));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return vitc_fail(log, VITC_ERR_UNREADABLE, "%s: cannot be read: %s", name,
                             strerror(errno));
        if (got == 0)
            return vitc_fail(log, VITC_ERR_TRUNCATED,
                             "%s: the tar file ends before it; it was changed since it was listed",
                             name);
        used += (size_t)got;
    }
    return VITC_OK;
}

/* The member's bytes, malloc'd. */
static vitc_status read_member(unsigned char **bytes, const datasets_index *index,
                               const index_image *image, const vitc_log *log)
{
    const index_tar *tar = &index->tars[image->source - SOURCE_TAR];
    const char *name = name_of(index, image);
    const int fd = tar->fd >= 0 ? tar->fd : open(tar->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return vitc_fail(log, VITC_ERR_UNREADABLE, "%s: the tar file cannot be opened: %s", name,
                         strerror(errno));
    unsigned char *read = malloc(vitc_size_max(image->size, 1));
    const vitc_status status =
        read != NULL ? read_place(read, image, fd, name, log) : vitc_fail_memory(log, name);
    if (fd != tar->fd) close(fd);
    if (status == VITC_OK)
        *bytes = read;
    else
        free(read);
    return status;
}

static vitc_status make_image(imgio_image *image, const unsigned char *kept, const vitc_log *log)
{
    pixels_header header;
    memcpy(&header, kept, sizeof header);
    kept += sizeof header;
    VITC_TRY(imgio_image_create(image, header.width, header.height, log));
    const size_t pixels = (size_t)header.width * header.height;
    if (header.channels == 3)
        memcpy(image->pixels, kept, 3 * pixels);
    else
        for (size_t i = 0; i < pixels; i++) memset(image->pixels + 3 * i, kept[i], 3);
    return VITC_OK;
}

vitc_status datasets_index_image(imgio_image *image, const datasets_index *index, size_t which,
                                 const imgio_decode_options *decode, const vitc_log *log)
{
    const index_image *entry = &index->images[which];
    const char *name = name_of(index, entry);
    const unsigned char *bytes = entry->at.bytes;
    unsigned char *read = NULL;
    size_t size = entry->size;
    *image = (imgio_image){0};
    if (entry->source == SOURCE_PIXELS) return make_image(image, bytes, log);
    if (entry->source != SOURCE_BYTES) {
        VITC_TRY(entry->source == SOURCE_FILE
                     ? vitc_file_read(&read, &size, name, index->max_file_size, log)
                     : read_member(&read, index, entry, log));
        bytes = read;
    }
    const vitc_status status = imgio_decode_memory(image, bytes, size, name, decode, log);
    free(read);
    return status;
}

void datasets_index_expect(const datasets_index *index, size_t image)
{
    const index_image *entry = &index->images[image];
    if (entry->source == SOURCE_BYTES || entry->source == SOURCE_PIXELS) return;
    if (entry->source >= SOURCE_TAR) {
        const int fd = index->tars[entry->source - SOURCE_TAR].fd;
        if (fd >= 0)
            (void)posix_fadvise(fd, (off_t)entry->at.offset, (off_t)entry->size,
                                POSIX_FADV_WILLNEED);
        return;
    }
    const int fd = open(name_of(index, entry), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return; /* which is told when it is read */
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
    close(fd);
}
