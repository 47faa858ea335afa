/* The memory that vit_train_layout.h draws: how large, where each part is, and whose numbers the
 * parts of a trainer look at. */
#include <math.h>
#include <string.h>

#include "vit_train_layout.h"
#include "vitc_size.h"

/* ---- sizes ---- */

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

/* Of a pass that drops patches, if the options do. */
static size_t image_tokens(const vit_trainer *t)
{
    return (size_t)vit_config_prefix_tokens(&t->config) + t->kept;
}

/* Tokens that activations have room for: a group's, and all of one image; 0 on overflow. */
static size_t group_tokens(const vit_trainer *t)
{
    size_t tokens;
    if (!vitc_size_mul(t->group, image_tokens(t), &tokens)) return 0;
    return vitc_size_max(tokens, vit_config_tokens(&t->config));
}

/* Patches of an image that take part in a pass that drops some. */
static uint32_t choose_kept(const vit_config *config, const vit_train_options *options)
{
    const double kept = vit_config_patches(config) * (1 - (double)options->patch_dropout);
    return (uint32_t)fmax(1, round(kept));
}

/* Tokens of a group are enough for the products of weight gradients, whose sums run over them, and
 * few enough that the activations of a block stay in the caches. An even number, as its heads
 * are dealt out to threads, which mostly are even, too. */
static uint32_t choose_group(const vit_train_options *options, size_t tokens)
{
    enum { GROUP_TOKENS = 512 };
    const size_t enough = vitc_size_round_up(vitc_size_divide_up(GROUP_TOKENS, tokens), 2);
    return (uint32_t)vitc_size_min(options->group != 0 ? options->group : enough, options->batch);
}

/* Rows whose distance is a multiple of a large power of two would all fall into the same few sets
 * of a cache, and a tile writes a dozen rows at once. */
static size_t row_stride(size_t width)
{
    enum { LINE = 16 };
    const size_t lines = vitc_size_divide_up(width, LINE);
    return (lines % 2 == 0 ? lines + 1 : lines) * LINE;
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

/* A matrix, multiplied by `per_image` tokens of each of up to `group` images. */
static void need_product(scratch_size *size, const vit_trainer *t, const vit_param *param,
                         size_t group, size_t per_image)
{
    const vit_gemm *gemm = matrix_gemm(t, param->id);
    const size_t out = param->shape[0], in = matrix_in(param), threads = (size_t)t->threads;
    const size_t most = group * per_image;
    need(size, vit_op_linear_packed(gemm, most, in, threads), vit_op_linear_thread(gemm, in));
    need(size, vit_op_linear_packed(gemm, most, out, threads), vit_op_linear_thread(gemm, out));
}

/* And its gradient. */
static void need_gradient(scratch_size *size, const vit_trainer *t, const vit_param *param,
                          size_t group, size_t per_image)
{
    need_product(size, t, param, group, per_image);
    /* fewer tokens are cut into shorter passes but longer runs, and may need more */
    for (size_t images = 1; images <= group; images++)
        need(size, 1,
             vit_op_linear_backward_thread(matrix_gemm(t, param->id), images * per_image,
                                           matrix_in(param)));
}

/* Bytes of scratch that the operations need; false on overflow. */
static bool size_scratch(vit_trainer *t)
{
    const vit_config *config = &t->config;
    const size_t d = config->width, n = vit_config_tokens(config), head = d / config->heads;
    /* all tokens, the patches among them, or the one that is pooled */
    const size_t some[] = {image_tokens(t), t->kept, 1};
    const size_t whole[] = {n, vit_config_patches(config), 1};
    scratch_size size = {.fits = true};
    for (size_t i = 0; i < t->table.count; i++) {
        const vit_param *param = &t->table.params[i];
        if (param->kind != VIT_PARAM_MATRIX || param->layer > 0) continue;
        for (size_t j = 0; j < sizeof some / sizeof some[0]; j++) {
            need_gradient(&size, t, param, t->group, some[j]);
            need_gradient(&size, t, param, t->whole_group, whole[j]);
        }
    }
    need(&size, vit_op_layernorm_backward_packed(group_tokens(t), d),
         vit_op_attention_thread(t->attention_gemm, n, head));
    /* fewer tokens, too, make longer runs */
    need(&size, 1, vit_op_attention_backward_thread(t->attention_gemm, n, head));
    need(&size, 1, vit_op_attention_backward_thread(t->attention_gemm, image_tokens(t), head));
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

/* Numbers of a table for the patches. */
static size_t table_size(const vit_trainer *t)
{
    return (size_t)vit_config_patches(&t->config) * t->config.width;
}

/* Each block has positions of its own, or all have the first one's. */
static bool owns_positions(const vit_config *config, uint32_t layer)
{
    return layer == 0 || (config->position_at == PATCHES_POSITION_EVERY &&
                          config->position != PATCHES_POSITION_SINCOS_2D);
}

/* A parameter of positions, of one block or of all, and its gradient. With any block frozen, what
 * all share is too. */
typedef struct train_shared {
    const float *values;
    float *gradient;
} train_shared;

static train_shared find_shared(const vit_trainer *t, vit_param_id id, vit_param_id in_block,
                                uint32_t layer)
{
    const bool every = t->config.position_at == PATCHES_POSITION_EVERY;
    const uint32_t frozen = t->options.frozen;
    const vit_param_id is = every ? in_block : id;
    const bool trained = every ? layer >= frozen : frozen == 0;
    return (train_shared){find(t, t->parameters, is, every ? layer : 0),
                          trained ? find(t, t->gradients, is, every ? layer : 0) : NULL};
}

/* The table of positions that a block owns; the memory of its numbers is there. */
static void bind_table(const vit_trainer *t, train_position *own, uint32_t layer)
{
    const train_shared table = find_shared(t, VIT_POS_EMBED, VIT_BLOCK_POS_EMBED, layer);
    const train_shared rows = find_shared(t, VIT_POS_ROWS, VIT_BLOCK_POS_ROWS, layer);
    const train_shared columns = find_shared(t, VIT_POS_COLUMNS, VIT_BLOCK_POS_COLUMNS, layer);
    own->table = vit_config_position(&t->config);
    own->table.table = own->filled != NULL ? own->filled : table.values;
    own->rows = rows.values;
    own->columns = columns.values;
    own->drows = rows.gradient;
    own->dcolumns = columns.gradient;
    if (table.values != NULL) own->dtable = table.gradient;
    if (rows.values != NULL && rows.gradient == NULL) own->dtable = NULL;
    if (t->config.position == PATCHES_POSITION_SINCOS_2D)
        patches_position_fill(own->filled, &own->table, NULL, NULL);
    else if (own->dtable != NULL && own->filled != NULL)
        memset(own->dtable, 0, table_size(t) * sizeof *own->dtable);
}

/* What each block has of positions: a part of its own, or the first one's. */
static void bind_positions(vit_trainer *t)
{
    const vit_config *config = &t->config;
    const bool relative = config->position == PATCHES_POSITION_RELATIVE;
    const bool table = patches_position_has_table(config->position);
    for (uint32_t i = 0; i < config->layers; i++) {
        train_block *block = &t->blocks[i], *owner = owns_positions(config, i) ? block : t->blocks;
        if (table && owner == block) bind_table(t, &block->own, i);
        if (relative && owner == block) {
            const train_shared shared =
                find_shared(t, VIT_RELATIVE_TABLE, VIT_BLOCK_RELATIVE_TABLE, i);
            block->own_relative.table = shared.values;
            block->own_relative.dtable = shared.gradient;
            block->own_relative.bias =
                (vit_relative){vit_config_relative(config), block->own_relative.biases};
        }
        const bool here = i == 0 || config->position_at != PATCHES_POSITION_STEM;
        block->position = table && here ? &owner->own : NULL;
        block->relative = relative ? &owner->own_relative : NULL;
    }
    /* nothing is turned, where only norms are asked for */
    t->rope.prefix = config->position == PATCHES_POSITION_ROPE_2D ? vit_config_prefix_tokens(config)
                                                                  : vit_config_tokens(config);
    if (config->position == PATCHES_POSITION_ROPE_2D)
        patches_rope_fill(t->cosines, t->sines, config->image_height / config->patch,
                          config->image_width / config->patch, config->width / config->heads);
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
    t->norm_pre = find_norm(t, VIT_NORM_PRE_WEIGHT, VIT_NORM_PRE_BIAS, 0);
    t->norm_final = find_norm(t, VIT_NORM_WEIGHT, VIT_NORM_BIAS, 0);
    t->norm_pooled = find_norm(t, VIT_FC_NORM_WEIGHT, VIT_FC_NORM_BIAS, 0);
    t->blocks_end = t->table.elements;
    for (size_t i = t->table.count; i-- > 0 && !vit_param_in_block(t->table.params[i].id);)
        t->blocks_end = t->table.params[i].offset;
    for (size_t i = t->table.count; i-- > 0;)
        if (vit_param_in_block(t->table.params[i].id))
            t->blocks[t->table.params[i].layer].from = t->table.params[i].offset;
    for (uint32_t i = 0; i < t->config.layers; i++) {
        train_block *block = &t->blocks[i];
        block->q_norm = find_norm(t, VIT_Q_NORM_WEIGHT, VIT_Q_NORM_BIAS, i);
        block->k_norm = find_norm(t, VIT_K_NORM_WEIGHT, VIT_K_NORM_BIAS, i);
        block->norm1 = find_norm(t, VIT_NORM1_WEIGHT, VIT_NORM1_BIAS, i);
        block->norm2 = find_norm(t, VIT_NORM2_WEIGHT, VIT_NORM2_BIAS, i);
        block->scale1 = find_scale(t, VIT_LS1_GAMMA, i);
        block->scale2 = find_scale(t, VIT_LS2_GAMMA, i);
    }
}

/* What positions are made into, and where their gradients gather. */
static void place_positions(walk *w, vit_trainer *t)
{
    const vit_config *config = &t->config;
    const bool axes = patches_position_has_axes(config->position);
    const bool filled = axes || config->position == PATCHES_POSITION_SINCOS_2D;
    const bool relative = config->position == PATCHES_POSITION_RELATIVE;
    const bool rotary = config->position == PATCHES_POSITION_ROPE_2D;
    const patches_relative shape = vit_config_relative(config);
    const size_t rows = relative ? patches_relative_rows(&shape) : 0;
    for (uint32_t i = 0; i < config->layers; i++) {
        if (!owns_positions(config, i)) continue;
        float *table = place(w, filled ? table_size(t) : 0, 1);
        float *dtable = place(w, axes ? table_size(t) : 0, 1);
        t->blocks[i].own.filled = filled ? table : NULL;
        t->blocks[i].own.dtable = axes ? dtable : NULL;
        t->blocks[i].own_relative.biases = place(w, rows, config->heads);
    }
    t->dbiases = place(w, (size_t)t->group * rows, config->heads);
    const size_t pairs = rotary ? config->width / config->heads / 2 : 0;
    t->cosines = place(w, vit_config_patches(config), pairs);
    t->sines = place(w, vit_config_patches(config), pairs);
    t->rope.cosines = rotary ? t->cosines : NULL;
    t->rope.sines = rotary ? t->sines : NULL;
}

/* What a block keeps; with `share` another block's, all but its input. */
static void place_activations(walk *w, const vit_trainer *t, train_block *block,
                              const train_block *share)
{
    const size_t tokens = group_tokens(t);
    const size_t scaled = t->config.layer_scale ? tokens : 0;
    const train_strides ld = t->ld;
    const bool multiplied = t->config.position_op == PATCHES_POSITION_MUL;
    const bool here = block == t->blocks || t->config.position_at != PATCHES_POSITION_STEM;
    float *bare = place(w, multiplied && here ? tokens : 0, ld.token);
    block->bare = multiplied && here ? bare : NULL;
    block->x = place(w, tokens, ld.token);
    if (share != NULL) {
        block->qkv_rows = share->qkv_rows;
        block->qk = share->qk;
        block->attended = share->attended;
        block->middle = share->middle;
        block->z = share->z;
        block->scaled1 = share->scaled1;
        block->scaled2 = share->scaled2;
        return;
    }
    block->qkv_rows = place(w, tokens, ld.qkv);
    float *qk = place(w, t->config.qk_norm ? tokens : 0, ld.qk);
    block->qk = t->config.qk_norm ? qk : NULL;
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

    place_positions(w, t);
    const size_t patch_rows = vit_config_patches(config) * patch_size(config);
    const bool drops = t->kept < vit_config_patches(config);
    t->patches = place(w, t->options.batch, patch_rows);
    t->chosen = (uint32_t *)place(w, drops ? t->options.batch : 0, t->kept);
    t->kept_rows = place(w, drops ? group * t->kept : 0, patch_size(config));
    for (uint32_t i = 0; i < config->layers; i++)
        place_activations(w, t, &t->blocks[i],
                          t->options.recompute && i > 0 ? &t->blocks[0] : NULL);
    float *out = place(w, tokens, t->ld.token);
    for (uint32_t i = 0; i < config->layers; i++)
        t->blocks[i].out = i + 1 == config->layers         ? out
                           : t->blocks[i + 1].bare != NULL ? t->blocks[i + 1].bare
                                                           : t->blocks[i + 1].x;

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

size_t vit_train_plan(vit_trainer *t)
{
    const vit_config *config = &t->config;
    t->kept = choose_kept(config, &t->options);
    t->group = t->options.group = choose_group(&t->options, image_tokens(t));
    t->whole_group = (uint32_t)(group_tokens(t) / vit_config_tokens(config));
    t->patch_count = vit_config_patches(config);
    t->tokens = vit_config_tokens(config);
    t->ld = (train_strides){.token = row_stride(config->width),
                            .qk = row_stride(2 * (size_t)config->width),
                            .qkv = row_stride(3 * (size_t)config->width),
                            .hidden = row_stride(config->mlp)};
    t->ld.wide = vitc_size_max(t->ld.qkv, t->ld.hidden);
    /* vit_config_check bounds every factor, but their product with the group may still wrap */
    if (group_tokens(t) == 0 || !size_scratch(t)) return 0;
    walk w = {0};
    walk_layout(&w, t);
    return w.arena.overflow ? 0 : w.arena.size;
}

void vit_train_lay_out(vit_trainer *t)
{
    walk w = {.base = t->block};
    walk_layout(&w, t);
    memset(t->parameters, 0, t->table.elements * sizeof *t->parameters);
    memset(t->zeros, 0, t->zeros_count * sizeof *t->zeros);
    vit_trainer_zero_gradients(t);
    bind_parameters(t);
    bind_positions(t);
}
