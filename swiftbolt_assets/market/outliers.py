"""stub"""

import polars as pl
from swiftbolt_assets.market.validation import REJECT_SCHEMA

FAR_FROM_NEIGHBOURS = "far_from_neighbours"


def far(bars, sessions, splits=()):
    return pl.DataFrame(schema=REJECT_SCHEMA)


def agrees(a, b):
    return a == b
