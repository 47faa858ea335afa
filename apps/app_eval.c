#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app_bundled.h"
#include "app_commands.h"
#include "app_guard.h"
#include "app_inputs.h"
#include "app_measure.h"
#include "app_model.h"
#include "app_overlap.h"
#include "app_ranks.h"
#include "app_report.h"
#include "app_stop.h"
#include "app_text.h"

/* The state of one command; zeroed, then filled from the top. */
typedef struct command {
    const app_settings *settings;
    size_t models;
    app_settings each[APP_LIST_MAX]; /* with one model */
    app_measure measures[APP_LIST_MAX];
    app_evaluation evaluations[APP_LIST_MAX];
    app_marks marks; /* of the first of several models */
    app_overlap overlap;
    bool overlap_known;
    vitc_json *json; /* the one object, or an array of one for each model */
    char temporary[4096];
} command;

static int no_memory(void)
{
    app_error("out of memory for the evaluation");
    return APP_EXIT_INTERNAL;
}

/* ---- what can be seen to be wrong before anything is read ---- */

static int refuse(const char *message)
{
    app_error("%s", message);
    return APP_EXIT_USAGE;
}

static int check_settings(const app_settings *settings)
{
    if (settings->resume && settings->rows == NULL)
        return refuse("--resume needs --rows FILE, the rows of the run to continue");
    if (settings->strict && settings->max_bad != UINT64_MAX)
        return refuse("--strict and --max-bad: choose one");
    if (settings->val_split == 0 && settings->subset != DATASETS_ALL)
        return refuse("--subset needs --val-split F, the share of the images that is held out");
    if (settings->models.count > 1 &&
        (settings->rows != NULL || settings->report_file != NULL || settings->calibrate != NULL))
        return refuse("--rows, --report and --calibrate take one model");
    return APP_EXIT_DONE;
}

/* What would be found out only after a long run. */
static int check_files(const app_settings *settings)
{
    for (size_t i = 0; i < settings->models.count; i++) {
        const int result = app_model_check_path(settings->models.items[i]);
        if (result != APP_EXIT_DONE) return result;
    }
    const char *const files[] = {settings->calibrate, settings->report_file};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const int result = files[i] != NULL ? app_model_check_output(files[i]) : APP_EXIT_DONE;
        if (result != APP_EXIT_DONE) return result;
    }
    struct stat status;
    if (settings->report_file != NULL && settings->rows != NULL &&
        stat(settings->rows, &status) == 0 && !S_ISREG(status.st_mode)) {
        app_error("--rows %s: is no regular file, and --report reads the rows again",
                  settings->rows);
        return APP_EXIT_USAGE;
    }
    return settings->report_file != NULL || settings->models.count > 1
               ? app_inputs_check_again(settings->operands, settings->operand_count)
               : APP_EXIT_DONE;
}

/* A page is made from rows. */
static int make_temporary(command *c)
{
    const char *folder = getenv("TMPDIR");
    if (c->settings->report_file == NULL || c->settings->rows != NULL) return APP_EXIT_DONE;
    const int length = snprintf(c->temporary, sizeof c->temporary, "%s/vitc-rows-XXXXXX",
                                folder != NULL && folder[0] != 0 ? folder : "/tmp");
    const int fd = length < (int)sizeof c->temporary ? mkstemp(c->temporary) : -1;
    if (fd < 0) {
        c->temporary[0] = 0;
        app_error("no temporary file for the rows in %s; --rows FILE says where they may go",
                  folder != NULL && folder[0] != 0 ? folder : "/tmp");
        return APP_EXIT_INTERNAL;
    }
    close(fd);
    return APP_EXIT_DONE;
}

/* ---- calibration ---- */

/* Which part of a set, where it is not all of it. */
static bool put_split(vitc_json *o, const app_evaluation *e)
{
    if (e->opening->part == DATASETS_ALL) return true;
    return vitc_json_set_number(o, "val_split", e->opening->fraction) &&
           vitc_json_set_integer(o, "seed", (int64_t)e->opening->seed) &&
           vitc_json_set_string(o, "subset", e->opening->part == DATASETS_CHOSEN ? "val" : "rest");
}

static char *calibration_note(const app_evaluation *e)
{
    const datasets_temperature *fit = &e->calibration;
    vitc_json *o = vitc_json_object();
    char *name = app_text_base_name(e->settings->operands[0]);
    const bool ok = o != NULL && name != NULL && vitc_json_set_string(o, "data", name) &&
                    vitc_json_set_integer(o, "paths", (int64_t)e->settings->operand_count) &&
                    put_split(o, e) &&
                    vitc_json_set_string(o, "data_sha256", e->survey.fingerprint) &&
                    vitc_json_set_integer(o, "images", (int64_t)e->n_ok) &&
                    vitc_json_set_number(o, "temperature", fit->temperature) &&
                    vitc_json_set_number(o, "loss_before", fit->nll_before) &&
                    vitc_json_set_number(o, "loss_after", fit->nll_after);
    char *text = ok ? vitc_json_dump(o, 0, 9) : NULL;
    free(name);
    vitc_json_free(o);
    return text;
}

static int write_calibrated(const app_evaluation *e)
{
    const app_settings *settings = e->settings;
    const vitc_log log = app_log(settings);
    const float temperature = (float)e->calibration.temperature;
    vit_load_options options;
    char *spec = NULL;
    size_t size;
    const void *bundled = app_bundled_model(&size);
    char *note = calibration_note(e);
    int result = note != NULL ? app_model_read_options(&options, &spec, settings) : no_memory();
    if (result == APP_EXIT_DONE) {
        app_guard_output(settings->calibrate);
        result = app_exit_status(!app_model_is_bundled(settings->model)
                                     ? vit_model_calibrate(settings->model, settings->calibrate,
                                                           temperature, note, &options, &log)
                                     : vit_model_calibrate_memory(bundled, size, "bundled model",
                                                                  settings->calibrate, temperature,
                                                                  note, &options, &log));
    }
    free(note);
    free(spec);
    return result;
}

static int calibrate(const app_measure *m, app_evaluation *e)
{
    const vitc_log log = app_log(e->settings);
    const vit_config *config = vit_model_describe(e->model).config;
    const datasets_scoring scoring = {
        .independent = config->scores == VIT_SCORES_SIGMOID,
        .temperature = config->temperature > 0 ? (double)config->temperature : 1};
    if (e->stopped != NULL) {
        app_error("%s: not written, because not all images were seen", e->settings->calibrate);
        return APP_EXIT_INPUTS;
    }
    const vitc_status status = datasets_temperature_fit(
        &e->calibration, m->logits, m->labels, (size_t)e->n_ok, config->classes, &scoring, &log);
    if (status != VITC_OK) return app_exit_status(status);
    if (e->calibration.at_limit) {
        app_error("%s: not written: these images do not say which temperature is right, as when "
                  "all of them are classified rightly",
                  e->settings->calibrate);
        return APP_EXIT_MODEL;
    }
    const int result = write_calibrated(e);
    e->calibrated = result == APP_EXIT_DONE;
    return result;
}

/* ---- what is told ---- */

/* The same command with --resume; NULL without memory. */
static char *resuming_command(const app_settings *settings)
{
    static char resume[] = "--resume";
    if (settings->resume) return app_text_command(settings->argc, settings->argv);
    char **words = calloc((size_t)settings->argc + 1, sizeof *words);
    if (words == NULL) return NULL;
    memcpy(words, settings->argv, (size_t)settings->argc * sizeof *words);
    /* After the command's name, where no -- can make an operand of it. */
    memmove(words + 3, words + 2, ((size_t)settings->argc - 2) * sizeof *words);
    words[2] = resume;
    char *text = app_text_command(settings->argc + 1, words);
    free(words);
    return text;
}

static void tell_how_to_resume(const app_settings *settings)
{
    if (settings->rows == NULL) {
        app_error("with --rows FILE, such a run can be continued");
        return;
    }
    char *text = resuming_command(settings);
    if (text != NULL) app_error("to continue: %s", text);
    free(text);
}

/* What the first of several ranks says as soon as a signal comes. */
static char *farewell(const app_settings *settings)
{
    char *line = NULL;
    char *resuming = settings->rows != NULL ? resuming_command(settings) : NULL;
    if (asprintf(&line, "vitc: " APP_RANKS_STOPPED "; %s%s\n",
                 resuming != NULL ? "to continue, with any number of ranks, or without mpirun: "
                                  : "with --rows FILE, such a run can be continued",
                 resuming != NULL ? resuming : "") < 0)
        line = NULL;
    free(resuming);
    return line;
}

static bool add_json(command *c, const app_evaluation *e)
{
    vitc_json *o = app_evaluation_json(e);
    if (c->models == 1) {
        c->json = o;
        return o != NULL;
    }
    if (c->json == NULL) c->json = vitc_json_array();
    return c->json != NULL && vitc_json_append(c->json, o);
}

/* What there is to tell while the model is there. */
static int tell(command *c, app_evaluation *e)
{
    if (c->settings->json) return add_json(c, e) ? APP_EXIT_DONE : no_memory();
    if (c->models == 1) app_evaluation_print(e);
    return APP_EXIT_DONE;
}

static int worse(int a, int b)
{
    return a > b ? a : b;
}

/* One model: measured, and what is asked for made of it. */
static int evaluate(command *c, size_t index)
{
    app_settings *settings = &c->each[index];
    app_measure *m = &c->measures[index];
    app_evaluation *e = &c->evaluations[index];
    *settings = *c->settings;
    if (settings->models.count > 0) settings->model = settings->models.items[index];
    *m = (app_measure){.settings = settings,
                       .hash = settings->report_file != NULL,
                       .temporary = c->temporary[0] != 0 ? c->temporary : NULL,
                       .marks = c->models > 1 ? &c->marks : NULL,
                       .first = index == 0};
    int result = app_measure_run(m, e);
    e->overlap = c->overlap_known ? &c->overlap : NULL;
    if (e->n > 0 && (result <= APP_EXIT_INPUTS || e->stopped != NULL)) {
        if (settings->calibrate != NULL) result = worse(result, calibrate(m, e));
        result = worse(result, tell(c, e));
        if (settings->report_file != NULL)
            result = worse(result, app_evaluation_report(settings->report_file, e));
    }
    if ((app_stop_asked() && app_ranks_size() == 1) ||
        (result == APP_EXIT_INTERNAL && e->n > e->resumed))
        tell_how_to_resume(settings);
    app_measure_free(m);
    return app_ranks_agree(result);
}

static int evaluate_all(command *c)
{
    int result = APP_EXIT_DONE;
    size_t done = 0;
    while (done < c->models && result <= APP_EXIT_INPUTS && !app_stop_asked())
        result = worse(result, evaluate(c, done++));
    if (result > APP_EXIT_INPUTS && c->json == NULL) return result;
    if (c->settings->json && c->json != NULL) {
        const bool shown = app_text_print_json(c->json, true, 2, 15, "\n");
        c->json = NULL;
        if (!shown) return no_memory();
    } else if (done > 1 && result <= APP_EXIT_INPUTS && app_ranks_first()) {
        app_evaluation_print_table(c->evaluations, done);
    }
    return result;
}

/* What only the first rank does. */
static int prepare(command *c)
{
    int result = check_files(c->settings);
    if (result == APP_EXIT_DONE) result = make_temporary(c);
    if (result != APP_EXIT_DONE) return result;
    return app_overlap_find(&c->overlap, &c->overlap_known, c->settings);
}

int app_eval_run(const app_settings *settings)
{
    command c = {.settings = settings,
                 .models = settings->models.count > 0 ? settings->models.count : 1};
    int result = check_settings(settings);
    if (result != APP_EXIT_DONE) return result;
    char *const last_words = app_ranks_size() > 1 && app_ranks_first() ? farewell(settings) : NULL;
    app_stop_say(last_words);
    app_stop_watch();
    result = app_ranks_agree(app_ranks_first() ? prepare(&c) : APP_EXIT_DONE);
    if (result == APP_EXIT_DONE && !app_stop_asked()) result = evaluate_all(&c);
    if (c.temporary[0] != 0) unlink(c.temporary);
    vitc_json_free(c.json);
    app_marks_free(&c.marks);
    app_stop_say(NULL);
    free(last_words);
    return app_stop_status(result);
}
