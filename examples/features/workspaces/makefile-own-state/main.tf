terraform {
  backend "local" {}
}

resource "terraform_data" "house" {
  input = "of its own"
}
