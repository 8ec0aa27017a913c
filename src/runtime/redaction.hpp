#pragma once
// Keeps a server's secrets from whoever reads what the server says: agents, logs, operators. What
// is a secret is what the server was given as one (environment_files, header_files, headers that
// carry credentials); only the server can know of others, or hide one of these in another form.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/upstream.hpp"

namespace gavel {

class Redactor {
public:
  // Of each secret, its last word counts too: "Bearer TOKEN".
  void set(const std::vector<std::string>& secrets);
  // Those that come and go while the server runs: tokens. They replace only each other.
  void set_tokens(const std::vector<std::string>& tokens);

  // Text for people with every secret of 4 bytes or more replaced by "[secret]".
  std::string text(std::string text) const;
  // JSON text whose strings, names and numbers hold no secret of 6 bytes or more; as it came where
  // none is in it. Shorter ones would black out ordinary words of an answer.
  std::string json(std::string text) const;

private:
  void build();

  std::vector<std::string> given_;
  std::vector<std::string> tokens_;
  std::vector<std::string> secrets_;   // of both, the longest first
  std::vector<std::string> patterns_;  // those that json() looks for, as JSON may write them
};

// `upstream` as its callers may see it: replies, and what comes while they wait, go through
// `redactor`.
std::unique_ptr<Upstream> redacting(std::unique_ptr<Upstream> upstream,
                                    std::shared_ptr<const Redactor> redactor);

}  // namespace gavel
