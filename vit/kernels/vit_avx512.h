/* vit_avx512.h - what the AVX-512 kernels share; only files with that set's flags include it. */
#ifndef VIT_AVX512_H
#define VIT_AVX512_H

#include <immintrin.h>
#include <stddef.h>

/* The first n of a register's sixteen 32-bit lanes; all of them for n >= 16. */
static inline __mmask16 first_lanes(size_t n)
{
    return (__mmask16)(n >= 16 ? 0xFFFFu : (1u << n) - 1);
}

#endif
