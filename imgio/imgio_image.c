#include <stdlib.h>
#include <string.h>

#include "imgio_private.h"
#include "vitc_size.h"

imgio_limits imgio_limits_default(void)
{
    return (imgio_limits){
        .max_pixels = (uint64_t)100 * 1000 * 1000,
        .max_side = 65535,
        .max_jpeg_scans = 1000,
        .max_metadata = (size_t)8 * 1000 * 1000,
        .max_file_size = (size_t)1 << 30,
    };
}

imgio_decode_options imgio_decode_options_default(void)
{
    return (imgio_decode_options){.limits = imgio_limits_default()};
}

vitc_status imgio_image_create(imgio_image *image, uint32_t width, uint32_t height,
                               const vitc_log *log)
{
    *image = (imgio_image){0};
    if (width == 0 || height == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "an image of %u x %u pixels has no pixels",
                         (unsigned)width, (unsigned)height);
    size_t bytes;
    uint8_t *pixels = NULL;
    if (vitc_size_mul3(width, height, 3, &bytes)) pixels = malloc(bytes);
    if (pixels == NULL)
        return vitc_fail(log, VITC_ERR_MEMORY, "out of memory for an image of %u x %u pixels",
                         (unsigned)width, (unsigned)height);
    *image = (imgio_image){.pixels = pixels,
                           .width = width,
                           .height = height,
                           .full_width = width,
                           .full_height = height};
    return VITC_OK;
}

void imgio_image_free(imgio_image *image)
{
    if (image == NULL) return;
    free(image->pixels);
    *image = (imgio_image){0};
}

vitc_status imgio_check_size(const imgio_source *source, uint32_t width, uint32_t height)
{
    const imgio_limits *limits = source->limits;
    if (width == 0 || height == 0)
        return vitc_fail(source->log, VITC_ERR_CORRUPT, "%s: declares %u x %u pixels: no image",
                         source->name, (unsigned)width, (unsigned)height);
    if (width > limits->max_side || height > limits->max_side)
        return vitc_fail(source->log, VITC_ERR_TOO_LARGE,
                         "%s: declares %u x %u pixels; the limit is %u per side", source->name,
                         (unsigned)width, (unsigned)height, (unsigned)limits->max_side);
    const uint64_t pixels = (uint64_t)width * height;
    if (pixels > limits->max_pixels)
        return vitc_fail(source->log, VITC_ERR_TOO_LARGE,
                         "%s: declares %u x %u = %llu pixels; the limit, max-pixels, is %llu",
                         source->name, (unsigned)width, (unsigned)height,
                         (unsigned long long)pixels, (unsigned long long)limits->max_pixels);
    return VITC_OK;
}

vitc_status imgio_fail_truncated(const imgio_source *source, const char *format, const char *where)
{
    return vitc_fail(source->log, VITC_ERR_TRUNCATED, "%s: the %s data ends early, %s",
                     source->name, format, where);
}

vitc_status imgio_fail_corrupt(const imgio_source *source, const char *format, const char *why)
{
    return vitc_fail(source->log, VITC_ERR_CORRUPT, "%s: damaged %s: %s", source->name, format,
                     why);
}

vitc_status imgio_fail_unsupported(const imgio_source *source, const char *format, const char *why)
{
    return vitc_fail(source->log, VITC_ERR_UNSUPPORTED, "%s: this kind of %s is not read: %s",
                     source->name, format, why);
}
