/* Batches to train on: the same numbers as its steps give one by one, however an epoch is cut and
 * whoever makes them; and what bad images get. */
#include <math.h>

#include "test_datasets_pictures.h"
#include "test_malloc_fail.h"
#include "vitc_log.h"
#include "vitc_random.h"

enum { CLASSES = 5, SIDE = 12, PATCH = 4, GRID = SIDE / PATCH, ROW = 3 * PATCH * PATCH };
enum { IMAGE = GRID * GRID * ROW, STRIDE = IMAGE + 7, TARGETS = CLASSES, MOST = 32 };

/* Everything that can be done is done to some of the images. */
static datasets_feed_options make_options(int threads)
{
    datasets_feed_options options = {
        .augmentation = datasets_augmentation_default(SIDE, SIDE),
        .mixing = datasets_mixing_default(),
        .smoothing = 0.1,
        .seed = 77,
        .patch = PATCH,
        .classes = CLASSES,
        .preprocess = {.rescale = 1.0 / 255,
                       .normalize = true,
                       .bgr = true,
                       .mean = {0.4F, 0.5F, 0.6F},
                       .std = {0.2F, 0.25F, 0.3F}},
        .decode = imgio_decode_options_default(),
        .threads = threads,
    };
    options.augmentation.crop = DATASETS_CROP_RESIZED;
    options.augmentation.flip = 0.5;
    options.augmentation.policy = DATASETS_POLICY_RANDAUGMENT;
    options.augmentation.erase = 0.4;
    options.augmentation.erase_noise = true;
    options.mixing.probability = 0.7;
    return options;
}

static datasets_index *make_index(const char *path)
{
    const datasets_options options = datasets_options_default();
    datasets_index *index;
    uint64_t bad;
    assert_int_equal(datasets_index_create(&index, &path, 1, &options, 0, &bad, NULL, NULL, NULL),
                     VITC_OK);
    assert_int_equal(bad, 0);
    return index;
}

static datasets_feed *make_feed(const datasets_index *index, const datasets_feed_options *options)
{
    datasets_feed *feed;
    assert_int_equal(datasets_feed_create(&feed, index, options, NULL), VITC_OK);
    return feed;
}

/* `count` pictures in class folders, in the order of their numbers. */
static void put_set(const char *folder, size_t count)
{
    char path[128];
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/class%zu/%zu.png", folder, i * CLASSES / count, i);
        picture_put(path, i);
    }
}

/* ---- an epoch, and what it should be ---- */

typedef struct epoch_numbers {
    size_t count;
    float rows[MOST][IMAGE], targets[MOST][TARGETS];
} epoch_numbers;

static bool is_good(const datasets_index *index, const datasets_feed_options *options, size_t which)
{
    imgio_image image;
    if (datasets_index_image(&image, index, which, &options->decode, NULL) != VITC_OK) return false;
    imgio_image_free(&image);
    return true;
}

/* What stands in for a bad image: of its class, or of all (-1), eight are drawn, and then all
 * follow the last of these. */
static bool find_stand_in(size_t *used, const datasets_index *index,
                          const datasets_feed_options *options, int64_t label, vitc_random *random)
{
    size_t some[MOST], count = 0, place = 0;
    for (size_t i = 0; i < datasets_index_count(index); i++)
        if (label < 0 || datasets_index_label(index, i) == label) some[count++] = i;
    for (size_t i = 0; i < 8 + count; i++) {
        place = i < 8 ? vitc_random_below(random, count) : (place + 1) % count;
        *used = some[place];
        if (is_good(index, options, *used)) return true;
    }
    return false;
}

/* One image of an epoch by the functions that datasets.h names. */
static void reference_image(epoch_numbers *all, size_t at, const datasets_index *index,
                            const datasets_feed_options *options, uint32_t epoch, size_t which)
{
    const datasets_rows layout = {GRID, GRID, PATCH, ROW};
    imgio_image image, picture;
    patches_levels levels;
    size_t used = which;
    vitc_random random = vitc_random_start(options->seed, VITC_RANDOM_STAND_IN, epoch, which);
    if (!is_good(index, options, which) &&
        !find_stand_in(&used, index, options, datasets_index_label(index, which), &random))
        assert_true(find_stand_in(&used, index, options, -1, &random));
    assert_int_equal(datasets_index_image(&image, index, used, &options->decode, NULL), VITC_OK);
    assert_int_equal(datasets_augment_image(&picture, &image, &options->augmentation, options->seed,
                                            epoch, which, NULL),
                     VITC_OK);
    patches_levels_init(&levels, &options->preprocess);
    assert_int_equal(patches_extract_image(all->rows[at], ROW, &picture, PATCH, &levels, NULL),
                     VITC_OK);
    datasets_erase_rows(all->rows[at], &layout, &options->augmentation, options->seed, epoch,
                        which);
    datasets_targets_fill(all->targets[at], CLASSES, datasets_index_label(index, used),
                          options->smoothing);
    imgio_image_free(&image);
    imgio_image_free(&picture);
}

static epoch_numbers *reference_epoch(const datasets_index *index,
                                      const datasets_feed_options *options, uint32_t epoch)
{
    const datasets_rows layout = {GRID, GRID, PATCH, ROW};
    uint32_t order[MOST];
    epoch_numbers *all = calloc(1, sizeof *all);
    assert_non_null(all);
    all->count = datasets_index_count(index);
    assert_true(all->count <= MOST);
    datasets_shuffle(order, all->count, options->seed, epoch);
    for (size_t i = 0; i < all->count; i++)
        reference_image(all, i, index, options, epoch, order[i]);
    for (size_t pair = 0; pair < all->count / 2; pair++)
        datasets_mix_pair(all->rows[2 * pair], all->rows[2 * pair + 1], all->targets[2 * pair],
                          all->targets[2 * pair + 1], &layout, CLASSES, &options->mixing,
                          options->seed, epoch, pair);
    return all;
}

/* Takes images from `from` on out of the feed and compares them; nothing else is written to. */
static void assert_batch(const epoch_numbers *expected, datasets_feed *feed, uint32_t epoch,
                         size_t from, size_t count, const vitc_log *log)
{
    const float nobody = -12345;
    float *rows = malloc((count + 1) * STRIDE * sizeof *rows);
    float *targets = malloc((count + 1) * TARGETS * sizeof *targets);
    assert_true(rows != NULL && targets != NULL);
    for (size_t i = 0; i < (count + 1) * STRIDE; i++) rows[i] = nobody;
    for (size_t i = 0; i < (count + 1) * TARGETS; i++) targets[i] = nobody;
    assert_int_equal(
        datasets_feed_batch(feed, rows, STRIDE, targets, epoch, from, (uint32_t)count, log),
        VITC_OK);
    for (size_t b = 0; b < count; b++) {
        assert_memory_equal(rows + b * STRIDE, expected->rows[from + b], sizeof expected->rows[0]);
        assert_memory_equal(targets + b * TARGETS, expected->targets[from + b],
                            sizeof expected->targets[0]);
        for (size_t i = IMAGE; i < STRIDE; i++) assert_true(rows[b * STRIDE + i] == nobody);
    }
    for (size_t i = 0; i < STRIDE; i++) assert_true(rows[count * STRIDE + i] == nobody);
    for (size_t i = 0; i < TARGETS; i++) assert_true(targets[count * TARGETS + i] == nobody);
    free(rows);
    free(targets);
}

/* The whole epoch in batches of `size`. */
static void assert_epoch(const epoch_numbers *expected, datasets_feed *feed, uint32_t epoch,
                         size_t size, const vitc_log *log)
{
    for (size_t from = 0; from < expected->count; from += size) {
        const size_t left = expected->count - from;
        assert_batch(expected, feed, epoch, from, left < size ? left : size, log);
    }
}

/* ---- good images ---- */

static void batches_are_the_same_however_they_are_cut(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 11, 20}, sizes[] = {2, 6, 8, 32};
    static const int threads[] = {1, 2, 5};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        char folder[32];
        snprintf(folder, sizeof folder, "set%zu", c);
        put_set(folder, counts[c]);
        datasets_index *index = make_index(folder);
        const datasets_feed_options options = make_options(1);
        epoch_numbers *expected[2] = {reference_epoch(index, &options, 0),
                                      reference_epoch(index, &options, 9)};
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++)
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
                const datasets_feed_options same = make_options(threads[t]);
                datasets_feed *feed = make_feed(index, &same);
                assert_epoch(expected[1], feed, 9, sizes[s], NULL);
                assert_epoch(expected[0], feed, 0, sizes[s], NULL);
                assert_epoch(expected[1], feed, 9, sizes[s], NULL);
                assert_int_equal(datasets_feed_bad(feed), 0);
                datasets_feed_free(feed);
            }
        free(expected[0]);
        free(expected[1]);
        datasets_index_free(index);
    }
}

/* As two machines would: each takes every second batch; and from the middle, as after a resume. */
static void batches_may_be_left_out(void **state)
{
    (void)state;
    put_set("set", 23);
    datasets_index *index = make_index("set");
    const datasets_feed_options options = make_options(2);
    epoch_numbers *expected = reference_epoch(index, &options, 3);
    for (size_t machine = 0; machine < 2; machine++) {
        datasets_feed *feed = make_feed(index, &options);
        for (size_t from = 4 * machine; from < 23; from += 8)
            assert_batch(expected, feed, 3, from, 23 - from < 4 ? 23 - from : 4, NULL);
        assert_batch(expected, feed, 3, 2, 0, NULL);
        assert_batch(expected, feed, 3, 22, 1, NULL);
        datasets_feed_free(feed);
    }
    free(expected);
    datasets_index_free(index);
}

/* That the chances of make_options do something, and the odd last image is never mixed. */
static void pairs_are_mixed_and_odd_ends_are_not(void **state)
{
    (void)state;
    enum { COUNT = 11 };
    put_set("set", COUNT);
    datasets_index *index = make_index("set");
    datasets_feed_options mixing = make_options(2), plain = make_options(2);
    mixing.mixing.probability = 1;
    plain.mixing.probability = 0;
    epoch_numbers *a = reference_epoch(index, &mixing, 4), *b = reference_epoch(index, &plain, 4);
    datasets_feed *feed = make_feed(index, &mixing);
    assert_epoch(a, feed, 4, 4, NULL);
    size_t mixed = 0;
    for (size_t i = 0; i < COUNT - 1; i++)
        mixed += memcmp(a->rows[i], b->rows[i], sizeof a->rows[i]) != 0;
    assert_true(mixed >= COUNT / 2);
    assert_memory_equal(a->rows[COUNT - 1], b->rows[COUNT - 1], sizeof a->rows[0]);
    assert_memory_equal(a->targets[COUNT - 1], b->targets[COUNT - 1], sizeof a->targets[0]);
    datasets_feed_mix(feed, false);
    assert_epoch(b, feed, 4, 4, NULL);
    datasets_feed_mix(feed, true);
    assert_epoch(a, feed, 4, 4, NULL);
    datasets_feed_free(feed);
    free(a);
    free(b);
    datasets_index_free(index);
}

/* The same images in the same order, from wherever: files, tar files plain and compressed. */
static void all_kinds_of_sets_feed_the_same(void **state)
{
    (void)state;
    enum { COUNT = 15 };
    static const char *const tars[] = {"set.tar", "set.tgz"};
    put_set("set", COUNT);
    const datasets_feed_options options = make_options(2);
    datasets_index *index = make_index("set");
    epoch_numbers *expected = reference_epoch(index, &options, 0);
    datasets_index_free(index);
    for (size_t t = 0; t < 2; t++) {
        bytes tar = {0};
        char name[64];
        for (size_t i = 0; i < COUNT; i++) {
            snprintf(name, sizeof name, "class%zu/%zu.png", i * CLASSES / COUNT, i);
            picture_add(&tar, name, i);
        }
        put_tar(tars[t], &tar);
        index = make_index(tars[t]);
        datasets_feed *feed = make_feed(index, &options);
        assert_epoch(expected, feed, 0, 4, NULL);
        datasets_feed_free(feed);
        datasets_index_free(index);
    }
    free(expected);
}

/* Without erasing and mixing, the augmented pictures themselves. */
static void pictures_are_those_that_are_trained_on(void **state)
{
    (void)state;
    enum { COUNT = 6 };
    put_set("set", COUNT);
    datasets_index *index = make_index("set");
    datasets_feed_options options = make_options(1);
    options.augmentation.erase = 0;
    options.mixing.probability = 0;
    datasets_feed *feed = make_feed(index, &options);
    uint32_t order[COUNT];
    imgio_image pictures[COUNT];
    float targets[COUNT * TARGETS];
    datasets_shuffle(order, COUNT, options.seed, 2);
    assert_int_equal(datasets_feed_pictures(pictures, targets, feed, 2, 2, 4, NULL), VITC_OK);
    for (size_t i = 0; i < 4; i++) {
        const uint32_t which = order[2 + i];
        imgio_image image, expected;
        assert_int_equal(datasets_index_image(&image, index, which, NULL, NULL), VITC_OK);
        assert_int_equal(datasets_augment_image(&expected, &image, &options.augmentation,
                                                options.seed, 2, which, NULL),
                         VITC_OK);
        assert_true(picture_equal(&pictures[i], &expected));
        assert_true(targets[i * TARGETS + datasets_index_label(index, which)] > 0.9F);
        imgio_image_free(&image);
        imgio_image_free(&expected);
        imgio_image_free(&pictures[i]);
    }
    assert_int_equal(datasets_feed_pictures(pictures, targets, feed, 2, 4, 4, NULL),
                     VITC_ERR_ARGUMENT);
    assert_null(pictures[0].pixels);
    datasets_feed_free(feed);
    datasets_index_free(index);
}

/* With both, what the rows of the same batch show, to the nearest of 256 levels. */
static void pictures_are_erased_and_mixed_as_their_batch(void **state)
{
    (void)state;
    enum { COUNT = 12 };
    put_set("set", COUNT);
    datasets_index *index = make_index("set");
    datasets_feed_options options = make_options(1);
    options.augmentation.erase = 1;
    options.augmentation.erase_noise = false;
    options.mixing.probability = 1;
    datasets_feed *feed = make_feed(index, &options);
    static float rows[COUNT * IMAGE], targets[COUNT * TARGETS], again[COUNT * TARGETS];
    imgio_image pictures[COUNT];
    patches_levels levels;
    patches_levels_init(&levels, &options.preprocess);
    assert_int_equal(datasets_feed_batch(feed, rows, IMAGE, targets, 0, 0, COUNT, NULL), VITC_OK);
    assert_int_equal(datasets_feed_pictures(pictures, again, feed, 0, 0, COUNT, NULL), VITC_OK);
    assert_memory_equal(targets, again, sizeof targets);
    for (size_t i = 0; i < COUNT; i++) {
        static float shown[IMAGE];
        assert_int_equal(patches_extract_image(shown, ROW, &pictures[i], PATCH, &levels, NULL),
                         VITC_OK);
        for (size_t k = 0; k < IMAGE; k++) {
            const float *table = levels.table[k / (PATCH * PATCH) % 3];
            assert_true(fabsf(shown[k] - rows[i * IMAGE + k]) < 0.51F * (table[1] - table[0]));
        }
        imgio_image_free(&pictures[i]);
    }
    datasets_feed_free(feed);
    datasets_index_free(index);
}

/* What a feed makes of the only image of an index with its own choice of a fast decode, against a
 * decode of the least size given; 0: in full. */
static void assert_decoded(const datasets_index *index, datasets_feed_options options,
                           uint32_t least)
{
    imgio_decode_options decode = imgio_decode_options_default();
    imgio_image image, expected, picture;
    float targets[TARGETS];
    options.augmentation.erase = 0;
    decode.fast = least > 0;
    decode.min_width = decode.min_height = least;
    options.decode.fast = true;
    assert_int_equal(datasets_index_image(&image, index, 0, &decode, NULL), VITC_OK);
    assert_int_equal(
        datasets_augment_image(&expected, &image, &options.augmentation, options.seed, 0, 0, NULL),
        VITC_OK);
    datasets_feed *feed = make_feed(index, &options);
    assert_int_equal(datasets_feed_pictures(&picture, targets, feed, 0, 0, 1, NULL), VITC_OK);
    assert_true(picture_equal(&picture, &expected));
    datasets_feed_free(feed);
    imgio_image_free(&image);
    imgio_image_free(&expected);
    imgio_image_free(&picture);
}

static void large_photos_are_decoded_as_far_as_crops_need(void **state)
{
    (void)state;
    enum { WIDTH = 192, HEIGHT = 160 };
    imgio_image photo, reduced;
    bytes all = {0};
    assert_int_equal(imgio_image_create(&photo, WIDTH, HEIGHT, NULL), VITC_OK);
    for (size_t i = 0; i < (size_t)WIDTH * HEIGHT * 3; i++)
        photo.pixels[i] = (uint8_t)(128 + i / 3 % WIDTH * 97 % 61 + i / WIDTH % 53);
    assert_int_equal(imgio_encode_jpeg(&all.data, &all.size, &photo, 90, NULL), VITC_OK);
    imgio_image_free(&photo);
    put_bytes("set/class0/0.jpg", all.data, all.size);
    bytes_free(&all);
    datasets_index *index = make_index("set");
    datasets_feed_options options = make_options(1);
    imgio_decode_options decode = options.decode;

    /* Least sizes of 24, 1/4 of the photo; 12 / sqrt(0.5 * 0.5) = 24; 12 * sqrt(3 / 0.25) = 42, 1/2
     * of it; and of more than the photo has. */
    options.augmentation.crop = DATASETS_CROP_NONE;
    assert_decoded(index, options, 2 * SIDE);
    options.augmentation.crop = DATASETS_CROP_RESIZED;
    options.augmentation.crop_scale[0] = 0.5;
    options.augmentation.crop_ratio[0] = 0.5;
    options.augmentation.crop_ratio[1] = 1;
    assert_decoded(index, options, 24);
    options.augmentation.crop_scale[0] = 0.25;
    options.augmentation.crop_ratio[1] = 3;
    assert_decoded(index, options, 42);
    options.augmentation.crop_scale[0] = 0.001;
    assert_decoded(index, options, 0);
    options.augmentation.crop = DATASETS_CROP_PADDED;
    assert_decoded(index, options, 0);

    /* And those sizes are told apart. */
    decode.fast = true;
    decode.min_width = decode.min_height = 24;
    assert_int_equal(datasets_index_image(&reduced, index, 0, &decode, NULL), VITC_OK);
    assert_int_equal(reduced.width, WIDTH / 4);
    imgio_image_free(&reduced);
    decode.min_width = decode.min_height = 42;
    assert_int_equal(datasets_index_image(&reduced, index, 0, &decode, NULL), VITC_OK);
    assert_int_equal(reduced.width, WIDTH / 2);
    imgio_image_free(&reduced);
    datasets_index_free(index);
}

/* ---- bad images ---- */

static size_t count_lines(const char *text, const char *what)
{
    size_t lines = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++) lines++;
    return lines;
}

static void bad_images_are_replaced_and_told_once(void **state)
{
    (void)state;
    enum { COUNT = 20 };
    static const size_t sizes[] = {2, 8, 32};
    put_set("set", COUNT);
    /* Two next to each other, the last one, one that will be gone, and a whole class. */
    put("set/class1/6.png", "no picture");
    put("set/class1/7.png", "");
    bytes half = picture_encode(19);
    put_bytes("set/class4/19.png", half.data, half.size / 2);
    bytes_free(&half);
    for (size_t i = 12; i < 16; i++) {
        char path[64];
        snprintf(path, sizeof path, "set/class3/%zu.png", i);
        put(path, "no picture");
    }
    datasets_index *index = make_index("set");
    assert_int_equal(remove("set/class2/10.png"), 0);
    assert_int_equal(datasets_index_count(index), COUNT);
    for (int threads = 1; threads <= 4; threads++) {
        const datasets_feed_options options = make_options(threads);
        epoch_numbers *expected[2] = {reference_epoch(index, &options, 0),
                                      reference_epoch(index, &options, 1)};
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            said told;
            const vitc_log log = said_start(&told);
            datasets_feed *feed = make_feed(index, &options);
            assert_epoch(expected[0], feed, 0, sizes[s], &log);
            assert_int_equal(datasets_feed_bad(feed), 8);
            assert_epoch(expected[1], feed, 1, sizes[s], &log);
            assert_epoch(expected[0], feed, 0, sizes[s], &log);
            assert_int_equal(datasets_feed_bad(feed), 8);
            assert_int_equal(count_lines(told.text, "\n"), 8);
            assert_int_equal(count_lines(told.text, "warning: set/class"), 8);
            assert_int_equal(
                count_lines(told.text, "takes its place, of its class where there is one\n"), 8);
            assert_non_null(strstr(told.text, "set/class1/6.png: "));
            assert_non_null(strstr(told.text, "set/class2/10.png: cannot be opened"));
            datasets_feed_free(feed);
        }
        free(expected[0]);
        free(expected[1]);
    }
    datasets_index_free(index);
}

/* Nobody reads a thousand warnings. */
static void many_bad_images_are_counted(void **state)
{
    (void)state;
    enum { COUNT = 30, TOLD = 20 };
    char path[64];
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(path, sizeof path, "set/class0/%zu.png", i);
        put(path, "no picture");
    }
    picture_put("set/class0/good.png", 1);
    datasets_index *index = make_index("set");
    const datasets_feed_options options = make_options(2);
    datasets_feed *feed = make_feed(index, &options);
    static float rows[(COUNT + 1) * IMAGE], targets[(COUNT + 1) * TARGETS];
    said told;
    const vitc_log log = said_start(&told);
    assert_int_equal(datasets_feed_batch(feed, rows, IMAGE, targets, 0, 0, COUNT + 1, &log),
                     VITC_OK);
    assert_int_equal(datasets_feed_bad(feed), COUNT);
    assert_int_equal(count_lines(told.text, "warning: "), TOLD + 1);
    assert_int_equal(count_lines(told.text, "only counted from now on"), 1);
    datasets_feed_free(feed);
    datasets_index_free(index);
}

static void where_all_are_bad_that_is_an_error(void **state)
{
    (void)state;
    enum { COUNT = 6 };
    put("set/class0/0.png", "no picture");
    put("set/class0/1.png", "no picture");
    put("set/class1/2.png", "no picture");
    put("set/class1/3.png", "no picture");
    put("set/class2/4.png", "no picture");
    put("set/class2/5.png", "no picture");
    datasets_index *index = make_index("set");
    for (int threads = 1; threads <= 3; threads++) {
        const datasets_feed_options options = make_options(threads);
        datasets_feed *feed = make_feed(index, &options);
        float rows[4 * IMAGE], targets[4 * TARGETS];
        uint32_t order[COUNT];
        char text[128];
        said told;
        const vitc_log log = said_start(&told);
        datasets_shuffle(order, COUNT, options.seed, 1);
        assert_int_equal(datasets_feed_batch(feed, rows, IMAGE, targets, 1, 2, 4, &log),
                         VITC_ERR_UNSUPPORTED);
        /* The error is the first image's, whichever thread was faster. */
        snprintf(text, sizeof text, "error: set/class%u/%u.png: ", order[2] / 2, order[2]);
        assert_non_null(strstr(told.text, text));
        assert_non_null(strstr(told.text, "; none of the 6 images to train on can be used"));
        assert_int_equal(count_lines(told.text, "error: "), 1);
        assert_int_equal(count_lines(told.text, "warning: "), COUNT);
        assert_int_equal(datasets_feed_bad(feed), COUNT);
        datasets_feed_free(feed);
    }
    datasets_index_free(index);
}

/* ---- what is refused ---- */

static void assert_refused(const datasets_index *index, const datasets_feed_options *options,
                           vitc_status expected, const char *text)
{
    said told;
    const vitc_log log = said_start(&told);
    datasets_feed *feed;
    assert_int_equal(datasets_feed_create(&feed, index, options, &log), expected);
    assert_null(feed);
    assert_non_null(strstr(told.text, text));
}

static void options_are_checked(void **state)
{
    (void)state;
    put_set("set", 10);
    datasets_index *index = make_index("set");
    datasets_feed_options options = make_options(1);
    options.classes = CLASSES - 1;
    assert_refused(index, &options, VITC_ERR_ARGUMENT, "label 4 is beyond the 4 classes");
    options = make_options(1);
    options.patch = 5;
    assert_refused(index, &options, VITC_ERR_ARGUMENT, "patches of 5");
    options.patch = 0;
    assert_refused(index, &options, VITC_ERR_ARGUMENT, "patches of 0");
    options = make_options(1);
    options.smoothing = 1;
    assert_refused(index, &options, VITC_ERR_ARGUMENT, "smoothing is 1");
    options.smoothing = -0.1;
    assert_refused(index, &options, VITC_ERR_ARGUMENT, "smoothing is -0.1");
    options = make_options(1);
    options.augmentation.flip = 2;
    assert_refused(index, &options, VITC_ERR_ARGUMENT, "flip is 2");
    options = make_options(1);
    options.mixing.cut = 2;
    assert_refused(index, &options, VITC_ERR_ARGUMENT, "CutMix");
    options = make_options(1);
    options.preprocess.std[1] = 0;
    assert_refused(index, &options, VITC_ERR_PREPROCESS, "std");
    datasets_index_free(index);

    bytes tar = {0};
    tar_add(&tar, "lonely.png", "x");
    put_tar("empty.tar", &tar);
    const datasets_options walked = datasets_options_default();
    const char *path = "empty.tar";
    uint64_t bad;
    assert_int_equal(datasets_index_create(&index, &path, 1, &walked, 0, &bad, NULL, NULL, NULL),
                     VITC_OK);
    options = make_options(1);
    assert_refused(index, &options, VITC_ERR_ARGUMENT, "no images");
    datasets_index_free(index);
}

static void batches_are_checked(void **state)
{
    (void)state;
    static const struct {
        uint32_t epoch;
        uint64_t from;
        uint32_t count;
        size_t stride;
    } bad[] = {
        {0, 1, 2, IMAGE},       {0, 0, 3, IMAGE},        {0, 2, 6, IMAGE},     {0, 8, 2, IMAGE},
        {0, UINT64_MAX, 2, 99}, {1U << 24, 0, 2, IMAGE}, {0, 0, 2, IMAGE - 1},
    };
    put_set("set", 7);
    datasets_index *index = make_index("set");
    const datasets_feed_options options = make_options(1);
    datasets_feed *feed = make_feed(index, &options);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        float rows[IMAGE], targets[TARGETS];
        said told;
        const vitc_log log = said_start(&told);
        assert_int_equal(datasets_feed_batch(feed, rows, bad[i].stride, targets, bad[i].epoch,
                                             bad[i].from, bad[i].count, &log),
                         VITC_ERR_ARGUMENT);
        assert_ptr_equal(strstr(told.text, "error: "), told.text);
    }
    datasets_feed_free(feed);
    datasets_index_free(index);
}

/* ---- memory ---- */

static vitc_status feed_all(void *user)
{
    const char *path = user;
    const datasets_options walked = datasets_options_default();
    const datasets_feed_options options = make_options(1);
    float rows[4 * IMAGE], targets[4 * TARGETS];
    datasets_index *index;
    datasets_feed *feed;
    imgio_image pictures[2] = {{0}};
    uint64_t bad;
    VITC_TRY(datasets_index_create(&index, &path, 1, &walked, 0, &bad, NULL, NULL, NULL));
    vitc_status status = datasets_feed_create(&feed, index, &options, NULL);
    if (status == VITC_OK) status = datasets_feed_batch(feed, rows, IMAGE, targets, 0, 0, 4, NULL);
    if (status == VITC_OK) status = datasets_feed_pictures(pictures, targets, feed, 1, 0, 2, NULL);
    /* What memory ran out for is no bad image. */
    if (feed != NULL && datasets_feed_bad(feed) != 0) status = VITC_ERR_INTERNAL;
    for (int i = 0; i < 2; i++) imgio_image_free(&pictures[i]);
    datasets_feed_free(feed);
    datasets_index_free(index);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    put_set("set", 4);
    assert_true(malloc_fail_each(feed_all, "set") > 20);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_folder_enter, set_folder_leave)
    const struct CMUnitTest tests[] = {
        TEST(batches_are_the_same_however_they_are_cut),
        TEST(batches_may_be_left_out),
        TEST(pairs_are_mixed_and_odd_ends_are_not),
        TEST(all_kinds_of_sets_feed_the_same),
        TEST(pictures_are_those_that_are_trained_on),
        TEST(pictures_are_erased_and_mixed_as_their_batch),
        TEST(large_photos_are_decoded_as_far_as_crops_need),
        TEST(bad_images_are_replaced_and_told_once),
        TEST(many_bad_images_are_counted),
        TEST(where_all_are_bad_that_is_an_error),
        TEST(options_are_checked),
        TEST(batches_are_checked),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
