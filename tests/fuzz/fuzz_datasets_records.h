/* fuzz_datasets_records.h - what the fuzzers of sets of records share: a set that opens gives all
 * its images; none has a label that it has no class for. */
#ifndef FUZZ_DATASETS_RECORDS_H
#define FUZZ_DATASETS_RECORDS_H

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

static void read_set(datasets_open_fn *open_set, const char *path, bool labelled)
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
    const vitc_status status = open_set(&cursor, &opening, NULL);
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

#endif
