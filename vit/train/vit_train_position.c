/* Positions of a trainer: tables made of parameters and combined with the tokens, at the embedding
 * or at the beginning of each block; and what works on queries and keys. patches/ has the formulas;
 * what is here deals them out among the threads. A table's gradient is a sum over images, each slot
 * by one thread. */
#include <math.h>
#include <string.h>

#include "vit_train_layout.h"

/* Scores are added to before the softmax divides them. */
static float bias_factor(const vit_trainer *t)
{
    return sqrtf((float)(t->config.width / t->config.heads));
}

void vit_train_fill_positions(vit_trainer *t)
{
#pragma omp for schedule(static) nowait
    for (uint32_t i = 0; i < t->config.layers; i++) {
        const train_position *own = &t->blocks[i].own;
        const train_relative *relative = &t->blocks[i].own_relative;
        if (own->rows != NULL)
            patches_position_fill(own->filled, &own->table, own->rows, own->columns);
        if (relative->table != NULL)
            patches_relative_arrange(relative->biases, relative->table, bias_factor(t),
                                     &relative->bias.shape);
    }
}

void vit_train_apply_positions(const vit_trainer *t, uint32_t layer, float *x, const float *bare,
                               uint32_t images)
{
    const train_position *position = t->blocks[layer].position;
    if (position == NULL) return;
    const size_t count = (size_t)images * t->tokens, ld = t->ld.token;
    const uint32_t prefix = vit_config_prefix_tokens(&t->config);
    const train_own_rows own = vit_train_own_rows(count);
    for (size_t r = own.from; r < own.to; r += own.step) {
        float *row = x + r * ld;
        if (bare != NULL) memcpy(row, bare + r * ld, t->config.width * sizeof *row);
        patches_position_apply_token(
            row, vit_train_token_number(t, (uint32_t)(r / t->tokens), r % t->tokens),
            &position->table, prefix);
    }
    vit_train_settle(count);
}

/* Of the table's slots to the rows and columns that it is made of, once nothing more is added: when
 * the first block that it is combined with is done. */
static void fill_backward(const vit_trainer *t, uint32_t layer, const train_position *position)
{
    if (position->filled == NULL || position->dtable == NULL) return;
    if (layer > 0 && t->config.position_at != PATCHES_POSITION_EVERY) return;
    const size_t size =
        (size_t)vit_config_patches(&t->config) * t->config.width * sizeof *position->dtable;
#pragma omp single
    {
        patches_position_fill_backward(position->drows, position->dcolumns, position->dtable,
                                       &position->table);
        memset(position->dtable, 0, size);
    }
}

void vit_train_positions_backward(vit_trainer *t, uint32_t layer, float *dx, uint32_t images)
{
    const train_position *position = t->blocks[layer].position;
    if (position == NULL) return;
    const bool multiplied = position->table.op == PATCHES_POSITION_MUL;
    if (!multiplied && position->dtable == NULL) return;
    const uint32_t prefix = vit_config_prefix_tokens(&t->config);
    const float *bare = t->blocks[layer].bare;
#pragma omp for schedule(static)
    for (uint32_t n = 0; n < vit_config_tokens(&t->config); n++)
        for (uint32_t b = 0; b < images; b++) {
            const size_t i = vit_train_find_token(t, b, n);
            if (i == SIZE_MAX) continue;
            const size_t at = ((size_t)b * t->tokens + i) * t->ld.token;
            patches_position_backward_token(dx + at, position->dtable,
                                            multiplied ? bare + at : NULL, n, &position->table,
                                            prefix);
        }
    fill_backward(t, layer, position);
}

/* ---- queries and keys ---- */

/* A bias per head and offset: `table` [rows][H], arranged for the attention. */
void vit_train_relative_backward(vit_trainer *t, uint32_t layer, uint32_t images)
{
    const train_relative *relative = t->blocks[layer].relative;
    if (relative == NULL || relative->dtable == NULL) return;
    const size_t heads = t->config.heads, rows = patches_relative_rows(&relative->bias.shape);
#pragma omp for schedule(static)
    for (size_t h = 0; h < heads; h++)
        for (size_t b = 1; b < images; b++)
            for (size_t i = 0; i < rows; i++)
                t->dbiases[h * rows + i] += t->dbiases[(b * heads + h) * rows + i];
#pragma omp single
    patches_relative_arrange_backward(relative->dtable, t->dbiases, bias_factor(t),
                                      &relative->bias.shape);
}
