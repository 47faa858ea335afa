/* datasets_tar.h - what the parts of sets of tar files share (private to datasets).
 *
 * A tar file holds either class folders or pairs (WebDataset's), which its first members tell:
 * pairs, where a .cls or .json lies beside another member of the same key, the name up to the first
 * dot behind the last slash. What is told of an image depends on its own member or pair alone, so
 * that a tar file gives the same labels compressed and not.
 *
 *   datasets_tar_names.c   what names say
 *   datasets_tar.c         one tar file
 *   datasets_tar_pairs.c   its pairs
 *   datasets_tar_set.c     several tar files as one set
 */
#ifndef VITC_DATASETS_TAR_H
#define VITC_DATASETS_TAR_H

#include "datasets_private.h"

enum { DATASETS_TAR_BLOCK = 512 };

/* ---- names of members ---- */

/* Copies the parts of a member's name that say something, one slash between them: neither "." nor
 * "..", which lead nowhere inside of a tar file. False for clutter and where nothing is left.
 * `clean` has room for the name. */
bool datasets_tar_clean_name(char *clean, const char *name);
bool datasets_tar_is_same_key(const char *a, const char *b);

/* .cls goes before .json where a pair has both. */
typedef enum datasets_tar_label {
    DATASETS_TAR_LABEL_NONE = 0,
    DATASETS_TAR_LABEL_JSON,
    DATASETS_TAR_LABEL_CLS
} datasets_tar_label;
datasets_tar_label datasets_tar_label_of(const char *name);

/* Which member of a pair is its image: the first that is named like one, else the first that could
 * be one; never x.depth.png or x.txt. */
typedef enum datasets_tar_image {
    DATASETS_TAR_IMAGE_NONE = 0,
    DATASETS_TAR_IMAGE_PERHAPS,
    DATASETS_TAR_IMAGE_NAMED
} datasets_tar_image;
datasets_tar_image datasets_tar_image_of(const char *name);

/* ---- one tar file ---- */

typedef struct datasets_tar_reader datasets_tar_reader;

/* `labelled`: look whether it holds pairs. The path stays with the caller. */
VITC_MUST_CHECK vitc_status datasets_tar_reader_open(datasets_tar_reader **reader, const char *path,
                                                     bool labelled, const vitc_log *log);
void datasets_tar_reader_close(datasets_tar_reader *reader);
bool datasets_tar_reader_has_pairs(const datasets_tar_reader *reader);
/* Goes to the next member that is neither a folder nor clutter. */
VITC_MUST_CHECK vitc_status datasets_tar_reader_next(bool *end, datasets_tar_reader *reader,
                                                     const vitc_log *log);
/* The member's clean name. */
const char *datasets_tar_reader_name(const datasets_tar_reader *reader);
/* Starts an item for the member. */
VITC_MUST_CHECK vitc_status datasets_tar_reader_item(datasets_item *item,
                                                     const datasets_tar_reader *reader,
                                                     int64_t label, const vitc_log *log);
/* Gives it the member's bytes, at most `most`, or the reason why they cannot be had. Where `place`
 * is not NULL and the bytes lie in the file as they are, only their place. */
VITC_MUST_CHECK vitc_status datasets_tar_reader_fill(datasets_item *item, datasets_place *place,
                                                     datasets_tar_reader *reader, size_t most,
                                                     const vitc_log *log);

/* ---- several ---- */

typedef struct datasets_tar_job {
    datasets_classes *classes;
    bool labelled;
    size_t named; /* classes that a file of names gave, which numbers are labels of; or 0 */
    size_t most;  /* bytes of an image file */
    datasets_tar_reader *reader;

    /* Pairs only. */
    bool held;                /* the reader's member is not yet taken */
    vitc_status failure;      /* comes after the pair that was given last */
    datasets_message message; /* and this is why */
} datasets_tar_job;

/* The next pair, into *item when the filter keeps it. */
VITC_MUST_CHECK vitc_status datasets_tar_next_pair(datasets_item *item, bool *kept, bool *end,
                                                   datasets_tar_job *job,
                                                   const datasets_filter *filter,
                                                   const vitc_log *log);

#endif
