"""Inside of a measured server: what Python's garbage collector does, told on SIGUSR1."""

from __future__ import annotations

import gc
import json
import signal
import time

OLDEST = 2

#: What a deployment may do about the collector, by name.
WAYS = {
    "as it is": lambda: None,
    "gc.freeze()": lambda: None,  # once the clients are there, see `Collector._tell`
    "gc.set_threshold(20_000, 5, 100)": lambda: gc.set_threshold(20_000, 5, 100),
    "gc.disable()": gc.disable,
}


class Collector:
    """Counts collections and how long everything stood still for each."""

    def __init__(self, way: str) -> None:
        WAYS[way]()
        self._freezes = way == "gc.freeze()"
        self._begun = 0.0
        self._forget()
        gc.callbacks.append(self._note)
        signal.signal(signal.SIGUSR1, self._tell)

    def _forget(self) -> None:
        self._pauses: list[list[float]] = [[], [], []]

    def _note(self, phase: str, info: dict[str, int]) -> None:
        now = time.perf_counter()
        if phase == "start":
            self._begun = now
        else:
            self._pauses[info["generation"]].append(now - self._begun)

    def _tell(self, *_: object) -> None:
        every = [pause for pauses in self._pauses for pause in pauses]
        print(
            json.dumps(
                {
                    "collections": len(every),
                    "of_all": len(self._pauses[OLDEST]),
                    "longest": max(every, default=0.0),
                    "together": sum(every),
                }
            ),
            flush=True,
        )
        self._forget()
        if self._freezes:
            gc.freeze()
            self._freezes = False
