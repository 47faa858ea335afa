/* vit_gemm_int8_body.h - the int8 kernels of x86-64: one body, compiled once per instruction set.
 *
 * All of them multiply groups of numbers that fill 32 bits: four bytes (K_UNIT 4: weights signed,
 * tokens q + 128 unsigned) or two 16-bit numbers (K_UNIT 2: both signed). A weight panel is two
 * registers wide, and a token's group is broadcast against them.
 *
 *     weight panel:  float scale[WR]  int32 start[WR] (bytes only)  group 0: WR x 32 bits  group 1
 * ... token panel:   float scale[XR]                                group 0: XR x 32 bits  group 1
 * ...
 *
 * start[o] = -128 * sum over k of q_w[o][k] is where a sum begins, so that it ends at q_w . q_x.
 * Integer sums are exact, whatever the order; out = (float)sum * (scale_w * scale_x), plus what was
 * there, each operation rounded: every kernel gives the bits of vit_gemm_int8_ref.c.
 *
 * The including file defines VEC (a register of integers), LANES (32-bit numbers in it), TOKENS,
 * K_UNIT, LOAD, ZERO; FLOATS (a register), TO_FLOAT, MUL, ADD, LOAD_FLOATS, BROADCAST_FLOAT, and
 * LOAD_SOME, STORE_SOME for the first n lanes only, all on unaligned memory; RUN_SIZE; and
 *     static void dot_one(VEC *sum, VEC w, const char *group)             *sum += w . the group
 *     static void dot_two(VEC *low, VEC *high, VEC w0, VEC w1, const char *group)
 * These are assembly, broadcast and all: compilers copy sums in and out of destructive
 * instructions and load groups ahead until registers spill, which halves the speed. For packing:
 *     static int32_t largest_bits(const float *x, size_t n)               max of bits without sign
 *     static __m128i quantize(const float *x, size_t n, float inverse)    n <= 4 * K_UNIT numbers,
 *     static __m128i widen(const int8_t *q, size_t n)                     zeros after the n-th */
#include <stddef.h>

#include "vit_fetch.h"
#include "vit_unroll.h"
#include "vitc_size.h"

enum { BIASED = K_UNIT == 4 }; /* tokens are stored as q + 128 */
#define WEIGHTS       ((size_t)2 * LANES)
#define GROUP         ((size_t)4) /* bytes */
#define WEIGHT_HEADER ((size_t)(BIASED ? 8 : 4))
#define TOKEN_HEADER  ((size_t)4)

/* ---- the tile ---- */

VIT_INLINE void finish(VEC sum, FLOATS scale, bool accumulate, float *out, size_t lanes)
{
    FLOATS value = MUL(TO_FLOAT(sum), scale);
    if (accumulate) value = ADD(LOAD_SOME(out, lanes), value);
    STORE_SOME(out, value, lanes);
}

/* vectors (1 or 2) and tokens are constants in every call, so that all sums live in registers. */
VIT_INLINE void multiply(size_t k, const char *w, const char *x, bool accumulate, float *out,
                         size_t ldo, size_t weights, const size_t vectors, const size_t tokens,
                         vit_fetch fetch)
{
    VEC low[TOKENS], high[TOKENS];
    const float *scale_w = (const float *)w, *scale_x = (const float *)x;
    VIT_UNROLL
    for (size_t t = 0; t < tokens; t++) { /* `start`, behind the scales */
        low[t] = BIASED ? LOAD(w + WEIGHTS * sizeof(float)) : ZERO();
        high[t] = BIASED && vectors == 2 ? LOAD(w + (WEIGHTS + LANES) * sizeof(float)) : ZERO();
    }
    w += WEIGHTS * WEIGHT_HEADER;
    x += TOKENS * TOKEN_HEADER;
    for (size_t i = 0; i < k; i += K_UNIT) {
        const VEC w0 = LOAD(w);
        const VEC w1 = vectors == 2 ? LOAD(w + LANES * GROUP) : w0;
        vit_fetch_step(&fetch);
        VIT_UNROLL
        for (size_t t = 0; t < tokens; t++) {
            if (vectors == 2)
                dot_two(&low[t], &high[t], w0, w1, x + t * GROUP);
            else
                dot_one(&low[t], w0, x + t * GROUP);
        }
        w += WEIGHTS * GROUP;
        x += TOKENS * GROUP;
    }
    const size_t first = vitc_size_min(weights, LANES);
    VIT_UNROLL
    for (size_t t = 0; t < tokens; t++) {
        const FLOATS scale = BROADCAST_FLOAT(scale_x + t);
        finish(low[t], MUL(LOAD_FLOATS(scale_w), scale), accumulate, out + t * ldo, first);
        if (vectors == 2)
            finish(high[t], MUL(LOAD_FLOATS(scale_w + LANES), scale), accumulate,
                   out + t * ldo + LANES, weights - LANES);
    }
}

#define MULTIPLY(n)                                                                                \
    case n:                                                                                        \
        if (weights > LANES)                                                                       \
            multiply(k, w, x, accumulate, out, ldo, weights, 2, n, fetch);                         \
        else                                                                                       \
            multiply(k, w, x, accumulate, out, ldo, weights, 1, n, fetch);                         \
        break;

static void tile_int8(const vit_gemm *gemm, size_t k, const void *weight_panel,
                      const void *token_panel, bool accumulate, float *out, size_t ldo,
                      size_t weights, size_t tokens, const void *next, size_t next_size)
{
    const char *w = weight_panel, *x = token_panel;
    const vit_fetch fetch = vit_fetch_start(next, next_size, (k + K_UNIT - 1) / K_UNIT, w);
    (void)gemm;
    switch (tokens) {
        MULTIPLY(1)
        MULTIPLY(2)
        MULTIPLY(3)
        MULTIPLY(4)
        MULTIPLY(5)
        MULTIPLY(6)
#if TOKENS == 12
        MULTIPLY(7)
        MULTIPLY(8)
        MULTIPLY(9)
        MULTIPLY(10)
        MULTIPLY(11)
        MULTIPLY(12)
#endif
    default:
        break;
    }
}

/* ---- packing: four rows at a time, a square of 4 x 4 groups in registers ---- */

enum { QUAD = 4, STEP = 4 * K_UNIT, CHUNK = 128 };

/* Rows that are absent or become zeros are read from here, whatever is in their own place. */
static const float zeros[CHUNK];
static const int8_t quantized_zeros[CHUNK];

/* n numbers of a row as neighbours: in place, or gathered. */
VIT_INLINE const float *neighbours(float *gathered, const float *x, size_t k_stride, size_t n)
{
    if (k_stride == 1) return x;
    for (size_t i = 0; i < n; i++) gathered[i] = x[i * k_stride];
    return gathered;
}

/* Writes `groups` <= 4 groups of the four rows q, `lanes` <= 4 of them, to a panel of `width`
 * lanes, every bit of `flip` inverted, and adds what they hold to *sums (bytes only). */
VIT_INLINE void interleave(char *panel, const __m128i q[QUAD], size_t groups, size_t width,
                           size_t lanes, __m128i flip, __m128i *sums)
{
    const __m128i a = _mm_unpacklo_epi32(q[0], q[1]), b = _mm_unpacklo_epi32(q[2], q[3]);
    const __m128i c = _mm_unpackhi_epi32(q[0], q[1]), d = _mm_unpackhi_epi32(q[2], q[3]);
    const __m128i group[QUAD] = {_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b),
                                 _mm_unpacklo_epi64(c, d), _mm_unpackhi_epi64(c, d)};
    for (size_t g = 0; g < groups; g++) {
        if (sums != NULL)
            *sums =
                _mm_add_epi32(*sums, _mm_madd_epi16(_mm_maddubs_epi16(_mm_set1_epi8(1), group[g]),
                                                    _mm_set1_epi16(1)));
        const __m128i value = _mm_xor_si128(group[g], flip);
        char *to = panel + g * width * GROUP;
        if (lanes == QUAD)
            _mm_storeu_si128((__m128i *)to, value);
        else
            memcpy(to, &value, lanes * GROUP);
    }
}

/* One quad's numbers from floats (x[r], to be multiplied by inverse[r]) or from int8 (q[r]); a NULL
 * row is zeros. */
VIT_INLINE void pack_quad(char *panel, const float *const x[QUAD], const int8_t *const q[QUAD],
                          const float inverse[QUAD], size_t k_stride, size_t k, size_t width,
                          size_t lanes, __m128i flip, __m128i *sums)
{
    float gathered[QUAD][CHUNK];
    for (size_t from = 0; from < k; from += CHUNK) {
        const size_t count = vitc_size_min(CHUNK, k - from);
        const float *float_row[QUAD];
        const int8_t *int8_row[QUAD];
        for (size_t r = 0; r < QUAD; r++) {
            if (x != NULL)
                float_row[r] =
                    x[r] == NULL ? zeros
                                 : neighbours(gathered[r], x[r] + from * k_stride, k_stride, count);
            else
                int8_row[r] = q[r] == NULL ? quantized_zeros : q[r] + from;
        }
        size_t i = 0;
        __m128i square[QUAD];
        for (; i + STEP <= count; i += STEP) {
            for (size_t r = 0; r < QUAD; r++)
                square[r] = x != NULL ? quantize(float_row[r] + i, STEP, inverse[r])
                                      : widen(int8_row[r] + i, STEP);
            interleave(panel, square, 4, width, lanes, flip, sums);
            panel += 4 * width * GROUP;
        }
        if (i < count) {
            for (size_t r = 0; r < QUAD; r++)
                square[r] = x != NULL ? quantize(float_row[r] + i, count - i, inverse[r])
                                      : widen(int8_row[r] + i, count - i);
            interleave(panel, square, vitc_size_divide_up(count - i, K_UNIT), width, lanes, flip,
                       sums);
        }
    }
}

/* The bits of the largest magnitude of a row. */
VIT_INLINE int32_t largest_of_row(const float *x, size_t k_stride, size_t k)
{
    if (k_stride == 1) return largest_bits(x, k);
    float gathered[CHUNK];
    int32_t largest = 0;
    for (size_t from = 0; from < k; from += CHUNK) {
        const size_t count = vitc_size_min(CHUNK, k - from);
        const int32_t bits =
            largest_bits(neighbours(gathered, x + from * k_stride, k_stride, count), count);
        if (bits > largest) largest = bits;
    }
    return largest;
}

/* Where the weights' sums start: -128 * sum q. */
VIT_INLINE void store_start(char *panel, size_t lane, __m128i sums)
{
    if (BIASED)
        _mm_storeu_si128((__m128i *)(panel + (WEIGHTS + lane) * sizeof(int32_t)),
                         _mm_sub_epi32(_mm_setzero_si128(), _mm_slli_epi32(sums, 7)));
}

static void pack_weights_int8(const vit_gemm *gemm, void *panel, const float *w, size_t row_stride,
                              size_t k_stride, const float *row_scale, size_t rows, size_t k)
{
    char *numbers = (char *)panel + WEIGHTS * WEIGHT_HEADER;
    float *scale = panel;
    (void)gemm;
    for (size_t lane = 0; lane < WEIGHTS; lane += QUAD) {
        const float *row[QUAD] = {0};
        float inverse[QUAD] = {0};
        __m128i sums = _mm_setzero_si128();
        for (size_t r = 0; r < QUAD; r++) {
            scale[lane + r] = 0;
            if (lane + r >= rows) continue;
            const float *start = w + (lane + r) * row_stride;
            scale[lane + r] = vit_int8_scale(largest_of_row(start, k_stride, k), &inverse[r]);
            if (row_scale != NULL) scale[lane + r] *= row_scale[lane + r];
            if (inverse[r] != 0) row[r] = start;
        }
        if (k_stride == 1)
            pack_quad(numbers + lane * GROUP, row, NULL, inverse, 1, k, WEIGHTS, QUAD,
                      _mm_setzero_si128(), BIASED ? &sums : NULL);
        else
            pack_quad(numbers + lane * GROUP, row, NULL, inverse, k_stride, k, WEIGHTS, QUAD,
                      _mm_setzero_si128(), BIASED ? &sums : NULL);
        store_start(panel, lane, sums);
    }
}

static void pack_quantized_int8(const vit_gemm *gemm, void *panel, const int8_t *q,
                                size_t row_stride, const float *scales, size_t rows, size_t k)
{
    char *numbers = (char *)panel + WEIGHTS * WEIGHT_HEADER;
    float *scale = panel;
    (void)gemm;
    for (size_t lane = 0; lane < WEIGHTS; lane += QUAD) {
        const int8_t *row[QUAD] = {0};
        __m128i sums = _mm_setzero_si128();
        for (size_t r = 0; r < QUAD; r++) {
            const bool present = lane + r < rows;
            scale[lane + r] = present ? scales[lane + r] : 0;
            if (present) row[r] = q + (lane + r) * row_stride;
        }
        pack_quad(numbers + lane * GROUP, NULL, row, NULL, 1, k, WEIGHTS, QUAD, _mm_setzero_si128(),
                  BIASED ? &sums : NULL);
        store_start(panel, lane, sums);
    }
}

VIT_INLINE void pack_tokens_quad(char *panel, const float *x, size_t ldx, size_t rows, size_t k,
                                 size_t lane, const size_t lanes)
{
    const float *row[QUAD] = {0};
    float inverse[QUAD] = {0}, *scale = (float *)panel + lane;
    for (size_t r = 0; r < lanes; r++) {
        scale[r] = 0;
        if (lane + r >= rows) continue;
        const float *start = x + (lane + r) * ldx;
        scale[r] = vit_int8_scale(largest_bits(start, k), &inverse[r]);
        if (inverse[r] != 0) row[r] = start;
    }
    pack_quad(panel + TOKENS * TOKEN_HEADER + lane * GROUP, row, NULL, inverse, 1, k, TOKENS, lanes,
              BIASED ? _mm_set1_epi8(-128) : _mm_setzero_si128(), NULL);
}

static void pack_tokens_int8(const vit_gemm *gemm, void *panel, const float *x, size_t ldx,
                             size_t rows, size_t k)
{
    (void)gemm;
    size_t lane = 0;
    for (; lane + QUAD <= TOKENS; lane += QUAD)
        pack_tokens_quad(panel, x, ldx, rows, k, lane, QUAD);
    if (TOKENS % QUAD != 0) pack_tokens_quad(panel, x, ldx, rows, k, lane, TOKENS % QUAD);
}

/* The contents of a vit_gemm whose numbers take GROUP / K_UNIT bytes. */
#define VIT_GEMM_INT8(kernel_name)                                                                 \
    {                                                                                              \
        .name = (kernel_name), .weight_panel = WEIGHTS, .token_panel = TOKENS, .k_unit = K_UNIT,   \
        .fetch_unit = K_UNIT, .weight_element = GROUP / K_UNIT, .token_element = GROUP / K_UNIT,   \
        .weight_header = WEIGHT_HEADER, .token_header = TOKEN_HEADER, .k_block = SIZE_MAX,         \
        .run_size = RUN_SIZE, .k_max = VIT_INT8_K_MAX, .pack_weights = pack_weights_int8,          \
        .pack_quantized = pack_quantized_int8, .pack_tokens = pack_tokens_int8, .tile = tile_int8  \
    }
