/* app_doubts.h - labels that a model doubts: confident learning. */
#ifndef VITC_APP_DOUBTS_H
#define VITC_APP_DOUBTS_H

#include "app_scan.h"
#include "vit.h"

typedef struct app_doubt {
    size_t image;                   /* in the scan */
    uint32_t guess;                 /* a class of the model */
    float score_label, score_guess; /* the model's, of the image's label and of the guess */
} app_doubt;

typedef struct app_doubts {
    vit_model *model; /* for the names of its classes */
    app_doubt *items; /* the least score_label first */
    size_t count, capacity;
} app_doubts;

/* Runs all labelled images of the scan through the model of the settings. The threshold of a class
 * is its mean score over the images of one set that are labelled so; among the classes whose score
 * reaches their threshold the one with the highest score is the guess, and a guess that is not the
 * label is a doubt (Northcutt, Jiang, Chuang 2021, arXiv 1911.00068; cleanlab). Only the ten
 * highest scores of an image are looked at. Tells nothing about images that the model was trained
 * on: it has learned their labels, the wrong ones too. An exit status as everywhere. */
int app_doubts_find(app_doubts *doubts, const app_scan *scan, const app_settings *settings);
void app_doubts_free(app_doubts *doubts);

#endif
