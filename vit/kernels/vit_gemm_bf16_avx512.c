/* The bf16 GEMM on AVX512-BF16: 32 weights x 12 tokens, 24 sums in registers.
 *
 * VDPBF16PS adds two products to a float32, so a lane of a panel is the 32 bits of two inputs. Each
 * output is one chain of VDPBF16PS in ascending k from zero, whatever the tile, then one addition
 * to what was there; so its bits do not depend on the tile. Like VCVTNE2PS2BF16, which packs, it
 * rounds to nearest even, takes and leaves denormals as zero, and does not look at MXCSR.
 *
 * Trap: GCC 12.2 at -O2 turns constant vectors of bf16 into others (0.25 where 32 was meant); here
 * all bf16 come from memory or from a conversion. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vit_bf16_avx512.h"
#include "vit_fetch.h"
#include "vit_kernels.h"
#include "vit_unroll.h"

enum { WEIGHTS = 32, TOKENS = 12 };

/* 1 MiB is the smallest L2 that comes with AVX512-BF16 (Cooper Lake, Zen 4 and 5; Sapphire Rapids
 * has 2): two weight panels may take a quarter, a run of tokens three eighths. */
enum { K_BLOCK = (1 << 20) / 8 / (WEIGHTS * sizeof(uint16_t)), RUN_SIZE = 3 << 17 };

/* ---- packing ---- */

#define UNIT 2

#include "vit_pack_avx512_body.h"

static void pack_tokens(const vit_gemm *gemm, void *panel, const float *x, size_t ldx, size_t rows,
                        size_t k)
{
    (void)gemm;
    pack_12(panel, x, ldx, rows, k);
}

/* Weights whose rows are columns of `w`, such as the values of attention. */
static void pack_weight_columns(uint32_t *panel, const float *w, size_t k_stride, size_t rows,
                                size_t k)
{
    for (size_t i = 0; i < k; i += 2, panel += WEIGHTS) {
        const float *even = w + i * k_stride, *odd = i + 1 < k ? even + k_stride : NULL;
        _mm512_storeu_si512(panel, pair_lanes(even, odd, rows));
        _mm512_storeu_si512(
            panel + LANES,
            rows > LANES ? pair_lanes(even + LANES, odd != NULL ? odd + LANES : NULL, rows - LANES)
                         : _mm512_setzero_si512());
    }
}

static void pack_token_columns(const vit_gemm *gemm, void *panel, const float *x, size_t k_stride,
                               size_t rows, size_t k)
{
    uint32_t *lanes = panel;
    (void)gemm;
    for (size_t i = 0; i < k; i += 2, x += 2 * k_stride, lanes += TOKENS)
        _mm512_mask_storeu_epi32(lanes, first_lanes(TOKENS),
                                 pair_lanes(x, i + 1 < k ? x + k_stride : NULL, rows));
}

static void pack_weights(const vit_gemm *gemm, void *panel, const float *w, size_t row_stride,
                         size_t k_stride, const float *row_scale, size_t rows, size_t k)
{
    (void)gemm;
    if (row_scale == NULL && k_stride == 1) {
        pack_32(panel, w, row_stride, rows, k);
        return;
    }
    if (row_scale == NULL && row_stride == 1) {
        pack_weight_columns(panel, w, k_stride, rows, k);
        return;
    }
    /* scaled, or with any strides: through blocks of a few inputs */
    enum { BLOCK = 32 };
    float block[WEIGHTS][BLOCK];
    for (size_t i = 0; i < k; i += BLOCK) {
        const size_t inputs = k - i < BLOCK ? k - i : BLOCK;
        for (size_t j = 0; j < rows; j++) {
            const float *row = w + j * row_stride + i * k_stride;
            const float scale = row_scale != NULL ? row_scale[j] : 1.0f;
            if (k_stride == 1)
                for (size_t c = 0; c < inputs; c++) block[j][c] = row[c] * scale;
            else
                for (size_t c = 0; c < inputs; c++) block[j][c] = row[c * k_stride] * scale;
        }
        pack_32((uint32_t *)panel + i / UNIT * WEIGHTS, block[0], BLOCK, rows, inputs);
    }
}

/* ---- the tile ---- */

VIT_INLINE void finish(float *out, __m512 sum, bool accumulate, size_t lanes, const bool whole)
{
    if (whole) {
        if (accumulate) sum = _mm512_add_ps(sum, _mm512_loadu_ps(out));
        _mm512_storeu_ps(out, sum);
    } else {
        const __mmask16 mask = first_lanes(lanes);
        if (accumulate) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, out));
        _mm512_mask_storeu_ps(out, mask, sum);
    }
}

/* vectors (1 or 2), tokens and whole are constants in every call, so that all sums live in
 * registers and a partial tile does only its own work. */
VIT_INLINE void tile(size_t groups, const uint32_t *w, const uint32_t *x, bool accumulate,
                     float *out, size_t ldo, size_t weights, const size_t vectors,
                     const size_t tokens, const bool whole, vit_fetch fetch)
{
    __m512 low[TOKENS], high[TOKENS];
    VIT_UNROLL
    for (size_t t = 0; t < tokens; t++) low[t] = high[t] = _mm512_setzero_ps();
    for (size_t g = 0; g < groups; g++, w += WEIGHTS, x += TOKENS) {
        const __m512bh w0 = (__m512bh)_mm512_loadu_si512(w);
        const __m512bh w1 = vectors == 2 ? (__m512bh)_mm512_loadu_si512(w + LANES) : w0;
        vit_fetch_step(&fetch);
        VIT_UNROLL
        for (size_t t = 0; t < tokens; t++) {
            const __m512bh pair = (__m512bh)_mm512_set1_epi32((int)x[t]);
            low[t] = _mm512_dpbf16_ps(low[t], w0, pair);
            if (vectors == 2) high[t] = _mm512_dpbf16_ps(high[t], w1, pair);
        }
    }
    const size_t first = weights < LANES ? weights : LANES;
    VIT_UNROLL
    for (size_t t = 0; t < tokens; t++) {
        finish(out + t * ldo, low[t], accumulate, first, whole);
        if (vectors == 2)
            finish(out + t * ldo + LANES, high[t], accumulate, weights - LANES, whole);
    }
}

#define TILE(n)                                                                                    \
    case n:                                                                                        \
        if (weights == WEIGHTS)                                                                    \
            tile(groups, w, x, accumulate, out, ldo, weights, 2, n, true, fetch);                  \
        else if (weights > LANES)                                                                  \
            tile(groups, w, x, accumulate, out, ldo, weights, 2, n, false, fetch);                 \
        else                                                                                       \
            tile(groups, w, x, accumulate, out, ldo, weights, 1, n, false, fetch);                 \
        break;

static void tile_bf16(const vit_gemm *gemm, size_t k, const void *weight_panel,
                      const void *token_panel, bool accumulate, float *out, size_t ldo,
                      size_t weights, size_t tokens, const void *next, size_t next_size)
{
    const uint32_t *w = weight_panel, *x = token_panel;
    const size_t groups = (k + 1) / 2;
    const vit_fetch fetch = vit_fetch_start(next, next_size, groups, w);
    (void)gemm;
    switch (tokens) {
        TILE(12)
        TILE(11)
        TILE(10)
        TILE(9)
        TILE(8)
        TILE(7)
        TILE(6)
        TILE(5)
        TILE(4)
        TILE(3)
        TILE(2)
        TILE(1)
    default:
        break;
    }
}

const vit_gemm vit_gemm_bf16_avx512 = {.name = "AVX512-BF16",
                                       .weight_panel = WEIGHTS,
                                       .token_panel = TOKENS,
                                       .k_unit = 2,
                                       .fetch_unit = 2,
                                       .weight_element = sizeof(uint16_t),
                                       .token_element = sizeof(uint16_t),
                                       .k_block = K_BLOCK,
                                       .run_size = RUN_SIZE,
                                       .pack_weights = pack_weights,
                                       .pack_tokens = pack_tokens,
                                       .pack_token_columns = pack_token_columns,
                                       .tile = tile_bf16};
