//! What keeps others from a process's memory: no core, no reading by the same account, no swap.
