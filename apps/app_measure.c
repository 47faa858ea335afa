#include "app_measure.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app_classes.h"
#include "app_model.h"
#include "app_output.h"
#include "app_progress.h"
#include "app_ranks.h"
#include "app_report.h"
#include "app_stop.h"
#include "vitc_size.h"

/* The state of one run; zeroed, then filled from the top. */
typedef struct run {
    app_measure *m;
    app_evaluation *e;
    const app_settings *settings;
    datasets_set *set;
    app_classes *classes;
    datasets_scoring scoring;
    uint32_t model_classes; /* K */
    uint32_t top_count, *top;
    float *top_scores;
    app_lines *writer;
    uint64_t next;  /* the index of the first image that has no row yet */
    uint64_t first; /* that when images began to be read, in whatever thread */
    bool refused;   /* an answer ended the run, not the data */
} run;

static int no_memory(void)
{
    app_error("out of memory for the evaluation");
    return APP_EXIT_INTERNAL;
}

/* ---- the model ---- */

static int load_model(run *r)
{
    app_measure *m = r->m;
    int result = app_model_load(&m->model, r->settings);
    if (result != APP_EXIT_DONE) return result;
    const vit_config *config = vit_model_describe(m->model).config;
    if (config->scores == VIT_SCORES_RAW) {
        app_error("%s: gives numbers, not scores of classes; eval measures classifiers",
                  app_model_origin(r->settings));
        return APP_EXIT_MODEL;
    }
    r->model_classes = config->classes;
    r->scoring = (datasets_scoring){.independent = config->scores == VIT_SCORES_SIGMOID,
                                    .temperature =
                                        config->temperature > 0 ? (double)config->temperature : 1};
    r->e->model = m->model;
    r->e->model_path = app_model_origin(r->settings);
    /* Rows, pages and JSON tell it; without them it would be a second per 300 MB for nothing. */
    const bool told = r->settings->json || r->settings->rows != NULL || m->temporary != NULL;
    return told || app_ranks_size() > 1 ? app_model_hash(r->e->model_hash, r->settings)
                                        : APP_EXIT_DONE;
}

/* ---- the data ---- */

static void name_data(char *text, size_t size, const app_settings *settings)
{
    size_t used = 0;
    for (size_t i = 0; i < settings->operand_count; i++) {
        const char *name = settings->operands[i];
        if (used + strlen(name) + 32 > size && i > 0) {
            snprintf(text + used, size - used, " and %zu more", settings->operand_count - i);
            return;
        }
        const int length = snprintf(text + used, size - used, "%s%s", i > 0 ? " " : "", name);
        used = vitc_size_min(used + (size_t)length, size - 1);
    }
}

/* Images that have a row are passed over, and those of other ranks. */
static bool is_wanted(void *user, uint64_t index, const char *path)
{
    const run *r = user;
    return app_ranks_take(index, path) && index >= r->first;
}

static bool note_survey(void *user, uint64_t images)
{
    const run *r = user;
    app_progress_note(r->settings->quiet, "looking for images: %" PRIu64, images);
    return !app_stop_asked();
}

/* What is strange about the set, by the caller or by the first of several models. */
static bool is_told(const app_measure *m)
{
    return m->told || !m->first;
}

static int open_data(run *r)
{
    const app_settings *settings = r->settings;
    app_measure *m = r->m;
    const vitc_log log = is_told(m) ? app_log_errors() : app_log(settings);
    app_evaluation *e = r->e;
    name_data(m->data_text, sizeof m->data_text, settings);
    m->opening = app_classes_options(settings);
    e->data_text = m->data_text;
    e->opening = &m->opening;
    datasets_options options = m->opening;
    options.wanted = is_wanted;
    options.wanted_user = r;
    vitc_status status =
        datasets_open(&r->set, settings->operands, settings->operand_count, &options, &log);
    if (status != VITC_OK) return app_exit_status(status);
    e->kind = datasets_set_kind(r->set);
    status = datasets_survey_set(&e->survey, r->set, note_survey, r, &log);
    app_progress_clear();
    if (status != VITC_OK && app_stop_asked()) {
        e->stopped = "stopped by a signal";
        return APP_EXIT_DONE;
    }
    if (status != VITC_OK) return app_exit_status(status);
    if (e->survey.counted && e->survey.images == 0) {
        app_error("%s: no images there%s%s", e->data_text,
                  m->opening.part != DATASETS_ALL ? " in this part of --val-split" : "",
                  e->survey.strays > 0 ? "; files that are no pictures are left out" : "");
        return APP_EXIT_MODEL;
    }
    return app_classes_match(&r->classes, r->set, m->model, settings);
}

/* What lies there now, against what was there at the beginning. */
static void look_for_changes(run *r)
{
    const vitc_log log = app_log_errors();
    datasets_set *again;
    datasets_survey survey;
    app_evaluation *e = r->e;
    const vitc_status status = datasets_open(&again, r->settings->operands,
                                             r->settings->operand_count, &r->m->opening, &log);
    e->changed = status != VITC_OK;
    if (status == VITC_OK) {
        e->changed = datasets_survey_set(&survey, again, NULL, NULL, &log) != VITC_OK ||
                     strcmp(survey.fingerprint, e->survey.fingerprint) != 0;
        datasets_close(again);
    }
    if (e->survey.counted && e->n != e->survey.images) e->changed = true;
    if (e->changed && !e->survey.counted)
        app_warn("%s: changed while it was read", e->data_text);
    else if (e->changed)
        app_warn("%s: changed while it was read: %" PRIu64 " images at the beginning, %" PRIu64
                 " rows; the numbers are those of the rows",
                 e->data_text, e->survey.images, e->n);
}

/* ---- counting rows ---- */

static int keep_logits(run *r, const app_row *row)
{
    app_measure *m = r->m;
    const size_t at = (size_t)r->e->n_ok;
    if (row->logits == NULL) {
        app_error("%s: its row has no logits; rows are continued only as they were written",
                  row->path);
        return APP_EXIT_MODEL;
    }
    if (at == m->logits_capacity) {
        const size_t capacity = vitc_size_max(256, 2 * m->logits_capacity);
        size_t size;
        if (!vitc_size_mul3(capacity, r->model_classes, sizeof *m->logits, &size))
            return no_memory();
        float *logits = realloc(m->logits, size);
        if (logits != NULL) m->logits = logits;
        uint32_t *labels = realloc(m->labels, capacity * sizeof *labels);
        if (labels != NULL) m->labels = labels;
        if (logits == NULL || labels == NULL) return no_memory();
        m->logits_capacity = capacity;
    }
    memcpy(m->logits + at * r->model_classes, row->logits, r->model_classes * sizeof *row->logits);
    m->labels[at] = row->label;
    return APP_EXIT_DONE;
}

void app_marks_free(app_marks *marks)
{
    free(marks->items);
    *marks = (app_marks){0};
}

static int set_mark(app_marks *marks, uint64_t index, app_mark mark)
{
    if (index >= marks->capacity) {
        const size_t capacity = vitc_size_max((size_t)index + 1, 2 * marks->capacity + 4096);
        unsigned char *grown = realloc(marks->items, capacity);
        if (grown == NULL) return no_memory();
        memset(grown + marks->capacity, APP_MARK_UNSEEN, capacity - marks->capacity);
        marks->items = grown;
        marks->capacity = capacity;
    }
    marks->items[index] = (unsigned char)mark;
    return APP_EXIT_DONE;
}

static int mark_row(run *r, const app_row *row)
{
    app_marks *marks = r->m->marks;
    const app_mark mark = row->error != NULL                     ? APP_MARK_BAD
                          : row->answer.prediction == row->label ? APP_MARK_RIGHT
                                                                 : APP_MARK_WRONG;
    if (r->m->first) return set_mark(marks, row->index, mark);
    const app_mark other =
        row->index < marks->capacity ? (app_mark)marks->items[row->index] : APP_MARK_UNSEEN;
    r->e->compared = true;
    r->e->lost += other == APP_MARK_RIGHT && mark == APP_MARK_WRONG;
    r->e->gained += other == APP_MARK_WRONG && mark == APP_MARK_RIGHT;
    return APP_EXIT_DONE;
}

/* Everything that is told at the end comes through here. */
static int count_row(run *r, const app_row *row)
{
    const vitc_log log = app_log(r->settings);
    app_evaluation *e = r->e;
    int result = APP_EXIT_DONE;
    if (r->m->marks != NULL) result = mark_row(r, row);
    if (result == APP_EXIT_DONE && row->error == NULL)
        result = app_exit_status(datasets_metrics_add(e->metrics, &row->answer, &log));
    if (result == APP_EXIT_DONE && row->error == NULL && r->settings->calibrate != NULL)
        result = keep_logits(r, row);
    if (result != APP_EXIT_DONE) return result;
    for (size_t i = 0; i < APP_STATUS_COUNT; i++)
        e->by_status[i] += strcmp(app_row_status(i), row->status) == 0;
    e->n++;
    e->n_ok += row->error == NULL;
    e->n_bad += row->error != NULL;
    r->next = row->index + 1;
    return APP_EXIT_DONE;
}

/* ---- rows of an earlier run ---- */

static bool put_model(vitc_json *o, const run *r)
{
    vitc_json *model = vitc_json_object();
    const bool ok = model != NULL && vitc_json_set_string(model, "path", r->e->model_path) &&
                    vitc_json_set_string(model, "sha256", r->e->model_hash);
    return vitc_json_set(o, "model", model) && ok;
}

/* A file's SHA-256, or null where none is given. */
static bool put_file_hash(vitc_json *o, const char *key, const char *path, const run *r)
{
    char hash[VITC_SHA256_TEXT_SIZE];
    if (path == NULL) return vitc_json_set_null(o, key);
    return app_file_hash(hash, path, r->settings) == APP_EXIT_DONE &&
           vitc_json_set_string(o, key, hash);
}

static bool put_data(vitc_json *o, const run *r)
{
    static const char *const parts[] = {"all", "val", "rest"}; /* by datasets_part */
    const app_evaluation *e = r->e;
    const datasets_options *opening = e->opening;
    vitc_json *data = vitc_json_object(), *paths = vitc_json_array();
    bool ok = data != NULL && paths != NULL;
    for (size_t i = 0; i < r->settings->operand_count && ok; i++)
        ok = vitc_json_append_string(paths, r->settings->operands[i]);
    ok = vitc_json_set(data, "paths", paths) && ok &&
         vitc_json_set_string(data, "kind", datasets_kind_string(e->kind)) &&
         vitc_json_set_string(data, "subset", parts[opening->part]) &&
         vitc_json_set_number(data, "val_split", r->settings->val_split) &&
         vitc_json_set_integer(data, "seed", (int64_t)opening->seed);
    if (e->survey.counted)
        ok = ok && vitc_json_set_integer(data, "images", (int64_t)e->survey.images);
    ok = ok && vitc_json_set_string(data, "fingerprint", e->survey.fingerprint) &&
         put_file_hash(data, "map_sha256", r->settings->map, r);
    if (r->settings->class_names != NULL)
        ok = ok && put_file_hash(data, "class_names_sha256", r->settings->class_names, r);
    return vitc_json_set(o, "data", data) && ok;
}

static bool put_preprocess(vitc_json *o, const run *r)
{
    const vitc_log log = app_log(r->settings);
    char *text = NULL;
    vitc_json *spec = NULL;
    vitc_status status =
        patches_spec_format(&text, vit_model_describe(r->m->model).preprocess, &log);
    if (status == VITC_OK) status = vitc_json_parse(&spec, text, strlen(text), "spec", &log);
    free(text);
    return vitc_json_set(o, "preprocess", spec) && status == VITC_OK;
}

static bool put_options(vitc_json *o, const run *r)
{
    const app_settings *settings = r->settings;
    const vit_model_info info = vit_model_describe(r->m->model);
    const imgio_decode_options decode = app_decode_options(settings);
    vitc_json *options = vitc_json_object();
    const bool ok =
        options != NULL &&
        vitc_json_set_string(options, "precision", vit_precision_string(info.precision)) &&
        vitc_json_set_string(options, "precision_kernel", info.precision_kernel) &&
        vitc_json_set_string(options, "kernels", info.kernel_row) &&
        vitc_json_set_integer(options, "image_height", info.config->image_height) &&
        vitc_json_set_integer(options, "image_width", info.config->image_width) &&
        vitc_json_set_string(options, "tta", vit_views_string((vit_views)settings->views)) &&
        vitc_json_set_bool(options, "ignore_exif", decode.ignore_exif) &&
        vitc_json_set_bool(options, "fast_decode", decode.fast) &&
        vitc_json_set_integer(options, "max_pixels", (int64_t)decode.limits.max_pixels) &&
        vitc_json_set_integer(options, "top_k", r->top_count) &&
        vitc_json_set_bool(options, "logits", settings->calibrate != NULL) &&
        vitc_json_set_bool(options, "times", !settings->no_times) && put_preprocess(options, r);
    return vitc_json_set(o, "options", options) && ok;
}

/* The first line of the rows: all that the numbers depend on. */
static vitc_json *describe_run(const run *r)
{
    vitc_json *o = vitc_json_object();
    if (o != NULL && vitc_json_set_integer(o, "vitc_rows", 1) &&
        vitc_json_set_string(o, "vitc", vitc_version()) && put_model(o, r) && put_data(o, r) &&
        put_options(o, r))
        return o;
    vitc_json_free(o);
    no_memory();
    return NULL;
}

static int report_differences(const char *path, char *lines)
{
    app_rows_tell(path, lines);
    app_error("%s: its rows were made otherwise, and nothing was changed; continue with the same "
              "model, data and options, or give another file to --rows",
              path);
    return APP_EXIT_USAGE;
}

static int read_rows(run *r, app_rows_reader *reader, const char *path)
{
    app_row row;
    bool found;
    for (;;) {
        const int result = app_rows_next(&row, &found, reader);
        if (result != APP_EXIT_DONE || !found) return result;
        if (row.index != r->next) {
            app_error("%s: the row with index %" PRIu64 " is missing", path, r->next);
            return APP_EXIT_MODEL;
        }
        const int counted = count_row(r, &row);
        if (counted != APP_EXIT_DONE) return counted;
    }
}

/* Counts the rows that are there already; *good gets how far the file is whole. */
static int take_up(run *r, uint64_t *good, const char *path, const vitc_json *description)
{
    static const char *const sides[] = {"in the rows", "now"};
    app_rows_reader *reader;
    *good = 0;
    int result = app_rows_open(&reader, path, r->m->model, r->settings);
    if (result != APP_EXIT_DONE) return result;
    const vitc_json *then = app_rows_description(reader);
    if (then != NULL) {
        char *differences = app_rows_differences(then, description, sides);
        if (differences == NULL)
            result = no_memory();
        else if (differences[0] != 0)
            result = report_differences(path, differences);
        free(differences);
        if (result == APP_EXIT_DONE) result = read_rows(r, reader, path);
        *good = app_rows_good(reader);
        r->e->resumed = r->e->n;
    }
    app_rows_close(reader);
    return result;
}

static int open_rows(run *r, const vitc_json *description)
{
    const char *path = r->settings->rows != NULL ? r->settings->rows : r->m->temporary;
    if (path == NULL) return APP_EXIT_DONE;
    uint64_t good = 0;
    r->e->rows = path;
    int result = app_lines_create(&r->writer, path, r->settings->resume);
    if (result == APP_EXIT_DONE && r->settings->resume)
        result = take_up(r, &good, path, description);
    if (result == APP_EXIT_DONE) result = app_rows_begin(r->writer, good, path, description);
    return result;
}

/* ---- rows of this run ---- */

/* The best answers of an image, with the numbers that its row will hold. */
static void fill_answer(run *r, app_row *row, const app_answer *answer)
{
    datasets_answer *a = &row->answer;
    *a = datasets_answer_make(row->label, answer->logits, answer->scores, r->model_classes,
                              &r->scoring);
    a->confidence = app_row_number(a->confidence);
    a->nll = app_row_number(a->nll);
    a->brier = app_row_number(a->brier);
    vit_top_k(r->top, r->top_count, answer->scores, r->model_classes);
    for (uint32_t i = 0; i < r->top_count; i++) r->top_scores[i] = answer->scores[r->top[i]];
    row->top_count = r->top_count;
    row->top = r->top;
    row->top_scores = r->top_scores;
    if (r->settings->calibrate != NULL) row->logits = answer->logits;
    row->hashed = r->m->hash;
    row->hash = answer->hash;
}

static int fill_row(run *r, app_row *row, const datasets_item *item, const app_answer *answer)
{
    *row = (app_row){.index = item->index,
                     .path = item->path,
                     .status = app_output_status(answer->status),
                     .label = APP_NO_LABEL,
                     .width = answer->width,
                     .height = answer->height};
    row->milliseconds = r->settings->no_times ? NAN : app_row_number((double)answer->milliseconds);
    if (item->label >= 0) {
        const int result = app_classes_label(&row->label, r->classes, item->label);
        if (result != APP_EXIT_DONE) return result;
    }
    if (answer->status != VITC_OK) {
        row->error = app_output_reason(answer->status, answer->error, item->path);
    } else if (item->label < 0) {
        row->status = app_output_status(VITC_ERR_UNSUPPORTED);
        row->error = "has no label";
    } else {
        fill_answer(r, row, answer);
    }
    return APP_EXIT_DONE;
}

static bool is_too_bad(const run *r)
{
    return r->e->n_bad > (r->settings->strict ? 0 : r->settings->max_bad);
}

static void stop_for_bad(run *r)
{
    r->e->stopped = r->settings->strict ? "stopped at a bad image (--strict)"
                                        : "stopped at too many bad images (--max-bad)";
}

static int take(run *r, const datasets_item *item, const app_answer *answer)
{
    app_row row;
    if (answer->status == VITC_ERR_MEMORY) { /* which says nothing about the image */
        app_error("%s: out of memory", item->path);
        return APP_EXIT_INTERNAL;
    }
    if (item->index != r->next) { /* rows are continued only where they have no gap */
        app_error("%s: comes where image number %" PRIu64 " should; does every rank see the same?",
                  item->path, r->next);
        return APP_EXIT_MODEL;
    }
    int result = fill_row(r, &row, item, answer);
    if (result == APP_EXIT_DONE && r->writer != NULL) {
        char *text = app_row_format(&row, r->m->model);
        result = text != NULL ? app_lines_write(r->writer, text) : no_memory();
        free(text);
    }
    if (result != APP_EXIT_DONE) return result;
    if (row.error != NULL && !r->settings->quiet && !r->m->told)
        app_error("%s: %s", row.path, row.error);
    result = count_row(r, &row);
    if (result == APP_EXIT_DONE && is_too_bad(r)) {
        stop_for_bad(r);
        result = APP_EXIT_INPUTS;
    }
    return result;
}

static int deliver(void *user, const datasets_item *item, const app_answer *answer)
{
    run *r = user;
    const int result = take(r, item, answer);
    r->refused = result != APP_EXIT_DONE;
    return result;
}

static int run_images(run *r)
{
    app_evaluation *e = r->e;
    const bool counted = e->survey.counted;
    r->first = r->next;
    const app_stream stream = {.settings = r->settings,
                               .model = r->m->model,
                               .set = r->set,
                               .images = counted ? e->survey.images - r->next : UINT64_MAX,
                               .first = r->next,
                               .told = is_told(r->m),
                               .hash = r->m->hash,
                               .deliver = deliver,
                               .user = r};
    const int result = app_stream_run(&stream, &e->times);
    if (result == APP_EXIT_DONE && app_stop_asked()) e->stopped = "stopped by a signal";
    if (result == APP_EXIT_MODEL && e->n > 0 && !r->refused)
        e->stopped = "ended where the data cannot be read";
    return result;
}

/* ---- all of it ---- */

static int begin_rows(run *r)
{
    vitc_json *description = describe_run(r);
    int result = app_ranks_agree(description != NULL ? APP_EXIT_DONE : APP_EXIT_INTERNAL);
    if (result == APP_EXIT_DONE) result = app_ranks_compare(description, r->settings);
    if (result == APP_EXIT_DONE && app_ranks_first()) result = open_rows(r, description);
    if (result == APP_EXIT_DONE && is_too_bad(r)) { /* the rows of an earlier run are */
        stop_for_bad(r);
        result = APP_EXIT_INPUTS;
    }
    vitc_json_free(description);
    result = app_ranks_agree(result);
    return result == APP_EXIT_DONE ? app_ranks_copy_number(&r->next) : result;
}

static int prepare_alone(run *r)
{
    const vitc_log log = app_log(r->settings);
    int result = load_model(r);
    if (result == APP_EXIT_DONE) result = open_data(r);
    if (result != APP_EXIT_DONE || r->e->stopped != NULL) return result;
    r->top_count =
        r->settings->top < r->model_classes ? (uint32_t)r->settings->top : r->model_classes;
    r->top = calloc(r->top_count, sizeof *r->top);
    r->top_scores = calloc(r->top_count, sizeof *r->top_scores);
    if (r->top == NULL || r->top_scores == NULL) return no_memory();
    return app_exit_status(datasets_metrics_create(&r->e->metrics, r->model_classes, &log));
}

static int prepare(run *r)
{
    const int result = app_ranks_agree(prepare_alone(r));
    return result == APP_EXIT_DONE && !app_stop_asked() ? begin_rows(r) : result;
}

static int finish(run *r, int result)
{
    app_evaluation *e = r->e;
    const int written = app_lines_finish(r->writer);
    if (written > result) result = written;
    if (e->metrics == NULL || !app_ranks_first()) return result;
    e->results = datasets_metrics_results(e->metrics);
    e->class_count = datasets_class_count(r->set);
    if (result == APP_EXIT_DONE && e->stopped == NULL) {
        look_for_changes(r);
        if (e->n_ok == 0) {
            app_error("%s: no image there can be used", e->data_text);
            return APP_EXIT_MODEL;
        }
    }
    if (result == APP_EXIT_DONE && e->n_bad > 0) return APP_EXIT_INPUTS;
    return result;
}

int app_measure_run(app_measure *measure, app_evaluation *evaluation)
{
    run r = {.m = measure, .e = evaluation, .settings = measure->settings};
    *evaluation = (app_evaluation){.settings = measure->settings,
                                   .argc = measure->settings->argc,
                                   .argv = measure->settings->argv};
    measure->evaluation = evaluation;
    int result = prepare(&r);
    if (result == APP_EXIT_DONE && evaluation->stopped == NULL) result = run_images(&r);
    result = finish(&r, result);
    app_classes_free(r.classes);
    datasets_close(r.set);
    free(r.top);
    free(r.top_scores);
    return result;
}

void app_measure_free(app_measure *measure)
{
    vit_model_free(measure->model);
    free(measure->logits);
    free(measure->labels);
    measure->model = NULL;
    measure->logits = NULL;
    measure->labels = NULL;
    datasets_metrics_free(measure->evaluation->metrics);
    measure->evaluation->metrics = NULL;
    measure->evaluation->model = NULL;
}
