"""How many connections a download is worth: measured while it runs."""

_INTERVAL = 0.5  # seconds between two looks
_GAIN = 1.25  # what a doubling must at least bring
_WORTHWHILE = 1.0  # with fewer seconds to go nothing is changed any more


class Ramp:
    """Doubles the connections while each doubling makes the download clearly faster.

    A fast local network is best served by one; a registry that limits every connection gives
    nearly as many times its limit as there are connections.
    """

    def __init__(self, most: int, total: int, now: float, done: int) -> None:
        """At most `most` connections for `total` bytes, of which `done` are there at `now` (s)."""
        self.connections = 1
        self._most = most
        self._total = total
        self._settled = most == 1
        self._rate = 0.0
        self._since, self._done = now, done

    def observe(self, now: float, done: int) -> None:
        """Take note that `done` bytes are there at `now` seconds, and adapt `connections`."""
        elapsed = now - self._since
        if self._settled or elapsed < _INTERVAL or done == self._done:
            return
        rate = (done - self._done) / elapsed
        self._since, self._done = now, done
        if (self._total - done) / rate < _WORTHWHILE:
            return
        if rate > self._rate * _GAIN:
            self._rate = rate
            self._settled = self.connections == self._most
            self.connections = min(self.connections * 2, self._most)
        else:
            self.connections = max(self.connections // 2, 1)
            self._settled = True
