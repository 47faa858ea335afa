/* vit_product.h - a product of packed panels, cut to fit the caches (private to vit/ops). */
#ifndef VIT_PRODUCT_H
#define VIT_PRODUCT_H

#include "vit_kernels.h"

/* out[t][o] (+)= sum over `inputs` of tokens[t] * weights[o]; then, while the results are in L1, at
 * most one of
 *     epilogue     out = f(out + bias)
 *     activation   z = out + bias, hidden = f(z), where z is out
 *     backward     out *= f'(z), z = f(z)
 * Panels of one matrix follow each other. */
typedef struct vit_product {
    const vit_gemm *gemm;
    const unsigned char *weights, *tokens;
    size_t outputs, inputs;
    float *out;
    size_t ldo;
    bool accumulate;
    vit_epilogue_fn epilogue; /* NULL: none */
    const float *bias;
    vit_epilogue_fn activation;        /* NULL: none; needs the epilogue that adds the bias */
    vit_epilogue_backward_fn backward; /* NULL: none */
    float *beside;                     /* hidden of an activation, z of backward; else NULL */
    size_t ldb;
} vit_product;

/* Computes `tokens` tokens, which should be a run that stays in L2 (vit_gemm_run), by every
 * `members`-th weight panel from `member` on. */
void vit_product_run(const vit_product *product, size_t tokens, size_t member, size_t members);

/* Fetches the lines that a tile is written to while it is computed: the first store would wait for
 * each of them. */
static inline void vit_product_fetch_tile(const float *tile, size_t ldo, size_t outputs,
                                          size_t tokens)
{
    enum { LINE = 16 };
    for (size_t t = 0; t < tokens; t++) {
        const float *row = tile + t * ldo;
        for (size_t o = 0; o < outputs; o += LINE) __builtin_prefetch(row + o, 1, 3);
        __builtin_prefetch(row + outputs - 1, 1, 3);
    }
}

#endif
