#include <stdio.h>
#include <string.h>

#include "vit.h"
#include "vit_kernels.h"
#include "vitc_cpu.h"
#include "vitc_threads.h"

static void list_features(char *text, size_t size)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {
        {VITC_CPU_AVX2_FMA, "avx2"},           {VITC_CPU_AVX_VNNI, "avx-vnni"},
        {VITC_CPU_AVX512, "avx512"},           {VITC_CPU_AVX512_VNNI, "avx512-vnni"},
        {VITC_CPU_AVX512_BF16, "avx512-bf16"}, {VITC_CPU_AMX, "amx"},
    };
    const uint32_t features = vitc_cpu_features();
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!(features & names[i].bit) || used >= size) continue;
        const int n =
            snprintf(text + used, size - used, "%s%s", used > 0 ? " " : "", names[i].name);
        used += n > 0 ? (size_t)n : 0;
    }
    if (used == 0) snprintf(text, size, "baseline");
}

vitc_status vit_runtime_describe(vit_runtime_info *info, int threads, const vitc_log *log)
{
    vit_kernels kernels;
    *info = (vit_runtime_info){0};
    const vitc_status status = vit_kernels_select(&kernels, log);
    if (status != VITC_OK) return status;
    vitc_cpu_name(info->cpu, sizeof info->cpu);
    list_features(info->features, sizeof info->features);
    info->kernel_row = kernels.name;
    snprintf(info->kernel_reason, sizeof info->kernel_reason, "%s", kernels.reason);
    info->bf16_kernel = kernels.bf16.name;
    const bool blis = kernels.f32.blis_kernel != NULL;
    const vit_blis_info b = vit_blis_describe();
    info->blis_version = blis ? b.version : "none";
    info->blis_config = blis ? b.config : "none";
    snprintf(info->blis_reason, sizeof info->blis_reason, "%s",
             blis ? b.reason : "this kernel row does not use BLIS");
    if (blis)
        snprintf(info->blis_kernel, sizeof info->blis_kernel, "%zux%zu, writes %s", b.mr, b.nr,
                 b.columns ? "columns" : "rows");
    info->threads = vitc_threads_choose(threads, info->threads_reason, sizeof info->threads_reason);
    return VITC_OK;
}
