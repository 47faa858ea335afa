/* Lists of paths and labels.
 *
 * .csv   RFC 4180: fields between commas, in quotes where they hold a comma, a quote (doubled) or a
 *        line break. Lines end in LF or CRLF.
 * .tsv   the same with tabs.
 * .jsonl an object for each line.
 *
 * Columns are found by the names in the first line, keys by theirs: those below, in upper or lower
 * case. A first line that has none of these names is a row, and its first two columns are path and
 * label; but one without a path before one with a path is refused. A byte order mark before it all
 * is passed over, empty lines are, and so are spaces around a label; everything else is kept as it
 * is, also bytes that are not UTF-8. */
#include "datasets_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vitc_json.h"
#include "vitc_log.h"

/* In order of preference; the first ones are those that messages speak of. */
static const char *const path_names[] = {"path",     "file_name",  "filename", "filepath",
                                         "img_path", "image_path", "file",     "image"};
static const char *const label_names[] = {"label", "class", "class_name", "category", "target"};
enum {
    PATH_NAMES = sizeof path_names / sizeof *path_names,
    LABEL_NAMES = sizeof label_names / sizeof *label_names,
    MAX_ROW = 1 << 20 /* bytes: more is a quote that is not closed, or no list */
};

struct datasets_list {
    char *path;
    FILE *file;
    bool labelled;
    char separator;        /* 0: JSON */
    uint64_t offset, line; /* of the next byte, from 0 and 1 */
    uint64_t row_line;     /* where the row began that is being read */
    char *text;            /* the row: its fields, a NUL after each; or a line of JSON */
    size_t used, room;
    size_t fields;
    size_t path_field, label_field;
    vitc_json *document; /* the row that was read last */
    char number[24];     /* its label, where that is a number */
};

static const struct {
    const char *ending;
    char separator;
} formats[] = {{".csv", ','}, {".tsv", '\t'}, {".jsonl", 0}, {".ndjson", 0}};
enum { FORMATS = sizeof formats / sizeof *formats };

bool datasets_manifest_is(const char *path)
{
    for (size_t i = 0; i < FORMATS; i++)
        if (datasets_names_ends(path, formats[i].ending)) return true;
    return false;
}

/* ---- bytes ---- */

/* What is wrong in the row that is being read: "list.csv: line 7: ...". */
#define fail_row(list, log, format, ...)                                                           \
    vitc_fail((log), VITC_ERR_CORRUPT, "%s: line %llu: " format, (list)->path,                     \
              (unsigned long long)(list)->row_line, __VA_ARGS__)

static int take(datasets_list *list)
{
    const int c = getc_unlocked(list->file);
    if (c == EOF) return EOF;
    list->offset++;
    if (c == '\n') list->line++;
    return c;
}

static vitc_status put(datasets_list *list, char c, const vitc_log *log)
{
    if (list->used == list->room) {
        if (list->used >= MAX_ROW)
            return fail_row(list, log, "longer than %d bytes%s", MAX_ROW,
                            list->separator != 0 ? "; is a quote not closed?" : "");
        const size_t room = list->room != 0 ? 2 * list->room : 512;
        char *grown = realloc(list->text, room);
        if (grown == NULL) return vitc_fail_memory(log, list->path);
        list->text = grown;
        list->room = room;
    }
    list->text[list->used++] = c;
    return VITC_OK;
}

/* A byte of the list's own text, where a NUL can only be a mistake. */
static vitc_status put_text(datasets_list *list, int c, const vitc_log *log)
{
    if (c == 0) return fail_row(list, log, "a %s byte; this is no list of paths", "NUL");
    return put(list, (char)c, log);
}

static vitc_status check_readable(const datasets_list *list, const vitc_log *log)
{
    if (!ferror(list->file)) return VITC_OK;
    return vitc_fail(log, VITC_ERR_UNREADABLE, "%s: cannot be read: %s", list->path,
                     strerror(errno));
}

/* ---- rows of fields ---- */

/* The rest of a field that began with a quote, then *next: what ended it. */
static vitc_status read_quoted(int *next, datasets_list *list, const vitc_log *log)
{
    for (;;) {
        int c = take(list);
        if (c == EOF) {
            VITC_TRY(check_readable(list, log));
            return fail_row(list, log, "a quote (%c) that is not closed", '"');
        }
        if (c == '"') {
            c = take(list);
            if (c != '"') {
                *next = c;
                return VITC_OK;
            }
        }
        VITC_TRY(put_text(list, c, log));
    }
}

/* What ends a line: LF, CRLF, the end of the file. */
static bool is_line_end(datasets_list *list, int c)
{
    if (c != '\r') return c == '\n' || c == EOF;
    const int next = take(list);
    if (next == '\n' || next == EOF) return true;
    ungetc(next, list->file);
    list->offset--;
    return false;
}

/* One field, a NUL behind it; *last when the row ends with it. */
static vitc_status read_field(bool *last, datasets_list *list, const vitc_log *log)
{
    int c = take(list);
    const bool quoted = c == '"';
    if (quoted) VITC_TRY(read_quoted(&c, list, log));
    for (;;) {
        *last = is_line_end(list, c);
        if (*last || c == list->separator) break;
        if (quoted) return fail_row(list, log, "%s", "text after a closing quote");
        VITC_TRY(put_text(list, c, log));
        c = take(list);
    }
    list->fields++;
    return put(list, 0, log);
}

static void begin_row(datasets_list *list)
{
    list->row_line = list->line;
    list->used = 0;
    list->fields = 0;
}

/* Fields up to the end of the line; *end when there are no more lines. Empty lines are passed over.
 */
static vitc_status read_fields(datasets_row *row, bool *end, datasets_list *list,
                               const vitc_log *log)
{
    do {
        begin_row(list);
        row->offset = list->offset;
        row->line = list->line;
        bool last = false;
        while (!last) VITC_TRY(read_field(&last, list, log));
        *end = list->used == 1 && feof(list->file);
    } while (list->used == 1 && !*end); /* the NUL alone */
    return check_readable(list, log);
}

/* NULL when the row has fewer fields. */
static char *field(const datasets_list *list, size_t index)
{
    if (index >= list->fields) return NULL;
    char *text = list->text;
    while (index-- > 0) text += strlen(text) + 1;
    return text;
}

/* Without spaces and tabs at both ends. */
static char *trim(char *text)
{
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t')) length--;
    text[length] = 0;
    return text;
}

static vitc_status take_fields(datasets_row *row, const datasets_list *list, const vitc_log *log)
{
    row->path = field(list, list->path_field);
    if (row->path == NULL || *row->path == 0) return fail_row(list, log, "no %s", "path");
    row->label = NULL;
    if (!list->labelled) return VITC_OK;
    char *label = field(list, list->label_field);
    if (label == NULL && list->fields == 1)
        return fail_row(list, log, "no label: one field only; fields are separated by %s",
                        list->separator == ',' ? "commas" : "tabs");
    row->label = label != NULL ? trim(label) : "";
    return *row->label != 0 ? VITC_OK : fail_row(list, log, "no %s", "label");
}

/* ---- the first line ---- */

/* Whether a field is this name, with spaces and tabs around it or not. */
static bool is_name(const char *text, const char *name)
{
    const size_t length = strlen(name);
    text += strspn(text, " \t");
    return strncasecmp(text, name, length) == 0 && text[length + strspn(text + length, " \t")] == 0;
}

/* The column that has one of the names; false when there is none. */
static bool find_column(size_t *column, const datasets_list *list, const char *const *names,
                        size_t count)
{
    const char *text = list->text;
    size_t best = count;
    for (size_t k = 0; k < list->fields; k++, text += strlen(text) + 1)
        for (size_t i = 0; i < best; i++)
            if (is_name(text, names[i])) {
                best = i;
                *column = k;
            }
    return best < count;
}

/* Whether a text looks like the path of an image: it has an ending or a folder. */
static bool is_path(const char *text)
{
    return strpbrk(text, "./") != NULL;
}

static bool holds_path(const datasets_list *list)
{
    const char *text = list->text;
    for (size_t k = 0; k < list->fields; k++, text += strlen(text) + 1)
        if (is_path(text)) return true;
    return false;
}

/* Columns from the names in the first line, or the first two; *names tells which. */
static vitc_status find_columns(bool *names, datasets_list *list, const vitc_log *log)
{
    list->path_field = 0;
    list->label_field = 1;
    const bool path = find_column(&list->path_field, list, path_names, PATH_NAMES);
    const bool label = find_column(&list->label_field, list, label_names, LABEL_NAMES);
    *names = path || label;
    if (list->labelled && path != label && is_path(field(list, 0))) {
        *names = false; /* a row: one of the names is also that of a class */
        list->path_field = 0;
        list->label_field = 1;
    }
    if (*names && !path)
        return fail_row(list, log, "names a column \"%s\", but none \"%s\"",
                        field(list, list->label_field), path_names[0]);
    if (*names && !label && list->labelled)
        return fail_row(list, log, "names a column \"%s\", but none \"%s\"",
                        field(list, list->path_field), label_names[0]);
    return VITC_OK;
}

/* Names that nobody knows would be a row of a class of its own. They are told from one by the row
 * behind them, which has a path. */
static vitc_status check_first_row(datasets_list *list, const vitc_log *log)
{
    char first[64];
    datasets_row row;
    bool end;
    const uint64_t line = list->row_line;
    if (holds_path(list)) return VITC_OK;
    snprintf(first, sizeof first, "%s", list->text);
    /* What is wrong with the next row is told in its turn. */
    if (read_fields(&row, &end, list, NULL) != VITC_OK || end || !holds_path(list)) return VITC_OK;
    list->row_line = line;
    return fail_row(
        list, log, "\"%s\" is no path; a line of names needs a column \"%s\" (%s, %s, ...)%s%s%s",
        first, path_names[0], path_names[1], path_names[3], list->labelled ? " and one \"" : "",
        list->labelled ? label_names[0] : "", list->labelled ? "\" (class, category, ...)" : "");
}

static vitc_status read_header(datasets_list *list, const vitc_log *log)
{
    datasets_row row;
    bool end, names = false;
    const uint64_t offset = list->offset;
    VITC_TRY(read_fields(&row, &end, list, log));
    if (!end) VITC_TRY(find_columns(&names, list, log));
    if (names) return VITC_OK;
    if (!end) VITC_TRY(check_first_row(list, log));
    list->line = 1;
    return datasets_list_seek(list, offset, log);
}

/* ---- rows of JSON ---- */

static vitc_status read_line(datasets_row *row, bool *end, datasets_list *list, const vitc_log *log)
{
    bool blank;
    int c;
    do {
        begin_row(list);
        row->offset = list->offset;
        row->line = list->line;
        blank = true;
        while ((c = take(list)) != '\n' && c != EOF) {
            blank = blank && (c == ' ' || c == '\t' || c == '\r');
            VITC_TRY(put_text(list, c, log));
        }
    } while (blank && c != EOF);
    *end = blank;
    return check_readable(list, log);
}

static const vitc_json *find_key(const vitc_json *object, const char *const *names, size_t count)
{
    const vitc_json *value = NULL;
    for (size_t i = 0; i < count && value == NULL; i++) value = vitc_json_get(object, names[i]);
    return value;
}

static vitc_status take_label(datasets_row *row, datasets_list *list, const vitc_log *log)
{
    char described[VITC_SHOWN_SIZE];
    const vitc_json *label = find_key(list->document, label_names, LABEL_NAMES);
    row->label = vitc_json_string(label, NULL);
    if (vitc_json_is_integer(label)) {
        snprintf(list->number, sizeof list->number, "%lld", (long long)vitc_json_integer(label, 0));
        row->label = list->number;
    }
    if (row->label != NULL && *row->label != 0) return VITC_OK;
    vitc_json_describe(described, sizeof described, label);
    return fail_row(list, log, "\"label\" must be a text or a whole number; it is %s", described);
}

static vitc_status take_keys(datasets_row *row, datasets_list *list, const vitc_log *log)
{
    char name[64], described[VITC_SHOWN_SIZE];
    vitc_json_free(list->document);
    list->document = NULL;
    datasets_message message;
    const vitc_log keeper = datasets_message_log(&message, log);
    snprintf(name, sizeof name, "line %llu", (unsigned long long)list->row_line);
    const vitc_status status =
        vitc_json_parse(&list->document, list->text, list->used, name, &keeper);
    if (status != VITC_OK) return vitc_fail(log, status, "%s: %s", list->path, message.text);
    const vitc_json *path = find_key(list->document, path_names, PATH_NAMES);
    row->label = NULL;
    row->path = vitc_json_string(path, "");
    if (*row->path == 0) {
        vitc_json_describe(described, sizeof described, path);
        return fail_row(list, log, "\"path\" must be a text; it is %s", described);
    }
    return list->labelled ? take_label(row, list, log) : VITC_OK;
}

/* ---- lists ---- */

vitc_status datasets_list_next(datasets_row *row, bool *end, datasets_list *list,
                               const vitc_log *log)
{
    if (list->separator == 0) {
        VITC_TRY(read_line(row, end, list, log));
        return *end ? VITC_OK : take_keys(row, list, log);
    }
    VITC_TRY(read_fields(row, end, list, log));
    return *end ? VITC_OK : take_fields(row, list, log);
}

vitc_status datasets_list_seek(datasets_list *list, uint64_t offset, const vitc_log *log)
{
    if (fseeko(list->file, (off_t)offset, SEEK_SET) != 0)
        return vitc_fail(log, VITC_ERR_UNREADABLE, "%s: cannot be read: %s", list->path,
                         strerror(errno));
    list->offset = offset;
    return VITC_OK;
}

datasets_stamp datasets_list_stamp(const datasets_list *list)
{
    struct stat status = {0};
    (void)fstat(fileno(list->file), &status);
    return (datasets_stamp){
        .device = (uint64_t)status.st_dev,
        .inode = (uint64_t)status.st_ino,
        .size = (uint64_t)status.st_size,
        .seconds = (int64_t)status.st_mtim.tv_sec,
        .nanoseconds = (int64_t)status.st_mtim.tv_nsec,
    };
}

static vitc_status skip_mark(datasets_list *list, const vitc_log *log)
{
    char start[3];
    const size_t got = fread(start, 1, sizeof start, list->file);
    VITC_TRY(check_readable(list, log));
    const bool mark = got == sizeof start && memcmp(start, "\xEF\xBB\xBF", sizeof start) == 0;
    return datasets_list_seek(list, mark ? sizeof start : 0, log);
}

static vitc_status open_file(datasets_list *list, const vitc_log *log)
{
    /* O_NONBLOCK: a pipe that nobody writes to would otherwise wait for ever. */
    const int fd = open(list->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (fd < 0)
        return vitc_fail(log, VITC_ERR_UNREADABLE, "%s: cannot be opened: %s", list->path,
                         strerror(errno));
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return vitc_fail(log, VITC_ERR_UNREADABLE, "%s: a list of paths must be a regular file",
                         list->path);
    }
    list->file = fdopen(fd, "rb");
    if (list->file != NULL) return VITC_OK;
    close(fd);
    return vitc_fail_memory(log, list->path);
}

vitc_status datasets_list_open(datasets_list **list, const char *path, bool labelled,
                               const vitc_log *log)
{
    *list = NULL;
    datasets_list *opened = calloc(1, sizeof *opened);
    if (opened == NULL) return vitc_fail_memory(log, path);
    opened->labelled = labelled;
    opened->line = 1;
    opened->path = strdup(path);
    for (size_t i = 0; i < FORMATS; i++)
        if (datasets_names_ends(path, formats[i].ending)) opened->separator = formats[i].separator;
    vitc_status status =
        opened->path != NULL ? open_file(opened, log) : vitc_fail_memory(log, path);
    if (status == VITC_OK) status = skip_mark(opened, log);
    if (status == VITC_OK && opened->separator != 0) status = read_header(opened, log);
    if (status == VITC_OK)
        *list = opened;
    else
        datasets_list_close(opened);
    return status;
}

void datasets_list_close(datasets_list *list)
{
    if (list == NULL) return;
    if (list->file != NULL) fclose(list->file);
    vitc_json_free(list->document);
    free(list->path);
    free(list->text);
    free(list);
}
