/* app_merge.h - the answers of all ranks, in the order of the set, on the first rank.
 *
 * Image i belongs to rank i % size. The other ranks send each answer as they have it, one message
 * per image, and run ahead of the first by so many as may be on their way (vit_dist.h); the first
 * gives its own answers and theirs to the run's receiver, in order. So what is written at any
 * moment is what one process would have written: rows that break off are continued by any number
 * of ranks, and nothing has to be gathered from other machines.
 *
 * The last message of a rank is its end, with its exit status, its times and what it has seen of
 * the set. Then it waits for the one message that the first sends to each: enough, which comes
 * early when the run is to end early. */
#ifndef VITC_APP_MERGE_H
#define VITC_APP_MERGE_H

#include <stdatomic.h>

#include "app_stream.h"

/* What has come from another rank and was not given on yet. */
typedef struct app_merge_peer {
    unsigned char *message; /* an answer, or NULL */
    size_t size;
    bool ended;
    int exit_status; /* of its end */
    uint64_t seen;   /* app_ranks_seen */
} app_merge_peer;

typedef struct app_merge {
    /* The receiver, called on the first rank: APP_EXIT_DONE or what ends the run. */
    int (*give)(void *user, const datasets_item *item, const app_answer *answer);
    void *user;
    uint32_t classes; /* K */
    bool contents;    /* send images' bytes or pixels too */

    /* filled: */
    uint64_t next;         /* on the first rank, the next image to be given */
    app_merge_peer *peers; /* one for each rank, that of the first unused */
    app_times others;      /* the times of the ranks that have ended */
    bool cut;              /* a signal ended a wait: nothing can be given any more */
    bool broken;           /* nor can it after the receiver, or another rank, ended the run */
    atomic_bool enough;    /* on the others: the first wants no more; asked by any thread */
} app_merge;

/* Of the images from number `first` on. False without memory. */
bool app_merge_open(app_merge *merge, uint64_t first);
/* An answer of this rank's own. An exit status; all calls from one thread. */
int app_merge_add(app_merge *merge, const datasets_item *item, const app_answer *answer);
/* When this rank has no more, or ended with `exit_status`: gives the rest, ends the other ranks,
 * and returns how the run ended. On the first rank the others' times are added. */
int app_merge_finish(app_merge *merge, int exit_status, app_times *times);
void app_merge_close(app_merge *merge);

#endif
