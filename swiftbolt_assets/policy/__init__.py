"""Pure decisions of the platform: what to ask for, who is next, how fresh, how long to keep."""
