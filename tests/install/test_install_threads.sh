#!/bin/sh
# One model of the installed library used by many threads at once.
. "$(dirname "$0")/install_steps.sh"
fresh_work

build_with_pkg_config ./many_threads "$ROOT/tests/install/many_threads.c" shared
./many_threads "$MODEL" "$PHOTO" "$ROOT"/tests/golden/photos/*.png
