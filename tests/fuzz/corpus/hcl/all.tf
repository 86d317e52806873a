terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
  backend "s3" {}
}
variable "deployment_mode" {}
module "m" {
  source = "./m" # comment
}
locals {
  a = "${f("${g("}")}")} $${x}"
  b = <<-EOT
    text ${x}
  EOT
  /* c */ d = [1, { e = (2) }]
}
