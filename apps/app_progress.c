#include "app_progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* One per process, like the terminal that it draws on. */
static struct {
    bool active, visible;
    size_t total;
    double start, drawn; /* seconds */
} progress;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void app_progress_start(size_t total, bool quiet)
{
    progress.active = !quiet && total > 1 && isatty(STDERR_FILENO) == 1;
    progress.visible = false;
    progress.total = total;
    progress.start = progress.drawn = now();
}

void app_progress_update(size_t done)
{
    if (!progress.active || done == 0) return;
    const double time = now();
    if (time - progress.drawn < 0.1) return;
    progress.drawn = time;
    const double elapsed = time - progress.start;
    const double rate = (double)done / elapsed;
    const double left = (double)(progress.total - done) / rate;
    const unsigned long seconds = (unsigned long)(left + 0.5);
    fprintf(stderr, "\r\033[K%zu of %zu, %.*f images/s, %lu:%02lu:%02lu left", done, progress.total,
            rate < 10 ? 1 : 0, rate, seconds / 3600, seconds / 60 % 60, seconds % 60);
    fflush(stderr);
    progress.visible = true;
}

void app_progress_note(bool quiet, const char *format, ...)
{
    if (quiet || isatty(STDERR_FILENO) != 1) return;
    va_list arguments;
    va_start(arguments, format);
    fputs("\r\033[K", stderr);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fflush(stderr);
    progress.visible = true;
}

void app_progress_clear(void)
{
    if (!progress.visible) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    progress.visible = false;
}

void app_progress_finish(void)
{
    app_progress_clear();
    progress.active = false;
}
