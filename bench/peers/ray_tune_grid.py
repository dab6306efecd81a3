"""Ray Tune's grid search, two trials at a time."""

import os
from importlib.metadata import version

import ray
from ray import tune
from shared import GRID, PROCESSES, REPETITIONS, Clock, train


def trial(point):
    """Report a point's mean score."""
    scores = [train(point, seed) for seed in range(REPETITIONS)]
    tune.report({"score": sum(scores) / REPETITIONS})


if __name__ == "__main__":
    ray.init(
        num_cpus=PROCESSES,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": os.environ["PYTHONPATH"]}},
    )
    space = {name: tune.grid_search(values) for name, values in GRID.items()}
    with Clock(version("ray")):
        results = tune.Tuner(
            tune.with_resources(trial, {"cpu": 1}),
            param_space=space,
            run_config=tune.RunConfig(verbose=0),
        ).fit()
    assert not results.errors, results.errors
