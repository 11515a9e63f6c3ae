"""The command `swiftbolt`: names, options and exit codes.

Each command's body lives in a module of its own and is imported when it runs, so that `--help`
starts in a fraction of a second. What belongs here: declarations, and how an error becomes one
line. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

# No `from __future__ import annotations`: as a module it would be looked up in the current folder.
if __name__ == "__main__":
    from swiftbolt_assets import startup

    startup.begin()

import os
import signal
import sys
from typing import TYPE_CHECKING

import click

from resources.providers.registry import HISTORY
from swiftbolt_assets.errors import SwiftBoltError, UsageError
from swiftbolt_assets.garbage import collect_seldom
from swiftbolt_assets.policy.interest import SOURCES

if TYPE_CHECKING:
    from types import FrameType

#: 128 + SIGINT, as shells have it.
_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="swiftbolt", prog_name="swiftbolt")
def cli() -> None:
    """Keep 15-minute, 1-hour and 4-hour bars of the symbols you track complete in Postgres."""
    try:
        os.getcwd()  # noqa: PTH109 - pathlib costs a command that fails a hundredth of a second
    except OSError:
        text = "the current folder is gone; change to one that exists"
        raise UsageError(text) from None


@cli.command()
@click.option("--exit", "leave", is_flag=True, help="End when the bars are complete.")
@click.option(
    "--free-plan", is_flag=True, help=f"Play {HISTORY.label}'s free plan: 5 requests a minute."
)
@click.option(
    "--symbol", "symbols", multiple=True, metavar="S", help="Instead of AAPL; repeatable."
)
@click.option("--host", default=None, help="What the servers listen on.")
@click.option("--port-offset", default="0", metavar="N", help="Added to every port.")
def demo(
    *, leave: bool, free_plan: bool, symbols: tuple[str, ...], host: str | None, port_offset: str
) -> None:
    """Fill two years of AAPL with simulated bars, to look at."""
    from swiftbolt_assets.cli.commands.demo import run_demo

    run_demo(symbols or ("AAPL",), leave=leave, free=free_plan, host=host, port_offset=port_offset)


@cli.command()
@click.option("--host", default=None, help="What the servers listen on.")
@click.option("--port-offset", default="0", metavar="N", help="Added to every port.")
def up(*, host: str | None, port_offset: str) -> None:
    """Run the platform until Ctrl-C: database, Dagster, API, chart."""
    from swiftbolt_assets.cli.commands.up import run_up

    run_up(host=host, port_offset=port_offset)


@cli.command()
@click.option("--slots", default=None, metavar="N", help="Runs at once; default: processors.")
@click.option("--name", default=None, metavar="NAME", help="For people; default: the machine's.")
def worker(*, slots: str | None, name: str | None) -> None:
    """Take a platform's runs here, under the profile celery."""
    from swiftbolt_assets.cli.commands.worker import run_worker

    sys.exit(run_worker(slots=slots, name=name))


@cli.command()
def migrate() -> None:
    """Bring the database to the newest schema; safe to repeat."""
    from swiftbolt_assets.cli.commands.migrate import run_migrate

    run_migrate()


@cli.command()
@click.argument("symbols", nargs=-1, metavar="SYMBOL...")
@click.option("--source", default=None, metavar="S", help=f"{', '.join(sorted(SOURCES, key=len))}.")
@click.option("--user", default=None, metavar="UUID", help="Whose; default SWIFTBOLT_ANON_USER.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def track(symbols: tuple[str, ...], source: str | None, user: str | None, *, as_json: bool) -> None:
    """Record interest in symbols; the platform fills them."""
    from swiftbolt_assets.cli.commands.track import run_track

    run_track(symbols, source=source, user=user, as_json=as_json)


@cli.command()
@click.argument("symbols", nargs=-1, metavar="SYMBOL...")
@click.option("--days", default=None, metavar="N", help="Today and N days back (default 730).")
@click.option("--from", "start", default=None, metavar="D", help="First day, YYYY-MM-DD.")
@click.option("--to", "end", default=None, metavar="D", help="Last day, YYYY-MM-DD.")
@click.option("--priority", default=None, metavar="N", help="Higher goes first (default 200).")
@click.option("--force", is_flag=True, help="Fetch again what is covered.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def backfill(
    symbols: tuple[str, ...],
    days: str | None,
    start: str | None,
    end: str | None,
    priority: str | None,
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Fill a window of bars and wait for it."""
    from swiftbolt_assets.cli.commands.backfill import run_backfill

    run_backfill(
        symbols, days=days, start=start, end=end, priority=priority, force=force, as_json=as_json
    )


@cli.command()
@click.argument("symbols", nargs=-1, metavar="[SYMBOL]...")
@click.option("--once", is_flag=True, help="One refresh instead of one every few minutes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a refresh.")
def live(symbols: tuple[str, ...], *, once: bool, as_json: bool) -> None:
    """Refresh today's bars of tracked symbols, or of these."""
    from swiftbolt_assets.cli.commands.live import run_live

    run_live(symbols, once=once, as_json=as_json)


@cli.group()
def jobs() -> None:
    """Change what is wanted of a symbol."""


@jobs.command("set")
@click.argument("symbol")
@click.option("--timeframe", default=None, metavar="T", help="m15, h1 or h4; default: all three.")
@click.option("--window", default=None, metavar="N", help="Days back, up or down.")
@click.option("--priority", default=None, metavar="N", help="Higher goes first.")
@click.option("--enabled/--disabled", default=None, help="Whether it is fetched.")
@click.option("--pin/--unpin", default=None, help="Whether later tracking leaves it alone.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def jobs_set(
    symbol: str,
    timeframe: str | None,
    window: str | None,
    priority: str | None,
    *,
    enabled: bool | None,
    pin: bool | None,
    as_json: bool,
) -> None:
    """Set window, priority or state, up or down."""
    from swiftbolt_assets.cli.commands.jobs import run_jobs_set

    run_jobs_set(
        symbol,
        timeframe,
        window=window,
        priority=priority,
        enabled=enabled,
        pinned=pin,
        as_json=as_json,
    )


@cli.group()
def calendar() -> None:
    """Change the exchange's calendar as it is announced."""


@calendar.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def calendar_list(*, as_json: bool) -> None:
    """Show the changes, and what they replace."""
    from swiftbolt_assets.cli.commands.calendar import run_calendar_list

    run_calendar_list(as_json=as_json)


@calendar.command("add")
@click.argument("day", metavar="DAY")
@click.option("--closed", is_flag=True, help="Closed all day.")
@click.option("--closes", default=None, metavar="HH:MM", help="Closes then, New York time.")
@click.option("--reason", default="", metavar="TEXT", help="For people.")
def calendar_add(day: str, *, closed: bool, closes: str | None, reason: str) -> None:
    """Close a day, or close it early; bars outside are kept aside."""
    from swiftbolt_assets.cli.commands.calendar import run_calendar_add

    run_calendar_add(day, closes, reason, is_closed=closed)


@calendar.command("remove")
@click.argument("day", metavar="DAY")
def calendar_remove(day: str) -> None:
    """Take a change back; its bars come back."""
    from swiftbolt_assets.cli.commands.calendar import run_calendar_remove

    run_calendar_remove(day)


@cli.command()
@click.argument("symbol")
@click.option("--timeframe", default="m15", metavar="T", help="m15, h1 or h4.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def coverage(symbol: str, timeframe: str, *, as_json: bool) -> None:
    """Show what is stored of a symbol, what is not, and why."""
    from swiftbolt_assets.cli.commands.coverage import run_coverage

    run_coverage(symbol, timeframe, as_json=as_json)


@cli.command()
@click.argument("symbol")
@click.option("--file", "target", default=None, metavar="PATH", help="Write the certificate, too.")
@click.option("--verify", "source", default=None, metavar="PATH", help="Hold what is stored to it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def prove(symbol: str, target: str | None, source: str | None, *, as_json: bool) -> None:
    """Certify that a symbol is complete, or say what is not."""
    from swiftbolt_assets.cli.commands.prove import run_prove

    run_prove(symbol, target=target, source=source, as_json=as_json)


@cli.command()
@click.argument("symbol", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(symbol: str | None, *, as_json: bool) -> None:
    """Show the queue, what failed, the request budget, what is stored."""
    from swiftbolt_assets.cli.commands.status import run_status

    run_status(symbol, as_json=as_json)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def monitor(*, as_json: bool) -> None:
    """Print ten reports on coverage, work and health."""
    from swiftbolt_assets.cli.commands.monitor import run_monitor

    run_monitor(as_json=as_json)


@cli.command()
@click.option("--host", default=None, help="What it listens on; loopback only.")
@click.option("--port-offset", default="0", metavar="N", help="Added to the port.")
@click.option("--free-plan", is_flag=True, help="5 requests a minute, two years of history.")
def simulate(*, host: str | None, port_offset: str, free_plan: bool) -> None:
    """Serve both providers from a seeded, made-up market."""
    from swiftbolt_assets.cli.commands.simulate import run_simulate

    run_simulate(host=host, port_offset=port_offset, free=free_plan)


@cli.command()
@click.option("--host", default=None, help="What it listens on.")
@click.option("--port-offset", default="0", metavar="N", help="Added to the port.")
def serve(*, host: str | None, port_offset: str) -> None:
    """Serve the HTTP API and the chart alone."""
    from swiftbolt_assets.cli.commands.serve import run_serve

    run_serve(host=host, port_offset=port_offset)


@cli.command()
@click.option("--stop", is_flag=True, help="Let the database end that this command left running.")
@click.option("--profile", default=None, metavar="P", help="Print the files of local, celery, k8s.")
@click.option("--into", default=None, metavar="FOLDER", help="Write these files there instead.")
def env(*, stop: bool, profile: str | None, into: str | None) -> None:
    """Print shell exports (with credentials) for Dagster's tools."""
    from swiftbolt_assets.cli.commands.env import run_env, show_profile

    if profile is not None or into is not None:
        show_profile(profile, into)
    else:
        run_env(stop=stop)


@cli.command()
@click.option("--port-offset", default="0", metavar="N", help="Added to every port.")
def deploy(*, port_offset: str) -> None:
    """Migrate, start the platform, and verify it."""
    from swiftbolt_assets.cli.commands.deploy import run_deploy

    run_deploy(port_offset=port_offset)


@cli.command()
@click.argument("target", metavar="FILE")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def backup(target: str, *, force: bool) -> None:
    """Write both databases to one file, while everything runs."""
    from swiftbolt_assets.cli.commands.backup import run_backup

    run_backup(target, force=force)


@cli.command()
@click.argument("source", metavar="FILE")
@click.option("--force", is_flag=True, help="Replace the databases that are there.")
def restore(source: str, *, force: bool) -> None:
    """Bring both databases back from a backup."""
    from swiftbolt_assets.cli.commands.restore import run_restore

    run_restore(source, force=force)


@cli.command()
def doctor() -> None:
    """Say what is wrong here and how to mend it."""
    from swiftbolt_assets.cli.commands.doctor import run_doctor

    run_doctor()


def main() -> None:
    """Run the command line; every error becomes one line on stderr."""
    collect_seldom()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Ignored ones stay so: that is what nohup asks for.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)
    try:
        code = _run()
    except BrokenPipeError:
        # The reader has gone; what is still buffered must not fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:  # noqa: BLE001 - a person gets one line, never a traceback
        from swiftbolt_assets.cli.unexpected import describe

        code = _refuse(describe(error), 1)
    sys.exit(code)


def _run() -> int:
    try:
        code = cli.main(prog_name="swiftbolt", standalone_mode=False)
    except SwiftBoltError as error:
        return _refuse(str(error), error.exit_code)
    except click.UsageError as error:
        return _refuse(_with_help(error), 2)
    except click.ClickException as error:
        return _refuse(error.format_message(), 1)
    except (KeyboardInterrupt, click.Abort) as error:
        told = str(error) or "what was stored stays, start again to go on"
        return _refuse(f"interrupted; {told}", _INTERRUPTED)
    return code if isinstance(code, int) else 0


def _interrupt(_number: int, _frame: "FrameType | None") -> None:
    raise KeyboardInterrupt


def _refuse(message: str, code: int) -> int:
    click.echo(f"swiftbolt: {' '.join(message.split())}", err=True)
    return code


def _with_help(error: click.UsageError) -> str:
    command = error.ctx.command_path if error.ctx else "swiftbolt"
    return f"{error.format_message()} See '{command} --help'."


if __name__ == "__main__":
    main()
