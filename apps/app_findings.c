#include "app_findings.h"

#include <stdlib.h>
#include <string.h>

#include "app_report.h"
#include "vitc_log.h"
#include "vitc_size.h"

/* Where more pairs look alike than this, the set holds one picture over and over. */
enum { MOST_PAIRS = 200000 };

/* ---- lists that keep the first few in some order ---- */

static void release(app_finding *finding)
{
    free(finding->path);
    free(finding->error);
}

/* Whether `score` would stand before finding `f`: in a list of high scores, or of low ones. */
static bool is_before(double score, const app_finding *f, bool high)
{
    return high ? score > f->score : score < f->score;
}

/* Puts the row into its place, behind its equals; what falls off the end is freed. False without
 * memory. */
static bool insert(app_finding_list *list, const app_row *row, bool high)
{
    size_t place = list->count;
    const bool bad = row->error != NULL;
    const double score = bad ? 0 : row->answer.confidence;
    while (place > 0 && is_before(score, &list->items[place - 1], high)) place--;
    if (place == list->most) return true;
    app_finding finding = {.index = row->index,
                           .path = strdup(row->path),
                           .error = bad ? strdup(row->error) : NULL,
                           .status = row->status,
                           .label = row->label,
                           .prediction = bad ? APP_NO_LABEL : row->answer.prediction,
                           .score = score};
    if (finding.path == NULL || (bad && finding.error == NULL)) {
        release(&finding);
        return false;
    }
    if (list->count == list->most)
        release(&list->items[list->count - 1]);
    else
        list->count++;
    memmove(&list->items[place + 1], &list->items[place],
            (list->count - 1 - place) * sizeof *list->items);
    list->items[place] = finding;
    return true;
}

/* ---- images that look alike ---- */

typedef struct hashes {
    uint64_t *values; /* apart, as datasets_pairs_find takes them */
    app_twin *images;
    size_t count, capacity;
} hashes;

static void hashes_free(hashes *h)
{
    free(h->values);
    free(h->images);
}

static bool hashes_grow(hashes *h)
{
    const size_t capacity = h->capacity == 0 ? 1024 : 2 * h->capacity;
    size_t bytes;
    if (!vitc_size_mul(capacity, sizeof *h->images, &bytes)) return false;
    uint64_t *values = realloc(h->values, capacity * sizeof *values); /* no larger than images */
    if (values == NULL) return false;
    h->values = values;
    app_twin *images = realloc(h->images, bytes);
    if (images == NULL) return false;
    h->images = images;
    h->capacity = capacity;
    return true;
}

static bool hashes_add(hashes *h, const app_row *row)
{
    if (h->count == h->capacity && !hashes_grow(h)) return false;
    h->values[h->count] = row->hash;
    h->images[h->count++] = (app_twin){row->index, row->label};
    return true;
}

/* Keeps the few that differ least; pairs come in the set's order, which stays among equals. */
static void keep_pair(app_findings *f, const hashes *h, const datasets_pair *pair)
{
    size_t place = f->alike_count;
    f->alike_all++;
    while (place > 0 && pair->distance < f->alike[place - 1].distance) place--;
    if (place == APP_FINDINGS_SHOWN) return;
    if (f->alike_count < APP_FINDINGS_SHOWN) f->alike_count++;
    memmove(&f->alike[place + 1], &f->alike[place],
            (f->alike_count - 1 - place) * sizeof *f->alike);
    f->alike[place] = (app_likeness){
        .a = h->images[pair->a], .b = h->images[pair->b], .distance = pair->distance};
}

static int find_pairs(app_findings *f, const hashes *h, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    datasets_pair *pairs;
    size_t count;
    if (h->count < 2) return APP_EXIT_DONE;
    const vitc_status status = datasets_pairs_find(&pairs, &count, &f->alike_more, h->values,
                                                   h->count, APP_FINDINGS_BITS, MOST_PAIRS, &log);
    if (status != VITC_OK) return app_exit_status(status);
    for (size_t i = 0; i < count; i++)
        /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): a, b < h->count */
        if (h->images[pairs[i].a].label != h->images[pairs[i].b].label) keep_pair(f, h, &pairs[i]);
    free(pairs);
    return APP_EXIT_DONE;
}

/* ---- the pass ---- */

static size_t bin_of(double score)
{
    const double place = score * APP_FINDINGS_BINS;
    return place < 0 ? 0 : place >= APP_FINDINGS_BINS ? APP_FINDINGS_BINS - 1 : (size_t)place;
}

/* False without memory. */
static bool look_at(app_findings *f, hashes *h, const app_row *row)
{
    if (row->error != NULL) return insert(&f->bad, row, false);
    const bool is_right = row->answer.prediction == row->label;
    f->unhashed += !row->hashed;
    (is_right ? f->right : f->wrong)[bin_of(row->answer.confidence)]++;
    return (is_right || insert(&f->worst, row, true)) && insert(&f->uncertain, row, false) &&
           (!row->hashed || hashes_add(h, row));
}

int app_findings_gather(app_findings *f, const app_evaluation *e)
{
    const vitc_log log = app_log(e->settings);
    hashes h = {0};
    app_rows_reader *reader = NULL;
    *f = (app_findings){.worst.most = APP_FINDINGS_SHOWN,
                        .uncertain.most = APP_FINDINGS_SHOWN,
                        .bad.most = APP_FINDINGS_BAD};
    int result = app_rows_open(&reader, e->rows, e->model, e->settings);
    for (bool found = true; result == APP_EXIT_DONE && found;) {
        app_row row;
        result = app_rows_next(&row, &found, reader);
        if (result == APP_EXIT_DONE && found && !look_at(f, &h, &row))
            result = app_exit_status(vitc_fail_memory(&log, "the report"));
    }
    app_rows_close(reader);
    if (result == APP_EXIT_DONE) result = find_pairs(f, &h, e->settings);
    hashes_free(&h);
    if (result != APP_EXIT_DONE) app_findings_free(f);
    return result;
}

static void free_list(app_finding_list *list)
{
    for (size_t i = 0; i < list->count; i++) release(&list->items[i]);
}

void app_findings_free(app_findings *f)
{
    free_list(&f->worst);
    free_list(&f->uncertain);
    free_list(&f->bad);
    *f = (app_findings){0};
}
