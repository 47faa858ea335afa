#include <string.h>

#include "patches_private.h"
#include "vitc_log.h"

int64_t patches_crop_offset(patches_crop_rule rule, uint32_t length, uint32_t crop)
{
    const int64_t spare = (int64_t)length - (int64_t)crop;
    /* Towards minus infinity on both sides of 0; `half` truncates towards 0. */
    const int64_t half = spare / 2;
    if (spare % 2 == 0) return half;
    if (rule == PATCHES_CROP_HF) return spare < 0 ? half - 1 : half;
    /* torchvision: padding of (crop - length) // 2 before the image; and round(spare / 2), which
     * goes to the even neighbour, inside it. */
    if (spare < 0) return half;
    return half % 2 == 0 ? half : half + 1;
}

/* Writes the crop_height x crop_width window of `in` whose corner is (left, top) into `out`;
 * what lies outside `in` becomes `fill`. */
static void copy_window(imgio_image *out, const imgio_image *in, int64_t top, int64_t left,
                        const uint8_t fill[PATCHES_CHANNELS])
{
    const int64_t width = out->width;
    /* The columns of `out` that have a source: [from, to). */
    int64_t from = left < 0 ? -left : 0;
    int64_t to = (int64_t)in->width - left;
    if (from > width) from = width;
    if (to > width) to = width;
    if (to < from) to = from;
    for (uint32_t y = 0; y < out->height; y++) {
        uint8_t *row = out->pixels + (size_t)y * out->width * PATCHES_CHANNELS;
        const int64_t source = top + y;
        const bool inside = source >= 0 && source < in->height && to > from;
        const int64_t first = inside ? from : width, last = inside ? to : width;
        for (int64_t x = 0; x < first; x++)
            memcpy(row + x * PATCHES_CHANNELS, fill, PATCHES_CHANNELS);
        for (int64_t x = last; x < width; x++)
            memcpy(row + x * PATCHES_CHANNELS, fill, PATCHES_CHANNELS);
        if (!inside) continue;
        const uint8_t *pixels =
            in->pixels + ((size_t)source * in->width + (size_t)(left + from)) * PATCHES_CHANNELS;
        memcpy(row + from * PATCHES_CHANNELS, pixels, (size_t)(to - from) * PATCHES_CHANNELS);
    }
}

static vitc_status fail_size(uint32_t in_height, uint32_t in_width, double height, double width,
                             const vitc_log *log)
{
    const bool empty = height < 1 || width < 1;
    return vitc_fail(log, empty ? VITC_ERR_UNSUPPORTED : VITC_ERR_TOO_LARGE,
                     "an image %u pixels wide and %u high would be resized to %.0f wide and %.0f "
                     "high, which is %s; its shape is too extreme for this model",
                     (unsigned)in_width, (unsigned)in_height, width, height,
                     empty ? "empty" : "beyond 65535 a side or 100 megapixels");
}

void patches_spec_decode_options(imgio_decode_options *options, const patches_spec *spec)
{
    enum { MARGIN = 2 };
    options->ignore_exif = options->ignore_exif || spec->ignore_exif;
    options->min_width = options->min_height = 0;
    switch (spec->resize) {
    case PATCHES_RESIZE_NONE:
        break;
    case PATCHES_RESIZE_SHORTEST:
        options->min_width = options->min_height = MARGIN * spec->resize_height;
        break;
    case PATCHES_RESIZE_EXACT:
    case PATCHES_RESIZE_FIT: /* one of the sides would do */
    case PATCHES_RESIZE_COVER:
        options->min_width = MARGIN * spec->resize_width;
        options->min_height = MARGIN * spec->resize_height;
        break;
    }
}

vitc_status patches_preprocess_image(imgio_image *out, const imgio_image *in,
                                     const patches_spec *spec, const vitc_log *log)
{
    static const uint8_t no_fill[PATCHES_CHANNELS] = {0};
    imgio_image resized = {0};
    const imgio_image *source = in;
    uint32_t height, width;
    double exact_height, exact_width;
    vitc_status status;

    if (out == in || in->pixels == NULL || in->width == 0 || in->height == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "patches_preprocess_image: needs an image, and another one to write to");
    *out = (imgio_image){0};
    VITC_TRY(patches_spec_check(spec, NULL, log));
    const bool reduced = spec->resize != PATCHES_RESIZE_NONE && in->full_width != 0;
    const uint32_t in_width = reduced ? in->full_width : in->width;
    const uint32_t in_height = reduced ? in->full_height : in->height;
    patches_resized_size(spec, in_height, in_width, &exact_height, &exact_width);
    if (!patches_spec_output_size(spec, in_height, in_width, &height, &width))
        return fail_size(in_height, in_width, exact_height, exact_width, log);

    if (spec->resize != PATCHES_RESIZE_NONE) {
        VITC_TRY(imgio_resize(&resized, in, (uint32_t)exact_width, (uint32_t)exact_height,
                              spec->filter, spec->order, log));
        source = &resized;
    }
    /* Nothing to cut or pad: the resized picture is the answer. */
    if (source == &resized && height == resized.height && width == resized.width) {
        *out = resized;
        return VITC_OK;
    }
    status = imgio_image_create(out, width, height, log);
    if (status == VITC_OK && spec->crop)
        copy_window(out, source, patches_crop_offset(spec->crop_rule, source->height, height),
                    patches_crop_offset(spec->crop_rule, source->width, width), spec->fill);
    else if (status == VITC_OK)
        copy_window(out, source, 0, 0, no_fill);
    imgio_image_free(&resized);
    return status;
}
