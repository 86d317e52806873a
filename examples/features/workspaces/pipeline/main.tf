resource "terraform_data" "data" {
  input = "imported"
}
