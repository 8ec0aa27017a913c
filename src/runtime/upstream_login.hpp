#pragma once
// Gavel's login at one upstream server over HTTP: the token that goes with each request, and what
// follows when the server wants another (docs/oauth.md).
//
//   401, a refresh token        renewed once, the request is sent again
//   401, client_credentials     a token is fetched, the request is sent again
//   401 otherwise               needs a person: gavel login NAME
//   403 insufficient_scope      client_credentials: once more with these scopes; else a person
//
// One renewal at a time; who needs one waits for that which runs. A renewal that has begun is
// finished though its caller leaves: the answer may replace the refresh token. Tokens go to the
// server that they are for and to nobody else.
//
// Thread rule: one executor. Coroutines hold the login by a shared pointer.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "oauth/client.hpp"
#include "oauth/discovery.hpp"
#include "policy/policy.hpp"
#include "runtime/clock.hpp"
#include "runtime/event.hpp"
#include "runtime/oauth_fetch.hpp"
#include "runtime/oauth_record.hpp"
#include "runtime/oauth_store.hpp"
#include "runtime/redaction.hpp"
#include "runtime/task_group.hpp"

namespace gavel {

struct LoginOptions {
  const Clock* clock = nullptr;  // borrowed, as are random and store; all outlive the login
  Random* random = nullptr;
  OAuthStore* store = nullptr;         // null: a login ends with the process
  std::shared_ptr<Redactor> redactor;  // told every token
  std::string trusted_ca_file;
  std::function<void(std::string_view)> log_line;  // never secrets
};

class UpstreamLogin : public std::enable_shared_from_this<UpstreamLogin> {
public:
  UpstreamLogin(asio::any_io_executor executor, const ServerSpec& spec, LoginOptions options);
  UpstreamLogin(const UpstreamLogin&) = delete;
  UpstreamLogin& operator=(const UpstreamLogin&) = delete;

  // The value of the header Authorization; empty where there is no token.
  std::string authorization() const;
  // Renews a token that is about to expire. An error where there is none to send afterwards.
  static asio::awaitable<Status> freshen(std::shared_ptr<UpstreamLogin> self, SteadyTime deadline);

  struct Refusal {
    int status = 0;             // 401 or 403
    std::string challenge;      // WWW-Authenticate
    std::string authorization;  // that was sent
    bool renewed = false;       // since the request was sent first
  };
  // True: send it again. False: this is no matter of a login. Errors say what a person can do.
  static asio::awaitable<Result<bool>> refused(std::shared_ptr<UpstreamLogin> self, Refusal refusal,
                                               SteadyTime deadline);

  // Begins a login: the URL for a person's browser, which then goes to `redirect_uri`, on loopback,
  // within kLoginPatience. A login that was begun before is forgotten. Errors: invalid_argument,
  // unsupported, permission_denied, not_found, unavailable.
  static asio::awaitable<Result<std::string>> begin(std::shared_ptr<UpstreamLogin> self,
                                                    std::string redirect_uri);
  // Ends it with the query that the browser brought; the token is kept when this returns.
  static asio::awaitable<Status> finish(std::shared_ptr<UpstreamLogin> self, std::string query);
  // Forgets the tokens, here and in the store.
  Status forget();

  // Whether a refusal may be answered with another token, so that the request must be kept.
  bool may_renew() const { return record_.has_token() || gets_tokens_alone(); }
  // Why a person has to log in; empty where nobody has to.
  const std::string& problem() const { return problem_; }
  bool was_challenged() const { return challenge_.has_value(); }
  void cancel();

private:
  struct Pending {
    CodeRequest request;
    Timestamp until;
    bool registered = false;
  };
  using Self = std::shared_ptr<UpstreamLogin>;

  void load();
  Status save();
  void tell_secrets();
  bool gets_tokens_alone() const { return spec_.oauth.grant == OAuthGrant::client_credentials; }
  Result<ClientSettings> settings();
  std::string command() const;
  std::unexpected<Error> needs_login(std::string_view why);
  Result<bool> wants_scopes(const BearerChallenge& challenge);
  void take(const Tokens& tokens, std::vector<std::string> asked);
  AssertionInput assertion_input(const ClientSettings& settings);
  ScopeSources scope_sources(const DiscoveredServer& found) const;
  void say(const std::string& line) const;

  static asio::awaitable<Result<DiscoveredServer>> discover(Self self);
  static asio::awaitable<Result<ClientIdentity>> identify(Self self, DiscoveredServer found,
                                                          ClientSettings settings,
                                                          RegistrationWish wish);
  static asio::awaitable<Result<Tokens>> ask_tokens(Self self, TokenRequest request);
  static asio::awaitable<Status> renew(Self self, SteadyTime deadline);
  static asio::awaitable<void> run_renewal(Self self);
  static asio::awaitable<Status> refresh(Self self);
  static asio::awaitable<Status> fetch_alone(Self self);
  static asio::awaitable<Result<FetchedDocument>> fetch(Self self, OAuthFetch fetch);

  asio::any_io_executor executor_;
  ServerSpec spec_;
  LoginOptions options_;
  OAuthRecord record_;
  Timestamp renew_at_;  // 0: when the server refuses it
  std::optional<BearerChallenge> challenge_;
  std::optional<Pending> pending_;
  std::string problem_;
  std::vector<std::string> told_;  // secrets that the redactor knows, the newest last
  bool renewing_ = false;
  std::uint64_t renewals_ = 0;
  Status renewed_;
  Event changed_;
  TaskGroup tasks_;
};

// Whether Gavel logs in at this server where it asks for that: it is reached over HTTP, and the
// policy gives no Authorization of its own.
bool may_log_in(const ServerSpec& spec);

// For how long a person has time to log in.
inline constexpr std::chrono::minutes kLoginPatience{10};

}  // namespace gavel
