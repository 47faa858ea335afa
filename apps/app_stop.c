#include "app_stop.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "app_options.h"

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { SIGNAL_COUNT = sizeof signals / sizeof *signals };

static atomic_int asked; /* the signal; 0: none */
static const char *_Atomic words;

/* Calls nothing that a signal handler may not. */
static void note(int number)
{
    const int error = errno;
    const char *line = atomic_load(&words);
    atomic_store(&asked, number);
    /* It may fail: then nobody reads. */
    if (line != NULL && write(STDERR_FILENO, line, strlen(line)) < 0) line = NULL;
    for (int i = 0; i < SIGNAL_COUNT; i++) signal(signals[i], SIG_DFL);
    errno = error;
}

void app_stop_say(const char *line)
{
    atomic_store(&words, line);
}

void app_stop_watch(void)
{
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        struct sigaction old, action = {.sa_handler = note, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        /* A signal that is ignored (a background job's) stays ignored. */
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}

bool app_stop_asked(void)
{
    return atomic_load(&asked) != 0;
}

int app_stop_status(int exit_status)
{
    const int number = atomic_load(&asked);
    return number != 0 && exit_status <= APP_EXIT_INPUTS ? 128 + number : exit_status;
}
