/* Sets of any kind: options, parts, what is wanted, surveys, kinds. */
#include <math.h>

#include "test_datasets_support.h"

enum { IMAGES = 40 };

/* Files cat/0.jpg to cat/39.jpg and one dog. */
static void put_images(void)
{
    for (int i = 0; i < IMAGES; i++) {
        char path[64];
        snprintf(path, sizeof path, "data/cat/%d.jpg", i);
        put(path, "x");
    }
    put("data/dog/1.jpg", "x");
}

static datasets_options part_of(datasets_part part, double fraction, uint64_t seed)
{
    datasets_options options = datasets_options_default();
    options.part = part;
    options.fraction = fraction;
    options.seed = seed;
    return options;
}

/* Which of the images of cat are in the part: chosen[i]. Their indices must count from 0. */
static size_t list_part(bool chosen[IMAGES], const char *path, const datasets_options *options)
{
    datasets_set *set;
    size_t count = 0;
    memset(chosen, 0, IMAGES * sizeof *chosen);
    assert_int_equal(datasets_open(&set, &path, 1, options, NULL), VITC_OK);
    for (;;) {
        datasets_item item;
        bool end;
        assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
        if (end) break;
        assert_int_equal(item.index, count);
        count++;
        const char *name = strstr(item.path, "cat/");
        if (name != NULL) chosen[atoi(name + 4)] = true;
        datasets_item_free(&item);
    }
    datasets_survey survey;
    assert_int_equal(datasets_survey_set(&survey, set, NULL, NULL, NULL), VITC_OK);
    assert_int_equal(survey.images, count);
    datasets_close(set);
    return count;
}

/* The formula of datasets_open.c, followed by a few lines of Python; a fraction of 0.25. */
static void parts_are_those_of_the_formula(void **state)
{
    static const struct {
        uint64_t seed;
        int chosen[16]; /* up to -1 */
    } cases[] = {
        {0, {1, 14, 16, 22, 24, 37, -1}},
        {1, {1, 2, 8, 15, 16, 20, 27, 29, 37, -1}},
        /* 0 too by its number, but it is the first of its class */
        {UINT64_MAX, {3, 7, 8, 10, 11, 13, 17, 19, 22, 27, 36, 38, -1}},
    };
    (void)state;
    put_images();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool wanted[IMAGES] = {false}, got[IMAGES];
        for (size_t k = 0; cases[i].chosen[k] >= 0; k++) wanted[cases[i].chosen[k]] = true;
        datasets_options options = part_of(DATASETS_CHOSEN, 0.25, cases[i].seed);
        const size_t chosen = list_part(got, "data", &options);
        for (int k = 0; k < IMAGES; k++) assert_int_equal(got[k], wanted[k]);
        options.part = DATASETS_REST;
        const size_t rest = list_part(got, "data", &options);
        for (int k = 0; k < IMAGES; k++) assert_int_equal(got[k], !wanted[k]);
        assert_int_equal(chosen + rest, IMAGES + 1);
    }
}

/* Of every class there is one image left, whatever the fraction. */
static void the_first_of_a_class_is_left(void **state)
{
    enum { CLASSES = 300 };
    (void)state;
    FILE *stream = fopen("list.csv", "wb");
    assert_non_null(stream);
    for (int i = 0; i < CLASSES; i++)
        for (int k = 0; k <= i % 2; k++) fprintf(stream, "%d-%d.jpg,class %d\n", i, k, i);
    assert_int_equal(fclose(stream), 0);
    const char *path = "list.csv";
    for (uint64_t seed = 0; seed < 3; seed++) {
        bool there[CLASSES] = {false};
        const datasets_options options = part_of(DATASETS_REST, 0.99, seed);
        datasets_set *set;
        bool end = false;
        size_t count = 0;
        assert_int_equal(datasets_open(&set, &path, 1, &options, NULL), VITC_OK);
        for (;;) {
            datasets_item item;
            assert_int_equal(datasets_next(&item, &end, set, NULL), VITC_OK);
            if (end) break;
            assert_in_range(item.label, 0, CLASSES - 1);
            there[item.label] = true;
            count++;
            datasets_item_free(&item);
        }
        for (int i = 0; i < CLASSES; i++) assert_true(there[i]);
        assert_in_range(count, CLASSES,
                        CLASSES + 20); /* the second ones are held out, nearly all */
        datasets_close(set);
    }
}

static void parts_do_not_depend_on_the_place(void **state)
{
    (void)state;
    bool before[IMAGES], after[IMAGES];
    const datasets_options options = part_of(DATASETS_CHOSEN, 0.5, 3);
    put_images();
    list_part(before, "data", &options);
    assert_int_equal(rename("data", "elsewhere"), 0);
    put("elsewhere/bee/1.jpg", "x");
    put("elsewhere/cat/new.jpg", "x");
    list_part(after, "elsewhere/", &options);
    for (int k = 0; k < IMAGES; k++)
        if (k != 0) assert_int_equal(before[k], after[k]); /* atoi("new") is 0 */
}

static void parts_are_about_the_fraction(void **state)
{
    enum { ROWS = 40000 };
    (void)state;
    FILE *stream = fopen("list.csv", "wb");
    assert_non_null(stream);
    for (int i = 0; i < ROWS; i++) fprintf(stream, "images/%08d.jpg,x\n", i);
    assert_int_equal(fclose(stream), 0);
    const char *path = "list.csv";
    static const double fractions[] = {0.001, 0.1, 0.5, 0.9};
    for (size_t i = 0; i < sizeof fractions / sizeof *fractions; i++)
        for (uint64_t seed = 0; seed < 4; seed++) {
            const double p = fractions[i];
            const datasets_options options = part_of(DATASETS_CHOSEN, p, seed);
            datasets_set *set;
            datasets_survey survey;
            assert_int_equal(datasets_open(&set, &path, 1, &options, NULL), VITC_OK);
            assert_int_equal(datasets_survey_set(&survey, set, NULL, NULL, NULL), VITC_OK);
            datasets_close(set);
            /* Within five standard deviations of a binomial. */
            const double off = fabs((double)survey.images - ROWS * p);
            assert_true(off < 5 * sqrt(ROWS * p * (1 - p)));
        }
}

static void fractions_are_checked(void **state)
{
    (void)state;
    static const double bad[] = {0, 1, -0.5, 1.5, NAN, INFINITY};
    const char *path = "data";
    put("data/cat/1", "x");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        said all;
        const vitc_log log = said_start(&all);
        const datasets_options options = part_of(DATASETS_REST, bad[i], 0);
        datasets_set *set;
        assert_int_equal(datasets_open(&set, &path, 1, &options, &log), VITC_ERR_ARGUMENT);
        assert_null(set);
        assert_ptr_equal(strstr(all.text, "error: a part of the images is a fraction between 0"),
                         all.text);
    }
    const datasets_options all_of_it = part_of(DATASETS_ALL, NAN, 0);
    listing all;
    listing_of_options(&all, &path, 1, &all_of_it);
    assert_int_equal(all.status, VITC_OK);
}

/* ---- what is wanted ---- */

typedef struct wish {
    char asked[1024];
    uint64_t from;
} wish;

static bool want(void *user, uint64_t index, const char *path)
{
    wish *w = user;
    sprintf(w->asked + strlen(w->asked), "%d %s;", (int)index, path);
    return index >= w->from;
}

static void what_is_not_wanted_is_passed_over(void **state)
{
    (void)state;
    put("data/cat/1.jpg", "1");
    put("data/cat/2.jpg", "2");
    put("data/dog/3.jpg", "3");
    wish w = {.from = 2};
    datasets_options options = datasets_options_default();
    options.wanted = want;
    options.wanted_user = &w;
    listing all;
    const char *path = "data";
    listing_of_options(&all, &path, 1, &options);
    assert_string_equal(all.text, "2 dog data/dog/3.jpg =3\n");
    /* Asked once for each; a survey does not ask. */
    assert_string_equal(w.asked, "0 data/cat/1.jpg;1 data/cat/2.jpg;2 data/dog/3.jpg;");
    assert_int_equal(all.survey.images, 3);
}

/* ---- surveys ---- */

typedef struct progress {
    uint64_t calls, last, most;
} progress;

static bool on_progress(void *user, uint64_t images)
{
    progress *p = user;
    p->calls++;
    assert_true(images > p->last);
    p->last = images;
    return images < p->most;
}

static void surveys_tell_how_far_they_are(void **state)
{
    enum { ROWS = 50000 };
    (void)state;
    FILE *stream = fopen("list.csv", "wb");
    assert_non_null(stream);
    for (int i = 0; i < ROWS; i++) fprintf(stream, "%d,x\n", i);
    assert_int_equal(fclose(stream), 0);
    said all;
    const vitc_log log = said_start(&all);
    const char *path = "list.csv";
    const datasets_options options = datasets_options_default();
    datasets_set *set;
    datasets_survey survey;
    assert_int_equal(datasets_open(&set, &path, 1, &options, &log), VITC_OK);
    progress p = {.most = UINT64_MAX};
    assert_int_equal(datasets_survey_set(&survey, set, on_progress, &p, &log), VITC_OK);
    assert_int_equal(survey.images, ROWS);
    assert_in_range(p.calls, 5, 1000);
    p = (progress){.most = 1};
    assert_int_equal(datasets_survey_set(&survey, set, on_progress, &p, &log), VITC_ERR_ARGUMENT);
    assert_int_equal(p.calls, 1);
    assert_string_equal(all.text, "error: the search for images was ended\n");
    datasets_item item;
    bool end;
    assert_int_equal(datasets_next(&item, &end, set, &log), VITC_OK); /* the set was not moved */
    assert_int_equal(item.index, 0);
    datasets_item_free(&item);
    datasets_close(set);
}

static void fingerprint(char text[65], const char *path, const datasets_options *options)
{
    listing all;
    listing_of_options(&all, &path, 1, options);
    assert_int_equal(all.status, VITC_OK);
    assert_int_equal(strlen(all.survey.fingerprint), 64);
    memcpy(text, all.survey.fingerprint, 65);
}

static void fingerprints_tell_sets_apart(void **state)
{
    (void)state;
    char seen[12][65];
    size_t count = 0;
    datasets_options options = datasets_options_default();
    put("data/cat/1.jpg", "1");
    put("data/cat/2.jpg", "2");
    put("data/dog/1.jpg", "3");
    fingerprint(seen[count++], "data", &options);
    options.labelled = false;
    fingerprint(seen[count++], "data", &options);
    options = part_of(DATASETS_CHOSEN, 0.5, 1);
    fingerprint(seen[count++], "data", &options);
    options.part = DATASETS_REST;
    fingerprint(seen[count++], "data", &options);
    options.seed = 2;
    fingerprint(seen[count++], "data", &options);
    options.fraction = 0.75;
    fingerprint(seen[count++], "data", &options);
    options = datasets_options_default();
    put("list.csv",
        "cat/1.jpg,cat\ncat/2.jpg,cat\ndog/1.jpg,dog\n"); /* names and labels as in the folder */
    fingerprint(seen[count++], "list.csv", &options);
    put("list.csv", "cat/2.jpg,cat\ncat/1.jpg,cat\ndog/1.jpg,dog\n");
    fingerprint(seen[count++], "list.csv", &options);
    put("list.csv", "cat/2.jpg,dog\ncat/1.jpg,cat\ndog/1.jpg,dog\n");
    fingerprint(seen[count++], "list.csv", &options);
    assert_int_equal(rename("data/dog", "data/emu"), 0);
    fingerprint(seen[count++], "data", &options);
    assert_int_equal(unlink("data/cat/2.jpg"), 0);
    fingerprint(seen[count++], "data", &options);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++) assert_string_not_equal(seen[i], seen[k]);
    put("data/cat/2.jpg", "other bytes");
    assert_int_equal(rename("data/emu", "data/dog"), 0);
    fingerprint(seen[count], "data", &options);
    assert_string_equal(seen[count], seen[0]); /* of names, not of contents */
}

/* A survey says nothing of what is wrong: reading will, once. */
static void what_is_wrong_is_said_once(void **state)
{
    (void)state;
    listing all;
    datasets_options options = datasets_options_default();
    const char *path = "list.csv";
    put("1", "1");
    put("list.csv", "1,x\n2,y\n1,x\n");
    datasets_set *set;
    const vitc_log log = said_start(&all.said);
    assert_int_equal(datasets_open(&set, &path, 1, &options, &log), VITC_OK);
    assert_string_equal(all.said.text, "warning: list.csv: 1 row left out that repeats one before, "
                                       "the first in line 3\n");
    /* Now the list breaks off in the middle. */
    put("list.csv", "1,x\n\"");
    assert_int_equal(datasets_survey_set(&all.survey, set, NULL, NULL, &log), VITC_OK);
    assert_null(strstr(all.said.text, "error"));
    datasets_close(set);
}

static void kinds_have_names(void **state)
{
    (void)state;
    for (int a = DATASETS_FILES; a <= DATASETS_CIFAR; a++) {
        const char *name = datasets_kind_string((datasets_kind)a);
        assert_true(name[0] >= 'a' && name[0] <= 'z');
        assert_string_not_equal(name, "unknown");
        for (int b = DATASETS_FILES; b < a; b++)
            assert_string_not_equal(name, datasets_kind_string((datasets_kind)b));
    }
    assert_string_equal(datasets_kind_string((datasets_kind)(DATASETS_CIFAR + 1)), "unknown");
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_folder_enter, set_folder_leave)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(parts_are_those_of_the_formula), IN_FOLDER(parts_do_not_depend_on_the_place),
        IN_FOLDER(the_first_of_a_class_is_left),   IN_FOLDER(parts_are_about_the_fraction),
        IN_FOLDER(fractions_are_checked),          IN_FOLDER(what_is_not_wanted_is_passed_over),
        IN_FOLDER(surveys_tell_how_far_they_are),  IN_FOLDER(fingerprints_tell_sets_apart),
        IN_FOLDER(what_is_wrong_is_said_once),     cmocka_unit_test(kinds_have_names),
    };
    return cmocka_run_group_tests_name("datasets_open", tests, NULL, NULL);
}
