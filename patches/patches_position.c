#include "patches.h"

const char *patches_position_string(patches_position_kind kind)
{
    switch (kind) {
    case PATCHES_POSITION_NONE:
        return "none";
    case PATCHES_POSITION_LEARNED_1D:
        return "learned 1-D";
    }
    return NULL;
}

static void add_rows(float *tokens, size_t token_stride, const float *rows, size_t count,
                     size_t width)
{
    for (size_t n = 0; n < count; n++, tokens += token_stride, rows += width)
        for (size_t d = 0; d < width; d++) tokens[d] += rows[d];
}

void patches_position_add(float *tokens, size_t token_stride, const patches_position *position,
                          uint32_t prefix_tokens)
{
    if (position->kind == PATCHES_POSITION_NONE) return;
    const size_t width = position->width;
    const size_t patches = (size_t)position->grid_height * position->grid_width;
    const size_t covered =
        position->prefix < prefix_tokens ? position->prefix : (size_t)prefix_tokens;
    add_rows(tokens, token_stride, position->table, covered, width);
    add_rows(tokens + prefix_tokens * token_stride, token_stride,
             position->table + position->prefix * width, patches, width);
}
