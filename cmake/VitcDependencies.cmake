# Everything vitc links. README's commands install these with apt; see docs/building.md.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)
find_package(PNG REQUIRED)
find_package(ZLIB REQUIRED) # libpng's own
find_package(JPEG REQUIRED)
pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp libwebpdemux)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.13)
find_package(GIF REQUIRED)
find_path(STB_INCLUDE_DIR stb_image.h PATH_SUFFIXES stb REQUIRED)
find_path(BLIS_INCLUDE_DIR blis.h PATH_SUFFIXES blis REQUIRED)
find_library(BLIS_LIBRARY blis REQUIRED)
mark_as_advanced(STB_INCLUDE_DIR BLIS_INCLUDE_DIR BLIS_LIBRARY)
