/* vit_gemm_f32_body.h - float32 tiles in the shape and with the bits of BLIS's micro-kernels.
 *
 * They do two things that BLIS's do not. They fetch what the caller needs next while they compute
 * (vit_fetch.h), and they compute only the vectors and tokens that a tile has: BLIS computes a
 * partial tile as a full one and throws the rest away, 3.4 % of the work at 197 tokens in panels of
 * 12. Each output is one chain of fused multiply-adds in ascending k from zero, then one addition
 * to what was there: the order of BLIS's kernels, so that an element has the same bits in either.
 *
 * The including file defines VEC (a register), LANES (floats in it), TOKENS (the panel's width; the
 * weight panel is two registers), and LOAD, STORE, BROADCAST, FMA, ZERO, ADD, LOAD_SOME, STORE_SOME
 * on unaligned memory, the last two for the first n lanes only. */
#include <stddef.h>

#include "vit_fetch.h"
#include "vit_unroll.h"

VIT_INLINE void finish(VEC sum, bool accumulate, float *out, size_t lanes, const bool whole)
{
    if (whole) {
        if (accumulate) sum = ADD(sum, LOAD(out));
        STORE(out, sum);
    } else {
        if (accumulate) sum = ADD(sum, LOAD_SOME(out, lanes));
        STORE_SOME(out, sum, lanes);
    }
}

/* vectors (1 or 2), tokens and whole are constants in every call, so that all sums live in
 * registers. */
VIT_INLINE void multiply(size_t k, const float *w, const float *x, bool accumulate, float *out,
                         size_t ldo, size_t weights, const size_t vectors, const size_t tokens,
                         const bool whole, vit_fetch fetch)
{
    VEC low[TOKENS], high[TOKENS];
    VIT_UNROLL
    for (size_t t = 0; t < tokens; t++) low[t] = high[t] = ZERO();
    for (size_t i = 0; i < k; i++) {
        const VEC w0 = LOAD(w + i * 2 * LANES);
        const VEC w1 = vectors == 2 ? LOAD(w + i * 2 * LANES + LANES) : w0;
        vit_fetch_step(&fetch);
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
        finish(low[t], accumulate, out + t * ldo, first, whole);
        if (vectors == 2)
            finish(high[t], accumulate, out + t * ldo + LANES, weights - LANES, whole);
    }
}

#define MULTIPLY(n)                                                                                \
    case n:                                                                                        \
        if (weights == 2 * LANES)                                                                  \
            multiply(k, w, x, accumulate, out, ldo, weights, 2, n, true, fetch);                   \
        else if (weights > LANES)                                                                  \
            multiply(k, w, x, accumulate, out, ldo, weights, 2, n, false, fetch);                  \
        else                                                                                       \
            multiply(k, w, x, accumulate, out, ldo, weights, 1, n, false, fetch);                  \
        break;

static void tile_f32(const vit_gemm *gemm, size_t k, const void *weight_panel,
                     const void *token_panel, bool accumulate, float *out, size_t ldo,
                     size_t weights, size_t tokens, const void *next, size_t next_size)
{
    const float *w = weight_panel, *x = token_panel;
    const vit_fetch fetch = vit_fetch_start(next, next_size, k, w);
    (void)gemm;
    switch (tokens) {
        MULTIPLY(1)
        MULTIPLY(2)
        MULTIPLY(3)
        MULTIPLY(4)
        MULTIPLY(5)
        MULTIPLY(6)
#if TOKENS == 12
        MULTIPLY(7)
        MULTIPLY(8)
        MULTIPLY(9)
        MULTIPLY(10)
        MULTIPLY(11)
        MULTIPLY(12)
#endif
    default:
        break;
    }
}
