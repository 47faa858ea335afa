/* app_posemb_compare.h - how alike the position embeddings of two models are. */
#ifndef VITC_APP_POSEMB_COMPARE_H
#define VITC_APP_POSEMB_COMPARE_H

#include "app_options.h"

/* vitc posemb compare: the two models are the operands after the first, or --model and the one
 * operand after the first. Returns the exit status. */
int app_posemb_compare(const app_settings *settings);

#endif
