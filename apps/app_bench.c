#include "app_bench.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app_commands.h"
#include "app_guard.h"
#include "app_model.h"
#include "app_progress.h"
#include "app_report.h"
#include "app_text.h"
#include "vitc_clock.h"
#include "vitc_memory.h"
#include "vitc_threads.h"

enum { LIST_MAX = 16, BATCH_MAX = 4096, RUNS_MIN = 5, RUNS_MAX = 100000, SEED = 1 };

/* Runs shorter than this share one measurement of the peak. */
static const double burst_distance = 0.02; /* seconds */

/* What the options ask for; every combination becomes a row. */
typedef struct bench_plan {
    const app_settings *settings;
    vitc_log log;
    const char *config_names[LIST_MAX]; /* vit_config_name; none: the model of -m */
    size_t config_count;
    vit_precision precisions[LIST_MAX]; /* none: those that fit */
    size_t precision_count;
    uint32_t batches[LIST_MAX];
    size_t batch_count;
    uint32_t threads[LIST_MAX];
    size_t thread_count;
    double seconds;
    bool profile;
    vit_runtime_info runtime;
} bench_plan;

/* What was measured so far. */
typedef struct bench_results {
    app_bench_row *rows;
    size_t count, planned;
    char *names[LIST_MAX]; /* of the configurations, printable */
    size_t name_width;
    double bandwidth[LIST_MAX]; /* one for each number of threads */
} bench_results;

/* ---- options ---- */

/* Splits "a,b,c" in place of a copy: words[i] point into *copy. False after a message. */
static bool split_list(const char *option, const char *text, char **copy,
                       const char *words[LIST_MAX], size_t *count)
{
    *count = 0;
    *copy = strdup(text);
    if (*copy == NULL) {
        app_error("out of memory");
        return false;
    }
    for (char *at = *copy; at != NULL;) {
        char *comma = strchr(at, ',');
        if (comma != NULL) *comma++ = 0;
        if (*count == LIST_MAX) {
            app_error("--%s takes at most %d values", option, LIST_MAX);
            return false;
        }
        words[(*count)++] = at;
        at = comma;
    }
    return true;
}

static bool read_numbers(const char *option, const char *text, uint32_t most,
                         uint32_t numbers[LIST_MAX], size_t *count)
{
    char *copy;
    const char *words[LIST_MAX] = {NULL};
    bool ok = split_list(option, text, &copy, words, count);
    for (size_t i = 0; ok && i < *count; i++) {
        char *end;
        errno = 0;
        const unsigned long long number = strtoull(words[i], &end, 10);
        ok = words[i][0] >= '0' && words[i][0] <= '9' && *end == 0 && errno == 0 && number >= 1 &&
             number <= most;
        if (ok)
            numbers[i] = (uint32_t)number;
        else
            app_error("--%s takes numbers from 1 to %u, separated by commas, not \"%s\"", option,
                      most, words[i]);
    }
    free(copy);
    return ok;
}

static bool read_precisions(bench_plan *plan, const char *text)
{
    char *copy;
    const char *words[LIST_MAX] = {NULL};
    bool ok = split_list("precision", text, &copy, words, &plan->precision_count);
    for (size_t i = 0; ok && i < plan->precision_count; i++) {
        ok = false;
        for (int p = VIT_PRECISION_F32; p <= VIT_PRECISION_AUTO; p++) {
            if (strcmp(words[i], vit_precision_string((vit_precision)p)) != 0) continue;
            plan->precisions[i] = (vit_precision)p;
            ok = true;
        }
        if (!ok)
            app_error("--precision takes f32, bf16, int8 and auto, separated by commas, not \"%s\"",
                      words[i]);
    }
    free(copy);
    return ok;
}

/* The canonical name of a configuration that the library knows by this or another name. */
static const char *canonical_name(const char *name, const vitc_log *log)
{
    vit_config wanted, config;
    if (vit_config_named(&wanted, name, log) != VITC_OK) return NULL;
    for (size_t i = 0; vit_config_name(i) != NULL; i++)
        if (vit_config_named(&config, vit_config_name(i), log) == VITC_OK &&
            strcmp(config.architecture, wanted.architecture) == 0)
            return vit_config_name(i);
    return NULL;
}

static bool read_configs(bench_plan *plan, const char *text)
{
    char *copy;
    const char *words[LIST_MAX] = {NULL};
    bool ok = split_list("config", text, &copy, words, &plan->config_count);
    for (size_t i = 0; ok && i < plan->config_count; i++) {
        plan->config_names[i] = canonical_name(words[i], &plan->log);
        ok = plan->config_names[i] != NULL;
    }
    free(copy);
    return ok;
}

static bool read_seconds(bench_plan *plan, const char *text)
{
    char *end;
    plan->seconds = strtod(text, &end);
    if (end != text && *end == 0 && plan->seconds > 0 && plan->seconds <= 3600) return true;
    app_error("--seconds takes a number above 0 and up to 3600, not \"%s\"", text);
    return false;
}

static bool read_plan(bench_plan *plan, const app_settings *settings)
{
    *plan = (bench_plan){.settings = settings,
                         .log = app_log(settings),
                         .seconds = 3,
                         .profile = settings->profile || settings->svg != NULL};
    if (settings->config != NULL && (settings->model != NULL || settings->preprocess != NULL)) {
        app_error("--config makes a model with random weights; it cannot stand with --%s",
                  settings->model != NULL ? "model" : "preprocess");
        return false;
    }
    return (settings->config == NULL || read_configs(plan, settings->config)) &&
           (settings->precisions == NULL || read_precisions(plan, settings->precisions)) &&
           read_numbers("batch", settings->batches != NULL ? settings->batches : "1,8", BATCH_MAX,
                        plan->batches, &plan->batch_count) &&
           (settings->thread_counts == NULL ||
            read_numbers("threads", settings->thread_counts, VITC_THREADS_MAX, plan->threads,
                         &plan->thread_count)) &&
           (settings->seconds == NULL || read_seconds(plan, settings->seconds));
}

/* ---- measuring ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A quantile of sorted values, between two of them where it falls there. */
static double quantile(const double *sorted, size_t count, double part)
{
    const double place = part * (double)(count - 1);
    const size_t below = (size_t)place;
    if (below + 1 >= count) return sorted[count - 1];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

static double median(double *values, size_t count)
{
    if (count == 0) return 0;
    qsort(values, count, sizeof *values, by_value);
    return quantile(values, count, 0.5);
}

/* The instructions that a precision's products run on: where the row has none for bf16, it rounds
 * operands to bf16 and multiplies them in float32. */
static vitc_status measure_peak(double *rate, vit_precision precision, int threads,
                                const vitc_log *log)
{
    if (precision == VIT_PRECISION_INT8) return vit_peak_measure(rate, VIT_PEAK_INT8, threads, log);
    *rate = 0;
    vitc_status status = VITC_OK;
    if (precision == VIT_PRECISION_BF16)
        status = vit_peak_measure(rate, VIT_PEAK_BF16, threads, log);
    if (status == VITC_OK && !(*rate > 0))
        status = vit_peak_measure(rate, VIT_PEAK_F32, threads, log);
    return status;
}

/* Any numbers do, as long as no product becomes denormal or infinite. */
static void fill_patches(vit_workspace *workspace, const vit_config *config, uint32_t batch)
{
    const size_t size =
        (size_t)vit_config_patches(config) * PATCHES_CHANNELS * config->patch * config->patch;
    uint32_t state = SEED;
    for (uint32_t b = 0; b < batch; b++) {
        float *patches = vit_workspace_patches(workspace, b);
        for (size_t i = 0; i < size; i++) {
            state = state * 1664525u + 1013904223u;
            patches[i] = (float)(int32_t)state * 0x1p-31f; /* -1 to 1 */
        }
    }
}

/* Runs the model until the time is over, with the machine's peak measured in between: machines that
 * are shared change their speed from one second to the next. */
static vitc_status measure_runs(app_bench_row *row, const vit_model *model,
                                vit_workspace *workspace, float *logits, double *times,
                                double *peaks, const bench_plan *plan)
{
    const vitc_log *log = &plan->log;
    size_t peak_count = 0;
    for (uint64_t i = 0; i < plan->settings->warmup; i++) {
        const vitc_status status = vit_forward(model, workspace, logits, row->batch, log);
        if (status != VITC_OK) return status;
    }
    if (plan->profile) vit_workspace_profile(workspace, &row->profile);
    const double start = vitc_clock_seconds();
    double last_burst = 0, end = start;
    while (row->runs < RUNS_MAX && (row->runs < RUNS_MIN || end - start < plan->seconds)) {
        const double begin = vitc_clock_seconds();
        vitc_status status = vit_forward(model, workspace, logits, row->batch, log);
        if (status != VITC_OK) return status;
        end = vitc_clock_seconds();
        times[row->runs++] = end - begin;
        if (end - last_burst < burst_distance) continue;
        status = measure_peak(&peaks[peak_count++], row->precision, row->threads, log);
        if (status != VITC_OK) return status;
        last_burst = vitc_clock_seconds();
    }
    row->peak = median(peaks, peak_count);
    row->median = median(times, row->runs);
    row->first_quartile = quantile(times, row->runs, 0.25);
    row->third_quartile = quantile(times, row->runs, 0.75);
    return VITC_OK;
}

/* Memory that is promised but not there ends a program without a word. */
static bool fits_memory(const app_bench_row *row, const vit_model *model)
{
    char needs[32], has[32];
    const size_t machine = vitc_memory_machine();
    const size_t workspace = vit_workspace_size(model, row->batch, row->threads);
    const double size = (double)workspace + (double)vit_model_describe(model).weights_size;
    if (workspace != 0 && size < (double)machine) return true;
    app_error("%s in batches of %u takes %s of memory, more than this machine's %s; give --batch "
              "smaller numbers",
              row->config, row->batch,
              workspace != 0 ? app_text_bytes(needs, sizeof needs, (uint64_t)size) : "far too much",
              app_text_bytes(has, sizeof has, machine));
    return false;
}

static int measure_row(app_bench_row *row, const vit_model *model, const bench_plan *plan)
{
    const vit_config *config = vit_model_describe(model).config;
    vit_workspace *workspace = NULL;
    if (!fits_memory(row, model)) return APP_EXIT_USAGE;
    float *logits = malloc((size_t)row->batch * config->classes * sizeof *logits);
    double *samples = malloc(2 * (size_t)RUNS_MAX * sizeof *samples);
    vitc_status status = VITC_ERR_MEMORY;
    if (logits == NULL || samples == NULL) {
        app_error("out of memory for the results");
    } else {
        status = vit_workspace_create(&workspace, model, row->batch, row->threads, &plan->log);
        if (status == VITC_OK) {
            fill_patches(workspace, config, row->batch);
            status = measure_runs(row, model, workspace, logits, samples, samples + RUNS_MAX, plan);
        }
    }
    vit_workspace_free(workspace);
    free(samples);
    free(logits);
    return app_exit_status(status);
}

/* ---- every combination ---- */

static void show_result(const app_bench_row *row, const bench_plan *plan,
                        const bench_results *results)
{
    app_progress_clear();
    if (!plan->settings->json) {
        app_bench_show_row(row, results->name_width);
        return;
    }
    fputs(results->count == 1 ? "[\n" : ",\n", stdout);
    if (!app_bench_print_json(row, &plan->runtime, plan->settings->profile))
        app_error("out of memory for a row");
}

static int bench_model(const vit_model *model, const char *name, bench_results *results,
                       const bench_plan *plan)
{
    const vit_model_info info = vit_model_describe(model);
    bool gone;
    for (size_t b = 0; b < plan->batch_count; b++)
        for (size_t t = 0; t < plan->thread_count; t++) {
            app_bench_row *row = &results->rows[results->count];
            *row = (app_bench_row){
                .config = name,
                .weights = plan->config_count != 0 ? "random" : app_model_origin(plan->settings),
                .kernel = info.precision_kernel,
                .precision = info.precision,
                .batch = plan->batches[b],
                .threads = (int)plan->threads[t],
                .flops = vit_config_flops(info.config),
                .nominal_flops = vit_config_nominal_flops(info.config),
                .memory = results->bandwidth[t]};
            app_progress_note(plan->settings->quiet, "row %zu of %zu: %s %s, batch %u, threads %d",
                              results->count + 1, results->planned, name,
                              vit_precision_string(row->precision), row->batch, row->threads);
            const int result = measure_row(row, model, plan);
            if (result != APP_EXIT_DONE) return result;
            results->count++;
            show_result(row, plan, results);
            if (!app_stdout_flush(&gone)) return gone ? APP_EXIT_DONE : APP_EXIT_INTERNAL;
        }
    return APP_EXIT_DONE;
}

static int load(vit_model **model, size_t config_index, vit_precision precision,
                const bench_plan *plan)
{
    *model = NULL;
    vit_config config;
    if (plan->config_count == 0) {
        app_settings settings = *plan->settings;
        settings.precision = (int)precision;
        return app_model_load(model, &settings);
    }
    vitc_status status = vit_config_named(&config, plan->config_names[config_index], &plan->log);
    if (status == VITC_OK) status = vit_model_random(model, &config, precision, SEED, &plan->log);
    return app_exit_status(status);
}

/* Without --precision: the formats that the CPU has instructions for and the model can give. */
static int choose_precisions(bench_plan *plan)
{
    double bf16 = 0, int8 = 0;
    bool holds_int8 = false;
    if (plan->precision_count != 0) return APP_EXIT_DONE;
    if (plan->config_count == 0) {
        vit_model *model;
        const int result = load(&model, 0, VIT_PRECISION_DEFAULT, plan);
        if (result != APP_EXIT_DONE) return result;
        holds_int8 = vit_model_describe(model).precision == VIT_PRECISION_INT8;
        vit_model_free(model);
    }
    vitc_status status = vit_peak_measure(&bf16, VIT_PEAK_BF16, 1, &plan->log);
    if (status == VITC_OK) status = vit_peak_measure(&int8, VIT_PEAK_INT8, 1, &plan->log);
    const struct {
        vit_precision precision;
        bool fits;
    } all[] = {{VIT_PRECISION_F32, !holds_int8},
               {VIT_PRECISION_BF16, !holds_int8 && bf16 > 0},
               {VIT_PRECISION_INT8, holds_int8 || (plan->config_count != 0 && int8 > 0)}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i].fits) plan->precisions[plan->precision_count++] = all[i].precision;
    return app_exit_status(status);
}

/* What a model is called in the rows; the results own it. */
static const char *model_name(bench_results *results, size_t config_index, const vit_model *model,
                              const bench_plan *plan)
{
    char **name = &results->names[config_index];
    if (*name == NULL) {
        const char *architecture = vit_model_describe(model).config->architecture;
        *name = app_text_printable(plan->config_count != 0 ? plan->config_names[config_index]
                                   : architecture[0] != 0  ? architecture
                                                           : "not named");
    }
    return *name != NULL ? *name : "?";
}

static int bench_all(bench_results *results, const bench_plan *plan)
{
    const size_t configs = plan->config_count != 0 ? plan->config_count : 1;
    for (size_t c = 0; c < configs; c++)
        for (size_t p = 0; p < plan->precision_count; p++) {
            vit_model *model;
            int result = load(&model, c, plan->precisions[p], plan);
            if (result != APP_EXIT_DONE) return result;
            const char *name = model_name(results, c, model, plan);
            if (results->count == 0 && !plan->settings->json) {
                results->name_width = strlen("config");
                if (app_text_width(name) > results->name_width)
                    results->name_width = app_text_width(name);
                for (size_t i = 0; i < plan->config_count; i++)
                    if (strlen(plan->config_names[i]) > results->name_width)
                        results->name_width = strlen(plan->config_names[i]);
                app_progress_clear();
                app_bench_show_machine(&plan->runtime, plan->threads, plan->thread_count);
                app_bench_show_head(results->name_width);
            }
            result = bench_model(model, name, results, plan);
            vit_model_free(model);
            if (result != APP_EXIT_DONE) return result;
        }
    return APP_EXIT_DONE;
}

static int measure(bench_results *results, bench_plan *plan)
{
    int result =
        app_exit_status(vit_runtime_describe(&plan->runtime, (int)plan->threads[0], &plan->log));
    if (result == APP_EXIT_DONE) result = choose_precisions(plan);
    if (result != APP_EXIT_DONE) return result;
    if (plan->thread_count == 0)
        plan->threads[plan->thread_count++] = (uint32_t)plan->runtime.threads;
    app_progress_note(plan->settings->quiet, "measuring the memory's bandwidth");
    for (size_t t = 0; t < plan->thread_count && result == APP_EXIT_DONE; t++)
        result = app_exit_status(vit_peak_measure(&results->bandwidth[t], VIT_PEAK_MEMORY,
                                                  (int)plan->threads[t], &plan->log));
    if (result != APP_EXIT_DONE) return result;
    results->planned = (plan->config_count != 0 ? plan->config_count : 1) * plan->precision_count *
                       plan->batch_count * plan->thread_count;
    results->rows = calloc(results->planned, sizeof *results->rows);
    if (results->rows == NULL) {
        app_error("out of memory for the results");
        return APP_EXIT_INTERNAL;
    }
    return bench_all(results, plan);
}

/* What comes after the last row, also after one that failed. */
static void show_end(const bench_results *results, const bench_plan *plan)
{
    if (results->count == 0) return;
    if (plan->settings->json) {
        puts("\n]");
        return;
    }
    for (size_t i = 0; plan->settings->profile && i < results->count; i++)
        app_bench_show_profile(&results->rows[i]);
    app_bench_show_notes(results->rows, results->count);
}

int app_bench_run(const app_settings *settings)
{
    bench_plan plan;
    bench_results results = {0};
    vitc_file_writer picture;
    if (!read_plan(&plan, settings)) return APP_EXIT_USAGE;
    if (settings->svg != NULL) { /* before the work, which may take minutes */
        app_guard_output(settings->svg);
        const vitc_status status = vitc_file_writer_open(&picture, settings->svg, &plan.log);
        if (status != VITC_OK) return app_exit_status(status);
    }
    int result = measure(&results, &plan);
    app_progress_clear();
    show_end(&results, &plan);
    if (settings->svg != NULL && result == APP_EXIT_DONE) {
        app_bench_draw(&picture, results.rows, results.count, &plan.runtime);
        result = app_exit_status(vitc_file_writer_commit(&picture, &plan.log));
    } else if (settings->svg != NULL) {
        vitc_file_writer_abort(&picture);
    }
    for (size_t i = 0; i < LIST_MAX; i++) free(results.names[i]);
    free(results.rows);
    return result;
}
