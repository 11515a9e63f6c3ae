"""What Polygon can do, and where its clients are: its record in the table of providers."""

from resources.providers.capabilities import Capabilities, Role

CAPABILITIES = Capabilities(
    name="polygon",
    label="Polygon",
    role=Role.HISTORY,
    # Two names of one key: Massive's own client reads the second.
    key_variables=("POLYGON_API_KEY", "MASSIVE_API_KEY"),
    url_variable="POLYGON_BASE_URL",
    url="https://api.massive.com",
    per_minute_variable="POLYGON_REQUESTS_PER_MINUTE",
    # The free plan's.
    per_minute=5,
    bars="resources.providers.polygon.bars:PolygonClient",
    splits="resources.providers.polygon.splits:PolygonSplits",
    tickers="resources.providers.polygon.tickers:PolygonTickers",
    # A request's `limit` counts them, not results.
    most_base_minutes=50_000,
    plan_years=(2, 5, 10, 1),
)
