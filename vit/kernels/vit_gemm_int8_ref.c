/* The int8 format in portable C: the truth for the other kernels, and what runs where none of them
 * does. Numbers are packed as 16 bits, of which baseline instruction sets have a product that adds
 * to 32 (pmaddwd, smlal), and a lane holds UNIT inputs as neighbours: plain dot products, which
 * compilers vectorize. */
#include "vit_gemm_int8.h"
#include "vitc_size.h"

/* clang by itself takes four at once, half of what pmaddwd can. */
#if defined(__clang__)
#define EIGHT_AT_ONCE _Pragma("clang loop vectorize_width(8)")
#else
#define EIGHT_AT_ONCE
#endif

enum { WEIGHTS = 16, TOKENS = 4, UNIT = 64, HEADER = sizeof(float) };

static int32_t largest_bits(const float *x, size_t stride, size_t n)
{
    int32_t largest = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t bits;
        memcpy(&bits, x + i * stride, sizeof bits);
        bits &= INT32_MAX;
        largest = bits > largest ? bits : largest;
    }
    return largest;
}

/* Adding 1.5 * 2^23 leaves an integer in the low bits, rounded half to even. */
static int16_t round_to_int16(float value)
{
    const float shifter = 0x1.8p23f;
    const float shifted = value + shifter;
    return (int16_t)(shifted - shifter);
}

static void quantize(int16_t *q, const float *x, size_t stride, float inverse, size_t n)
{
    for (size_t i = 0; i < n; i++) q[i] = round_to_int16(x[i * stride] * inverse);
}

/* Packs `rows` rows of `lanes`: row r, input i at x[r*row_stride + i*k_stride]. */
static void pack_rows(float *panel, const float *x, size_t row_stride, size_t k_stride, size_t rows,
                      size_t k, size_t lanes)
{
    int16_t *numbers = (int16_t *)(panel + lanes);
    for (size_t lane = 0; lane < lanes; lane++) {
        const float *row = x + lane * row_stride;
        float inverse = 0;
        panel[lane] = lane < rows ? vit_int8_scale(largest_bits(row, k_stride, k), &inverse) : 0;
        for (size_t i = 0; i < k; i += UNIT) {
            int16_t *q = numbers + i * lanes + lane * UNIT;
            const size_t n = inverse == 0 ? 0 : vitc_size_min(UNIT, k - i);
            if (k_stride == 1)
                quantize(q, row + i, 1, inverse, n);
            else if (n > 0)
                quantize(q, row + i * k_stride, k_stride, inverse, n);
            memset(q + n, 0, (UNIT - n) * sizeof *q);
        }
    }
}

static void pack_weights_ref(const vit_gemm *gemm, void *panel, const float *w, size_t row_stride,
                             size_t k_stride, const float *row_scale, size_t rows, size_t k)
{
    float *scale = panel;
    (void)gemm;
    pack_rows(panel, w, row_stride, k_stride, rows, k, WEIGHTS);
    for (size_t r = 0; r < rows && row_scale != NULL; r++) scale[r] *= row_scale[r];
}

static void pack_quantized_ref(const vit_gemm *gemm, void *panel, const int8_t *q,
                               size_t row_stride, const float *scale, size_t rows, size_t k)
{
    float *scales = panel;
    int16_t *numbers = (int16_t *)(scales + WEIGHTS);
    (void)gemm;
    for (size_t lane = 0; lane < WEIGHTS; lane++) {
        scales[lane] = lane < rows ? scale[lane] : 0;
        for (size_t i = 0; i < k; i += UNIT) {
            int16_t *to = numbers + i * WEIGHTS + lane * UNIT;
            const size_t n = lane < rows ? vitc_size_min(UNIT, k - i) : 0;
            for (size_t j = 0; j < n; j++)
                to[j] = q[lane * row_stride + i + j]; /* NOLINT(bugprone-signed-char-misuse,
                                                         cert-str34-c): numbers, not characters */
            memset(to + n, 0, (UNIT - n) * sizeof *to);
        }
    }
}

static void pack_tokens_ref(const vit_gemm *gemm, void *panel, const float *x, size_t ldx,
                            size_t rows, size_t k)
{
    (void)gemm;
    pack_rows(panel, x, ldx, 1, rows, k, TOKENS);
}

/* sum[o] = one token times four neighbouring weights: what a token loads serves all four. */
static void dot_four(int32_t sum[4], const int16_t *w, const int16_t *x, size_t k)
{
    int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    for (size_t i = 0; i < k; i += UNIT) {
        const int16_t *w0 = w + i * WEIGHTS, *w1 = w0 + UNIT, *w2 = w1 + UNIT, *w3 = w2 + UNIT;
        const int16_t *token = x + i * TOKENS;
        int32_t part0 = 0, part1 = 0, part2 = 0, part3 = 0;
        EIGHT_AT_ONCE
        for (size_t j = 0; j < UNIT; j++) {
            part0 += (int32_t)w0[j] * token[j];
            part1 += (int32_t)w1[j] * token[j];
            part2 += (int32_t)w2[j] * token[j];
            part3 += (int32_t)w3[j] * token[j];
        }
        sum0 += part0;
        sum1 += part1;
        sum2 += part2;
        sum3 += part3;
    }
    sum[0] = sum0;
    sum[1] = sum1;
    sum[2] = sum2;
    sum[3] = sum3;
}

static void tile_ref(const vit_gemm *gemm, size_t k, const void *weight_panel,
                     const void *token_panel, bool accumulate, float *out, size_t ldo,
                     size_t weights, size_t tokens, const void *next, size_t next_size)
{
    const float *scale_w = weight_panel, *scale_x = token_panel;
    const int16_t *w = (const int16_t *)(scale_w + WEIGHTS);
    const int16_t *x = (const int16_t *)(scale_x + TOKENS);
    (void)gemm;
    (void)next;
    (void)next_size;
    for (size_t t = 0; t < tokens; t++) {
        for (size_t four = 0; four < weights; four += 4) {
            int32_t sum[4];
            dot_four(sum, w + four * UNIT, x + t * UNIT, k);
            for (size_t o = four; o < vitc_size_min(four + 4, weights); o++) {
                const float value = (float)sum[o - four] * (scale_w[o] * scale_x[t]);
                float *to = out + t * ldo + o;
                *to = accumulate ? *to + value : value;
            }
        }
    }
}

const vit_gemm vit_gemm_int8_ref = {.name = "portable C",
                                    .weight_panel = WEIGHTS,
                                    .token_panel = TOKENS,
                                    .k_unit = UNIT,
                                    .fetch_unit = UNIT,
                                    .weight_element = sizeof(int16_t),
                                    .token_element = sizeof(int16_t),
                                    .weight_header = HEADER,
                                    .token_header = HEADER,
                                    .k_block = SIZE_MAX,
                                    .run_size = SIZE_MAX,
                                    .k_max = VIT_INT8_K_MAX,
                                    .pack_weights = pack_weights_ref,
                                    .pack_quantized = pack_quantized_ref,
                                    .pack_tokens = pack_tokens_ref,
                                    .tile = tile_ref};
