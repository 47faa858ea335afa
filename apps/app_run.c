#include "app_run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app_report.h"
#include "vitc_file.h"
#include "vitc_json.h"

/* What was found, for as long as the program runs, as the words of its command. */
static struct {
    const char *run;
    char *model;
} found[2 * APP_LIST_MAX];
static size_t found_count;

static int no_memory(const char *path)
{
    app_error("out of memory for %s", path);
    return APP_EXIT_INTERNAL;
}

bool app_run_is_config(const char *path)
{
    unsigned char *text;
    size_t size;
    enum { MOST = 1 << 24 };
    vitc_json *json = NULL;
    if (vitc_file_read(&text, &size, path, MOST, NULL) != VITC_OK) return false;
    const bool good = vitc_json_parse(&json, (const char *)text, size, path, NULL) == VITC_OK &&
                      vitc_json_integer(vitc_json_get(json, "vitc_train"), 0) > 0;
    vitc_json_free(json);
    free(text);
    return good;
}

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* The best model of the run in this folder; NULL with APP_EXIT_DONE where it is none. */
static int find_best(char **best, const char *folder)
{
    char *config = vitc_path_join(folder, "config.json");
    *best = vitc_path_join(folder, "best.safetensors");
    const bool good = config != NULL && *best != NULL;
    if (!good || !app_run_is_config(config)) {
        free(*best);
        *best = NULL;
    }
    free(config);
    return good ? APP_EXIT_DONE : no_memory(folder);
}

static int take_run(const char **path)
{
    char *best;
    const int result = find_best(&best, *path);
    if (result != APP_EXIT_DONE || best == NULL) return result;
    if (access(best, F_OK) != 0) {
        app_error("%s: is a run of vitc train that has no model yet: best.safetensors comes with "
                  "its first epoch",
                  *path);
        free(best);
        return APP_EXIT_MODEL;
    }
    found[found_count].run = *path;
    found[found_count++].model = best;
    *path = best;
    return APP_EXIT_DONE;
}

/* last.state and previous.state are files for --resume. */
static int refuse_state(const char *path)
{
    const char *ending = strrchr(path, '.'), *slash = strrchr(path, '/');
    char *best, *folder;
    if (ending == NULL || strcmp(ending, ".state") != 0) return APP_EXIT_DONE;
    folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    int result = folder != NULL ? find_best(&best, folder) : no_memory(path);
    free(folder);
    if (result != APP_EXIT_DONE || best == NULL) return result;
    app_error("%s: is the state of a run of vitc train, for --resume, and no model; the model of "
              "the run is %s",
              path, best);
    free(best);
    return APP_EXIT_MODEL;
}

static int find_model(const char **path)
{
    if (*path == NULL || strcmp(*path, "bundled") == 0 ||
        found_count == sizeof found / sizeof *found)
        return APP_EXIT_DONE;
    return is_folder(*path) ? take_run(path) : refuse_state(*path);
}

int app_run_find_models(app_settings *settings, char **operands, size_t first)
{
    int result = find_model(&settings->model);
    if (result == APP_EXIT_DONE) result = find_model(&settings->train.model);
    for (size_t i = 0; i < settings->models.count && result == APP_EXIT_DONE; i++)
        result = find_model(&settings->models.items[i]);
    for (size_t i = first; i < settings->operand_count && result == APP_EXIT_DONE; i++) {
        const char *path = operands[i];
        result = find_model(&path);
        operands[i] = (char *)(uintptr_t)path;
    }
    return result;
}

void app_run_tell_models(const app_settings *settings)
{
    for (size_t i = 0; i < found_count && !settings->quiet; i++)
        app_error("%s: is a run of vitc train; its best model is taken: %s", found[i].run,
                  found[i].model);
}
