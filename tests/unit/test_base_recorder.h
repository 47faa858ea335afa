/* test_base_recorder.h - a vitc_log that remembers, so that tests can see what was said. */
#ifndef TEST_BASE_RECORDER_H
#define TEST_BASE_RECORDER_H

#include <stdio.h>
#include <string.h>

#include "vitc_base.h"

typedef struct log_recorder {
    int messages;
    vitc_log_level level;
    char last[2048];
} log_recorder;

static void log_recorder_write(void *user, vitc_log_level level, const char *message)
{
    log_recorder *recorder = user;
    recorder->messages++;
    recorder->level = level;
    snprintf(recorder->last, sizeof recorder->last, "%s", message);
}

static inline vitc_log log_recorder_start(log_recorder *recorder)
{
    memset(recorder, 0, sizeof *recorder);
    return (vitc_log){.write = log_recorder_write, .user = recorder};
}

#endif
