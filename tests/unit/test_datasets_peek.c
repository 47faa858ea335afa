/* Looking ahead in a set, and the image that comes by standard input. */
#include <fcntl.h>

#include "test_datasets_support.h"
#include "test_malloc_fail.h"

static datasets_set *open_unlabelled(const char *const *paths, size_t count)
{
    datasets_options options = datasets_options_default();
    options.labelled = false;
    options.standard_input = true;
    datasets_set *set;
    assert_int_equal(datasets_open(&set, paths, count, &options, NULL), VITC_OK);
    return set;
}

/* The paths of all images that are still to come. */
static void read_all(datasets_set *set, const char *const *wanted, size_t count)
{
    datasets_item item;
    bool end;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
        assert_false(end);
        assert_int_equal(item.index, i);
        assert_string_equal(item.path, wanted[i]);
        datasets_item_free(&item);
    }
    assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
    assert_true(end);
    assert_null(item.path);
}

static void nothing_is_lost_by_looking(void **state)
{
    (void)state;
    static const char *const wanted[] = {"in/1.jpg", "in/2.jpg", "in/10.jpg", "missing"};
    static const char *const paths[] = {"in", "missing"};
    put("in/1.jpg", "1");
    put("in/2.jpg", "2");
    put("in/10.jpg", "10");
    for (size_t ahead = 0; ahead < 6; ahead++) {
        datasets_set *set = open_unlabelled(paths, 2);
        const datasets_item *items;
        size_t found;
        bool end;
        assert_int_equal(datasets_peek(&items, &found, &end, set, ahead, NULL), VITC_OK);
        assert_int_equal(found, ahead < 4 ? ahead : 4);
        assert_int_equal(end, ahead > 4);
        for (size_t i = 0; i < found; i++) assert_string_equal(items[i].path, wanted[i]);
        read_all(set, wanted, 4);
        datasets_close(set);
    }
}

static void it_is_done_once_and_first(void **state)
{
    (void)state;
    static const char *const paths[] = {"missing"};
    const datasets_item *items;
    size_t found;
    bool end;
    datasets_set *set = open_unlabelled(paths, 1);
    assert_int_equal(datasets_peek(&items, &found, &end, set, 1, NULL), VITC_OK);
    assert_int_equal(datasets_peek(&items, &found, &end, set, 1, NULL), VITC_ERR_ARGUMENT);
    read_all(set, paths, 1);
    datasets_close(set);

    set = open_unlabelled(paths, 1);
    read_all(set, paths, 1);
    assert_int_equal(datasets_peek(&items, &found, &end, set, 1, NULL), VITC_ERR_ARGUMENT);
    datasets_close(set);
}

/* Nothing else is read before it is asked for. */
static void looking_ends_behind_what_had_to_be_read(void **state)
{
    (void)state;
    static const char *const paths[] = {"missing", "two-images-idx3-ubyte", "after"};
    static const unsigned char idx[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 7, 9};
    static const char *const wanted[] = {"missing", "two-images-idx3-ubyte#0",
                                         "two-images-idx3-ubyte#1", "after"};
    put_bytes("two-images-idx3-ubyte", idx, sizeof idx);
    datasets_set *set = open_unlabelled(paths, 3);
    const datasets_item *items;
    size_t found;
    bool end;
    assert_int_equal(datasets_peek(&items, &found, &end, set, 100, NULL), VITC_OK);
    assert_int_equal(found, 2);
    assert_false(end);
    assert_int_equal(items[1].image.pixels[0], 7);
    read_all(set, wanted, 4);
    datasets_close(set);
}

/* A file takes the place of standard input. */
static int put_on_standard_input(const char *path)
{
    const int before = dup(STDIN_FILENO), file = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(before >= 0 && file >= 0 && dup2(file, STDIN_FILENO) == STDIN_FILENO);
    close(file);
    return before;
}

static void take_back_standard_input(int before)
{
    assert_int_equal(dup2(before, STDIN_FILENO), STDIN_FILENO);
    close(before);
}

static void standard_input_is_one_image(void **state)
{
    (void)state;
    static const char *const paths[] = {"-", "./-"};
    put("sent", "what was sent");
    put("-", "a file of that name");
    const int before = put_on_standard_input("sent");
    datasets_set *set = open_unlabelled(paths, 2);
    datasets_survey survey; /* which reads nothing of it */
    assert_int_equal(datasets_survey_set(&survey, set, NULL, NULL, NULL), VITC_OK);
    assert_true(survey.counted);
    assert_int_equal(survey.images, 2);
    datasets_item item;
    bool end;
    assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
    assert_string_equal(item.path, "-");
    assert_int_equal(item.size, strlen("what was sent"));
    assert_memory_equal(item.bytes, "what was sent", item.size);
    datasets_item_free(&item);
    assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
    assert_string_equal(item.file, "./-");
    datasets_item_free(&item);
    datasets_close(set);
    take_back_standard_input(before);

    /* Not where nobody asked for it. */
    datasets_options options = datasets_options_default();
    options.labelled = false;
    assert_int_equal(datasets_open(&set, paths, 1, &options, NULL), VITC_OK);
    assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
    assert_string_equal(item.file, "-");
    datasets_item_free(&item);
    datasets_close(set);
}

static void standard_input_over_the_limit(void **state)
{
    (void)state;
    static const char *const paths[] = {"-"};
    put("sent", "what was sent");
    const int before = put_on_standard_input("sent");
    datasets_options options = datasets_options_default();
    options.labelled = false;
    options.standard_input = true;
    options.max_file_size = 5;
    datasets_set *set;
    assert_int_equal(datasets_open(&set, paths, 1, &options, NULL), VITC_OK);
    datasets_item item;
    bool end;
    assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
    assert_int_equal(item.status, VITC_ERR_TOO_LARGE);
    assert_non_null(strstr(item.error, "limit of 5 bytes"));
    datasets_item_free(&item);
    datasets_close(set);
    take_back_standard_input(before);
}

static vitc_status look(void *user)
{
    static const char *const paths[] = {"in", "missing"};
    (void)user;
    datasets_options options = datasets_options_default();
    options.labelled = false;
    datasets_set *set;
    vitc_status status = datasets_open(&set, paths, 2, &options, NULL);
    const datasets_item *items;
    size_t found;
    bool end;
    if (status == VITC_OK) status = datasets_peek(&items, &found, &end, set, 10, NULL);
    datasets_close(set);
    return status;
}

static void memory_that_runs_out(void **state)
{
    (void)state;
    put("in/1.jpg", "1");
    assert_true(malloc_fail_each(look, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_lost_by_looking, set_folder_enter,
                                        set_folder_leave),
        cmocka_unit_test_setup_teardown(it_is_done_once_and_first, set_folder_enter,
                                        set_folder_leave),
        cmocka_unit_test_setup_teardown(looking_ends_behind_what_had_to_be_read, set_folder_enter,
                                        set_folder_leave),
        cmocka_unit_test_setup_teardown(standard_input_is_one_image, set_folder_enter,
                                        set_folder_leave),
        cmocka_unit_test_setup_teardown(standard_input_over_the_limit, set_folder_enter,
                                        set_folder_leave),
        cmocka_unit_test_setup_teardown(memory_that_runs_out, set_folder_enter, set_folder_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
