/* app_evaluate.h - a model against itself in fewer bits, on the same labelled images. */
#ifndef VITC_APP_EVALUATE_H
#define VITC_APP_EVALUATE_H

#include "app_options.h"
#include "vit.h"
#include "vitc_sha256.h"

/* What two models answered to the same images. */
typedef struct app_comparison {
    uint64_t images, bad;                  /* classified; could not be used */
    uint64_t right_full, right_reduced;    /* first label is the true one */
    uint64_t agree;                        /* the same first label by both */
    uint64_t lost, gained;                 /* right by the full model only, by the reduced only */
    char data_hash[VITC_SHA256_TEXT_SIZE]; /* of all names, labels and contents */
} app_comparison;

/* Classifies all images of --data, first with the one model and then with the other. A bad image
 * gets a message and is counted. APP_EXIT_DONE, or another exit status after a message; no image
 * that can be used is one. */
int app_evaluate_compare(app_comparison *comparison, const vit_model *full,
                         const vit_model *reduced, const app_settings *settings);

/* How much the outputs move when one matrix is reduced. */
typedef struct app_sensitivity {
    char matrix[64];
    double error; /* |difference of the logits| / |logits|, lengths over all images and classes */
    uint32_t changed; /* first labels that are another */
} app_sensitivity;

typedef struct app_sensitivities {
    app_sensitivity *rows; /* the largest error first */
    size_t count;
    uint32_t images;     /* so many of the data were used */
    app_sensitivity all; /* all matrices together */
} app_sensitivities;

/* One row for each matrix of the encoder, from some of the `count` images of --data. `reduce` loads
 * the checkpoint with only that matrix reduced (NULL: all of them): an exit status, as above. */
typedef int (*app_reduce_fn)(vit_model **model, const char *only, void *user);
int app_evaluate_sensitivity(app_sensitivities *table, uint64_t count, const vit_model *full,
                             app_reduce_fn reduce, void *user, const app_settings *settings);
void app_sensitivities_free(app_sensitivities *table);

#endif
