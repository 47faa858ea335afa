/* JPEG by libjpeg-turbo with its default (accurate) DCT and upsampling, as Pillow uses it. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "imgio_private.h"
#include "vitc_size.h"

#define FORMAT "JPEG"

/* Scans cost time without costing bytes, so a large image may have fewer of them: all scans
 * together may touch this many times the pixel limit. */
#define SCAN_PASSES 32

/* ---- markers, without libjpeg ---- */

bool imgio_jpeg_match(const uint8_t *data, size_t size)
{
    return size >= 3 && data[0] == 0xFF && data[1] == 0xD8 && data[2] == 0xFF;
}

static bool starts_with(const uint8_t *data, size_t size, const void *prefix, size_t length)
{
    return size >= length && memcmp(data, prefix, length) == 0;
}

static void read_app1(imgio_orientation *orientation, const uint8_t *data, size_t size)
{
    static const char exif[] = "Exif\0", xmp[] = "http://ns.adobe.com/xap/1.0/";
    if (starts_with(data, size, exif, sizeof exif))
        imgio_orientation_add_exif(orientation, data, size);
    else if (starts_with(data, size, xmp, sizeof xmp))
        imgio_orientation_add_xmp(orientation, data + sizeof xmp, size - sizeof xmp);
}

static bool is_frame_header(uint8_t marker)
{
    enum { DHT = 0xC4, JPG = 0xC8, DAC = 0xCC };
    return marker >= 0xC0 && marker <= 0xCF && marker != DHT && marker != JPG && marker != DAC;
}

static bool stands_alone(uint8_t marker)
{
    enum { TEM = 0x01 };
    return marker == 0 || marker == TEM || (marker >= 0xD0 && marker <= 0xD8);
}

vitc_status imgio_jpeg_probe(imgio_info *info, const imgio_source *source)
{
    enum { EOI = 0xD9, SOS = 0xDA, APP1 = 0xE1 };
    const uint8_t *data = source->data;
    const size_t size = source->size;
    imgio_orientation orientation = {0};
    bool framed = false;
    size_t at = 2;
    for (;;) {
        /* Fill bytes, and junk that other readers skip as well. */
        while (at < size && data[at] != 0xFF) at++;
        while (at < size && data[at] == 0xFF) at++;
        if (at == size) return imgio_fail_truncated(source, FORMAT, "before its first scan");
        const uint8_t marker = data[at++];
        if (stands_alone(marker)) continue;
        if (marker == EOI) return imgio_fail_corrupt(source, FORMAT, "it ends without an image");
        if (size - at < 2) return imgio_fail_truncated(source, FORMAT, "before its first scan");
        const size_t length = imgio_be16(data + at);
        if (length < 2) return imgio_fail_corrupt(source, FORMAT, "a segment has a bad length");
        if (length > size - at)
            return imgio_fail_truncated(source, FORMAT, "before its first scan");
        if (marker == APP1) {
            read_app1(&orientation, data + at + 2, length - 2);
        } else if (is_frame_header(marker)) {
            if (length < 8) return imgio_fail_corrupt(source, FORMAT, "a bad frame header");
            info->height = imgio_be16(data + at + 3);
            info->width = imgio_be16(data + at + 5);
            framed = true;
        } else if (marker == SOS) {
            break;
        }
        at += length;
    }
    if (!framed) return imgio_fail_corrupt(source, FORMAT, "no frame header before the scan");
    info->orientation = imgio_orientation_value(&orientation);
    return VITC_OK;
}

/* ---- decoding ---- */

typedef struct jpeg_job {
    struct jpeg_error_mgr errors; /* first: libjpeg hands back a pointer to it */
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct codec;
    jmp_buf escape;
    const imgio_source *source;
    imgio_image image;
    uint64_t max_scans;
    vitc_status status;
} jpeg_job;

static vitc_status status_of_code(int code)
{
    switch (code) {
    case JERR_OUT_OF_MEMORY:
        return VITC_ERR_MEMORY;
    case JERR_INPUT_EMPTY:
    case JERR_INPUT_EOF:
        return VITC_ERR_TRUNCATED;
    case JERR_IMAGE_TOO_BIG:
    case JERR_WIDTH_OVERFLOW:
        return VITC_ERR_TOO_LARGE;
        /* The jpeg8 interface, Ubuntu's, has arithmetic coding and no such code. */
#if JPEG_LIB_VERSION < 70
    case JERR_ARITH_NOTIMPL:
#endif
    case JERR_BAD_PRECISION:
    case JERR_CCIR601_NOTIMPL:
    case JERR_COMPONENT_COUNT:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_SOF_UNSUPPORTED:
        return VITC_ERR_UNSUPPORTED;
    default:
        return VITC_ERR_CORRUPT;
    }
}

static void on_error(j_common_ptr codec)
{
    jpeg_job *job = (jpeg_job *)codec->err;
    char message[JMSG_LENGTH_MAX];
    codec->err->format_message(codec, message);
    job->status = vitc_fail(job->source->log, status_of_code(codec->err->msg_code), "%s: JPEG: %s",
                            job->source->name, message);
    longjmp(job->escape, 1);
}

/* libjpeg warns and goes on with grey or garbage where the compressed pixels are damaged. That is
 * an error here. Its other warnings (bytes between segments, odd version numbers) cost no pixel. */
static void on_message(j_common_ptr codec, int level)
{
    if (level >= 0) return;
    switch (codec->err->msg_code) {
    case JWRN_ARITH_BAD_CODE:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_JPEG_EOF:
    case JWRN_MUST_RESYNC:
        on_error(codec);
        break;
    default:
        break;
    }
}

static void on_output(j_common_ptr codec)
{
    (void)codec;
}

static void on_progress(j_common_ptr codec)
{
    jpeg_job *job = (jpeg_job *)codec->err;
    const int scan = job->codec.input_scan_number;
    if (scan < 0 || (uint64_t)scan <= job->max_scans) return;
    job->status = vitc_fail(job->source->log, VITC_ERR_TOO_LARGE,
                            "%s: a JPEG of this size may have %llu scans; this one has more",
                            job->source->name, (unsigned long long)job->max_scans);
    longjmp(job->escape, 1);
}

static void source_start(j_decompress_ptr codec)
{
    (void)codec;
}

/* All bytes are there from the start, so asking for more means that the file ends early. FALSE
 * makes libjpeg return instead of inventing an end marker. */
static boolean source_fill(j_decompress_ptr codec)
{
    (void)codec;
    return FALSE;
}

static void source_skip(j_decompress_ptr codec, long count)
{
    struct jpeg_source_mgr *bytes = codec->src;
    if (count <= 0) return;
    const size_t skip =
        (unsigned long)count < bytes->bytes_in_buffer ? (size_t)count : bytes->bytes_in_buffer;
    bytes->next_input_byte += skip;
    bytes->bytes_in_buffer -= skip;
}

static vitc_status truncated(const jpeg_job *job)
{
    char where[64];
    snprintf(where, sizeof where, "%u of %u rows in", (unsigned)job->codec.output_scanline,
             (unsigned)job->image.height);
    return imgio_fail_truncated(job->source, FORMAT,
                                job->image.height != 0 ? where : "in its header");
}

static void decode_rows(jpeg_job *job)
{
    struct jpeg_decompress_struct *codec = &job->codec;
    const size_t width = job->image.width;
    uint8_t *cmyk = NULL;
    if (codec->out_color_space == JCS_CMYK)
        cmyk = codec->mem->alloc_large((j_common_ptr)codec, JPOOL_IMAGE, width * 4);
    while (codec->output_scanline < codec->output_height) {
        uint8_t *row = job->image.pixels + (size_t)codec->output_scanline * width * 3;
        JSAMPROW target = cmyk != NULL ? cmyk : row;
        if (jpeg_read_scanlines(codec, &target, 1) != 1) {
            job->status = truncated(job);
            return;
        }
        if (cmyk != NULL) imgio_convert_cmyk_inverted(row, cmyk, width);
    }
    /* What follows the last row is left unread, so that bytes after the image do not matter. */
}

/* How many eighths of its size the picture is decoded to. libjpeg-turbo takes any number of them,
 * but only for these does it have fast transforms: 3, 5, 6 and 7 take longer than 4 or 8. */
static unsigned choose_eighths(const imgio_source *source, JDIMENSION width, JDIMENSION height)
{
    static const unsigned choices[] = {1, 2, 4};
    if (source->min_width == 0 || source->min_height == 0) return 8;
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        if (vitc_size_divide_up((size_t)width * choices[i], 8) >= source->min_width &&
            vitc_size_divide_up((size_t)height * choices[i], 8) >= source->min_height)
            return choices[i];
    return 8;
}

static vitc_status decode(jpeg_job *job)
{
    const imgio_source *source = job->source;
    struct jpeg_decompress_struct *codec = &job->codec;
    if (setjmp(job->escape) != 0) return job->status;
    jpeg_create_decompress(codec);
    struct jpeg_source_mgr *bytes =
        codec->mem->alloc_small((j_common_ptr)codec, JPOOL_PERMANENT, sizeof *bytes);
    *bytes = (struct jpeg_source_mgr){
        .next_input_byte = source->data,
        .bytes_in_buffer = source->size,
        .init_source = source_start,
        .fill_input_buffer = source_fill,
        .skip_input_data = source_skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = source_start,
    };
    codec->src = bytes;
    codec->progress = &job->progress;
    job->progress.progress_monitor = on_progress;
    if (jpeg_read_header(codec, TRUE) != JPEG_HEADER_OK) return truncated(job);
    VITC_TRY(imgio_check_size(source, codec->image_width, codec->image_height));
    switch (codec->num_components) {
    case 1:
    case 3:
        codec->out_color_space = JCS_RGB;
        break;
    case 4:
        codec->out_color_space = JCS_CMYK;
        break;
    default:
        return imgio_fail_unsupported(source, FORMAT, "it has neither 1 nor 3 nor 4 components");
    }
    const uint64_t pixels = (uint64_t)codec->image_width * codec->image_height;
    const uint64_t passes = source->limits->max_pixels / pixels >= UINT32_MAX
                                ? UINT32_MAX
                                : source->limits->max_pixels * SCAN_PASSES / pixels;
    job->max_scans =
        passes < source->limits->max_jpeg_scans ? passes : source->limits->max_jpeg_scans;
    codec->scale_num = choose_eighths(source, codec->image_width, codec->image_height);
    codec->scale_denom = 8;
    if (!jpeg_start_decompress(codec))
        return imgio_fail_truncated(source, FORMAT, "before its last scan");
    VITC_TRY(
        imgio_image_create(&job->image, codec->output_width, codec->output_height, source->log));
    job->image.full_width = codec->image_width;
    job->image.full_height = codec->image_height;
    decode_rows(job);
    return job->status;
}

vitc_status imgio_jpeg_decode(imgio_image *image, const imgio_source *source)
{
    jpeg_job job = {.source = source};
    job.codec.err = jpeg_std_error(&job.errors);
    job.errors.error_exit = on_error;
    job.errors.emit_message = on_message;
    job.errors.output_message = on_output;
    const vitc_status status = decode(&job);
    jpeg_destroy_decompress(&job.codec);
    if (status != VITC_OK) {
        imgio_image_free(&job.image);
        return status;
    }
    *image = job.image;
    return VITC_OK;
}

/* ---- encoding ---- */

typedef struct jpeg_writer {
    struct jpeg_error_mgr errors; /* first: libjpeg hands back a pointer to it */
    struct jpeg_destination_mgr target;
    struct jpeg_compress_struct codec;
    jmp_buf escape;
    const vitc_log *log;
    uint8_t *data;
    size_t capacity;
    vitc_status status;
} jpeg_writer;

static void on_write_error(j_common_ptr codec)
{
    jpeg_writer *writer = (jpeg_writer *)codec->err;
    char message[JMSG_LENGTH_MAX];
    codec->err->format_message(codec, message);
    vitc_status status = status_of_code(codec->err->msg_code);
    if (status == VITC_ERR_CORRUPT) status = VITC_ERR_INTERNAL;
    writer->status = vitc_fail(writer->log, status, "writing a JPEG: %s", message);
    longjmp(writer->escape, 1);
}

static void grow(jpeg_writer *writer)
{
    const size_t used = writer->capacity, start = (size_t)16 * 1024;
    size_t capacity;
    uint8_t *data = NULL;
    if (vitc_size_mul(used != 0 ? used : start / 2, 2, &capacity))
        data = realloc(writer->data, capacity);
    if (data == NULL) {
        writer->status = vitc_fail_memory(writer->log, "the JPEG being written");
        longjmp(writer->escape, 1);
    }
    writer->data = data;
    writer->capacity = capacity;
    writer->target.next_output_byte = data + used;
    writer->target.free_in_buffer = capacity - used;
}

static void target_start(j_compress_ptr codec)
{
    grow((jpeg_writer *)codec->err);
}

static boolean target_empty(j_compress_ptr codec)
{
    grow((jpeg_writer *)codec->err);
    return TRUE;
}

static void target_end(j_compress_ptr codec)
{
    (void)codec;
}

static vitc_status encode(jpeg_writer *writer, const imgio_image *image, int quality)
{
    struct jpeg_compress_struct *codec = &writer->codec;
    if (setjmp(writer->escape) != 0) return writer->status;
    jpeg_create_compress(codec);
    codec->dest = &writer->target;
    codec->image_width = image->width;
    codec->image_height = image->height;
    codec->input_components = 3;
    codec->in_color_space = JCS_RGB;
    jpeg_set_defaults(codec);
    jpeg_set_quality(codec, quality, TRUE);
    codec->optimize_coding = TRUE;
    if (quality >= 90) {
        codec->comp_info[0].h_samp_factor = 1;
        codec->comp_info[0].v_samp_factor = 1;
    }
    jpeg_start_compress(codec, TRUE);
    while (codec->next_scanline < codec->image_height) {
        JSAMPROW row = image->pixels + (size_t)codec->next_scanline * image->width * 3;
        jpeg_write_scanlines(codec, &row, 1);
    }
    jpeg_finish_compress(codec);
    return VITC_OK;
}

vitc_status imgio_encode_jpeg(uint8_t **data, size_t *size, const imgio_image *image, int quality,
                              const vitc_log *log)
{
    *data = NULL;
    *size = 0;
    if (image->pixels == NULL || image->width == 0 || image->height == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "writing a JPEG: the image has no pixels");
    if (quality < 1 || quality > 100)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "writing a JPEG: quality %d is not in 1-100",
                         quality);
    jpeg_writer writer = {.log = log};
    writer.codec.err = jpeg_std_error(&writer.errors);
    writer.errors.error_exit = on_write_error;
    writer.errors.output_message = on_output;
    writer.target.init_destination = target_start;
    writer.target.empty_output_buffer = target_empty;
    writer.target.term_destination = target_end;
    const vitc_status status = encode(&writer, image, quality);
    jpeg_destroy_compress(&writer.codec);
    if (status != VITC_OK) {
        free(writer.data);
        return status;
    }
    *data = writer.data;
    *size = writer.capacity - writer.target.free_in_buffer;
    return VITC_OK;
}
