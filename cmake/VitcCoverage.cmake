# -DVITC_COVERAGE=ON (preset `coverage`): gcov counters everywhere, and the target `coverage`, which
# runs the tests and prints line and branch coverage with gcovr or lcov, whichever is installed.
option(VITC_COVERAGE "Count executed lines with gcov" OFF)
if(VITC_COVERAGE)
    target_compile_options(vitc_flags INTERFACE --coverage -fprofile-update=atomic)
    target_link_options(vitc_flags INTERFACE --coverage)

    find_program(GCOVR gcovr)
    find_program(LCOV lcov)
    mark_as_advanced(GCOVR LCOV)
    if(GCOVR)
        set(report ${GCOVR} --root ${PROJECT_SOURCE_DIR} --exclude tests/ --print-summary
            ${PROJECT_BINARY_DIR})
    elseif(LCOV)
        set(report ${LCOV} --capture --quiet --rc lcov_branch_coverage=1
            --directory ${PROJECT_BINARY_DIR} --output-file coverage.info
            COMMAND ${LCOV} --remove coverage.info "/usr/*" "${PROJECT_SOURCE_DIR}/tests/*" --quiet
            --rc lcov_branch_coverage=1 --output-file coverage.info
            COMMAND ${LCOV} --list coverage.info --rc lcov_branch_coverage=1)
    else()
        set(report ${CMAKE_COMMAND} -E echo "Install gcovr or lcov for a summary"
            COMMAND ${CMAKE_COMMAND} -E false)
    endif()
    add_custom_target(coverage
        COMMAND ${CMAKE_CTEST_COMMAND} --output-on-failure --no-tests=error
        COMMAND ${report}
        WORKING_DIRECTORY ${PROJECT_BINARY_DIR} USES_TERMINAL VERBATIM)
endif()
