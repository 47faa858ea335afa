#include "datasets_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vitc_file.h"
#include "vitc_log.h"

static void keep_message(void *user, vitc_log_level level, const char *text)
{
    datasets_message *message = user;
    if (level != VITC_LOG_ERROR)
        vitc_log_write(message->rest, level, "%s", text);
    else if (message->text[0] == 0)
        snprintf(message->text, sizeof message->text, "%s", text);
}

vitc_log datasets_message_log(datasets_message *message, const vitc_log *rest)
{
    *message = (datasets_message){.rest = rest};
    return (vitc_log){.write = keep_message, .user = message};
}

vitc_status datasets_item_start(datasets_item *item, uint64_t index, const char *path,
                                int64_t label, const vitc_log *log)
{
    *item = (datasets_item){.index = index, .label = label};
    item->path = strdup(path);
    return item->path != NULL ? VITC_OK : vitc_fail_memory(log, path);
}

vitc_status datasets_item_found(datasets_item *item, uint64_t index, const datasets_found *found,
                                int64_t label, const vitc_log *log)
{
    VITC_TRY(datasets_item_start(item, index, found->path, label, log));
    if (found->error != NULL) {
        datasets_item_fail(item, VITC_ERR_UNREADABLE, found->error);
        return VITC_OK;
    }
    item->file = strdup(found->path);
    if (item->file != NULL) return VITC_OK;
    datasets_item_free(item);
    return vitc_fail_memory(log, found->path);
}

void datasets_item_fail(datasets_item *item, vitc_status status, const char *message)
{
    const size_t length = strlen(item->path);
    if (strncmp(message, item->path, length) == 0 && strncmp(message + length, ": ", 2) == 0)
        message += length + 2;
    else if (strncmp(message, item->path, strlen(message)) == 0)
        message = vitc_status_string(status); /* a path so long that nothing came after it */
    item->status = status;
    free(item->error);
    item->error = strdup(message);
}

void datasets_item_read(datasets_item *item, size_t max_file_size)
{
    if (item->file == NULL) return;
    datasets_message message;
    const vitc_log log = datasets_message_log(&message, NULL);
    const size_t most = max_file_size != 0 ? max_file_size : imgio_limits_default().max_file_size;
    const vitc_status status = vitc_file_read(&item->bytes, &item->size, item->file, most, &log);
    if (status != VITC_OK) datasets_item_fail(item, status, message.text);
    free(item->file);
    item->file = NULL;
}

void datasets_item_free(datasets_item *item)
{
    free(item->path);
    free(item->error);
    free(item->file);
    free(item->bytes);
    imgio_image_free(&item->image);
    *item = (datasets_item){0};
}
