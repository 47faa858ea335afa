#include "app_position.h"

#include <stdio.h>

/* In the order of patches_position_filter. */
static const char *const filter_words[PATCHES_POSITION_FILTER_COUNT] = {
    [PATCHES_POSITION_FILTER_DEFAULT] = "bicubic-aa",
    [PATCHES_POSITION_BICUBIC_ANTIALIAS] = "bicubic-aa",
    [PATCHES_POSITION_BICUBIC] = "bicubic",
    [PATCHES_POSITION_BILINEAR_ANTIALIAS] = "bilinear-aa",
    [PATCHES_POSITION_BILINEAR] = "bilinear",
    [PATCHES_POSITION_BILINEAR_CORNERS] = "bilinear-corners"};

const char *app_position_filter_string(patches_position_filter filter)
{
    return filter_words[filter];
}

bool app_position_is_fixed(patches_position_kind kind)
{
    return kind == PATCHES_POSITION_SINCOS_2D || kind == PATCHES_POSITION_ROPE_2D;
}

/* What is done with them, and where: "added at the stem". */
static void describe_use(char text[APP_POSITION_TEXT], const vit_config *c)
{
    const bool table = patches_position_has_table(c->position);
    const bool multiplies = c->position_op == PATCHES_POSITION_MUL;
    const bool learned = !app_position_is_fixed(c->position);
    const char *place = "at the stem";
    if (c->position_at == PATCHES_POSITION_EVERY)
        place = learned ? "in every block, each its own" : "in every block";
    if (c->position_at == PATCHES_POSITION_EVERY_SHARED)
        place = learned ? "in every block, all the same" : "in every block";
    snprintf(text, APP_POSITION_TEXT, "%s%s",
             !table       ? ""
             : multiplies ? "multiplied "
                          : "added ",
             place);
}

void app_position_describe(char text[APP_POSITION_TEXT], const vit_config *c)
{
    char use[APP_POSITION_TEXT], slots[32] = "";
    const uint32_t prefix = c->position_covers_prefix ? vit_config_prefix_tokens(c) : 0;
    if (c->position == PATCHES_POSITION_NONE) {
        snprintf(text, APP_POSITION_TEXT, "none");
        return;
    }
    describe_use(use, c);
    if (c->position == PATCHES_POSITION_LEARNED_1D) /* others have none for tokens before patches */
        snprintf(slots, sizeof slots, ", %u prefix slot%s", prefix, prefix == 1 ? "" : "s");
    snprintf(text, APP_POSITION_TEXT, "%s, %ux%u grid%s, %.60s",
             patches_position_string(c->position), c->image_height / c->patch,
             c->image_width / c->patch, slots, use);
}

void app_position_describe_resized(char text[APP_POSITION_TEXT], const vit_config *c,
                                   uint32_t stored_height, uint32_t stored_width)
{
    const uint32_t height = c->image_height / c->patch, width = c->image_width / c->patch;
    text[0] = 0;
    if (c->position == PATCHES_POSITION_NONE || stored_height == 0 ||
        (stored_height == c->image_height && stored_width == c->image_width))
        return;
    if (app_position_is_fixed(c->position))
        snprintf(text, APP_POSITION_TEXT, "made anew for %ux%u", height, width);
    else
        snprintf(text, APP_POSITION_TEXT, "resampled %ux%u to %ux%u, %s", stored_height / c->patch,
                 stored_width / c->patch, height, width,
                 app_position_filter_string(c->position_filter));
}
