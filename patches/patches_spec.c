#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patches_private.h"
#include "vitc_log.h"

#define DEFAULT_NAME "preprocessing spec"

vitc_status patches_spec_parse(patches_spec *spec, const char *json, size_t size, const char *name,
                               const char *model_type, const vitc_log *log)
{
    const patches_reader reader = {.name = name != NULL ? name : DEFAULT_NAME, .log = log};
    patches_spec parsed;
    vitc_json *root = NULL;
    vitc_status status;

    /* All bytes, padding included: equal specs can then be compared as memory. */
    memset(&parsed, 0, sizeof parsed);
    memset(spec, 0, sizeof *spec);
    VITC_TRY(vitc_json_parse(&root, json, size, reader.name, log));
    if (!vitc_json_is_object(root))
        status = vitc_fail(log, VITC_ERR_PREPROCESS,
                           "%s: a preprocessing spec is a JSON object, and this is not one",
                           reader.name);
    else if (patches_spec_is_own(root))
        status = patches_spec_parse_own(&parsed, &reader, root);
    else if (patches_spec_is_timm(root))
        status = patches_spec_parse_timm(&parsed, &reader, root);
    else if (patches_spec_is_hf(root, model_type))
        status = patches_spec_parse_hf(&parsed, &reader, root, model_type);
    else
        status = vitc_fail(log, VITC_ERR_PREPROCESS,
                           "%s: does not say how images are prepared for the model; give a "
                           "preprocessing spec (--preprocess): a preprocessor_config.json, a timm "
                           "config.json with a pretrained_cfg, or vitc's own JSON",
                           reader.name);
    vitc_json_free(root);
    if (status == VITC_OK) status = patches_spec_check(&parsed, reader.name, log);
    if (status == VITC_OK) memcpy(spec, &parsed, sizeof *spec);
    return status;
}

/* ---- check ---- */

static bool is_side(uint32_t side)
{
    return side >= 1 && side <= PATCHES_MAX_SIDE;
}

static vitc_status check_box(uint32_t height, uint32_t width, const char *what, const char *name,
                             const vitc_log *log)
{
    if (is_side(height) && is_side(width) && (uint64_t)height * width <= PATCHES_MAX_PIXELS)
        return VITC_OK;
    return vitc_fail(log, VITC_ERR_PREPROCESS,
                     "%s: the %s size, %u pixels wide and %u high, is outside 1 to 65535 a side "
                     "and 100 megapixels",
                     name, what, (unsigned)width, (unsigned)height);
}

static vitc_status check_resize(const patches_spec *spec, const char *name, const vitc_log *log)
{
    switch (spec->resize) {
    case PATCHES_RESIZE_NONE:
        return VITC_OK;
    case PATCHES_RESIZE_EXACT:
    case PATCHES_RESIZE_FIT:
    case PATCHES_RESIZE_COVER:
        VITC_TRY(check_box(spec->resize_height, spec->resize_width, "resize", name, log));
        break;
    case PATCHES_RESIZE_SHORTEST:
        VITC_TRY(check_box(spec->resize_height, 1, "shortest_edge resize", name, log));
        if (spec->longest_edge > PATCHES_MAX_SIDE)
            return vitc_fail(log, VITC_ERR_PREPROCESS,
                             "%s: longest_edge is %u; vitc needs 1 to 65535, or 0 for no bound",
                             name, (unsigned)spec->longest_edge);
        break;
    default:
        return vitc_fail(log, VITC_ERR_PREPROCESS, "%s: %d is not a resize rule", name,
                         (int)spec->resize);
    }
    if (imgio_filter_string(spec->filter) == NULL)
        return vitc_fail(log, VITC_ERR_PREPROCESS, "%s: %d is not a resize filter", name,
                         (int)spec->filter);
    if (spec->order != IMGIO_ORDER_PILLOW13 && spec->order != IMGIO_ORDER_PILLOW12)
        return vitc_fail(log, VITC_ERR_PREPROCESS, "%s: %d is not a resize pass order", name,
                         (int)spec->order);
    return VITC_OK;
}

/* The levels rise or fall with the pixel value, so the ends bound all 256. */
static bool levels_finite(const patches_spec *spec, size_t c)
{
    static const int ends[] = {0, 255};
    for (size_t i = 0; i < 2; i++) {
        float level = (float)(ends[i] * spec->rescale);
        if (spec->normalize) level = (level - spec->mean[c]) / spec->std[c];
        if (!isfinite(level)) return false;
    }
    return true;
}

static vitc_status check_levels(const patches_spec *spec, const char *name, const vitc_log *log)
{
    if (!isfinite(spec->rescale) || spec->rescale == 0)
        return vitc_fail(log, VITC_ERR_PREPROCESS,
                         "%s: the rescale factor is %.9g; vitc needs a finite number other than 0",
                         name, spec->rescale);
    for (size_t c = 0; c < PATCHES_CHANNELS; c++) {
        if (spec->normalize && !isfinite(spec->mean[c]))
            return vitc_fail(log, VITC_ERR_PREPROCESS, "%s: mean[%zu] is not a finite number", name,
                             c);
        if (spec->normalize && (!isfinite(spec->std[c]) || spec->std[c] == 0))
            return vitc_fail(log, VITC_ERR_PREPROCESS,
                             "%s: std[%zu] is %.9g; vitc needs a finite number other than 0", name,
                             c, (double)spec->std[c]);
        if (!levels_finite(spec, c))
            return vitc_fail(log, VITC_ERR_PREPROCESS,
                             "%s: rescale, mean and std take pixels of channel %zu beyond what a "
                             "32-bit float holds",
                             name, c);
    }
    return VITC_OK;
}

vitc_status patches_spec_check(const patches_spec *spec, const char *name, const vitc_log *log)
{
    if (name == NULL) name = DEFAULT_NAME;
    VITC_TRY(check_resize(spec, name, log));
    if (spec->crop) {
        VITC_TRY(check_box(spec->crop_height, spec->crop_width, "crop", name, log));
        if (spec->crop_rule != PATCHES_CROP_HF && spec->crop_rule != PATCHES_CROP_TORCHVISION)
            return vitc_fail(log, VITC_ERR_PREPROCESS, "%s: %d is not a crop rule", name,
                             (int)spec->crop_rule);
    }
    return check_levels(spec, name, log);
}

/* ---- sizes ---- */

double patches_round_half_even(double x)
{
    const double below = floor(x);
    const double rest = x - below;
    return rest > 0.5 || (rest == 0.5 && fmod(below, 2) != 0) ? below + 1 : below;
}

/* The shorter side becomes s, the longer floor(s * long / short). Integers are exact here, and
 * agree with Python's int(s * long / short): a quotient of doubles could be taken for the whole
 * number above it only if it were nearer to it than 1/short, and it is not below 2^16. */
static void shortest_size(uint64_t s, uint32_t height, uint32_t width, double *out_height,
                          double *out_width)
{
    *out_height = width < height ? (double)(s * height / width) : (double)s;
    *out_width = width < height ? (double)s : (double)(s * width / height);
}

/* transformers' get_size_with_aspect_ratio where the bound is in force: in double, step by step as
 * Python computes it, since the rounding errors decide the truncated side. */
static void bounded_size(uint32_t longest, uint32_t height, uint32_t width, double *out_height,
                         double *out_width)
{
    const double shorter = height < width ? height : width;
    const double longer = height < width ? width : height;
    const double raw = longest * shorter / longer;
    const double side = patches_round_half_even(raw);
    if ((height <= width && height == side) || (width <= height && width == side)) {
        *out_height = height;
        *out_width = width;
    } else if (width < height) {
        *out_height = trunc(raw * height / width);
        *out_width = side;
    } else {
        *out_height = side;
        *out_width = trunc(raw * width / height);
    }
}

void patches_resized_size(const patches_spec *spec, uint32_t height, uint32_t width,
                          double *out_height, double *out_width)
{
    *out_height = height;
    *out_width = width;
    switch (spec->resize) {
    case PATCHES_RESIZE_NONE:
        break;
    case PATCHES_RESIZE_EXACT:
        *out_height = spec->resize_height;
        *out_width = spec->resize_width;
        break;
    case PATCHES_RESIZE_SHORTEST: {
        const double aspect =
            height < width ? (double)width / height : (double)height / (double)width;
        if (spec->longest_edge != 0 && aspect * spec->resize_height > spec->longest_edge)
            bounded_size(spec->longest_edge, height, width, out_height, out_width);
        else
            shortest_size(spec->resize_height, height, width, out_height, out_width);
        break;
    }
    case PATCHES_RESIZE_FIT:
    case PATCHES_RESIZE_COVER: {
        const double down = (double)height / spec->resize_height;
        const double across = (double)width / spec->resize_width;
        const bool fit = spec->resize == PATCHES_RESIZE_FIT;
        const double ratio = fit == (down > across) ? down : across;
        *out_height = patches_round_half_even(height / ratio);
        *out_width = patches_round_half_even(width / ratio);
        break;
    }
    }
}

bool patches_spec_output_size(const patches_spec *spec, uint32_t height, uint32_t width,
                              uint32_t *out_height, uint32_t *out_width)
{
    double h, w;
    if (height == 0 || width == 0) return false;
    patches_resized_size(spec, height, width, &h, &w);
    if (!(h >= 1 && h <= PATCHES_MAX_SIDE && w >= 1 && w <= PATCHES_MAX_SIDE)) return false;
    if (h * w > PATCHES_MAX_PIXELS) return false;
    *out_height = spec->crop ? spec->crop_height : (uint32_t)h;
    *out_width = spec->crop ? spec->crop_width : (uint32_t)w;
    return true;
}

/* ---- words ---- */

typedef struct sentence {
    char *text;
    size_t size, length;
} sentence;

static void VITC_PRINTF(2, 3) say(sentence *s, const char *format, ...)
{
    va_list arguments;
    if (s->length >= s->size) return;
    va_start(arguments, format);
    const int n = vsnprintf(s->text + s->length, s->size - s->length, format, arguments);
    va_end(arguments);
    if (n > 0) s->length += (size_t)n;
}

/* The shortest decimal that is this float again: 0.485 rather than 0.485000014. */
static void say_float(sentence *s, float value)
{
    char text[32];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value) break;
    }
    say(s, " %s", text);
}

static void say_size(sentence *s, uint32_t height, uint32_t width)
{
    if (height == width)
        say(s, "%ux%u", (unsigned)width, (unsigned)height);
    else
        say(s, "%u wide, %u high", (unsigned)width, (unsigned)height);
}

static void say_resize(sentence *s, const patches_spec *spec)
{
    const char *filter = imgio_filter_string(spec->filter);
    if (spec->resize == PATCHES_RESIZE_NONE) {
        say(s, "no resize");
        return;
    }
    if (spec->resize == PATCHES_RESIZE_SHORTEST) {
        say(s, "resize the shorter side to %u", (unsigned)spec->resize_height);
        if (spec->longest_edge != 0) say(s, " and the longer to at most %u", spec->longest_edge);
    } else {
        say(s, "resize to %s",
            spec->resize == PATCHES_RESIZE_FIT     ? "fit inside "
            : spec->resize == PATCHES_RESIZE_COVER ? "cover "
                                                   : "");
        say_size(s, spec->resize_height, spec->resize_width);
    }
    say(s, " (%s%s)", filter != NULL ? filter : "?",
        spec->order == IMGIO_ORDER_PILLOW12 ? ", Pillow 12 order" : "");
}

static void say_rescale(sentence *s, double rescale)
{
    const double inverse = nearbyint(1 / rescale);
    if (rescale == 1)
        say(s, ", values 0 to 255");
    else if (fabs(inverse) >= 1 && fabs(inverse) < 1e6 && 1 / inverse == rescale)
        say(s, ", scale 1/%.0f", inverse);
    else if (fabs(nearbyint(2 / rescale)) < 1e6 && 2 / nearbyint(2 / rescale) == rescale)
        say(s, ", scale 1/%.1f", nearbyint(2 / rescale) / 2);
    else
        say(s, ", scale %.9g", rescale);
}

void patches_spec_describe(const patches_spec *spec, char *text, size_t size)
{
    sentence s = {.text = text, .size = size, .length = 0};
    if (size > 0) text[0] = 0;
    say_resize(&s, spec);
    if (spec->crop) {
        say(&s, ", centre crop ");
        say_size(&s, spec->crop_height, spec->crop_width);
        if (spec->fill[0] != 0 || spec->fill[1] != 0 || spec->fill[2] != 0)
            say(&s, ", padding %u %u %u", spec->fill[0], spec->fill[1], spec->fill[2]);
    }
    say_rescale(&s, spec->rescale);
    if (spec->normalize) {
        say(&s, ", mean");
        for (size_t c = 0; c < PATCHES_CHANNELS; c++) say_float(&s, spec->mean[c]);
        say(&s, ", std");
        for (size_t c = 0; c < PATCHES_CHANNELS; c++) say_float(&s, spec->std[c]);
    }
    if (spec->bgr) say(&s, ", channels B, G, R");
    if (spec->ignore_exif) say(&s, ", EXIF orientation ignored");
}
