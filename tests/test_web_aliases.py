"""The older systems' clients still work: a summariser with a feedback service, a bot with two modes."""

from __future__ import annotations

from web_helpers import ScriptedEngine, error_of, make_app

from minigpt.web.routes.aliases import USERS, Histories

pytest_plugins = ["web_fixtures"]


def ask(client, query, **body):
    return client.post("/gpt2", json={"query": query, **body}).get_json()["response"]


# The bot's own three integration tests ...


def test_three_questions_make_a_history_of_six(client):
    for _ in range(3):
        history = ask(client, "How are you?", user="anna")
    assert len(history) == 6 and history == client.get("/chat?user=anna").get_json()["response"]


def test_one_question_makes_a_history_of_two(client):
    history = ask(client, "How are you?", user="anna")
    assert len(history) == 2 and history[0] == "How are you?"


def test_clearing_leaves_nothing(client):
    ask(client, "How are you?", user="anna")
    assert client.delete("/clear?user=anna").get_json() == {"response": []}
    assert client.get("/chat?user=anna").get_json() == {"response": []}


# ... and what they did not ask.


def test_users_never_see_each_others_lines(client):
    ask(client, "Good morning, baker", user="anna")
    assert ask(client, "What is for sale?", user="boris")[0] == "What is for sale?"
    assert client.get("/chat?user=anna").get_json()["response"][0] == "Good morning, baker"
    client.delete("/clear?user=boris")
    assert len(client.get("/chat?user=anna").get_json()["response"]) == 2
    assert client.get("/chat").get_json() == {"response": []}


def test_a_dialogue_hears_what_was_said_and_a_question_does_not(models, tmp_path):
    engine = None

    def make(model):
        nonlocal engine
        engine = ScriptedEngine(model, model.tokenizer.encode(" Fine."))
        return engine

    app = make_app(models, tmp_path, make)
    client = app.test_client()
    for mode in ("dialogue", "dialogue", "qa"):
        ask(client, "How are you?", user="anna", mode=mode)
    heard = [len(ticket.job.ids) for ticket in engine.tickets]
    assert heard[1] > heard[0] == heard[2]
    app.close()


def test_a_long_talk_is_cut_by_whole_turns(client):
    for i in range(40):
        history = ask(client, f"Number {i}?", user="anna")
    assert len(history) == 64 and history[-2] == "Number 39?"


def test_histories_are_bounded():
    histories = Histories()
    for i in range(USERS + 1):
        histories.add(str(i), {"role": "user", "content": "x"})
    assert histories.get("0") == [] and len(histories.get(str(USERS))) == 1


def test_mistakes_are_told_as_everywhere(client):
    assert error_of(client.post("/gpt2", json={"user": "anna"}))["param"] == "query"
    assert error_of(client.post("/gpt2", json={"query": ""}))["param"] == "query"
    assert error_of(client.post("/summarize", json={"txt": "x"}))["param"] == "txt"
    assert error_of(client.get("/inference"))["param"] == "text"


def test_summaries_and_their_score(client):
    for route in ("/summarize", "/summarize_better"):
        answer = client.post(route, json={"text": "Boats leave early."}).get_json()
        assert set(answer) == {"summary"}
        assert client.post(route, json={"text": "Boats leave early."}).get_json() == answer
    scored = client.post("/infer", json={"text": "Boats leave.", "summary": "Boats."}).get_json()
    assert scored["result"] is None and "run_reward.py" in scored["reason"]
    posted = client.post("/inference", json={"text": "Boats leave early."}).get_json()
    assert set(posted) == {"inference_results0", "inference_results1"}
    assert client.get("/inference?text=Boats leave early.").get_json() == posted
