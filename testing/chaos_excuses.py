"""What was done to a cluster that may have lost acknowledged writes: nothing else excuses that one is missing."""

import contextlib
import time

from testing.harness_model import REPLICATION_S, LossWindow


class Excuses:
    """Adds to `windows` what may be lost. Needs primaries(), slots_of() and wait_until_ok() of the cluster."""

    def __init__(self, cluster, windows):
        self._cluster = cluster
        self._windows = windows
        self._known = {node.id for node in cluster.primaries()}
        self._looked_at = time.monotonic()

    @contextlib.contextmanager
    def fault_at(self, primary):
        """What is done to `primary` meanwhile takes with it what was not replicated, unless the same process is the
        primary at the end, when all agree who is. The fault may widen the window that it gets."""
        window = LossWindow(self._cluster.slots_of(primary))
        process = primary.process
        try:
            yield window
        except BaseException:
            self._windows.append(window)
            raise
        window.end()
        owners = self._cluster.primaries()
        self.expect(owners)
        if primary not in owners or primary.process is not process:
            self._windows.append(window)

    def expect(self, nodes):
        """They become, or are, primaries on purpose, until the next note_elections()."""
        self._known |= {node.id for node in nodes}

    def note_elections(self):
        """Returns the nodes that became primaries since the last time and were not expected to. Nodes do not wait long
        for one another: on a machine that is too busy for them a replica takes over from a primary that nobody has
        harmed, and that loses writes as a crash does."""
        since, self._looked_at = self._looked_at - REPLICATION_S, time.monotonic()
        elected = [node for node in self._cluster.primaries() if node.id not in self._known]
        if elected:
            self._cluster.wait_until_ok(60)
        # Who is none any more may be elected once more.
        self._known = {node.id for node in self._cluster.primaries()}
        for node in elected:
            window = LossWindow(self._cluster.slots_of(node), since)
            window.end()
            self._windows.append(window)
        return elected
