#include "app/migrate_copy.hpp"
#include "app/migrate_import.hpp"
#include "app/serve.hpp"
#include "cli/command_line.hpp"

int main(int argc, char** argv) {
  return provisioner::cli::run_command_line(argc, argv,
                                            {.serve = provisioner::serve,
                                             .release_leadership = provisioner::release_leadership,
                                             .migrate_copy = provisioner::migrate_copy,
                                             .migrate_import = provisioner::migrate_import});
}
