/* imgio_resize_avx.h - what the resizers for AVX2 and AVX-512 share: both work on four rows across.
 * Everything is static, compiled with the including file's instruction set. */
#ifndef IMGIO_RESIZE_AVX_H
#define IMGIO_RESIZE_AVX_H

#include <immintrin.h>
#include <string.h>

#include "vitc_size.h"

enum { ROWS = 4 };

/* 16 bytes, or the `bytes` that are left of a row and zeros. */
static inline __m128i load_pixels(const uint8_t *from, size_t bytes)
{
    uint8_t padded[16] = {0};
    if (bytes >= 16) return _mm_loadu_si128((const __m128i *)(const void *)from);
    memcpy(padded, from, bytes);
    return _mm_loadu_si128((const __m128i *)(const void *)padded);
}

/* Rows y to y + 3 of `rows`. The last may be less than four: the last one then stands in for the
 * others. */
static inline void choose_rows(const uint8_t *from[ROWS], uint8_t *to[ROWS], const uint8_t *in,
                               uint8_t *out, size_t in_stride, size_t out_stride, size_t y,
                               size_t rows)
{
    for (size_t r = 0; r < ROWS; r++) {
        from[r] = in + vitc_size_min(y + r, rows - 1) * in_stride;
        to[r] = out + vitc_size_min(y + r, rows - 1) * out_stride;
    }
}

#endif
