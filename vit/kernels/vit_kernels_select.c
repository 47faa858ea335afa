#include <stdlib.h>
#include <string.h>

#include "vit_kernels.h"
#include "vitc_cpu.h"
#include "vitc_log.h"

typedef struct kernel_row {
    const char *name;
    uint32_t cpu;                   /* VITC_CPU_ bits that the row needs */
    bool blis;                      /* else the scalar reference GEMM */
    vit_blis_config chosen, forced; /* what to ask of BLIS when the row is chosen or forced */
    const vit_rows_f32 *rows;
} kernel_row;

/* Best first. A machine that has none of the x86 rows, or is not x86, runs "generic": BLIS's own
 * choice of kernels (on Arm its NEON ones) and loops compiled for the baseline. Forced by VITC_ISA,
 * "generic" asks for BLIS's portable kernels, so that any machine can show what others will run. */
static const kernel_row table[] = {
#if defined(__x86_64__)
    {"avx512", VITC_CPU_AVX512, true, VIT_BLIS_SKX, VIT_BLIS_SKX, &vit_rows_f32_avx512},
    {"avx2", VITC_CPU_AVX2_FMA, true, VIT_BLIS_HASWELL, VIT_BLIS_HASWELL, &vit_rows_f32_avx2},
#endif
    {"generic", 0, true, VIT_BLIS_OWN_CHOICE, VIT_BLIS_GENERIC, &vit_rows_f32_generic},
    {"ref", 0, false, VIT_BLIS_OWN_CHOICE, VIT_BLIS_OWN_CHOICE, &vit_rows_f32_ref},
};
enum { ROW_COUNT = sizeof table / sizeof table[0] };

static bool row_runs(const kernel_row *row, uint32_t features)
{
    return (row->cpu & features) == row->cpu;
}

const char *vit_kernels_name(size_t index, bool *runs_here)
{
    if (index >= ROW_COUNT) return NULL;
    if (runs_here != NULL) *runs_here = row_runs(&table[index], vitc_cpu_features());
    return table[index].name;
}

vitc_status vit_kernels_select(vit_kernels *kernels, const vitc_log *log)
{
    const uint32_t features = vitc_cpu_features();
    const char *forced = getenv("VITC_ISA");
    if (forced != NULL && forced[0] == 0) forced = NULL;
    const kernel_row *row = NULL;
    for (size_t i = 0; i < ROW_COUNT && row == NULL; i++)
        if (forced != NULL ? strcmp(forced, table[i].name) == 0 : row_runs(&table[i], features))
            row = &table[i];
    if (row == NULL)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "VITC_ISA=%s names no kernel row; unset it, or use avx512, avx2, generic "
                         "or ref",
                         forced);
    if (!row_runs(row, features))
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "VITC_ISA=%s asks for kernels that this CPU or operating system cannot "
                         "run; unset it",
                         forced);
    *kernels = (vit_kernels){.name = row->name,
                             .reason = forced != NULL ? "VITC_ISA in the environment"
                                                      : "the best that this CPU and system run",
                             .gemm = vit_gemm_f32_ref,
                             .rows = row->rows};
    if (!row->blis) return VITC_OK;
    return vit_gemm_f32_blis(&kernels->gemm, forced != NULL ? row->forced : row->chosen, log);
}
