/* vitc_log.h - how library code reports and propagates errors (private to vitc). */
#ifndef VITC_LOG_H
#define VITC_LOG_H

#include "vitc_base.h"

/* Formats one line and hands it to the callback; lines over 1023 bytes are cut between
 * two UTF-8 characters. */
void vitc_log_write(const vitc_log *log, vitc_log_level level, const char *format, ...)
    VITC_PRINTF(3, 4);

/* Reports an error and gives `status`, so that the detector reads
 *     return vitc_fail(log, VITC_ERR_CORRUPT, "%s: ...", path, ...);
 * A macro, so that compilers and analyzers see that what fails does not come back as VITC_OK. */
#define vitc_fail(log, status, ...) (vitc_log_write((log), VITC_LOG_ERROR, __VA_ARGS__), (status))

/* "out of memory" for `what`, e.g. "image pixels"; returns VITC_ERR_MEMORY. */
static inline vitc_status vitc_fail_memory(const vitc_log *log, const char *what)
{
    return vitc_fail(log, VITC_ERR_MEMORY, "out of memory for %s", what);
}

/* Room for a name or value from a file inside a message. */
#define VITC_SHOWN_SIZE 100

/* Text from a file as a message may show it: control characters become "?", and what is longer than
 * fits is cut between two UTF-8 characters and ends in "...". Returns `shown`. */
const char *vitc_show(char shown[VITC_SHOWN_SIZE], const char *text);

/* Propagates a failure without adding a message: the detector has already spoken. */
#define VITC_TRY(expression)                                                                       \
    do {                                                                                           \
        const vitc_status vitc_try_status = (expression);                                          \
        if (vitc_try_status != VITC_OK) return vitc_try_status;                                    \
    } while (0)

#endif
