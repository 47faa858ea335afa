/* vit_gemm_int8_zmm.h - the part of int8 packing that is the same in all AVX-512 kernels. */
#ifndef VIT_GEMM_INT8_ZMM_H
#define VIT_GEMM_INT8_ZMM_H

#include <immintrin.h>

#include "vit_gemm_int8.h"

#define FIRST(n) ((__mmask16)((1u << (n)) - 1))

static inline int32_t largest_bits(const float *x, size_t n)
{
    const __m512i magnitude = _mm512_set1_epi32(INT32_MAX);
    __m512i largest[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
        for (size_t j = 0; j < 2; j++)
            largest[j] = _mm512_max_epi32(
                largest[j], _mm512_and_si512(_mm512_loadu_si512(x + i + 16 * j), magnitude));
    for (; i < n; i += 16) {
        const __mmask16 some = n - i < 16 ? FIRST(n - i) : FIRST(16);
        largest[0] = _mm512_max_epi32(
            largest[0], _mm512_and_si512(_mm512_maskz_loadu_epi32(some, x + i), magnitude));
    }
    return _mm512_reduce_max_epi32(_mm512_max_epi32(largest[0], largest[1]));
}

static inline __m128i quantize(const float *x, size_t n, float inverse)
{
    const __m512 value = _mm512_maskz_loadu_ps(FIRST(n), x);
    return _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(value, _mm512_set1_ps(inverse))));
}

#endif
