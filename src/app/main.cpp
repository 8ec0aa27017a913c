#include "app/daemon.hpp"

int main(int argc, char** argv) {
  gavel::CliHooks hooks;
  hooks.up = &gavel::run_daemon;
  hooks.version = gavel::kVersion;
  return gavel::run_cli(argc, argv, hooks);
}
