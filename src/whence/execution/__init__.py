"""Where work runs and where it is kept: mappers over processes or a cluster, and run folders that can be resumed."""

from whence.execution.mappers import JoblibMapper, WorkerError
from whence.execution.store import JSON, RunError, RunFolder, Shelf

__all__ = ["JSON", "JoblibMapper", "RunError", "RunFolder", "Shelf", "WorkerError"]
