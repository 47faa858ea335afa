#include "app_model.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app_bundled.h"
#include "app_report.h"
#include "vitc_file.h"
#include "vitc_log.h"

enum { MAX_TEXT = 16 << 20 }; /* bytes of a JSON file given by option */

int app_model_read_text(char **text, size_t *size, const char *path, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    unsigned char *bytes;
    *text = NULL;
    const vitc_status status = vitc_file_read(&bytes, size, path, MAX_TEXT, &log);
    if (status != VITC_OK) return app_exit_status(status);
    char *grown = realloc(bytes, *size + 1);
    if (grown == NULL) {
        free(bytes);
        app_error("out of memory for %s", path);
        return APP_EXIT_INTERNAL;
    }
    grown[*size] = 0;
    *text = grown;
    return APP_EXIT_DONE;
}

int app_model_read_options(vit_load_options *options, char **text, const app_settings *settings)
{
    *options = (vit_load_options){.precision = (vit_precision)settings->precision,
                                  .threads = (int)settings->threads,
                                  .image_width = settings->image_size.width,
                                  .image_height = settings->image_size.height,
                                  .crop = settings->crop};
    *text = NULL;
    if (settings->preprocess == NULL) return APP_EXIT_DONE;
    const int result =
        app_model_read_text(text, &options->preprocess_size, settings->preprocess, settings);
    options->preprocess = *text;
    return result;
}

imgio_decode_options app_decode_options(const app_settings *settings)
{
    imgio_decode_options decode = imgio_decode_options_default();
    decode.ignore_exif = settings->no_exif;
    decode.fast = settings->fast_decode;
    if (settings->max_pixels != 0) decode.limits.max_pixels = settings->max_pixels;
    return decode;
}

/* A choice that the user left to the program is told; any other only to who wants to know. */
static void tell_precision(const vit_model *model, const app_settings *settings)
{
    const vit_model_info info = vit_model_describe(model);
    if (settings->quiet || (!settings->verbose && settings->precision != VIT_PRECISION_AUTO))
        return;
    app_error("precision %s (%s): %s", vit_precision_string(info.precision), info.precision_kernel,
              info.precision_reason);
}

bool app_model_is_bundled(const char *model)
{
    return model == NULL || strcmp(model, "bundled") == 0;
}

int app_model_named(const char **model, size_t index, const app_settings *settings)
{
    const char *command = settings->argv[1];
    const char *operand = settings->operand_count > index ? settings->operands[index] : NULL;
    *model = operand != NULL ? operand : settings->model;
    if (operand != NULL && settings->model != NULL) {
        app_error("%s: MODEL is given twice, as %s and by --model %s", command, operand,
                  settings->model);
        return APP_EXIT_USAGE;
    }
    if (*model == NULL) {
        app_error("%s needs MODEL (the one built into this program is \"bundled\"); see vitc %s "
                  "--help",
                  command, command);
        return APP_EXIT_USAGE;
    }
    return APP_EXIT_DONE;
}

/* ---- the built-in model or another ---- */

#define BUNDLED_NAME "bundled model" /* in messages */

static vitc_status find_bundled(const void **data, size_t *size, const vitc_log *log)
{
    *data = app_bundled_model(size);
    if (*data != NULL) return VITC_OK;
    return vitc_fail(log, VITC_ERR_UNREADABLE,
                     "this program was built without a model; name one with --model PATH");
}

vitc_status app_model_open(vit_model **model, const char *name, const vit_load_options *options,
                           const vitc_log *log)
{
    const void *data;
    size_t size;
    if (!app_model_is_bundled(name)) return vit_model_load(model, name, options, log);
    VITC_TRY(find_bundled(&data, &size, log));
    return vit_model_load_memory(model, data, size, BUNDLED_NAME, options, log);
}

vitc_status app_model_convert(const char *name, const char *out, vit_dtype dtype, const char *card,
                              const vit_load_options *options, const vitc_log *log)
{
    const void *data;
    size_t size;
    if (!app_model_is_bundled(name)) return vit_model_convert(name, out, dtype, card, options, log);
    VITC_TRY(find_bundled(&data, &size, log));
    return vit_model_convert_memory(data, size, BUNDLED_NAME, out, dtype, card, options, log);
}

vitc_status app_model_quantize(const char *name, const char *out, vit_dtype dtype,
                               const char *measurement, const vit_load_options *options,
                               const vitc_log *log)
{
    const void *data;
    size_t size;
    if (!app_model_is_bundled(name))
        return vit_model_quantize(name, out, dtype, measurement, options, log);
    VITC_TRY(find_bundled(&data, &size, log));
    return vit_model_quantize_memory(data, size, BUNDLED_NAME, out, dtype, measurement, options,
                                     log);
}

vitc_status app_model_read_weights(vit_weights *weights, const char *name,
                                   const vit_load_options *options, const vitc_log *log)
{
    const void *data;
    size_t size;
    if (!app_model_is_bundled(name)) return vit_weights_read(weights, name, options, log);
    *weights = (vit_weights){0};
    VITC_TRY(find_bundled(&data, &size, log));
    return vit_weights_read_memory(weights, data, size, BUNDLED_NAME, options, log);
}

/* ---- loading ---- */

int app_model_load(vit_model **model, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    vit_load_options options;
    char *spec;
    *model = NULL;
    const int result = app_model_read_options(&options, &spec, settings);
    if (result != APP_EXIT_DONE) return result;
    const vitc_status status = app_model_open(model, settings->model, &options, &log);
    free(spec);
    if (status == VITC_OK) tell_precision(*model, settings);
    return app_exit_status(status);
}

static int add_file(vitc_sha256 *hash, const char *path, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    vitc_file file;
    const vitc_status status = vitc_file_map(&file, path, &log);
    if (status != VITC_OK) return app_exit_status(status);
    vitc_sha256_add(hash, file.data, file.size);
    vitc_file_unmap(&file);
    return APP_EXIT_DONE;
}

int app_file_hash(char hash[VITC_SHA256_TEXT_SIZE], const char *path, const app_settings *settings)
{
    vitc_sha256 sum = vitc_sha256_start();
    const int result = add_file(&sum, path, settings);
    vitc_sha256_finish(hash, &sum);
    return result;
}

static int is_model_file(const struct dirent *entry)
{
    const char *ending = strrchr(entry->d_name, '.');
    return ending != NULL && ending != entry->d_name &&
           (strcmp(ending, ".json") == 0 || strcmp(ending, ".safetensors") == 0);
}

static int compare_entries(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int hash_folder(vitc_sha256 *hash, const char *folder, const app_settings *settings)
{
    struct dirent **entries;
    const int count = scandir(folder, &entries, is_model_file, compare_entries);
    int result = APP_EXIT_DONE;
    if (count < 0) {
        app_error("%s: cannot be listed: %s", folder, strerror(errno));
        return APP_EXIT_MODEL;
    }
    for (int i = 0; i < count; i++) {
        if (result == APP_EXIT_DONE) {
            char *path = vitc_path_join(folder, entries[i]->d_name);
            if (path == NULL) {
                app_error("out of memory for %s", folder);
                result = APP_EXIT_INTERNAL;
            } else {
                result = add_file(hash, path, settings);
            }
            free(path);
        }
        free(entries[i]);
    }
    free((void *)entries);
    return result;
}

int app_model_hash(char hash[VITC_SHA256_TEXT_SIZE], const app_settings *settings)
{
    vitc_sha256 sum = vitc_sha256_start();
    struct stat status;
    int result = APP_EXIT_DONE;
    if (app_model_is_bundled(settings->model)) {
        size_t size;
        const void *bundled = app_bundled_model(&size);
        vitc_sha256_add(&sum, bundled, size);
    } else if (stat(settings->model, &status) == 0 && S_ISDIR(status.st_mode)) {
        result = hash_folder(&sum, settings->model, settings);
    } else {
        return app_file_hash(hash, settings->model, settings);
    }
    vitc_sha256_finish(hash, &sum);
    return result;
}

int app_model_check_path(const char *path)
{
    if (app_model_is_bundled(path) || access(path, R_OK) == 0) return APP_EXIT_DONE;
    app_error("%s: cannot be opened: %s", path, strerror(errno));
    return APP_EXIT_MODEL;
}

int app_model_check_output(const char *out)
{
    const char *slash = strrchr(out, '/');
    char *folder = slash == NULL  ? strdup(".")
                   : slash == out ? strdup("/")
                                  : strndup(out, (size_t)(slash - out));
    if (folder == NULL) {
        app_error("out of memory for a file name");
        return APP_EXIT_INTERNAL;
    }
    const bool writable = access(folder, W_OK | X_OK) == 0;
    if (!writable) app_error("%s: files cannot be created in the folder %s", out, folder);
    free(folder);
    return writable ? APP_EXIT_DONE : APP_EXIT_INTERNAL;
}

const char *app_model_origin(const app_settings *settings)
{
    return app_model_is_bundled(settings->model) ? "built into this program" : settings->model;
}
