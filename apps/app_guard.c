#include "app_guard.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "vitc_file.h"

enum { MOST_PATHS = 2 };

/* Written before the handler is installed, and only read afterwards. */
static char temporary[MOST_PATHS][PATH_MAX + 64];
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
    for (int i = 0; i < count; i++) unlink(temporary[i]);
    signal(number, SIG_DFL);
    raise(number);
}

void app_guard_output(const char *path)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    if (path == NULL || count >= MOST_PATHS || strlen(path) >= PATH_MAX) return;
    vitc_file_writer_name(temporary[count], sizeof temporary[0], path, 0);
    count++;
    writer = pthread_self();
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction old, action = {.sa_handler = remove_and_end};
        sigemptyset(&action.sa_mask);
        /* A signal that is ignored (nohup) stays ignored. */
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}
