#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app_commands.h"
#include "app_inputs.h"
#include "app_model.h"
#include "app_output.h"
#include "app_progress.h"
#include "app_ranks.h"
#include "app_report.h"
#include "app_sort.h"
#include "app_stop.h"
#include "app_stream.h"
#include "vit.h"

/* So many images are looked for before the first is read: how many there are says how the threads
 * are best used, and their paths how wide a column has to be. */
enum { KNOWN_MOST = 1024 };

/* The state of one run; zeroed, then filled from the top. */
typedef struct run {
    const app_settings *settings;
    app_inputs inputs;
    vit_model *model;
    datasets_set *ahead; /* all images, of which `known` are looked at */
    datasets_set *set;   /* those to be classified; the same set but for several ranks */
    app_known known;
    app_output output;
    app_sort sort;
    bool rows_are_seen; /* rows and messages go to one terminal: no need to say things twice */
    bool reader_gone;   /* of standard output */
    uint64_t done;
    int exit_status;
} run;

static bool same_terminal(void)
{
    struct stat out, err;
    return isatty(STDOUT_FILENO) == 1 && isatty(STDERR_FILENO) == 1 &&
           fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0 &&
           out.st_rdev == err.st_rdev;
}

/* ---- how many images there are, counted while they are classified ---- */

typedef struct counting {
    datasets_set *set; /* the same once more */
    bool running;
    pthread_t thread;
    pthread_mutex_t mutex;
    bool ended; /* nobody needs the number any more */
} counting;

static bool go_on_counting(void *user, uint64_t images)
{
    counting *c = user;
    (void)images;
    pthread_mutex_lock(&c->mutex);
    const bool go_on = !c->ended;
    pthread_mutex_unlock(&c->mutex);
    return go_on;
}

static void *count_images(void *user)
{
    counting *c = user;
    datasets_survey survey;
    if (datasets_survey_set(&survey, c->set, go_on_counting, c, NULL) == VITC_OK && survey.counted)
        app_progress_total(survey.images);
    return NULL;
}

/* Only where somebody sees the number. The run does without it where it cannot be had. */
static void begin_counting(counting *c, const run *r)
{
    app_settings silent = *r->settings;
    silent.quiet = true;
    *c = (counting){.mutex = PTHREAD_MUTEX_INITIALIZER};
    if (r->known.all || !app_progress_wanted(r->settings->quiet) ||
        app_inputs_open(&c->set, &r->inputs, false, &silent) != APP_EXIT_DONE)
        return;
    c->running = pthread_create(&c->thread, NULL, count_images, c) == 0;
}

static void end_counting(counting *c)
{
    if (c->running) {
        pthread_mutex_lock(&c->mutex);
        c->ended = true;
        pthread_mutex_unlock(&c->mutex);
        pthread_join(c->thread, NULL);
    }
    datasets_close(c->set);
}

/* ---- one image ---- */

static void report_failure(const run *r, const char *path, const app_answer *answer)
{
    if (!r->settings->quiet && !r->rows_are_seen)
        app_error("%s: %s", path, app_output_reason(answer->status, answer->error, path));
}

/* One row and, for a failure, one message and the run's exit status. */
static int deliver(void *user, const datasets_item *item, const app_answer *answer)
{
    run *r = user;
    const bool ok = answer->status == VITC_OK;
    if (answer->status == VITC_ERR_MEMORY)
        r->exit_status = APP_EXIT_INTERNAL;
    else if (!ok && r->exit_status == APP_EXIT_DONE)
        r->exit_status = APP_EXIT_INPUTS;
    if (!ok) report_failure(r, item->path, answer);
    app_progress_clear();
    if (!app_output_row(&r->output, item->path, answer)) {
        app_error("out of memory for the row of %s", item->path);
        return APP_EXIT_INTERNAL;
    }
    if (!app_stdout_flush(&r->reader_gone)) return APP_EXIT_INTERNAL;
    if (ok && r->settings->sort_into != NULL) {
        const int result =
            app_sort_image(&r->sort, item, r->output.ranking[0], r->output.uncertain);
        if (result != APP_EXIT_DONE) return result;
    }
    r->done++;
    return APP_EXIT_DONE;
}

/* ---- the run ---- */

static int check_settings(const app_settings *settings)
{
    if (settings->json && settings->csv) {
        app_error("--json and --csv: choose one");
        return APP_EXIT_USAGE;
    }
    if (settings->logits && !settings->json && !settings->csv) {
        app_error("--logits needs --json or --csv");
        return APP_EXIT_USAGE;
    }
    if (settings->sort_copies && settings->sort_into == NULL) {
        app_error("--sort-copies says how --sort-into puts images into folders, but that is not "
                  "given");
        return APP_EXIT_USAGE;
    }
    return APP_EXIT_DONE;
}

static int load_model(run *r)
{
    const int result = app_model_load(&r->model, r->settings);
    if (result != APP_EXIT_DONE) return result;
    if (r->settings->min_score > 0 &&
        vit_model_describe(r->model).config->scores == VIT_SCORES_RAW) {
        app_error("--min-score needs scores from 0 to 1; those of this model are its raw outputs");
        return APP_EXIT_USAGE;
    }
    return APP_EXIT_DONE;
}

static int open_set(run *r)
{
    const vitc_log log = app_log(r->settings);
    app_known *known = &r->known;
    const int result = app_inputs_open(&r->ahead, &r->inputs, false, r->settings);
    if (result != APP_EXIT_DONE) return result;
    const vitc_status status =
        datasets_peek(&known->items, &known->count, &known->all, r->ahead, KNOWN_MOST, &log);
    if (status != VITC_OK) return app_exit_status(status);
    if (app_ranks_size() > 1) return app_inputs_open(&r->set, &r->inputs, true, r->settings);
    r->set = r->ahead;
    return APP_EXIT_DONE;
}

static int open_output(run *r)
{
    r->rows_are_seen = !r->settings->json && !r->settings->csv && same_terminal();
    if (!app_output_open(&r->output, r->settings, r->model, &r->known)) {
        app_error("out of memory for the results");
        return APP_EXIT_INTERNAL;
    }
    return r->settings->sort_into != NULL ? app_sort_open(&r->sort, r->settings, r->model)
                                          : APP_EXIT_DONE;
}

static int prepare(run *r)
{
    int result = app_inputs_collect(&r->inputs, r->settings);
    if (result == APP_EXIT_DONE && app_ranks_first())
        result = app_sort_prepare(r->settings, &r->inputs);
    if (result == APP_EXIT_DONE) result = load_model(r);
    if (result == APP_EXIT_DONE) result = open_set(r);
    return result;
}

/* Everything that scores depend on has to be the same on all ranks. */
static int compare_ranks(const run *r)
{
    char hash[VITC_SHA256_TEXT_SIZE], *mine = NULL;
    if (app_ranks_size() == 1) return APP_EXIT_DONE;
    const vit_model_info info = vit_model_describe(r->model);
    int result = app_model_hash(hash, r->settings);
    if (result == APP_EXIT_DONE &&
        asprintf(&mine, "vitc %s, model %.12s, kernels %s, %s by %s", vitc_version(), hash,
                 info.kernel_row, vit_precision_string(info.precision),
                 info.precision_kernel) < 0) {
        mine = NULL;
        app_error("out of memory for the model's description");
        result = APP_EXIT_INTERNAL;
    }
    result = app_ranks_agree(result);
    char *first = app_ranks_first() ? mine : NULL;
    if (result == APP_EXIT_DONE) result = app_ranks_copy_text(&first);
    if (result == APP_EXIT_DONE && first != NULL && mine != NULL && strcmp(first, mine) != 0) {
        app_error("has %s, and the first rank %s; all ranks need the same, and VITC_ISA names "
                  "kernels that all machines have",
                  mine, first);
        result = APP_EXIT_USAGE;
    }
    if (first != mine) free(first);
    free(mine);
    return result;
}

static int run_all(run *r)
{
    const app_stream stream = {.settings = r->settings,
                               .model = r->model,
                               .set = r->set,
                               .images = r->known.all ? r->known.count : UINT64_MAX,
                               .contents = r->settings->sort_into != NULL,
                               .deliver = deliver,
                               .user = r};
    app_times times = {0};
    counting c;
    begin_counting(&c, r);
    const int result = app_stream_run(&stream, &times);
    end_counting(&c);
    if (app_stop_asked() && app_ranks_first())
        app_error("stopped by a signal: %" PRIu64 " image%s done", r->done,
                  r->done == 1 ? "" : "s");
    return result == APP_EXIT_DONE || r->reader_gone ? r->exit_status : result;
}

int app_classify_run(const app_settings *settings)
{
    run r = {.settings = settings};
    int result = check_settings(settings);
    if (result != APP_EXIT_DONE) return result;
    if (app_ranks_size() > 1 && app_ranks_first()) app_stop_say("vitc: " APP_RANKS_STOPPED "\n");
    app_stop_watch();
    result = app_ranks_agree(prepare(&r));
    if (result == APP_EXIT_DONE) result = app_ranks_agree(compare_ranks(&r));
    if (result == APP_EXIT_DONE)
        result = app_ranks_agree(app_ranks_first() ? open_output(&r) : APP_EXIT_DONE);
    if (result == APP_EXIT_DONE) result = run_all(&r);
    app_sort_close(&r.sort);
    app_output_close(&r.output);
    if (r.set != r.ahead) datasets_close(r.set);
    datasets_close(r.ahead);
    vit_model_free(r.model);
    app_inputs_free(&r.inputs);
    return result;
}
