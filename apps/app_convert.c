#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app_commands.h"
#include "app_guard.h"
#include "app_model.h"
#include "app_report.h"
#include "app_text.h"
#include "vit_weights.h"
#include "vitc_json.h"

static int read_card(char **card, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    size_t size;
    vitc_json *document = NULL;
    *card = NULL;
    if (settings->card == NULL) return APP_EXIT_DONE;
    int result = app_model_read_text(card, &size, settings->card, settings);
    if (result != APP_EXIT_DONE) return result;
    const vitc_status status = vitc_json_parse(&document, *card, size, settings->card, &log);
    if (status != VITC_OK) {
        result = app_exit_status(status);
    } else if (!vitc_json_is_object(document)) {
        app_error("%s: a model card is a JSON object, {...}", settings->card);
        result = APP_EXIT_MODEL;
    }
    vitc_json_free(document);
    if (result != APP_EXIT_DONE) {
        free(*card);
        *card = NULL;
    }
    return result;
}

/* Options that do not go together; false after a message. */
static bool check_options(const app_settings *settings)
{
    const bool exports = settings->export_for != APP_LIBRARY_NONE;
    if (settings->output == NULL) {
        app_error("convert needs --output, the %s to write", exports ? "directory" : "file");
        return false;
    }
    if (settings->enlarge_filter != 0 && settings->enlarge == 0) {
        app_error("--enlarge-filter is of --enlarge, which is missing");
        return false;
    }
    if (exports && settings->dtype != VIT_DTYPE_F32) {
        app_error("--dtype is of vitc's own files: --export writes float32");
        return false;
    }
    if (exports && settings->card != NULL) {
        app_error("--card is of vitc's own files, not of --export");
        return false;
    }
    return true;
}

static vitc_status export_weights(const vit_weights *weights, const app_settings *settings,
                                  const vitc_log *log)
{
    static const char *const names[] = {"model.safetensors", "config.json",
                                        "preprocessor_config.json"};
    app_guard_folder(settings->output, names, sizeof names / sizeof names[0]);
    return settings->export_for == APP_LIBRARY_HF
               ? vit_weights_export_hf(weights, settings->output, log)
               : vit_weights_export_timm(weights, settings->output, log);
}

static vitc_status write_file(vit_weights *weights, const char *card,
                              const vit_load_options *options, const app_settings *settings,
                              const vitc_log *log)
{
    vitc_status status = VITC_OK;
    if (!app_model_is_bundled(settings->model))
        status = vit_weights_check_output(settings->model, settings->output, options, log);
    if (status == VITC_OK && card != NULL) status = vit_weights_set_card(weights, card, log);
    if (status != VITC_OK) return status;
    app_guard_output(settings->output);
    status = vit_weights_write(weights, settings->output, (vit_dtype)settings->dtype, log);
    if (status == VITC_OK)
        vit_weights_tell_forgotten(settings->output,
                                   weights->description.forgot_accuracy && card == NULL,
                                   weights->description.forgot_temperature, log);
    return status;
}

/* By way of numbers in memory, for what changes them or writes another kind of file. */
static vitc_status convert_weights(const char *card, const vit_load_options *options,
                                   const app_settings *settings, const vitc_log *log)
{
    vit_weights weights;
    vitc_status status = app_model_read_weights(&weights, settings->model, options, log);
    if (status == VITC_OK && settings->enlarge > 0) {
        const imgio_filter filter = settings->enlarge_filter > 0
                                        ? (imgio_filter)(settings->enlarge_filter - 1)
                                        : weights.description.preprocess.filter;
        status = vit_weights_enlarge(&weights, (uint32_t)settings->enlarge, filter, log);
    }
    if (status == VITC_OK)
        status = settings->export_for != APP_LIBRARY_NONE
                     ? export_weights(&weights, settings, log)
                     : write_file(&weights, card, options, settings, log);
    vit_weights_free(&weights);
    return status;
}

static vitc_status convert(const char *card, const vit_load_options *options,
                           const app_settings *settings, const vitc_log *log)
{
    if (settings->enlarge > 0 || settings->export_for != APP_LIBRARY_NONE)
        return convert_weights(card, options, settings, log);
    app_guard_output(settings->output);
    return app_model_convert(settings->model, settings->output, (vit_dtype)settings->dtype, card,
                             options, log);
}

int app_convert_run(const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    app_settings own = *settings;
    int result = app_model_named(&own.model, 0, settings);
    if (result != APP_EXIT_DONE) return result;
    if (!check_options(settings)) return APP_EXIT_USAGE;
    vit_load_options options = {0};
    char *card = NULL, *spec = NULL;
    result = read_card(&card, settings);
    if (result == APP_EXIT_DONE) result = app_model_read_options(&options, &spec, settings);
    if (result == APP_EXIT_DONE) result = app_exit_status(convert(card, &options, &own, &log));
    struct stat status;
    if (result == APP_EXIT_DONE && settings->verbose && stat(settings->output, &status) == 0) {
        char size[32];
        if (S_ISREG(status.st_mode))
            app_error("%s: written, %s", settings->output,
                      app_text_bytes(size, sizeof size, (uint64_t)status.st_size));
        else
            app_error("%s: written", settings->output);
    }
    free(card);
    free(spec);
    return result;
}
