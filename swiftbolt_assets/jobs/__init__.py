"""Jobs beside the bar assets: today's round, splits, tickers, retention."""
