/* What a signal that ends the program leaves of an output: nothing of this process's, and
 * everything of others. */
#include "test_app_support.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "app_guard.h"

/* Ends a child that is writing to `path`, after making the first `taken` of its temporary names. */
static void end_while_writing(const char *path, unsigned taken)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        vitc_file_writer writer;
        for (unsigned attempt = 0; attempt < taken; attempt++) {
            char name[256];
            vitc_file_writer_name(name, sizeof name, path, attempt);
            FILE *stream = fopen(name, "wb");
            if (stream == NULL || fclose(stream) != 0) _exit(1);
        }
        app_guard_output(path);
        if (vitc_file_writer_open(&writer, path, NULL) != VITC_OK) _exit(2);
        raise(SIGTERM);
        _exit(3);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
    for (unsigned attempt = 0; attempt < taken + 2; attempt++) {
        char name[256];
        snprintf(name, sizeof name, "%s.%ld-%u.tmp", path, (long)child, attempt);
        assert_int_equal(access(name, F_OK) == 0, attempt < taken);
        (void)unlink(name);
    }
}

static void a_signal_leaves_no_part(void **state)
{
    (void)state;
    end_while_writing("out", 0);
}

/* Left by a killed process of the same number, in another container perhaps. */
static void taken_names_stay(void **state)
{
    (void)state;
    end_while_writing("out", 1);
    end_while_writing("out", 3);
}

static void links_are_followed(void **state)
{
    (void)state;
    assert_int_equal(mkdir("far", 0700), 0);
    FILE *stream = fopen("far/out", "wb");
    assert_true(stream != NULL && fclose(stream) == 0);
    assert_int_equal(symlink("far/out", "link"), 0);
    end_while_writing("link", 0);
    assert_int_equal(unlink("far/out"), 0);
    assert_int_equal(rmdir("far"), 0); /* empty */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_signal_leaves_no_part, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(taken_names_stay, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(links_are_followed, enter_folder, leave_folder),
    };
    return cmocka_run_group_tests_name("app_guard", tests, NULL, NULL);
}
