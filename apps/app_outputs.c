#include "app_outputs.h"

#include <string.h>

#include "app_report.h"
#include "vitc_file.h"

/* Also by name alone, for files that are still to be made. "-" is no file. */
static bool is_same(const char *a, const char *b)
{
    if (a == NULL || b == NULL || strcmp(a, "-") == 0 || strcmp(b, "-") == 0) return false;
    return strcmp(a, b) == 0 || vitc_file_is_same(a, b);
}

static bool is_among(const char *path, const char *const *paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_same(path, paths[i])) return true;
    return false;
}

static bool is_read(const char *path, const app_settings *s)
{
    const char *const inputs[] = {s->model, s->preprocess, s->files_from, s->card,
                                  s->data,  s->map,        s->class_names};
    return is_among(path, inputs, sizeof inputs / sizeof *inputs) ||
           is_among(path, s->operands, s->operand_count) ||
           is_among(path, s->models.items, s->models.count) ||
           is_among(path, s->train_data.items, s->train_data.count);
}

int app_outputs_check(const app_settings *settings)
{
    const char *const outputs[] = {settings->dump,        settings->png,      settings->output,
                                   settings->npy,         settings->svg,      settings->rows,
                                   settings->report_file, settings->calibrate};
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        if (is_read(outputs[i], settings)) {
            app_error("%s: is read by this command and cannot be its output too; give another "
                      "output file",
                      outputs[i]);
            return APP_EXIT_USAGE;
        }
        if (is_among(outputs[i], outputs, i)) {
            app_error("%s: is named for two outputs of this command", outputs[i]);
            return APP_EXIT_USAGE;
        }
    }
    return APP_EXIT_DONE;
}
