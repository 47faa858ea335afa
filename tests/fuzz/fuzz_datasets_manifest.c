/* Any bytes as a list of paths and labels: reading never breaks, and what a survey counts is what
 * comes, each with a path and, in a list that was opened, with a class. The first byte picks the
 * format, and whether labels are asked for. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

/* Lists are files; each process writes its own, over and over. */
static char folder[] = "/tmp/vitc-fuzz-XXXXXX";
static char list[sizeof folder + 16];

static void clean_up(void)
{
    (void)unlink(list);
    (void)rmdir(folder);
}

static void write_list(const char *ending, const uint8_t *data, size_t size)
{
    if (list[0] == 0) {
        require(mkdtemp(folder) != NULL);
        require(atexit(clean_up) == 0);
    }
    (void)unlink(list);
    snprintf(list, sizeof list, "%s/list%s", folder, ending);
    FILE *stream = fopen(list, "wb");
    require(stream != NULL);
    require(size == 0 || fwrite(data, 1, size, stream) == size);
    require(fclose(stream) == 0);
}

/* What a list may be refused for: its text, or JSON beyond the bounds of vitc_json. */
static bool is_refusal(vitc_status status)
{
    return status == VITC_ERR_CORRUPT || status == VITC_ERR_TOO_LARGE;
}

/* An image of the list; without labels the list itself may be one that failed, which ends it: what
 * was checked when a labelled list was opened is not found wrong later. */
static void check_item(const datasets_item *item, bool labelled, const datasets_set *set)
{
    if (item->status != VITC_OK) {
        require(!labelled && is_refusal(item->status) && item->error != NULL);
        require(strcmp(item->path, list) == 0);
        return;
    }
    require(item->path[0] != 0 && item->file != NULL);
    require(labelled ? item->label >= 0 && (size_t)item->label < datasets_class_count(set)
                     : item->label == DATASETS_UNLABELLED);
}

static void read_all(datasets_set *set, bool labelled, uint64_t images)
{
    uint64_t index = 0;
    for (;;) {
        datasets_item item;
        bool end;
        require(datasets_next(&item, &end, set, NULL) == VITC_OK);
        if (end) break;
        require(item.index == index++);
        check_item(&item, labelled, set);
        datasets_item_free(&item);
    }
    require(index == images);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const endings[] = {".csv", ".tsv", ".jsonl"};
    if (size == 0) return 0;
    write_list(endings[data[0] % 3], data + 1, size - 1);
    const char *path = list;
    datasets_options options = datasets_options_default();
    options.labelled = (data[0] & 0x80) == 0;
    datasets_set *set;
    const vitc_status status = datasets_open(&set, &path, 1, &options, NULL);
    if (status != VITC_OK) {
        require(is_refusal(status) && options.labelled);
        return 0;
    }
    datasets_survey survey;
    require(datasets_survey_set(&survey, set, NULL, NULL, NULL) == VITC_OK);
    require(survey.counted);
    read_all(set, options.labelled, survey.images);
    for (size_t i = 0; i < datasets_class_count(set); i++)
        require(datasets_class_name(set, i)[0] != 0);
    datasets_close(set);
    return 0;
}
