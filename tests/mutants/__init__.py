"""The museum of mutants: machines with one planted fault each, which the checks must find."""
