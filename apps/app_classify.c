#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app_commands.h"
#include "app_inputs.h"
#include "app_model.h"
#include "app_output.h"
#include "app_progress.h"
#include "app_report.h"
#include "vitc_file.h"

/* The state of one run; zeroed, then filled from the top. */
typedef struct run {
    const app_settings *settings;
    app_inputs inputs;
    vit_model *model;
    vit_classifier *classifier;
    app_output output;
    size_t batch;
    vit_input *batch_inputs;   /* those of a batch that have something to decode */
    vit_output *batch_outputs; /* what became of them */
    unsigned char *standard_input;
    bool rows_are_seen; /* rows and messages go to one terminal: no need to say things twice */
    int exit_status;
} run;

static bool same_terminal(void)
{
    struct stat out, err;
    return isatty(STDOUT_FILENO) == 1 && isatty(STDERR_FILENO) == 1 &&
           fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0 &&
           out.st_rdev == err.st_rdev;
}

static int prepare(run *r)
{
    const app_settings *settings = r->settings;
    const vitc_log log = app_log(settings);
    int result = app_inputs_collect(&r->inputs, settings);
    if (result != APP_EXIT_DONE) return result;
    result = app_model_load(&r->model, settings);
    if (result != APP_EXIT_DONE) return result;

    r->batch = settings->batch < r->inputs.count ? (size_t)settings->batch : r->inputs.count;
    vit_classifier_options options = vit_classifier_options_default();
    options.batch = (uint32_t)r->batch;
    options.threads = (int)settings->threads;
    options.views = (vit_views)settings->views;
    options.decode = app_decode_options(settings);
    result = app_exit_status(vit_classifier_create(&r->classifier, r->model, &options, &log));
    if (result != APP_EXIT_DONE) return result;

    r->batch_inputs = calloc(r->batch, sizeof *r->batch_inputs);
    r->batch_outputs = calloc(r->batch, sizeof *r->batch_outputs);
    if (r->batch_inputs == NULL || r->batch_outputs == NULL ||
        !app_output_open(&r->output, settings, r->model, &r->inputs)) {
        app_error("out of memory for the results");
        return APP_EXIT_INTERNAL;
    }
    r->rows_are_seen = !settings->json && !settings->csv && same_terminal();
    return APP_EXIT_DONE;
}

static void failed(vit_output *output, vitc_status status, const char *reason)
{
    *output = (vit_output){.status = status};
    snprintf(output->error, sizeof output->error, "%s", reason);
}

/* Reading from a pipe reports like reading a file: into the row. */
static void keep_message(void *user, vitc_log_level level, const char *message)
{
    vit_output *output = user;
    if (level == VITC_LOG_ERROR && output->error[0] == 0)
        snprintf(output->error, sizeof output->error, "%s", message);
}

static bool read_standard_input(run *r, vit_input *input, vit_output *output)
{
    const vitc_log log = {keep_message, output};
    size_t size;
    *output = (vit_output){.status = VITC_OK};
    output->status = vitc_file_read_fd(&r->standard_input, &size, STDIN_FILENO, "-",
                                       imgio_limits_default().max_file_size, &log);
    *input = (vit_input){.data = r->standard_input, .size = size, .name = "-"};
    return output->status == VITC_OK;
}

/* One row and, for a failure, one message and the run's exit status. */
static int finish_input(run *r, const char *path, const vit_output *output)
{
    if (output->status == VITC_ERR_MEMORY)
        r->exit_status = APP_EXIT_INTERNAL;
    else if (output->status != VITC_OK && r->exit_status == APP_EXIT_DONE)
        r->exit_status = APP_EXIT_INPUTS;
    if (output->status != VITC_OK && !r->settings->quiet && !r->rows_are_seen)
        app_error("%s: %s", path, app_output_reason(output->status, output->error, path));
    app_progress_clear();
    if (app_output_row(&r->output, path, output)) return APP_EXIT_DONE;
    app_error("out of memory for the row of %s", path);
    return APP_EXIT_INTERNAL;
}

/* Inputs first .. first + count - 1. Those that failed while they were looked for are not decoded,
 * but keep their place among the rows. */
static int run_batch(run *r, size_t first, size_t count)
{
    const vitc_log log = app_log(r->settings);
    vit_output unread;
    size_t decoded = 0;
    bool unread_input = false;
    for (size_t i = 0; i < count; i++) {
        const app_input *input = &r->inputs.items[first + i];
        if (input->error != NULL) continue;
        vit_input *to = &r->batch_inputs[decoded];
        *to = (vit_input){.path = input->path};
        if (input->standard_input && !read_standard_input(r, to, &unread)) {
            unread_input = true;
            continue;
        }
        decoded++;
    }
    vitc_status status =
        vit_classify(r->classifier, r->batch_outputs, r->batch_inputs, decoded, &log);
    free(r->standard_input);
    r->standard_input = NULL;
    if (status != VITC_OK) return app_exit_status(status);

    size_t next = 0;
    for (size_t i = 0; i < count; i++) {
        const app_input *input = &r->inputs.items[first + i];
        vit_output lost;
        const vit_output *output;
        if (input->error != NULL) {
            failed(&lost, VITC_ERR_UNREADABLE, input->error);
            output = &lost;
        } else if (input->standard_input && unread_input) {
            output = &unread;
        } else {
            output = &r->batch_outputs[next++];
        }
        /* These say nothing about the image: something is wrong with the whole run. */
        if (output->status == VITC_ERR_PREPROCESS || output->status == VITC_ERR_ARGUMENT ||
            output->status == VITC_ERR_INTERNAL) {
            app_error("%s", output->error);
            return app_exit_status(output->status);
        }
        const int result = finish_input(r, input->path, output);
        if (result != APP_EXIT_DONE) return result;
    }
    return APP_EXIT_DONE;
}

static int run_all(run *r)
{
    app_progress_start(r->inputs.count, r->settings->quiet);
    for (size_t done = 0; done < r->inputs.count;) {
        const size_t left = r->inputs.count - done;
        const size_t count = left < r->batch ? left : r->batch;
        const int result = run_batch(r, done, count);
        if (result != APP_EXIT_DONE) return result;
        bool gone;
        if (!app_stdout_flush(&gone)) return gone ? r->exit_status : APP_EXIT_INTERNAL;
        done += count;
        app_progress_update(done);
    }
    return r->exit_status;
}

int app_classify_run(const app_settings *settings)
{
    run r = {.settings = settings};
    if (settings->json && settings->csv) {
        app_error("--json and --csv: choose one");
        return APP_EXIT_USAGE;
    }
    if (settings->logits && !settings->json && !settings->csv) {
        app_error("--logits needs --json or --csv");
        return APP_EXIT_USAGE;
    }
    int result = prepare(&r);
    if (result == APP_EXIT_DONE) result = run_all(&r);
    app_progress_finish();
    app_output_close(&r.output);
    free(r.batch_inputs);
    free(r.batch_outputs);
    free(r.standard_input);
    vit_classifier_free(r.classifier);
    vit_model_free(r.model);
    app_inputs_free(&r.inputs);
    return result;
}
