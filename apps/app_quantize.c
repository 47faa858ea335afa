#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app_commands.h"
#include "app_evaluate.h"
#include "app_guard.h"
#include "app_inputs.h"
#include "app_model.h"
#include "app_report.h"
#include "app_text.h"
#include "vitc_json.h"
#include "vitc_statistics.h"

/* The state of one run; zeroed, then filled from the top. */
typedef struct run {
    const app_settings *settings;
    const char *in;
    vit_dtype dtype;
    vit_load_options options; /* of the original */
    char *spec;               /* what options.preprocess points into */
    vit_precision precision;  /* that the reduced model is measured with */
    vit_model *full, *reduced;
    app_comparison comparison;
    app_sensitivities sensitivities;
    vitc_json *measurement; /* NULL: unmeasured */
} run;

static const char *dtype_text(vit_dtype dtype)
{
    return dtype == VIT_DTYPE_INT8 ? "int8" : "bf16";
}

static int check_settings(run *r)
{
    const app_settings *settings = r->settings;
    const int result = app_model_named(&r->in, 0, settings);
    if (result != APP_EXIT_DONE) return result;
    r->dtype = settings->dtype != VIT_DTYPE_F32 ? (vit_dtype)settings->dtype : VIT_DTYPE_INT8;
    const vit_precision usual =
        r->dtype == VIT_DTYPE_INT8 ? VIT_PRECISION_INT8 : VIT_PRECISION_BF16;
    const vit_precision asked = (vit_precision)settings->precision;
    r->precision = asked == VIT_PRECISION_DEFAULT ? usual : asked;
    if (settings->output == NULL) {
        app_error("quantize needs --output FILE, the file to write");
        return APP_EXIT_USAGE;
    }
    const char *of_data = settings->report                 ? "--report"
                          : asked != VIT_PRECISION_DEFAULT ? "--precision"
                          : settings->map != NULL          ? "--map"
                          : settings->class_names != NULL  ? "--class-names"
                                                           : NULL;
    if (settings->data == NULL && of_data != NULL) {
        app_error("%s needs --data DATA, the images to measure with", of_data);
        return APP_EXIT_USAGE;
    }
    const bool possible = r->dtype == VIT_DTYPE_INT8
                              ? r->precision == VIT_PRECISION_INT8 || asked == VIT_PRECISION_AUTO
                              : r->precision != VIT_PRECISION_INT8;
    if (!possible) {
        app_error("--precision %s cannot be had from %s weights",
                  vit_precision_string(r->precision), dtype_text(r->dtype));
        return APP_EXIT_USAGE;
    }
    return APP_EXIT_DONE;
}

/* ---- measuring ---- */

/* The model as the file will hold it, bit for bit; or with one matrix reduced. */
static int load_reduced(vit_model **model, const char *only, void *user)
{
    const run *r = user;
    const vitc_log log = app_log(r->settings);
    vit_load_options options = r->options;
    options.precision = r->precision;
    options.quantize = r->dtype;
    options.quantize_only = only;
    return app_exit_status(app_model_open(model, r->in, &options, &log));
}

static int load_models(run *r)
{
    const vitc_log log = app_log(r->settings);
    vit_load_options options = r->options;
    options.precision = VIT_PRECISION_F32;
    const int result = app_exit_status(app_model_open(&r->full, r->in, &options, &log));
    if (result != APP_EXIT_DONE) return result;
    return load_reduced(&r->reduced, NULL, r);
}

static double share(uint64_t part, uint64_t whole)
{
    return (double)part / (double)whole;
}

static vitc_json *describe(const run *r)
{
    const app_comparison *c = &r->comparison;
    const vit_model_info info = vit_model_describe(r->reduced);
    const double loss = ((double)c->lost - (double)c->gained) / (double)c->images;
    const double bound = vitc_paired_loss_bound(c->lost, c->gained, c->images);
    /* Somebody else's folders are of no use in a file. */
    char *name = app_text_base_name(r->settings->data);
    vitc_json *o = vitc_json_object();
    const bool ok = name != NULL && o != NULL && vitc_json_set_string(o, "data", name) &&
                    vitc_json_set_string(o, "data_sha256", c->data_hash) &&
                    vitc_json_set_integer(o, "images", (int64_t)c->images) &&
                    vitc_json_set_integer(o, "bad_files", (int64_t)c->bad) &&
                    vitc_json_set_string(o, "precision", vit_precision_string(info.precision)) &&
                    vitc_json_set_string(o, "precision_kernel", info.precision_kernel) &&
                    vitc_json_set_string(o, "kernels", info.kernel_row) &&
                    vitc_json_set_number(o, "top1_f32", share(c->right_full, c->images)) &&
                    vitc_json_set_number(o, "top1", share(c->right_reduced, c->images)) &&
                    vitc_json_set_number(o, "agreement", share(c->agree, c->images)) &&
                    vitc_json_set_integer(o, "lost", (int64_t)c->lost) &&
                    vitc_json_set_integer(o, "gained", (int64_t)c->gained) &&
                    vitc_json_set_number(o, "loss_points", 100 * loss) &&
                    vitc_json_set_number(o, "loss_points_at_most", 100 * bound) &&
                    vitc_json_set_number(o, "confidence", 0.95) &&
                    vitc_json_set_string(o, "method", "paired, Tango's score interval, one-sided");
    free(name);
    if (ok) return o;
    vitc_json_free(o);
    app_error("out of memory for the measurement");
    return NULL;
}

static int measure(run *r)
{
    int result = load_models(r);
    const app_comparison *c = &r->comparison;
    if (result == APP_EXIT_DONE)
        result = app_evaluate_compare(&r->comparison, r->full, r->reduced, r->settings);
    if (result == APP_EXIT_DONE && r->settings->report)
        result = app_evaluate_sensitivity(&r->sensitivities, c->images + c->bad, r->full,
                                          load_reduced, r, r->settings);
    if (result != APP_EXIT_DONE) return result;
    r->measurement = describe(r);
    return r->measurement != NULL ? APP_EXIT_DONE : APP_EXIT_INTERNAL;
}

/* ---- the file ---- */

static int write_file(const run *r)
{
    const vitc_log log = app_log(r->settings);
    char *text = NULL;
    if (r->measurement != NULL) {
        text = vitc_json_dump(r->measurement, 0, 9);
        if (text == NULL) {
            app_error("out of memory for the measurement");
            return APP_EXIT_INTERNAL;
        }
    }
    const vitc_status status =
        app_model_quantize(r->in, r->settings->output, r->dtype, text, &r->options, &log);
    free(text);
    return app_exit_status(status);
}

/* ---- the answer ---- */

static uint64_t file_size(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static void show_sensitivities(const app_sensitivities *table)
{
    printf("\n%-34s %15s %8s\n", "only this in fewer bits", "relative error", "changed");
    for (size_t i = 0; i < table->count; i++)
        printf("%-34s %15.2e %8u\n", table->rows[i].matrix, table->rows[i].error,
               table->rows[i].changed);
    printf("%-34s %15.2e %8u\n", table->all.matrix, table->all.error, table->all.changed);
    printf("(error of the logits, and other first labels, over %u images)\n", table->images);
}

static void show(const run *r)
{
    const app_comparison *c = &r->comparison;
    char size[32], images[32], bad[32];
    char *out = app_text_printable(r->settings->output);
    printf("%s: %s, %s\n", out != NULL ? out : "?", dtype_text(r->dtype),
           app_text_bytes(size, sizeof size, file_size(r->settings->output)));
    free(out);
    if (r->measurement == NULL) {
        puts("  accuracy    unmeasured; --data DATA measures it on labelled images");
        return;
    }
    const vit_model_info info = vit_model_describe(r->reduced);
    char *name = app_text_printable(vitc_json_string(vitc_json_get(r->measurement, "data"), ""));
    printf("  data        %s: %s images, %s that cannot be used\n", name != NULL ? name : "?",
           app_text_number(images, sizeof images, c->images),
           app_text_number(bad, sizeof bad, c->bad));
    free(name);
    printf("  float32     %.2f %% right\n", 100 * share(c->right_full, c->images));
    printf("  %-10s  %.2f %% right, computed in %s (%s)\n", dtype_text(r->dtype),
           100 * share(c->right_reduced, c->images), vit_precision_string(info.precision),
           info.precision_kernel);
    printf("  agreement   %.2f %% have the same first label; %llu lost, %llu gained\n",
           100 * share(c->agree, c->images), (unsigned long long)c->lost,
           (unsigned long long)c->gained);
    printf("  loss        %.2f points; at most %.2f with 95 %% confidence\n",
           vitc_json_number(vitc_json_get(r->measurement, "loss_points"), 0),
           vitc_json_number(vitc_json_get(r->measurement, "loss_points_at_most"), 0));
    if (r->settings->report) show_sensitivities(&r->sensitivities);
}

static bool add_sensitivity(vitc_json *list, const app_sensitivity *row)
{
    vitc_json *o = vitc_json_object();
    if (o == NULL || !vitc_json_set_string(o, "matrix", row->matrix) ||
        !vitc_json_set_number(o, "relative_error", row->error) ||
        !vitc_json_set_integer(o, "changed", row->changed)) {
        vitc_json_free(o);
        return false;
    }
    return vitc_json_append(list, o);
}

static vitc_json *sensitivities_json(const app_sensitivities *table)
{
    vitc_json *o = vitc_json_object(), *list = vitc_json_array();
    bool ok = o != NULL && list != NULL && vitc_json_set_integer(o, "images", table->images) &&
              add_sensitivity(list, &table->all);
    for (size_t i = 0; i < table->count && ok; i++) ok = add_sensitivity(list, &table->rows[i]);
    if (ok) {
        ok = vitc_json_set(o, "matrices", list);
        list = NULL;
    }
    vitc_json_free(list);
    if (ok) return o;
    vitc_json_free(o);
    return NULL;
}

static bool show_json(run *r)
{
    vitc_json *o = vitc_json_object();
    bool ok = o != NULL && vitc_json_set_string(o, "path", r->settings->output) &&
              vitc_json_set_string(o, "dtype", dtype_text(r->dtype)) &&
              vitc_json_set_integer(o, "size", (int64_t)file_size(r->settings->output));
    if (ok && r->measurement != NULL) {
        ok = vitc_json_set(o, "measurement", r->measurement);
        r->measurement = NULL; /* the object owns it */
    } else {
        ok = ok && vitc_json_set_string(o, "measurement", "unmeasured");
    }
    if (ok && r->settings->report)
        ok = vitc_json_set(o, "sensitivity", sensitivities_json(&r->sensitivities));
    return app_text_print_json(o, ok, 2, 9, "\n");
}

int app_quantize_run(const app_settings *settings)
{
    run r = {.settings = settings};
    int result = check_settings(&r);
    /* what would be found out only after a long measurement */
    if (result == APP_EXIT_DONE) result = app_model_check_output(settings->output);
    if (result == APP_EXIT_DONE) result = app_model_read_options(&r.options, &r.spec, settings);
    if (result == APP_EXIT_DONE && settings->data != NULL)
        result = app_inputs_check_again(&settings->data, 1);
    if (result == APP_EXIT_DONE && settings->data != NULL) result = measure(&r);
    app_guard_output(settings->output);
    if (result == APP_EXIT_DONE) result = write_file(&r);
    if (result == APP_EXIT_DONE) {
        if (!settings->json) {
            show(&r);
        } else if (!show_json(&r)) {
            app_error("out of memory for the report");
            result = APP_EXIT_INTERNAL;
        }
        if (result == APP_EXIT_DONE && r.comparison.bad > 0) result = APP_EXIT_INPUTS;
    }
    app_sensitivities_free(&r.sensitivities);
    vitc_json_free(r.measurement);
    vit_model_free(r.full);
    vit_model_free(r.reduced);
    free(r.spec);
    return result;
}
