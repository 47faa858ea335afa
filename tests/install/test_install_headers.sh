#!/bin/sh
# Every public header compiles alone, twice in one file, as C11 and as C++, without a warning; and a
# C++ program links and runs.
. "$(dirname "$0")/install_steps.sh"
fresh_work

flags=$($PKG_CONFIG --cflags vitc)
headers=0
for header in "$PREFIX"/include/vitc/*.h; do
    name=$(basename "$header")
    printf '#include <vitc/%s>\n#include <vitc/%s>\n' "$name" "$name" >"$name.c"
    printf 'int nothing_%s;\n' "${name%.h}" >>"$name.c"
    cp "$name.c" "$name.cpp"
    eval "$CC -std=c11 $strict -fsyntax-only $flags '$name.c'" || fail "$name as C11"
    for standard in c++11 c++20; do
        eval "$CXX -std=$standard $strict -Wold-style-cast -fsyntax-only $flags '$name.cpp'" ||
            fail "$name as $standard"
    done
    headers=$((headers + 1))
done
[ $headers -ge 5 ] || fail "only $headers headers"

cat >program.cpp <<'END'
#include <cstdio>
#include <cstring>
#include <vitc/vitc.h>

int main()
{
    vit_config config;
    if (vit_config_named(&config, "vit-b16", nullptr) != VITC_OK) return 1;
    std::printf("%s %llu\n", vitc_version(),
                static_cast<unsigned long long>(vit_config_parameters(&config)));
    return std::strcmp(vitc_version(), VITC_VERSION_STRING) != 0;
}
END
eval "$CXX -std=c++11 $strict -o program program.cpp $($PKG_CONFIG --cflags --libs vitc)" ||
    fail "C++ does not link"
./program >out.txt || fail "the C++ program failed"
expect_line ' 86567656$' out.txt # parameters of ViT-B/16 with 1000 classes
