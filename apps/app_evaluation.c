#include "app_evaluation.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app_text.h"
#include "vitc_size.h"

/* Which classes the answer holds, and how many. */
static uint32_t class_count(const app_evaluation *e)
{
    return vit_model_describe(e->model).config->classes;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : NAN;
}

/* ---- JSON ---- */

static bool put_interval(vitc_json *o, const char *key, datasets_interval interval)
{
    vitc_json *list = vitc_json_array();
    bool ok = list != NULL && vitc_json_append_number(list, interval.low) &&
              vitc_json_append_number(list, interval.high);
    return vitc_json_set(o, key, list) && ok;
}

static bool put_bad(vitc_json *o, const app_evaluation *e)
{
    vitc_json *bad = vitc_json_object();
    bool ok = bad != NULL;
    for (size_t i = 1; i < APP_STATUS_COUNT && ok; i++)
        if (e->by_status[i] > 0)
            ok = vitc_json_set_integer(bad, app_row_status(i), (int64_t)e->by_status[i]);
    return vitc_json_set(o, "bad", bad) && ok;
}

static bool put_results(vitc_json *o, const datasets_results *r)
{
    return vitc_json_set_number(o, "top1", r->top1) &&
           put_interval(o, "top1_interval", r->top1_interval) &&
           vitc_json_set_number(o, "top5", r->top5) &&
           put_interval(o, "top5_interval", r->top5_interval) &&
           vitc_json_set_number(o, "loss", r->loss) && vitc_json_set_number(o, "brier", r->brier) &&
           vitc_json_set_number(o, "ece", r->ece) &&
           vitc_json_set_number(o, "ece_calibrated", r->ece_calibrated) &&
           vitc_json_set_number(o, "ece2_debiased", r->ece2_debiased) &&
           vitc_json_set_number(o, "mean_confidence", r->mean_confidence) &&
           vitc_json_set_number(o, "balanced_accuracy", r->balanced) &&
           vitc_json_set_number(o, "macro_f1", r->macro_f1);
}

static bool put_bins(vitc_json *o, const datasets_results *r)
{
    vitc_json *list = vitc_json_array();
    bool ok = list != NULL;
    for (int i = 0; i < DATASETS_BINS && ok; i++) {
        const datasets_bin *bin = &r->bins[i];
        vitc_json *entry = vitc_json_object();
        ok = entry != NULL && vitc_json_set_number(entry, "low", (double)i / DATASETS_BINS) &&
             vitc_json_set_number(entry, "high", (double)(i + 1) / DATASETS_BINS) &&
             vitc_json_set_integer(entry, "n", (int64_t)bin->n) &&
             vitc_json_set_number(entry, "accuracy", share(bin->right, bin->n)) &&
             put_interval(entry, "accuracy_interval", datasets_wilson(bin->right, bin->n)) &&
             vitc_json_set_number(entry, "confidence", bin->confidence / (double)bin->n);
        ok = vitc_json_append(list, entry) && ok;
    }
    return vitc_json_set(o, "reliability", list) && ok;
}

static bool put_classes(vitc_json *o, const app_evaluation *e)
{
    vitc_json *list = vitc_json_array();
    bool ok = list != NULL;
    for (uint32_t k = 0; k < class_count(e) && ok; k++) {
        const datasets_class_result c = datasets_metrics_class(e->metrics, k);
        vitc_json *entry = vitc_json_object();
        ok = entry != NULL && vitc_json_set_integer(entry, "index", k) &&
             vitc_json_set_string(entry, "label", vit_model_label(e->model, k)) &&
             vitc_json_set_integer(entry, "support", (int64_t)c.support) &&
             vitc_json_set_integer(entry, "predicted", (int64_t)c.predicted) &&
             vitc_json_set_integer(entry, "right", (int64_t)c.right) &&
             vitc_json_set_number(entry, "precision", c.precision) &&
             vitc_json_set_number(entry, "recall", c.recall) &&
             put_interval(entry, "recall_interval", c.recall_interval) &&
             vitc_json_set_number(entry, "f1", c.f1);
        ok = vitc_json_append(list, entry) && ok;
    }
    return vitc_json_set(o, "classes", list) && ok;
}

/* All pairs: with the classes' right answers they are the confusion matrix. */
static bool put_confusions(vitc_json *o, const app_evaluation *e)
{
    const size_t count = datasets_metrics_confused(e->metrics, NULL, 0);
    datasets_confusion *pairs = calloc(vitc_size_max(count, 1), sizeof *pairs);
    vitc_json *list = vitc_json_array();
    bool ok = pairs != NULL && list != NULL;
    if (ok) datasets_metrics_confused(e->metrics, pairs, count);
    for (size_t i = 0; i < count && ok; i++) {
        vitc_json *entry = vitc_json_object();
        ok = entry != NULL && vitc_json_set_integer(entry, "index", pairs[i].label) &&
             vitc_json_set_string(entry, "label", vit_model_label(e->model, pairs[i].label)) &&
             vitc_json_set_integer(entry, "prediction_index", pairs[i].prediction) &&
             vitc_json_set_string(entry, "prediction",
                                  vit_model_label(e->model, pairs[i].prediction)) &&
             vitc_json_set_integer(entry, "n", (int64_t)pairs[i].n);
        ok = vitc_json_append(list, entry) && ok;
    }
    free(pairs);
    return vitc_json_set(o, "confusions", list) && ok;
}

static bool put_calibration(vitc_json *o, const app_evaluation *e)
{
    const datasets_temperature *c = &e->calibration;
    vitc_json *entry = vitc_json_object();
    const bool ok = entry != NULL && vitc_json_set_string(entry, "path", e->settings->calibrate) &&
                    vitc_json_set_number(entry, "temperature", c->temperature) &&
                    vitc_json_set_number(entry, "loss_before", c->nll_before) &&
                    vitc_json_set_number(entry, "loss_after", c->nll_after);
    return vitc_json_set(o, "calibration", entry) && ok;
}

static bool put_comparison(vitc_json *o, const app_evaluation *e)
{
    vitc_json *entry = vitc_json_object();
    const bool ok = entry != NULL && vitc_json_set_integer(entry, "lost", (int64_t)e->lost) &&
                    vitc_json_set_integer(entry, "gained", (int64_t)e->gained) &&
                    vitc_json_set_number(entry, "mcnemar_p", datasets_mcnemar(e->lost, e->gained));
    return vitc_json_set(o, "against_first", entry) && ok;
}

static double images_per_second(const app_evaluation *e)
{
    return (double)(e->n - e->resumed) / e->times.wall;
}

static bool put_times(vitc_json *o, const app_evaluation *e)
{
    const app_times *t = &e->times;
    vitc_json *entry = vitc_json_object();
    const bool ok = entry != NULL &&
                    vitc_json_set_integer(entry, "images", (int64_t)(e->n - e->resumed)) &&
                    vitc_json_set_number(entry, "seconds", t->wall) &&
                    vitc_json_set_number(entry, "images_per_second", images_per_second(e)) &&
                    vitc_json_set_integer(entry, "lanes", t->lanes) &&
                    vitc_json_set_integer(entry, "threads_per_lane", t->threads_per_lane) &&
                    vitc_json_set_number(entry, "list", t->list) &&
                    vitc_json_set_number(entry, "read", t->read) &&
                    vitc_json_set_number(entry, "decode", t->decode) &&
                    vitc_json_set_number(entry, "preprocess", t->preprocess) &&
                    vitc_json_set_number(entry, "compute", t->compute) &&
                    vitc_json_set_number(entry, "wait", t->wait) &&
                    vitc_json_set_number(entry, "deliver", t->deliver);
    return vitc_json_set(o, "times", entry) && ok;
}

static bool put_overlap(vitc_json *o, const app_overlap *overlap)
{
    vitc_json *shared = vitc_json_object();
    const bool ok =
        shared != NULL && vitc_json_set_integer(shared, "identical", (int64_t)overlap->identical) &&
        vitc_json_set_integer(shared, "identical_other_label",
                              (int64_t)overlap->identical_other_label) &&
        vitc_json_set_integer(shared, "alike", (int64_t)overlap->alike) &&
        vitc_json_set_integer(shared, "alike_other_label", (int64_t)overlap->alike_other_label);
    return vitc_json_set(o, "in_train_data", shared) && ok;
}

vitc_json *app_evaluation_json(const app_evaluation *e)
{
    const vit_model_info info = vit_model_describe(e->model);
    vitc_json *o = vitc_json_object();
    bool ok = o != NULL && vitc_json_set_string(o, "model", e->model_path) &&
              vitc_json_set_string(o, "model_sha256", e->model_hash) &&
              vitc_json_set_string(o, "precision", vit_precision_string(info.precision)) &&
              vitc_json_set_string(o, "data", e->data_text) &&
              vitc_json_set_string(o, "data_kind", datasets_kind_string(e->kind)) &&
              vitc_json_set_string(o, "data_sha256", e->survey.fingerprint) &&
              vitc_json_set_bool(o, "data_changed", e->changed) &&
              vitc_json_set_bool(o, "complete", e->stopped == NULL) &&
              vitc_json_set_string(o, "stopped", e->stopped) &&
              vitc_json_set_integer(o, "n", (int64_t)e->n) &&
              vitc_json_set_integer(o, "n_ok", (int64_t)e->n_ok) &&
              vitc_json_set_integer(o, "n_bad", (int64_t)e->n_bad) && put_bad(o, e) &&
              vitc_json_set_integer(o, "other_files", (int64_t)e->survey.strays) &&
              put_results(o, &e->results) && put_bins(o, &e->results) && put_classes(o, e) &&
              put_confusions(o, e);
    if (e->overlap != NULL) ok = ok && put_overlap(o, e->overlap);
    if (e->compared) ok = ok && put_comparison(o, e);
    if (e->calibrated) ok = ok && put_calibration(o, e);
    if (!e->settings->no_times) ok = ok && put_times(o, e);
    if (ok) return o;
    vitc_json_free(o);
    return NULL;
}

/* ---- for people ---- */

enum {
    LABEL_COLUMNS = 28,
    BAR_COLUMNS = 20,
    MOST_CLASSES = 20,
    WORST_CLASSES = 15,
    MOST_PAIRS = 10
};

typedef struct printer {
    const app_evaluation *e;
    app_terminal terminal;
    size_t label_width;
} printer;

static void color(const printer *p, const char *code)
{
    if (p->terminal.color) printf("\033[%sm", code);
}

static void print_text(const char *text)
{
    char *shown = app_text_printable(text);
    fputs(shown != NULL ? shown : "?", stdout);
    free(shown);
}

static void print_heading(const printer *p, const char *text)
{
    putchar('\n');
    color(p, "1");
    fputs(text, stdout);
    color(p, "0");
    putchar('\n');
}

static const char *count_text(char text[32], uint64_t count)
{
    return app_text_number(text, 32, count);
}

/* "73.24 %", or as wide "-" where there is nothing to tell. */
static const char *percent_text(char text[32], double value)
{
    if (isnan(value))
        snprintf(text, 32, "%9s", "-");
    else
        snprintf(text, 32, "%7.2f %%", 100 * value);
    return text;
}

/* On terminals only; elsewhere numbers are enough. */
static void print_bar(const printer *p, double value, size_t columns)
{
    if (!p->terminal.terminal) return;
    fputs("  ", stdout);
    color(p, "36");
    app_text_bar(stdout, value, columns, p->terminal.utf8);
    color(p, "0");
}

static void print_label(const printer *p, uint32_t index)
{
    char *label = app_text_printable(vit_model_label(p->e->model, index));
    app_text_column(stdout, label != NULL ? label : "?", p->label_width, false, p->terminal.utf8);
    free(label);
}

static void print_bad(const app_evaluation *e)
{
    char count[32];
    const char *separator = " (";
    for (size_t i = 1; i < APP_STATUS_COUNT; i++) {
        if (e->by_status[i] == 0) continue;
        printf("%s%s %s", separator, count_text(count, e->by_status[i]), app_row_status(i));
        separator = ", ";
    }
    if (e->n_bad > 0) putchar(')');
}

static void print_counts(const printer *p)
{
    const app_evaluation *e = p->e;
    char ok[32], bad[32];
    printf("  images     %s ok, ", count_text(ok, e->n_ok));
    if (e->n_bad > 0) color(p, "31");
    printf("%s bad", count_text(bad, e->n_bad));
    print_bad(e);
    if (e->n_bad > 0) color(p, "0");
    putchar('\n');
    if (e->stopped != NULL) {
        color(p, "31");
        printf("  INCOMPLETE %s: the numbers are those of the images so far\n", e->stopped);
        color(p, "0");
    }
    if (e->overlap != NULL)
        printf("  leaked     %s are in --train-data too, %s look like images of it\n",
               count_text(ok, e->overlap->identical), count_text(bad, e->overlap->alike));
    if (e->changed) {
        color(p, "31");
        puts("  CHANGED    the data was another at the end of the run than at its beginning");
        color(p, "0");
    }
}

static void print_accuracy(const printer *p, const char *name, double value, uint64_t right,
                           datasets_interval interval)
{
    char number[32], hits[32], all[32], bad[32];
    color(p, "1");
    printf("  %-9s %s", name, percent_text(number, value));
    color(p, "0");
    printf("  95 %%: %.2f to %.2f  %s of %s ok", 100 * interval.low, 100 * interval.high,
           count_text(hits, right), count_text(all, p->e->n_ok));
    if (p->e->n_bad > 0) printf(", %s bad left out", count_text(bad, p->e->n_bad));
    putchar('\n');
}

/* How far the scores are from what they promise. */
static void print_calibration(const datasets_results *r)
{
    char number[32], count[32];
    printf("  ECE       %s  perfect calibration would show about %.2f %% with %s images\n",
           percent_text(number, r->ece), 100 * r->ece_calibrated, count_text(count, r->n));
    if (isnan(r->mean_confidence)) return;
    const double gap = r->mean_confidence - r->top1;
    printf("  scores    %s  on average: too %s by %.2f points\n",
           percent_text(number, r->mean_confidence), gap > 0 ? "sure" : "modest", 100 * fabs(gap));
}

static void print_results(const printer *p)
{
    const app_evaluation *e = p->e;
    const datasets_results *r = &e->results;
    char number[32];
    if (e->n_ok == 0) return;
    print_accuracy(p, "top-1", r->top1, r->right, r->top1_interval);
    print_accuracy(p, "top-5", r->top5, r->right5, r->top5_interval);
    printf("  balanced  %s  the mean of the classes' recall; macro F1 %.2f %%\n",
           percent_text(number, r->balanced), 100 * r->macro_f1);
    printf("  loss      %9.4f  mean negative log-likelihood; Brier score %.4f\n", r->loss,
           r->brier);
    print_calibration(r);
}

static void print_head(const printer *p)
{
    const app_evaluation *e = p->e;
    const app_settings *settings = e->settings;
    const vit_model_info info = vit_model_describe(e->model);
    char number[32];
    color(p, "1");
    print_text(e->data_text);
    color(p, "0");
    printf(": %s, %zu class%s", datasets_kind_string(e->kind), e->class_count,
           e->class_count == 1 ? "" : "es");
    if (class_count(e) != e->class_count)
        printf(" of the model's %s", count_text(number, class_count(e)));
    if (e->opening->part != DATASETS_ALL)
        printf(", %s --val-split %g --seed %" PRIu64 "%s",
               e->opening->part == DATASETS_CHOSEN ? "held out by" : "what", settings->val_split,
               settings->seed, e->opening->part == DATASETS_CHOSEN ? "" : " leaves");
    fputs("\n  model      ", stdout);
    print_text(e->model_path);
    printf(", %s (%s)\n", vit_precision_string(info.precision), info.precision_kernel);
}

/* ---- tables of classes ---- */

typedef struct ranked {
    uint32_t index;
    datasets_class_result result;
} ranked;

/* Those that need looking at first. */
static int compare_ranked(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->result.recall != y->result.recall) return x->result.recall < y->result.recall ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void print_class(const printer *p, const ranked *class)
{
    char images[32], recall[32], precision[32], f1[32];
    const datasets_class_result *c = &class->result;
    fputs("  ", stdout);
    print_label(p, class->index);
    printf("  %8s %s %s %s", count_text(images, c->support), percent_text(recall, c->recall),
           percent_text(precision, c->precision), percent_text(f1, c->f1));
    print_bar(p, c->recall, BAR_COLUMNS);
    putchar('\n');
}

static void print_classes(const printer *p)
{
    const uint32_t classes = class_count(p->e);
    ranked *list = calloc(classes, sizeof *list);
    size_t count = 0, shown;
    char heading[80];
    if (list == NULL) return;
    for (uint32_t k = 0; k < classes; k++) {
        const datasets_class_result result = datasets_metrics_class(p->e->metrics, k);
        if (result.support > 0) list[count++] = (ranked){k, result};
    }
    shown = count;
    if (count > MOST_CLASSES) {
        qsort(list, count, sizeof *list, compare_ranked);
        shown = WORST_CLASSES;
        snprintf(heading, sizeof heading,
                 "classes: the %d of %zu with the lowest recall (--json has all)", WORST_CLASSES,
                 count);
    } else {
        snprintf(heading, sizeof heading, "classes");
    }
    if (count > 0) {
        print_heading(p, heading);
        printf("  %*s  %8s %9s %9s %9s\n", (int)p->label_width, "", "images", "recall", "precision",
               "F1");
    }
    for (size_t i = 0; i < shown; i++) print_class(p, &list[i]);
    free(list);
}

static void print_pairs(const printer *p)
{
    datasets_confusion pairs[MOST_PAIRS];
    const size_t count = datasets_metrics_confused(p->e->metrics, pairs, MOST_PAIRS);
    char number[32];
    if (count == 0) return;
    print_heading(p, count > MOST_PAIRS ? "most often confused (--json has all)" : "confused");
    printf("  %-*s  %-*s  %8s  %s\n", (int)p->label_width, "is", (int)p->label_width, "taken for",
           "images", "of the class");
    for (size_t i = 0; i < vitc_size_min(count, MOST_PAIRS); i++) {
        const datasets_class_result c = datasets_metrics_class(p->e->metrics, pairs[i].label);
        fputs("  ", stdout);
        print_label(p, pairs[i].label);
        fputs("  ", stdout);
        print_label(p, pairs[i].prediction);
        printf("  %8s  %10.1f %%\n", count_text(number, pairs[i].n),
               100 * share(pairs[i].n, c.support));
    }
}

/* The whole matrix, where it can be read: few classes, and it fits. */
static void print_matrix(const printer *p)
{
    enum { MOST = 12, CELL = 7 };
    const uint32_t classes = class_count(p->e);
    if (classes < 2 || classes > MOST ||
        2 + p->label_width + 1 + (size_t)classes * CELL > p->terminal.columns)
        return;
    print_heading(p, "confusion matrix: rows are, columns are taken for");
    printf("  %*s ", (int)p->label_width, "");
    for (uint32_t k = 0; k < classes; k++) {
        char *label = app_text_printable(vit_model_label(p->e->model, k));
        putchar(' ');
        if (label != NULL) {
            const size_t width = vitc_size_min(app_text_width(label), CELL - 1);
            printf("%*s", (int)(CELL - 1 - width), "");
            app_text_column(stdout, label, width, false, p->terminal.utf8);
        }
        free(label);
    }
    putchar('\n');
    for (uint32_t row = 0; row < classes; row++) {
        fputs("  ", stdout);
        print_label(p, row);
        putchar(' ');
        for (uint32_t k = 0; k < classes; k++) {
            const uint64_t n = datasets_metrics_confusion(p->e->metrics, row, k);
            if (n == 0) {
                printf("%*s", CELL, ".");
                continue;
            }
            if (row == k) color(p, "32");
            printf("%*" PRIu64, CELL, n);
            if (row == k) color(p, "0");
        }
        putchar('\n');
    }
}

static void print_reliability(const printer *p)
{
    const datasets_results *r = &p->e->results;
    print_heading(p, "reliability: how often scores of a size are right");
    printf("  %-11s %8s %9s %17s %9s\n", "score", "images", "right", "95 %", "promised");
    for (int i = 0; i < DATASETS_BINS; i++) {
        const datasets_bin *bin = &r->bins[i];
        char count[32], right[32], promised[32];
        if (bin->n == 0) continue;
        const datasets_interval interval = datasets_wilson(bin->right, bin->n);
        printf("  %.3f-%.3f %8s %s   %6.2f to %6.2f %s", (double)i / DATASETS_BINS,
               (double)(i + 1) / DATASETS_BINS, count_text(count, bin->n),
               percent_text(right, share(bin->right, bin->n)), 100 * interval.low,
               100 * interval.high, percent_text(promised, bin->confidence / (double)bin->n));
        print_bar(p, share(bin->right, bin->n), BAR_COLUMNS);
        putchar('\n');
    }
}

/* ---- time ---- */

static void print_times(const printer *p)
{
    const app_evaluation *e = p->e;
    const app_times *t = &e->times;
    const uint64_t images = e->n - e->resumed;
    const struct {
        const char *name, *what;
        double seconds;
    } stages[] = {
        {"list", "finding images", t->list},
        {"read", "bytes from files", t->read},
        {"decode", "bytes to pixels", t->decode},
        {"preprocess", "pixels to patches", t->preprocess},
        {"compute", "the model", t->compute},
        {"wait", "threads with nothing to do", t->wait},
    };
    enum { COUNT = sizeof stages / sizeof *stages };
    if (e->settings->no_times || images == 0 || !(t->wall > 0)) return;
    char count[32], heading[160];
    double total = 0;
    for (int i = 0; i < COUNT; i++) total += stages[i].seconds;
    snprintf(heading, sizeof heading, "time: %s images in %.1f s, %.1f images/s, %d thread%s",
             count_text(count, images), t->wall, images_per_second(e),
             t->lanes * t->threads_per_lane, t->lanes * t->threads_per_lane == 1 ? "" : "s");
    print_heading(p, heading);
    printf("  %-10s %10s %8s %12s\n", "stage", "seconds", "share", "images/s");
    for (int i = 0; i < COUNT; i++) {
        const double seconds = stages[i].seconds;
        printf("  %-10s %10.2f %6.1f %%", stages[i].name, seconds,
               total > 0 ? 100 * seconds / total : 0);
        if (seconds > 0 && i + 1 < COUNT)
            printf(" %12.1f", (double)images / seconds);
        else
            printf(" %12s", "");
        printf("  %s", stages[i].what);
        putchar('\n');
    }
    if (e->resumed > 0)
        printf("  %s images came from an earlier run\n", count_text(count, e->resumed));
}

static void print_temperature(const printer *p)
{
    const app_evaluation *e = p->e;
    const datasets_temperature *c = &e->calibration;
    if (!e->calibrated) return;
    print_heading(p, "calibration");
    printf("  temperature %.4f, loss %.4f before and %.4f after; written to ", c->temperature,
           c->nll_before, c->nll_after);
    print_text(e->settings->calibrate);
    puts("\n  These images chose it: do not report numbers of that model on them, but on others.");
}

static size_t longest_label(const app_evaluation *e)
{
    size_t longest = 0;
    for (uint32_t k = 0; k < class_count(e); k++)
        longest = vitc_size_max(longest, app_text_width(vit_model_label(e->model, k)));
    return vitc_size_min(longest, LABEL_COLUMNS);
}

void app_evaluation_print(const app_evaluation *e)
{
    const printer p = {e, app_terminal_of(stdout), longest_label(e)};
    print_head(&p);
    print_counts(&p);
    print_results(&p);
    if (e->n_ok > 0) {
        print_classes(&p);
        print_matrix(&p);
        print_pairs(&p);
        print_reliability(&p);
    }
    print_temperature(&p);
    print_times(&p);
}

/* ---- several models ---- */

static void print_model(const app_evaluation *e, size_t width, bool utf8)
{
    char *model = app_text_printable(e->model_path);
    fputs("  ", stdout);
    app_text_column(stdout, model != NULL ? model : "?", width, true, utf8);
    free(model);
}

static void print_numbers(const app_evaluation *e)
{
    const datasets_results *r = &e->results;
    char ok[32], bad[32], top1[32], top5[32], ece[32];
    printf(" %8s %6s %s  %6.2f to %6.2f %s %8.4f %s", count_text(ok, e->n_ok),
           count_text(bad, e->n_bad), percent_text(top1, r->top1), 100 * r->top1_interval.low,
           100 * r->top1_interval.high, percent_text(top5, r->top5), r->loss,
           percent_text(ece, r->ece));
    if (!e->settings->no_times) printf(" %9.1f", images_per_second(e));
    puts(e->stopped != NULL ? "  INCOMPLETE" : "");
}

void app_evaluation_print_table(const app_evaluation *evaluations, size_t count)
{
    const app_terminal terminal = app_terminal_of(stdout);
    size_t width = 5;
    for (size_t i = 0; i < count; i++)
        width = vitc_size_max(width, app_text_width(evaluations[i].model_path));
    width = vitc_size_min(width, LABEL_COLUMNS);
    print_text(evaluations[0].data_text);
    printf("\n  %-*s %8s %6s %9s %17s %9s %8s %9s%s\n", (int)width, "model", "ok", "bad", "top-1",
           "95 %", "top-5", "loss", "ECE", evaluations[0].settings->no_times ? "" : "  images/s");
    for (size_t i = 0; i < count; i++) {
        print_model(&evaluations[i], width, terminal.utf8);
        print_numbers(&evaluations[i]);
    }
    printf(
        "\nagainst the first: images that only it, or only the other, got right; McNemar's exact "
        "test\n  %-*s %8s %8s %10s\n",
        (int)width, "model", "lost", "gained", "p");
    for (size_t i = 1; i < count; i++) {
        const app_evaluation *e = &evaluations[i];
        print_model(e, width, terminal.utf8);
        printf(" %8" PRIu64 " %8" PRIu64 " %10.2g\n", e->lost, e->gained,
               datasets_mcnemar(e->lost, e->gained));
    }
}
