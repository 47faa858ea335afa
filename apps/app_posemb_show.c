/* The maps of vitc posemb show, and the numbers of relative positions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app_posemb.h"
#include "vitc_log.h"
#include "vitc_size.h"

/* Cells of all maps together, across or down: of larger grids every second row or column of patches
 * has maps, or every third, ... */
enum { CELLS_MOST = 600 };

static uint32_t divide_up(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

static uint32_t every_of(uint32_t length)
{
    uint32_t every = 1;
    while (every < length && (uint64_t)divide_up(length, every) * length > CELLS_MOST) every++;
    return every;
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
    *position = (patches_position){.kind = PATCHES_POSITION_LEARNED_2D,
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
        maps->narrow = maps->low >= 0.8;
        if (maps->narrow) maps->low = 0;
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
    maps->every_y = every_of(height);
    maps->every_x = every_of(width);
    maps->rows = divide_up(height, maps->every_y);
    maps->columns = divide_up(width, maps->every_x);
    maps->count = maps->rows * maps->columns;
    if (vitc_size_mul3(n, n, sizeof *cosines, &size)) cosines = malloc(size);
    vitc_status status =
        cosines != NULL ? VITC_OK : vitc_fail_memory(log, "the similarity of positions");
    if (status == VITC_OK) status = patches_position_similarity(cosines, position, centred, log);
    if (status == VITC_OK) status = allocate(maps, log);
    double *map = maps->values;
    for (size_t y = 0; y < height && status == VITC_OK; y += maps->every_y)
        for (size_t x = 0; x < width; x += maps->every_x, map += n)
            memcpy(map, cosines + (y * width + x) * n, n * sizeof *cosines);
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
    maps->every_y = maps->every_x = 1;
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
             maps->heads                ? "attention bias by offset to the key; marks: offset 0"
             : maps->narrow && !centred ? "mostly a common offset; --centred shows the rest"
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

/* Pairs of patches that far apart. */
static double pairs_at(const patches_relative *r, int64_t dy, int64_t dx)
{
    return (double)(r->grid_height - llabs(dy)) * (double)(r->grid_width - llabs(dx));
}

static void find_ends(app_posemb_head *head, const float *table, const patches_relative *r,
                      uint32_t which)
{
    const int64_t height = r->grid_height, width = r->grid_width;
    head->least = INFINITY;
    head->most = -INFINITY;
    for (int64_t dy = 1 - height; dy < height; dy++)
        for (int64_t dx = 1 - width; dx < width; dx++) {
            const double value = bias_at(table, r, which, dy, dx);
            head->least = fmin(head->least, value);
            if (value <= head->most) continue;
            head->most = value;
            head->dy = dy;
            head->dx = dx;
        }
}

/* Of biases and lengths of offsets, over all pairs. */
typedef struct moments {
    double bias, length;                    /* means */
    double biases, lengths, biases_lengths; /* sums about them */
} moments;

static moments find_moments(const float *table, const patches_relative *r, uint32_t which)
{
    const int64_t height = r->grid_height, width = r->grid_width;
    const double all = (double)(height * height) * (double)(width * width);
    moments m = {0};
    for (int pass = 0; pass < 2; pass++)
        for (int64_t dy = 1 - height; dy < height; dy++)
            for (int64_t dx = 1 - width; dx < width; dx++) {
                const double pairs = pairs_at(r, dy, dx);
                const double bias = bias_at(table, r, which, dy, dx) - m.bias * pass;
                const double length = sqrt((double)(dy * dy + dx * dx)) - m.length * pass;
                if (pass == 0) {
                    m.bias += pairs / all * bias;
                    m.length += pairs / all * length;
                    continue;
                }
                m.biases += pairs * bias * bias;
                m.lengths += pairs * length * length;
                m.biases_lengths += pairs * bias * length;
            }
    return m;
}

/* The part of the sum of squares that lies between the means of rows of offsets, dy being `outer`
 * and dx `inner`, or between those of columns, the other way round. */
static double between_lines(const float *table, const patches_relative *r, uint32_t which,
                            double mean, bool rows)
{
    const int64_t outer = rows ? r->grid_height : r->grid_width;
    const int64_t inner = rows ? r->grid_width : r->grid_height;
    double all = 0;
    for (int64_t a = 1 - outer; a < outer; a++) {
        double sum = 0, pairs = 0;
        for (int64_t b = 1 - inner; b < inner; b++) {
            const int64_t dy = rows ? a : b, dx = rows ? b : a;
            sum += pairs_at(r, dy, dx) * (bias_at(table, r, which, dy, dx) - mean);
            pairs += pairs_at(r, dy, dx);
        }
        all += sum * sum / pairs;
    }
    return all;
}

void app_posemb_measure_head(app_posemb_head *head, const float *table, const patches_relative *r,
                             uint32_t which)
{
    *head = (app_posemb_head){.rows = NAN, .columns = NAN, .distance = NAN};
    find_ends(head, table, r, which);
    if (head->least < head->most) {
        const moments m = find_moments(table, r, which);
        head->distance = m.biases_lengths / sqrt(m.biases * m.lengths);
        if (r->grid_height > 1 && r->grid_width > 1) {
            head->rows = between_lines(table, r, which, m.bias, true) / m.biases;
            head->columns = between_lines(table, r, which, m.bias, false) / m.biases;
        }
    } else {
        head->dy = head->dx = 0;
    }
    if (r->prefix == 0) return;
    const uint32_t patch = r->prefix;
    const float *of_head = table + which;
    head->prefix_to_patch = (double)of_head[patches_relative_index(r, 0, patch) * r->heads];
    head->patch_to_prefix = (double)of_head[patches_relative_index(r, patch, 0) * r->heads];
    head->prefix_to_prefix = (double)of_head[patches_relative_index(r, 0, 0) * r->heads];
}
