/* BMP, TGA and PSD by stb_image.
 *
 * stb_image reads past short data as zeros, leaves palette entries that a file lacks uninitialized,
 * and mixes up some rare headers. So a file is read here first, up to its pixels; what stb_image
 * gets is a copy in the plainest form of the format, with every byte that it will ask for. Its
 * GIF, HDR and PIC readers, which have memory faults in versions still in use, are not compiled. */
#include <stdlib.h>
#include <string.h>

#include "imgio_private.h"
#include "vitc_size.h"

#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-function" /* reported at the end of the file: no pop */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wunused-variable"
#endif
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_BMP
#define STBI_ONLY_TGA
#define STBI_ONLY_PSD
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_FAILURE_STRINGS
#define STBI_MAX_DIMENSIONS INT_MAX /* imgio_check_size has the limits */
#define STBI_ASSERT(x)      ((void)0)
#include <limits.h>
#include <stb_image.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

/* A file in its plainest form, being put together. */
typedef struct plain_file {
    uint8_t *data;
    size_t size;
} plain_file;

/* Allocates zeros. stb_image counts bytes in int, of the file and of 4-channel pixels. */
static vitc_status plain_create(plain_file *plain, size_t head, size_t body, uint32_t width,
                                uint32_t height, const imgio_source *source)
{
    size_t pixels;
    *plain = (plain_file){0};
    if (!vitc_size_add(head, body, &plain->size) || plain->size > INT_MAX ||
        !vitc_size_mul3(width, height, 4, &pixels) || pixels > INT_MAX)
        return vitc_fail(source->log, VITC_ERR_TOO_LARGE, "%s: too large for stb_image",
                         source->name);
    plain->data = calloc(plain->size, 1);
    if (plain->data == NULL) return vitc_fail_memory(source->log, source->name);
    return VITC_OK;
}

static void put16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *p, uint32_t value)
{
    put16(p, value);
    put16(p + 2, value >> 16);
}

static vitc_status plain_decode(imgio_image *image, const plain_file *plain, const char *format,
                                const imgio_info *info, const imgio_source *source)
{
    int width = 0, height = 0, channels = 0;
    uint8_t *pixels =
        stbi_load_from_memory(plain->data, (int)plain->size, &width, &height, &channels, 3);
    /* The file has been checked to its last byte, so that only memory can have been missing. */
    if (pixels == NULL) return vitc_fail_memory(source->log, source->name);
    if ((uint32_t)width != info->width || (uint32_t)height != info->height) {
        stbi_image_free(pixels);
        return imgio_fail_corrupt(source, format, "its size is not what its header says");
    }
    *image = (imgio_image){.pixels = pixels,
                           .width = info->width,
                           .height = info->height,
                           .full_width = info->width,
                           .full_height = info->height};
    return VITC_OK;
}

/* ---- BMP ---- */

#define BMP_PALETTE_BYTES 1024

typedef struct bmp_header {
    imgio_info info;
    uint32_t header, bits, compression, colours, masks[3];
    bool top_down;
    size_t palette, entry; /* where the colours begin, and the bytes of one */
    size_t pixels;         /* where the rows begin */
} bmp_header;

bool imgio_bmp_match(const uint8_t *data, size_t size)
{
    if (size < 18 || data[0] != 'B' || data[1] != 'M') return false;
    switch (imgio_le32(data + 14)) {
    case 12: /* OS/2 1.x */
    case 40: /* Windows 3 */
    case 52:
    case 56:
    case 64: /* OS/2 2.x */
    case 108:
    case 124:
        return true;
    default:
        return false;
    }
}

static vitc_status bmp_read_header(bmp_header *bmp, const imgio_source *source)
{
    const uint8_t *data = source->data;
    *bmp = (bmp_header){.header = imgio_le32(data + 14), .entry = 4};
    if (source->size - 14 < bmp->header)
        return imgio_fail_truncated(source, "BMP", "in its header");
    if (bmp->header == 12) {
        bmp->entry = 3;
        bmp->info.width = imgio_le16(data + 18);
        bmp->info.height = imgio_le16(data + 20);
        bmp->bits = imgio_le16(data + 24);
    } else {
        const uint32_t height = imgio_le32(data + 22);
        bmp->top_down = height > INT32_MAX;
        bmp->info.width = imgio_le32(data + 18);
        bmp->info.height = bmp->top_down ? 0 - height : height;
        bmp->bits = imgio_le16(data + 28);
        bmp->compression = imgio_le32(data + 30);
        bmp->colours = imgio_le32(data + 46);
    }
    if (bmp->info.width > INT32_MAX || bmp->info.height > INT32_MAX)
        return imgio_fail_corrupt(source, "BMP", "its size is negative");
    return VITC_OK;
}

vitc_status imgio_bmp_probe(imgio_info *info, const imgio_source *source)
{
    bmp_header bmp;
    VITC_TRY(bmp_read_header(&bmp, source));
    info->width = bmp.info.width;
    info->height = bmp.info.height;
    return VITC_OK;
}

/* Up to 8 bits next to each other. */
static bool bmp_mask_is_valid(uint32_t mask)
{
    if (mask == 0) return false;
    while ((mask & 1) == 0) mask >>= 1;
    return mask <= 255 && (mask & (mask + 1)) == 0;
}

static vitc_status bmp_read_masks(bmp_header *bmp, size_t *end, const imgio_source *source)
{
    enum { BITFIELDS = 3, MASKS = 54 };
    const uint32_t defaults[2][3] = {{0x7C00, 0x3E0, 0x1F}, {0xFF0000, 0xFF00, 0xFF}};
    memcpy(bmp->masks, defaults[bmp->bits == 32], sizeof bmp->masks);
    if (bmp->compression != BITFIELDS) return VITC_OK;
    if (*end < MASKS + 12) *end = MASKS + 12; /* behind the short header, inside the longer ones */
    if (source->size < *end) return imgio_fail_truncated(source, "BMP", "in its header");
    uint32_t masks[3];
    for (size_t i = 0; i < 3; i++) masks[i] = imgio_le32(source->data + MASKS + i * 4);
    if ((masks[0] | masks[1] | masks[2]) == 0) return VITC_OK;
    for (size_t i = 0; i < 3; i++)
        if (!bmp_mask_is_valid(masks[i]))
            return imgio_fail_unsupported(source, "BMP", "its colour masks");
    if (masks[0] == masks[1] && masks[1] == masks[2]) /* stb_image gives up here */
        return imgio_fail_unsupported(source, "BMP", "its colour masks");
    memcpy(bmp->masks, masks, sizeof masks);
    return VITC_OK;
}

/* The rest of the header: only kinds that stb_image reads well go on. */
static vitc_status bmp_check(bmp_header *bmp, const imgio_source *source)
{
    enum { RLE8 = 1, RLE4 = 2, BITFIELDS = 3 };
    size_t end = 14 + (size_t)bmp->header;
    switch (bmp->compression) {
    case 0:
        break;
    case RLE8:
    case RLE4:
        return imgio_fail_unsupported(source, "BMP", "it is run-length encoded");
    case BITFIELDS:
        if (bmp->bits == 16 || bmp->bits == 32) break;
        return imgio_fail_unsupported(source, "BMP", "colour masks with its depth");
    default:
        return imgio_fail_unsupported(source, "BMP", "its compression");
    }
    switch (bmp->bits) {
    case 1:
    case 4:
    case 8: {
        const uint32_t most = 1U << bmp->bits;
        if (bmp->colours == 0) bmp->colours = most;
        if (bmp->colours > 65536)
            return imgio_fail_corrupt(source, "BMP", "its palette is too large");
        bmp->palette = end;
        end += bmp->colours * bmp->entry;
        if (bmp->colours > most) bmp->colours = most;
        break;
    }
    case 16:
    case 32:
        VITC_TRY(bmp_read_masks(bmp, &end, source));
        break;
    case 24:
        break;
    default:
        return imgio_fail_unsupported(source, "BMP", "its depth");
    }
    bmp->pixels = imgio_le32(source->data + 10);
    /* Some writers point at the palette, or nowhere. */
    if (bmp->pixels == 0 || (bmp->palette != 0 && bmp->pixels == bmp->palette)) bmp->pixels = end;
    if (bmp->palette != 0 && source->size < bmp->palette + bmp->colours * bmp->entry)
        return imgio_fail_truncated(source, "BMP", "in its palette");
    return VITC_OK;
}

/* The depth in the plain form. */
static uint32_t bmp_plain_bits(const bmp_header *bmp)
{
    return bmp->bits == 16 ? 24 : bmp->bits;
}

/* 16-bit rows as 24-bit ones, each channel v of n bits as v * 255 / (2^n - 1) rounded down, which
 * is Pillow's; stb_image repeats the high bits instead. */
static void bmp_widen(uint8_t *out, size_t out_stride, const uint8_t *in, size_t in_stride,
                      const bmp_header *bmp)
{
    unsigned shifts[3];
    for (size_t c = 0; c < 3; c++)
        for (shifts[c] = 0; (bmp->masks[c] >> shifts[c] & 1) == 0;) shifts[c]++;
    for (size_t y = 0; y < bmp->info.height; y++, in += in_stride, out += out_stride) {
        for (size_t x = 0; x < bmp->info.width; x++) {
            const uint32_t value = imgio_le16(in + x * 2);
            for (size_t c = 0; c < 3; c++) {
                const uint32_t most = bmp->masks[c] >> shifts[c];
                const uint32_t level = (value & bmp->masks[c]) >> shifts[c];
                out[x * 3 + 2 - c] = (uint8_t)(level * 255 / most); /* blue is first */
            }
        }
    }
}

static void bmp_write_header(uint8_t *out, const bmp_header *bmp, size_t head, size_t body,
                             const imgio_source *source)
{
    enum { INFO_HEADER = 40, BITFIELDS = 3 };
    const uint32_t height = bmp->info.height;
    out[0] = 'B';
    out[1] = 'M';
    put32(out + 2, (uint32_t)(head + body));
    put32(out + 10, (uint32_t)head);
    put32(out + 14, INFO_HEADER);
    put32(out + 18, bmp->info.width);
    put32(out + 22, bmp->top_down ? 0 - height : height);
    put16(out + 26, 1);
    put16(out + 28, bmp_plain_bits(bmp));
    if (bmp->bits == 32) {
        put32(out + 30, BITFIELDS);
        for (size_t i = 0; i < 3; i++) put32(out + 54 + i * 4, bmp->masks[i]);
    }
    for (size_t i = 0; bmp->palette != 0 && i < bmp->colours; i++)
        memcpy(out + 54 + i * 4, source->data + bmp->palette + i * bmp->entry, 3);
}

vitc_status imgio_bmp_decode(imgio_image *image, const imgio_source *source)
{
    bmp_header bmp;
    plain_file plain;
    VITC_TRY(bmp_read_header(&bmp, source));
    VITC_TRY(imgio_check_size(source, bmp.info.width, bmp.info.height));
    VITC_TRY(bmp_check(&bmp, source));
    const size_t head = 54U + (bmp.palette != 0 ? BMP_PALETTE_BYTES
                               : bmp.bits == 32 ? sizeof bmp.masks
                                                : 0);
    const uint64_t row_bits = (uint64_t)bmp.info.width * bmp.bits;
    const size_t stride = (size_t)((row_bits + 31) / 32 * 4);
    const size_t plain_stride =
        (size_t)(((uint64_t)bmp.info.width * bmp_plain_bits(&bmp) + 31) / 32 * 4);
    size_t body;
    if (!vitc_size_mul(stride, bmp.info.height, &body)) body = SIZE_MAX;
    /* The last row may lack its padding. */
    const size_t padding = stride - (size_t)((row_bits + 7) / 8);
    const size_t there = bmp.pixels < source->size ? source->size - bmp.pixels : 0;
    if (there < body - padding) return imgio_fail_truncated(source, "BMP", "before its last row");
    size_t plain_body;
    if (!vitc_size_mul(plain_stride, bmp.info.height, &plain_body)) plain_body = SIZE_MAX;
    VITC_TRY(plain_create(&plain, head, plain_body, bmp.info.width, bmp.info.height, source));
    bmp_write_header(plain.data, &bmp, head, plain_body, source);
    if (bmp.bits == 16)
        bmp_widen(plain.data + head, plain_stride, source->data + bmp.pixels, stride, &bmp);
    else
        memcpy(plain.data + head, source->data + bmp.pixels, there < body ? there : body);
    const vitc_status status = plain_decode(image, &plain, "BMP", &bmp.info, source);
    free(plain.data);
    return status;
}

/* ---- TGA: Truevision TGA file format specification, version 2.0 ---- */

enum {
    TGA_HEADER = 18,
    TGA_COLOURS = 256,
    TGA_INDEXED = 1,
    TGA_TRUE_COLOUR = 2,
    TGA_GREY = 3,
    TGA_RUN_LENGTH = 8,
    TGA_RIGHT_TO_LEFT = 0x10,
    TGA_TOP_DOWN = 0x20
};

/* No signature: every field of the header has to make sense. */
bool imgio_tga_match(const uint8_t *data, size_t size)
{
    if (size < TGA_HEADER || data[1] > 1) return false;
    const unsigned kind = data[2] & ~(unsigned)TGA_RUN_LENGTH, depth = data[16];
    const unsigned alpha = data[17] & 0x0F;
    const unsigned map_depth = data[7];
    if (imgio_le16(data + 12) == 0 || imgio_le16(data + 14) == 0) return false;
    if ((data[17] & 0xC0) != 0) return false; /* interleaved rows, of the 1980s */
    if (data[1] == 1) {
        if (imgio_le16(data + 5) == 0) return false;
        if (map_depth != 16 && map_depth != 24 && map_depth != 32) return false;
    } else if (imgio_le32(data + 3) != 0) {
        return false; /* no map, and yet it has a length */
    }
    switch (kind) {
    case TGA_INDEXED:
        return data[1] == 1 && depth == 8 && (alpha == 0 || alpha == 8);
    case TGA_TRUE_COLOUR:
        if (depth == 16) return alpha <= 1;
        if (depth == 24) return alpha == 0 || alpha == 8;
        return depth == 32 && (alpha == 0 || alpha == 8);
    case TGA_GREY:
        return (depth == 8 && alpha == 0) || (depth == 16 && (alpha == 0 || alpha == 8));
    default:
        return false;
    }
}

vitc_status imgio_tga_probe(imgio_info *info, const imgio_source *source)
{
    info->width = imgio_le16(source->data + 12);
    info->height = imgio_le16(source->data + 14);
    return VITC_OK;
}

/* The bytes that `pixels` pixels of `bytes` bytes take in run-length packets; false when `size`
 * bytes do not hold them. */
static bool tga_measure_runs(size_t *used, const uint8_t *data, size_t size, size_t pixels,
                             size_t bytes)
{
    size_t at = 0;
    while (pixels > 0) {
        if (at == size) return false;
        const size_t run = (data[at] & 127U) + 1;
        const size_t left = run < pixels ? run : pixels;
        const size_t payload = (data[at] & 128U) != 0 ? bytes : left * bytes;
        at++;
        if (payload > size - at) return false;
        at += payload;
        pixels -= left;
    }
    *used = at;
    return true;
}

vitc_status imgio_tga_decode(imgio_image *image, const imgio_source *source)
{
    const uint8_t *data = source->data;
    const size_t start = imgio_le16(data + 3), colours = imgio_le16(data + 5);
    const size_t entry = data[7] / 8U, bytes = data[16] / 8U;
    const size_t palette = TGA_HEADER + (size_t)data[0];
    const size_t body = palette + (data[1] == 1 ? colours * entry : 0);
    const bool indexed = (data[2] & ~(unsigned)TGA_RUN_LENGTH) == TGA_INDEXED;
    imgio_info info = {0};
    plain_file plain;
    VITC_TRY(imgio_tga_probe(&info, source));
    VITC_TRY(imgio_check_size(source, info.width, info.height));
    if (source->size < body) return imgio_fail_truncated(source, "TGA", "before its pixels");
    const size_t pixels = (size_t)info.width * info.height; /* both are below 65536 */
    size_t used = pixels * bytes;
    if ((data[2] & TGA_RUN_LENGTH) != 0) {
        if (!tga_measure_runs(&used, data + body, source->size - body, pixels, bytes))
            return imgio_fail_truncated(source, "TGA", "before its last pixel");
    } else if (source->size - body < used) {
        return imgio_fail_truncated(source, "TGA", "before its last pixel");
    }

    const size_t head = TGA_HEADER + (indexed ? TGA_COLOURS * entry : 0);
    VITC_TRY(plain_create(&plain, head, used, info.width, info.height, source));
    plain.data[2] = data[2];
    memcpy(plain.data + 12, data + 12, 5);
    plain.data[17] = data[17] & TGA_TOP_DOWN;
    if (indexed) {
        plain.data[1] = 1;
        put16(plain.data + 5, TGA_COLOURS);
        plain.data[7] = data[7];
        for (size_t i = 0; i < colours && start + i < TGA_COLOURS; i++)
            memcpy(plain.data + TGA_HEADER + (start + i) * entry, data + palette + i * entry,
                   entry);
    }
    memcpy(plain.data + head, data + body, used);
    vitc_status status = plain_decode(image, &plain, "TGA", &info, source);
    free(plain.data);
    if (status == VITC_OK && (data[17] & TGA_RIGHT_TO_LEFT) != 0)
        status = imgio_orient(image, 2, source->log);
    return status;
}

/* ---- PSD: the flattened picture that Photoshop keeps beside the layers ---- */

enum { PSD_HEADER = 26, PSD_PLAIN_HEADER = PSD_HEADER + 3 * 4 + 2 };

bool imgio_psd_match(const uint8_t *data, size_t size)
{
    return size >= 4 && memcmp(data, "8BPS", 4) == 0;
}

static vitc_status psd_read_header(imgio_info *info, const imgio_source *source)
{
    const uint8_t *data = source->data;
    if (source->size < PSD_HEADER) return imgio_fail_truncated(source, "PSD", "in its header");
    if (imgio_be16(data + 4) != 1)
        return imgio_fail_unsupported(source, "PSD", "its version (large documents are version 2)");
    info->height = imgio_be32(data + 14);
    info->width = imgio_be32(data + 18);
    return VITC_OK;
}

vitc_status imgio_psd_probe(imgio_info *info, const imgio_source *source)
{
    return psd_read_header(info, source);
}

/* The bytes that `planes` planes take in PackBits, each ending on a run's end, as stb_image asks
 * for them; VITC_ERR_TRUNCATED or VITC_ERR_CORRUPT otherwise. */
static vitc_status psd_measure_runs(size_t *used, size_t body, size_t pixels, unsigned planes,
                                    const imgio_source *source)
{
    size_t at = body;
    for (; planes > 0; planes--) {
        for (size_t left = pixels; left > 0;) {
            if (at == source->size)
                return imgio_fail_truncated(source, "PSD", "before its last pixel");
            const size_t code = source->data[at++];
            if (code == 128) continue;
            const size_t run = code < 128 ? code + 1 : 257 - code;
            const size_t payload = code < 128 ? run : 1;
            if (run > left) return imgio_fail_corrupt(source, "PSD", "a run crosses two planes");
            if (payload > source->size - at)
                return imgio_fail_truncated(source, "PSD", "before its last pixel");
            at += payload;
            left -= run;
        }
    }
    *used = at - body;
    return VITC_OK;
}

/* Steps over the colour mode, resource and layer sections to the compression of the pixels. */
static vitc_status psd_find_pixels(size_t *at, const imgio_source *source)
{
    *at = PSD_HEADER;
    for (int section = 0; section < 3; section++) {
        if (source->size - *at < 4) return imgio_fail_truncated(source, "PSD", "before its pixels");
        const size_t length = imgio_be32(source->data + *at);
        *at += 4;
        if (source->size - *at < length)
            return imgio_fail_truncated(source, "PSD", "before its pixels");
        *at += length;
    }
    if (source->size - *at < 2) return imgio_fail_truncated(source, "PSD", "before its pixels");
    return VITC_OK;
}

vitc_status imgio_psd_decode(imgio_image *image, const imgio_source *source)
{
    enum { RAW = 0, PACKBITS = 1, RGB = 3, PLANES = 3 };
    const uint8_t *data = source->data;
    imgio_info info = {0};
    plain_file plain;
    VITC_TRY(psd_read_header(&info, source));
    VITC_TRY(imgio_check_size(source, info.width, info.height));
    const size_t channels = imgio_be16(data + 12), depth = imgio_be16(data + 22);
    if (imgio_be16(data + 24) != RGB)
        return imgio_fail_unsupported(source, "PSD", "its colour mode is not RGB");
    if (depth != 8 && depth != 16)
        return imgio_fail_unsupported(source, "PSD", "it has neither 8 nor 16 bits per channel");
    if (channels < PLANES) return imgio_fail_corrupt(source, "PSD", "RGB in less than 3 channels");
    size_t at;
    VITC_TRY(psd_find_pixels(&at, source));
    const uint32_t compression = imgio_be16(data + at);
    at += 2;
    /* stb_image counts in int anyway, so a product that fits in 63 bits is enough here. */
    const size_t pixels = (size_t)info.width * info.height;
    size_t counts = 0, used = 0;
    if (compression == RAW) {
        if (!vitc_size_mul3(pixels, PLANES, depth / 8, &used) || source->size - at < used)
            return imgio_fail_truncated(source, "PSD", "before its last pixel");
    } else if (compression == PACKBITS && depth == 8) {
        const size_t rows = (size_t)info.height * 2;
        counts = rows * PLANES;
        if ((source->size - at) / channels < rows)
            return imgio_fail_truncated(source, "PSD", "before its pixels");
        at += rows * channels;
        VITC_TRY(psd_measure_runs(&used, at, pixels, PLANES, source));
    } else {
        return imgio_fail_unsupported(source, "PSD", "its compression");
    }

    /* Three channels, whatever the file has, and empty sections. Without the fourth stb_image does
     * not take a white matte out of the colours, which Pillow does not either. */
    VITC_TRY(
        plain_create(&plain, PSD_PLAIN_HEADER + counts, used, info.width, info.height, source));
    memcpy(plain.data, data, PSD_HEADER);
    plain.data[12] = 0;
    plain.data[13] = PLANES;
    plain.data[PSD_PLAIN_HEADER - 1] = (uint8_t)compression;
    memcpy(plain.data + PSD_PLAIN_HEADER + counts, data + at, used);
    const vitc_status status = plain_decode(image, &plain, "PSD", &info, source);
    free(plain.data);
    return status;
}
