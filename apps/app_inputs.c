#include "app_inputs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app_ranks.h"
#include "app_report.h"
#include "vitc_file.h"

enum { MAX_LIST = 1 << 30 }; /* bytes of a list of paths */

static int no_memory(void)
{
    app_error("out of memory for the list of inputs");
    return APP_EXIT_INTERNAL;
}

static int add_path(app_inputs *inputs, const char *path)
{
    if (inputs->count == inputs->capacity) {
        const size_t capacity = inputs->capacity != 0 ? inputs->capacity * 2 : 64;
        const char **grown = capacity <= SIZE_MAX / sizeof *grown
                                 ? realloc(inputs->paths, capacity * sizeof *grown)
                                 : NULL;
        if (grown == NULL) return no_memory();
        inputs->paths = grown;
        inputs->capacity = capacity;
    }
    inputs->paths[inputs->count++] = path;
    return APP_EXIT_DONE;
}

/* ---- --files-from ---- */

static int read_list(unsigned char **bytes, size_t *size, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    const char *name = settings->files_from;
    if (strcmp(name, "-") == 0)
        return app_exit_status(
            vitc_file_read_fd(bytes, size, STDIN_FILENO, "list on standard input", MAX_LIST, &log));
    /* Opened here and not by vitc_file_read, because a list may be a pipe: <(find ...). */
    FILE *file = fopen(name, "rbe");
    if (file == NULL) {
        app_error("%s: list of paths cannot be opened: %s", name, strerror(errno));
        return APP_EXIT_MODEL;
    }
    const vitc_status status = vitc_file_read_fd(bytes, size, fileno(file), name, MAX_LIST, &log);
    fclose(file);
    return app_exit_status(status);
}

static int add_list(app_inputs *inputs, const app_settings *settings)
{
    unsigned char *bytes;
    size_t size;
    int result = read_list(&bytes, &size, settings);
    if (result != APP_EXIT_DONE) return result;
    inputs->list = malloc(size + 1);
    if (inputs->list != NULL && size != 0) memcpy(inputs->list, bytes, size);
    free(bytes);
    if (inputs->list == NULL) return no_memory();
    static const unsigned char mark[] = {0xEF, 0xBB, 0xBF}; /* as some systems begin a text */
    char *const list = inputs->list, *const end = list + size;
    const bool nul = settings->null_separated || (size != 0 && memchr(list, 0, size) != NULL);
    *end = 0;
    const bool marked = !nul && size >= sizeof mark && memcmp(list, mark, sizeof mark) == 0;
    for (char *at = marked ? list + sizeof mark : list; at < end && result == APP_EXIT_DONE;) {
        char *const stop = nul ? at + strlen(at) : at + strcspn(at, "\n");
        *stop = 0;
        if (!nul && stop > at && stop[-1] == '\r') stop[-1] = 0;
        /* In a list a path is a path: only an operand can mean standard input. */
        if (*at != 0) result = add_path(inputs, strcmp(at, "-") == 0 ? "./-" : at);
        at = stop + 1;
    }
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
    if (uses == 1 && app_ranks_size() > 1) {
        app_error("standard input (-) reaches one process only, and there are %d ranks",
                  app_ranks_size());
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
    for (size_t i = 0; i < settings->operand_count && result == APP_EXIT_DONE; i++)
        result = add_path(inputs, settings->operands[i]);
    if (settings->files_from != NULL && result == APP_EXIT_DONE)
        result = add_list(inputs, settings);
    if (result == APP_EXIT_DONE && inputs->count == 0) {
        app_error("%s: the list holds no paths", settings->files_from);
        result = APP_EXIT_USAGE;
    }
    if (result != APP_EXIT_DONE) app_inputs_free(inputs);
    return result;
}

void app_inputs_free(app_inputs *inputs)
{
    free(inputs->paths);
    free(inputs->list);
    *inputs = (app_inputs){0};
}

static bool is_mine(void *user, uint64_t index, const char *path)
{
    (void)user;
    return app_ranks_take(index, path);
}

int app_inputs_open(datasets_set **set, const app_inputs *inputs, bool mine,
                    const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    datasets_options options = datasets_options_default();
    options.labelled = false;
    options.standard_input = true;
    if (mine) options.wanted = is_mine;
    return app_exit_status(datasets_open(set, inputs->paths, inputs->count, &options, &log));
}

int app_inputs_check_again(const char *const *paths, size_t count)
{
    struct stat status;
    for (size_t i = 0; i < count; i++)
        if (stat(paths[i], &status) == 0 && S_ISFIFO(status.st_mode)) {
            app_error("%s: is a pipe, which can be read once only; write it to a file first",
                      paths[i]);
            return APP_EXIT_USAGE;
        }
    return APP_EXIT_DONE;
}
