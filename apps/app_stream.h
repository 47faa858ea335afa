/* app_stream.h - a set of images through a model: the loader of datasets and the classifiers of
 * vit, tied together for classify, eval and quantize.
 *
 * The threads of a run are shared out as lanes. A lane is a thread with its own classifier; with
 * many images there is a lane per CPU, each computing alone on its own batches, which leaves no CPU
 * waiting for another; with few images there is one lane that computes with all CPUs. Images are
 * decoded and preprocessed in their lane while other lanes compute, and read ahead of all of them
 * by threads that wait for storage. Answers do not depend on any of this.
 *
 * Where several ranks share a command (app_ranks.h) each runs its own part of the images, and those
 * of all are delivered on the first. */
#ifndef VITC_APP_STREAM_H
#define VITC_APP_STREAM_H

#include "app_options.h"
#include "datasets.h"
#include "vit.h"

/* What became of one image; arrays are valid during the call that gets it. */
typedef struct app_answer {
    vitc_status status; /* an image's own: VITC_OK or why it cannot be used */
    char error[1024];   /* the reason, else empty */
    uint32_t width, height;
    const float *logits, *scores; /* K each; NULL when status is not VITC_OK */
    uint64_t hash;                /* datasets_hash_difference, when asked for */
    float milliseconds;           /* reading, decoding, computing; its share of a batch's */
} app_answer;

/* Seconds summed over threads. */
typedef struct app_times {
    double list, read, decode, preprocess, compute, wait, deliver, wall;
    int lanes, threads_per_lane;
} app_times;

typedef struct app_stream {
    const app_settings *settings; /* threads, batch, decoding, views, -q */
    const vit_model *model;
    datasets_set *set; /* of several ranks: opened to want what app_ranks_take says */
    uint64_t images;   /* about how many will come, of all ranks; UINT64_MAX when not known */
    uint64_t first;    /* number in the set of the first of them */
    const char *what;  /* the progress begins with it; NULL: with the number */
    bool told;         /* what there is to warn of in the set was said before */
    bool hash;         /* make answers' hashes */
    bool contents;     /* deliver other ranks' images with their bytes or pixels, too */
    /* Called in order in the calling thread, on the first rank: APP_EXIT_DONE, or the exit status
     * that ends the run. */
    int (*deliver)(void *user, const datasets_item *item, const app_answer *answer);
    void *user;
} app_stream;

/* APP_EXIT_DONE when all were delivered or the run was stopped (app_stop_asked); else an exit
 * status after a message. `times` is added to: on the first rank those of all, but for `wall`. */
int app_stream_run(const app_stream *stream, app_times *times);

#endif
