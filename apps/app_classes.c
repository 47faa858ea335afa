#include "app_classes.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app_model.h"
#include "app_report.h"
#include "app_text.h"

static int no_memory(void)
{
    app_error("out of memory for the classes");
    return APP_EXIT_INTERNAL;
}

datasets_options app_classes_options(const app_settings *settings)
{
    datasets_options options = datasets_options_default();
    options.class_names = settings->class_names;
    options.seed = settings->seed;
    if (settings->val_split > 0) {
        options.fraction = settings->val_split;
        options.part =
            settings->subset != DATASETS_ALL ? (datasets_part)settings->subset : DATASETS_CHOSEN;
    }
    return options;
}

/* ---- names ---- */

static int letter(char c)
{
    if (c == '_' || c == '-') return ' ';
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

static bool is_alike(const char *a, size_t length, const char *b)
{
    if (strlen(b) != length) return false;
    for (size_t i = 0; i < length; i++)
        if (letter(a[i]) != letter(b[i])) return false;
    return true;
}

/* "tench, Tinca tinca" has two names. */
static bool has_synonym(const char *label, const char *name)
{
    if (strchr(label, ',') == NULL) return false;
    for (const char *at = label; at != NULL;) {
        const char *end = strchr(at, ',');
        size_t length = end != NULL ? (size_t)(end - at) : strlen(at);
        while (length > 0 && at[0] == ' ') {
            at++;
            length--;
        }
        while (length > 0 && at[length - 1] == ' ') length--;
        if (length > 0 && is_alike(at, length, name)) return true;
        at = end != NULL ? end + 1 : NULL;
    }
    return false;
}

/* How many labels a name may stand for, in the strictest way in which it stands for any; *index
 * gets the first. */
static uint32_t match_label(uint32_t *index, const vit_model *model, const char *name)
{
    enum { EXACT, ALIKE, SYNONYM, WAYS };
    const uint32_t classes = vit_model_describe(model).config->classes;
    uint32_t found[WAYS] = {0}, first[WAYS] = {0};
    for (uint32_t k = 0; k < classes; k++) {
        const char *label = vit_model_label(model, k);
        int way = WAYS;
        if (strcmp(label, name) == 0)
            way = EXACT;
        else if (is_alike(label, strlen(label), name))
            way = ALIKE;
        else if (has_synonym(label, name))
            way = SYNONYM;
        if (way < WAYS && found[way]++ == 0) first[way] = k;
    }
    for (int way = 0; way < WAYS; way++)
        if (found[way] > 0) {
            *index = first[way];
            return found[way];
        }
    return 0;
}

bool app_classes_find(uint32_t *index, const vit_model *model, const char *name)
{
    return match_label(index, model, name) == 1;
}

/* ---- names that may be one class ---- */

/* Without the spaces at both ends. */
static const char *core(const char *name, size_t *length)
{
    name += strspn(name, " \t");
    *length = strlen(name);
    while (*length > 0 && strchr(" \t", name[*length - 1]) != NULL) (*length)--;
    return name;
}

static int compare_loosely(const void *a, const void *b)
{
    size_t first, second;
    const char *x = core(*(const char *const *)a, &first),
               *y = core(*(const char *const *)b, &second);
    const int order = strncasecmp(x, y, first < second ? first : second);
    return order != 0 ? order : (first > second) - (first < second);
}

int app_classes_warn_alike(const datasets_index *index)
{
    enum { SHOWN = 5 };
    const size_t count = datasets_index_classes(index);
    size_t found = 0;
    const char **names = malloc((count + 1) * sizeof *names);
    if (names == NULL) return no_memory();
    for (size_t i = 0; i < count; i++) names[i] = datasets_index_class(index, i);
    qsort((void *)names, count, sizeof *names, compare_loosely);
    for (size_t i = 1; i < count; i++)
        if (compare_loosely(&names[i - 1], &names[i]) == 0 && found++ < SHOWN)
            app_warn("the classes \"%s\" and \"%s\" differ only in case or in spaces at the ends; "
                     "give them one name if they are one class",
                     names[i - 1], names[i]);
    if (found > SHOWN) app_warn("and %zu more classes are named like another", found - SHOWN);
    free((void *)names);
    return APP_EXIT_DONE;
}

/* ---- the file of --map ---- */

typedef struct mapping {
    const char *name; /* in the text of the file */
    uint32_t label;
} mapping;

struct app_classes {
    const datasets_set *set;
    const vit_model *model;
    const app_settings *settings;
    char *map_text;
    mapping *map; /* sorted by name */
    size_t map_count;
    uint32_t *labels; /* of the set's classes that are matched so far */
    size_t count, capacity;
    int64_t *class_of; /* the first class that came to a label by its name, or -1; K */
};

/* Without white space around it, and without the quotes that spreadsheets put. */
static char *trim(char *text)
{
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r", text[length - 1]) != NULL) length--;
    text[length] = 0;
    if (length < 2 || text[0] != '"' || text[length - 1] != '"') return text;
    text[length - 1] = 0;
    char *to = ++text;
    for (const char *from = text; *from != 0; from++) {
        if (from[0] == '"' && from[1] == '"') from++;
        *to++ = *from;
    }
    *to = 0;
    return text;
}

/* Where the first field of a line ends: at its TAB, or else at the first comma outside quotes. */
static char *find_separator(char *line)
{
    char *tab = strchr(line, '\t');
    if (tab != NULL) return tab;
    bool quoted = false;
    for (; *line != 0; line++) {
        if (*line == '"') quoted = !quoted;
        if (*line == ',' && !quoted) return line;
    }
    return NULL;
}

/* "#7", where no label has that text. */
static bool match_number(uint32_t *index, const vit_model *model, const char *text)
{
    char *end;
    if (text[0] != '#' || text[1] < '0' || text[1] > '9') return false;
    const unsigned long number = strtoul(text + 1, &end, 10);
    if (*end != 0 || number >= vit_model_describe(model).config->classes) return false;
    *index = (uint32_t)number;
    return true;
}

static int read_line(app_classes *c, char *line, size_t number)
{
    const char *file = c->settings->map;
    char *separator = find_separator(line);
    if (separator == NULL) {
        app_error("%s, line %zu: a line of a map is a class of the data, a TAB or comma, and a "
                  "label of the model",
                  file, number);
        return APP_EXIT_MODEL;
    }
    *separator = 0;
    mapping *entry = &c->map[c->map_count];
    entry->name = trim(line);
    const char *label = trim(separator + 1);
    const uint32_t found = match_label(&entry->label, c->model, label);
    if (found == 0 && !match_number(&entry->label, c->model, label)) {
        app_error("%s, line %zu: \"%s\" is no label of the model; vitc info --json lists them",
                  file, number, label);
        return APP_EXIT_MODEL;
    }
    if (found > 1) {
        app_error("%s, line %zu: the model has %u labels \"%s\"; #%u would be the first of them",
                  file, number, found, label, entry->label);
        return APP_EXIT_MODEL;
    }
    c->map_count++;
    return APP_EXIT_DONE;
}

static int compare_mappings(const void *a, const void *b)
{
    return strcmp(((const mapping *)a)->name, ((const mapping *)b)->name);
}

static int check_doubles(const app_classes *c)
{
    for (size_t i = 1; i < c->map_count; i++)
        if (strcmp(c->map[i].name, c->map[i - 1].name) == 0 &&
            c->map[i].label != c->map[i - 1].label) {
            app_error("%s: says two labels of the class \"%s\": \"%s\" and \"%s\"",
                      c->settings->map, c->map[i].name,
                      vit_model_label(c->model, c->map[i - 1].label),
                      vit_model_label(c->model, c->map[i].label));
            return APP_EXIT_MODEL;
        }
    return APP_EXIT_DONE;
}

static int read_map(app_classes *c)
{
    size_t size, lines = 1;
    if (c->settings->map == NULL) return APP_EXIT_DONE;
    int result = app_model_read_text(&c->map_text, &size, c->settings->map, c->settings);
    if (result != APP_EXIT_DONE) return result;
    for (size_t i = 0; i < size; i++) lines += c->map_text[i] == '\n';
    c->map = calloc(lines, sizeof *c->map);
    if (c->map == NULL) return no_memory();
    static const char mark[] = "\xEF\xBB\xBF"; /* that some editors begin UTF-8 with */
    char *line = c->map_text;
    if (strncmp(line, mark, sizeof mark - 1) == 0) line += sizeof mark - 1;
    for (size_t number = 1; line != NULL && result == APP_EXIT_DONE; number++) {
        char *end = strchr(line, '\n');
        if (end != NULL) *end = 0;
        if (line[strspn(line, " \t\r")] != 0) result = read_line(c, line, number);
        line = end != NULL ? end + 1 : NULL;
    }
    if (result != APP_EXIT_DONE) return result;
    qsort(c->map, c->map_count, sizeof *c->map, compare_mappings);
    return check_doubles(c);
}

/* ---- matching ---- */

/* Names for a message: as many as are of use, and how many more there are. */
typedef struct name_list {
    char text[600];
    size_t used, total, shown;
} name_list;

static void list_add(name_list *list, const char *format, ...) VITC_PRINTF(2, 3);
static void list_add(name_list *list, const char *format, ...)
{
    enum { MOST = 20 };
    char name[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    list->total++;
    if (list->shown == MOST || list->used + strlen(name) + 3 > sizeof list->text) return;
    list->used += (size_t)snprintf(list->text + list->used, sizeof list->text - list->used, "%s%s",
                                   list->shown > 0 ? ", " : "", name);
    list->shown++;
}

static const char *list_more(const name_list *list, char more[40])
{
    more[0] = 0;
    if (list->shown < list->total) snprintf(more, 40, ", and %zu more", list->total - list->shown);
    return more;
}

/* What matching found besides labels. */
typedef struct findings {
    name_list unknown, ambiguous, doubled;
} findings;

static void add_unknown(findings *found, const app_classes *c, const char *name)
{
    const uint32_t classes = vit_model_describe(c->model).config->classes;
    const char **labels = calloc(classes, sizeof *labels);
    const char *nearest = NULL;
    for (uint32_t k = 0; k < classes && labels != NULL; k++)
        labels[k] = vit_model_label(c->model, k);
    if (labels != NULL) nearest = app_text_nearest(name, labels, classes);
    if (nearest != NULL)
        list_add(&found->unknown, "%s (%s?)", name, nearest);
    else
        list_add(&found->unknown, "%s", name);
    free(labels);
}

static void match_class(app_classes *c, findings *found, size_t class)
{
    const char *name = datasets_class_name(c->set, class);
    const mapping wanted = {.name = name};
    const mapping *mapped =
        c->map_count == 0 ? NULL
                          : bsearch(&wanted, c->map, c->map_count, sizeof wanted, compare_mappings);
    uint32_t *label = &c->labels[class];
    if (mapped != NULL) {
        *label = mapped->label;
        return;
    }
    const uint32_t matches = match_label(label, c->model, name);
    if (matches == 0) {
        add_unknown(found, c, name);
    } else if (matches > 1) {
        list_add(&found->ambiguous, "%s", name);
    } else if (c->class_of[*label] >= 0) {
        list_add(&found->doubled, "%s and %s",
                 datasets_class_name(c->set, (size_t)c->class_of[*label]), name);
    } else {
        c->class_of[*label] = (int64_t) class;
    }
}

/* The labels that no class has, which are what an unknown class may have meant. */
static void report_labels(const app_classes *c)
{
    const uint32_t classes = vit_model_describe(c->model).config->classes;
    char more[40];
    name_list labels = {0};
    for (uint32_t k = 0; k < classes; k++) {
        bool taken = c->class_of[k] >= 0;
        for (size_t i = 0; i < c->map_count && !taken; i++) taken = c->map[i].label == k;
        if (!taken) list_add(&labels, "%s", vit_model_label(c->model, k));
    }
    if (labels.total > 0)
        app_error("labels of the model that no class has: %s%s", labels.text,
                  list_more(&labels, more));
}

static int report_findings(const app_classes *c, const findings *found)
{
    char more[40];
    const name_list *unknown = &found->unknown, *ambiguous = &found->ambiguous;
    const name_list *doubled = &found->doubled;
    if (unknown->total > 0) {
        app_error("%zu of %zu classes of the data are no label of the model: %s%s", unknown->total,
                  datasets_class_count(c->set), unknown->text, list_more(unknown, more));
        report_labels(c);
    }
    if (ambiguous->total > 0)
        app_error("classes of the data that may be several labels of the model: %s%s",
                  ambiguous->text, list_more(ambiguous, more));
    if (doubled->total > 0)
        app_error("classes of the data that are one label of the model: %s%s", doubled->text,
                  list_more(doubled, more));
    if (unknown->total + ambiguous->total + doubled->total == 0) return APP_EXIT_DONE;
    if (c->settings->val_data.count > 0) /* vitc train, whose labels are the training data's */
        app_error("%s: --val takes classes by the names that the training data has; rename them in "
                  "one of both",
                  c->settings->val_data.items[0]);
    else
        app_error(
            "--map FILE says of each such class which label it is, in lines like: class,label");
    return APP_EXIT_MODEL;
}

/* All classes of the set that are known by now. */
static int match_all(app_classes *c)
{
    const size_t count = datasets_class_count(c->set);
    findings found = {0};
    if (count > c->capacity) {
        uint32_t *grown = realloc(c->labels, 2 * count * sizeof *grown);
        if (grown == NULL) return no_memory();
        c->labels = grown;
        c->capacity = 2 * count;
    }
    for (; c->count < count; c->count++) match_class(c, &found, c->count);
    return report_findings(c, &found);
}

int app_classes_match(app_classes **classes, const datasets_set *set, const vit_model *model,
                      const app_settings *settings)
{
    const uint32_t labels = vit_model_describe(model).config->classes;
    *classes = NULL;
    app_classes *c = calloc(1, sizeof *c);
    if (c == NULL) return no_memory();
    *c = (app_classes){.set = set, .model = model, .settings = settings};
    c->class_of = malloc(labels * sizeof *c->class_of);
    int result = c->class_of == NULL ? no_memory() : APP_EXIT_DONE;
    for (uint32_t k = 0; k < labels && result == APP_EXIT_DONE; k++) c->class_of[k] = -1;
    if (result == APP_EXIT_DONE) result = read_map(c);
    if (result == APP_EXIT_DONE) result = match_all(c);
    if (result != APP_EXIT_DONE) {
        app_classes_free(c);
        return result;
    }
    *classes = c;
    return APP_EXIT_DONE;
}

void app_classes_free(app_classes *classes)
{
    if (classes == NULL) return;
    free(classes->map_text);
    free(classes->map);
    free(classes->labels);
    free(classes->class_of);
    free(classes);
}

int app_classes_label(uint32_t *index, app_classes *c, int64_t label)
{
    if ((size_t)label >= c->count) {
        const int result = match_all(c);
        if (result != APP_EXIT_DONE) return result;
    }
    if ((size_t)label >= c->count) { /* ranks with other data than this one */
        app_error("an image is of a class that the data does not have here; it has to be the same "
                  "everywhere");
        return APP_EXIT_MODEL;
    }
    *index = c->labels[label];
    return APP_EXIT_DONE;
}
