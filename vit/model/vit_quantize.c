#include <math.h>
#include <string.h>

#include "vit_gemm_int8.h"
#include "vit_model.h"

void vit_quantize_rows(int8_t *q, float *scale, const float *w, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++, q += n, w += n) {
        int32_t largest = 0;
        for (size_t i = 0; i < n; i++) {
            int32_t bits;
            memcpy(&bits, w + i, sizeof bits);
            bits &= INT32_MAX; /* |w[i]| */
            largest = bits > largest ? bits : largest;
        }
        float inverse;
        scale[r] = vit_int8_scale(largest, &inverse);
        for (size_t i = 0; i < n; i++)
            q[i] = inverse == 0 ? 0 : (int8_t)lrintf(w[i] * inverse); /* half to even */
    }
}
