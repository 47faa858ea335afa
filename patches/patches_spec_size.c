/* A preprocessing spec for another size of the model's images. */
#include <math.h>
#include <string.h>

#include "patches_private.h"
#include "vitc_log.h"

/* The f of timm's rule, resize = floor(crop / f), that this resize was made with: of the fractions
 * that give it the one people write, and of several the largest; 0 where none of them does. */
static double crop_fraction(uint32_t crop, uint32_t resize)
{
    static const double steps_of_one[] = {10, 20, 40, 100, 200, 1000};
    for (size_t i = 0; i < sizeof steps_of_one / sizeof steps_of_one[0]; i++) {
        const double f = floor(crop * steps_of_one[i] / resize) / steps_of_one[i];
        if (f > 0 && floor(crop / f) == resize) return f;
    }
    return 0;
}

/* The side to resize to before `crop` is cut out, where it was `resize` for an `old` crop; with the
 * fraction f when that is not 0. Beyond what a side can be, UINT32_MAX, which the check refuses. */
static uint32_t scale_side(uint32_t resize, uint32_t old, uint32_t crop, double f)
{
    if (f == 0 && crop == old) return resize;
    if (f == 0) f = crop_fraction(old, resize);
    const double scaled = f != 0 ? floor(crop / f) : (double)((uint64_t)crop * resize / old);
    return scaled < UINT32_MAX ? (uint32_t)scaled : UINT32_MAX;
}

static void scale_resize(patches_spec *spec, uint32_t old_height, uint32_t old_width,
                         uint32_t height, uint32_t width, double f)
{
    const bool like = (uint64_t)height * old_width == (uint64_t)width * old_height;
    const uint32_t old_short = old_height < old_width ? old_height : old_width;
    const uint32_t before = spec->resize_height;
    if (spec->resize == PATCHES_RESIZE_SHORTEST && like) {
        spec->resize_height = scale_side(before, old_short, height < width ? height : width, f);
        spec->longest_edge = (uint32_t)fmin(
            round((double)spec->longest_edge * spec->resize_height / before), UINT32_MAX);
    } else if (spec->resize == PATCHES_RESIZE_SHORTEST) {
        spec->resize = PATCHES_RESIZE_COVER;
        spec->resize_height = scale_side(before, old_short, height, f);
        spec->resize_width = scale_side(before, old_short, width, f);
        spec->longest_edge = 0;
    } else {
        spec->resize_height = scale_side(before, old_height, height, f);
        spec->resize_width = scale_side(spec->resize_width, old_width, width, f);
    }
    if (spec->resize == PATCHES_RESIZE_COVER && spec->resize_height == spec->resize_width) {
        spec->resize = PATCHES_RESIZE_SHORTEST;
        spec->resize_width = 0;
    }
}

vitc_status patches_spec_with_size(patches_spec *out, const patches_spec *spec, uint32_t width,
                                   uint32_t height, double crop, const vitc_log *log)
{
    patches_spec derived;
    memcpy(&derived, spec, sizeof derived); /* padding too: equal specs are equal memory */
    VITC_TRY(patches_spec_check(spec, NULL, log));
    if (crop != 0 && !(crop > 0 && crop <= 1))
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "a crop of %g of the resized picture; it is above 0 and at most 1", crop);
    if (!spec->crop && spec->resize != PATCHES_RESIZE_EXACT)
        return vitc_fail(log, VITC_ERR_PREPROCESS,
                         "the preprocessing does not make images of one size, so that none can be "
                         "derived for another; give one with --preprocess");
    if (crop != 0 && spec->resize == PATCHES_RESIZE_NONE)
        return vitc_fail(log, VITC_ERR_PREPROCESS,
                         "the preprocessing does not resize, so that no crop fraction applies; "
                         "give one that does with --preprocess");
    const uint32_t old_height = spec->crop ? spec->crop_height : spec->resize_height;
    const uint32_t old_width = spec->crop ? spec->crop_width : spec->resize_width;
    if (height == 0) height = old_height;
    if (width == 0) width = old_width;
    if (spec->resize != PATCHES_RESIZE_NONE)
        scale_resize(&derived, old_height, old_width, height, width, crop);
    derived.crop = spec->crop || derived.resize_height != height || derived.resize_width != width;
    if (derived.crop) {
        derived.crop_height = height;
        derived.crop_width = width;
    }
    VITC_TRY(patches_spec_check(&derived, NULL, log));
    memcpy(out, &derived, sizeof *out);
    return VITC_OK;
}
