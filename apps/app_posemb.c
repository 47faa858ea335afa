/* vitc posemb: looks at a model's position embeddings, and gives it others for another grid. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app_commands.h"
#include "app_guard.h"
#include "app_model.h"
#include "app_npy.h"
#include "app_posemb.h"
#include "app_posemb_compare.h"
#include "app_position.h"
#include "app_report.h"
#include "vit_weights.h"
#include "vitc_log.h"

/* ---- --npy ---- */

/* Slots of prefix tokens, which the table of other tools has too, come first. */
static int write_table(const char *path, const vit_model *model, uint32_t layer,
                       const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    patches_position position;
    const vit_config *config = vit_model_describe(model).config;
    const char *kind = patches_position_string(config->position);
    const char *why = vit_weights_inexpressible_position(config);
    if (!vit_model_position(&position, model, layer)) {
        app_error("%s: %s positions%s are no table of numbers for each place; nothing to write",
                  path, kind,
                  patches_position_has_table(config->position) ? " after the first block" : "");
        return APP_EXIT_USAGE;
    }
    const size_t slots =
        position.prefix + (size_t)position.grid_height * (size_t)position.grid_width;
    const size_t shape[] = {slots, position.width};
    const int result = app_exit_status(app_npy_write(path, position.table, shape, 2, &log));
    if (result != APP_EXIT_DONE) return result;
    if (why != NULL && !settings->quiet)
        app_warn("%s: positions of kind %s %s, which no table of other tools can express: this one "
                 "is only to be looked at",
                 path, kind, why);
    char *shown = app_text_printable(path);
    if (!settings->json)
        printf("%s: shape (%zu, %u), %u prefix row%s\n", shown != NULL ? shown : "?", slots,
               position.width, position.prefix, position.prefix == 1 ? "" : "s");
    free(shown);
    return APP_EXIT_DONE;
}

/* ---- show ---- */

typedef struct shown {
    const app_settings *settings;
    const vit_model *model;
    const vit_config *config;
    uint32_t layer;
    app_posemb_maps maps;
    patches_position position; /* table NULL: there is none */
    float *made;
    patches_structure structure, chance, limit;
    patches_relative relative; /* of heads */
    app_posemb_head *heads;    /* NULL: not of this kind */
} shown;

enum { SHUFFLES = 99 };

static vitc_status measure(shown *s, const vitc_log *log)
{
    VITC_TRY(app_posemb_table(&s->position, &s->made, s->model, s->layer, log));
    if (s->position.table != NULL)
        return patches_position_structure(&s->structure, &s->chance, &s->limit, &s->position,
                                          SHUFFLES, 0, log);
    const float *table = vit_model_relative(&s->relative, s->model, s->layer);
    if (table == NULL) return VITC_OK;
    s->heads = calloc(s->relative.heads, sizeof *s->heads);
    if (s->heads == NULL) return vitc_fail_memory(log, "the heads' positions");
    for (uint32_t h = 0; h < s->relative.heads; h++)
        app_posemb_measure_head(&s->heads[h], table, &s->relative, h);
    return VITC_OK;
}

/* "added to the embedded patches", ... */
static void print_place(const vit_config *c)
{
    const bool multiplied = c->position_op == PATCHES_POSITION_MUL;
    const bool own = c->position_at == PATCHES_POSITION_EVERY;
    switch (c->position) {
    case PATCHES_POSITION_NONE:
        printf("\n");
        return;
    case PATCHES_POSITION_RELATIVE:
        printf(", biases on attention by offset, %s\n",
               own ? "each block its own" : "all blocks the same");
        return;
    case PATCHES_POSITION_ROPE_2D:
        printf(", queries and keys turned by their place in every block\n");
        return;
    default:
        break;
    }
    printf(", %s %s%s\n", multiplied ? "multiplied with" : "added to",
           c->position_at == PATCHES_POSITION_STEM ? "the embedded patches"
                                                   : "the tokens of every block",
           c->position_at == PATCHES_POSITION_STEM            ? ""
           : own && c->position != PATCHES_POSITION_SINCOS_2D ? ", each its own"
                                                              : ", the same");
}

/* A share or the like in its column; "-" for NaN. */
static void put_cell(int width, const char *format, double value)
{
    char text[24] = "-";
    if (value == value) snprintf(text, sizeof text, format, value);
    printf(" %*s", width, text);
}

static void print_prefix(const shown *s)
{
    printf("\n  %-6s %14s %14s %14s\n", "head", "to patches", "from patches", "between");
    for (uint32_t h = 0; h < s->relative.heads; h++) {
        const app_posemb_head *head = &s->heads[h];
        printf("  %-6u %14.4f %14.4f %14.4f\n", h + 1, head->prefix_to_patch, head->patch_to_prefix,
               head->prefix_to_prefix);
    }
    fputs(
        "\nBiases of tokens that are no patches (class and the like): when they look to patches,\n"
        "when patches look to them, and among them.\n",
        stdout);
}

static void print_heads(const shown *s)
{
    printf("\n  %-6s %9s %9s  %-14s %7s %7s  %s\n", "head", "least", "most", "most at", "rows",
           "columns", "with distance");
    for (uint32_t h = 0; h < s->relative.heads; h++) {
        const app_posemb_head *head = &s->heads[h];
        char at[48] = "-";
        if (head->least < head->most)
            snprintf(at, sizeof at, "%+lld,%+lld", (long long)head->dy, (long long)head->dx);
        printf("  %-6u %9.4f %9.4f  %-14s", h + 1, head->least, head->most, at);
        put_cell(7, "%.1f %%", 100 * head->rows);
        put_cell(7, "%.1f %%", 100 * head->columns);
        put_cell(6, "%+.2f", head->distance);
        printf("\n");
    }
    fputs("\nBiases on the attention of a patch to another. most at: the offset down,right from "
          "the\npatch that looks to the one looked at. rows, columns: how much of the variance "
          "follows\nfrom one of the two alone. with distance: correlation; -1: the nearer the "
          "higher. Of\nthese an offset counts as often as there are pairs of patches so far "
          "apart.\n",
          stdout);
    if (s->relative.prefix > 0) print_prefix(s);
}

/* Whether each block has learned positions of its own. */
static bool has_blocks(const vit_config *c)
{
    return c->position_at == PATCHES_POSITION_EVERY && c->position != PATCHES_POSITION_NONE &&
           c->position != PATCHES_POSITION_ROPE_2D && c->position != PATCHES_POSITION_SINCOS_2D;
}

static void print_model(const shown *s)
{
    const vit_config *c = s->config;
    const uint32_t height = c->image_height / c->patch, width = c->image_width / c->patch;
    char *origin = app_text_printable(app_model_origin(s->settings));
    printf("model      %s\n", origin != NULL ? origin : "?");
    free(origin);
    printf("positions  %s", patches_position_string(c->position));
    print_place(c);
    printf("grid       %ux%u patches of %ux%u pixels\n", height, width, c->patch, c->patch);
}

static void print_text(const shown *s)
{
    const vit_config *c = s->config;
    print_model(s);
    if (has_blocks(c)) printf("block      %u of 0 to %u\n", s->layer, c->layers - 1);
    if (s->position.table != NULL) {
        if (c->position == PATCHES_POSITION_ROPE_2D)
            printf("shown      vectors of ones, turned as a head's %u numbers are\n",
                   s->position.width);
        else
            printf("table      %u rows of %u numbers",
                   s->position.grid_height * s->position.grid_width, s->position.width);
        if (s->position.prefix > 0)
            printf(", and %u for tokens that are no patches", s->position.prefix);
        if (c->position != PATCHES_POSITION_ROPE_2D) printf("\n");
        app_posemb_print_structure(stdout, &s->structure, &s->chance, &s->limit, &s->position);
    }
    if (s->heads != NULL) print_heads(s);
    if (c->position == PATCHES_POSITION_NONE)
        fputs("\nThe model has no position embeddings: it cannot tell where a patch is, except by "
              "what\nis in it. There is nothing to draw.\n",
              stdout);
}

static bool set_offset(vitc_json *o, const char *key, const app_posemb_head *head, int64_t offset)
{
    return head->least < head->most ? vitc_json_set_integer(o, key, offset)
                                    : vitc_json_set_number(o, key, NAN);
}

static bool set_heads(vitc_json *o, const shown *s)
{
    vitc_json *heads = vitc_json_array();
    bool ok = heads != NULL;
    for (uint32_t h = 0; h < s->relative.heads && ok; h++) {
        const app_posemb_head *head = &s->heads[h];
        vitc_json *one = vitc_json_object();
        ok = one != NULL && vitc_json_set_integer(one, "head", h + 1) &&
             vitc_json_set_number(one, "least", head->least) &&
             vitc_json_set_number(one, "most", head->most) &&
             set_offset(one, "most_dy", head, head->dy) &&
             set_offset(one, "most_dx", head, head->dx) &&
             vitc_json_set_number(one, "rows", head->rows) &&
             vitc_json_set_number(one, "columns", head->columns) &&
             vitc_json_set_number(one, "distance", head->distance);
        if (ok && s->relative.prefix > 0)
            ok = vitc_json_set_number(one, "prefix_to_patch", head->prefix_to_patch) &&
                 vitc_json_set_number(one, "patch_to_prefix", head->patch_to_prefix) &&
                 vitc_json_set_number(one, "prefix_to_prefix", head->prefix_to_prefix);
        ok = vitc_json_append(heads, one) && ok;
    }
    return vitc_json_set(o, "heads", heads) && ok;
}

static vitc_json *model_json(const shown *s)
{
    const vit_config *c = s->config;
    vitc_json *o = vitc_json_object();
    if (o != NULL && vitc_json_set_string(o, "model", app_model_origin(s->settings)) &&
        vitc_json_set_string(o, "position", patches_position_string(c->position)) &&
        vitc_json_set_string(o, "op", patches_position_op_string(c->position_op)) &&
        vitc_json_set_string(o, "at", patches_position_at_string(c->position_at)) &&
        vitc_json_set_integer(o, "grid_height", c->image_height / c->patch) &&
        vitc_json_set_integer(o, "grid_width", c->image_width / c->patch))
        return o;
    vitc_json_free(o);
    return NULL;
}

static bool set_numbers(vitc_json *o, const shown *s)
{
    const char *what = s->config->position == PATCHES_POSITION_ROPE_2D ? "ones turned" : "table";
    bool ok = vitc_json_set_integer(o, "layer", s->layer);
    if (ok && s->position.table != NULL)
        ok = vitc_json_set_string(o, "shown", what) &&
             vitc_json_set_integer(o, "width", s->position.width) &&
             vitc_json_set_integer(o, "prefix", s->position.prefix) &&
             vitc_json_set(o, "structure", app_posemb_structure_json(&s->structure)) &&
             vitc_json_set(o, "chance", app_posemb_structure_json(&s->chance)) &&
             vitc_json_set(o, "limit", app_posemb_structure_json(&s->limit)) &&
             vitc_json_set_integer(o, "shuffles", SHUFFLES);
    if (ok && s->heads != NULL) ok = set_heads(o, s);
    return ok;
}

static bool print_json(const shown *s)
{
    vitc_json *o = model_json(s);
    const bool ok = o != NULL && set_numbers(o, s);
    return app_text_print_json(o, ok, 2, 9, "\n");
}

static int check_all(const shown *s)
{
    if (!has_blocks(s->config)) {
        app_error("--layer all: this model's blocks have no positions of their own");
        return APP_EXIT_USAGE;
    }
    if (s->settings->output != NULL || s->settings->npy != NULL || s->settings->centred) {
        app_error("--layer all gives numbers alone; --output, --npy and --centred are for one "
                  "block, --layer N");
        return APP_EXIT_USAGE;
    }
    return APP_EXIT_DONE;
}

static int check_layer(const shown *s)
{
    const vit_config *c = s->config;
    if (s->settings->layer == APP_LAYER_ALL) return check_all(s);
    const bool only_first = patches_position_has_table(c->position) &&
                            c->position_at == PATCHES_POSITION_STEM && s->layer > 0;
    if (s->settings->layer >= c->layers) {
        app_error("--layer %llu: the model has blocks 0 to %u",
                  (unsigned long long)s->settings->layer, c->layers - 1);
        return APP_EXIT_USAGE;
    }
    if (only_first) {
        app_error("--layer %u: this model combines positions with the embedded patches only, "
                  "which is layer 0",
                  s->layer);
        return APP_EXIT_USAGE;
    }
    return APP_EXIT_DONE;
}

static bool has_preview(const app_settings *settings)
{
    const app_terminal terminal = app_terminal_of(stdout);
    return terminal.color && terminal.utf8 && !settings->json;
}

static int check_centred(const shown *s)
{
    if (!s->settings->centred) return APP_EXIT_DONE;
    if (s->config->position == PATCHES_POSITION_RELATIVE) {
        app_error("--centred is for similarities; the maps of relative positions are biases");
        return APP_EXIT_USAGE;
    }
    if (s->settings->output == NULL && !has_preview(s->settings)) {
        app_error("--centred is for the maps; --output FILE draws them (the numbers are always of "
                  "what differs)");
        return APP_EXIT_USAGE;
    }
    return APP_EXIT_DONE;
}

static int show_files(shown *s)
{
    const app_settings *settings = s->settings;
    const vitc_log log = app_log(settings);
    const app_terminal terminal = app_terminal_of(stdout);
    const bool preview = has_preview(settings);
    int result = APP_EXIT_DONE;
    if (settings->output != NULL || preview)
        result = app_exit_status(
            app_posemb_maps_make(&s->maps, s->model, s->layer, settings->centred, &log));
    if (result == APP_EXIT_DONE && settings->output != NULL) {
        if (s->maps.count == 0) {
            app_error("%s: the model has no position embeddings; nothing to draw",
                      settings->output);
            return APP_EXIT_USAGE;
        }
        result = app_posemb_draw(settings->output, &s->maps, settings);
    }
    if (result == APP_EXIT_DONE && settings->npy != NULL)
        result = write_table(settings->npy, s->model, s->layer, settings);
    if (result == APP_EXIT_DONE && preview && s->maps.count > 0)
        app_posemb_preview(stdout, &s->maps, terminal.columns);
    return result;
}

static int show_one(shown *s)
{
    const vitc_log log = app_log(s->settings);
    int result = app_exit_status(measure(s, &log));
    if (result == APP_EXIT_DONE) result = show_files(s);
    if (result == APP_EXIT_DONE && !s->settings->json) print_text(s);
    if (result == APP_EXIT_DONE && s->settings->json && !print_json(s))
        result = app_exit_status(vitc_fail_memory(&log, "the answer"));
    return result;
}

static void forget(shown *s)
{
    free(s->made);
    free(s->heads);
    s->made = NULL;
    s->heads = NULL;
}

static void print_block(const shown *s)
{
    if (s->heads != NULL) {
        printf("\nblock      %u of 0 to %u\n", s->layer, s->config->layers - 1);
        print_heads(s);
        return;
    }
    if (s->layer == 0) app_posemb_print_blocks_heading(stdout);
    app_posemb_print_block(stdout, s->layer, &s->structure, &s->limit);
    if (s->layer + 1 == s->config->layers) app_posemb_print_blocks_meaning(stdout);
}

static vitc_status append_block(vitc_json *blocks, const shown *s, const vitc_log *log)
{
    vitc_json *one = vitc_json_object();
    const bool ok = one != NULL && set_numbers(one, s);
    return vitc_json_append(blocks, one) && ok ? VITC_OK : vitc_fail_memory(log, "the answer");
}

static int show_all(shown *s)
{
    const bool json = s->settings->json;
    const vitc_log log = app_log(s->settings);
    vitc_json *o = json ? model_json(s) : NULL, *blocks = json ? vitc_json_array() : NULL;
    vitc_status status =
        json && (o == NULL || blocks == NULL) ? vitc_fail_memory(&log, "the answer") : VITC_OK;
    if (!json) print_model(s);
    for (s->layer = 0; s->layer < s->config->layers && status == VITC_OK; s->layer++) {
        status = measure(s, &log);
        if (status == VITC_OK && json) status = append_block(blocks, s, &log);
        if (status == VITC_OK && !json) print_block(s);
        forget(s);
    }
    if (status != VITC_OK || !json) {
        vitc_json_free(o);
        vitc_json_free(blocks);
        return app_exit_status(status);
    }
    const bool ok = vitc_json_set(o, "blocks", blocks);
    return app_text_print_json(o, ok, 2, 9, "\n")
               ? APP_EXIT_DONE
               : app_exit_status(vitc_fail_memory(&log, "the answer"));
}

static int show(const app_settings *settings)
{
    vit_model *model = NULL;
    if (settings->output != NULL && !app_posemb_is_picture(settings->output)) {
        app_error("%s: a picture of positions is a .png or .svg file", settings->output);
        return APP_EXIT_USAGE;
    }
    int result = app_model_load(&model, settings);
    if (result != APP_EXIT_DONE) return result;
    shown s = {.settings = settings,
               .model = model,
               .config = vit_model_describe(model).config,
               .layer = (uint32_t)settings->layer};
    result = check_layer(&s);
    if (result == APP_EXIT_DONE) result = check_centred(&s);
    if (result == APP_EXIT_DONE)
        result = settings->layer == APP_LAYER_ALL ? show_all(&s) : show_one(&s);
    free(s.maps.values);
    forget(&s);
    vit_model_free(model);
    return result;
}

/* ---- resize ---- */

static int find_size(app_size *size, const vit_config *config, const app_settings *settings)
{
    const app_size grid = settings->grid;
    *size = settings->image_size;
    if ((grid.width != 0) == (size->width != 0)) {
        app_error("posemb resize takes one of --grid and --img-size");
        return APP_EXIT_USAGE;
    }
    if (grid.width == 0) return APP_EXIT_DONE;
    if (grid.width > UINT16_MAX / config->patch || grid.height > UINT16_MAX / config->patch) {
        app_error("--grid %ux%u: with patches of %u pixels the images would be larger than %u",
                  grid.height, grid.width, config->patch, (unsigned)UINT16_MAX);
        return APP_EXIT_USAGE;
    }
    *size = (app_size){.width = grid.width * config->patch, .height = grid.height * config->patch};
    return APP_EXIT_DONE;
}

/* What was written is read again: the table for others is that of the file. */
static int tell_resized(const vit_config *before, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    char resized[APP_POSITION_TEXT];
    vit_model *model;
    int result = app_exit_status(vit_model_load(&model, settings->output, NULL, &log));
    if (result != APP_EXIT_DONE) return result;
    const vit_model_info info = vit_model_describe(model);
    const vit_config *after = info.config;
    if (settings->npy != NULL) result = write_table(settings->npy, model, 0, settings);
    if (result == APP_EXIT_DONE) {
        char *path = app_text_printable(settings->output);
        app_position_describe_resized(resized, after, before->image_height, before->image_width);
        printf("%s: positions %s%s%s; images of %ux%u; weights stored as %s\n",
               path != NULL ? path : "?", patches_position_string(after->position),
               resized[0] != 0 ? ", " : "", resized, after->image_height, after->image_width,
               info.weights_dtype);
        free(path);
    }
    vit_model_free(model);
    return result;
}

static int check_resize(const app_settings *settings)
{
    if (settings->output == NULL) {
        app_error("posemb resize needs --output FILE, the file to write");
        return APP_EXIT_USAGE;
    }
    if (settings->json || settings->centred || settings->layer != 0) {
        app_error("--json, --centred and --layer are for posemb show");
        return APP_EXIT_USAGE;
    }
    return APP_EXIT_DONE;
}

/* What goes with the positions that the model has. */
static int check_kind(const vit_config *config, const app_settings *settings)
{
    const char *kind = patches_position_string(config->position);
    const char *why = vit_weights_inexpressible_position(config);
    const bool table = patches_position_has_table(config->position);
    if (settings->filter != 0 && config->position == PATCHES_POSITION_NONE) {
        app_error("--filter: the model has no positions to resample");
        return APP_EXIT_USAGE;
    }
    if (settings->filter != 0 && app_position_is_fixed(config->position)) {
        app_error("--filter: %s positions are made anew for the new grid, not resampled", kind);
        return APP_EXIT_USAGE;
    }
    if (settings->npy != NULL && !table) {
        app_error("--npy %s: %s positions are no table of numbers for each place; nothing was "
                  "written",
                  settings->npy, kind);
        return APP_EXIT_USAGE;
    }
    if (settings->npy != NULL && why != NULL) {
        app_error("--npy %s: positions of kind %s %s, which no table of other tools can express; "
                  "nothing was written",
                  settings->npy, kind, why);
        return APP_EXIT_USAGE;
    }
    return APP_EXIT_DONE;
}

static int resize(const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    vit_load_options options = {0};
    vit_model *model = NULL;
    app_size size;
    int result = check_resize(settings);
    if (result != APP_EXIT_DONE) return result;
    app_settings stored = *settings;
    stored.image_size = (app_size){0};
    result = app_model_load(&model, &stored);
    if (result != APP_EXIT_DONE) return result;
    const vit_config before = *vit_model_describe(model).config;
    vit_model_free(model);
    result = find_size(&size, &before, settings);
    if (result == APP_EXIT_DONE) result = check_kind(&before, settings);
    if (result != APP_EXIT_DONE) return result;
    options.image_width = size.width;
    options.image_height = size.height;
    options.position_filter = (patches_position_filter)settings->filter;
    const vit_dtype dtype =
        settings->new_dtype > 0 ? (vit_dtype)(settings->new_dtype - 1) : VIT_DTYPE_STORED;
    result = app_exit_status(
        app_model_convert(settings->model, settings->output, dtype, NULL, &options, &log));
    stored.output = settings->output;
    return result == APP_EXIT_DONE ? tell_resized(&before, &stored) : result;
}

/* ---- the command ---- */

static bool check_show(const app_settings *settings)
{
    if (settings->grid.width == 0 && settings->image_size.width == 0 && settings->filter == 0 &&
        settings->new_dtype == 0)
        return true;
    app_error("--grid, --img-size, --filter and --dtype are for posemb resize");
    return false;
}

int app_posemb_run(const app_settings *settings)
{
    app_settings own = *settings;
    const char *verb = settings->operands[0];
    const bool shows = strcmp(verb, "show") == 0;
    if (strcmp(verb, "compare") == 0) return app_posemb_compare(settings);
    if (!shows && strcmp(verb, "resize") != 0) {
        app_error("posemb %s is not known; there are posemb show, posemb resize and posemb compare",
                  verb);
        return APP_EXIT_USAGE;
    }
    if (settings->operand_count > 2) {
        app_error("posemb %s takes one MODEL, not \"%s\" too", verb, settings->operands[2]);
        return APP_EXIT_USAGE;
    }
    if (!shows || settings->operand_count > 1) { /* without any, the built-in one is shown */
        const int result = app_model_named(&own.model, 1, settings);
        if (result != APP_EXIT_DONE) return result;
    }
    if (shows && !check_show(settings)) return APP_EXIT_USAGE;
    app_guard_output(own.output);
    app_guard_output(own.npy);
    return shows ? show(&own) : resize(&own);
}
