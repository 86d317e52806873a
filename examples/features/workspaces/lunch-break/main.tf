resource "terraform_data" "system" {
  input = "test"
}
