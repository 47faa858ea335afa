#include <math.h>
#include <string.h>

#include "patches.h"

const char *patches_position_string(patches_position_kind kind)
{
    static const char *const names[PATCHES_POSITION_KIND_COUNT] = {
        [PATCHES_POSITION_NONE] = "none",
        [PATCHES_POSITION_LEARNED_1D] = "learned-1d",
        [PATCHES_POSITION_LEARNED_2D] = "learned-2d",
        [PATCHES_POSITION_FACTORIZED] = "factorized-sum",
        [PATCHES_POSITION_SINCOS_2D] = "sincos-2d",
        [PATCHES_POSITION_RELATIVE] = "relative",
        [PATCHES_POSITION_ROPE_2D] = "rope-2d"};
    return (unsigned)kind < PATCHES_POSITION_KIND_COUNT ? names[kind] : NULL;
}

const char *patches_position_op_string(patches_position_op op)
{
    static const char *const names[PATCHES_POSITION_OP_COUNT] = {"add", "mul"};
    return (unsigned)op < PATCHES_POSITION_OP_COUNT ? names[op] : NULL;
}

const char *patches_position_at_string(patches_position_at at)
{
    static const char *const names[PATCHES_POSITION_AT_COUNT] = {"stem", "every", "every-shared"};
    return (unsigned)at < PATCHES_POSITION_AT_COUNT ? names[at] : NULL;
}

bool patches_position_has_table(patches_position_kind kind)
{
    return kind == PATCHES_POSITION_LEARNED_1D || kind == PATCHES_POSITION_SINCOS_2D ||
           patches_position_has_axes(kind);
}

bool patches_position_has_axes(patches_position_kind kind)
{
    return kind == PATCHES_POSITION_LEARNED_2D || kind == PATCHES_POSITION_FACTORIZED;
}

/* ---- tables made of others ---- */

static void fill_sincos(float *table, uint32_t grid_height, uint32_t grid_width, size_t width)
{
    const size_t quarter = width / 4;
    for (uint32_t y = 0; y < grid_height; y++)
        for (uint32_t x = 0; x < grid_width; x++, table += width)
            for (size_t k = 0; k < quarter; k++) {
                const double w = pow(10000, -(double)k / (double)quarter);
                table[k] = (float)sin(x * w);
                table[quarter + k] = (float)cos(x * w);
                table[2 * quarter + k] = (float)sin(y * w);
                table[3 * quarter + k] = (float)cos(y * w);
            }
}

void patches_position_fill(float *table, const patches_position *position, const float *rows,
                           const float *columns)
{
    const uint32_t height = position->grid_height, width = position->grid_width;
    const size_t d = position->width, half = d / 2;
    if (position->kind == PATCHES_POSITION_SINCOS_2D) fill_sincos(table, height, width, d);
    if (!patches_position_has_axes(position->kind)) return;
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++, table += d) {
            if (position->kind == PATCHES_POSITION_LEARNED_2D) {
                memcpy(table, columns + x * half, half * sizeof *table);
                memcpy(table + half, rows + y * half, half * sizeof *table);
            } else {
                for (size_t i = 0; i < d; i++) table[i] = rows[y * d + i] + columns[x * d + i];
            }
        }
}

void patches_position_fill_backward(float *drows, float *dcolumns, const float *dtable,
                                    const patches_position *position)
{
    if (!patches_position_has_axes(position->kind)) return;
    const bool halves = position->kind == PATCHES_POSITION_LEARNED_2D;
    const size_t d = position->width, part = halves ? d / 2 : d;
    for (uint32_t y = 0; y < position->grid_height; y++)
        for (uint32_t x = 0; x < position->grid_width; x++, dtable += d)
            for (size_t i = 0; i < part; i++) {
                dcolumns[x * part + i] += dtable[i];
                drows[y * part + i] += dtable[halves ? part + i : i];
            }
}

/* ---- a table and the tokens ---- */

/* The slot of token n; SIZE_MAX: it has none. */
static size_t find_slot(uint32_t n, const patches_position *position, uint32_t prefix_tokens)
{
    if (!patches_position_has_table(position->kind)) return SIZE_MAX;
    if (n < prefix_tokens) return n < position->prefix ? n : SIZE_MAX;
    return (size_t)position->prefix + (n - prefix_tokens);
}

void patches_position_apply_token(float *token, uint32_t n, const patches_position *position,
                                  uint32_t prefix_tokens)
{
    const size_t slot = find_slot(n, position, prefix_tokens), width = position->width;
    if (slot == SIZE_MAX) return;
    const float *p = position->table + slot * width;
    if (position->op == PATCHES_POSITION_ADD)
        for (size_t d = 0; d < width; d++) token[d] += p[d];
    else
        for (size_t d = 0; d < width; d++) token[d] *= 1 + p[d];
}

void patches_position_apply(float *tokens, size_t token_stride, const patches_position *position,
                            uint32_t prefix_tokens)
{
    const uint32_t count = prefix_tokens + position->grid_height * position->grid_width;
    if (!patches_position_has_table(position->kind)) return;
    for (uint32_t n = 0; n < count; n++)
        patches_position_apply_token(tokens + n * token_stride, n, position, prefix_tokens);
}

void patches_position_backward_token(float *dy, float *dtable, const float *x, uint32_t n,
                                     const patches_position *position, uint32_t prefix_tokens)
{
    const size_t slot = find_slot(n, position, prefix_tokens), width = position->width;
    if (slot == SIZE_MAX) return;
    float *dp = dtable != NULL ? dtable + slot * width : NULL;
    const bool add = position->op == PATCHES_POSITION_ADD;
    if (dp != NULL)
        for (size_t d = 0; d < width; d++) dp[d] += add ? dy[d] : dy[d] * x[d];
    if (add) return;
    const float *p = position->table + slot * width;
    for (size_t d = 0; d < width; d++) dy[d] *= 1 + p[d];
}
