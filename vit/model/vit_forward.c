/* The Vision Transformer, in the order of "An Image is Worth 16x16 Words" (arXiv 2010.11929):
 *
 *     z0 = [class; x1 E; x2 E; ...] + E_pos                                  (equation 1)
 *     z' = MSA(LN(z)) + z                                                    (equation 2)
 *     z  = MLP(LN(z')) + z'                                                  (equation 3)
 *     y  = LN(z_L)[class], logits = y W + b                                  (equation 4)
 *
 * Every function here is run by all threads of one team. Each thread carries its own tokens through
 * the linear layers (vit_share); barriers stand where a token needs the others. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "vit_workspace.h"
#include "vitc_log.h"

/* Which tokens the pooling reads: if it is only the class token (and the distillation token), the
 * last block need not compute the others, once they have given their keys and values. */
static uint32_t pooled_tokens(const vit_config *config)
{
    if (config->pool != VIT_POOL_TOKEN) return vit_config_tokens(config);
    return config->distilled_head ? 2 : 1;
}

/* ---- profile ---- */

static double linear_flops(const vit_linear *linear, size_t tokens)
{
    return 2.0 * (double)linear->out * (double)linear->in * (double)tokens;
}

/* Products of queries with keys and of weights with values. */
static double attention_flops(const vit_config *config, size_t queries)
{
    return 4.0 * (double)queries * (double)vit_config_tokens(config) * (double)config->width;
}

/* Charges the time since the part before to `op`, by the clock of the first thread. */
static void profile_add(vit_workspace *ws, vit_op op, double flops)
{
    if (ws->profile == NULL || omp_get_thread_num() != 0) return;
    const double now = omp_get_wtime();
    ws->profile->seconds[op] += now - ws->profile_clock;
    ws->profile->flops[op] += flops;
    ws->profile_clock = now;
}

/* ---- debug builds: where the first number stopped being one ---- */

#ifdef NDEBUG
#define check_finite(...) ((void)0)
#else
/* Looks at this thread's part of `tokens` rows of n. */
static void check_finite(vit_workspace *ws, uint32_t layer, vit_op op, const float *x, size_t ldx,
                         size_t tokens, size_t n)
{
    const vit_share share = vit_share_tokens(tokens);
    bool finite = true;
    for (size_t t = share.from; t < share.to; t++)
        for (size_t i = 0; i < n; i++) finite = finite && isfinite(x[t * ldx + i]);
    if (finite) return;
    const size_t place = (size_t)layer * VIT_OP_COUNT + (size_t)op + 1;
#pragma omp critical(vit_nonfinite)
    if (ws->nonfinite == 0 || place < ws->nonfinite) ws->nonfinite = place;
}

static vitc_status report_nonfinite(const vit_workspace *ws, const vitc_log *log)
{
    if (ws->nonfinite == 0) return VITC_OK;
    const size_t place = ws->nonfinite - 1;
    return vitc_fail(log, VITC_ERR_INTERNAL,
                     "block %zu, %s: the results are not all finite; look at the weights and the "
                     "input",
                     place / VIT_OP_COUNT, vit_op_string((vit_op)(place % VIT_OP_COUNT)));
}
#endif

/* ---- the paper ---- */

/* Equation 1. Registers and the distillation token stand between the class token and the patches.
 */
static void embed(const vit_model *model, vit_workspace *ws, const float *patch_rows,
                  uint32_t batch)
{
    const vit_config *config = &model->config;
    const size_t d = config->width, n = vit_config_tokens(config), ld = ws->token_stride;
    const size_t patches = vit_config_patches(config), patch_size = model->patch_embedding.in;
    const uint32_t prefix = vit_config_prefix_tokens(config);

    for (uint32_t b = 0; b < batch; b++)
        vit_op_linear(ws->tokens + (b * n + prefix) * ld, ld, patch_rows + b * patches * patch_size,
                      patch_size, patches, NULL, &model->patch_embedding, VIT_EPILOGUE_BIAS, false,
                      &ws->scratch, model->kernels.rows);

#pragma omp barrier
#pragma omp for schedule(static)
    for (uint32_t b = 0; b < batch; b++) {
        float *token = ws->tokens + b * n * ld;
        const struct {
            const float *values;
            size_t count;
        } parts[] = {{model->class_token, config->class_token},
                     {model->distillation_token, config->distillation_token},
                     {model->register_tokens, config->registers}};
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
            for (size_t j = 0; j < parts[i].count; j++, token += ld)
                memcpy(token, parts[i].values + j * d, d * sizeof(float));
        patches_position_apply(ws->tokens + b * n * ld, ld, &model->position, prefix);
    }
    if (config->norm_pre)
        vit_op_layernorm(ws->tokens, ld, ws->tokens, ld, batch * n, &model->norm_pre, d,
                         model->kernels.rows);
    check_finite(ws, 0, VIT_OP_EMBED, ws->tokens, ld, batch * n, d);
    profile_add(ws, VIT_OP_EMBED, linear_flops(&model->patch_embedding, batch * patches));
}

vit_epilogue vit_activation_epilogue(vit_activation activation)
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

/* Equations 2 and 3, for the first `kept` tokens of each image; before them what positions do in
 * every block (the paper's appendix D.4), and inside them what those of attention do. Tokens of
 * different images are n * ld apart, so `kept` other than all of them are taken one at a time, in
 * strides. */
static void encoder_block(const vit_model *model, uint32_t layer, vit_workspace *ws, uint32_t batch,
                          uint32_t kept)
{
    const vit_block *block = &model->blocks[layer];
    const vit_config *config = &model->config;
    const vit_rows_f32 *rows = model->kernels.rows;
    const vit_scratch *scratch = &ws->scratch;
    const size_t d = config->width, n = vit_config_tokens(config), all = batch * n;
    const size_t ld = ws->token_stride, ldw = ws->wide_stride;
    const vit_epilogue activation = vit_activation_epilogue(config->activation);
    const size_t heads = config->heads, head_width = d / heads;
    const vit_relative *relative = block->relative.biases != NULL ? &block->relative : NULL;
    const vit_qk_norm *qk_norm = &block->qk_norm, no_norm = {0};
    float *x = ws->tokens, *attended = ws->attended, *qkv = ws->wide, *hidden = ws->wide;

    vit_op_position(x, ld, batch, n, &block->position, vit_config_prefix_tokens(config));
    vit_op_linear(qkv, ldw, x, ld, all, &block->norm1, &block->qkv, VIT_EPILOGUE_BIAS, false,
                  scratch, rows);
    if (model->rope.cosines != NULL) {
        vit_op_rope(qkv, ldw, batch, n, heads, head_width, qk_norm, &model->rope, false, rows);
        qk_norm = &no_norm;
    }
    check_finite(ws, layer, VIT_OP_QKV, qkv, ldw, all, 3 * d);
#pragma omp barrier /* every query meets all keys and values */
    profile_add(ws, VIT_OP_QKV, linear_flops(&block->qkv, all));
    vit_op_attention(attended, ld, qkv, ldw, batch, n, kept, heads, head_width, qk_norm, relative,
                     model->attention_gemm, scratch, rows);
#pragma omp barrier /* `hidden` takes the place of keys and values */
    profile_add(ws, VIT_OP_ATTENTION, batch * attention_flops(config, kept));

    const bool whole = kept == n;
    const size_t step = whole ? 1 : n, count = whole ? all : batch; /* tokens of one round */
    for (size_t t = 0; t < (whole ? 1 : kept); t++) {
        float *token = x + t * ld;
        vit_op_linear(token, step * ld, attended + t * ld, step * ld, count, NULL, &block->proj,
                      VIT_EPILOGUE_BIAS, true, scratch, rows);
        check_finite(ws, layer, VIT_OP_PROJ, token, step * ld, count, d);
        profile_add(ws, VIT_OP_PROJ, linear_flops(&block->proj, count));
        vit_op_linear(hidden, ldw, token, step * ld, count, &block->norm2, &block->fc1, activation,
                      false, scratch, rows);
        check_finite(ws, layer, VIT_OP_FC1, hidden, ldw, count, config->mlp);
        profile_add(ws, VIT_OP_FC1, linear_flops(&block->fc1, count));
        vit_op_linear(token, step * ld, hidden, ldw, count, NULL, &block->fc2, VIT_EPILOGUE_BIAS,
                      true, scratch, rows);
        check_finite(ws, layer, VIT_OP_FC2, token, step * ld, count, d);
        profile_add(ws, VIT_OP_FC2, linear_flops(&block->fc2, count));
    }
}

/* Equation 4, with the other ways to pool. A distilled model (arXiv 2012.12877, section 4) has a
 * second head on its distillation token and averages the two. */
static void classify(const vit_model *model, vit_workspace *ws, float *logits, uint32_t batch)
{
    const vit_config *config = &model->config;
    const vit_rows_f32 *rows = model->kernels.rows;
    const size_t d = config->width, n = vit_config_tokens(config), k = config->classes;
    const size_t ld = ws->token_stride, prefix = vit_config_prefix_tokens(config);
    const uint32_t kept = pooled_tokens(config);
    float *pooled = ws->pooled, *distilled = ws->pooled + batch * d;

#pragma omp barrier
    if (config->norm_final) {
        if (kept == n)
            vit_op_layernorm(ws->tokens, ld, ws->tokens, ld, batch * n, &model->norm_final, d,
                             rows);
        for (size_t t = 0; kept < n && t < kept; t++)
            vit_op_layernorm(ws->tokens + t * ld, n * ld, ws->tokens + t * ld, n * ld, batch,
                             &model->norm_final, d, rows);
    }
#pragma omp for schedule(static)
    for (uint32_t b = 0; b < batch; b++) {
        const float *tokens = ws->tokens + b * n * ld;
        if (config->pool == VIT_POOL_TOKEN)
            memcpy(pooled + b * d, tokens, d * sizeof(float));
        else
            vit_pool_tokens(pooled + b * d, tokens + prefix * ld, ld, n - prefix, d,
                            config->pool != VIT_POOL_MAX, config->pool != VIT_POOL_AVG);
        if (config->distilled_head) memcpy(distilled + b * d, tokens + ld, d * sizeof(float));
    }
    if (config->norm_pooled)
        vit_op_layernorm(pooled, d, pooled, d, batch, &model->norm_pooled, d, rows);
    vit_op_linear(logits, k, pooled, d, batch, NULL, &model->head, VIT_EPILOGUE_BIAS, false,
                  &ws->scratch, rows);
    if (config->distilled_head) {
        vit_op_linear(ws->logits, k, distilled, d, batch, NULL, &model->distillation_head,
                      VIT_EPILOGUE_BIAS, false, &ws->scratch, rows);
#pragma omp barrier
#pragma omp for schedule(static)
        for (size_t i = 0; i < batch * k; i++) logits[i] = (logits[i] + ws->logits[i]) / 2;
    }
    profile_add(ws, VIT_OP_HEAD,
                linear_flops(&model->head, config->distilled_head ? 2 * batch : batch));
}

/* One pass, by every thread of the team, or by a single thread without one. */
static void run(const vit_model *model, vit_workspace *ws, float *logits, uint32_t batch)
{
    const uint32_t layers = model->config.layers, all = vit_config_tokens(&model->config);
    for (uint32_t from = 0; from < batch; from += ws->group) {
        const uint32_t group = batch - from < ws->group ? batch - from : ws->group;
        embed(model, ws, vit_workspace_patches(ws, from), group);
        for (uint32_t i = 0; i < layers; i++)
            encoder_block(model, i, ws, group,
                          i + 1 < layers ? all : pooled_tokens(&model->config));
        classify(model, ws, logits + (size_t)from * model->config.classes, group);
#pragma omp barrier /* the next group takes the place of this one */
    }
}

vitc_status vit_forward(const vit_model *model, vit_workspace *workspace, float *logits,
                        uint32_t batch, const vitc_log *log)
{
    if (workspace->model != model || batch > workspace->batch)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "vit_forward: %u images in a workspace for %u, or of another model", batch,
                         workspace->batch);
    if (batch == 0) return VITC_OK;
    if (workspace->profile != NULL) {
        workspace->profile_clock = omp_get_wtime();
        workspace->profile->forwards++;
    }
#ifndef NDEBUG
    workspace->nonfinite = 0;
#endif
    /* also of one thread: the caller may be one of a team, which is not to share this work */
#pragma omp parallel num_threads(workspace->threads)
    run(model, workspace, logits, batch);
#ifndef NDEBUG
    VITC_TRY(report_nonfinite(workspace, log));
#endif
    return VITC_OK;
}

const char *vit_op_string(vit_op op)
{
    static const char *const names[VIT_OP_COUNT] = {"embed", "qkv", "attention", "proj",
                                                    "fc1",   "fc2", "head"};
    return (unsigned)op < VIT_OP_COUNT ? names[op] : "unknown";
}

/* Of one image, whose last block computes `kept` tokens. */
static double config_flops(const vit_config *config, double kept)
{
    const double d = config->width, m = config->mlp, n = vit_config_tokens(config);
    const double layers = config->layers, heads = config->distilled_head ? 2 : 1;
    const double patch = (double)PATCHES_CHANNELS * config->patch * config->patch;
    const double keys = 2 * n * 3 * d * d;                 /* per block: qkv */
    const double rest = 4 * n * d + 2 * d * d + 4 * d * m; /* per token that goes on */
    return 2 * vit_config_patches(config) * patch * d + layers * keys +
           ((layers - 1) * n + kept) * rest + heads * 2 * d * config->classes;
}

double vit_config_flops(const vit_config *config)
{
    return config_flops(config, pooled_tokens(config));
}

double vit_config_nominal_flops(const vit_config *config)
{
    return config_flops(config, vit_config_tokens(config));
}
