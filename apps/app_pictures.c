#include "app_pictures.h"

#include <stdlib.h>
#include <string.h>

#include "app_html.h"
#include "app_model.h"
#include "app_progress.h"
#include "app_report.h"
#include "vitc_log.h"
#include "vitc_size.h"

enum {
    SIDE = 128, /* pixels of a picture's longer side */
    FEW = 64,   /* an image up to this is shown as it is, its pixels enlarged by the browser */
    QUALITY = 82,
    LEVEL = 9 /* zlib's, for images of few pixels, which JPEG would smear */
};

static int compare_indices(const void *a, const void *b)
{
    const uint64_t p = ((const app_picture *)a)->index, q = ((const app_picture *)b)->index;
    return (p > q) - (p < q);
}

static app_picture *find(const app_pictures *pictures, uint64_t index)
{
    const app_picture key = {.index = index};
    return pictures->count == 0 ? NULL
                                : bsearch(&key, pictures->items, pictures->count,
                                          sizeof *pictures->items, compare_indices);
}

const app_picture *app_pictures_find(const app_pictures *pictures, uint64_t index)
{
    return find(pictures, index);
}

static bool is_wanted(void *user, uint64_t index, const char *path)
{
    (void)path;
    return find(user, index) != NULL;
}

/* As large as it is shown, in the image's own shape. */
static vitc_status reduce(imgio_image *out, const imgio_image *image, const vitc_log *log)
{
    const uint64_t longer = image->width > image->height ? image->width : image->height;
    const uint64_t width = (image->width * (uint64_t)SIDE + longer / 2) / longer;
    const uint64_t height = (image->height * (uint64_t)SIDE + longer / 2) / longer;
    return imgio_resize(out, image, width > 0 ? (uint32_t)width : 1,
                        height > 0 ? (uint32_t)height : 1, IMGIO_BICUBIC, IMGIO_ORDER_PILLOW13,
                        log);
}

static vitc_status encode(app_picture *picture, const imgio_image *image, const vitc_log *log)
{
    picture->small = image->width <= FEW && image->height <= FEW;
    if (picture->small) return imgio_encode_png(&picture->data, &picture->size, image, LEVEL, log);
    if (image->width <= SIDE && image->height <= SIDE)
        return imgio_encode_jpeg(&picture->data, &picture->size, image, QUALITY, log);
    imgio_image reduced = {0};
    vitc_status status = reduce(&reduced, image, log);
    if (status == VITC_OK)
        status = imgio_encode_jpeg(&picture->data, &picture->size, &reduced, QUALITY, log);
    imgio_image_free(&reduced);
    return status;
}

static void take(app_picture *picture, datasets_item *item, const imgio_decode_options *decode)
{
    const vitc_log silent = {0};
    if (picture == NULL || picture->path != NULL) return;
    picture->path = item->path;
    item->path = NULL;
    if (item->status == VITC_OK) datasets_item_read(item, decode->limits.max_file_size);
    if (item->status != VITC_OK) return;
    if (item->image.pixels == NULL &&
        imgio_decode_memory(&item->image, item->bytes, item->size, picture->path, decode,
                            &silent) != VITC_OK)
        return;
    if (encode(picture, &item->image, &silent) != VITC_OK) {
        free(picture->data);
        picture->data = NULL;
    }
}

/* What is wrong with the set or an image was said when it was looked at first. */
static void read_set(app_pictures *pictures, datasets_set *set, const app_settings *settings)
{
    const vitc_log silent = {0};
    imgio_decode_options decode = app_decode_options(settings);
    decode.fast = true;
    decode.min_width = decode.min_height = 2 * SIDE;
    size_t done = 0;
    app_progress_start(NULL, pictures->count, settings->quiet);
    for (bool end = false; done < pictures->count && !end;) {
        datasets_item item;
        if (datasets_next(&item, &end, set, &silent) != VITC_OK) break;
        if (!end) {
            take(find(pictures, item.index), &item, &decode);
            app_progress_update(++done);
        }
        datasets_item_free(&item);
    }
    app_progress_finish();
}

/* In order, each once. */
static void keep_each_once(app_pictures *pictures)
{
    size_t kept = 0;
    if (pictures->count == 0) return;
    qsort(pictures->items, pictures->count, sizeof *pictures->items, compare_indices);
    for (size_t i = 0; i < pictures->count; i++)
        if (kept == 0 || pictures->items[i].index != pictures->items[kept - 1].index)
            pictures->items[kept++] = pictures->items[i];
    pictures->count = kept;
}

int app_pictures_load(app_pictures *pictures, const uint64_t *indices, size_t count,
                      const char *const *paths, size_t path_count, const datasets_options *opening,
                      const app_settings *settings)
{
    const vitc_log log = app_log_errors();
    datasets_options options = *opening;
    datasets_set *set = NULL;
    *pictures = (app_pictures){.count = count};
    if (count == 0) return APP_EXIT_DONE;
    pictures->items = calloc(count, sizeof *pictures->items);
    if (pictures->items == NULL) {
        *pictures = (app_pictures){0};
        return app_exit_status(vitc_fail_memory(&log, "the pictures"));
    }
    for (size_t i = 0; i < count; i++) pictures->items[i].index = indices[i];
    keep_each_once(pictures);
    options.wanted = is_wanted;
    options.wanted_user = pictures;
    const vitc_status status = datasets_open(&set, paths, path_count, &options, &log);
    if (status == VITC_OK) read_set(pictures, set, settings);
    datasets_close(set);
    return status == VITC_ERR_MEMORY ? app_exit_status(status) : APP_EXIT_DONE;
}

void app_pictures_free(app_pictures *pictures)
{
    for (size_t i = 0; i < pictures->count; i++) {
        free(pictures->items[i].path);
        free(pictures->items[i].data);
    }
    free(pictures->items);
    *pictures = (app_pictures){0};
}

void app_pictures_put(vitc_file_writer *page, const app_picture *picture, const char *alternative)
{
    app_html_put(page, "<div class=\"frame\">");
    if (picture != NULL && picture->data != NULL) {
        app_html_put(page, "<img%s src=\"", picture->small ? " class=\"small\"" : "");
        app_html_data(page, picture->small ? "image/png" : "image/jpeg", picture->data,
                      picture->size);
        app_html_put(page, "\" alt=\"");
        app_html_text(page, alternative);
        app_html_put(page, "\">");
    } else {
        app_html_text(page, picture == NULL || picture->path == NULL
                                ? "The set no longer has this image"
                                : "This image cannot be shown");
    }
    app_html_put(page, "</div>");
}
