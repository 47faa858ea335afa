/* The loader: order, limits, ends of every kind, and where its time goes. The set is a false one:
 * this program replaces datasets_next, counts what is held through datasets_item_free, and makes
 * pthread_create fail (linked with --wrap). */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "datasets.h"
#include "test_base_recorder.h"
#include "test_malloc_fail.h"
#include "vitc_log.h"

enum { FILE_COUNT = 3 };

/* Files of 1, 1000 and 100,000 bytes, each full of its own number, and one that is missing. */
static char folder[64];
static const size_t file_sizes[FILE_COUNT] = {1, 1000, 100000};

typedef enum source { AS_FILE, AS_BYTES, AS_PIXELS, AS_BAD, AS_MISSING, SOURCE_COUNT } source;

/* What the loader is run on, and what is seen of the run. */
typedef struct fixture {
    /* the set */
    uint64_t images, fails_at; /* UINT64_MAX: never */
    source (*source_of)(uint64_t index);
    size_t bytes_of_all; /* of AS_BYTES; 0: 100 + index % 50 */
    double next_seconds;
    bool read_after_end; /* no file is read before the loader has seen the end of the set */
    /* the work and the receiver */
    uint64_t work_fails_at, deliver_fails_at, stop_at;
    double work_seconds, deliver_seconds;
    bool jitter; /* work takes anything from nothing to a millisecond */
    size_t batch;
    int workers;
    /* seen */
    uint64_t listed, delivered;
    atomic_ullong worked;
    atomic_bool stopped, failed; /* failed: a claim made in another thread */
    atomic_size_t held, most_held;
    atomic_int held_images, most_held_images;
    atomic_int working, most_working;
    atomic_int most_taken; /* in one call */
    atomic_bool ended;
    atomic_ulong listed_after_stop;
} fixture;

static fixture *fake; /* datasets_item_free has no argument to reach it by */

/* In threads that cmocka does not know. */
static void claim(bool truth, const char *what)
{
    if (truth) return;
    fprintf(stderr, "claim failed: %s\n", what);
    atomic_store(&fake->failed, true);
}
#define CLAIM(truth) claim((truth), #truth)

static void sleep_for(double seconds)
{
    const struct timespec t = {.tv_sec = (time_t)seconds,
                               .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}

/* ---- the set ---- */

static void raise_most(atomic_size_t *most, size_t value)
{
    size_t seen = atomic_load(most);
    while (value > seen && !atomic_compare_exchange_weak(most, &seen, value)) continue;
}

static void raise_most_int(atomic_int *most, int value)
{
    int seen = atomic_load(most);
    while (value > seen && !atomic_compare_exchange_weak(most, &seen, value)) continue;
}

static size_t size_of(const fixture *f, uint64_t index)
{
    return f->bytes_of_all != 0 ? f->bytes_of_all : 100 + index % 50;
}

static char *text(const char *format, unsigned long long number)
{
    char *made = NULL;
    return asprintf(&made, format, folder, number) > 0 ? made : NULL;
}

static void fill_item(const fixture *f, datasets_item *item)
{
    const uint64_t i = item->index;
    switch (f->source_of(i)) {
    case AS_FILE:
        item->file = text("%s/%llu", i % FILE_COUNT);
        break;
    case AS_MISSING:
        item->file = text("%s/missing%llu", i);
        break;
    case AS_BYTES:
        item->size = size_of(f, i);
        item->bytes = malloc(item->size);
        memset(item->bytes, (int)(i % 251), item->size);
        break;
    case AS_PIXELS:
        if (imgio_image_create(&item->image, 4, 5, NULL) != VITC_OK) abort();
        memset(item->image.pixels, (int)(i % 251), (size_t)4 * 5 * 3);
        break;
    default:
        item->status = VITC_ERR_CORRUPT;
        item->error = strdup("made so");
    }
}

vitc_status __wrap_datasets_next(datasets_item *item, bool *end, datasets_set *set,
                                 const vitc_log *log);
vitc_status __wrap_datasets_next(datasets_item *item, bool *end, datasets_set *set,
                                 const vitc_log *log)
{
    fixture *f = (fixture *)(void *)set;
    *item = (datasets_item){.index = f->listed, .label = DATASETS_UNLABELLED};
    *end = f->listed == f->images;
    if (*end) atomic_store(&f->ended, true);
    if (atomic_load(&f->stopped)) atomic_fetch_add(&f->listed_after_stop, 1);
    if (f->next_seconds > 0) sleep_for(f->next_seconds);
    if (f->listed == f->fails_at) return vitc_fail(log, VITC_ERR_TRUNCATED, "the set ends early");
    if (*end) return VITC_OK;
    item->path = text("%s#%llu", f->listed++);
    fill_item(f, item);
    raise_most(&f->most_held, atomic_fetch_add(&f->held, item->size) + item->size);
    raise_most_int(&f->most_held_images, atomic_fetch_add(&f->held_images, 1) + 1);
    return VITC_OK;
}

void __real_datasets_item_read(datasets_item *item, size_t max_file_size);
void __wrap_datasets_item_read(datasets_item *item, size_t max_file_size);
void __wrap_datasets_item_read(datasets_item *item, size_t max_file_size)
{
    while (fake->read_after_end && !atomic_load(&fake->ended)) sleep_for(0.1);
    __real_datasets_item_read(item, max_file_size);
    raise_most(&fake->most_held, atomic_fetch_add(&fake->held, item->size) + item->size);
}

void __real_datasets_item_free(datasets_item *item);
void __wrap_datasets_item_free(datasets_item *item);
void __wrap_datasets_item_free(datasets_item *item)
{
    atomic_fetch_sub(&fake->held, item->size);
    atomic_fetch_sub(&fake->held_images, 1);
    __real_datasets_item_free(item);
}

/* The nth thread (1: the next) cannot be started; 0: all can. */
static long thread_fails_at;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument)
{
    if (thread_fails_at != 0 && --thread_fails_at == 0) return EAGAIN;
    return __real_pthread_create(thread, attributes, function, argument);
}

/* ---- the work and the receiver ---- */

typedef struct result {
    uint64_t index;
    size_t size;
    int first_byte;
    char zero[100];
} result;

static void work_on(datasets_slot *slot)
{
    result *made = slot->result;
    const datasets_item *item = &slot->item;
    for (size_t i = 0; i < sizeof *made; i++) CLAIM(((const char *)slot->result)[i] == 0);
    CLAIM((item->status == VITC_OK) == (item->error == NULL));
    CLAIM((item->status == VITC_OK) ==
          ((item->bytes != NULL) + (item->image.pixels != NULL) + (item->file != NULL) == 1));
    made->index = item->index;
    made->size = item->size;
    if (item->bytes != NULL) made->first_byte = item->bytes[item->size - 1];
    if (item->image.pixels != NULL) made->first_byte = item->image.pixels[59];
    made->zero[99] = 1; /* for the next image of the place to find */
}

static vitc_status work(void *user, int number, datasets_slot *const *slots, size_t count,
                        const vitc_log *log)
{
    fixture *f = user;
    raise_most_int(&f->most_working, atomic_fetch_add(&f->working, 1) + 1);
    raise_most_int(&f->most_taken, (int)count);
    CLAIM(number >= 0 && number < f->workers && count >= 1 && count <= f->batch);
    vitc_status status = VITC_OK;
    for (size_t i = 0; i < count; i++) {
        CLAIM(slots[i]->item.index == slots[0]->item.index + i);
        if (slots[i]->item.index == f->work_fails_at)
            status = vitc_fail(log, VITC_ERR_INTERNAL, "the work fails");
        work_on(slots[i]);
    }
    if (f->jitter) sleep_for((double)(slots[0]->item.index * 7919 % 11) * 1e-4);
    if (f->work_seconds > 0) sleep_for(f->work_seconds);
    atomic_fetch_add(&f->worked, count);
    atomic_fetch_sub(&f->working, 1);
    return status;
}

static void check_delivered(const fixture *f, const datasets_slot *slot)
{
    const datasets_item *item = &slot->item;
    const result *made = slot->result;
    const uint64_t i = item->index;
    assert_int_equal(i, f->delivered);
    assert_int_equal(made->index, i);
    switch (f->source_of(i)) {
    case AS_FILE:
        assert_int_equal(item->status, VITC_OK);
        assert_null(item->file);
        assert_int_equal(made->size, file_sizes[i % FILE_COUNT]);
        assert_int_equal(made->first_byte, i % FILE_COUNT);
        break;
    case AS_BYTES:
        assert_int_equal(made->size, size_of(f, i));
        assert_int_equal(made->first_byte, i % 251);
        break;
    case AS_PIXELS:
        assert_int_equal(made->first_byte, i % 251);
        break;
    case AS_MISSING:
        assert_int_equal(item->status, VITC_ERR_UNREADABLE);
        assert_non_null(strstr(item->error, "No such file"));
        break;
    default:
        assert_int_equal(item->status, VITC_ERR_CORRUPT);
        assert_string_equal(item->error, "made so");
    }
}

static vitc_status deliver(void *user, datasets_slot *slot, const vitc_log *log)
{
    fixture *f = user;
    if (slot->item.index == f->deliver_fails_at)
        return vitc_fail(log, VITC_ERR_UNWRITABLE, "the receiver fails");
    check_delivered(f, slot);
    if (slot->item.index == f->stop_at) atomic_store(&f->stopped, true);
    if (f->deliver_seconds > 0) sleep_for(f->deliver_seconds);
    f->delivered++;
    return VITC_OK;
}

static bool stop(void *user)
{
    return atomic_load(&((fixture *)user)->stopped);
}

/* ---- running it ---- */

static source all_sources(uint64_t index)
{
    return (source)(index * 5 / 3 % SOURCE_COUNT);
}

static source only_bytes(uint64_t index)
{
    (void)index;
    return AS_BYTES;
}

static source only_files(uint64_t index)
{
    (void)index;
    return AS_FILE;
}

/* The oldest image of each ten is a file, all others fill the memory. */
static source files_before_bytes(uint64_t index)
{
    return index % 10 == 0 ? AS_FILE : AS_BYTES;
}

static fixture fixture_of(uint64_t images, source (*source_of)(uint64_t))
{
    return (fixture){.images = images,
                     .source_of = source_of,
                     .fails_at = UINT64_MAX,
                     .work_fails_at = UINT64_MAX,
                     .deliver_fails_at = UINT64_MAX,
                     .stop_at = UINT64_MAX};
}

static datasets_loader loader_of(fixture *f, int workers, size_t batch)
{
    f->workers = workers;
    f->batch = batch;
    return (datasets_loader){.workers = workers,
                             .batch = batch,
                             .result_size = sizeof(result),
                             .work = work,
                             .deliver = deliver,
                             .user = f,
                             .stop = stop};
}

static vitc_status load(fixture *f, const datasets_loader *loader, datasets_times *times,
                        const vitc_log *log)
{
    fake = f;
    const vitc_status status = datasets_load((datasets_set *)(void *)f, loader, times, log);
    assert_false(atomic_load(&f->failed));
    assert_int_equal(atomic_load(&f->held), 0); /* everything is given back */
    assert_int_equal(atomic_load(&f->held_images), 0);
    return status;
}

static void order_is_that_of_the_set(void **state)
{
    (void)state;
    static const struct {
        int workers, readers;
        size_t batch, max_images;
    } cases[] = {{1, 1, 1, 1}, {1, 1, 8, 3}, {2, 1, 8, 0},
                 {2, 4, 3, 0}, {5, 3, 1, 7}, {8, 0, 4, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f = fixture_of(600, all_sources);
        f.jitter = true;
        datasets_loader loader = loader_of(&f, cases[i].workers, cases[i].batch);
        loader.readers = cases[i].readers;
        loader.max_images = cases[i].max_images;
        assert_int_equal(load(&f, &loader, NULL, NULL), VITC_OK);
        assert_int_equal(f.delivered, 600);
        assert_int_equal(atomic_load(&f.worked), 600);
    }
}

static void no_images_and_one(void **state)
{
    (void)state;
    for (uint64_t images = 0; images < 2; images++) {
        fixture f = fixture_of(images, only_files);
        const datasets_loader loader = loader_of(&f, 3, 8);
        datasets_times times;
        assert_int_equal(load(&f, &loader, &times, NULL), VITC_OK);
        assert_int_equal(f.delivered, images);
        assert_true(times.wall > 0);
    }
}

/* Eight images, all known before the first is read: two workers that could take eight each take
 * four and two and one. */
static void the_last_images_are_shared_out(void **state)
{
    (void)state;
    fixture f = fixture_of(8, only_files);
    f.read_after_end = true;
    f.work_seconds = 0.02;
    const datasets_loader loader = loader_of(&f, 2, 8);
    assert_int_equal(load(&f, &loader, NULL, NULL), VITC_OK);
    assert_int_equal(f.delivered, 8);
    assert_true(atomic_load(&f.most_taken) <= 4);
    assert_int_equal(atomic_load(&f.most_working), 2);
}

static void workers_work_at_the_same_time(void **state)
{
    (void)state;
    fixture f = fixture_of(100, all_sources);
    f.work_seconds = 0.002;
    const datasets_loader loader = loader_of(&f, 5, 1);
    assert_int_equal(load(&f, &loader, NULL, NULL), VITC_OK);
    assert_int_equal(atomic_load(&f.most_working), 5);
}

/* ---- limits ---- */

static void images_held_are_limited(void **state)
{
    (void)state;
    fixture f = fixture_of(300, all_sources);
    f.deliver_seconds = 0.0005;
    datasets_loader loader = loader_of(&f, 3, 4);
    loader.max_images = 13;
    assert_int_equal(load(&f, &loader, NULL, NULL), VITC_OK);
    assert_int_equal(f.delivered, 300);
    assert_int_equal(atomic_load(&f.most_held_images), 13);
}

static void bytes_held_are_limited(void **state)
{
    (void)state;
    enum { LIMIT = 250000, LARGEST = 100000 };
    source (*const sources[])(uint64_t) = {only_bytes, only_files, files_before_bytes};
    for (size_t i = 0; i < 3; i++) {
        fixture f = fixture_of(200, sources[i]);
        f.bytes_of_all = LARGEST;
        f.deliver_seconds = 0.0005;
        datasets_loader loader = loader_of(&f, 2, 2);
        loader.max_images = 150;
        loader.readers = 5;
        loader.max_bytes = LIMIT;
        assert_int_equal(load(&f, &loader, NULL, NULL), VITC_OK);
        assert_int_equal(f.delivered, 200);
        assert_true(atomic_load(&f.most_held) > LIMIT / 2);
        /* one that came when there was still room, and the oldest, which always has */
        assert_true(atomic_load(&f.most_held) < LIMIT + 2 * LARGEST);
    }
}

/* Larger than all that may be held: nothing else is held, and it passes. */
static void an_image_beyond_the_limit_passes_alone(void **state)
{
    (void)state;
    source (*const sources[])(uint64_t) = {only_bytes, only_files, files_before_bytes};
    for (size_t i = 0; i < 3; i++) {
        fixture f = fixture_of(60, sources[i]);
        f.bytes_of_all = 100000;
        datasets_loader loader = loader_of(&f, 3, 4);
        loader.max_bytes = 1;
        assert_int_equal(load(&f, &loader, NULL, NULL), VITC_OK);
        assert_int_equal(f.delivered, 60);
        assert_true(atomic_load(&f.most_held) <= 2 * 100000);
    }
}

static vitc_status deliver_large(void *user, datasets_slot *slot, const vitc_log *log)
{
    fixture *f = user;
    (void)log;
    const bool small = file_sizes[slot->item.index % FILE_COUNT] <= 1000;
    assert_int_equal(slot->item.status, small ? VITC_OK : VITC_ERR_TOO_LARGE);
    f->delivered++;
    return VITC_OK;
}

/* Room that was kept for a file is free again when the file cannot be read. */
static void a_file_over_its_limit_is_a_bad_image(void **state)
{
    (void)state;
    for (int readers = 1; readers < 6; readers++) {
        fixture f = fixture_of(60, only_files);
        datasets_loader loader = loader_of(&f, 1, 60);
        loader.readers = readers;
        loader.max_images = 60;
        loader.max_file_size = 1000;
        loader.max_bytes = 500;
        loader.deliver = deliver_large;
        assert_int_equal(load(&f, &loader, NULL, NULL), VITC_OK);
        assert_int_equal(f.delivered, 60);
    }
}

/* ---- ends ---- */

static void a_failing_set_ends_the_run_after_its_images(void **state)
{
    (void)state;
    static const uint64_t places[] = {0, 1, 8, 99};
    for (size_t i = 0; i < 4; i++) {
        fixture f = fixture_of(100, all_sources);
        f.jitter = true;
        f.fails_at = places[i];
        const datasets_loader loader = loader_of(&f, 3, 4);
        log_recorder recorder;
        const vitc_log log = log_recorder_start(&recorder);
        assert_int_equal(load(&f, &loader, NULL, &log), VITC_ERR_TRUNCATED);
        assert_int_equal(f.delivered, places[i]);
        assert_int_equal(recorder.messages, 1);
        assert_string_equal(recorder.last, "the set ends early");
    }
}

static void failing_work_ends_the_run(void **state)
{
    (void)state;
    static const uint64_t places[] = {0, 1, 50, 99};
    for (size_t i = 0; i < 4; i++) {
        for (size_t batch = 1; batch < 8; batch += 3) {
            fixture f = fixture_of(100, all_sources);
            f.jitter = true;
            f.work_fails_at = places[i];
            const datasets_loader loader = loader_of(&f, 3, batch);
            log_recorder recorder;
            const vitc_log log = log_recorder_start(&recorder);
            assert_int_equal(load(&f, &loader, NULL, &log), VITC_ERR_INTERNAL);
            assert_string_equal(recorder.last, "the work fails");
            /* all but those that were in the same call */
            assert_true(f.delivered <= places[i] && f.delivered + batch > places[i]);
        }
    }
}

static void a_failing_receiver_ends_the_run(void **state)
{
    (void)state;
    static const uint64_t places[] = {0, 7, 99};
    for (size_t i = 0; i < 3; i++) {
        fixture f = fixture_of(100, all_sources);
        f.deliver_fails_at = places[i];
        const datasets_loader loader = loader_of(&f, 3, 4);
        assert_int_equal(load(&f, &loader, NULL, NULL), VITC_ERR_UNWRITABLE);
        assert_int_equal(f.delivered, places[i]);
    }
}

static void a_stopped_run_delivers_what_was_begun(void **state)
{
    (void)state;
    static const uint64_t places[] = {0, 50, 299};
    for (size_t i = 0; i < 3; i++) {
        fixture f = fixture_of(300, all_sources);
        f.work_seconds = 0.0005;
        f.stop_at = places[i];
        const datasets_loader loader = loader_of(&f, 3, 4);
        log_recorder recorder;
        const vitc_log log = log_recorder_start(&recorder);
        assert_int_equal(load(&f, &loader, NULL, &log), VITC_OK);
        assert_int_equal(recorder.messages, 0);
        assert_true(f.delivered > places[i]);
        assert_int_equal(f.delivered, atomic_load(&f.worked));
        assert_true(f.delivered == 300 || f.delivered <= places[i] + 3 * 3 * 4 + 2 * 4);
        assert_true(atomic_load(&f.listed_after_stop) <= 1);
    }
}

static void stopped_before_the_first_image(void **state)
{
    (void)state;
    fixture f = fixture_of(300, all_sources);
    atomic_store(&f.stopped, true);
    const datasets_loader loader = loader_of(&f, 2, 4);
    assert_int_equal(load(&f, &loader, NULL, NULL), VITC_OK);
    assert_int_equal(f.delivered, 0);
    assert_int_equal(f.listed, 0);
}

/* ---- what it is given ---- */

static void arguments(void **state)
{
    (void)state;
    fixture f = fixture_of(1, all_sources);
    static const struct {
        int workers;
        size_t batch, result_size;
    } cases[] = {
        {0, 1, 1},           {-1, 1, 1}, {1, 0, 1}, {2, SIZE_MAX / 4, 1}, {1, 1, SIZE_MAX - 1},
        {1, 1, SIZE_MAX / 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        datasets_loader loader = loader_of(&f, cases[i].workers, cases[i].batch);
        loader.result_size = cases[i].result_size;
        log_recorder recorder;
        const vitc_log log = log_recorder_start(&recorder);
        assert_int_equal(load(&f, &loader, NULL, &log), VITC_ERR_ARGUMENT);
        assert_int_equal(recorder.messages, 1);
    }
}

static void a_thread_that_cannot_be_started(void **state)
{
    (void)state;
    enum { THREADS = 1 + 2 + 3 };
    for (long nth = 1; nth <= THREADS + 1; nth++) {
        fixture f = fixture_of(50, all_sources);
        datasets_loader loader = loader_of(&f, 3, 4);
        loader.readers = 2;
        log_recorder recorder;
        const vitc_log log = log_recorder_start(&recorder);
        thread_fails_at = nth;
        const vitc_status status = load(&f, &loader, NULL, &log);
        thread_fails_at = 0;
        assert_int_equal(status, nth <= THREADS ? VITC_ERR_MEMORY : VITC_OK);
        assert_int_equal(f.delivered, nth <= THREADS ? 0 : 50);
        if (nth > THREADS) continue;
        char wanted[64];
        snprintf(wanted, sizeof wanted, "cannot start thread %ld of %d: ", nth, THREADS);
        assert_non_null(strstr(recorder.last, wanted));
    }
}

/* The receiver frees what other threads allocated, so the count of blocks needs a set without
 * images. */
static vitc_status load_nothing(void *user)
{
    (void)user;
    fixture f = fixture_of(0, all_sources);
    const datasets_loader loader = loader_of(&f, 2, 4);
    fake = &f;
    return datasets_load((datasets_set *)(void *)&f, &loader, NULL, NULL);
}

static void memory_that_runs_out(void **state)
{
    (void)state;
    assert_true(malloc_fail_each(load_nothing, NULL) >= 5);
}

/* ---- messages and times ---- */

typedef struct inside {
    atomic_bool here;
    int messages; /* no lock of its own: two writers at once are a race that TSan sees, too */
} inside;

static void write_inside(void *user, vitc_log_level level, const char *message)
{
    inside *i = user;
    (void)message;
    CLAIM(level == VITC_LOG_INFO);
    CLAIM(!atomic_exchange(&i->here, true));
    i->messages++;
    sleep_for(1e-5);
    atomic_store(&i->here, false);
}

static vitc_status talk(void *user, int number, datasets_slot *const *slots, size_t count,
                        const vitc_log *log)
{
    vitc_log_write(log, VITC_LOG_INFO, "worker %d", number);
    return work(user, number, slots, count, log);
}

static vitc_status talk_back(void *user, datasets_slot *slot, const vitc_log *log)
{
    vitc_log_write(log, VITC_LOG_INFO, "received");
    return deliver(user, slot, log);
}

static void messages_come_one_at_a_time(void **state)
{
    (void)state;
    fixture f = fixture_of(200, only_bytes);
    datasets_loader loader = loader_of(&f, 4, 1);
    loader.work = talk;
    loader.deliver = talk_back;
    inside seen = {.messages = 0};
    const vitc_log log = {write_inside, &seen};
    assert_int_equal(load(&f, &loader, NULL, &log), VITC_OK);
    assert_int_equal(seen.messages, 400);
}

static bool slow_set_is_waited_for(void)
{
    datasets_times times;
    fixture slow_set = fixture_of(40, only_bytes);
    slow_set.next_seconds = 0.002;
    const datasets_loader loader = loader_of(&slow_set, 2, 1);
    assert_int_equal(load(&slow_set, &loader, &times, NULL), VITC_OK);
    assert_true(times.read >= 40 * 0.002);
    assert_true(times.wall >= times.read);
    return times.wait_input > 0.04 && times.wait_output < times.wait_input;
}

static bool slow_receiver_is_waited_for(void)
{
    datasets_times times;
    fixture slow_receiver = fixture_of(40, only_bytes);
    slow_receiver.deliver_seconds = 0.002;
    datasets_loader loader = loader_of(&slow_receiver, 2, 1);
    loader.max_images = 4;
    assert_int_equal(load(&slow_receiver, &loader, &times, NULL), VITC_OK);
    assert_true(times.deliver >= 40 * 0.002);
    return times.wait_output > 0.04 && times.wait_input < times.wait_output;
}

static bool slow_work_is_waited_for(void)
{
    datasets_times times;
    fixture slow_work = fixture_of(40, only_files);
    slow_work.work_seconds = 0.002;
    const datasets_loader loader = loader_of(&slow_work, 2, 1);
    assert_int_equal(load(&slow_work, &loader, &times, NULL), VITC_OK);
    assert_true(times.work >= 40 * 0.002);
    return times.read > 0 && times.wait_input + times.wait_output < times.work;
}

/* Which waiting is the longest is certain on an idle machine only; one of some tries has to be. */
static void times_tell_the_bottleneck(void **state)
{
    enum { TRIES = 10 };
    (void)state;
    static bool (*const cases[])(void) = {slow_set_is_waited_for, slow_receiver_is_waited_for,
                                          slow_work_is_waited_for};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool seen = false;
        for (int attempt = 0; attempt < TRIES && !seen; attempt++) seen = cases[i]();
        assert_true(seen);
    }
}

/* ---- the files ---- */

static int make_files(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/vitc_loader_XXXXXX");
    if (mkdtemp(folder) == NULL) return -1;
    for (unsigned i = 0; i < FILE_COUNT; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%u", folder, i);
        FILE *file = fopen(path, "wb");
        if (file == NULL) return -1;
        for (size_t k = 0; k < file_sizes[i]; k++) fputc((int)i, file);
        if (fclose(file) != 0) return -1;
    }
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FILE_COUNT; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%u", folder, i);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_that_of_the_set),
        cmocka_unit_test(no_images_and_one),
        cmocka_unit_test(the_last_images_are_shared_out),
        cmocka_unit_test(workers_work_at_the_same_time),
        cmocka_unit_test(images_held_are_limited),
        cmocka_unit_test(bytes_held_are_limited),
        cmocka_unit_test(an_image_beyond_the_limit_passes_alone),
        cmocka_unit_test(a_file_over_its_limit_is_a_bad_image),
        cmocka_unit_test(a_failing_set_ends_the_run_after_its_images),
        cmocka_unit_test(failing_work_ends_the_run),
        cmocka_unit_test(a_failing_receiver_ends_the_run),
        cmocka_unit_test(a_stopped_run_delivers_what_was_begun),
        cmocka_unit_test(stopped_before_the_first_image),
        cmocka_unit_test(arguments),
        cmocka_unit_test(a_thread_that_cannot_be_started),
        cmocka_unit_test(memory_that_runs_out),
        cmocka_unit_test(messages_come_one_at_a_time),
        cmocka_unit_test(times_tell_the_bottleneck),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
