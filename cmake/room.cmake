# room(NAME USES ...): the static library src/NAME (all .cpp below it).
# room_program(NAME FOLDER F USES ...): an executable of src/F.
function(room name)
  cmake_parse_arguments(R "" "" "USES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
  if(NOT sources)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE compile_options ${R_USES})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC compile_options ${R_USES})
  reuse_precompiled(${name})
endfunction()

function(room_program name)
  cmake_parse_arguments(R "" "FOLDER" "USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${R_FOLDER}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE compile_options ${R_USES})
  reuse_precompiled(${name})
endfunction()

# One precompiled header for the whole project, and Asio's own code that it makes every file refer
# to. All targets need the same flags to share it: definitions belong into compile.cmake.
file(WRITE ${CMAKE_BINARY_DIR}/precompiled_header.cpp "")
add_library(precompiled_header OBJECT ${CMAKE_BINARY_DIR}/precompiled_header.cpp)
target_link_libraries(precompiled_header PRIVATE compile_options Threads::Threads fmt::fmt Boost::headers)
target_precompile_headers(precompiled_header PRIVATE ${CMAKE_SOURCE_DIR}/src/precompiled.hpp)

add_library(precompiled STATIC ${CMAKE_SOURCE_DIR}/src/precompiled.cpp)
target_link_libraries(precompiled PUBLIC compile_options Threads::Threads fmt::fmt Boost::headers)

function(reuse_precompiled target)
  target_link_libraries(${target} PUBLIC precompiled)
  target_precompile_headers(${target} REUSE_FROM precompiled_header)
endfunction()
