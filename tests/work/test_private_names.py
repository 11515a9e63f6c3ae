"""Every name that Dagster does not promise to keep: all are listed here, and all are there."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "swiftbolt_assets" / "dagster_private"
#: As our code imports or replaces them; why stands where that is.
NAMES = {
    "dagster._cli",
    "dagster._cli.api._execute_run_command_body",
    "dagster._config.UserConfigSchema",
    "dagster._core.definitions.assets.graph.asset_graph_subset.AssetGraphSubset",
    "dagster._core.definitions.metadata.RawMetadataValue",
    "dagster._core.errors.DagsterUserCodeUnreachableError",
    "dagster._core.events.DagsterEventBatchMetadata",
    "dagster._core.events.generate_event_batch_id",
    "dagster._core.execution.api",
    "dagster._core.execution.backfill.BulkActionStatus",
    "dagster._core.execution.backfill.BulkActionsFilter",
    "dagster._core.launcher.CheckRunHealthResult",
    "dagster._core.launcher.LaunchRunContext",
    "dagster._core.launcher.WorkerStatus",
    "dagster._core.run_coordinator.queued_run_coordinator.RunQueueConfig",
    "dagster._core.secrets.env_file.get_env_var_dict",
    "dagster._core.storage.dagster_run.NOT_FINISHED_STATUSES",
    "dagster._core.storage.event_log.schema.SqlEventLogStorageTable",
    "dagster._core.storage.sql.ALEMBIC_SCRIPTS_LOCATION",
    "dagster._core.storage.tags.AUTO_RETRY_RUN_ID_TAG",
    "dagster._core.storage.tags.WILL_RETRY_TAG",
    "dagster._daemon.cli",
    "dagster._daemon.cli.main",
    "dagster._daemon.controller.DEFAULT_DAEMON_INTERVAL_SECONDS",
    "dagster._daemon.sensor.MIN_INTERVAL_LOOP_TIME",
    "dagster._grpc.impl",
    "dagster._grpc.server",
    "dagster._serdes.ConfigurableClassData",
}
#: Attributes of Dagster's objects that begin with an underscore -> the class that has them.
ATTRIBUTES = {
    "_check_for_orphaned_runs": "dagster._grpc.server.DagsterApiServer",
    "_connect": "dagster_postgres.event_log.PostgresEventLogStorage",
    "_engine": "dagster_postgres.event_log.PostgresEventLogStorage",
    "_event_log_storage": "dagster_postgres.storage.DagsterPostgresStorage",
    "_inst_data": "dagster_postgres.storage.DagsterPostgresStorage",
    "_instance": "dagster_celery.launcher.CeleryRunLauncher",
    "_logger": "dagster._grpc.server.DagsterApiServer",
    "_run_storage": "dagster_postgres.storage.DagsterPostgresStorage",
    "_schedule_storage": "dagster_postgres.storage.DagsterPostgresStorage",
    "_store_asset_event": "dagster_postgres.event_log.PostgresEventLogStorage",
}
#: Those of multiprocessing, whose `main` a fork server calls besides, and which it has.
PYTHONS = {
    "_Popen": "multiprocessing.context.ForkServerProcess",
    "_forkserver": "multiprocessing.forkserver",
    "_forkserver_address": "multiprocessing.forkserver.ForkServer",
    "_forkserver_alive_fd": "multiprocessing.forkserver.ForkServer",
    "_forkserver_pid": "multiprocessing.forkserver.ForkServer",
}
#: A module on the way to a name, and a documented function.
NOT_PRIVATE = {"_daemon", "_exit"}


def private(dotted: str) -> bool:
    return re.match(r"dagster\w*(\.\w+)*\._[a-z]", dotted) is not None


def names_in(path: Path) -> list[str]:
    """Return the private names of Dagster's modules that a file of code uses."""
    found, ways = set(), set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{one.name}" for one in node.names}
        elif isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.Constant) and re.fullmatch(r"[\w.]+", str(node.value)):
            found.add(str(node.value))
        elif isinstance(node, ast.Attribute):
            found.add(ast.unparse(node))
            ways.add(ast.unparse(node.value))
    # Not what is on the way to a name, such as `dagster._daemon.sensor`.
    return sorted(filter(private, found - ways))


def attributes_in(path: Path) -> set[str]:
    """Return the attributes that begin with an underscore."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and re.match(r"_[a-zA-Z]", node.attr)
    }


def code() -> list[Path]:
    return sorted(
        path
        for top in ("resources", "sensors", "swiftbolt_assets")
        for path in (ROOT / top).rglob("*.py")
        if FOLDER not in path.parents
    )


def resolve(dotted: str) -> object:
    module, _, name = dotted.rpartition(".")
    found = import_module(module)
    return getattr(found, name) if hasattr(found, name) else import_module(dotted)


def test_the_list_holds_every_private_name_that_the_folder_uses() -> None:
    used = {name for path in FOLDER.glob("*.py") for name in names_in(path)}
    assert used == NAMES
    attributes = set().union(*(attributes_in(path) for path in FOLDER.glob("*.py")))
    assert attributes - NOT_PRIVATE == ATTRIBUTES.keys() | PYTHONS.keys()


@pytest.mark.parametrize("dotted", sorted(NAMES))
def test_dagster_still_has(dotted: str) -> None:
    assert resolve(dotted) is not None


@pytest.mark.parametrize(("name", "owner"), sorted((ATTRIBUTES | PYTHONS).items()))
def test_its_objects_still_have(name: str, owner: str) -> None:
    found = resolve(owner)
    kinds = found.__mro__[:-1] if isinstance(found, type) else ()
    sources = [inspect.getsource(kind) for kind in kinds]
    assert hasattr(found, name) or any(f"self.{name} =" in source for source in sources), sources


def test_no_other_code_uses_a_private_name_of_dagster() -> None:
    uses = [f"{path.relative_to(ROOT)}: {name}" for path in code() for name in names_in(path)]
    assert uses == []
