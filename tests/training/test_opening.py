"""Promises of opening a request: what points share is made once, and made again if it changed."""

from __future__ import annotations

import json

from gridloom.training import opening
from gridloom.training.trainer import Trainer
from tests.made_requests import make_data, request_of


def test_rows_are_prepared_once_for_all_points_and_again_if_they_changed(tmp_path, monkeypatch):
    make_data(tmp_path, "builtin:iris")
    prepared = []

    def counted(*arguments):
        prepared.append(arguments)
        return prepare(*arguments)

    prepare = opening.prepare
    monkeypatch.setattr(opening, "prepare", counted)
    trainer = Trainer()
    before, _ = (trainer.run(request_of(tmp_path, epochs=epochs)) for epochs in (1, 2))
    assert len(prepared) == 2  # one for each repetition
    description = tmp_path / "split.json"
    content = json.loads(description.read_text())
    description.write_text(json.dumps({**content, "numeric": content["numeric"][1:]}))
    after = trainer.run(request_of(tmp_path, epochs=1))
    assert len(prepared) == 4
    assert after.parameters < before.parameters  # a column less
