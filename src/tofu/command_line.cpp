#include "tofu/command_line.hpp"

namespace provisioner::tofu {

Arguments init_arguments(const InitOptions& options) {
  Arguments arguments = {"init", "-input=false", "-no-color"};
  if (options.own_backend) arguments.emplace_back("-reconfigure");
  if (options.upgrade) arguments.emplace_back("-upgrade");
  return arguments;
}

Arguments plan_arguments(const PlanOptions& options) {
  Arguments arguments = {"plan", "-json", "-input=false"};
  if (options.destroy) arguments.emplace_back("-destroy");
  if (!options.var_file.empty()) arguments.push_back("-var-file=" + options.var_file);
  arguments.push_back("-out=" + options.plan_file);
  return arguments;
}

Arguments apply_arguments(const std::string& plan_file) {
  return {"apply", "-json", "-input=false", plan_file};
}

Arguments output_arguments() { return {"output", "-json"}; }

Arguments state_pull_arguments() { return {"state", "pull"}; }

Arguments force_unlock_arguments(const std::string& lock_id) {
  return {"force-unlock", "-force", lock_id};
}

Arguments version_arguments() { return {"version", "-json"}; }

}  // namespace provisioner::tofu
