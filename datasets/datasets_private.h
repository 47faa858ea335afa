/* datasets_private.h - what the parts of datasets share: classes, and cursors over one kind each.
 */
#ifndef VITC_DATASETS_PRIVATE_H
#define VITC_DATASETS_PRIVATE_H

#include "datasets.h"

/* ---- class names (datasets_classes.c) ---- */

typedef struct datasets_classes datasets_classes;

VITC_MUST_CHECK vitc_status datasets_classes_create(datasets_classes **classes,
                                                    const vitc_log *log);
void datasets_classes_free(datasets_classes *classes);
size_t datasets_classes_count(const datasets_classes *classes);
const char *datasets_classes_name(const datasets_classes *classes, size_t label);
/* The label of a name, added at the end when it is new. Names are byte strings. */
VITC_MUST_CHECK vitc_status datasets_classes_label(int64_t *label, datasets_classes *classes,
                                                   const char *name, const vitc_log *log);
/* From a file with one name per line: an error names the file and line. */
VITC_MUST_CHECK vitc_status datasets_classes_read(datasets_classes *classes, const char *path,
                                                  const vitc_log *log);

/* ---- names (datasets_names.c) ---- */

/* Like strcmp, but runs of digits compare as numbers: img2 before img10. */
int datasets_names_compare(const char *a, const char *b);
/* Hidden files, Thumbs.db, desktop.ini: what systems leave in folders. */
bool datasets_names_clutter(const char *name);

/* ---- cursors ---- */

/* Who decides which images come out of a cursor, and counts them. A cursor asks once for each
 * image, in order, before it spends anything on its bytes; `below` is the path below the set, with
 * /. */
typedef struct datasets_filter {
    bool (*keep)(void *user, const char *below, const char *path, int64_t label, uint64_t *index);
    void *user;
} datasets_filter;

/* A place in one kind of set. `next` gives the next image that the filter keeps, its index from the
 * filter; *end after the last. Each kind has one file: datasets_<kind>.c with an open function. */
typedef struct datasets_cursor datasets_cursor;
struct datasets_cursor {
    vitc_status (*next)(datasets_cursor *cursor, datasets_item *item, bool *end,
                        const datasets_filter *filter, const vitc_log *log);
    void (*close)(datasets_cursor *cursor);
};

/* What every kind is opened with. Opened several times on the same classes (for a survey, too), a
 * kind gives the same labels. */
typedef struct datasets_opening {
    const char *const *paths;
    size_t count;
    const datasets_options *options;
    datasets_classes *classes;
} datasets_opening;

typedef vitc_status datasets_open_fn(datasets_cursor **cursor, const datasets_opening *opening,
                                     const vitc_log *log);
datasets_open_fn datasets_files_open, datasets_folders_open, datasets_manifest_open,
    datasets_tar_open, datasets_idx_open, datasets_cifar_open;

/* Whether a file is of a kind, by its name and first bytes; `head` holds up to 512 of them. */
bool datasets_manifest_is(const char *path);
bool datasets_tar_is(const char *path, const unsigned char *head, size_t size);
bool datasets_idx_is(const char *path, const unsigned char *head, size_t size);
bool datasets_cifar_is(const char *path, const unsigned char *head, size_t size);

/* prefix{000..9}suffix as its paths, malloc'd array of malloc'd strings (datasets_tar.c); a path
 * without such braces, or that exists as it is written, is the only one. */
VITC_MUST_CHECK vitc_status datasets_tar_expand(char ***paths, size_t *count, const char *path,
                                                const vitc_log *log);
/* Whether only reading a tar file through tells its images: compressed, or no regular file. */
bool datasets_tar_is_stream(const char *path);

#endif
