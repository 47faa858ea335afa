/* What the names of tar files and of their members say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets_tar.h"
#include "vitc_log.h"
#include "vitc_zlib.h"

enum { RANGE_MOST = 1000 * 1000 }; /* files of one {first..last} */

/* ---- names of members ---- */

bool datasets_tar_clean_name(char *clean, const char *name)
{
    char *end = clean;
    while (*name != 0) {
        const size_t length = strcspn(name, "/");
        const bool dots = length <= 2 && strncmp(name, "..", length) == 0;
        if (!dots) {
            if (end != clean) *end++ = '/';
            memcpy(end, name, length);
            end[length] = 0;
            if (datasets_names_clutter(end)) return false;
            end += length;
        }
        name += length + (name[length] == '/');
    }
    return end != clean;
}

/* A member's name in two: its key's length, and what is behind the first dot, "" without one. */
static size_t split_name(const char **extension, const char *name)
{
    const char *dot = strchr(datasets_names_base(name), '.');
    *extension = dot != NULL ? dot + 1 : "";
    return dot != NULL ? (size_t)(dot - name) : strlen(name);
}

bool datasets_tar_is_same_key(const char *a, const char *b)
{
    const char *extension;
    const size_t length = split_name(&extension, a);
    return split_name(&extension, b) == length && memcmp(a, b, length) == 0;
}

datasets_tar_label datasets_tar_label_of(const char *name)
{
    const char *extension;
    split_name(&extension, name);
    if (strcasecmp(extension, "cls") == 0) return DATASETS_TAR_LABEL_CLS;
    return strcasecmp(extension, "json") == 0 ? DATASETS_TAR_LABEL_JSON : DATASETS_TAR_LABEL_NONE;
}

datasets_tar_image datasets_tar_image_of(const char *name)
{
    const char *extension;
    split_name(&extension, name);
    if (strchr(extension, '.') != NULL || strcasecmp(extension, "txt") == 0)
        return DATASETS_TAR_IMAGE_NONE;
    return datasets_names_image(name) ? DATASETS_TAR_IMAGE_NAMED : DATASETS_TAR_IMAGE_PERHAPS;
}

/* ---- which files ---- */

/* Whether the first block is a member's header: its check sum is right. */
static bool is_header(const unsigned char *head)
{
    enum { SUM_AT = 148, SUM_SIZE = 8 };
    unsigned long sum = 0;
    char digits[SUM_SIZE + 1] = {0};
    for (size_t i = 0; i < DATASETS_TAR_BLOCK; i++)
        sum += i >= SUM_AT && i < SUM_AT + SUM_SIZE ? ' ' : head[i];
    memcpy(digits, head + SUM_AT, SUM_SIZE);
    return head[0] != 0 && strtoul(digits, NULL, 8) == sum;
}

bool datasets_tar_is(const char *path, const unsigned char *head, size_t size)
{
    static const char *const endings[] = {".tar",     ".tar.gz", ".tgz",     ".tar.xz", ".txz",
                                          ".tar.bz2", ".tbz2",   ".tar.zst", ".tzst"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (datasets_names_ends(path, endings[i])) return true;
    return size >= DATASETS_TAR_BLOCK && is_header(head);
}

bool datasets_tar_is_stream(const char *path)
{
    struct stat status;
    vitc_stream *stream;
    if (stat(path, &status) != 0) return false;
    if (!S_ISREG(status.st_mode)) return true;
    if (vitc_stream_open(&stream, path, NULL) != VITC_OK) return false;
    const bool sequential = vitc_stream_is_sequential(stream);
    vitc_stream_close(stream);
    return sequential;
}

/* ---- {first..last} ---- */

typedef struct brace_range {
    size_t prefix; /* characters before the brace */
    const char *suffix;
    unsigned long long first, last;
    int width; /* of the numbers, filled up with zeros */
} brace_range;

/* Digits only, and not too many for arithmetic. */
static const char *read_number(unsigned long long *value, const char *text)
{
    const size_t length = strspn(text, "0123456789");
    *value = strtoull(text, NULL, 10);
    return length > 0 && length < 19 ? text + length : NULL;
}

static bool read_range(brace_range *range, const char *path)
{
    for (const char *brace = strchr(path, '{'); brace != NULL; brace = strchr(brace + 1, '{')) {
        const char *middle = read_number(&range->first, brace + 1);
        if (middle == NULL || strncmp(middle, "..", 2) != 0) continue;
        const char *end = read_number(&range->last, middle + 2);
        if (end == NULL || *end != '}') continue;
        const int a = (int)(middle - brace - 1), b = (int)(end - middle - 2);
        const bool zeros = (brace[1] == '0' && a > 1) || (middle[2] == '0' && b > 1);
        range->prefix = (size_t)(brace - path);
        range->suffix = end + 1;
        range->width = zeros ? (a > b ? a : b) : 1;
        return true;
    }
    return false;
}

static vitc_status expand_range(char **paths, size_t *count, const brace_range *range,
                                const char *path, const vitc_log *log)
{
    for (unsigned long long i = range->first; i <= range->last; i++) {
        if (asprintf(&paths[*count], "%.*s%0*llu%s", (int)range->prefix, path, range->width, i,
                     range->suffix) < 0)
            return vitc_fail_memory(log, path);
        ++*count;
    }
    return VITC_OK;
}

vitc_status datasets_tar_expand(char ***paths, size_t *count, const char *path, const vitc_log *log)
{
    brace_range range;
    *count = 0;
    *paths = NULL;
    const bool several = access(path, F_OK) != 0 && read_range(&range, path);
    if (several && range.last < range.first)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "%s: the range counts down; write {%llu..%llu}",
                         path, range.last, range.first);
    if (several && range.last - range.first >= RANGE_MOST)
        return vitc_fail(log, VITC_ERR_TOO_LARGE, "%s: a range of more than %d files", path,
                         RANGE_MOST);
    const size_t room = several ? (size_t)(range.last - range.first) + 1 : 1;
    char **files = calloc(room, sizeof *files);
    if (files == NULL) return vitc_fail_memory(log, path);
    vitc_status status = VITC_OK;
    if (several)
        status = expand_range(files, count, &range, path, log);
    else if ((files[0] = strdup(path)) != NULL)
        *count = 1;
    else
        status = vitc_fail_memory(log, path);
    if (status == VITC_OK) {
        *paths = files;
        return VITC_OK;
    }
    for (size_t i = 0; i < *count; i++) free(files[i]);
    free(files);
    *count = 0;
    return status;
}
