/* CIFAR-10 and CIFAR-100 as binary batches (cs.toronto.edu/~kriz/cifar.html): records of one byte
 * of label (CIFAR-100: coarse, then fine label, of which the fine one counts) and 3 x 32 x 32
 * bytes, all red ones first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets_private.h"
#include "vitc_log.h"
#include "vitc_zlib.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, PIXELS = 3 * PLANE };

typedef struct cifar_format {
    size_t lead; /* bytes of labels; the last one counts */
    unsigned classes;
    const char *names; /* the file beside that names them */
} cifar_format;

static const cifar_format formats[] = {
    {.lead = 1, .classes = 10, .names = "batches.meta.txt"},
    {.lead = 2, .classes = 100, .names = "fine_label_names.txt"},
};
enum { FORMATS = sizeof formats / sizeof formats[0] };

static size_t record_size(const cifar_format *format)
{
    return format->lead + PIXELS;
}

/* The names that CIFAR's own files have. */
static const cifar_format *format_by_name(const char *path)
{
    const char *name = datasets_names_base(path);
    if (strncmp(name, "data_batch", 10) == 0 || strncmp(name, "test_batch", 10) == 0)
        return &formats[0];
    if (strcmp(name, "train.bin") == 0 || strcmp(name, "test.bin") == 0) return &formats[1];
    return NULL;
}

/* What a file of this size and these first bytes is; NULL: none of both. A size that fits both is
 * not met in practice: it is a multiple of 3,073 * 3,074 bytes. */
static const cifar_format *format_by_content(uint64_t size, const unsigned char *head)
{
    for (size_t i = 0; i < FORMATS; i++)
        if (size != 0 && size % record_size(&formats[i]) == 0 &&
            head[formats[i].lead - 1] < formats[i].classes)
            return &formats[i];
    return NULL;
}

bool datasets_cifar_is(const char *path, const unsigned char *head, size_t size)
{
    struct stat status;
    if (!datasets_names_ends(path, ".bin")) return false;
    if (format_by_name(path) != NULL) return true;
    return size >= 2 && stat(path, &status) == 0 &&
           format_by_content((uint64_t)status.st_size, head) != NULL;
}

/* ---- the set ---- */

typedef struct cifar_batch {
    const cifar_format *format;
    datasets_records_file file;
} cifar_batch;

static vitc_status find_format(cifar_batch *batch, const vitc_log *log)
{
    const char *path = batch->file.path;
    unsigned char head[2] = {0};
    struct stat status;
    vitc_stream *stream;
    size_t got;
    VITC_TRY(vitc_stream_open(&stream, path, log));
    const vitc_status read = vitc_stream_read(&got, stream, head, sizeof head, log);
    vitc_stream_close(stream);
    VITC_TRY(read);
    const uint64_t size = stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
    const cifar_format *named = format_by_name(path);
    batch->format = named != NULL ? named : format_by_content(size, head);
    if (batch->format == NULL)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED, "%s: is no binary batch of CIFAR", path);
    const size_t record = record_size(batch->format);
    if (size == 0 || size % record != 0)
        return vitc_fail(log, VITC_ERR_TRUNCATED,
                         "%s: its %llu bytes are no multiple of the %zu of a CIFAR-%u image; get "
                         "the file again",
                         path, (unsigned long long)size, record, batch->format->classes);
    batch->file.count = size / record;
    batch->file.size = record;
    return VITC_OK;
}

static vitc_status read_label(uint8_t *label, const cifar_batch *batch, vitc_stream *stream,
                              uint64_t record, const vitc_log *log)
{
    const size_t lead = batch->format->lead;
    unsigned char bytes[2];
    size_t got;
    uint64_t skipped = 0;
    VITC_TRY(vitc_stream_read(&got, stream, bytes, lead, log));
    if (got == lead) VITC_TRY(vitc_stream_skip(&skipped, stream, PIXELS, log));
    if (skipped < PIXELS)
        return vitc_fail(log, VITC_ERR_TRUNCATED, "%s: ends within image %llu; get the file again",
                         batch->file.path, (unsigned long long)record);
    *label = bytes[lead - 1];
    if (*label >= batch->format->classes)
        return vitc_fail(log, VITC_ERR_CORRUPT,
                         "%s: image %llu has the label %u, and CIFAR-%u has %u classes; get the "
                         "file again",
                         batch->file.path, (unsigned long long)record, *label,
                         batch->format->classes, batch->format->classes);
    return VITC_OK;
}

static vitc_status read_labels(cifar_batch *batch, const vitc_log *log)
{
    vitc_stream *stream;
    batch->file.labels = malloc(batch->file.count);
    if (batch->file.labels == NULL) return vitc_fail_memory(log, batch->file.path);
    vitc_status status = vitc_stream_open(&stream, batch->file.path, log);
    for (uint64_t i = 0; i < batch->file.count && status == VITC_OK; i++)
        status = read_label(&batch->file.labels[i], batch, stream, i, log);
    vitc_stream_close(stream);
    return status;
}

static vitc_status add_file(datasets_records *records, const cifar_format **format,
                            const char *path, bool labelled, const vitc_log *log)
{
    cifar_batch batch = {
        .file = {.path = path, .width = SIDE, .height = SIDE, .pixel = 1, .channel = PLANE}};
    VITC_TRY(find_format(&batch, log));
    if (*format != NULL && *format != batch.format)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "%s: is of CIFAR-%u, what comes before it of CIFAR-%u; name one of both",
                         path, batch.format->classes, (*format)->classes);
    *format = batch.format;
    batch.file.lead = batch.format->lead;
    const vitc_status status = labelled ? read_labels(&batch, log) : VITC_OK;
    if (status == VITC_OK) return datasets_records_add(records, &batch.file, log);
    free(batch.file.labels);
    return status;
}

/* The file of names that lies beside a batch, malloc'd; NULL with VITC_OK when there is none. */
static vitc_status find_names(char **names, const cifar_format *format, const char *batch,
                              const vitc_log *log)
{
    const int folder = (int)(datasets_names_base(batch) - batch);
    if (asprintf(names, "%.*s%s", folder, batch, format->names) < 0) {
        *names = NULL;
        return vitc_fail_memory(log, batch);
    }
    if (access(*names, F_OK) == 0) return VITC_OK;
    free(*names);
    *names = NULL;
    return VITC_OK;
}

static vitc_status add_all(datasets_records *records, const datasets_opening *opening,
                           const vitc_log *log)
{
    const datasets_options *options = opening->options;
    const cifar_format *format = NULL;
    for (size_t i = 0; i < opening->count; i++)
        VITC_TRY(add_file(records, &format, opening->paths[i], options->labelled, log));
    if (!options->labelled || format == NULL) return VITC_OK;
    if (options->class_names != NULL)
        return datasets_records_classes(records, opening->classes, options->class_names, log);
    char *names;
    VITC_TRY(find_names(&names, format, opening->paths[0], log));
    const vitc_status status = datasets_records_classes(records, opening->classes, names, log);
    free(names);
    return status;
}

vitc_status datasets_cifar_open(datasets_cursor **cursor, const datasets_opening *opening,
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
