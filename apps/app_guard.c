#include "app_guard.h"

#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "vitc_file.h"

enum { MOST_PATHS = 2 };

/* Written before the handler is installed, and only read afterwards. */
static char temporary[MOST_PATHS][PATH_MAX + 64];
static volatile sig_atomic_t count;

static void remove_and_end(int number)
{
    for (int i = 0; i < count; i++) unlink(temporary[i]);
    raise(number); /* SA_RESETHAND: the default again, which ends the program */
}

void app_guard_output(const char *path)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    if (path == NULL || count >= MOST_PATHS || strlen(path) >= PATH_MAX) return;
    vitc_file_writer_name(temporary[count], sizeof temporary[0], path, 0);
    count++;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction old,
            action = {.sa_handler = remove_and_end, .sa_flags = (int)SA_RESETHAND};
        sigemptyset(&action.sa_mask);
        /* A signal that is ignored (nohup) stays ignored. */
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}
