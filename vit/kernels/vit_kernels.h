/* vit_kernels.h - the table of compute kernels, one row per instruction set (private to vit).
 *
 * Kernels know panels and rows of floats, nothing of layers. KERNELS.md beside this file states
 * each contract in full. */
#ifndef VIT_KERNELS_H
#define VIT_KERNELS_H

#include <stdbool.h>

#include "vitc_base.h"

/* ---- GEMM: a micro-kernel and the panels it wants, one of these per number format ----
 *
 * out[t][o] (+)= sum over k of x[t][k] * w[o][k]         t: token, o: output feature
 *
 * Operands are packed in micro-panels, k-major in groups of `k_unit` inputs, padded with zeros to
 * full width and whole groups; a panel may begin with a header, per-lane numbers such as scales:
 *     weight panel p:  w[p*WR + j][k] in element  (k/U)*WR*U + j*U + k%U     WR outputs abreast
 *     token panel p:   x[p*XR + j][k] in element  (k/U)*XR*U + j*U + k%U     XR tokens abreast
 * (inside a group of weights AMX has an order of its own: KERNELS.md).
 * `out` is row-major float32 with the features contiguous, which is the order that either kind of
 * BLIS micro-kernel stores fast once weights take the side (MR or NR) that it writes contiguously.
 */

/* Some micro-kernels load the next step's operands before they know that there is none: up to two
 * rows of a panel past its end. Memory that holds panels ends with this many bytes to spare. */
enum { VIT_KERNEL_OVERREAD = 1024 };

/* No kernel's panels are wider. */
enum { VIT_TOKEN_PANEL_MAX = 64 };

typedef struct vit_gemm vit_gemm;
typedef void (*vit_tile_fn)(const vit_gemm *gemm, size_t k, const void *weight_panel,
                            const void *token_panel, bool accumulate, float *out, size_t ldo,
                            size_t weights, size_t tokens, const void *next, size_t next_size);
struct vit_gemm {
    const char *name;                     /* of the kernel, for people: "BLIS skx", "VNNI" */
    size_t weight_panel, token_panel;     /* WR, XR: lanes */
    size_t k_unit;                        /* U */
    size_t fetch_unit;                    /* inputs for each line of what is next */
    size_t weight_element, token_element; /* bytes per packed number */
    size_t weight_header, token_header;   /* bytes per lane before the first number */
    size_t k_block; /* most inputs per pass (multiple of U), so that two weight panels of a pass and
                       run_size bytes of tokens stay in L2; SIZE_MAX where the format needs the
                       whole sum in one pass */
    size_t run_size;
    size_t k_max; /* most inputs that the format can sum; 0: any number */

    /* Packs `rows` <= WR rows of weights into one panel: row r, input i at w[r*row_stride +
     * i*k_stride]. Every row is multiplied by row_scale[r] first; NULL: by 1. */
    void (*pack_weights)(const vit_gemm *gemm, void *panel, const float *w, size_t row_stride,
                         size_t k_stride, const float *row_scale, size_t rows, size_t k);
    /* int8 only, else NULL: the same from numbers that were quantized before, w = q * scale[r]. */
    void (*pack_quantized)(const vit_gemm *gemm, void *panel, const int8_t *q, size_t row_stride,
                           const float *scale, size_t rows, size_t k);
    /* Packs `rows` <= XR rows of tokens into one panel: row r, input i at x[r*ldx + i]. */
    void (*pack_tokens)(const vit_gemm *gemm, void *panel, const float *x, size_t ldx, size_t rows,
                        size_t k);

    /* float32 and bf16 only, else NULL: the same from columns, as a gradient of weights wants them,
     * whose inputs are tokens: row r, input i at x[i*k_stride + r]. */
    void (*pack_token_columns)(const vit_gemm *gemm, void *panel, const float *x, size_t k_stride,
                               size_t rows, size_t k);

    /* One tile: `weights` <= WR by `tokens` <= XR outputs over k inputs. accumulate false: out is
     * written, never read; true: the sum is added to it. Panels are full width even when the tile
     * is partial. `ldo` is the row stride of out in floats. An element's bits do not depend on
     * which tile it falls to. `next_size` bytes from `next` will be read soon and may be fetched
     * meanwhile, a line per fetch_unit inputs, evenly spaced; NULL: nothing. */
    vit_tile_fn tile;

    /* Called by a thread before and after its tiles, by vit_gemm_begin and vit_gemm_end; NULL: the
     * format needs nothing of the kind. */
    void (*begin)(void);
    void (*end)(void);

    const void *context; /* the BLIS context, else NULL */
    void (*blis_kernel)(void);
    bool weights_on_m;               /* the BLIS kernel writes columns: weights take its MR side */
    const struct vit_rows_f32 *rows; /* what pack_weights and pack_tokens of f32 use */
};

/* A thread runs tiles between these two: of one format, not nested. */
static inline void vit_gemm_begin(const vit_gemm *gemm)
{
    if (gemm->begin != NULL) gemm->begin();
}

static inline void vit_gemm_end(const vit_gemm *gemm)
{
    if (gemm->end != NULL) gemm->end();
}

/* Bytes of one packed panel of k inputs; 0 on overflow or when k > k_max. */
size_t vit_gemm_weight_panel_size(const vit_gemm *gemm, size_t k);
size_t vit_gemm_token_panel_size(const vit_gemm *gemm, size_t k);

/* How a product with k inputs is cut: inputs per pass, passes being as even as can be; and the most
 * tokens (>= 1) that take part in one run over the weights. The first decides in which order sums
 * are made, so it depends on k and the format only. */
size_t vit_gemm_pass(const vit_gemm *gemm, size_t k);
size_t vit_gemm_run(const vit_gemm *gemm, size_t k);

/* ---- rows: the operations on contiguous floats between the GEMMs ---- */

/* x[r][i] = f(x[r][i] + bias[i]) for `rows` rows of stride ldx: what is left to do on a tile of
 * GEMM results. */
typedef void (*vit_epilogue_fn)(float *x, size_t ldx, size_t rows, const float *bias, size_t n);

typedef enum vit_epilogue {
    VIT_EPILOGUE_BIAS = 0, /* f is the identity */
    VIT_EPILOGUE_GELU_ERF,
    VIT_EPILOGUE_GELU_TANH,
    VIT_EPILOGUE_GELU_QUICK,
    VIT_EPILOGUE_RELU,
    VIT_EPILOGUE_SILU,
    VIT_EPILOGUE_COUNT
} vit_epilogue;

/* An epilogue's f backward, for `rows` rows of n: dy *= f'(z), and z = f(z), which the layer after
 * f had as its input: both are made of the same exponential. */
typedef void (*vit_epilogue_backward_fn)(float *dy, size_t lddy, float *z, size_t ldz, size_t rows,
                                         size_t n);

typedef struct vit_rows_f32 {
    vit_epilogue_fn epilogue[VIT_EPILOGUE_COUNT];
    vit_epilogue_backward_fn epilogue_backward[VIT_EPILOGUE_COUNT];

    /* out = (x - mean) / sqrt(variance + eps) * weight + bias over n elements, biased variance,
     * two passes. out may be x. */
    void (*layernorm)(float *out, const float *x, const float *weight, const float *bias, size_t n,
                      float eps);

    /* x = exp(scale * (x - max x)), n >= 1; returns the sum of the results, which is at least 1
     * and still has to divide them. scale > 0. */
    float (*softmax)(float *x, size_t n, float scale);

    /* Backward of a row of layernorm, x its input: with h = (x - mean) / sqrt(variance + eps) and
     * g = dy * weight,  dx (+)= (g - mean(g) - h * mean(g * h)) / sqrt(variance + eps),
     * dweight += dy * h,  dbias += dy. dx may be neither dy nor x. */
    void (*layernorm_backward)(float *dx, const float *dy, const float *x, const float *weight,
                               float *dweight, float *dbias, size_t n, float eps, bool accumulate);

    /* Backward of a row of softmax: x as `softmax` left it, inverse = 1 / what it returned.
     * x *= inverse, and dx, the gradient of that, becomes the gradient of what softmax was given:
     * scale * x * (dx - sum of x * dx). */
    void (*softmax_backward)(float *x, float *dx, size_t n, float inverse, float scale);

    /* sum[i] += x[0][i] + x[1][i] + ... over `rows` rows of n, stride ldx, added up among
     * themselves first. */
    void (*add_rows)(float *sum, const float *x, size_t ldx, size_t rows, size_t n);

    /* x[r][i] *= factor[r] for `rows` rows of n, stride ldx. */
    void (*scale)(float *x, size_t ldx, const float *factor, size_t rows, size_t n);

    /* The float32 packing of a vit_gemm, `width` lanes wide. */
    void (*pack_weights)(float *panel, const float *w, size_t row_stride, size_t k_stride,
                         const float *row_scale, size_t rows, size_t k, size_t width);
    void (*pack_tokens)(float *panel, const float *x, size_t ldx, size_t rows, size_t k,
                        size_t width);

    /* x = the nearest bf16, ties to even, still as float32; NaN and infinity stay. */
    void (*round_bf16)(float *x, size_t n);
} vit_rows_f32;

/* ---- the table ---- */

typedef struct vit_kernels {
    const char *name; /* "amx", "avx512", "avx2", "generic", "ref" */
    const char *reason;
    vit_gemm f32, bf16, int8;
    bool native_bf16; /* the CPU multiplies bf16 itself; else bf16 is rounded float32 */
    const vit_rows_f32 *rows;
} vit_kernels;

/* Chooses a row by CPU and operating system, or the one that VITC_ISA names, and readies BLIS.
 * VITC_ERR_ARGUMENT when VITC_ISA names no row, or one that this machine cannot run. Thread-safe.
 */
VITC_MUST_CHECK vitc_status vit_kernels_select(vit_kernels *kernels, const vitc_log *log);

/* The names of the rows, best first, and whether this machine can run them; NULL past the last. */
const char *vit_kernels_name(size_t index, bool *runs_here);

/* ---- BLIS, seen through vit_gemm_f32_blis.c only ---- */

typedef enum vit_blis_config {
    VIT_BLIS_OWN_CHOICE, /* what BLIS finds by itself */
    VIT_BLIS_SKX,        /* AVX-512 kernels */
    VIT_BLIS_HASWELL,    /* AVX2 + FMA kernels */
    VIT_BLIS_GENERIC     /* portable C */
} vit_blis_config;

/* The twin of a float32 micro-kernel of BLIS: its shape, its panels, its sums in the same order
 * with fused multiply-add; but it fetches ahead, and computes only the lanes that a tile has. */
typedef struct vit_gemm_f32_twin {
    const char *name;
    size_t weight_panel, token_panel;
    vit_tile_fn tile;
} vit_gemm_f32_twin;

/* Initializes BLIS once per process, with the wished configuration unless the user's environment
 * sets BLIS_ARCH_TYPE or BLIS runs already, and fills `gemm` (all but the packing) from what BLIS
 * then reports. `twin` (may be NULL) takes the kernel's place when it has its shape and gives its
 * bits. */
VITC_MUST_CHECK vitc_status vit_gemm_f32_blis(vit_gemm *gemm, vit_blis_config wish,
                                              const vit_gemm_f32_twin *twin, const vitc_log *log);

typedef struct vit_blis_info {
    const char *version, *config;
    const char *reason; /* of the configuration */
    size_t mr, nr;
    bool columns; /* the micro-kernel writes columns */
} vit_blis_info;

/* Describes BLIS after vit_gemm_f32_blis. */
vit_blis_info vit_blis_describe(void);

/* The scalar truth: double accumulators, any machine. */
extern const vit_gemm vit_gemm_f32_ref;
extern const vit_gemm vit_gemm_int8_ref; /* all int8 kernels give its bits */
extern const vit_rows_f32 vit_rows_f32_ref;
extern const vit_rows_f32 vit_rows_f32_generic;

/* bf16 on any machine: `f32`, a complete float32 format, on operands rounded to bf16. */
vit_gemm vit_gemm_bf16_portable(const vit_gemm *f32);
#if defined(__x86_64__)
extern const vit_rows_f32 vit_rows_f32_avx2;
extern const vit_rows_f32 vit_rows_f32_avx512;
extern const vit_gemm_f32_twin vit_gemm_f32_avx2;   /* 16 weights x 6 tokens */
extern const vit_gemm_f32_twin vit_gemm_f32_avx512; /* 32 weights x 12 tokens */
extern const vit_gemm vit_gemm_int8_avx512vnni;     /* 32 x 12, needs VITC_CPU_AVX512_VNNI */
extern const vit_gemm vit_gemm_int8_avxvnni;        /* 16 x 6, needs VITC_CPU_AVX_VNNI */
extern const vit_gemm vit_gemm_int8_avx2;           /* 16 x 6 */
extern const vit_gemm vit_gemm_bf16_avx512;         /* needs VITC_CPU_AVX512_BF16 */
extern const vit_gemm vit_gemm_bf16_amx, vit_gemm_int8_amx; /* 32 x 32, need VITC_CPU_AMX */
#endif

#endif
