"""The commands; heavy imports stand inside them."""
