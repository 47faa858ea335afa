/* app_options.h - the commands, their options, and the one parser and help writer for both.
 *
 * An option is one row of a table in app_options.c. Parsing, --help, the suggestion for a misspelt
 * name and `vitc help --list` (which the tests compare with the man page and the completion) all
 * read that row, so they cannot disagree. */
#ifndef VITC_APP_OPTIONS_H
#define VITC_APP_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "app_train_recipe.h"
#include "app_values.h"

/* The program's exit status. */
enum {
    APP_EXIT_DONE = 0,
    APP_EXIT_INPUTS = 1,  /* done, but some inputs failed: each has its row */
    APP_EXIT_USAGE = 2,   /* wrong usage */
    APP_EXIT_MODEL = 3,   /* the model or the data could not be loaded */
    APP_EXIT_INTERNAL = 4 /* out of memory, nothing can be written, or an internal error */
};

/* Whose directory convert writes. */
typedef enum app_library { APP_LIBRARY_NONE = 0, APP_LIBRARY_HF, APP_LIBRARY_TIMM } app_library;

#define APP_LAYER_ALL UINT32_MAX /* --layer all */

/* The value of every option; a command looks at those that its rows name. */
typedef struct app_settings {
    const char *model;      /* NULL: the bundled model */
    const char *preprocess; /* a file of JSON */
    const char *files_from; /* a list of paths; "-" is standard input */
    const char *dump, *png, *output, *card, *data;
    const char *config, *precisions, *batches, *thread_counts, *seconds, *svg; /* of bench */
    const char *rows, *report_file, *calibrate; /* of eval: files to write */
    const char *map, *class_names;              /* which label a class is; classes of IDX, CIFAR */
    const char *sort_into;                      /* of classify: a folder */
    double min_score;                           /* 0: none */
    app_list train_data;                        /* of eval */
    app_list models;                            /* of eval; none: the bundled one */
    uint64_t threads;                           /* 0: chosen by the library */
    uint64_t batch, top, max_pixels, warmup;
    app_size image_size;    /* that the model is to take */
    const char *npy;        /* of posemb */
    app_size grid;          /* patches, of posemb */
    int filter;             /* patches_position_filter */
    uint64_t layer;         /* or APP_LAYER_ALL */
    double crop;            /* the part of the resized picture that it sees; 0: as the model says */
    int views;              /* vit_views */
    int precision;          /* vit_precision */
    int dtype;              /* vit_dtype */
    int new_dtype;          /* of posemb: 1 + vit_dtype; 0: as stored */
    uint64_t enlarge;       /* of convert: factor; 0: none */
    int enlarge_filter;     /* 1 + imgio_filter; 0: the model's own */
    int export_for;         /* app_library */
    uint64_t seed, max_bad; /* of the split; bad images that do not end a run */
    double val_split;       /* 0: all images */
    uint64_t distance;      /* of check: bits */
    int subset;             /* datasets_part; DATASETS_ALL where it is not given */
    /* of train, with `resume` and `json`: */
    app_recipe train; /* what decides the result */
    const char *out, *name;
    app_list exports, val_data;
    double checkpoint_minutes;
    bool resume, no_times, strict, sort_copies;
    bool json, csv, centred, logits, null_separated, no_exif, fast_decode, report, profile, quiet,
        verbose, help, list;
    const char *const *operands; /* what is not an option, in order */
    size_t operand_count;
    int argc; /* the command as it was given */
    char *const *argv;
} app_settings;

typedef struct app_command {
    const char *name;
    const char *operands; /* for the usage line, e.g. "IMAGE|FOLDER|- ..." */
    const char *summary;  /* one line */
    const char *details;  /* paragraphs, separated by newlines */
    size_t min_operands, max_operands;
    int (*run)(const app_settings *settings); /* returns the exit status */
} app_command;

/* The table of main.c. */
extern const app_command app_commands[];
extern const size_t app_command_count;
const app_command *app_command_find(const char *name);

/* Parses the words after the command's name. The operands are gathered at the front of `words`,
 * which must outlive the settings. False after a message on stderr: wrong usage. */
bool app_options_parse(app_settings *settings, const app_command *command, char **words,
                       size_t count);

/* The text of `vitc COMMAND --help`. */
void app_options_help(FILE *out, const app_command *command);

/* One line per option: "classify -m --model PATH"; for scripts. */
void app_options_list(FILE *out);

/* Writes text wrapped to 80 columns, every line after `indent` spaces, newlines kept. */
void app_options_wrap(FILE *out, const char *text, size_t indent, size_t first_column);

#endif
