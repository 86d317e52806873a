resource "terraform_data" "database" {
  input = "empty"
}

output "state" {
  value = terraform_data.database.output
}
