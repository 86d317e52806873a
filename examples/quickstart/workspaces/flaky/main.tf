resource "terraform_data" "moody" {
  # A new value at every plan: each deploy tries its luck.
  triggers_replace = [timestamp()]

  provisioner "local-exec" {
    command = "sh ${path.module}/every_other_time.sh"
  }
}
