/* What a loaded model says of its positions: the numbers of its parameters, whatever their kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vit_weights.h"

enum { LAYERS = 3 };

static const vitc_log silent = {0};

static vit_config make_config(patches_position_kind kind, patches_position_at at)
{
    vit_config config;
    assert_int_equal(vit_config_named(&config, "testing", &silent), VITC_OK);
    config.patch = 8;
    config.image_height = 16;
    config.image_width = 24;
    config.width = 16;
    config.heads = 2;
    config.layers = LAYERS;
    config.position = kind;
    config.position_at = at;
    config.position_covers_prefix =
        kind == PATCHES_POSITION_LEARNED_1D && at == PATCHES_POSITION_STEM;
    return config;
}

static vit_model *make_model(vit_weights *weights, const vit_config *config)
{
    vit_model *model;
    assert_int_equal(vit_weights_create(weights, config, &silent), VITC_OK);
    for (size_t i = 0; i < weights->table.elements; i++)
        weights->parameters[i] = (float)((i * 37) % 101) / 128 - 0.25f;
    weights->description.preprocess = (patches_spec){.resize = PATCHES_RESIZE_EXACT,
                                                     .resize_height = config->image_height,
                                                     .resize_width = config->image_width,
                                                     .filter = IMGIO_BICUBIC,
                                                     .rescale = 1 / 255.0};
    assert_int_equal(vit_weights_model(&model, weights, VIT_PRECISION_F32, &silent), VITC_OK);
    return model;
}

/* The parameter that all blocks share, or the block's own. */
static const float *parameter(const vit_weights *weights, vit_param_id shared, vit_param_id own,
                              uint32_t layer)
{
    size_t found = vit_params_find(&weights->table, shared, 0);
    if (found == SIZE_MAX) found = vit_params_find(&weights->table, own, layer);
    return found != SIZE_MAX ? weights->parameters + weights->table.params[found].offset : NULL;
}

static void check_table(const patches_position *position, const vit_weights *weights,
                        uint32_t layer)
{
    const size_t count = (position->prefix + 6) * (size_t)16;
    float *expected = calloc(count, sizeof *expected);
    assert_non_null(expected);
    if (position->kind == PATCHES_POSITION_LEARNED_1D)
        memcpy(expected, parameter(weights, VIT_POS_EMBED, VIT_BLOCK_POS_EMBED, layer),
               count * sizeof *expected);
    else
        patches_position_fill(expected, position,
                              parameter(weights, VIT_POS_ROWS, VIT_BLOCK_POS_ROWS, layer),
                              parameter(weights, VIT_POS_COLUMNS, VIT_BLOCK_POS_COLUMNS, layer));
    assert_int_equal(position->grid_height, 2);
    assert_int_equal(position->grid_width, 3);
    assert_int_equal(position->width, 16);
    assert_memory_equal(position->table, expected, count * sizeof *expected);
    free(expected);
}

static void tables(void **state)
{
    (void)state;
    size_t seen = 0;
    for (int k = 0; k < PATCHES_POSITION_KIND_COUNT; k++)
        for (int a = 0; a < PATCHES_POSITION_AT_COUNT; a++) {
            const vit_config config = make_config((patches_position_kind)k, (patches_position_at)a);
            if (vit_config_check(&config, &silent) != VITC_OK) continue;
            vit_weights weights;
            vit_model *model = make_model(&weights, &config);
            patches_position position;
            const bool has = patches_position_has_table(config.position);
            for (uint32_t layer = 0; layer <= LAYERS; layer++) {
                const bool here = has && layer < LAYERS &&
                                  (layer == 0 || config.position_at != PATCHES_POSITION_STEM);
                assert_int_equal(vit_model_position(&position, model, layer), here);
                if (here) check_table(&position, &weights, layer);
                seen += here;
            }
            vit_model_free(model);
            vit_weights_free(&weights);
        }
    assert_true(seen >= 4 * (1 + LAYERS + LAYERS)); /* four kinds with a table, in three places */
}

static void relative_tables(void **state)
{
    (void)state;
    for (int a = PATCHES_POSITION_EVERY; a <= PATCHES_POSITION_EVERY_SHARED; a++) {
        const vit_config config = make_config(PATCHES_POSITION_RELATIVE, (patches_position_at)a);
        vit_weights weights;
        vit_model *model = make_model(&weights, &config);
        patches_relative relative;
        for (uint32_t layer = 0; layer < LAYERS; layer++) {
            const float *table = vit_model_relative(&relative, model, layer);
            assert_non_null(table);
            assert_int_equal(relative.heads, 2);
            assert_int_equal(relative.grid_height, 2);
            assert_int_equal(relative.grid_width, 3);
            assert_memory_equal(
                table, parameter(&weights, VIT_RELATIVE_TABLE, VIT_BLOCK_RELATIVE_TABLE, layer),
                patches_relative_rows(&relative) * 2 * sizeof *table);
        }
        assert_null(vit_model_relative(&relative, model, LAYERS));
        vit_model_free(model);
        vit_weights_free(&weights);
    }
    const vit_config config = make_config(PATCHES_POSITION_LEARNED_1D, PATCHES_POSITION_STEM);
    vit_weights weights;
    vit_model *model = make_model(&weights, &config);
    patches_relative relative;
    assert_null(vit_model_relative(&relative, model, 0));
    vit_model_free(model);
    vit_weights_free(&weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tables), cmocka_unit_test(relative_tables)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
