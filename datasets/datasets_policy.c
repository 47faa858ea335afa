/* Which operations are applied, and how strongly: RandAugment, and AutoAugment's policy for
 * CIFAR-10. Strengths are torchvision's. */
#include <math.h>

#include "datasets_augment.h"
#include "vitc_log.h"

enum { RANDAUGMENT_OPERATIONS = DATASETS_INVERT }; /* those before it */

double datasets_policy_magnitude(datasets_operation operation, double level, bool negative,
                                 uint32_t width, uint32_t height)
{
    const double sign = negative ? -1 : 1;
    switch (operation) {
    case DATASETS_SHEAR_X:
    case DATASETS_SHEAR_Y:
        return sign * 0.3 * level;
    case DATASETS_TRANSLATE_X: /* 150 of 331 pixels */
        return sign * 150 * width * level / 331;
    case DATASETS_TRANSLATE_Y:
        return sign * 150 * height * level / 331;
    case DATASETS_ROTATE:
        return sign * 30 * level;
    case DATASETS_BRIGHTNESS:
    case DATASETS_COLOUR:
    case DATASETS_CONTRAST:
    case DATASETS_SHARPNESS:
        return sign * 0.9 * level;
    case DATASETS_POSTERIZE:
        return 8 - floor(4 * level + 0.5);
    case DATASETS_SOLARIZE:
        return 255 * (1 - level);
    default:
        return 0;
    }
}

static vitc_status run_one(imgio_image *image, datasets_operation operation, double level,
                           const datasets_augmentation *a, vitc_random *random, const vitc_log *log)
{
    datasets_sampling sampling = {.bilinear = a->policy_bilinear};
    for (int c = 0; c < PATCHES_CHANNELS; c++) sampling.fill[c] = a->fill[c];
    const bool negative = vitc_random_chance(random, 0.5);
    const double magnitude =
        datasets_policy_magnitude(operation, level, negative, image->width, image->height);
    return datasets_operation_run(image, operation, magnitude, &sampling, log);
}

static vitc_status run_randaugment(imgio_image *image, const datasets_augmentation *a,
                                   vitc_random *random, const vitc_log *log)
{
    for (uint32_t i = 0; i < a->policy_operations; i++) {
        const uint64_t chosen = vitc_random_below(random, RANDAUGMENT_OPERATIONS);
        VITC_TRY(
            run_one(image, (datasets_operation)chosen, a->policy_magnitude / 30, a, random, log));
    }
    return VITC_OK;
}

const datasets_policy_step datasets_policy_cifar10[DATASETS_POLICY_CIFAR10_PAIRS][2] = {
    {{DATASETS_INVERT, 0.1, 0}, {DATASETS_CONTRAST, 0.2, 6}},
    {{DATASETS_ROTATE, 0.7, 2}, {DATASETS_TRANSLATE_X, 0.3, 9}},
    {{DATASETS_SHARPNESS, 0.8, 1}, {DATASETS_SHARPNESS, 0.9, 3}},
    {{DATASETS_SHEAR_Y, 0.5, 8}, {DATASETS_TRANSLATE_Y, 0.7, 9}},
    {{DATASETS_AUTOCONTRAST, 0.5, 0}, {DATASETS_EQUALIZE, 0.9, 0}},
    {{DATASETS_SHEAR_Y, 0.2, 7}, {DATASETS_POSTERIZE, 0.3, 7}},
    {{DATASETS_COLOUR, 0.4, 3}, {DATASETS_BRIGHTNESS, 0.6, 7}},
    {{DATASETS_SHARPNESS, 0.3, 9}, {DATASETS_BRIGHTNESS, 0.7, 9}},
    {{DATASETS_EQUALIZE, 0.6, 0}, {DATASETS_EQUALIZE, 0.5, 0}},
    {{DATASETS_CONTRAST, 0.6, 7}, {DATASETS_SHARPNESS, 0.6, 5}},
    {{DATASETS_COLOUR, 0.7, 7}, {DATASETS_TRANSLATE_X, 0.5, 8}},
    {{DATASETS_EQUALIZE, 0.3, 0}, {DATASETS_AUTOCONTRAST, 0.4, 0}},
    {{DATASETS_TRANSLATE_Y, 0.4, 3}, {DATASETS_SHARPNESS, 0.2, 6}},
    {{DATASETS_BRIGHTNESS, 0.9, 6}, {DATASETS_COLOUR, 0.2, 8}},
    {{DATASETS_SOLARIZE, 0.5, 2}, {DATASETS_INVERT, 0.0, 0}},
    {{DATASETS_EQUALIZE, 0.2, 0}, {DATASETS_AUTOCONTRAST, 0.6, 0}},
    {{DATASETS_EQUALIZE, 0.2, 0}, {DATASETS_EQUALIZE, 0.6, 0}},
    {{DATASETS_COLOUR, 0.9, 9}, {DATASETS_EQUALIZE, 0.6, 0}},
    {{DATASETS_AUTOCONTRAST, 0.8, 0}, {DATASETS_SOLARIZE, 0.2, 8}},
    {{DATASETS_BRIGHTNESS, 0.1, 3}, {DATASETS_COLOUR, 0.7, 0}},
    {{DATASETS_SOLARIZE, 0.4, 5}, {DATASETS_AUTOCONTRAST, 0.9, 0}},
    {{DATASETS_TRANSLATE_Y, 0.9, 9}, {DATASETS_TRANSLATE_Y, 0.7, 9}},
    {{DATASETS_AUTOCONTRAST, 0.9, 0}, {DATASETS_SOLARIZE, 0.8, 3}},
    {{DATASETS_EQUALIZE, 0.8, 0}, {DATASETS_INVERT, 0.1, 0}},
    {{DATASETS_TRANSLATE_Y, 0.7, 9}, {DATASETS_AUTOCONTRAST, 0.9, 0}},
};

static vitc_status run_cifar10(imgio_image *image, const datasets_augmentation *a,
                               vitc_random *random, const vitc_log *log)
{
    const datasets_policy_step *pair =
        datasets_policy_cifar10[vitc_random_below(random, DATASETS_POLICY_CIFAR10_PAIRS)];
    for (int i = 0; i < 2; i++)
        if (vitc_random_chance(random, pair[i].probability))
            VITC_TRY(run_one(image, pair[i].operation, pair[i].level / 9.0, a, random, log));
    return VITC_OK;
}

vitc_status datasets_policy_run(imgio_image *image, const datasets_augmentation *a,
                                vitc_random *random, const vitc_log *log)
{
    switch (a->policy) {
    case DATASETS_POLICY_RANDAUGMENT:
        return run_randaugment(image, a, random, log);
    case DATASETS_POLICY_CIFAR10:
        return run_cifar10(image, a, random, log);
    default:
        return VITC_OK;
    }
}
