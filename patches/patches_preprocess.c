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

bool patches_spec_has_corners(const patches_spec *spec)
{
    if (!spec->crop) return false;
    if (spec->resize != PATCHES_RESIZE_EXACT && spec->resize != PATCHES_RESIZE_FIT) return true;
    return spec->resize_height > spec->crop_height || spec->resize_width > spec->crop_width;
}

/* Exchanges left and right. */
static void mirror(imgio_image *image)
{
    uint8_t pixel[PATCHES_CHANNELS];
    for (uint32_t y = 0; y < image->height; y++) {
        uint8_t *left = image->pixels + (size_t)y * image->width * PATCHES_CHANNELS;
        uint8_t *right = left + ((size_t)image->width - 1) * PATCHES_CHANNELS;
        for (; left < right; left += PATCHES_CHANNELS, right -= PATCHES_CHANNELS) {
            memcpy(pixel, left, sizeof pixel);
            memcpy(left, right, sizeof pixel);
            memcpy(right, pixel, sizeof pixel);
        }
    }
}

/* Where the view begins on one axis: at its low or high end where there is room, else as the crop
 * does. */
static int64_t view_offset(patches_crop_rule rule, uint32_t length, uint32_t crop, bool low,
                           bool high)
{
    if (length > crop && low) return 0;
    if (length > crop && high) return (int64_t)length - (int64_t)crop;
    return patches_crop_offset(rule, length, crop);
}

/* Cuts a view, height x width, out of the resized picture. */
static vitc_status cut_view(imgio_image *out, patches_view view, const imgio_image *source,
                            uint32_t height, uint32_t width, const patches_spec *spec,
                            const vitc_log *log)
{
    const bool top = view == PATCHES_VIEW_TOP_LEFT || view == PATCHES_VIEW_TOP_RIGHT;
    const bool bottom = view == PATCHES_VIEW_BOTTOM_LEFT || view == PATCHES_VIEW_BOTTOM_RIGHT;
    const bool left = view == PATCHES_VIEW_TOP_LEFT || view == PATCHES_VIEW_BOTTOM_LEFT;
    const bool right = view == PATCHES_VIEW_TOP_RIGHT || view == PATCHES_VIEW_BOTTOM_RIGHT;
    if (view != PATCHES_VIEW_CENTER && view != PATCHES_VIEW_MIRROR && !top && !bottom)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "%d is not a view of an image", (int)view);
    VITC_TRY(imgio_image_create(out, width, height, log));
    /* Without a crop the picture is of this size already, and both offsets are 0. */
    copy_window(out, source, view_offset(spec->crop_rule, source->height, height, top, bottom),
                view_offset(spec->crop_rule, source->width, width, left, right), spec->fill);
    if (view == PATCHES_VIEW_MIRROR) mirror(out);
    return VITC_OK;
}

vitc_status patches_preprocess_views(imgio_image *out, const patches_view *views, size_t count,
                                     const imgio_image *in, const patches_spec *spec,
                                     const vitc_log *log)
{
    imgio_image resized = {0};
    const imgio_image *source = in;
    uint32_t height, width;
    double exact_height, exact_width;
    vitc_status status = VITC_OK;

    for (size_t v = 0; v < count; v++) out[v] = (imgio_image){0};
    if (in->pixels == NULL || in->width == 0 || in->height == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "there is no image to preprocess");
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
    if (count == 1 && views[0] == PATCHES_VIEW_CENTER && source == &resized &&
        height == resized.height && width == resized.width) {
        *out = resized;
        return VITC_OK;
    }
    for (size_t v = 0; v < count && status == VITC_OK; v++)
        status = cut_view(&out[v], views[v], source, height, width, spec, log);
    for (size_t v = 0; v < count && status != VITC_OK; v++) imgio_image_free(&out[v]);
    imgio_image_free(&resized);
    return status;
}

vitc_status patches_preprocess_image(imgio_image *out, const imgio_image *in,
                                     const patches_spec *spec, const vitc_log *log)
{
    static const patches_view center = PATCHES_VIEW_CENTER;
    if (out == in)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "patches_preprocess_image: needs another image to write to");
    return patches_preprocess_views(out, &center, 1, in, spec, log);
}
