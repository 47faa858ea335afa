#include <omp.h>

#include "vit_ops_backward.h"
#include "vit_product.h"
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

/* Tokens of a run, a multiple of XR: as many as vit_gemm_run allows, in runs as even as can be. */
static size_t run_tokens(const vit_gemm *gemm, size_t tokens, size_t in)
{
    const size_t panels = vitc_size_divide_up(tokens, gemm->token_panel);
    const size_t runs = vitc_size_divide_up(tokens, vit_gemm_run(gemm, in));
    return vitc_size_divide_up(panels, vitc_size_max(1, runs)) * gemm->token_panel;
}

size_t vit_op_linear_packed(const vit_gemm *gemm, size_t tokens, size_t in, size_t threads)
{
    /* Every part holds one run, whose last panel may be partial, on lines of cache of its own; and
     * all together no more than all tokens. */
    const size_t parts = vitc_size_min(threads, vit_share_most(tokens));
    const size_t run = vitc_size_min(vit_gemm_run(gemm, in), tokens);
    size_t rows, runs, size;
    if (!vitc_size_mul(2 * parts, gemm->token_panel, &rows) ||
        !vitc_size_add(rows, tokens, &rows) || run > SIZE_MAX - gemm->token_panel)
        return 0;
    if (vitc_size_mul(parts, vitc_size_round_up(run, gemm->token_panel), &runs))
        rows = vitc_size_min(rows, runs);
    if ((size = panels_size(rows, gemm->token_panel, vit_gemm_token_panel_size(gemm, in))) == 0 ||
        !vitc_size_add(size, 64 * parts, &size))
        return 0;
    return size;
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

void vit_linear_pack_transposed(const vit_linear *transposed, const float *weight)
{
    const vit_gemm *gemm = transposed->gemm;
    const size_t lanes = gemm->weight_panel, out = transposed->out;
    unsigned char *panel = transposed->packed;
    for (size_t o = 0; o < out; o += lanes) {
        gemm->pack_weights(gemm, panel, weight + o, 1, out, NULL, vitc_size_min(lanes, out - o),
                           transposed->in);
        panel += vit_gemm_weight_panel_size(gemm, transposed->in);
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

/* Packs one token panel, after its LayerNorm if there is one. */
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

/* This thread's part of the product of x, after its norm if there is one, with the weights: a run
 * of tokens after the other is packed, meets all weights, and its memory is used again. */
static void multiply_part(vit_product *product, float *out, float *beside, const float *x,
                          size_t ldx, size_t tokens, const vit_norm *norm, const vit_linear *linear,
                          const vit_scratch *scratch, const vit_rows_f32 *rows)
{
    const vit_share share = vit_share_tokens(tokens);
    /* By the largest part, so that all meet at the same barriers. */
    const size_t most = vitc_size_divide_up(tokens, share.parts);
    const size_t xr = linear->gemm->token_panel, run = run_tokens(linear->gemm, most, linear->in);
    const size_t size = vit_gemm_token_panel_size(linear->gemm, linear->in);
    /* A part's place is the same in every layer: others may be one ahead. */
    unsigned char *packed =
        scratch->packed + share.part * (scratch->packed_size / share.parts / 64 * 64);
    float *normed =
        (float *)(scratch->thread + (size_t)omp_get_thread_num() * scratch->thread_size);
    product->gemm = linear->gemm;
    product->weights = linear->packed;
    product->tokens = packed;
    product->outputs = linear->out;
    product->inputs = linear->in;
    vit_gemm_begin(linear->gemm);
    for (size_t done = 0; done < most; done += run) {
        const size_t from = vitc_size_min(share.from + done, share.to);
        const size_t count = vitc_size_min(run, share.to - from);
        for (size_t i = share.member * xr; i < count; i += share.members * xr)
            pack_panel(packed + i / xr * size, x + (from + i) * ldx, ldx,
                       vitc_size_min(xr, count - i), norm, linear, normed, rows);
        if (share.members > 1) {
#pragma omp barrier
        }
        product->out = out + from * product->ldo;
        if (beside != NULL) product->beside = beside + from * product->ldb;
        if (count > 0) vit_product_run(product, count, share.member, share.members);
        if (share.members > 1) {
#pragma omp barrier
        }
    }
    vit_gemm_end(linear->gemm);
}

void vit_op_linear(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                   const vit_norm *norm, const vit_linear *linear, vit_epilogue epilogue,
                   bool residual, const vit_scratch *scratch, const vit_rows_f32 *rows)
{
    vit_product product = {.ldo = ldo,
                           .accumulate = residual,
                           .epilogue = rows->epilogue[epilogue],
                           .bias = linear->bias};
    multiply_part(&product, out, NULL, x, ldx, tokens, norm, linear, scratch, rows);
}

void vit_op_linear_activated(float *z, size_t ldz, float *hidden, size_t ldh, const float *x,
                             size_t ldx, size_t tokens, const vit_norm *norm,
                             const vit_linear *linear, vit_epilogue activation,
                             const vit_scratch *scratch, const vit_rows_f32 *rows)
{
    vit_product product = {.ldo = ldz,
                           .epilogue = rows->epilogue[VIT_EPILOGUE_BIAS],
                           .activation = rows->epilogue[activation],
                           .bias = linear->bias,
                           .ldb = ldh};
    multiply_part(&product, z, hidden, x, ldx, tokens, norm, linear, scratch, rows);
}

void vit_op_linear_backward_input(float *dx, size_t lddx, const float *dy, size_t lddy,
                                  size_t tokens, const vit_linear *transposed, bool accumulate,
                                  vit_epilogue activation, float *z, size_t ldz,
                                  const vit_scratch *scratch, const vit_rows_f32 *rows)
{
    vit_product product = {.ldo = lddx,
                           .accumulate = accumulate,
                           .backward = z != NULL ? rows->epilogue_backward[activation] : NULL,
                           .ldb = ldz};
    multiply_part(&product, dx, z, dy, lddy, tokens, NULL, transposed, scratch, rows);
}
