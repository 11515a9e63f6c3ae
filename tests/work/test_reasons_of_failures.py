"""The reason that is kept of a run that failed is the one that began it, in one line."""

from __future__ import annotations

import dagster as dg
import pytest

from sensors.failures import reason_of_failure


class OperatorError(Exception):
    """An error of ours on top of another."""


def ask() -> None:
    raise LookupError("invalid input syntax for type date: 31.12.2026\nLINE 1: select")


def store() -> None:
    try:
        ask()
    except LookupError as error:
        raise OperatorError("the statement was refused") from error


@dg.op
def failing() -> None:
    try:
        store()
    except OperatorError as error:
        raise RuntimeError("the fill did not end") from error


@dg.op
def phrased() -> None:
    raise dg.Failure("polygon: HTTP 403: not for you", allow_retries=False)


@dg.op
def interrupted() -> None:
    raise dg.DagsterExecutionInterruptedError


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        (
            failing,
            "LookupError: invalid input syntax for type date: 31.12.2026 LINE 1: select",
        ),
        (phrased, "polygon: HTTP 403: not for you"),
        (interrupted, None),
    ],
)
def test_the_innermost_cause_is_the_reason_in_one_line(
    op: dg.OpDefinition, reason: str | None
) -> None:
    @dg.job
    def once() -> None:
        op()

    with dg.DagsterInstance.ephemeral() as instance:
        try:
            result = once.execute_in_process(instance=instance, raise_on_error=False)
        except dg.DagsterExecutionInterruptedError:
            records = instance.all_logs(instance.get_runs()[0].run_id)
            events = [record.dagster_event for record in records if record.dagster_event]
        else:
            events = result.all_events
    steps = [event for event in events if event.is_step_failure]
    assert steps
    assert reason_of_failure(steps) == reason
