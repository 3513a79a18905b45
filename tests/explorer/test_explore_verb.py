"""The page from the command line, from Python and from a notebook."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from small_run import HOSTILE, Made

import whence as wh
from whence import accessor  # noqa: F401  scores.whence is registered on import
from whence.cli.app import main
from whence.explorer import notebook

Run = Callable[..., tuple[int, str, str]]
HEAVY = ("torch", "sklearn", "matplotlib", "plotly", "cyclopts", "IPython")


@pytest.fixture
def whence(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        return (main([str(word) for word in words]), *capsys.readouterr())

    return call


@pytest.fixture
def serving(made: Made) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server in another process, and its port."""
    words = [sys.executable, "-m", "whence.cli.app", "explore", str(made.folder), "--no-browser"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
    assert found, line
    yield process, int(found[1])
    process.kill()
    process.wait()
    process.stderr.close()


def test_it_serves_until_it_is_interrupted(serving: tuple[subprocess.Popen[str], int]) -> None:
    process, port = serving
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/about") as answer:
        assert json.load(answer)["counts"]["train"] == 300
    # As they come: no client puts these paths in order first.
    for path in ("/static/../app.py", "/static/..", "/static/%2e%2e", "/../../etc/passwd", "//etc/passwd", "/api/../x"):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 404, path
        assert "error" in json.load(answer)
        connection.close()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 421
    connection.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == "ended\n"


def test_the_server_stays_light(made: Made) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from page_client import Client
from whence.explorer import serve
from whence.explorer.served import Served
client = Client(Served.open({str(made.folder)!r}))
with client.http:
    client.http.get("/"), client.http.get("/plotly.js")
    client.get("/api/about"), client.get("/api/why", query=0, method="influence")
    client.http.get("/sprite?side=train&sheet=0"), client.post("/api/flags", {{"position": 0, "flag": True}})
    client.http.get("/api/flags.csv"), client.http.get("/api/report?queries=0&methods=influence")
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_a_folder_that_is_no_run(whence: Run, tmp_path: Path) -> None:
    code, out, err = whence("explore", tmp_path, "--no-browser")
    assert (code, out) == (1, "")
    assert "holds no run" in err
    assert whence("explore", tmp_path, "--port", "0")[0] == 2
    assert whence("explore", tmp_path, "--port", "99999")[0] == 2


def test_a_port_that_is_taken(whence: Run, made: Made) -> None:
    with notebook.serve.listening(None) as listener:
        code, _, err = whence("explore", made.folder, "--no-browser", "--port", listener.getsockname()[1])
    assert code == 1
    assert "leave --port out, or give another" in err


def test_the_report_of_some_queries(whence: Run, made: Made, tmp_path: Path) -> None:
    code, out, err = whence("report", made.folder, "--queries", "5003,5001")
    assert (code, err) == (0, "")
    assert out.startswith(f"{made.folder / 'page.html'}  ")
    text = (made.folder / "page.html").read_text(encoding="utf-8")
    assert '"queries":2' in text
    assert whence("report", made.folder, "--methods", "influence")[0] == 0
    assert '"queries":5' in (made.folder / "page.html").read_text(encoding="utf-8")
    assert whence("report", made.folder, "--queries", "5001", "-o", tmp_path / "mine.html")[0] == 0
    assert "no query '1'" in whence("report", made.folder, "--queries", "1")[2]
    assert "no method '../x'" in whence("report", made.folder, "--methods", "../x")[2]
    assert "no query is named" in whence("report", made.folder, "--queries", ",")[2]
    (tmp_path / "own.html").write_text("<html>mine</html>")
    assert whence("report", made.folder, "--queries", "5001", "-o", tmp_path / "own.html")[0] == 1
    assert (tmp_path / "own.html").read_text() == "<html>mine</html>"


def test_scores_show_themselves(made: Made, tmp_path: Path) -> None:
    shown = made.array().whence.show(query=[5002, 5000], k=3)
    frame = shown._repr_html_()
    assert frame.startswith("<iframe ")
    assert 'sandbox="allow-scripts allow-downloads"' in frame
    assert "allow-same-origin" not in frame
    assert frame.count("<") == 2
    assert '"queries":2' in shown.page
    assert '"k":3' in shown.page
    assert "/api/why?k=3\\u0026method=scores\\u0026query=1" in shown.page
    assert shown.save(tmp_path / "page.html").read_text(encoding="utf-8") == shown.page
    with pytest.raises(KeyError, match="no query 7"):
        made.array().whence.show(query=7)
    with pytest.raises(ValueError, match="k must be a whole number from 1 to 200"):
        made.array().whence.show(k=0)


def test_scores_with_their_data(made: Made) -> None:
    order = np.argsort(made.train_ids)
    pictures = made.pictures.astype("f4") / 255
    data = wh.as_examples((pictures[order, None], made.label[order]), ids=made.train_ids[order], classes=HOSTILE)
    shown = made.array().whence.show(train=data)
    assert '"kind":"image"' in shown.page
    assert "/sprite?sheet=0\\u0026side=train" in shown.page
    assert HOSTILE[0] not in shown.page
    with pytest.raises(KeyError):
        made.array().whence.show(train=wh.as_examples((pictures[:5, None], made.label[:5])))


def test_of_many_queries_the_hardest_are_shown(tmp_path: Path) -> None:
    made = Made(tmp_path / "run", train=5, queries=40)
    hardest = np.sort(np.argsort(-made.query_loss, kind="stable")[:24])
    text = made.array().whence.show().page
    assert '"queries":24' in text
    first = json.loads(re.findall(r'id="whence-data">(.*?)</script>', text, re.DOTALL)[0])["/api/queries"]
    assert len(first["id"]["i32"]) == 24 * 4 * 4 / 3
    assert f'"id":{made.query_ids[hardest[0]]}' in text


def test_a_notebook_is_not_kept_waiting(made: Made) -> None:
    async def cell() -> None:
        running = wh.explore(made.array(), browser=False)
        assert running is not None
        try:
            about = await asyncio.to_thread(lambda: urllib.request.urlopen(f"{running.address}api/about").read())
            assert json.loads(about)["counts"] == {"train": 300, "queries": 5}
            assert running.address in repr(running)
        finally:
            await asyncio.to_thread(running.stop)
        other = wh.explore(made.folder, browser=False)
        assert other is not None
        await asyncio.to_thread(other.stop)

    asyncio.run(cell())
    with pytest.raises(ValueError, match="leave train and queries out"):
        wh.explore(made.folder, train=1)
    with pytest.raises(ValueError, match="holds no run"):
        wh.explore(made.folder / "results", browser=False)
