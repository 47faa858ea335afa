#include "vit_gemm_int8_zmm.h"

#define VEC                     __m512i
#define FLOATS                  __m512
#define LANES                   16
#define TOKENS                  12
#define RUN_SIZE                ((size_t)3 << 17) /* bytes: 3/8 of 1 MiB, the L2 of most */
#define K_UNIT                  4
#define LOAD(p)                 _mm512_loadu_si512(p)
#define ZERO()                  _mm512_setzero_si512()
#define TO_FLOAT(v)             _mm512_cvtepi32_ps(v)
#define MUL(a, b)               _mm512_mul_ps(a, b)
#define ADD(a, b)               _mm512_add_ps(a, b)
#define LOAD_FLOATS(p)          _mm512_loadu_ps(p)
#define BROADCAST_FLOAT(p)      _mm512_set1_ps(*(p))
#define LOAD_SOME(p, n)         _mm512_maskz_loadu_ps(FIRST(n), p)
#define STORE_SOME(p, value, n) _mm512_mask_storeu_ps(p, FIRST(n), value)

static inline void dot_one(__m512i *sum, __m512i w, const char *group)
{
    __m512i x;
    __asm__("vpbroadcastd %3, %1\n\t"
            "vpdpbusd %2, %1, %0"
            : "+&v"(*sum), "=&v"(x)
            : "v"(w), "m"(*(const int32_t *)(const void *)group));
}

static inline void dot_two(__m512i *low, __m512i *high, __m512i w0, __m512i w1, const char *group)
{
    __m512i x;
    __asm__("vpbroadcastd %5, %2\n\t"
            "vpdpbusd %3, %2, %0\n\t"
            "vpdpbusd %4, %2, %1"
            : "+&v"(*low), "+&v"(*high), "=&v"(x)
            : "v"(w0), "v"(w1), "m"(*(const int32_t *)(const void *)group));
}

static inline __m128i widen(const int8_t *q, size_t n)
{
    return _mm_maskz_loadu_epi8(FIRST(n), q);
}

#include "vit_gemm_int8_body.h"

const vit_gemm vit_gemm_int8_avx512vnni = VIT_GEMM_INT8("AVX-512 VNNI");
