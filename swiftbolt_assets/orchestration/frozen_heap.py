"""What a warm process has imported, taken out of the garbage collector's sight.

The collector looks through everything that lives each time a quarter more has come. In a fork that
begins with a quarter million objects that was 0.25 of the 0.64 s of CPU until its definitions were
there, and each page looked at is copied. Nothing imported is ever garbage.

What comes later is looked through less often than by default, at each 700 new objects: a run keeps
its events until its end. Both together: runs of 2.8 instead of 3.4 s of CPU a symbol and two years
(`make bench ARGS="--only orchestration"`).

It works on import, which is what the fork server does with it last (`forked_runs.py`). What belongs
here: this one step.
"""

from swiftbolt_assets.garbage import keep_what_lives

keep_what_lives()
