/* vitc_threads.h - how many threads to use, and why (private to vitc). */
#ifndef VITC_THREADS_H
#define VITC_THREADS_H

#include "vitc_base.h"

#define VITC_THREADS_MAX 1024

/* The number of compute threads, at least 1:
 *   `requested` > 0 (the --threads option) wins, then VITC_THREADS, then OMP_NUM_THREADS, else
 *   min(CPUs in this process's affinity mask, cgroup CPU quota rounded up), so that a container
 *   limited to 2 CPUs on a 64-core host runs 2 threads and not 64.
 * `reason`, when not NULL, receives a sentence fragment for `vitc info`, e.g.
 *   "2 of 64 CPUs: cgroup quota 1.5". */
int vitc_threads_choose(int requested, char *reason, size_t reason_size);

#endif
