"""The Celery application that platform and workers share: one task, a run.

Redis only hands over the run's id. Whether a run lives is told by its beats in Postgres, and what
came of it by Dagster, so there is no result backend, no remote control and no gossip.

What belongs here: Celery's settings. What does not: sending (`launcher.py`), serving
(`worker.py`).
"""

from __future__ import annotations

from celery import Celery
from kombu.entity import Queue

TASK = "swiftbolt.run"
#: A message that nobody has acknowledged for so long is delivered again; runs end before
#: (`max_runtime_seconds`), and one that had begun is not begun twice.
_VISIBILITY_S = 43_200
_TIMEOUT_S = 5.0
#: A worker's child is replaced after so many runs, so that no leak grows for ever.
_RUNS_A_CHILD = 100


class _Configuration:
    """Nothing: all is said below."""

    result_backend = None


def celery_app(broker_url: str | None) -> Celery:
    """Return an application on a broker; nothing is connected."""
    # Named, so that it asks neither CELERY_CONFIG_MODULE nor DJANGO_SETTINGS_MODULE for another's.
    app = Celery("swiftbolt", set_as_current=False, config_source=_Configuration, fixups=())
    app.conf.update(
        broker_url=broker_url,
        broker_connection_retry_on_startup=True,
        # A broker may be away for a night.
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": _VISIBILITY_S,
            "max_retries": 3,
            "socket_timeout": _TIMEOUT_S,
            "socket_connect_timeout": _TIMEOUT_S,
            "socket_keepalive": True,
        },
        result_backend=None,
        task_ignore_result=True,
        task_create_missing_queues=False,
        # Acknowledged when the run is over: until then it counts against the prefetched ones, so
        # that no worker keeps a run waiting while another has a slot.
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_max_tasks_per_child=_RUNS_A_CHILD,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
    )
    return app


def code_queue(name: str) -> Queue:
    """Return a queue by its name."""
    return Queue(name, routing_key=name)  # type: ignore[no-untyped-call]
