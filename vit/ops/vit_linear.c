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

/* A part's tokens and outputs: out (stride ldo) = packed tokens by the layer's weights. */
typedef struct product {
    float *out;
    size_t ldo;
    unsigned char *packed;
    const vit_linear *linear;
    vit_epilogue_fn epilogue;
    bool residual;
    size_t weight_size, token_size; /* bytes of a panel */
} product;

/* Tokens [from, to) by weight panel `w`, inputs [k0, k0 + k): the panel stays in L2 while they pass
 * by, and what is `next`, of the same size, is fetched meanwhile. */
static void multiply_panel(const product *p, size_t from, size_t to, size_t w, size_t k0, size_t k,
                           const unsigned char *next)
{
    const vit_linear *linear = p->linear;
    const vit_gemm *gemm = linear->gemm;
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel, o = w * wr;
    const size_t outputs = vitc_size_min(wr, linear->out - o);
    const unsigned char *weights =
        (const unsigned char *)linear->packed + w * p->weight_size + k0 * wr * gemm->weight_element;
    const unsigned char *panel =
        p->packed + from / xr * p->token_size + k0 * xr * gemm->token_element;
    const size_t share = k * wr * gemm->weight_element / vitc_size_divide_up(to - from, xr);
    for (size_t t = from; t < to; t += xr, panel += p->token_size, next += share) {
        const size_t count = vitc_size_min(xr, to - t);
        float *tile = p->out + t * p->ldo + o;
        prefetch_tile(tile, p->ldo, outputs, count);
        gemm->tile(gemm, k, weights, panel, p->residual || k0 > 0, tile, p->ldo, outputs, count,
                   next, share);
        if (k0 + k == linear->in) /* the tile is still in L1 */
            p->epilogue(tile, p->ldo, count, linear->bias + o, outputs);
    }
}

/* Tokens [from, to) by this member's share of the weights. Inputs are the outermost loop: a run of
 * tokens and two weight panels, cut to one pass, stay in L2 together. */
static void multiply(const product *p, size_t from, size_t to, size_t member, size_t members)
{
    const vit_linear *linear = p->linear;
    const vit_gemm *gemm = linear->gemm;
    const size_t panels = vitc_size_divide_up(linear->out, gemm->weight_panel);
    const size_t pass = vit_gemm_pass(gemm, linear->in);
    const size_t input_size = gemm->weight_panel * gemm->weight_element;
    for (size_t k0 = 0; k0 < linear->in; k0 += pass) {
        const size_t k = vitc_size_min(pass, linear->in - k0);
        for (size_t w = member; w < panels; w += members) {
            /* After a pass comes its next one; after the matrix, in memory, the next matrix. */
            const bool last = w + members >= panels && k0 + k < linear->in;
            const unsigned char *next = (const unsigned char *)linear->packed +
                                        (last ? member * p->weight_size + (k0 + k) * input_size
                                              : (w + members) * p->weight_size + k0 * input_size);
            multiply_panel(p, from, to, w, k0, k, next);
        }
    }
}

void vit_op_linear(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                   const vit_norm *norm, const vit_linear *linear, vit_epilogue epilogue,
                   bool residual, const vit_scratch *scratch, const vit_rows_f32 *rows)
{
    const vit_gemm *gemm = linear->gemm;
    const vit_share share = vit_share_tokens(tokens);
    const size_t xr = gemm->token_panel, in = linear->in;
    const product p = {.out = out + share.from * ldo,
                       .ldo = ldo,
                       /* A part's place is the same in every layer: others may be one ahead. */
                       .packed = scratch->packed +
                                 share.part * (scratch->packed_size / share.parts / 64 * 64),
                       .linear = linear,
                       .epilogue = rows->epilogue[epilogue],
                       .residual = residual,
                       .weight_size = vit_gemm_weight_panel_size(gemm, in),
                       .token_size = vit_gemm_token_panel_size(gemm, in)};
    float *normed =
        (float *)(scratch->thread + (size_t)omp_get_thread_num() * scratch->thread_size);
    x += share.from * ldx;
    tokens = share.to - share.from;
    const size_t panels = vitc_size_divide_up(tokens, xr);
    const size_t runs = vitc_size_divide_up(tokens, vit_gemm_run(gemm, in));
    const size_t run = vitc_size_divide_up(panels, vitc_size_max(1, runs)) * xr;

    for (size_t i = share.member; i < panels; i += share.members)
        pack_panel(p.packed + i * p.token_size, x + i * xr * ldx, ldx,
                   vitc_size_min(xr, tokens - i * xr), norm, linear, normed, rows);
    if (share.members > 1) {
#pragma omp barrier
    }
    for (size_t from = 0; from < tokens; from += run)
        multiply(&p, from, vitc_size_min(from + run, tokens), share.member, share.members);
    if (share.members > 1) {
#pragma omp barrier
    }
}
