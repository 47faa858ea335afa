/* Reading whole files, and writing them so that nobody ever sees half of one. */
#include <setjmp.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "test_base_recorder.h"
#include "vitc_file.h"

/* Every test runs inside a fresh empty folder. */
static char folder[64];

static int enter_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/vitc-test-XXXXXX");
    return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int count_entries(void)
{
    DIR *here = opendir(".");
    assert_non_null(here);
    int entries = 0;
    for (const struct dirent *entry; (entry = readdir(here)) != NULL;)
        entries += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(here);
    return entries;
}

static int leave_folder(void **state)
{
    (void)state;
    DIR *here = opendir(".");
    if (here == NULL) return -1;
    for (const struct dirent *entry; (entry = readdir(here)) != NULL;)
        if (unlink(entry->d_name) != 0) (void)rmdir(entry->d_name);
    closedir(here);
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static void put(const char *path, const char *text)
{
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(text, 1, strlen(text), stream), strlen(text));
    assert_int_equal(fclose(stream), 0);
}

static void assert_content(const char *path, const void *bytes, size_t size)
{
    unsigned char *data;
    size_t got;
    assert_int_equal(vitc_file_read(&data, &got, path, SIZE_MAX, NULL), VITC_OK);
    assert_int_equal(got, size);
    if (size > 0) assert_memory_equal(data, bytes, size);
    free(data);
}

static void read_and_map_give_the_bytes(void **state)
{
    (void)state;
    const char text[] = "bytes\0with a zero";
    assert_int_equal(vitc_file_write("f", text, sizeof text, NULL), VITC_OK);
    assert_content("f", text, sizeof text);
    vitc_file file;
    assert_int_equal(vitc_file_map(&file, "f", NULL), VITC_OK);
    assert_int_equal(file.size, sizeof text);
    assert_memory_equal(file.data, text, sizeof text);
    vitc_file_unmap(&file);
    assert_null(file.data);
    assert_int_equal(file.size, 0);
    vitc_file_unmap(&file);
    vitc_file_unmap(NULL);
}

static void empty_files_are_files(void **state)
{
    (void)state;
    put("empty", "");
    vitc_file file = {.data = (const unsigned char *)"x", .size = 1};
    assert_int_equal(vitc_file_map(&file, "empty", NULL), VITC_OK);
    assert_null(file.data);
    assert_int_equal(file.size, 0);
    vitc_file_unmap(&file);
    assert_content("empty", "", 0);
}

static void the_limit_is_inclusive(void **state)
{
    (void)state;
    unsigned char *data;
    size_t size;
    put("ten", "0123456789");
    assert_int_equal(vitc_file_read(&data, &size, "ten", 10, NULL), VITC_OK);
    assert_int_equal(size, 10);
    free(data);
    log_recorder recorder;
    const vitc_log log = log_recorder_start(&recorder);
    assert_int_equal(vitc_file_read(&data, &size, "ten", 9, &log), VITC_ERR_TOO_LARGE);
    assert_null(data);
    assert_int_equal(size, 0);
    assert_int_equal(recorder.messages, 1);
    assert_non_null(strstr(recorder.last, "ten"));
}

/* Each unreadable thing says in words what it is, once, and never blocks. */
static void unreadable_things_say_what_they_are(void **state)
{
    (void)state;
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    const int unix_socket = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    assert_int_equal(bind(unix_socket, (struct sockaddr *)&address, sizeof address), 0);
    static const struct {
        const char *path, *words;
    } table[] = {
        {"folder", "is a folder"},    {"fifo", "is a pipe"},
        {"/dev/null", "is a device"}, {"dangling", "broken symbolic link"},
        {"missing", "No such file"},  {"folder/missing", "No such file"},
        {"loop", "symbolic links"},   {"socket", ""},
        {"", "No such file"},
    };
    alarm(20); /* a blocking open fails the test instead of hanging it */
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        log_recorder recorder;
        const vitc_log log = log_recorder_start(&recorder);
        vitc_file file = {.size = 9};
        assert_int_equal(vitc_file_map(&file, table[i].path, &log), VITC_ERR_UNREADABLE);
        assert_null(file.data);
        assert_int_equal(file.size, 0);
        assert_int_equal(recorder.messages, 1);
        assert_non_null(strstr(recorder.last, table[i].path));
        if (strstr(recorder.last, table[i].words) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", recorder.last, table[i].words);
        unsigned char *data;
        size_t size;
        assert_int_equal(vitc_file_read(&data, &size, table[i].path, 100, &log),
                         VITC_ERR_UNREADABLE);
        assert_null(data);
        assert_int_equal(recorder.messages, 2);
    }
    alarm(0);
    close(unix_socket);
}

/* Root may do everything, so the test gives its rights up for a while. */
static void forbidden_places_are_refused(void **state)
{
    (void)state;
    const uid_t user = geteuid();
    put("secret", "x");
    assert_int_equal(chmod("secret", 0), 0);
    assert_int_equal(chmod(".", 0555), 0);
    if (user == 0) assert_int_equal(seteuid(65534), 0);
    log_recorder recorder;
    const vitc_log log = log_recorder_start(&recorder);
    vitc_file file;
    const vitc_status read_status = vitc_file_map(&file, "secret", &log);
    const bool read_reason = strstr(recorder.last, strerror(EACCES)) != NULL;
    const vitc_status write_status = vitc_file_write("new", "x", 1, &log);
    const bool write_reason = strstr(recorder.last, strerror(EACCES)) != NULL;
    if (user == 0) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(".", 0700), 0);
    assert_int_equal(read_status, VITC_ERR_UNREADABLE);
    assert_true(read_reason);
    assert_int_equal(write_status, VITC_ERR_UNWRITABLE);
    assert_true(write_reason);
    assert_int_equal(count_entries(), 1);
}

/* ---- descriptors ---- */

enum { PIPE_BYTES = 300 * 1000 + 7 }; /* several times the first buffer, and no power of two */

static void *fill_pipe(void *argument)
{
    const int fd = *(const int *)argument;
    for (int i = 0; i < PIPE_BYTES; i++) {
        const unsigned char byte = (unsigned char)(i * 7 + i / 256);
        if (write(fd, &byte, 1) != 1) break;
    }
    close(fd);
    return NULL;
}

static vitc_status read_pipe(unsigned char **data, size_t *size, size_t max_size)
{
    int ends[2];
    pthread_t writer;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pthread_create(&writer, NULL, fill_pipe, &ends[1]), 0);
    const vitc_status status = vitc_file_read_fd(data, size, ends[0], "pipe", max_size, NULL);
    close(ends[0]);
    assert_int_equal(pthread_join(writer, NULL), 0);
    return status;
}

static void pipes_are_read_to_their_end(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* the writer of a pipe that is closed early */
    unsigned char *data;
    size_t size;
    assert_int_equal(read_pipe(&data, &size, PIPE_BYTES), VITC_OK);
    assert_int_equal(size, PIPE_BYTES);
    for (int i = 0; i < PIPE_BYTES; i++)
        assert_int_equal(data[i], (unsigned char)(i * 7 + i / 256));
    free(data);
    assert_int_equal(read_pipe(&data, &size, PIPE_BYTES - 1), VITC_ERR_TOO_LARGE);
    assert_null(data);
}

static void bad_descriptors_are_unreadable(void **state)
{
    (void)state;
    unsigned char *data;
    size_t size;
    assert_int_equal(vitc_file_read_fd(&data, &size, -1, "stdin", 10, NULL), VITC_ERR_UNREADABLE);
    assert_null(data);
}

/* ---- the atomic writer ---- */

static void commit_replaces_the_file(void **state)
{
    (void)state;
    put("f", "old");
    vitc_file_writer writer;
    assert_int_equal(vitc_file_writer_open(&writer, "f", NULL), VITC_OK);
    vitc_file_writer_append(&writer, "ne", 2);
    assert_content("f", "old", 3); /* readers see the old file until the commit */
    vitc_file_writer_append(&writer, "", 0);
    vitc_file_writer_append(&writer, "w!", 2);
    assert_int_equal(vitc_file_writer_commit(&writer, NULL), VITC_OK);
    assert_content("f", "new!", 4);
    assert_int_equal(count_entries(), 1);
    vitc_file_writer_abort(&writer); /* after a commit: nothing left to do */
    assert_content("f", "new!", 4);
}

static void new_files_follow_the_umask(void **state)
{
    (void)state;
    const mode_t before = umask(027);
    assert_int_equal(vitc_file_write("f", "x", 1, NULL), VITC_OK);
    umask(before);
    struct stat status;
    assert_int_equal(stat("f", &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(lstat(path, &status), 0);
    return status.st_mode;
}

/* Whatever the umask says, which is asked for new files only. */
static void replaced_files_keep_their_permissions(void **state)
{
    (void)state;
    static const mode_t modes[] = {0600, 0640, 0666, 0755};
    const mode_t before = umask(022);
    put("f", "old");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod("f", modes[i]), 0);
        vitc_file_writer writer;
        assert_int_equal(vitc_file_writer_open(&writer, "f", NULL), VITC_OK);
        assert_int_equal(mode_of(writer.temporary) & 0777, modes[i]);
        assert_int_equal(vitc_file_writer_commit(&writer, NULL), VITC_OK);
        assert_int_equal(mode_of("f") & 0777, modes[i]);
    }
    umask(before);
}

static void links_are_written_through(void **state)
{
    (void)state;
    assert_int_equal(mkdir("far", 0700), 0);
    put("far/target", "old");
    assert_int_equal(symlink("far/target", "near"), 0);
    assert_int_equal(symlink("near", "link"), 0);
    vitc_file_writer writer;
    assert_int_equal(vitc_file_writer_open(&writer, "link", NULL), VITC_OK);
    assert_int_equal(count_entries(), 3); /* the temporary is beside the target */
    vitc_file_writer_append(&writer, "new", 3);
    assert_int_equal(vitc_file_writer_commit(&writer, NULL), VITC_OK);
    assert_content("far/target", "new", 3);
    assert_true(S_ISLNK(mode_of("link")) && S_ISLNK(mode_of("near")));

    assert_int_equal(symlink("nowhere", "broken"), 0); /* nothing to write through to */
    assert_int_equal(vitc_file_write("broken", "x", 1, NULL), VITC_OK);
    assert_true(S_ISREG(mode_of("broken")));
    assert_int_equal(unlink("far/target"), 0);
}

/* The temporary's name is not longer than a name may be, and is cut at a character. */
static void names_may_be_of_any_length(void **state)
{
    (void)state;
    char name[NAME_MAX + 2] = "", temporary[2 * NAME_MAX];
    for (size_t n = 1; n <= NAME_MAX; n++) {
        name[n - 1] = 'x';
        if (n >= 230) assert_int_equal(vitc_file_write(name, "x", 1, NULL), VITC_OK);
    }
    name[NAME_MAX] = 'x';
    vitc_file_writer writer;
    assert_int_equal(vitc_file_writer_open(&writer, name, NULL), VITC_ERR_UNWRITABLE);
    for (size_t i = 0; i + 2 < NAME_MAX; i += 2) memcpy(name + i, "\xC3\xA9", 2);
    for (size_t shift = 0; shift < 2; shift++) { /* one of them would be cut inside a character */
        name[NAME_MAX - 1 - shift] = 0;
        vitc_file_writer_name(temporary, sizeof temporary, name + shift, 0);
        const char *end = strchr(temporary, '.');
        assert_true(strlen(temporary) <= NAME_MAX && end != NULL);
        assert_int_equal((end - temporary) % 2, shift);
    }
}

static void abort_leaves_no_trace(void **state)
{
    (void)state;
    put("f", "old");
    vitc_file_writer writer;
    assert_int_equal(vitc_file_writer_open(&writer, "f", NULL), VITC_OK);
    vitc_file_writer_append(&writer, "half", 4);
    vitc_file_writer_abort(&writer);
    vitc_file_writer_abort(&writer);
    vitc_file_writer_abort(NULL);
    assert_content("f", "old", 3);
    assert_int_equal(count_entries(), 1);
}

/* A write that fails on the way, as on a full disk: the file size limit stands for it because
 * root is bound by it too. */
static void a_failed_write_keeps_the_old_file(void **state)
{
    (void)state;
    static const char block[1 << 16];
    struct rlimit before, tiny;
    put("f", "old");
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tiny = before;
    tiny.rlim_cur = 100 * 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
    log_recorder recorder;
    const vitc_log log = log_recorder_start(&recorder);
    vitc_file_writer writer;
    vitc_status status = vitc_file_writer_open(&writer, "f", &log);
    if (status == VITC_OK) {
        for (int i = 0; i < 4; i++) vitc_file_writer_append(&writer, block, sizeof block);
        status = vitc_file_writer_commit(&writer, &log);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, VITC_ERR_UNWRITABLE);
    assert_int_equal(recorder.messages, 1);
    assert_non_null(strstr(recorder.last, strerror(EFBIG)));
    assert_content("f", "old", 3);
    assert_int_equal(count_entries(), 1);
}

static void a_failed_rename_leaves_no_temporary(void **state)
{
    (void)state;
    vitc_file_writer writer;
    assert_int_equal(vitc_file_writer_open(&writer, "f", NULL), VITC_OK);
    vitc_file_writer_append(&writer, "x", 1);
    assert_int_equal(mkdir("f", 0700), 0); /* a folder appears where the file should go */
    assert_int_equal(vitc_file_writer_commit(&writer, NULL), VITC_ERR_UNWRITABLE);
    assert_int_equal(count_entries(), 1);
}

static void places_that_cannot_be_written(void **state)
{
    (void)state;
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    static const char *const paths[] = {"folder", "fifo", "/dev/full", "missing/f", ""};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        log_recorder recorder;
        const vitc_log log = log_recorder_start(&recorder);
        assert_int_equal(vitc_file_write(paths[i], "x", 1, &log), VITC_ERR_UNWRITABLE);
        assert_int_equal(recorder.messages, 1);
        assert_non_null(strstr(recorder.last, paths[i]));
    }
    assert_int_equal(count_entries(), 2);
}

static void a_stale_temporary_does_not_stop_us(void **state)
{
    (void)state;
    char stale[64];
    snprintf(stale, sizeof stale, "f.%ld-0.tmp", (long)getpid());
    put(stale, "left by a crash");
    assert_int_equal(vitc_file_write("f", "new", 3, NULL), VITC_OK);
    assert_content("f", "new", 3);
    assert_content(stale, "left by a crash", 15);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

static void paths_are_joined_and_compared(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "/b"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = vitc_path_join(cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
        free(path);
    }
    assert_int_equal(vitc_file_write("one", "1", 1, NULL), VITC_OK);
    assert_int_equal(vitc_file_write("two", "1", 1, NULL), VITC_OK);
    assert_int_equal(link("one", "hard"), 0);
    assert_int_equal(symlink("one", "soft"), 0);
    assert_true(vitc_file_is_same("one", "./one"));
    assert_true(vitc_file_is_same("one", "hard"));
    assert_true(vitc_file_is_same("soft", "hard"));
    assert_false(vitc_file_is_same("one", "two"));
    assert_false(vitc_file_is_same("none", "none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(read_and_map_give_the_bytes),
        IN_FOLDER(empty_files_are_files),
        IN_FOLDER(the_limit_is_inclusive),
        IN_FOLDER(unreadable_things_say_what_they_are),
        IN_FOLDER(forbidden_places_are_refused),
        IN_FOLDER(pipes_are_read_to_their_end),
        IN_FOLDER(bad_descriptors_are_unreadable),
        IN_FOLDER(commit_replaces_the_file),
        IN_FOLDER(new_files_follow_the_umask),
        IN_FOLDER(replaced_files_keep_their_permissions),
        IN_FOLDER(links_are_written_through),
        IN_FOLDER(names_may_be_of_any_length),
        IN_FOLDER(abort_leaves_no_trace),
        IN_FOLDER(a_failed_write_keeps_the_old_file),
        IN_FOLDER(a_failed_rename_leaves_no_temporary),
        IN_FOLDER(places_that_cannot_be_written),
        IN_FOLDER(a_stale_temporary_does_not_stop_us),
        IN_FOLDER(paths_are_joined_and_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
