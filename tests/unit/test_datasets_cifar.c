/* CIFAR-10's and CIFAR-100's binary batches. */
#include "test_datasets_archives.h"
#include "test_malloc_fail.h"
#include "vitc_log.h"

enum { PIXELS = 32 * 32 };

/* The value of plane c at pixel i of image n. */
static unsigned char plane(size_t n, size_t c, size_t i)
{
    return (unsigned char)(n * 11 + c * 90 + i * 7);
}

/* One record for each character: its label; of CIFAR-100 behind a coarse one. */
static bytes make_batch(const char *labels, size_t classes)
{
    bytes all = {0};
    for (size_t n = 0; labels[n] != 0; n++) {
        const unsigned char coarse = 19, label = (unsigned char)(labels[n] - '0');
        if (classes == 100) bytes_add(&all, &coarse, 1);
        bytes_add(&all, &label, 1);
        for (size_t i = 0; i < 3 * (size_t)PIXELS; i++) {
            const unsigned char value = plane(n, i / PIXELS, i % PIXELS);
            bytes_add(&all, &value, 1);
        }
    }
    return all;
}

static void put_batch(const char *path, const char *labels, size_t classes)
{
    bytes batch = make_batch(labels, classes);
    put_bytes(path, batch.data, batch.size);
    bytes_free(&batch);
}

static void put_names(const char *path, int classes, const char *prefix)
{
    bytes names = {0};
    for (int i = 0; i < classes; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s%d\n", prefix, i);
        bytes_add(&names, name, strlen(name));
    }
    bytes_add(&names, "\n", 1); /* as CIFAR's own have it */
    put_bytes(path, names.data, names.size);
    bytes_free(&names);
}

static void batches_have_labels_and_names(void **state)
{
    (void)state;
    static const struct {
        const char *path, *names;
        int classes;
    } cases[] = {{"d/test_batch.bin", "d/batches.meta.txt", 10},
                 {"test.bin", "fine_label_names.txt", 100},
                 {"d/renamed.BIN", "d/batches.meta.txt", 10},
                 {"e/other.bin", "e/fine_label_names.txt", 100}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        listing all;
        char wanted[256];
        put_batch(cases[i].path, "907", (size_t)cases[i].classes);
        snprintf(wanted, sizeof wanted, "0 9 %s#0 32x32\n1 0 %s#1 32x32\n2 7 %s#2 32x32\n",
                 cases[i].path, cases[i].path, cases[i].path);
        listing_of(&all, cases[i].path);
        assert_int_equal(all.status, VITC_OK);
        assert_int_equal(all.kind, DATASETS_CIFAR);
        assert_string_equal(all.said.text, "");
        assert_string_equal(all.text, wanted);
        assert_string_equal(all.classes, "0 7 9 ");
        assert_int_equal(all.survey.images, 3);
        put_names(cases[i].names, cases[i].classes, "name");
        snprintf(wanted, sizeof wanted,
                 "0 name9 %s#0 32x32\n1 name0 %s#1 32x32\n2 name7 %s#2 32x32\n", cases[i].path,
                 cases[i].path, cases[i].path);
        listing_of(&all, cases[i].path);
        assert_string_equal(all.said.text, "");
        assert_string_equal(all.text, wanted);
        assert_int_equal(strncmp(all.classes, "name0 name1 name2 ", 18), 0);
        unlink(cases[i].names);
    }
}

static void planes_become_pixels(void **state)
{
    (void)state;
    static const char *const paths[] = {"test_batch.bin", "test.bin"};
    put_batch(paths[0], "12", 10);
    put_batch(paths[1], "12", 100);
    for (size_t k = 0; k < 2; k++) {
        datasets_set *set;
        const datasets_options options = datasets_options_default();
        assert_int_equal(datasets_open(&set, &paths[k], 1, &options, NULL), VITC_OK);
        for (size_t n = 0; n < 2; n++) {
            datasets_item item;
            bool end;
            assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
            for (size_t i = 0; i < 3 * (size_t)PIXELS; i++)
                assert_int_equal(item.image.pixels[i], plane(n, i % 3, i / 3));
            datasets_item_free(&item);
        }
        datasets_close(set);
    }
}

static void several_batches_are_one_set(void **state)
{
    (void)state;
    listing all;
    const char *paths[] = {"data_batch_2.bin", "data_batch_1.bin"};
    datasets_options options = datasets_options_default();
    put_batch(paths[0], "5", 10);
    put_batch(paths[1], "35", 10);
    put("mine.txt", "a\nb\nc\nd\ne\nf\n");
    options.class_names = "mine.txt"; /* goes before what lies beside */
    put_names("batches.meta.txt", 10, "name");
    listing_of_options(&all, paths, 2, &options);
    assert_string_equal(all.text, "0 f data_batch_2.bin#0 32x32\n"
                                  "1 d data_batch_1.bin#0 32x32\n"
                                  "2 f data_batch_1.bin#1 32x32\n");
    listing_unlabelled(&all, paths[1]);
    assert_string_equal(all.text, "0 - data_batch_1.bin#0 32x32\n"
                                  "1 - data_batch_1.bin#1 32x32\n");
}

static void assert_refused(const char *path, vitc_status status, const char *message)
{
    listing all;
    listing_of(&all, path);
    if (all.status != status || strstr(all.said.text, message) == NULL)
        fail_msg("%s: %s: \"%s\"", path, vitc_status_string(all.status), all.said.text);
    assert_string_equal(all.text, "");
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    listing all;
    bytes batch = make_batch("01", 10);
    put_bytes("test_batch.bin", batch.data, batch.size - 1);
    assert_refused(
        "test_batch.bin", VITC_ERR_TRUNCATED,
        "error: test_batch.bin: its 6145 bytes are no multiple of the 3073 of a CIFAR-10 "
        "image; get the file again\n");
    batch.data[3073] = 10;
    put_bytes("test_batch.bin", batch.data, batch.size);
    assert_refused("test_batch.bin", VITC_ERR_CORRUPT,
                   "error: test_batch.bin: image 1 has the label 10, and CIFAR-10 has 10 classes; "
                   "get the file again\n");
    bytes_free(&batch);
    put("test.bin", "");
    assert_refused("test.bin", VITC_ERR_UNSUPPORTED, "error: test.bin: "); /* is empty */
    put_batch("test_batch.bin", "1", 10);
    put_batch("test.bin", "1", 100);
    const char *paths[] = {"test_batch.bin", "test.bin"};
    const datasets_options options = datasets_options_default();
    listing_of_options(&all, paths, 2, &options);
    assert_int_equal(all.status, VITC_ERR_ARGUMENT);
    assert_string_equal(all.said.text,
                        "error: test.bin: is of CIFAR-100, what comes before it of CIFAR-10; name "
                        "one of both\n");
    /* Any other .bin is none of CIFAR's. */
    put("firmware.bin", "0123456789");
    assert_refused("firmware.bin", VITC_ERR_UNSUPPORTED, "error: firmware.bin: a file, but no set");
    put_names("batches.meta.txt", 1, "only");
    assert_refused("test_batch.bin", VITC_ERR_CORRUPT,
                   "image 0 has the label 1, and batches.meta.txt names only 1 classes");
}

static vitc_status read_all(void *user)
{
    const char *path = user;
    const datasets_options options = datasets_options_default();
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
    static char path[] = "test_batch.bin";
    put_batch(path, "01", 10);
    put_names("batches.meta.txt", 10, "name");
    malloc_fail_each(read_all, path);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_folder_enter, set_folder_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(batches_have_labels_and_names),  IN_FOLDER(planes_become_pixels),
        IN_FOLDER(several_batches_are_one_set),    IN_FOLDER(what_does_not_fit_is_refused),
        IN_FOLDER(without_memory_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
