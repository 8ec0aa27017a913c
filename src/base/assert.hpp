#pragma once
// ASSERT: a bug in this program, never bad input. Always on; it ends the process with the place and
// the condition, because a log-structured product is safer dead than wrong: the log is intact and
// restart is cheap.

namespace gavel {

[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}  // namespace gavel

#define ASSERT(condition)                                                        \
  do {                                                                           \
    if (!(condition)) ::gavel::assertion_failed(#condition, __FILE__, __LINE__); \
  } while (false)
