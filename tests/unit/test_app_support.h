/* test_app_support.h - for tests of the program's own parts: a folder to write in, and what was
 * written. Every test runs inside a fresh empty folder. */
#ifndef TEST_APP_SUPPORT_H
#define TEST_APP_SUPPORT_H

#include <ctype.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vitc_file.h"

static char support_folder[64];

static inline int enter_folder(void **state)
{
    (void)state;
    strcpy(support_folder, "/tmp/vitc-test-XXXXXX");
    return mkdtemp(support_folder) != NULL && chdir(support_folder) == 0 ? 0 : -1;
}

static inline int leave_folder(void **state)
{
    (void)state;
    DIR *here = opendir(".");
    if (here == NULL) return -1;
    for (const struct dirent *entry; (entry = readdir(here)) != NULL;)
        if (unlink(entry->d_name) != 0) (void)rmdir(entry->d_name);
    closedir(here);
    return chdir("/") == 0 && rmdir(support_folder) == 0 ? 0 : -1;
}

/* A file's text, for the caller to free. */
static inline char *read_text(const char *path)
{
    const vitc_log silent = {0};
    unsigned char *data;
    size_t size;
    assert_int_equal(vitc_file_read(&data, &size, path, 1 << 28, &silent), VITC_OK);
    char *text = malloc(size + 1);
    assert_non_null(text);
    memcpy(text, data, size);
    text[size] = 0;
    free(data);
    return text;
}

static inline void write_text(const char *path, const char *text)
{
    const vitc_log silent = {0};
    assert_int_equal(vitc_file_write(path, text, strlen(text), &silent), VITC_OK);
}

static inline size_t count_text(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what)) count++;
    return count;
}

/* ---- well-formed XML, as far as these files use it ---- */

static inline void check_entity(const char *at)
{
    static const char *const known[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(at, known[i], strlen(known[i])) == 0) return;
    fail_msg("not an entity: %.20s", at);
}

/* The end of a tag's name. */
static inline size_t name_length(const char *at)
{
    size_t length = 0;
    while (isalnum((unsigned char)at[length]) || at[length] == '-') length++;
    if (length == 0) fail_msg("not a tag: %.40s", at);
    return length;
}

/* From behind the name to behind ">": attributes with values in double quotes. */
static inline const char *check_attributes(const char *at, int *closed)
{
    *closed = 0;
    for (;;) {
        while (isspace((unsigned char)*at)) at++;
        if (*at == '/') {
            *closed = 1;
            at++;
        }
        if (*at == '>') return at + 1;
        at += name_length(at);
        while (*at == ':') at += 1 + name_length(at + 1);
        if (at[0] != '=' || at[1] != '"') fail_msg("not an attribute: %.40s", at);
        for (at += 2; *at != '"'; at++) {
            if (*at == 0 || *at == '<') fail_msg("an attribute without an end");
            if (*at == '&') check_entity(at);
        }
        at++;
    }
}

/* Fails unless every element is closed in its turn, attributes are quoted and text is escaped. */
static inline void check_xml(const char *text)
{
    const char *open[64];
    size_t depth = 0, elements = 0;
    const char *at = text;
    if (strncmp(at, "<?xml ", 6) == 0) at = strstr(at, "?>") + 2;
    while (*at != 0) {
        if (*at == '&') check_entity(at);
        if (*at != '<') {
            if (depth == 0 && !isspace((unsigned char)*at))
                fail_msg("text outside of all elements");
            at++;
            continue;
        }
        const int end = at[1] == '/';
        const char *name = at + 1 + end;
        const size_t length = name_length(name);
        int closed = 0;
        at = check_attributes(name + length, &closed);
        if (end) {
            if (depth == 0 || strncmp(open[depth - 1], name, length) != 0 ||
                name_length(open[depth - 1]) != length)
                fail_msg("%.20s closes what is not open", name);
            depth--;
        } else {
            if (depth == 0 && elements > 0) fail_msg("a second root");
            elements++;
            assert_true(depth < sizeof open / sizeof *open);
            if (!closed) open[depth++] = name;
        }
    }
    if (depth != 0) fail_msg("<%.20s is not closed", open[depth - 1]);
    assert_true(elements > 0);
}

#endif
