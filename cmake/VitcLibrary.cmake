# libvitc, shared and static, from the folders' objects.
get_property(VITC_OBJECTS GLOBAL PROPERTY VITC_OBJECTS)
set(VITC_LINKS PNG::PNG JPEG::JPEG PkgConfig::WEBP GIF::GIF PkgConfig::JANSSON
    OpenMP::OpenMP_C Threads::Threads ${BLIS_LIBRARY} m)
foreach(kind STATIC SHARED)
    string(TOLOWER vitc_${kind} target)
    add_library(${target} ${kind})
    foreach(objects IN LISTS VITC_OBJECTS)
        target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
        target_include_directories(${target} PUBLIC
            $<BUILD_INTERFACE:$<TARGET_PROPERTY:${objects},INTERFACE_INCLUDE_DIRECTORIES>>)
    endforeach()
    set_target_properties(${target} PROPERTIES OUTPUT_NAME vitc LINKER_LANGUAGE C)
    target_link_libraries(${target} PRIVATE vitc_flags ${VITC_LINKS})
endforeach()
set_target_properties(vitc_shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0)
