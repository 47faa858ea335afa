#include "vit_muon.h"

#include <math.h>
#include <string.h>

#include "vitc_size.h"

enum { ITERATIONS = 5 };

vit_muon_layout vit_muon_reserve(vitc_arena *arena, const vit_gemm *gemm, size_t rows, size_t cols,
                                 int threads)
{
    vit_muon_layout l = {.rows = vitc_size_min(rows, cols), .cols = vitc_size_max(rows, cols)};
    /* Products: X X^T and A A^T with the rows as tokens, and polynomial * X. */
    const size_t weights = vitc_size_max(vit_linear_packed_size(gemm, l.rows, l.cols),
                                         vit_linear_packed_size(gemm, l.cols, l.rows));
    l.tokens_size = vit_op_linear_packed(gemm, l.rows, l.cols, (size_t)threads);
    l.thread_size = vitc_size_round_up(vit_op_linear_thread(gemm, l.cols), VITC_ALIGNMENT);
    arena->overflow = arena->overflow || weights == 0 || l.tokens_size == 0 || l.thread_size == 0;
    l.x = vitc_arena_reserve_array(arena, l.rows * l.cols, sizeof(float));
    l.square = vitc_arena_reserve_array(arena, l.rows * l.rows, sizeof(float));
    l.polynomial = vitc_arena_reserve_array(arena, l.rows * l.rows, sizeof(float));
    l.zeros = vitc_arena_reserve_array(arena, l.cols, sizeof(float));
    l.weights = vitc_arena_reserve(arena, weights);
    l.tokens = vitc_arena_reserve(arena, l.tokens_size);
    l.thread = vitc_arena_reserve_array(arena, (size_t)threads, l.thread_size);
    return l;
}

vit_muon vit_muon_bind(const vitc_arena *arena, const vit_gemm *gemm, const vit_rows_f32 *rows,
                       const vit_muon_layout *l)
{
    vit_muon muon = {.rows = rows,
                     .gemm = *gemm,
                     .x = vitc_arena_at(arena, l->x),
                     .square = vitc_arena_at(arena, l->square),
                     .polynomial = vitc_arena_at(arena, l->polynomial),
                     .zeros = vitc_arena_at(arena, l->zeros),
                     .weights = vitc_arena_at(arena, l->weights),
                     .scratch = {.packed = vitc_arena_at(arena, l->tokens),
                                 .thread = vitc_arena_at(arena, l->thread),
                                 .packed_size = l->tokens_size,
                                 .thread_size = l->thread_size}};
    memset(muon.zeros, 0, l->cols * sizeof(float));
    return muon;
}

/* out [rows, n] = x [rows, k] w^T, or with `transposed` x w, where w is [k, n]. */
static void multiply(const vit_muon *muon, float *out, const float *x, const float *w, size_t rows,
                     size_t n, size_t k, bool transposed)
{
    const vit_linear linear = {
        .out = n, .in = k, .gemm = &muon->gemm, .packed = muon->weights, .bias = muon->zeros};
#pragma omp single
    {
        if (transposed)
            vit_linear_pack_transposed(&linear, w);
        else
            vit_linear_pack(&linear, w, NULL);
    }
    vit_op_linear(out, n, x, k, rows, NULL, &linear, VIT_EPILOGUE_BIAS, false, &muon->scratch,
                  muon->rows);
#pragma omp barrier
}

/* x = m / |m|, laid down. */
static void normalize(const vit_muon *muon, const float *m, size_t rows, size_t cols)
{
    const size_t count = rows * cols;
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)m[i] * (double)m[i];
    const float factor = sum > 0 ? (float)(1 / sqrt(sum)) : 0;
    if (rows <= cols) {
        for (size_t i = 0; i < count; i++) muon->x[i] = m[i] * factor;
        return;
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) muon->x[c * rows + r] = m[r * cols + c] * factor;
}

static void iterate(const vit_muon *muon, float *next, size_t rows, size_t cols)
{
    const float a = 3.4445f, b = -4.775f, c = 2.0315f;
    float *x = muon->x, *square = muon->square, *polynomial = muon->polynomial;
    multiply(muon, square, x, x, rows, rows, cols, false);
    multiply(muon, polynomial, square, square, rows, rows, rows, false);
#pragma omp for schedule(static)
    for (size_t i = 0; i < rows * rows; i++) polynomial[i] = b * square[i] + c * polynomial[i];
    multiply(muon, next, polynomial, x, rows, cols, rows, true);
#pragma omp for schedule(static)
    for (size_t i = 0; i < rows * cols; i++) x[i] = a * x[i] + next[i];
}

void vit_muon_orthogonalize(const vit_muon *muon, float *out, const float *m, size_t rows,
                            size_t cols)
{
    const size_t low = vitc_size_min(rows, cols), high = vitc_size_max(rows, cols);
#pragma omp single
    normalize(muon, m, rows, cols);
    for (int i = 0; i < ITERATIONS; i++) iterate(muon, out, low, high);
#pragma omp for schedule(static)
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            out[r * cols + c] = rows <= cols ? muon->x[r * cols + c] : muon->x[c * rows + r];
}
