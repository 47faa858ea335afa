#include "vitc_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vitc_size.h"

/* Large blocks are laid on huge pages where the system has them: walking page tables would cost
 * the kernels several percent, and 2 MiB at a time are faulted in sooner than 4 KiB. */
enum { HUGE_PAGE = 2 << 20 };

void *vitc_aligned_alloc(size_t size)
{
    void *block = NULL;
    if (size == 0) size = 1;
    const bool huge = size >= 2 * (size_t)HUGE_PAGE;
    if (posix_memalign(&block, huge ? HUGE_PAGE : VITC_ALIGNMENT, size) != 0) return NULL;
#if defined(MADV_HUGEPAGE)
    /* Whole pages only: the rest belongs to others. A system that refuses loses speed, no more. */
    if (huge) (void)madvise(block, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return block;
}

void vitc_aligned_free(void *block)
{
    free(block);
}

/* The number behind `key` at the beginning of a line, "" being the first one, in a file of the
 * system; SIZE_MAX where there is none, as in "max". */
static size_t read_number(const char *path, const char *key)
{
    char line[128];
    size_t number = SIZE_MAX;
    FILE *stream = fopen(path, "re");
    if (stream == NULL) return SIZE_MAX;
    const size_t length = strlen(key);
    while (fgets(line, sizeof line, stream) != NULL) {
        if (strncmp(line, key, length) != 0) continue;
        char *end;
        const unsigned long long value = strtoull(line + length, &end, 10);
        if (end != line + length && value < SIZE_MAX) number = (size_t)value;
        break;
    }
    fclose(stream);
    return number;
}

size_t vitc_memory_machine(void)
{
    /* Of control groups, versions 2 and 1, as a container sees its own. */
    static const char *const limits[] = {"/sys/fs/cgroup/memory.max",
                                         "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t bytes;
    if (pages <= 0 || page <= 0 || !vitc_size_mul((size_t)pages, (size_t)page, &bytes))
        bytes = SIZE_MAX;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        bytes = vitc_size_min(bytes, read_number(limits[i], ""));
    return bytes;
}

/* Of a control group: what is left below its limit, its cached files not counted, which give way.
 */
static size_t left_of_group(const char *limit, const char *usage, const char *statistics,
                            const char *cached)
{
    const size_t most = read_number(limit, "");
    size_t used = read_number(usage, "");
    const size_t files = read_number(statistics, cached);
    if (most == SIZE_MAX || used == SIZE_MAX) return SIZE_MAX;
    if (files <= used) used -= files;
    return used < most ? most - used : 0;
}

size_t vitc_memory_available(void)
{
    const size_t kilobytes = read_number("/proc/meminfo", "MemAvailable:");
    size_t bytes;
    if (kilobytes == SIZE_MAX || !vitc_size_mul(kilobytes, 1024, &bytes)) bytes = SIZE_MAX;
    const size_t groups[] = {
        left_of_group("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current",
                      "/sys/fs/cgroup/memory.stat", "inactive_file "),
        left_of_group("/sys/fs/cgroup/memory/memory.limit_in_bytes",
                      "/sys/fs/cgroup/memory/memory.usage_in_bytes",
                      "/sys/fs/cgroup/memory/memory.stat", "total_inactive_file "),
        vitc_memory_machine()};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        bytes = vitc_size_min(bytes, groups[i]);
    return bytes;
}

size_t vitc_arena_reserve(vitc_arena *arena, size_t size)
{
    const size_t offset = arena->size;
    size_t end;
    if (size > SIZE_MAX - VITC_ALIGNMENT ||
        !vitc_size_add(offset, vitc_size_round_up(size, VITC_ALIGNMENT), &end)) {
        arena->overflow = true;
        return 0;
    }
    arena->size = end;
    return offset;
}

size_t vitc_arena_reserve_array(vitc_arena *arena, size_t count, size_t element)
{
    size_t size;
    if (!vitc_size_mul(count, element, &size)) {
        arena->overflow = true;
        return 0;
    }
    return vitc_arena_reserve(arena, size);
}

bool vitc_arena_allocate(vitc_arena *arena)
{
    if (arena->overflow) return false;
    arena->block = vitc_aligned_alloc(arena->size);
    return arena->block != NULL;
}

void *vitc_arena_at(const vitc_arena *arena, size_t offset)
{
    return arena->block + offset;
}

void vitc_arena_free(vitc_arena *arena)
{
    vitc_aligned_free(arena->block);
    *arena = (vitc_arena){0};
}
