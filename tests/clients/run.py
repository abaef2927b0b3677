#!/usr/bin/env python
"""Other people's clients talk to our server: OpenAI's, LangChain's, LiteLLM's, and the command `llm`.

    python tests/clients/run.py              each chats, streams, and goes on for 40 turns
    python tests/clients/run.py --keep DIR   keeps the clients' environment there, and takes it from there again

The clients are installed from PyPI into an environment of their own, so that what they need and what minigpt needs
cannot get into each other's way. The server answers with the shipped model.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def environment(folder: Path) -> Path:
    """The Python of an environment that holds the clients."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.is_file():
        venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt"], check=True)
    return python


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where the environment stays (default: nowhere)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        python = environment(arguments.keep.resolve() if arguments.keep else Path(temporary) / "venv")
        words = ["--no-browser", "--port", "0", "--model", "trained_models/shipped/ppo"]
        server = subprocess.Popen(
            [sys.executable, "run_chat.py", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        try:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            if found is None:
                print("The server did not start: run_chat.py says why.", file=sys.stderr)
                return 1
            return subprocess.run([python, HERE / "talk.py", f"{found[0]}v1", temporary]).returncode
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    sys.exit(main())
