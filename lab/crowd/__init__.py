"""A crowd on the telephone: hundreds of SIP parties in one process, each saying a known sound, so that every missing millisecond is seen.

Too light to be a softphone: it registers nowhere, answers every call and never tires. `Crowd` (steering.py) starts the process.
"""

from lab.crowd.pattern import Continuity, Gap, follow, sound_of
from lab.crowd.steering import Crowd, Heard

__all__ = ["Continuity", "Crowd", "Gap", "Heard", "follow", "sound_of"]
