"""What a warm process has imported, taken out of the garbage collector's sight.

The collector looks through everything that lives each time a quarter more has come. In a fork that
begins with a quarter million objects that was 0.25 of the 0.64 s of CPU until its definitions were
there, and each page looked at is copied. Nothing imported is ever garbage.

It works on import, which is what the fork server does with it last (`forked_runs.py`). What belongs
here: this one step.
"""

import gc

gc.collect()
gc.freeze()
