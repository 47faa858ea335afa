/* app_ranks.h - this process among those that mpirun or srun started for the same command: they
 * share the images, and the first of them tells, writes and decides. Started by no launcher, a
 * process is the first of one, and everything here is nothing. One per process, like its launcher.
 *
 * A signal that asks this process to stop (app_stop.h) ends every wait for others: launchers send
 * one when another rank has died. */
#ifndef VITC_APP_RANKS_H
#define VITC_APP_RANKS_H

#include <stdbool.h>
#include <stddef.h>

#include "app_options.h"
#include "vitc_json.h"

/* Before a command whose work is shared: APP_EXIT_DONE, or another exit status after a message. For
 * ranks on one machine that may use the same CPUs it sets how many threads each takes, unless the
 * user did; and all but the first become quiet. `settings` must live until app_ranks_finish. */
int app_ranks_start(app_settings *settings);
/* After it: waits for the others, because launchers kill those that still run when one has failed.
 * The exit status: that of the command for the first rank, which has told what there was to tell,
 * and for the others APP_EXIT_DONE. */
int app_ranks_finish(int exit_status);

/* What a signal means then, in words. */
#define APP_RANKS_STOPPED "stopping: a signal came, as to all ranks when one of them has died"

bool app_ranks_first(void);
int app_ranks_number(void); /* of this process, from 0 */
int app_ranks_size(void);
int app_ranks_local(void); /* of them on this machine, this one included */
/* "", or for all but the first what their messages begin with: "rank 1 on node7: ". */
const char *app_ranks_name(void);

/* Which of the ranks has the image of that number in the set. */
int app_ranks_owner(uint64_t index);
/* Whether that is this one. Asked for every image of the set that a run goes through, in order: all
 * ranks must have seen the same when they have come to its end. */
bool app_ranks_take(uint64_t index, const char *path);
uint64_t app_ranks_seen(void); /* a hash of that; but for the folders, which may lie elsewhere */
void app_ranks_see_anew(void); /* before each run */

/* Steps that all ranks take together. */

/* The worst exit status of all. */
int app_ranks_agree(int exit_status);
/* *text, of the first rank, is copied to the others, malloc'd; NULL there after a signal. NULL on
 * the first is "" on the others. An exit status as everywhere. */
int app_ranks_copy_text(char **text);
int app_ranks_copy_number(uint64_t *number);
/* These bytes, of the first rank, are copied to the others. */
int app_ranks_copy_bytes(void *bytes, size_t size);
/* Whether all ranks say the same as the first of what their results depend on; where one does not,
 * it tells the differences, and all get its exit status. */
int app_ranks_compare(const vitc_json *description, const app_settings *settings);

/* Sums over all ranks of numbers that nobody touches until app_ranks_sum_finish, as vit_dist.h has
 * them. A wait that a signal ended is APP_EXIT_DONE; the numbers are of no use then, and MPI may
 * still write them. */
int app_ranks_sum_begin(float *values, size_t count);
int app_ranks_sum_push(void);
int app_ranks_sum_finish(void);

/* From now on, until it is called with false, this process is as one that no launcher started,
 * while the others wait for it. */
void app_ranks_work_alone(bool alone);

/* Messages between the first rank and another (vit_dist.h). A wait that a signal ended is
 * APP_EXIT_DONE; what was waited for is not there then. */
int app_ranks_send(int to, const void *bytes, size_t size);
int app_ranks_receive(unsigned char **bytes, size_t *size, int from, bool wait);
int app_ranks_flush(void);

#endif
