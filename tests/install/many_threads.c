/* many_threads MODEL PHOTO... - one model, many threads, each with its own classifier, all at once:
 * every thread must get, bit for bit, the logits that one thread alone gets, whatever its batch and
 * its number of compute threads. Built against the installed library and, for ThreadSanitizer,
 * against the tree. Exit status 0 when all agree. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vitc/vitc.h>

enum { THREADS = 6, ROUNDS = 4, BATCH_MAX = 3 };

typedef struct job {
    int number;
    const vit_model *model;
    char **photos;
    size_t photo_count;
    const float *expected; /* photo_count rows of K */
    pthread_barrier_t *start;
    long compared; /* rows that agreed */
    char problem[1024];
} job;

static void keep_problem(void *user, vitc_log_level level, const char *message)
{
    job *j = user;
    if (level == VITC_LOG_ERROR) snprintf(j->problem, sizeof j->problem, "%s", message);
}

/* Classifies every photo in batches of `batch`; stores the rows, or (NULL) compares them. */
static void run_photos(job *j, vit_classifier *classifier, size_t batch, float *store)
{
    const size_t classes = vit_model_describe(j->model).config->classes;
    const vitc_log log = {keep_problem, j};
    for (size_t first = 0; first < j->photo_count; first += batch) {
        const size_t left = j->photo_count - first, count = left < batch ? left : batch;
        vit_input inputs[BATCH_MAX] = {0};
        vit_output outputs[BATCH_MAX];
        for (size_t i = 0; i < count; i++) inputs[i].path = j->photos[first + i];
        if (vit_classify(classifier, outputs, inputs, count, &log) != VITC_OK) return;
        for (size_t i = 0; i < count; i++) {
            const size_t row = (first + i) * classes;
            if (outputs[i].status != VITC_OK) {
                snprintf(j->problem, sizeof j->problem, "%.1000s", outputs[i].error);
                return;
            }
            const size_t bytes = classes * sizeof *outputs[i].logits;
            if (store != NULL) {
                memcpy(&store[row], outputs[i].logits, bytes);
            } else if (memcmp(&j->expected[row], outputs[i].logits, bytes) != 0) {
                snprintf(j->problem, sizeof j->problem, "%s: thread %d got other logits",
                         j->photos[first + i], j->number);
                return;
            }
            j->compared++;
        }
    }
}

static void *thread_main(void *argument)
{
    job *j = argument;
    const vitc_log log = {keep_problem, j};
    const size_t batch = 1 + (size_t)j->number % BATCH_MAX;
    vit_classifier_options options = vit_classifier_options_default();
    vit_classifier *classifier = NULL;
    options.batch = (uint32_t)batch;
    options.threads = 1 + j->number % 2;
    pthread_barrier_wait(j->start);
    if (vit_classifier_create(&classifier, j->model, &options, &log) == VITC_OK)
        for (int round = 0; round < ROUNDS && j->problem[0] == 0; round++)
            run_photos(j, classifier, batch, NULL);
    vit_classifier_free(classifier);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: many_threads MODEL PHOTO...\n");
        return 2;
    }
    vit_model *model = NULL;
    vit_classifier *classifier = NULL;
    float *expected = NULL;
    job alone = {.photos = argv + 2, .photo_count = (size_t)argc - 2};
    const vitc_log log = {keep_problem, &alone};
    vit_classifier_options options = vit_classifier_options_default();
    int exit_status = 1;
    options.batch = 1;
    options.threads = 1;

    if (vit_model_load(&model, argv[1], NULL, &log) != VITC_OK) goto cleanup;
    alone.model = model;
    if (vit_classifier_create(&classifier, model, &options, &log) != VITC_OK) goto cleanup;
    expected =
        calloc(alone.photo_count * vit_model_describe(model).config->classes, sizeof *expected);
    if (expected == NULL) goto cleanup;
    run_photos(&alone, classifier, 1, expected);
    if (alone.problem[0] != 0) goto cleanup;

    pthread_barrier_t start;
    pthread_t threads[THREADS];
    job jobs[THREADS];
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = alone;
        jobs[i].number = i;
        jobs[i].compared = 0;
        jobs[i].expected = expected;
        jobs[i].start = &start;
        if (pthread_create(&threads[i], NULL, thread_main, &jobs[i]) != 0) abort();
    }
    exit_status = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        if (jobs[i].problem[0] != 0) fprintf(stderr, "thread %d: %s\n", i, jobs[i].problem);
        if (jobs[i].compared != ROUNDS * (long)alone.photo_count) exit_status = 1;
    }
    pthread_barrier_destroy(&start);
    if (exit_status == 0)
        printf("%d threads, %d rounds, %zu photos: the same bits everywhere\n", THREADS, ROUNDS,
               alone.photo_count);

cleanup:
    if (alone.problem[0] != 0) fprintf(stderr, "many_threads: %s\n", alone.problem);
    free(expected);
    vit_classifier_free(classifier);
    vit_model_free(model);
    return exit_status;
}
