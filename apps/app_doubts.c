#include "app_doubts.h"

#include <stdlib.h>
#include <string.h>

#include "app_classes.h"
#include "app_model.h"
#include "app_report.h"
#include "app_stream.h"
#include "vitc_log.h"
#include "vitc_size.h"

enum { KEPT = 10 };

static const double slack = 1e-6; /* cleanlab's, for scores that are the threshold itself */

/* What a model said of one image. */
typedef struct opinion {
    bool known;
    uint32_t label; /* the model's class */
    uint32_t classes[KEPT];
    float scores[KEPT], score_label;
} opinion;

typedef struct run {
    app_doubts *doubts;
    const app_scan *scan;
    size_t set;
    uint32_t class_count, kept;
    app_classes *classes;
    opinion *opinions; /* [images of the set] */
    double *sums;      /* [class_count]: of the scores of a class over the images labelled so */
    uint64_t *counts;
    bool refused; /* an answer ended the run, not the data */
} run;

static int hear(void *user, const datasets_item *item, const app_answer *answer)
{
    run *r = user;
    const size_t begin = r->scan->sets[r->set].begin, end = r->scan->sets[r->set].end;
    if (answer->status != VITC_OK || item->label == DATASETS_UNLABELLED) return APP_EXIT_DONE;
    if (item->index >= end - begin ||
        strcmp(item->path, app_scan_path(r->scan, &r->scan->images[begin + item->index])) != 0)
        return APP_EXIT_DONE; /* the set has changed */
    opinion *o = &r->opinions[item->index];
    const int result = app_classes_label(&o->label, r->classes, item->label);
    r->refused = result != APP_EXIT_DONE;
    if (r->refused) return result;
    o->known = true;
    o->score_label = answer->scores[o->label];
    r->sums[o->label] += (double)o->score_label;
    r->counts[o->label]++;
    vit_top_k(o->classes, r->kept, answer->scores, r->class_count);
    for (uint32_t i = 0; i < r->kept; i++) o->scores[i] = answer->scores[o->classes[i]];
    return APP_EXIT_DONE;
}

static bool add_doubt(app_doubts *doubts, const app_doubt *doubt)
{
    if (doubts->count == doubts->capacity) {
        size_t bytes;
        const size_t capacity = vitc_size_max(64, doubts->capacity * 2);
        if (!vitc_size_mul(capacity, sizeof *doubts->items, &bytes)) return false;
        app_doubt *items = realloc(doubts->items, bytes);
        if (items == NULL) return false;
        doubts->items = items;
        doubts->capacity = capacity;
    }
    doubts->items[doubts->count++] = *doubt;
    return true;
}

/* The highest score first, so that the first class that reaches its threshold is the guess. */
static bool judge(const run *r, size_t i)
{
    const opinion *o = &r->opinions[i];
    if (!o->known) return true;
    for (uint32_t k = 0; k < r->kept; k++) {
        const uint32_t class = o->classes[k];
        if (r->counts[class] == 0 ||
            (double)o->scores[k] < r->sums[class] / (double)r->counts[class] - slack)
            continue;
        if (class == o->label) return true;
        return add_doubt(r->doubts, &(app_doubt){.image = r->scan->sets[r->set].begin + i,
                                                 .guess = class,
                                                 .score_label = o->score_label,
                                                 .score_guess = o->scores[k]});
    }
    return true;
}

static int no_memory(const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    return app_exit_status(vitc_fail_memory(&log, "what the model says of the images"));
}

static int ask_model(run *r, datasets_set *set, size_t images, const app_settings *settings)
{
    const app_stream stream = {.settings = settings,
                               .model = r->doubts->model,
                               .set = set,
                               .images = images,
                               .told = true, /* by the scan */
                               .deliver = hear,
                               .user = r};
    app_times times = {0};
    int result = app_classes_match(&r->classes, set, r->doubts->model, settings);
    if (result == APP_EXIT_DONE) {
        result = app_stream_run(&stream, &times);
        /* Where the scan could read no further: what came before counts. */
        if (result == APP_EXIT_MODEL && r->scan->sets[r->set].error != NULL && !r->refused)
            result = APP_EXIT_DONE;
    }
    for (size_t i = 0; i < images && result == APP_EXIT_DONE; i++)
        if (!judge(r, i)) result = no_memory(settings);
    app_classes_free(r->classes);
    return result;
}

static int look_at_set(app_doubts *doubts, const app_scan *scan, size_t number,
                       const app_settings *settings)
{
    const vitc_log log = app_log_errors(); /* the scan has told the rest */
    const size_t images = scan->sets[number].end - scan->sets[number].begin;
    const uint32_t classes = vit_model_describe(doubts->model).config->classes;
    run r = {.doubts = doubts,
             .scan = scan,
             .set = number,
             .class_count = classes,
             .kept = classes < KEPT ? classes : KEPT};
    datasets_set *set = NULL;
    r.opinions = calloc(images + 1, sizeof *r.opinions);
    r.sums = calloc(classes, sizeof *r.sums);
    r.counts = calloc(classes, sizeof *r.counts);
    int result = r.opinions != NULL && r.sums != NULL && r.counts != NULL ? APP_EXIT_DONE
                                                                          : no_memory(settings);
    if (result == APP_EXIT_DONE)
        result = app_exit_status(
            datasets_open(&set, &scan->sets[number].name, 1, &scan->sets[number].options, &log));
    if (result == APP_EXIT_DONE) result = ask_model(&r, set, images, settings);
    datasets_close(set);
    free(r.opinions);
    free(r.sums);
    free(r.counts);
    return result;
}

static int compare_doubts(const void *a, const void *b)
{
    const app_doubt *x = a, *y = b;
    if (x->score_label != y->score_label) return x->score_label > y->score_label ? 1 : -1;
    return (x->image > y->image) - (x->image < y->image);
}

int app_doubts_find(app_doubts *doubts, const app_scan *scan, const app_settings *settings)
{
    *doubts = (app_doubts){0};
    int result = app_model_load(&doubts->model, settings);
    for (size_t i = 0; i < scan->set_count && result == APP_EXIT_DONE; i++)
        if (scan->sets[i].options.labelled) result = look_at_set(doubts, scan, i, settings);
    if (result == APP_EXIT_DONE && doubts->count > 0)
        qsort(doubts->items, doubts->count, sizeof *doubts->items, compare_doubts);
    return result;
}

void app_doubts_free(app_doubts *doubts)
{
    vit_model_free(doubts->model);
    free(doubts->items);
    *doubts = (app_doubts){0};
}
