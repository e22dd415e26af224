"""Faults for real: processes that die, a server that goes away, a wire that lies. Phases of a run are in `phases`."""
