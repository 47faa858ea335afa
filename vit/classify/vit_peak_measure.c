/* How fast this machine multiplies and reads at most. */
#include "vit_peak.h"

#include <float.h>
#include <omp.h>
#include <string.h>
#include <unistd.h>

#include "vit.h"
#include "vitc_log.h"
#include "vitc_memory.h"
#include "vitc_size.h"
#include "vitc_threads.h"

/* ---- arithmetic ---- */

/* Long enough for the clock, and to make little of threads that do not start at once. */
static const double burst_seconds = 1.5e-3;

/* Operations per second of `steps` steps on every thread. */
static double burst(const vit_peak_loop *loop, uint64_t steps, int threads)
{
    double start = DBL_MAX, end = 0;
    int team = 0;
#pragma omp parallel num_threads(threads) if (threads > 1) reduction(min : start)                  \
    reduction(max : end) reduction(+ : team)
    {
#pragma omp barrier
        start = omp_get_wtime();
        loop->run(steps);
        end = omp_get_wtime();
        team = 1;
    }
    return end > start ? team * loop->operations * (double)steps / (end - start) : 0;
}

/* How many steps one thread does in burst_seconds: doubled until they take so long, twice in a row
 * lest an interruption is taken for work. It also brings the processor to the speed that it runs
 * such instructions at. */
static uint64_t burst_steps(const vit_peak_loop *loop)
{
    uint64_t steps = 1024;
    for (int long_enough = 0; long_enough < 2;) {
        const double start = omp_get_wtime();
        loop->run(steps);
        if (omp_get_wtime() - start >= burst_seconds) {
            long_enough++;
        } else {
            long_enough = 0;
            steps *= 2;
        }
    }
    return steps;
}

/* ---- memory ---- */

typedef uint64_t words __attribute__((vector_size(16)));

/* An array that caches hold little of. */
static size_t memory_size(void)
{
    const size_t least = (size_t)128 << 20, most = (size_t)1 << 30;
    size_t size = least;
#ifdef _SC_LEVEL3_CACHE_SIZE
    const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    if (cache > 0 && !vitc_size_mul((size_t)cache, 4, &size)) size = most;
#endif
    return vitc_size_min(vitc_size_max(size, least), most);
}

static words read_words(const words *data, size_t count)
{
    enum { ABREAST = 8 };
    words sum[ABREAST] = {{0}};
    for (size_t i = 0; i + ABREAST <= count; i += ABREAST)
        for (size_t j = 0; j < ABREAST; j++) sum[j] ^= data[i + j];
    for (size_t j = 1; j < ABREAST; j++) sum[0] ^= sum[j];
    return sum[0];
}

/* Seconds in which all threads together read the array once; they write it first where `fill`, so
 * that its pages come near the thread that reads them. */
static double read_seconds(words *data, size_t size, int threads, bool fill)
{
    double start = DBL_MAX, end = 0;
    uint64_t sum = 0;
#pragma omp parallel num_threads(threads) if (threads > 1) reduction(min : start)                  \
    reduction(max : end) reduction(^ : sum)
    {
        const size_t team = (size_t)omp_get_num_threads(), me = (size_t)omp_get_thread_num();
        const size_t count = size / sizeof *data, first = count / team * me;
        const size_t mine = me + 1 == team ? count - first : count / team;
        if (fill) memset(data + first, 1, mine * sizeof *data);
#pragma omp barrier
        start = omp_get_wtime();
        const words read = read_words(data + first, mine);
        end = omp_get_wtime();
        sum = read[0] ^ read[1];
    }
    __asm__ volatile("" : : "r"(sum)); /* what was read is used */
    return end - start;
}

static vitc_status measure_memory(double *rate, int threads, const vitc_log *log)
{
    enum { PASSES = 4 };
    const size_t size = memory_size();
    words *data = vitc_aligned_alloc(size);
    if (data == NULL) return vitc_fail_memory(log, "measuring the memory's bandwidth");
    double least = DBL_MAX;
    for (int i = 0; i < PASSES; i++) {
        const double seconds = read_seconds(data, size, threads, i == 0);
        if (seconds > 0 && seconds < least) least = seconds;
    }
    vitc_aligned_free(data);
    *rate = (double)size / least;
    return VITC_OK;
}

vitc_status vit_peak_measure(double *per_second, vit_peak peak, int threads, const vitc_log *log)
{
    vit_kernels kernels;
    *per_second = 0;
    threads = vitc_threads_choose(threads, NULL, 0);
    if (peak == VIT_PEAK_MEMORY) return measure_memory(per_second, threads, log);
    VITC_TRY(vit_kernels_select(&kernels, log));
    const vit_gemm *const formats[] = {
        [VIT_PEAK_F32] = &kernels.f32,
        [VIT_PEAK_BF16] = &kernels.bf16,
        [VIT_PEAK_INT8] = &kernels.int8,
    };
    if ((unsigned)peak >= sizeof formats / sizeof formats[0])
        return vitc_fail(log, VITC_ERR_ARGUMENT, "vit_peak_measure: no peak has number %d",
                         (int)peak);
    const vit_peak_loop *loop = vit_peak_choose(&kernels, formats[peak]);
    if (loop != NULL) *per_second = burst(loop, burst_steps(loop), threads);
    return VITC_OK;
}
