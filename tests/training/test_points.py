"""Promises of points that share a network: each trains as if it had its own."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest

from gridloom.networks.blueprint import Blueprints
from gridloom.training import kept, opening, sharing
from gridloom.training.trainer import Trainer
from tests.made_requests import ROOT, request_of

MODEL = ROOT / "models" / "mlp.py"


@pytest.fixture
def built(monkeypatch):
    """Count the networks that are built."""
    calls = []
    plain = opening.build

    def counted(*args):
        calls.append(args)
        return plain(*args)

    monkeypatch.setattr(opening, "build", counted)
    return calls


def trained(requests, ahead=False):
    trainer = Trainer()
    return [
        trainer.run(request, requests[place + 1 :] if ahead else [])
        for place, request in enumerate(requests)
    ]


def results(records):
    return [(record.trainings, record.built, record.engine) for record in records]


def without_times(found):
    return [
        ([replace(one, seconds=0.0) for one in trainings], *others) for trainings, *others in found
    ]


def assert_alike(records, others):
    assert without_times(results(records)) == without_times(results(others))


@pytest.mark.parametrize("ahead", [False, True])
def test_a_shared_network_changes_no_number(data, monkeypatch, built, ahead):
    requests = [
        request_of(data, epochs=1, dropout=dropout, learning_rate=rate)
        for dropout in (0, 0.3, 0.6)
        for rate in (0.01, 0.02, 0.1, 1)
    ]
    records = trained(requests, ahead)
    shared = len(built)
    built.clear()
    monkeypatch.setattr(Blueprints, "of", lambda *_: None)
    assert_alike(records, trained(requests))
    assert shared < len(built)


def test_a_shared_network_can_train_one_by_one(data, monkeypatch):
    """Networks share by their own size, but train in lockstep by their batches' size, too."""
    monkeypatch.setattr(sharing, "MAX_LOCKSTEP_OPERATIONS", 6 * 138 * 48)
    requests = [
        request_of(data, learning_rate=rate, dropout=0.2, batch_size=batch, epochs=1)
        for batch, rate in ((64, 0.02), (64, 0.2), (64, 0.3), (32, 0.01), (32, 0.1))
    ]
    records = trained(requests)
    assert [record.engine for record in records] == ["one by one"] * 3 + ["lockstep"] * 2
    monkeypatch.setattr(Blueprints, "of", lambda *_: None)
    assert_alike(records, trained(requests))


def test_other_repetitions_have_other_weights(data, monkeypatch):
    requests = [
        request_of(data, repetitions=repetitions, learning_rate=rate, epochs=1)
        for repetitions in ((0, 1), (2, 3))
        for rate in (0.01, 0.1)
    ]
    records = trained(requests)
    monkeypatch.setattr(Blueprints, "of", lambda *_: None)
    assert_alike(records, trained(requests))


def test_a_wrong_blueprint_is_found_before_a_network_is_shared(data, monkeypatch):
    """Simulates that a blueprint misses the units."""
    requests = [
        request_of(data, learning_rate=rate, units=units, epochs=1)
        for units in (2, 4)
        for rate in (0.01, 0.1)
    ]
    right = trained(requests)
    plain = Blueprints.of
    monkeypatch.setattr(Blueprints, "of", lambda *given: replace(plain(*given), calls="all alike"))
    order = [requests[0], requests[2], requests[3], requests[1]]
    assert_alike(trained(order), [right[0], right[2], right[3], right[1]])


def test_a_file_that_may_act_beyond_its_networks_shares_none(data, tmp_path, built):
    model = tmp_path / "net.py"
    model.write_text(MODEL.read_text() + "\nimport os\n")
    counts = []
    for file in (MODEL, model):
        built.clear()
        trained([request_of(data, file, learning_rate=r, epochs=1) for r in (0.1, 0.2, 0.3, 0.4)])
        counts.append(len(built))
    assert counts[0] < counts[1]


def test_a_shared_network_keeps_no_rows(data, monkeypatch):
    monkeypatch.setattr(kept, "MAX_KEPT_BYTES", 1)
    trainer = Trainer()
    rows = []
    for first in range(3):
        request = request_of(data, repetitions=(first,), epochs=1)
        trainer.run(request)
        inputs = trainer._inputs
        rows.append(weakref.ref(next(iter(inputs._prepared._things.values()))[0].x_train))
    gc.collect()
    assert [one() is not None for one in rows] == [False, False, True]
