"""The parts of a study that determine its rows.

They stand apart from the rest, because this module is part of the fingerprint of the rows: a new
setting of another part does not make finished trainings start anew.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gridloom.study.sources import shown


class Closed(BaseModel):
    """A block of a study: a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


PositiveInt = Annotated[int, Field(ge=1)]

Fraction = Annotated[float, Field(gt=0, lt=1)]

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Dataset(Closed):
    """Where the rows come from, how they are read, and which column plays which part."""

    source: str = Field(
        min_length=1,
        description="builtin:NAME (breast_cancer, iris, wine, digits, diabetes), openml:ID, or the "
        "path or http(s) address of a CSV, TSV, Parquet or NPZ file, also in gzip or zip.",
    )
    format: Literal["csv", "tsv", "parquet", "npz"] | None = Field(
        None, description="Format of the file; null: by its ending, csv if that is unknown."
    )
    member: str | None = Field(None, description="File inside a zip; null if it holds one only.")
    sha256: Sha256 | None = Field(
        None, description="SHA-256 that the downloaded or local file must have."
    )
    test_source: str | None = Field(
        None, min_length=1, description="A further file like `source` that holds the test rows."
    )
    test_sha256: Sha256 | None = Field(None, description="SHA-256 of `test_source`.")
    task: Literal["classification", "multilabel", "regression"] = Field(
        "classification",
        description="One of two or more classes, several labels of 0 or 1 for each row, or numbers "
        "to predict.",
    )
    target: str | Annotated[list[str], Field(min_length=1)] = Field(
        "target", description="Column to predict; a list for multilabel or several numbers."
    )
    drop: list[str] = Field(
        [],
        description="Columns that are not predicted from, such as an id; predictions for new rows "
        "show them.",
    )
    categorical: list[str] = Field(
        [], description="Columns of numbers, or of very many texts, to treat as categories."
    )
    group: str | None = Field(
        None,
        description="Column of groups, such as patients: rows of one group are never on both sides "
        "of a split.",
    )
    order: str | None = Field(
        None,
        description="Column of times or numbers: test and validation rows are the latest.",
    )
    weight: str | None = Field(None, description="Column with the weight of each row in the loss.")
    columns: Annotated[list[str], Field(min_length=1)] | None = Field(
        None,
        description="Column names of a file without a header row; further columns are named by "
        "their position, from 1.",
    )
    shape: Annotated[list[PositiveInt], Field(min_length=1)] | None = Field(
        None,
        description="Shape of a row for the network, such as [28, 28, 1] for images whose pixels "
        "are columns.",
    )
    missing: list[str] = Field(
        [], description="Texts that mean a missing value, besides empty cells, NA, NaN and null."
    )
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = Field(
        None, description="Character between columns; null: comma, or tab for tsv."
    )
    decimal: Literal[".", ","] = Field(".", description="Decimal sign of numbers.")
    encoding: str = Field("utf-8", description="Encoding of the text, such as latin-1.")

    @property
    def targets(self) -> list[str]:
        """The columns to predict."""
        return [self.target] if isinstance(self.target, str) else self.target

    def without_secrets(self) -> Dataset:
        """Return the block without the secrets in its addresses, so that files may show it."""
        test = None if self.test_source is None else shown(self.test_source)
        return self.model_copy(update={"source": shown(self.source), "test_source": test})


class Split(Closed):
    """Which rows are the test set, unless the source defines it."""

    test: Fraction = Field(0.2, description="Fraction of all rows held back for the final test.")
    stratify: bool = Field(
        True, description="classification: keep the classes' shares equal in both parts."
    )
    seed: Annotated[int, Field(ge=0)] = Field(0, description="Seed of the split.")
    column: str | None = Field(
        None, description="Column that says which rows are the test set; it is not a feature."
    )
    test_value: str = Field("test", description="Value of `column` in the test rows.")
