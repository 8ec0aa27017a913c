#pragma once
// The memory engine: a Log for tests and simulation. An append is durable at once; its callback and
// the watchers run inside append(), after the engine let go of its lock and in the order of the
// appends. (An append that is made inside such a callback completes when that callback returned.)

#include <memory>

#include "log/log.hpp"

namespace gavel {

std::unique_ptr<Log> make_memory_log();

}  // namespace gavel
