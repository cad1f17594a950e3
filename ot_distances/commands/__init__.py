"""The commands, a file each: ABOUT, EXAMPLES, add_arguments and run."""
