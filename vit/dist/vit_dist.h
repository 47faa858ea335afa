/* vit_dist.h - several processes, on one machine or on many, as the ranks of one run (MPI).
 *
 * Rank 0 is the first. Messages between two ranks arrive in the order in which they were sent.
 * Nothing here spins: a rank that waits leaves its CPU to those that compute. Numbers travel as
 * they are in memory, so all machines are of one architecture.
 *
 * NULL is a run of one process: it is rank 0 of 1. A process that no launcher started among others
 * never touches MPI, and a build without MPI has NULL only. All calls come from the thread that
 * called vit_dist_start. */
#ifndef VIT_DIST_H
#define VIT_DIST_H

#include <stdbool.h>

#include "vitc_base.h"

typedef struct vit_dist vit_dist;

/* Makes this process a rank of those that the launcher (mpirun, mpiexec, srun) started together.
 * *dist is NULL when it is alone.
 *
 * `stop` is asked while this rank waits for others, for instance for one that is no longer there:
 * once it is true, waiting ends with VITC_ERR_ARGUMENT and no message. NULL: waits for ever.
 *
 * VITC_ERR_UNSUPPORTED: there are others, but this build has no MPI, or another MPI than the
 * launcher's, so that each of them would take itself for the only one. VITC_ERR_INTERNAL: MPI
 * failed; here and below the message is MPI's own. */
VITC_MUST_CHECK vitc_status vit_dist_start(vit_dist **dist, bool (*stop)(void *user), void *user,
                                           const vitc_log *log);

/* Waits until all ranks have come here, and frees. A process that ends without it is one that died,
 * which is when launchers end the others; what MPI may still be using is not freed then. */
VITC_MUST_CHECK vitc_status vit_dist_finish(vit_dist *dist, const vitc_log *log);

int vit_dist_rank(const vit_dist *dist);
int vit_dist_size(const vit_dist *dist);
const char *vit_dist_host(const vit_dist *dist); /* the machine's name; "" for NULL */

/* *ranks: how many ranks are on this machine. *cpus: the part of the CPUs this process may run on,
 * above 0 to 1, that is its own when those of them that may run on the same ones share them evenly.
 * All ranks call it. */
VITC_MUST_CHECK vitc_status vit_dist_share(int *ranks, double *cpus, vit_dist *dist,
                                           const vitc_log *log);

/* *value becomes the largest of all ranks'. All ranks call it, and so each waits for all. */
VITC_MUST_CHECK vitc_status vit_dist_agree(int *value, vit_dist *dist, const vitc_log *log);

/* `bytes` become those of rank 0. All ranks call it with the same size. */
VITC_MUST_CHECK vitc_status vit_dist_broadcast(void *bytes, size_t size, vit_dist *dist,
                                               const vitc_log *log);

/* Sums over all ranks, while each goes on computing: values[i] of each become the sum of values[i]
 * of all, the same bits on every rank. Until vit_dist_sum_finish nobody else may touch them. All
 * ranks begin the same sums in the same order. At most VIT_DIST_SUMS are under way; another one
 * waits for the oldest. */
enum { VIT_DIST_SUMS = 64 };
VITC_MUST_CHECK vitc_status vit_dist_sum_begin(vit_dist *dist, float *values, size_t count,
                                               const vitc_log *log);
/* Gives those under way a chance to go on: called now and then, they overlap with what is computed
 * in between. */
VITC_MUST_CHECK vitc_status vit_dist_sum_push(vit_dist *dist, const vitc_log *log);
/* Waits for all of them. */
VITC_MUST_CHECK vitc_status vit_dist_sum_finish(vit_dist *dist, const vitc_log *log);

/* Up to so many messages, and bytes, of a rank are on their way before sending waits. */
enum { VIT_DIST_MESSAGES = 256, VIT_DIST_BYTES = 64 << 20 };

/* Sends a copy. Size > 0. */
VITC_MUST_CHECK vitc_status vit_dist_send(vit_dist *dist, int to, const void *bytes, size_t size,
                                          const vitc_log *log);
/* The next message of rank `from`, malloc'd; where there is none yet, waits for it, or with `wait`
 * false gives *bytes NULL. */
VITC_MUST_CHECK vitc_status vit_dist_receive(unsigned char **bytes, size_t *size, vit_dist *dist,
                                             int from, bool wait, const vitc_log *log);
/* Waits until everything that was sent has been received. */
VITC_MUST_CHECK vitc_status vit_dist_flush(vit_dist *dist, const vitc_log *log);

#endif
