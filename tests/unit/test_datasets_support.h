/* test_datasets_support.h - sets in folders of their own, and what comes out of them as text. */
#ifndef TEST_DATASETS_SUPPORT_H
#define TEST_DATASETS_SUPPORT_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "datasets_private.h"

/* ---- a fresh empty folder for each test, which is the current one ---- */

static char set_folder[] = "/tmp/vitc-test-XXXXXX";

static inline int set_folder_enter(void **state)
{
    (void)state;
    memset(set_folder + strlen(set_folder) - 6, 'X', 6);
    return mkdtemp(set_folder) != NULL && chdir(set_folder) == 0 ? 0 : -1;
}

static int set_folder_remove(const char *path, const struct stat *status, int type,
                             struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static inline int set_folder_leave(void **state)
{
    (void)state;
    return chdir("/") == 0 && nftw(set_folder, set_folder_remove, 16, FTW_DEPTH | FTW_PHYS) == 0
               ? 0
               : -1;
}

/* Makes a file, and the folders that it lies in. */
static inline void put_bytes(const char *path, const void *bytes, size_t size)
{
    char folder[512];
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        (void)mkdir(folder, 0777);
    }
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
}

static inline void put(const char *path, const char *text)
{
    put_bytes(path, text, strlen(text));
}

/* ---- what is said, a line for each message ---- */

typedef struct said {
    char text[8192];
} said;

static void said_write(void *user, vitc_log_level level, const char *message)
{
    static const char *const levels[] = {"error", "warning", "information"};
    said *all = user;
    const size_t used = strlen(all->text);
    snprintf(all->text + used, sizeof all->text - used, "%s: %s\n", levels[level], message);
}

static inline vitc_log said_start(said *all)
{
    all->text[0] = 0;
    return (vitc_log){.write = said_write, .user = all};
}

/* ---- what a set gives, a line for each image ---- */

typedef struct listing {
    char text[16384];
    vitc_status status; /* of opening, or of the reading that failed */
    datasets_kind kind;
    datasets_survey survey;
    char classes[1024]; /* "cat dog " */
    said said;
} listing;

static inline void listing_add(listing *all, const char *format, ...) VITC_PRINTF(2, 3);
static inline void listing_add(listing *all, const char *format, ...)
{
    const size_t used = strlen(all->text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(all->text + used, sizeof all->text - used, format, arguments);
    va_end(arguments);
}

/* "index class path =bytes", or ": status: reason" instead of bytes; "-" for no class. */
static inline void listing_item(listing *all, const datasets_set *set, datasets_item *item)
{
    const char *name = item->label >= 0 ? datasets_class_name(set, (size_t)item->label) : "-";
    datasets_item_read(item, 0);
    listing_add(all, "%d %s %s", (int)item->index, name, item->path);
    if (item->status != VITC_OK)
        listing_add(all, ": %s: %s\n", vitc_status_string(item->status), item->error);
    else if (item->image.pixels != NULL)
        listing_add(all, " %ux%u\n", item->image.width, item->image.height);
    else
        listing_add(all, " =%.*s\n", (int)item->size, (const char *)item->bytes);
    /* Exactly one of its contents is set. */
    assert_null(item->file);
    assert_int_equal((item->bytes != NULL) + (item->image.pixels != NULL),
                     item->status == VITC_OK ? 1 : 0);
    assert_true((item->error != NULL) == (item->status != VITC_OK));
}

static inline void listing_read(listing *all, datasets_set *set, const vitc_log *log)
{
    for (;;) {
        datasets_item item;
        bool end;
        all->status = datasets_next(&item, &end, set, log);
        if (all->status != VITC_OK || end) break;
        listing_item(all, set, &item);
        datasets_item_free(&item);
    }
}

/* Opens, surveys and reads a set. */
static inline void listing_of_options(listing *all, const char *const *paths, size_t count,
                                      const datasets_options *options)
{
    memset(all, 0, sizeof *all);
    const vitc_log log = said_start(&all->said);
    datasets_set *set;
    all->status = datasets_open(&set, paths, count, options, &log);
    if (all->status != VITC_OK) {
        assert_null(set);
        return;
    }
    all->kind = datasets_set_kind(set);
    assert_int_equal(datasets_survey_set(&all->survey, set, NULL, NULL, &log), VITC_OK);
    listing_read(all, set, &log);
    for (size_t i = 0; i < datasets_class_count(set); i++) {
        const size_t used = strlen(all->classes);
        snprintf(all->classes + used, sizeof all->classes - used, "%s ",
                 datasets_class_name(set, i));
    }
    datasets_close(set);
}

static inline void listing_of(listing *all, const char *path)
{
    const datasets_options options = datasets_options_default();
    listing_of_options(all, &path, 1, &options);
}

static inline void listing_unlabelled(listing *all, const char *path)
{
    datasets_options options = datasets_options_default();
    options.labelled = false;
    listing_of_options(all, &path, 1, &options);
}

#endif
