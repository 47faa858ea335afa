/* vit_kernels.h - the table of compute kernels, one row per instruction set (private to vit).
 *
 * Kernels know panels and rows of floats, nothing of layers. KERNELS.md beside this file states
 * each contract in full. */
#ifndef VIT_KERNELS_H
#define VIT_KERNELS_H

#include <stdbool.h>

#include "vitc_base.h"

/* ---- f32 GEMM: a micro-kernel and the panel geometry it wants ----
 *
 * out[t][o] (+)= sum over k of x[t][k] * w[o][k]         t: token, o: output feature
 *
 * Operands are packed in micro-panels, k-major, the last panel padded with zeros:
 *     weight panel p:  w[p*WR + j][k] at  panel[k*WR + j]     WR outputs side by side
 *     token panel p:   x[p*XR + j][k] at  panel[k*XR + j]     XR tokens side by side
 * `out` is row-major with the features contiguous, which is the order that either kind of BLIS
 * micro-kernel stores fast once weights take the side (MR or NR) that it writes contiguously. */
/* Some BLIS micro-kernels load the next step's operands before they know that there is none: up to
 * two rows of a panel past its end. Memory that holds panels ends with this many bytes to spare. */
enum { VIT_KERNEL_OVERREAD = 1024 };

typedef struct vit_gemm_f32 vit_gemm_f32;
struct vit_gemm_f32 {
    size_t weight_panel; /* WR */
    size_t token_panel;  /* XR */
    size_t k_block;      /* elements of k per pass, so that panels stay in L1 */
    size_t weight_block; /* weights per task (multiple of WR), so that they stay in L2 */

    /* One tile: `weights` <= WR by `tokens` <= XR outputs over k terms, summed in ascending order
     * of k in float32 (the ref row: in double). accumulate false: out is written, never read.
     * Panels are full width even when the tile is partial. `ldo` is the row stride of out in
     * floats. */
    void (*tile)(const vit_gemm_f32 *gemm, size_t k, const float *weight_panel,
                 const float *token_panel, bool accumulate, float *out, size_t ldo, size_t weights,
                 size_t tokens);

    const void *context; /* the BLIS context, else NULL */
    void (*blis_kernel)(void);
    bool weights_on_m; /* the BLIS kernel writes columns: weights take its MR side */
};

/* ---- rows: the operations on contiguous floats between the GEMMs ---- */

/* x[i] = f(x[i] + bias[i]), what is left to do on a row of GEMM results. */
typedef void (*vit_epilogue_fn)(float *x, const float *bias, size_t n);

typedef enum vit_epilogue {
    VIT_EPILOGUE_BIAS = 0, /* f is the identity */
    VIT_EPILOGUE_GELU_ERF,
    VIT_EPILOGUE_GELU_TANH,
    VIT_EPILOGUE_GELU_QUICK,
    VIT_EPILOGUE_RELU,
    VIT_EPILOGUE_SILU,
    VIT_EPILOGUE_COUNT
} vit_epilogue;

typedef struct vit_rows_f32 {
    vit_epilogue_fn epilogue[VIT_EPILOGUE_COUNT];

    /* out = (x - mean) / sqrt(variance + eps) * weight + bias over n elements, biased variance,
     * two passes. out may be x. */
    void (*layernorm)(float *out, const float *x, const float *weight, const float *bias, size_t n,
                      float eps);

    /* x = exp(x - max x) / sum exp(x - max x), n >= 1. */
    void (*softmax)(float *x, size_t n);

    /* Packs `rows` <= width rows of x (row stride ldx) into one panel: panel[k*width + j] =
     * scale * x[j*ldx + k], zeros for j >= rows. */
    void (*pack)(float *panel, const float *x, size_t ldx, size_t rows, size_t k, size_t width,
                 float scale);
} vit_rows_f32;

/* ---- the table ---- */

typedef struct vit_kernels {
    const char *name; /* "avx512", "avx2", "generic", "ref" */
    const char *reason;
    vit_gemm_f32 gemm;
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

/* Initializes BLIS once per process, with the wished configuration unless the user's environment
 * sets BLIS_ARCH_TYPE or BLIS runs already, and fills `gemm` from what BLIS then reports. */
VITC_MUST_CHECK vitc_status vit_gemm_f32_blis(vit_gemm_f32 *gemm, vit_blis_config wish,
                                              const vitc_log *log);

typedef struct vit_blis_info {
    const char *version, *config;
    const char *reason; /* of the configuration */
    size_t mr, nr;
    bool columns; /* the micro-kernel writes columns */
} vit_blis_info;

/* Describes BLIS after vit_gemm_f32_blis. */
vit_blis_info vit_blis_describe(void);

/* The scalar truth: double accumulators, any machine. */
extern const vit_gemm_f32 vit_gemm_f32_ref;
extern const vit_rows_f32 vit_rows_f32_ref;
extern const vit_rows_f32 vit_rows_f32_generic;
#if defined(__x86_64__)
extern const vit_rows_f32 vit_rows_f32_avx2;
extern const vit_rows_f32 vit_rows_f32_avx512;
#endif

#endif
