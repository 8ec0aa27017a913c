"""The official MCP servers, what each of their tools is called with, and what of an answer may be
another each time. `WORLD` in a text stands for a directory that each run has for itself, `WEB`
for a loopback web server."""

import os
import re
import subprocess
from dataclasses import dataclass, field

DATE = "2026-07-28T12:00:00+0000"
GIT = {
    "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@localhost", "GIT_AUTHOR_DATE": DATE,
    "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@localhost",
    "GIT_COMMITTER_DATE": DATE, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
}


@dataclass
class Server:
    name: str
    program: list  # NODE, PYTHON and PEERS are replaced
    calls: list  # [tool, arguments]
    environment: dict = field(default_factory=dict)
    uncalled: list = field(default_factory=list)  # tools that nothing calls
    # Whether it runs once, over HTTP, for every run.
    http: bool = False
    # tool: a pattern of what is another each time in its results
    varies: dict = field(default_factory=dict)

    def command(self, places):
        """The same environment whoever starts it, so that no answer depends on that."""
        variables = {"PATH": os.environ["PATH"], "HOME": "WORLD", **self.environment}
        words = ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]
        return [replaced(word, places) for word in [*words, *self.program]]


def replaced(value, places):
    """`value` with WORLD and its like replaced in every text of it."""
    if isinstance(value, str):
        for name, place in places.items():
            value = value.replace(name, str(place))
        return value
    if isinstance(value, list):
        return [replaced(each, places) for each in value]
    if isinstance(value, dict):
        return {key: replaced(each, places) for key, each in value.items()}
    return value


def official(name):
    return ["NODE", f"PEERS/node_modules/@modelcontextprotocol/server-{name}/dist/index.js"]


CLOCK = r"\d\d?:\d\d:\d\d( [AP]M)?"
SESSION = r"session \S+"
EVERYTHING = [
    ["echo", {"message": "héllo ☃"}],
    ["get-annotated-message", {"messageType": "error", "includeImage": True}],
    ["get-env", {}],
    ["get-resource-links", {"count": 3}],
    ["get-resource-reference", {"resourceType": "Text", "resourceId": 1}],
    ["get-structured-content", {"location": "Chicago"}],
    ["get-sum", {"a": 19, "b": 23.5}],
    ["get-tiny-image", {}],
    ["gzip-file-as-resource", {"name": "a.gz", "data": "data:text/plain,hello",
                               "outputType": "resource"}],
    ["toggle-simulated-logging", {}],
    ["toggle-simulated-logging", {}],
    ["toggle-subscriber-updates", {}],
    ["toggle-subscriber-updates", {}],
    ["trigger-long-running-operation", {"duration": 0.2, "steps": 2}],
]
# It works as a task, which clients of these SDKs cannot call as they call others; through Gavel they
# can, so there is nothing to compare.
TASKS = ["simulate-research-query"]
ASKING = [
    ["get-roots-list", {}],
    ["trigger-elicitation-request", {}],
    ["trigger-url-elicitation", {"url": "https://example.org/", "elicitationId": "1"}],
    ["trigger-sampling-request", {"prompt": "say hello", "maxTokens": 10}],
]
VARIES = {"get-resource-reference": CLOCK, "toggle-simulated-logging": SESSION,
          "toggle-subscriber-updates": SESSION}

ADA = {"name": "Ada", "entityType": "person", "observations": ["counts"]}
ENGINE = {"name": "Engine", "entityType": "machine", "observations": []}
USES = {"from": "Ada", "to": "Engine", "relationType": "uses"}
MEMORY = [
    ["create_entities", {"entities": [ADA, ENGINE]}],
    ["create_relations", {"relations": [USES]}],
    ["add_observations", {"observations": [{"entityName": "Ada", "contents": ["writes"]}]}],
    ["read_graph", {}],
    ["search_nodes", {"query": "write"}],
    ["open_nodes", {"names": ["Engine"]}],
    ["delete_observations", {"deletions": [{"entityName": "Ada", "observations": ["counts"]}]}],
    ["delete_relations", {"relations": [USES]}],
    ["delete_entities", {"entityNames": ["Engine"]}],
    ["read_graph", {}],
    ["add_observations", {"observations": [{"entityName": "Nobody", "contents": ["x"]}]}],
]

FILES = "WORLD/files"
FILESYSTEM = [
    ["list_allowed_directories", {}],
    ["create_directory", {"path": f"{FILES}/new"}],
    ["write_file", {"path": f"{FILES}/new/a.txt", "content": "one\ntwo\nthree\n"}],
    ["edit_file", {"path": f"{FILES}/new/a.txt",
                   "edits": [{"oldText": "two", "newText": "zwei"}]}],
    ["read_file", {"path": f"{FILES}/new/a.txt"}],
    ["read_text_file", {"path": f"{FILES}/new/a.txt", "head": 2}],
    ["read_media_file", {"path": f"{FILES}/dot.png"}],
    ["read_multiple_files", {"paths": [f"{FILES}/new/a.txt", f"{FILES}/none"]}],
    ["list_directory", {"path": FILES}],
    ["list_directory_with_sizes", {"path": FILES}],
    ["directory_tree", {"path": FILES}],
    ["move_file", {"source": f"{FILES}/new/a.txt", "destination": f"{FILES}/b.txt"}],
    ["search_files", {"path": FILES, "pattern": "**/*.txt"}],
    ["get_file_info", {"path": f"{FILES}/b.txt"}],
    ["read_text_file", {"path": "/etc/hostname"}],
]

REPO = "WORLD/repo"
GIT_CALLS = [
    ["git_status", {"repo_path": REPO}],
    ["git_diff_unstaged", {"repo_path": REPO}],
    ["git_add", {"repo_path": REPO, "files": ["a.txt"]}],
    ["git_diff_staged", {"repo_path": REPO, "context_lines": 1}],
    ["git_commit", {"repo_path": REPO, "message": "second"}],
    ["git_commit", {"repo_path": REPO, "message": "nothing is staged"}],
    ["git_log", {"repo_path": REPO, "max_count": 5}],
    ["git_show", {"repo_path": REPO, "revision": "HEAD"}],
    ["git_diff", {"repo_path": REPO, "target": "HEAD~1"}],
    ["git_create_branch", {"repo_path": REPO, "branch_name": "side"}],
    ["git_checkout", {"repo_path": REPO, "branch_name": "side"}],
    ["git_branch", {"repo_path": REPO, "branch_type": "local"}],
    ["git_reset", {"repo_path": REPO}],
]

THOUGHT = {"nextThoughtNeeded": True, "totalThoughts": 2}
SERVERS = [
    Server("everything", official("everything"), [*ASKING, *EVERYTHING], uncalled=TASKS,
           varies=VARIES),
    Server("everything-http", [*official("everything"), "streamableHttp"],
           [*ASKING, *EVERYTHING], {"PORT": "PORT"}, uncalled=TASKS, http=True, varies=VARIES),
    Server("filesystem", [*official("filesystem"), FILES], FILESYSTEM,
           varies={"get_file_info": r"(created|modified|accessed): [^\n\\]+"}),
    Server("memory", official("memory"), MEMORY, {"MEMORY_FILE_PATH": "WORLD/memory.jsonl"}),
    Server("thinking", official("sequential-thinking"),
           [["sequentialthinking", {**THOUGHT, "thought": "first", "thoughtNumber": 1}],
            ["sequentialthinking", {**THOUGHT, "thought": "second", "thoughtNumber": 2,
                                    "isRevision": True, "revisesThought": 1}]]),
    Server("git", ["PYTHON", "-m", "mcp_server_git", "--repository", REPO], GIT_CALLS, GIT),
    # Without Node in its PATH it parses pages itself.
    Server("fetch", ["PYTHON", "-m", "mcp_server_fetch", "--allow-private-ips"],
           [["fetch", {"url": "WEB/page"}],
            ["fetch", {"url": "WEB/page", "raw": True, "max_length": 20, "start_index": 5}],
            ["fetch", {"url": "WEB/missing"}]], {"PATH": "/nowhere"}),
    Server("time", ["PYTHON", "-m", "mcp_server_time", "--local-timezone", "Europe/Vienna"],
           [["get_current_time", {"timezone": "Asia/Tokyo"}],
            ["convert_time", {"source_timezone": "UTC", "time": "12:30",
                              "target_timezone": "Asia/Kolkata"}],
            ["get_current_time", {"timezone": "Moon/Crater"}]],
           varies={tool: r"\d{4}-\d\d-\d\dT[0-9:+-]+|\b[A-Z][a-z]+day\b"
                   for tool in ("get_current_time", "convert_time")}),
]

DOT = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000")


def make_world(directory):
    """What the servers work on, the same in every world."""
    files, repo = directory / "files", directory / "repo"
    (files / "sub").mkdir(parents=True)
    (files / "sub" / "deep.txt").write_text("deep\n")
    (files / "dot.png").write_bytes(DOT)
    repo.mkdir()
    environment = {"PATH": os.environ["PATH"], **GIT}

    def git(*words):
        subprocess.run(["git", "-C", repo, *words], env=environment, check=True)

    git("init", "--quiet", "--initial-branch=main")
    (repo / "a.txt").write_text("one\ntwo\n")
    git("add", "a.txt")
    git("commit", "--quiet", "--message=first")
    (repo / "a.txt").write_text("one\nzwei\n")
    return directory


UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
