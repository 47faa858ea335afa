#include "app_inputs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app_report.h"
#include "vitc_file.h"

enum { MAX_LIST = 1 << 30 }; /* bytes of a list of paths */

/* The folders above the one being listed. */
typedef struct ancestor {
    const struct ancestor *parent;
    dev_t device;
    ino_t inode;
} ancestor;

static int no_memory(void)
{
    app_error("out of memory for the list of inputs");
    return APP_EXIT_INTERNAL;
}

/* Takes ownership of both strings; a NULL path means that there was no memory for it. */
static int add_input(app_inputs *inputs, char *path, bool standard_input, char *error)
{
    if (path == NULL) {
        free(error);
        return no_memory();
    }
    if (inputs->count == inputs->capacity) {
        const size_t capacity = inputs->capacity != 0 ? inputs->capacity * 2 : 64;
        app_input *grown = capacity <= SIZE_MAX / sizeof *grown
                               ? realloc(inputs->items, capacity * sizeof *grown)
                               : NULL;
        if (grown == NULL) {
            free(path);
            free(error);
            return no_memory();
        }
        inputs->items = grown;
        inputs->capacity = capacity;
    }
    inputs->items[inputs->count++] =
        (app_input){.path = path, .standard_input = standard_input, .error = error};
    return APP_EXIT_DONE;
}

/* An input that failed before it could be opened. */
static int add_failed(app_inputs *inputs, const char *path, const char *reason)
{
    char *error = strdup(reason);
    if (error == NULL) return no_memory();
    return add_input(inputs, strdup(path), false, error);
}

void app_inputs_free(app_inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++) {
        free(inputs->items[i].path);
        free(inputs->items[i].error);
    }
    free(inputs->items);
    *inputs = (app_inputs){0};
}

/* ---- folders ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int app_inputs_compare(const char *a, const char *b)
{
    const char *x = a, *y = b;
    while (*x != 0 && *y != 0) {
        if (is_digit(*x) && is_digit(*y)) {
            while (*x == '0') x++;
            while (*y == '0') y++;
            size_t n = 0, m = 0;
            while (is_digit(x[n])) n++;
            while (is_digit(y[m])) m++;
            if (n != m) return n < m ? -1 : 1;
            const int order = memcmp(x, y, n);
            if (order != 0) return order;
            x += n;
            y += m;
        } else if (*x != *y) {
            return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
        } else {
            x++;
            y++;
        }
    }
    if (*x != *y) return *x == 0 ? -1 : 1;
    return strcmp(a, b); /* equal but for zeros in front of a number */
}

static int compare_names(const void *a, const void *b)
{
    return app_inputs_compare(*(char *const *)a, *(char *const *)b);
}

/* What systems leave in folders of photos. */
static bool is_clutter(const char *name)
{
    return name[0] == '.' || strcasecmp(name, "Thumbs.db") == 0 ||
           strcasecmp(name, "desktop.ini") == 0;
}

/* The names in a folder, sorted; *error gets the reason when it cannot be listed. */
static int list_folder(char ***names, size_t *count, const char *path, int *error)
{
    size_t capacity = 0;
    *names = NULL;
    *count = 0;
    *error = 0;
    DIR *folder = opendir(path);
    if (folder == NULL) {
        *error = errno;
        return APP_EXIT_DONE;
    }
    int result = APP_EXIT_DONE;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL) {
            *error = errno;
            break;
        }
        if (is_clutter(entry->d_name)) continue;
        if (*count == capacity) {
            capacity = capacity != 0 ? capacity * 2 : 64;
            char **grown = realloc(*names, capacity * sizeof **names);
            if (grown == NULL) {
                result = no_memory();
                break;
            }
            *names = grown;
        }
        (*names)[*count] = strdup(entry->d_name);
        if ((*names)[*count] == NULL) {
            result = no_memory();
            break;
        }
        ++*count;
    }
    closedir(folder);
    if (result == APP_EXIT_DONE && *count != 0)
        qsort(*names, *count, sizeof **names, compare_names);
    return result;
}

static bool is_ancestor(const ancestor *above, const struct stat *status)
{
    for (; above != NULL; above = above->parent)
        if (above->device == status->st_dev && above->inode == status->st_ino) return true;
    return false;
}

static int add_folder(app_inputs *inputs, const char *path, const struct stat *status,
                      const ancestor *above, const app_settings *settings)
{
    const ancestor here = {above, status->st_dev, status->st_ino};
    char **names;
    size_t count;
    int error;
    int result = list_folder(&names, &count, path, &error);
    for (size_t i = 0; i < count && result == APP_EXIT_DONE; i++) {
        char *child = vitc_path_join(path, names[i]);
        struct stat child_status;
        if (child == NULL) {
            result = no_memory();
        } else if (stat(child, &child_status) != 0 || !S_ISDIR(child_status.st_mode)) {
            result = add_input(inputs, child, false, NULL);
        } else {
            if (!is_ancestor(&here, &child_status))
                result = add_folder(inputs, child, &child_status, &here, settings);
            else if (!settings->quiet)
                app_warn("%s: leads back to a folder above it; skipped", child);
            free(child);
        }
    }
    for (size_t i = 0; i < count; i++) free(names[i]);
    free(names);
    if (result != APP_EXIT_DONE || error == 0) return result;
    char reason[160];
    snprintf(reason, sizeof reason, "folder cannot be listed: %s", strerror(error));
    return add_failed(inputs, path, reason);
}

/* A path that the user named: a file, a folder, or nothing at all, which its row will say. */
static int add_path(app_inputs *inputs, const char *path, const app_settings *settings)
{
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
        return add_input(inputs, strdup(path), false, NULL);
    const size_t before = inputs->count;
    const int result = add_folder(inputs, path, &status, NULL, settings);
    if (result != APP_EXIT_DONE || inputs->count > before) return result;
    return add_failed(inputs, path, "the folder holds no files");
}

/* ---- --files-from ---- */

static int add_list(app_inputs *inputs, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    const char *name = settings->files_from;
    unsigned char *bytes = NULL;
    size_t size = 0;
    vitc_status status;
    if (strcmp(name, "-") == 0) {
        status = vitc_file_read_fd(&bytes, &size, STDIN_FILENO, "list on standard input", MAX_LIST,
                                   &log);
    } else {
        /* Opened here and not by vitc_file_read, because a list may be a pipe: <(find ...). */
        FILE *file = fopen(name, "rbe");
        if (file == NULL) {
            app_error("%s: list of paths cannot be opened: %s", name, strerror(errno));
            return APP_EXIT_MODEL;
        }
        status = vitc_file_read_fd(&bytes, &size, fileno(file), name, MAX_LIST, &log);
        fclose(file);
    }
    if (status != VITC_OK) return app_exit_status(status);

    const bool nul = settings->null_separated || (size != 0 && memchr(bytes, 0, size) != NULL);
    const char separator = nul ? '\0' : '\n';
    int result = APP_EXIT_DONE;
    for (size_t at = 0; at < size && result == APP_EXIT_DONE;) {
        const unsigned char *end = memchr(bytes + at, separator, size - at);
        const size_t length = end != NULL ? (size_t)(end - (bytes + at)) : size - at;
        if (length != 0) {
            char *path = strndup((const char *)bytes + at, length);
            result = path != NULL ? add_path(inputs, path, settings) : no_memory();
            free(path);
        }
        at += length + 1;
    }
    free(bytes);
    return result;
}

/* Standard input can give one thing only, once, and nobody types an image. */
static int check_standard_input(const app_settings *settings)
{
    size_t uses = settings->files_from != NULL && strcmp(settings->files_from, "-") == 0;
    for (size_t i = 0; i < settings->operand_count; i++)
        uses += strcmp(settings->operands[i], "-") == 0;
    if (uses > 1) {
        app_error("standard input (-) can be used once only");
        return APP_EXIT_USAGE;
    }
    if (uses == 1 && isatty(STDIN_FILENO) == 1) {
        app_error("standard input (-) is a terminal; send it a file: vitc ... - < FILE");
        return APP_EXIT_USAGE;
    }
    return APP_EXIT_DONE;
}

int app_inputs_collect(app_inputs *inputs, const app_settings *settings)
{
    *inputs = (app_inputs){0};
    if (settings->operand_count == 0 && settings->files_from == NULL) {
        app_error("no images given; name files or folders, or use --files-from; see vitc classify "
                  "--help");
        return APP_EXIT_USAGE;
    }
    if (settings->null_separated && settings->files_from == NULL) {
        app_error("--null says how the list of --files-from is separated, but none is given");
        return APP_EXIT_USAGE;
    }
    int result = check_standard_input(settings);
    for (size_t i = 0; i < settings->operand_count && result == APP_EXIT_DONE; i++) {
        const char *operand = settings->operands[i];
        if (strcmp(operand, "-") == 0)
            result = add_input(inputs, strdup("-"), true, NULL);
        else
            result = add_path(inputs, operand, settings);
    }
    if (settings->files_from != NULL && result == APP_EXIT_DONE)
        result = add_list(inputs, settings);
    if (result == APP_EXIT_DONE && inputs->count == 0) {
        app_error("%s: the list holds no paths", settings->files_from);
        result = APP_EXIT_USAGE;
    }
    if (result != APP_EXIT_DONE) app_inputs_free(inputs);
    return result;
}
