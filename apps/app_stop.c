#include "app_stop.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#include "app_options.h"

static const int signals[] = {SIGINT, SIGTERM};
enum { SIGNAL_COUNT = sizeof signals / sizeof *signals };

static atomic_int asked; /* the signal; 0: none */

static void note(int number)
{
    atomic_store(&asked, number);
    for (int i = 0; i < SIGNAL_COUNT; i++) signal(signals[i], SIG_DFL);
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
