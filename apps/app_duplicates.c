#include "app_duplicates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app_report.h"
#include "vitc_log.h"
#include "vitc_size.h"

/* More pairs than this are no duplicates, but a set whose images all look alike (digits, clothes on
 * black): then fewer bits may differ. */
enum { MOST_PAIRS = 1000000 };

static const double least_correlation = 0.9;
static const double least_contrast = 2; /* standard deviation of a thumbnail, in grey levels */

/* ---- likeness ---- */

/* Of two thumbnails, by Pearson; 0 where one of them shows next to nothing. */
static double correlation(const uint8_t *a, const uint8_t *b)
{
    enum { PIXELS = APP_SCAN_THUMBNAIL * APP_SCAN_THUMBNAIL };
    int64_t sum_a = 0, sum_b = 0, aa = 0, bb = 0, ab = 0;
    for (size_t i = 0; i < PIXELS; i++) {
        sum_a += a[i];
        sum_b += b[i];
        aa += (int64_t)a[i] * a[i];
        bb += (int64_t)b[i] * b[i];
        ab += (int64_t)a[i] * b[i];
    }
    const double n = PIXELS;
    const double variance_a = (double)(PIXELS * aa - sum_a * sum_a) / (n * n);
    const double variance_b = (double)(PIXELS * bb - sum_b * sum_b) / (n * n);
    if (fmin(variance_a, variance_b) < least_contrast * least_contrast) return 0;
    return (double)(PIXELS * ab - sum_a * sum_b) / (n * n) / sqrt(variance_a * variance_b);
}

static unsigned count_bits(uint64_t bits)
{
    unsigned count = 0;
    for (; bits != 0; bits &= bits - 1) count++;
    return count;
}

static bool looks_alike(const app_image *a, const app_image *b, unsigned distance)
{
    return count_bits(a->frequency ^ b->frequency) <= distance &&
           correlation(a->thumbnail, b->thumbnail) >= least_correlation;
}

/* ---- groups as trees of images, each pointing to an earlier one; roots to themselves ---- */

static size_t find_root(size_t *parents, size_t i)
{
    while (parents[i] != i) i = parents[i] = parents[parents[i]];
    return i;
}

static void join(size_t *parents, size_t a, size_t b)
{
    a = find_root(parents, a);
    b = find_root(parents, b);
    if (a < b)
        parents[b] = a;
    else
        parents[a] = b;
}

typedef struct keyed {
    vitc_hash pixels;
    size_t image;
} keyed;

static int compare_keyed(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    if (x->pixels.high != y->pixels.high) return x->pixels.high > y->pixels.high ? 1 : -1;
    if (x->pixels.low != y->pixels.low) return x->pixels.low > y->pixels.low ? 1 : -1;
    return (x->image > y->image) - (x->image < y->image);
}

static vitc_status find_identical(app_duplicates *d, const app_scan *scan, const vitc_log *log)
{
    size_t count = 0;
    keyed *keys = calloc(scan->count + 1, sizeof *keys);
    if (keys == NULL) return vitc_fail_memory(log, "comparing images");
    for (size_t i = 0; i < scan->count; i++)
        if (scan->images[i].status == VITC_OK) keys[count++] = (keyed){scan->images[i].pixels, i};
    qsort(keys, count, sizeof *keys, compare_keyed);
    for (size_t i = 1; i < count; i++)
        if (keys[i].pixels.high == keys[i - 1].pixels.high &&
            keys[i].pixels.low == keys[i - 1].pixels.low)
            d->same[keys[i].image] = d->same[keys[i - 1].image];
    free(keys);
    return VITC_OK;
}

/* Joins what looks alike among the images that `candidates` name. */
static vitc_status join_alike(app_duplicates *d, const app_scan *scan, const size_t *candidates,
                              const uint64_t *hashes, size_t count, const vitc_log *log)
{
    datasets_pair *pairs;
    size_t pair_count;
    for (;;) {
        bool more;
        VITC_TRY(datasets_pairs_find(&pairs, &pair_count, &more, hashes, count, d->distance,
                                     MOST_PAIRS, log));
        d->complete = !more;
        if (!more || d->distance == 0) break;
        free(pairs);
        d->distance /= 2;
    }
    for (size_t i = 0; i < pair_count; i++) {
        const size_t a = candidates[pairs[i].a], b = candidates[pairs[i].b];
        if (looks_alike(&scan->images[a], &scan->images[b], d->distance)) join(d->kin, a, b);
    }
    free(pairs);
    return VITC_OK;
}

static vitc_status find_alike(app_duplicates *d, const app_scan *scan, const vitc_log *log)
{
    size_t count = 0;
    size_t *candidates = calloc(scan->count + 1, sizeof *candidates);
    uint64_t *hashes = calloc(scan->count + 1, sizeof *hashes);
    vitc_status status = VITC_OK;
    if (candidates == NULL || hashes == NULL) status = vitc_fail_memory(log, "comparing images");
    for (size_t i = 0; i < scan->count && status == VITC_OK; i++) {
        const app_image *image = &scan->images[i];
        d->kin[i] = d->same[i];
        if (image->status != VITC_OK || image->flat || d->same[i] != i) continue;
        candidates[count] = i;
        hashes[count++] = image->difference;
    }
    if (status == VITC_OK) status = join_alike(d, scan, candidates, hashes, count, log);
    for (size_t i = 0; i < scan->count && status == VITC_OK; i++) d->kin[i] = find_root(d->kin, i);
    free(candidates);
    free(hashes);
    return status;
}

/* ---- groups as lists ---- */

static void describe_group(app_group *group, const app_scan *scan, const size_t *members)
{
    const app_image *first = &scan->images[members[0]];
    uint32_t label = first->label;
    group->same_file = first->has_file;
    for (size_t i = 1; i < group->count; i++) {
        const app_image *image = &scan->images[members[i]];
        group->same_file = group->same_file && image->has_file &&
                           image->file.low == first->file.low &&
                           image->file.high == first->file.high;
        group->sets_differ = group->sets_differ || image->set != first->set;
        if (label == APP_SCAN_NO_CLASS) label = image->label;
        group->labels_differ =
            group->labels_differ || (image->label != APP_SCAN_NO_CLASS && image->label != label);
    }
}

/* Moves one member of each label, up to LABELS_FIRST of them, to the front: who sees the beginning
 * of a long group sees the contradiction. */
static void put_labels_first(size_t *members, size_t count, const app_scan *scan)
{
    enum { LABELS_FIRST = 6 };
    size_t front = 0;
    for (size_t i = 0; i < count && front < LABELS_FIRST; i++) {
        const size_t member = members[i];
        bool seen = false;
        for (size_t k = 0; k < front; k++)
            seen = seen || scan->images[members[k]].label == scan->images[member].label;
        if (seen) continue;
        memmove(members + front + 1, members + front, (i - front) * sizeof *members);
        members[front++] = member;
    }
}

/* Groups of two or more images i with the same roots[i], of those whose kept[i] is i (NULL: all);
 * their members are appended to *members. */
static vitc_status list_groups(app_group **groups, size_t *count, const app_scan *scan,
                               const size_t *roots, const size_t *kept, size_t *members,
                               size_t *used, const vitc_log *log)
{
    size_t *sizes = calloc(scan->count + 1, sizeof *sizes);
    if (sizes == NULL) return vitc_fail_memory(log, "groups of images");
    for (size_t i = 0; i < scan->count; i++)
        if (kept == NULL || kept[i] == i) sizes[roots[i]]++;
    *count = 0;
    for (size_t i = 0; i < scan->count; i++) *count += sizes[i] > 1;
    *groups = calloc(*count + 1, sizeof **groups);
    if (*groups == NULL) {
        free(sizes);
        return vitc_fail_memory(log, "groups of images");
    }
    /* sizes[root] becomes where the group's next member goes, or 0 where there is no group */
    size_t number = 0;
    for (size_t i = 0; i < scan->count; i++) {
        const size_t size = sizes[i];
        sizes[i] = 0;
        if (size <= 1) continue;
        (*groups)[number++] = (app_group){.begin = *used, .count = size};
        sizes[i] = *used + 1;
        *used += size;
    }
    for (size_t i = 0; i < scan->count; i++)
        if ((kept == NULL || kept[i] == i) && sizes[roots[i]] != 0)
            members[sizes[roots[i]]++ - 1] = i;
    for (size_t i = 0; i < *count; i++) {
        app_group *group = &(*groups)[i];
        describe_group(group, scan, members + group->begin);
        if (group->labels_differ) put_labels_first(members + group->begin, group->count, scan);
    }
    free(sizes);
    return VITC_OK;
}

int app_duplicates_find(app_duplicates *d, const app_scan *scan, unsigned distance,
                        const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    size_t used = 0;
    *d = (app_duplicates){.distance = distance, .complete = true};
    d->same = calloc(scan->count + 1, sizeof *d->same);
    d->kin = calloc(scan->count + 1, sizeof *d->kin);
    d->members = calloc(2 * scan->count + 1, sizeof *d->members); /* both kinds of groups */
    if (d->same == NULL || d->kin == NULL || d->members == NULL)
        return app_exit_status(vitc_fail_memory(&log, "comparing images"));
    for (size_t i = 0; i < scan->count; i++) d->same[i] = i;
    vitc_status status = find_identical(d, scan, &log);
    if (status == VITC_OK) status = find_alike(d, scan, &log);
    if (status == VITC_OK)
        status = list_groups(&d->identical, &d->identical_count, scan, d->same, NULL, d->members,
                             &used, &log);
    if (status == VITC_OK)
        status =
            list_groups(&d->alike, &d->alike_count, scan, d->kin, d->same, d->members, &used, &log);
    return app_exit_status(status);
}

void app_duplicates_free(app_duplicates *d)
{
    free(d->identical);
    free(d->alike);
    free(d->members);
    free(d->same);
    free(d->kin);
    *d = (app_duplicates){0};
}

/* ---- what two sets share ---- */

typedef struct place {
    size_t root;
    uint32_t label;
} place;

static int compare_places(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->root != y->root) return x->root > y->root ? 1 : -1;
    return (x->label > y->label) - (x->label < y->label);
}

static int compare_roots(const void *a, const void *b)
{
    const place *x = a, *y = b;
    return (x->root > y->root) - (x->root < y->root);
}

/* The images of set a, by their groups. */
static void list_places(place *places, const app_scan *scan, size_t a, const size_t *roots)
{
    const size_t begin = scan->sets[a].begin, count = scan->sets[a].end - begin;
    for (size_t i = 0; i < count; i++)
        places[i] = (place){roots[begin + i], scan->images[begin + i].label};
    qsort(places, count, sizeof *places, compare_places);
}

typedef enum sharing { SHARED_NOT, SHARED_SAME_LABEL, SHARED_OTHER_LABEL } sharing;

static sharing look_up(const place *places, size_t count, const place *key)
{
    if (count == 0 || bsearch(key, places, count, sizeof *places, compare_roots) == NULL)
        return SHARED_NOT;
    if (key->label == APP_SCAN_NO_CLASS ||
        bsearch(key, places, count, sizeof *places, compare_places) != NULL)
        return SHARED_SAME_LABEL;
    /* without a label they cannot contradict */
    const place unlabelled = {key->root, APP_SCAN_NO_CLASS};
    return bsearch(&unlabelled, places, count, sizeof *places, compare_places) != NULL
               ? SHARED_SAME_LABEL
               : SHARED_OTHER_LABEL;
}

int app_duplicates_overlap(app_overlap *overlap, const app_duplicates *d, const app_scan *scan,
                           size_t a, size_t b, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    const size_t count = scan->sets[a].end - scan->sets[a].begin;
    place *same = calloc(count + 1, sizeof *same), *kin = calloc(count + 1, sizeof *kin);
    *overlap = (app_overlap){0};
    if (same == NULL || kin == NULL) {
        free(same);
        free(kin);
        return app_exit_status(vitc_fail_memory(&log, "comparing sets"));
    }
    list_places(same, scan, a, d->same);
    list_places(kin, scan, a, d->kin);
    for (size_t i = scan->sets[b].begin; i < scan->sets[b].end; i++) {
        const uint32_t label = scan->images[i].label;
        const sharing identical = look_up(same, count, &(place){d->same[i], label});
        const sharing alike = look_up(kin, count, &(place){d->kin[i], label});
        overlap->identical += identical != SHARED_NOT;
        overlap->identical_other_label += identical == SHARED_OTHER_LABEL;
        if (identical != SHARED_NOT) continue;
        overlap->alike += alike != SHARED_NOT;
        overlap->alike_other_label += alike == SHARED_OTHER_LABEL;
    }
    free(same);
    free(kin);
    return APP_EXIT_DONE;
}
