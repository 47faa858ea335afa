/* The bf16 GEMM on AMX. TDPBF16PS does on 16 x 16 sums what VDPBF16PS does on 16, for 16 pairs of
 * inputs at once.
 *
 * A pass is a chain of TDPBF16PS in ascending k, 32 inputs at a time, that starts from what `out`
 * holds or from zero; inside one, even and odd inputs are added up by themselves. All elements of a
 * tile are computed alike, so an element's bits do not depend on the tile. Rounding and denormals
 * are those of VDPBF16PS. */
#include <string.h>

#include "vit_avx512.h"

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

static inline __m512i to_bf16(__m512 low, __m512 high)
{
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* Up to K inputs of a row, then zeros. */
static inline __m512i load_inputs(const float *x, size_t n)
{
    if (n >= K) return to_bf16(_mm512_loadu_ps(x), _mm512_loadu_ps(x + LANES));
    const __m512 low = _mm512_maskz_loadu_ps(first_lanes(n), x);
    return n <= LANES ? to_bf16(low, _mm512_setzero_ps())
                      : to_bf16(low, _mm512_maskz_loadu_ps(first_lanes(n - LANES), x + LANES));
}

static void pack_tokens(const vit_gemm *gemm, void *panel, const float *x, size_t ldx, size_t rows,
                        size_t k)
{
    (void)gemm;
    uint16_t *unit = panel;
    for (size_t i = 0; i < k; i += K, unit += TOKENS * K) {
        for (size_t t = 0; t < rows; t++)
            _mm512_storeu_si512(unit + t * K, load_inputs(x + t * ldx + i, k - i));
        memset(unit + rows * K, 0, (TOKENS - rows) * TOKEN_ROW);
    }
}

/* Two inputs of up to 16 neighbouring rows, which are k_stride apart: a pair for each row. Only the
 * first `inputs` of them exist; zeros stand for the others. */
static inline __m512i load_pair(const float *x, size_t k_stride, size_t inputs, __mmask16 rows)
{
    /* word j of the even input goes to word 2j; of the odd one, which is the upper half, to 2j+1 */
    const __m512i interleave = _mm512_setr_epi32(
        16 << 16, 17 << 16 | 1, 18 << 16 | 2, 19 << 16 | 3, 20 << 16 | 4, 21 << 16 | 5,
        22 << 16 | 6, 23 << 16 | 7, 24 << 16 | 8, 25 << 16 | 9, 26 << 16 | 10, 27 << 16 | 11,
        28 << 16 | 12, 29 << 16 | 13, 30 << 16 | 14, 31 << 16 | 15);
    const __m512 even = inputs > 0 ? _mm512_maskz_loadu_ps(rows, x) : _mm512_setzero_ps();
    const __m512 odd = inputs > 1 ? _mm512_maskz_loadu_ps(rows, x + k_stride) : _mm512_setzero_ps();
    return _mm512_permutexvar_epi16(interleave, to_bf16(even, odd));
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
            const __mmask16 mask = first_lanes(rows > half ? rows - half : 0);
            __m512i v[LANES];
            VIT_UNROLL
            for (size_t p = 0; p < LANES; p++)
                v[p] = load_pair(x + half + 2 * p * k_stride, k_stride,
                                 k - i > 2 * p ? k - i - 2 * p : 0, mask);
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
