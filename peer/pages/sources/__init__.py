"""What the pages show: the parts of the peer behind them, put together once for all pages."""
