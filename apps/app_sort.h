/* app_sort.h - --sort-into: images in one folder per predicted label, as links or copies. */
#ifndef VITC_APP_SORT_H
#define VITC_APP_SORT_H

#include "app_inputs.h"
#include "app_options.h"
#include "datasets.h"
#include "vit.h"

/* Labels become names of folders, with _ for what no name may hold; images that are uncertain go to
 * "uncertain". A file keeps its name; where another one has it already it becomes "name (2).jpg",
 * and so on: nothing is ever overwritten. A link is absolute. What is no file of its own, such as a
 * member of a tar file, is copied; pixels are written as PNG. */
typedef struct app_sort {
    const app_settings *settings;
    const vit_model *model;
    uint32_t classes;
    char **folders;  /* of each label, then of what is uncertain; NULL: not used yet */
    char *temporary; /* what a copy is until it is complete */
    uint64_t files, used;
} app_sort;

/* Makes the folder that --sort-into names, and refuses one that lies in a folder which is read. */
int app_sort_prepare(const app_settings *settings, const app_inputs *inputs);

int app_sort_open(app_sort *sort, const app_settings *settings, const vit_model *model);
/* Puts an image, with its bytes or pixels, where it belongs. APP_EXIT_DONE, or another exit status
 * after a message. */
int app_sort_image(app_sort *sort, const datasets_item *item, uint32_t label, bool uncertain);
/* Says what was done, but for --quiet. */
void app_sort_close(app_sort *sort);

#endif
