#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app_commands.h"
#include "app_guard.h"
#include "app_model.h"
#include "app_npy.h"
#include "app_output.h"
#include "app_report.h"
#include "app_text.h"
#include "vitc_file.h"
#include "vitc_json.h"
#include "vitc_size.h"

enum { PNG_LEVEL = 6 };

/* What is known of the image so far; zeroed at first. */
typedef struct seen {
    unsigned char *bytes;
    size_t size;
    imgio_info info;     /* as stored */
    imgio_image image;   /* upright RGB */
    imgio_image picture; /* resized and cropped */
    float *tensor;       /* 3 x height x width */
    size_t tensor_count;
    float least, most;
    double mean;
} seen;

static vitc_status write_npy(const char *path, const seen *s, const vitc_log *log)
{
    const size_t shape[] = {PATCHES_CHANNELS, s->picture.height, s->picture.width};
    return app_npy_write(path, s->tensor, shape, 3, log);
}

static vitc_status write_png(const char *path, const seen *s, const vitc_log *log)
{
    uint8_t *data;
    size_t size;
    vitc_status status = imgio_encode_png(&data, &size, &s->picture, PNG_LEVEL, log);
    if (status != VITC_OK) return status;
    status = vitc_file_write(path, data, size, log);
    free(data);
    return status;
}

/* ---- the steps that the image goes through ---- */

static vitc_status see_image(seen *s, const app_settings *settings, const vit_model *model,
                             const vitc_log *log)
{
    const char *path = settings->operands[0];
    const patches_spec *spec = vit_model_describe(model).preprocess;
    imgio_decode_options decode = app_decode_options(settings);
    patches_spec_decode_options(&decode, spec);

    vitc_status status;
    if (strcmp(path, "-") == 0)
        status = vitc_file_read_fd(&s->bytes, &s->size, STDIN_FILENO, path,
                                   decode.limits.max_file_size, log);
    else
        status = vitc_file_read(&s->bytes, &s->size, path, decode.limits.max_file_size, log);
    if (status == VITC_OK) status = imgio_probe_memory(&s->info, s->bytes, s->size, path, log);
    if (status == VITC_OK)
        status = imgio_decode_memory(&s->image, s->bytes, s->size, path, &decode, log);
    if (status == VITC_OK) status = patches_preprocess_image(&s->picture, &s->image, spec, log);
    if (status != VITC_OK) return status;

    size_t bytes;
    if (!vitc_size_mul3(s->picture.width, s->picture.height, PATCHES_CHANNELS, &s->tensor_count) ||
        !vitc_size_mul(s->tensor_count, sizeof(float), &bytes) ||
        (s->tensor = malloc(bytes)) == NULL) {
        app_error("out of memory for the tensor");
        return VITC_ERR_MEMORY;
    }
    patches_levels levels;
    patches_levels_init(&levels, spec);
    patches_tensor_image(s->tensor, &s->picture, &levels);
    s->least = INFINITY;
    s->most = -INFINITY;
    for (size_t i = 0; i < s->tensor_count; i++) {
        s->least = fminf(s->least, s->tensor[i]);
        s->most = fmaxf(s->most, s->tensor[i]);
        s->mean += (double)s->tensor[i];
    }
    s->mean /= (double)s->tensor_count;
    return VITC_OK;
}

/* ---- reports ---- */

typedef struct reason {
    const vitc_log *next;
    char text[1024];
} reason;

/* Passes messages on and keeps the first error for the JSON object. */
static void keep_reason(void *user, vitc_log_level level, const char *message)
{
    reason *kept = user;
    if (level == VITC_LOG_ERROR && kept->text[0] == 0)
        snprintf(kept->text, sizeof kept->text, "%s", message);
    kept->next->write(kept->next->user, level, message);
}

static bool report_json(const seen *s, const app_settings *settings, const vit_model *model,
                        vitc_status status, const char *error)
{
    const char *path = settings->operands[0];
    char sentence[512];
    vitc_json *object = vitc_json_object();
    if (object == NULL) return false;
    bool ok = vitc_json_set_string(object, "path", path) &&
              vitc_json_set_string(object, "status", app_output_status(status));
    if (s->image.width != 0)
        ok = ok && vitc_json_set_integer(object, "width", s->image.full_width) &&
             vitc_json_set_integer(object, "height", s->image.full_height);
    if (status != VITC_OK) {
        ok = ok && vitc_json_set_string(object, "error", app_output_reason(status, error, path));
    } else {
        patches_spec_describe(vit_model_describe(model).preprocess, sentence, sizeof sentence);
        vitc_json *shape = vitc_json_array();
        ok = ok && shape != NULL && vitc_json_append_integer(shape, PATCHES_CHANNELS) &&
             vitc_json_append_integer(shape, s->picture.height) &&
             vitc_json_append_integer(shape, s->picture.width);
        ok = ok && vitc_json_set_string(object, "format", imgio_format_string(s->info.format)) &&
             vitc_json_set_integer(object, "orientation", s->info.orientation) &&
             vitc_json_set_string(object, "preprocess", sentence);
        ok = vitc_json_set(object, "shape", shape) && ok;
        ok = ok && vitc_json_set_number(object, "minimum", (double)s->least) &&
             vitc_json_set_number(object, "maximum", (double)s->most) &&
             vitc_json_set_number(object, "mean", s->mean);
        if (settings->dump != NULL) ok = ok && vitc_json_set_string(object, "dump", settings->dump);
        if (settings->png != NULL) ok = ok && vitc_json_set_string(object, "png", settings->png);
    }
    return app_text_print_json(object, ok, 0, 9, "\n");
}

static void report_line(const char *name, const char *value)
{
    char *safe = app_text_printable(value);
    printf("  %-14s %s\n", name, safe != NULL ? safe : "?");
    free(safe);
}

static void report_human(const seen *s, const app_settings *settings, const vit_model *model)
{
    char text[640], orientation[32] = "";
    char *path = app_text_printable(settings->operands[0]);
    printf("%s\n", path != NULL ? path : "?");
    free(path);
    if (s->info.orientation != 1)
        snprintf(orientation, sizeof orientation, ", EXIF orientation %d", s->info.orientation);
    snprintf(text, sizeof text, "%s, %u wide, %u high%s", imgio_format_string(s->info.format),
             s->info.width, s->info.height, orientation);
    report_line("stored", text);
    snprintf(text, sizeof text, "RGB, %u wide, %u high", s->image.width, s->image.height);
    report_line("decoded", text);
    patches_spec_describe(vit_model_describe(model).preprocess, text, sizeof text);
    report_line("preprocessing", text);
    snprintf(text, sizeof text, "%dx%ux%u float32, from %.4g to %.4g, mean %.4g", PATCHES_CHANNELS,
             s->picture.height, s->picture.width, (double)s->least, (double)s->most, s->mean);
    report_line("model input", text);
    if (settings->dump != NULL) report_line("tensor", settings->dump);
    if (settings->png != NULL) report_line("picture", settings->png);
}

int app_preprocess_run(const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    if (strcmp(settings->operands[0], "-") == 0 && isatty(STDIN_FILENO) == 1) {
        app_error("standard input (-) is a terminal; send it a file: vitc preprocess - < FILE");
        return APP_EXIT_USAGE;
    }
    vit_model *model;
    int result = app_model_load(&model, settings);
    if (result != APP_EXIT_DONE) return result;

    seen s = {0};
    reason kept = {.next = &log};
    const vitc_log keeping = {keep_reason, &kept};
    const vitc_status status = see_image(&s, settings, model, &keeping);
    vitc_status written = VITC_OK;
    app_guard_output(settings->dump);
    app_guard_output(settings->png);
    if (status == VITC_OK) {
        if (settings->dump != NULL) written = write_npy(settings->dump, &s, &log);
        if (written == VITC_OK && settings->png != NULL)
            written = write_png(settings->png, &s, &log);
        result = app_exit_status(written);
    } else {
        result = status == VITC_ERR_PREPROCESS ? APP_EXIT_MODEL : APP_EXIT_INPUTS;
        if (app_exit_status(status) == APP_EXIT_INTERNAL) result = APP_EXIT_INTERNAL;
    }
    if (written == VITC_OK && (result == APP_EXIT_DONE || result == APP_EXIT_INPUTS)) {
        if (settings->json) {
            if (!report_json(&s, settings, model, status, kept.text)) {
                app_error("out of memory for the report");
                result = APP_EXIT_INTERNAL;
            }
        } else if (status == VITC_OK) {
            report_human(&s, settings, model);
        }
    }
    free(s.bytes);
    free(s.tensor);
    imgio_image_free(&s.image);
    imgio_image_free(&s.picture);
    vit_model_free(model);
    return result;
}
