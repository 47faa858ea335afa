/* timm config.json: what timm.data.create_transform makes of its pretrained_cfg for evaluation
 * (timm 1.0.31): resize to floor(input / crop_pct), centre crop to the input size, normalize.
 * test_input_size and test_crop_pct are not used, as timm does not use them unless asked. */
#include <math.h>
#include <string.h>

#include "patches_private.h"
#include "vitc_log.h"

#define DEFAULT_SIDE     224
#define DEFAULT_CROP_PCT 0.875

static bool is_wrapper(const vitc_json *root)
{
    const char *type = vitc_json_string(vitc_json_get(root, "image_processor_type"), "");
    return strcmp(type, "TimmWrapperImageProcessor") == 0;
}

/* The object that holds the keys: pretrained_cfg; data_config in what transformers saves for a
 * wrapped timm model; the root in the oldest files. NULL when there is none. */
static const vitc_json *find_config(const char **key, const vitc_json *root)
{
    static const char *const inner[] = {"pretrained_cfg", "data_config"};
    static const char *const outer[] = {"mean", "std", "input_size"};
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++) {
        const vitc_json *config = vitc_json_get(root, inner[i]);
        *key = inner[i];
        /* timm takes an empty pretrained_cfg for none and goes to tables of its own. */
        if (patches_json_present(config) &&
            !(vitc_json_is_object(config) && vitc_json_size(config) == 0))
            return config;
    }
    *key = "";
    for (size_t i = 0; i < sizeof outer / sizeof *outer; i++)
        if (patches_json_present(vitc_json_get(root, outer[i]))) return root;
    return NULL;
}

bool patches_spec_is_timm(const vitc_json *root)
{
    const char *key;
    return is_wrapper(root) || (!patches_spec_is_hf(root, NULL) && find_config(&key, root) != NULL);
}

static vitc_status read_input_size(uint32_t *height, uint32_t *width, const patches_reader *reader,
                                   const vitc_json *config)
{
    const vitc_json *size = vitc_json_get(config, "input_size");
    if (!patches_json_present(size)) return VITC_OK;
    if (!vitc_json_is_array(size) || vitc_json_size(size) != 3)
        return patches_read_fail(reader, "input_size", size,
                                 "a list of three: channels, height, width");
    const vitc_json *channels = vitc_json_at(size, 0);
    if (vitc_json_integer(channels, 0) != PATCHES_CHANNELS)
        return patches_read_fail(reader, "input_size[0]", channels, "3 channels");
    VITC_TRY(patches_read_side(height, reader, "input_size[1]", vitc_json_at(size, 1)));
    return patches_read_side(width, reader, "input_size[2]", vitc_json_at(size, 2));
}

static vitc_status read_model_flag(bool *flag, const patches_reader *reader, const vitc_json *args,
                                   const char *name, const char *path)
{
    const vitc_json *value = vitc_json_get(args, name);
    return patches_json_present(value) ? patches_read_flag(flag, reader, path, value) : VITC_OK;
}

/* model_args.img_size is what the stored weights were built for. timm prepares images for it,
 * whatever input_size says, unless the model takes any size. */
static vitc_status read_model_size(uint32_t *height, uint32_t *width, const patches_reader *reader,
                                   const vitc_json *args)
{
    const vitc_json *size = vitc_json_get(args, "img_size");
    bool dynamic = false, strict = true, naflex = false;
    if (!patches_json_present(size)) return VITC_OK;
    VITC_TRY(
        read_model_flag(&dynamic, reader, args, "dynamic_img_size", "model_args.dynamic_img_size"));
    VITC_TRY(
        read_model_flag(&strict, reader, args, "strict_img_size", "model_args.strict_img_size"));
    VITC_TRY(read_model_flag(&naflex, reader, args, "use_naflex", "model_args.use_naflex"));
    if (dynamic || !strict || naflex) return VITC_OK;
    if (vitc_json_is_array(size)) {
        if (vitc_json_size(size) != 2)
            return patches_read_fail(reader, "model_args.img_size", size,
                                     "a number, or a list of two: height, width");
        VITC_TRY(
            patches_read_side(height, reader, "model_args.img_size[0]", vitc_json_at(size, 0)));
        return patches_read_side(width, reader, "model_args.img_size[1]", vitc_json_at(size, 1));
    }
    VITC_TRY(patches_read_side(height, reader, "model_args.img_size", size));
    *width = *height;
    return VITC_OK;
}

/* Absent, null and 0 all mean the default, as Python's `or` has it. */
static vitc_status read_crop_pct(double *crop_pct, const patches_reader *reader,
                                 const vitc_json *config)
{
    const vitc_json *value = vitc_json_get(config, "crop_pct");
    *crop_pct = DEFAULT_CROP_PCT;
    if (!patches_json_present(value)) return VITC_OK;
    double given;
    VITC_TRY(patches_read_number(&given, reader, "crop_pct", value));
    if (given < 0) return patches_read_fail(reader, "crop_pct", value, "a number above 0");
    if (given > 0) *crop_pct = given;
    return VITC_OK;
}

/* The side that is resized to so that `input` is crop_pct of it. */
static vitc_status scale_side(uint32_t *side, const patches_reader *reader, uint32_t input,
                              double crop_pct)
{
    const double scaled = floor(input / crop_pct);
    if (!(scaled >= 1 && scaled <= PATCHES_MAX_SIDE))
        return vitc_fail(reader->log, VITC_ERR_PREPROCESS,
                         "%s: \"crop_pct\" is %.9g, which resizes to %.9g pixels before a crop of "
                         "%u; vitc needs 1 to 65535 pixels",
                         reader->name, crop_pct, scaled, (unsigned)input);
    *side = (uint32_t)scaled;
    return VITC_OK;
}

static vitc_status read_mode(patches_spec *spec, const patches_reader *reader,
                             const vitc_json *config)
{
    const vitc_json *value = vitc_json_get(config, "crop_mode");
    const char *mode = vitc_json_string(value, "");
    if (patches_json_present(value) && !vitc_json_is_string(value)) mode = "?";
    if (strcmp(mode, "squash") == 0)
        spec->resize = PATCHES_RESIZE_EXACT;
    else if (strcmp(mode, "border") == 0)
        spec->resize = PATCHES_RESIZE_FIT;
    else if (*mode != 0 && strcmp(mode, "center") != 0)
        return patches_read_fail(reader, "crop_mode", value, "center, squash or border");
    else if (spec->resize_height == spec->resize_width)
        spec->resize = PATCHES_RESIZE_SHORTEST;
    else
        spec->resize = PATCHES_RESIZE_COVER;
    if (spec->resize == PATCHES_RESIZE_SHORTEST) spec->resize_width = 0;
    return VITC_OK;
}

/* timm takes its default for an empty list too. */
static vitc_status read_statistic(double channels[PATCHES_CHANNELS], const patches_reader *reader,
                                  const vitc_json *config, const char *key, const double *otherwise)
{
    const vitc_json *value = vitc_json_get(config, key);
    memcpy(channels, otherwise, PATCHES_CHANNELS * sizeof *channels);
    if (!patches_json_present(value) || (vitc_json_is_array(value) && vitc_json_size(value) == 0))
        return VITC_OK;
    if (vitc_json_is_array(value) && vitc_json_size(value) == 1) value = vitc_json_at(value, 0);
    return patches_read_channels(channels, reader, key, value);
}

vitc_status patches_spec_parse_timm(patches_spec *spec, const patches_reader *reader,
                                    const vitc_json *root)
{
    const char *key;
    const vitc_json *config = find_config(&key, root);
    uint32_t height = DEFAULT_SIDE, width = DEFAULT_SIDE;
    double crop_pct, mean[PATCHES_CHANNELS], std[PATCHES_CHANNELS];

    if (config == NULL)
        return patches_read_fail(reader, "pretrained_cfg", vitc_json_get(root, "pretrained_cfg"),
                                 "timm's preprocessing keys there");
    VITC_TRY(patches_read_object(reader, key, config));
    VITC_TRY(read_input_size(&height, &width, reader, config));
    const vitc_json *args = vitc_json_get(root, "model_args");
    if (config != root && patches_json_present(args)) {
        VITC_TRY(patches_read_object(reader, "model_args", args));
        VITC_TRY(read_model_size(&height, &width, reader, args));
    }

    const vitc_json *interpolation = vitc_json_get(config, "interpolation");
    spec->filter = IMGIO_BICUBIC;
    if (patches_json_present(interpolation) && *vitc_json_string(interpolation, "?") != 0)
        VITC_TRY(patches_read_filter(&spec->filter, reader, "interpolation", interpolation));

    VITC_TRY(read_crop_pct(&crop_pct, reader, config));
    VITC_TRY(scale_side(&spec->resize_height, reader, height, crop_pct));
    VITC_TRY(scale_side(&spec->resize_width, reader, width, crop_pct));
    VITC_TRY(read_mode(spec, reader, config));
    spec->crop = true;
    spec->crop_rule = PATCHES_CROP_TORCHVISION;
    spec->crop_height = height;
    spec->crop_width = width;

    spec->rescale = 1 / 255.0;
    VITC_TRY(read_statistic(mean, reader, config, "mean", patches_imagenet_mean));
    VITC_TRY(read_statistic(std, reader, config, "std", patches_imagenet_std));
    patches_spec_set_normalize(spec, mean, std);

    /* "border" pads with the mean colour, so that padding is near 0 after normalizing. */
    for (size_t c = 0; spec->resize == PATCHES_RESIZE_FIT && c < PATCHES_CHANNELS; c++) {
        const double fill = patches_round_half_even(255 * mean[c]);
        if (!(fill >= 0 && fill <= 255))
            return vitc_fail(reader->log, VITC_ERR_PREPROCESS,
                             "%s: \"mean\" holds %.9g, so that \"crop_mode\": \"border\" would pad "
                             "with %.9g; vitc needs 0 to 255",
                             reader->name, mean[c], fill);
        spec->fill[c] = (uint8_t)fill;
    }
    return VITC_OK;
}
