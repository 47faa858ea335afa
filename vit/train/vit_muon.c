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

/* For a product of `tokens` rows of `in` numbers with `out` others. */
static void extend_product(vit_muon_extent *e, const vit_gemm *gemm, size_t tokens, size_t out,
                           size_t in)
{
    const size_t weights_size = vit_linear_packed_size(gemm, out, in);
    const size_t tokens_size = vit_op_linear_packed(gemm, tokens, in, 1);
    const size_t thread_size = vit_op_linear_thread(gemm, in);
    e->overflow = e->overflow || weights_size == 0 || tokens_size == 0 || thread_size == 0;
    e->weights_size = vitc_size_max(e->weights_size, weights_size);
    e->tokens_size = vitc_size_max(e->tokens_size, tokens_size);
    e->thread_size = vitc_size_max(e->thread_size, thread_size);
}

void vit_muon_extend(vit_muon_extent *e, const vit_gemm *gemm, size_t rows, size_t cols)
{
    const size_t low = vitc_size_min(rows, cols), high = vitc_size_max(rows, cols);
    e->rows = vitc_size_max(e->rows, low);
    e->cols = vitc_size_max(e->cols, high);
    extend_product(e, gemm, low, low, high); /* X X^T */
    extend_product(e, gemm, low, low, low);  /* A A^T */
    extend_product(e, gemm, low, high, low); /* (b A + c A A) X */
}

vit_muon_layout vit_muon_reserve(vitc_arena *arena, const vit_muon_extent *extent, int threads)
{
    vit_muon_layout l = {.extent = *extent};
    vit_muon_extent *e = &l.extent;
    size_t x = matrix_size(e->rows, e->cols), square = matrix_size(e->rows, e->rows);
    arena->overflow = arena->overflow || e->overflow;
    l.zeros = vitc_arena_reserve_array(arena, e->cols, sizeof(float));
    l.x = reserve(arena, &x, threads);
    l.square = reserve(arena, &square, threads);
    l.polynomial = reserve(arena, &square, threads);
    l.weights = reserve(arena, &e->weights_size, threads);
    l.tokens = reserve(arena, &e->tokens_size, threads);
    l.thread = reserve(arena, &e->thread_size, threads);
    return l;
}

vit_muon vit_muon_bind(const vitc_arena *arena, const vit_gemm *gemm, const vit_rows_f32 *rows,
                       const vit_muon_layout *l, int thread)
{
    const vit_muon_extent *e = &l->extent;
    const size_t x = matrix_size(e->rows, e->cols), square = matrix_size(e->rows, e->rows);
    vit_muon muon = {.rows = rows,
                     .gemm = *gemm,
                     .x = of_thread(arena, l->x, x, thread),
                     .square = of_thread(arena, l->square, square, thread),
                     .polynomial = of_thread(arena, l->polynomial, square, thread),
                     .zeros = vitc_arena_at(arena, l->zeros),
                     .weights = of_thread(arena, l->weights, e->weights_size, thread),
                     .scratch = {.packed = of_thread(arena, l->tokens, e->tokens_size, thread),
                                 .thread = of_thread(arena, l->thread, e->thread_size, thread),
                                 .packed_size = e->tokens_size,
                                 .thread_size = e->thread_size}};
    memset(muon.zeros, 0, e->cols * sizeof(float));
    return muon;
}

/* out [rows, n] = x [rows, k] w^T, of packed w [n, k] from row `first` on. */
static void multiply_packed(const vit_muon *muon, float *out, size_t ldo, const float *x,
                            size_t rows, size_t n, size_t k, size_t first)
{
    const vit_gemm *gemm = &muon->gemm;
    const vit_linear linear = {.out = n - first,
                               .in = k,
                               .gemm = gemm,
                               .packed =
                                   (unsigned char *)muon->weights +
                                   first / gemm->weight_panel * vit_gemm_weight_panel_size(gemm, k),
                               .bias = muon->zeros};
    vit_op_linear(out, ldo, x, k, rows, NULL, &linear, VIT_EPILOGUE_BIAS, false, &muon->scratch,
                  muon->rows);
}

/* out [rows, n] = x [rows, k] w, where w is [k, n]. */
static void multiply(const vit_muon *muon, float *out, const float *x, const float *w, size_t rows,
                     size_t n, size_t k)
{
    const vit_linear linear = {.out = n, .in = k, .gemm = &muon->gemm, .packed = muon->weights};
    vit_linear_pack_transposed(&linear, w);
    multiply_packed(muon, out, n, x, rows, n, k, 0);
}

/* out [n, n] = x x^T of x [n, k]. It is symmetric, so that each quarter of the rows is computed
 * from about its diagonal on, and the rest is copied. */
static void multiply_by_itself(const vit_muon *muon, float *out, const float *x, size_t n, size_t k)
{
    enum { PARTS = 4 };
    const vit_linear linear = {.out = n, .in = k, .gemm = &muon->gemm, .packed = muon->weights};
    const size_t step = vitc_size_round_up(vitc_size_divide_up(n, PARTS), muon->gemm.weight_panel);
    vit_linear_pack(&linear, x, NULL);
    for (size_t first = 0; first < n; first += step) {
        const size_t rows = vitc_size_min(step, n - first);
        multiply_packed(muon, out + first * n + first, n, x + first * k, rows, n, k, first);
        for (size_t r = first; r < first + rows; r++)
            for (size_t c = 0; c < first; c++) out[r * n + c] = out[c * n + r];
    }
}

/* x = m / |m|, laid down; what is next to nothing stays so, as in torch.optim.Muon. */
static void normalize(const vit_muon *muon, const float *m, size_t rows, size_t cols)
{
    static const double least = 1e-7;
    const size_t count = rows * cols;
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)m[i] * (double)m[i];
    const float factor = (float)(1 / fmax(sqrt(sum), least));
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
    multiply_by_itself(muon, square, x, rows, cols);
    multiply_by_itself(muon, polynomial, square, rows, rows);
    for (size_t i = 0; i < rows * rows; i++) polynomial[i] = b * square[i] + c * polynomial[i];
    multiply(muon, next, polynomial, x, rows, cols, rows);
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
