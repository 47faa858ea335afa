#include "datasets_private.h"

#include <stdlib.h>
#include <string.h>

#include "vitc_size.h"

bool datasets_strings_add(datasets_strings *strings, const char *text)
{
    const size_t size = strlen(text) + 1;
    size_t needed;
    if (!vitc_size_add(strings->used, size, &needed)) return false;
    if (needed > strings->room) {
        const size_t room =
            vitc_size_max(needed, strings->room <= SIZE_MAX / 2 ? strings->room * 2 : needed);
        char *grown = realloc(strings->pool, vitc_size_max(room, 256));
        if (grown == NULL) return false;
        strings->pool = grown;
        strings->room = vitc_size_max(room, 256);
    }
    memcpy(strings->pool + strings->used, text, size);
    strings->used = needed;
    strings->count++;
    return true;
}

bool datasets_strings_index(datasets_strings *strings)
{
    size_t size;
    if (!vitc_size_mul(strings->count, sizeof *strings->at, &size)) return false;
    char **at = realloc(strings->at, vitc_size_max(size, 1));
    if (at == NULL) return false;
    strings->at = at;
    char *text = strings->pool;
    for (size_t i = 0; i < strings->count; i++) {
        at[i] = text;
        text += strlen(text) + 1;
    }
    return true;
}

void datasets_strings_free(datasets_strings *strings)
{
    free(strings->pool);
    free(strings->at);
    *strings = (datasets_strings){0};
}
