#include "app_train_metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app_lines.h"
#include "app_report.h"
#include "app_rows.h"
#include "vitc_file.h"
#include "vitc_json.h"

enum { DIGITS = 9, MOST_BYTES = 1 << 30 };

static const char csv_header[] =
    "epoch,step,loss,accuracy,validation_loss,validation_accuracy,validation_top5,validation_ece,"
    "ema_loss,ema_accuracy,ema_top5,ema_ece,learning_rate,gradient_norm,images_per_second,seconds,"
    "bad_images\n";

struct app_train_metrics {
    char *jsonl_path, *csv_path;
    app_lines *jsonl, *csv;
    app_train_record *records;
    size_t count, room;
};

app_train_record app_train_record_empty(void)
{
    const app_train_score none = {NAN, NAN, NAN, NAN};
    return (app_train_record){.loss = NAN,
                              .accuracy = NAN,
                              .validation = none,
                              .ema = none,
                              .learning_rate = NAN,
                              .gradient_norm = NAN,
                              .images_per_second = NAN,
                              .seconds = NAN};
}

/* ---- judging ---- */

static bool is_measured(const app_train_score *score)
{
    return !isnan(score->loss) || !isnan(score->accuracy) || !isnan(score->top5) ||
           !isnan(score->ece);
}

bool app_train_is_better(const app_train_score *a, const app_train_score *b)
{
    if (isnan(a->accuracy) || isnan(b->accuracy)) return !isnan(a->accuracy);
    if (a->accuracy != b->accuracy) return a->accuracy > b->accuracy;
    return a->loss < b->loss;
}

const app_train_score *app_train_record_score(const app_train_record *record)
{
    return app_train_is_better(&record->ema, &record->validation) ? &record->ema
                                                                  : &record->validation;
}

size_t app_train_best(const app_train_record *records, size_t count)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        const app_train_score *score = app_train_record_score(&records[i]);
        if (isnan(score->accuracy)) continue;
        if (best == SIZE_MAX || app_train_is_better(score, app_train_record_score(&records[best])))
            best = i;
    }
    return best;
}

/* ---- the text of a record ---- */

/* Where the numbers of a record are, in the order of the columns. */
enum { SCORE_COUNT = 4, TIME_COUNT = 4 };
static const char *const score_names[SCORE_COUNT] = {"loss", "accuracy", "top5", "ece"};
static const char *const time_names[TIME_COUNT] = {"learning_rate", "gradient_norm",
                                                   "images_per_second", "seconds"};

static double *score_field(app_train_score *score, int i)
{
    double *const fields[SCORE_COUNT] = {&score->loss, &score->accuracy, &score->top5, &score->ece};
    return fields[i];
}

static double *time_field(app_train_record *record, int i)
{
    double *const fields[TIME_COUNT] = {&record->learning_rate, &record->gradient_norm,
                                        &record->images_per_second, &record->seconds};
    return fields[i];
}

/* With the digits of the files, so that what is drawn does not depend on whether a run was
 * resumed. */
static app_train_record rounded(app_train_record r)
{
    r.loss = app_row_number(r.loss);
    r.accuracy = app_row_number(r.accuracy);
    for (int i = 0; i < SCORE_COUNT; i++) {
        *score_field(&r.validation, i) = app_row_number(*score_field(&r.validation, i));
        *score_field(&r.ema, i) = app_row_number(*score_field(&r.ema, i));
    }
    for (int i = 0; i < TIME_COUNT; i++) *time_field(&r, i) = app_row_number(*time_field(&r, i));
    return r;
}

static bool put_score(vitc_json *object, const char *name, app_train_score score)
{
    if (!is_measured(&score)) return vitc_json_set_null(object, name);
    vitc_json *part = vitc_json_object();
    bool ok = part != NULL;
    for (int i = 0; i < SCORE_COUNT && ok; i++)
        ok = vitc_json_set_number(part, score_names[i], *score_field(&score, i));
    return vitc_json_set(object, name, part) && ok;
}

char *app_train_record_json(const app_train_record *record)
{
    app_train_record r = rounded(*record);
    vitc_json *o = vitc_json_object();
    bool ok = o != NULL && vitc_json_set_integer(o, "epoch", r.epoch) &&
              vitc_json_set_integer(o, "step", (int64_t)r.step) &&
              vitc_json_set_number(o, "loss", r.loss) &&
              vitc_json_set_number(o, "accuracy", r.accuracy) &&
              put_score(o, "validation", r.validation) && put_score(o, "ema", r.ema);
    for (int i = 0; i < TIME_COUNT && ok; i++)
        ok = vitc_json_set_number(o, time_names[i], *time_field(&r, i));
    ok = ok && vitc_json_set_integer(o, "bad_images", (int64_t)r.bad_images);
    char *text = ok ? vitc_json_dump(o, 0, DIGITS) : NULL, *line = NULL;
    vitc_json_free(o);
    if (text != NULL && asprintf(&line, "%s\n", text) < 0) line = NULL;
    free(text);
    return line;
}

static void put_field(FILE *out, double number)
{
    if (isfinite(number))
        fprintf(out, ",%.*g", DIGITS, number);
    else
        fputc(',', out);
}

static char *format_csv(app_train_record r)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) return NULL;
    fprintf(out, "%" PRIu32 ",%" PRIu64, r.epoch, r.step);
    put_field(out, r.loss);
    put_field(out, r.accuracy);
    for (int i = 0; i < SCORE_COUNT; i++) put_field(out, *score_field(&r.validation, i));
    for (int i = 0; i < SCORE_COUNT; i++) put_field(out, *score_field(&r.ema, i));
    for (int i = 0; i < TIME_COUNT; i++) put_field(out, *time_field(&r, i));
    fprintf(out, ",%" PRIu64 "\n", r.bad_images);
    const bool failed = ferror(out) != 0;
    if (fclose(out) == 0 && !failed) return text;
    free(text);
    return NULL;
}

/* ---- reading ---- */

static bool get_number(double *number, const vitc_json *value)
{
    *number = vitc_json_number(value, NAN);
    return vitc_json_is_number(value) || vitc_json_is_null(value);
}

static bool get_count(uint64_t *count, const vitc_json *value, uint64_t most)
{
    const int64_t number = vitc_json_integer(value, -1);
    *count = (uint64_t)number;
    return vitc_json_is_integer(value) && number >= 0 && *count <= most;
}

static bool get_score(app_train_score *score, const vitc_json *value)
{
    bool ok = vitc_json_is_null(value) || vitc_json_is_object(value);
    for (int i = 0; i < SCORE_COUNT && ok && vitc_json_is_object(value); i++)
        ok = get_number(score_field(score, i), vitc_json_get(value, score_names[i]));
    return ok;
}

static bool get_record(app_train_record *r, const vitc_json *o)
{
    uint64_t epoch;
    *r = app_train_record_empty();
    bool ok = get_count(&epoch, vitc_json_get(o, "epoch"), UINT32_MAX) &&
              get_count(&r->step, vitc_json_get(o, "step"), INT64_MAX) &&
              get_number(&r->loss, vitc_json_get(o, "loss")) &&
              get_number(&r->accuracy, vitc_json_get(o, "accuracy")) &&
              get_score(&r->validation, vitc_json_get(o, "validation")) &&
              get_score(&r->ema, vitc_json_get(o, "ema")) &&
              get_count(&r->bad_images, vitc_json_get(o, "bad_images"), INT64_MAX);
    for (int i = 0; i < TIME_COUNT && ok; i++)
        ok = get_number(time_field(r, i), vitc_json_get(o, time_names[i]));
    r->epoch = (uint32_t)epoch;
    return ok;
}

static bool add_record(app_train_record **records, size_t *count, size_t *room,
                       const app_train_record *record)
{
    if (*records == NULL || *count == *room) {
        const size_t more = *room > 0 ? 2 * *room : 64;
        app_train_record *grown = realloc(*records, more * sizeof **records);
        if (grown == NULL) return false;
        *records = grown;
        *room = more;
    }
    (*records)[(*count)++] = *record;
    return true;
}

typedef struct reading {
    const char *path, *text;
    size_t size;     /* of the text */
    uint32_t epochs; /* records past them are not read */
    app_train_record *records;
    size_t count, room;
    uint64_t good; /* bytes of the records that were read */
} reading;

static bool follows(const app_train_record *record, const reading *r)
{
    const app_train_record *last = r->count > 0 ? &r->records[r->count - 1] : NULL;
    return last == NULL || (record->epoch > last->epoch && record->step >= last->step);
}

/* One line; *end where its record is past the epochs. */
static int read_line(reading *r, bool *end, size_t length)
{
    const vitc_log silent = {0};
    vitc_json *document = NULL;
    app_train_record record;
    const vitc_status status =
        vitc_json_parse(&document, r->text + r->good, length, r->path, &silent);
    const bool ok = status == VITC_OK && get_record(&record, document) && follows(&record, r);
    vitc_json_free(document);
    if (status == VITC_ERR_MEMORY) return app_lines_no_memory(r->path);
    if (!ok) {
        app_error("%s: line %zu is not a record of a training run", r->path, r->count + 1);
        return APP_EXIT_MODEL;
    }
    *end = record.epoch > r->epochs;
    if (*end) return APP_EXIT_DONE;
    r->good += length;
    return add_record(&r->records, &r->count, &r->room, &record) ? APP_EXIT_DONE
                                                                 : app_lines_no_memory(r->path);
}

static int read_records(reading *r, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    unsigned char *text = NULL;
    const vitc_status status = vitc_file_read(&text, &r->size, r->path, MOST_BYTES, &log);
    if (status != VITC_OK) return app_exit_status(status);
    r->text = (const char *)text;
    int result = APP_EXIT_DONE;
    for (bool end = false; !end && result == APP_EXIT_DONE;) {
        const char *newline =
            r->good < r->size ? memchr(r->text + r->good, '\n', r->size - r->good) : NULL;
        if (newline == NULL) break; /* the end, or what a kill left of a line */
        result = read_line(r, &end, (size_t)(newline + 1 - (r->text + r->good)));
    }
    free(text);
    r->text = NULL;
    if (result != APP_EXIT_DONE) {
        free(r->records);
        r->records = NULL;
    }
    return result;
}

int app_train_metrics_read(app_train_record **records, size_t *count, const char *path,
                           const app_settings *settings)
{
    reading r = {.path = path, .epochs = UINT32_MAX};
    const int result = read_records(&r, settings);
    *records = r.records;
    *count = result == APP_EXIT_DONE ? r.count : 0;
    return result;
}

/* ---- writing ---- */

/* A file of something else by that name is not one to make anew. */
static int check_csv(const char *path, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    const size_t length = strlen(csv_header);
    unsigned char *text = NULL;
    size_t size;
    const vitc_status status = vitc_file_read(&text, &size, path, MOST_BYTES, &log);
    if (status != VITC_OK) return app_exit_status(status);
    /* What a kill left of the first line counts too. */
    const bool ours = size == 0 || memcmp(text, csv_header, size < length ? size : length) == 0;
    free(text);
    if (ours) return APP_EXIT_DONE;
    app_error("%s: does not hold the metrics of a training run", path);
    return APP_EXIT_MODEL;
}

static int write_text(app_lines *lines, const char *path, char *text)
{
    const int result = text != NULL ? app_lines_write(lines, text) : app_lines_no_memory(path);
    free(text);
    return result;
}

static int write_csv(app_train_metrics *m)
{
    int result = app_lines_begin(m->csv, 0);
    if (result == APP_EXIT_DONE) result = app_lines_write(m->csv, csv_header);
    for (size_t i = 0; i < m->count && result == APP_EXIT_DONE; i++)
        result = write_text(m->csv, m->csv_path, format_csv(m->records[i]));
    return result == APP_EXIT_DONE ? app_lines_sync(m->csv) : result;
}

static int open_files(app_train_metrics *m, bool resume, uint32_t epochs,
                      const app_settings *settings)
{
    reading r = {.path = m->jsonl_path, .epochs = epochs};
    int result = app_lines_create(&m->jsonl, m->jsonl_path, resume);
    if (result == APP_EXIT_DONE) result = app_lines_create(&m->csv, m->csv_path, resume);
    if (result == APP_EXIT_DONE && resume) result = check_csv(m->csv_path, settings);
    if (result == APP_EXIT_DONE && resume) result = read_records(&r, settings);
    m->records = r.records;
    m->count = result == APP_EXIT_DONE ? r.count : 0;
    m->room = r.room;
    if (result == APP_EXIT_DONE) result = app_lines_begin(m->jsonl, r.good);
    return result == APP_EXIT_DONE ? write_csv(m) : result;
}

int app_train_metrics_open(app_train_metrics **metrics, const char *folder, bool resume,
                           uint32_t epochs, const app_settings *settings)
{
    *metrics = NULL;
    app_train_metrics *m = calloc(1, sizeof *m);
    if (m == NULL) return app_lines_no_memory(folder);
    m->jsonl_path = vitc_path_join(folder, "metrics.jsonl");
    m->csv_path = vitc_path_join(folder, "metrics.csv");
    int result =
        m->jsonl_path != NULL && m->csv_path != NULL ? APP_EXIT_DONE : app_lines_no_memory(folder);
    if (result == APP_EXIT_DONE) result = open_files(m, resume, epochs, settings);
    if (result == APP_EXIT_DONE)
        *metrics = m;
    else
        app_train_metrics_close(m);
    return result;
}

int app_train_metrics_append(app_train_metrics *m, const app_train_record *record)
{
    const app_train_record r = rounded(*record);
    int result = write_text(m->jsonl, m->jsonl_path, app_train_record_json(&r));
    if (result == APP_EXIT_DONE) result = write_text(m->csv, m->csv_path, format_csv(r));
    if (result == APP_EXIT_DONE) result = app_lines_sync(m->jsonl);
    if (result == APP_EXIT_DONE) result = app_lines_sync(m->csv);
    if (result == APP_EXIT_DONE && !add_record(&m->records, &m->count, &m->room, &r))
        result = app_lines_no_memory(m->jsonl_path);
    return result;
}

void app_train_metrics_close(app_train_metrics *m)
{
    if (m == NULL) return;
    /* Every append has waited for the disk. */
    (void)app_lines_finish(m->jsonl);
    (void)app_lines_finish(m->csv);
    free(m->jsonl_path);
    free(m->csv_path);
    free(m->records);
    free(m);
}

const app_train_record *app_train_metrics_records(const app_train_metrics *m, size_t *count)
{
    *count = m->count;
    return m->records;
}
