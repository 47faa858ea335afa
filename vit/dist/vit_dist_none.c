/* vit_dist.h in a build without MPI: every run is one process. */
#include "vit_dist.h"
#include "vit_dist_launch.h"
#include "vitc_log.h"

vitc_status vit_dist_start(vit_dist **dist, bool (*stop)(void *user), void *user,
                           const vitc_log *log)
{
    const char *variable;
    const int count = vit_dist_launched(&variable);
    (void)stop;
    (void)user;
    *dist = NULL;
    if (count == 1) return VITC_OK;
    return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                     "%d processes were started together (%s), but this vitc was built without "
                     "MPI, so each of them would do all of the work; build it with "
                     "-DVITC_MPI=ON, or start one process",
                     count, variable);
}

vitc_status vit_dist_finish(vit_dist *dist, const vitc_log *log)
{
    (void)dist;
    (void)log;
    return VITC_OK;
}

int vit_dist_rank(const vit_dist *dist)
{
    (void)dist;
    return 0;
}

int vit_dist_size(const vit_dist *dist)
{
    (void)dist;
    return 1;
}

const char *vit_dist_host(const vit_dist *dist)
{
    (void)dist;
    return "";
}

vitc_status vit_dist_share(int *ranks, double *cpus, vit_dist *dist, const vitc_log *log)
{
    (void)dist;
    (void)log;
    *ranks = 1;
    *cpus = 1;
    return VITC_OK;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): as in the header */
vitc_status vit_dist_agree(int *value, vit_dist *dist, const vitc_log *log)
{
    (void)value;
    (void)dist;
    (void)log;
    return VITC_OK;
}

vitc_status vit_dist_broadcast(void *bytes, size_t size, vit_dist *dist, const vitc_log *log)
{
    (void)bytes;
    (void)size;
    (void)dist;
    (void)log;
    return VITC_OK;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): as in the header */
vitc_status vit_dist_sum_begin(vit_dist *dist, float *values, size_t count, const vitc_log *log)
{
    (void)dist;
    (void)values;
    (void)count;
    (void)log;
    return VITC_OK;
}

vitc_status vit_dist_sum_push(vit_dist *dist, const vitc_log *log)
{
    (void)dist;
    (void)log;
    return VITC_OK;
}

vitc_status vit_dist_sum_finish(vit_dist *dist, const vitc_log *log)
{
    (void)dist;
    (void)log;
    return VITC_OK;
}

vitc_status vit_dist_send(vit_dist *dist, int to, const void *bytes, size_t size,
                          const vitc_log *log)
{
    (void)dist;
    (void)bytes;
    (void)size;
    return vitc_fail(log, VITC_ERR_ARGUMENT, "a message to rank %d, which does not exist", to);
}

vitc_status vit_dist_receive(unsigned char **bytes, size_t *size, vit_dist *dist, int from,
                             bool wait, const vitc_log *log)
{
    (void)dist;
    (void)wait;
    *bytes = NULL;
    *size = 0;
    return vitc_fail(log, VITC_ERR_ARGUMENT, "a message from rank %d, which does not exist", from);
}

vitc_status vit_dist_flush(vit_dist *dist, const vitc_log *log)
{
    (void)dist;
    (void)log;
    return VITC_OK;
}
