/* The loader: images of a set through a work function on several CPUs, delivered in order.
 *
 *     lister --> readers --> workers --> receiver, the calling thread
 *
 * One ring of places, one mutex for all of it, one condition variable per kind of thread. Images
 * are numbered from 0 in the order of the set; image n is in place n % capacity, from when it is
 * listed until it is delivered. The numbers only grow, and always
 *
 *     delivered <= taken <= listed <= delivered + capacity
 *
 * where everything below `taken` is done or in a worker's hands. Lister, readers and workers each
 * take images in order, so that whatever holds back the oldest image is never a younger one: what
 * is needed next is always read, worked and delivered, and nothing waits in a circle.
 *
 * All ends of a run are one number, `end`: nothing from it on is delivered. It starts beyond all
 * images and only falls: to the number of images when the set ends, to the image where something
 * failed, to `taken` when the run is asked to stop. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "datasets.h"
#include "vitc_clock.h"
#include "vitc_log.h"
#include "vitc_size.h"

enum {
    READERS_LEAST = 4,
    READERS_MOST = 32,
    WORKERS_PER_READER = 4,
    RESULT_ALIGNMENT = _Alignof(max_align_t)
};

static const size_t bytes_least = (size_t)64 << 20, bytes_per_worker = (size_t)16 << 20;

typedef enum place_state {
    PLACE_LISTED, /* a file, yet to be read */
    PLACE_READ,   /* ready for a worker, or in its hands */
    PLACE_DONE    /* ready for the receiver */
} place_state;

typedef struct place {
    datasets_slot slot;
    place_state state;
    size_t bytes; /* counted in the run's */
} place;

typedef struct run {
    datasets_set *set;
    datasets_loader loader; /* with everything chosen */
    const vitc_log *callers_log;
    vitc_log log;              /* for all threads: one message at a time */
    pthread_mutex_t log_mutex; /* never held together with the other one */

    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t room;   /* for the lister and for readers that wait for memory */
    pthread_cond_t listed_more, read_more, done_more; /* for readers, workers, the receiver */
    place *ring;
    uint64_t listed, next_read, taken, delivered, end;
    vitc_status status; /* of the end */
    size_t bytes;       /* held */
    datasets_times times;
} run;

typedef struct worker {
    run *run;
    int number;
    datasets_slot **slots; /* batch */
} worker;

static void write_log(void *user, vitc_log_level level, const char *message)
{
    run *r = user;
    pthread_mutex_lock(&r->log_mutex);
    r->callers_log->write(r->callers_log->user, level, message);
    pthread_mutex_unlock(&r->log_mutex);
}

/* ---- what all threads do, with the mutex held ---- */

static place *at(const run *r, uint64_t number)
{
    return &r->ring[number % r->loader.max_images];
}

static bool is_full(const run *r)
{
    return r->listed - r->delivered == r->loader.max_images || r->bytes >= r->loader.max_bytes;
}

static void end_run(run *r, uint64_t number, vitc_status status)
{
    if (number >= r->end) return; /* something before that has ended it */
    r->end = number;
    r->status = status;
    pthread_cond_broadcast(&r->room);
    pthread_cond_broadcast(&r->listed_more);
    pthread_cond_broadcast(&r->read_more);
    pthread_cond_broadcast(&r->done_more);
}

static void look_at_stop(run *r)
{
    if (r->loader.stop != NULL && r->loader.stop(r->loader.user)) end_run(r, r->taken, VITC_OK);
}

static void count_bytes(run *r, place *p, size_t bytes)
{
    if (bytes < p->bytes) pthread_cond_broadcast(&r->room);
    r->bytes += bytes - p->bytes;
    p->bytes = bytes;
}

/* Wakes one worker when there is something to take, all of them when there never will be. */
static void tell_workers(run *r)
{
    if (r->taken >= r->end)
        pthread_cond_broadcast(&r->read_more);
    else if (r->taken < r->listed && at(r, r->taken)->state == PLACE_READ)
        pthread_cond_signal(&r->read_more);
}

/* ---- the lister ---- */

static bool wait_for_room(run *r)
{
    look_at_stop(r);
    while (r->listed < r->end && is_full(r)) {
        pthread_cond_wait(&r->room, &r->mutex);
        look_at_stop(r);
    }
    return r->listed < r->end;
}

static void add_item(run *r, const datasets_item *item, double seconds)
{
    place *p = at(r, r->listed);
    void *const result = p->slot.result;
    memset(result, 0, r->loader.result_size);
    *p = (place){.slot = {.item = *item, .result = result}};
    if (item->status == VITC_OK && item->file != NULL) {
        p->state = PLACE_LISTED;
        r->times.list += seconds;
        pthread_cond_signal(&r->listed_more);
    } else { /* what came with its bytes has been read */
        p->state = PLACE_READ;
        p->slot.read_seconds = seconds;
        r->times.read += seconds;
        const imgio_image *image = &item->image;
        count_bytes(r, p, item->size + (size_t)image->width * image->height * 3);
    }
    r->listed++;
    tell_workers(r);
}

static void *list_images(void *argument)
{
    run *r = argument;
    pthread_mutex_lock(&r->mutex);
    while (wait_for_room(r)) {
        pthread_mutex_unlock(&r->mutex);
        datasets_item item;
        bool end;
        const double start = vitc_clock_seconds();
        const vitc_status status = datasets_next(&item, &end, r->set, &r->log);
        const double seconds = vitc_clock_seconds() - start;
        pthread_mutex_lock(&r->mutex);
        if (status != VITC_OK || end)
            end_run(r, r->listed, status);
        else
            add_item(r, &item, seconds);
    }
    pthread_mutex_unlock(&r->mutex);
    return NULL;
}

/* ---- readers ---- */

static bool take_listed(run *r, uint64_t *number)
{
    for (;;) {
        if (r->next_read < r->taken) r->next_read = r->taken; /* those came with their bytes */
        while (r->next_read < r->listed && at(r, r->next_read)->state != PLACE_LISTED)
            r->next_read++;
        if (r->next_read >= r->end) return false;
        if (r->next_read < r->listed) break;
        pthread_cond_wait(&r->listed_more, &r->mutex);
    }
    *number = r->next_read++;
    return true;
}

/* Until its bytes may be held, which those of the oldest image always may. */
static bool wait_for_memory(run *r, uint64_t number)
{
    while (number < r->end && number > r->delivered && r->bytes >= r->loader.max_bytes)
        pthread_cond_wait(&r->room, &r->mutex);
    return number < r->end;
}

static size_t file_size(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) ? (size_t)status.st_size : 0;
}

static void *read_images(void *argument)
{
    run *r = argument;
    uint64_t number;
    pthread_mutex_lock(&r->mutex);
    while (take_listed(r, &number)) {
        place *p = at(r, number);
        pthread_mutex_unlock(&r->mutex);
        const double start = vitc_clock_seconds();
        const size_t expected =
            vitc_size_min(file_size(p->slot.item.file), r->loader.max_file_size);
        double seconds = vitc_clock_seconds() - start;
        pthread_mutex_lock(&r->mutex);
        if (!wait_for_memory(r, number)) break;
        count_bytes(r, p, expected);
        pthread_mutex_unlock(&r->mutex);
        const double restart = vitc_clock_seconds();
        datasets_item_read(&p->slot.item, r->loader.max_file_size);
        seconds += vitc_clock_seconds() - restart;
        pthread_mutex_lock(&r->mutex);
        count_bytes(r, p, p->slot.item.size);
        p->slot.read_seconds = seconds;
        p->state = PLACE_READ;
        r->times.read += seconds;
        tell_workers(r);
    }
    pthread_mutex_unlock(&r->mutex);
    return NULL;
}

/* ---- workers ---- */

/* How many images a worker may take now, one after the other. In the middle of a set it takes what
 * is there: a fuller batch would be worth less than the time that it takes to come. When the last
 * image is known the rest is shared out, so that all workers end at about the same time; and waited
 * for, as far as there is memory, because few images are best computed together. */
static size_t ready_images(const run *r)
{
    const bool all_listed = r->end <= r->listed;
    const uint64_t last = all_listed ? r->end : r->listed;
    const size_t left = (size_t)(last - r->taken), workers = (size_t)r->loader.workers;
    const size_t share = all_listed ? vitc_size_divide_up(left, workers) : left;
    const size_t most = vitc_size_min(r->loader.batch, share);
    size_t count = 0;
    while (count < most && at(r, r->taken + count)->state == PLACE_READ) count++;
    return all_listed && count < most && !is_full(r) ? 0 : count;
}

static void wait_for_input(run *r)
{
    double *const seconds =
        r->taken == r->listed && is_full(r) ? &r->times.wait_output : &r->times.wait_input;
    const double start = vitc_clock_seconds();
    pthread_cond_wait(&r->read_more, &r->mutex);
    *seconds += vitc_clock_seconds() - start;
}

/* The images *first ... *first + count - 1; 0 when there are no more. */
static size_t take_images(worker *w, uint64_t *first)
{
    run *r = w->run;
    for (;;) {
        look_at_stop(r);
        if (r->taken >= r->end) return 0;
        const size_t count = ready_images(r);
        if (count != 0) {
            *first = r->taken;
            for (size_t i = 0; i < count; i++) w->slots[i] = &at(r, *first + i)->slot;
            r->taken += count;
            tell_workers(r);
            return count;
        }
        wait_for_input(r);
    }
}

static void *work_on_images(void *argument)
{
    worker *w = argument;
    run *r = w->run;
    uint64_t first;
    size_t count;
    pthread_mutex_lock(&r->mutex);
    while ((count = take_images(w, &first)) != 0) {
        pthread_mutex_unlock(&r->mutex);
        const double start = vitc_clock_seconds();
        const vitc_status status =
            r->loader.work(r->loader.user, w->number, w->slots, count, &r->log);
        const double seconds = vitc_clock_seconds() - start;
        pthread_mutex_lock(&r->mutex);
        r->times.work += seconds;
        if (status != VITC_OK) {
            end_run(r, first, status);
            continue;
        }
        for (size_t i = 0; i < count; i++) at(r, first + i)->state = PLACE_DONE;
        if (first == r->delivered) pthread_cond_signal(&r->done_more);
    }
    pthread_mutex_unlock(&r->mutex);
    return NULL;
}

/* ---- the receiver ---- */

static void give_back(run *r, place *p)
{
    datasets_item_free(&p->slot.item);
    count_bytes(r, p, 0);
}

static void receive_images(run *r)
{
    pthread_mutex_lock(&r->mutex);
    while (r->delivered < r->end) {
        place *p = at(r, r->delivered);
        if (r->delivered == r->taken || p->state != PLACE_DONE) {
            pthread_cond_wait(&r->done_more, &r->mutex);
            continue;
        }
        pthread_mutex_unlock(&r->mutex);
        const double start = vitc_clock_seconds();
        const vitc_status status = r->loader.deliver(r->loader.user, &p->slot, &r->log);
        const double seconds = vitc_clock_seconds() - start;
        pthread_mutex_lock(&r->mutex);
        r->times.deliver += seconds;
        if (status != VITC_OK) {
            end_run(r, r->delivered, status);
            continue;
        }
        give_back(r, p);
        r->delivered++;
        pthread_cond_broadcast(&r->room);
    }
    pthread_mutex_unlock(&r->mutex);
}

/* ---- the run ---- */

/* Everything that the caller left to the loader; false where sizes are beyond memory. */
static bool choose(datasets_loader *l)
{
    const size_t workers = (size_t)l->workers;
    size_t images, bytes;
    if (l->readers <= 0) {
        l->readers = READERS_LEAST + l->workers / WORKERS_PER_READER;
        if (l->readers > READERS_MOST) l->readers = READERS_MOST;
    }
    /* For each worker a batch in its hands, one before and one behind it. */
    if (!vitc_size_mul3(3, workers, l->batch, &images) ||
        !vitc_size_add(images, 2 * (size_t)l->readers, &images) ||
        !vitc_size_mul(workers, bytes_per_worker, &bytes) ||
        !vitc_size_add(bytes, bytes_least, &bytes))
        return false;
    if (l->max_images == 0) l->max_images = images;
    if (l->max_bytes == 0) l->max_bytes = bytes;
    if (l->max_file_size == 0) l->max_file_size = imgio_limits_default().max_file_size;
    /* Results lie one after the other, each aligned for anything. */
    if (l->result_size > SIZE_MAX - RESULT_ALIGNMENT) return false;
    l->result_size = vitc_size_round_up(vitc_size_max(l->result_size, 1), RESULT_ALIGNMENT);
    return vitc_size_mul(l->max_images, l->result_size, &bytes);
}

typedef struct team {
    pthread_t *threads;
    size_t count, started;
} team;

static bool start(team *t, void *(*function)(void *), void *argument, const vitc_log *log)
{
    const int error = pthread_create(&t->threads[t->started], NULL, function, argument);
    if (error != 0) {
        vitc_log_write(log, VITC_LOG_ERROR,
                       "cannot start thread %zu of %zu: %s; use fewer threads, or raise the limit "
                       "on them (ulimit -u)",
                       t->started + 1, t->count, strerror(error));
        return false;
    }
    t->started++;
    return true;
}

static void run_threads(run *r, team *t, worker *workers)
{
    bool ok = start(t, list_images, r, &r->log);
    for (int i = 0; i < r->loader.readers && ok; i++) ok = start(t, read_images, r, &r->log);
    for (int i = 0; i < r->loader.workers && ok; i++)
        ok = start(t, work_on_images, &workers[i], &r->log);
    if (ok) {
        receive_images(r);
    } else {
        pthread_mutex_lock(&r->mutex);
        end_run(r, 0, VITC_ERR_MEMORY);
        pthread_mutex_unlock(&r->mutex);
    }
    for (size_t i = 0; i < t->started; i++) pthread_join(t->threads[i], NULL);
    for (; r->delivered < r->listed; r->delivered++) give_back(r, at(r, r->delivered));
}

static vitc_status run_all(run *r)
{
    const size_t workers = (size_t)r->loader.workers;
    team t = {.count = 1 + (size_t)r->loader.readers + workers};
    vitc_status status = VITC_ERR_MEMORY;
    char *results = calloc(r->loader.max_images, r->loader.result_size);
    worker *array = calloc(workers, sizeof *array);
    datasets_slot **slots = calloc(workers * r->loader.batch, sizeof(void *));
    r->ring = calloc(r->loader.max_images, sizeof *r->ring);
    t.threads = calloc(t.count, sizeof *t.threads);
    if (results != NULL && array != NULL && slots != NULL && r->ring != NULL && t.threads != NULL) {
        for (size_t i = 0; i < r->loader.max_images; i++)
            r->ring[i].slot.result = results + i * r->loader.result_size;
        for (size_t i = 0; i < workers; i++)
            array[i] = (worker){.run = r, .number = (int)i, .slots = slots + i * r->loader.batch};
        run_threads(r, &t, array);
        status = r->status;
    } else {
        vitc_log_write(&r->log, VITC_LOG_ERROR, "out of memory for %zu images on their way",
                       r->loader.max_images);
    }
    free(t.threads);
    free(r->ring);
    free(slots);
    free(array);
    free(results);
    return status;
}

vitc_status datasets_load(datasets_set *set, const datasets_loader *loader, datasets_times *times,
                          const vitc_log *log)
{
    const double start = vitc_clock_seconds();
    run r = {.set = set,
             .loader = *loader,
             .callers_log = log,
             .log_mutex = PTHREAD_MUTEX_INITIALIZER,
             .mutex = PTHREAD_MUTEX_INITIALIZER,
             .room = PTHREAD_COND_INITIALIZER,
             .listed_more = PTHREAD_COND_INITIALIZER,
             .read_more = PTHREAD_COND_INITIALIZER,
             .done_more = PTHREAD_COND_INITIALIZER,
             .end = UINT64_MAX};
    if (times != NULL) *times = (datasets_times){0};
    if (loader->workers < 1 || loader->batch < 1)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "datasets_load: %d workers, batches of %zu",
                         loader->workers, loader->batch);
    if (!choose(&r.loader))
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "datasets_load: %d workers, batches of %zu and results of %zu bytes are "
                         "more than memory can be",
                         loader->workers, loader->batch, loader->result_size);
    if (log != NULL && log->write != NULL) r.log = (vitc_log){write_log, &r};
    const vitc_status status = run_all(&r);
    r.times.wall = vitc_clock_seconds() - start;
    if (times != NULL) *times = r.times;
    return status;
}
