#include "app_report.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app_progress.h"
#include "app_ranks.h"
#include "app_text.h"

static void write_line(const char *kind, const char *message)
{
    char *safe = app_text_printable(message);
    flockfile(stderr); /* the line and what the progress takes away for it, as one */
    app_progress_clear();
    fprintf(stderr, "vitc: %s%s%s\n", app_ranks_name(), kind,
            safe != NULL ? safe : "out of memory");
    funlockfile(stderr);
    free(safe);
}

static void write_formatted(const char *kind, const char *format, va_list arguments)
{
    char *message = NULL;
    if (vasprintf(&message, format, arguments) < 0) message = NULL;
    write_line(kind, message != NULL ? message : "out of memory");
    free(message);
}

void app_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_formatted("", format, arguments);
    va_end(arguments);
}

void app_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_formatted("warning: ", format, arguments);
    va_end(arguments);
}

static void log_write(void *user, vitc_log_level level, const char *message)
{
    const app_settings *settings = user;
    if (level == VITC_LOG_WARN && settings->quiet) return;
    if (level == VITC_LOG_INFO && (settings->quiet || !settings->verbose)) return;
    write_line(level == VITC_LOG_WARN ? "warning: " : "", message);
}

vitc_log app_log(const app_settings *settings)
{
    return (vitc_log){log_write, (void *)(uintptr_t)settings};
}

vitc_log app_log_errors(void)
{
    static const app_settings quiet = {.quiet = true};
    return app_log(&quiet);
}

int app_exit_status(vitc_status status)
{
    switch (status) {
    case VITC_OK:
        return APP_EXIT_DONE;
    case VITC_ERR_UNREADABLE:
    case VITC_ERR_TRUNCATED:
    case VITC_ERR_CORRUPT:
    case VITC_ERR_UNSUPPORTED:
    case VITC_ERR_TOO_LARGE:
    case VITC_ERR_MODEL:
    case VITC_ERR_PREPROCESS:
    case VITC_ERR_UNTRAINED:
    case VITC_ERR_OVERFLOW:
        return APP_EXIT_MODEL;
    case VITC_ERR_ARGUMENT: /* options are checked, so it is VITC_ISA, or a file over itself */
        return APP_EXIT_USAGE;
    case VITC_ERR_MEMORY:
    case VITC_ERR_UNWRITABLE:
    case VITC_ERR_INTERNAL:
        break;
    }
    return APP_EXIT_INTERNAL;
}

/* stdio forgets why a write failed that it made on its own, when a buffer was full. */
static bool reader_is_gone(int error)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return error == EPIPE || (poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0);
}

bool app_stdout_flush(bool *gone)
{
    static bool reported; /* a stream that failed stays failed; once is enough */
    *gone = false;
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return true;
    const int error = errno;
    *gone = reader_is_gone(error);
    if (!*gone && !reported)
        app_error("cannot write to standard output: %s",
                  error != 0 ? strerror(error) : "the device took no more");
    reported = true;
    return false;
}

int app_stdout_finish(int exit_status)
{
    bool gone;
    if (app_stdout_flush(&gone) || gone) return exit_status;
    return APP_EXIT_INTERNAL;
}
