"""What is stored of symbols: bars, ledger, splits, certificates, and what charts read."""
