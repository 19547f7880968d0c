"""The page of a comparison: all of it in one file, whatever the comparison holds."""

import re
from dataclasses import replace

from recsys_cli.reports.comparison_page import comparison_page
from tests.comparisons.made_up import comparison

SPLIT = {"name": "global_time", "hash": "abc", "leaks": ""}


def drawn(found):
    return comparison_page(replace(found, split=SPLIT))


def test_everything_is_inside_the_page_and_the_verdict_leads():
    found = comparison(0.05, noise=0.01)
    text = drawn(found)

    assert f'<p class="lead">{found.verdicts[0]}.' in text
    assert not re.findall(r'(?:src|href)="(?!#)|https?:|@import|url\((?!#)', text)
    assert text.count("<svg") == 2
    for each in found.standings:
        assert f'<td class="text">{each.model}</td>' in text


def test_curves_and_searches_are_drawn_where_there_are_any():
    found = comparison(0.0)
    learnt = [
        replace(
            each, curve=((1, 0.1), (2, 0.2)), trial_values=(0.1, None, 0.3), search_page="s.html"
        )
        for each in found.standings
    ]
    text = drawn(replace(found, standings=learnt))
    assert text.count("<svg") == 4
    assert "How they were tuned" in text
    assert '<td class="text">s.html</td>' in text


def test_names_and_reasons_cannot_break_out_of_the_page():
    text = drawn(replace(comparison(0.0), left_out={"<b>x</b>": "<script>alert(1)</script>"}))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
