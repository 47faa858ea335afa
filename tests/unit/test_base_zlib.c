/* CRC-32, and files that may be gzip, read in order. (What damaged gzip gets, the tests of tar and
 * IDX sets show.) */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <zlib.h>

#include "test_base_recorder.h"
#include "test_malloc_fail.h"
#include "vitc_file.h"
#include "vitc_log.h"
#include "vitc_zlib.h"

enum { SIZE = 300 * 1000 }; /* several times what is read at once */

static char folder[] = "/tmp/vitc-test-XXXXXX";
static unsigned char content[SIZE];

/* A folder with the same bytes plain and as two gzip members. */
static int make_files(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (size_t i = 0; i < SIZE; i++) {
        random = random * 1664525 + 1013904223;
        content[i] = (unsigned char)(random >> 28); /* 16 values: neither noise nor zeros */
    }
    if (mkdtemp(folder) == NULL || chdir(folder) != 0) return -1;
    if (vitc_file_write("plain", content, SIZE, NULL) != VITC_OK) return -1;
    for (int half = 0; half < 2; half++) {
        gzFile gz = gzopen("packed", half == 0 ? "wb" : "ab");
        if (gz == NULL || gzwrite(gz, content + half * (SIZE / 2), SIZE / 2) != SIZE / 2 ||
            gzclose(gz) != Z_OK)
            return -1;
    }
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    static const char *const names[] = {"plain", "packed", "small", "gzip"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) (void)unlink(names[i]);
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static void crc_is_the_known_one(void **state)
{
    (void)state;
    assert_int_equal(vitc_crc32("", 0), 0);
    assert_int_equal(vitc_crc32("123456789", 9), 0xCBF43926);
}

static void reading_and_skipping_lead_to_the_end(void **state)
{
    (void)state;
    static const char *const names[] = {"plain", "packed"};
    static const size_t steps[] = {1, 2, 3, 511, 512, 65535, 65536, 65537, SIZE, SIZE + 1};
    unsigned char *bytes = malloc(SIZE + 1);
    assert_non_null(bytes);
    for (size_t n = 0; n < 2; n++) {
        for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
            vitc_stream *stream;
            assert_int_equal(vitc_stream_open(&stream, names[n], NULL), VITC_OK);
            assert_int_equal(vitc_stream_is_sequential(stream), n == 1);
            /* One step is read, the next one passed over. */
            for (size_t at = 0, turn = 0;; turn++) {
                const size_t wanted = SIZE - at < steps[s] ? SIZE - at : steps[s];
                size_t got = 0;
                uint64_t skipped = 0;
                if (turn % 2 == 0) {
                    assert_int_equal(vitc_stream_read(&got, stream, bytes, steps[s], NULL),
                                     VITC_OK);
                    assert_int_equal(got, wanted);
                    if (got > 0) assert_memory_equal(bytes, content + at, got);
                } else {
                    assert_int_equal(vitc_stream_skip(&skipped, stream, steps[s], NULL), VITC_OK);
                    assert_int_equal(skipped, wanted);
                }
                at += wanted;
                if (wanted == 0) break;
            }
            vitc_stream_close(stream);
        }
    }
    free(bytes);
}

static void small_files_are_plain(void **state)
{
    (void)state;
    static const char text[] = "\x1F\x8B";
    for (size_t size = 0; size < 2; size++) {
        vitc_stream *stream;
        unsigned char bytes[4];
        size_t got;
        uint64_t skipped;
        assert_int_equal(vitc_file_write("small", text, size, NULL), VITC_OK);
        assert_int_equal(vitc_stream_open(&stream, "small", NULL), VITC_OK);
        assert_false(vitc_stream_is_sequential(stream));
        assert_int_equal(vitc_stream_skip(&skipped, stream, UINT64_MAX, NULL), VITC_OK);
        assert_int_equal(skipped, size);
        assert_int_equal(vitc_stream_read(&got, stream, bytes, sizeof bytes, NULL), VITC_OK);
        assert_int_equal(got, 0);
        vitc_stream_close(stream);
    }
}

/* What comes before a fault is given; then every call says what it is. */
static void faults_come_after_what_is_good(void **state)
{
    (void)state;
    unsigned char *packed, *bytes = malloc(SIZE);
    size_t size, got;
    vitc_stream *stream;
    log_recorder recorder;
    const vitc_log log = log_recorder_start(&recorder);
    assert_non_null(bytes);
    assert_int_equal(vitc_file_read(&packed, &size, "packed", SIZE, NULL), VITC_OK);
    packed[size - 8] ^= 1; /* the check sum of the second half */
    assert_int_equal(vitc_file_write("gzip", packed, size, NULL), VITC_OK);
    assert_int_equal(vitc_stream_open(&stream, "gzip", &log), VITC_OK);
    assert_int_equal(vitc_stream_read(&got, stream, bytes, SIZE, &log), VITC_OK);
    assert_int_equal(got, SIZE);
    assert_memory_equal(bytes, content, SIZE);
    assert_int_equal(recorder.messages, 0);
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(vitc_stream_read(&got, stream, bytes, SIZE, &log), VITC_ERR_CORRUPT);
        assert_int_equal(got, 0);
        assert_int_equal(recorder.messages, i);
        assert_string_equal(recorder.last, "gzip: its gzip check sum is wrong: the data is "
                                           "damaged; get or make the file again");
    }
    vitc_stream_close(stream);
    free(packed);
    free(bytes);
}

static void what_is_no_file_is_unreadable(void **state)
{
    (void)state;
    static const struct {
        const char *path, *message;
    } cases[] = {{"missing", "missing: cannot be opened: No such file or directory"},
                 {".", ".: is neither a file nor a pipe"},
                 {"/dev/null", "/dev/null: is neither a file nor a pipe"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vitc_stream *stream;
        log_recorder recorder;
        const vitc_log log = log_recorder_start(&recorder);
        assert_int_equal(vitc_stream_open(&stream, cases[i].path, &log), VITC_ERR_UNREADABLE);
        assert_null(stream);
        assert_int_equal(recorder.messages, 1);
        assert_string_equal(recorder.last, cases[i].message);
    }
    vitc_stream_close(NULL);
}

static vitc_status read_packed(void *user)
{
    vitc_stream *stream;
    uint64_t skipped;
    (void)user;
    VITC_TRY(vitc_stream_open(&stream, "packed", NULL));
    const vitc_status status = vitc_stream_skip(&skipped, stream, UINT64_MAX, NULL);
    vitc_stream_close(stream);
    return status;
}

static void without_memory_nothing_is_left(void **state)
{
    (void)state;
    malloc_fail_each(read_packed, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_is_the_known_one),
        cmocka_unit_test(reading_and_skipping_lead_to_the_end),
        cmocka_unit_test(small_files_are_plain),
        cmocka_unit_test(faults_come_after_what_is_good),
        cmocka_unit_test(what_is_no_file_is_unreadable),
        cmocka_unit_test(without_memory_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
