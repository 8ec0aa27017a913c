#include "runtime/redaction.hpp"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>

#include "protocol/json_text.hpp"

namespace gavel {
namespace {

constexpr std::string_view kRedacted = "[secret]";
constexpr std::size_t kTextSecretMin = 4;
constexpr std::size_t kJsonSecretMin = 6;

bool holds(std::string_view text, std::string_view what) {
  return ::memmem(text.data(), text.size(), what.data(), what.size()) != nullptr;
}

void replace_all(std::string& text, std::string_view what) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + kRedacted.size())) {
    text.replace(at, what.size(), kRedacted);
  }
}

// What stands between the quotes of a JSON string.
std::string escaped(std::string_view text) {
  const auto quoted = json_quote(text);
  return quoted.substr(1, quoted.size() - 2);
}

// As some writers have it: "\/".
std::string with_escaped_slashes(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '/') out += '\\';
    out += c;
  }
  return out;
}

class Cleaner {
public:
  explicit Cleaner(const std::vector<std::string>& secrets) : secrets_(secrets) {}

  json::value clean(const json::value& value) const {
    if (value.is_string()) return json::value(clean_text(view(value.get_string())));
    if (value.is_array()) {
      json::array out;
      for (const auto& item : value.get_array()) out.push_back(clean(item));
      return out;
    }
    if (value.is_object()) {
      json::object out;
      for (const auto& member : value.get_object()) {
        const std::string_view name{member.key().data(), member.key().size()};
        out[clean_text(name)] = clean(member.value());
      }
      return out;
    }
    if (!value.is_number()) return value;
    const auto text = write_json(value);
    const auto cleaned = clean_text(text);
    return cleaned == text ? value : json::value(cleaned);
  }

private:
  std::string clean_text(std::string_view text) const {
    std::string out(text);
    for (const auto& secret : secrets_) {
      if (secret.size() >= kJsonSecretMin) replace_all(out, secret);
    }
    return out;
  }
  const std::vector<std::string>& secrets_;
};

class RedactingUpstream final : public Upstream {
public:
  RedactingUpstream(std::unique_ptr<Upstream> upstream, std::shared_ptr<const Redactor> redactor)
      : upstream_(std::move(upstream)), redactor_(std::move(redactor)) {}

  const std::string& name() const override { return upstream_->name(); }
  asio::awaitable<Result<json::object>> capabilities(SteadyTime deadline) override {
    return upstream_->capabilities(deadline);
  }
  UpstreamStatus status() const override { return upstream_->status(); }
  asio::awaitable<void> close() override { return upstream_->close(); }
  asio::awaitable<Result<std::string>> begin_login(std::string redirect_uri) override {
    return upstream_->begin_login(std::move(redirect_uri));
  }
  asio::awaitable<Status> finish_login(std::string query) override {
    const auto redactor = redactor_;
    auto done = co_await upstream_->finish_login(std::move(query));
    if (!done) done.error().message = redactor->text(std::move(done.error().message));
    co_return done;
  }
  Status forget_login() override { return upstream_->forget_login(); }

  asio::awaitable<UpstreamReply> request(UpstreamRequest request) override {
    hear(request.caller.on_progress);
    hear(request.caller.on_log);
    if (request.caller.on_question) {
      request.caller.on_question =
          [redactor = redactor_,
           ask = std::move(request.caller.on_question)](UpstreamQuestion question) {
            question.params = redactor->json(std::move(question.params));
            ask(std::move(question));
          };
    }
    const auto redactor = redactor_;
    auto reply = co_await upstream_->request(std::move(request));
    reply.result = redactor->json(std::move(reply.result));
    reply.rpc_error = redactor->json(std::move(reply.rpc_error));
    reply.error.message = redactor->text(std::move(reply.error.message));
    co_return reply;
  }

private:
  void hear(std::function<void(std::string_view params)>& callback) const {
    if (!callback) return;
    callback = [redactor = redactor_, tell = std::move(callback)](std::string_view params) {
      tell(redactor->json(std::string(params)));
    };
  }

  std::unique_ptr<Upstream> upstream_;
  std::shared_ptr<const Redactor> redactor_;
};

}  // namespace

void Redactor::set(const std::vector<std::string>& secrets) {
  given_ = secrets;
  build();
}

void Redactor::set_tokens(const std::vector<std::string>& tokens) {
  tokens_ = tokens;
  build();
}

void Redactor::build() {
  secrets_.clear();
  patterns_.clear();
  for (const auto* secrets : {&given_, &tokens_}) {
    for (const auto& secret : *secrets) {
      for (const auto& part : {secret, secret.substr(secret.rfind(' ') + 1)}) {
        if (part.size() >= kTextSecretMin) secrets_.push_back(part);
      }
    }
  }
  std::ranges::sort(secrets_, std::greater{}, &std::string::size);
  for (const auto& secret : secrets_) {
    if (secret.size() < kJsonSecretMin) continue;
    const auto plain = escaped(secret);
    patterns_.push_back(plain);
    patterns_.push_back(with_escaped_slashes(plain));
  }
  const auto same = std::ranges::unique(patterns_);
  patterns_.erase(same.begin(), same.end());
}

std::string Redactor::text(std::string text) const {
  for (const auto& secret : secrets_) replace_all(text, secret);
  return text;
}

std::string Redactor::json(std::string text) const {
  const auto found = [&](const std::string& pattern) { return holds(text, pattern); };
  if (std::ranges::none_of(patterns_, found)) return text;
  if (const auto value = parse_json(text)) return write_json(Cleaner(secrets_).clean(*value));
  // No JSON, or more than is parsed: whoever reads it judges that.
  for (const auto& pattern : patterns_) replace_all(text, pattern);
  return text;
}

std::unique_ptr<Upstream> redacting(std::unique_ptr<Upstream> upstream,
                                    std::shared_ptr<const Redactor> redactor) {
  return std::make_unique<RedactingUpstream>(std::move(upstream), std::move(redactor));
}

}  // namespace gavel
