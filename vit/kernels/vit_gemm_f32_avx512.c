#include <immintrin.h>

#include "vit_kernels.h"

#define VEC                     __m512
#define LANES                   ((size_t)16)
#define TOKENS                  12
#define LOAD(p)                 _mm512_loadu_ps(p)
#define STORE(p, value)         _mm512_storeu_ps(p, value)
#define BROADCAST(p)            _mm512_set1_ps(*(p))
#define FMA(a, b, c)            _mm512_fmadd_ps(a, b, c)
#define ADD(a, b)               _mm512_add_ps(a, b)
#define ZERO()                  _mm512_setzero_ps()
#define FIRST(n)                ((__mmask16)((1u << (n)) - 1))
#define LOAD_SOME(p, n)         _mm512_maskz_loadu_ps(FIRST(n), p)
#define STORE_SOME(p, value, n) _mm512_mask_storeu_ps(p, FIRST(n), value)

#include "vit_gemm_f32_body.h"

const vit_gemm_f32_twin vit_gemm_f32_avx512 = {"AVX-512 FMA", 2 * LANES, TOKENS, tile_f32};
