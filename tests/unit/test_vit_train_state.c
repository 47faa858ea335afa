/* The state of a run: written and read back, damaged in every way, on a full disk. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_base_recorder.h"
#include "test_malloc_fail.h"
#include "vit_train_state.h"
#include "vit_train_support.h"
#include "vitc_file.h"

#define STATE    "last.state"
#define PREVIOUS "previous.state"
#define TEXT     "{\"name\":\"caf\303\251\",\"step\":3}"

static char folder[] = "/tmp/vitc-state-XXXXXX";

/* Small enough that a file of it can be damaged at every place. */
static vit_config small_config(uint32_t width)
{
    vit_config config;
    assert_int_equal(vit_config_named(&config, "testing", NULL), VITC_OK);
    config.image_height = config.image_width = 4;
    config.patch = 2;
    config.width = width;
    config.layers = 1;
    config.heads = 1;
    config.mlp = 4;
    config.classes = 2;
    return config;
}

typedef struct run {
    vit_trainer *trainer;
    vit_optimizer *optimizer;
} run;

static run make_run(uint32_t width, vit_optimizer_kind kind, double average)
{
    const vit_config config = small_config(width);
    vit_train_options training = vit_train_options_default();
    training.batch = 2;
    training.threads = 1;
    vit_optimizer_options stepping = vit_optimizer_options_default(kind);
    stepping.average = average;
    stepping.threads = 1;
    run r = {.trainer = make_trainer(&config, &training)};
    assert_int_equal(vit_optimizer_create(&r.optimizer, &config, &stepping, &log_lines), VITC_OK);
    return r;
}

static void free_run(run *r)
{
    vit_trainer_free(r->trainer);
    vit_optimizer_free(r->optimizer);
}

/* Every array gets numbers of its own, also such as no step would give. */
static void fill(run *r, uint64_t seed)
{
    vit_optimizer_array arrays[VIT_OPTIMIZER_ARRAYS_MAX];
    const size_t count = vit_optimizer_arrays(r->optimizer, arrays);
    const size_t length = vit_trainer_count(r->trainer);
    for (size_t a = 0; a <= count; a++) {
        float *values = a == 0 ? vit_trainer_parameters(r->trainer) : arrays[a - 1].values;
        for (size_t i = 0; i < length; i++) values[i] = test_random_normal(&seed);
        values[0] = -0.0f;
        values[1] = 1e-42f; /* not normal */
    }
    vit_optimizer_set_steps(r->optimizer, seed);
}

static bool is_equal(const run *a, const run *b)
{
    vit_optimizer_array p[VIT_OPTIMIZER_ARRAYS_MAX], q[VIT_OPTIMIZER_ARRAYS_MAX];
    const size_t count = vit_optimizer_arrays(a->optimizer, p);
    const size_t size = vit_trainer_count(a->trainer) * sizeof(float);
    assert_int_equal(vit_optimizer_arrays(b->optimizer, q), count);
    bool equal =
        memcmp(vit_trainer_parameters(a->trainer), vit_trainer_parameters(b->trainer), size) == 0 &&
        vit_optimizer_steps(a->optimizer) == vit_optimizer_steps(b->optimizer);
    for (size_t i = 0; i < count; i++) equal = equal && memcmp(p[i].values, q[i].values, size) == 0;
    return equal;
}

static vitc_status write_run(const run *r)
{
    return vit_train_state_write(STATE, PREVIOUS, r->trainer, r->optimizer, TEXT, NULL);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const struct {
        vit_optimizer_kind kind;
        double average;
    } cases[] = {{VIT_OPTIMIZER_ADAMW, 0.9},
                 {VIT_OPTIMIZER_ADAMW, 0},
                 {VIT_OPTIMIZER_SGD, 0},
                 {VIT_OPTIMIZER_MUON, 0.9}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run a = make_run(4, cases[i].kind, cases[i].average);
        run b = make_run(4, cases[i].kind, cases[i].average);
        char *text;
        fill(&a, i + 1);
        assert_int_equal(write_run(&a), VITC_OK);
        assert_int_equal(vit_train_state_text(&text, STATE, &log_lines), VITC_OK);
        assert_string_equal(text, TEXT);
        free(text);
        assert_int_equal(vit_train_state_read(STATE, b.trainer, b.optimizer, &log_lines), VITC_OK);
        assert_true(is_equal(&a, &b));
        free_run(&a);
        free_run(&b);
    }
}

static void the_one_before_is_kept(void **state)
{
    (void)state;
    run a = make_run(4, VIT_OPTIMIZER_ADAMW, 0.9), b = make_run(4, VIT_OPTIMIZER_ADAMW, 0.9);
    (void)unlink(STATE);
    (void)unlink(PREVIOUS);
    fill(&a, 1);
    assert_int_equal(write_run(&a), VITC_OK);
    assert_false(exists(PREVIOUS));
    for (uint64_t seed = 2; seed < 5; seed++) {
        run before = make_run(4, VIT_OPTIMIZER_ADAMW, 0.9);
        fill(&before, seed - 1);
        fill(&a, seed);
        assert_int_equal(write_run(&a), VITC_OK);
        assert_int_equal(vit_train_state_read(STATE, b.trainer, b.optimizer, NULL), VITC_OK);
        assert_true(is_equal(&a, &b));
        assert_int_equal(vit_train_state_read(PREVIOUS, b.trainer, b.optimizer, NULL), VITC_OK);
        assert_true(is_equal(&before, &b));
        free_run(&before);
    }
    /* not asked for: it stays as it is */
    fill(&a, 9);
    assert_int_equal(vit_train_state_write(STATE, NULL, a.trainer, a.optimizer, TEXT, NULL),
                     VITC_OK);
    fill(&a, 3);
    assert_int_equal(vit_train_state_read(PREVIOUS, b.trainer, b.optimizer, NULL), VITC_OK);
    assert_true(is_equal(&a, &b));
    free_run(&a);
    free_run(&b);
}

/* ---- damage ---- */

typedef struct bytes {
    unsigned char *data;
    size_t size, header; /* where the numbers begin */
} bytes;

static bytes read_state(void)
{
    bytes b;
    assert_int_equal(vitc_file_read(&b.data, &b.size, STATE, SIZE_MAX, NULL), VITC_OK);
    b.header = 8 + b.data[0] + 256u * b.data[1];
    assert_true(b.header < b.size);
    return b;
}

static void put(const unsigned char *data, size_t size)
{
    (void)unlink("damaged"); /* some file systems wait for the disk when a file is cut instead */
    const int fd = open("damaged", O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    assert_int_equal(close(fd), 0);
}

/* A file that is not whole fails, with one message that names it, and changes nothing. */
static void is_refused(run *r, const run *before)
{
    log_recorder recorder;
    const vitc_log log = log_recorder_start(&recorder);
    const vitc_status status = vit_train_state_read("damaged", r->trainer, r->optimizer, &log);
    assert_true(status == VITC_ERR_TRUNCATED || status == VITC_ERR_CORRUPT ||
                status == VITC_ERR_UNSUPPORTED || status == VITC_ERR_TOO_LARGE);
    assert_int_equal(recorder.messages, 1);
    assert_non_null(strstr(recorder.last, "damaged"));
    assert_true(is_equal(r, before));
}

static void truncation_is_found(void **state)
{
    (void)state;
    run a = make_run(4, VIT_OPTIMIZER_ADAMW, 0), b = make_run(4, VIT_OPTIMIZER_ADAMW, 0);
    run before = make_run(4, VIT_OPTIMIZER_ADAMW, 0);
    fill(&a, 5);
    fill(&b, 6);
    fill(&before, 6);
    assert_int_equal(write_run(&a), VITC_OK);
    const bytes file = read_state();
    for (size_t size = 0; size < file.size; size += size < file.header + 8 ? 1 : 13) {
        put(file.data, size);
        is_refused(&b, &before);
    }
    unsigned char *longer = calloc(1, file.size + 1);
    assert_non_null(longer);
    memcpy(longer, file.data, file.size);
    put(longer, file.size + 1);
    is_refused(&b, &before);
    free(longer);
    free(file.data);
    free_run(&a);
    free_run(&b);
    free_run(&before);
}

static void every_flipped_bit_is_found(void **state)
{
    (void)state;
    run a = make_run(4, VIT_OPTIMIZER_ADAMW, 0), b = make_run(4, VIT_OPTIMIZER_ADAMW, 0);
    run before = make_run(4, VIT_OPTIMIZER_ADAMW, 0);
    fill(&a, 5);
    fill(&b, 6);
    fill(&before, 6);
    assert_int_equal(write_run(&a), VITC_OK);
    const bytes file = read_state();
    uint64_t random = 1;
    /* each bit of the header, and some of the numbers */
    for (size_t bit = 0; bit < 8 * file.size;) {
        file.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        put(file.data, file.size);
        is_refused(&b, &before);
        file.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        bit += bit < 8 * file.header ? 1 : 1 + test_random_bits(&random) % 97;
    }
    free(file.data);
    free_run(&a);
    free_run(&b);
    free_run(&before);
}

static void other_files_are_refused(void **state)
{
    (void)state;
    static const char json[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}  ";
    unsigned char file[8 + sizeof json - 1] = {sizeof json - 1};
    run a = make_run(4, VIT_OPTIMIZER_ADAMW, 0);
    char *text;
    memcpy(file + 8, json, sizeof json - 1);
    put(file, sizeof file);
    log_recorder recorder;
    const vitc_log log = log_recorder_start(&recorder);
    assert_int_equal(vit_train_state_text(&text, "damaged", &log), VITC_ERR_UNSUPPORTED);
    assert_null(text);
    assert_string_equal(recorder.last, "damaged: is not the state of a training run");
    assert_int_equal(vit_train_state_text(&text, "missing", &log), VITC_ERR_UNREADABLE);
    assert_int_equal(vit_train_state_read("missing", a.trainer, a.optimizer, &log),
                     VITC_ERR_UNREADABLE);
    assert_int_equal(mkdir("place", 0700), 0);
    assert_int_equal(vit_train_state_read("place", a.trainer, a.optimizer, &log),
                     VITC_ERR_UNREADABLE);
    free_run(&a);
}

static void other_models_and_optimizers_are_refused(void **state)
{
    (void)state;
    run a = make_run(4, VIT_OPTIMIZER_ADAMW, 0.9);
    fill(&a, 7);
    assert_int_equal(write_run(&a), VITC_OK);
    static const struct {
        uint32_t width;
        vit_optimizer_kind kind;
        double average;
        const char *said;
    } others[] = {
        {6, VIT_OPTIMIZER_ADAMW, 0.9, "is the state of another model"},
        {4, VIT_OPTIMIZER_ADAMW, 0, "another optimizer"},
        {4, VIT_OPTIMIZER_SGD, 0.9, "another optimizer"},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        run b = make_run(others[i].width, others[i].kind, others[i].average);
        run before = make_run(others[i].width, others[i].kind, others[i].average);
        log_recorder recorder;
        const vitc_log log = log_recorder_start(&recorder);
        fill(&b, 8);
        fill(&before, 8);
        assert_int_equal(vit_train_state_read(STATE, b.trainer, b.optimizer, &log), VITC_ERR_MODEL);
        assert_non_null(strstr(recorder.last, others[i].said));
        assert_true(is_equal(&b, &before));
        free_run(&b);
        free_run(&before);
    }
    /* and one with an average that the file has not */
    run less = make_run(4, VIT_OPTIMIZER_ADAMW, 0);
    fill(&less, 7);
    assert_int_equal(write_run(&less), VITC_OK);
    assert_int_equal(vit_train_state_read(STATE, a.trainer, a.optimizer, NULL), VITC_ERR_MODEL);
    free_run(&less);
    free_run(&a);
}

/* ---- what goes wrong on writing ---- */

static void count_entries(size_t *entries)
{
    *entries = 0;
    DIR *list = opendir(".");
    assert_non_null(list);
    while (readdir(list) != NULL) ++*entries;
    closedir(list);
}

static void a_full_disk_leaves_what_was_there(void **state)
{
    (void)state;
    run a = make_run(4, VIT_OPTIMIZER_ADAMW, 0.9), b = make_run(4, VIT_OPTIMIZER_ADAMW, 0.9);
    fill(&a, 1);
    assert_int_equal(write_run(&a), VITC_OK);
    assert_int_equal(write_run(&a), VITC_OK);
    const bytes whole = read_state();
    struct rlimit before, limit;
    size_t entries, after;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    count_entries(&entries);
    for (size_t size = 0; size < whole.size; size += 97) {
        log_recorder recorder;
        const vitc_log log = log_recorder_start(&recorder);
        limit = before;
        limit.rlim_cur = size;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        const vitc_status status =
            vit_train_state_write(STATE, PREVIOUS, b.trainer, b.optimizer, TEXT, &log);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(status, VITC_ERR_UNWRITABLE);
        assert_non_null(strstr(recorder.last, STATE));
    }
    count_entries(&after);
    assert_int_equal(after, entries);
    static const char *const files[] = {STATE, PREVIOUS};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(vit_train_state_read(files[i], b.trainer, b.optimizer, NULL), VITC_OK);
        assert_true(is_equal(&a, &b));
    }
    free(whole.data);
    free_run(&a);
    free_run(&b);
}

typedef struct attempt {
    run a, b;
} attempt;

static vitc_status try_write(void *user)
{
    const attempt *t = user;
    return write_run(&t->a);
}

static vitc_status try_read(void *user)
{
    const attempt *t = user;
    char *text;
    const vitc_status status = vit_train_state_text(&text, STATE, &log_lines);
    if (status != VITC_OK) return status;
    free(text);
    return vit_train_state_read(STATE, t->b.trainer, t->b.optimizer, &log_lines);
}

static void memory_runs_out(void **state)
{
    (void)state;
    if (!MALLOC_FAIL_AVAILABLE) skip(); /* before there is something to free */
    attempt t = {make_run(4, VIT_OPTIMIZER_ADAMW, 0.9), make_run(4, VIT_OPTIMIZER_ADAMW, 0.9)};
    fill(&t.a, 1);
    malloc_fail_each(try_write, &t);
    malloc_fail_each(try_read, &t);
    assert_true(is_equal(&t.a, &t.b));
    free_run(&t.a);
    free_run(&t.b);
}

static int enter(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    static const char *const files[] = {STATE, PREVIOUS, "damaged"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) (void)unlink(files[i]);
    (void)rmdir("place");
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_one_before_is_kept),
        cmocka_unit_test(truncation_is_found),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(other_models_and_optimizers_are_refused),
        cmocka_unit_test(a_full_disk_leaves_what_was_there),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
