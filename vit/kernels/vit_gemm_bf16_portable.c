/* bf16 on any machine: the float32 GEMM of the row on operands that packing rounds to bf16. The
 * product of two bf16 has at most 16 significant bits, so float32 holds it exactly: what is left is
 * float32 accumulation, as on hardware that multiplies bf16 itself. */
#include "vit_kernels.h"

static void pack_weights(const vit_gemm *gemm, void *panel, const float *w, size_t row_stride,
                         size_t k_stride, const float *row_scale, size_t rows, size_t k)
{
    gemm->rows->pack_weights(panel, w, row_stride, k_stride, row_scale, rows, k,
                             gemm->weight_panel);
    gemm->rows->round_bf16(panel, k * gemm->weight_panel);
}

static void pack_tokens(const vit_gemm *gemm, void *panel, const float *x, size_t ldx, size_t rows,
                        size_t k)
{
    gemm->rows->pack_tokens(panel, x, ldx, rows, k, gemm->token_panel);
    gemm->rows->round_bf16(panel, k * gemm->token_panel);
}

static void pack_token_columns(const vit_gemm *gemm, void *panel, const float *x, size_t k_stride,
                               size_t rows, size_t k)
{
    gemm->rows->pack_weights(panel, x, 1, k_stride, NULL, rows, k, gemm->token_panel);
    gemm->rows->round_bf16(panel, k * gemm->token_panel);
}

vit_gemm vit_gemm_bf16_portable(const vit_gemm *f32)
{
    vit_gemm gemm = *f32;
    gemm.name = "float32 rounded to bf16";
    gemm.pack_weights = pack_weights;
    gemm.pack_tokens = pack_tokens;
    gemm.pack_token_columns = pack_token_columns;
    return gemm;
}
