"""Update, rollback and scale: from what is observed to a list of steps, and from there to calls of hosts."""
