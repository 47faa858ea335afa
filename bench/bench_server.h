/* bench_server.h - what the programs that benchmarks talk to do alike: every failure ends them,
 * with a message. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdio.h>
#include <stdlib.h>

#include "vitc.h"

extern const char *const server_name; /* of the program */

static inline void stop(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", server_name, what, why);
    exit(1);
}

static inline void check(vitc_status status, const char *what)
{
    if (status != VITC_OK) stop(what, vitc_status_string(status));
}

static inline void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) stop("memory", "not enough");
    return memory;
}

static inline void show_message(void *context, vitc_log_level level, const char *message)
{
    (void)context;
    (void)level;
    fprintf(stderr, "%s: %s\n", server_name, message);
}

#endif
