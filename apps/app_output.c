#include "app_output.h"

#include <stdlib.h>
#include <string.h>

#include "vitc_json.h"
#include "vitc_size.h"

enum {
    BAR_COLUMNS = 24,
    PATH_COLUMNS = 60,
    LABEL_COLUMNS = 28,
    LABEL_COLUMNS_SINGLE = 44,
    SCORE_COLUMNS = 8
};

#define UNCERTAIN "uncertain"
enum { UNCERTAIN_COLUMNS = sizeof UNCERTAIN - 1 + 2 };

const char *app_output_status(vitc_status status)
{
    switch (status) {
    case VITC_OK:
        return "ok";
    case VITC_ERR_TRUNCATED:
        return "truncated";
    case VITC_ERR_UNSUPPORTED:
        return "unsupported";
    case VITC_ERR_TOO_LARGE:
    case VITC_ERR_MEMORY:
        return "too_large"; /* for this machine; the run ends with status 4 */
    case VITC_ERR_UNREADABLE:
        return "unreadable";
    case VITC_ERR_OVERFLOW:
        return "overflow";
    default:
        return "corrupt";
    }
}

const char *app_output_reason(vitc_status status, const char *error, const char *path)
{
    const size_t length = strlen(path);
    if (strncmp(error, path, length) == 0 && strncmp(error + length, ": ", 2) == 0)
        return error + length + 2;
    if (strncmp(error, path, strlen(error)) == 0) return vitc_status_string(status);
    return error;
}

bool app_output_open(app_output *output, const app_settings *settings, const vit_model *model,
                     const app_known *known)
{
    const vit_config *config = vit_model_describe(model).config;
    *output = (app_output){.settings = settings, .model = model, .classes = config->classes};
    output->top =
        settings->top < config->classes ? (uint32_t)settings->top : (uint32_t)config->classes;
    output->single = known->all && known->count == 1;
    output->ranking = malloc(sizeof *output->ranking * output->top);
    if (output->ranking == NULL) return false;
    output->terminal = app_terminal_of(stdout);
    if (settings->csv) {
        fputs("path,status,width,height", stdout);
        if (settings->min_score > 0) fputs(",uncertain", stdout);
        for (uint32_t i = 1; i <= output->top; i++) printf(",label%u,score%u", i, i);
        for (uint32_t i = 0; i < output->classes && settings->logits; i++) printf(",logit%u", i);
        fputs(",error\r\n", stdout);
    }
    if (settings->csv || settings->json) return true;

    for (uint32_t i = 0; i < output->classes; i++) {
        const size_t width = app_text_width(vit_model_label(model, i));
        if (width > output->label_width) output->label_width = width;
    }
    output->label_width =
        vitc_size_min(output->label_width, output->single ? LABEL_COLUMNS_SINGLE : LABEL_COLUMNS);
    for (size_t i = 0; i < known->count; i++) {
        char *path = app_text_printable(known->items[i].path);
        if (path == NULL) return false;
        const size_t width = app_text_width(path);
        if (width > output->path_width) output->path_width = width;
        free(path);
    }
    /* On a terminal a path gives way to the answer; elsewhere nothing is cut, only not aligned. */
    output->path_width =
        vitc_size_min(output->path_width,
                      output->terminal.terminal ? output->terminal.columns * 2 / 5 : PATH_COLUMNS);
    return true;
}

void app_output_close(app_output *output)
{
    free(output->ranking);
    output->ranking = NULL;
}

/* ---- JSON ---- */

static bool write_json(const app_output *o, const char *path, const app_answer *row)
{
    vitc_json *object = vitc_json_object();
    if (object == NULL) return false;
    bool ok = vitc_json_set_string(object, "path", path) &&
              vitc_json_set_string(object, "status", app_output_status(row->status));
    if (row->width != 0)
        ok = ok && vitc_json_set_integer(object, "width", row->width) &&
             vitc_json_set_integer(object, "height", row->height);
    if (row->status != VITC_OK) {
        ok = ok && vitc_json_set_string(object, "error",
                                        app_output_reason(row->status, row->error, path));
    } else {
        if (o->settings->min_score > 0)
            ok = ok && vitc_json_set_bool(object, "uncertain", o->uncertain);
        vitc_json *top = vitc_json_array();
        for (uint32_t i = 0; i < o->top; i++) {
            const uint32_t index = o->ranking[i];
            vitc_json *label = vitc_json_object();
            ok = ok && label != NULL && vitc_json_set_integer(label, "index", index) &&
                 vitc_json_set_string(label, "label", vit_model_label(o->model, index)) &&
                 vitc_json_set_number(label, "score", (double)row->scores[index]);
            ok = vitc_json_append(top, label) && ok;
        }
        ok = vitc_json_set(object, "top", top) && ok;
        if (o->settings->logits) {
            vitc_json *logits = vitc_json_array();
            for (uint32_t i = 0; i < o->classes; i++)
                ok = ok && vitc_json_append_number(logits, (double)row->logits[i]);
            ok = vitc_json_set(object, "logits", logits) && ok;
        }
    }
    return app_text_print_json(object, ok, 0, 9, "\n");
}

/* ---- CSV ---- */

static void write_csv(const app_output *o, const char *path, const app_answer *row)
{
    app_text_csv(stdout, path);
    printf(",%s,", app_output_status(row->status));
    if (row->width != 0)
        printf("%u,%u", row->width, row->height);
    else
        putchar(',');
    if (o->settings->min_score > 0)
        printf(",%s", row->status != VITC_OK ? "" : o->uncertain ? "true" : "false");
    for (uint32_t i = 0; i < o->top; i++) {
        putchar(',');
        if (row->status == VITC_OK) app_text_csv(stdout, vit_model_label(o->model, o->ranking[i]));
        putchar(',');
        if (row->status == VITC_OK) printf("%.9g", (double)row->scores[o->ranking[i]]);
    }
    for (uint32_t i = 0; i < o->classes && o->settings->logits; i++) {
        putchar(',');
        if (row->status == VITC_OK) printf("%.9g", (double)row->logits[i]);
    }
    putchar(',');
    if (row->status != VITC_OK)
        app_text_csv(stdout, app_output_reason(row->status, row->error, path));
    fputs("\r\n", stdout);
}

/* ---- for people ---- */

static void color(const app_output *o, const char *code)
{
    if (o->terminal.color) printf("\033[%sm", code);
}

static bool is_percent(const app_output *o)
{
    return vit_model_describe(o->model).config->scores != VIT_SCORES_RAW;
}

static void write_column(const app_output *o, const char *text, size_t width, bool is_path)
{
    if (o->terminal.terminal)
        app_text_column(stdout, text, width, is_path, o->terminal.utf8);
    else
        printf("%s%*s", text, (int)(width - vitc_size_min(app_text_width(text), width)), "");
}

static void write_label(const app_output *o, uint32_t index)
{
    char *label = app_text_printable(vit_model_label(o->model, index));
    write_column(o, label != NULL ? label : "?", o->label_width, false);
    free(label);
}

static void write_score(const app_output *o, float score)
{
    if (is_percent(o))
        printf("%6.2f %%", 100 * (double)score);
    else
        printf("%8.4g", (double)score);
}

static void write_bar(const app_output *o, float score, size_t columns)
{
    color(o, "36");
    app_text_bar(stdout, (double)score, columns, o->terminal.utf8);
    color(o, "0");
}

static void write_uncertain(const app_output *o)
{
    color(o, "33");
    fputs(UNCERTAIN, stdout);
    color(o, "0");
}

static void write_failure(const app_output *o, const char *path, const app_answer *row)
{
    color(o, "31");
    fputs(app_output_status(row->status), stdout);
    color(o, "0");
    char *reason = app_text_printable(app_output_reason(row->status, row->error, path));
    if (reason != NULL) printf(": %s", reason);
    free(reason);
    putchar('\n');
}

/* One image: its labels below each other, with bars on a terminal. */
static void write_single(const app_output *o, const char *path, const char *shown,
                         const app_answer *row)
{
    if (row->status != VITC_OK) {
        printf("%s  ", shown);
        write_failure(o, path, row);
        return;
    }
    printf("%s  %ux%u", shown, row->width, row->height);
    if (o->uncertain) {
        fputs("  ", stdout);
        write_uncertain(o);
    }
    putchar('\n');
    const size_t used = 2 + o->label_width + 2 + SCORE_COLUMNS + 2;
    const size_t room = o->terminal.columns > used + 1 ? o->terminal.columns - used - 1 : 0;
    for (uint32_t i = 0; i < o->top; i++) {
        const float score = row->scores[o->ranking[i]];
        fputs("  ", stdout);
        if (i == 0) color(o, "1");
        write_label(o, o->ranking[i]);
        if (i == 0) color(o, "0");
        fputs("  ", stdout);
        write_score(o, score);
        if (o->terminal.terminal && is_percent(o) && room > 0) {
            fputs("  ", stdout);
            write_bar(o, score, vitc_size_min(room, BAR_COLUMNS));
        }
        putchar('\n');
    }
}

/* Many images: a line each, as many labels as the terminal's width takes. */
static void write_line(const app_output *o, const char *path, const char *shown,
                       const app_answer *row)
{
    write_column(o, shown, o->path_width, true);
    fputs("  ", stdout);
    if (row->status != VITC_OK) {
        write_failure(o, path, row);
        return;
    }
    const size_t entry = o->label_width + 1 + SCORE_COLUMNS + 2;
    size_t count = o->top;
    if (o->terminal.terminal) {
        const size_t columns = o->terminal.columns;
        const size_t used =
            o->path_width + 2 + (o->settings->min_score > 0 ? UNCERTAIN_COLUMNS : 0);
        const size_t room = columns > used ? columns - used : 0;
        count = vitc_size_min(count, (room + 2) / entry);
        if (count == 0) count = 1;
    }
    if (o->uncertain) write_uncertain(o);
    if (o->settings->min_score > 0)
        printf("%*s", (int)(UNCERTAIN_COLUMNS - (o->uncertain ? strlen(UNCERTAIN) : 0)), "");
    for (size_t i = 0; i < count; i++) {
        if (i != 0) fputs("  ", stdout);
        if (i == 0) color(o, "1");
        write_label(o, o->ranking[i]);
        if (i == 0) color(o, "0");
        putchar(' ');
        write_score(o, row->scores[o->ranking[i]]);
    }
    putchar('\n');
}

bool app_output_row(app_output *o, const char *path, const app_answer *row)
{
    o->uncertain = false;
    if (row->status == VITC_OK) {
        vit_top_k(o->ranking, o->top, row->scores, o->classes);
        o->uncertain = !((double)row->scores[o->ranking[0]] >= o->settings->min_score);
    }
    if (o->settings->json) return write_json(o, path, row);
    if (o->settings->csv) {
        write_csv(o, path, row);
        return true;
    }
    char *shown = app_text_printable(path);
    if (shown == NULL) return false;
    if (o->single)
        write_single(o, path, shown, row);
    else
        write_line(o, path, shown, row);
    free(shown);
    return true;
}
