/* The way in: what the bytes are, and which codec reads them. */
#include <stdlib.h>
#include <string.h>

#include "imgio_private.h"
#include "vitc_file.h"

static const imgio_codec codecs[] = {
    {IMGIO_JPEG, "JPEG", imgio_jpeg_match, imgio_jpeg_probe, imgio_jpeg_decode},
    {IMGIO_PNG, "PNG", imgio_png_match, imgio_png_probe, imgio_png_decode},
    {IMGIO_WEBP, "WebP", imgio_webp_match, imgio_webp_probe, imgio_webp_decode},
    {IMGIO_GIF, "GIF", imgio_gif_match, imgio_gif_probe, imgio_gif_decode},
    {IMGIO_BMP, "BMP", imgio_bmp_match, imgio_bmp_probe, imgio_bmp_decode},
    {IMGIO_PNM, "PNM", imgio_pnm_match, imgio_pnm_probe, imgio_pnm_decode},
    {IMGIO_PSD, "PSD", imgio_psd_match, imgio_psd_probe, imgio_psd_decode},
    {IMGIO_TGA, "TGA", imgio_tga_match, imgio_tga_probe, imgio_tga_decode},
};
#define CODECS (sizeof codecs / sizeof *codecs)

/* What people try to open and imgio does not read, so that the message can name it. */
static const struct {
    const char *name;
    size_t offset, length;
    const char *bytes;
    bool document;
} strangers[] = {
    {"TIFF", 0, 4, "II*\0", false},
    {"TIFF", 0, 4, "MM\0*", false},
    {"HEIF", 4, 8,
     "ftyphei"
     "c",
     false},
    {"HEIF", 4, 8, "ftypmif1", false},
    {"AVIF", 4, 8, "ftypavif", false},
    {"AVIF", 4, 8, "ftypavis", false},
    {"JPEG XL", 0, 2, "\xff\x0a", false},
    {"JPEG XL", 4, 4, "JXL ", false},
    {"JPEG 2000", 4, 4, "jP  ", false},
    {"JPEG 2000", 0, 4, "\xff\x4f\xff\x51", false},
    {"PDF", 0, 5, "%PDF-", true},
    {"icon", 0, 4, "\0\0\1\0", false},
    {"OpenEXR", 0, 4, "\x76\x2f\x31\x01", false},
    {"Radiance HDR", 0, 10, "#?RADIANCE", false},
    {"SVG", 0, 4, "<svg", true},
};

const char *imgio_format_string(imgio_format format)
{
    for (size_t i = 0; i < CODECS; i++)
        if (codecs[i].format == format) return codecs[i].string;
    return "unknown";
}

/* NULL for what imgio does not read. */
static const imgio_codec *find_codec(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < CODECS; i++)
        if (codecs[i].match(data, size)) return &codecs[i];
    return NULL;
}

/* NULL for what it does not know either; `documents`: also of drawings and pages, which are no
 * pictures in pixels. */
static const char *find_stranger(const uint8_t *data, size_t size, bool documents)
{
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        const size_t offset = strangers[i].offset, length = strangers[i].length;
        if (size >= offset + length && memcmp(data + offset, strangers[i].bytes, length) == 0)
            return documents || !strangers[i].document ? strangers[i].name : NULL;
    }
    return NULL;
}

bool imgio_is_picture(const void *data, size_t size)
{
    return size > 0 && (find_codec(data, size) != NULL || find_stranger(data, size, false) != NULL);
}

static vitc_status identify(const imgio_codec **codec, const imgio_source *source)
{
    if (source->size == 0)
        return vitc_fail(source->log, VITC_ERR_TRUNCATED, "%s: is empty", source->name);
    *codec = find_codec(source->data, source->size);
    if (*codec != NULL) return VITC_OK;
    const char *stranger = find_stranger(source->data, source->size, true);
    if (stranger != NULL)
        return vitc_fail(source->log, VITC_ERR_UNSUPPORTED,
                         "%s: is %s, which is not read; convert it to PNG or JPEG", source->name,
                         stranger);
    return vitc_fail(source->log, VITC_ERR_UNSUPPORTED,
                     "%s: is not an image of a known kind (JPEG, PNG, WebP, GIF, BMP, PNM, PSD, "
                     "TGA)",
                     source->name);
}

static vitc_status check_arguments(const void *output, const void *data, size_t size,
                                   const vitc_log *log)
{
    if (output == NULL || (data == NULL && size != 0))
        return vitc_fail(log, VITC_ERR_ARGUMENT, "imgio: a pointer argument is NULL");
    return VITC_OK;
}

vitc_status imgio_probe_memory(imgio_info *info, const void *data, size_t size, const char *name,
                               const vitc_log *log)
{
    VITC_TRY(check_arguments(info, data, size, log));
    *info = (imgio_info){0};
    imgio_limits limits = imgio_limits_default();
    limits.max_metadata = SIZE_MAX; /* decoding has the limit */
    const imgio_source source = {.data = data,
                                 .size = size,
                                 .name = name != NULL ? name : "image",
                                 .limits = &limits,
                                 .log = log};
    const imgio_codec *codec;
    VITC_TRY(identify(&codec, &source));
    imgio_info found = {.format = codec->format, .orientation = 1};
    VITC_TRY(codec->probe(&found, &source));
    if (found.width == 0 || found.height == 0)
        return imgio_fail_corrupt(&source, codec->string, "it declares no pixels");
    *info = found;
    return VITC_OK;
}

vitc_status imgio_decode_memory(imgio_image *image, const void *data, size_t size, const char *name,
                                const imgio_decode_options *options, const vitc_log *log)
{
    VITC_TRY(check_arguments(image, data, size, log));
    *image = (imgio_image){0};
    const imgio_decode_options chosen = options != NULL ? *options : imgio_decode_options_default();
    imgio_source source = {.data = data,
                           .size = size,
                           .name = name != NULL ? name : "image",
                           .limits = &chosen.limits,
                           .log = log};
    if (size > chosen.limits.max_file_size)
        return vitc_fail(log, VITC_ERR_TOO_LARGE, "%s: has %zu bytes; the limit is %zu",
                         source.name, size, chosen.limits.max_file_size);
    const imgio_codec *codec;
    VITC_TRY(identify(&codec, &source));
    imgio_info info = {.orientation = 1};
    VITC_TRY(codec->probe(&info, &source));
    VITC_TRY(imgio_check_size(&source, info.width, info.height));
    if (chosen.fast) {
        const bool turned = !chosen.ignore_exif && info.orientation >= 5;
        source.min_width = turned ? chosen.min_height : chosen.min_width;
        source.min_height = turned ? chosen.min_width : chosen.min_height;
    }
    VITC_TRY(codec->decode(image, &source));
    if (chosen.ignore_exif) return VITC_OK;
    const vitc_status status = imgio_orient(image, info.orientation, log);
    if (status != VITC_OK) imgio_image_free(image);
    return status;
}

vitc_status imgio_probe_file(imgio_info *info, const char *path, const vitc_log *log)
{
    VITC_TRY(check_arguments(info, path, 1, log));
    *info = (imgio_info){0};
    unsigned char *data = NULL;
    size_t size = 0;
    VITC_TRY(vitc_file_read(&data, &size, path, imgio_limits_default().max_file_size, log));
    const vitc_status status = imgio_probe_memory(info, data, size, path, log);
    free(data);
    return status;
}

vitc_status imgio_decode_file(imgio_image *image, const char *path,
                              const imgio_decode_options *options, const vitc_log *log)
{
    VITC_TRY(check_arguments(image, path, 1, log));
    *image = (imgio_image){0};
    const imgio_decode_options chosen = options != NULL ? *options : imgio_decode_options_default();
    unsigned char *data = NULL;
    size_t size = 0;
    VITC_TRY(vitc_file_read(&data, &size, path, chosen.limits.max_file_size, log));
    const vitc_status status = imgio_decode_memory(image, data, size, path, &chosen, log);
    free(data);
    return status;
}
