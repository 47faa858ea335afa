#include "app_options.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "app_option_rows.h"
#include "app_report.h"
#include "app_text.h"
#include "datasets.h"
#include "vit.h"

enum { HELP_COLUMN = 26, HELP_WIDTH = 80, ALL_MAX = 128 };

#define FIELD(name) offsetof(app_settings, name)

static const app_option shared_options[] = {
    {"classify info bench preprocess", 'm', "model", OPTION_TEXT, "PATH", FIELD(model), 0, 0, NULL,
     "The model: a Hugging Face directory, a timm directory, one .safetensors file written by "
     "vitc, or the folder of a run of vitc train. Default: the model built into this program."},
    {"convert quantize posemb", 'm', "model", OPTION_TEXT, "PATH", FIELD(model), 0, 0, NULL,
     "MODEL, which is then no operand: as in vitc classify, or bundled, the one built into this "
     "program."},
    {"eval", 'm', "model", OPTION_LIST, "PATH", FIELD(models), 0, 0, NULL,
     "The model, as in vitc classify. Given several times, all of them are measured on the same "
     "images and compared with the first. Default: the model built into this program."},
    {"classify eval info bench preprocess convert quantize", 0, "preprocess", OPTION_TEXT, "FILE",
     FIELD(preprocess), 0, 0, NULL,
     "A preprocessing spec that replaces the model's own: preprocessor_config.json, timm's "
     "config.json, or vitc's JSON."},
    {"classify eval info preprocess convert", 0, "img-size", OPTION_SIZE, "N|HxW",
     FIELD(image_size), 0, 0, NULL,
     "Run the model on images of N x N, or H x W, pixels: multiples of its patch. Its position "
     "embeddings are resampled as its family does, its preprocessing scaled."},
    {"classify eval info preprocess convert", 0, "crop", OPTION_SHARE, "F", FIELD(crop), 0, 1, NULL,
     "Show the model the middle F of the resized picture, above 0 and at most 1, instead of the "
     "part that its preprocessing says."},
    {"classify eval", 0, "tta", OPTION_CHOICE, "hflip|five", FIELD(views), VIT_VIEWS_HFLIP, 0, NULL,
     "Take the mean over several views of each image: hflip, the picture and its mirror image; "
     "five, the crop in the four corners and the centre."},
    {"classify", 'k', "top-k", OPTION_COUNT, "N", FIELD(top), 1, UINT32_MAX, NULL,
     "How many labels to give for each image (default 5)."},
    {"eval", 'k', "top-k", OPTION_COUNT, "N", FIELD(top), 1, UINT32_MAX, NULL,
     "How many labels each row of --rows has (default 5)."},
    {"eval", 0, "json", OPTION_FLAG, NULL, FIELD(json), 0, 0, NULL,
     "One JSON object; an array of them for several models."},
    {"eval", 0, "rows", OPTION_TEXT, "FILE.jsonl", FIELD(rows), 0, 0, NULL,
     "Write a line for each image as it is done: JSON with path, label, prediction, scores."},
    {"eval", 0, "resume", OPTION_FLAG, NULL, FIELD(resume), 0, 0, NULL,
     "Continue the run that wrote the rows of --rows, or begin it. What is another model, other "
     "data or another option is told, and nothing is changed."},
    {"eval", 0, "report", OPTION_TEXT, "FILE.html", FIELD(report_file), 0, 0, NULL,
     "Write a page for people: numbers, charts, the worst errors with their pictures. One file, "
     "which needs no network."},
    {"eval", 0, "calibrate", OPTION_TEXT, "FILE", FIELD(calibrate), 0, 0, NULL,
     "Fit the temperature of the scores on these images, and write the model with it. Numbers are "
     "then to be reported on other images than these."},
    {"eval", 0, "val-split", OPTION_SHARE, "F", FIELD(val_split), 0, 0, NULL,
     "Hold out about this share of the images, such as the 0.15 of vitc train, chosen by their "
     "names and --seed, and evaluate on these only."},
    {"eval", 0, "subset", OPTION_CHOICE, "val|rest", FIELD(subset), DATASETS_CHOSEN, 0, NULL,
     "With --val-split: the images held out (default), or the rest."},
    {"eval", 0, "seed", OPTION_COUNT, "N", FIELD(seed), 0, INT64_MAX, NULL,
     "With --val-split: another number is another choice (default 0)."},
    {"eval quantize check", 0, "map", OPTION_TEXT, "FILE", FIELD(map), 0, 0, NULL,
     "Which label of the model each class of the data is: lines of class, comma or TAB, label. "
     "Other classes are matched by name."},
    {"eval quantize check", 0, "class-names", OPTION_TEXT, "FILE", FIELD(class_names), 0, 0, NULL,
     "The names of the classes of IDX or CIFAR files, one to a line."},
    {"eval", 0, "train-data", OPTION_LIST, "DATA", FIELD(train_data), 0, 0, NULL,
     "The data that the model was trained on, to warn of images that are in both: identical "
     "pixels, "
     "or alike as vitc check has it. Can be given several times for one set."},
    {"eval", 0, "strict", OPTION_FLAG, NULL, FIELD(strict), 0, 0, NULL,
     "Stop at the first image that cannot be used."},
    {"eval", 0, "max-bad", OPTION_COUNT, "N", FIELD(max_bad), 0, INT64_MAX, NULL,
     "Stop when more than N images cannot be used."},
    {"eval", 0, "no-times", OPTION_FLAG, NULL, FIELD(no_times), 0, 0, NULL,
     "Leave times out of rows and output: runs that are alike then give the same bytes."},
    {"classify", 0, "json", OPTION_FLAG, NULL, FIELD(json), 0, 0, NULL,
     "One JSON object per input, one to a line, as they are ready."},
    {"info preprocess quantize", 0, "json", OPTION_FLAG, NULL, FIELD(json), 0, 0, NULL,
     "One JSON object."},
    {"bench", 0, "json", OPTION_FLAG, NULL, FIELD(json), 0, 0, NULL,
     "A JSON array with one object per row."},
    {"bench", 0, "config", OPTION_TEXT, "NAME,...", FIELD(config), 0, 0, NULL,
     "Instead of --model: named configurations with random weights (vit-ti16, vit-s16, vit-b16, "
     "vit-l16, vit-h14, testing)."},
    {"bench", 0, "precision", OPTION_TEXT, "P,...", FIELD(precisions), 0, 0, NULL,
     "Of f32, bf16, int8 and auto. Default: those that the model gives and the CPU has "
     "instructions for."},
    {"bench", 0, "batch", OPTION_TEXT, "N,...", FIELD(batches), 0, 0, NULL,
     "Images computed together (default 1,8)."},
    {"bench", 0, "threads", OPTION_TEXT, "N,...", FIELD(thread_counts), 0, 0, NULL,
     "Numbers of threads. Default: one number, chosen as classify does."},
    {"bench", 0, "seconds", OPTION_TEXT, "S", FIELD(seconds), 0, 0, NULL,
     "How long each row is measured (default 3), at least five runs."},
    {"bench", 0, "warmup", OPTION_COUNT, "N", FIELD(warmup), 0, 1000, NULL,
     "Runs before that which do not count (default 3)."},
    {"bench", 0, "profile", OPTION_FLAG, NULL, FIELD(profile), 0, 0, NULL,
     "Also show where the time goes: each part of the model, its speed and share of the peak."},
    {"bench", 0, "svg", OPTION_TEXT, "FILE.svg", FIELD(svg), 0, 0, NULL,
     "Write the profile of all rows as a picture. It appears complete or not at all."},
    {"classify", 0, "csv", OPTION_FLAG, NULL, FIELD(csv), 0, 0, NULL,
     "Comma-separated values (RFC 4180) with a header line, one record per input."},
    {"classify", 0, "logits", OPTION_FLAG, NULL, FIELD(logits), 0, 0, NULL,
     "With --json or --csv: add the raw outputs of all classes."},
    {"classify", 0, "min-score", OPTION_SHARE, "S", FIELD(min_score), 0, 1, NULL,
     "Say of each image whether it is uncertain: its highest score is below S."},
    {"classify", 0, "sort-into", OPTION_TEXT, "DIR", FIELD(sort_into), 0, 0, NULL,
     "Put a symbolic link to each image into a folder of DIR named like its first label, or "
     "uncertain by --min-score; images out of tar files are copied. Nothing is overwritten."},
    {"classify", 0, "sort-copies", OPTION_FLAG, NULL, FIELD(sort_copies), 0, 0, NULL,
     "With --sort-into: copy the files instead of linking to them."},
    {"classify", 0, "files-from", OPTION_TEXT, "FILE", FIELD(files_from), 0, 0, NULL,
     "Also read paths from FILE (- is standard input), one per line, or separated by NUL bytes "
     "where the list holds any."},
    {"classify", '0', "null", OPTION_FLAG, NULL, FIELD(null_separated), 0, 0, NULL,
     "The list of --files-from is separated by NUL bytes only (find -print0)."},
    {"preprocess", 0, "dump", OPTION_TEXT, "FILE.npy", FIELD(dump), 0, 0, NULL,
     "Write the model's exact input: NumPy format, float32, shape (3, height, width)."},
    {"preprocess", 0, "png", OPTION_TEXT, "FILE.png", FIELD(png), 0, 0, NULL,
     "Write the picture that the model sees: resized and cropped, before normalization."},
    {"quantize", 'o', "output", OPTION_TEXT, "FILE", FIELD(output), 0, 0, NULL,
     "The file to write (required). It appears complete or not at all."},
    {"convert", 'o', "output", OPTION_TEXT, "FILE", FIELD(output), 0, 0, NULL,
     "The file, or with --export the directory, to write (required). It appears complete or not at "
     "all."},
    {"convert", 0, "dtype", OPTION_CHOICE, "f32|bf16", FIELD(dtype), VIT_DTYPE_F32, 0,
     "int8 is what vitc quantize makes",
     "How weight matrices are stored (default f32, of a bf16 file too); the rest is always "
     "float32."},
    {"convert", 0, "export", OPTION_CHOICE, "hf|timm", FIELD(export_for), APP_LIBRARY_HF, 0, NULL,
     "Write a directory for another library that loads it with the same logits: transformers' "
     "ViTForImageClassification, or timm.create_model(\"local-dir:...\"). What the library cannot "
     "express is refused."},
    {"convert", 0, "enlarge", OPTION_COUNT, "N", FIELD(enlarge), 2, 65535, NULL,
     "Make of a model for small images one for images enlarged N times, with patches N times as "
     "large, that gives the same logits: its patch kernels undo the enlargement."},
    {"convert", 0, "enlarge-filter", OPTION_CHOICE, "nearest|lanczos|bilinear|bicubic|box|hamming",
     FIELD(enlarge_filter), 1 + IMGIO_NEAREST, 0, NULL,
     "The filter that enlarges the images. Default: that of the model's preprocessing."},
    {"quantize", 0, "dtype", OPTION_CHOICE, "bf16|int8", FIELD(dtype), VIT_DTYPE_BF16, 0, NULL,
     "What the weight matrices become: int8 (default) with a scale per output feature, those of "
     "the encoder only; or bf16. The rest is always float32."},
    {"quantize", 0, "data", OPTION_TEXT, "DATA", FIELD(data), 0, 0, NULL,
     "Measure on labelled images, any that vitc eval takes, and write the result into the file. "
     "Without it the file says that it is unmeasured."},
    {"quantize", 0, "report", OPTION_FLAG, NULL, FIELD(report), 0, 0, NULL,
     "With --data: show for each matrix how far the outputs move when only it is changed."},
    {"posemb", 'o', "output", OPTION_TEXT, "FILE", FIELD(output), 0, 0, NULL,
     "show: draw the maps, as .png or .svg. resize: the model to write (required). It appears "
     "complete or not at all."},
    {"posemb", 0, "dtype", OPTION_CHOICE, "f32|bf16", FIELD(new_dtype), 1 + VIT_DTYPE_F32, 0,
     "int8 weights stay int8 without it",
     "resize: how weight matrices are stored (default: as in MODEL, int8 too); the rest is always "
     "float32."},
    {"posemb", 0, "npy", OPTION_TEXT, "FILE.npy", FIELD(npy), 0, 0, NULL,
     "Write the table of positions for other tools (resize: that of the new model): NumPy format, "
     "float32, a row for each place, those of prefix tokens first. Positions that no such table "
     "can "
     "express are told, or refused by resize."},
    {"posemb", 0, "centred", OPTION_FLAG, NULL, FIELD(centred), 0, 0, NULL,
     "show: draw the maps of what differs between patches, without what all have in common."},
    {"posemb", 0, "layer", OPTION_COUNT, "N|all", FIELD(layer), 0, APP_LAYER_ALL, NULL,
     "show, compare: of models with positions in every block, those of block N (default 0, the "
     "first), or with show the numbers of all."},
    {"posemb", 0, "json", OPTION_FLAG, NULL, FIELD(json), 0, 0, NULL,
     "show, compare: one JSON object."},
    {"posemb", 0, "grid", OPTION_SIZE, "N|HxW", FIELD(grid), 0, 0, NULL,
     "resize: to N x N, or H x W, patches."},
    {"posemb", 0, "img-size", OPTION_SIZE, "N|HxW", FIELD(image_size), 0, 0, NULL,
     "resize: the same by the image's size in pixels, multiples of the patch."},
    {"posemb", 0, "filter", OPTION_CHOICE,
     "bicubic-aa|bicubic|bilinear-aa|bilinear|bilinear-corners", FIELD(filter),
     PATCHES_POSITION_BICUBIC_ANTIALIAS, 0, NULL,
     "resize, compare: how learned tables are resampled. bicubic-aa is timm's way, bicubic Hugging "
     "Face's, bilinear-corners that of the originals in JAX. Default: that of the model's family."},
    {"check", 'm', "model", OPTION_TEXT, "PATH", FIELD(model), 0, 0, NULL,
     "Also say which labels this model doubts: images that it takes for another class with more "
     "confidence than it has on average in the images of that class (confident learning). It must "
     "not have been trained on these images, whose labels it would repeat."},
    {"check", 0, "json", OPTION_FLAG, NULL, FIELD(json), 0, 0, NULL,
     "One JSON object with all findings."},
    {"check", 0, "csv", OPTION_FLAG, NULL, FIELD(csv), 0, 0, NULL,
     "Comma-separated values (RFC 4180) with a header line, one record per finding and image."},
    {"check", 0, "report", OPTION_TEXT, "FILE.html", FIELD(report_file), 0, 0, NULL,
     "Also write what was found as one page with pictures. It appears complete or not at all."},
    {"check", 0, "distance", OPTION_COUNT, "N", FIELD(distance), 0, 16, NULL,
     "Images look alike when each of their two 64-bit perceptual hashes differs in N bits or fewer "
     "(default 10), and their thumbnails agree."},
    {"convert", 0, "card", OPTION_TEXT, "FILE", FIELD(card), 0, 0, NULL,
     "A model card to store: a JSON object. Default: the card of the source, if any."},
    {"classify eval preprocess check", 0, "no-exif", OPTION_FLAG, NULL, FIELD(no_exif), 0, 0, NULL,
     "Take photos as stored instead of turning them upright."},
    {"classify eval preprocess", 0, "fast-decode", OPTION_FLAG, NULL, FIELD(fast_decode), 0, 0,
     NULL,
     "Decode JPEG photos that are much larger than the model's input at 1/2, 1/4 or 1/8 of their "
     "size. Faster, and pixels differ a little."},
    {"classify eval preprocess check", 0, "max-pixels", OPTION_COUNT, "N", FIELD(max_pixels), 1,
     UINT32_MAX *(uint64_t)UINT32_MAX, NULL,
     "Refuse images of more than N pixels (default 100000000)."},
    {"classify eval info", 0, "precision", OPTION_CHOICE, "f32|bf16|int8|auto", FIELD(precision),
     VIT_PRECISION_F32, 0, NULL,
     "Arithmetic of the encoder. Default: int8 for a model that vitc quantize made int8, else f32. "
     "auto: the fastest that this CPU has for what the model holds. bf16 rounds; int8 needs int8 "
     "weights."},
    {"quantize", 0, "precision", OPTION_CHOICE, "f32|bf16|int8|auto", FIELD(precision),
     VIT_PRECISION_F32, 0, NULL,
     "With --data: measure the new weights with this arithmetic. Default: that of --dtype."},
    {"classify eval quantize check", 0, "batch", OPTION_COUNT, "N", FIELD(batch), 1, 4096, NULL,
     "The most images computed together (default 8). Results do not depend on it."},
    {"info", 0, "batch", OPTION_COUNT, "N", FIELD(batch), 1, 4096, NULL,
     "Show the memory for batches of N images (default 8)."},
    {"classify eval info preprocess convert quantize posemb check train", 0, "threads",
     OPTION_COUNT, "N", FIELD(threads), 1, 1024, NULL,
     "Threads (default: VITC_THREADS, OMP_NUM_THREADS, or the CPUs this process may use). Results "
     "do not depend on it."},
    {"classify", 'q', "quiet", OPTION_FLAG, NULL, FIELD(quiet), 0, 0, NULL,
     "No progress, no warnings, no message for an input that fails: its row says it."},
    {"info bench preprocess convert posemb check", 'q', "quiet", OPTION_FLAG, NULL, FIELD(quiet), 0,
     0, NULL, "No warnings; errors only."},
    {"train", 'q', "quiet", OPTION_FLAG, NULL, FIELD(quiet), 0, 0, NULL,
     "No progress, no table, no warnings: errors only. The folder has it all."},
    {"eval quantize", 'q', "quiet", OPTION_FLAG, NULL, FIELD(quiet), 0, 0, NULL,
     "No progress, no warnings, no message for an image that cannot be used: it is counted."},
    {"classify eval info bench preprocess convert quantize posemb check train", 'v', "verbose",
     OPTION_FLAG, NULL, FIELD(verbose), 0, 0, NULL,
     "Say on standard error what was chosen and why."},
    {"help", 0, "list", OPTION_FLAG, NULL, FIELD(list), 0, 0, NULL,
     "List every option of every command, one to a line."},
    {"classify eval info bench preprocess convert quantize posemb check train completion version "
     "help",
     'h', "help", OPTION_FLAG, NULL, FIELD(help), 0, 0, NULL, "Show this help."},
};

enum { SHARED_COUNT = sizeof shared_options / sizeof *shared_options };

/* The tables one after the other. */
static size_t option_count(void)
{
    return app_train_option_count + SHARED_COUNT;
}

static const app_option *option_at(size_t index)
{
    return index < app_train_option_count ? &app_train_options[index]
                                          : &shared_options[index - app_train_option_count];
}

/* Whether `word` (length bytes) is one of the words of a list; *index gets which. */
static bool in_list(const char *list, char separator, const char *word, size_t length, int *index)
{
    int position = 0;
    for (const char *at = list; at != NULL; position++) {
        const char *end = strchr(at, separator);
        const size_t size = end != NULL ? (size_t)(end - at) : strlen(at);
        if (size == length && memcmp(at, word, size) == 0) {
            if (index != NULL) *index = position;
            return true;
        }
        at = end != NULL ? end + 1 : NULL;
    }
    return false;
}

static bool has_row(const app_command *command, const app_option *row)
{
    return in_list(row->commands, ' ', command->name, strlen(command->name), NULL);
}

static bool has_option(const app_command *command, const app_option *row)
{
    return row->kind != OPTION_HEADING && has_row(command, row);
}

/* ---- parsing ---- */

static const app_option *find_long(const app_command *command, const char *name, size_t length)
{
    for (size_t i = 0; i < option_count(); i++) {
        const app_option *row = option_at(i);
        if (has_option(command, row) && strlen(row->name) == length &&
            memcmp(row->name, name, length) == 0)
            return row;
    }
    return NULL;
}

static const app_option *find_short(const app_command *command, char letter)
{
    for (size_t i = 0; i < option_count(); i++) {
        const app_option *row = option_at(i);
        if (letter != 0 && row->letter == letter && has_option(command, row)) return row;
    }
    return NULL;
}

static bool unknown_long(const app_command *command, const char *name, size_t length)
{
    const char *names[ALL_MAX];
    size_t count = 0;
    char word[64];
    for (size_t i = 0; i < option_count() && count < ALL_MAX; i++)
        if (has_option(command, option_at(i))) names[count++] = option_at(i)->name;
    const char *nearest = NULL;
    if (length < sizeof word) {
        memcpy(word, name, length);
        word[length] = 0;
        nearest = app_text_nearest(word, names, count);
    }
    if (nearest != NULL)
        app_error("%s: unknown option --%.*s; did you mean --%s?", command->name, (int)length, name,
                  nearest);
    else
        app_error("%s: unknown option --%.*s; see vitc %s --help", command->name, (int)length, name,
                  command->name);
    return false;
}

static bool set_count(app_settings *settings, const app_option *row, const char *shown,
                      const char *value)
{
    const char *word = strchr(row->argument, '|');
    uint64_t *count = (uint64_t *)(void *)((char *)settings + row->offset);
    char *end;
    errno = 0;
    const unsigned long long number = strtoull(value, &end, 10);
    if (word != NULL && strcmp(value, word + 1) == 0) {
        *count = row->maximum;
        return true;
    }
    if (value[0] < '0' || value[0] > '9' || *end != 0 || errno != 0 || number < row->minimum ||
        number > row->maximum) {
        app_error("%s takes a number from %llu to %llu%s%s, not \"%s\"", shown,
                  (unsigned long long)row->minimum, (unsigned long long)row->maximum,
                  word != NULL ? " or " : "", word != NULL ? word + 1 : "", value);
        return false;
    }
    *count = number;
    return true;
}

static bool set_choice(app_settings *settings, const app_option *row, const char *shown,
                       const char *value)
{
    int index;
    if (in_list(row->argument, '|', value, strlen(value), &index)) {
        *(int *)(void *)((char *)settings + row->offset) = (int)row->minimum + index;
        return true;
    }
    app_error("%s takes one of %s, not \"%s\"%s%s", shown, row->argument, value,
              row->elsewhere != NULL ? "; " : "", row->elsewhere != NULL ? row->elsewhere : "");
    return false;
}

static bool set_share(app_settings *settings, const app_option *row, const char *shown,
                      const char *value)
{
    char *end;
    const double share = strtod(value, &end);
    const bool whole = share == 1 && row->maximum == 1;
    if (!((share > 0 && share < 1) || whole) || *end != 0) { /* NaN too */
        app_error("%s takes a number %s, not \"%s\"", shown,
                  row->maximum == 1 ? "above 0, at most 1" : "between 0 and 1", value);
        return false;
    }
    *(double *)(void *)((char *)settings + row->offset) = share;
    return true;
}

/* One number, with `ending` or nothing after it; NULL when it is none, or beyond the limits. */
static const char *read_number(double *number, const app_option *row, const char *text, char ending)
{
    char *end;
    *number = strtod(text, &end);
    if (end == text || (*end != 0 && *end != ending)) return NULL;
    if (!(*number >= (double)row->minimum && *number <= (double)row->maximum)) return NULL;
    return end; /* NaN is neither */
}

static bool set_number(app_settings *settings, const app_option *row, const char *shown,
                       const char *value)
{
    double number;
    if (read_number(&number, row, value, 0) == NULL) {
        app_error("%s takes a number from %llu to %llu, not \"%s\"", shown,
                  (unsigned long long)row->minimum, (unsigned long long)row->maximum, value);
        return false;
    }
    *(double *)(void *)((char *)settings + row->offset) = number;
    return true;
}

static bool set_pair(app_settings *settings, const app_option *row, const char *shown,
                     const char *value)
{
    app_pair pair = {.second = NAN};
    const char *end = read_number(&pair.first, row, value, ',');
    if (end != NULL && *end == ',') end = read_number(&pair.second, row, end + 1, 0);
    if (end == NULL) {
        app_error("%s takes %s, numbers from %llu to %llu, not \"%s\"", shown, row->argument,
                  (unsigned long long)row->minimum, (unsigned long long)row->maximum, value);
        return false;
    }
    *(app_pair *)(void *)((char *)settings + row->offset) = pair;
    return true;
}

/* One side, with `ending` after it; NULL when it is none. */
static const char *read_side(uint32_t *side, const char *text, char ending)
{
    enum { SIDE_MAX = 65535 };
    char *end;
    errno = 0;
    const unsigned long number = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0 || number < 1 || number > SIDE_MAX ||
        *end != ending)
        return NULL;
    *side = (uint32_t)number;
    return end;
}

static bool set_size(app_settings *settings, const app_option *row, const char *shown,
                     const char *value)
{
    app_size *size = (app_size *)(void *)((char *)settings + row->offset);
    if (read_side(&size->height, value, 0) != NULL) {
        size->width = size->height;
        return true;
    }
    const char *cross = read_side(&size->height, value, 'x');
    if (cross != NULL && read_side(&size->width, cross + 1, 0) != NULL) return true;
    app_error("%s takes a side, or HEIGHTxWIDTH, from 1 to 65535 each, not \"%s\"", shown, value);
    return false;
}

static bool add_to_list(app_settings *settings, const app_option *row, const char *shown,
                        const char *value)
{
    app_list *list = (app_list *)(void *)((char *)settings + row->offset);
    if (list->count == APP_LIST_MAX) {
        app_error("%s can be given %d times at most", shown, (int)APP_LIST_MAX);
        return false;
    }
    list->items[list->count++] = value;
    return true;
}

static bool set_option(app_settings *settings, const app_option *row, const char *shown,
                       const char *value)
{
    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)((char *)settings + row->offset) = true;
        return true;
    case OPTION_COUNT:
        return set_count(settings, row, shown, value);
    case OPTION_CHOICE:
        return set_choice(settings, row, shown, value);
    case OPTION_SHARE:
        return set_share(settings, row, shown, value);
    case OPTION_NUMBER:
        return set_number(settings, row, shown, value);
    case OPTION_PAIR:
        return set_pair(settings, row, shown, value);
    case OPTION_SIZE:
        return set_size(settings, row, shown, value);
    case OPTION_TEXT:
    case OPTION_LIST:
    case OPTION_HEADING:
        break;
    }
    if (value[0] == 0) {
        app_error("%s takes %s, which is empty here", shown, row->argument);
        return false;
    }
    if (row->kind == OPTION_LIST) return add_to_list(settings, row, shown, value);
    *(const char **)(void *)((char *)settings + row->offset) = value;
    return true;
}

/* --name, --name=value, --name value. *index moves on when a word is used as the value. */
static bool parse_long(app_settings *settings, const app_command *command, char **words,
                       size_t count, size_t *index)
{
    const char *name = words[*index] + 2;
    const char *equals = strchr(name, '=');
    const size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const app_option *row = find_long(command, name, length);
    if (row == NULL) return unknown_long(command, name, length);
    char shown[64];
    snprintf(shown, sizeof shown, "--%s", row->name);
    if (row->kind == OPTION_FLAG) {
        if (equals != NULL) {
            app_error("%s takes no value", shown);
            return false;
        }
        return set_option(settings, row, shown, NULL);
    }
    if (equals != NULL) return set_option(settings, row, shown, equals + 1);
    if (*index + 1 >= count) {
        app_error("%s needs a value: %s %s", shown, shown, row->argument);
        return false;
    }
    return set_option(settings, row, shown, words[++*index]);
}

/* -q, -qv, -k5, -k 5, -qk5. */
static bool parse_short(app_settings *settings, const app_command *command, char **words,
                        size_t count, size_t *index)
{
    for (const char *at = words[*index] + 1; *at != 0; at++) {
        const app_option *row = find_short(command, *at);
        const char shown[3] = {'-', *at, 0};
        if (row == NULL) {
            app_error("%s: unknown option %s; see vitc %s --help", command->name, shown,
                      command->name);
            return false;
        }
        if (row->kind == OPTION_FLAG) {
            if (!set_option(settings, row, shown, NULL)) return false;
            continue;
        }
        if (at[1] != 0) return set_option(settings, row, shown, at + 1);
        if (*index + 1 >= count) {
            app_error("%s needs a value: %s %s", shown, shown, row->argument);
            return false;
        }
        return set_option(settings, row, shown, words[++*index]);
    }
    return true;
}

bool app_options_parse(app_settings *settings, const app_command *command, char **words,
                       size_t count)
{
    *settings = (app_settings){.batch = 8,
                               .top = 5,
                               .warmup = 3,
                               .max_bad = UINT64_MAX,
                               .distance = 10,
                               .train = app_recipe_unset(),
                               .checkpoint_minutes = 5};
    size_t operands = 0;
    bool options_ended = false;
    for (size_t i = 0; i < count; i++) {
        const char *word = words[i];
        if (options_ended || word[0] != '-' || word[1] == 0) {
            words[operands++] = words[i];
        } else if (word[1] != '-') {
            if (!parse_short(settings, command, words, count, &i)) return false;
        } else if (word[2] == 0) {
            options_ended = true;
        } else if (!parse_long(settings, command, words, count, &i)) {
            return false;
        }
    }
    settings->operands = (const char *const *)words;
    settings->operand_count = operands;
    if (settings->help) return true;
    if (operands < command->min_operands) {
        app_error("%s needs %s; see vitc %s --help", command->name, command->operands,
                  command->name);
        return false;
    }
    if (operands > command->max_operands) {
        app_error("%s does not take \"%s\"; see vitc %s --help", command->name,
                  words[command->max_operands], command->name);
        return false;
    }
    return true;
}

/* ---- help ---- */

void app_options_wrap(FILE *out, const char *text, size_t indent, size_t first_column)
{
    size_t column = first_column;
    while (*text != 0) {
        if (*text == '\n') {
            fputc('\n', out);
            column = 0;
            text++;
            continue;
        }
        const size_t length = strcspn(text, " \n");
        if (column > indent && column + 1 + length > HELP_WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        if (column < indent) {
            fprintf(out, "%*s", (int)(indent - column), "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        fwrite(text, 1, length, out);
        column += length;
        text += length;
        while (*text == ' ') text++;
    }
    fputc('\n', out);
}

void app_options_help(FILE *out, const app_command *command)
{
    fprintf(out, "Usage: vitc %s [OPTION]...%s%s\n\n", command->name,
            command->operands[0] != 0 ? " " : "", command->operands);
    app_options_wrap(out, command->details, 0, 0);
    bool headed = false; /* below a heading of its own */
    for (size_t i = 0; i < option_count(); i++) {
        const app_option *row = option_at(i);
        if (!has_row(command, row)) continue;
        if (row->kind == OPTION_HEADING || !headed) {
            fprintf(out, "\n%s:\n", row->kind == OPTION_HEADING ? row->name : "Options");
            headed = true;
            if (row->kind == OPTION_HEADING) continue;
        }
        char left[128];
        const char letter[3] = {'-', row->letter, 0};
        const int width =
            snprintf(left, sizeof left, "  %s%s--%s%s%s", row->letter != 0 ? letter : "  ",
                     row->letter != 0 ? ", " : "  ", row->name, row->argument != NULL ? " " : "",
                     row->argument != NULL ? row->argument : "");
        fputs(left, out);
        size_t column = (size_t)width;
        if (column + 2 > HELP_COLUMN) {
            fputc('\n', out);
            column = 0;
        }
        app_options_wrap(out, row->help, HELP_COLUMN, column);
    }
}

void app_options_list(FILE *out)
{
    for (size_t c = 0; c < app_command_count; c++) {
        for (size_t i = 0; i < option_count(); i++) {
            const app_option *row = option_at(i);
            if (!has_option(&app_commands[c], row)) continue;
            fputs(app_commands[c].name, out);
            if (row->letter != 0) fprintf(out, " -%c", row->letter);
            fprintf(out, " --%s%s%s\n", row->name, row->argument != NULL ? " " : "",
                    row->argument != NULL ? row->argument : "");
        }
    }
}
