"""Starting the ranks of a job on this machine, watching them, and ending all when one fails."""
