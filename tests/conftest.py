"""What all tests share."""

from __future__ import annotations

import os

# Before anything imports TensorFlow, as the worker does it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
