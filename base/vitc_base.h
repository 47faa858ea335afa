/* vitc_base.h - what every vitc library shares: status codes, the log callback, the version.
 *
 * Rules that hold for every public function of vitc:
 *  - A function that can fail returns vitc_status; VITC_OK is 0.
 *  - The place that detects an error reports it once through the caller's vitc_log, in a sentence
 *    that names the input, the cause and what to do; callers in between only pass the status on.
 *  - No function exits, aborts, prints, installs a signal handler or keeps mutable global state.
 *  - *_free() accepts NULL. Outputs are untouched, or emptied, when a call fails.
 */
#ifndef VITC_BASE_H
#define VITC_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VITC_VERSION_MAJOR  0
#define VITC_VERSION_MINOR  1
#define VITC_VERSION_PATCH  0
#define VITC_VERSION_STRING "0.1.0"

/* Marks the symbols that the shared library exports; everything else is hidden. */
#if defined(__GNUC__)
#define VITC_API          __attribute__((visibility("default")))
#define VITC_MUST_CHECK   __attribute__((warn_unused_result))
#define VITC_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define VITC_API
#define VITC_MUST_CHECK
#define VITC_PRINTF(f, a)
#endif

/* Values are part of the ABI: new ones are added at the end. */
typedef enum vitc_status {
    VITC_OK = 0,
    VITC_ERR_ARGUMENT = 1, /* the caller broke a contract stated in a header */
    VITC_ERR_MEMORY = 2,   /* an allocation failed */
    VITC_ERR_UNREADABLE =
        3, /* a file could not be opened or read (missing, permissions, a folder) */
    VITC_ERR_UNWRITABLE = 4,  /* a file could not be written (permissions, full disk) */
    VITC_ERR_TRUNCATED = 5,   /* the data ends early */
    VITC_ERR_CORRUPT = 6,     /* the data contradicts its own format */
    VITC_ERR_UNSUPPORTED = 7, /* a valid thing that vitc does not read or do */
    VITC_ERR_TOO_LARGE = 8,   /* beyond a limit (pixels, side, scans, header, file size) */
    VITC_ERR_MODEL = 9, /* weights and config do not make one model (missing tensor, shape, ...) */
    VITC_ERR_PREPROCESS = 10, /* no preprocessing spec, or one that cannot be followed */
    VITC_ERR_UNTRAINED = 11,  /* the classifier head is all zero: scores would mean nothing */
    VITC_ERR_INTERNAL = 12,   /* a bug in vitc, or in a library that it calls */
    VITC_ERR_OVERFLOW = 13    /* a model's numbers stop being finite: there is no answer */
} vitc_status;

/* A short English name of the status, for example "truncated"; never NULL. Thread-safe. */
VITC_API const char *vitc_status_string(vitc_status status);

/* The version of the library that is running, "major.minor.patch". */
VITC_API const char *vitc_version(void);

typedef enum vitc_log_level {
    VITC_LOG_ERROR = 0, /* the call that is running will fail, and this is why */
    VITC_LOG_WARN = 1,  /* the call goes on; the user should know */
    VITC_LOG_INFO = 2   /* what was chosen, for the curious */
} vitc_log_level;

/* Where messages go. `write` gets one line of UTF-8 without the newline, valid during the call.
 * It may be called from any thread that runs vitc code, but never by two at once for one call into
 * the library. A NULL vitc_log, or a NULL `write`, means silence. */
typedef struct vitc_log {
    void (*write)(void *user, vitc_log_level level, const char *message);
    void *user;
} vitc_log;

#ifdef __cplusplus
}
#endif
#endif
