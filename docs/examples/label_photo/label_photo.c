/* label_photo MODEL PHOTO... - prints what is on each photo.
 *
 * A small but complete application of libvitc: it reads every photo into memory itself, as a server
 * that gets them over the network would, and hands the bytes to a classifier. A photo that cannot
 * be classified does not stop the others.
 *
 * Exit status: 0 every photo was labelled, 1 some were not, 2 wrong usage, 3 no model. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vitc/vitc.h>

enum { LABELS = 3 };

/* vitc explains every failure here, in one line that names the file and the cause. */
static void print_message(void *user, vitc_log_level level, const char *message)
{
    (void)user;
    if (level <= VITC_LOG_WARN) fprintf(stderr, "label_photo: %s\n", message);
}

/* The whole file in a malloc'd buffer, or NULL after a message. */
static unsigned char *read_file(const char *path, size_t *size)
{
    unsigned char *data = NULL;
    size_t used = 0, capacity = 0;
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) goto failed;
    for (;;) {
        if (used == capacity) {
            unsigned char *grown;
            capacity = capacity == 0 ? 1 << 16 : capacity * 2;
            grown = realloc(data, capacity);
            if (grown == NULL) goto failed;
            data = grown;
        }
        const size_t got = fread(data + used, 1, capacity - used, stream);
        used += got;
        if (got == 0) break;
    }
    if (ferror(stream)) goto failed;
    fclose(stream);
    *size = used;
    return data;

failed:
    fprintf(stderr, "label_photo: %s: %s\n", path, strerror(errno));
    if (stream != NULL) fclose(stream);
    free(data);
    return NULL;
}

/* Classifies one photo and prints its best labels; 0 when that worked. */
static int label(vit_classifier *classifier, const vit_model *model, const char *path,
                 const vitc_log *log)
{
    const uint32_t classes = vit_model_describe(model).config->classes;
    const uint32_t shown = classes < LABELS ? classes : LABELS;
    uint32_t best[LABELS];
    vit_output output;
    int failed = 1;

    size_t size = 0;
    unsigned char *data = read_file(path, &size);
    if (data == NULL) return 1;
    const vit_input input = {.data = data, .size = size, .name = path};
    if (vit_classify(classifier, &output, &input, 1, log) != VITC_OK) goto cleanup;
    if (output.status != VITC_OK) {
        fprintf(stderr, "label_photo: %s\n", output.error);
        goto cleanup;
    }
    vit_top_k(best, shown, output.scores, classes);
    printf("%s (%u x %u)\n", path, (unsigned)output.width, (unsigned)output.height);
    for (uint32_t i = 0; i < shown; i++)
        printf("  %5.1f %%  %s\n", 100 * (double)output.scores[best[i]],
               vit_model_label(model, best[i]));
    failed = 0;

cleanup:
    free(data);
    return failed;
}

int main(int argc, char **argv)
{
    const vitc_log log = {.write = print_message};
    vit_model *model = NULL;
    vit_classifier *classifier = NULL;
    int exit_status = 3;

    if (argc < 3) {
        fprintf(stderr, "usage: label_photo MODEL PHOTO...\n");
        return 2;
    }
    if (vit_model_load(&model, argv[1], NULL, &log) != VITC_OK) goto cleanup;
    if (vit_classifier_create(&classifier, model, NULL, &log) != VITC_OK) goto cleanup;
    exit_status = 0;
    for (int i = 2; i < argc; i++)
        if (label(classifier, model, argv[i], &log) != 0) exit_status = 1;

cleanup:
    vit_classifier_free(classifier);
    vit_model_free(model);
    return exit_status;
}
