"""Random values of hyperparameters."""

from __future__ import annotations

from hypothesis import strategies as st

from gridloom.naming.values import canonical

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["1", "-1", "1e-5", "1e", "true", "null", "~1", "64-32", "%31", ""])
)
values = scalars.map(canonical) | st.lists(scalars).map(canonical)
