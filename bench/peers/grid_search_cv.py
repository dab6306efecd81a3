"""GridSearchCV with SciKeras: folds are repetitions, joblib runs two processes."""

from importlib.metadata import version

import keras
from mlp import build_model
from scikeras.wrappers import KerasClassifier
from shared import EPOCHS, FIXED, GRID, PROCESSES, REPETITIONS, Clock, rows
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def network(dropout, meta):
    """Build the network for SciKeras."""
    keras.utils.set_random_seed(0)
    model = build_model((meta["n_features_in_"],), 2, dropout=dropout, **FIXED)
    # With two classes, SciKeras passes class numbers, which need the sparse form of the same loss.
    model.compile(model.optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    x, y = rows()
    held = StandardScaler().fit_transform(x)[:91], y[:91]
    classifier = KerasClassifier(
        network,
        dropout=0.0,
        epochs=EPOCHS,
        class_weight="balanced",
        fit__validation_data=held,  # as many rows as for the other tools, after every epoch
        verbose=0,
    )
    search = GridSearchCV(
        make_pipeline(StandardScaler(), classifier),
        {f"kerasclassifier__{name}": values for name, values in GRID.items()},
        cv=StratifiedShuffleSplit(REPETITIONS, test_size=0.2, random_state=0),
        n_jobs=PROCESSES,
        refit=False,
        error_score="raise",
    )
    search.fit(x, y)  # joblib keeps its processes, so the second search is warm
    with Clock(f"{version('scikit-learn')} / {version('scikeras')}"):
        search.fit(x, y)
