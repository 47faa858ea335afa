/* test_patches_support.h - what the tests of patches/ share. */
#ifndef VITC_TEST_PATCHES_SUPPORT_H
#define VITC_TEST_PATCHES_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "patches_private.h"

/* The last message, and how many there were. */
typedef struct capture {
    char text[1024];
    int count;
} capture;

static inline void capture_write(void *user, vitc_log_level level, const char *message)
{
    capture *c = user;
    (void)level;
    snprintf(c->text, sizeof c->text, "%s", message);
    c->count++;
}

static inline vitc_log capture_log(capture *c)
{
    memset(c, 0, sizeof *c);
    return (vitc_log){.write = capture_write, .user = c};
}

/* One message, on one line, that holds `part`. */
static inline void capture_expect(const capture *c, const char *part)
{
    if (c->count != 1 || strstr(c->text, part) == NULL || strpbrk(c->text, "\r\n") != NULL)
        fail_msg("%d messages, the last \"%s\"; wanted one with \"%s\"", c->count, c->text, part);
}

/* Small repeatable random numbers (xorshift64*, Vigna 2016). */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717u;
}

static inline uint32_t random_range(uint64_t *state, uint32_t from, uint32_t to)
{
    return from + (uint32_t)(random_next(state) >> 33) % (to - from + 1);
}

static inline uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline void parse_ok(patches_spec *spec, const char *json, const char *model_type)
{
    capture c;
    const vitc_log log = capture_log(&c);
    const vitc_status status =
        patches_spec_parse(spec, json, strlen(json), "spec.json", model_type, &log);
    if (status != VITC_OK) fail_msg("%s\n-> %s", json, c.text);
    assert_int_equal(c.count, 0);
}

/* One table of height x width patches, without prefix tokens. */
static inline patches_position table_view(const float *table, uint32_t height, uint32_t width,
                                          uint32_t depth)
{
    return (patches_position){.kind = PATCHES_POSITION_LEARNED_1D,
                              .grid_height = height,
                              .grid_width = width,
                              .width = depth,
                              .table = table};
}

#endif
