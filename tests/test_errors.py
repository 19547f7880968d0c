"""The text a user sees."""

from recsys_cli.errors import ConfigError, nearest


def test_a_message_is_one_line_whatever_it_holds():
    error = ConfigError("file.csv:3:7: 'a\nb' is not a number", "mend\tit")
    assert error.line == "file.csv:3:7: 'a b' is not a number; mend it"


def test_the_nearest_name_is_offered_and_all_are_listed():
    assert nearest("sqe", ["mf", "seq"]) == "did you mean 'seq'? (there are: mf, seq)"
    assert nearest("zzzz", ["mf", "seq"]) == "there are: mf, seq"
