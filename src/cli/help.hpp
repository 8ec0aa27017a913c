#pragma once
// Help pages and the reference docs/cli.md, made from the command tree. Pure.

#include <string>
#include <vector>

#include "cli/command.hpp"

namespace gavel {

// The page of the command at `path` below `root`, wrapped for a terminal.
std::string help_page(const Command& root, const std::vector<std::string>& path);

// All pages as one Markdown document.
std::string reference_page(const Command& root);

}  // namespace gavel
