#include <stdlib.h>
#include <string.h>

#include "vit_kernels.h"
#include "vitc_cpu.h"
#include "vitc_log.h"
#include "vitc_size.h"

typedef struct kernel_row {
    const char *name;
    uint32_t cpu;                   /* VITC_CPU_ bits that the row needs */
    bool blis;                      /* else the scalar reference GEMM */
    vit_blis_config chosen, forced; /* what to ask of BLIS when the row is chosen or forced */
    const vit_rows_f32 *rows;
    const vit_gemm_f32_twin *twin; /* of its BLIS kernel, or NULL */
} kernel_row;

/* Best first. A machine that has none of the x86 rows, or is not x86, runs "generic": BLIS's own
 * choice of kernels (on Arm its NEON ones) and loops compiled for the baseline. Forced by VITC_ISA,
 * "generic" asks for BLIS's portable kernels, so that any machine can show what others will run. */
static const kernel_row table[] = {
#if defined(__x86_64__)
#if VITC_AMX
    {"amx", VITC_CPU_AVX512 | VITC_CPU_AMX, true, VIT_BLIS_SKX, VIT_BLIS_SKX, &vit_rows_f32_avx512,
     &vit_gemm_f32_avx512},
#endif
    {"avx512", VITC_CPU_AVX512, true, VIT_BLIS_SKX, VIT_BLIS_SKX, &vit_rows_f32_avx512,
     &vit_gemm_f32_avx512},
    {"avx2", VITC_CPU_AVX2_FMA, true, VIT_BLIS_HASWELL, VIT_BLIS_HASWELL, &vit_rows_f32_avx2,
     &vit_gemm_f32_avx2},
#endif
    {"generic", 0, true, VIT_BLIS_OWN_CHOICE, VIT_BLIS_GENERIC, &vit_rows_f32_generic, NULL},
    {"ref", 0, false, VIT_BLIS_OWN_CHOICE, VIT_BLIS_OWN_CHOICE, &vit_rows_f32_ref, NULL},
};
enum { ROW_COUNT = sizeof table / sizeof table[0] };

static bool row_runs(const kernel_row *row, uint32_t features)
{
    return (row->cpu & features) == row->cpu;
}

/* The features that rows may use: without tile registers where the row needs them and the system
 * refuses them. Asked only for such a row, because the permission stays. */
static uint32_t features_for(const kernel_row *row)
{
    const uint32_t features = vitc_cpu_features();
    if ((row->cpu & VITC_CPU_AMX) == 0 || !row_runs(row, features) || vitc_cpu_request_tiles())
        return features;
    return features & ~(uint32_t)VITC_CPU_AMX;
}

const char *vit_kernels_name(size_t index, bool *runs_here)
{
    if (index >= ROW_COUNT) return NULL;
    const kernel_row *row = &table[index];
    if (runs_here != NULL) *runs_here = row_runs(row, features_for(row));
    return row->name;
}

/* ---- the float32 format: packing by the rows, the kernel by BLIS or the scalar ref ---- */

static void pack_weights_f32(const vit_gemm *gemm, void *panel, const float *w, size_t row_stride,
                             size_t k_stride, const float *row_scale, size_t rows, size_t k)
{
    gemm->rows->pack_weights(panel, w, row_stride, k_stride, row_scale, rows, k,
                             gemm->weight_panel);
}

static void pack_tokens_f32(const vit_gemm *gemm, void *panel, const float *x, size_t ldx,
                            size_t rows, size_t k)
{
    gemm->rows->pack_tokens(panel, x, ldx, rows, k, gemm->token_panel);
}

/* Columns have the layout of weights whose rows are adjacent. */
static void pack_token_columns_f32(const vit_gemm *gemm, void *panel, const float *x,
                                   size_t k_stride, size_t rows, size_t k)
{
    gemm->rows->pack_weights(panel, x, 1, k_stride, NULL, rows, k, gemm->token_panel);
}

static vitc_status choose_f32(vit_gemm *gemm, const kernel_row *row, bool forced,
                              const vitc_log *log)
{
    *gemm = vit_gemm_f32_ref;
    if (row->blis)
        VITC_TRY(vit_gemm_f32_blis(gemm, forced ? row->forced : row->chosen, row->twin, log));
    gemm->rows = row->rows;
    gemm->pack_weights = pack_weights_f32;
    gemm->pack_tokens = pack_tokens_f32;
    gemm->pack_token_columns = pack_token_columns_f32;
    return VITC_OK;
}

static void choose_bf16(vit_kernels *kernels, const kernel_row *row, uint32_t features)
{
#if defined(__x86_64__)
#if VITC_AMX
    if ((row->cpu & VITC_CPU_AMX) != 0) {
        kernels->bf16 = vit_gemm_bf16_amx;
        kernels->native_bf16 = true;
        return;
    }
#endif
    const uint32_t needs = VITC_CPU_AVX512 | VITC_CPU_AVX512_BF16;
    if ((row->cpu & VITC_CPU_AVX512) != 0 && (features & needs) == needs) {
        kernels->bf16 = vit_gemm_bf16_avx512;
        kernels->native_bf16 = true;
        return;
    }
#endif
    kernels->bf16 = vit_gemm_bf16_portable(&kernels->f32);
    kernels->native_bf16 = false;
}

/* The byte products of the row's instruction set where the CPU has them: many AVX2 machines, and
 * the first with AVX-512, do not. */
static void choose_int8(vit_kernels *kernels, const kernel_row *row, uint32_t features)
{
    kernels->int8 = vit_gemm_int8_ref;
#if defined(__x86_64__)
#if VITC_AMX
    if ((row->cpu & VITC_CPU_AMX) != 0) {
        kernels->int8 = vit_gemm_int8_amx;
        return;
    }
#endif
    if ((row->cpu & VITC_CPU_AVX512) != 0 && (features & VITC_CPU_AVX512_VNNI) != 0)
        kernels->int8 = vit_gemm_int8_avx512vnni;
#if VITC_AVXVNNI
    else if ((row->cpu & VITC_CPU_AVX2_FMA) != 0 && (features & VITC_CPU_AVX_VNNI) != 0)
        kernels->int8 = vit_gemm_int8_avxvnni;
#endif
    else if ((row->cpu & (VITC_CPU_AVX512 | VITC_CPU_AVX2_FMA)) != 0)
        kernels->int8 = vit_gemm_int8_avx2;
#else
    (void)row;
    (void)features;
#endif
}

vitc_status vit_kernels_select(vit_kernels *kernels, const vitc_log *log)
{
    const char *forced = getenv("VITC_ISA");
    if (forced != NULL && forced[0] == 0) forced = NULL;
    const kernel_row *row = NULL;
    uint32_t features = 0;
    for (size_t i = 0; i < ROW_COUNT && row == NULL; i++) {
        if (forced != NULL && strcmp(forced, table[i].name) != 0) continue;
        features = features_for(&table[i]);
        if (forced != NULL || row_runs(&table[i], features)) row = &table[i];
    }
    if (row == NULL)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "VITC_ISA=%s names no kernel row; unset it, or use amx, avx512, avx2, "
                         "generic or ref",
                         forced);
    if (!row_runs(row, features))
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "VITC_ISA=%s asks for kernels that this CPU or operating system cannot "
                         "run; unset it",
                         forced);
    *kernels = (vit_kernels){.name = row->name,
                             .reason = forced != NULL ? "VITC_ISA in the environment"
                                                      : "the best that this CPU and system run",
                             .rows = row->rows};
    VITC_TRY(choose_f32(&kernels->f32, row, forced != NULL, log));
    choose_bf16(kernels, row, features);
    choose_int8(kernels, row, features);
    return VITC_OK;
}

static size_t panel_size(const vit_gemm *gemm, size_t lanes, size_t header, size_t element,
                         size_t k)
{
    size_t size;
    if ((gemm->k_max != 0 && k > gemm->k_max) || k > SIZE_MAX - gemm->k_unit ||
        !vitc_size_mul3(vitc_size_round_up(k, gemm->k_unit), element, lanes, &size) ||
        !vitc_size_add(size, header * lanes, &size))
        return 0;
    return size;
}

size_t vit_gemm_weight_panel_size(const vit_gemm *gemm, size_t k)
{
    return panel_size(gemm, gemm->weight_panel, gemm->weight_header, gemm->weight_element, k);
}

size_t vit_gemm_token_panel_size(const vit_gemm *gemm, size_t k)
{
    return panel_size(gemm, gemm->token_panel, gemm->token_header, gemm->token_element, k);
}

size_t vit_gemm_pass(const vit_gemm *gemm, size_t k)
{
    const size_t passes = vitc_size_max(1, vitc_size_divide_up(k, gemm->k_block));
    return vitc_size_round_up(vitc_size_divide_up(k, passes), gemm->k_unit);
}

size_t vit_gemm_run(const vit_gemm *gemm, size_t k)
{
    return vitc_size_max(1, gemm->run_size / (vit_gemm_pass(gemm, k) * gemm->token_element));
}
