"""Promises of lockstep: each twin, loss and metric equals the original, with all options.

The cases come from the tables of `gridloom.engines`, so nothing enters these untested.
"""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from gridloom.engines.eligibility import why_not_in_lockstep
from gridloom.engines.lockstep import with_idle_lanes
from gridloom.engines.rowwise import (
    ROWWISE_LOSSES,
    ROWWISE_METRICS,
    measure,
    measures_rows,
    row_loss,
)
from gridloom.engines.twins import ROWWISE_ACTIVATIONS, TWINS
from tests.cases import cases
from tests.made_networks import (
    BATCH,
    EPOCHS,
    OPTIMIZERS,
    assert_same,
    fit_together,
    plain_fit,
    trainings_of,
)

pytestmark = pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`")

#: Key of a layer's configuration → a value away from its default.
OTHER = {
    "activation": "tanh",
    "activity_regularizer": "l2",
    "alpha": 0.5,
    "axis": 1,
    "beta_constraint": "non_neg",
    "beta_initializer": "ones",
    "beta_regularizer": "l2",
    "bias_constraint": "non_neg",
    "bias_initializer": "ones",
    "bias_regularizer": "L1L2",
    "center": False,
    "data_format": "channels_first",
    "dtype": "float64",
    "epsilon": 0.1,
    "gamma_constraint": "non_neg",
    "gamma_initializer": "zeros",
    "gamma_regularizer": "l1",
    "invert": True,
    "kernel_constraint": "unit_norm",
    "kernel_initializer": "he_normal",
    "kernel_regularizer": "OrthogonalRegularizer",
    "lora_alpha": 0.5,  # of no effect without a rank
    "lora_rank": 2,
    "max_value": 0.5,
    "mean": 0.3,
    "momentum": 0.5,
    "moving_mean_initializer": keras.initializers.Constant(0.1),
    "moving_variance_initializer": keras.initializers.Constant(2.0),
    "name": "own",
    "negative_slope": 0.4,
    "noise_shape": (1, 8),
    "quantization_config": None,  # of a layer that no training is for
    "rate": 0.6,
    "renorm": True,
    "renorm_clipping": {"rmax": 2.0, "rmin": 0.5, "dmax": 1.0},
    "renorm_momentum": 0.5,
    "rms_scaling": True,
    "scale": False,
    "seed": 7,
    "synchronized": True,
    "target_shape": (4, 2),
    "threshold": 0.2,
    "trainable": False,
    "units": 5,
    "use_bias": False,
    "variance": 2.0,
}

#: Required arguments of layers.
NEEDED = {
    layers.Activation: {"activation": "relu"},
    layers.Dense: {"units": 8},
    layers.Dropout: {"rate": 0.3},
    layers.Normalization: {"mean": 0.5, "variance": 4.0},
    layers.Reshape: {"target_shape": (2, 4)},
}


def made(kind, **options):
    return kind(**{**NEEDED.get(kind, {}), **options})


def keys_of(kind):
    return [*made(kind).get_config(), *inspect.signature(kind.__init__).parameters]


def keys(kind):
    """List the keys of a layer's configuration, including those of its constructor."""
    left_out = {"self", "kwargs", "quantization_config"}
    return [key for key in dict.fromkeys(keys_of(kind)) if key not in left_out]


def network(*inner, loss="categorical_crossentropy", metrics=("mse",)):
    """Return a builder of a chain of layers, each made by a function, with a softmax on top."""

    def build_model(input_shape, outputs):
        inputs = keras.Input(input_shape)
        hidden = layers.Dense(8)(inputs)
        for make in inner:
            layer = make()
            merges = type(layer) in MERGING
            hidden = layer([layers.Dense(8)(inputs), hidden]) if merges else layer(hidden)
            if len(hidden.shape) > 2:
                hidden = layers.Flatten()(hidden)
            if hidden.shape[-1] != 8:
                hidden = layers.Dense(8)(hidden)
        model = keras.Model(inputs, layers.Dense(outputs, activation="softmax")(hidden))
        model.compile(keras.optimizers.SGD(0.05), loss, metrics=list(metrics))
        return model

    return build_model


MERGING = {
    layers.Add,
    layers.Average,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.Subtract,
}


def why_not(*inner):
    return why_not_in_lockstep(network(*inner)((6,), 3))


def held_to_the_plain_fit(builder, classes=3):
    trainings, model = trainings_of(builder, 2, classes)
    together, _ = fit_together(trainings, model)
    expected, _ = plain_fit(builder, trainings[1], BATCH, EPOCHS, classes)
    assert_same(together[1].history, expected, 3e-5)
    assert expected["loss"][0] != expected["loss"][-1]


NAMES = {kind.__name__: kind for kind in TWINS}


@pytest.mark.parametrize("name", cases(NAMES, ["Dense", "Dropout"], NAMES))
def test_a_twin_equals_its_layer_with_every_key_that_it_supports(name):
    """All keys are tested at once, each on a separate layer."""
    kind = NAMES[name]
    honoured = [
        {key: OTHER[key]}
        for key in keys(kind)
        if key in OTHER and why_not(lambda key=key: made(kind, **{key: OTHER[key]})) is None
    ]
    options = [dict(one) for one in ([{}, *honoured])]
    makes = [
        lambda given=given: made(kind, **{k: v for k, v in given.items() if k != "name"})
        for given in options
    ]
    assert why_not(*makes) is None
    held_to_the_plain_fit(network(*makes))


@pytest.mark.parametrize("kind", TWINS, ids=lambda kind: kind.__name__)
def test_every_key_of_a_twins_layer_is_tested(kind):
    assert set(keys(kind)) <= OTHER.keys()


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (layers.Dense, "kernel_constraint"),
        (layers.Dense, "bias_constraint"),
        (layers.Dense, "activity_regularizer"),
        (layers.Dense, "lora_rank"),
        (layers.Dense, "trainable"),
        (layers.Dense, "dtype"),
        (layers.Dropout, "noise_shape"),
        (layers.LayerNormalization, "beta_constraint"),
        (layers.LayerNormalization, "gamma_constraint"),
        (layers.LayerNormalization, "rms_scaling"),
        (layers.BatchNormalization, "gamma_constraint"),
        (layers.BatchNormalization, "renorm"),
        (layers.BatchNormalization, "synchronized"),
        (layers.BatchNormalization, "trainable"),
        (layers.Normalization, "invert"),
        (layers.Flatten, "data_format"),
    ],
)
def test_an_unsupported_key_of_a_layer_means_one_by_one(kind, key):
    assert why_not(lambda: made(kind, **{key: OTHER[key]})) is not None


def test_every_rowwise_activation_equals_that_of_keras():
    held_to_the_plain_fit(
        network(
            *(
                lambda function=function: layers.Activation(function)
                for function in sorted(ROWWISE_ACTIVATIONS, key=lambda one: one.__name__)
            )
        )
    )


@pytest.mark.parametrize(
    "activation",
    [
        lambda: lambda x: keras.ops.softmax(x, axis=0),
        lambda: layers.Softmax(axis=0),
        lambda: layers.PReLU(),
        lambda: keras.activations.glu,
    ],
    ids=["lambda", "layer", "layer with weights", "glu"],
)
def test_other_activations_mean_one_by_one(activation):
    assert why_not(lambda: layers.Dense(8, activation=activation())) is not None


class OfShape(keras.regularizers.Regularizer):
    """Depends on the rank of the weight."""

    def __call__(self, weight):
        return 0.1 * len(weight.shape) * keras.ops.sum(keras.ops.abs(weight))

    def get_config(self):
        return {}


def test_a_custom_regularizer_means_one_by_one():
    reason = why_not(lambda: layers.Dense(8, bias_regularizer=OfShape()))
    assert "bias_regularizer" in reason or "more than its configuration" in reason


def tampered(change):
    def make():
        layer = layers.Dense(8)
        change(layer)
        return layer

    return make


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: setattr(layer, "call", lambda x: x),
        lambda layer: setattr(layer, "note", 3),
        lambda layer: setattr(layer, "autocast", False),
    ],
    ids=["call", "attribute", "autocast"],
)
def test_a_layer_that_differs_from_its_configuration_means_one_by_one(change):
    assert "is more than its configuration" in why_not(tampered(change))


def test_a_model_with_its_own_step_means_one_by_one():
    for name in ("train_step", "compute_loss", "call"):
        model = network()((6,), 3)
        setattr(model, name, getattr(model, name))
        assert why_not_in_lockstep(model) == f"the model has its own {name}"


def test_an_adapted_normalization_means_one_by_one():
    def make():
        layer = layers.Normalization()
        layer.adapt(np.random.default_rng(0).normal(size=(9, 8)))
        return layer

    assert "is more than its configuration" in why_not(make)


@pytest.mark.parametrize("kind", [layers.Dropout, layers.Dense])
def test_a_layer_called_twice_means_one_by_one(kind):
    layer = made(kind)
    assert "is called more than once" in why_not(lambda: layer, lambda: layer)


def test_an_optimizer_with_a_changed_attribute_means_one_by_one():
    for change in (
        lambda optimizer: optimizer.iterations.assign(5),
        lambda optimizer: setattr(optimizer, "update_step", print),
        lambda optimizer: optimizer.exclude_from_weight_decay(var_names=["bias"]),
    ):
        model = network()((6,), 3)
        optimizer = keras.optimizers.AdamW()
        change(optimizer)
        model.compile(optimizer, "mse")
        assert why_not_in_lockstep(model) == "the optimizer is more than its configuration"


def lanes(generator, kind):
    """Draw targets and outputs of two repetitions, seven rows, four columns."""
    outputs = generator.uniform(0.05, 1, size=(2, 7, 4)).astype(np.float32)
    outputs /= outputs.sum(axis=-1, keepdims=True)
    if kind.startswith("Sparse"):
        return generator.integers(0, 4, size=(2, 7)).astype(np.int32), outputs
    return np.eye(4, dtype=np.float32)[generator.integers(0, 4, size=(2, 7))], outputs


#: Option of a loss or metric → a value away from its default.
OPTIONS = {
    "alpha": 0.7,
    "apply_class_balancing": True,
    "average": "macro",
    "axis": 1,
    "beta": 2.0,
    "class_aggregation": "uniform_average",
    "class_id": 1,
    "curve": "PR",
    "delta": 0.1,
    "from_logits": True,
    "from_sorted_ids": True,
    "gamma": 3.0,
    "ignore_class": 2,
    "k": 2,
    "label_smoothing": 0.2,
    "margin": 0.3,
    "multi_label": True,
    "num_regressors": 2,
    "num_thresholds": 17,
    "q": 0.3,
    "reduction": "sum",
    "remove_diagonal": False,
    "summation_method": "majoring",
    "threshold": 0.3,
    "thresholds": [0.4],
    "top_k": 2,
    "dtype": "float64",
    "dtype ": "float16",
}

WITHOUT_EFFECT = {"self", "name", "args", "kwargs", "label_weights", "num_labels"}


def variants(kind):
    """List the options of a loss or metric, with one option away from its default in each case."""
    needed = {
        "PrecisionAtRecall": {"recall": 0.5},
        "RecallAtPrecision": {"precision": 0.5},
        "SensitivityAtSpecificity": {"specificity": 0.5},
        "SpecificityAtSensitivity": {"sensitivity": 0.5},
        "BinaryIoU": {"target_class_ids": (0, 1)},
        "F1Score": {"average": "macro"},
        "FBetaScore": {"average": "macro"},
    }.get(kind.__name__, {})
    names = set(inspect.signature(kind.__init__).parameters) - WITHOUT_EFFECT - needed.keys()
    assert names <= OPTIONS.keys(), f"{kind.__name__} has options that are not tried: {names}"
    return [needed, *({**needed, name: OPTIONS[name]} for name in sorted(names))]


LOSSES = [
    kind
    for kind in vars(keras.losses).values()
    if isinstance(kind, type) and issubclass(kind, keras.losses.Loss) and kind is not keras.Loss
]


def test_every_rowwise_loss_equals_the_loss_of_each_row():
    generator = np.random.default_rng(0)
    seen = set()
    for kind in LOSSES:
        targets, outputs = lanes(generator, kind.__name__)
        for options in variants(kind):
            loss = kind(**options)
            stacked = row_loss(loss)
            if stacked is None:
                continue
            seen.add(loss.fn.__name__)
            expected = [
                loss.call(tf.constant(y), tf.constant(o))
                for y, o in zip(targets, outputs, strict=True)
            ]
            np.testing.assert_allclose(
                stacked(tf.constant(targets), tf.constant(outputs)),
                expected,
                rtol=1e-6,
                err_msg=f"{kind.__name__} {options}",
            )
    assert seen == ROWWISE_LOSSES


def test_other_losses_mean_one_by_one():
    for loss in (
        keras.losses.CosineSimilarity(axis=0),
        keras.losses.CategoricalCrossentropy(axis=0),
        keras.losses.MeanSquaredError(reduction="sum"),
        keras.losses.MeanSquaredError(dtype="float64"),
        keras.losses.Dice(),
        ["mse"],
        lambda targets, outputs: keras.ops.mean(targets - outputs),
    ):
        assert row_loss(loss) is None, loss


@pytest.mark.parametrize("kind", sorted(ROWWISE_METRICS, key=str), ids=lambda kind: kind.__name__)
def test_every_rowwise_metric_equals_that_of_keras_over_batches(kind):
    generator = np.random.default_rng(0)
    targets, outputs = lanes(generator, kind.__name__)
    if kind.__name__ == "BinaryIoU":
        targets, outputs = targets[..., :1], outputs[..., :1]
    tried = 0
    for options in variants(kind):
        metric = kind(**options)
        if not measures_rows(metric):
            continue
        tried += 1
        together = kind(**options)
        together.update_state(targets[0], outputs[0])  # makes its variables
        measured = measure(together, tf.constant(targets), tf.constant(outputs))
        for lane in range(2):
            metric.reset_state()
            for rows in (slice(0, 3), slice(3, 6), slice(6, 7)):
                metric.update_state(targets[lane][rows], outputs[lane][rows])
            np.testing.assert_allclose(
                measured[lane], metric.result(), rtol=2e-6, err_msg=f"{kind.__name__} {options}"
            )
    assert tried


def test_metrics_that_may_mix_rows_mean_one_by_one():
    own = keras.metrics.MeanSquaredError()
    own.result = lambda: 0.0
    for metric in (
        keras.metrics.CosineSimilarity(axis=0),
        keras.metrics.OneHotMeanIoU(3, axis=1),
        keras.losses.MeanSquaredError(),
        keras.losses.mean_squared_error,
        keras.metrics.MeanMetricWrapper(keras.losses.mean_squared_error),
        own,
        "huber",
    ):
        model = network(metrics=[metric])((6,), 3)
        assert "may mix rows" in why_not_in_lockstep(model)


def test_merging_tensors_of_different_ranks_means_one_by_one():
    inputs = keras.Input((4, 2))
    short = layers.Flatten()(layers.Dense(1)(inputs))
    hidden = layers.Flatten()(layers.Add()([layers.Dense(4)(inputs), short]))
    model = keras.Model(inputs, layers.Dense(3)(hidden))
    model.compile("sgd", "mse")
    assert "merges tensors of several ranks" in why_not_in_lockstep(model)


def point(optimizer, rate, dropout, units=7):
    """Return a builder of a network, with functions that processors round in several ways."""

    def build_model(input_shape, outputs):
        model = keras.Sequential(
            [
                keras.Input(input_shape),
                layers.Dropout(0.2),
                layers.Dense(units, activation="tanh"),
                layers.BatchNormalization(),
                layers.Dense(units, activation="sigmoid"),
                layers.Dropout(dropout),
                layers.Dense(outputs, activation="softmax"),
            ]
        )
        made_optimizer = keras.optimizers.get({"class_name": optimizer, "config": {}})
        made_optimizer.learning_rate = rate
        model.compile(made_optimizer, "categorical_crossentropy", metrics=["mse"])
        return model

    return build_model


def bits(fitted, fit, place):
    return [
        *(values.tobytes() for values in fitted[place].history.values()),
        *(weight.tobytes() for weight in fit.program.weights_of(place)),
    ]


@pytest.mark.parametrize("units", cases([7, 50], [7], [50]))  # oneDNN multiplies larger kernels
def test_no_bit_of_a_training_depends_on_how_many_train_beside_it(units):
    trainings, model = trainings_of(point("adam", 0.1, 0.5, units), 20)
    seen = []
    for beside in (trainings, trainings[:1], trainings[:2], trainings[:5], trainings[::-1]):
        lanes = with_idle_lanes(beside)
        assert len(lanes) % 8 == 0
        fitted, fit = fit_together(lanes, model)
        seen.append(bits(fitted, fit, beside.index(trainings[0])))
    assert all(other == seen[0] for other in seen)


def test_lanes_with_one_seed_share_what_is_drawn():
    trainings, model = trainings_of(point("sgd", 0.1, 0.5), 2)
    _, fit = fit_together(with_idle_lanes(trainings), model)
    (graph,) = fit._graphs.values()
    library = graph.get_concrete_function().graph.as_graph_def().library
    drawing = [[node.op for node in function.node_def] for function in library.function]
    assert max(ops.count("StatelessRandomUniformV2") for ops in drawing) == len(trainings)


@pytest.mark.parametrize("optimizer", cases(OPTIMIZERS, ["SGD"], ["AdamW", "Nadam"]))
def test_points_with_other_rates_train_in_the_same_lanes(optimizer):
    points = [point(optimizer, *rates) for rates in [(0.1, 0.5), (0.02, 0.5), (0.1, 0.0)]]
    apart = [trainings_of(builder, 2) for builder in points]
    alone = []
    for trainings, model in apart:
        fitted, fit = fit_together(with_idle_lanes(trainings), model)
        alone += [bits(fitted, fit, place) for place in range(2)]
    mixed = [training for trainings, _ in apart for training in trainings]
    fitted, fit = fit_together(with_idle_lanes(mixed), apart[0][1])
    assert [bits(fitted, fit, place) for place in range(len(mixed))] == alone
    assert len({lane[0] for lane in alone}) == len(mixed)
