#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app_ranks.h"
#include "app_report.h"
#include "app_run.h"
#include "app_train.h"
#include "vitc_file.h"

static int no_memory(void)
{
    app_error("out of memory for the run");
    return APP_EXIT_INTERNAL;
}

/* ---- log.txt ---- */

void app_train_note(const app_train *t, const char *format, ...)
{
    char line[2048];
    if (t->folder.lock < 0) return;
    const time_t now = time(NULL);
    struct tm when;
    size_t used = localtime_r(&now, &when) != NULL
                      ? strftime(line, sizeof line, "%Y-%m-%d %H:%M:%S ", &when)
                      : 0;
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(line + used, sizeof line - used - 1, format, arguments);
    va_end(arguments);
    if (length > 0) used += (size_t)length;
    if (used > sizeof line - 2) used = sizeof line - 2;
    line[used++] = '\n';
    /* A log that cannot be written is no reason to end a run. */
    if (write(t->folder.lock, line, used) < 0) return;
}

/* Library messages go to standard error as everywhere, and to the log. */
static void log_write(void *user, vitc_log_level level, const char *message)
{
    const app_train *t = user;
    const vitc_log terminal = app_log(t->settings);
    terminal.write(terminal.user, level, message);
    if (level != VITC_LOG_INFO || t->settings->verbose)
        app_train_note(t, "%s%s",
                       level == VITC_LOG_ERROR  ? "error: "
                       : level == VITC_LOG_WARN ? "warning: "
                                                : "",
                       message);
}

/* ---- the folder ---- */

/* The files of a run; the metrics' are named in app_train_metrics.c. */
static const char *const own_names[] = {"log.txt",          "last.state",       "previous.state",
                                        "best.safetensors", "last.safetensors", "config.json",
                                        "results.svg",      "batch.png",        "report.html",
                                        "validation.jsonl", "metrics.csv",      "metrics.jsonl"};

static bool name_files(app_train_folder *f)
{
    char **const places[] = {&f->log_path, &f->state,  &f->previous, &f->best,   &f->last,
                             &f->config,   &f->curves, &f->batch,    &f->report, &f->rows};
    bool good = true;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        *places[i] = vitc_path_join(f->path, own_names[i]);
        good = good && *places[i] != NULL;
    }
    return good;
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* What a run that was killed left of files that it was writing: NAME.PID-ATTEMPT.tmp, of the NAMEs
 * of a run only. */
static bool is_torn(const char *name)
{
    const char *ending = strrchr(name, '.');
    if (ending == NULL || strcmp(ending, ".tmp") != 0) return false;
    for (size_t i = 0; i < sizeof own_names / sizeof *own_names; i++) {
        const size_t length = strlen(own_names[i]);
        if (strncmp(name, own_names[i], length) == 0 && name[length] == '.') return true;
    }
    return false;
}

/* What is there of a run before its first state. */
static bool is_of_beginning(const char *name)
{
    static const char *const names[] = {"log.txt", "config.json", "batch.png", ".export"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return is_torn(name);
}

/* Calls `see` for every entry; false where the folder cannot be listed. */
static bool list_folder(const char *path, void (*see)(void *user, const char *name), void *user)
{
    DIR *folder = opendir(path);
    if (folder == NULL) return false;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (!is_dot(entry->d_name)) see(user, entry->d_name);
    closedir(folder);
    return true;
}

/* What there is to know of a folder before it is touched. */
typedef struct folder_entries {
    size_t count;
    bool state;    /* a run that can be gone on from */
    char *foreign; /* an entry that no run has before its first state */
} folder_entries;

static void see_entry(void *user, const char *name)
{
    folder_entries *e = user;
    e->count++;
    if (strcmp(name, "last.state") == 0 || strcmp(name, "previous.state") == 0) e->state = true;
    if (e->foreign == NULL && !is_of_beginning(name)) e->foreign = strdup(name);
}

static void remove_torn(void *user, const char *name)
{
    char *path = is_torn(name) ? vitc_path_join(user, name) : NULL;
    if (path != NULL) unlink(path);
    free(path);
}

static void remove_entry(void *user, const char *name)
{
    char *path = vitc_path_join(user, name);
    if (path != NULL) unlink(path);
    free(path);
}

void app_train_remove_folder(const char *path)
{
    if (list_folder(path, remove_entry, (void *)(uintptr_t)path)) rmdir(path);
}

/* Whether a run may begin, or with --resume go on, among what is there. */
static int check_entries(const app_train_folder *f, const folder_entries *entries, bool resume)
{
    if (entries->count == 0 || (resume && entries->state)) return APP_EXIT_DONE;
    if (!resume) {
        app_error("%s: is not empty, and nothing was changed; give another folder to --out, or "
                  "--resume to go on with the run there",
                  f->path);
        return APP_EXIT_USAGE;
    }
    const bool ours = access(f->config, F_OK) != 0 || app_run_is_config(f->config);
    if (entries->foreign == NULL && ours) return APP_EXIT_DONE;
    app_error("%s: has no last.state to go on from, but \"%s\"; nothing was changed; give another "
              "folder to --out",
              f->path, entries->foreign != NULL ? entries->foreign : "config.json");
    return APP_EXIT_USAGE;
}

static int make_folder(app_train_folder *f, bool resume)
{
    folder_entries entries = {0};
    f->made = f->fresh = mkdir(f->path, 0777) == 0;
    if (f->made) return APP_EXIT_DONE;
    if (errno != EEXIST) {
        app_error("%s: cannot be made: %s%s", f->path, strerror(errno),
                  errno == ENOENT ? "; make the folder above it first" : "");
        return APP_EXIT_INTERNAL;
    }
    if (!list_folder(f->path, see_entry, &entries)) {
        app_error("%s: is no folder that can be listed: %s", f->path, strerror(errno));
        return APP_EXIT_INTERNAL;
    }
    f->fresh = entries.count == 0;
    const int result = check_entries(f, &entries, resume);
    free(entries.foreign);
    return result;
}

/* Only one process at a time: the log is locked, which ends with the process, however it ends. */
static int lock_folder(app_train_folder *f)
{
    f->lock = open(f->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (f->lock < 0) {
        app_error("%s: cannot be written: %s", f->log_path, strerror(errno));
        return APP_EXIT_INTERNAL;
    }
    if (flock(f->lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return APP_EXIT_DONE;
    app_error("%s: another vitc train is at work there", f->path);
    return APP_EXIT_USAGE;
}

int app_train_folder_open(app_train *t)
{
    app_train_folder *f = &t->folder;
    t->log = (vitc_log){log_write, t};
    *f = (app_train_folder){.path = t->settings->out, .lock = -1};
    if (!name_files(f)) return no_memory();
    if (!app_ranks_first()) return APP_EXIT_DONE;
    int result = make_folder(f, t->settings->resume);
    if (result == APP_EXIT_DONE) result = lock_folder(f);
    if (result == APP_EXIT_DONE)
        (void)list_folder(f->path, remove_torn, (void *)(uintptr_t)f->path);
    return result;
}

void app_train_folder_discard(app_train_folder *f)
{
    const char *const files[] = {f->config, f->batch, f->log_path};
    if (!f->fresh) return;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i] != NULL) unlink(files[i]);
    if (f->made) rmdir(f->path);
}

void app_train_folder_close(app_train_folder *f)
{
    if (f->lock >= 0) close(f->lock);
    char *const names[] = {f->log_path, f->state,  f->previous, f->best,   f->last,
                           f->config,   f->curves, f->batch,    f->report, f->rows};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) free(names[i]);
    *f = (app_train_folder){.lock = -1};
}
