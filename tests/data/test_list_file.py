"""A list of another program is read as it was meant, or refused with the line that leaves a doubt."""

import gzip
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from recsys_cli.data.interactions import Vocabulary
from recsys_cli.data.list_file import read_lists
from recsys_cli.errors import DataError, RecsysError

USERS, ITEMS = Vocabulary(np.array([1, 5, 7])), Vocabulary(np.array(["a", "b", "c,d", "e"]))


def read(path):
    lists = read_lists(path, user_ids=USERS, item_ids=ITEMS)
    return list(zip(lists.users.tolist(), lists.items.tolist(), strict=True)), lists.ordered_by


@pytest.fixture
def write(tmp_path):
    def put(text, name="lists.csv"):
        content = text.encode() if isinstance(text, str) else text
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return tmp_path / name

    return put


RANKED = "user,item,rank\n5,b,2\n1,\"c,d\",1\n5,a,1\n7,e,1\n"  # fmt: skip
IN_ORDER = [(0, 2), (1, 0), (1, 1), (2, 3)]


@pytest.mark.parametrize("name", ["lists.csv", "lists.csv.gz"])
def test_ranks_order_a_list_whatever_the_order_of_the_rows(write, name):
    assert read(write(RANKED, name)) == (IN_ORDER, "rank")


def test_scores_order_a_list_and_equal_ones_go_by_item(write):
    text = "item\tscore\tuser\nb\t0.5\t5\ne\t-1e3\t5\na\t0.5\t5\nc,d\t7\t5\n"
    assert read(write(text, "lists.tsv")) == ([(1, 2), (1, 0), (1, 1), (1, 3)], "score")


def test_with_both_the_rank_is_read_and_other_columns_are_not(write):
    assert read(write("x,user,item,score,rank\n?,1,a,oops,2\n?,1,b,,1\n")) == (
        [(0, 1), (0, 0)],
        "rank",
    )


def test_windows_line_ends_a_mark_and_blank_lines_change_nothing(write):
    assert read(write("\ufeff" + RANKED.replace("\n", "\r\n\r\n"))) == (IN_ORDER, "rank")


def test_an_id_that_looks_like_nothing_is_an_id(write):
    path = write("user,item,rank\nNA,null,1\n")
    ids = Vocabulary(np.array(["NA", "null"]))
    assert read_lists(path, user_ids=ids, item_ids=ids).items.tolist() == [1]


@pytest.mark.parametrize("kind", [pa.int32(), pa.int64(), pa.string()])
def test_parquet_is_read_with_ids_as_numbers_or_text(tmp_path, kind):
    users = pa.array([5, 1, 5, 7]).cast(kind)
    columns = {"user": users, "item": ["b", "c,d", "a", "e"], "rank": [2, 1, 1, 1]}
    parquet.write_table(pa.table(columns), tmp_path / "lists.parquet")
    assert read(tmp_path / "lists.parquet") == (IN_ORDER, "rank")


HEAD, SCORED = "user,item,rank\n", "user,item,score\n"
BAD = {
    "an empty file": ("", ":1: the file is empty"),
    "a header alone": (HEAD, ":2: no row"),
    "no user": ("usr,item,rank\n1,a,1\n", ":1: no column 'user'"),
    "no order": ("user,item\n1,a\n", ":1: no column 'rank' or 'score'"),
    "a column twice": ("user,item,rank,user\n1,a,1,1\n", ":1: a second column 'user'"),
    "an unknown user": (HEAD + "1,a,1\n2,a,1\n", ":3: no user '2' in the data; .*from 1 to 7"),
    "another spelling": (HEAD + "01,a,1\n", ":2: no user '01'"),
    "a fraction": (HEAD + "1.0,a,1\n", ":2: no user '1.0'"),
    "an unknown item": (HEAD + "1,x,1\n", ":2: no item 'x' in the data; .*'a', 'b', 'c,d'"),
    "an item twice": (HEAD + "1,a,1\n1,b,2\n1,a,3\n", ":4: user '1' has item 'a' more than once"),
    "a row twice": (HEAD + "1,a,1\n1,a,1\n", ":3: user '1' has item 'a' more than once"),
    "a rank twice": (HEAD + "1,a,1\n1,b,1\n", "rank 1 of user '1' is there twice"),
    "a rank left out": (HEAD + "1,a,1\n1,b,3\n", ":3: rank 3 of user '1' comes where 2 is missing"),
    "ranks from 0": (HEAD + "1,a,0\n", ":2: rank '0'"),
    "an empty rank": (HEAD + "1,a,\n", ":2: rank ''"),
    "a rank that is a fraction": (HEAD + "1,a,1.0\n", ":2: rank '1.0'"),
    "a huge rank": (HEAD + f"1,a,{'9' * 400}\n", ":2: rank '999"),
    "a rank in other digits": (HEAD + "1,a,²\n", ":2: rank"),
    "a score that is not a number": (SCORED + "1,a,0.5\n1,b,nan\n", ":3: score 'nan'"),
    "an infinite score": (SCORED + "1,a,1e999\n", ":2: score '1e999'"),
    "an empty score": (SCORED + "1,a,\n", ":2: score ''"),
    "a score in another notation": (SCORED + "1,a,1_0\n", ":2: score '1_0'"),
    "a field too few": (HEAD + "1,a\n", ":2:3: has 2 fields"),
    "a field too many": (HEAD + "1,a,1,\n", ":2:4: has 4 fields"),
    "an open quote": (HEAD + '1,"a,1\n', ":2"),
    "an open quote in a column that is not read": (
        'user,item,rank,note\n1,a,1,"x\n1,b,2,y\n',
        "a quote is opened and never closed",
    ),
    "a return alone": ("user,item,rank,note\n1,a,1,x\ry\n", ":2"),
    "no text": (b"user,item,rank\n1,\xff,1\n", ":2"),
    "zero bytes": (b"user,item,rank\n1,\0,1\n", ":2"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_doubtful_file_is_refused_with_its_line(write, name):
    text, message = BAD[name]
    with pytest.raises(DataError) as caught:
        read(write(text))
    assert re.search(r"lists\.csv.*" + message, caught.value.line)


def test_other_files_are_refused(write, tmp_path):
    for path, message in [
        (write("x", "lists.txt"), "ends in none of"),
        (tmp_path / "nowhere.csv", "does not exist"),
        (tmp_path / "nowhere.parquet", "cannot be read"),
        (write("PAR1", "lists.parquet"), "cannot be read"),
        (tmp_path, "ends in none of"),
    ]:
        with pytest.raises(DataError, match=message):
            read(path)


def test_a_row_of_a_parquet_file_is_named(tmp_path):
    table = pa.table({"user": [1, None], "item": ["a", "b"], "score": [0.5, 0.4]})
    parquet.write_table(table, tmp_path / "lists.parquet")
    with pytest.raises(DataError, match="row 2: no user ''"):
        read(tmp_path / "lists.parquet")
    parquet.write_table(table.slice(0, 0), tmp_path / "lists.parquet")
    with pytest.raises(DataError, match="has no rows"):
        read(tmp_path / "lists.parquet")
    parquet.write_table(pa.table({"user": [1], "item": ["a"]}), tmp_path / "lists.parquet")
    with pytest.raises(DataError, match="no column 'rank' or 'score'"):
        read(tmp_path / "lists.parquet")


@settings(max_examples=50, deadline=None)
@given(content=st.binary(max_size=80), head=st.sampled_from(["", HEAD, SCORED]))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, head):
    path = tmp_path_factory.mktemp("any") / "lists.csv"
    path.write_bytes(head.encode() + content)
    try:
        rows, _ = read(path)
    except RecsysError:
        return  # any other error fails
    assert len(set(rows)) == len(rows)
