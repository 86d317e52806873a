resource "terraform_data" "registry" {
  input = "registry.example.org"
}

output "address" {
  value = terraform_data.registry.output
}
