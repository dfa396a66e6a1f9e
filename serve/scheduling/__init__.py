"""Which models are loaded: lending runners, queueing, eviction, what to do about those that die."""
