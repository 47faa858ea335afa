/* vit_fetch.h - memory that a kernel brings into L2 while it computes on something else.
 *
 * A weight panel is read from memory or L3 once, by the first tile that needs it, which would wait
 * for it: with 8 tiles per panel that is 10 to 14 % of the time on a core that does two AVX-512
 * multiply-adds per cycle. So each tile fetches a part of the next panel, a line now and then over
 * the whole sum. In one burst between tiles it would stand in the way of the tile's own loads. */
#ifndef VIT_FETCH_H
#define VIT_FETCH_H

#include <stddef.h>

typedef struct vit_fetch {
    const char *at;
    size_t step;
} vit_fetch;

/* `size` bytes from `from` in `steps` (not 0) calls of vit_fetch_step, size / steps bytes apart;
 * from NULL: nothing, by way of `hot`, which is in L1 anyway. */
static inline vit_fetch vit_fetch_start(const void *from, size_t size, size_t steps,
                                        const void *hot)
{
    if (from == NULL) return (vit_fetch){hot, 0};
    return (vit_fetch){from, (size + steps - 1) / steps};
}

static inline void vit_fetch_step(vit_fetch *fetch)
{
    __builtin_prefetch(fetch->at, 0, 2); /* prefetcht1 */
    fetch->at += fetch->step;
}

#endif
