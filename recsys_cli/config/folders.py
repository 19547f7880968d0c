"""Where Hydra finds YAML files: in the folders of the user and in ours, by plain names, each measured before it is parsed."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import yaml
from hydra import conf as hydra_conf
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf

from recsys_cli import catalogue, plain_yaml
from recsys_cli.config.reserved import refuse_resolvers
from recsys_cli.errors import ConfigError

SCHEME = "recsys"
BUILT_IN = "main"  # what Hydra calls the provider of the folder that it is started with
OURS = frozenset({BUILT_IN, "hydra"})


class ConfigFolder(ConfigSource):
    """One folder of YAML files, in place of Hydra's own reader of files, which goes wherever a name leads."""

    @staticmethod
    def scheme() -> str:
        """What its addresses begin with."""
        return SCHEME

    def available(self) -> bool:
        """Whether the folder is there."""
        return self.is_group("")

    def is_group(self, config_path: str) -> bool:
        """Whether this is a folder of choices."""
        return _is_plain(config_path) and Path(self.path, config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        """Whether this is a file; the root's file is always ours."""
        file = self._normalize_file_name(config_path)
        if self.provider not in OURS and file == f"{catalogue.ROOT}.yaml":
            return False
        return _is_plain(file) and Path(self.path, file).is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """The names in a group."""
        found: list[str] = []
        for path in Path(self.path, config_path).iterdir() if self.is_group(config_path) else ():
            inside = str(PurePosixPath(config_path, path.name))
            self._list_add_result(found, inside, path.name, results_filter)
        return sorted(set(found))

    def load_config(self, config_path: str) -> ConfigResult:
        """Read one file.

        Raises:
            ConfigError: It is not plain YAML, or reaches for Hydra's settings or the environment.
        """
        path = Path(self.path, self._normalize_file_name(config_path))
        text = plain_yaml.read_text(path)
        if self.provider not in OURS:
            plain_yaml.check(path, text)
        try:
            header = ConfigSource._get_header_dict(text[:512])
            content = OmegaConf.load(io.StringIO(text))
        except (yaml.YAMLError, ValueError) as error:
            raise ConfigError(
                f"{path}: cannot be read: {plain_yaml.reason(error)}", "mend the YAML"
            ) from error
        if self.provider not in OURS:
            _refuse_reach(path, content, header.get("package") or "")
        return ConfigResult(
            config=content, path=self.full_path(), provider=self.provider, header=header
        )


class UserFolders(SearchPathPlugin):
    """Puts the user's folders before ours on Hydra's search path; all are read by `ConfigFolder`, Hydra's own too."""

    folders: tuple[Path, ...] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra when it composes."""
        for element in search_path.get_path():
            folder = Path(hydra_conf.__path__[0] if element.provider == "hydra" else element.path)
            element.path = f"{SCHEME}://{folder}"
        for folder in reversed(self.folders):
            search_path.prepend(
                provider="recsys-user", path=f"{SCHEME}://{folder}", anchor=BUILT_IN
            )


def look_into(folders: tuple[Path, ...]) -> None:
    """Let the next composition find these folders of the user's, in this order."""
    UserFolders.folders = folders
    # Hydra imports every module of this name that it finds, in the working folder too: there is none for us.
    sys.modules.setdefault("hydra_plugins", None)  # type: ignore[arg-type]  # makes its import fail
    for plugin in (ConfigFolder, UserFolders):
        Plugins.instance().register(plugin)


def _is_plain(name: str) -> bool:
    """Whether a name stays inside its folder."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _refuse_reach(path: Path, content: object, package: str) -> None:
    if not isinstance(content, DictConfig):
        raise ConfigError(f"{path}: expected settings by name", "write key: value")
    values = OmegaConf.to_container(content, resolve=False)
    if "hydra" in content or package.split(".")[0] == "hydra":
        raise ConfigError(f"{path}: Hydra's own settings are not ours to take", "leave them out")
    for choice in values.get("defaults") or [] if isinstance(values, Mapping) else []:
        if "hydra" in str(choice):
            raise ConfigError(
                f"{path}: defaults: Hydra's own settings are not ours to take", "leave them out"
            )
    refuse_resolvers(values, where=f"{path}: ")
