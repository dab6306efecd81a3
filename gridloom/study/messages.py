"""Messages about mistakes in a study's settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel

from gridloom.errors import nearest
from gridloom.naming.values import canonical
from gridloom.study.schema import Resources, Study


def is_other_form(error: Any) -> bool:
    """Return whether an error is about a type that the user did not mean.

    For a key that accepts several types, pydantic reports an error for each of them.
    """
    form, found = str(error["loc"][-1]), error["input"]
    return (
        (form.startswith("literal[") and not isinstance(found, str))
        or (form.startswith("dict[") and isinstance(found, str))
        or (form == "str" and isinstance(found, list))
        or (form.startswith("list[") and not isinstance(found, list))
    )


#: Parts of pydantic's locations that are not keys, such as the member of a union.
_NO_KEY = re.compile(r"\[key\]|str|(literal|dict|list)\[.*")


def sentence(error: Any) -> str:
    """Describe one pydantic error in a sentence."""
    location = [part for part in error["loc"] if not _NO_KEY.fullmatch(str(part))]
    where = ".".join(str(part) for part in location)
    found = error["input"]
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        known, key = _known_keys(location[:-1]), str(location[-1])
        if found is None and key.split(":")[0] in known:
            return f"{where}: write a space after the colon"
        listed = "" if nearest(key, known) else f"; known are {', '.join(known)}"
        return f"{where}: unknown key{nearest(key, known)}{listed}"
    if kind == "missing":
        return f"{where}: missing; {_description(location)}"
    if kind == "literal_error":
        allowed = context["expected"].replace(" or ", ", ").split(", ")
        words = [word.strip("'") for word in allowed]
        hint = nearest(str(found), words)
        return f"{where}: {found!r} is not one of {', '.join(words)}{hint}"
    limits = {
        "greater_than_equal": ("ge", "must be at least {}"),
        "greater_than": ("gt", "must be above {}"),
        "less_than_equal": ("le", "must be at most {}"),
        "less_than": ("lt", "must be below {}"),
    }
    if kind in limits:
        key, text = limits[kind]
        return f"{where}: {text.format(canonical(context[key]))}, found {canonical(found)!r}"
    types = {
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "string_type": "text",
        "bool_type": "true or false",
        "list_type": "a list",
        "dict_type": "a block of `key: value` lines",
        "model_type": "a block of `key: value` lines",
        "model_attributes_type": "a block of `key: value` lines",
    }
    if kind in types:
        instead = "nothing" if found is None else repr(found)
        remedy = f"; write [{found!r}]" if kind == "list_type" and isinstance(found, str) else ""
        return f"{where}: must be {types[kind]}, found {instead}{remedy}"
    if kind in ("string_too_short", "too_short"):
        return f"{where}: is empty; {_description(location)}"
    if kind == "string_too_long":
        return f"{where}: must be one character, found {found!r}"
    if kind == "finite_number":
        return f"{where}: must be a finite number, found {found!r}"
    if kind == "string_pattern_mismatch" and location[-1] == "results":
        return f"{where}: a folder's name without {{ }} * ?, found {found!r}"
    if kind == "string_pattern_mismatch":
        return f"{where}: must be 64 hexadecimal digits in lower case, found {found!r}"
    return f"{where}: {error['msg']}, found {found!r}"


def _model_at(location: Sequence[Any]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = Study
    for part in location:
        if model is None:
            return None
        field = model.model_fields.get(str(part))
        if field is None:
            model = {"resources": Resources}.get(str(location[0])) if model is Study else model
            continue
        candidates = [field.annotation, *get_args(field.annotation)]
        found = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        model = found[0] if found else None
    return model


def _known_keys(location: Sequence[Any]) -> list[str]:
    model = _model_at(location)
    return list(model.model_fields) if model else []


def _description(location: Sequence[Any]) -> str:
    model = _model_at(location[:-1])
    field = model.model_fields.get(str(location[-1])) if model else None
    return (field.description or "give it a value") if field else "give it a value"
