#include "datasets_private.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "vitc_file.h"
#include "vitc_log.h"
#include "vitc_size.h"

/* Names lie in blocks of 64, 64, 128, 256, ... that never move, so that other threads may look at
 * those that are there while one adds further ones. Finding a label goes through a hash table with
 * open addressing, which that one thread alone uses. */
enum { FIRST_BLOCK = 64, BLOCKS = 32, MAX_CLASSES_FILE = 64 << 20 };

struct datasets_classes {
    char **blocks[BLOCKS];
    atomic_size_t count;
    uint32_t *slots; /* label + 1; 0 = free. At most half are in use */
    size_t slot_count;
};

vitc_status datasets_classes_create(datasets_classes **classes, const vitc_log *log)
{
    *classes = calloc(1, sizeof **classes);
    return *classes != NULL ? VITC_OK : vitc_fail_memory(log, "the classes");
}

/* The block of a label, its place there, and the block's size. */
static size_t block_of(size_t label, size_t *place, size_t *size)
{
    size_t block = 0, first = 0;
    *size = FIRST_BLOCK;
    while (label - first >= *size) {
        first += *size;
        if (block > 0) *size *= 2;
        block++;
    }
    *place = label - first;
    return block;
}

void datasets_classes_free(datasets_classes *classes)
{
    if (classes == NULL) return;
    const size_t count = datasets_classes_count(classes);
    for (size_t label = 0; label < count; label++) {
        size_t place, size;
        const size_t block = block_of(label, &place, &size);
        free(classes->blocks[block][place]);
    }
    for (size_t i = 0; i < BLOCKS; i++) free(classes->blocks[i]);
    free(classes->slots);
    free(classes);
}

size_t datasets_classes_count(const datasets_classes *classes)
{
    return atomic_load_explicit(&classes->count, memory_order_acquire);
}

const char *datasets_classes_name(const datasets_classes *classes, size_t label)
{
    size_t place, size;
    const size_t block = block_of(label, &place, &size);
    return classes->blocks[block][place];
}

/* Where a name stands in the table, or belongs. */
static uint32_t *find_slot(const datasets_classes *classes, const char *name)
{
    const size_t mask = classes->slot_count - 1;
    for (size_t i = (size_t)datasets_names_hash(DATASETS_HASH_START, name) & mask;;
         i = (i + 1) & mask) {
        uint32_t *slot = &classes->slots[i];
        if (*slot == 0 || strcmp(datasets_classes_name(classes, *slot - 1), name) == 0) return slot;
    }
}

static bool grow_table(datasets_classes *classes)
{
    const size_t count = datasets_classes_count(classes);
    const size_t slot_count = classes->slot_count != 0 ? classes->slot_count * 2 : 256;
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    if (slots == NULL) return false;
    free(classes->slots);
    classes->slots = slots;
    classes->slot_count = slot_count;
    for (size_t label = 0; label < count; label++)
        *find_slot(classes, datasets_classes_name(classes, label)) = (uint32_t)label + 1;
    return true;
}

static bool append(datasets_classes *classes, size_t label, const char *name)
{
    size_t place, size;
    const size_t block = block_of(label, &place, &size);
    if (classes->blocks[block] == NULL)
        classes->blocks[block] = calloc(size, sizeof *classes->blocks[block]);
    if (classes->blocks[block] == NULL) return false;
    char *copy = strdup(name);
    if (copy == NULL) return false;
    classes->blocks[block][place] = copy;
    atomic_store_explicit(&classes->count, label + 1, memory_order_release);
    return true;
}

vitc_status datasets_classes_label(int64_t *label, datasets_classes *classes, const char *name,
                                   const vitc_log *log)
{
    const size_t count = datasets_classes_count(classes);
    if (count >= classes->slot_count / 2 && !grow_table(classes))
        return vitc_fail_memory(log, "the classes");
    uint32_t *slot = find_slot(classes, name);
    if (*slot == 0) {
        if (count >= UINT32_MAX - 1)
            return vitc_fail(log, VITC_ERR_TOO_LARGE, "more than %zu classes", count);
        if (!append(classes, count, name)) return vitc_fail_memory(log, "the classes");
        *slot = (uint32_t)count + 1;
    }
    *label = (int64_t)*slot - 1;
    return VITC_OK;
}

/* ---- a file of names ---- */

/* One line as the name of class `expected`. */
static vitc_status read_line(datasets_classes *classes, size_t expected, const char *name,
                             const char *path, const vitc_log *log)
{
    char shown[VITC_SHOWN_SIZE];
    int64_t label;
    if (*name == 0)
        return vitc_fail(log, VITC_ERR_CORRUPT,
                         "%s: line %zu is empty; each line is the name of a class", path,
                         expected + 1);
    VITC_TRY(datasets_classes_label(&label, classes, name, log));
    if ((size_t)label < expected)
        return vitc_fail(log, VITC_ERR_CORRUPT, "%s: lines %zu and %zu name the same class, %s",
                         path, (size_t)label + 1, expected + 1, vitc_show(shown, name));
    if ((size_t)label > expected)
        return vitc_fail(log, VITC_ERR_ARGUMENT,
                         "%s: its names are not those that the classes already have", path);
    return VITC_OK;
}

static vitc_status read_lines(datasets_classes *classes, char *text, size_t size, const char *path,
                              const vitc_log *log)
{
    static const char bom[] = "\xEF\xBB\xBF";
    size_t line = 0, at = size >= 3 && memcmp(text, bom, 3) == 0 ? 3 : 0;
    if (memchr(text, 0, size) != NULL)
        return vitc_fail(log, VITC_ERR_CORRUPT, "%s: no list of class names: it holds NUL bytes",
                         path);
    while (size > at && (text[size - 1] == '\n' || text[size - 1] == '\r')) size--;
    text[size] = 0;
    while (at < size) {
        char *name = text + at;
        const size_t length = strcspn(name, "\n");
        at += length + 1;
        name[length] = 0;
        if (length > 0 && name[length - 1] == '\r') name[length - 1] = 0;
        VITC_TRY(read_line(classes, line++, name, path, log));
    }
    if (line == 0) return vitc_fail(log, VITC_ERR_CORRUPT, "%s: holds no class names", path);
    return VITC_OK;
}

vitc_status datasets_classes_read(datasets_classes *classes, const char *path, const vitc_log *log)
{
    unsigned char *bytes;
    size_t size;
    VITC_TRY(vitc_file_read(&bytes, &size, path, MAX_CLASSES_FILE, log));
    char *text = realloc(bytes, size + 1);
    if (text == NULL) {
        free(bytes);
        return vitc_fail_memory(log, path);
    }
    const vitc_status status = read_lines(classes, text, size, path, log);
    free(text);
    return status;
}
