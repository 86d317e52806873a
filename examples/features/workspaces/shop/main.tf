resource "terraform_data" "shop" {
  input = "open"
}
