/* Both passes with AVX2: two inputs at a time (VPMADDWD), weights as two 16-bit digits. */
#include <immintrin.h>
#include <string.h>

#include "imgio_resize.h"
#include "imgio_resize_avx.h"
#include "vitc_cpu.h"
#include "vitc_size.h"

/* The lower digits' sums and the higher ones' to pixels that are still 32 bits wide. They may wrap
 * on the way: the result is that of arithmetic modulo 2^32. */
static __m256i sum_digits(__m256i low, __m256i high)
{
    const __m256i half = _mm256_set1_epi32(IMGIO_RESIZE_HALF);
    const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(low, half), _mm256_slli_epi32(high, 16));
    return _mm256_srai_epi32(sum, IMGIO_RESIZE_PRECISION);
}

/* Clips 4 vectors of 32-bit pixels to bytes: in each half of 16 bytes, 4 from each vector. */
static __m256i to_bytes(__m256i a, __m256i b, __m256i c, __m256i d)
{
    return _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
}

static __m256i weight_word(const uint32_t *word)
{
    return _mm256_set1_epi32((int32_t)*word);
}

/* ---- across: four rows at a time ----
 *
 * First the rows are spread out, once, to what VPMADDWD takes: for each pair of pixels 0 and 1, in
 * 16-bit numbers,
 *     { r0 r1 g0 g1 b0 b1 0 0 } of rows 0, 1, 2, 3       64 bytes
 * so that an output is a run of such blocks times a run of weights. */

static void spread(__m256i *to, const uint8_t *const in[ROWS], size_t width)
{
    const __m256i first =
        _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, 0, -1, 3, -1, 1,
                         -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
    const __m256i second =
        _mm256_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1, 6, -1, 9, -1,
                         7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
    const size_t bytes = width * 3;
    for (size_t at = 0; at < bytes; at += 12, to += 4) {
        for (size_t h = 0; h < 2; h++) {
            const __m128i above = load_pixels(in[2 * h] + at, bytes - at);
            const __m128i below = load_pixels(in[2 * h + 1] + at, bytes - at);
            const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(above), below, 1);
            _mm256_store_si256(to + h, _mm256_shuffle_epi8(both, first));
            _mm256_store_si256(to + 2 + h, _mm256_shuffle_epi8(both, second));
        }
    }
}

/* One output of four rows: sums[0] has { r g b 0 } of rows 0 and 1, sums[1] of rows 2 and 3. */
static void column(__m256i sums[2], const __m256i *spread_rows, const imgio_axis *a, size_t x)
{
    const __m256i *from = spread_rows + a->first[x]; /* 2 vectors for 2 pixels */
    const uint32_t *weights = a->weights + x * a->stride;
    __m256i low0 = _mm256_setzero_si256(), high0 = low0, low1 = low0, high1 = low0;
    for (uint32_t g = a->groups[x]; g > 0; g--, from += 2, weights += 2) {
        const __m256i low = weight_word(weights), high = weight_word(weights + 1);
        const __m256i rows0 = _mm256_load_si256(from), rows1 = _mm256_load_si256(from + 1);
        low0 = _mm256_add_epi32(low0, _mm256_madd_epi16(rows0, low));
        high0 = _mm256_add_epi32(high0, _mm256_madd_epi16(rows0, high));
        low1 = _mm256_add_epi32(low1, _mm256_madd_epi16(rows1, low));
        high1 = _mm256_add_epi32(high1, _mm256_madd_epi16(rows1, high));
    }
    sums[0] = sum_digits(low0, high0);
    sums[1] = sum_digits(low1, high1);
}

/* 12 bytes, or the `left` that the row has room for; 4 more may be written where there is room. */
static void store_pixels(uint8_t *to, __m128i pixels, size_t left)
{
    uint8_t bytes[16];
    if (left >= 16) {
        _mm_storeu_si128((__m128i *)(void *)to, pixels);
    } else {
        _mm_storeu_si128((__m128i *)(void *)bytes, pixels);
        memcpy(to, bytes, vitc_size_min(left, 12));
    }
}

static void columns(uint8_t *out, const uint8_t *in, size_t rows, const imgio_axis *a,
                    void *scratch)
{
    const __m256i close_up =
        _mm256_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1, 0, 1, 2, 4, 5, 6,
                         8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    const size_t in_stride = (size_t)a->in * 3, out_stride = (size_t)a->out * 3;
    for (size_t y = 0; y < rows; y += ROWS) {
        const uint8_t *from[ROWS];
        uint8_t *to[ROWS];
        choose_rows(from, to, in, out, in_stride, out_stride, y, rows);
        spread(scratch, from, a->in);
        for (size_t x = 0; x < a->out; x += 4) {
            __m256i sums[4][2];
            for (size_t j = 0; j < 4; j++)
                column(sums[j], scratch, a, vitc_size_min(x + j, a->out - 1));
            for (size_t h = 0; h < 2; h++) {
                const __m256i pixels = _mm256_shuffle_epi8(
                    to_bytes(sums[0][h], sums[1][h], sums[2][h], sums[3][h]), close_up);
                const size_t left = out_stride - x * 3;
                store_pixels(to[2 * h] + x * 3, _mm256_castsi256_si128(pixels), left);
                store_pixels(to[2 * h + 1] + x * 3, _mm256_extracti128_si256(pixels, 1), left);
            }
        }
    }
}

/* ---- down: 32 bytes at a time, of two rows ---- */

static __m256i load_bytes(const uint8_t *from, size_t bytes)
{
    uint8_t padded[32] = {0};
    if (bytes >= 32) return _mm256_loadu_si256((const __m256i *)(const void *)from);
    memcpy(padded, from, bytes);
    return _mm256_loadu_si256((const __m256i *)(const void *)padded);
}

/* Up to 32 bytes of output row y. */
static inline void strip(uint8_t *out, const uint8_t *in, size_t stride, size_t bytes,
                         size_t skipped, const imgio_axis *a, size_t y)
{
    const __m256i zero = _mm256_setzero_si256();
    const uint32_t *weights = a->weights + y * a->stride;
    __m256i low[4] = {zero, zero, zero, zero}, high[4] = {zero, zero, zero, zero};
    for (size_t g = 0; g < a->groups[y]; g++, weights += 2) {
        const size_t i = a->first[y] + 2 * g, next = vitc_size_min(i + 1, a->end - 1);
        const __m256i one = load_bytes(in + (i - skipped) * stride, bytes);
        const __m256i two = load_bytes(in + (next - skipped) * stride, bytes);
        const __m256i left = _mm256_unpacklo_epi8(one, two);
        const __m256i right = _mm256_unpackhi_epi8(one, two);
        const __m256i pairs[4] = {
            _mm256_unpacklo_epi8(left, zero), _mm256_unpackhi_epi8(left, zero),
            _mm256_unpacklo_epi8(right, zero), _mm256_unpackhi_epi8(right, zero)};
        const __m256i low_weights = weight_word(weights), high_weights = weight_word(weights + 1);
        for (size_t q = 0; q < 4; q++) {
            low[q] = _mm256_add_epi32(low[q], _mm256_madd_epi16(pairs[q], low_weights));
            high[q] = _mm256_add_epi32(high[q], _mm256_madd_epi16(pairs[q], high_weights));
        }
    }
    const __m256i pixels = to_bytes(sum_digits(low[0], high[0]), sum_digits(low[1], high[1]),
                                    sum_digits(low[2], high[2]), sum_digits(low[3], high[3]));
    if (bytes >= 32) {
        _mm256_storeu_si256((__m256i *)(void *)out, pixels);
    } else {
        uint8_t whole[32];
        _mm256_storeu_si256((__m256i *)(void *)whole, pixels);
        memcpy(out, whole, bytes);
    }
}

static void row(uint8_t *out, const uint8_t *in, size_t stride, uint32_t skipped,
                const imgio_axis *a, uint32_t y)
{
    size_t at = 0;
    for (; at + 32 <= stride; at += 32) strip(out + at, in + at, stride, 32, skipped, a, y);
    if (at < stride) strip(out + at, in + at, stride, stride - at, skipped, a, y);
}

const imgio_resizer imgio_resizer_avx2 = {.name = "avx2",
                                          .cpu = VITC_CPU_AVX2_FMA,
                                          .group = 2,
                                          .digits = 2,
                                          .scratch_per_4_pixels = 128,
                                          .columns = columns,
                                          .row = row};
