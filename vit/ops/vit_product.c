#include "vit_product.h"

#include <string.h>

#include "vitc_size.h"

/* What is left to do on a tile whose sums are complete; it is still in L1. */
static void finish_tile(const vit_product *p, float *tile, size_t t, size_t o, size_t count,
                        size_t outputs)
{
    float *beside = p->beside != NULL ? p->beside + t * p->ldb + o : NULL;
    if (p->activation != NULL && beside != NULL) {
        for (size_t i = 0; i < count; i++)
            memcpy(beside + i * p->ldb, tile + i * p->ldo, outputs * sizeof *tile);
        p->activation(beside, p->ldb, count, p->bias + o, outputs);
    }
    if (p->epilogue != NULL) p->epilogue(tile, p->ldo, count, p->bias + o, outputs);
    if (p->backward != NULL) p->backward(tile, p->ldo, beside, p->ldb, count, outputs);
}

/* All tokens by weight panel `w`, inputs [k0, k0 + k): the panel stays in L2 while they pass
 * by, and what is `next`, of the same size, is fetched meanwhile. */
static void multiply_panel(const vit_product *p, size_t tokens, size_t w, size_t k0, size_t k,
                           const unsigned char *next)
{
    const vit_gemm *gemm = p->gemm;
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel, o = w * wr;
    const size_t outputs = vitc_size_min(wr, p->outputs - o);
    const size_t token_size = vit_gemm_token_panel_size(gemm, p->inputs);
    const unsigned char *weights = p->weights + w * vit_gemm_weight_panel_size(gemm, p->inputs) +
                                   k0 * wr * gemm->weight_element;
    const unsigned char *panel = p->tokens + k0 * xr * gemm->token_element;
    const size_t share = k * wr * gemm->weight_element / vitc_size_divide_up(tokens, xr);
    for (size_t t = 0; t < tokens; t += xr, panel += token_size, next += share) {
        const size_t count = vitc_size_min(xr, tokens - t);
        float *tile = p->out + t * p->ldo + o;
        vit_product_fetch_tile(tile, p->ldo, outputs, count);
        if (p->beside != NULL)
            vit_product_fetch_tile(p->beside + t * p->ldb + o, p->ldb, outputs, count);
        gemm->tile(gemm, k, weights, panel, p->accumulate || k0 > 0, tile, p->ldo, outputs, count,
                   next, share);
        if (k0 + k == p->inputs) finish_tile(p, tile, t, o, count, outputs);
    }
}

/* Inputs are the outermost loop: a run of tokens and two weight panels, cut to one pass, stay in L2
 * together. */
void vit_product_run(const vit_product *p, size_t tokens, size_t member, size_t members)
{
    const vit_gemm *gemm = p->gemm;
    const size_t panels = vitc_size_divide_up(p->outputs, gemm->weight_panel);
    const size_t pass = vit_gemm_pass(gemm, p->inputs);
    const size_t panel_size = vit_gemm_weight_panel_size(gemm, p->inputs);
    const size_t input_size = gemm->weight_panel * gemm->weight_element;
    for (size_t k0 = 0; k0 < p->inputs; k0 += pass) {
        const size_t k = vitc_size_min(pass, p->inputs - k0);
        for (size_t w = member; w < panels; w += members) {
            /* After a pass comes its next one; after the matrix, in memory, the next matrix. */
            const bool last = w + members >= panels && k0 + k < p->inputs;
            const unsigned char *next =
                p->weights + (last ? member * panel_size + (k0 + k) * input_size
                                   : (w + members) * panel_size + k0 * input_size);
            multiply_panel(p, tokens, w, k0, k, next);
        }
    }
}
