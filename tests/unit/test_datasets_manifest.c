/* Lists of paths and labels: CSV, TSV, JSON Lines. */
#include "test_datasets_support.h"
#include "test_malloc_fail.h"

/* The rows of a list as "path|label|line;", and what was said, which leaves out the list's name. */
static vitc_status read_rows(char *rows, said *all, const char *name, const void *text, size_t size,
                             bool labelled)
{
    const vitc_log log = said_start(all);
    datasets_list *list;
    datasets_row row;
    bool end = false;
    rows[0] = 0;
    put_bytes(name, text, size);
    vitc_status status = datasets_list_open(&list, name, labelled, &log);
    while (status == VITC_OK) {
        status = datasets_list_next(&row, &end, list, &log);
        if (status != VITC_OK || end) break;
        sprintf(rows + strlen(rows), "%s|%s|%d;", row.path, row.label != NULL ? row.label : "",
                (int)row.line);
    }
    datasets_list_close(list);
    return status;
}

typedef struct list_case {
    const char *text, *rows, *said;
} list_case;

static void check_cases(const char *name, bool labelled, const list_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char rows[512], said_wanted[512] = "";
        said all;
        const vitc_status status =
            read_rows(rows, &all, name, cases[i].text, strlen(cases[i].text), labelled);
        if (cases[i].said != NULL)
            snprintf(said_wanted, sizeof said_wanted, "error: %s: %s\n", name, cases[i].said);
        if (strcmp(rows, cases[i].rows) != 0 || strcmp(all.text, said_wanted) != 0)
            fail_msg("case %zu:\n%s\ngives %s instead of %s\nand says %s instead of %s", i,
                     cases[i].text, rows, cases[i].rows, all.text, said_wanted);
        assert_int_equal(status, cases[i].said == NULL ? VITC_OK : VITC_ERR_CORRUPT);
    }
}
#define CHECK_CASES(name, labelled, cases)                                                         \
    check_cases((name), (labelled), (cases), sizeof(cases) / sizeof *(cases))

static void csv_is_that_of_rfc_4180(void **state)
{
    static const list_case cases[] = {
        {"a,x\nb,y\n", "a|x|1;b|y|2;", NULL},
        {"a,x\r\nb,y", "a|x|1;b|y|2;", NULL},
        {"a,x\r", "a|x|1;", NULL},
        {"a\rb,x\n", "a\rb|x|1;", NULL},
        {"\xEF\xBB\xBF"
         "a,x\n",
         "a|x|1;", NULL},
        {"\xEF\xBB\xBF"
         "path,label\na,x\n",
         "a|x|2;", NULL},
        {"\n\r\na,x\n\n\n b , y y\t\n", "a|x|3; b |y y|6;", NULL},
        {"\"a,\"\"b\"\"\n c\",\"x y\"\nb,\"\"\"\"\n", "a,\"b\"\n c|x y|1;b|\"|3;", NULL},
        {"a\"b\",x\"\n", "a\"b\"|x\"|1;", NULL},
        {"\"a\",\"x\"\r\n\"b\",\"y\"\r\n", "a|x|1;b|y|2;", NULL},
        {"a,x,more,\"and\nmore\"\nb,y\n", "a|x|1;b|y|3;", NULL},
        {"bad\xFF\xC0.jpg,x\xFF\n", "bad\xFF\xC0.jpg|x\xFF|1;", NULL},
        {"a;b,x", "a;b|x|1;", NULL},
        {"", "", NULL},
        {"\n\n", "", NULL},
        {"id ,path ,label\n7,a,x\n", "a|x|2;", NULL},
        {"path,label\n", "", NULL},
        {"path,label", "", NULL},
        {"a,x\n\"b,y\nc,z\n", "a|x|1;", "line 2: a quote (\") that is not closed"},
        {"a,x\n\"b\"c,y\n", "a|x|1;", "line 2: text after a closing quote"},
        {"\"a\"\"", "", "line 1: a quote (\") that is not closed"},
        {"a,x\n,y\n", "a|x|1;", "line 2: no path"},
        {"a,x\nb,\n", "a|x|1;", "line 2: no label"},
        {"a,x\nb, \t\n", "a|x|1;", "line 2: no label"},
        {"a,x\nb\n", "a|x|1;", "line 2: no label: one field only; fields are separated by commas"},
        {"\"\"\n", "", NULL},
        {",\n", "", "line 1: no path"},
    };
    (void)state;
    CHECK_CASES("list.csv", true, cases);
}

static void columns_are_found_by_name(void **state)
{
    static const list_case cases[] = {
        {"path,label\na,x\n", "a|x|2;", NULL},
        {"Label, PATH \nx,a\n", "a|x|2;", NULL},
        {"\n\nid,\"class\",\"file_name\"\n7,x,a\n", "a|x|4;", NULL},
        {"file,label,path\nno,x,a\n", "a|x|2;", NULL},
        {"image,kind\na,x\n", "", "line 1: names a column \"image\", but none \"label\""},
        {"image_path,category\na,x\n", "a|x|2;", NULL},
        {"id_code,diagnosis\na.png,x\n", "",
         "line 1: \"id_code\" is no path; a line of names needs a column \"path\" (file_name, "
         "filepath, ...) and one \"label\" (class, category, ...)"},
        {"kind,where\nx,a/b\n", "",
         "line 1: \"kind\" is no path; a line of names needs a column \"path\" (file_name, "
         "filepath, ...) and one \"label\" (class, category, ...)"},
        {"a.png,class\nb.png,file\n", "a.png|class|1;b.png|file|2;", NULL},
        {"name,label\na,x\n", "", "line 1: names a column \"label\", but none \"path\""},
        {"paths,labels\n", "paths|labels|1;", NULL},
        {"path,id,label\na,1,x\nb,2\n", "a|x|2;", "line 3: no label"},
        {"label,path\nx,a\ny\n", "a|x|2;", "line 3: no path"},
    };
    static const list_case unlabelled[] = {
        {"path,label\na,x\n", "a||2;", NULL},
        {"id,path\n1,a\n", "a||2;", NULL},
        {"a\nb,x\n", "a||1;b||2;", NULL},
        {"path\na\n", "a||2;", NULL},
        {"pictures\na.png\n", "",
         "line 1: \"pictures\" is no path; a line of names needs a column "
         "\"path\" (file_name, filepath, ...)"},
        {"label\na\n", "", "line 1: names a column \"label\", but none \"path\""},
    };
    (void)state;
    CHECK_CASES("list.csv", true, cases);
    CHECK_CASES("list.CSV", false, unlabelled);
}

static void tsv_has_tabs(void **state)
{
    static const list_case cases[] = {
        {"a,b\tx\nc\ty z\n", "a,b|x|1;c|y z|2;", NULL},
        {"label\tpath\nx\ta\n", "a|x|2;", NULL},
        {"\"a\tb\"\tx\n", "a\tb|x|1;", NULL},
        {"a,x\n", "", "line 1: no label: one field only; fields are separated by tabs"},
    };
    (void)state;
    CHECK_CASES("list.tsv", true, cases);
}

static void json_lines_are_objects(void **state)
{
    static const list_case cases[] = {
        {"{\"path\":\"a\",\"label\":\"x\"}\n{\"label\":\"y\",\"id\":1,\"path\":\"b\"}",
         "a|x|1;b|y|2;", NULL},
        {"\xEF\xBB\xBF\n \t\r\n{\"file_name\":\"\\u00e9,\",\"class\":7}\r\n\n", "\xC3\xA9,|7|3;",
         NULL},
        {"{\"path\":\"a\",\"label\":-3}\n", "a|-3|1;", NULL},
        {"{\"path\":\"a\"}\n", "",
         "line 1: \"label\" must be a text or a whole number; it is missing"},
        {"{\"path\":\"a\",\"label\":1.5}\n", "",
         "line 1: \"label\" must be a text or a whole number; it is 1.5"},
        {"{\"path\":\"a\",\"label\":\"\"}\n", "",
         "line 1: \"label\" must be a text or a whole number; it is \"\""},
        {"{\"path\":\"a\",\"label\":\"x\"}\n{\"label\":\"x\"}\n", "a|x|1;",
         "line 2: \"path\" must be a text; it is missing"},
        {"{\"path\":\"\",\"label\":\"x\"}\n", "", "line 1: \"path\" must be a text; it is \"\""},
        {"[1]\n", "", "line 1: \"path\" must be a text; it is missing"},
    };
    static const char *const broken[] = {"{\"path\":\"a\"", "a,x", "{\"path\":\"a\\u0000\"}",
                                         "{\"path\":\"\xFF\"}", "{\"path\":\"a\",\"path\":\"b\"}"};
    (void)state;
    CHECK_CASES("list.jsonl", true, cases);
    CHECK_CASES("list.ndjson", true, cases);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        char rows[512];
        said all;
        assert_int_equal(read_rows(rows, &all, "list.jsonl", broken[i], strlen(broken[i]), false),
                         VITC_ERR_CORRUPT);
        assert_ptr_equal(strstr(all.text, "error: list.jsonl: line 1: not valid JSON: "), all.text);
    }
}

static void lists_are_bounded(void **state)
{
    (void)state;
    char rows[512];
    said all;
    assert_int_equal(read_rows(rows, &all, "list.csv", "a,x\nb\0,y", 8, true), VITC_ERR_CORRUPT);
    assert_string_equal(rows, "a|x|1;");
    assert_string_equal(all.text,
                        "error: list.csv: line 2: a NUL byte; this is no list of paths\n");
    assert_int_equal(read_rows(rows, &all, "list.jsonl", "{}\0", 3, true), VITC_ERR_CORRUPT);
    enum { SIZE = (1 << 20) + 10 };
    char *long_row = malloc(SIZE);
    assert_non_null(long_row);
    memset(long_row, '"', SIZE);
    long_row[1] = 'a';
    assert_int_equal(read_rows(rows, &all, "list.csv", long_row, SIZE, true), VITC_ERR_CORRUPT);
    memset(long_row, 'a', SIZE);
    assert_int_equal(read_rows(rows, &all, "list.csv", long_row, SIZE, true), VITC_ERR_CORRUPT);
    assert_string_equal(
        all.text, "error: list.csv: line 1: longer than 1048576 bytes; is a quote not closed?\n");
    assert_int_equal(read_rows(rows, &all, "list.jsonl", long_row, SIZE, true), VITC_ERR_CORRUPT);
    assert_string_equal(all.text, "error: list.jsonl: line 1: longer than 1048576 bytes\n");
    free(long_row);
}

static void what_is_no_file_is_no_list(void **state)
{
    (void)state;
    said all;
    const vitc_log log = said_start(&all);
    datasets_list *list;
    assert_int_equal(mkdir("folder.csv", 0777), 0);
    assert_int_equal(mkfifo("pipe.csv", 0666), 0);
    assert_int_equal(datasets_list_open(&list, "nowhere.csv", true, &log), VITC_ERR_UNREADABLE);
    assert_int_equal(datasets_list_open(&list, "folder.csv", true, &log), VITC_ERR_UNREADABLE);
    assert_int_equal(datasets_list_open(&list, "pipe.csv", true, &log), VITC_ERR_UNREADABLE);
    assert_null(list);
    assert_string_equal(all.text,
                        "error: nowhere.csv: cannot be opened: No such file or directory\n"
                        "error: folder.csv: a list of paths must be a regular file\n"
                        "error: pipe.csv: a list of paths must be a regular file\n");
}

/* ---- sets ---- */

static void paths_are_relative_to_the_list(void **state)
{
    (void)state;
    listing all;
    char absolute[600];
    put("data/cat/1.jpg", "c1");
    put("data/x.jpg", "x");
    snprintf(absolute, sizeof absolute,
             "path,label\ncat/1.jpg,cat\n./x.jpg,dog\n%s/data/x.jpg,cat\nmissing.jpg,cat\n"
             "../data/x.jpg,dog\ncat,dog\n",
             set_folder);
    put("data/list.csv", absolute);
    listing_of(&all, "data/list.csv");
    assert_int_equal(all.status, VITC_OK);
    assert_int_equal(all.kind, DATASETS_MANIFEST);
    assert_string_equal(all.said.text, "");
    assert_string_equal(all.classes, "cat dog ");
    char wanted[1200];
    snprintf(wanted, sizeof wanted,
             "0 cat data/cat/1.jpg =c1\n"
             "1 dog data/./x.jpg =x\n"
             "2 cat %s/data/x.jpg =x\n"
             "3 cat data/missing.jpg: unreadable: cannot be opened: No such file or directory\n"
             "4 dog data/../data/x.jpg =x\n"
             "5 dog data/cat: unreadable: is a folder, not a file\n",
             set_folder);
    assert_string_equal(all.text, wanted);
    assert_int_equal(all.survey.images, 6);
    /* The same from inside the folder: the same set, with other paths. */
    listing here;
    assert_int_equal(chdir("data"), 0);
    listing_of(&here, "list.csv");
    assert_string_equal(here.survey.fingerprint, all.survey.fingerprint);
    assert_ptr_equal(strstr(here.text, "0 cat cat/1.jpg =c1\n1 dog ./x.jpg =x\n"), here.text);
    assert_int_equal(chdir(".."), 0);
}

static void several_lists_are_one_set(void **state)
{
    (void)state;
    listing all;
    const datasets_options options = datasets_options_default();
    const char *paths[] = {"b.tsv", "sub/a.jsonl"};
    put("1", "one");
    put("sub/1", "sub one");
    put("b.tsv", "1\tx\n");
    put("sub/a.jsonl", "{\"path\":\"1\",\"label\":\"y\"}\n{\"path\":\"2\",\"label\":\"x\"}\n");
    listing_of_options(&all, paths, 2, &options);
    assert_string_equal(all.classes, "x y ");
    assert_string_equal(all.text,
                        "0 x 1 =one\n1 y sub/1 =sub one\n"
                        "2 x sub/2: unreadable: cannot be opened: No such file or directory\n");
}

static void paths_count_once(void **state)
{
    (void)state;
    listing all;
    put("1", "1");
    put("2", "2");
    put("list.csv", "path,label\n1,x\n2,y\n1,x\n\n1, x\n");
    listing_of(&all, "list.csv");
    assert_string_equal(all.said.text, "warning: list.csv: 2 rows left out that repeat one before, "
                                       "the first in line 4\n");
    assert_string_equal(all.text, "0 x 1 =1\n1 y 2 =2\n");
    put("list.csv", "path,label\n1,x\n2,y\n1,x\n");
    listing_of(&all, "list.csv");
    assert_string_equal(all.said.text, "warning: list.csv: 1 row left out that repeats one before, "
                                       "the first in line 4\n");
    put("list.csv", "path,label\n2,y\n\"1\",x\n2,y\n1,y\n");
    listing_of(&all, "list.csv");
    assert_int_equal(all.status, VITC_ERR_CORRUPT);
    assert_string_equal(all.said.text, "error: list.csv: lines 3 and 5 give 1 two labels, x and "
                                       "y; one of them must go\n");
    /* Nothing is said of it where labels do not matter. */
    listing_unlabelled(&all, "list.csv");
    assert_string_equal(all.said.text, "");
    assert_string_equal(all.text, "0 - 2 =2\n1 - 1 =1\n2 - 2 =2\n3 - 1 =1\n");
}

/* Enough rows for the table of paths to grow, and to meet the same places in it. */
static void many_paths_count_once(void **state)
{
    enum { ROWS = 20000 };
    (void)state;
    FILE *stream = fopen("list.csv", "wb");
    assert_non_null(stream);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < ROWS; i++) fprintf(stream, "f%d,%d\n", i, i % 3);
    assert_int_equal(fclose(stream), 0);
    said all;
    const vitc_log log = said_start(&all);
    const char *path = "list.csv";
    const datasets_options options = datasets_options_default();
    datasets_set *set;
    datasets_survey survey;
    assert_int_equal(datasets_open(&set, &path, 1, &options, &log), VITC_OK);
    assert_int_equal(datasets_survey_set(&survey, set, NULL, NULL, &log), VITC_OK);
    assert_int_equal(survey.images, ROWS);
    assert_string_equal(all.text, "warning: list.csv: 20000 rows left out that repeat one before, "
                                  "the first in line 20001\n");
    datasets_close(set);
}

static void lists_without_rows_are_errors(void **state)
{
    (void)state;
    listing all;
    put("list.csv", "path,label\n");
    listing_of(&all, "list.csv");
    assert_int_equal(all.status, VITC_ERR_CORRUPT);
    assert_string_equal(all.said.text, "error: list.csv: the list holds no paths\n");
    put("list.csv", "a,x\nb\n");
    listing_of(&all, "list.csv");
    assert_int_equal(all.status, VITC_ERR_CORRUPT);
    assert_string_equal(all.said.text, "error: list.csv: line 2: no label: one field only; fields "
                                       "are separated by commas\n");
}

static void a_list_that_changes_is_told(void **state)
{
    (void)state;
    const char *path = "list.csv";
    const datasets_options options = datasets_options_default();
    listing all = {0};
    const vitc_log log = said_start(&all.said);
    datasets_set *set;
    put("list.csv", "a,x\n");
    assert_int_equal(datasets_open(&set, &path, 1, &options, &log), VITC_OK);
    put("list.csv", "b,x\nc,y\n");
    listing_read(&all, set, &log);
    assert_int_equal(all.status, VITC_ERR_UNREADABLE);
    assert_string_equal(
        all.said.text, "error: list.csv: the list was changed since it was checked; start again\n");
    datasets_close(set);
}

/* ---- memory ---- */

static vitc_status list_work(void *argument)
{
    const char *path = argument;
    const datasets_options options = datasets_options_default();
    datasets_set *set;
    vitc_status status = datasets_open(&set, &path, 1, &options, NULL);
    if (status != VITC_OK) return status;
    for (bool end = false; status == VITC_OK && !end;) {
        datasets_item item;
        status = datasets_next(&item, &end, set, NULL);
        datasets_item_free(&item);
    }
    datasets_close(set);
    return status;
}

static void lists_survive_without_memory(void **state)
{
    (void)state;
    put("list.csv", "a,x\nb,y\na,x\n");
    put("list.jsonl", "{\"path\":\"a\",\"label\":\"x\"}\n{\"path\":\"a\",\"label\":\"x\"}\n");
    assert_true(malloc_fail_each(list_work, (char[]){"list.csv"}) > 20);
    assert_true(malloc_fail_each(list_work, (char[]){"list.jsonl"}) > 20);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_folder_enter, set_folder_leave)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(csv_is_that_of_rfc_4180),
        IN_FOLDER(columns_are_found_by_name),
        IN_FOLDER(tsv_has_tabs),
        IN_FOLDER(json_lines_are_objects),
        IN_FOLDER(lists_are_bounded),
        IN_FOLDER(what_is_no_file_is_no_list),
        IN_FOLDER(paths_are_relative_to_the_list),
        IN_FOLDER(several_lists_are_one_set),
        IN_FOLDER(paths_count_once),
        IN_FOLDER(many_paths_count_once),
        IN_FOLDER(lists_without_rows_are_errors),
        IN_FOLDER(a_list_that_changes_is_told),
        IN_FOLDER(lists_survive_without_memory),
    };
    return cmocka_run_group_tests_name("datasets_manifest", tests, NULL, NULL);
}
