/* vit_bf16_avx512.h - float32 to bf16, for the packing of both bf16 kernels of AVX-512 machines. */
#ifndef VIT_BF16_AVX512_H
#define VIT_BF16_AVX512_H

#include <stdint.h>

#include "vit_avx512.h"
#include "vit_unroll.h"

#define LANES ((size_t)16)

static inline __m512i to_bf16(__m512 low, __m512 high)
{
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

static inline __m512i load_lanes(const float *x)
{
    return to_bf16(_mm512_loadu_ps(x), _mm512_loadu_ps(x + LANES));
}

static inline __m512i load_some_lanes(const float *x, size_t n)
{
    const __m512 low = _mm512_maskz_loadu_ps(first_lanes(n), x);
    if (n <= LANES) return to_bf16(low, _mm512_setzero_ps());
    return to_bf16(low, _mm512_maskz_loadu_ps(first_lanes(n - LANES), x + LANES));
}

/* Two inputs of up to 16 rows, each from contiguous floats, as one register; NULL: zeros. */
VIT_INLINE __m512i pair_lanes(const float *even, const float *odd, size_t rows)
{
    /* word j of the even input goes to word 2j; of the odd one, which is the upper half, to 2j+1 */
    const __m512i interleave = _mm512_setr_epi32(
        16 << 16, 17 << 16 | 1, 18 << 16 | 2, 19 << 16 | 3, 20 << 16 | 4, 21 << 16 | 5,
        22 << 16 | 6, 23 << 16 | 7, 24 << 16 | 8, 25 << 16 | 9, 26 << 16 | 10, 27 << 16 | 11,
        28 << 16 | 12, 29 << 16 | 13, 30 << 16 | 14, 31 << 16 | 15);
    const __mmask16 mask = first_lanes(rows);
    const __m512 a = even != NULL ? _mm512_maskz_loadu_ps(mask, even) : _mm512_setzero_ps();
    const __m512 b = odd != NULL ? _mm512_maskz_loadu_ps(mask, odd) : _mm512_setzero_ps();
    return _mm512_permutexvar_epi16(interleave, to_bf16(a, b));
}

#endif
