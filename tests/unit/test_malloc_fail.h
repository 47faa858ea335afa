/* test_malloc_fail.h - what a call does when memory runs out, for one test program.
 *
 * Including this file replaces malloc and its kin in the whole program, the shared libraries that
 * it uses included. Between malloc_fail_arm and malloc_fail_disarm the calling thread's allocations
 * are counted, and one of them can be made to fail; other threads are left alone.
 * Only glibc lets a program do that, and the sanitizers have allocators of their own: elsewhere
 * MALLOC_FAIL_AVAILABLE is 0, and malloc_fail_each skips the running test.
 */
#ifndef TEST_MALLOC_FAIL_H
#define TEST_MALLOC_FAIL_H

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "vitc_base.h"

#define MALLOC_FAIL_AVAILABLE 0
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#undef MALLOC_FAIL_AVAILABLE
#define MALLOC_FAIL_AVAILABLE 1
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#undef MALLOC_FAIL_AVAILABLE
#define MALLOC_FAIL_AVAILABLE 0
#endif
#endif
#endif

/* What happened while armed. */
typedef struct malloc_fail_counts {
    long calls;  /* allocations asked for, the failed one included */
    long failed; /* 0 or 1 */
    long live;   /* allocated and not freed: a leak, where the call returns nothing */
} malloc_fail_counts;

#if MALLOC_FAIL_AVAILABLE

static _Thread_local struct {
    bool armed;
    long nth; /* which call fails; 0: none */
    malloc_fail_counts counts;
} malloc_fail_state;

/* From now on the nth allocation (1: the next) of this thread fails; 0: they are only counted. */
static inline void malloc_fail_arm(long nth)
{
    malloc_fail_state.counts = (malloc_fail_counts){0};
    malloc_fail_state.nth = nth;
    malloc_fail_state.armed = true;
}

static inline malloc_fail_counts malloc_fail_disarm(void)
{
    malloc_fail_state.armed = false;
    return malloc_fail_state.counts;
}

/* The OpenMP runtimes and libarchive end the process when they get no memory, which no caller can
 * help: theirs is counted, but never failing. */
static bool malloc_fail_is_fatal(const void *caller)
{
    static const char *const libraries[] = {"libgomp", "libomp", "libarchive"};
    Dl_info object;
    if (dladdr(caller, &object) == 0 || object.dli_fname == NULL) return false;
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
        if (strstr(object.dli_fname, libraries[i]) != NULL) return true;
    return false;
}

static bool malloc_fail_now(const void *caller)
{
    if (!malloc_fail_state.armed || malloc_fail_is_fatal(caller)) return false;
    malloc_fail_state.counts.calls++;
    if (malloc_fail_state.counts.calls != malloc_fail_state.nth) return false;
    malloc_fail_state.counts.failed++;
    errno = ENOMEM;
    return true;
}

static void *malloc_fail_gained(void *block)
{
    if (malloc_fail_state.armed && block != NULL) malloc_fail_state.counts.live++;
    return block;
}

/* glibc's own, under the names that it keeps for programs which replace the others. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

#define MALLOC_FAIL_EXPORT __attribute__((visibility("default"), used))

MALLOC_FAIL_EXPORT void *malloc(size_t size)
{
    return malloc_fail_now(__builtin_return_address(0)) ? NULL
                                                        : malloc_fail_gained(__libc_malloc(size));
}

MALLOC_FAIL_EXPORT void *calloc(size_t count, size_t size)
{
    return malloc_fail_now(__builtin_return_address(0))
               ? NULL
               : malloc_fail_gained(__libc_calloc(count, size));
}

MALLOC_FAIL_EXPORT void *realloc(void *block, size_t size)
{
    if (malloc_fail_now(__builtin_return_address(0))) return NULL;
    void *const moved = __libc_realloc(block, size);
    if (!malloc_fail_state.armed) return moved;
    if (block == NULL && moved != NULL) malloc_fail_state.counts.live++;
    if (block != NULL && moved == NULL && size == 0) malloc_fail_state.counts.live--;
    return moved;
}

MALLOC_FAIL_EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return malloc_fail_now(__builtin_return_address(0))
               ? NULL
               : malloc_fail_gained(__libc_memalign(alignment, size));
}

MALLOC_FAIL_EXPORT void *memalign(size_t alignment, size_t size);
MALLOC_FAIL_EXPORT void *memalign(size_t alignment, size_t size)
{
    return malloc_fail_now(__builtin_return_address(0))
               ? NULL
               : malloc_fail_gained(__libc_memalign(alignment, size));
}

MALLOC_FAIL_EXPORT int posix_memalign(void **block, size_t alignment, size_t size)
{
    const int before = errno;
    void *made = malloc_fail_now(__builtin_return_address(0))
                     ? NULL
                     : malloc_fail_gained(__libc_memalign(alignment, size));
    errno = before;
    if (made == NULL) return ENOMEM;
    *block = made;
    return 0;
}

MALLOC_FAIL_EXPORT void free(void *block)
{
    if (malloc_fail_state.armed && block != NULL) malloc_fail_state.counts.live--;
    __libc_free(block);
}

#endif /* MALLOC_FAIL_AVAILABLE */

/* Runs `attempt` with its first allocation failing, then with its second, and so on, until one run
 * meets no failure. A run that met one answers VITC_ERR_MEMORY, or VITC_OK where it could do
 * without (glibc's asprintf keeps the larger block when shrinking it fails); the last one answers
 * VITC_OK. `attempt` frees what it got, so that each must leave nothing behind: every failure is
 * met twice and the blocks are counted the second time, when libraries hold what they keep from
 * call to call (the OpenMP runtime its last team). Returns how many allocations failed, at least 1.
 * The first run of all is unarmed, for what libraries set up once. */
static inline long malloc_fail_each(vitc_status (*attempt)(void *user), void *user)
{
#if MALLOC_FAIL_AVAILABLE
    assert_int_equal(attempt(user), VITC_OK);
    for (long nth = 1;; nth++) {
        malloc_fail_arm(nth);
        (void)attempt(user);
        malloc_fail_arm(nth);
        const vitc_status status = attempt(user);
        const malloc_fail_counts counts = malloc_fail_disarm();
        const bool last = counts.failed == 0;
        if ((status != VITC_OK && (last || status != VITC_ERR_MEMORY)) || counts.live != 0)
            fail_msg("allocation %ld %s: status \"%s\", %ld blocks left", nth,
                     last ? "does not exist" : "failed", vitc_status_string(status), counts.live);
        if (last) {
            assert_true(nth > 1);
            return nth - 1;
        }
    }
#else
    (void)attempt;
    (void)user;
    skip();
    return 0;
#endif
}

#endif
