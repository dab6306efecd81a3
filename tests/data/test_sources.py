"""Promises of the download: whole and checked, or an error and nothing left behind."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading

import pandas as pd
import pytest

from gridloom.data import sources
from gridloom.data.sources import BUILTIN, download
from gridloom.errors import DataError

CSV = b"a,b,target\n1,2,x\n3,4,y\n"


class Handler(http.server.BaseHTTPRequestHandler):
    fails = 0

    def do_GET(self):
        if self.path == "/flaky.csv" and type(self).fails > 0:
            type(self).fails -= 1
            self.send_error(503)
        elif self.path in ("/data.csv", "/flaky.csv"):
            self.answer(CSV, "text/csv")
        elif self.path == "/page":
            self.answer(b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "text/html")
        elif self.path == "/empty":
            self.answer(b"", "text/csv")
        else:
            self.send_error(404)

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(sources.time, "sleep", lambda seconds: None)


def bring(folder, source, sha256=None):
    download(source, sha256, folder / "raw.csv", folder / "raw.json")
    return (folder / "raw.csv").read_bytes(), json.loads((folder / "raw.json").read_text())


def refused(folder, source, sha256=None):
    with pytest.raises(DataError) as caught:
        bring(folder, source, sha256)
    assert list(folder.iterdir()) == [], "something was left behind"
    return str(caught.value)


@pytest.mark.parametrize("name", BUILTIN)
def test_builtin_sets_come_without_a_network(tmp_path, name):
    bring(tmp_path, f"builtin:{name}")
    assert "target" in pd.read_csv(tmp_path / "raw.csv").columns


def test_breast_cancer_has_569_rows_30_features_and_named_classes(tmp_path):
    bring(tmp_path, "builtin:breast_cancer")
    table = pd.read_csv(tmp_path / "raw.csv")
    assert table.shape == (569, 31)
    assert table["target"].value_counts().to_dict() == {"benign": 357, "malignant": 212}


def test_source_size_and_sum_are_noted(tmp_path, server):
    content, notes = bring(tmp_path, f"{server}/data.csv")
    assert content == CSV
    assert notes == {
        "source": f"{server}/data.csv",
        "bytes": len(CSV),
        "sha256": hashlib.sha256(CSV).hexdigest(),
    }


def test_a_local_file_is_copied_and_checked(tmp_path):
    source = tmp_path / "mine.csv"
    source.write_bytes(CSV)
    folder = tmp_path / "data"
    content, _ = bring(folder, str(source), hashlib.sha256(CSV).hexdigest())
    assert content == CSV


def test_a_server_that_fails_for_a_while_is_asked_again(tmp_path, server):
    Handler.fails = 2
    assert bring(tmp_path / "data", f"{server}/flaky.csv")[0] == CSV
    Handler.fails = 3
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "answered 503 Service Unavailable, tried 3 times" in refused(
        empty, f"{server}/flaky.csv"
    )


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/none.csv", "the server answered 404 Not Found; check it"),
        ("/page", "is a web page, not a CSV file; use the address of the file itself"),
        ("/empty", "is empty"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, server, path, told):
    assert told in refused(tmp_path, server + path)


def test_a_wrong_checksum_tells_both_sums(tmp_path, server):
    told = refused(tmp_path, f"{server}/data.csv", "0" * 64)
    assert hashlib.sha256(CSV).hexdigest() in told
    assert "0" * 64 in told


def test_a_server_that_is_not_there_is_named(tmp_path):
    told = refused(tmp_path, "http://127.0.0.1:9/data.csv")
    assert "no answer from 127.0.0.1:9 (ConnectionError), tried 3 times" in told


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("builtin:breast-cancer", "did you mean 'breast_cancer'?"),
        ("builtin:mnist", "known are breast_cancer, diabetes"),
        ("nowhere.csv", "nowhere.csv cannot be read (No such file or directory)"),
        (".", "is a folder; name a CSV file"),
        ("http://", "is no address"),
    ],
)
def test_a_source_that_is_not_there_is_named(tmp_path, source, told):
    assert told in refused(tmp_path, source)
