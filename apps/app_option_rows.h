/* app_option_rows.h - the rows of the option tables (for app_options.c and those that hold a
 * table). */
#ifndef VITC_APP_OPTION_ROWS_H
#define VITC_APP_OPTION_ROWS_H

#include <stddef.h>
#include <stdint.h>

typedef enum app_option_kind {
    OPTION_FLAG,   /* bool */
    OPTION_TEXT,   /* const char *, not empty */
    OPTION_LIST,   /* app_list: a text each time that it is given */
    OPTION_COUNT,  /* uint64_t, from minimum to maximum; of "N|all" the word is the maximum */
    OPTION_SHARE,  /* double, above 0 and below 1, or up to 1 where that is the maximum */
    OPTION_NUMBER, /* double, from minimum to maximum, both included */
    OPTION_PAIR,   /* app_pair: "A,B", each from minimum to maximum; "A" alone: B is NaN */
    OPTION_SIZE,   /* app_size: "N" or "HEIGHTxWIDTH" */
    OPTION_CHOICE, /* int: minimum + the index of a word in `argument`, "f32|bf16" */
    OPTION_HEADING /* no option: `name` stands above those that follow in the help */
} app_option_kind;

typedef struct app_option {
    const char *commands; /* the commands that have it, separated by spaces */
    char letter;          /* 0 where there is none */
    const char *name;
    app_option_kind kind;
    const char *argument;
    size_t offset; /* in app_settings */
    uint64_t minimum, maximum;
    const char *elsewhere; /* of a choice: where else what is missed may be */
    const char *help;
} app_option;

/* Of vitc train (app_train_options.c), which come before all others. */
extern const app_option app_train_options[];
extern const size_t app_train_option_count;

#endif
