#pragma once
// The table of I10: which role may append which kind of entry. It is checked before every append
// and again by fold, which skips an entry that breaks it.

#include "base/result.hpp"
#include "core/entry.hpp"

namespace gavel {

bool may_append(Role role, std::uint16_t kind);

// permission_denied with the role and kind in words, where may_append says no; also for an entry
// that this build cannot read, and for an outcome whose source is not the role's (a person's for
// approver and admin, anything else for executor).
Status check_rights(const Entry& entry);

}  // namespace gavel
