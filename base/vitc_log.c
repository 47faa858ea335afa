#include "vitc_log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_BYTES 1024

/* Where text is cut after n bytes, so that no UTF-8 character is cut in two. */
static size_t cut_length(const char *text, size_t n)
{
    while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) n--;
    return n;
}

void vitc_log_write(const vitc_log *log, vitc_log_level level, const char *format, ...)
{
    if (log == NULL || log->write == NULL) return;
    char message[MESSAGE_BYTES + 1]; /* with the byte after the cut */
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (length >= MESSAGE_BYTES) message[cut_length(message, MESSAGE_BYTES - 1)] = 0;
    log->write(log->user, level, message);
}

const char *vitc_show(char shown[VITC_SHOWN_SIZE], const char *text)
{
    static const size_t most = VITC_SHOWN_SIZE - 4;
    size_t n = strnlen(text, most);
    const bool cut = text[n] != 0;
    if (cut) n = cut_length(text, n);
    for (size_t i = 0; i < n; i++) {
        const unsigned char byte = (unsigned char)text[i];
        shown[i] = '?';
        if (byte >= 0x20 && byte != 0x7F) shown[i] = text[i];
    }
    memcpy(shown + n, cut ? "..." : "", cut ? 4 : 1);
    return shown;
}
