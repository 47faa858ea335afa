# vitc_add_objects(<folder> [APART] SOURCES ... [USES <lower folder> ...] [INCLUDES ...] [LINKS ...])
#
# One OBJECT library per folder, a part of libvitc unless it stands APART. Its include path is its own
# folder plus those it USES, so an include that breaks the dependency rule of docs/architecture.md
# does not compile. Headers are included by bare file name (names are unique in the project).
add_library(vitc_flags INTERFACE)
target_compile_options(vitc_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
    -Wpointer-arith -Wundef -fno-math-errno -ffp-contract=off
    $<$<BOOL:${VITC_WERROR}>:-Werror>)
if(VITC_SANITIZE)
    target_compile_options(vitc_flags INTERFACE -fsanitize=${VITC_SANITIZE} -fno-omit-frame-pointer
                           -fno-sanitize-recover=all -g)
    target_link_options(vitc_flags INTERFACE -fsanitize=${VITC_SANITIZE})
endif()
if(VITC_FUZZ)
    # libFuzzer looks for new paths through every object, and finds faults by the sanitizers.
    if(NOT CMAKE_C_COMPILER_ID MATCHES Clang OR NOT VITC_SANITIZE MATCHES address)
        message(FATAL_ERROR "VITC_FUZZ needs clang and VITC_SANITIZE=address,undefined: "
            "use the preset asan.")
    endif()
    # Its counters keep loops with `omp simd` from being vectorized, which clang warns of.
    target_compile_options(vitc_flags INTERFACE -fsanitize=fuzzer-no-link -Wno-pass-failed)
endif()
include(VitcCoverage)

function(vitc_add_objects folder)
    cmake_parse_arguments(ARG "APART" "" "SOURCES;USES;INCLUDES;LINKS" ${ARGN})
    add_library(${folder}_objects OBJECT ${ARG_SOURCES})
    target_link_libraries(${folder}_objects PRIVATE vitc_flags ${ARG_LINKS})
    target_include_directories(${folder}_objects PUBLIC ${CMAKE_CURRENT_SOURCE_DIR} ${ARG_INCLUDES})
    target_compile_definitions(${folder}_objects PRIVATE _GNU_SOURCE)
    foreach(lower IN LISTS ARG_USES)
        target_include_directories(${folder}_objects PUBLIC
            $<TARGET_PROPERTY:${lower}_objects,INTERFACE_INCLUDE_DIRECTORIES>)
    endforeach()
    if(NOT ARG_APART)
        set_property(GLOBAL APPEND PROPERTY VITC_OBJECTS ${folder}_objects)
    endif()
endfunction()
