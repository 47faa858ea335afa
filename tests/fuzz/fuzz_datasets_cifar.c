/* Any bytes as a batch of CIFAR-10 or CIFAR-100, which the first one decides, and as the names of
 * its classes, which begin where the records end: a set that opens gives all its images; none has a
 * label that it has no class for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

static void put(const char *path, const uint8_t *data, size_t size)
{
    FILE *stream = fopen(path, "wb");
    require(stream != NULL && fwrite(data, 1, size, stream) == size);
    require(fclose(stream) == 0);
}

static bool keep(void *user, const char *below, const char *path, int64_t label, uint64_t *index)
{
    (void)below, (void)path, (void)label;
    *index = (*(uint64_t *)user)++;
    return true;
}

static void read_set(const char *path, bool labelled)
{
    datasets_options options = datasets_options_default();
    datasets_classes *classes;
    datasets_cursor *cursor;
    uint64_t images = 0;
    options.labelled = labelled;
    require(datasets_classes_create(&classes, NULL) == VITC_OK);
    const datasets_opening opening = {
        .paths = &path, .count = 1, .options = &options, .classes = classes};
    const datasets_filter filter = {.keep = keep, .user = &images};
    const vitc_status status = datasets_cifar_open(&cursor, &opening, NULL);
    require((cursor != NULL) == (status == VITC_OK));
    for (bool end = cursor == NULL; !end;) {
        datasets_item item;
        require(cursor->next(cursor, &item, &end, &filter, NULL) == VITC_OK);
        if (!end) {
            require(item.image.pixels != NULL && item.status == VITC_OK);
            require(item.index + 1 == images);
            require(labelled
                        ? item.label >= 0 && (size_t)item.label < datasets_classes_count(classes)
                        : item.label == DATASETS_UNLABELLED);
        }
        datasets_item_free(&item);
    }
    require(cursor == NULL || images > 0);
    if (cursor != NULL) cursor->close(cursor);
    datasets_classes_free(classes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char folder[] = "/tmp/vitc-fuzz-XXXXXX", batch[64], names[64];
    if (size < 1) return 0;
    const bool hundred = data[0] % 2 != 0, named = data[0] / 2 % 2 != 0;
    const size_t record = hundred ? 3074 : 3073;
    data++;
    size--;
    const size_t length = named ? size / record * record : size;
    require(mkdtemp(folder) != NULL);
    snprintf(batch, sizeof batch, "%s/%s", folder, hundred ? "test.bin" : "test_batch.bin");
    snprintf(names, sizeof names, "%s/%s", folder,
             hundred ? "fine_label_names.txt" : "batches.meta.txt");
    put(batch, data, length);
    if (named) put(names, data + length, size - length);
    read_set(batch, true);
    read_set(batch, false);
    require(unlink(batch) == 0 && (!named || unlink(names) == 0) && rmdir(folder) == 0);
    return 0;
}
