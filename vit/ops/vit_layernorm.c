#include "vit_ops.h"

void vit_op_layernorm(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                      const vit_norm *norm, size_t width, const vit_rows_f32 *rows)
{
#pragma omp for schedule(static)
    for (size_t t = 0; t < tokens; t++)
        rows->layernorm(out + t * ldo, x + t * ldx, norm->weight, norm->bias, width, norm->eps);
}
