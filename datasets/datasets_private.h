/* datasets_private.h - what the parts of datasets share: classes, names, walks through folders, and
 * cursors over one kind each. README.md says how they fit together. */
#ifndef VITC_DATASETS_PRIVATE_H
#define VITC_DATASETS_PRIVATE_H

#include "datasets.h"

/* ---- class names (datasets_classes.c) ----
 * Written to by the one thread that reads the set; names and their count may be asked for in any
 * thread meanwhile, since a name never moves. */

typedef struct datasets_classes datasets_classes;

VITC_MUST_CHECK vitc_status datasets_classes_create(datasets_classes **classes,
                                                    const vitc_log *log);
void datasets_classes_free(datasets_classes *classes);
size_t datasets_classes_count(const datasets_classes *classes);
const char *datasets_classes_name(const datasets_classes *classes, size_t label);
/* The label of a name, added at the end when it is new. Names are byte strings. */
VITC_MUST_CHECK vitc_status datasets_classes_label(int64_t *label, datasets_classes *classes,
                                                   const char *name, const vitc_log *log);
/* From a file with one name per line, line 1 being label 0, into classes that are empty or were
 * read from it before: an error names the file and line. */
VITC_MUST_CHECK vitc_status datasets_classes_read(datasets_classes *classes, const char *path,
                                                  const vitc_log *log);

/* ---- the loss of one image (datasets_calibration.c) ---- */

/* datasets_answer's nll at b = 1/T, and its first and second derivative by b. */
typedef struct datasets_loss {
    double value, slope, curvature;
} datasets_loss;

datasets_loss datasets_loss_row(const float *logits, uint32_t classes, uint32_t label,
                                bool independent, double b);

/* ---- strings in number (datasets_strings.c) ----
 * In one block, so that a million names cost little more than their bytes. Start from zeros. */

typedef struct datasets_strings {
    char *pool;
    size_t used, room, count;
    char **at; /* each string, after datasets_strings_index */
} datasets_strings;

/* False without memory, which leaves the others as they are. */
VITC_MUST_CHECK bool datasets_strings_add(datasets_strings *strings, const char *text);
VITC_MUST_CHECK bool datasets_strings_index(datasets_strings *strings);
void datasets_strings_free(datasets_strings *strings); /* and back to zeros */

/* ---- names (datasets_names.c) ---- */

/* Like strcmp, but runs of digits compare as numbers: img2 before img10. */
int datasets_names_compare(const char *a, const char *b);
/* Hidden files, Thumbs.db, desktop.ini: what systems leave in folders. */
bool datasets_names_clutter(const char *name);
/* FNV-1a (Fowler, Noll, Vo) of a name, going on from `hash`, at first DATASETS_HASH_START. */
#define DATASETS_HASH_START 0xCBF29CE484222325u
uint64_t datasets_names_hash(uint64_t hash, const char *name);
/* The last part of a path. */
const char *datasets_names_base(const char *path);
/* Whether a name ends in `ending` (".csv"), in upper or lower case. */
bool datasets_names_ends(const char *name, const char *ending);
/* Whether a name ends as an image file's does. Only where looking inside of all files would cost
 * too much, or where one of several has to be picked: what is an image its bytes decide. */
bool datasets_names_image(const char *name);
/* The same, or as a picture of a kind that is not read: it counts as an image that cannot be used.
 */
bool datasets_names_picture(const char *name);

/* ---- folders (datasets_walk.c) ---- */

enum { DATASETS_ENTRY_FILE = 'f', DATASETS_ENTRY_FOLDER = 'd', DATASETS_ENTRY_UNKNOWN = '?' };

/* The names in one folder but for clutter, in natural order, each behind one character: what it is,
 * unknown for links and where the system does not say. *error gets an errno when it could not be
 * listed, or not to its end. */
VITC_MUST_CHECK vitc_status datasets_folder_list(datasets_strings *names, int *error,
                                                 const char *path, const vitc_log *log);
/* Whether a folder holds a file, at any depth: stops at the first. */
bool datasets_folder_holds_file(const char *path);

/* A way through all files below a folder, each folder's names in natural order; folders behind
 * symbolic links too, but for those that lead back to a folder on the way: these are warned about
 * and passed over. In memory are the names of the folders on the way. */
typedef struct datasets_walk datasets_walk;

typedef struct datasets_found { /* valid until the next call */
    const char *path, *below;   /* below: without the folder that the walk began in */
    const char *error; /* NULL, or why it is no file: a broken link, an unlistable folder */
} datasets_found;

VITC_MUST_CHECK vitc_status datasets_walk_open(datasets_walk **walk, const char *folder,
                                               const vitc_log *log);
VITC_MUST_CHECK vitc_status datasets_walk_next(datasets_found *found, bool *end,
                                               datasets_walk *walk, const vitc_log *log);
void datasets_walk_close(datasets_walk *walk);

/* ---- lists (datasets_list.c) ----
 * The rows of .csv, .tsv and .jsonl files, read one by one; what is accepted is said there. */

typedef struct datasets_list datasets_list;

typedef struct datasets_row { /* valid until the next call */
    const char *path, *label; /* as written; label NULL when labels are not asked for */
    uint64_t offset, line;    /* where the row begins: bytes from 0, lines from 1 */
} datasets_row;

VITC_MUST_CHECK vitc_status datasets_list_open(datasets_list **list, const char *path,
                                               bool labelled, const vitc_log *log);
/* Errors name the list and the line. */
VITC_MUST_CHECK vitc_status datasets_list_next(datasets_row *row, bool *end, datasets_list *list,
                                               const vitc_log *log);
/* Goes back to a row that was read; lines are counted from there. */
VITC_MUST_CHECK vitc_status datasets_list_seek(datasets_list *list, uint64_t offset,
                                               const vitc_log *log);
/* Tells a file from another one, or from what it was before. */
typedef struct datasets_stamp {
    uint64_t device, inode, size;
    int64_t seconds, nanoseconds;
} datasets_stamp;
datasets_stamp datasets_list_stamp(const datasets_list *list);
void datasets_list_close(datasets_list *list);

/* ---- items (datasets_item.c) ---- */

/* A log that keeps the first error that is written to it; what is no error goes on to `rest`. */
typedef struct datasets_message {
    char text[1024];
    const vitc_log *rest;
} datasets_message;
vitc_log datasets_message_log(datasets_message *message, const vitc_log *rest); /* empties it */

/* Starts an item with everything but its content: then set file, bytes or image, or fail it. */
VITC_MUST_CHECK vitc_status datasets_item_start(datasets_item *item, uint64_t index,
                                                const char *path, int64_t label,
                                                const vitc_log *log);
/* An item of what a walk found. */
VITC_MUST_CHECK vitc_status datasets_item_found(datasets_item *item, uint64_t index,
                                                const datasets_found *found, int64_t label,
                                                const vitc_log *log);
/* Keeps why an item cannot be used; a leading "path: " of the message is left out. */
void datasets_item_fail(datasets_item *item, vitc_status status, const char *message);

/* ---- cursors ---- */

/* Where a plain tar file holds a member's bytes. */
typedef struct datasets_place {
    const char *file; /* NULL: they have no place of their own; else as long as the cursor */
    uint64_t offset, size;
} datasets_place;

/* Who decides which images come out of a cursor, and counts them. A cursor asks once for each
 * image, in order, before it spends anything on its bytes; `below` is the path below the set, with
 * /. */
typedef struct datasets_filter {
    bool (*keep)(void *user, const char *below, const char *path, int64_t label, uint64_t *index);
    void *user;
    bool counting;         /* items may lack their content: nobody looks at it */
    datasets_place *place; /* NULL, or set with each image: one that has a place comes without its
                              bytes */
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
 * kind gives the same labels. All of it outlives the cursor. */
typedef struct datasets_opening {
    const char *const *paths; /* of DATASETS_IDX, _CIFAR, _TAR, _MANIFEST: never a folder, see
                                 datasets_kind_find */
    size_t count;
    const datasets_options *options;
    datasets_classes *classes;
} datasets_opening;

typedef vitc_status datasets_open_fn(datasets_cursor **cursor, const datasets_opening *opening,
                                     const vitc_log *log);
datasets_open_fn datasets_files_open, datasets_folders_open, datasets_manifest_open,
    datasets_tar_open, datasets_idx_open, datasets_cifar_open;

/* ---- what an index asks of a set (datasets_open.c) ---- */

/* datasets_next, which only tells the place of what has one; and the image is added to the set's
 * fingerprint, out of which the last one can be taken again. Images read by datasets_next are not
 * in it. */
VITC_MUST_CHECK vitc_status datasets_next_place(datasets_item *item, datasets_place *place,
                                                bool *end, datasets_set *set, const vitc_log *log);
void datasets_leave_out(datasets_set *set);
/* As datasets_survey.fingerprint. */
void datasets_fingerprint(char *text, const datasets_set *set);

/* ---- what a feed asks of an index (datasets_index.c) ---- */

/* Tells the operating system that an image will soon be read. */
void datasets_index_expect(const datasets_index *index, size_t image);

/* ---- kinds (datasets_kind.c) ---- */

datasets_open_fn *datasets_kind_open(datasets_kind kind);

/* Of which kind a labelled set at `path` is, by looking. Its paths are added to `paths`: the path
 * itself, or for a folder without class folders the files of one kind that lie in it. */
VITC_MUST_CHECK vitc_status datasets_kind_find(datasets_kind *kind, datasets_strings *paths,
                                               const char *path, const vitc_log *log);
/* Of which kind a path without labels is: DATASETS_FILES for whatever is no container of images. */
datasets_kind datasets_kind_unlabelled(const char *path);

/* Whether a file in a class folder is none of its images: not named like one, and its first bytes
 * are not a picture's. What cannot be read is not: reading it will tell. */
bool datasets_kind_is_stray(const char *path);

/* Whether a file is of a kind, by its name and first bytes; `head` holds up to 512 of them. IDX
 * files of labels are not: they are found by the images' names. */
bool datasets_manifest_is(const char *path);
bool datasets_tar_is(const char *path, const unsigned char *head, size_t size);
bool datasets_idx_is(const char *path, const unsigned char *head, size_t size);
bool datasets_cifar_is(const char *path, const unsigned char *head, size_t size);

/* ---- files of records (datasets_records.c) ----
 *
 * What IDX and CIFAR are made of: images of one size that follow each other without compression of
 * their own, in files that may be gzip; a byte of label for each. */

typedef struct datasets_records datasets_records;

typedef struct datasets_records_file {
    const char *path;
    uint64_t header, count; /* bytes before the first record; records */
    size_t size, lead;      /* bytes of a record; of them before its pixels */
    uint32_t width, height;
    size_t pixel, channel; /* from a pixel to the next, from a channel to the next; 0: grey */
    uint8_t *labels;       /* count of them, malloc'd; NULL when they are not asked for */
} datasets_records_file;

VITC_MUST_CHECK vitc_status datasets_records_create(datasets_records **records,
                                                    const vitc_log *log);
void datasets_records_free(datasets_records *records);
/* Copies the path and takes the labels, also when it fails. */
VITC_MUST_CHECK vitc_status datasets_records_add(datasets_records *records,
                                                 const datasets_records_file *file,
                                                 const vitc_log *log);
/* Gives the labels that occur their classes: label v is line v, from 0, of the file `names`, or
 * without one (NULL) the class "v". */
VITC_MUST_CHECK vitc_status datasets_records_classes(datasets_records *records,
                                                     datasets_classes *classes, const char *names,
                                                     const vitc_log *log);
/* The cursor over the records; it owns them. */
datasets_cursor *datasets_records_cursor(datasets_records *records);

/* ---- tar files (datasets_tar_names.c) ---- */

/* prefix{000..9}suffix as its paths, malloc'd array of malloc'd strings; a path
 * without such braces, or that exists as it is written, is the only one. */
VITC_MUST_CHECK vitc_status datasets_tar_expand(char ***paths, size_t *count, const char *path,
                                                const vitc_log *log);
/* Whether only reading a tar file through tells its images: compressed, or no regular file. */
bool datasets_tar_is_stream(const char *path);

#endif
