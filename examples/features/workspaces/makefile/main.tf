variable "colour" {
  type = string
}

resource "terraform_data" "house" {
  input = var.colour
}

output "colour" {
  value = terraform_data.house.output
}
