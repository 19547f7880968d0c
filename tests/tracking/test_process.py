"""A run names its process so that nobody can take another one for it."""

import json
import os
import subprocess
import sys

from recsys_cli.tracking.process import process_tags


def test_a_process_says_the_same_each_time():
    assert process_tags() == process_tags()
    assert json.loads(process_tags()["recsys.process"])["pid"] == os.getpid()


def test_another_process_differs_in_more_than_its_id():
    script = "from recsys_cli.tracking.process import process_tags; print(process_tags()['recsys.process'])"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    own, other = json.loads(process_tags()["recsys.process"]), json.loads(result.stdout)
    assert own.keys() == other.keys()
    assert own["pid"] != other["pid"]
    if "start" in own:
        assert own["start"] < other["start"]
        assert own["boot_id"] == other["boot_id"]
