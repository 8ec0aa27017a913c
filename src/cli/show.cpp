// gavel show: a session with its intents, or one intent's whole life.

#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/entry_text.hpp"
#include "cli/refs.hpp"
#include "cli/session_text.hpp"
#include "cli/vote.hpp"

namespace gavel {
namespace {

struct ShowOptions {
  std::string subject;
};

Result<int> show_session(Context& context, const Client& client, const std::string& name) {
  const auto base = "/v1/sessions/" + percent_encode(name);
  ASSIGN_OR_RETURN(const auto session, client.get(base));
  ASSIGN_OR_RETURN(const auto transcript, client.get(base + "/transcript"));
  const auto* intents = find_array(transcript, "intents");
  if (context.json()) {
    context.print_json(json::object{{"session", session},
                                    {"intents", intents == nullptr ? json::array{} : *intents}});
    return kExitOk;
  }
  context.print(session_text(session, context.now(), context.style()));
  if (intents != nullptr && !intents->empty()) {
    context.print("\n");
    context.print(
        transcript_table(*intents, context.now()).render(context.style(), context.columns()));
  }
  return kExitOk;
}

Result<int> show_intent(Context& context, const Client& client, const IntentRef& ref) {
  ASSIGN_OR_RETURN(const auto story, client.get(intent_target(ref)));
  if (context.json()) {
    context.print_json(story);
    return kExitOk;
  }
  if (const auto* entries = find_array(story, "entries")) {
    context.print(intent_story(ref.session, *entries, context.style()));
  }
  return kExitOk;
}

Result<int> run_show(Context& context, const ShowOptions& options) {
  ASSIGN_OR_RETURN(auto subject, parse_session_or_intent(options.subject));
  ASSIGN_OR_RETURN(const auto client, context.client());
  if (!subject.intent) return show_session(context, client, subject.session);
  if (!subject.session.empty()) {
    return show_intent(context, client, {subject.session, *subject.intent});
  }
  ASSIGN_OR_RETURN(const auto found, find_pending(client, options.subject));
  return show_intent(context, client, found.ref);
}

}  // namespace

Command show_command() {
  auto options = std::make_shared<ShowOptions>();
  Command command("show", "show a session, or one intent's whole life");
  command.argument("SESSION[#N]", options->subject, "a session, or one of its intents",
                   Values::intent);
  command.run = [options](Context& context) { return run_show(context, *options); };
  return command;
}

}  // namespace gavel
