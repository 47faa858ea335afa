#include <string.h>

#include "vit_ops_backward.h"
#include "vitc_size.h"

/* Tokens whose share of dweight and dbias is summed by one thread, in order; the sums of blocks are
 * added in order, too. */
enum { BLOCK_TOKENS = 64 };

/* Each block has 2 * width floats in the scratch: its dweight, then its dbias. */
size_t vit_op_layernorm_backward_packed(size_t tokens, size_t width)
{
    size_t size;
    return vitc_size_mul(width, 2 * sizeof(float), &size) &&
                   vitc_size_mul(vitc_size_divide_up(tokens, BLOCK_TOKENS), size, &size)
               ? size
               : 0;
}

void vit_op_layernorm_backward(float *dx, size_t lddx, const float *dy, size_t lddy, const float *x,
                               size_t ldx, size_t tokens, const vit_norm *norm, float *dweight,
                               float *dbias, size_t width, bool accumulate,
                               const vit_scratch *scratch, const vit_rows_f32 *rows)
{
    enum { LANES = 64 }; /* of a column of partial sums */
    float *sums = (float *)scratch->packed;
    const size_t blocks = vitc_size_divide_up(tokens, BLOCK_TOKENS), ld = 2 * width;
#pragma omp for schedule(static)
    for (size_t b = 0; b < blocks; b++) {
        float *sum = sums + b * ld;
        memset(sum, 0, ld * sizeof *sum);
        const size_t end = vitc_size_min((b + 1) * BLOCK_TOKENS, tokens);
        for (size_t t = b * BLOCK_TOKENS; t < end; t++)
            rows->layernorm_backward(dx + t * lddx, dy + t * lddy, x + t * ldx, norm->weight, sum,
                                     sum + width, width, norm->eps, accumulate);
    }
#pragma omp for schedule(static)
    for (size_t i = 0; i < width; i += LANES) {
        const size_t count = vitc_size_min(LANES, width - i);
        rows->add_rows(dweight + i, sums + i, ld, blocks, count);
        rows->add_rows(dbias + i, sums + width + i, ld, blocks, count);
    }
}
