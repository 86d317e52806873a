variable "deployment_mode" {
  type        = string
  description = "Set by the mode whose schedule fired: busy or quiet."

  validation {
    condition     = contains(["busy", "quiet"], var.deployment_mode)
    error_message = "deployment_mode must be busy or quiet."
  }
}

locals {
  desks = var.deployment_mode == "busy" ? 5 : 2
}

resource "terraform_data" "desk" {
  count = local.desks
  input = "desk ${count.index + 1}"
}

output "desks" {
  value = local.desks
}
