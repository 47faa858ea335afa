/* vit_gemm_f32_narrow_body.h - partial tiles of BLIS's float32 micro-kernels.
 *
 * BLIS computes a partial tile as a full one and throws the rest away: 197 tokens in panels of 12
 * would waste 3.4 %. These kernels compute only the vectors and tokens that a tile has. Each output
 * is one chain of fused multiply-adds in ascending k from zero, then one addition to what was
 * there: the order of BLIS's kernels, so that an element has the same bits in either.
 *
 * The including file defines VEC (a register), LANES (floats in it), TOKENS (the panel's width; the
 * weight panel is two registers), and LOAD, BROADCAST, FMA, ZERO, ADD, LOAD_SOME, STORE_SOME on
 * unaligned memory, the last two for the first n lanes only. */
#include <stddef.h>

#include "vit_unroll.h"

VIT_INLINE void finish(VEC sum, bool accumulate, float *out, size_t lanes)
{
    if (accumulate) sum = ADD(sum, LOAD_SOME(out, lanes));
    STORE_SOME(out, sum, lanes);
}

/* vectors (1 or 2) and tokens are constants in every call, so that all sums live in registers. */
VIT_INLINE void narrow(size_t k, const float *w, const float *x, bool accumulate, float *out,
                       size_t ldo, size_t weights, const size_t vectors, const size_t tokens)
{
    VEC low[TOKENS], high[TOKENS];
    VIT_UNROLL
    for (size_t t = 0; t < tokens; t++) low[t] = high[t] = ZERO();
    for (size_t i = 0; i < k; i++) {
        const VEC w0 = LOAD(w + i * 2 * LANES);
        const VEC w1 = vectors == 2 ? LOAD(w + i * 2 * LANES + LANES) : w0;
        VIT_UNROLL
        for (size_t t = 0; t < tokens; t++) {
            const VEC value = BROADCAST(x + i * TOKENS + t);
            low[t] = FMA(w0, value, low[t]);
            if (vectors == 2) high[t] = FMA(w1, value, high[t]);
        }
    }
    const size_t first = weights < LANES ? weights : LANES;
    VIT_UNROLL
    for (size_t t = 0; t < tokens; t++) {
        finish(low[t], accumulate, out + t * ldo, first);
        if (vectors == 2) finish(high[t], accumulate, out + t * ldo + LANES, weights - LANES);
    }
}

#define NARROW(n)                                                                                  \
    case n:                                                                                        \
        if (weights > LANES)                                                                       \
            narrow(k, w, x, accumulate, out, ldo, weights, 2, n);                                  \
        else                                                                                       \
            narrow(k, w, x, accumulate, out, ldo, weights, 1, n);                                  \
        break;

static void tile_narrow(const vit_gemm *gemm, size_t k, const void *weight_panel,
                        const void *token_panel, bool accumulate, float *out, size_t ldo,
                        size_t weights, size_t tokens)
{
    const float *w = weight_panel, *x = token_panel;
    (void)gemm;
    switch (tokens) {
        NARROW(1)
        NARROW(2)
        NARROW(3)
        NARROW(4)
        NARROW(5)
        NARROW(6)
#if TOKENS == 12
        NARROW(7)
        NARROW(8)
        NARROW(9)
        NARROW(10)
        NARROW(11)
        NARROW(12)
#endif
    default:
        break;
    }
}
