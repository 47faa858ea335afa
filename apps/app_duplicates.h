/* app_duplicates.h - images that are the same, or look alike, among those of a scan. */
#ifndef VITC_APP_DUPLICATES_H
#define VITC_APP_DUPLICATES_H

#include "app_scan.h"

/* Images that belong together. */
typedef struct app_group {
    size_t begin, count; /* in `members` */
    bool same_file;      /* of identical images: their files are the same too */
    bool labels_differ;  /* two of them have different classes */
    bool sets_differ;    /* they come from more than one set */
} app_group;

/* Identical images have the same size and pixels. Images look alike when both perceptual hashes
 * differ in `distance` bits or fewer and their grey thumbnails correlate by 0.9 or more; of
 * identical images only the first takes part, and one colour looks like nothing. Likeness joins
 * groups: of three that stand in one, the first need not look like the last. */
typedef struct app_duplicates {
    app_group *identical, *alike; /* in the order of their first images */
    size_t identical_count, alike_count;
    size_t *members;    /* indices of images; in order within a group, but where labels differ one
                           of each label comes first */
    size_t *same, *kin; /* [images]: the first image that is identical; that is in its group of
                           alike ones, identical ones included; itself where there is none */
    unsigned distance;  /* bits; below what was asked for where so many look alike that no list
                           of them would be of use */
    bool complete;      /* false: even so there are more than were looked at */
} app_duplicates;

/* An exit status as everywhere. */
int app_duplicates_find(app_duplicates *duplicates, const app_scan *scan, unsigned distance,
                        const app_settings *settings);
void app_duplicates_free(app_duplicates *duplicates);

/* How many images of set b are also in set a; those with another label are those for which set a
 * has labels, but not the same one. Alike ones are not counted as identical. */
typedef struct app_overlap {
    uint64_t identical, identical_other_label;
    uint64_t alike, alike_other_label;
} app_overlap;

int app_duplicates_overlap(app_overlap *overlap, const app_duplicates *duplicates,
                           const app_scan *scan, size_t a, size_t b, const app_settings *settings);

#endif
