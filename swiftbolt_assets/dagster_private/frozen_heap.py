"""Takes what a cold fork server has imported from the garbage collector, when this is imported.

Importing is all that multiprocessing lets such a server do; it does this last (`forked_runs.py`).
What belongs here: this one step. What does not: why (`swiftbolt_assets/garbage.py`), and the
servers that need no such way (`fork_server.py`).
"""

from swiftbolt_assets.garbage import keep_what_lives

keep_what_lives()
