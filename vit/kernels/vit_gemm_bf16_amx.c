/* The bf16 GEMM on AMX. TDPBF16PS does on 16 x 16 sums what VDPBF16PS does on 16, for 16 pairs of
 * inputs at once.
 *
 * A pass is a chain of TDPBF16PS in ascending k, 32 inputs at a time, that starts from what `out`
 * holds or from zero; inside one, even and odd inputs are added up by themselves. All elements of a
 * tile are computed alike, so an element's bits do not depend on the tile. Rounding and denormals
 * are those of VDPBF16PS. */
#include <string.h>

#include "vit_bf16_avx512.h"

#define DOT _tile_dpbf16ps
#include "vit_gemm_amx_body.h"

#define K ((size_t)32) /* inputs of a unit */

/* ---- packing ---- */

/* The panels of AVX512-BF16, continued with zeros to whole units of inputs. */
static void pack_weights(const vit_gemm *gemm, void *panel, const float *w, size_t row_stride,
                         size_t k_stride, const float *row_scale, size_t rows, size_t k)
{
    vit_gemm_bf16_avx512.pack_weights(gemm, panel, w, row_stride, k_stride, row_scale, rows, k);
    const size_t packed = (k + 1) / 2 * WEIGHT_ROW, size = (k + K - 1) / K * WEIGHT_UNIT;
    memset((char *)panel + packed, 0, size - packed);
}

static void pack_tokens(const vit_gemm *gemm, void *panel, const float *x, size_t ldx, size_t rows,
                        size_t k)
{
    (void)gemm;
    uint16_t *unit = panel;
    for (size_t i = 0; i < k; i += K, unit += TOKENS * K) {
        for (size_t t = 0; t < rows; t++)
            _mm512_storeu_si512(unit + t * K, k - i >= K ? load_lanes(x + t * ldx + i)
                                                         : load_some_lanes(x + t * ldx + i, k - i));
        memset(unit + rows * K, 0, (TOKENS - rows) * TOKEN_ROW);
    }
}

/* 16 registers of 16 lanes: lane j of register i becomes lane i of register j. */
VIT_INLINE void transpose(__m512i v[LANES])
{
    __m512i a[LANES], b[LANES];
    VIT_UNROLL
    for (size_t i = 0; i < LANES; i += 2) {
        a[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
    VIT_UNROLL
    for (size_t i = 0; i < LANES; i += 4) {
        b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    /* now quarter q of b[4 g + j] holds lanes 4q + j of registers 4g .. 4g + 3 */
    VIT_UNROLL
    for (size_t j = 0; j < 4; j++) {
        const __m512i low01 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0x44);
        const __m512i high01 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0xEE);
        const __m512i low23 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0x44);
        const __m512i high23 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0xEE);
        v[j] = _mm512_shuffle_i32x4(low01, low23, 0x88);
        v[4 + j] = _mm512_shuffle_i32x4(low01, low23, 0xDD);
        v[8 + j] = _mm512_shuffle_i32x4(high01, high23, 0x88);
        v[12 + j] = _mm512_shuffle_i32x4(high01, high23, 0xDD);
    }
}

static void pack_token_columns(const vit_gemm *gemm, void *panel, const float *x, size_t k_stride,
                               size_t rows, size_t k)
{
    (void)gemm;
    uint16_t *unit = panel;
    for (size_t i = 0; i < k; i += K, x += K * k_stride, unit += TOKENS * K)
        for (size_t half = 0; half < TOKENS; half += LANES) {
            const size_t here = rows > half ? rows - half : 0;
            __m512i v[LANES];
            VIT_UNROLL
            for (size_t p = 0; p < LANES; p++) {
                const float *even = x + half + 2 * p * k_stride;
                v[p] = pair_lanes(i + 2 * p < k ? even : NULL,
                                  i + 2 * p + 1 < k ? even + k_stride : NULL, here);
            }
            transpose(v);
            VIT_UNROLL
            for (size_t t = 0; t < LANES; t++) _mm512_storeu_si512(unit + (half + t) * K, v[t]);
        }
}

/* ---- the tile ---- */

static void copy_tile(float *to, size_t ldt, const float *from, size_t ldf, size_t weights,
                      size_t tokens)
{
    const __mmask16 low = first_lanes(weights);
    const __mmask16 high = first_lanes(weights > LANES ? weights - LANES : 0);
    for (size_t t = 0; t < tokens; t++, to += ldt, from += ldf) {
        _mm512_mask_storeu_ps(to, low, _mm512_maskz_loadu_ps(low, from));
        _mm512_mask_storeu_ps(to + LANES, high, _mm512_maskz_loadu_ps(high, from + LANES));
    }
}

static void tile_bf16(const vit_gemm *gemm, size_t k, const void *weight_panel,
                      const void *token_panel, bool accumulate, float *out, size_t ldo,
                      size_t weights, size_t tokens, const void *next, size_t next_size)
{
    (void)gemm;
    const size_t units = (k + K - 1) / K;
    const vit_fetch fetch = vit_fetch_start(next, next_size, units * UNIT_FETCHES, weight_panel);
    if (weights % LANES == 0 && tokens % LANES == 0) {
        multiply(units, weight_panel, token_panel, accumulate, out, ldo * sizeof *out, weights,
                 tokens, fetch);
        return;
    }
    float whole[TOKENS * WEIGHTS] __attribute__((aligned(64)));
    if (accumulate) copy_tile(whole, WEIGHTS, out, ldo, weights, tokens);
    __asm__ volatile("" ::: "memory"); /* GCC does not know that loads of tiles read memory */
    multiply(units, weight_panel, token_panel, accumulate, whole, WEIGHTS * sizeof *whole, weights,
             tokens, fetch);
    copy_tile(out, ldo, whole, WEIGHTS, weights, tokens);
}

const vit_gemm vit_gemm_bf16_amx = {.name = "AMX-BF16",
                                    .weight_panel = WEIGHTS,
                                    .token_panel = TOKENS,
                                    .k_unit = K,
                                    .fetch_unit = K / UNIT_FETCHES,
                                    .weight_element = sizeof(uint16_t),
                                    .token_element = sizeof(uint16_t),
                                    .k_block = L2_WEIGHT_PANEL / (WEIGHTS * sizeof(uint16_t)),
                                    .run_size = L2_TOKENS,
                                    .pack_weights = pack_weights,
                                    .pack_tokens = pack_tokens,
                                    .pack_token_columns = pack_token_columns,
                                    .begin = begin,
                                    .end = end,
                                    .tile = tile_bf16};
