/* What the numbers come from. */
#include <math.h>
#include <time.h>

#include "app_charts.h"
#include "app_page.h"
#include "app_text.h"

/* ---- speed ---- */

static void put_speed(const app_page *p)
{
    const app_times *t = &p->e->times;
    if (!app_page_timed(p)) return;
    const app_charts_part parts[] = {{"finding", t->list},      {"reading", t->read},
                                     {"decoding", t->decode},   {"preprocessing", t->preprocess},
                                     {"computing", t->compute}, {"waiting", t->wait},
                                     {"delivering", t->deliver}};
    app_html_section(p->out, "speed", "Speed");
    app_html_put(p->out, "<p>");
    app_page_number(p, p->e->n - p->e->resumed);
    app_html_put(p->out,
                 " images in %.1f s: %.1f per second. %d image%s at once, each computed by %d "
                 "thread%s.%s</p>\n<h3>Where the time of all threads went</h3>\n",
                 t->wall, app_page_speed(p), t->lanes, t->lanes == 1 ? "" : "s",
                 t->threads_per_lane, t->threads_per_lane == 1 ? "" : "s",
                 p->e->resumed > 0 ? " The rows of the run that this one went on with are not in "
                                     "these numbers."
                                   : "");
    app_charts_parts(p->out, parts, sizeof parts / sizeof *parts);
    app_html_put(p->out, "</section>\n");
}

/* ---- the model ---- */

static void put_json(const app_page *p, const vitc_json *value);

static void put_json_members(const app_page *p, const vitc_json *object)
{
    app_html_put(p->out, "<dl class=\"facts\">\n");
    for (void *it = vitc_json_first(object); it != NULL; it = vitc_json_next(object, it)) {
        app_html_element(p->out, "dt", NULL, vitc_json_key(it));
        app_html_put(p->out, "<dd>");
        put_json(p, vitc_json_value(it));
        app_html_put(p->out, "</dd>\n");
    }
    app_html_put(p->out, "</dl>\n");
}

/* A card may say anything: objects as lists of facts, lists one below the other. */
static void put_json(const app_page *p, const vitc_json *value)
{
    if (vitc_json_is_object(value)) {
        put_json_members(p, value);
    } else if (vitc_json_is_array(value)) {
        for (size_t i = 0; i < vitc_json_size(value); i++) {
            app_html_put(p->out, "<div>");
            put_json(p, vitc_json_at(value, i));
            app_html_put(p->out, "</div>");
        }
    } else if (vitc_json_is_string(value)) {
        app_html_text(p->out, vitc_json_string(value, ""));
    } else if (vitc_json_is_number(value)) {
        app_html_put(p->out, "%.10g", vitc_json_number(value, NAN));
    } else if (vitc_json_is_bool(value)) {
        app_html_put(p->out, "%s", vitc_json_bool(value, false) ? "yes" : "no");
    }
}

static void put_model(const app_page *p)
{
    char text[512], number[32];
    const vit_config *c = p->info.config;
    app_html_section(p->out, "model", "Model");
    app_html_put(p->out, "<dl class=\"facts\">\n");
    app_html_fact(p->out, "from", p->e->model_path);
    app_html_fact(p->out, "SHA-256", p->e->model_hash);
    app_html_fact(p->out, "architecture", c->architecture[0] != 0 ? c->architecture : "not named");
    snprintf(text, sizeof text, "%s, stored as %s; %u layers, width %u, %u heads, patches of %u",
             app_text_number(number, sizeof number, p->info.parameters), p->info.weights_dtype,
             c->layers, c->width, c->heads, c->patch);
    app_html_fact(p->out, "parameters", text);
    snprintf(text, sizeof text, "%s (%s): %s", vit_precision_string(p->info.precision),
             p->info.precision_kernel, p->info.precision_reason);
    app_html_fact(p->out, "precision", text);
    patches_spec_describe(p->info.preprocess, text, sizeof text);
    app_html_fact(p->out, "preprocessing", text);
    snprintf(text, sizeof text, "%u", p->classes);
    app_html_fact(p->out, "classes", text);
    if (p->info.license != NULL) app_html_fact(p->out, "licence", p->info.license);
    app_html_put(p->out, "</dl>\n");
    if (p->card != NULL) {
        app_html_put(p->out, "<h3>Its card</h3>\n");
        put_json(p, p->card);
    }
    app_html_put(p->out, "</section>\n");
}

/* ---- the run ---- */

static void put_machine(const app_page *p)
{
    const vitc_log silent = {0};
    vit_runtime_info runtime;
    char text[256];
    if (vit_runtime_describe(&runtime, (int)p->e->settings->threads, &silent) != VITC_OK) return;
    app_html_fact(p->out, "processor", runtime.cpu);
    snprintf(text, sizeof text, "%s (%s); BLIS %s, configuration %s", runtime.kernel_row,
             runtime.kernel_reason, runtime.blis_version, runtime.blis_config);
    app_html_fact(p->out, "kernels", text);
    snprintf(text, sizeof text, "%d (%s)", runtime.threads, runtime.threads_reason);
    app_html_fact(p->out, "threads", text);
}

static void put_date(const app_page *p)
{
    char text[32];
    struct tm utc;
    const time_t now = time(NULL);
    if (gmtime_r(&now, &utc) != NULL && strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &utc) > 0)
        app_html_fact(p->out, "date", text);
}

static void put_run(const app_page *p)
{
    const app_evaluation *e = p->e;
    char text[128];
    app_html_section(p->out, "run", "Run");
    app_html_element(p->out, "pre", NULL, p->command);
    app_html_put(p->out, "\n<h3>Data</h3>\n<dl class=\"facts\">\n");
    app_html_fact(p->out, "from", e->data_text);
    app_html_fact(p->out, "kind", datasets_kind_string(e->kind));
    if (e->opening->part != DATASETS_ALL) {
        snprintf(text, sizeof text, "%sa fraction of %g, seed %llu",
                 e->opening->part == DATASETS_CHOSEN ? "" : "all but ", e->opening->fraction,
                 (unsigned long long)e->opening->seed);
        app_html_fact(p->out, "part", text);
    }
    app_html_fact(p->out, "fingerprint", e->survey.fingerprint);
    app_html_put(p->out, "</dl>\n<h3>Program and machine</h3>\n<dl class=\"facts\">\n");
    app_html_fact(p->out, "vitc", vitc_version());
    if (!e->settings->no_times) put_date(p);
    put_machine(p);
    app_html_put(p->out, "</dl>\n</section>\n");
}

void app_page_about(const app_page *p)
{
    put_speed(p);
    put_model(p);
    put_run(p);
}
