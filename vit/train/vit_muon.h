/* vit_muon.h - from a matrix to the orthogonal one that is nearest to it, nearly (private to
 * vit/train).
 *
 * Muon (K. Jordan and others, 2024) steps along U V^T instead of along a matrix's momentum
 * M = U S V^T, so that what many inputs have in common does not drown the rest. Newton-Schulz
 * iterations give it without a decomposition: with X = M / |M|, five times
 *     A = X X^T,   X = a X + (b A + c A A) X,   a = 3.4445, b = -4.775, c = 2.0315
 * after which singular values, but for those that were next to nothing, are about 0.7 to 1.2. */
#ifndef VIT_MUON_H
#define VIT_MUON_H

#include "vit_ops_backward.h"
#include "vitc_memory.h"

/* What is large enough for every matrix of some. */
typedef struct vit_muon_extent {
    size_t rows, cols; /* of matrices laid down: rows <= cols */
    size_t weights_size, tokens_size, thread_size;
    bool overflow;
} vit_muon_extent;

/* Where everything lies in an arena, and how far apart it is from thread to thread. */
typedef struct vit_muon_layout {
    vit_muon_extent extent;
    size_t x, square, polynomial, zeros, weights, tokens, thread;
} vit_muon_layout;

/* What one thread works with. */
typedef struct vit_muon {
    const vit_rows_f32 *rows;
    vit_gemm gemm;              /* the number format of the products */
    float *x;                   /* [rows, cols], rows <= cols: a tall matrix is laid down */
    float *square, *polynomial; /* [rows, rows]: A, and b A + c A A */
    float *zeros;               /* biases that the products do not have */
    void *weights;              /* the second operand of a product, packed */
    vit_scratch scratch;
} vit_muon;

/* Makes it large enough for one more, of rows x cols. A smaller matrix may need more memory for
 * what is packed of it than a larger one: its runs have more tokens. */
void vit_muon_extend(vit_muon_extent *extent, const vit_gemm *gemm, size_t rows, size_t cols);
/* Reserves that memory for each of `threads` threads. */
vit_muon_layout vit_muon_reserve(vitc_arena *arena, const vit_muon_extent *extent, int threads);
/* That of thread number `thread`. */
vit_muon vit_muon_bind(const vitc_arena *arena, const vit_gemm *gemm, const vit_rows_f32 *rows,
                       const vit_muon_layout *layout, int thread);

/* out [rows, cols] = U V^T of m, nearly; zeros for zeros; out may be m. The calling thread does it
 * alone, whatever team it is in: a model's many small matrices are better each one thread's than
 * all threads' together, which would wait for each other fifteen times per matrix. */
void vit_muon_orthogonalize(const vit_muon *muon, float *out, const float *m, size_t rows,
                            size_t cols);

#endif
