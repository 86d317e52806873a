# How every target is compiled: warnings are errors, one precompiled header for all, ccache, lld.
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
endif()

add_library(compile_options INTERFACE)
target_compile_options(compile_options INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wimplicit-fallthrough -Wno-missing-field-initializers
  # Precompiled headers must not carry a time stamp, or ccache never hits.
  "SHELL:-Xclang -fno-pch-timestamp"
  -fvisibility-inlines-hidden -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
target_compile_definitions(compile_options INTERFACE
  BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
  BOOST_ASIO_DISABLE_BOOST_COROUTINE
  # What the libraries' own targets define. It stands here so that all targets can share one
  # precompiled header; the shared libraries were built with the same.
  FMT_SHARED PROVISIONER_VERSION="${PROJECT_VERSION}" USE_OS_TZDB=1 ONLY_C_LOCALE=1 HAS_STRING_VIEW=1 TOML_HEADER_ONLY=0 TOML_SHARED_LIB=1)
target_include_directories(compile_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_link_options(compile_options INTERFACE -fuse-ld=lld-19)

if(PROVISIONER_SANITIZE)
  target_compile_options(compile_options INTERFACE
    -fsanitize=${PROVISIONER_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(compile_options INTERFACE -fsanitize=${PROVISIONER_SANITIZE})
endif()
if(PROVISIONER_FUZZ)
  # Coverage feedback in every room; the targets themselves link libFuzzer's main.
  target_compile_options(compile_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
