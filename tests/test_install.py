"""What `pip install` brings: the wheel and the sdist, each in an environment and a folder with nothing else in them."""

import os
import re
import subprocess
import sys
import tarfile
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the sdist and the wheel that was made from it, as for PyPI. The build backend is that of the
    environment, so that no network is needed."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


def run(*words, cwd, status=0, **variables):
    """Run a command where no clone is near; returns what it printed."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MINIGPT_CORPORA")}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment | variables, capture_output=True, text=True,
        encoding="utf-8", timeout=600,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["*.whl", "*.tar.gz"])
def installed(built, request, tmp_path_factory):
    """The `minigpt` command of an environment that has the package itself, and borrows all others from this one."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    python = next(scripts.glob("python*"))
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-build-isolation", "--no-index",
        next(built.glob(request.param)), cwd=home, PYTHONPATH=os.pathsep.join(packages()))  # fmt: skip
    # After the environment's own folder, so that the package that is tested is the installed one.
    (site / "borrowed.pth").write_text("\n".join(packages()), encoding="utf-8")
    return next(scripts.glob("minigpt*"))


def packages():
    """Where this environment keeps its packages; a clone on the path is left out."""
    return [path for path in sys.path if path.rstrip("/\\").endswith("site-packages")]


def test_the_wheel_holds_the_models_and_the_scripts_and_nothing_else_beside_the_package(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"minigpt"}
    for stage in ("pretrain", "sft", "reward", "ppo"):
        assert f"minigpt/shipped/{stage}/model.safetensors" in names
        assert f"minigpt/scripts/run_{stage}.py" in names
    tracked = run("git", "ls-files", "minigpt", cwd=ROOT).split() if (ROOT / ".git").exists() else []
    assert set(tracked) <= set(names)


def test_the_sdist_holds_what_a_clone_holds(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"README.md", "run_sft.py", "lessons/README.md", "trained_models/shipped/ppo/model.safetensors"} <= names
    assert not any(name.startswith((".venv", "trained_models/tinytown", "corpora/tinytown")) for name in names)
    if (ROOT / ".git").exists():
        kept = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
        files = {name for name in names if (ROOT / name).is_file()}
        assert files <= set(kept), f"git ignores {min(files - set(kept))}"


def test_one_question_is_answered_at_once(installed, tmp_path):
    said = run(installed, "chat", "--ask", "Where does Max Chase live?", cwd=tmp_path)
    assert "Forest Road" in said
    assert {path.name for path in tmp_path.iterdir()} == {"trained_models"}
    assert run(installed, "chat", "--ask", "Where does Max Chase live?", "--seed", "1", "--model",
               "trained_models/shipped/sft", cwd=tmp_path)  # fmt: skip


def test_the_commands_train_where_one_stands(installed, tmp_path):
    small = ["--steps", "2", "--batch-size", "2", "--device", "cpu"]
    said = run(installed, "pretrain", "--depth", "1", *small, cwd=tmp_path)
    assert re.search(r"next: .* -m minigpt sft", said), said
    run(installed, "sft", *small, cwd=tmp_path)
    assert (tmp_path / "trained_models" / "tinytown" / "sft" / "model.safetensors").is_file()
    assert "usage: minigpt ppo" in run(installed, "ppo", "--help", cwd=tmp_path)


def test_the_page_opens(installed, tmp_path):
    words = [str(installed), "chat", "--port", "0", "--no-browser"]
    server = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    try:
        url = server.stdout.readline().split()[1]
        with urllib.request.urlopen(url, timeout=30) as page:
            assert page.status == 200 and b"minigpt" in page.read()
    finally:
        server.terminate()
        server.wait(30)
