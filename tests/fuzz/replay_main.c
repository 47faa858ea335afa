/* Runs a fuzz target without libFuzzer: replay_<what> FILE-OR-FOLDER...
 *
 * Each file (of a folder: each file in it) goes in as it is, cut off at several places, and with
 * bytes damaged, always in the same way. A target reports what it finds by aborting, or through a
 * sanitizer. Exit 1 when a path cannot be read or holds no file. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vitc_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    SIZE_MAXIMUM = 1 << 30,
    CUTS = 12,
    DAMAGES = 24,
    /* A file as large as this goes in whole only: the small ones reach the same code sooner. */
    LARGE = 100 * 1000
};

/* In a block of its own and of the exact size, so that AddressSanitizer sees a read past the end.
 */
static void feed(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size != 0 ? size : 1);
    if (copy == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    if (size != 0) memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014): the same numbers everywhere. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
}

static void feed_damaged(uint8_t *data, size_t size)
{
    uint64_t state = size;
    for (size_t i = 1; i <= CUTS; i++) feed(data, size * i / (CUTS + 1));
    if (size != 0) feed(data, size - 1);
    for (int i = 0; i < DAMAGES && size != 0; i++) {
        /* Half of the time where headers are. */
        const size_t range = i % 2 == 0 && size > 64 ? 64 : size;
        const size_t at = (size_t)(next_random(&state) % range);
        const uint8_t kept = data[at];
        data[at] = (uint8_t)next_random(&state);
        feed(data, size);
        data[at] = kept;
    }
}

static int replay_file(const char *path)
{
    unsigned char *data = NULL;
    size_t size = 0;
    if (vitc_file_read(&data, &size, path, SIZE_MAXIMUM, NULL) != VITC_OK) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return 0;
    }
    printf("%s\n", path);
    fflush(stdout);
    feed(data, size);
    if (size < LARGE) feed_damaged(data, size);
    free(data);
    return 1;
}

static int replay_folder(const char *path)
{
    struct dirent **names = NULL;
    const int count = scandir(path, &names, NULL, alphasort);
    int files = 0, failed = 0;
    for (int i = 0; i < count; i++) {
        char *inner = NULL;
        struct stat about;
        if (asprintf(&inner, "%s/%s", path, names[i]->d_name) < 0) exit(1);
        if (stat(inner, &about) == 0 && S_ISREG(about.st_mode)) {
            files++;
            failed += !replay_file(inner);
        }
        free(inner);
        free(names[i]);
    }
    free(names);
    if (files == 0) fprintf(stderr, "%s: holds no file\n", path);
    return files > 0 && failed == 0;
}

int main(int argc, char **argv)
{
    int failed = argc < 2;
    if (failed) fprintf(stderr, "usage: %s FILE-OR-FOLDER...\n", argv[0]);
    for (int i = 1; i < argc; i++) {
        struct stat about;
        const int is_folder = stat(argv[i], &about) == 0 && S_ISDIR(about.st_mode);
        failed |= is_folder ? !replay_folder(argv[i]) : !replay_file(argv[i]);
    }
    return failed;
}
