"""Name tables: which tensor of another library is which of ours, one file an architecture."""
