"""What an unfinished job has trained so far, in a file beside its record.

However a job ends, its next run takes the finished fits from this file, and continues the fit that
was running from its last checkpoint. Another version of the training code has another set-up, so
its jobs have other files.
"""

from __future__ import annotations

import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gridloom.engines.types import Checkpoints, Fitted
from gridloom.errors import StoppedError, StorageError
from gridloom.files import atomic_path, fingerprint

#: Increment on incompatible changes.
FORMAT = 1

#: Most seconds of finished fits that a job can lose. A shorter job writes no file.
SAVE_SECONDS = 5.0

#: Errors that reading a damaged file can raise.
_DAMAGE = (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile)


class Unfinished:
    """The finished fits of a job, and the last checkpoint of the one that is running.

    Parameters
    ----------
    file
        Where to keep them; None to keep nothing.
    identity
        What determines the fits and is not in the file's path, which names set-up, point and
        repetitions. A file of another identity is ignored, and so is a damaged one.
    checkpoint_minutes
        Minutes between two checkpoints of a fit; None for none.
    stop
        When it is set, the running fit ends after its epoch, with a checkpoint.

    Attributes
    ----------
    seconds_before
        Time that earlier runs of the job spent on what the file has.
    """

    def __init__(
        self,
        file: Path | None,
        identity: Mapping[str, Any],
        checkpoint_minutes: float | None,
        stop: threading.Event,
    ) -> None:
        self.file = file
        self.identity = fingerprint([], json.dumps([FORMAT, identity], sort_keys=True))
        self.checkpoint_minutes = checkpoint_minutes
        self.stop = stop
        self.seconds_before = 0.0
        self._fits: dict[str, list[Fitted]] = {}
        self._running = ""
        self._checkpoint: list[np.ndarray] = []
        if file is not None:
            with suppress(*_DAMAGE):
                self._read(file)
        self._begun = self._saved = time.monotonic()

    @property
    def is_new(self) -> bool:
        """Whether no fit of the job is finished or has a checkpoint."""
        return not self._fits and not self._checkpoint

    def fit(
        self, places: Sequence[int], train: Callable[[Checkpoints | None], list[Fitted]]
    ) -> list[Fitted]:
        """Return the fits of some trainings of the job: those kept, or new ones.

        Parameters
        ----------
        places
            Indices of the trainings that train together, among all of the job.
        train
            Trains them.
        """
        key = json.dumps(list(places))
        if key not in self._fits:
            if key != self._running:
                self._running, self._checkpoint = key, []
            self._fits[key] = train(None if self.checkpoint_minutes is None else self)
            self._checkpoint = []
            self._save_after(SAVE_SECONDS)
        return self._fits[key]

    def fit_all(
        self,
        groups: Iterable[Sequence[int]],
        train: Callable[[Sequence[int], Checkpoints | None], list[Fitted]],
    ) -> list[Fitted]:
        """Return the fits of all trainings of the job, in order; see `fit` for each group."""
        fitted: dict[int, Fitted] = {}
        for places in groups:
            fitted |= zip(places, self.fit(places, partial(train, places)), strict=True)
        return [fitted[place] for place in sorted(fitted)]

    def find(self) -> list[np.ndarray] | None:
        """Return the state that an earlier run kept of the running fit; None if there is none."""
        return self._checkpoint or None

    def offer(self, state: Callable[[], list[np.ndarray]]) -> None:
        """Keep the state of the running fit if it is time to, or if the fit must end here.

        Raises
        ------
        StoppedError
            If it must end.
        """
        assert self.checkpoint_minutes is not None
        stopping = self.stop.is_set()
        if stopping or time.monotonic() - self._saved >= self.checkpoint_minutes * 60:
            self._checkpoint = state()
            self._save_after(0)
        if stopping:
            raise StoppedError("was interrupted; the next run continues it")

    def _save_after(self, seconds: float) -> None:
        """Write the file if it was not written for so long; a full disk ends no training."""
        now = time.monotonic()
        if self.file is None or now - self._saved < seconds:
            return
        about = {
            "identity": self.identity,
            "seconds": self.seconds_before + now - self._begun,
            "running": self._running,
            "fits": {key: list(map(_as_json, fits)) for key, fits in self._fits.items()},
        }
        try:
            with atomic_path(self.file) as beside:
                text = np.frombuffer(json.dumps(about).encode(), np.uint8)
                np.savez(beside, text, *self._checkpoint)
        except StorageError as error:
            print(f"what is trained so far cannot be kept: {error}")
        self._saved = time.monotonic()

    def _read(self, file: Path) -> None:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            text, *checkpoint = (arrays[f"arr_{place}"] for place in range(len(arrays)))
        about = json.loads(text.tobytes())
        if about["identity"] != self.identity:
            return
        fits = {key: list(map(_from_json, fits)) for key, fits in about["fits"].items()}
        self.seconds_before, self._running = float(about["seconds"]), about["running"]
        self._fits, self._checkpoint = fits, checkpoint
        kept = sum(map(len, fits.values()))
        print(
            f"continues an earlier run: {kept} trainings are finished"
            + ", and another has a checkpoint" * bool(checkpoint)
        )


def remove_unfinished(file: Path) -> None:
    """Remove a job's file, and what killed processes left of it half-written."""
    with suppress(FileNotFoundError):
        file.unlink()
        for beside in file.parent.glob(f".{file.stem}.*"):
            beside.unlink(missing_ok=True)


def _as_json(fitted: Fitted) -> dict[str, Any]:
    # A float32 is the same after its way through JSON's float64.
    history = {name: values.tolist() for name, values in fitted.history.items()}
    return {"history": history, "restored_epoch": fitted.restored_epoch}


def _from_json(kept: Mapping[str, Any]) -> Fitted:
    history = {name: np.array(values, np.float32) for name, values in kept["history"].items()}
    return Fitted(history, kept["restored_epoch"])
