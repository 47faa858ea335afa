#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_bench.h"
#include "app_text.h"
#include "vitc_json.h"

enum { BAR_COLUMNS = 30 };

double app_bench_ms(const app_bench_row *row, double seconds)
{
    return 1e3 * seconds / row->batch;
}

double app_bench_speed(const app_bench_row *row)
{
    return row->median > 0 ? row->flops * row->batch / row->median : 0;
}

app_bench_op app_bench_op_of(const app_bench_row *row, vit_op op)
{
    const vit_profile *profile = &row->profile;
    const double seconds = profile->seconds[op];
    double all = 0;
    for (int i = 0; i < VIT_OP_COUNT; i++) all += profile->seconds[i];
    return (app_bench_op){
        .name = vit_op_string(op),
        .ms = profile->forwards > 0 ? app_bench_ms(row, seconds) / (double)profile->forwards : 0,
        .share = all > 0 ? seconds / all : 0,
        .speed = seconds > 0 ? profile->flops[op] / seconds : 0};
}

const char *app_bench_percent(char *text, size_t size, const app_bench_row *row, double speed)
{
    if (row->peak > 0)
        snprintf(text, size, "%.1f %%", 100 * speed / row->peak);
    else
        snprintf(text, size, "-");
    return text;
}

/* ---- for people ---- */

/* Three or four digits that mean something, whatever the size. */
static int decimals(double ms)
{
    return ms < 0.1 ? 4 : ms < 10 ? 3 : ms < 100 ? 2 : 1;
}

void app_bench_show_machine(const vit_runtime_info *runtime, const uint32_t *threads,
                            size_t thread_count)
{
    printf("processor  %s\n", runtime->cpu);
    printf("features   %s\n", runtime->features);
    printf("kernels    %s (%s)\n", runtime->kernel_row, runtime->kernel_reason);
    printf("BLIS       %s, configuration %s (%s)\n", runtime->blis_version, runtime->blis_config,
           runtime->blis_reason);
    fputs("threads    ", stdout);
    for (size_t i = 0; i < thread_count; i++) printf("%s%u", i != 0 ? ", " : "", threads[i]);
    printf(" (%s)\n", runtime->threads_reason);
}

void app_bench_show_head(size_t config_width)
{
    printf(
        "\n%-*s precision batch threads  ms/image  quartiles      GFLOP/s    peak of peak   runs\n",
        (int)config_width, "config");
}

void app_bench_show_row(const app_bench_row *row, size_t config_width)
{
    char quartiles[48], percent[16], peak[16] = "-";
    const double ms = app_bench_ms(row, row->median);
    const int digits = decimals(ms);
    snprintf(quartiles, sizeof quartiles, "%.*f-%.*f", digits,
             app_bench_ms(row, row->first_quartile), digits,
             app_bench_ms(row, row->third_quartile));
    if (row->peak > 0) snprintf(peak, sizeof peak, "%.1f", row->peak * 1e-9);
    app_text_column(stdout, row->config, config_width, false, true);
    printf(" %-9s %5u %7d %9.*f  %-13s %8.1f %7s %7s %6zu\n", vit_precision_string(row->precision),
           row->batch, row->threads, digits, ms, quartiles, app_bench_speed(row) * 1e-9, peak,
           app_bench_percent(percent, sizeof percent, row, app_bench_speed(row)), row->runs);
}

void app_bench_show_profile(const app_bench_row *row)
{
    const bool utf8 = app_terminal_of(stdout).utf8;
    printf("\n%s %s, batch %u, %d thread%s\n", row->config, vit_precision_string(row->precision),
           row->batch, row->threads, row->threads == 1 ? "" : "s");
    puts("  part        ms/image    share   GFLOP/s  of peak");
    for (int i = 0; i < VIT_OP_COUNT; i++) {
        char percent[16];
        const app_bench_op op = app_bench_op_of(row, (vit_op)i);
        printf("  %-10s  %8.*f  %5.1f %%  %8.1f  %7s", op.name, decimals(op.ms), op.ms,
               100 * op.share, op.speed * 1e-9,
               app_bench_percent(percent, sizeof percent, row, op.speed));
        const int bar = (int)(op.share * BAR_COLUMNS + 0.5);
        for (int j = 0; j < bar; j++)
            fputs(j == 0 ? utf8 ? "  \xE2\x96\x88" : "  #" : utf8 ? "\xE2\x96\x88" : "#", stdout);
        putchar('\n');
    }
}

/* Whether an earlier row tells the same of its model or its threads. */
static bool told(const app_bench_row *rows, size_t index, bool model)
{
    for (size_t i = 0; i < index; i++)
        if (model ? rows[i].config == rows[index].config : rows[i].threads == rows[index].threads)
            return true;
    return false;
}

void app_bench_show_notes(const app_bench_row *rows, size_t count)
{
    putchar('\n');
    for (size_t i = 0; i < count; i++)
        if (!told(rows, i, true))
            printf("%s: %.4g GFLOP per image computed, %.4g nominal*; weights: %s\n",
                   rows[i].config, rows[i].flops * 1e-9, rows[i].nominal_flops * 1e-9,
                   rows[i].weights);
    for (size_t i = 0; i < count; i++)
        if (!told(rows, i, false))
            printf("memory, %d thread%s: %.1f GB/s read\n", rows[i].threads,
                   rows[i].threads == 1 ? "" : "s", rows[i].memory * 1e-9);
    puts("* with all tokens in the last block, as others count");
}

/* ---- JSON ---- */

static bool set_fraction(vitc_json *object, const char *key, double speed, double peak)
{
    return peak > 0 ? vitc_json_set_number(object, key, speed / peak)
                    : vitc_json_set_null(object, key);
}

static bool set_ops(vitc_json *object, const app_bench_row *row)
{
    vitc_json *ops = vitc_json_array();
    bool ok = ops != NULL;
    for (int i = 0; ok && i < VIT_OP_COUNT; i++) {
        const app_bench_op op = app_bench_op_of(row, (vit_op)i);
        vitc_json *entry = vitc_json_object();
        ok = entry != NULL && vitc_json_set_string(entry, "op", op.name) &&
             vitc_json_set_number(entry, "ms_per_image", op.ms) &&
             vitc_json_set_number(entry, "gflops", op.speed * 1e-9) &&
             set_fraction(entry, "peak_fraction", op.speed, row->peak) &&
             vitc_json_set_number(entry, "share", op.share);
        ok = vitc_json_append(ops, entry) && ok;
    }
    return vitc_json_set(object, "ops", ops) && ok;
}

bool app_bench_print_json(const app_bench_row *row, const vit_runtime_info *runtime, bool profile)
{
    vitc_json *o = vitc_json_object();
    const double speed = app_bench_speed(row);
    bool ok = o != NULL && vitc_json_set_string(o, "config", row->config) &&
              vitc_json_set_string(o, "precision", vit_precision_string(row->precision)) &&
              vitc_json_set_integer(o, "batch", row->batch) &&
              vitc_json_set_integer(o, "threads", row->threads) &&
              vitc_json_set_number(o, "ms_per_image", app_bench_ms(row, row->median)) &&
              vitc_json_set_number(o, "q1_ms", app_bench_ms(row, row->first_quartile)) &&
              vitc_json_set_number(o, "q3_ms", app_bench_ms(row, row->third_quartile)) &&
              vitc_json_set_integer(o, "runs", (int64_t)row->runs) &&
              vitc_json_set_number(o, "gflops", speed * 1e-9) &&
              set_fraction(o, "peak_fraction", speed, row->peak) &&
              (row->peak > 0 ? vitc_json_set_number(o, "peak_gflops", row->peak * 1e-9)
                             : vitc_json_set_null(o, "peak_gflops")) &&
              vitc_json_set_number(o, "gflop_per_image", row->flops * 1e-9) &&
              vitc_json_set_number(o, "nominal_gflop_per_image", row->nominal_flops * 1e-9) &&
              vitc_json_set_number(o, "memory_gb_per_s", row->memory * 1e-9) &&
              vitc_json_set_string(o, "kernel", row->kernel) &&
              vitc_json_set_string(o, "kernels", runtime->kernel_row) &&
              vitc_json_set_string(o, "blis_config", runtime->blis_config) &&
              vitc_json_set_string(o, "cpu", runtime->cpu) &&
              vitc_json_set_string(o, "weights", row->weights);
    if (profile) ok = ok && set_ops(o, row);
    return app_text_print_json(o, ok, 0, 6, "");
}
