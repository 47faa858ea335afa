/* The maps of vitc posemb show, and the numbers of relative positions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app_posemb.h"
#include "vitc_log.h"
#include "vitc_size.h"

enum { MAPS_MOST = 24 }; /* maps across or down: of larger grids every second patch has one, ... */

static uint32_t divide_up(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

/* ---- a row for each place ---- */

/* rope-2d: what a head's vector of ones becomes at each place. The cosine of two of them is the
 * mean over its pairs of cos(angle), which is how far turning alone makes places alike. */
static vitc_status make_turned(patches_position *position, float **made, const vit_config *config,
                               const vitc_log *log)
{
    const uint32_t height = config->image_height / config->patch;
    const uint32_t width = config->image_width / config->patch;
    const uint32_t depth = config->width / config->heads;
    const size_t n = (size_t)height * width;
    size_t count;
    float *turned = NULL, *angles = NULL;
    if (vitc_size_mul(n, depth, &count)) {
        turned = calloc(count, sizeof *turned);
        angles = calloc(count, sizeof *angles); /* cosines, then sines: half of it each */
    }
    if (turned == NULL || angles == NULL) {
        free(turned);
        free(angles);
        return vitc_fail_memory(log, "the turning by place");
    }
    const float *cosines = angles, *sines = angles + count / 2;
    patches_rope_fill(angles, angles + count / 2, height, width, depth);
    for (size_t i = 0; i < count; i++) turned[i] = 1;
    for (size_t p = 0; p < n; p++)
        patches_rope_turn(turned + p * depth, cosines + p * depth / 2, sines + p * depth / 2, depth,
                          false);
    free(angles);
    *made = turned;
    *position = (patches_position){.kind = PATCHES_POSITION_LEARNED_1D,
                                   .grid_height = height,
                                   .grid_width = width,
                                   .width = depth,
                                   .table = turned};
    return VITC_OK;
}

vitc_status app_posemb_table(patches_position *position, float **made, const vit_model *model,
                             uint32_t layer, const vitc_log *log)
{
    const vit_config *config = vit_model_describe(model).config;
    *made = NULL;
    *position = (patches_position){0};
    if (config->position == PATCHES_POSITION_ROPE_2D)
        return make_turned(position, made, config, log);
    if (!vit_model_position(position, model, layer)) *position = (patches_position){0};
    return VITC_OK;
}

/* ---- maps ---- */

static vitc_status allocate(app_posemb_maps *maps, const vitc_log *log)
{
    size_t count;
    if (vitc_size_mul3(maps->height, maps->width, maps->count, &count))
        maps->values = calloc(count, sizeof *maps->values);
    return maps->values != NULL ? VITC_OK : vitc_fail_memory(log, "the maps of positions");
}

/* Ends of the scale: round numbers around what the maps hold. */
static void set_scale(app_posemb_maps *maps)
{
    const size_t count = (size_t)maps->count * maps->height * maps->width;
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        low = fmin(low, maps->values[i]);
        high = fmax(high, maps->values[i]);
    }
    if (!maps->heads) { /* cosines, of which a patch with itself has 1 */
        maps->low = fmax(-1, floor(low * 5 + 1e-6) / 5);
        maps->high = 1;
        if (maps->low >= 0.8) maps->low = 0;
        return;
    }
    /* Biases: as far below 0 as above. */
    maps->high = fmax(fabs(low), fabs(high));
    if (!(maps->high > 0)) maps->high = 1;
    maps->low = -maps->high;
}

static vitc_status map_patches(app_posemb_maps *maps, const patches_position *position,
                               bool centred, const vitc_log *log)
{
    const uint32_t height = position->grid_height, width = position->grid_width;
    const size_t n = (size_t)height * width;
    size_t size;
    double *cosines = NULL;
    maps->height = height;
    maps->width = width;
    maps->step = divide_up(height > width ? height : width, MAPS_MOST);
    maps->rows = divide_up(height, maps->step);
    maps->columns = divide_up(width, maps->step);
    maps->count = maps->rows * maps->columns;
    if (vitc_size_mul3(n, n, sizeof *cosines, &size)) cosines = malloc(size);
    vitc_status status =
        cosines != NULL ? VITC_OK : vitc_fail_memory(log, "the similarity of positions");
    if (status == VITC_OK) status = patches_position_similarity(cosines, position, centred, log);
    if (status == VITC_OK) status = allocate(maps, log);
    for (uint32_t i = 0; i < maps->count && status == VITC_OK; i++) {
        const size_t y = (size_t)(i / maps->columns) * maps->step;
        const size_t x = (size_t)(i % maps->columns) * maps->step;
        memcpy(maps->values + i * n, cosines + (y * width + x) * n, n * sizeof *cosines);
    }
    free(cosines);
    return status;
}

/* By offset from the query to the key, which is the other way round than the table's index. */
static double bias_at(const float *table, const patches_relative *r, uint32_t head, int64_t dy,
                      int64_t dx)
{
    const int64_t height = r->grid_height, width = r->grid_width;
    const int64_t index = (height - 1 - dy) * (2 * width - 1) + width - 1 - dx;
    return (double)table[(size_t)index * r->heads + head];
}

static vitc_status map_heads(app_posemb_maps *maps, const float *table, const patches_relative *r,
                             const vitc_log *log)
{
    maps->heads = true;
    maps->step = 1;
    maps->height = 2 * r->grid_height - 1;
    maps->width = 2 * r->grid_width - 1;
    maps->count = r->heads;
    maps->columns = (uint32_t)ceil(sqrt(r->heads));
    maps->rows = divide_up(r->heads, maps->columns);
    VITC_TRY(allocate(maps, log));
    double *value = maps->values;
    for (uint32_t h = 0; h < r->heads; h++)
        for (int64_t dy = 1 - (int64_t)r->grid_height; dy < r->grid_height; dy++)
            for (int64_t dx = 1 - (int64_t)r->grid_width; dx < r->grid_width; dx++)
                *value++ = bias_at(table, r, h, dy, dx);
    return VITC_OK;
}

static void set_titles(app_posemb_maps *maps, const vit_config *c, uint32_t layer, bool centred)
{
    char block[32] = "";
    if (c->position_at == PATCHES_POSITION_EVERY && c->position != PATCHES_POSITION_ROPE_2D)
        snprintf(block, sizeof block, ", block %u", layer);
    snprintf(maps->title, sizeof maps->title, "%s positions, %ux%u patches%s",
             patches_position_string(c->position), c->image_height / c->patch,
             c->image_width / c->patch, block);
    maps->scale = maps->heads ? "bias" : centred ? "cosine, centred" : "cosine";
    snprintf(maps->subtitle, sizeof maps->subtitle, "%s",
             maps->heads ? "attention bias by offset to the key; middle: itself"
             : c->position == PATCHES_POSITION_ROPE_2D
                 ? "similarity of a vector of ones turned"
                 : "similarity of each patch with all others");
}

vitc_status app_posemb_maps_make(app_posemb_maps *maps, const vit_model *model, uint32_t layer,
                                 bool centred, const vitc_log *log)
{
    const vit_config *config = vit_model_describe(model).config;
    patches_position position;
    patches_relative relative;
    float *made;
    *maps = (app_posemb_maps){0};
    VITC_TRY(app_posemb_table(&position, &made, model, layer, log));
    const float *biases = vit_model_relative(&relative, model, layer);
    vitc_status status = VITC_OK;
    if (position.table != NULL) status = map_patches(maps, &position, centred, log);
    if (biases != NULL) status = map_heads(maps, biases, &relative, log);
    free(made);
    if (status != VITC_OK) {
        free(maps->values);
        *maps = (app_posemb_maps){0};
        return status;
    }
    if (maps->count > 0) {
        set_scale(maps);
        set_titles(maps, config, layer, centred);
    }
    return VITC_OK;
}

/* ---- numbers of a head ---- */

/* Pearson's, of the values by offset and the offset's length. */
static double correlate(const double *values, const patches_relative *r)
{
    const int64_t height = r->grid_height, width = r->grid_width;
    const double n = (double)(2 * height - 1) * (double)(2 * width - 1);
    double v = 0, d = 0, vv = 0, dd = 0, vd = 0;
    for (int pass = 0; pass < 2; pass++) { /* means, then what is about them */
        const double *value = values;
        const double mean_v = v / n, mean_d = d / n;
        for (int64_t dy = 1 - height; dy < height; dy++)
            for (int64_t dx = 1 - width; dx < width; dx++, value++) {
                const double length = sqrt((double)(dy * dy + dx * dx));
                if (pass == 0) {
                    v += *value;
                    d += length;
                    continue;
                }
                vv += (*value - mean_v) * (*value - mean_v);
                dd += (length - mean_d) * (length - mean_d);
                vd += (*value - mean_v) * (length - mean_d);
            }
    }
    return vd / sqrt(vv * dd);
}

static void find_ends(app_posemb_head *head, const double *values, const patches_relative *r)
{
    const int64_t height = r->grid_height, width = r->grid_width;
    *head = (app_posemb_head){.least = INFINITY, .most = -INFINITY};
    for (int64_t dy = 1 - height; dy < height; dy++)
        for (int64_t dx = 1 - width; dx < width; dx++, values++) {
            head->least = fmin(head->least, *values);
            if (*values <= head->most) continue;
            head->most = *values;
            head->dy = dy;
            head->dx = dx;
        }
}

vitc_status app_posemb_measure_head(app_posemb_head *head, const float *table,
                                    const patches_relative *r, uint32_t which, const vitc_log *log)
{
    const int64_t height = r->grid_height, width = r->grid_width;
    const patches_position offsets = {.kind = PATCHES_POSITION_LEARNED_1D,
                                      .grid_height = 2 * r->grid_height - 1,
                                      .grid_width = 2 * r->grid_width - 1,
                                      .width = 1};
    const size_t count = (size_t)offsets.grid_height * offsets.grid_width;
    double *values = calloc(count, sizeof *values);
    float *column = calloc(count, sizeof *column);
    patches_structure structure;
    vitc_status status = values != NULL && column != NULL
                             ? VITC_OK
                             : vitc_fail_memory(log, "a head's relative positions");
    if (status == VITC_OK) {
        size_t i = 0;
        for (int64_t dy = 1 - height; dy < height; dy++)
            for (int64_t dx = 1 - width; dx < width; dx++, i++) {
                values[i] = bias_at(table, r, which, dy, dx);
                column[i] = (float)values[i];
            }
        patches_position view = offsets;
        view.table = column;
        status = patches_position_structure(&structure, NULL, NULL, &view, 0, 0, log);
    }
    if (status == VITC_OK) {
        find_ends(head, values, r);
        head->rows = structure.rows;
        head->columns = structure.columns;
        head->distance = correlate(values, r);
    }
    free(values);
    free(column);
    return status;
}
