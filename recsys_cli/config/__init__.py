"""Settings: composed by Hydra from YAML files, checked against what reads them, and built.

Of Hydra only the Compose API is used: no `instantiate`, no plugins, no resolvers. What a `_target_` names is looked up
in a closed list (`binding`), and no file of a user's is parsed before it was measured (`folders`).
"""

from recsys_cli.config.binding import RUNTIME, allow, bind, build, check, locate
from recsys_cli.config.compose import compose_checked, load, parse
from recsys_cli.config.settings import REQUIRED_GROUPS, Config
from recsys_cli.config.written import from_file

__all__ = [
    "REQUIRED_GROUPS",
    "RUNTIME",
    "Config",
    "allow",
    "bind",
    "build",
    "check",
    "compose_checked",
    "from_file",
    "load",
    "locate",
    "parse",
]
