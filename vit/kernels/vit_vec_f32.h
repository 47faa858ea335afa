/* vit_vec_f32.h - a register of floats, as wide as the instruction set that the including file is
 * compiled for: the compilers' own vector types, and what those cannot say.
 *
 * Arithmetic is written with operators. Comparisons give ints, all ones where true; bits are for
 * arithmetic that may wrap.
 * Loops over floats are written with these because compilers leave them scalar for reasons that
 * change with their version: a clamp that becomes a branch, an operation that might trap. */
#ifndef VIT_VEC_F32_H
#define VIT_VEC_F32_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include "vit_avx512.h"
enum { VEC_LANES = 16 };
#elif defined(__AVX2__)
#include <immintrin.h>
enum { VEC_LANES = 8 };
#else
#if defined(__SSE2__)
#include <emmintrin.h>
#endif
enum { VEC_LANES = 4 };
#endif

#define VEC_INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(VEC_LANES * sizeof(float))));
typedef int32_t ints __attribute__((vector_size(VEC_LANES * sizeof(int32_t))));
typedef uint32_t bits __attribute__((vector_size(VEC_LANES * sizeof(uint32_t))));

VEC_INLINE vec vec_load(const float *from)
{
    vec v;
    memcpy(&v, from, sizeof v);
    return v;
}

VEC_INLINE void vec_store(float *to, vec v)
{
    memcpy(to, &v, sizeof v);
}

VEC_INLINE vec vec_all(float value)
{
    return (vec){0} + value;
}

VEC_INLINE vec vec_select(ints where, vec yes, vec no)
{
    return (vec)((where & (ints)yes) | (~where & (ints)no));
}

/* a > b ? a : b, so b where either is NaN. */
VEC_INLINE vec vec_max(vec a, vec b)
{
#if defined(__AVX512F__)
    return _mm512_max_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_max_ps(a, b);
#elif defined(__SSE2__)
    return _mm_max_ps(a, b);
#else
    return vec_select(a > b, a, b);
#endif
}

/* a < b ? a : b, so b where either is NaN. */
VEC_INLINE vec vec_min(vec a, vec b)
{
#if defined(__AVX512F__)
    return _mm512_min_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_min_ps(a, b);
#elif defined(__SSE2__)
    return _mm_min_ps(a, b);
#else
    return vec_select(a < b, a, b);
#endif
}

VEC_INLINE vec vec_abs(vec v)
{
    return (vec)((ints)v & 0x7FFFFFFF);
}

/* All ones in the first n lanes. */
VEC_INLINE ints vec_first(size_t n)
{
    ints lane;
    for (int32_t i = 0; i < VEC_LANES; i++) lane[i] = i;
    return lane < (int32_t)n;
}

/* The first n lanes from and to memory, n < VEC_LANES; zeros in the others. */
VEC_INLINE vec vec_load_some(const float *from, size_t n)
{
#if defined(__AVX512F__)
    return _mm512_maskz_loadu_ps(first_lanes(n), from);
#elif defined(__AVX2__)
    return _mm256_maskload_ps(from, (__m256i)vec_first(n));
#else
    vec v = {0};
    for (size_t i = 0; i < n; i++) v[i] = from[i];
    return v;
#endif
}

VEC_INLINE void vec_store_some(float *to, vec v, size_t n)
{
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(to, first_lanes(n), v);
#elif defined(__AVX2__)
    _mm256_maskstore_ps(to, (__m256i)vec_first(n), v);
#else
    for (size_t i = 0; i < n; i++) to[i] = v[i];
#endif
}

/* Lane i + half joined to lane i, for half = LANES/2, LANES/4, ... 1: the same order, and bits, as
 * a loop over an array of lanes, which compilers take through memory step by step. `op` is add or
 * max (of the upper and the lower). */
#if defined(__SSE2__)
#if defined(__AVX512F__)
#define VEC_JOIN_TO_8(op, v)                                                                       \
    _mm256_##op##_ps(_mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1)),             \
                     _mm512_castps512_ps256(v))
#else
#define VEC_JOIN_TO_8(op, v) (v)
#endif
#if defined(__AVX2__)
#define VEC_JOIN_TO_4(op, v)                                                                       \
    _mm_##op##_ps(_mm256_extractf128_ps(VEC_JOIN_TO_8(op, v), 1),                                  \
                  _mm256_castps256_ps128(VEC_JOIN_TO_8(op, v)))
#else
#define VEC_JOIN_TO_4(op, v) (v)
#endif
#define VEC_JOIN(name, op)                                                                         \
    VEC_INLINE float name(vec v)                                                                   \
    {                                                                                              \
        const __m128 four = VEC_JOIN_TO_4(op, v);                                                  \
        const __m128 two = _mm_##op##_ps(_mm_movehl_ps(four, four), four);                         \
        return _mm_cvtss_f32(_mm_##op##_ss(_mm_shuffle_ps(two, two, 1), two));                     \
    }

VEC_JOIN(vec_sum, add)
VEC_JOIN(vec_largest, max)
#else
VEC_INLINE float vec_sum(vec v)
{
    float lanes[VEC_LANES];
    memcpy(lanes, &v, sizeof lanes);
    for (size_t half = VEC_LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
}

VEC_INLINE float vec_largest(vec v)
{
    float lanes[VEC_LANES];
    memcpy(lanes, &v, sizeof lanes);
    for (size_t half = VEC_LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            lanes[i] = lanes[i + half] > lanes[i] ? lanes[i + half] : lanes[i];
    return lanes[0];
}
#endif

#endif
