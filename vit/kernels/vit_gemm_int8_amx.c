/* The int8 GEMM on AMX: TDPBSSD, four products to a sum, both sides signed. */
#include <string.h>

#include "vit_gemm_int8_zmm.h"

#define LANES ((size_t)16)
#define DOT   _tile_dpbssd
#include "vit_gemm_amx_body.h"

#define K             ((size_t)64) /* inputs of a unit */
#define WEIGHT_HEADER ((size_t)8)
#define TOKEN_HEADER  ((size_t)4)

/* ---- packing ---- */

/* The panels of AVX-512 VNNI, continued with zeros to whole units of inputs. Their header holds
 * where its sums start, which these, of signed tokens, do not need. */
static void fill_unit(void *panel, size_t k)
{
    const size_t packed = (k + 3) / 4 * WEIGHT_ROW, size = (k + K - 1) / K * WEIGHT_UNIT;
    memset((char *)panel + WEIGHTS * WEIGHT_HEADER + packed, 0, size - packed);
}

static void pack_weights(const vit_gemm *gemm, void *panel, const float *w, size_t row_stride,
                         size_t k_stride, const float *row_scale, size_t rows, size_t k)
{
    vit_gemm_int8_avx512vnni.pack_weights(gemm, panel, w, row_stride, k_stride, row_scale, rows, k);
    fill_unit(panel, k);
}

static void pack_quantized(const vit_gemm *gemm, void *panel, const int8_t *q, size_t row_stride,
                           const float *scale, size_t rows, size_t k)
{
    vit_gemm_int8_avx512vnni.pack_quantized(gemm, panel, q, row_stride, scale, rows, k);
    fill_unit(panel, k);
}

/* A token's unit is one line of memory. */
static void pack_token(char *numbers, const float *x, size_t k, float inverse)
{
    for (size_t i = 0; i < k; i += K, numbers += TOKEN_UNIT)
        for (size_t j = 0; j < K; j += LANES) {
            const size_t left = i + j < k ? k - i - j : 0;
            _mm_store_si128((__m128i *)(numbers + j),
                            quantize(x + i + j, left < LANES ? left : LANES, inverse));
        }
}

static void pack_tokens(const vit_gemm *gemm, void *panel, const float *x, size_t ldx, size_t rows,
                        size_t k)
{
    (void)gemm;
    float *scale = panel;
    char *numbers = (char *)panel + TOKENS * TOKEN_HEADER;
    for (size_t t = 0; t < TOKENS; t++) {
        float inverse = 0;
        scale[t] = t < rows ? vit_int8_scale(largest_bits(x + t * ldx, k), &inverse) : 0;
        if (inverse != 0)
            pack_token(numbers + t * TOKEN_ROW, x + t * ldx, k, inverse);
        else
            for (size_t i = 0; i < k; i += K)
                memset(numbers + t * TOKEN_ROW + i / K * TOKEN_UNIT, 0, TOKEN_ROW);
    }
}

/* ---- the tile ---- */

/* out (+)= (float)sum * (scale_w * scale_x), each operation rounded, as in every int8 kernel. */
static void finish(float *out, const int32_t *sums, const float *scale_w, float scale_x,
                   bool accumulate, size_t lanes)
{
    const __mmask16 some = FIRST(lanes);
    const __m512 scale = _mm512_mul_ps(_mm512_loadu_ps(scale_w), _mm512_set1_ps(scale_x));
    __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_load_si512(sums)), scale);
    if (accumulate) value = _mm512_add_ps(_mm512_maskz_loadu_ps(some, out), value);
    _mm512_mask_storeu_ps(out, some, value);
}

static void tile_int8(const vit_gemm *gemm, size_t k, const void *weight_panel,
                      const void *token_panel, bool accumulate, float *out, size_t ldo,
                      size_t weights, size_t tokens, const void *next, size_t next_size)
{
    (void)gemm;
    const float *scale_w = weight_panel, *scale_x = token_panel;
    const char *w = (const char *)weight_panel + WEIGHTS * WEIGHT_HEADER;
    const char *x = (const char *)token_panel + TOKENS * TOKEN_HEADER;
    const size_t units = (k + K - 1) / K;
    int32_t sums[TOKENS][WEIGHTS] __attribute__((aligned(64)));
    multiply(units, w, x, false, sums, sizeof sums[0], weights, tokens,
             vit_fetch_start(next, next_size, units * UNIT_FETCHES, w));
    for (size_t t = 0; t < tokens; t++, out += ldo) {
        finish(out, sums[t], scale_w, scale_x[t], accumulate, weights < LANES ? weights : LANES);
        if (weights > LANES)
            finish(out + LANES, sums[t] + LANES, scale_w + LANES, scale_x[t], accumulate,
                   weights - LANES);
    }
}

const vit_gemm vit_gemm_int8_amx = {.name = "AMX-INT8",
                                    .weight_panel = WEIGHTS,
                                    .token_panel = TOKENS,
                                    .k_unit = K,
                                    .fetch_unit = K / UNIT_FETCHES,
                                    .weight_element = 1,
                                    .token_element = 1,
                                    .weight_header = WEIGHT_HEADER,
                                    .token_header = TOKEN_HEADER,
                                    .k_block = SIZE_MAX,
                                    .run_size = L2_TOKENS,
                                    .k_max = VIT_INT8_K_MAX,
                                    .pack_weights = pack_weights,
                                    .pack_quantized = pack_quantized,
                                    .pack_tokens = pack_tokens,
                                    .begin = begin,
                                    .end = end,
                                    .tile = tile_int8};
