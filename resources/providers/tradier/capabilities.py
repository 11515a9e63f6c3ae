"""What Tradier can do, and where its clients are: its record in the table of providers."""

from resources.providers.capabilities import Capabilities, Role

CAPABILITIES = Capabilities(
    name="tradier",
    label="Tradier",
    role=Role.TODAY,
    key_variables=("TRADIER_TOKEN",),
    url_variable="TRADIER_BASE_URL",
    url="https://api.tradier.com",
    per_minute_variable="TRADIER_REQUESTS_PER_MINUTE",
    # A token's; the headers of every reply name the true one.
    per_minute=60,
    learns_budget=True,
    bars="resources.providers.tradier.bars:TradierClient",
    quotes="resources.providers.tradier.quotes:TradierQuotes",
    # Of 15-minute bars, closures not counted out.
    weekdays_kept=41,
    # Asked for `BCpC`, it answers for `BCPC`.
    knows_case=False,
    class_separator="/",
)
