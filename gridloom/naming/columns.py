"""Names that the tables and the fit reserve."""

from __future__ import annotations

#: Hyperparameters of the fit itself; all others go to `build_model`.
FIT_HYPERPARAMETERS = {
    "batch_size": "rows per step, a whole number above 0",
    "epochs": "passes over the training rows, a whole number above 0",
    "early_stopping_patience": "epochs without improvement before a training stops, or null",
    "early_stopping_min_delta": "the least change that counts as an improvement, 0 or more",
    "early_stopping_monitor": "the metric watched, val_loss unless given",
}

#: Columns of the tables; a hyperparameter cannot have such a name.
TABLE_COLUMNS = {
    "point",
    "repetition",
    "fold",
    "seed",
    "status",
    "epoch",
    "epochs_run",
    "best_epoch",
    "restored_epoch",
    "parameters",
    "partial",
    "seconds",
    "seconds_mean",
    "host",
    "engine",
    "why_not_lockstep",
    "rank",
    "expected",
    "tied_with_best",
    "regret_high",
    "regret_high_new_rows",
    "n",
    "n_diverged",
    "n_missing",
    "n_trainings",
    "loss",
    "val_loss",
}
