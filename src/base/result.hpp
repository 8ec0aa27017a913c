#pragma once
// Result<T>: a value or an expected failure. An Error has a code (what kind, for machines and for
// the one table that maps it to HTTP, JSON-RPC and exit codes: base/result.cpp), a message for a
// tired person that names the thing and says what to do next, and nothing secret.

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace gavel {

enum class ErrorCode {
  invalid_argument,   // the request is malformed; the same request will always fail
  not_found,          // no such session, intent, tool, ...
  already_exists,     // a thing of that name exists
  conflict,           // the compare of a compare-and-append failed: reload, decide again
  stale_epoch,        // another driver was elected; this one may append nothing
  halted,             // a halt or freeze covers the action
  denied,             // policy or a person said no
  key_reused,         // the idempotency key was used with other arguments
  permission_denied,  // the principal's role does not allow it
  unauthenticated,    // no principal: token missing or wrong
  budget_exhausted,   // a budget has no room for the action
  busy,               // a queue or rate limit is full: retry after a while
  too_large,          // over a named limit
  unavailable,        // a peer or the store does not answer now
  timeout,            // a deadline passed
  cancelled,          // the caller went away
  corrupted,          // stored bytes fail their checks
  storage_failed,     // a write or sync failed: the store accepts nothing more
  unsupported,        // a newer format or a feature that this build lacks
  internal,           // a bug that was contained
};

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;

  bool operator==(const Error&) const = default;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

// The failure arm of a Result: return fail(ErrorCode::not_found, "no session \"x\"; see gavel
// sessions").
[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

// snake_case, stable on the wire: "stale_epoch".
std::string_view to_string(ErrorCode code);

// The one table of what an error code means to each kind of caller.
struct ErrorMapping {
  ErrorCode code;
  std::string_view name;  // on the wire
  int http_status;
  int exit_code;  // of the command line, documented in docs/exit-codes.md
};
const ErrorMapping& mapping(ErrorCode code);
// The code whose wire name is `name`, or internal.
ErrorCode error_code_from(std::string_view name);

}  // namespace gavel

// Evaluates to nothing or returns the error from the enclosing function.
#define TRY(expression)                                                       \
  do {                                                                        \
    auto try_result_ = (expression);                                          \
    if (!try_result_) return std::unexpected(std::move(try_result_).error()); \
  } while (false)

#define GAVEL_CONCAT_(a, b) a##b
#define GAVEL_CONCAT(a, b) GAVEL_CONCAT_(a, b)
#define GAVEL_ASSIGN_OR_RETURN_(tmp, lhs, expression)       \
  auto tmp = (expression);                                  \
  if (!tmp) return std::unexpected(std::move(tmp).error()); \
  lhs = std::move(*tmp)
// ASSIGN_OR_RETURN(auto x, f()): declares x from f()'s value or returns its error.
#define ASSIGN_OR_RETURN(lhs, expression) \
  GAVEL_ASSIGN_OR_RETURN_(GAVEL_CONCAT(result_, __LINE__), lhs, expression)
