/* metrics.csv and metrics.jsonl: what is written is read back, and a resumed run's files are those
 * of one that was never interrupted. */
#include <math.h>
#include <sys/stat.h>

#include "app_train_metrics.h"
#include "test_app_support.h"
#include "test_malloc_fail.h"

static const app_settings settings = {.quiet = true};

/* Epoch e of a made-up run; a running average from the third epoch on. */
static app_train_record record_of(uint32_t e)
{
    app_train_record r = app_train_record_empty();
    r.epoch = e;
    r.step = 50 * (uint64_t)e;
    r.loss = 2.302585092994 / e;
    r.accuracy = 1 - 0.9 / e;
    r.validation = (app_train_score){2.2 / e, 1 - 0.88 / e, 1 - 0.5 / e, 0.01 * e};
    if (e >= 3) r.ema = (app_train_score){2.1 / e, 1 - 0.87 / e, 1, 1.0 / 3};
    r.learning_rate = 1e-3 / e;
    r.gradient_norm = 1e-9 * e;
    r.images_per_second = 123.456789012;
    r.seconds = 10 * e;
    r.bad_images = e / 2;
    return r;
}

static void append(app_train_metrics *metrics, uint32_t from, uint32_t to)
{
    for (uint32_t e = from; e <= to; e++) {
        const app_train_record r = record_of(e);
        assert_int_equal(app_train_metrics_append(metrics, &r), APP_EXIT_DONE);
    }
}

static void run_epochs(const char *folder, uint32_t to)
{
    app_train_metrics *metrics;
    assert_int_equal(app_train_metrics_open(&metrics, folder, false, 0, &settings), APP_EXIT_DONE);
    append(metrics, 1, to);
    app_train_metrics_close(metrics);
}

static bool is_near(double a, double b)
{
    return (isnan(a) && isnan(b)) || fabs(a - b) <= 5e-9 * fabs(b);
}

static void assert_score(app_train_score a, app_train_score b)
{
    assert_true(is_near(a.loss, b.loss));
    assert_true(is_near(a.accuracy, b.accuracy));
    assert_true(is_near(a.top5, b.top5));
    assert_true(is_near(a.ece, b.ece));
}

static void assert_record(app_train_record a, app_train_record b)
{
    assert_int_equal(a.epoch, b.epoch);
    assert_int_equal(a.step, b.step);
    assert_int_equal(a.bad_images, b.bad_images);
    assert_true(is_near(a.loss, b.loss));
    assert_true(is_near(a.accuracy, b.accuracy));
    assert_score(a.validation, b.validation);
    assert_score(a.ema, b.ema);
    assert_true(is_near(a.learning_rate, b.learning_rate));
    assert_true(is_near(a.gradient_norm, b.gradient_norm));
    assert_true(is_near(a.images_per_second, b.images_per_second));
    assert_true(is_near(a.seconds, b.seconds));
}

static void reads_back(void **state)
{
    (void)state;
    app_train_record *records;
    size_t count;
    run_epochs(".", 70);
    assert_int_equal(app_train_metrics_read(&records, &count, "metrics.jsonl", &settings),
                     APP_EXIT_DONE);
    assert_int_equal(count, 70);
    for (uint32_t e = 1; e <= 70; e++) assert_record(records[e - 1], record_of(e));
    free(records);
}

static void lines_are_as_documented(void **state)
{
    (void)state;
    app_train_metrics *metrics;
    const app_train_record r = {.epoch = 2,
                                .step = 1564,
                                .loss = 1.5,
                                .accuracy = 0.25,
                                .validation = {1.25, 0.5, 0.875, NAN},
                                .ema = {NAN, NAN, NAN, NAN},
                                .learning_rate = 0.0005,
                                .gradient_norm = INFINITY,
                                .images_per_second = 1.0 / 3,
                                .seconds = 60,
                                .bad_images = 3};
    assert_int_equal(app_train_metrics_open(&metrics, ".", false, 0, &settings), APP_EXIT_DONE);
    assert_int_equal(app_train_metrics_append(metrics, &r), APP_EXIT_DONE);
    app_train_metrics_close(metrics);
    char *json = read_text("metrics.jsonl"), *csv = read_text("metrics.csv");
    assert_string_equal(
        json, "{\"epoch\": 2, \"step\": 1564, \"loss\": 1.5, \"accuracy\": 0.25, \"validation\": "
              "{\"loss\": 1.25, \"accuracy\": 0.5, \"top5\": 0.875, \"ece\": null}, \"ema\": null, "
              "\"learning_rate\": 0.0005, \"gradient_norm\": null, "
              "\"images_per_second\": 0.333333333, \"seconds\": 60.0, \"bad_images\": 3}\n");
    assert_string_equal(
        csv, "epoch,step,loss,accuracy,validation_loss,validation_accuracy,validation_top5,"
             "validation_ece,ema_loss,ema_accuracy,ema_top5,ema_ece,learning_rate,gradient_norm,"
             "images_per_second,seconds,bad_images\n"
             "2,1564,1.5,0.25,1.25,0.5,0.875,,,,,,0.0005,,0.333333333,60,3\n");
    free(json);
    free(csv);
}

/* What a kill can leave behind a state of three epochs, and the run from there on. */
static void resumes_after(const char *json_rest, const char *csv_rest)
{
    app_train_metrics *metrics;
    size_t count;
    assert_int_equal(mkdir("whole", 0777) | mkdir("torn", 0777), 0);
    run_epochs("whole", 6);
    run_epochs("torn", 4);
    FILE *json = fopen("torn/metrics.jsonl", "a"), *csv = fopen("torn/metrics.csv", "a");
    assert_true(json != NULL && csv != NULL);
    fputs(json_rest, json);
    fputs(csv_rest, csv);
    fclose(json);
    fclose(csv);
    assert_int_equal(app_train_metrics_open(&metrics, "torn", true, 3, &settings), APP_EXIT_DONE);
    const app_train_record *records = app_train_metrics_records(metrics, &count);
    assert_int_equal(count, 3);
    assert_record(records[2], record_of(3));
    append(metrics, 4, 6);
    app_train_metrics_close(metrics);
    for (int file = 0; file < 2; file++) {
        char *a = read_text(file != 0 ? "whole/metrics.csv" : "whole/metrics.jsonl");
        char *b = read_text(file != 0 ? "torn/metrics.csv" : "torn/metrics.jsonl");
        assert_string_equal(a, b);
        free(a);
        free(b);
    }
    static const char *const files[] = {"whole/metrics.csv", "whole/metrics.jsonl",
                                        "torn/metrics.csv", "torn/metrics.jsonl"};
    for (int i = 0; i < 4; i++) assert_int_equal(unlink(files[i]), 0);
    assert_int_equal(rmdir("whole") | rmdir("torn"), 0);
}

static void resumes_as_if_nothing_had_happened(void **state)
{
    (void)state;
    resumes_after("", "");
    resumes_after("{\"epoch\":5,\"st", "");
    resumes_after("", "5,250,0.4");
    resumes_after("\n", "\n"); /* past the state's epochs nothing is looked at */
}

static void resumes_before_the_first_record(void **state)
{
    (void)state;
    app_train_metrics *metrics;
    size_t count;
    run_epochs(".", 2);
    assert_int_equal(truncate("metrics.csv", 7), 0);
    assert_int_equal(app_train_metrics_open(&metrics, ".", true, 0, &settings), APP_EXIT_DONE);
    (void)app_train_metrics_records(metrics, &count);
    assert_int_equal(count, 0);
    app_train_metrics_close(metrics);
    char *csv = read_text("metrics.csv");
    assert_int_equal(count_text(csv, "\n"), 1);
    free(csv);
}

static void refuses_other_files(void **state)
{
    (void)state;
    app_train_metrics *metrics;
    app_train_record *records;
    size_t count;
    run_epochs(".", 2);
    /* A new run does not write over one that is there. */
    assert_int_equal(app_train_metrics_open(&metrics, ".", false, 0, &settings), APP_EXIT_USAGE);
    assert_null(metrics);

    write_text("metrics.csv", "name,telephone\nA,1\n");
    assert_int_equal(app_train_metrics_open(&metrics, ".", true, 99, &settings), APP_EXIT_MODEL);
    char *csv = read_text("metrics.csv");
    assert_string_equal(csv, "name,telephone\nA,1\n");
    free(csv);

    static const char *const others[] = {
        "{\"epoch\":1}\n", "[]\n", "epoch 1\n", "\n",
        /* of two runs: the epochs do not rise */
        "{\"epoch\":1,\"step\":5,\"loss\":1,\"accuracy\":1,\"validation\":null,\"ema\":null,"
        "\"learning_rate\":1,\"gradient_norm\":1,\"images_per_second\":1,\"seconds\":1,"
        "\"bad_images\":0}\n"
        "{\"epoch\":1,\"step\":5,\"loss\":1,\"accuracy\":1,\"validation\":null,\"ema\":null,"
        "\"learning_rate\":1,\"gradient_norm\":1,\"images_per_second\":1,\"seconds\":1,"
        "\"bad_images\":0}\n",
        /* a number in words */
        "{\"epoch\":1,\"step\":5,\"loss\":\"low\",\"accuracy\":1,\"validation\":null,\"ema\":null,"
        "\"learning_rate\":1,\"gradient_norm\":1,\"images_per_second\":1,\"seconds\":1,"
        "\"bad_images\":0}\n"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        write_text("metrics.jsonl", others[i]);
        assert_int_equal(app_train_metrics_read(&records, &count, "metrics.jsonl", &settings),
                         APP_EXIT_MODEL);
        assert_null(records);
    }
    assert_int_equal(app_train_metrics_read(&records, &count, "none.jsonl", &settings),
                     APP_EXIT_MODEL);
}

static void judges_by_what_was_measured(void **state)
{
    (void)state;
    app_train_record r[5];
    for (int i = 0; i < 5; i++) r[i] = app_train_record_empty();
    assert_int_equal(app_train_best(r, 0), SIZE_MAX);
    assert_int_equal(app_train_best(r, 5), SIZE_MAX);
    r[1].validation.accuracy = 0.5;
    r[1].validation.loss = 1;
    assert_int_equal(app_train_best(r, 5), 1);
    r[2].validation = r[1].validation; /* equal: the first */
    assert_int_equal(app_train_best(r, 5), 1);
    r[3].validation = (app_train_score){0.9, 0.5, 1, 0}; /* a lower loss decides then */
    assert_int_equal(app_train_best(r, 5), 3);
    r[4].validation = (app_train_score){2, 0.2, 1, 0}; /* the better of both is what is kept */
    r[4].ema = (app_train_score){0.1, 0.9, 1, 0};
    assert_int_equal(app_train_best(r, 5), 4);
    assert_ptr_equal(app_train_record_score(&r[4]), &r[4].ema);
    assert_ptr_equal(app_train_record_score(&r[3]), &r[3].validation);
    r[4].validation = r[4].ema; /* of equal ones the weights' own */
    assert_ptr_equal(app_train_record_score(&r[4]), &r[4].validation);
}

static void a_full_disk_keeps_whole_lines(void **state)
{
    (void)state;
    app_train_metrics *metrics;
    assert_int_equal(symlink("/dev/full", "metrics.jsonl"), 0);
    assert_int_equal(app_train_metrics_open(&metrics, ".", false, 0, &settings), APP_EXIT_DONE);
    const app_train_record r = record_of(1);
    assert_int_equal(app_train_metrics_append(metrics, &r), APP_EXIT_INTERNAL);
    app_train_metrics_close(metrics);
    char *csv = read_text("metrics.csv");
    assert_int_equal(count_text(csv, "\n"), 1); /* not one of them ahead of the other */
    free(csv);
}

static vitc_status attempt(void *user)
{
    app_train_metrics *metrics;
    app_train_record *records = NULL;
    size_t count;
    const app_train_record r = record_of(1);
    (void)user;
    (void)unlink("metrics.csv");
    (void)unlink("metrics.jsonl");
    int result = app_train_metrics_open(&metrics, ".", false, 0, &settings);
    if (result == APP_EXIT_DONE) result = app_train_metrics_append(metrics, &r);
    app_train_metrics_close(metrics);
    if (result == APP_EXIT_DONE)
        result = app_train_metrics_open(&metrics, ".", true, 50, &settings);
    else
        metrics = NULL;
    app_train_metrics_close(metrics);
    if (result == APP_EXIT_DONE)
        result = app_train_metrics_read(&records, &count, "metrics.jsonl", &settings);
    free(records);
    return result == APP_EXIT_DONE ? VITC_OK : VITC_ERR_MEMORY;
}

static void survives_without_memory(void **state)
{
    (void)state;
    malloc_fail_each(attempt, NULL);
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {in_folder(reads_back),
                                       in_folder(lines_are_as_documented),
                                       in_folder(resumes_as_if_nothing_had_happened),
                                       in_folder(resumes_before_the_first_record),
                                       in_folder(refuses_other_files),
                                       in_folder(judges_by_what_was_measured),
                                       in_folder(a_full_disk_keeps_whole_lines),
                                       in_folder(survives_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
