"""What checks the job state machine: its graph, the watcher of transitions, the independent specification."""
