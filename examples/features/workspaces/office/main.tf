variable "deployment_mode" {
  type        = string
  description = "The mode whose schedule fired, or that a person named."
}

resource "terraform_data" "desk" {
  count = { busy = 5, quiet = 2 }[var.deployment_mode]
  input = "desk ${count.index + 1}"
}

output "desks" {
  value = length(terraform_data.desk)
}
