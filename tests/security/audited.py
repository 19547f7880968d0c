"""Run commands in this process under an audit hook, and write down what no command may do.

Started by `test_audit.py` as `python -m tests.security.audited REPORT`: a hook stays until its process ends, so it
has a process of its own. REPORT gets a JSON object: event -> what was seen.
"""

import json
import pickle  # noqa: TID251  # to see that the hook sees it
import socket
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path

import recsys_cli

PACKAGE = str(Path(recsys_cli.__file__).parent)
LOOPBACK = ("127.0.0.1", "::1", "localhost")
PROCESSES = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "subprocess.Popen", "pty.spawn")  # fmt: skip
NETWORK = ("socket.bind", "socket.connect", "socket.sendto", "urllib.Request", "ftplib.connect")
Seen = dict[str, list[str]]


class Hook:
    """Notes what is seen."""

    def __init__(self) -> None:
        self.seen: Seen = {}

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        """Called by Python for each audited event."""
        by_us = event in ("compile", "exec") and _is_ours(sys._getframe(1).f_code.co_filename)
        away = event in NETWORK and not _stays_here(args)
        if by_us or away or event in PROCESSES or event == "pickle.find_class":
            self._note(event, args)

    def _note(self, event: str, args: tuple[object, ...]) -> None:
        stack = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_stack()[-8:-2]]
        self.seen.setdefault(event, []).append(f"{args!r:.200} at {' > '.join(stack)}")


def _is_ours(file: str) -> bool:
    return file.startswith(PACKAGE)


def _stays_here(args: tuple[object, ...]) -> bool:
    """Whether an address is of this machine; a path is that of a socket in the file system."""
    address = args[-1]
    host = address[0] if isinstance(address, tuple) else address
    return host in LOOPBACK or isinstance(address, str | bytes)


def main(report: Path, commands: list[list[str]]) -> None:
    """Run the commands one after another."""
    hook = Hook()
    sys.addaudithook(hook)
    from typer.testing import CliRunner

    from recsys_cli.cli.program import app

    ended = {}
    for command in commands:
        result = CliRunner().invoke(app, command)
        ended[" ".join(command)] = result.exit_code
    seen = dict(hook.seen)
    report.write_text(json.dumps({"seen": seen, "ended": ended, "control": _control(hook)}))


def _control(hook: Hook) -> list[str]:
    """The events that the hook notes of what it is there for: proof that it was on."""
    hook.seen = {}
    pickle.loads(pickle.dumps(Path("x")))  # noqa: S301  # our own bytes
    subprocess.run(["true"], check=True)
    with socket.socket() as sock, suppress(OSError):
        sock.bind(("0.0.0.0", 0))  # noqa: S104  # that is what must be seen
    exec(compile("1", f"{PACKAGE}/x.py", "exec"), {})  # noqa: S102
    by_us = "exec(compile('1', 'y', 'exec'))"
    exec(compile(by_us, f"{PACKAGE}/x.py", "exec"), {})  # noqa: S102
    return sorted(hook.seen)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
