"""Write the calendar's data file anew from exchange_calendars: `python tests/market/write_xnys.py`.

Run it when the library knows of a new closure; the tests beside it hold the file against it.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from importlib.metadata import version
from importlib.resources import files

FIRST = date(2015, 1, 1)
LAST = date(2030, 12, 31)
_OPEN, _CLOSE = "09:30", "16:00"


def calendar_data() -> dict[str, object]:
    """Return what the data file holds, derived from the library alone."""
    import exchange_calendars

    xnys = exchange_calendars.get_calendar("XNYS", start=FIRST.isoformat(), end=LAST.isoformat())
    opens = xnys.opens.dt.tz_convert("America/New_York")
    closes = xnys.closes.dt.tz_convert("America/New_York")
    if late := [day for day, at in opens.items() if f"{at:%H:%M}" != _OPEN]:
        raise ValueError(f"the data file cannot hold late opens: {late}")
    trading = {day.date() for day in opens.index}
    days = [FIRST + timedelta(days=i) for i in range((LAST - FIRST).days + 1)]
    return {
        "exchange": "XNYS",
        "source": f"exchange_calendars {version('exchange_calendars')}",
        "first": FIRST.isoformat(),
        "last": LAST.isoformat(),
        "open": _OPEN,
        "close": _CLOSE,
        "closures": [d.isoformat() for d in days if d.weekday() < 5 and d not in trading],
        "early_closes": {
            day.date().isoformat(): f"{at:%H:%M}"
            for day, at in closes.items()
            if f"{at:%H:%M}" != _CLOSE
        },
    }


if __name__ == "__main__":
    target = files("swiftbolt_assets.market").joinpath("xnys.json")
    with open(str(target), "w", encoding="utf-8") as data_file:  # noqa: PTH123 - a Traversable
        json.dump(calendar_data(), data_file, indent=1)
        data_file.write("\n")
