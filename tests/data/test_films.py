"""The genres of films, from whichever of the publisher's three forms, by the codes of the catalogue."""

import numpy as np
import pytest

from recsys_cli.data import movielens
from recsys_cli.data.films import genres
from recsys_cli.data.interactions import Vocabulary
from recsys_cli.progress import Silent

NO_FLAGS = "|".join(["0"] * 16)
FORMS = {
    "u.data": ("u.item", f"3|A|d|v|u|0|0|1|{NO_FLAGS}\n5|B|d|v|u|0|1|1|{NO_FLAGS}\n9|C|d|v|u|1|0|0|{NO_FLAGS}\n"),
    "ratings.dat": ("movies.dat", "3::A::Adventure\n5::B::Action|Adventure\n9::C::(no genres listed)\n"),
    "ratings.csv": (
        "movies.csv",
        'movieId,title,genres\r\n3,"A, an",Adventure\r\n5,B,Action|Adventure\r\n9,C,(no genres listed)\r\n',
    ),
}  # fmt: skip


@pytest.mark.parametrize("ratings", FORMS)
def test_each_form_is_read_in_the_order_of_the_codes(tmp_path, ratings):
    file, text = FORMS[ratings]
    (tmp_path / file).write_text(text, newline="")
    found = genres(tmp_path, ratings, "x.zip", Vocabulary(np.array([3, 5, 7, 9])))
    assert found.names == ("Action", "Adventure")
    # film 7 is not in the file, film 9 is of no known genre
    assert found.of_items.tolist() == [[False, True], [True, True], [False, False], [False, False]]


def test_genres_that_no_film_of_the_catalogue_has_are_left_out(tmp_path):
    file, text = FORMS["ratings.csv"]
    (tmp_path / file).write_text(text)
    assert genres(tmp_path, "ratings.csv", "x.zip", Vocabulary(np.array([3]))).names == (
        "Adventure",
    )


@pytest.mark.parametrize("text", [None, "", "3::A\n", "3::A::\n"])
def test_where_no_genre_is_known_there_are_none(tmp_path, text):
    if text is not None:
        (tmp_path / "movies.dat").write_text(text)
    assert genres(tmp_path, "ratings.dat", "x.zip", Vocabulary(np.array([3]))) is None


@pytest.mark.realdata
def test_a_release_comes_with_its_genres_which_follow_its_filter(real_data, cache):
    source = str(real_data("ml-100k"))
    every = movielens.ml_100k(source=source, min_rating=None, progress=Silent())
    best = movielens.ml_100k(source=source, min_rating=5, progress=Silent())
    for events in (every, best):
        assert len(events.item_categories.names) == 18
        star_wars = events.item_ids.encode(np.array([50]))[0]
        own = events.item_categories.of_items[star_wars]
        assert [n for n, of in zip(events.item_categories.names, own, strict=True) if of] == [
            "Action", "Adventure", "Romance", "Sci-Fi", "War",
        ]  # fmt: skip
    assert best.n_items < every.n_items
    assert len(best.item_categories.of_items) == best.n_items


@pytest.mark.realdata
def test_the_other_releases_have_the_genres_that_they_publish(real_data, cache):
    ml_1m = movielens.ml_1m(source=str(real_data("ml-1m")), min_rating=None, progress=Silent())
    assert len(ml_1m.item_categories.names) == 18
    assert ml_1m.item_categories.of_items.any(1).all()
    place = str(real_data("ml-latest-small"))
    small = movielens.ml_latest_small(source=place, min_rating=None, progress=Silent())
    assert len(small.item_categories.names) == 19
    assert (~small.item_categories.of_items.any(1)).sum() == 34
