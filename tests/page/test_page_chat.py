"""The chat in a real Chromium, against a stand-in server that can misbehave."""

from __future__ import annotations

import json
import time

import pytest
from helpers.fake_server import ANSWER, FakeServer
from helpers.page_driver import Keys, browser

pytest_plugins = ["helpers.page_fixtures"]
pytestmark = browser

MARKUP = '<img src=x onerror="window.hacked=1"></script><script>window.hacked=1</script>'


def test_a_stream_survives_every_cut(page):
    events = page.driver.execute_async_script("""
        const done = arguments[0];
        import('/static/js/sse.js').then(({ EventReader }) => {
          const text = ': ok\\n\\ndata: {"a": "船🚢é"}\\n\\nevent: error\\r\\ndata: one\\r\\ndata:two\\r\\n\\r\\n: ping\\n\\ndata: [DONE]\\n\\n';
          const bytes = new TextEncoder().encode(text);
          const all = new Set();
          for (let i = 0; i <= bytes.length; i++) {
            for (const step of [bytes.length, 1]) {
              const reader = new EventReader();
              const events = [...reader.push(bytes.slice(0, i))];
              for (let at = i; at < bytes.length; at += step) events.push(...reader.push(bytes.slice(at, at + step)));
              all.add(JSON.stringify(events));
            }
          }
          done([...all]);
        });""")  # noqa: E501
    assert [json.loads(one) for one in events] == [[
        {"event": "message", "data": '{"a": "船🚢é"}'},
        {"event": "error", "data": "one\ntwo"},
        {"event": "message", "data": "[DONE]"},
    ]]  # fmt: skip


def test_chat_and_branches(quiet, fake):
    page = quiet
    page.ask("When does the ship sail?")
    assert page.text(".turn.assistant .text") == ANSWER
    assert page.text(".turn.user .bubble") == "When does the ship sail?"
    assert "seed 7" in page.text(".about") and ANSWER in page.text("#announcer")
    page.act("again")
    page.sees("2/2", ".branches")
    page.act("left")
    assert page.text(".branch-place") == "1/2"

    page.one("#prompt").send_keys(Keys.ARROW_UP)  # changes the question, as a branch of its own
    box = page.one(".editor textarea")
    box.clear()
    box.send_keys("echo another", Keys.ENTER)
    page.sees("another", ".turn.assistant .text")
    assert page.text(".turn.user .branch-place") == "2/2"
    page.open()  # everything is still there
    assert page.text(".turn.assistant .text") == "another"
    page.one(".turn.user [data-action=left]").click()
    assert page.text(".turn.assistant .text") == ANSWER

    page.ask("And then?")
    sent = fake.asked("/v1/chat/completions")[-1]
    assert [message["content"] for message in sent["messages"]] == ["When does the ship sail?", ANSWER, "And then?"]
    assert sent["mode"] == "dialogue" and sent["model"] == "tinytown/sft" and sent["chat_id"]


def test_a_question_outlives_a_page_that_is_closed_before_the_answer(page):
    page.ask("slow", wait=False)
    page.sees("word3", ".turn.assistant .text")
    page.open()
    assert page.text(".turn.user .text") == "slow" and not page.all(".turn.assistant")


@pytest.mark.parametrize("how", ["button", "escape"])
def test_stop(quiet, fake, how):
    page = quiet
    page.ask("slow", wait=False)
    page.sees("word3", ".turn.assistant .text")
    page.one("#stop").click() if how == "button" else page.press(Keys.ESCAPE)
    page.idle()
    shown = page.text(".turn.assistant .text")
    assert "stopped by you" in page.text(".about")
    assert fake.left_early.wait(5), "the server was not told"
    time.sleep(0.3)
    assert page.text(".turn.assistant .text") == shown
    page.ask("Still there?")
    assert page.text(".turn.assistant:last-child .text") == ANSWER


def test_what_was_dropped_or_cut_off_is_said(quiet):
    quiet.ask("dropped and long")
    assert "left out" in quiet.text(".dropped") and "2" in quiet.text(".dropped")
    assert "cut off" in quiet.text(".ended")


def test_busy_counts_down_and_tries_again(page, fake):
    fake.busy = 2
    page.ask("Hello?", wait=False)
    page.sees("Trying again in 1 s", ".state")
    page.idle()
    assert page.text(".turn.assistant .text") == ANSWER
    assert len(fake.asked("/v1/chat/completions")) == 3


def test_an_error_in_mid_stream_is_shown_with_what_had_come(page):
    page.ask("broken")
    assert page.text(".turn.assistant .text") == ANSWER and "the engine broke" in page.text(".state")


def test_a_stream_that_ends_in_silence_is_an_error(page):
    page.ask("vanish")
    assert page.text(".turn.assistant .text") == ANSWER and "does not answer" in page.text(".state")


def test_the_server_goes_and_comes_back(page, fake):
    port = fake.server_address[1]
    fake.close()
    page.ask("A long thought", wait=False)
    page.sees("does not answer", "#banner")
    assert page.one("#banner-retry").is_displayed()
    assert page.one("#prompt").get_property("value") == "A long thought", "the draft is kept"
    assert page.all(".turn") == []
    again = FakeServer(port)
    try:
        page.one("#banner-retry").click()
        page.until(lambda: not page.one("#banner").is_displayed())
        page.one("#prompt").send_keys(Keys.ENTER)
        page.idle()
        assert page.text(".turn.assistant .text") == ANSWER
    finally:
        again.close()


def test_keys(quiet, fake):
    page = quiet
    box = page.one("#prompt")
    box.send_keys("one", Keys.SHIFT + Keys.ENTER, Keys.NULL, "two")
    assert box.get_property("value") == "one\ntwo"
    for key in ("{key: 'Enter', isComposing: true}", "{key: 'Enter', keyCode: 229}"):
        page.run("const box = arguments[0]; box.dispatchEvent(new KeyboardEvent('keydown', "
                 f"{{...{key}, bubbles: true, cancelable: true}}))", box)  # fmt: skip
    assert fake.asked("/v1/chat/completions") == [], "an input method's Enter does not send"
    box.send_keys(Keys.ENTER)
    page.idle()
    assert page.text(".turn.user .bubble") == "one\ntwo"
    box.send_keys(Keys.CONTROL + Keys.SHIFT + "o")
    page.until(lambda: page.all(".turn") == [])
    assert len(page.all("#chat-list li")) == 1 and page.driver.switch_to.active_element == box


def test_settings_are_sent_and_an_answer_can_be_reproduced(quiet, fake):
    page = quiet
    page.one("#settings-button").click()
    names = {"temperature", "top_p", "top_k", "min_p", "repetition_penalty", "no_repeat_ngram"}
    names |= {"max_tokens", "seed", "stop"}
    assert {one.get_attribute("data-name") for one in page.all("#settings-list [data-name]")} == names
    assert all(one.text for one in page.all("#settings-list .meaning"))
    page.one("#setting-seed").send_keys("11")
    page.one("#setting-stop").send_keys("END")
    page.one("#setting-top_k").clear()
    page.one("#setting-top_k").send_keys("5")
    page.ask("With settings")
    sent = fake.asked("/v1/chat/completions")[-1]
    assert (sent["seed"], sent["top_k"], sent["stop"], sent["temperature"]) == (11, 5, ["END"], 0.7)
    page.act("seed")
    shown = page.text(".recipe")
    assert "seed 11" in shown and "curl " in shown and '"seed":11' in shown
    assert 'Turn("user", "With settings")' in shown and "Sampling(temperature=0.7" in shown and "seed=11" in shown
    page.choose("#setting-strategy", "greedy")
    page.ask("Greedily")
    assert fake.asked("/v1/chat/completions")[-1]["temperature"] == 0
    page.choose("#setting-strategy", "beam")
    page.ask("By beam")
    assert fake.asked("/api/beam")[-1]["beam_width"] == 3
    assert page.text(".turn.assistant:last-child .text") == " The ship"


def test_thumbs_and_modes(quiet, fake):
    page = quiet
    page.choose("#mode", "qa")
    page.ask("Alone")
    assert fake.asked("/v1/chat/completions")[-1]["mode"] == "qa"
    page.act("up")
    page.until(lambda: page.one("[data-action=up]").get_attribute("aria-pressed") == "true")
    page.act("up")
    page.until(lambda: page.one("[data-action=up]").get_attribute("aria-pressed") == "false")
    assert [body["thumb"] for body in fake.asked("/api/thumbs")] == ["up", "none"]


def test_export_import_and_forget(quiet, fake):
    page = quiet
    page.ask("echo first")
    page.act("again")
    page.sees("2/2", ".branches")
    exported, markdown = page.driver.execute_async_script("""
        const done = arguments[0];
        Promise.all([import('/static/js/history.js'), import('/static/js/transfer.js')]).then(([h, t]) => {
          const history = new h.History();
          const chat = history.open(history.list()[0].id);
          done([t.asJson(chat), t.asMarkdown(chat, {user: 'You', assistant: 'Model'})]);
        });""")
    assert json.loads(exported)["messages"] == [{"role": "user", "content": "echo first"},
                                                {"role": "assistant", "content": "first"}]  # fmt: skip
    assert "**You**" in markdown and "first" in markdown
    page.one("#forget").click()
    page.one("#forget-dialog button[value=yes]").click()
    page.until(lambda: page.all(".turn") == [] and page.all("#chat-list li") == [])
    assert page.run("return localStorage.getItem('minigpt.chats')") is None

    def put(text: str) -> None:
        page.run("""const files = new DataTransfer(); files.items.add(new File([arguments[0]], 'chat.json'));
                    const input = document.querySelector('#import-file'); input.files = files.files;
                    input.dispatchEvent(new Event('change'))""", text)  # fmt: skip

    put(exported)
    page.sees("first", ".turn.assistant .text")
    assert page.text(".turn.assistant .branch-place") == "2/2", "branches travel with the file"
    put(json.dumps({"messages": [{"role": "user", "content": "plain"}]}))
    page.sees("plain", ".turn.user .bubble")
    circle = [{"id": a, "parent": b, "role": "user", "content": ""} for a, b in ("ab", "ba")]
    for bad in ("no JSON", "{}", json.dumps({"chat": {"id": "x", "turns": circle, "chosen": {"": "a"}}})):
        put(bad)
        page.sees("no chat", "#toast")


def test_markup_is_text(quiet):
    page = quiet
    page.ask(f"echo {MARKUP}")
    assert page.text(".turn.assistant .text") == MARKUP and page.text(".turn.user .bubble") == f"echo {MARKUP}"
    assert MARKUP[:20] in page.text("#chat-list")
    page.run("document.querySelector('[data-action=look]').click()")
    page.until(lambda: page.all("#inside-tokens button"))
    page.go("compare")
    page.one("#compare-prompt").send_keys(f"echo {MARKUP}", Keys.ENTER)
    page.sees(MARKUP, ".column .text")
    page.go("vote")
    page.one("#vote-prompt").send_keys(f"echo {MARKUP}", Keys.ENTER)
    page.sees(MARKUP, "#answer-left .text")
    page.one("#search").send_keys("ship", Keys.ENTER)
    page.sees("the <b>ship</b> sails", ".snippet")
    page.go("training")
    page.sees("<i>sample 40</i>", "#samples")
    assert page.run("return window.hacked") is None
    assert page.run("return document.querySelectorAll('main img, main i, main script').length") == 0


def test_token(page, fake):
    fake.token = "apple tree"
    page.driver.get("about:blank")
    page.driver.get(fake.url)
    page.until(lambda: page.one("#token-dialog").is_displayed())
    page.one("#token-input").send_keys("apple tree", Keys.ENTER)
    page.until(lambda: page.run("return document.documentElement.dataset.page") == "running")
    page.ask("Inside?")
    assert page.text(".turn.assistant .text") == ANSWER
    page.run("sessionStorage.clear()")
    page.open("#token=apple%20tree")
    assert "token" not in page.driver.current_url
