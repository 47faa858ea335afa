#include "app_progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "vitc_clock.h"

/* One per process, like the terminal that it draws on. */
static struct {
    bool active, visible;
    uint64_t total;      /* UINT64_MAX: not known */
    double start, drawn; /* seconds */
} progress;

bool app_progress_wanted(bool quiet)
{
    return !quiet && isatty(STDERR_FILENO) == 1;
}

void app_progress_start(uint64_t total, bool quiet)
{
    flockfile(stderr);
    progress.active = total > 1 && app_progress_wanted(quiet);
    progress.visible = false;
    progress.total = total;
    progress.start = progress.drawn = vitc_clock_seconds();
    funlockfile(stderr);
}

void app_progress_total(uint64_t total)
{
    flockfile(stderr);
    progress.total = total;
    funlockfile(stderr);
}

static void draw(uint64_t done, double elapsed)
{
    const double rate = (double)done / elapsed;
    const int digits = rate < 10 ? 1 : 0;
    if (progress.total == UINT64_MAX || progress.total < done) {
        fprintf(stderr, "\r\033[K%" PRIu64 ", %.*f images/s", done, digits, rate);
    } else {
        const double left = (double)(progress.total - done) / rate;
        const unsigned long seconds = (unsigned long)(left + 0.5);
        fprintf(stderr, "\r\033[K%" PRIu64 " of %" PRIu64 ", %.*f images/s, %lu:%02lu:%02lu left",
                done, progress.total, digits, rate, seconds / 3600, seconds / 60 % 60,
                seconds % 60);
    }
    fflush(stderr);
    progress.visible = true;
}

void app_progress_update(uint64_t done)
{
    flockfile(stderr);
    const double time = vitc_clock_seconds();
    if (progress.active && done != 0 && time - progress.drawn >= 0.1) {
        progress.drawn = time;
        draw(done, time - progress.start);
    }
    funlockfile(stderr);
}

void app_progress_note(bool quiet, const char *format, ...)
{
    if (!app_progress_wanted(quiet)) return;
    va_list arguments;
    va_start(arguments, format);
    flockfile(stderr);
    fputs("\r\033[K", stderr);
    vfprintf(stderr, format, arguments);
    fflush(stderr);
    progress.visible = true;
    funlockfile(stderr);
    va_end(arguments);
}

void app_progress_clear(void)
{
    flockfile(stderr);
    if (progress.visible) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        progress.visible = false;
    }
    funlockfile(stderr);
}

void app_progress_finish(void)
{
    flockfile(stderr);
    app_progress_clear();
    progress.active = false;
    funlockfile(stderr);
}
