#include "vit_workspace.h"

#include <stdlib.h>

#include "vitc_log.h"
#include "vitc_size.h"
#include "vitc_threads.h"

typedef struct workspace_layout {
    vitc_arena arena;
    uint32_t group;
    size_t token_stride, wide_stride, packed_size, thread_size;
    size_t patches, tokens, attended, wide, pooled, logits, packed, thread;
} workspace_layout;

/* Rows whose distance is a multiple of a large power of two would all fall into the same few sets
 * of a cache, and a tile writes a dozen rows at once. */
static size_t row_stride(size_t width)
{
    enum { LINE = 16 };
    const size_t lines = vitc_size_divide_up(width, LINE);
    return (lines % 2 == 0 ? lines + 1 : lines) * LINE;
}

/* The number format of the encoder's layers that are not in encoder_gemm's. */
static const vit_gemm *other_gemm(const vit_model *model)
{
    return model->only == SIZE_MAX ? model->encoder_gemm : &model->kernels.f32;
}

/* The most bytes that any linear layer's packed tokens take; 0 on overflow. */
static size_t packed_size(const vit_model *model, size_t tokens, size_t patches, size_t team)
{
    const vit_config *config = &model->config;
    const size_t patch = (size_t)PATCHES_CHANNELS * config->patch * config->patch;
    const size_t sizes[] = {
        vit_op_linear_packed(model->attention_gemm, patches, patch, team),
        vit_op_linear_packed(&model->kernels.f32, tokens, config->width, team), /* heads */
        vit_op_linear_packed(model->encoder_gemm, tokens, config->width, team),
        vit_op_linear_packed(model->encoder_gemm, tokens, config->mlp, team),
        vit_op_linear_packed(other_gemm(model), tokens, config->mlp, team),
    };
    size_t largest = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (sizes[i] == 0) return 0;
        largest = vitc_size_max(largest, sizes[i]);
    }
    return largest;
}

/* How many images go through the model together: so many that their activations stay in the caches,
 * since each layer reads what the layer before wrote. Weights are read once more for every group,
 * but they are fetched ahead. */
static uint32_t group_size(const vit_config *config, uint32_t batch, size_t threads)
{
    enum { THREAD_CACHE = 4096 }; /* KiB of L2 and L3 per thread */
    const size_t d = config->width, wide = vitc_size_max(3 * d, config->mlp);
    const size_t image = vit_config_tokens(config) * (2 * d + wide) * sizeof(float) / 1024;
    size_t images = vitc_size_max(1, threads * THREAD_CACHE / (image + 1));
    if (images > threads) images -= images % threads;
    return (uint32_t)vitc_size_min(images, batch);
}

static workspace_layout lay_out(const vit_model *model, uint32_t batch, int threads)
{
    const vit_config *config = &model->config;
    const size_t d = config->width, n = vit_config_tokens(config);
    const size_t patch = (size_t)PATCHES_CHANNELS * config->patch * config->patch;
    const size_t norm = vitc_size_max(vit_op_linear_thread(model->encoder_gemm, d),
                                      vit_op_linear_thread(other_gemm(model), d));
    const size_t head = vit_op_attention_thread(model->attention_gemm, n, d / config->heads);
    const uint32_t group = group_size(config, batch, (size_t)threads);
    workspace_layout layout = {.group = group,
                               .token_stride = row_stride(d),
                               .wide_stride = row_stride(vitc_size_max(3 * d, config->mlp)),
                               .thread_size = vitc_size_round_up(vitc_size_max(norm, head), 64)};
    vitc_arena *arena = &layout.arena;
    /* vit_config_check bounds every factor, but their product with the batch may still wrap */
    size_t tokens = 0, patch_floats = 0;
    if (!vitc_size_mul(group, n, &tokens) ||
        !vitc_size_mul3(batch, vit_config_patches(config), patch, &patch_floats))
        arena->overflow = true;
    layout.packed_size =
        packed_size(model, tokens, vit_config_patches(config), (size_t)threads); /* one image's */
    if (norm == 0 || head == 0 || layout.packed_size == 0) arena->overflow = true;

    layout.patches = vitc_arena_reserve_array(arena, patch_floats, sizeof(float));
    layout.tokens = vitc_arena_reserve_array(arena, tokens, layout.token_stride * sizeof(float));
    layout.attended = vitc_arena_reserve_array(arena, tokens, layout.token_stride * sizeof(float));
    layout.wide = vitc_arena_reserve_array(arena, tokens, layout.wide_stride * sizeof(float));
    layout.pooled = vitc_arena_reserve_array(arena, 2 * (size_t)group, d * sizeof(float));
    layout.logits = vitc_arena_reserve_array(arena, group, config->classes * sizeof(float));
    layout.packed = vitc_arena_reserve(arena, layout.packed_size);
    vitc_arena_reserve(arena, VIT_KERNEL_OVERREAD);
    layout.thread = vitc_arena_reserve_array(arena, (size_t)threads, layout.thread_size);
    vitc_arena_reserve(arena, VIT_KERNEL_OVERREAD);
    return layout;
}

size_t vit_workspace_size(const vit_model *model, uint32_t batch, int threads)
{
    const workspace_layout layout = lay_out(model, batch, vitc_threads_choose(threads, NULL, 0));
    return layout.arena.overflow ? 0 : layout.arena.size;
}

vitc_status vit_workspace_create(vit_workspace **out, const vit_model *model, uint32_t batch,
                                 int threads, const vitc_log *log)
{
    *out = NULL;
    if (batch == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "a workspace is for at least one image");
    threads = vitc_threads_choose(threads, NULL, 0);
    workspace_layout layout = lay_out(model, batch, threads);
    vit_workspace *workspace = malloc(sizeof *workspace);
    if (workspace == NULL || !vitc_arena_allocate(&layout.arena)) {
        free(workspace);
        return vitc_fail(log, VITC_ERR_MEMORY,
                         "out of memory for %zu MiB of activations; use a smaller batch than %u",
                         layout.arena.size >> 20, batch);
    }
    *workspace = (vit_workspace){.model = model,
                                 .batch = batch,
                                 .group = layout.group,
                                 .threads = threads,
                                 .arena = layout.arena,
                                 .token_stride = layout.token_stride,
                                 .wide_stride = layout.wide_stride,
                                 .patches = vitc_arena_at(&layout.arena, layout.patches),
                                 .tokens = vitc_arena_at(&layout.arena, layout.tokens),
                                 .attended = vitc_arena_at(&layout.arena, layout.attended),
                                 .wide = vitc_arena_at(&layout.arena, layout.wide),
                                 .pooled = vitc_arena_at(&layout.arena, layout.pooled),
                                 .logits = vitc_arena_at(&layout.arena, layout.logits),
                                 .scratch = {.packed = vitc_arena_at(&layout.arena, layout.packed),
                                             .thread = vitc_arena_at(&layout.arena, layout.thread),
                                             .packed_size = layout.packed_size,
                                             .thread_size = layout.thread_size}};
    *out = workspace;
    return VITC_OK;
}

void vit_workspace_free(vit_workspace *workspace)
{
    if (workspace == NULL) return;
    vitc_arena_free(&workspace->arena);
    free(workspace);
}

void vit_workspace_profile(vit_workspace *workspace, vit_profile *profile)
{
    workspace->profile = profile;
}

float *vit_workspace_patches(vit_workspace *workspace, uint32_t b)
{
    const vit_config *config = &workspace->model->config;
    return workspace->patches + (size_t)b * vit_config_patches(config) * PATCHES_CHANNELS *
                                    config->patch * config->patch;
}
