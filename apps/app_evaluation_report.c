/* The page of `vitc eval --report`: what was found among the rows, and everything that somebody who
 * gets the page needs to trust it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_evaluation.h"
#include "app_guard.h"
#include "app_page.h"
#include "app_report.h"
#include "app_text.h"
#include "vitc_log.h"

void app_page_percent(const app_page *p, double fraction, int digits)
{
    if (isnan(fraction))
        app_html_put(p->out, "-");
    else
        app_html_put(p->out, "%.*f&nbsp;%%", digits, 100 * fraction);
}

void app_page_number(const app_page *p, uint64_t number)
{
    char text[32];
    app_html_put(p->out, "%s", app_text_number(text, sizeof text, number));
}

bool app_page_timed(const app_page *p)
{
    const app_evaluation *e = p->e;
    return !e->settings->no_times && e->times.wall > 0 && e->n > e->resumed;
}

double app_page_speed(const app_page *p)
{
    return (double)(p->e->n - p->e->resumed) / p->e->times.wall;
}

static int no_memory(const app_page *p)
{
    const vitc_log log = app_log(p->e->settings);
    return app_exit_status(vitc_fail_memory(&log, "the report"));
}

static int choose_classes(app_page *p)
{
    p->shown = calloc(p->classes, sizeof *p->shown);
    if (p->shown == NULL) return no_memory(p);
    for (uint32_t i = 0; i < p->classes; i++) {
        const datasets_class_result c = datasets_metrics_class(p->e->metrics, i);
        if (c.support > 0 || c.predicted > 0) p->shown[p->shown_count++] = i;
    }
    return APP_EXIT_DONE;
}

static int load_pictures(app_page *p)
{
    uint64_t indices[4 * APP_FINDINGS_SHOWN];
    size_t count = 0;
    const app_findings *f = &p->findings;
    for (size_t i = 0; i < f->worst.count; i++) indices[count++] = f->worst.items[i].index;
    for (size_t i = 0; i < f->uncertain.count; i++) indices[count++] = f->uncertain.items[i].index;
    for (size_t i = 0; i < f->alike_count; i++) {
        indices[count++] = f->alike[i].a.index;
        indices[count++] = f->alike[i].b.index;
    }
    return app_pictures_load(&p->pictures, indices, count, p->e->settings->operands,
                             p->e->settings->operand_count, p->e->opening, p->e->settings);
}

static void read_card(app_page *p)
{
    const vitc_log silent = {0};
    const char *text = p->info.card;
    if (text != NULL && vitc_json_parse(&p->card, text, strlen(text), "card", &silent) != VITC_OK)
        p->card = NULL;
}

/* The words at the page's head, and the command. */
static int write_words(app_page *p, char **title)
{
    const app_evaluation *e = p->e;
    const char *name = vitc_json_string(vitc_json_get(p->card, "name"), e->model_path);
    p->command = app_text_command(e->argc, e->argv);
    if (asprintf(title, "%s on %s", name, e->data_text) < 0) *title = NULL;
    return p->command != NULL && *title != NULL ? APP_EXIT_DONE : no_memory(p);
}

static int write_page(app_page *p, const char *path)
{
    char *title = NULL;
    int result = write_words(p, &title);
    app_guard_output(path);
    if (result == APP_EXIT_DONE)
        result = app_html_open(p->out, path, title, "Evaluation by vitc eval", p->e->settings);
    free(title);
    if (result != APP_EXIT_DONE) return result;
    app_page_results(p);
    app_page_findings(p);
    app_page_about(p);
    result = app_page_images(p);
    if (result == APP_EXIT_DONE) return app_html_close(p->out, p->e->settings);
    vitc_file_writer_abort(p->out);
    return result;
}

int app_evaluation_report(const char *path, const app_evaluation *evaluation)
{
    vitc_file_writer out;
    app_page p = {.e = evaluation, .out = &out, .info = vit_model_describe(evaluation->model)};
    p.classes = p.info.config->classes;
    read_card(&p);
    int result = choose_classes(&p);
    if (result == APP_EXIT_DONE) result = app_findings_gather(&p.findings, evaluation);
    if (result == APP_EXIT_DONE) result = load_pictures(&p);
    if (result == APP_EXIT_DONE) result = write_page(&p, path);
    app_pictures_free(&p.pictures);
    app_findings_free(&p.findings);
    vitc_json_free(p.card);
    free(p.command);
    free(p.shown);
    return result;
}
