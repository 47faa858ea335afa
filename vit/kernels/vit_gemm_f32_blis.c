/* The only file that sees BLIS: its configuration is chosen here before its first call, and its
 * single-precision micro-kernel is taken out of its context to run over vitc's own panels, or to be
 * the model of a twin that does (vit_gemm_f32_body.h says why).
 *
 * Why the micro-kernel and not bli_sgemm: packing the weights again on every call costs 20-35 % at
 * ViT sizes, and the choice between BLIS's code paths by matrix size would make results depend on
 * the batch. The micro-kernel sums each output over k in order, whatever the tile. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* BLIS's header does not compile cleanly under vitc's warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-function"
#include <blis.h>
#pragma GCC diagnostic pop

#include "vit_kernels.h"
#include "vitc_cpu.h"
#include "vitc_log.h"

/* What initialization found; written once under `once`, read-only afterwards. */
typedef struct blis_state {
    vit_blis_info info;
    const cntx_t *context;
    void (*kernel)(void);
    size_t k_block, m_block;
} blis_state;

#if VITC_BLIS_08_UKERNEL
enum { FULL_TILE_MAX = 1024 }; /* floats; the largest register block of 0.8 has 384 */
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static blis_state state;

/* pthread_once takes no argument: the first caller's wish, under its own lock. */
static pthread_mutex_t wish_lock = PTHREAD_MUTEX_INITIALIZER;
static vit_blis_config first_wish;

/* The id of a configuration, or -1 where this build of BLIS does not contain it: BLIS aborts when
 * told an id that it lacks. */
static int arch_id(vit_blis_config wish)
{
    switch (wish) {
#if defined(BLIS_CONFIG_SKX)
    case VIT_BLIS_SKX:
        return BLIS_ARCH_SKX;
#endif
#if defined(BLIS_CONFIG_HASWELL)
    case VIT_BLIS_HASWELL:
        return BLIS_ARCH_HASWELL;
#endif
#if defined(BLIS_CONFIG_GENERIC)
    case VIT_BLIS_GENERIC:
        return BLIS_ARCH_GENERIC;
#endif
    default:
        return -1;
    }
}

static const char variable[] = "BLIS_ARCH_TYPE";

/* BLIS takes the user's word: a configuration that the build lacks aborts the process, and kernels
 * that the CPU lacks are an illegal instruction. Those of which neither is certain are refused. */
static vitc_status check_users_choice(const vitc_log *log)
{
    static const struct {
        int id;
        uint32_t cpu;
    } safe[] = {
#if defined(BLIS_CONFIG_SKX)
        {BLIS_ARCH_SKX, VITC_CPU_AVX512},
#endif
#if defined(BLIS_CONFIG_HASWELL)
        {BLIS_ARCH_HASWELL, VITC_CPU_AVX2_FMA},
#endif
#if defined(BLIS_CONFIG_ZEN3)
        {BLIS_ARCH_ZEN3, VITC_CPU_AVX2_FMA},
#endif
#if defined(BLIS_CONFIG_ZEN2)
        {BLIS_ARCH_ZEN2, VITC_CPU_AVX2_FMA},
#endif
#if defined(BLIS_CONFIG_ZEN)
        {BLIS_ARCH_ZEN, VITC_CPU_AVX2_FMA},
#endif
#if defined(BLIS_CONFIG_SANDYBRIDGE)
        {BLIS_ARCH_SANDYBRIDGE, VITC_CPU_AVX2_FMA},
#endif
#if defined(BLIS_CONFIG_CORTEXA57)
        {BLIS_ARCH_CORTEXA57, 0},
#endif
#if defined(BLIS_CONFIG_GENERIC)
        {BLIS_ARCH_GENERIC, 0},
#endif
        {-1, 0},
    };
    const char *value = getenv(variable);
    if (value == NULL) return VITC_OK;
    char *end;
    const long id = strtol(value, &end, 10);
    const uint32_t features = vitc_cpu_features();
    for (size_t i = 0; *value != 0 && *end == 0 && safe[i].id >= 0; i++)
        if (safe[i].id == id && (safe[i].cpu & features) == safe[i].cpu) return VITC_OK;
    return vitc_fail(log, VITC_ERR_ARGUMENT,
                     "BLIS_ARCH_TYPE=%s in the environment is no configuration of this BLIS that "
                     "this CPU is known to run; unset it",
                     value);
}

static void initialize(void)
{
    const bool users = getenv(variable) != NULL;
    const int id = users ? -1 : arch_id(first_wish);
    /* BLIS up to 2.1 knows no Zen 4 or later and would run its portable kernels there, six times
     * slower; the variable is its only way to be told. It is removed again at once. */
    if (id >= 0) {
        char value[16];
        snprintf(value, sizeof value, "%d", id);
        setenv(variable, value, 1);
    }
    bli_init();
    const arch_t chosen = bli_arch_query_id();
    const cntx_t *context = bli_gks_query_cntx();
    if (id >= 0) unsetenv(variable);

    cntx_t *c = (cntx_t *)(uintptr_t)context;
#if VITC_BLIS_09_ACCESSORS
    void_fp kernel = bli_cntx_get_l3_vir_ukr_dt(BLIS_FLOAT, BLIS_GEMM_UKR, c);
    const bool columns = bli_cntx_l3_vir_ukr_prefers_cols_dt(BLIS_FLOAT, BLIS_GEMM_UKR, c);
#else
    void_fp kernel = bli_cntx_get_ukr_dt(BLIS_FLOAT, BLIS_GEMM_UKR, c);
    const bool columns = bli_cntx_ukr_prefers_cols_dt(BLIS_FLOAT, BLIS_GEMM_UKR, c);
#endif
    state = (blis_state){
        .info = {.version = bli_info_get_version_str(),
                 .config = bli_arch_string(chosen),
                 .reason = users    ? "BLIS_ARCH_TYPE in the environment"
                           : id < 0 ? "BLIS's own choice"
                           : (int)chosen == id
                               ? "set by vitc for its kernel row"
                               : "BLIS was running already when vitc was first called",
                 .mr = (size_t)bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_MR, c),
                 .nr = (size_t)bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_NR, c),
                 .columns = columns},
        .context = context,
        .kernel = (void (*)(void))kernel,
        .k_block = (size_t)bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_KC, c),
        .m_block = (size_t)bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_MC, c),
    };
    /* Panels are as wide as the register block unless BLIS pads them (PACKMR > MR). */
    if (bli_cntx_get_blksz_max_dt(BLIS_FLOAT, BLIS_MR, c) != (dim_t)state.info.mr ||
        bli_cntx_get_blksz_max_dt(BLIS_FLOAT, BLIS_NR, c) != (dim_t)state.info.nr)
        state.kernel = NULL;
    if ((columns ? state.info.nr : state.info.mr) > VIT_TOKEN_PANEL_MAX) state.kernel = NULL;
#if VITC_BLIS_08_UKERNEL
    if (state.info.mr * state.info.nr > FULL_TILE_MAX) state.kernel = NULL;
#endif
}

#if VITC_BLIS_08_UKERNEL
/* Until 0.8 the micro-kernel took no m and n and always wrote a full tile. */
typedef void (*micro_kernel)(dim_t k, const void *alpha, const void *a, const void *b,
                             const void *beta, void *c, inc_t rs_c, inc_t cs_c, auxinfo_t *data,
                             const void *context);

/* c (m x n) = a * b + beta * c. A tile that is cut by the edge of c is computed in a full one, from
 * and to the same values, so that its bits do not depend on where the edge is. */
static void run_micro_kernel(const vit_gemm *gemm, size_t m, size_t n, size_t k, const float *a,
                             const float *b, const float *beta, float *c, size_t rs_c, size_t cs_c,
                             auxinfo_t *data)
{
    static const float one = 1.0f;
    const micro_kernel kernel = (micro_kernel)gemm->blis_kernel;
    const size_t mr = state.info.mr, nr = state.info.nr;
    if (m == mr && n == nr) {
        kernel((dim_t)k, &one, a, b, beta, c, (inc_t)rs_c, (inc_t)cs_c, data, gemm->context);
        return;
    }
    _Alignas(64) float full[FULL_TILE_MAX] = {0};
    const size_t rs = rs_c == 1 ? 1 : nr, cs = rs_c == 1 ? mr : 1;
    if (*beta != 0)
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) full[i * rs + j * cs] = c[i * rs_c + j * cs_c];
    kernel((dim_t)k, &one, a, b, beta, full, (inc_t)rs, (inc_t)cs, data, gemm->context);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) c[i * rs_c + j * cs_c] = full[i * rs + j * cs];
}
#else
/* The micro-kernel's type since 0.9, which declares typed pointers where 1.x has const void, with
 * the same calling convention. It takes m and n and handles partial tiles itself. */
typedef void (*micro_kernel)(dim_t m, dim_t n, dim_t k, const void *alpha, const void *a,
                             const void *b, const void *beta, void *c, inc_t rs_c, inc_t cs_c,
                             auxinfo_t *data, const void *context);

/* c (m x n) = a * b + beta * c. */
static void run_micro_kernel(const vit_gemm *gemm, size_t m, size_t n, size_t k, const float *a,
                             const float *b, const float *beta, float *c, size_t rs_c, size_t cs_c,
                             auxinfo_t *data)
{
    static const float one = 1.0f;
    const micro_kernel kernel = (micro_kernel)gemm->blis_kernel;
    kernel((dim_t)m, (dim_t)n, (dim_t)k, &one, a, b, beta, c, (inc_t)rs_c, (inc_t)cs_c, data,
           gemm->context);
}
#endif

static void tile_blis(const vit_gemm *gemm, size_t k, const void *weight_panel,
                      const void *token_panel, bool accumulate, float *out, size_t ldo,
                      size_t weights, size_t tokens, const void *next, size_t next_size)
{
    static const float one = 1.0f, zero = 0.0f;
    const float *beta = accumulate ? &one : &zero;
    const float *w = weight_panel, *x = token_panel;
    auxinfo_t data;
    (void)next;
    (void)next_size;
    memset(&data, 0, sizeof data);
    /* What the caller's loops take next: the same weights, the next tokens. */
    const void *next_w = w, *next_x = x + k * gemm->token_panel;
    if (gemm->weights_on_m) {
        bli_auxinfo_set_next_a((void *)(uintptr_t)next_w, &data);
        bli_auxinfo_set_next_b((void *)(uintptr_t)next_x, &data);
        run_micro_kernel(gemm, weights, tokens, k, w, x, beta, out, 1, ldo, &data);
    } else {
        bli_auxinfo_set_next_a((void *)(uintptr_t)next_x, &data);
        bli_auxinfo_set_next_b((void *)(uintptr_t)next_w, &data);
        run_micro_kernel(gemm, tokens, weights, k, x, w, beta, out, ldo, 1, &data);
    }
}

/* Whether a twin gives the micro-kernel's bits: a BLIS built with other kernels may sum in another
 * order. */
static bool twin_agrees(const vit_gemm *gemm, vit_tile_fn twin)
{
    enum { K = 37, WR_MAX = 64, XR_MAX = 32 };
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel;
    _Alignas(64) float w[(K + 4) * WR_MAX] = {0}, x[(K + 4) * XR_MAX] = {0};
    _Alignas(64) float blis[WR_MAX * XR_MAX] = {0}, own[WR_MAX * XR_MAX] = {0};
    if (wr > WR_MAX || xr > XR_MAX) return false;
    uint32_t random = 1;
    for (size_t i = 0; i < (size_t)K * WR_MAX; i++) {
        random = random * 1664525u + 1013904223u; /* any numbers whose sums round */
        w[i] = (float)(random >> 8) * 0x1p-23f - 1.0f;
        if (i < (size_t)K * XR_MAX) x[i] = (float)(random >> 5 & 0xFFFFFFu) * 0x1p-23f - 1.0f;
    }
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        gemm->tile(gemm, K, w, x, accumulate != 0, blis, wr, wr, xr, NULL, 0);
        twin(gemm, K, w, x, accumulate != 0, own, wr, wr, xr, NULL, 0);
        if (memcmp(blis, own, wr * xr * sizeof *own) != 0) return false;
    }
    return true;
}

vitc_status vit_gemm_f32_blis(vit_gemm *gemm, vit_blis_config wish, const vit_gemm_f32_twin *twin,
                              const vitc_log *log)
{
    VITC_TRY(check_users_choice(log));
    pthread_mutex_lock(&wish_lock);
    first_wish = wish;
    pthread_once(&once, initialize);
    pthread_mutex_unlock(&wish_lock);
    if (state.kernel == NULL)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                         "BLIS %s, configuration %s, packs its panels in a way that vitc does not; "
                         "set VITC_ISA=ref to run without BLIS",
                         state.info.version, state.info.config);
    const bool columns = state.info.columns;
    const size_t weight_panel = columns ? state.info.mr : state.info.nr;
    /* BLIS sizes its packed block of A (MC x KC) to stay in L2. Here two weight panels, the one in
     * use and the one being fetched, share that place with a run of tokens. */
    const size_t block = state.m_block * state.k_block;
    const size_t k_block = block / (7 * weight_panel);
    *gemm = (vit_gemm){.name = "BLIS",
                       .weight_panel = weight_panel,
                       .token_panel = columns ? state.info.nr : state.info.mr,
                       .k_unit = 1,
                       .fetch_unit = 1,
                       .weight_element = sizeof(float),
                       .token_element = sizeof(float),
                       .k_block = k_block > 0 ? k_block : 1,
                       .run_size = block / 2 * sizeof(float),
                       .tile = tile_blis,
                       .context = state.context,
                       .blis_kernel = state.kernel,
                       .weights_on_m = columns};
    if (twin != NULL && twin->weight_panel == gemm->weight_panel &&
        twin->token_panel == gemm->token_panel && twin_agrees(gemm, twin->tile)) {
        gemm->name = twin->name;
        gemm->tile = twin->tile;
    }
    return VITC_OK;
}

vit_blis_info vit_blis_describe(void)
{
    return state.info;
}
