// What the system says of this process, for its metrics. 0 where it says nothing.
#pragma once

namespace provisioner {

double processor_seconds();  // user and system, of all threads
double resident_bytes();
double open_files();
double most_files();

}  // namespace provisioner
