"""The README's tables of results."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def test_the_table_of_published_numbers_is_what_was_recorded():
    loader = SourceFileLoader("results", str(REPOSITORY / "scripts" / "results"))
    results = module_from_spec(spec_from_loader("results", loader))
    loader.exec_module(results)
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    table = results.recorded()
    assert f"<!-- recorded -->\n{table}\n<!-- /recorded -->" in readme
    assert len(table.splitlines()) > len(list((REPOSITORY / "scripts" / "recorded").iterdir()))
