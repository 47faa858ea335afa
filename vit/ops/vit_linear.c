#include <omp.h>

#include "vit_ops.h"
#include "vitc_size.h"

/* Bytes of `rows` rows in panels of `lanes` lanes and `panel` bytes each; 0 on overflow. */
static size_t panels_size(size_t rows, size_t lanes, size_t panel)
{
    size_t size;
    if (rows > SIZE_MAX - lanes || !vitc_size_mul(vitc_size_divide_up(rows, lanes), panel, &size))
        return 0;
    return size;
}

size_t vit_linear_packed_size(const vit_gemm *gemm, size_t out, size_t in)
{
    return panels_size(out, gemm->weight_panel, vit_gemm_weight_panel_size(gemm, in));
}

size_t vit_op_linear_packed(const vit_gemm *gemm, size_t tokens, size_t in)
{
    return panels_size(tokens, gemm->token_panel, vit_gemm_token_panel_size(gemm, in));
}

size_t vit_op_linear_thread(const vit_gemm *gemm, size_t in)
{
    size_t size;
    return vitc_size_mul3(gemm->token_panel, in, sizeof(float), &size) ? size : 0;
}

void vit_linear_pack(const vit_linear *linear, const float *weight, const float *row_scale)
{
    const vit_gemm *gemm = linear->gemm;
    const size_t lanes = gemm->weight_panel, in = linear->in;
    unsigned char *panel = linear->packed;
    for (size_t o = 0; o < linear->out; o += lanes) {
        gemm->pack_weights(gemm, panel, weight + o * in, in, 1,
                           row_scale != NULL ? row_scale + o : NULL,
                           vitc_size_min(lanes, linear->out - o), in);
        panel += vit_gemm_weight_panel_size(gemm, in);
    }
}

void vit_linear_pack_quantized(const vit_linear *linear, const int8_t *q, const float *scale)
{
    const vit_gemm *gemm = linear->gemm;
    const size_t lanes = gemm->weight_panel, in = linear->in;
    unsigned char *panel = linear->packed;
    for (size_t o = 0; o < linear->out; o += lanes) {
        gemm->pack_quantized(gemm, panel, q + o * in, in, scale + o,
                             vitc_size_min(lanes, linear->out - o), in);
        panel += vit_gemm_weight_panel_size(gemm, in);
    }
}

/* How the tiles of one product are dealt out: a task is one weight panel by a block of token
 * panels. The weight panel stays in L2 while the tokens pass by. */
typedef struct task_grid {
    size_t weight_panels, token_panels; /* in all */
    size_t token_blocks, block;         /* blocks of so many token panels */
} task_grid;

static task_grid plan_tasks(const vit_gemm *gemm, size_t out, size_t tokens, size_t threads)
{
    /* More than this many tokens would not find the next weight panel's tokens in cache. */
    enum { TOKENS_MAX = 256 };
    task_grid grid = {.weight_panels = vitc_size_divide_up(out, gemm->weight_panel),
                      .token_panels = vitc_size_divide_up(tokens, gemm->token_panel)};
    size_t blocks = vitc_size_divide_up(tokens, TOKENS_MAX);
    /* Many threads on few weight panels: enough tasks that the last round costs little. */
    while (grid.weight_panels * blocks < 8 * threads && blocks < grid.token_panels &&
           grid.weight_panels * blocks % threads != 0)
        blocks++;
    grid.block = vitc_size_divide_up(grid.token_panels, blocks);
    grid.token_blocks = vitc_size_divide_up(grid.token_panels, grid.block);
    return grid;
}

/* Packs token panel p, after its LayerNorm if there is one. */
static void pack_panel(unsigned char *panel, const float *x, size_t ldx, size_t count,
                       const vit_norm *norm, const vit_linear *linear, float *normed,
                       const vit_rows_f32 *rows)
{
    const size_t in = linear->in;
    if (norm != NULL) {
        for (size_t t = 0; t < count; t++)
            rows->layernorm(normed + t * in, x + t * ldx, norm->weight, norm->bias, in, norm->eps);
        x = normed;
        ldx = in;
    }
    linear->gemm->pack_tokens(linear->gemm, panel, x, ldx, count, in);
}

/* Fetches the lines that a tile is written to while it is computed: the first store would wait for
 * each of them. */
static void prefetch_tile(const float *tile, size_t ldo, size_t outputs, size_t tokens)
{
    enum { LINE = 16 };
    for (size_t t = 0; t < tokens; t++) {
        const float *row = tile + t * ldo;
        for (size_t o = 0; o < outputs; o += LINE) __builtin_prefetch(row + o, 1, 3);
        __builtin_prefetch(row + outputs - 1, 1, 3);
    }
}

void vit_op_linear(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                   const vit_norm *norm, const vit_linear *linear, vit_epilogue epilogue,
                   bool residual, const vit_scratch *scratch, const vit_rows_f32 *rows)
{
    const vit_gemm *gemm = linear->gemm;
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel, in = linear->in;
    const size_t weight_size = vit_gemm_weight_panel_size(gemm, in);
    const size_t token_size = vit_gemm_token_panel_size(gemm, in);
    const task_grid grid = plan_tasks(gemm, linear->out, tokens, (size_t)omp_get_num_threads());
    float *normed =
        (float *)(scratch->thread + (size_t)omp_get_thread_num() * scratch->thread_size);

#pragma omp for schedule(static)
    for (size_t p = 0; p < grid.token_panels; p++)
        pack_panel(scratch->packed + p * token_size, x + p * xr * ldx, ldx,
                   vitc_size_min(xr, tokens - p * xr), norm, linear, normed, rows);

#pragma omp for schedule(dynamic, 1)
    for (size_t task = 0; task < grid.weight_panels * grid.token_blocks; task++) {
        const size_t w = task % grid.weight_panels, o = w * wr;
        const size_t t0 = task / grid.weight_panels * grid.block;
        const size_t t1 = vitc_size_min(t0 + grid.block, grid.token_panels);
        const size_t outputs = vitc_size_min(wr, linear->out - o);
        const unsigned char *weights = (const unsigned char *)linear->packed + w * weight_size;
        for (size_t k0 = 0; k0 < in; k0 += vitc_size_min(gemm->k_block, in - k0)) {
            const size_t k = vitc_size_min(gemm->k_block, in - k0);
            for (size_t t = t0; t < t1; t++) {
                const size_t count = vitc_size_min(xr, tokens - t * xr);
                float *tile = out + t * xr * ldo + o;
                prefetch_tile(tile, ldo, outputs, count);
                gemm->tile(gemm, k, weights + k0 * wr * gemm->weight_element,
                           scratch->packed + t * token_size + k0 * xr * gemm->token_element,
                           residual || k0 > 0, tile, ldo, outputs, count);
                if (k0 + k == in) /* the tile is still in L1 */
                    rows->epilogue[epilogue](tile, ldo, count, linear->bias + o, outputs);
            }
        }
    }
}
