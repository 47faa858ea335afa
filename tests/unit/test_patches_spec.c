/* The preprocessing spec: defaults, dialects, rounding, hostile input, the round trip. */
#include <math.h>
#include <stdlib.h>

#include "test_patches_support.h"

#define COUNT(array)    (sizeof(array) / sizeof *(array))
#define BOX(rule, side) rule, side, side, 0

/* What a JSON text must become; crop 0 means no crop. */
typedef struct spec_case {
    const char *json, *model_type;
    patches_resize resize;
    uint32_t height, width, longest;
    imgio_filter filter;
    uint32_t crop_height, crop_width;
    double rescale;
    float mean0, std2; /* of the first and the last channel; std2 0: not normalized */
} spec_case;

static const double unit = 1 / 255.0;

static void expect_spec(const spec_case *expected, patches_crop_rule rule)
{
    patches_spec s;
    parse_ok(&s, expected->json, expected->model_type);
    const bool same =
        s.resize == expected->resize && s.resize_height == expected->height &&
        s.resize_width == expected->width && s.longest_edge == expected->longest &&
        s.filter == expected->filter && s.order == IMGIO_ORDER_PILLOW13 &&
        s.crop == (expected->crop_height != 0) && s.crop_height == expected->crop_height &&
        s.crop_width == expected->crop_width && (!s.crop || s.crop_rule == rule) &&
        s.rescale == expected->rescale && s.normalize == (expected->std2 != 0) &&
        s.mean[0] == expected->mean0 && s.std[2] == expected->std2 && !s.bgr && !s.ignore_exif;
    char sentence[256];
    patches_spec_describe(&s, sentence, sizeof sentence);
    if (!same) fail_msg("%s\n-> %s", expected->json, sentence);
}

/* ---- Hugging Face ---- */

static void test_hf(void **state)
{
    static const spec_case cases[] = {
        /* every class, with nothing but its name: the defaults of transformers 5.23 */
        {"{\"image_processor_type\": \"ViTImageProcessor\"}", NULL, BOX(PATCHES_RESIZE_EXACT, 224),
         IMGIO_BILINEAR, 0, 0, unit, 0.5F, 0.5F},
        {"{\"image_processor_type\": \"DeiTImageProcessorFast\"}", NULL,
         BOX(PATCHES_RESIZE_EXACT, 256), IMGIO_BICUBIC, 224, 224, unit, 0.5F, 0.5F},
        {"{\"image_processor_type\": \"BitImageProcessorPil\"}", NULL, PATCHES_RESIZE_SHORTEST, 224,
         0, 0, IMGIO_BICUBIC, 224, 224, unit, 0.48145466F, 0.27577711F},
        {"{\"feature_extractor_type\": \"CLIPFeatureExtractor\"}", NULL, PATCHES_RESIZE_SHORTEST,
         224, 0, 0, IMGIO_BICUBIC, 224, 224, unit, 0.48145466F, 0.27577711F},
        {"{\"image_processor_type\": \"SiglipImageProcessor\"}", NULL,
         BOX(PATCHES_RESIZE_EXACT, 224), IMGIO_BICUBIC, 0, 0, unit, 0.5F, 0.5F},
        {"{\"image_processor_type\": \"BeitImageProcessor\"}", NULL, BOX(PATCHES_RESIZE_EXACT, 224),
         IMGIO_BICUBIC, 0, 0, unit, 0.5F, 0.5F},
        /* google/vit-base-patch16-224 and its like: no class, a bare size */
        {"{\"do_normalize\": true, \"do_resize\": true, \"image_mean\": [0.5, 0.5, 0.5],"
         " \"image_std\": [0.5, 0.5, 0.5], \"size\": 224}",
         "vit", BOX(PATCHES_RESIZE_EXACT, 224), IMGIO_BILINEAR, 0, 0, unit, 0.5F, 0.5F},
        {"{}", "vit", BOX(PATCHES_RESIZE_EXACT, 224), IMGIO_BILINEAR, 0, 0, unit, 0.5F, 0.5F},
        {"{\"size\": 96}", "vit_mae", BOX(PATCHES_RESIZE_EXACT, 96), IMGIO_BILINEAR, 0, 0, unit,
         0.5F, 0.5F},
        {"{\"size\": 96}", "deit", BOX(PATCHES_RESIZE_EXACT, 96), IMGIO_BICUBIC, 224, 224, unit,
         0.5F, 0.5F},
        {"{\"size\": 96}", "dinov2", PATCHES_RESIZE_SHORTEST, 96, 0, 0, IMGIO_BICUBIC, 224, 224,
         unit, 0.48145466F, 0.27577711F},
        {"{\"size\": 96, \"crop_size\": 80}", "clip", PATCHES_RESIZE_SHORTEST, 96, 0, 0,
         IMGIO_BICUBIC, 80, 80, unit, 0.48145466F, 0.27577711F},
        {"{\"size\": 96}", "siglip", PATCHES_RESIZE_SHORTEST, 96, 0, 0, IMGIO_BICUBIC, 0, 0, unit,
         0.5F, 0.5F},
        {"{\"size\": 96}", "beit", BOX(PATCHES_RESIZE_EXACT, 96), IMGIO_BICUBIC, 0, 0, unit, 0.5F,
         0.5F},
        /* the class in the file wins over the model's type */
        {"{\"image_processor_type\": \"ViTImageProcessor\", \"size\": 96}", "dinov2",
         BOX(PATCHES_RESIZE_EXACT, 96), IMGIO_BILINEAR, 0, 0, unit, 0.5F, 0.5F},
        {"{\"image_processor_type\": null, \"feature_extractor_type\": \"DeiTFeatureExtractor\"}",
         NULL, BOX(PATCHES_RESIZE_EXACT, 256), IMGIO_BICUBIC, 224, 224, unit, 0.5F, 0.5F},
        /* sizes in every form */
        {"{\"size\": {\"height\": 32, \"width\": 48}}", "vit", PATCHES_RESIZE_EXACT, 32, 48, 0,
         IMGIO_BILINEAR, 0, 0, unit, 0.5F, 0.5F},
        {"{\"size\": [32, 48]}", "vit", PATCHES_RESIZE_EXACT, 32, 48, 0, IMGIO_BILINEAR, 0, 0, unit,
         0.5F, 0.5F},
        {"{\"size\": {\"shortest_edge\": 32}}", "vit", PATCHES_RESIZE_SHORTEST, 32, 0, 0,
         IMGIO_BILINEAR, 0, 0, unit, 0.5F, 0.5F},
        {"{\"size\": {\"shortest_edge\": 32, \"longest_edge\": 50}}", "vit",
         PATCHES_RESIZE_SHORTEST, 32, 0, 50, IMGIO_BILINEAR, 0, 0, unit, 0.5F, 0.5F},
        {"{\"size\": {\"shortest_edge\": 32, \"longest_edge\": null}}", "vit",
         PATCHES_RESIZE_SHORTEST, 32, 0, 0, IMGIO_BILINEAR, 0, 0, unit, 0.5F, 0.5F},
        {"{\"size\": 32, \"default_to_square\": false}", "vit", PATCHES_RESIZE_SHORTEST, 32, 0, 0,
         IMGIO_BILINEAR, 0, 0, unit, 0.5F, 0.5F},
        {"{\"size\": 32, \"default_to_square\": true}", "siglip", BOX(PATCHES_RESIZE_EXACT, 32),
         IMGIO_BICUBIC, 0, 0, unit, 0.5F, 0.5F},
        {"{\"size\": 32, \"do_center_crop\": true, \"crop_size\": {\"height\": 16, \"width\": 24}}",
         "vit", BOX(PATCHES_RESIZE_EXACT, 32), IMGIO_BILINEAR, 16, 24, unit, 0.5F, 0.5F},
        {"{\"crop_size\": [16, 24]}", "deit", BOX(PATCHES_RESIZE_EXACT, 256), IMGIO_BICUBIC, 16, 24,
         unit, 0.5F, 0.5F},
        {"{\"do_center_crop\": true}", "beit", BOX(PATCHES_RESIZE_EXACT, 224), IMGIO_BICUBIC, 224,
         224, unit, 0.5F, 0.5F},
        /* steps off, by false and by null; their values are then not read */
        {"{\"do_resize\": false, \"size\": \"nonsense\"}", "vit", BOX(PATCHES_RESIZE_NONE, 0), 0, 0,
         0, unit, 0.5F, 0.5F},
        {"{\"do_center_crop\": null, \"do_resize\": null}", "deit", BOX(PATCHES_RESIZE_NONE, 0), 0,
         0, 0, unit, 0.5F, 0.5F},
        {"{\"do_rescale\": false}", "vit", BOX(PATCHES_RESIZE_EXACT, 224), IMGIO_BILINEAR, 0, 0, 1,
         0.5F, 0.5F},
        {"{\"do_normalize\": null}", "vit", BOX(PATCHES_RESIZE_EXACT, 224), IMGIO_BILINEAR, 0, 0,
         unit, 0, 0},
        {"{\"rescale_factor\": 1}", "vit", BOX(PATCHES_RESIZE_EXACT, 224), IMGIO_BILINEAR, 0, 0, 1,
         0.5F, 0.5F},
        {"{\"rescale_factor\": 0.00784313725490196}", "vit", BOX(PATCHES_RESIZE_EXACT, 224),
         IMGIO_BILINEAR, 0, 0, 0.00784313725490196, 0.5F, 0.5F},
        {"{\"image_mean\": 0.25, \"image_std\": 2}", "vit", BOX(PATCHES_RESIZE_EXACT, 224),
         IMGIO_BILINEAR, 0, 0, unit, 0.25F, 2},
        /* keys that mean nothing for these classes */
        {"{\"do_convert_rgb\": true, \"_valid_processor_keys\": [\"images\"], \"crop_pct\": 0.9,"
         " \"do_pad\": null, \"processor_class\": \"CLIPProcessor\", \"size\": 8}",
         "vit", BOX(PATCHES_RESIZE_EXACT, 8), IMGIO_BILINEAR, 0, 0, unit, 0.5F, 0.5F},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) expect_spec(&cases[i], PATCHES_CROP_HF);
}

static void test_hf_resample(void **state)
{
    /* Pillow's Image.Resampling */
    static const imgio_filter filters[] = {IMGIO_NEAREST, IMGIO_LANCZOS, IMGIO_BILINEAR,
                                           IMGIO_BICUBIC, IMGIO_BOX,     IMGIO_HAMMING};
    (void)state;
    for (size_t code = 0; code < COUNT(filters); code++) {
        patches_spec s;
        char json[64];
        snprintf(json, sizeof json, "{\"resample\": %zu}", code);
        parse_ok(&s, json, "deit");
        assert_int_equal(s.filter, filters[code]);
    }
}

/* ---- timm ---- */

static void test_timm(void **state)
{
    static const spec_case cases[] = {
        {"{\"architecture\": \"vit_base_patch16_224\", \"pretrained_cfg\": {\"input_size\":"
         " [3, 224, 224], \"interpolation\": \"bicubic\", \"crop_pct\": 0.9, \"crop_mode\":"
         " \"center\", \"mean\": [0.5, 0.5, 0.5], \"std\": [0.5, 0.5, 0.5]}}",
         NULL, PATCHES_RESIZE_SHORTEST, 248, 0, 0, IMGIO_BICUBIC, 224, 224, unit, 0.5F, 0.5F},
        /* defaults: 224, bicubic, 0.875, ImageNet */
        {"{\"pretrained_cfg\": {\"tag\": \"x\"}}", NULL, PATCHES_RESIZE_SHORTEST, 256, 0, 0,
         IMGIO_BICUBIC, 224, 224, unit, 0.485F, 0.225F},
        {"{\"pretrained_cfg\": {\"crop_pct\": 0, \"crop_mode\": \"\", \"interpolation\": \"\","
         " \"mean\": [], \"std\": null, \"input_size\": null}}",
         NULL, PATCHES_RESIZE_SHORTEST, 256, 0, 0, IMGIO_BICUBIC, 224, 224, unit, 0.485F, 0.225F},
        /* keys at the root, as the oldest files have them */
        {"{\"architecture\": \"x\", \"input_size\": [3, 32, 32], \"crop_pct\": 1.0,"
         " \"interpolation\": \"lanczos\", \"mean\": [0.1, 0.2, 0.3], \"std\": [0.4, 0.5, 0.6]}",
         NULL, PATCHES_RESIZE_SHORTEST, 32, 0, 0, IMGIO_LANCZOS, 32, 32, unit, 0.1F, 0.6F},
        {"{\"pretrained_cfg\": {\"input_size\": [3, 256, 256], \"crop_pct\": 0.95,"
         " \"crop_mode\": \"squash\", \"interpolation\": \"bilinear\"}}",
         NULL, BOX(PATCHES_RESIZE_EXACT, 269), IMGIO_BILINEAR, 256, 256, unit, 0.485F, 0.225F},
        {"{\"pretrained_cfg\": {\"input_size\": [3, 32, 48], \"crop_mode\": \"squash\"}}", NULL,
         PATCHES_RESIZE_EXACT, 36, 54, 0, IMGIO_BICUBIC, 32, 48, unit, 0.485F, 0.225F},
        {"{\"pretrained_cfg\": {\"input_size\": [3, 32, 48]}}", NULL, PATCHES_RESIZE_COVER, 36, 54,
         0, IMGIO_BICUBIC, 32, 48, unit, 0.485F, 0.225F},
        /* unequal inputs, equal after the division: the shorter side */
        {"{\"pretrained_cfg\": {\"input_size\": [3, 7, 8], \"crop_pct\": 4}}", NULL,
         PATCHES_RESIZE_COVER, 1, 2, 0, IMGIO_BICUBIC, 7, 8, unit, 0.485F, 0.225F},
        {"{\"pretrained_cfg\": {\"input_size\": [3, 6, 7], \"crop_pct\": 4}}", NULL,
         PATCHES_RESIZE_SHORTEST, 1, 0, 0, IMGIO_BICUBIC, 6, 7, unit, 0.485F, 0.225F},
        /* test_* are not used */
        {"{\"pretrained_cfg\": {\"input_size\": [3, 32, 32], \"crop_pct\": 1,"
         " \"test_input_size\": [3, 64, 64], \"test_crop_pct\": 0.5, \"mean\": [0.5]}}",
         NULL, PATCHES_RESIZE_SHORTEST, 32, 0, 0, IMGIO_BICUBIC, 32, 32, unit, 0.5F, 0.225F},
        /* the size that the weights were built for wins, unless any size will do */
        {"{\"model_args\": {\"img_size\": 48}, \"pretrained_cfg\": {\"input_size\": [3, 32, 32],"
         " \"crop_pct\": 1}}",
         NULL, PATCHES_RESIZE_SHORTEST, 48, 0, 0, IMGIO_BICUBIC, 48, 48, unit, 0.485F, 0.225F},
        {"{\"model_args\": {\"img_size\": [32, 48]}, \"pretrained_cfg\": {\"crop_pct\": 1}}", NULL,
         PATCHES_RESIZE_COVER, 32, 48, 0, IMGIO_BICUBIC, 32, 48, unit, 0.485F, 0.225F},
        {"{\"model_args\": {\"img_size\": 48, \"dynamic_img_size\": true}, \"pretrained_cfg\":"
         " {\"input_size\": [3, 32, 32], \"crop_pct\": 1}}",
         NULL, PATCHES_RESIZE_SHORTEST, 32, 0, 0, IMGIO_BICUBIC, 32, 32, unit, 0.485F, 0.225F},
        {"{\"model_args\": {\"img_size\": 48, \"strict_img_size\": false}, \"pretrained_cfg\":"
         " {\"input_size\": [3, 32, 32], \"crop_pct\": 1}}",
         NULL, PATCHES_RESIZE_SHORTEST, 32, 0, 0, IMGIO_BICUBIC, 32, 32, unit, 0.485F, 0.225F},
        /* what transformers saves for a timm model */
        {"{\"image_processor_type\": \"TimmWrapperImageProcessor\", \"data_config\":"
         " {\"input_size\": [3, 32, 32], \"crop_pct\": 1, \"mean\": [0.5, 0.5, 0.5]}}",
         NULL, PATCHES_RESIZE_SHORTEST, 32, 0, 0, IMGIO_BICUBIC, 32, 32, unit, 0.5F, 0.225F},
    };
    patches_spec s;
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) expect_spec(&cases[i], PATCHES_CROP_TORCHVISION);

    parse_ok(&s,
             "{\"pretrained_cfg\": {\"input_size\": [3, 32, 32], \"crop_mode\": \"border\","
             " \"crop_pct\": 0.8, \"mean\": [0.485, 0.456, 1]}}",
             NULL);
    assert_int_equal(s.resize, PATCHES_RESIZE_FIT);
    assert_int_equal(s.resize_height, 40);
    assert_int_equal(s.resize_width, 40);
    /* round(255 * mean): 123.675, 116.28, 255 */
    assert_int_equal(s.fill[0], 124);
    assert_int_equal(s.fill[1], 116);
    assert_int_equal(s.fill[2], 255);
}

/* ---- vitc's own ---- */

static void test_own(void **state)
{
    patches_spec s, zero;
    (void)state;
    parse_ok(&s, "{\"vitc_preprocess\": 1}", NULL);
    memset(&zero, 0, sizeof zero);
    zero.rescale = 1 / 255.0;
    assert_memory_equal(&s, &zero, sizeof s);

    parse_ok(&s,
             "{\"vitc_preprocess\": 1, \"exif\": false, \"channels\": \"bgr\", \"rescale\": 2,"
             " \"resize\": {\"mode\": \"fit\", \"height\": 32, \"width\": 48, \"filter\": \"box\","
             " \"order\": \"pillow12\"}, \"crop\": {\"height\": 30, \"width\": 40, \"rule\":"
             " \"torchvision\", \"fill\": [1, 2, 255]}, \"normalize\": {\"mean\": 0.25,"
             " \"std\": [1, 2, -3]}}",
             NULL);
    assert_true(s.ignore_exif && s.bgr && s.crop && s.normalize);
    assert_int_equal(s.resize, PATCHES_RESIZE_FIT);
    assert_int_equal(s.resize_height, 32);
    assert_int_equal(s.resize_width, 48);
    assert_int_equal(s.filter, IMGIO_BOX);
    assert_int_equal(s.order, IMGIO_ORDER_PILLOW12);
    assert_int_equal(s.crop_height, 30);
    assert_int_equal(s.crop_width, 40);
    assert_int_equal(s.crop_rule, PATCHES_CROP_TORCHVISION);
    assert_int_equal(s.fill[2], 255);
    assert_true(s.rescale == 2 && s.mean[2] == 0.25F && s.std[2] == -3);
}

/* A random spec as a parser would give it: fields that its rules do not use are 0. */
static void random_spec(patches_spec *s, uint64_t *rng)
{
    memset(s, 0, sizeof *s);
    s->ignore_exif = random_range(rng, 0, 1) != 0;
    s->resize = (patches_resize)random_range(rng, PATCHES_RESIZE_NONE, PATCHES_RESIZE_COVER);
    if (s->resize != PATCHES_RESIZE_NONE) {
        s->resize_height = random_range(rng, 1, 9999);
        s->filter = (imgio_filter)random_range(rng, IMGIO_NEAREST, IMGIO_HAMMING);
        s->order = (imgio_pass_order)random_range(rng, 0, 1);
        if (s->resize == PATCHES_RESIZE_SHORTEST)
            s->longest_edge = random_range(rng, 0, 1) * random_range(rng, 1, 65535);
        else
            s->resize_width = random_range(rng, 1, 9999);
    }
    s->crop = random_range(rng, 0, 1) != 0;
    if (s->crop) {
        s->crop_height = random_range(rng, 1, 9999);
        s->crop_width = random_range(rng, 1, 9999);
        s->crop_rule = (patches_crop_rule)random_range(rng, 0, 1);
        for (size_t c = 0; c < 3; c++) s->fill[c] = (uint8_t)random_range(rng, 0, 255);
    }
    /* any mantissa, exponents that keep the levels finite */
    s->rescale = ldexp((double)(random_next(rng) >> 11) + 1, -(int)random_range(rng, 40, 80));
    s->normalize = random_range(rng, 0, 1) != 0;
    for (size_t c = 0; s->normalize && c < 3; c++) {
        const uint32_t sign = random_range(rng, 0, 1) << 31;
        s->mean[c] = float_from_bits(random_range(rng, 0x30000000, 0x40000000) | sign);
        s->std[c] = float_from_bits(random_range(rng, 0x30000000, 0x40000000));
    }
    s->bgr = random_range(rng, 0, 1) != 0;
}

static void test_round_trip(void **state)
{
    uint64_t rng = 20260101;
    (void)state;
    for (int i = 0; i < 2000; i++) {
        patches_spec spec, again;
        capture c;
        const vitc_log log = capture_log(&c);
        char *json = NULL;
        random_spec(&spec, &rng);
        if (patches_spec_format(&json, &spec, &log) != VITC_OK) fail_msg("%s", c.text);
        assert_null(strchr(json, '\n'));
        parse_ok(&again, json, NULL);
        if (memcmp(&spec, &again, sizeof spec) != 0) fail_msg("changed: %s", json);
        free(json);
    }
}

static void test_format_checks(void **state)
{
    patches_spec spec = {.resize = PATCHES_RESIZE_EXACT, .rescale = 1};
    capture c;
    const vitc_log log = capture_log(&c);
    char *json = &(char){0};
    (void)state;
    assert_int_equal(patches_spec_format(&json, &spec, &log), VITC_ERR_PREPROCESS);
    assert_null(json);
    capture_expect(&c, "resize size");
}

/* ---- refusals ---- */

#define VIT       "{\"image_processor_type\": \"ViTImageProcessor\", "
#define TIMM(cfg) "{\"pretrained_cfg\": {" cfg "}}"
#define OWN       "{\"vitc_preprocess\": 1, "

static void test_refused(void **state)
{
    static const struct {
        const char *json, *part; /* what the message must say */
        vitc_status status;
    } cases[] = {
        /* not JSON, not a spec */
        {"", "not valid JSON", VITC_ERR_CORRUPT},
        {"{\"size\": NaN}", "not valid JSON", VITC_ERR_CORRUPT},
        {"{\"size\": 99999999999999999999}", "not valid JSON", VITC_ERR_CORRUPT},
        {"{\"size\": 1e999}", "not valid JSON", VITC_ERR_CORRUPT},
        {"{\"size\": 3, \"size\": 4}", "not valid JSON", VITC_ERR_CORRUPT},
        {"[]", "JSON object", VITC_ERR_PREPROCESS},
        {"null", "JSON object", VITC_ERR_PREPROCESS},
        {"{}", "--preprocess", VITC_ERR_PREPROCESS},
        {"{\"model_type\": \"vit\", \"image_size\": 224}", "--preprocess", VITC_ERR_PREPROCESS},
        {"{\"architecture\": \"vit_base_patch16_224\", \"num_classes\": 10}", "--preprocess",
         VITC_ERR_PREPROCESS},
        {"{\"architecture\": \"x\", \"pretrained_cfg\": {}}", "--preprocess", VITC_ERR_PREPROCESS},
        {"{\"pretrained_cfg\": null}", "--preprocess", VITC_ERR_PREPROCESS},
        /* Hugging Face: the class */
        {"{\"image_processor_type\": \"Siglip2ImageProcessor\"}", "Siglip2ImageProcessor",
         VITC_ERR_PREPROCESS},
        {"{\"image_processor_type\": \"ViT\"}", "\"image_processor_type\" is \"ViT\"",
         VITC_ERR_PREPROCESS},
        {"{\"image_processor_type\": \"ImageProcessor\"}", "\"image_processor_type\"",
         VITC_ERR_PREPROCESS},
        {"{\"image_processor_type\": \"Pil\"}", "\"image_processor_type\"", VITC_ERR_PREPROCESS},
        {"{\"image_processor_type\": \"\"}", "\"image_processor_type\"", VITC_ERR_PREPROCESS},
        {"{\"image_processor_type\": 3}", "\"image_processor_type\" is 3", VITC_ERR_PREPROCESS},
        {"{\"feature_extractor_type\": \"Evil\\nClass\\u0000\"}", "\"feature_extractor_type\"",
         VITC_ERR_CORRUPT},
        {"{\"feature_extractor_type\": \"Evil\\nClass\\u0007\"}",
         "\"feature_extractor_type\" is \"Evil?Class?\"", VITC_ERR_PREPROCESS},
        {"{\"size\": 224}", "image_processor_type", VITC_ERR_PREPROCESS},
        /* sizes */
        {VIT "\"size\": 0}", "\"size\" is 0", VITC_ERR_PREPROCESS},
        {VIT "\"size\": -224}", "\"size\" is -224", VITC_ERR_PREPROCESS},
        {VIT "\"size\": 65536}", "\"size\" is 65536", VITC_ERR_PREPROCESS},
        {VIT "\"size\": 4294967520}", "\"size\" is 4294967520", VITC_ERR_PREPROCESS},
        {VIT "\"size\": 9223372036854775807}", "\"size\"", VITC_ERR_PREPROCESS},
        {VIT "\"size\": 224.0}", "\"size\" is 224", VITC_ERR_PREPROCESS},
        {VIT "\"size\": \"224\"}", "\"size\" is \"224\"", VITC_ERR_PREPROCESS},
        {VIT "\"size\": true}", "\"size\" is true", VITC_ERR_PREPROCESS},
        {VIT "\"size\": null}", "\"size\" is null", VITC_ERR_PREPROCESS},
        {VIT "\"size\": []}", "\"size\" is a list of 0", VITC_ERR_PREPROCESS},
        {VIT "\"size\": [224]}", "\"size\" is a list of 1", VITC_ERR_PREPROCESS},
        {VIT "\"size\": [3, 224, 224]}", "\"size\" is a list of 3", VITC_ERR_PREPROCESS},
        {VIT "\"size\": [224, {}]}", "\"size\" is an object", VITC_ERR_PREPROCESS},
        {VIT "\"size\": {}}", "\"size\" has no key", VITC_ERR_PREPROCESS},
        {VIT "\"size\": {\"height\": 224}}", "\"size.width\" is missing", VITC_ERR_PREPROCESS},
        {VIT "\"size\": {\"width\": 224}}", "\"size.height\" is missing", VITC_ERR_PREPROCESS},
        {VIT "\"size\": {\"height\": 65535, \"width\": 65535}}", "100 megapixels",
         VITC_ERR_PREPROCESS},
        {VIT "\"size\": {\"longest_edge\": 224}}", "\"size.shortest_edge\" is missing",
         VITC_ERR_PREPROCESS},
        {VIT "\"size\": {\"height\": 9, \"width\": 9, \"shortest_edge\": 9}}", "\"size\" has both",
         VITC_ERR_PREPROCESS},
        {VIT "\"size\": {\"max_height\": 9, \"max_width\": 9}}", "\"max_height\"",
         VITC_ERR_PREPROCESS},
        {VIT "\"size\": {\"shortest_edge\": 9, \"longest_edge\": 0}}", "\"size.longest_edge\" is 0",
         VITC_ERR_PREPROCESS},
        {VIT "\"do_center_crop\": true}", "\"crop_size\" is missing", VITC_ERR_PREPROCESS},
        {VIT "\"do_center_crop\": true, \"crop_size\": {\"shortest_edge\": 9}}",
         "\"crop_size.height\" is missing", VITC_ERR_PREPROCESS},
        {"{\"image_processor_type\": \"DeiTImageProcessor\", \"crop_size\": null}",
         "\"crop_size\" is null", VITC_ERR_PREPROCESS},
        {"{\"image_processor_type\": \"DeiTImageProcessor\", \"crop_size\": [1, 2, 3]}",
         "\"crop_size\" is a list of 3", VITC_ERR_PREPROCESS},
        /* the other steps */
        {VIT "\"resample\": 6}", "\"resample\" is 6", VITC_ERR_PREPROCESS},
        {VIT "\"resample\": -1}", "\"resample\" is -1", VITC_ERR_PREPROCESS},
        {VIT "\"resample\": 4294967298}", "\"resample\"", VITC_ERR_PREPROCESS},
        {VIT "\"resample\": null}", "\"resample\" is null", VITC_ERR_PREPROCESS},
        {VIT "\"resample\": \"bicubic\"}", "\"resample\" is \"bicubic\"", VITC_ERR_PREPROCESS},
        {VIT "\"do_resize\": 1}", "\"do_resize\" is 1", VITC_ERR_PREPROCESS},
        {VIT "\"do_normalize\": \"false\"}", "\"do_normalize\" is \"false\"", VITC_ERR_PREPROCESS},
        {VIT "\"do_rescale\": []}", "\"do_rescale\"", VITC_ERR_PREPROCESS},
        {VIT "\"do_pad\": true}", "\"do_pad\" is true", VITC_ERR_PREPROCESS},
        {VIT "\"size\": 9, \"default_to_square\": 0}", "\"default_to_square\" is 0",
         VITC_ERR_PREPROCESS},
        {VIT "\"rescale_factor\": null}", "\"rescale_factor\" is null", VITC_ERR_PREPROCESS},
        {VIT "\"rescale_factor\": \"1/255\"}", "\"rescale_factor\" is \"1/255\"",
         VITC_ERR_PREPROCESS},
        {VIT "\"rescale_factor\": 0}", "rescale factor is 0", VITC_ERR_PREPROCESS},
        {VIT "\"rescale_factor\": 1e300}", "32-bit float", VITC_ERR_PREPROCESS},
        {VIT "\"image_mean\": [0.5]}", "\"image_mean\" is a list of 1", VITC_ERR_PREPROCESS},
        {VIT "\"image_mean\": [0.5, 0.5, \"NaN\"]}", "\"image_mean[2]\" is \"NaN\"",
         VITC_ERR_PREPROCESS},
        {VIT "\"image_mean\": null}", "\"image_mean\" is null", VITC_ERR_PREPROCESS},
        {VIT "\"image_mean\": {\"r\": 1}}", "\"image_mean\" is an object", VITC_ERR_PREPROCESS},
        {VIT "\"image_mean\": 1e39}", "\"image_mean\" holds 1e+39", VITC_ERR_PREPROCESS},
        {VIT "\"image_std\": [0.5, 0, 0.5]}", "std[1] is 0", VITC_ERR_PREPROCESS},
        {VIT "\"image_std\": 1e-46}", "std[0] is 0", VITC_ERR_PREPROCESS},
        {VIT "\"image_std\": 1e-40}", "32-bit float", VITC_ERR_PREPROCESS},
        /* timm */
        {"{\"pretrained_cfg\": 3}", "\"pretrained_cfg\" is 3", VITC_ERR_PREPROCESS},
        {"{\"image_processor_type\": \"TimmWrapperImageProcessor\"}",
         "\"pretrained_cfg\" is missing", VITC_ERR_PREPROCESS},
        {TIMM("\"input_size\": 224"), "\"input_size\" is 224", VITC_ERR_PREPROCESS},
        {TIMM("\"input_size\": [224, 224]"), "\"input_size\" is a list of 2", VITC_ERR_PREPROCESS},
        {TIMM("\"input_size\": [1, 28, 28]"), "\"input_size[0]\" is 1", VITC_ERR_PREPROCESS},
        {TIMM("\"input_size\": [3, 0, 28]"), "\"input_size[1]\" is 0", VITC_ERR_PREPROCESS},
        {TIMM("\"input_size\": [3, 28, 1e3]"), "\"input_size[2]\" is 1000", VITC_ERR_PREPROCESS},
        {TIMM("\"input_size\": [3, 60000, 60000]"), "\"crop_pct\"", VITC_ERR_PREPROCESS},
        {TIMM("\"crop_pct\": -0.9"), "\"crop_pct\" is -0.9", VITC_ERR_PREPROCESS},
        {TIMM("\"crop_pct\": 1e-9"), "\"crop_pct\" is 1e-09", VITC_ERR_PREPROCESS},
        {TIMM("\"crop_pct\": 1e9"), "\"crop_pct\" is 1e+09", VITC_ERR_PREPROCESS},
        {TIMM("\"crop_pct\": \"0.9\""), "\"crop_pct\" is \"0.9\"", VITC_ERR_PREPROCESS},
        {TIMM("\"crop_mode\": \"zoom\""), "\"crop_mode\" is \"zoom\"", VITC_ERR_PREPROCESS},
        {TIMM("\"crop_mode\": 1"), "\"crop_mode\" is 1", VITC_ERR_PREPROCESS},
        {TIMM("\"crop_mode\": \"border\", \"mean\": [0.5, -0.1, 0.5]"), "\"mean\" holds -0.1",
         VITC_ERR_PREPROCESS},
        {TIMM("\"interpolation\": \"random\""), "\"interpolation\" is \"random\"",
         VITC_ERR_PREPROCESS},
        {TIMM("\"interpolation\": 3"), "\"interpolation\" is 3", VITC_ERR_PREPROCESS},
        {TIMM("\"mean\": [0.5, 0.5]"), "\"mean\" is a list of 2", VITC_ERR_PREPROCESS},
        {TIMM("\"std\": [[0.5]]"), "\"std\" is a list of 1", VITC_ERR_PREPROCESS},
        {"{\"model_args\": 3, \"pretrained_cfg\": {\"crop_pct\": 1}}", "\"model_args\" is 3",
         VITC_ERR_PREPROCESS},
        {"{\"model_args\": {\"img_size\": [224]}, \"pretrained_cfg\": {\"crop_pct\": 1}}",
         "\"model_args.img_size\" is a list of 1", VITC_ERR_PREPROCESS},
        {"{\"model_args\": {\"img_size\": 9, \"dynamic_img_size\": 1}, \"pretrained_cfg\":"
         " {\"crop_pct\": 1}}",
         "\"model_args.dynamic_img_size\" is 1", VITC_ERR_PREPROCESS},
        /* vitc's own */
        {"{\"vitc_preprocess\": 2}", "\"vitc_preprocess\" is 2", VITC_ERR_PREPROCESS},
        {"{\"vitc_preprocess\": null}", "\"vitc_preprocess\" is null", VITC_ERR_PREPROCESS},
        {OWN "\"reszie\": {}}", "\"reszie\"", VITC_ERR_PREPROCESS},
        {OWN "\"exif\": 1}", "\"exif\" is 1", VITC_ERR_PREPROCESS},
        {OWN "\"channels\": \"rbg\"}", "\"channels\" is \"rbg\"", VITC_ERR_PREPROCESS},
        {OWN "\"channels\": null}", "\"channels\" is null", VITC_ERR_PREPROCESS},
        {OWN "\"resize\": null}", "\"resize\" is null", VITC_ERR_PREPROCESS},
        {OWN "\"resize\": {\"height\": 9, \"width\": 9, \"filter\": \"box\"}}",
         "\"resize.mode\" is missing", VITC_ERR_PREPROCESS},
        {OWN "\"resize\": {\"mode\": \"none\"}}", "\"resize.mode\" is \"none\"",
         VITC_ERR_PREPROCESS},
        {OWN "\"resize\": {\"mode\": \"exact\", \"height\": 9, \"width\": 9}}",
         "\"resize.filter\" is missing", VITC_ERR_PREPROCESS},
        {OWN "\"resize\": {\"mode\": \"exact\", \"height\": 9, \"filter\": \"box\"}}",
         "\"resize.width\" is missing", VITC_ERR_PREPROCESS},
        {OWN "\"resize\": {\"mode\": \"exact\", \"shortest_edge\": 9, \"filter\": \"box\"}}",
         "\"shortest_edge\"", VITC_ERR_PREPROCESS},
        {OWN "\"resize\": {\"mode\": \"shortest\", \"height\": 9, \"filter\": \"box\"}}",
         "\"height\"", VITC_ERR_PREPROCESS},
        {OWN "\"resize\": {\"mode\": \"shortest\", \"shortest_edge\": 9, \"filter\": \"box\","
             " \"order\": \"newest\"}}",
         "\"resize.order\" is \"newest\"", VITC_ERR_PREPROCESS},
        {OWN "\"crop\": {\"height\": 9, \"width\": 9, \"rule\": \"floor\"}}",
         "\"crop.rule\" is \"floor\"", VITC_ERR_PREPROCESS},
        {OWN "\"crop\": {\"height\": 9, \"width\": 9, \"fill\": 0}}", "\"crop.fill\" is 0",
         VITC_ERR_PREPROCESS},
        {OWN "\"crop\": {\"height\": 9, \"width\": 9, \"fill\": [0, 0, 256]}}",
         "\"crop.fill\" is 256", VITC_ERR_PREPROCESS},
        {OWN "\"crop\": {\"height\": 9, \"width\": 9, \"fill\": [0, 0, true]}}",
         "\"crop.fill\" is true", VITC_ERR_PREPROCESS},
        {OWN "\"normalize\": {\"mean\": 0}}", "\"normalize.std\" is missing", VITC_ERR_PREPROCESS},
        {OWN "\"normalize\": {\"mean\": 0, \"std\": 1, \"eps\": 0}}", "\"eps\"",
         VITC_ERR_PREPROCESS},
        {OWN "\"rescale\": \"x\"}", "\"rescale\" is \"x\"", VITC_ERR_PREPROCESS},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        patches_spec spec, zero;
        capture c;
        const vitc_log log = capture_log(&c);
        memset(&spec, 0xA5, sizeof spec);
        memset(&zero, 0, sizeof zero);
        const vitc_status status = patches_spec_parse(&spec, cases[i].json, strlen(cases[i].json),
                                                      "spec.json", NULL, &log);
        if (status != cases[i].status)
            fail_msg("%s\n-> %s: %s", cases[i].json, vitc_status_string(status), c.text);
        capture_expect(&c, "spec.json: ");
        if (status == VITC_ERR_PREPROCESS) capture_expect(&c, cases[i].part);
        assert_memory_equal(&spec, &zero, sizeof spec);
    }
}

/* Without a log, and with text that nests as deep as the JSON reader goes. */
static void test_refused_silently(void **state)
{
    static char deep[200000];
    static const char head[] = "{\"size\": ";
    patches_spec spec;
    (void)state;
    memset(deep, '[', sizeof deep);
    memcpy(deep, head, strlen(head));
    assert_int_equal(patches_spec_parse(&spec, deep, sizeof deep, NULL, "vit", NULL),
                     VITC_ERR_TOO_LARGE);
    /* 50 levels are within what the reader takes, and still no size */
    const size_t levels = 50, start = strlen(head);
    memset(deep + start + levels, ']', levels);
    deep[start + 2 * levels] = '}';
    assert_int_equal(patches_spec_parse(&spec, deep, start + 2 * levels + 1, NULL, "vit", NULL),
                     VITC_ERR_PREPROCESS);
}

static void test_unknown_model_type(void **state)
{
    static const char json[] = "{\"size\": 224}";
    patches_spec spec;
    capture c;
    const vitc_log log = capture_log(&c);
    (void)state;
    assert_int_equal(patches_spec_parse(&spec, json, strlen(json), "f", "convnext\n", &log),
                     VITC_ERR_PREPROCESS);
    capture_expect(&c, "convnext");
}

static void test_long_strings(void **state)
{
    char json[400];
    patches_spec spec;
    capture c;
    const vitc_log log = capture_log(&c);
    (void)state;
    snprintf(json, sizeof json, "{\"image_processor_type\": \"%0200d\"}", 0);
    assert_int_equal(patches_spec_parse(&spec, json, strlen(json), "f", NULL, &log),
                     VITC_ERR_PREPROCESS);
    capture_expect(&c, "000...\"");
    assert_true(strlen(c.text) < 300);
}

/* ---- check ---- */

static void test_check(void **state)
{
    const patches_spec good = {.resize = PATCHES_RESIZE_EXACT,
                               .resize_height = 32,
                               .resize_width = 32,
                               .filter = IMGIO_BICUBIC,
                               .crop = true,
                               .crop_height = 16,
                               .crop_width = 16,
                               .rescale = 1 / 255.0,
                               .normalize = true,
                               .mean = {0.5F, 0.5F, 0.5F},
                               .std = {0.5F, 0.5F, 0.5F}};
    enum { ROWS = 19 };
    patches_spec bad[ROWS];
    const char *parts[ROWS];
    int n = 0;
    (void)state;
    assert_int_equal(patches_spec_check(&good, NULL, NULL), VITC_OK);
#define BAD(change, part) (bad[n] = good, bad[n] change, parts[n] = part, n++)
    BAD(.resize = (patches_resize)5, "5 is not a resize rule");
    BAD(.resize = (patches_resize)-1, "-1 is not a resize rule");
    BAD(.resize_height = 0, "resize size");
    BAD(.resize_width = 65536, "resize size");
    BAD(.resize_height = 4000000, "resize size");
    BAD(.filter = (imgio_filter)6, "6 is not a resize filter");
    BAD(.order = (imgio_pass_order)2, "2 is not a resize pass order");
    BAD(.crop_height = 0, "crop size");
    BAD(.crop_width = 65536, "crop size");
    BAD(.crop_rule = (patches_crop_rule)2, "2 is not a crop rule");
    BAD(.rescale = 0, "rescale factor is 0");
    BAD(.rescale = (double)NAN, "rescale factor is");
    BAD(.rescale = (double)INFINITY, "rescale factor is inf");
    BAD(.mean[1] = NAN, "mean[1]");
    BAD(.mean[2] = INFINITY, "mean[2]");
    BAD(.std[0] = 0, "std[0]");
    BAD(.std[2] = NAN, "std[2]");
    BAD(.std[2] = -INFINITY, "std[2]");
    BAD(.std[1] = 1e-39F, "channel 1");
#undef BAD
    assert_int_equal(n, ROWS);
    for (int i = 0; i < n; i++) {
        capture c;
        const vitc_log log = capture_log(&c);
        if (patches_spec_check(&bad[i], "spec.json", &log) != VITC_ERR_PREPROCESS)
            fail_msg("accepted: %s", parts[i]);
        capture_expect(&c, "spec.json: ");
        capture_expect(&c, parts[i]);
    }
    /* What a rule does not use is not judged. */
    patches_spec unused = good;
    unused.resize = PATCHES_RESIZE_NONE;
    unused.resize_height = 0;
    unused.crop = false;
    unused.crop_width = 0;
    unused.normalize = false;
    unused.std[0] = 0;
    assert_int_equal(patches_spec_check(&unused, NULL, NULL), VITC_OK);
    unused = good;
    unused.resize = PATCHES_RESIZE_SHORTEST;
    unused.resize_width = 0;
    assert_int_equal(patches_spec_check(&unused, NULL, NULL), VITC_OK);
    unused.longest_edge = 65536;
    assert_int_equal(patches_spec_check(&unused, NULL, NULL), VITC_ERR_PREPROCESS);
}

/* ---- output size ---- */

static void test_output_size(void **state)
{
    /* From transformers 5.23 (get_size_with_aspect_ratio) and timm 1.0.31 (ResizeKeepRatio):
     * cases where the rounding decides. */
    static const struct {
        patches_resize resize;
        uint32_t height, width, a, b; /* of the image; of the spec */
        uint32_t out_height, out_width;
    } cases[] = {
        {PATCHES_RESIZE_NONE, 61, 47, 0, 0, 61, 47},
        {PATCHES_RESIZE_EXACT, 61, 47, 32, 48, 32, 48},
        {PATCHES_RESIZE_SHORTEST, 61, 47, 47, 0, 61, 47},
        {PATCHES_RESIZE_SHORTEST, 136, 2, 18, 0, 1224, 18},
        {PATCHES_RESIZE_SHORTEST, 425, 170, 90, 0, 225, 90},
        {PATCHES_RESIZE_SHORTEST, 34, 506, 187, 0, 187, 2783},
        {PATCHES_RESIZE_SHORTEST, 38, 252, 266, 0, 266, 1764},
        {PATCHES_RESIZE_SHORTEST, 1, 200, 300, 0, 300, 60000},
        {PATCHES_RESIZE_SHORTEST, 300, 200, 32, 0, 48, 32},
        {PATCHES_RESIZE_SHORTEST, 300, 199, 32, 0, 48, 32},
        {PATCHES_RESIZE_SHORTEST, 301, 203, 32, 0, 47, 32},
        {PATCHES_RESIZE_SHORTEST, 526, 626, 201, 91, 76, 90},
        {PATCHES_RESIZE_SHORTEST, 301, 349, 107, 21, 18, 20},
        {PATCHES_RESIZE_SHORTEST, 41, 215, 279, 84, 16, 83},
        {PATCHES_RESIZE_SHORTEST, 334, 82, 265, 93, 92, 23},
        {PATCHES_RESIZE_SHORTEST, 644, 154, 202, 299, 299, 72},
        {PATCHES_RESIZE_SHORTEST, 645, 561, 115, 74, 73, 64},
        {PATCHES_RESIZE_SHORTEST, 61, 47, 32, 40, 40, 31},
        {PATCHES_RESIZE_SHORTEST, 61, 47, 32, 400, 41, 32},
        {PATCHES_RESIZE_FIT, 120, 210, 22, 134, 22, 38},
        {PATCHES_RESIZE_FIT, 141, 282, 229, 253, 126, 253},
        {PATCHES_RESIZE_FIT, 514, 283, 257, 182, 257, 142},
        {PATCHES_RESIZE_FIT, 530, 295, 53, 137, 53, 30},
        {PATCHES_RESIZE_FIT, 127, 254, 198, 217, 108, 217},
        {PATCHES_RESIZE_COVER, 540, 40, 89, 105, 1418, 105},
        {PATCHES_RESIZE_COVER, 4, 130, 247, 200, 247, 8028},
        {PATCHES_RESIZE_COVER, 662, 331, 229, 94, 229, 114},
        {PATCHES_RESIZE_COVER, 308, 585, 154, 253, 154, 292},
        {PATCHES_RESIZE_COVER, 144, 118, 252, 125, 252, 206},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const bool edge = cases[i].resize == PATCHES_RESIZE_SHORTEST;
        patches_spec spec = {.resize = cases[i].resize,
                             .resize_height = cases[i].a,
                             .resize_width = edge ? 0 : cases[i].b,
                             .longest_edge = edge ? cases[i].b : 0};
        uint32_t height = 0, width = 0;
        assert_true(
            patches_spec_output_size(&spec, cases[i].height, cases[i].width, &height, &width));
        if (height != cases[i].out_height || width != cases[i].out_width)
            fail_msg("case %zu: %u x %u", i, (unsigned)height, (unsigned)width);
        spec.crop = true;
        spec.crop_height = 7;
        spec.crop_width = 9;
        assert_true(
            patches_spec_output_size(&spec, cases[i].height, cases[i].width, &height, &width));
        assert_int_equal(height, 7);
        assert_int_equal(width, 9);
    }
}

static void test_output_size_refused(void **state)
{
    const patches_spec shortest = {.resize = PATCHES_RESIZE_SHORTEST, .resize_height = 224};
    const patches_spec bounded = {
        .resize = PATCHES_RESIZE_SHORTEST, .resize_height = 32, .longest_edge = 40};
    const patches_spec fit = {
        .resize = PATCHES_RESIZE_FIT, .resize_height = 32, .resize_width = 32};
    const patches_spec cover = {
        .resize = PATCHES_RESIZE_COVER, .resize_height = 60000, .resize_width = 1};
    const patches_spec none = {.resize = PATCHES_RESIZE_NONE};
    patches_spec cropped = shortest;
    uint32_t h = 77, w = 77;
    (void)state;
    cropped.crop = true;
    cropped.crop_height = cropped.crop_width = 224;
    assert_false(patches_spec_output_size(&shortest, 0, 5, &h, &w));
    assert_false(patches_spec_output_size(&shortest, 5, 0, &h, &w));
    assert_false(patches_spec_output_size(&shortest, 1, 293, &h, &w)); /* 65,632 */
    assert_false(patches_spec_output_size(&cropped, 1, 293, &h, &w));
    assert_false(patches_spec_output_size(&shortest, UINT32_MAX, 1, &h, &w));
    assert_false(patches_spec_output_size(&bounded, 1, 1000, &h, &w)); /* 0 x 40 */
    assert_false(patches_spec_output_size(&fit, 1, 1000, &h, &w));     /* 0 x 32 */
    assert_false(patches_spec_output_size(&cover, 100, 4, &h, &w));    /* 144 megapixels */
    assert_false(patches_spec_output_size(&none, 65536, 1, &h, &w));
    assert_int_equal(h, 77);
    assert_int_equal(w, 77);
    assert_true(patches_spec_output_size(&shortest, 1, 292, &h, &w));
    assert_int_equal(w, 65408);
}

/* ---- words ---- */

static void test_describe(void **state)
{
    static const struct {
        const char *json, *sentence;
    } cases[] = {
        {"{\"image_processor_type\": \"ViTImageProcessor\", \"size\": 128, \"resample\": 3}",
         "resize to 128x128 (bicubic), scale 1/255, mean 0.5 0.5 0.5, std 0.5 0.5 0.5"},
        {"{\"image_processor_type\": \"BitImageProcessor\", \"size\": {\"shortest_edge\": 256,"
         " \"longest_edge\": 512}, \"image_mean\": [0.485, 0.456, 0.406], \"do_rescale\": false}",
         "resize the shorter side to 256 and the longer to at most 512 (bicubic), centre crop "
         "224x224, values 0 to 255, mean 0.485 0.456 0.406, std 0.26862955 0.2613026 0.2757771"},
        {"{\"image_processor_type\": \"ViTImageProcessor\", \"do_resize\": false,"
         " \"do_normalize\": false, \"rescale_factor\": 0.00784313725490196}",
         "no resize, scale 1/127.5"},
        {TIMM("\"input_size\": [3, 32, 48], \"crop_pct\": 1, \"crop_mode\": \"border\", \"mean\":"
              " [0, 1, 0.5], \"std\": [1, 1, 1]"),
         "resize to fit inside 48 wide, 32 high (bicubic), centre crop 48 wide, 32 high, padding 0 "
         "255 128, scale 1/255, mean 0 1 0.5, std 1 1 1"},
        {OWN "\"exif\": false, \"channels\": \"bgr\", \"rescale\": 0.3, \"resize\": {\"mode\":"
             " \"cover\", \"height\": 8, \"width\": 8, \"filter\": \"box\", \"order\":"
             " \"pillow12\"}}",
         "resize to cover 8x8 (box, Pillow 12 order), scale 0.3, channels B, G, R, EXIF "
         "orientation "
         "ignored"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        patches_spec spec;
        char text[300];
        parse_ok(&spec, cases[i].json, NULL);
        patches_spec_describe(&spec, text, sizeof text);
        assert_string_equal(text, cases[i].sentence);
        /* Every shorter buffer gets a terminated beginning, and nothing past its end. */
        for (size_t size = 0; size < strlen(cases[i].sentence); size++) {
            memset(text, '#', sizeof text);
            patches_spec_describe(&spec, text, size);
            assert_int_equal(text[size], '#');
            if (size == 0) continue;
            assert_int_equal(strlen(text), size - 1);
            assert_memory_equal(text, cases[i].sentence, size - 1);
        }
    }
}

/* ---- another size ---- */

/* timm's configuration with a model's size, a crop_pct and a mode. */
static void parse_timm(patches_spec *spec, uint32_t height, uint32_t width, double crop_pct,
                       const char *mode)
{
    char json[256];
    snprintf(
        json, sizeof json,
        "{\"architecture\": \"vit_base_patch16_224\", \"pretrained_cfg\": {\"input_size\": [3, "
        "%u, %u], \"crop_pct\": %.9g, \"crop_mode\": \"%s\"}}",
        height, width, crop_pct, mode);
    parse_ok(spec, json, NULL);
}

static void expect_same_spec(const patches_spec *found, const patches_spec *wanted)
{
    char a[256], b[256];
    patches_spec_describe(found, a, sizeof a);
    patches_spec_describe(wanted, b, sizeof b);
    if (memcmp(found, wanted, sizeof *found) != 0) fail_msg("%s\nwanted: %s", a, b);
}

/* What timm makes of a configuration of the new size is what the spec of the old one becomes; the
 * crop fractions are those of timm's Vision Transformers. */
static void test_size_as_timm(void **state)
{
    static const double fractions[] = {0.875, 0.9, 0.95, 0.96, 0.965, 1.0, 0.8};
    static const char *const modes[] = {"center", "squash", "border"};
    static const struct {
        uint32_t height, width;
    } sizes[] = {{224, 224}, {384, 384}, {160, 160}, {448, 448}, {512, 512},
                 {96, 96},   {224, 320}, {320, 192}, {240, 240}};
    (void)state;
    for (size_t f = 0; f < COUNT(fractions); f++)
        for (size_t m = 0; m < COUNT(modes); m++)
            for (size_t from = 0; from < 2; from++)
                for (size_t to = 0; to < COUNT(sizes); to++) {
                    const uint32_t height = sizes[to].height, width = sizes[to].width;
                    patches_spec spec, wanted, other;
                    parse_timm(&spec, sizes[from].height, sizes[from].width, fractions[f],
                               modes[m]);
                    parse_timm(&wanted, height, width, fractions[f], modes[m]);
                    assert_int_equal(patches_spec_with_size(&other, &spec, width, height, 0, NULL),
                                     VITC_OK);
                    expect_same_spec(&other, &wanted);
                    /* a given fraction is timm's --crop-pct; in place */
                    parse_timm(&wanted, height, width, 0.7, modes[m]);
                    assert_int_equal(patches_spec_with_size(&spec, &spec, width, height, 0.7, NULL),
                                     VITC_OK);
                    expect_same_spec(&spec, &wanted);
                }
    /* a wide model made wider, and square */
    patches_spec spec, wanted;
    parse_timm(&spec, 192, 320, 0.9, "center");
    parse_timm(&wanted, 224, 448, 0.9, "center");
    assert_int_equal(patches_spec_with_size(&spec, &spec, 448, 224, 0, NULL), VITC_OK);
    expect_same_spec(&spec, &wanted);
    parse_timm(&wanted, 256, 256, 0.9, "center");
    assert_int_equal(patches_spec_with_size(&spec, &spec, 256, 256, 0, NULL), VITC_OK);
    expect_same_spec(&spec, &wanted);
}

#define VIT_SPEC  "{\"image_processor_type\": \"ViTImageProcessor\""
#define CLIP_SPEC "{\"image_processor_type\": \"CLIPImageProcessor\""

/* Sizes in, sizes out. */
static void test_size(void **state)
{
    static const struct {
        const char *json;
        uint32_t width, height;
        double crop;
        const char *begins;
    } cases[] = {
        /* nothing asked for, or what it is already: nothing changes */
        {VIT_SPEC "}", 0, 0, 0, "resize to 224x224 (bilinear), scale"},
        {VIT_SPEC "}", 224, 224, 1, "resize to 224x224 (bilinear), scale"},
        {CLIP_SPEC ", \"size\": 257}", 0, 0, 0,
         "resize the shorter side to 257 (bicubic), centre crop 224x224"},
        /* no crop: the picture as a whole, unless a fraction is given */
        {VIT_SPEC "}", 384, 0, 0, "resize to 384 wide, 224 high (bilinear), scale"},
        {VIT_SPEC "}", 0, 96, 0, "resize to 224 wide, 96 high (bilinear), scale"},
        {VIT_SPEC "}", 0, 0, 0.875, "resize to 256x256 (bilinear), centre crop 224x224"},
        {VIT_SPEC "}", 384, 384, 0.96, "resize to 400x400 (bilinear), centre crop 384x384"},
        {VIT_SPEC "}", 200, 100, 0.5,
         "resize to 400 wide, 200 high (bilinear), centre crop 200 wide, 100 high"},
        /* a resize that no short fraction explains is scaled by what it is */
        {CLIP_SPEC ", \"size\": 701}", 448, 448, 0,
         "resize the shorter side to 1402 (bicubic), centre crop 448x448"},
        /* smaller than the crop: padding keeps its share */
        {CLIP_SPEC ", \"size\": 200}", 448, 448, 0,
         "resize the shorter side to 400 (bicubic), centre crop 448x448"},
        {CLIP_SPEC ", \"size\": {\"shortest_edge\": 224, \"longest_edge\": 448}}", 112, 112, 0,
         "resize the shorter side to 112 and the longer to at most 224 (bicubic), centre crop "
         "112x112"},
        {CLIP_SPEC ", \"size\": {\"shortest_edge\": 224, \"longest_edge\": 448}}", 112, 224, 0,
         "resize to cover 112 wide, 224 high (bicubic), centre crop 112 wide, 224 high"},
        /* only a crop */
        {CLIP_SPEC ", \"do_resize\": false}", 112, 96, 0,
         "no resize, centre crop 112 wide, 96 high"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        patches_spec spec;
        capture c;
        char text[256];
        const vitc_log log = capture_log(&c);
        parse_ok(&spec, cases[i].json, NULL);
        const vitc_status status = patches_spec_with_size(&spec, &spec, cases[i].width,
                                                          cases[i].height, cases[i].crop, &log);
        if (status != VITC_OK) fail_msg("%s: %s", cases[i].json, c.text);
        patches_spec_describe(&spec, text, sizeof text);
        if (strncmp(text, cases[i].begins, strlen(cases[i].begins)) != 0)
            fail_msg("case %zu: %s", i, text);
    }
}

/* With its own size and its own fraction a spec is what it was: any crop and any resize. */
static void test_size_stays(void **state)
{
    uint64_t rng = 15;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        const uint32_t crop = random_range(&rng, 1, 700), resize = random_range(&rng, 1, 900);
        patches_spec spec, same, twice;
        parse_ok(&spec, CLIP_SPEC "}", NULL);
        spec.crop_height = spec.crop_width = crop;
        spec.resize_height = resize;
        assert_int_equal(patches_spec_with_size(&same, &spec, crop, crop, 0, NULL), VITC_OK);
        expect_same_spec(&same, &spec);
        /* there and back is within one pixel per factor */
        assert_int_equal(patches_spec_with_size(&twice, &spec, 2 * crop, 2 * crop, 0, NULL),
                         VITC_OK);
        assert_true(twice.resize_height >= 2 * resize && twice.resize_height <= 2 * resize + 1);
    }
}

static void test_size_refused(void **state)
{
    static const struct {
        const char *json;
        uint32_t width, height;
        double crop;
        vitc_status status;
        const char *part;
    } cases[] = {
        {VIT_SPEC "}", 0, 0, -1, VITC_ERR_ARGUMENT, "crop"},
        {VIT_SPEC "}", 0, 0, 1.01, VITC_ERR_ARGUMENT, "crop"},
        {VIT_SPEC "}", 0, 0, (double)NAN, VITC_ERR_ARGUMENT, "crop"},
        {VIT_SPEC "}", 0, 0, 1e-9, VITC_ERR_PREPROCESS, "resize"},
        {VIT_SPEC "}", 70000, 0, 0, VITC_ERR_PREPROCESS, "70000"},
        {VIT_SPEC ", \"do_resize\": false}", 224, 224, 0, VITC_ERR_PREPROCESS, "one size"},
        {CLIP_SPEC ", \"do_center_crop\": false}", 96, 96, 0, VITC_ERR_PREPROCESS, "one size"},
        {CLIP_SPEC ", \"do_resize\": false}", 96, 96, 0.5, VITC_ERR_PREPROCESS, "does not resize"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        patches_spec spec, before;
        capture c;
        const vitc_log log = capture_log(&c);
        parse_ok(&spec, cases[i].json, NULL);
        before = spec;
        assert_int_equal(patches_spec_with_size(&spec, &spec, cases[i].width, cases[i].height,
                                                cases[i].crop, &log),
                         cases[i].status);
        capture_expect(&c, cases[i].part);
        expect_same_spec(&spec, &before);
    }
}

static void test_round_half_even(void **state)
{
    (void)state;
    assert_true(patches_round_half_even(0.5) == 0);
    assert_true(patches_round_half_even(1.5) == 2);
    assert_true(patches_round_half_even(2.5) == 2);
    assert_true(patches_round_half_even(-0.5) == 0);
    assert_true(patches_round_half_even(-1.5) == -2);
    assert_true(patches_round_half_even(2.4999999) == 2);
    assert_true(patches_round_half_even(2.5000001) == 3);
    assert_true(patches_round_half_even(7) == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hf),
        cmocka_unit_test(test_hf_resample),
        cmocka_unit_test(test_timm),
        cmocka_unit_test(test_own),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_format_checks),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_refused_silently),
        cmocka_unit_test(test_unknown_model_type),
        cmocka_unit_test(test_long_strings),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_output_size),
        cmocka_unit_test(test_output_size_refused),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_size_as_timm),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_size_stays),
        cmocka_unit_test(test_size_refused),
        cmocka_unit_test(test_round_half_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
