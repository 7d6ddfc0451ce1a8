"""What this software is not, in the one line that every page and every result carries."""

from typing import Final

NOTICE: Final = "Research software, not a medical device: nothing here may guide the care of a patient."
