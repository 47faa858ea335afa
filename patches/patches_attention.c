/* Positions that work inside attention: a bias for each offset, and turned queries and keys. */
#include <math.h>

#include "patches.h"

/* ---- relative positions ----
 *
 * In the table's order the index of a pair falls as the key's column rises. Arranged, offsets are
 * counted from the key: (yk - yq + Gh - 1) (2 Gw - 1) + (xk - xq + Gw - 1), which is the last row
 * of the offsets less the table's index; so one query's keys of one grid row are neighbours. */

static size_t offsets(const patches_relative *r)
{
    return (size_t)(2 * r->grid_height - 1) * (2 * r->grid_width - 1);
}

/* The rows behind the offsets. */
enum { PREFIX_TO_PATCH, PATCH_TO_PREFIX, PREFIX_TO_PREFIX, PREFIX_ROWS };

size_t patches_relative_rows(const patches_relative *relative)
{
    return offsets(relative) + (relative->prefix > 0 ? PREFIX_ROWS : 0);
}

size_t patches_relative_index(const patches_relative *relative, uint32_t query, uint32_t key)
{
    const uint32_t prefix = relative->prefix, gw = relative->grid_width;
    if (query < prefix)
        return offsets(relative) + (key < prefix ? PREFIX_TO_PREFIX : PREFIX_TO_PATCH);
    if (key < prefix) return offsets(relative) + PATCH_TO_PREFIX;
    const uint32_t q = query - prefix, k = key - prefix;
    return (size_t)(q / gw + relative->grid_height - 1 - k / gw) * (2 * gw - 1) +
           (q % gw + gw - 1 - k % gw);
}

/* The place of a row of the table in a head's biases. */
static size_t arranged(const patches_relative *relative, size_t row)
{
    const size_t count = offsets(relative);
    return row < count ? count - 1 - row : row;
}

void patches_relative_arrange(float *biases, const float *table, float factor,
                              const patches_relative *relative)
{
    const size_t rows = patches_relative_rows(relative), heads = relative->heads;
    for (size_t row = 0; row < rows; row++)
        for (size_t h = 0; h < heads; h++)
            biases[h * rows + arranged(relative, row)] = table[row * heads + h] * factor;
}

void patches_relative_arrange_backward(float *dtable, const float *dbiases, float factor,
                                       const patches_relative *relative)
{
    const size_t rows = patches_relative_rows(relative), heads = relative->heads;
    for (size_t row = 0; row < rows; row++)
        for (size_t h = 0; h < heads; h++)
            dtable[row * heads + h] += dbiases[h * rows + arranged(relative, row)] * factor;
}

size_t patches_relative_place(const patches_relative *relative, uint32_t query, uint32_t key)
{
    return arranged(relative, patches_relative_index(relative, query, key));
}

/* Where a patch's keys of grid row `y` begin in a head's biases. */
static size_t run_start(const patches_relative *relative, uint32_t patch, uint32_t y)
{
    const uint32_t gw = relative->grid_width;
    return (size_t)(y + relative->grid_height - 1 - patch / gw) * (2 * gw - 1) +
           (gw - 1 - patch % gw);
}

void patches_relative_add(float *scores, const float *biases, uint32_t query,
                          const patches_relative *relative)
{
    const uint32_t prefix = relative->prefix, gh = relative->grid_height, gw = relative->grid_width;
    const float *special = biases + offsets(relative);
    if (query < prefix) {
        for (uint32_t k = 0; k < prefix; k++) scores[k] += special[PREFIX_TO_PREFIX];
        for (uint32_t k = 0; k < gh * gw; k++) scores[prefix + k] += special[PREFIX_TO_PATCH];
        return;
    }
    for (uint32_t k = 0; k < prefix; k++) scores[k] += special[PATCH_TO_PREFIX];
    scores += prefix;
    for (uint32_t y = 0; y < gh; y++, scores += gw) {
        const float *run = biases + run_start(relative, query - prefix, y);
        for (uint32_t x = 0; x < gw; x++) scores[x] += run[x];
    }
}

void patches_relative_add_backward(float *dbiases, const float *dscores, uint32_t query,
                                   const patches_relative *relative)
{
    const uint32_t prefix = relative->prefix, gh = relative->grid_height, gw = relative->grid_width;
    float *special = dbiases + offsets(relative);
    if (query < prefix) {
        for (uint32_t k = 0; k < prefix; k++) special[PREFIX_TO_PREFIX] += dscores[k];
        for (uint32_t k = 0; k < gh * gw; k++) special[PREFIX_TO_PATCH] += dscores[prefix + k];
        return;
    }
    for (uint32_t k = 0; k < prefix; k++) special[PATCH_TO_PREFIX] += dscores[k];
    dscores += prefix;
    for (uint32_t y = 0; y < gh; y++, dscores += gw) {
        float *run = dbiases + run_start(relative, query - prefix, y);
        for (uint32_t x = 0; x < gw; x++) run[x] += dscores[x];
    }
}

/* ---- rotary positions ---- */

void patches_rope_fill(float *cosines, float *sines, uint32_t grid_height, uint32_t grid_width,
                       uint32_t head_width)
{
    const uint32_t pairs = head_width / 4; /* of each axis */
    for (uint32_t y = 0; y < grid_height; y++)
        for (uint32_t x = 0; x < grid_width; x++)
            for (uint32_t axis = 0; axis < 2; axis++)
                for (uint32_t j = 0; j < pairs; j++) {
                    const double f = pow(100, -4.0 * j / head_width);
                    const double angle = (axis == 0 ? x : y) * f;
                    *cosines++ = (float)cos(angle);
                    *sines++ = (float)sin(angle);
                }
}

void patches_rope_turn(float *x, const float *cosines, const float *sines, uint32_t head_width,
                       bool back)
{
    for (size_t j = 0; j < head_width / 2; j++) {
        const float re = x[2 * j], im = x[2 * j + 1];
        const float c = cosines[j], s = back ? -sines[j] : sines[j];
        x[2 * j] = re * c - im * s;
        x[2 * j + 1] = re * s + im * c;
    }
}
