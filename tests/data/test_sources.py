"""Promises of the download: whole and checked, or an error and nothing left behind."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import json
import os
import threading
import zipfile

import pandas as pd
import pytest

from gridloom.data import sources
from gridloom.data.sources import Limits, download, write_provenance
from gridloom.errors import DataError, StudyError
from gridloom.study.sources import BUILTIN, local_sources, shown, table_format, why_no_source

CSV = b"a,b,target\n1,2,x\n3,4,y\n"


class Handler(http.server.BaseHTTPRequestHandler):
    fails = 0
    over = threading.Event()

    def do_GET(self):
        if self.path == "/flaky.csv" and type(self).fails > 0:
            type(self).fails -= 1
            self.send_error(503)
        elif self.path.partition("?")[0] in ("/data.csv", "/flaky.csv"):
            self.answer(CSV, "text/csv")
        elif self.path == "/page":
            self.answer(b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "text/html")
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(CSV * 1000)
        elif self.path == "/drip":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while not self.over.wait(0.05):
                    self.wfile.write(b"1")
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
        Handler.over.set()
        running.shutdown()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(sources.time, "sleep", lambda seconds: None)


def bring(folder, source, **options):
    notes = download(source, table=folder / "raw.csv", **{"format": "csv", **options})
    return (folder / "raw.csv").read_bytes(), notes


def refused(folder, source, **options):
    with pytest.raises(DataError) as caught:
        bring(folder, source, **options)
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
    write_provenance(tmp_path / "raw.json", [notes])
    assert json.loads((tmp_path / "raw.json").read_text()) == [notes]
    assert notes == {
        "source": f"{server}/data.csv",
        "format": "csv",
        "bytes": len(CSV),
        "sha256": hashlib.sha256(CSV).hexdigest(),
    }


def test_a_local_file_is_copied_and_checked(tmp_path):
    source = tmp_path / "mine.csv"
    source.write_bytes(CSV)
    folder = tmp_path / "data"
    content, _ = bring(folder, str(source), sha256=hashlib.sha256(CSV).hexdigest())
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
    ("path", "message"),
    [
        ("/none.csv", "the server answered 404 Not Found; check the address"),
        ("/page", "is a web page, not a table; use the address of the file itself"),
        ("/empty", "is empty"),
    ],
)
def test_a_download_that_is_not_a_table_is_refused(tmp_path, server, path, message):
    assert message in refused(tmp_path, server + path)


def test_a_download_has_limits_of_size_and_time(tmp_path, server):
    message = refused(tmp_path, f"{server}/endless", limits=Limits(size=2**20))
    assert "/endless is larger than 0.000977 GiB; if you trust it, raise limits.gib" in message
    message = refused(tmp_path, f"{server}/drip", limits=Limits(seconds=0.5))
    assert "/drip takes longer than 0.00833 minutes; download it by hand" in message


def test_a_downloaded_file_has_the_permissions_of_other_files(tmp_path, server):
    before = os.umask(0o027)
    try:
        bring(tmp_path, f"{server}/data.csv")
    finally:
        os.umask(before)
    assert (tmp_path / "raw.csv").stat().st_mode & 0o777 == 0o640


def test_a_wrong_checksum_is_reported_with_both_sums(tmp_path, server):
    message = refused(tmp_path, f"{server}/data.csv", sha256="0" * 64)
    assert hashlib.sha256(CSV).hexdigest() in message
    assert "0" * 64 in message


def test_an_unreachable_server_is_named(tmp_path):
    message = refused(tmp_path, "http://127.0.0.1:9/data.csv")
    assert "no answer from 127.0.0.1:9 (ConnectionError), tried 3 times" in message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("builtin:breast-cancer", "did you mean 'breast_cancer'?"),
        ("builtin:mnist", "known are breast_cancer, diabetes"),
        ("nowhere.csv", "nowhere.csv cannot be read (No such file or directory)"),
        (".", "is a folder; name a file in it"),
        ("http://", "is not an address"),
        ("openml:iris", "give the number of the set: openml:61"),
        ("s3://bucket/data.csv", "s3:// is not supported; download the file"),
        ("https://me:secret@example.org/data.csv", "put them into ~/.netrc"),
        ("https://token@example.org/data.csv", "holds a user name or password"),
        ("https://example.org:x/data.csv", "cannot be read; check its host and port"),
    ],
)
def test_a_missing_source_is_named(tmp_path, source, message):
    assert message in refused(tmp_path, source)


@pytest.mark.parametrize(
    ("source", "member", "expected"),
    [
        ("builtin:iris", None, "csv"),
        ("openml:61", None, "parquet"),
        ("wdbc.data", None, "csv"),
        ("data/mine.TSV.gz", None, "tsv"),
        ("https://example.org/a.b/mnist.npz?download=1", None, "npz"),
        ("https://example.org/download?id=3", None, "csv"),
        ("archive.zip", "part/rows.parquet", "parquet"),
    ],
)
def test_the_ending_gives_the_format(source, member, expected):
    assert table_format(source, None, member) == expected
    assert table_format(source, "tsv", member) == "tsv"


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return str(path)


def test_gzip_and_zip_files_are_unpacked_after_their_sum_is_taken(tmp_path):
    packed = tmp_path / "mine.csv.gz"
    packed.write_bytes(gzip.compress(CSV))
    content, notes = bring(tmp_path / "a", str(packed))
    assert content == CSV
    assert notes["sha256"] == hashlib.sha256(packed.read_bytes()).hexdigest()
    one = zipped(tmp_path / "one.zip", **{"folder/": b"", "mine.csv": CSV, "__MACOSX/x": b"?"})
    content, notes = bring(tmp_path / "b", one)
    assert content == CSV
    assert notes["member"] == "mine.csv"


def test_the_study_names_one_of_several_files_in_a_zip(tmp_path):
    many = zipped(tmp_path / "many.zip", **{"wdbc.data": CSV, "wdbc.names": b"about"})
    assert bring(tmp_path / "a", many, member="wdbc.data")[0] == CSV
    (tmp_path / "b").mkdir()
    assert "holds 2 files; name one: wdbc.data, wdbc.names" in refused(tmp_path / "b", many)
    message = refused(tmp_path / "b", many, member="wdbc.dat")
    assert "there is no 'wdbc.dat'" in message
    assert "did you mean 'wdbc.data'?" in message


def test_names_in_an_archive_never_become_paths(tmp_path):
    trap = zipped(tmp_path / "trap.zip", **{"../../escaped.csv": CSV})
    folder = tmp_path / "a" / "b" / "c"
    assert bring(folder, trap)[0] == CSV
    assert list(tmp_path.rglob("escaped*")) == []
    assert [path.name for path in folder.iterdir()] == ["raw.csv"]


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    limits = Limits(size=2**20)
    bomb = zipped(tmp_path / "bomb.zip", **{"a.csv": b"0" * (2**20 + 1)})
    (tmp_path / "a").mkdir()
    assert "unpacks to more than" in refused(tmp_path / "a", bomb, limits=limits)
    packed = tmp_path / "bomb.csv.gz"
    packed.write_bytes(gzip.compress(b"0" * (2**20 + 1)))
    message = refused(tmp_path / "a", str(packed), limits=limits)
    assert "unpacks to more than 0.000977 GiB; if you trust it, raise limits.gib" in message


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (gzip.compress(CSV, mtime=0)[:-9], {}, "is a damaged archive"),
        (b"PK\x03\x04 and no more", {}, "is a damaged archive"),
        (CSV, {"member": "a"}, "is not a zip file; remove the key"),
        (gzip.compress(b"", mtime=0), {}, "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", {}, "run `git lfs pull`"),
    ],
)
def test_a_bad_archive_is_refused(tmp_path, content, options, message):
    packed = tmp_path / "packed"
    packed.write_bytes(content)
    (tmp_path / "a").mkdir()
    assert message in refused(tmp_path / "a", str(packed), **options)


def test_an_excel_workbook_is_recognized(tmp_path):
    book = zipped(tmp_path / "b.xlsx", **{"xl/workbook.xml": b"<x/>", "[Content_Types].xml": b""})
    (tmp_path / "a").mkdir()
    assert "is an Excel workbook; save its sheet as CSV" in refused(tmp_path / "a", book)


def test_secrets_of_an_address_reach_neither_provenance_nor_messages(tmp_path, server):
    address = f"{server}/data.csv?id=3&token=hunter2&X-Amz-Signature=abc"
    assert shown(address) == f"{server}/data.csv?id=3&token=…&X-Amz-Signature=…"
    assert "hunter2" not in json.dumps(bring(tmp_path / "a", address)[1])
    (tmp_path / "b").mkdir()
    assert "hunter2" not in refused(tmp_path / "b", address.replace("data.csv", "none.csv"))


def test_a_local_source_that_is_missing_is_a_mistake_of_the_study(tmp_path):
    (tmp_path / "here.csv").write_bytes(CSV)
    here = str(tmp_path / "here.csv")
    assert local_sources(here, None, "builtin:iris", "http://example.org") == [here]
    with pytest.raises(StudyError, match="does not exist"):
        local_sources(here, str(tmp_path / "there.csv"))
    with pytest.raises(StudyError, match="is a folder"):
        local_sources(str(tmp_path))


@pytest.mark.parametrize("source", ["builtin:iris", "openml:61", "x.csv", "https://a.org/x?y=1"])
def test_good_sources_pass(source):
    assert why_no_source(source) is None


class OpenML(http.server.BaseHTTPRequestHandler):
    """Serves one data set as OpenML's interface of version 1 does."""

    rows = "1.5,a,yes\n2.5,b,no\n?,a,yes\n"

    def do_GET(self):
        base = f"http://127.0.0.1:{self.server.server_port}"
        arff = (
            "@relation tiny\n@attribute size real\n@attribute kind {a, b}\n"
            f"@attribute class {{yes, no}}\n@data\n{self.rows}"
        )
        feature = {
            "is_ignore": "false",
            "is_row_identifier": "false",
            "number_of_missing_values": "0",
        }
        answers = {
            "/api/v1/json/data/7": {
                "data_set_description": {
                    "id": "7",
                    "name": "tiny",
                    "version": "1",
                    "format": "ARFF",
                    "status": "active",
                    "file_id": "9",
                    "default_target_attribute": "class",
                    "description": "",
                    "md5_checksum": hashlib.md5(arff.encode()).hexdigest(),
                    "url": f"{base}/data/v1/download/9",
                }
            },
            "/api/v1/json/data/features/7": {
                "data_features": {
                    "feature": [
                        {
                            **feature,
                            "index": "0",
                            "name": "size",
                            "data_type": "numeric",
                            "is_target": "false",
                        },
                        {
                            **feature,
                            "index": "1",
                            "name": "kind",
                            "data_type": "nominal",
                            "is_target": "false",
                            "nominal_value": ["a", "b"],
                        },
                        {
                            **feature,
                            "index": "2",
                            "name": "class",
                            "data_type": "nominal",
                            "is_target": "true",
                            "nominal_value": ["yes", "no"],
                        },
                    ]
                }
            },
            "/api/v1/json/data/qualities/7": {
                "data_qualities": {"quality": [{"name": "NumberOfInstances", "value": "3"}]}
            },
        }
        if self.path.startswith("/data/v1/download/9"):
            body = arff.encode()
        elif self.path in answers:
            body = json.dumps(answers[self.path]).encode()
        else:
            self.send_error(412)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_an_openml_set_is_downloaded_through_scikit_learn(tmp_path, monkeypatch):
    from sklearn.datasets import _openml

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), OpenML) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{running.server_port}/"
        for name in ("_DATA_INFO", "_DATA_FEATURES", "_DATA_QUALITIES"):
            address = getattr(_openml, name).replace("https://www.openml.org/", base)
            monkeypatch.setattr(_openml, name, address)
        bring(tmp_path / "a", "openml:7", format="parquet")
        (tmp_path / "b").mkdir()
        message = refused(tmp_path / "b", "openml:8", format="parquet")
        running.shutdown()
    table = pd.read_parquet(tmp_path / "a" / "raw.csv")
    assert table.shape == (3, 3)
    assert list(table["class"]) == ["yes", "no", "yes"]
    assert table["size"].isna().sum() == 1
    assert "openml:8" in message
