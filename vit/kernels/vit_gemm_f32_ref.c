#include "vit_kernels.h"

enum { WEIGHT_PANEL = 8, TOKEN_PANEL = 4 };

static void tile_ref(const vit_gemm_f32 *gemm, size_t k, const float *weight_panel,
                     const float *token_panel, bool accumulate, float *out, size_t ldo,
                     size_t weights, size_t tokens)
{
    (void)gemm;
    for (size_t t = 0; t < tokens; t++) {
        for (size_t o = 0; o < weights; o++) {
            double sum = accumulate ? (double)out[t * ldo + o] : 0.0;
            for (size_t i = 0; i < k; i++)
                sum += (double)token_panel[i * TOKEN_PANEL + t] *
                       (double)weight_panel[i * WEIGHT_PANEL + o];
            out[t * ldo + o] = (float)sum;
        }
    }
}

/* One pass over k: the double sum is rounded once. */
const vit_gemm_f32 vit_gemm_f32_ref = {.weight_panel = WEIGHT_PANEL,
                                       .token_panel = TOKEN_PANEL,
                                       .k_block = SIZE_MAX,
                                       .weight_block = (size_t)8 * WEIGHT_PANEL,
                                       .tile = tile_ref};
