#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "app_commands.h"
#include "app_model.h"
#include "app_position.h"
#include "app_report.h"
#include "app_text.h"
#include "vitc_json.h"

enum { NAME_COLUMNS = 18, FIRST_LABELS = 10 };

/* Everything that is shown, gathered once for both forms. */
typedef struct facts {
    const app_settings *settings;
    const vit_model *model;
    vit_model_info info;
    const vit_config *config;
    vit_runtime_info runtime;
    vitc_json *card, *quantization, *calibration; /* NULL when there is none */
    uint32_t batch;
    uint32_t prefix_slots;
    uint64_t workspace; /* bytes */
    char preprocess[512];
} facts;

/* NULL for NULL, and for text that is no JSON: not worth refusing to show the rest. */
static vitc_json *parse_text(const char *text)
{
    const vitc_log silent = {0};
    vitc_json *value;
    if (text == NULL || vitc_json_parse(&value, text, strlen(text), "text", &silent) != VITC_OK)
        return NULL;
    return value;
}

static const char *card_text(const facts *f, const char *key)
{
    return vitc_json_string(vitc_json_get(f->card, key), NULL);
}

/* The short decimal that a float was most likely written as: 1e-6, not 9.99999997e-07. */
static double short_decimal(float value)
{
    char text[32];
    snprintf(text, sizeof text, "%.7g", (double)value);
    return strtod(text, NULL);
}

/* ---- for people ---- */

static void heading(const char *name, bool first)
{
    printf("%s%s\n", first ? "" : "\n", name);
}

/* "  name            value", the value wrapped under itself. */
static void line(const char *name, const char *format, ...) VITC_PRINTF(2, 3);

static void line(const char *name, const char *format, ...)
{
    char *value = NULL, *safe = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&value, format, arguments) < 0) value = NULL;
    va_end(arguments);
    if (value != NULL) safe = app_text_printable(value);
    const int width = printf("  %-*s", NAME_COLUMNS - 2, name);
    app_options_wrap(stdout, safe != NULL ? safe : "?", NAME_COLUMNS, (size_t)width);
    free(safe);
    free(value);
}

static void show_labels(const facts *f)
{
    char text[640] = "";
    size_t used = 0;
    const uint32_t classes = f->config->classes;
    const uint32_t shown = classes < FIRST_LABELS ? classes : FIRST_LABELS;
    for (uint32_t i = 0; i < shown && used < sizeof text; i++) {
        const int more = snprintf(text + used, sizeof text - used, "%s%s", i != 0 ? ", " : "",
                                  vit_model_label(f->model, i));
        used += (size_t)more;
    }
    const char *rest = classes > shown ? ", ..." : "";
    if (f->info.labelled)
        line("labels", "%s%s", text, rest);
    else
        line("labels", "none in the checkpoint: classes are numbered");
}

static const char *scores_text(vit_scores scores)
{
    if (scores == VIT_SCORES_SIGMOID) return "sigmoid: independent labels";
    if (scores == VIT_SCORES_RAW) return "raw outputs: regression";
    return "softmax: one label per image";
}

static const char *pool_text(vit_pool pool)
{
    switch (pool) {
    case VIT_POOL_TOKEN:
        return "class token";
    case VIT_POOL_AVG:
        return "mean of the patch tokens";
    case VIT_POOL_MAX:
        return "maximum of the patch tokens";
    case VIT_POOL_AVGMAX:
        return "half the sum of mean and maximum of the patch tokens";
    }
    return "?";
}

static void show_tokens(const facts *f)
{
    const vit_config *c = f->config;
    char prefix[96] = "";
    size_t used = 0;
    if (c->class_token) used += (size_t)snprintf(prefix, sizeof prefix, "class + ");
    if (c->distillation_token)
        used += (size_t)snprintf(prefix + used, sizeof prefix - used, "distillation + ");
    if (c->registers != 0)
        snprintf(prefix + used, sizeof prefix - used, "%u registers + ", c->registers);
    line("tokens", "%u: %s%ux%u patches of %ux%u pixels", vit_config_tokens(c), prefix,
         c->image_height / c->patch, c->image_width / c->patch, c->patch, c->patch);
}

static void show_positions(const facts *f)
{
    char text[APP_POSITION_TEXT];
    app_position_describe(text, f->config);
    line("positions", "%s", text);
}

static void show_variants(const facts *f)
{
    const vit_config *c = f->config;
    char text[256] = "";
    const struct {
        bool has;
        const char *name;
    } parts[] = {{!c->qkv_bias, "no qkv bias"},
                 {!c->patch_bias, "no patch bias"},
                 {c->qk_norm, "normalized queries and keys"},
                 {c->layer_scale, "layer scale"},
                 {c->norm_pre, "norm before the first block"},
                 {!c->norm_final, "no final norm"},
                 {c->norm_pooled, "norm after pooling"}};
    size_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].has)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used != 0 ? ", " : "",
                                     parts[i].name);
    if (used != 0) line("variant", "%s", text);
}

/* What vitc train says in a card of its own run. */
static void show_run(const facts *f)
{
    const vitc_json *data = vitc_json_get(f->card, "data"),
                    *recipe = vitc_json_get(f->card, "recipe");
    const vitc_json *results = vitc_json_get(f->card, "results");
    const char *base = card_text(f, "fine_tuned_from");
    const char *name = vitc_json_string(vitc_json_get(data, "name"), NULL);
    const double accuracy = vitc_json_number(vitc_json_get(results, "validation_accuracy"), NAN);
    if (base != NULL) line("base", "%s", base);
    if (name != NULL)
        line("data", "%s, %lld images", name,
             (long long)vitc_json_integer(vitc_json_get(data, "images"), 0));
    if (!vitc_json_is_object(recipe) || !vitc_json_is_object(results)) return;
    line("recipe", "%s at %g, epoch %lld of %lld, %s",
         vitc_json_string(vitc_json_get(recipe, "optimizer"), "?"),
         vitc_json_number(vitc_json_get(recipe, "lr"), NAN),
         (long long)vitc_json_integer(vitc_json_get(results, "epoch"), 0),
         (long long)vitc_json_integer(vitc_json_get(recipe, "epochs"), 0),
         vitc_json_string(vitc_json_get(results, "weights"), "?"));
    const int64_t images = vitc_json_integer(vitc_json_get(results, "validation_images"), 0);
    char number[32] = "the";
    if (images > 0) app_text_number(number, sizeof number, (uint64_t)images);
    if (!isnan(accuracy))
        line("accuracy", "%.2f %% top-1: on %s validation images", 100 * accuracy, number);
}

static void show_card(const facts *f)
{
    static const char *const keys[] = {"data", "recipe"};
    if (f->info.license != NULL) line("licence", "%s", f->info.license);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *text = card_text(f, keys[i]);
        if (text != NULL) line(keys[i], "%s", text);
    }
    show_run(f);
    const vitc_json *accuracy = vitc_json_get(f->card, "accuracy");
    for (size_t i = 0; i < vitc_json_size(accuracy); i++) {
        const vitc_json *entry = vitc_json_at(accuracy, i);
        const char *data = vitc_json_string(vitc_json_get(entry, "data"), NULL);
        const char *metric = vitc_json_string(vitc_json_get(entry, "metric"), "top-1");
        const double value = vitc_json_number(vitc_json_get(entry, "value"), -1);
        if (data != NULL && value >= 0)
            line(i == 0 ? "accuracy" : "", "%.2f %% %s: %s", 100 * value, metric, data);
    }
    const char *limits = card_text(f, "limits"), *date = card_text(f, "date");
    if (limits != NULL) line("limits", "%s", limits);
    if (date != NULL) line("date", "%s", date);
}

static void show_quantization(const facts *f)
{
    const vitc_json *m = vitc_json_get(f->quantization, "measurement");
    const char *dtype = vitc_json_string(vitc_json_get(f->quantization, "dtype"), "?");
    if (f->quantization == NULL) return;
    if (!vitc_json_is_object(m)) {
        line("quantized", "%s; what it costs is unmeasured", dtype);
        return;
    }
    line("quantized",
         "%s; loss %.2f points on %lld images of %s, at most %.2f with %.0f %% confidence", dtype,
         vitc_json_number(vitc_json_get(m, "loss_points"), NAN),
         (long long)vitc_json_integer(vitc_json_get(m, "images"), 0),
         vitc_json_string(vitc_json_get(m, "data"), "?"),
         vitc_json_number(vitc_json_get(m, "loss_points_at_most"), NAN),
         100 * vitc_json_number(vitc_json_get(m, "confidence"), NAN));
}

static void show_temperature(const facts *f)
{
    const vitc_json *c = f->calibration;
    const char *data = vitc_json_string(vitc_json_get(c, "data"), NULL);
    const double temperature = short_decimal(f->config->temperature);
    if (data != NULL)
        line("temperature", "%g, fitted on %lld images of %s: loss %.4f before, %.4f after",
             temperature, (long long)vitc_json_integer(vitc_json_get(c, "images"), 0), data,
             vitc_json_number(vitc_json_get(c, "loss_before"), NAN),
             vitc_json_number(vitc_json_get(c, "loss_after"), NAN));
    else if (temperature != 1)
        line("temperature", "%g", temperature);
}

static void show_model(const facts *f)
{
    const vit_config *c = f->config;
    char number[32], size[32];
    heading("Model", true);
    const char *name = card_text(f, "name");
    if (name != NULL) line("name", "%s", name);
    line("source", "%s, %s", f->info.source, app_model_origin(f->settings));
    line("architecture", "%s", c->architecture[0] != 0 ? c->architecture : "not named");
    line("parameters", "%s, stored as %s; %s in memory",
         app_text_number(number, sizeof number, f->info.parameters), f->info.weights_dtype,
         app_text_bytes(size, sizeof size, f->info.weights_size));
    show_quantization(f);
    line("precision", "%s (%s): %s", vit_precision_string(f->info.precision),
         f->info.precision_kernel, f->info.precision_reason);
    line("encoder", "%u layers, width %u, %u heads of %u, MLP %u (%s), LayerNorm eps %g", c->layers,
         c->width, c->heads, c->width / c->heads, c->mlp, vit_activation_string(c->activation),
         (double)c->norm_eps);
    show_variants(f);
    line("image", "%ux%u pixels", c->image_height, c->image_width);
    show_tokens(f);
    show_positions(f);
    line("pooling", "%s", pool_text(c->pool));
    if (f->info.head_trained)
        line("head", "%u classes, %s%s", c->classes, scores_text(c->scores),
             c->distilled_head ? "; mean of two heads (distilled)" : "");
    else
        line("head", "%u classes, all zero: untrained; classify will refuse", c->classes);
    show_temperature(f);
    show_labels(f);
    line("preprocessing", "%s", f->preprocess);
    show_card(f);
}

static void show_machine(const facts *f)
{
    const vit_runtime_info *r = &f->runtime;
    char weights[32], workspace[32], total[32];
    heading("Memory", false);
    line("weights", "%s", app_text_bytes(weights, sizeof weights, f->info.weights_size));
    line("workspace", "%s for batches of %u on %d thread%s",
         app_text_bytes(workspace, sizeof workspace, f->workspace), f->batch, r->threads,
         r->threads == 1 ? "" : "s");
    line("together", "%s, and the images being decoded",
         app_text_bytes(total, sizeof total, f->workspace + f->info.weights_size));
    heading("Machine", false);
    line("processor", "%s", r->cpu);
    line("features", "%s", r->features[0] != 0 ? r->features : "none that vitc uses");
    line("kernels", "%s (%s)", r->kernel_row, r->kernel_reason);
    line("BLIS", "%s, configuration %s (%s), micro-kernel %s", r->blis_version, r->blis_config,
         r->blis_reason, r->blis_kernel);
    line("threads", "%d (%s)", r->threads, r->threads_reason);
    heading("Program", false);
    line("version", "%s", vitc_version());
}

/* ---- JSON ---- */

/* JSON text, which may be NULL, as it is. */
static bool set_text(vitc_json *object, const char *key, const char *text)
{
    vitc_json *value = parse_text(text);
    return value != NULL ? vitc_json_set(object, key, value) : vitc_json_set_null(object, key);
}

static vitc_json *model_json(const facts *f)
{
    const vit_config *c = f->config;
    vitc_json *o = vitc_json_object();
    vitc_json *grid = vitc_json_array(), *labels = vitc_json_array();
    if (o == NULL || grid == NULL || labels == NULL) {
        vitc_json_free(o);
        vitc_json_free(grid);
        vitc_json_free(labels);
        return NULL;
    }
    bool ok = vitc_json_append_integer(grid, c->image_height / c->patch) &&
              vitc_json_append_integer(grid, c->image_width / c->patch);
    for (uint32_t i = 0; i < c->classes; i++)
        ok = ok && vitc_json_append_string(labels, vit_model_label(f->model, i));
    ok = ok && vitc_json_set_string(o, "source", f->info.source) &&
         vitc_json_set_string(o, "path", f->settings->model) &&
         vitc_json_set_string(o, "architecture", c->architecture) &&
         vitc_json_set_integer(o, "parameters", (int64_t)f->info.parameters) &&
         vitc_json_set_string(o, "dtype", f->info.weights_dtype) &&
         vitc_json_set_integer(o, "image_height", c->image_height) &&
         vitc_json_set_integer(o, "image_width", c->image_width) &&
         vitc_json_set_integer(o, "patch", c->patch) &&
         vitc_json_set_integer(o, "width", c->width) &&
         vitc_json_set_integer(o, "layers", c->layers) &&
         vitc_json_set_integer(o, "heads", c->heads) && vitc_json_set_integer(o, "mlp", c->mlp) &&
         vitc_json_set_integer(o, "classes", c->classes) &&
         vitc_json_set_integer(o, "tokens", vit_config_tokens(c)) &&
         vitc_json_set_integer(o, "prefix_tokens", vit_config_prefix_tokens(c)) &&
         vitc_json_set_integer(o, "registers", c->registers) &&
         vitc_json_set_string(o, "activation", vit_activation_string(c->activation)) &&
         vitc_json_set_number(o, "norm_eps", short_decimal(c->norm_eps)) &&
         vitc_json_set_string(o, "pooling", vit_pool_string(c->pool)) &&
         vitc_json_set_number(o, "temperature", short_decimal(c->temperature)) &&
         vitc_json_set_string(o, "position", patches_position_string(c->position)) &&
         vitc_json_set_string(o, "position_op", patches_position_op_string(c->position_op)) &&
         vitc_json_set_string(o, "position_at", patches_position_at_string(c->position_at)) &&
         vitc_json_set_integer(o, "position_prefix_slots", f->prefix_slots) &&
         vitc_json_set_bool(o, "qkv_bias", c->qkv_bias) &&
         vitc_json_set_bool(o, "qk_norm", c->qk_norm) &&
         vitc_json_set_bool(o, "layer_scale", c->layer_scale) &&
         vitc_json_set_bool(o, "distilled_head", c->distilled_head) &&
         vitc_json_set_bool(o, "head_trained", f->info.head_trained) &&
         vitc_json_set_string(o, "license", f->info.license) &&
         vitc_json_set_string(o, "preprocess", f->preprocess) &&
         vitc_json_set_bool(o, "labelled", f->info.labelled);
    ok = ok && vitc_json_set_string(o, "precision", vit_precision_string(f->info.precision)) &&
         vitc_json_set_string(o, "precision_reason", f->info.precision_reason) &&
         vitc_json_set_string(o, "precision_kernel", f->info.precision_kernel) &&
         set_text(o, "quantization", f->info.quantization) &&
         set_text(o, "calibration", f->info.calibration);
    ok = vitc_json_set(o, "position_grid", grid) && ok;
    ok = vitc_json_set(o, "labels", labels) && ok;
    if (ok) return o;
    vitc_json_free(o);
    return NULL;
}

static bool show_json(const facts *f)
{
    const vit_runtime_info *r = &f->runtime;
    vitc_json *o = vitc_json_object();
    vitc_json *memory = vitc_json_object(), *machine = vitc_json_object();
    bool ok = o != NULL && memory != NULL && machine != NULL;
    if (ok) {
        ok = vitc_json_set_integer(memory, "batch", f->batch) &&
             vitc_json_set_integer(memory, "weights", (int64_t)f->info.weights_size) &&
             vitc_json_set_integer(memory, "workspace", (int64_t)f->workspace);
        ok = ok && vitc_json_set_string(machine, "cpu", r->cpu) &&
             vitc_json_set_string(machine, "features", r->features) &&
             vitc_json_set_string(machine, "kernels", r->kernel_row) &&
             vitc_json_set_string(machine, "kernels_reason", r->kernel_reason) &&
             vitc_json_set_string(machine, "blis", r->blis_version) &&
             vitc_json_set_string(machine, "blis_config", r->blis_config) &&
             vitc_json_set_string(machine, "blis_reason", r->blis_reason) &&
             vitc_json_set_string(machine, "blis_kernel", r->blis_kernel) &&
             vitc_json_set_integer(machine, "threads", r->threads) &&
             vitc_json_set_string(machine, "threads_reason", r->threads_reason);
        ok = ok && vitc_json_set_string(o, "version", vitc_version());
        ok = vitc_json_set(o, "model", model_json(f)) && ok;
        ok = set_text(o, "card", f->info.card) && ok;
        ok = vitc_json_set(o, "memory", memory) && ok;
        ok = vitc_json_set(o, "machine", machine) && ok;
    } else {
        vitc_json_free(memory);
        vitc_json_free(machine);
    }
    return app_text_print_json(o, ok, 2, 9, "\n");
}

int app_info_run(const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    facts f = {.settings = settings, .batch = (uint32_t)settings->batch};
    vit_model *model;
    int result = app_model_load(&model, settings);
    if (result != APP_EXIT_DONE) return result;
    f.model = model;
    f.info = vit_model_describe(model);
    f.config = f.info.config;
    f.prefix_slots = f.config->position_covers_prefix ? vit_config_prefix_tokens(f.config) : 0;
    patches_spec_describe(f.info.preprocess, f.preprocess, sizeof f.preprocess);
    f.card = parse_text(f.info.card);
    f.quantization = parse_text(f.info.quantization);
    f.calibration = parse_text(f.info.calibration);
    result = app_exit_status(vit_runtime_describe(&f.runtime, (int)settings->threads, &log));
    if (result == APP_EXIT_DONE) {
        f.workspace = vit_workspace_size(model, f.batch, f.runtime.threads);
        if (!settings->json) {
            show_model(&f);
            show_machine(&f);
        } else if (!show_json(&f)) {
            app_error("out of memory for the report");
            result = APP_EXIT_INTERNAL;
        }
    }
    vitc_json_free(f.card);
    vitc_json_free(f.quantization);
    vitc_json_free(f.calibration);
    vit_model_free(model);
    return result;
}
