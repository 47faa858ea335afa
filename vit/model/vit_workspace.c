#include "vit_workspace.h"

#include <stdlib.h>

#include "vitc_log.h"
#include "vitc_size.h"
#include "vitc_threads.h"

typedef struct workspace_layout {
    vitc_arena arena;
    size_t patches, tokens, normed, wide, packed, attention, pooled, logits;
} workspace_layout;

static workspace_layout lay_out(const vit_model *model, uint32_t batch, int threads)
{
    const vit_config *config = &model->config;
    const vit_gemm_f32 *gemm = &model->kernels.gemm;
    const size_t d = config->width, m = config->mlp;
    const size_t patch = (size_t)PATCHES_CHANNELS * config->patch * config->patch;
    const size_t n = vit_config_tokens(config);
    const size_t head = vit_op_attention_scratch(gemm, n, d / config->heads);
    workspace_layout layout = {0};
    vitc_arena *arena = &layout.arena;
    /* vit_config_check bounds every factor, but their product with the batch may still wrap */
    size_t images_tokens = 0, images_patches = 0;
    if (!vitc_size_mul(batch, n, &images_tokens) ||
        !vitc_size_mul3(batch, vit_config_patches(config), patch, &images_patches))
        arena->overflow = true;
    const size_t panels =
        vit_op_linear_scratch(gemm, images_tokens, vitc_size_max(patch, vitc_size_max(d, m)));
    if (head == 0 || panels == 0) arena->overflow = true;

    layout.patches = vitc_arena_reserve_array(arena, images_patches, sizeof(float));
    layout.tokens = vitc_arena_reserve_array(arena, images_tokens, d * sizeof(float));
    layout.normed = vitc_arena_reserve_array(arena, images_tokens, d * sizeof(float));
    layout.wide =
        vitc_arena_reserve_array(arena, images_tokens, vitc_size_max(3 * d, m) * sizeof(float));
    layout.packed = vitc_arena_reserve_array(arena, panels, sizeof(float));
    layout.attention = vitc_arena_reserve_array(arena, (size_t)threads, head * sizeof(float));
    layout.pooled = vitc_arena_reserve_array(arena, 2 * (size_t)batch, d * sizeof(float));
    layout.logits = vitc_arena_reserve_array(arena, batch, config->classes * sizeof(float));
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
                                 .threads = threads,
                                 .arena = layout.arena,
                                 .patches = vitc_arena_at(&layout.arena, layout.patches),
                                 .tokens = vitc_arena_at(&layout.arena, layout.tokens),
                                 .normed = vitc_arena_at(&layout.arena, layout.normed),
                                 .wide = vitc_arena_at(&layout.arena, layout.wide),
                                 .packed = vitc_arena_at(&layout.arena, layout.packed),
                                 .attention = vitc_arena_at(&layout.arena, layout.attention),
                                 .pooled = vitc_arena_at(&layout.arena, layout.pooled),
                                 .logits = vitc_arena_at(&layout.arena, layout.logits)};
    *out = workspace;
    return VITC_OK;
}

void vit_workspace_free(vit_workspace *workspace)
{
    if (workspace == NULL) return;
    vitc_arena_free(&workspace->arena);
    free(workspace);
}

float *vit_workspace_patches(vit_workspace *workspace, uint32_t b)
{
    const vit_config *config = &workspace->model->config;
    return workspace->patches + (size_t)b * vit_config_patches(config) * PATCHES_CHANNELS *
                                    config->patch * config->patch;
}
