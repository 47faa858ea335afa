# libvitc, shared and static, from the folders' objects; and everything `cmake --install` puts down.
#
#   include/vitc/   vitc.h and the headers that it includes, flat
#   lib/            libvitc.so, libvitc.a, pkgconfig/vitc.pc, cmake/vitc/ (vitc::vitc, vitc::vitc_static)
#
# The installed tree may be moved: nothing in it holds its own path.
include(CMakePackageConfigHelpers)

get_property(VITC_OBJECTS GLOBAL PROPERTY VITC_OBJECTS)
set(VITC_LINKS PNG::PNG ZLIB::ZLIB JPEG::JPEG PkgConfig::WEBP GIF::GIF PkgConfig::JANSSON
    LibArchive::LibArchive
    OpenMP::OpenMP_C Threads::Threads ${BLIS_LIBRARY} m)
# The same as names, for those who link the installed static library: vitc.pc and the CMake package
# are both made from this list.
set(VITC_STATIC_NEEDS png z jpeg webp gif jansson archive blis m)

set(VITC_PUBLIC_HEADERS
    ${PROJECT_SOURCE_DIR}/vit/vitc.h
    ${PROJECT_SOURCE_DIR}/base/vitc_base.h
    ${PROJECT_SOURCE_DIR}/imgio/imgio.h
    ${PROJECT_SOURCE_DIR}/patches/patches.h
    ${PROJECT_SOURCE_DIR}/datasets/datasets.h
    ${PROJECT_SOURCE_DIR}/vit/vit.h
    ${PROJECT_SOURCE_DIR}/vit/vit_train.h)

foreach(kind STATIC SHARED)
    string(TOLOWER vitc_${kind} target)
    add_library(${target} ${kind})
    foreach(objects IN LISTS VITC_OBJECTS)
        target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
        target_include_directories(${target} PUBLIC
            $<BUILD_INTERFACE:$<TARGET_PROPERTY:${objects},INTERFACE_INCLUDE_DIRECTORIES>>)
    endforeach()
    target_include_directories(${target} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    set_target_properties(${target} PROPERTIES OUTPUT_NAME vitc LINKER_LANGUAGE C)
    foreach(library IN LISTS VITC_LINKS ITEMS vitc_flags)
        target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:${library}>)
    endforeach()
endforeach()

# Before 1.0 any minor version may change the ABI, so the soname carries it.
set_target_properties(vitc_shared PROPERTIES
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
    EXPORT_NAME vitc)
target_link_options(vitc_shared PRIVATE
    LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/vitc.map)
set_target_properties(vitc_shared PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/vitc.map)
# A symbol that no library provides fails here and not in the embedder's link. The sanitizers'
# own symbols come from the program.
if(NOT VITC_SANITIZE)
    target_link_options(vitc_shared PRIVATE LINKER:--no-undefined)
endif()

# ---- installation ----

install(TARGETS vitc_shared EXPORT vitc-shared
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS vitc_static EXPORT vitc-static
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${VITC_PUBLIC_HEADERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/vitc)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/NOTICE
    DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(VITC_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/vitc)
install(EXPORT vitc-shared NAMESPACE vitc:: DESTINATION ${VITC_PACKAGE_DIR}
    FILE vitc-shared-targets.cmake)
install(EXPORT vitc-static NAMESPACE vitc:: DESTINATION ${VITC_PACKAGE_DIR}
    FILE vitc-static-targets.cmake)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/vitc-config.cmake.in
    ${PROJECT_BINARY_DIR}/vitc-config.cmake INSTALL_DESTINATION ${VITC_PACKAGE_DIR}
    NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/vitc-config-version.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/vitc-config.cmake
    ${PROJECT_BINARY_DIR}/vitc-config-version.cmake DESTINATION ${VITC_PACKAGE_DIR})

set(VITC_PC_DIR ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH VITC_PC_TO_PREFIX ${VITC_PC_DIR} ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH VITC_PC_LIBDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH VITC_PC_INCLUDEDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
string(REGEX REPLACE "/$" "" VITC_PC_TO_PREFIX ${VITC_PC_TO_PREFIX})
list(TRANSFORM VITC_STATIC_NEEDS PREPEND -l OUTPUT_VARIABLE VITC_PC_LIBS_PRIVATE)
list(JOIN VITC_PC_LIBS_PRIVATE " " VITC_PC_LIBS_PRIVATE)
configure_file(${PROJECT_SOURCE_DIR}/cmake/vitc.pc.in ${PROJECT_BINARY_DIR}/vitc.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/vitc.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
