#include "app_text.h"

#include <langinfo.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "app_ranks.h"
#include "vitc_utf8.h"

/* What COLUMNS says, for terminals that do not know their width. */
static size_t columns_told(size_t otherwise)
{
    const char *text = getenv("COLUMNS");
    const unsigned long columns = text != NULL ? strtoul(text, NULL, 10) : 0;
    return columns > 0 && columns <= UINT16_MAX ? columns : otherwise;
}

app_terminal app_terminal_of(FILE *stream)
{
    app_terminal t = {.columns = 80};
    /* What ranks have is mpirun's, and may end in a file. */
    t.terminal = isatty(fileno(stream)) == 1 && app_ranks_size() == 1;
    t.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    t.color = t.terminal && (no_color == NULL || no_color[0] == 0) && term != NULL &&
              strcmp(term, "dumb") != 0;
    struct winsize size;
    if (t.terminal && ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        t.columns = size.ws_col;
    else if (t.terminal)
        t.columns = columns_told(t.columns);
    return t;
}

/* C0 and C1 controls, DEL, and the marks that reorder text or break lines. */
static bool is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x2028 || point == 0x2029 ||
           point == 0x200E || point == 0x200F || (point >= 0x202A && point <= 0x202E) ||
           (point >= 0x2066 && point <= 0x2069);
}

char *app_text_printable(const char *text)
{
    const size_t size = strlen(text);
    if (size > (SIZE_MAX - 1) / 4) return NULL;
    char *safe = malloc(size * 4 + 1); /* \xNN for every byte */
    if (safe == NULL) return NULL;
    const unsigned char *s = (const unsigned char *)text;
    char *d = safe;
    while (*s != 0) {
        uint32_t point = 0;
        const size_t length = vitc_utf8_decode(&point, (const char *)s);
        if (length != 0 && !is_control(point)) {
            memcpy(d, s, length);
            d += length;
            s += length;
        } else if (length == 1 && (point == '\n' || point == '\t' || point == '\r')) {
            *d++ = '\\';
            *d++ = point == '\n' ? 'n' : point == '\t' ? 't' : 'r';
            s++;
        } else {
            for (size_t i = 0; i < (length != 0 ? length : 1); i++)
                d += snprintf(d, 5, "\\x%02x", *s++);
        }
    }
    *d = 0;
    return safe;
}

/* Where the locale does not know the character (the C locale), it counts as one column. */
static size_t point_width(uint32_t point)
{
    const int width = wcwidth((wchar_t)point);
    return width >= 0 ? (size_t)width : 1;
}

/* The bytes of the longest prefix of `text` that fits in `columns`; *used gets its width. */
static size_t fit(const char *text, size_t columns, size_t *used)
{
    size_t bytes = 0;
    *used = 0;
    while (text[bytes] != 0) {
        uint32_t point = '?';
        size_t length = vitc_utf8_decode(&point, text + bytes);
        if (length == 0) length = 1;
        const size_t width = point_width(point);
        if (width > columns - *used) break;
        *used += width;
        bytes += length;
    }
    return bytes;
}

size_t app_text_width(const char *text)
{
    size_t width;
    fit(text, SIZE_MAX, &width);
    return width;
}

void app_text_shorten(char *text, size_t columns)
{
    size_t used;
    char *last = strrchr(text, ',');
    while (last != NULL && app_text_width(text) > columns) {
        char *before = memrchr(text, ',', (size_t)(last - text));
        const char *kept = before != NULL ? last : last + strspn(last, ", ");
        memmove(before != NULL ? before : text, kept, strlen(kept) + 1);
        last = before;
    }
    text[fit(text, columns, &used)] = 0;
}

void app_text_column(FILE *out, const char *text, size_t width, bool cut_front, bool utf8)
{
    const char *mark = utf8 ? "\xE2\x80\xA6" : "...";
    const size_t mark_width = utf8 ? 1 : 3;
    size_t full = app_text_width(text);
    if (full > width && width > mark_width) {
        size_t used;
        if (cut_front) {
            const char *tail = text;
            while (full > width - mark_width) { /* drop characters until the rest fits */
                uint32_t point = '?';
                const size_t length = vitc_utf8_decode(&point, tail);
                tail += length != 0 ? length : 1;
                full -= point_width(point);
            }
            used = full;
            fprintf(out, "%s%s", mark, tail);
        } else {
            const size_t bytes = fit(text, width - mark_width, &used);
            fwrite(text, 1, bytes, out);
            fputs(mark, out);
        }
        full = used + mark_width;
    } else {
        fputs(text, out);
    }
    for (; full < width; full++) fputc(' ', out);
}

void app_text_bar(FILE *out, double share, size_t columns, bool utf8)
{
    static const char *const eighths[] = {"",
                                          "\xE2\x96\x8F",
                                          "\xE2\x96\x8E",
                                          "\xE2\x96\x8D",
                                          "\xE2\x96\x8C",
                                          "\xE2\x96\x8B",
                                          "\xE2\x96\x8A",
                                          "\xE2\x96\x89"};
    const double length = fmin(fmax(share, 0), 1) * (double)columns; /* fmax: 0 for NaN */
    if (utf8) {
        const size_t parts = (size_t)(length * 8 + 0.5);
        for (size_t i = 0; i < parts / 8; i++) fputs("\xE2\x96\x88", out);
        fputs(eighths[parts % 8], out);
    } else {
        const size_t parts = (size_t)(length + 0.5);
        for (size_t i = 0; i < parts; i++) fputc('#', out);
    }
}

char *app_text_base_name(const char *path)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') begin--;
    return strndup(path + begin, end - begin);
}

static void write_word(FILE *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./,:=@%+^";
    if (word[0] != 0 && word[strspn(word, plain)] == 0) {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (; *word != 0; word++)
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    fputc('\'', out);
}

char *app_text_command(int argc, char *const *argv)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) return NULL;
    for (int i = 0; i < argc; i++) {
        if (i > 0) fputc(' ', out);
        write_word(out, argv[i]);
    }
    const bool failed = ferror(out) != 0;
    if (fclose(out) == 0 && !failed) return text;
    free(text);
    return NULL;
}

void app_text_csv(FILE *out, const char *text)
{
    if (text[strcspn(text, "\",\r\n")] == 0) {
        fputs(text, out);
        return;
    }
    putc('"', out);
    for (; *text != 0; text++) {
        if (*text == '"') putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

const char *app_text_number(char *text, size_t size, uint64_t number)
{
    char digits[24];
    const int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    size_t used = 0;
    for (int i = 0; i < count && used + 2 < size; i++) {
        if (i > 0 && (count - i) % 3 == 0) text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = 0;
    return text;
}

const char *app_text_bytes(char *text, size_t size, uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    if (bytes < 1024) {
        snprintf(text, size, "%u bytes", (unsigned)bytes);
        return text;
    }
    double value = (double)bytes / 1024;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        unit++;
    }
    snprintf(text, size, "%.1f %s", value, units[unit]);
    return text;
}

/* Edits (insert, delete, replace, swap neighbours) between words of at most 31 characters. */
static size_t edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 32 };
    size_t rows[LONGEST][LONGEST];
    const size_t n = strlen(a), m = strlen(b);
    if (n >= LONGEST || m >= LONGEST) return SIZE_MAX;
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                rows[i][j] = i + j;
                continue;
            }
            size_t best = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (rows[i - 1][j] + 1 < best) best = rows[i - 1][j] + 1;
            if (rows[i][j - 1] + 1 < best) best = rows[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                rows[i - 2][j - 2] + 1 < best)
                best = rows[i - 2][j - 2] + 1;
            rows[i][j] = best;
        }
    }
    return rows[n][m];
}

bool app_text_print_json(vitc_json *object, bool complete, int indent, int digits, const char *end)
{
    char *text = complete ? vitc_json_dump(object, indent, digits) : NULL;
    vitc_json_free(object);
    if (text == NULL) return false;
    printf("%s%s", text, end);
    free(text);
    return true;
}

const char *app_text_nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    const size_t length = strlen(word);
    size_t least = length / 3 + 2; /* one typing error in a short word, more in a long one */
    for (size_t i = 0; i < count; i++) {
        /* The start of a word is nearer than any typing error. */
        const bool starts = length >= 3 && strncmp(candidates[i], word, length) == 0;
        const size_t distance = starts ? 0 : edit_distance(word, candidates[i]);
        if (distance < least && distance < strlen(candidates[i])) {
            least = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}
