"""The shell's registers: one table, and every file that is made from it."""
