#include "vit_muon.h"

#include <math.h>
#include <string.h>

#include "vitc_size.h"

enum { ITERATIONS = 5 };

/* `size` bytes for each thread. */
static size_t reserve(vitc_arena *arena, size_t *size, int threads)
{
    *size = vitc_size_round_up(*size, VITC_ALIGNMENT);
    return vitc_arena_reserve_array(arena, (size_t)threads, *size);
}

static void *of_thread(const vitc_arena *arena, size_t offset, size_t size, int thread)
{
    return (unsigned char *)vitc_arena_at(arena, offset) + (size_t)thread * size;
}

static size_t matrix_size(size_t rows, size_t cols)
{
    return vitc_size_round_up(rows * cols * sizeof(float), VITC_ALIGNMENT);
}

vit_muon_layout vit_muon_reserve(vitc_arena *arena, const vit_gemm *gemm, size_t rows, size_t cols,
                                 int threads)
{
    vit_muon_layout l = {.rows = vitc_size_min(rows, cols), .cols = vitc_size_max(rows, cols)};
    size_t x = matrix_size(l.rows, l.cols), square = matrix_size(l.rows, l.rows);
    /* Products: X X^T and A A^T with the rows as tokens, and polynomial * X. */
    l.weights_size = vitc_size_max(vit_linear_packed_size(gemm, l.rows, l.cols),
                                   vit_linear_packed_size(gemm, l.cols, l.rows));
    l.tokens_size = vit_op_linear_packed(gemm, l.rows, l.cols, 1);
    l.thread_size = vit_op_linear_thread(gemm, l.cols);
    arena->overflow =
        arena->overflow || l.weights_size == 0 || l.tokens_size == 0 || l.thread_size == 0;
    l.zeros = vitc_arena_reserve_array(arena, l.cols, sizeof(float));
    l.x = reserve(arena, &x, threads);
    l.square = reserve(arena, &square, threads);
    l.polynomial = reserve(arena, &square, threads);
    l.weights = reserve(arena, &l.weights_size, threads);
    l.tokens = reserve(arena, &l.tokens_size, threads);
    l.thread = reserve(arena, &l.thread_size, threads);
    return l;
}

vit_muon vit_muon_bind(const vitc_arena *arena, const vit_gemm *gemm, const vit_rows_f32 *rows,
                       const vit_muon_layout *l, int thread)
{
    const size_t x = matrix_size(l->rows, l->cols), square = matrix_size(l->rows, l->rows);
    vit_muon muon = {.rows = rows,
                     .gemm = *gemm,
                     .x = of_thread(arena, l->x, x, thread),
                     .square = of_thread(arena, l->square, square, thread),
                     .polynomial = of_thread(arena, l->polynomial, square, thread),
                     .zeros = vitc_arena_at(arena, l->zeros),
                     .weights = of_thread(arena, l->weights, l->weights_size, thread),
                     .scratch = {.packed = of_thread(arena, l->tokens, l->tokens_size, thread),
                                 .thread = of_thread(arena, l->thread, l->thread_size, thread),
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
    if (transposed)
        vit_linear_pack_transposed(&linear, w);
    else
        vit_linear_pack(&linear, w, NULL);
    vit_op_linear(out, n, x, k, rows, NULL, &linear, VIT_EPILOGUE_BIAS, false, &muon->scratch,
                  muon->rows);
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
    for (size_t i = 0; i < rows * rows; i++) polynomial[i] = b * square[i] + c * polynomial[i];
    multiply(muon, next, polynomial, x, rows, cols, rows, true);
    for (size_t i = 0; i < rows * cols; i++) x[i] = a * x[i] + next[i];
}

void vit_muon_orthogonalize(const vit_muon *muon, float *out, const float *m, size_t rows,
                            size_t cols)
{
    const size_t low = vitc_size_min(rows, cols), high = vitc_size_max(rows, cols);
    normalize(muon, m, rows, cols);
#pragma omp parallel num_threads(1) /* the products' team: this thread */
    for (int i = 0; i < ITERATIONS; i++) iterate(muon, out, low, high);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            out[r * cols + c] = rows <= cols ? muon->x[r * cols + c] : muon->x[c * rows + r];
}
