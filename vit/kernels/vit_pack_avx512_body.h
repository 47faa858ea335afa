/* vit_pack_avx512_body.h - transposes rows of floats into panels 12 or 32 lanes wide.
 *
 * A panel is made of 32-bit lanes: one float32, or two bf16 of neighbouring inputs. Blocks of 16
 * lanes per row are transposed in registers, 4x4 lanes first and then 4x4 quarters of a register,
 * so that every store is a whole register without overlap.
 *
 * The including file defines before it
 *     UNIT                                        inputs in a lane, 1 or 2
 *     __m512i load_lanes(const float *x)          16 * UNIT inputs as 16 lanes
 *     __m512i load_some_lanes(const float *x, size_t n)   the first n of them, then zeros */
#include <stdbool.h>
#include <stdint.h>

#include "vit_avx512.h"
#include "vit_unroll.h"

#define PACK_LANES ((size_t)16) /* of a register */

/* In each quarter q of the registers a, b, c, d: to[j * step] = a[4q+j] b[4q+j] c[4q+j] d[4q+j]. */
VIT_INLINE void transpose_in_quarters(__m512i a, __m512i b, __m512i c, __m512i d, __m512i *to,
                                      const size_t step)
{
    const __m512i ab_low = _mm512_unpacklo_epi32(a, b), ab_high = _mm512_unpackhi_epi32(a, b);
    const __m512i cd_low = _mm512_unpacklo_epi32(c, d), cd_high = _mm512_unpackhi_epi32(c, d);
    to[0] = _mm512_unpacklo_epi64(ab_low, cd_low);
    to[step] = _mm512_unpackhi_epi64(ab_low, cd_low);
    to[2 * step] = _mm512_unpacklo_epi64(ab_high, cd_high);
    to[3 * step] = _mm512_unpackhi_epi64(ab_high, cd_high);
}

VIT_INLINE void store_lanes(uint32_t *to, __m512i value, size_t lanes, const bool whole)
{
    if (whole)
        _mm512_storeu_si512(to, value);
    else if (lanes > 0)
        _mm512_mask_storeu_epi32(to, first_lanes(lanes), value);
}

/* Quarter q of a, b, c, d, side by side, goes to to[q * stride]; of each only what lies before
 * `lanes`, which counts from `to`. */
VIT_INLINE void store_quarters(uint32_t *to, size_t stride, __m512i a, __m512i b, __m512i c,
                               __m512i d, size_t lanes, const bool whole)
{
    const __m512i ab01 = _mm512_shuffle_i32x4(a, b, 0x44), ab23 = _mm512_shuffle_i32x4(a, b, 0xEE);
    const __m512i cd01 = _mm512_shuffle_i32x4(c, d, 0x44), cd23 = _mm512_shuffle_i32x4(c, d, 0xEE);
    const __m512i quarters[4] = {
        _mm512_shuffle_i32x4(ab01, cd01, 0x88), _mm512_shuffle_i32x4(ab01, cd01, 0xDD),
        _mm512_shuffle_i32x4(ab23, cd23, 0x88), _mm512_shuffle_i32x4(ab23, cd23, 0xDD)};
    VIT_UNROLL
    for (size_t q = 0; q < 4; q++)
        store_lanes(to + q * stride, quarters[q], lanes > q * stride ? lanes - q * stride : 0,
                    whole);
}

/* One block of one row: zeros for a row that the panel lacks, and past the inputs. */
VIT_INLINE __m512i load_block(const float *x, size_t ldx, size_t row, size_t rows, size_t inputs,
                              const bool whole)
{
    if (whole) return load_lanes(x + row * ldx);
    return row < rows ? load_some_lanes(x + row * ldx, inputs) : _mm512_setzero_si512();
}

/* A block is 16 lanes of every row; `whole`, a constant, says that all of its 12 rows and 16 lanes
 * exist. After the first step v[3 j + s] holds rows 4s .. 4s+3 of the lanes j, 4+j, 8+j, 12+j, one
 * per quarter: four lanes' worth of the panel is twelve quarters in that order. */
VIT_INLINE void pack_block_12(uint32_t *panel, const float *x, size_t ldx, size_t rows,
                              size_t inputs, const bool whole)
{
    __m512i v[12];
    VIT_UNROLL
    for (size_t s = 0; s < 3; s++)
        transpose_in_quarters(load_block(x, ldx, 4 * s, rows, inputs, whole),
                              load_block(x, ldx, 4 * s + 1, rows, inputs, whole),
                              load_block(x, ldx, 4 * s + 2, rows, inputs, whole),
                              load_block(x, ldx, 4 * s + 3, rows, inputs, whole), v + s, 3);
    const size_t lanes = (inputs + UNIT - 1) / UNIT * 12;
    VIT_UNROLL
    for (size_t s = 0; s < 3; s++)
        store_quarters(panel + 16 * s, 48, v[4 * s], v[4 * s + 1], v[4 * s + 2], v[4 * s + 3],
                       lanes > 16 * s ? lanes - 16 * s : 0, whole);
}

/* 16 rows of a panel of 32. v[4 j + s] holds rows 4s .. 4s+3 of the lanes j, 4+j, 8+j, 12+j. */
VIT_INLINE void pack_block_16_of_32(uint32_t *panel, const float *x, size_t ldx, size_t rows,
                                    size_t inputs, const bool whole)
{
    __m512i v[16];
    VIT_UNROLL
    for (size_t s = 0; s < 4; s++)
        transpose_in_quarters(load_block(x, ldx, 4 * s, rows, inputs, whole),
                              load_block(x, ldx, 4 * s + 1, rows, inputs, whole),
                              load_block(x, ldx, 4 * s + 2, rows, inputs, whole),
                              load_block(x, ldx, 4 * s + 3, rows, inputs, whole), v + s, 4);
    const size_t count = (inputs + UNIT - 1) / UNIT;
    VIT_UNROLL
    for (size_t j = 0; j < 4; j++) {
        /* every lane fills one register: it is stored whole or not at all */
        const size_t lanes = count > j ? (count - j - 1) * 32 + 16 : 0;
        store_quarters(panel + 32 * j, 128, v[4 * j], v[4 * j + 1], v[4 * j + 2], v[4 * j + 3],
                       lanes, whole);
    }
}

static void pack_12(uint32_t *panel, const float *x, size_t ldx, size_t rows, size_t k)
{
    for (size_t i = 0; i < k; i += PACK_LANES * UNIT, panel += PACK_LANES * 12)
        if (rows == 12 && k - i >= PACK_LANES * UNIT)
            pack_block_12(panel, x + i, ldx, rows, PACK_LANES * UNIT, true);
        else
            pack_block_12(panel, x + i, ldx, rows,
                          k - i < PACK_LANES * UNIT ? k - i : PACK_LANES * UNIT, false);
}

static void pack_32(uint32_t *panel, const float *x, size_t ldx, size_t rows, size_t k)
{
    for (size_t i = 0; i < k; i += PACK_LANES * UNIT, panel += PACK_LANES * 32)
        for (size_t half = 0; half < 32; half += 16) {
            const size_t here = rows > half ? rows - half : 0;
            if (here >= 16 && k - i >= PACK_LANES * UNIT)
                pack_block_16_of_32(panel + half, x + half * ldx + i, ldx, here, PACK_LANES * UNIT,
                                    true);
            else
                pack_block_16_of_32(panel + half, x + half * ldx + i, ldx, here,
                                    k - i < PACK_LANES * UNIT ? k - i : PACK_LANES * UNIT, false);
        }
}
