/* Models for enlarged images: imgio's resizing as a matrix, kernels that undo it, and the logits of
 * both models on the same photo. */
#include <math.h>

#include "test_malloc_fail.h"
#include "vit_enlarge.h"
#include "vit_weights_support.h"
#include "vitc_inverse.h"

/* ---- resizing as a matrix ---- */

static const imgio_filter all_filters[] = {IMGIO_NEAREST, IMGIO_LANCZOS, IMGIO_BILINEAR,
                                           IMGIO_BICUBIC, IMGIO_BOX,     IMGIO_HAMMING};
enum { FILTERS = sizeof all_filters / sizeof all_filters[0] };

/* m[out][in], malloc'd. */
static double *resize_matrix(uint32_t in, uint32_t out, imgio_filter filter)
{
    double *m = calloc((size_t)out * in, sizeof *m);
    double *weights = calloc(imgio_resize_taps(in, out, filter), sizeof *weights);
    assert_non_null(m);
    assert_non_null(weights);
    for (uint32_t o = 0; o < out; o++) {
        uint32_t first = 0;
        const uint32_t count = imgio_resize_weights(weights, &first, in, out, o, filter);
        assert_true(count >= 1 && count <= imgio_resize_taps(in, out, filter));
        assert_true(first + count <= in);
        double sum = 0;
        for (uint32_t i = 0; i < count; i++) {
            m[o * in + first + i] = weights[i];
            sum += weights[i];
        }
        assert_true(fabs(sum - 1) < 1e-12);
    }
    free(weights);
    return m;
}

/* The matrix is what imgio_resize does to the levels of a row and of a column of pixels. */
static void matrices_are_imgios(void **unused)
{
    (void)unused;
    static const uint32_t sizes[][2] = {{8, 32}, {32, 128}, {5, 15},   {7, 49}, {32, 33},
                                        {3, 2},  {50, 13},  {128, 32}, {1, 9},  {9, 1}};
    size_t compared = 0;
    for (int f = 0; f < FILTERS; f++)
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
            for (int down = 0; down < 2; down++) {
                const uint32_t n = sizes[s][0], to = sizes[s][1];
                double *m = resize_matrix(n, to, all_filters[f]);
                imgio_image in, out;
                assert_int_equal(imgio_image_create(&in, down ? 1 : n, down ? n : 1, NULL),
                                 VITC_OK);
                for (uint32_t i = 0; i < n; i++)
                    for (uint32_t c = 0; c < 3; c++)
                        in.pixels[3 * i + c] = (uint8_t)((i * 89 + i * i * 31 + c * 57) % 256);
                assert_int_equal(imgio_resize(&out, &in, down ? 1 : to, down ? to : 1,
                                              all_filters[f], IMGIO_ORDER_PILLOW13, NULL),
                                 VITC_OK);
                for (uint32_t o = 0; o < to; o++)
                    for (uint32_t c = 0; c < 3; c++) {
                        double level = 0;
                        for (uint32_t i = 0; i < n; i++)
                            level += m[o * n + i] * in.pixels[3 * i + c];
                        level = fmin(fmax(level, 0), 255);
                        /* half a level of rounding, and that of the fixed-point weights */
                        assert_true(fabs(level - out.pixels[3 * o + c]) <= 0.5 + 1e-3);
                        compared++;
                    }
                imgio_image_free(&in);
                imgio_image_free(&out);
                free(m);
            }
    assert_true(compared > 10000);
}

/* ---- kernels ---- */

static double random_number(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) * 0x1p-52 - 1;
}

/* c[rows][columns] = a[rows][n] b[n][columns], or b[columns][n]' */
static void multiply(double *c, const double *a, const double *b, size_t rows, size_t n,
                     size_t columns, bool transposed)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            double sum = 0;
            for (size_t k = 0; k < n; k++)
                sum += a[i * n + k] * (transposed ? b[j * n + k] : b[k * columns + j]);
            c[i * columns + j] = sum;
        }
}

static double *doubles(size_t count)
{
    double *values = calloc(count, sizeof *values);
    assert_non_null(values);
    return values;
}

/* Largest differences between what a kernel reads on a picture and what its enlarged form reads on
 * the enlarged picture, as shares of the largest. */
typedef struct kernel_errors {
    double inside, border;
    double blind; /* what the enlarged form reads of a picture that no enlarging could have made */
} kernel_errors;

/* What is left of x [big] after its part in the columns of b [big][n] is taken away. */
static void make_orthogonal(double *x, const double *b, size_t big, size_t n)
{
    double *inverse = doubles(n * big), *s = doubles(n);
    assert_true(vitc_pseudo_inverse(inverse, b, big, n, 1e-10));
    multiply(s, inverse, x, n, big, 1, false);
    for (size_t i = 0; i < big; i++)
        for (size_t k = 0; k < n; k++) x[i] -= b[i * n + k] * s[k];
    free(inverse);
    free(s);
}

static kernel_errors measure_kernel(uint32_t patch, uint32_t factor, imgio_filter filter,
                                    const double *t)
{
    enum { GRID = 11 };
    const size_t side = (size_t)patch * GRID, big = (size_t)patch * factor, bigs = big * GRID;
    uint64_t state = patch * 100 + factor;
    double *picture = doubles(side * side), *half = doubles(bigs * side),
           *enlarged = doubles(bigs * bigs), *w = doubles((size_t)patch * patch),
           *tw = doubles(big * patch), *w2 = doubles(big * big);
    double *m = resize_matrix((uint32_t)side, (uint32_t)bigs, filter);
    for (size_t i = 0; i < side * side; i++) picture[i] = random_number(&state);
    for (size_t i = 0; i < (size_t)patch * patch; i++) w[i] = random_number(&state);
    multiply(half, m, picture, bigs, side, side, false);
    multiply(enlarged, half, m, bigs, side, bigs, true);
    multiply(tw, t, w, big, patch, patch, false);
    multiply(w2, tw, t, big, patch, big, true);
    kernel_errors errors = {0};
    double largest = 0;
    for (size_t gy = 0; gy < GRID; gy++)
        for (size_t gx = 0; gx < GRID; gx++) {
            double before = 0, after = 0;
            for (size_t i = 0; i < patch; i++)
                for (size_t j = 0; j < patch; j++)
                    before += w[i * patch + j] * picture[(gy * patch + i) * side + gx * patch + j];
            for (size_t i = 0; i < big; i++)
                for (size_t j = 0; j < big; j++)
                    after += w2[i * big + j] * enlarged[(gy * big + i) * bigs + gx * big + j];
            /* filters reach 4 pixels at most, which are 4 patches where a patch has 1 */
            const size_t reach = (4 + patch - 1) / patch;
            const bool inside =
                gy >= reach && gy < GRID - reach && gx >= reach && gx < GRID - reach;
            double *error = inside ? &errors.inside : &errors.border;
            *error = fmax(*error, fabs(after - before));
            largest = fmax(largest, fabs(before));
        }
    errors.inside /= largest;
    errors.border /= largest;

    /* A column of pixels that is orthogonal to all that enlarging makes of the middle patch, and
     * any numbers across. */
    double *fine = doubles(big), size = 0;
    for (size_t i = 0; i < big; i++) fine[i] = random_number(&state);
    make_orthogonal(fine, m + GRID / 2 * big * side, big, side);
    for (size_t j = 0; j < big; j++) {
        double sum = 0;
        for (size_t i = 0; i < big; i++) sum += w2[i * big + j] * fine[i];
        errors.blind = fmax(errors.blind, fabs(sum));
    }
    for (size_t i = 0; i < big; i++) size = fmax(size, fabs(fine[i]));
    if (big > patch + 8) assert_true(size > 0.01); /* more than its pixels: there is such detail */
    free(picture);
    free(half);
    free(enlarged);
    free(w);
    free(tw);
    free(w2);
    free(m);
    free(fine);
    return errors;
}

static void kernels_undo_enlarging(void **unused)
{
    (void)unused;
    static const uint32_t patches[] = {1, 2, 3, 4, 7, 8}, factors[] = {2, 3, 4, 5};
    enum { PATCHES = sizeof patches / sizeof patches[0] };
    size_t exact = 0, refused = 0;
    for (int f = 0; f < FILTERS; f++)
        for (size_t p = 0; p < PATCHES; p++)
            for (size_t k = 0; k < sizeof factors / sizeof factors[0]; k++) {
                message_log messages;
                const vitc_log log = message_log_start(&messages);
                const imgio_filter filter = all_filters[f];
                double *t;
                const vitc_status status =
                    vit_enlarge_matrix(&t, patches[p], factors[k], filter, &log);
                if (status != VITC_OK) {
                    assert_status(status, VITC_ERR_ARGUMENT, &messages);
                    assert_says(&messages, imgio_filter_string(filter));
                    assert_null(t);
                    /* only where fewer pixels come out than the filter mixes */
                    assert_true(factors[k] == 2 || (factors[k] == 4 && patches[p] == 1));
                    assert_true(filter != IMGIO_NEAREST && filter != IMGIO_BOX);
                    refused++;
                    continue;
                }
                const kernel_errors errors = measure_kernel(patches[p], factors[k], filter, t);
                if (patches[p] == 4 && factors[k] == 4)
                    printf("%s, 4x4 to 16x16: %.1g inside, %.1g at borders\n",
                           imgio_filter_string(filter), errors.inside, errors.border);
                assert_true(errors.inside <= 1e-12);
                assert_true(errors.border <= 0.5);
                assert_true(errors.blind <= 1e-12);
                /* where at most one pixel beyond the edge is reached, its neighbour stands for it
                 */
                if (filter != IMGIO_BICUBIC && filter != IMGIO_LANCZOS)
                    assert_true(errors.border <= 1e-12);
                free(t);
                exact++;
            }
    assert_int_equal(exact + refused, FILTERS * PATCHES * 4);
    assert_true(exact > 120);
    assert_true(refused > 6); /* bicubic with factor 2 among them */
}

/* ---- models ---- */

static void set_spec(vit_weights *weights)
{
    weights->description.preprocess = (patches_spec){.resize = PATCHES_RESIZE_EXACT,
                                                     .resize_height = weights->config.image_height,
                                                     .resize_width = weights->config.image_width,
                                                     .filter = IMGIO_BICUBIC,
                                                     .rescale = 1 / 255.0,
                                                     .normalize = true,
                                                     .mean = {0.49f, 0.48f, 0.45f},
                                                     .std = {0.25f, 0.24f, 0.26f}};
}

/* A model of 32 x 32 pixels with patches of 4 x 4 that answers differently to different images. */
static vit_weights small_model(void)
{
    vit_config config;
    vit_weights weights;
    uint64_t state = 3;
    assert_int_equal(vit_config_named(&config, "testing", NULL), VITC_OK);
    config.patch = 4;
    config.pool = VIT_POOL_AVG;
    assert_int_equal(vit_weights_create(&weights, &config, NULL), VITC_OK);
    for (size_t i = 0; i < weights.table.count; i++) {
        const vit_param *param = &weights.table.params[i];
        const bool gain = strstr(param->name, "norm") != NULL && strstr(param->name, "weight");
        const double scale = param->kind == VIT_PARAM_MATRIX
                                 ? 1.5 / sqrt((double)(param->count / param->shape[0]))
                                 : 0.2;
        for (size_t k = 0; k < param->count; k++)
            weights.parameters[param->offset + k] =
                (float)(scale * random_number(&state) + (gain ? 1 : 0));
    }
    set_spec(&weights);
    return weights;
}

/* Logits of the golden photos, each first resized to 32 x 32. */
enum { PHOTOS = 6 };
static float *run_model(const vit_weights *weights)
{
    static const char *const names[PHOTOS] = {"cat_progressive.jpg", "spoon_rgba.png",
                                              "launch_lossy.webp",   "eye_animated.gif",
                                              "astronaut.bmp",       "astronaut_exif6.jpg"};
    const uint32_t classes = weights->config.classes;
    float *logits = calloc((size_t)PHOTOS * classes, sizeof *logits);
    vit_model *model;
    vit_classifier *classifier;
    assert_non_null(logits);
    assert_int_equal(vit_weights_model(&model, weights, VIT_PRECISION_F32, NULL), VITC_OK);
    assert_int_equal(vit_classifier_create(&classifier, model, NULL, NULL), VITC_OK);
    for (size_t i = 0; i < PHOTOS; i++) {
        char path[512];
        imgio_image photo, small;
        vit_output output;
        snprintf(path, sizeof path, VITC_GOLDEN_DIR "/photos/%s", names[i]);
        assert_int_equal(imgio_decode_file(&photo, path, NULL, NULL), VITC_OK);
        assert_int_equal(
            imgio_resize(&small, &photo, 32, 32, IMGIO_BICUBIC, IMGIO_ORDER_PILLOW13, NULL),
            VITC_OK);
        const vit_input input = {.image = &small};
        assert_int_equal(vit_classify(classifier, &output, &input, 1, NULL), VITC_OK);
        assert_int_equal(output.status, VITC_OK);
        memcpy(logits + i * classes, output.logits, classes * sizeof *logits);
        imgio_image_free(&photo);
        imgio_image_free(&small);
    }
    vit_classifier_free(classifier);
    vit_model_free(model);
    return logits;
}

/* max |difference| / max |logit| over the photos of a model and its enlarged form */
static double logit_error(uint32_t factor, imgio_filter filter)
{
    vit_weights weights = small_model();
    const size_t count = (size_t)PHOTOS * weights.config.classes;
    float *before = run_model(&weights);
    assert_int_equal(vit_weights_enlarge(&weights, factor, filter, NULL), VITC_OK);
    assert_int_equal(weights.config.patch, 4 * factor);
    assert_int_equal(weights.config.image_height, 32 * factor);
    assert_int_equal(weights.config.image_width, 32 * factor);
    assert_int_equal(weights.description.preprocess.resize_height, 32 * factor);
    assert_int_equal(weights.description.preprocess.filter, filter);
    float *after = run_model(&weights);
    double worst = 0, largest = 0, spread = 0;
    for (size_t i = 0; i < count; i++) {
        worst = fmax(worst, fabs((double)after[i] - (double)before[i]));
        largest = fmax(largest, fabs((double)before[i]));
        spread = fmax(spread, fabs((double)(before[i] - before[i % weights.config.classes])));
    }
    printf("%s, factor %u: logits differ by %.2g of the largest\n", imgio_filter_string(filter),
           factor, worst / largest);
    assert_true(spread > 0.05 * largest); /* photos are not all the same to it */
    free(before);
    free(after);
    vit_weights_free(&weights);
    return worst / largest;
}

static void models_answer_as_before(void **unused)
{
    (void)unused;
    /* Nothing is rounded by nearest; the others round to 8 bits and are exact inside only. */
    assert_true(logit_error(4, IMGIO_NEAREST) < 1e-5);
    assert_true(logit_error(3, IMGIO_NEAREST) < 1e-5);
    assert_true(logit_error(4, IMGIO_BILINEAR) < 0.02);
    assert_true(logit_error(4, IMGIO_BICUBIC) < 0.02);
    assert_true(logit_error(3, IMGIO_BICUBIC) < 0.02);
}

static void everything_else_stays(void **unused)
{
    (void)unused;
    vit_weights before = small_model(), weights = small_model();
    assert_int_equal(vit_weights_set_card(&weights, "{\"license\": \"mit\"}", NULL), VITC_OK);
    weights.config.temperature = 1.5f;
    weights.description.preprocess.crop = true; /* 36 to 32 pixels */
    weights.description.preprocess.crop_height = weights.description.preprocess.crop_width = 32;
    weights.description.preprocess.resize_height = weights.description.preprocess.resize_width = 36;
    assert_int_equal(vit_weights_enlarge(&weights, 4, IMGIO_BICUBIC, NULL), VITC_OK);
    assert_int_equal(weights.description.preprocess.resize_width, 144);
    assert_int_equal(weights.description.preprocess.crop_width, 128);
    assert_true(weights.config.temperature == 1.5f);
    assert_string_equal(weights.description.license, "mit");
    assert_int_equal(weights.table.count, before.table.count);
    for (size_t i = 0; i < weights.table.count; i++) {
        const vit_param *a = &weights.table.params[i], *b = &before.table.params[i];
        if (a->id == VIT_PATCH_WEIGHT) continue;
        assert_int_equal(a->count, b->count);
        assert_memory_equal(weights.parameters + a->offset, before.parameters + b->offset,
                            a->count * sizeof(float));
    }
    vit_weights_free(&before);
    vit_weights_free(&weights);
}

/* ---- what is refused ---- */

static void expect_refused(vit_weights *weights, uint32_t factor, imgio_filter filter,
                           vitc_status status, const char *says)
{
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    const vit_config before = weights->config;
    const patches_spec spec = weights->description.preprocess;
    assert_status(vit_weights_enlarge(weights, factor, filter, &log), status, &messages);
    assert_int_equal(messages.errors, 1);
    assert_says(&messages, says);
    assert_int_equal(weights->config.patch, before.patch);
    assert_int_equal(weights->config.image_width, before.image_width);
    assert_int_equal(weights->description.preprocess.resize_height, spec.resize_height);
    assert_int_equal(weights->description.preprocess.resize_width, spec.resize_width);
    assert_int_equal(weights->description.preprocess.filter, spec.filter);
}

static void refusals(void **unused)
{
    (void)unused;
    vit_weights weights = small_model();
    expect_refused(&weights, 0, IMGIO_NEAREST, VITC_ERR_ARGUMENT, "from 2 on");
    expect_refused(&weights, 1, IMGIO_NEAREST, VITC_ERR_ARGUMENT, "from 2 on");
    expect_refused(&weights, 2, (imgio_filter)6, VITC_ERR_ARGUMENT, "6 is not a filter");
    expect_refused(&weights, 2, IMGIO_BICUBIC, VITC_ERR_ARGUMENT, "bicubic enlarges 2 times");
    expect_refused(&weights, 3000, IMGIO_NEAREST, VITC_ERR_ARGUMENT, "65535 pixels");
    expect_refused(&weights, UINT32_MAX, IMGIO_NEAREST, VITC_ERR_ARGUMENT, "65535 pixels");
    expect_refused(&weights, 1000, IMGIO_NEAREST, VITC_ERR_MODEL, "32000");
    weights.description.preprocess.resize = PATCHES_RESIZE_NONE;
    expect_refused(&weights, 2, IMGIO_NEAREST, VITC_ERR_PREPROCESS, "does not resize");
    vit_weights_free(&weights);
}

static vitc_status enlarge_once(void *user)
{
    const vit_weights *from = user;
    vit_weights weights;
    vitc_status status = vit_weights_create(&weights, &from->config, NULL);
    if (status != VITC_OK) return status;
    set_spec(&weights);
    status = vit_weights_enlarge(&weights, 4, IMGIO_BICUBIC, NULL);
    if ((weights.config.patch == 16) != (status == VITC_OK)) status = VITC_ERR_INTERNAL;
    vit_weights_free(&weights);
    return status;
}

static void survives_without_memory(void **unused)
{
    (void)unused;
    if (!MALLOC_FAIL_AVAILABLE) skip();
    vit_weights weights = small_model();
    assert_true(malloc_fail_each(enlarge_once, &weights) > 8);
    vit_weights_free(&weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrices_are_imgios),
        cmocka_unit_test(kernels_undo_enlarging),
        cmocka_unit_test(models_answer_as_before),
        cmocka_unit_test(everything_else_stays),
        cmocka_unit_test(refusals),
        cmocka_unit_test(survives_without_memory),
    };
    return cmocka_run_group_tests_name("enlarging", tests, NULL, NULL);
}
