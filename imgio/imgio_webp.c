/* WebP by libwebp. Of an animation the first frame is read out of the container here and decoded
 * onto an empty canvas, as libwebp's own animation decoder, which Pillow uses, begins. */
#include <string.h>

#include <webp/decode.h>

#include "imgio_private.h"

#define FORMAT "WebP"

bool imgio_webp_match(const uint8_t *data, size_t size)
{
    return size >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0;
}

/* ---- the RIFF container: developers.google.com/speed/webp/docs/riff_container ---- */

typedef struct webp_frame {
    uint32_t canvas_width, canvas_height; /* 0 without a VP8X chunk */
    bool animated;
    /* The first frame of an animation: where it lies on the canvas, and its bitstream. */
    uint32_t x, y, width, height;
    const uint8_t *data;
    size_t size; /* 0 when there is no frame */
    size_t file; /* bytes of the file that are WebP; others may follow */
} webp_frame;

static uint32_t le24(const uint8_t *p)
{
    return imgio_le16(p) | (uint32_t)p[2] << 16;
}

static vitc_status read_container(webp_frame *frame, imgio_orientation *orientation,
                                  const imgio_source *source)
{
    enum { ANIMATION = 0x02, FRAME_HEADER = 16 };
    const uint8_t *data = source->data;
    *frame = (webp_frame){0};
    const size_t riff = imgio_le32(data + 4);
    if (riff > source->size - 8)
        return imgio_fail_truncated(source, FORMAT, "before the length that it states");
    const size_t size = riff + 8;
    frame->file = size;
    size_t at = 12;
    while (at < size && size - at >= 8) {
        const uint8_t *chunk = data + at;
        const size_t length = imgio_le32(chunk + 4);
        at += 8;
        if (length > size - at)
            return imgio_fail_corrupt(source, FORMAT, "a chunk is longer than the file");
        if (memcmp(chunk, "VP8X", 4) == 0 && length >= 10) {
            frame->animated = (chunk[8] & ANIMATION) != 0;
            frame->canvas_width = le24(chunk + 12) + 1;
            frame->canvas_height = le24(chunk + 15) + 1;
        } else if (memcmp(chunk, "EXIF", 4) == 0) {
            imgio_orientation_add_exif(orientation, chunk + 8, length);
        } else if (memcmp(chunk, "XMP ", 4) == 0) {
            imgio_orientation_add_xmp(orientation, chunk + 8, length);
        } else if (memcmp(chunk, "ANMF", 4) == 0 && length > FRAME_HEADER && frame->size == 0) {
            frame->x = le24(chunk + 8) * 2;
            frame->y = le24(chunk + 11) * 2;
            frame->width = le24(chunk + 14) + 1;
            frame->height = le24(chunk + 17) + 1;
            frame->data = chunk + 8 + FRAME_HEADER;
            frame->size = length - FRAME_HEADER;
        }
        at += length;
        if ((length & 1) != 0 && at < size) at++;
    }
    return VITC_OK;
}

/* ---- decoding ---- */

static vitc_status fail_with(VP8StatusCode code, const imgio_source *source)
{
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return vitc_fail_memory(source->log, source->name);
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

static vitc_status read_features(WebPBitstreamFeatures *features, const uint8_t *data, size_t size,
                                 const imgio_source *source)
{
    const VP8StatusCode code = WebPGetFeatures(data, size, features);
    return code == VP8_STATUS_OK ? VITC_OK : fail_with(code, source);
}

vitc_status imgio_webp_probe(imgio_info *info, const imgio_source *source)
{
    webp_frame frame;
    imgio_orientation orientation = {0};
    VITC_TRY(read_container(&frame, &orientation, source));
    info->width = frame.canvas_width;
    info->height = frame.canvas_height;
    info->orientation = imgio_orientation_value(&orientation);
    if (frame.canvas_width == 0) {
        WebPBitstreamFeatures features;
        VITC_TRY(read_features(&features, source->data, frame.file, source));
        info->width = (uint32_t)features.width;
        info->height = (uint32_t)features.height;
    }
    return VITC_OK;
}

/* Decodes one bitstream to RGB, alpha dropped, with its top left corner at (x, y) of the image. */
static vitc_status decode_into(imgio_image *image, uint32_t x, uint32_t y, const uint8_t *data,
                               size_t size, const imgio_source *source)
{
    const size_t stride = (size_t)image->width * 3;
    const size_t offset = y * stride + (size_t)x * 3;
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
    const VP8StatusCode code = WebPDecode(data, size, &config);
    WebPFreeDecBuffer(&config.output);
    return code == VP8_STATUS_OK ? VITC_OK : fail_with(code, source);
}

static vitc_status decode_frame(imgio_image *image, const webp_frame *frame,
                                const imgio_source *source)
{
    if (frame->size == 0) return imgio_fail_corrupt(source, FORMAT, "an animation without frames");
    if (frame->width > image->width || frame->x > image->width - frame->width ||
        frame->height > image->height || frame->y > image->height - frame->height)
        return imgio_fail_corrupt(source, FORMAT, "a frame lies outside the canvas");
    WebPBitstreamFeatures features;
    VITC_TRY(read_features(&features, frame->data, frame->size, source));
    if ((uint32_t)features.width != frame->width || (uint32_t)features.height != frame->height)
        return imgio_fail_corrupt(source, FORMAT, "a frame's size is not what its header says");
    memset(image->pixels, 0, (size_t)image->width * image->height * 3);
    return decode_into(image, frame->x, frame->y, frame->data, frame->size, source);
}

vitc_status imgio_webp_decode(imgio_image *image, const imgio_source *source)
{
    webp_frame frame;
    imgio_orientation orientation = {0};
    VITC_TRY(read_container(&frame, &orientation, source));
    uint32_t width = frame.canvas_width, height = frame.canvas_height;
    if (!frame.animated) {
        WebPBitstreamFeatures features;
        VITC_TRY(read_features(&features, source->data, frame.file, source));
        width = (uint32_t)features.width;
        height = (uint32_t)features.height;
    }
    VITC_TRY(imgio_check_size(source, width, height));
    VITC_TRY(imgio_image_create(image, width, height, source->log));
    const vitc_status status = frame.animated
                                   ? decode_frame(image, &frame, source)
                                   : decode_into(image, 0, 0, source->data, frame.file, source);
    if (status != VITC_OK) imgio_image_free(image);
    return status;
}
