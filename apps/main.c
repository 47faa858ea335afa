/* vitc - the program: finds the command, parses its options, runs it. */
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app_bundled.h"
#include "app_commands.h"
#include "app_openmp.h"
#include "app_options.h"
#include "app_outputs.h"
#include "app_ranks.h"
#include "app_report.h"
#include "app_run.h"
#include "app_stop.h"
#include "app_text.h"
#include "vitc_base.h"

static int run_completion(const app_settings *settings)
{
    if (strcmp(settings->operands[0], "bash") != 0) {
        app_error("completion for \"%s\" does not exist; there is one for bash",
                  settings->operands[0]);
        return APP_EXIT_USAGE;
    }
    size_t size;
    const char *script = app_bundled_completion(&size);
    fwrite(script, 1, size, stdout);
    return APP_EXIT_DONE;
}

static int run_version(const app_settings *settings)
{
    (void)settings;
    printf("vitc %s\n", vitc_version());
    return APP_EXIT_DONE;
}

static void write_overview(FILE *out)
{
    fputs("Usage: vitc COMMAND [OPTION]... [OPERAND]...\n"
          "\n"
          "Classify images with Vision Transformers.\n"
          "\n"
          "Commands:\n",
          out);
    for (size_t i = 0; i < app_command_count; i++)
        fprintf(out, "  %-12s %s\n", app_commands[i].name, app_commands[i].summary);
    fputs("\n"
          "vitc COMMAND --help tells more. For a start: vitc classify photo.jpg\n"
          "\n"
          "Exit status: 0 all done; 1 done, but some inputs failed; 2 wrong usage; 3 the\n"
          "model or the data could not be loaded; 4 out of memory, output that cannot be\n"
          "written, or an internal error.\n",
          out);
}

static int unknown_command(const char *name)
{
    const char *names[32];
    size_t count = 0;
    for (; count < app_command_count && count < sizeof names / sizeof *names; count++)
        names[count] = app_commands[count].name;
    const char *nearest = app_text_nearest(name, names, count);
    if (nearest != NULL)
        app_error("unknown command %s; did you mean vitc %s?", name, nearest);
    else if (access(name, F_OK) == 0)
        app_error("unknown command %s; to classify it: vitc classify %s", name, name);
    else
        app_error("unknown command %s; see vitc --help", name);
    return APP_EXIT_USAGE;
}

static int run_help(const app_settings *settings)
{
    if (settings->list) {
        app_options_list(stdout);
        return APP_EXIT_DONE;
    }
    if (settings->operand_count == 0) {
        write_overview(stdout);
        return APP_EXIT_DONE;
    }
    const app_command *command = app_command_find(settings->operands[0]);
    if (command == NULL) return unknown_command(settings->operands[0]);
    app_options_help(stdout, command);
    return APP_EXIT_DONE;
}

const app_command app_commands[] = {
    {"classify", "IMAGE|FOLDER|TAR|-...", "say what images show",
     "Say what images show: the most probable labels of each and their scores. Folders are "
     "searched recursively, tar files, lists of paths (.csv, .tsv, .jsonl), IDX and CIFAR files "
     "are read through; - is one image on standard input. The type of a file is decided by its "
     "first bytes: JPEG, PNG, WebP, GIF, BMP, TGA, PGM, PPM, PSD.\n"
     "An input that cannot be used gets a row that says why, and the run goes on.",
     0, SIZE_MAX, app_classify_run},
    {"eval", "DATA...", "measure how often a model is right",
     "Measure how often a model is right on labelled images, and how far its scores can be "
     "trusted. "
     "DATA is a folder of class folders, tar files of those or of WebDataset pairs (shards{00..99}"
     ".tar too), a list of path and label (.csv, .tsv, .jsonl), IDX files, or CIFAR's batches; "
     "several of one kind are one set. Classes are matched to the model's labels by name, never by "
     "number.\n"
     "An image that cannot be used is counted beside every accuracy, and never replaced.",
     1, SIZE_MAX, app_eval_run},
    {"info", "", "describe the model and the machine",
     "Describe the model (architecture, position embeddings, preprocessing, labels, licence, model "
     "card), the memory that it takes, and what was chosen on this machine and why.",
     0, 0, app_info_run},
    {"bench", "", "measure how fast models run on this machine",
     "Measure how fast models run, and how much of the machine they use: every combination of "
     "model, precision, batch and threads is warmed up and then run for some seconds; the median "
     "is compared with what the processor's instructions reach, measured in between.\n"
     "GFLOP/s counts what is computed. Where a model classifies by its class token alone, the last "
     "block leaves the other tokens out; the GFLOP that others count, with them, are printed too.",
     0, 0, app_bench_run},
    {"preprocess", "IMAGE|-", "show exactly what the model sees",
     "Show what an image becomes before the model sees it, and write that tensor or picture. It is "
     "the code path of classify.",
     1, 1, app_preprocess_run},
    {"convert", "[MODEL]", "write a model as one file",
     "Write a checkpoint (a Hugging Face directory, a timm directory, a file of vitc) as one "
     ".safetensors file that holds weights, configuration, preprocessing, labels and model card; "
     "or "
     "as a directory that other libraries load. MODEL can be given by -m instead.",
     0, 1, app_convert_run},
    {"quantize", "[MODEL]", "make a model smaller and faster, and measure what it costs",
     "Write a checkpoint as one .safetensors file with fewer bits per weight (int8 or bf16), and "
     "measure on labelled images what that costs: both models classify the same images, and the "
     "loss is told with a bound that holds with 95 % confidence. The original file is needed for "
     "the next time: int8 weights cannot be converted back. MODEL can be given by -m instead.",
     0, 1, app_quantize_run},
    {"posemb", "show|resize|compare [MODEL]...", "look at position embeddings, or resize them",
     "posemb show: draw a model's position embeddings as in the ViT paper's figure 7, one small "
     "map "
     "for each patch of how alike it is to all others (relative positions: one for each head, over "
     "offsets), and say how much of rows, columns, direction and distance they hold, beside what "
     "chance gives.\n"
     "posemb resize: write the model for another grid of patches, its position embeddings "
     "resampled, its preprocessing scaled.\n"
     "posemb compare: say how alike the position tables of two models are, beside what chance "
     "gives; on different grids the smaller one is resampled first.\n"
     "MODEL is what vitc classify takes for --model, or bundled, the one built into this program; "
     "show has that one where none is given.",
     1, 3, app_posemb_run},
    {"check", "DATA...", "find what is wrong with sets of images",
     "Read every image of one or more sets, and say what is wrong with them: images that cannot be "
     "decoded; images that are there twice, or look alike, within a set and between sets; one "
     "picture under two labels; how the classes are balanced; sizes; names that promise another "
     "format. Give training and validation data as two operands to see what they share. Nothing is "
     "changed.\n"
     "A set is a folder of class folders, a list of paths and labels (.csv, .tsv, .jsonl), tar "
     "files, IDX files, CIFAR's .bin files, or any images without labels.\n"
     "The exit status is 1 when there are broken images, or identical images with different labels "
     "or in different sets.",
     1, SIZE_MAX, app_check_run},
    {"train", "DATA...", "train a model on labelled images",
     "Train a model on labelled images: DATA is all that vitc eval takes, for instance a folder "
     "with a folder for each class. With -m a model is fine-tuned, which is what a few hundred "
     "photos are enough for; without it a model begins with random weights, which takes many "
     "images and epochs. Classes get the names that the data has.\n"
     "Everything goes into the folder --out: the model (best.safetensors, for vitc classify -m), "
     "how it was made (config.json), curves (results.svg, metrics.csv), augmented pictures "
     "(batch.png), and in the end an evaluation (report.html). A run that was interrupted, in "
     "whatever way, goes on with --resume and comes to the same result to the last bit.",
     0, SIZE_MAX, app_train_run},
    {"completion", "bash", "print the completion script of a shell",
     "Print the completion script of a shell. For the running bash: . <(vitc completion bash)", 1,
     1, run_completion},
    {"version", "", "print the version", "Print the version.", 0, 0, run_version},
    {"help", "[COMMAND]", "show this help, or that of a command",
     "Show the list of commands, or the help of one.", 0, 1, run_help},
};
const size_t app_command_count = sizeof app_commands / sizeof *app_commands;

const app_command *app_command_find(const char *name)
{
    /* What people try first. */
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) name = "version";
    for (size_t i = 0; i < app_command_count; i++)
        if (strcmp(app_commands[i].name, name) == 0) return &app_commands[i];
    return NULL;
}

/* Number of the first operand that is a model; SIZE_MAX: none is. */
static size_t first_model(const app_command *command)
{
    if (command->run == app_convert_run || command->run == app_quantize_run) return 0;
    return command->run == app_posemb_run ? 1 : SIZE_MAX;
}

/* The words of `argv` are reordered; `typed` holds them as they were given, for who tells them. */
static int run_command(const app_command *command, int argc, char **argv, char *const *typed)
{
    app_settings settings;
    if (!app_options_parse(&settings, command, argv + 2, (size_t)argc - 2)) return APP_EXIT_USAGE;
    settings.argc = argc;
    settings.argv = typed;
    if (settings.help) {
        if (command->run == run_help)
            write_overview(stdout);
        else
            app_options_help(stdout, command);
        return app_stdout_finish(APP_EXIT_DONE);
    }
    int result = app_run_find_models(&settings, argv + 2, first_model(command));
    if (result == APP_EXIT_DONE) result = app_outputs_check(&settings);
    if (result != APP_EXIT_DONE) return result;
    /* Other commands do all of their work in each process that a launcher starts. */
    const bool shared = command->run == app_classify_run || command->run == app_eval_run ||
                        command->run == app_train_run;
    if (shared) result = app_ranks_start(&settings);
    if (result != APP_EXIT_DONE) return result;
    app_run_tell_models(&settings);
    result = app_stdout_finish(app_stop_status(command->run(&settings)));
    return app_ranks_finish(result);
}

/* A file of a run must not get the number of a standard stream that the caller closed: messages
 * would go into it. Reading and writing them fails as before. */
static void fill_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
            return;
}

int main(int argc, char **argv)
{
    fill_standard_streams();
    /* Characters and their widths only: numbers keep their dots. */
    setlocale(LC_CTYPE, "");
    /* A reader that goes away is seen as a write error, and ends the run with its own status. */
    signal(SIGPIPE, SIG_IGN);
    /* So is a file that grows beyond what is allowed (ulimit -f). */
    signal(SIGXFSZ, SIG_IGN);

    if (argc < 2) {
        write_overview(stderr);
        return APP_EXIT_USAGE;
    }
    const app_command *command = app_command_find(argv[1]);
    if (command == NULL) return unknown_command(argv[1]);
    if (command->run == app_classify_run || command->run == app_eval_run ||
        command->run == app_quantize_run || command->run == app_check_run ||
        command->run == app_bench_run || command->run == app_train_run)
        app_openmp_settle(argv);
    char **typed = calloc((size_t)argc, sizeof *typed);
    if (typed == NULL) {
        app_error("out of memory for the command");
        return APP_EXIT_INTERNAL;
    }
    memcpy(typed, argv, (size_t)argc * sizeof *typed);
    const int result = run_command(command, argc, argv, typed);
    free(typed);
    return result;
}
