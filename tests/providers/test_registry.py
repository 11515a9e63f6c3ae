"""Providers are a table: who is asked for what, who wins, and that nobody else names one."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

import psycopg

from resources.providers.capabilities import Role
from resources.providers.registry import HISTORY, NAMES, PROVIDERS, TODAY

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ROOT / "resources" / "providers"
#: What may name them: their folders, the table of them, the simulator of their wires, and SQL.
OWN = (
    *(f"resources/providers/{name}/" for name in NAMES),
    "resources/providers/registry.py",
    "swiftbolt_assets/simulator/",
    "swiftbolt_assets/migrations/",
)
#: What else does: file and word, and why.
ALLOWED = {
    ("swiftbolt_assets/orchestration/simulated.py", "polygon_url"): "the simulator's own word",
    (
        "swiftbolt_assets/orchestration/simulator_plan.py",
        "polygon_requests_per_minute",
    ): "the simulator's own word",
}
#: A provider's names, and what its variables and the company are called besides.
NAMED = re.compile("|".join([*NAMES, *(p.label for p in PROVIDERS), "massive"]), re.IGNORECASE)


def words(source: str) -> Iterator[str]:
    """Yield identifiers, parts of imports, strings (docstrings, too) and comments of a module."""
    for node in ast.walk(ast.parse(source)):
        for _, value in ast.iter_fields(node):
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, str | bytes):
                    yield one if isinstance(one, str) else one.decode("utf-8", "replace")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def test_no_other_module_names_a_provider() -> None:
    named = set()
    for package in ("resources", "sensors", "swiftbolt_assets"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(OWN):
                found = words(path.read_text("utf-8"))
                named |= {(name, word) for word in found if NAMED.search(word)}
    assert named == set(ALLOWED)


def test_a_name_is_found_wherever_it_hides_in_a_module() -> None:
    hidden = (
        "import resources.providers.polygon.bars",
        "from resources.providers import tradier",
        "from a import b as polygon",
        "def f(tradier): ...",
        "class PolygonClient: ...",
        "f(polygon=1)",
        "x.tradier_url",
        "x = f\"where provider = 'polygon' and {y}\"",
        '"""Asks Tradier."""',
        "x = b'polygon'",
        "x = 1  # as Massive's documents say",
        "def f():\n    global polygon",
        "match x:\n    case {'a': tradier}: ...",
    )
    assert [text for text in hidden if not any(map(NAMED.search, words(text)))] == []


def test_every_folder_of_a_provider_is_in_the_table_and_what_its_record_names_is_there() -> None:
    assert sorted(NAMES) == sorted(path.parent.name for path in FOLDERS.glob("*/__init__.py"))
    for provider in PROVIDERS:
        clients = (provider.bars, provider.splits, provider.tickers, provider.quotes)
        for client in filter(None, clients):
            assert client.startswith(f"resources.providers.{provider.name}.")
            assert isinstance(resolve_name(client), type)


def test_no_two_providers_share_a_name_or_a_variable() -> None:
    variables = [name for provider in PROVIDERS for name in provider.variables]
    assert len(set(NAMES)) == len(NAMES)
    assert len(set(variables)) == len(variables)


def test_whoever_is_asked_for_a_role_can_do_what_is_asked_of_it() -> None:
    assert (HISTORY.role, TODAY.role) == (Role.HISTORY, Role.TODAY)
    assert HISTORY.splits
    assert HISTORY.tickers
    assert HISTORY.most_base_minutes
    assert HISTORY.plan_years
    assert TODAY.quotes
    assert TODAY.weekdays_kept


def test_the_database_has_the_same_precedence_of_providers(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        order = (
            "select array_agg(p::text order by p) from unnest(enum_range(null::data_provider)) p"
        )
        (known,) = connection.execute(order).fetchone() or ([],)
    assert [name for name in known if name in NAMES] == NAMES
