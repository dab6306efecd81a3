"""Random studies: `Trainer` must give the numbers of `model.fit`, or refuse with a sentence.

    python bench/fuzz.py --studies 2000 --seed 0 --jobs 2
    python bench/fuzz.py --study 17                     (repeat one study, with its model file)

A study is a random model file and a few points of it, which one warm `Trainer` trains in random
order. The model file draws layers, losses, optimizers and their options from all of Keras, with
custom classes and objects changed by hand. Each point is compared with plain `model.fit` on the
same batches, in a fork of a process that has imported TensorFlow but run no operation. A point is
*equal*, *refused* with a sentence, *invalid* (`model.fit` refuses it too), or a failure:

- other names: the metrics differ from those of `model.fit`;
- different: the numbers differ from those of `model.fit` by more than 1e-5 and more than ten times
  the effect of changing the last bit of the initial weights;
- crash: the error is not a sentence for the user;
- no remedy: `model.fit` trains it, but the refusal does not name `trainer: {engine: keras}`;
- trained: `model.fit` refuses it, but Gridloom trains it.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import importlib.util
import inspect
import json
import math
import os
import pickle
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from common import ROOT, report

#: Modules that Gridloom imports; they are imported once, before the forks.
PREPARED = (
    "pandas",
    "pydantic",
    "sklearn.compose",
    "sklearn.impute",
    "sklearn.model_selection",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "yaml",
)

#: Longest wall seconds of a study, with its references.
TIME_LIMIT = 120

#: Most points of a study that are compared.
MAX_REFERENCES = 2

#: Relative difference that is always accepted as rounding.
TOLERANCE = 1e-5

STREAMS = ("init", "shuffle", "dropout", "validation")

#: Words that occur only in errors that are not written for the user.
INTERNAL = re.compile(
    r"\b(KeyError|AttributeError|IndexError|AssertionError|UnboundLocalError|NameError|zip\(\)"
    r"|TensorSpec|InaccessibleTensorError|OperatorNotAllowedInGraphError|Binding inputs"
    r"|Traceback|raised \w+(Error|Exception))\b"
)

REMEDY = re.compile(r"engine: ?keras")


def gridloom() -> SimpleNamespace:
    """Import the parts of Gridloom that the fuzzer uses.

    This is done late, so that none of them runs in a reference before its model is built.
    """
    from gridloom.data import preparation, rows
    from gridloom.data.description import SplitDescription
    from gridloom.errors import GridloomError
    from gridloom.naming.points import point_path, read_path
    from gridloom.study.seeds import row_orders, training_seeds

    return SimpleNamespace(
        prepare=preparation.prepare,
        training_rows=preparation.training_rows,
        validation_parts=preparation.validation_parts,
        Rows=rows.Rows,
        SplitDescription=SplitDescription,
        write_rows=rows.write_rows,
        GridloomError=GridloomError,
        point_path=point_path,
        read_path=read_path,
        row_orders=row_orders,
        training_seeds=training_seeds,
    )


def engine() -> SimpleNamespace:
    """Import Gridloom's engine and the small public functions of its contract."""
    from gridloom.identity.digests import Digests
    from gridloom.identity.identify import library_settings
    from gridloom.identity.setup import Setup, model_fingerprint
    from gridloom.networks.generators import generator_seed, seed_states
    from gridloom.networks.targets import encode_target
    from gridloom.training.request import Request
    from gridloom.training.trainer import Trainer

    return SimpleNamespace(
        Digests=Digests,
        Request=Request,
        Setup=Setup,
        Trainer=Trainer,
        encode_target=encode_target,
        generator_seed=generator_seed,
        library_settings=library_settings,
        model_fingerprint=model_fingerprint,
        seed_states=seed_states,
    )


# Drawing a study from a number.


@dataclass
class Study:
    """A model file, its points, and how they train.

    Attributes
    ----------
    target
        ``regression``, ``labels``, ``binary``, ``multiclass`` or ``sparse``.
    points
        All hyperparameters of each job, in the order of the jobs; a point may come twice.
    chosen
        For each of `points`, the (repetition, fold) that is compared.
    features
        The drawn features, in words.
    unseeded
        Whether the training draws random numbers that Gridloom's seeds do not determine.
    """

    number: int
    text: str
    target: str
    rows: int
    width: int
    data_seed: int
    points: list[dict[str, Any]]
    chosen: list[tuple[int, int]]
    settings: dict[str, Any]
    features: list[str] = field(default_factory=list)
    unseeded: bool = False


#: Source of the custom classes and functions that a model file may define.
OWN = {
    "Scaled": """
class Scaled(keras.layers.Layer):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor
    def call(self, x):
        return x * self.factor
""",
    "Configured": """
class Configured(keras.layers.Layer):
    def __init__(self, factor=1.0, **rest):
        super().__init__(**rest)
        self.factor = factor
    def call(self, x):
        return x * self.factor
    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
""",
    "Counting": """
class Counting(keras.layers.Layer):
    def __init__(self, pace):
        super().__init__()
        self.pace = pace
    def build(self, shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)
    def call(self, x, training=False):
        if training:
            self.count.assign_add(1.0)
        return x / (1 + self.pace * self.count)
""",
    "Noisy": """
class Noisy(keras.layers.Layer):
    def __init__(self, size):
        super().__init__()
        self.size = size
        self.generator = keras.random.SeedGenerator(7)
    def call(self, x, training=False):
        if not training:
            return x
        return x + self.size * keras.random.normal(keras.ops.shape(x), seed=self.generator)
""",
    "Wild": """
class Wild(keras.layers.Layer):
    def __init__(self, size):
        super().__init__()
        self.size = size
    def call(self, x, training=False):
        return x + self.size * tf.random.normal(tf.shape(x)) if training else x
""",
    "Traced": """
class Traced(keras.layers.Layer):
    def __init__(self, size):
        super().__init__()
        self.size = size
    def call(self, x, training=False):
        return x * (1 + self.size * np.random.uniform()) if training else x
""",
    "Drawn": """
class Drawn(keras.layers.Layer):
    def __init__(self, size):
        super().__init__()
        self.factor = 1 + size * np.random.uniform()
    def call(self, x):
        return x * self.factor
""",
    "Penalized": """
class Penalized(keras.layers.Layer):
    def __init__(self, strength):
        super().__init__()
        self.strength = strength
    def call(self, x):
        self.add_loss(self.strength * keras.ops.mean(x ** 2))
        return x
""",
    "Watched": """
class Watched(keras.layers.Layer):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale
        self.seen = keras.metrics.Mean(name="seen")
    def call(self, x):
        self.seen.update_state(self.scale * x)
        return x
""",
    "Wide": """
class Wide(keras.layers.Dense):
    factor = 1.0
    def call(self, x, training=None):
        return super().call(x) * self.factor
""",
    "Weighted": """
class Weighted(keras.layers.Layer):
    def __init__(self, spread):
        super().__init__()
        self.spread = spread
    def build(self, shape):
        start = keras.initializers.RandomUniform(1 - self.spread, 1 + self.spread)
        self.scale = self.add_weight(shape=(shape[-1],), initializer=start)
    def call(self, x):
        return x * self.scale
""",
    "Mixing": """
class Mixing(keras.layers.Layer):
    def __init__(self, share):
        super().__init__()
        self.share = share
    def call(self, x):
        return x - self.share * keras.ops.mean(x, axis=0, keepdims=True)
""",
    "OwnNorm": """
class OwnNorm(keras.regularizers.Regularizer):
    def __init__(self, strength):
        self.strength = strength
    def __call__(self, w):
        return self.strength * keras.ops.sum(w ** 2)
""",
    "Columns": """
class Columns(keras.regularizers.Regularizer):
    def __init__(self, strength):
        self.strength = strength
    def __call__(self, w):
        return self.strength * keras.ops.sum(keras.ops.sqrt(keras.ops.sum(w ** 2, axis=0) + 1e-6))
""",
    "ConfiguredNorm": """
class ConfiguredNorm(keras.regularizers.Regularizer):
    def __init__(self, strength):
        self.strength = strength
    def __call__(self, w):
        return self.strength * keras.ops.sum(keras.ops.abs(w)) * len(w.shape)
    def get_config(self):
        return {"strength": self.strength}
""",
    "Ramp": """
class Ramp(keras.initializers.Initializer):
    def __init__(self, size):
        self.size = size
    def __call__(self, shape, dtype=None):
        ramp = np.linspace(-self.size, self.size, int(np.prod(shape))).reshape(shape)
        return keras.ops.cast(ramp, dtype)
""",
    "Numpy": """
class Numpy(keras.initializers.Initializer):
    def __init__(self, size):
        self.size = size
    def __call__(self, shape, dtype=None):
        return keras.ops.cast(self.size * np.random.normal(size=shape), dtype)
""",
    "Tensor": """
class Tensor(keras.initializers.Initializer):
    def __init__(self, size):
        self.size = size
    def __call__(self, shape, dtype=None):
        return tf.cast(tf.random.normal(shape, stddev=self.size), dtype or "float32")
""",
    "Small": """
class Small(keras.constraints.Constraint):
    def __init__(self, most):
        self.most = most
    def __call__(self, w):
        return keras.ops.clip(w, -self.most, self.most)
""",
    "Falling": """
class Falling(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, rate):
        self.rate = rate
    def __call__(self, step):
        return self.rate / (1 + 0.2 * keras.ops.cast(step, "float32"))
""",
    "Slow": """
class Slow(keras.optimizers.SGD):
    share = 0.5
    def update_step(self, gradient, variable, learning_rate):
        super().update_step(self.share * gradient, variable, learning_rate)
""",
    "Distance": """
class Distance(keras.losses.Loss):
    def __init__(self, power):
        super().__init__()
        self.power = power
    def call(self, y, p):
        return keras.ops.mean(keras.ops.abs(keras.ops.cast(y, p.dtype) - p) ** self.power, axis=-1)
""",
    "Largest": """
class Largest(keras.metrics.Metric):
    def __init__(self, scale, name="largest"):
        super().__init__(name=name)
        self.scale = scale
        self.most = self.add_variable((), initializer="zeros", name="most")
    def update_state(self, y, p, sample_weight=None):
        self.most.assign(keras.ops.maximum(self.most, self.scale * keras.ops.max(p)))
    def result(self):
        return 1.0 * self.most  # the variable itself would show its value of later on
    def reset_state(self):
        self.most.assign(0.0)
""",
    "Stubborn": """
class Stubborn(keras.metrics.MeanSquaredError):
    def reset_state(self):
        pass
""",
    "Soft": """
def soft(x):
    return FACTOR[0] * keras.ops.softplus(x)
FACTOR = [1.0]
""",
    "spread": """
def spread(y, p):
    return keras.ops.std(p) + 0.0 * keras.ops.mean(p, axis=-1)
""",
    "error": """
def error(y, p):
    return keras.ops.mean((keras.ops.cast(y, p.dtype) - p) ** 2, axis=-1)
""",
}

ACTIVATIONS = [
    name
    for name, function in sorted(vars(keras.activations).items())
    if inspect.isfunction(function)
    and name not in ("get", "serialize", "deserialize", "glu", "threshold")
    and not name.startswith("_")
]

OWN_LAYERS = (
    "Scaled",
    "Configured",
    "Counting",
    "Noisy",
    "Penalized",
    "Watched",
    "Weighted",
    "Mixing",
    "Drawn",
    "Wide",
    "Wild",
    "Traced",
)

#: Layers that take and return (rows, …) of any rank, with their required arguments.
ANYWHERE: dict[str, str] = {
    "Activation": "{activation}",
    "ActivityRegularization": "l1={small}",
    "AlphaDropout": "{rate}",
    "BatchNormalization": "",
    "Dense": "{units}",
    "Dropout": "{rate}",
    "ELU": "",
    "GaussianDropout": "{rate}",
    "GaussianNoise": "{rate}",
    "GroupNormalization": "groups=1",
    "Identity": "",
    "Lambda": "lambda t: t * {factor}",
    "LayerNormalization": "",
    "LeakyReLU": "",
    "Masking": "",
    "Normalization": "mean={factor}, variance={factor}",
    "PReLU": "",
    "RMSNormalization": "",
    "ReLU": "",
    "Rescaling": "{factor}",
    "Softmax": "",
    "UnitNormalization": "",
}

SEQUENCE: dict[str, str] = {
    "AdaptiveAveragePooling1D": "2",
    "AdaptiveMaxPooling1D": "2",
    "AveragePooling1D": "2",
    "Bidirectional": "{recurrent_sequence}",
    "Conv1D": "{filters}, 2",
    "Conv1DTranspose": "{filters}, 2",
    "Cropping1D": "1",
    "DepthwiseConv1D": "2",
    "GRU": "{units}, return_sequences=True",
    "LSTM": "{units}, return_sequences=True",
    "MaxPooling1D": "2",
    "Permute": "(2, 1)",
    "RNN": "{cell}, return_sequences=True",
    "SeparableConv1D": "{filters}, 2",
    "SimpleRNN": "{units}, return_sequences=True",
    "SpatialDropout1D": "{rate}",
    "TimeDistributed": "keras.layers.Dense({units})",
    "UpSampling1D": "2",
    "ZeroPadding1D": "1",
}

SEQUENCE_ENDS: dict[str, str] = {
    "Bidirectional": "{recurrent}",
    "Flatten": "",
    "GRU": "{units}",
    "GlobalAveragePooling1D": "",
    "GlobalMaxPooling1D": "",
    "LSTM": "{units}",
    "RNN": "{cell}",
    "SimpleRNN": "{units}",
}

#: Layers that take several inputs, written with them.
ATTENTION = (
    "keras.layers.MultiHeadAttention(2, 2{more})({x}, {x})",
    "keras.layers.GroupQueryAttention(2, 2, 1{more})({x}, {x})",
    "keras.layers.Attention({more})([{x}, {x}])",
    "keras.layers.AdditiveAttention({more})([{x}, {x}])",
)

IMAGE: dict[str, str] = {
    "AugMix": "value_range=(-3, 3)",
    "AutoContrast": "value_range=(-3, 3)",
    "AveragePooling2D": "2",
    "CenterCrop": "3, 3",
    "Conv2D": "{filters}, 2",
    "Conv2DTranspose": "3, 2",
    "Cropping2D": "1",
    "DepthwiseConv2D": "2",
    "MaxPooling2D": "2",
    "RandAugment": "value_range=(-3, 3)",
    "RandomBrightness": "0.3, value_range=(-3, 3)",
    "RandomColorDegeneration": "0.3, value_range=(-3, 3)",
    "RandomColorJitter": "value_range=(-3, 3), brightness_factor=0.3",
    "RandomContrast": "0.3, value_range=(-3, 3)",
    "RandomCrop": "3, 3",
    "RandomElasticTransform": "0.5",
    "RandomErasing": "0.5, value_range=(-3, 3)",
    "RandomFlip": "",
    "RandomGaussianBlur": "0.5, value_range=(-3, 3)",
    "RandomGrayscale": "0.5",
    "RandomHue": "0.3, value_range=(-3, 3)",
    "RandomInvert": "0.5, value_range=(-3, 3)",
    "RandomPerspective": "0.5",
    "RandomPosterization": "4, value_range=(-3, 3)",
    "RandomRotation": "0.2",
    "RandomSaturation": "0.3, value_range=(-3, 3)",
    "RandomSharpness": "0.3, value_range=(-3, 3)",
    "RandomShear": "0.2, 0.2",
    "RandomTranslation": "0.2, 0.2",
    "RandomZoom": "0.2",
    "Resizing": "3, 3",
    "SeparableConv2D": "{filters}, 2",
    "Solarization": "0.3, value_range=(-3, 3)",
    "SpatialDropout2D": "{rate}",
    "UpSampling2D": "2",
    "ZeroPadding2D": "1",
}

IMAGE_ENDS = {"Flatten": "", "GlobalAveragePooling2D": "", "GlobalMaxPooling2D": ""}

VOLUME: dict[str, str] = {
    "AveragePooling3D": "2, padding='same'",
    "Conv3D": "{filters}, 2, padding='same'",
    "Conv3DTranspose": "{filters}, 2, padding='same'",
    "ConvLSTM2D": "{filters}, 2, padding='same', return_sequences=True",
    "SpatialDropout3D": "{rate}",
    "UpSampling3D": "2",
    "ZeroPadding3D": "1",
}

#: Layers whose repetitions train in lockstep.
STACKABLE = tuple(
    "Activation Dense Dense Dense Dropout Dropout Dropout ELU Identity LayerNormalization "
    "LayerNormalization LeakyReLU Normalization Normalization ReLU".split()
)
#: Options that prevent lockstep; drawn rarely if everything else could train in lockstep.
ALONE = tuple(
    "noise_shape use_ema ema_momentum ema_overwrite_frequency clipnorm global_clipnorm "
    "gradient_accumulation_steps loss_scale_factor".split()
)
MERGES = ["Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"]

LOSSES = {
    "regression": "Huber LogCosh MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError "
    "MeanSquaredLogarithmicError Poisson CosineSimilarity",
    "labels": "BinaryCrossentropy BinaryFocalCrossentropy MeanSquaredError Dice Tversky Hinge",
    "binary": "BinaryCrossentropy BinaryFocalCrossentropy Hinge SquaredHinge MeanSquaredError "
    "Dice Tversky",
    "multiclass": "CategoricalCrossentropy CategoricalFocalCrossentropy CategoricalHinge "
    "KLDivergence Dice Tversky CosineSimilarity MeanSquaredError Poisson",
    "sparse": "SparseCategoricalCrossentropy",
}

METRICS = {
    "regression": "MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError LogCoshError "
    "MeanSquaredLogarithmicError RootMeanSquaredError R2Score CosineSimilarity "
    "PearsonCorrelation ConcordanceCorrelation Poisson",
    "labels": "BinaryAccuracy BinaryCrossentropy AUC Precision Recall F1Score FBetaScore "
    "TruePositives FalseNegatives Hinge",
    "binary": "BinaryAccuracy BinaryCrossentropy AUC Precision Recall F1Score FalsePositives "
    "TrueNegatives BinaryIoU PrecisionAtRecall RecallAtPrecision SensitivityAtSpecificity "
    "SpecificityAtSensitivity Hinge SquaredHinge Accuracy",
    "multiclass": "CategoricalAccuracy CategoricalCrossentropy TopKCategoricalAccuracy AUC "
    "Precision Recall F1Score FBetaScore OneHotIoU OneHotMeanIoU CategoricalHinge KLDivergence "
    "CosineSimilarity MeanSquaredError",
    "sparse": "SparseCategoricalAccuracy SparseCategoricalCrossentropy "
    "SparseTopKCategoricalAccuracy MeanIoU IoU",
}

#: Constructor arguments that a loss or metric needs.
NEEDED = {
    "BinaryIoU": "",
    "FBetaScore": "beta=0.5",
    "IoU": "3, [0, 2], sparse_y_pred=False",
    "MeanIoU": "3, sparse_y_pred=False",
    "OneHotIoU": "3, [0, 1]",
    "OneHotMeanIoU": "3",
    "PrecisionAtRecall": "0.5",
    "RecallAtPrecision": "0.5",
    "SensitivityAtSpecificity": "0.5",
    "SparseTopKCategoricalAccuracy": "k=2",
    "SpecificityAtSensitivity": "0.5",
    "TopKCategoricalAccuracy": "k=2",
}

OPTIMIZERS = tuple(
    "Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion Muon Nadam RMSprop SGD "
    "ScheduleFreeAdamW LossScaleOptimizer".split()
)
SCHEDULES = {
    "CosineDecay": "{lr}, 10",
    "CosineDecayRestarts": "{lr}, 4",
    "ExponentialDecay": "{lr}, 5, 0.5",
    "InverseTimeDecay": "{lr}, 5, 0.5",
    "PiecewiseConstantDecay": "[3, 6], [{lr}, 0.02, 0.005]",
    "PolynomialDecay": "{lr}, 10",
}

#: Values of constructor options, by their name; a callable draws one.
OPTIONS: dict[str, Sequence[Any] | Callable[[Draw], str]] = {
    "activation": lambda draw: draw.activation(),
    "adam_weight_decay": [0.1],
    "alpha": [0.3, 0.7],
    "amsgrad": [True],
    "apply_class_balancing": [True],
    "average": ["micro", "macro", "weighted"],
    "axis": [-1, 1],
    "beta": [0.3, 0.6],
    "beta_1": [0.5, 0.8],
    "beta_2": [0.9, 0.99],
    "center": [False],
    "centered": [True],
    "class_aggregation": ["variance_weighted_average"],
    "class_id": [0],
    "clipnorm": [0.05, 0.5],
    "clipvalue": [0.01, 0.1],
    "curve": ["PR"],
    "cycle": [True],
    "decay_rate": [0.3, 0.9],
    "delta": [0.1, 0.5, 2.5],
    "dropout": lambda draw: draw.rate(),
    "ema_momentum": [0.5, 0.9],
    "ema_overwrite_frequency": [1, 3],
    "end_learning_rate": [0.001],
    "epsilon": [0.001, 0.1],
    "from_logits": [True],
    "gamma": [0.5, 1.5],
    "global_clipnorm": [0.05, 0.5],
    "go_backwards": [True],
    "gradient_accumulation_steps": [2, 3],
    "ignore_class": [0],
    "initial_accumulator_value": [0.5],
    "invert": [True],
    "keepdims": [],
    "label_smoothing": [0.1, 0.3],
    "l1_regularization_strength": [0.01],
    "l2": [0.01, 0.1],
    "lora_rank": [1, 2],
    "lora_alpha": [0.5, 3],
    "loss_scale_factor": [0.5, 4.5],
    "mask_zero": [True],
    "mask_value": [0.5],
    "max_value": [0.5, 1.5],
    "merge_mode": ["sum", "mul", "ave"],
    "momentum": [0.5, 0.95],
    "multi_label": [True],
    "negative_slope": [0.05, 0.3],
    "nesterov": [True],
    "noise_shape": ["(None, 1)"],
    "num_thresholds": [5, 20],
    "offset": [0.5, -0.25],
    "padding": ["same"],
    "power": [0.5, 2.5],
    "q": [0.3],
    "recurrent_dropout": lambda draw: draw.rate(),
    "recurrent_activation": lambda draw: draw.activation(),
    "reduction": ["sum", "mean", "mean_with_sample_weight"],
    "relative_step": [False],
    "renorm": [True],
    "reset_after": [False],
    "return_state": [],
    "rho": [0.5, 0.8],
    "rms_scaling": [True],
    "scale": [False],
    "score_mode": ["concat"],
    "seed": [3, 11],
    "shared_axes": [[1]],
    "staircase": [True],
    "strides": [],
    "summation_method": ["minoring", "majoring"],
    "supports_masking": [],
    "synchronized": [],
    "threshold": [0.3, 0.6],
    "top_k": [1],
    "unit_forget_bias": [False],
    "unroll": [True],
    "use_bias": [False],
    "use_ema": [True],
    "use_gate": [True],
    "use_scale": [True],
    "value_dim": [3],
    "warmup_steps": [3],
    "weight_decay": [0.01, 0.2],
    "zero_output_for_mask": [True],
}


class Draw:
    """Draws the text of a model file, and remembers what else it needs.

    Attributes
    ----------
    axes
        Hyperparameter → its values.
    own
        Names in `OWN` that the file defines.
    odd
        Probability that an option differs from its default, and that a part is custom. It is drawn
        once, so that some studies are ordinary throughout and others unusual throughout.
    """

    MAX_AXES = 3

    def __init__(self, seed: int, number: int) -> None:
        self.random = np.random.default_rng([seed, number])
        self.axes: dict[str, list[Any]] = {}
        self.own: list[str] = []
        self.features: list[str] = []
        self.before: list[str] = []
        self.unseeded = False
        self.odd = self.pick([0.03, 0.1, 0.2, 0.35])
        self.vary = self.pick([0.05, 0.12, 0.25])
        self.target = ""
        #: Whether layers are drawn where rows have more than one axis.
        self.inside = False
        #: Whether all layers are among those that train in lockstep.
        self.stackable = self.chance(0.4)
        if self.stackable:
            self.note("stackable")

    def pick(self, values: Sequence[Any]) -> Any:
        return values[int(self.random.integers(len(values)))]

    def chance(self, likelihood: float) -> bool:
        return bool(self.random.random() < likelihood)

    def note(self, feature: str) -> None:
        if feature not in self.features:
            self.features.append(feature)

    def axis(self, values: Sequence[Any]) -> str:
        """Make a hyperparameter of these values and return its name."""
        name = f"h{len(self.axes)}"
        self.axes[name] = list(values)
        return name

    def used(self, text: str) -> None:
        """Remove hyperparameters that no line of the model file uses."""
        for name in list(self.axes):
            if not re.search(rf"\b{name}\b", text):
                del self.axes[name]

    def value(self, values: Sequence[Any], *, more: float = 1.0) -> str:
        """Return one of the values as text, or a hyperparameter that takes some of them."""
        if len(self.axes) < self.MAX_AXES and len(values) > 1 and self.chance(self.vary * more):
            count = min(len(values), int(self.random.integers(2, 4)))
            places = self.random.permutation(len(values))[:count]
            return self.axis([values[place] for place in places])
        return repr(self.pick(values))

    def either(self, make: Callable[[], str], *, more: float = 0.6) -> str:
        """Return an expression, or two with a hyperparameter that chooses between them."""
        if len(self.axes) < self.MAX_AXES and self.chance(self.vary * more):
            name = self.axis([False, True])
            first, second = make(), make()
            if first != second:
                return f"({first} if {name} else {second})"
            return first
        return make()

    def uses(self, name: str) -> str:
        """Add a custom definition to the model file."""
        if name not in self.own:
            self.own.append(name)
        self.note(f"own {name}")
        return name

    def size(self, low: float = 0.05, high: float = 0.8) -> str:
        """Return a number, or a hyperparameter of three."""
        return self.value([round(float(v), 3) for v in self.random.uniform(low, high, 3)], more=1.5)

    def rate(self) -> str:
        return self.value([0.0, 0.2, 0.35, 0.5, 0.7], more=1.5)

    def units(self) -> str:
        return self.value([2, 3, 4, 5, 8])

    def fill(self, template: str) -> str:
        """Fill the braces of a template with draws."""
        makers: dict[str, Callable[[], str]] = {
            "activation": self.activation,
            "cell": self.cell,
            "factor": lambda: self.size(0.3, 1.7),
            "filters": self.units,
            "lr": self.learning_rate,
            "rate": self.rate,
            "recurrent": lambda: f"{self.recurrent()}({self.units()})",
            "recurrent_sequence": lambda: (
                f"{self.recurrent()}({self.units()}, return_sequences=True)"
            ),
            "small": lambda: self.size(0.001, 0.05),
            "units": self.units,
        }
        return re.sub(r"\{(\w+)\}", lambda found: makers[found[1]](), template)

    def recurrent(self) -> str:
        return f"keras.layers.{self.pick(['LSTM', 'GRU', 'SimpleRNN'])}"

    def cell(self) -> str:
        cells = [
            f"keras.layers.{self.pick(['LSTMCell', 'GRUCell', 'SimpleRNNCell'])}({self.units()})"
            for _ in range(self.pick([1, 1, 2]))
        ]
        return cells[0] if len(cells) == 1 else f"[{', '.join(cells)}]"

    def learning_rate(self) -> str:
        return self.value([0.003, 0.01, 0.03, 0.1, 0.3], more=2)

    def options(self, constructor: type, needed: str) -> list[str]:
        """Draw options of a constructor, besides its required arguments."""
        texts = [needed] if needed else []
        given = {part.partition("=")[0].strip() for part in needed.split(",") if "=" in part}
        for place, name in enumerate(list(inspect.signature(constructor.__init__).parameters)[1:]):
            positional = len([part for part in _arguments(needed) if "=" not in part.split("(")[0]])
            if place < positional or name in given or not self.chance(self.odd):
                continue
            text = self.option(name)
            if text is not None:
                self.note(f"{constructor.__name__}.{name}")
                texts.append(f"{name}={text}")
        return texts

    def option(self, name: str) -> str | None:
        """Draw a value of an option by its name; None if there is no value to draw."""
        if name == "noise_shape" and self.inside:
            return None
        alone = name in ALONE or name.endswith("_constraint") or name == "activity_regularizer"
        if alone and self.stackable and self.chance(0.85):
            return None
        for ending, make in (
            ("_initializer", self.initializer),
            ("_regularizer", self.regularizer),
            ("_constraint", self.constraint),
        ):
            if name.endswith(ending):
                matrix = name.startswith(("kernel", "embeddings"))
                return self.either(partial(make, matrix))
        values = OPTIONS.get(name)
        if not values:
            return None
        if callable(values):
            return values(self)
        if self.chance(self.vary) and isinstance(values[0], bool):
            return self.value([True, False], more=5)
        return self.value(values).replace("'(None, 1)'", "(None, 1)")

    def layer(self, name: str, needed: str) -> str:
        """Draw one of Keras's layers with options."""
        constructor = getattr(keras.layers, name)
        self.note(name)
        texts = self.options(constructor, self.fill(needed))
        activation = next((t for t in texts if re.fullmatch(r"activation='?\w+'?", t)), None)
        if activation and self.chance(self.odd):
            texts.append(activation.replace("activation=", "name="))
            self.note("named by its activation")
        if self.chance(self.odd / (25 if self.stackable else 5)):
            texts.append(f"trainable={self.value([False, True], more=5)}")
            self.note("frozen layer")
        if self.chance(self.odd / (30 if self.stackable else 8)) and name not in (
            "Bidirectional",
            "TimeDistributed",
            "RNN",
        ):
            policies = ["float64", "mixed_float16", "mixed_bfloat16", "bfloat16", "float32"]
            texts.append(f"dtype={self.value(policies)}")
            self.note("a layer's dtype")
        return f"keras.layers.{name}({', '.join(texts)})"

    def own_layer(self) -> str:
        name = self.pick(OWN_LAYERS)
        if name in ("Wild", "Traced"):
            if self.chance(0.6):
                name = "Scaled"
            else:
                self.unseeded = True
        self.uses(name)
        if name == "Wide":
            return f"Wide({self.units()})"
        return f"{name}({self.size()})"

    def activation(self) -> str:
        if self.chance(self.odd / 3):
            kind = self.pick(["PReLU", "lambda", "object", "soft"])
            self.note(f"activation {kind}")
            if kind == "PReLU":
                return "keras.layers.PReLU()"
            if kind == "lambda":
                return f"lambda t: {self.size()} * keras.ops.tanh(t)"
            if kind == "object":
                return f"keras.layers.LeakyReLU({self.size()})"
            self.uses("Soft")
            if self.chance(0.5):
                self.before.append(f"FACTOR[0] = {self.size(0.3, 1.7)}")
                self.note("module state")
            return "soft"
        if self.chance(0.1):
            return f"keras.activations.{self.pick(ACTIVATIONS)}"
        common = ["relu", "tanh", "elu", "sigmoid"]
        return self.value(ACTIVATIONS if self.chance(0.5) else common, more=1.5)

    def initializer(self, matrix: bool) -> str:
        if self.chance(self.odd / 2):
            return f"{self.uses(self.pick(['Ramp', 'Numpy', 'Tensor']))}({self.size(0.1, 0.6)})"
        if matrix and self.chance(0.5):
            return self.pick(
                [
                    "'he_normal'",
                    "'glorot_normal'",
                    "'lecun_uniform'",
                    "'orthogonal'",
                    f"keras.initializers.VarianceScaling({self.size(0.3, 2)}, 'fan_out')",
                    "keras.initializers.GlorotUniform(seed=3)",
                    f"keras.initializers.Orthogonal(gain={self.size(0.3, 1.5)})",
                ]
            )
        return self.pick(
            [
                "'zeros'",
                "'ones'",
                f"keras.initializers.Constant({self.size(0.05, 0.4)})",
                f"keras.initializers.RandomNormal(stddev={self.size(0.1, 0.6)})",
                f"keras.initializers.TruncatedNormal(0.1, {self.size(0.1, 0.6)})",
                f"keras.initializers.RandomUniform({-0.3}, {self.size(0.1, 0.6)}, seed=5)",
            ]
        )

    def regularizer(self, matrix: bool) -> str:
        if self.chance(self.odd / 2):
            name = self.pick(["OwnNorm", "Columns", "ConfiguredNorm"])
            return f"{self.uses(name)}({self.size(0.01, 0.2)})"
        if self.chance(self.odd / 4):
            self.note("a function as regularizer")
            return f"lambda w: {self.size(0.01, 0.2)} * keras.ops.sum(w ** 2)"
        if matrix and self.chance(0.15):
            return f"keras.regularizers.OrthogonalRegularizer({self.size(0.01, 0.1)})"
        return self.pick(
            [
                f"keras.regularizers.L2({self.size(0.01, 0.2)})",
                f"keras.regularizers.L1({self.size(0.01, 0.1)})",
                f"keras.regularizers.L1L2(0.01, {self.size(0.01, 0.1)})",
                "'l2'",
            ]
        )

    def constraint(self, matrix: bool) -> str:
        if self.chance(self.odd / 2):
            return f"{self.uses('Small')}({self.size(0.1, 0.4)})"
        return self.pick(
            [
                f"keras.constraints.MaxNorm({self.size(0.3, 1.5)})",
                "keras.constraints.NonNeg()",
                "keras.constraints.UnitNorm()",
                f"keras.constraints.MinMaxNorm({self.size(0.1, 0.4)}, 1.0, rate=0.5)",
                "'non_neg'",
            ]
        )

    def optimizer(self) -> str:
        if self.chance(0.15):
            return self.value(["sgd", "adam", "rmsprop", "adagrad", "nadam", "lion"])
        rate = self.schedule() if self.chance(self.odd) else self.learning_rate()
        if self.chance(self.odd / 2):
            self.uses("Slow")
            if self.chance(0.5):
                self.before.append(f"Slow.share = {self.size()}")
                self.note("class attribute")
            return f"Slow({rate})"
        usual = self.chance(0.7 if self.stackable else 0.4)
        name = self.pick(["SGD", "Adam", "RMSprop"]) if usual else self.pick(OPTIMIZERS)
        self.note(name)
        if name == "LossScaleOptimizer":
            return f"keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam({rate}), 8.0)"
        texts = self.options(getattr(keras.optimizers, name), rate)
        clipping = [text for text in texts if text.partition("=")[0].endswith(("norm", "value"))]
        for text in clipping[1:]:  # Keras accepts only one of them
            texts.remove(text)
        if any("ema_" in text for text in texts) and "use_ema=True" not in texts:
            texts = [t for t in texts if not t.startswith("use_ema=")] + ["use_ema=True"]
        return f"keras.optimizers.{name}({', '.join(texts)})"

    def schedule(self) -> str:
        if self.chance(self.odd):
            return f"{self.uses('Falling')}({self.learning_rate()})"
        if self.chance(self.odd / 3):
            self.note("a function as learning rate")
            return f"lambda: {self.learning_rate()}"
        name = self.pick(sorted(SCHEDULES))
        self.note(name)
        constructor = getattr(keras.optimizers.schedules, name)
        texts = self.options(constructor, self.fill(SCHEDULES[name]))
        return f"keras.optimizers.schedules.{name}({', '.join(texts)})"

    def measured(self, room: Any, name: str, *, drop: Sequence[str] = ()) -> str:
        """Draw a loss or metric object with options."""
        self.note(name)
        needed = NEEDED.get(name, "")
        texts = self.options(getattr(room, name), needed)
        texts = [text for text in texts if text.partition("=")[0] not in drop]
        place = room.__name__.rpartition(".")[2]
        return f"keras.{place}.{name}({', '.join(texts)})"

    def loss(self) -> str:
        names = LOSSES[self.target].split()
        name = names[0] if self.chance(0.4) else self.pick(names)
        if self.target == "sparse":
            if self.chance(0.4):
                return "'sparse_categorical_crossentropy'"
            return self.measured(keras.losses, name)
        if self.chance(self.odd / 2):
            kind = self.pick(["Distance", "error", "lambda"])
            if kind == "Distance":
                return f"{self.uses(kind)}({self.size(1.2, 2.5)})"
            if kind == "error":
                return self.uses(kind)
            self.note("loss lambda")
            return f"lambda y, p: {self.size()} * keras.ops.mean((y - p) ** 2, axis=-1)"
        snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("kldiv", "kl_div")
        if self.chance(0.3) and name not in ("Dice", "Tversky"):
            return repr(snake)
        return self.measured(keras.losses, name)

    def metric(self) -> str:
        if self.chance(self.odd / 2):
            kind = self.pick(["Largest", "Stubborn", "spread", "error", "loss object", "any"])
            if self.target == "sparse" and kind in ("Stubborn", "error"):
                kind = "spread"
            if kind == "Largest":
                return f"{self.uses(kind)}({self.size()})"
            if kind == "Stubborn":
                return f"{self.uses(kind)}(name='stubborn')"
            if kind in ("spread", "error"):
                return self.uses(kind)
            if kind == "loss object" and self.target != "sparse":
                self.note("a loss as metric")
                return self.measured(keras.losses, self.pick(LOSSES[self.target].split()))
            names = " ".join(METRICS.values()).split()
            return self.measured(keras.metrics, self.pick(names))
        name = self.pick(METRICS[self.target].split())
        simple = name not in NEEDED and name not in ("AUC", "Precision", "Recall", "F1Score")
        if self.chance(0.35) and simple and "Positives" not in name and "Negatives" not in name:
            snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
            if hasattr(keras.metrics, snake) or hasattr(keras.losses, snake):
                return repr(snake)
        return self.measured(keras.metrics, name)

    def metrics(self) -> str:
        count = self.pick([0, 1, 1, 1, 2, 2, 3])
        metrics = [self.either(self.metric) for _ in range(count)]
        if metrics and "keras." in metrics[0] and self.chance(0.1):
            metrics.append(metrics[0])
            self.note("two metrics of a kind")
        metrics = list(metrics)
        return f"[{', '.join(metrics)}]"

    def block(self, *, functional: bool) -> list[str]:
        """Draw layers that take and return (rows, numbers); ``{x}`` stands for a named input."""
        if self.stackable:
            if self.chance(0.08):
                return [
                    "keras.layers.Reshape((-1, 1))",
                    self.layer("Dense", "2"),
                    "keras.layers.Flatten()",
                ]
            name = self.pick(STACKABLE)
            return [self.layer(name, ANYWHERE[name])]
        kind = self.pick(["dense"] * 8 + ["sequence", "image", "embedding", "volume", "own", "odd"])
        if kind == "dense":
            names = ["Dense", "Dropout"] if self.chance(0.5) else sorted(ANYWHERE)
            name = self.pick(names)
            return [self.layer(name, ANYWHERE[name])]
        if kind == "own":
            return [self.own_layer() if self.chance(2 * self.odd) else self.layer("Dense", "4")]
        if kind == "embedding":
            bins = "keras.layers.Discretization(bin_boundaries=[-0.5, 0.0, 0.5])"
            if self.chance(0.2):
                self.note("CategoryEncoding")
                return [bins, "keras.layers.CategoryEncoding(4, 'multi_hot')"]
            texts = self.options(keras.layers.Embedding, "4, 3")
            self.note("Embedding")
            return [bins, f"keras.layers.Embedding({', '.join(texts)})", *self.leave(SEQUENCE_ENDS)]
        if kind == "odd":
            return [
                self.pick(
                    [
                        "keras.layers.EinsumDense('ab,bc->ac', output_shape=4, bias_axes='c')",
                        "keras.layers.SpectralNormalization(keras.layers.Dense(4))",
                        f"keras.Sequential([keras.layers.Dense({self.units()}), "
                        f"keras.layers.Dropout({self.rate()})])",
                        "keras.layers.Discretization(bin_boundaries=[-1.0, 0.0, 1.0], "
                        "output_mode='multi_hot')",
                    ]
                )
            ]
        if kind == "sequence":
            inside, ends = SEQUENCE, SEQUENCE_ENDS
            enter = ["keras.layers.Dense(12)", "keras.layers.Reshape((6, 2))"]
            if self.chance(0.3):
                enter = ["keras.layers.RepeatVector(4)"]
        elif kind == "image":
            inside, ends = IMAGE, IMAGE_ENDS
            enter = ["keras.layers.Dense(48)", "keras.layers.Reshape((4, 4, 3))"]
        else:
            inside, ends = VOLUME, {"Flatten": ""}
            enter = ["keras.layers.Dense(16)", "keras.layers.Reshape((2, 2, 2, 2))"]
        middle = []
        self.inside = True
        for _ in range(self.pick([1, 1, 2])):
            if kind == "sequence" and functional and self.chance(0.25):
                more = f"dropout={self.rate()}" if self.chance(0.3) else ""
                text = self.pick(ATTENTION)
                comma = ", " if more and "({more}" not in text else ""
                middle.append(text.replace("{more}", comma + more))
                self.note("attention")
                continue
            pool = ANYWHERE if self.chance(0.2) else inside
            name = self.pick(sorted(pool))
            middle.append(self.layer(name, pool[name]))
        last = self.leave(ends)
        self.inside = False
        return [*enter, *middle, *last]

    def leave(self, ends: Mapping[str, str]) -> list[str]:
        name = self.pick(sorted(ends))
        return [self.layer(name, ends[name])]

    def head(self) -> list[str]:
        """Draw the last layers, whose output suits the target."""
        usual = {
            "regression": "linear",
            "labels": "sigmoid",
            "binary": "sigmoid",
            "multiclass": "softmax",
            "sparse": "softmax",
        }[self.target]
        units = "1" if self.target == "binary" else "outputs"
        if self.chance(self.odd / 2):
            dense = ", ".join(self.options(keras.layers.Dense, units))
            dense = re.sub(r", (activation|name|activity_regularizer|lora_\w+)=[^,]*$", "", dense)
            if dense.count("(") == dense.count(")") and "activation" not in dense:
                return [f"keras.layers.Dense({dense})", f"keras.layers.Activation('{usual}')"]
        if self.chance(0.1):
            return [f"keras.layers.Dense({units})", f"keras.layers.Activation('{usual}')"]
        return [f"keras.layers.Dense({units}, activation='{usual}')"]

    def blocks(self, *, functional: bool) -> list[list[str]]:
        return [self.block(functional=functional) for _ in range(self.pick([1, 1, 2, 2, 3]))]

    def model_name(self) -> str:
        if self.chance(self.odd / 2):
            self.note("model named by a hyperparameter")
            return f", name={self.value(['relu', 'tanh', 'elu'], more=5)}"
        return ""

    def sequential(self) -> list[str]:
        layers = [text for block in self.blocks(functional=False) for text in block]
        start = [] if self.chance(0.05) else ["keras.Input(input_shape)"]
        if not start:
            self.note("Sequential without Input")
        lines = [f"        {text}," for text in [*start, *layers, *self.head()]]
        return [
            "model = keras.Sequential([",
            *[line[4:] for line in lines],
            f"]{self.model_name()})",
        ]

    def functional(self) -> list[str]:
        self.note("functional")
        lines = ["inputs = x = keras.Input(input_shape)"]
        steps: list[list[str]] = [
            [_applied(text, "x", "x") for text in block] for block in self.blocks(functional=True)
        ]
        for _ in range(self.pick([0, 1, 1, 2])):
            steps.insert(int(self.random.integers(len(steps) + 1)), self.joint())
        lines += [line for step in steps for line in step]
        lines += [_applied(text, "x", "x") for text in self.head()]
        return [*lines, f"model = keras.Model(inputs, x{self.model_name()})"]

    def joint(self) -> list[str]:
        """Draw a branch, a shared layer or an operation of a functional model."""
        kind = self.pick(["branch", "branch", "shared", "dropout", "operation"])
        self.note(kind)
        units = self.units()
        if kind == "branch":
            merge = self.pick(MERGES)
            return [
                f"a = keras.layers.Dense({units}, activation={self.activation()})(x)",
                f"b = keras.layers.Dense({units})(x)",
                f"b = {self.layer('Dropout', '{rate}')}(b)",
                f"x = keras.layers.{merge}()([a, b])",
            ]
        if kind == "shared":
            return [
                f"x = keras.layers.Dense({units})(x)",
                f"shared = {self.layer('Dense', units)}",
                self.pick(
                    [
                        "x = shared(shared(x))",
                        "x = keras.layers.Add()([shared(x), shared(-x)])",
                        "x = x + shared(keras.ops.tanh(x))",
                    ]
                ),
            ]
        if kind == "dropout":
            name = self.pick(["Dropout", "Dropout", "Dropout", "GaussianNoise", "PReLU"])
            return [
                f"twice = {self.layer(name, ANYWHERE[name])}",
                "x = twice(x)",
                f"x = keras.layers.Dense({units}, activation={self.activation()})(x)"
                if name != "PReLU"
                else "x = 0.5 * x",
                "x = twice(x)",
            ]
        return [
            self.pick(
                [
                    f"x = {self.size(0.3, 1.7)} * x",
                    "x = keras.ops.tanh(x) + x",
                    "x = x - keras.ops.mean(x, axis=0, keepdims=True)",
                    "x = keras.ops.concatenate([x, keras.ops.abs(x)], axis=-1)",
                    f"x = keras.ops.where(x > 0, x, {self.size()} * x)",
                ]
            )
        ]

    def subclassed(self) -> list[str]:
        self.note("subclassed")
        layers = [text for block in self.blocks(functional=False) for text in block]
        layers += self.head()
        own = self.pick(["", "", "", *STEPS])
        base = """
class Net(keras.Model):
    def __init__(self, parts, strength=1.0):
        super().__init__()
        self.parts = parts
        self.strength = strength
    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x
"""
        if self.chance(0.5):
            base += """
    def build(self, shape):
        for part in self.parts:
            part.build(shape)
            shape = part.compute_output_shape(shape)
        self.built = True
"""
            self.note("own build")
        if own:
            self.note(f"class with {own}")
            base += STEPS[own]
        OWN_NET[self] = base
        strength = f", {self.size(0.3, 1.7)}" if own else ""
        return [
            "model = Net([",
            *[f"    {text}," for text in layers],
            f"]{strength})",
        ]

    def compiled(self) -> str:
        texts = [self.either(self.optimizer), f"loss={self.either(self.loss)}"]
        if self.chance(0.85):
            texts.append(f"metrics={self.metrics()}")
        if self.chance(self.odd / 4):
            texts.append(f"weighted_metrics={self.metrics()}")
            self.note("weighted_metrics")
        if self.chance(self.odd / 8):
            texts.append(f"loss_weights={self.size()}")
            self.note("loss_weights")
        if self.chance(self.odd / 8):
            texts.append(f"steps_per_execution={self.value([2, 3])}")
            self.note("steps_per_execution")
        if self.chance(self.odd / 15):
            texts.append("run_eagerly=True")
            self.note("run_eagerly")
        if self.chance(self.odd / 8):
            texts.append("auto_scale_loss=False")
        return f"model.compile({', '.join(texts)})"

    def tweak(self) -> list[str]:
        """Draw a manual change of a compiled model."""
        name = self.pick(sorted(TWEAKS))
        self.note(f"tweak {name}")
        return self.conditional([self.fill_size(line) for line in TWEAKS[name].strip().split("\n")])

    def fill_size(self, line: str) -> str:
        line = re.sub(r"\{rate\}", lambda _: self.rate(), line)
        line = re.sub(r"\{lr\}", lambda _: self.learning_rate(), line)
        line = re.sub(r"\{count\}", lambda _: self.value([3, 7, 40], more=2), line)
        return re.sub(r"\{size\}", lambda _: self.size(0.3, 1.7), line)

    def conditional(self, lines: list[str]) -> list[str]:
        """Return lines as they are, or under a hyperparameter."""
        if len(self.axes) < self.MAX_AXES and self.chance(0.4):
            return [f"if {self.axis([False, True])}:", *[f"    {line}" for line in lines]]
        return lines


#: The class `Net` of a draw.
OWN_NET: dict[Draw, str] = {}

STEPS = {
    "compute_loss": """
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.strength * super().compute_loss(x, y, y_pred, sample_weight, training)
""",
    "train_step": """
    def train_step(self, data):
        x, y, weight = data
        with tf.GradientTape() as tape:
            p = self(x, training=True)
            loss = self.strength * self.compute_loss(x, y, p, weight)
        weights = self.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
        self._loss_tracker.update_state(loss)
        return self.compute_metrics(x, y, p, weight)
""",
    "test_step": """
    def test_step(self, data):
        x, y = data
        p = self(x, training=False)
        self._loss_tracker.update_state(self.strength * self.compute_loss(x, y, p, training=False))
        return self.compute_metrics(x, y, p)
""",
    "own metric": """
    def train_step(self, data):
        logs = super().train_step(data)
        return {**logs, "twice": 2 * logs["loss"]}
""",
}

#: Changes that a user may make to a compiled `model`.
TWEAKS = {
    "train_step": """
plain_step = model.train_step
def own_step(data):
    x, y, weight = data
    return plain_step(({size} * x, y, weight))
model.train_step = own_step
""",
    "test_step": """
plain_test = model.test_step
model.test_step = lambda data: plain_test(({size} * data[0], *data[1:]))
""",
    "compute_loss": """
plain_loss = model.compute_loss
model.compute_loss = lambda *given, **named: {size} * plain_loss(*given, **named)
""",
    "layer call": """
plain_call = model.layers[-1].call
model.layers[-1].call = lambda x: plain_call({size} * x)
""",
    "first layer call": """
plain_first = model.layers[0].call
model.layers[0].call = lambda x: plain_first({size} * x)
""",
    "iterations": "model.optimizer.iterations.assign({count})",
    "learning rate": "model.optimizer.learning_rate = {lr}",
    "exclude": "model.optimizer.exclude_from_weight_decay(var_names=['bias'])",
    "freeze": "model.layers[0].trainable = False",
    "freeze last": "model.layers[-1].trainable = False",
    "kernel": """
weights = model.get_weights()
model.set_weights([{size} * w if w.dtype.kind == 'f' else w for w in weights])
""",
    "rate": """
for layer in model.layers:
    if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
        layer.rate = {rate}
""",
    "activation": "model.layers[-1].activation = lambda t: {size} * t",
    "regularizer": "model.layers[-1].kernel_regularizer = keras.regularizers.L2({size})",
    "constraint": "model.layers[-1].kernel_constraint = keras.constraints.MaxNorm({size})",
    "activity": "model.layers[-1].activity_regularizer = keras.regularizers.L2({size})",
    "lora": "model.layers[-1].enable_lora(2)",
    "clip": "model.optimizer.clipvalue = {size}",
    "momentum": "model.optimizer.momentum = {size}",
    "optimizer class": "model.optimizer.weight_decay = {size}",
    "bias": "model.layers[-1].use_bias = False",
}

#: Lines before the model is built: global state of Keras and others.
GLOBALS = {
    "policy": "keras.mixed_precision.set_global_policy({policy})",
    "policy if": "if {flag}:\n    keras.mixed_precision.set_global_policy('mixed_float16')",
    "floatx if": "if {flag}:\n    keras.config.set_floatx('float64')",
    "epsilon": "keras.config.set_epsilon({size})",
    "image format if": "if {flag}:\n    keras.config.set_image_data_format('channels_first')",
    "clear_session": "keras.backend.clear_session()",
    "seed": "keras.utils.set_random_seed({count})",
    "seed if": "if {flag}:\n    keras.utils.set_random_seed({count})",
    "np seed": "np.random.seed({count})",
    "tf seed": "tf.random.set_seed({count})",
    "Wide": "Wide.factor = {size}",
    "drawn rate": "drawn = float(np.random.uniform(0.1, 0.6))",
    "drawn units": "drawn = int(np.random.randint(2, 5))",
    "adapted": "adapted = keras.layers.Normalization()\n"
    "adapted.adapt(np.random.default_rng({count}).normal(size=(20, *input_shape)))",
    "inverted": "adapted = keras.layers.Normalization(mean={size}, variance={size}, invert={flag})",
}


def _arguments(text: str) -> list[str]:
    """Split arguments at their commas, but not inside brackets."""
    parts, depth, current = [], 0, ""
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and not depth:
            parts.append(current)
            current = ""
        else:
            current += sign
    return [part.strip() for part in [*parts, current] if part.strip()]


def _applied(text: str, source: str, to: str) -> str:
    """Apply a layer's text in a functional model."""
    called = text.replace("{x}", source) if "{x}" in text else f"{text}({source})"
    return f"{to} = {called}"


def draw_study(seed: int, number: int) -> Study:
    """Draw a study from its number."""
    draw = Draw(seed, number)
    draw.target = draw.pick(
        ["regression", "binary", "multiclass", "multiclass", "sparse", "labels"]
    )
    start: list[str] = []
    drawn = ""
    if draw.chance(2 * draw.odd):
        name = draw.pick(sorted(GLOBALS))
        if name != "Wide" or "Wide" in draw.own:
            draw.note(f"global {name}")
            text = GLOBALS[name]
            if "{flag}" in text:
                text = text.replace("{flag}", draw.axis([False, True]))
            if "{policy}" in text:
                policies = ["float32", "mixed_float16", "mixed_bfloat16"]
                text = text.replace("{policy}", draw.axis(policies))
            start = draw.fill_size(text).split("\n")
            drawn = name if name in ("drawn rate", "drawn units", "adapted", "inverted") else ""
    kind = draw.pick(["sequential"] * 5 + ["functional"] * 4 + ["subclassed"] * 2)
    if draw.stackable and kind == "subclassed":
        kind = "sequential"
    body = getattr(draw, kind)()
    if drawn:
        body = _with_drawn(body, drawn)
    compiled = draw.compiled()
    tweaks = [
        line
        for _ in range(draw.pick([0, 0, 1]) if draw.chance(3 * draw.odd) else 0)
        for line in draw.tweak()
    ]
    draw.used("\n".join([*start, *draw.before, *body, compiled, *tweaks, OWN_NET.get(draw, "")]))
    if not draw.axes:
        compiled = "model.compile(keras.optimizers.SGD(h0)" + _rest_of_compile(compiled)
        draw.axis([0.01, 0.05, 0.2])
    lines = [*start, *draw.before, *body, compiled, *tweaks, "return model"]
    helpers = [OWN[name] for name in draw.own]
    if draw in OWN_NET:
        helpers.append(OWN_NET.pop(draw))
    names = ", ".join(draw.axes)
    text = "\n".join(
        [
            "import keras",
            "import numpy as np",
            "import tensorflow as tf",
            *helpers,
            f"def build_model(input_shape, outputs, *, {names}):",
            *[f"    {line}" for line in lines],
            "",
        ]
    )
    if "tf.random.normal(tf.shape" in text or "np.random.uniform()) if training" in text:
        draw.unseeded = True
    return _with_points(draw, number, text)


def _with_drawn(body: list[str], drawn: str) -> list[str]:
    """Insert the objects that were made before the model into it."""
    layer = {
        "drawn rate": "keras.layers.Dropout(drawn)",
        "drawn units": "keras.layers.Dense(drawn)",
    }.get(drawn, "adapted")
    for place, line in enumerate(body):
        if line.strip() == "keras.Input(input_shape),":
            return [*body[: place + 1], f"    {layer},", *body[place + 1 :]]
        if line.startswith("inputs = x"):
            return [*body[: place + 1], f"x = {layer}(x)", *body[place + 1 :]]
        if line.startswith("model = Net("):
            return [*body[: place + 1], f"    {layer},", *body[place + 1 :]]
    return body


def _rest_of_compile(compiled: str) -> str:
    arguments = _arguments(compiled.removeprefix("model.compile(").removesuffix(")"))
    return "".join(f", {argument}" for argument in arguments[1:]) + ")"


def _with_points(draw: Draw, number: int, text: str) -> Study:
    """Draw points, rows and settings of a study."""
    rows = int(draw.random.integers(33, 65))
    batches = [int(b) for b in draw.random.choice([7, 8, 12, 16, 20, 32], 2, replace=False)]
    stops = draw.chance(0.2)
    epochs = [4, 5] if stops else draw.pick([[1], [2], [3], [2, 3]])
    fit_axes: dict[str, list[Any]] = {
        "batch_size": batches if draw.chance(0.2) else batches[:1],
        "epochs": epochs,
    }
    if stops:
        fit_axes["early_stopping_patience"] = draw.pick([[1], [2], [1, 2]])
        if draw.chance(0.5):
            fit_axes["early_stopping_min_delta"] = draw.pick([[0.001], [0.05], [0.0, 0.1]])
        if draw.chance(0.3):
            fit_axes["early_stopping_monitor"] = ["loss"]
    axes = {**draw.axes, **fit_axes}
    points: list[dict[str, Any]] = []
    for _ in range(int(draw.random.integers(2, 5)) * 3):
        point = {name: draw.pick(values) for name, values in axes.items()}
        if point not in points:
            points.append(point)
    points = points[: int(draw.random.integers(2, 5))]
    for point in points:  # 20 steps at most
        while -(-rows // point["batch_size"]) * point["epochs"] > 20:
            point["batch_size"] *= 2
    if draw.chance(0.35):
        points.append(points[0])
    # Uneven folds are frequent: few numbers of rows divide by 2 to 5.
    method = draw.pick(["holdout", "holdout", "kfold"])
    folds = int(draw.random.integers(2, 6)) if method == "kfold" else 1
    validation = (
        {"method": "kfold", "folds": folds}
        if method == "kfold"
        else {"method": "holdout", "fraction": draw.pick([0.2, 0.25, 0.33])}
    )
    repetitions = tuple(range(draw.pick([1, 2, 2, 3]) if folds < 4 else draw.pick([1, 1, 2])))
    # A point's reference trains one repetition and fold.
    picked = (draw.pick(repetitions), int(draw.random.integers(folds)))
    classified = draw.target in ("binary", "multiclass", "sparse")
    settings = {
        "seed": int(draw.random.integers(1000)),
        "vary": list(STREAMS) if draw.chance(0.8) else [s for s in STREAMS if draw.chance(0.6)],
        "validation": validation,
        "repetitions": repetitions,
        "class_weight": "balanced" if classified and draw.chance(0.3) else None,
        "scaling": draw.pick(["standard", "standard", "minmax", "none"]),
        "lockstep": not draw.chance(0.1),
        "engine": "keras" if draw.chance(0.03) else "compiled",
    }
    return Study(
        number=number,
        text=text,
        target=draw.target,
        rows=rows,
        width=int(draw.pick([4, 6, 9])),
        data_seed=int(draw.random.integers(1000)),
        points=points,
        chosen=[picked] * len(points),
        settings=settings,
        features=draw.features,
        unseeded=draw.unseeded,
    )


# The rows that both sides train on.


def write_data(study: Study, folder: Path) -> None:
    """Write a study's rows, their description and its model file."""
    parts = gridloom()
    random = np.random.default_rng(study.data_seed)
    x = random.normal(size=(study.rows, study.width)).astype(np.float32)
    classes = {"binary": 2, "multiclass": 3, "sparse": 3}.get(study.target)
    if classes:
        codes = (x @ random.normal(size=(study.width, classes))).argmax(axis=1)
        # Enough rows of each class for five folds.
        codes[: 8 * classes] = np.tile(np.arange(classes), 8)[: 8 * classes]
        target: Any = codes.astype(str).astype(object)
    else:
        target = (x @ random.normal(size=(study.width, 2)) / 2).astype(np.float32)
        if study.target == "labels":
            target = (target > 0).astype(np.float32)
        elif study.data_seed % 2:
            target = target[:, :1]
        if study.target == "regression":
            target = np.abs(target)  # for losses that take logarithms
    description = parts.SplitDescription(
        task="classification" if classes else "regression",
        targets=["target"],
        classes=[str(code) for code in range(classes)] if classes else None,
        shape=[study.width],
        rows={"train": study.rows, "test": 0},
    )
    weight = None
    if study.data_seed % 3 == 0:
        weight = random.uniform(0.5, 1.5, size=study.rows).astype(np.float32)
    parts.write_rows(parts.Rows(x, target, weight=weight), folder / "train.npz")
    description.write(folder / "split.json")
    (folder / "model.py").write_text(study.text)


@dataclass(frozen=True)
class Plain:
    """The training of a reference: one repetition and fold of a point."""

    model_file: Path
    point: dict[str, Any]
    shape: tuple[int, ...]
    outputs: int
    classes: list[str] | None
    rows: Any
    seeds: Any
    orders: np.ndarray


def plain_of(study: Study, folder: Path, place: int) -> Plain:
    """Prepare the reference of a point."""
    parts = gridloom()
    settings, (repetition, fold) = study.settings, study.chosen[place]
    description = parts.SplitDescription.read(folder / "split.json")
    rows = parts.training_rows(folder / "train.npz", description)
    seeds = parts.training_seeds(settings["seed"], repetition, settings["vary"])
    fit, held = parts.validation_parts(rows, settings["validation"], seeds.validation)[fold]
    prepared = parts.prepare(rows, fit, held, settings["class_weight"], settings["scaling"])
    point = parts.read_path(parts.point_path(study.points[place]))
    orders = parts.row_orders(seeds.shuffle, point["epochs"], len(prepared.y_train))
    return Plain(
        folder / "model.py",
        point,
        prepared.x_train.shape[1:],
        rows.outputs,
        rows.classes,
        prepared,
        seeds,
        orders,
    )


def make_variables(model: Any, arrays: tuple[np.ndarray, ...]) -> None:
    """Create the variables of a network, its metrics and its optimizer without changing a value.

    `model.fit` creates them in its first traced step. Then it miscounts some metrics in that batch,
    and ScheduleFreeAdamW resets its momentum in each step.
    """
    with contextlib.suppress(Exception):  # a model that reads values creates them in its first step
        model._symbolic_build(data_batch=tuple(array[:2] for array in arrays))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def train_plainly(plain: Plain, nudge: int = 0) -> dict[str, Any]:
    """Train by `model.fit`; to be called in a fresh fork.

    Parameters
    ----------
    nudge
        1 or -1 to change all initial weights in their last bit, up or down.

    Returns
    -------
    dict
        `history`: metric → values, float32; `restored`: the epoch whose weights are kept.
    """
    one_thread()
    spec = importlib.util.spec_from_file_location("fuzzed_model", plain.model_file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzzed_model"] = module
    spec.loader.exec_module(module)
    fit_keys = ("batch_size", "epochs", "early_stopping_")
    own = {name: v for name, v in plain.point.items() if not name.startswith(fit_keys)}
    keras.utils.set_random_seed(plain.seeds.init)
    model = module.build_model(plain.shape, plain.outputs, **own)
    if not model.built:
        model.build((None, *plain.shape))
    parts = engine()
    rows = plain.rows
    y_train = parts.encode_target(model, plain.shape, rows.y_train, plain.classes)
    y_val = parts.encode_target(model, plain.shape, rows.y_val, plain.classes)
    batch_size, epochs = plain.point["batch_size"], plain.point["epochs"]
    arrays = (rows.x_train, y_train, rows.weights)
    make_variables(model, arrays)
    if nudge:
        for weight in model.weights:
            value = np.asarray(weight)
            if value.dtype.kind == "f":
                weight.assign(np.nextafter(value, np.array(nudge * np.inf, value.dtype)))
    keras.utils.set_random_seed(plain.seeds.dropout)
    for index, state in enumerate(parts.seed_states(model)):
        state.assign([parts.generator_seed(plain.seeds.dropout, index), 0])
    epochs_left = iter(plain.orders)

    def rows_of_epoch() -> Iterator[tuple[np.ndarray, ...]]:
        order = next(epochs_left)
        for start in range(0, len(order), batch_size):
            yield tuple(array[order[start : start + batch_size]] for array in arrays)

    batches = tf.data.Dataset.from_generator(
        rows_of_epoch,
        output_signature=tuple(tf.TensorSpec((None, *a.shape[1:]), a.dtype) for a in arrays),
    ).apply(tf.data.experimental.assert_cardinality(-(-len(y_train) // batch_size)))
    callbacks = []
    stopper = None
    if plain.point.get("early_stopping_patience") is not None:
        stopper = keras.callbacks.EarlyStopping(
            monitor=plain.point.get("early_stopping_monitor", "val_loss"),
            min_delta=plain.point.get("early_stopping_min_delta", 0),
            patience=plain.point["early_stopping_patience"],
            mode="min",
            restore_best_weights=True,
        )
        callbacks.append(stopper)
    logs: list[dict[str, Any]] = []
    callbacks.append(
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, said: logs.append(dict(said)))
    )
    model.fit(
        batches,
        epochs=epochs,
        validation_data=(rows.x_val, y_val),
        validation_batch_size=batch_size,
        callbacks=callbacks,
        verbose=0,
    )
    history: dict[str, list[float]] = {}
    for said in logs:
        for name, value in said.items():
            values = np.asarray(value, np.float32)
            many = {f"{name}_{i}": v for i, v in enumerate(values.flat)} if values.ndim else None
            for key, number in (many or {name: values}).items():
                history.setdefault(key, []).append(float(number))
    restored = len(logs) - 1
    if stopper is not None and stopper.best_weights is not None:
        restored = stopper.best_epoch
    return {"history": history, "restored": restored}


def train_warm(study: Study, folder: Path) -> list[dict[str, Any]]:
    """Train all points in one warm `Trainer`; to be called in a fresh fork.

    Returns
    -------
    list of dict
        For each point `how` and `training`, or `error` (and `kind`, its class; `own`, whether
        it is Gridloom's own); after a refusal, `keras`: the same by `engine="keras"`.
    """
    one_thread()
    parts, ours = gridloom(), engine()
    trainer = make_trainer(ours)
    outcomes = []
    checked = False

    def outcome(request: Any, place: int) -> dict[str, Any]:
        try:
            record = trainer.run(request)
        except parts.GridloomError as error:
            return {"error": str(error), "kind": type(error).__name__, "own": True}
        except Exception as error:
            return {
                "error": str(error),
                "kind": type(error).__name__,
                "own": False,
                "traceback": traceback.format_exc()[-3000:],
            }
        training = next(
            one for one in record.trainings if (one.repetition, one.fold) == study.chosen[place]
        )
        return {
            "how": record.engine,
            "training": {"history": training.history, "restored": training.restored_epoch},
        }

    settings = dict(study.settings)
    own = {name: settings.pop(name) for name in ("repetitions", "lockstep")}
    setup = ours.Setup(
        data="rows",
        model_file=ours.model_fingerprint(folder / "model.py", ours.Digests().source)[0],
        training_code="code",
        libraries=ours.library_settings({}),
        target="none",
        onednn=True,
        xla="auto",
        **{**settings, "vary": tuple(settings["vary"])},
    )
    for place, point in enumerate(study.points):
        request = ours.Request(
            setup=setup,
            hyperparameters=parts.read_path(parts.point_path(point)),
            rows_file=folder / "train.npz",
            split_file=folder / "split.json",
            model_file=folder / "model.py",
            **own,
        )
        found = outcome(request, place)
        refused = found.get("own") and REMEDY.search(found["error"])
        if refused and not checked and not study.unseeded:
            checked = True
            alone = replace(
                request,
                repetitions=(study.chosen[place][0],),
                setup=replace(setup, engine="keras"),
            )
            found["keras"] = outcome(alone, place)
        outcomes.append(found)
    return outcomes


def make_trainer(ours: SimpleNamespace) -> Any:
    """Make the `Trainer` under test."""
    return ours.Trainer()


def one_thread() -> None:
    """Use one thread, as a worker does."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def in_fork(function: Callable[[], Any]) -> tuple[Any, str | None]:
    """Call a function in a fork.

    Returns
    -------
    (result, None) or (None, error)
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = (function(), None)
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"[:1500]
            frames = traceback.extract_tb(error.__traceback__)
            mine = [frame for frame in frames if frame.filename == __file__]
            answer = (None, f"{text} [line {mine[-1].lineno if mine else '?'}]")
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    if not content:
        return None, f"the process ended with status {status}"
    return pickle.loads(content)


# The comparison.


def difference(one: Any, other: Any) -> float:
    """Return the difference of two values, relative to 1 or the first; 0 if both are not finite."""
    if one is None or not math.isfinite(one):
        return 0.0 if other is None or not math.isfinite(other) else math.inf
    if other is None or not math.isfinite(other):
        return math.inf
    return abs(one - other) / max(1.0, abs(one))


def apart(reference: Mapping[str, Any], training: Mapping[str, Any]) -> tuple[float, str]:
    """Return the largest difference of two trainings, and where it is."""
    ours, theirs = training["history"], reference["history"]
    worst, where = 0.0, ""
    for name, values in theirs.items():
        for epoch, (value, own) in enumerate(zip(values, ours.get(name, ()), strict=False)):
            far = difference(value, own)
            if far > worst:
                worst, where = far, f"{name}[{epoch}]: model.fit {value}, Gridloom {own}"
    return worst, where


def stops_alike(reference: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    """Describe how two trainings stop differently; empty text if they do not."""
    lengths = len(reference["history"]["loss"]), len(training["history"]["loss"])
    restored = reference["restored"], training["restored"]
    if lengths[0] != lengths[1] or restored[0] != restored[1]:
        return f"(epochs run, epoch restored): {lengths}, {restored}"
    return ""


def judge(
    plain: Plain,
    reference: dict[str, Any] | None,
    error: str | None,
    found: Mapping[str, Any],
    spreads: dict[int, float],
    key: int,
) -> tuple[str, str]:
    """Judge the outcome of a point in Gridloom.

    Returns
    -------
    (outcome, detail)
        `equal`, `refused`, `invalid`, or a failure.
    """
    if "error" in found:
        said = f"{found['kind']}: {found['error']}"
        if not found["own"]:
            plainly = "which model.fit trains" if reference else f"model.fit: {error}"
            return "crash", f"{said} ({plainly})\n{found.get('traceback', '')}"
        if reference is None:
            return "invalid", f"{error} | {said}"
        if INTERNAL.search(found["error"]):
            return "crash", said
        if not REMEDY.search(found["error"]):
            return "no remedy", said
        if "keras" in found:
            outcome, detail = judge(plain, reference, error, found["keras"], spreads, key)
            if outcome != "equal":
                return f"keras engine: {outcome}", f"{said}\nthen: {detail}"
        return "refused", said
    if reference is None:
        return "trained", f"model.fit: {error}"
    worst, where = apart(reference, found["training"])
    if worst > TOLERANCE and math.isfinite(worst):
        if key not in spreads:
            spreads[key] = spread_of(plain, reference)
        if worst > max(TOLERANCE, 10 * spreads[key]):
            return "different", f"{where} ({worst:.2g}; last bit {spreads[key]:.2g})"
    elif worst > TOLERANCE:
        return "different", where
    names = sorted(reference["history"]), sorted(found["training"]["history"])
    if names[0] != names[1]:
        return "other names", f"model.fit has {names[0]}, Gridloom {names[1]}"
    stops = stops_alike(reference, found["training"])
    if stops:
        monitored = plain.point.get("early_stopping_monitor", "val_loss")
        ours, theirs = found["training"]["history"][monitored], reference["history"][monitored]
        same = all(np.float32(a) == np.float32(b) for a, b in zip(ours, theirs, strict=False))
        near = min(abs(a - b) for a in theirs for b in theirs if a != b) if not same else 0.0
        if same or near > 1e-3:
            return "different", stops
    return "equal", ""


def spread_of(plain: Plain, reference: Mapping[str, Any]) -> float:
    """Return how much the last bit of the initial weights changes a plain training."""
    spreads = []
    for nudge in (1, -1):
        moved, _ = in_fork(lambda nudge=nudge: train_plainly(plain, nudge))
        if moved is not None:
            spreads.append(apart(reference, moved)[0])
    return max(spreads, default=0.0)


def run_study(study: Study, folder: Path) -> dict[str, Any]:
    """Train a study both ways; to be called in a process that has run no TensorFlow.

    Returns
    -------
    dict
        `points`, one dict with `outcome`, `detail` and `how` for each; `seconds` of both sides.
    """
    write_data(study, folder)
    started = time.perf_counter()
    outcomes, crash = in_fork(lambda: train_warm(study, folder))
    warm = time.perf_counter() - started
    if outcomes is None:
        outcomes = [{"error": str(crash), "kind": "process", "own": False} for _ in study.points]
    # Earlier points may affect later ones, so the last points are compared first.
    keys = [json.dumps(point, sort_keys=True) for point in study.points]
    compared = list(dict.fromkeys(reversed(keys)))[:MAX_REFERENCES]
    references: dict[str, tuple[Any, Any, Any]] = {}
    spreads: dict[int, float] = {}
    points = []
    for place, found in enumerate(outcomes):
        key = keys[place]
        if key not in compared and found.get("own", True):
            continue
        if key not in references:
            plain = plain_of(study, folder, place)
            references[key] = (plain, *in_fork(lambda plain=plain: train_plainly(plain)))
        plain, reference, error = references[key]
        number = list(references).index(key)
        outcome, detail = judge(plain, reference, error, found, spreads, number)
        points.append(
            {
                "place": place,
                "point": study.points[place],
                "outcome": outcome,
                "detail": detail,
                "how": found.get("how", ""),
            }
        )
    total = time.perf_counter() - started
    for point in points:  # TensorFlow's messages may fill pages
        point["detail"] = _shortened(point["detail"])
    return {"points": points, "warm": round(warm, 3), "plain": round(total - warm, 3)}


def _shortened(text: str, most: int = 1200) -> str:
    return text if len(text) <= most else f"{text[: most // 2]} […] {text[-most // 2 :]}"


# The command.

GOOD = ("equal", "refused", "invalid")


def studies(numbers: Sequence[int], seed: int, jobs: int) -> Iterator[tuple[Study, dict[str, Any]]]:
    """Run studies, each in its own forked process; yield them as they end."""
    waiting = list(reversed(numbers))
    running: dict[int, tuple[Study, Path, float]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            study = draw_study(seed, waiting.pop())
            folder = Path(tempfile.mkdtemp(prefix="gridloom-fuzz-"))
            sys.stdout.flush()
            child = os.fork()
            if not child:
                os.setsid()
                log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT)
                os.dup2(log, 1)
                os.dup2(log, 2)
                status = 1
                try:
                    result = run_study(study, folder)
                    (folder / "result.json").write_text(json.dumps(result))
                    status = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(status)
            running[child] = (study, folder, time.monotonic())
        ended, _ = os.waitpid(-1, os.WNOHANG)
        late = [p for p, (_, _, began) in running.items() if time.monotonic() - began > TIME_LIMIT]
        for child in late:
            os.killpg(child, signal.SIGKILL)
        if not ended:
            time.sleep(0.02)
            continue
        study, folder, began = running.pop(ended)
        result_file = folder / "result.json"
        if result_file.exists():
            result = json.loads(result_file.read_text())
        else:
            passed = time.monotonic() - began > TIME_LIMIT
            outcome = "time limit" if passed else "fuzzer's own error"
            detail = (folder / "log").read_text()[-3000:]
            points = [{"point": {}, "outcome": outcome, "detail": detail, "how": ""}]
            result = {"points": points, "warm": 0.0, "plain": 0.0}
        shutil.rmtree(folder)
        yield study, result


def failure_text(study: Study, result: Mapping[str, Any]) -> str:
    """Describe a study that failed: what differs, its settings and its model file."""
    lines = [f"# study {study.number}: {', '.join(study.features)}"]
    lines.append(f"# points in this order: {study.points}")
    for point in result["points"]:
        repetition, fold = study.chosen[point.get("place", 0)]
        lines.append(f"# {point['point']} repetition {repetition} fold {fold} {point['how']}")
        for line in f"{point['outcome']}: {point['detail']}".strip().split("\n"):
            lines.append(f"#     {line}")
    lines.append(f"# {study.settings}")
    lines.append(f"# {study.rows} rows of {study.width}, {study.target}, data {study.data_seed}")
    return "\n".join(lines) + "\n\n" + study.text


def reason(detail: str) -> str:
    """Return a refusal without the details of its study."""
    text = detail.split("\n")[0].partition(": ")[2]
    text = re.sub(r"\(.*?\)|'[^']*'|\d+(_\d+)*", "…", text)
    return re.sub(r"\b(layer|variable|metric) \S+", r"\1 …", text)[:110]


def summarize(results: Sequence[Mapping[str, Any]], seconds: float) -> list[dict[str, Any]]:
    """Count points by outcome, refusals by reason, and how points trained."""
    points = [point for result in results for point in result["points"]]
    outcomes = Counter(point["outcome"] for point in points)
    rows = [{"what": outcome, "points": count} for outcome, count in outcomes.most_common()]
    refused = Counter(reason(p["detail"]) for p in points if p["outcome"] == "refused")
    rows += [{"what": f"refused: {why}", "points": n} for why, n in refused.most_common()]
    how = Counter(point["how"] for point in points if point["how"])
    rows += [{"what": f"trained {way}", "points": count} for way, count in how.most_common()]
    rows.append({"what": "studies", "points": len(results)})
    rows.append({"what": "wall seconds", "points": round(seconds)})
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    rows.append({"what": "processor seconds", "points": round(used.ru_utime + used.ru_stime)})
    return rows


def main() -> None:
    """Run studies and report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--studies", type=int, default=200, help="how many")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--study", type=int, help="this one only, with its model file")
    parser.add_argument("--quiet", action="store_true", help="write no result file")
    parser.add_argument("--keep", type=Path, help="folder for failures")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    numbers = range(arguments.first, arguments.first + arguments.studies)
    if arguments.study is not None:
        numbers = range(arguments.study, arguments.study + 1)
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    for name in PREPARED:
        importlib.import_module(name)
    gc.freeze()
    results, failed, started = [], 0, time.monotonic()
    for study, result in studies(numbers, arguments.seed, arguments.jobs):
        results.append(result)
        bad = [point for point in result["points"] if point["outcome"] not in GOOD]
        failed += bool(bad)
        if bad or arguments.study is not None:
            text = failure_text(study, result)
            print(text, flush=True)
            if bad and arguments.keep:
                (arguments.keep / f"{study.number}.py").write_text(text)
        if len(results) % 50 == 0:
            print(f"{len(results)} studies, {failed} failed, {time.monotonic() - started:.0f} s")
    rows = summarize(results, time.monotonic() - started)
    if arguments.quiet or arguments.study is not None:
        print(*(f"{row['points']:>6} {row['what']}" for row in rows), sep="\n")
    else:
        report(Path(__file__).stem, rows)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
