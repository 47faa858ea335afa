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

size_t vit_op_linear_packed(const vit_gemm *gemm, size_t tokens, size_t in, size_t threads)
{
    /* Every part's last panel may be partial, and its place begins on a line of cache. */
    const size_t parts = vitc_size_min(threads, vit_share_most(tokens));
    size_t rows, size;
    if (!vitc_size_mul(2 * parts, gemm->token_panel, &rows) ||
        !vitc_size_add(rows, tokens, &rows) ||
        (size = panels_size(rows, gemm->token_panel, vit_gemm_token_panel_size(gemm, in))) == 0 ||
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

/* One weight panel by `tokens` packed tokens: the panel stays in L2 while they pass by. `bias` and
 * out begin at the panel's first output. */
static void multiply_panel(float *out, size_t ldo, const unsigned char *packed, size_t tokens,
                           const unsigned char *weights, size_t outputs, size_t in,
                           const float *bias, vit_epilogue_fn epilogue, bool residual,
                           const vit_gemm *gemm)
{
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel;
    const size_t token_size = vit_gemm_token_panel_size(gemm, in);
    for (size_t k0 = 0; k0 < in; k0 += vitc_size_min(gemm->k_block, in - k0)) {
        const size_t k = vitc_size_min(gemm->k_block, in - k0);
        const unsigned char *panel = packed + k0 * xr * gemm->token_element;
        for (size_t t = 0; t < tokens; t += xr, panel += token_size) {
            const size_t count = vitc_size_min(xr, tokens - t);
            float *tile = out + t * ldo;
            prefetch_tile(tile, ldo, outputs, count);
            gemm->tile(gemm, k, weights + k0 * wr * gemm->weight_element, panel, residual || k0 > 0,
                       tile, ldo, outputs, count);
            if (k0 + k == in) /* the tile is still in L1 */
                epilogue(tile, ldo, count, bias, outputs);
        }
    }
}

void vit_op_linear(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                   const vit_norm *norm, const vit_linear *linear, vit_epilogue epilogue,
                   bool residual, const vit_scratch *scratch, const vit_rows_f32 *rows)
{
    /* So many tokens find the next weight panel while they are still in a cache. */
    enum { TOKENS_MAX = 256 };
    const vit_gemm *gemm = linear->gemm;
    const vit_share share = vit_share_tokens(tokens);
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel, in = linear->in;
    const size_t weight_size = vit_gemm_weight_panel_size(gemm, in);
    const size_t token_size = vit_gemm_token_panel_size(gemm, in);
    const size_t weight_panels = vitc_size_divide_up(linear->out, wr);
    const size_t token_panels = vitc_size_divide_up(share.to - share.from, xr);
    const size_t block = vitc_size_divide_up(
        token_panels, vitc_size_max(1, vitc_size_divide_up(share.to - share.from, TOKENS_MAX)));
    /* A part's place is the same in every layer: others may be one layer ahead. */
    unsigned char *packed =
        scratch->packed + share.part * (scratch->packed_size / share.parts / 64 * 64);
    float *normed =
        (float *)(scratch->thread + (size_t)omp_get_thread_num() * scratch->thread_size);
    x += share.from * ldx;
    out += share.from * ldo;
    tokens = share.to - share.from;

    for (size_t p = share.member; p < token_panels; p += share.members)
        pack_panel(packed + p * token_size, x + p * xr * ldx, ldx,
                   vitc_size_min(xr, tokens - p * xr), norm, linear, normed, rows);
    if (share.members > 1) {
#pragma omp barrier
    }
    for (size_t t0 = 0; t0 < token_panels; t0 += block) {
        const size_t count = vitc_size_min(block * xr, tokens - t0 * xr);
        for (size_t w = share.member; w < weight_panels; w += share.members) {
            const size_t o = w * wr;
            multiply_panel(out + t0 * xr * ldo + o, ldo, packed + t0 * token_size, count,
                           (const unsigned char *)linear->packed + w * weight_size,
                           vitc_size_min(wr, linear->out - o), in, linear->bias + o,
                           rows->epilogue[epilogue], residual, gemm);
        }
    }
    if (share.members > 1) {
#pragma omp barrier
    }
}
