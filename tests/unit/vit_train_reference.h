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
    /* Patches of the image that take part, rising; count 0: all. Fewer of them only without
     * positions inside the blocks. */
    const uint32_t *kept;
    uint32_t kept_count;
} reference;

static inline size_t ref_patches(const reference *r)
{
    return r->kept_count > 0 ? r->kept_count : vit_config_patches(&r->config);
}

static inline size_t ref_tokens(const reference *r)
{
    return vit_config_prefix_tokens(&r->config) + ref_patches(r);
}

/* The patch that token number `prefix` + i is. */
static inline size_t ref_patch(const reference *r, size_t i)
{
    return r->kept_count > 0 ? r->kept[i] : i;
}

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

/* ---- positions ---- */

/* Whose parameters a block takes: its own or those of all. */
static inline double *ref_positions_of(const reference *r, double *of, vit_param_id shared,
                                       vit_param_id own, uint32_t layer)
{
    const bool every = r->config.position_at == PATCHES_POSITION_EVERY;
    return at(r, of, every ? own : shared, every ? layer : 0);
}

/* The parameters whose sum is feature j of token t's position; none for fixed ones. */
static inline size_t ref_position_parts(const reference *r, double *of, uint32_t layer, size_t t,
                                        size_t j, double *parts[2])
{
    const vit_config *c = &r->config;
    const size_t d = c->width, prefix = vit_config_prefix_tokens(c),
                 columns = c->image_width / c->patch;
    if (t < prefix && !c->position_covers_prefix) return 0;
    const size_t patch = t < prefix ? 0 : ref_patch(r, t - prefix);
    const size_t y = patch / columns, x = patch % columns;
    double *across = ref_positions_of(r, of, VIT_POS_COLUMNS, VIT_BLOCK_POS_COLUMNS, layer);
    double *down = ref_positions_of(r, of, VIT_POS_ROWS, VIT_BLOCK_POS_ROWS, layer);
    if (c->position == PATCHES_POSITION_LEARNED_1D) {
        const size_t slot = t < prefix ? t : patch + (c->position_covers_prefix ? prefix : 0);
        parts[0] =
            ref_positions_of(r, of, VIT_POS_EMBED, VIT_BLOCK_POS_EMBED, layer) + slot * d + j;
        return 1;
    }
    if (c->position == PATCHES_POSITION_LEARNED_2D) {
        parts[0] = j < d / 2 ? across + x * (d / 2) + j : down + y * (d / 2) + j - d / 2;
        return 1;
    }
    if (c->position != PATCHES_POSITION_FACTORIZED) return 0;
    parts[0] = across + x * d + j;
    parts[1] = down + y * d + j;
    return 2;
}

static inline double ref_position(const reference *r, uint32_t layer, size_t t, size_t j)
{
    const vit_config *c = &r->config;
    const size_t prefix = vit_config_prefix_tokens(c), columns = c->image_width / c->patch;
    double *parts[2], sum = 0;
    const size_t count = ref_position_parts(r, r->w, layer, t, j, parts);
    for (size_t i = 0; i < count; i++) sum += *parts[i];
    if (c->position == PATCHES_POSITION_SINCOS_2D && t >= prefix) {
        const size_t quarter = c->width / 4, patch = ref_patch(r, t - prefix);
        const double place = (double)(j / quarter < 2 ? patch % columns : patch / columns);
        const double angle = place / pow(10000, (double)(j % quarter) / (double)quarter);
        sum = j / quarter % 2 == 0 ? sin(angle) : cos(angle);
    }
    return sum;
}

static inline bool ref_has_position(const reference *r, uint32_t layer)
{
    return patches_position_has_table(r->config.position) &&
           (layer == 0 || r->config.position_at != PATCHES_POSITION_STEM);
}

/* x = the positions of a block's place on `bare`. */
static inline void ref_place(const reference *r, double *x, const double *bare, uint32_t layer)
{
    const size_t n = ref_tokens(r), d = r->config.width;
    const bool add = r->config.position_op == PATCHES_POSITION_ADD;
    for (size_t i = 0; i < n * d; i++) {
        const double p = ref_has_position(r, layer) ? ref_position(r, layer, i / d, i % d) : 0;
        x[i] = add ? bare[i] + p : bare[i] * (1 + p);
    }
}

static inline void ref_place_backward(const reference *r, double *dx, const double *bare,
                                      uint32_t layer)
{
    const size_t n = ref_tokens(r), d = r->config.width;
    const bool add = r->config.position_op == PATCHES_POSITION_ADD;
    if (!ref_has_position(r, layer)) return;
    for (size_t i = 0; i < n * d; i++) {
        double *parts[2];
        const size_t count = ref_position_parts(r, r->dw, layer, i / d, i % d, parts);
        for (size_t k = 0; k < count; k++) *parts[k] += add ? dx[i] : dx[i] * bare[i];
        if (!add) dx[i] *= 1 + ref_position(r, layer, i / d, i % d);
    }
}

/* What relative positions add to the logits, [H][N][N]; NULL: nothing. */
static inline double *ref_biases(const reference *r, uint32_t layer)
{
    const patches_relative shape = vit_config_relative(&r->config);
    const uint32_t n = vit_config_tokens(&r->config);
    const double *table =
        ref_positions_of(r, r->w, VIT_RELATIVE_TABLE, VIT_BLOCK_RELATIVE_TABLE, layer);
    if (table == NULL) return NULL;
    double *biases = doubles((size_t)shape.heads * n * n), *bias = biases;
    for (uint32_t h = 0; h < shape.heads; h++)
        for (uint32_t q = 0; q < n; q++)
            for (uint32_t k = 0; k < n; k++)
                *bias++ = table[patches_relative_index(&shape, q, k) * shape.heads + h];
    return biases;
}

static inline void ref_biases_backward(const reference *r, const double *dbiases, uint32_t layer)
{
    const patches_relative shape = vit_config_relative(&r->config);
    const uint32_t n = vit_config_tokens(&r->config);
    double *table = ref_positions_of(r, r->dw, VIT_RELATIVE_TABLE, VIT_BLOCK_RELATIVE_TABLE, layer);
    for (uint32_t h = 0; table != NULL && h < shape.heads; h++)
        for (uint32_t q = 0; q < n; q++)
            for (uint32_t k = 0; k < n; k++)
                table[patches_relative_index(&shape, q, k) * shape.heads + h] += *dbiases++;
}

/* Queries and keys as complex numbers, turned by (sign) the angles of their patch. */
static inline void ref_turn(const reference *r, double *qkv, double sign)
{
    const vit_config *c = &r->config;
    const size_t n = ref_tokens(r), d = c->width, head = d / c->heads, pairs = head / 4;
    const size_t prefix = vit_config_prefix_tokens(c), columns = c->image_width / c->patch;
    if (c->position != PATCHES_POSITION_ROPE_2D || pairs == 0) return;
    for (size_t t = prefix; t < n; t++)
        for (size_t i = 0; i < d; i++) { /* pair i of queries and keys together */
            double *pair = qkv + t * 3 * d + 2 * i, re = pair[0], im = pair[1];
            const size_t j = i % (head / 2), patch = ref_patch(r, t - prefix);
            const double place = (double)(j < pairs ? patch % columns : patch / columns);
            const double angle = sign * place * pow(100, -(double)(j % pairs) / (double)pairs);
            pair[0] = re * cos(angle) - im * sin(angle);
            pair[1] = re * sin(angle) + im * cos(angle);
        }
}

/* ---- a block ---- */

/* Its activations of one image: `raw` queries, keys and values before norms and turning, `normed`
 * after the first. */
typedef struct ref_block {
    double *bare, *x, *normed1, *raw, *qkv, *attended, *branch1, *middle, *normed2, *z, *hidden,
        *branch2;
} ref_block;

static const vit_epilogue ref_activations[VIT_ACTIVATION_COUNT] = {
    VIT_EPILOGUE_GELU_ERF, VIT_EPILOGUE_GELU_TANH, VIT_EPILOGUE_GELU_QUICK, VIT_EPILOGUE_RELU,
    VIT_EPILOGUE_SILU};

static inline ref_block ref_block_create(const vit_config *c)
{
    const size_t n = vit_config_tokens(c), d = n * c->width, m = n * c->mlp;
    return (ref_block){.bare = doubles(d),
                       .x = doubles(d),
                       .normed1 = doubles(d),
                       .raw = doubles(3 * d),
                       .qkv = doubles(3 * d),
                       .attended = doubles(d),
                       .branch1 = doubles(d),
                       .middle = doubles(d),
                       .normed2 = doubles(d),
                       .z = doubles(m),
                       .hidden = doubles(m),
                       .branch2 = doubles(d)};
}

static inline void ref_block_free(ref_block *b)
{
    double *all[] = {b->bare,    b->x,      b->normed1, b->raw, b->qkv,    b->attended,
                     b->branch1, b->middle, b->normed2, b->z,   b->hidden, b->branch2};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
}

/* Each head's queries and keys through their LayerNorm, where there is one. */
static inline void ref_qk_norm(const reference *r, ref_block *b, uint32_t i)
{
    const vit_config *c = &r->config;
    const size_t n = ref_tokens(r), d = c->width, head = d / c->heads;
    memcpy(b->qkv, b->raw, 3 * n * d * sizeof *b->raw);
    for (size_t t = 0; c->qk_norm && t < n; t++)
        for (size_t from = 0; from < 2 * d; from += head) {
            const bool query = from < d;
            const size_t row = t * 3 * d + from;
            vit_double_layernorm(b->qkv + row, b->raw + row, 1,
                                 at(r, r->w, query ? VIT_Q_NORM_WEIGHT : VIT_K_NORM_WEIGHT, i),
                                 at(r, r->w, query ? VIT_Q_NORM_BIAS : VIT_K_NORM_BIAS, i), head,
                                 (double)c->norm_eps);
        }
}

static inline void ref_qk_norm_backward(const reference *r, const ref_block *b, double *dqkv,
                                        uint32_t i)
{
    const vit_config *c = &r->config;
    const size_t n = ref_tokens(r), d = c->width, head = d / c->heads;
    double *dx = doubles(head);
    for (size_t t = 0; c->qk_norm && t < n; t++)
        for (size_t from = 0; from < 2 * d; from += head) {
            const bool query = from < d;
            const size_t row = t * 3 * d + from;
            const vit_param_id weight = query ? VIT_Q_NORM_WEIGHT : VIT_K_NORM_WEIGHT;
            vit_double_layernorm_backward(
                dx, at(r, r->dw, weight, i),
                at(r, r->dw, query ? VIT_Q_NORM_BIAS : VIT_K_NORM_BIAS, i), dqkv + row,
                b->raw + row, 1, at(r, r->w, weight, i), head, (double)c->norm_eps);
            memcpy(dqkv + row, dx, head * sizeof *dx);
        }
    free(dx);
}

static inline void ref_forward_block(const reference *r, ref_block *b, double *out, uint32_t i)
{
    const vit_config *c = &r->config;
    const size_t n = ref_tokens(r), d = c->width, m = c->mlp;
    double *weights = doubles(2 * n), *biases = ref_biases(r, i);
    ref_norm(r, b->normed1, b->x, n, VIT_NORM1_WEIGHT, VIT_NORM1_BIAS, i);
    ref_linear(r, b->raw, b->normed1, n, VIT_QKV_WEIGHT, VIT_QKV_BIAS, i, 3 * d, d);
    ref_qk_norm(r, b, i);
    ref_turn(r, b->qkv, 1);
    vit_double_attention(b->attended, b->qkv, 1, n, c->heads, d / c->heads, biases, weights);
    ref_linear(r, b->branch1, b->attended, n, VIT_PROJ_WEIGHT, VIT_PROJ_BIAS, i, d, d);
    ref_residual(r, b->middle, b->x, b->branch1, VIT_LS1_GAMMA, i, n);
    ref_norm(r, b->normed2, b->middle, n, VIT_NORM2_WEIGHT, VIT_NORM2_BIAS, i);
    ref_linear(r, b->z, b->normed2, n, VIT_FC1_WEIGHT, VIT_FC1_BIAS, i, m, d);
    for (size_t j = 0; j < n * m; j++)
        b->hidden[j] = vit_double_activation(ref_activations[c->activation], b->z[j]);
    ref_linear(r, b->branch2, b->hidden, n, VIT_FC2_WEIGHT, VIT_FC2_BIAS, i, d, m);
    ref_residual(r, out, b->middle, b->branch2, VIT_LS2_GAMMA, i, n);
    free(weights);
    free(biases);
}

/* dx: of the block's output, then of its input. */
static inline void ref_backward_block(const reference *r, const ref_block *b, double *dx,
                                      uint32_t i)
{
    const vit_config *c = &r->config;
    const size_t n = ref_tokens(r), d = c->width, m = c->mlp;
    double *weights = doubles(2 * n), *dbranch = doubles(n * d), *dz = doubles(n * m);
    double *dnormed = doubles(n * d), *through = doubles(n * d), *dqkv = doubles(3 * n * d);
    double *biases = ref_biases(r, i), *dbiases = doubles(c->heads * n * n);

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
    vit_double_attention_backward(dqkv, dbiases, dnormed, b->qkv, 1, n, c->heads, d / c->heads,
                                  biases, weights);
    ref_biases_backward(r, dbiases, i);
    ref_turn(r, dqkv, -1);
    ref_qk_norm_backward(r, b, dqkv, i);
    ref_linear_backward(r, dnormed, dqkv, b->normed1, n, VIT_QKV_WEIGHT, VIT_QKV_BIAS, i, 3 * d, d);
    ref_norm_backward(r, through, dnormed, b->x, n, VIT_NORM1_WEIGHT, VIT_NORM1_BIAS, i);
    for (size_t j = 0; j < n * d; j++) dx[j] += through[j];

    double *all[] = {weights, dbranch, dz, dnormed, through, dqkv, biases, dbiases};
    for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) free(all[j]);
}

/* ---- an image ---- */

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

/* How much of feature j of token t is in the pooled feature; the maximum's part included. */
static inline double ref_pool_share(const reference *r, const double *normed, size_t t, size_t j)
{
    const vit_config *c = &r->config;
    const size_t n = ref_tokens(r), d = c->width, prefix = vit_config_prefix_tokens(c);
    if (c->pool == VIT_POOL_TOKEN) return t == 0 ? 1 : 0;
    if (t < prefix) return 0;
    size_t best = prefix;
    for (size_t i = prefix; i < n; i++)
        if (normed[i * d + j] > normed[best * d + j]) best = i;
    const double mean = 1 / (double)ref_patches(r), maximum = t == best ? 1 : 0;
    if (c->pool == VIT_POOL_AVGMAX) return (mean + maximum) / 2;
    return c->pool == VIT_POOL_AVG ? mean : maximum;
}

/* The cross-entropy of one image; with `backward` adds its gradients to r->dw. */
static inline double reference_image(const reference *r, const double *patches,
                                     const double *target, bool backward)
{
    const vit_config *c = &r->config;
    const size_t n = ref_tokens(r), d = c->width, k = c->classes;
    const size_t np = ref_patches(r), prefix = n - np;
    const size_t patch = (size_t)3 * c->patch * c->patch;
    double *seen = doubles(np * patch), *placed = doubles(n * d), *rows = doubles(n * d);
    double *last = doubles(n * d), *normed = doubles(n * d), *pooled = doubles(d);
    double *feature = doubles(d), *logits = doubles(k), *dlogits = doubles(k);
    double *dx = doubles(n * d), *dnormed = doubles(n * d), *dpooled = doubles(d);
    double *dfeature = doubles(d), *dpatches = doubles(np * patch);
    ref_block *blocks = calloc(c->layers, sizeof *blocks);
    assert_non_null(blocks);
    for (uint32_t i = 0; i < c->layers; i++) blocks[i] = ref_block_create(c);
    for (size_t i = 0; i < np; i++)
        memcpy(seen + i * patch, patches + ref_patch(r, i) * patch, patch * sizeof *seen);

    ref_linear(r, rows, seen, np, VIT_PATCH_WEIGHT, VIT_PATCH_BIAS, 0, d, patch);
    for (size_t t = 0; t < n; t++)
        memcpy(blocks[0].bare + t * d, t < prefix ? ref_token(r, r->w, t) : rows + (t - prefix) * d,
               d * sizeof *rows);
    ref_place(r, placed, blocks[0].bare, 0);
    if (c->norm_pre)
        ref_norm(r, blocks[0].x, placed, n, VIT_NORM_PRE_WEIGHT, VIT_NORM_PRE_BIAS, 0);
    else
        memcpy(blocks[0].x, placed, n * d * sizeof *placed);
    for (uint32_t i = 0; i < c->layers; i++) {
        if (i > 0) ref_place(r, blocks[i].x, blocks[i].bare, i);
        ref_forward_block(r, &blocks[i], i + 1 < c->layers ? blocks[i + 1].bare : last, i);
    }
    if (c->norm_final)
        ref_norm(r, normed, last, n, VIT_NORM_WEIGHT, VIT_NORM_BIAS, 0);
    else
        memcpy(normed, last, n * d * sizeof *last);
    for (size_t i = 0; i < n * d; i++)
        pooled[i % d] += ref_pool_share(r, normed, i / d, i % d) * normed[i];
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
        for (size_t i = 0; i < n * d; i++)
            dnormed[i] = ref_pool_share(r, normed, i / d, i % d) * dpooled[i % d];
        if (c->norm_final)
            ref_norm_backward(r, dx, dnormed, last, n, VIT_NORM_WEIGHT, VIT_NORM_BIAS, 0);
        else
            memcpy(dx, dnormed, n * d * sizeof *dx);
        for (uint32_t i = c->layers; i-- > 0;) {
            ref_backward_block(r, &blocks[i], dx, i);
            if (i > 0) ref_place_backward(r, dx, blocks[i].bare, i);
        }
        if (c->norm_pre) {
            ref_norm_backward(r, dnormed, dx, placed, n, VIT_NORM_PRE_WEIGHT, VIT_NORM_PRE_BIAS, 0);
            memcpy(dx, dnormed, n * d * sizeof *dx);
        }
        ref_place_backward(r, dx, blocks[0].bare, 0);
        for (size_t t = 0; t < prefix; t++)
            for (size_t j = 0; j < d; j++) ref_token(r, r->dw, t)[j] += dx[t * d + j];
        ref_linear_backward(r, dpatches, dx + prefix * d, seen, np, VIT_PATCH_WEIGHT,
                            VIT_PATCH_BIAS, 0, d, patch);
    }

    for (uint32_t i = 0; i < c->layers; i++) ref_block_free(&blocks[i]);
    double *all[] = {seen,   placed,  rows, last,    normed,  pooled,   feature,
                     logits, dlogits, dx,   dnormed, dpooled, dfeature, dpatches};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
    free(blocks);
    return loss;
}

#endif
