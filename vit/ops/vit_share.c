#include <omp.h>

#include "vit_ops.h"
#include "vitc_size.h"

/* Fewer tokens than this are not worth a part of their own: every part reads all weights. */
enum { PART_MIN = 32 };

size_t vit_share_most(size_t tokens)
{
    return vitc_size_max(1, tokens / PART_MIN);
}

vit_share vit_share_tokens(size_t tokens)
{
    const size_t threads = (size_t)omp_get_num_threads(), thread = (size_t)omp_get_thread_num();
    size_t parts = vitc_size_min(threads, vit_share_most(tokens));
    while (threads % parts != 0) parts--; /* every part has as many threads */
    const size_t part = thread % parts, whole = tokens / parts, rest = tokens % parts;
    const size_t from = part * whole + vitc_size_min(part, rest);
    return (vit_share){.from = from,
                       .to = from + whole + (part < rest ? 1 : 0),
                       .part = part,
                       .parts = parts,
                       .member = thread / parts,
                       .members = threads / parts};
}
