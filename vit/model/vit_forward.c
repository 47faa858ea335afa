/* The Vision Transformer, in the order of "An Image is Worth 16x16 Words" (arXiv 2010.11929):
 *
 *     z0 = [class; x1 E; x2 E; ...] + E_pos                                  (equation 1)
 *     z' = MSA(LN(z)) + z                                                    (equation 2)
 *     z  = MLP(LN(z')) + z'                                                  (equation 3)
 *     y  = LN(z_L)[class], logits = y W + b                                  (equation 4)
 *
 * Every function here is run by all threads of one team; the vit_op_* calls share their work among
 * them and end in a barrier. */
#include <string.h>

#include "vit_workspace.h"
#include "vitc_log.h"

/* Equation 1. Registers and the distillation token stand between the class token and the patches.
 */
static void embed(const vit_model *model, vit_workspace *ws, uint32_t batch)
{
    const vit_config *config = &model->config;
    const size_t d = config->width, n = vit_config_tokens(config);
    const size_t patches = vit_config_patches(config), patch_size = model->patch_embedding.in;
    const uint32_t prefix = vit_config_prefix_tokens(config);

    for (uint32_t b = 0; b < batch; b++)
        vit_op_linear(ws->tokens + (b * n + prefix) * d, d, ws->patches + b * patches * patch_size,
                      patch_size, patches, &model->patch_embedding, VIT_EPILOGUE_BIAS, false,
                      ws->packed, &model->kernels);

#pragma omp for schedule(static)
    for (uint32_t b = 0; b < batch; b++) {
        float *token = ws->tokens + b * n * d;
        const struct {
            const float *values;
            size_t count;
        } parts[] = {{model->class_token, config->class_token},
                     {model->distillation_token, config->distillation_token},
                     {model->register_tokens, config->registers}};
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
            if (parts[i].count == 0) continue;
            memcpy(token, parts[i].values, parts[i].count * d * sizeof(float));
            token += parts[i].count * d;
        }
        patches_position_add(ws->tokens + b * n * d, d, &model->position, prefix);
    }
    if (config->norm_pre)
        vit_op_layernorm(ws->tokens, d, ws->tokens, d, batch * n, model->norm_pre.weight,
                         model->norm_pre.bias, d, config->norm_eps, &model->kernels);
}

static vit_epilogue activation_epilogue(vit_activation activation)
{
    switch (activation) {
    case VIT_GELU_ERF:
        return VIT_EPILOGUE_GELU_ERF;
    case VIT_GELU_TANH:
        return VIT_EPILOGUE_GELU_TANH;
    case VIT_GELU_QUICK:
        return VIT_EPILOGUE_GELU_QUICK;
    case VIT_RELU:
        return VIT_EPILOGUE_RELU;
    case VIT_SILU:
        return VIT_EPILOGUE_SILU;
    case VIT_ACTIVATION_COUNT:
        break;
    }
    return VIT_EPILOGUE_BIAS;
}

/* Equations 2 and 3. */
static void encoder_block(const vit_model *model, const vit_block *block, vit_workspace *ws,
                          uint32_t batch)
{
    const vit_config *config = &model->config;
    const vit_kernels *kernels = &model->kernels;
    const size_t d = config->width, m = config->mlp, n = vit_config_tokens(config), t = batch * n;
    const vit_epilogue activation = activation_epilogue(config->activation);
    const float eps = config->norm_eps;
    float *x = ws->tokens, *normed = ws->normed, *attended = ws->normed;
    float *qkv = ws->wide, *hidden = ws->wide;

    vit_op_layernorm(normed, d, x, d, t, block->norm1.weight, block->norm1.bias, d, eps, kernels);
    vit_op_linear(qkv, 3 * d, normed, d, t, &block->qkv, VIT_EPILOGUE_BIAS, false, ws->packed,
                  kernels);
    vit_op_attention(attended, qkv, batch, n, config->heads, d / config->heads, &block->qk_norm,
                     ws->attention, kernels);
    vit_op_linear(x, d, attended, d, t, &block->proj, VIT_EPILOGUE_BIAS, true, ws->packed, kernels);

    vit_op_layernorm(normed, d, x, d, t, block->norm2.weight, block->norm2.bias, d, eps, kernels);
    vit_op_linear(hidden, m, normed, d, t, &block->fc1, activation, false, ws->packed, kernels);
    vit_op_linear(x, d, hidden, m, t, &block->fc2, VIT_EPILOGUE_BIAS, true, ws->packed, kernels);
}

/* Equation 4, with the other ways to pool. A distilled model (arXiv 2012.12877, section 4) has a
 * second head on its distillation token and averages the two. */
static void classify(const vit_model *model, vit_workspace *ws, float *logits, uint32_t batch)
{
    const vit_config *config = &model->config;
    const vit_kernels *kernels = &model->kernels;
    const size_t d = config->width, n = vit_config_tokens(config), k = config->classes;
    const size_t prefix = vit_config_prefix_tokens(config);
    float *pooled = ws->pooled, *distilled = ws->pooled + batch * d;

    if (config->norm_final)
        vit_op_layernorm(ws->tokens, d, ws->tokens, d, batch * n, model->norm_final.weight,
                         model->norm_final.bias, d, config->norm_eps, kernels);
#pragma omp for schedule(static)
    for (uint32_t b = 0; b < batch; b++) {
        const float *tokens = ws->tokens + b * n * d;
        if (config->pool == VIT_POOL_TOKEN)
            memcpy(pooled + b * d, tokens, d * sizeof(float));
        else
            vit_pool_tokens(pooled + b * d, tokens + prefix * d, n - prefix, d,
                            config->pool != VIT_POOL_MAX, config->pool != VIT_POOL_AVG);
        if (config->distilled_head) memcpy(distilled + b * d, tokens + d, d * sizeof(float));
    }
    if (config->norm_pooled)
        vit_op_layernorm(pooled, d, pooled, d, batch, model->norm_pooled.weight,
                         model->norm_pooled.bias, d, config->norm_eps, kernels);
    vit_op_linear(logits, k, pooled, d, batch, &model->head, VIT_EPILOGUE_BIAS, false, ws->packed,
                  kernels);
    if (!config->distilled_head) return;
    vit_op_linear(ws->logits, k, distilled, d, batch, &model->distillation_head, VIT_EPILOGUE_BIAS,
                  false, ws->packed, kernels);
#pragma omp for schedule(static)
    for (size_t i = 0; i < batch * k; i++) logits[i] = (logits[i] + ws->logits[i]) / 2;
}

/* One pass, by every thread of the team, or by a single thread without one. */
static void run(const vit_model *model, vit_workspace *ws, float *logits, uint32_t batch)
{
    embed(model, ws, batch);
    for (uint32_t i = 0; i < model->config.layers; i++)
        encoder_block(model, &model->blocks[i], ws, batch);
    classify(model, ws, logits, batch);
}

vitc_status vit_forward(const vit_model *model, vit_workspace *workspace, float *logits,
                        uint32_t batch, const vitc_log *log)
{
    if (workspace->model != model || batch > workspace->batch)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "vit_forward: %u images in a workspace for %u, or of another model", batch,
                         workspace->batch);
    if (batch == 0) return VITC_OK;
    if (workspace->threads == 1) { /* no team: also where the OpenMP runtime could not make one */
        run(model, workspace, logits, batch);
        return VITC_OK;
    }
#pragma omp parallel num_threads(workspace->threads)
    run(model, workspace, logits, batch);
    return VITC_OK;
}
