#include "app_sort.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app_progress.h"
#include "app_report.h"
#include "vitc_file.h"

enum { MAX_NAME = NAME_MAX, MAX_LABEL = 200, PNG_LEVEL = 6 };

static int no_memory(void)
{
    app_error("out of memory for sorting images into folders");
    return APP_EXIT_INTERNAL;
}

/* ---- the folder of folders ---- */

/* Whether `folder` is one that `below` lies in, or the same. */
static bool is_above(const char *folder, const char *below)
{
    struct stat wanted, at = {0}, before;
    char path[PATH_MAX];
    if (stat(folder, &wanted) != 0 || !S_ISDIR(wanted.st_mode)) return false;
    size_t length = (size_t)snprintf(path, sizeof path, "%s", below);
    do {
        before = at;
        if (length + 4 > sizeof path || stat(path, &at) != 0) return false;
        if (at.st_dev == wanted.st_dev && at.st_ino == wanted.st_ino) return true;
        memcpy(path + length, "/..", 4);
        length += 3;
    } while (at.st_dev != before.st_dev || at.st_ino != before.st_ino); /* / is above itself */
    return false;
}

int app_sort_prepare(const app_settings *settings, const app_inputs *inputs)
{
    const char *into = settings->sort_into;
    struct stat status;
    if (into == NULL) return APP_EXIT_DONE;
    const bool made = mkdir(into, 0777) == 0;
    if (!made && (errno != EEXIST || stat(into, &status) != 0 || !S_ISDIR(status.st_mode))) {
        app_error("%s: folder for --sort-into cannot be made: %s", into,
                  errno == EEXIST || errno == 0 ? "a file has that name" : strerror(errno));
        return APP_EXIT_INTERNAL;
    }
    for (size_t i = 0; i < inputs->count; i++) {
        if (!is_above(inputs->paths[i], into)) continue;
        app_error("--sort-into %s lies in %s, which is read: what is sorted would be found there; "
                  "name a folder elsewhere",
                  into, inputs->paths[i]);
        if (made) rmdir(into);
        return APP_EXIT_USAGE;
    }
    return APP_EXIT_DONE;
}

int app_sort_open(app_sort *sort, const app_settings *settings, const vit_model *model)
{
    *sort = (app_sort){
        .settings = settings, .model = model, .classes = vit_model_describe(model).config->classes};
    char name[64];
    snprintf(name, sizeof name, ".vitc-%ld", (long)getpid());
    sort->folders = calloc((size_t)sort->classes + 1, sizeof *sort->folders);
    sort->temporary = vitc_path_join(settings->sort_into, name);
    return sort->folders != NULL && sort->temporary != NULL ? APP_EXIT_DONE : no_memory();
}

/* ---- a label's folder ---- */

/* How much of a text fits into `most` bytes without cutting a character of UTF-8 in two. */
static size_t fitting(const char *text, size_t most)
{
    size_t length = strnlen(text, most + 1);
    if (length <= most) return length;
    for (length = most; length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80;) length--;
    return length;
}

static void name_folder(char name[MAX_LABEL + 1], const char *label)
{
    const size_t length = fitting(label, MAX_LABEL);
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)label[i];
        const bool bad = c < 0x20 || c == 0x7F || c == '/' || (c == '.' && i == 0);
        name[i] = bad ? '_' : label[i];
    }
    name[length] = 0;
    if (length == 0) memcpy(name, "_", 2);
}

/* Two labels that differ only in what a name may not hold get two folders. */
static bool is_taken(const app_sort *sort, const char *path)
{
    for (uint32_t k = 0; k <= sort->classes; k++)
        if (sort->folders[k] != NULL && strcmp(sort->folders[k], path) == 0) return true;
    return false;
}

static char *folder_path(const app_sort *sort, uint32_t index)
{
    char name[MAX_LABEL + 1], numbered[MAX_LABEL + 32];
    const char *into = sort->settings->sort_into;
    if (index == sort->classes) return vitc_path_join(into, "uncertain");
    name_folder(name, vit_model_label(sort->model, index));
    char *path = vitc_path_join(into, name);
    if (path == NULL || (!is_taken(sort, path) && strcmp(name, "uncertain") != 0)) return path;
    free(path);
    snprintf(numbered, sizeof numbered, "%s [%" PRIu32 "]", name, index);
    return vitc_path_join(into, numbered);
}

static int make_folder(app_sort *sort, uint32_t index)
{
    struct stat status;
    if (sort->folders[index] != NULL) return APP_EXIT_DONE;
    char *path = folder_path(sort, index);
    if (path == NULL) return no_memory();
    const int error = mkdir(path, 0777) == 0 ? 0 : errno;
    if (error != 0 && (error != EEXIST || stat(path, &status) != 0 || !S_ISDIR(status.st_mode))) {
        app_error("%s: folder cannot be made: %s", path,
                  error == EEXIST ? "a file has that name" : strerror(error));
        free(path);
        return APP_EXIT_INTERNAL;
    }
    sort->folders[index] = path;
    sort->used++;
    return APP_EXIT_DONE;
}

/* ---- one image ---- */

typedef struct source {
    char *target; /* of a link; NULL: the bytes are copied */
    const unsigned char *bytes;
    size_t size;
    unsigned char *encoded; /* bytes that were made for this */
    char name[MAX_NAME + 1];
} source;

/* The name that an image has, without the place where it is. */
static void name_image(source *s, const datasets_item *item)
{
    const char *slash = strrchr(item->path, '/');
    const char *name = slash != NULL ? slash + 1 : item->path;
    const char *ending = s->encoded != NULL ? ".png" : "";
    if (strcmp(name, "-") == 0) name = "standard input";
    if (name[0] == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) name = "image";
    snprintf(s->name, sizeof s->name, "%.*s%s", (int)fitting(name, MAX_NAME - strlen(ending)), name,
             ending);
}

static int open_source(source *s, const app_sort *sort, const datasets_item *item)
{
    const vitc_log log = app_log(sort->settings);
    *s = (source){.bytes = item->bytes, .size = item->size};
    if (item->bytes == NULL) {
        const vitc_status status =
            imgio_encode_png(&s->encoded, &s->size, &item->image, PNG_LEVEL, &log);
        if (status != VITC_OK) return app_exit_status(status);
        s->bytes = s->encoded;
    } else if (!sort->settings->sort_copies && strcmp(item->path, "-") != 0) {
        s->target = realpath(item->path, NULL); /* NULL for what is no file of its own */
    }
    name_image(s, item);
    return APP_EXIT_DONE;
}

static void close_source(source *s)
{
    free(s->target);
    free(s->encoded);
}

/* "name.jpg", "name (2).jpg", ... */
static char *numbered_path(const char *folder, const char *name, unsigned number)
{
    char suffix[16] = "";
    char *path = NULL;
    const char *dot = strrchr(name, '.');
    const char *ending = dot != NULL && dot != name ? dot : name + strlen(name);
    if (number > 1) snprintf(suffix, sizeof suffix, " (%u)", number);
    size_t stem = (size_t)(ending - name);
    const size_t rest = strlen(suffix) + strlen(ending);
    if (stem + rest > MAX_NAME) stem = rest < MAX_NAME ? fitting(name, MAX_NAME - rest) : 0;
    if (asprintf(&path, "%s/%.*s%s%s", folder, (int)stem, name, suffix, ending) < 0) return NULL;
    return path;
}

/* A run that is repeated finds what it has put there. */
static bool is_there(const char *path, const source *s)
{
    if (s->target != NULL) {
        char target[PATH_MAX];
        const ssize_t length = readlink(path, target, sizeof target);
        return length > 0 && (size_t)length == strlen(s->target) &&
               memcmp(target, s->target, (size_t)length) == 0;
    }
    struct stat status;
    unsigned char *bytes;
    size_t size;
    if (stat(path, &status) != 0 || (uint64_t)status.st_size != s->size ||
        vitc_file_read(&bytes, &size, path, s->size, NULL) != VITC_OK)
        return false;
    const bool same = size == s->size && memcmp(bytes, s->bytes, size) == 0;
    free(bytes);
    return same;
}

/* Renames without overwriting; 0 or an errno. */
static int move_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return errno;
    /* A file system that cannot do that (NFS) has hard links. */
    if (link(from, to) != 0) return errno;
    return unlink(from) == 0 ? 0 : errno;
}

static int write_whole(const char *path, const source *s)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return errno;
    int error = 0;
    for (size_t done = 0; done < s->size && error == 0;) {
        const ssize_t written = write(fd, s->bytes + done, s->size - done);
        if (written >= 0)
            done += (size_t)written;
        else if (errno != EINTR)
            error = errno;
    }
    if (close(fd) != 0 && error == 0) error = errno;
    return error;
}

/* The link or copy at the first name that is free. 0 or an errno; *at is the path. */
static int put(char **at, const app_sort *sort, const char *folder, const source *s)
{
    int error = s->target == NULL ? write_whole(sort->temporary, s) : 0;
    *at = NULL;
    for (unsigned number = 1; error == 0; number++) {
        free(*at);
        *at = numbered_path(folder, s->name, number);
        if (*at == NULL) return ENOMEM;
        if (s->target != NULL)
            error = symlink(s->target, *at) == 0 ? 0 : errno;
        else
            error = move_new(sort->temporary, *at);
        if (error == 0) return 0;
        if (error == EEXIST) error = is_there(*at, s) ? EEXIST : 0;
    }
    if (s->target == NULL) unlink(sort->temporary);
    return error == EEXIST ? 0 : error;
}

int app_sort_image(app_sort *sort, const datasets_item *item, uint32_t label, bool uncertain)
{
    const uint32_t index = uncertain ? sort->classes : label;
    source s;
    char *path;
    int result = make_folder(sort, index);
    if (result != APP_EXIT_DONE) return result;
    result = open_source(&s, sort, item);
    if (result != APP_EXIT_DONE) return result;
    const int error = put(&path, sort, sort->folders[index], &s);
    if (error == ENOMEM) {
        result = no_memory();
    } else if (error != 0) {
        const bool links = s.target != NULL && (error == EPERM || error == EOPNOTSUPP);
        app_error("%s: cannot be written: %s%s", path != NULL ? path : sort->temporary,
                  strerror(error), links ? "; --sort-copies makes copies instead of links" : "");
        result = APP_EXIT_INTERNAL;
    }
    sort->files += result == APP_EXIT_DONE;
    free(path);
    close_source(&s);
    return result;
}

void app_sort_close(app_sort *sort)
{
    if (sort->folders == NULL) return;
    if (!sort->settings->quiet)
        app_error("%" PRIu64 " image%s sorted into %" PRIu64 " folder%s of %s", sort->files,
                  sort->files == 1 ? "" : "s", sort->used, sort->used == 1 ? "" : "s",
                  sort->settings->sort_into);
    for (uint32_t k = 0; k <= sort->classes; k++) free(sort->folders[k]);
    free(sort->folders);
    free(sort->temporary);
    sort->folders = NULL;
}
