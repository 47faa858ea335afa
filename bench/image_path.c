/* image_path PHOTO... - times what happens to an image before the model sees it, in this process
 * and on one thread. Reads names of stages from standard input, one per line; for each, all photos
 * go through that stage once, and one line answers: microseconds per photo. The first line it
 * prints is its version. image_path.py asks it in turn with other libraries. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vitc.h"
#include "vitc_file.h"

enum { SIDE = 224, PATCH = 16, ROW = 3 * PATCH * PATCH, ROWS = SIDE / PATCH * (SIDE / PATCH) };

typedef struct photo {
    unsigned char *bytes;
    size_t size;
    imgio_image pixels; /* decoded */
    imgio_image seen;   /* and resized */
} photo;

typedef struct bench {
    photo *photos;
    size_t count;
    patches_spec spec;
    imgio_decode_options full, fast;
    patches_levels levels;
    float rows[(size_t)ROWS * ROW];
} bench;

static void stop(const char *what, const char *why)
{
    fprintf(stderr, "image_path: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void check(vitc_status status, const char *what)
{
    if (status != VITC_OK) stop(what, vitc_status_string(status));
}

static void decode(imgio_image *image, const photo *p, const imgio_decode_options *options)
{
    check(imgio_decode_memory(image, p->bytes, p->size, NULL, options, NULL), "decoding");
}

static void resize(imgio_image *out, const imgio_image *in, const bench *b)
{
    check(patches_preprocess_image(out, in, &b->spec, NULL), "resizing");
}

static void normalize(bench *b, const imgio_image *image)
{
    check(patches_extract_image(b->rows, ROW, image, PATCH, &b->levels, NULL), "normalizing");
}

static void run_decode(bench *b, const photo *p)
{
    imgio_image image;
    decode(&image, p, &b->full);
    imgio_image_free(&image);
}

static void run_resize(bench *b, const photo *p)
{
    imgio_image out;
    resize(&out, &p->pixels, b);
    imgio_image_free(&out);
}

static void run_normalize(bench *b, const photo *p)
{
    normalize(b, &p->seen);
}

static void path(bench *b, const photo *p, const imgio_decode_options *options)
{
    imgio_image image, seen;
    decode(&image, p, options);
    resize(&seen, &image, b);
    imgio_image_free(&image);
    normalize(b, &seen);
    imgio_image_free(&seen);
}

static void run_path(bench *b, const photo *p)
{
    path(b, p, &b->full);
}

static void run_fast(bench *b, const photo *p)
{
    path(b, p, &b->fast);
}

static const struct stage {
    const char *name;
    void (*run)(bench *b, const photo *p);
    imgio_filter filter;
} stages[] = {
    {"decode", run_decode, IMGIO_BILINEAR},        {"resize-bilinear", run_resize, IMGIO_BILINEAR},
    {"resize-bicubic", run_resize, IMGIO_BICUBIC}, {"resize-lanczos", run_resize, IMGIO_LANCZOS},
    {"normalize", run_normalize, IMGIO_BILINEAR},  {"path-bilinear", run_path, IMGIO_BILINEAR},
    {"path-bicubic", run_path, IMGIO_BICUBIC},     {"fast-bilinear", run_fast, IMGIO_BILINEAR},
};

static double microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void answer(bench *b, const char *name)
{
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        if (strcmp(stages[i].name, name) != 0) continue;
        b->spec.filter = stages[i].filter;
        const double start = microseconds();
        for (size_t k = 0; k < b->count; k++) stages[i].run(b, &b->photos[k]);
        printf("%.3f\n", (microseconds() - start) / (double)b->count);
        fflush(stdout);
        return;
    }
    stop(name, "no such stage");
}

int main(int argc, char **argv)
{
    static bench b = {.spec = {.resize = PATCHES_RESIZE_EXACT,
                               .resize_height = SIDE,
                               .resize_width = SIDE,
                               .rescale = 1.0 / 255,
                               .normalize = true,
                               .mean = {0.485F, 0.456F, 0.406F},
                               .std = {0.229F, 0.224F, 0.225F}}};
    b.spec.filter = IMGIO_BILINEAR;
    b.count = (size_t)argc - 1;
    if (argc < 2) stop("usage", "image_path PHOTO...");
    b.photos = calloc(b.count, sizeof *b.photos);
    if (b.photos == NULL) stop("start", "out of memory");
    patches_levels_init(&b.levels, &b.spec);
    b.full = b.fast = imgio_decode_options_default();
    b.fast.fast = true;
    patches_spec_decode_options(&b.fast, &b.spec);
    for (size_t i = 0; i < b.count; i++) {
        photo *p = &b.photos[i];
        check(vitc_file_read(&p->bytes, &p->size, argv[i + 1], SIZE_MAX, NULL), argv[i + 1]);
        decode(&p->pixels, p, &b.full);
        resize(&p->seen, &p->pixels, &b);
    }
    printf("%s\n", VITC_VERSION_STRING);
    fflush(stdout);
    char line[64];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = 0;
        answer(&b, line);
    }
    for (size_t i = 0; i < b.count; i++) {
        free(b.photos[i].bytes);
        imgio_image_free(&b.photos[i].pixels);
        imgio_image_free(&b.photos[i].seen);
    }
    free(b.photos);
    return EXIT_SUCCESS;
}
