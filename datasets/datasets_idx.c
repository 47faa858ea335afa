/* IDX, the format of MNIST and its family (yann.lecun.com/exdb/mnist): two zero bytes, the type of
 * the numbers, how many dimensions; the dimensions, 32 bits each, most significant byte first; the
 * numbers. Images are bytes [N][H][W] or, in colour, [N][H][W][3]; labels are bytes [N].
 *
 * All is checked before the first image: a compressed file is read through once for that. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets_private.h"
#include "vitc_log.h"
#include "vitc_size.h"
#include "vitc_zlib.h"

enum { TYPE_BYTES = 0x08, TYPE_LAST = 0x0E, DIMENSIONS = 4 };

typedef unsigned long long number; /* for messages */

bool datasets_idx_is(const char *path, const unsigned char *head, size_t size)
{
    const char *name = datasets_names_base(path);
    const bool plain = size >= 4 && head[0] == 0 && head[1] == 0 && head[2] >= TYPE_BYTES &&
                       head[2] <= TYPE_LAST && (head[3] == 3 || head[3] == 4);
    const bool gzip = size >= 2 && head[0] == 0x1F && head[1] == 0x8B;
    const bool tar = datasets_names_ends(path, ".tar.gz") || datasets_names_ends(path, ".tgz");
    return plain || (gzip && !tar && strstr(name, "idx") != NULL && strstr(name, "idx1") == NULL);
}

/* ---- headers ---- */

typedef struct idx_header {
    size_t dimensions;
    uint32_t sizes[DIMENSIONS];
} idx_header;

static vitc_status fail_short(const char *path, const vitc_log *log)
{
    return vitc_fail(log, VITC_ERR_TRUNCATED, "%s: ends within its IDX header; get the file again",
                     path);
}

static vitc_status read_header(idx_header *header, vitc_stream *stream, const char *path,
                               const vitc_log *log)
{
    unsigned char bytes[DIMENSIONS * 4];
    size_t got;
    VITC_TRY(vitc_stream_read(&got, stream, bytes, 4, log));
    if (got < 4) return fail_short(path, log);
    if (bytes[0] != 0 || bytes[1] != 0 || bytes[2] < TYPE_BYTES || bytes[2] > TYPE_LAST)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED, "%s: is not an IDX file", path);
    if (bytes[2] != TYPE_BYTES)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                         "%s: holds IDX numbers of type 0x%02x; only bytes (0x08) are read", path,
                         bytes[2]);
    header->dimensions = bytes[3];
    if (header->dimensions < 1 || header->dimensions > DIMENSIONS)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                         "%s: has %zu dimensions; images have 3 or 4, labels 1", path,
                         header->dimensions);
    VITC_TRY(vitc_stream_read(&got, stream, bytes, header->dimensions * 4, log));
    if (got < header->dimensions * 4) return fail_short(path, log);
    for (size_t i = 0; i < header->dimensions; i++)
        header->sizes[i] = (uint32_t)bytes[i * 4] << 24 | (uint32_t)bytes[i * 4 + 1] << 16 |
                           (uint32_t)bytes[i * 4 + 2] << 8 | bytes[i * 4 + 3];
    return VITC_OK;
}

/* After what the header announces there must be nothing. */
static vitc_status check_end(vitc_stream *stream, const char *path, const vitc_log *log)
{
    unsigned char byte;
    size_t got;
    VITC_TRY(vitc_stream_read(&got, stream, &byte, 1, log));
    if (got > 0)
        return vitc_fail(log, VITC_ERR_CORRUPT,
                         "%s: holds more bytes than its header says; get the file again", path);
    return VITC_OK;
}

/* ---- images ---- */

static vitc_status describe_images(datasets_records_file *file, const idx_header *header,
                                   const vitc_log *log)
{
    const uint32_t *sizes = header->sizes;
    if (header->dimensions == 1)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                         "%s: holds labels; name the file of images that belongs to it",
                         file->path);
    const bool grey = header->dimensions == 3;
    if (!grey && (header->dimensions != 4 || sizes[3] != 3))
        return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                         "%s: %zu dimensions that are not those of images: count, height, width "
                         "and, in colour, 3",
                         file->path, header->dimensions);
    const imgio_limits limits = imgio_limits_default();
    if (sizes[1] > limits.max_side || sizes[2] > limits.max_side ||
        (uint64_t)sizes[1] * sizes[2] > limits.max_pixels)
        return vitc_fail(log, VITC_ERR_TOO_LARGE, "%s: images of %u x %u pixels are too large",
                         file->path, sizes[2], sizes[1]);
    if (sizes[0] == 0 || sizes[1] == 0 || sizes[2] == 0)
        return vitc_fail(log, VITC_ERR_CORRUPT, "%s: says that it holds %u images of %u x %u",
                         file->path, sizes[0], sizes[2], sizes[1]);
    file->header = 4 + header->dimensions * 4;
    file->count = sizes[0];
    file->height = sizes[1];
    file->width = sizes[2];
    file->pixel = grey ? 1 : 3;
    file->channel = grey ? 0 : 1;
    file->size = file->pixel * file->width * file->height;
    return VITC_OK;
}

static vitc_status check_images(const datasets_records_file *file, vitc_stream *stream,
                                const vitc_log *log)
{
    /* 2^32 times 3 * limits.max_pixels at most: it fits. */
    const uint64_t wanted = file->count * file->size;
    uint64_t held;
    VITC_TRY(vitc_stream_skip(&held, stream, wanted, log));
    if (held < wanted)
        return vitc_fail(log, VITC_ERR_TRUNCATED,
                         "%s: announces %llu images of %u x %u, %llu bytes, and holds %llu; get "
                         "the file again",
                         file->path, (number)file->count, file->width, file->height, (number)wanted,
                         (number)held);
    return check_end(stream, file->path, log);
}

static vitc_status read_images(datasets_records_file *file, const vitc_log *log)
{
    vitc_stream *stream;
    idx_header header;
    VITC_TRY(vitc_stream_open(&stream, file->path, log));
    vitc_status status = read_header(&header, stream, file->path, log);
    if (status == VITC_OK) status = describe_images(file, &header, log);
    if (status == VITC_OK) status = check_images(file, stream, log);
    vitc_stream_close(stream);
    return status;
}

/* ---- labels ---- */

/* In `text`, which has room for it, the last `from` becomes `to`, of the same length. */
static bool replace(char *text, const char *from, const char *to)
{
    char *last = NULL;
    for (char *at = text; (at = strstr(at, from)) != NULL; at++) last = at;
    for (size_t i = 0; last != NULL && to[i] != 0; i++) last[i] = to[i];
    return last != NULL;
}

/* The name of the labels of `images`, malloc'd: train-labels-idx1-ubyte of train-images-idx3-ubyte,
 * compressed or not. */
static vitc_status find_labels(char **labels, const char *path, const vitc_log *log)
{
    *labels = NULL;
    char *name = NULL;
    if (asprintf(&name, "%s.gz", path) < 0) return vitc_fail_memory(log, path);
    char *base = name + (datasets_names_base(path) - path), *end = name + strlen(path);
    if (!replace(base, "images", "labels")) {
        free(name);
        return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                         "%s: no \"images\" in the name, where its labels' name has \"labels\"; "
                         "rename both as in train-images-idx3-ubyte, train-labels-idx1-ubyte",
                         path);
    }
    if (!replace(base, "idx3", "idx1")) replace(base, "idx4", "idx1");
    /* First as the images are, then the other way. */
    *end = 0;
    const bool compressed = datasets_names_ends(base, ".gz");
    if (access(name, F_OK) != 0) {
        if (compressed)
            end[-3] = 0;
        else
            *end = '.';
    }
    if (access(name, F_OK) != 0) {
        const vitc_status status = vitc_fail(
            log, VITC_ERR_UNREADABLE, "%s: its labels are missing: there is no %s", path, name);
        free(name);
        return status;
    }
    *labels = name;
    return VITC_OK;
}

static vitc_status check_labels(const idx_header *header, const char *path,
                                const datasets_records_file *file, const vitc_log *log)
{
    if (header->dimensions != 1)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED, "%s: has %zu dimensions; labels have 1", path,
                         header->dimensions);
    if (header->sizes[0] != file->count)
        return vitc_fail(log, VITC_ERR_CORRUPT, "%s: %u labels for the %llu images of %s", path,
                         header->sizes[0], (number)file->count, file->path);
    return VITC_OK;
}

static vitc_status read_labels_from(datasets_records_file *file, vitc_stream *stream,
                                    const char *path, const vitc_log *log)
{
    idx_header header;
    VITC_TRY(read_header(&header, stream, path, log));
    VITC_TRY(check_labels(&header, path, file, log));
    /* As many as there are images, which were seen to exist. */
    file->labels = malloc(header.sizes[0]);
    if (file->labels == NULL) return vitc_fail_memory(log, path);
    size_t got;
    VITC_TRY(vitc_stream_read(&got, stream, file->labels, header.sizes[0], log));
    if (got < header.sizes[0])
        return vitc_fail(log, VITC_ERR_TRUNCATED,
                         "%s: announces %u labels and holds %zu; get the file again", path,
                         header.sizes[0], got);
    return check_end(stream, path, log);
}

static vitc_status read_labels(datasets_records_file *file, const vitc_log *log)
{
    char *path;
    vitc_stream *stream;
    VITC_TRY(find_labels(&path, file->path, log));
    vitc_status status = vitc_stream_open(&stream, path, log);
    if (status == VITC_OK) {
        status = read_labels_from(file, stream, path, log);
        vitc_stream_close(stream);
    }
    free(path);
    return status;
}

/* ---- the set ---- */

static vitc_status add_file(datasets_records *records, const char *path, bool labelled,
                            const vitc_log *log)
{
    datasets_records_file file = {.path = path};
    vitc_status status = read_images(&file, log);
    if (status == VITC_OK && labelled) status = read_labels(&file, log);
    if (status != VITC_OK) {
        free(file.labels);
        return status;
    }
    return datasets_records_add(records, &file, log);
}

static vitc_status add_all(datasets_records *records, const datasets_opening *opening,
                           const vitc_log *log)
{
    const datasets_options *options = opening->options;
    for (size_t i = 0; i < opening->count; i++)
        VITC_TRY(add_file(records, opening->paths[i], options->labelled, log));
    if (!options->labelled) return VITC_OK;
    return datasets_records_classes(records, opening->classes, options->class_names, log);
}

vitc_status datasets_idx_open(datasets_cursor **cursor, const datasets_opening *opening,
                              const vitc_log *log)
{
    datasets_records *records;
    *cursor = NULL;
    VITC_TRY(datasets_records_create(&records, log));
    const vitc_status status = add_all(records, opening, log);
    if (status != VITC_OK) {
        datasets_records_free(records);
        return status;
    }
    *cursor = datasets_records_cursor(records);
    return VITC_OK;
}
