#include "runtime/upstream_login.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "runtime/upstream_factory.hpp"

namespace gavel {
namespace {

constexpr std::chrono::seconds kRenewBefore{60};
// Tokens that were replaced may still come back in an answer that is on its way.
constexpr std::size_t kToldMax = 24;
constexpr std::string_view kForm = "application/x-www-form-urlencoded";

bool same_header(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

bool may_log_in(const ServerSpec& spec) {
  const auto is_own = [](const auto& header) { return same_header(header.first, "Authorization"); };
  return !spec.url.empty() && std::ranges::none_of(spec.headers, is_own) &&
         std::ranges::none_of(spec.header_files, is_own);
}

UpstreamLogin::UpstreamLogin(asio::any_io_executor executor, const ServerSpec& spec,
                             LoginOptions options)
    : executor_(executor),
      spec_(spec),
      options_(std::move(options)),
      changed_(executor),
      tasks_(executor, options_.log_line) {
  load();
}

void UpstreamLogin::say(const std::string& line) const {
  if (options_.log_line) options_.log_line(line);
}

void UpstreamLogin::cancel() {
  options_.log_line = nullptr;
  tasks_.cancel();
}

// --- what is kept ---

void UpstreamLogin::load() {
  if (options_.store == nullptr) return;
  const auto text = options_.store->load(spec_.name);
  if (!text) {
    say(fmt::format("server \"{}\": its login cannot be read: {}", spec_.name,
                    text.error().message));
    return;
  }
  if (!*text) return;
  auto record = read_record(**text);
  if (!record) {
    say(fmt::format("server \"{}\": its login cannot be used: {}", spec_.name,
                    record.error().message));
    return;
  }
  // Of a server that has another address now: its tokens are not for this one.
  if (record->server_url != spec_.url) return;
  record_ = std::move(*record);
  if (record_.expires_at.ms > 0) renew_at_ = record_.expires_at + Duration(-kRenewBefore);
  tell_secrets();
}

Status UpstreamLogin::save() {
  tell_secrets();
  if (options_.store == nullptr || gets_tokens_alone()) return {};
  OAuthRecord kept = record_;
  if (kept.client.id == spec_.oauth.client_id) kept.client.secret.clear();
  return options_.store->save(spec_.name, write_record(kept));
}

void UpstreamLogin::tell_secrets() {
  auto secrets = record_.secrets();
  if (pending_) {
    secrets.push_back(pending_->request.verifier);
    secrets.push_back(pending_->request.state);
    if (!pending_->request.client.secret.empty()) {
      secrets.push_back(pending_->request.client.secret);
    }
  }
  for (const auto& secret : secrets) {
    std::erase(told_, secret);
    told_.push_back(secret);
  }
  if (told_.size() > kToldMax) {
    told_.erase(told_.begin(), told_.end() - static_cast<std::ptrdiff_t>(kToldMax));
  }
  if (options_.redactor) options_.redactor->set_tokens(told_);
}

Status UpstreamLogin::forget() {
  record_.access.clear();
  record_.refresh.clear();
  record_.expires_at = {};
  renew_at_ = {};
  pending_.reset();
  if (options_.store == nullptr) return {};
  return options_.store->remove(spec_.name);
}

// From the policy's files each time, so that a secret can be replaced while Gavel runs.
Result<ClientSettings> UpstreamLogin::settings() {
  const OAuthSpec& oauth = spec_.oauth;
  ClientSettings made;
  made.id = oauth.client_id;
  made.metadata_url = oauth.client_metadata_url;
  if (!oauth.client_secret_file.empty()) {
    ASSIGN_OR_RETURN(made.secret, read_secret_file(oauth.client_secret_file));
    std::erase(told_, made.secret);
    told_.push_back(made.secret);
  }
  if (!oauth.private_key_file.empty()) {
    ASSIGN_OR_RETURN(made.private_key, read_key_file(oauth.private_key_file));
  }
  tell_secrets();
  return made;
}

// --- the token ---

std::string UpstreamLogin::authorization() const {
  return record_.has_token() ? "Bearer " + record_.access : std::string();
}

void UpstreamLogin::take(const Tokens& tokens, std::vector<std::string> asked) {
  record_.server_url = spec_.url;
  record_.access = tokens.access;
  // A server that does not replace it means that it goes on being good.
  if (!tokens.refresh.empty()) record_.refresh = tokens.refresh;
  record_.asked = std::move(asked);
  record_.scopes = tokens.scopes.value_or(record_.asked);
  record_.expires_at = {};
  renew_at_ = {};
  if (tokens.expires_in) {
    const Duration life = *tokens.expires_in;
    record_.expires_at = options_.clock->now() + life;
    renew_at_ = record_.expires_at + Duration(-std::min<Duration>(kRenewBefore, life / 5));
  }
  problem_.clear();
}

asio::awaitable<Status> UpstreamLogin::freshen(Self self, SteadyTime deadline) {
  const bool due = self->record_.has_token() && self->renew_at_.ms > 0 &&
                   self->options_.clock->now() >= self->renew_at_;
  if (!due || (self->record_.refresh.empty() && !self->gets_tokens_alone())) co_return Status{};
  auto renewed = co_await renew(self, deadline);
  // The old one may do for the minute that it has left; the server says so if not.
  if (!renewed && self->options_.clock->now() < self->record_.expires_at) co_return Status{};
  co_return renewed;
}

asio::awaitable<Status> UpstreamLogin::renew(Self self, SteadyTime deadline) {
  const std::uint64_t before = self->renewals_;
  if (!self->renewing_) {
    self->renewing_ = true;
    self->tasks_.spawn("renewal of the login at " + self->spec_.name, run_renewal(self));
  }
  while (self->renewals_ == before) {
    const Woken woken = co_await self->changed_.wait_until(deadline);
    if (self->renewals_ != before) break;
    if (woken != Woken::notified) {
      co_return fail(ErrorCode::timeout,
                     fmt::format("server \"{}\": its login was not renewed before the deadline; "
                                 "the request never arrived there",
                                 self->spec_.name));
    }
  }
  co_return self->renewed_;
}

asio::awaitable<void> UpstreamLogin::run_renewal(Self self) {
  Status done;
  if (!self->record_.refresh.empty()) {
    done = co_await refresh(self);
  } else {
    done = co_await fetch_alone(self);
  }
  self->renewed_ = std::move(done);
  self->renewing_ = false;
  ++self->renewals_;
  self->changed_.notify();
}

asio::awaitable<Status> UpstreamLogin::refresh(Self self) {
  const auto settings = self->settings();
  if (!settings) co_return std::unexpected(settings.error());
  ClientIdentity client = self->record_.client;
  if (client.id == settings->id) client.secret = settings->secret;
  auto request = token_request(refresh_fields(self->record_.refresh, self->record_.resource),
                               client, self->record_.token_endpoint, self->record_.issuer,
                               self->assertion_input(*settings));
  if (!request) co_return std::unexpected(request.error());
  const auto tokens = co_await ask_tokens(self, std::move(*request));
  if (tokens) {
    self->take(*tokens, self->record_.asked);
    co_return self->save();
  }
  if (tokens.error().code != ErrorCode::denied) co_return std::unexpected(tokens.error());
  self->record_.access.clear();
  self->record_.refresh.clear();
  const auto saved = self->save();
  if (!saved) self->say(saved.error().message);
  co_return self->needs_login(tokens.error().message);
}

asio::awaitable<Status> UpstreamLogin::fetch_alone(Self self) {
  const auto settings = self->settings();
  if (!settings) co_return std::unexpected(settings.error());
  auto found = co_await discover(self);
  if (!found) co_return std::unexpected(found.error());
  const auto client = known_client(*settings, found->server);
  if (!client) co_return std::unexpected(client.error());
  if (!*client) {
    co_return fail(ErrorCode::invalid_argument,
                   fmt::format("server \"{}\": `grant: client_credentials` needs "
                               "`oauth.client_id`",
                               self->spec_.name));
  }
  const auto scopes = choose_scopes(self->scope_sources(*found), found->server);
  auto request = token_request(client_credentials_fields(scopes, found->resource), **client,
                               found->server.token_endpoint, found->server.issuer,
                               self->assertion_input(*settings));
  if (!request) co_return std::unexpected(request.error());
  const auto tokens = co_await ask_tokens(self, std::move(*request));
  if (!tokens) co_return std::unexpected(tokens.error());
  self->record_.resource = found->resource;
  self->record_.issuer = found->server.issuer;
  self->record_.token_endpoint = found->server.token_endpoint;
  self->record_.client = **client;
  self->take(*tokens, scopes);
  // It can be had again at any time, and by nobody but this client.
  self->record_.refresh.clear();
  co_return self->save();
}

AssertionInput UpstreamLogin::assertion_input(const ClientSettings& settings) {
  return {settings.private_key, options_.clock->now(), random_hex(*options_.random, 16)};
}

ScopeSources UpstreamLogin::scope_sources(const DiscoveredServer& found) const {
  ScopeSources sources;
  sources.configured = spec_.oauth.scopes;
  // What another authorization server granted says nothing to this one.
  if (record_.issuer == found.server.issuer) sources.before = record_.asked;
  sources.challenge = challenge_;
  sources.resource = found.resource_scopes;
  return sources;
}

// --- refusals ---

std::string UpstreamLogin::command() const {
  return "gavel login " + spec_.name;
}

std::unexpected<Error> UpstreamLogin::needs_login(std::string_view why) {
  problem_ = fmt::format("server \"{}\" needs a login{}{}; a person can do: {}", spec_.name,
                         why.empty() ? "" : ": ", why, command());
  // Not unauthenticated: that would tell callers to prove themselves anew to Gavel.
  return fail(ErrorCode::unavailable, problem_);
}

asio::awaitable<Result<bool>> UpstreamLogin::refused(Self self, Refusal refusal,
                                                     SteadyTime deadline) {
  const auto challenge = parse_bearer_challenge(refusal.challenge);
  if (refusal.status == 403) {
    if (!challenge || challenge->error != "insufficient_scope") co_return false;
    if (self->authorization() != refusal.authorization) co_return true;
    const auto again = self->wants_scopes(*challenge);
    if (!again) co_return std::unexpected(again.error());
    const auto renewed = co_await renew(self, deadline);
    if (!renewed) co_return std::unexpected(renewed.error());
    co_return true;
  }
  // Somebody else renewed it, or logged in, while this request was on its way.
  if (self->record_.has_token() && self->authorization() != refusal.authorization) co_return true;
  self->challenge_ = challenge.value_or(BearerChallenge{});
  if (self->gets_tokens_alone() && refusal.renewed) {
    co_return fail(ErrorCode::unavailable,
                   fmt::format("server \"{}\" refuses the token that {} gave just now",
                               self->spec_.name, for_display(self->record_.issuer, 200)));
  }
  const bool renewable =
      self->gets_tokens_alone() || (!self->record_.refresh.empty() && !refusal.renewed);
  if (!renewable) {
    self->record_.access.clear();
    co_return self->needs_login(refusal.authorization.empty() ? "" : "it refuses the one it has");
  }
  const auto renewed = co_await renew(self, deadline);
  if (!renewed) co_return std::unexpected(renewed.error());
  co_return true;
}

// Whether asking for more scopes without a person may help; errors say what a person can do.
Result<bool> UpstreamLogin::wants_scopes(const BearerChallenge& challenge) {
  const auto scopes = for_display(join_scopes(challenge.scopes), 300);
  const auto& allowed = spec_.oauth.scopes;
  if (!allowed.empty() && !has_scopes(allowed, challenge.scopes)) {
    return fail(ErrorCode::permission_denied,
                fmt::format("server \"{}\" wants the scopes \"{}\" for this, and `oauth.scopes` of "
                            "the policy does not list them all",
                            spec_.name, scopes));
  }
  if (record_.has_token() && has_scopes(record_.asked, challenge.scopes)) {
    return fail(ErrorCode::permission_denied,
                fmt::format("server \"{}\" wants the scopes \"{}\" for this; they were asked for, "
                            "and it still refuses",
                            spec_.name, scopes));
  }
  challenge_ = challenge;
  if (gets_tokens_alone()) return true;
  return fail(ErrorCode::unavailable,
              fmt::format("server \"{}\" wants the scopes \"{}\" for this, beyond those of its "
                          "login; a person can do: {}",
                          spec_.name, scopes, command()));
}

// --- a person's login ---

asio::awaitable<Result<std::string>> UpstreamLogin::begin(Self self, std::string redirect_uri) {
  if (self->gets_tokens_alone()) {
    co_return fail(ErrorCode::invalid_argument,
                   fmt::format("server \"{}\" has `grant: client_credentials`: Gavel logs in there "
                               "by itself",
                               self->spec_.name));
  }
  const auto redirect = parse_web_url(redirect_uri);
  if (!redirect || !redirect->is_loopback() || redirect->has_fragment) {
    co_return fail(ErrorCode::invalid_argument,
                   "\"redirect_uri\" must be on this machine, such as "
                   "http://127.0.0.1:8400/callback");
  }
  auto settings = self->settings();
  if (!settings) co_return std::unexpected(settings.error());
  const auto found = co_await discover(self);
  if (!found) co_return std::unexpected(found.error());
  if (auto good = check_code_grant(found->server); !good) co_return std::unexpected(good.error());
  Pending pending;
  CodeRequest& request = pending.request;
  request.scopes = choose_scopes(self->scope_sources(*found), found->server);
  RegistrationWish wish{fmt::format("Gavel ({})", self->spec_.name), redirect_uri, request.scopes};
  const auto known = known_client(*settings, found->server);
  if (!known) co_return std::unexpected(known.error());
  pending.registered = !known->has_value();
  auto client = co_await identify(self, *found, std::move(*settings), std::move(wish));
  if (!client) co_return std::unexpected(client.error());
  request.client = std::move(*client);
  request.server = found->server;
  request.resource = found->resource;
  request.redirect_uri = std::move(redirect_uri);
  request.state = random_hex(*self->options_.random, 16);
  request.verifier = random_hex(*self->options_.random, 32);
  pending.until = self->options_.clock->now() + Duration(kLoginPatience);
  self->pending_ = std::move(pending);
  self->tell_secrets();
  co_return authorization_url(self->pending_->request);
}

asio::awaitable<Result<ClientIdentity>> UpstreamLogin::identify(Self self, DiscoveredServer found,
                                                                ClientSettings settings,
                                                                RegistrationWish wish) {
  auto known = known_client(settings, found.server);
  if (!known) co_return std::unexpected(known.error());
  if (*known) co_return std::move(**known);
  // Credentials are good where they were given, and nowhere else.
  const OAuthRecord& record = self->record_;
  const bool registered = !record.redirect_uri.empty() && record.issuer == found.server.issuer &&
                          record.redirect_uri == wish.redirect_uri;
  if (registered) co_return record.client;
  auto body = registration_request(wish, found.server);
  if (!body) co_return std::unexpected(body.error());
  OAuthFetch post;
  post.url = found.server.registration_endpoint;
  post.body = std::move(*body);
  post.content_type = "application/json";
  const auto answer = co_await fetch(self, std::move(post));
  if (!answer) co_return std::unexpected(answer.error());
  co_return read_registration(answer->status, answer->body, found.server);
}

asio::awaitable<Status> UpstreamLogin::finish(Self self, std::string query) {
  const auto parsed = parse_code_answer(query);
  if (!parsed) co_return std::unexpected(parsed.error());
  const CodeAnswer& answer = *parsed;
  if (!self->pending_ || self->options_.clock->now() >= self->pending_->until) {
    self->pending_.reset();
    co_return fail(ErrorCode::not_found,
                   fmt::format("no login at server \"{}\" is on its way any more; begin anew: {}",
                               self->spec_.name, self->command()));
  }
  if (auto good = check_code_answer(self->pending_->request, answer); !good) {
    // Anybody can come with a wrong state; it must not end the person's login.
    if (answer.state == self->pending_->request.state) self->pending_.reset();
    co_return good;
  }
  const Pending pending = std::move(*self->pending_);
  self->pending_.reset();
  const CodeRequest& code = pending.request;
  // A server may say it again in its refusal.
  self->told_.push_back(answer.code);
  const auto settings = self->settings();
  if (!settings) co_return std::unexpected(settings.error());
  auto request =
      token_request(code_fields(code, answer.code), code.client, code.server.token_endpoint,
                    code.server.issuer, self->assertion_input(*settings));
  if (!request) co_return std::unexpected(request.error());
  const auto tokens = co_await ask_tokens(self, std::move(*request));
  if (!tokens) co_return std::unexpected(tokens.error());
  OAuthRecord& record = self->record_;
  record = {};
  record.resource = code.resource;
  record.issuer = code.server.issuer;
  record.token_endpoint = code.server.token_endpoint;
  record.client = code.client;
  if (pending.registered) record.redirect_uri = code.redirect_uri;
  self->take(*tokens, code.scopes);
  self->say(fmt::format("server \"{}\": logged in at {}", self->spec_.name, record.issuer));
  co_return self->save();
}

// --- what goes out ---

asio::awaitable<Result<DiscoveredServer>> UpstreamLogin::discover(Self self) {
  Discovery discovery(self->spec_.url, self->challenge_, self->spec_.oauth.issuer);
  while (auto url = discovery.next()) {
    OAuthFetch get;
    get.url = std::move(*url);
    const auto document = co_await fetch(self, std::move(get));
    if (!document) co_return std::unexpected(document.error());
    if (auto taken = discovery.take(*document); !taken) co_return std::unexpected(taken.error());
  }
  co_return discovery.found();
}

asio::awaitable<Result<Tokens>> UpstreamLogin::ask_tokens(Self self, TokenRequest request) {
  OAuthFetch post;
  post.url = std::move(request.url);
  post.body = std::move(request.body);
  post.content_type = kForm;
  if (!request.authorization.empty()) {
    post.headers.emplace_back("Authorization", std::move(request.authorization));
  }
  const auto answer = co_await fetch(self, std::move(post));
  if (!answer) co_return std::unexpected(answer.error());
  auto tokens = read_tokens(answer->status, answer->body);
  if (!tokens) {
    Error error = std::move(tokens).error();
    if (self->options_.redactor) {
      error.message = self->options_.redactor->text(std::move(error.message));
    }
    co_return std::unexpected(std::move(error));
  }
  co_return tokens;
}

asio::awaitable<Result<FetchedDocument>> UpstreamLogin::fetch(Self self, OAuthFetch fetch) {
  const auto url = parse_web_url(fetch.url);
  if (!url) co_return std::unexpected(url.error());
  // The operator named these two places; everything else, somebody from outside did.
  bool named = false;
  for (const auto& place : {self->spec_.url, self->spec_.oauth.issuer}) {
    const auto by_operator = parse_web_url(place);
    named = named || (by_operator && same_origin(*url, *by_operator));
  }
  fetch.reach = named ? Reach::anywhere : reach_for(self->spec_.url);
  fetch.deadline = self->options_.clock->steady() + kOAuthPatience;
  co_return co_await fetch_oauth(self->executor_, *self->options_.clock,
                                 self->options_.trusted_ca_file, std::move(fetch));
}

}  // namespace gavel
