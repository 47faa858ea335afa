/* Any bytes as a tar file: what is read has the form that datasets.h promises, is the same when the
 * bytes are compressed, and is as many images as are counted without reading them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zlib.h>

#include "datasets_private.h"
#include "vitc_zlib.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

/* A file in memory that has a name for as long as it is open. */
typedef struct memory_file {
    int fd;
    char path[64];
} memory_file;

static memory_file memory_file_make(const void *data, size_t size)
{
    memory_file file = {.fd = memfd_create("fuzz", MFD_CLOEXEC)};
    require(file.fd >= 0 && write(file.fd, data, size) == (ssize_t)size);
    snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
    return file;
}

static memory_file memory_file_compress(const void *data, size_t size)
{
    z_stream z = {0};
    require(deflateInit2(&z, 0, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    const uLong room = deflateBound(&z, (uLong)size);
    unsigned char *packed = malloc(room);
    require(packed != NULL);
    z.next_in = (unsigned char *)(uintptr_t)data;
    z.avail_in = (uInt)size;
    z.next_out = packed;
    z.avail_out = (uInt)room;
    require(deflate(&z, Z_FINISH) == Z_STREAM_END);
    const memory_file file = memory_file_make(packed, room - z.avail_out);
    deflateEnd(&z);
    free(packed);
    return file;
}

/* All that a set gave, as numbers; of two that are equal so were, all but surely, the sets. */
typedef struct outcome {
    vitc_status status;
    uint64_t images;
    uint32_t items; /* check sum over all of them */
} outcome;

static void add_to_outcome(outcome *all, const void *data, size_t size)
{
    const uint32_t parts[] = {all->items, vitc_crc32(data, size)};
    all->items = vitc_crc32(parts, sizeof parts);
}

static void take_item(outcome *all, const datasets_item *item, const datasets_classes *classes,
                      const char *path)
{
    const size_t length = strlen(path);
    require(item->index == all->images && item->file == NULL && item->image.pixels == NULL);
    require((item->status == VITC_OK) == (item->bytes != NULL));
    require((item->status == VITC_OK) == (item->error == NULL));
    require(strncmp(item->path, path, length) == 0 && item->path[length] == '/');
    require(item->label == DATASETS_UNLABELLED ||
            (size_t)item->label < datasets_classes_count(classes));
    const char *name = "none";
    if (item->label >= 0) name = datasets_classes_name(classes, (size_t)item->label);
    all->images++;
    add_to_outcome(all, item->path + length, strlen(item->path + length));
    add_to_outcome(all, name, strlen(name));
    add_to_outcome(all, &item->status, sizeof item->status);
    if (item->bytes != NULL) add_to_outcome(all, item->bytes, item->size);
}

typedef struct asked {
    uint64_t images;
    bool take;
} asked;

static bool keep(void *user, const char *below, const char *path, int64_t label, uint64_t *index)
{
    asked *all = user;
    (void)label;
    require(*below != 0 && *below != '/' && strstr(path, below) != NULL);
    *index = all->images++;
    return all->take;
}

/* All images of the file, or with `counting` only how many they are. */
static outcome read_set(const char *path, datasets_classes *classes, bool labelled, bool counting)
{
    outcome all = {.status = VITC_OK};
    datasets_options options = datasets_options_default();
    options.labelled = labelled;
    options.max_file_size = 1 << 20;
    const datasets_opening opening = {
        .paths = &path, .count = 1, .options = &options, .classes = classes};
    asked answers = {.take = !counting};
    const datasets_filter filter = {.keep = keep, .user = &answers, .counting = counting};
    datasets_cursor *cursor;
    all.status = datasets_tar_open(&cursor, &opening, NULL);
    if (all.status != VITC_OK) return all;
    for (bool end = false; !end;) {
        datasets_item item;
        all.status = cursor->next(cursor, &item, &end, &filter, NULL);
        if (all.status != VITC_OK) break;
        if (!end) take_item(&all, &item, classes, path);
        datasets_item_free(&item);
    }
    if (counting) all.images = answers.images;
    cursor->close(cursor);
    return all;
}

static outcome read_and_count(const memory_file *file, bool labelled)
{
    datasets_classes *classes;
    require(datasets_classes_create(&classes, NULL) == VITC_OK);
    const outcome all = read_set(file->path, classes, labelled, false);
    const outcome counted = read_set(file->path, classes, labelled, true);
    /* What cannot be read to its end may be counted further than it can be read. */
    if (all.status == VITC_OK) require(counted.status == VITC_OK && counted.images == all.images);
    datasets_classes_free(classes);
    return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const memory_file plain = memory_file_make(data, size);
    const memory_file packed = memory_file_compress(data, size);
    const bool is_gzip = size >= 2 && data[0] == 0x1F && data[1] == 0x8B;
    for (int labelled = 0; labelled < 2; labelled++) {
        const outcome a = read_and_count(&plain, labelled != 0);
        const outcome b = read_and_count(&packed, labelled != 0);
        if (!is_gzip) require(a.status == b.status && a.images == b.images && a.items == b.items);
    }
    close(plain.fd);
    close(packed.fd);
    return 0;
}
