#include "base/result.hpp"

#include <array>

#include "base/assert.hpp"

namespace gavel {
namespace {

constexpr std::array kMappings = {
    ErrorMapping{ErrorCode::invalid_argument, "invalid_argument", 400, 2},
    ErrorMapping{ErrorCode::not_found, "not_found", 404, 3},
    ErrorMapping{ErrorCode::already_exists, "already_exists", 409, 4},
    ErrorMapping{ErrorCode::conflict, "conflict", 409, 4},
    ErrorMapping{ErrorCode::stale_epoch, "stale_epoch", 409, 5},
    ErrorMapping{ErrorCode::halted, "halted", 403, 6},
    ErrorMapping{ErrorCode::denied, "denied", 403, 6},
    ErrorMapping{ErrorCode::key_reused, "key_reused", 422, 4},
    ErrorMapping{ErrorCode::permission_denied, "permission_denied", 403, 7},
    ErrorMapping{ErrorCode::unauthenticated, "unauthenticated", 401, 7},
    ErrorMapping{ErrorCode::budget_exhausted, "budget_exhausted", 429, 6},
    ErrorMapping{ErrorCode::busy, "busy", 503, 8},
    ErrorMapping{ErrorCode::too_large, "too_large", 413, 2},
    ErrorMapping{ErrorCode::unavailable, "unavailable", 503, 8},
    ErrorMapping{ErrorCode::timeout, "timeout", 504, 8},
    ErrorMapping{ErrorCode::cancelled, "cancelled", 499, 8},
    ErrorMapping{ErrorCode::corrupted, "corrupted", 500, 9},
    ErrorMapping{ErrorCode::storage_failed, "storage_failed", 507, 9},
    ErrorMapping{ErrorCode::unsupported, "unsupported", 501, 10},
    ErrorMapping{ErrorCode::internal, "internal", 500, 70},
};

constexpr bool table_is_in_enum_order() {
  for (std::size_t i = 0; i < kMappings.size(); ++i) {
    if (kMappings[i].code != static_cast<ErrorCode>(i)) return false;
  }
  return true;
}
static_assert(table_is_in_enum_order());

}  // namespace

const ErrorMapping& mapping(ErrorCode code) {
  const auto index = static_cast<std::size_t>(code);
  ASSERT(index < kMappings.size());
  return kMappings[index];
}

std::string_view to_string(ErrorCode code) {
  return mapping(code).name;
}

ErrorCode error_code_from(std::string_view name) {
  for (const auto& entry : kMappings) {
    if (entry.name == name) return entry.code;
  }
  return ErrorCode::internal;
}

}  // namespace gavel
