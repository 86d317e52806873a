variable "seconds" {
  type        = number
  description = "How long each step takes."
}

resource "terraform_data" "network" {
  provisioner "local-exec" {
    command = "sleep ${var.seconds}"
  }
}

resource "terraform_data" "database" {
  input = terraform_data.network.id

  provisioner "local-exec" {
    command = "sleep ${var.seconds}"
  }
}

resource "terraform_data" "worker" {
  count = 3
  input = terraform_data.database.id

  provisioner "local-exec" {
    command = "sleep $((${var.seconds} * ${count.index + 1}))"
  }
}

resource "terraform_data" "entrance" {
  input = [for worker in terraform_data.worker : worker.id]

  provisioner "local-exec" {
    command = "sleep ${var.seconds}"
  }
}
