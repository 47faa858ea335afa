#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "patches_private.h"
#include "vitc_log.h"

const double patches_imagenet_mean[PATCHES_CHANNELS] = {0.485, 0.456, 0.406};
const double patches_imagenet_std[PATCHES_CHANNELS] = {0.229, 0.224, 0.225};
const double patches_half[PATCHES_CHANNELS] = {0.5, 0.5, 0.5};
const double patches_clip_mean[PATCHES_CHANNELS] = {0.48145466, 0.4578275, 0.40821073};
const double patches_clip_std[PATCHES_CHANNELS] = {0.26862954, 0.26130258, 0.27577711};

vitc_status patches_read_fail(const patches_reader *reader, const char *key, const vitc_json *value,
                              const char *expected)
{
    char shown[VITC_SHOWN_SIZE + 2];
    vitc_json_describe(shown, sizeof shown, value);
    return vitc_fail(reader->log, VITC_ERR_PREPROCESS, "%s: \"%s\" is %s; vitc needs %s",
                     reader->name, key, shown, expected);
}

bool patches_json_present(const vitc_json *value)
{
    return value != NULL && !vitc_json_is_null(value);
}

vitc_status patches_read_side(uint32_t *side, const patches_reader *reader, const char *key,
                              const vitc_json *value)
{
    const int64_t pixels = vitc_json_integer(value, 0);
    if (!vitc_json_is_integer(value) || pixels < 1 || pixels > PATCHES_MAX_SIDE)
        return patches_read_fail(reader, key, value, "a whole number of pixels from 1 to 65535");
    *side = (uint32_t)pixels;
    return VITC_OK;
}

vitc_status patches_read_number(double *number, const patches_reader *reader, const char *key,
                                const vitc_json *value)
{
    if (!vitc_json_is_number(value)) return patches_read_fail(reader, key, value, "a number");
    *number = vitc_json_number(value, 0);
    return VITC_OK;
}

vitc_status patches_read_flag(bool *flag, const patches_reader *reader, const char *key,
                              const vitc_json *value)
{
    if (!vitc_json_is_bool(value)) return patches_read_fail(reader, key, value, "true or false");
    *flag = vitc_json_bool(value, false);
    return VITC_OK;
}

vitc_status patches_read_object(const patches_reader *reader, const char *key,
                                const vitc_json *value)
{
    if (!vitc_json_is_object(value)) return patches_read_fail(reader, key, value, "an object");
    return VITC_OK;
}

vitc_status patches_read_filter(imgio_filter *filter, const patches_reader *reader, const char *key,
                                const vitc_json *value)
{
    const char *name = vitc_json_string(value, NULL);
    if (name == NULL || !imgio_filter_from_string(filter, name))
        return patches_read_fail(
            reader, key, value,
            "one of \"nearest\", \"box\", \"bilinear\", \"hamming\", \"bicubic\", \"lanczos\"");
    return VITC_OK;
}

vitc_status patches_read_channels(double channels[PATCHES_CHANNELS], const patches_reader *reader,
                                  const char *key, const vitc_json *value)
{
    static const char *const expected = "three numbers, or one for all channels";
    if (vitc_json_is_number(value)) {
        for (size_t c = 0; c < PATCHES_CHANNELS; c++) channels[c] = vitc_json_number(value, 0);
    } else {
        if (!vitc_json_is_array(value) || vitc_json_size(value) != PATCHES_CHANNELS)
            return patches_read_fail(reader, key, value, expected);
        for (size_t c = 0; c < PATCHES_CHANNELS; c++) {
            const vitc_json *number = vitc_json_at(value, c);
            if (!vitc_json_is_number(number)) {
                char element[64];
                snprintf(element, sizeof element, "%s[%zu]", key, c);
                return patches_read_fail(reader, element, number, "a number");
            }
            channels[c] = vitc_json_number(number, 0);
        }
    }
    for (size_t c = 0; c < PATCHES_CHANNELS; c++)
        if (!(fabs(channels[c]) <= (double)FLT_MAX))
            return vitc_fail(reader->log, VITC_ERR_PREPROCESS,
                             "%s: \"%s\" holds %.9g, which a 32-bit float cannot", reader->name,
                             key, channels[c]);
    return VITC_OK;
}

void patches_spec_set_normalize(patches_spec *spec, const double mean[PATCHES_CHANNELS],
                                const double std[PATCHES_CHANNELS])
{
    spec->normalize = true;
    for (size_t c = 0; c < PATCHES_CHANNELS; c++) {
        spec->mean[c] = (float)mean[c];
        spec->std[c] = (float)std[c];
    }
}
