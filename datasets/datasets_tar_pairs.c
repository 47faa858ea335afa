/* Pairs in tar files, as WebDataset makes them: members of one key, next to each other, are an
 * image and its label. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets_tar.h"
#include "vitc_json.h"
#include "vitc_log.h"

enum { LABEL_MOST = 1024 * 1024 }; /* bytes of a .cls or .json */

typedef struct tar_pair {
    char *key;          /* the name of its first member, or NULL before that */
    char *name;         /* of the image; of the label while there is none */
    datasets_item item; /* of the same member */
    datasets_tar_image image;
    datasets_tar_label rank; /* of the label that was read */
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
static vitc_status read_label_text(tar_pair *pair, datasets_tar_job *job, const char *text,
                                   const vitc_log *log)
{
    if (job->named == 0 || text[strspn(text, "0123456789")] != 0)
        return datasets_classes_label(&pair->label, job->classes, text, log);
    errno = 0;
    const unsigned long long number = strtoull(text, NULL, 10);
    if (errno != 0 || number >= job->named)
        fail_label(pair, "is beyond the class names that were given", text);
    else
        pair->label = (int64_t)number;
    return VITC_OK;
}

/* A .cls holds nothing but the label. */
static vitc_status read_cls(tar_pair *pair, datasets_tar_job *job, char *text, size_t size,
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
        return read_label_text(pair, job, text + before, log);
    return VITC_OK;
}

/* Of a .json counts the first that it has of label, cls and class: a whole number or a text. */
static vitc_status read_json(tar_pair *pair, datasets_tar_job *job, const char *text, size_t size,
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
        fail_label(pair, "is missing", "its .json has no text or number label, cls or class");
    else
        status = read_label_text(pair, job, label, log);
    vitc_json_free(document);
    return status;
}

static vitc_status read_label(tar_pair *pair, datasets_tar_job *job, const datasets_item *item,
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
    const vitc_status status = pair->rank == DATASETS_TAR_LABEL_CLS
                                   ? read_cls(pair, job, text, item->size, log)
                                   : read_json(pair, job, text, item->size, log);
    free(text);
    return status;
}

/* Lets the pair's item be the reader's member. */
static vitc_status name_pair(tar_pair *pair, const datasets_tar_job *job, const vitc_log *log)
{
    free(pair->name);
    datasets_item_free(&pair->item);
    pair->name = strdup(datasets_tar_reader_name(job->reader));
    if (pair->name == NULL) return vitc_fail_memory(log, datasets_tar_reader_name(job->reader));
    return datasets_tar_reader_item(&pair->item, job->reader, DATASETS_UNLABELLED, log);
}

static vitc_status take_label(tar_pair *pair, datasets_tar_job *job, const vitc_log *log)
{
    datasets_item item;
    if (pair->name == NULL) VITC_TRY(name_pair(pair, job, log));
    VITC_TRY(datasets_tar_reader_item(&item, job->reader, DATASETS_UNLABELLED, log));
    vitc_status status = datasets_tar_reader_fill(&item, NULL, job->reader, LABEL_MOST, log);
    if (status == VITC_OK) status = read_label(pair, job, &item, log);
    datasets_item_free(&item);
    return status;
}

/* Adds the reader's member to the pair: its label, its image, or nothing that counts. */
static vitc_status take_part(tar_pair *pair, datasets_tar_job *job, const datasets_filter *filter,
                             const vitc_log *log)
{
    const datasets_tar_label rank = datasets_tar_label_of(datasets_tar_reader_name(job->reader));
    const datasets_tar_image image = datasets_tar_image_of(datasets_tar_reader_name(job->reader));
    if (rank != DATASETS_TAR_LABEL_NONE) {
        if (rank <= pair->rank) return VITC_OK;
        pair->rank = rank;
        return take_label(pair, job, log);
    }
    if (image <= pair->image) return VITC_OK;
    pair->image = image;
    VITC_TRY(name_pair(pair, job, log));
    if (filter->counting) return VITC_OK;
    return datasets_tar_reader_fill(&pair->item, filter->place, job->reader, job->most, log);
}

/* Collects what has one key; *end when there is nothing more. When the file cannot be read any
 * further behind a pair that is whole, the pair is given first. */
static vitc_status collect_pair(tar_pair *pair, bool *end, datasets_tar_job *job,
                                const datasets_filter *filter, const vitc_log *log)
{
    if (job->failure != VITC_OK) return vitc_fail(log, job->failure, "%s", job->message.text);
    const vitc_log keeper = datasets_message_log(&job->message, log);
    while (job->failure == VITC_OK) {
        bool last = false;
        if (!job->held) job->failure = datasets_tar_reader_next(&last, job->reader, &keeper);
        *end = last && pair->key == NULL;
        if (job->failure != VITC_OK || last) break;
        job->held = true;
        if (pair->key != NULL &&
            !datasets_tar_is_same_key(pair->key, datasets_tar_reader_name(job->reader)))
            return VITC_OK;
        if (pair->key == NULL) pair->key = strdup(datasets_tar_reader_name(job->reader));
        if (pair->key == NULL) return vitc_fail_memory(log, datasets_tar_reader_name(job->reader));
        VITC_TRY(take_part(pair, job, filter, log));
        job->held = false;
    }
    const bool whole =
        pair->image != DATASETS_TAR_IMAGE_NONE && pair->rank != DATASETS_TAR_LABEL_NONE;
    return job->failure == VITC_OK || whole ? VITC_OK
                                            : vitc_fail(log, job->failure, "%s", job->message.text);
}

/* What the pair lacks, if the image itself is good. */
static void check_pair(tar_pair *pair)
{
    const char *lacks = NULL;
    if (pair->image == DATASETS_TAR_IMAGE_NONE)
        lacks = "a label without an image: no member of the same name lies next to it";
    else if (pair->rank == DATASETS_TAR_LABEL_NONE)
        lacks = "an image without a label: no .cls or .json of the same name lies next to it";
    else if (pair->label == DATASETS_UNLABELLED)
        lacks = pair->error;
    if (lacks == NULL || pair->item.status != VITC_OK) return;
    datasets_item_fail(&pair->item, VITC_ERR_CORRUPT, lacks);
    free(pair->item.bytes);
    pair->item.bytes = NULL;
    pair->item.size = 0;
}

vitc_status datasets_tar_next_pair(datasets_item *item, bool *kept, bool *end,
                                   datasets_tar_job *job, const datasets_filter *filter,
                                   const vitc_log *log)
{
    tar_pair pair = {.label = DATASETS_UNLABELLED};
    const vitc_status status = collect_pair(&pair, end, job, filter, log);
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
