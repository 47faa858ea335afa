/* The first frame of a GIF through giflib. The only file that sees gif_lib.h.
 *
 * As in Pillow: the canvas is the logical screen, grown to hold the frame; around the frame it
 * shows the transparent index, or else index 0; transparency is dropped with the alpha; without any
 * palette the indices are grey levels. */
#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>

#include "imgio_private.h"

typedef struct reader {
    const imgio_source *source;
    size_t at;
    bool exhausted;
} reader;

static int on_read(GifFileType *gif, GifByteType *to, int count)
{
    reader *r = gif->UserData;
    const size_t left = r->source->size - r->at;
    size_t n = count > 0 ? (size_t)count : 0;
    if (n > left) {
        r->exhausted = true;
        n = left;
    }
    memcpy(to, r->source->data + r->at, n);
    r->at += n;
    return (int)n;
}

bool imgio_gif_match(const uint8_t *data, size_t size)
{
    return size >= 6 && (memcmp(data, "GIF87a", 6) == 0 || memcmp(data, "GIF89a", 6) == 0);
}

static vitc_status gif_fail(const reader *r, int code)
{
    const imgio_source *source = r->source;
    if (code == D_GIF_ERR_NOT_ENOUGH_MEM) return vitc_fail_memory(source->log, source->name);
    if (r->exhausted)
        return vitc_fail(source->log, VITC_ERR_TRUNCATED, "%s: the GIF data ends early",
                         source->name);
    const char *text = GifErrorString(code);
    return vitc_fail(source->log, VITC_ERR_CORRUPT, "%s: damaged GIF: %s", source->name,
                     text != NULL ? text : "no frame in it");
}

/* Opens the file and reads up to the first frame's descriptor. *transparent: its transparent index,
 * or -1. */
static vitc_status open_first_frame(GifFileType **gif, reader *r, int *transparent)
{
    int code = 0;
    *transparent = -1;
    *gif = DGifOpen(r, on_read, &code);
    if (*gif == NULL) return gif_fail(r, code);
    for (;;) {
        GifRecordType record;
        if (DGifGetRecordType(*gif, &record) == GIF_ERROR) return gif_fail(r, (*gif)->Error);
        if (record == IMAGE_DESC_RECORD_TYPE)
            return DGifGetImageDesc(*gif) == GIF_ERROR ? gif_fail(r, (*gif)->Error) : VITC_OK;
        if (record != EXTENSION_RECORD_TYPE) return gif_fail(r, 0);
        GifByteType *extension;
        int kind;
        if (DGifGetExtension(*gif, &kind, &extension) == GIF_ERROR)
            return gif_fail(r, (*gif)->Error);
        while (extension != NULL) {
            GraphicsControlBlock control;
            if (kind == GRAPHICS_EXT_FUNC_CODE &&
                DGifExtensionToGCB(extension[0], extension + 1, &control) == GIF_OK)
                *transparent = control.TransparentColor;
            if (DGifGetExtensionNext(*gif, &extension) == GIF_ERROR)
                return gif_fail(r, (*gif)->Error);
        }
    }
}

static uint32_t larger(int a, int b)
{
    return (uint32_t)(a > b ? a : b);
}

vitc_status imgio_gif_probe(imgio_info *info, const imgio_source *source)
{
    reader r = {.source = source};
    GifFileType *gif;
    int transparent;
    const vitc_status status = open_first_frame(&gif, &r, &transparent);
    if (status == VITC_OK) {
        const GifImageDesc *frame = &gif->Image;
        info->width = larger(gif->SWidth, frame->Left + frame->Width);
        info->height = larger(gif->SHeight, frame->Top + frame->Height);
    }
    if (gif != NULL) DGifCloseFile(gif, NULL);
    return status;
}

/* Palette as 256 RGB triples; indices past its end are black. */
static void load_palette(uint8_t palette[256][3], const GifFileType *gif)
{
    const ColorMapObject *map = gif->Image.ColorMap != NULL ? gif->Image.ColorMap : gif->SColorMap;
    memset(palette, 0, 256 * 3);
    for (int i = 0; i < 256; i++) {
        if (map == NULL) {
            memset(palette[i], i, 3);
        } else if (i < map->ColorCount) {
            palette[i][0] = map->Colors[i].Red;
            palette[i][1] = map->Colors[i].Green;
            palette[i][2] = map->Colors[i].Blue;
        }
    }
}

static vitc_status read_frame(imgio_image *image, GifFileType *gif, reader *r, int transparent)
{
    static const int start[4] = {0, 4, 2, 1}, step[4] = {8, 8, 4, 2}; /* interlaced passes */
    const GifImageDesc *frame = &gif->Image;
    uint8_t palette[256][3];
    load_palette(palette, gif);
    if (frame->Width <= 0 || frame->Height <= 0 || frame->Left < 0 || frame->Top < 0)
        return gif_fail(r, D_GIF_ERR_IMAGE_DEFECT);
    VITC_TRY(imgio_image_create(image, larger(gif->SWidth, frame->Left + frame->Width),
                                larger(gif->SHeight, frame->Top + frame->Height), r->source->log));
    const uint8_t *around = palette[transparent >= 0 ? transparent : 0];
    const size_t pixels = (size_t)image->width * image->height;
    for (size_t i = 0; i < pixels; i++) memcpy(image->pixels + i * 3, around, 3);

    GifPixelType *line = malloc((size_t)frame->Width);
    if (line == NULL) return vitc_fail_memory(r->source->log, r->source->name);
    vitc_status status = VITC_OK;
    for (int pass = 0; pass < (frame->Interlace ? 4 : 1); pass++) {
        const int first = frame->Interlace ? start[pass] : 0;
        for (int y = first; y < frame->Height; y += frame->Interlace ? step[pass] : 1) {
            if (DGifGetLine(gif, line, frame->Width) == GIF_ERROR) {
                status = gif_fail(r, gif->Error);
                goto cleanup;
            }
            uint8_t *to =
                image->pixels + ((size_t)(frame->Top + y) * image->width + (size_t)frame->Left) * 3;
            for (int x = 0; x < frame->Width; x++, to += 3) memcpy(to, palette[line[x]], 3);
        }
    }

cleanup:
    free(line);
    return status;
}

vitc_status imgio_gif_decode(imgio_image *image, const imgio_source *source)
{
    reader r = {.source = source};
    GifFileType *gif;
    int transparent;
    *image = (imgio_image){0};
    vitc_status status = open_first_frame(&gif, &r, &transparent);
    if (status == VITC_OK) status = read_frame(image, gif, &r, transparent);
    if (gif != NULL) DGifCloseFile(gif, NULL);
    if (status != VITC_OK) imgio_image_free(image);
    return status;
}
