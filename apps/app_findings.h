/* app_findings.h - what is worth looking at among the rows of an evaluation. */
#ifndef VITC_APP_FINDINGS_H
#define VITC_APP_FINDINGS_H

#include "app_evaluation.h"

enum {
    APP_FINDINGS_SHOWN = 24, /* of each kind that comes with pictures */
    APP_FINDINGS_BAD = 100,
    APP_FINDINGS_BINS = 20, /* of the histogram of scores, 0-1 */
    APP_FINDINGS_BITS = 3   /* hashes that differ in so few are of images that look alike */
};

typedef struct app_finding {
    uint64_t index;
    char *path;
    char *error; /* of an image that could not be used */
    const char *status;
    uint32_t label, prediction;
    double score;
} app_finding;

typedef struct app_finding_list {
    app_finding items[APP_FINDINGS_BAD];
    size_t count, most;
} app_finding_list;

typedef struct app_twin {
    uint64_t index;
    uint32_t label;
} app_twin;

/* Two images of different classes that look alike. */
typedef struct app_likeness {
    app_twin a, b;
    unsigned distance; /* bits */
} app_likeness;

typedef struct app_findings {
    app_finding_list worst;     /* wrong, the highest score first */
    app_finding_list uncertain; /* the lowest score first */
    app_finding_list bad;       /* in the set's order */
    uint64_t right[APP_FINDINGS_BINS], wrong[APP_FINDINGS_BINS];
    app_likeness alike[APP_FINDINGS_SHOWN]; /* the most alike first */
    size_t alike_count;                     /* of these */
    uint64_t alike_all;                     /* found */
    uint64_t unhashed;                      /* images whose rows cannot be compared */
    bool alike_more;                        /* there are so many that not all were looked for */
} app_findings;

/* One pass over the rows of the evaluation. An exit status as everywhere. */
int app_findings_gather(app_findings *findings, const app_evaluation *evaluation);
void app_findings_free(app_findings *findings);

#endif
