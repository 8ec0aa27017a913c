"""A client on the official SDK of Python, which speaks either era: connects to each target of a
plan, lists its tools, makes its calls, and prints what came back as JSON {target: {tools, results}}."""

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
from mcp import types
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client


async def elicit(_, params):
    if getattr(params, "mode", "form") == "url":
        return types.ElicitResult(action="accept")
    return types.ElicitResult(action="accept", content={"name": "Ada", "check": True})


async def sample(_, params):
    said = [message.model_dump(mode="json", by_alias=True, exclude_none=True)
            for message in params.messages]
    text = f"You said: {json.dumps(said, separators=(',', ':'))}"
    return types.CreateMessageResult(
        model="a-script", role="assistant", stop_reason="endTurn",
        content=types.TextContent(type="text", text=text))


async def roots(_):
    return types.ListRootsResult(roots=[types.Root(uri="file:///tmp/peer", name="peer")])


def plain(value):
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


def failure(error):
    if isinstance(error, BaseExceptionGroup):
        return failure(error.exceptions[0])
    about = getattr(error, "error", None)
    return {"error": {"name": type(error).__name__, "message": str(error),
                      "code": getattr(about, "code", None), "data": getattr(about, "data", None)}}


async def call(client, name, arguments):
    try:
        return plain(await client.call_tool(name, arguments))
    except Exception as error:
        return failure(error)


async def visit(target):
    async with AsyncExitStack() as stack:
        if "url" in target:
            http = await stack.enter_async_context(
                httpx2.AsyncClient(headers=target.get("headers", {}), timeout=60))
            transport = streamable_http_client(target["url"], http_client=http)
        else:
            quiet = stack.enter_context(open(os.devnull, "w"))
            command, *arguments = target["command"]
            transport = stdio_client(
                StdioServerParameters(command=command, args=arguments), errlog=quiet)
        mode = "legacy" if target["era"] == "2025-11-25" else target["era"]
        client = await stack.enter_async_context(
            Client(transport, mode=mode, cache=None, elicitation_callback=elicit,
                   sampling_callback=sample, list_roots_callback=roots))
        tools = [plain(tool) for tool in (await client.list_tools()).tools]
        results = [await call(client, *each) for each in target["calls"]]
        return {"tools": tools, "results": results}


async def attempt(target):
    try:
        return target["name"], await visit(target)
    except Exception as error:
        return target["name"], failure(error)


async def main():
    plan = json.loads(Path(sys.argv[1]).read_text())
    seen = dict(await asyncio.gather(*map(attempt, plan)))
    sys.stdout.write(json.dumps(seen))


asyncio.run(main())
