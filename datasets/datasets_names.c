#include "datasets_private.h"

#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int datasets_names_compare(const char *a, const char *b)
{
    const char *x = a, *y = b;
    while (*x != 0 && *y != 0) {
        if (is_digit(*x) && is_digit(*y)) {
            while (*x == '0') x++;
            while (*y == '0') y++;
            size_t n = 0, m = 0;
            while (is_digit(x[n])) n++;
            while (is_digit(y[m])) m++;
            if (n != m) return n < m ? -1 : 1;
            const int order = memcmp(x, y, n);
            if (order != 0) return order;
            x += n;
            y += m;
        } else if (*x != *y) {
            return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
        } else {
            x++;
            y++;
        }
    }
    if (*x != *y) return *x == 0 ? -1 : 1;
    return strcmp(a, b); /* equal but for zeros in front of a number */
}

bool datasets_names_clutter(const char *name)
{
    return name[0] == '.' || strcasecmp(name, "Thumbs.db") == 0 ||
           strcasecmp(name, "desktop.ini") == 0;
}

uint64_t datasets_names_hash(uint64_t hash, const char *name)
{
    for (; *name != 0; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001B3;
    return hash;
}

const char *datasets_names_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

bool datasets_names_ends(const char *name, const char *ending)
{
    const size_t length = strlen(name), n = strlen(ending);
    return length >= n && strcasecmp(name + length - n, ending) == 0;
}

bool datasets_names_picture(const char *name)
{
    static const char *const others[] = {".tif", ".tiff", ".heic", ".heif", ".hif", ".avif",
                                         ".jxl", ".jp2",  ".j2k",  ".jfif", ".jpe", ".pbm",
                                         ".pam", ".exr",  ".hdr",  ".dng",  ".cr2", ".cr3",
                                         ".nef", ".arw",  ".raf",  ".rw2",  ".orf"};
    if (datasets_names_image(name)) return true;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (datasets_names_ends(name, others[i])) return true;
    return false;
}

bool datasets_names_image(const char *name)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp",
                                          ".tga", ".pgm",  ".ppm", ".pnm",  ".psd"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (datasets_names_ends(name, endings[i])) return true;
    return false;
}
