#include <stdlib.h>
#include <string.h>

#include "vit_train_layout.h"
#include "vitc_log.h"
#include "vitc_size.h"
#include "vitc_threads.h"

enum { GROUP_MAX = 4096 };

vit_train_options vit_train_options_default(void)
{
    return (vit_train_options){.batch = 64, .precision = VIT_PRECISION_F32};
}

static vitc_status check_options(const vit_config *config, const vit_train_options *options,
                                 const vitc_log *log)
{
    if (options->batch == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "training: a batch has at least one image");
    if (options->precision != VIT_PRECISION_DEFAULT && options->precision != VIT_PRECISION_F32 &&
        options->precision != VIT_PRECISION_BF16)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "training: the precision is %s; expected f32 or "
                         "bf16",
                         vit_precision_string(options->precision));
    const struct {
        const char *name;
        float value;
    } probabilities[] = {{"drop path", options->drop_path}, {"dropout", options->dropout}};
    for (size_t i = 0; i < sizeof probabilities / sizeof probabilities[0]; i++)
        if (!(probabilities[i].value >= 0 && probabilities[i].value < 1))
            return vitc_fail(log, VITC_ERR_ARGUMENT,
                             "training: %s is %g; expected a probability below 1",
                             probabilities[i].name, (double)probabilities[i].value);
    if (options->group > GROUP_MAX)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "training: a group of %u images; expected at most %d", options->group,
                         GROUP_MAX);
    if (options->frozen > config->layers)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "training: %u of %u blocks cannot be frozen",
                         options->frozen, config->layers);
    return VITC_OK;
}

vitc_status vit_trainer_check(const vit_config *config, const vit_train_options *options,
                              const vitc_log *log)
{
    VITC_TRY(vit_config_check(config, log));
    const struct {
        bool has;
        const char *name;
    } untrainable[] = {
        {config->qk_norm, "LayerNorm of queries and keys"},
        {config->pool == VIT_POOL_MAX || config->pool == VIT_POOL_AVGMAX, "pooling by maximum"},
        {config->distilled_head, "a distillation head"},
        {config->scores != VIT_SCORES_SOFTMAX, "scores other than softmax"},
    };
    for (size_t i = 0; i < sizeof untrainable / sizeof untrainable[0]; i++)
        if (untrainable[i].has)
            return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                             "%s: models with %s can be run but not trained yet",
                             config->architecture, untrainable[i].name);
    return check_options(config, options, log);
}

/* ---- sizes ---- */

/* Tokens of a group are enough for the products of weight gradients, whose sums run over them, and
 * few enough that the activations of a block stay in the caches. */
static uint32_t choose_group(const vit_config *config, const vit_train_options *options)
{
    enum { GROUP_TOKENS = 512 };
    const size_t chosen = options->group != 0
                              ? options->group
                              : vitc_size_divide_up(GROUP_TOKENS, vit_config_tokens(config));
    return (uint32_t)vitc_size_min(chosen, options->batch);
}

/* Rows whose distance is a multiple of a large power of two would all fall into the same few sets
 * of a cache, and a tile writes a dozen rows at once. */
static size_t row_stride(size_t width)
{
    enum { LINE = 16 };
    const size_t lines = vitc_size_divide_up(width, LINE);
    return (lines % 2 == 0 ? lines + 1 : lines) * LINE;
}

static size_t patch_size(const vit_config *config)
{
    return (size_t)PATCHES_CHANNELS * config->patch * config->patch;
}

static size_t matrix_in(const vit_param *param)
{
    return param->count / param->shape[0];
}

static const vit_gemm *matrix_gemm(const vit_trainer *t, vit_param_id id)
{
    if (id == VIT_PATCH_WEIGHT) return t->attention_gemm;
    return vit_param_in_encoder(id) ? t->encoder_gemm : &t->kernels.f32;
}

static size_t group_tokens(const vit_trainer *t)
{
    return (size_t)t->group *
           vit_config_tokens(&t->config); /* plan has seen that it does not wrap */
}

/* The scratch that grows: bytes so far, and whether they can be said. */
typedef struct scratch_size {
    size_t packed, thread;
    bool fits;
} scratch_size;

static void need(scratch_size *size, size_t packed, size_t thread)
{
    size->fits = size->fits && packed > 0 && thread > 0;
    size->packed = vitc_size_max(size->packed, packed);
    size->thread = vitc_size_max(size->thread, thread);
}

/* A matrix, multiplied by `per_image` tokens of each of up to a group of images. */
static void need_matrix(scratch_size *size, const vit_trainer *t, const vit_param *param,
                        size_t per_image)
{
    const vit_gemm *gemm = matrix_gemm(t, param->id);
    const size_t out = param->shape[0], in = matrix_in(param), threads = (size_t)t->threads;
    const size_t most = t->group * per_image;
    need(size, vit_op_linear_packed(gemm, most, in, threads), vit_op_linear_thread(gemm, in));
    need(size, vit_op_linear_packed(gemm, most, out, threads), vit_op_linear_thread(gemm, out));
    /* fewer tokens are cut into shorter passes but longer runs, and may need more */
    for (size_t images = 1; images <= t->group; images++)
        need(size, 1, vit_op_linear_backward_thread(gemm, images * per_image, in));
}

/* Bytes of scratch that the operations need; false on overflow. */
static bool size_scratch(vit_trainer *t)
{
    const size_t d = t->config.width, n = vit_config_tokens(&t->config), head = d / t->config.heads;
    /* all tokens, the patches among them, or the one that is pooled */
    const size_t per_image[] = {n, vit_config_patches(&t->config), 1};
    scratch_size size = {.fits = true};
    for (size_t i = 0; i < t->table.count; i++)
        if (t->table.params[i].kind == VIT_PARAM_MATRIX && t->table.params[i].layer == 0)
            for (size_t j = 0; j < sizeof per_image / sizeof per_image[0]; j++)
                need_matrix(&size, t, &t->table.params[i], per_image[j]);
    need(&size, vit_op_layernorm_backward_packed(group_tokens(t), d),
         vit_op_attention_thread(t->attention_gemm, n, head));
    need(&size, 1, vit_op_attention_backward_thread(t->attention_gemm, n, head));
    t->scratch.packed_size = size.packed;
    t->scratch.thread_size = vitc_size_round_up(size.thread, VITC_ALIGNMENT);
    return size.fits;
}

/* ---- the arena ---- */

/* Walks over the layout, twice: without a base to learn its size, then to hand out the places. */
typedef struct walk {
    vitc_arena arena;
    unsigned char *base;
} walk;

static void *place_bytes(walk *w, size_t size)
{
    const size_t offset = vitc_arena_reserve(&w->arena, size);
    return w->base != NULL ? w->base + offset : NULL;
}

/* `count` rows of `row` floats. */
static float *place(walk *w, size_t count, size_t row)
{
    size_t size;
    if (vitc_size_mul3(count, row, sizeof(float), &size)) return place_bytes(w, size);
    w->arena.overflow = true;
    return NULL;
}

static void place_linear(walk *w, const vit_trainer *t, train_linear *linear, vit_param_id weight,
                         vit_param_id bias, uint32_t layer, const float *zeros)
{
    const vit_param_table *table = &t->table;
    const size_t i = vit_params_find(table, weight, layer), b = vit_params_find(table, bias, layer);
    const vit_param *param = &table->params[i];
    const size_t out = param->shape[0], in = matrix_in(param);
    const vit_gemm *gemm = matrix_gemm(t, weight);
    const size_t sizes[] = {vit_linear_packed_size(gemm, out, in),
                            vit_linear_packed_size(gemm, in, out)};
    if (sizes[0] == 0 || sizes[1] == 0) w->arena.overflow = true;
    void *forward = place_bytes(w, sizes[0]), *backward = place_bytes(w, sizes[1]);
    if (w->base == NULL) return;
    *linear = (train_linear){
        .weight = t->parameters + param->offset,
        .dweight = t->gradients + param->offset,
        .dbias = b != SIZE_MAX ? t->gradients + table->params[b].offset : NULL,
        .forward = {out, in, gemm, forward,
                    b != SIZE_MAX ? t->parameters + table->params[b].offset : zeros},
        .backward = {in, out, gemm, backward, zeros},
    };
}

/* A parameter, or its gradient, in `of`; NULL where there is none. */
static float *find(const vit_trainer *t, float *of, vit_param_id id, uint32_t layer)
{
    const size_t i = vit_params_find(&t->table, id, layer);
    return i == SIZE_MAX ? NULL : of + t->table.params[i].offset;
}

static train_norm find_norm(const vit_trainer *t, vit_param_id weight, vit_param_id bias,
                            uint32_t layer)
{
    return (train_norm){.norm = {find(t, t->parameters, weight, layer),
                                 find(t, t->parameters, bias, layer), t->config.norm_eps},
                        .dweight = find(t, t->gradients, weight, layer),
                        .dbias = find(t, t->gradients, bias, layer)};
}

static train_scale find_scale(const vit_trainer *t, vit_param_id id, uint32_t layer)
{
    return (train_scale){find(t, t->parameters, id, layer), find(t, t->gradients, id, layer)};
}

/* The parameters that are no matrices. */
static void bind_parameters(vit_trainer *t)
{
    t->class_token = find(t, t->parameters, VIT_CLS_TOKEN, 0);
    t->dclass_token = find(t, t->gradients, VIT_CLS_TOKEN, 0);
    t->distillation_token = find(t, t->parameters, VIT_DIST_TOKEN, 0);
    t->ddistillation_token = find(t, t->gradients, VIT_DIST_TOKEN, 0);
    t->register_tokens = find(t, t->parameters, VIT_REG_TOKEN, 0);
    t->dregister_tokens = find(t, t->gradients, VIT_REG_TOKEN, 0);
    t->position = vit_config_position(&t->config);
    t->position.table = find(t, t->parameters, VIT_POS_EMBED, 0);
    t->dposition = find(t, t->gradients, VIT_POS_EMBED, 0);
    t->norm_pre = find_norm(t, VIT_NORM_PRE_WEIGHT, VIT_NORM_PRE_BIAS, 0);
    t->norm_final = find_norm(t, VIT_NORM_WEIGHT, VIT_NORM_BIAS, 0);
    t->norm_pooled = find_norm(t, VIT_FC_NORM_WEIGHT, VIT_FC_NORM_BIAS, 0);
    for (uint32_t i = 0; i < t->config.layers; i++) {
        train_block *block = &t->blocks[i];
        block->norm1 = find_norm(t, VIT_NORM1_WEIGHT, VIT_NORM1_BIAS, i);
        block->norm2 = find_norm(t, VIT_NORM2_WEIGHT, VIT_NORM2_BIAS, i);
        block->scale1 = find_scale(t, VIT_LS1_GAMMA, i);
        block->scale2 = find_scale(t, VIT_LS2_GAMMA, i);
    }
}

/* What a block keeps; with `share` another block's, all but its input. */
static void place_activations(walk *w, const vit_trainer *t, train_block *block,
                              const train_block *share)
{
    const size_t tokens = group_tokens(t);
    const size_t scaled = t->config.layer_scale ? tokens : 0;
    const train_strides ld = t->ld;
    block->x = place(w, tokens, ld.token);
    if (share != NULL) {
        block->qkv_rows = share->qkv_rows;
        block->attended = share->attended;
        block->middle = share->middle;
        block->z = share->z;
        block->scaled1 = share->scaled1;
        block->scaled2 = share->scaled2;
        return;
    }
    block->qkv_rows = place(w, tokens, ld.qkv);
    block->attended = place(w, tokens, ld.token);
    block->middle = place(w, tokens, ld.token);
    block->z = place(w, tokens, ld.hidden);
    float *first = place(w, scaled, ld.token), *second = place(w, scaled, ld.token);
    block->scaled1 = scaled > 0 ? first : NULL;
    block->scaled2 = scaled > 0 ? second : NULL;
}

/* The drawing of vit_train_layout.h. */
static void walk_layout(walk *w, vit_trainer *t)
{
    const vit_config *config = &t->config;
    const size_t d = config->width, k = config->classes, group = t->group;
    const size_t tokens = group_tokens(t);
    const size_t longest =
        vitc_size_max(vitc_size_max(3 * d, config->mlp), vitc_size_max(k, patch_size(config)));
    t->parameters = place(w, t->table.elements, 1);
    t->gradients = place(w, t->table.elements, 1);
    t->zeros_count = longest;
    t->zeros = place(w, longest, 1);

    const float *zeros = t->zeros;
    place_linear(w, t, &t->patch_embedding, VIT_PATCH_WEIGHT, VIT_PATCH_BIAS, 0, zeros);
    place_linear(w, t, &t->head, VIT_HEAD_WEIGHT, VIT_HEAD_BIAS, 0, zeros);
    for (uint32_t i = 0; i < config->layers; i++) {
        train_block *block = &t->blocks[i];
        place_linear(w, t, &block->qkv, VIT_QKV_WEIGHT, VIT_QKV_BIAS, i, zeros);
        place_linear(w, t, &block->proj, VIT_PROJ_WEIGHT, VIT_PROJ_BIAS, i, zeros);
        place_linear(w, t, &block->fc1, VIT_FC1_WEIGHT, VIT_FC1_BIAS, i, zeros);
        place_linear(w, t, &block->fc2, VIT_FC2_WEIGHT, VIT_FC2_BIAS, i, zeros);
    }
    place_bytes(w, VIT_KERNEL_OVERREAD);

    const size_t patch_rows = vit_config_patches(config) * patch_size(config);
    t->patches = place(w, t->options.batch, patch_rows);
    for (uint32_t i = 0; i < config->layers; i++)
        place_activations(w, t, &t->blocks[i],
                          t->options.recompute && i > 0 ? &t->blocks[0] : NULL);
    float *out = place(w, tokens, t->ld.token);
    for (uint32_t i = 0; i < config->layers; i++)
        t->blocks[i].out = i + 1 < config->layers ? t->blocks[i + 1].x : out;

    t->normed = place(w, tokens, t->ld.token);
    t->dnormed = place(w, tokens, t->ld.token);
    t->hidden = place(w, tokens, t->ld.hidden);
    t->dwide = place(w, tokens, t->ld.wide);
    t->dx = place(w, tokens, t->ld.token);
    t->dbranch = place(w, tokens, t->ld.token);
    t->embedded = place(w, config->norm_pre ? tokens : 0, t->ld.token);
    t->pooled = place(w, group, d);
    t->features = config->norm_pooled ? place(w, group, d) : t->pooled;
    t->dpooled = place(w, group, d);
    t->dfeatures = config->norm_pooled ? place(w, group, d) : t->dpooled;
    t->logits = place(w, group, k);
    t->dlogits = place(w, group, k);
    t->scratch.packed = place_bytes(w, t->scratch.packed_size);
    place_bytes(w, VIT_KERNEL_OVERREAD);
    t->scratch.thread =
        (unsigned char *)place(w, (size_t)t->threads, t->scratch.thread_size / sizeof(float));
    place_bytes(w, VIT_KERNEL_OVERREAD);
}

/* ---- life ---- */

/* A trainer without its arena, whose size comes back in *size. */
static vitc_status plan(vit_trainer **out, size_t *size, const vit_config *config,
                        const vit_train_options *options, const vitc_log *log)
{
    *out = NULL;
    VITC_TRY(vit_trainer_check(config, options, log));
    vit_trainer *t = calloc(1, sizeof *t);
    if (t == NULL) return vitc_fail_memory(log, "the trainer");
    t->config = *config;
    t->options = *options;
    t->threads = t->options.threads = vitc_threads_choose(options->threads, NULL, 0);
    t->group = t->options.group = choose_group(config, options);
    t->blocks = calloc(config->layers, sizeof *t->blocks);
    vitc_status status = VITC_OK;
    if (t->blocks == NULL) status = vitc_fail_memory(log, "the trainer");
    if (status == VITC_OK) status = vit_kernels_select(&t->kernels, log);
    if (status == VITC_OK) status = vit_params_create(&t->table, config, log);
    if (status != VITC_OK) {
        vit_trainer_free(t);
        return status;
    }
    const bool bf16 = options->precision == VIT_PRECISION_BF16;
    t->options.precision = bf16 ? VIT_PRECISION_BF16 : VIT_PRECISION_F32;
    t->encoder_gemm = bf16 ? &t->kernels.bf16 : &t->kernels.f32;
    /* as in a model that runs: rounding here only pays where it saves time */
    t->attention_gemm = bf16 && t->kernels.native_bf16 ? &t->kernels.bf16 : &t->kernels.f32;
    t->ld = (train_strides){row_stride(config->width), row_stride(3 * (size_t)config->width),
                            row_stride(config->mlp), 0};
    t->ld.wide = vitc_size_max(t->ld.qkv, t->ld.hidden);

    size_t tokens;
    walk w = {0};
    /* vit_config_check bounds every factor, but their product with the group may still wrap */
    if (!vitc_size_mul(t->group, vit_config_tokens(config), &tokens) || !size_scratch(t))
        w.arena.overflow = true;
    else
        walk_layout(&w, t);
    if (w.arena.overflow) {
        vit_trainer_free(t);
        return vitc_fail(log, VITC_ERR_TOO_LARGE,
                         "training %s with a batch of %u does not fit in this machine's address "
                         "space",
                         config->architecture, options->batch);
    }
    *size = w.arena.size;
    *out = t;
    return VITC_OK;
}

size_t vit_trainer_size(const vit_config *config, const vit_train_options *options)
{
    vit_trainer *t;
    size_t size = 0;
    if (plan(&t, &size, config, options, NULL) != VITC_OK) return 0;
    vit_trainer_free(t);
    return size;
}

vitc_status vit_trainer_create(vit_trainer **out, const vit_config *config,
                               const vit_train_options *options, const vitc_log *log)
{
    vit_trainer *t;
    size_t size;
    *out = NULL;
    VITC_TRY(plan(&t, &size, config, options, log));
    t->block = vitc_aligned_alloc(size);
    if (t->block == NULL) {
        vit_trainer_free(t);
        return vitc_fail(log, VITC_ERR_MEMORY,
                         "out of memory for the %zu MiB that training %s takes; use a smaller "
                         "batch than %u or recompute activations",
                         size >> 20, config->architecture, options->batch);
    }
    walk w = {.base = t->block};
    walk_layout(&w, t);
    bind_parameters(t);
    memset(t->parameters, 0, t->table.elements * sizeof *t->parameters);
    memset(t->zeros, 0, t->zeros_count * sizeof *t->zeros);
    vit_trainer_zero_gradients(t);
    *out = t;
    return VITC_OK;
}

void vit_trainer_free(vit_trainer *t)
{
    if (t == NULL) return;
    vit_params_free(&t->table);
    vitc_aligned_free(t->block);
    free(t->blocks);
    free(t);
}

const vit_config *vit_trainer_config(const vit_trainer *t)
{
    return &t->config;
}

const vit_train_options *vit_trainer_options(const vit_trainer *t)
{
    return &t->options;
}

float *vit_trainer_parameters(vit_trainer *t)
{
    return t->parameters;
}

float *vit_trainer_gradients(vit_trainer *t)
{
    return t->gradients;
}

size_t vit_trainer_count(const vit_trainer *t)
{
    return t->table.elements;
}

float *vit_trainer_patches(vit_trainer *t, uint32_t b)
{
    return t->patches + (size_t)b * vit_config_patches(&t->config) * patch_size(&t->config);
}

void vit_trainer_zero_gradients(vit_trainer *t)
{
    memset(t->gradients, 0, t->table.elements * sizeof *t->gradients);
}
