#include "app_data.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "app_inputs.h"
#include "app_report.h"
#include "vitc_file.h"

static int no_memory(void)
{
    app_error("out of memory for the list of images");
    return APP_EXIT_INTERNAL;
}

void app_data_free(app_data *data)
{
    for (size_t i = 0; i < data->count; i++) free(data->items[i].path);
    free(data->items);
    *data = (app_data){0};
}

/* ---- names of folders and labels ---- */

static int letter(char c)
{
    if (c == '_' || c == '-') return ' ';
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

static bool is_alike(const char *a, const char *b)
{
    while (*a != 0 && letter(*a) == letter(*b)) {
        a++;
        b++;
    }
    return *a == 0 && *b == 0;
}

/* Names for a message: as many as are of use, and how many more there are. */
typedef struct name_list {
    char text[600];
    size_t used, total, shown;
} name_list;

static void list_add(name_list *list, const char *name)
{
    enum { MOST = 20 };
    list->total++;
    if (list->shown == MOST || list->used + strlen(name) + 3 > sizeof list->text) return;
    list->used += (size_t)snprintf(list->text + list->used, sizeof list->text - list->used, "%s%s",
                                   list->shown > 0 ? ", " : "", name);
    list->shown++;
}

static const char *list_more(const name_list *list, char more[40])
{
    more[0] = 0;
    if (list->shown < list->total) snprintf(more, 40, ", and %zu more", list->total - list->shown);
    return more;
}

/* How many labels a folder may stand for; *label gets the first. */
static uint32_t match_label(uint32_t *label, const char *folder, const vit_model *model)
{
    const uint32_t classes = vit_model_describe(model).config->classes;
    uint32_t exact = 0, alike = 0, first_alike = 0;
    for (uint32_t k = 0; k < classes; k++) {
        const char *name = vit_model_label(model, k);
        if (strcmp(name, folder) == 0 && exact++ == 0) *label = k;
        if (is_alike(name, folder) && alike++ == 0) first_alike = k;
    }
    if (exact > 0) return exact;
    *label = first_alike;
    return alike;
}

/* ---- folders ---- */

static int add_class(app_data *data, const char *path, size_t root, uint32_t label,
                     const app_settings *settings)
{
    const char *const operands[] = {path};
    app_settings here = *settings;
    here.operands = operands;
    here.operand_count = 1;
    here.files_from = NULL;
    here.null_separated = false;
    app_inputs inputs;
    int result = app_inputs_collect(&inputs, &here);
    if (result != APP_EXIT_DONE) return result;
    if (data->capacity - data->count < inputs.count) {
        const size_t capacity = 2 * data->capacity + inputs.count;
        app_labelled *grown = realloc(data->items, capacity * sizeof *grown);
        if (grown == NULL) {
            app_inputs_free(&inputs);
            return no_memory();
        }
        data->items = grown;
        data->capacity = capacity;
    }
    for (size_t i = 0; i < inputs.count; i++) {
        char *file = inputs.items[i].path;
        inputs.items[i].path = NULL;
        data->items[data->count++] =
            (app_labelled){.path = file, .name = file + root, .label = label};
    }
    app_inputs_free(&inputs);
    return APP_EXIT_DONE;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const app_labelled *)a)->name, ((const app_labelled *)b)->name);
}

/* What reading a folder found besides images. */
typedef struct findings {
    name_list unknown, ambiguous;
    size_t folders, files;
} findings;

static int add_entry(app_data *data, findings *found, const char *folder, const char *name,
                     const vit_model *model, const app_settings *settings)
{
    struct stat status;
    char *path = vitc_path_join(folder, name);
    if (path == NULL) return no_memory();
    int result = APP_EXIT_DONE;
    uint32_t label = 0;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        found->files++;
    } else {
        const uint32_t matches = match_label(&label, name, model);
        found->folders++;
        if (matches == 0)
            list_add(&found->unknown, name);
        else if (matches > 1)
            list_add(&found->ambiguous, name);
        else
            result = add_class(data, path, strlen(path) - strlen(name), label, settings);
    }
    free(path);
    return result;
}

static int report_names(const findings *found, const char *folder, const vit_model *model)
{
    char more[40], more_labels[40];
    if (found->unknown.total > 0) {
        name_list labels = {0};
        const uint32_t classes = vit_model_describe(model).config->classes;
        for (uint32_t k = 0; k < classes; k++) list_add(&labels, vit_model_label(model, k));
        app_error("%s: folders that are none of the model's labels: %s%s; the labels: %s%s", folder,
                  found->unknown.text, list_more(&found->unknown, more), labels.text,
                  list_more(&labels, more_labels));
        return APP_EXIT_MODEL;
    }
    if (found->ambiguous.total > 0) {
        app_error("%s: folders that may be more than one of the model's labels: %s%s", folder,
                  found->ambiguous.text, list_more(&found->ambiguous, more));
        return APP_EXIT_MODEL;
    }
    return APP_EXIT_DONE;
}

int app_data_collect(app_data *data, const char *folder, const vit_model *model,
                     const app_settings *settings)
{
    findings found = {0};
    int result = APP_EXIT_DONE, error = 0;
    *data = (app_data){0};
    DIR *listing = opendir(folder);
    if (listing == NULL) {
        app_error("%s: folder of class folders cannot be listed: %s", folder, strerror(errno));
        return APP_EXIT_MODEL;
    }
    while (result == APP_EXIT_DONE) {
        errno = 0;
        const struct dirent *entry = readdir(listing);
        if (entry == NULL) {
            error = errno;
            break;
        }
        if (entry->d_name[0] != '.')
            result = add_entry(data, &found, folder, entry->d_name, model, settings);
    }
    closedir(listing);
    if (result == APP_EXIT_DONE && error != 0) {
        app_error("%s: folder cannot be listed: %s", folder, strerror(error));
        result = APP_EXIT_MODEL;
    }
    if (result == APP_EXIT_DONE) result = report_names(&found, folder, model);
    if (result == APP_EXIT_DONE && found.folders == 0) {
        app_error("%s: holds no folders; labelled images lie in one folder for each class, named "
                  "like the model's label",
                  folder);
        result = APP_EXIT_MODEL;
    }
    if (result != APP_EXIT_DONE) {
        app_data_free(data);
        return result;
    }
    if (found.files > 0 && !settings->quiet)
        app_warn("%s: %zu file%s beside the class folders left out", folder, found.files,
                 found.files == 1 ? "" : "s");
    if (data->count > 0) qsort(data->items, data->count, sizeof *data->items, compare_names);
    return APP_EXIT_DONE;
}
