/* PNG by libpng: raw samples out of libpng, conversion to RGB here, so that it is Pillow's. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "imgio_private.h"
#include "vitc_size.h"
#include "vitc_zlib.h"

#define FORMAT "PNG"

static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

bool imgio_png_match(const uint8_t *data, size_t size)
{
    return size >= sizeof signature && memcmp(data, signature, sizeof signature) == 0;
}

/* ---- chunks, without libpng ---- */

typedef struct png_chunk {
    const uint8_t *type, *data;
    size_t length;
} png_chunk;

static bool chunk_is(const png_chunk *chunk, const char *type)
{
    return memcmp(chunk->type, type, 4) == 0;
}

static bool is_letter(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Takes the chunk at *at and steps over it; false when the data does not hold all of it. */
static bool next_chunk(png_chunk *chunk, size_t *at, const imgio_source *source)
{
    const size_t left = source->size - *at;
    if (left < 12) return false;
    const uint8_t *start = source->data + *at;
    chunk->length = imgio_be32(start);
    chunk->type = start + 4;
    chunk->data = start + 8;
    if (chunk->length > left - 12) return false;
    *at += 12 + chunk->length;
    return true;
}

/* iTXt holds XMP under the keyword XML:com.adobe.xmp; compressed text is not looked into. */
static void read_text(imgio_orientation *orientation, const png_chunk *chunk)
{
    static const char keyword[] = "XML:com.adobe.xmp";
    if (chunk->length <= sizeof keyword || memcmp(chunk->data, keyword, sizeof keyword) != 0 ||
        chunk->data[sizeof keyword] != 0)
        return;
    imgio_orientation_add_xmp(orientation, chunk->data + sizeof keyword,
                              chunk->length - sizeof keyword);
}

/* Walks the chunks: the header's numbers, EXIF and XMP wherever they stand, and the checks that
 * libpng is told to leave out. As in Pillow the check sums of all chunks before the pixels count.
 * The pixels' own does not: zlib has a better one, over the same data. */
vitc_status imgio_png_probe(imgio_info *info, const imgio_source *source)
{
    imgio_orientation orientation = {0};
    png_chunk chunk;
    size_t at = sizeof signature;
    bool pixels = false;
    for (bool first = true; next_chunk(&chunk, &at, source); first = false) {
        for (int i = 0; i < 4; i++)
            if (!is_letter(chunk.type[i]) && !pixels)
                return imgio_fail_corrupt(source, FORMAT, "a chunk has no valid name");
        const bool header = chunk_is(&chunk, "IHDR");
        if (header != first)
            return imgio_fail_corrupt(source, FORMAT, "its header is not its first chunk");
        if (chunk_is(&chunk, "IEND")) break;
        if (chunk_is(&chunk, "IDAT")) {
            pixels = true;
            continue;
        }
        const bool critical = (chunk.type[0] & 0x20) == 0;
        if (!critical && chunk.length > source->limits->max_metadata)
            return vitc_fail(source->log, VITC_ERR_TOO_LARGE,
                             "%s: a metadata chunk of %zu bytes; the limit is %zu", source->name,
                             chunk.length, source->limits->max_metadata);
        if (!pixels &&
            vitc_crc32(chunk.type, chunk.length + 4) != imgio_be32(chunk.data + chunk.length))
            return imgio_fail_corrupt(source, FORMAT, "a chunk's check sum is wrong");
        if (header) {
            if (chunk.length != 13)
                return imgio_fail_corrupt(source, FORMAT, "its header has a wrong length");
            info->width = imgio_be32(chunk.data);
            info->height = imgio_be32(chunk.data + 4);
            if (info->width > INT32_MAX || info->height > INT32_MAX)
                return imgio_fail_corrupt(source, FORMAT, "its size is not a PNG's");
        } else if (chunk_is(&chunk, "eXIf")) {
            imgio_orientation_add_exif(&orientation, chunk.data, chunk.length);
        } else if (chunk_is(&chunk, "iTXt")) {
            read_text(&orientation, &chunk);
        }
    }
    if (info->width == 0 && info->height == 0 && at == sizeof signature)
        return imgio_fail_truncated(source, FORMAT, "in its header");
    info->orientation = imgio_orientation_value(&orientation);
    return VITC_OK;
}

/* ---- libpng's callbacks, shared by both directions ---- */

typedef struct png_job {
    png_structp png;
    png_infop info;
    jmp_buf escape;
    const vitc_log *log;
    const char *name;
    vitc_status status; /* set by the callback that knows more than libpng's message */
    char reason[128];
    /* reading */
    const uint8_t *data;
    size_t size, at;
    imgio_image image;
    /* writing */
    uint8_t *out;
    size_t used, capacity;
} png_job;

static void on_error(png_structp png, png_const_charp message)
{
    png_job *job = png_get_error_ptr(png);
    if (job->status == VITC_OK) job->status = VITC_ERR_CORRUPT;
    snprintf(job->reason, sizeof job->reason, "%s", message);
    longjmp(job->escape, 1);
}

/* Says what on_error has kept. */
static vitc_status report(const png_job *job)
{
    switch (job->status) {
    case VITC_ERR_MEMORY:
        return vitc_fail_memory(job->log, job->name);
    case VITC_ERR_TRUNCATED:
        return vitc_fail(job->log, job->status, "%s: the PNG data ends early, %u of %u rows in",
                         job->name, (unsigned)png_get_current_row_number(job->png),
                         (unsigned)job->image.height);
    default:
        return vitc_fail(job->log, job->status, "%s: damaged PNG: %s", job->name, job->reason);
    }
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static png_voidp on_malloc(png_structp png, png_alloc_size_t size)
{
    png_job *job = png_get_mem_ptr(png);
    void *block = malloc(size);
    if (block == NULL) job->status = VITC_ERR_MEMORY;
    return block;
}

static void on_free(png_structp png, png_voidp block)
{
    (void)png;
    free(block);
}

/* ---- decoding ---- */

static void on_read(png_structp png, png_bytep bytes, size_t count)
{
    png_job *job = png_get_io_ptr(png);
    if (count > job->size - job->at) {
        job->status = VITC_ERR_TRUNCATED;
        png_error(png, "truncated");
    }
    memcpy(bytes, job->data + job->at, count);
    job->at += count;
}

/* Whether the last row is in the image: what libpng finds wrong after that (a missing check sum)
 * costs no pixel. */
static bool all_rows_read(const png_job *job, bool interlaced)
{
    if (interlaced) return png_get_current_pass_number(job->png) >= 7;
    return png_get_current_row_number(job->png) >= job->image.height;
}

static void read_rows(png_job *job)
{
    const int passes = png_set_interlace_handling(job->png);
    png_read_update_info(job->png, job->info);
    const size_t stride = (size_t)job->image.width * 3;
    for (int pass = 0; pass < passes; pass++)
        for (uint32_t y = 0; y < job->image.height; y++)
            png_read_row(job->png, job->image.pixels + y * stride, NULL);
}

/* Widens the samples that libpng left in each row: 1 or 3 channels, 8 or 16 bits. */
static void widen_rows(png_job *job, int colour_type, int depth)
{
    static const unsigned factors[9] = {[1] = 255, [2] = 85, [4] = 17, [8] = 1};
    const size_t width = job->image.width;
    uint8_t palette[256 * 3] = {0}; /* an index past the palette is black, as in Pillow */
    if (colour_type == PNG_COLOR_TYPE_PALETTE) {
        png_colorp colours = NULL;
        int count = 0;
        png_get_PLTE(job->png, job->info, &colours, &count);
        for (size_t i = 0; i < (size_t)count && i < 256; i++) {
            palette[i * 3] = colours[i].red;
            palette[i * 3 + 1] = colours[i].green;
            palette[i * 3 + 2] = colours[i].blue;
        }
    }
    for (uint32_t y = 0; y < job->image.height; y++) {
        uint8_t *row = job->image.pixels + y * width * 3;
        if (colour_type == PNG_COLOR_TYPE_PALETTE)
            imgio_convert_palette(row, width, palette);
        else if (colour_type == PNG_COLOR_TYPE_GRAY && depth == 16)
            imgio_convert_grey16(row, width);
        else if ((colour_type & PNG_COLOR_MASK_COLOR) == 0)
            imgio_convert_grey(row, width, depth < 8 ? factors[depth] : 1);
    }
}

static vitc_status decode(png_job *job, const imgio_source *source)
{
    /* Ancillary chunks are stepped over: the pixels need none, and so no compressed profile or
     * text is ever inflated. */
    static const png_byte skipped[] = "tRNS\0eXIf";
    volatile bool rows_begun = false;
    volatile int colour_type = 0, depth = 0, interlace = 0;
    if (setjmp(job->escape) != 0) {
        if (!rows_begun || job->status == VITC_ERR_MEMORY ||
            !all_rows_read(job, interlace != PNG_INTERLACE_NONE))
            return report(job);
        widen_rows(job, colour_type, depth);
        return VITC_OK;
    }
    png_set_read_fn(job->png, job, on_read);
    png_set_keep_unknown_chunks(job->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(job->png, PNG_HANDLE_CHUNK_NEVER, skipped, 2);
    png_set_crc_action(job->png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
    png_set_user_limits(job->png, 0x7FFFFFFF, 0x7FFFFFFF); /* imgio_check_size has the limits */
    png_set_chunk_malloc_max(job->png, source->limits->max_metadata);
    png_read_info(job->png, job->info);
    const uint32_t width = png_get_image_width(job->png, job->info);
    const uint32_t height = png_get_image_height(job->png, job->info);
    colour_type = png_get_color_type(job->png, job->info);
    depth = png_get_bit_depth(job->png, job->info);
    interlace = png_get_interlace_type(job->png, job->info);
    VITC_TRY(imgio_check_size(source, width, height));
    VITC_TRY(imgio_image_create(&job->image, width, height, source->log));
    /* What is left is at most 3 bytes per pixel, so rows are read into their place. */
    png_set_packing(job->png);
    png_set_strip_alpha(job->png);
    if (colour_type != PNG_COLOR_TYPE_GRAY) png_set_strip_16(job->png);
    rows_begun = true;
    read_rows(job);
    widen_rows(job, colour_type, depth);
    return VITC_OK;
}

vitc_status imgio_png_decode(imgio_image *image, const imgio_source *source)
{
    png_job job = {
        .log = source->log, .name = source->name, .data = source->data, .size = source->size};
    job.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning, &job,
                                       on_malloc, on_free);
    if (job.png == NULL) return vitc_fail_memory(source->log, source->name);
    vitc_status status = VITC_ERR_MEMORY;
    job.info = png_create_info_struct(job.png);
    if (job.info != NULL)
        status = decode(&job, source);
    else
        (void)vitc_fail_memory(source->log, source->name);
    png_destroy_read_struct(&job.png, &job.info, NULL);
    if (status != VITC_OK) {
        imgio_image_free(&job.image);
        return status;
    }
    *image = job.image;
    return VITC_OK;
}

/* ---- encoding ---- */

static void on_write(png_structp png, png_bytep bytes, size_t count)
{
    png_job *job = png_get_io_ptr(png);
    if (count > job->capacity - job->used) {
        size_t needed, capacity;
        uint8_t *grown = NULL;
        if (vitc_size_add(job->used, count, &needed) && vitc_size_mul(needed, 2, &capacity))
            grown = realloc(job->out, capacity);
        if (grown == NULL) {
            job->status = VITC_ERR_MEMORY;
            png_error(png, "out of memory");
        }
        job->out = grown;
        job->capacity = capacity;
    }
    memcpy(job->out + job->used, bytes, count);
    job->used += count;
}

static void on_flush(png_structp png)
{
    (void)png;
}

static vitc_status encode(png_job *job, const imgio_image *image, int level)
{
    if (setjmp(job->escape) != 0) return report(job);
    png_set_write_fn(job->png, job, on_write, on_flush);
    png_set_user_limits(job->png, 0x7FFFFFFF, 0x7FFFFFFF);
    png_set_compression_level(job->png, level);
    png_set_IHDR(job->png, job->info, image->width, image->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(job->png, job->info);
    const size_t stride = (size_t)image->width * 3;
    for (uint32_t y = 0; y < image->height; y++)
        png_write_row(job->png, image->pixels + y * stride);
    png_write_end(job->png, NULL);
    return VITC_OK;
}

vitc_status imgio_encode_png(uint8_t **data, size_t *size, const imgio_image *image, int level,
                             const vitc_log *log)
{
    *data = NULL;
    *size = 0;
    if (image->pixels == NULL || image->width == 0 || image->height == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "writing a PNG: the image has no pixels");
    if (level < 0 || level > 9)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "writing a PNG: level %d is not in 0-9", level);
    png_job job = {.log = log, .name = "the PNG being written"};
    job.png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning, &job,
                                        on_malloc, on_free);
    if (job.png == NULL) return vitc_fail_memory(log, job.name);
    vitc_status status = VITC_ERR_MEMORY;
    job.info = png_create_info_struct(job.png);
    if (job.info != NULL)
        status = encode(&job, image, level);
    else
        (void)vitc_fail_memory(log, job.name);
    png_destroy_write_struct(&job.png, &job.info);
    if (status != VITC_OK) {
        free(job.out);
        return status;
    }
    *data = job.out;
    *size = job.used;
    return VITC_OK;
}
