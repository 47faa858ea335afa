#include "app_rows.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app_output.h"
#include "app_report.h"

enum { DIGITS = 9 };

const char *app_row_status(size_t index)
{
    static const vitc_status statuses[APP_STATUS_COUNT] = {VITC_OK,
                                                           VITC_ERR_TRUNCATED,
                                                           VITC_ERR_CORRUPT,
                                                           VITC_ERR_UNSUPPORTED,
                                                           VITC_ERR_TOO_LARGE,
                                                           VITC_ERR_UNREADABLE,
                                                           VITC_ERR_OVERFLOW};
    return index < APP_STATUS_COUNT ? app_output_status(statuses[index]) : NULL;
}

/* ---- the text of a row ---- */

double app_row_number(double number)
{
    char text[32];
    if (!isfinite(number)) return NAN;
    snprintf(text, sizeof text, "%.*g", DIGITS, number);
    return strtod(text, NULL);
}

static bool put_label(vitc_json *object, const app_row *row, const vit_model *model)
{
    if (row->label == APP_NO_LABEL)
        return vitc_json_set_null(object, "label") && vitc_json_set_null(object, "label_index");
    return vitc_json_set_string(object, "label", vit_model_label(model, row->label)) &&
           vitc_json_set_integer(object, "label_index", row->label);
}

static bool put_top(vitc_json *object, const app_row *row, const vit_model *model)
{
    vitc_json *top = vitc_json_array();
    bool ok = top != NULL;
    for (uint32_t i = 0; i < row->top_count && ok; i++) {
        vitc_json *entry = vitc_json_object();
        ok = entry != NULL && vitc_json_set_integer(entry, "index", row->top[i]) &&
             vitc_json_set_string(entry, "label", vit_model_label(model, row->top[i])) &&
             vitc_json_set_number(entry, "score", (double)row->top_scores[i]);
        ok = vitc_json_append(top, entry) && ok;
    }
    return vitc_json_set(object, "top", top) && ok;
}

static bool put_answer(vitc_json *object, const app_row *row, const vit_model *model)
{
    const datasets_answer *answer = &row->answer;
    char hash[17];
    bool ok =
        vitc_json_set_string(object, "prediction", vit_model_label(model, answer->prediction)) &&
        vitc_json_set_number(object, "score", answer->confidence) &&
        vitc_json_set_integer(object, "rank", answer->rank) &&
        vitc_json_set_number(object, "nll", answer->nll) &&
        vitc_json_set_number(object, "brier", answer->brier) && put_top(object, row, model);
    if (row->hashed) {
        snprintf(hash, sizeof hash, "%016" PRIx64, row->hash);
        ok = ok && vitc_json_set_string(object, "hash", hash);
    }
    return ok;
}

static bool put_logits(vitc_json *object, const float *logits, uint32_t classes)
{
    vitc_json *list = vitc_json_array();
    bool ok = list != NULL;
    for (uint32_t k = 0; k < classes && ok; k++)
        ok = vitc_json_append_number(list, (double)logits[k]);
    return vitc_json_set(object, "logits", list) && ok;
}

char *app_row_format(const app_row *row, const vit_model *model)
{
    vitc_json *o = vitc_json_object();
    bool ok = o != NULL && vitc_json_set_integer(o, "index", (int64_t)row->index) &&
              vitc_json_set_string(o, "path", row->path) &&
              vitc_json_set_string(o, "status", row->status) && put_label(o, row, model);
    if (row->error == NULL)
        ok = ok && put_answer(o, row, model);
    else
        ok = ok && vitc_json_set_string(o, "error", row->error);
    if (row->width != 0)
        ok = ok && vitc_json_set_integer(o, "width", row->width) &&
             vitc_json_set_integer(o, "height", row->height);
    if (!isnan(row->milliseconds)) ok = ok && vitc_json_set_number(o, "ms", row->milliseconds);
    if (row->logits != NULL)
        ok = ok && put_logits(o, row->logits, vit_model_describe(model).config->classes);
    char *text = ok ? vitc_json_dump(o, 0, DIGITS) : NULL;
    vitc_json_free(o);
    if (text == NULL) return NULL;
    const size_t length = strlen(text);
    char *line = realloc(text, length + 2);
    if (line == NULL) {
        free(text);
        return NULL;
    }
    memcpy(line + length, "\n", 2);
    return line;
}

/* ---- reading ---- */

struct app_rows_reader {
    const char *path;
    const vit_model *model;
    const app_settings *settings;
    uint32_t classes;
    FILE *file;
    char *line;
    size_t line_capacity;
    uint64_t good, lines;
    uint64_t least_index; /* that the next row may have */
    vitc_json *description, *row;
    uint32_t *top; /* K each */
    float *top_scores, *logits;
};

/* What is left of a first line has to be that of rows: such a file is written over. */
static int check_torn(const app_rows_reader *r, size_t length)
{
    static const char start[] = "{\"vitc_rows\"";
    const size_t n = length < sizeof start - 1 ? length : sizeof start - 1;
    if (r->lines > 0 || memcmp(r->line, start, n) == 0) return APP_EXIT_DONE;
    app_error("%s: holds something else than rows, and nothing was changed", r->path);
    return APP_EXIT_MODEL;
}

/* The next line as JSON; *document NULL at the end of what is whole. */
static int next_line(vitc_json **document, app_rows_reader *r)
{
    *document = NULL;
    errno = 0;
    const ssize_t length = getline(&r->line, &r->line_capacity, r->file);
    if (length < 0 && errno == ENOMEM) return app_lines_no_memory(r->path);
    if (length < 0 && ferror(r->file)) {
        app_error("%s: cannot be read: %s", r->path, strerror(errno));
        return APP_EXIT_MODEL;
    }
    if (length <= 0) return APP_EXIT_DONE;
    if (r->line[length - 1] != '\n') return check_torn(r, (size_t)length);
    const vitc_log log = app_log(r->settings);
    char name[512];
    snprintf(name, sizeof name, "%s, line %" PRIu64, r->path, r->lines + 1);
    const vitc_status status = vitc_json_parse(document, r->line, (size_t)length - 1, name, &log);
    if (status != VITC_OK) return app_exit_status(status);
    r->good += (uint64_t)length;
    r->lines++;
    return APP_EXIT_DONE;
}

int app_rows_open(app_rows_reader **reader, const char *path, const vit_model *model,
                  const app_settings *settings)
{
    *reader = NULL;
    app_rows_reader *r = calloc(1, sizeof *r);
    if (r == NULL) return app_lines_no_memory(path);
    const uint32_t classes = vit_model_describe(model).config->classes;
    r->path = path;
    r->model = model;
    r->settings = settings;
    r->classes = classes;
    r->top = calloc(classes, sizeof *r->top);
    r->top_scores = calloc(classes, sizeof *r->top_scores);
    r->logits = calloc(classes, sizeof *r->logits);
    int result = APP_EXIT_DONE;
    if (r->top == NULL || r->top_scores == NULL || r->logits == NULL) {
        result = app_lines_no_memory(path);
    } else {
        r->file = fopen(path, "re");
        if (r->file == NULL) {
            app_error("%s: rows cannot be read: %s", path, strerror(errno));
            result = APP_EXIT_MODEL;
        }
    }
    if (result == APP_EXIT_DONE) result = next_line(&r->description, r);
    if (result == APP_EXIT_DONE && r->description != NULL &&
        vitc_json_integer(vitc_json_get(r->description, "vitc_rows"), 0) != 1) {
        app_error("%s: no file of rows that this vitc reads: its first line lacks \"vitc_rows\": 1",
                  path);
        result = APP_EXIT_MODEL;
    }
    if (result != APP_EXIT_DONE) {
        app_rows_close(r);
        return result;
    }
    *reader = r;
    return APP_EXIT_DONE;
}

void app_rows_close(app_rows_reader *r)
{
    if (r == NULL) return;
    if (r->file != NULL) fclose(r->file);
    vitc_json_free(r->description);
    vitc_json_free(r->row);
    free(r->line);
    free(r->top);
    free(r->top_scores);
    free(r->logits);
    free(r);
}

const vitc_json *app_rows_description(const app_rows_reader *reader)
{
    return reader->description;
}

uint64_t app_rows_good(const app_rows_reader *reader)
{
    return reader->good;
}

static bool get_index(uint32_t *index, const vitc_json *value, uint32_t count)
{
    const int64_t found = vitc_json_integer(value, -1);
    if (found < 0 || found >= (int64_t)count) return false;
    *index = (uint32_t)found;
    return true;
}

/* A label's number, which has the name that the model gives it. */
static bool get_label(uint32_t *label, const vitc_json *index, const vitc_json *name,
                      const app_rows_reader *r)
{
    return get_index(label, index, r->classes) &&
           strcmp(vitc_json_string(name, ""), vit_model_label(r->model, *label)) == 0;
}

static bool get_number(double *number, const vitc_json *value)
{
    *number = vitc_json_number(value, NAN);
    return vitc_json_is_number(value) || vitc_json_is_null(value);
}

static bool get_status(app_row *row, const char *word)
{
    for (size_t i = 0; (row->status = app_row_status(i)) != NULL; i++)
        if (strcmp(row->status, word) == 0) return true;
    return false;
}

static bool get_top(app_row *row, const vitc_json *top, app_rows_reader *r)
{
    const size_t count = vitc_json_size(top);
    if (!vitc_json_is_array(top) || count == 0 || count > r->classes) return false;
    for (size_t i = 0; i < count; i++) {
        const vitc_json *entry = vitc_json_at(top, i);
        double score;
        if (!get_label(&r->top[i], vitc_json_get(entry, "index"), vitc_json_get(entry, "label"),
                       r) ||
            !get_number(&score, vitc_json_get(entry, "score")))
            return false;
        r->top_scores[i] = (float)score;
    }
    row->top_count = (uint32_t)count;
    row->top = r->top;
    row->top_scores = r->top_scores;
    return true;
}

static bool get_logits(app_row *row, const vitc_json *logits, app_rows_reader *r)
{
    if (logits == NULL) return true;
    if (vitc_json_size(logits) != r->classes) return false;
    for (uint32_t k = 0; k < r->classes; k++) {
        double logit;
        if (!get_number(&logit, vitc_json_at(logits, k))) return false;
        r->logits[k] = (float)logit;
    }
    row->logits = r->logits;
    return true;
}

static bool get_hash(app_row *row, const vitc_json *hash)
{
    if (hash == NULL) return true;
    const char *digits = vitc_json_string(hash, "");
    if (strlen(digits) != 16 || strspn(digits, "0123456789abcdef") != 16) return false;
    row->hash = strtoull(digits, NULL, 16);
    row->hashed = true;
    return true;
}

static bool get_answer(app_row *row, const vitc_json *o, app_rows_reader *r)
{
    datasets_answer *answer = &row->answer;
    uint32_t rank;
    if (row->label == APP_NO_LABEL || !get_top(row, vitc_json_get(o, "top"), r) ||
        !get_index(&rank, vitc_json_get(o, "rank"), r->classes + 1) || rank == 0)
        return false;
    answer->label = row->label;
    answer->prediction = row->top[0];
    answer->rank = rank;
    return strcmp(vitc_json_string(vitc_json_get(o, "prediction"), ""),
                  vit_model_label(r->model, answer->prediction)) == 0 &&
           get_number(&answer->confidence, vitc_json_get(o, "score")) &&
           get_number(&answer->nll, vitc_json_get(o, "nll")) &&
           get_number(&answer->brier, vitc_json_get(o, "brier")) &&
           get_logits(row, vitc_json_get(o, "logits"), r) &&
           get_hash(row, vitc_json_get(o, "hash"));
}

static bool get_row(app_row *row, const vitc_json *o, app_rows_reader *r)
{
    const int64_t index = vitc_json_integer(vitc_json_get(o, "index"), -1);
    const vitc_json *label = vitc_json_get(o, "label_index");
    *row = (app_row){.label = APP_NO_LABEL};
    row->path = vitc_json_string(vitc_json_get(o, "path"), NULL);
    row->milliseconds = vitc_json_number(vitc_json_get(o, "ms"), NAN);
    if (index < 0 || (uint64_t)index < r->least_index || row->path == NULL ||
        !get_status(row, vitc_json_string(vitc_json_get(o, "status"), "")))
        return false;
    row->index = (uint64_t)index;
    if (!vitc_json_is_null(label) && !get_label(&row->label, label, vitc_json_get(o, "label"), r))
        return false;
    if (vitc_json_get(o, "width") != NULL &&
        (!get_index(&row->width, vitc_json_get(o, "width"), UINT32_MAX) ||
         !get_index(&row->height, vitc_json_get(o, "height"), UINT32_MAX)))
        return false;
    if (strcmp(row->status, "ok") == 0) return get_answer(row, o, r);
    row->error = vitc_json_string(vitc_json_get(o, "error"), NULL);
    return row->error != NULL;
}

int app_rows_next(app_row *row, bool *found, app_rows_reader *r)
{
    vitc_json_free(r->row);
    r->row = NULL;
    *found = false;
    const int result = next_line(&r->row, r);
    if (result != APP_EXIT_DONE || r->row == NULL) return result;
    if (!get_row(row, r->row, r)) {
        app_error("%s, line %" PRIu64 ": no row of this model's evaluation, or not in its place; "
                  "rows are continued only as they were written",
                  r->path, r->lines);
        return APP_EXIT_MODEL;
    }
    r->least_index = row->index + 1;
    *found = true;
    return APP_EXIT_DONE;
}

/* ---- differences between descriptions ---- */

/* What is told of the run but may differ: where things lie. What is in them, and in a file of
 * names, is in the fingerprints. */
static bool may_differ(const char *key)
{
    return strcmp(key, "path") == 0 || strcmp(key, "paths") == 0 || strcmp(key, "class_names") == 0;
}

/* Values that say nothing to people by themselves. */
static const char *in_words(const char *name)
{
    static const char *const words[][2] = {
        {"model.sha256", "the weights are another file's"},
        {"data.fingerprint", "the data has other images, names or labels"},
        {"validation.fingerprint", "the validation data has other images, names or labels"},
        {"data.map_sha256", "the file of --map says something else"},
        {"data.class_names_sha256", "the file of --class-names says something else"},
        {"options.preprocess", "images are prepared in another way"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i][0], name) == 0) return words[i][1];
    return NULL;
}

static void write_difference(FILE *out, const char *name, const vitc_json *then,
                             const vitc_json *now, const char *const sides[2])
{
    const char *words = in_words(name);
    char before[128], after[128];
    if (words != NULL) {
        fprintf(out, "%s\n", words);
        return;
    }
    vitc_json_describe(before, sizeof before, then);
    vitc_json_describe(after, sizeof after, now);
    fprintf(out, "%s: %s %s, %s %s\n", name, before, sides[0], after, sides[1]);
}

static bool is_same(const vitc_json *a, const vitc_json *b)
{
    bool same = a == NULL && b == NULL;
    char *x = a != NULL ? vitc_json_dump(a, 0, DIGITS) : NULL;
    char *y = b != NULL ? vitc_json_dump(b, 0, DIGITS) : NULL;
    if (x != NULL && y != NULL) same = strcmp(x, y) == 0;
    free(x);
    free(y);
    return same;
}

static void write_differences(FILE *out, const char *prefix, const vitc_json *then,
                              const vitc_json *now, const char *const sides[2])
{
    const vitc_json *const both[] = {now, then};
    for (int side = 0; side < 2; side++) {
        const vitc_json *o = both[side];
        for (void *it = vitc_json_first(o); it != NULL; it = vitc_json_next(o, it)) {
            char name[128];
            const char *key = vitc_json_key(it);
            const vitc_json *a = vitc_json_get(then, key), *b = vitc_json_get(now, key);
            if (may_differ(key) || (side == 1 && b != NULL)) continue;
            const bool deeper = vitc_json_is_object(a) && vitc_json_is_object(b);
            snprintf(name, sizeof name, "%s%s%s", prefix, key, deeper ? "." : "");
            if (deeper) {
                write_differences(out, name, a, b, sides);
            } else if (!is_same(a, b)) {
                write_difference(out, name, a, b, sides);
            }
        }
    }
}

char *app_rows_differences(const vitc_json *then, const vitc_json *now, const char *const sides[2])
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) return NULL;
    write_differences(out, "", then, now, sides);
    const bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}

void app_rows_tell(const char *name, char *lines)
{
    for (char *line = lines; *line != 0;) {
        char *end = strchr(line, '\n');
        *end = 0;
        app_error("%s: %s", name, line);
        line = end + 1;
    }
}

/* ---- writing ---- */

int app_rows_begin(app_lines *lines, uint64_t good, const char *path, const vitc_json *description)
{
    int result = app_lines_begin(lines, good);
    if (result != APP_EXIT_DONE || good > 0) return result;
    char *text = vitc_json_dump(description, 0, DIGITS);
    char *line = NULL;
    if (text == NULL || asprintf(&line, "%s\n", text) < 0) {
        free(text);
        return app_lines_no_memory(path);
    }
    result = app_lines_write(lines, line);
    free(line);
    free(text);
    return result;
}
