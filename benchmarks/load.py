"""A classroom on one laptop: many streams at once against the chat page's server.

    python benchmarks/load.py                               starts a server on the shipped model, and ends it
    python benchmarks/load.py --url http://127.0.0.1:5000   measures one that is running

Prints tokens/s of all streams together against those of one alone, the slowest stream against the median one, the worst
answer time of /health meanwhile, and what happens to more requests than there are places. The model is asked for a
temperature of 2, so that its answers are as long as allowed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from serving import serving


@dataclass
class Result:
    """One request: HTTP status, tokens, and seconds to the first and to the last of them."""

    status: int
    tokens: int = 0
    first: float = 0.0
    seconds: float = 0.0
    retry_after: str = ""
    error: str = ""


class Client:
    """Speaks just enough HTTP to one server to measure it."""

    def __init__(self, url: str, model: str) -> None:
        parts = urlsplit(url)
        self.host, self.port, self.model = parts.hostname or "127.0.0.1", parts.port or 80, model

    async def _send(self, method: str, path: str, body: bytes = b"") -> tuple[asyncio.StreamReader, Any, int, Any]:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        head = f"{method} {path} HTTP/1.0\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status = int((await reader.readline()).split()[1])
        headers = {}
        while line := (await reader.readline()).decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return reader, writer, status, headers

    async def stream(self, tokens: int, seed: int) -> Result:
        """One streamed answer of up to `tokens` tokens."""
        request = {"model": self.model, "messages": [{"role": "user", "content": f"Where does Max live? {seed}"}],
                   "max_tokens": tokens, "temperature": 2, "top_p": 1, "seed": seed, "stream": True}  # fmt: skip
        began = time.perf_counter()
        reader, writer, status, headers = await self._send("POST", "/v1/chat/completions", json.dumps(request).encode())
        result = Result(status, retry_after=headers.get("retry-after", ""))
        done = status != 200
        while line := await reader.readline():
            if line.startswith(b"event: error"):
                result.error = "the stream broke off"
            elif line.startswith(b"data: [DONE]"):
                done = True
            elif line.startswith(b"data: "):
                chunk = json.loads(line[6:])
                result.first = result.first or time.perf_counter() - began
                result.tokens = chunk.get("usage", {}).get("completion_tokens", 0)
        writer.close()
        result.seconds = time.perf_counter() - began
        result.error = result.error or ("" if done else "the stream ended without [DONE]")
        return result

    async def health(self) -> float:
        """Seconds that /health takes."""
        began = time.perf_counter()
        reader, writer, status, _ = await self._send("GET", "/health")
        await reader.read()
        writer.close()
        if status != 200:
            raise RuntimeError(f"/health says {status}")
        return time.perf_counter() - began


async def watch(client: Client, times: list[float]) -> None:
    while True:
        times.append(await client.health())
        await asyncio.sleep(0.02)


async def together(client: Client, streams: int, tokens: int) -> tuple[list[Result], float, list[float]]:
    """All streams at once: their results, seconds in all, and the seconds of /health meanwhile."""
    times: list[float] = []
    watching = asyncio.create_task(watch(client, times))
    began = time.perf_counter()
    results = await asyncio.gather(*(client.stream(tokens, seed) for seed in range(streams)))
    seconds = time.perf_counter() - began
    watching.cancel()
    return results, seconds, times


async def measure(client: Client, streams: int, tokens: int, rounds: int) -> None:
    await client.stream(tokens, 0)  # the first one waits for the model to be loaded
    alone = [await client.stream(tokens, seed) for seed in range(8)]
    single = sum(r.tokens for r in alone) / sum(r.seconds for r in alone)
    print(f"one stream: {single:.0f} tokens/s, first token after {1000 * alone[-1].first:.0f} ms")
    for _ in range(rounds):
        results, seconds, times = await together(client, streams, tokens)
        failed = [r for r in results if r.status != 200 or r.error]
        speed = sum(r.tokens for r in results) / seconds
        took = sorted(r.seconds for r in results)
        print(
            f"{streams} streams: {speed:.0f} tokens/s ({speed / single:.1f} x one), {len(failed)} failed,"
            f" slowest {took[-1]:.2f} s, median {statistics.median(took):.2f} s"
            f" ({took[-1] / statistics.median(took):.2f} x), /health at worst {1000 * max(times):.0f} ms"
            f" of {len(times)}"
        )
    results, _, times = await together(client, 100, tokens)
    statuses = Counter(r.status for r in results)
    waits = {r.retry_after for r in results if r.status == 429}
    print(f"100 streams: {dict(statuses)}, Retry-After {', '.join(sorted(waits)) or '-'} s,"
          f" /health at worst {1000 * max(times):.0f} ms")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a running server (default: start one)")
    parser.add_argument("--model", default="shipped/sft")
    parser.add_argument("--streams", type=int, default=30)
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    address = contextlib.nullcontext(arguments.url) if arguments.url else serving("--device", "cpu")
    with address as url:
        asyncio.run(measure(Client(url, arguments.model), arguments.streams, arguments.tokens, arguments.rounds))


if __name__ == "__main__":
    main()
