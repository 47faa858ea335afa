/* vit_pack_f32_avx2.h - the transposing float32 pack of vit_rows_f32_avx2.c: panels 6 or 16 lanes
 * wide, eight inputs at a time. */
#ifndef VIT_PACK_F32_AVX2_H
#define VIT_PACK_F32_AVX2_H

#include <immintrin.h>
#include <stddef.h>

#include "vit_unroll.h"

enum { PACK_STEP = 8 };

VIT_INLINE __m256 pack_row(const float *x, size_t ldx, size_t row, size_t rows)
{
    return row < rows ? _mm256_loadu_ps(x + row * ldx) : _mm256_setzero_ps();
}

/* Pairs of rows become pairs of lanes, P, Q and R; six of them in a half of a register's worth of
 * inputs are P0 Q0 R0 P1 Q1 R1 and so on, which is the order of the panel. */
VIT_INLINE void pack_block_6(float *panel, const float *x, size_t ldx, size_t rows)
{
    const __m256 r0 = pack_row(x, ldx, 0, rows), r1 = pack_row(x, ldx, 1, rows);
    const __m256 r2 = pack_row(x, ldx, 2, rows), r3 = pack_row(x, ldx, 3, rows);
    const __m256 r4 = pack_row(x, ldx, 4, rows), r5 = pack_row(x, ldx, 5, rows);
    const __m256d p01 = _mm256_castps_pd(_mm256_unpacklo_ps(r0, r1));
    const __m256d p23 = _mm256_castps_pd(_mm256_unpackhi_ps(r0, r1));
    const __m256d q01 = _mm256_castps_pd(_mm256_unpacklo_ps(r2, r3));
    const __m256d q23 = _mm256_castps_pd(_mm256_unpackhi_ps(r2, r3));
    const __m256d r01 = _mm256_castps_pd(_mm256_unpacklo_ps(r4, r5));
    const __m256d r23 = _mm256_castps_pd(_mm256_unpackhi_ps(r4, r5));
    const __m256d a = _mm256_shuffle_pd(p01, q01, 0x0); /* P0 Q0, in either half */
    const __m256d b = _mm256_shuffle_pd(r01, p01, 0xA); /* R0 P1 */
    const __m256d c = _mm256_shuffle_pd(q01, r01, 0xF); /* Q1 R1 */
    const __m256d d = _mm256_shuffle_pd(p23, q23, 0x0); /* P2 Q2 */
    const __m256d e = _mm256_shuffle_pd(r23, p23, 0xA); /* R2 P3 */
    const __m256d f = _mm256_shuffle_pd(q23, r23, 0xF); /* Q3 R3 */
    _mm256_storeu_ps(panel, _mm256_castpd_ps(_mm256_permute2f128_pd(a, b, 0x20)));
    _mm256_storeu_ps(panel + 8, _mm256_castpd_ps(_mm256_permute2f128_pd(c, d, 0x20)));
    _mm256_storeu_ps(panel + 16, _mm256_castpd_ps(_mm256_permute2f128_pd(e, f, 0x20)));
    _mm256_storeu_ps(panel + 24, _mm256_castpd_ps(_mm256_permute2f128_pd(a, b, 0x31)));
    _mm256_storeu_ps(panel + 32, _mm256_castpd_ps(_mm256_permute2f128_pd(c, d, 0x31)));
    _mm256_storeu_ps(panel + 40, _mm256_castpd_ps(_mm256_permute2f128_pd(e, f, 0x31)));
}

/* Eight rows of a panel of 16. Half h of v[s][j] holds input 4h + j of rows 4s .. 4s+3. */
VIT_INLINE void pack_block_8_of_16(float *panel, const float *x, size_t ldx, size_t rows)
{
    __m256 v[2][4];
    VIT_UNROLL
    for (size_t s = 0; s < 2; s++) {
        const __m256 a = pack_row(x, ldx, 4 * s, rows), b = pack_row(x, ldx, 4 * s + 1, rows);
        const __m256 c = pack_row(x, ldx, 4 * s + 2, rows), d = pack_row(x, ldx, 4 * s + 3, rows);
        const __m256 ab_low = _mm256_unpacklo_ps(a, b), ab_high = _mm256_unpackhi_ps(a, b);
        const __m256 cd_low = _mm256_unpacklo_ps(c, d), cd_high = _mm256_unpackhi_ps(c, d);
        v[s][0] = _mm256_shuffle_ps(ab_low, cd_low, 0x44);
        v[s][1] = _mm256_shuffle_ps(ab_low, cd_low, 0xEE);
        v[s][2] = _mm256_shuffle_ps(ab_high, cd_high, 0x44);
        v[s][3] = _mm256_shuffle_ps(ab_high, cd_high, 0xEE);
    }
    VIT_UNROLL
    for (size_t j = 0; j < 4; j++) {
        _mm256_storeu_ps(panel + 16 * j, _mm256_permute2f128_ps(v[0][j], v[1][j], 0x20));
        _mm256_storeu_ps(panel + 16 * (4 + j), _mm256_permute2f128_ps(v[0][j], v[1][j], 0x31));
    }
}

/* Packs the widths of BLIS's AVX2 panels; returns how many inputs it packed. */
static size_t pack_transposed_avx2(float *panel, const float *x, size_t ldx, size_t rows, size_t k,
                                   size_t width)
{
    if (width != 6 && width != 16) return 0;
    size_t i = 0;
    for (; i + PACK_STEP <= k; i += PACK_STEP) {
        float *to = panel + i * width;
        if (width == 6) {
            if (rows == 6)
                pack_block_6(to, x + i, ldx, 6);
            else
                pack_block_6(to, x + i, ldx, rows);
        } else if (rows == 16) {
            pack_block_8_of_16(to, x + i, ldx, 8);
            pack_block_8_of_16(to + 8, x + 8 * ldx + i, ldx, 8);
        } else {
            pack_block_8_of_16(to, x + i, ldx, rows);
            pack_block_8_of_16(to + 8, x + 8 * ldx + i, ldx, rows > 8 ? rows - 8 : 0);
        }
    }
    return i;
}

#define VIT_PACK_TRANSPOSED pack_transposed_avx2

#endif
