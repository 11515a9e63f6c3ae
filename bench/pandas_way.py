"""How a script would store the same rows: pandas to_sql into a staging table, then an upsert.

What belongs here: that, from rows that are finished already. What does not: parsing and
validation, which ours pays for and this does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import sqlalchemy

from resources.bars.copy_format import COLUMNS

if TYPE_CHECKING:
    from resources.postgres.database import Database

_NAMES = ", ".join(COLUMNS)
_CASTS = {
    "symbol_id": "symbol_id::uuid",
    "timeframe": "timeframe::timeframe",
    "provider": "provider::data_provider",
    # pandas has no null in a column of floats.
    "vwap": "nullif(vwap, 'NaN')",
    "trade_count": "trade_count::bigint",
}
_UPSERT = (
    f"insert into ohlc_bars_v2 ({_NAMES}) "
    f"select {', '.join(_CASTS.get(name, name) for name in COLUMNS)} from pandas_staging "
    "on conflict (symbol_id, timeframe, ts, provider, is_forecast) do update set "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[6:])
)


class PandasWay:
    """The rows that a database holds now, as a pandas frame that can be stored again."""

    def __init__(self, database: Database) -> None:
        with database.connect() as connection:
            rows = connection.execute(f"select {_NAMES} from ohlc_bars_v2 order by 1, 2, 3")
            self.frame = pd.DataFrame(rows.fetchall(), columns=list(COLUMNS))
        for name in ("symbol_id", "timeframe", "provider"):
            self.frame[name] = self.frame[name].astype(str)
        self.frame["trade_count"] = self.frame["trade_count"].astype("Int64")
        self._engine = sqlalchemy.create_engine(
            "postgresql+psycopg://",
            creator=lambda: database.connect(autocommit=False),
            poolclass=sqlalchemy.NullPool,
        )

    def run(self) -> None:
        """Store the frame."""
        with self._engine.begin() as connection:
            self.frame.to_sql("pandas_staging", connection, if_exists="replace", index=False)
            connection.exec_driver_sql(_UPSERT)
