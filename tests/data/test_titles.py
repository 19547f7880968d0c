"""Titles are read from beside the ratings, in whichever of the publisher's three forms; without them there are none."""

import zipfile

import pytest

from recsys_cli.data.titles import titles
from recsys_cli.progress import Silent

FORMS = {
    "ml-100k": ("u.item", "1|Misérables, Les (1995)|01-Jan-1995\n2|B\x85 (1996)|\n".encode("latin-1")),
    "ml-1m": ("movies.dat", "1::Misérables, Les (1995)::Drama\n2::B\x85 (1996)::x\n".encode("latin-1")),
    "ml-10m": ("movies.dat", "1::Misérables, Les (1995)::Drama\n2::B\x85 (1996)::x\n".encode()),
    "ml-latest-small": (
        "movies.csv",
        'movieId,title,genres\n1,"Misérables, Les (1995)",Drama\n2,B\x85 (1996),x\n'.encode(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_each_form_is_read(tmp_path, name):
    file, content = FORMS[name]
    (tmp_path / file).write_bytes(content)
    found = titles(name, str(tmp_path), Silent())
    assert found["1"] == "Misérables, Les (1995)"
    assert found["2"] == "B\x85 (1996)"


def test_they_are_read_from_the_publishers_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "ml-1m.zip", "w") as archive:
        archive.writestr("ml-1m/movies.dat", FORMS["ml-1m"][1])
    assert titles("ml-1m", str(tmp_path / "ml-1m.zip"), Silent())["1"] == "Misérables, Les (1995)"


def test_where_there_are_none_there_are_none(tmp_path):
    assert titles("ml-100k", str(tmp_path), Silent()) == {}
    assert titles("demo", None, Silent()) == {}


def test_the_published_titles_are_found(real_data):
    assert titles("ml-100k", str(real_data("ml-100k")), Silent())["1"] == "Toy Story (1995)"
