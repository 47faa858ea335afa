/* vit_dist.h on MPI: its only user in this program. MPI's own waiting spins, so every call here is
 * one that returns at once, repeated with short sleeps. */
#include <limits.h>
#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vit_dist.h"
#include "vit_dist_launch.h"
#include "vitc_log.h"

enum {
    TAG = 1,
    NAP_LEAST = 20000, /* nanoseconds */
    NAP_MOST = 1000000,
    CPUS_MOST = 8192
};

/* A message on its way: MPI reads the copy until the request is complete. */
typedef struct outgoing {
    MPI_Request request;
    void *copy;
    size_t size;
} outgoing;

struct vit_dist {
    int rank, size;
    char host[MPI_MAX_PROCESSOR_NAME];
    bool (*stop)(void *user);
    void *user;
    /* A ring; the oldest message is at `first`. */
    outgoing queue[VIT_DIST_MESSAGES];
    size_t first, count, bytes;
    MPI_Request sums[VIT_DIST_SUMS];       /* MPI_Test makes null ones of those that are complete */
    int sum_count;                         /* begun since the last finish */
    int cpus[CPUS_MOST], users[CPUS_MOST]; /* 1: this rank may run there; how many ranks may */
};

static vitc_status check(int error, const char *what, const vitc_log *log)
{
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    if (error == MPI_SUCCESS) return VITC_OK;
    if (MPI_Error_string(error, text, &length) != MPI_SUCCESS) length = 0;
    return vitc_fail(log, VITC_ERR_INTERNAL, "%s: MPI: %.*s", what, length, text);
}

/* ---- waiting ---- */

/* One step of a wait: sleeps a little, longer each time. */
static vitc_status nap(long *nanoseconds, const vit_dist *d)
{
    if (d->stop != NULL && d->stop(d->user)) return VITC_ERR_ARGUMENT;
    *nanoseconds = *nanoseconds == 0 ? NAP_LEAST : 2 * *nanoseconds;
    if (*nanoseconds > NAP_MOST) *nanoseconds = NAP_MOST;
    nanosleep(&(struct timespec){.tv_nsec = *nanoseconds}, NULL);
    return VITC_OK;
}

static vitc_status wait_for(MPI_Request *request, const char *what, const vit_dist *d,
                            const vitc_log *log)
{
    long nanoseconds = 0;
    for (;;) {
        int done;
        VITC_TRY(check(MPI_Test(request, &done, MPI_STATUS_IGNORE), what, log));
        if (done) return VITC_OK;
        VITC_TRY(nap(&nanoseconds, d));
    }
}

/* ---- beginning and end ---- */

static vitc_status make(vit_dist **dist, int launched, const char *variable, const vitc_log *log)
{
    int length;
    vit_dist *d = calloc(1, sizeof *d);
    if (d == NULL) return vitc_fail_memory(log, "the ranks of this run");
    *dist = d;
    VITC_TRY(check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "start", log));
    VITC_TRY(check(MPI_Comm_rank(MPI_COMM_WORLD, &d->rank), "start", log));
    VITC_TRY(check(MPI_Comm_size(MPI_COMM_WORLD, &d->size), "start", log));
    VITC_TRY(check(MPI_Get_processor_name(d->host, &length), "start", log));
    if (d->size > 1) return VITC_OK;
    return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                     "%d processes were started together (%s), but this vitc's MPI sees only "
                     "itself, so each of them would do all of the work; start it by the mpirun of "
                     "the MPI that it was built with, or by srun with the --mpi that fits",
                     launched, variable);
}

vitc_status vit_dist_start(vit_dist **dist, bool (*stop)(void *user), void *user,
                           const vitc_log *log)
{
    const char *variable;
    const int launched = vit_dist_launched(&variable);
    int provided = MPI_THREAD_SINGLE;
    *dist = NULL;
    if (launched == 1) return VITC_OK;
    VITC_TRY(check(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided), "start", log));
    if (provided < MPI_THREAD_FUNNELED)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                         "this MPI was built without threads, which vitc computes with");
    const vitc_status status = make(dist, launched, variable, log);
    if (status != VITC_OK) {
        free(*dist);
        *dist = NULL;
        MPI_Finalize();
        return status;
    }
    (*dist)->stop = stop;
    (*dist)->user = user;
    return VITC_OK;
}

vitc_status vit_dist_finish(vit_dist *d, const vitc_log *log)
{
    int none = 0;
    if (d == NULL) return VITC_OK;
    VITC_TRY(vit_dist_flush(d, log));
    VITC_TRY(vit_dist_agree(&none, d, log));
    free(d);
    return check(MPI_Finalize(), "end", log);
}

int vit_dist_rank(const vit_dist *d)
{
    return d != NULL ? d->rank : 0;
}

int vit_dist_size(const vit_dist *d)
{
    return d != NULL ? d->size : 1;
}

const char *vit_dist_host(const vit_dist *d)
{
    return d != NULL ? d->host : "";
}

/* ---- all ranks together ---- */

vitc_status vit_dist_agree(int *value, vit_dist *d, const vitc_log *log)
{
    static const char what[] = "agreement of all ranks";
    MPI_Request request;
    if (d == NULL) return VITC_OK;
    VITC_TRY(
        check(MPI_Iallreduce(MPI_IN_PLACE, value, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD, &request),
              what, log));
    return wait_for(&request, what, d, log);
}

vitc_status vit_dist_broadcast(void *bytes, size_t size, vit_dist *d, const vitc_log *log)
{
    static const char what[] = "message to all ranks";
    MPI_Request request;
    if (d == NULL) return VITC_OK;
    if (size > INT_MAX)
        return vitc_fail(log, VITC_ERR_TOO_LARGE, "%s: %zu bytes, more than MPI takes", what, size);
    VITC_TRY(check(MPI_Ibcast(bytes, (int)size, MPI_BYTE, 0, MPI_COMM_WORLD, &request), what, log));
    return wait_for(&request, what, d, log);
}

static const char sums_what[] = "sum over all ranks";

vitc_status vit_dist_sum_begin(vit_dist *d, float *values, size_t count, const vitc_log *log)
{
    if (d == NULL || count == 0) return VITC_OK;
    if (count > INT_MAX)
        return vitc_fail(log, VITC_ERR_TOO_LARGE, "%s: %zu numbers, more than MPI takes", sums_what,
                         count);
    MPI_Request *request = &d->sums[d->sum_count % VIT_DIST_SUMS];
    if (d->sum_count >= VIT_DIST_SUMS) VITC_TRY(wait_for(request, sums_what, d, log));
    VITC_TRY(check(MPI_Iallreduce(MPI_IN_PLACE, values, (int)count, MPI_FLOAT, MPI_SUM,
                                  MPI_COMM_WORLD, request),
                   sums_what, log));
    d->sum_count++;
    return vit_dist_sum_push(d, log);
}

static int sums_kept(const vit_dist *d)
{
    return d->sum_count < VIT_DIST_SUMS ? d->sum_count : VIT_DIST_SUMS;
}

vitc_status vit_dist_sum_push(vit_dist *d, const vitc_log *log)
{
    int done;
    if (d == NULL) return VITC_OK;
    /* A test makes MPI go on with what is under way, unless it is of a request that is complete. */
    for (int i = 0; i < sums_kept(d); i++)
        VITC_TRY(check(MPI_Test(&d->sums[i], &done, MPI_STATUS_IGNORE), sums_what, log));
    return VITC_OK;
}

vitc_status vit_dist_sum_finish(vit_dist *d, const vitc_log *log)
{
    if (d == NULL) return VITC_OK;
    for (int i = 0; i < sums_kept(d); i++) VITC_TRY(wait_for(&d->sums[i], sums_what, d, log));
    d->sum_count = 0;
    return VITC_OK;
}

/* Fills d->cpus; returns how many there are. */
static int list_cpus(vit_dist *d)
{
    cpu_set_t *set = CPU_ALLOC(CPUS_MOST);
    if (set == NULL) return 0;
    const size_t bytes = CPU_ALLOC_SIZE(CPUS_MOST);
    int cpus = 0;
    if (sched_getaffinity(0, bytes, set) == 0)
        for (int c = 0; c < CPUS_MOST; c++) cpus += d->cpus[c] = CPU_ISSET_S((size_t)c, bytes, set);
    CPU_FREE(set);
    return cpus;
}

vitc_status vit_dist_share(int *ranks, double *cpus, vit_dist *d, const vitc_log *log)
{
    static const char what[] = "sharing of a machine";
    MPI_Comm machine;
    MPI_Request request;
    *ranks = 1;
    *cpus = 1;
    if (d == NULL) return VITC_OK;
    const int count = list_cpus(d);
    VITC_TRY(
        check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine),
              what, log));
    VITC_TRY(check(MPI_Comm_size(machine, ranks), what, log));
    VITC_TRY(
        check(MPI_Iallreduce(d->cpus, d->users, CPUS_MOST, MPI_INT, MPI_SUM, machine, &request),
              what, log));
    VITC_TRY(wait_for(&request, what, d, log));
    VITC_TRY(check(MPI_Comm_free(&machine), what, log));
    if (count > 0) *cpus = 0;
    for (int c = 0; c < CPUS_MOST && count > 0; c++)
        if (d->cpus[c] != 0) *cpus += 1.0 / d->users[c] / count;
    return VITC_OK;
}

/* ---- messages ---- */

/* Frees the copies of what has been received by others, oldest first. */
static vitc_status clear_sent(vit_dist *d, const vitc_log *log)
{
    while (d->count > 0) {
        outgoing *oldest = &d->queue[d->first];
        int done;
        VITC_TRY(check(MPI_Test(&oldest->request, &done, MPI_STATUS_IGNORE), "message", log));
        if (!done) return VITC_OK;
        free(oldest->copy);
        d->bytes -= oldest->size;
        d->first = (d->first + 1) % VIT_DIST_MESSAGES;
        d->count--;
    }
    return VITC_OK;
}

/* Until `size` bytes more may be on their way, which they always may when nothing else is. */
static vitc_status wait_for_room(vit_dist *d, size_t size, const vitc_log *log)
{
    long nanoseconds = 0;
    for (;;) {
        VITC_TRY(clear_sent(d, log));
        if (d->count == 0 || (d->count < VIT_DIST_MESSAGES && d->bytes < VIT_DIST_BYTES &&
                              size <= VIT_DIST_BYTES - d->bytes))
            return VITC_OK;
        VITC_TRY(nap(&nanoseconds, d));
    }
}

vitc_status vit_dist_send(vit_dist *d, int to, const void *bytes, size_t size, const vitc_log *log)
{
    if (to < 0 || to >= vit_dist_size(d) || d == NULL || size == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "a message of %zu bytes to rank %d of %d", size,
                         to, vit_dist_size(d));
    if (size > INT_MAX)
        return vitc_fail(log, VITC_ERR_TOO_LARGE, "message of %zu bytes, more than MPI takes",
                         size);
    VITC_TRY(wait_for_room(d, size, log));
    void *copy = malloc(size);
    if (copy == NULL) return vitc_fail_memory(log, "a message to another rank");
    memcpy(copy, bytes, size);
    outgoing *o = &d->queue[(d->first + d->count) % VIT_DIST_MESSAGES];
    *o = (outgoing){.copy = copy, .size = size};
    /* The synchronous kind: complete when it is received, so that the limits hold at the receiver
     * as well. */
    const vitc_status status =
        check(MPI_Issend(copy, (int)size, MPI_BYTE, to, TAG, MPI_COMM_WORLD, &o->request),
              "message", log);
    if (status != VITC_OK) {
        free(copy);
        return status;
    }
    d->count++;
    d->bytes += size;
    return VITC_OK;
}

vitc_status vit_dist_flush(vit_dist *d, const vitc_log *log)
{
    long nanoseconds = 0;
    if (d == NULL) return VITC_OK;
    for (;;) {
        VITC_TRY(clear_sent(d, log));
        if (d->count == 0) return VITC_OK;
        VITC_TRY(nap(&nanoseconds, d));
    }
}

static vitc_status take_message(unsigned char **bytes, size_t *size, MPI_Message *message,
                                const MPI_Status *about, const vit_dist *d, const vitc_log *log)
{
    MPI_Request request;
    int count;
    VITC_TRY(check(MPI_Get_count(about, MPI_BYTE, &count), "message", log));
    unsigned char *buffer = malloc((size_t)count);
    if (buffer == NULL) return vitc_fail_memory(log, "a message from another rank");
    vitc_status status =
        check(MPI_Imrecv(buffer, count, MPI_BYTE, message, &request), "message", log);
    if (status == VITC_OK) status = wait_for(&request, "message", d, log);
    if (status != VITC_OK) return status; /* MPI may still be writing to the buffer */
    *bytes = buffer;
    *size = (size_t)count;
    return VITC_OK;
}

vitc_status vit_dist_receive(unsigned char **bytes, size_t *size, vit_dist *d, int from, bool wait,
                             const vitc_log *log)
{
    long nanoseconds = 0;
    *bytes = NULL;
    *size = 0;
    if (from < 0 || from >= vit_dist_size(d) || d == NULL)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "a message from rank %d of %d", from,
                         vit_dist_size(d));
    for (;;) {
        MPI_Message message;
        MPI_Status about;
        int found;
        VITC_TRY(check(MPI_Improbe(from, TAG, MPI_COMM_WORLD, &found, &message, &about), "message",
                       log));
        if (found) return take_message(bytes, size, &message, &about, d, log);
        if (!wait) return VITC_OK;
        VITC_TRY(nap(&nanoseconds, d));
    }
}
