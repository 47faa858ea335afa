/* The backward pass: vit_train_forward.c from its last line to its first. `dx` is the gradient of
 * the loss by the residual stream, wherever in the model we are:
 *
 *     dx (of x_L)   = LN'(pool'(W^T dlogits))
 *     dx (of middle) = dx + LN'(W1^T (f'(z) * (W2^T dx)))
 *     dx (of x)      = dx + LN'(Wqkv^T MSA'(Wproj^T dx))
 *
 * and on the way every matrix gets dW += dy^T x. Every function is run by all threads of one team.
 * Gradients of inputs are each thread's own tokens (vit_share); those of parameters are sums over
 * all tokens, so a barrier stands before them. */
#include <string.h>

#include "vit_model_layout.h"
#include "vit_train_layout.h"
#include "vitc_size.h"

/* dW += dy^T LN(x), db += the sum of dy; norm NULL: no LN. */
static void add_weight_gradient(const vit_trainer *t, const train_linear *linear, const float *dy,
                                size_t lddy, const float *x, size_t ldx, size_t tokens,
                                const train_norm *norm)
{
    vit_op_linear_backward_weight(linear->dweight, linear->dbias, dy, lddy, x, ldx, tokens,
                                  norm != NULL ? &norm->norm : NULL, linear->forward.out,
                                  linear->forward.in, linear->forward.gemm, &t->scratch,
                                  t->kernels.rows);
}

/* dx = dy W */
static void input_gradient(const vit_trainer *t, const train_linear *linear, float *dx, size_t lddx,
                           const float *dy, size_t lddy, size_t tokens)
{
    vit_op_linear_backward_input(dx, lddx, dy, lddy, tokens, &linear->backward, false,
                                 VIT_EPILOGUE_BIAS, NULL, 0, &t->scratch, t->kernels.rows);
}

/* dx (+)= the gradient through a LayerNorm. All of dy is done before; ends in a barrier. */
static void norm_gradient(const vit_trainer *t, const train_norm *norm, float *dx, size_t lddx,
                          const float *dy, size_t lddy, const float *x, size_t ldx, size_t tokens,
                          bool accumulate)
{
    vit_op_layernorm_backward(dx, lddx, dy, lddy, x, ldx, tokens, &norm->norm, norm->dweight,
                              norm->dbias, t->config.width, accumulate, &t->scratch,
                              t->kernels.rows);
}

static void clear_rows(const vit_trainer *t, float *x, uint32_t images)
{
    const size_t tokens = (size_t)images * t->tokens;
#pragma omp for schedule(static)
    for (size_t i = 0; i < tokens; i++) memset(x + i * t->ld.token, 0, t->config.width * sizeof *x);
}

/* dtokens[count][:] += share * dpooled[:], of each feature to the first of its largest. */
static void maximum_gradient(float *dtokens, const float *tokens, size_t ld, size_t count,
                             const float *dpooled, float share, size_t width)
{
    for (size_t j = 0; j < width; j++) {
        size_t best = 0;
        for (size_t i = 1; i < count; i++)
            if (tokens[i * ld + j] > tokens[best * ld + j]) best = i;
        dtokens[best * ld + j] += share * dpooled[j];
    }
}

/* Of the pooled feature: to the token that it is, in equal shares to the patches, to the largest;
 * `tokens` being what was pooled. */
static void pool_gradient(const vit_trainer *t, float *dtokens, const float *tokens,
                          uint32_t images)
{
    const vit_pool pool = t->config.pool;
    const size_t d = t->config.width, n = t->tokens, ld = t->ld.token;
    const size_t prefix = vit_config_prefix_tokens(&t->config);
    const float part = pool == VIT_POOL_AVGMAX ? 0.5f : 1; /* of each of the two */
    const bool token = pool == VIT_POOL_TOKEN, mean = !token && pool != VIT_POOL_MAX;
    const float share = token ? 1 : mean ? part / (float)t->patch_count : 0;
#pragma omp for schedule(static)
    for (uint32_t b = 0; b < images; b++) {
        const float *dpooled = t->dpooled + b * d;
        for (size_t i = 0; i < n; i++) {
            float *row = dtokens + (b * n + i) * ld;
            const float factor = (token ? i == 0 : i >= prefix) ? share : 0;
            for (size_t j = 0; j < d; j++) row[j] = factor * dpooled[j];
        }
        const size_t first = (b * n + prefix) * ld; /* of its patches */
        if (pool == VIT_POOL_MAX || pool == VIT_POOL_AVGMAX)
            maximum_gradient(dtokens + first, tokens + first, ld, n - prefix, dpooled, part, d);
    }
}

/* From dlogits to dx of the last block's output. */
static void classify_backward(vit_trainer *t, uint32_t images)
{
    const vit_config *config = &t->config;
    const size_t d = config->width, k = config->classes, ld = t->ld.token;
    const train_rows rows = vit_train_block_rows(t, config->layers - 1, images);
    const float *tokens = t->blocks[config->layers - 1].out;

    add_weight_gradient(t, &t->head, t->dlogits, k, t->features, d, images, NULL);
    input_gradient(t, &t->head, t->dfeatures, d, t->dlogits, k, images);
#pragma omp barrier
    if (config->norm_pooled)
        norm_gradient(t, &t->norm_pooled, t->dpooled, d, t->dfeatures, d, t->pooled, d, images,
                      false);
    pool_gradient(t, config->norm_final ? t->dnormed : t->dx,
                  config->norm_final ? t->normed : tokens, images);
    if (config->norm_final) {
        clear_rows(t, t->dx, images); /* tokens that are not pooled */
        norm_gradient(t, &t->norm_final, t->dx, rows.step * ld, t->dnormed, rows.step * ld, tokens,
                      rows.step * ld, rows.count, false);
    }
}

/* out = middle + keep(gamma2 * (W2 f(z) + b2)), z = W1 LN(middle) + b1 */
static void mlp_backward(vit_trainer *t, uint32_t layer, uint32_t images)
{
    const train_block *block = &t->blocks[layer];
    const train_strides ld = t->ld;
    const train_rows rows = vit_train_block_rows(t, layer, images);
    const size_t ldt = rows.step * ld.token; /* between tokens that go on */
    const float *dbranch = vit_train_residual_backward(
        t, t->dbranch, t->dx, block->scaled2, &block->scale2, rows, (train_place){layer, 2});

    /* dwide = dz = (dbranch W2) f'(z), and z becomes f(z) */
    vit_op_linear_backward_input(t->dwide, ld.wide, dbranch, ldt, rows.count, &block->fc2.backward,
                                 false, vit_activation_epilogue(t->config.activation), block->z,
                                 ld.hidden, &t->scratch, t->kernels.rows);
#pragma omp barrier
    add_weight_gradient(t, &block->fc2, dbranch, ldt, block->z, ld.hidden, rows.count, NULL);
    add_weight_gradient(t, &block->fc1, t->dwide, ld.wide, block->middle, ldt, rows.count,
                        &block->norm2);
    input_gradient(t, &block->fc1, t->dnormed, ldt, t->dwide, ld.wide, rows.count);
#pragma omp barrier
    norm_gradient(t, &block->norm2, t->dx, ldt, t->dnormed, ldt, block->middle, ldt, rows.count,
                  true);
}

/* Through one norm of queries or keys, whose gradient's H groups of Dh begin at dy; ends in a
 * barrier. */
static void head_norm_gradient(const vit_trainer *t, const train_norm *norm, float *dy,
                               const float *x, size_t tokens)
{
    const size_t d = t->config.width, width = d / t->config.heads;
    const train_strides ld = t->ld;
    for (size_t i = 0; i < d; i += width)
        vit_op_layernorm_backward(t->dnormed + i, ld.token, dy + i, ld.wide, x + i, ld.qk, tokens,
                                  &norm->norm, norm->dweight, norm->dbias, width, false,
                                  &t->scratch, t->kernels.rows);
#pragma omp for schedule(static)
    for (size_t r = 0; r < tokens; r++)
        memcpy(dy + r * ld.wide, t->dnormed + r * ld.token, d * sizeof *dy);
}

/* What was done to queries and keys before they met, on their gradients in dwide. All of them are
 * done before; ends in a barrier. */
static void place_queries_backward(vit_trainer *t, const train_block *block, uint32_t images)
{
    const size_t d = t->config.width, tokens = images * (size_t)t->tokens;
    const vit_qk_norm no_norm = {0};
    if (t->rope.cosines != NULL) {
        vit_op_rope(t->dwide, t->ld.wide, images, t->tokens, t->config.heads, d / t->config.heads,
                    &no_norm, &t->rope, true, t->kernels.rows);
#pragma omp barrier
    }
    if (block->qk != NULL) {
        head_norm_gradient(t, &block->q_norm, t->dwide, block->qk, tokens);
        head_norm_gradient(t, &block->k_norm, t->dwide + d, block->qk + d, tokens);
    }
}

/* middle = x + keep(gamma1 * (Wproj MSA(LN(x)) + b)) */
static void attention_backward(vit_trainer *t, uint32_t layer, uint32_t images)
{
    const vit_config *config = &t->config;
    const train_block *block = &t->blocks[layer];
    const train_strides ld = t->ld;
    const train_rows rows = vit_train_block_rows(t, layer, images);
    const size_t d = config->width, n = t->tokens, all = images * n;
    const size_t ldt = rows.step * ld.token;
    const float *dbranch = vit_train_residual_backward(
        t, t->dbranch, t->dx, block->scaled1, &block->scale1, rows, (train_place){layer, 1});
    const bool wants_bias = block->relative != NULL && block->relative->dtable != NULL;
    float *dattended = t->dnormed;

    input_gradient(t, &block->proj, dattended, ldt, dbranch, ldt, rows.count);
#pragma omp barrier
    add_weight_gradient(t, &block->proj, dbranch, ldt, block->attended, ldt, rows.count, NULL);
    vit_op_attention_backward(t->dwide, ld.wide, dattended, ld.token, block->qkv_rows, ld.qkv,
                              images, n, rows.count / images, config->heads, d / config->heads,
                              vit_train_bias(block), wants_bias ? t->dbiases : NULL,
                              t->attention_gemm, &t->scratch, t->kernels.rows);
#pragma omp barrier
    vit_train_relative_backward(t, layer, images);
    place_queries_backward(t, block, images);
    add_weight_gradient(t, &block->qkv, t->dwide, ld.wide, block->x, ld.token, all, &block->norm1);
    input_gradient(t, &block->qkv, t->dnormed, ld.token, t->dwide, ld.wide, all);
#pragma omp barrier
    norm_gradient(t, &block->norm1, t->dx, ld.token, t->dnormed, ld.token, block->x, ld.token, all,
                  true);
}

/* dto[0 ... D) += the sum over images of token number `token`, by one thread. */
static void add_token_gradient(const vit_trainer *t, float *dto, const float *dx, size_t token,
                               uint32_t images)
{
    const size_t d = t->config.width, image = t->tokens * t->ld.token;
    for (uint32_t b = 0; b < images; b++)
        for (size_t i = 0; i < d; i++) dto[i] += dx[b * image + token * t->ld.token + i];
}

/* Of the tokens before the patches. */
static void prefix_gradient(vit_trainer *t, const float *dx, uint32_t images)
{
    const vit_config *config = &t->config;
    const struct {
        float *gradient;
        size_t count;
    } parts[] = {{t->dclass_token, config->class_token},
                 {t->ddistillation_token, config->distillation_token},
                 {t->dregister_tokens, config->registers}};
    size_t token = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; token += parts[i++].count) {
#pragma omp for schedule(static) nowait
        for (size_t j = 0; j < parts[i].count; j++)
            add_token_gradient(t, parts[i].gradient + j * config->width, dx, token + j, images);
    }
}

/* x0 = keep([class; p1 E; p2 E; ...] + E_pos); the pixels need no gradient. */
static void embed_backward(vit_trainer *t, const float *patches, uint32_t images)
{
    const vit_config *config = &t->config;
    const size_t d = config->width, n = t->tokens, ld = t->ld.token;
    const size_t count = t->patch_count, prefix = n - count;
    float *dx = t->dx;
    if (config->norm_pre) {
        norm_gradient(t, &t->norm_pre, t->dnormed, ld, t->dx, ld, t->embedded, ld, images * n,
                      false);
        dx = t->dnormed;
    }
    vit_train_drop(t, dx, (train_rows){images * n, 1}, (train_place){0});
#pragma omp barrier
    vit_train_positions_backward(t, 0, dx, images);
    prefix_gradient(t, dx, images);
#pragma omp for schedule(static)
    for (size_t i = 0; i < images * count; i++)
        memcpy(t->normed + i * ld, dx + (i / count * n + prefix + i % count) * ld, d * sizeof *dx);
    add_weight_gradient(t, &t->patch_embedding, t->normed, ld, vit_train_patch_rows(t, patches),
                        t->patch_embedding.forward.in, images * count, NULL);
#pragma omp barrier
}

/* Tells the caller that these gradients are complete: after a barrier that follows their last sum,
 * while the team goes on to others. */
static void report(const vit_trainer *t, bool last, size_t from, size_t to)
{
#pragma omp master
    if (last && t->options.ready != NULL) t->options.ready(t->options.ready_user, from, to - from);
}

void vit_backward(vit_trainer *t, const float *patches, uint32_t images, bool last)
{
    const uint32_t layers = t->config.layers, frozen = t->options.frozen;
    /* positions of the first block's own are complete with the embedding */
    const bool joined =
        t->blocks[0].position != NULL && t->config.position_at == PATCHES_POSITION_EVERY;
    size_t to = t->table.elements;
    classify_backward(t, images);
    report(t, last, t->blocks_end, to);
    to = t->blocks_end;
    for (uint32_t i = layers; i-- > frozen;) {
        /* the last block's activations are still those of the forward pass */
        if (t->options.recompute && i + 1 < layers) vit_train_block(t, i, images);
        mlp_backward(t, i, images);
        attention_backward(t, i, images);
        if (i > 0) vit_train_positions_backward(t, i, t->dx, images);
        if (i == 0 && joined) continue;
        report(t, last, t->blocks[i].from, to);
        to = t->blocks[i].from;
    }
    if (frozen > 0) return;
    embed_backward(t, patches, images);
    report(t, last, 0, to);
}
