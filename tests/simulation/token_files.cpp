#include "token_files.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <fstream>
#include <string>

#include "base/assert.hpp"
#include "base/json.hpp"
#include "door.hpp"

namespace gavel::simulation {
namespace {

void write_file(const std::filesystem::path& directory, const std::string& name,
                std::vector<Role> roles) {
  const Caller caller{Principal{name}, roles};
  json::array listed;
  for (const auto role : roles) listed.emplace_back(to_string(role));
  const auto path = directory / fmt::format("{}-{}.json", name, roles.size());
  std::ofstream(path) << write_json(
      json::object{{"principal", name}, {"roles", std::move(listed)}, {"token", token_of(caller)}});
  std::filesystem::permissions(
      path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

}  // namespace

TokenFiles::TokenFiles(std::size_t agents) {
  std::string pattern = (std::filesystem::temp_directory_path() / "gavel-sim-XXXXXX").string();
  ASSERT(mkdtemp(pattern.data()) != nullptr);
  directory_ = pattern;
  for (std::size_t i = 0; i < agents; ++i) {
    write_file(directory_, fmt::format("agent{}", i), {Role::driver});
    write_file(directory_, fmt::format("agent{}", i), {Role::driver, Role::approver});
  }
  write_file(directory_, "successor", {Role::driver});
  for (const char* person : {"ann", "ben"}) write_file(directory_, person, {Role::approver});
  write_file(directory_, "root", {Role::admin});
  write_file(directory_, "watchdog", {Role::observer});
}

TokenFiles::~TokenFiles() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

}  // namespace gavel::simulation
