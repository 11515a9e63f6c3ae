"""Some 12,000 tickers with made-up company names: what the simulator lists as trading.

What belongs here: which tickers are listed, and how they are called. What does not: how a symbol
trades (`listings.py`), how the list looks on the wire (`polygon_reference.py`).

The same on every machine. Tickers are case-coded as at Massive: `BCpC` stands beside `BCPC`, and
there are classes, preferred shares, rights, when-issued shares, units and warrants.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMPANIES = 9_600
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FIRST = (
    "Acorn", "Amber", "Anchor", "Apex", "Aspen", "Atlas", "Aurora", "Beacon", "Birch",
    "Bluestone", "Boreal", "Bright", "Canyon", "Cedar", "Clear", "Cobalt", "Copper", "Coral",
    "Crescent", "Crown", "Delta", "Eagle", "Ember", "Evergreen", "Falcon", "First", "Forge",
    "Frontier", "Garnet", "Glacier", "Golden", "Granite", "Harbor", "Heritage", "Highland",
    "Horizon", "Iron", "Ivory", "Jade", "Juniper", "Keystone", "Lakeside", "Laurel", "Liberty",
    "Lumen", "Maple", "Meridian", "Mesa", "Nimbus", "North", "Oak", "Ocean", "Onyx", "Orchard",
    "Pacific", "Pine", "Pioneer", "Prairie", "Quartz", "Radiant", "Ridge", "River", "Rockport",
    "Sable", "Sapphire", "Sequoia", "Sierra", "Silver", "Solstice", "Spruce", "Sterling", "Stone",
    "Summit", "Sunrise", "Tidewater", "Timber", "Titan", "Topaz", "Union", "Valley", "Vector",
    "Verdant", "Vista", "Westfield", "Willow", "Zephyr",
)  # fmt: skip
_SECOND = (
    "Analytics", "Bancorp", "Biologics", "Brands", "Capital", "Chemical", "Data", "Dynamics",
    "Education", "Energy", "Foods", "Freight", "Gaming", "Genetics", "Health", "Homes",
    "Hospitality", "Insurance", "Labs", "Logistics", "Materials", "Media", "Mining", "Mobility",
    "Networks", "Oil", "Optics", "Paper", "Pharma", "Photonics", "Power", "Properties", "Rail",
    "Robotics", "Semiconductor", "Shipping", "Software", "Solar", "Steel", "Systems", "Telecom",
    "Textiles", "Therapeutics", "Tools", "Travel", "Utilities", "Water", "Wireless",
)  # fmt: skip
_LAST = ("Inc.", "Corp.", "Holdings Inc.", "Group Ltd.", "Co.", "Trust", "ETF", "plc ADR")
#: Suffix of the ticker -> what the name says of it; one company in eight has one of them.
_KINDS = {
    "pA": "Preferred Series A", "pB": "Preferred Series B", ".A": "Class A", ".B": "Class B",
    ".U": "Units", ".WS": "Warrants", ".WS.A": "Series A Warrants", "r": "Rights",
    "w": "When Issued",
}  # fmt: skip
#: Spellings that differ in case alone, and what a person would type.
_SPELLINGS = {
    "BCPC": "Balchem Corp",
    "BCpC": "Brunswick Corp 6.375% Notes",
    "BACpL": "Bank of America Corp Preferred Series L",
    "ABC.WS.A": "Alphabet City Acquisition Series A Warrants",
    "ABCDw": "Abcedarian Holdings When Issued",
}


@lru_cache(maxsize=1)
def directory() -> Mapping[str, str]:
    """Return ticker -> name, in the order of the tickers' bytes."""
    draw = Random(20_261_129)  # noqa: S311 - made-up names need no secret
    names: dict[str, str] = {}
    while len(names) < _COMPANIES:
        ticker = "".join(draw.choices(_LETTERS, k=draw.choice((3, 3, 4, 4, 4, 4))))
        if ticker.startswith("ZZ"):
            continue
        name = f"{draw.choice(_FIRST)} {draw.choice(_SECOND)} {draw.choice(_LAST)}"
        names.setdefault(ticker, name)
    for ticker, name in list(names.items())[:2_400]:
        suffix = draw.choice(tuple(_KINDS))
        names[f"{ticker}{suffix}"] = f"{name} {_KINDS[suffix]}"
    return MappingProxyType(dict(sorted((names | _SPELLINGS).items())))
