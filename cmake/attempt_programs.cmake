# The programs that every run starts, several times over, are static: the dynamic linker's work on
# libstdc++, fmt and libcrypto cost more than all else that they do (docs/adr/0006-static-attempt-programs.md).
# The sanitizers' runtimes need the dynamic linker, so their builds keep it.

# The guard needs no library but the standard one, and no more than these sources; the precompiled
# header would bring Asio and fmt along.
add_executable(provisioner-guard
  ${CMAKE_SOURCE_DIR}/src/guard_main/main.cpp
  ${CMAKE_SOURCE_DIR}/src/runner/claim.cpp
  ${CMAKE_SOURCE_DIR}/src/runner/guard.cpp
  ${CMAKE_SOURCE_DIR}/src/runner/guard_line.cpp
  ${CMAKE_SOURCE_DIR}/src/runner/guard_plan.cpp
  ${CMAKE_SOURCE_DIR}/src/runner/process_set.cpp
  ${CMAKE_SOURCE_DIR}/src/runner/program_options.cpp
  ${CMAKE_SOURCE_DIR}/src/runner/trampoline.cpp)
target_link_libraries(provisioner-guard PRIVATE compile_options)
target_link_options(provisioner-guard PRIVATE -Wl,--gc-sections)

if(PROVISIONER_SANITIZE)
  room_program(provisioner-runner FOLDER runner_main USES runner)
  target_link_options(provisioner-runner PRIVATE -Wl,--as-needed -Wl,--gc-sections)
else()
  # Not -static: that brings crtbeginT.o, with which the first exception of a process sorts all of
  # its unwinding tables (4 ms in the runner) instead of using the linker's index.
  set(static_link -no-pie -static-libgcc -Wl,-Bstatic -Wl,--no-dynamic-linker)
  target_link_options(provisioner-guard PRIVATE ${static_link})

  find_library(SSL_ARCHIVE libssl.a REQUIRED)
  find_library(CRYPTO_ARCHIVE libcrypto.a REQUIRED)
  add_library(static_fmt STATIC ${CMAKE_SOURCE_DIR}/src/static_fmt.cpp)
  target_compile_options(static_fmt PRIVATE -ffunction-sections -fdata-sections)
  # By their files: the targets would bring the shared libraries along.
  add_executable(provisioner-runner ${CMAKE_SOURCE_DIR}/src/runner_main/main.cpp)
  target_link_libraries(provisioner-runner PRIVATE compile_options)
  foreach(archive runner http tofu model runtime schedule base precompiled static_fmt)
    target_link_libraries(provisioner-runner PRIVATE $<TARGET_FILE:${archive}>)
    add_dependencies(provisioner-runner ${archive})
  endforeach()
  target_link_libraries(provisioner-runner PRIVATE ${SSL_ARCHIVE} ${CRYPTO_ARCHIVE})
  target_link_options(provisioner-runner PRIVATE ${static_link} -Wl,--gc-sections)
endif()
