/* vit_forward_support.h - models of random numbers, and a plain reading of the paper that they are
 * compared with. */
#ifndef VIT_FORWARD_SUPPORT_H
#define VIT_FORWARD_SUPPORT_H

#include "vit_model_layout.h"
#include "vit_test_support.h"

static const vitc_log log_lines = {test_log_line, NULL};

/* Random parameters in table order: model->params[i] for the reference, packed in `model`. */
typedef struct random_model {
    vit_config config;
    vit_model *model;
    float **params;
    size_t count;
} random_model;

/* Sets all parameters, vectors first, and finishes. */
static inline void finish_model(vit_model *model, float **params)
{
    const vit_param_table *table = vit_model_params(model);
    const vit_config *config = &model->config;
    for (int matrices = 0; matrices < 2; matrices++)
        for (size_t i = 0; i < table->count; i++)
            if ((table->params[i].kind == VIT_PARAM_MATRIX) == (matrices == 1))
                assert_int_equal(vit_model_set(model, i, params[i], &log_lines), VITC_OK);
    vit_description description = {.source = "test",
                                   .preprocess = {.resize = PATCHES_RESIZE_EXACT,
                                                  .resize_height = config->image_height,
                                                  .resize_width = config->image_width,
                                                  .filter = IMGIO_BICUBIC,
                                                  .rescale = 1 / 255.0}};
    assert_int_equal(vit_model_finish(model, &description, "test", &log_lines), VITC_OK);
}

static inline random_model make_model_as(const vit_config *config, vit_precision precision,
                                         vit_dtype stored)
{
    random_model m = {.config = *config};
    assert_int_equal(vit_model_create(&m.model, config, precision, stored, "test", &log_lines),
                     VITC_OK);
    const vit_param_table *table = vit_model_params(m.model);
    m.count = table->count;
    m.params = calloc(table->count, sizeof *m.params);
    assert_non_null(m.params);
    for (size_t i = 0; i < table->count; i++) {
        const vit_param *p = &table->params[i];
        const bool gain = strstr(p->name, "norm") != NULL && strstr(p->name, "weight") != NULL;
        m.params[i] =
            test_random_floats(p->count, p->kind == VIT_PARAM_MATRIX ? 0.15 : 0.3, 77 + i);
        for (size_t j = 0; gain && j < p->count; j++) m.params[i][j] += 1;
    }
    finish_model(m.model, m.params);
    return m;
}

static inline random_model make_model(const vit_config *config)
{
    return make_model_as(config, VIT_PRECISION_F32, VIT_DTYPE_F32);
}

static inline void free_model(random_model *m)
{
    for (size_t i = 0; i < m->count; i++) vitc_aligned_free(m->params[i]);
    free(m->params);
    vit_model_free(m->model);
}

static inline const float *param(const random_model *m, vit_param_id id, uint32_t layer)
{
    const size_t i = vit_params_find(vit_model_params(m->model), id, layer);
    return i == SIZE_MAX ? NULL : m->params[i];
}

/* ---- the paper, plainly ---- */

static inline void add(float *x, const float *y, const float *scale, size_t tokens, size_t width)
{
    for (size_t t = 0; t < tokens; t++)
        for (size_t d = 0; d < width; d++)
            x[t * width + d] += (scale != NULL ? scale[d] : 1) * y[t * width + d];
}

static inline void linear(float *out, const float *x, size_t tokens, const float *w, const float *b,
                          size_t outputs, size_t inputs, vit_epilogue f)
{
    float *zeros = calloc(outputs, sizeof *zeros);
    vit_ref_linear(out, outputs, x, inputs, tokens, w, b != NULL ? b : zeros, outputs, inputs, f,
                   false);
    free(zeros);
}

static inline void norm(float *x, const float *from, size_t tokens, const random_model *m,
                        vit_param_id weight, vit_param_id bias, uint32_t layer)
{
    const size_t d = m->config.width;
    const vit_norm norm = {param(m, weight, layer), param(m, bias, layer), m->config.norm_eps};
    vit_ref_layernorm(x, d, from, d, tokens, &norm, d);
}

/* The parameter that a block has of its own, or that all share. */
static inline const float *position_param(const random_model *m, vit_param_id shared,
                                          vit_param_id own, uint32_t layer)
{
    return m->config.position_at == PATCHES_POSITION_EVERY ? param(m, own, layer)
                                                           : param(m, shared, 0);
}

/* Number `i` of the position of the patch at row y and column x: the formulas of patches.h. */
static inline double position_number(const random_model *m, uint32_t layer, size_t y, size_t x,
                                     size_t i)
{
    const vit_config *c = &m->config;
    const size_t d = c->width, gw = c->image_width / c->patch, quarter = d < 4 ? 1 : d / 4;
    const size_t first = c->position_covers_prefix ? vit_config_prefix_tokens(c) : 0;
    const float *table = position_param(m, VIT_POS_EMBED, VIT_BLOCK_POS_EMBED, layer);
    const float *rows = position_param(m, VIT_POS_ROWS, VIT_BLOCK_POS_ROWS, layer);
    const float *columns = position_param(m, VIT_POS_COLUMNS, VIT_BLOCK_POS_COLUMNS, layer);
    const double angle =
        (double)(i < 2 * quarter ? x : y) * pow(10000, -(double)(i % quarter) / (double)quarter);
    switch (c->position) {
    case PATCHES_POSITION_LEARNED_1D:
        return (double)table[(first + y * gw + x) * d + i];
    case PATCHES_POSITION_LEARNED_2D:
        return (double)(i < d / 2 ? columns[x * (d / 2) + i] : rows[y * (d / 2) + i - d / 2]);
    case PATCHES_POSITION_FACTORIZED:
        return (double)rows[y * d + i] + (double)columns[x * d + i];
    case PATCHES_POSITION_SINCOS_2D:
        return i / quarter % 2 == 0 ? sin(angle) : cos(angle);
    default:
        return 0;
    }
}

/* Every token with its position, as the embedding and the beginning of later blocks have it. */
static inline void position(float *x, const random_model *m, uint32_t layer)
{
    const vit_config *c = &m->config;
    const size_t d = c->width, gw = c->image_width / c->patch;
    const size_t n = vit_config_tokens(c), prefix = vit_config_prefix_tokens(c);
    const bool adds = c->position_op == PATCHES_POSITION_ADD;
    for (size_t t = 0; t < n; t++)
        for (size_t i = 0; i < d; i++) {
            double p = 0;
            if (t >= prefix)
                p = position_number(m, layer, (t - prefix) / gw, (t - prefix) % gw, i);
            else if (c->position_covers_prefix && c->position == PATCHES_POSITION_LEARNED_1D)
                p = (double)position_param(m, VIT_POS_EMBED, VIT_BLOCK_POS_EMBED, layer)[t * d + i];
            const double before = (double)x[t * d + i];
            x[t * d + i] = (float)(adds ? before + p : before * (1 + p));
        }
}

/* A query or key of token t after its norm, turned where positions are rotary. */
static inline void attention_row(double *out, const float *row, const random_model *m,
                                 vit_param_id weight, vit_param_id bias, uint32_t layer, size_t t)
{
    const vit_config *c = &m->config;
    const size_t dh = c->width / c->heads, gw = c->image_width / c->patch;
    const size_t prefix = vit_config_prefix_tokens(c);
    const float *w = param(m, weight, layer), *b = param(m, bias, layer);
    double mean = 0, variance = 0;
    for (size_t i = 0; i < dh; i++) mean += (double)row[i] / (double)dh;
    for (size_t i = 0; i < dh; i++)
        variance += ((double)row[i] - mean) * ((double)row[i] - mean) / (double)dh;
    for (size_t i = 0; i < dh; i++)
        out[i] = w == NULL ? (double)row[i]
                           : ((double)row[i] - mean) / sqrt(variance + (double)c->norm_eps) *
                                     (double)w[i] +
                                 (double)b[i];
    if (c->position != PATCHES_POSITION_ROPE_2D || t < prefix) return;
    const size_t quarter = dh < 4 ? 1 : dh / 4;
    for (size_t pair = 0; pair < dh / 2; pair++) {
        const size_t j = pair % quarter, p = t - prefix;
        const double place = (double)(pair < quarter ? p % gw : p / gw);
        const double angle = place * pow(100, -4.0 * (double)j / (double)dh);
        const double re = out[2 * pair], im = out[2 * pair + 1];
        out[2 * pair] = re * cos(angle) - im * sin(angle);
        out[2 * pair + 1] = re * sin(angle) + im * cos(angle);
    }
}

/* The bias of a query and a key, of head h. */
static inline double relative_bias(const random_model *m, uint32_t layer, size_t h, size_t query,
                                   size_t key)
{
    const vit_config *c = &m->config;
    const size_t gh = c->image_height / c->patch, gw = c->image_width / c->patch;
    const size_t prefix = vit_config_prefix_tokens(c), offsets = (2 * gh - 1) * (2 * gw - 1);
    const float *table = position_param(m, VIT_RELATIVE_TABLE, VIT_BLOCK_RELATIVE_TABLE, layer);
    if (c->position != PATCHES_POSITION_RELATIVE) return 0;
    size_t row = offsets + (query < prefix && key < prefix ? 2 : key < prefix ? 1 : 0);
    if (query >= prefix && key >= prefix) {
        const size_t q = query - prefix, k = key - prefix;
        row = (q / gw + gh - 1 - k / gw) * (2 * gw - 1) + (q % gw + gw - 1 - k % gw);
    }
    return (double)table[row * c->heads + h];
}

/* One image's attention in double, with the positions that work inside it. */
static inline void attention_with_positions(float *out, const float *qkv, const random_model *m,
                                            uint32_t layer)
{
    const vit_config *c = &m->config;
    const size_t d = c->width, n = vit_config_tokens(c), dh = d / c->heads;
    double *q = calloc(dh, sizeof *q), *k = calloc(dh, sizeof *k), *p = calloc(n, sizeof *p);
    assert_true(q != NULL && k != NULL && p != NULL);
    for (size_t h = 0; h < c->heads; h++)
        for (size_t t = 0; t < n; t++) {
            double highest = -INFINITY, sum = 0;
            attention_row(q, qkv + t * 3 * d + h * dh, m, VIT_Q_NORM_WEIGHT, VIT_Q_NORM_BIAS, layer,
                          t);
            for (size_t u = 0; u < n; u++) {
                attention_row(k, qkv + u * 3 * d + d + h * dh, m, VIT_K_NORM_WEIGHT,
                              VIT_K_NORM_BIAS, layer, u);
                p[u] = 0;
                for (size_t i = 0; i < dh; i++) p[u] += q[i] * k[i] / sqrt((double)dh);
                p[u] += relative_bias(m, layer, h, t, u);
                highest = fmax(highest, p[u]);
            }
            for (size_t u = 0; u < n; u++) sum += p[u] = exp(p[u] - highest);
            for (size_t i = 0; i < dh; i++) {
                double value = 0;
                for (size_t u = 0; u < n; u++)
                    value += p[u] / sum * (double)qkv[u * 3 * d + 2 * d + h * dh + i];
                out[t * d + h * dh + i] = (float)value;
            }
        }
    free(q);
    free(k);
    free(p);
}

static inline void reference_forward(float *logits, const random_model *m, const float *patches)
{
    const vit_config *c = &m->config;
    const size_t d = c->width, n = vit_config_tokens(c), np = vit_config_patches(c);
    const size_t patch = 3 * (size_t)c->patch * c->patch, prefix = vit_config_prefix_tokens(c);
    static const vit_epilogue act[] = {VIT_EPILOGUE_GELU_ERF, VIT_EPILOGUE_GELU_TANH,
                                       VIT_EPILOGUE_GELU_QUICK, VIT_EPILOGUE_RELU,
                                       VIT_EPILOGUE_SILU};
    float *x = test_floats(n * d), *h = test_floats(n * d), *a = test_floats(n * d);
    float *qkv = test_floats(n * 3 * d), *mlp = test_floats(n * c->mlp);
    float *token = x;
    if (c->class_token) memcpy(token, param(m, VIT_CLS_TOKEN, 0), d * sizeof *x), token += d;
    if (c->distillation_token)
        memcpy(token, param(m, VIT_DIST_TOKEN, 0), d * sizeof *x), token += d;
    if (c->registers > 0) memcpy(token, param(m, VIT_REG_TOKEN, 0), c->registers * d * sizeof *x);
    linear(x + prefix * d, patches, np, param(m, VIT_PATCH_WEIGHT, 0), param(m, VIT_PATCH_BIAS, 0),
           d, patch, VIT_EPILOGUE_BIAS);
    position(x, m, 0);
    if (c->norm_pre) norm(x, x, n, m, VIT_NORM_PRE_WEIGHT, VIT_NORM_PRE_BIAS, 0);
    for (uint32_t i = 0; i < c->layers; i++) {
        const vit_qk_norm qk = {
            {param(m, VIT_Q_NORM_WEIGHT, i), param(m, VIT_Q_NORM_BIAS, i), c->norm_eps},
            {param(m, VIT_K_NORM_WEIGHT, i), param(m, VIT_K_NORM_BIAS, i), c->norm_eps}};
        if (i > 0 && c->position_at != PATCHES_POSITION_STEM) position(x, m, i);
        norm(h, x, n, m, VIT_NORM1_WEIGHT, VIT_NORM1_BIAS, i);
        linear(qkv, h, n, param(m, VIT_QKV_WEIGHT, i), param(m, VIT_QKV_BIAS, i), 3 * d, d,
               VIT_EPILOGUE_BIAS);
        if (c->position == PATCHES_POSITION_RELATIVE || c->position == PATCHES_POSITION_ROPE_2D)
            attention_with_positions(a, qkv, m, i);
        else
            vit_ref_attention(a, qkv, 1, n, c->heads, d / c->heads, &qk, NULL);
        linear(h, a, n, param(m, VIT_PROJ_WEIGHT, i), param(m, VIT_PROJ_BIAS, i), d, d,
               VIT_EPILOGUE_BIAS);
        add(x, h, param(m, VIT_LS1_GAMMA, i), n, d);
        norm(h, x, n, m, VIT_NORM2_WEIGHT, VIT_NORM2_BIAS, i);
        linear(mlp, h, n, param(m, VIT_FC1_WEIGHT, i), param(m, VIT_FC1_BIAS, i), c->mlp, d,
               act[c->activation]);
        linear(h, mlp, n, param(m, VIT_FC2_WEIGHT, i), param(m, VIT_FC2_BIAS, i), d, c->mlp,
               VIT_EPILOGUE_BIAS);
        add(x, h, param(m, VIT_LS2_GAMMA, i), n, d);
    }
    if (c->norm_final) norm(x, x, n, m, VIT_NORM_WEIGHT, VIT_NORM_BIAS, 0);
    memcpy(h, x, d * sizeof *x);
    if (c->pool != VIT_POOL_TOKEN)
        vit_pool_tokens(h, x + prefix * d, d, np, d, c->pool != VIT_POOL_MAX,
                        c->pool != VIT_POOL_AVG);
    if (c->norm_pooled) norm(h, h, 1, m, VIT_FC_NORM_WEIGHT, VIT_FC_NORM_BIAS, 0);
    linear(logits, h, 1, param(m, VIT_HEAD_WEIGHT, 0), param(m, VIT_HEAD_BIAS, 0), c->classes, d,
           VIT_EPILOGUE_BIAS);
    if (c->distilled_head) {
        float *second = test_floats(c->classes);
        linear(second, x + d, 1, param(m, VIT_HEAD_DIST_WEIGHT, 0), param(m, VIT_HEAD_DIST_BIAS, 0),
               c->classes, d, VIT_EPILOGUE_BIAS);
        for (uint32_t k = 0; k < c->classes; k++) logits[k] = (logits[k] + second[k]) / 2;
        vitc_aligned_free(second);
    }
    vitc_aligned_free(x);
    vitc_aligned_free(h);
    vitc_aligned_free(a);
    vitc_aligned_free(qkv);
    vitc_aligned_free(mlp);
}

#endif
