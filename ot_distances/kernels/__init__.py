"""Arrays in, arrays out, integer status: compiled loops that import nothing of ours and allocate what they are told to."""
