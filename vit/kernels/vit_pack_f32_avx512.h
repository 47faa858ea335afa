/* vit_pack_f32_avx512.h - the transposing float32 pack of vit_rows_f32_avx512.c. */
#ifndef VIT_PACK_F32_AVX512_H
#define VIT_PACK_F32_AVX512_H

#include "vit_avx512.h"

#define UNIT 1

static inline __m512i load_lanes(const float *x)
{
    return _mm512_loadu_si512(x);
}

static inline __m512i load_some_lanes(const float *x, size_t n)
{
    return _mm512_maskz_loadu_epi32(first_lanes(n), x);
}

#include "vit_pack_avx512_body.h"

/* Packs the widths of BLIS's and vit_rows' AVX-512 panels; returns how many inputs it packed. */
static size_t pack_transposed_avx512(float *panel, const float *x, size_t ldx, size_t rows,
                                     size_t k, size_t width)
{
    if (width == 12)
        pack_12((uint32_t *)panel, x, ldx, rows, k);
    else if (width == 32)
        pack_32((uint32_t *)panel, x, ldx, rows, k);
    else
        return 0;
    return k;
}

#define VIT_PACK_TRANSPOSED pack_transposed_avx512

#endif
