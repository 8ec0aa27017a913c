#pragma once
// The content of a policy file, checked against the option table: JSON in which every option that
// has a default is present, durations are milliseconds, windows are [from, to) minutes, and nothing
// is there that the table does not know. What is wrong is reported and left out.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "policy/options.hpp"
#include "policy/parse.hpp"
#include "policy/yaml_tree.hpp"

namespace gavel {

// "30s" in milliseconds; nothing where it is no duration.
std::optional<std::int64_t> parse_duration(std::string_view text);
// And back: in the largest unit that is exact.
std::string duration_text(std::int64_t milliseconds);
// "22:00-06:00" as minutes of the day.
std::optional<std::pair<int, int>> parse_utc_window(std::string_view text);

class SettingsReader {
public:
  explicit SettingsReader(std::vector<PolicyProblem>& problems) : problems_(problems) {}

  // `path` is that of `node`, for messages; null nodes give the defaults.
  json::object read(const YamlNode& node, const OptionGroup& group, const std::string& path);

private:
  std::optional<json::value> read_value(const YamlNode& node, const Option& option,
                                        const std::string& path);
  std::optional<json::value> read_scalar(const YamlNode& node, const Option& option,
                                         const std::string& path);
  std::optional<json::value> read_number(const YamlNode& node, const Option& option,
                                         const std::string& path);
  std::optional<json::value> read_list(const YamlNode& node, const Option& option,
                                       const std::string& path);
  std::optional<json::value> read_map(const YamlNode& node, const Option& option,
                                      const std::string& path);
  std::optional<json::value> read_schema(const YamlNode& node, const std::string& path);
  std::optional<json::value> read_choice(const YamlNode& node, const Option& option,
                                         const std::string& path);
  void problem(const YamlNode& node, const std::string& path, std::string message);

  std::vector<PolicyProblem>& problems_;
};

}  // namespace gavel
