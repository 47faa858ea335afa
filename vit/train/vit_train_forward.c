/* The forward pass of training: the equations of model/vit_forward.c, keeping what the backward
 * pass will ask for.
 *
 *     x0     = [class; p1 E; p2 E; ...] + E_pos           (positions by their kind)
 *     middle = x + MSA(LN(x))
 *     out    = middle + W2 f(z) + b2,   z = W1 LN(middle) + b1
 *     logits = W LN(x_L)[class] + b
 *
 * Every function is run by all threads of one team; barriers stand where a thread needs what others
 * have written. */
#include <string.h>

#include "vit_model_layout.h"
#include "vit_train_layout.h"

train_rows vit_train_block_rows(const vit_trainer *t, uint32_t layer, uint32_t images)
{
    const size_t n = t->tokens;
    const bool pooled = t->config.pool == VIT_POOL_TOKEN && layer + 1 == t->config.layers;
    return pooled ? (train_rows){images, n} : (train_rows){images * n, 1};
}

/* The patches' rows of all images stand together in `normed` for one product, then each goes to its
 * token. */
static void embed(vit_trainer *t, const float *patches, uint32_t images)
{
    const vit_config *config = &t->config;
    const size_t d = config->width, n = t->tokens, ld = t->ld.token, count = t->patch_count;
    float *tokens = config->norm_pre ? t->embedded : t->blocks[0].x, *rows = t->normed;
    float *bare = t->blocks[0].bare, *made = bare != NULL ? bare : tokens;

    patches = vit_train_gather_patches(t, patches, images);
    vit_op_linear(rows, ld, patches, t->patch_embedding.forward.in, images * count, NULL,
                  &t->patch_embedding.forward, VIT_EPILOGUE_BIAS, false, &t->scratch,
                  t->kernels.rows);
#pragma omp barrier
#pragma omp for schedule(static)
    for (uint32_t b = 0; b < images; b++) {
        float *token = made + b * n * ld;
        const struct {
            const float *values;
            size_t count;
        } parts[] = {{t->class_token, config->class_token},
                     {t->distillation_token, config->distillation_token},
                     {t->register_tokens, config->registers}};
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
            for (size_t j = 0; j < parts[i].count; j++, token += ld)
                memcpy(token, parts[i].values + j * d, d * sizeof *token);
        for (size_t i = 0; i < count; i++, token += ld)
            memcpy(token, rows + (b * count + i) * ld, d * sizeof *token);
    }
    vit_train_apply_positions(t, 0, tokens, bare, images);
    vit_train_drop(t, tokens, (train_rows){images * n, 1}, (train_place){0});
#pragma omp barrier
    if (config->norm_pre)
        vit_op_layernorm(t->blocks[0].x, ld, tokens, ld, images * n, &t->norm_pre.norm, d,
                         t->kernels.rows);
}

/* What is done to queries and keys before they meet, in place: norms, whose input is kept, and
 * rotary positions. Own tokens. */
static void place_queries(vit_trainer *t, const train_block *block, uint32_t images)
{
    const vit_config *config = &t->config;
    const size_t d = config->width, count = images * (size_t)t->tokens;
    const vit_qk_norm norm = {block->q_norm.norm, block->k_norm.norm};
    if (block->qk != NULL) {
        const train_own_rows own = vit_train_own_rows(count);
        for (size_t r = own.from; r < own.to; r += own.step)
            memcpy(block->qk + r * t->ld.qk, block->qkv_rows + r * t->ld.qkv,
                   2 * d * sizeof *block->qk);
    }
    if (block->qk != NULL || t->rope.cosines != NULL)
        vit_op_rope(block->qkv_rows, t->ld.qkv, images, t->tokens, config->heads, d / config->heads,
                    &norm, &t->rope, false, t->kernels.rows);
}

void vit_train_block(vit_trainer *t, uint32_t layer, uint32_t images)
{
    const vit_config *config = &t->config;
    const train_block *block = &t->blocks[layer];
    const vit_rows_f32 *kernels = t->kernels.rows;
    const vit_scratch *scratch = &t->scratch;
    const size_t d = config->width, n = t->tokens, all = images * n;
    const train_strides ld = t->ld;
    const train_rows rows = vit_train_block_rows(t, layer, images);
    const size_t ldt = rows.step * ld.token; /* between the tokens that go on */
    const vit_qk_norm no_norm = {0};

    vit_op_linear(block->qkv_rows, ld.qkv, block->x, ld.token, all, &block->norm1.norm,
                  &block->qkv.forward, VIT_EPILOGUE_BIAS, false, scratch, kernels);
    place_queries(t, block, images);
#pragma omp barrier /* every query meets all keys and values */
    vit_op_attention(block->attended, ld.token, block->qkv_rows, ld.qkv, images, n,
                     rows.count / images, config->heads, d / config->heads, &no_norm,
                     vit_train_bias(block), t->attention_gemm, scratch, kernels);
    if (rows.count != all) {
#pragma omp barrier /* the tokens are dealt out anew */
    }

    float *branch = block->scaled1 != NULL ? block->scaled1 : block->middle;
    vit_op_linear(branch, ldt, block->attended, ldt, rows.count, NULL, &block->proj.forward,
                  VIT_EPILOGUE_BIAS, false, scratch, kernels);
    vit_train_residual(t, block->middle, block->x, branch, &block->scale1, rows,
                       (train_place){layer, 1});
    vit_train_settle(rows.count);

    vit_op_linear_activated(block->z, ld.hidden, t->hidden, ld.hidden, block->middle, ldt,
                            rows.count, &block->norm2.norm, &block->fc1.forward,
                            vit_activation_epilogue(config->activation), scratch, kernels);
    branch = block->scaled2 != NULL ? block->scaled2 : block->out;
    vit_op_linear(branch, ldt, t->hidden, ld.hidden, rows.count, NULL, &block->fc2.forward,
                  VIT_EPILOGUE_BIAS, false, scratch, kernels);
    vit_train_residual(t, block->out, block->middle, branch, &block->scale2, rows,
                       (train_place){layer, 2});
#pragma omp barrier
}

/* The pooled tokens' last LayerNorm, the pooling, and the head. */
static void classify(vit_trainer *t, uint32_t images)
{
    const vit_config *config = &t->config;
    const vit_rows_f32 *kernels = t->kernels.rows;
    const size_t d = config->width, n = t->tokens, ld = t->ld.token;
    const size_t prefix = vit_config_prefix_tokens(config);
    const train_rows rows = vit_train_block_rows(t, config->layers - 1, images);
    const float *tokens = t->blocks[config->layers - 1].out;

    if (config->norm_final) {
        vit_op_layernorm(t->normed, rows.step * ld, tokens, rows.step * ld, rows.count,
                         &t->norm_final.norm, d, kernels);
        tokens = t->normed;
    }
#pragma omp for schedule(static)
    for (uint32_t b = 0; b < images; b++) {
        const float *image = tokens + b * n * ld;
        if (config->pool == VIT_POOL_TOKEN)
            memcpy(t->pooled + b * d, image, d * sizeof(float));
        else
            vit_pool_tokens(t->pooled + b * d, image + prefix * ld, ld, n - prefix, d,
                            config->pool != VIT_POOL_MAX, config->pool != VIT_POOL_AVG);
    }
    if (config->norm_pooled)
        vit_op_layernorm(t->features, d, t->pooled, d, images, &t->norm_pooled.norm, d, kernels);
    vit_op_linear(t->logits, config->classes, t->features, d, images, NULL, &t->head.forward,
                  VIT_EPILOGUE_BIAS, false, &t->scratch, kernels);
#pragma omp barrier
}

void vit_train_forward(vit_trainer *t, const float *patches, uint32_t images)
{
    embed(t, patches, images);
    for (uint32_t i = 0; i < t->config.layers; i++) {
        if (i > 0) vit_train_apply_positions(t, i, t->blocks[i].x, t->blocks[i].bare, images);
        vit_train_block(t, i, images);
    }
    classify(t, images);
}
