variable "greeting" {
  type        = string
  description = "What the beat says; change it in config.json and watch the update."
}

resource "terraform_data" "beat" {
  input = var.greeting

  provisioner "local-exec" {
    command = "echo \"$GREETING at $(date -u +%H:%M:%S)\""
    environment = {
      GREETING = var.greeting
    }
  }
}

output "beat" {
  value = terraform_data.beat.output
}
