/* IDX files, the MNIST family's: images with their labels, and everything that may not fit. */
#include "test_datasets_archives.h"
#include "test_malloc_fail.h"
#include "vitc_log.h"

/* A header of the format: type, dimensions, sizes. */
static void add_header(bytes *to, unsigned char type, size_t dimensions, const uint32_t *sizes)
{
    const unsigned char magic[] = {0, 0, type, (unsigned char)dimensions};
    bytes_add(to, magic, sizeof magic);
    for (size_t i = 0; i < dimensions; i++) {
        const unsigned char size[] = {(unsigned char)(sizes[i] >> 24),
                                      (unsigned char)(sizes[i] >> 16),
                                      (unsigned char)(sizes[i] >> 8), (unsigned char)sizes[i]};
        bytes_add(to, size, sizeof size);
    }
}

/* The value of byte i of the images. */
static unsigned char pixel(size_t i)
{
    return (unsigned char)(i * 37 + (i >> 4));
}

static bytes make_images(uint32_t count, uint32_t height, uint32_t width, size_t channels)
{
    bytes all = {0};
    const uint32_t sizes[] = {count, height, width, (uint32_t)channels};
    add_header(&all, 8, channels == 1 ? 3 : 4, sizes);
    for (size_t i = 0; i < (size_t)count * height * width * channels; i++) {
        const unsigned char value = pixel(i);
        bytes_add(&all, &value, 1);
    }
    return all;
}

static bytes make_labels(const char *labels)
{
    bytes all = {0};
    const uint32_t count = (uint32_t)strlen(labels);
    add_header(&all, 8, 1, &count);
    for (; *labels != 0; labels++) {
        const unsigned char value = (unsigned char)(*labels - '0');
        bytes_add(&all, &value, 1);
    }
    return all;
}

/* Writes a file, compressed when its name ends so. */
static void put_file(const char *path, bytes *content)
{
    if (datasets_names_ends(path, ".gz"))
        put_gzip(path, content->data, content->size);
    else
        put_bytes(path, content->data, content->size);
    bytes_free(content);
}

/* A small set: 4 x 3 pixels, grey. */
static void put_set(const char *images, const char *labels, const char *values)
{
    bytes content = make_images((uint32_t)strlen(values), 3, 4, 1);
    put_file(images, &content);
    content = make_labels(values);
    put_file(labels, &content);
}

static void assert_pixels(const char *path, size_t count, uint32_t height, uint32_t width,
                          size_t channels)
{
    datasets_set *set;
    const datasets_options options = datasets_options_default();
    assert_int_equal(datasets_open(&set, &path, 1, &options, NULL), VITC_OK);
    for (size_t i = 0; i < count; i++) {
        datasets_item item;
        bool end;
        assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
        assert_false(end);
        assert_int_equal(item.image.width, width);
        assert_int_equal(item.image.height, height);
        const size_t first = i * height * width * channels;
        for (size_t k = 0; k < (size_t)height * width * 3; k++)
            assert_int_equal(item.image.pixels[k], pixel(first + (channels == 1 ? k / 3 : k)));
        datasets_item_free(&item);
    }
    datasets_close(set);
}

/* ---- good files ---- */

static void images_have_labels_from_the_file_beside(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"d/train-images-idx3-ubyte", "d/train-labels-idx1-ubyte"},
        {"d/t10k-images-idx3-ubyte.gz", "d/t10k-labels-idx1-ubyte.gz"},
        {"d/a-images.idx3-ubyte", "d/a-labels.idx1-ubyte.gz"}, /* one of both compressed */
        {"d/b-images-idx3-ubyte.gz", "d/b-labels-idx1-ubyte"},
        {"images/images-idx3", "images/labels-idx1"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        listing all;
        char wanted[512];
        put_set(names[i][0], names[i][1], "719");
        listing_of(&all, names[i][0]);
        assert_int_equal(all.status, VITC_OK);
        assert_int_equal(all.kind, DATASETS_IDX);
        assert_string_equal(all.said.text, "");
        snprintf(wanted, sizeof wanted, "0 7 %s#0 4x3\n1 1 %s#1 4x3\n2 9 %s#2 4x3\n", names[i][0],
                 names[i][0], names[i][0]);
        assert_string_equal(all.text, wanted);
        assert_string_equal(all.classes, "1 7 9 "); /* those that occur, beforehand */
        assert_true(all.survey.counted);
        assert_int_equal(all.survey.images, 3);
        assert_pixels(names[i][0], 3, 3, 4, 1);
    }
}

static void colour_images_are_read(void **state)
{
    (void)state;
    bytes content = make_images(2, 5, 2, 3);
    put_file("x-images-idx4-ubyte.gz", &content);
    content = make_labels("01");
    put_file("x-labels-idx1-ubyte.gz", &content);
    assert_pixels("x-images-idx4-ubyte.gz", 2, 5, 2, 3);
}

static void labels_are_lines_of_the_class_names(void **state)
{
    (void)state;
    listing all;
    const char *path = "t-images-idx3-ubyte";
    datasets_options options = datasets_options_default();
    options.class_names = "names.txt";
    put_set(path, "t-labels-idx1-ubyte", "210");
    put("names.txt", "shirt\nbag\nboot\nhat\n");
    listing_of_options(&all, &path, 1, &options);
    assert_string_equal(all.text, "0 boot t-images-idx3-ubyte#0 4x3\n"
                                  "1 bag t-images-idx3-ubyte#1 4x3\n"
                                  "2 shirt t-images-idx3-ubyte#2 4x3\n");
    assert_string_equal(all.classes, "shirt bag boot hat ");
    put("names.txt", "shirt\nbag\n");
    listing_of_options(&all, &path, 1, &options);
    assert_int_equal(all.status, VITC_ERR_CORRUPT);
    assert_string_equal(all.said.text, "error: t-images-idx3-ubyte: image 0 has the label 2, and "
                                       "names.txt names only 2 classes\n");
    options.class_names = "missing.txt";
    listing_of_options(&all, &path, 1, &options);
    assert_int_equal(all.status, VITC_ERR_UNREADABLE);
}

static void several_files_are_one_set(void **state)
{
    (void)state;
    listing all;
    const char *paths[] = {"b-images-idx3-ubyte.gz", "a-images-idx3-ubyte"};
    const datasets_options options = datasets_options_default();
    put_set(paths[0], "b-labels-idx1-ubyte", "50");
    put_set(paths[1], "a-labels-idx1-ubyte", "3");
    listing_of_options(&all, paths, 2, &options);
    assert_string_equal(all.text, "0 5 b-images-idx3-ubyte.gz#0 4x3\n"
                                  "1 0 b-images-idx3-ubyte.gz#1 4x3\n"
                                  "2 3 a-images-idx3-ubyte#0 4x3\n");
    assert_string_equal(all.classes, "0 3 5 ");
}

static void without_labels_no_labels_are_needed(void **state)
{
    (void)state;
    listing all;
    bytes content = make_images(2, 3, 4, 1);
    put_file("digits-idx3-ubyte.gz", &content);
    listing_unlabelled(&all, "digits-idx3-ubyte.gz");
    assert_int_equal(all.status, VITC_OK);
    assert_string_equal(all.text, "0 - digits-idx3-ubyte.gz#0 4x3\n"
                                  "1 - digits-idx3-ubyte.gz#1 4x3\n");
}

static bool is_odd(void *user, uint64_t index, const char *path)
{
    (void)user;
    (void)path;
    return index % 2 == 1;
}

static void unwanted_images_are_passed_over(void **state)
{
    (void)state;
    static const char *const paths[] = {"p-images-idx3-ubyte", "q-images-idx3-ubyte.gz"};
    put_set(paths[0], "p-labels-idx1-ubyte", "0123456");
    put_set(paths[1], "q-labels-idx1-ubyte", "0123456");
    for (size_t n = 0; n < 2; n++) {
        datasets_set *set;
        datasets_options options = datasets_options_default();
        options.wanted = is_odd;
        assert_int_equal(datasets_open(&set, &paths[n], 1, &options, NULL), VITC_OK);
        for (size_t i = 1; i < 7; i += 2) {
            datasets_item item;
            bool end;
            assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
            assert_int_equal(item.index, i);
            assert_int_equal(item.image.pixels[0], pixel(i * 12));
            assert_int_equal(item.image.pixels[35], pixel(i * 12 + 11));
            datasets_item_free(&item);
        }
        datasets_close(set);
    }
}

/* ---- bad files: all before the first image ---- */

static void assert_refused(const char *path, vitc_status status, const char *message)
{
    listing all;
    listing_of(&all, path);
    if (all.status != status || strstr(all.said.text, message) == NULL)
        fail_msg("%s: %s: \"%s\"", path, vitc_status_string(all.status), all.said.text);
    assert_string_equal(all.text, "");
    assert_ptr_equal(strchr(all.said.text, '\n'), all.said.text + strlen(all.said.text) - 1);
}

static void sizes_have_to_be_those_of_the_header(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"x-images-idx3-ubyte", "x-labels-idx1-ubyte"},
                                           {"y-images-idx3-ubyte.gz", "y-labels-idx1-ubyte.gz"}};
    for (size_t i = 0; i < 2; i++) {
        const char *path = names[i][0], *labels = names[i][1];
        char wanted[128];
        /* Images: one byte less, one more, none at all. */
        put_set(path, labels, "01");
        bytes content = make_images(2, 3, 4, 1);
        content.size--;
        put_file(path, &content);
        assert_refused(path, VITC_ERR_TRUNCATED,
                       ": announces 2 images of 4 x 3, 24 bytes, and holds 23; get the file again");
        content = make_images(2, 3, 4, 1);
        bytes_add_zeros(&content, 1);
        put_file(path, &content);
        assert_refused(path, VITC_ERR_CORRUPT, ": holds more bytes than its header says");
        content = make_images(2, 3, 4, 1);
        content.size = 15;
        put_file(path, &content);
        assert_refused(path, VITC_ERR_TRUNCATED, ": ends within its IDX header");
        /* Labels. */
        content = make_images(2, 3, 4, 1);
        put_file(path, &content);
        content = make_labels("012");
        put_file(labels, &content);
        snprintf(wanted, sizeof wanted, "%s: 3 labels for the 2 images of %s", labels, path);
        assert_refused(path, VITC_ERR_CORRUPT, wanted);
        content = make_labels("01");
        content.size--;
        put_file(labels, &content);
        snprintf(wanted, sizeof wanted, "%s: announces 2 labels and holds 1", labels);
        assert_refused(path, VITC_ERR_TRUNCATED, wanted);
        content = make_labels("01");
        bytes_add_zeros(&content, 1);
        put_file(labels, &content);
        assert_refused(path, VITC_ERR_CORRUPT, "labels-idx1");
        content = make_labels("01");
        content.size = 3;
        put_file(labels, &content);
        assert_refused(path, VITC_ERR_TRUNCATED, ": ends within its IDX header");
    }
}

static void headers_have_to_be_those_of_images(void **state)
{
    (void)state;
    static const struct {
        unsigned char type;
        size_t dimensions;
        uint32_t sizes[4];
        vitc_status status;
        const char *message;
    } cases[] = {
        {0x0D, 3, {1, 2, 2}, VITC_ERR_UNSUPPORTED, "IDX numbers of type 0x0d; only bytes"},
        {8, 4, {1, 2, 2, 2}, VITC_ERR_UNSUPPORTED, "4 dimensions that are not those of images"},
        {8, 3, {0, 2, 2}, VITC_ERR_CORRUPT, "says that it holds 0 images of 2 x 2"},
        {8, 3, {1, 2, 0}, VITC_ERR_CORRUPT, "says that it holds 1 images of 0 x 2"},
        {8, 3, {1, 65536, 1}, VITC_ERR_TOO_LARGE, "images of 1 x 65536 pixels are too large"},
        {8, 3, {1, 50000, 50000}, VITC_ERR_TOO_LARGE, "images of 50000 x 50000 pixels"},
        {8, 3, {0xFFFFFFFF, 10000, 10000}, VITC_ERR_TRUNCATED, "and holds 4; get the file again"},
        {8, 4, {0xFFFFFFFF, 10000, 10000, 3}, VITC_ERR_TRUNCATED, "and holds 4; get the file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes content = {0};
        add_header(&content, cases[i].type, cases[i].dimensions, cases[i].sizes);
        bytes_add_zeros(&content, 4);
        put_file("x-images-idx3-ubyte", &content);
        assert_refused("x-images-idx3-ubyte", cases[i].status, cases[i].message);
    }
    put_gzip("z-images-idx3-ubyte.gz", "abcdefgh", 8);
    assert_refused("z-images-idx3-ubyte.gz", VITC_ERR_UNSUPPORTED, "is not an IDX file");
    put_gzip("z-images-idx3-ubyte.gz", "\0\0\x08\1\0\0\0\1x", 9);
    assert_refused("z-images-idx3-ubyte.gz", VITC_ERR_UNSUPPORTED,
                   "holds labels; name the file of images");
    put_gzip("z-images-idx3-ubyte.gz", "\0\0\x08\x05", 4);
    assert_refused("z-images-idx3-ubyte.gz", VITC_ERR_UNSUPPORTED, "has 5 dimensions");
}

static void labels_have_to_be_there(void **state)
{
    (void)state;
    bytes content = make_images(1, 3, 4, 1);
    put_file("d/x-images-idx3-ubyte", &content);
    assert_refused("d/x-images-idx3-ubyte", VITC_ERR_UNREADABLE,
                   "d/x-images-idx3-ubyte: its labels are missing: there is no "
                   "d/x-labels-idx1-ubyte");
    content = make_images(1, 3, 4, 1);
    put_file("digits-idx3-ubyte.gz", &content);
    assert_refused("digits-idx3-ubyte.gz", VITC_ERR_UNSUPPORTED, "no \"images\" in the name");
    /* What lies there is no file of labels. */
    content = make_images(1, 3, 4, 1);
    put_file("d/x-labels-idx1-ubyte", &content);
    assert_refused("d/x-images-idx3-ubyte", VITC_ERR_UNSUPPORTED,
                   "d/x-labels-idx1-ubyte: has 3 dimensions; labels have 1");
}

static void damaged_gzip_is_seen_before_the_first_image(void **state)
{
    (void)state;
    const char *path = "x-images-idx3-ubyte.gz";
    put_set(path, "x-labels-idx1-ubyte.gz", "01");
    for (int labels = 0; labels < 2; labels++) {
        bytes content = labels ? make_labels("01") : make_images(2, 3, 4, 1), packed = {0};
        bytes_add_gzip(&packed, content.data, content.size);
        const char *file = labels ? "x-labels-idx1-ubyte.gz" : path;
        packed.data[packed.size - 8] ^= 1;
        put_bytes(file, packed.data, packed.size);
        assert_refused(path, VITC_ERR_CORRUPT, "its gzip check sum is wrong");
        packed.data[packed.size - 8] ^= 1;
        put_bytes(file, packed.data, packed.size - 5);
        assert_refused(path, VITC_ERR_TRUNCATED, "it is cut short: its gzip data ends early");
        put_bytes(file, packed.data, packed.size);
        bytes_free(&content);
        bytes_free(&packed);
    }
}

/* A file that gets shorter between opening and reading. */
static void files_that_change_are_seen(void **state)
{
    (void)state;
    const char *path = "x-images-idx3-ubyte";
    const datasets_options options = datasets_options_default();
    datasets_set *set;
    datasets_item item;
    bool end;
    said heard;
    const vitc_log log = said_start(&heard);
    put_set(path, "x-labels-idx1-ubyte", "012");
    assert_int_equal(datasets_open(&set, &path, 1, &options, &log), VITC_OK);
    assert_int_equal(truncate(path, 16 + 12 + 5), 0);
    assert_int_equal(datasets_next(&item, &end, set, &log), VITC_OK);
    datasets_item_free(&item);
    assert_int_equal(datasets_next(&item, &end, set, &log), VITC_ERR_TRUNCATED);
    assert_string_equal(heard.text, "error: x-images-idx3-ubyte: ends within image 1 of 3; it was "
                                    "changed while it was read\n");
    datasets_close(set);
}

/* ---- memory ---- */

static vitc_status read_all(void *user)
{
    const char *path = user;
    datasets_options options = datasets_options_default();
    options.class_names = "names.txt";
    datasets_set *set;
    VITC_TRY(datasets_open(&set, &path, 1, &options, NULL));
    vitc_status status = VITC_OK;
    for (bool end = false; status == VITC_OK && !end;) {
        datasets_item item;
        status = datasets_next(&item, &end, set, NULL);
        if (status == VITC_OK) datasets_item_free(&item);
    }
    datasets_close(set);
    return status;
}

static void without_memory_nothing_is_left(void **state)
{
    (void)state;
    static char path[] = "x-images-idx3-ubyte.gz";
    put_set(path, "x-labels-idx1-ubyte", "01");
    put("names.txt", "zero\none\n");
    malloc_fail_each(read_all, path);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_folder_enter, set_folder_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(images_have_labels_from_the_file_beside),
        IN_FOLDER(colour_images_are_read),
        IN_FOLDER(labels_are_lines_of_the_class_names),
        IN_FOLDER(several_files_are_one_set),
        IN_FOLDER(without_labels_no_labels_are_needed),
        IN_FOLDER(unwanted_images_are_passed_over),
        IN_FOLDER(sizes_have_to_be_those_of_the_header),
        IN_FOLDER(headers_have_to_be_those_of_images),
        IN_FOLDER(labels_have_to_be_there),
        IN_FOLDER(damaged_gzip_is_seen_before_the_first_image),
        IN_FOLDER(files_that_change_are_seen),
        IN_FOLDER(without_memory_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
