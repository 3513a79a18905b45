"""Where work runs and where it is kept: mappers over processes or a cluster, and run folders that can be resumed."""

from whence.execution.lock import RunError
from whence.execution.mappers import JoblibMapper, WorkerError
from whence.execution.record import JSON
from whence.execution.shelf import Shelf
from whence.execution.store import RunFolder

__all__ = ["JSON", "JoblibMapper", "RunError", "RunFolder", "Shelf", "WorkerError"]
