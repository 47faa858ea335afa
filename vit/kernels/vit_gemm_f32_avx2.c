#include <immintrin.h>

#include "vit_kernels.h"

/* The first n of eight lanes. */
static inline __m256i first_lanes(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

#define VEC                     __m256
#define LANES                   ((size_t)8)
#define TOKENS                  6
#define LOAD(p)                 _mm256_loadu_ps(p)
#define STORE(p, value)         _mm256_storeu_ps(p, value)
#define BROADCAST(p)            _mm256_broadcast_ss(p)
#define FMA(a, b, c)            _mm256_fmadd_ps(a, b, c)
#define ADD(a, b)               _mm256_add_ps(a, b)
#define ZERO()                  _mm256_setzero_ps()
#define LOAD_SOME(p, n)         _mm256_maskload_ps(p, first_lanes(n))
#define STORE_SOME(p, value, n) _mm256_maskstore_ps(p, first_lanes(n), value)

#include "vit_gemm_f32_body.h"

const vit_gemm_f32_twin vit_gemm_f32_avx2 = {"AVX2 FMA", 2 * LANES, TOKENS, tile_f32};
