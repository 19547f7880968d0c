from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys_cli.tracking import ui


def test_it_serves_the_runs_of_a_folder(
    recsys: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    served: dict[str, Any] = {}

    def serve(*, ready: Callable[[str], None], **options: Any) -> None:
        served.update(options)
        ready("http://127.0.0.1:8001")

    monkeypatch.setattr(ui, "serve_ui", serve)
    ended = recsys("ui", "--root=mine", "--port=8001", "--uri=sqlite:///x.db")
    assert ended.out == "open http://127.0.0.1:8001 in a browser; Ctrl-C ends this\n"
    assert served == {"root": "mine", "port": 8001, "uri": "sqlite:///x.db"}


def test_where_there_are_no_runs_it_says_so(recsys: Callable[..., Any], tmp_path: Path) -> None:
    ended = recsys("ui", f"--root={tmp_path / 'absent'}")
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert str(tmp_path / "absent") in ended.err
    assert list(tmp_path.iterdir()) == []
