"""`recsys probe dot`: what it prints, keeps and refuses."""

import json


def test_one_object_and_a_page_that_needs_nothing_else(recsys, tmp_path):
    page = tmp_path / "dot.html"
    ended = recsys(
        "probe", "dot", "--hidden=2,1", "--steps=3", "--tracking=none", "--json", f"--page={page}"
    )
    told = json.loads(ended.out)
    assert ended.code == 0
    assert told["hidden"] == [1, 2]
    assert [len(fit["starts"]) for fit in told["fits"]] == [3] * 15
    text = page.read_text()
    assert "<svg" in text
    assert "http" not in text
    assert told["conclusion"] in text


def test_what_is_refused(recsys, tmp_path):
    for wrong in ("--hidden=1,x", "--hidden=0", f"--page={tmp_path}/no/dot.html", "--steps=0"):
        assert recsys("probe", "dot", "--tracking=none", wrong).code == 2
    assert list(tmp_path.iterdir()) == []
