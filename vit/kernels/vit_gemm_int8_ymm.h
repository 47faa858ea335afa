/* vit_gemm_int8_ymm.h - what the two 256-bit int8 kernels share: the registers' macros for
 * vit_gemm_int8_body.h. A tile is 16 weights x 6 tokens: 12 of the 16 registers hold sums. */
#include <immintrin.h>

#include "vit_gemm_int8.h"

#define VEC                 __m256i
#define FLOATS              __m256
#define LANES               8
#define TOKENS              6
#define LOAD(p)             _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define ZERO()              _mm256_setzero_si256()
#define TO_FLOAT(v)         _mm256_cvtepi32_ps(v)
#define MUL(a, b)           _mm256_mul_ps(a, b)
#define ADD(a, b)           _mm256_add_ps(a, b)
#define LOAD_FLOATS(p)      _mm256_loadu_ps(p)
#define BROADCAST_FLOAT(p)  _mm256_broadcast_ss(p)
#define LOAD_SOME(p, n)     load_some(p, n)
#define STORE_SOME(p, v, n) store_some(p, v, n)

/* The first n of eight lanes. */
static inline __m256i first_lanes(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* Masked memory is slow before AVX-512: whole registers go without. */
static inline __m256 load_some(const float *p, size_t n)
{
    return n >= LANES ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, first_lanes(n));
}

static inline void store_some(float *p, __m256 value, size_t n)
{
    if (n >= LANES)
        _mm256_storeu_ps(p, value);
    else
        _mm256_maskstore_ps(p, first_lanes(n), value);
}

static inline int32_t largest_bits(const float *x, size_t n)
{
    const __m256i magnitude = _mm256_set1_epi32(INT32_MAX);
    __m256i largest[2] = {ZERO(), ZERO()};
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t j = 0; j < 2; j++)
            largest[j] =
                _mm256_max_epi32(largest[j], _mm256_and_si256(LOAD(x + i + LANES * j), magnitude));
    for (; i < n; i += LANES)
        largest[0] = _mm256_max_epi32(
            largest[0], _mm256_and_si256(_mm256_castps_si256(load_some(x + i, n - i)), magnitude));
    largest[0] = _mm256_max_epi32(largest[0], largest[1]);
    __m128i four =
        _mm_max_epi32(_mm256_castsi256_si128(largest[0]), _mm256_extracti128_si256(largest[0], 1));
    four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xB1));
    return _mm_cvtsi128_si32(four);
}

/* The first n of eight numbers as int32, zeros after them. */
static inline __m256i quantize_eight(const float *x, size_t n, float inverse)
{
    return _mm256_cvtps_epi32(_mm256_mul_ps(load_some(x, n), _mm256_set1_ps(inverse)));
}
