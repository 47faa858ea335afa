/* Names: their natural order, what is clutter, many of them in one block, and classes. */
#include "test_datasets_support.h"
#include "test_malloc_fail.h"

static void digits_compare_as_numbers(void **state)
{
    static const char *const ordered[] = {
        "",
        "00",
        "0a",
        "01",
        "1",
        "2",
        "10",
        "A",
        "B1",
        "a",
        "a b",
        "a-1",
        "a01",
        "a1",
        "a1b2",
        "a1b10",
        "a2",
        "a10",
        "a10b",
        "aa",
        "b0",
        "b00",
        "b99999999999999999998",
        "b99999999999999999999",
        "b100000000000000000000",
        "b\x7F",
        "b\xC3\xA9",
    };
    enum { COUNT = sizeof ordered / sizeof *ordered };
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < COUNT; k++) {
            const int order = datasets_names_compare(ordered[i], ordered[k]);
            if ((order < 0) != (i < k) || (order > 0) != (i > k))
                fail_msg("\"%s\" and \"%s\" compare as %d", ordered[i], ordered[k], order);
        }
}

static void clutter_is_known(void **state)
{
    static const char *const clutter[] = {".x", ".", "Thumbs.db", "THUMBS.DB", "Desktop.ini"};
    static const char *const kept[] = {"x.", "Thumbs.db.jpg", "thumbs", "ini", "_x"};
    (void)state;
    for (size_t i = 0; i < sizeof clutter / sizeof *clutter; i++)
        assert_true(datasets_names_clutter(clutter[i]));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        assert_false(datasets_names_clutter(kept[i]));
}

static void parts_of_paths(void **state)
{
    (void)state;
    assert_string_equal(datasets_names_base("a/b.c"), "b.c");
    assert_string_equal(datasets_names_base("b.c"), "b.c");
    assert_string_equal(datasets_names_base("a/"), "");
    assert_true(datasets_names_ends("a.CSV", ".csv"));
    assert_false(datasets_names_ends("csv", ".csv"));
    assert_false(datasets_names_ends("a.csv.gz", ".csv"));
}

static void strings_lie_in_one_block(void **state)
{
    (void)state;
    datasets_strings strings = {0};
    assert_true(datasets_strings_index(&strings));
    assert_int_equal(strings.count, 0);
    for (int i = 0; i < 2000; i++) {
        char text[3000];
        snprintf(text, sizeof text, "%*d", i % 7 == 0 ? 2900 : 0, i);
        assert_true(datasets_strings_add(&strings, text));
    }
    assert_true(datasets_strings_add(&strings, ""));
    assert_true(datasets_strings_index(&strings));
    assert_int_equal(strings.count, 2001);
    for (int i = 0; i < 2000; i++) assert_int_equal(atoi(strings.at[i]), i);
    assert_string_equal(strings.at[2000], "");
    datasets_strings_free(&strings);
    assert_null(strings.pool);
}

static void classes_keep_their_labels(void **state)
{
    enum { COUNT = 5000 };
    datasets_classes *classes;
    static const char *names[COUNT];
    (void)state;
    assert_int_equal(datasets_classes_create(&classes, NULL), VITC_OK);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < COUNT; i++) {
            char name[32];
            int64_t label;
            snprintf(name, sizeof name, "class %d", i);
            assert_int_equal(datasets_classes_label(&label, classes, name, NULL), VITC_OK);
            assert_int_equal(label, i);
            if (round == 0) names[i] = datasets_classes_name(classes, (size_t)i);
        }
    assert_int_equal(datasets_classes_count(classes), COUNT);
    for (int i = 0; i < COUNT; i++) /* names never move */
        assert_ptr_equal(names[i], datasets_classes_name(classes, (size_t)i));
    datasets_classes_free(classes);
    datasets_classes_free(NULL);
}

static vitc_status read_names(said *all, const char *text, size_t size, int times, char *names)
{
    datasets_classes *classes;
    const vitc_log log = said_start(all);
    put_bytes("names.txt", text, size);
    assert_int_equal(datasets_classes_create(&classes, NULL), VITC_OK);
    vitc_status status = VITC_OK;
    while (status == VITC_OK && times-- > 0)
        status = datasets_classes_read(classes, "names.txt", &log);
    names[0] = 0;
    for (size_t i = 0; i < datasets_classes_count(classes); i++)
        sprintf(names + strlen(names), "<%s>", datasets_classes_name(classes, i));
    datasets_classes_free(classes);
    return status;
}

static void names_are_read_from_files(void **state)
{
    static const struct {
        const char *text, *names, *said;
    } cases[] = {
        {"cat\ndog\n", "<cat><dog>", ""},
        {"cat\r\nbig dog\r\n\r\n\n", "<cat><big dog>", ""},
        {"\xEF\xBB\xBF"
         "cat\n\xFF",
         "<cat><\xFF>", ""},
        {"cat\n\ndog\n", "<cat>",
         "error: names.txt: line 2 is empty; each line is the name of a class\n"},
        {"cat\ndog\ncat", "<cat><dog>",
         "error: names.txt: lines 1 and 3 name the same class, cat\n"},
        {"\n\n", "", "error: names.txt: holds no class names\n"},
        {"", "", "error: names.txt: holds no class names\n"},
    };
    (void)state;
    said all;
    char names[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const vitc_status status = read_names(&all, cases[i].text, strlen(cases[i].text), 2, names);
        assert_string_equal(names, cases[i].names);
        assert_string_equal(all.text, cases[i].said);
        assert_int_equal(status, cases[i].said[0] == 0 ? VITC_OK : VITC_ERR_CORRUPT);
    }
    assert_int_equal(read_names(&all, "a\0b", 3, 1, names), VITC_ERR_CORRUPT);
    assert_string_equal(all.text, "error: names.txt: no list of class names: it holds NUL bytes\n");
    assert_int_equal(unlink("names.txt"), 0);
    datasets_classes *classes;
    assert_int_equal(datasets_classes_create(&classes, NULL), VITC_OK);
    assert_int_equal(datasets_classes_read(classes, "names.txt", NULL), VITC_ERR_UNREADABLE);
    /* Other names than those that are there. */
    int64_t label;
    put("names.txt", "cat\n");
    assert_int_equal(datasets_classes_label(&label, classes, "dog", NULL), VITC_OK);
    assert_int_equal(datasets_classes_read(classes, "names.txt", NULL), VITC_ERR_ARGUMENT);
    datasets_classes_free(classes);
}

static vitc_status classes_work(void *argument)
{
    datasets_classes *classes;
    (void)argument;
    vitc_status status = datasets_classes_create(&classes, NULL);
    for (int i = 0; i < 300 && status == VITC_OK; i++) {
        char name[32];
        int64_t label;
        snprintf(name, sizeof name, "%d", i);
        status = datasets_classes_label(&label, classes, name, NULL);
    }
    if (status == VITC_OK) status = datasets_classes_read(classes, "names.txt", NULL);
    datasets_classes_free(classes);
    return status;
}

static void classes_survive_without_memory(void **state)
{
    (void)state;
    put("names.txt", "0\n1\n2\n");
    assert_true(malloc_fail_each(classes_work, NULL) > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_compare_as_numbers),
        cmocka_unit_test(clutter_is_known),
        cmocka_unit_test(parts_of_paths),
        cmocka_unit_test(strings_lie_in_one_block),
        cmocka_unit_test(classes_keep_their_labels),
        cmocka_unit_test_setup_teardown(names_are_read_from_files, set_folder_enter,
                                        set_folder_leave),
        cmocka_unit_test_setup_teardown(classes_survive_without_memory, set_folder_enter,
                                        set_folder_leave),
    };
    return cmocka_run_group_tests_name("datasets_names", tests, NULL, NULL);
}
