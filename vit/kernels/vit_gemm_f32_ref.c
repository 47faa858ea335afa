#include "vit_kernels.h"

enum { WEIGHT_PANEL = 8, TOKEN_PANEL = 4 };

static void tile_ref(const vit_gemm *gemm, size_t k, const void *weight_panel,
                     const void *token_panel, bool accumulate, float *out, size_t ldo,
                     size_t weights, size_t tokens, const void *next, size_t next_size)
{
    const float *w = weight_panel, *x = token_panel;
    (void)gemm;
    (void)next;
    (void)next_size;
    for (size_t t = 0; t < tokens; t++) {
        for (size_t o = 0; o < weights; o++) {
            double sum = accumulate ? (double)out[t * ldo + o] : 0.0;
            for (size_t i = 0; i < k; i++)
                sum += (double)x[i * TOKEN_PANEL + t] * (double)w[i * WEIGHT_PANEL + o];
            out[t * ldo + o] = (float)sum;
        }
    }
}

/* One pass over k: the double sum is rounded once. */
const vit_gemm vit_gemm_f32_ref = {.name = "scalar",
                                   .weight_panel = WEIGHT_PANEL,
                                   .token_panel = TOKEN_PANEL,
                                   .k_unit = 1,
                                   .fetch_unit = 1,
                                   .weight_element = sizeof(float),
                                   .token_element = sizeof(float),
                                   .k_block = SIZE_MAX,
                                   .run_size = SIZE_MAX,
                                   .tile = tile_ref};
