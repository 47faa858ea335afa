/* vit_position_support.h - a small model with every kind of position embedding, combined in every
 * way and at every place. Included after cmocka.h. */
#ifndef VIT_POSITION_SUPPORT_H
#define VIT_POSITION_SUPPORT_H

#include "vit.h"

enum { CONFIGS_MAX = 64 };

/* A grid of 5 x 8 patches. */
static inline vit_config make_small_config(void)
{
    vit_config config;
    assert_int_equal(vit_config_named(&config, "testing", NULL), VITC_OK);
    config.patch = 4;
    config.image_height = 20;
    config.image_width = 32;
    config.layers = 3;
    config.position_covers_prefix = false;
    return config;
}

/* Every kind, operation and place that a configuration can have. */
static inline size_t make_position_configs(vit_config *configs)
{
    size_t count = 0;
    for (int kind = 0; kind < PATCHES_POSITION_KIND_COUNT; kind++)
        for (int op = 0; op < PATCHES_POSITION_OP_COUNT; op++)
            for (int at = 0; at < PATCHES_POSITION_AT_COUNT; at++) {
                vit_config *config = &configs[count];
                *config = make_small_config();
                config->position = (patches_position_kind)kind;
                config->position_op = (patches_position_op)op;
                config->position_at = (patches_position_at)at;
                config->position_covers_prefix = kind == PATCHES_POSITION_LEARNED_1D;
                if (vit_config_check(config, NULL) == VITC_OK) count++;
            }
    assert_int_equal(count, 4 * 2 * 3 + 3 + 2 + 2); /* tables; none; relative; rope */
    return count;
}

#endif
