#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app_commands.h"
#include "app_guard.h"
#include "app_model.h"
#include "app_report.h"
#include "app_text.h"
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

int app_convert_run(const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    const char *in = settings->operands[0];
    if (settings->output == NULL) {
        app_error("convert needs --output FILE, the file to write");
        return APP_EXIT_USAGE;
    }
    vit_load_options options = {0};
    char *card = NULL, *spec = NULL;
    int result = read_card(&card, settings);
    if (result == APP_EXIT_DONE) result = app_model_read_options(&options, &spec, settings);
    app_guard_output(settings->output);
    if (result == APP_EXIT_DONE)
        result = app_exit_status(vit_model_convert(in, settings->output, (vit_dtype)settings->dtype,
                                                   card, &options, &log));
    struct stat status;
    if (result == APP_EXIT_DONE && settings->verbose && stat(settings->output, &status) == 0) {
        char size[32];
        app_error("%s: written, %s", settings->output,
                  app_text_bytes(size, sizeof size, (uint64_t)status.st_size));
    }
    free(card);
    free(spec);
    return result;
}
