"""From a new process to the first step."""
