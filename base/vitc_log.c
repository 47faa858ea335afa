#include "vitc_log.h"

#include <stdarg.h>
#include <stdio.h>

#define MESSAGE_BYTES 1024

static void log_write_list(const vitc_log *log, vitc_log_level level, const char *format,
                           va_list arguments)
{
    if (log == NULL || log->write == NULL) return;
    char message[MESSAGE_BYTES];
    vsnprintf(message, sizeof message, format, arguments);
    log->write(log->user, level, message);
}

void vitc_log_write(const vitc_log *log, vitc_log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_write_list(log, level, format, arguments);
    va_end(arguments);
}

vitc_status vitc_fail(const vitc_log *log, vitc_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_write_list(log, VITC_LOG_ERROR, format, arguments);
    va_end(arguments);
    return status;
}

vitc_status vitc_fail_memory(const vitc_log *log, const char *what)
{
    return vitc_fail(log, VITC_ERR_MEMORY, "out of memory for %s", what);
}
