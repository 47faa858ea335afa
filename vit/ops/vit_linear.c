#include <omp.h>
#include <string.h>

#include "vit_ops.h"
#include "vitc_size.h"

static size_t panels_count(size_t rows, size_t width, size_t k)
{
    size_t count;
    if (rows > SIZE_MAX - width ||
        !vitc_size_mul3(vitc_size_divide_up(rows, width), width, k, &count))
        return 0;
    return count;
}

size_t vit_linear_packed_count(const vit_gemm_f32 *gemm, size_t out, size_t in)
{
    return panels_count(out, gemm->weight_panel, in);
}

size_t vit_op_linear_scratch(const vit_gemm_f32 *gemm, size_t tokens, size_t in)
{
    return panels_count(tokens, gemm->token_panel, in);
}

void vit_linear_pack(const vit_linear *linear, const float *weight, const vit_kernels *kernels)
{
    const size_t width = kernels->gemm.weight_panel, in = linear->in;
    for (size_t o = 0; o < linear->out; o += width)
        kernels->rows->pack(linear->packed + o * in, weight + o * in, in,
                            vitc_size_min(width, linear->out - o), in, width, 1.0f);
}

void vit_linear_scale(const vit_linear *linear, const float *scale, const vit_gemm_f32 *gemm)
{
    const size_t width = gemm->weight_panel;
    for (size_t o = 0; o < linear->out; o += width) {
        const size_t lanes = vitc_size_min(width, linear->out - o);
        float *panel = linear->packed + o * linear->in;
        for (size_t k = 0; k < linear->in; k++)
            for (size_t j = 0; j < lanes; j++) panel[k * width + j] *= scale[o + j];
    }
}

/* How the tiles of one product are dealt out: blocks of weight panels x blocks of token panels. */
typedef struct task_grid {
    size_t weight_panels, token_panels;       /* in all */
    size_t weights_per_task, tokens_per_task; /* panels */
    size_t weight_tasks, token_tasks;
} task_grid;

static task_grid plan_tasks(const vit_gemm_f32 *gemm, size_t out, size_t tokens, size_t threads)
{
    /* 256 tokens x k_block of packed activations, about what L2 has left beside the weights. */
    const size_t tokens_block = vitc_size_divide_up(256, gemm->token_panel);
    task_grid grid = {.weight_panels = vitc_size_divide_up(out, gemm->weight_panel),
                      .token_panels = vitc_size_divide_up(tokens, gemm->token_panel)};
    grid.token_tasks = vitc_size_divide_up(grid.token_panels, tokens_block);
    grid.weight_tasks =
        vitc_size_divide_up(grid.weight_panels, gemm->weight_block / gemm->weight_panel);
    /* Enough tasks for every thread, in a number that divides evenly where it can. */
    while (grid.weight_tasks < grid.weight_panels &&
           (grid.weight_tasks * grid.token_tasks < threads ||
            (grid.weight_tasks * grid.token_tasks % threads != 0 &&
             grid.weight_tasks * grid.token_tasks < 4 * threads)))
        grid.weight_tasks++;
    grid.weights_per_task = vitc_size_divide_up(grid.weight_panels, grid.weight_tasks);
    grid.tokens_per_task = vitc_size_divide_up(grid.token_panels, grid.token_tasks);
    /* Rounding up may leave the last tasks empty. */
    grid.weight_tasks = vitc_size_divide_up(grid.weight_panels, grid.weights_per_task);
    grid.token_tasks = vitc_size_divide_up(grid.token_panels, grid.tokens_per_task);
    return grid;
}

void vit_op_linear(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                   const vit_linear *linear, vit_epilogue epilogue, bool residual, float *scratch,
                   const vit_kernels *kernels)
{
    const vit_gemm_f32 *gemm = &kernels->gemm;
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel, in = linear->in;
    const task_grid grid = plan_tasks(gemm, linear->out, tokens, (size_t)omp_get_num_threads());

#pragma omp for schedule(static)
    for (size_t p = 0; p < grid.token_panels; p++)
        kernels->rows->pack(scratch + p * xr * in, x + p * xr * ldx, ldx,
                            vitc_size_min(xr, tokens - p * xr), in, xr, 1.0f);

#pragma omp for schedule(dynamic, 1)
    for (size_t task = 0; task < grid.weight_tasks * grid.token_tasks; task++) {
        const size_t w0 = task % grid.weight_tasks * grid.weights_per_task;
        const size_t w1 = vitc_size_min(w0 + grid.weights_per_task, grid.weight_panels);
        const size_t t0 = task / grid.weight_tasks * grid.tokens_per_task;
        const size_t t1 = vitc_size_min(t0 + grid.tokens_per_task, grid.token_panels);
        for (size_t k0 = 0; k0 < in; k0 += vitc_size_min(gemm->k_block, in - k0)) {
            const size_t k = vitc_size_min(gemm->k_block, in - k0);
            for (size_t t = t0; t < t1; t++)
                for (size_t w = w0; w < w1; w++)
                    gemm->tile(gemm, k, linear->packed + (w * in + k0) * wr,
                               scratch + (t * in + k0) * xr, residual || k0 > 0,
                               out + t * xr * ldo + w * wr, ldo,
                               vitc_size_min(wr, linear->out - w * wr),
                               vitc_size_min(xr, tokens - t * xr));
        }
        /* The block is still in cache: finish its rows. */
        const size_t o0 = w0 * wr, o1 = vitc_size_min(w1 * wr, linear->out);
        for (size_t t = t0 * xr; t < vitc_size_min(t1 * xr, tokens); t++)
            kernels->rows->epilogue[epilogue](out + t * ldo + o0, linear->bias + o0, o1 - o0);
    }
}
