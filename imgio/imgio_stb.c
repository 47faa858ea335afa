/* BMP, TGA, PGM/PPM and PSD through stb_image. The only file that sees stb_image.h.
 *
 * Its GIF, HDR and PIC readers have known memory faults in packaged versions and are not compiled.
 * stb_image reads zeros past the end of the data, so the reading is watched: a decoder that asks
 * for a byte that is not there has a truncated file. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* gcc reports unused static functions at the end of the file: this one cannot be popped. */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_BMP
#define STBI_ONLY_TGA
#define STBI_ONLY_PNM
#define STBI_ONLY_PSD
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_FAILURE_STRINGS
#define STBI_MAX_DIMENSIONS 65535
#define STBI_ASSERT(x)      ((void)(x))
#include <stb_image.h>
#pragma GCC diagnostic pop

#include "imgio_private.h"

typedef struct reader {
    const imgio_source *source;
    size_t at;
    bool exhausted;
} reader;

static int on_read(void *user, char *to, int count)
{
    reader *r = user;
    const size_t left = r->source->size - r->at;
    const size_t n = (size_t)count < left ? (size_t)count : left;
    if (n == 0 && count > 0) r->exhausted = true;
    memcpy(to, r->source->data + r->at, n);
    r->at += n;
    return (int)n;
}

static void on_skip(void *user, int count)
{
    reader *r = user;
    if (count < 0) {
        const size_t back = (size_t) - (long)count;
        r->at -= back < r->at ? back : r->at;
        return;
    }
    const size_t left = r->source->size - r->at;
    if ((size_t)count > left) r->exhausted = true;
    r->at += (size_t)count < left ? (size_t)count : left;
}

static int on_eof(void *user)
{
    const reader *r = user;
    return r->at >= r->source->size;
}

static const stbi_io_callbacks callbacks = {on_read, on_skip, on_eof};

static vitc_status stb_fail(const reader *r, const char *format)
{
    const imgio_source *source = r->source;
    if (r->exhausted)
        return vitc_fail(source->log, VITC_ERR_TRUNCATED, "%s: the %s data ends early",
                         source->name, format);
    return vitc_fail(source->log, VITC_ERR_UNSUPPORTED,
                     "%s: damaged, or a kind of %s that is not read", source->name, format);
}

static vitc_status stb_probe(imgio_info *info, const imgio_source *source, const char *format)
{
    reader r = {.source = source};
    int width = 0, height = 0, channels = 0;
    if (!stbi_info_from_callbacks(&callbacks, &r, &width, &height, &channels))
        return stb_fail(&r, format);
    if (width <= 0 || height <= 0)
        return vitc_fail(source->log, VITC_ERR_CORRUPT, "%s: the header states a size of %dx%d",
                         source->name, width, height);
    info->width = (uint32_t)width;
    info->height = (uint32_t)height;
    return VITC_OK;
}

static vitc_status stb_decode(imgio_image *image, const imgio_source *source, const char *format)
{
    reader r = {.source = source};
    int width = 0, height = 0, channels = 0;
    *image = (imgio_image){0};
    stbi_uc *pixels = stbi_load_from_callbacks(&callbacks, &r, &width, &height, &channels, 3);
    if (pixels == NULL || r.exhausted) {
        stbi_image_free(pixels);
        return stb_fail(&r, format);
    }
    /* stb_image allocates with malloc, as imgio_image_free expects */
    *image = (imgio_image){pixels, (uint32_t)width, (uint32_t)height};
    return VITC_OK;
}

static uint32_t little16(const uint8_t *p)
{
    return (uint32_t)p[1] << 8 | p[0];
}

/* ---- BMP ---- */

bool imgio_bmp_match(const uint8_t *data, size_t size)
{
    /* "BM", then after the file size four reserved bytes and the header size, of which few exist */
    if (size < 18 || data[0] != 'B' || data[1] != 'M') return false;
    const uint32_t header = little16(data + 14) | little16(data + 16) << 16;
    return header == 12 || header == 40 || header == 52 || header == 56 || header == 64 ||
           header == 108 || header == 124;
}

vitc_status imgio_bmp_probe(imgio_info *info, const imgio_source *source)
{
    return stb_probe(info, source, "BMP");
}

vitc_status imgio_bmp_decode(imgio_image *image, const imgio_source *source)
{
    return stb_decode(image, source, "BMP");
}

/* ---- PSD ---- */

bool imgio_psd_match(const uint8_t *data, size_t size)
{
    return size >= 6 && memcmp(data, "8BPS\0\1", 6) == 0;
}

vitc_status imgio_psd_probe(imgio_info *info, const imgio_source *source)
{
    return stb_probe(info, source, "PSD");
}

vitc_status imgio_psd_decode(imgio_image *image, const imgio_source *source)
{
    return stb_decode(image, source, "PSD");
}

/* ---- TGA: no signature, so every field of the header must be plausible ---- */

bool imgio_tga_match(const uint8_t *data, size_t size)
{
    if (size < 18) return false;
    const uint8_t map = data[1], type = data[2], map_bits = data[7], bits = data[16];
    const bool mapped = type == 1 || type == 9, grey = type == 3 || type == 11;
    const bool color = type == 2 || type == 10;
    if (map > 1 || !(mapped || grey || color) || mapped != (map == 1)) return false;
    if (mapped && (little16(data + 5) == 0 || bits != 8 ||
                   (map_bits != 15 && map_bits != 16 && map_bits != 24 && map_bits != 32)))
        return false;
    if (!mapped && (little16(data + 3) != 0 || little16(data + 5) != 0)) return false;
    if (grey && bits != 8 && bits != 16) return false;
    if (color && bits != 15 && bits != 16 && bits != 24 && bits != 32) return false;
    return little16(data + 12) > 0 && little16(data + 14) > 0 && (data[17] & 0xC0) == 0;
}

vitc_status imgio_tga_probe(imgio_info *info, const imgio_source *source)
{
    return stb_probe(info, source, "TGA");
}

vitc_status imgio_tga_decode(imgio_image *image, const imgio_source *source)
{
    return stb_decode(image, source, "TGA");
}

/* ---- PGM and PPM, binary ---- */

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool imgio_pnm_match(const uint8_t *data, size_t size)
{
    return size >= 3 && data[0] == 'P' && (data[1] == '5' || data[1] == '6') && is_space(data[2]);
}

/* The header's three numbers, which white space and #-comments separate. */
static bool pnm_header(uint32_t numbers[3], const imgio_source *source)
{
    size_t at = 2;
    for (int i = 0; i < 3; i++) {
        while (at < source->size && (is_space(source->data[at]) || source->data[at] == '#')) {
            if (source->data[at] == '#')
                while (at < source->size && source->data[at] != '\n') at++;
            else
                at++;
        }
        uint64_t value = 0;
        const size_t from = at;
        for (; at < source->size && source->data[at] >= '0' && source->data[at] <= '9'; at++)
            if (value <= UINT32_MAX) value = value * 10 + (uint64_t)(source->data[at] - '0');
        if (at == from || value > UINT32_MAX) return false;
        numbers[i] = (uint32_t)value;
    }
    return true;
}

vitc_status imgio_pnm_probe(imgio_info *info, const imgio_source *source)
{
    uint32_t numbers[3];
    if (!pnm_header(numbers, source) || numbers[2] == 0 || numbers[2] > 65535)
        return vitc_fail(source->log, VITC_ERR_CORRUPT, "%s: damaged PGM/PPM header", source->name);
    if (numbers[2] > 255)
        return vitc_fail(source->log, VITC_ERR_UNSUPPORTED,
                         "%s: a PGM/PPM with 16-bit samples (maximum %u); convert it to 8 bits or "
                         "to PNG",
                         source->name, numbers[2]);
    info->width = numbers[0];
    info->height = numbers[1];
    return VITC_OK;
}

/* stb_image returns samples as stored; a maximum below 255 is scaled up as Pillow does. */
vitc_status imgio_pnm_decode(imgio_image *image, const imgio_source *source)
{
    uint32_t numbers[3] = {0};
    VITC_TRY(stb_decode(image, source, "PGM/PPM"));
    if (!pnm_header(numbers, source) || numbers[2] == 255) return VITC_OK;
    const uint32_t maximum = numbers[2];
    const size_t samples = (size_t)image->width * image->height * 3;
    for (size_t i = 0; i < samples; i++) {
        const uint32_t value = image->pixels[i] < maximum ? image->pixels[i] : maximum;
        image->pixels[i] = (uint8_t)((value * 510 + maximum) / (2 * maximum));
    }
    return VITC_OK;
}
