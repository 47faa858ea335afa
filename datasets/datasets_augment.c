/* Augmentation: what is chosen for one image in one epoch, in the order of datasets_augmentation.
 */
#include "datasets_augment.h"

#include <math.h>
#include <string.h>

#include "vitc_log.h"

enum { C = PATCHES_CHANNELS, SIDE_MAX = 4096 };

datasets_augmentation datasets_augmentation_default(uint32_t width, uint32_t height)
{
    return (datasets_augmentation){.width = width,
                                   .height = height,
                                   .crop_scale = {0.08, 1},
                                   .crop_ratio = {3.0 / 4, 4.0 / 3},
                                   .pad = 4,
                                   .filter = IMGIO_BICUBIC,
                                   .soften_scale = 0.25,
                                   .blur_sigma = {0.1, 2},
                                   .sharpen_most = 2,
                                   .policy_operations = 2,
                                   .policy_magnitude = 9,
                                   .erase_scale = {0.02, 1.0 / 3},
                                   .erase_ratio = {0.3, 1 / 0.3}};
}

/* ---- check ---- */

/* A number of the augmentation and where it may lie, both ends included. */
typedef struct bound {
    const char *name;
    double value, low, high;
} bound;

static vitc_status check_bounds(const datasets_augmentation *a, const vitc_log *log)
{
    const double tiny = 1e-6;
    const bound bounds[] = {{"width", a->width, 1, SIDE_MAX},
                            {"height", a->height, 1, SIDE_MAX},
                            {"smallest crop", a->crop_scale[0], tiny, a->crop_scale[1]},
                            {"largest crop", a->crop_scale[1], tiny, 1},
                            {"narrowest crop", a->crop_ratio[0], 0.01, a->crop_ratio[1]},
                            {"widest crop", a->crop_ratio[1], 0.01, 100},
                            {"padding", a->pad, 0, SIDE_MAX},
                            {"flip", a->flip, 0, 1},
                            {"soften", a->soften, 0, 1},
                            {"softest scale", a->soften_scale, 0.01, 1},
                            {"blur", a->blur, 0, 1},
                            {"least blur", a->blur_sigma[0], 0.01, a->blur_sigma[1]},
                            {"most blur", a->blur_sigma[1], 0.01, 32},
                            {"sharpen", a->sharpen, 0, 1},
                            {"most sharpening", a->sharpen_most, 0, 100},
                            {"brightness", a->brightness, 0, 100},
                            {"contrast", a->contrast, 0, 100},
                            {"saturation", a->saturation, 0, 100},
                            {"hue", a->hue, 0, 0.5},
                            {"RandAugment operations", a->policy_operations, 0, 100},
                            {"RandAugment magnitude", a->policy_magnitude, 0, 30},
                            {"erase", a->erase, 0, 1},
                            {"smallest erased area", a->erase_scale[0], tiny, a->erase_scale[1]},
                            {"largest erased area", a->erase_scale[1], tiny, 1},
                            {"lowest erased area", a->erase_ratio[0], 0.01, a->erase_ratio[1]},
                            {"highest erased area", a->erase_ratio[1], 0.01, 100}};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        const bound *b = &bounds[i];
        if (b->value >= b->low && b->value <= b->high) continue;
        return vitc_fail(log, VITC_ERR_ARGUMENT, "augmentation: %s is %g; it must be from %g to %g",
                         b->name, b->value, b->low, b->high);
    }
    return VITC_OK;
}

vitc_status datasets_augmentation_check(const datasets_augmentation *a, const vitc_log *log)
{
    if ((unsigned)a->crop > DATASETS_CROP_PADDED)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "augmentation: %d is no kind of crop",
                         (int)a->crop);
    if ((unsigned)a->policy > DATASETS_POLICY_CIFAR10)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "augmentation: %d is no policy", (int)a->policy);
    if (imgio_filter_string(a->filter) == NULL)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "augmentation: %d is no filter", (int)a->filter);
    return check_bounds(a, log);
}

/* ---- random numbers ---- */

static imgio_filter any_filter(vitc_random *random)
{
    static const imgio_filter filters[] = {IMGIO_BOX, IMGIO_BILINEAR, IMGIO_HAMMING, IMGIO_BICUBIC,
                                           IMGIO_LANCZOS};
    return filters[vitc_random_below(random, sizeof filters / sizeof *filters)];
}

static uint32_t rounded(double x)
{
    return (uint32_t)floor(x + 0.5);
}

/* ---- size and place ---- */

/* A rectangle of the source; padding has negative places. */
typedef struct rectangle {
    int64_t left, top;
    uint32_t width, height;
} rectangle;

/* The largest rectangle in the middle whose shape is within the limits: what is left where ten
 * draws do not fit. */
static rectangle fallback(const imgio_image *in, const double ratio[2])
{
    const double shape = (double)in->width / in->height;
    rectangle r = {.width = in->width, .height = in->height};
    if (shape < ratio[0])
        r.height = rounded(in->width / ratio[0]);
    else if (shape > ratio[1])
        r.width = rounded(in->height * ratio[1]);
    r.height = r.height < 1 ? 1 : r.height;
    r.width = r.width < 1 ? 1 : r.width;
    r.left = (in->width - r.width) / 2;
    r.top = (in->height - r.height) / 2;
    return r;
}

static rectangle draw_resized(const imgio_image *in, const datasets_augmentation *a,
                              vitc_random *random)
{
    enum { DRAWS = 10 };
    for (int i = 0; i < DRAWS; i++) {
        const double area = (double)in->width * in->height *
                            vitc_random_between(random, a->crop_scale[0], a->crop_scale[1]);
        const double ratio = vitc_random_between_logs(random, a->crop_ratio[0], a->crop_ratio[1]);
        const double width = floor(sqrt(area * ratio) + 0.5);
        const double height = floor(sqrt(area / ratio) + 0.5);
        if (width < 1 || width > in->width || height < 1 || height > in->height) continue;
        rectangle r = {.width = (uint32_t)width, .height = (uint32_t)height};
        r.top = (int64_t)vitc_random_below(random, in->height - r.height + 1U);
        r.left = (int64_t)vitc_random_below(random, in->width - r.width + 1U);
        return r;
    }
    return fallback(in, a->crop_ratio);
}

/* As many pixels of the picture, or of the model's image where those are larger. */
static int64_t pad_of(uint32_t side, uint32_t model, uint32_t pad)
{
    return side > model ? (int64_t)pad * side / model : pad;
}

static rectangle draw_padded(const imgio_image *in, const datasets_augmentation *a,
                             vitc_random *random)
{
    const int64_t down = pad_of(in->height, a->height, a->pad);
    const int64_t right = pad_of(in->width, a->width, a->pad);
    rectangle r = {.width = in->width, .height = in->height};
    r.top = (int64_t)vitc_random_below(random, 2 * (uint64_t)down + 1) - down;
    r.left = (int64_t)vitc_random_below(random, 2 * (uint64_t)right + 1) - right;
    return r;
}

/* The place within 0 ... size - 1 that one beyond it is the mirror image of, the edge itself not
 * repeated; as often as needed. */
static uint32_t mirror(int64_t at, uint32_t size)
{
    if (size == 1) return 0;
    const int64_t period = 2 * ((int64_t)size - 1);
    const int64_t place = (at % period + period) % period;
    return (uint32_t)(place < size ? place : period - place);
}

static void copy_row(uint8_t *out, const imgio_image *in, int64_t y, const rectangle *r,
                     const datasets_augmentation *a)
{
    const bool inside_y = y >= 0 && y < in->height;
    const uint8_t *row =
        in->pixels + (size_t)(inside_y ? (uint32_t)y : mirror(y, in->height)) * in->width * C;
    for (uint32_t i = 0; i < r->width; i++) {
        const int64_t x = r->left + i;
        const bool inside = inside_y && x >= 0 && x < in->width;
        const uint8_t *from = row + (size_t)(inside ? (uint32_t)x : mirror(x, in->width)) * C;
        memcpy(out + (size_t)i * C, inside || a->pad_reflect ? from : a->fill, C);
    }
}

static vitc_status cut(imgio_image *out, const imgio_image *in, const rectangle *r,
                       const datasets_augmentation *a, const vitc_log *log)
{
    VITC_TRY(imgio_image_create(out, r->width, r->height, log));
    const size_t bytes = (size_t)r->width * C;
    const bool inside = r->left >= 0 && r->left + r->width <= in->width;
    for (uint32_t i = 0; i < r->height; i++) {
        const int64_t y = r->top + i;
        uint8_t *to = out->pixels + i * bytes;
        if (inside && y >= 0 && y < in->height)
            memcpy(to, in->pixels + ((size_t)y * in->width + (size_t)r->left) * C, bytes);
        else
            copy_row(to, in, y, r, a);
    }
    return VITC_OK;
}

/* Resizes in place; the same size is left as it is. */
static vitc_status resize(imgio_image *image, uint32_t width, uint32_t height, imgio_filter filter,
                          const vitc_log *log)
{
    if (image->width == width && image->height == height) return VITC_OK;
    imgio_image out;
    VITC_TRY(imgio_resize(&out, image, width, height, filter, IMGIO_ORDER_PILLOW13, log));
    imgio_image_free(image);
    *image = out;
    return VITC_OK;
}

static vitc_status crop(imgio_image *out, const imgio_image *in, const datasets_augmentation *a,
                        vitc_random *random, const vitc_log *log)
{
    const rectangle r = a->crop == DATASETS_CROP_RESIZED ? draw_resized(in, a, random)
                        : a->crop == DATASETS_CROP_PADDED
                            ? draw_padded(in, a, random)
                            : (rectangle){.width = in->width, .height = in->height};
    const imgio_filter filter = a->any_filter ? any_filter(random) : a->filter;
    VITC_TRY(cut(out, in, &r, a, log));
    return resize(out, a->width, a->height, filter, log);
}

/* ---- detail ---- */

static vitc_status soften(imgio_image *image, const datasets_augmentation *a, vitc_random *random,
                          const vitc_log *log)
{
    const double scale = vitc_random_between_logs(random, a->soften_scale, 1);
    const uint32_t width = rounded(image->width * scale), height = rounded(image->height * scale);
    const imgio_filter down = any_filter(random), up = any_filter(random);
    VITC_TRY(resize(image, width < 1 ? 1 : width, height < 1 ? 1 : height, down, log));
    return resize(image, a->width, a->height, up, log);
}

static vitc_status change_detail(imgio_image *image, const datasets_augmentation *a,
                                 vitc_random *random, const vitc_log *log)
{
    if (vitc_random_chance(random, a->soften)) VITC_TRY(soften(image, a, random, log));
    if (vitc_random_chance(random, a->blur))
        VITC_TRY(datasets_blur(
            image, vitc_random_between(random, a->blur_sigma[0], a->blur_sigma[1]), log));
    if (vitc_random_chance(random, a->sharpen))
        VITC_TRY(datasets_operation_run(
            image, DATASETS_SHARPNESS, vitc_random_between(random, 0, a->sharpen_most), NULL, log));
    return VITC_OK;
}

/* ---- colour ---- */

static vitc_status jitter(imgio_image *image, const datasets_augmentation *a, vitc_random *random,
                          const vitc_log *log)
{
    enum { COUNT = 4 };
    static const datasets_operation operations[COUNT] = {DATASETS_BRIGHTNESS, DATASETS_CONTRAST,
                                                         DATASETS_COLOUR, DATASETS_HUE};
    const double ranges[COUNT] = {a->brightness, a->contrast, a->saturation, a->hue};
    uint32_t order[COUNT];
    vitc_random_permutation(order, COUNT, random);
    for (int i = 0; i < COUNT; i++) {
        const uint32_t k = order[i];
        const double magnitude = vitc_random_between(random, -fmin(ranges[k], 1), ranges[k]);
        if (ranges[k] > 0)
            VITC_TRY(datasets_operation_run(image, operations[k], magnitude, NULL, log));
    }
    return VITC_OK;
}

/* ---- all together ---- */

static vitc_status augment(imgio_image *out, const imgio_image *in, const datasets_augmentation *a,
                           vitc_random *random, const vitc_log *log)
{
    VITC_TRY(crop(out, in, a, random, log));
    if (vitc_random_chance(random, a->flip)) datasets_flip(out);
    VITC_TRY(change_detail(out, a, random, log));
    VITC_TRY(jitter(out, a, random, log));
    return datasets_policy_run(out, a, random, log);
}

vitc_status datasets_augment_image(imgio_image *out, const imgio_image *in,
                                   const datasets_augmentation *a, uint64_t seed, uint32_t epoch,
                                   uint64_t index, const vitc_log *log)
{
    *out = (imgio_image){0};
    if (in->pixels == NULL || in->width == 0 || in->height == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "an empty image cannot be augmented");
    vitc_random random = vitc_random_start(seed, VITC_RANDOM_AUGMENT, epoch, index);
    const vitc_status status = augment(out, in, a, &random, log);
    if (status != VITC_OK) imgio_image_free(out);
    return status;
}

void datasets_shuffle(uint32_t *order, size_t n, uint64_t seed, uint32_t epoch)
{
    vitc_random random = vitc_random_start(seed, VITC_RANDOM_SHUFFLE, epoch, 0);
    vitc_random_permutation(order, n, &random);
}
