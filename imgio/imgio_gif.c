/* The first frame of a GIF by giflib, on the canvas that Pillow would show it on. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>

#include "imgio_private.h"

#define FORMAT "GIF"

bool imgio_gif_match(const uint8_t *data, size_t size)
{
    return size >= 6 && (memcmp(data, "GIF87a", 6) == 0 || memcmp(data, "GIF89a", 6) == 0);
}

typedef struct gif_job {
    const imgio_source *source;
    size_t at;
    bool ran_out; /* giflib has asked for more bytes than there are */
    GifFileType *gif;
    int transparent;        /* index of the transparent colour, or -1 */
    uint32_t width, height; /* the screen, grown to hold the frame */
} gif_job;

static int on_read(GifFileType *gif, GifByteType *bytes, int count)
{
    gif_job *job = gif->UserData;
    const size_t left = job->source->size - job->at;
    const size_t wanted = count > 0 ? (size_t)count : 0;
    const size_t given = wanted < left ? wanted : left;
    memcpy(bytes, job->source->data + job->at, given);
    job->at += given;
    if (given < wanted) job->ran_out = true;
    return (int)given;
}

static vitc_status fail_with(int error, const gif_job *job)
{
    /* giflib reports some failed allocations as damage; malloc leaves its mark in errno. */
    if (error == D_GIF_ERR_NOT_ENOUGH_MEM || errno == ENOMEM)
        return vitc_fail_memory(job->source->log, job->source->name);
    if (job->ran_out)
        return imgio_fail_truncated(job->source, FORMAT, "before its first frame is whole");
    const char *message = GifErrorString(error);
    return imgio_fail_corrupt(job->source, FORMAT,
                              message != NULL ? message : "its compressed data is broken");
}

/* The graphic control extension (label 0xF9) says which index is transparent. */
static vitc_status read_extension(gif_job *job)
{
    enum { GRAPHIC_CONTROL = 0xF9, TRANSPARENT = 0x01 };
    int label = 0;
    GifByteType *block = NULL;
    if (DGifGetExtension(job->gif, &label, &block) == GIF_ERROR)
        return fail_with(job->gif->Error, job);
    if (label == GRAPHIC_CONTROL && block != NULL && block[0] >= 4 && (block[1] & TRANSPARENT) != 0)
        job->transparent = block[4];
    while (block != NULL)
        if (DGifGetExtensionNext(job->gif, &block) == GIF_ERROR)
            return fail_with(job->gif->Error, job);
    return VITC_OK;
}

/* Opens the file and reads up to the pixels of the first frame. */
static vitc_status begin(gif_job *job)
{
    int error = D_GIF_ERR_READ_FAILED;
    job->transparent = -1;
    errno = 0;
    job->gif = DGifOpen(job, on_read, &error);
    if (job->gif == NULL) return fail_with(error, job);
    for (;;) {
        GifRecordType record;
        if (DGifGetRecordType(job->gif, &record) == GIF_ERROR)
            return fail_with(job->gif->Error, job);
        if (record == EXTENSION_RECORD_TYPE) {
            VITC_TRY(read_extension(job));
        } else if (record == IMAGE_DESC_RECORD_TYPE) {
            break;
        } else {
            return imgio_fail_corrupt(job->source, FORMAT, "it holds no image");
        }
    }
    if (DGifGetImageDesc(job->gif) == GIF_ERROR) return fail_with(job->gif->Error, job);
    const GifImageDesc *frame = &job->gif->Image;
    /* All are 16-bit numbers in the file. */
    const uint32_t right = (uint32_t)(frame->Left + frame->Width);
    const uint32_t bottom = (uint32_t)(frame->Top + frame->Height);
    job->width = (uint32_t)job->gif->SWidth;
    job->height = (uint32_t)job->gif->SHeight;
    if (right > job->width) job->width = right;
    if (bottom > job->height) job->height = bottom;
    return VITC_OK;
}

static void end(gif_job *job)
{
    int error;
    if (job->gif != NULL) DGifCloseFile(job->gif, &error);
}

vitc_status imgio_gif_probe(imgio_info *info, const imgio_source *source)
{
    gif_job job = {.source = source};
    const vitc_status status = begin(&job);
    if (status == VITC_OK) {
        info->width = job.width;
        info->height = job.height;
    }
    end(&job);
    return status;
}

/* 256 RGB entries: the frame's own colours or the file's, black past their end; the grey ramp
 * where there are none. */
static void read_palette(uint8_t *palette, const GifFileType *gif)
{
    const ColorMapObject *map = gif->Image.ColorMap != NULL ? gif->Image.ColorMap : gif->SColorMap;
    bool ramp = true;
    memset(palette, 0, (size_t)256 * 3);
    const size_t count = map == NULL || map->ColorCount < 0 ? 0 : (size_t)map->ColorCount;
    for (size_t i = 0; i < count && i < 256; i++) {
        const GifColorType *colour = &map->Colors[i];
        palette[i * 3] = colour->Red;
        palette[i * 3 + 1] = colour->Green;
        palette[i * 3 + 2] = colour->Blue;
        if (colour->Red != i || colour->Green != i || colour->Blue != i) ramp = false;
    }
    /* Pillow reads a map that begins as the grey ramp as grey pixels, however short it is. */
    for (size_t i = 0; ramp && i < 256; i++) memset(palette + i * 3, (int)i, 3);
}

static vitc_status read_pixels(gif_job *job, imgio_image *image)
{
    static const uint32_t starts[] = {0, 4, 2, 1}, steps[] = {8, 8, 4, 2};
    const GifImageDesc *frame = &job->gif->Image;
    const size_t stride = (size_t)image->width * 3;
    const size_t left = (size_t)frame->Left, top = (size_t)frame->Top;
    const size_t width = (size_t)frame->Width, height = (size_t)frame->Height;
    const int passes = frame->Interlace ? 4 : 1;
    uint8_t palette[256 * 3];
    read_palette(palette, job->gif);
    /* Around a frame that is smaller than the screen Pillow has the transparent index, else 0. */
    const uint8_t *around = palette + (job->transparent >= 0 ? (size_t)job->transparent : 0) * 3;
    for (size_t i = 0; i < stride * image->height; i += 3) memcpy(image->pixels + i, around, 3);
    if (width == 0) return VITC_OK;
    for (int pass = 0; pass < passes; pass++) {
        const size_t step = frame->Interlace ? steps[pass] : 1;
        for (size_t y = frame->Interlace ? starts[pass] : 0; y < height; y += step) {
            uint8_t *row = image->pixels + (top + y) * stride + left * 3;
            if (DGifGetLine(job->gif, row, frame->Width) == GIF_ERROR)
                return fail_with(job->gif->Error, job);
            imgio_convert_palette(row, width, palette);
        }
    }
    return VITC_OK;
}

static vitc_status decode(gif_job *job, imgio_image *image)
{
    VITC_TRY(begin(job));
    VITC_TRY(imgio_check_size(job->source, job->width, job->height));
    VITC_TRY(imgio_image_create(image, job->width, job->height, job->source->log));
    return read_pixels(job, image);
}

vitc_status imgio_gif_decode(imgio_image *image, const imgio_source *source)
{
    gif_job job = {.source = source};
    const vitc_status status = decode(&job, image);
    end(&job);
    if (status != VITC_OK) imgio_image_free(image);
    return status;
}
