"""Results by scikit-learn's names, so that code written for `GridSearchCV` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gridloom.analysis.table import ranks
from gridloom.naming.points import Point
from gridloom.naming.values import Value


def cv_results(
    runs: pd.DataFrame, points: Mapping[str, Point], metric: str, mode: str
) -> pd.DataFrame:
    """Return the table that ``pandas.DataFrame(search.cv_results_)`` would be.

    A split is one fold of one repetition; ``split0`` is the first fold of the first repetition.

    Parameters
    ----------
    runs
        As `gridloom.analysis.table.gather` makes it, or as read from ``runs.csv``.
    points
        Path of each point → its hyperparameters.
    metric, mode
        The objective; ``min`` or ``max``.

    Returns
    -------
    DataFrame
        One row a point, in the order of the grid. `mean_fit_time` and `std_fit_time`, in seconds of
        a training: it holds the validation after each epoch, so there is no ``score_time``.
        ``param_<name>`` of every hyperparameter, NaN where a point does not have it. `params`, the
        point as the text of a dictionary that `ast.literal_eval` reads. ``split<k>_test_score``,
        the objective, negated where less is better; NaN where a training diverged, has no number,
        or is not there. `mean_test_score` and `std_test_score` (``ddof=0``, as in scikit-learn)
        over the splits, NaN if one of these is. `rank_test_score`, int32, 1 for the best; points
        without a mean share the last rank, and means that are equal in 32 bits share one.
    """
    rows, paths = pd.factorize(runs["point"])
    splits, _ = pd.factorize(pd.MultiIndex.from_frame(runs[["repetition", "fold"]]), sort=True)

    def spread(values: pd.Series) -> np.ndarray:
        """Lay one value a training out, shape (points, splits); NaN where there is none."""
        laid = np.full((len(paths), splits.max() + 1), np.nan)
        laid[rows, splits] = values
        return laid

    sign = -1.0 if mode == "min" else 1.0
    seconds = spread(runs["seconds"])
    scores = spread(sign * runs[metric].astype(float).where(runs["status"] == "ok"))
    listed = [{name: _plain(value) for name, value in points[path].items()} for path in paths]
    means = scores.mean(axis=1)
    return pd.DataFrame(
        {
            "mean_fit_time": np.nanmean(seconds, axis=1),
            "std_fit_time": np.nanstd(seconds, axis=1),
            **{
                # With the type that its values share; objects where they share none.
                f"param_{name}": pd.Series(
                    [point.get(name, np.nan) for point in listed], dtype=object
                ).infer_objects()
                for name in sorted(set().union(*listed))
            },
            "params": [repr(point) for point in listed],
            **{f"split{place}_test_score": split for place, split in enumerate(scores.T)},
            "mean_test_score": means,
            "std_test_score": scores.std(axis=1),
            "rank_test_score": ranks(-means, np.isnan(means)).astype(np.int32),
        }
    )


def _plain(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value
