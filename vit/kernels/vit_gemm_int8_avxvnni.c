/* The same instruction has two encodings: VEX for processors without AVX-512, which this file is
 * for, and EVEX, by which the tests run it on processors that have AVX-512 only. */
#include "vit_gemm_int8_ymm.h"

#define RUN_SIZE ((size_t)3 << 17) /* bytes: 3/8 of 1 MiB: L2 is 1.25 MiB and more */
#define K_UNIT   4
#if defined(__AVXVNNI__)
#define VPDPBUSD "%{vex%} vpdpbusd"
#else
#define VPDPBUSD "vpdpbusd"
#endif

static inline void dot_one(__m256i *sum, __m256i w, const char *group)
{
    __m256i x;
    __asm__("vpbroadcastd %3, %1\n\t" VPDPBUSD " %2, %1, %0"
            : "+&x"(*sum), "=&x"(x)
            : "x"(w), "m"(*(const int32_t *)(const void *)group));
}

static inline void dot_two(__m256i *low, __m256i *high, __m256i w0, __m256i w1, const char *group)
{
    __m256i x;
    __asm__("vpbroadcastd %5, %2\n\t" VPDPBUSD " %3, %2, %0\n\t" VPDPBUSD " %4, %2, %1"
            : "+&x"(*low), "+&x"(*high), "=&x"(x)
            : "x"(w0), "x"(w1), "m"(*(const int32_t *)(const void *)group));
}

static inline __m128i quantize(const float *x, size_t n, float inverse)
{
    const __m256i a = quantize_eight(x, n, inverse);
    const __m256i b = n > LANES ? quantize_eight(x + LANES, n - LANES, inverse) : ZERO();
    /* Packing works within halves: 0-3 8-11 ..., 4-7 12-15 ... */
    const __m256i words = _mm256_packs_epi32(a, b);
    const __m256i bytes = _mm256_packs_epi16(words, words);
    return _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
}

static inline __m128i widen(const int8_t *q, size_t n)
{
    if (n == 16) return _mm_loadu_si128((const __m128i *)q);
    int8_t some[16] = {0};
    memcpy(some, q, n);
    return _mm_loadu_si128((const __m128i *)some);
}

#include "vit_gemm_int8_body.h"

const vit_gemm vit_gemm_int8_avxvnni = VIT_GEMM_INT8("AVX-VNNI");
