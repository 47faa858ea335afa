#include "app_ranks.h"

#include <stdlib.h>
#include <string.h>

#include "app_report.h"
#include "app_rows.h"
#include "app_stop.h"
#include "vit_dist.h"
#include "vitc_log.h"
#include "vitc_size.h"
#include "vitc_threads.h"

/* Of the process. */
static struct {
    vit_dist *dist;
    vit_dist *left; /* while this process works alone: what dist is otherwise */
    vitc_log log;
    char name[128];
    int local; /* on this machine; 0 until there are any */
    uint64_t seen;
} ranks;

static bool ask_stop(void *user)
{
    (void)user;
    return app_stop_asked();
}

static int outcome(vitc_status status)
{
    if (status == VITC_ERR_ARGUMENT && app_stop_asked()) return APP_EXIT_DONE;
    return app_exit_status(status);
}

/* ---- beginning and end ---- */

/* Ranks on one machine share its memory, and its CPUs unless their launcher gave each its own, or
 * the user said how many threads there are to be. */
static int share_machine(app_settings *settings)
{
    double share;
    const vitc_status status = vit_dist_share(&ranks.local, &share, ranks.dist, &ranks.log);
    if (status != VITC_OK) return outcome(status);
    if (settings->threads != 0 || getenv("VITC_THREADS") != NULL ||
        getenv("OMP_NUM_THREADS") != NULL)
        return APP_EXIT_DONE;
    const double threads = share * vitc_threads_choose(0, NULL, 0);
    settings->threads = threads < 2 ? 1 : (uint64_t)(threads + 1e-6);
    return APP_EXIT_DONE;
}

int app_ranks_start(app_settings *settings)
{
    ranks.log = app_log(settings);
    const vitc_status status = vit_dist_start(&ranks.dist, ask_stop, NULL, &ranks.log);
    if (status == VITC_ERR_UNSUPPORTED) return APP_EXIT_USAGE;
    if (status != VITC_OK || ranks.dist == NULL) return app_exit_status(status);
    if (!app_ranks_first()) {
        snprintf(ranks.name, sizeof ranks.name, "rank %d on %.80s: ", vit_dist_rank(ranks.dist),
                 vit_dist_host(ranks.dist));
        settings->quiet = true;
    }
    return share_machine(settings);
}

int app_ranks_finish(int exit_status)
{
    const bool first = app_ranks_first();
    if (ranks.dist == NULL || app_stop_asked()) return exit_status;
    const vitc_status status = vit_dist_finish(ranks.dist, &ranks.log);
    ranks.dist = NULL;
    if (status != VITC_OK) return outcome(status);
    return first ? exit_status : APP_EXIT_DONE;
}

bool app_ranks_first(void)
{
    return vit_dist_rank(ranks.dist) == 0;
}

int app_ranks_number(void)
{
    return vit_dist_rank(ranks.dist);
}

int app_ranks_size(void)
{
    return vit_dist_size(ranks.dist);
}

int app_ranks_local(void)
{
    return ranks.local > 0 ? ranks.local : 1;
}

const char *app_ranks_name(void)
{
    return ranks.name;
}

int app_ranks_owner(uint64_t index)
{
    return (int)(index % (uint64_t)app_ranks_size());
}

bool app_ranks_take(uint64_t index, const char *path)
{
    if (ranks.dist == NULL) return true;
    const char *slash = strrchr(path, '/');
    for (const char *c = slash != NULL ? slash : path; *c != 0; c++)
        ranks.seen = (ranks.seen ^ (unsigned char)*c) * 0x100000001B3; /* FNV-1a */
    return app_ranks_owner(index) == vit_dist_rank(ranks.dist);
}

uint64_t app_ranks_seen(void)
{
    return ranks.seen;
}

void app_ranks_see_anew(void)
{
    ranks.seen = 0xCBF29CE484222325;
}

/* ---- steps that all take together ---- */

int app_ranks_agree(int exit_status)
{
    int worst = exit_status;
    if (app_stop_asked()) return exit_status;
    const vitc_status status = vit_dist_agree(&worst, ranks.dist, &ranks.log);
    if (status != VITC_OK) return app_stop_asked() ? exit_status : outcome(status);
    return worst;
}

/* In pieces, so that a rank without memory for all of it still takes part. */
static vitc_status copy_pieces(char *text, uint64_t size, bool first)
{
    for (uint64_t at = 0; at < size;) {
        char piece[4096] = "";
        const size_t count = vitc_size_min(sizeof piece, (size_t)(size - at));
        if (first && text != NULL) memcpy(piece, text + at, count);
        const vitc_status status = vit_dist_broadcast(piece, count, ranks.dist, &ranks.log);
        if (status != VITC_OK) return status;
        if (!first && text != NULL) memcpy(text + at, piece, count);
        at += count;
    }
    return VITC_OK;
}

int app_ranks_copy_text(char **text)
{
    const bool first = app_ranks_first();
    uint64_t size = first && *text != NULL ? strlen(*text) + 1 : 1;
    vitc_status status = vit_dist_broadcast(&size, sizeof size, ranks.dist, &ranks.log);
    if (status != VITC_OK) return outcome(status);
    if (!first) *text = malloc((size_t)size);
    status = copy_pieces(*text, size, first);
    if (status == VITC_OK && *text == NULL && !first)
        status = vitc_fail_memory(&ranks.log, "what the first rank says");
    if (status != VITC_OK && !first) {
        free(*text);
        *text = NULL;
    }
    return outcome(status);
}

int app_ranks_copy_number(uint64_t *number)
{
    return outcome(vit_dist_broadcast(number, sizeof *number, ranks.dist, &ranks.log));
}

int app_ranks_copy_bytes(void *bytes, size_t size)
{
    enum { PIECE = 1 << 30 }; /* MPI counts in int */
    unsigned char *from = bytes;
    for (size_t at = 0; at < size; at += PIECE) {
        const size_t count = vitc_size_min(PIECE, size - at);
        const vitc_status status = vit_dist_broadcast(from + at, count, ranks.dist, &ranks.log);
        if (status != VITC_OK) return outcome(status);
    }
    return APP_EXIT_DONE;
}

static int no_memory(void)
{
    app_error("out of memory for what the ranks compare");
    return APP_EXIT_INTERNAL;
}

static int compare_with_first(const char *text, const vitc_json *description,
                              const app_settings *settings)
{
    static const char *const sides[] = {"on the first rank", "here"};
    const vitc_log log = app_log(settings);
    vitc_json *first;
    const vitc_status status =
        vitc_json_parse(&first, text, strlen(text), "the first rank's description", &log);
    if (status != VITC_OK) return app_exit_status(status);
    char *differences = app_rows_differences(first, description, sides);
    vitc_json_free(first);
    int result = differences != NULL ? APP_EXIT_DONE : no_memory();
    if (differences != NULL && differences[0] != 0) {
        app_rows_tell("not what the first rank has", differences);
        app_error("all ranks need the same vitc, model, data and options; where machines differ in "
                  "their kernels, VITC_ISA names some that all of them have");
        result = APP_EXIT_USAGE;
    }
    free(differences);
    return result;
}

int app_ranks_compare(const vitc_json *description, const app_settings *settings)
{
    enum { DIGITS = 17 }; /* carry any double */
    char *text = NULL;
    if (app_ranks_size() == 1) return APP_EXIT_DONE;
    if (app_ranks_first()) text = vitc_json_dump(description, 0, DIGITS);
    int result = app_ranks_agree(app_ranks_first() && text == NULL ? no_memory() : APP_EXIT_DONE);
    if (result == APP_EXIT_DONE) result = app_ranks_copy_text(&text);
    if (result == APP_EXIT_DONE && !app_ranks_first() && text != NULL)
        result = compare_with_first(text, description, settings);
    free(text);
    return app_ranks_agree(result);
}

/* ---- sums ---- */

int app_ranks_sum_begin(float *values, size_t count)
{
    return outcome(vit_dist_sum_begin(ranks.dist, values, count, &ranks.log));
}

int app_ranks_sum_push(void)
{
    return outcome(vit_dist_sum_push(ranks.dist, &ranks.log));
}

int app_ranks_sum_finish(void)
{
    return outcome(vit_dist_sum_finish(ranks.dist, &ranks.log));
}

void app_ranks_work_alone(bool alone)
{
    vit_dist **const from = alone ? &ranks.dist : &ranks.left;
    vit_dist **const to = alone ? &ranks.left : &ranks.dist;
    if (*from == NULL) return;
    *to = *from;
    *from = NULL;
}

/* ---- messages ---- */

int app_ranks_send(int to, const void *bytes, size_t size)
{
    return outcome(vit_dist_send(ranks.dist, to, bytes, size, &ranks.log));
}

int app_ranks_receive(unsigned char **bytes, size_t *size, int from, bool wait)
{
    return outcome(vit_dist_receive(bytes, size, ranks.dist, from, wait, &ranks.log));
}

int app_ranks_flush(void)
{
    return outcome(vit_dist_flush(ranks.dist, &ranks.log));
}
