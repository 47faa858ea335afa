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
                    vitc_json_set_number(o, "row_neighbours", s->row_neighbours) &&
                    vitc_json_set_number(o, "column_neighbours", s->column_neighbours) &&
                    vitc_json_set_number(o, "anisotropy", s->anisotropy) &&
                    vitc_json_set_number(o, "effective_rank", s->effective_rank) &&
                    vitc_json_set_number(o, "common", s->common);
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

/* The most directions that a table of this kind and size can have. */
static size_t most_directions(const patches_position *position)
{
    const size_t height = position->grid_height, width = position->grid_width;
    const size_t depth = position->width, others = height * width - 1;
    if (!patches_position_is_separable(position->kind)) return others < depth ? others : depth;
    const size_t part = position->kind == PATCHES_POSITION_FACTORIZED ? depth : depth / 2;
    const size_t rows = height - 1 < part ? height - 1 : part;
    const size_t columns = width - 1 < part ? width - 1 : part;
    return rows + columns < depth ? rows + columns : depth;
}

/* ---- in words ---- */

/* What chance says of a number. */
typedef enum verdict {
    WITHOUT, /* no order of the patches changes it */
    CHANCE,
    TIE, /* as high as chance comes, which so few rows or columns have too many best orders for */
    BEYOND
} verdict;

static verdict judge(double value, double limit)
{
    const double rounding = 1e-9; /* of sums in another order */
    if (isnan(value) || isnan(limit)) return WITHOUT;
    return value > limit + rounding ? BEYOND : value < limit - rounding ? CHANCE : TIE;
}

/* Whether a number is that of a grid and not of any table with these rows. */
static bool is_beyond(double value, double limit)
{
    return judge(value, limit) == BEYOND;
}

static void put_share_words(FILE *out, const patches_structure *s, const patches_structure *chance,
                            const patches_structure *limit)
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
}

static void put_order(FILE *out, verdict v, const char *lines)
{
    static const char *const words[] = {
        [CHANCE] = "alike no more than chance makes them: the table does not tell which lie near "
                   "each other.",
        [TIE] = "as alike as in any order, but they are so few that chance comes to that too.",
        [BEYOND] = "more alike than in other orders: the table tells which lie near each other."};
    char text[256];
    if (v == WITHOUT) return;
    snprintf(text, sizeof text, "Neighbouring %s are %s", lines, words[v]);
    app_options_wrap(out, text, 0, 0);
}

/* Where rows and columns are all there is, what is left to ask is whether they lie in order. */
static void put_order_words(FILE *out, const patches_structure *s, const patches_structure *limit)
{
    const verdict rows = judge(s->row_neighbours, limit->row_neighbours);
    const verdict columns = judge(s->column_neighbours, limit->column_neighbours);
    if (rows == columns) {
        put_order(out, rows, "rows and columns");
        return;
    }
    put_order(out, rows, "rows");
    put_order(out, columns, "columns");
}

static void put_grid_words(FILE *out, const patches_structure *s, const patches_structure *chance,
                           const patches_structure *limit, const patches_position *position)
{
    const bool one_row = position->grid_height == 1;
    char text[160];
    if (!isnan(limit->rows) && !isnan(limit->columns)) {
        put_share_words(out, s, chance, limit);
        return;
    }
    if (patches_position_is_separable(position->kind))
        app_options_wrap(out,
                         "Made of a part for rows and one for columns, the table can have nothing "
                         "else, whatever its numbers: the shares of both are no sign of learning.",
                         0, 0);
    else if (one_row || position->grid_width == 1) {
        snprintf(text, sizeof text,
                 "In a grid of one %s, %s are all that differs, whatever the numbers.",
                 one_row ? "row" : "column", one_row ? "columns" : "rows");
        app_options_wrap(out, text, 0, 0);
    }
    put_order_words(out, s, limit);
}

static void put_shift_words(FILE *out, const patches_structure *s, const patches_structure *limit,
                            const patches_position *position)
{
    char text[320];
    const verdict shift = judge(s->shift, limit->shift);
    if (shift == WITHOUT || shift == TIE) return;
    if (shift == CHANCE)
        snprintf(text, sizeof text,
                 patches_position_is_separable(position->kind)
                     ? "How alike two patches are follows from where one lies from the other no "
                       "more than with the rows, and the columns, in any other order."
                     : "How alike two patches are does not follow from where one lies from the "
                       "other.");
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
    if (!is_beyond(fabs(s->anisotropy), limit->anisotropy)) return;
    app_options_wrap(out,
                     s->anisotropy > 0
                         ? "Neighbours in a row are more alike than neighbours in a column: it "
                           "tells rows apart more sharply."
                         : "Neighbours in a column are more alike than neighbours in a row: it "
                           "tells columns apart more sharply.",
                     0, 0);
}

static void put_common_words(FILE *out, const patches_structure *s)
{
    if (s->common > 0.8)
        app_options_wrap(out,
                         "The numbers are mostly a common offset, beside which the maps hardly "
                         "show what differs; --centred shows the rest.",
                         0, 0);
}

void app_posemb_print_structure(FILE *out, const patches_structure *s,
                                const patches_structure *chance, const patches_structure *limit,
                                const patches_position *position)
{
    const bool separable = patches_position_is_separable(position->kind);
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
    put_line(out, "next rows", s->row_neighbours, chance->row_neighbours, limit->row_neighbours,
             false, "similarity of a row and the next");
    put_line(out, "next columns", s->column_neighbours, chance->column_neighbours,
             limit->column_neighbours, false, "and of a column and the next");
    put_line(out, "shift", s->shift, chance->shift, limit->shift, true,
             "of the similarity follows from the offset");
    put_line(out, "radial", s->radial, chance->radial, limit->radial, true,
             "and from its length alone");
    put_line(out, "anisotropy", s->anisotropy, chance->anisotropy, limit->anisotropy, false,
             "similarity along rows less along columns");
    snprintf(meaning, sizeof meaning, "directions used, of %zu", most_directions(position));
    put_line(out, "effective rank", s->effective_rank, NAN, NAN, false, meaning);
    put_line(out, "common", s->common, NAN, NAN, true, "of the squares: the mean of all patches");
    fputc('\n', out);
    app_options_wrap(out,
                     separable
                         ? "Similarity is the cosine of two patches' numbers less their mean. "
                           "chance: the mean of the same table with its rows and its columns "
                           "shuffled; beyond limit are fewer than 1 in 20 of those."
                         : "Similarity is the cosine of two patches' numbers less their mean. "
                           "chance: the mean of the same table with its patches shuffled; beyond "
                           "limit are fewer than 1 in 20 of those.",
                     0, 0);
    fputc('\n', out);
    put_grid_words(out, s, chance, limit, position);
    put_shift_words(out, s, limit, position);
    put_direction_words(out, s, limit);
    put_common_words(out, s);
}

/* ---- many blocks ---- */

void app_posemb_print_blocks_heading(FILE *out)
{
    fprintf(out, "\n  %-6s%9s%9s%9s%9s%9s%9s%9s%9s\n", "block", "rows", "columns", "next r.",
            "next c.", "shift", "radial", "rank", "common");
}

/* A star where a number is beyond its limit. */
static void put_marked(FILE *out, double value, double limit, bool share)
{
    char text[24] = "- ";
    if (fabs(value) < 1e-6) value = 0;
    if (!isnan(value))
        snprintf(text, sizeof text, share ? "%.1f %%%s" : "%.3f%s", share ? 100 * value : value,
                 is_beyond(value, limit) ? "*" : " ");
    fprintf(out, "%9s", text);
}

void app_posemb_print_block(FILE *out, uint32_t layer, const patches_structure *s,
                            const patches_structure *limit)
{
    fprintf(out, "  %-6u", layer);
    put_marked(out, s->rows, limit->rows, true);
    put_marked(out, s->columns, limit->columns, true);
    put_marked(out, s->row_neighbours, limit->row_neighbours, false);
    put_marked(out, s->column_neighbours, limit->column_neighbours, false);
    put_marked(out, s->shift, limit->shift, true);
    put_marked(out, s->radial, limit->radial, true);
    put_number(out, s->effective_rank, false);
    put_number(out, s->common, true);
    fputc('\n', out);
}

void app_posemb_print_blocks_meaning(FILE *out)
{
    fputc('\n', out);
    app_options_wrap(out,
                     "* beyond the limit of chance. --layer N says what the numbers of a block "
                     "mean, and what chance gives.",
                     0, 0);
}
