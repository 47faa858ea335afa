/* WebP through libwebp: still pictures, and the first frame of animations, both by the animation
 * decoder (as Pillow does), whose RGBA is then stripped of its alpha. The only file that sees
 * webp/demux.h. */
#include <string.h>

#include <webp/demux.h>

#include "imgio_private.h"

static uint32_t read32(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

bool imgio_webp_match(const uint8_t *data, size_t size)
{
    return size >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0;
}

/* True when the container says that it is longer than the data. */
static bool is_cut(const imgio_source *source)
{
    return read32(source->data + 4) > source->size - 8;
}

/* Walks the RIFF chunks {type 4, size 4, data, padding to even} for EXIF. Some writers keep JPEG's
 * "Exif\0\0" in front of the TIFF block. */
static int find_orientation(const imgio_source *source)
{
    imgio_orientation orientation = {0};
    size_t at = 12;
    while (source->size - at >= 8) {
        const uint8_t *chunk = source->data + at;
        const size_t size = read32(chunk + 4), left = source->size - at - 8;
        if (size > left) break;
        if (memcmp(chunk, "EXIF", 4) == 0)
            imgio_orientation_add_exif(&orientation, chunk + 8, size);
        if (memcmp(chunk, "XMP ", 4) == 0) imgio_orientation_add_xmp(&orientation, chunk + 8, size);
        at += 8 + size;
        if (size % 2 != 0 && at < source->size) at++;
    }
    return imgio_orientation_value(&orientation);
}

static vitc_status webp_fail(const imgio_source *source)
{
    return is_cut(source)
               ? vitc_fail(source->log, VITC_ERR_TRUNCATED, "%s: the WebP data ends early",
                           source->name)
               : vitc_fail(source->log, VITC_ERR_CORRUPT, "%s: damaged WebP", source->name);
}

vitc_status imgio_webp_probe(imgio_info *info, const imgio_source *source)
{
    WebPBitstreamFeatures features;
    const VP8StatusCode code = WebPGetFeatures(source->data, source->size, &features);
    if (code == VP8_STATUS_NOT_ENOUGH_DATA)
        return vitc_fail(source->log, VITC_ERR_TRUNCATED, "%s: ends within the WebP header",
                         source->name);
    if (code != VP8_STATUS_OK) return webp_fail(source);
    info->width = (uint32_t)features.width;
    info->height = (uint32_t)features.height;
    info->orientation = find_orientation(source);
    return VITC_OK;
}

vitc_status imgio_webp_decode(imgio_image *image, const imgio_source *source)
{
    const WebPData data = {source->data, source->size};
    WebPAnimDecoderOptions options;
    WebPAnimInfo info;
    uint8_t *rgba;
    int milliseconds;
    *image = (imgio_image){0};
    if (is_cut(source)) return webp_fail(source);
    if (!WebPAnimDecoderOptionsInit(&options))
        return vitc_fail(source->log, VITC_ERR_INTERNAL, "libwebp's version is not the header's");
    options.color_mode = MODE_RGBA;
    options.use_threads = 0;
    WebPAnimDecoder *decoder = WebPAnimDecoderNew(&data, &options);
    vitc_status status = VITC_OK;
    if (decoder == NULL || !WebPAnimDecoderGetInfo(decoder, &info) ||
        !WebPAnimDecoderGetNext(decoder, &rgba, &milliseconds)) {
        status = webp_fail(source);
        goto cleanup;
    }
    status = imgio_image_create(image, info.canvas_width, info.canvas_height, source->log);
    if (status != VITC_OK) goto cleanup;
    const size_t pixels = (size_t)info.canvas_width * info.canvas_height;
    for (size_t i = 0; i < pixels; i++) memcpy(image->pixels + i * 3, rgba + i * 4, 3);

cleanup:
    WebPAnimDecoderDelete(decoder);
    return status;
}
