/* Augmentation of pictures: operations against torchvision and Pillow (tests/golden/augment), what
 * is chosen against its distribution, and pictures that are the same everywhere. */
#include "datasets.h"
#include "datasets_augment.h"
#include "test_imgio_support.h"
#include "test_malloc_fail.h"
#include "vitc_hash.h"

#include <math.h>

#define AUGMENT VITC_GOLDEN_DIR "/augment"

enum { EPOCH = 3 };
#define PICTURES_HASH 0x6685c700027cdb53

/* ---- operations ---- */

static const char *const operation_names[DATASETS_OPERATION_COUNT] = {
    "Identity",     "ShearX",   "ShearY",   "TranslateX", "TranslateY", "Rotate",
    "Brightness",   "Color",    "Contrast", "Sharpness",  "Posterize",  "Solarize",
    "AutoContrast", "Equalize", "Invert",   "Hue"};

static datasets_operation operation_named(const char *name)
{
    for (int i = 0; i < DATASETS_OPERATION_COUNT; i++)
        if (strcmp(operation_names[i], name) == 0) return (datasets_operation)i;
    fail_msg("no operation %s", name);
    return DATASETS_IDENTITY;
}

/* How many bytes differ by more than `near`. */
static size_t differences(const imgio_image *image, const uint8_t *expected, int near)
{
    size_t count = 0;
    for (size_t i = 0; i < (size_t)image->width * image->height * 3; i++)
        count += abs(image->pixels[i] - expected[i]) > near;
    return count;
}

static void operations_are_torchvisions(void **state)
{
    (void)state;
    size_t size, cases = 0, failures = 0, seen[DATASETS_OPERATION_COUNT] = {0};
    uint8_t *pixels = golden_read(&size, AUGMENT, "pixels.rgb");
    FILE *index = fopen(AUGMENT "/index.txt", "r");
    assert_non_null(index);
    char name[32], sampled[16];
    double magnitude;
    unsigned fill[3], width, height;
    size_t before, after;
    while (fscanf(index, "%31s %la %15s %u %u %u %u %u %zu %zu", name, &magnitude, sampled,
                  &fill[0], &fill[1], &fill[2], &width, &height, &before, &after) == 10) {
        const datasets_operation operation = operation_named(name);
        const datasets_sampling sampling = {
            .bilinear = strcmp(sampled, "bilinear") == 0,
            .fill = {(uint8_t)fill[0], (uint8_t)fill[1], (uint8_t)fill[2]}};
        imgio_image image;
        const size_t bytes = (size_t)width * height * 3;
        assert_true(before + bytes <= size && after + bytes <= size);
        assert_int_equal(imgio_image_create(&image, width, height, NULL), VITC_OK);
        memcpy(image.pixels, pixels + before, bytes);
        assert_int_equal(datasets_operation_run(&image, operation, magnitude, &sampling, NULL),
                         VITC_OK);
        const size_t different = differences(&image, pixels + after, 0);
        if (different > 0)
            print_error("%s %g %s %ux%u: %zu of %zu bytes\n", name, magnitude, sampled, width,
                        height, different, bytes);
        failures += different > 0;
        imgio_image_free(&image);
        seen[operation]++;
        cases++;
    }
    assert_true(feof(index));
    fclose(index);
    free(pixels);
    assert_true(cases >= 600);
    for (int i = 0; i < DATASETS_OPERATION_COUNT; i++) assert_true(seen[i] >= 13);
    assert_int_equal(failures, 0);
}

/* torchvision computes in float32. */
static void strengths_are_torchvisions(void **state)
{
    (void)state;
    FILE *levels = fopen(AUGMENT "/levels.txt", "r");
    assert_non_null(levels);
    char name[32];
    unsigned bins, index, width, height, either;
    double expected;
    size_t cases = 0;
    while (fscanf(levels, "%31s %u %u %u %u %lf %u", name, &bins, &index, &width, &height,
                  &expected, &either) == 7) {
        const datasets_operation operation = operation_named(name);
        const double level = (double)index / (bins - 1);
        const double plus = datasets_policy_magnitude(operation, level, false, width, height);
        const double minus = datasets_policy_magnitude(operation, level, true, width, height);
        if (!(fabs(plus - expected) <= 2e-5 + 1e-6 * fabs(expected)))
            fail_msg("%s %u of %u: %g, not %g", name, index, bins, plus, expected);
        assert_true(either ? minus == -plus : minus == plus);
        cases++;
    }
    assert_true(feof(levels));
    fclose(levels);
    assert_true(cases >= 900);
}

static void cifar_policy_is_the_published_one(void **state)
{
    (void)state;
    FILE *pairs = fopen(AUGMENT "/cifar10.txt", "r");
    assert_non_null(pairs);
    for (int i = 0; i < DATASETS_POLICY_CIFAR10_PAIRS; i++)
        for (int k = 0; k < 2; k++) {
            const datasets_policy_step *step = &datasets_policy_cifar10[i][k];
            char name[32];
            double probability;
            int level;
            assert_int_equal(fscanf(pairs, "%31s %lf %d", name, &probability, &level), 3);
            assert_int_equal(operation_named(name), step->operation);
            assert_true(probability == step->probability);
            assert_int_equal(level, step->level);
        }
    assert_int_equal(fscanf(pairs, "%*s"), EOF);
    fclose(pairs);
}

/* ---- blur and flip ---- */

static imgio_image filled(uint32_t width, uint32_t height, uint8_t value)
{
    imgio_image image;
    assert_int_equal(imgio_image_create(&image, width, height, NULL), VITC_OK);
    memset(image.pixels, value, (size_t)width * height * 3);
    return image;
}

/* Each pixel tells where it comes from: red its column, green its row. */
static imgio_image map_image(uint32_t width, uint32_t height)
{
    imgio_image image = filled(width, height, 7);
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            image.pixels[((size_t)y * width + x) * 3] = (uint8_t)x;
            image.pixels[((size_t)y * width + x) * 3 + 1] = (uint8_t)y;
        }
    return image;
}

static void blur_is_gaussian(void **state)
{
    (void)state;
    static const double sigmas[] = {0.1, 0.5, 1, 2.3, 6};
    for (size_t s = 0; s < sizeof sigmas / sizeof *sigmas; s++) {
        const double sigma = sigmas[s];
        imgio_image image = filled(61, 61, 0);
        for (size_t y = 28; y < 33; y++) /* a square of 5 x 5 in the middle */
            memset(image.pixels + (y * 61 + 28) * 3, 255, 15);
        assert_int_equal(datasets_blur(&image, sigma, NULL), VITC_OK);
        double along[61] = {0}, total = 0;
        for (int d = -30; d <= 30; d++) total += exp(-0.5 * d * d / (sigma * sigma));
        for (int x = 0; x < 61; x++)
            for (int k = 28; k < 33; k++)
                along[x] += exp(-0.5 * (x - k) * (x - k) / (sigma * sigma)) / total;
        for (size_t y = 0; y < 61; y++)
            for (size_t x = 0; x < 61; x++) /* weights beyond 3 sigma are left out: 0.0027 */
                assert_true(fabs(image.pixels[(y * 61 + x) * 3 + 1] - 255 * along[x] * along[y]) <
                            2.2);
        imgio_image_free(&image);
    }
    for (int value = 0; value < 256; value += 51) { /* one colour stays, at the edge too */
        imgio_image image = filled(9, 4, (uint8_t)value);
        assert_int_equal(datasets_blur(&image, 32, NULL), VITC_OK);
        for (size_t i = 0; i < (size_t)9 * 4 * 3; i++) assert_int_equal(image.pixels[i], value);
        imgio_image_free(&image);
    }
}

static void flip_is_a_mirror(void **state)
{
    (void)state;
    for (uint32_t width = 1; width < 6; width++) {
        imgio_image image = map_image(width, 3);
        datasets_flip(&image);
        for (uint32_t y = 0; y < 3; y++)
            for (uint32_t x = 0; x < width; x++) {
                const uint8_t *rgb = image.pixels + ((size_t)y * width + x) * 3;
                assert_true(rgb[0] == width - 1 - x && rgb[1] == y && rgb[2] == 7);
            }
        imgio_image_free(&image);
    }
}

/* ---- what is chosen ---- */

static imgio_image augment(const imgio_image *in, const datasets_augmentation *a, uint64_t index)
{
    imgio_image out;
    assert_int_equal(datasets_augmentation_check(a, NULL), VITC_OK);
    assert_int_equal(datasets_augment_image(&out, in, a, 1, EPOCH, index, NULL), VITC_OK);
    assert_int_equal(out.width, a->width);
    assert_int_equal(out.height, a->height);
    return out;
}

static bool same_pixels(const imgio_image *a, const imgio_image *b)
{
    return a->width == b->width && a->height == b->height &&
           memcmp(a->pixels, b->pixels, (size_t)a->width * a->height * 3) == 0;
}

static void default_only_resizes(void **state)
{
    (void)state;
    imgio_image in = map_image(40, 30), expected;
    const datasets_augmentation a = datasets_augmentation_default(25, 35);
    assert_int_equal(
        imgio_resize(&expected, &in, 25, 35, IMGIO_BICUBIC, IMGIO_ORDER_PILLOW13, NULL), VITC_OK);
    for (uint64_t i = 0; i < 20; i++) {
        imgio_image out = augment(&in, &a, i);
        assert_true(same_pixels(&out, &expected));
        imgio_image_free(&out);
    }
    imgio_image_free(&in);
    imgio_image_free(&expected);
}

/* The usual one for CIFAR: every place of (2 * 4 + 1)^2 is as likely. */
static void padded_crops_come_from_all_places(void **state)
{
    (void)state;
    enum { N = 40000, SIDE = 9 };
    size_t counts[SIDE][SIDE] = {{0}}, flips = 0;
    imgio_image in = map_image(16, 12);
    datasets_augmentation a = datasets_augmentation_default(16, 12);
    a.crop = DATASETS_CROP_PADDED;
    a.flip = 0.5;
    a.fill[2] = 99;
    for (uint64_t i = 0; i < N; i++) {
        imgio_image out = augment(&in, &a, i);
        const uint8_t *middle = out.pixels + ((size_t)6 * 16 + 8) * 3;
        const bool flipped = out.pixels[((size_t)6 * 16 + 7) * 3] > middle[0];
        const int left = middle[0] - (flipped ? 7 : 8), top = middle[1] - 6;
        assert_true(left >= -4 && left <= 4 && top >= -4 && top <= 4);
        counts[top + 4][left + 4]++;
        flips += flipped;
        for (int y = 0; y < 12; y++)
            for (int x = 0; x < 16; x++) {
                const int from_x = left + (flipped ? 15 - x : x), from_y = top + y;
                const uint8_t *rgb = out.pixels + ((size_t)y * 16 + (size_t)x) * 3;
                if (from_x >= 0 && from_x < 16 && from_y >= 0 && from_y < 12)
                    assert_true(rgb[0] == from_x && rgb[1] == from_y && rgb[2] == 7);
                else
                    assert_true(rgb[0] == 0 && rgb[1] == 0 && rgb[2] == 99);
            }
        imgio_image_free(&out);
    }
    double chi = 0;
    const double each = N / (double)(SIDE * SIDE);
    for (size_t y = 0; y < SIDE; y++)
        for (size_t x = 0; x < SIDE; x++) {
            const double off = (double)counts[y][x] - each;
            chi += off * off / each;
        }
    assert_true(fabs(chi - 80) < 5 * sqrt(160.0));
    assert_true(fabs((double)flips - N / 2.0) < 5 * sqrt(N / 4.0));
    imgio_image_free(&in);
}

/* Up to four pixels of the result, whatever they were in the picture. */
static void large_pictures_are_shifted_by_pixels_of_the_result(void **state)
{
    (void)state;
    imgio_image in = map_image(64, 48);
    datasets_augmentation a = datasets_augmentation_default(16, 12);
    a.crop = DATASETS_CROP_PADDED;
    a.fill[2] = 99;
    size_t filled[16] = {0};
    for (uint64_t i = 0; i < 400; i++) {
        imgio_image out = augment(&in, &a, i);
        for (size_t x = 0; x < 16; x++) filled[x] += out.pixels[(6 * 16 + x) * 3 + 2] > 90;
        imgio_image_free(&out);
    }
    assert_true(filled[0] > 100 && filled[2] > 20 && filled[13] > 20);
    assert_true(filled[4] == 0 && filled[8] == 0 && filled[11] == 0);
    imgio_image_free(&in);
}

static void reflected_padding_is_numpys(void **state)
{
    (void)state;
    static const uint8_t mirrored[] = {4, 3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 0}; /* of 5, from -4 */
    imgio_image in = map_image(5, 1);
    datasets_augmentation a = datasets_augmentation_default(5, 1);
    a.crop = DATASETS_CROP_PADDED;
    a.pad_reflect = true;
    size_t seen[9] = {0};
    for (uint64_t i = 0; i < 400; i++) {
        imgio_image out = augment(&in, &a, i);
        size_t matches = 0;
        for (size_t left = 0; left < 9; left++) {
            bool all = true;
            for (size_t x = 0; x < 5; x++) all = all && out.pixels[x * 3] == mirrored[left + x];
            matches += all;
            seen[left] += all;
        }
        assert_true(matches >= 1);
        assert_true(out.pixels[1] == 0 && out.pixels[2] == 7);
        imgio_image_free(&out);
    }
    for (size_t left = 0; left < 9; left++) assert_true(seen[left] > 0);
    imgio_image_free(&in);
}

/* The rectangle of a crop can be seen in a ramp, by its ends; nearest keeps what is there. */
static void resized_crops_have_the_range_of_sizes_and_shapes(void **state)
{
    (void)state;
    enum { N = 4000 };
    imgio_image in = map_image(200, 160);
    datasets_augmentation a = datasets_augmentation_default(200, 200);
    a.crop = DATASETS_CROP_RESIZED;
    a.filter = IMGIO_NEAREST;
    double area = 0, logs = 0, least = 1, most = 0, narrowest = 9, widest = 0;
    for (uint64_t i = 0; i < N; i++) {
        imgio_image out = augment(&in, &a, i);
        const uint8_t *first = out.pixels, *last = out.pixels + ((size_t)200 * 200 - 1) * 3;
        const double width = last[0] - first[0] + 1, height = last[1] - first[1] + 1;
        const double share = width * height / (200 * 160), ratio = width / height;
        area += share / N;
        logs += log(ratio) / N;
        least = fmin(least, share);
        most = fmax(most, share);
        narrowest = fmin(narrowest, ratio);
        widest = fmax(widest, ratio);
        imgio_image_free(&out);
    }
    assert_true(least > 0.075 && least < 0.1);
    assert_true(most > 0.93 && most <= 1);
    assert_true(narrowest > 0.72 && narrowest < 0.77);
    assert_true(widest > 1.3 && widest < 1.38);
    /* By numerical integration over what fits into 5 : 4: large areas fit less often. */
    assert_true(fabs(area - 0.4549) < 0.02);
    assert_true(fabs(logs - 0.0280) < 0.02);
    imgio_image_free(&in);
}

/* No rectangle of these shapes has so much area: the middle is taken, as much as may be. */
static void crops_that_never_fit_fall_back_to_the_middle(void **state)
{
    (void)state;
    imgio_image in = map_image(200, 20);
    datasets_augmentation a = datasets_augmentation_default(20, 20);
    a.crop = DATASETS_CROP_RESIZED;
    a.filter = IMGIO_NEAREST;
    a.crop_scale[0] = 0.9;
    a.crop_ratio[0] = 0.5;
    a.crop_ratio[1] = 1;
    imgio_image out = augment(&in, &a, 0);
    for (size_t x = 0; x < 20; x++) assert_int_equal(out.pixels[x * 3], 90 + x);
    imgio_image_free(&out);
    imgio_image_free(&in);
    in = map_image(10, 200);
    a.crop_ratio[1] = 2;
    out = augment(&in, &a, 0);
    assert_int_equal(out.pixels[1], 90);
    assert_int_equal(out.pixels[((size_t)19 * 20) * 3 + 1], 109);
    imgio_image_free(&out);
    imgio_image_free(&in);
    in = map_image(1, 1);
    out = augment(&in, &a, 0);
    imgio_image_free(&out);
    imgio_image_free(&in);
}

/* The sum of squared steps from pixel to pixel: how much detail there is. */
static double detail(const imgio_image *image)
{
    double sum = 0;
    for (size_t i = 3; i < (size_t)image->width * image->height * 3; i++) {
        const double step = image->pixels[i] - image->pixels[i - 3];
        sum += step * step;
    }
    return sum;
}

static imgio_image noise_image(uint32_t width, uint32_t height)
{
    imgio_image image = filled(width, height, 0);
    vitc_random random = vitc_random_start(5, VITC_RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < (size_t)width * height * 3; i++)
        image.pixels[i] = (uint8_t)(10 + vitc_random_below(&random, 206));
    return image;
}

static void detail_goes_both_ways(void **state)
{
    (void)state;
    enum { N = 300 };
    imgio_image in = noise_image(32, 24);
    const double before = detail(&in);
    datasets_augmentation a = datasets_augmentation_default(32, 24), soft = a, blurred = a,
                          sharp = a;
    soft.soften = 0.7;
    blurred.blur = 0.7;
    blurred.blur_sigma[0] = 0.5;
    sharp.sharpen = 0.7;
    size_t softer = 0, blurrier = 0, sharper = 0;
    for (uint64_t i = 0; i < N; i++) {
        imgio_image x = augment(&in, &soft, i), y = augment(&in, &blurred, i),
                    z = augment(&in, &sharp, i);
        softer += detail(&x) < 0.99 * before;
        blurrier += detail(&y) < 0.99 * before;
        sharper += detail(&z) > before;
        assert_true(detail(&y) <= before && detail(&z) >= before);
        imgio_image_free(&x);
        imgio_image_free(&y);
        imgio_image_free(&z);
    }
    const double bound = 5 * sqrt(0.21 * N);
    assert_true((double)softer > 0.55 * N && (double)softer < 0.7 * N + bound);
    assert_true(fabs((double)blurrier - 0.7 * N) < bound);
    assert_true(fabs((double)sharper - 0.7 * N) < bound);
    imgio_image_free(&in);
}

static void jitter_stays_in_its_range(void **state)
{
    (void)state;
    enum { N = 3000 };
    imgio_image in = filled(2, 2, 100);
    datasets_augmentation a = datasets_augmentation_default(2, 2);
    a.brightness = 0.4;
    double sum = 0;
    int least = 255, most = 0;
    for (uint64_t i = 0; i < N; i++) {
        imgio_image out = augment(&in, &a, i);
        const int value = out.pixels[0];
        sum += value;
        least = value < least ? value : least;
        most = value > most ? value : most;
        imgio_image_free(&out);
    }
    assert_true(least >= 59 && least <= 61 && most >= 138 && most <= 140);
    assert_true(fabs(sum / N - 99.5) < 5 * 23.1 / sqrt((double)N)); /* cut off: half a level less */
    imgio_image_free(&in);
}

/* RandAugment with one operation takes each of 14 as often as the others; both signs come. */
static void policies_choose_evenly(void **state)
{
    (void)state;
    enum { N = 8400, KINDS = 14 };
    imgio_image in = noise_image(24, 24);
    datasets_augmentation a = datasets_augmentation_default(24, 24);
    a.policy = DATASETS_POLICY_RANDAUGMENT;
    a.policy_operations = 1;
    a.policy_magnitude = 12;
    imgio_image outcomes[KINDS][2];
    const datasets_sampling sampling = {0};
    for (int k = 0; k < KINDS; k++)
        for (int sign = 0; sign < 2; sign++) {
            outcomes[k][sign] = filled(24, 24, 0);
            memcpy(outcomes[k][sign].pixels, in.pixels, (size_t)24 * 24 * 3);
            const double magnitude =
                datasets_policy_magnitude((datasets_operation)k, 12.0 / 30, sign != 0, 24, 24);
            assert_int_equal(datasets_operation_run(&outcomes[k][sign], (datasets_operation)k,
                                                    magnitude, &sampling, NULL),
                             VITC_OK);
        }
    size_t counts[KINDS][2] = {{0}};
    for (uint64_t i = 0; i < N; i++) {
        imgio_image out = augment(&in, &a, i);
        bool found = false;
        for (int k = 0; k < KINDS && !found; k++)
            for (int sign = 0; sign < 2 && !found; sign++) {
                found = same_pixels(&out, &outcomes[k][sign]);
                counts[k][sign] += found;
            }
        assert_true(found);
        imgio_image_free(&out);
    }
    for (int k = 0; k < KINDS; k++) {
        const double each = N / (double)KINDS, n = (double)(counts[k][0] + counts[k][1]);
        assert_true(fabs(n - each) < 5 * sqrt(each));
        if (k >= DATASETS_SHEAR_X && k <= DATASETS_SHARPNESS)
            assert_true(fabs((double)counts[k][0] - n / 2) < 5 * sqrt(n / 4));
        for (int sign = 0; sign < 2; sign++) imgio_image_free(&outcomes[k][sign]);
    }
    imgio_image_free(&in);
}

/* How often neither operation of a pair comes is known from the table. */
static void cifar_policy_leaves_as_many_alone_as_it_should(void **state)
{
    (void)state;
    enum { N = 20000 };
    imgio_image in = noise_image(24, 24);
    datasets_augmentation a = datasets_augmentation_default(24, 24);
    a.policy = DATASETS_POLICY_CIFAR10;
    size_t unchanged = 0;
    for (uint64_t i = 0; i < N; i++) {
        imgio_image out = augment(&in, &a, i);
        unchanged += same_pixels(&in, &out);
        imgio_image_free(&out);
    }
    /* The mean over pairs of (1 - p) (1 - q), as far as they change something: Color of level 0
     * does not. */
    double expected = 0;
    for (int i = 0; i < DATASETS_POLICY_CIFAR10_PAIRS; i++) {
        double stays = 1.0 / DATASETS_POLICY_CIFAR10_PAIRS;
        for (int k = 0; k < 2; k++) {
            const datasets_policy_step *step = &datasets_policy_cifar10[i][k];
            if (step->operation != DATASETS_COLOUR || step->level > 0)
                stays *= 1 - step->probability;
        }
        expected += stays;
    }
    assert_true(fabs((double)unchanged / N - expected) < 5 * sqrt(expected * (1 - expected) / N));
    imgio_image_free(&in);
}

/* ---- the same everywhere ---- */

static datasets_augmentation everything(void)
{
    datasets_augmentation a = datasets_augmentation_default(48, 40);
    a.crop = DATASETS_CROP_RESIZED;
    a.any_filter = true;
    a.flip = a.soften = a.blur = a.sharpen = 0.5;
    a.brightness = a.contrast = a.saturation = 0.4;
    a.hue = 0.1;
    a.policy = DATASETS_POLICY_RANDAUGMENT;
    a.policy_bilinear = true;
    a.fill[0] = a.fill[1] = a.fill[2] = 128;
    return a;
}

/* Over 200 pictures; a change of these numbers makes other runs of all that were ever made. */
static void pictures_are_the_same_on_every_machine(void **state)
{
    (void)state;
    imgio_image in = noise_image(70, 50);
    datasets_augmentation all = everything(), cifar = datasets_augmentation_default(32, 32);
    cifar.crop = DATASETS_CROP_PADDED;
    cifar.flip = 0.5;
    cifar.policy = DATASETS_POLICY_CIFAR10;
    uint64_t hash = 0;
    for (uint64_t i = 0; i < 200; i++) {
        imgio_image out = augment(&in, i % 2 ? &all : &cifar, i);
        hash = vitc_hash_bytes(out.pixels, (size_t)out.width * out.height * 3, hash).low;
        imgio_image_free(&out);
    }
    imgio_image_free(&in);
    if (hash != PICTURES_HASH) fail_msg("0x%016llx", (unsigned long long)hash);
}

static void each_image_and_epoch_is_another_picture(void **state)
{
    (void)state;
    imgio_image in = noise_image(40, 40), again, pictures[4];
    const datasets_augmentation a = everything();
    static const struct {
        uint64_t seed;
        uint32_t epoch;
        uint64_t index;
    } keys[4] = {{1, 0, 0}, {2, 0, 0}, {1, 1, 0}, {1, 0, 1}};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(datasets_augment_image(&pictures[i], &in, &a, keys[i].seed, keys[i].epoch,
                                                keys[i].index, NULL),
                         VITC_OK);
        assert_int_equal(datasets_augment_image(&again, &in, &a, keys[i].seed, keys[i].epoch,
                                                keys[i].index, NULL),
                         VITC_OK);
        assert_true(same_pixels(&pictures[i], &again));
        imgio_image_free(&again);
        for (int j = 0; j < i; j++) assert_false(same_pixels(&pictures[i], &pictures[j]));
    }
    for (int i = 0; i < 4; i++) imgio_image_free(&pictures[i]);
    imgio_image_free(&in);
}

/* ---- refusals ---- */

static void bad_numbers_are_named(void **state)
{
    (void)state;
    static const double values[] = {NAN, -1, 1e9, INFINITY};
    const datasets_augmentation good = everything();
    datasets_augmentation bad = good;
    double *const fields[] = {&bad.crop_scale[0],
                              &bad.crop_scale[1],
                              &bad.crop_ratio[0],
                              &bad.crop_ratio[1],
                              &bad.flip,
                              &bad.soften,
                              &bad.soften_scale,
                              &bad.blur,
                              &bad.blur_sigma[0],
                              &bad.blur_sigma[1],
                              &bad.sharpen,
                              &bad.sharpen_most,
                              &bad.brightness,
                              &bad.contrast,
                              &bad.saturation,
                              &bad.hue,
                              &bad.policy_magnitude,
                              &bad.erase,
                              &bad.erase_scale[0],
                              &bad.erase_scale[1],
                              &bad.erase_ratio[0],
                              &bad.erase_ratio[1]};
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            log_recorder r;
            const vitc_log log = log_recorder_start(&r);
            bad = good;
            *fields[f] = values[v];
            assert_int_equal(datasets_augmentation_check(&bad, &log), VITC_ERR_ARGUMENT);
            assert_int_equal(r.messages, 1);
            assert_non_null(strstr(r.last, "augmentation: "));
        }
    datasets_augmentation kinds[7];
    for (size_t i = 0; i < 7; i++) kinds[i] = good;
    kinds[0].width = 0;
    kinds[1].height = 5000;
    kinds[2].crop = (datasets_crop)3;
    kinds[3].policy = (datasets_policy)3;
    kinds[4].filter = (imgio_filter)9;
    kinds[5].policy_operations = 101;
    kinds[6].pad = 5000;
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(datasets_augmentation_check(&kinds[i], NULL), VITC_ERR_ARGUMENT);
    imgio_image empty = {0}, out;
    assert_int_equal(datasets_augment_image(&out, &empty, &good, 1, 0, 0, NULL), VITC_ERR_ARGUMENT);
    assert_null(out.pixels);
}

static vitc_status augment_some(void *user)
{
    const datasets_augmentation a = everything();
    for (uint64_t i = 0; i < 12; i++) {
        imgio_image out;
        const vitc_status status = datasets_augment_image(&out, user, &a, 1, 0, i, NULL);
        if (status != VITC_OK) assert_null(out.pixels);
        imgio_image_free(&out);
        if (status != VITC_OK) return status;
    }
    return VITC_OK;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    if (!MALLOC_FAIL_AVAILABLE) skip();
    imgio_image in = noise_image(40, 30);
    const long failed = malloc_fail_each(augment_some, &in);
    imgio_image_free(&in);
    assert_true(failed >= 30);
}

static void shuffles_depend_on_seed_and_epoch(void **state)
{
    (void)state;
    enum { N = 100 };
    uint32_t orders[3][N];
    datasets_shuffle(orders[0], N, 1, 0);
    datasets_shuffle(orders[1], N, 1, 1);
    datasets_shuffle(orders[2], N, 2, 0);
    for (int i = 0; i < 3; i++) {
        uint32_t again[N], sum = 0;
        datasets_shuffle(again, N, i == 2 ? 2 : 1, i == 1);
        assert_memory_equal(again, orders[i], sizeof again);
        for (int k = 0; k < N; k++) sum += orders[i][k];
        assert_int_equal(sum, N * (N - 1) / 2);
        for (int j = 0; j < i; j++) assert_true(memcmp(orders[i], orders[j], sizeof again) != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_are_torchvisions),
        cmocka_unit_test(strengths_are_torchvisions),
        cmocka_unit_test(cifar_policy_is_the_published_one),
        cmocka_unit_test(blur_is_gaussian),
        cmocka_unit_test(flip_is_a_mirror),
        cmocka_unit_test(default_only_resizes),
        cmocka_unit_test(padded_crops_come_from_all_places),
        cmocka_unit_test(large_pictures_are_shifted_by_pixels_of_the_result),
        cmocka_unit_test(reflected_padding_is_numpys),
        cmocka_unit_test(resized_crops_have_the_range_of_sizes_and_shapes),
        cmocka_unit_test(crops_that_never_fit_fall_back_to_the_middle),
        cmocka_unit_test(detail_goes_both_ways),
        cmocka_unit_test(jitter_stays_in_its_range),
        cmocka_unit_test(policies_choose_evenly),
        cmocka_unit_test(cifar_policy_leaves_as_many_alone_as_it_should),
        cmocka_unit_test(pictures_are_the_same_on_every_machine),
        cmocka_unit_test(each_image_and_epoch_is_another_picture),
        cmocka_unit_test(bad_numbers_are_named),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(shuffles_depend_on_seed_and_epoch)};
    return cmocka_run_group_tests_name("augment", tests, NULL, NULL);
}
