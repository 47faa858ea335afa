/* vitc's own JSON for a spec: stored in vitc's model files and short enough to write by hand.
 * README.md lists the keys. Unknown keys are errors: a misspelt one must not pass unseen. */
#include <stdlib.h>
#include <string.h>

#include "patches_private.h"
#include "vitc_log.h"

#define VERSION_KEY "vitc_preprocess"
#define VERSION     1
#define DIGITS      17 /* significant decimals that carry any double, and so any float */

static const char *const resize_modes[] = {[PATCHES_RESIZE_NONE] = "none",
                                           [PATCHES_RESIZE_EXACT] = "exact",
                                           [PATCHES_RESIZE_SHORTEST] = "shortest",
                                           [PATCHES_RESIZE_FIT] = "fit",
                                           [PATCHES_RESIZE_COVER] = "cover"};
static const char *const pass_orders[] = {
    [IMGIO_ORDER_PILLOW13] = "pillow13", [IMGIO_ORDER_PILLOW12] = "pillow12"};
static const char *const crop_rules[] = {
    [PATCHES_CROP_HF] = "hf", [PATCHES_CROP_TORCHVISION] = "torchvision"};
static const char *const channel_orders[] = {"rgb", "bgr"};

#define COUNT(array) (sizeof(array) / sizeof *(array))

bool patches_spec_is_own(const vitc_json *root)
{
    return vitc_json_get(root, VERSION_KEY) != NULL;
}

/* ---- reading ---- */

/* The index of a string value in `words`; an absent value leaves *index as it is. */
static vitc_status read_word(size_t *index, const patches_reader *reader, const char *key,
                             const vitc_json *value, const char *const *words, size_t count,
                             const char *expected)
{
    if (value == NULL) return VITC_OK;
    const char *word = vitc_json_string(value, "");
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0) {
            *index = i;
            return VITC_OK;
        }
    return patches_read_fail(reader, key, value, expected);
}

static vitc_status check_keys(const patches_reader *reader, const vitc_json *object,
                              const char *where, const char *const *keys, size_t count)
{
    for (void *it = vitc_json_first(object); it != NULL; it = vitc_json_next(object, it)) {
        const char *key = vitc_json_key(it);
        size_t i = 0;
        while (i < count && strcmp(key, keys[i]) != 0) i++;
        char shown[VITC_SHOWN_SIZE];
        if (i == count)
            return vitc_fail(reader->log, VITC_ERR_PREPROCESS, "%s: unknown key \"%s\" in %s",
                             reader->name, vitc_show(shown, key), where);
    }
    return VITC_OK;
}

static vitc_status read_resize(patches_spec *spec, const patches_reader *reader,
                               const vitc_json *resize)
{
    static const char *const box_keys[] = {"mode", "height", "width", "filter", "order"};
    static const char *const edge_keys[] = {"mode", "shortest_edge", "longest_edge", "filter",
                                            "order"};
    size_t mode = PATCHES_RESIZE_NONE, order = IMGIO_ORDER_PILLOW13;
    VITC_TRY(patches_read_object(reader, "resize", resize));
    VITC_TRY(read_word(&mode, reader, "resize.mode", vitc_json_get(resize, "mode"), resize_modes,
                       COUNT(resize_modes), "exact, shortest, fit or cover"));
    if (mode == PATCHES_RESIZE_NONE)
        return patches_read_fail(reader, "resize.mode", vitc_json_get(resize, "mode"),
                                 "exact, shortest, fit or cover (or no \"resize\" at all)");
    spec->resize = (patches_resize)mode;
    VITC_TRY(patches_read_filter(&spec->filter, reader, "resize.filter",
                                 vitc_json_get(resize, "filter")));
    VITC_TRY(read_word(&order, reader, "resize.order", vitc_json_get(resize, "order"), pass_orders,
                       COUNT(pass_orders), "pillow13 or pillow12"));
    spec->order = (imgio_pass_order)order;
    if (mode != PATCHES_RESIZE_SHORTEST) {
        VITC_TRY(check_keys(reader, resize, "\"resize\"", box_keys, COUNT(box_keys)));
        VITC_TRY(patches_read_side(&spec->resize_height, reader, "resize.height",
                                   vitc_json_get(resize, "height")));
        return patches_read_side(&spec->resize_width, reader, "resize.width",
                                 vitc_json_get(resize, "width"));
    }
    const vitc_json *longest = vitc_json_get(resize, "longest_edge");
    VITC_TRY(check_keys(reader, resize, "\"resize\"", edge_keys, COUNT(edge_keys)));
    VITC_TRY(patches_read_side(&spec->resize_height, reader, "resize.shortest_edge",
                               vitc_json_get(resize, "shortest_edge")));
    if (longest == NULL) return VITC_OK;
    return patches_read_side(&spec->longest_edge, reader, "resize.longest_edge", longest);
}

static vitc_status read_crop(patches_spec *spec, const patches_reader *reader,
                             const vitc_json *crop)
{
    static const char *const keys[] = {"height", "width", "rule", "fill"};
    size_t rule = PATCHES_CROP_HF;
    VITC_TRY(patches_read_object(reader, "crop", crop));
    VITC_TRY(check_keys(reader, crop, "\"crop\"", keys, COUNT(keys)));
    spec->crop = true;
    VITC_TRY(patches_read_side(&spec->crop_height, reader, "crop.height",
                               vitc_json_get(crop, "height")));
    VITC_TRY(
        patches_read_side(&spec->crop_width, reader, "crop.width", vitc_json_get(crop, "width")));
    VITC_TRY(read_word(&rule, reader, "crop.rule", vitc_json_get(crop, "rule"), crop_rules,
                       COUNT(crop_rules), "hf or torchvision"));
    spec->crop_rule = (patches_crop_rule)rule;
    const vitc_json *fill = vitc_json_get(crop, "fill");
    if (fill == NULL) return VITC_OK;
    if (!vitc_json_is_array(fill) || vitc_json_size(fill) != PATCHES_CHANNELS)
        return patches_read_fail(reader, "crop.fill", fill, "three whole numbers from 0 to 255");
    for (size_t c = 0; c < PATCHES_CHANNELS; c++) {
        const vitc_json *value = vitc_json_at(fill, c);
        const int64_t level = vitc_json_integer(value, -1);
        if (level < 0 || level > 255)
            return patches_read_fail(reader, "crop.fill", value, "whole numbers from 0 to 255");
        spec->fill[c] = (uint8_t)level;
    }
    return VITC_OK;
}

static vitc_status read_normalize(patches_spec *spec, const patches_reader *reader,
                                  const vitc_json *normalize)
{
    static const char *const keys[] = {"mean", "std"};
    double mean[PATCHES_CHANNELS], std[PATCHES_CHANNELS];
    VITC_TRY(patches_read_object(reader, "normalize", normalize));
    VITC_TRY(check_keys(reader, normalize, "\"normalize\"", keys, COUNT(keys)));
    VITC_TRY(
        patches_read_channels(mean, reader, "normalize.mean", vitc_json_get(normalize, "mean")));
    VITC_TRY(patches_read_channels(std, reader, "normalize.std", vitc_json_get(normalize, "std")));
    patches_spec_set_normalize(spec, mean, std);
    return VITC_OK;
}

vitc_status patches_spec_parse_own(patches_spec *spec, const patches_reader *reader,
                                   const vitc_json *root)
{
    static const char *const keys[] = {VERSION_KEY, "exif",      "resize",  "crop",
                                       "rescale",   "normalize", "channels"};
    const vitc_json *version = vitc_json_get(root, VERSION_KEY);
    const vitc_json *exif = vitc_json_get(root, "exif");
    const vitc_json *resize = vitc_json_get(root, "resize");
    const vitc_json *crop = vitc_json_get(root, "crop");
    const vitc_json *rescale = vitc_json_get(root, "rescale");
    const vitc_json *normalize = vitc_json_get(root, "normalize");
    bool follow_exif = true;
    size_t bgr = 0;

    if (vitc_json_integer(version, 0) != VERSION)
        return patches_read_fail(reader, VERSION_KEY, version,
                                 "1: the file may come from a newer version of vitc");
    VITC_TRY(check_keys(reader, root, "the preprocessing spec", keys, COUNT(keys)));
    if (exif != NULL) VITC_TRY(patches_read_flag(&follow_exif, reader, "exif", exif));
    spec->ignore_exif = !follow_exif;
    if (resize != NULL) VITC_TRY(read_resize(spec, reader, resize));
    if (crop != NULL) VITC_TRY(read_crop(spec, reader, crop));
    spec->rescale = 1 / 255.0;
    if (rescale != NULL) VITC_TRY(patches_read_number(&spec->rescale, reader, "rescale", rescale));
    if (normalize != NULL) VITC_TRY(read_normalize(spec, reader, normalize));
    VITC_TRY(read_word(&bgr, reader, "channels", vitc_json_get(root, "channels"), channel_orders,
                       COUNT(channel_orders), "rgb or bgr"));
    spec->bgr = bgr == 1;
    return VITC_OK;
}

/* ---- writing ---- */

static vitc_json *resize_object(const patches_spec *spec)
{
    vitc_json *object = vitc_json_object();
    bool ok = vitc_json_set_string(object, "mode", resize_modes[spec->resize]);
    if (spec->resize == PATCHES_RESIZE_SHORTEST) {
        ok &= vitc_json_set_integer(object, "shortest_edge", spec->resize_height);
        if (spec->longest_edge != 0)
            ok &= vitc_json_set_integer(object, "longest_edge", spec->longest_edge);
    } else {
        ok &= vitc_json_set_integer(object, "height", spec->resize_height);
        ok &= vitc_json_set_integer(object, "width", spec->resize_width);
    }
    ok &= vitc_json_set_string(object, "filter", imgio_filter_string(spec->filter));
    ok &= vitc_json_set_string(object, "order", pass_orders[spec->order]);
    if (ok) return object;
    vitc_json_free(object);
    return NULL;
}

static vitc_json *crop_object(const patches_spec *spec)
{
    vitc_json *object = vitc_json_object();
    vitc_json *fill = vitc_json_array();
    bool ok = vitc_json_set_integer(object, "height", spec->crop_height);
    ok &= vitc_json_set_integer(object, "width", spec->crop_width);
    ok &= vitc_json_set_string(object, "rule", crop_rules[spec->crop_rule]);
    for (size_t c = 0; c < PATCHES_CHANNELS; c++)
        ok &= vitc_json_append_integer(fill, spec->fill[c]);
    ok &= vitc_json_set(object, "fill", fill);
    if (ok) return object;
    vitc_json_free(object);
    return NULL;
}

static vitc_json *channels_array(const float channels[PATCHES_CHANNELS])
{
    vitc_json *array = vitc_json_array();
    bool ok = true;
    for (size_t c = 0; c < PATCHES_CHANNELS; c++)
        ok &= vitc_json_append_number(array, (double)channels[c]);
    if (ok) return array;
    vitc_json_free(array);
    return NULL;
}

static vitc_json *normalize_object(const patches_spec *spec)
{
    vitc_json *object = vitc_json_object();
    bool ok = vitc_json_set(object, "mean", channels_array(spec->mean));
    ok &= vitc_json_set(object, "std", channels_array(spec->std));
    if (ok) return object;
    vitc_json_free(object);
    return NULL;
}

vitc_status patches_spec_format(char **json, const patches_spec *spec, const vitc_log *log)
{
    *json = NULL;
    VITC_TRY(patches_spec_check(spec, NULL, log));
    vitc_json *root = vitc_json_object();
    bool ok = vitc_json_set_integer(root, VERSION_KEY, VERSION);
    ok &= vitc_json_set_bool(root, "exif", !spec->ignore_exif);
    if (spec->resize != PATCHES_RESIZE_NONE)
        ok &= vitc_json_set(root, "resize", resize_object(spec));
    if (spec->crop) ok &= vitc_json_set(root, "crop", crop_object(spec));
    ok &= vitc_json_set_number(root, "rescale", spec->rescale);
    if (spec->normalize) ok &= vitc_json_set(root, "normalize", normalize_object(spec));
    ok &= vitc_json_set_string(root, "channels", channel_orders[spec->bgr ? 1 : 0]);
    if (ok) *json = vitc_json_dump(root, 0, DIGITS);
    vitc_json_free(root);
    return *json != NULL ? VITC_OK : vitc_fail_memory(log, "the preprocessing spec's JSON");
}
