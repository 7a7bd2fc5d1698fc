"""SimPy simulations of the job state machine: scenario in, records watched, report out (see `sim/README.md`)."""
