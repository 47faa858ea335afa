/* app_commands.h - one function per command of vitc, each in its own file. */
#ifndef VITC_APP_COMMANDS_H
#define VITC_APP_COMMANDS_H

#include "app_options.h"

int app_classify_run(const app_settings *settings);
int app_eval_run(const app_settings *settings);
int app_info_run(const app_settings *settings);
int app_bench_run(const app_settings *settings);
int app_preprocess_run(const app_settings *settings);
int app_convert_run(const app_settings *settings);
int app_quantize_run(const app_settings *settings);
int app_check_run(const app_settings *settings);
int app_train_run(const app_settings *settings);
int app_posemb_run(const app_settings *settings);

#endif
