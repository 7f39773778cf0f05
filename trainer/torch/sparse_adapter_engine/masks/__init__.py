"""From scores to masks: rounds, structures and rules."""
