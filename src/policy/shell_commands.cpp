#include "policy/shell_commands.hpp"

#include <algorithm>
#include <iterator>

namespace gavel {
namespace {

using enum Operands;
constexpr auto kWrite = Effect::write;
constexpr auto kDestructive = Effect::destructive;
constexpr auto kIrreversible = Effect::irreversible;

constexpr KnownCommand kCommands[] = {
    {.name = ":"},
    {.name = "[", .bad_letters = "vR"},
    {.name = "base64", .operands = reads},
    {.name = "basename"},
    {.name = "break"},
    {.name = "bzcat", .operands = reads},
    {.name = "cat", .operands = reads},
    {.name = "cd", .operands = directory},
    {.name = "chgrp", .effect = kDestructive, .operands = writes, .why = "changes owners"},
    {.name = "chmod", .effect = kDestructive, .operands = writes, .why = "changes rights"},
    {.name = "chown", .effect = kDestructive, .operands = writes, .why = "changes owners"},
    {.name = "cksum", .operands = reads},
    {.name = "cmp", .operands = reads},
    {.name = "column", .operands = reads},
    {.name = "comm", .operands = reads},
    {.name = "continue"},
    {.name = "cp", .operands = copies, .deep_letters = "rRa"},
    {.name = "crontab", .effect = kDestructive, .why = "changes what runs later"},
    {.name = "cut", .operands = reads},
    {.name = "date", .bad_letters = "sf", .bad_names = "set file"},
    {.name = "dd", .effect = kIrreversible, .why = "writes raw data"},
    {.name = "df", .operands = listed},
    {.name = "diff", .operands = reads, .deep_letters = "r"},
    {.name = "dig", .effect = kWrite, .bad_letters = "f", .why = "asks the network"},
    {.name = "dirname"},
    {.name = "du", .operands = listed},
    {.name = "echo"},
    {.name = "exit"},
    {.name = "expand", .operands = reads},
    {.name = "export", .operands = assigns},
    {.name = "expr"},
    {.name = "false"},
    {.name = "fdisk", .effect = kIrreversible, .why = "changes disks"},
    {.name = "file", .operands = reads, .bad_letters = "Cf", .bad_names = "compile files-from"},
    {.name = "fmt", .operands = reads},
    {.name = "fold", .operands = reads},
    {.name = "free"},
    {.name = "grep", .operands = pattern, .deep_letters = "rR"},
    {.name = "egrep", .operands = pattern, .deep_letters = "rR"},
    {.name = "fgrep", .operands = pattern, .deep_letters = "rR"},
    {.name = "groups"},
    {.name = "head", .operands = reads},
    {.name = "hexdump", .operands = reads},
    {.name = "host", .effect = kWrite, .why = "asks the network"},
    {.name = "id"},
    {.name = "join", .operands = reads},
    {.name = "jq", .operands = pattern, .bad_letters = "fL", .bad_names = "from-file"},
    {.name = "kill", .effect = kDestructive, .why = "ends processes"},
    {.name = "killall", .effect = kDestructive, .why = "ends processes"},
    {.name = "ln", .operands = copies},
    {.name = "local", .operands = assigns},
    {.name = "ls", .operands = listed},
    {.name = "lsblk"},
    {.name = "lscpu"},
    {.name = "md5sum", .operands = reads},
    {.name = "mkdir", .operands = writes},
    {.name = "mkfs", .effect = kIrreversible, .why = "makes a file system"},
    {.name = "mv", .operands = moves},
    {.name = "nl", .operands = reads},
    {.name = "nproc"},
    {.name = "nslookup", .effect = kWrite, .why = "asks the network"},
    {.name = "numfmt"},
    {.name = "od", .operands = reads},
    {.name = "parted", .effect = kIrreversible, .why = "changes disks"},
    {.name = "paste", .operands = reads},
    {.name = "pgrep"},
    {.name = "ping", .effect = kWrite, .why = "asks the network"},
    {.name = "pkill", .effect = kDestructive, .why = "ends processes"},
    {.name = "poweroff", .effect = kIrreversible, .why = "stops the machine"},
    {.name = "printf", .bad_letters = "v"},
    {.name = "ps"},
    {.name = "pwd"},
    {.name = "read", .operands = assigns},
    {.name = "readlink", .operands = listed},
    {.name = "realpath", .operands = listed},
    {.name = "reboot", .effect = kIrreversible, .why = "stops the machine"},
    {.name = "return"},
    {.name = "rev", .operands = reads},
    {.name = "rg", .operands = pattern, .bad_names = "pre hostname-bin"},
    {.name = "rm", .effect = kDestructive, .operands = writes, .why = "deletes"},
    {.name = "rmdir", .effect = kDestructive, .operands = writes, .why = "deletes"},
    {.name = "seq"},
    {.name = "sha1sum", .operands = reads},
    {.name = "sha256sum", .operands = reads},
    {.name = "sha512sum", .operands = reads},
    {.name = "shred", .effect = kIrreversible, .why = "destroys files"},
    {.name = "shutdown", .effect = kIrreversible, .why = "stops the machine"},
    {.name = "sleep"},
    {.name = "sort",
     .operands = reads,
     .bad_letters = "oT",
     .bad_names = "output compress-program files0-from temporary-directory"},
    {.name = "stat", .operands = listed},
    {.name = "strings", .operands = reads},
    {.name = "tac", .operands = reads},
    {.name = "tail", .operands = reads},
    {.name = "tee", .operands = writes},
    {.name = "test", .bad_letters = "vR"},
    {.name = "touch", .operands = writes},
    {.name = "tr"},
    {.name = "true"},
    {.name = "truncate", .effect = kDestructive, .operands = writes, .why = "cuts files"},
    {.name = "tty"},
    {.name = "type"},
    {.name = "umask"},
    {.name = "uname"},
    {.name = "unlink", .effect = kDestructive, .operands = writes, .why = "deletes"},
    {.name = "uptime"},
    {.name = "wait", .bad_letters = "p"},
    {.name = "wc", .operands = reads, .bad_names = "files0-from"},
    {.name = "which"},
    {.name = "whoami"},
    {.name = "wipefs", .effect = kIrreversible, .why = "changes disks"},
    {.name = "zcat", .operands = reads},
};

constexpr Wrapper kWrappers[] = {
    {.name = "builtin"},
    {.name = "command"},
    {.name = "doas", .letters = "uC", .flags = "n", .least = kIrreversible},
    {.name = "env", .letters = "u", .flags = "i0"},
    {.name = "exec"},
    {.name = "ionice", .letters = "cn", .flags = "t"},
    {.name = "nice", .letters = "n"},
    {.name = "nohup"},
    {.name = "setsid", .flags = "wf"},
    {.name = "stdbuf", .letters = "ioe"},
    {.name = "sudo", .letters = "ugpC", .flags = "nEHkSi", .least = kIrreversible},
    {.name = "time", .flags = "p"},
    {.name = "timeout", .letters = "ks", .flags = "v", .skip = 1},
    {.name = "xargs", .letters = "nPIdLs", .flags = "0rtpx"},
};

constexpr GitCommand kGit[] = {
    {.name = "add", .effect = kWrite, .bad_letters = "ei"},
    {.name = "apply", .effect = kDestructive},
    {.name = "blame"},
    {.name = "branch",
     .bad_letters = "dDmMcCfu",
     .bad_names = "delete move copy force edit-description unset-upstream set-upstream-to",
     .lists = true},
    {.name = "cat-file", .bad_names = "textconv filters"},
    {.name = "check-ignore"},
    {.name = "checkout", .effect = kDestructive},
    {.name = "cherry-pick", .effect = kWrite},
    {.name = "clean", .effect = kIrreversible},
    {.name = "commit", .effect = kWrite, .bad_names = "amend"},
    {.name = "count-objects"},
    {.name = "describe"},
    {.name = "diff", .bad_names = "output ext-diff textconv"},
    {.name = "fetch", .effect = kWrite, .bad_letters = "f", .bad_names = "force prune upload-pack"},
    {.name = "for-each-ref"},
    {.name = "grep", .bad_letters = "O", .bad_names = "open-files-in-pager textconv"},
    {.name = "init", .effect = kWrite, .bad_names = "template separate-git-dir"},
    {.name = "log", .bad_names = "output ext-diff textconv"},
    {.name = "ls-files"},
    {.name = "ls-tree"},
    {.name = "merge", .effect = kWrite},
    {.name = "merge-base"},
    {.name = "name-rev"},
    {.name = "pull",
     .effect = kWrite,
     .bad_letters = "fr",
     .bad_names = "force rebase upload-pack"},
    {.name = "push",
     .effect = kWrite,
     .bad_letters = "fd",
     .bad_names = "force force-with-lease force-if-includes delete mirror prune receive-pack exec",
     .worse = kIrreversible},
    {.name = "reset", .effect = kWrite, .bad_names = "hard merge keep", .worse = kIrreversible},
    {.name = "restore", .effect = kDestructive},
    {.name = "rev-list"},
    {.name = "rev-parse"},
    {.name = "shortlog", .bad_names = "output"},
    {.name = "show", .bad_names = "output ext-diff textconv"},
    {.name = "status"},
    {.name = "switch",
     .effect = kWrite,
     .bad_letters = "fC",
     .bad_names = "force discard-changes force-create"},
    {.name = "tag", .bad_letters = "dfF", .bad_names = "delete force file", .lists = true},
    {.name = "version"},
};

constexpr std::string_view kVariables[] = {"CI",
                                           "COLUMNS",
                                           "DEBUG",
                                           "FORCE_COLOR",
                                           "LANG",
                                           "LANGUAGE",
                                           "LC_ALL",
                                           "LC_CTYPE",
                                           "LC_MESSAGES",
                                           "LINES",
                                           "NODE_ENV",
                                           "NO_COLOR",
                                           "PYTHONUNBUFFERED",
                                           "RUST_BACKTRACE",
                                           "RUST_LOG",
                                           "TERM",
                                           "TZ",
                                           "VERBOSE"};

template <typename Row, std::size_t N>
const Row* find_row(const Row (&rows)[N], std::string_view name) {
  const auto found = std::find_if(std::begin(rows), std::end(rows),
                                  [&](const Row& row) { return row.name == name; });
  return found == std::end(rows) ? nullptr : found;
}

}  // namespace

const KnownCommand* find_command(std::string_view name) {
  return find_row(kCommands, name);
}

const Wrapper* find_wrapper(std::string_view name) {
  return find_row(kWrappers, name);
}

const GitCommand* find_git_command(std::string_view name) {
  return find_row(kGit, name);
}

bool is_harmless_variable(std::string_view name) {
  if (std::find(std::begin(kVariables), std::end(kVariables), name) != std::end(kVariables)) {
    return true;
  }
  // What programs look at is in capitals; the rest is the script's own.
  return std::none_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; }) &&
         !name.ends_with("_proxy");
}

}  // namespace gavel
