#include "vitc_log.h"

#include <stdarg.h>
#include <stdio.h>

#define MESSAGE_BYTES 1024

void vitc_log_write(const vitc_log *log, vitc_log_level level, const char *format, ...)
{
    if (log == NULL || log->write == NULL) return;
    char message[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    log->write(log->user, level, message);
}
