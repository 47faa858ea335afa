/* Both passes with AVX512-VNNI: four inputs at a time (VPDPBUSD), weights as three 8-bit digits,
 * pixels as the bytes they are. */
#include <immintrin.h>
#include <string.h>

#include "imgio_resize.h"
#include "imgio_resize_avx.h"
#include "vitc_cpu.h"
#include "vitc_size.h"

/* The sums of each digit to pixels that are still 32 bits wide. They may wrap on the way: the
 * result is that of arithmetic modulo 2^32. */
static __m512i sum_digits(__m512i d0, __m512i d1, __m512i d2)
{
    const __m512i half = _mm512_set1_epi32(IMGIO_RESIZE_HALF);
    const __m512i upper = _mm512_add_epi32(d1, _mm512_slli_epi32(d2, 8));
    const __m512i sum = _mm512_add_epi32(_mm512_add_epi32(d0, half), _mm512_slli_epi32(upper, 8));
    return _mm512_srai_epi32(sum, IMGIO_RESIZE_PRECISION);
}

/* Clips 4 vectors of 32-bit pixels to bytes: in each quarter of 16 bytes, 4 from each vector. */
static __m512i to_bytes(__m512i a, __m512i b, __m512i c, __m512i d)
{
    return _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
}

static __m512i weight_word(const uint32_t *word)
{
    return _mm512_set1_epi32((int32_t)*word);
}

/* ---- across: four rows at a time ----
 *
 * First the rows are spread out, once, to what VPDPBUSD takes: for each four pixels 0 to 3
 *     { r0 r1 r2 r3 g0 g1 g2 g3 b0 b1 b2 b3 0 0 0 0 } of rows 0, 1, 2, 3       64 bytes
 * so that an output is a run of such blocks times a run of weights. */

static void spread(__m512i *to, const uint8_t *const in[ROWS], size_t width)
{
    const __m512i by_channel =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1));
    const size_t bytes = width * 3;
    for (size_t at = 0; at < bytes; at += 12, to++) {
        __m512i pixels = _mm512_castsi128_si512(load_pixels(in[0] + at, bytes - at));
        pixels = _mm512_inserti32x4(pixels, load_pixels(in[1] + at, bytes - at), 1);
        pixels = _mm512_inserti32x4(pixels, load_pixels(in[2] + at, bytes - at), 2);
        pixels = _mm512_inserti32x4(pixels, load_pixels(in[3] + at, bytes - at), 3);
        _mm512_store_si512(to, _mm512_shuffle_epi8(pixels, by_channel));
    }
}

/* One output of four rows: { r g b 0 } of each. */
static __m512i column(const __m512i *spread_rows, const imgio_axis *a, size_t x)
{
    const __m512i *from = spread_rows + a->first[x] / 4;
    const uint32_t *weights = a->weights + x * a->stride;
    __m512i d0 = _mm512_setzero_si512(), d1 = d0, d2 = d0;
    for (uint32_t g = a->groups[x]; g > 0; g--, from++, weights += 3) {
        const __m512i pixels = _mm512_load_si512(from);
        d0 = _mm512_dpbusd_epi32(d0, pixels, weight_word(weights));
        d1 = _mm512_dpbusd_epi32(d1, pixels, weight_word(weights + 1));
        d2 = _mm512_dpbusd_epi32(d2, pixels, weight_word(weights + 2));
    }
    return sum_digits(d0, d1, d2);
}

/* 12 bytes, or the `left` that the row has room for; 4 more may be written where there is room. */
static void store_pixels(uint8_t *to, __m128i pixels, size_t left)
{
    if (left >= 16)
        _mm_storeu_si128((__m128i *)(void *)to, pixels);
    else
        _mm_mask_storeu_epi8(to, (__mmask16)((1u << vitc_size_min(left, 12)) - 1), pixels);
}

static void columns(uint8_t *out, const uint8_t *in, size_t rows, const imgio_axis *a,
                    void *scratch)
{
    const __m512i close_up = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    const size_t in_stride = (size_t)a->in * 3, out_stride = (size_t)a->out * 3;
    for (size_t y = 0; y < rows; y += ROWS) {
        const uint8_t *from[ROWS];
        uint8_t *to[ROWS];
        choose_rows(from, to, in, out, in_stride, out_stride, y, rows);
        spread(scratch, from, a->in);
        for (size_t x = 0; x < a->out; x += 4) {
            const size_t left = out_stride - x * 3, last = a->out - 1;
            const __m512i pixels = _mm512_shuffle_epi8(
                to_bytes(column(scratch, a, x), column(scratch, a, vitc_size_min(x + 1, last)),
                         column(scratch, a, vitc_size_min(x + 2, last)),
                         column(scratch, a, vitc_size_min(x + 3, last))),
                close_up);
            store_pixels(to[0] + x * 3, _mm512_castsi512_si128(pixels), left);
            store_pixels(to[1] + x * 3, _mm512_extracti32x4_epi32(pixels, 1), left);
            store_pixels(to[2] + x * 3, _mm512_extracti32x4_epi32(pixels, 2), left);
            store_pixels(to[3] + x * 3, _mm512_extracti32x4_epi32(pixels, 3), left);
        }
    }
}

/* ---- down: 64 bytes at a time, of four rows ---- */

/* The bytes of output row y that `mask` selects. */
static void strip(uint8_t *out, const uint8_t *in, size_t stride, __mmask64 mask, size_t skipped,
                  const imgio_axis *a, size_t y)
{
    const uint32_t *weights = a->weights + y * a->stride;
    __m512i sums[4][3];
    for (size_t q = 0; q < 4; q++)
        for (size_t d = 0; d < 3; d++) sums[q][d] = _mm512_setzero_si512();
    for (size_t g = 0; g < a->groups[y]; g++, weights += 3) {
        __m512i row[4];
        for (size_t k = 0; k < 4; k++) {
            const size_t i = vitc_size_min(a->first[y] + 4 * g + k, a->end - 1) - skipped;
            row[k] = _mm512_maskz_loadu_epi8(mask, in + i * stride);
        }
        const __m512i left01 = _mm512_unpacklo_epi8(row[0], row[1]);
        const __m512i right01 = _mm512_unpackhi_epi8(row[0], row[1]);
        const __m512i left23 = _mm512_unpacklo_epi8(row[2], row[3]);
        const __m512i right23 = _mm512_unpackhi_epi8(row[2], row[3]);
        const __m512i quads[4] = {
            _mm512_unpacklo_epi16(left01, left23), _mm512_unpackhi_epi16(left01, left23),
            _mm512_unpacklo_epi16(right01, right23), _mm512_unpackhi_epi16(right01, right23)};
        for (size_t d = 0; d < 3; d++)
            for (size_t q = 0; q < 4; q++)
                sums[q][d] = _mm512_dpbusd_epi32(sums[q][d], quads[q], weight_word(weights + d));
    }
    __m512i pixels[4];
    for (size_t q = 0; q < 4; q++) pixels[q] = sum_digits(sums[q][0], sums[q][1], sums[q][2]);
    _mm512_mask_storeu_epi8(out, mask, to_bytes(pixels[0], pixels[1], pixels[2], pixels[3]));
}

static void row(uint8_t *out, const uint8_t *in, size_t stride, uint32_t skipped,
                const imgio_axis *a, uint32_t y)
{
    for (size_t at = 0; at < stride; at += 64) {
        const size_t left = stride - at;
        const __mmask64 mask = left >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << left) - 1;
        strip(out + at, in + at, stride, mask, skipped, a, y);
    }
}

const imgio_resizer imgio_resizer_avx512 = {.name = "avx512",
                                            .cpu = VITC_CPU_AVX512_VNNI,
                                            .group = 4,
                                            .digits = 3,
                                            .scratch_per_4_pixels = 64,
                                            .columns = columns,
                                            .row = row};
