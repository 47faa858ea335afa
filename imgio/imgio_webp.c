/* WebP by libwebp. Of an animation the first frame is read out of the container here and decoded
 * onto an empty canvas, which is how libwebp's own animation decoder, Pillow's, begins. */
#include <errno.h>
#include <string.h>

#include <webp/decode.h>

#include "imgio_private.h"

#define FORMAT "WebP"

bool imgio_webp_match(const uint8_t *data, size_t size)
{
    return size >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0;
}

/* ---- the RIFF container: developers.google.com/speed/webp/docs/riff_container ---- */

/* The picture, or the first frame of an animation. Only its colours are of interest: libwebp gets
 * the colour bitstream alone and so never decodes an alpha plane, which would be dropped. */
typedef struct webp_picture {
    uint32_t canvas_width, canvas_height; /* 0 without a VP8X chunk */
    bool animated;
    uint32_t x, y, width, height; /* where the frame of an animation lies on the canvas */
    const uint8_t *bits;          /* VP8 or VP8L; NULL when there is none */
    size_t size;
} webp_picture;

static uint32_t le24(const uint8_t *p)
{
    return imgio_le16(p) | (uint32_t)p[2] << 16;
}

typedef struct riff_chunk {
    const uint8_t *name, *data;
    size_t length;
} riff_chunk;

/* Takes the next chunk of a list and steps over it and its padding. At the end of the list, or of
 * what is whole of it, there is none. */
static bool next_chunk(riff_chunk *chunk, const uint8_t *list, size_t size, size_t *at)
{
    if (size - *at < 8) return false;
    chunk->name = list + *at;
    chunk->data = chunk->name + 8;
    chunk->length = imgio_le32(chunk->name + 4);
    const size_t left = size - *at - 8;
    if (chunk->length > left) return false;
    *at += 8 + chunk->length;
    if ((chunk->length & 1) != 0 && *at < size) (*at)++;
    return true;
}

static bool chunk_is(const riff_chunk *chunk, const char *name)
{
    return memcmp(chunk->name, name, 4) == 0;
}

static void take_bits(webp_picture *picture, const riff_chunk *chunk)
{
    if (picture->bits != NULL || (!chunk_is(chunk, "VP8 ") && !chunk_is(chunk, "VP8L"))) return;
    picture->bits = chunk->data;
    picture->size = chunk->length;
}

static void take_frame(webp_picture *picture, const riff_chunk *frame)
{
    enum { FRAME_HEADER = 16 };
    if (picture->width != 0 || frame->length < FRAME_HEADER) return;
    picture->x = le24(frame->data) * 2;
    picture->y = le24(frame->data + 3) * 2;
    picture->width = le24(frame->data + 6) + 1;
    picture->height = le24(frame->data + 9) + 1;
    riff_chunk chunk;
    for (size_t at = FRAME_HEADER; next_chunk(&chunk, frame->data, frame->length, &at);)
        take_bits(picture, &chunk);
}

static vitc_status read_container(webp_picture *picture, imgio_orientation *orientation,
                                  const imgio_source *source)
{
    enum { ANIMATION = 0x02, CANVAS_BYTES = 10 };
    *picture = (webp_picture){0};
    const size_t riff = imgio_le32(source->data + 4);
    if (riff > source->size - 8)
        return imgio_fail_truncated(source, FORMAT, "before the length that it states");
    if (riff < 4) return imgio_fail_corrupt(source, FORMAT, "it states no length");
    riff_chunk chunk;
    for (size_t at = 12; next_chunk(&chunk, source->data, riff + 8, &at);) {
        if (chunk_is(&chunk, "VP8X") && chunk.length >= CANVAS_BYTES) {
            picture->animated = (chunk.data[0] & ANIMATION) != 0;
            picture->canvas_width = le24(chunk.data + 4) + 1;
            picture->canvas_height = le24(chunk.data + 7) + 1;
        } else if (chunk_is(&chunk, "EXIF")) {
            imgio_orientation_add_exif(orientation, chunk.data, chunk.length);
        } else if (chunk_is(&chunk, "XMP ")) {
            imgio_orientation_add_xmp(orientation, chunk.data, chunk.length);
        } else if (picture->animated && chunk_is(&chunk, "ANMF")) {
            take_frame(picture, &chunk);
        } else if (!picture->animated) {
            take_bits(picture, &chunk);
        }
    }
    if (picture->bits == NULL)
        return imgio_fail_corrupt(source, FORMAT, "it holds no whole picture");
    return VITC_OK;
}

/* ---- decoding ---- */

static vitc_status fail_with(VP8StatusCode code, const imgio_source *source)
{
    /* libwebp reports some failed allocations as damage; malloc leaves its mark in errno. */
    if (code == VP8_STATUS_OUT_OF_MEMORY || errno == ENOMEM)
        return vitc_fail_memory(source->log, source->name);
    switch (code) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return imgio_fail_truncated(source, FORMAT, "inside the picture");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return imgio_fail_unsupported(source, FORMAT, "its bitstream has an unknown feature");
    case VP8_STATUS_INVALID_PARAM:
        return vitc_fail(source->log, VITC_ERR_INTERNAL, "%s: libwebp refuses the request",
                         source->name);
    default:
        return imgio_fail_corrupt(source, FORMAT, "its bitstream is broken");
    }
}

/* Fills in the sides of a picture without a canvas, and checks those of one with. */
static vitc_status read_sides(webp_picture *picture, const imgio_source *source)
{
    WebPBitstreamFeatures features;
    errno = 0;
    const VP8StatusCode code = WebPGetFeatures(picture->bits, picture->size, &features);
    if (code != VP8_STATUS_OK) return fail_with(code, source);
    const uint32_t width = (uint32_t)features.width, height = (uint32_t)features.height;
    if (!picture->animated) {
        picture->width = width;
        picture->height = height;
    }
    if (picture->canvas_width == 0) {
        picture->canvas_width = width;
        picture->canvas_height = height;
    }
    if (picture->width != width || picture->height != height)
        return imgio_fail_corrupt(source, FORMAT, "a frame's size is not what its header says");
    if (!picture->animated && (picture->canvas_width != width || picture->canvas_height != height))
        return imgio_fail_corrupt(source, FORMAT, "its size is not what its header says");
    if (width > picture->canvas_width || picture->x > picture->canvas_width - width ||
        height > picture->canvas_height || picture->y > picture->canvas_height - height)
        return imgio_fail_corrupt(source, FORMAT, "a frame lies outside the canvas");
    return VITC_OK;
}

vitc_status imgio_webp_probe(imgio_info *info, const imgio_source *source)
{
    webp_picture picture;
    imgio_orientation orientation = {0};
    VITC_TRY(read_container(&picture, &orientation, source));
    VITC_TRY(read_sides(&picture, source));
    info->width = picture.canvas_width;
    info->height = picture.canvas_height;
    info->orientation = imgio_orientation_value(&orientation);
    return VITC_OK;
}

/* The picture at its place of the image, as RGB. */
static vitc_status decode_into(imgio_image *image, const webp_picture *picture,
                               const imgio_source *source)
{
    const size_t stride = (size_t)image->width * 3;
    const size_t offset = picture->y * stride + (size_t)picture->x * 3;
    if (stride > INT32_MAX)
        return vitc_fail(source->log, VITC_ERR_TOO_LARGE, "%s: too wide for libwebp", source->name);
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return vitc_fail(source->log, VITC_ERR_INTERNAL,
                         "libwebp is not the version that vitc was built with");
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = image->pixels + offset;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = stride * image->height - offset;
    errno = 0;
    const VP8StatusCode code = WebPDecode(picture->bits, picture->size, &config);
    WebPFreeDecBuffer(&config.output);
    return code == VP8_STATUS_OK ? VITC_OK : fail_with(code, source);
}

vitc_status imgio_webp_decode(imgio_image *image, const imgio_source *source)
{
    webp_picture picture;
    imgio_orientation orientation = {0};
    VITC_TRY(read_container(&picture, &orientation, source));
    VITC_TRY(read_sides(&picture, source));
    VITC_TRY(imgio_check_size(source, picture.canvas_width, picture.canvas_height));
    VITC_TRY(imgio_image_create(image, picture.canvas_width, picture.canvas_height, source->log));
    if (picture.animated) memset(image->pixels, 0, (size_t)image->width * image->height * 3);
    const vitc_status status = decode_into(image, &picture, source);
    if (status != VITC_OK) imgio_image_free(image);
    return status;
}
