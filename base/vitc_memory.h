/* vitc_memory.h - aligned blocks and arenas (private to vitc).
 *
 * An arena is one 64-byte-aligned block that is laid out first and allocated once:
 *     vitc_arena a = {0};
 *     size_t tokens = vitc_arena_reserve(&a, n * sizeof(float));   // offsets, nothing allocated
 *     size_t scores = vitc_arena_reserve(&a, k * sizeof(float));
 *     if (!vitc_arena_allocate(&a)) ...                            // overflow or no memory
 *     float *t = vitc_arena_at(&a, tokens);
 * so that peak memory (a.size) is known before anything runs. */
#ifndef VITC_MEMORY_H
#define VITC_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VITC_ALIGNMENT 64

/* 64-byte-aligned, uninitialized; NULL when there is no memory. Free with vitc_aligned_free. */
void *vitc_aligned_alloc(size_t size);
void vitc_aligned_free(void *block);

/* Bytes of memory that this machine has, or its container may take where that is less; SIZE_MAX
 * where the system does not tell. */
size_t vitc_memory_machine(void);
/* Of these, what is free or would be made free, as far as the system tells; SIZE_MAX as above. */
size_t vitc_memory_available(void);

typedef struct vitc_arena {
    unsigned char *block; /* NULL until allocated */
    size_t size;          /* bytes reserved so far, a multiple of VITC_ALIGNMENT */
    bool overflow;        /* a reservation did not fit in size_t: allocation will refuse */
} vitc_arena;

/* Reserves `size` bytes and returns their offset. */
size_t vitc_arena_reserve(vitc_arena *arena, size_t size);
/* Reserves count * element bytes; a product that wraps marks the arena as overflowed. */
size_t vitc_arena_reserve_array(vitc_arena *arena, size_t count, size_t element);
bool vitc_arena_allocate(vitc_arena *arena);
void *vitc_arena_at(const vitc_arena *arena, size_t offset);
void vitc_arena_free(vitc_arena *arena);

#endif
