"""What each client does: chat, stream, and talk for 40 turns, with the history that it keeps itself. Runs in the
clients' environment, as `python talk.py BASE_URL FOLDER`; the folder is for what they write."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

MODEL = "shipped/ppo"
QUESTION = "Where does Max Chase live?"
TURNS = 40
OTHERS = ("How are you?", "Who lives on Maple Street?", "What does the baker do?", QUESTION)


def asked(turn: int) -> str:
    """The question of a turn; every fourth one, and so the last, is one whose answer is known."""
    return OTHERS[turn % len(OTHERS)]


def openai_client(url: str, folder: Path) -> list[str]:
    from openai import OpenAI

    client = OpenAI(base_url=url, api_key="none", max_retries=0)
    question = [{"role": "user", "content": QUESTION}]
    usual = {"model": MODEL, "temperature": 0}
    whole = client.chat.completions.create(messages=question, **usual).choices[0].message.content
    chunks = client.chat.completions.create(messages=question, stream=True, **usual)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole
    with client.chat.completions.stream(messages=question, **usual) as stream:
        assert stream.get_final_completion().choices[0].message.content == whole
    history: list[dict] = [{"role": "developer", "content": [{"type": "text", "text": "Be kind."}]}]
    for turn in range(TURNS):
        history.append({"role": "user", "content": asked(turn)})
        reply = client.chat.completions.create(messages=history, max_tokens=8192, n=1, user="lab-7", **usual)
        history.append(reply.choices[0].message.model_dump())
    assert reply.minigpt["dropped"] > 0
    texts = client.completions.create(model="shipped/pretrain", prompt=["Max Chase", "The town"], max_tokens=5)
    assert len(texts.choices) == 2
    return [whole, history[-1]["content"]]


def langchain_client(url: str, folder: Path) -> list[str]:
    from langchain_core.messages import HumanMessage, SystemMessage
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(base_url=url, api_key="none", model=MODEL, temperature=0, max_retries=0)
    whole = chat.invoke(QUESTION).content
    assert "".join(chunk.content for chunk in chat.stream(QUESTION)) == whole
    history = [SystemMessage("Be kind.")]
    for turn in range(TURNS):
        history.append(HumanMessage([{"type": "text", "text": asked(turn)}]))
        history.append(chat.invoke(history))
    return [whole, history[-1].content]


def litellm_client(url: str, folder: Path) -> list[str]:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it would ask the network for prices
    import litellm

    def answer(messages: list, **options: object) -> object:
        usual = {"model": f"openai/{MODEL}", "api_base": url, "api_key": "none", "temperature": 0, "num_retries": 0}
        return litellm.completion(messages=messages, **usual, **options)

    question = [{"role": "user", "content": QUESTION}]
    whole = answer(question).choices[0].message.content
    assert "".join(chunk.choices[0].delta.content or "" for chunk in answer(question, stream=True)) == whole
    history: list = [{"role": "system", "content": "Be kind."}]
    for turn in range(TURNS):
        history.append({"role": "user", "content": asked(turn)})
        history.append(answer(history).choices[0].message.model_dump())
    return [whole, history[-1]["content"]]


def llm_command(url: str, folder: Path) -> list[str]:
    known = {"model_id": "town", "model_name": MODEL, "api_base": url}
    (folder / "extra-openai-models.yaml").write_text(json.dumps([known]), encoding="utf-8")  # JSON is YAML as well

    def llm(*words: str, typed: str = "") -> str:
        environment = {**os.environ, "LLM_USER_PATH": str(folder), "PYTHONUTF8": "1"}
        done = subprocess.run([sys.executable, "-m", "llm", *words, "--key", "none"], env=environment, input=typed,
                              capture_output=True, text=True, encoding="utf-8")  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    usual = ("-m", "town", "-o", "temperature", "0")
    whole = llm(QUESTION, *usual, "--no-stream").strip()
    assert llm(QUESTION, *usual).strip() == whole  # it streams unless told otherwise
    said = llm("chat", *usual, "-s", "Be kind.", typed="\n".join([*map(asked, range(TURNS)), "exit", ""]))
    replies = re.findall(r"^> (.+)$", said, re.MULTILINE)
    assert len(replies) == TURNS, said
    assert llm("And who are you?", "-c", "-m", "town").strip()
    return [whole, replies[-1].strip()]


CLIENTS: dict[str, Callable[[str, Path], list[str]]] = {
    "openai": openai_client, "langchain-openai": langchain_client, "litellm": litellm_client, "llm": llm_command,
}  # fmt: skip


def plainly(url: str) -> str:
    """The answer without any client."""
    body = {"model": MODEL, "temperature": 0, "messages": [{"role": "user", "content": QUESTION}]}
    request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)["choices"][0]["message"]["content"]


def main() -> int:
    url, folder = sys.argv[1], Path(sys.argv[2])
    for _ in range(240):  # until the model is loaded
        try:
            urllib.request.urlopen(url.removesuffix("v1") + "health", timeout=5)
            break
        except OSError:
            time.sleep(0.25)
    expected = plainly(url)
    wrong = 0
    for name, talk in CLIENTS.items():
        try:
            first, last = talk(url, folder)
            right = first == expected and bool(last.strip())
            print(f"{name}: {'chat, stream and 40 turns are fine' if right else 'answers what it should not'}; "
                  f"first {first.strip()!r}, 40th {last.strip()!r}", flush=True)  # fmt: skip
        except Exception as error:
            right = False
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
        wrong += not right
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
