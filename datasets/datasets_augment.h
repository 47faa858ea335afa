/* datasets_augment.h - operations on 8-bit RGB pictures, equal to Pillow's (private to datasets).
 *
 * Each changes *image, which keeps its size. Those that fail (VITC_ERR_MEMORY) leave it as it was.
 */
#ifndef DATASETS_AUGMENT_H
#define DATASETS_AUGMENT_H

#include "datasets.h"
#include "vitc_random.h"

/* The operations of AutoAugment and its followers, and what their magnitude is, as in torchvision;
 * the first 14 are RandAugment's. */
typedef enum datasets_operation {
    DATASETS_IDENTITY = 0, /* - */
    DATASETS_SHEAR_X,      /* source x += magnitude * y, from the top left corner */
    DATASETS_SHEAR_Y,      /* source y += magnitude * x */
    DATASETS_TRANSLATE_X,  /* to the right, pixels; its fraction is dropped */
    DATASETS_TRANSLATE_Y,  /* down */
    DATASETS_ROTATE,       /* about the centre, degrees counterclockwise */
    DATASETS_BRIGHTNESS,   /* these four: factor of ImageEnhance, less 1 */
    DATASETS_COLOUR,
    DATASETS_CONTRAST,
    DATASETS_SHARPNESS,
    DATASETS_POSTERIZE, /* bits that are kept, 1-8 */
    DATASETS_SOLARIZE,  /* values from here on are inverted, 0-256 */
    DATASETS_AUTOCONTRAST,
    DATASETS_EQUALIZE,
    DATASETS_INVERT,
    DATASETS_HUE, /* turned, -0.5 to 0.5 of a full circle, as torchvision's adjust_hue */
    DATASETS_OPERATION_COUNT
} datasets_operation;

/* How operations that move pixels sample. */
typedef struct datasets_sampling {
    bool bilinear; /* else nearest */
    uint8_t fill[PATCHES_CHANNELS];
} datasets_sampling;

VITC_MUST_CHECK vitc_status datasets_operation_run(imgio_image *image, datasets_operation operation,
                                                   double magnitude,
                                                   const datasets_sampling *sampling,
                                                   const vitc_log *log);

/* Left and right exchanged. */
void datasets_flip(imgio_image *image);

/* Gaussian blur with weights out to 3 sigma, in integers: 16-bit weights that add up to one, and 8
 * bits of fraction between the two passes. Beyond the edge its pixel is taken again. 0 < sigma <=
 * 32. */
VITC_MUST_CHECK vitc_status datasets_blur(imgio_image *image, double sigma, const vitc_log *log);

/* ---- what a policy does (datasets_policy.c) ---- */

/* One operation of a policy on pictures of `width` x `height`: the magnitude of strength `level`,
 * 0-1, for those that have one; `negative` chooses between the two signs where there are two. */
double datasets_policy_magnitude(datasets_operation operation, double level, bool negative,
                                 uint32_t width, uint32_t height);

/* One of the two operations of a pair. */
typedef struct datasets_policy_step {
    datasets_operation operation;
    double probability;
    int level; /* of 9; 0 where the operation has none */
} datasets_policy_step;

/* What AutoAugment found for CIFAR-10: arXiv 1805.09501, table 7, in the order of the paper. */
enum { DATASETS_POLICY_CIFAR10_PAIRS = 25 };
extern const datasets_policy_step datasets_policy_cifar10[DATASETS_POLICY_CIFAR10_PAIRS][2];

/* Applies the policy of an augmentation. */
VITC_MUST_CHECK vitc_status datasets_policy_run(imgio_image *image,
                                                const datasets_augmentation *augmentation,
                                                vitc_random *random, const vitc_log *log);

#endif
