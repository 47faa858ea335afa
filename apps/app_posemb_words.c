/* The numbers of a table of positions, and what they mean in words. */
#include <math.h>

#include "app_posemb.h"

vitc_json *app_posemb_structure_json(const patches_structure *s)
{
    vitc_json *o = vitc_json_object();
    const bool ok = o != NULL && vitc_json_set_number(o, "rows", s->rows) &&
                    vitc_json_set_number(o, "columns", s->columns) &&
                    vitc_json_set_number(o, "rest", s->rest) &&
                    vitc_json_set_number(o, "shift", s->shift) &&
                    vitc_json_set_number(o, "radial", s->radial) &&
                    vitc_json_set_number(o, "anisotropy", s->anisotropy) &&
                    vitc_json_set_number(o, "effective_rank", s->effective_rank);
    if (ok) return o;
    vitc_json_free(o);
    return NULL;
}

static void put_number(FILE *out, double number, bool share)
{
    if (fabs(number) < 1e-6) number = 0; /* never -0.0 */
    if (isnan(number))
        fprintf(out, "%9s", "-");
    else if (share)
        fprintf(out, "%7.1f %%", 100 * number);
    else
        fprintf(out, "%9.3f", number);
}

static void put_line(FILE *out, const char *name, double value, double chance, double limit,
                     bool share, const char *meaning)
{
    fprintf(out, "  %-15s", name);
    put_number(out, value, share);
    put_number(out, chance, share);
    put_number(out, limit, share);
    fprintf(out, "  %s\n", meaning);
}

/* ---- in words ---- */

/* Whether a number is that of a grid and not of any table with these rows. */
static bool is_beyond(double value, double limit)
{
    return value > limit;
}

static void put_grid_words(FILE *out, const patches_structure *s, const patches_structure *chance,
                           const patches_structure *limit, const patches_position *position)
{
    const bool rows = is_beyond(s->rows, limit->rows);
    const bool columns = is_beyond(s->columns, limit->columns);
    char text[256];
    if (rows && columns)
        snprintf(
            text, sizeof text,
            "The table tells rows and columns apart: together they are %.0f %% of what differs "
            "between patches, where chance gives %.0f %%.",
            100 * (s->rows + s->columns), 100 * (chance->rows + chance->columns));
    else if (rows || columns)
        snprintf(text, sizeof text, "The table tells %s apart, %s no more than chance does.",
                 rows ? "rows" : "columns", rows ? "columns" : "rows");
    else
        snprintf(text, sizeof text,
                 "Rows and columns are no more in the table than chance puts there: it has not "
                 "learned where patches are, or not from their row and column.");
    app_options_wrap(out, text, 0, 0);
    if (patches_position_has_axes(position->kind))
        app_options_wrap(
            out,
            "Made of one table for rows and one for columns, it can have nothing else: "
            "the rest is 0 by construction.",
            0, 0);
}

static void put_shift_words(FILE *out, const patches_structure *s, const patches_structure *limit)
{
    char text[320];
    if (!is_beyond(s->shift, limit->shift))
        snprintf(text, sizeof text,
                 "How alike two patches are does not follow from where one lies from the other.");
    else if (s->shift > 0.8)
        snprintf(text, sizeof text,
                 "How alike two patches are follows nearly always from where one lies from the "
                 "other, as with a fixed table of sines and cosines (96 %% on 8x8)%s.",
                 s->radial > 0.8 * s->shift ? ", and mostly from how far" : "");
    else
        snprintf(text, sizeof text,
                 "How alike two patches are follows in part (%.0f %%) from where one lies from the "
                 "other, %s.",
                 100 * s->shift,
                 s->radial > 0.8 * s->shift ? "mostly from how far" : "the direction counting too");
    app_options_wrap(out, text, 0, 0);
}

static void put_direction_words(FILE *out, const patches_structure *s,
                                const patches_structure *limit)
{
    if (isnan(s->anisotropy) || !is_beyond(fabs(s->anisotropy), limit->anisotropy)) return;
    app_options_wrap(out,
                     s->anisotropy > 0
                         ? "Neighbours in a row are more alike than neighbours in a column: it "
                           "tells rows apart more sharply."
                         : "Neighbours in a column are more alike than neighbours in a row: it "
                           "tells columns apart more sharply.",
                     0, 0);
}

void app_posemb_print_structure(FILE *out, const patches_structure *s,
                                const patches_structure *chance, const patches_structure *limit,
                                const patches_position *position)
{
    const size_t patches = (size_t)position->grid_height * position->grid_width;
    const size_t directions = patches - 1 < position->width ? patches - 1 : position->width;
    char meaning[64];
    if (isnan(s->rows)) {
        fputs("\nAll patches have the same numbers: the table says nothing of where a patch is.\n",
              out);
        return;
    }
    fprintf(out, "\n  %-15s%9s%9s%9s\n", "", "table", "chance", "limit");
    put_line(out, "rows", s->rows, chance->rows, limit->rows, true,
             "of the variance: differences between rows");
    put_line(out, "columns", s->columns, chance->columns, limit->columns, true,
             "and between columns");
    put_line(out, "rest", s->rest, chance->rest, NAN, true, "neither of them alone");
    put_line(out, "shift", s->shift, chance->shift, limit->shift, true,
             "of the similarity follows from the offset");
    put_line(out, "radial", s->radial, chance->radial, limit->radial, true,
             "and from its length alone");
    put_line(out, "anisotropy", s->anisotropy, chance->anisotropy, limit->anisotropy, false,
             "similarity along rows less along columns");
    snprintf(meaning, sizeof meaning, "directions used, of %zu", directions);
    put_line(out, "effective rank", s->effective_rank, NAN, NAN, false, meaning);
    fputs("\nSimilarity is the cosine of two patches' numbers less their mean. chance: the mean of "
          "the\nsame table with its patches shuffled; beyond limit are fewer than 1 in 20 of "
          "those.\n\n",
          out);
    put_grid_words(out, s, chance, limit, position);
    put_shift_words(out, s, limit);
    put_direction_words(out, s, limit);
}
