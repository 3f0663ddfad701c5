"""Where a run happens. `local` is this machine: all sites in this process, or one process for each site."""

from __future__ import annotations

from reticent.engines.laptop import Laptop
from reticent.engines.local import InProcess
from reticent.engines.processes import Processes

__all__ = ["InProcess", "Laptop", "Processes"]
