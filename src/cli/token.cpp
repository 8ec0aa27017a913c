// gavel token: the files that say who may do what (gateway/auth.hpp reads them). A token is made
// here once and never printed again.

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/digest.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/discovery.hpp"
#include "cli/table.hpp"
#include "core/entry.hpp"

namespace gavel {
namespace fs = std::filesystem;

namespace {

struct NewOptions {
  std::string name;
  std::vector<std::string> roles;
};

constexpr std::array kGivenRoles = {Role::driver, Role::voter, Role::observer, Role::approver,
                                    Role::admin};

std::string join(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

std::vector<std::string> role_names() {
  std::vector<std::string> names;
  for (const auto role : kGivenRoles) names.emplace_back(to_string(role));
  return names;
}

bool is_plain_name(std::string_view name) {
  constexpr std::size_t kNameMax = 64;
  return !name.empty() && name.size() <= kNameMax && name.front() != '.' &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.' || c == '@';
         });
}

Result<std::string> random_token() {
  std::array<char, 32> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return fail(ErrorCode::unavailable, "the system gives no random bytes for a token");
  }
  return "gavel_" + to_hex({bytes.data(), bytes.size()});
}

Result<int> run_new(Context& context, const NewOptions& options) {
  if (!is_plain_name(options.name)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("\"{}\" is no name for a principal: use letters, digits, '-', '_', '.' "
                            "and '@'",
                            for_display(options.name, 80)));
  }
  auto roles = options.roles;
  if (roles.empty()) roles = {"driver"};
  ASSIGN_OR_RETURN(const auto state, context.state());
  const auto directory = state / "tokens";
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) {
    return fail(ErrorCode::permission_denied,
                fmt::format("cannot make {}: {}", directory.string(), error.message()));
  }
  ::chmod(directory.c_str(), 0700);
  const auto file = directory / (options.name + ".json");
  ASSIGN_OR_RETURN(const auto token, random_token());
  json::array role_list;
  for (const auto& role : roles) role_list.emplace_back(role);
  const json::object record{{"principal", options.name}, {"roles", role_list}, {"token", token}};
  auto written = write_text_file(file, pretty_json(record) + "\n", 0600, Replace::no);
  if (!written && written.error().code == ErrorCode::already_exists) {
    return fail(ErrorCode::already_exists,
                fmt::format("{} has a token already; remove {} first to make another", options.name,
                            file.string()));
  }
  if (!written) return std::unexpected(written.error());
  if (context.json()) {
    context.print_json(
        json::object{{"principal", options.name}, {"roles", role_list}, {"file", file.string()}});
    return kExitOk;
  }
  context.print(fmt::format("{} ({}): {}\n", options.name, join(roles), file.string()));
  return kExitOk;
}

Result<int> run_list(Context& context) {
  ASSIGN_OR_RETURN(const auto state, context.state());
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(state / "tokens", error)) {
    if (file.path().extension() == ".json") files.push_back(file.path());
  }
  std::ranges::sort(files);
  Table table({{.title = "PRINCIPAL", .shrink = Shrink::may},
               {.title = "ROLES", .shrink = Shrink::may},
               {.title = "MODE"},
               {.title = "FILE", .shrink = Shrink::may}});
  json::array list;
  for (const auto& file : files) {
    const auto record = read_token(file);
    struct stat info{};
    const bool known = ::stat(file.c_str(), &info) == 0;
    const auto mode = known ? fmt::format("{:04o}", info.st_mode & 07777) : "?";
    const std::string principal = record ? record->principal : "";
    const std::string roles = record ? join(record->roles) : record.error().message;
    table.add({{principal, Tone::strong},
               roles,
               {mode, mode == "0600" ? Tone::plain : Tone::bad},
               file.string()});
    json::array names;
    if (record) {
      for (const auto& role : record->roles) names.emplace_back(role);
    }
    list.push_back(json::object{{"principal", principal},
                                {"roles", std::move(names)},
                                {"mode", mode},
                                {"file", file.string()}});
  }
  if (context.json()) {
    context.print_json(json::object{{"tokens", std::move(list)}});
  } else if (table.empty()) {
    context.note("no tokens yet; gavel up makes the operator's and the agent's");
  } else {
    context.print(table.render(context.style(), context.columns()));
  }
  return kExitOk;
}

}  // namespace

Command token_command() {
  Command command("token", "make and list the tokens of people, agents and programs");
  auto options = std::make_shared<NewOptions>();
  Command make("new", "make a token file for a principal");
  make.argument("PRINCIPAL", options->name, "who it is for");
  make.option("--role", "ROLE", options->roles, "what it may do (driver); may be repeated")
      .choices = role_names();
  make.run = [options](Context& context) { return run_new(context, *options); };
  Command list("list", "list principals and roles; tokens are never shown");
  list.run = run_list;
  command.subcommands = {std::move(make), std::move(list)};
  return command;
}

}  // namespace gavel
