/* Hugging Face preprocessor_config.json, as the PIL processors of transformers 5.23 follow it:
 * resize, centre crop, rescale, normalize. Defaults belong to the class that the file names, so the
 * classes are part of the format. do_convert_rgb needs nothing here: imgio gives RGB always. */
#include <string.h>

#include "patches_private.h"
#include "vitc_log.h"

typedef struct hf_class {
    const char *stem; /* of <stem>ImageProcessor[Fast|Pil] and <stem>FeatureExtractor */
    imgio_filter filter;
    bool to_square; /* an integer "size" is a square; else the shorter side */
    patches_resize resize;
    uint32_t resize_side;
    bool crop;
    uint32_t crop_side; /* 0: the class has no crop_size of its own */
    const double *mean, *std;
} hf_class;

static const hf_class hf_classes[] = {
    {"ViT", IMGIO_BILINEAR, true, PATCHES_RESIZE_EXACT, 224, false, 0, patches_half, patches_half},
    {"DeiT", IMGIO_BICUBIC, true, PATCHES_RESIZE_EXACT, 256, true, 224, patches_half, patches_half},
    {"Bit", IMGIO_BICUBIC, false, PATCHES_RESIZE_SHORTEST, 224, true, 224, patches_clip_mean,
     patches_clip_std},
    {"CLIP", IMGIO_BICUBIC, false, PATCHES_RESIZE_SHORTEST, 224, true, 224, patches_clip_mean,
     patches_clip_std},
    {"Siglip", IMGIO_BICUBIC, false, PATCHES_RESIZE_EXACT, 224, false, 0, patches_half,
     patches_half},
    {"Beit", IMGIO_BICUBIC, true, PATCHES_RESIZE_EXACT, 224, false, 224, patches_half,
     patches_half},
};

/* The class that transformers takes where the file names none. */
static const struct {
    const char *model_type, *stem;
} hf_model_types[] = {
    {"vit", "ViT"},    {"vit_mae", "ViT"}, {"vit_msn", "ViT"},   {"deit", "DeiT"},
    {"dinov2", "Bit"}, {"clip", "CLIP"},   {"siglip", "Siglip"}, {"beit", "Beit"},
};

static const char *const hf_keys[] = {
    "do_resize",  "size",         "resample",   "do_center_crop", "crop_size",
    "do_rescale", "do_normalize", "image_mean", "image_std",      "rescale_factor"};

#define COUNT(array) (sizeof(array) / sizeof *(array))

bool patches_spec_is_hf(const vitc_json *root, const char *model_type)
{
    /* transformers takes an empty file for its class's defaults, where it knows the class. */
    if (vitc_json_size(root) == 0 && model_type != NULL) return true;
    if (patches_json_present(vitc_json_get(root, "image_processor_type")) ||
        patches_json_present(vitc_json_get(root, "feature_extractor_type")))
        return true;
    for (size_t i = 0; i < COUNT(hf_keys); i++)
        if (vitc_json_get(root, hf_keys[i]) != NULL) return true;
    return false;
}

static bool ends_with(const char *text, size_t length, const char *suffix)
{
    const size_t n = strlen(suffix);
    return length >= n && memcmp(text + length - n, suffix, n) == 0;
}

static const hf_class *class_from_stem(const char *stem, size_t length)
{
    for (size_t i = 0; i < COUNT(hf_classes); i++)
        if (strlen(hf_classes[i].stem) == length && memcmp(hf_classes[i].stem, stem, length) == 0)
            return &hf_classes[i];
    return NULL;
}

/* "ViTImageProcessorFast" -> the ViT row; NULL for a class that is not in the table. */
static const hf_class *class_from_name(const char *name)
{
    static const char *const backends[] = {"Fast", "Pil"};
    static const char *const kinds[] = {"ImageProcessor", "FeatureExtractor"};
    size_t length = strlen(name);
    for (size_t i = 0; i < COUNT(backends); i++)
        if (ends_with(name, length, backends[i])) {
            length -= strlen(backends[i]);
            break;
        }
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (ends_with(name, length, kinds[i]))
            return class_from_stem(name, length - strlen(kinds[i]));
    return NULL;
}

static vitc_status find_class(const hf_class **found, const patches_reader *reader,
                              const vitc_json *root, const char *model_type)
{
    static const char *const keys[] = {"image_processor_type", "feature_extractor_type"};
    for (size_t k = 0; k < COUNT(keys); k++) {
        const vitc_json *value = vitc_json_get(root, keys[k]);
        if (!patches_json_present(value)) continue;
        const char *name = vitc_json_string(value, NULL);
        *found = name != NULL ? class_from_name(name) : NULL;
        if (*found == NULL)
            return patches_read_fail(
                reader, keys[k], value,
                "a class that it knows: ViT, DeiT, Bit, CLIP, Siglip or Beit, followed by "
                "ImageProcessor, ImageProcessorFast or FeatureExtractor");
        return VITC_OK;
    }
    for (size_t i = 0; model_type != NULL && i < COUNT(hf_model_types); i++)
        if (strcmp(hf_model_types[i].model_type, model_type) == 0) {
            *found = class_from_stem(hf_model_types[i].stem, strlen(hf_model_types[i].stem));
            return VITC_OK;
        }
    char shown[VITC_SHOWN_SIZE];
    return vitc_fail(reader->log, VITC_ERR_PREPROCESS,
                     "%s: names no image_processor_type, and the model type (%s) has no default "
                     "one; add the key, or give a preprocessing spec (--preprocess)",
                     reader->name, vitc_show(shown, model_type != NULL ? model_type : "unknown"));
}

/* A flag that is absent has its class's default; one that is null is off, as None is in Python. */
static vitc_status read_flag(bool *flag, const patches_reader *reader, const vitc_json *root,
                             const char *key, bool otherwise)
{
    const vitc_json *value = vitc_json_get(root, key);
    *flag = otherwise && value == NULL;
    return patches_json_present(value) ? patches_read_flag(flag, reader, key, value) : VITC_OK;
}

/* [height, width] */
static vitc_status read_pair(uint32_t *height, uint32_t *width, const patches_reader *reader,
                             const char *key, const vitc_json *value)
{
    if (vitc_json_size(value) != 2)
        return patches_read_fail(reader, key, value, "a list of two: height, width");
    VITC_TRY(patches_read_side(height, reader, key, vitc_json_at(value, 0)));
    return patches_read_side(width, reader, key, vitc_json_at(value, 1));
}

static vitc_status read_size_object(patches_spec *spec, const patches_reader *reader,
                                    const vitc_json *size)
{
    const vitc_json *height = vitc_json_get(size, "height");
    const vitc_json *width = vitc_json_get(size, "width");
    const vitc_json *shortest = vitc_json_get(size, "shortest_edge");
    const vitc_json *longest = vitc_json_get(size, "longest_edge");
    const bool box = patches_json_present(height) || patches_json_present(width);
    const bool edge = patches_json_present(shortest) || patches_json_present(longest);
    char shown[VITC_SHOWN_SIZE];
    for (void *it = vitc_json_first(size); it != NULL; it = vitc_json_next(size, it)) {
        const vitc_json *member = vitc_json_value(it);
        if (patches_json_present(member) && member != height && member != width &&
            member != shortest && member != longest)
            return vitc_fail(reader->log, VITC_ERR_PREPROCESS,
                             "%s: \"size\" has the key \"%s\", which vitc cannot follow; it "
                             "needs height and width, or shortest_edge",
                             reader->name, vitc_show(shown, vitc_json_key(it)));
    }
    if (box == edge)
        return vitc_fail(reader->log, VITC_ERR_PREPROCESS,
                         "%s: \"size\" has %s; it needs either height and width, or shortest_edge",
                         reader->name,
                         box ? "both height or width and an edge" : "no key that vitc can follow");
    if (box) {
        spec->resize = PATCHES_RESIZE_EXACT;
        VITC_TRY(patches_read_side(&spec->resize_height, reader, "size.height", height));
        return patches_read_side(&spec->resize_width, reader, "size.width", width);
    }
    spec->resize = PATCHES_RESIZE_SHORTEST;
    VITC_TRY(patches_read_side(&spec->resize_height, reader, "size.shortest_edge", shortest));
    if (!patches_json_present(longest)) return VITC_OK;
    return patches_read_side(&spec->longest_edge, reader, "size.longest_edge", longest);
}

static vitc_status read_resize(patches_spec *spec, const patches_reader *reader,
                               const vitc_json *root, const hf_class *defaults)
{
    const vitc_json *resample = vitc_json_get(root, "resample");
    spec->filter = defaults->filter;
    if (resample != NULL) {
        /* The codes are Pillow's own, and imgio_filter has the same numbers. */
        const int64_t code = vitc_json_integer(resample, -1);
        if (!vitc_json_is_integer(resample) || code < IMGIO_NEAREST || code > IMGIO_HAMMING)
            return patches_read_fail(reader, "resample", resample,
                                     "0 nearest, 1 lanczos, 2 bilinear, 3 bicubic, 4 box or "
                                     "5 hamming");
        spec->filter = (imgio_filter)code;
    }

    const vitc_json *size = vitc_json_get(root, "size");
    if (vitc_json_is_object(size)) return read_size_object(spec, reader, size);
    if (vitc_json_is_array(size)) {
        spec->resize = PATCHES_RESIZE_EXACT;
        return read_pair(&spec->resize_height, &spec->resize_width, reader, "size", size);
    }
    spec->resize = defaults->resize;
    spec->resize_height = defaults->resize_side;
    if (size != NULL) {
        bool to_square;
        VITC_TRY(read_flag(&to_square, reader, root, "default_to_square", defaults->to_square));
        spec->resize = to_square ? PATCHES_RESIZE_EXACT : PATCHES_RESIZE_SHORTEST;
        VITC_TRY(patches_read_side(&spec->resize_height, reader, "size", size));
    }
    if (spec->resize == PATCHES_RESIZE_EXACT) spec->resize_width = spec->resize_height;
    return VITC_OK;
}

static vitc_status read_crop(patches_spec *spec, const patches_reader *reader,
                             const vitc_json *root, const hf_class *defaults)
{
    const vitc_json *size = vitc_json_get(root, "crop_size");
    spec->crop = true;
    spec->crop_rule = PATCHES_CROP_HF;
    if (vitc_json_is_object(size)) {
        VITC_TRY(patches_read_side(&spec->crop_height, reader, "crop_size.height",
                                   vitc_json_get(size, "height")));
        return patches_read_side(&spec->crop_width, reader, "crop_size.width",
                                 vitc_json_get(size, "width"));
    }
    if (vitc_json_is_array(size))
        return read_pair(&spec->crop_height, &spec->crop_width, reader, "crop_size", size);
    spec->crop_height = defaults->crop_side;
    if (size != NULL || defaults->crop_side == 0)
        VITC_TRY(patches_read_side(&spec->crop_height, reader, "crop_size", size));
    spec->crop_width = spec->crop_height;
    return VITC_OK;
}

static vitc_status read_normalize(patches_spec *spec, const patches_reader *reader,
                                  const vitc_json *root, const hf_class *defaults)
{
    double mean[PATCHES_CHANNELS], std[PATCHES_CHANNELS];
    memcpy(mean, defaults->mean, sizeof mean);
    memcpy(std, defaults->std, sizeof std);
    const vitc_json *given_mean = vitc_json_get(root, "image_mean");
    const vitc_json *given_std = vitc_json_get(root, "image_std");
    if (given_mean != NULL) VITC_TRY(patches_read_channels(mean, reader, "image_mean", given_mean));
    if (given_std != NULL) VITC_TRY(patches_read_channels(std, reader, "image_std", given_std));
    patches_spec_set_normalize(spec, mean, std);
    return VITC_OK;
}

vitc_status patches_spec_parse_hf(patches_spec *spec, const patches_reader *reader,
                                  const vitc_json *root, const char *model_type)
{
    /* Steps that some classes take and vitc does not: silence would give other pixels. */
    static const char *const refused[] = {"do_pad", "use_square_size"};
    const hf_class *defaults;
    bool resize, crop, rescale, normalize;
    VITC_TRY(find_class(&defaults, reader, root, model_type));
    for (size_t i = 0; i < COUNT(refused); i++) {
        bool set;
        VITC_TRY(read_flag(&set, reader, root, refused[i], false));
        if (set)
            return patches_read_fail(reader, refused[i], vitc_json_get(root, refused[i]),
                                     "false: it does not do this step");
    }
    VITC_TRY(read_flag(&resize, reader, root, "do_resize", true));
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): found whenever find_class succeeds */
    VITC_TRY(read_flag(&crop, reader, root, "do_center_crop", defaults->crop));
    VITC_TRY(read_flag(&rescale, reader, root, "do_rescale", true));
    VITC_TRY(read_flag(&normalize, reader, root, "do_normalize", true));

    if (resize) VITC_TRY(read_resize(spec, reader, root, defaults));
    if (crop) VITC_TRY(read_crop(spec, reader, root, defaults));
    spec->rescale = 1;
    if (rescale) {
        const vitc_json *factor = vitc_json_get(root, "rescale_factor");
        spec->rescale = 1 / 255.0;
        if (factor != NULL)
            VITC_TRY(patches_read_number(&spec->rescale, reader, "rescale_factor", factor));
    }
    if (normalize) VITC_TRY(read_normalize(spec, reader, root, defaults));
    return VITC_OK;
}
