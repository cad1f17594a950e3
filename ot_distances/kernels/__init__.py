"""Arrays in, arrays out, integer status: compiled loops that import nothing of ours and work where they are told to."""
