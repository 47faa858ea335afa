#include "app_progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app_text.h"
#include "vitc_clock.h"

/* One per process, like the terminal that it draws on. */
static struct {
    bool active, visible;
    const char *what;
    uint64_t total;      /* UINT64_MAX: not known */
    double start, drawn; /* seconds */
} progress;

bool app_progress_wanted(bool quiet)
{
    return !quiet && isatty(STDERR_FILENO) == 1;
}

void app_progress_start(const char *what, uint64_t total, bool quiet)
{
    flockfile(stderr);
    progress.what = what;
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

/* The last column stays free: some terminals go to the next line after it. */
static void show(char *text)
{
    app_text_shorten(text, app_terminal_of(stderr).columns - 1);
    fprintf(stderr, "\r\033[K%s", text);
    fflush(stderr);
    progress.visible = true;
}

static void draw(uint64_t done, double elapsed)
{
    char text[256], total[32] = "", left[48] = "";
    const double rate = (double)done / elapsed;
    const int digits = rate < 10 ? 1 : 0;
    if (progress.total != UINT64_MAX && progress.total >= done) {
        const double rest = (double)(progress.total - done) / rate;
        const unsigned long seconds = (unsigned long)(rest + 0.5);
        snprintf(total, sizeof total, " of %" PRIu64, progress.total);
        snprintf(left, sizeof left, ", %lu:%02lu:%02lu left", seconds / 3600, seconds / 60 % 60,
                 seconds % 60);
    }
    const bool named = progress.what != NULL;
    snprintf(text, sizeof text, "%s%s%" PRIu64 "%s%s, %.*f images/s%s", named ? progress.what : "",
             named ? " " : "", done, total, named ? " images" : "", digits, rate, left);
    show(text);
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
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) text = NULL;
    va_end(arguments);
    char *safe = text != NULL ? app_text_printable(text) : NULL;
    flockfile(stderr);
    if (safe != NULL) show(safe);
    funlockfile(stderr);
    free(safe);
    free(text);
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
