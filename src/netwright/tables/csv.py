"""Any table of results as CSV or Parquet: one column per gene, or one with the architecture's text, and metrics.

No code is needed for a space of one's own: every gene column becomes a choice among the values that occur in it.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute

from netwright.core import genes as encodings
from netwright.core import refs
from netwright.core.errors import BadReference, InvalidGenotype, MissingCapability, NetwrightError
from netwright.core.genes import Choice, Real
from netwright.core.protocols import SearchSpace
from netwright.core.records import IO, Counts, Genotype, LabeledGraph
from netwright.core.table import ReadsText, Table, column_of
from netwright.tables import columns as columns_of_files

TRIES = 100  # changes of one gene that may lead to no row
MISSING = frozenset(
    {"", "na", "n/a", "nan", "-nan", "null", "none", "inf", "+inf", "-inf", "infinity", "-infinity"}
)  # how cells without a finite number are written, in small letters
PARAMS = "params"  # column of sizes
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
WHOLE = re.compile(r"0|-?[1-9][0-9]{0,299}")  # a whole number as it is written
MARKED = re.compile(r"[+-]?[0-9]+([.,' \u00a0\u202f\u2019_][0-9]+)+")
MISSPELLED = 0.1  # of the cells of a column of numbers; with more of them it is a column of texts
REMEDY = "correct it or leave the cell empty"


@dataclass(frozen=True, eq=False)
class GeneTableSpace:
    """The rows of a table, as choices; it describes no network.

    Args:
        name: Name of the table.
        genes: One choice per column, its options in the order of their numbers, where each is a number as it is
            written, or of texts.
        rows: The genotypes that have a row.
        sizes: Parameters of the networks whose number is known; others count as 0.
    """

    name: str
    genes: tuple[Choice, ...]
    rows: tuple[Genotype, ...]
    sizes: Mapping[Genotype, int] = field(default_factory=dict)

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A row, drawn uniformly."""
        return self.rows[int(rng.random() * len(self.rows))]

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A row that differs in one gene, gene and value drawn uniformly; where none is found, any row."""
        for _ in range(TRIES):
            position = int(rng.random() * len(self.genes))
            value = int(rng.random() * (len(self.genes[position].options) - 1))
            other = (*genotype[:position], value + (value >= genotype[position]), *genotype[position + 1 :])
            if other in self._known:
                return other
        return self.sample(rng)

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype for a value out of range and for a combination that has no row."""
        encodings.check(self.genes, genotype)
        if genotype not in self._known:
            pairs = zip(self.genes, genotype, strict=True)
            listed = ", ".join(f"{gene.name} = {gene.options[int(value)]}" for gene, value in pairs)
            raise InvalidGenotype(f"table {self.name!r} has no row with {listed}")

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> Any:  # noqa: ARG002
        """Raise MissingCapability: the columns describe no network."""
        raise MissingCapability(
            f"the columns of table {self.name!r} describe no network to build; give its text column and a space"
        )

    def count(self, genotype: Genotype, io: IO) -> Counts:  # noqa: ARG002
        """Parameters as the table's column `params` has them, else 0; multiply-adds 0; memory is not known."""
        return Counts(self.sizes.get(genotype, 0), 0)

    def key(self, genotype: Genotype) -> str:
        """Digest of the genotype."""
        return encodings.digest(encodings.to_json(genotype))

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """A chain of the values."""
        nodes = ("input", *(str(n) for n in range(1, len(genotype))), "output")
        labels = (f"{gene.name} {gene.options[int(v)]}" for gene, v in zip(self.genes, genotype, strict=True))
        return LabeledGraph(self.name, nodes, tuple((n, n + 1, label) for n, label in enumerate(labels)))

    @cached_property
    def _known(self) -> frozenset[Genotype]:
        return frozenset(self.rows)


def csv(
    path: str,
    genes: tuple[str, ...] = (),
    signal: str = "",
    final: str = "",
    seconds: str | None = None,
    text: str = "",
    space: Any = "nats",
    budgets: Mapping[int, str] | None = None,
    repeats: Mapping[str, tuple[str, ...]] | None = None,
    name: str = "",
) -> Table:
    """Read a table. Rows of one architecture are averaged, missing cells stay missing; `remarks` says so.

    A gene with a single value is left out, with a remark: such columns are common (a setting that was kept), there is
    nothing to choose, and a strategy that changes it would measure the same network again.

    Args:
        path: Path of a file of comma-, semicolon- or tab-separated values with a header, or of a Parquet file.
        genes: Columns that are genes. In CSV their values are texts as they are written: "00" is not "0", nor "1.0"
            "1". In Parquet they are what the column's type says, exactly.
        signal: Column that a search sees; a leading minus: lower is better. See `core.table` for names that tell.
        final: Column that is reported, written in the same way; by default the signal.
        seconds: Column with the cost of one evaluation, in seconds.
        text: Column with the architecture's text, instead of genes.
        space: Space, or the reference of one, that reads the text.
        budgets: Signal column by budget.
        repeats: Columns of single measurements, by the column that is their mean.
        name: Name of the table; by default the file's.

    Raises:
        BadReference: No such file or column; no signal; neither genes nor text, or both; nothing to choose.
        NetwrightError: A file that is damaged, a cell that is no number; says which row.
        InvalidGenotype: A text that the space does not read; says which row.
    """
    name = name or Path(path).stem
    file = columns_of_files.opened(Path(path).expanduser())
    if bool(genes) == bool(text):
        raise BadReference(
            f"table {name!r}: give either genes, the columns of choices, or text, the column of architectures; "
            f"its columns: {', '.join(file.names)}"
        )
    if not signal:
        raise BadReference(f"table {name!r} needs signal, the column to search by: {', '.join(file.names)}")
    final = final or signal
    measures = [signal, final, *([seconds] if seconds else []), *(budgets or {}).values()]
    single = itertools.chain(*(repeats or {}).values())
    numbers = list(dict.fromkeys([*map(column_of, measures), *(repeats or {}), *single]))
    described = tuple(genes) if genes else (text,)
    _refuse_unknown(name, file.names, [*described, *numbers])
    if both := set(genes) & set(numbers):
        raise BadReference(f"column {both.pop()!r} of table {name!r} is given as a gene and as a measure; give it once")
    if len(set(genes)) < len(genes):
        raise BadReference(f"genes of table {name!r} are {', '.join(genes)}; name each column once")
    found = file.read({*described, *numbers}, len(described))
    remarks: list[str] = []
    columns = dict(_numbers(name, found, described, numbers, remarks))
    if text:
        reader = _reader(space)
        genotypes = list(_parsed(name, found.column(text), reader))
        choices: tuple[Choice, ...] = ()
    else:
        reader = None
        choices, genotypes = _encoded(name, found, genes, remarks)
    rows, columns = _averaged(genotypes, columns, remarks)
    for column in dict.fromkeys(map(column_of, measures)):
        if missing := int(np.isnan(columns[column]).sum()):
            remarks.append(f"{missing:,} of {len(rows):,} networks have no {column}")
    if reader is None:
        sizes = columns.get(PARAMS, np.array([]))
        known = {each: int(sizes[row]) for each, row in rows.items() if len(sizes) and np.isfinite(sizes[row])}
        reader = GeneTableSpace(name, choices, tuple(rows), known)
    if len(rows) < (combinations := _combinations(reader)):
        remarks.append(f"{len(rows):,} of the {combinations:,} networks of the space have a row")
    return Table(
        name,
        reader,
        rows,
        columns,
        signal,
        final,
        seconds,
        budgets or {},
        repeats=repeats or {},
        remarks=tuple(remarks),
    )


def _refuse_unknown(name: str, known: Sequence[str], columns: Sequence[str]) -> None:
    for column in columns:
        if column not in known:
            raise BadReference(
                f"table {name!r} has no column {column!r}; its columns: {', '.join(known)}"
                f"{columns_of_files.in_no_header(known)}"
            )


def _numbers(
    name: str, found: pyarrow.Table, described: Sequence[str], needed: Sequence[str], remarks: list[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Every column of numbers as float64, NaN where missing or infinite; a column of texts only if it is `needed`."""
    for column in found.column_names:
        if column in described:
            continue
        values = found.column(column)
        if columns_of_files.is_numeric(values.type):
            numbers = values.cast(pyarrow.float64(), safe=False).to_numpy().copy()  # null becomes NaN
        elif (plain := _plain_numbers(values)) is not None:
            numbers = plain
        else:
            read = [_number(value) for value in values.to_pylist()]
            if None in read and column not in needed:
                if read.count(None) <= MISSPELLED * len(read):
                    remarks.append(f"column {column} is left out: {_fault(column, values, read.index(None))}")
                continue
            if None in read:
                raise NetwrightError(f"table {name!r}, {_fault(column, values, read.index(None))}; {REMEDY}")
            numbers = np.array(read, np.float64)
        numbers[~np.isfinite(numbers)] = np.nan
        yield column, numbers


def _plain_numbers(values: pyarrow.ChunkedArray) -> np.ndarray | None:
    """The numbers of a column of texts, fast, NaN where one is empty; None: some are written in another way."""
    try:
        present = pyarrow.compute.not_equal(values, "")
        return pyarrow.compute.if_else(present, values, None).cast(pyarrow.float64()).to_numpy().copy()
    except pyarrow.ArrowException:
        return None


def _number(value: object) -> float | None:
    """The number of a cell, NaN where it is missing; None: it is no number."""
    text = "" if value is None else str(value).strip(" \t")
    if NUMBER.fullmatch(text):
        return float(text)
    return math.nan if text.lower() in MISSING else None


def _fault(column: str, values: pyarrow.ChunkedArray, row: int) -> str:
    """Why a cell is no number, as a part of a sentence."""
    text = str(values[row].as_py())
    more = ""
    if "%" in text:
        more = " because of the percent sign"
    elif MARKED.fullmatch(text.strip()):
        more = " because of the comma or the mark between thousands: numbers have a decimal point and nothing else"
    return f"row {row + 1} below the header: {column} is {text[:60]!r}, which is no number{more}"


def _reader(space: Any) -> Any:
    """The space that reads texts. Raises MissingCapability."""
    found = refs.load("space", refs.parse(space)) if isinstance(space, str) else space
    if not isinstance(found, ReadsText):
        raise MissingCapability(
            f"{type(found).__name__} reads no text, as it has no parse; give genes, or another space"
        )
    return found


def _parsed(name: str, texts: Any, reader: Any) -> Iterator[Genotype]:
    for row, text in enumerate(texts.to_pylist(), start=1):
        try:
            genotype = reader.parse(str(text))
            reader.check(genotype)
        except InvalidGenotype as error:
            raise InvalidGenotype(f"table {name!r}, row {row} below the header: {error}") from None
        yield genotype


def _encoded(
    name: str, found: pyarrow.Table, genes: Sequence[str], remarks: list[str]
) -> tuple[tuple[Choice, ...], list[Genotype]]:
    """The choices that the columns are, and each row's values; columns of one value are left out and remarked on."""
    choices, codes = [], []
    for gene in genes:
        options, values = _options(name, gene, found.column(gene), remarks)
        if len(options) == 1:
            remarks.append(f"gene {gene} is {options[0]} in every row and left out")
            continue
        choices.append(Choice(gene, options))
        codes.append(values.tolist())
    if not choices:
        raise BadReference(f"every gene of table {name!r} has one value in all rows; there is nothing to search")
    return tuple(choices), list(zip(*codes, strict=True))


def _options(name: str, gene: str, column: Any, remarks: list[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """The distinct values of a column in order, and the position of each row's, shape (N,).

    Different texts are different values, whatever numbers they would be. They are in the order of their numbers where
    each text is exactly what its number is written as, else in the order of texts.
    """
    values, codes = _distinct(name, gene, column)
    labels = [_label(value) for value in values]
    is_empty = np.isnan(codes) | np.isin(codes, [n for n, label in enumerate(labels) if not label.strip()])
    if is_empty.any():
        row = int(np.argmax(is_empty)) + 1
        raise NetwrightError(
            f"table {name!r}, row {row} below the header: gene {gene} is empty; fill it in or remove the row"
        )
    numbers = [value if not isinstance(value, str) else _exact(value) for value in values]
    is_ordered = None not in numbers and len(set(numbers)) == len(numbers)
    ranks: list[Any] = numbers if is_ordered else labels
    ordered = sorted(range(len(labels)), key=ranks.__getitem__)
    places = np.empty(len(labels), int)
    places[ordered] = np.arange(len(labels))
    if alike := _alike(labels):
        remarks.append(
            f"gene {gene} has values that differ in how they are written alone, such as {alike[0]!r} and {alike[1]!r}; "
            "each is a value of its own"
        )
    return tuple(labels[place] for place in ordered), places[codes.astype(int)]


def _distinct(name: str, gene: str, column: Any) -> tuple[list[Any], np.ndarray]:
    """The distinct values of a column, numbers, truth values or texts; the position of each row's, NaN for none."""
    types, kind = pyarrow.types, column.type
    if types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if not (columns_of_files.is_numeric(kind) or types.is_boolean(kind)):
        try:
            column = column.cast(pyarrow.large_string())
        except pyarrow.ArrowException:
            raise NetwrightError(
                f"gene {gene} of table {name!r} is a column of {kind}; save it as texts or numbers"
            ) from None
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False).astype(float)


def _label(value: object) -> str:
    """A gene's value as text; "" for none."""
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value).removesuffix(".0")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _exact(text: str) -> int | float | None:
    """The number that is written as exactly this text; None: there is none."""
    if WHOLE.fullmatch(text):
        return int(text)
    if not NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if repr(number) == text else None


def _alike(texts: Sequence[str]) -> tuple[str, str] | None:
    """Two different texts that people may take for one: other spaces, capitals, forms of Unicode, zeros."""
    known: dict[object, str] = {}
    for text in texts:
        plain = unicodedata.normalize("NFKC", text).strip().casefold()
        number: object = plain
        if re.fullmatch(r"[+-]?[0-9]{1,300}", plain):
            number = int(plain)
        elif NUMBER.fullmatch(plain):
            number = float(plain)
        if text != (other := known.setdefault(number, text)):
            return other, text
    return None


def _averaged(
    genotypes: Sequence[Genotype], columns: Mapping[str, np.ndarray], remarks: list[str]
) -> tuple[dict[Genotype, int], dict[str, np.ndarray]]:
    """Rows and columns with one row per genotype: the mean of the numbers that are there."""
    rows: dict[Genotype, int] = {}
    places = np.array([rows.setdefault(genotype, len(rows)) for genotype in genotypes])
    if len(rows) == len(genotypes):
        return rows, dict(columns)
    again = len(genotypes) - len(rows)
    remarks.append(f"{again:,} of {len(genotypes):,} rows repeat an architecture; each is the mean of its rows")
    means = {}
    for column, values in columns.items():
        present = ~np.isnan(values)
        sums = np.bincount(places[present], values[present], len(rows))
        counts = np.bincount(places[present], minlength=len(rows))
        means[column] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return rows, means


def _combinations(space: SearchSpace) -> float:
    """How many genotypes a space has; infinite with real genes."""
    return math.prod(math.inf if isinstance(gene, Real) else encodings.size(gene) for gene in space.genes)


plugin = csv
