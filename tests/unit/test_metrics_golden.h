/* test_metrics_golden.h - the classifiers of tests/golden/metrics, for the tests of measures and of
 * calibration. */
#ifndef TEST_METRICS_GOLDEN_H
#define TEST_METRICS_GOLDEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets.h"
#include "vit.h"
#include "vitc_file.h"
#include "vitc_json.h"

static const char *const golden_names[] = {"softmax", "calibrated", "binary", "independent"};
enum { GOLDEN_COUNT = sizeof golden_names / sizeof golden_names[0] };

typedef struct golden {
    const char *name;
    vitc_json *document;
    const vitc_json *measured;
    uint32_t classes;
    size_t n;
    datasets_scoring scoring;
    uint32_t *labels;       /* n */
    float *logits, *scores; /* n * classes; scores as the models' own code makes them */
} golden;

static inline golden golden_open(const char *name)
{
    char path[256];
    golden g = {.name = name};
    unsigned char *text;
    size_t size;
    snprintf(path, sizeof path, VITC_GOLDEN_DIR "/metrics/%s.json", name);
    assert_int_equal(vitc_file_read(&text, &size, path, 1 << 20, NULL), VITC_OK);
    assert_int_equal(vitc_json_parse(&g.document, (char *)text, size, path, NULL), VITC_OK);
    free(text);
    const vitc_json *labels = vitc_json_get(g.document, "labels");
    const vitc_json *logits = vitc_json_get(g.document, "logits");
    g.measured = vitc_json_get(g.document, "measured");
    g.classes = (uint32_t)vitc_json_integer(vitc_json_get(g.document, "classes"), 0);
    g.n = vitc_json_size(labels);
    g.scoring.independent = vitc_json_bool(vitc_json_get(g.document, "independent"), false);
    g.scoring.temperature = vitc_json_number(vitc_json_get(g.document, "temperature"), 0);
    assert_true(g.n >= 100 && g.classes >= 2 && vitc_json_size(logits) == g.n);
    g.labels = calloc(g.n, sizeof *g.labels);
    g.logits = calloc(g.n * g.classes, sizeof *g.logits);
    g.scores = calloc(g.n * g.classes, sizeof *g.scores);
    assert_true(g.labels != NULL && g.logits != NULL && g.scores != NULL);
    const vit_config config = {.classes = g.classes,
                               .scores =
                                   g.scoring.independent ? VIT_SCORES_SIGMOID : VIT_SCORES_SOFTMAX,
                               .temperature = (float)g.scoring.temperature};
    for (size_t i = 0; i < g.n; i++) {
        const vitc_json *row = vitc_json_at(logits, i);
        assert_int_equal(vitc_json_size(row), g.classes);
        g.labels[i] = (uint32_t)vitc_json_integer(vitc_json_at(labels, i), -1);
        for (uint32_t k = 0; k < g.classes; k++)
            g.logits[i * g.classes + k] = (float)vitc_json_number(vitc_json_at(row, k), NAN);
        vit_scores_compute(&config, g.scores + i * g.classes, g.logits + i * g.classes);
    }
    return g;
}

static inline void golden_close(golden *g)
{
    vitc_json_free(g->document);
    free(g->labels);
    free(g->logits);
    free(g->scores);
}

static inline datasets_answer golden_answer(const golden *g, size_t i)
{
    return datasets_answer_make(g->labels[i], g->logits + i * g->classes,
                                g->scores + i * g->classes, g->classes, &g->scoring);
}

/* Within `tolerance` of what was measured under `key`. */
static inline void golden_check(const golden *g, const char *key, double found, double tolerance)
{
    const double expected = vitc_json_number(vitc_json_get(g->measured, key), NAN);
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%s: %s is %.12g, expected %.12g", g->name, key, found, expected);
}

#endif
