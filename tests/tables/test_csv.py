"""Tables of one's own: what is read, what is mended, what is refused."""

import csv as python_csv
import itertools
import math
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import memory, refs, seeds
from netwright.core.errors import BadReference, InvalidGenotype, MissingCapability, NetwrightError
from netwright.core.records import IO, Counts
from netwright.spaces.nats_size import NatsSize
from netwright.tables.csv import csv
from netwright.testing.spaces import check_encodings, check_graph
from netwright.testing.toys import ToySpace

PLAIN = """op,width,lr,val,test,cost
conv,8,0.1,60,61,5
conv,16,0.1,70,69,9
pool,8,0.01,50,52,3
pool,16,0.01,55,54,4
"""
GENES = ("op", "width", "lr")


@pytest.fixture
def write(tmp_path):
    def make(text, name="my.csv"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return make


def test_a_column_for_each_gene(write):
    table = csv(write(PLAIN), GENES, "val", "test", "cost")
    assert table.name == "my"
    assert [(gene.name, gene.options) for gene in table.space.genes] == [
        ("op", ("conv", "pool")),
        ("width", ("8", "16")),
        ("lr", ("0.01", "0.1")),
    ]
    assert table.rows == {(0, 0, 1): 0, (0, 1, 1): 1, (1, 0, 0): 2, (1, 1, 0): 3}
    assert table.lookup((1, 0, 0)) == {"signal": 50.0, "final": 52.0, "seconds": 3.0}
    assert table.remarks == ("4 of the 8 networks of the space have a row",)
    assert csv(write(PLAIN), GENES, "val").final == "val"


def test_the_same_from_a_reference_and_from_parquet(write, tmp_path):
    path = write(PLAIN)
    given = f"csv(path='{path}', genes=['op','width','lr'], signal='val', final='-test')"
    table = refs.load("table", refs.parse(given))
    columns = {"op": ["conv", "pool"], "width": [16.0, 8.0], "val": [1, 2], "val8": pa.array([1, 2], pa.int8())}
    pq.write_table(pa.table(columns), tmp_path / "my.parquet")
    other = csv(str(tmp_path / "my.parquet"), ("op", "width"), "-val")
    assert table.scores("final")[0] == -61
    assert other.space.genes[1].options == ("8", "16")
    assert other.rows == {(0, 1): 0, (1, 0): 1}
    assert list(other.columns) == ["val", "val8"]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_other_separators(write, mark):
    assert len(csv(write(PLAIN.replace(",", mark)), GENES, "val")) == 4


def test_numbers_are_ordered_as_numbers_and_texts_as_texts(write):
    table = csv(write("n,t,v\n10,b,1\n9,a,2\n1.5,2x,3\n-2,10x,4\n"), ("n", "t"), "v")
    assert [gene.options for gene in table.space.genes] == [("-2", "1.5", "9", "10"), ("10x", "2x", "a", "b")]
    same = csv(write("n,v\n1,1\n1.0,3\n2,5\n"), ("n",), "v")
    assert [gene.options for gene in same.space.genes] == [("1", "1.0", "2")]


def test_repeated_architectures_are_averaged(write):
    table = csv(write("g,v,t\na,1,10\nb,5,50\na,3,\na,,\n"), ("g",), "v", "t")
    assert table.lookup((0,)) == {"signal": 2.0, "final": 10.0, "seconds": 0.0}
    assert table.lookup((1,))["signal"] == 5
    assert table.remarks == ("2 of 4 rows repeat an architecture; each is the mean of its rows",)


@pytest.mark.parametrize("cell", ["", "NaN", "nan", "NA", "null", "inf"])
def test_missing_cells_stay_missing_and_are_counted(write, cell):
    table = csv(write(f"g,v\na,1\nb,{cell}\nc,3\n"), ("g",), "v")
    assert math.isnan(table.lookup((1,))["signal"])
    assert table.remarks == ("1 of 3 networks have no v",)


def test_a_column_of_missing_cells_is_refused(write):
    with pytest.raises(BadReference, match="column 'v' of table 'my' holds no number"):
        csv(write("g,v,w\na,,1\nb,,2\n"), ("g",), "v")
    with pytest.raises(BadReference, match="column 'v' of table 'my' holds no number"):
        csv(write("g,v,w\na,nan,1\nb,n/a,2\n"), ("g",), "w", "v")


def test_a_gene_of_one_value_is_left_out(write):
    table = csv(write("g,h,v\na,relu,1\nb,relu,2\n"), ("g", "h"), "v")
    assert [gene.name for gene in table.space.genes] == ["g"]
    assert table.remarks == ("gene h is relu in every row and left out",)
    with pytest.raises(BadReference, match="every gene of table 'my' has one value in all rows"):
        csv(write("g,h,v\na,relu,1\na,relu,2\n"), ("g", "h"), "v")


@pytest.mark.parametrize(
    ("text", "options", "error", "says"),
    [
        (PLAIN, {"signal": "acc"}, BadReference, "has no column 'acc'; its columns: op, width, lr, val, test, cost"),
        (PLAIN, {"genes": ("op", "depth")}, BadReference, "has no column 'depth'; its columns: op, width"),
        (PLAIN, {"seconds": "hours"}, BadReference, "has no column 'hours'"),
        (PLAIN, {"budgets": {3: "val3"}}, BadReference, "has no column 'val3'"),
        (PLAIN, {"genes": ()}, BadReference, "give either genes, the columns of choices, or text"),
        (PLAIN, {"text": "op"}, BadReference, "give either genes, the columns of choices, or text"),
        (PLAIN, {"signal": ""}, BadReference, "needs signal, the column to search by: op, width"),
        (
            PLAIN,
            {"genes": ("op", "val")},
            BadReference,
            "column 'val' of table 'my' is given as a gene and as a measure",
        ),
        (PLAIN, {"genes": ("op", "op")}, BadReference, "name each column once"),
        (
            PLAIN.replace("55,54", "55,5x4"),
            {},
            NetwrightError,
            "row 4 below the header: test is '5x4', which is no num",
        ),
        (PLAIN.replace("conv,16", ",16"), {}, NetwrightError, "row 2 below the header: gene op is empty"),
        (PLAIN.replace("pool,8", "pool,"), {}, NetwrightError, "row 3 below the header: gene width is empty"),
        (PLAIN.replace("69,9", "69"), {}, NetwrightError, "is no CSV: line 3 has 5 cells and the header 6; quote"),
        (PLAIN.replace("test", "val"), {"final": "val"}, NetwrightError, "has two columns called 'val'; rename one"),
        (PLAIN.partition("\n")[0] + "\n", {}, NetwrightError, "has no rows below its header"),
        ("", {}, NetwrightError, "is neither CSV nor Parquet"),
        ("PAR1 but no more", {}, NetwrightError, "is neither CSV nor Parquet"),
    ],
)
def test_what_is_wrong_is_named(write, text, options, error, says):
    with pytest.raises(error) as refused:
        csv(write(text), **{"genes": GENES, "signal": "val", "final": "test", **options})
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_file(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(BadReference, match="cannot be read"):
            csv(str(path), GENES, "val")


def test_text_that_a_space_reads(write):
    path = write("a,v\n8:8:8:8:8,1\n64:8:8:8:16,2\n")
    table = csv(path, text="a", space="nats_size", signal="v")
    assert table.rows == {(0, 0, 0, 0, 0): 0, (7, 0, 0, 0, 1): 1}
    assert table.remarks == ("2 of the 32,768 networks of the space have a row",)
    assert csv(path, text="a", space=NatsSize(), signal="v").rows == table.rows


def test_wrong_text_is_named_with_its_row(write):
    with pytest.raises(InvalidGenotype) as refused:
        csv(write("a,v\n8:8:8:8:8,1\n64:8:8:8:17,2\n"), text="a", space="nats_size", signal="v")
    assert "table 'my', row 2 below the header: '64:8:8:8:17' is no network of this space" in str(refused.value)
    with pytest.raises(MissingCapability, match="ToySpace reads no text"):
        csv(write("a,v\n1,2\n"), text="a", space=ToySpace(), signal="v")


def test_the_space_of_a_table_draws_its_rows(write):
    lines = [f"{a},{b},{a + b}" for a, b in itertools.product(range(4), range(3)) if (a, b) != (3, 2)]
    space = csv(write("a,b,v\n" + "\n".join(lines) + "\n"), ("a", "b"), "v").space
    drawn = Counter(space.sample(seeds.rng_for(0, seeds.ASK, n)) for n in range(1100))
    assert set(drawn) == set(space.rows)
    assert max(drawn.values()) < 150
    children = {space.mutate((3, 1), seeds.rng_for(0, seeds.ASK, n)) for n in range(200)}
    assert children == {(0, 1), (1, 1), (2, 1), (3, 0)}
    for genotype in space.rows:
        space.check(genotype)
        check_encodings(space, genotype)
        check_graph(space.graph(genotype))
    with pytest.raises(InvalidGenotype, match="table 'my' has no row with a = 3, b = 2"):
        space.check((3, 2))
    with pytest.raises(InvalidGenotype, match=r"gene 1 \(b\) is 3"):
        space.check((0, 3))
    assert len({space.key(genotype) for genotype in space.rows}) == 11


def test_a_row_without_neighbors_is_not_the_end(write):
    space = csv(write("a,b,v\n0,0,1\n1,1,2\n"), ("a", "b"), "v").space
    assert {space.mutate((0, 0), seeds.rng_for(0, seeds.ASK, n)) for n in range(30)} == {(0, 0), (1, 1)}


def test_a_table_of_genes_has_no_network(write):
    space = csv(write("g,v,params\na,1,100\nb,2,200\n"), ("g",), "v").space
    assert space.count((1,), IO(3, 8, 8, 10)) == Counts(200, 0)
    with pytest.raises(MissingCapability, match="describe no network to build"):
        space.build((0,), IO(3, 8, 8, 10), np.random.default_rng(0))


def test_single_measurements(write):
    path = write("g,v,v1,v2\na,2,1,3\nb,5,5,\n")
    table = csv(path, ("g",), "v", repeats={"v": ("v1", "v2")})
    assert [table.lookup((g,), seed=n)["signal"] for g in (0, 1) for n in (0, 1)] == [1, 3, 5, 5]


WORDS = st.text(st.sampled_from("01_3+-. eE#aATé\u0301\u00e9nxNA,\"'"), min_size=1, max_size=24).filter(str.strip)


@given(st.lists(WORDS, min_size=2, max_size=12, unique=True), st.sampled_from(["csv", "parquet"]))
def test_every_text_is_a_value_of_its_own(tmp_path_factory, words, kind):
    path = tmp_path_factory.mktemp("texts") / f"my.{kind}"
    if kind == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            python_csv.writer(file).writerows([("g", "v"), *((word, n) for n, word in enumerate(words))])
    else:
        pq.write_table(pa.table({"g": words, "v": range(len(words))}), path)
    table = csv(str(path), ("g",), "v")
    options = table.space.genes[0].options
    assert set(options) == set(words)
    assert [table.lookup((options.index(word),))["signal"] for word in words] == list(range(len(words)))
    assert not any("repeat an architecture" in remark for remark in table.remarks)


def test_texts_that_only_look_alike_are_said(write):
    table = csv(write("g,v\nrelu,1\nrelu ,2\nconv,3\n"), ("g",), "v")
    assert table.space.genes[0].options == ("conv", "relu", "relu ")
    assert table.remarks[0] == (
        "gene g has values that differ in how they are written alone, such as 'relu' and 'relu '; each is a value of "
        "its own"
    )
    assert not csv(write(f"g,v\n{2**53},1\n{2**53 + 1},2\n"), ("g",), "v").remarks


@given(st.sets(st.integers(-(2**70), 2**70), min_size=2, max_size=9))
def test_whole_numbers_are_in_their_order(tmp_path_factory, numbers):
    path = tmp_path_factory.mktemp("numbers") / "my.csv"
    path.write_text("g,v\n" + "".join(f"{number},1\n" for number in numbers))
    assert csv(str(path), ("g",), "v").space.genes[0].options == tuple(map(str, sorted(numbers)))


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (pa.array([2**53 + 1, 2**53, 5], pa.int64()), ("5", str(2**53), str(2**53 + 1))),
        (pa.array([2**64 - 1, 2**64 - 2, 10], pa.uint64()), ("10", str(2**64 - 2), str(2**64 - 1))),
        (pa.array([True, False, True]), ("false", "true")),
        (pa.array([0.5, 16.0, 2.0]), ("0.5", "2", "16")),
        (pa.array([Decimal("10.50"), Decimal("9.10"), Decimal("9.00")]), ("9.00", "9.10", "10.50")),
        (pa.array(["b", "a ", "b"]).dictionary_encode(), ("a ", "b")),
        (pa.array([10, 9, 10]).dictionary_encode(), ("9", "10")),
        (pa.array([b"x", b"y", b"z"]), ("x", "y", "z")),
        (pa.array([1, 2, 3], pa.timestamp("ns")), tuple(f"1970-01-01 00:00:00.00000000{n}" for n in (1, 2, 3))),
    ],
)
def test_columns_of_parquet_keep_their_values(tmp_path, values, options):
    pq.write_table(pa.table({"g": values, "v": [1, 2, 3]}), tmp_path / "my.parquet")
    assert csv(str(tmp_path / "my.parquet"), ("g",), "v").space.genes[0].options == options


@pytest.mark.parametrize("values", [[[1], [2]], [{"a": 1}, {"a": 2}], [b"\xff", b"\xfe"]])
def test_columns_that_are_no_choices_are_refused(tmp_path, values):
    pq.write_table(pa.table({"g": values, "v": [1, 2]}), tmp_path / "my.parquet")
    with pytest.raises(NetwrightError, match=r"(gene g|'g') of table .* save it as texts or numbers"):
        csv(str(tmp_path / "my.parquet"), ("g",), "v")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("g,v\na,1\nb,2\n".encode("utf-16"), "it is UTF-16 text; save it as UTF-8"),
        ("g,v\na,1\nb,2\n".encode("utf-16-le"), "it holds zero bytes"),
        ("g,v\né,1\nb,2\n".encode("latin-1"), "is no CSV: line 2 is not UTF-8 text; save the file as UTF-8"),
        ("g,é,v\na,1,1\n".encode("latin-1"), "is no CSV: line 1 is not UTF-8 text"),
        (b"g,v\na,0,5\nb,0,7\n", "line 2 has 3 cells and the header 2; quote cells that hold the separator"),
        (b"g;v\na;0,5\nb;0,7\n", "v is '0,5', which is no number because of the comma"),
        (b"g;v\na;1,000.5\n", "v is '1,000.5', which is no number because of the comma or the mark between thousands"),
        (b"g,v\na,1_000\nb,2\n", "v is '1_000', which is no number because of"),
        (b"g,v\na,60%\nb,70%\n", "row 1 below the header: v is '60%', which is no number because of the percent sign"),
        (b"g,v\na,0x1f\nb,2\n", "v is '0x1f', which is no number; correct it"),
        (b'g,v\n"a\nb",1\nc,2\n', "row 1 below the header: a quoted cell of column 'g' goes over several lines"),
        (b'g,v\n"a,1\nc,2\n', "is no CSV: line 3 has 1 cell and the header 2"),
        (b'"g,v\na,1\n', "a quote in its header is not closed"),
        (b"a,1\nb,2\n", "no column 'g'; its columns: a, 1; its first line looks like data: put the names"),
        (b"sep=;\ng;v\na;1\n", "its first line is a note for Excel: remove it"),
        (b"x, g\na,1\n", "no column 'g'; its columns: x,  g; spaces around a name count, as in ' g': remove them"),
        (b"g|v\na|1\n", "the header is a single cell, with '|' between words: save the file with commas"),
        (b"\x1f\x8b\x08\x00", "it is compressed; unpack it first"),
        (b"PK\x03\x04\x00", "it is a workbook or an archive; save the sheet as CSV"),
        (b"\n\n", "it is empty; give a file with a header"),
        (b"g,v,v\na,1,2\n", "two columns called 'v'"),
    ],
)
def test_a_file_saved_otherwise_is_refused_in_a_sentence(tmp_path, data, says):
    (tmp_path / "my.csv").write_bytes(data)
    with pytest.raises(NetwrightError) as refused:
        csv(str(tmp_path / "my.csv"), ("g",), "v")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.data())
def test_whatever_bytes_a_file_holds_it_is_read_or_refused_in_a_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("odd") / "my.csv"
    if data.draw(st.booleans()):
        path.write_text(PLAIN)
    else:
        columns = {"op": ["a", "b", "a"], "width": [1, 2, 3], "lr": [0.1, 0.2, 0.2], "val": [1, 2, 3]}
        pq.write_table(pa.table(columns), path)
    found = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(found)))
        odd = data.draw(st.sampled_from([b'"', b"\n", b"\r", b",", b"\0", b"\xff", b"_", b"1e999", b"nan"]))
        found[place : place + data.draw(st.integers(0, 3))] = odd
    path.write_bytes(found)
    said = ""
    try:
        csv(str(path), GENES, "val")
    except NetwrightError as error:
        said = str(error)
    assert "\n" not in said and len(said) < 900


def test_marks_and_line_ends_of_other_programs_are_read(tmp_path):
    for number, data in enumerate((b"\xef\xbb\xbfg,v\na,1\nb,2\n", b"g,v\r\na,1\r\nb,2\r\n", b"\n\rg,v\ra,1\rb,2")):
        (tmp_path / f"{number}.csv").write_bytes(data)
        table = csv(str(tmp_path / f"{number}.csv"), ("g",), "v")
        assert (table.space.genes[0].options, table.columns["v"].tolist()) == (("a", "b"), [1, 2])


def test_a_column_of_numbers_with_a_slip_is_not_left_out_silently(write):
    rows = "".join(f"{n},{n},{n}\n" for n in range(20))
    table = csv(write("g,v,params\n" + rows + "20,20,2o\n"), ("g",), "v")
    assert table.remarks == ("column params is left out: row 21 below the header: params is '2o', which is no number",)


@pytest.mark.parametrize("repeats", [{"acc": ["zz"]}, {"zz": ["acc"]}, {"acc": ["acc", "acc2"]}])
def test_repeats_name_columns(write, repeats):
    with pytest.raises(BadReference, match=r"has no column '(zz|acc2)'; its columns: a, acc"):
        csv(write("a,acc\n0,0.1\n1,0.2\n"), ("a",), "acc", repeats=repeats)
    table = csv(write("a,acc\n0,0.1\n1,0.2\n"), ("a",), "acc")
    with pytest.raises(BadReference, match=r"repeats of table 'my' name '(zz|acc2)', which is no column of numbers"):
        replace(table, repeats=repeats)


def test_what_memory_does_not_hold_is_refused_before_it_is_read(tmp_path, monkeypatch):
    """A few kilobytes that would be megabytes: by the numbers of rows and bytes that the file states."""
    monkeypatch.setattr(memory, "most", lambda: 10_000_000)
    monkeypatch.setattr(pq.ParquetFile, "read", lambda *_, **__: pytest.fail("it was read"))
    zeros = pa.table({"a": np.zeros(200_000, "i8"), "acc": np.zeros(200_000)})
    long = pa.table({"a": ["x" * 10_000] * 2_000, "acc": np.zeros(2_000)})
    pq.write_table(zeros, tmp_path / "zeros.parquet")
    pq.write_table(long, tmp_path / "long.parquet", use_dictionary=False, column_encoding={"a": "DELTA_BYTE_ARRAY"})
    (tmp_path / "many.csv").write_text("a,acc\n" + "1,2\n" * 50_000)
    for name in ("zeros.parquet", "long.parquet", "many.csv"):
        assert (tmp_path / name).stat().st_size < 300_000
        with pytest.raises(
            NetwrightError, match=r"has [\d,]+ rows, which take about .* may take 5\.0 MB, half of what"
        ):
            csv(str(tmp_path / name), ("a",), "acc")
