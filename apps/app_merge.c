#include "app_merge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app_ranks.h"
#include "app_report.h"
#include "app_stop.h"
#include "vitc_size.h"

/* What a message begins with. After it: for an answer `numbers` floats (K logits, K scores), the
 * path and the error with their ends, the bytes of the image file or the pixels; for an end the
 * app_times. */
typedef struct head {
    uint64_t index; /* AT_END: this rank's end */
    int64_t label;
    uint64_t hash; /* of an end app_ranks_seen */
    uint64_t path_size, error_size, bytes, pixels;
    int32_t status; /* vitc_status; of an end its exit status */
    uint32_t numbers, width, height, image_width, image_height;
    float milliseconds;
} head;

#define AT_END UINT64_MAX

static int no_memory(void)
{
    app_error("out of memory for the answers of other ranks");
    return APP_EXIT_INTERNAL;
}

static int worse(int a, int b)
{
    return a > b ? a : b;
}

/* ---- the other ranks: sending ---- */

static size_t pixel_bytes(uint32_t width, uint32_t height)
{
    return (size_t)width * height * 3;
}

static head describe(const app_merge *m, const datasets_item *item, const app_answer *answer)
{
    head h = {.index = item->index,
              .label = item->label,
              .hash = answer->hash,
              .path_size = strlen(item->path) + 1,
              .error_size = strlen(answer->error) + 1,
              .status = (int32_t)answer->status,
              .numbers = answer->logits != NULL ? 2 * m->classes : 0,
              .width = answer->width,
              .height = answer->height,
              .milliseconds = answer->milliseconds};
    if (!m->contents || answer->status != VITC_OK) return h;
    h.bytes = item->bytes != NULL ? item->size : 0;
    if (item->image.pixels != NULL) {
        h.image_width = item->image.width;
        h.image_height = item->image.height;
        h.pixels = pixel_bytes(h.image_width, h.image_height);
    }
    return h;
}

static unsigned char *put(unsigned char *at, const void *bytes, size_t size)
{
    if (size != 0) memcpy(at, bytes, size);
    return at + size;
}

static int send_answer(const app_merge *m, const datasets_item *item, const app_answer *answer)
{
    const head h = describe(m, item, answer);
    const size_t half = h.numbers / 2 * sizeof(float);
    const size_t size = sizeof h + 2 * half + (size_t)h.path_size + (size_t)h.error_size +
                        (size_t)h.bytes + (size_t)h.pixels;
    unsigned char *message = malloc(size), *at = message;
    if (message == NULL) return no_memory();
    at = put(at, &h, sizeof h);
    at = put(at, answer->logits, half);
    at = put(at, answer->scores, half);
    at = put(at, item->path, (size_t)h.path_size);
    at = put(at, answer->error, (size_t)h.error_size);
    at = put(at, item->bytes, (size_t)h.bytes);
    put(at, item->image.pixels, (size_t)h.pixels);
    const int result = app_ranks_send(0, message, size);
    free(message);
    return result;
}

static int look_for_enough(app_merge *m, bool wait)
{
    unsigned char *message;
    size_t size;
    const int result = app_ranks_receive(&message, &size, 0, wait);
    if (message != NULL) atomic_store(&m->enough, true);
    free(message);
    return result;
}

static int send_end(app_merge *m, int exit_status, const app_times *times)
{
    const head h = {.index = AT_END, .status = exit_status, .hash = app_ranks_seen()};
    unsigned char message[sizeof h + sizeof *times];
    put(put(message, &h, sizeof h), times, sizeof *times);
    int result = app_ranks_send(0, message, sizeof message);
    if (result == APP_EXIT_DONE && !atomic_load(&m->enough)) result = look_for_enough(m, true);
    if (result == APP_EXIT_DONE) result = app_ranks_flush();
    return worse(exit_status, result);
}

/* ---- the first rank: receiving ---- */

static int misfit(int from)
{
    app_error("rank %d sends what this vitc does not understand; is it the same version?", from);
    return APP_EXIT_INTERNAL;
}

static void add_times(app_times *sum, const app_times *times)
{
    sum->list += times->list;
    sum->read += times->read;
    sum->decode += times->decode;
    sum->preprocess += times->preprocess;
    sum->compute += times->compute;
    sum->wait += times->wait;
    sum->lanes += times->lanes;
}

/* The next answer of a rank, unless one is there or it has ended. */
static int fetch(app_merge *m, int from)
{
    app_merge_peer *p = &m->peers[from];
    head h;
    if (p->message != NULL || p->ended) return APP_EXIT_DONE;
    const int result = app_ranks_receive(&p->message, &p->size, from, true);
    if (result != APP_EXIT_DONE) return result;
    if (p->message == NULL) {
        m->cut = true;
        return APP_EXIT_DONE;
    }
    if (p->size < sizeof h) return misfit(from);
    memcpy(&h, p->message, sizeof h);
    if (h.index != AT_END) return APP_EXIT_DONE;
    app_times times;
    if (p->size != sizeof h + sizeof times) return misfit(from);
    memcpy(&times, p->message + sizeof h, sizeof times);
    add_times(&m->others, &times);
    free(p->message);
    p->message = NULL;
    p->ended = true;
    p->exit_status = h.status;
    p->seen = h.hash;
    return APP_EXIT_DONE;
}

static bool is_whole(const head *h, const unsigned char *texts, size_t size)
{
    size_t sum = sizeof *h;
    return vitc_size_add(sum, h->numbers * sizeof(float), &sum) &&
           vitc_size_add(sum, (size_t)h->path_size, &sum) &&
           vitc_size_add(sum, (size_t)h->error_size, &sum) &&
           vitc_size_add(sum, (size_t)h->bytes, &sum) &&
           vitc_size_add(sum, (size_t)h->pixels, &sum) && sum == size && h->path_size != 0 &&
           h->error_size != 0 && texts[h->path_size - 1] == 0 &&
           texts[h->path_size + h->error_size - 1] == 0;
}

static int give_answer(app_merge *m, int from)
{
    app_merge_peer *p = &m->peers[from];
    head h;
    memcpy(&h, p->message, sizeof h);
    const size_t half = h.numbers / 2 * sizeof(float);
    unsigned char *const numbers = p->message + sizeof h;
    unsigned char *const texts = numbers + 2 * half;
    if ((h.numbers != 0 && h.numbers != 2 * m->classes) || !is_whole(&h, texts, p->size))
        return misfit(from);
    const char *const error = (const char *)texts + h.path_size;
    unsigned char *const contents = texts + h.path_size + h.error_size;
    const datasets_item item = {
        .index = h.index,
        .path = (char *)texts,
        .label = h.label,
        .bytes = h.bytes != 0 ? contents : NULL,
        .size = (size_t)h.bytes,
        .image = {.pixels = h.pixels != 0 ? contents + h.bytes : NULL,
                  .width = h.image_width,
                  .height = h.image_height},
    };
    app_answer answer = {.status = (vitc_status)h.status,
                         .width = h.width,
                         .height = h.height,
                         .hash = h.hash,
                         .milliseconds = h.milliseconds};
    snprintf(answer.error, sizeof answer.error, "%s", error);
    if (h.numbers != 0) {
        answer.logits = (const float *)(const void *)numbers;
        answer.scores = (const float *)(const void *)(numbers + half);
    }
    return m->give(m->user, &item, &answer);
}

static void drop_answer(app_merge_peer *p)
{
    free(p->message);
    p->message = NULL;
}

static uint64_t index_of(const app_merge_peer *p)
{
    head h;
    memcpy(&h, p->message, sizeof h);
    return h.index;
}

/* Gives the next image, if its rank has it: a number may stand for an image that could not be
 * reached, as at the end of a tar file that is cut short. */
static int give_next(app_merge *m)
{
    const int from = app_ranks_owner(m->next);
    app_merge_peer *p = &m->peers[from];
    int result = from != 0 ? fetch(m, from) : APP_EXIT_DONE;
    if (result != APP_EXIT_DONE || m->cut) return result;
    if (p->ended && p->exit_status != APP_EXIT_DONE) return p->exit_status;
    if (p->message != NULL && index_of(p) <= m->next) {
        result = give_answer(m, from);
        drop_answer(p);
    }
    m->next++;
    return result;
}

/* ---- the run ---- */

bool app_merge_open(app_merge *m, uint64_t first)
{
    m->next = first;
    atomic_init(&m->enough, false);
    app_ranks_see_anew();
    m->peers = calloc((size_t)app_ranks_size(), sizeof *m->peers);
    return m->peers != NULL;
}

static int add_in_order(app_merge *m, const datasets_item *item, const app_answer *answer)
{
    while (app_ranks_size() > 1 && m->next < item->index) {
        const int result = give_next(m);
        if (result != APP_EXIT_DONE || m->cut) return result;
    }
    m->next = item->index + 1;
    return m->give(m->user, item, answer);
}

int app_merge_add(app_merge *m, const datasets_item *item, const app_answer *answer)
{
    if (app_ranks_first()) {
        const int result = add_in_order(m, item, answer);
        m->broken = result != APP_EXIT_DONE;
        return result;
    }
    const int result = look_for_enough(m, false);
    if (result != APP_EXIT_DONE || atomic_load(&m->enough)) return result;
    return send_answer(m, item, answer);
}

/* What the other ranks have after this one's last image. */
static int give_rest(app_merge *m)
{
    for (int i = 1; i < app_ranks_size() && !m->cut;) {
        int result = fetch(m, i);
        if (result == APP_EXIT_DONE && m->peers[i].message != NULL) result = give_next(m);
        if (result != APP_EXIT_DONE) return result;
        if (m->peers[i].ended) i++;
    }
    return APP_EXIT_DONE;
}

static int compare_ends(const app_merge *m)
{
    for (int i = 1; i < app_ranks_size(); i++)
        if (m->peers[i].seen != app_ranks_seen()) {
            app_error("rank %d has not seen the same images as this one; did the data change, or "
                      "is it not the same everywhere?",
                      i);
            return APP_EXIT_MODEL;
        }
    return APP_EXIT_DONE;
}

/* Drops what is still on its way. */
static int await_end(app_merge *m, int from)
{
    int result = APP_EXIT_DONE;
    while (result == APP_EXIT_DONE && !m->peers[from].ended && !m->cut) {
        drop_answer(&m->peers[from]);
        result = fetch(m, from);
    }
    return result;
}

static int end_others(app_merge *m, int exit_status)
{
    static const char enough[] = "enough";
    int result = APP_EXIT_DONE;
    for (int i = 1; i < app_ranks_size() && result == APP_EXIT_DONE; i++)
        result = app_ranks_send(i, enough, sizeof enough);
    for (int i = 1; i < app_ranks_size() && result == APP_EXIT_DONE && !m->cut; i++)
        result = await_end(m, i);
    for (int i = 1; i < app_ranks_size(); i++)
        exit_status = worse(exit_status, m->peers[i].exit_status); /* its message told why */
    if (result == APP_EXIT_DONE && !m->cut) result = app_ranks_flush();
    return worse(exit_status, result);
}

int app_merge_finish(app_merge *m, int exit_status, app_times *times)
{
    if (app_ranks_size() == 1 || app_stop_asked()) return exit_status;
    if (!app_ranks_first()) return send_end(m, exit_status, times);
    /* Where this rank could read no further the others may have one image more. */
    if (!m->broken && (exit_status == APP_EXIT_DONE || exit_status == APP_EXIT_MODEL))
        exit_status = worse(exit_status, give_rest(m));
    if (app_stop_asked()) return exit_status;
    exit_status = end_others(m, exit_status);
    if (exit_status == APP_EXIT_DONE && !m->cut) exit_status = compare_ends(m);
    add_times(times, &m->others);
    return exit_status;
}

void app_merge_close(app_merge *m)
{
    for (int i = 0; i < app_ranks_size() && m->peers != NULL; i++) free(m->peers[i].message);
    free(m->peers);
    m->peers = NULL;
}
