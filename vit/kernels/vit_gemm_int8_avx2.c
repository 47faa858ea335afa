/* AVX2 multiplies bytes only with sums that saturate at 16 bits (vpmaddubsw), so numbers are
 * packed as 16 bits, whose products vpmaddwd adds in pairs to 32. Weights kept as bytes and widened
 * as they are loaded (vpmovsxbw) would take half the memory, but two of 26 vector operations a
 * step. */
#include "vit_gemm_int8_ymm.h"

#define RUN_SIZE ((size_t)3 << 15) /* bytes: 3/8 of 256 KiB, the smallest L2 */
#define K_UNIT   2

static inline void dot_one(__m256i *sum, __m256i w, const char *group)
{
    __m256i x;
    __asm__("vpbroadcastd %3, %1\n\t"
            "vpmaddwd %2, %1, %1\n\t"
            "vpaddd %1, %0, %0"
            : "+&x"(*sum), "=&x"(x)
            : "x"(w), "m"(*(const int32_t *)(const void *)group));
}

static inline void dot_two(__m256i *low, __m256i *high, __m256i w0, __m256i w1, const char *group)
{
    __m256i x, product;
    __asm__("vpbroadcastd %6, %2\n\t"
            "vpmaddwd %4, %2, %3\n\t"
            "vpmaddwd %5, %2, %2\n\t"
            "vpaddd %3, %0, %0\n\t"
            "vpaddd %2, %1, %1"
            : "+&x"(*low), "+&x"(*high), "=&x"(x), "=&x"(product)
            : "x"(w0), "x"(w1), "m"(*(const int32_t *)(const void *)group));
}

static inline __m128i quantize(const float *x, size_t n, float inverse)
{
    const __m256i q = quantize_eight(x, n, inverse);
    return _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
}

static inline __m128i widen(const int8_t *q, size_t n)
{
    int8_t some[8] = {0};
    memcpy(some, q, n);
    return _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)some));
}

#include "vit_gemm_int8_body.h"

const vit_gemm vit_gemm_int8_avx2 = VIT_GEMM_INT8("AVX2");
