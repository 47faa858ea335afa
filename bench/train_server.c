/* train_server MODEL PRECISION THREADS BATCH IMAGES [GROUP] - vitc's side of bench/train.py.
 *
 * Loads MODEL, says `ready` with a description, and answers lines on standard input as
 * bench/train_worker.py does for PyTorch:
 *
 *     gradients PATH      the gradients of the first batch's mean loss, as float32 to PATH, with
 *                         lines "name count" to PATH.names; one line: the loss
 *     run STEPS SECONDS   as many steps as fit, at least STEPS; two lines: the milliseconds of each
 *                         step, and the loss of each before it
 *     peak                one line: the floating-point operations that a step needs, and those per
 *                         second that the precision's instruction does at most, now
 *
 * IMAGES holds normalized float32 tensors [3, H, W], whole batches of them; number i is of class
 * i % K. GROUP: images that go forward and backward together. A step is what a training loop does
 * with a batch in memory: cut into patch rows, forward, backward, AdamW. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_server.h"
#include "vit_checkpoint.h"
#include "vit_optimizer.h"
#include "vit_train.h"
#include "vitc.h"
#include "vitc_clock.h"

static const double learning_rate = 1e-3, weight_decay = 0.05;

const char *const server_name = "train_server";

typedef struct server {
    vit_trainer *trainer;
    vit_optimizer *optimizer;
    vit_config config;
    uint32_t batch;
    int threads;
    float *images; /* [batches * batch][3][H][W] */
    size_t batches, image_floats;
    float *targets; /* [batches * batch][K] */
    uint64_t steps;
    vit_peak peak; /* of the precision */
    vitc_log log;
} server;

static uint32_t read_number(const char *text, const char *what)
{
    const long number = strtol(text, NULL, 10);
    if (number < 1 || number > 4096) stop(what, text);
    return (uint32_t)number;
}

/* ---- what is trained ---- */

/* The checkpoint's parameters become the trainer's, which has the same table. */
static void load_model(server *s, const char *path, vit_precision precision, uint32_t group)
{
    vit_checkpoint *checkpoint;
    check(vit_checkpoint_open(&checkpoint, path, NULL, &s->log), path);
    s->config = checkpoint->config;
    vit_train_options options = vit_train_options_default();
    options.batch = s->batch;
    options.group = group;
    options.threads = s->threads;
    options.precision = precision;
    check(vit_trainer_create(&s->trainer, &s->config, &options, &s->log), "trainer");
    float *parameters = vit_trainer_parameters(s->trainer);
    for (size_t i = 0; i < checkpoint->table.count; i++)
        check(vit_checkpoint_read(checkpoint, i, parameters + checkpoint->table.params[i].offset,
                                  &s->log),
              path);
    vit_checkpoint_free(checkpoint);

    vit_optimizer_options adamw = vit_optimizer_options_default(VIT_OPTIMIZER_ADAMW);
    adamw.weight_decay = weight_decay;
    adamw.threads = s->threads;
    check(vit_optimizer_create(&s->optimizer, &s->config, &adamw, &s->log), "optimizer");
}

static void read_images(server *s, const char *path)
{
    s->image_floats = (size_t)PATCHES_CHANNELS * s->config.image_height * s->config.image_width;
    const size_t size = s->batch * s->image_floats * sizeof *s->images;
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) stop(path, "cannot be read");
    const long end = ftell(file);
    if (end <= 0 || (size_t)end % size != 0) stop(path, "not whole batches of the model's size");
    s->batches = (size_t)end / size;
    s->images = allocate(s->batches, size);
    rewind(file);
    if (fread(s->images, size, s->batches, file) != s->batches) stop(path, "cannot be read");
    fclose(file);
    const size_t images = s->batches * s->batch, classes = s->config.classes;
    s->targets = allocate(images * classes, sizeof *s->targets);
    for (size_t i = 0; i < images; i++) s->targets[i * classes + i % classes] = 1;
}

/* ---- steps ---- */

/* The gradients of the next batch's mean loss; its loss. */
static double run_pass(server *s)
{
    const vit_config *c = &s->config;
    const size_t row = (size_t)PATCHES_CHANNELS * c->patch * c->patch;
    const size_t first = s->steps % s->batches * s->batch;
#pragma omp parallel for num_threads(s->threads)
    for (uint32_t b = 0; b < s->batch; b++) {
        const float *image = s->images + (first + b) * s->image_floats;
        check(patches_extract_tensor(vit_trainer_patches(s->trainer, b), row, image,
                                     c->image_height, c->image_width, c->patch, &s->log),
              "patches_extract_tensor");
    }
    vit_pass pass;
    vit_trainer_zero_gradients(s->trainer);
    check(vit_trainer_run(s->trainer, &pass, s->targets + first * c->classes, s->batch,
                          1 / (float)s->batch, s->steps, &s->log),
          "vit_trainer_run");
    return pass.loss;
}

static double step(server *s)
{
    const double loss = run_pass(s);
    check(vit_optimizer_step(s->optimizer, vit_trainer_parameters(s->trainer),
                             vit_trainer_gradients(s->trainer), learning_rate, NULL, &s->log),
          "vit_optimizer_step");
    s->steps++;
    return loss;
}

static void answer_run(server *s, size_t least, double seconds)
{
    enum { MOST = 65536 };
    static double times[MOST], losses[MOST];
    const double begin = vitc_clock_seconds();
    double now = begin;
    size_t count = 0;
    while (count < MOST && (count < least || now - begin < seconds)) {
        losses[count] = step(s);
        const double end = vitc_clock_seconds();
        times[count++] = 1e3 * (end - now);
        now = end;
    }
    for (size_t i = 0; i < count; i++) printf("%.4f%c", times[i], i + 1 < count ? ' ' : '\n');
    for (size_t i = 0; i < count; i++) printf("%.6f%c", losses[i], i + 1 < count ? ' ' : '\n');
}

static void answer_gradients(server *s, const char *path)
{
    char names_path[4104];
    vit_param_table table;
    const double loss = run_pass(s);
    const size_t count = vit_trainer_count(s->trainer);
    check(vitc_file_write(path, vit_trainer_gradients(s->trainer), count * sizeof(float), &s->log),
          path);
    snprintf(names_path, sizeof names_path, "%s.names", path);
    FILE *names = fopen(names_path, "w");
    if (names == NULL) stop(names_path, "cannot be written");
    check(vit_params_create(&table, &s->config, &s->log), "parameters");
    for (size_t i = 0; i < table.count; i++)
        fprintf(names, "%s %zu\n", table.params[i].name, table.params[i].count);
    vit_params_free(&table);
    if (fclose(names) != 0) stop(names_path, "cannot be written");
    printf("%.6f\n", loss);
}

/* The backward pass has two products for each of the forward pass, but the pixels' gradient is not
 * asked for. What is computed twice counts once. */
static double image_flops(const vit_config *c)
{
    const double patch = 2.0 * PATCHES_CHANNELS * c->patch * c->patch * c->width;
    return 3 * vit_config_flops(c) - vit_config_patches(c) * patch;
}

static void answer_peak(const server *s)
{
    double peak;
    check(vit_peak_measure(&peak, s->peak, s->threads, &s->log), "vit_peak_measure");
    printf("%.0f %.0f\n", s->batch * image_flops(&s->config), peak);
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 7)
        stop("usage", "train_server MODEL PRECISION THREADS BATCH IMAGES [GROUP]");
    server s = {.threads = (int)read_number(argv[3], "threads"),
                .batch = read_number(argv[4], "batch"),
                .log = {show_message, NULL}};
    const bool bf16 = strcmp(argv[2], "bf16") == 0;
    if (!bf16 && strcmp(argv[2], "f32") != 0) stop(argv[2], "not a precision");
    s.peak = bf16 ? VIT_PEAK_BF16 : VIT_PEAK_F32;
    load_model(&s, argv[1], bf16 ? VIT_PRECISION_BF16 : VIT_PRECISION_F32,
               argc == 7 ? read_number(argv[6], "group") : 0);
    read_images(&s, argv[5]);
    printf("ready %s, groups of %u images\n", argv[2], vit_trainer_options(s.trainer)->group);
    fflush(stdout);

    char line[4096], path[4096];
    while (fgets(line, sizeof line, stdin) != NULL) {
        unsigned steps;
        double seconds;
        if (sscanf(line, "run %u %lf", &steps, &seconds) == 2)
            answer_run(&s, steps, seconds);
        else if (sscanf(line, "gradients %4095s", path) == 1)
            answer_gradients(&s, path);
        else if (strcmp(line, "peak\n") == 0)
            answer_peak(&s);
        else
            stop(line, "not a command");
        fflush(stdout);
    }

    vit_optimizer_free(s.optimizer);
    vit_trainer_free(s.trainer);
    free(s.targets);
    free(s.images);
    return 0;
}
