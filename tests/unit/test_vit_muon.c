/* Orthogonalization of matrices: memory for every shape, singular values, and next to nothing. */
#include <math.h>

#include "vit_test_support.h"
#include "vit_muon.h"

static vit_kernels kernels;

typedef struct worker {
    vitc_arena arena;
    vit_muon muon;
} worker;

static const vit_gemm *gemm_of(bool bf16)
{
    return bf16 ? &kernels.bf16 : &kernels.f32;
}

static void start(worker *w, size_t rows, size_t cols, bool bf16)
{
    vit_muon_extent extent = {0};
    *w = (worker){0};
    vit_muon_extend(&extent, gemm_of(bf16), rows, cols);
    const vit_muon_layout layout = vit_muon_reserve(&w->arena, &extent, 1);
    assert_true(vitc_arena_allocate(&w->arena));
    w->muon = vit_muon_bind(&w->arena, gemm_of(bf16), kernels.rows, &layout, 0);
}

/* A block has matrices of D x D and of D x M; packed tokens of the smaller one may take more memory
 * than those of the larger one. Every product of either has what it needs. */
static void memory_is_enough_for_every_matrix(void **state)
{
    (void)state;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        const vit_gemm *gemm = gemm_of(bf16 != 0);
        for (size_t d = 32; d <= 1536; d += 32)
            for (size_t m = 32; m <= 2 * d; m += 32) {
                const size_t low = d < m ? d : m, high = d < m ? m : d;
                const size_t products[4][2] = {{d, d}, {low, high}, {low, low}, {low, low}};
                vit_muon_extent extent = {0};
                vit_muon_extend(&extent, gemm, d, d);
                vit_muon_extend(&extent, gemm, m, d);
                assert_false(extent.overflow);
                for (size_t i = 0; i < 4; i++)
                    assert_true(vit_op_linear_packed(gemm, products[i][0], products[i][1], 1) <=
                                extent.tokens_size);
            }
    }
    vit_muon_extent extent = {0};
    vit_muon_extend(&extent, &kernels.f32, SIZE_MAX / 8, SIZE_MAX / 8);
    assert_true(extent.overflow);
}

/* Element i of row k of the orthonormal cosine transform (DCT-II) of n numbers. */
static double cosine(size_t k, size_t i, size_t n)
{
    return sqrt((k == 0 ? 1.0 : 2.0) / (double)n) *
           cos(3.14159265358979323846 * (double)k * ((double)i + 0.5) / (double)n);
}

/* out [rows, cols] = U S V^T with cosines for U and V, or S = U^T out V of the first `rank`. */
static void compose(float *out, const double *s, size_t rank, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) {
            double sum = 0;
            for (size_t k = 0; k < rank; k++) sum += cosine(k, r, rows) * s[k] * cosine(k, c, cols);
            out[r * cols + c] = (float)sum;
        }
}

static double component(const float *m, size_t j, size_t k, size_t rows, size_t cols)
{
    double sum = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            sum += cosine(j, r, rows) * (double)m[r * cols + c] * cosine(k, c, cols);
    return sum;
}

/* Singular values from 1 to 0.02 of the largest all come near 1, and vectors stay what they are. */
static void singular_values_come_near_one(void **state)
{
    (void)state;
    static const size_t shapes[][2] = {{24, 24}, {40, 72}, {72, 40}};
    for (int bf16 = 0; bf16 < 2; bf16++)
        for (size_t shape = 0; shape < 3; shape++) {
            const size_t rows = shapes[shape][0], cols = shapes[shape][1];
            const size_t rank = rows < cols ? rows : cols;
            const double slack = bf16 != 0 ? 0.05 : 1e-4;
            float m[72 * 72];
            double s[72];
            for (size_t k = 0; k < rank; k++) s[k] = 3 * pow(0.02, (double)k / (double)(rank - 1));
            compose(m, s, rank, rows, cols);
            worker w;
            start(&w, rows, cols, bf16 != 0);
            vit_muon_orthogonalize(&w.muon, m, m, rows, cols);
            for (size_t j = 0; j < rank; j++) {
                const double own = component(m, j, j, rows, cols);
                assert_true(own > 0.6 && own < 1.3);
                assert_true(fabs(component(m, j, (j + 1) % rank, rows, cols)) < slack);
                assert_true(fabs(component(m, j, (j + 7) % rank, rows, cols)) < slack);
            }
            vitc_arena_free(&w.arena);
        }
}

/* Rounding residue of a gradient that is zero is no direction to step in. */
static void next_to_nothing_stays_so(void **state)
{
    (void)state;
    enum { N = 16 };
    static const float sizes[] = {0, 1e-45F, 1e-40F, 1e-38F, 1e-20F, 1e-12F};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        float m[N * N];
        worker w;
        for (size_t k = 0; k < N * N; k++) m[k] = k % (N + 1) == 0 ? sizes[i] : 0;
        start(&w, N, N, false);
        vit_muon_orthogonalize(&w.muon, m, m, N, N);
        for (size_t k = 0; k < N * N; k++) assert_true(fabsf(m[k]) < 0.01F);
        vitc_arena_free(&w.arena);
    }
}

int main(void)
{
    kernels = test_kernels_or_skip();
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_is_enough_for_every_matrix),
                                       cmocka_unit_test(singular_values_come_near_one),
                                       cmocka_unit_test(next_to_nothing_stays_so)};
    return cmocka_run_group_tests_name("muon", tests, NULL, NULL);
}
