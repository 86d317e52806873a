# Everything comes from Debian 12 (`make deps` installs it).
find_package(Threads REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(date REQUIRED)  # its target carries USE_OS_TZDB=1; without it zones are misread silently
find_package(SQLite3 3.40 REQUIRED)
find_package(PostgreSQL 15 REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(sodium_pc REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(systemd_pc REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(tomlplusplus_pc REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(crypto_pc REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(ssl_pc REQUIRED IMPORTED_TARGET libssl)
# Its own CMake file also wants the web server and the client of the parts that are not used.
pkg_check_modules(prometheus_pc REQUIRED IMPORTED_TARGET prometheus-cpp-core)

add_library(sodium ALIAS PkgConfig::sodium_pc)
add_library(systemd ALIAS PkgConfig::systemd_pc)
add_library(crypto ALIAS PkgConfig::crypto_pc)
add_library(ssl ALIAS PkgConfig::ssl_pc)
add_library(prometheus ALIAS PkgConfig::prometheus_pc)
add_library(tomlplusplus::tomlplusplus ALIAS PkgConfig::tomlplusplus_pc)
