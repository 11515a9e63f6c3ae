"""Another process, and on request another user, at work on the home of a test.

Usage: actor.py COMMAND HOME [--uid N --gid N --programs FOLDER]; prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import psycopg

from resources.postgres.embedded import server as embedded
from swiftbolt_assets.errors import SwiftBoltError


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["start", "stop", "hold", "hold-and-fork", "connect"])
    parser.add_argument("home", type=Path)
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("--programs")
    options = parser.parse_args()
    if options.uid is not None:
        sys.path.insert(0, options.programs)
        os.setgroups([])
        os.setgid(options.gid)
        os.setuid(options.uid)
    try:
        act(options.command, options.home)
    except (SwiftBoltError, psycopg.Error) as error:
        say(error=type(error).__name__, message=str(error))


def act(command: str, home: Path) -> None:
    if command == "start":
        server = embedded.start(home)
        with psycopg.connect(server.url("swiftbolt")) as connection:
            connection.execute("select 1")
        say(url=server.url("swiftbolt"), sockets=str(server.sockets))
    elif command == "stop":
        say(stopped=embedded.stop(home))
    elif command == "connect":  # here HOME is the folder of a socket
        psycopg.connect(host=str(home), user="swiftbolt", dbname="swiftbolt").close()
        say(connected=True)
    else:
        with embedded.lease(home):
            child = None
            if command == "hold-and-fork" and not (child := os.fork()):
                sys.stdin.buffer.read()
                sys.exit()  # leaves the copied lease too
            say(child=child)
            sys.stdin.readline()


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)  # noqa: T201 - the answer to the test


if __name__ == "__main__":
    main()
