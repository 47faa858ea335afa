/* vitc posemb compare: how alike the tables of positions of two models are. */
#include "app_posemb_compare.h"

#include <math.h>
#include <stdlib.h>

#include "app_model.h"
#include "app_position.h"
#include "app_report.h"
#include "app_text.h"
#include "vitc_json.h"
#include "vitc_log.h"

enum { SHUFFLES = 99 };

/* One of the two models, and its table on the grid of both. */
typedef struct compared {
    app_settings settings; /* with its name as the model */
    vit_model *model;
    patches_position position;
    char resized[APP_POSITION_TEXT]; /* empty where it is as stored */
} compared;

typedef struct comparison {
    const app_settings *settings;
    compared a, b;
    patches_likeness likeness, chance, limit;
} comparison;

static const vit_config *config_of(const compared *c)
{
    return vit_model_describe(c->model).config;
}

static app_size grid_of(const compared *c)
{
    const vit_config *config = config_of(c);
    return (app_size){.width = config->image_width / config->patch,
                      .height = config->image_height / config->patch};
}

/* ---- the tables ---- */

static int find_table(compared *c, uint32_t layer)
{
    const vit_config *config = config_of(c);
    const char *name = app_model_origin(&c->settings);
    if (layer >= config->layers) {
        app_error("%s: --layer %u: the model has blocks 0 to %u", name, layer, config->layers - 1);
        return APP_EXIT_USAGE;
    }
    if (vit_model_position(&c->position, c->model, layer)) return APP_EXIT_DONE;
    if (patches_position_has_table(config->position))
        app_error("%s: --layer %u: this model combines positions with the embedded patches only, "
                  "which is layer 0",
                  name, layer);
    else if (config->position == PATCHES_POSITION_NONE)
        app_error("%s: the model has no position embeddings to compare", name);
    else
        app_error("%s: %s positions %s and are no table of numbers for each place to compare", name,
                  patches_position_string(config->position),
                  config->position == PATCHES_POSITION_RELATIVE ? "are biases of attention"
                                                                : "turn queries and keys");
    return APP_EXIT_USAGE;
}

/* Loads the model anew for the other's grid. */
static int resize(compared *c, app_size grid, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    const vit_config stored = *config_of(c);
    const uint64_t most = UINT16_MAX / stored.patch;
    if (settings->filter != 0 && app_position_is_fixed(stored.position)) {
        app_error("--filter: %s positions are made anew for the other grid, not resampled",
                  patches_position_string(stored.position));
        return APP_EXIT_USAGE;
    }
    if (grid.width > most || grid.height > most) {
        app_error("%s: with %ux%u patches of %u pixels its images would be larger than %u",
                  app_model_origin(&c->settings), grid.height, grid.width, stored.patch,
                  (unsigned)UINT16_MAX);
        return APP_EXIT_USAGE;
    }
    const vit_load_options options = {.threads = (int)settings->threads,
                                      .image_width = grid.width * stored.patch,
                                      .image_height = grid.height * stored.patch,
                                      .position_filter = (patches_position_filter)settings->filter};
    vit_model_free(c->model);
    const vitc_status status = app_model_open(&c->model, c->settings.model, &options, &log);
    if (status != VITC_OK) return app_exit_status(status);
    app_position_describe_resized(c->resized, config_of(c), stored.image_height,
                                  stored.image_width);
    return APP_EXIT_DONE;
}

/* The model of fewer patches gets the grid of the other. */
static int match_grids(comparison *c)
{
    const app_size a = grid_of(&c->a), b = grid_of(&c->b);
    if (a.height == b.height && a.width == b.width) {
        if (c->settings->filter == 0) return APP_EXIT_DONE;
        app_error("--filter: both models have %ux%u patches, so that nothing is resampled",
                  a.height, a.width);
        return APP_EXIT_USAGE;
    }
    const bool first = (uint64_t)a.height * a.width < (uint64_t)b.height * b.width;
    return first ? resize(&c->a, b, c->settings) : resize(&c->b, a, c->settings);
}

static int measure(comparison *c)
{
    const vitc_log log = app_log(c->settings);
    const uint32_t layer = (uint32_t)c->settings->layer;
    int result = app_model_load(&c->a.model, &c->a.settings);
    if (result == APP_EXIT_DONE) result = app_model_load(&c->b.model, &c->b.settings);
    /* before anything is resampled, what cannot be compared */
    if (result == APP_EXIT_DONE) result = find_table(&c->a, layer);
    if (result == APP_EXIT_DONE) result = find_table(&c->b, layer);
    if (result == APP_EXIT_DONE) result = match_grids(c);
    if (result == APP_EXIT_DONE) result = find_table(&c->a, layer);
    if (result == APP_EXIT_DONE) result = find_table(&c->b, layer);
    if (result != APP_EXIT_DONE) return result;
    return app_exit_status(patches_position_compare(
        &c->likeness, &c->chance, &c->limit, &c->a.position, &c->b.position, SHUFFLES, 0, &log));
}

/* ---- for people ---- */

static void put_model(const char *letter, const compared *c)
{
    char text[APP_POSITION_TEXT];
    char *name = app_text_printable(app_model_origin(&c->settings));
    app_position_describe(text, config_of(c));
    printf("%-8s %s\n         %s%s%s\n", letter, name != NULL ? name : "?", text,
           c->resized[0] != 0 ? "; " : "", c->resized);
    free(name);
}

static void put_number(double number)
{
    if (isnan(number))
        printf("%9s", "-");
    else
        printf("%9.3f", fabs(number) < 5e-4 ? 0 : number); /* never -0.000 */
}

static void put_line(const char *name, double value, double chance, double limit,
                     const char *meaning)
{
    printf("  %-8s", name);
    put_number(value);
    put_number(chance);
    put_number(limit);
    printf("  %s\n", meaning);
}

static void print_text(const comparison *c)
{
    const patches_likeness *l = &c->likeness, *chance = &c->chance, *limit = &c->limit;
    put_model("A", &c->a);
    put_model("B", &c->b);
    if (c->settings->layer > 0) printf("block    %u\n", (unsigned)c->settings->layer);
    printf("\n  %-8s%9s%9s%9s\n", "", "A and B", "chance", "limit");
    put_line("CKA", l->cka, chance->cka, limit->cka,
             "of the tables; 1: the same but for turning and scale");
    put_line("cosines", l->cosines, chance->cosines, limit->cosines,
             "correlation of how alike two patches are in each");
    printf("  %-8s%9.4f%9.4f           root mean square of A and of B\n", "RMS",
           patches_position_rms(&c->a.position), patches_position_rms(&c->b.position));
    fputs("\nBoth tables less their mean. chance: the mean with the patches of B shuffled; beyond "
          "limit\nare fewer than 1 in 20 of those.\n\n",
          stdout);
    if (isnan(l->cka))
        puts(
            "One of the tables has the same numbers for all patches: there is nothing to compare.");
    else if (l->cka > limit->cka)
        puts("The two tables agree on where patches are more than chance makes them.");
    else
        puts("The two tables agree no more than chance makes them.");
}

/* ---- JSON ---- */

static bool set_likeness(vitc_json *o, const patches_likeness *l)
{
    return o != NULL && vitc_json_set_number(o, "cka", l->cka) &&
           vitc_json_set_number(o, "cosines", l->cosines);
}

static bool add_likeness(vitc_json *o, const char *key, const patches_likeness *l)
{
    vitc_json *made = vitc_json_object();
    const bool ok = set_likeness(made, l);
    return vitc_json_set(o, key, made) && ok;
}

static bool add_model(vitc_json *o, const char *key, const compared *c)
{
    const vit_config *config = config_of(c);
    vitc_json *made = vitc_json_object();
    const bool ok =
        made != NULL && vitc_json_set_string(made, "model", app_model_origin(&c->settings)) &&
        vitc_json_set_string(made, "position", patches_position_string(config->position)) &&
        vitc_json_set_string(made, "op", patches_position_op_string(config->position_op)) &&
        vitc_json_set_string(made, "at", patches_position_at_string(config->position_at)) &&
        vitc_json_set_integer(made, "width", c->position.width) &&
        vitc_json_set_number(made, "rms", patches_position_rms(&c->position)) &&
        vitc_json_set_string(made, "resized", c->resized[0] != 0 ? c->resized : NULL);
    return vitc_json_set(o, key, made) && ok;
}

static bool print_json(const comparison *c)
{
    vitc_json *o = vitc_json_object();
    const bool ok = o != NULL && add_model(o, "a", &c->a) && add_model(o, "b", &c->b) &&
                    vitc_json_set_integer(o, "layer", (int64_t)c->settings->layer) &&
                    vitc_json_set_integer(o, "grid_height", c->a.position.grid_height) &&
                    vitc_json_set_integer(o, "grid_width", c->a.position.grid_width) &&
                    set_likeness(o, &c->likeness) && add_likeness(o, "chance", &c->chance) &&
                    add_likeness(o, "limit", &c->limit) &&
                    vitc_json_set_integer(o, "shuffles", SHUFFLES);
    return app_text_print_json(o, ok, 2, 9, "\n");
}

/* ---- the command ---- */

static int check(const app_settings *s)
{
    const size_t models = s->operand_count - 1 + (s->model != NULL ? 1 : 0);
    if (models != 2) {
        app_error("posemb compare takes two models, A and B, not %zu; see vitc posemb --help",
                  models);
        return APP_EXIT_USAGE;
    }
    if (s->output != NULL || s->npy != NULL || s->centred || s->grid.width != 0 ||
        s->image_size.width != 0 || s->new_dtype != 0) {
        app_error("--output, --npy, --centred, --grid, --img-size and --dtype are not for posemb "
                  "compare");
        return APP_EXIT_USAGE;
    }
    return APP_EXIT_DONE;
}

int app_posemb_compare(const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    comparison c = {.settings = settings};
    int result = check(settings);
    if (result != APP_EXIT_DONE) return result;
    c.a.settings = c.b.settings = *settings;
    if (settings->model == NULL) c.a.settings.model = settings->operands[1];
    c.b.settings.model = settings->operands[settings->operand_count - 1];
    result = measure(&c);
    if (result == APP_EXIT_DONE) {
        if (!settings->json)
            print_text(&c);
        else if (!print_json(&c))
            result = app_exit_status(vitc_fail_memory(&log, "the answer"));
    }
    vit_model_free(c.a.model);
    vit_model_free(c.b.model);
    return result;
}
