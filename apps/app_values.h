/* app_values.h - the values of options that are more than a number or a word. */
#ifndef VITC_APP_VALUES_H
#define VITC_APP_VALUES_H

#include <stddef.h>
#include <stdint.h>

/* The size of images in pixels; 0 where the option is not given. */
typedef struct app_size {
    uint32_t width, height;
} app_size;

/* Two numbers, "A,B". */
typedef struct app_pair {
    double first, second;
} app_pair;

/* The values of an option that may be given several times, in order. */
enum { APP_LIST_MAX = 16 };
typedef struct app_list {
    const char *items[APP_LIST_MAX];
    size_t count;
} app_list;

#endif
