#include "app_model.h"

#include <stdlib.h>

#include "app_bundled.h"
#include "app_report.h"
#include "vitc_file.h"

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
                                  .threads = (int)settings->threads};
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

int app_model_load(vit_model **model, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    vit_load_options options;
    char *spec;
    *model = NULL;
    const int result = app_model_read_options(&options, &spec, settings);
    if (result != APP_EXIT_DONE) return result;
    vitc_status status;
    size_t size;
    const void *bundled = app_bundled_model(&size);
    if (settings->model != NULL) {
        status = vit_model_load(model, settings->model, &options, &log);
    } else if (bundled != NULL) {
        status = vit_model_load_memory(model, bundled, size, "bundled model", &options, &log);
    } else {
        app_error("this program was built without a model; name one with --model PATH");
        status = VITC_ERR_UNREADABLE;
    }
    free(spec);
    if (status == VITC_OK) tell_precision(*model, settings);
    return app_exit_status(status);
}

const char *app_model_origin(const app_settings *settings)
{
    return settings->model != NULL ? settings->model : "built into this program";
}
