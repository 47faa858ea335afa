/* vit_train_reference.h - the loss of a Vision Transformer and its gradients in double, as the
 * paper has them, one image at a time: what the trainer's tests compare with. */
#ifndef VIT_TRAIN_REFERENCE_H
#define VIT_TRAIN_REFERENCE_H

#include "vit_ops_backward.h"
#include "vit_params.h"
#include "vit_test_support.h"

typedef struct reference {
    vit_config config;
    vit_param_table table;
    double *w, *dw; /* parameters and gradients, in table order */
} reference;

static inline double *doubles(size_t count)
{
    double *values = calloc(count + 1, sizeof *values);
    assert_non_null(values);
    return values;
}

static inline reference reference_create(const vit_config *config, const float *parameters)
{
    reference r = {.config = *config};
    assert_int_equal(vit_params_create(&r.table, config, NULL), VITC_OK);
    r.w = doubles(r.table.elements);
    r.dw = doubles(r.table.elements);
    for (size_t i = 0; i < r.table.elements; i++) r.w[i] = (double)parameters[i];
    return r;
}

static inline void reference_free(reference *r)
{
    vit_params_free(&r->table);
    free(r->w);
    free(r->dw);
}

/* A parameter in r->w or r->dw; NULL where there is none. */
static inline double *at(const reference *r, double *of, vit_param_id id, uint32_t layer)
{
    const size_t i = vit_params_find(&r->table, id, layer);
    return i == SIZE_MAX ? NULL : of + r->table.params[i].offset;
}

static inline void ref_linear(const reference *r, double *y, const double *x, size_t tokens,
                              vit_param_id weight, vit_param_id bias, uint32_t layer, size_t out,
                              size_t in)
{
    double *zeros = doubles(out), *b = at(r, r->w, bias, layer);
    vit_double_linear(y, x, tokens, at(r, r->w, weight, layer), b != NULL ? b : zeros, out, in);
    free(zeros);
}

static inline void ref_linear_backward(const reference *r, double *dx, const double *dy,
                                       const double *x, size_t tokens, vit_param_id weight,
                                       vit_param_id bias, uint32_t layer, size_t out, size_t in)
{
    double *sink = doubles(out), *db = at(r, r->dw, bias, layer);
    vit_double_linear_backward(dx, at(r, r->dw, weight, layer), db != NULL ? db : sink, dy, x,
                               tokens, at(r, r->w, weight, layer), out, in);
    free(sink);
}

static inline void ref_norm(const reference *r, double *y, const double *x, size_t tokens,
                            vit_param_id weight, vit_param_id bias, uint32_t layer)
{
    vit_double_layernorm(y, x, tokens, at(r, r->w, weight, layer), at(r, r->w, bias, layer),
                         r->config.width, (double)r->config.norm_eps);
}

static inline void ref_norm_backward(const reference *r, double *dx, const double *dy,
                                     const double *x, size_t tokens, vit_param_id weight,
                                     vit_param_id bias, uint32_t layer)
{
    vit_double_layernorm_backward(dx, at(r, r->dw, weight, layer), at(r, r->dw, bias, layer), dy, x,
                                  tokens, at(r, r->w, weight, layer), r->config.width,
                                  (double)r->config.norm_eps);
}

/* out = x + gamma * branch */
static inline void ref_residual(const reference *r, double *out, const double *x,
                                const double *branch, vit_param_id gamma, uint32_t layer, size_t n)
{
    const double *g = at(r, r->w, gamma, layer);
    const size_t d = r->config.width;
    for (size_t i = 0; i < n * d; i++) out[i] = x[i] + (g != NULL ? g[i % d] : 1) * branch[i];
}

static inline void ref_residual_backward(const reference *r, double *dbranch, const double *dout,
                                         const double *branch, vit_param_id gamma, uint32_t layer,
                                         size_t n)
{
    const double *g = at(r, r->w, gamma, layer);
    double *dg = at(r, r->dw, gamma, layer);
    const size_t d = r->config.width;
    for (size_t i = 0; i < n * d; i++) {
        dbranch[i] = (g != NULL ? g[i % d] : 1) * dout[i];
        if (dg != NULL) dg[i % d] += dout[i] * branch[i];
    }
}

/* One block's activations of one image. */
typedef struct ref_block {
    double *x, *normed1, *qkv, *attended, *branch1, *middle, *normed2, *z, *hidden, *branch2;
} ref_block;

static const vit_epilogue ref_activations[VIT_ACTIVATION_COUNT] = {
    VIT_EPILOGUE_GELU_ERF, VIT_EPILOGUE_GELU_TANH, VIT_EPILOGUE_GELU_QUICK, VIT_EPILOGUE_RELU,
    VIT_EPILOGUE_SILU};

static inline ref_block ref_block_create(const vit_config *c)
{
    const size_t n = vit_config_tokens(c), d = n * c->width, m = n * c->mlp;
    return (ref_block){doubles(d), doubles(d), doubles(3 * d), doubles(d), doubles(d),
                       doubles(d), doubles(d), doubles(m),     doubles(m), doubles(d)};
}

static inline void ref_block_free(ref_block *b)
{
    double *all[] = {b->x,      b->normed1, b->qkv, b->attended, b->branch1,
                     b->middle, b->normed2, b->z,   b->hidden,   b->branch2};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
}

static inline void ref_forward_block(const reference *r, ref_block *b, double *out, uint32_t i)
{
    const vit_config *c = &r->config;
    const size_t n = vit_config_tokens(c), d = c->width, m = c->mlp;
    double *weights = doubles(2 * n);
    ref_norm(r, b->normed1, b->x, n, VIT_NORM1_WEIGHT, VIT_NORM1_BIAS, i);
    ref_linear(r, b->qkv, b->normed1, n, VIT_QKV_WEIGHT, VIT_QKV_BIAS, i, 3 * d, d);
    vit_double_attention(b->attended, b->qkv, 1, n, c->heads, d / c->heads, weights);
    ref_linear(r, b->branch1, b->attended, n, VIT_PROJ_WEIGHT, VIT_PROJ_BIAS, i, d, d);
    ref_residual(r, b->middle, b->x, b->branch1, VIT_LS1_GAMMA, i, n);
    ref_norm(r, b->normed2, b->middle, n, VIT_NORM2_WEIGHT, VIT_NORM2_BIAS, i);
    ref_linear(r, b->z, b->normed2, n, VIT_FC1_WEIGHT, VIT_FC1_BIAS, i, m, d);
    for (size_t j = 0; j < n * m; j++)
        b->hidden[j] = vit_double_activation(ref_activations[c->activation], b->z[j]);
    ref_linear(r, b->branch2, b->hidden, n, VIT_FC2_WEIGHT, VIT_FC2_BIAS, i, d, m);
    ref_residual(r, out, b->middle, b->branch2, VIT_LS2_GAMMA, i, n);
    free(weights);
}

/* dx: of the block's output, then of its input. */
static inline void ref_backward_block(const reference *r, const ref_block *b, double *dx,
                                      uint32_t i)
{
    const vit_config *c = &r->config;
    const size_t n = vit_config_tokens(c), d = c->width, m = c->mlp;
    double *weights = doubles(2 * n), *dbranch = doubles(n * d), *dz = doubles(n * m);
    double *dnormed = doubles(n * d), *through = doubles(n * d), *dqkv = doubles(3 * n * d);

    ref_residual_backward(r, dbranch, dx, b->branch2, VIT_LS2_GAMMA, i, n);
    ref_linear_backward(r, dz, dbranch, b->hidden, n, VIT_FC2_WEIGHT, VIT_FC2_BIAS, i, d, m);
    for (size_t j = 0; j < n * m; j++)
        dz[j] *= vit_double_activation_slope(ref_activations[c->activation], b->z[j]);
    ref_linear_backward(r, dnormed, dz, b->normed2, n, VIT_FC1_WEIGHT, VIT_FC1_BIAS, i, m, d);
    ref_norm_backward(r, through, dnormed, b->middle, n, VIT_NORM2_WEIGHT, VIT_NORM2_BIAS, i);
    for (size_t j = 0; j < n * d; j++) dx[j] += through[j];

    ref_residual_backward(r, dbranch, dx, b->branch1, VIT_LS1_GAMMA, i, n);
    ref_linear_backward(r, dnormed, dbranch, b->attended, n, VIT_PROJ_WEIGHT, VIT_PROJ_BIAS, i, d,
                        d);
    vit_double_attention_backward(dqkv, dnormed, b->qkv, 1, n, c->heads, d / c->heads, weights);
    ref_linear_backward(r, dnormed, dqkv, b->normed1, n, VIT_QKV_WEIGHT, VIT_QKV_BIAS, i, 3 * d, d);
    ref_norm_backward(r, through, dnormed, b->x, n, VIT_NORM1_WEIGHT, VIT_NORM1_BIAS, i);
    for (size_t j = 0; j < n * d; j++) dx[j] += through[j];

    free(weights);
    free(dbranch);
    free(dz);
    free(dnormed);
    free(through);
    free(dqkv);
}

/* Where the embedded tokens come from: a parameter and an offset in it; a patch: the product. */
static inline double *ref_token(const reference *r, double *of, size_t token)
{
    const vit_config *c = &r->config;
    const size_t d = c->width, own = c->class_token, prefix = vit_config_prefix_tokens(c);
    if (token >= prefix) return NULL;
    if (token < own) return at(r, of, VIT_CLS_TOKEN, 0);
    if (token < own + c->distillation_token) return at(r, of, VIT_DIST_TOKEN, 0);
    return at(r, of, VIT_REG_TOKEN, 0) + (token - own - c->distillation_token) * d;
}

static inline double *ref_slot(const reference *r, double *of, size_t token)
{
    const size_t prefix = vit_config_prefix_tokens(&r->config);
    double *table = at(r, of, VIT_POS_EMBED, 0);
    if (table == NULL || (token < prefix && !r->config.position_covers_prefix)) return NULL;
    return table + (token - (r->config.position_covers_prefix ? 0 : prefix)) * r->config.width;
}

/* The cross-entropy of one image; with `backward` adds its gradients to r->dw. */
static inline double reference_image(const reference *r, const double *patches,
                                     const double *target, bool backward)
{
    const vit_config *c = &r->config;
    const size_t n = vit_config_tokens(c), d = c->width, k = c->classes;
    const size_t np = vit_config_patches(c), prefix = n - np;
    const size_t patch = (size_t)3 * c->patch * c->patch;
    double *embedded = doubles(n * d), *rows = doubles(n * d), *last = doubles(n * d);
    double *normed = doubles(n * d), *pooled = doubles(d), *feature = doubles(d);
    double *logits = doubles(k), *dlogits = doubles(k), *dx = doubles(n * d);
    double *dnormed = doubles(n * d), *dpooled = doubles(d), *dfeature = doubles(d);
    double *dpatches = doubles(np * patch);
    ref_block *blocks = calloc(c->layers, sizeof *blocks);
    assert_non_null(blocks);
    for (uint32_t i = 0; i < c->layers; i++) blocks[i] = ref_block_create(c);

    ref_linear(r, rows, patches, np, VIT_PATCH_WEIGHT, VIT_PATCH_BIAS, 0, d, patch);
    for (size_t t = 0; t < n; t++) {
        const double *token = t < prefix ? ref_token(r, r->w, t) : rows + (t - prefix) * d;
        const double *slot = ref_slot(r, r->w, t);
        for (size_t j = 0; j < d; j++)
            embedded[t * d + j] = token[j] + (slot != NULL ? slot[j] : 0);
    }
    if (c->norm_pre)
        ref_norm(r, blocks[0].x, embedded, n, VIT_NORM_PRE_WEIGHT, VIT_NORM_PRE_BIAS, 0);
    else
        memcpy(blocks[0].x, embedded, n * d * sizeof *embedded);
    for (uint32_t i = 0; i < c->layers; i++)
        ref_forward_block(r, &blocks[i], i + 1 < c->layers ? blocks[i + 1].x : last, i);
    if (c->norm_final)
        ref_norm(r, normed, last, n, VIT_NORM_WEIGHT, VIT_NORM_BIAS, 0);
    else
        memcpy(normed, last, n * d * sizeof *last);
    const bool token = c->pool == VIT_POOL_TOKEN;
    for (size_t t = token ? 0 : prefix; t < (token ? 1 : n); t++)
        for (size_t j = 0; j < d; j++) pooled[j] += normed[t * d + j] / (token ? 1 : (double)np);
    if (c->norm_pooled)
        ref_norm(r, feature, pooled, 1, VIT_FC_NORM_WEIGHT, VIT_FC_NORM_BIAS, 0);
    else
        memcpy(feature, pooled, d * sizeof *pooled);
    ref_linear(r, logits, feature, 1, VIT_HEAD_WEIGHT, VIT_HEAD_BIAS, 0, k, d);
    const double loss = vit_double_cross_entropy(dlogits, logits, target, 1, k);

    if (backward) {
        ref_linear_backward(r, dfeature, dlogits, feature, 1, VIT_HEAD_WEIGHT, VIT_HEAD_BIAS, 0, k,
                            d);
        if (c->norm_pooled)
            ref_norm_backward(r, dpooled, dfeature, pooled, 1, VIT_FC_NORM_WEIGHT, VIT_FC_NORM_BIAS,
                              0);
        else
            memcpy(dpooled, dfeature, d * sizeof *dpooled);
        for (size_t t = token ? 0 : prefix; t < (token ? 1 : n); t++)
            for (size_t j = 0; j < d; j++)
                dnormed[t * d + j] = dpooled[j] / (token ? 1 : (double)np);
        if (c->norm_final)
            ref_norm_backward(r, dx, dnormed, last, n, VIT_NORM_WEIGHT, VIT_NORM_BIAS, 0);
        else
            memcpy(dx, dnormed, n * d * sizeof *dx);
        for (uint32_t i = c->layers; i-- > 0;) ref_backward_block(r, &blocks[i], dx, i);
        if (c->norm_pre) {
            ref_norm_backward(r, dnormed, dx, embedded, n, VIT_NORM_PRE_WEIGHT, VIT_NORM_PRE_BIAS,
                              0);
            memcpy(dx, dnormed, n * d * sizeof *dx);
        }
        for (size_t t = 0; t < n; t++) {
            double *to[] = {ref_token(r, r->dw, t), ref_slot(r, r->dw, t)};
            for (size_t i = 0; i < 2; i++)
                for (size_t j = 0; to[i] != NULL && j < d; j++) to[i][j] += dx[t * d + j];
        }
        ref_linear_backward(r, dpatches, dx + prefix * d, patches, np, VIT_PATCH_WEIGHT,
                            VIT_PATCH_BIAS, 0, d, patch);
    }

    for (uint32_t i = 0; i < c->layers; i++) ref_block_free(&blocks[i]);
    double *all[] = {embedded, rows, last,    normed,  pooled,   feature, logits,
                     dlogits,  dx,   dnormed, dpooled, dfeature, dpatches};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
    free(blocks);
    return loss;
}

#endif
