/* The state of a run: what it says of the run besides its numbers, and going on from one. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app_ranks.h"
#include "app_report.h"
#include "app_rows.h"
#include "app_text.h"
#include "app_train.h"
#include "vit_checkpoint.h"
#include "vitc_clock.h"
#include "vitc_file.h"

enum { DIGITS = 17 }; /* carry any double */

static int no_memory(void)
{
    app_error("out of memory for the run");
    return APP_EXIT_INTERNAL;
}

/* ---- what is said of a run ---- */

static vitc_json *parse_text(const app_train *t, const char *text, const char *name)
{
    vitc_json *json = NULL;
    if (text == NULL || vitc_json_parse(&json, text, strlen(text), name, &t->log) != VITC_OK)
        return NULL;
    return json;
}

/* The model but for its numbers: what t->weights is made from again. */
static bool put_model(vitc_json *o, const app_train *t)
{
    const vit_description *description = &t->weights.description;
    char *config = vit_config_format(&t->weights.config), *spec = NULL;
    vitc_json *labels = vitc_json_array();
    bool good = patches_spec_format(&spec, &description->preprocess, &t->log) == VITC_OK &&
                config != NULL && labels != NULL;
    for (uint32_t i = 0; i < description->label_count && good; i++)
        good = vitc_json_append_string(labels, description->labels[i]);
    good = vitc_json_set(o, "model", parse_text(t, config, "model")) && good;
    good = vitc_json_set(o, "preprocess", parse_text(t, spec, "preprocess")) && good;
    good = vitc_json_set(o, "labels", labels) && good;
    if (t->base != NULL) good = good && vitc_json_set_string(o, "base", t->base);
    free(config);
    free(spec);
    return good;
}

static bool put_paths(vitc_json *o, const char *key, const char *const *paths, size_t count)
{
    vitc_json *list = vitc_json_array();
    bool good = list != NULL;
    for (size_t i = 0; i < count && good; i++) good = vitc_json_append_string(list, paths[i]);
    return vitc_json_set(o, key, list) && good;
}

static bool put_data(vitc_json *o, const app_train *t)
{
    vitc_json *data = vitc_json_object(), *validation = vitc_json_object();
    bool good = data != NULL && put_paths(data, "paths", t->data, t->data_count) &&
                vitc_json_set_integer(data, "images", (int64_t)datasets_index_count(t->index)) &&
                vitc_json_set_string(data, "fingerprint", datasets_index_fingerprint(t->index));
    good = vitc_json_set(o, "data", data) && good;
    good = good && validation != NULL && put_paths(validation, "paths", t->val_data, t->val_count);
    if (t->val_fingerprint[0] != 0)
        good = good && vitc_json_set_string(validation, "fingerprint", t->val_fingerprint);
    return vitc_json_set(o, "validation", validation) && good;
}

/* The same text on two machines: the same arithmetic. */
static int find_kernels(app_train *t)
{
    vit_runtime_info info;
    const vitc_status status = vit_runtime_describe(&info, (int)t->settings->threads, &t->log);
    if (status != VITC_OK) return app_exit_status(status);
    const bool bf16 = t->recipe.precision == VIT_PRECISION_BF16;
    snprintf(t->kernels, sizeof t->kernels, "%s%s%s, BLIS %s for %s", info.kernel_row,
             bf16 ? ", bf16 by " : "", bf16 ? info.bf16_kernel : "", info.blis_version,
             info.blis_config);
    return APP_EXIT_DONE;
}

int app_train_describe(app_train *t)
{
    vitc_json *o = vitc_json_object();
    const bool good = o != NULL && vitc_json_set(o, "recipe", app_recipe_json(&t->recipe)) &&
                      put_model(o, t) && put_data(o, t) &&
                      vitc_json_set_integer(o, "steps_per_epoch", (int64_t)t->steps_per_epoch) &&
                      vitc_json_set_integer(o, "steps", (int64_t)t->steps);
    if (!good) {
        vitc_json_free(o);
        return no_memory();
    }
    t->description = o;
    return find_kernels(t);
}

/* What the last bits of numbers depend on, and where the run was begun. */
static bool put_machine(vitc_json *o, const app_train *t)
{
    vit_runtime_info info;
    vitc_json *machine = vitc_json_object();
    const bool good = vit_runtime_describe(&info, (int)t->settings->threads, &t->log) == VITC_OK &&
                      machine != NULL && vitc_json_set_string(machine, "cpu", info.cpu) &&
                      vitc_json_set_string(machine, "kernels", info.kernel_row) &&
                      vitc_json_set_string(machine, "blis", info.blis_version) &&
                      vitc_json_set_string(machine, "blis_config", info.blis_config) &&
                      vitc_json_set_integer(machine, "threads", info.threads) &&
                      vitc_json_set_integer(machine, "ranks", app_ranks_size());
    return vitc_json_set(o, "machine", machine) && good;
}

/* Members of the description, one after the other, behind what only the file says. */
static bool put_description(vitc_json *o, const app_train *t)
{
    char *text = vitc_json_dump(t->description, 0, DIGITS);
    vitc_json *copy = parse_text(t, text, "description");
    bool good = copy != NULL;
    free(text);
    good = vitc_json_set(o, "run", copy) && good;
    return good;
}

int app_train_write_config(app_train *t)
{
    vitc_json *o = vitc_json_object();
    char *command = app_text_command(t->settings->argc, t->settings->argv);
    const bool good = o != NULL && command != NULL && vitc_json_set_integer(o, "vitc_train", 1) &&
                      vitc_json_set_string(o, "vitc", vitc_version()) &&
                      vitc_json_set_string(o, "name", t->name) &&
                      vitc_json_set_string(o, "command", command) &&
                      vitc_json_set_integer(o, "parameters",
                                            (int64_t)vit_config_parameters(&t->weights.config)) &&
                      put_machine(o, t) && put_description(o, t);
    char *text = good ? vitc_json_dump(o, 2, 9) : NULL;
    free(command);
    vitc_json_free(o);
    if (text == NULL) return no_memory();
    vitc_file_writer file;
    vitc_status status = vitc_file_writer_open(&file, t->folder.config, &t->log);
    if (status == VITC_OK) {
        vitc_file_writer_append(&file, text, strlen(text));
        vitc_file_writer_append(&file, "\n", 1);
        status = vitc_file_writer_commit(&file, &t->log);
    }
    free(text);
    return app_exit_status(status);
}

/* ---- progress ---- */

static bool put_score(vitc_json *o, const char *key, const app_train_score *score)
{
    vitc_json *values = vitc_json_object();
    const bool good = values != NULL && vitc_json_set_number(values, "loss", score->loss) &&
                      vitc_json_set_number(values, "accuracy", score->accuracy) &&
                      vitc_json_set_number(values, "top5", score->top5) &&
                      vitc_json_set_number(values, "ece", score->ece);
    return vitc_json_set(o, key, values) && good;
}

static app_train_score read_score(const vitc_json *o)
{
    return (app_train_score){.loss = vitc_json_number(vitc_json_get(o, "loss"), NAN),
                             .accuracy = vitc_json_number(vitc_json_get(o, "accuracy"), NAN),
                             .top5 = vitc_json_number(vitc_json_get(o, "top5"), NAN),
                             .ece = vitc_json_number(vitc_json_get(o, "ece"), NAN)};
}

static vitc_json *format_progress(const app_train_progress *p)
{
    vitc_json *o = vitc_json_object();
    if (o != NULL && vitc_json_set_integer(o, "step", (int64_t)p->step) &&
        vitc_json_set_integer(o, "epoch", p->epoch) &&
        vitc_json_set_number(o, "loss_sum", p->loss_sum) &&
        vitc_json_set_integer(o, "right", (int64_t)p->right) &&
        vitc_json_set_integer(o, "images", (int64_t)p->images) &&
        vitc_json_set_number(o, "norm_sum", p->norm_sum) &&
        vitc_json_set_integer(o, "bad", (int64_t)p->bad) &&
        vitc_json_set_integer(o, "best_epoch", p->best_epoch) &&
        vitc_json_set_bool(o, "best_average", p->best_average) && put_score(o, "best", &p->best))
        return o;
    vitc_json_free(o);
    return NULL;
}

static app_train_progress read_progress(const vitc_json *o)
{
    return (app_train_progress){
        .step = (uint64_t)vitc_json_integer(vitc_json_get(o, "step"), 0),
        .epoch = (uint32_t)vitc_json_integer(vitc_json_get(o, "epoch"), 0),
        .loss_sum = vitc_json_number(vitc_json_get(o, "loss_sum"), 0),
        .right = (uint64_t)vitc_json_integer(vitc_json_get(o, "right"), 0),
        .images = (uint64_t)vitc_json_integer(vitc_json_get(o, "images"), 0),
        .norm_sum = vitc_json_number(vitc_json_get(o, "norm_sum"), 0),
        .bad = (uint64_t)vitc_json_integer(vitc_json_get(o, "bad"), 0),
        .best_epoch = (uint32_t)vitc_json_integer(vitc_json_get(o, "best_epoch"), 0),
        .best_average = vitc_json_bool(vitc_json_get(o, "best_average"), false),
        .best = read_score(vitc_json_get(o, "best"))};
}

/* Where relative paths begin. */
static bool put_directory(vitc_json *o)
{
    char *directory = getcwd(NULL, 0);
    const bool good = directory == NULL || vitc_json_set_string(o, "directory", directory);
    free(directory);
    return good;
}

int app_train_write_state(app_train *t)
{
    vitc_json *o = vitc_json_object();
    const bool good = o != NULL && vitc_json_set_string(o, "name", t->name) &&
                      vitc_json_set_string(o, "kernels", t->kernels) && put_directory(o) &&
                      vitc_json_set_integer(o, "ranks", app_ranks_size()) &&
                      put_paths(o, "exports", t->exports.items, t->exports.count) &&
                      put_description(o, t) &&
                      vitc_json_set(o, "progress", format_progress(&t->progress));
    char *text = good ? vitc_json_dump(o, 0, DIGITS) : NULL;
    vitc_json_free(o);
    if (text == NULL) return no_memory();
    const vitc_status status = vit_train_state_write(t->folder.state, t->folder.previous,
                                                     t->trainer, t->optimizer, text, &t->log);
    free(text);
    t->state_time = vitc_clock_seconds();
    if (status == VITC_OK) {
        t->begun = true;
        t->state_step = t->progress.step;
    } else if (!t->begun) {
        app_error("%s: the first state could not be written, so the run has not begun",
                  t->folder.path);
    } else {
        app_error("%s: the state of step %" PRIu64
                  " could not be written; what was there before is whole. To go on when there is "
                  "room: vitc train --out %s --resume",
                  t->folder.path, t->progress.step, t->folder.path);
    }
    return app_exit_status(status);
}

/* ---- going on ---- */

/* Where no state is whole. */
static void tell_what_is_left(const app_train *t)
{
    const app_train_folder *f = &t->folder;
    if (access(f->best, F_OK) == 0)
        app_error("%s: the run cannot go on, but its best model so far is there: %s, for -m of "
                  "every command",
                  f->path, f->best);
    else
        app_error("%s: the run cannot go on, and has no model yet; begin it again in another "
                  "folder",
                  f->path);
}

/* The newest state that is whole, last.state or previous.state; its text. NULL text and
 * APP_EXIT_DONE where there is none at all. */
static int find_state(char **text, app_train *t)
{
    app_train_folder *f = &t->folder;
    *text = NULL;
    const bool last = access(f->state, F_OK) == 0, previous = access(f->previous, F_OK) == 0;
    vitc_status status = VITC_ERR_UNREADABLE;
    if (!last && !previous) return APP_EXIT_DONE;
    if (last) status = vit_train_state_text(text, f->state, &t->log);
    /* What cannot be read now may be whole. */
    if (last && (status == VITC_ERR_MEMORY || status == VITC_ERR_UNREADABLE))
        return app_exit_status(status);
    if (status != VITC_OK && !previous) tell_what_is_left(t);
    if (status == VITC_OK || !previous) return app_exit_status(status);
    app_warn("%s: cannot be used; going on from %s, the state before it", f->state, f->previous);
    app_train_note(t, "going on from %s", f->previous);
    status = vit_train_state_text(text, f->previous, &t->log);
    if (status != VITC_OK) tell_what_is_left(t);
    /* From here on the one is the other: the next state takes the place of the bad one. */
    if (status == VITC_OK && rename(f->previous, f->state) != 0) {
        app_error("%s: cannot be renamed to %s: %s", f->previous, f->state, strerror(errno));
        return APP_EXIT_INTERNAL;
    }
    return app_exit_status(status);
}

static bool read_labels(app_train *t, const vitc_json *list)
{
    const size_t count = vitc_json_size(list);
    const char **labels = calloc(count + 1, sizeof *labels);
    bool good = labels != NULL && count == t->weights.config.classes;
    for (size_t i = 0; i < count && good; i++) {
        labels[i] = vitc_json_string(vitc_json_at(list, i), NULL);
        good = labels[i] != NULL;
    }
    good = good && vit_weights_set_labels(&t->weights, labels, (uint32_t)count, &t->log) == VITC_OK;
    free((void *)labels);
    return good;
}

static bool read_model(app_train *t, const vitc_json *run)
{
    vit_config *config = &t->weights.config;
    char *spec = vitc_json_dump(vitc_json_get(run, "preprocess"), 0, DIGITS);
    const char *base = vitc_json_string(vitc_json_get(run, "base"), NULL);
    bool good = spec != NULL &&
                vit_config_parse(config, vitc_json_get(run, "model"), t->folder.state, &t->log) ==
                    VITC_OK &&
                vit_config_check(config, &t->log) == VITC_OK &&
                vit_params_create(&t->weights.table, config, &t->log) == VITC_OK;
    good = good && patches_spec_parse(&t->weights.description.preprocess, spec, strlen(spec),
                                      t->folder.state, NULL, &t->log) == VITC_OK;
    free(spec);
    if (good && base != NULL) {
        t->base = strdup(base);
        good = t->base != NULL;
    }
    return good && read_labels(t, vitc_json_get(run, "labels"));
}

/* Paths of the state where the command has none. */
static bool read_paths(const char ***paths, size_t *count, const vitc_json *list)
{
    const size_t size = vitc_json_size(list);
    if (*count > 0 || size == 0) return true;
    *paths = calloc(size, sizeof **paths);
    if (*paths == NULL) return false;
    for (size_t i = 0; i < size; i++) {
        (*paths)[i] = vitc_json_string(vitc_json_at(list, i), NULL);
        if ((*paths)[i] == NULL) return false;
    }
    *count = size;
    return true;
}

/* A relative path of the state begins where the run was begun: there is what is not here. */
static bool find_paths(const char **paths, size_t count, app_train *t)
{
    const char *directory = vitc_json_string(vitc_json_get(t->told, "directory"), NULL);
    if (t->moved == NULL && (t->moved = vitc_json_array()) == NULL) return false;
    for (size_t i = 0; i < count && directory != NULL; i++) {
        if (paths[i][0] == '/' || access(paths[i], F_OK) == 0) continue;
        char *path = vitc_path_join(directory, paths[i]);
        if (path == NULL) return false;
        const bool there = access(path, F_OK) == 0;
        const bool kept = !there || vitc_json_append_string(t->moved, path);
        free(path);
        if (!kept) return false;
        if (there)
            paths[i] = vitc_json_string(vitc_json_at(t->moved, vitc_json_size(t->moved) - 1), "");
    }
    return true;
}

static void read_exports(app_train *t, const vitc_json *list)
{
    for (size_t i = 0; i < vitc_json_size(list) && t->settings->exports.count == 0; i++)
        if (t->exports.count < APP_LIST_MAX)
            t->exports.items[t->exports.count++] = vitc_json_string(vitc_json_at(list, i), "");
}

/* The text of the first rank's state, on all of them; NULL where there is none. */
static int share_state(char **text, app_train *t)
{
    *text = NULL;
    int result = app_ranks_agree(app_ranks_first() ? find_state(text, t) : APP_EXIT_DONE);
    if (result == APP_EXIT_DONE && app_ranks_size() > 1) result = app_ranks_copy_text(text);
    if (result == APP_EXIT_DONE && *text != NULL && (*text)[0] != 0) return result;
    free(*text);
    *text = NULL;
    return result;
}

/* "recipe.drop_path: 0.1 in the run, 0 now" is what people know as --drop-path. */
static void report_difference(const app_train *t, char *line)
{
    static const char prefix[] = "recipe.";
    char *name = line;
    const bool option = strncmp(line, prefix, sizeof prefix - 1) == 0;
    if (option) name += sizeof prefix - 1;
    for (char *at = name; option && *at != 0 && *at != ':'; at++)
        if (*at == '_') *at = '-';
    app_error("%s: %s%s", t->folder.path, option ? "--" : "", name);
}

/* Whether the state is that of a run's end. */
static bool is_over(const app_train *t)
{
    app_recipe recipe;
    return app_recipe_read(&recipe, vitc_json_get(vitc_json_get(t->told, "run"), "recipe")) &&
           (t->progress.epoch >= recipe.epochs || t->progress.step >= recipe.max_steps);
}

static int report_differences(const app_train *t, const vitc_json *then, const vitc_json *now)
{
    static const char *const sides[] = {"in the run", "now"};
    char *const lines = app_rows_differences(then, now, sides);
    if (lines == NULL) return no_memory();
    if (lines[0] == 0) {
        free(lines);
        return APP_EXIT_DONE;
    }
    for (char *line = lines; *line != 0;) {
        char *end = strchr(line, '\n');
        *end = 0;
        report_difference(t, line);
        line = end + 1;
    }
    free(lines);
    if (is_over(t))
        app_error("%s: the run there has ended, and nothing was changed; to train its best model "
                  "further: -m %s, with another folder for --out",
                  t->folder.path, t->folder.best);
    else
        app_error(
            "%s: the run there was begun otherwise, and nothing was changed; go on with the same "
            "data and options (they need not be given: vitc train --out %s --resume), or begin "
            "another run in another folder",
            t->folder.path, t->folder.path);
    return APP_EXIT_USAGE;
}

static bool put_options(vitc_json *o, const app_recipe *recipe, bool val)
{
    vitc_json *options = app_recipe_json(recipe);
    const bool good = options != NULL && vitc_json_set_bool(options, "val", val);
    return vitc_json_set(o, "recipe", options) && good;
}

/* What the options that are given change of those in the state, before anything is made of them. */
static int compare_options(const app_train *t)
{
    const vitc_json *validation = vitc_json_get(vitc_json_get(t->told, "run"), "validation");
    const bool val = vitc_json_size(vitc_json_get(validation, "paths")) > 0;
    app_recipe recipe = t->recipe;
    app_recipe_overlay(&recipe, &t->settings->train);
    vitc_json *then = vitc_json_object(), *now = vitc_json_object();
    const bool good = then != NULL && now != NULL && put_options(then, &t->recipe, val) &&
                      put_options(now, &recipe, val || t->settings->val_data.count > 0);
    const int result = good ? report_differences(t, then, now) : no_memory();
    vitc_json_free(then);
    vitc_json_free(now);
    return result;
}

int app_train_resume_begin(app_train *t)
{
    char *text;
    const int result = share_state(&text, t);
    if (result != APP_EXIT_DONE || text == NULL) return result;
    t->told = parse_text(t, text, t->folder.state);
    free(text);
    const vitc_json *run = vitc_json_get(t->told, "run");
    const vitc_json *data = vitc_json_get(run, "data"),
                    *validation = vitc_json_get(run, "validation");
    if (run == NULL || !app_recipe_read(&t->recipe, vitc_json_get(run, "recipe")) ||
        !read_model(t, run) ||
        !read_paths(&t->data, &t->data_count, vitc_json_get(data, "paths")) ||
        !read_paths(&t->val_data, &t->val_count, vitc_json_get(validation, "paths"))) {
        app_error("%s: is a state that this vitc cannot go on from", t->folder.state);
        return APP_EXIT_MODEL;
    }
    if (!find_paths(t->data, t->data_count, t) || !find_paths(t->val_data, t->val_count, t) ||
        !find_paths(&t->recipe.class_names, t->recipe.class_names != NULL ? 1 : 0, t))
        return no_memory();
    read_exports(t, vitc_json_get(t->told, "exports"));
    t->progress = read_progress(vitc_json_get(t->told, "progress"));
    t->resumed = true;
    const int compared = app_ranks_first() ? compare_options(t) : APP_EXIT_DONE;
    if (t->settings->train.class_names != NULL) /* where a file lies; all else is the run's */
        t->recipe.class_names = t->settings->train.class_names;
    return compared;
}

/* What the state says of the run, with what an option that it does not know would be by default:
 * it may be of an earlier version. NULL without memory. */
static vitc_json *told_run(const app_train *t)
{
    char *text = vitc_json_dump(vitc_json_get(t->told, "run"), 0, DIGITS);
    vitc_json *run = parse_text(t, text, t->folder.state);
    app_recipe recipe;
    free(text);
    if (run == NULL || !app_recipe_read(&recipe, vitc_json_get(run, "recipe"))) return run;
    const int result =
        app_recipe_complete(&recipe, &t->weights.config, datasets_index_count(t->index));
    /* The recipe's texts live in `run`. */
    vitc_json *complete = result == APP_EXIT_DONE ? app_recipe_json(&recipe) : NULL;
    if (complete == NULL || vitc_json_set(run, "recipe", complete)) return run;
    vitc_json_free(run);
    return NULL;
}

int app_train_resume_compare(app_train *t)
{
    vitc_json *run = told_run(t);
    const int result = run != NULL ? report_differences(t, run, t->description) : no_memory();
    vitc_json_free(run);
    return result;
}

/* What makes no other run, but other last bits. */
static void warn_of_changes(const app_train *t)
{
    const char *kernels = vitc_json_string(vitc_json_get(t->told, "kernels"), t->kernels);
    const int ranks = app_ranks_size();
    const int64_t then = vitc_json_integer(vitc_json_get(t->told, "ranks"), ranks);
    if (t->settings->quiet) return;
    if (strcmp(kernels, t->kernels) != 0)
        app_warn("%s: begun with the kernels \"%s\", and this machine has \"%s\": results are no "
                 "longer the same to the last bit (VITC_ISA chooses)",
                 t->folder.path, kernels, t->kernels);
    if (then != ranks)
        app_warn("%s: the last steps were those of %" PRId64 " ranks, and now there %s %d: results "
                 "are no longer the same to the last bit",
                 t->folder.path, then, ranks == 1 ? "is" : "are", ranks);
}

int app_train_resume_finish(app_train *t)
{
    const vitc_status status =
        vit_train_state_read(t->folder.state, t->trainer, t->optimizer, &t->log);
    if (status != VITC_OK) return app_exit_status(status);
    warn_of_changes(t);
    if (vit_optimizer_steps(t->optimizer) == t->progress.step && t->progress.step <= t->steps) {
        t->begun = true;
        t->state_step = t->progress.step;
        return APP_EXIT_DONE;
    }
    app_error("%s: its parts do not belong together", t->folder.state);
    return APP_EXIT_MODEL;
}
