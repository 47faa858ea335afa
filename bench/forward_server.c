/* forward_server MODEL PRECISION THREADS PHOTOS BATCH... - vitc's side of bench/peers.py.
 *
 * Loads MODEL for PRECISION (f32, bf16, int8), says `ready` with a description, and answers lines
 * on standard input as bench/peer_worker.py does for the peers:
 *
 *     logits BATCH        one line per photograph: its logits
 *     run BATCH SECONDS   one line: the milliseconds of as many forwards as fit, at least one
 *
 * PHOTOS holds normalized float32 tensors [3, H, W], one after another. A forward is timed from
 * these to the logits, so cutting them into patch rows is part of it, as it is for the peers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench_server.h"

enum { BATCHES = 8 };

const char *const server_name = "forward_server";

typedef struct server {
    vit_model *model;
    const vit_config *config;
    int threads;
    float *photos; /* [count][3][H][W] */
    size_t count, photo_floats;
    uint32_t batches[BATCHES];
    vit_workspace *workspaces[BATCHES]; /* one for each of batches */
    size_t batch_count;
    float *logits; /* [largest batch][K] */
} server;

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

static vit_precision find_precision(const char *name)
{
    static const vit_precision all[] = {VIT_PRECISION_F32, VIT_PRECISION_BF16, VIT_PRECISION_INT8};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(name, vit_precision_string(all[i])) == 0) return all[i];
    stop(name, "not a precision");
    return VIT_PRECISION_F32;
}

static void read_photos(server *s, const char *path)
{
    const size_t size = s->photo_floats * sizeof *s->photos;
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) stop(path, "cannot be read");
    const long end = ftell(file);
    if (end <= 0 || (size_t)end % size != 0) stop(path, "not images of the model's size");
    s->count = (size_t)end / size;
    s->photos = allocate(s->count, size);
    rewind(file);
    if (fread(s->photos, size, s->count, file) != s->count) stop(path, "cannot be read");
    fclose(file);
}

static vit_workspace *find_workspace(const server *s, uint32_t batch)
{
    for (size_t i = 0; i < s->batch_count; i++)
        if (s->batches[i] == batch) return s->workspaces[i];
    stop("batch", "not one of those given at the start");
    return NULL;
}

/* Logits of photos first, first + 1, ... */
static void forward(const server *s, vit_workspace *workspace, size_t first, uint32_t batch,
                    const vitc_log *log)
{
    const vit_config *c = s->config;
    const size_t row = (size_t)PATCHES_CHANNELS * c->patch * c->patch;
#pragma omp parallel for num_threads(s->threads) if (batch > 1)
    for (uint32_t b = 0; b < batch; b++) {
        const float *photo = s->photos + (first + b) % s->count * s->photo_floats;
        check(patches_extract_tensor(vit_workspace_patches(workspace, b), row, photo,
                                     c->image_height, c->image_width, c->patch, log),
              "patches_extract_tensor");
    }
    check(vit_forward(s->model, workspace, s->logits, batch, log), "vit_forward");
}

static void answer_logits(const server *s, uint32_t batch, const vitc_log *log)
{
    vit_workspace *workspace = find_workspace(s, batch);
    const uint32_t classes = s->config->classes;
    for (size_t first = 0; first < s->count; first += batch) {
        forward(s, workspace, first, batch, log);
        for (uint32_t b = 0; b < batch && first + b < s->count; b++)
            for (uint32_t k = 0; k < classes; k++)
                printf("%.9g%c", (double)s->logits[(size_t)b * classes + k],
                       k + 1 < classes ? ' ' : '\n');
    }
}

static void answer_run(const server *s, uint32_t batch, double seconds, const vitc_log *log)
{
    vit_workspace *workspace = find_workspace(s, batch);
    const double begin = milliseconds();
    double now = begin;
    do {
        forward(s, workspace, 0, batch, log);
        const double end = milliseconds();
        printf("%.4f ", end - now);
        now = end;
    } while (now - begin < 1e3 * seconds);
    printf("\n");
}

int main(int argc, char **argv)
{
    if (argc < 6 || argc > 5 + BATCHES)
        stop("usage", "forward_server MODEL PRECISION THREADS PHOTOS BATCH...");
    const vitc_log log = {show_message, NULL};
    server s = {.threads = (int)strtol(argv[3], NULL, 10)};
    if (s.threads < 1) stop(argv[3], "not a number of threads");

    const vit_load_options options = {.precision = find_precision(argv[2]), .threads = s.threads};
    check(vit_model_load(&s.model, argv[1], &options, &log), argv[1]);
    const vit_model_info info = vit_model_describe(s.model);
    s.config = info.config;
    s.photo_floats = (size_t)PATCHES_CHANNELS * s.config->image_height * s.config->image_width;
    read_photos(&s, argv[4]);

    uint32_t largest = 0;
    for (int i = 5; i < argc; i++) {
        const long batch = strtol(argv[i], NULL, 10);
        if (batch < 1 || batch > 1024) stop(argv[i], "not a batch size");
        s.batches[s.batch_count] = (uint32_t)batch;
        check(vit_workspace_create(&s.workspaces[s.batch_count++], s.model, (uint32_t)batch,
                                   s.threads, &log),
              "vit_workspace_create");
        if (batch > largest) largest = (uint32_t)batch;
    }
    s.logits = allocate((size_t)largest * s.config->classes, sizeof *s.logits);
    printf("ready %s, %s\n", info.kernel_row, info.precision_kernel);
    fflush(stdout);

    char line[128];
    while (fgets(line, sizeof line, stdin) != NULL) {
        unsigned batch;
        double seconds;
        if (sscanf(line, "logits %u", &batch) == 1)
            answer_logits(&s, batch, &log);
        else if (sscanf(line, "run %u %lf", &batch, &seconds) == 2)
            answer_run(&s, batch, seconds, &log);
        else
            stop(line, "not a command");
        fflush(stdout);
    }

    for (size_t i = 0; i < s.batch_count; i++) vit_workspace_free(s.workspaces[i]);
    vit_model_free(s.model);
    free(s.logits);
    free(s.photos);
    return 0;
}
