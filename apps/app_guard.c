#include "app_guard.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vitc_file.h"

enum { MOST_PATHS = 12 };

/* Written before the handler is installed, and only read afterwards. What cannot be unlinked is a
 * folder, which comes after its files. */
static char temporary[MOST_PATHS][PATH_MAX + 256];
static volatile sig_atomic_t count;
static pthread_t writer;

/* Only in the thread that writes, so that no file is made after it was looked for; and the default,
 * which ends the program, comes back last: the same signal may reach another thread meanwhile. */
static void remove_and_end(int number)
{
    if (!pthread_equal(pthread_self(), writer)) {
        pthread_kill(writer, number);
        return;
    }
    for (int i = 0; i < count; i++)
        if (unlink(temporary[i]) != 0) rmdir(temporary[i]);
    signal(number, SIG_DFL);
    raise(number);
}

static void install(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    writer = pthread_self();
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction old, action = {.sa_handler = remove_and_end};
        sigemptyset(&action.sa_mask);
        /* A signal that is ignored (nohup) stays ignored. */
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}

/* The first name that is free, as the writer will find it: a process of the same number may have
 * left its own when it was killed. */
static void name_temporary(char *name, size_t size, const char *path)
{
    unsigned attempt = 0;
    do vitc_file_writer_name(name, size, path, attempt);
    while (access(name, F_OK) == 0 && ++attempt < 1000);
}

void app_guard_output(const char *path)
{
    if (path == NULL || count >= MOST_PATHS) return;
    char *target = vitc_file_writer_target(path);
    if (target != NULL && strlen(target) < PATH_MAX) {
        name_temporary(temporary[count], sizeof temporary[0], target);
        count++;
        install();
    }
    free(target);
}

void app_guard_folder(const char *path, const char *const *names, size_t name_count)
{
    char folder[PATH_MAX + 64], file[PATH_MAX + 192];
    char final[PATH_MAX];
    if (path == NULL || strlen(path) >= sizeof final ||
        (size_t)count + 2 * name_count + 1 > MOST_PATHS)
        return;
    snprintf(final, sizeof final, "%s", path);
    for (size_t end = strlen(final); end > 1 && final[end - 1] == '/'; end--) final[end - 1] = 0;
    name_temporary(folder, sizeof folder, final);
    for (size_t i = 0; i < name_count; i++) {
        snprintf(file, sizeof file, "%s/%s", folder, names[i]);
        snprintf(temporary[count++], sizeof temporary[0], "%s", file);
        name_temporary(temporary[count++], sizeof temporary[0], file);
    }
    snprintf(temporary[count++], sizeof temporary[0], "%s", folder);
    install();
}
