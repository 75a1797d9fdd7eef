# shellcheck shell=bash
# The images of a release. Sourced by the scripts that build them.

# each_image COMMAND: calls the command with name, Dockerfile and options of each image
each_image() {
  "$1" sluice-operator Dockerfile.operator
  "$1" sluice-server Dockerfile.server
  "$1" sluice-server-pyfunc Dockerfile.server --target pyfunc
  "$1" sluice-store Dockerfile.store
  "$1" sluice-trainer trainer/Dockerfile
}
