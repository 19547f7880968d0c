"""Processes that something happens to at a named moment: the same one however busy or quick the machine is.

A test that watches a process and then kills it loses the race on some machine. So the process does it to itself.
"""

import sys

# Source that goes before a program. `before` calls `act` before a file whose path ends so is renamed to that name, or
# is brought to disk, for the n-th time.
MOMENTS = """
import os, runpy, signal, sys

def before(what, ending, act, nth=1):
    left = [nth]
    def seen(path):
        left[0] -= str(path).endswith(ending)
        if left[0] == 0:
            left[0] = -1
            act()
    def renamed(event, found):
        if event == "os.rename":
            seen(found[1])
    def synchronised(file, fsync=os.fsync):
        seen(os.readlink(f"/proc/self/fd/{file if isinstance(file, int) else file.fileno()}"))
        fsync(file)
    if what == "rename":
        sys.addaudithook(renamed)
    else:
        os.fsync = synchronised

def signalled(number):
    return lambda: os.kill(os.getpid(), number)

die = signalled(signal.SIGKILL)
"""


def module_with(name: str, moment: str) -> list[str]:
    """What starts a module of ours, its arguments to follow, in which something happens at a moment."""
    run = f"runpy.run_module({name!r}, run_name='__main__', alter_sys=True)"
    return [sys.executable, "-c", f"{MOMENTS}\n{moment}\n{run}"]
