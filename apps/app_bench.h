/* app_bench.h - what `vitc bench` measured, and how it is shown: table, JSON, picture. */
#ifndef VITC_APP_BENCH_H
#define VITC_APP_BENCH_H

#include "vit.h"
#include "vitc_file.h"

/* One combination of model, precision, batch and threads. */
typedef struct app_bench_row {
    const char *config;  /* printable */
    const char *weights; /* "random", or where they come from */
    const char *kernel;  /* that the encoder's linear layers ran on */
    vit_precision precision;
    uint32_t batch;
    int threads;
    double flops, nominal_flops; /* of one image: computed, and with the last block whole */
    size_t runs;
    double first_quartile, median, third_quartile; /* seconds of one run */
    double peak;   /* operations per second that the format's instructions reach; 0: unknown */
    double memory; /* bytes per second */
    vit_profile profile;
} app_bench_row;

/* Milliseconds per image of a run that takes so many seconds. */
double app_bench_ms(const app_bench_row *row, double seconds);
/* Operations per second. */
double app_bench_speed(const app_bench_row *row);

/* One part of the profile. */
typedef struct app_bench_op {
    const char *name;
    double ms;    /* per image */
    double share; /* of all parts' time */
    double speed; /* operations per second */
} app_bench_op;

app_bench_op app_bench_op_of(const app_bench_row *row, vit_op op);

/* "92.1 %" of the row's peak, or "-" where that is unknown. */
const char *app_bench_percent(char *text, size_t size, const app_bench_row *row, double speed);

/* Standard output: the machine; a table's head, wide enough for the longest name of a
 * configuration; its rows; one row's profile; what the columns mean. */
void app_bench_show_machine(const vit_runtime_info *runtime, const uint32_t *threads,
                            size_t thread_count);
void app_bench_show_head(size_t config_width);
void app_bench_show_row(const app_bench_row *row, size_t config_width);
void app_bench_show_profile(const app_bench_row *row);
void app_bench_show_notes(const app_bench_row *rows, size_t count);

/* The row as one line of JSON, without the newline; false without memory. */
bool app_bench_print_json(const app_bench_row *row, const vit_runtime_info *runtime, bool profile);

/* The rows' profiles as a picture, into an open file. */
void app_bench_draw(vitc_file_writer *writer, const app_bench_row *rows, size_t count,
                    const vit_runtime_info *runtime);

#endif
